#!/usr/bin/perl
# policyctl top by fill and by used: from the database, also of ids that this daemon has not
# seen; from memory where the database cannot be read; and 100,000 ids in all that lists ids.

use strict;
use warnings;

use IO::Socket::UNIX;
use Test::More;

use Ctl qw(ctl ctl_json);
use Database;
use Policyd qw(wait_until need have_command status_of True);

need(have_command('sqlite3'), 'no sqlite3 to write rows with');

sub insert {
	my ($db, @rows) = @_;

	$db->sql('INSERT INTO mail_count (id, date, recipient_count, instance, protocol_state) ' .
	    'VALUES ' . join ', ', map { "('$_->[0]', $_->[1], $_->[2], 'empty', 'DATA')" } @rows);
}

sub daemon {
	my ($db, %config) = @_;

	return Policyd->start(config => { db_timeout => 5, defined $db ? $db->config : (), %config });
}

sub listed {
	my ($d, @words) = @_;
	my $j = ctl_json($d, 'top', @words);

	is($j->{source}, 'database', "top @words: the database is read");
	return join ' ', map { "$_->{id}=$_->{used}" . (defined $_->{limit} ? "/$_->{limit}" : '') }
	    @{$j->{ids}};
}

# --- whatever is in the tables ---

my @rules = (rules => [
    { name => 'user', key => 'sasl_username', was => ['old'], limits => [[10, 3600], [50, 86400]],
    limits_by_id => { 'vip@a.example' => [[100, 3600]] } },
    { name => 'plan', key => 'sasl_domain', limits => [[1000, 3600]],
    sql_limits_by_id => 'SELECT limits FROM rate_limits WHERE id = %s' },
    { name => 'watch', key => 'sender', limits => [[2, 3600]], shadow => True } ]);

sub complete {
	my ($db) = @_;
	my $d = daemon($db, @rules);
	my $now = time;

	$db //= $d;
	is($d->ask(sasl_username => 'seen@a.example', sender => 's@a.example'), 'dunno',
	    'a request is accepted');
	$db->sql("INSERT INTO rate_limits (id, limits) VALUES ('b.example', '[[4, 7200]]')");
	insert($db, ['user:other@a.example', $now - 1800, 8], ['user:Other@A.example', $now, 1],
	    ['user:vip@a.example', $now - 60, 20], ['old:other@a.example', $now - 7200, 3],
	    ['old:only@a.example', $now - 10, 4], ['plan:b.example', $now - 5000, 3],
	    ['watch:s@b.example', $now - 1, 1], ['gone:x@a.example', $now, 99], ['plain', $now, 99],
	    ['user:past@a.example', $now - 90000, 40], ['user:ahead@a.example', $now + 99999, 40]);
	is(listed($d), 'user:other@a.example=9/10 plan:b.example=3/4 watch:s@a.example=1/2 ' .
	    'watch:s@b.example=1/2 old:only@a.example=4/10 user:vip@a.example=20/100 ' .
	    'user:seen@a.example=1/10 plan:a.example=1/1000',
	    'top lists the ids of all rows by fill');
	is(listed($d, '--by', 'used', '--rule', 'user', '-n', 3), 'user:vip@a.example=20/100 ' .
	    'user:other@a.example=12/50 old:only@a.example=4/10',
	    'top --by used lists the ids of one rule by use');
	is(listed($d, '--group', 'domain', '--rule', 'user', '--window', '1h'),
	    'user:a.example=30 old:a.example=4', 'top --group domain sums by rule and domain');
	is((ctl($d, 'grant', 'user:other@a.example', 90, '1h'))[0], 0, 'grant succeeds');
	like(listed($d, '--window', '1h', '--rule', 'user'), qr{ user:other\@a\.example=9/100\b},
	    'top shows the granted limit');
	my ($first) = @{ctl_json($d, 'top', '--rule', 'plan')->{ids}};
	ok($first->{retry_after} == 0 && !$first->{never}, 'top -j says that one more mail fits');
	$d->ends_well;

	# Nothing is in memory after a start.
	my $again = $db == $d ? Policyd->start(config => { @rules }, dir => $d->{dir}) :
	    daemon($db, @rules);
	my $j = ctl_json($again, 'top');
	is_deeply([@$j{qw(total source)}, $j->{ids}[0]{id}], [8, 'database', 'plan:b.example'],
	    'top reads the database right after a start');
	my ($status, $out) = ctl($again, 'top');
	unlike($out, qr/memory/, 'the text of top does not speak of memory');
	$again->ends_well;
}

