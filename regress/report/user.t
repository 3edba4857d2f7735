#!/usr/bin/perl
# report_user: a user gets a mail when his login is limited, once a day, from one of
# several daemons, with each database; no client can make it send to other addresses.

use strict;
use warnings;

use IO::Socket::IP;
use MIME::QuotedPrint;
use Test::More;

use Ctl qw(ctl);
use Database;
use Policyd qw(True False freeze wait_until);
use Report;
use Smtpd;

Smtpd->needed;

my $domain = 'users.example';

sub start {
	my ($s, $db, %settings) = @_;

	return Policyd->start(config => {
		limits => [[1, 86400]], fail_action => 'reject full', report => True,
		report_user => '{id}', report_user_domains => [$domain],
		smtp_server => ['127.0.0.1', $s->port],
		$db ? $db->config : (), %settings });
}

# A mail of the login, and one that is refused.
sub limited {
	my ($d, $login, %more) = @_;

	$d->ask(sasl_username => $login, %more) for 1 .. 2;
}

sub recipients {
	my ($s) = @_;

	return map { join ',', @{$_->{to}} } $s->mails;
}

# Connections to the port until its queue is full.
sub fill {
	my ($port) = @_;
	my @sockets;

	while (@sockets < 100) {
		my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port,
		    Blocking => 0) or die "connect: $@";
		push @sockets, $socket;
		my $connected = '';
		vec($connected, fileno($socket), 1) = 1;
		last if !select(undef, $connected, undef, 0.5);
	}
	return @sockets;
}

# Notices are claimed in order: when this login's mail arrives, earlier ones are decided.
sub told_last {
	my ($d, $s, $name) = @_;

	limited($d, "$name\@$domain");
	return ok(wait_until { grep { $_ eq "$name\@$domain" } recipients($s) }, "$name is told");
}

