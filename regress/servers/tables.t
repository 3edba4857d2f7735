#!/usr/bin/perl
# The tables on a server: upgrades of older programs' tables in place, ids as bytes,
# limits from an administrator's own tables, cleaning and reporting.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(wait_until True);

my %count_table = (
	'0.5.1' => 'CREATE TABLE mail_count (id varchar(40) NOT NULL, date bigint NOT NULL)',
	'1.0' => 'CREATE TABLE mail_count (id varchar(40) NOT NULL, date bigint NOT NULL, ' .
	    'recipient_count int DEFAULT 1, instance varchar(40) NOT NULL, ' .
	    'protocol_state varchar(10) NOT NULL)',
	'1.2' => 'CREATE TABLE mail_count (id varchar(40) NOT NULL, date bigint NOT NULL, ' .
	    'recipient_count int DEFAULT 1, instance varchar(40) NOT NULL, ' .
	    'protocol_state varchar(10) NOT NULL)',
);

my %more = (
	'0.5.1' => [],
	'1.0' => ['CREATE TABLE limit_report (id varchar(40) NOT NULL, ' .
	    'delta int NOT NULL, hit int NOT NULL DEFAULT 0)',
	    'INSERT INTO limit_report VALUES (\'bob\', 60, 3), (\'bob\', 60, 4)'],
	'1.2' => ['CREATE INDEX mail_count_index ON mail_count(id, date)',
	    'CREATE TABLE limit_report (id varchar(40) NOT NULL, delta int NOT NULL, ' .
	    'hit int NOT NULL DEFAULT 0)',
	    'CREATE UNIQUE INDEX limit_report_index ON limit_report(id, delta)',
	    'INSERT INTO limit_report VALUES (\'bob\', 60, 7)',
	    'CREATE TABLE rate_limits (id varchar(40) NOT NULL PRIMARY KEY, ' .
	    'limits varchar(255) NOT NULL)'],
);

