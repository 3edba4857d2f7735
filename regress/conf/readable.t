#!/usr/bin/perl

# What -n says of the files that the libraries of the databases read: named in the
# configuration, or found in the home directory of the daemon's user. They are read as
# that user, and libpq does not take each of them if others may read it too.

use strict;
use warnings;

use Policyd;
use Elsewhere;

BEGIN { Elsewhere->enter(hosts => {}) }

use Test::More;

use Conf qw(run_config $dir);
use Policyd qw(have_command slurp spew);

my ($uid, $gid) = (12345, (Policyd::nobody())[1]);
my $home = "$dir/home";

mkdir $_ or die "$_: $!" for $home, "$home/.postgresql";
chmod 0755, $dir, $home, "$home/.postgresql";
spew("$dir/passwd", slurp('/etc/passwd') . "limiter:x:$uid:$gid:limiter:$home:/bin/false\n",
    0644);
Elsewhere::run(have_command('mount'), '--bind', "$dir/passwd", '/etc/passwd');

my $user = "user = 'limiter'\ngroup = '" . getgrgid($gid) . "'\n";
my %set = (
	pgsql => sub { "${user}backend = 'pgsql'\npgsql_config = {'user': 'u', $_[0]}\n" },
	mysql => sub { "${user}backend = 'mysql'\nmysql_config = {'user': 'u', $_[0]}\n" },
);

# -n's status and what it says, with the file as it is given.
sub check {
	my ($kind, $config, $file, $owner, $mode, $status, $says, $name) = @_;

	spew($file, '', $mode);
	chmod $mode, $file;
	chown $owner, $gid, $file;
	my $r = run_config($set{$kind}->($config), '-n');
	my $text = $r->{err} . $r->{out};
	is($r->{status}, $status, "$name: status");
	my ($base) = $file =~ m{([^/]+)\z};
	ref $says ? like($text, $says, "$name: said") :
	    unlike($text, qr{/\Q$base\E"}, "$name: nothing is said");
	unlink $file;
}

my $pgpass = "$home/.pgpass";
my $ignored = qr/warning: file ".*\.pgpass": others than its owner .* libpq ignores it/;

check('pgsql', '', $pgpass, $uid, 0600, 0, undef, '~/.pgpass');
check('pgsql', '', $pgpass, $uid, 0640, 0, $ignored, '~/.pgpass that the group may read');
check('pgsql', '', $pgpass, $uid, 0604, 0, $ignored, '~/.pgpass that others may read');
check('pgsql', '', $pgpass, 0, 0640, 0, $ignored, '~/.pgpass of root that the group may read');
check('pgsql', '', $pgpass, 0, 0600, 0,
    qr/warning: file ".*\.pgpass": Permission denied .* user "limiter", not as root/,
    '~/.pgpass of root');
check('pgsql', "'password': 'p'", $pgpass, 0, 0600, 0, undef, '~/.pgpass beside a password');

my $named = "$dir/passwords";
check('pgsql', "'passfile': '$named'", $named, $uid, 0600, 0, undef, 'passfile');
check('pgsql', "'passfile': '$named'", $named, $uid, 0640, 0,
    qr/warning: passfile ".*": others than its owner .* libpq ignores it/,
    'passfile that the group may read');
check('pgsql', "'passfile': '$named'", $named, 0, 0600, 5,
    qr/error: passfile ".*": Permission denied .* user "limiter"/, 'passfile of root');
check('pgsql', "'passfile': '$named'", $pgpass, 0, 0600, 0, undef, '~/.pgpass beside passfile');

my $key = "$dir/client.key";
check('pgsql', "'sslkey': '$key'", $key, $uid, 0600, 0, undef, 'sslkey');
check('pgsql', "'sslkey': '$key'", $key, 0, 0640, 0, undef, 'sslkey of root for the group');
check('pgsql', "'sslkey': '$key'", $key, $uid, 0640, 5,
    qr/error: sslkey ".*": others than its owner .* libpq does not connect/,
    'sslkey that the group may read');
check('pgsql', '', "$home/.postgresql/postgresql.key", $uid, 0644, 0,
    qr/warning: file ".*postgresql\.key": others than its owner .* does not connect/,
    'the key in the home directory');
check('pgsql', '', "$home/.postgresql/root.crt", 0, 0600, 0,
    qr/warning: file ".*root\.crt": Permission denied/, 'the CA in the home directory');

my $service = "$home/.pg_service.conf";
check('pgsql', "'service': 's'", $service, 0, 0600, 0,
    qr/warning: file ".*pg_service\.conf": Permission denied/, 'the service file');
check('pgsql', '', $service, 0, 0600, 0, undef, 'the service file without a service');

my $options = "$home/.my.cnf";
check('mysql', "'read_default_group': 'g'", $options, 0, 0600, 0,
    qr/warning: file ".*\.my\.cnf": Permission denied/, '~/.my.cnf');
check('mysql', '', $options, 0, 0600, 0, undef, '~/.my.cnf that nobody reads');

done_testing;
