package Chance;

# Random numbers that can be had again: from a seed of their own, which nobody else
# takes numbers of (File::Temp does, of Perl's). The seed is told at the start and once
# more when the test fails; POLICYD_SEED=n gives it. It is the same in every run of make
# check, and with FAULT=full another one each time.
#
#	my $n = draw(10);		# 0 to 9
#	my $error = one_of(EIO, EINTR);
#	my @names = mixed('a' .. 'f');
#	begin_with(seed() + 1);		# numbers of another seed

use strict;
use warnings;

use Exporter qw(import);
use Test::More ();
use Time::HiRes ();

our @EXPORT_OK = qw(draw chance one_of mixed seed begin_with);

# Lehmer's generator with the multiplier of Park, Miller and Stockmeyer (1993): no
# product is more than 2^47, which is exact in any Perl.
use constant { PRIME => 2**31 - 1, FACTOR => 48271 };

my $owner = $$;
my $seed = $ENV{POLICYD_SEED};
$seed = ($ENV{FAULT} // '') eq 'full' ? int(Time::HiRes::time() * 1000) % 1_000_000 : 1
    if !defined $seed;
my $state;

Test::More::note("POLICYD_SEED=$seed");
begin_with($seed);

sub seed { return $seed }

sub begin_with {
	($seed) = @_;
	$state = $seed % (PRIME - 1) + 1;
	# The first few are near each other for seeds that are.
	chance() for 1 .. 8;
}

# From 0 to below 1.
sub chance {
	$state = $state * FACTOR % PRIME;
	return $state / PRIME;
}

# A whole number from 0 to below n.
sub draw {
	my ($n) = @_;

	return int(chance() * $n);
}

sub one_of { return $_[draw(scalar @_)] }

sub mixed {
	my @all = map { [chance(), $_] } @_;

	return map { $_->[1] } sort { $a->[0] <=> $b->[0] } @all;
}

END {
	Test::More::diag("POLICYD_SEED=$seed runs this again")
	    if $$ == $owner && ($? != 0 || !Test::More->builder->is_passing);
}

1;
