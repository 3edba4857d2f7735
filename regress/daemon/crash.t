#!/usr/bin/perl
# Processes are killed under load: no answered mail is lost, no mail is counted twice,
# and every client finally gets an answer.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time sleep);

use Policyd qw(request wait_until True need have_command);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

# Clients that retry like Postfix: without an answer, or with db_error_action, they send
# the same request again. Returns pipes from which the number of mails that each client
# had accepted can be read.
sub workers {
	my ($d, $count) = @_;
	my @workers;

	for my $n (1 .. $count) {
		pipe(my $from, my $to) or die "pipe: $!";
		pipe(my $stop_from, my $stop) or die "pipe: $!";
		defined(my $pid = fork) or die "fork: $!";
		if (!$pid) {
			close $stop;
			$stop_from->blocking(0);
			my ($accepted, $client) = (0, undef);
			my $end = time + 120;
			until (defined sysread $stop_from, my $byte, 1) {
				my $bytes = request(sasl_username => "user$n",
				    instance => "$n.$accepted", recipient_count => 2);
				my $answer;
				until (($answer // '') eq 'dunno') {
					POSIX::_exit(1) if time > $end;
					$client = $d->connect_quietly // next if !$client;
					$answer = $client->ask_bytes($bytes, 20);
					undef $client if !defined $answer;
				}
				$accepted++;
			}
			syswrite $to, $accepted;
			POSIX::_exit(0);
		}
		close $to;
		close $stop_from;
		push @workers, { pid => $pid, from => $from, stop => $stop };
	}
	return @workers;
}

sub finish {
	my ($d, @workers) = @_;
	my $total = 0;

	close $_->{stop} for @workers;
	for my $n (1 .. @workers) {
		my $worker = $workers[$n - 1];
		sysread $worker->{from}, my $accepted, 32;
		waitpid $worker->{pid}, 0;
		is($?, 0, "client $n got an answer to every request");
		is($d->recorded("user$n"), 2 * ($accepted || 0),
		    "each of its $accepted mails is counted once");
		$total += $accepted || 0;
	}
	return $total;
}

for my $name ('engine', 'ledger-sqlite') {
	subtest "kill-9-$name" => sub {
		my $d = Policyd->start(config => { limits => [[1_000_000, 3600]],
		    debug => Policyd::False, db_error_action => 'defer',
		    db_timeout => 1.0 });
		my @workers = workers($d, 4);
		my $pid = 0;

		for my $round (1 .. 5) {
			$pid = $d->child($name, $pid) or last;
			# Kill it under load, after some more mails have been recorded.
			my $rows = sub { ($d->sql('SELECT COUNT(*) FROM mail_count'))[0][0] };
			my $before = $rows->();
			ok(wait_until { return $rows->() > $before + 20 },
			    "round $round: mails are counted");
			kill 'KILL', $pid;
		}
		isnt($d->child($name, $pid), undef, 'a new process was started');
		my $total = finish($d, @workers);
		cmp_ok($total, '>', 100, "$total mails");
		is($d->ask(sasl_username => 'last'), 'dunno',
		    'requests are answered after the crashes');
		$d->ends_well;
	};
}

subtest 'kill-9-parent' => sub {
	my $d = Policyd->start(config => { limits => [[1_000_000, 3600]],
	    debug => Policyd::False, db_error_action => 'defer' });
	my @workers = workers($d, 3);

	for my $round (1 .. 3) {
		ok(wait_until { ($d->sql('SELECT COUNT(*) FROM mail_count'))[0][0] >
		    50 * $round }, "round $round: mails are counted");
		my @below = values %{$d->children};
		$d->signal('KILL');
		is($d->wait_end, 'signal 9', 'the parent is killed');
		ok(wait_until { !grep { Policyd::process_alive($_) } @below },
		    'its children exit too');
		$d->start;
	}
	finish($d, @workers);
	$d->ends_well;
};

subtest 'deaths-in-quick-succession' => sub {
	my $d = Policyd->start(config => { limits => [[1_000_000, 3600]] });
	my $pid = 0;

	for my $round (1 .. 4) {
		$pid = $d->child('engine', $pid);
		ok($pid, "an engine runs in round $round");
		kill 'KILL', $pid;
	}
	ok($d->wait_log(qr/engine .*died of signal 9/),
	    'the log names the process that died and its signal');
	ok($d->wait_log(qr/engine keeps ending; starting it again in/),
	    'the log says that the restart is delayed');
	# A client that connects meanwhile is not refused.
	my $client = $d->connect;
	is($client->ask(sasl_username => 'bob'), 'dunno',
	    'a client waits for the next engine');

	my $engine = $d->child('engine');
	kill 'SEGV', $engine;
	ok($d->wait_log(qr/engine \(process $engine\) died of signal 11/), 'SIGSEGV');
	$d->child('engine', $engine);
	$d->ends_well;
};

done_testing();
