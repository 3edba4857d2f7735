#!/usr/bin/perl
# Blocks while the database gives no verdict, and before it told which there are.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl ctl_json);
use Fault;
use Policyd qw(request wait_until need have_command);

need(have_command('sqlite3'), 'no sqlite3 to lock the database with');

my $blocked = 'reject 5.7.1 Sending is blocked';
my %config = (limits => [[100, 3600]], db_timeout => 1, db_error_action => 'defer database');

# Answers without a verdict, until the engine's list is older than it keeps it for fresh.
sub pass_time {
	my ($d) = @_;
	my $away = qr/^(?:defer database|dunno)$/;

	like($d->ask(sasl_username => 'eve'), $away, 'others are answered without a verdict')
	    for 1 .. 2;
}

for my $mode ('defer database', 'memory') {
	subtest "a block holds while the file is locked: db_error_action $mode" => sub {
		my $d = Policyd->start(config => { %config, db_error_action => $mode });
		my %bob = (sasl_username => 'bob');

		is($d->ask(%bob), 'dunno', 'bob sends');
		is((ctl($d, 'block', 'bob', '1h'))[0], 0, 'block');
		my $unlock = Fault::lock_database($d);
		pass_time($d);
		is($d->ask(%bob), $blocked, 'a request that would be charged');
		is($d->ask(%bob, protocol_state => 'VRFY'), $blocked, 'and one that is not');
		like((ctl($d, 'list'))[1], qr/^login:bob blocked until /m, 'list tells what is known');
		$unlock->();
		ok(wait_until { $d->ask(sasl_username => 'zoe') eq 'dunno' && $d->recorded('zoe') },
		    'the database is back');
		is($d->ask(%bob), $blocked, 'it holds on');
		is($d->recorded('bob'), 1, 'no blocked request was recorded');
		$d->ends_well;
	};
}

subtest 'a start whose database does not tell has no list, and says so' => sub {
	my $d = Policyd->start(config => { %config });
	my $says = qr/the database has not told what is blocked/;

	is((ctl($d, 'block', 'bob', 'forever'))[0], 0, 'block');
	unlike($d->log, $says, 'all is well');
	$d->stop;
	my $unlock = Fault::lock_database($d);
	my $mark = $d->log_mark;
	$d->launch;
	ok(wait_until { $d->told(qr/^READY=1$/m) }, 'a start with a locked database');
	is($d->ask(sasl_username => 'bob'), 'defer database', 'no verdict, no list');
	is($d->ask(sasl_username => 'bob', protocol_state => 'VRFY'), 'dunno',
	    'what is not charged passes');
	ok($d->wait_log($says, $mark), 'the log says so');
	my ($status, $out) = ctl($d, 'list');
	is($status, 3, 'list does not say that there is none');
	is($out, '', 'nor anything else');
	is($d->ask(sasl_username => 'bob', protocol_state => 'VRFY'), 'dunno',
	    'an uncharged request is still not blocked');
	is(() = $d->log_since($mark) =~ /$says/g, 1, 'once');
	$unlock->();
	ok(wait_until { $d->ask(sasl_username => 'bob') eq $blocked }, 'the list arrives');
	ok($d->wait_log(qr/the database has told what is blocked: 1 block, 0 grants/, $mark),
	    'the log says that the list was read');
	is(() = $d->log_since($mark) =~ /has told/g, 1, 'once');
	$d->ends_well;
};

subtest 'what is asked before the first list waits for it' => sub {
	my $d = Policyd->start(config => { %config, db_timeout => 20 });

	is((ctl($d, 'block', 'bob', 'forever'))[0], 0, 'block');
	for my $state ('DATA', 'VRFY') {
		$d->stop;
		$d->launch;
		my $early;
		ok(wait_until { $early = $d->connect_quietly }, 'a client, as soon as it can');
		is($early->ask(sasl_username => 'bob', protocol_state => $state), $blocked,
		    "$state of a blocked login");
		ok(wait_until { $d->told(qr/^READY=1$/m) }, 'it is ready');
	}
	$d->ends_well;
};

# Each step of the decision, by the engine alone.
subtest 'memory: blocks, soft actions and never_action while the database is away' => sub {
	my $d = Policyd->start(config => { db_timeout => 1, db_error_action => 'memory',
	    fail_action => 'defer {rule} {retry_after}', never_action => 'reject never {rule}',
	    rules => [
	    { name => 'soft', key => 'sasl_username', limits => [[2, 600]],
	    action => 'HOLD over {limit}' },
	    { name => 'hard', key => 'sasl_username', limits => [[4, 3600]] }] });
	my %bob = (sasl_username => 'bob');

	is($d->ask(%bob), 'dunno', 'a mail with the database');
	is((ctl($d, 'block', 'mallory', '1h'))[0], 0, 'block');
	kill 'STOP', my $ledger = $d->child('ledger-sqlite');
	is($d->ask(sasl_username => 'mallory'), $blocked, 'a block');
	is($d->ask(%bob), 'dunno', 'the second mail');
	is($d->ask(%bob, instance => 'third'), 'HOLD over 2', 'the third is over the soft limit');
	is($d->ask(%bob, instance => 'third'), 'HOLD over 2', 'sent again it is told the same');
	is($d->ask(%bob), 'HOLD over 2', 'the fourth');
	like($d->ask(%bob), qr/^defer hard (?:3[56]\d\d)$/, 'the hard limit holds');
	is($d->ask(%bob, recipient_count => 5), 'reject never hard', 'one that never fits');
	is($d->ask(sasl_username => 'mallory'), $blocked, 'the block still');
	kill 'CONT', $ledger;
	ok(wait_until { $d->recorded('hard:bob') == 4 }, 'all of it is recorded');
	is($d->recorded('soft:bob'), 4, 'under both rules');
	like($d->ask(%bob), qr/^defer hard \d+$/, 'and counts');
	is($d->recorded('soft:mallory'), 0, 'nothing of what was blocked');
	$d->ends_well;
};

done_testing;
