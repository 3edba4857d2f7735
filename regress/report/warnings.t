#!/usr/bin/perl
# warn_at in the report, with each database: warnings are stored like hits, listed beside
# them, and with report_immediately sent at once.

use strict;
use warnings;

use MIME::QuotedPrint;
use Test::More;

use Ctl qw(ctl ctl_command);
use Database;
use Policyd qw(freeze True False wait_until);
use Report;
use Smtpd;

Smtpd->needed;

my $tables = <<'END';

id        limit        hits
--------  -----------  ----
user:eve  10 per hour     1

Came near a limit: 2 warnings on 2 limits.

id        limit        warnings
--------  -----------  --------
user:bob  10 per hour         1
user:eve  10 per hour         1
END

my $for_programs = <<'END';
rule,id,mails,seconds,hits,warnings,shadow,locks
"user","eve",10,3600,1,1,0,0
"user","bob",10,3600,0,1,0,0
END

# Warns at the eighth mail in an hour and at the sixteenth in a day.
sub start {
	my ($s, $db, %settings) = @_;

	return Policyd->start(config => {
		rules => [{ name => 'user', key => 'sasl_username',
		    limits => [[10, 3600], [20, 86400]], warn_at => 80 },
		    { name => 'from', key => 'sender', limits => [[10, 3600]],
		    warn_at => 50, report => False },
		    { name => 'shadow', key => 'sasl_username', limits => [[6, 3600]],
		    shadow => True, report => False }],
		fail_action => 'reject full',
		report => True,
		report_limits => [3600, 86400],
		report_to => 'postmaster@example.org',
		smtp_server => ['127.0.0.1', $s->port],
		$db ? $db->config : (), %settings });
}

sub rows {
	my ($d, $db, $table) = @_;

	return join ', ', map { "@$_" } ($db // $d)->sql("SELECT id, delta, hit FROM $table " .
	    'ORDER BY id, delta');
}

# Sends a mail to $n recipients, which is accepted.
sub send_mails {
	my ($d, $id, $n) = @_;

	is($d->ask(sasl_username => $id, sender => "$id\@example.org", recipient_count => $n),
	    'dunno', "$id sends $n");
}

