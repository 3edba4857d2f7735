#!/usr/bin/perl
# A rule that is renamed with `was` keeps its counts, values and grants, on each database
# and in memory. Without `was` the log names what is abandoned.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl);
use Database;
use Fault qw(database_away);
use Policyd qw(wait_until need have_command True);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

my ($db, $d);

sub sql { return defined $db ? $db->sql($_[0]) : $d->sql($_[0]) }
sub recorded { return ($db // $d)->recorded($_[0]) }
sub mail { my ($login, %more) = @_; return $d->ask(sasl_username => $login, %more) }

sub rule {
	my ($name, %more) = @_;

	return { name => $name, key => 'sasl_username', limits => [[3, 3600]], %more };
}

sub start {
	my (%more) = @_;

	$d = Policyd->start(config => { $db ? $db->config : (), debug => True,
	    fail_action => '450 4.7.1 {rule} {id} {used}', rules => [rule('old')], %more });
}

sub rules {
	$d->write_config({ %{$d->{config}}, rules => [@_] });
	is((ctl($d, 'reload'))[0], 0, 'the reload succeeds');
}

sub ends {
	$d->ends_well;
	sql("DELETE FROM $_") for $db ? qw(mail_count limit_report mail_override
	    mail_distinct) : ();
}

sub counts_go_on {
	start();
	is(mail('bob', instance => 'i1', recipient_count => 2), 'dunno',
	    'a mail to two recipients is accepted under the old name');
	rules(rule('new', was => ['old']));
	is(mail('bob', instance => 'i1', recipient_count => 2), 'dunno',
	    'the repeated mail is accepted under the new name');
	is(mail('bob', instance => 'i2'), 'dunno',
	    'one more mail is accepted under the new name');
	is(mail('bob', instance => 'i3'), '450 4.7.1 new bob 3', 'the fourth mail is refused');
	is(recorded('old:bob'), 2, 'the recorded rows are unchanged');
	is(recorded('new:bob'), 1, 'new mails are recorded under the new name');
	like((ctl($d, 'show', 'bob'))[1], qr/\Anew:bob\n +3 of +3 /,
	    'show has the sum of both names');
	like((ctl($d, 'top'))[1], qr/  1 of 1 id\n.*\n +3 +3  1 h .*  new:bob\n\z/,
	    'top has one id with the sum of both names');
	$d->restart;
	is(mail('bob', instance => 'i4'), '450 4.7.1 new bob 3',
	    'after a restart the limit still applies');
	is(mail('bob', instance => 'i1', recipient_count => 2), 'dunno',
	    'after a restart the first mail is recognised');
	is(mail('eve'), 'dunno', 'three mails of another login are accepted') for 1 .. 3;
	is(mail('eve'), '450 4.7.1 new eve 3', 'another login has its own count');
	rules(rule('newer', was => ['new', 'old']));
	is(mail('bob', instance => 'i5'), '450 4.7.1 newer bob 3',
	    'after a second rename the limit still applies');
	is((ctl($d, 'reset', 'bob'))[1], "newer:bob: 3 taken back\n",
	    'reset takes back the sum of all names');
	is(mail('bob', instance => 'i6'), 'dunno', 'a mail is accepted after the reset') for 1;
	is(recorded('old:bob') + recorded('new:bob'), 3, 'no row was rewritten');
	is(recorded('newer:bob'), -2, 'the reset is recorded under the newest name');
	ends();
}

# In a second daemon with the old name, on the same database.
sub others_count {
	return plan(skip_all => 'one daemon for each file') if !$db;
	start();
	my $other = $d;
	start(rules => [rule('new', was => ['old'])]);
	is(mail('bob'), 'dunno', 'a mail is accepted by the daemon with the new name');
	is($other->ask(sasl_username => 'bob'), 'dunno',
	    'a mail is accepted by the daemon with the old name');
	is(mail('bob'), 'dunno', 'a second mail is accepted by the daemon with the new name');
	is(mail('bob'), '450 4.7.1 new bob 3', 'the fourth mail is refused');
	$other->ends_well;
	ends();
}

sub values_and_grants {
	my %count = (count => 'addresses', limits => [[2, 3600]]);

	start(rules => [rule('old', %count), rule('mails', limits => [[1, 3600]])]);
	is(mail('bob', client_address => "192.0.2.1"), 'dunno', 'the first address is accepted');
	is((ctl($d, 'grant', 'mails:bob', 5, '1h'))[0], 0, 'grant succeeds');
	is(mail('bob', client_address => "192.0.2.2"), 'dunno', 'the second address is accepted');
	rules(rule('new', %count, was => 'old'),
	    rule('sent', limits => [[1, 3600]], was => 'mails'));
	is(mail('bob', client_address => "192.0.2.1"), 'dunno', 'the first address is known');
	is(mail('bob', client_address => "192.0.2.3"), '450 4.7.1 new bob 2',
	    'a third address is refused');
	is(mail('bob', client_address => "192.0.2.2"), 'dunno', 'the grant applies');
	is((ctl($d, 'ungrant', 'sent:bob'))[0], 0, 'ungrant succeeds');
	is(mail('bob', client_address => "192.0.2.1"), '450 4.7.1 sent bob 4',
	    'the grant has ended');
	is((ctl($d, 'ungrant', 'sent:bob'))[0], 3, 'a second ungrant fails');
	is((ctl($d, 'reset', "$_:bob"))[0], 0, "reset of $_") for qw(new sent);
	is(mail('bob', client_address => "192.0.2.3"), 'dunno',
	    'after the reset a third address is accepted');
	ends();
}

sub reload_says_what_is_left {
	start();
	is(mail($_), 'dunno', $_) for qw(bob eve);
	is((ctl($d, 'grant', 'old:bob', 5, '1h'))[0], 0, 'grant succeeds');
	my $mark = $d->log_mark;
	rules(rule('new'));
	ok($d->wait_log(qr/rule old is gone, and no rule has its counts: ids=2 grants=1/, $mark),
	    'the log names what is abandoned');
	$mark = $d->log_mark;
	rules(rule('new', warn_at => 80));
	unlike($d->log_since($mark), qr/is gone/, 'the log names it once');
	rules(rule('newer', was => 'new'));
	unlike($d->log_since($mark), qr/is gone/, 'the log names no rule that has a new name');
	ends();

	# While no engine runs.
	start();
	is(mail('bob'), 'dunno', 'a mail is accepted');
	$mark = $d->log_mark;
	my $engine = 0;
	kill 'KILL', $engine = $d->child('engine', $engine) for 1 .. 4;
	ok($d->wait_log(qr/engine keeps ending; starting it again in 1\.0 s/, $mark),
	    'the engine is not started again at once');
	$d->write_config({ %{$d->{config}}, rules => [rule('new')] });
	$d->signal('HUP');
	ok($d->wait_log(qr/rule old is gone, and no rule has its counts: ids=1/, $mark),
	    'without an engine the log names what is abandoned');
	ends();

	# With SQLite that needs another ledger, which does not know the old settings.
	return if !$db;
	start(rules => \'None', limits => [[3, 3600]]);
	is(mail('bob'), 'dunno', 'a mail without rules is accepted');
	$mark = $d->log_mark;
	delete $d->{config}{limits};
	rules(rule('new'));
	ok($d->wait_log(qr/limits are rules now, .*: ids=1 grants=0/, $mark),
	    'the log names the counts without rules');
	ends();
}

sub memory {
	start(db_error_action => 'memory');
	is(mail('bob'), 'dunno', 'two mails of bob are accepted') for 1, 2;
	rules(rule('new', was => 'old'));
	my $back = database_away($d, $db);
	is(mail('bob'), 'dunno', 'a third mail is accepted without the database');
	is(mail('bob'), '450 4.7.1 new bob 3', 'the fourth mail is refused');
	$back->();
	wait_until { eval { recorded('new:bob') == 1 } };
	is(recorded('old:bob'), 2, 'the recorded rows are unchanged');
	wait_until { mail('bob') eq '450 4.7.1 new bob 3' };
	is(mail('bob'), '450 4.7.1 new bob 3', 'with the database the mail is refused too');
	ends();
}

my @tests = ([counts_go_on => \&counts_go_on], [others_count => \&others_count],
    [values_and_grants => \&values_and_grants],
    [reload_says_what_is_left => \&reload_says_what_is_left], [memory => \&memory]);

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		$db = $kind eq 'sqlite' ? undef : Database->start($kind);
		subtest($_->[0] => $_->[1]) for @tests;
		$db->stop if $db;
	};
}

done_testing;
