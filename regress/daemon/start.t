#!/usr/bin/perl
# Starting with links, stale files and locks of other users, and under a service manager.

use strict;
use warnings;

use Fcntl qw(:DEFAULT :flock O_DIRECTORY);
use POSIX ();
use Socket;
use Test::More;
use Time::HiRes qw(time sleep);

use Policyd qw(have_command request wait_until as_root slurp spew True);

my ($uid, $gid) = Policyd::nobody();

subtest 'links-of-others' => sub {
	plan skip_all => "only root follows other users' links" if !as_root();
	my $d = Policyd->new;
	my $dir = $d->dir;

	# A world-writable directory with a symbolic link to another directory.
	mkdir "$dir/open" or die;
	chmod 01777, "$dir/open";
	mkdir "$dir/elsewhere" or die;
	chmod 0755, "$dir/elsewhere";
	symlink "$dir/elsewhere", "$dir/open/link" or die;
	for my $setting ('SOCKET', 'pidfile') {
		$d->write_config({ $setting => "$dir/open/link/file" });
		my ($status, undef, $err) = $d->run;
		is($status, 6, "$setting behind another user's link: status 6");
		like($err, qr/symbolic link/, 'the message names the symbolic link');
		delete $d->{config}{$setting};
	}
	$d->write_config({ sqlite_config => { database => "$dir/open/link/new/db" } });
	my ($status) = $d->run;
	is($status, 6, "the database behind another user's link: status 6");
	is_deeply([glob "$dir/elsewhere/*"], [], 'no file is created behind the link');

	# A link in a directory that only root may write to is followed.
	symlink "$dir/elsewhere", "$dir/rootlink" or die;
	$d->write_config({ sqlite_config => { database => "$dir/rootlink/new/db.sqlite3" },
	    SOCKET => "$dir/rootlink/sock/policy", pidfile => "$dir/rootlink/pid" });
	$d->{endpoints} = ["$dir/rootlink/sock/policy"];
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a link of root\'s is followed');
	ok(-e "$dir/elsewhere/new/db.sqlite3", "the database is created behind root's link");
	is((stat "$dir/elsewhere/sock")[4], $uid, 'what was made there is the user\'s');
	is((stat "$dir/elsewhere")[4], 0, 'the owner of the existing directory is unchanged');
	$d->ends_well;
};

subtest 'files-of-others' => sub {
	my $d = Policyd->new;
	my $dir = $d->dir;

	# The directory belongs to the service's user, who may have put any file into it.
	mkdir "$dir/$_" for 'pid', 'sock';
	chmod 0777, "$dir/pid", "$dir/sock";
	chown $uid, $gid, "$dir/pid", "$dir/sock" if as_root();
	spew("$dir/precious", "precious\n", 0600);

	symlink "$dir/precious", $d->pidfile or die;
	$d->start;
	is(slurp($d->pidfile), $d->pid . "\n", 'the pid file is a symbolic link: it is replaced');
	is(slurp("$dir/precious"), "precious\n", 'the target of the link is unchanged');
	is($d->stop, 0, 'the daemon stops with status 0');

	link "$dir/precious", $d->pidfile or die;
	$d->start;
	is(slurp("$dir/precious"), "precious\n",
	    "the pid file is a hard link: the other name's content is unchanged");
	is(slurp($d->pidfile), $d->pid . "\n", 'the hard link is replaced');
	is($d->stop, 0, 'the daemon stops with status 0');

	mkdir $d->pidfile or die;
	$d->start;
	is(slurp($d->pidfile), $d->pid . "\n", 'the pid file is a directory: it is replaced');
	is($d->stop, 0, 'the daemon stops with status 0');

	mkdir $d->pidfile or die;
	spew($d->pidfile . '/file', '', 0600);
	$d->start;
	is(slurp($d->pidfile), $d->pid . "\n",
	    'the pid file is a directory with files: the directory is renamed');
	ok($d->wait_log(qr/\.pid was in the way and is called \.policyd-\w+ now/),
	    'the new name is logged');
	is($d->stop, 0, 'the daemon stops with status 0');
	system 'rm', '-r', glob "$dir/pid/.policyd-*";

	POSIX::mkfifo($d->pidfile, 0666) or die;
	$d->start;
	is(slurp($d->pidfile), $d->pid . "\n", 'the pid file is a pipe: it is replaced');
	is($d->stop, 0, 'the daemon stops with status 0');
	is_deeply([glob "$dir/pid/{*,.policyd*}"], [], 'no temporary file is left');

	symlink "$dir/precious", $d->endpoint or die;
	my ($status) = $d->run;
	is($status, 6, 'SOCKET is a symbolic link: status 6');
	is(slurp("$dir/precious"), "precious\n", 'the target of the link is unchanged');
	is((stat "$dir/precious")[2] & 07777, 0600,
	    "the mode of the link's target is unchanged");
	unlink $d->endpoint;

	# A stale socket of another user.
	socket(my $stale, AF_UNIX, SOCK_STREAM, 0) or die;
	bind($stale, pack_sockaddr_un($d->endpoint)) or die;
	close $stale;
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a stale socket is replaced');
	is_deeply([grep { !m{/(?:policy)$} } glob "$dir/sock/{*,.policyd*}"], [],
	    'no temporary file is left beside the socket');
	$d->ends_well;
};