sub empty_database {
	my ($db, $more) = @_;

	if ($db->{kind} eq 'pgsql') {
		$db->sql('DROP SCHEMA public CASCADE');
		$db->sql('CREATE SCHEMA public');
	} else {
		$db->sql('DROP DATABASE policyd; CREATE DATABASE policyd ' . ($more // ''));
	}
}

sub old_rows {
	my ($version, @ids) = @_;
	my $now = time;

	return 'INSERT INTO mail_count ' . ($version eq '0.5.1' ? '(id, date)' :
	    '(id, date, recipient_count, instance, protocol_state)') . ' VALUES ' .
	    join ', ', map { my $id = $_; map { "('$id', " . ($now - $_ * 100) .
	    ($version eq '0.5.1' ? ')' : ", 1, 'x$_', 'DATA')") } 1 .. 5 } @ids;
}

sub daemon {
	my ($db, %config) = @_;

	return Policyd->start(config => { $db->config, db_timeout => 10,
	    limits => [[10, 3600]], fail_action => 'reject full',
	    db_error_action => 'defer database', report => True,
	    report_limits => [60, 3600], %config });
}

sub room {
	my ($d, $id) = @_;
	my $n = 0;

	$n++ while $n < 50 && ($d->ask(sasl_username => $id) // '') eq 'dunno';
	return $n;
}

sub take_over {
	my ($db, $version, $charset) = @_;
	my $long = 'x' x 200 . '@example.org';

	empty_database($db, $charset);
	$db->sql($count_table{$version});
	$db->sql($_) for @{$more{$version}};
	$db->sql(old_rows($version, 'bob', 'Eve'));
	my $d = daemon($db);
	is(room($d, 'bob'), 5, 'mails recorded by the older program count');
	is($db->recorded('bob'), 10, 'their rows are unchanged');
	is(room($d, 'eve'), 5, 'mails recorded in upper case count');
	is(room($d, $long), 10, 'a long id has a count of its own');
	is($db->recorded($long), 10, 'the long id is recorded completely');
	is(room($d, "y$long"), 10, 'another long id has its own count');
	if ($version ne '0.5.1') {
		my @hits = $db->sql("SELECT sum(hit) FROM limit_report WHERE id = 'bob'" .
		    ' AND delta = 60');
		is($hits[0][0], 7, 'hits that were not reported yet are kept');
	}
	is(($db->sql('SELECT count(*) FROM limit_warning'))[0][0], 0,
	    'no older program has warnings');
	$d->ends_well;
	my $log = $d->log;
	unlike($log, qr/forbidden/, 'no forbidden system call');
	$d = daemon($db);
	is(room($d, 'bob'), 0, 'a second start changes nothing');
	$d->ends_well;
}

# SQL for the bytes of an id as the table stores them.
sub stored {
	my ($db) = @_;

	return map { $_->[0] } $db->sql('SELECT DISTINCT id FROM mail_count');
}

sub odd_ids {
	my ($db) = @_;
	my @ids = ("caf\xc3\xa9", "caf\xc3\x89", 'cafe', "smile\xf0\x9f\x98\x80",
	    'blank', "bad\xff", "bad\xfe", q(o'hara), q(back\\slash), '%s', '$1', '?',
	    'a' x 255, 'a' x 256, 'a' x 254 . 'b' . 'a', 'x' x 2000, "\xc3\xa4" x 127,
	    "tab\there", '{1,2}', 'NULL', '"quoted"');

	empty_database($db);
	my $d = daemon($db, limits => [[2, 3600]]);
	for my $id (@ids) {
		my $shown = substr($id, 0, 20) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
		is(room($d, $id), 2, "$shown has a count of its own");
	}
	is(room($d, 'BLANK'), 0, 'case is folded');
	$d->restart;
	is(room($d, $_), 0, 'after a restart the counts are kept') for @ids;
	$d->stop;
	$d = daemon($db, limits => [[2, 3600]], fold_case => Policyd::False);
	is(room($d, 'cafe'), 0, 'without fold_case a lower-case id keeps its count');
	is(room($d, 'Cafe'), 2, 'without fold_case another case is another id');
	$d->ends_well;
}

sub limits_by_sql {
	my ($db) = @_;
	my @queries = (
		'SELECT limits FROM virtual_users WHERE email = %s',
		'SELECT r.limits FROM virtual_users u JOIN rate_limits r ON ' .
		    'r.id = u.class WHERE u.email = ? AND u.email NOT LIKE \'%?%\'',
		'SELECT limits FROM virtual_users WHERE email = $1;',
	);

	empty_database($db);
	$db->sql('CREATE TABLE virtual_users (email varchar(100), class varchar(20), ' .
	    'limits varchar(100))');
	$db->sql("INSERT INTO virtual_users VALUES ('bob', 'gold', '[[4, 3600]]'), " .
	    "('eve', 'none', 'rubbish'), ('ann', 'free', '[]')");
	for my $query (@queries) {
		my $d = daemon($db, sql_limits_by_id => $query, limits => [[1, 3600]]);
		$db->sql('DELETE FROM mail_count');
		$db->sql('DELETE FROM rate_limits');
		$db->sql("INSERT INTO rate_limits VALUES ('gold', '[[4, 3600]]')");
		is(room($d, 'bob'), 4, $query);
		is(room($d, 'joe'), 1, 'no row: limits');
		is(room($d, 'eve'), 1, 'an invalid value, or no row: limits');
		my ($table, $name, $id) = $query =~ /rate_limits/ ?
		    qw(rate_limits id gold) : qw(virtual_users email bob);
		$db->sql("UPDATE $table SET limits = '[[6, 3600]]' WHERE $name = '$id'");
		my $more = 0;
		ok(wait_until { $more += room($d, 'bob'); $more == 2 },
		    'changed limits apply soon');
		$db->sql("UPDATE $table SET limits = '[[4, 3600]]' WHERE $name = '$id'");
		is(room($d, 'ann'), 50, 'an empty list is no limit') if $query =~ /%s/;
		$d->ends_well;
	}
	my $d = daemon($db, sql_limits_by_id => 'SELECT limits FROM nowhere WHERE id = %s',
	    limits => [[1, 3600]]);
	is(room($d, 'sue'), 1, 'a query that does not work: limits');
	ok($d->wait_log(qr/sql_limits_by_id: .*nowhere/), 'the log names the reason');
	$d->ends_well;
}

sub clean {
	my ($db) = @_;

	my $now = time;

	empty_database($db);
	my $d = daemon($db);
	# Twice the longest window is kept, which is an hour.
	for my $ago (1, 6000, 8000, 90000) {
		$db->sql('INSERT INTO mail_count (id, date, recipient_count, instance, ' .
		    'protocol_state) VALUES ' . join ', ', map { "('u$_', " .
		    "@{[$now - $ago]}, 1, 'i$_', 'DATA')" } 1 .. 3000);
	}
	is(room($d, 'u7'), 9, 'a row that is in the window counts');
	my ($status, $out) = $d->run('--clean');
	is($status, 0, '--clean');
	is($out, "6000 records deleted\n", 'deletes what no window needs');
	is(($db->sql('SELECT count(*) FROM mail_count'))[0][0], 6009,
	    'all newer rows are kept');
	is(room($d, 'u7'), 0, 'counts are unchanged');
	$d->ends_well;
}

# Ours need transactions, and keys as long as an id, whatever the server's defaults are.
sub engines {
	my ($db) = @_;

	take_over($db, $_, 'CHARACTER SET utf8mb4') for '0.5.1', '1.2';
	my @other = $db->sql("SELECT table_name FROM information_schema.tables WHERE " .
	    "table_schema = 'policyd' AND engine <> 'InnoDB' AND table_name <> 'rate_limits'");
	is(join(' ', map { $_->[0] } @other), '', 'all our tables use InnoDB');
	$db->sql('SET GLOBAL innodb_force_primary_key = ON');
	odd_ids($db);
	$db->sql('SET GLOBAL innodb_force_primary_key = OFF');
}

# The tables of our first versions did not count batches.
sub without_batch {
	my ($db) = @_;

	empty_database($db);
	my $d = daemon($db);
	is(room($d, 'full'), 10, 'at first');
	is($d->ask(sasl_username => 'bob', recipient_count => 4), 'dunno',
	    'another login is accepted');
	$d->ends_well;
	$db->sql('ALTER TABLE mail_count DROP INDEX mail_count_news, DROP COLUMN batch,' .
	    ' ADD INDEX mail_count_news (own, id, seq)');
	$db->sql("ALTER TABLE $_ DROP COLUMN batch") for qw(mail_lock mail_sums);
	$db->sql('INSERT INTO mail_count (id, date, recipient_count) VALUES ' .
	    "('Bob', @{[time]}, 3)");
	my @daemons = map { daemon($db) } 1, 2;
	is(room($_, 'full'), 0, 'after the upgrade: what was counted counts') for @daemons;
	my $n = 0;
	$n++ while $n < 50 && $daemons[$n % 2]->ask(sasl_username => 'bob') eq 'dunno';
	is($n, 3, 'with what others inserted and what each daemon records');
	$_->ends_well for @daemons;

	$db->sql('DELETE FROM mail_lock WHERE slot % 2 = 1');
	$d = daemon($db);
	is(room($d, 'full'), 0, 'deleted lock rows are created again');
	is(room($d, 'new'), 10, 'and hold');
	$d->ends_well;
}

# Whatever the rules of the database's language: comparing by them is slow.
sub by_bytes {
	my ($db) = @_;

	empty_database($db);
	daemon($db)->ends_well;
	is(($db->sql("SELECT collation_name FROM information_schema.columns WHERE " .
	    "table_name = 'mail_count' AND column_name = 'id'"))[0][0],
	    $db->{kind} eq 'pgsql' ? 'C' : 'utf8mb4_bin', 'a new table compares ids by bytes');
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);

		subtest 'a new table' => sub { by_bytes($db) };
		for my $version (qw(0.5.1 1.0 1.2)) {
			for my $charset ($kind eq 'mysql' ? ('CHARACTER SET utf8',
			    'CHARACTER SET utf8mb4', 'CHARACTER SET latin1') : ('')) {
				subtest "$version $charset" =>
				    sub { take_over($db, $version, $charset) };
			}
		}
		subtest 'id-longer-than-40' => sub { odd_ids($db) };
		if ($kind eq 'mysql') {
			subtest 'no batches' => sub { without_batch($db) };
			$db->sql("SET GLOBAL sql_mode = ''");
			subtest 'not strict' => sub {
				odd_ids($db);
				take_over($db, '1.2', 'CHARACTER SET utf8mb4');
			};
			$db->sql("SET GLOBAL sql_mode = 'STRICT_ALL_TABLES,ANSI," .
			    "NO_BACKSLASH_ESCAPES'");
			subtest 'strict and odd' => sub { odd_ids($db) };
			$db->sql('SET GLOBAL default_storage_engine = MyISAM, ' .
			    "innodb_default_row_format = 'compact'");
			subtest 'another engine is the default' => sub { engines($db) };
		}
		subtest 'sql-limits' => sub { limits_by_sql($db) };
		subtest 'clean' => sub { clean($db) };
		$db->stop;
	};
}

done_testing();
