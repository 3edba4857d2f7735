#!/usr/bin/perl
# Whatever comes on the control socket, the engine goes on.

use strict;
use warnings;

use Socket;
use Test::More;
use Time::HiRes ();

use Chance qw(chance draw one_of);
use Ctl qw(ctl ctl_json);
use Policyd qw(wait_until);

my $d = Policyd->start(config => { limits => [[100, 60]] });
my $engine = $d->child('engine');

sub open_control {
	socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
	connect($s, pack_sockaddr_un($d->control)) or return undef;
	return $s;
}

# What is answered until the connection ends; undef when it does not.
sub say_bytes {
	my ($bytes, $finish) = @_;
	my $s = open_control() // return undef;
	my $answer = '';
	my $ready = '';

	syswrite $s, $bytes;
	shutdown $s, 1 if $finish;
	vec($ready, fileno $s, 1) = 1;
	while (select(my $r = $ready, undef, undef, 20)) {
		my $n = sysread $s, $answer, 65536, length $answer;
		return $answer if !$n;
	}
	return undef;
}

for my $case (["\0", 'malformed question'], ["\0\0", 'malformed question'],
    ["bogus\0\0", 'unknown command'], ["status\0x\0\0", 'wrong number'],
    ["status" . ("\0x" x 300) . "\0\0", 'malformed question'],
    ["show\0" . ('x' x 60_000) . "\0\0", 'too long'],
    ['x' x 1_200_000, 'too long'], ["explain\0request=x\0\0", 'malformed request'],
    ["explain\0\x01\xff\0\0", 'malformed'],
    ["top\0" . '9' x 40 . "\0\0", 'a number']) {
	my ($bytes, $want) = @$case;
	my $shown = substr($bytes, 0, 20) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;

	like(say_bytes($bytes) // 'nothing', qr/\Aerror [^\n]*\Q$want\E[^\n]*\nend\n\z/,
	    "$shown: $want");
}
is(say_bytes('status', 1), '', 'half a command followed by the end is closed without an answer');
like(say_bytes("status\0\0status\0\0"), qr/\Aok\n.*^end\n\z/ms, 'one connection gets one answer');

my @words = qw(status show top explain metrics reload log bob sasl_username=bob
    protocol_state=DATA 7 -1);
for (1 .. 400) {
	my $bytes = join '', map { (chance() < 0.8 ? one_of(@words) :
	    join('', map { chr draw(256) } 1 .. draw(30))) . "\0" } 1 .. 1 + draw(5);
	substr($bytes, draw(length $bytes), 1) = chr draw(256) if chance() < 0.3;
	say_bytes("$bytes\0", 1);
}
ok(1, 'random bytes do not hang the connection');

# Gone while the answer is on its way.
for (1 .. 50) {
	my $s = open_control();
	syswrite $s, one_of('status', 'metrics', "show\0bob", 'top') . "\0\0";
	close $s;
}

# As many connections as there may be do not shut root out.
my @held = grep { defined } map { open_control() } 1 .. 50;
is(ctl_json($d, 'status')->{database}, 'well',
    'connections that send nothing do not stop policyctl');
is($d->ask(sasl_username => 'bob'), 'dunno', 'connections that send nothing do not stop Postfix');
@held = ();

is($d->child('engine'), $engine, 'the engine was not restarted');
is(ctl_json($d, 'status')->{clients}, 1, 'the engine counts one client');
$d->ends_well;

done_testing;
