#!/usr/bin/perl
# PostgreSQL's batches overlap: the next one is written while the last one waits for the
# disk on a second connection. Here the wait is for a standby that never
# connects: no request may be answered before the wait is over, whatever happens meanwhile.

use strict;
use warnings;

use Test::More;

use Database;
use Overlap qw(wait_read ok_after_loss);
use Policyd qw(freeze wait_until request);

my $db = Database->start('pgsql');
my $requests = 64;

sub wait_for_standby {
	my ($name) = @_;

	$db->sql($_) for "ALTER SYSTEM SET synchronous_standby_names = '$name'",
	    'SELECT pg_reload_conf()';
	wait_until { (($db->sql('SHOW synchronous_standby_names'))[0][0] // '') eq $name };
}

sub daemon {
	return Policyd->start(config => { $db->config, db_timeout => 60,
	    limits => [[1000, 3600]], fail_action => 'reject full',
	    db_error_action => 'defer database' });
}

# One request from each client, all decided in one batch: the ledger is stopped until they
# are sent.
sub at_once {
	my ($d, $id, $instances, @clients) = @_;
	my $ledger = $d->child('ledger-pgsql');
	my $n = 0;

	freeze($ledger);
	$_->send(request(sasl_username => $id, instance => "$id." . $n++ % $instances))
	    for @clients;
	wait_read($d);
	kill 'CONT', $ledger;
}

# The server processes that serve this daemon.
sub sessions {
	my ($query) = @_;

	return map { $_->[0] } $db->sql('SELECT pid FROM pg_stat_activity' .
	    " WHERE datname = 'policyd' AND application_name = 'policyd-rate-limit'" .
	    " AND query LIKE '%$query%'");
}

subtest 'no request is answered before it is durable' => sub {
	my $d = daemon();
	my @clients = map { $d->connect } 1 .. $requests;

	is($_->ask(sasl_username => 'before'), 'dunno', 'all is well') for $clients[0];
	is(scalar(sessions('')), 2, 'there are two connections');
	wait_for_standby('nobody');
	at_once($d, 'bob', $requests, @clients);
	ok(wait_until { $db->recorded('bob') > 0 }, 'the first batch is committed');
	my $seen = $db->recorded('bob');
	cmp_ok($seen, '<', $requests, "$seen mails are committed, not all");
	is(scalar(grep { $_->unread ne '' } @clients), 0,
	    'no request is answered before it is durable');
	wait_for_standby('');
	is(scalar(grep { ($_->answer // '') eq 'dunno' } @clients), $requests,
	    'all requests are answered once they are durable');
	is($db->recorded('bob'), $requests, 'each mail is counted once');
	$d->ends_well;
};

subtest 'the second connection is lost' => sub {
	my $d = daemon();
	my @clients = map { $d->connect } 1 .. $requests;

	is($_->ask(sasl_username => 'before'), 'dunno', 'all is well') for $clients[0];
	wait_for_standby('nobody');
	at_once($d, 'eve', $requests, @clients);
	ok(wait_until { $db->recorded('eve') > 0 }, 'the first batch is committed');
	my ($flusher) = sessions('pg_logical_emit_message');
	$db->sql("SELECT pg_terminate_backend($flusher)");
	wait_for_standby('');
	ok_after_loss($d, $db, 'eve', @clients);
	ok(wait_until { sessions('') == 2 }, 'there are two connections again');
	$d->ends_well;
};

subtest 'a batch of repeated requests' => sub {
	my $d = daemon();
	my @clients = map { $d->connect } 1 .. 40;

	is($_->ask(sasl_username => 'before'), 'dunno', 'all is well') for $clients[0];
	wait_for_standby('nobody');
	# The second half finds the first half's rows and writes nothing.
	at_once($d, 'ann', 20, @clients);
	ok(wait_until { $db->recorded('ann') == 20 }, 'the first batch is committed');
	ok(wait_until { sessions('pg_logical_emit_message') == 1 &&
	    sessions('COMMIT') == 1 }, 'the second batch is decided');
	is(scalar(grep { $_->unread(0.2) ne '' } $clients[0], $clients[39]), 0,
	    'no client is answered yet');
	wait_for_standby('');
	is(scalar(grep { ($_->answer // '') eq 'dunno' } @clients), 40,
	    'all requests are accepted');
	is($db->recorded('ann'), 20, 'no mail is counted twice');
	$d->ends_well;
};

subtest 'no second connection' => sub {
	$db->sql("CREATE ROLE single LOGIN CONNECTION LIMIT 1 PASSWORD 'one'");
	$db->sql('CREATE DATABASE apart OWNER single');
	my $d = Policyd->start(config => { $db->config(user => 'single',
	    password => 'one', database => 'apart'), limits => [[40, 3600]],
	    fail_action => 'reject full' });
	my @clients = map { $d->connect } 1 .. $requests;
	my %answers;

	ok($d->wait_log(qr/no second connection.*too many connections/),
	    'the log names the missing second connection');
	at_once($d, 'bob', $requests, @clients);
	$answers{$_->answer // 'none'}++ for @clients;
	is_deeply(\%answers, { dunno => 40, 'reject full' => $requests - 40 },
	    'exactly as many mails as the limit allows are accepted');
	$d->ends_well;
};

$db->stop;
done_testing();
