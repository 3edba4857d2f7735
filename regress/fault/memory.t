#!/usr/bin/perl
# db_error_action "memory" while the database is away. What must hold: every request
# gets a verdict in time, limits apply to the counts that this daemon knows, and each mail
# accepted meanwhile is recorded afterwards exactly once, even if the ledger is killed.
# FAULT_BACKENDS: those to test, sqlite pgsql mysql by default, if they are built.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time sleep);

use Policyd qw(freeze wait_until True $root);
use Database;
use Fault qw(fault_daemon full pause lock_database);

my $limit = 20;

# Takes the database away; each sub returns a sub that brings it back.
sub lock_it {
	my ($d) = @_;

	return lock_database($d);
}

sub freeze_ledger {
	my ($d) = @_;
	my $pid = $d->child("ledger-$d->{backend}");

	freeze($pid);
	return sub { kill 'CONT', $pid };
}

sub stop_server {
	my ($d) = @_;

	$d->{server}->stop('KILL');
	return sub { $d->{server}->launch };
}

my %ways = (
	sqlite => [[locked => \&lock_it], [frozen => \&freeze_ledger]],
	pgsql => [[killed => \&stop_server], [frozen => \&freeze_ledger]],
	mysql => [[killed => \&stop_server], [frozen => \&freeze_ledger]],
);

sub start {
	my ($backend) = @_;
	my %config = (debug => True, db_error_action => 'memory', db_timeout => 0.3,
	    limits => [[2 * $limit, 3600]]);

	if ($backend eq 'sqlite') {
		my $d = fault_daemon(config => \%config);
		$d->{backend} = $backend;
		return $d->start;
	}
	my $server = Database->start($backend);
	my $d = fault_daemon(config => { %config, $server->config });
	@$d{qw(backend server)} = ($backend, $server);
	return $d->start;
}

# Compares each id's recorded sum with its accepted mails, once all are recorded.
sub check_recorded {
	my ($d, $work, $before) = @_;
	my %expected = %$before;
	my $held = {};

	$expected{$_} += $work->{did}{dunno}{$_} * $work->{recipients}
	    for keys %{$work->{did}{dunno}};
	my $complete = sub {
		$held = eval { Fault::sums($d) } || {};
		return !grep { ($held->{$_} // 0) < $expected{$_} } keys %expected;
	};
	wait_until { $complete->() };
	delete $held->{$_} for grep { !exists $expected{$_} } keys %$held;
	is_deeply($held, \%expected, sprintf '%d accepted mails are in the tables once',
	    $work->total('dunno')) or
	    diag(grep { !/: (?:unanswered|accepted|refused)[ :]/ } split /^/, $d->log);
}

sub one {
	my ($d, $round, $leave, $name) = @_;
	my $ledger = "ledger-$d->{backend}";
	my $known = "user-known$round";

	is($d->ask(sasl_username => $known, recipient_count => 2 * $limit - 2), 'dunno',
	    "$name: $known may send one more mail");
	my $back = $leave->($d) or return fail("$name: away");
	my $mark = $d->log_mark;
	my $work = Fault::Work->start($d, once => 1, workers => 12,
	    user => sub { "user$_[0]-$round-" . $_[1] % 40 });
	# Each of these requests takes db_timeout.
	my $many = $work->wait_more((full) ? 400 : 60);
	ok($many, 'mails are accepted without the database');
	my @said = map { $d->ask(sasl_username => $known, recipient_count => 2) } 1 .. 3;
	is_deeply(\@said, ['dunno', ('reject full') x 2],
	    'an id that may send one more mail gets one accepted');
	$back->();
	# Kill the ledger while it records the mails of the outage.
	if ($round % 2) {
		pause(0.05);
		my $pid = $d->child($ledger);
		kill 'KILL', $pid;
		$d->child($ledger, $pid);
	}
	ok($d->wait_log(qr/verdicts again/, $mark), 'the database is back');
	$work->finish;
	is($work->total('unknown') + $work->total('other'), 0,
	    'every request got a verdict');
	my @more = grep { $_ > $limit } values %{$work->{did}{dunno}};
	is("@more", '', 'no id exceeds the limit');
	check_recorded($d, $work, { $known => 2 * $limit });
}

# All clients use the same ids, each of which may send one mail: some requests are decided
# from memory and some by the database, which does not yet have the mails accepted from
# memory.
sub one_each {
	my ($d, $round, $leave, $name) = @_;
	my $work = Fault::Work->start($d, once => 1, workers => 12,
	    user => sub { "user-each$round-$_[1]" });

	for (1 .. (full ? 10 : 3)) {
		ok($work->wait_more(20), "$name: mails are accepted");
		my $mark = $d->log_mark;
		my $back = $leave->($d) or return fail("$name: away");
		# Let the workers get out of step.
		ok($work->wait_more(3), 'mails are decided without the database');
		pause(0.3);
		$back->();
		ok($d->wait_log(qr/verdicts again/, $mark), 'the database is back');
	}
	$work->finish;
	is($work->total('unknown') + $work->total('other'), 0,
	    'every request got a verdict');
	my @more = grep { $_ > 1 } values %{$work->{did}{dunno}};
	is("@more", '', 'no id had more than one mail accepted');
	check_recorded($d, $work, {});
}

for my $backend (split ' ', $ENV{FAULT_BACKENDS} // 'sqlite pgsql mysql') {
	subtest $backend => sub {
		plan(skip_all => "ledger-$backend is not built")
		    if !-x "$root/build/libexec/ledger-$backend";
		Database->needed($backend) if $backend ne 'sqlite';
		my $d = start($backend);
		my $round = 0;

		for my $way (@{$ways{$backend}}) {
			one($d, ++$round, $way->[1], $way->[0]) for 1 .. (full ? 6 : 1);
		}
		$d->write_config({ limits => [[2, 3600]] });
		$d->signal('HUP');
		ok(wait_until { ($d->ask(sasl_username => 'reload' . $round++,
		    recipient_count => 3) // '') eq 'reject full' },
		    'the reloaded, smaller limit is in force');
		one_each($d, ++$round, $_->[1], $_->[0]) for @{$ways{$backend}};
		$d->ends_well;
	};
}

done_testing();
