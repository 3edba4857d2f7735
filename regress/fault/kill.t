#!/usr/bin/perl
# kill -9 of each process at random moments under load. What must hold: every client
# finally gets an answer, each accepted mail is counted exactly once, and of a limit of N
# exactly N mails are accepted.

use strict;
use warnings;

use Test::More;

use Chance qw(draw mixed one_of);
use Policyd qw(wait_until process_alive);
use Fault qw(fault_daemon full pause checkpointer);

my $lives = full ? 30 : 4;	# eight kills in each

# The process to kill may still be starting; its successor has another pid.
sub kill_child {
	my ($d, $name, $killed) = @_;
	my $pid = $d->child($name, $killed->{$name});

	return 0 if !$pid;
	$killed->{$name} = $pid;
	return kill 'KILL', $pid;
}

# A ledger's helper belongs to that ledger; the next ledger has another one.
sub kill_checkpointer {
	my ($d) = @_;

	# The previous ledger's helper may still be exiting.
	return wait_until { my $pid = checkpointer($d); $pid && kill 'KILL', $pid } || 0;
}

sub kill_parent {
	my ($d) = @_;
	my @below = values %{$d->children};

	$d->signal('KILL');
	is($d->wait_end, 'signal 9', 'the parent was killed');
	ok(wait_until { !grep { process_alive($_) } @below }, 'its children exit too');
	$d->start;
}

sub one_life {
	my ($d, $work) = @_;
	my @names = mixed(('engine') x 3, ('ledger-sqlite') x 3, 'checkpointer');
	my ($killed, $n) = ({}, 0);

	for my $name (@names) {
		$work->wait_more(1 + draw(30)) or return 0;
		pause(0.02);
		$n += $name eq 'checkpointer' ? kill_checkpointer($d) : kill_child($d, $name, $killed);
	}
	$work->wait_more(1 + draw(30)) or return 0;
	pause(0.02);
	return $n;
}

subtest 'kill-9-under-load' => sub {
	my $d = fault_daemon()->start;
	my $work = Fault::Work->start($d, user => sub { 'user' . $_[1] % 7 });

	for my $life (1 .. $lives) {
		is(one_life($d, $work), 7,
		    "life $life: seven processes were killed and replaced");
		kill_parent($d);
	}
	ok($work->wait_more(50), 'mails are decided');
	$work->check;
	cmp_ok($work->total('dunno'), '>', 50 * $lives, 'mails were decided under load');
	$d->ends_well;
};

subtest 'kill-9-at-the-limit' => sub {
	my $limit = full ? 4000 : 800;
	my $d = fault_daemon(config => { limits => [[2 * $limit, 3600]] })->start;
	my $work = Fault::Work->start($d, user => sub { 'user' }, until_full => 1);
	my $killed = {};

	for (1 .. 6) {
		last if !$work->wait_more($limit / 8);
		kill_child($d, one_of('engine', 'ledger-sqlite'), $killed);
	}
	ok($work->wait_done, 'the clients reach the limit');
	$work->finish;
	ok(!$work->{faults}, 'every mail got a verdict');
	is($work->total('dunno'), $limit, "for a limit of $limit exactly $limit are accepted");
	is($work->total('reject'), 4, 'all requests beyond the limit are refused');
	$work->check_sums;
	$d->ends_well;
};

done_testing();
