#!/usr/bin/perl
# Rules that count "external", on each database: policyctl charge adds, and mail is refused
# once the sum has reached the limit.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl ctl_json);
use Database;
use Fault qw(database_away);
use Policyd qw(wait_until need have_command True);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

my ($db, $d);

sub sql { return defined $db ? $db->sql($_[0]) : $d->sql($_[0]) }
sub recorded { return ($db // $d)->recorded($_[0]) }
sub mail { my ($login, %more) = @_; return $d->ask(sasl_username => $login, %more) }

sub start {
	my (%more) = @_;
	my $bounces = { name => 'bounces', key => 'sasl_username', count => 'external',
	    limits => [[3, 3600]], %{delete $more{rule} // {}} };

	$d = Policyd->start(config => { $db ? $db->config : (), debug => True, report => True,
	    report_limits => [3600], fail_action => '450 4.7.1 {rule} {id} {used}',
	    rules => [$bounces, { name => 'user', key => 'sasl_username',
	    limits => [[100, 3600]] }], %more });
	return $d;
}

sub charge {
	my ($status, @words) = @_;
	my ($got, $out, $err) = ctl($d, 'charge', @words);

	is($got, $status, "charge @words: status") or diag $err;
	return $out;
}

sub ends {
	$d->ends_well;
	sql("DELETE FROM $_") for $db ? qw(mail_count limit_report mail_override
	    mail_distinct) : ();
}

sub hits { return (sql(q{SELECT coalesce(sum(hit), 0) FROM limit_report}))[0][0] }

sub charge_adds {
	start();
	is(mail('bob', recipient_count => 50), 'dunno', 'a mail is accepted');
	is(recorded('bounces:bob'), 0, 'a mail adds nothing to the count');
	is(charge(0, 'bounces:Bob', 2), "bounces:bob: 2 charged\n" .
	    "         2 of        3 in 1 h\n", 'charge prints the amount and the count');
	is(mail('bob'), 'dunno', 'mail is accepted below the limit');
	is(hits(), 0, 'a charge below the limit is no hit');
	my $mark = $d->log_mark;
	like(charge(0, 'bounces:bob', 1), qr/\Abounces:bob: 1 charged, which reaches the limit\n/,
	    'charge says that the limit is reached');
	is(hits(), 1, 'the charge that reaches the limit is a hit');
	ok($d->wait_log(qr/charged up to its limit: id=<bounces:bob> limit=3\/3600 used=3$/m,
	    $mark), 'the log has that hit');
	is(mail('bob'), '450 4.7.1 bounces bob 3', 'mail is refused') for 1, 2;
	is(recorded('user:bob'), 51, 'a refused mail is not recorded by other rules');
	is(mail('eve'), 'dunno', 'mail of other logins is accepted');
	like(charge(0, 'bounces:bob', 5), qr/\Abounces:bob: 5 charged\n +8 of +3 /,
	    'a charge above the limit is recorded');
	is(hits(), 1, 'a charge above the limit is no further hit');
	is(mail('bob'), '450 4.7.1 bounces bob 8', 'mail is refused above the limit');
	$d->restart;
	is(mail('bob'), '450 4.7.1 bounces bob 8', 'mail is refused after a restart too');
	like((ctl($d, 'show', 'bounces:bob'))[1], qr/\Abounces:bob\n +8 of +3 /,
	    'show prints the count');
	is((ctl($d, 'grant', 'bounces:bob', 10, '1h'))[0], 0, 'grant succeeds');
	is(mail('bob'), 'dunno', 'the grant makes room for mail');
	is((ctl($d, 'ungrant', 'bounces:bob'))[0], 0, 'ungrant succeeds');
	is((ctl($d, 'reset', 'bounces:bob'))[1], "bounces:bob: 8 taken back\n",
	    'reset takes the count back');
	is(mail('bob'), 'dunno', 'mail is accepted after the reset');
	ends();
}

sub an_instance_counts_once {
	start();
	charge(0, 'bounces:bob', 2, '4ZLq1');
	is(charge(0, 'bounces:bob', 2, '4ZLq1'), "bounces:bob: 0 charged: the instance was " .
	    "charged before\n         2 of        3 in 1 h\n",
	    'charge says that the instance was charged before');
	is(recorded('bounces:bob'), 2, 'a repeated instance counts once');
	charge(0, 'bounces:eve', 1, '4ZLq1');
	is(recorded('bounces:eve'), 1, 'an instance counts for each id');
	charge(0, 'bounces:bob', 1) for 1, 2;
	is(recorded('bounces:bob'), 4, 'charges without an instance count each time');
	$d->restart;
	charge(0, 'bounces:bob', 2, '4ZLq1');
	is(recorded('bounces:bob'), 4, 'the instance is known after a restart');
	my $first = $d;
	if ($db) {
		start();
		charge(0, 'bounces:bob', 2, '4ZLq1');
		charge(0, 'bounces:bob', 2, 'other');
		is(recorded('bounces:bob'), 6, 'another daemon knows the instance');
		$d->ends_well;
		$d = $first;
		charge(0, 'bounces:bob', 2, 'other');
		is(recorded('bounces:bob'), 6, 'the first daemon knows the instance of the other');
	}
	is((ctl($d, 'reset', 'bounces:bob'))[0], 0, 'reset succeeds');
	charge(0, 'bounces:bob', 2, '4ZLq1');
	is(recorded('bounces:bob'), 0, 'a reset does not forget the instance');
	ends();
}

sub many_at_once {
	start(rule => { limits => [[40, 3600]] });
	my @pids;
	for my $of (1 .. 4) {
		defined(my $pid = fork) or die "fork: $!";
		if ($pid == 0) {
			ctl($d, 'charge', 'bounces:bob', 1, "i$_") for 1 .. 10;
			ctl($d, 'charge', 'bounces:bob', 1, "own$of.$_") for 1 .. 5;
			POSIX::_exit(0);
		}
		push @pids, $pid;
	}
	waitpid $_, 0 for @pids;
	is(recorded('bounces:bob'), 30, 'each instance counts once');
	ends();
}

sub what_it_refuses {
	start();
	my ($status, $out, $err) = ctl($d, 'charge', 'nothing:bob', 1);
	is($status, 3, 'a charge of an unknown rule fails');
	like($err, qr/nothing:bob: RULE:ID is expected, of a rule that counts "external"/,
	    'the error says which id is expected');
	is((ctl($d, 'charge', @$_))[0], 3, "@$_") for ['user:bob', 1], ['bob', 1],
	    ['bounces:', 1], ['bounces:bob', 0], ['bounces:bob', -1], ['bounces:bob', 'x'],
	    ['bounces:bob', 1, 'x' x 2000];
	is((ctl($d, 'charge', @$_))[0], 1,
	    'a wrong number of words is a usage error') for ['bounces:bob'], [], [1 .. 4];
	is((sql('SELECT count(*) FROM mail_count'))[0][0], 0, 'failed charges record nothing');
	ends();
}

sub other_actions {
	start(rule => { action => 'HOLD {rule}' });
	charge(0, 'bounces:bob', 3);
	is(mail('bob', instance => 'a'), 'HOLD bounces',
	    'a mail over the limit gets the soft action');
	is(recorded('user:bob'), 1, 'that mail is recorded by the other rule');
	ends();
	start(rule => { shadow => True });
	my $mark = $d->log_mark;
	charge(0, 'bounces:bob', 3);
	ok($d->wait_log(qr/charged up to its limit: .* \(shadow\)$/m, $mark),
	    'a hit in shadow is logged');
	is(mail('bob'), 'dunno', 'a rule in shadow refuses nothing');
	ok($d->wait_log(qr/would refuse: id=<bounces:bob> /, $mark),
	    'the log says that shadow would refuse');
	ends();
}

# Without the database what was charged here holds on.
sub memory {
	start(db_error_action => 'memory');
	is(mail($_), 'dunno', $_) for qw(bob eve);
	charge(0, 'bounces:bob', 3);
	charge(0, 'bounces:eve', 2);
	my $back = database_away($d, $db);
	is(mail('bob'), '450 4.7.1 bounces bob 3', 'bob is refused without the database');
	is(mail('eve'), 'dunno', 'eve is accepted without the database');
	is((ctl($d, 'charge', 'bounces:eve', 1, 'i'))[0], 3, 'charge fails without the database');
	$back->();
	wait_until { eval { recorded('user:eve') == 2 } };
	is(recorded('bounces:eve'), 2, 'the failed charge was not recorded');
	wait_until { (ctl($d, 'charge', 'bounces:eve', 1, 'i'))[0] == 0 };
	is(recorded('bounces:eve'), 3, 'the repeated charge is recorded once');
	wait_until { mail('eve') eq '450 4.7.1 bounces eve 3' };
	is(mail('eve'), '450 4.7.1 bounces eve 3', 'eve is refused at the limit');
	ends();
}

sub the_charge_locks {
	start(rule => { lock => { for => 3600, again => 86400 } });
	is(charge(0, 'bounces:bob', 2), "bounces:bob: 2 charged\n" .
	    "         2 of        3 in 1 h\n", 'no lock below the limit');
	my $mark = $d->log_mark;
	like(charge(0, 'bounces:bob', 1), qr/charged, which reaches the limit and locks$/m,
	    'the charge that reaches the limit locks');
	ok($d->wait_log(qr/locked: what=<login:bob> until=\d+ /, $mark), 'the log has the lock');
	like((ctl($d, 'metrics'))[1], qr/^policyd_rate_limit_rule_locks_total\{rule="bounces"\} 1$/m,
	    'so have the metrics');
	my $answer = 'reject 5.7.1 Sending is blocked';
	is(mail('bob'), $answer, 'mail gets the action of the lock');
	is(mail('eve'), 'dunno', 'mail of other logins passes');
	$d->restart;
	is(mail('bob'), $answer, 'the lock survives a restart');
	like(charge(0, 'bounces:bob', 1), qr/\Abounces:bob: 1 charged\n/,
	    'a charge of a locked login is recorded');
	is(recorded('bounces:bob'), 4, 'the count has all charges');
	is((ctl($d, 'unblock', 'bob'))[0], 0, 'unblock ends the lock');
	is(mail('bob'), '450 4.7.1 bounces bob 4', 'the rule itself still refuses');
	charge(0, 'bounces:bob', 1);
	is(mail('bob'), '450 4.7.1 bounces bob 5', 'the same full window does not lock again');
	ends();
}

# Each value of a combination is written as it pleases, and counted as in a request.
sub combinations {
	start(rule => { key => ['sasl_username', 'client_address'],
	    limits_by_id => { 'Vip,192.0.2.1' => [[9, 3600]] } }, ipv6_prefix => 64,
	    default_domain => 'example.org');
	like(charge(0, 'bounces:Bob,2001:DB8::1', 2),
	    qr{\Abounces:bob\@example\.org,2001:db8::/64: 2 charged\n}, 'each value is normalised');
	charge(0, 'bounces:bob@example.org,2001:db8::/64', 1);
	is(mail('bob', client_address => '2001:db8::9'),
	    '450 4.7.1 bounces bob@example.org,2001:db8::/64 3', 'both are the one of the mail');
	is(mail('bob'), 'dunno', 'another address is another combination');
	charge(0, 'bounces:a\\,b,::ffff:192.0.2.1', 3);
	like(mail('a,b'), qr/,192\.0\.2\.1 3\z/, 'a value may have a comma');
	charge(0, 'bounces:vip,192.0.2.1', 3);
	is(mail('vip'), 'dunno', 'limits_by_id has such values too');
	is((ctl($d, 'charge', "bounces:$_", 1))[0], 3, "$_ is no combination")
	    for 'bob', 'bob,', 'bob,x', ',192.0.2.1', 'bob,192.0.2.1,', 'bob,192.0.2.1,x';
	like((ctl($d, 'show', 'bounces:BOB,2001:db8::7'))[1], qr{\A\S+,2001:db8::/64\n +3 of +3 },
	    'show knows it');
	ends();
}

my @tests = ([charge_adds => \&charge_adds],
    [an_instance_counts_once => \&an_instance_counts_once], [many_at_once => \&many_at_once],
    [what_it_refuses => \&what_it_refuses], [other_actions => \&other_actions],
    [memory => \&memory],
    [the_charge_locks => \&the_charge_locks], [combinations => \&combinations]);

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		$db = $kind eq 'sqlite' ? undef : Database->start($kind);
		subtest($_->[0] => $_->[1]) for @tests;
		$db->stop if $db;
	};
}

done_testing;
