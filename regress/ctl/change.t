#!/usr/bin/perl
# reset, grant, block and unblock are durable and apply to every daemon on the same
# database.

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX ();
use Test::More;

use Ctl qw(ctl ctl_json);
use Fault;
use Policyd qw(freeze wait_until True False);

my %config = (limits => [[3, 60], [10, 3600]], fail_action => 'reject {used} {limit}');

sub two_daemons {
	my (%more) = @_;
	my $one = Policyd->start(config => { %config, %more });
	my $two = Policyd->start(config => { %config, %more,
	    sqlite_config => { database => $one->database } });

	return ($one, $two);
}

subtest 'reset' => sub {
	my ($one, $two) = two_daemons();

	is($one->ask(sasl_username => 'bob'), 'dunno', "mail $_ is accepted") for 1 .. 2;
	is($two->ask(sasl_username => 'bob'), 'dunno', 'the other daemon accepts the third mail');
	is($two->ask(sasl_username => 'bob'), 'reject 3 3', 'the fourth mail is over the limit');
	is_deeply(ctl_json($one, 'reset', 'Bob')->{resets}, [{ id => 'bob', n => 3 }],
	    'reset -j has the id and the amount');
	is($one->recorded('bob'), 0, 'the recorded sum is 0 after the reset');
	is(($one->sql("SELECT count(*) FROM mail_count WHERE instance = 'reset'"))[0][0] > 0,
	    1, 'the reset adds a correction row');
	is($two->ask(sasl_username => 'bob'), 'dunno',
	    'the other daemon sees the reset at once')
	    for 1 .. 3;
	is($one->ask(sasl_username => 'bob'), 'reject 3 3',
	    'it counts from zero after the reset');
	is(ctl_json($one, 'reset', 'nobody')->{resets}[0]{n}, 0,
	    'the reset of an unknown id takes back 0');
	ok($one->wait_log(qr/policyctl: uid=$> gid=\d+ asks for: reset Bob$/m),
	    'the log names the user who reset');
	ok($one->wait_log(qr/policyctl: uid=$> gid=\d+: reset Bob: done$/m),
	    'the log says that the reset was done');
	$one->restart;
	is($one->ask(sasl_username => 'bob'), 'reject 3 3',
	    'the count after the reset stays after a restart');
	is((ctl($one, 'reset', 'bob'))[1], "bob: 3 taken back\n",
	    'reset prints its result as text');
	$_->ends_well for $one, $two;
};

subtest 'grant' => sub {
	my ($one, $two) = two_daemons();

	$one->ask(sasl_username => 'bob') for 1 .. 3;
	is($two->ask(sasl_username => 'bob'), 'reject 3 3', 'the fourth mail is over the limit');
	is((ctl($one, 'grant', 'bob', 2, 600))[0], 0, 'grant succeeds');
	is($one->ask(sasl_username => 'bob'), 'dunno', 'the grant applies at once');
	ok(wait_until { $two->ask(sasl_username => 'bob') eq 'dunno' },
	    'the other daemon applies the grant');
	is($one->ask(sasl_username => 'bob'), 'reject 5 5',
	    'mails over the granted limit are refused');
	my $w = ctl_json($one, 'show', 'bob')->{windows};
	is_deeply([map { "$_->{used}/$_->{limit} $_->{granted}" } @$w],
	    ['5/5 2', '5/12 2'], 'show -j has the granted limits');
	like((ctl($one, 'show', 'bob'))[1], qr/^bob, 2 more granted for \d+ /,
	    'show prints the grant');
	like((ctl($one, 'list'))[1], qr/^bob 2 mails more until /, 'list prints the grant');
	is(ctl_json($one, 'top')->{ids}[0]{limit}, 5, 'top uses the granted limit');
	$one->restart;
	is($one->ask(sasl_username => 'bob'), 'reject 5 5',
	    'the granted limit stays after a restart');
	for my $bad ('x', 0, -1) {
		is((ctl($one, 'grant', 'bob', $bad, 1))[0], 3, "grant bob $bad fails");
		ok($one->wait_log(qr/uid=$> gid=\d+: grant bob $bad \@\d+: failed: ./),
		    "the log says that grant bob $bad failed");
	}
	is((ctl($one, 'grant', 'bob', 1, $_))[0], 1, "grant for '$_' is a usage error")
	    for 0, 'x', '9' x 30, 'until 25:00', 'until 2026-02-30', 'until';
	$_->ends_well for $one, $two;
};

