#!/usr/bin/perl

# The confinement of the real processes, as the kernel sees it, and what happens when one
# of them makes a call that its role may not.

use strict;
use warnings;

use Test::More;

use Policyd qw(need have_command wait_until children_of process_alive slurp
    status_of as_root);

need($^O eq 'linux', '/proc of Linux');

my $seccomp = qr/\bseccomp\b/;
my $nothing = '0' x 16;

# Limits as name => [soft, hard].
sub limits_of {
	my ($pid) = @_;

	return { map { /^(Max \S+(?: \S+)*?)\s{2,}(\S+)\s+(\S+)/ ? ($1 => [$2, $3]) : () }
	    split /\n/, slurp("/proc/$pid/limits") };
}

# What the descriptors lead to, without the numbers of sockets and the like.
sub descriptors_of {
	my ($pid) = @_;
	my %found;

	for my $fd (glob "/proc/$pid/fd/*") {
		my $to = readlink $fd // next;
		$to =~ s/:\[.*\]/:/;
		push @{$found{$to}}, $fd =~ /(\d+)\z/;
	}
	return \%found;
}

sub check_child {
	my ($d, $name, %expected) = @_;
	my $pid = $d->child($name);
	my $status = status_of($pid);
	my ($uid, $gid) = ($expected{uid}, $expected{gid});

	is($status->{Uid}, join("\t", ($uid) x 4), "$name: every user id is the user's");
	is($status->{Gid}, join("\t", ($gid) x 4), "$name: every group id is the group's");
	is($status->{Groups}, $expected{groups},
	    "$name: no supplementary group but the expected ones");
	is($status->{"Cap$_"}, $nothing, "$name: no capability is $_")
	    for qw(Inh Prm Eff Amb);
	is($status->{NoNewPrivs}, 1, "$name: no new privileges");
	is($status->{Seccomp}, 2, "$name: a system call filter is in force");
	is($status->{Threads}, 1, "$name: one thread");

	my $limits = limits_of($pid);
	is("@{$limits->{'Max core file size'}}", '0 0', "$name: no core file");
	is("@{$limits->{'Max processes'}}", '0 0', "$name: no process can be created");
	is((stat "/proc/$pid/environ")[4], 0, "$name: not dumpable, its /proc is root's");
	is(slurp("/proc/$pid/environ") =~ /(?:^|\0)(?!PATH=|TZ=|SSL_CERT)
	    (\w+)=/x ? $1 : '', '', "$name: the environment has only the allowed variables");
	return if !as_root();

	is(readlink("/proc/$pid/root"), $expected{root}, "$name: its root")
	    if defined $expected{root};
	my $fds = descriptors_of($pid);
	delete $fds->{$_} for '/dev/null', 'socket:', 'anon_inode:', 'pipe:',
	    $d->{logfile}, 'anon_inode:[eventpoll]';
	my @files = sort grep { $_ !~ $expected{files} } keys %$fds;
	is("@files", '', "$name: no unexpected file is open");
}

sub check_parent {
	my ($d) = @_;
	my $status = status_of($d->pid);

	is($status->{NoNewPrivs}, 1, 'parent: no new privileges');
	is($status->{"Cap$_"}, $nothing, "parent: no capability is $_") for qw(Inh Amb);
	is("@{limits_of($d->pid)->{'Max core file size'}}", '0 0',
	    'parent: no core file');
	return if !as_root() || defined $d->{as};
	# chown dac_override fowner kill setgid setuid net_bind_service sys_chroot
	my $kept = 0;
	$kept |= 1 << $_ for 0, 1, 3, 5, 6, 7, 10, 18;
	is(hex $status->{"Cap$_"}, $kept, "parent: $_ has what it uses")
	    for qw(Bnd Prm Eff);
}

sub check_all {
	my ($d, %expected) = @_;

	check_parent($d);
	check_child($d, 'engine', %expected, files => qr/\A$/,
	    root => $expected{jail});
	is("@{limits_of($d->child('engine'))->{'Max file size'}}", '0 0',
	    'engine: no file may grow');
	check_child($d, 'ledger-sqlite', %expected, root => $expected{db},
	    files => qr{\A\Q$d->{dir}\E/db(?:/db\.sqlite3(?:-wal|-shm|-journal)?)?\z});
}

sub start_or_skip {
	my ($name, %option) = @_;
	my $d = Policyd->start(config => { limits => [[3, 60]] }, %option);

	plan(skip_all => 'built without the whole sandbox')
	    if $d->log =~ /EASED|SANDBOX=none/;
	ok($d->wait_log(qr/engine: .*$seccomp.*; ledger: .*$seccomp/),
	    "$name: the log names the sandbox layers");
	return $d;
}

subtest 'started as root' => sub {
	plan(skip_all => 'not root') if !as_root();
	my $d = start_or_skip('root');
	my ($uid, $gid) = Policyd::nobody();

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');
	check_all($d, uid => $uid, gid => $gid, groups => $gid, db => "$d->{dir}/db");
	unlike(readlink('/proc/' . $d->child('engine') . '/root'), qr{\A/\z},
	    'the engine is in a chroot directory');
	my $jail = '/proc/' . $d->child('engine') . '/root';
	is_deeply([glob "$jail/*"], [], 'the chroot directory is empty');
	$d->ends_well;
};

subtest 'started by a user' => sub {
	my ($uid, $gid) = as_root() ? Policyd::nobody() : ($>, $) + 0);
	my $groups = as_root() ? $gid : status_of($$)->{Groups};
	my $d = start_or_skip('user', as_root() ? (as => scalar getpwuid $uid) : ());

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');
	check_all($d, uid => $uid, gid => $gid, groups => $groups);
	$d->ends_well;
};

# strace replaces the number of a system call, as if the process had been made to call
# it; the calls that write to the log are not replaced.
subtest 'a forbidden call of a real process' => sub {
	plan(skip_all => 'only root may trace it') if !as_root();
	my $strace = have_command('strace');
	plan(skip_all => 'strace is not here') if !$strace;
	my $d = start_or_skip('strace', attacked => 1);

	for my $name (qw(engine ledger-sqlite)) {
		my $pid = $d->child($name);
		my $mark = $d->log_mark;
		my $said = "$d->{dir}/strace";
		unlink $said;
		my $tracer = $d->spawn('/dev/null', $said, $strace, '-qq', '-o',
		    '/dev/null', '-e',
		    'inject=!write,sendto:error=EPERM:syscall=getppid', '-p', $pid);
		# The next system call, whichever it is, is replaced.
		wait_until {
			my $client = $d->connect_quietly;
			$client->ask_bytes(Policyd::request(sasl_username => 'eve'), 1)
			    if $client;
			!process_alive($pid) || slurp($said) ne '';
		};
		ok(!process_alive($pid), "$name is killed") or diag(slurp($said));
		kill 'TERM', $tracer;
		Policyd::reap($tracer);
		my ($role) = split /-/, $name;
		my $line = qr/^\S+ $role: sandbox: forbidden system call: getppid \(\d+\)$/m;
		ok($d->wait_log($line, $mark), "the log names $name and the call");
		ok($d->wait_log(qr/\Q$name\E \(process $pid\) died of signal 31/, $mark),
		    'the parent logs which process died');
		ok($d->child($name, $pid), 'a new process is started');
		is($d->ask(sasl_username => "after-$name"), 'dunno', 'the new process serves');
	}
	$d->ends_well;
};

done_testing();
