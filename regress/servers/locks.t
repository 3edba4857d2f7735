#!/usr/bin/perl
# A rule's lock, the same on each database: what a hit locks and for how long, that another
# daemon follows, what passes, what ends a lock, and what it outlives.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use Ctl qw(ctl ctl_json);
use Database;
use Fault qw(database_away);
use Policyd qw(wait_until need have_command True False);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

my $locked = 'reject 5.7.1 Sending is blocked';
my $full = 'reject full';

sub rule {
	my (%rule) = @_;

	return { name => 'trap', key => 'sasl_username', limits => [[2, 3600]],
	    lock => { for => 600 }, %rule };
}

sub config {
	my ($db, %config) = @_;

	# A commit may take seconds on a loaded machine.
	return { fail_action => $full, db_timeout => 10, defined $db ? $db->config : (), %config };
}

sub start {
	my ($db, %config) = @_;

	return Policyd->start(config => config($db, %config));
}

# Both on the same database.
sub two_daemons {
	my ($db, %config) = @_;
	my $one = start($db, %config);
	my $two = Policyd->start(config => { %{$one->{config}},
	    defined $db ? () : (sqlite_config => { database => $one->database }) });

	return ($one, $two);
}

sub sql {
	my ($db, $d, $query) = @_;

	return ($db // $d)->sql($query);
}

# Up to the hit that locks.
sub hit {
	my ($d, %request) = @_;

	is($d->ask(%request), 'dunno', 'there is room') for 1 .. 2;
	is($d->ask(%request), $full, 'a hit has the answer of the rule');
}

# Another id for each test, on a database that all of them share.
my $ids = 0;
sub someone { return 'user' . ++$ids . '@example.org' }

sub lasts {
	my ($d, $what) = @_;
	my ($lock) = grep { $_->{what} eq $what } @{ctl_json($d, 'list')->{locks}};

	return $lock ? $lock->{until} - $lock->{since} : undef;
}

# --- one sentence after the other ---

# A hit locks for so long, under all rules, with its own action.
sub all_rules {
	my ($db) = @_;
	my $d = start($db, rules => [
	    rule(only => { sasl_domain => ['example.org'] }, lock => { for => 600,
	    action => 'REJECT {rule} closed {id} for {retry_after}' }),
	    { name => 'other', key => 'sender', limits => [[100, 3600]] }]);
	my $bob = someone();

	hit($d, sasl_username => $bob);
	like($d->ask(sasl_username => $bob, sender => 'x@y.example'),
	    qr/\AREJECT trap closed \Q$bob\E for (?:600|59\d)\z/, 'then the answer of the lock');
	like($d->ask(sasl_username => uc $bob, protocol_state => 'VRFY'), qr/\AREJECT trap/,
	    'however the login is written, where nothing is counted too');
	is($d->ask(sasl_username => someone()), 'dunno', 'nobody else');
	is(lasts($d, "login:$bob"), 600, 'for so long');
	ok($d->wait_log(qr/ locked: what=<login:\Q$bob\E> until=\d+ id=<trap:\Q$bob\E> key=/),
	    'the log says so');
	ok($d->wait_log(qr/^.* blocked: by=<login:\Q$bob\E> until=\d+ rule=trap /m),
	    'and whom a lock refuses');
	my $why;
	wait_until { ($why = ctl_json($d, 'why', $bob)) &&
	    grep { $_->{kind} eq 'lock' } @{$why->{refusals}} };
	is_deeply([map { [$_->{kind}, $_->{rule}] } grep { $_->{kind} eq 'lock' }
	    @{$why->{refusals}}]->[0], ['lock', 'trap'], 'policyctl why names the lock') or
	    diag explain $why;
	$d->ends_well;
}

# A lock ends by itself, and the window that was full then does not lock again; what is
# charged afterwards does, for `again`.
sub ends {
	my ($db) = @_;
	my $d = start($db, rules => [rule(lock => { for => 4, again => 300 })]);
	my $bob = someone();

	hit($d, sasl_username => $bob);
	is($d->ask(sasl_username => $bob), $locked, 'locked');
	ok(wait_until { $d->ask(sasl_username => $bob) ne $locked }, 'it ends');
	is($d->ask(sasl_username => $bob), $full, 'the window is still full');
	is($d->ask(sasl_username => $bob), $full, 'which locks nothing');
	is(scalar @{ctl_json($d, 'list')->{locks}}, 0, 'nothing is listed');
	# What is charged in the second of the end cannot lock.
	my $second = int time;
	wait_until { time >= $second + 1 };
	sql($db, $d, "DELETE FROM mail_count WHERE id = 'trap:$bob'");
	hit($d, sasl_username => $bob);
	is($d->ask(sasl_username => $bob), $locked, 'which locks again');
	is(lasts($d, "login:$bob"), 300, 'for longer');
	$d->ends_well;
}

# policyctl unblock ends it, and the same full window does not lock again.
sub unblocked {
	my ($db) = @_;
	my ($one, $two) = two_daemons($db, rules => [rule(limits => [[2, 3600]])]);
	my $bob = someone();

	hit($one, sasl_username => $bob);
	is($one->ask(sasl_username => $bob), $locked, 'locked');
	ok(wait_until { $two->ask(sasl_username => $bob) eq $locked }, 'by both');
	my ($status, $out) = ctl($two, 'show', $bob);
	like($out, qr/^login:\Q$bob\E locked until .*, by rule trap$/m, 'show says so');
	like((ctl($one, 'explain', 'protocol_state=DATA', "sasl_username=$bob"))[1],
	    qr/\Ablocked: a lock holds, under all rules\naction=\Q$locked\E\nlogin:\Q$bob\E locked/,
	    'so does explain');
	like((ctl($one, 'top'))[1], qr/trap:\Q$bob\E \(locked\)/, 'and top');
	is((ctl($one, 'unblock', $bob))[0], 0, 'unblock');
	my $ended = time;
	is($one->ask(sasl_username => $bob), $full, 'the window is full');
	is($one->ask(sasl_username => $bob), $full, 'and locks nothing');
	ok(wait_until { $two->ask(sasl_username => $bob) eq $full }, 'by the other daemon too');
	is($two->ask(sasl_username => $bob), $full, 'however often');
	is((ctl($one, 'unblock', $bob))[0], 3, 'it can be ended once');
	# What is charged in the second of the unblock cannot lock again.
	wait_until { time >= $ended + 1 };
	is((ctl($one, 'reset', "trap:$bob"))[0], 0, 'what is charged from now on');
	ok(wait_until { $one->ask(sasl_username => $bob) eq $locked }, 'locks again');
	is(lasts($one, "login:$bob"), 600, 'for the same time: `again` is not set');
	$_->ends_well for $one, $two;
}

# A lock that the other daemon has set, and ended, within the second for which its list is
# not read: the hit reads it.
sub unseen {
	my ($db) = @_;
	my ($one, $two) = two_daemons($db, rules => [rule()]);
	my $bob = someone();

	for (1 .. 5) {
		$bob = someone();
		hit($one, sasl_username => $bob);
		is((ctl($one, 'unblock', $bob))[0], 0, 'unblock');
		like($two->ask(sasl_username => $bob), qr/full\z|blocked\z/, 'a hit at once');
		is((sql($db, $one, "SELECT count(*) FROM mail_override WHERE kind = 3" .
		    " AND id = 'login:$bob'"))[0][0], 0, 'does not lock again');
	}
	$_->ends_well for $one, $two;
}

# By key: a login, the network that is counted, the login of a combination.
sub by_key {
	my ($db) = @_;
	my $d = start($db, rules => [
	    rule(name => 'host', key => 'client_address', unless => 'sasl_username',
	    ipv4_prefix => 24, ipv6_prefix => 64),
	    rule(name => 'pair', key => ['client_address', 'sasl_username'])]);
	my ($bob, $other) = (someone(), someone());

	hit($d, client_address => '203.0.113.5');
	is($d->ask(client_address => '203.0.113.99'), $locked, 'the network that is counted');
	is($d->ask(client_address => '203.0.114.5'), 'dunno', 'no other');
	like((ctl($d, 'top', '-n', 500))[1], qr{host:203\.0\.113\.0/24 \(locked\)}, 'top marks the network');
	is($d->ask(client_address => '203.0.113.5', sasl_username => $other), $locked,
	    'whoever logs in from there');
	hit($d, client_address => '2001:db8:5::1');
	is($d->ask(client_address => '2001:db8:5::2'), $locked, 'a network of IPv6');
	hit($d, client_address => '192.0.2.1', sasl_username => $bob);
	is($d->ask(client_address => '192.0.2.2', sasl_username => $bob), $locked,
	    'of a combination the login');
	is($d->ask(client_address => '192.0.2.1', sasl_username => $other), 'dunno',
	    'not the address');
	is((ctl($d, 'unblock', '203.0.113.0/24'))[0], 0, 'unblock a network');
	is($d->ask(client_address => '203.0.113.99', sasl_username => $other), 'dunno',
	    'it is free');
	$d->ends_well;
}

# New values only are refused, but the whole login is locked.
sub values_lock {
	my ($db) = @_;
	my $d = start($db, rules => [
	    rule(name => 'places', count => 'addresses'),
	    rule(name => 'names', count => 'senders')]);
	my ($bob, $eve) = (someone(), someone());

	is($d->ask(sasl_username => $bob, client_address => "192.0.2.$_"), 'dunno',
	    "address $_") for 1, 2, 1;
	is($d->ask(sasl_username => $bob, client_address => '192.0.2.3'), $full, 'one more');
	is($d->ask(sasl_username => $bob, client_address => '192.0.2.1'), $locked,
	    'then the known ones are refused too');
	is($d->ask(sasl_username => $eve, sender => "a$_\@example.org"), 'dunno', "sender $_")
	    for 1, 2;
	is($d->ask(sasl_username => $eve, sender => 'a3@example.org'), $full, 'one more');
	is($d->ask(sasl_username => $eve, sender => 'a1@example.org'), $locked, 'likewise');
	$d->ends_well;
}

# max_per_mail and soft actions are hits too; a mail that is held is taken.
sub kinds_of_hits {
	my ($db) = @_;
	my $d = start($db, rules => [
	    { name => 'big', key => 'sasl_username', max_per_mail => 5, lock => { for => 600 } },
	    rule(name => 'soft', action => 'HOLD', only => { sasl_domain => ['soft.example'] },
	    lock => { for => 600, action => 'DISCARD' })]);
	my $bob = someone();

	is($d->ask(sasl_username => $bob, recipient_count => 6),
	    'reject 5.5.3 Too many recipients', 'a mail that is too big');
	is($d->ask(sasl_username => $bob), $locked, 'locks');
	is($d->ask(sasl_username => 'a@soft.example'), 'dunno', 'there is room') for 1 .. 2;
	is($d->ask(sasl_username => 'a@soft.example'), 'HOLD', 'a mail is held');
	is($d->ask(sasl_username => 'a@soft.example'), 'DISCARD', 'and the next discarded');
	$d->ends_well;
}

# Shadow only logs; exempt clients have no rule.
sub only_logs {
	my ($db) = @_;
	my $d = start($db, rules => [rule(shadow => True)], exempt => ['198.51.100.7']);
	my $bob = someone();

	is($d->ask(sasl_username => $bob), 'dunno', 'shadow') for 1 .. 4;
	ok($d->wait_log(qr/^.* would lock: what=<login:\Q$bob\E> id=<trap:/m), 'says what it would');
	is_deeply(ctl_json($d, 'list')->{locks}, [], 'and locks nothing');
	$d->write_config({ rules => [rule()] });
	is((ctl($d, 'reload'))[0], 0, 'without shadow');
	is($d->ask(sasl_username => $bob), $full, 'it is a hit');
	is($d->ask(sasl_username => $bob), $locked, 'that locks');
	is($d->ask(sasl_username => $bob, client_address => '198.51.100.7'), 'dunno',
	    'but no rule applies to an exempt client');
	$d->ends_well;
}

# Mail to except_recipients passes all rules, at RCPT, and at DATA with one recipient; at
# most 10 an hour.
sub passes {
	my ($db) = @_;
	my ($one, $two) = two_daemons($db, rules => [
	    rule(lock => { for => 600, except_recipients => ['postmaster@example.org', '@help.example'] }),
	    rule(name => 'second', limits => [[2, 3600]], lock => { for => 600 })]);
	my $bob = someone();
	my $n = 0;
	my $to = sub {
		my ($d, $recipient, %more) = @_;
		return $d->ask(sasl_username => $bob, recipient => $recipient,
		    protocol_state => 'RCPT', recipient_count => 0, instance => 'm' . ++$n, %more);
	};

	hit($one, sasl_username => $bob);
	is($to->($one, 'someone@example.net'), $locked, 'locked');
	ok(wait_until { $two->ask(sasl_username => $bob) eq $locked }, 'by both');
	is($to->($one, 'Postmaster@example.org'), 'dunno', 'a recipient passes');
	is($to->($two, 'x@help.example'), 'dunno', 'one of a domain, by the other daemon');
	is($one->ask(sasl_username => $bob, recipient => 'postmaster@example.org',
	    recipient_count => 1, instance => "m$n"), 'dunno', 'DATA with that one is the same mail');
	is($one->ask(sasl_username => $bob, recipient => '', recipient_count => 2,
	    instance => "m$n"), $locked, 'DATA with two recipients is refused');
	is($to->($_ % 2 ? $one : $two, 'postmaster@example.org'), 'dunno', "mail $_") for 3 .. 10;
	is($to->($one, 'postmaster@example.org'), $locked, 'the eleventh is refused');
	is($to->($two, 'postmaster@example.org'), $locked, 'by the other daemon too');
	like((ctl($one, 'explain', 'protocol_state=RCPT', "sasl_username=$bob",
	    'recipient=postmaster@example.org', 'instance=x'))[1], qr/\Ablocked: a lock holds/,
	    'explain says so');
	is((sql($db, $one, "SELECT sum(recipient_count) FROM mail_count WHERE id = 'trap:$bob'"))
	    [0][0], 2, 'they count for no rule');
	my $eve = someone();
	is($one->ask(sasl_username => $eve, recipient => 'postmaster@example.org'), 'dunno',
	    'without a lock') for 1 .. 2;
	is($one->ask(sasl_username => $eve, recipient => 'postmaster@example.org'), 'dunno',
	    'the hit itself passes');
	is($one->ask(sasl_username => $eve, recipient => 'x@example.net'), $locked, 'and locks');
	like((ctl($one, 'explain', 'protocol_state=RCPT', "sasl_username=$eve",
	    'recipient=postmaster@example.org', 'instance=x'))[1],
	    qr/\Aaccepted: a lock holds, and mail to this recipient passes it/, 'explain says so');
	$_->ends_well for $one, $two;
}

# Beyond 100 new locks in ten minutes a rule only logs and reports.
sub many {
	my ($db) = @_;
	my ($one, $two) = two_daemons($db, rules => [rule(limits => [[0, 3600]], report => True),
	    rule(name => 'b', key => 'client_address', limits => [[0, 3600]])], report => True,
	    report_limits => [3600]);
	my @users = map { someone() } 1 .. 102;
	my $last = $users[101];

	is($one->ask(sasl_username => $users[$_]), $full, 'a hit') for 0 .. 59;
	is($two->ask(sasl_username => $users[$_]), $full, 'a hit') for 60 .. 101;
	my $count = sub { (sql($db, $one, "SELECT count(*) FROM mail_override WHERE kind = 3" .
	    " AND who = 'trap'"))[0][0] };
	is($count->(), 100, '100 locks');
	is($two->ask(sasl_username => $users[99]), $locked, 'of which each holds');
	is($two->ask(sasl_username => $users[101]), $full, 'others have the hit alone');
	ok($two->wait_log(qr/ not locked, the rule has set 100 .* what=<login:\Q$last\E>/),
	    'which is logged');
	is((sql($db, $one, "SELECT sum(hit) FROM limit_report WHERE id = 'trap:$last'"))
	    [0][0], 2, 'and reported');
	is($one->ask(client_address => '192.0.2.200'), $full, 'another rule');
	is($one->ask(client_address => '192.0.2.200'), $locked, 'goes on');
	$_->ends_well for $one, $two;
}

# A lock outlives a restart, a reload, and its rule; no lock outlasts its rule's times.
sub outlives {
	my ($db) = @_;
	my $rules = [rule(lock => { for => 600, action => 'REJECT shut' })];
	my $d = start($db, rules => $rules);
	my $bob = someone();
	my $reload = sub {
		my ($name, @rules) = @_;
		$d->write_config({ rules => \@rules });
		is((ctl($d, 'reload'))[0], 0, $name);
	};

	hit($d, sasl_username => $bob);
	is($d->ask(sasl_username => $bob), 'REJECT shut', 'locked');
	$d->restart;
	is($d->ask(sasl_username => $bob), 'REJECT shut', 'after a restart');
	kill 'KILL', $d->child('engine'), $d->child('ledger-' . ($db ? $db->{kind} : 'sqlite'));
	ok(wait_until { ($d->ask(sasl_username => $bob) // '') eq 'REJECT shut' },
	    'after both processes were killed');
	ok(wait_until { (ctl($d, 'list'))[1] =~ /\Alogin:\Q$bob\E locked / },
	    'the next ledger has read what is locked');
	$reload->('the rule is gone', { name => 'x', key => 'sasl_username', limits => [[9, 60]] });
	is($d->ask(sasl_username => $bob), $locked, 'the lock is not, with block_action');
	# The new ledger may not have been asked about the id yet.
	ok($d->wait_log(qr/rule trap is gone, and no rule has its counts: ids=[01] grants=0 locks=1$/m),
	    'which the log says') or diag $d->log;
	$reload->('another name', rule(name => 'closed', was => ['trap'],
	    lock => { for => 600, action => 'REJECT shut', except_recipients => ['postmaster@example.org'] }));
	is($d->ask(sasl_username => $bob), 'REJECT shut', 'the lock has the answer of the rule');
	like((ctl($d, 'top', '-n', 500))[1], qr/trap:\Q$bob\E \(locked\)/, 'top marks the id of the earlier name');
	is($d->ask(sasl_username => $bob, recipient => 'postmaster@example.org',
	    protocol_state => 'RCPT'), 'dunno', 'and the recipients that pass it');
	$reload->('a shorter time', rule(lock => { for => 2 }));
	ok(wait_until { $d->ask(sasl_username => $bob) eq $full }, 'it ends earlier');
	$reload->('more room', rule(limits => [[1000, 3600]], lock => { for => 8 }));
	my $future = int(time) + 400 * 86400;
	sql($db, $d, "INSERT INTO mail_override (id, kind, amount, expires, since, who, reason)" .
	    " VALUES ('login:eve', 3, 8, $future + 8, $future, 'trap', ''), ('login:zoe', 3, 8, " .
	    "$future + 8, $future, 'gone', '')");
	for my $user ('eve', 'zoe') {
		ok(wait_until { $d->ask(sasl_username => $user) eq $locked },
		    "$user: a lock by a wrong clock");
	}
	ok(wait_until { $d->ask(sasl_username => $_) eq 'dunno' }, "$_: it ends in time")
	    for 'eve', 'zoe';
	$d->ends_well;
}

# Locks are in the metrics, and in a part of the report of their own.
sub counted {
	my ($db) = @_;
	my $d = start($db, rules => [rule(limits => [[0, 60]], report => True)], report => True);
	my $bob = someone();

	is($d->ask(sasl_username => $bob), $full, 'a hit');
	is($d->ask(sasl_username => $bob), $locked, 'locks');
	my ($status, $out) = ctl($d, 'metrics');
	like($out, qr/^policyd_rate_limit_locks_total 1$/m, 'a counter');
	like($out, qr/^policyd_rate_limit_rule_locks_total\{rule="trap"\} 1$/m, 'for each rule');
	like($out, qr/^policyd_rate_limit_locks_in_force [1-9]\d*$/m, 'and how many hold');
	is((sql($db, $d, "SELECT hit FROM limit_lock WHERE id = 'trap:$bob' AND delta = 60"))[0][0],
	    1, 'it is to be reported');
	$d->ends_well;
}

# While the database is away a lock holds in this daemon, and is recorded later.
sub memory {
	my ($db) = @_;
	my $d = start($db, rules => [rule(lock => { for => 600,
	    except_recipients => ['postmaster@example.org'] })],
	    db_error_action => 'memory');
	my ($bob, $eve) = (someone(), someone());

	is($d->ask(sasl_username => $bob), 'dunno', 'the database is there');
	hit($d, sasl_username => $eve);
	my $back = database_away($d, $db);
	is($d->ask(sasl_username => $eve), $locked, 'a lock that is known holds');
	is($d->ask(sasl_username => $bob), 'dunno', 'from memory');
	is($d->ask(sasl_username => $bob), $full, 'a hit');
	is($d->ask(sasl_username => $bob), $locked, 'locks here');
	is($d->ask(sasl_username => $bob, recipient => 'postmaster@example.org'), 'dunno',
	    'what passes does') for 1 .. 10;
	is($d->ask(sasl_username => $bob, recipient => 'postmaster@example.org'), $locked,
	    'ten times');
	$back->();
	my $count = sub { (sql($db, $d, "SELECT count(*) FROM mail_override WHERE kind = 3" .
	    " AND id = 'login:$bob'"))[0][0] };
	ok(wait_until { $d->ask(sasl_username => someone()); eval { $count->() } },
	    'the lock is recorded later');
	ok($d->wait_log(qr/what was locked without the database is recorded: 1 lock$/m),
	    'as the log says') or diag $d->log;
	ok(wait_until { ((sql($db, $d, "SELECT sum(recipient_count) FROM mail_count" .
	    " WHERE id = 'lock/login:$bob'"))[0][0] // 0) == 10 }, 'and what passed');
	is((sql($db, $d, "SELECT sum(recipient_count) FROM mail_count WHERE id = 'trap:$bob'"))
	    [0][0], 2, 'which counts for no rule');
	is($d->ask(sasl_username => $bob), $locked, 'it holds on');
	$d->restart;
	is($d->ask(sasl_username => $bob), $locked, 'after a restart too');
	is(lasts($d, "login:$bob"), 600, 'since the hit');
	$d->ends_well;
}

# The rule has learned for 15 days, and what was counted then counts no longer.
sub age {
	my ($db, $d) = @_;
	my $by = 15 * 86400;

	sql($db, $d, "UPDATE mail_habit SET since = since - $by, seen = seen - $by");
	sql($db, $d, "DELETE FROM mail_count");
}

# A rule that counts new recipients locks the login in networks that are unfamiliar to it.
sub unfamiliar {
	my ($db) = @_;
	my $day = 86400;
	my @rules = ({ name => 'habit', key => 'sasl_username', count => 'new_recipients',
	    unfamiliar => 7 * $day, limits => [[2, $day]], report => True, lock => { for => 600,
	    action => 'REJECT {rule} closed {id}', except_recipients => ['postmaster@example.org'] } },
	    { name => 'volume', key => 'sasl_username', limits => [[30, 3600]], lock => { for => 60 } });
	my ($one, $two) = two_daemons($db, rules => \@rules, report => True);
	my ($bob, $n) = (someone(), 0);
	my $to = sub {
		my ($d, $client, $recipient, %more) = @_;
		return $d->ask(sasl_username => $bob, protocol_state => 'RCPT', recipient_count => 0,
		    client_address => $client, recipient => $recipient, instance => 'u' . ++$n, %more);
	};
	my $strangers = sub {
		my ($d, $client, $many) = @_;
		return join ' ', map { $to->($d, $client, "s" . ++$n . '@example.com') } 1 .. $many;
	};
	my $home = '192.0.2.1';
	my $shut = "REJECT habit closed $bob";

	is($strangers->($one, $home, 1), 'dunno', 'the owner at home');
	is($to->($one, $home, 'carol@example.com'), 'dunno', 'writes to Carol');
	age($db, $one);
	is($strangers->($one, '198.51.100.1', 3), "dunno dunno $full", 'a hit elsewhere');
	is($strangers->($one, '203.0.113.5', 1), $shut, 'locks all networks that are unfamiliar');
	is($to->($one, '203.0.113.5', 'carol@example.com'), $shut, 'known recipients too');
	is($to->($one, 'unknown', 'carol@example.com'), $shut, 'an unknown address too');
	is($strangers->($one, $home, 2), 'dunno dunno', 'and no network that is familiar');
	ok(wait_until { $strangers->($two, '203.0.113.5', 1) eq $shut }, 'the other daemon likewise');
	is($strangers->($two, $home, 2), 'dunno dunno', 'in both respects');
	is($to->($one, '203.0.113.5', 'postmaster@example.org'), 'dunno', 'a recipient that passes');
	is(lasts($one, "unfamiliar:$bob"), 600, 'it is listed');
	ok($one->wait_log(qr/ locked: what=<unfamiliar:\Q$bob\E> until=\d+ id=<habit:/), 'and logged');
	ok($one->wait_log(qr/ blocked: by=<unfamiliar:\Q$bob\E> until=\d+ rule=habit /), 'so is whom it refuses');
	like((ctl($one, 'show', $bob))[1], qr/^unfamiliar:\Q$bob\E locked until .*, by rule habit$/m,
	    'show says so');
	my @ask = ('explain', 'protocol_state=RCPT', "sasl_username=$bob", 'recipient=x@example.com');
	like((ctl($one, @ask, 'client_address=203.0.113.5'))[1],
	    qr/\Ablocked: a lock holds for networks that are unfamiliar to its rule\naction=\Q$shut\E\n/,
	    'so does explain');
	like((ctl($one, @ask, "client_address=$home"))[1], qr/\Aaccepted: all windows hold\n/,
	    'and that home is open');
	is((sql($db, $one, "SELECT sum(hit) FROM limit_lock WHERE id = 'habit:$bob'"))[0][0], 1,
	    'it is reported');

	# A refusal by the lock is one of the rule.
	is((ctl($one, 'trust', $bob, '203.0.113.0/24'))[0], 0, 'trust');
	is($strangers->($one, '203.0.113.5', 1), 'dunno', 'opens a network');
	sql($db, $one, "UPDATE mail_habit SET since = " . (int(time) - 6 * $day) .
	    " WHERE since < " . (int(time) - 6 * $day) . " AND kind = 0");
	is($strangers->($one, '203.0.113.5', 1), $shut, 'one that is too young is closed');
	sql($db, $one, "UPDATE mail_habit SET since = since - 6 * $day WHERE kind = 0");
	is($strangers->($one, '203.0.113.5', 1), $shut, 'from the refusal on');

	# It survives, until it is ended; the other rule's lock is one of its own.
	$_->restart for $one, $two;
	is($strangers->($two, '198.51.100.1', 1), $shut, 'after a restart');
	is((ctl($one, 'trust', $bob, $home))[0], 0, 'trust');
	$strangers->($one, $home, 30);
	is($to->($one, $home, 'carol@example.com'), $locked, 'the lock of another rule');
	is_deeply([map { $_->{what} } grep { $_->{what} =~ /:\Q$bob\E\z/ } @{ctl_json($one, 'list')->{locks}}],
	    ["login:$bob", "unfamiliar:$bob"], 'holds beside it');
	is((ctl($one, 'unblock', $bob))[0], 0, 'unblock');
	is_deeply([grep { $_->{what} =~ /:\Q$bob\E\z/ } @{ctl_json($one, 'list')->{locks}}], [],
	    'ends both');
	is($strangers->($one, '198.51.100.1', 2), "$full $full", 'the full window does not lock again');
	is(lasts($one, "unfamiliar:$bob"), undef, 'so nothing is listed');
	$_->ends_well for $one, $two;
}

# The same rule in shadow; without a database; and ended by the name that the list has.
sub unfamiliar_otherwise {
	my ($db) = @_;
	my $day = 86400;
	my $rule = { name => 'habit', key => 'sasl_username', count => 'new_recipients',
	    unfamiliar => 7 * $day, limits => [[1, $day]], lock => { for => 600 }, shadow => True };
	my $d = start($db, rules => [$rule], db_error_action => 'memory');
	my ($bob, $n) = (someone(), 0);
	my $stranger = sub {
		my ($client) = @_;
		return $d->ask(sasl_username => $bob, protocol_state => 'RCPT', recipient_count => 0,
		    client_address => $client // '198.51.100.9', recipient => $n++ . $bob);
	};

	is($stranger->('192.0.2.1'), 'dunno', 'the owner at home');
	age($db, $d);
	is($stranger->(), 'dunno', 'shadow') for 1, 2;
	ok($d->wait_log(qr/ would lock: what=<unfamiliar:\Q$bob\E> id=<habit:/), 'logs the lock');
	is_deeply([grep { $_->{what} =~ /\Q$bob/ } @{ctl_json($d, 'list')->{locks}}], [], 'alone');
	$d->write_config({ rules => [{ %$rule, shadow => False }] });
	is((ctl($d, 'reload'))[0], 0, 'without shadow');
	is($stranger->(), $full, 'a hit');
	is($stranger->(), $locked, 'locks');
	is((ctl($d, 'block', "unfamiliar:$bob", '1h'))[0], 3, 'a block of that form is refused');
	is((ctl($d, 'unblock', "unfamiliar:$bob"))[0], 0, 'but unblock');
	is($stranger->(), $full, 'the full window locks nothing');
	is((ctl($d, 'reset', "habit:$bob"))[0], 0, 'reset');
	# What is charged in the second of the end cannot lock.
	my $second = int time;
	wait_until { time >= $second + 1 };
	is($stranger->(), 'dunno', 'there is room');
	is($stranger->(), $full, 'a hit');
	is($stranger->(), $locked, 'locks again');
	$d->write_config({ rules => [{ %$rule, shadow => False, name => 'other', was => ['habit'] }] });
	is((ctl($d, 'reload'))[0], 0, 'under another name');
	is($stranger->(), $locked, 'it holds');
	my $back = database_away($d, $db);
	ok(wait_until { $stranger->() eq 'dunno' }, 'without the database the rule is not applied');
	$back->();
	ok(wait_until { $stranger->() eq $locked }, 'and with it the lock holds');
	$d->write_config({ rules => [{ name => 'x', key => 'sasl_username', limits => [[99, 60]] }] });
	is((ctl($d, 'reload'))[0], 0, 'the rule is gone');
	is($stranger->(), 'dunno', 'no rule says which networks are familiar');
	$d->ends_well;
}

# --clean deletes what has ended, but not what a lock leaves behind for the next one.
sub cleaned {
	my ($db) = @_;
	my $d = start($db, rules => [rule(lock => { for => 600, again => 1200 }, limits => [[0, 60]])]);
	my ($now, $day) = (int time, 86400);
	my $end = sub { return sql($db, $d, "UPDATE mail_override SET expires = expires - $_[0], " .
	    "since = since - $_[0], amount = CASE kind WHEN 4 THEN amount - $_[0] ELSE amount END") };
	my $kinds = sub { return join ' ', map { "$_->[0]:$_->[1]" } sql($db, $d,
	    'SELECT kind, id FROM mail_override ORDER BY kind, id') };
	my ($bob, $eve) = map { someone() } 1, 2;

	sql($db, $d, 'DELETE FROM mail_override');
	is($d->ask(sasl_username => $bob), $full, 'a hit');
	is((ctl($d, 'block', 'spammer', '600'))[0], 0, 'a block');
	is((ctl($d, 'grant', "trap:$eve", 5, '3d'))[0], 0, 'a grant');
	$d->stop;
	my $all = "0:trap:$eve 2:login:spammer 3:login:$bob 4:login:$bob";
	is(($d->run('--clean'))[0], 0, '--clean');
	is($kinds->(), $all, 'what holds stays');
	$end->(3600);
	is(($d->run('--clean'))[0], 0, '--clean');
	is($kinds->(), $all, 'what has just ended too');
	$end->(2 * $day);
	is(($d->run('--clean'))[0], 0, '--clean');
	is($kinds->(), "0:trap:$eve 4:login:$bob", 'block and lock are deleted a day later');
	$d->start;
	is($d->ask(sasl_username => $bob), $full, 'a hit within 30 days');
	is(lasts($d, "login:$bob"), 1200, 'locks for longer');
	$d->stop;
	$end->(33 * $day);
	is(($d->run('--clean'))[0], 0, '--clean');
	is($kinds->(), '', 'after 30 days nothing is left');
}

my @tests = (['under all rules' => \&all_rules], ['its end' => \&ends],
    [unblock => \&unblocked], ['unseen by the other daemon' => \&unseen],
    ['by key' => \&by_key], ['values' => \&values_lock], ['hits' => \&kinds_of_hits],
    ['only logs' => \&only_logs], ['mail that passes' => \&passes], ['many' => \&many],
    ['what it outlives' => \&outlives], ['counted' => \&counted], [clean => \&cleaned], ['unfamiliar networks' => \&unfamiliar],
    ['unfamiliar networks otherwise' => \&unfamiliar_otherwise], ['memory' => \&memory]);

for my $kind (@ARGV ? $ARGV[0] : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind);

		for (@tests) {
			my ($name, $code) = @$_;
			next if @ARGV > 1 && $name !~ $ARGV[1];
			subtest $name => sub { $code->($db) };
			$db->sql('DELETE FROM mail_override') if $db;
		}
		$db->stop if $db;
	};
}

done_testing();
