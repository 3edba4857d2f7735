#!/usr/bin/perl
# Every exit status of the program and its message.

use strict;
use warnings;

use IO::Socket::UNIX;
use Test::More;

use Policyd qw(wait_until as_root slurp spew True);

my $unprivileged = as_root() ? 'nobody' : undef;

sub fails {
	my ($name, $want, $pattern, %option) = @_;
	my @args = @{delete $option{run} // []};
	my $d = Policyd->new(%option);
	my ($status, $out, $err) = $d->run(@args);

	is($status, $want, "$name: status $want") or diag($out, $err);
	like($err, $pattern, "$name: the message gives the reason");
	is($out, '', "$name: stdout is empty");
	ok(!-e $d->pidfile, "$name: leaves no pid file");
	ok(ref $d->endpoint || !-S $d->endpoint, "$name: leaves no socket");
	return $d;
}

subtest 'status-0' => sub {
	my $d = Policyd->new;

	for my $option ('-h', '--help') {
		my ($status, $out, $err) = $d->run_command(Policyd::program(), $option);
		is($status, 0, $option);
		like($out, qr/^usage: policyd-rate-limit /, 'the usage is printed to stdout');
		is($err, '', 'no message on stderr');
	}
	for my $option ('-V', '--version') {
		my ($status, $out) = $d->run_command(Policyd::program(), $option);
		is($status, 0, $option);
		like($out, qr/\Apolicyd-rate-limit \d+\.\d+\.\d+\n\z/,
		    'the version is printed to stdout');
	}
	my ($status, $out, $err) = $d->run('-n');
	is($status, 0, '-n');
	is($out, "configuration OK\n", '-n prints that the configuration is good');
	($status, $out) = $d->run('--get-config', 'sqlite_config.database');
	is($status, 0, '--get-config');
	is($out, $d->database, '--get-config prints the value without a newline');
	($status, $out) = $d->run('--clean');
	is($status, 0, '--clean');
	is($out, "0 records deleted\n", '--clean prints the number of deleted rows');
	for my $signal ('TERM', 'INT', 'USR1') {
		is($d->start->stop($signal), 0, "SIG$signal");
	}
};

subtest 'status-1' => sub {
	fails('an unknown setting', 1, qr/^nonsense not found$/m,
	    run => ['--get-config', 'nonsense']);
	fails('below one that is no dictionary', 1, qr/^limits\.x not found$/m,
	    run => ['--get-config', 'limits.x']);
	fails('an unknown option', 1, qr/usage/, run => ['--nonsense']);
	fails('an unknown letter', 1, qr/usage/, run => ['-x']);
	fails('an argument', 1, qr/usage/, run => ['nonsense']);
	fails('an option without its argument', 1, qr/usage/, run => ['--get-config']);
};

subtest 'status-2' => sub {
	plan skip_all => 'only root changes its ids' if !as_root();
	fails('no such user', 2, qr/no-such-user/, config => { user => 'no-such-user' });
	fails('no such group', 2, qr/no-such-group/, config => { group => 'no-such-group' });
	fails('no such owner of the socket', 2, qr/no-such-owner/,
	    config => { socket_user => 'no-such-owner' });
	fails('no such group of the socket', 2, qr/no-such-group/,
	    config => { socket_group => 'no-such-group' });
	fails('root is nobody to become', 2, qr/root/, config => { user => 'root' });
	fails('--clean too', 2, qr/no-such-user/, config => { user => 'no-such-user' },
	    run => ['--clean']);

	my $d = Policyd->start(as => 'nobody', config => { user => 'no-such-user',
	    group => 'no-such-group' });
	pass('without root user and group are not checked');
	$d->ends_well;
};

subtest 'status-3' => sub {
	my $d = Policyd->start;
	my ($status, $out, $err) = $d->run;

	is($status, 3, 'already running: status 3');
	like($err, qr/already running: \Q@{[$d->pidfile]}\E/,
	    'the message names the pid file');
	($status) = $d->run('-b');
	is($status, 3, 'already running with -b: status 3');
	$d->ends_well;
};

subtest 'status-4' => sub {
	for my $socket ('5', '["localhost", 10031]', '["127.0.0.1"]', '[]',
	    '["", 10031]', '[["nowhere", 1], "/tmp/x"]', 'None') {
		fails("SOCKET = $socket", 4, qr/:\d+:\d+: .*SOCKET/,
		    config => { SOCKET => \$socket });
	}
};

subtest 'status-5' => sub {
	my $d = Policyd->new;
	my ($status, undef, $err) = $d->run_command(Policyd::program(), '-f',
	    "$d->{dir}/missing.conf");

	is($status, 5, 'the file named by -f is missing');
	like($err, qr/\Q$d->{dir}\E\/missing\.conf/, 'the message names the missing file');
	fails('a wrong value', 5, qr/\.conf:\d+:\d+: .*limits/,
	    config => { limits => 'nonsense' });
	fails('what is no literal', 5, qr/\.conf:2:\d+: /,
	    config => "debug = True\nlimits = open('/etc/passwd')\n");
	$d = fails('every fault', 5, qr/limits.*\n.*debug|debug.*\n.*limits/s,
	    config => { limits => 'nonsense', debug => 'maybe' });
	fails('a wrong value with -b', 5, qr/limits/, config => { limits => 'nonsense' },
	    run => ['-b']);
	fails('--clean too', 5, qr/limits/, config => { limits => 'nonsense' },
	    run => ['--clean']);
	if (as_root()) {
		$d = Policyd->new;
		chmod 0666, $d->{file};
		($status, undef, $err) = $d->run;
		is($status, 5, 'a configuration that others may write to: status 5');
		like($err, qr/\Q$d->{file}\E/, 'the message names the file');
	}
	$d = Policyd->new(as => $unprivileged);
	chmod 0000, $d->{file};
	($status, undef, $err) = $d->run;
	is($status, 5, 'an unreadable configuration: status 5');
	like($err, qr/\Q$d->{file}\E/, 'the message names the file');
};

subtest 'status-6' => sub {
	fails('an address that is none', 6, qr/192\.0\.2\.256/,
	    config => { SOCKET => ['192.0.2.256', 10031] });
	fails('a name', 6, qr/localhost\.localdomain/,
	    config => { SOCKET => ['localhost.localdomain', 10031] });
	fails('an address that is not ours', 6, qr/192\.0\.2\.1/,
	    config => { SOCKET => ['192.0.2.1', 10031] });
	for my $setting ('SOCKET', 'pidfile') {
		my $d = Policyd->new(as => $unprivileged);
		$d->write_config({ $setting => '/proc/nowhere/file' });
		my ($status, undef, $err) = $d->run;
		is($status, 6, "no directory for $setting: status 6");
		like($err, qr{/proc/nowhere}, 'the message names the path');
		ok(!-e $d->pidfile, 'no pid file is left');
		ok(!-e $d->endpoint, 'no socket is left');
	}
	my $d = Policyd->new(as => $unprivileged);
	spew("$d->{dir}/plain", "precious\n");
	$d->write_config({ SOCKET => "$d->{dir}/plain" });
	my ($status, undef, $err) = $d->run;
	is($status, 6, 'SOCKET is a plain file: status 6');
	like($err, qr/exists and is not a socket/,
	    'the message says that it is not a socket');
	is(slurp("$d->{dir}/plain"), "precious\n", 'the file is unchanged');

	# A control socket that cannot be created causes only a warning.
	$d = Policyd->start(as => $unprivileged,
	    config => { control_socket => '/proc/nowhere/control' });
	like($d->log, qr{control socket.*/proc/nowhere}, 'no control socket: a warning');
	$d->ends_well;
};

subtest 'status-8' => sub {
	my $d = Policyd->new(config => { report => True, report_to => 'root@example.org',
	    report_only_if_needed => Policyd::False,
	    smtp_server => ['127.0.0.1', Policyd::free_port()] });
	my ($status, $out, $err) = $d->run('--clean');

	is($status, 8, 'a report that cannot be sent: status 8');
	is($out, "0 records deleted\n", 'the rows were cleaned all the same');
	like($err, qr/report/, 'the message names the report');

	$d = Policyd->new(config => { sqlite_config => { database => '/proc/x/db' } });
	($status, $out, $err) = $d->run('--clean');
	is($status, 8, 'no database to clean: status 8');
	is($out, '', 'nothing was deleted');
	like($err, qr{/proc/x}, 'the message names the file');

	# Without a recipient the hits are kept, which is not an error.
	$d = Policyd->new(config => { report => True });
	($status, $out) = $d->run('--clean');
	is($status, 0, 'report_to None: status 0');
	is($out, "0 records deleted\n", 'cleaned');
};

subtest 'background' => sub {
	my $d = Policyd->new;
	my ($status, $out, $err) = $d->run('-b');

	is($status, 0, '-b: status 0 once it is ready') or diag($err);
	is($out, '', 'nothing on stdout');
	my ($pid) = slurp($d->pidfile) =~ /\A(\d+)\n/;
	ok($pid && Policyd::process_alive($pid), 'the daemon runs');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered at once');
	kill 'TERM', $pid;
	ok(wait_until { !Policyd::process_alive($pid) },
	    'the daemon stops when its pid is signalled');
	ok(!-e $d->endpoint && !-e $d->pidfile, 'no file is left');

	$d = Policyd->new(config => { SOCKET => ['192.0.2.1', 1] });
	($status, undef, $err) = $d->run('-b');
	is($status, 6, '-b: a failed start has status 6');
	like($err, qr/192\.0\.2\.1/, 'the message names the address');
};

done_testing();
