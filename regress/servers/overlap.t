#!/usr/bin/perl
# MySQL's batches overlap: the next one is written in a second session while the last one's
# COMMIT waits. Here it waits for a replica that never connects: no request may be answered
# before the wait is over, whatever happens meanwhile.

use strict;
use warnings;

use Test::More;

use Database;
use Overlap qw(wait_read ok_after_loss);
use Policyd qw(freeze wait_until request);

my $db = Database->start('mysql', args => [qw(--log-bin --server-id=1
    --rpl-semi-sync-master-wait-point=AFTER_COMMIT --rpl-semi-sync-master-timeout=3600000)]);
my $requests = 64;

sub wait_for_replica { $db->sql("SET GLOBAL rpl_semi_sync_master_enabled = $_[0]") }

sub daemon {
	return Policyd->start(config => { $db->config, db_timeout => 60,
	    limits => [[1000, 3600]], fail_action => 'reject full',
	    db_error_action => 'defer database', @_ });
}

# Sends them, and returns once the engine has read them.
sub send_all {
	my ($d, $requests, @clients) = @_;

	$_->send(shift @$requests) for @clients;
	wait_read($d);
}

# One request from each client, in two batches: the second half is sent while the first
# waits for a lock.
sub in_two {
	my ($d, $id, $instances, @clients) = @_;
	my $release = $db->holding('SELECT batch FROM mail_lock WHERE slot = 65537 FOR UPDATE');
	my $ledger = $d->child('ledger-mysql');
	my @requests = map { request(sasl_username => $id,
	    instance => "$id." . $_ % $instances) } 0 .. $#clients;
	my @first = splice @clients, 0, @clients / 2;

	freeze($ledger);
	send_all($d, \@requests, @first);
	kill 'CONT', $ledger;
	ok(wait_until { ($db->sql('SELECT count(*) FROM information_schema.innodb_trx' .
	    " WHERE trx_state = 'LOCK WAIT'"))[0][0] == 1 }, 'the first batch waits');
	send_all($d, \@requests, @clients);
	$release->();
}

# A daemon that has found out that it is alone, and its clients.
sub alone {
	my $d = daemon();
	my @clients = map { $d->connect } 1 .. $requests;

	$clients[0]->ask(sasl_username => 'before') for 1 .. 60;
	return ($d, @clients);
}

# The server's sessions of the daemon, in this state.
sub sessions {
	my ($state) = @_;

	return map { $_->[0] } $db->sql('SELECT id FROM information_schema.processlist' .
	    " WHERE user = 'policyd' AND db = 'policyd' AND id <> connection_id() AND" .
	    " state LIKE '$state%' ORDER BY id");
}

my $waiting = 'Waiting for semi-sync ACK';

subtest 'no request is answered before its commit' => sub {
	my ($d, @clients) = alone();

	is(scalar(sessions('')), 2, 'there are two sessions');
	wait_for_replica(1);
	in_two($d, 'bob', $requests, @clients);
	ok(wait_until { sessions($waiting) == 2 }, 'two batches are being committed');
	is($db->recorded('bob'), $requests, 'all mails are recorded');
	is(scalar(grep { $_->unread ne '' } @clients), 0, 'none is answered');
	wait_for_replica(0);
	is(scalar(grep { ($_->answer // '') eq 'dunno' } @clients), $requests,
	    'all requests are answered once they are committed');
	is($db->recorded('bob'), $requests, 'each mail is counted once');
	$d->ends_well;
};

subtest 'a session is lost while it commits' => sub {
	my ($d, @clients) = alone();

	wait_for_replica(1);
	in_two($d, 'eve', $requests, @clients);
	ok(wait_until { sessions($waiting) == 2 }, 'two batches are being committed');
	$db->sql('KILL ' . (sessions($waiting))[0]);
	wait_for_replica(0);
	ok_after_loss($d, $db, 'eve', @clients);
	ok(wait_until { sessions('') == 2 }, 'there are two sessions again');
	$d->ends_well;
};

subtest 'a batch of repeated requests' => sub {
	my ($d, @clients) = alone();

	wait_for_replica(1);
	# The second half finds the first half's rows and writes nothing.
	in_two($d, 'ann', $requests / 2, @clients);
	ok(wait_until { sessions($waiting) == 1 }, 'the first batch is being committed');
	is(scalar(grep { $_->unread(0.2) ne '' } @clients[0, -1]), 0,
	    'no client is answered yet');
	wait_for_replica(0);
	is(scalar(grep { ($_->answer // '') eq 'dunno' } @clients), $requests,
	    'all requests are accepted');
	is($db->recorded('ann'), $requests / 2, 'no mail is counted twice');
	$d->ends_well;
};

subtest 'the session that is not used ends' => sub {
	my ($d, @clients) = alone();
	my $ledger = $d->child('ledger-mysql');

	$clients[0]->ask(sasl_username => 'before') for 1 .. 3;
	$db->sql('KILL ' . (sessions(''))[1]);
	ok(wait_until { sessions('') == 1 }, 'one session is left');
	is($clients[0]->ask(sasl_username => 'after'), 'dunno', 'requests are answered');
	is($d->child('ledger-mysql'), $ledger, 'by the same ledger');
	$d->ends_well;
};

subtest 'no second session' => sub {
	# The tables are made in a session of their own.
	$db->sql('CREATE DATABASE apart');
	Policyd->start(config => { $db->config(db => 'apart') })->ends_well;
	$db->sql($_) for "CREATE USER single\@'127.0.0.1' IDENTIFIED BY 'one' WITH " .
	    'MAX_USER_CONNECTIONS 1', "GRANT ALL ON apart.* TO single\@'127.0.0.1'";
	my $d = Policyd->start(config => { $db->config(user => 'single', passwd => 'one',
	    db => 'apart'), limits => [[40, 3600]], fail_action => 'reject full' });
	my @clients = map { $d->connect } 1 .. $requests;
	my %answers;

	ok($d->wait_log(qr/no second connection.*max_user_connections/),
	    'the log names the missing second session');
	$clients[$_]->send(request(sasl_username => 'bob', instance => "bob.$_"))
	    for 0 .. $#clients;
	$answers{$_->answer // 'none'}++ for @clients;
	is_deeply(\%answers, { dunno => 40, 'reject full' => $requests - 40 },
	    'exactly as many mails as the limit allows are accepted');
	$d->ends_well;
};

$db->stop;
done_testing();
