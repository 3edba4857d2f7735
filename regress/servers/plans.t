#!/usr/bin/perl
# The limits by plan and hour of policyd-rate-limit(8), word for word, on each database.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(need have_command slurp $root);

my ($part) = slurp("$root/man/policyd-rate-limit.8") =~
    /^\.Ss Limits by plan and hour\n(.*?)^\.S[hs] /ms;
my ($tables, $setting) = map { s/\\e/\\/gr } $part =~
    /^\.Bd -literal -offset indent\n(.*?)^\.Ed$/msg;
my @hours = $part =~ /^\.Ql (\w+\(.*\))$/mg;
ok($tables && $setting && @hours == 2, 'the manual has tables, a query and two other hours');
my %hour = (pgsql => $hours[0], mysql => $hours[1]);

sub plans {
	my ($kind, $db) = @_;
	my $query = $setting;

	$query =~ s/CAST\(strftime\(.*?\) AS int\)/$hour{$kind}/g if $db;
	$query =~ s/\A\s*sql_limits_by_id = """(.*)"""\s*\z/$1/s or fail('the setting');
	my $d = Policyd->start(config => { limits => [[1, 60]], fail_action => 'reject {limit}',
	    sql_limits_by_id => $query, $db ? $db->config : () });
	my $sql = sub { ($db // $d)->sql($_[0]) };
	$sql->($_) for grep { /\S/ } split /;\n/, $tables;
	$sql->("INSERT INTO customers VALUES ('s', 'small'), ('n', 'now'), ('e', 'ever')");
	# A plan of this hour, also where the next one begins meanwhile.
	my ($hour) = map { $_->[0] } $sql->('SELECT ' . ($db ? "CAST($hour{$kind} AS " .
	    ($kind eq 'mysql' ? 'char' : 'int') . ')' :
	    "CAST(strftime('%H', 'now', 'localtime') AS int)"));
	my $next = $hour + 2;
	$sql->("INSERT INTO plans VALUES ('now', $hour, $next, '[[4, 3600]]'), " .
	    "('now', 0, $hour, '[[2, 3600]]'), ('ever', 25, 26, '[[9, 3600]]')");
	is($d->ask(sasl_username => 's', recipient_count => 20), 'dunno',
	    'a mail within the all-day plan is accepted');
	is($d->ask(sasl_username => 's'), 'reject 20', 'has its limit');
	is($d->ask(sasl_username => 'n', recipient_count => 4), 'dunno',
	    "a mail within this hour's plan is accepted");
	is($d->ask(sasl_username => 'n'), 'reject 4', 'has its limit');
	is($d->ask(sasl_username => 'e', recipient_count => 2), 'reject 1',
	    'a plan of another hour has the limit of the configuration');
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		need(have_command('sqlite3'), 'no sqlite3') if $kind eq 'sqlite';
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind);
		plans($kind, $db);
		$db->stop if $db;
	};
}

# As the configuration file has it.
subtest 'syntax' => sub {
	my $d = Policyd->new(config => $setting);
	my ($status, undef, $err) = $d->run('-n');
	is($status, 0, 'the setting is accepted') or diag($err);
};

done_testing();
