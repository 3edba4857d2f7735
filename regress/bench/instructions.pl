# What `make instructions` runs: how many instructions of the processor a request costs in
# the code of the engine and of SQLite's ledger, counted by valgrind, which other work of
# the machine does not change. They are compared with the file "instructions" beside this
# one: who makes a request dearer or cheaper by more than 3 % writes them anew, knowingly,
# with UPDATE=1. They depend on the compiler, so another one than the file's compares
# nothing.
#
#	instructions.pl "compiler and its flags"

use strict;
use warnings;

use Config;
use File::Temp qw(tempdir);

use Policyd qw(need have_command slurp spew);

use constant {
	FEW => 2_000,
	MANY => 6_000,
	TOLERANCE => 0.03,
};

my $program = "$Policyd::root/build/bench/scenario";
my $file = "$Policyd::root/regress/bench/instructions";
my $dir = tempdir(CLEANUP => 1);

need(have_command('valgrind'), 'valgrind');

# Instructions of the code that is in this program itself, not in the libraries.
sub own {
	my ($text) = @_;
	my (%object, $object);
	my ($sum, $call) = (0, 0);

	for (split /\n/, $text) {
		if (/^ob=\((\d+)\)(?: (.+))?$/) {
			$object{$1} = $2 if defined $2;
			$object = $object{$1};
		} elsif (/^cob=\((\d+)\) (.+)$/) {
			$object{$1} = $2;
		} elsif (/^calls=/) {
			# The next line is about the function that is called.
			$call = 1;
		} elsif (/^[+\-*\d]\S* (\d+)$/) {
			$sum += $1 if !$call && $object eq $program;
			$call = 0;
		}
	}
	return $sum;
}

sub counted {
	my ($scenario, $requests) = @_;
	my $out = "$dir/$scenario.$requests";

	system("valgrind --tool=callgrind --callgrind-out-file=$out $program $scenario " .
	    "$requests >$out.log 2>&1") == 0 or die slurp("$out.log");
	return own(slurp($out));
}

# Flags for warnings change nothing.
(my $compiler = "$ARGV[0], $Config{archname}") =~ s/ -W[^\s,]+//g;
my $found = "# Instructions a request; make instructions UPDATE=1 writes this file.\n" .
    "compiler $compiler\n";
my %want = -e $file ? map { /^(\w+) (.*)$/ ? ($1 => $2) : () } split /\n/, slurp($file) : ();
my $status = 0;

for my $scenario (qw(engine ledger)) {
	my $each = int((counted($scenario, MANY) - counted($scenario, FEW)) /
	    (MANY - FEW) + 0.5);
	$found .= "$scenario $each\n";
	printf '%-7s %6d instructions a request', $scenario, $each;
	if (($want{compiler} // '') ne $compiler) {
		print "; not compared, the file is of another compiler\n";
	} elsif ($ENV{UPDATE}) {
		print "\n";
	} else {
		my $ratio = $each / $want{$scenario};
		my $other = abs($ratio - 1) > TOLERANCE;
		printf ", %+.1f %% by the file%s\n", 100 * ($ratio - 1),
		    $other ? ': write it anew (UPDATE=1) if this is meant' : '';
		$status = 1 if $other;
	}
}
spew($file, $found, 0644) if $ENV{UPDATE};
exit $status;
