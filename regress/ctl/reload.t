#!/usr/bin/perl
# Reloads of every kind, under load: each request is answered, none by db_error_action, each
# accepted mail is counted once, and of N mails that a limit allows exactly N are accepted.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl);
use Fault qw(fault_daemon full);
use Policyd qw(True);

my $rounds = full ? 20 : 1;

# [name, what the configuration has besides the first one].
my @changes = (
	['other actions' => { success_action => 'dunno' }],
	['another ledger' => { sqlite_config => undef, timeout => 7 }],
	['a further socket' => { socket => 1 }],
	['another mode' => { socket => 1, socket_permission => \'0o600' }],
	['other reports' => { report => True, report_limits => [60] }],
	['from memory' => { db_error_action => 'memory' }],
	['the first one again' => {}],
);

sub reload {
	my ($d, $change) = @_;
	my %config = %$change;

	$d->{endpoints} = [$d->endpoint, $config{socket} ? "$d->{dir}/more/policy" : ()];
	$config{sqlite_config} = { database => $d->database, timeout => $config{timeout} }
	    if exists $config{sqlite_config};
	delete @config{qw(socket timeout)};
	$d->{config} = { %{$d->{first} //= $d->{config}} };
	$d->write_config(\%config);
	return (ctl($d, 'reload'))[0];
}

sub reload_wrongly {
	my ($d) = @_;

	$d->write_config({ limits => 'none' });
	return (ctl($d, 'reload'))[0];
}

# Makes all these reloads, and one that fails, while requests go on.
sub storm {
	my ($d, $work) = @_;

	for my $round (1 .. $rounds) {
		for (@changes) {
			my ($name, $change) = @$_;
			$work->wait_more(5);
			is(reload($d, $change), 0, "round $round: reload ($name) succeeds");
		}
		is(reload_wrongly($d), 3, "round $round: reload of a wrong configuration fails");
	}
}

subtest 'no-request-lost' => sub {
	my $d = fault_daemon(config => { db_timeout => 10 })->start;
	my $work = Fault::Work->start($d, once => 1, user => sub { 'user' . $_[1] % 7 });

	storm($d, $work);
	ok($work->wait_more(20), 'requests are still answered after all reloads');
	$work->check;
	cmp_ok($work->total('dunno'), '>', 40 * $rounds, 'many requests were accepted meanwhile');
	is($work->total($_), 0, "no answer was '$_'") for qw(unknown other reject);
	reload($d, {});
	$d->ends_well;
};

subtest 'exactly-as-many-as-allowed' => sub {
	my $limit = 2000 * $rounds;
	my $d = fault_daemon(config => { db_timeout => 10,
	    limits => [[2 * $limit, 3600]] })->start;
	my $work = Fault::Work->start($d, once => 1, until_full => 1, user => sub { 'user' });

	storm($d, $work);
	ok($work->wait_done, 'the load reaches the limit');
	$work->finish;
	is($work->total('dunno'), $limit, "exactly $limit mails are accepted");
	is($work->total('reject'), 4, 'all requests beyond the limit are refused');
	is($work->total($_), 0, "no answer was '$_'") for qw(unknown other);
	$work->check_sums;
	reload($d, {});
	$d->ends_well;
};

done_testing();
