#!/usr/bin/perl
# Decisions in the cases that the older program got wrong, as a client sees them.

use strict;
use warnings;

use Test::More;

use Policyd qw(request wait_until True False need have_command);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

subtest 'case-variant-login' => sub {
	my $d = Policyd->start(config => { limits => [[3, 3600]],
	    fail_action => 'reject full', limits_by_id => { 'Alice@Example.org' => [[1, 60]] } });

	is($d->ask(sasl_username => $_), 'dunno', $_) for 'bob', 'Bob', 'BOB';
	is($d->ask(sasl_username => 'boB'), 'reject full',
	    'all spellings of a login share one count');
	is($d->recorded('bob'), 3, 'the login is recorded in lower case');
	is($d->ask(sasl_username => 'ALICE@example.ORG'), 'dunno',
	    "the login's own limit in limits_by_id applies");
	is($d->ask(sasl_username => 'alice@example.org'), 'reject full',
	    'limits_by_id matches in any case');
	$d->ends_well;

	$d = Policyd->start(config => { limits => [[1, 3600]], fold_case => False,
	    fail_action => 'reject full' });
	is($d->ask(sasl_username => $_), 'dunno', "fold_case off: $_") for 'bob', 'Bob';
	is($d->ask(sasl_username => 'Bob'), 'reject full', 'each spelling has its own count');
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
		    'the log suggests the socket and a default_action');
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
	    'a rule that never sees its stage is logged');
	unlike($d->log, qr/rule all limits nothing|: nothing is limited/,
	    'the other rule is not logged');
	$d->ends_well;
};

subtest 'retransmit-counts-twice' => sub {
	for my $stage ('RCPT', 'DATA', 'END-OF-MESSAGE') {
		my $d = Policyd->start(config => { limits => [[4, 3600]],
		    fail_action => 'reject full' });
		my %mail = (sasl_username => 'bob', protocol_state => $stage,
		    instance => '1a2b.5c.1', recipient_count => $stage eq 'RCPT' ? 0 : 2);
		my $one = $stage eq 'RCPT' ? 1 : 2;

		is($d->ask(%mail), 'dunno', "$stage: a request is accepted");
		is($d->ask(%mail), 'dunno', 'the repeated request is accepted');
		is($d->connect->ask(%mail), 'dunno',
		    'the request repeated on another connection is accepted');
		is($d->recorded('bob'), $one, 'the mail is counted once');
		$d->restart;
		is($d->ask(%mail), 'dunno',
		    'the request repeated after a restart is accepted');
		is($d->recorded('bob'), $one, 'the mail is still counted once');
		SKIP: {
			skip 'RCPT has no recipient count', 5 if $stage eq 'RCPT';
			is($d->ask(%mail, recipient_count => 3), 'dunno',
			    'the same mail with one more recipient is accepted');
			is($d->recorded('bob'), 3, 'only the additional recipient is charged');
			is($d->ask(%mail, recipient_count => 5), 'reject full',
			    'the same mail beyond the limit is refused');
			is($d->ask(%mail, recipient_count => 5), 'reject full',
			    'the repeated request is refused');
			is($d->recorded('bob'), 3, 'a refusal records nothing');
		}
		is($d->ask(%mail, instance => '1a2b.5c.2', recipient_count => 1), 'dunno',
		    'another mail is accepted');
		is($d->recorded('bob'), $stage eq 'RCPT' ? 2 : 4,
		    'the other mail is counted separately');
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
	is($d->ask(%mail, recipient => 'r2@example.net'), 'dunno',
	    'the second recipient, repeated, is accepted');
	is($d->ask(%mail, recipient => 'r4@example.net'), 'reject full',
	    'the fourth recipient is refused');
	is($d->ask(%mail, protocol_state => 'DATA', recipient_count => 3), 'dunno',
	    'DATA of the same mail is not charged again');
	is($d->recorded('bob'), 3, 'three');
	$d->ends_well;
};

done_testing();
