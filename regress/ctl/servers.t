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

	is($one->ask(sasl_username => 'bob'), 'dunno', 'one') for 1 .. 3;
	is($two->ask(sasl_username => 'bob'), 'reject 3 3', 'full');
	is(ctl_json($one, 'explain', 'sasl_username=bob', 'protocol_state=DATA')->{action},
	    'reject 3 3', 'explained');
	is((ctl($one, 'grant', 'bob', 1, 600))[0], 0, 'grant');
	ok(wait_until { $two->ask(sasl_username => 'bob') eq 'dunno' }, 'one more');
	is($one->ask(sasl_username => 'bob'), 'reject 4 4', 'and that is all');
	is((ctl($two, 'block', 'bob', 600))[0], 0, 'block');
	ok(wait_until { $one->ask(sasl_username => 'bob') eq 'reject 5.7.1 Sending is blocked' },
	    'nothing more');
	is((ctl($one, 'block', 'bob', 300))[0], 0, 'block again');
	is((ctl($one, 'unblock', 'bob'))[0], 0, 'unblock');
	is(ctl_json($two, 'reset', 'bob')->{resets}[0]{n}, 4, 'reset');
	is($db->recorded('bob'), 0, 'in the table');
	ok(wait_until { $two->ask(sasl_username => 'bob') eq 'dunno' }, 'free again');
	is($one->ask(sasl_username => 'bob'), 'dunno', 'everywhere');
	is($db->recorded('bob'), 2, 'and counted');
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
