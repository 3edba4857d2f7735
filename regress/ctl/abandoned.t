#!/usr/bin/perl
# Many questions whose callers leave while the ledger is busy: it still decides afterwards.

use strict;
use warnings;

use IO::Socket::UNIX;
use Test::More;

use Ctl qw(ctl);
use Policyd qw(freeze wait_until);

# The engine serves the eight newest connections, and closes the oldest one for each further one. Then
# it has sent the question of that one to the ledger.
sub abandon {
	my ($d, $n, @words) = @_;
	my @open;

	for (1 .. $n + 8) {
		my $s = IO::Socket::UNIX->new(Peer => $d->control) // die "connect: $!";

		syswrite $s, join("\0", @words, '', '');
		push @open, $s;
		sysread shift @open, my $end, 1 if @open > 8;
	}
}

for my $words ([20, 'why', 'any=bob'], [20, 'top', 'by=refused'], [400, 'show', 'bob']) {
	subtest "@$words[1 .. $#$words]" => sub {
		my $d = Policyd->start(config => { fail_action => 'reject old', limits => [[1, 3600]] });

		is($d->ask(sasl_username => 'bob'), 'dunno', 'the first mail is accepted');
		my $ledger = $d->child('ledger-sqlite');

		freeze($ledger);
		abandon($d, @$words);
		kill 'CONT', $ledger;
		is($d->ask(sasl_username => 'bob'), 'reject old', 'the next mail is decided');
		ok(wait_until { (ctl($d, 'why', 'bob'))[0] == 0 }, 'questions are answered again');
		$d->ends_well;
	};
}

done_testing;
