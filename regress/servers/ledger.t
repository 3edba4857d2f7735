#!/usr/bin/perl
# The ledger's own tests, the same that SQLite passes, against real servers. Each line of
# theirs is one here.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw($root need);

my @suite = qw(charges habits hits ids limits model);

sub run_suite {
	my ($db, $name) = @_;
	my $program = "$root/regress/ledger/$name.$db->{kind}";
	my %config = $db->config;
	my $of = $config{"$db->{kind}_config"};
	my $tests = 0;
	my @said;

	need(-x $program, "$name.$db->{kind} is not built");
	local @ENV{qw(RIG_PORT RIG_USER RIG_PASSWORD CMOCKA_MESSAGE_OUTPUT)} =
	    ($of->{port}, $of->{user}, $of->{password} // $of->{passwd}, 'TAP');
	open my $out, '-|', "exec $program 2>&1" or die "$program: $!";
	while (my $line = <$out>) {
		push @said, $line;
		my ($not, $test) = $line =~ /^(not )?ok \d+ - (\w+)/ or next;
		$tests++;
		ok(!$not, "$name: $test") or diag(splice @said);
		@said = ();
	}
	close $out;
	is($?, 0, "$name ends well") or diag(@said);
	cmp_ok($tests, '>', 0, "$name has tests");
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);

		# What is asked here is not whether it outlives a loss of power.
		$db->sql($kind eq 'pgsql' ? 'ALTER SYSTEM SET synchronous_commit = off' :
		    'SET GLOBAL innodb_flush_log_at_trx_commit = 0');
		$db->sql('SELECT pg_reload_conf()') if $kind eq 'pgsql';
		run_suite($db, $_) for @suite;
		$db->stop;
	};
}

done_testing();
