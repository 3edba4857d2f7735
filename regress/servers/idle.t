#!/usr/bin/perl
# A proxy or firewall closes idle connections. The daemon reconnects, and logs only a
# failed reconnection.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl);
use Database;
use Policyd qw(wait_until);
use Trouble qw(make_user daemon hang_up);

# The daemon's connections that were used in the last seven seconds. To the ledger a connection
# that ends after five seconds without use was idle.
my %busy = (pgsql => 'SELECT count(*) FROM pg_stat_activity WHERE application_name = ' .
    "'policyd-rate-limit' AND clock_timestamp() - state_change < interval '7 seconds'",
    mysql => 'SELECT count(*) FROM information_schema.processlist WHERE ' .
    "user = 'daemon' AND time < 7");

sub wait_idle {
	my ($db) = @_;

	return wait_until { ($db->sql($busy{$db->{kind}}))[0][0] == 0 };
}

sub lines {
	my ($d, $mark) = @_;

	return grep { !/idle connection/ } Trouble::lines($d, $mark);
}

# Requests that come one by one leave PostgreSQL's second connection unused.
sub second {
	my ($db) = @_;
	my $d = daemon($db, db_timeout => 20, limits => [[100000, 3600]],
	    db_insecure_auth => Policyd::True)->start;
	my $newest = "FROM pg_stat_activity WHERE application_name = 'policyd-rate-limit' " .
	    'ORDER BY backend_start DESC LIMIT 1';
	my $idle = "SELECT clock_timestamp() - state_change > interval '7 seconds' $newest";

	ok(wait_until { $d->ask(sasl_username => 'bob') eq 'dunno' or die;
	    ($db->sql($idle))[0][0] eq 't' }, 'the second connection is idle, the first is not');
	my $ledger = $d->child('ledger-pgsql');
	my $mark = $d->log_mark;
	$db->sql("SELECT pg_terminate_backend(pid) $newest");
	ok($d->child('ledger-pgsql', $ledger), 'after it is closed a new ledger connects');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the new ledger counts');
	is_deeply([lines($d, $mark)], [], 'nothing is logged');
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);

		make_user($db);
		# An old libpq causes a warning at each connection.
		my $d = daemon($db, db_timeout => 20, db_insecure_auth => Policyd::True)->start;
		my $name = "ledger-$kind";
		is($d->ask(sasl_username => 'bob'), 'dunno', 'the first request is accepted');

		ok(wait_idle($db), 'the connection is idle');
		my $ledger = $d->child($name);
		my $mark = $d->log_mark;
		is((ctl($d, 'status'))[0], 0, 'policyctl status, for which no database is needed');
		hang_up($db);
		ok($d->child($name, $ledger),
		    'after the connection is closed a new ledger connects');
		is($d->ask(sasl_username => 'bob'), 'dunno', 'the new ledger counts');
		is_deeply([lines($d, $mark)], [], 'nothing is logged');

		ok(wait_idle($db), 'the connection is idle again');
		$mark = $d->log_mark;
		$db->stop;
		ok($d->wait_log(qr/ parent: $name: .*the database is away/s, $mark),
		    'no server: the log has the reason') or diag($d->log_since($mark));
		$db->launch;
		ok($d->wait_log(qr/the database is back/, $mark),
		    'the log says that the database is back');
		is($d->ask(sasl_username => 'bob'), 'dunno', 'requests are accepted again');
		is($db->recorded('bob'), 3, 'each request is counted once');
		$d->ends_well;
		subtest 'the second connection' => sub { second($db) } if $kind eq 'pgsql';
		$db->stop;
	};
}

done_testing();
