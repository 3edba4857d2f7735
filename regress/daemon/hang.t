#!/usr/bin/perl
# An engine that hangs keeps all mail waiting: it is found out and another takes its place.

use strict;
use warnings;

use Test::More;

use Policyd qw(wait_until);

my $d = Policyd->new->start;
my $engine = $d->child('engine');

is($d->ask(sasl_username => 'before'), 'dunno', 'it answers');
kill 'STOP', $engine;
local $Policyd::patience = 60;
ok($d->wait_log(qr/engine \(process $engine\) hangs and is killed/),
    'a hanging engine is noticed and logged');
is(wait_until { $d->ask(sasl_username => 'after') }, 'dunno',
    'the next one answers');
isnt($d->child('engine'), $engine, 'which is another process');
$d->ends_well;

done_testing;
