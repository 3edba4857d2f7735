#!/usr/bin/perl
# The programs that calls.t leaves out, the parent, the report and policyctl: each
# C library call that can fail fails once, or memory runs out once. What must hold: the
# program does its work all the same, or exits with a message and leaves nothing that
# prevents the next start; no unmailed hit is lost. Linux with glibc only (shim.c).

use strict;
use warnings;

use Errno qw(EAGAIN EINTR EIO EMFILE ENOMEM);
use Test::More;

use Chance qw(draw one_of);
use Policyd qw(wait_until process_alive True $root);
use Fault qw(fault_daemon full pause);
use Smtpd;

my @errors = (EIO, EMFILE, ENOMEM, EAGAIN, EINTR);

# Call numbers from 1 to about `last`: some of them, or with FAULT=full all.
sub numbers {
	my ($last, $some) = @_;

	return full ? 1 .. $last : map { 1 + draw($last) } 1 .. $some;
}

sub error_of {
	my ($what) = @_;

	return $what eq 'malloc' ? ENOMEM : one_of(@errors);
}

sub name_of {
	my ($shim, $n, $error) = @_;

	my $call = $shim->failed ? $shim->hit : 'nothing';
	local $! = $error;
	return "$call (call $n) fails: $!";
}

# True if no process of a daemon that ended is left.
sub nobody_left {
	my ($d, @pids) = @_;

	return wait_until { !grep { process_alive($_) } @pids };
}

# glibc itself fails when a name lookup runs out of memory.
sub glibcs_fault {
	my ($d, $mark) = @_;

	return $d->{status} eq 'signal 11' || $d->{status} eq 'signal 6' &&
	    $d->log_since($mark) =~ /: nss_\w+\.c:\d+: \w+: Assertion /;
}

