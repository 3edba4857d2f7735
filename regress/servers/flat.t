#!/usr/bin/perl
# cost-grows-with-window: an id with very many rows in its window. The rows are first read
# in pieces without delaying other requests; then sums are kept, which the next daemon
# uses. The count stays exact while other programs insert and delete rows.

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

# Rows in order of time, three in each second. Every fifth row has the id in another
# letter case.
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

# Returns the first answer for the id, the longest wait of other requests meanwhile, and
# their number.
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

# A request delayed by the reading waits until its end, so there is at most one. A slow
# disk delays each request, one after the other.
sub ok_go_on {
	my ($longest, $n, $name) = @_;

	ok($longest < 2 || $n > 2, "$name ($n answers, none after more than $longest s)");
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);
		my $d = daemon($db, ROWS + 4);
		my ($answer, $longest, $n);

		is($d->ask(sasl_username => 'eve'), 'dunno',
		    'a request is answered, which creates the tables');
		fill($db);
		is(sums($db), 0, 'no sums are kept');
		($answer, $longest, $n) = first($d);
		is($answer, 'dunno', 'the first mail after ' . ROWS . ' is accepted');
		ok_go_on($longest, $n, 'other requests are answered meanwhile');
		is($d->ask(sasl_username => 'big', recipient_count => 4), 'reject full',
		    'all rows count at once');
		ok(wait_until(sub { $db->foreign == 0 }, 120),
		    'the rows of other programs are attributed');
		is($d->ask(sasl_username => 'big', recipient_count => 4), 'reject full',
		    'the rows still count');
		cmp_ok(sums($db), '>', 0, 'sums are kept');
		$d->restart;
		($answer, $longest, $n) = first($d);
		is($answer, 'dunno', 'a mail after a restart is accepted');
		ok_go_on($longest, $n, 'other requests are answered after a restart');
		is($d->ask(sasl_username => 'big', instance => 'x' . (ROWS - 4)), 'dunno',
		    'a repeated request is recognised');
		is($db->recorded('big'), ROWS + 2,
		    'the repeated request is not counted again');

		my $second = daemon($db, ROWS + 4);
		my @answers = map { ($d, $second)[$_ % 2]->ask(sasl_username => 'big') } 1 .. 5;
		is_deeply(\@answers, [('dunno') x 2, ('reject full') x 3],
		    'another daemon accepts two more mails');
		$db->sql("DELETE FROM mail_count WHERE id = 'big' AND instance = 'x77'");
		@answers = map { ($d, $second)[$_ % 2]->ask(sasl_username => 'big') } 1 .. 3;
		is_deeply(\@answers, ['dunno', ('reject full') x 2],
		    'after a row is deleted one more mail is accepted');
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
