#!/usr/bin/perl
# Several hosts in one setting: the first one that takes writes is used, also after a planned
# switch of the primary; if all of them fail, the log has the reason of each one.

use strict;
use warnings;

use IO::Socket::INET;
use Test::More;

use Database;
use Policyd qw(free_port request wait_until);
use Trouble qw(make_user daemon $secret);

# No server listens at any of these ports.
sub all_down {
	my ($kind, $count, $config) = @_;
	my @ports = map { free_port() } 1 .. $count;
	my $d = Policyd->start(config => { backend => $kind,
	    "${kind}_config" => $config->(@ports), db_timeout => 2,
	    db_error_action => 'defer database' });

	is($d->ask(sasl_username => 'bob'), 'defer database',
	    "with all $count hosts down the answer is db_error_action");
	my $each = join '; .*', map { "$_\\b[^;]*(?:refused|Can't connect)[^;]*" } @ports;
	ok($d->wait_log(qr/^.*$each/m),
	    "one line has the reasons of all $count hosts") or diag($d->log);
	cmp_ok(length, '<', 600, 'the longest line has fewer than 600 bytes')
	    for (sort { length $b <=> length $a }
	    split /\n/, $d->log)[0];
	$d->ends_well;
}

# Accepts connections and does not answer.
sub listener {
	return IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16, Blocking => 0) //
	    die "listen: $!";
}

# How many connections it has.
sub accepted {
	my ($listener) = @_;
	my @connections;

	while (my $connection = $listener->accept) {
		push @connections, $connection;
	}
	return scalar @connections;
}

# The first host does not answer. There are two connections to the other.
sub pgsql_silent {
	my $db = Database->start('pgsql', small => 1);
	my $silent = listener();

	make_user($db);
	my $d = daemon($db, $db->config(user => 'daemon', password => $secret,
	    host => '127.0.0.1,127.0.0.1', port => $silent->sockport . ",$db->{port}"))->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the next host is used');
	is(($db->sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = " .
	    "'policyd-rate-limit'"))[0][0], 2, 'by two connections');
	is(accepted($silent), 1, 'the host that does not answer is waited for once');
	$d->ends_well;
	$db->stop;
}

sub pgsql {
	my $config = sub { { host => join(',', ('127.0.0.1') x @_), port => join(',', @_),
	    user => 'daemon', database => 'policyd' } };

	all_down('pgsql', $_, $config) for 2, 4;
	subtest 'a host that does not answer' => \&pgsql_silent;
	subtest 'a planned switch' => sub { switch('pgsql') };
}

sub set_read_only {
	my ($db, $on) = @_;

	return $db->sql("SET GLOBAL read_only = $on") if $db->{kind} eq 'mysql';
	my $word = $on ? 'on' : 'off';
	$db->sql($_) for "ALTER SYSTEM SET default_transaction_read_only = $word",
	    'SELECT pg_reload_conf()';
	wait_until { ($db->sql('SHOW default_transaction_read_only'))[0][0] eq $word };
}

# The old primary becomes read-only, and nothing else about it changes.
sub switch {
	my ($kind) = @_;
	my @db = map { Database->start($kind, small => 1) } 1, 2;
	my $set = \&set_read_only;

	make_user($_) for @db;
	my %config = ($db[0]->config(user => 'daemon', $kind eq 'mysql' ? (passwd => $secret,
	    host => join ', ', map { "127.0.0.1:$_->{port}" } @db) : (password => $secret,
	    host => '127.0.0.1,127.0.0.1', port => join ',', map { $_->{port} } @db)),
	    db_timeout => 30);
	delete $config{mysql_config}{port} if $kind eq 'mysql';
	my $d = daemon($db[0], %config)->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is accepted');
	is($db[0]->recorded('bob'), 1, 'the first host has its count');

	$set->($db[0], 1);
	is($d->ask(sasl_username => 'bob'), 'dunno',
	    'the request during the switch is accepted');
	is($db[0]->recorded('bob'), 1, 'the old primary does not count it');
	is($db[1]->recorded('bob'), 1, 'the new primary counts it');
	like($d->log, qr/$kind policyd on 127\.0\.0\.1\S*: .*read.only/,
	    'the log says that the first host is read-only');
	$d->restart;
	is($d->ask(sasl_username => 'bob'), 'dunno',
	    'with a read-only first host at the start a request is accepted');
	is($db[1]->recorded('bob'), 2, 'the next host has its count');

	my $client = $d->connect;
	$client->send(request(sasl_username => 'eve'));
	is($client->answer, 'dunno', 'a request is accepted before the next switch');
	$set->($db[1], 1);
	my $mark = $d->log_mark;
	$client->send(request(sasl_username => 'eve'));
	ok($d->wait_log(qr/$db[0]{port}\b[^;]*read-only; .*$db[1]{port}\b.*read-only/, $mark),
	    'the log says that both hosts are read-only');
	$set->($db[0], 0);
	is($client->answer, 'dunno',
	    'the waiting request is accepted once the first host is writable');
	is($db[0]->recorded('eve'), 1, 'the first host counts it');
	$d->ends_well;
	$_->stop for @db;
}

# The same, and the tables are still to be made, for which there is another connection.
sub mysql_silent {
	my $db = Database->start('mysql', small => 1);
	my $silent = listener();

	make_user($db);
	my %config = $db->config(user => 'daemon', passwd => $secret,
	    host => '127.0.0.1:' . $silent->sockport . ",127.0.0.1:$db->{port}");
	delete $config{mysql_config}{port};
	my $d = daemon($db, %config)->start;
	ok(wait_until { ($d->ask(sasl_username => 'bob') // '') eq 'dunno' },
	    'the next host is used');
	is(accepted($silent), 1, 'the host that does not answer is waited for once');
	$d->ends_well;
	$db->stop;
}

sub mysql {
	my $config = sub { { host => join(',', map { "127.0.0.1:$_" } @_), user => 'daemon',
	    db => 'policyd' } };

	all_down('mysql', $_, $config) for 2, 4;
	subtest 'a host that does not answer' => \&mysql_silent;
	subtest 'a planned switch' => sub { switch('mysql') };
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	Database->needed($kind);
	subtest $kind => sub { { pgsql => \&pgsql, mysql => \&mysql }->{$kind}->() };
}

done_testing();
