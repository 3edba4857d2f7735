#!/usr/bin/perl
# Rows that other programs write to a server's tables count for every request after their
# commit, whenever they commit and whatever statements they use.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(freeze wait_until True False spew);

sub daemon {
	my ($db, %config) = @_;

	return Policyd->start(config => { $db->config, db_timeout => 10,
	    limits => [[10, 3600]], fail_action => 'reject full',
	    db_error_action => 'defer database', %config });
}

# Rows as 1.1 and 1.2 insert them, by position.
sub rows {
	my ($id, $rows, %of) = @_;
	my $date = $of{date} // time;

	return 'INSERT INTO mail_count VALUES ' . join ', ',
	    ("('$id', $date, @{[$of{count} // 1]}, '@{[$of{instance} // 'x']}', 'RCPT')") x $rows;
}

# Returns the number of further mails of an id that are accepted.
sub room {
	my ($d, $id) = @_;
	my $n = 0;

	$n++ while $n < 50 && ($d->ask(sasl_username => $id) // '') eq 'dunno';
	return $n;
}

sub long_transactions {
	my ($db, @daemons) = @_;
	my ($d, $other) = @daemons;

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a mail of bob is accepted');
	my $end = $db->holding(rows('bob', 8));
	is($other->ask(sasl_username => 'bob'), 'dunno', 'uncommitted rows do not count');
	$end->('COMMIT');
	is($d->ask(sasl_username => 'bob'), 'reject full',
	    'committed rows count from the next request on');
	is($other->ask(sasl_username => 'bob'), 'reject full',
	    'they count for another daemon too');
	is($db->recorded('bob'), 10, 'the refused mails are not recorded');

	my @end = map { $db->holding(rows('eve', 1)) } 1 .. 5;
	is($d->ask(sasl_username => 'eve'), 'dunno',
	    'a mail is accepted while several transactions are open');
	for my $n (3, 0, 4, 1, 2) {
		$end[$n]->('COMMIT');
		is($_->ask(sasl_username => 'eve', recipient_count => 10 -
		    $db->recorded('eve') + 1), 'reject full',
		    'transactions count after their commit in any order') for @daemons;
	}
	is(room($d, 'eve'), 4, 'the rows of all transactions count once');

	$end = $db->holding(rows('ann', 3) . '; SAVEPOINT s; ' . rows('ann', 4) .
	    '; ROLLBACK TO SAVEPOINT s; ' . rows('ann', 2));
	is($d->ask(sasl_username => 'ann'), 'dunno',
	    'a mail is accepted while a transaction with savepoints is open');
	$end->('COMMIT');
	is(room($d, 'ann'), 4, 'rows rolled back to a savepoint do not count, the others do');
	$end = $db->holding(rows('sue', 9));
	is(room($d, 'sue'), 10, 'rows before a rollback do not count');
	$end->('ROLLBACK');
	is(room($other, 'sue'), 0, 'they do not count after the rollback');
}

sub changes {
	my ($db, @daemons) = @_;
	my ($d, $other) = @daemons;

	is(room($d, 'joe'), 10, 'joe reaches the limit');
	# Without its index MariaDB may read all rows of a small table, and locks them.
	my ($of, $index) = $db->{kind} eq 'mysql' ?
	    ('mail_count ', ' FORCE INDEX (mail_count_index)') : ('', '');
	my $delete = $db->holding("DELETE ${of}FROM mail_count$index WHERE id = 'joe'");
	my $update = $db->holding("UPDATE mail_count$index SET recipient_count = 5 " .
	    "WHERE id = 'bob' AND recipient_count = 1 AND instance = 'x'");
	is($_->ask(sasl_username => 'joe'), 'reject full',
	    'uncommitted changes do not count') for @daemons;
	$update->('COMMIT');
	is($other->ask(sasl_username => 'bob'), 'reject full', 'a committed UPDATE counts');
	$delete->('COMMIT');
	is($other->ask(sasl_username => 'joe', recipient_count => 4), 'dunno',
	    'DELETE and UPDATE of several transactions, in any order');
	$update = $db->holding("UPDATE mail_count SET id = 'jim' WHERE id = 'joe'");
	is(room($d, 'jim'), 10, 'the other id has no mails before the commit');
	$update->('COMMIT');
	is(room($d, 'joe'), 10, 'an UPDATE of the id: the old id has no mails');
	is($other->ask(sasl_username => 'jim'), 'reject full',
	    'an UPDATE of the id: the new id reaches the limit');
	$db->sql("UPDATE mail_count SET date = date - 7200 WHERE id = 'jim'");
	is(room($other, 'jim'), 10, 'an UPDATE of the date moves rows out of the window');
	$db->sql('TRUNCATE mail_count');
	is(room($_, 'bob'), $_ == $d ? 10 : 0, 'after TRUNCATE the id has room again') for @daemons;
}

sub loads {
	my ($db, @daemons) = @_;
	my ($d, $other) = @daemons;
	my $file = $db->keep('rows', join '', map { join("\t", 'load', time, 1, "i$_", 'RCPT') .
	    "\n" } 1 .. 9);

	is($_->ask(sasl_username => 'load'), 'dunno', 'a mail is accepted') for $d;
	$db->sql($db->{kind} eq 'pgsql' ? "COPY mail_count (id, date, recipient_count, " .
	    "instance, protocol_state) FROM '$file'" :
	    "LOAD DATA INFILE '$file' INTO TABLE mail_count");
	is($_->ask(sasl_username => 'load'), 'reject full',
	    'rows loaded from a file count') for @daemons;
	is($d->ask(sasl_username => 'copy'), 'dunno', 'a mail is accepted');
	$db->sql('INSERT INTO mail_count (id, date, recipient_count, instance, ' .
	    "protocol_state) SELECT 'copy', date, recipient_count, instance, protocol_state " .
	    "FROM mail_count WHERE id = 'load' AND instance <> 'i9' LIMIT 9");
	is($_->ask(sasl_username => 'copy'), 'reject full',
	    'rows of INSERT SELECT count at once') for @daemons;
	# Many rows of many ids.
	$db->sql('INSERT INTO mail_count (id, date, recipient_count, instance, protocol_state)' .
	    ($db->{kind} eq 'pgsql' ?
	    " SELECT 'u' || i % 3000, @{[time]}, 1, 'x', 'x' FROM generate_series(1, 30000) i" :
	    " SELECT concat('u', seq % 3000), @{[time]}, 1, 'x', 'x' FROM seq_1_to_30000"));
	is($d->ask(sasl_username => "u$_"), 'reject full',
	    'rows of many ids count') for 0, 1500, 2999;
	ok(wait_until(sub { $db->foreign == 0 }), 'the rows of other programs are attributed');
	is($other->ask(sasl_username => "u$_"), 'reject full',
	    'the attributed rows count') for 1, 1500, 2998;
}

sub restarts {
	my ($db, $d, $other) = @_;

	is($d->ask(sasl_username => 'res'), 'dunno', 'a mail is accepted');
	my $end = $db->holding(rows('res', 9));
	$other->ask(sasl_username => 'res2');
	$d->stop;
	$end->('COMMIT');
	$d->start;
	is($_->ask(sasl_username => 'res'), 'reject full',
	    'a transaction committed during a restart counts') for $d, $other;
	$db->sql(rows('idle', 9));
	$d->restart;
	$db->sql(rows('idle', 1));
	is($_->ask(sasl_username => 'idle'), 'reject full',
	    'rows written before and after a restart count') for $d, $other;
}

sub cases {
	my ($db, $d, $other) = @_;

	$db->sql(rows('Bob@Example.org', 5));
	is($d->ask(sasl_username => 'bob@example.org', recipient_count => 6), 'reject full',
	    'rows in upper case count for the id in lower case');
	is(room($other, 'BOB@example.org'), 5, 'they count for the other daemon too');
	$db->sql(rows('bOB@example.org', 2));
	is($_->ask(sasl_username => 'bob@example.org'), 'reject full', 'rows that are inserted later count too')
	    for $d, $other;
}

# Rows locked by another transaction count too.
sub locked {
	my ($db, $d, $other) = @_;
	my $end;

	is($d->ask(sasl_username => 'lock'), 'dunno', 'a mail is accepted');
	freeze($d->{pid}); freeze($other->{pid});
	$db->sql(rows('lock', 9));
	$end = $db->holding("SELECT 1 FROM mail_count WHERE id = 'lock' FOR UPDATE");
	$d->signal('CONT'); $other->signal('CONT');
	is($_->ask(sasl_username => 'lock'), 'reject full',
	    'locked rows count') for $d, $other, $d;
	is($d->ask(sasl_username => 'free'), 'dunno',
	    'an id without locked rows is decided');
	$end->();
	is($_->ask(sasl_username => 'lock'), 'reject full',
	    'the rows count after the lock is released') for $d, $other, $d;
	ok(wait_until(sub { $d->ask(sasl_username => 'lock2'); $db->foreign == 0 }),
	    'the rows of other programs are attributed');
	is($_->ask(sasl_username => 'lock'), 'reject full',
	    'the attributed rows count') for $d, $other, $d;
	is($db->recorded('lock'), 10, 'ten mails are recorded');
}

# An instance charged by another program is recognised by id and instance.
sub instances {
	my ($db, $d, $other) = @_;

	$db->sql(rows('ins', 3, instance => 'i.1'));
	is($d->ask(sasl_username => 'ins', instance => 'i.1', recipient_count => 3), 'dunno',
	    'DATA of an instance in an inserted row is accepted');
	is($db->recorded('ins'), 3,
	    'a charge of another program to the instance is not repeated');
	is($other->ask(sasl_username => 'ins', instance => 'i.1', recipient_count => 5), 'dunno',
	    'the same instance with more recipients is accepted');
	is($db->recorded('ins'), 5, 'only the new recipients are charged');
}

# --- row numbers ---

sub numbers {
	my ($db, $d, $other) = @_;

	is($_->ask(sasl_username => 'num'), 'dunno', 'a mail is accepted') for $d, $other;
	$db->sql($db->{kind} eq 'pgsql' ? "SELECT setval('mail_count_seq_seq', 1)" :
	    'ALTER TABLE mail_count AUTO_INCREMENT = 1');
	is((grep { $_ eq 'dunno' } map { $_->ask(sasl_username => 'num') } ($d, $other) x 10), 8,
	    'the limit is exact after the numbers start again');
	is($db->recorded('num'), 10, 'ten mails are recorded');
	return if $db->{kind} ne 'pgsql';
	is($_->ask(sasl_username => 'down'), 'dunno', 'a mail is accepted') for $d, $other;
	$_->stop for $d, $other;
	$db->sql("SELECT setval('mail_count_seq_seq', 1)");
	$_->start for $d, $other;
	is((grep { $_ eq 'dunno' } map { $_->ask(sasl_username => 'down') } ($d, $other) x 10), 8,
	    'the limit is exact if the numbers restart while no daemon runs');
	is($db->recorded('down'), 10, 'ten mails are recorded');
}

# The tables of 1.2 have 32-bit amounts; with and without the right to alter them.
sub amounts {
	my ($db) = @_;
	my $rules = [{ name => 'b', key => 'sasl_username', count => 'bytes',
	    limits => [[4_000_000_000, 3600]] }];
	my @mail = (sasl_username => 'big', size => 3_000_000_000);
	my $size = sub { ($db->sql('SELECT ' . ($db->{kind} eq 'pgsql' ?
	    "attlen FROM pg_attribute WHERE attrelid = 'mail_count'::regclass AND attname" :
	    "numeric_precision FROM information_schema.columns WHERE table_name = " .
	    "'mail_count' AND column_name") . " = 'recipient_count'"))[0][0] };

	$db->sql('DROP TABLE mail_count');
	$db->sql('CREATE TABLE mail_count (id varchar(40) NOT NULL, date bigint NOT NULL, ' .
	    'recipient_count int DEFAULT 1, instance varchar(40) NOT NULL, ' .
	    'protocol_state varchar(10) NOT NULL)');
	$db->sql(rows('b:old', 7));
	my $d = Policyd->start(config => { $db->config, db_timeout => 10,
	    fail_action => 'reject full', rules => $rules });
	is($d->ask(@mail), 'dunno', 'an amount of more than 32 bits is accepted');
	is($db->recorded('b:big'), 3_000_000_000, 'the amount is recorded exactly');
	is($db->recorded('b:old'), 7, 'older rows are unchanged');
	is($d->ask(@mail), 'reject full', 'the recorded amount counts');
	like($size->(), qr/^(?:8|19)$/, 'amounts have 64 bits');
	ok($d->wait_log(qr/preparing the tables: ALTER TABLE mail_count .*recipient_count/),
	    'the log says that the table is altered');
	$db->sql(rows('five', 1));
	is(($db->sql("SELECT count(*) FROM mail_count WHERE id = 'five'"))[0][0], 1,
	    'five values go in by position');
	$d->ends_well;

	$db->sql("DELETE FROM mail_count WHERE id = 'b:big'");
	$db->sql('ALTER TABLE mail_count ' . ($db->{kind} eq 'pgsql' ?
	    'ALTER COLUMN recipient_count TYPE int' : 'MODIFY recipient_count int DEFAULT 1'));
	$db->sql($_) for $db->{kind} eq 'pgsql' ? ("CREATE ROLE small LOGIN PASSWORD 'small'",
	    map { "GRANT ALL ON ALL $_ IN SCHEMA public TO small" } qw(TABLES SEQUENCES)) :
	    ("CREATE USER small\@'127.0.0.1' IDENTIFIED BY 'small'",
	    "GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON policyd.* TO small\@'127.0.0.1'");
	$d = Policyd->start(config => { $db->config(user => 'small',
	    ($db->{kind} eq 'pgsql' ? 'password' : 'passwd') => 'small'), db_timeout => 10,
	    fail_action => 'reject full', rules => $rules });
	is($d->ask(@mail), 'dunno',
	    'the amount is accepted without the right to alter the table');
	is($db->recorded('b:big'), 3_000_000_000, 'an amount is recorded as it is');
	is(($db->sql("SELECT count(*) FROM mail_count WHERE id = 'b:big'"))[0][0], 2,
	    'the amount is recorded in several rows');
	is($d->ask(@mail), 'reject full', 'the amount in several rows counts');
	ok($d->wait_log(qr/has 32 bits and cannot be altered/), 'the log says why');
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		# MariaDB's own default lets these transactions wait for each other.
		my $db = Database->start($kind, $kind eq 'pgsql' ? () :
		    (args => ['--transaction-isolation=READ-COMMITTED']));
		my @daemons = map { daemon($db) } 1 .. 2;

		subtest 'transactions that commit late' => sub { long_transactions($db, @daemons) };
		subtest 'DELETE and UPDATE' => sub { changes($db, @daemons) };
		subtest 'COPY and LOAD DATA' => sub { loads($db, @daemons) };
		subtest 'restarts' => sub { restarts($db, @daemons) };
		subtest 'ids in upper case' => sub { cases($db, @daemons) };
		subtest 'locked rows' => sub { locked($db, @daemons) };
		subtest 'instances' => sub { instances($db, @daemons) };
		subtest 'numbers set back' => sub { numbers($db, @daemons) };
		$_->ends_well for @daemons;
		subtest 'amounts of 64 bits' => sub { amounts($db) };
		$db->stop;
	};
}

done_testing();
