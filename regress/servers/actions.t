#!/usr/bin/perl
# The answers at a limit, on each database: actions with which Postfix accepts the mail,
# mails that alone exceed a limit, and ids without limits.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(wait_until need have_command True False);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

sub sum_of {
	my ($db, $d, $id) = @_;
	my $sql = "SELECT coalesce(sum(recipient_count), 0) FROM mail_count WHERE id = '$id'";

	return (defined $db ? ($db->sql($sql))[0][0] : ($d->sql($sql))[0][0]);
}

sub two_tiers {
	my ($db, %config) = @_;
	my $d = Policyd->start(config => { %config, rules => [
	    { name => 'soft', key => 'sasl_username', limits => [[3, 3600]],
	    action => 'HOLD {rule} {id} {used}' },
	    { name => 'hard', key => 'sasl_username', limits => [[6, 3600]],
	    action => 'REJECT {rule} {id} {used} of {limit}' }] });
	my @mail = map { { sasl_username => 'bob', instance => "i$_" } } 0 .. 9;

	is($d->ask(%{$mail[$_]}), 'dunno', "mail $_ is accepted") for 1 .. 3;
	is($d->ask(%{$mail[$_]}), "HOLD soft bob @{[$_ - 1]}", "mail $_ is held") for 4 .. 6;
	is($d->ask(%{$mail[7]}), 'REJECT hard bob 6 of 6', 'the seventh is refused');
	is($d->ask(%{$mail[6]}), 'HOLD soft bob 6', 'a repeated request gets the same answer');
	is(sum_of($db, $d, 'soft:bob'), 6, 'held mails are charged');
	is(sum_of($db, $d, 'hard:bob'), 6, 'held mails are charged to both rules');
	$d->restart;
	is($d->ask(%{$mail[6]}), 'HOLD soft bob 6',
	    'after a restart a repeated request gets the same answer');
	is($d->ask(%{$mail[8]}), 'REJECT hard bob 6 of 6',
	    'after a restart the refusal is the same');
	ok($d->wait_log(qr/^.*accepted over its limit: id=<soft:bob>.* limit=3\/3600 /m),
	    'the answer is logged');
	$d->ends_well;
}

sub filter_is_a_limit {
	my ($db, %config) = @_;
	my $d = Policyd->start(config => { %config, limits => [[2, 3600]],
	    fail_action => 'FILTER slow:' });

	is($d->ask(sasl_username => 'eve'), 'dunno',
	    'a mail below the limit is accepted') for 1 .. 2;
	is($d->ask(sasl_username => 'eve'), 'FILTER slow:',
	    'mails over the limit get the FILTER action') for 1 .. 3;
	is(sum_of($db, $d, 'eve'), 5, 'every mail is charged');
	$d->ends_well;
}

sub never {
	my ($db, %config) = @_;
	my $d = Policyd->start(config => { %config, limits => [[100, 3600]],
	    fail_action => '450 4.7.1 again in {retry_after} s',
	    never_action => '550 5.7.1 {id}: at most {limit}, {retry_after}' });

	is($d->ask(sasl_username => 'carol', recipient_count => 150),
	    '550 5.7.1 carol: at most 100, 3600',
	    'a mail to 150 recipients can never fit into a limit of 100');
	is($d->ask(sasl_username => 'carol', recipient_count => 60, instance => 'a'), 'dunno',
	    'a mail to 60 recipients is accepted');
	is($d->ask(sasl_username => 'carol', recipient_count => 120, instance => 'a'),
	    '550 5.7.1 carol: at most 100, 3600',
	    'the same mail with 120 recipients can never fit');
	like($d->ask(sasl_username => 'carol', recipient_count => 60, instance => 'b'),
	    qr/\A450 4\.7\.1 again in 36\d\d s\z/, 'another mail can be sent later');
	is(sum_of($db, $d, 'carol'), 60, 'refused mails are not charged');
	$d->ends_well;
}

sub retry_after {
	my (undef, %config) = @_;
	my $d = Policyd->start(config => { %config, fail_action => 'DEFER {retry_after}',
	    rules => [{ name => 'short', key => 'sasl_username', limits => [[1, 5]] },
	    { name => 'long', key => 'sasl_username', limits => [[1, 3600]] }] });

	is($d->ask(sasl_username => 'dave'), 'dunno', 'the first mail is accepted');
	like($d->ask(sasl_username => 'dave'), qr/\ADEFER (?:3601|3600|359\d)\z/,
	    'retry_after is the longer of both waits');
	$d->ends_well;
}

