#!/usr/bin/perl

# SECURITY.md says what the code enforces.

use strict;
use warnings;

use Test::More;

use Policyd qw(need slurp $root);

need(-x "$root/build/regress/attack", 'build/regress/attack (make tests, on Linux)');

open my $fh, '-|', $^X, "$root/regress/sandbox/tables.pl", '-p' or die "perl: $!";
my $made = do { local $/; <$fh> } // '';
ok(close $fh, 'the tables can be made');

my @want = split /\n/, $made;
my @have = split /\n/, slurp("$root/SECURITY.md");
my @wrong = grep { ($have[$_] // '') ne ($want[$_] // '') }
    0 .. ($#want > $#have ? $#want : $#have);
is(scalar @wrong, 0, 'SECURITY.md is current')
    or diag('run perl regress/sandbox/tables.pl; first at line ', $wrong[0] + 1);
cmp_ok(scalar(@want), '>', 60, 'there is something in it');
like($made, qr/report \|.*`mmap` \(no PROT_EXEC\)/, 'a call with its argument');

done_testing();
