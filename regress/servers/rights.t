#!/usr/bin/perl
# A database user with few rights, and upgrades of tables that other programs use: missing
# rights are logged, and everything else works.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl);
use Database;
use Policyd qw(wait_until);

my $five = 'CREATE TABLE mail_count (id varchar(40) NOT NULL, date bigint NOT NULL, ' .
    'recipient_count int DEFAULT 1, instance varchar(40) NOT NULL, ' .
    'protocol_state varchar(10) NOT NULL)';

sub daemon {
	my ($db, @user) = @_;

	return Policyd->start(config => { $db->config(@user), db_timeout => 10,
	    limits => [[10, 3600]], fail_action => 'reject full',
	    db_error_action => 'defer database' });
}

# Rows as 1.1 and 1.2 insert them, by position.
sub rows {
	my ($id, $rows) = @_;

	return 'INSERT INTO mail_count VALUES ' . join ', ',
	    ("('$id', @{[time]}, 1, 'x', 'RCPT')") x $rows;
}

# A user with these rights alone, as settings.
sub user {
	my ($db, $name, @rights) = @_;
	my $pgsql = $db->{kind} eq 'pgsql';

	$db->sql($pgsql ? "CREATE ROLE $name LOGIN PASSWORD '$name'" :
	    "CREATE USER $name\@'127.0.0.1' IDENTIFIED BY '$name'");
	$db->sql("GRANT $_ TO $name" . ($pgsql ? '' : "\@'127.0.0.1'")) for @rights;
	return (user => $name, ($pgsql ? 'password' : 'passwd') => $name);
}

