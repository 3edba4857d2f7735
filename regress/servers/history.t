#!/usr/bin/perl
# The history of refusals in each database: its fields, retention, and outages.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl ctl_json);
use Database;
use Fault;
use Policyd qw(freeze wait_until need have_command True);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

# A daemon on the server's database, or on a SQLite file.
sub daemon {
	my ($db, %config) = @_;

	return Policyd->start(config => { limits => [[2, 60], [5, 3600]], db_timeout => 2,
	    fail_action => 'reject full', defined $db ? $db->config : (), %config });
}

# Rows of the table, the oldest first, as hashes.
my @columns = qw(date number is_first times shadow n recipients id rule kind windows login
    sender recipient client client_name state queue_id instance);

sub rows {
	my ($db, $d, $where) = @_;
	my @rows = ($db // $d)->sql('SELECT ' . join(', ', @columns) . ' FROM mail_refusal' .
	    (defined $where ? " WHERE $where" : '') . ' ORDER BY date, number');

	return map { my %row; @row{@columns} = @$_; \%row } @rows;
}

sub fields {
	my ($db) = @_;
	my $d = daemon($db);
	my @rows;

	$d->ask(sasl_username => 'Bob', sender => "b\xc3\xa4h\x01\@example.org",
	    client_name => 'mail.example', queue_id => '568BAA82041', instance => "one.$_",
	    recipient_count => 2, recipient => '') for 1 .. 2;
	ok(wait_until { @rows = rows($db, $d) }, 'a refusal is written');
	is(scalar @rows, 1, 'the accepted mail has no row');
	my %row = %{$rows[0]};
	cmp_ok(abs($row{date} - time), '<', 30, 'the date is that of the refusal');
	is_deeply([@row{qw(is_first times shadow n recipients id rule kind)}],
	    [1, 1, 0, 2, 2, 'bob', '', 'limit'], 'the row has the numbers, the id and the kind');
	is($row{windows}, '2/60/2! 5/3600/2', 'all windows, the full one is marked');
	$row{sender} =~ s/\\\\/\\/g;	# by the client of MySQL
	is_deeply([@row{qw(login sender recipient client client_name state queue_id instance)}],
	    ['Bob', "b\xc3\xa4h\\x01\@example.org", '', '192.0.2.1', 'mail.example', 'DATA',
	    '568BAA82041', 'one.2'], 'the row has the attributes of the request');
	is((ctl($d, 'block', 'bob', 60))[0], 0, 'block of the login succeeds');
	$d->ask(sasl_username => 'bob');
	ok(wait_until { @rows = rows($db, $d, "kind = 'block'") },
	    'a mail refused by a block is recorded');
	is_deeply([@{$rows[0]}{qw(id windows login)}], ['login:bob', '', 'bob'],
	    'the row names the block');
	$d->ends_well;
	($db // $d)->sql('DELETE FROM mail_refusal');
}

sub kinds {
	my ($db) = @_;
	my $d = daemon($db, limits => \'DEFAULT', rules => [
	    { name => 'new', key => 'sasl_username', limits => [[1, 60]], shadow => True },
	    { name => 'hold', key => 'sasl_username', limits => [[2, 60]],
	    action => 'hold it' },
	    { name => 'many', key => 'sender', limits => [[100, 60]], max_per_mail => 3 }]);

	$d->ask(sasl_username => 'eve') for 1 .. 3;
	$d->ask(sasl_username => 'eve', recipient_count => 4);
	my @rows;
	ok(wait_until { @rows = rows($db, $d); @rows >= 5 }, 'five refusals are written');
	my %kind = map { ("$_->{kind} $_->{rule} $_->{shadow}" => $_) } reverse @rows;
	is_deeply([sort keys %kind], ['limit new 1', 'max_per_mail many 0', 'over hold 0'],
	    'there are refusals of shadow, of max_per_mail, and over the limit');
	is($kind{'limit new 1'}{windows}, '1/60/1!', 'the refusal of shadow has its window');
	is($kind{'max_per_mail many 0'}{windows}, '3/0/0!',
	    'max_per_mail is a window of 0 seconds');
	is($kind{'max_per_mail many 0'}{id}, 'many:sender@example.org',
	    'the id of max_per_mail begins with its rule');
	$d->ends_well;
	($db // $d)->sql('DELETE FROM mail_refusal');
}

sub flood {
	my ($db) = @_;
	my $d = daemon($db);
	my (@bob, @rows);

	$d->ask(sasl_username => 'bot') for 1 .. 102;
	$d->ask(sasl_username => 'ann') for 1 .. 3;
	ok(wait_until { @rows = rows($db, $d, "id = 'ann'") },
	    'many refusals of one id hide no other id');
	$d->ends_well;
	@bob = rows($db, $d, "id = 'bot'");
	my $sum = 0;
	$sum += $_->{times} for @bob;
	is($sum, 100, 'the sum of times counts every refusal');
	cmp_ok(scalar @bob, '<', 100, 'not every refusal has a row');
	is((grep { $_->{is_first} } @bob), 1 + (grep { $_->{is_first} &&
	    int($_->{date} / 60) != int($bob[0]{date} / 60) } @bob),
	    'one row of each minute is the first');
	($db // $d)->sql('DELETE FROM mail_refusal');
}

sub off {
	my ($db) = @_;
	my $d = daemon($db, history => 0);

	$d->ask(sasl_username => 'bob') for 1 .. 3;
	$d->ends_well;
	is(scalar(rows($db, $d)), 0, 'with history 0 no refusal is recorded');
}

sub cleaned {
	my ($db) = @_;
	my $d = daemon($db, history => 2);

	$d->ask(sasl_username => 'cleaned') for 1 .. 3;
	ok(wait_until { scalar(rows($db, $d)) == 1 }, 'a refusal is written');
	for my $days (1.9, 2.1, -2) {
		my $date = int(time - $days * 86400);
		($db // $d)->sql('INSERT INTO mail_refusal SELECT ' . join(', ', $date,
		    @columns[1 .. $#columns]) . " FROM mail_refusal WHERE date > @{[time - 600]}" .
		    " AND date < @{[time + 600]}");
	}
	is(scalar(rows($db, $d)), 4, 'three refusals of other dates are inserted');
	is(($d->run('--clean'))[0], 0, '--clean succeeds');
	my @rows = rows($db, $d);
	is_deeply([map { int((time + 600 - $_->{date}) / 86400) } @rows], [1, 0],
	    '--clean deletes rows older than history and of the future');
	$d->stop;
	$d->write_config({ history => 0 });
	is(($d->run('--clean'))[0], 0, '--clean with history 0 succeeds');
	is(scalar(rows($db, $d)), 0, '--clean with history 0 deletes all rows');
	$d->start;
	$d->ends_well;
}

# A refusal during an outage of the database is written when it is back.
sub away {
	my ($db) = @_;
	my $d = daemon($db, db_error_action => 'memory', db_timeout => 0.5);
	my (@rows, $back);

	is($d->ask(sasl_username => 'zoe'), 'dunno',
	    "mail $_ is accepted before the outage") for 1 .. 2;
	if (defined $db) {
		freeze($db->{pid});
		$back = sub { $db->signal('CONT') };
	} else {
		$back = Fault::lock_database($d);
	}
	is($d->ask(sasl_username => 'zoe', sender => 'away@example.org'), 'reject full',
	    'the mail is refused from memory');
	$back->();
	ok(wait_until { @rows = rows($db, $d, "sender = 'away\@example.org'") },
	    'the refusal is written when the database is back');
	is(scalar @rows, 1, 'the refusal is written once');
	like($rows[0]{windows}, qr{\A2/60/2! 5/3600/2\z},
	    'the row has the windows that memory knew');
	$d->ends_well;
	($db // $d)->sql('DELETE FROM mail_refusal');
}

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind);

		subtest 'the fields' => sub { fields($db) };
		subtest 'the kinds' => sub { kinds($db) };
		subtest 'a flood' => sub { flood($db) };
		subtest 'off' => sub { off($db) };
		subtest 'cleaning' => sub { cleaned($db) };
		subtest 'away' => sub { away($db) };
		$db->stop if defined $db;
	};
}

done_testing;
