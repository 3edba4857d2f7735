#!/usr/bin/perl
# id_sql: several values share one count, on each database, in the answer, the log,
# policyctl and the report, without the database, and after a restart and a reload.

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

sub box {
	my (%more) = @_;

	return { name => 'box', key => 'sasl_username', limits => [[3, 3600]],
	    id_sql => 'SELECT mailbox FROM box WHERE login = %s', %more };
}

sub start {
	my (%more) = @_;
	my $plain = { name => 'plain', key => 'sasl_username', limits => [[100, 3600]] };

	$d = Policyd->start(config => { $db ? $db->config : (), debug => True, report => True,
	    report_limits => [3600],
	    fail_action => '450 4.7.1 {rule} {id} {used}', rules => [box(), $plain], %more });
	sql('DROP TABLE IF EXISTS box');
	sql('CREATE TABLE box (login varchar(60), mailbox varchar(60))');
	sql(q{INSERT INTO box VALUES ('bob', 'c7'), ('bob@alias.example', 'C7')});
}

sub ends {
	$d->ends_well;
	sql("DELETE FROM $_") for $db ? qw(mail_count limit_report mail_override) : ();
}

sub mail { my ($login, %more) = @_; return $d->ask(sasl_username => $login, %more) }

sub told_everywhere {
	start();
	is(mail($_), 'dunno', $_) for qw(bob bob@alias.example c7);
	is(mail($_), '450 4.7.1 box c7 3', "$_ is refused") for qw(bob bob@alias.example c7);
	is(mail('eve'), 'dunno', 'a login without a row is accepted');
	is(recorded('box:c7'), 3, 'the logins share one count');
	is(recorded('plain:bob'), 1, 'a rule without id_sql has its own');
	ok($d->wait_log(qr/refused: id=<box:c7> key=sasl_username rule=box .*sasl_username=bob /),
	    'the log names the value and the id');
	ok($d->wait_log(qr/accepted: id=<box:c7> .*sasl_username=bob\@alias/),
	    'accepted mails are logged with the id');
	is_deeply([map { $_->[0] } sql('SELECT DISTINCT id FROM limit_report')], ['box:c7'],
	    'the hit is recorded for the id');

	my @words = qw(protocol_state=DATA recipient_count=1 sasl_username=bob);
	my ($status, $out) = ctl($d, 'explain', @words);
	like($out, qr/<box:c7> by rule box, which is what id_sql gives for <box:bob>, which refuses/,
	    'explain names the value and the id');
	my ($key) = grep { $_->{rule} eq 'box' } @{ctl_json($d, 'explain', @words)->{keys}};
	is_deeply([@$key{qw(id id_of)}], ['box:c7', 'box:bob'], 'explain has the id in JSON too');
	(undef, $out) = ctl($d, 'show', 'bob');
	like($out, qr/^box:c7\n +3 of +3 .*\nplain:bob\n/,
	    'show prints the id in place of the login');
	like((ctl($d, 'show', 'box:c7'))[1], qr/\Abox:c7\n +3 of +3 /,
	    'show takes the id itself');
	like((ctl($d, 'top'))[1], qr/^.*box:c7/m, 'top lists the id');

	($status, $out) = ctl($d, 'grant', 'box:bob', 2, '1h');
	is($status, 0, 'grant succeeds');
	like($out, qr/granted to box:bob; not for: plain; counted as box:c7/,
	    'grant says for whom');
	like((ctl($d, 'list'))[1], qr/^box:c7 2 mails more/m, 'list prints the grant of the id');
	is(mail('bob@alias.example'), 'dunno', 'the alias may send more');
	($status, $out) = ctl($d, 'ungrant', 'box:bob@alias.example');
	is($status, 0, 'ungrant succeeds');
	is(mail('bob'), '450 4.7.1 box c7 4', 'a mail is refused after ungrant');
	($status, $out) = ctl($d, 'reset', 'box:bob');
	is("$status $out", "0 box:c7: 4 taken back\n", 'reset takes the count of the id back');
	is(mail('bob@alias.example'), 'dunno', 'a mail is accepted after the reset');

	is((ctl($d, 'block', 'bob', '1h'))[0], 0, 'block succeeds');
	like(mail('bob'), qr/^reject/i, 'the login is blocked');
	is(mail('bob@alias.example'), 'dunno',
	    'another login with the same id is not blocked');
	ends();
}

