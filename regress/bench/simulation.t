#!/usr/bin/perl
# The simulation of rules that count new recipients: its figures are of the order that is
# promised, and those in the manual.

use strict;
use warnings;

use Test::More;

use Policyd qw(slurp need $root);

my $program = "$root/build/bench/simulation";
need(-x $program, 'the simulation is not built');

my $out = `$program 1`;
is($?, 0, 'it ends well');
is(`$program 1`, $out, 'the same seed gives the same figures');
my %row = map { /^(\S.*?) {2,}([\d ]+)$/ ? ($1 => [split ' ', $2]) : () } split /\n/, $out;
my %passed = ('botnet of 200 networks' => 30, 'one machine' => 30,
    'a login never used before' => 30, '5 an hour, 14 days' => 14 * 30);

for (sort keys %passed) {
	cmp_ok($row{$_}[2], '<=', $passed{$_}, "$_: habit");
	cmp_ok($row{$_}[3], '<=', $passed{$_}, "$_: with the backstop");
	cmp_ok($row{$_}[1], '>', $row{$_}[2], "$_: limits of volume are worse");
}
my $people = (grep { $_->[0] == 1000 } values %row)[0] // [];
cmp_ok($people->[4], '<', 500, 'few honest recipients are refused');
cmp_ok($people->[5], '<', 20, 'of few people');

my $manual = slurp("$root/man/policyd-rate-limit.conf.5");
like($manual, qr/^botnet of 200 networks +@{[join ' +', @{$row{'botnet of 200 networks'}}]}$/m,
    'the manual has these figures of thieves');
like($manual, qr/^within 30 days +@{[join ' +', @$people[1, 2, 4, 6]]}$/m, 'and of people');
like(slurp("$root/README.md"), qr/\bit refuses $people->[4]\./, 'as has README');

done_testing;