# --- 100,000 ids ---

my $ten = '(SELECT 0 AS n' . join('', map { " UNION ALL SELECT $_" } 1 .. 9) . ')';
my $now = time;

sub many {
	my ($db) = @_;
	my $d = daemon($db, limits => [[10, 3600]], db_timeout => 30, fail_action => 'reject full');
	my $n = 'a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n';

	$db //= $d;
	$db->sql('INSERT INTO mail_count (id, date, recipient_count, instance, protocol_state) ' .
	    (defined $db->{kind} && $db->{kind} eq 'mysql' ? "SELECT concat('u', $n, '\@d', a.n, '.example')" :
	    "SELECT 'u' || ($n) || '\@d' || a.n || '.example'") .
	    ", $now - a.n, 1 + e.n, 'empty', 'DATA' FROM " .
	    join ', ', map { "$ten $_" } qw(a b c d e));
	my $j = ctl_json($d, 'top', '-n', 3);
	is_deeply([$j->{total}, $j->{source}, scalar @{$j->{ids}}, $j->{ids}[0]{used}],
	    [100000, 'database', 3, 10], 'top -n 3 has three of 100,000 ids');
	my ($status, $out) = ctl($d, 'top', 1000);
	is((() = $out =~ /\n/g), 1002, 'top 1000 has a thousand of 100,000 ids');
	is(ctl_json($d, 'top', '--group', 'domain')->{ids}[0]{used}, 55000,
	    'top --group domain sums 100,000 ids');
	$j = ctl_json($d, 'show', 'u95555@d5.example');
	is($j->{windows}[0]{used}, 10, 'show has the use of one of 100,000 ids');
	is((ctl($d, 'status', '-q'))[0], 0, 'status is well after top');
	return $d;
}

