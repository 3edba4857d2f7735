#!/usr/bin/perl
# A ledger that goes away under load, by itself because its connection was cut, or
# killed: what it was asked and did not answer, the next one is asked. What must hold
# in every count mode: every request has a verdict, none is answered by
# db_error_action while there is time, and what was accepted is counted once.
# FAULT_BACKENDS: those to test, sqlite pgsql mysql by default, if they are built.

use strict;
use warnings;

use Test::More;

use Policyd qw(True request $root);
use Database;
use Fault qw(fault_daemon full pause sums);

my $times = full ? 20 : 4;	# that each thing happens to a daemon

# How requests look, and what each of them counts.
my %looks = (
	data => { of => 2 },
	none => { of => 2, instance => undef },
	rcpt => { of => 1, protocol_state => 'RCPT' },
	message => { of => 1 },
);

# Recipients in a row are of one transaction.
sub attributes {
	my ($worker, $mail) = @_;
	my $look = $looks{look($worker, $mail)};

	return ((exists $look->{instance} ? (instance => undef) : $look->{protocol_state} ?
	    (instance => "$$.$worker." . int($mail / 30)) : ()),
	    recipient => "r$mail\@example.org",
	    protocol_state => $look->{protocol_state} // 'DATA');
}

my @looks;

sub look { return $looks[$_[1] % @looks] }

my %modes = (
	auto => { looks => [qw(data none rcpt)], config => { count_mode => 'auto' } },
	0 => { looks => ['rcpt'], config => { count_mode => 0 } },
	1 => { looks => [qw(data none)], config => { count_mode => 1 } },
	2 => { looks => ['message'], config => { count_mode => 2 } },
);

# The server ends the ledger's connection.
sub cut {
	my ($d) = @_;
	$d->{server}->end_sessions('policyd');
}

# The next ledger is there.
sub goes_away {
	my ($d, $how, $ledger) = @_;
	my $pid = $d->child($ledger) or return 0;

	pause(0.03);
	if ($how eq 'killed') {
		kill 'KILL', $pid or return 0;
	} else {
		cut($d);
	}
	return $d->child($ledger, $pid);
}

sub lose {
	my ($mode, $backend, $server) = @_;
	my $d = fault_daemon(config => { db_timeout => 15, %{$modes{$mode}{config}},
	    $server ? $server->config : () });
	my $n = 0;

	$d->{server} = $server;
	$server->sql('DROP TABLE IF EXISTS mail_count') if $server;
	$d->start;
	@looks = @{$modes{$mode}{looks}};
	my $work = Fault::Work->start($d, attributes => \&attributes,
	    user => sub { 'user' . look(@_) });
	# A death is followed ever more slowly.
	my @ways = (('killed') x ($times / 2), $server ? ('cut') x $times : ());
	for my $how (@ways) {
		last if !$work->wait_more(20);
		$n++ if goes_away($d, $how, "ledger-$backend");
	}
	is($n, @ways, "count_mode $mode: $n ledgers went away, and the next one came");
	ok($work->wait_more(20), 'and serves');
	$work->finish;
	ok(!$work->{faults}, 'every mail had its verdict');
	is($work->total($_), 0, "none was answered otherwise ($_)") for qw(again reject);
	my $held = sums($d);
	for my $look (@looks) {
		my $mails = $work->{did}{dunno}{"user$look"};
		is($held->{"user$look"}, $mails * $looks{$look}{of},
		    "each of $mails accepted of $look is counted once");
	}
	$d->ends_well;
}

for my $backend (split ' ', $ENV{FAULT_BACKENDS} // 'sqlite pgsql mysql') {
	subtest $backend => sub {
		plan(skip_all => "ledger-$backend is not built")
		    if !-x "$root/build/libexec/ledger-$backend";
		my $server = $backend eq 'sqlite' ? undef : Database->start($backend);
		lose($_, $backend, $server) for sort keys %modes;
		$server->stop if $server;
	};
}

# No other ledger comes then: who waits is answered all the same.
subtest 'lost while the daemon stops' => sub {
	plan(skip_all => 'ledger-sqlite is not built')
	    if !-x "$root/build/libexec/ledger-sqlite";
	my $d = fault_daemon(config => { db_timeout => 60, debug => True })->start;
	my $client = $d->connect;
	my $ledger = $d->child('ledger-sqlite');

	kill 'STOP', $ledger;
	$client->send(request(sasl_username => 'bob'));
	# What came before one that needs no ledger was read before it.
	is($d->ask(protocol_state => 'VRFY'), 'dunno', 'the engine has it');
	$d->signal('TERM');
	ok($d->wait_log(qr/: stopping$/m), 'the daemon stops');
	kill 'KILL', $ledger;
	is($client->answer, 'defer database', 'the answer');
	is($d->wait_end, 0, 'and it has stopped');
};

done_testing();
