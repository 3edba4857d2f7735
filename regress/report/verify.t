#!/usr/bin/perl
# starttls-unverified: certificates of remote servers. A server without the right
# certificate gets neither mail nor password.

use strict;
use warnings;

use Elsewhere;
use Test::More;

BEGIN {
	Elsewhere->enter(hosts => {
		'mail.example.test' => '192.0.2.25',
		'other.example.test' => '192.0.2.25',
		'a.b.example.test' => '192.0.2.25',
		'loop.example.test' => '127.0.0.2',
		'localhost' => '192.0.2.25',
		'six.example.test' => ['2001:db8::25', '192.0.2.25'],
	});
}

use Policyd qw(True False slurp spew);
use Report;
use Smtpd;

Smtpd->needed;
Report->needed;

my $dir = File::Temp->newdir;
chmod 0755, "$dir";
my @row = ('bob 86400 3');

sub certificate { return Smtpd::certificate("$dir", @_) }

my $ca = certificate('ca', name => 'Test CA', ca => 1);
my $otherca = certificate('otherca', name => 'Other CA', ca => 1);
my $name = [[DNS => 'mail.example.test']];
my $good = certificate('good', san => $name, issuer => $ca);

# Certificate, additional settings, expected error (undef: none).
sub ok_verified {
	my ($what, $cert, $why, %settings) = @_;

	for my $tls ('starttls', 'tls') {
		subtest "$what, $tls" => sub {
			my $s = Smtpd->start(host => $settings{listen} // '192.0.2.25',
			    tls => $tls, cert => $cert, auth => ['PLAIN']);
			my %s = %settings;
			delete $s{listen};
			my $r = Report->new(host => 'mail.example.test', port => $s->port,
			    settings => {
				smtp_tls => $tls,
				smtp_tls_cafile => $ca->{file},
				smtp_credentials => ['alice', 'secret'],
				map { ref $s{$_} eq 'CODE' ? ($_ => $s{$_}->($s)) :
				    ($_ => $s{$_}) } keys %s });
			$r->hits(['bob', 86400, 3]);
			my ($status, undef, $err) = $r->clean;
			if (!defined $why) {
				is($status, 0, '--clean exits with 0') or diag($err, $s->transcript);
				is(scalar(my @m = $s->mails), 1, 'the mail is delivered');
				is_deeply($r->left, [], 'the hits are deleted');
				return;
			}
			is($status, 8, '--clean exits with 8');
			like($err, qr/the report was not sent: .*$why/,
			    'the log has the reason');
			unlike($s->transcript, qr/^C: (?:AUTH|MAIL|RCPT|DATA)/m,
			    'neither a password nor a mail is sent');
			is_deeply($r->left, \@row, 'the hits remain');
		};
	}
}

sub server_name {
	my ($host) = @_;

	return (smtp_server => sub { [$host, $_[0]->port] });
}

ok_verified('a good one', $good, undef);
ok_verified('for an address', certificate('address', san => [[IP => '192.0.2.25']],
    issuer => $ca), undef, server_name('192.0.2.25'));
ok_verified('with a star', certificate('star', san => [[DNS => '*.example.test']],
    issuer => $ca), undef);
ok_verified('the server\'s own in the file', certificate('own', san => $name), undef,
    smtp_tls_cafile => "$dir/own.pem");
ok_verified('not checked', certificate('any', san => [[DNS => 'x.test']]), undef,
    smtp_tls_verify => False);
ok_verified('IPv6, the name has IPv4 too', certificate('six',
    san => [[DNS => 'six.example.test']], issuer => $ca), undef,
    server_name('six.example.test'), listen => '2001:db8::25');
ok_verified('IPv6 does not answer, IPv4 does', certificate('four',
    san => [[DNS => 'six.example.test']], issuer => $ca), undef,
    server_name('six.example.test'));

ok_verified('wrong name', $good, 'certificate is not valid: hostname mismatch',
    server_name('other.example.test'));
