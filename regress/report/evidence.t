#!/usr/bin/perl
# The report says from which client addresses and by which senders the refused mail of each
# id came, with each database.

use strict;
use warnings;

use MIME::QuotedPrint;
use Test::More;

use Ctl qw(ctl);
use Database;
use Policyd qw(True wait_until);
use Report;
use Smtpd;

Smtpd->needed;

sub text {
	my ($s) = @_;
	my @mails = $s->mails;

	return decode_qp($mails[-1]{data} // '');
}

sub evidence {
	my ($db) = @_;
	my $s = Smtpd->start;
	my $d = Policyd->start(config => {
		rules => [{ name => 'user', key => 'sasl_username', limits => [[1, 86400]],
		    except => { sasl_username => ['kim'] } },
		    { name => 'trial', key => 'sasl_username', limits => [[1, 86400]], shadow => True,
		    only => { sasl_username => ['kim'] } }],
		limits => \'DEFAULT', fail_action => 'reject full', report => True,
		report_to => 'postmaster@example.org', report_limits => [86400],
		smtp_server => ['127.0.0.1', $s->port], $db ? $db->config : () });
	my $mail = sub {
		my ($login, $n, $client, $sender) = @_;
		$d->ask(sasl_username => $login, client_address => $client, sender => $sender)
		    for 1 .. $n;
	};

	$mail->('bob', 1, '192.0.2.9', 'first@example.org');
	$mail->('bob', 3, '192.0.2.1', 'a@example.org');
	$mail->('bob', 1, "192.0.2.$_", "s$_\@example.org") for 2 .. 5;
	$mail->('eve', 1, '2001:db8::1', 'x@example.org');
	$mail->('eve', 2, '2001:db8::1', "\e[31m\xff\"x\"\@example.org");
	my $kept = sub { (($db // $d)->sql('SELECT sum(times) FROM mail_refusal'))[0][0] };
	ok(wait_until { ($kept->() || 0) == 9 }, 'the refusals are kept') or diag($kept->());
	is((ctl($d, 'report'))[0], 0, 'policyctl report succeeds');
	my $text = text($s);
	like($text, qr/^Where\ the\ refused\ mail\ came\ from:\n\nuser:bob\n
	    \ \ clients\ \ 192\.0\.2\.1\ \(3\),\ 192\.0\.2\.2\ \(1\),\ 192\.0\.2\.3\ \(1\)\n
	    \ \ senders\ \ a\@example\.org\ \(3\),\ s2\@example\.org\ \(1\),\ s3\@example\.org\ \(1\)\n
	    \nuser:eve\n\ \ clients\ \ 2001:db8::1\ \(2\)\n\ \ senders\ \ \\x1b\[31m\\xff"x"\@example\.org\ \(2\)\n/mx,
	    'the report lists three clients and three senders, most frequent first');
	unlike($text, qr/[\e\xff]/, 'the report has no terminal escapes');
	unlike($text, qr/192\.0\.2\.9|first\@/, 'the report names no accepted mail');

	$mail->('kim', 2, '198.51.100.7', 'k@example.org');
	ok(wait_until { $kept->() > 9 }, 'further refusals are kept');
	is(($d->run('--clean'))[0], 0, '--clean sends the next report');
	$text = text($s);
	like($text, qr/trial:kim\n  clients  198\.51\.100\.7 \(1\)\n/,
	    'the report lists refusals of shadow rules');
	unlike($text, qr/user:bob/, 'the report lists only new refusals');
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		Report->needed if $kind eq 'sqlite';
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind);

		evidence($db);
		$db->stop if $db;
	};
}

subtest 'without a history' => sub {
	Report->needed;
	my $s = Smtpd->start;
	my $d = Policyd->start(config => { limits => [[1, 86400]], history => 0, report => True,
	    report_to => 'postmaster@example.org', smtp_server => ['127.0.0.1', $s->port] });

	$d->ask(sasl_username => 'bob') for 1 .. 2;
	is((ctl($d, 'report'))[0], 0, 'policyctl report succeeds');
	like(text($s), qr/^bob +1 per day +1$/m, 'has the hit');
	unlike(text($s), qr/came from/, 'the report has no other lines');
	$d->ends_well;
};

done_testing();
