# What `make walk` runs: the way of one accepted mail of a known id through the engine and
# SQLite's ledger, as calls of our functions (no compiler's optimisation, so each function
# of the source is one). Prints how many calls, functions, files and changes of the file
# there are; with WALK=files also how often each function of a file is called, with
# WALK=long the calls in their order.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Time::HiRes qw(sleep);

use Policyd qw(need have_command wait_until slurp);

my $root = $Policyd::root;
my $build = "$root/build/walk";
my $walks = tempdir('policyd-walk-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
my $make = $ENV{MAKE} // 'make';
my $cc = $ENV{CC} // 'cc';

chmod 01777, $walks;
need(have_command('addr2line'), 'addr2line (binutils)');

# A copy of what is in the tree, built anew.
sub build {
	my $shell = "rm -rf '$build' && mkdir -p '$build' && cd '$root' && tar -cf - " .
	    "--exclude '*.o' --exclude '*.d' GNUmakefile BSDmakefile Makefile src compat " .
	    "regress etc man packaging rc.d systemd LICENSE | tar -xf - -C '$build' && " .
	    "cd '$build' && $cc -O1 -DWALK_DIR='\"$walks\"' -c -o walk.o " .
	    "regress/bench/walk.c && env -u MAKEFLAGS -u MFLAGS $make -s LEDGERS=sqlite " .
	    "CFLAGS='-O0 -g -finstrument-functions' LDFLAGS=walk.o HARDENING= all " .
	    '>build.log 2>&1';

	system($shell) == 0 or die "$build/build.log: the build failed\n";
}

sub entries {
	my ($pid) = @_;

	open my $fh, '<:raw', "$walks/$pid" or die "$walks/$pid: $!\n";
	read $fh, my $head, 16 or die "$walks/$pid: empty\n";
	return (unpack('QQ', $head), $fh);
}

# The functions that a process entered since a position, as [name, file].
sub walked {
	my ($pid, $program, $from) = @_;
	my ($n, $base, $fh) = entries($pid);
	my %known;

	seek $fh, 16 + 8 * $from, 0;
	read $fh, my $bytes, 8 * ($n - $from);
	my @addresses = map { sprintf '%x', $_ - $base } unpack 'Q*', $bytes;
	my @unique = do { my %seen; grep { !$seen{$_}++ } @addresses };
	while (my @some = splice @unique, 0, 500) {
		my @lines = split /\n/, `addr2line -f -e $program @some`;
		for (@some) {
			my ($name, $place) = splice @lines, 0, 2;
			(my $file = $place) =~ s/:\d+.*//;
			$file =~ s!^.*?/((?:src|compat)/)!$1!;
			$known{$_} = [$name, $file];
		}
	}
	return map { $known{$_} } @addresses;
}

sub summary {
	my ($process, @calls) = @_;
	my (%function, %file, %called);
	my ($changes, $last) = (0, '');

	for (@calls) {
		$function{$_->[0]} = 1;
		$file{$_->[1]}++;
		$called{$_->[1]}{$_->[0]}++;
		$changes++ if $last ne '' && $_->[1] ne $last;
		$last = $_->[1];
	}
	printf "%-14s %5d calls %5d functions %5d files %5d changes of file\n", $process,
	    scalar @calls, scalar keys %function, scalar keys %file, $changes;
	my $more = $ENV{WALK} // '';
	if ($more eq 'files') {
		for my $name (sort { $file{$b} <=> $file{$a} || $a cmp $b } keys %file) {
			my $of = $called{$name};
			printf "    %3d %s: %s\n", $file{$name}, $name, join ', ',
			    map { "$_ $of->{$_}" }
			    sort { $of->{$b} <=> $of->{$a} || $a cmp $b } keys %$of;
		}
	}
	if ($more eq 'long') {
		printf "    %-32s %s\n", @$_ for @calls;
	}
}

# Waits until the processes enter no more functions. Returns how many each has entered.
sub settled {
	my (%pid) = @_;
	my %entered;

	wait_until {
		my %now = map { $_ => (entries($pid{$_}))[0] } keys %pid;
		my $same = !grep { ($entered{$_} // -1) != $now{$_} } keys %pid;
		%entered = %now;
		sleep 0.3 if !$same;
		$same;
	} 20;
	return %entered;
}

build();
my $d = Policyd->start(program => "$build/build/policyd-rate-limit",
    config => { debug => \'False', limits => [[1000, 60], [10000, 86400]] });
my %pid = map { $_ => $d->child($_) } qw(engine ledger-sqlite);
my $client = $d->connect;
for (1 .. 5) {
	($client->ask(sasl_username => 'bob', instance => "walk.$_") // '') eq 'dunno'
	    or die "no answer\n";
}
# What follows an answer is part of it, unless it is work for quiet moments.
my %from = settled(%pid);
$client->ask(sasl_username => 'bob', instance => 'walk.6');
settled(%pid);
for (sort keys %pid) {
	my @calls = walked($pid{$_}, "$build/build/libexec/$_", $from{$_});
	# A ledger without requests turns to other work.
	my ($end) = grep { $calls[$_][0] eq 'store_idle' } 0 .. $#calls;
	splice @calls, $end if defined $end;
	summary($_, @calls);
}
$d->stop;
