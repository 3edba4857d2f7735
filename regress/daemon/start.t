#!/usr/bin/perl
# Starting where others may have been: links, stale files, a service manager.

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
	plan skip_all => 'only root can be led astray so' if !as_root();
	my $d = Policyd->new;
	my $dir = $d->dir;

	# A directory that anybody may write to, with a link that leads elsewhere.
	mkdir "$dir/open" or die;
	chmod 01777, "$dir/open";
	mkdir "$dir/elsewhere" or die;
	chmod 0755, "$dir/elsewhere";
	symlink "$dir/elsewhere", "$dir/open/link" or die;
	for my $setting ('SOCKET', 'pidfile') {
		$d->write_config({ $setting => "$dir/open/link/file" });
		my ($status, undef, $err) = $d->run;
		is($status, 6, "$setting behind a link of somebody: status 6");
		like($err, qr/symbolic link/, 'the message names the symbolic link');
		delete $d->{config}{$setting};
	}
	$d->write_config({ sqlite_config => { database => "$dir/open/link/new/db" } });
	my ($status) = $d->run;
	is($status, 6, 'the database behind it: status 6');
	is_deeply([glob "$dir/elsewhere/*"], [], 'nothing was made elsewhere');

	# Where only root may write, a link is root's will.
	symlink "$dir/elsewhere", "$dir/rootlink" or die;
	$d->write_config({ sqlite_config => { database => "$dir/rootlink/new/db.sqlite3" },
	    SOCKET => "$dir/rootlink/sock/policy", pidfile => "$dir/rootlink/pid" });
	$d->{endpoints} = ["$dir/rootlink/sock/policy"];
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a link of root\'s is followed');
	ok(-e "$dir/elsewhere/new/db.sqlite3", 'to where it leads');
	is((stat "$dir/elsewhere/sock")[4], $uid, 'what was made there is the user\'s');
	is((stat "$dir/elsewhere")[4], 0, 'and what was there is not');
	$d->ends_well;
};

subtest 'files-of-others' => sub {
	my $d = Policyd->new;
	my $dir = $d->dir;

	# The directory is the user's, who may have put anything into it.
	mkdir "$dir/$_" for 'pid', 'sock';
	chmod 0777, "$dir/pid", "$dir/sock";
	chown $uid, $gid, "$dir/pid", "$dir/sock" if as_root();
	spew("$dir/precious", "precious\n", 0600);

	symlink "$dir/precious", $d->pidfile or die;
	$d->start;
	is(slurp($d->pidfile), $d->pid . "\n", 'the pid file is a symbolic link: it is replaced');
	is(slurp("$dir/precious"), "precious\n", 'the target of the link is unchanged');
	is($d->stop, 0, 'status 0');

	link "$dir/precious", $d->pidfile or die;
	$d->start;
	is(slurp("$dir/precious"), "precious\n",
	    'a hard link: the file it shares is not written to');
	is(slurp($d->pidfile), $d->pid . "\n", 'but replaced');
	is($d->stop, 0, 'status 0');

	mkdir $d->pidfile or die;
	$d->start;
	is(slurp($d->pidfile), $d->pid . "\n", 'the pid file is a directory: it is replaced');
	is($d->stop, 0, 'status 0');

	mkdir $d->pidfile or die;
	spew($d->pidfile . '/file', '', 0600);
	$d->start;
	is(slurp($d->pidfile), $d->pid . "\n", 'one with files in it: it gets another name');
	ok($d->wait_log(qr/\.pid was in the way and is called \.policyd-\w+ now/),
	    'the new name is logged');
	is($d->stop, 0, 'status 0');
	system 'rm', '-r', glob "$dir/pid/.policyd-*";

	POSIX::mkfifo($d->pidfile, 0666) or die;
	$d->start;
	is(slurp($d->pidfile), $d->pid . "\n", 'the pid file is a pipe: it is replaced');
	is($d->stop, 0, 'status 0');
	is_deeply([glob "$dir/pid/{*,.policyd*}"], [], 'nothing is left');

	symlink "$dir/precious", $d->endpoint or die;
	my ($status) = $d->run;
	is($status, 6, 'SOCKET is a symbolic link: status 6');
	is(slurp("$dir/precious"), "precious\n", 'and what it leads to is as it was');
	is((stat "$dir/precious")[2] & 07777, 0600, 'its mode too');
	unlink $d->endpoint;

	# A stale socket of somebody else's making.
	socket(my $stale, AF_UNIX, SOCK_STREAM, 0) or die;
	bind($stale, pack_sockaddr_un($d->endpoint)) or die;
	close $stale;
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a stale socket is replaced');
	is_deeply([grep { !m{/(?:policy)$} } glob "$dir/sock/{*,.policyd*}"], [],
	    'nothing else is left beside it');
	$d->ends_well;
};

