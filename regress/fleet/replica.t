#!/usr/bin/perl
# MariaDB with a replica. After a planned switch no mail that was answered is lost; after a
# failover those that the replica did not get are named, and no mail is recorded twice.

use strict;
use warnings;

use Test::More;

use Database;
use Mails;
use Policyd qw(wait_until False);
use Trouble qw(make_user $secret);

my $id = 0;

sub server {
	return Database->start('mysql', small => 1, args => ['--log-bin=binlog',
	    '--binlog-format=ROW', '--log-slave-updates', '--server-id=' . ++$id, @_]);
}

sub replicate {
	my ($replica, $primary) = @_;
	my %config = $primary->config;
	my ($file, $position) = @{($primary->sql('SHOW MASTER STATUS'))[0]};

	(my $password = $config{mysql_config}{passwd}) =~ s/'/''/g;
	$replica->sql("CHANGE MASTER TO master_host = '127.0.0.1', master_port = " .
	    "$primary->{port}, master_user = '$config{mysql_config}{user}', master_password = " .
	    "'$password', master_log_file = '$file', master_log_pos = $position");
	$replica->sql('START SLAVE');
}

# The replica takes over.
sub promote {
	my ($replica) = @_;

	$replica->sql("STOP SLAVE; SET GLOBAL read_only = 0");
}

sub caught_up {
	my ($replica, $primary) = @_;
	my ($file, $position) = @{($primary->sql('SHOW MASTER STATUS'))[0]};

	return wait_until { ($replica->sql("SELECT master_pos_wait('$file', $position, 1)"))[0][0]
	    =~ /\A\d+\z/ };
}

sub daemons {
	my ($count, @servers) = @_;
	# An account that may write to a read-only server would go on with the old primary.
	my %config = $servers[0]->config(user => 'daemon', passwd => $secret, host =>
	    join ', ', map { "127.0.0.1:$_->{port}" } @servers);

	delete $config{mysql_config}{port};
	return map { Policyd->start(config => { %config, db_timeout => 2, debug => False,
	    limits => [[100000, 3600]], db_error_action => 'defer database' }) } 1 .. $count;
}

sub switch {
	my ($count, $cold) = @_;
	my @servers = (server(), server('--read-only=1'));

	make_user($_) for @servers;
	replicate($servers[1], $servers[0]);
	my @daemons = daemons($count, @servers);
	my $mails = Mails->new(\@daemons, 'switch');
	$mails->ask(60) if !$cold;
	is_deeply($mails->others, {}, 'all is well');
	is($mails->while_running(sub {
		$servers[0]->sql('SET GLOBAL read_only = 1');
		caught_up(@servers[1, 0]) or die 'the replica is late';
		promote($servers[1]);
	}), 0, 'the replica takes over');
	$mails->until_accepted;
	$mails->ok_recorded($servers[1], 'planned switch');
	$_->ends_well for @daemons;
	$_->stop for @servers;
}

sub failover {
	my ($count) = @_;
	my @servers = (server(), server('--read-only=1'));

	make_user($_) for @servers;
	replicate($servers[1], $servers[0]);
	my @daemons = daemons($count, @servers);
	my $mails = Mails->new(\@daemons, 'failover');
	$mails->ask(60);
	is_deeply($mails->others, {}, 'all is well');
	ok(caught_up(@servers[1, 0]), 'the replica has it');
	$servers[1]->sql('STOP SLAVE');
	$mails->ask(3);
	$mails->while_running(sub {
		kill 'KILL', $servers[0]{pid};
		promote($servers[1]);
	});
	$mails->until_accepted;
	my @lost = $mails->ok_lost_last($servers[1], 'failover');
	ok(!(grep { /\.(\d+)\z/ && $1 < 60 } @lost), 'and nothing of before');
	$_->ends_well for @daemons;
	$_->stop for @servers;
}

my $full = ($ENV{FLEET} // '') eq 'full';
for my $count ($full ? (1, 3, 6) : 3) {
	subtest "a planned switch, $count daemons" => sub { switch($count, 0) };
	subtest "a planned switch, $count daemons after their start" => sub { switch($count, 1) }
	    if $full;
	subtest "the primary is killed, $count daemons" => sub { failover($count) };
}

done_testing();
