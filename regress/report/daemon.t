#!/usr/bin/perl
# Reports of a running daemon: sent at the first hit, retried when they fail; only hits
# that were reported are deleted.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl ctl_command);
use Policyd qw(True False wait_until);
use Report;
use Smtpd;

Smtpd->needed;
Report->needed;

sub start {
	my ($s, %settings) = @_;

	return Policyd->start(config => {
		limits => [[1, 86400]],
		fail_action => 'reject full',
		report => True,
		report_to => 'postmaster@example.org',
		report_immediately => True,
		smtp_server => ['127.0.0.1', $s->port],
		%settings });
}

sub refuse {
	my ($d, $times) = @_;

	$d->ask(sasl_username => 'bob');
	is($d->ask(sasl_username => 'bob'), 'reject full',
	    'a mail is refused') for 1 .. $times;
}

sub hits {
	my ($d) = @_;
	my ($row) = $d->sql("SELECT COALESCE(SUM(hit), 0) FROM limit_report");

	return $row->[0];
}

subtest 'hits that come in meanwhile stay' => sub {
	my $s = Smtpd->start(hold => 'BODY');
	my $d = start($s);

	refuse($d, 1);
	ok($s->holds, 'the first hit is reported at once');
	is($d->ask(sasl_username => 'bob'), 'reject full',
	    'the daemon decides requests meanwhile') for 1 .. 4;
	is(hits($d), 5, 'no hit is deleted before the server accepts the mail');
	$s->release;
	ok(wait_until { hits($d) == 4 }, 'the reported hit is deleted') or diag(hits($d));
	my ($mail) = $s->mails;
	like($mail->{data}, qr/^bob +1 per day +1$/m, 'the mail has that hit');
	ok($d->wait_log(qr/the report was sent/), 'the sent report is logged');
	$d->ends_well;
	is(scalar(my @m = $s->mails), 1, 'no second mail within five minutes');
};

subtest 'a first hit while a mail is being sent' => sub {
	my $s = Smtpd->start(hold => 'BODY');
	my $d = start($s);

	refuse($d, 1);
	ok($s->holds, 'the first hit is reported at once');
	$d->ask(sasl_username => 'eve');
	is($d->ask(sasl_username => 'eve'), 'reject full', 'a first hit of another login');
	ok(wait_until { hits($d) == 2 }, 'the second hit is recorded');
	my $out = "$d->{dir}/wishes";
	my @wishes = map { $d->spawn($out, $out, ctl_command($d, 'report')) } 1 .. 2;
	ok(wait_until { (() = $d->log =~ /uid=\d+ gid=\d+ asks for: report$/mg) == 2 },
	    'two commands wait for the report');
	$s->release;
	is(Policyd::reap($_), 0,
	    'the commands are answered once that mail is sent') for @wishes;
	is((ctl($d, 'clean'))[0], 0, 'clean, so that a due report would be sent');
	is(scalar(my @m = $s->mails), 1, 'there is one mail in five minutes');
	is(hits($d), 1, 'the other hit waits for the next mail');
	$d->ends_well;
};

subtest 'reported by --clean' => sub {
	my $s = Smtpd->start;
	my $d = start($s);

	# The hit is older than the daemon and was not reported.
	$d->stop;
	$d->sql("INSERT INTO limit_report (id, delta, hit) VALUES ('bob', 86400, 1)");
	$d->start;
	refuse($d, 1);
	my ($status) = $d->run('--clean');
	is($status, 0, '--clean beside the daemon');
	is(scalar(my @mails = $s->mails), 1, '--clean sends the report');
	is(hits($d), 0, '--clean deletes the reported hits');
	ok(wait_until {
		$d->ask(sasl_username => 'bob');
		(my @m = $s->mails) > 1
	}, 'the next hit is the first again, which is mailed at once');
	$d->ends_well;
};

