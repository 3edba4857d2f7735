#!/usr/bin/perl
# What signals do: stop cleanly, reload, and nothing else.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time sleep);

use Policyd qw(request wait_until slurp True False need have_command);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

subtest 'sigterm-leaves-files' => sub {
	for my $signal ('TERM', 'INT', 'USR1') {
		my $d = Policyd->start(listen => ['unix', 'tcp', 'unix']);
		my @below = values %{$d->children};

		ok(-S $_, "$_ is there") for $d->endpoint(0), $d->endpoint(2), $d->control;
		ok(-f $d->pidfile, 'the pid file is there');
		is($d->ask(sasl_username => 'bob'), 'dunno', 'it answers');
		is(scalar @below, 2, 'engine and ledger run');
		is($d->stop($signal), 0, "SIG$signal: status 0");
		ok(!-e $_, "$_ is gone") for $d->endpoint(0), $d->endpoint(2), $d->control;
		ok(!-e $d->pidfile, 'the pid file is gone');
		is(scalar(grep { Policyd::process_alive($_) } @below), 0, 'no process stays');
		ok($d->told(qr/STOPPING=1/),
		    'the service manager was notified of the stop');
		is($d->recorded('bob'), 1, 'what was answered is in the database');
	}
};

subtest 'sigterm-in-flight' => sub {
	my $d = Policyd->start(config => { limits => [[1_000_000, 3600]] });
	my @clients = map { $d->connect } 1 .. 50;
	my $half = $d->connect;
	my ($asked, $answered) = (0, 0);

	# Accepted, each of them, not only in the queue.
	is(scalar(grep { $_->ask(sasl_username => 'warm') eq 'dunno' } @clients), 50,
	    'it runs');
	$half->send("request=smtpd_access_policy\nsasl_username=half\n");
	for my $client (@clients) {
		$asked++ if $client->send(request(sasl_username => 'bob'));
	}
	$d->signal('TERM');
	my $torn = 0;
	for my $client (@clients) {
		my $answer = $client->answer_bytes(20);
		$answered++ if ($answer // '') eq "action=dunno\n\n";
		$torn++ if !defined $answer && $client->{buffer} ne '';
	}
	is($d->wait_end, 0, 'stopped while it was asked: status 0');
	is($torn, 0, 'no half answer');
	cmp_ok($answered, '<=', $asked, "$answered of $asked were answered");
	my $recorded = $d->recorded('bob');
	cmp_ok($recorded, '>=', $answered, 'every answered mail is in the database');
	cmp_ok($recorded, '<=', $asked, 'no mail is counted twice');
	is($answered, $asked, 'every request sent before the signal is answered');
	ok($half->wait_closed, 'half a request is closed');
	ok(!-e $d->endpoint && !-e $d->pidfile, 'no file is left');
};

subtest 'sigterm-at-start' => sub {
	my $d = Policyd->new;

	# At every moment of the start it stops, and leaves nothing behind.
	for my $round (0 .. 14) {
		my $mark = $d->log_mark;
		$d->launch;
		if ($round % 3 == 1) {
			wait_until { -e $d->pidfile || !$d->running };
		} elsif ($round % 3 == 2) {
			wait_until { -e $d->endpoint || !$d->running };
		} else {
			# Once it has its handlers; before that the signal is the system's.
			$d->wait_log(qr/started as process/, $mark);
		}
		$d->signal('TERM');
		is($d->wait_end, 0, "round $round: status 0");
		ok(!-e $d->endpoint && !-e $d->pidfile && !-e $d->control,
		    'no file is left');
	}
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'and it starts again');
	$d->ends_well;
};

