package Bench::Targets;

# What the daemon is to reach, and whether it does, from the figures of the bench: the hash
# that `bench.pl -j` writes, one of each database. Only arithmetic.

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(targets lines);

# The row of the table of speed.
sub speed {
	my ($figures, $server, $connections) = @_;
	my ($row) = grep { $_->{server} eq $server &&
	    $_->{connections} == $connections } @{$figures->{speed} // []};

	return $row // {};
}

# The quotient, or nothing when one of both is not there.
sub by {
	my ($part, $whole) = @_;

	return defined $part && $whole ? $part / $whole : undef;
}

sub postfix {
	my ($key, $choose) = @_;

	return sub {
		my ($figures) = @_;
		my @found = sort { $a <=> $b } map { $_->{$key} } values %{$figures->{postfix} // {}};
		return @found ? $found[$choose] : undef;
	};
}

# backend: of which database, by default of each. least or most: what is to be reached.
# find: the figure, undef if it was not measured.
my @wanted = (
	{ backend => 'sqlite', what => '100 connections: throughput by the floor\'s',
	    least => 0.60, find => sub { speed($_[0], 'normal', 100)->{of_floor} } },
	{ backend => 'sqlite', what => '100 connections: p99 by the floor\'s',
	    most => 3, find => sub { speed($_[0], 'normal', 100)->{p99_x} } },
	{ backend => 'sqlite', what => '1 connection: p50 by the floor\'s',
	    most => 4, find => sub { speed($_[0], 'normal', 1)->{p50_x} } },
	{ backend => 'sqlite', what => '10 connections: p50 by the floor\'s',
	    most => 4, find => sub { speed($_[0], 'normal', 10)->{p50_x} } },
	{ backend => 'sqlite', what => '1000 connections: throughput by that at 100',
	    least => 0.9, find => sub { by(map { speed($_[0], 'normal', $_)->{per_second} }
	    1000, 100) } },
	{ backend => 'sqlite', what => 'synchronous full, 100 connections: throughput by the ' .
	    'floor\'s', least => 0.15, find => sub { speed($_[0], 'full', 100)->{of_floor} } },
	(map { my ($backend, $floor, $raw) = @$_;
	    { backend => $backend, what => '100 connections: throughput by the floor\'s',
	    least => $floor, find => sub { speed($_[0], $backend, 100)->{of_floor} } },
	    { backend => $backend, what => '100 connections: throughput by raw inserts',
	    least => $raw, find => sub { by(@{$_[0]{raw} // {}}{qw(ours insert)}) } } }
	    ['pgsql', 0.20, 0.6], ['mysql', 0.14, 0.5]),
	{ what => 'five rules: CPU a request by that of two', most => 1.5,
	    find => sub { by(map { ($_[0]{rules}{$_} // {})->{cpu_us} } 5, 2) } },
	{ what => 'Postfix: mails a second by the floor\'s, the lowest', least => 0.97,
	    find => postfix(share => 0) },
	{ what => 'Postfix: lost sessions', most => 0, format => '%d', find => postfix(lost => -1) },
	# Every five seconds the parent asks the engine whether it is alive.
	{ what => 'at rest: CPU, % of a processor', most => 0.01, format => '%.3f',
	    find => sub { $_[0]{rest} } },
	{ what => 'several daemons: the slowest number of them by one daemon', least => 0.9,
	    find => \&scaling },
);

# The lowest throughput of several daemons by that of one with the same users.
sub scaling {
	my ($figures) = @_;
	my (%one, $lowest);
	my @rows = grep { $_->{load} eq 'closed' } @{$figures->{daemons} // []};

	$one{$_->{who}} = $_->{per_second} for grep { $_->{daemons} == 1 } @rows;
	for (grep { $_->{daemons} > 1 } @rows) {
		my $part = by($_->{per_second}, $one{$_->{who}}) // next;
		$lowest = $part if !defined $lowest || $part < $lowest;
	}
	return $lowest;
}

# The table for the figures of one or more databases: { backend, what, found, wanted,
# reached }. Without a figure `found` and `reached` are undefined. The sections' own targets
# come last.
sub targets {
	my (@figures) = @_;
	my @table;

	for my $figures (@figures) {
		for my $w (@wanted) {
			next if $w->{backend} && $w->{backend} ne $figures->{backend};
			# SQLite is of one machine.
			next if $w->{find} == \&scaling && $figures->{backend} eq 'sqlite';
			push @table, compare($figures->{backend}, $w, $w->{find}->($figures));
		}
		push @table, map { { %$_, backend => $figures->{backend} } }
		    @{$figures->{targets} // []};
	}
	return @table;
}

sub compare {
	my ($backend, $w, $found) = @_;
	my $least = defined $w->{least};

	return { backend => $backend, what => $w->{what},
	    wanted => $least ? ">= $w->{least}" : "<= $w->{most}",
	    found => defined $found ? sprintf($w->{format} // '%.2f', $found) : undef,
	    reached => !defined $found ? undef : $least ? $found >= $w->{least} :
	    $found <= $w->{most} };
}

sub lines {
	my (@table) = @_;

	return map { sprintf '%-12s %-6s %-62s %8s  (%s)', !defined $_->{reached} ?
	    'not measured' : $_->{reached} ? 'reached' : 'NOT REACHED', $_->{backend},
	    $_->{what}, $_->{found} // '-', $_->{wanted} } @table;
}

1;
