#!/usr/bin/perl
# An engine that hangs delays all mail: the parent kills it and starts another.

use strict;
use warnings;

use Test::More;

use Policyd qw(freeze wait_until);

my $d = Policyd->new->start;
my $engine = $d->child('engine');

is($d->ask(sasl_username => 'before'), 'dunno', 'a request is answered');
freeze($engine);
local $Policyd::patience = 60;
ok($d->wait_log(qr/engine \(process $engine\) hangs and is killed/),
    'a hanging engine is noticed and logged');
is(wait_until { $d->ask(sasl_username => 'after') }, 'dunno',
    'the next engine answers');
isnt($d->child('engine'), $engine, 'the engine is another process');
$d->ends_well;

done_testing;
