#!/usr/bin/perl
# Two daemons that share a database, and two daemons with the same sockets or files.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time sleep);

use Policyd qw(request wait_until slurp True need have_command);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

subtest 'two-daemons-both-pass' => sub {
	my $limit = 57;
	my $first = Policyd->start(config => { limits => [[$limit, 3600]],
	    fail_action => 'reject full', db_timeout => 30.0 });
	my $second = Policyd->start(name => 'second', config => {
	    limits => [[$limit, 3600]], fail_action => 'reject full', db_timeout => 30.0,
	    sqlite_config => { database => $first->database } });

	# Both daemons get requests for one login at once, more than the limit allows.
	my @pipes;
	for my $n (0 .. 7) {
		my $d = $n % 2 ? $first : $second;
		pipe(my $from, my $to) or die "pipe: $!";
		defined(my $pid = fork) or die "fork: $!";
		if (!$pid) {
			my $client = $d->connect;
			my %answers;
			$answers{$client->ask(sasl_username => 'bob') // 'none'}++ for 1 .. 20;
			syswrite $to, join(',', map { "$_=$answers{$_}" } sort keys %answers);
			POSIX::_exit(0);
		}
		close $to;
		push @pipes, [$pid, $from];
	}
	my %all;
	for (@pipes) {
		my ($pid, $from) = @$_;
		local $/;
		my $text = <$from>;
		waitpid $pid, 0;
		for (split /,/, $text) {
			my ($answer, $n) = split /=/;
			$all{$answer} += $n;
		}
	}
	is($all{dunno}, $limit, "exactly $limit requests pass on both daemons together");
	is($all{'reject full'}, 160 - $limit, 'all others are refused');
	is($first->recorded('bob'), $limit, 'the accepted mails are recorded');

	is($first->ask(sasl_username => 'eve', recipient_count => 30), 'dunno',
	    'the first daemon accepts a mail');
	is($second->ask(sasl_username => 'eve', recipient_count => 27), 'dunno',
	    'the second daemon sees what the first recorded');
	is($first->ask(sasl_username => 'eve'), 'reject full', 'and the first the other\'s');
	$second->ends_well;
	$first->ends_well;
};

subtest 'second-daemon-steals-socket' => sub {
	my $d = Policyd->start(listen => ['unix', 'tcp']);
	my $inode = (stat $d->endpoint)[1];
	my ($pid) = slurp($d->pidfile) =~ /\A(\d+)\n/;
	my $control = (stat $d->control)[1];

	is($pid, $d->pid, 'the first line of the pid file is the pid');

	my ($status, undef, $err) = $d->run;
	is($status, 3, 'a second start with the same files: status 3');
	like($err, qr/already running/, 'the message says that it is already running');

	# Another pid file, the same socket.
	my $other = Policyd->new(name => 'other', dir => $d->dir, listen => [$d->endpoint]);
	($status, undef, $err) = $other->run;
	is($status, 6, 'another pid file, the same socket: refused');
	like($err, qr/\Q@{[$d->endpoint]}\E/, 'the message names the socket');
	ok(!-e $other->pidfile, 'the refused start leaves no pid file');

	$other = Policyd->new(name => 'tcp', listen => [$d->endpoint(1)]);
	($status, undef, $err) = $other->run;
	is($status, 6, 'the same TCP address: refused');

	# A start that fails for another reason changes no file of the running daemon either.
	$other = Policyd->new(name => 'third', dir => $d->dir, listen => ['unix'],
	    config => { SOCKET => [$d->dir . '/third/policy', ['192.0.2.1', 1]],
	    control_socket => \'None' });
	($status) = $other->run;
	is($status, 6, 'an address that this host does not have: status 6');
	ok(!-e $d->dir . '/third/policy', 'the socket that it had created is removed');
	ok(!-e $other->pidfile, 'it leaves no pid file');

	is((stat $d->endpoint)[1], $inode, 'the socket is the first one\'s');
	is((stat $d->control)[1], $control, "the control socket is the first one's");
	is(slurp($d->pidfile), "$pid\n", 'and so is the pid file');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the first daemon answers');

	# --clean beside a daemon disturbs nothing.
	my ($code, $out) = $d->run('--clean');
	is($code, 0, '--clean works while the daemon runs');
	is($out, "0 records deleted\n", '--clean prints the number of deleted rows');
	is((stat $d->endpoint)[1], $inode, 'the socket is still the first one\'s');
	$d->ends_well;
};

subtest 'control-socket-of-another' => sub {
	my $d = Policyd->start;
	my $other = Policyd->start(name => 'other', config => {
	    control_socket => $d->control });
	my $inode = (stat $d->control)[1];

	ok($other->wait_log(qr/control socket.*\Q@{[$d->control]}\E/),
	    'a control socket of another daemon causes a warning');
	is($other->ask(sasl_username => 'bob'), 'dunno', 'the daemon serves without it');
	$other->ends_well;
	is((stat $d->control)[1], $inode, "the control socket is still the first daemon\'s");
	$d->ends_well;
};

subtest 'stale-files' => sub {
	my $d = Policyd->start;

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a mail is accepted');
	my @below = values %{$d->children};
	$d->signal('KILL');
	$d->wait_end;
	ok(-S $d->endpoint, 'a killed daemon leaves its socket');
	ok(-e $d->pidfile, 'a killed daemon leaves its pid file');
	ok(wait_until { !grep { Policyd::process_alive($_) } @below },
	    'the children exit when the parent is gone');
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the next start replaces both');
	# Start at once, while the killed daemon's engine may still run.
	for my $round (1 .. 5) {
		$d->signal('KILL');
		$d->wait_end;
		$d->start;
	}
	pass('the daemon starts at once after a kill');
	is(slurp($d->pidfile), $d->pid . "\n", 'the pid file has the new pid');
	is($d->recorded('bob'), 2, 'the counts are kept');
	$d->ends_well;
	ok(!-e $d->endpoint && !-e $d->pidfile && !-e $d->control, 'no file is left');
};

subtest 'many-starts-at-once' => sub {
	my $d = Policyd->new;
	my @all = map { Policyd->new(name => "n$_", dir => $d->dir,
	    listen => [$d->endpoint], pidfile => $d->pidfile) } 1 .. 5;

	$_->launch for @all;
	ok(wait_until { (grep { $_->running } @all) == 1 &&
	    (grep { $_->running && $_->told(qr/READY=1/) } @all) == 1 },
	    'exactly one of five simultaneous starts succeeds');
	is(join(' ', map { $_->{status} } grep { !$_->running } @all), '3 3 3 3',
	    'the others end with status 3');
	my ($winner) = grep { $_->running } @all;
	is(slurp($d->pidfile), $winner->pid . "\n", "the pid file has the winner's pid");
	$winner->ends_well;
	ok(!-e $d->endpoint && !-e $d->pidfile, 'no file is left');
};

done_testing();
