#!/usr/bin/perl
# RFC 5321 5.1: if one address of the server refuses in its greeting or disconnects, the
# next address is tried.

use strict;
use warnings;

use Elsewhere;
use Test::More;

BEGIN {
	Elsewhere->enter(hosts => {
		'mail.example.test' => ['192.0.2.25', '192.0.2.26', '192.0.2.27'],
	});
}

use Policyd qw(True wait_until);
use Report;
use Smtpd;

Smtpd->needed;
Report->needed;

my $keys = File::Temp->newdir;
chmod 0755, "$keys";
my $ca = Smtpd::certificate("$keys", 'ca', ca => 1);
my %tls = (tls => 'tls', cert => Smtpd::certificate("$keys", 'good', issuer => $ca,
    san => [[DNS => 'mail.example.test']]));
my %bad = (tls => 'tls', cert => Smtpd::certificate("$keys", 'bad', issuer => $ca,
    san => [[DNS => 'other.example.test']]));

# Starts a server at each address with options. The resolver determines the order in which
# the addresses are tried.
sub report_to {
	my ($settings, @options) = @_;
	my (@servers, $port);

	for my $i (0 .. $#options) {
		push @servers, my $s = Smtpd->start(host => '192.0.2.' . (25 + $i),
		    listen_port => $port, %{$options[$i]});
		$port = $s->port;
	}
	my $r = Report->new(host => 'mail.example.test', port => $port,
	    settings => $settings);
	$r->hits(['bob', 86400, 3]);
	my ($status, undef, $err) = $r->clean;
	return ($r, $status, $err, @servers);
}

sub met { return scalar grep { $_->transcript =~ /^X: (?:connected|cut)/m } @_ }

my %faults = (
	'greets with 554' => [{ reply => { greeting => '554 no' } }, {}],
	'greets with 421' => [{ reply => { greeting => '421 later' } }, {}],
	'hangs up' => [{ cut => 'greeting' }, {}],
	'hangs up after EHLO' => [{ cut => 'EHLO' }, {}],
	'closes at EHLO' => [{ reply => { EHLO => '421 later' } }, {}],
	'hangs up in TLS' => [{ cut => 'handshake', %tls }, { %tls }],
);

for my $what (sort keys %faults) {
	my ($bad, $good) = @{$faults{$what}};
	my $settings = $good->{tls} ? { smtp_tls => 'tls', smtp_tls_cafile => $ca->{file} } : {};
	my $met = 0;

	for my $order ([$bad, $good], [$good, $bad], [$bad, $bad, $good]) {
		my ($r, $status, $err, @servers) = report_to($settings, @$order);
		is($status, 0, "$what: the report is sent") or diag($err);
		is_deeply($r->left, [], 'the hits are deleted');
		is(scalar(map { $_->mails } @servers), 1, 'one mail is sent');
		$met += met(@servers);
		$_->stop for @servers;
	}
	cmp_ok($met, '>=', 4, 'other addresses were tried');
}

subtest 'every address fails' => sub {
	my ($r, $status, $err, @servers) = report_to({},
	    map { { reply => { greeting => "554 no $_" } } } 1 .. 3);

	is($status, 8, '--clean exits with status 8');
	is(met(@servers), 3, 'all addresses were tried');
	for (1 .. 3) {
		my $n = () = $err =~ /554 no $_/g;
		is($n, 1, 'each failure is reported once');
	}
	is_deeply($r->left, ['bob 86400 3'], 'the hits remain');
};

subtest 'by the daemon' => sub {
	my $bad = Smtpd->start(host => '192.0.2.25', reply => { greeting => '554 no' });
	my $good = Smtpd->start(host => '192.0.2.26', listen_port => $bad->port);
	my $d = Policyd->start(config => { limits => [[1, 86400]], report => True,
	    report_to => 'postmaster@example.org', report_immediately => True,
	    fail_action => 'reject full',
	    smtp_server => ['mail.example.test', $bad->port] });

	$d->ask(sasl_username => 'bob') for 1 .. 2;
	ok(wait_until { $good->mails }, 'the report is sent') or $d->explain;
	ok(wait_until { !$d->sql('SELECT id FROM limit_report') }, 'the hits are deleted');
	$d->ends_well;
};

# An error that does not depend on the address ends the attempt.
subtest 'no other address' => sub {
	my ($r, $status, $err, @servers) = report_to({},
	    map { { reply => { MAIL => '550 no' } } } 1 .. 3);
	is($status, 8, 'a refused mail');
	is(met(@servers), 1, 'only one address was tried');
	$_->stop for @servers;
	($r, $status, $err, @servers) = report_to({ smtp_tls => 'tls',
	    smtp_tls_cafile => $ca->{file} }, map { { %bad } } 1 .. 3);
	is($status, 8, 'a bad certificate');
	unlike($err, qr/another address/, 'only one address was tried');
	is_deeply($r->left, ['bob 86400 3'], 'the hits remain');
};

done_testing();