sub values {
	my ($db, %config) = @_;
	my $d = Policyd->start(config => { %config, report => True,
	    report_from => 'a@example.org', report_to => ['a@example.org'], report_limits => [3600],
	    rules => [
	    { name => 'places', key => 'sasl_username', count => 'addresses',
	    limits => [[2, 3600]], action => 'HOLD {rule} {used}', report => True },
	    { name => 'hard', key => 'sasl_username', limits => [[4, 3600]],
	    action => 'REJECT {rule}' }] });
	my $sql = "SELECT coalesce(sum(hit), 0) FROM limit_report WHERE id = 'places:bob'";
	my $hits = sub { ((defined $db ? $db : $d)->sql($sql))[0][0] };
	my $ask = sub {
		my ($i) = @_;
		return $d->ask(sasl_username => 'bob', client_address => "192.0.2.$i",
		    instance => "v$i");
	};

	is($ask->($_), 'dunno', "address $_ is accepted") for 1 .. 2;
	is($ask->(3), 'HOLD places 2', 'a third address exceeds the soft limit');
	is($ask->(3), 'HOLD places 3', 'the repeated request exceeds it too');
	is($hits->(), 1, 'both requests are one hit');
	is($ask->(4), 'HOLD places 3', 'a fourth address exceeds the soft limit');
	is($ask->(5), 'REJECT hard', 'a fifth one is refused');
	is($hits->(), 2, 'the refusal is no hit of the soft rule');
	$d->ends_well;
}

