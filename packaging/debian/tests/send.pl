#!/usr/bin/perl

# send.pl LOGIN PASS REFUSE [REPLY]: as that login, so many mails must pass and then so many
# be refused, for the limit or with a reply that matches REPLY.

use strict;
use warnings;

use IO::Socket::INET;

my ($login, $pass, $refuse, $reply) = @ARGV;
$reply //= '^450 .*Rate limit reach, retry later';
my $smtp;

# Postfix may only just have been started.
for (1 .. 600) {
	$smtp = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => 25,
	    Timeout => 30) and last;
	select undef, undef, undef, 0.1;
}
die "no SMTP server: $@\n" if !$smtp;
# What goes wrong is said, not died of.
$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { die "$login: no answer in two minutes\n" };

sub reply {
	my $line;

	alarm 120;
	do {
		$line = <$smtp> // die "the server hung up\n";
	} while ($line =~ /^\d+-/);
	return $line;
}

sub say_it {
	my ($command, $want) = @_;

	print $smtp "$command\r\n";
	my $reply = reply();
	die "$command: $reply" if defined $want && $reply !~ $want;
	return $reply;
}

reply();
say_it('EHLO client.example.org', qr/^250/);
say_it("XCLIENT LOGIN=$login ADDR=192.0.2.7", qr/^220/);
say_it('EHLO client.example.org', qr/^250/);
for my $n (1 .. $pass + $refuse) {
	say_it('MAIL FROM:<sender@example.org>', qr/^250/);
	say_it('RCPT TO:<recipient@localhost>', qr/^250/);
	if ($n > $pass) {
		say_it('DATA', qr/$reply/);
		say_it('RSET', qr/^250/);
		next;
	}
	say_it('DATA', qr/^354/);
	say_it("Subject: $n\r\n\r\n.", qr/^250/);
}
say_it('QUIT');
print "$login: $pass passed, $refuse refused\n";
