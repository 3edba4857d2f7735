#!/usr/bin/perl

# make dist is reproducible: the same commit gives the same bytes in any directory, at any
# time and for any user. The archive has all files that the build needs.

use strict;
use warnings;

use Digest::SHA;
use File::Temp qw(tempdir);
use Test::More;

use Packaging qw(output);
use Policyd qw(need have_command slurp $root);

need(defined have_command('git') && -e "$root/.git", 'git, and a clone');

my $dir = tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
my ($version) = slurp("$root/src/rules.mk") =~ /^VERSION =\t(\S+)$/m;
my @made;

# Another directory, umask, time zone, locale, file times and git configuration.
for my $way ([one => 022, 'TZ=UTC LC_ALL=C', 'true'],
    ['another place' => 077, 'TZ=Asia/Tokyo LC_ALL=C.UTF-8 GZIP=-1',
	"find . -path ./.git -prune -o -type f -exec touch -t 200101010000 {} +; " .
	"git config tar.umask 0002; git config core.autocrlf true"]) {
	my ($name, $umask, $environment, $prepare) = @$way;
	my $place = "$dir/$name";

	umask $umask;
	my $said = output("git clone -q '$root' '$place' 2>&1 && cd '$place' && $prepare && " .
	    "env $environment make -s dist 2>&1");
	my $file = "$place/policyd-rate-limit-$version.tar.gz";
	ok(-s $file, "made: $name") or diag($said);
	push @made, $file;
}
umask 022;
is(Digest::SHA->new(256)->addfile($made[1], 'b')->hexdigest,
    Digest::SHA->new(256)->addfile($made[0], 'b')->hexdigest, 'two runs make the same bytes');

my @list = split /\n/, output("tar -tvzf '$made[0]' --numeric-owner");
is((grep { !m{ 0/0 } } @list), 0, 'every file has owner and group 0');
is((grep { m{ \Qpolicyd-rate-limit-$version\E/} } @list), @list, 'all files are in one directory');
my %there = map { m{\Qpolicyd-rate-limit-$version\E/(\S+)} ? ($1 => 1) : () } @list;
ok($there{$_}, "with $_")
    for 'GNUmakefile', 'BSDmakefile', 'LICENSE', 'packaging/debian/control', 'src/rules.mk';

# Where the tarball was unpacked there is no repository, or another one above it.
my $unpacked = "$dir/one/policyd-rate-limit-$version";
output("cd '$dir/one' && tar -xzf '$made[0]'");
isnt(system("cd '$unpacked' && make -s dist >'$dir/said' 2>&1"), 0,
    'make dist fails in an unpacked tree');
like(slurp("$dir/said"), qr/put policyd-rate-limit-\Q$version\E\.tar\.gz here/,
    'the error says what to do');
output("cp '$made[0]' '$unpacked'");
is(system("cd '$unpacked' && make -s dist >'$dir/said' 2>&1"), 0,
    'make dist succeeds where the archive is there');
ok(-s "$unpacked/policyd-rate-limit-$version.tar.gz" == -s $made[0], 'the archive is unchanged');

done_testing();
