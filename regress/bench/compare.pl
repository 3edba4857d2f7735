# What `make bench-compare REV=revision` runs: the daemon of that revision and the one of
# this tree, in turns in one run, so that what else the machine does meets both. Prints the
# quotient of each pair of runs as a median, with its quartiles and how many pairs this tree
# won. BACKEND, BENCH and BENCH_DIR as for bench.pl.
#
#	compare.pl [connections ...]		(1 10 100 1000)

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Path qw(make_path);

use Bench;
use Policyd qw(need);

my $backend = $ENV{BACKEND} // 'sqlite';
my $full = ($ENV{BENCH} // '') eq 'full';
my ($pairs, $seconds) = $full ? (20, 3) : (7, 1);
my @connections = @ARGV ? @ARGV : (1, 10, 100, 1000);
my $make = $ENV{MAKE} // 'make';

$Policyd::patience = 120;
STDOUT->autoflush(1);

# The daemon of another revision, built once below build/.
sub build {
	my ($rev) = @_;

	chomp(my $commit = `git -C '$Policyd::root' rev-parse --verify --short '$rev^{commit}'`);
	die "no revision $rev\n" if $commit !~ /\A[0-9a-f]+\z/;
	my $dir = "$Policyd::root/build/compare/$commit";
	if (!-x "$dir/build/policyd-rate-limit") {
		make_path($dir);
		print "building $commit\n";
		system("git -C '$Policyd::root' archive $commit | tar -x -C '$dir' && " .
		    "env -u MAKEFLAGS -u MFLAGS $make -s -C '$dir' all >/dev/null") == 0
		    or die "$commit does not build\n";
	}
	return ($commit, "$dir/build/policyd-rate-limit");
}

sub quartiles {
	my @sorted = sort { $a <=> $b } @_;

	return @sorted[map { int($#sorted * $_ / 4 + 0.5) } 1 .. 3];
}

sub line {
	my ($connections, $what, $better, @quotients) = @_;
	my ($low, $middle, $high) = quartiles(@quotients);
	my $won = grep { $better * ($_ <=> 1) > 0 } @quotients;

	printf "%-11d %-11s %6.3f  (%.3f to %.3f)  %d of %d\n", $connections, $what,
	    $middle, $low, $high, $won, scalar @quotients;
}

my $rev = $ENV{REV} // die "make bench-compare REV=revision\n";
my ($commit, $program) = build($rev);
Bench::prepare();
printf "%s\n\nthis tree by %s: median (quartiles), pairs that this tree won\n\n",
    Bench::machine(), $commit;
my %daemon = (old => Bench::daemon('old', backend => $backend, program => $program)->start,
    new => Bench::daemon('new', backend => $backend)->start);

for my $connections (@connections) {
	my @quotient;
	for my $pair (1 .. $pairs) {
		my %run;
		for my $which ($pair % 2 ? qw(old new) : qw(new old)) {
			my $d = $daemon{$which};
			my $r = $run{$which} = Bench::measure($d->endpoint, $d->pid,
			    c => $connections, t => $seconds, w => 0.3, S => $pair);
			die "$which: requests or connections failed\n" if $r->{faults};
		}
		push @{$quotient[0]}, $run{new}{per_second} / $run{old}{per_second};
		push @{$quotient[1]}, $run{new}{latency_us}{p50} / $run{old}{latency_us}{p50};
		push @{$quotient[2]}, $run{new}{latency_us}{p99} / $run{old}{latency_us}{p99};
		push @{$quotient[3]}, $run{new}{cpu_us} / ($run{old}{cpu_us} || 1);
	}
	line($connections, 'requests/s', 1, @{$quotient[0]});
	line($connections, 'p50', -1, @{$quotient[1]});
	line($connections, 'p99', -1, @{$quotient[2]});
	line($connections, 'CPU', -1, @{$quotient[3]});
}
$_->stop for values %daemon;