my $blocked = 'reject 5.7.1 Sending is blocked';

subtest 'block and unblock' => sub {
	my ($one, $two) = two_daemons(limits => [[1000, 60]]);

	is($one->ask(sasl_username => 'bob'), 'dunno', 'bob sends');
	is((ctl($one, 'block', 'bob', '10m', 'stolen', 'password'))[0], 0, 'block succeeds');
	is($one->ask(sasl_username => 'bob'), $blocked, 'the next mail is refused');
	ok(wait_until { $two->ask(sasl_username => 'bob') eq $blocked },
	    'the other daemon refuses too');
	is($one->ask(sasl_username => 'eve'), 'dunno', 'other logins are accepted');
	my $j = ctl_json($one, 'explain', 'sasl_username=bob', 'protocol_state=DATA');
	is($j->{verdict}, 'blocked', 'explain reports the block');
	cmp_ok($j->{blocks}[0]{left}, '>', 500, 'explain has the remaining time');
	is($j->{action}, $blocked, 'explain has the answer');
	like((ctl($one, 'show', 'bob'))[1],
	    qr/^login:bob blocked until .* by \w+: stolen password$/m,
	    'show prints the block');
	$j = ctl_json($one, 'list');
	is($j->{blocks}[0]{$_->[0]}, $_->[1],
	    "list has the $_->[0] of the block") for ['what', 'login:bob'],
	    ['who', "uid=$>"], ['reason', 'stolen password'];
	$one->restart;
	is($one->ask(sasl_username => 'bob'), $blocked, 'the block applies after a restart');
	is((ctl($one, 'unblock', 'bob'))[0], 0, 'unblock succeeds');
	is((ctl($one, 'unblock', 'bob'))[0], 3, 'a second unblock fails');
	is($one->ask(sasl_username => 'bob'), 'dunno', 'mails are accepted after unblock');
	$_->ends_well for $one, $two;
};

subtest 'grants and blocks expire' => sub {
	my $d = Fault::fault_daemon(shim => ['engine', 'ledger-sqlite'],
	    config => { %config, db_timeout => 20 })->start;
	my $limit = sub { decode_json((ctl($d, '-j', 'show', 'eve'))[1])->{windows}[0]{limit} };

	is((ctl($d, 'grant', 'eve', 5, '10m'))[0], 0, 'grant for ten minutes succeeds');
	is((ctl($d, 'block', 'bob', '10m'))[0], 0, 'block for ten minutes succeeds');
	is($limit->(), 8, 'the grant applies');
	is($d->ask(sasl_username => 'bob'), $blocked, 'the block applies');
	$d->{shim}{$_}->set(clock => 3600) for 'engine', 'ledger-sqlite';
	is($d->ask(sasl_username => 'bob'), 'dunno', 'an hour later there is no block');
	is($limit->(), 3, 'an hour later there is no grant');
	is((ctl($d, 'list'))[1], "nothing is blocked or locked, nothing is granted\n",
	    'an hour later list has neither block nor grant');
	$d->ends_well;
};

