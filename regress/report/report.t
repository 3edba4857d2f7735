#!/usr/bin/perl
# The report to correct and to faulty servers: the hits are deleted only when the server
# has accepted the mail.

use strict;
use warnings;

use MIME::QuotedPrint;
use Test::More;

use Policyd qw(True False None free_port wait_until);
use Report;
use Smtpd;

Smtpd->needed;
Report->needed;

my @hits = (['bob', 86400, 3], ['zoe@example.org', 60, 12]);
my @rows = ('bob 86400 3', 'zoe@example.org 60 12');

# Sends one report with hits to one server: (Report, Smtpd, exit status, stderr).
sub report_to {
	my ($server, %settings) = @_;
	my $s = Smtpd->start(%$server);
	my $r = Report->new(host => $server->{host}, port => $s->port,
	    settings => \%settings);

	$r->hits(@hits);
	my ($status, undef, $err) = $r->clean;
	return ($r, $s, $status, $err);
}

sub ok_sent {
	my ($what, $server, %settings) = @_;

	subtest $what => sub {
		my ($r, $s, $status, $err) = report_to($server, %settings);
		is($status, 0, '--clean exits with 0') or diag($err, $s->transcript);
		is(scalar(my @m = $s->mails), 1, 'one mail is sent');
		is_deeply($r->left, [], 'the hits are deleted');
		ok(wait_until { $s->transcript =~ /^C: QUIT$/m },
		    'the client sends QUIT') or diag($s->transcript);
		unlike($err, qr/secret/, 'no password in the log');
	};
}

sub ok_failed {
	my ($what, $pattern, $server, %settings) = @_;

	subtest $what => sub {
		my ($r, $s, $status, $err) = report_to($server, %settings);
		is($status, 8, '--clean exits with 8') or diag($err, $s->transcript);
		is(scalar(my @m = $s->mails), 0, 'no mail is sent');
		is_deeply($r->left, \@rows, 'the hits remain');
		like($err, qr/the report was not sent: .*$pattern/, 'the log says why')
		    or diag($s->transcript);
		unlike($err, qr/secret/, 'no password in the log');
	};
}

my $keys = File::Temp->newdir;
my $cert = Smtpd::certificate("$keys", 'self', san => [[DNS => 'localhost']]);
my @starttls = (tls => 'starttls', cert => $cert);