subtest 'the parent starts' => sub {
	my $d = fault_daemon(shim => ['parent'], config => { debug => True, db_timeout => 10 });
	my $shim = $d->{shim}{parent};
	my %ended;

	for my $what ('*', 'malloc') {
		for my $n (numbers($what eq '*' ? 200 : 900, 12)) {
			my $error = error_of($what);
			my $mark = $d->log_mark;
			$shim->fail($what, errno => $error, after => $n);
			$d->launch;
			wait_until { $d->told(qr/^READY=1$/m) && $d->ready ||
			    !$d->running };
			my $name = name_of($shim, $n, $error);
			$shim->calm;
			if ($d->running) {
				is(eval { $d->ask(sasl_username => 'bob') }, 'dunno',
				    "$name: the daemon starts") or $d->explain;
				is($d->stop, 0, 'the daemon stops with status 0');
				next;
			}
			if ($what eq 'malloc' && glibcs_fault($d, $mark)) {
				$ended{glibc}++;
				next;
			}
			like($d->{status} // 'none', qr/\A[1-8]\z/, "$name: it does not start") or
			    $d->explain;
			isnt($d->log_since($mark), '', 'the reason is logged');
			$ended{$d->{status}}++;
		}
		$d->start;
		is($d->ask(sasl_username => 'bob'), 'dunno', 'the next start succeeds');
		is($d->stop, 0, 'the daemon stops with status 0');
	}
	note(join ', ', map { "status $_: $ended{$_}" } sort keys %ended);
	cmp_ok($ended{glibc} // 0, '<=', 2, "at most two failures are glibc's");
};

subtest 'an incomplete directory' => sub {
	plan skip_all => 'only root has privileges to drop' if $> != 0;
	for my $call (qw(fchown fchmod)) {
		for my $n (1, 2) {
			my $d = fault_daemon(shim => ['parent'], config => { db_timeout => 10 });
			my $shim = $d->{shim}{parent};
			$shim->fail($call, errno => EIO, after => $n);
			$d->launch;
			is($d->wait_end, 6,
			    "$call (call $n) fails: the daemon does not start");
			is($shim->failed, 1, 'the failed call is the reason');
			$shim->calm;
			$d->start;
			is($d->ask(sasl_username => 'bob'), 'dunno',
			    'the next start succeeds');
			is($d->stop, 0, 'the daemon stops with status 0');
		}
	}
	# Killed before chown(2) of the directory, and between chown(2) and chmod(2).
	for my $uid (0, (Policyd::nobody())[0]) {
		my $d = fault_daemon(config => { db_timeout => 10 });
		my $db = "$d->{dir}/db";
		mkdir $db or die "$db: $!";
		chown $uid, -1, $db;
		chmod 0400, $db;
		$d->start;
		is($d->ask(sasl_username => 'bob'), 'dunno',
		    'the daemon starts after the other was killed');
		is($d->stop, 0, 'the daemon stops with status 0');
	}
};

# One start is stopped while it creates a directory; another completes it meanwhile.
subtest 'two starts at once' => sub {
	my $d = fault_daemon(shim => ['parent']);
	my $other = Policyd->new(name => 'other', dir => $d->dir,
	    listen => [$d->endpoint], pidfile => $d->pidfile);
	my ($made) = $d->pidfile =~ m{\A(.*)/};

	$d->{shim}{parent}->set(pause => 1_000_000);
	$d->launch;
	ok(wait_until { -d $made }, 'a directory is made') or $d->explain;
	$other->launch;
	ok(wait_until { grep({ $_->running } $d, $other) == 1 &&
	    grep { $_->running && $_->told(qr/READY=1/) } $d, $other },
	    'one of the two daemons serves') or $other->explain;
	my ($first, $second) = $d->running ? ($d, $other) : ($other, $d);
	is($second->{status}, 3,
	    'the other one ends with status 3') or $second->explain;
	$first->ends_well;
};

# Work for the parent.
sub stir {
	my ($d, $n) = @_;

	$d->signal('HUP') if $n % 2;
	kill 'KILL', $d->children->{engine} // () if $n % 3 == 0;
	kill 'KILL', $d->children->{'ledger-sqlite'} // () if $n % 3 == 1;
}

subtest 'the parent serves' => sub {
	my ($d, $work);
	my $n = 0;

	for my $after (numbers(60, 12)) {
		if (!$d || $n++ % 4 == 0) {
			# Each restart of a dead child is delayed longer: start another daemon.
			if ($d) {
				$work->check;
				$d->ends_well;
			}
			$d = fault_daemon(shim => ['parent'], config => { debug => True })->start;
			$work = Fault::Work->start($d);
		}
		my $shim = $d->{shim}{parent};
		my $error = error_of('*');
		ok($work->wait_more(3), 'mails are decided');
		$shim->fail('*', errno => $error, after => $after);
		stir($d, $n);
		wait_until { $shim->failed } 0.5;
		my $name = name_of($shim, $after, $error);
		$shim->calm;
		ok($d->running, "$name: the parent is running") or last;
		ok($work->wait_more(10), 'mails are decided') or $d->explain;
	}
	$work->check;
	$d->ends_well;
};

subtest 'the parent without memory' => sub {
	for my $after (numbers(100, 3)) {
		my $d = fault_daemon(shim => ['parent'], config => { debug => True })->start;
		my $shim = $d->{shim}{parent};
		my $client = $d->connect;
		my @below = values %{$d->children};
		$shim->fail('malloc', errno => ENOMEM, after => $after);
		for (1 .. 20) {
			last if $shim->failed || !$d->running;
			push @below, values %{$d->children};
			stir($d, $_);
			pause(0.1);
		}
		wait_until { !$d->running } 2 if $shim->failed;
		$shim->calm;
		push @below, values %{$d->children} if $d->running;
		if ($d->running) {
			ok(wait_until { ($d->ask(sasl_username => 'bob') // '') eq 'dunno' },
			    "call $after: the daemon serves");
			is($d->stop, 0, 'the daemon stops with status 0');
		} else {
			is($d->{status}, 6, "call $after: the daemon exits with status 6");
			ok($d->wait_log(qr/out of memory|parent: /),
			    'the reason is logged');
		}
		ok(nobody_left($d, @below), 'all its children have exited');
		$d->start;
		ok(wait_until { ($d->ask(sasl_username => 'bob') // '') eq 'dunno' },
		    'the next daemon serves');
		is($d->stop, 0, 'the daemon stops with status 0');
	}
};

subtest 'the report' => sub {
	my $s = Smtpd->start;
	my $d = fault_daemon(shim => ['report'], config => { report => True,
	    report_to => 'postmaster@example.org', report_limits => [3600],
	    smtp_server => ['127.0.0.1', $s->port] });
	my $shim = $d->{shim}{report};
	my $hits = sub { ($d->sql('SELECT COALESCE(SUM(hit), 0) FROM limit_report'))[0][0] };
	my ($sent, $not) = (0, 0);

	$d->start;
	$d->stop;
	for my $what ('*', 'malloc') {
		for my $n (numbers($what eq '*' ? 120 : 1500, 8)) {
			my $error = error_of($what);
			my $mails = () = $s->mails;
			$d->sql('DELETE FROM limit_report');
			$d->sql("INSERT INTO limit_report (id, delta, hit) VALUES ('bob', 3600, $n)");
			$shim->fail($what, errno => $error, after => $n);
			my ($status, $out, $err) = $d->run('--clean');
			my $name = name_of($shim, $n, $error);
			$shim->calm;
			my @mails = $s->mails;
			if (($status // '') eq '0') {
				is(scalar @mails, $mails + 1, "$name: the report is sent");
				is($hits->(), 0, 'its hits are deleted');
				$sent++;
			} else {
				is($status, 8, "$name: --clean exits with status 8");
				isnt($err, '', "$name: --clean prints an error");
				is($hits->(), $n, 'its hits remain');
				$not++;
			}
		}
	}
	note("$sent reports were sent, $not were not");
};

subtest 'policyctl' => sub {
	my $d = fault_daemon->start;
	my $shim = Fault::Shim->new("$d->{dir}/ctl.fault");
	my ($good, $not) = (0, 0);

	for my $words (['status'], ['-j', 'show', 'bob'], ['metrics']) {
		for my $what ('*', 'malloc') {
			for my $n (numbers(40, 5)) {
				my $error = error_of($what);
				$shim->fail($what, errno => $error, after => $n);
				my ($status, $out, $err) = $d->run_command('/bin/sh', '-c',
				    $shim->before . 'exec "$@"', 'sh',
				    "$root/build/policyctl", '-s', $d->control, @$words);
				my $name = name_of($shim, $n, $error);
				$shim->calm;
				if (($status // '') eq '0') {
					isnt($out, '', "$name: policyctl @$words answers");
					$good++;
				} else {
					like($status // 'none', qr/\A[1-9]\z/,
					    "$name: policyctl @$words does not");
					isnt($err, '', 'the reason is printed');
					$not++;
				}
			}
		}
	}
	note("$good answers, $not none");
	$d->ends_well;
};

done_testing();