# Name, configuration, subject of the block, and a request that it must refuse.
subtest 'a block refuses requests' => sub {
	my @rule = (key => 'sasl_username', limits => [[100, 60]]);
	my %login = (sasl_username => 'bob@x.example');

	for (
	    ['an id without limits', { limits_by_id => { vip => [] } }, 'vip',
		{ sasl_username => 'vip' }],
	    ['no limits at all', { limits => [] }, 'bob@x.example', \%login],
	    ['an address under a prefix', { limit_by_ip => True, ipv6_prefix => 64,
		limited_networks => ['::/0'] }, '2001:db8:1::5',
		{ client_address => '2001:db8:1::5' }, { client_address => '2001:db8:1::6' }],
	    ['an address where logins are limited', {}, '192.0.2.9',
		{ client_address => '192.0.2.9', %login }, \%login],
	    ['a rule in shadow', { rules => [{ name => 'r', @rule, shadow => True }] },
		'bob@x.example', \%login],
	    ['an address extension', { recipient_delimiter => '+' }, 'bob+q@x.example',
		\%login],
	    ['another case of letters', {}, 'BOB@X.example', \%login],
	    ['a domain of logins', {}, '@x.example', \%login, { sasl_username => 'bob@y' }],
	    ['a network', {}, '203.0.113.0/24', { client_address => '203.0.113.77', %login },
		{ client_address => '203.0.114.77', %login }],
	    ['a soft action', { limits => [[0, 60]], fail_action => 'HOLD' },
		'bob@x.example', \%login],
	    ['a sender', {}, 'sender:s@z.example', { sender => 's@z.example', %login }, \%login],
	    ['a sender that is limited', { limit_by_sasl => False, limit_by_sender => True },
		's@z.example', { sender => 's@z.example' }],
	    ['a login of the default domain', { default_domain => 'x.example' }, 'bob',
		\%login],
	    ['the id of a rule', { rules => [{ name => 'r', @rule }] }, 'r:bob@x.example',
		\%login],
	    ['a stage that is not counted', {}, 'bob@x.example',
		{ protocol_state => 'VRFY', %login }],
	    ['no identity that is counted', { limit_by_sasl => False }, 'bob@x.example', \%login],
	    ['a login that is stored as a hash', {}, 'x' x 300,
		{ sasl_username => 'x' x 300 }]) {
		my ($name, $settings, $what, $request, $other) = @$_;
		my $d = Policyd->start(config => $settings);

		is((ctl($d, 'block', $what, '1h'))[0], 0, "$name: block succeeds");
		is($d->ask(%$request), $blocked, "$name: its request is refused");
		is($d->ask(%$other), 'dunno', "$name: another request is accepted") if $other;
		$d->restart;
		is($d->ask(%$request), $blocked, "$name: its request is refused after a restart");
		is((ctl($d, 'unblock', $what))[0], 0, "$name: unblock succeeds");
		isnt($d->ask(%$request), $blocked,
		    "$name: its request is not blocked after unblock");
		$d->ends_well;
	}
};

subtest 'DATA after RCPT was accepted' => sub {
	my $d = Policyd->start(config => { %config });
	my %mail = (sasl_username => 'bob', instance => 'i', recipient => 'a@b');

	is($d->ask(%mail, protocol_state => 'RCPT'), 'dunno', 'RCPT is accepted');
	is((ctl($d, 'block', 'bob', 60))[0], 0, 'the login is blocked after RCPT');
	is($d->ask(%mail, protocol_state => 'DATA', recipient_count => 1), $blocked,
	    'DATA without new recipients is refused');
	ok($d->wait_log(qr/blocked: by=<login:bob> until=\d+ sasl_username=bob /),
	    'the block is logged');
	unlike($d->log, qr/refused: /, 'the refusal is not logged as a limit');
	$d->ends_well;
};

subtest 'a block of another daemon is known at the first request after a pause' => sub {
	my ($one, $two) = two_daemons();

	is($one->ask(sasl_username => 'bob', protocol_state => 'VRFY'), 'dunno',
	    'a request is accepted before the block');
	is((ctl($two, 'block', 'bob', 60))[0], 0, 'the other daemon blocks the login');
	ok(wait_until { $one->ask(sasl_username => 'bob', protocol_state => 'VRFY') eq $blocked },
	    'the request is refused soon after the block of the other daemon');
	$_->ends_well for $one, $two;
};

