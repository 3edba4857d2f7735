#!/usr/bin/perl
# db_error_action "memory" while the database is away. What must hold: everybody has a
# verdict in time, limits go on as far as this daemon knows, and what was accepted
# meanwhile is in the tables afterwards, exactly once, whatever becomes of the ledger.
# FAULT_BACKENDS: those to test, sqlite pgsql mysql by default, if they are built.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time sleep);

use Policyd qw(wait_until True $root);
use Database;
use Fault qw(fault_daemon full pause lock_database);

my $limit = 20;

# How the database goes away: a sub that ends it again.
sub lock_it {
	my ($d) = @_;

	return lock_database($d);
}

sub freeze_ledger {
	my ($d) = @_;
	my $pid = $d->child("ledger-$d->{backend}");

	kill 'STOP', $pid;
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

# Each id with what its accepted mails come to, once it is all there.
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
	    "$name: $known has room for one mail");
	my $back = $leave->($d) or return fail("$name: away");
	my $mark = $d->log_mark;
	my $work = Fault::Work->start($d, once => 1, workers => 12,
	    user => sub { "user$_[0]-$round-" . $_[1] % 40 });
	# Each takes db_timeout.
	my $many = $work->wait_more((full) ? 400 : 60);
	ok($many, 'mails are accepted meanwhile');
	my @said = map { $d->ask(sasl_username => $known, recipient_count => 2) } 1 .. 3;
	is_deeply(\@said, ['dunno', ('reject full') x 2],
	    'an id with room for one mail by this daemon gets one');
	$back->();
	# In the middle of catching up.
	if ($round % 2) {
		pause(0.05);
		my $pid = $d->child($ledger);
		kill 'KILL', $pid;
		$d->child($ledger, $pid);
	}
	ok($d->wait_log(qr/verdicts again/, $mark), 'it is back');
	$work->finish;
	is($work->total('unknown') + $work->total('other'), 0,
	    'everybody had a verdict all the time');
	my @more = grep { $_ > $limit } values %{$work->{did}{dunno}};
	is("@more", '', 'nobody had more than the limit');
	check_recorded($d, $work, { $known => 2 * $limit });
}

# Everybody asks for the same ids, each of which has room for one mail: some ask the
# memory and some the database, which does not know yet what the memory accepted.
sub one_each {
	my ($d, $round, $leave, $name) = @_;
	my $work = Fault::Work->start($d, once => 1, workers => 12,
	    user => sub { "user-each$round-$_[1]" });

	for (1 .. (full ? 10 : 3)) {
		ok($work->wait_more(20), "$name: mails are accepted");
		my $mark = $d->log_mark;
		my $back = $leave->($d) or return fail("$name: away");
		# The workers lose step with each other.
		ok($work->wait_more(3), 'mails are answered meanwhile');
		pause(0.3);
		$back->();
		ok($d->wait_log(qr/verdicts again/, $mark), 'it is back');
	}
	$work->finish;
	is($work->total('unknown') + $work->total('other'), 0,
	    'everybody had a verdict all the time');
	my @more = grep { $_ > 1 } values %{$work->{did}{dunno}};
	is("@more", '', 'each had one mail');
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
		    recipient_count => 3) // '') eq 'reject full' }, 'a smaller limit');
		one_each($d, ++$round, $_->[1], $_->[0]) for @{$ways{$backend}};
		$d->ends_well;
	};
}

done_testing();
