#!/usr/bin/perl
# Cleaning while the daemon decides: --clean and clean_interval.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time sleep);

use Policyd qw(request wait_until need have_command slurp True);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

# Inserts rows that are $age seconds old, as an older daemon wrote them.
sub old_mails {
	my ($d, $id, $age, $count) = @_;
	my $date = int(time) - $age;

	$d->sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n " .
	    "WHERE i < $count) INSERT INTO mail_count (id, date, recipient_count, " .
	    "instance, protocol_state) SELECT '$id', $date, 1, 'old.' || i, 'DATA' FROM n");
}

subtest 'clean-beside-a-daemon' => sub {
	my $d = Policyd->start(config => { limits => [[3, 60]],
	    limits_by_id => { long => [[100, 5000]] }, fail_action => 'reject full' });

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a new mail is accepted') for 1 .. 2;
	old_mails($d, 'bob', 20_000, 500);
	old_mails($d, 'long', 4000, 7);
	is($d->ask(sasl_username => 'bob'), 'dunno',
	    'mails older than the window do not count');
	is($d->ask(sasl_username => 'bob'), 'reject full', 'new mails count');
	my $inode = (stat $d->endpoint)[1];
	my ($status, $out, $err) = $d->run('--clean');
	is($status, 0, '--clean') or diag($err);
	is($out, "500 records deleted\n", '--clean deletes the rows that no window needs');
	is($d->recorded('bob'), 3, 'all newer rows remain');
	is($d->recorded('long'), 7, 'rows within the longest window of limits_by_id remain');
	is($d->ask(sasl_username => 'bob'), 'reject full', 'the count is unchanged');
	is((stat $d->endpoint)[1], $inode, 'the socket is unchanged');
	($status, $out) = $d->run('--clean');
	is($out, "0 records deleted\n", 'a second --clean deletes nothing');
	$d->ends_well;
};

# Rows are kept for two days without limits: limits may be added later or come from SQL.
subtest 'clean-without-windows' => sub {
	my $d = Policyd->start(config => { limits => [] });

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a mail without limits') for 1 .. 3;
	old_mails($d, 'bob', 80_000, 5);
	old_mails($d, 'bob', 200_000, 7);
	my ($status, $out) = $d->run('--clean');
	is($out, "7 records deleted\n", 'rows older than two days are deleted');
	is($d->recorded('bob'), 8, 'all newer rows remain');
	$d->ends_well;
};

# Cron mails the output: a failed write is reported by the exit status.
subtest 'clean-told-to-nobody' => sub {
	plan(skip_all => 'no /dev/full') if !-c '/dev/full';
	my $d = Policyd->start(config => { limits => [[10, 60]] });

	$d->ask(sasl_username => 'bob');
	$d->sql('UPDATE mail_count SET date = date - 1000000');
	my $command = join ' ', map { "'$_'" } $d->command('--clean');
	my ($status, undef, $err) = $d->run_command('/bin/sh', '-c', "$command >/dev/full");
	is($status, 8, '--clean exits with status 8 when stdout cannot be written');
	like($err, qr/standard output: ./, 'the message names standard output');
	is($d->recorded('bob'), 0, 'the rows were deleted all the same');
	$d->ends_well;
};

subtest 'clean-shows-progress' => sub {
	plan(skip_all => 'no script(1) that gives a terminal')
	    if $^O ne 'linux' || !have_command('script');
	my $d = Policyd->new(config => { db_timeout => 60 });
	my ($status, $out) = $d->run('--clean');
	is($out, "0 records deleted\n", 'a short run prints only the number of deleted rows');

	# Cleaning waits until another process releases its lock.
	open my $lock, '|-', 'sqlite3', '-batch', $d->database or die "sqlite3: $!";
	$lock->autoflush(1);
	print $lock "BEGIN IMMEDIATE;\n.system touch $d->{dir}/locked\n";
	ok(wait_until { -e "$d->{dir}/locked" }, 'the database is locked') or return;
	my $command = join ' ', map { "'$_'" } $d->command('--clean');
	my $pid = $d->spawn("$d->{dir}/tty", "$d->{dir}/tty", 'script', '-qec',
	    "$command 2>/dev/null", '/dev/null');
	ok(wait_until { slurp("$d->{dir}/tty") =~ /^0 records deleted \.\.\.\r/m },
	    'progress is shown on a terminal') or diag(slurp("$d->{dir}/tty"));
	print $lock "ROLLBACK;\n";
	close $lock;
	is(Policyd::reap($pid), 0, '--clean ends once the lock is released');
	like(slurp("$d->{dir}/tty"), qr/\r0 records deleted +\r?\n/,
	    'the result overwrites the progress line');
};

subtest 'clean-interval' => sub {
	my $d = Policyd->start(config => { limits => [[1_000_000, 60]],
	    clean_interval => 1 });
	my $client = $d->connect;
	my $ledger = $d->child('ledger-sqlite');

	is($client->ask(sasl_username => 'bob'), 'dunno', 'asked');
	old_mails($d, 'old', 20_000, 20_000);
	my ($asked, $slowest) = (1, 0);
	ok(wait_until {
		my $begin = time;
		$client->ask(sasl_username => 'bob') eq 'dunno' or die 'not answered';
		$asked++;
		my $took = time - $begin;
		$slowest = $took if $took > $slowest;
		return $d->recorded('old') == 0;
	}, 'the daemon cleans after clean_interval');
	ok($d->wait_log(qr/records deleted/), 'the number of deleted rows is logged');
	cmp_ok($slowest, '<', 10, "no request waits for cleaning ($slowest s, $asked mails)");
	is($d->recorded('bob'), $asked, 'every mail is counted');
	is($d->children->{'ledger-sqlite'} ? 1 : 0, 1, 'the serving ledger is running');
	ok(Policyd::process_alive($ledger), 'the serving ledger was not restarted');
	$d->ends_well;
};

done_testing();
