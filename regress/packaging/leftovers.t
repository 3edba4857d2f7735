#!/usr/bin/perl

# What an installation of the Python program from source or by pip left behind is named,
# with commands that remove it, and nothing else is.

use strict;
use warnings;

use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

use Packaging qw(output);
use Policyd qw(spew $root);

my $dir = tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
my $units = '/etc/systemd/system';
my $old = '/usr/local/bin/policyd-rate-limit';

my $init = '/etc/init.d/policyd-rate-limit';

make_path(map { "$dir$_" } $units, '/usr/local/bin', '/etc/cron.d', '/etc/cron.daily',
    '/etc/cron.weekly', '/etc/init.d', '/var/spool/cron/crontabs', '/var/cron/tabs');

sub said { return output("ROOT='$dir' sh '$root/packaging/leftovers' 2>&1") }

is(said(), '', 'nothing is printed where nothing is left');

# What is the administrator's, or ours.
symlink '/dev/null', "$dir$units/policyd-rate-limit.service";
spew("$dir$old", "#!/bin/sh\n");
spew("$dir$init", "#!/bin/sh\nDAEMON=/usr/sbin/policyd-rate-limit\n");
spew("$dir/etc/crontab", "# $old --clean\n17 3 * * * root /usr/sbin/policyd-rate-limit --clean\n");
is(said(), '', 'a mask, a program not in Python and a comment are ignored');
unlink "$dir$units/policyd-rate-limit.service";

my %left = (
	"$units/policyd-rate-limit.service" => "[Service]\nExecStart=$old\n",
	"$units/policyd-rate-limit-clean.service" => "[Service]\nExecStart=$old --clean\n",
	"$units/policyd-rate-limit-clean.timer" => "[Timer]\nOnCalendar=daily\n",
	$init => "#!/bin/bash\nDAEMON=\"$old\"\n",
	$old => "#!/usr/bin/python3\n",
	'/etc/crontab' => "17 3 * * * root $old --clean\n5 4 * * * root true\n",
	'/etc/cron.d/policyd' => "17 3 * * * root $old --clean\n",
	'/etc/cron.daily/policyd' => "#!/bin/sh\n$old --clean\n",
	'/etc/cron.weekly/policyd' => "#!/bin/sh\n$old --clean\n",
	'/var/cron/tabs/root' => "17 3 * * * $old --clean\n",
	'/var/spool/cron/crontabs/joe' => "17 3 * * * $old --clean\n",
);
spew("$dir$_", $left{$_}) for keys %left;
my $text = said();
like($text, qr/^  \Q$_\E: .*\n {6}\S/m, "$_ is named, with a command") for sort keys %left;
is(scalar(() = $text =~ /^  \S/mg), scalar keys %left, 'each leftover is printed once');

# The commands remove it, in a system whose other programs do nothing.
mkdir "$dir/bin";
spew("$dir/bin/$_", "#!/bin/sh\nexit 0\n", 0755) for qw(systemctl update-rc.d);
spew("$dir/bin/crontab", "#!/bin/sh\ncd '$dir/var' && sed -i '/policyd-rate-limit/d' " .
    "\$(find . -name \$3)\n", 0755);
for my $command ($text =~ /^ {6}(.*)$/mg) {
	$command =~ s{(?<=[ ])/}{$dir/}g;
	local $ENV{PATH} = "$dir/bin:$ENV{PATH}";
	is(system('/bin/sh', '-c', $command), 0, $command =~ s/\Q$dir//gr);
}
is(said(), '', 'the printed commands remove every leftover');
like(output("cat '$dir/etc/crontab'"), qr/root true/, 'other lines of a crontab stay');
spew("$dir$init", $left{$init});
spew("$dir$init.dpkg-dist", '');
like(said(), qr/^ {6}mv \Q$init.dpkg-dist $init\E$/m,
    'the package\'s init script takes the place of the old one');

done_testing();
