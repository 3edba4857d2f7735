#!/usr/bin/perl
# Rules with count = new_recipients in a running daemon: restart, reload, two daemons,
# and no database.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl);
use Fault qw(db_timeout);
use Policyd qw(freeze wait_until need have_command True);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

my $day = 86400;
my $next = 0;

sub rules {
	my (%more) = @_;

	return rules => [{ name => 'habit', key => 'sasl_username', count => 'new_recipients',
	    unfamiliar => 7 * $day, limits => [[3, $day]], action => 'reject strangers', %more }];
}

sub rcpt {
	my ($d, $client, $to, %more) = @_;

	return $d->ask(protocol_state => 'RCPT', sasl_username => 'bob', client_address => $client,
	    recipient => $to, recipient_count => 0, %more);
}

# Returns the answers to $n requests, each for another new recipient.
sub strangers {
	my ($d, $client, $n) = @_;

	return join ' ', map { rcpt($d, $client, 's' . $next++ . '@example.com') } 1 .. $n;
}

# Makes everything that the rule has learned older.
sub age {
	my ($d, $days, $of) = @_;

	$d->sql("UPDATE mail_habit SET since = since - $days * $day, seen = seen - $days * $day",
	    $of // $d->database);
	$d->sql("UPDATE mail_count SET date = date - $days * $day", $of // $d->database);
}

subtest 'owner-and-thief' => sub {
	my $d = Policyd->start(config => { rules() });

	is(strangers($d, '192.0.2.1', 4), 'dunno dunno dunno dunno',
	    'a new rule accepts every recipient');
	$d->wait_log(qr/would refuse: .*rule="?habit/);
	like((ctl($d, qw(explain sasl_username=bob protocol_state=RCPT client_address=192.0.2.1),
	    'recipient=new@example.com'))[1], qr/which\s+would\s+refuse\s+but\s+only\s+learns/,
	    'explain says that it only learns');
	rcpt($d, '192.0.2.1', 'carol@example.com');
	age($d, 15);
	is(strangers($d, '192.0.2.200', 5), 'dunno dunno dunno dunno dunno',
	    'new recipients from a familiar network are accepted');
	is(strangers($d, '198.51.100.1', 5), 'dunno dunno dunno reject strangers reject strangers',
	    'from an unfamiliar network the limit applies');
	is(strangers($d, '2001:db8::1', 1), 'reject strangers',
	    'and from a second unfamiliar network');
	is(rcpt($d, '198.51.100.1', 'Carol@Example.com'), 'dunno',
	    'a known recipient is accepted from an unfamiliar network');
	is(rcpt($d, 'unknown', 'carol@example.com'), 'dunno',
	    'a known recipient is accepted without a client address');
	is(strangers($d, '192.0.2.3', 1), 'dunno',
	    'the familiar network is still not limited');

	my (undef, $explain) = ctl($d, qw(explain sasl_username=bob protocol_state=RCPT),
	    'client_address=198.51.100.1', 'recipient=new@example.com');
	like($explain, qr/network <198\.51\.100\.0\/24> is unfamiliar: .* too recent; familiar in 7 d/,
	    'explain says why the request is refused');
	like($explain, qr/recipient is new\n/, 'explain says that the recipient is new');
	(undef, $explain) = ctl($d, qw(explain sasl_username=bob protocol_state=RCPT),
	    'client_address=192.0.2.77', 'recipient=carol@example.com');
	like($explain, qr/network <192\.0\.2\.0\/24> is familiar: .*\n *recipient is known\n/,
	    'explain says why the request is accepted');

	my ($status, $out, $err) = ctl($d, qw(trust bob 203.0.113.9));
	is("$status $out$err", "0 familiar to habit:bob from 203.0.113.0/24\n", 'trust');
	is(strangers($d, '203.0.113.200', 2), 'dunno dunno', 'that network is familiar');
	($status, $out, $err) = ctl($d, qw(forget bob 1h));
	is("$status $out$err", "0 forgotten for habit:bob\n", 'forget');
	is(rcpt($d, '198.51.100.1', "s@{[$next - 1]}\@example.com"), 'reject strangers',
	    'who was learned since is new');
	is(rcpt($d, '198.51.100.1', 'carol@example.com'), 'dunno', 'who was learned before is not');
	is((ctl($d, @$_))[0], 3, "@$_") for [qw(trust bob 10.0.0.0/8)], [qw(trust bob bogus)],
	    [qw(trust 192.0.2.1 192.0.2.1)], [qw(forget 192.0.2.1 1h)];
	is((ctl($d, @$_))[0], 1, "@$_") for [qw(forget bob yesterday)], [qw(forget bob 2099-01-01)],
	    [qw(trust bob)];

	my (undef, $metrics) = ctl($d, 'metrics', '-p');
	like($metrics, qr/^policyd_rate_limit_ledger_learned(?:_total)? [1-9]\d*$/m,
	    'metrics: how many were learned');
	like($metrics, qr/^policyd_rate_limit_rule_refusals(?:_total)?\{rule="habit"\} [1-9]/m,
	    'how many were refused');
	like($metrics, qr/^policyd_rate_limit_rule_shadow_refusals(?:_total)?\{rule="habit"\} [1-9]/m,
	    'and would have been while it learned');
	ok($d->restart, 'the daemon restarts');
	is(strangers($d, '198.51.100.1', 1), 'reject strangers',
	    'the unfamiliar network is still refused');
	is(strangers($d, '192.0.2.3', 1), 'dunno', 'the familiar network is still accepted');
	$d->write_config({ rules(limits => [[4, $day]]) });
	my $mark = $d->log_mark;
	$d->signal('HUP');
	wait_until { $d->log_since($mark) =~ /configuration is in force/ };
	is(strangers($d, '198.51.100.1', 2), 'dunno reject strangers', 'a reload changes the limit');
	# The same rule under another name.
	$d->write_config({ rules(limits => [[4, $day]], name => 'strangers', was => ['habit']) });
	$mark = $d->log_mark;
	$d->signal('HUP');
	wait_until { $d->log_since($mark) =~ /configuration is in force/ };
	is(strangers($d, '198.51.100.1', 1), 'reject strangers', 'another name changes nothing');
	is(strangers($d, '192.0.2.3', 2), 'dunno dunno', 'the network is familiar');
	is(rcpt($d, '198.51.100.1', 'carol@example.com'), 'dunno', 'and a recipient known');
	$d->ends_well;
};

subtest 'two-daemons' => sub {
	my $first = Policyd->start(config => { rules() });
	my $second = Policyd->start(name => 'second', config => { rules(),
	    sqlite_config => { database => $first->database } });

	rcpt($first, '192.0.2.1', 'carol@example.com');
	age($first, 15);
	is(strangers($second, '192.0.2.1', 4), 'dunno dunno dunno dunno',
	    'both daemons share what the rule has learned');
	is(strangers($first, '198.51.100.1', 2), 'dunno dunno',
	    'the first daemon accepts two new recipients');
	is(strangers($second, '198.51.100.1', 2), 'dunno reject strangers',
	    'the second daemon accepts one more, the limit is 3');
	is(rcpt($second, '198.51.100.1', "s@{[$next - 4]}\@example.com"), 'dunno',
	    'a recipient charged by the other daemon is accepted');
	$second->ends_well;
	$first->ends_well;
};

# At DATA and END-OF-MESSAGE.
subtest 'later-stages' => sub {
	my $d = Policyd->start(config => { rules() });
	my @mail = (protocol_state => 'DATA', sasl_username => 'bob',
	    client_address => '198.51.100.1', recipient => '');

	rcpt($d, '192.0.2.1', 'carol@example.com');
	age($d, 15);
	is($d->ask(@mail, recipient_count => 3, instance => 'a.1'), 'dunno',
	    'three new recipients at DATA are accepted');
	is($d->ask(@mail, recipient_count => 3, instance => 'a.1',
	    protocol_state => 'END-OF-MESSAGE'), 'dunno',
	    'at END-OF-MESSAGE the same mail is not charged again');
	is($d->ask(@mail, recipient_count => 2, instance => 'a.2'), 'reject strangers',
	    'a mail with two more new recipients is refused');
	is($d->ask(@mail, recipient_count => 1, recipient => 'carol@example.com',
	    instance => 'a.3'), 'dunno', 'a mail with a known recipient is accepted');
	age($d, 2);
	is(rcpt($d, '198.51.100.1', $_, instance => 'a.4'), 'dunno', "$_ at RCPT")
	    for qw(x@example.com y@example.com z@example.com);
	is($d->ask(@mail, recipient_count => 3, instance => 'a.4'), 'dunno',
	    'recipients charged at RCPT are not charged again at DATA');

	# Postfix counts a recipient twice that is named twice.
	age($d, 2);
	my $charged = sub { ($d->sql("SELECT coalesce(sum(recipient_count), 0) FROM mail_count " .
	    "WHERE instance = '$_[0]'"))[0][0] };
	is(rcpt($d, '198.51.100.1', 'w@example.com', instance => 'a.5'), 'dunno', 'a new recipient')
	    for 1, 2;
	is($d->ask(@mail, recipient_count => 2, instance => 'a.5'), 'dunno', 'that is repeated');
	is($charged->('a.5'), 1, 'is charged once');
	is($d->ask(@mail, recipient_count => 3, instance => 'a.5'), 'dunno', 'one beside it');
	is($charged->('a.5'), 2, 'too');

	# What cost nothing at RCPT is known to the process alone.
	is(rcpt($d, '198.51.100.1', $_, instance => 'a.6'), 'dunno', "$_ is known")
	    for qw(w@example.com carol@example.com);
	is($d->ask(@mail, recipient_count => 2, instance => 'a.6'), 'dunno', 'both at DATA');
	is($charged->('a.6'), 0, 'cost nothing');
	age($d, 2);
	is(rcpt($d, '198.51.100.1', $_, instance => 'a.7'), 'dunno', "$_ is known")
	    for qw(w@example.com carol@example.com);
	is(rcpt($d, '198.51.100.1', 'v@example.com', instance => 'a.7'), 'dunno', 'one is new');
	$d->restart;
	is($d->ask(@mail, recipient_count => 3, instance => 'a.7'), 'dunno', 'DATA after a restart');
	is($charged->('a.7'), 3, 'counts the known ones too, and the new one once');
	$d->ends_well;
};

# Without a database the rule is not applied; the log says so once.
subtest 'no-database' => sub {
	my $d = Policyd->start(config => { rules(), db_error_action => 'memory' });

	rcpt($d, '192.0.2.1', 'carol@example.com');
	age($d, 15);
	is(strangers($d, '198.51.100.1', 4), 'dunno dunno dunno reject strangers',
	    'with a database the limit applies');
	ok(db_timeout($d, 0.5), 'requests wait for a shorter time');
	my $mark = $d->log_mark;
	freeze($d->child('ledger-sqlite'));
	is(strangers($d, '198.51.100.1', 3), 'dunno dunno dunno',
	    'without a database the rule is not applied');
	my $said = () = $d->log_since($mark) =~ /rule habit is not applied/g;
	is($said, 1, 'the log says so once');
	kill CONT => $d->child('ledger-sqlite');
	ok(wait_until { strangers($d, '198.51.100.1', 1) eq 'reject strangers' },
	    'the limit applies again once the database answers');
	$d->ends_well;
};

done_testing;