subtest 'reports-deleted-before-sent' => sub {
	my ($r, $s, $status, $err) = report_to({});
	my ($mail) = $s->mails;

	is($status, 0, '--clean exits with 0') or diag($err);
	is($mail->{from}, 'policyd@example.org', 'the envelope has the sender');
	like($s->transcript, qr/^C: EHLO (?:\[127\.0\.0\.1\]|[a-z][\w-]*\.[\w.-]+)$/mi,
	    'EHLO has a full host name or an address literal');
	is_deeply($mail->{to}, ['postmaster@example.org'], 'the envelope has the recipient');
	my $text = decode_qp($mail->{data});
	like($text, qr/^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000$/m, 'the mail has Date');
	like($text, qr/^Message-ID: <\S+\@\S+>$/m, 'the mail has Message-ID');
	like($text, qr/^From: policyd\@example\.org$/m, 'the mail has From');
	like($text, qr/^To: postmaster\@example\.org$/m, 'the mail has To');
	like($text, qr/^Subject: policyd-rate-limit report$/m, 'the mail has Subject');
	like($text, qr/^Auto-Submitted: auto-generated$/m, 'the mail has Auto-Submitted');
	like($text, qr/: 15 hits on 2 limits so far\.$/m, 'the mail has the number of hits');
	like($text, qr/^zoe\@example\.org +10 per minute +12\nbob +150 per day +3$/m,
	    'the table, most hits first');
	like($text, qr/^"","bob",150,86400,3,0,0,0$/m, 'the table as CSV');
	is_deeply($r->left, [], 'the hits are deleted');

	# report-rows-repeat
	($status) = $r->clean;
	is($status, 0, 'a second report: status 0');
	is(scalar(my @m = $s->mails), 1, 'reported hits are not reported again');
	$r->hits(['bob', 86400, 1]);
	($status) = $r->clean;
	my @mails = $s->mails;
	is(scalar @mails, 2, 'a new hit is reported');
	like($mails[1]{data}, qr/1 hit on 1 limit since \d{4}-\d\d-\d\d \d\d:\d\d UTC \(/,
	    'the report has the time since the last one');
	unlike($mails[1]{data}, qr/zoe/, 'only the new hit is reported');
};

# A hit of max_per_mail has no window.
subtest 'more than one mail may have' => sub {
	my $s = Smtpd->start;
	my $r = Report->new(port => $s->port, settings => { limits => \'DEFAULT', rules => [
	    { name => 'big', key => 'sasl_username', max_per_mail => 50,
	    limits => [[100, 3600]] }] });

	$r->hits(['big:bob' => 0, 3]);
	is(($r->clean)[0], 0, '--clean exits with 0');
	my ($mail) = $s->mails;
	my $text = decode_qp($mail->{data});
	like($text, qr/bob +50 per mail +3$/m, 'the table has the hit');
	like($text, qr/^"big","bob",50,0,3,0,0,0$/m, 'the table as CSV');
	is_deeply($r->left, [], 'the hits are deleted');
};

subtest 'no hits, no mail' => sub {
	my $s = Smtpd->start;
	my $r = Report->new(port => $s->port);
	my ($status, undef, $err) = $r->clean;

	is($status, 0, '--clean exits with 0') or diag($err);
	is(scalar(my @m = $s->mails), 0, 'no mail is sent');
	unlike($s->transcript, qr/^C: (?!QUIT)/m, 'the client sends only QUIT');
	$r->settings(report_only_if_needed => False);
	($status, undef, $err) = $r->clean;
	is($status, 0, '--clean with a report without hits exits with 0') or diag($err);
	my ($mail) = $s->mails;
	like($mail->{data} // '', qr/: no limit was hit so far\.$/m,
	    'a mail without hits is sent');
	$s->stop;
	$r->settings(report_only_if_needed => True);
	is(($r->clean)[0], 0, 'without hits the server may be down');
	$r->hits(@hits);
	($status, undef, $err) = $r->clean;
	is($status, 8, '--clean exits with 8 if there are hits and the server is down');
	like($err, qr/the report was not sent: no connection: .*refused/,
	    'the refused connection is reported');
	is_deeply($r->left, \@rows, 'the hits remain');
	$r->settings(report_to => None);
	is(($r->clean)[0], 0, '--clean with report_to None exits with 0');
	is_deeply($r->left, \@rows, 'report_to None keeps the hits');
};

# --- correct servers ---

my @credentials = (smtp_credentials => ['alice', 'secret']);

ok_sent('HELO', { reply => { EHLO => '502 what?' } });
ok_sent('every byte alone', { pieces => 1 });
ok_sent('replies of many lines', { reply => { greeting => "220 a\n220 b\n220 c",
    MAIL => "250 x\n250 y", DATA => "354 1\n354 2", BODY => "250 p\n250 q" } });
ok_sent('pipelining', { offer => ['PIPELINING'] },
    report_to => [map { "r$_\@example.org" } 1 .. 200]);
ok_sent('251 to a recipient', { reply => { RCPT => '251 forwards' } });
ok_sent('STARTTLS', { @starttls }, smtp_starttls => True);
ok_sent('STARTTLS, byte by byte', { @starttls, pieces => 1 }, smtp_tls => 'starttls');
ok_sent('TLS', { tls => 'tls', cert => $cert }, smtp_tls => 'tls');
ok_sent('TLS 1.2', { tls => 'tls', cert => $cert, version => 'TLSv1_2' },
    smtp_tls => 'tls');
ok_sent("AUTH $_", { @starttls, auth => [$_] }, smtp_tls => 'starttls', @credentials)
    for qw(PLAIN LOGIN CRAM-MD5);
ok_sent('AUTH on loopback', { auth => [qw(PLAIN LOGIN)] }, @credentials);
ok_sent('AUTH, the next after a refusal', { auth => [qw(CRAM-MD5 LOGIN)],
    reply => { AUTH2 => ['535 no', '334 VXNlcg=='] } }, @credentials);
ok_sent('a long password', { auth => ['PLAIN'], password => 'p' x 600 },
    smtp_credentials => ['alice', 'p' x 600]);
ok_sent('cut after QUIT', { cut => 'QUIT' });
ok_sent('no answer to QUIT', { silent => 'QUIT' });
ok_sent('long lines', { reply => { $_ => ($_ eq 'greeting' ? '220 ' : '250 ') . 'x' x 8192 } })
    for qw(greeting BODY);

# --- faulty servers ---

my @steps = qw(greeting EHLO STARTTLS handshake AUTH AUTH2 MAIL RCPT DATA BODY);
my %when = (greeting => 'before the greeting', handshake => 'in the TLS handshake',
    AUTH2 => 'after AUTH', BODY => "after the mail's end");
my @all = (smtp_tls => 'starttls', @credentials);

ok_failed("cut at $_", $when{$_} // "after $_",
    { @starttls, auth => ['LOGIN'], cut => $_ }, @all) for @steps;
for my $code (421, 450, 554) {
	ok_failed("$code at $_", "$code because",
	    { @starttls, auth => ['LOGIN'], reply => { $_ => "$code because",
	    HELO => "$code because" } }, @all) for grep { $_ ne 'handshake' } @steps;
}
ok_failed("nonsense at $_", 'does not speak SMTP',
    { @starttls, auth => ['LOGIN'], reply => { $_ => "hello there" } }, @all)
    for qw(greeting EHLO BODY);
ok_failed('a line without end', 'does not speak SMTP',
    { reply => { EHLO => '250 ' . 'x' x 70000 } });
ok_failed('a reply without end', 'does not speak SMTP',
    { reply => { EHLO => join("\n", ('250 x') x 500) } });
ok_failed('answers before questions', 'out of turn',
    { after => { EHLO => "250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n" } });
ok_failed('a mail taken before it is sent', 'out of turn',
    { after => { DATA => "250 taken\r\n" } });
ok_failed('no AUTH', 'offers no AUTH', {}, @credentials);
ok_failed('wrong password', '535 5.7.8',
    { auth => [qw(PLAIN LOGIN CRAM-MD5)], password => 'other' }, @credentials);
ok_failed('a challenge that is none', '501',
    { auth => ['CRAM-MD5'], reply => { AUTH2 => '334 $$$' } }, @credentials);
ok_failed('no log-in, no mail', '530', { auth => ['PLAIN'] });
ok_failed('TLS 1.1', 'no TLS', { tls => 'tls', cert => $cert, version => 'TLSv1_1',
    ciphers => 'DEFAULT:@SECLEVEL=0' }, smtp_tls => 'tls');
ok_failed('TLS to a server without', 'no TLS|TLS handshake', {}, smtp_tls => 'tls');
ok_failed('an address that this server cannot name', 'no recipient', {},
    report_to => "j\x{c3}\x{bc}rgen\@example.org");

subtest 'starttls-stripped' => sub {
	my ($r, $s, $status, $err) = report_to({ auth => ['PLAIN'] }, @all);

	is($status, 8, '--clean exits with 8');
	like($err, qr/STARTTLS is asked for but not offered/,
	    'the missing STARTTLS is reported');
	unlike($s->transcript, qr/^C: (?:AUTH|MAIL)/m, 'no password and no mail in clear');
	is_deeply($r->left, \@rows, 'the hits remain');
};

subtest 'injection after STARTTLS' => sub {
	my ($r, $s, $status, $err) = report_to({ @starttls, auth => ['PLAIN'],
	    after => { STARTTLS => "250-evil\r\n250 AUTH PLAIN\r\n" } }, @all);

	is($status, 8, '--clean exits with 8');
	like($err, qr/speaks on after STARTTLS/, 'the data after STARTTLS is reported');
	unlike($s->transcript, qr/^(?:T:|C: (?:AUTH|MAIL))/m,
	    'neither AUTH nor MAIL was sent');
	is_deeply($r->left, \@rows, 'the hits remain');
};

subtest 'some recipients' => sub {
	for my $offer ([], ['PIPELINING']) {
		my ($r, $s, $status, $err) = report_to({ offer => $offer,
		    reply => { RCPT => ['550 nobody', '250 ok', '452 later', '250 ok'] } },
		    report_to => [map { "r$_\@example.org" } 1 .. 4]);
		my ($mail) = $s->mails;
		is($status, 0, "status 0 (@$offer)");
		is_deeply($mail->{to}, [qw(r2@example.org r4@example.org)],
		    'the accepted recipients get the mail');
		is_deeply($r->left, [], 'the hits are deleted');
		like($err, qr/not go to everybody: r1\@example\.org was refused: 550 nobody/,
		    'the refused recipient is reported');
		like($err, qr/r3\@example\.org was refused: 452 later/,
		    'each refused recipient is reported');
	}
};

subtest 'SMTPUTF8' => sub {
	my $utf8 = "j\x{c3}\x{bc}rgen\@example.org";
	my ($r, $s, $status, $err) = report_to({ offer => ['SMTPUTF8'] },
	    report_to => [$utf8, 'b@example.org']);
	my ($mail) = $s->mails;

	is($status, 0, '--clean exits with 0') or diag($err);
	is_deeply($mail->{to}, [$utf8, 'b@example.org'], 'both recipients get the mail');
	like($s->transcript, qr/^C: MAIL .* SMTPUTF8$/m, 'SMTPUTF8 is requested');
	unlike($mail->{data}, qr/[^\x00-\x7f]/, 'the mail is ASCII all the same');
	(undef, $s) = report_to({ offer => ['SMTPUTF8'] });
	unlike($s->transcript, qr/^C: MAIL .*SMTPUTF8/m,
	    'SMTPUTF8 is not requested without need');
	($r, $s, $status, $err) = report_to({}, report_to => [$utf8, 'b@example.org']);
	($mail) = $s->mails;
	is($status, 0, 'a server without SMTPUTF8: status 0');
	is_deeply($mail->{to}, ['b@example.org'], 'the ASCII recipient gets the mail');
	like($err, qr/cannot be written to here/, 'the other recipients are reported');
};

subtest 'header injection' => sub {
	my $s = Smtpd->start;
	my $r = Report->new(port => $s->port,
	    settings => { report_subject => "\x{e2}\x{82}\x{ac} r\x{c3}\x{a9}port" });
	$r->hits(["a\nBcc: x\@y\n.\nMAIL FROM:<evil\@x>", 60, 1], ["=cmd|'x'", 60, 1],
	    ["\xff\xfe\e[31m", 60, 1], ['.', 60, 1]);
	my ($status, undef, $err) = $r->clean;
	my ($mail) = $s->mails;
	is($status, 0, '--clean exits with 0') or diag($err);
	my ($head) = split /\n\n/, $mail->{data}, 2;
	unlike($head, qr/evil|Bcc/, 'ids stay out of the headers');
	like($head, qr/^Subject: =\?utf-8\?q\?=E2=82=AC_r=C3=A9port\?=$/m, 'the subject is encoded by RFC 2047');
	my $text = decode_qp($mail->{data});
	like($text, qr/^a\\x0aBcc: x\@y\\x0a/m, 'control characters are escaped');
	unlike($text, qr/\e|\xff/, 'no control character is sent');
	like($text, qr/^"","'=cmd\|'x'",10,60,1,0,0,0$/m,
	    'a CSV field cannot be a spreadsheet formula');
	unlike($s->transcript, qr/^C: MAIL FROM:<evil/m,
	    'an id cannot inject an SMTP command');
	is(scalar(my @m = $s->mails), 1, 'one mail is sent');
};

subtest 'a large report' => sub {
	local $Policyd::patience = 300;
	my $s = Smtpd->start(@starttls);
	my $r = Report->new(port => $s->port, settings => { smtp_tls => 'starttls' });

	$r->{d}->sql('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n ' .
	    "WHERE i < 20000) INSERT INTO limit_report (id, delta, hit) SELECT " .
	    "'user' || i, 60, i FROM n");
	my ($status, undef, $err) = $r->clean;
	is($status, 0, '--clean exits with 0') or diag($err);
	my ($mail) = $s->mails;
	my $n = () = $mail->{data} =~ /^"","user\d+",10,60,\d+,0,0,0$/mg;
	is($n, 20000, 'every id is in the mail');
	like($mail->{data}, qr/^19000 more are in the attached table\.$/m,
	    'the text has only some ids');
	is_deeply($r->left, [], 'the hits are deleted');
};

subtest 'more hits than fit in one mail' => sub {
	local $Policyd::patience = 300;
	my $s = Smtpd->start(@starttls);
	my $r = Report->new(port => $s->port, settings => { smtp_tls => 'starttls' });

	# Wide characters are the longest on the wire: still less than Postfix takes.
	$r->{d}->sql('WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n ' .
	    "WHERE i < 7999) INSERT INTO limit_report (id, delta, hit) SELECT " .
	    "i || replace(hex(zeroblob(31)), '00', '\x{f0}\x{9f}\x{98}\x{80}" .
	    "\x{f0}\x{9f}\x{98}\x{80}'), 60, i FROM n");
	my ($status, undef, $err) = $r->clean;
	is($status, 0, '--clean exits with 0') or diag($err);
	my ($mail) = $s->mails;
	cmp_ok(length $mail->{data}, '<', 10_240_000,
	    'the mail is below 10 MB, which servers accept');
	my ($left) = $r->{d}->sql('SELECT count(*), max(hit) FROM limit_report');
	cmp_ok($left->[0], '>', 0, 'some hits are left for the next report');
	like($mail->{data}, qr/^$left->[0] more are left for the next report\.$/m,
	    'the mail says how many are left');
	my @in = $mail->{data} =~ /^"","(\d{4})=F0/mg;
	is(scalar @in + $left->[0], 7000, 'the hits left out remain');
	is($left->[1] + 1, $in[-1], 'the ids with the fewest hits are left');
	($status, undef, $err) = $r->clean;
	is($status, 0, 'a second report: status 0') or diag($err);
	is_deeply($r->left, [], 'the remaining hits are reported');
	is(scalar(my @m = $s->mails), 2, 'a second mail is sent');
};

subtest 'the next address' => sub {
	# localhost is [::1] first, where nobody listens; or it is 127.0.0.1 alone.
	my $s = Smtpd->start;
	my $r = Report->new(host => 'localhost', port => $s->port);

	$r->hits(@hits);
	my ($status, undef, $err) = $r->clean;
	is($status, 0, '--clean exits with 0') or diag($err);
	is(scalar(my @m = $s->mails), 1, 'one mail is sent');
};

SKIP: {
	skip 'no IPv6', 2 if !defined free_port(Socket::AF_INET6());
	my ($r, $s) = report_to({ host => '::1' });
	is(scalar(my @m = $s->mails), 1, 'one mail is sent by IPv6');
	like($s->transcript, qr/^C: EHLO (?:\[IPv6:::1\]|[a-z][\w-]*\.[\w.-]+)$/mi,
	    'EHLO has a full host name or an IPv6 literal');
}

done_testing();
