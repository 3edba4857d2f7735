#!/usr/bin/perl
# Connections to a server: by UNIX socket, with TLS and a verified certificate, to the
# writable one of several hosts, and with option files of the client library. The sandbox
# is entered after each of them.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

use Database;
use Policyd qw(need wait_until slurp spew);
use Smtpd;
use Trouble qw(make_user daemon ok_back $secret);

sub ok_connects {
	my ($db, $name, %config) = @_;
	my $d = daemon($db, config_of($db, %config))->start;

	ok_back($d, $name);
	unlike($d->log, qr/forbidden|killed/, "$name: no forbidden system call");
	$d->ends_well;
}

sub ok_refused {
	my ($db, $name, $words, %config) = @_;
	my $d = daemon($db, config_of($db, %config))->start;

	is($d->ask(sasl_username => 'bob'), 'defer database', "$name: refused");
	ok($d->wait_log($words), "$name: and the log tells why") or
	    diag($d->log);
	unlike($d->log, qr/WARNING/, "$name: no line comes from the library");
	$d->ends_well;
}

# Settings in addition to the account's; undef omits a setting.
sub config_of {
	my ($db, %config) = @_;
	my $pg = $db->{kind} eq 'pgsql';
	my %all = ($db->config(user => 'daemon', $pg ? 'password' : 'passwd', $secret,
	    %config));
	my $of = $all{"$db->{kind}_config"};

	delete @$of{grep { !defined $of->{$_} } keys %$of};
	return %all;
}

# --- certificates ---

