#!/usr/bin/perl
# A Galera cluster of three nodes: with room for N exactly N are accepted, wherever each daemon
# is connected, while nodes join and leave, and after one is killed.

use strict;
use warnings;

use List::Util qw(sum);
use POSIX ();
use Test::More;

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
	is($node->recorded($asked->{id}), LIMIT, "$name: as many are in the table");
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

	unlike($_->log, qr/deadlock|already exists|Duplicate/i,
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

$cluster = Galera->start(3);

subtest 'the tables are made from every node at once' => sub {
	my @daemons = map { daemon($_) } $cluster->nodes;

	$_->launch for @daemons;
	for my $d (@daemons) {
		wait_until { $d->told(qr/^READY=1$/m) && $d->ready || !$d->running };
	}
	rounds($cluster, \@daemons, 'a daemon on each node');
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
	is($cluster->node(0)->recorded('busy'), sum(@accepted), 'each is recorded once');
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
	$mails->ok_recorded($cluster->node(0), 'a node is killed');
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
	$mails->ok_recorded($cluster->node(0), 'a node is cut off');
	$_->ends_well for @daemons;
};
$_->stop for reverse $cluster->nodes;

done_testing();
