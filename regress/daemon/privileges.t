#!/usr/bin/perl
# User, groups, capabilities and descriptors of each process, seen from outside.

use strict;
use warnings;

use Test::More;

use Policyd qw(request wait_until as_root status_of slurp need True);

need(-d '/proc/self', 'no /proc here');

# The variables that a child's environment may have.
my $environment = 'PATH|TZ|HOME|SSL_CERT_FILE|SSL_CERT_DIR|' .
    '(?:A|L|UB)SAN_OPTIONS';

# The open files of a process, by descriptor.
sub open_files {
	my ($pid) = @_;

	return { map { m{/(\d+)$}; ($1 => readlink $_) } glob "/proc/$pid/fd/*" };
}

sub confined {
	my ($name, $pid) = @_;
	my $status = status_of($pid);

	is($status->{Name}, $name, "ps shows $name by its name");
	(my $arguments = slurp("/proc/$pid/cmdline")) =~ s/\0$//;
	is($arguments, $name, "$name: its argument vector has only its name");
	is($status->{NoNewPrivs}, 1, "$name: no new privileges");
	is($status->{Seccomp}, 2, "$name: a system call filter is in force");
	is($status->{CapEff}, '0' x 16, "$name: the effective capability set is empty");
	is($status->{CapPrm}, '0' x 16, "$name: the permitted capability set is empty");
	is($status->{Threads}, 1, "$name: one thread");
	return $status;
}

subtest 'not-root' => sub {
	my $d = Policyd->start(as => as_root() ? 'nobody' : undef);

	confined($_, $d->child($_)) for 'engine', 'ledger-sqlite';
	is($d->ask(sasl_username => 'bob'), 'dunno', 'and they work');
	$d->ends_well;
};

