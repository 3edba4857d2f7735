#!/usr/bin/perl
# Faults around a daemon under load: the log is not read, descriptors run out, the clock
# is set, SIGHUP arrives all the time. What must hold: every request gets a verdict, each
# accepted mail is counted once, and no limit is exceeded.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time sleep);

use Ctl qw(ctl);
use Policyd qw(freeze wait_until have_command process_alive status_of True);
use Fault qw(fault_daemon full checkpointer);
use Smtpd;

subtest 'log-not-read' => sub {
	my $d = fault_daemon(config => { debug => True });

	pipe(my $from, my $to) or die "pipe: $!";
	$d->{prepare} = sub { open STDERR, '>&', $to; close $from; };
	$d->start;
	close $to;
	# Nothing reads $from: with some 150 bytes for each mail the pipe is full after 500 mails.
	my $work = Fault::Work->start($d, recipients => 1);
	ok($work->wait_more((full) ? 20_000 : 3000),
	    'mails are decided while the log pipe is full');
	$d->signal('HUP');
	my $engine = $d->child('engine');
	kill 'KILL', $engine;
	ok($d->child('engine', $engine), 'the parent starts a new engine');
	ok($work->wait_more(100), 'the new engine decides mails');
	$work->check;
	my $text = '';
	$from->blocking(0);
	ok(wait_until {
		sysread $from, $text, 65536, length $text;
		$d->ask(sasl_username => 'other');
		return $text =~ /\d+ lines could not be logged/;
	},
	    'once the log is read again, it says how many lines are missing') or
	    diag(substr $text, -2000);
	unlike($text, qr/^(?!\d{4}-\d\d-\d\dT).+$/m, 'the log has whole lines only');
	$d->ends_well;

	# The reader of the log has closed the pipe.
	$d = fault_daemon(config => { debug => True, db_timeout => 10 });
	pipe($from, $to) or die "pipe: $!";
	$d->{prepare} = sub { open STDERR, '>&', $to; close $from; };
	$d->start;
	close $_ for $from, $to;
	is($d->ask(sasl_username => 'bob'), 'dunno',
	    'a request is answered although the log has no reader');
	$d->ends_well;
};

