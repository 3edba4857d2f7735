#!/usr/bin/perl
# two-daemons-both-pass with eight daemons: many daemons share one database, and of a
# limit of N exactly N mails are accepted.

use strict;
use warnings;

use List::Util qw(sum0);
use Test::More;

use Chance qw(mixed);
use Database;
use Policyd qw(request True);

use constant DAEMONS => 8;

sub daemons {
	my ($db, $config) = @_;

	return map { Policyd->start(config => { $db->config, db_timeout => 20,
	    debug => Policyd::False, fail_action => 'reject full',
	    db_error_action => 'defer database', %$config }) } 1 .. DAEMONS;
}

# All requests at once, each on its own connection, spread over the daemons.
sub ask_all {
	my ($daemons, @requests) = @_;
	my @clients = map { $daemons->[$_ % @$daemons]->connect } 0 .. $#requests;
	my %answers;

	$clients[$_]->send(request(%{$requests[$_]})) for 0 .. $#requests;
	for my $i (0 .. $#requests) {
		$answers{$requests[$i]{sasl_username} // ''}{$clients[$i]->answer // 'none'}++;
	}
	return \%answers;
}

sub stop_all {
	my @daemons = @_;
	my @bad = grep { !$_->alive } @daemons;

	is(@bad, 0, 'every daemon is still running');
	$_->signal('TERM') for @daemons;
	my @status = map { $_->wait_end // 'none' } @daemons;
	is_deeply(\@status, [(0) x @daemons], 'every daemon stops with status 0');
	my @deadlocks = grep { $_->log =~ /deadlock|could not serialize/i } @daemons;
	is(@deadlocks, 0, 'no daemon logs a deadlock');
}

sub one_window {
	my ($db) = @_;
	my @daemons = daemons($db, { limits => [[100, 3600]] });

	for my $round (1 .. 3) {
		my $got = ask_all(\@daemons, map { { sasl_username => "one$round" } } 1 .. 160);
		is_deeply($got, { "one$round" => { dunno => 100, 'reject full' => 60 } },
		    "round $round: 100 of 160 mails are accepted");
		is($db->recorded("one$round"), 100, '100 mails are recorded');
	}
	stop_all(@daemons);
}

# Several windows, some already full, and mails to many recipients.
sub several_windows {
	my ($db) = @_;
	my $now = time;

	$db->sql("INSERT INTO mail_count (id, date, recipient_count, instance, " .
	    "protocol_state) VALUES ('three', @{[$now - 7000]}, 40, 'old', 'DATA')");
	my @daemons = daemons($db, { limits => [[60, 600], [70, 3600], [100, 86400]],
	    report => True, report_limits => [600, 3600, 86400] });
	my $got = ask_all(\@daemons, map { { sasl_username => 'three',
	    recipient_count => 3 } } 1 .. 48);
	is_deeply($got, { three => { dunno => 20, 'reject full' => 28 } },
	    'the full window refuses mails');
	is($db->recorded('three'), 100, 'the accepted mails are recorded');
	$got = ask_all(\@daemons, map { { sasl_username => 'three' } } 1 .. 16);
	is_deeply($got, { three => { 'reject full' => 16 } }, 'further mails are refused');
	my @hits = $db->sql("SELECT delta, hit FROM limit_report WHERE id = 'three'");
	is_deeply(\@hits, [[600, 44]], 'each refusal is one hit');
	stop_all(@daemons);
}

# Several ids in each request, in any order, so that locks are taken in any order.
sub mixed_ids {
	my ($db) = @_;
	my @daemons = daemons($db, { report => True,
	    rules => [{ name => 'user', key => 'sasl_username', limits => [[20, 3600]],
	    report => True }, { name => 'from', key => 'sender', limits => [[35, 3600]],
	    report => True }, { name => 'to', key => 'recipient_domain',
	    count => 'distinct_recipients', limits => [[1000, 3600]] }] });
	my @requests = mixed map { my $n = $_; map { { sasl_username => "user$_",
	    sender => 'from' . ($n + $_) % 3 . '@example.org',
	    recipient => "r$n\@d" . ($n * $_) % 4 . '.example.net',
	    protocol_state => 'RCPT' } } 0 .. 5 } 1 .. 40;
	my $got = ask_all(\@daemons, @requests);
	my $accepted = sum0(map { $got->{$_}{dunno} // 0 } keys %$got);
	my $refused = sum0(map { $got->{$_}{'reject full'} // 0 } keys %$got);

	is($accepted + $refused, @requests, 'every request gets a verdict');
	is($accepted, 105, 'three senders have 35 mails accepted each');
	my @over = grep { ($got->{$_}{dunno} // 0) > 20 } keys %$got;
	is_deeply(\@over, [], 'no user exceeds the limit of 20');
	for (0 .. 2) {
		is($db->recorded("from:from$_\@example.org"), 35,
		    "sender $_ has 35 recorded mails");
	}
	for (0 .. 5) {
		is($db->recorded("user:user$_"), $got->{"user$_"}{dunno} // 0,
		    "the recorded mails of user $_ are those accepted");
	}
	stop_all(@daemons);
}

# A mail recorded by one daemon counts on the next request to another.
sub one_after_the_other {
	my ($db) = @_;
	my @daemons = daemons($db, { limits => [[30, 3600]] });
	my @answers;

	push @answers, $daemons[$_ % @daemons]->ask(sasl_username => 'turns') for 1 .. 40;
	is_deeply(\@answers, [('dunno') x 30, ('reject full') x 10],
	    "daemons used in turn count each other's mails");
	$daemons[0]->ask(sasl_username => 'again', instance => 'i1', recipient_count => 5);
	is($daemons[1]->ask(sasl_username => 'again', instance => 'i1',
	    recipient_count => 5), 'dunno',
	    'a request repeated at another daemon is accepted');
	is($db->recorded('again'), 5, 'the mail is charged once');
	$db->sql("DELETE FROM mail_count WHERE id = 'turns'");
	@answers = map { $daemons[$_ % @daemons]->ask(sasl_username => 'turns') } 1 .. 31;
	is_deeply(\@answers, [('dunno') x 30, 'reject full'],
	    'after a DELETE in the table all daemons accept mails');
	$db->sql("UPDATE mail_count SET recipient_count = 2 WHERE id = 'again'");
	is($daemons[2]->ask(sasl_username => 'again', recipient_count => 28), 'dunno',
	    'an UPDATE in the table counts');
	is($daemons[3]->ask(sasl_username => 'again'), 'reject full',
	    'the changed counts reach the limit');
	$db->sql('TRUNCATE mail_count');
	@answers = map { $daemons[$_ % @daemons]->ask(sasl_username => 'turns') } 1 .. 31;
	is_deeply(\@answers, [('dunno') x 30, 'reject full'],
	    'after TRUNCATE all daemons accept mails');
	stop_all(@daemons);
}

for my $kind (qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);

		subtest 'two-daemons-both-pass' => sub { one_window($db) };
		subtest 'several windows' => sub { several_windows($db) };
		subtest 'mixed ids' => sub { mixed_ids($db) };
		subtest 'one after the other' => sub { one_after_the_other($db) };
		$db->stop;
	};
}

done_testing();
