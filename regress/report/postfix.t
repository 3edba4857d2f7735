#!/usr/bin/perl
# The report through a real Postfix submission service: TLS with a verified certificate,
# SASL authentication, delivery to a mailbox.

use strict;
use warnings;

use Elsewhere;
use Test::More;

BEGIN { Elsewhere->enter(hosts => { 'mail.example.test' => '192.0.2.25' }) }

use File::Temp;

use Policyd qw(need have_command wait_until slurp spew);
use Postfix;
use Report;
use Smtpd;

Postfix->needed;
Report->needed;
Smtpd->needed;
need(have_command('saslpasswd2'), 'saslpasswd2 (sasl2-bin) is not installed');

my $dir = File::Temp->newdir;
chmod 0755, "$dir";
my $ca = Smtpd::certificate("$dir", 'ca', name => 'Test CA', ca => 1);
my $cert = Smtpd::certificate("$dir", 'mail', issuer => $ca,
    san => [[DNS => 'mail.example.test']]);

# --- the server ---

my (undef, undef, $uid, $gid) = getpwnam('postfix');
mkdir "$dir/box";
chown $uid, $gid, "$dir/box";

sub make_user {
	my ($user, $password) = @_;

	open my $fh, '|-', have_command('saslpasswd2'), '-p', '-c', '-f', "$dir/sasldb",
	    '-u', 'example.test', $user or die "saslpasswd2: $!";
	print $fh $password;
	close $fh or die "saslpasswd2: status $?";
	chown $uid, $gid, "$dir/sasldb";
}

make_user('policyd', "pass w\"\xc3\xb6rd");

my $sasl;		# its directory

sub mechanisms {
	my ($list) = @_;

	spew("$sasl/smtpd.conf", "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n" .
	    "sasldb_path: $dir/sasldb\nmech_list: $list\n", 0644);
}

my $wrapped = Policyd::free_port();
my $port = Policyd::free_port();
my $p = Postfix->new(chroot => 'n',
    main => {
	inet_interfaces => '127.0.0.1, 192.0.2.25',
	mydestination => '',
	mynetworks => '127.0.0.1/32',
	smtpd_relay_restrictions => 'permit_sasl_authenticated, reject',
	smtpd_tls_cert_file => $cert->{file},
	smtpd_tls_key_file => $cert->{keyfile},
	smtpd_tls_security_level => 'encrypt',
	smtpd_tls_auth_only => 'yes',
	smtpd_tls_loglevel => '1',
	cyrus_sasl_config_path => '$config_directory/sasl',
	smtpd_sasl_auth_enable => 'yes',
	smtpd_sasl_local_domain => 'example.test',
	smtpd_sasl_path => 'smtpd',
	virtual_mailbox_domains => 'example.test',
	virtual_mailbox_base => "$dir/box",
	virtual_mailbox_maps => 'static:all',
	virtual_minimum_uid => '1',
	virtual_uid_maps => "static:$uid",
	virtual_gid_maps => "static:$gid",
    },
    master => "192.0.2.25:$port inet n - n - - smtpd\n" .
	"192.0.2.25:$wrapped inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n" .
	"virtual unix - n n - - virtual\n" .
	'tlsmgr unix - - n 1000? 1 tlsmgr');

$sasl = "$p->{dir}/etc/sasl";
mkdir $sasl or die "$sasl: $!";
mechanisms('PLAIN');
$p->start;

sub mails {
	my @mails = split /^(?=From )/m, slurp("$dir/box/all");

	s/\A[^\n]*\n// for @mails;
	return @mails;
}

sub ok_delivered {
	my ($what, $mechanism, %settings) = @_;

	subtest $what => sub {
		my $before = () = mails();
		my $r = Report->new(host => 'mail.example.test', port => $port, settings => {
			smtp_tls => 'starttls',
			smtp_tls_cafile => $ca->{file},
			smtp_credentials => ['policyd', "pass w\"\xc3\xb6rd"],
			report_to => 'admin@example.test',
			%settings });
		$r->hits(['bob', 86400, 3], ["\xe6\x97\xa5\xe6\x9c\xac", 60, 20]);
		my ($status, undef, $err) = $r->clean;
		is($status, 0, '--clean exits with 0') or do { diag($err); $p->explain; };
		is_deeply($r->left, [], 'the hits are deleted');
		ok(wait_until { mails() > $before }, 'the mail is in the mailbox')
		    or $p->explain;
		my @mails = mails();
		is(scalar @mails, $before + 1, 'the mail is delivered once');
		ok($p->wait_log(qr/sasl_method=$mechanism, sasl_username=policyd\@example\.test/),
		    "the client authenticated with $mechanism");
	};
}