sub no_create {
	my ($db) = @_;
	my $pgsql = $db->{kind} eq 'pgsql';
	my @user = user($db, 'poor', $pgsql ? () : 'SELECT, INSERT, UPDATE, DELETE ON policyd.*');
	my $d = daemon($db, @user);

	is($d->ask(sasl_username => 'bob'), 'defer database',
	    'without tables requests get db_error_action');
	ok($d->wait_log($pgsql ? qr/permission denied for schema/ :
	    qr/CREATE command denied/), 'the log says what is denied');
	my $owner = daemon($db);
	is($owner->ask(sasl_username => 'bob'), 'dunno',
	    'a user with more rights creates the tables');
	$owner->stop;
	# As policyd-rate-limit(8) has it.
	$db->sql("GRANT $_ IN SCHEMA public TO poor") for $pgsql ? ('SELECT, INSERT, UPDATE, DELETE' .
	    ' ON ALL TABLES', 'USAGE, SELECT, UPDATE ON ALL SEQUENCES') : ();
	ok(wait_until(sub { ($d->ask(sasl_username => 'bob') // '') eq 'dunno' }),
	    'then requests are accepted without a restart');
	$d->stop;
	$d = daemon($db, @user);
	is($d->ask(sasl_username => 'bob', recipient_count => 8), 'dunno',
	    'a start needs no further right');
	is($d->ask(sasl_username => 'bob'), 'reject full', 'earlier mails count');
	$db->sql("DELETE FROM mail_count WHERE id = 'bob'");
	is($d->ask(sasl_username => 'bob'), 'dunno',
	    'rows deleted by other programs no longer count');
	is((ctl($d, @$_))[0], 0, "policyctl @$_") for ['block', 'eve', '1h'], ['grant', 'bob', 5, '1h'],
	    ['reset', 'bob'], ['unblock', 'eve'], ['clean'];
	unlike($d->log, qr/denied/, 'the log has no denied statement');
	$d->ends_well;
}

# Only MySQL has a separate right for triggers: elsewhere the table's owner has it.
sub no_trigger {
	my ($db) = @_;
	my @user = user($db, 'blind', 'SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ' .
	    'ON policyd.*');

	$db->sql('DROP DATABASE policyd; CREATE DATABASE policyd');
	my $d = daemon($db, @user);
	is($d->ask(sasl_username => 'bob'), 'dunno', 'mail is counted');
	ok($d->wait_log(qr/no triggers can be created, what others delete or change counts ten/),
	    'the missing right is logged');
	$db->sql(rows('bob', 9));
	is($d->ask(sasl_username => 'bob'), 'reject full', 'rows of others count at once');
	$db->sql("DELETE FROM mail_count WHERE instance = 'x'");
	ok(wait_until(sub { $d->ask(sasl_username => 'bob') eq 'dunno' }),
	    'rows deleted by other programs stop counting soon');
	is($db->recorded('bob'), 2, 'the recorded mails are exact');
	$d->ends_well;
}

# One rewrite of a large table, not one for each column.
sub one_step {
	my ($db) = @_;

	$db->sql('DROP DATABASE policyd; CREATE DATABASE policyd CHARACTER SET latin1');
	$db->sql($five);
	$db->sql(rows('bob', 9));
	my $d = daemon($db);
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a daemon starts with the tables of 1.2');
	is($d->ask(sasl_username => 'bob'), 'reject full', 'the counts of 1.2 count');
	my @alter = $d->log =~ /: (ALTER TABLE mail_count .*)/g;
	is(scalar(@alter), 2, 'the columns come in one step, then the default of one');
	like($alter[1], qr/ALTER COLUMN own SET DEFAULT 0$/,
	    'the second step does not rewrite the table');
	unlike($d->log, qr/cannot hide/, 'the new columns are hidden');
	$db->sql(rows('eve', 10));
	is($d->ask(sasl_username => 'eve'), 'reject full', 'five values go in by position');
	$d->ends_well;
}

# Tables of an older version, which this user may not alter: each next ledger tries again, but
# only the first one logs it.
sub no_alter {
	my ($db) = @_;
	my $pgsql = $db->{kind} eq 'pgsql';

	$db->sql($_) for $pgsql ? ('DROP SCHEMA public CASCADE', 'CREATE SCHEMA public',
	    'GRANT USAGE, CREATE ON SCHEMA public TO poor') :
	    'DROP DATABASE policyd; CREATE DATABASE policyd';
	$db->sql($five);
	$db->sql('GRANT SELECT, INSERT, UPDATE, DELETE ON mail_count TO poor') if $pgsql;
	my $d = daemon($db, user => 'poor', ($pgsql ? 'password' : 'passwd') => 'poor');
	ok(wait_until { (() = $d->log =~ /ledger-\w+ \(process \d+\) (?:ended|is gone)/g) > 3 },
	    'ledgers look for the database');
	my %times;
	$times{$_}++ for $d->log =~ /preparing the tables: (.*)/g;
	cmp_ok(scalar keys %times, '>', 0, 'what must be altered is logged');
	is_deeply([grep { $times{$_} > 1 } keys %times], [], 'once');
	like($d->log, qr/(?:must be owner of table|ALTER command denied)/, 'and why it fails');
	$d->ends_well;
}

# A view, or a table that cannot get our columns, is a fatal error.
sub unusable {
	my ($db) = @_;
	my $pgsql = $db->{kind} eq 'pgsql';
	my %made = (
		'a view' => ['CREATE TABLE other (id varchar(40), date bigint)',
		    'CREATE VIEW mail_count AS SELECT * FROM other'],
		'a table with parts' => ["$five PARTITION BY RANGE (date)" . ($pgsql ? '' :
		    ' (PARTITION p0 VALUES LESS THAN MAXVALUE)')],
		$pgsql ? ('a table with children' => [$five,
		    'CREATE TABLE old () INHERITS (mail_count)'],
		    'a table with a view' => [$five, 'CREATE VIEW v AS SELECT * FROM mail_count']) :
		    ('a table with a foreign key' => ['CREATE TABLE users (id varchar(40) PRIMARY KEY)' .
		    ' ENGINE=InnoDB', $five =~ s/\)\z/, FOREIGN KEY (id) REFERENCES users (id)) ENGINE=InnoDB/r]),
	);

	for my $what (sort keys %made) {
		$db->sql($_) for $pgsql ? ('DROP SCHEMA public CASCADE', 'CREATE SCHEMA public') :
		    'DROP DATABASE policyd; CREATE DATABASE policyd';
		$db->sql($_) for @{$made{$what}};
		my $d = Policyd->new(config => { $db->config });
		my ($status, $out, $err) = $d->run;
		is($status, 6, "$what: the start fails");
		my $words = 'TABLE|PARTITION|UNIQUE|VIEW|FOREIGN KEY';
		like($err . $d->log, qr/the tables cannot be used as they are: .*(?:$words)/i,
		    'the reason is logged');
	}
}

# A server that reports an older version.
sub visible {
	my ($version) = @_;
	my $db = Database->start('mysql', args => ["--version=$version"]);

	$db->sql($five);
	$db->sql(rows('bob', 9));
	my $d = daemon($db);
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a daemon starts with the tables of 1.2');
	is($d->ask(sasl_username => 'bob'), 'reject full', 'the counts of 1.2 count');
	ok($d->wait_log(qr/cannot hide columns .*versions 1\.1 and 1\.2 cannot write/),
	    'the log warns of programs of 1.1 and 1.2');
	ok(!eval { $db->sql(rows('eve', 1)); 1 }, 'which are refused');
	$db->sql('INSERT INTO mail_count (id, date, recipient_count, instance, protocol_state) ' .
	    "VALUES ('eve', @{[time]}, 10, 'x', 'RCPT')");
	is($d->ask(sasl_username => 'eve'), 'reject full', 'rows with names of columns count');
	$d->restart;
	is(scalar(() = $d->log =~ /cannot hide/g), 1, 'there is one warning, at the first start');
	$d->ends_well;
	$db->stop;
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);

		subtest 'without the right to create' => sub { no_create($db) };
		if ($kind eq 'mysql') {
			subtest 'without triggers' => sub { no_trigger($db) };
			subtest 'one step' => sub { one_step($db) };
		}
		subtest 'without the right to alter' => sub { no_alter($db) };
		subtest 'no table for us' => sub { unusable($db) };
		$db->stop;
		return if $kind ne 'mysql';
		subtest "as $_" => sub { visible($_) } for qw(10.2.44-MariaDB 8.0.22);
	};
}

done_testing();
