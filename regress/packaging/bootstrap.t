#!/usr/bin/perl

# What bootstrap installs on FreeBSD, whose pkg(8) is played: PostgreSQL's client of the
# version that is there, or else of the one that FreeBSD builds its packages with.

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
    "$first postgresql16-client\n", 'the default');
is(installs(installed => "postgresql15-client\n", default => "postgresql16-client\n"),
    "$first\n", 'the one that is installed is enough');
is(installs(all => "postgresql15-client\npostgresql17-client\npostgresql16-client\n"),
    "$first postgresql17-client\n", 'the newest');
is(installs(), "$first postgresql17-client\n", 'once the catalogue is there');

done_testing();
