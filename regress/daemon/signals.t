#!/usr/bin/perl
# Signals: stop, reload, and no other effect. Some subtests have the name of a fault of version
# 1.x, which must not occur.

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
		is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');
		is(scalar @below, 2, 'an engine and a ledger run');
		is($d->stop($signal), 0, "SIG$signal: status 0");
		ok(!-e $_, "$_ is gone") for $d->endpoint(0), $d->endpoint(2), $d->control;
		ok(!-e $d->pidfile, 'the pid file is gone');
		is(scalar(grep { Policyd::process_alive($_) } @below), 0,
		    'every child has exited');
		ok($d->told(qr/STOPPING=1/),
		    'the service manager was notified of the stop');
		is($d->recorded('bob'), 1, 'the answered mail is recorded');
	}
};

subtest 'sigterm-in-flight' => sub {
	my $d = Policyd->start(config => { limits => [[1_000_000, 3600]] });
	my @clients = map { $d->connect } 1 .. 50;
	my $half = $d->connect;
	my ($asked, $answered) = (0, 0);

	# Every connection must be accepted, not only be in the listen queue.
	is(scalar(grep { $_->ask(sasl_username => 'warm') eq 'dunno' } @clients), 50,
	    'every connection is accepted');
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
	is($d->wait_end, 0, 'stopped with requests in flight: status 0');
	is($torn, 0, 'no client gets half an answer');
	cmp_ok($answered, '<=', $asked, "$answered of $asked were answered");
	my $recorded = $d->recorded('bob');
	cmp_ok($recorded, '>=', $answered, 'every answered mail is in the database');
	cmp_ok($recorded, '<=', $asked, 'no mail is counted twice');
	is($answered, $asked, 'every request sent before the signal is answered');
	ok($half->wait_closed, 'a connection with half a request is closed');
	ok(!-e $d->endpoint && !-e $d->pidfile, 'no file is left');
};

subtest 'sigterm-at-start' => sub {
	my $d = Policyd->new;

	# SIGTERM at any moment of the start stops the daemon, which leaves no file.
	for my $round (0 .. 14) {
		my $mark = $d->log_mark;
		$d->launch;
		if ($round % 3 == 1) {
			wait_until { -e $d->pidfile || !$d->running };
		} elsif ($round % 3 == 2) {
			wait_until { -e $d->endpoint || !$d->running };
		} else {
			# Wait for the signal handlers: before them the default action applies.
			$d->wait_log(qr/started as process/, $mark);
		}
		$d->signal('TERM');
		is($d->wait_end, 0, "round $round: status 0");
		ok(!-e $d->endpoint && !-e $d->pidfile && !-e $d->control,
		    'no file is left');
	}
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the next start serves');
	$d->ends_well;
};

subtest 'sighup-kills' => sub {
	my $d = Policyd->start(config => { limits => [[2, 3600]],
	    fail_action => 'reject full' });
	my $client = $d->connect;
	my $engine = $d->child('engine');
	my $ledger = $d->child('ledger-sqlite');
	my $mark = $d->log_mark;

	is($client->ask(sasl_username => 'bob'), 'dunno', 'the first mail is accepted');
	$d->signal('HUP');
	ok($d->wait_log(qr/new configuration is in force/, $mark), 'the reload is logged');
	is($client->ask(sasl_username => 'bob'), 'dunno',
	    'the connection survives the reload');
	is($client->ask(sasl_username => 'bob'), 'reject full', 'the counts are kept');
	is($d->child('engine'), $engine, 'the engine is not restarted');
	is($d->child('ledger-sqlite'), $ledger, 'the ledger is not restarted');

	# Many SIGHUPs while requests are sent.
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
	is($d->child('engine'), $engine, 'the engine is still not restarted');
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

	is($client->ask(sasl_username => 'bob'), 'dunno', 'the first mail is accepted');
	is($client->ask(sasl_username => 'bob'), 'reject full',
	    'the second mail is over the old limit');
	$reload->({ limits => [[3, 3600]], fail_action => 'reject more' });
	wait_until { $client->ask(sasl_username => 'probe') ne 'nothing' };
	is($client->ask(sasl_username => 'bob'), 'dunno', 'the new limit accepts a mail');
	is($client->ask(sasl_username => 'bob'), 'dunno',
	    'the new limit accepts another mail');
	is($client->ask(sasl_username => 'bob'), 'reject more',
	    'the next mail gets the new fail_action');

	my $log = $reload->({ limits => 'nonsense', report_limits => ['x'] },
	    qr/the running one stays/);
	my $file = quotemeta $d->{file};
	like($log, qr/$file:\d+:\d+: .*limits/,
	    'an error in the file is logged with line and column');
	like($log, qr/report_limits/, 'every error in the file is logged');
	is($client->ask(sasl_username => 'bob'), 'reject more',
	    'the running configuration stays in use');

	$reload->({ limits => [[3, 3600]], report_limits => [86400],
	    success_action => 'permit' });
	is($client->ask(sasl_username => 'new'), 'permit', 'the next correct file is used');

	unlink $d->{file};
	my $mark = $d->log_mark;
	$d->signal('HUP');
	ok($d->wait_log(qr/the running one stays/, $mark), 'a missing file is logged');
	is($client->ask(sasl_username => 'other'), 'permit',
	    'without a file the running configuration stays in use');
	ok(wait_until { $d->told(qr/RELOADING=1\nMONOTONIC_USEC=\d+\n.*READY=1/s) },
	    'the service manager is notified of the failed reload');
	$d->write_config;
	$d->ends_well;
};

