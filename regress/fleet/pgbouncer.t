#!/usr/bin/perl
# PgBouncer between the daemons and PostgreSQL: in session mode limits are exact, also after a
# ledger was killed; in transaction and statement mode the start is refused and says why, and
# nothing of ours is left in the pool's sessions.

use strict;
use warnings;

use Test::More;

use Pooler;
use Policyd qw(request wait_until False);

use constant LIMIT => 100;
use constant ASKED => 160;

sub daemon {
	my ($pooler, $timeout) = @_;

	return Policyd->new(config => { $pooler->config, db_timeout => $timeout // 10, debug => False,
	    limits => [[LIMIT, 3600]], fail_action => 'reject full',
	    db_error_action => 'defer database' });
}

# All at once, over all daemons; `meanwhile` when all are sent.
sub exact {
	my ($db, $daemons, $id, $meanwhile) = @_;
	my @clients = map { $daemons->[$_ % @$daemons]->connect } 1 .. ASKED;
	my %answers;

	$_->send(request(sasl_username => $id)) for @clients;
	$meanwhile->() if $meanwhile;
	$answers{$_->answer // 'none'}++ for @clients;
	is_deeply(\%answers, { dunno => LIMIT, 'reject full' => ASKED - LIMIT }, "$id: exact");
	is($db->recorded($id), LIMIT, "$id: as many are in the table");
}

sub session {
	my ($db) = @_;
	my $pooler = Pooler->start($db, 'session');
	my @daemons = map { daemon($pooler)->start } 1 .. 3;

	exact($db, \@daemons, 'cold');
	exact($db, \@daemons, 'warm');
	kill 'KILL', $daemons[0]->child('ledger-pgsql');
	exact($db, \@daemons, 'killed');
	exact($db, \@daemons, 'while', sub { kill 'KILL', $daemons[1]->child('ledger-pgsql') });
	cmp_ok(scalar(() = $_->log =~ /shows the password/g), '<=', 1,
	    'the next ledger does not repeat what the first one warned of') for @daemons;
	$_->ends_well for @daemons;
	$pooler->stop;
}

# A pool with one server connection for two daemons, where each wants two.
sub small {
	my ($db) = @_;
	my $pooler = Pooler->start($db, 'session', default_pool_size => 1);
	my @daemons = map { daemon($pooler, 2) } 1 .. 2;
	my $small = qr/the server does not answer in time \(a pooler: its pool may be too small\)/;

	$daemons[0]->start;
	ok($daemons[0]->wait_log(qr/no second connection, each batch waits for the disk: $small/),
	    'a second connection is missing: the log tells why');
	ok(wait_until { ($daemons[0]->ask(sasl_username => 'small') // '') eq 'dunno' },
	    'the first one serves');
	$daemons[1]->launch;
	ok($daemons[1]->wait_log(qr/parent: ledger-pgsql: $small/), 'all are missing: so does it');
	$daemons[0]->ends_well;
	ok(wait_until { ($daemons[1]->ask(sasl_username => 'small') // '') eq 'dunno' },
	    'the first daemon has stopped: the other one serves');
	$daemons[1]->ends_well;
	$pooler->stop;
}

# With other clients of the pool, and without.
sub refused {
	my ($db, $mode, $pattern, %more) = @_;
	my $pooler = Pooler->start($db, $mode, %more);
	my $d = daemon($pooler);

	$d->launch;
	is($d->wait_end, 6, 'the daemon refuses to start');
	like($d->log, $pattern, 'and says why');
	$pooler->stop;
}

my $db = Database->start('pgsql');
my $reason = qr/pooler in transaction or statement mode is between: it must be in session mode/;

subtest 'session mode' => sub { session($db) };
subtest 'session mode, a small pool' => sub { small($db) };
subtest 'transaction mode' => sub { refused($db, 'transaction', $reason) };
subtest 'transaction mode, one server connection' =>
    sub { refused($db, 'transaction', $reason, default_pool_size => 1, query_wait_timeout => 3) };
subtest 'transaction mode, in turns' =>
    sub { refused($db, 'transaction', $reason, server_round_robin => 1, min_pool_size => 5) };
subtest 'statement mode' => sub { refused($db, 'statement', $reason) };
is(($db->sql('SELECT count(*) FROM pg_locks WHERE locktype = \'advisory\''))[0][0], 0,
    'no lock is left');
$db->stop;

done_testing();
