#!/usr/bin/perl

# A compromised process changes the state of its shared descriptors and dies; its successor
# must serve as before. The descriptors are copied out of the process and changed from
# outside, since its filter forbids the calls.

use strict;
use warnings;

use Fcntl;
use POSIX ();
use Socket qw(SOL_SOCKET);
use Test::More;

use Ctl qw(ctl);
use Database;
use Policyd qw(freeze need wait_until process_alive as_root True);
use Smtpd;

local $SIG{IO} = 'IGNORE';

use constant { PIDFD_OPEN => 434, PIDFD_GETFD => 438, SO_ACCEPTCONN => 30 };

need($^O eq 'linux' && as_root(), 'root takes descriptors out of a process');

# A copy of the descriptor that shares the open file description.
sub taken {
	my ($pid, $number) = @_;
	my $pidfd = syscall(PIDFD_OPEN, $pid + 0, 0);
	my $fd = syscall(PIDFD_GETFD, $pidfd, $number + 0, 0);

	POSIX::close($pidfd);
	return undef if $fd == -1;
	open my $fh, '+<&=', $fd or die "descriptor $fd: $!";
	return $fh;
}

sub descriptors {
	my ($pid) = @_;

	return map { taken($pid, $_) // () }
	    map { m{/(\d+)\z} } grep { (readlink // '') =~ /\Asocket:|\A\// } glob "/proc/$pid/fd/*";
}

sub listens {
	my ($fh) = @_;
	my $on = getsockopt($fh, SOL_SOCKET, SO_ACCEPTCONN);

	return defined $on && unpack('i', $on) != 0;
}

sub spoil {
	my ($fh) = @_;

	fcntl($fh, F_SETOWN, $$);
	return fcntl($fh, F_SETFL, O_RDWR | O_ASYNC) // fcntl($fh, F_SETFL, O_RDWR);
}

# Spoils the state of a process's descriptors and kills the process.
sub take_over {
	my ($d, $name) = @_;
	my $pid = $d->child($name);
	my @all = descriptors($pid);

	cmp_ok(scalar @all, '>', 1, "$name: its descriptors are copied");
	# It is stopped and cannot repair anything, and its successor does not run yet.
	freeze($pid);
	spoil($_) for @all;
	kill 'KILL', $pid;
	return @all;
}

sub check {
	my ($d, $name) = @_;
	my $pid = $d->child($name);
	my @all = take_over($d, $name);

	ok($d->child($name, $pid), "$name: a successor is started");
	is(scalar(grep { /^dunno/ } map { $d->ask(sasl_username => "$name$_") // '' }
	    1 .. 10), 10, "$name: ten requests of ten are answered");
	for (grep { listens($_) } @all) {
		my $flags = fcntl($_, F_GETFL, 0);
		ok($flags & O_NONBLOCK && !($flags & O_ASYNC),
		    "$name: the successor set the flags of a listening socket");
	}
}

subtest 'SQLite' => sub {
	my $d = Policyd->start(config => { limits => [[20, 3600]] }, listen => ['unix', 'tcp']);

	check($d, $_) for qw(engine ledger-sqlite);
	$d->ends_well;
};

# Sends a message of an unknown type in the name of the process, on its channel to its peer: the first
# connected socket after the channel to the parent.
sub break_rules {
	my ($d, $name) = @_;
	my $pid = $d->child($name);
	my @sockets = sort { $a <=> $b } map { m{/(\d+)\z} && $1 > 3 ? $1 : () }
	    grep { (readlink // '') =~ /\Asocket:/ } glob "/proc/$pid/fd/*";
	my ($peer) = grep { getpeername $_ } map { taken($pid, $_) } @sockets;

	return syswrite($peer, pack('L S S Q', 0, 999, 0, 0)) == 16;
}

for my $case (['engine', 'ledger-sqlite'], ['ledger-sqlite', 'engine']) {
	my ($name, $peer) = @$case;

	subtest "$name breaks the rules of its channel to $peer" => sub {
		my $d = Policyd->start(config => { limits => [[2, 3600]], fail_action => 'reject full' });
		my ($pid, $same) = map { $d->child($_) } $name, $peer;

		is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');
		ok(break_rules($d, $name), 'a message of an unknown type is sent');
		ok($d->child($name, $pid), 'a successor is started');
		delete $d->{client};	# its connection ended with the engine
		is($d->ask(sasl_username => 'bob'), 'dunno', 'the next request is answered');
		is($d->ask(sasl_username => 'bob'), 'reject full', 'the limit applies');
		is($d->child($peer), $same, "$peer was not restarted");
		$d->ends_well;
	};
}

for my $kind (qw(pgsql mysql)) {
	subtest $kind => sub {
		Database->needed($kind);
		my $db = Database->start($kind);
		my $d = Policyd->start(config => { $db->config, limits => [[20, 3600]] });

		check($d, "ledger-$kind");
		$d->ends_well;
		$db->stop;
	};
}

subtest 'report' => sub {
	Smtpd->needed;
	my $s = Smtpd->start(hold => 'BODY');
	my $d = Policyd->start(config => { limits => [[1, 3600]], fail_action => 'reject full',
	    report => True, report_limits => [3600], report_to => 'postmaster@example.org',
	    report_immediately => True, smtp_server => ['127.0.0.1', $s->port] });
	my @others = map { $d->child($_) } qw(engine ledger-sqlite);

	$d->ask(sasl_username => 'bob') for 1 .. 3;
	ok($s->holds, 'a report is being sent');
	take_over($d, 'report');
	ok($d->wait_log(qr/tried again in \d+ s/), 'the parent will try again');
	$s->release;
	is((ctl($d, 'report'))[0], 0, 'the next report is sent');
	# The server has also taken the mail of the killed report, which may have one hit.
	my $mail = ($s->mails)[-1];
	like($mail->{data}, qr/^bob +1 per hour +2$/m, 'the report has all hits');
	is($d->ask(sasl_username => 'bob'), 'reject full', 'the limit applies');
	is_deeply([map { $d->child($_) } qw(engine ledger-sqlite)], \@others,
	    'the engine and the ledger were not restarted');
	$d->ends_well;
};

# A compromised process exits neither when it is asked to nor when its channel is closed.
subtest 'a process that does not exit' => sub {
	my $d = Policyd->start(config => { limits => [[20, 3600]] }, listen => ['unix', 'tcp']);
	my $ledger = $d->child('ledger-sqlite');
	my ($checkpointer) = map { @$_ } values %{Policyd::children_of($ledger)};

	ok($checkpointer, 'the ledger has a checkpointer');
	freeze($checkpointer);
	kill 'KILL', $ledger;
	ok($d->child('ledger-sqlite', $ledger), 'the next ledger is started');
	ok(wait_until { !process_alive($checkpointer) },
	    'the checkpointer of the killed ledger has exited');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');

	my @left = map { @$_ } values %{Policyd::children_of($d->pid)};
	freeze(@left);
	kill 'KILL', $d->pid;
	$d->wait_end;
	ok(wait_until { !grep { process_alive($_) } @left }, 'no child outlives the parent');
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a new start serves');
	$d->ends_well;
};

done_testing();