subtest 'sighup-kills' => sub {
	my $d = Policyd->start(config => { limits => [[2, 3600]],
	    fail_action => 'reject full' });
	my $client = $d->connect;
	my $engine = $d->child('engine');
	my $ledger = $d->child('ledger-sqlite');
	my $mark = $d->log_mark;

	is($client->ask(sasl_username => 'bob'), 'dunno', 'asked');
	$d->signal('HUP');
	ok($d->wait_log(qr/new configuration is in force/, $mark), 'reloaded');
	is($client->ask(sasl_username => 'bob'), 'dunno',
	    'the connection survives the reload');
	is($client->ask(sasl_username => 'bob'), 'reject full', 'the counts stay');
	is($d->child('engine'), $engine, 'the same engine');
	is($d->child('ledger-sqlite'), $ledger, 'the same ledger');

	# A storm of them, while it is asked.
	my $open = sub { map { scalar(() = glob "/proc/$_/fd/*") } $d->pid, $engine, $ledger };
	my @before = $open->();
	my $end = time + 1.5;
	my $n = 0;
	while (time < $end) {
		$d->signal('HUP');
		$client->ask(sasl_username => "user$n") eq 'dunno' or last;
		$n++;
		sleep 0.002;
	}
	cmp_ok(time, '>=', $end, "$n requests answered in a storm of SIGHUP");
	is($d->child('engine'), $engine, 'still the same engine');
	ok(wait_until { my @after = $open->();
	    return !grep { $after[$_] > $before[$_] } 0 .. 2 }, 'no descriptor is left open');
	$d->ends_well;
};