# A process of a third user, neither root nor the service's: does its work, reports, and
# keeps its files and locks until it is ended.
sub stranger {
	my ($work) = @_;
	my $other = getpwnam 'daemon';

	pipe(my $from, my $to) or die;
	defined(my $pid = fork) or die;
	if ($pid == 0) {
		$) = "$other $other";
		POSIX::setgid($other);
		POSIX::setuid($other);
		POSIX::_exit(1) if $> != $other;
		my @kept = eval { $work->() };
		print STDERR $@ if $@;
		syswrite $to, $@ ? 'failed' : 'done';
		sleep 600;
		POSIX::_exit(0);
	}
	close $to;
	sysread $from, my $said, 16;
	is($said, 'done', 'the process of the other user is ready');
	return sub { kill 'KILL', $pid; waitpid $pid, 0 };
}

# A lock of fcntl(2) on the whole file, as struct flock is on Linux with 64 bits.
sub lock_file {
	my ($mode, $type, $path) = @_;

	sysopen(my $fh, $path, $mode, 0666) or die "$path: $!\n";
	fcntl($fh, F_SETLK, pack 's s x4 q q i x4', $type, 0, 0, 0, 0) or die "lock: $!\n";
	return $fh;
}

sub listen_at {
	my ($path, $backlog) = @_;

	socket(my $socket, AF_UNIX, SOCK_STREAM, 0) or die;
	bind($socket, pack_sockaddr_un($path)) or die "$path: $!\n";
	listen($socket, $backlog) or die;
	return $socket;
}

subtest 'locks-of-others' => sub {
	plan skip_all => 'only root can be somebody else' if !as_root();
	plan skip_all => 'locks as Linux has them' if $^O ne 'linux' || !defined getpwnam 'daemon';
	my $d = Policyd->start;
	my ($pid, $children) = ($d->pid, $d->children);

	is((stat $d->pidfile)[2] & 07777, 0644, 'everybody may read the pid file');
	my @ends = (
		stranger(sub {
			open my $fh, '<', $d->pidfile or die;
			my @dirs = map { opendir my $h, $_ or die "$_: $!"; $h }
			    map { "$d->{dir}/$_" } '', 'pid', 'sock';
			# Locks that need read permission only.
			flock $fh, LOCK_EX or die "flock: $!\n";
			return ($fh, @dirs);
		}),
		stranger(sub {
			return map { sysopen my $fh, "$d->{dir}/$_", O_RDONLY | O_DIRECTORY
			    or die "$_: $!"; flock $fh, LOCK_EX or die "flock: $!\n"; $fh }
			    'pid', 'sock', 'ctl', '.';
		}));
	my ($status) = $d->run;
	is($status, 3, 'a second start finds the daemon running');
	kill 'KILL', $pid;
	wait_until { !$d->running };
	push @ends, stranger(sub { return lock_file(O_RDONLY, F_RDLCK, $d->pidfile) });
	my $begin = time;
	$d->start;
	cmp_ok(time - $begin, '<', 10,
	    "a killed daemon starts at once despite other users' locks");
	is(slurp($d->pidfile), $d->pid . "\n", 'the pid file has the new pid');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');
	# Where init does not reap orphans they stay as zombies, whose /proc/PID/exe is empty.
	ok(wait_until { !grep { defined readlink "/proc/$_/exe" } values %$children },
	    "the killed daemon's children have exited");
	($status) = $d->run;
	is($status, 3, 'a second start finds the new daemon running');
	$_->() for @ends;
	$d->ends_well;
};

