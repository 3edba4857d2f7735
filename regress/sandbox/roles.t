#!/usr/bin/perl

# What a compromised role can still do: each attack of attack.c is tried in each role,
# inside the sandbox, and must fail or end the process; a forbidden call that ended it
# must be named in the log. The same attacks are tried first without the sandbox, where
# they must work.

use strict;
use warnings;

use File::Temp qw(tempdir);
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h);
use Socket qw(SOCK_STREAM SOCK_DGRAM SOMAXCONN pack_sockaddr_un);
use Test::More;

use Policyd qw(need spew as_root $root);

need($^O eq 'linux', 'the attacks are Linux system calls');
need(-x "$root/build/regress/attack", 'build/regress/attack (make tests)');

my $dir = tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
my $attack = "$dir/attack";
system('cp', "$root/build/regress/attack", $attack) == 0 or die "cp: $?";
chmod 0755, $attack;

my ($uid, $gid) = as_root() ? Policyd::nobody() : ($>, $) + 0);
my @roles = qw(engine ledger-sqlite ledger-server report);

# --- targets of the attacks ---

my $outside = "$dir/outside";
my $ledger = "$dir/ledger";
mkdir $_ or die "$_: $!" for $outside, $ledger, "$dir/jail";
chmod 0777, $outside;
chown $uid, $gid, $ledger;
spew("$dir/file", "secret\n", 0644);

my $tcp = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', Blocking => 0)
    or die "TCP: $!";
my $unix = IO::Socket::UNIX->new(Local => "$dir/stream", Listen => 20)
    or die "UNIX: $!";
my $datagram = IO::Socket::UNIX->new(Local => "$dir/datagram", Type => SOCK_DGRAM)
    or die "UNIX: $!";
my $name = "policyd-regress-$$";
socket(my $abstract, Socket::AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
bind($abstract, pack_sockaddr_un("\0$name")) or die "abstract: $!";
listen($abstract, 20) or die "listen: $!";
$_->blocking(0) for $unix, $datagram, $abstract;
chmod 0777, "$dir/stream", "$dir/datagram";

sub as_user {
	my ($as, @command) = @_;

	if ($as && as_root()) {
		$) = "$gid $gid";
		POSIX::setgid($gid);
		POSIX::setuid($uid);
	}
	exec @command or POSIX::_exit(126);
}

# The victim runs as the same user: user ids do not protect it.
pipe(my $victim_in, my $victim_hold) or die "pipe: $!";
my $victim = open(my $victim_out, '-|') // die "fork: $!";
if ($victim == 0) {
	close $victim_hold;
	open STDIN, '<&', $victim_in;
	as_user(1, $attack, 'victim');
}
close $victim_in;
<$victim_out> =~ /\A$victim$/ or die 'the victim did not start';

sub prepare {
	unlink glob "$outside/*";
	rmdir "$outside/dir";
	spew("$outside/victim", 'whole', 0666);
	chown $uid, $gid, "$outside/victim";
	1 while $tcp->accept;
	1 while $unix->accept;
	1 while accept(my $c, $abstract);
	1 while $datagram->recv(my $bytes, 10) // undef;
}

# Describes what an attack reached or changed.
sub damage {
	my @found;

	push @found, 'a TCP connection' if $tcp->accept;
	push @found, 'a UNIX connection' if $unix->accept;
	push @found, 'an abstract connection' if accept(my $c, $abstract);
	push @found, 'a datagram' if defined $datagram->recv(my $bytes, 10);
	my @files = map { s{.*/}{}r } glob "$outside/*";
	push @found, "files @files" if "@files" ne 'victim';
	push @found, 'a file cut' if -s "$outside/victim" != 5;
	push @found, 'a mode changed' if ((stat "$outside/victim")[2] & 0777) != 0666;
	push @found, 'the victim' if waitpid($victim, WNOHANG) != 0;
	return join ', ', @found;
}

# --- running an attack ---

# Reads what is in the pipe without waiting for its end.
sub rest_of {
	my ($fh) = @_;
	my $bytes = '';

	$fh->blocking(0);
	1 while sysread $fh, $bytes, 65536, length $bytes;
	return $bytes;
}

