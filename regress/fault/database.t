#!/usr/bin/perl
# The database file in trouble, under load: locked by another process, made read-only,
# on a full file system, deleted underneath, replaced by garbage, on a slow disk. What
# must hold: every request is answered within db_timeout and a margin, the cause is
# logged, what was accepted is counted once, and the daemon recovers by itself.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use Chance qw(draw);
use Policyd qw(freeze wait_until as_root process_alive slurp spew status_of True);
use Fault qw(fault_daemon full checkpointer lock_database);

my $mounted;		# a directory, while it is
my $owner = $$;

END {
	my $status = $?;
	system("umount -l $mounted") if $mounted && $$ == $owner;
	$? = $status;
}

my $late = 10;		# seconds; db_timeout and a busy machine

# Requests get db_error_action, within the time allowed.
sub without_verdict {
	my ($d, $name) = @_;
	my $end = time + $Policyd::patience;
	my ($answer, $took, $longest) = ('', 0, 0);

	until ($answer =~ /\Adefer/ || time > $end) {
		my $begin = time;
		$answer = $d->ask(sasl_username => 'other') // 'none';
		$took = time - $begin;
		$longest = $took if $took > $longest;
	}
	is($answer, 'defer database', "$name: a request gets db_error_action");
	cmp_ok($longest, '<', $late, '$name: the answer comes in time');
}

sub recovered {
	my ($d, $work, $mark) = @_;

	ok($work->wait_more(10), 'it recovers by itself') or
	    diag(grep { !/: (?:unanswered|accepted):/ } split /^/, $d->log);
	ok($d->wait_log(qr/verdicts again/, $mark),
	    'the log says that there are verdicts again');
}

# The log has two lines about the fault since $mark: its begin and its end.
sub told_once {
	my ($d, $mark, $why) = @_;

	$d->wait_log(qr/ledger: .* works again/, $mark);
	my $log = $d->log_since($mark);
	my @notable = grep { !/: (?:unanswered|accepted):/ } split /^/, $log;
	is(scalar(() = $log =~ /ledger: .*$why/gi), 1, 'the ledger tells why, once') or
	    diag(@notable);
	is(scalar(() = $log =~ /ledger: .* works again/g), 1, 'and the end of it, once') or
	    diag(@notable);
}

subtest 'locked-by-another' => sub {
	my $d = fault_daemon(config => { debug => True, db_timeout => 0.3 })->start;
	my $work = Fault::Work->start($d);

	for my $round (1 .. (full ? 10 : 2)) {
		ok($work->wait_more(20), "round $round: mails are counted");
		my $mark = $d->log_mark;
		my $unlock = lock_database($d);
		ok($unlock, 'another process locks the database');
		without_verdict($d, 'locked');
		ok($d->wait_log(qr/ledger.*locked/, $mark), 'the log has the cause');
		# A busy machine may have missed some before.
		my $log = $d->log_since($mark);
		is((() = $log =~ /gives no verdict/g) - (() = $log =~ /verdicts again/g), 1,
		    'the missing verdicts are logged once');
		$unlock->();
		recovered($d, $work, $mark);
		told_once($d, $mark, 'locked');
	}
	$work->check;
	$d->ends_well;
};