sub text {
	my ($mail) = @_;

	return decode_qp($mail->{data} // '');
}

sub reported {
	my ($db) = @_;
	my $s = Smtpd->start(hold => 'BODY');
	my $d = start($s, $db);

	send_mails($d, 'bob', 7);
	is(rows($d, $db, 'limit_warning'), '', 'no warning yet');
	send_mails($d, 'bob', 1);
	is(rows($d, $db, 'limit_warning'), 'user:bob 3600 1', "bob's warning is recorded");
	ok($d->wait_log(qr/near\ its\ limit:\ id=<user:bob>\ key=sasl_username\ rule=user\ n=1
	    \ limit=10\/3600\ used=8\ /x), 'the warning is logged');
	ok($d->wait_log(qr/would\ refuse:\ id=<shadow:bob>\ key=sasl_username\ rule=shadow\ n=1
	    \ limit=6\/3600\ used=7\ .*sasl_username=bob/x),
	    'the log has what a rule in shadow would do');
	send_mails($d, 'eve', 10);
	is($d->ask(sasl_username => 'eve'), 'reject full', "eve's mail is refused");
	is(rows($d, $db, 'limit_report'), 'user:eve 3600 1', 'the refusal is a hit');
	is(rows($d, $db, 'limit_warning'), 'user:bob 3600 1, user:eve 3600 1',
	    'there is no second warning');
	my $out = "$d->{dir}/wish";
	my $wish = $d->spawn($out, $out, ctl_command($d, 'report'));
	ok($s->holds, 'the mail is being sent');
	send_mails($d, 'zoe', 8);
	is(rows($d, $db, 'limit_warning'), 'user:bob 3600 1, user:eve 3600 1, ' .
	    'user:zoe 3600 1', 'no warning is deleted before the server accepts the mail');
	$s->release;
	is(Policyd::reap($wish), 0, 'the server accepts the mail');
	is(rows($d, $db, 'limit_warning'), 'user:zoe 3600 1',
	    'the reported warnings are deleted');
	is(rows($d, $db, 'limit_report'), '', 'the reported hit is deleted');
	my ($mail) = $s->mails;
	my $text = text($mail);
	like($text, qr/^[^\n]+: 1 hit on 1 limit so far\.\n\Q$tables\E/m,
	    'warnings have their own section');
	like($text, qr/^\Q$for_programs\E/m, 'the CSV has a column for them');
	$d->ends_well;
}

# A warning without a hit causes a report.
sub alone {
	my ($db) = @_;
	my $s = Smtpd->start;
	my $d = start($s, $db);

	is((ctl($d, 'explain', 'protocol_state=DATA', 'sasl_username=ann',
	    'recipient_count=9'))[0], 0, 'explain of a request near the limit');
	is(rows($d, $db, 'limit_warning'), '', 'explain records no warning');
	send_mails($d, 'ann', 9);
	is(($d->run('--clean'))[0], 0, '--clean succeeds');
	my ($mail) = $s->mails;
	like(text($mail), qr/: no limit was hit .*\n\nCame near a limit: /,
	    'the report has it');
	is(rows($d, $db, 'limit_warning'), '', 'the reported row is deleted');
	is(($d->run('--clean'))[0], 0, 'a second --clean');
	is(scalar(my @mails = $s->mails), 1, 'no second mail is sent');
	$d->ends_well;
}

# A refusal of a shadow rule is not a hit and has its own section.
sub shadow {
	my ($db) = @_;
	my $s = Smtpd->start;
	my $d = start($s, $db, rules => [{ name => 'trial', key => 'sasl_username',
	    limits => [[6, 3600]], max_per_mail => 10, shadow => True }]);

	send_mails($d, 'kim', 7) for 1, 2;
	send_mails($d, 'lea', 11);
	is(rows($d, $db, 'limit_report'), '', 'no hit is recorded');
	is(rows($d, $db, 'limit_shadow'), 'trial:kim 3600 2, trial:lea 0 1, trial:lea 3600 1',
	    'the shadow refusal is recorded');
	is(($d->run('--clean'))[0], 0, '--clean succeeds');
	my ($mail) = $s->mails;
	my $text = text($mail);
	like($text, qr/: no limit was hit .*\n\nRules in shadow would have refused: 4 refusals/,
	    'the report has it');
	like($text, qr/^trial:kim +6 per hour +2$/m, 'the report has the number');
	like($text, qr/^"trial","lea",10,0,0,0,1,0$/m, 'the CSV has a column for them');
	is(rows($d, $db, 'limit_shadow'), '', 'the reported row is deleted');
	$d->ends_well;
}

# A crash between the server's 250 and the DELETE: reported twice, never lost.
sub killed_between {
	my ($db) = @_;
	my $s = Smtpd->start(hold => 'BODY');
	my $d = start($s, $db);
	my $name = 'ledger-' . ($db ? $db->{kind} : 'sqlite');

	send_mails($d, 'joe', 8);
	my $before = rows($d, $db, 'limit_warning');
	my $out = "$d->{dir}/wish";
	my $wish = $d->spawn($out, $out, ctl_command($d, 'report'));
	ok($s->holds, 'the mail is being sent');
	my $ledger = $d->child($name);
	freeze($ledger);
	$s->release;
	ok($d->wait_log(qr/the report was sent$/m), 'the server accepts the mail');
	kill 'KILL', $ledger;
	ok($d->wait_log(qr/they will be reported again/), 'the reported rows remain');
	isnt(Policyd::reap($wish), 0, 'policyctl report fails');
	ok($d->child($name, $ledger), 'a new ledger is started');
	is(rows($d, $db, 'limit_warning'), $before, 'the new ledger has the warnings');
	is(($d->run('--clean'))[0], 0, 'the next report');
	my @mails = $s->mails;
	is(scalar @mails, 2, 'the next report is a second mail');
	like(text($_), qr/^user:joe +10 per hour +1$/m,
	    'both mails have the same warning') for @mails;
	is(rows($d, $db, 'limit_warning'), '', 'the reported row is deleted');
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		Report->needed if $kind eq 'sqlite';
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind);

		# In this order, on one database.
		subtest 'reported' => sub { reported($db) };
		$db->sql('DELETE FROM limit_warning') if $db;
		subtest 'alone' => sub { alone($db) };
		subtest 'killed between' => sub { killed_between($db) };
		$db->sql('DELETE FROM limit_warning') if $db;
		subtest 'shadow' => sub { shadow($db) };
		$db->stop if $db;
	};
}

