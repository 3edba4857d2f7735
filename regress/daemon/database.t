#!/usr/bin/perl
# A daemon whose database does not answer, cannot be written, or is full.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;
use Time::HiRes qw(time sleep);

use Fault qw(lock_database);
use Ctl qw(ctl);
use Policyd qw(freeze request wait_until need have_command as_root);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

my @mounted;

END {
	my $status = $?;
	system('umount', '-l', $_) for @mounted;
	$? = $status;
}

subtest 'database-hangs-kills-daemon' => sub {
	my $d = Policyd->start(config => { limits => [[3, 3600]], db_timeout => 2,
	    fail_action => 'reject full', db_error_action => 'defer database' });
	my @clients = map { $d->connect } 1 .. 5;
	my $ledger = $d->child('ledger-sqlite');

	is($clients[0]->ask(sasl_username => 'bob'), 'dunno', 'a request is accepted at first');
	my $lock = lock_database($d);
	ok($lock, 'another process locks the database');
	my $begin = time;
	$_->send(request(sasl_username => 'bob')) for @clients;
	my @answers = map { $_->answer // 'none' } @clients;
	my $took = time - $begin;
	is_deeply(\@answers, [('defer database') x 5], 'every client gets db_error_action');
	cmp_ok($took, '>=', 1.5, "not before db_timeout ($took s)");
	cmp_ok($took, '<', 10, 'the answers come in time');
	ok($d->wait_log(qr/database/), 'the log names the database');
	$lock->();
	ok(wait_until { ($clients[0]->ask(sasl_username => 'eve') // '') eq 'dunno' },
	    'the daemon recovers without a restart');
	is($d->recorded('bob'), 1, 'requests without a verdict are not recorded');
	is($clients[1]->ask(sasl_username => 'bob'), 'dunno', "bob's second mail is accepted");
	is($clients[1]->ask(sasl_username => 'bob'), 'dunno', "bob's third mail is accepted");
	is($clients[1]->ask(sasl_username => 'bob'), 'reject full',
	    "bob's fourth mail is refused");

	# The ledger is stopped with SIGSTOP.
	freeze($ledger);
	$begin = time;
	is($clients[2]->ask(sasl_username => 'bob'), 'defer database',
	    'a stopped ledger: db_error_action');
	cmp_ok(time - $begin, '<', 10, 'a stopped ledger does not delay the answer');
	kill 'CONT', $ledger;
	ok(wait_until { ($clients[3]->ask(sasl_username => 'zoe') // '') eq 'dunno' },
	    'requests are counted once the ledger continues');
	is($clients[2]->ask(sasl_username => 'bob'), 'reject full', 'its counts are kept');
	$d->ends_well;
};

subtest 'a lock is an error in the log after half of db_timeout' => sub {
	my $d = Policyd->start(config => { db_timeout => 6 });
	my $client = $d->connect;

	is($client->ask(sasl_username => 'bob'), 'dunno', 'all is well');
	my $lock = lock_database($d);
	my $begin = time;
	$client->send(request(sasl_username => 'bob'));
	ok($d->wait_log(qr/ledger: sqlite .*database is locked/), 'the log says that the database is locked');
	cmp_ok(time - $begin, '>=', 3, 'not before 3 of 6 seconds');
	$lock->();
	is($client->answer, 'dunno', 'the request is answered in time');
	ok($d->wait_log(qr/works again/), 'the log says that the database works again');
	$d->ends_well;
};

subtest 'stop-while-database-hangs' => sub {
	my $d = Policyd->start(config => { db_timeout => 2 });
	my $client = $d->connect;

	is($client->ask(sasl_username => 'bob'), 'dunno', 'a request is accepted at first');
	freeze($d->child('ledger-sqlite'));
	$client->send(request(sasl_username => 'bob'));
	my $begin = time;
	is($d->stop, 0, 'the daemon stops although its ledger is stopped');
	cmp_ok(time - $begin, '<', 20, 'the stop takes less than 20 seconds');
	ok(!-e $d->endpoint && !-e $d->pidfile, 'no file is left');
};

subtest 'database-that-cannot-be-used' => sub {
	my $d = Policyd->new(config => { db_timeout => 2, limits => [[1, 3600]],
	    fail_action => 'reject full', db_error_action => 'defer database' });
	my $garbage = "this is no database\n" x 500;

	mkdir "$d->{dir}/db";
	chmod 0777, "$d->{dir}/db";
	Policyd::spew($d->database, $garbage, 0666);
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'defer database',
	    'a request gets db_error_action');
	ok($d->wait_log(qr/ledger.*: .*not a database/), 'the log names the reason');
	is(Policyd::slurp($d->database), $garbage, 'the file is unchanged');
	unlink $d->database;
	ok(wait_until { ($d->ask(sasl_username => 'eve') // '') eq 'dunno' },
	    'a new database is created once the file is removed');
	is($d->ask(sasl_username => 'eve'), 'reject full', 'the new database counts');
	$d->ends_well;

	# A path that the service's user may not write to is a permanent error.
	SKIP: {
		skip 'only as root', 8 if !as_root();
		$d = Policyd->new;
		mkdir "$d->{dir}/db" or die;
		Policyd::spew($d->database, '', 0644);
		for my $case (['file', 0777, 'db.sqlite3'], ['directory', 0755, '.']) {
			my ($what, $mode, $which) = @$case;
			chmod $mode, "$d->{dir}/db";
			chmod 0666, $d->database if $what eq 'directory';
			$d->write_config({});
			my ($status, undef, $err) = $d->run;
			is($status, 6, "a $what that can never be written: status 6");
			like($err, qr{\Q$d->{dir}/db/$which\E can never be written: Permission},
			    'the message names the path and the reason');
			is(() = $err =~ /can never be written/g, 1, 'the message is printed once');
			ok(!-e $d->endpoint && !-e $d->pidfile,
			    'no socket and no pid file is left');
		}
	}

	# The database cannot be created below a plain file.
	$d = Policyd->new;
	$d->write_config({ sqlite_config => { database => "$d->{file}/db.sqlite3" } });
	my ($status, undef, $err) = $d->run;
	is($status, 6, 'no directory for the database: status 6');
	like($err, qr/\Q$d->{file}\E/, 'the message names the file');
	ok(!-e $d->endpoint && !-e $d->pidfile, 'no file is left');
};

# Write permission is removed after the start; a process with open files still works.
subtest 'database that becomes read-only' => sub {
	plan skip_all => 'root may write to anything' if !as_root();
	my $d = Policyd->start(config => { db_timeout => 2, db_error_action => 'defer database' });
	my $away = sub { ($d->ask(sasl_username => 'bob') // '') eq 'defer database' };
	my @files = glob "$d->{dir}/db/*";
	my $mark = $d->log_mark;

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is accepted at first');
	is((ctl($d, 'status', '-q'))[1], "well\n", 'status says that all is well');
	is((ctl($d, 'block', 'mallory', '1h'))[0], 0, 'block succeeds');
	chmod 0444, @files;
	chmod 0555, "$d->{dir}/db";
	my $ledger = $d->child('ledger-sqlite');
	kill 'KILL', $ledger;
	ok($d->child('ledger-sqlite', $ledger), 'a new ledger is started');
	my ($status, $out);
	ok(wait_until { ($status, $out) = ctl($d, 'status', '-q'); $out =~ /readonly/ },
	    'status says that the database is read-only, before any request') or diag($out);
	ok($away->(), 'the answer is db_error_action') for 1 .. 4;
	($status, $out) = ctl($d, 'status', '-q');
	is($status, 1, 'status -q exits with 1 while the database is read-only');
	like($out, qr/\Adegraded: the database: in trouble \(.*readonly.*\)\n\z/,
	    'status -q names the reason');
	like($d->ask(sasl_username => 'mallory'), qr/ blocked\z/, 'the block applies');
	my $engine = $d->child('engine');
	kill 'KILL', $engine;
	ok($d->child('engine', $engine), 'a new engine is started');
	ok(wait_until { ($d->ask(sasl_username => 'mallory', protocol_state => 'VRFY') // '') =~
	    / blocked\z/ }, 'the new engine applies the block');
	is(() = $d->log_since($mark) =~ /ledger: .*readonly/g, 1, 'the error is logged once');
	ok($d->running, 'the daemon is still running');
	chmod 0755, "$d->{dir}/db";
	chmod 0644, @files;
	ok(wait_until { $d->ask(sasl_username => 'bob') eq 'dunno' },
	    'requests are accepted once the database is writable');
	is((ctl($d, 'status', '-q'))[1], "well\n", 'status says that all is well');
	ok($d->wait_log(qr/ledger: .*works again/, $mark), 'the recovery is logged');
	$d->ends_well;
};

subtest 'database on a full disk' => sub {
	my $disk = tempdir('disk-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
	plan skip_all => 'a file system in memory may not be mounted' if !as_root() ||
	    system("mount -t tmpfs -o size=1m,mode=0777 none $disk 2>/dev/null") != 0;
	push @mounted, $disk;
	my $d = Policyd->start(config => { db_timeout => 2, db_error_action => 'defer database',
	    limits => [[1000, 60]], sqlite_config => { database => "$disk/db.sqlite3" } });
	my $n = 0;

	is((ctl($d, 'block', 'mallory', '1h'))[0], 0, 'block succeeds');
	open my $fh, '>', "$disk/ballast" or die "ballast: $!";
	1 while syswrite $fh, 'x' x 4096;
	close $fh;
	my $mark = $d->log_mark;
	$n++ while $n < 20000 && $d->ask(sasl_username => "user$n") eq 'dunno';
	is($d->ask(sasl_username => 'bob'), 'defer database',
	    "after $n mails the disk is full and the answer is db_error_action");
	is($d->ask(sasl_username => 'mallory'), 'reject 5.7.1 Sending is blocked',
	    'the block applies');
	my ($status, $out) = ctl($d, 'status', '-q');
	is($status, 1, 'status -q exits with 1 while the disk is full');
	like($out, qr/\Adegraded: the database: in trouble \(.*full\)\n\z/,
	    'status -q says that the disk is full');
	is((ctl($d, 'block', 'eve', '1h'))[0], 3, 'no further block can be written');
	like($d->log_since($mark), qr/ledger: .*is full$/m, 'the full disk is logged');
	unlink "$disk/ballast";
	ok(wait_until { $d->ask(sasl_username => 'bob') eq 'dunno' },
	    'requests are accepted once there is space');
	is((ctl($d, 'status', '-q'))[1], "well\n", 'status says that all is well');
	$d->ends_well;
};

done_testing();