subtest 'reload-sockets' => sub {
	my $d = Policyd->start;
	my $stays = $d->connect;
	my $old = $d->endpoint;
	my $port = Policyd::free_port();
	my $mark = $d->log_mark;

	is($stays->ask(sasl_username => 'bob'), 'dunno',
	    'a client of the old socket is answered');
	$d->{endpoints} = ["$d->{dir}/other/policy", ['127.0.0.1', $port]];
	$d->write_config({ socket_permission => \'0o600' });
	$d->signal('HUP');
	ok($d->wait_log(qr/new configuration is in force/, $mark), 'the reload is logged');
	is($d->connect->ask(sasl_username => 'bob'), 'dunno', 'the new UNIX socket works');
	is($d->connect($d->endpoint(1))->ask(sasl_username => 'bob'), 'dunno',
	    'the new TCP socket works');
	ok(!-e $old, 'the old socket is removed');
	is((stat $d->endpoint)[2] & 07777, 0600, 'the new socket has the new mode');
	is($stays->ask(sasl_username => 'bob'), 'dunno',
	    'the client of the old socket is still served');

	# The same path with another mode is another socket, at no moment absent.
	$mark = $d->log_mark;
	$d->write_config({ socket_permission => \'0o666' });
	$d->signal('HUP');
	my $missing = 0;
	ok(wait_until { $missing++ if !-S $d->endpoint;
	    return $d->log_since($mark) =~ /new configuration is in force/ },
	    'the reload is logged');
	is($missing, 0, 'the socket never disappeared');
	ok(wait_until { return ((stat $d->endpoint)[2] & 07777) == 0666 },
	    'the socket has the new mode');
	is($d->connect->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');

	# One that cannot be bound: nothing changes.
	my $taken = Policyd->start(listen => 'tcp');
	$mark = $d->log_mark;
	$d->{endpoints} = ["$d->{dir}/third/policy", $taken->endpoint];
	$d->write_config;
	$d->signal('HUP');
	ok($d->wait_log(qr/the running one stays/, $mark),
	    'an address in use makes the reload fail');
	ok(!-e "$d->{dir}/third/policy", 'the new socket is removed again');
	$d->{endpoints} = ["$d->{dir}/other/policy", ['127.0.0.1', $port]];
	is($d->connect->ask(sasl_username => 'bob'), 'dunno',
	    'the current sockets still work');
	is($d->stop, 0, 'status 0');
	ok(!-e "$d->{dir}/other/policy", 'no socket is left');
	$taken->ends_well;
};

subtest 'reload-database' => sub {
	my $d = Policyd->start(config => { limits => [[1, 3600]],
	    fail_action => 'reject full' });
	my $client = $d->connect;
	my $engine = $d->child('engine');
	my $ledger = $d->child('ledger-sqlite');
	my $mark = $d->log_mark;

	is($client->ask(sasl_username => 'bob'), 'dunno',
	    'the first mail is counted in the old database');
	is($client->ask(sasl_username => 'bob'), 'reject full',
	    'the second mail is refused by the old database');
	$d->write_config({ sqlite_config => { database => "$d->{dir}/db2/new.sqlite3" } });
	$d->signal('HUP');
	ok($d->wait_log(qr/new configuration is in force/, $mark), 'the reload is logged');
	ok(wait_until { my $now = $d->children; return $now->{'ledger-sqlite'} &&
	    $now->{'ledger-sqlite'} != $ledger && !Policyd::process_alive($ledger) },
	    'a new ledger replaces the old one');
	is($client->ask(sasl_username => 'bob'), 'dunno',
	    'the new database starts without counts');
	is($client->ask(sasl_username => 'bob'), 'reject full', 'the new database counts');
	is($d->child('engine'), $engine, 'the engine is not restarted');
	my ($row) = $d->sql('SELECT SUM(recipient_count) FROM mail_count',
	    "$d->{dir}/db2/new.sqlite3");
	is($row->[0], 1, 'the mail is recorded in the new database');

	# A database path that cannot exist: the old configuration stays in force.
	$mark = $d->log_mark;
	$ledger = $d->child('ledger-sqlite');
	$d->write_config({ sqlite_config => { database => "$d->{file}/db.sqlite3" } });
	$d->signal('HUP');
	ok($d->wait_log(qr/the running one stays/, $mark),
	    'a database below a plain file makes the reload fail');
	is($client->ask(sasl_username => 'bob'), 'reject full',
	    'the old database is still used');
	is($d->child('ledger-sqlite'), $ledger, 'the ledger is not restarted');
	$d->ends_well;
};

done_testing();