# A process of another user, who is neither root nor the daemon's: does its work, says so,
# and holds what it has until it is ended.
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
	is($said, 'done', 'another user is there');
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
			# Locks that one who may read can have.
			flock $fh, LOCK_EX or die "flock: $!\n";
			return ($fh, @dirs);
		}),
		stranger(sub {
			return map { sysopen my $fh, "$d->{dir}/$_", O_RDONLY | O_DIRECTORY
			    or die "$_: $!"; flock $fh, LOCK_EX or die "flock: $!\n"; $fh }
			    'pid', 'sock', 'ctl', '.';
		}));
	my ($status) = $d->run;
	is($status, 3, 'it runs');
	kill 'KILL', $pid;
	wait_until { !$d->running };
	push @ends, stranger(sub { return lock_file(O_RDONLY, F_RDLCK, $d->pidfile) });
	my $begin = time;
	$d->start;
	cmp_ok(time - $begin, '<', 10, 'killed, it starts again at once, whoever holds a lock');
	is(slurp($d->pidfile), $d->pid . "\n", 'the pid file is its own');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'and it serves');
	# Where the first process of all waits for no child they stay as zombies, without a program.
	ok(wait_until { !grep { defined readlink "/proc/$_/exe" } values %$children },
	    'the children before have ended');
	($status) = $d->run;
	is($status, 3, 'it runs again');
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
		cmp_ok(time - $begin, '<', 10, "$set: it starts");
		is(slurp($d->pidfile), $d->pid . "\n", "$set: with its pid file");
		is($d->ask(sasl_username => 'bob'), 'dunno', "$set: and serves");
		is(($d->run)[0], 3, "$set: once");
		is($d->stop, 0, "$set: and ends well");
		$end->();
		unlink glob "$dir/*";
	}
	like(slurp('/etc/passwd'), qr/^root:/, 'what a link leads to is as it was');
};

# A container's root without capabilities: which call on what failed, and what to do.
subtest 'not-permitted' => sub {
	my $setpriv = have_command('setpriv');
	plan skip_all => 'only root has capabilities' if !as_root() || !$setpriv;
	my $d = Policyd->new;
	my @without = ($setpriv, '--bounding-set');

	my ($status, undef, $err) = $d->run_command(@without, '-chown', $d->command);
	is($status, 6, 'without CAP_CHOWN: status 6');
	like($err, qr{/pid/policyd\.pid|/pid.*: chown: Operation not permitted; .* grant CAP_CHOWN,},
	    'the path, the call and the capability');
	mkdir "$d->{dir}/closed";
	chmod 0, "$d->{dir}/closed";
	chown $uid, $gid, "$d->{dir}/closed";
	$d->write_config({ pidfile => "$d->{dir}/closed/pid" });
	($status, undef, $err) = $d->run_command(@without, '-dac_override,-dac_read_search',
	    $d->command);
	is($status, 6, 'without CAP_DAC_OVERRIDE: status 6');
	like($err, qr{/closed/?\S*: open: Permission denied; .* grant CAP_DAC_OVERRIDE,},
	    'the path, the call and the capability');
	$d->write_config({ pidfile => \'None' });
	($status, undef, $err) = $d->run_command(@without, '-setuid', $d->command);
	is($status, 6, 'without CAP_SETUID: status 6');
	like($err, qr{for uid $uid, gid $gid: .*not permitted.* CAP_SETUID}, 'a child says it too');
};

subtest 'where-the-log-goes' => sub {
	my $syslog = -S '/dev/log' || -S '/var/run/log';
	my %on_stderr = (stderr => 1, syslog => 0, None => !$syslog);

	for my $where (sort keys %on_stderr) {
		my $d = Policyd->start(config => { debug => \'False',
		    log => $where eq 'None' ? \'None' : $where });
		my $said = $d->log =~ /parent: policyd-rate-limit .* listening on/ ? 1 : 0;
		is($said, $on_stderr{$where} ? 1 : 0, "log = $where: on stderr or not");
		is($d->stop, 0, "log = $where: ends well");
	}
	my $d = Policyd->start(args => ['-d'], config => { debug => \'False', log => 'syslog' });
	ok($d->wait_log(qr/listening on/), 'with -d on stderr, whatever log says');
	$d->ends_well;
};

subtest 'no-pid-file' => sub {
	my $d = Policyd->start(config => { pidfile => \'None' });

	is($d->ask(sasl_username => 'bob'), 'dunno', 'it serves');
	ok(!-e $d->pidfile, 'and has no pid file');
	my ($status, undef, $err) = $d->run;
	is($status, 6, 'a second one cannot have its socket: status 6');
	like($err, qr/another process listens there/,
	    'the message says that another process listens');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the first one goes on');
	$d->ends_well;
};