subtest 'reload-settings' => sub {
	my $d = Policyd->start(config => { limits => [[1, 3600]],
	    fail_action => 'reject full', debug => True });
	my $client = $d->connect;

	my $reload = sub {
		my ($changes, $pattern) = @_;
		my $mark = $d->log_mark;
		$d->write_config($changes);
		$d->signal('HUP');
		ok($d->wait_log($pattern // qr/new configuration is in force/, $mark),
		    'reload: ' . join(', ', sort keys %$changes));
		return $d->log_since($mark);
	};

	is($client->ask(sasl_username => 'bob'), 'dunno', 'one');
	is($client->ask(sasl_username => 'bob'), 'reject full', 'is the limit');
	$reload->({ limits => [[3, 3600]], fail_action => 'reject more' });
	wait_until { $client->ask(sasl_username => 'probe') ne 'nothing' };
	is($client->ask(sasl_username => 'bob'), 'dunno', 'two more');
	is($client->ask(sasl_username => 'bob'), 'dunno', 'with the new limits');
	is($client->ask(sasl_username => 'bob'), 'reject more', 'and the new action');

	my $log = $reload->({ limits => 'nonsense', report_limits => ['x'] },
	    qr/the running one stays/);
	my $file = quotemeta $d->{file};
	like($log, qr/$file:\d+:\d+: .*limits/, 'a wrong file is told with its place');
	like($log, qr/report_limits/, 'every fault of it');
	is($client->ask(sasl_username => 'bob'), 'reject more',
	    'the running configuration stays in use');

	$reload->({ limits => [[3, 3600]], report_limits => [86400],
	    success_action => 'permit' });
	is($client->ask(sasl_username => 'new'), 'permit', 'the next right one is taken');

	unlink $d->{file};
	my $mark = $d->log_mark;
	$d->signal('HUP');
	ok($d->wait_log(qr/the running one stays/, $mark), 'no file at all');
	is($client->ask(sasl_username => 'other'), 'permit',
	    'without a file the running configuration stays in use');
	ok(wait_until { $d->told(qr/RELOADING=1\nMONOTONIC_USEC=\d+\n.*READY=1/s) },
	    'the service manager was told of it');
	$d->write_config;
	$d->ends_well;
};

subtest 'reload-sockets' => sub {
	my $d = Policyd->start;
	my $stays = $d->connect;
	my $old = $d->endpoint;
	my $port = Policyd::free_port();
	my $mark = $d->log_mark;

	is($stays->ask(sasl_username => 'bob'), 'dunno', 'a client of the old socket');
	$d->{endpoints} = ["$d->{dir}/other/policy", ['127.0.0.1', $port]];
	$d->write_config({ socket_permission => \'0o600' });
	$d->signal('HUP');
	ok($d->wait_log(qr/new configuration is in force/, $mark), 'reloaded');
	is($d->connect->ask(sasl_username => 'bob'), 'dunno', 'the new UNIX socket');
	is($d->connect($d->endpoint(1))->ask(sasl_username => 'bob'), 'dunno',
	    'the new TCP socket');
	ok(!-e $old, 'the old one is gone');
	is((stat $d->endpoint)[2] & 07777, 0600, 'with the new mode');
	is($stays->ask(sasl_username => 'bob'), 'dunno', 'the old client is served on');

	# The same path with another mode is another socket, at no moment absent.
	$mark = $d->log_mark;
	$d->write_config({ socket_permission => \'0o666' });
	$d->signal('HUP');
	my $missing = 0;
	ok(wait_until { $missing++ if !-S $d->endpoint;
	    return $d->log_since($mark) =~ /new configuration is in force/ }, 'reloaded');
	is($missing, 0, 'the socket was there all the time');
	ok(wait_until { return ((stat $d->endpoint)[2] & 07777) == 0666 }, 'the new mode');
	is($d->connect->ask(sasl_username => 'bob'), 'dunno', 'it answers');

	# One that cannot be bound: nothing changes.
	my $taken = Policyd->start(listen => 'tcp');
	$mark = $d->log_mark;
	$d->{endpoints} = ["$d->{dir}/third/policy", $taken->endpoint];
	$d->write_config;
	$d->signal('HUP');
	ok($d->wait_log(qr/the running one stays/, $mark), 'an address that is taken');
	ok(!-e "$d->{dir}/third/policy", 'the new socket is gone again');
	$d->{endpoints} = ["$d->{dir}/other/policy", ['127.0.0.1', $port]];
	is($d->connect->ask(sasl_username => 'bob'), 'dunno', 'the running ones answer');
	is($d->stop, 0, 'status 0');
	ok(!-e "$d->{dir}/other/policy", 'and no file is left');
	$taken->ends_well;
};

subtest 'reload-database' => sub {
	my $d = Policyd->start(config => { limits => [[1, 3600]],
	    fail_action => 'reject full' });
	my $client = $d->connect;
	my $engine = $d->child('engine');
	my $ledger = $d->child('ledger-sqlite');
	my $mark = $d->log_mark;

	is($client->ask(sasl_username => 'bob'), 'dunno', 'the old database');
	is($client->ask(sasl_username => 'bob'), 'reject full', 'counts');
	$d->write_config({ sqlite_config => { database => "$d->{dir}/db2/new.sqlite3" } });
	$d->signal('HUP');
	ok($d->wait_log(qr/new configuration is in force/, $mark), 'reloaded');
	ok(wait_until { my $now = $d->children; return $now->{'ledger-sqlite'} &&
	    $now->{'ledger-sqlite'} != $ledger && !Policyd::process_alive($ledger) },
	    'another ledger serves');
	is($client->ask(sasl_username => 'bob'), 'dunno', 'the new database knows nothing');
	is($client->ask(sasl_username => 'bob'), 'reject full', 'and counts');
	is($d->child('engine'), $engine, 'the same engine');
	my ($row) = $d->sql('SELECT SUM(recipient_count) FROM mail_count',
	    "$d->{dir}/db2/new.sqlite3");
	is($row->[0], 1, 'recorded there');

	# A database that cannot be there: everything stays.
	$mark = $d->log_mark;
	$ledger = $d->child('ledger-sqlite');
	$d->write_config({ sqlite_config => { database => "$d->{file}/db.sqlite3" } });
	$d->signal('HUP');
	ok($d->wait_log(qr/the running one stays/, $mark), 'below what is no directory');
	is($client->ask(sasl_username => 'bob'), 'reject full', 'the running one serves');
	is($d->child('ledger-sqlite'), $ledger, 'the same ledger');
	$d->ends_well;
};

done_testing();
