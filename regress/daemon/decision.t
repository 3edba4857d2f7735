#!/usr/bin/perl
# Decisions as a client sees them, where the older program went wrong.

use strict;
use warnings;

use Test::More;

use Policyd qw(request wait_until True False need have_command);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

subtest 'case-variant-login' => sub {
	my $d = Policyd->start(config => { limits => [[3, 3600]],
	    fail_action => 'reject full', limits_by_id => { 'Alice@Example.org' => [[1, 60]] } });

	is($d->ask(sasl_username => $_), 'dunno', $_) for 'bob', 'Bob', 'BOB';
	is($d->ask(sasl_username => 'boB'), 'reject full', 'one count for all of them');
	is($d->recorded('bob'), 3, 'recorded in lower case');
	is($d->ask(sasl_username => 'ALICE@example.ORG'), 'dunno', 'limits_by_id');
	is($d->ask(sasl_username => 'alice@example.org'), 'reject full',
	    'finds the name in any case too');
	$d->ends_well;

	$d = Policyd->start(config => { limits => [[1, 3600]], fold_case => False,
	    fail_action => 'reject full' });
	is($d->ask(sasl_username => $_), 'dunno', "fold_case off: $_") for 'bob', 'Bob';
	is($d->ask(sasl_username => 'Bob'), 'reject full', 'each has a count of its own');
	$d->ends_well;
};

subtest 'wrong-stage-silent' => sub {
	for my $case ([0, 'DATA', 'smtpd_recipient_restrictions'],
	    [1, 'RCPT', 'smtpd_data_restrictions'],
	    [2, 'RCPT', 'smtpd_data_restrictions'],
	    ['auto', 'CONNECT', 'smtpd_data_restrictions']) {
		my ($mode, $stage, $hint) = @$case;
		my $d = Policyd->start(config => { limits => [[1, 3600]],
		    count_mode => $mode, fail_action => 'reject full' });

		is($d->ask(sasl_username => 'bob', protocol_state => $stage), 'dunno',
		    "count_mode $mode, asked at $stage: success_action") for 1 .. 3;
		is($d->recorded('bob'), 0, 'nothing is recorded');
		ok($d->wait_log(qr/$hint/), "the log names $hint");
		my $socket = $d->endpoint;
		ok($d->wait_log(qr/$hint = check_policy_service \{ unix:\Q$socket\E, default_action=DUNNO \}/),
		    'with the socket and a default_action');
		my @hints = $d->log =~ /$hint/g;
		is(scalar @hints, 1, 'once');
		$d->ends_well;
	}

	my $d = Policyd->start(config => { rules => [
	    { name => 'all', key => 'sasl_username', limits => [[1000, 3600]] },
	    { name => 'size', key => 'sasl_username', limits => [[1000, 3600]],
	    count => 'bytes' }] });
	my $client = $d->connect;
	$client->ask(sasl_username => 'bob', protocol_state => 'RCPT', instance => "i$_")
	    for 1 .. 100;
	ok($d->wait_log(qr/rule size limits nothing: .* needs: smtpd_data_restrictions = /),
	    'a rule whose stage never comes is named');
	unlike($d->log, qr/rule all limits nothing|: nothing is limited/, 'the other one is not');
	$d->ends_well;
};

subtest 'retransmit-counts-twice' => sub {
	for my $stage ('RCPT', 'DATA', 'END-OF-MESSAGE') {
		my $d = Policyd->start(config => { limits => [[4, 3600]],
		    fail_action => 'reject full' });
		my %mail = (sasl_username => 'bob', protocol_state => $stage,
		    instance => '1a2b.5c.1', recipient_count => $stage eq 'RCPT' ? 0 : 2);
		my $one = $stage eq 'RCPT' ? 1 : 2;

		is($d->ask(%mail), 'dunno', "$stage: asked");
		is($d->ask(%mail), 'dunno', 'asked again');
		is($d->connect->ask(%mail), 'dunno', 'and on another connection');
		is($d->recorded('bob'), $one, 'counted once');
		$d->restart;
		is($d->ask(%mail), 'dunno', 'and of another daemon later');
		is($d->recorded('bob'), $one, 'still once');
		SKIP: {
			skip 'a count of recipients', 5 if $stage eq 'RCPT';
			is($d->ask(%mail, recipient_count => 3), 'dunno',
			    'the same mail with one recipient more');
			is($d->recorded('bob'), 3, 'costs the difference');
			is($d->ask(%mail, recipient_count => 5), 'reject full',
			    'with two more than there is room for');
			is($d->ask(%mail, recipient_count => 5), 'reject full',
			    'asked again');
			is($d->recorded('bob'), 3, 'a refusal records nothing');
		}
		is($d->ask(%mail, instance => '1a2b.5c.2', recipient_count => 1), 'dunno',
		    'another mail');
		is($d->recorded('bob'), $stage eq 'RCPT' ? 2 : 4, 'counts by itself');
		$d->ends_well;
	}
};

subtest 'recipients-at-rcpt-count-each' => sub {
	my $d = Policyd->start(config => { limits => [[3, 3600]],
	    fail_action => 'reject full' });
	my %mail = (sasl_username => 'bob', protocol_state => 'RCPT', instance => 'x.1',
	    recipient_count => 0);

	is($d->ask(%mail, recipient => "r$_\@example.net"), 'dunno', "recipient $_")
	    for 1 .. 3;
	is($d->ask(%mail, recipient => 'r2@example.net'), 'dunno', 'the second once more');
	is($d->ask(%mail, recipient => 'r4@example.net'), 'reject full', 'the fourth');
	is($d->ask(%mail, protocol_state => 'DATA', recipient_count => 3), 'dunno',
	    'DATA of the same mail costs nothing more');
	is($d->recorded('bob'), 3, 'three');
	$d->ends_well;
};

done_testing();
