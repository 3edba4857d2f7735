#!/usr/bin/perl

# The packages that bootstrap installs on FreeBSD, with a fake pkg(8): the installed
# PostgreSQL client, or else FreeBSD's default version. The command that it uses to become
# root.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

use Packaging qw(output);
use Policyd qw(slurp spew $root);

my $dir = tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
my %tool = (
	uname => 'echo FreeBSD',
	id => 'echo 0',
	pkg => <<'END',
case $1 in
info)	[ "$3" = sqlite3 ] || grep -qx "$3" "$PLAY/installed" ;;
query)	cat "$PLAY/installed" ;;
rquery)
	case $* in
	*postfix-pgsql)	cat "$PLAY/default" ;;
	*)	cat "$PLAY/all" ;;
	esac ;;
update)	echo postgresql17-client >"$PLAY/all" ;;
install) echo "$*" >>"$PLAY/done" ;;
esac
END
);

mkdir "$dir/bin";
spew("$dir/bin/$_", "#!/bin/sh\n$tool{$_}\n", 0755) for keys %tool;

sub installs {
	my (%list) = @_;

	spew("$dir/$_", $list{$_} // '') for qw(installed default all done);
	local $ENV{PATH} = "$dir/bin:$ENV{PATH}";
	local $ENV{PLAY} = $dir;
	output("'$root/bootstrap' packages run 2>&1");
	return slurp("$dir/done");
}

my $first = 'install -y libevent libyaml mariadb-connector-c';

is(installs(default => "pcre2\npostgresql16-client\n",
    all => "postgresql15-client\npostgresql17-client\n"),
    "$first postgresql16-client\n", 'without a client the default version is installed');
is(installs(installed => "postgresql15-client\n", default => "postgresql16-client\n"),
    "$first\n", 'an installed client is not installed again');
is(installs(all => "postgresql15-client\npostgresql17-client\npostgresql16-client\n"),
    "$first postgresql17-client\n", 'the newest client is installed');
is(installs(), "$first postgresql17-client\n",
    'a package is installed after the catalogue is read');

# A user's PATH has this machine's commands, without doas and sudo.
mkdir "$dir/user";
for my $command (glob '/bin/* /usr/bin/* /sbin/* /usr/sbin/*') {
	my ($name) = $command =~ m!([^/]+)\z!;
	symlink $command, "$dir/user/$name" if $name !~ /\A(?:doas|sudo|id|uname|pkg)\z/;
}
spew("$dir/user/id", "#!/bin/sh\necho 1000\n", 0755);
spew("$dir/user/$_", "#!/bin/sh\n$tool{$_}\n", 0755) for qw(uname pkg);

sub becomes_root {
	my (@commands) = @_;

	unlink map { "$dir/user/$_" } qw(doas sudo);
	spew("$dir/$_", '') for qw(installed default all done asked);
	spew("$dir/user/$_", "#!/bin/sh\necho $_ >>\"\$PLAY/asked\"\nexec \"\$\@\"\n", 0755)
	    for @commands;
	local $ENV{PATH} = "$dir/user";
	local $ENV{PLAY} = $dir;
	my $out = output("'$root/bootstrap' packages run 2>&1");
	return (slurp("$dir/asked"), $out);
}

like((becomes_root('sudo'))[0], qr/\A(?:sudo\n)+\z/, 'sudo installs');
like((becomes_root('doas'))[0], qr/\A(?:doas\n)+\z/,
    'doas installs even if its configuration is unreadable');
my ($asked, $out) = becomes_root();
is($asked, '', 'without doas and sudo nothing is installed');
like($out, qr/root is needed .*neither doas nor sudo.*bootstrap packages run/s,
    'the command for root is printed');

done_testing();
