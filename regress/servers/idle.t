#!/usr/bin/perl
# A proxy or a firewall closes connections that are idle. The daemon connects again, and the
# log is silent unless that fails.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(wait_until);
use Trouble qw(make_user daemon hang_up);

# The server says for how long it was asked nothing: longer than a quick end takes.
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

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);

		make_user($db);
		# An old libpq warns at each connection of what it cannot refuse.
		my $d = daemon($db, db_timeout => 20, db_insecure_auth => Policyd::True)->start;
		my $name = "ledger-$kind";
		is($d->ask(sasl_username => 'bob'), 'dunno', 'at first');

		ok(wait_idle($db), 'idle');
		my $ledger = $d->child($name);
		my $mark = $d->log_mark;
		hang_up($db);
		ok($d->child($name, $ledger), 'closed: another ledger connects');
		is($d->ask(sasl_username => 'bob'), 'dunno', 'and counts');
		is_deeply([lines($d, $mark)], [], 'the log is silent');

		ok(wait_idle($db), 'idle again');
		$mark = $d->log_mark;
		$db->stop;
		ok($d->wait_log(qr/ parent: $name: .*the database is away/s, $mark),
		    'no server: the log has the reason') or diag($d->log_since($mark));
		$db->launch;
		ok($d->wait_log(qr/the database is back/, $mark), 'and the end of it');
		is($d->ask(sasl_username => 'bob'), 'dunno', 'it counts again');
		is($db->recorded('bob'), 3, 'each request once');
		$d->ends_well;
		$db->stop;
	};
}

done_testing();
