package Bench;

# What the bench measures with: the load generator and the empty policy server of
# regress/bench, daemons whose files are on a real disk, processor time and memory of
# all their processes.

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Socket::UNIX;
use JSON::PP qw(decode_json);
use POSIX ();
use Time::HiRes qw(time);

use Policyd qw(wait_until need children_of slurp);

our $dir;			# where all of it happens

my $owner = $$;
my $ticks = POSIX::sysconf(&POSIX::_SC_CLK_TCK) || 100;
my $page = POSIX::sysconf(&POSIX::_SC_PAGESIZE) || 4096;

# A directory that the daemon's user can reach, on a disk: what is committed to a
# memory file system costs nothing.
sub prepare {
	$dir = abs_path(tempdir('policyd-bench-XXXXXXXX',
	    DIR => $ENV{BENCH_DIR} // '/var/tmp'));
	chmod 0755, $dir;
	return $dir;
}

# --- the generator ---

# Options as those of the program: (c => 100, t => 2, o => 1). What it found, as a hash.
sub load { return load_end(load_begin(@_)) }

# The same in two steps, so that several can run at the same time.
sub load_begin {
	my ($endpoint, %option) = @_;
	my @flags = map { $_ eq 'o' || $_ eq 's' ? $option{$_} ? "-$_" : () :
	    ("-$_", $option{$_}) } sort keys %option;
	my $address = ref $endpoint ? 'inet:' . ($endpoint->[0] =~ /:/ ?
	    "[$endpoint->[0]]" : $endpoint->[0]) . ":$endpoint->[1]" : "unix:$endpoint";

	open my $fh, '-|', "$Policyd::root/build/bench/load", @flags, $address
	    or croak "load: $!";
	return { fh => $fh, what => "load @flags $address" };
}

sub load_end {
	my ($load) = @_;

	local $/;
	my $json = readline $load->{fh};
	close $load->{fh} or croak "$load->{what}: status $?";
	my $result = decode_json($json);
	$result->{faults} = $result->{lost} + $result->{unanswered} +
	    $result->{malformed} + $result->{refused} + $result->{closed_idle};
	return $result;
}

# The same, while the code runs in this process: it is given a sub that tells
# whether the load goes on.
sub load_while {
	my ($endpoint, $code, %option) = @_;

	defined(my $pid = open my $fh, '-|') or croak "fork: $!";
	if ($pid == 0) {
		my $result = eval { load($endpoint, %option) };
		print STDERR $@ if !$result;
		print JSON::PP::encode_json($result) if $result;
		STDOUT->flush;
		POSIX::_exit($result ? 0 : 1);
	}
	$fh->blocking(0);
	my $json = '';
	my $going = sub {
		my $n = sysread $fh, $json, 65536, length $json;
		return !defined $n || $n > 0;
	};
	$code->($going);
	wait_until { !$going->() } 60 + ($option{t} // 0);
	close $fh;
	croak 'load failed' if $? != 0;
	return decode_json($json);
}

# --- who is measured ---

my %floor;

# The empty policy server: its endpoint and pid.
sub floor_start {
	my ($path) = @_;

	$path //= "$dir/floor";

	defined(my $pid = fork) or croak "fork: $!";
	if ($pid == 0) {
		{ no warnings 'exec'; exec "$Policyd::root/build/bench/floor", "unix:$path"; }
		POSIX::_exit(127);
	}
	%floor = (pid => $pid, endpoint => $path);
	wait_until { IO::Socket::UNIX->new(Peer => $path) } or croak 'the floor did not start';
	return \%floor;
}

sub floor_stop {
	my $pid = delete $floor{pid} or return;

	kill 'TERM', $pid;
	waitpid $pid, 0;
	# The next one is awaited by its socket.
	unlink $floor{endpoint};
}

# The server of this run, at its own defaults, its files on the same disk as ours.
my $server;
sub server {
	my ($backend) = @_;

	need(-x "$Policyd::root/build/libexec/ledger-$backend",
	    "ledger-$backend is not built (LEDGERS)");
	require Database;
	return $server //= Database->start($backend, dir => $dir);
}

# A daemon that records every request: limits that nobody reaches, in two windows as
# the default has them. With a server it has a database of its own there, unless `server`
# and `database` say which one it shares with others.
sub daemon {
	my ($name, %option) = @_;
	my $where = "$dir/$name";
	my $backend = delete $option{backend} // 'sqlite';
	my ($on, $database) = delete @option{qw(server database)};

	if ($backend ne 'sqlite') {
		if (!$on) {
			($on, $database) = (server($backend), "bench_$name");
			$on->sql("CREATE DATABASE $database");
		}
		$option{config} = { %{$option{config} // {}}, $on->config(
		    ($backend eq 'pgsql' ? 'database' : 'db') => $database) };
	}

	mkdir $where, 0755 or croak "$where: $!" if !-d $where;
	my $config = { debug => \'False', limits => [[1_000_000_000, 60],
	    [2_000_000_000, 86400]], %{delete $option{config} // {}} };
	delete $config->{limits} if $config->{rules};
	return Policyd->new(dir => $where, name => $name, config => $config,
	    server => $on, server_database => $database, %option);
}

# Those of the table of speed, by backend: `label` is what the table calls them, `sum`
# tells the recipients that the database holds.
sub daemons {
	my ($backend) = @_;

	croak "no backend $backend" if $backend !~ /\A(?:sqlite|pgsql|mysql)\z/;
	return map { sqlite_daemon($_) } qw(normal full) if $backend eq 'sqlite';
	return server_daemon($backend);
}

sub sqlite_daemon {
	my ($synchronous) = @_;
	my $d = daemon($synchronous, config => { sqlite_config => {
	    database => "$dir/$synchronous/db/db.sqlite3",
	    synchronous => $synchronous } });

	$d->{label} = $synchronous;
	$d->{sum} = sub { ($d->sql(
	    'SELECT COALESCE(SUM(recipient_count), 0) FROM mail_count'))[0][0] };
	return $d;
}

sub server_daemon {
	my ($backend) = @_;
	my $d = daemon($backend, backend => $backend);

	$d->{label} = $backend;
	$d->{sum} = sub { ($server->sql_in("bench_$backend",
	    'SELECT COALESCE(SUM(recipient_count), 0) FROM mail_count'))[0][0] };
	return $d;
}

# [pid, name] of a process and all below it.
sub processes {
	my ($pid, $name) = @_;
	my $below = children_of($pid);

	return ([$pid, $name // 'parent'], map { my $child = $_;
	    map { processes($_, $child) } @{$below->{$child}} } sort keys %$below);
}

# --- processor and memory ---

# Seconds of processor time that a process and all below it used so far, by name.
sub cpu {
	my ($pid) = @_;
	my %used;

	for (processes($pid)) {
		my ($one, $name) = @$_;
		if (slurp("/proc/$one/stat") =~ /\A\d+ \(.*\) \S (.*)/s) {
			my @field = split / /, $1;
			$used{$name} += ($field[10] + $field[11]) / $ticks;
		} elsif (`ps -o time= -p $one` =~ /(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)/) {
			$used{$name} += ($1 // 0) * 3600 + $2 * 60 + $3;
		}
	}
	return \%used;
}

# Seconds of processor time of a process and all below it, none of which has threads, to the
# nanosecond where the system tells it.
sub worked {
	my ($pid) = @_;
	my $sum = 0;

	for (map { $_->[0] } processes($pid)) {
		return sum_of(cpu($pid)) if slurp("/proc/$_/schedstat") !~ /\A(\d+) /;
		$sum += $1 / 1e9;
	}
	return $sum;
}

sub sum_of {
	my ($used) = @_;
	my $sum = 0;

	$sum += $_ for values %$used;
	return $sum;
}

# Bytes in memory of a process and all below it; shared pages are counted by share
# where the system tells it.
sub memory {
	my ($pid) = @_;
	my $sum = 0;

	for (map { $_->[0] } processes($pid)) {
		if (slurp("/proc/$_/smaps_rollup") =~ /^Pss:\s+(\d+) kB/m) {
			$sum += $1 * 1024;
		} elsif (`ps -o rss= -p $_` =~ /(\d+)/) {
			$sum += $1 * 1024;
		}
	}
	return $sum;
}

# How many descriptors a process has open; 0 where the system does not tell.
sub descriptors {
	my ($pid) = @_;

	return scalar(my @open = glob("/proc/$pid/fd/*"));
}

# A run, with the microseconds of processor time that each request cost all processes
# of the daemon and, with `server`, of the database server (the warm-up is counted on both
# sides), and with the part of the time in which the processors had nothing to do.
sub measure {
	my ($endpoint, $pid, %option) = @_;
	my $server = delete $option{server};
	my @before = (cpu($pid), $server ? cpu($server->{pid}) : {}, [processor_times()]);
	my $result = load($endpoint, %option);
	my @after = (cpu($pid), $server ? cpu($server->{pid}) : {}, [processor_times()]);
	my $sent = $result->{sent} || 1;

	for (keys %{$after[0]}) {
		$result->{cpu}{$_} = ($after[0]{$_} - ($before[0]{$_} // 0)) * 1e6 / $sent;
		$result->{cpu_us} += $result->{cpu}{$_};
	}
	$result->{server_cpu_us} += ($after[1]{$_} - ($before[1]{$_} // 0)) * 1e6 / $sent
	    for keys %{$after[1]};
	my ($idle, $all) = map { $after[2][$_] - $before[2][$_] } 0, 1;
	$result->{idle} = $idle / ($all || 1);
	return $result;
}

# --- numbers ---

sub median {
	my @sorted = sort { $a <=> $b } @_;

	return 0 if !@sorted;
	return ($sorted[$#sorted >> 1] + $sorted[@sorted >> 1]) / 2;
}

# --- the machine ---

# Milliseconds, as a median, to append 4 KiB to a file and have it on disk.
sub sync_time {
	my @took;

	open my $fh, '>:raw', "$dir/sync" or croak "sync: $!";
	for (1 .. 30) {
		syswrite $fh, 'x' x 4096;
		my $start = time;
		$fh->sync;
		push @took, (time - $start) * 1000;
	}
	close $fh;
	unlink "$dir/sync";
	return median(@took);
}

sub machine {
	my $cpu = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)$/m ? $1 : '';
	my ($system, undef, $release, undef, $architecture) = POSIX::uname();
	my $cores = () = slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;

	if ($cpu eq '') {
		chomp($cpu = `sysctl -n hw.model 2>/dev/null` // '');
		chomp($cores = `sysctl -n hw.ncpu 2>/dev/null` // '');
	}
	my ($busy) = `uptime` =~ /load averages?: ([\d.]+)/;
	my ($disk) = `df -PT '$dir' 2>/dev/null` =~ /\n\S+\s+(\S+)/;
	return sprintf "%s %s %s, %s, %s cores\ndatabase on %s, sync of 4 KiB %.2f ms; " .
	    'load before the start %s%s', $system, $release, $architecture, $cpu,
	    $cores, $disk || 'disk', sync_time(), $busy // 'unknown',
	    ($busy // 0) > 0.3 ? ': this machine is busy with something else' : '';
}

# How much of the processors' time was idle, and how much there was, in ticks; (0, 0) where
# the system does not tell.
sub processor_times {
	open my $fh, '<', '/proc/stat' or return (0, 0);
	my (undef, @ticks) = split ' ', <$fh>;
	my $all = 0;

	$all += $_ for @ticks[0 .. 7];
	return ($ticks[3] + $ticks[4], $all);
}

# What part of the processors' time their host gave to others since the last call, where a
# system tells that.
my @taken = (0, 1);
sub taken {
	open my $fh, '<', '/proc/stat' or return 0;
	my (undef, @ticks) = split ' ', <$fh>;
	my $all = 0;
	$all += $_ for @ticks[0 .. 7];
	my $part = ($ticks[7] - $taken[0]) / ($all - $taken[1] || 1);

	@taken = ($ticks[7], $all);
	return $part;
}

END {
	my $status = $?;
	if ($$ == $owner) {
		floor_stop();
		Policyd::end_all();
		remove_tree($dir) if defined $dir && !$ENV{POLICYD_KEEP};
	}
	$? = $status;
}

1;