ok_delivered('STARTTLS, PLAIN', 'PLAIN');
ok_delivered('TLS, PLAIN', 'PLAIN', smtp_tls => 'tls',
    smtp_server => ['mail.example.test', $wrapped]);
mechanisms('LOGIN');
$p->reconfigure;
ok_delivered('STARTTLS, LOGIN', 'LOGIN');
mechanisms('CRAM-MD5 PLAIN LOGIN');
$p->reconfigure;
ok_delivered('STARTTLS, CRAM-MD5', 'CRAM-MD5');

subtest 'a wrong password' => sub {
	my $r = Report->new(host => 'mail.example.test', port => $port, settings => {
		smtp_tls => 'starttls', smtp_tls_cafile => $ca->{file},
		smtp_credentials => ['policyd', 'wrong'] });

	$r->hits(['bob', 86400, 3]);
	my ($status, undef, $err) = $r->clean;
	is($status, 8, '--clean exits with 8');
	like($err, qr/does not accept user and password: 535/,
	    'the failure of AUTH is reported');
	is_deeply($r->left, ['bob 86400 3'], 'the hits remain');
};

# --- read by Python's MIME parser ---

subtest 'the mail in a MIME parser' => sub {
	my $python = have_command('python3');

	if (!$python) {
		need(0, 'python3, whose parser of mails is used, is not installed')
		    if ($ENV{CI} // '') eq 'true';
		plan(skip_all => 'no python3, whose parser of mails is used');
	}
	my ($mail) = mails();
	spew("$dir/mail", $mail);
	spew("$dir/read.py", <<'END');
import csv, email, email.policy, io, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
out = open(1, "w", encoding="utf-8")
print("defects", len(m.defects) + sum(len(p.defects) for p in m.walk()), file=out)
for h in "From", "To", "Subject", "Auto-Submitted", "MIME-Version":
    print(h, m[h], file=out)
print("date", m["Date"].datetime.tzinfo is not None, file=out)
for p in m.iter_parts():
    print("part", p.get_content_type(), p.get_content_charset(),
        p.get_content_disposition(), p.get_filename(), file=out)
plain, table = m.iter_parts()
print(plain.get_content(), file=out)
for row in csv.reader(io.StringIO(table.get_content())):
    print("|".join(row), file=out)
END
	my (undef, $out, $err) = Policyd->new->run_command($python, "$dir/read.py",
	    "$dir/mail");
	is($err, '', 'the parser reads the mail');
	like($out, qr/^defects 0$/m, 'the parser finds no defect');
	like($out, qr/^From policyd\@example\.org$/m, 'the mail has From');
	like($out, qr/^To admin\@example\.test$/m, 'the mail has To');
	like($out, qr/^Subject policyd-rate-limit report$/m, 'the mail has Subject');
	like($out, qr/^Auto-Submitted auto-generated$/m, 'the mail has Auto-Submitted');
	like($out, qr/^date True$/m, 'the mail has Date');
	my $wide = "\xe6\x97\xa5\xe6\x9c\xac";
	for (["part text/plain utf-8 inline None\n" .
	    "part text/csv utf-8 attachment policyd-rate-limit.csv\n", 'the parts'],
	    ["\n$wide  10 per minute    20\nbob   150 per day       3\n",
	    'the table, aligned'],
	    ["\nrule|id|mails|seconds|hits|warnings|shadow|locks\n" .
	    "|$wide|10|60|20|0|0|0\n|bob|150|86400|3|0|0|0\n",
	    'the CSV']) {
		like($out, qr/\Q$_->[0]\E/, $_->[1]);
	}
};

done_testing();