subtest 'directories-of-others' => sub {
	plan skip_all => 'only root can be somebody else' if !as_root();
	plan skip_all => 'locks as Linux has them' if $^O ne 'linux' || !defined getpwnam 'daemon';
	my $d = Policyd->new;
	my $other = getpwnam 'daemon';
	my %sets = (
		'a file with a lock' => [$d->pidfile, sub {
			lock_file(O_RDWR | O_CREAT, F_WRLCK, $d->pidfile) }],
		'a file without rights' => [$d->pidfile, sub {
			lock_file(O_RDWR | O_CREAT, F_WRLCK, $d->pidfile);
			chmod 0, $d->pidfile }],
		'a FIFO' => [$d->pidfile, sub { POSIX::mkfifo($d->pidfile, 0666) or die }],
		'a link' => [$d->pidfile, sub { symlink '/etc/passwd', $d->pidfile or die }],
		'a socket' => [$d->pidfile, sub { listen_at($d->pidfile, 5) }],
		'a listener' => [$d->endpoint, sub { listen_at($d->endpoint, 5) }],
		'a full listener' => [$d->endpoint, sub {
			my $socket = listen_at($d->endpoint, 0);
			return ($socket, map { socket my $c, AF_UNIX, SOCK_STREAM, 0;
			    $c->blocking(0);
			    connect $c, pack_sockaddr_un($d->endpoint); $c } 1 .. 5);
		}],
		'a plain file' => [$d->endpoint, sub { spew($d->endpoint, 'x', 0666) }],
		'a link to a file' => [$d->endpoint, sub { symlink '/etc/passwd', $d->endpoint }],
		'a listener for policyctl' => [$d->control, sub { listen_at($d->control, 5) }],
	);

	for my $set (sort keys %sets) {
		my ($path, $work) = @{$sets{$set}};
		my ($dir) = $path =~ m{(.*)/};
		mkdir $dir;
		chmod 0755, $dir;
		chown $other, $other, $dir;
		my $end = stranger($work);
		my $begin = time;
		$d->start;
		cmp_ok(time - $begin, '<', 10, "$set: the daemon starts");
		is(slurp($d->pidfile), $d->pid . "\n",
		    "$set: the pid file has the daemon's pid");
		is($d->ask(sasl_username => 'bob'), 'dunno', "$set: a request is answered");
		is(($d->run)[0], 3, "$set: a second start is refused");
		is($d->stop, 0, "$set: the daemon stops with status 0");
		$end->();
		unlink glob "$dir/*";
	}
	like(slurp('/etc/passwd'), qr/^root:/, 'the target of a link is unchanged');
};

# Root without capabilities, as in a container: the message names call, path and capability.
subtest 'not-permitted' => sub {
	my $setpriv = have_command('setpriv');
	plan skip_all => 'only root has capabilities' if !as_root() || !$setpriv;
	my $d = Policyd->new;
	my @without = ($setpriv, '--bounding-set');

	my ($status, undef, $err) = $d->run_command(@without, '-chown', $d->command);
	is($status, 6, 'without CAP_CHOWN: status 6');
	like($err, qr{/pid/policyd\.pid|/pid.*: chown: Operation not permitted; .* grant CAP_CHOWN,},
	    'the message names the path, the call and the capability');
	mkdir "$d->{dir}/closed";
	chmod 0, "$d->{dir}/closed";
	chown $uid, $gid, "$d->{dir}/closed";
	$d->write_config({ pidfile => "$d->{dir}/closed/pid" });
	($status, undef, $err) = $d->run_command(@without, '-dac_override,-dac_read_search',
	    $d->command);
	is($status, 6, 'without CAP_DAC_OVERRIDE: status 6');
	like($err, qr{/closed/?\S*: open: Permission denied; .* grant CAP_DAC_OVERRIDE,},
	    'the message names the path, the call and the capability');
	$d->write_config({ pidfile => \'None' });
	($status, undef, $err) = $d->run_command(@without, '-setuid', $d->command);
	is($status, 6, 'without CAP_SETUID: status 6');
	like($err, qr{for uid $uid, gid $gid: .*not permitted.* CAP_SETUID},
	    "a child's message names the ids and the capability");
};