# While the query fails, the cached id is used; without one the request gets
# db_error_action.
sub query_fails {
	start(db_error_action => 'defer away');
	is(mail('bob'), 'dunno', 'the first mail of bob is accepted');
	sql('ALTER TABLE box RENAME TO elsewhere');
	is(mail('bob'), 'dunno', 'bob is decided by his cached id');
	is(mail('eve'), 'defer away', 'eve, without a cached id, gets db_error_action');
	ok($d->wait_log(qr/the query id_sql: /), 'the failed query is logged');
	is(recorded('box:c7'), 2, "bob's mail is recorded under the cached id");
	is(recorded('plain:eve'), 0, "eve's mail is recorded under no rule");
	my ($status, $out) = ctl($d, qw(grant box:zoe 1 1h));
	is($status, 3, 'a grant to an unknown id fails');
	like((ctl($d, 'explain', qw(protocol_state=DATA sasl_username=zoe)))[1],
	    qr/^unavailable: .*\naction=defer away/, 'explain says that no verdict is possible');
	$d->restart;
	is(mail('bob'), 'defer away', 'after a restart no id is cached');
	sql('ALTER TABLE elsewhere RENAME TO box');
	wait_until { mail('bob') eq 'dunno' };
	is(mail('bob'), '450 4.7.1 box c7 3', "bob's mail is refused once the query works");
	ends();
}

sub query_is_slow {
	my %slow = (sqlite => 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n' .
	    ' WHERE i < 1000000000) SELECT max(i) FROM n WHERE %s <> \'\'',
	    pgsql => 'SELECT %s::text FROM pg_sleep(60)', mysql => 'SELECT concat(%s, sleep(60))');
	my $kind = $db ? $db->{kind} : 'sqlite';

	start(db_error_action => 'defer away', rules => [box(id_sql => $slow{$kind},
	    only => { sasl_username => ['bob'] }),
	    { name => 'plain', key => 'sasl_username', limits => [[100, 3600]] }]);
	my $client = $d->connect;
	$client->send(Policyd::request(sasl_username => 'bob'));
	is(mail('eve'), 'dunno',
	    'another login is answered while the query is slow') for 1 .. 3;
	is($client->answer, 'defer away',
	    'the request with the slow query gets db_error_action');
	is(mail('eve'), 'dunno', 'requests are accepted after the slow query');
	ends();
}

sub reload_follows {
	start();
	is(mail('bob'), 'dunno', 'the first mail of bob is accepted');
	sql(q{UPDATE box SET mailbox = 'new' WHERE login = 'bob'});
	is((ctl($d, 'reload'))[0], 0, 'the reload succeeds');
	is(mail('bob'), 'dunno', 'a mail of bob is accepted');
	is(recorded('box:new'), 1, 'after a reload the query runs at once');
	$d->write_config({ %{$d->{config}}, rules => [box(id_sql => '')] });
	is((ctl($d, 'reload'))[0], 0, 'a reload without id_sql succeeds');
	is(mail('bob'), 'dunno', 'a mail of bob is accepted without id_sql');
	is(recorded('box:bob'), 1, 'the login has its own count');
	ends();
}

# Limits by the id, and an exempt login uses up nothing of others.
sub limits_and_exempt {
	start(exempt => ['vip'], rules => [box(limits_by_id => { c7 => [[1, 3600]] })]);
	sql(q{INSERT INTO box VALUES ('vip', 'c7')});
	is(mail('vip'), 'dunno', 'a mail of an exempt login is accepted') for 1, 2;
	is(mail('bob'), 'dunno', 'one mail of bob is accepted');
	is(mail('bob@alias.example'), '450 4.7.1 box c7 1', 'limits_by_id has the id');
	is(recorded('box:c7'), 1, 'the exempt login is not counted under the id');
	is(recorded('box:vip'), 0, 'the exempt login is not counted under its own name');
	like((ctl($d, 'show', 'vip'))[1], qr/^exempt: /m, 'show says that the login is exempt');
	ends();
}

# Without the database the same ids are counted, and recorded afterwards.
sub memory {
	start(db_error_action => 'memory');
	is(mail($_), 'dunno', $_) for qw(bob bob@alias.example);
	my $back = database_away($d, $db);
	is(mail('bob'), 'dunno', 'a third mail is accepted without the database');
	like(mail($_), qr/^450 4\.7\.1 box c7 3$/, "$_ is refused by memory")
	    for qw(bob bob@alias.example);
	is(mail('eve'), 'dunno', 'an unknown login is accepted without the database');
	like((ctl($d, 'explain', qw(protocol_state=DATA sasl_username=bob)))[1],
	    qr/<box:c7> by rule box, which is what id_sql gives for <box:bob>/,
	    'explain names the remembered id');
	$back->();
	wait_until { eval { recorded('box:c7') == 3 && recorded('box:eve') == 1 } };
	is(recorded('box:c7'), 3, 'afterwards the mails are recorded under the id');
	is(recorded('box:bob'), 0, 'no mail is recorded under the login');
	wait_until { mail('bob') eq '450 4.7.1 box c7 3' };
	is(mail('bob@alias.example'), '450 4.7.1 box c7 3', 'the limit applies after that');
	ends();
}

my @tests = ([told_everywhere => \&told_everywhere], [query_fails => \&query_fails],
    [query_is_slow => \&query_is_slow], [reload_follows => \&reload_follows],
    [limits_and_exempt => \&limits_and_exempt], [memory => \&memory]);

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		$db = $kind eq 'sqlite' ? undef : Database->start($kind);
		subtest($_->[0] => $_->[1]) for @tests;
		$db->stop if $db;
	};
}

done_testing;