subtest 'descriptors-exhausted' => sub {
	my $d = fault_daemon(config => { debug => True }, limits => { n => 96 })->start;
	my @others = grep { $_ } map { $d->connect_quietly } 1 .. 300;
	my $work = Fault::Work->start($d);

	ok($work->wait_more(100), 'mails are decided with more clients than descriptors');
	for (1 .. (full ? 50 : 5)) {
		push @others, grep { $_ } map { $d->connect_quietly } 1 .. 50;
		$_->send('request=smtpd_access_policy') for @others[-20 .. -1];
		ok($work->wait_more(10), 'mails are decided with even more clients');
	}
	$work->check;
	ok(wait_until { ($d->ask(sasl_username => 'bob') // '') eq 'dunno' },
	    'new clients are served');
	$_->close for @others;
	$d->ends_well;
};

# Sets a soft limit, as the process could do itself.
sub limit_memory {
	my ($pid, $bytes) = @_;
	my ($uid, $gid) = map { (split)[0] } @{status_of($pid)}{qw(Uid Gid)};

	defined(my $child = fork) or die "fork: $!";
	if (!$child) {
		POSIX::setgid($gid);
		POSIX::setuid($uid);
		{ no warnings 'exec'; exec('prlimit', '--pid', $pid, "--as=$bytes:"); }
		POSIX::_exit(127);
	}
	waitpid $child, 0;
	return $? == 0;
}

# No process may allocate another page.
subtest 'memory-exhausted' => sub {
	plan(skip_all => 'no prlimit') if !have_command('prlimit');
	my $d = fault_daemon(config => { debug => True })->start;
	my $work = Fault::Work->start($d, user => sub { "user$_[0]-$_[1]" });

	for my $round (1 .. (full ? 6 : 1)) {
		for my $name ('ledger-sqlite', 'engine', 'policyd-rate-lim') {
			my $pid = $name =~ /\Apolicyd/ ? $d->pid : $d->child($name);
			ok($work->wait_more(20), 'mails are decided');
			my ($kb) = status_of($pid)->{VmSize} =~ /(\d+)/ or next;
			ok(limit_memory($pid, $kb * 1024),
			    "round $round: $name cannot allocate memory");
			my @others = grep { $_ } map { $d->connect_quietly } 1 .. 200;
			ok($work->wait_more(2000), 'mails are decided all the same');
			next if $pid == $d->pid;
			# The restarted process has no such limit.
			kill 'KILL', $pid;
			ok($d->child($name, $pid), 'a new process is started');
		}
		# Children would inherit the parent's limit.
		ok(limit_memory($d->pid, 'unlimited'), 'the parent can allocate memory again');
	}
	note(scalar(() = $d->log =~ /out of memory/g), ' times there was none left');
	$work->check;
	$d->ends_well;
};

# A process is stopped for a while.
subtest 'frozen' => sub {
	my $d = fault_daemon(config => { debug => True, db_timeout => 0.3 })->start;
	my $work = Fault::Work->start($d);
	my $freeze = sub {
		my ($pid, $meanwhile) = @_;
		ok($work->wait_more(20), 'mails are decided');
		my $mark = $d->log_mark;
		freeze($pid);
		$meanwhile->();
		kill 'CONT', $pid;
		ok($work->wait_more(20), 'requests are decided again');
		return $mark;
	};

	for (1 .. (full ? 10 : 2)) {
		my $mark = $freeze->($d->child('ledger-sqlite'), sub {
			ok(wait_until { ($d->ask(sasl_username => 'other') // '') eq
			    'defer database' }, 'the ledger is stopped: db_error_action');
		});
		ok($d->wait_log(qr/verdicts again/, $mark),
		    'the log says that verdicts are given again');
		$freeze->(wait_until { checkpointer($d) }, sub {
			ok($work->wait_more(500),
			    "the ledger's helper is stopped: mails are decided");
		});
		$freeze->($d->pid, sub {
			ok($work->wait_more(50), 'the parent is stopped: mails are decided');
		});
		$freeze->($d->child('engine'), sub {
			ok(!$d->connect->ask_bytes("request=smtpd_access_policy\n\n", 0.5),
			    'no answer while the engine is stopped');
		});
	}
	$work->check;
	$d->ends_well;
};

# Sets the clocks of the ledger and the engine.
sub set_clock {
	my ($d, $ahead) = @_;

	$d->{shim}{$_}->set(clock => $ahead) for 'engine', 'ledger-sqlite';
}

subtest 'clock-set' => sub {
	my $d = fault_daemon(shim => ['engine', 'ledger-sqlite'],
	    config => { db_timeout => 10, limits => [[20, 60], [1_000_000, 86400]] })->start;
	my $ask = sub {
		my ($user, $most) = @_;
		my $n = 0;
		$n++ while $n < $most && ($d->ask(sasl_username => $user) // '') eq 'dunno';
		return $n;
	};

	is($ask->('bob', 30), 20, '20 mails in a minute are accepted');
	set_clock($d, -3600);
	my $n = $ask->('bob', 30);
	cmp_ok($n, '<=', 20,
	    "the clock is set back by an hour: at most $n more mails are accepted");
	is($ask->('bob', 30), 0, 'no mail beyond the limit is accepted');
	is($ask->('eve', 30), 20, 'another login gets its 20 mails');
	set_clock($d, 7200);
	is($ask->('eve', 30), 20, 'two hours later the window is empty');
	set_clock($d, 0);
	$n = $ask->('eve', 30);
	cmp_ok($n, '<=', 20, "the clock is right again: at most $n mails are accepted");
	is($d->recorded('eve'), 40 + $n, 'every accepted mail is recorded');

	# The clock jumps under load; the window of a day covers all jumps.
	my $work = Fault::Work->start($d, user => sub { "user$_[0]-$_[1]" });
	for my $ahead (map { (-$_, $_) } 1, 59, 61, 3600, 80_000) {
		set_clock($d, $ahead);
		ok($work->wait_more(10), "$ahead s ahead");
	}
	set_clock($d, 0);
	$work->check;
	# A block that ended by a clock that was ahead applies again at once.
	my @of = (sasl_username => 'kim', protocol_state => 'VRFY');
	is((ctl($d, 'block', 'kim', 600))[0], 0, 'a block');
	set_clock($d, 3600);
	unlike((ctl($d, 'list'))[1], qr/kim/, 'an hour later the block has ended');
	is($d->ask(@of), 'dunno', 'the engine does not apply it');
	set_clock($d, 0);
	like($d->ask(@of), qr/\Areject .* blocked/,
	    'with the clock set back the block applies at each stage');
	set_clock($d, 3600);
	ctl($d, 'list');
	set_clock($d, 0);
	like($d->ask(sasl_username => 'kim'), qr/\Areject .* blocked/,
	    'the ledger applies the block');
	# Deadlines use the monotonic clock.
	set_clock($d, 400 * 86400);
	is($d->ask(sasl_username => 'zoe'), 'dunno',
	    'a request is answered with the clock a year ahead');
	$d->ends_well;
};

# The report waits up to ten minutes for the server's reply to the end of the mail.
subtest 'server-thinks-long' => sub {
	my $s = Smtpd->start(hold => 'BODY');
	my $d = fault_daemon(shim => ['parent'], config => { debug => True, db_timeout => 10,
	    limits => [[2, 86400]], report => True, report_immediately => True,
	    report_to => 'postmaster@example.org',
	    smtp_server => ['127.0.0.1', $s->port] })->start;
	# Proves that the parent has run its loop since then.
	my $turn = sub {
		my $engine = $d->child('engine');
		kill 'KILL', $engine;
		ok($d->child('engine', $engine), 'the parent has started a new engine');
	};
	my $hit = sub { $d->ask(sasl_username => 'bob', recipient_count => 3) };

	is($hit->(), 'reject full', 'a hit');
	ok($s->holds, 'the server has the mail and does not reply');
	$d->{shim}{parent}->set(mono => 11 * 60);
	$turn->();
	$s->release;
	ok($d->wait_log(qr/the report was sent/),
	    'the server accepts the mail after eleven minutes');
	unlike($d->log, qr/given up/, 'the parent has not killed the report');
	$d->ends_well;

	$s = Smtpd->start(hold => 'BODY');
	$d->{shim}{parent}->set(mono => 0);
	$d->write_config({ smtp_server => ['127.0.0.1', $s->port] });
	$d->start;
	$hit->();
	ok($s->holds, 'the server has a second mail and does not reply');
	my $mark = $d->log_mark;
	$d->{shim}{parent}->set(mono => 2 * 3600);
	$turn->();
	ok($d->wait_log(qr/given up/, $mark), 'the parent kills the report after two hours');
	ok($d->wait_log(qr/tried again in/, $mark), 'the report will be tried again');
	$d->ends_well;
};

subtest 'sighup-every-10-ms' => sub {
	my $d = fault_daemon(config => { debug => True })->start;
	my @before = @{$d->children}{qw(engine ledger-sqlite)};
	my $work = Fault::Work->start($d);
	my $client = $d->connect;
	my $end = time + (full ? 30 : 3);

	while (time < $end) {
		$d->signal('HUP');
		sleep 0.01;
	}
	ok($work->wait_more(100), 'mails are decided');
	is_deeply([@{$d->children}{qw(engine ledger-sqlite)}], \@before,
	    'no process was restarted');
	like($client->ask(sasl_username => 'bob'), qr/\A(?:dunno|defer database)\z/,
	    'an old connection is still open');
	$work->check;
	# The last reload determines the configuration.
	$d->write_config({ limits => [[1, 3600]] });
	$d->signal('HUP');
	ok(wait_until { ($d->ask(sasl_username => 'eve') // '') eq 'reject full' },
	    'the last configuration is in force');
	$d->ends_well;
};

done_testing();