subtest 'subjects that cannot be blocked or granted' => sub {
	my $d = Policyd->start(config => { rules => [
	    { name => 'user', key => 'sasl_username', limits => [[3, 60]] },
	    { name => 'spread', key => 'sasl_username', limits => [[1, 60]],
	    count => 'addresses' },
	    { name => 'dom', key => 'sasl_domain', limits => [[4, 60]] },
	    { name => 'helo', key => 'helo_name', limits => [[100, 60]] }] });

	for my $words (['block', 'norule:bob', 60], ['block', 'helo:x', 60],
	    ['block', '203.0.113.7/24', 60], ['block', '@', 60], ['grant', '192.0.2.1', 5, 60]) {
		my ($status, undef, $err) = ctl($d, @$words);
		is($status, 3, "@$words: fails");
		like($err, qr/^policyctl: ./, "@$words: the reason is printed");
	}
	is((ctl($d, 'block', 'bob', 'soon'))[0], 1, 'block for "soon" is a usage error');
	my ($status, $out) = ctl($d, 'grant', 'news@d', 500, '1d');
	is($status, 0, 'grant to an id of several rules succeeds');
	is($out, "granted to user:news\@d; not for: spread, dom, helo\n",
	    'the answer names the rules that it changed and the others');
	is($d->ask(sasl_username => 'news@d', client_address => "192.0.2.$_"),
	    $_ == 1 ? 'dunno' : 'defer_if_permit Rate limit reach, retry later',
	    "a rule by addresses without a grant: address $_") for 1, 2;
	is($d->ask(sasl_username => 'news@d', client_address => '192.0.2.1'), 'dunno',
	    "mail $_ of the domain is accepted") for 2 .. 4;
	isnt($d->ask(sasl_username => 'news@d', client_address => '192.0.2.1'), 'dunno',
	    'mail 5 of the domain is refused, since the grant is not for this rule');
	is((ctl($d, 'ungrant', 'news@d'))[0], 0, 'ungrant succeeds');
	is((ctl($d, 'ungrant', 'news@d'))[0], 3, 'a second ungrant fails');
	$d->ends_well;
};

