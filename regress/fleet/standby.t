#!/usr/bin/perl
# PostgreSQL with standbys. A synchronous standby that is missing: requests are answered in time,
# log and status name the cause, and no process of the server is left behind.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(wait_until request False);

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
	my $d = daemon($db)->start;

	is($d->ask(sasl_username => 'bob'), 'dunno', 'all is well');
	my $ledger = $d->child('ledger-pgsql');
	$db->sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ' .
	    "application_name = 'policyd-rate-limit' ORDER BY backend_start DESC LIMIT 1");
	ok($d->child('ledger-pgsql', $ledger), 'the second connection ended: another ledger');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'no request was lost');
	is(sessions($db), 2, 'two connections');
	$d->ends_well;
}

my $db = Database->start('pgsql', small => 1);

subtest 'a synchronous standby is missing' => sub { missing($db) };
subtest 'the second connection ends' => sub { second($db) };
$db->stop;

done_testing();
