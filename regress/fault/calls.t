#!/usr/bin/perl
# Every C library call of the engine and the ledgers fails once, for memory, sockets and
# files (the other programs: once.t). What must hold: each request finally gets a verdict,
# each accepted mail is counted once, and the daemon continues to serve. Linux with glibc
# only (shim.c).

use strict;
use warnings;

use Errno qw(EIO EMFILE ENFILE ENOMEM ENOSPC EINTR EAGAIN ECONNRESET ECONNABORTED EBUSY
    ENOBUFS);
use Test::More;

use Chance qw(draw);
use Policyd qw(wait_until $root);
use Database;
use Fault qw(fault_daemon full);

# Role, call, errno.
my @faults = (
	['engine', 'malloc', ENOMEM],
	['engine', 'recvmsg', ENOMEM],
	['engine', 'recvmsg', EINTR],
	['engine', 'recvmsg', EAGAIN],
	['engine', 'send', EAGAIN],
	['engine', 'read', ECONNRESET],
	['engine', 'read', EINTR],
	['engine', 'write', ECONNRESET],
	['engine', 'send', ENOBUFS],
	['engine', 'accept4', EMFILE],
	['engine', 'accept4', ENFILE],
	['engine', 'accept4', ECONNABORTED],
	['engine', 'accept4', ENOMEM],
	['engine', 'epoll_wait', EINTR],
	['engine', 'epoll_ctl', ENOMEM],
	['engine', 'fcntl', EIO],
	['engine', 'getsockopt', EIO],
	['ledger-sqlite', 'malloc', ENOMEM],
	['ledger-sqlite', 'recvmsg', EINTR],
	['ledger-sqlite', 'recvmsg', EAGAIN],
	['ledger-sqlite', 'recvmsg', ENOMEM],
	['ledger-sqlite', 'send', EINTR],
	['ledger-sqlite', 'send', EAGAIN],
	['ledger-sqlite', 'send', ENOBUFS],
	['ledger-sqlite', 'send', ENOMEM],
	['ledger-sqlite', 'poll', EINTR],
	['ledger-sqlite', 'poll', ENOMEM],
	['ledger-sqlite', 'pread', EIO],
	['ledger-sqlite', 'pread64', EIO],
	['ledger-sqlite', 'pwrite', EIO],
	['ledger-sqlite', 'pwrite', ENOSPC],
	['ledger-sqlite', 'open', EMFILE],
	['ledger-sqlite', 'open', EIO],
	['ledger-sqlite', 'fsync', EIO],
	['ledger-sqlite', 'ftruncate', EIO],
	['ledger-sqlite', 'fcntl', EIO],
	['ledger-sqlite', 'fcntl', EBUSY],
	['ledger-sqlite', 'unlink', EIO],
	map {
		my $role = $_;
		map { [$role, @$_] }
		    ['malloc', ENOMEM],
		    ['recvmsg', ENOMEM],
		    ['recvmsg', EAGAIN],
		    ['send', ENOBUFS],
		    ['send', EAGAIN],
		    ['recv', ECONNRESET],
		    ['recv', EINTR],
		    ['recv', EAGAIN],
		    ['poll', EINTR],
		    ['poll', ENOMEM],
		    ['fcntl', EIO]
	} 'ledger-pgsql', 'ledger-mysql'
);

# If the role needs a database server, start the daemon with it.
sub start {
	my ($role) = @_;
	my ($backend) = $role =~ /\Aledger-(pgsql|mysql)\z/;
	my $server = $backend && Database->start($backend);
	# A ledger that cannot connect retries with increasing delay.
	my $d = fault_daemon(shim => [$role], config => {
	    $server ? $server->config : () });

	$d->{server} = $server;
	return $d->start;
}

for my $role ('engine', 'ledger-sqlite', 'ledger-pgsql', 'ledger-mysql') {
	subtest $role => sub {
		plan(skip_all => "$role is not built") if !-x "$root/build/libexec/$role";
		Database->needed($1) if $role =~ /\Aledger-(pgsql|mysql)\z/;
		my ($d, $work);
		my ($n, $failed) = (0, 0);

		for (grep { $_->[0] eq $role } @faults) {
			my (undef, $call, $error) = @$_;
			my $name = do { local $! = $error; "$call: $!" };

			if (!$d || $n++ % 3 == 0) {
				# Each restart is delayed longer: start another daemon.
				if ($d) {
					$work->check;
					$d->ends_well;
				}
				$d = start($role);
				$work = Fault::Work->start($d,
				    user => sub { "user$_[0]-" . int($_[1] / 50) });
			}
			my $shim = $d->{shim}{$role};
			for my $after (1, 2 + draw(40), full ? map { draw(2000) }
			    1 .. 20 : ()) {
				$work->wait_more(3);
				$shim->fail($call, errno => $error, after => $after);
				# accept(2) is called only when the test connects.
				my @clients = map { $d->connect_quietly } 1 .. 3;
				wait_until { $shim->failed } 0.15;
				$failed += $shim->failed;
				$shim->calm;
				ok($work->wait_more(3),
				    "mails are decided: $name fails at call $after") or last;
			}
		}
		$work->check;
		$d->ends_well;
		note("$failed calls failed");
	};
}

done_testing();
