#!/usr/bin/perl
# The database file in trouble, under load: locked by another process, made read-only,
# on a full file system, deleted underneath, replaced by garbage, on a slow disk. What
# must hold: every request is answered within db_timeout and a margin, the cause is
# logged, what was accepted is counted once, and the daemon recovers by itself.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use Policyd qw(wait_until as_root slurp spew True);
use Fault qw(fault_daemon full lock_database);

my $mounted;		# a directory, while it is
my $owner = $$;

END {
	my $status = $?;
	system("umount -l $mounted") if $mounted && $$ == $owner;
	$? = $status;
}

my $late = 10;		# seconds; db_timeout and a busy machine

# Somebody asks and has db_error_action, and not late.
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
	is($answer, 'defer database', "$name: db_error_action answers");
	cmp_ok($longest, '<', $late, 'in time');
}

sub recovered {
	my ($d, $work) = @_;

	ok($work->wait_more(10), 'it recovers by itself') or
	    diag(grep { !/: (?:unanswered|accepted):/ } split /^/, $d->log);
	ok($d->wait_log(qr/verdicts again/), 'and says so');
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
		is(scalar(() = $d->log_since($mark) =~ /gives no verdict/g), 1,
		    'that is logged once');
		ok($d->wait_log(qr/ledger.*locked/, $mark), 'and why') if full;
		$unlock->();
		recovered($d, $work);
	}
	$work->check;
	$d->ends_well;
};

subtest 'read-only' => sub {
	plan(skip_all => 'with FAULT=full, as root') if !full || !as_root();
	my $d = fault_daemon(config => { debug => True, db_timeout => 0.3 })->start;
	my $work = Fault::Work->start($d);

	# The children are nobody, whose files become root's.
	ok($work->wait_more(20), 'mails are counted');
	my @files = glob $d->database . '*';
	my ($uid, $gid) = (stat $d->database)[4, 5];
	chown 0, 0, @files, "$d->{dir}/db";
	chmod 0444, @files;
	chmod 0555, "$d->{dir}/db";
	# What is open stays so; a new process is told.
	kill 'KILL', $d->child('ledger-sqlite');
	without_verdict($d, 'read-only');
	ok($d->wait_log(qr/ledger.*(?:read-?only|denied|unable to open)/i),
	    'the log tells why');
	chmod 0600, @files;
	chmod 0700, "$d->{dir}/db";
	chown $uid, $gid, @files, "$d->{dir}/db";
	recovered($d, $work);
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
			# What was free in the files themselves is used up in time.
			without_verdict($d, 'full');
			ok($d->wait_log(qr/ledger.*(?:full|no space)/i, $mark),
			    'the log tells why');
			unlink "$db/ballast";
			recovered($d, $work);
		}
		$work->check;
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
	# It must not go on for ever in a file that nobody can see.
	my $n = 0;
	ok(wait_until {
		$d->ask(sasl_username => 'seen' . ++$n) eq 'dunno' &&
		    -s $d->database && eval { $d->recorded("seen$n") }
	}, 'a new one is made, and counts go there');
	ok($work->wait_more(50), 'and it goes on');
	$work->finish;
	ok(!$work->{faults}, 'every mail had its verdict');
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
	ok($d->wait_log(qr/ledger.*not a database/, $mark), 'the log tells why');
	is(slurp($d->database), $garbage, 'nobody writes over what is not ours');
	unlink $d->database;
	recovered($d, $work);
	$work->finish;
	ok(!$work->{faults}, 'every mail had its verdict');
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
	ok($work->wait_more(20), 'a sync of 20 ms is borne');
	$d->{shim}{'ledger-sqlite'}->set(pause => 800_000);
	without_verdict($d, 'a sync of 0.8 s');
	$d->{shim}{'ledger-sqlite'}->set(pause => 0);
	recovered($d, $work);
	$work->check;
	$d->ends_well;
};

done_testing();