# how: lock (all, landlock, none), role, drop (started as root, gives it up), as_user
sub run {
	my ($attempt, %how) = @_;
	my @args = ("file=$dir/file", "directory=$outside", "socket=$dir/stream",
	    "datagram=$dir/datagram", "abstract=$name", 'tcp=' . $tcp->sockport,
	    "victim=$victim");

	push @args, map { "without=$_" } @{$how{without} // []};
	push @args, 'required=1' if $how{required};
	push @args, "ledger=$ledger" if $how{role} eq 'ledger-sqlite';
	push @args, "uid=$uid", "gid=$gid", "jail=$dir/jail" if $how{drop};
	prepare();
	# Pipes, as a child of the daemon has: no file may grow.
	pipe(my $out, my $to_out) && pipe(my $err, my $to_err) or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>&', $to_out;
		open STDERR, '>&', $to_err;
		alarm 60;
		as_user(!$how{drop} && !$how{root}, $attack, $how{lock}, $how{role},
		    $attempt, @args);
	}
	waitpid $pid, 0;
	my $status = $?;
	my %end = (out => rest_of($out), err => rest_of($err));
	$end{signal} = $status & 127;
	$end{status} = $status >> 8;
	($end{locked}) = $end{out} =~ /^locked: (.*)/m;
	($end{failed}) = $end{out} =~ /^failed: (.*)/m;
	$end{worked} = $end{out} =~ /^worked$/m;
	($end{call}) = $end{err} =~
	    /^$how{role}: sandbox: forbidden system call: (\w+) \(\d+\)$/m;
	return \%end;
}