subtest 'sqlite' => sub { complete(undef) };
subtest 'sqlite, 100,000 ids' => sub {
	my $d = many(undef);

	# Refusals, blocks and grants of as many ids.
	$d->sql('INSERT INTO mail_refusal (date, number, is_first, times, shadow, n, recipients, id, ' .
	    'rule, kind, windows, login, sender, recipient, client, client_name, state, queue_id, ' .
	    "instance) SELECT $now - a.n, 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n, " .
	    "1, 1, 0, 1, 1, 'u' || (b.n + 10 * c.n + 100 * d.n + 1000 * e.n) || '\@d.example', '', " .
	    "'limit', '', 'u1\@d.example', 's', 'r', '192.0.2.' || a.n, '', 'DATA', 'Q' || b.n || c.n " .
	    "|| d.n || e.n || a.n, 'i' FROM " . join ', ', map { "$ten $_" } qw(a b c d e));
	my $j = ctl_json($d, 'why', 'Q12345');
	is(scalar @{$j->{refusals}}, 1, 'why finds one of 100,000 refusals');
	$j = ctl_json($d, 'why', 'u1@d.example');
	is_deeply([scalar @{$j->{refusals}}, $j->{refused}], [10, 100000],
	    'why lists ten of 100,000 refusals of a login');
	$j = ctl_json($d, 'top', '--by', 'refused', '-n', 2);
	is_deeply([$j->{total}, map { $_->{refused} } @{$j->{ids}}], [10000, 10, 10],
	    'top --by refused lists two of 10,000 ids');
	$d->sql('INSERT INTO mail_override (id, kind, amount, expires, since, who, reason) SELECT ' .
	    "'login:u' || (a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n), 2, 0, $now + 9999, $now, " .
	    "'test', 'many' FROM " . join ', ', map { "$ten $_" } qw(a b c d e));
	ok(wait_until { @{ctl_json($d, 'list')->{blocks} // []} == 100000 },
	    'list has 100,000 blocks');
	my ($status, $out) = ctl($d, 'list');
	cmp_ok(length $out, '>', 3_000_000, 'the text of list has 100,000 blocks');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is accepted after all of this');
	$d->ends_well;
};
for my $kind (qw(pgsql mysql)) {
	subtest $kind => sub {
		plan(skip_all => "no $kind") if !eval { Database->needed($kind); 1 };
		my $db = Database->start($kind);
		complete($db);
		$db->sql('DELETE FROM mail_count');
		my $d = many($db);
		my $m = daemon($db, limits => [[10, 3600]], db_error_action => 'memory');
		$m->ask(sasl_username => 'bob') for 1 .. 3;
		$db->stop;
		# The ledger ends as soon as it notices.
		my ($status, $out, $err) = ctl($d, 'top');
		like("$out$err", qr/^policyctl: top: .*\S$|^only what this daemon has in memory: .*\S$/m,
		    'without its database top says why');
		($status, $out) = ctl($m, 'top');
		like($out, qr/^only what this daemon has in memory: .+\n.*\n +3 +10 .* bob$/m,
		    'with db_error_action "memory" top lists what the daemon counts');
		$m->stop;
		$d->stop;
	};
}

# --- what is left without the database ---

subtest 'from memory' => sub {
	# 100,000 ids take more than that.
	my $d = daemon(undef, limits => [[10, 3600]], memory_limit => 16);

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is accepted');
	$d->sql('INSERT INTO mail_count (id, date, recipient_count, instance, protocol_state) ' .
	    "SELECT 'u' || (a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n), $now, 1, 'empty', " .
	    "'DATA' FROM " . join ', ', map { "$ten $_" } qw(a b c d e));
	my $j = ctl_json($d, 'top');
	is_deeply([$j->{source}, $j->{reason}, map { $_->{id} } @{$j->{ids}}], ['memory',
	    'the counts of all ids take more memory than memory_limit', 'bob'],
	    'top -j says that it lists the ids in memory, and why');
	my ($status, $out) = ctl($d, 'top');
	like($out, qr/\A.*  1 of 1 id\nonly what this daemon has in memory: the counts of all ids /,
	    'the text of top says that it lists the ids in memory, and why');
	$d->ends_well;
};

subtest 'one at a time' => sub {
	my $d = daemon(undef, limits => [[10, 3600]]);
	my $scanner = sub { my ($p) = grep { $_->{name} eq 'scanning ledger' }
	    @{ctl_json($d, 'status')->{processes}}; return $p };
	my $ask = sub {
		my $s = IO::Socket::UNIX->new(Peer => $d->control) or die "connect: $!";
		syswrite $s, "$_[0]\0\0";
		return $s;
	};

	$d->ask(sasl_username => 'bob');
	my @asked = map { $ask->($_) } qw(top try top top);
	my @got = map { local $/; scalar readline $_ } @asked;
	like($got[$_], qr/\Aok\n.*\tsource=database\n.*\tid=bob\t.*end\n\z/s,
	    "top $_ of those asked at once is answered") for 0, 2, 3;
	like($got[1], qr/\Aok\n.*\trows#1\t.*end\n\z/s, 'a try asked at the same time is answered');
	# A caller that is gone does not hold up the others.
	close $ask->('top') for 1 .. 3;
	is(ctl_json($d, 'top')->{ids}[0]{id}, 'bob',
	    'top is answered after callers that did not wait');
	ok(wait_until { !$scanner->() }, 'the scanning ledger exits');
	$d->ends_well;
};

done_testing;
