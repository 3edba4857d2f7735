#!/usr/bin/perl
# ask.pl SOCKET name=value ...: sends one policy request, as Postfix would, to a UNIX
# socket or HOST:PORT and prints the answer.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::UNIX;

@ARGV >= 1 or die "usage: ask.pl socket [name=value ...]\n";
my $where = shift;
my %given = map { split(/=/, $_, 2) } @ARGV;
my %request = (
	request => 'smtpd_access_policy',
	protocol_state => 'DATA',
	protocol_name => 'ESMTP',
	client_address => '192.0.2.7',
	sender => 'alice@example.org',
	recipient_count => 1,
	instance => sprintf('%x.%x.0', $$, time),
	%given,
);

my $socket = $where =~ m{/} || -S $where
    ? IO::Socket::UNIX->new(Peer => $where)
    : IO::Socket::INET->new(PeerAddr => $where);
$socket or die "ask.pl: $where: $!\n";
$SIG{ALRM} = sub { die "ask.pl: no answer within a minute\n" };
alarm 60;
print $socket map({ "$_=$request{$_}\n" } sort keys %request), "\n";
$socket->flush;
while (my $line = <$socket>) {
	exit 0 if $line eq "\n";
	print $line;
}
die "ask.pl: the connection was closed without an answer\n";