sub in_words {
	my ($end) = @_;

	return join ' ', map { "$_=" . ($end->{$_} // '-') }
	    qw(locked worked failed signal status call), "err=$end->{err}";
}

my @attempts = map { chomp; [split /\t/] } `$attack list`;
cmp_ok(scalar @attempts, '>', 70, 'attack.c has attacks');

{
	my $end = run('work', lock => 'all', role => 'engine');
	plan(skip_all => 'this build has no whole sandbox')
	    if ($end->{locked} // '') =~ /EASED/;
}

# --- without the sandbox attacks work ---

subtest 'without the sandbox' => sub {
	for (@attempts) {
		my ($attempt, $call, $who) = @$_;
		next if $who eq 'nobody' || $who eq 'root' && !as_root();
		my $end = run($attempt, lock => 'none', role => 'engine',
		    root => $who eq 'root');
		SKIP: {
			skip "$attempt: $end->{failed}, on this system", 1
			    if ($end->{failed} // '') =~ /not (?:permitted|implemented|
			    supported)|denied/x && ($ENV{CI} // '') ne 'true';
			ok($end->{worked}, "$attempt works") or diag(in_words($end));
		}
	}
};

# --- inside the sandbox they fail ---

# More than one layer stops most attacks, and a hole in the system call filter must show
# all the same. Only SQLite's ledger may make these calls: chroot or Landlock stops them.
my %placed = map { $_ => 1 } qw(open-file open-directory open-for-writing open-proc-maps
    open-proc-mem unlink);

# MariaDB's library changes O_NONBLOCK of its only socket.
my %own = ('ledger-server' => qr/\Alistener-(?:flags|shutdown)\z/);

sub check_locked {
	my ($attempt, $call, %how) = @_;
	my $end = run($attempt, %how);
	my $damage = damage();
	my $what = "$how{role}: $attempt";
	my $bad;

	if (!defined $end->{locked}) {
		$bad = 'did not lock itself in';
	} elsif ($end->{worked} || $damage ne '') {
		$bad = "worked: $damage";
	} elsif ($end->{signal} == 31) {
		# Blocked handlers and foreign architectures die unnamed. 32-bit systems
		# have fcntl64, setuid32 and their like.
		$bad = 'died, but the log does not say of what'
		    if $call ne '' && ($end->{call} // '') !~ /\A(?:$call)(?:32|64)?\z/;
	} elsif (!defined $end->{failed} && $end->{signal} == 0) {
		$bad = 'came to no end';
	} elsif (defined $end->{failed} && $call ne '' && !($placed{$attempt} &&
	    $how{role} eq 'ledger-sqlite')) {
		$bad = "was left to another layer than the list of calls: $end->{failed}";
	}
	ok(!$bad, defined $bad ? "$what $bad" : $what) or diag(in_words($end));
}

for my $role (@roles) {
	for my $drop (as_root() ? (0, 1) : (0)) {
		my %how = (lock => 'all', role => $role, drop => $drop);
		subtest "$role, " . ($drop ? 'started as root' : 'as a user') => sub {
			check_locked(@$_[0, 1], %how)
			    for grep { $_->[0] !~ ($own{$role} // qr/(*FAIL)/) } @attempts;

			my $end = run('work', %how);
			ok($end->{worked},
			    'the calls that the role needs work') or diag(in_words($end));
			like($end->{locked}, qr/\bno_new_privs\b.*\bseccomp\b/,
			    'the log names the sandbox layers');
			like($end->{err}, qr/^\S+ \Q$role\E: a line from inside/m,
			    'the role can log');
			$end = run('abort', %how);
			is($end->{signal}, 6, 'abort(3) ends the process with SIGABRT');
		};
	}
}

# --- while a role resolves and connects ---

# Calls that name services and libraries need; the role has dropped its privileges.
my $connecting = qr/\A(?:open-(?:file|directory|proc-maps)|socket-(?!pair)|connect-|sendto-|
    sendmsg-|sendmmsg-|fastopen-|send-descriptor|setsockopt-|listener-(?:flags|blocks|timeout|
    filter|shutdown)|bind-udp|(?:mmap|mprotect)-exec|chroot|chdir|capset|
    handler-)/x;

for my $drop (as_root() ? (0, 1) : (0)) {
	subtest 'connecting, ' . ($drop ? 'started as root' : 'as a user') => sub {
		my %how = (lock => 'all', role => 'connecting', drop => $drop);
		for (grep { $_->[0] !~ $connecting } @attempts) {
			my $end = run($_->[0], %how);
			my $damage = damage();
			ok(defined $end->{locked} && !$end->{worked} && $damage eq '',
			    "connecting: $_->[0]") or diag("$damage ", in_words($end));
		}
		for my $call (qw(open-file socket-tcp connect-tcp)) {
			my $end = run($call, %how);
			ok($end->{worked}, "$call works") or diag(in_words($end));
		}
	};
}

# --- with one layer disabled ---

# Without Landlock, chroot must still protect; without the system call filter, Landlock.
my @off = (
	[['landlock'], qr/no Landlock \(.*\); chroot\(2\)/],
	[['unshare', 'landlock'], qr/no Landlock \(.*\); the ledger can open/],
	[['seccomp'], qr/no seccomp \(.*\); /],
);

sub check_without {
	my ($without, $says, %how) = @_;
	my $what = "$how{role} without @$without" . ($how{drop} ? ', root' : '');
	my $end = run('open-file', %how, without => $without);

	like($end->{err}, $says, "$what: the warning says what is left")
	    if $how{role} eq 'ledger-sqlite' && !($how{drop} && @$without > 1);
	like($end->{err}, qr/sandbox: no (?:Landlock|seccomp) \(/,
	    "$what: a warning is logged");
	my $open = $how{role} eq 'ledger-sqlite' && !$how{drop} && @$without > 1;
	for my $attempt (sort keys %placed) {
		last if $open;
		$end = run($attempt, %how, without => $without);
		my $damage = damage();
		ok(defined $end->{locked} && !$end->{worked} && $damage eq '',
		    "$what: $attempt") or diag("$damage ", in_words($end));
	}
	$end = run('work', %how, without => $without);
	ok($end->{worked},
	    "$what: the calls that the role needs work") or diag(in_words($end));
	$end = run('work', %how, without => $without, required => 1);
	ok(!defined $end->{locked} && $end->{err} =~ /sandbox_required is set/,
	    "$what: the start fails if the layer is required") or diag(in_words($end));
}

my $namespaces = system('unshare -U true 2>/dev/null') == 0;
for my $role (@roles) {
	for my $drop (as_root() ? (0, 1) : (0)) {
		subtest "$role with layers off, " . ($drop ? 'root' : 'user') => sub {
			for (@off) {
				next if !$namespaces && !$drop && "@{$_->[0]}" eq 'landlock';
				check_without(@$_, lock => 'all', role => $role,
				    drop => $drop);
			}
		};
	}
}

# --- Landlock alone ---

subtest 'Landlock alone' => sub {
	my $end = run('open-file', lock => 'landlock', role => 'engine');
	plan(skip_all => 'no Landlock here') if !defined $end->{locked};
	my ($abi) = $end->{locked} =~ /landlock-(\d+)/;
	my %since = (
		'open-file' => 1, 'open-directory' => 1, 'open-for-writing' => 1,
		'openat2' => 1, 'open-proc-maps' => 1, 'open-proc-mem' => 1, mkdir => 1,
		unlink => 1, rename => 1, link => 1, symlink => 1, mknod => 1,
		'ptrace-parent' => 1, 'ptrace-victim' => 1, 'process-vm-readv' => 1,
		'process-vm-writev' => 1, truncate => 3, 'connect-tcp' => 4,
		'bind-tcp' => 4, 'connect-abstract' => 6, 'kill-parent' => 6,
		'kill-victim' => 6, tgkill => 6, sigqueue => 6,
	);
	for my $attempt (sort keys %since) {
		next if $since{$attempt} > $abi;
		$end = run($attempt, lock => 'landlock', role => 'engine');
		like($end->{failed} // 'it worked', qr/not permitted|denied/,
		    "$attempt is refused");
		is(damage(), '', "$attempt changed nothing");
	}
};

ok(Policyd::process_alive($victim), 'the victim is still running');
close $victim_hold;
waitpid $victim, 0;

done_testing();