ok_verified('a name for an address', $good, 'certificate is not valid: IP address mismatch',
    server_name('192.0.2.25'));
ok_verified('a star for two labels', certificate('stars', san => [[DNS =>
    '*.example.test']], issuer => $ca), 'hostname mismatch',
    server_name('a.b.example.test'));
ok_verified('half a star', certificate('half', san => [[DNS => 'm*.example.test']],
    issuer => $ca), 'hostname mismatch');
ok_verified('a common name and no DNS name', certificate('common',
    name => 'mail.example.test', issuer => $ca), 'hostname mismatch');
ok_verified('a name that resolves to the loopback', certificate('loop',
    san => [[DNS => 'loop.example.test']], issuer => $otherca),
    'unable to get local issuer certificate|unable to verify',
    server_name('loop.example.test'), listen => '127.0.0.2');
ok_verified('localhost that resolves to another host', certificate('local',
    san => [[DNS => 'localhost']], issuer => $otherca),
    'unable to get local issuer certificate|unable to verify',
    server_name('localhost'));
ok_verified('a loopback address literal is not checked', certificate('literal',
    san => [[DNS => 'x.test']], issuer => $otherca), undef,
    server_name('127.0.0.2'), listen => '127.0.0.2');
ok_verified('expired', certificate('expired', san => $name, issuer => $ca,
    begin => -7200, end => -3600), 'certificate has expired');
ok_verified('of tomorrow', certificate('tomorrow', san => $name, issuer => $ca,
    begin => 86400, end => 2 * 86400), 'certificate is not yet valid');
ok_verified('self-signed', certificate('self', san => $name), 'self-signed');
ok_verified('unknown issuer', certificate('unknown', san => $name, issuer => $otherca),
    'unable to get local issuer certificate|unable to verify');
ok_verified('not of the system\'s', $good,
    'unable to get local issuer|unable to verify|no certificates of authorities',
    smtp_tls_cafile => \'None');

subtest 'a CA file that is missing or invalid' => sub {
	my $s = Smtpd->start(host => '192.0.2.25', tls => 'tls', cert => $good);
	spew("$dir/empty.pem", "nothing\n", 0644);

	for (["$dir/missing.pem", 'No such file'], ["$dir/empty.pem", 'holds no cert']) {
		my ($file, $why) = @$_;
		my $r = Report->new(host => 'mail.example.test', port => $s->port,
		    settings => { smtp_tls => 'tls', smtp_tls_cafile => $file });
		$r->hits(['bob', 86400, 3]);
		my ($status, undef, $err) = $r->clean;
		is($status, 8, '--clean exits with 8');
		like($err, qr/smtp_tls_cafile \Q$file\E: .*$why/,
		    'the reason is reported');
		is_deeply($r->left, \@row, 'the hits remain');
	}
	unlike($s->transcript, qr/^C:/m, 'nothing was sent');
};

for (['another host', 'mail.example.test', '192.0.2.25'],
    ['a name that resolves to the loopback', 'loop.example.test', '127.0.0.2'],
    ['localhost that resolves to another host', 'localhost', '192.0.2.25']) {
	my ($what, $host, $listen) = @$_;

	subtest "no password without TLS to $what" => sub {
		my $s = Smtpd->start(host => $listen, auth => ['PLAIN']);
		my $r = Report->new(host => $host, port => $s->port,
		    settings => { smtp_credentials => ['alice', 'secret'] });

		$r->hits(['bob', 86400, 3]);
		my ($status, undef, $err) = $r->clean;
		is($status, 8, '--clean exits with 8');
		like($err, qr/no password is sent without TLS/,
		    'the missing TLS is reported');
		unlike($s->transcript, qr/^C: (?:AUTH|MAIL)/m,
		    'neither a password nor a mail is sent');
		is_deeply($r->left, \@row, 'the hits remain');
	};
}

done_testing();
