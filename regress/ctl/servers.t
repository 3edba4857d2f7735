#!/usr/bin/perl
# What policyctl changes is shared by daemons on one PostgreSQL or MariaDB.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl ctl_json);
use Database;
use Policyd qw(wait_until);

sub check {
	my ($db) = @_;
	my ($one, $two) = map { Policyd->start(config => { $db->config, db_timeout => 20,
	    limits => [[3, 3600]], fail_action => 'reject {used} {limit}' }) } 1 .. 2;

	is($one->ask(sasl_username => 'bob'), 'dunno', 'three mails are accepted') for 1 .. 3;
	is($two->ask(sasl_username => 'bob'), 'reject 3 3',
	    'the other daemon refuses the fourth mail');
	is(ctl_json($one, 'explain', 'sasl_username=bob', 'protocol_state=DATA')->{action},
	    'reject 3 3', 'explain has the same answer');
	is((ctl($one, 'grant', 'bob', 1, 600))[0], 0, 'grant succeeds');
	ok(wait_until { $two->ask(sasl_username => 'bob') eq 'dunno' },
	    'the grant lets one more pass on the other daemon');
	is($one->ask(sasl_username => 'bob'), 'reject 4 4', 'the granted mail uses up the grant');
	is((ctl($two, 'block', 'bob', 600))[0], 0, 'block succeeds');
	ok(wait_until { $one->ask(sasl_username => 'bob') eq 'reject 5.7.1 Sending is blocked' },
	    'the first daemon refuses what the other blocked');
	is((ctl($one, 'block', 'bob', 300))[0], 0, 'block replaces the block of the other daemon');
	is((ctl($one, 'unblock', 'bob'))[0], 0, 'unblock succeeds');
	is(ctl_json($two, 'reset', 'bob')->{resets}[0]{n}, 4,
	    'reset says how many mails are taken back');
	is($db->recorded('bob'), 0, 'the sum in the table is 0');
	ok(wait_until { $two->ask(sasl_username => 'bob') eq 'dunno' },
	    'the other daemon accepts mail after the reset');
	is($one->ask(sasl_username => 'bob'), 'dunno',
	    'the first daemon accepts mail after the reset');
	is($db->recorded('bob'), 2, 'both mails are recorded');
	is(ctl_json($one, 'status')->{database}, 'well', 'the database is well');
	$_->ends_well for $one, $two;
}

for my $kind (qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);

		check($db);
		$db->stop;
	};
}

done_testing;
