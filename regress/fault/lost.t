#!/usr/bin/perl
# A ledger exits under load because its connection was cut, or is killed: the engine sends
# the unanswered charges to the next ledger. What must hold in every count mode: every
# request gets a verdict, none gets db_error_action before db_timeout, and each accepted
# mail is counted once.
# FAULT_BACKENDS: those to test, sqlite pgsql mysql by default, if they are built.

use strict;
use warnings;

use Test::More;

use Policyd qw(freeze True request $root);
use Database;
use Fault qw(fault_daemon full pause sums);

my $times = full ? 20 : 4;	# that each thing happens to a daemon

# The requests of each count mode, and what each of them counts.
my %looks = (
	data => { of => 2 },
	none => { of => 2, instance => undef },
	rcpt => { of => 1, protocol_state => 'RCPT' },
	message => { of => 1 },
);

# Consecutive recipients belong to one SMTP transaction.
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

# Waits for the next ledger.
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
	# Each restart of a dead child is delayed longer.
	my @ways = (('killed') x ($times / 2), $server ? ('cut') x $times : ());
	for my $how (@ways) {
		last if !$work->wait_more(20);
		$n++ if goes_away($d, $how, "ledger-$backend");
	}
	is($n, @ways, "count_mode $mode: $n ledgers exited and were replaced");
	ok($work->wait_more(20), 'mails are decided');
	$work->finish;
	ok(!$work->{faults}, 'every mail got a verdict');
	is($work->total($_), 0, "no mail got another answer ($_)") for qw(again reject);
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

# No new ledger is started then: a waiting client is answered all the same.
subtest 'lost while the daemon stops' => sub {
	plan(skip_all => 'ledger-sqlite is not built')
	    if !-x "$root/build/libexec/ledger-sqlite";
	my $d = fault_daemon(config => { db_timeout => 60, debug => True })->start;
	my $client = $d->connect;
	my $ledger = $d->child('ledger-sqlite');

	freeze($ledger);
	$client->send(request(sasl_username => 'bob'));
	# Requests are read in order: an answer to this one shows that the first was read.
	is($d->ask(protocol_state => 'VRFY'), 'dunno', 'the engine has read the request');
	$d->signal('TERM');
	ok($d->wait_log(qr/: stopping$/m), 'the daemon stops');
	kill 'KILL', $ledger;
	is($client->answer, 'defer database', 'the waiting client gets db_error_action');
	is($d->wait_end, 0, 'the daemon stops with status 0');
};

done_testing();
