#!/usr/bin/perl
# A server that knows its client by the user on this host sees the daemon's user, however
# the daemon was started, and never root. The configuration is read before root's
# privileges are dropped; a file of the client library is read afterwards.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(need slurp spew as_root None);

need(as_root(), 'root is what is given up');

my ($uid, $gid) = Policyd::nobody();
my $nobody = getpwuid $uid;

my %server = (
	pgsql => {
		args => ['-c', 'log_connections=on'],
		prepare => sub {
			my ($db) = @_;
			my $hba = "$db->{dir}/data/pg_hba.conf";

			spew($hba, "local all all peer\n" . slurp($hba));
			$db->sql("CREATE USER $nobody; CREATE USER other PASSWORD 'p';" .
			    " CREATE USER root SUPERUSER; GRANT $nobody TO other;" .
			    " ALTER SCHEMA public OWNER TO $nobody");
			$db->reload_conf;
		},
		config => sub { host => $_[0]{dir}, password => None },
		users => 'SELECT DISTINCT usename FROM pg_stat_activity' .
		    ' WHERE application_name = \'policyd-rate-limit\'',
		denied => qr/Peer authentication failed for user "root"/,
		file => ['passfile', '*:*:*:*:p'],
	},
	mysql => {
		args => [],
		prepare => sub {
			my ($db) = @_;

			$db->sql("CREATE USER '$nobody'\@localhost IDENTIFIED VIA unix_socket");
			$db->sql("GRANT ALL ON policyd.* TO '$nobody'\@localhost");
			$db->sql("CREATE USER other\@'127.0.0.1' IDENTIFIED BY 'p'");
			$db->sql("GRANT ALL ON policyd.* TO other\@'127.0.0.1'");
			$db->sql('ALTER USER root@localhost IDENTIFIED VIA unix_socket');
		},
		config => sub { host => 'localhost', unix_socket => "$_[0]{dir}/socket",
		    passwd => None },
		users => 'SELECT DISTINCT user FROM information_schema.processlist' .
		    " WHERE user IN ('$nobody', 'root')",
		denied => qr/Access denied for user 'root'/,
		file => ['read_default_file', "[client]\npassword=p"],
	},
);

sub daemon {
	my ($db, $user, %more) = @_;

	return Policyd->new(config => { $db->config(user => $user, %more),
	    limits => [[9, 3600]], db_error_action => 'defer database' });
}

sub check_user {
	my ($kind, $db) = @_;
	my $s = $server{$kind};
	my $d = daemon($db, $nobody, $s->{config}->($db))->start;

	is($d->ask(sasl_username => 'bob'), 'dunno', 'the daemon\'s user is let in');
	is_deeply([$db->sql($s->{users})], [[$nobody]],
	    'the only database user is nobody');
	$d->ends_well;

	$d = daemon($db, 'root', $s->{config}->($db));
	$d->launch;
	ok($d->wait_log($s->{denied}), 'the server refuses root');
	is_deeply([$db->sql($s->{users})], [], 'by no process');
	$d->stop;
	unlike(slurp("$db->{dir}/log"), qr/identity="root"|user=root database/,
	    'root never connected');
}

sub check_files {
	my ($kind, $db) = @_;
	my $s = $server{$kind};
	my ($setting, $text) = @{$s->{file}};
	my $file = "$db->{dir}/secret";
	my $password = $kind eq 'pgsql' ? 'password' : 'passwd';

	my $d = daemon($db, 'other', $password => 'p');
	chmod 0600, $d->{file} or die "$d->{file}: $!";
	$d->start;
	is((stat $d->{file})[2] & 0777, 0600, 'the configuration is root\'s alone');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the daemon has read its configuration');
	$d->ends_well;

	spew($file, "$text\n", 0600);
	$d = daemon($db, 'other', $password => None, $setting => $file);
	$d->launch;
	ok($d->wait_log(qr/ledger.*(?:password|Access denied|Permission denied)/),
	    "a $setting of root's is not read");
	$d->stop;
	chown $uid, $gid, $file;
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', "a $setting of the daemon's user is");
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	Database->needed($kind);
	subtest $kind => sub {
		my $db = Database->start($kind, args => $server{$kind}{args});

		$server{$kind}{prepare}->($db);
		check_user($kind, $db);
		check_files($kind, $db);
		$db->stop;
	};
}

done_testing();
