# What `make bench-scale` runs: a database with very many rows, each of an id of its own,
# of which only a part is active. Prints how long the daemon needs to start with it, to
# answer the first request of each active id, to clean, and to answer policyctl top and
# policyctl try, and the memory of all processes.
#
#	scale.pl [rows [active ids]]		(10,000,000, and a hundredth of them)
#
# BACKEND=sqlite (default), pgsql or mysql. Ten million rows need about 4 GB in BENCH_DIR
# (/var/tmp).

use strict;
use warnings;

use Time::HiRes qw(sleep time);

use Bench;
use Ctl qw(ctl);
use Policyd qw(wait_until need have_command slurp spew);

use constant OLD => 0.01;	# the part of the rows that --clean deletes
use constant PIECE => 500_000;	# rows in one statement

my $backend = $ENV{BACKEND} // 'sqlite';
my ($rows, $active) = @ARGV;
$rows ||= 10_000_000;
$active ||= int($rows / 100) || 1;

$Policyd::patience = 3600;
STDOUT->autoflush(1);

sub say_time {
	my ($what, $begun, $more) = @_;

	printf "%-44s %10.0f ms%s\n", $what, (time - $begun) * 1000, $more // '';
}

sub megabytes { return sprintf '%.1f MiB', $_[0] / 2 ** 20 }

# Rows $from to $to, as the load generator names their users. The last ones are too old for
# every window.
sub insert {
	my ($from, $to) = @_;
	my ($now, $old) = (int time, $rows * (1 - OLD));
	my $date = "CASE WHEN i >= $old THEN $now - 200000 ELSE $now - 80000 + i % 80000 END";
	my $columns = 'id, date, recipient_count, instance, protocol_state';

	return "INSERT INTO mail_count ($columns) WITH RECURSIVE n(i) AS (SELECT $from UNION " .
	    "ALL SELECT i + 1 FROM n WHERE i + 1 < $to) SELECT printf(" .
	    "'user%07d\@submission.example.org', i), $date, 1, 'filled.' || i, 'DATA' FROM n"
	    if $backend eq 'sqlite';
	return "INSERT INTO mail_count ($columns, seq) SELECT 'user' || lpad(i::text, 7, '0') " .
	    "|| '\@submission.example.org', $date, 1, 'filled.' || i, 'DATA', " .
	    "nextval('mail_count_seq_seq') FROM generate_series($from, $to - 1) i"
	    if $backend eq 'pgsql';
	return "INSERT INTO mail_count ($columns, own) SELECT concat('user', " .
	    "lpad(seq, 7, '0'), '\@submission.example.org'), " . ($date =~ s/\bi\b/seq/gr) .
	    ", 1, concat('filled.', seq), 'DATA', 1 FROM seq_${from}_to_" . ($to - 1);
}

sub fill {
	my ($d) = @_;
	my $begun = time;

	for (my $from = 0; $from < $rows; $from += PIECE) {
		my $to = $from + PIECE < $rows ? $from + PIECE : $rows;
		if ($backend eq 'sqlite') {
			system('sqlite3', '-batch', $d->database, 'PRAGMA synchronous=OFF', '',
			    insert($from, $to)) == 0 or die "sqlite3: status $?\n";
		} else {
			$d->{server}->sql_in($d->{server_database}, insert($from, $to));
		}
	}
	say_time("to fill the database", $begun);
}

# The first answer after the start.
sub start_time {
	my ($d, $what, $id) = @_;
	my $begun = time;
	my $answer;

	$d->launch;
	until (defined $answer) {
		my $client = $d->connect_quietly;
		$answer = $client->ask(sasl_username => $id) if $client;
		sleep 0.001 if !defined $answer;
	}
	say_time($what, $begun);
	die "the answer was $answer\n" if $answer ne 'dunno';
}

# SQLite's rows were put there by another program, and are taken over first.
sub take_over {
	my ($d) = @_;
	my $begun = time;

	wait_until { ($d->sql("SELECT value FROM mail_state WHERE name = 'horizon'"))[0][0] >=
	    $rows * 0.999 } or die "the rows are not taken over\n";
	say_time('until the rows of another program are taken over', $begun);
}

sub touch {
	my ($d, $what) = @_;
	my $before = Bench::memory($d->pid);
	my $r = Bench::load($d->endpoint, c => 10, u => $active, n => $active, 's' => 1, w => 0,
	    t => 600);
	my $grown = Bench::memory($d->pid) - $before;

	printf "%-44s %10.0f /s, p50 %.2f ms, p99 %.2f ms, max %.0f ms, %d faults\n", $what,
	    $r->{per_second}, map({ $r->{latency_us}{$_} / 1000 } qw(p50 p99 max)), $r->{faults};
	printf "%-44s %13s, %.0f bytes for each active id\n", 'memory of all processes',
	    megabytes($before + $grown), $grown / $active if $grown > 0;
}

sub control {
	my ($d, $what, @words) = @_;
	my $begun = time;
	my ($status, $out, $err) = ctl($d, @words);

	say_time($what, $begun, $status == 0 ? sprintf(', %d lines', scalar(my @l = split /\n/,
	    $out)) : ": status $status: $err");
}

sub clean {
	my ($d) = @_;
	my $begun = time;
	my ($status, $out, $err) = $d->run_command($d->command('--clean'));

	say_time(sprintf('--clean, %.0f old rows', $rows * OLD), $begun,
	    $status == 0 ? '' : ": status $status: $err");
}

need(have_command('sqlite3'), 'sqlite3') if $backend eq 'sqlite';
Bench::prepare();
print Bench::machine(), "\n\n$backend, $rows ids with a row each, $active active\n\n";
my $d = Bench::daemon('scale', backend => $backend,
    config => { db_timeout => 30 })->start;
$d->stop;
fill($d);
start_time($d, 'start to first answer', 'first@example.org');
printf "%-44s %13s\n", 'memory of all processes', megabytes(Bench::memory($d->pid));
if ($backend eq 'sqlite') {
	take_over($d);
	$d->stop;
	start_time($d, 'start to first answer, the second time', 'second@example.org');
}
touch($d, 'first request of each active id');
touch($d, 'second request of each active id');
control($d, 'policyctl top', 'top');
control($d, 'policyctl top --by refused', 'top', '--by', 'refused');
spew("$d->{dir}/try.conf", "limits = [[1, 60], [1, 86400]]\n", 0644);
control($d, 'policyctl try', '-t', '3000', 'try', "$d->{dir}/try.conf");
clean($d);
$d->stop;
start_time($d, 'start to first answer at the end', 'last@example.org');
$d->stop;
