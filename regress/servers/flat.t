#!/usr/bin/perl
# cost-grows-with-window: an id with very many rows in its window. Its first reading goes
# in pieces and holds nobody up; then its sums are kept, and the next daemon begins with
# these. The count is exact all along, whoever writes and deletes beside it.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use Database;
use Policyd qw(wait_until request);

use constant ROWS => 150_000;
use constant TIMEOUT => 60;

sub daemon {
	my ($db, $mails) = @_;

	return Policyd->start(config => { $db->config, db_timeout => TIMEOUT,
	    debug => Policyd::False, limits => [[$mails, 86400]],
	    fail_action => 'reject full', db_error_action => 'defer database' });
}

# In the order in which they would have come, one second apart from the other by thirds.
# Every fifth has the id in another letter case.
sub fill {
	my ($db) = @_;
	my $rows = ROWS;

	$db->sql('INSERT INTO mail_count (id, date, recipient_count, instance, ' .
	    'protocol_state) ' . ($db->{kind} eq 'pgsql' ?
	    "SELECT CASE i % 5 WHEN 0 THEN 'Big' ELSE 'big' END, " .
	    "extract(epoch FROM now())::bigint - ($rows - i) / 3, 1, 'x' || i, 'DATA' " .
	    "FROM generate_series(1, $rows) i" :
	    "SELECT if(seq % 5 = 0, 'Big', 'big'), unix_timestamp() - ($rows - seq) div 3, " .
	    "1, concat('x', seq), 'DATA' FROM seq_1_to_$rows"));
}

sub sums {
	my ($db) = @_;

	return ($db->sql("SELECT count(*) FROM mail_sums WHERE id = 'big'"))[0][0];
}

# The first answer for the id, the longest that others waited meanwhile, and how many of
# them had theirs.
sub first {
	my ($d) = @_;
	my $other = $d->connect;
	my $big = $d->connect;
	my $longest = 0;
	my ($ready, $n) = ('', 0);

	$big->send(request(sasl_username => 'big'));
	do {
		my $begin = time;
		$other->send(request(sasl_username => 'other' . $n++));
		my $answer = $other->answer // 'none';
		return ("other: $answer", 0, 0) if $answer ne 'dunno';
		my $took = time - $begin;
		$longest = $took if $took > $longest;
		vec(my $set = '', fileno($big->socket_of), 1) = 1;
		$ready = select($set, undef, undef, 0);
	} while (!$ready);
	return ($big->answer, $longest, $n);
}

# Who is held up waits as long as the reading takes, and only one does. A disk that stands
# still holds everybody up, but one after the other.
sub ok_go_on {
	my ($longest, $n, $name) = @_;

	ok($longest < 2 || $n > 2, "$name ($n answers, none after more than $longest s)");
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);
		my $d = daemon($db, ROWS + 4);
		my ($answer, $longest, $n);

		is($d->ask(sasl_username => 'eve'), 'dunno', 'the tables are made');
		fill($db);
		is(sums($db), 0, 'there are no sums');
		($answer, $longest, $n) = first($d);
		is($answer, 'dunno', 'the first mail after ' . ROWS . ' is accepted');
		ok_go_on($longest, $n, 'others go on');
		is($d->ask(sasl_username => 'big', recipient_count => 4), 'reject full',
		    'all of them count at once');
		ok(wait_until(sub { $db->foreign == 0 }, 120), 'they are taken in');
		is($d->ask(sasl_username => 'big', recipient_count => 4), 'reject full',
		    'and count as before');
		cmp_ok(sums($db), '>', 0, 'sums are kept');
		$d->restart;
		($answer, $longest, $n) = first($d);
		is($answer, 'dunno', 'so is one after a restart');
		ok_go_on($longest, $n, 'and others go on');
		is($d->ask(sasl_username => 'big', instance => 'x' . (ROWS - 4)), 'dunno',
		    'an instance that was counted before is known');
		is($db->recorded('big'), ROWS + 2, 'and not counted again');

		my $second = daemon($db, ROWS + 4);
		my @answers = map { ($d, $second)[$_ % 2]->ask(sasl_username => 'big') } 1 .. 5;
		is_deeply(\@answers, [('dunno') x 2, ('reject full') x 3],
		    'with another daemon there is room for two more');
		$db->sql("DELETE FROM mail_count WHERE id = 'big' AND instance = 'x77'");
		@answers = map { ($d, $second)[$_ % 2]->ask(sasl_username => 'big') } 1 .. 3;
		is_deeply(\@answers, ['dunno', ('reject full') x 2],
		    'a row deleted by hand makes room for one');
		$_->ends_well for $d, $second;

		$d = daemon($db, ROWS + 5);
		@answers = map { $d->ask(sasl_username => 'big') } 1 .. 2;
		is_deeply(\@answers, ['dunno', 'reject full'],
		    'the deletion still counts after a restart');
		$d->ends_well;
		$db->stop;
	};
}

done_testing();
