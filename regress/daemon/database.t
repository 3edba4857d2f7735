#!/usr/bin/perl
# A database that does not answer, in the daemon's way of life.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;
use Time::HiRes qw(time sleep);

use Fault qw(lock_database);
use Ctl qw(ctl);
use Policyd qw(request wait_until need have_command as_root);

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

	is($clients[0]->ask(sasl_username => 'bob'), 'dunno', 'all is well');
	my $lock = lock_database($d);
	ok($lock, 'another process locks the database');
	my $begin = time;
	$_->send(request(sasl_username => 'bob')) for @clients;
	my @answers = map { $_->answer // 'none' } @clients;
	my $took = time - $begin;
	is_deeply(\@answers, [('defer database') x 5], 'everybody gets db_error_action');
	cmp_ok($took, '>=', 1.5, "not before db_timeout ($took s)");
	cmp_ok($took, '<', 10, 'and in time');
	ok($d->wait_log(qr/database/), 'the log tells why');
	$lock->();
	ok(wait_until { ($clients[0]->ask(sasl_username => 'eve') // '') eq 'dunno' },
	    'it recovers by itself');
	is($d->recorded('bob'), 1, 'what got no verdict was not recorded');
	is($clients[1]->ask(sasl_username => 'bob'), 'dunno', "bob's second");
	is($clients[1]->ask(sasl_username => 'bob'), 'dunno', "bob's third");
	is($clients[1]->ask(sasl_username => 'bob'), 'reject full', "bob's fourth");

	# The ledger frozen altogether.
	kill 'STOP', $ledger;
	$begin = time;
	is($clients[2]->ask(sasl_username => 'bob'), 'defer database', 'a frozen ledger');
	cmp_ok(time - $begin, '<', 10, 'holds nobody up');
	kill 'CONT', $ledger;
	ok(wait_until { ($clients[3]->ask(sasl_username => 'zoe') // '') eq 'dunno' },
	    'requests are counted once the ledger continues');
	is($clients[2]->ask(sasl_username => 'bob'), 'reject full', 'with its counts');
	$d->ends_well;
};

subtest 'stop-while-database-hangs' => sub {
	my $d = Policyd->start(config => { db_timeout => 2 });
	my $client = $d->connect;

	is($client->ask(sasl_username => 'bob'), 'dunno', 'all is well');
	kill 'STOP', $d->child('ledger-sqlite');
	$client->send(request(sasl_username => 'bob'));
	my $begin = time;
	is($d->stop, 0, 'a frozen ledger does not keep it from stopping');
	cmp_ok(time - $begin, '<', 20, 'for long');
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
	is($d->ask(sasl_username => 'bob'), 'defer database', 'every request is answered');
	ok($d->wait_log(qr/ledger.*: .*not a database/), 'the log names the reason');
	is(Policyd::slurp($d->database), $garbage, 'the file is as it was');
	unlink $d->database;
	ok(wait_until { ($d->ask(sasl_username => 'eve') // '') eq 'dunno' },
	    'without it a new one is made');
	is($d->ask(sasl_username => 'eve'), 'reject full', 'and counts');
	$d->ends_well;

	# What the user of the service may not write to never gets well by itself.
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
			    'which, and why');
			is(() = $err =~ /can never be written/g, 1, 'once');
			ok(!-e $d->endpoint && !-e $d->pidfile, 'no file is left');
		}
	}

	# Below what is no directory there can be none.
	$d = Policyd->new;
	$d->write_config({ sqlite_config => { database => "$d->{file}/db.sqlite3" } });
	my ($status, undef, $err) = $d->run;
	is($status, 6, 'no directory for it: status 6');
	like($err, qr/\Q$d->{file}\E/, 'and which');
	ok(!-e $d->endpoint && !-e $d->pidfile, 'no file is left');
};

# Rights that were there at the start; a process that has the files open goes on.
subtest 'database that can be written no more' => sub {
	plan skip_all => 'root may write to anything' if !as_root();
	my $d = Policyd->start(config => { db_timeout => 2, db_error_action => 'defer database' });
	my $away = sub { ($d->ask(sasl_username => 'bob') // '') eq 'defer database' };
	my @files = glob "$d->{dir}/db/*";
	my $mark = $d->log_mark;

	is($d->ask(sasl_username => 'bob'), 'dunno', 'all is well');
	is((ctl($d, 'status', '-q'))[1], "well\n", 'status says that all is well');
	is((ctl($d, 'block', 'mallory', '1h'))[0], 0, 'block');
	chmod 0444, @files;
	chmod 0555, "$d->{dir}/db";
	my $ledger = $d->child('ledger-sqlite');
	kill 'KILL', $ledger;
	ok($d->child('ledger-sqlite', $ledger), 'the next ledger');
	my ($status, $out);
	ok(wait_until { ($status, $out) = ctl($d, 'status', '-q'); $out =~ /readonly/ },
	    'may not write, which status knows before a request does') or diag($out);
	ok($away->(), 'db_error_action') for 1 .. 4;
	($status, $out) = ctl($d, 'status', '-q');
	is($status, 1, 'status 1');
	like($out, qr/\Adegraded: the database: in trouble \(.*readonly.*\)\n\z/, 'and why');
	like($d->ask(sasl_username => 'mallory'), qr/ blocked\z/, 'the block holds');
	my $engine = $d->child('engine');
	kill 'KILL', $engine;
	ok($d->child('engine', $engine), 'the next engine');
	ok(wait_until { ($d->ask(sasl_username => 'mallory', protocol_state => 'VRFY') // '') =~
	    / blocked\z/ }, 'knows it too');
	is(() = $d->log_since($mark) =~ /ledger: .*readonly/g, 1, 'one line in the log');
	ok($d->running, 'the daemon is still running');
	chmod 0755, "$d->{dir}/db";
	chmod 0644, @files;
	ok(wait_until { $d->ask(sasl_username => 'bob') eq 'dunno' }, 'with rights it is well again');
	is((ctl($d, 'status', '-q'))[1], "well\n", 'status says that all is well');
	ok($d->wait_log(qr/ledger: .*works again/, $mark), 'and the log');
	$d->ends_well;
};

subtest 'database on a disk that is full' => sub {
	my $disk = tempdir('disk-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
	plan skip_all => 'a file system in memory may not be mounted' if !as_root() ||
	    system("mount -t tmpfs -o size=1m,mode=0777 none $disk 2>/dev/null") != 0;
	push @mounted, $disk;
	my $d = Policyd->start(config => { db_timeout => 2, db_error_action => 'defer database',
	    limits => [[1000, 60]], sqlite_config => { database => "$disk/db.sqlite3" } });
	my $n = 0;

	is((ctl($d, 'block', 'mallory', '1h'))[0], 0, 'block');
	open my $fh, '>', "$disk/ballast" or die "ballast: $!";
	1 while syswrite $fh, 'x' x 4096;
	close $fh;
	my $mark = $d->log_mark;
	$n++ while $n < 20000 && $d->ask(sasl_username => "user$n") eq 'dunno';
	is($d->ask(sasl_username => 'bob'), 'defer database', "full after $n: db_error_action");
	is($d->ask(sasl_username => 'mallory'), 'reject 5.7.1 Sending is blocked', 'a block holds');
	my ($status, $out) = ctl($d, 'status', '-q');
	is($status, 1, 'status 1');
	like($out, qr/\Adegraded: the database: in trouble \(.*full\)\n\z/, 'and why');
	is((ctl($d, 'block', 'eve', '1h'))[0], 3, 'no further block can be written');
	like($d->log_since($mark), qr/ledger: .*is full$/m, 'the log tells');
	unlink "$disk/ballast";
	ok(wait_until { $d->ask(sasl_username => 'bob') eq 'dunno' }, 'well again with room');
	is((ctl($d, 'status', '-q'))[1], "well\n", 'status says that all is well');
	$d->ends_well;
};

done_testing();