subtest 'where-the-log-goes' => sub {
	my $syslog = -S '/dev/log' || -S '/var/run/log';
	my %on_stderr = (stderr => 1, syslog => 0, None => !$syslog);

	for my $where (sort keys %on_stderr) {
		my $d = Policyd->start(config => { debug => \'False',
		    log => $where eq 'None' ? \'None' : $where });
		my $said = $d->log =~ /parent: policyd-rate-limit .* listening on/ ? 1 : 0;
		is($said, $on_stderr{$where} ? 1 : 0, "log = $where: the start is logged on " .
		    ($on_stderr{$where} ? 'stderr' : 'syslog'));
		is($d->stop, 0, "log = $where: the daemon stops with status 0");
	}
	my $d = Policyd->start(args => ['-d'], config => { debug => \'False', log => 'syslog' });
	ok($d->wait_log(qr/listening on/), '-d logs to stderr, whatever the setting log is');
	$d->ends_well;
};

subtest 'no-pid-file' => sub {
	my $d = Policyd->start(config => { pidfile => \'None' });

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');
	ok(!-e $d->pidfile, 'there is no pid file');
	my ($status, undef, $err) = $d->run;
	is($status, 6, 'a second start with the same socket: status 6');
	like($err, qr/another process listens there/,
	    'the message says that another process listens');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the first daemon still answers');
	$d->ends_well;
};

subtest 'long-paths' => sub {
	my $d = Policyd->new;
	my $path = $d->dir . '/' . join('/', ('directory' x 4) x 6) . '/policy';

	$d->{endpoints} = [$path];
	$d->write_config;
	$d->launch;
	ok(wait_until { $d->told(qr/READY=1/) || !$d->running },
	    'a daemon starts with a path longer than a socket address');
	ok(-S $path, 'the socket is there');
	chdir((my $above = $path) =~ s{/policy$}{}r) or die;
	is($d->connect('policy')->ask(sasl_username => 'bob'), 'dunno',
	    'a client with a relative path is answered');
	chdir '/';
	is($d->stop, 0, 'the daemon stops with status 0');
	ok(!-e $path, 'no file is left');
};

subtest 'socket-activation' => sub {
	my $d = Policyd->new(listen => ['unix', 'tcp', 'unix']);
	my ($path, $tcp) = ($d->endpoint(0), $d->endpoint(1));

	# The service manager's sockets: one UNIX, one TCP, and one that is not configured.
	mkdir $d->dir . '/sock';
	local $^F = 100;
	socket(my $unix, AF_UNIX, SOCK_STREAM, 0) or die;
	bind($unix, pack_sockaddr_un($path)) or die;
	listen($unix, 100);
	chmod 0606, $path;
	socket(my $inet, AF_INET, SOCK_STREAM, 0) or die;
	setsockopt($inet, SOL_SOCKET, SO_REUSEADDR, 1);
	bind($inet, pack_sockaddr_in($tcp->[1], INADDR_LOOPBACK)) or die;
	socket(my $extra, AF_INET, SOCK_STREAM, 0) or die;
	bind($extra, pack_sockaddr_in(0, INADDR_LOOPBACK)) or die;
	listen($extra, 10);
	my $inode = (stat $path)[1];
	# A client that connects before the daemon starts.
	my $early = $d->connect_quietly;
	$early->send(request(sasl_username => 'early'));

	$d->{prepare} = sub {
		my @fds = map { POSIX::dup(fileno $_) } $unix, $inet, $extra;
		my @high = map { my $to = 60 + $_; POSIX::dup2($fds[$_], $to); $to } 0 .. 2;
		POSIX::dup2($high[$_], 3 + $_) for 0 .. 2;
		$ENV{LISTEN_PID} = $$;
		$ENV{LISTEN_FDS} = 3;
		$ENV{LISTEN_FDNAMES} = 'a:b:c';
	};
	$d->start;
	is($early->answer, 'dunno',
	    'a client that connected before the start is answered');
	is((stat $path)[1], $inode, 'the socket is the one handed over');
	is((stat $path)[2] & 07777, 0606, "the socket's mode is unchanged");
	is($d->connect($tcp)->ask(sasl_username => 'bob'), 'dunno',
	    'the TCP socket that was handed over works');
	is($d->connect($d->endpoint(2))->ask(sasl_username => 'bob'), 'dunno',
	    'a configured socket that was not handed over is created');
	ok($d->wait_log(qr/matches no address of SOCKET/),
	    'the surplus socket is logged');

	my $mark = $d->log_mark;
	$d->signal('HUP');
	ok($d->wait_log(qr/new configuration is in force/, $mark), 'the reload is logged');
	is($d->connect->ask(sasl_username => 'bob'), 'dunno',
	    'the socket still works after the reload');

	is($d->stop, 0, 'the daemon stops with status 0');
	is((stat $path)[1], $inode, 'the socket that was handed over is not removed');
	ok(!-e $d->endpoint(2), "the daemon's own socket is removed");

	# During a restart clients wait in the service manager's listen queue.
	my $between = $d->connect_quietly;
	ok($between, 'a client connects while no daemon runs');
	$between->send(request(sasl_username => 'between'));
	$d->start;
	is($between->answer, 'dunno', 'the next daemon answers it');
	is($d->stop, 0, 'the daemon stops with status 0');

	# LISTEN_PID of another process: the variables are ignored.
	$d->{prepare} = sub { $ENV{LISTEN_PID} = 1; $ENV{LISTEN_FDS} = 3 };
	close $unix;
	close $inet;
	# Another name keeps the number of its inode from being given out again.
	link $path, "$d->{dir}/handed-over" or die;
	$d->start;
	isnt((stat $path)[1], $inode,
	    'LISTEN_PID of another process: the daemon creates its own socket');
	$d->ends_well;
};

