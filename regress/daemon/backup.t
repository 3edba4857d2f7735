#!/usr/bin/perl
# A backup of an SQLite database as policyd-rate-limit(8) makes it, beside a running daemon,
# and its restoration.

use strict;
use warnings;

use File::Copy qw(copy);
use Test::More;

use Ctl qw(ctl);
use Policyd qw(as_root have_command need slurp $root);

need(have_command('sqlite3'), 'no sqlite3 here');

my ($command) = slurp("$root/man/policyd-rate-limit.8") =~
    /^\.Ss Backup and restore\n.*?^# (sqlite3 .*?)^\.Ed$/ms;
my $d = Policyd->start(config => { limits => [[3, 3600]], fail_action => 'reject full' });
my $backup = "$d->{dir}/backup.sqlite3";

$command =~ s/\\e\n//g;
$command =~ s{/var/lib/policyd-rate-limit/db\.sqlite3}{$d->{dir}/db/db.sqlite3};
$command =~ s{/var/backups/policyd-rate-limit\.sqlite3}{$backup} or fail('the name');
is($d->ask(sasl_username => 'bob'), 'dunno', 'a mail') for 1, 2;
is((ctl($d, 'block', 'eve', '1h'))[0], 0, 'a block');
my ($status, $out, $err) = $d->run_command('sh', '-c', $command);
is($status, 0, 'a backup beside the daemon') or diag($err);
is($d->ask(sasl_username => 'bob'), 'dunno', 'a mail after it');
is($d->ask(sasl_username => 'bob'), 'reject full', 'which was the last');
is((ctl($d, 'unblock', 'eve'))[0], 0, 'the block ends');
is($d->stop, 0, 'the daemon ends');

unlink glob $d->database . '*';
ok(copy($backup, $d->database), 'the backup is put in place');
chown((Policyd::nobody())[0, 1], $d->database) if as_root();
$d->start;
is($d->recorded('bob'), 2, 'it has what was sent before');
is($d->ask(sasl_username => 'bob'), 'dunno', 'so there is room for one');
is($d->ask(sasl_username => 'bob'), 'reject full', 'and no more');
like($d->ask(sasl_username => 'eve'), qr/^reject 5\.7\.1/, 'the block is there again');
$d->ends_well;

done_testing();