subtest 'report killed' => sub {
	my $s = Smtpd->start(hold => 'BODY');
	my $d = start($s);

	refuse($d, 2);
	ok($s->holds, 'the mail is being sent');
	kill 'KILL', $d->child('report');
	ok($d->wait_log(qr/tried again in \d+ s/), 'the report will be retried');
	cmp_ok(hits($d), '>=', 1, 'no hit is lost');
	is($d->ask(sasl_username => 'bob'), 'reject full',
	    'the daemon decides requests meanwhile');
	$d->ends_well;
};

# A sandboxed report does not get the reloaded log settings: a syslogd socket would be a
# new descriptor, which pledge(2) forbids.
subtest 'a reload meanwhile' => sub {
	my $s = Smtpd->start(hold => 'BODY', reply => { RCPT => ['550 5.1.1 no', '250 ok'] });
	my $d = start($s, report_to => ['nobody@example.org', 'postmaster@example.org']);

	refuse($d, 1);
	ok($s->holds, 'the mail is being sent');
	my $report = $d->child('report');
	my $mark = $d->log_mark;
	$d->write_config({ debug => False });
	$d->signal('HUP');
	ok($d->wait_log(qr/reading the configuration again/, $mark), 'the daemon reloads');
	ok(wait_until { $d->ask(sasl_username => 'bob') eq 'reject full' },
	    'the daemon decides requests');
	$s->release;
	ok($d->wait_log(qr/did not go to everybody/, $mark),
	    'the report keeps its first log settings');
	$d->ends_well;
};

subtest 'a server that is away' => sub {
	my $s = Smtpd->start;
	my $d = start($s);

	$s->stop;
	refuse($d, 1);
	ok($d->wait_log(qr/the report was not sent: no connection/),
	    'the failure is logged');
	ok($d->wait_log(qr/tried again in \d+ s/), 'the report will be retried');
	is(hits($d), 1, 'the hit remains');

	# A reload with a new server retries the report without waiting.
	my $mended = Smtpd->start;
	$d->write_config({ smtp_server => ['127.0.0.1', $mended->port] });
	$d->signal('HUP');
	ok(wait_until { () = $mended->mails },
	    'after a reload with another server the report is sent at once');
	$d->ends_well;
};

subtest 'switched off before a retry' => sub {
	my $s = Smtpd->start(reply => { greeting => ['421 later', '220 hello'] });
	my $d = start($s);

	refuse($d, 1);
	ok($d->wait_log(qr/tried again in \d+ s/), 'the report will be retried');
	my $mark = $d->log_mark;
	$d->write_config({ report => False });
	$d->signal('HUP');
	ok($d->wait_log(qr/the new configuration is in force/, $mark),
	    'reports are switched off');
	$d->write_config({ limits => [[2, 86400]] });
	$d->signal('HUP');
	ok(wait_until { $d->ask(sasl_username => 'eve', recipient_count => 2) eq 'dunno' },
	    'the one after that');
	is(scalar(() = $s->transcript =~ /^X: connected/mg), 1,
	    'no further mail is sent');
	$d->ends_well;
};

subtest 'stopped while the server is slow' => sub {
	my $s = Smtpd->start(silent => 'MAIL');
	my $d = start($s);

	refuse($d, 1);
	ok(wait_until { $s->transcript =~ /^X: silent/m }, 'the server does not answer');
	is($d->stop, 0, 'the daemon stops all the same');
	is(hits($d), 1, 'the hit remains');
};

subtest 'clean_interval' => sub {
	my $s = Smtpd->start;
	my $d = start($s, report_immediately => Policyd::False(), clean_interval => 1);

	refuse($d, 3);
	ok(wait_until { () = $s->mails }, 'the report is sent after clean_interval');
	ok(wait_until { hits($d) == 0 }, 'the hits are deleted');
	$d->ends_well;
};

subtest 'reloads do not delay the report' => sub {
	my $s = Smtpd->start;
	my $d = start($s, report_immediately => False, clean_interval => 2);

	refuse($d, 1);
	ok(wait_until { $d->signal('HUP'); () = $s->mails },
	    'the report is sent despite reloads');
	$d->ends_well;
};

done_testing();
