#!/usr/bin/perl
# PostgreSQL with standbys. A synchronous standby that is missing: requests are answered in time,
# log and status name the cause, and no process of the server is left behind. After a failover
# every mail that was answered is in the tables once, but for what an asynchronous standby did
# not get.

use strict;
use warnings;

use Test::More;

use Balancer;
use Database;
use Mails;
use Policyd qw(freeze wait_until request False);

sub daemon {
	my ($db, %more) = @_;

	return Policyd->new(config => { $db->config(%more), db_timeout => 2, debug => False,
	    limits => [[100000, 3600]], db_error_action => 'defer database' });
}

sub names {
	my ($db, $name) = @_;

	$db->sql($_) for "ALTER SYSTEM SET synchronous_standby_names = '$name'",
	    'SELECT pg_reload_conf()';
	wait_until { (($db->sql('SHOW synchronous_standby_names'))[0][0] // '') eq $name };
}

sub waiting {
	my ($db) = @_;

	return ($db->sql('SELECT count(*) FROM pg_stat_activity WHERE ' .
	    "application_name = 'policyd-rate-limit' AND wait_event = 'SyncRep'"))[0][0];
}

sub sessions {
	my ($db) = @_;

	return ($db->sql('SELECT count(*) FROM pg_stat_activity WHERE ' .
	    "application_name = 'policyd-rate-limit'"))[0][0];
}

sub missing {
	my ($db) = @_;
	my $d = daemon($db)->start;
	my $reason = qr/a synchronous standby is missing \(SyncRep\)/;

	is($d->ask(sasl_username => 'bob'), 'dunno', 'all is well');
	names($db, 'nobody');
	is($d->ask(sasl_username => 'bob'), 'defer database', 'missing: db_error_action');
	ok($d->wait_log(qr/ledger: pgsql .*$reason/), 'the log has the cause');
	ok($d->wait_log(qr/parent: ledger-pgsql: $reason/), 'and so has each next try');
	ok(wait_until { my (undef, $out) = $d->run_command("$Policyd::root/build/policyctl",
	    '-s', $d->control, 'status'); $out =~ $reason }, 'policyctl status names it');
	for (1 .. 3) {
		is($d->ask(sasl_username => 'bob'), 'defer database', 'in time');
	}
	ok(wait_until { waiting($db) == 0 && sessions($db) <= 2 }, 'no session is left behind');
	names($db, '');
	ok(wait_until { $d->ask(sasl_username => 'eve') eq 'dunno' }, 'well again');
	$d->ends_well;

	names($db, 'nobody');
	$d = daemon($db);
	$d->launch;
	ok($d->wait_log(qr/parent: ledger-pgsql: $reason/), 'a start names it too');
	is($d->ask(sasl_username => 'bob'), 'defer database', 'and serves');
	names($db, '');
	ok(wait_until { $d->ask(sasl_username => 'eve') eq 'dunno' }, 'well again');
	$d->ends_well;
}

# The second connection ends while nobody asks.
sub second {
	my ($db) = @_;
	my $d = daemon($db);

	$d->write_config({ db_timeout => 20 });
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'all is well');
	my $ledger = $d->child('ledger-pgsql');
	$db->sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ' .
	    "application_name = 'policyd-rate-limit' ORDER BY backend_start DESC LIMIT 1");
	ok($d->child('ledger-pgsql', $ledger), 'the second connection ended: another ledger');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'no request was lost');
	is(sessions($db), 2, 'two connections');
	$d->ends_well;
}

# A standby of the database, which streams from it.
sub standby {
	my ($db) = @_;
	my %config = $db->config;
	my ($port, $user, $password) = @{$config{pgsql_config}}{qw(port user password)};

	s/([\\'])/\\$1/g for $user, $password;
	return Database->start('pgsql', small => 1, init => sub {
		my ($self) = @_;
		$self->run(Database::program('pg_basebackup'), '-D', "$self->{dir}/data",
		    '-R', '-c', 'fast', '-d', "host=127.0.0.1 port=$port user='$user'" .
		    " password='$password' application_name=standby");
	});
}

# The primary is killed and the standby takes over. Options: sync, of the standby; count, of the
# daemons; cold, they have just been started; proxy, between them and the servers.
sub failover {
	my (%option) = @_;
	my $primary = Database->start('pgsql', small => 1);
	my $standby = standby($primary);
	my ($sync, $count) = @option{qw(sync count)};

	ok(wait_until { ($primary->sql("SELECT state FROM pg_stat_replication"))[0][0] eq
	    'streaming' }, 'the standby streams');
	names($primary, 'standby') if $sync;
	# With both servers in one setting the one that takes writes is found.
	my $balancer = $option{proxy} ? Balancer->start([$primary, $standby], 60) : undef;
	my @where = $balancer ? (port => $balancer->{port}) :
	    (host => '127.0.0.1,127.0.0.1', port => "$primary->{port},$standby->{port}");
	my @daemons = map { daemon($primary, @where)->start } 1 .. $count;
	my $mails = Mails->new(\@daemons, 'mail');
	$mails->ask(60) if !$option{cold};
	is_deeply($mails->others, {}, 'all is well');
	# What is recorded from here on does not reach the standby.
	$standby->sql('SELECT pg_wal_replay_pause()'), freeze($standby->{pid}) if !$sync;
	$mails->ask(3) if !$sync;
	is($mails->while_running(sub {
		kill 'KILL', $primary->{pid};
		# Each of the server's processes ends by itself.
		wait_until { !kill 0, $primary->{pid} } 1;
		$standby->signal('CONT'), $standby->sql('SELECT pg_wal_replay_resume()')
		    if !$sync;
		$standby->sql('SELECT pg_promote()');
	}), 0, 'the standby takes over');
	ok($mails->until_accepted, 'mails are accepted again');
	if ($sync) {
		$mails->ok_recorded($standby, $option{name});
	} else {
		$mails->ok_lost_last($standby, $option{name});
	}
	$_->ends_well for @daemons;
	$balancer->stop if $balancer;
	$_->stop for $standby, $primary;
}

sub failovers {
	my @failovers = (map { { sync => $_, count => 3 } } 1, 0);

	unshift @failovers, map { my $count = $_; map { my $sync = $_; map {
	    { sync => $sync, count => $count, cold => $_ } } 0, 1 } 1, 0 } 1, 3, 6
	    if ($ENV{FLEET} // '') eq 'full';
	for (@failovers) {
		my $name = 'failover to ' . ($_->{sync} ? 'a synchronous' : 'an asynchronous') .
		    " standby, $_->{count} daemons" . ($_->{cold} ? ' after their start' : '');
		my %option = (%$_, name => $name);
		subtest $name => sub { failover(%option) };
	}
	subtest 'failover behind a proxy' => sub {
		Balancer->needed;
		failover(sync => 1, count => 3, proxy => 1, name => 'failover behind a proxy');
	};
}

my $db = Database->start('pgsql', small => 1);

subtest 'a synchronous standby is missing' => sub { missing($db) };
subtest 'the second connection ends' => sub { second($db) };
$db->stop;
failovers();

done_testing();
