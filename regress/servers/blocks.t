#!/usr/bin/perl
# Blocks and grants on each database: what they match, that another daemon applies them,
# and that they survive restarts, reloads and crashes.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use Ctl qw(ctl ctl_json);
use Database;
use Fault;
use Policyd qw(wait_until need have_command True);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

my $blocked = 'reject 5.7.1 Sending is blocked';

# Two daemons on the same database.
sub two_daemons {
	my ($db, %config) = @_;
	my $one = Policyd->start(config => { limits => [[1000, 3600]],
	    db_error_action => 'defer database', defined $db ? $db->config : (), %config });
	my $two = Policyd->start(config => { %{$one->{config}},
	    defined $db ? () : (sqlite_config => { database => $one->database }) });

	return ($one, $two);
}

sub sql {
	my ($db, $d, $query) = @_;

	return ($db // $d)->sql($query);
}

# Name, subject of the block, a request that it refuses, a request that it does not.
my @kinds = (
    ['an address', '2001:db8:1::5', { client_address => '2001:db8:1::5' },
	{ client_address => '2001:db8:1::6' }],
    ['a network', '203.0.113.0/24', { client_address => '203.0.113.77' },
	{ client_address => '203.0.114.77' }],
    ['a network within it', '203.0.113.64/26', { client_address => '203.0.113.65' },
	{ client_address => '203.0.113.1' }],
    ['a domain of logins', '@X.example', { sasl_username => 'eve@x.EXAMPLE' },
	{ sasl_username => 'eve@y.example' }],
    ['a sender', 'sender:s@z.example', { sender => 'S@z.example', sasl_username => 'bob' },
	{ sender => 't@z.example', sasl_username => 's@z.example' }],
    ['a login', 'carol', { sasl_username => 'Carol' }, { sasl_username => 'caro' }],
    ['a login with a letter that a collation folds', "r\xc3\xa9mi",
	{ sasl_username => "r\xc3\xa9mi" }, { sasl_username => 'remi' }],
    ['a login longer than a column', 'l' x 300, { sasl_username => 'l' x 300 },
	{ sasl_username => 'l' x 301 }],
    ['a login that is not UTF-8', "b\xffb", { sasl_username => "b\xffb" },
	{ sasl_username => "b\xfeb" }],
    ['a login with a blank in front', ' dave', { sasl_username => ' dave' },
	{ sasl_username => 'dave' }],
);

sub followed {
	my ($db) = @_;
	my ($one, $two) = two_daemons($db);

	for (@kinds) {
		my ($name, $what, $request, $other) = @$_;

		is($_->ask(%$request), 'dunno',
		    "$name: accepted before the block") for $one, $two;
		is((ctl($one, 'block', $what, '1h', 'because'))[0], 0, "$name: block");
		my $begin = time;
		is($one->ask(%$request), $blocked, "$name: refused at once");
		ok(wait_until { $two->ask(%$request) eq $blocked },
		    "$name: the other daemon refuses too");
		cmp_ok(time - $begin, '<', 10, "$name: the other daemon refuses within 10 s");
		is($_->ask(%$other), 'dunno',
		    "$name: other requests are accepted") for $one, $two;
		my ($listed) = @{ctl_json($two, 'list')->{blocks}};
		is("$listed->{who} $listed->{reason}", "uid=$> because",
		    "$name: the other daemon lists it");
		is((ctl($two, 'unblock', $what))[0], 0, "$name: the other daemon can unblock");
		is($two->ask(%$request), 'dunno', "$name: the other daemon accepts at once");
		ok(wait_until { $one->ask(%$request) eq 'dunno' },
		    "$name: the first daemon accepts too");
		is((ctl($one, 'unblock', $what))[0], 3, "$name: a second unblock fails");
	}
	$_->ends_well for $one, $two;
}

sub away {
	my ($db) = @_;
	my ($one, $two) = two_daemons($db);
	my $back;

	is((ctl($one, 'block', $_->[1], '1h'))[0], 0, "block $_->[0]") for @kinds;
	for my $d ($one, $two) {
		ok(wait_until { $d->ask(%{$kinds[0][2]}) eq $blocked },
		    'both daemons apply the block');
	}
	ok(Fault::db_timeout($_, 2), 'requests wait for a shorter time') for $one, $two;
	if (defined $db) {
		$db->stop('KILL');
		$back = sub { $db->launch };
	} else {
		$back = Fault::lock_database($one);
	}
	for my $d ($one, $two) {
		ok(wait_until { $d->ask(sasl_username => 'zoe') eq 'defer database' },
		    'requests get db_error_action');
		is($d->ask(%{$_->[2]}), $blocked,
		    "$_->[0]: the block applies without the database") for @kinds;
		is($d->ask(%{$_->[2]}, protocol_state => 'VRFY'), $blocked,
		    "$_->[0]: the block applies at an uncharged stage") for @kinds;
	}
	my $list = ctl_json($two, 'list');
	is(scalar @{$list->{blocks}}, @kinds, 'list shows the blocks without the database');
	if (defined $db) {
		is($list->{source}, 'memory', 'list says that it is the last one');
		like($list->{reason}, qr/\Athe database /, 'list says why');
		like((ctl($two, 'list'))[1], qr/\Aas the daemon has read it last: the database /,
		    'so does its text');
	} else {
		is($list->{source}, 'database', 'a locked file can be read');
	}
	for my $words (['block', 'zoe', '1h'], ['unblock', 'carol'], ['reset', 'zoe'],
	    ['grant', 'zoe', 5, '1h'], ['show', 'zoe']) {
		my ($status, undef, $err) = ctl($one, @$words);
		is($status, 3, "@$words: fails without the database");
		like($err, qr/\Apolicyctl: the database is away(?:: .*\S)?\n\z/, 'at once')
		    if defined $db;
	}
	ok(wait_until { my $why = ctl_json($one, 'status')->{fault} // '';
	    $why =~ /\S/ && index((ctl($one, 'show', 'zoe'))[2], ": $why\n") > 0 },
	    'show names the reason that status has');
	like((ctl($one, 'clean'))[2], qr/\Apolicyctl: cleaning failed: \S/, 'clean names it too');
	$back->();
	for my $d ($one, $two) {
		ok(wait_until { $d->ask(sasl_username => 'zoe') eq 'dunno' },
		    'the database is back');
		is($d->ask(%{$_->[2]}), $blocked,
		    "$_->[0]: the block still applies") for @kinds;
	}
	$_->ends_well for $one, $two;
}

sub outlives {
	my ($db) = @_;
	my ($d) = two_daemons($db);
	my $reload = sub {
		my ($name, %config) = @_;

		delete @{$d->{config}}{qw(limits rules)};
		$d->write_config({ %config });
		is((ctl($d, 'reload'))[0], 0, $name);
	};
	my $holds = sub {
		my ($name) = @_;

		is($d->ask(%{$_->[2]}), $blocked, "$name: $_->[0]") for @kinds;
		is($d->ask(sasl_username => 'zoe'), 'dunno',
		    "$name: other requests are accepted");
	};

	is((ctl($d, 'block', $_->[1], 'forever'))[0], 0, "block $_->[0]") for @kinds;
	$holds->('blocked');
	$d->restart;
	$holds->('after a restart');
	kill 'KILL', $d->child('engine'), $d->child('ledger-' . ($db ? $db->{kind} : 'sqlite'));
	ok(wait_until { ($d->ask(sasl_username => 'zoe') // '') eq 'dunno' },
	    'both processes are killed');
	$holds->('after that');
	$reload->('a reload', limits => [[10, 60], [1000, 3600]]);
	$holds->('other limits');
	$reload->('from limits to rules',
	    rules => [{ name => 'r', key => 'sasl_username', limits => [[1000, 3600]] }]);
	$holds->('rules');
	is((ctl($d, 'block', 'r:frank', 'forever'))[0], 0, 'a block by an id of a rule');
	is($d->ask(sasl_username => 'frank'), $blocked, 'the block applies to the login');
	$reload->('a renamed rule',
	    rules => [{ name => 'q', key => 'sasl_username', limits => [[1000, 3600]] }]);
	$holds->('under another name');
	is($d->ask(sasl_username => 'frank'), $blocked,
	    'the block by an id of a rule still applies');
	$reload->('other keys',
	    rules => [{ name => 'h', key => 'helo_name', limits => [[1000, 3600]] }]);
	$holds->('another key');
	$d->restart;
	$holds->('after a last restart');
	$d->ends_well;
}

sub grants {
	my ($db) = @_;
	my ($one, $two) = two_daemons($db, limits => \'DEFAULT', fail_action => 'reject {rule}',
	    rules => [map { { name => $_, key => 'sasl_username', limits => [[1, 3600]] } }
	    qw(first second third)]);
	my $rows = sub { join ' ', map { $_->[0] } sql($db, $one,
	    'SELECT id FROM mail_override WHERE kind = 0 ORDER BY id') };

	is($one->ask(sasl_username => 'bob'), 'dunno', 'a mail is accepted');
	is($_->ask(sasl_username => 'bob'), 'reject first', 'and no more') for $one, $two;
	if (defined $db) {
		$db->sql('ALTER TABLE mail_override ADD CONSTRAINT forbids ' .
		    "CHECK (id NOT LIKE 'second:%')");
	} else {
		# The rows of the second and third rule cannot both exist.
		$one->sql('CREATE UNIQUE INDEX forbids ON mail_override (kind) ' .
		    "WHERE id > 'second'");
	}
	my ($status, undef, $err) = ctl($one, 'grant', 'bob', 1, '1h');
	is($status, 3, 'a grant that the database refuses for one rule');
	like($err, qr/could not do it/, 'the command fails');
	is($rows->(), '', 'no rule gets the grant');
	is($_->ask(sasl_username => 'bob'), 'reject first',
	    'the grant does not apply') for $one, $two;
	sql($db, $one, defined $db ? 'ALTER TABLE mail_override DROP CONSTRAINT forbids' :
	    'DROP INDEX forbids');
	($status, my $out) = ctl($one, 'grant', 'Bob', 1, '1h');
	is($status, 0, 'a grant that the database accepts');
	is($out, "granted to first:bob second:bob third:bob\n", 'grant names the rules');
	is($rows->(), 'first:bob second:bob third:bob', 'grant writes a row for each rule');
	is($one->ask(sasl_username => 'bob'), 'dunno', 'the grant allows one more mail');
	ok(wait_until { ctl_json($two, 'show', 'bob')->{windows}[2]{limit} == 2 },
	    'the other daemon counts that mail');
	is($_->ask(sasl_username => 'bob'), 'reject first', 'and no more') for $one, $two;
	is((ctl($two, 'ungrant', 'second:bob'))[0], 0, 'ungrant of one rule, by the other daemon');
	is($rows->(), 'first:bob third:bob', 'ungrant deletes the row of that rule');
	is((ctl($one, 'ungrant', 'bob'))[0], 0, 'ungrant of the remaining rules');
	is($rows->(), '', 'ungrant deletes the remaining rows');
	is((ctl($one, 'ungrant', 'bob'))[0], 3, 'a second ungrant fails');
	$_->ends_well for $one, $two;
}

# Rows that another program wrote into the table.
sub foreign {
	my ($db) = @_;
	my ($d) = two_daemons($db);
	my $row = sub {
		my ($id, %row) = @_;
		my %value = (kind => 2, amount => 0, expires => '253402300799', since => 0,
		    who => "'me'", reason => "''", %row);
		my @names = sort keys %value;

		sql($db, $d, 'INSERT INTO mail_override (id, ' . join(', ', @names) .
		    ") VALUES ('$id', " . join(', ', @value{@names}) . ')');
	};
	my $refused = sub {
		my ($name, %request) = @_;

		ok(wait_until { ($d->ask(%request) // '') eq $blocked }, $name);
	};

	is($d->ask(sasl_username => $_), 'dunno', "$_ sends") for qw(bob eve zoe ann);
	my $ledger = $d->child('ledger-' . ($db ? $db->{kind} : 'sqlite'));
	$row->('login:bob');
	$refused->('a block by SQL', sasl_username => 'bob');
	$row->('login:eve', expires => '9223372036854775807');
	$refused->('for longer than for ever', sasl_username => 'eve');
	$row->('login:zoe', since => '-5', amount => '9223372036854775807');
	$refused->('with other numbers that are none', sasl_username => 'zoe');
	$row->('ann', kind => 0, amount => '9223372036854775807');
	$row->('login:gone', expires => '-1');
	$row->("login:$_", kind => $_) for 3, 77;
	$row->('x' x 20000) if !defined $db;
	$row->('login:ann');
	$refused->('one after those that are none', sasl_username => 'ann');
	is($d->ask(sasl_username => 'dan'), 'dunno', 'other logins are accepted');
	my @listed = map { $_->{what} } @{ctl_json($d, 'list')->{blocks}};
	is("@listed", 'login:ann login:bob login:eve login:zoe',
	    'list shows the valid blocks');
	is($d->child('ledger-' . ($db ? $db->{kind} : 'sqlite')), $ledger,
	    'the ledger was not restarted');
	is((ctl($d, 'unblock', $_))[0], 0, "unblock $_") for qw(bob eve zoe ann);
	is($d->ask(sasl_username => $_), 'dunno', "$_ sends") for qw(bob eve zoe ann);
	$d->ends_well;
}

# Blocks of an earlier version of ours: each is converted, and requests are decided meanwhile.
sub converted {
	my ($db) = @_;
	my ($d, $other) = two_daemons($db);
	my $ten = '(SELECT 0 AS n' . join('', map { " UNION ALL SELECT $_" } 1 .. 9) . ')';
	my $n = 'a.n + 10 * b.n + 100 * c.n + 1000 * d.n';
	my $id = defined $db && $db->{kind} eq 'mysql' ? "concat('u', $n)" : "'u' || ($n)";
	my $left = sub { (sql($db, $d,
	    'SELECT count(*) FROM mail_override WHERE kind = 1'))[0][0] };

	sql($db, $d, 'INSERT INTO mail_override (id, kind, amount, expires, since, who, reason) ' .
	    "SELECT $id, 1, 0, 253402300799, 0, 'me', 'old' FROM " .
	    join ', ', map { "$ten $_" } qw(a b c d));
	ok(wait_until { ($d->ask(sasl_username => 'u7') // '') eq $blocked }, 'one of them holds');
	is((ctl($d, 'unblock', 'u7'))[0], 0, 'it can be ended');
	ok(wait_until { is($d->ask(sasl_username => 'bob'), 'dunno', 'others send meanwhile');
	    $left->() == 0 }, 'all are converted');
	for ($d, $other) {
		my $daemon = $_;
		ok(wait_until { @{ctl_json($daemon, 'list')->{blocks}} == 9999 },
		    'and hold, without the one that was ended');
	}
	is($_->ask(sasl_username => 'u9999'), $blocked, 'such as the last one') for $d, $other;
	is($_->ask(sasl_username => 'u7'), 'dunno', 'and the one that was ended sends')
	    for $d, $other;
	$_->ends_well for $d, $other;
}

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	for (['blocks are followed', \&followed], ['the database is away', \&away],
	    ['blocks outlive', \&outlives], ['a grant is for all rules or for none', \&grants],
	    ['rows of others', \&foreign],
	    ['blocks of an earlier version', \&converted]) {
		my ($name, $test) = @$_;
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind);
		subtest "$kind: $name" => sub { $test->($db) };
		$db->stop if defined $db;
	}
}

done_testing;
