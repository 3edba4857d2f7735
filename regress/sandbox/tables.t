#!/usr/bin/perl

# The tables in SECURITY.md match the filters in the code.

use strict;
use warnings;

use Test::More;

use Policyd qw(need slurp $root);

need(-x "$root/build/regress/attack", 'build/regress/attack (make tests, on Linux)');

open my $fh, '-|', $^X, "$root/regress/sandbox/tables.pl", '-p' or die "perl: $!";
my $made = do { local $/; <$fh> } // '';
ok(close $fh, 'the program prints the tables');

my @want = split /\n/, $made;
my @have = split /\n/, slurp("$root/SECURITY.md");
my @wrong = grep { ($have[$_] // '') ne ($want[$_] // '') }
    0 .. ($#want > $#have ? $#want : $#have);
is(scalar @wrong, 0, 'SECURITY.md is current')
    or diag('run perl regress/sandbox/tables.pl; first at line ', $wrong[0] + 1);
cmp_ok(scalar(@want), '>', 60, 'the tables have rows');
like($made, qr/report \|.*`mmap` \(no PROT_EXEC\)/, 'the tables show the argument of a call');

done_testing();