subtest 'at once' => sub {
	Report->needed;
	my $s = Smtpd->start;
	my $d = start($s, undef, report_immediately => True, rules => [
	    { name => 'user', key => 'sasl_username', limits => [[10, 3600]], warn_at => 80 },
	    { name => 'quiet', key => 'sender', limits => [[16, 3600]], report => False,
	    warn_at => 50 },
	    { name => 'shadow', key => 'sasl_username', limits => [[3, 3600]], warn_at => 50,
	    shadow => True }]);

	$d->ask(sasl_username => 'bob', sender => "s$_\@example.org", recipient_count => 2)
	    for 1 .. 3;
	ok($d->wait_log(qr/would refuse/), 'a rule in shadow refuses');
	is((ctl($d, 'clean'))[0], 0, 'clean, so that a due mail would be sent');
	is(scalar(my @none = $s->mails), 0, 'a shadow refusal causes no mail');
	send_mails($d, 'bob', 2);
	ok(wait_until { () = $s->mails }, 'a warning causes a mail');
	my ($mail) = $s->mails;
	like(text($mail), qr/^user:bob +10 per hour +1$/m, 'the mail has the warning');
	ok(wait_until { rows($d, undef, 'limit_warning') !~ /user:bob/ },
	    'the reported warning is deleted');
	send_mails($d, 'eve', 9);
	is((ctl($d, 'clean'))[0], 0, 'clean, so that a due mail would be sent');
	is(scalar(my @mails = $s->mails), 1, 'the next warning waits for five minutes');
	$d->ends_well;
};

# Hits in windows that are not in report_limits are not reported, but locks are.
subtest 'a lock, at once' => sub {
	Report->needed;
	my $s = Smtpd->start;
	my $d = start($s, undef, report_immediately => True, report_limits => [86400], rules => [
	    { name => 'user', key => 'sasl_username', limits => [[3, 3600]], lock => { for => 600 } },
	    { name => 'quiet', key => 'client_address', limits => [[5, 3600]], report => False,
	    lock => { for => 600 } }]);

	is($d->ask(sasl_username => '', client_address => '198.51.100.7', recipient_count => 6),
	    'reject full', 'a rule without report locks');
	ok($d->wait_log(qr/locked: .*198\.51\.100\.7/), 'which is logged');
	send_mails($d, 'bob', 3);
	is((ctl($d, 'clean'))[0], 0, 'clean, so that a due mail would be sent');
	is(scalar(my @none = $s->mails), 0, 'no mail is sent');
	is($d->ask(sasl_username => 'bob'), 'reject full', 'a mail over the limit is refused');
	ok(wait_until { () = $s->mails }, 'its lock causes a mail');
	my ($mail) = $s->mails;
	like(text($mail), qr/^Locked: 1 .*^user:bob +3 per hour +1$/ms, 'the mail has the lock');
	like(text($mail), qr/: no limit was hit/, 'the mail has no hit');
	ok(wait_until { rows($d, undef, 'limit_lock') eq '' }, 'the reported lock is deleted');
	$d->ends_well;
};

done_testing();
