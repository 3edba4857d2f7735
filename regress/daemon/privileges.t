#!/usr/bin/perl
# Who the processes are and what they hold, seen from outside.

use strict;
use warnings;

use Test::More;

use Policyd qw(request wait_until as_root status_of slurp need True);

need(-d '/proc/self', 'no /proc here');

# What a child may find in its environment.
my $environment = 'PATH|TZ|HOME|SSL_CERT_FILE|SSL_CERT_DIR|' .
    '(?:A|L|UB)SAN_OPTIONS';

# What a process holds open, by descriptor.
sub open_files {
	my ($pid) = @_;

	return { map { m{/(\d+)$}; ($1 => readlink $_) } glob "/proc/$pid/fd/*" };
}

sub confined {
	my ($name, $pid) = @_;
	my $status = status_of($pid);

	is($status->{Name}, $name, "ps shows $name by its name");
	(my $arguments = slurp("/proc/$pid/cmdline")) =~ s/\0$//;
	is($arguments, $name, "$name: nothing else in its arguments");
	is($status->{NoNewPrivs}, 1, "$name: no new privileges");
	is($status->{Seccomp}, 2, "$name: a filter of system calls");
	is($status->{CapEff}, '0' x 16, "$name: no capability is in effect");
	is($status->{CapPrm}, '0' x 16, "$name: nor can one be had");
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

	# Supplementary groups as the system's files have them.
	my ($user) = Policyd::user_names();
	my %groups = ($gid => 1);
	while (my @group = getgrent) {
		$groups{$group[2]} = 1 if grep { $_ eq $user } split / /, $group[3];
	}
	for my $name ('engine', 'ledger-sqlite') {
		my $pid = $d->child($name);
		my $status = confined($name, $pid);
		is($status->{Uid}, join("\t", ($uid) x 4), "$name: every user id");
		is($status->{Gid}, join("\t", ($gid) x 4), "$name: every group id");
		is_deeply([sort split ' ', $status->{Groups}], [sort keys %groups],
		    "$name: every group");
		isnt(readlink "/proc/$pid/root", '/', "$name: shut into a directory");
		my @environment = split /\0/, slurp("/proc/$pid/environ");
		is(scalar(grep { !/^(?:$environment)=/ } @environment), 0,
		    "$name: next to nothing in its environment");
		my $open = open_files($pid);
		is($open->{0}, '/dev/null', "$name: stdin");
		is($open->{1}, '/dev/null', "$name: stdout");
		like($open->{2}, qr/^pipe:/, "$name: its log goes by the parent");
		like(slurp("/proc/$pid/fdinfo/2"), qr/^flags:\s+\d*1$/m,
		    "$name: and can only be written to");
		like($open->{3}, qr/^socket:/, "$name: its channel");
	}
	my $engine = open_files($d->child('engine'));
	is(scalar(grep { m{^/} && !m{^/dev/null$} } values %$engine),
	    0, 'the engine holds no file') or diag(explain($engine));
	my $ledger = open_files($d->child('ledger-sqlite'));
	my $db = "$d->{dir}/db";
	is(scalar(grep { m{^/} && !m{^/dev/null$|^\Q$db\E(?:/|$)} }
	    values %$ledger), 0, 'the ledger holds the directory of its database only')
	    or diag(explain($ledger));
	my $parent = status_of($d->pid);
	is($parent->{NoNewPrivs}, 1, 'parent: no new privileges');
	isnt($parent->{CapBnd}, sprintf('%016x', (1 << 41) - 1), 'parent: fewer capabilities');
	is(hex($parent->{CapEff}) & 1 << 21, 0, 'parent: not the one for everything');

	is($d->ask(sasl_username => 'bob'), 'dunno', 'and they work');
	# The next ones are no different.
	my $engine_pid = $d->child('engine');
	kill 'KILL', $engine_pid;
	my $next = $d->child('engine', $engine_pid);
	ok(wait_until { return (status_of($next)->{Seccomp} // 0) == 2 },
	    'an engine that was started again');
	is(confined('engine', $next)->{Uid}, join("\t", ($uid) x 4),
	    'runs with the same user id');
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
	    'it starts on the terminal') or diag($said);
	is(open_files($d->pid)->{2}, $terminal, 'which the parent has');
	for my $name ('engine', 'ledger-sqlite') {
		my $open = open_files($d->child($name));
		is(scalar(grep { m{^/dev/(?:pts/|tty)} } values %$open), 0, "$name has not")
		    or diag(explain($open));
	}
	is($d->ask(sasl_username => 'bob'), 'dunno', 'it serves');
	ok(wait_until { $hear->(); $said =~ /^\S+ engine: .*bob/m },
	    "a child's lines come there with its name") or diag($said);
	unlike($d->log, qr/./, 'and nowhere else');
	is($d->stop, 0, 'it ends well');
};

subtest 'descriptors-inherited' => sub {
	my $d = Policyd->new(prepare => sub {
		# Descriptors that nobody closed, the way of careless scripts.
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
	is($d->ask(sasl_username => 'bob'), 'dunno', 'it works');
	$d->ends_well;
};

subtest 'umask-and-modes' => sub {
	for my $umask (0000, 0777) {
		my $d = Policyd->new(prepare => sub { umask $umask },
		    config => { socket_permission => \'0o660' });
		$d->start;
		my $mode = sub { (stat $_[0])[2] & 07777 };
		is($mode->($d->endpoint), 0660, sprintf 'umask %04o: the socket', $umask);
		is($mode->($d->control), 0660, 'the control socket');
		is($mode->($d->pidfile), 0644, 'the pid file');
		is($mode->("$d->{dir}/sock"), 0755, 'its directory');
		is($mode->("$d->{dir}/db"), 0750, 'the directory of the database');
		ok(!($mode->($d->database) & 022), 'nobody else writes to the database');
		if (as_root()) {
			my ($uid, $gid) = Policyd::nobody();
			is((stat "$d->{dir}/$_")[4], $uid, "$_ is the user's")
			    for 'sock', 'db', 'pid', 'ctl';
			is((stat $d->endpoint)[4], $uid, 'the socket is the user\'s');
			is((stat $d->control)[4], 0, 'the control socket is root\'s');
			is((stat $d->control)[5], $gid, 'and its group\'s');
			is((stat $d->pidfile)[4], 0, 'the pid file is root\'s');
		}
		$d->ends_well;
	}
	SKIP: {
		skip 'only root gives sockets away', 2 if !as_root();
		my $d = Policyd->start(config => { socket_user => 'daemon',
		    socket_group => 'mail', socket_permission => \'0o640' });
		is((stat $d->endpoint)[4], scalar getpwnam('daemon'), 'socket_user');
		is((stat $d->endpoint)[5], scalar getgrnam('mail'), 'socket_group');
		$d->ends_well;
	}
};

done_testing();
