#!/usr/bin/perl
# Many simultaneous clients, and many clients in succession.

use strict;
use warnings;

use Errno qw(EAGAIN);
use Fcntl;
use List::Util qw(sum max);
use POSIX ();
use Socket;
use Test::More;
use Time::HiRes qw(time sleep);

use Policyd qw(freeze request wait_until need True);

sub descriptors {
	my ($pid) = @_;

	opendir my $dir, "/proc/$pid/fd" or return undef;
	return scalar grep { /^\d/ } readdir $dir;
}

# CPU time of a process in seconds; the load of the machine does not change it.
sub worked {
	my ($pid) = @_;
	my @fields = split ' ', Policyd::slurp("/proc/$pid/stat") =~ s/\A.*\)//sr;

	return @fields ? ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK()) :
	    time;
}

subtest 'fd-exhaustion-kills-daemon' => sub {
	my $d = Policyd->start(config => { limits => [[100_000, 3600]] },
	    limits => { n => 80 });
	my @clients;

	# Many more clients than descriptors: the newest client is served.
	for my $n (1 .. 300) {
		my $client = $d->connect;
		my $answer = $client->ask(sasl_username => 'bob');
		if (($answer // '') ne 'dunno') {
			fail("client $n: " . ($answer // 'no answer'));
			last;
		}
		push @clients, $client;
	}
	is(scalar @clients, 300, 'each new client is served');
	my $closed = grep { $_->wait_closed(0) } @clients;
	cmp_ok($closed, '>', 200, 'the clients that were idle longest are disconnected');
	ok(!$clients[-1]->wait_closed(0), 'the newest client stays connected');
	is($d->recorded('bob'), 300, 'each mail is counted once');

	# Many clients connect at the same moment and send nothing.
	my @silent = map { $d->connect } 1 .. 300;
	is($d->connect->ask(sasl_username => 'eve'), 'dunno',
	    'a client is served beside 300 silent ones');
	$_->close for @silent, @clients;
	$d->ends_well;
};

subtest 'listen-backlog-EAGAIN' => sub {
	my $d = Policyd->start(config => { limits => [[100_000, 3600]] });
	my $most = SOMAXCONN;
	my ($kernel) = Policyd::slurp('/proc/sys/net/core/somaxconn') =~ /(\d+)/;
	$most = $kernel if $kernel && $kernel < $most;
	$most = 600 if $most > 600;
	my $engine = $d->child('engine');
	my @clients;

	# The engine is stopped, so no connection is accepted while clients connect.
	freeze($engine);
	for my $n (1 .. $most - 10) {
		socket(my $socket, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
		$socket->blocking(0);
		if (!connect $socket, pack_sockaddr_un($d->endpoint)) {
			fail("client $n: $!");
			last;
		}
		push @clients, $socket;
	}
	is(scalar @clients, $most - 10, 'every client gets a place in the listen queue');
	kill 'CONT', $engine;
	my $bytes = request(sasl_username => 'bob');
	syswrite $_, $bytes for @clients;
	$_->blocking(1) for @clients;
	local $SIG{ALRM} = sub { die "no answer in time\n" };
	alarm 60;
	my $answered = 0;
	for my $client (@clients) {
		my $answer = '';
		sysread $client, $answer, 100;
		$answered++ if $answer eq "action=dunno\n\n";
	}
	alarm 0;
	is($answered, scalar @clients, 'every queued client is answered');
	$d->ends_well;
};

subtest 'closed-connections-slow-the-loop' => sub {
	my $d = Policyd->start(config => { limits => [[1_000_000, 3600]],
	    debug => Policyd::False });
	my $engine = $d->child('engine');
	my $before = descriptors($engine);
	my $bytes = request(sasl_username => 'bob', protocol_state => 'DATA');
	my @took;

	# One request on each of many connections in succession.
	for my $round (1 .. 8) {
		my $begin = worked($engine);
		for (1 .. 400) {
			my $client = $d->connect;
			$client->ask_bytes($bytes) eq 'dunno' or die 'no answer';
			$client->close;
		}
		push @took, worked($engine) - $begin;
	}
	cmp_ok(sum(@took[4 .. 7]), '<', 3 * sum(@took[0 .. 3]) + 0.05,
	    'the 3000th connection costs as much as the first') or diag("@took");
	SKIP: {
		skip 'descriptors of the engine cannot be seen', 1 if !defined $before;
		ok(wait_until { return descriptors($engine) <= $before },
		    'no descriptor is leaked');
	}
	$d->ends_well;
};

subtest 'idle-clients-are-closed' => sub {
	my $delay = 2;
	my $d = Policyd->start(config => { delay_to_close => $delay,
	    limits => [[1_000_000, 3600]] });

	# If this test itself was delayed, the active client was idle too: try again.
	for my $try (1 .. 10) {
		my ($idle, $busy) = map { $d->connect } 1 .. 2;
		is($idle->ask(sasl_username => 'bob'), 'dunno',
		    'the client that will be idle is answered once');
		my ($last, $longest) = (time, 0);
		my $asked = sub {
			my $answer = $busy->ask(sasl_username => 'eve');
			$longest = max($longest, time - $last);
			$last = time;
			return $answer;
		};
		wait_until { !defined $asked->() || $idle->wait_closed(0.05) };
		my $answer = $asked->();
		next if $longest > $delay / 2 && $try < 10;
		ok($idle->{closed}, 'an idle client is closed');
		is($answer, 'dunno', 'an active client stays connected');
		last;
	}
	$d->ends_well;
};

done_testing();