subtest 'service-manager' => sub {
	my $d = Policyd->new(environment => { WATCHDOG_USEC => 200_000 });

	$d->start;
	ok($d->told(qr/^READY=1$/m), 'READY=1 is sent');
	ok($d->told(qr/^STATUS=./m), 'STATUS is sent');
	ok(wait_until { $d->told(qr/(?:^WATCHDOG=1\n(?:.*\n)*?){3}/m) },
	    'WATCHDOG=1 is sent repeatedly');
	$d->signal('HUP');
	ok(wait_until { $d->told(qr/^RELOADING=1\nMONOTONIC_USEC=\d+\n(?:.*\n)*?READY=1$/m) },
	    'a reload sends RELOADING=1 and READY=1');
	$d->write_config({ limits => 'nonsense' });
	my $count = () = $d->{told} =~ /^READY=1$/mg;
	$d->signal('HUP');
	ok(wait_until { $d->told(qr/./);
	    return (() = $d->{told} =~ /^READY=1$/mg) > $count },
	    'a failed reload sends READY=1 too');
	for my $name ('engine', 'ledger-sqlite') {
		unlike(slurp('/proc/' . $d->child($name) . '/environ'),
		    qr/NOTIFY_SOCKET|WATCHDOG/,
		    "$name has no such variable in its environment");
	}
	is($d->stop, 0, 'the daemon stops with status 0');
	ok($d->told(qr/^STOPPING=1$/m), 'STOPPING=1 is sent');
};

subtest 'several-sockets' => sub {
	my $d = Policyd->start(listen => ['unix', 'unix', 'tcp', 'tcp6'],
	    config => { limits => [[8, 3600]], fail_action => 'reject full' });

	for my $round (1 .. 2) {
		is($d->connect($d->endpoint($_))->ask(sasl_username => 'bob'), 'dunno',
		    "round $round, endpoint $_") for 0 .. 3;
	}
	is($d->connect($d->endpoint(3))->ask(sasl_username => 'bob'), 'reject full',
	    'all sockets share one count');
	my ($log) = $d->log =~ /(policyd-rate-limit \d.*)/;
	like($log, qr/\Q$_\E/, "the log names $_") for $d->endpoint(0), $d->endpoint(1),
	    '[127.0.0.1]:' . $d->endpoint(2)->[1], '[::1]:' . $d->endpoint(3)->[1],
	    'ledger-sqlite';
	$d->ends_well;
};

done_testing();