sub told_once {
	my ($db) = @_;
	my $s = Smtpd->start;
	my $d = start($s, $db);
	my $other = start($s, $db, $db ? () : (sqlite_config => { database => $d->database }));

	limited($d, "Bob\@$domain", sender => 'secret@sender.example',
	    recipient => 'to@victim.example', client_address => '192.0.2.77', queue_id => 'Q7');
	ok(wait_until { () = $s->mails }, 'the user gets a mail');
	my ($mail) = $s->mails;
	is($mail->{from}, '', 'the sender is null');
	is_deeply($mail->{to}, ["bob\@$domain"], "the recipient is the user's address");
	like($mail->{data}, qr/^Auto-Submitted: auto-generated$/m,
	    'the mail has Auto-Submitted');
	like($mail->{data}, qr/^To: bob\@\Q$domain\E$/m, "To has the user's address");
	my $text = decode_qp($mail->{data});
	like($text, qr/The account bob\@\Q$domain\E of .* its limit on outgoing mail: 1 per day\./,
	    'the text says what happened');
	unlike($text, qr/secret|victim|192\.0\.2|Q7/,
	    'the text has no data of the refused mail');

	$_->ask(sasl_username => "bob\@$domain") for ($d, $other) x 3;
	told_last($other, $s, 'ann');
	told_last($d, $s, 'amy');
	is(scalar(grep { /^bob/ } recipients($s)), 1, 'two daemons send one mail');
	$_->restart for $d, $other;
	$_->ask(sasl_username => "bob\@$domain") for $d, $other;
	told_last($_->[0], $s, $_->[1]) for [$other, 'zoe'], [$d, 'zac'];
	is(scalar(grep { /^bob/ } recipients($s)), 1,
	    'no second mail is sent after a restart');

	($db // $d)->sql('UPDATE mail_notice SET date = date - 86401');
	$d->restart;
	$d->ask(sasl_username => "bob\@$domain");
	ok(wait_until { (grep { /^bob/ } recipients($s)) == 2 },
	    'the next mail is sent a day later');
	$_->ends_well for $d, $other;
}

sub at_once {
	my ($db) = @_;
	my $s = Smtpd->start;
	my @d = (start($s, $db));
	push @d, start($s, $db, $db ? () : (sqlite_config => { database => $d[0]->database }));
	my @logins = map { "u$_\@$domain" } 1 .. 12;

	for my $login (@logins) {
		limited($_, $login) for @d;
	}
	ok(wait_until { my %seen = map { $_ => 1 } recipients($s); keys %seen == @logins },
	    'every user gets a mail');
	told_last($d[0], $s, 'v1');
	told_last($d[1], $s, 'v2');
	is_deeply([sort(recipients($s))], [sort @logins, "v1\@$domain", "v2\@$domain"],
	    'each user gets one mail from one of the daemons');
	$_->ends_well for @d;
}

sub too_many {
	my ($db) = @_;
	my $s = Smtpd->start;
	my $d = start($s, $db, report_to => 'postmaster@example.org');
	my $now = time;

	($db // $d)->sql('DELETE FROM mail_notice');
	($db // $d)->sql('INSERT INTO mail_notice (login, date, told, claim) VALUES ' .
	    join ', ', map { "('full$_', $now, 1, 0)" } 1 .. 99);
	told_last($d, $s, 'hundredth');
	limited($d, "left$_\@$domain") for 1 .. 3;
	my $left = sub { join ' ', map { $_->[0] } ($db // $d)->sql(
	    'SELECT login FROM mail_notice WHERE told = 0 ORDER BY login') };
	my $want = join ' ', map { "left$_\@$domain" } 1 .. 3;
	ok(wait_until { $left->() eq $want }, 'further users are left for the report');
	is(join(' ', recipients($s)), "hundredth\@$domain", 'further users get no mail');
	is((ctl($d, 'report'))[0], 0, 'policyctl report succeeds');
	my ($report) = grep { $_->{to}[0] =~ /^postmaster/ } $s->mails;
	my $lines = $want =~ s{ }{\n}gr;
	like(decode_qp($report->{data}), qr/^Not told by mail, .*:\n\n$lines\n/m,
	    'the report names them');
	ok(wait_until { $left->() eq '' }, 'the report names them once');
	($db // $d)->sql('UPDATE mail_notice SET date = date - 3601 WHERE told = 1');
	told_last($d, $s, 'later');
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		Report->needed if $kind eq 'sqlite';
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind);

		subtest 'one mail a day' => sub { told_once($db) };
		subtest 'two daemons at once' => sub { at_once($db) };
		subtest 'at most 100 in an hour' => sub { too_many($db) };
		$db->stop if $db;
	};
}

# Logins that try to inject into an envelope, a header or a path.
my $long = 'x' x 65;
my @hostile = (
	"eve\@stranger.example", "eve\@sub.$domain", "eve\@$domain.stranger.example", "eve\@x$domain",
	"eve\@stranger.example\@$domain", "eve\@$domain\@stranger.example",
	"eve%stranger.example\@$domain", "stranger.example!eve\@$domain",
	"\@stranger.example:eve\@$domain", "eve,x\@stranger.example\@$domain", "eve,x\@$domain",
	"eve\@$domain,x\@stranger.example", "eve\@$domain x\@stranger.example",
	"eve\@$domain>\r\nRCPT TO:<x\@stranger.example", "eve\r\nBcc: x\@stranger.example\@$domain",
	"eve\@$domain\rx", "eve\@$domain\0.stranger.example", "\0eve\@$domain",
	"\"eve\"\@$domain", "\"eve\@stranger.example\"\@$domain", "e ve\@$domain", " eve\@$domain",
	"eve\t\@$domain", "<eve\@$domain>", "eve(x)\@$domain", "eve\\\@$domain",
	"e\xc3\xa4ve\@$domain", "eve\@\xd1\x83sers.example", "eve\@users\xe3\x80\x82example",
	"\xffeve\@$domain", "$long\@$domain", 'y' x 300 . "\@$domain", "eve\@" . 'z' x 300,
	"-eve\@$domain", ".eve\@$domain", "eve.\@$domain", "e..ve\@$domain", "|eve\@$domain",
	"/eve\@$domain", "eve\@[192.0.2.1]", "eve\@$domain.", "eve\@.$domain", '@' . $domain, 'eve', '@',
	"{id}", "{domain}\@$domain", "eve\@{domain}",
);

subtest 'hostile logins' => sub {
	Report->needed;
	for my $template ('{id}', 'postmaster@{domain}', '{id}@' . $domain) {
		my $s = Smtpd->start;
		my $d = start($s, undef, report_user => $template);

		for my $login (@hostile) {
			# An LF ends the attribute; the rest is not an attribute.
			limited($d, $login);
		}
		ok($d->alive, "$template: the daemon lives");
		my $last = $template eq '{id}@' . $domain ? 'last' : "last\@$domain";
		limited($d, $last);
		my $to = $template =~ /^postmaster/ ? "postmaster\@$domain" : "last\@$domain";
		ok(wait_until { grep { $_ eq $to } recipients($s) },
		    'a valid login gets a mail');
		is((ctl($d, 'clean'))[0], 0, 'clean, which waits for the job under way');
		my %allowed = map { ($_ => 1) } $to,
		    $template eq '{id}@' . $domain ? ("eve\@$domain") : ();
		is_deeply([grep { !$allowed{$_} } recipients($s)], [],
		    'no other address gets a mail');
		my $said = $s->transcript;
		unlike($said, qr/^C: RCPT TO:<(?![\w.-]+\@\Q$domain\E>$)/m,
		    'no other address appears in RCPT TO');
		is(scalar(grep { $_->{from} ne '' } $s->mails), 0,
		    'every mail has the null sender');
		$d->ends_well;
	}
};

subtest 'logins only' => sub {
	Report->needed;
	my $s = Smtpd->start;
	my $d = start($s, undef, limit_by_sender => True);

	$d->ask(sender => "forged\@$domain") for 1 .. 3;
	told_last($d, $s, 'one');
	is(join(' ', recipients($s)), "one\@$domain",
	    'a rule that counts senders sends no mail');
	$d->stop;
	$s = Smtpd->start;
	my $rules = Policyd->start(config => { report => True, report_user => '{id}',
	    report_user_domains => ["\@$domain"], smtp_server => ['127.0.0.1', $s->port],
	    report_limits => [86400], fail_action => 'reject full', rules => [
	    { name => 'from', key => 'sender', limits => [[1, 86400]] },
	    { name => 'all', key => 'server', limits => [[50, 86400]] },
	    { name => 'quiet', key => 'sasl_username', limits => [[5, 86400]], report => False },
	    { name => 'shadow', key => 'sasl_username', limits => [[1, 86400]], shadow => True },
	    { name => 'near', key => 'sasl_username', limits => [[4, 86400]], warn_at => 50 },
	    { name => 'pair', key => ['sasl_username', 'client_address'],
	    limits => [[1, 86400]], only => { client_address => ['192.0.2.9'] } }] });

	$rules->ask(sasl_username => "two\@$domain", sender => "forged\@$domain") for 1 .. 2;
	$rules->ask(sasl_username => "two\@$domain", sender => "x\@$domain", recipient_count => 49);
	$rules->ask(sasl_username => "three\@$domain", sender => "s$_\@$domain") for 1 .. 2;
	ok(wait_until { () = $s->mails }, 'a warning is sent to the user');
	$rules->ask(sasl_username => "four\@$domain", sender => "t$_\@$domain",
	    client_address => '192.0.2.9') for 1 .. 2;
	ok(wait_until { (() = $s->mails) == 2 }, 'a rule with login and address sends a mail');
	is(join(' ', recipients($s)), "three\@$domain four\@$domain",
	    'no mail is sent for rules with another key, in shadow or without a report');
	my ($near) = $s->mails;
	like($near->{data}, qr/^Subject: Limit on outgoing mail nearly reached$/m,
	    'the subject of a warning says nearly reached');
	$rules->ends_well;
};

subtest 'the mail server refuses' => sub {
	Report->needed;
	my $s = Smtpd->start;
	my $busy = Smtpd->start(reply => { RCPT => '450 4.2.1 later' });
	my $d = start($busy, undef);

	limited($d, "bob\@$domain");
	ok($d->wait_log(qr/a user was not told by mail: .*450 4\.2\.1 later/),
	    'the failure is logged');
	ok($d->wait_log(qr/ report \(process \d+\) ended$/m), 'the attempt has ended');
	is((ctl($d, 'clean'))[0], 0, 'clean, which would wait for another attempt');
	is(() = $busy->transcript =~ /^X: connected$/mg, 1, 'there is no other attempt yet');
	is($d->ask(sasl_username => 'eve'), 'dunno', 'the daemon decides');
	$d->write_config({ smtp_server => ['127.0.0.1', $s->port] });
	is((ctl($d, 'reload'))[0], 0, 'a reload, after which it is tried again');
	ok(wait_until { () = $s->mails }, 'the user gets a mail after the reload');
	ok($d->wait_log(qr/the user was told by mail: sasl_username=bob\@\Q$domain\E$/m),
	    'the sent mail is logged');
	$d->ends_well;
};

subtest 'report_user is removed and set again' => sub {
	Report->needed;
	my $s = Smtpd->start;
	my $busy = Smtpd->start(reply => { RCPT => '450 4.2.1 later' });
	my $d = start($busy, undef);

	limited($d, "bob\@$domain");
	ok($d->wait_log(qr/a user was not told by mail: .*450 4\.2\.1 later/),
	    'the failure is logged');
	$d->write_config({ report_user => undef });
	is((ctl($d, 'reload'))[0], 0, 'a reload without it');
	$d->write_config({ report_user => '{id}', smtp_server => ['127.0.0.1', $s->port] });
	is((ctl($d, 'reload'))[0], 0, 'a reload with it');
	ok(wait_until { () = $s->mails }, 'the user gets the mail');
	$d->ends_well;
};

# The process that sends a mail keeps its settings; what it fails at may be mended by then.
subtest 'a reload while the mail server refuses' => sub {
	Report->needed;
	my $s = Smtpd->start;
	my $busy = Smtpd->start(hold => 'RCPT', reply => { RCPT => '450 4.2.1 later' });
	my $d = start($busy, undef);

	limited($d, "bob\@$domain");
	ok($busy->holds, 'a mail is being sent');
	$d->write_config({ smtp_server => ['127.0.0.1', $s->port] });
	is((ctl($d, 'reload'))[0], 0, 'a reload');
	$busy->release;
	ok(wait_until { () = $s->mails }, 'the mail is sent to the new server at once');
	$d->ends_well;
};

# What a report wanted is not sent to the next one, which may be for something else: the
# ledger reads that it is wanted only after the report has died.
subtest 'a report after one that died' => sub {
	Report->needed;
	plan(skip_all => 'no /proc') if !-d '/proc/self/fd';
	my $s = Smtpd->start;
	my $d = start($s, undef, report_to => ['postmaster@ops.example'], debug => True);
	my $ledger = $d->child('ledger-sqlite');
	my $open = sub { return scalar(my @fds = glob "/proc/$ledger/fd/*") };
	my $before = $open->();

	# Its queue is full: the report waits in connect(2).
	freeze($s->{pid});
	my @waiting = fill($s->port);
	limited($d, "bob\@$domain");
	ok(wait_until { $d->child('report') && $open->() > $before },
	    'the ledger has its channel to the report');
	freeze($ledger);
	close $_ for @waiting;
	kill CONT => $s->{pid};
	ok($d->wait_log(qr/ report \(process \d+\) is ready/), 'the report is ready');
	kill KILL => $d->child('report');
	ok($d->wait_log(qr/a user was not told by mail/), 'it dies');
	kill CONT => $ledger;
	is($d->ask(sasl_username => 'eve'), 'dunno', 'the ledger goes on');
	is((ctl($d, 'report'))[0], 0, 'a report to the administrator');
	is((recipients($s))[0], 'postmaster@ops.example', 'is sent to the administrator');
	$d->ends_well;
};

subtest 'configuration' => sub {
	my $check = sub {
		my ($text) = @_;
		my $d = Policyd->new(config => $text);
		return $d->run('-n');
	};
	for my $bad ('report_user = "postmaster@example.org"', 'report_user = "{id}, x@y.example"',
	    'report_user = "{id}\r\nBcc: x@y.example"', 'report_user = "{login}@example.org"',
	    'report_user = "<{id}>"', 'report_user = "{domain}"', 'report_user = 1',
	    'report_user_domains = "example.org"', 'report_user_domains = ["a b.example"]',
	    'report_user_domains = ["x@example.org"]', 'report_user_domains = [1]') {
		my ($status, undef, $err) = $check->("$bad\n");
		is($status, 5, "$bad: -n exits with 5");
		like($err, qr/:1:\d+: error: report_user/, 'the error has line and column');
	}
	my ($status, undef, $err) = $check->("report = True\nreport_user = \"{id}\"\n" .
	    "report_user_domains = [\"example.org\"]\n");
	is($status, 0, 'a valid report_user is accepted');
	unlike($err, qr/report_user/, 'a valid report_user causes no warning');
};

done_testing();