# One request at a time: between two requests the database has no pending work.
subtest 'locked-with-few-requests' => sub {
	my $d = fault_daemon(config => { debug => True })->start;
	my $ask = sub { $d->ask(sasl_username => 'bob') // 'none' };

	ok(wait_until { $ask->() eq 'dunno' }, 'a request is answered');
	my $mark = $d->log_mark;
	my $unlock = lock_database($d);
	ok($unlock, 'another process locks the database');
	ok(wait_until {
		$ask->() eq 'defer database' && $d->log_since($mark) =~ /ledger: .*locked/
	}, 'the log has the cause of the missing verdicts');
	$unlock->();
	ok(wait_until { $ask->() eq 'dunno' && $d->log_since($mark) =~ /verdicts again/ },
	    'requests get verdicts again');
	told_once($d, $mark, 'locked');
	$d->ends_well;
};

subtest 'read-only' => sub {
	plan(skip_all => 'only as root') if !as_root();
	my $d = fault_daemon(config => { debug => True, db_timeout => 0.3 })->start;
	my $work = Fault::Work->start($d);

	# The children run as nobody; their files are given to root.
	ok($work->wait_more(20), 'mails are counted');
	my @files = glob $d->database . '*';
	my ($uid, $gid) = (stat $d->database)[4, 5];
	chown 0, 0, @files, "$d->{dir}/db";
	chmod 0444, @files;
	chmod 0555, "$d->{dir}/db";
	# Open files remain writable; a new process gets EACCES.
	my $mark = $d->log_mark;
	kill 'KILL', $d->child('ledger-sqlite');
	without_verdict($d, 'read-only');
	ok($d->wait_log(qr/ledger.*(?:read-?only|denied|unable to open)/i),
	    'the log has the cause');
	# Make the change atomic: no process can enter the directory meanwhile.
	chmod 0000, "$d->{dir}/db";
	chown $uid, $gid, @files, "$d->{dir}/db";
	chmod 0600, @files;
	chmod 0700, "$d->{dir}/db";
	recovered($d, $work, $mark);
	told_once($d, $mark, '(?:read-?only|denied|unable to open)');
	$work->check;
	$d->ends_well;
};

subtest 'full-file-system' => sub {
	my $d = fault_daemon(config => { debug => True, db_timeout => 0.5 });
	my $db = "$d->{dir}/db";

	mkdir $db, 0777;
	chmod 0777, $db;
	plan(skip_all => 'no tmpfs may be mounted') if !as_root() ||
	    system("mount -t tmpfs -o size=64m,mode=0777 none $db 2>/dev/null") != 0;
	$mounted = $db;
	my $ok = eval {
		$d->start;
		my $work = Fault::Work->start($d);
		ok($work->wait_more(20), 'mails are counted');
		for my $round (1 .. (full ? 5 : 1)) {
			my $mark = $d->log_mark;
			open my $fh, '>', "$db/ballast" or die "ballast: $!";
			1 while syswrite $fh, 'x' x 4096;
			close $fh;
			# Wait until the free pages in the files are used up.
			without_verdict($d, 'full');
			ok($d->wait_log(qr/ledger.*(?:full|no space)/i, $mark),
			    'the log has the cause');
			unlink "$db/ballast";
			recovered($d, $work, $mark);
		}
		my $log = $d->database . '-wal';
		# Under constant load the log is not restarted for a long time.
		wait_until { -s $log > 8_000_000 } 10;
		$work->check;
		ok(wait_until { -s $log <= 4_200_000 },
		    'when nobody asks, the space of its log is given back') or
		    diag(-s $log);
		$d->ends_well;
		1;
	};
	fail("died: $@") if !$ok;
	$d->stop;
	system("umount $db") == 0 and undef $mounted;
};

subtest 'deleted-underneath' => sub {
	my $d = fault_daemon(config => { debug => True })->start;
	my $work = Fault::Work->start($d, user => sub { "user$_[0]-" . int($_[1] / 100) });

	ok($work->wait_more(50), 'mails are counted');
	unlink map { $d->database . $_ } '-wal', '-shm', '';
	# The ledger must not keep writing to the deleted file.
	my $n = 0;
	ok(wait_until {
		$d->ask(sasl_username => 'seen' . ++$n) eq 'dunno' &&
		    -s $d->database && eval { $d->recorded("seen$n") }
	}, 'a new database is created and counts are written to it');
	ok($work->wait_more(50), 'requests are decided');
	$work->finish;
	ok(!$work->{faults}, 'every mail got a verdict');
	$d->ends_well;
};

# Only the write-ahead log is removed: its counts must not be lost.
for my $way (['removed', sub { unlink $_[0] }],
    ['replaced', sub { spew("$_[0].new", 'no log at all ' x 5000, 0666);
	rename "$_[0].new", $_[0] }],
    ['removed-with-its-index', sub { unlink $_[0], $_[0] =~ s/wal\z/shm/r }]) {
	subtest "log-$way->[0]" => sub {
		my $d = fault_daemon(config => { debug => True })->start;
		my $work = Fault::Work->start($d);

		for my $round (1 .. (full ? 10 : 2)) {
			ok($work->wait_more(50), "round $round: mails are counted");
			my $mark = $d->log_mark;
			$way->[1]->($d->database . '-wal') or die "wal: $!";
			ok($d->wait_log(qr/log is missing or another/, $mark),
			    'the ledger notices');
			ok($work->wait_more(50), 'requests are decided');
			my ($check) = $d->sql('PRAGMA integrity_check');
			is($check->[0], 'ok', 'the database passes integrity_check');
		}
		$work->check;
		$d->ends_well;
	};
}

# As an administrator does who restores a backup while the daemon runs.
subtest 'replaced-by-a-backup' => sub {
	my $d = fault_daemon(config => { debug => True, db_timeout => 10 })->start;
	my $backup = $d->database . '.backup';

	$d->ask(sasl_username => 'before') for 1 .. 3;
	$d->sql(".backup $backup");
	chmod 0666, $backup;
	$d->ask(sasl_username => 'after') for 1 .. 3;
	my $mark = $d->log_mark;
	rename $backup, $d->database or die "rename: $!";
	my $n = 0;
	ok(wait_until {
		$n++;
		$d->ask(sasl_username => 'before');
		$d->log_since($mark) =~ /database is another file/
	}, 'the ledger notices');
	is($d->ask(sasl_username => 'before'), 'dunno', 'requests are decided');
	my ($check) = $d->sql('PRAGMA integrity_check');
	is($check->[0], 'ok', 'the database passes integrity_check');
	is($d->recorded('after'), 0, 'the database is the backup');
	cmp_ok($d->recorded('before'), '>=', 4, 'new counts are recorded in it');
	$d->ends_well;
};

subtest 'replaced-by-garbage' => sub {
	my $d = fault_daemon(config => { debug => True, db_timeout => 0.5 })->start;
	my $work = Fault::Work->start($d, user => sub { "user$_[0]-" . int($_[1] / 100) });
	my $garbage = 'no database at all ' x 5000;

	ok($work->wait_more(50), 'mails are counted');
	my $mark = $d->log_mark;
	unlink $d->database . '-wal', $d->database . '-shm';
	spew($d->database . '.new', $garbage, 0666);
	rename $d->database . '.new', $d->database or die "rename: $!";
	without_verdict($d, 'garbage');
	ok($d->wait_log(qr/ledger.*not a database/, $mark), 'the log has the cause');
	is(slurp($d->database), $garbage, 'a file of another kind is not overwritten');
	unlink $d->database;
	recovered($d, $work, $mark);
	$work->finish;
	ok(!$work->{faults}, 'every mail got a verdict');
	$d->ends_well;
};

# The pages of the database are overwritten.
subtest 'damaged' => sub {
	my $d = fault_daemon(config => { debug => True, db_timeout => 0.5 })->start;
	my $work = Fault::Work->start($d, user => sub { "user$_[0]-" . int($_[1] / 100) });

	ok($work->wait_more(200), 'mails are counted');
	my $mark = $d->log_mark;
	my @open = ($d->child('ledger-sqlite'), wait_until { checkpointer($d) });
	# No process may have it open: its pages would be in the log or in memory too.
	freeze($d->{pid});
	wait_until { (status_of($d->pid)->{State} // 'T') =~ /\AT/ };
	kill 'KILL', @open;
	wait_until { !grep { process_alive($_) } @open };
	$d->sql('PRAGMA wal_checkpoint(TRUNCATE)');
	my $size = -s $d->database;
	open my $fh, '+<:raw', $d->database or die "open: $!";
	sysseek $fh, 4096, 0;
	syswrite $fh, join '', map { chr draw(256) } 4097 .. $size;
	close $fh;
	$d->signal('CONT');
	without_verdict($d, 'damaged');
	ok($d->wait_log(qr/ledger.*malformed/, $mark), 'the log has the cause');
	$d->ok_alive;
	unlink map { $d->database . $_ } '-wal', '-shm', '';
	recovered($d, $work, $mark);
	$work->finish;
	ok(!$work->{faults}, 'every mail got a verdict');
	$d->ends_well;
};

subtest 'slow-disk' => sub {
	my $d = fault_daemon(shim => ['ledger-sqlite'], config => { debug => True,
	    db_timeout => 0.3, sqlite_config => { database => \'DEFAULT' } });
	$d->write_config({ sqlite_config => { database => $d->database,
	    synchronous => 'full' } });
	$d->start;
	my $work = Fault::Work->start($d, patience => 100);

	ok($work->wait_more(20), 'mails are counted');
	$d->{shim}{'ledger-sqlite'}->set(pause => 20_000);
	ok($work->wait_more(20), 'mails are counted with a sync of 20 ms');
	my $mark = $d->log_mark;
	$d->{shim}{'ledger-sqlite'}->set(pause => 800_000);
	without_verdict($d, 'a sync of 0.8 s');
	$d->{shim}{'ledger-sqlite'}->set(pause => 0);
	recovered($d, $work, $mark);
	$work->check;
	$d->ends_well;
};

done_testing();
