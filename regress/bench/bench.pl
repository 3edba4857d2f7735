# What `make bench` runs: the daemon beside an empty policy server, both on this
# machine and in turns, and a table of what was to be reached.
#
#	bench.pl [-j file] [section ...]
#
# Sections: speed, rules, raw, rest, idle, passing, start, open, flat, ids, daemons,
# postfix; by default all that the database has (start is SQLite's, raw and daemons the
# servers').
# BACKEND=sqlite (default), pgsql or mysql, or several in turn, with one table of targets:
# BACKEND='sqlite pgsql mysql'. BENCH=full takes the sizes and durations of the targets,
# which needs half an hour, where the default is content with a tenth.
# DAEMONS=n: only the section daemons, with up to n of them on one server (8).
# BENCH_DIR is where the databases are, a directory on a disk (/var/tmp).

use strict;
use warnings;

use File::Temp ();
use Getopt::Long qw(GetOptions);
use JSON::PP ();
use Time::HiRes qw(sleep time);

use Bench;
use Bench::Daemons;
use Bench::Raw;
use Bench::Postfix;
use Bench::Targets qw(targets lines);
use Policyd qw(wait_until need have_command slurp);

use constant USERS => 10_000;

my $backend = $ENV{BACKEND} // 'sqlite';
my $full = ($ENV{BENCH} // '') eq 'full';
my $rounds = $full ? 5 : 3;
my $seconds = $full ? 5 : 1.2;
my %all = (machine => undef, backend => $backend, speed => [], targets => []);
my $failed = 0;

$Policyd::patience = 120;
STDOUT->autoflush(1);

# --- what is printed ---

sub heading { print "\n$_[0]\n\n" }

# Microseconds, short.
sub us {
	my ($us) = @_;

	return sprintf '%.0f us', $us if $us < 1000;
	return sprintf '%.2f ms', $us / 1000 if $us < 10_000;
	return sprintf '%.0f ms', $us / 1000;
}

sub target {
	my ($what, $found, $wanted, $reached) = @_;

	push @{$all{targets}}, { what => $what, found => $found, wanted => $wanted,
	    reached => $reached ? JSON::PP::true : JSON::PP::false };
}

sub at_least { target($_[0], sprintf($_[3] // '%.2f', $_[1]), ">= $_[2]", $_[1] >= $_[2]) }
sub at_most { target($_[0], sprintf($_[3] // '%.2f', $_[1]), "<= $_[2]", $_[1] <= $_[2]) }

# A fault of the run, beside which figures mean nothing.
sub fault {
	print "FAULT: @_\n";
	$failed = 1;
}

# A run in which every request must have been let pass.
sub clean_run {
	my ($name, $result) = @_;

	fault("$name: $result->{faults} requests or connections failed")
	    if $result->{faults};
	fault("$name: answers were " . join(' ', %{$result->{answers}}))
	    if join(' ', keys %{$result->{answers}}) ne 'dunno';
	return $result;
}

# --- throughput and latency ---

# Each server in turn, so that what else the machine does hits all alike.
sub speed {
	my ($floor, @daemons) = @_;
	my @servers = ({ name => 'floor', %$floor }, map { { name => $_->{label},
	    endpoint => $_->endpoint, pid => $_->pid, daemon => $_ } } @daemons);
	my $recorded = 0;

	heading("Closed loop, " . USERS . " users, $rounds rounds of $seconds s");
	printf "%-11s %-9s %9s %10s %10s %9s %8s %8s\n", 'connections', 'server',
	    'req/s', 'p50', 'p99', 'CPU/req', 'of floor', 'p99 x';
	for my $connections (1, 10, 100, 1000) {
		my %runs;
		for my $round (1 .. $rounds) {
			for my $s (@servers) {
				my $r = clean_run($s->{name}, Bench::measure(
				    $s->{endpoint}, $s->{pid}, c => $connections,
				    server => ($s->{daemon} // {})->{server}, u => USERS, t => $seconds, w => 0.3, S => $round));
				push @{$runs{$s->{name}}}, $r;
				next if !$s->{daemon};
				$s->{daemon}{accepted} += $r->{accepted_recipients};
			}
		}
		print_speed($connections, \%runs, map { $_->{name} } @servers);
	}
	print_shares(map { $_->{label} } @daemons);
	check_recorded($_) for @daemons;
}

sub print_speed {
	my ($connections, $runs, @names) = @_;
	my @floor = @{$runs->{floor}};

	for my $name (@names) {
		my @r = @{$runs->{$name}};
		my %row = (connections => $connections, server => $name,
		    per_second => Bench::median(map { $_->{per_second} } @r),
		    p50 => Bench::median(map { $_->{latency_us}{p50} } @r),
		    p99 => Bench::median(map { $_->{latency_us}{p99} } @r),
		    cpu => Bench::median(map { $_->{cpu_us} } @r),
		    server_cpu => Bench::median(map { $_->{server_cpu_us} // 0 } @r),
		    idle => Bench::median(map { $_->{idle} } @r),
		    generator => Bench::median(map { $_->{generator_cpu} } @r));
		$row{cpu_of} = { map { my $process = $_; $process => Bench::median(map {
		    $_->{cpu}{$process} // 0 } @r) } keys %{$r[0]{cpu}} };
		for my $ratio (['of_floor', sub { $_[0]{per_second} }],
		    ['p50_x', sub { $_[0]{latency_us}{p50} }],
		    ['p99_x', sub { $_[0]{latency_us}{p99} }]) {
			my ($key, $get) = @$ratio;
			$row{$key} = Bench::median(map { $get->($r[$_]) /
			    ($get->($floor[$_]) || 1) } 0 .. $#r);
		}
		push @{$all{speed}}, \%row;
		printf "%-11d %-9s %9.0f %10s %10s %6.1f us %7.0f%% %8.1f\n",
		    $connections, $name, $row{per_second}, us($row{p50}),
		    us($row{p99}), $row{cpu}, 100 * $row{of_floor}, $row{p99_x};
	}
}

# Whose time it is, and whether the generator was what a server waited for.
sub print_shares {
	my @names = @_;

	print "\nCPU for a request at 100 connections; the generator's share of a core; the " .
	    "time in which\nthe processors had nothing to do\n\n";
	for my $name ('floor', @names) {
		my $row = row($name, 100);
		printf "%-9s generator %.0f%%, idle %.0f%%%s%s\n", $name,
		    100 * $row->{generator}, 100 * $row->{idle},
		    join('', map { sprintf ', %s %.1f us', $_, $row->{cpu_of}{$_} }
		    $name eq 'floor' ? () : sort keys %{$row->{cpu_of}}),
		    $row->{server_cpu} ? sprintf(', the server %.1f us', $row->{server_cpu}) :
		    '';
	}
	print "\n";
}

sub row {
	my ($server, $connections) = @_;

	my ($row) = grep { $_->{server} eq $server &&
	    $_->{connections} == $connections } @{$all{speed}};
	return $row;
}

# Not one answered recipient may be missing in the table, none be there twice.
sub check_recorded {
	my ($d) = @_;
	my $sum = $d->{sum}->();

	printf "%s: %d recipients accepted, %d recorded\n", $d->{label}, $d->{accepted},
	    $sum;
	fault("$d->{label} recorded something else than it answered")
	    if $sum != $d->{accepted};
}

# --- rules ---

# Keys of which each request has one, in the order in which rules are added.
my @keys = qw(sasl_username client_address sender sasl_domain server);

# The cost of a decision, by how many rules there are. A rule is one row more, so this is
# about processor time as much as about the database.
sub rules {
	my @sizes = (1, 2, 3, 5);
	my @daemons;

	heading('Rules, 100 connections');
	for my $size (@sizes) {
		my $d = Bench::daemon("rules$size", backend => $backend, config => { rules =>
		    [map { { name => $_, key => $_, limits => [[1_000_000_000, 60],
		    [2_000_000_000, 86400]] } } @keys[0 .. $size - 1]] })->start;
		$d->{label} = "$size rules";
		push @daemons, $d;
	}
	my @runs = in_turns([map { { c => 100, u => USERS, t => $seconds } } @sizes],
	    @daemons);
	print_turns('rules', \@sizes, \@runs);
	$all{rules}{$sizes[$_]} = { per_second => $runs[$_][0], cpu_us => $runs[$_][1] }
	    for 0 .. $#sizes;
	$_->stop for @daemons;
}

# --- a session that only inserts ---

sub raw {
	my ($d) = @_;
	my ($server, $database) = @$d{qw(server server_database)};
	my (%rate, @ours);

	heading("Raw: one session that only inserts such rows, $rounds rounds");
	# The server publishes its figures about a second late.
	my @begun = ($d->{sum}->(), $server->commits($database));
	for my $round (1 .. $rounds) {
		my $r = clean_run('ours', Bench::load($d->endpoint, c => 100, u => USERS,
		    t => $seconds, w => 0.3, S => $round, R => 1));
		$d->{accepted} += $r->{accepted_recipients};
		push @ours, $r->{per_second};
	}
	my $rows = $d->{sum}->() - $begun[0];
	wait_until { $server->commits($database) > $begun[1] };
	my $batch = int($rows / ($server->commits($database) - $begun[1]) + 0.5) || 1;
	for my $way (Bench::Raw::ways($backend)) {
		$rate{$way} = Bench::median(map { Bench::Raw::rate($server, $database, $way,
		    rows => $batch, users => USERS, seconds => $seconds) } 1 .. $rounds);
		printf "%-7s %9.0f rows/s, %d in a commit\n", $way, $rate{$way}, $batch;
	}
	my $ours = Bench::median(@ours);
	printf "%-7s %9.0f requests/s\n", 'ours', $ours;
	$all{raw} = { %rate, batch => $batch, ours => $ours };
}

# --- at rest ---

# Processor time without requests, once what the last requests left to do is done. On a
# machine that falls asleep meanwhile, being woken costs a process a millisecond: a process
# that does nothing but wake every five seconds, as the parent does, shows how much of the
# time that is.
sub rest {
	my ($d) = @_;
	my $time = $full ? 20 : 5;

	heading("At rest, $time s");
	# After ten seconds without a request SQLite's log is copied into the database.
	sleep 12;
	defined(my $sleeper = fork) or die "fork: $!\n";
	if ($sleeper == 0) {
		alarm 120;
		select undef, undef, undef, 5 while 1;
	}
	my @last = map { Bench::worked($_) } $d->pid, $sleeper;
	sleep $time;
	my @used = map { 100 * (Bench::worked($_) - shift @last) / $time } $d->pid, $sleeper;
	kill 'KILL', $sleeper;
	waitpid $sleeper, 0;
	$all{rest} = $used[0];
	printf "%.3f %% of a processor, all processes; %.3f %% a process that only wakes\n",
	    @used;
}

# --- many clients ---

sub idle {
	my ($d) = @_;
	my (@without, @with);
	my $idle = 9900;

	heading("100 connections, beside $idle that are silent");
	for my $round (1 .. $rounds) {
		push @without, clean_run('alone', Bench::load($d->endpoint, c => 100,
		    u => USERS, t => $seconds));
		push @with, clean_run('beside', Bench::load($d->endpoint, c => 100,
		    i => $idle, u => USERS, t => $seconds));
	}
	my $ratio = Bench::median(map { $with[$_]{per_second} /
	    $without[$_]{per_second} } 0 .. $#with);
	printf "alone %.0f req/s, beside them %.0f req/s, ratio %.2f\n",
	    (map { Bench::median(map { $_->{per_second} } @$_) } \@without, \@with),
	    $ratio;
	at_least('9,900 silent connections: throughput of the others', $ratio, 0.9);
}

# Throughput by the floor's of the same moments, so that what else the machine does
# before and after is no part of it.
sub beside_floor {
	my ($d, $floor) = @_;
	my @run = (c => 100, u => USERS, t => $seconds, w => 0.3);

	return Bench::median(map { Bench::load($d->endpoint, @run)->{per_second} /
	    Bench::load($floor->{endpoint}, @run)->{per_second} } 1 .. $rounds);
}

sub passing {
	my ($d, $floor) = @_;
	my $engine = $d->child('engine');
	my $time = $full ? 60 : 6;
	my $rate = 4000;

	heading("$rate connections a second, one request on each, for $time s");
	my $before = beside_floor($d, $floor);
	my ($fds, $memory) = (Bench::descriptors($engine), Bench::memory($engine));
	my $passing = clean_run('passing', Bench::load($d->endpoint, c => 100, o => 1,
	    r => $rate, t => $time, u => USERS));
	wait_until { Bench::descriptors($engine) <= $fds };
	my $ratio = beside_floor($d, $floor) / $before;

	printf "%.0f a second, p50 %s, p99 %s from connect to answer\n",
	    $passing->{per_second}, us($passing->{latency_us}{p50}),
	    us($passing->{latency_us}{p99});
	printf "engine: %d descriptors before, %d after; %.1f MiB before, %.1f after\n",
	    $fds, Bench::descriptors($engine), $memory / 2 ** 20,
	    Bench::memory($engine) / 2 ** 20;
	at_least("after $time s of connections that come and go: throughput",
	    $ratio, 0.9);
	target('and descriptors that are left behind',
	    Bench::descriptors($engine) - $fds, '0',
	    Bench::descriptors($engine) <= $fds);
}

# --- databases that are full already ---

# Rows of one id, spread over the seconds of a day.
sub fill_server {
	my ($d, @ids) = @_;

	for (@ids) {
		my ($id, $rows, $age) = @$_;
		my $from = time - ($age // 0) - 82_000;
		$d->{server}->sql_in($d->{server_database}, 'INSERT INTO mail_count (id, ' .
		    'date, recipient_count, instance, protocol_state) ' .
		    sprintf($backend eq 'pgsql' ? "SELECT '%s', %d + i::bigint * 80000 / %d, " .
		    "1, 'filled.' || i, 'DATA' FROM generate_series(1, %d) i" :
		    "SELECT '%s', %d + seq * 80000 div %d, 1, concat('filled.', seq), " .
		    "'DATA' FROM seq_1_to_%d", $id, $from, $rows, $rows));
	}
}

sub fill {
	my ($d, @ids) = @_;

	return fill_server($d, @ids) if $backend ne 'sqlite';
	my $script = "PRAGMA synchronous=OFF; BEGIN;\n";

	for (@ids) {
		my ($id, $rows, $age) = @$_;
		my $from = time - ($age // 0);
		$script .= sprintf "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL " .
		    "SELECT i + 1 FROM n LIMIT %d) INSERT INTO mail_count (id, date, " .
		    "recipient_count, instance, protocol_state) SELECT '%s', " .
		    "%d + i * 80000 / %d, 1, 'filled.' || i, 'DATA' FROM n;\n",
		    $rows, $id, $from - 82_000, $rows;
	}
	$script .= "COMMIT; PRAGMA wal_checkpoint(TRUNCATE);\n";
	open my $sqlite, '|-', 'sqlite3', '-batch', $d->database
	    or die "sqlite3: $!\n";
	open my $null, '>', '/dev/null';
	print $sqlite ".output /dev/null\n$script";
	close $sqlite or die "sqlite3: status $?\n";
}

# A daemon that begins with such a database; it is not started.
sub filled {
	my ($name, @ids) = @_;
	my $d = Bench::daemon($name, backend => $backend)->start;

	$d->stop;
	fill($d, @ids);
	taken_in($d) if $backend ne 'sqlite';
	return $d;
}

# Rows of other programs slow decisions down until each has a number of ours.
sub taken_in {
	my ($d) = @_;

	local $d->{server}{database} = $d->{server_database};
	$d->start;
	wait_until { $d->{server}->foreign == 0 } 600
	    or fault('rows of other programs were not taken in');
	$d->stop;
}

sub id { return sprintf 'user%07d@submission.example.org', $_[0] }

# Milliseconds from the start of the program to the answer to a request that counts.
sub start_time {
	my ($d, $id) = @_;
	my $begun = time;
	my $answer;

	$d->launch;
	until (defined $answer || time > $begun + 30) {
		my $client = $d->connect_quietly;
		$answer = $client->ask(sasl_username => $id) if $client;
		sleep 0.0005 if !defined $answer;
	}
	my $took = (time - $begun) * 1000;
	fault('no answer after the start') if ($answer // '') ne 'dunno';
	return $took;
}

# The rows were put there by somebody else; once they are taken over, the database is
# as one that this program wrote.
sub start {
	my $rows = $full ? 10_000_000 : 1_000_000;
	my @took;

	heading("Start with a database of $rows rows");
	my $d = filled('start', [id(0), $rows / 2], map { [id($_), $rows / 200] } 1 .. 100);
	printf "first answer of the start that finds rows of somebody else: %.0f ms\n",
	    start_time($d, 'new0');
	wait_until { ($d->sql("SELECT value FROM mail_state WHERE name = 'horizon'"))[0][0] >=
	    $rows * 0.99 };
	$d->stop;
	for my $round (1 .. 3) {
		push @took, start_time($d, "new$round");
		$d->stop;
	}
	printf "first answer after %s ms\n", join ', ', map { sprintf '%.0f', $_ } @took;
	at_most("start to first answer, $rows rows, ms", Bench::median(@took), 100, '%.0f');
	first_touch($d, $rows / 2);
}

# The first request of an id with many rows: how long it takes, and what all others
# notice of it.
sub first_touch {
	my ($d, $rows) = @_;
	my $took = 0;

	$d->start;
	my $others = Bench::load_while($d->endpoint, sub {
		my ($going) = @_;
		sleep 0.7;
		my $client = $d->connect;
		my $begun = time;
		my $answer = $client->ask(sasl_username => id(0));
		$took = (time - $begun) * 1000;
		fault('the first touch was not answered') if !defined $answer;
	}, c => 20, r => 2000, t => 3, w => 0.2, u => 100, D => 'others.example.org');
	printf "first touch of an id with %d rows: %.0f ms; others: p99.9 %s, max %s\n",
	    $rows, $took, us($others->{latency_us}{'p99.9'}),
	    us($others->{latency_us}{max});
	# db_timeout, and a little to answer.
	at_most("first touch of an id with $rows rows, ms", $took, 2100, '%.0f');
	at_most('and what others wait meanwhile at most, ms',
	    $others->{latency_us}{max} / 1000, 2100, '%.0f');
	$d->stop;
}

# --- flat ---

# Throughput and processor time for servers in turns: [median req/s, median CPU].
sub in_turns {
	my ($options, @daemons) = @_;
	my @runs;

	for my $round (1 .. $rounds) {
		for my $i (0 .. $#daemons) {
			push @{$runs[$i]}, clean_run($daemons[$i]{label},
			    Bench::measure($daemons[$i]->endpoint, $daemons[$i]->pid,
			    %{$options->[$i]}));
		}
	}
	return map { my $r = $_; [map { my $key = $_;
	    Bench::median(map { $_->{$key} } @$r) } 'per_second', 'cpu_us'] } @runs;
}

sub spread {
	my @sorted = sort { $a <=> $b } @_;

	return $sorted[-1] / ($sorted[0] || 1);
}

sub print_turns {
	my ($what, $sizes, $runs) = @_;

	printf "%12s %s: %9.0f req/s, %5.1f us CPU a request\n", $sizes->[$_], $what,
	    @{$runs->[$_]} for 0 .. $#$sizes;
}

# The cost of a decision, by how many mails the id has in its window.
sub flat {
	my @sizes = (1_000, 100_000, 1_000_000, $full ? 10_000_000 : ());

	heading('One id, by the mails in its window');
	my @daemons = map { filled("flat$_", [id(0), $_]) } @sizes;
	for my $d (@daemons) {
		$d->{label} = $d->{name};
		$d->start;
		# Until it is in memory.
		wait_until { ($d->ask(sasl_username => id(0)) // '') eq 'dunno' };
		Bench::load($d->endpoint, c => 100, u => 1, t => 0.5);
	}
	my @runs = in_turns([map { { c => 100, u => 1, t => $seconds } } @sizes], @daemons);
	print_turns('mails', \@sizes, \@runs);
	at_most("one id with $sizes[0] to $sizes[-1] mails: dearest by cheapest",
	    spread(map { $_->[1] } @runs), 1.2);
	at_most('and fastest by slowest', spread(map { $_->[0] } @runs), 1.2);
	$_->stop for @daemons;
}

# The cost of a decision and of memory, by how many ids there are.
sub ids {
	my @sizes = (1_000, 100_000, $full ? 1_000_000 : ());
	my @daemons;

	heading('Many ids');
	for my $size (@sizes) {
		my $d = Bench::daemon("ids$size", backend => $backend)->start;
		$d->{label} = $d->{name};
		Bench::load($d->endpoint, c => 10, u => 10, n => 100, w => 0);
		my $before = Bench::memory($d->pid);
		Bench::load($d->endpoint, c => 100, u => $size, n => $size, s => 1, w => 0);
		$d->{grown} = Bench::memory($d->pid) - $before;
		$d->{total} = $before + $d->{grown};
		push @daemons, $d;
	}
	my @runs = in_turns([map { { c => 100, u => $_, t => $seconds } } @sizes], @daemons);
	print_turns('ids', \@sizes, \@runs);
	at_most("$sizes[0] to $sizes[-1] ids: dearest by cheapest",
	    spread(map { $_->[1] } @runs), 1.5);
	at_most('and fastest by slowest', spread(map { $_->[0] } @runs), 1.5);
	printf "%12d ids: %.1f MiB in all, %.0f bytes for each\n", $sizes[$_],
	    $daemons[$_]{total} / 2 ** 20, $daemons[$_]{grown} / $sizes[$_]
	    for 0 .. $#sizes;
	at_most("bytes of memory for an id, $sizes[-1] ids",
	    $daemons[-1]{grown} / $sizes[-1], 250, '%.0f');
	at_most("memory of all processes, $sizes[-1] ids, MiB",
	    $daemons[-1]{total} / 2 ** 20, 300, '%.0f');
	$_->stop for @daemons;
}

# --- constant rate ---

sub checkpoint {
	my ($d) = @_;

	return $d->{server}->sql($backend eq 'pgsql' ? 'CHECKPOINT' : 'FLUSH TABLES')
	    if $backend ne 'sqlite';
	system('sqlite3', '-batch', '-cmd', '.timeout 5000', '-cmd', '.output /dev/null',
	    $d->database, 'PRAGMA wal_checkpoint');
}

sub print_open {
	my ($name, $l) = @_;

	printf "%-20s p50 %8s  p99 %8s  p99.9 %8s  max %8s\n", $name,
	    map { us($l->{$_}) } qw(p50 p99 p99.9 max);
}

sub open_loop {
	my $time = $full ? 30 : 4;
	my $d = filled('open', map { [id($_), $full ? 100_000 : 50_000, 180_000] } 1 .. 20);

	$d->start;
	my $capacity = Bench::median(map { Bench::load($d->endpoint, c => 100,
	    u => USERS, t => $seconds)->{per_second} } 1 .. $rounds);
	heading(sprintf 'Open loop: %.0f requests a second, half of the capacity, %d s',
	    $capacity / 2, $time);
	# What this machine makes of the same load without any work behind it.
	my $floor = Bench::floor_start();
	my $r = Bench::load($floor->{endpoint}, c => 100, r => int($capacity / 2),
	    u => USERS, t => $time);
	print_open('the floor', $r->{latency_us});
	Bench::floor_stop();
	my @beside = (
		['nothing else', sub { }],
		['reloads', sub { my ($going) = @_;
		    while ($going->()) { $d->signal('HUP'); sleep 0.5 } }],
		['checkpoints', sub { my ($going) = @_;
		    while ($going->()) { checkpoint($d); sleep 0.5 } }],
	);
	for (@beside) {
		my ($name, $code) = @$_;
		my $r = clean_run($name, Bench::load_while($d->endpoint, $code, c => 100,
		    r => int($capacity / 2), u => USERS, t => $time));
		my $l = $r->{latency_us};
		print_open("beside $name", $l);
		fault("beside $name it does not keep up") if $l->{p50} > 10_000;
		at_most("half load beside $name: p99.9 by p50", $l->{'p99.9'} / $l->{p50},
		    10, '%.1f');
	}
	clean_in_turns($d, int($capacity / 2));
	$d->stop;
}

# Rows that are too old for every window.
sub old_rows {
	my ($d) = @_;
	my $sql = 'SELECT COUNT(*) FROM mail_count WHERE date < ' . (time - 172_800);

	return ($backend eq 'sqlite' ? $d->sql($sql) :
	    $d->{server}->sql_in($d->{server_database}, $sql))[0][0];
}

# Some seconds without --clean and some beside it, in turns, so that what else the machine
# does meets both; the medians count. A turn in which its host took part of the processors
# away is left out. Each --clean goes on where the last one was ended.
sub clean_in_turns {
	my ($d, $rate) = @_;
	my @load = (c => 100, r => $rate, u => USERS, t => $full ? 6 : 3);
	my ($wanted, $turns) = ($full ? 15 : 7, 0);
	my (%run, $status);
	my $rows = old_rows($d);
	my $left = $rows;

	while (!defined $status && @{$run{beside} // []} < $wanted &&
	    $turns < 3 * $wanted && $left) {
		$turns++;
		Bench::taken();
		my $without = clean_run('without --clean', Bench::load($d->endpoint, @load));
		my $pid = $d->spawn("$d->{dir}/clean.out", "$d->{dir}/clean.out",
		    $d->command('--clean'));
		my $beside = clean_run('beside --clean', Bench::load($d->endpoint, @load));
		my $taken = Bench::taken();
		$status = Policyd::reap($pid, 0);
		if (!defined $status) {
			kill 'TERM', $pid;
			Policyd::reap($pid, 20) // fault('--clean does not end');
		}
		$left = old_rows($d);
		next if $taken > 0.01;
		push @{$run{without}}, $without;
		push @{$run{beside}}, $beside;
	}
	fault('--clean: ' . slurp("$d->{dir}/clean.out")) if $status;
	fault('none was deleted') if $left >= $rows;
	printf "%d of %d old rows deleted in %d turns of %d s; %d undisturbed turns:\n",
	    $rows - $left, $rows, $turns, $load[-1], scalar @{$run{beside} // []};
	return fault('too much of the processors was taken away') if !$run{beside};
	my %median;
	for my $name ('without', 'beside') {
		for my $which ('p50', 'p99', 'p99.9', 'max') {
			$median{$name}{$which} = Bench::median(
			    map { $_->{latency_us}{$which} } @{$run{$name}});
		}
		print_open("$name --clean", $median{$name});
	}
	at_most('half load beside --clean: p99 by that without it',
	    $median{beside}{p99} / $median{without}{p99}, 2, '%.1f');
}

# --- several daemons on one server ---

# Who asks: every daemon has users of its own, all daemons have the same users, or there is
# a single user.
my @who = (
	{ name => 'own users', u => 2000, domain => sub { "daemon$_[0].example.org" } },
	{ name => 'same users', u => 2000, domain => sub { 'shared.example.org' } },
	{ name => 'one user', u => 1, domain => sub { 'hot.example.org' } },
);
use constant LOW_RATE => 70;	# mails a second of each daemon

# 1, 2, 4 and so on, and the most.
sub counts {
	my ($most) = @_;
	my @counts;

	for (my $n = 1; $n < $most; $n *= 2) {
		push @counts, $n;
	}
	return (@counts, $most);
}

sub print_daemons {
	my ($row) = @_;

	printf "%7d %-10s %-6s %7.0f %9s %9s %9s %5.2f %7.3f %6.0f %6.1f us %6.1f us\n",
	    @$row{qw(daemons who load per_second)}, us($row->{latency_us}{p50}),
	    us($row->{latency_us}{p99}), us($row->{worst}), $row->{statements},
	    $row->{commits}, $row->{log_bytes}, $row->{cpu_us}, $row->{server_cpu_us};
}

# Each round runs all numbers of daemons, so that what else the machine does hits all
# alike. The middle one by its rate counts.
sub daemons_rows {
	my ($fleet, $who, $load, $counts, %option) = @_;
	my %runs;

	for my $round (1 .. $rounds) {
		for my $n (@$counts) {
			push @{$runs{$n}}, clean_run("$n daemons, $who->{name}", $fleet->run($n,
			    $who->{domain}, %{$option{of}->($n)}, u => $who->{u}, t => $seconds,
			    w => 0.3, S => 100 * $round));
		}
	}
	for my $n (@$counts) {
		my @sorted = sort { $a->{per_second} <=> $b->{per_second} } @{$runs{$n}};
		my $row = { %{$sorted[$#sorted >> 1]}, daemons => $n, who => $who->{name},
		    load => $load };
		push @{$all{daemons}}, $row;
		print_daemons($row);
	}
}

sub daemons {
	my $most = $ENV{DAEMONS} // 8;
	my @counts = counts($most);
	my $fleet = Bench::Daemons->start($backend, $most);

	heading("1 to $most daemons on one server: 64 connections in all, or " . LOW_RATE .
	    ' mails a second for each daemon');
	print "p99: the median of the daemons, and the worst of them; by request: statements, " .
	    "commits,\nbytes of the server's log, CPU of our processes and of the server\n\n";
	for my $who (@who) {
		# Every daemon knows its users.
		$fleet->run($most, $who->{domain}, c => 10, u => $who->{u}, n => $who->{u},
		    's' => 1, w => 0);
		daemons_rows($fleet, $who, 'closed', \@counts,
		    of => sub { { c => int(64 / $_[0]) || 1 } });
		daemons_rows($fleet, $who, LOW_RATE . '/s', \@counts,
		    of => sub { { c => 10, r => LOW_RATE } });
	}
	$fleet->stop;
}

# --- through a real Postfix ---

sub postfix {
	my $p = Bench::Postfix->start($backend);
	my $mails = $full ? 10_000 : 2000;

	heading("Postfix, $mails mails in a round, $rounds rounds");
	for my $sessions (10, 100) {
		my %rate;
		my $all_lost = 0;

		for my $round (1 .. $rounds) {
			my @order = $p->services;
			# Each is first, second and last in turn.
			push @order, splice @order, 0, $round % @order;
			for my $service (@order) {
				my ($rate, $lost) = $p->round($service, $sessions, $mails);
				fault("$service, $sessions sessions: smtp-source gave up")
				    if $lost;
				$all_lost += $lost;
				push @{$rate{$service}}, $rate;
			}
		}
		printf "%3d sessions: %s\n", $sessions, join ', ', map { sprintf '%s %.0f/s',
		    $_, Bench::median(@{$rate{$_}}) } $p->services;
		my @share = map { $rate{daemon}[$_] / $rate{floor}[$_] } 0 .. $rounds - 1;
		$all{postfix}{$sessions} = { share => Bench::median(@share), lost => $all_lost };
	}
	$p->stop;
}

# --- all of it ---

sub print_targets {
	my @table = targets(@_);

	# Of chosen sections only what they measure.
	@table = grep { defined $_->{reached} } @table if @ARGV || $ENV{DAEMONS};
	return if !@table;
	heading('Targets' . ($full ? '' : ', in small: BENCH=full takes their sizes'));
	print map { "$_\n" } lines(@table);
}

# Each database in a process of its own, and one table of all.
sub several {
	my ($json, @backends) = @_;
	my (@figures, $status);

	Bench::prepare();
	local $ENV{BENCH_PART} = Bench::machine();
	print "$ENV{BENCH_PART}\n";
	for (@backends) {
		my $file = File::Temp->new;
		local $ENV{BACKEND} = $_;
		print "\n$_\n";
		system($^X, (map { "-I$_" } @INC), $0, '-j', $file->filename, @ARGV);
		$status ||= $?;
		my $text = slurp($file->filename);
		push @figures, JSON::PP::decode_json($text) if $text ne '';
	}
	print_targets(@figures);
	Policyd::spew($json, JSON::PP->new->pretty->canonical->encode(\@figures))
	    if defined $json;
	exit($status ? 1 : 0);
}

my $json;
GetOptions('j=s' => \$json) or die "usage: bench.pl [-j file] [section ...]\n";
my @backends = split ' ', $backend;
several($json, @backends) if @backends > 1;
my @sections = @ARGV ? @ARGV : $backend eq 'sqlite' ?
    qw(speed rules rest idle passing start flat ids open postfix) :
    $ENV{DAEMONS} ? qw(daemons) :
    qw(speed rules raw rest idle passing flat ids open daemons postfix);
my %wanted = map { $_ => 1 } @sections;
need(have_command('sqlite3'), 'sqlite3') if $backend eq 'sqlite';

my $begun = time;
Bench::prepare();
$all{machine} = $ENV{BENCH_PART} // Bench::machine();
print "$all{machine}\n" if !$ENV{BENCH_PART};

if (grep { $wanted{$_} } qw(speed raw rest idle passing)) {
	my @daemons = Bench::daemons($backend);
	$_->start for @daemons;
	my $floor = Bench::floor_start();
	speed($floor, @daemons) if $wanted{speed};
	raw($daemons[0]) if $wanted{raw} && $backend ne 'sqlite';
	rest($daemons[0]) if $wanted{rest};
	idle($daemons[0]) if $wanted{idle};
	passing($daemons[0], $floor) if $wanted{passing};
	Bench::floor_stop();
	$_->stop for @daemons;
}
rules() if $wanted{rules};
start() if $wanted{start};
flat() if $wanted{flat};
ids() if $wanted{ids};
open_loop() if $wanted{open};
daemons() if $wanted{daemons};
postfix() if $wanted{postfix};
print_targets(\%all) if !$ENV{BENCH_PART};
printf "\n%.0f seconds\n", time - $begun;
if (defined $json) {
	Policyd::spew($json, JSON::PP->new->pretty->canonical->encode(\%all));
}
exit $failed;