my $dir = tempdir(TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;

sub certificates {
	my $ca = Smtpd::certificate($dir, 'ca', ca => 1);

	return {
		ca => $ca->{file},
		stranger => Smtpd::certificate($dir, 'stranger', ca => 1)->{file},
		good => Smtpd::certificate($dir, 'good', issuer => $ca, name => 'localhost',
		    san => [[DNS => 'localhost'], [IP => '127.0.0.1']]),
		other => Smtpd::certificate($dir, 'other', issuer => $ca,
		    name => 'db.example.org', san => [[DNS => 'db.example.org']]),
	};
}

# A directory with the certificate, named as OpenSSL expects.
sub directory_of {
	my ($file) = @_;
	my ($hash) = `openssl x509 -noout -hash -in $file` =~ /^(\w+)$/m;

	mkdir "$dir/of-$hash", 0755;
	spew("$dir/of-$hash/$hash.0", slurp($file), 0644);
	return "$dir/of-$hash";
}

# Installs the certificate in the server.
sub present {
	my ($db, $certificate) = @_;

	$db->keep('server.pem', slurp($certificate->{file}));
	$db->keep('server.key', slurp($certificate->{keyfile}));
	$db->{kind} eq 'pgsql' ? $db->reload_conf : $db->sql('FLUSH SSL');
}

sub server {
	my ($kind, $certificates) = @_;
	my $db = Database->start($kind);

	$db->keep('server.pem', slurp($certificates->{good}{file}));
	$db->keep('server.key', slurp($certificates->{good}{keyfile}));
	$db->stop;
	$db->{args} = $kind eq 'pgsql' ? ['-c', 'ssl=on', '-c',
	    "ssl_cert_file=$db->{dir}/server.pem", '-c', "ssl_key_file=$db->{dir}/server.key"] :
	    ["--ssl-cert=$db->{dir}/server.pem", "--ssl-key=$db->{dir}/server.key"];
	$db->launch;
	make_user($db);
	return $db;
}

# --- PostgreSQL ---

sub pgsql_tls {
	my ($db, $c) = @_;
	my %tls = (host => 'localhost', sslmode => 'verify-full', sslrootcert => $c->{ca});

	spew("$db->{dir}/data/pg_hba.conf", "local all all scram-sha-256\n" .
	    "host all policyd 127.0.0.1/32 scram-sha-256\n" .
	    "hostssl all daemon 127.0.0.1/32 scram-sha-256\n");
	$db->reload_conf;
	ok_refused($db, 'no TLS', qr/no encryption/, sslmode => 'disable');
	ok_connects($db, 'verified', %tls);
	ok_refused($db, 'an unknown issuer', qr/certificate/i, %tls,
	    sslrootcert => $c->{stranger});
	present($db, $c->{other});
	ok_refused($db, 'a wrong name', qr/certificate|localhost/i, %tls);
	ok_connects($db, 'the certificate chain only', %tls, sslmode => 'verify-ca');
	present($db, $c->{good});
}

# The first host is a standby, which is promoted later.
sub pgsql_hosts {
	my ($db) = @_;
	my $standby = bless { %$db, port => Policyd::free_port() }, 'Database';
	my $n = 0;

	spew("$db->{dir}/data/pg_hba.conf", slurp("$db->{dir}/data/pg_hba.conf") .
	    "local replication all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n");
	$db->reload_conf;
	$standby->{dir} = "$db->{dir}/standby";
	mkdir $standby->{dir}, 0700;
	chown $db->{uid}, $db->{gid}, $standby->{dir} if defined $db->{uid};
	my $file = $db->keep('pgpass', "*:*:*:*:" .
	    ({ $db->config }->{pgsql_config}{password} =~ s/([:\\])/\\$1/gr) . "\n");
	$db->run('/usr/bin/env', "PGPASSFILE=$file", Database::program('pg_basebackup'),
	    '-D', "$standby->{dir}/data", '-R', '-X', 'stream', '-c', 'fast', '-h',
	    $db->{dir}, '-p', $db->{port}, '-U', 'policyd');
	delete $standby->{pid};
	$standby->{args} = [];
	Database->keep_track($standby);
	$standby->launch;

	my $d = daemon($db, config_of($db, host => '127.0.0.1,127.0.0.1',
	    port => "$standby->{port},$db->{port}"))->start;
	ok_back($d, 'a standby comes first');
	is($d->ask(sasl_username => 'moved', recipient_count => 600), 'dunno',
	    'a mail is counted');
	my $end = ($db->sql('SELECT pg_current_wal_lsn()'))[0][0];
	ok(wait_until { ($standby->sql("SELECT pg_last_wal_replay_lsn() >= '$end'"))[0][0]
	    eq 't' }, 'the standby has the count');
	$db->stop;
	is($d->ask(sasl_username => 'moved'), 'defer database',
	    'no host of the list is writable');
	$standby->sql('SELECT pg_promote()');
	ok_back($d, 'the standby is promoted');
	is($d->ask(sasl_username => 'moved', recipient_count => 401), 'reject full',
	    'the promoted standby has the counts');
	$d->ends_well;
	$standby->stop;
	$db->launch;
}

sub pgsql {
	my ($db, $c) = @_;

	ok_connects($db, 'by a UNIX socket', host => $db->{dir});
	ok_connects($db, 'by the parts of a dsn', map({ $_ => undef } qw(host port database)),
	    dsn => "host=127.0.0.1 port=$db->{port} dbname=policyd");
	for my $dsn ('host=h password=my secret-word', 'postgresql://u:%zsecret-word@h/x') {
		my $d = daemon($db, config_of($db, dsn => $dsn));
		my ($status, undef, $log) = $d->run;
		is($status, 6, 'a malformed dsn is fatal');
		like($log, qr/pgsql_config: .*connection string/,
		    'the log names the connection string');
		unlike($log, qr/secret-word/, 'the log does not have the password');
	}
	my $file = "$db->{dir}/daemon.pgpass";
	spew($file, "127.0.0.1:$db->{port}:policyd:daemon:$secret\n", 0600);
	chown((Policyd::nobody())[0], -1, $file);
	ok_connects($db, 'with a password file', password => undef, passfile => $file);
	ok_refused($db, 'with a missing one', qr/; passfile \Q$file\E\.missing: No such file/,
	    password => undef, passfile => "$file.missing");
	chmod 0644, $file;
	ok_refused($db, 'with one for all', qr/; passfile \Q$file\E: others than its owner may read/,
	    password => undef, passfile => $file);
	subtest 'TLS' => sub { pgsql_tls($db, $c) };
	subtest 'several hosts' => sub { pgsql_hosts($db) };
}

# --- MariaDB ---

sub mysql_tls {
	my ($db, $c) = @_;

	$db->sql("ALTER USER 'daemon'\@'$_' REQUIRE SSL") for qw(127.0.0.1 localhost);
	ok_refused($db, 'no TLS', qr/denied/i, ssl_mode => 'DISABLED');
	ok_connects($db, 'verified', ssl => { ca => $c->{ca} },
	    ssl_mode => 'VERIFY_IDENTITY');
	ok_connects($db, 'by its ca alone', ssl => { ca => $c->{ca} });
	ok_refused($db, 'an unknown issuer', qr/certificate|SSL|TLS/i,
	    ssl => { ca => $c->{stranger} });
	ok_connects($db, 'by a directory of certificates',
	    ssl => { capath => directory_of($c->{ca}) });
	ok_refused($db, 'an issuer that is not in it', qr/certificate|SSL|TLS/i,
	    ssl => { capath => directory_of($c->{stranger}) });
	present($db, $c->{other});
	# Connector/C 3.4 does not check the name of a server on a loopback address.
	my ($major, $minor) = qx(pkg-config --modversion libmariadb 2>/dev/null) =~
	    /\A(\d+)\.(\d+)/;
	my $checks = !$major || $major == 3 && $minor < 4;
	ok_refused($db, 'a wrong name', qr/certificate|SSL|TLS/i, ssl => { ca => $c->{ca} },
	    ssl_mode => 'VERIFY_IDENTITY') if $checks;
	# As policyd-rate-limit(8) has it of this library.
	if ($major && $checks) {
		ok_refused($db, 'VERIFY_CA and a wrong name', qr/certificate|SSL|TLS/i,
		    ssl => { ca => $c->{ca} }, ssl_mode => 'VERIFY_CA');
		ok_connects($db, 'REQUIRED with a ca: the chain only',
		    ssl => { ca => $c->{ca} }, ssl_mode => 'REQUIRED');
		ok_refused($db, 'REQUIRED and an unknown issuer', qr/certificate|SSL|TLS/i,
		    ssl => { ca => $c->{stranger} }, ssl_mode => 'REQUIRED');
	}
	ok_connects($db, 'TLS without verification', ssl_mode => 'REQUIRED');
	present($db, $c->{good});
	$db->sql("ALTER USER 'daemon'\@'$_' REQUIRE NONE") for qw(127.0.0.1 localhost);
}

sub mysql {
	my ($db, $c) = @_;
	(my $quoted = $secret) =~ s/'/''/g;

	$db->sql("CREATE USER 'daemon'\@'localhost' IDENTIFIED BY '$quoted'");
	$db->sql("GRANT ALL ON policyd.* TO 'daemon'\@'localhost'");
	ok_connects($db, 'by a UNIX socket', host => undef, port => undef,
	    unix_socket => "$db->{dir}/socket");
	my $file = "$db->{dir}/daemon.cnf";
	spew($file, "[mail]\nhost=127.0.0.1\nport=$db->{port}\nuser=daemon\n" .
	    "password=\"$secret\"\n", 0600);
	chown((Policyd::nobody())[0], -1, $file);
	ok_connects($db, 'with an option file', map({ $_ => undef } qw(host port user passwd)),
	    read_default_file => $file, read_default_group => 'mail');
	my $d = daemon($db, config_of($db, read_default_file => "$file.missing"))->start;
	isnt($d->ask(sasl_username => 'bob'), 'dunno',
	    'with a missing option file a request is not accepted');
	ok($d->wait_log(qr/read_default_file: \Q$file\E\.missing: No such file/),
	    'the missing file is named in the log');
	$d->stop;
	subtest 'TLS' => sub { mysql_tls($db, $c) };
}

Smtpd::needed();
my $certificates = certificates();
for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	Database->needed($kind);
	subtest $kind => sub {
		my $db = server($kind, $certificates);

		($kind eq 'pgsql' ? \&pgsql : \&mysql)->($db, $certificates);
		$db->stop;
	};
}

done_testing();