# Forms of the operand WHAT: other spellings, and operands that no request can match.
subtest 'the subjects of a block' => sub {
	my @rules = (rules => [{ name => 'user', key => 'sasl_username', limits => [[3, 60]] },
	    { name => 'ip', key => 'client_address', limits => [[3, 60]] },
	    { name => 'helo', key => 'helo_name', limits => [[3, 60]] }]);
	my $check = sub {
		my ($d, @cases) = @_;

		for (@cases) {
			my ($what, $want) = @$_;
			my ($status, $out, $err) = ctl($d, 'block', $what, 60);
			is($err =~ s/^policyctl: //r || $out, $want, "block '$what'");
			is($status, $want =~ /is blocked$/ ? 0 : 3,
			    "block '$what': the exit status fits the answer");
		}
	};
	my $d = Policyd->start(config => { recipient_delimiter => '+',
	    default_domain => 'example.org' });

	$check->($d, map { [$_->[0], "$_->[1] is blocked\n"] }
	    ['Bob', 'login:bob@example.org'],
	    ['bob+x', 'login:bob@example.org'],
	    ['bob ', 'login:bob@example.org'],
	    ["bob\@example.org\t", 'login:bob@example.org'],
	    ['LOGIN:Bob', 'login:bob@example.org'],
	    ['login:@X.example', 'domain:x.example'],
	    ['Domain:X.example ', 'domain:x.example'],
	    ['domain:@x.example', 'domain:x.example'],
	    ['Sender:Bob+q@X.example', 'sender:bob@x.example'],
	    ['sender:root', 'sender:root'],
	    ['a:b', 'login:a:b@example.org'],
	    ['192.0.2.9/32', 'network:192.0.2.9'],
	    ['::FFFF:192.0.2.9', 'network:192.0.2.9'],
	    ['2001:DB8:0:0::5', 'network:2001:db8::5'],
	    ['2001:db8::/32 ', 'network:2001:db8::/32'],
	    ['192.0.2.0/255.255.255.0', 'network:192.0.2.0/24'],
	    ['Network:0.0.0.0/0', 'network:0.0.0.0/0'],
	    ["b\x01b", 'login:b\\x01b@example.org']);
	$check->($d, map { [$_->[0], "$_->[0]: $_->[1]\n"] }
	    ['@', 'nothing is named'],
	    ['sender:', 'nothing is named'],
	    ['domain:', 'nothing is named'],
	    ['sender:<>', 'the null sender is nobody'],
	    ['sender:@x.example', 'senders are blocked by their whole address'],
	    ['domain:a@b', 'a domain has no @ in it'],
	    ['network:bob', 'it is neither an address nor a network'],
	    ['network:192.0.2.256', 'it is neither an address nor a network'],
	    ['192.0.2.9/24', 'the network has host bits set'],
	    ['2001:db8::5/32', 'the network has host bits set']);
	is((ctl($d, 'block', $_, 60))[0], 3,
	    'block of an id that no request can have') for "bob\nby", 'x' x 9000;
	is((ctl($d, 'block', '', 60))[0], 1, 'block of an empty word is a usage error');
	$d->ends_well;

	$d = Policyd->start(config => { @rules });
	$check->($d, map { [$_->[0], "$_->[1] is blocked\n"] }
	    ['user:Bob', 'login:bob'],
	    ['ip:192.0.2.9', 'network:192.0.2.9'],
	    ['ip:2001:db8::/32', 'network:2001:db8::/32'],
	    ['login:user:bob', 'login:user:bob']);
	for (['login:bob', 'user:bob'], ['user:bob', 'user:bob'], ['bob', 'user:bob'],
	    ['network:192.0.2.9', 'ip:192.0.2.9'], ['2001:db8::5', 'ip:2001:db8::5']) {
		my ($what, $id) = @$_;
		like((ctl($d, 'grant', $what, 5, 60))[1], qr/^granted to \Q$id\E;/,
		    "grant $what is for $id");
		is((ctl($d, 'ungrant', $what))[0], 0, "ungrant $what succeeds");
		like((ctl($d, 'reset', $what))[1], qr/^\Q$id\E: 0 taken back$/,
		    "reset $what is for $id");
	}
	is((ctl($d, 'grant', $_, 5, 60))[0], 3, "grant $_ fails")
	    for 'norule:bob', 'network:bob', 'sender:bob', 'domain:x', 'user:192.0.2.9/24';
	$check->($d,
	    ['User:bob', "User:bob: no rule has the name before the colon\n"],
	    ['ip:bob', "ip:bob: it is neither an address nor a network\n"],
	    ['2001:db8::5/32', "2001:db8::5/32: the network has host bits set\n"],
	    ['user:', "user:: nothing is named\n"],
	    ['helo:x', "helo:x: the rule's key is neither a login, a sender, a domain of logins " .
		"nor a client address\n"]);
	$d->ends_well;
};

subtest 'overlapping blocks, and uncounted addresses' => sub {
	my $d = Policyd->start(config => { %config });
	my %client = (sasl_username => 'bob@x.example', client_address => '203.0.113.9');

	is((ctl($d, 'block', $_, 'forever'))[0], 0, "block $_ succeeds")
	    for '203.0.113.0/24', '203.0.113.9', '@x.example';
	like((ctl($d, 'show', $_->[0]))[1], qr/^\Q$_->[1]\E blocked forever/m,
	    "show $_->[0] has the block of $_->[1]")
	    for ['203.0.113.9', 'network:203.0.113.9'],
	    ['203.0.113.8', 'network:203.0.113.0/24'],
	    ['203.0.113.0/24', 'network:203.0.113.0/24'],
	    ['bob@x.example', 'domain:x.example'], ['@x.example', 'domain:x.example'];
	is((ctl($d, 'show', '203.0.114.1'))[0], 3,
	    'show of an address that is neither counted nor blocked fails');
	is((ctl($d, 'unblock', '203.0.113.9'))[1], "network:203.0.113.9 is no longer blocked; " .
	    "it is blocked by network:203.0.113.0/24\n",
	    'unblock names the block that still applies');
	is($d->ask(%client), $blocked, 'the block of the network refuses the client');
	my ($status, undef, $err) = ctl($d, 'unblock', 'bob@x.example');
	is($status, 3, 'unblock of a login of a blocked domain fails');
	is($err, "policyctl: no such block, lock or grant is in force; it is blocked by " .
	    "domain:x.example\n", 'the error names the block');
	is((ctl($d, 'unblock', '203.0.113.0/24'))[1],
	    "network:203.0.113.0/24 is no longer blocked\n", 'unblock of the network succeeds');
	is($d->ask(%client), $blocked, 'the block of the domain still applies');
	is((ctl($d, 'unblock', '@x.example'))[0], 0, 'unblock of the domain succeeds');
	is($d->ask(%client), 'dunno', 'the client is accepted when no block is left');
	$d->ends_well;
};

subtest 'grant, reset and show of ids that a rule counts' => sub {
	my $d = Policyd->start(config => { limit_by_sasl => False, limit_by_ip => True,
	    limited_networks => ['192.0.2.0/24', '2001:db8::/32'], ipv4_prefix => 28,
	    ipv6_prefix => 64, limits => [[1, 3600]], fail_action => 'reject {id}' });
	my %from = (client_address => '192.0.2.17');

	is($d->ask(%from), 'dunno', 'the first mail is accepted');
	is($d->ask(%from), 'reject 192.0.2.16/28', 'a mail over the limit is refused');
	for my $id ('192.0.2.17', '192.0.2.16/28', '::ffff:192.0.2.31', '192.0.2.31 ') {
		is((ctl($d, 'grant', $id, 1, '1h'))[1], "granted to 192.0.2.16/28\n",
		    "grant $id is for its network");
		like((ctl($d, 'list'))[1], qr{^192\.0\.2\.16/28 1 mail more until },
		    "list has the network after grant $id");
		is((ctl($d, 'ungrant', $id))[0], 0, "ungrant $id succeeds");
		like((ctl($d, 'show', $id))[1], qr{^192\.0\.2\.16/28}, "show $id has its network");
	}
	like((ctl($d, 'reset', '192.0.2.30'))[1], qr{^192\.0\.2\.16/28: 1 taken back$},
	    'reset of an address is for its network');
	is($d->ask(%from), 'dunno', 'a mail is accepted after the reset');
	is((ctl($d, 'grant', 'Network:192.0.2.17', 1, '1h'))[0], 0,
	    'grant takes an id with the word that list prints');
	for my $id ('login:192.0.2.17', '192.0.2.17/28', '192.0.2.0/24', '192.0.2.16/29', '198.51.100.1', 'bob',
	    '2001:db8::/48', '@x.example') {
		for (['grant', $id, 1, '1h'], ['reset', $id], ['show', $id]) {
			my ($status, undef, $err) = ctl($d, @$_);
			is($status, 3, "@$_ fails");
			like($err, qr/^policyctl: no rule .*counts such an id/,
			    'the error says that no rule counts such an id');
		}
	}
	$d->ends_well;
};

subtest 'there may be 100000 blocks' => sub {
	my $d = Policyd->start(config => { debug => False });
	my $full = qr/^policyctl: 100000 are in force already/;

	$d->sql('WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)' .
	    ' INSERT INTO mail_override (id, kind, amount, expires, since, who, reason)' .
	    " SELECT 'login:u' || i, 2, 0, 253402300799, 0, 'x', '' FROM n");
	ok(wait_until { $d->ask(sasl_username => 'u100000') eq $blocked },
	    'the last block applies');
	my ($status, undef, $err) = ctl($d, 'block', 'bob', 60);
	is($status, 3, 'one more block fails');
	like($err, $full, 'the error names the limit');
	is((ctl($d, 'block', 'u5', 60))[0], 0, 'an existing block can be changed');
	is((ctl($d, 'grant', 'bob', 1, 60))[0], 0, 'grants have their own maximum');
	is((ctl($d, 'unblock', 'u6'))[0], 0, 'a block can be removed');
	is((ctl($d, 'block', 'bob', 60))[0], 0, 'another block can be added');
	is($d->ask(sasl_username => 'bob'), $blocked, 'the added block applies');
	like((ctl($d, 'block', 'eve', 60))[2], $full, 'the next block fails');
	$d->restart;
	is($d->ask(sasl_username => $_), $blocked, "$_ is blocked after a restart")
	    for qw(bob u1 u100000);
	$d->ends_well;
};

subtest 'rules' => sub {
	my $d = Policyd->start(config => { fail_action => 'reject {rule}:{id}', rules => [
	    { name => 'user', key => 'sasl_username', limits => [[3, 60]] },
	    { name => 'spread', key => 'sasl_username', limits => [[1, 60]],
	    count => 'distinct_recipients' },
	    { name => 'watch', key => 'sasl_username', limits => [[1, 60]],
	    shadow => True }] });
	my %to = (sasl_username => 'bob', protocol_state => 'RCPT');

	is($d->ask(%to, recipient => 'a@x'), 'dunno', 'the first recipient is accepted');
	is($d->ask(%to, recipient => 'b@x'), 'reject spread:bob',
	    'a second recipient is refused');
	is((ctl($d, 'reset', 'spread:bob'))[0], 0, 'reset of an id of one rule succeeds');
	is($d->ask(%to, recipient => 'b@x'), 'dunno',
	    'another recipient is accepted after the reset');
	is($d->ask(%to, recipient => 'a@x'), 'reject spread:bob',
	    'the first recipient is refused now');
	is($d->ask(%to, recipient => 'b@x'), 'dunno',
	    'the accepted recipient is accepted again, the third mail');
	is($d->ask(%to, recipient => 'b@x'), 'reject user:bob',
	    'the other rule still applies');
	is((ctl($d, 'reset', 'bob'))[0], 0, 'reset under the rules that count mails succeeds');
	is((ctl($d, 'reset', 'spread:bob'))[0], 0, 'a second reset under the other rule succeeds');
	is($d->ask(%to, recipient => 'a@x'), 'dunno', 'a mail is accepted after both resets');
	$d->ends_well;
};

# A reset of a rule that counts distinct values removes counts and values together.
subtest 'a reset is all or nothing, and waits for a lock until its deadline' => sub {
	my $d = Policyd->start(config => { fail_action => 'reject {rule}:{id}',
	    rules => [{ name => 'spread', key => 'sasl_username', limits => [[3, 60]],
	    count => 'distinct_recipients' }] });
	my %to = (sasl_username => 'bob', protocol_state => 'RCPT');
	my $values = sub { ($d->sql('SELECT count(*) FROM mail_distinct'))[0][0] };
	my $asks = qr/asks for: reset spread:bob$/m;

	is($d->ask(%to, recipient => "$_\@x"), 'dunno', "recipient $_ is accepted") for 1 .. 3;
	ok(Fault::db_timeout($d, 1), 'a reset waits for a second');
	my $unlock = Fault::lock_database($d);
	my ($status, undef, $err) = ctl($d, 'reset', 'spread:bob');
	is($status, 3, 'reset fails while another process holds the lock');
	like($err, qr/./, 'the reason is printed');
	$unlock->();
	ok(Fault::db_timeout($d, 20), 'a reset waits for longer');
	is($d->recorded('spread:bob'), 3, 'no count was reset');
	is($values->(), 3, 'no value was removed');
	is($d->ask(%to, recipient => '4@x'), 'reject spread:bob',
	    'a fourth recipient is refused after the failed reset');

	$unlock = Fault::lock_database($d);
	my $before = () = $d->log =~ /$asks/g;
	defined(my $pid = fork) or die "fork: $!";
	POSIX::_exit((ctl($d, 'reset', 'spread:bob'))[0]) if !$pid;
	ok(wait_until { my $now = () = $d->log =~ /$asks/g; $now > $before },
	    'another reset begins while the lock is held');
	$unlock->();
	waitpid $pid, 0;
	is($? >> 8, 0, 'the reset is done when the lock is released');
	is($d->recorded('spread:bob'), 0, 'all counts are reset');
	is($values->(), 0, 'all values are removed');
	is($d->ask(%to, recipient => "$_\@x"), 'dunno',
	    "recipient $_ is accepted after the reset") for 1 .. 3;
	is($d->ask(%to, recipient => '4@x'), 'reject spread:bob',
	    'a fourth recipient is refused after the reset');
	$d->ends_well;
};

subtest 'permissions' => sub {
	plan skip_all => 'only root can be somebody else' if $> != 0;
	my $d = Policyd->start(config => \%config);

	chmod 0755, "$d->{dir}", "$d->{dir}/ctl";
	chmod 0666, $d->control;
	local $d->{as} = 'daemon';
	for my $words (['reset', 'bob'], ['grant', 'bob', 1, 1], ['block', 'bob', 60],
	    ['unblock', 'bob']) {
		my ($status, $out, $err) = ctl($d, @$words);
		is($status, 3, "@$words: is denied");
		like($err, qr/permission denied/, 'the reason is printed');
	}
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the denied command had no effect');
	$d->ends_well;
};

subtest 'the database is full or away' => sub {
	my $d = Policyd->start(config => { %config, db_timeout => 1 });

	freeze($d->child('ledger-sqlite'));
	is((ctl($d, 'block', 'bob', 60))[0], 3, 'block fails without an answer');
	is((ctl($d, 'reset', 'bob'))[0], 3, 'reset fails without an answer');
	ok($d->wait_log(qr/uid=$> gid=\d+: block bob \@\d+: not answered in time$/m),
	    'the log says that block was not answered in time');
	unlike($d->log, qr/uid=$> gid=\d+: \S.*: (?:done|failed)/,
	    'the log has no result of either command yet');
	kill 'CONT', $d->child('ledger-sqlite');
	ok($d->wait_log(qr/uid=$> gid=\d+: block bob \@\d+: done$/m),
	    'the log says later that the block was done');
	is($d->ask(sasl_username => 'bob'), $blocked, 'the block applies');
	ok($d->wait_log(qr/uid=$> gid=\d+: reset bob: failed: ./),
	    'the log says later that the reset failed');

	# A command of which only the end is to be logged is no connection any more: of ten that
	# are open, the eight newest stay.
	my @idle = map { IO::Socket::UNIX->new(Peer => $d->control) // die "connect: $!" } 1 .. 10;
	ok(wait_until { (() = IO::Select->new(@idle[0, 1])->can_read(0)) == 2 },
	    'two connections too many are closed');
	is(() = IO::Select->new(@idle[2 .. 9])->can_read(0), 0, 'the others are not');
	close $_ for @idle;

	# The ledger that knows the result is killed.
	my $ledger = $d->child('ledger-sqlite');
	freeze($ledger);
	is((ctl($d, 'unblock', 'bob'))[0], 3, 'unblock fails without an answer');
	kill 'KILL', $ledger;
	ok(wait_until { (ctl($d, 'show', 'bob'))[0] == 0 }, 'the next ledger answers show');
	my $lock = Fault::lock_database($d);
	is((ctl($d, 'block', 'eve', 60))[0], 3, 'block fails while the database is locked');
	ok($d->wait_log(qr/uid=$> gid=\d+: block eve \@\d+: failed: ./),
	    'the log has the failure of this block');
	$lock->();
	$d->ends_well;
	ok($d->wait_log(qr/uid=$> gid=\d+: unblock bob: the result is unknown$/m),
	    'the log says that the result is unknown');
};

# The engine learns that a change failed after policyctl has given up, and asks in vain for the
# reason.
subtest 'a failure without a reason' => sub {
	my $d = Policyd->start(config => { %config, db_timeout => 0.3 });
	my ($engine, $ledger) = map { $d->child($_) } qw(engine ledger-sqlite);
	my $said = qr/uid=$> gid=\d+: block bob \@\d+/;

	freeze($ledger);
	is((ctl($d, 'block', $_, 60))[0], 3, "block $_ fails without an answer")
	    for qw(bob eve joe);
	ok($d->wait_log(qr/$said: not answered in time$/m),
	    'the log says that block was not answered in time');
	freeze($engine);
	my $unlock = Fault::lock_database($d);
	my $mark = $d->log_mark;
	kill 'CONT', $ledger;
	# At most one of these lines is not of a change.
	ok(wait_until { (() = $d->log_since($mark) =~ /^.*: sqlite .*$/gm) >= 3 },
	    'the ledger gives up the changes');
	freeze($ledger);
	kill 'CONT', $engine;
	ok($d->wait_log(qr/$said: failed: the database could not do it$/m),
	    'the log says that the block failed');
	kill 'CONT', $ledger;
	$unlock->();
	$d->ends_well;
	unlike($d->log, qr/$said: the result is unknown/, 'its result is known');
};

done_testing;
