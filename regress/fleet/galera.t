#!/usr/bin/perl
# A Galera cluster of three nodes: with room for N exactly N are accepted, wherever each daemon
# is connected, by the first requests after a start too, while nodes join and leave, and after one
# is killed. What policyctl changes on several nodes at once is changed.

use strict;
use warnings;

use List::Util qw(sum);
use POSIX ();
use Test::More;

use Balancer;
use Ctl qw(ctl ctl_json);
use Galera;
use Mails;
use Policyd qw(request wait_until False);

use constant LIMIT => 100;
use constant ASKED => 160;

my $rounds = ($ENV{FLEET} // '') eq 'full' ? 50 : 3;
my $id = 0;
my $cluster;

sub daemon {
	my ($node, %more) = @_;

	return Policyd->new(config => { $node->config, db_timeout => 20, debug => False,
	    limits => [[LIMIT, 3600]], fail_action => 'reject full',
	    db_error_action => 'defer database', %more });
}

# With a list of hosts, which is used in its order.
sub listed {
	my ($ports) = @_;
	my %config = $cluster->node(0)->config(host => join ', ', map { "127.0.0.1:$_" } @$ports);

	delete $config{mysql_config}{port};
	return Policyd->start(config => { %config, db_timeout => 20, debug => False,
	    limits => [[LIMIT, 3600]], db_error_action => 'defer database' });
}

# Begins to ask for one id, each time on a connection of its own, over all daemons.
sub ask {
	my ($daemons) = @_;
	my $asked = { id => 'user' . $id++,
	    clients => [map { $daemons->[$_ % @$daemons]->connect } 1 .. ASKED] };

	$_->send(request(sasl_username => $asked->{id})) for @{$asked->{clients}};
	return $asked;
}

sub exact {
	my ($node, $asked, $name) = @_;
	my %answers;

	$answers{$_->answer // 'none'}++ for @{$asked->{clients}};
	is_deeply(\%answers, { dunno => LIMIT, 'reject full' => ASKED - LIMIT }, $name);
	is(Galera::caught_up($node)->recorded($asked->{id}), LIMIT,
	    "$name: as many are in the table");
}

sub rounds {
	my ($cluster, $daemons, $name) = @_;

	exact($cluster->node(0), ask($daemons), "$name, check $_") for 1 .. $rounds;
}

# Requests go on while the cluster changes.
sub meanwhile {
	my ($cluster, $daemons, $name, $change) = @_;
	my @asked = map { ask($daemons) } 1 .. 3;

	$change->();
	push @asked, ask($daemons);
	exact($cluster->node(0), $_, $name) for @asked;
}

sub ends_well {
	my @daemons = @_;

	unlike($_->log, qr/deadlock|already exists|Duplicate|had to be prepared/i,
	    'what daemons do to each other is not logged') for @daemons;
	$_->ends_well for @daemons;
}

sub changes {
	my ($cluster, $daemons, $name) = @_;

	rounds($cluster, $daemons, $name);
	meanwhile($cluster, $daemons, "$name: a node leaves", sub { $cluster->leave(2) });
	rounds($cluster, $daemons, "$name: two nodes");
	meanwhile($cluster, $daemons, "$name: it joins", sub { $cluster->join(2) });
	rounds($cluster, $daemons, "$name: three again");
}

# Daemons that have asked the database nothing yet.
sub started {
	my @daemons = map { daemon($_) } @_;

	$_->launch for @daemons;
	for my $d (@daemons) {
		wait_until { $d->told(qr/^READY=1$/m) && $d->ready || !$d->running };
		wait_until { $d->log =~ /ledger-mysql, listening on|the database is back/ } 120;
	}
	return @daemons;
}

sub without_tables {
	$cluster->node(0)->sql_in('mysql', "$_ DATABASE policyd") for 'DROP', 'CREATE';
	for my $node ($cluster->nodes) {
		wait_until { $node->answers };
	}
}

sub cold {
	my ($round) = @_;
	my $name = "six daemons, start $round, " . ($round % 2 ? 'without tables' : 'with tables');

	without_tables() if $round % 2;
	my @daemons = started(map { $cluster->node($_ % 3) } 0 .. 5);
	exact($cluster->node(0), ask(\@daemons), "$name, check $_") for 1 .. 3;
	ends_well(@daemons);
}

sub cold_while {
	my ($name, $change) = @_;
	my @daemons = started(map { $cluster->node($_ % 2) } 0 .. 5);

	meanwhile($cluster, \@daemons, "six daemons after a start: $name", $change);
	ends_well(@daemons);
}

# Each daemon's own block is set and ended, and one block is set by all, over and over.
sub change {
	my ($d, $n) = @_;

	my $pid = fork // die "fork: $!";
	return $pid if $pid != 0;
	my $failed = 0;
	for my $round (1 .. 15) {
		$failed++ if (ctl($d, 'block', 'all@example.org', '1h', "of $n"))[0] != 0;
		$failed++ if (ctl($d, 'block', "own$n\@example.org", '1h'))[0] != 0;
		$failed++ if (ctl($d, 'unblock', "own$n\@example.org"))[0] != 0;
		$failed++ if (ctl($d, 'grant', 'all@example.org', $round, '1h'))[0] != 0;
	}
	POSIX::_exit($failed);
}

$cluster = Galera->start(3);

subtest 'the tables are made from every node at once' => sub {
	my @daemons = started($cluster->nodes);

	rounds($cluster, \@daemons, 'a daemon on each node');
	ends_well(@daemons);
};
subtest 'the first requests after a start' => sub {
	cold($_) for 1 .. ($rounds == 3 ? 6 : 40);
};
subtest 'the first requests, while the cluster changes' => sub {
	for (1 .. ($rounds == 3 ? 1 : 10)) {
		cold_while('a node leaves', sub { $cluster->leave(2) });
		cold_while('a node joins', sub { $cluster->join(2) });
	}
};
subtest 'policyctl on several nodes at once' => sub {
	my @daemons = map { daemon($_)->start } $cluster->nodes;
	my @failed = map { waitpid $_, 0; $? >> 8 }
	    map { change($daemons[$_], $_) } 0 .. $#daemons;

	is_deeply(\@failed, [(0) x @daemons], 'no command fails');
	for my $d (@daemons) {
		is_deeply([map { $_->{what} } @{ctl_json($d, 'list')->{blocks}}],
		    ['login:all@example.org'], 'each daemon has the block of all, and no other');
	}
	ends_well(@daemons);
};
subtest 'all on one node' => sub {
	my @daemons = map { daemon($cluster->node(0))->start } 1 .. 3;

	changes($cluster, \@daemons, 'three daemons');
	ends_well(@daemons);
};
subtest 'each on its own' => sub {
	my @daemons = map { daemon($cluster->node($_ % 2))->start } 1 .. 4;

	changes($cluster, \@daemons, 'four daemons');
	ends_well(@daemons);
};
# The answers that a daemon gives to clients who all ask for one id, again and again.
sub busy {
	my ($d, $clients, $seconds) = @_;

	pipe(my $from, my $to) or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	return [$pid, $from] if $pid != 0;
	my @clients = map { $d->connect } 1 .. $clients;
	my $end = time + $seconds;
	my %answers;
	while (time < $end) {
		$_->send(request(sasl_username => 'busy')) for @clients;
		$answers{$_->answer // 'none'}++ for @clients;
	}
	print $to join("\n", %answers), "\n";
	close $to;
	POSIX::_exit(0);
}

subtest 'a busy user on all nodes' => sub {
	my @daemons = map { daemon($_, limits => [[1000000, 3600]])->start } $cluster->nodes;
	my @busy = map { busy($_, 30, 5) } @daemons;
	my @answers;

	for (@busy) {
		my ($pid, $from) = @$_;
		chomp(my @said = <$from>);
		waitpid $pid, 0;
		push @answers, { @said };
	}
	is_deeply([map { sort keys %$_ } @answers], [('dunno') x @daemons],
	    'no request ends in db_error_action');
	my @accepted = sort { $a <=> $b } map { $_->{dunno} } @answers;
	is(Galera::caught_up($cluster->node(0))->recorded('busy'), sum(@accepted),
	    'each is recorded once');
	cmp_ok($accepted[0] * 10, '>', $accepted[-1], "no daemon has it all: @accepted");
	$_->ends_well for @daemons;
};
subtest 'a node is killed, and one is cut off' => sub {
	my @ports = map { $_->{port} } $cluster->nodes;
	my @daemons = map { listed($_) } [@ports], [@ports[1, 2, 0]], [@ports[2, 0, 1]];
	my $mails = Mails->new(\@daemons, 'killed');

	$mails->ask(30);
	$mails->while_running(sub { kill 'KILL', $cluster->node(2)->{pid} });
	$cluster->leave(2);
	$mails->ok_recorded(Galera::caught_up($cluster->node(0)),
	    'a node is killed');
	$cluster->join(2);

	my $option = sub { $cluster->node(1)->sql(
	    "SET GLOBAL wsrep_provider_options = 'gmcast.isolate=$_[0]'") };
	$mails = Mails->new(\@daemons, 'cut');
	$mails->ask(30);
	$mails->while_running(sub {
		$option->(1);
		wait_until { Galera::status($cluster->node(1), 'wsrep_ready') eq 'OFF' };
	});
	is_deeply($mails->others, {}, 'a node is cut off: the next host is used');
	$option->(0);
	$cluster->whole(3);
	$mails->ok_recorded(Galera::caught_up($cluster->node(0)),
	    'a node is cut off');
	$_->ends_well for @daemons;
};
# The proxy chooses the node: its idle timeout and a switch to the next node.
sub proxied {
	my $balancer = Balancer->start([$cluster->nodes], 8);
	my @daemons = map { Policyd->start(config => { $balancer->config, debug => False,
	    db_timeout => 10, limits => [[LIMIT, 3600]], fail_action => 'reject full',
	    db_error_action => 'defer database' }) } 1 .. 3;

	exact($cluster->node(0), ask(\@daemons), 'through a proxy');
	my @marks = map { $_->log_mark } @daemons;
	my @ledgers = map { $_->child('ledger-mysql') } @daemons;
	ok($daemons[$_]->child('ledger-mysql', $ledgers[$_]), 'the idle connection is closed')
	    for 0 .. 2;
	exact($cluster->node(0), ask(\@daemons), 'after the idle timeout');
	is_deeply([map { grep { / (?:error|warning): | is away|is back/ } split /\n/,
	    $daemons[$_]->log_since($marks[$_]) } 0 .. 2], [], 'nothing is logged');

	my $mails = Mails->new(\@daemons, 'proxied');
	$mails->ask(30);
	$mails->while_running(sub {
		$balancer->command("$_ database/s0") for 'disable server', 'shutdown sessions server';
		wait_until { $balancer->status('s0') =~ /\AMAINT/ };
	});
	is_deeply($mails->others, {}, 'the proxy switches: each mail is accepted');
	$mails->ok_recorded(Galera::caught_up($cluster->node(1)),
	    'the proxy switches to the next node');
	$balancer->command('enable server database/s0');
	$mails->while_running(sub { kill 'KILL', $cluster->node(1)->{pid} });
	$cluster->leave(1);
	$mails->until_accepted;
	$mails->ok_recorded(Galera::caught_up($cluster->node(0)),
	    'a node behind the proxy is killed');
	$cluster->join(1);
	$_->ends_well for @daemons;
	$balancer->stop;
}

subtest 'a proxy before the nodes' => \&proxied;
$_->stop for reverse $cluster->nodes;

done_testing();