subtest 'long-paths' => sub {
	my $d = Policyd->new;
	my $path = $d->dir . '/' . join('/', ('directory' x 4) x 6) . '/policy';

	$d->{endpoints} = [$path];
	$d->write_config;
	$d->launch;
	ok(wait_until { $d->told(qr/READY=1/) || !$d->running },
	    'a path longer than the address of a socket');
	ok(-S $path, 'the socket is there');
	chdir((my $above = $path) =~ s{/policy$}{}r) or die;
	is($d->connect('policy')->ask(sasl_username => 'bob'), 'dunno',
	    'it answers by a relative path');
	chdir '/';
	is($d->stop, 0, 'status 0');
	ok(!-e $path, 'no file is left');
};

subtest 'socket-activation' => sub {
	my $d = Policyd->new(listen => ['unix', 'tcp', 'unix']);
	my ($path, $tcp) = ($d->endpoint(0), $d->endpoint(1));

	# What the service manager made before: one UNIX socket, one TCP, one too many.
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
	# A client that comes before the daemon.
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
	is((stat $path)[2] & 07777, 0606, 'with its mode');
	is($d->connect($tcp)->ask(sasl_username => 'bob'), 'dunno', 'TCP');
	is($d->connect($d->endpoint(2))->ask(sasl_username => 'bob'), 'dunno',
	    'one of its own making besides');
	ok($d->wait_log(qr/matches no address of SOCKET/),
	    'the surplus socket is logged');

	my $mark = $d->log_mark;
	$d->signal('HUP');
	ok($d->wait_log(qr/new configuration is in force/, $mark), 'a reload');
	is($d->connect->ask(sasl_username => 'bob'), 'dunno', 'changes nothing');

	is($d->stop, 0, 'status 0');
	is((stat $path)[1], $inode, 'the socket is not ours to remove');
	ok(!-e $d->endpoint(2), 'our own is gone');

	# A restart refuses nobody: the queue is the service manager's.
	my $between = $d->connect_quietly;
	ok($between, 'a client between two daemons');
	$between->send(request(sasl_username => 'between'));
	$d->start;
	is($between->answer, 'dunno', 'is answered by the next');
	is($d->stop, 0, 'status 0');

	# Meant for another process: not ours.
	$d->{prepare} = sub { $ENV{LISTEN_PID} = 1; $ENV{LISTEN_FDS} = 3 };
	close $unix;
	close $inet;
	$d->start;
	isnt((stat $path)[1], $inode, 'LISTEN_PID of another: a socket of its own');
	$d->ends_well;
};

subtest 'service-manager' => sub {
	my $d = Policyd->new(environment => { WATCHDOG_USEC => 200_000 });

	$d->start;
	ok($d->told(qr/^READY=1$/m), 'READY=1 when it serves');
	ok($d->told(qr/^STATUS=./m), 'with a status');
	ok(wait_until { $d->told(qr/(?:^WATCHDOG=1\n(?:.*\n)*?){3}/m) },
	    'the watchdog hears of it again and again');
	$d->signal('HUP');
	ok(wait_until { $d->told(qr/^RELOADING=1\nMONOTONIC_USEC=\d+\n(?:.*\n)*?READY=1$/m) },
	    'a reload begins and ends');
	$d->write_config({ limits => 'nonsense' });
	my $count = () = $d->{told} =~ /^READY=1$/mg;
	$d->signal('HUP');
	ok(wait_until { $d->told(qr/./);
	    return (() = $d->{told} =~ /^READY=1$/mg) > $count }, 'one that fails too');
	for my $name ('engine', 'ledger-sqlite') {
		unlike(slurp('/proc/' . $d->child($name) . '/environ'),
		    qr/NOTIFY_SOCKET|WATCHDOG/, "$name is not told of it");
	}
	is($d->stop, 0, 'status 0');
	ok($d->told(qr/^STOPPING=1$/m), 'STOPPING=1');
};

subtest 'several-sockets' => sub {
	my $d = Policyd->start(listen => ['unix', 'unix', 'tcp', 'tcp6'],
	    config => { limits => [[8, 3600]], fail_action => 'reject full' });

	for my $round (1 .. 2) {
		is($d->connect($d->endpoint($_))->ask(sasl_username => 'bob'), 'dunno',
		    "round $round, endpoint $_") for 0 .. 3;
	}
	is($d->connect($d->endpoint(3))->ask(sasl_username => 'bob'), 'reject full',
	    'one count for all of them');
	my ($log) = $d->log =~ /(policyd-rate-limit \d.*)/;
	like($log, qr/\Q$_\E/, "the log names $_") for $d->endpoint(0), $d->endpoint(1),
	    '[127.0.0.1]:' . $d->endpoint(2)->[1], '[::1]:' . $d->endpoint(3)->[1],
	    'ledger-sqlite';
	$d->ends_well;
};

done_testing();