sub max_per_mail {
	my ($db, %config) = @_;
	my @mail = (sasl_username => 'bob');
	my $rules = [{ name => 'mail', key => 'sasl_username', max_per_mail => 2,
	    action => 'HOLD' }, { name => 'size', key => 'sasl_username', count => 'bytes',
	    max_per_mail => 1000 }];
	my $d = Policyd->start(config => { %config, rules => $rules });
	my $rcpt = sub {
		my ($i, $n) = @_;
		return $d->ask(@mail, protocol_state => 'RCPT', instance => "m$i",
		    recipient => "r$n\@example.com");
	};
	my $data = sub {
		my ($i, $n, $size) = @_;
		return $d->ask(@mail, protocol_state => 'DATA', instance => "m$i",
		    recipient_count => $n, size => $size // 0);
	};

	is($rcpt->(1, $_), 'dunno', "recipient $_ is accepted") for 1, 2;
	is($rcpt->(1, $_), 'reject 5.5.3 Too many recipients', "recipient $_ is refused") for 3, 4;
	is($rcpt->(1, 2), 'dunno', 'the second recipient, repeated, is accepted');
	$d->restart;
	is($rcpt->(1, 5), 'reject 5.5.3 Too many recipients',
	    'the answer is the same after a restart');
	is($data->(1, 2), 'dunno', 'DATA with the accepted recipients is accepted');
	ok($d->wait_log(qr/^.*refused: id=<mail:bob>.* max_per_mail=2 used=2 .*never=1\b/m),
	    'the log has the reason');
	is($data->(2, 3), 'reject 5.5.3 Too many recipients',
	    'a mail to three recipients is refused');
	is($data->(3, 2, 1001), 'reject 5.3.4 Message too big',
	    'a mail over the size limit is refused');
	is($data->(4, 2, 1000), 'dunno', 'a mail of exactly the size limit is accepted');
	is(sum_of($db, $d, 'mail:bob'), 4, 'refused mails are not charged');
	my $mark = $d->log_mark;
	$d->write_config({ %config, never_action => '552 5.5.3 at most {limit}',
	    rules => $rules });
	$d->signal('HUP');
	ok($d->wait_log(qr/new configuration is in force/, $mark),
	    'the reload to never_action succeeds');
	is($rcpt->(1, 6), '552 5.5.3 at most 2', 'never_action is the answer');
	$d->ends_well;
}

sub senders {
	my ($db, %config) = @_;
	my $d = Policyd->start(config => { %config, fail_action => 'REJECT {rule} {used}',
	    rules => [{ name => 'names', key => 'sasl_username', count => 'senders',
	    limits => [[2, 3600]] }] });
	my $ask = sub { $d->ask(sasl_username => 'bob', sender => $_[0]) };

	is($ask->('a@example.org'), 'dunno', 'the first sender is accepted');
	is($ask->('B@example.org'), 'dunno', 'the second sender is accepted');
	is($ask->('c@example.org'), 'REJECT names 2', 'the third sender is refused');
	is($ask->($_), 'dunno',
	    "the known sender $_ is accepted") for qw(A@example.org b@example.org);
	is($ask->(''), 'dunno', 'a null sender is accepted');
	is($d->ask(sasl_username => 'eve', sender => 'c@example.org'), 'dunno',
	    'another login has its own senders');
	$d->restart;
	is($ask->('d@example.org'), 'REJECT names 2',
	    'the answer is the same after a restart');
	is(sum_of($db, $d, 'names:bob'), 2, 'two senders are recorded');
	$d->ends_well;
}

sub exempt {
	my ($db, %config) = @_;
	my $d = Policyd->start(config => { %config, exempt => ['@lists.example.org', '192.0.2.25'],
	    fail_action => 'REJECT {rule}', rules => [
	    { name => 'user', key => 'sasl_username', limits => [[1, 3600]],
	    except => { policy_context => ['mx'] } },
	    { name => 'all', key => 'server', limits => [[2, 3600]] }] });
	my $ask = sub { $d->ask(sasl_username => $_[0], @_[1 .. $#_]) };

	is($ask->('a@lists.example.org'), 'dunno',
	    'a mail of an exempt login is accepted') for 1 .. 4;
	is($ask->('bob', client_address => '192.0.2.25'), 'dunno',
	    'a mail of an exempt client is accepted') for 1 .. 4;
	is(sum_of($db, $d, 'user:a@lists.example.org'), 4,
	    "the exempt login's mails are recorded under its own id");
	is(sum_of($db, $d, $_), 0, "nothing is recorded under $_") for qw(user:bob all:server);
	is($ask->('bob'), 'dunno', "bob's mail within the limit is accepted");
	is($ask->('bob', sender => 'x@lists.example.org'), 'REJECT user',
	    "bob's mail over the limit is refused");
	is($ask->('bob', policy_context => 'mx'), 'dunno',
	    'the rule does not apply in the excepted policy_context');
	is($ask->('eve', policy_context => 'mx'), 'REJECT all',
	    'the other rule applies in that context');
	$d->restart;
	is($ask->('a@lists.example.org'), 'dunno',
	    'the login is still exempt after a restart');
	$d->ends_well;
}

sub without_limits {
	my ($db, %config) = @_;
	my $d = Policyd->start(config => { %config, limits => [[5, 3600]],
	    limits_by_id => { vip => [] }, fail_action => 'REJECT full' });

	is($d->ask(sasl_username => 'vip', recipient_count => 2), 'dunno', 'a mail of an id without limits is accepted')
	    for 1 .. 4;
	is(sum_of($db, $d, 'vip'), 8, 'the mails without a limit are recorded');
	my $mark = $d->log_mark;
	$d->write_config({ limits => [[5, 3600]], limits_by_id => { vip => [[9, 3600]] },
	    fail_action => 'REJECT full' });
	$d->signal('HUP');
	ok($d->wait_log(qr/new configuration is in force/, $mark),
	    'the new limits are in force');
	is($d->ask(sasl_username => 'vip'), 'dunno', 'the ninth mail is accepted');
	is($d->ask(sasl_username => 'vip'), 'REJECT full', 'the tenth mail is refused');
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	for (['two tiers', \&two_tiers], ['FILTER is a limit', \&filter_is_a_limit],
	    ['a mail that alone exceeds a limit', \&never],
	    ['the wait for all rules', \&retry_after],
	    ['different values over a soft limit', \&values],
	    ['most recipients and bytes of one mail', \&max_per_mail],
	    ['different senders', \&senders],
	    ['for whom rules and limits are', \&exempt],
	    ['an id without limits is recorded', \&without_limits]) {
		my ($name, $test) = @$_;
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind);
		subtest "$kind: $name" => sub {
			$test->($db, defined $db ? $db->config : ());
		};
		$db->stop if defined $db;
	}
}

done_testing();
