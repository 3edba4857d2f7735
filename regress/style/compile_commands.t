# What `make compile_commands` writes: JSON, each source once, each argument as it was.

use strict;
use warnings;

use JSON::PP qw(decode_json);
use Test::More;

use Style qw($root);

my @command = ('cc', '-DNAME="a\\b"', '-I', 'a directory');
open my $out, '-|', 'sh', "$root/src/compile_commands.sh", '/the "tree"', 'src/b.c', 'src/a.c',
    'src/b.c', '--', @command or die "sh: $!";
my $entries = decode_json(join '', <$out>);
ok(close $out, 'it ends well');
is_deeply($entries, [map { { directory => '/the "tree"', file => $_,
    arguments => [@command, '-c', $_] } } 'src/a.c', 'src/b.c'], 'each source once');

done_testing;