subtest 'root' => sub {
	plan skip_all => 'only root has privileges to drop' if !as_root();
	my ($uid, $gid) = Policyd::nobody();
	my $d = Policyd->start(listen => ['unix', 'tcp']);

	# The supplementary groups of the service's user.
	my ($user) = Policyd::user_names();
	my %groups = ($gid => 1);
	while (my @group = getgrent) {
		$groups{$group[2]} = 1 if grep { $_ eq $user } split / /, $group[3];
	}
	for my $name ('engine', 'ledger-sqlite') {
		my $pid = $d->child($name);
		my $status = confined($name, $pid);
		is($status->{Uid}, join("\t", ($uid) x 4),
		    "$name: all user ids are the service's");
		is($status->{Gid}, join("\t", ($gid) x 4),
		    "$name: all group ids are the service's");
		is_deeply([sort split ' ', $status->{Groups}], [sort keys %groups],
		    "$name: the supplementary groups are the service's");
		isnt(readlink "/proc/$pid/root", '/', "$name: chroot is in force");
		my @environment = split /\0/, slurp("/proc/$pid/environ");
		is(scalar(grep { !/^(?:$environment)=/ } @environment), 0,
		    "$name: the environment has only the allowed variables");
		my $open = open_files($pid);
		is($open->{0}, '/dev/null', "$name: stdin is /dev/null");
		is($open->{1}, '/dev/null', "$name: stdout is /dev/null");
		like($open->{2}, qr/^pipe:/, "$name: stderr is a pipe to the parent");
		like(slurp("/proc/$pid/fdinfo/2"), qr/^flags:\s+\d*1$/m,
		    "$name: the pipe is write-only");
		like($open->{3}, qr/^socket:/, "$name: descriptor 3 is the channel");
	}
	my $engine = open_files($d->child('engine'));
	is(scalar(grep { m{^/} && !m{^/dev/null$} } values %$engine),
	    0, 'the engine has no open file') or diag(explain($engine));
	my $ledger = open_files($d->child('ledger-sqlite'));
	my $db = "$d->{dir}/db";
	is(scalar(grep { m{^/} && !m{^/dev/null$|^\Q$db\E(?:/|$)} }
	    values %$ledger), 0, 'the ledger holds the directory of its database only')
	    or diag(explain($ledger));
	my $parent = status_of($d->pid);
	is($parent->{NoNewPrivs}, 1, 'parent: no new privileges');
	isnt($parent->{CapBnd}, sprintf('%016x', (1 << 41) - 1), 'parent: fewer capabilities');
	is(hex($parent->{CapEff}) & 1 << 21, 0, 'parent: CAP_SYS_ADMIN is not in effect');

	is($d->ask(sasl_username => 'bob'), 'dunno', 'and they work');
	# A restarted child has the same privileges.
	my $engine_pid = $d->child('engine');
	kill 'KILL', $engine_pid;
	my $next = $d->child('engine', $engine_pid);
	ok(wait_until { return (status_of($next)->{Seccomp} // 0) == 2 },
	    'a new engine is started');
	is(confined('engine', $next)->{Uid}, join("\t", ($uid) x 4),
	    'the new engine runs with the same user id');
	$d->ends_well;
};

# A terminal: its other end and its path.
sub new_terminal {
	my ($TIOCSPTLCK, $TIOCGPTN) = (0x40045431, 0x80045430);
	my $number = pack 'i', 0;
	my $unlocked = $number;

	open(my $master, '+<', '/dev/ptmx') or return;
	ioctl($master, $TIOCSPTLCK, $unlocked) or return;
	ioctl($master, $TIOCGPTN, $number) or return;
	$master->blocking(0);
	return ($master, '/dev/pts/' . unpack('i', $number));
}

subtest 'no-terminal-in-a-child' => sub {
	my ($master, $terminal) = new_terminal();
	plan skip_all => 'no terminal can be had' if !$master;
	plan skip_all => 'what the parent has open is read by root' if !as_root();
	my $TIOCSCTTY = 0x540e;
	my $said = '';
	my $hear = sub {
		my $bytes;

		$said .= $bytes while sysread $master, $bytes, 65536;
	};
	my $d = Policyd->new(args => ['-d'], prepare => sub {
		POSIX::setsid();
		open my $tty, '+<', $terminal or POSIX::_exit(124);
		ioctl $tty, $TIOCSCTTY, 0;
		my $fd = fileno $tty;
		POSIX::dup2($fd, $_) for 0 .. 2;
	});

	$d->launch;
	ok(wait_until { $hear->(); $said =~ /parent: policyd-rate-limit .* listening on/ },
	    'the daemon starts on the terminal') or diag($said);
	is(open_files($d->pid)->{2}, $terminal, 'the parent has the terminal open');
	for my $name ('engine', 'ledger-sqlite') {
		my $open = open_files($d->child($name));
		is(scalar(grep { m{^/dev/(?:pts/|tty)} } values %$open), 0, "$name has not")
		    or diag(explain($open));
	}
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');
	ok(wait_until { $hear->(); $said =~ /^\S+ engine: .*bob/m },
	    "a child's lines come there with its name") or diag($said);
	unlike($d->log, qr/./, 'nothing is written to the log file');
	is($d->stop, 0, 'the daemon stops with status 0');
};

subtest 'descriptors-inherited' => sub {
	my $d = Policyd->new(prepare => sub {
		# The daemon inherits open descriptors, as from a careless script.
		open my $passwd, '<', '/etc/passwd';
		POSIX::dup2(fileno $passwd, $_) for 3 .. 12, 40;
		POSIX::close(0);
	});

	$d->start;
	for my $pid ($d->pid, values %{$d->children}) {
		my $open = open_files($pid);
		SKIP: {
			skip 'descriptors cannot be seen', 1 if !%$open;
			is(scalar(grep { $_ eq '/etc/passwd' } values %$open), 0,
			    slurp("/proc/$pid/comm") =~ s/\n//r . ' holds none of them');
		}
	}
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');
	$d->ends_well;
};

subtest 'umask-and-modes' => sub {
	for my $umask (0000, 0777) {
		my $d = Policyd->new(prepare => sub { umask $umask },
		    config => { socket_permission => \'0o660' });
		$d->start;
		my $mode = sub { (stat $_[0])[2] & 07777 };
		is($mode->($d->endpoint), 0660, sprintf 'umask %04o: the socket', $umask);
		is($mode->($d->control), 0660, 'the mode of the control socket');
		is($mode->($d->pidfile), 0644, 'the mode of the pid file');
		is($mode->("$d->{dir}/sock"), 0755, "the mode of the socket's directory");
		is($mode->("$d->{dir}/db"), 0750, "the mode of the database's directory");
		ok(!($mode->($d->database) & 022), 'only the owner may write to the database');
		if (as_root()) {
			my ($uid, $gid) = Policyd::nobody();
			is((stat "$d->{dir}/$_")[4], $uid, "$_ is the user's")
			    for 'sock', 'db', 'pid', 'ctl';
			is((stat $d->endpoint)[4], $uid, 'the socket is the user\'s');
			is((stat $d->control)[4], 0, 'the control socket is root\'s');
			is((stat $d->control)[5], $gid,
			    "the control socket has the service\'s group");
			is((stat $d->pidfile)[4], 0, 'the pid file is root\'s');
		}
		$d->ends_well;
	}
	SKIP: {
		skip 'only root gives sockets away', 2 if !as_root();
		my $d = Policyd->start(config => { socket_user => 'daemon',
		    socket_group => 'mail', socket_permission => \'0o640' });
		is((stat $d->endpoint)[4], scalar getpwnam('daemon'),
		    "the socket's owner is socket_user");
		is((stat $d->endpoint)[5], scalar getgrnam('mail'),
		    "the socket's group is socket_group");
		$d->ends_well;
	}
};

done_testing();
