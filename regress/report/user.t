#!/usr/bin/perl
# report_user: a user is told by mail that his login was limited, once a day, by one of
# several daemons, with each database; and nobody can make it write to strangers.

use strict;
use warnings;

use MIME::QuotedPrint;
use Test::More;

use Ctl qw(ctl);
use Database;
use Policyd qw(True False wait_until);
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

# Everybody who was limited before this has been looked at, as claims are in their order.
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
	ok(wait_until { () = $s->mails }, 'a user is told');
	my ($mail) = $s->mails;
	is($mail->{from}, '', 'by the null sender');
	is_deeply($mail->{to}, ["bob\@$domain"], 'at his address');
	like($mail->{data}, qr/^Auto-Submitted: auto-generated$/m, 'by a program, as it says');
	like($mail->{data}, qr/^To: bob\@\Q$domain\E$/m, 'with his address in the header');
	my $text = decode_qp($mail->{data});
	like($text, qr/The account bob\@\Q$domain\E of .* its limit on outgoing mail: 1 per day\./,
	    'what happened');
	unlike($text, qr/secret|victim|192\.0\.2|Q7/, 'and nothing of the mail');

	$_->ask(sasl_username => "bob\@$domain") for ($d, $other) x 3;
	told_last($other, $s, 'ann');
	told_last($d, $s, 'amy');
	is(scalar(grep { /^bob/ } recipients($s)), 1, 'there is one mail, with two daemons');
	$_->restart for $d, $other;
	$_->ask(sasl_username => "bob\@$domain") for $d, $other;
	told_last($_->[0], $s, $_->[1]) for [$other, 'zoe'], [$d, 'zac'];
	is(scalar(grep { /^bob/ } recipients($s)), 1, 'and after a restart');

	($db // $d)->sql('UPDATE mail_notice SET date = date - 86401');
	$d->restart;
	$d->ask(sasl_username => "bob\@$domain");
	ok(wait_until { (grep { /^bob/ } recipients($s)) == 2 }, 'the next one comes a day later');
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
	    'all are told');
	told_last($d[0], $s, 'v1');
	told_last($d[1], $s, 'v2');
	is_deeply([sort(recipients($s))], [sort @logins, "v1\@$domain", "v2\@$domain"],
	    'each by one mail, whichever daemon was first');
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
	ok(wait_until { $left->() eq $want }, 'the next ones are left for the report');
	is(join(' ', recipients($s)), "hundredth\@$domain", 'and are not told');
	is((ctl($d, 'report'))[0], 0, 'a report');
	my ($report) = grep { $_->{to}[0] =~ /^postmaster/ } $s->mails;
	my $lines = $want =~ s{ }{\n}gr;
	like(decode_qp($report->{data}), qr/^Not told by mail, .*:\n\n$lines\n/m,
	    'names them');
	ok(wait_until { $left->() eq '' }, 'once');
	($db // $d)->sql('UPDATE mail_notice SET date = date - 3601 WHERE told = 1');
	told_last($d, $s, 'later');
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		Report->needed if $kind eq 'sqlite';
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind);

		subtest 'told once' => sub { told_once($db) };
		subtest 'two daemons at once' => sub { at_once($db) };
		subtest 'at most 100 in an hour' => sub { too_many($db) };
		$db->stop if $db;
	};
}

# Everything that a login could smuggle into an envelope, a header or a path.
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
			# An LF ends the attribute, and what follows is none.
			limited($d, $login);
		}
		ok($d->alive, "$template: the daemon lives");
		my $last = $template eq '{id}@' . $domain ? 'last' : "last\@$domain";
		limited($d, $last);
		my $to = $template =~ /^postmaster/ ? "postmaster\@$domain" : "last\@$domain";
		ok(wait_until { grep { $_ eq $to } recipients($s) }, 'a good one is told');
		is((ctl($d, 'clean'))[0], 0, 'clean, which waits for the job under way');
		my %allowed = map { ($_ => 1) } $to,
		    $template eq '{id}@' . $domain ? ("eve\@$domain") : ();
		is_deeply([grep { !$allowed{$_} } recipients($s)], [], 'nobody else is written to');
		my $said = $s->transcript;
		unlike($said, qr/^C: RCPT TO:<(?![\w.-]+\@\Q$domain\E>$)/m, 'nor tried');
		is(scalar(grep { $_->{from} ne '' } $s->mails), 0, 'all by the null sender');
		$d->ends_well;
	}
};

subtest 'logins only' => sub {
	Report->needed;
	my $s = Smtpd->start;
	my $d = start($s, undef, limit_by_sender => True);

	$d->ask(sender => "forged\@$domain") for 1 .. 3;
	told_last($d, $s, 'one');
	is(join(' ', recipients($s)), "one\@$domain", 'nobody is told of a sender');
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
	ok(wait_until { () = $s->mails }, 'a warning is told');
	$rules->ask(sasl_username => "four\@$domain", sender => "t$_\@$domain",
	    client_address => '192.0.2.9') for 1 .. 2;
	ok(wait_until { (() = $s->mails) == 2 }, 'and a pair of a login and an address');
	is(join(' ', recipients($s)), "three\@$domain four\@$domain",
	    'but no rule of another key, in shadow or without a report');
	my ($near) = $s->mails;
	like($near->{data}, qr/^Subject: Limit on outgoing mail nearly reached$/m, 'its subject');
	$rules->ends_well;
};

subtest 'the mail server refuses' => sub {
	Report->needed;
	my $s = Smtpd->start;
	my $busy = Smtpd->start(reply => { RCPT => '450 4.2.1 later' });
	my $d = start($busy, undef);

	limited($d, "bob\@$domain");
	ok($d->wait_log(qr/a user was not told by mail: .*450 4\.2\.1 later/), 'the log says so');
	is($d->ask(sasl_username => 'eve'), 'dunno', 'the daemon decides');
	$d->write_config({ smtp_server => ['127.0.0.1', $s->port] });
	is((ctl($d, 'reload'))[0], 0, 'a reload, after which it is tried again');
	ok(wait_until { () = $s->mails }, 'the user is told');
	ok($d->wait_log(qr/the user was told by mail: sasl_username=bob\@\Q$domain\E$/m),
	    'as the log says');
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
		is($status, 5, "$bad: refused");
		like($err, qr/:1:\d+: error: report_user/, 'with the place');
	}
	my ($status, undef, $err) = $check->("report = True\nreport_user = \"{id}\"\n" .
	    "report_user_domains = [\"example.org\"]\n");
	is($status, 0, 'a good one');
	unlike($err, qr/report_user/, 'without a warning');
};

done_testing();
