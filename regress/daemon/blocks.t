#!/usr/bin/perl
# Blocks while the database does not answer, and before the engine has read the block list.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl ctl_json);
use Fault;
use Policyd qw(freeze request wait_until need have_command);

need(have_command('sqlite3'), 'no sqlite3 to lock the database with');

my $blocked = 'reject 5.7.1 Sending is blocked';
my %config = (limits => [[100, 3600]], db_error_action => 'defer database');

# Sends requests that get no verdict until the engine's block list has expired.
sub pass_time {
	my ($d) = @_;
	my $away = qr/^(?:defer database|dunno)$/;

	like($d->ask(sasl_username => 'eve'), $away, 'other logins get no verdict')
	    for 1 .. 2;
}

for my $mode ('defer database', 'memory') {
	subtest "a block holds while the file is locked: db_error_action $mode" => sub {
		my $d = Policyd->start(config => { %config, db_error_action => $mode });
		my %bob = (sasl_username => 'bob');

		is($d->ask(%bob), 'dunno', 'a mail is accepted before the block');
		is((ctl($d, 'block', 'bob', '1h'))[0], 0, 'block succeeds');
		ok(Fault::db_timeout($d, 1), 'requests wait for a second');
		my $unlock = Fault::lock_database($d);
		pass_time($d);
		is($d->ask(%bob), $blocked,
		    'a blocked login is refused at a stage that is charged');
		is($d->ask(%bob, protocol_state => 'VRFY'), $blocked,
		    'a request at a stage that is not charged is refused');
		like((ctl($d, 'list'))[1], qr/\Alogin:bob blocked until /,
		    'policyctl list shows the block: the file can be read');
		my $j = ctl_json($d, 'list');
		is_deeply([@$j{'source', 'reason'}], ['database', undef], '-j says so');
		$unlock->();
		ok(wait_until { $d->ask(sasl_username => 'zoe') eq 'dunno' && $d->recorded('zoe') },
		    'the database works again');
		is($d->ask(%bob), $blocked, 'the block still applies');
		is($d->recorded('bob'), 1, 'no blocked request was recorded');
		$d->ends_well;
	};
}

subtest 'a daemon that starts with a locked database logs that it has no block list' => sub {
	my $d = Policyd->start(config => { %config });
	my $says = qr/the database has not told what is blocked/;

	is((ctl($d, 'block', 'bob', 'forever'))[0], 0, 'block succeeds');
	unlike($d->log, $says, 'no such log line while the database works');
	$d->stop;
	$d->write_config({ db_timeout => 1 });
	my $unlock = Fault::lock_database($d);
	my $mark = $d->log_mark;
	$d->launch;
	ok(wait_until { $d->told(qr/^READY=1$/m) },
	    'the daemon starts with a locked database');
	is($d->ask(sasl_username => 'bob'), 'defer database',
	    'a charged request gets db_error_action');
	is($d->ask(sasl_username => 'bob', protocol_state => 'VRFY'), 'dunno',
	    'an uncharged request passes');
	ok($d->wait_log($says, $mark), 'the missing block list is logged');
	my ($status, $out) = ctl($d, 'list');
	is($status, 3, 'policyctl list fails instead of printing an empty list');
	is($out, '', 'policyctl list prints nothing to stdout');
	is($d->ask(sasl_username => 'bob', protocol_state => 'VRFY'), 'dunno',
	    'an uncharged request is still not blocked');
	is(() = $d->log_since($mark) =~ /$says/g, 1, 'the log says once that no block is known');
	$unlock->();
	ok(wait_until { $d->ask(sasl_username => 'bob') eq $blocked },
	    'the block applies once the list has been read');
	ok($d->wait_log(qr/the database has told what is blocked: 1 block, 0 grants/, $mark),
	    'the log says that the block list was read');
	is(() = $d->log_since($mark) =~ /has told/g, 1, 'the log says once that the list was read');
	$d->ends_well;
};

subtest 'requests wait until the first block list has been read' => sub {
	my $d = Policyd->start(config => { %config });

	is((ctl($d, 'block', 'bob', 'forever'))[0], 0, 'block succeeds');
	for my $state ('DATA', 'VRFY') {
		$d->stop;
		$d->launch;
		my $early;
		ok(wait_until { $early = $d->connect_quietly },
		    'a client connects before the daemon is ready');
		is($early->ask(sasl_username => 'bob', protocol_state => $state), $blocked,
		    "$state of a blocked login");
		ok(wait_until { $d->told(qr/^READY=1$/m) }, 'the daemon is ready');
	}
	$d->ends_well;
};

# The engine decides alone; every step of a decision is tested.
subtest 'memory: blocks, soft actions and never_action while the database is away' => sub {
	my $d = Policyd->start(config => { db_error_action => 'memory',
	    fail_action => 'defer {rule} {retry_after}', never_action => 'reject never {rule}',
	    rules => [
	    { name => 'soft', key => 'sasl_username', limits => [[2, 600]],
	    action => 'HOLD over {limit}' },
	    { name => 'hard', key => 'sasl_username', limits => [[4, 3600]] }] });
	my %bob = (sasl_username => 'bob');

	is($d->ask(%bob), 'dunno', 'a mail is accepted while the database works');
	is((ctl($d, 'block', 'mallory', '1h'))[0], 0, 'block succeeds');
	ok(Fault::db_timeout($d, 1), 'requests wait for a second');
	freeze(my $ledger = $d->child('ledger-sqlite'));
	is($d->ask(sasl_username => 'mallory'), $blocked, 'a blocked login is refused');
	is($d->ask(%bob), 'dunno', 'the second mail is accepted');
	is($d->ask(%bob, instance => 'third'), 'HOLD over 2',
	    'the third mail exceeds the soft limit');
	is($d->ask(%bob, instance => 'third'), 'HOLD over 2',
	    'a repeated request gets the same answer');
	is($d->ask(%bob), 'HOLD over 2', 'the fourth mail exceeds the soft limit');
	like($d->ask(%bob), qr/^defer hard (?:3[56]\d\d)$/,
	    'the fifth mail exceeds the hard limit');
	is($d->ask(%bob, recipient_count => 5), 'reject never hard',
	    'a mail that can never fit gets never_action');
	is($d->ask(sasl_username => 'mallory'), $blocked,
	    'the blocked login is still refused');
	my $out = (ctl($d, 'list'))[1];
	like($out, qr/\Aas the daemon has read it last: the database did not answer in time$/m,
	    'policyctl list says that it has no answer');
	like($out, qr/^login:mallory blocked until/m, 'and shows the block');
	my $j = ctl_json($d, 'list');
	is_deeply([@$j{'source', 'reason'}], ['memory', 'the database did not answer in time'],
	    '-j says so too');
	kill 'CONT', $ledger;
	ok(wait_until { $d->recorded('hard:bob') == 4 },
	    'every accepted mail is recorded under the hard rule');
	is($d->recorded('soft:bob'), 4, 'four mails are recorded under the soft rule');
	like($d->ask(%bob), qr/^defer hard \d+$/, 'the recorded mails count');
	is($d->recorded('soft:mallory'), 0, 'no mail of the blocked login is recorded');
	like((ctl($d, 'list'))[1], qr/\Alogin:mallory blocked until/, 'the list is read again');
	$d->ends_well;
};

done_testing;
