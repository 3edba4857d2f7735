#!/usr/bin/perl
# policyctl try: what other limits would have done to the rows that are kept, compared with
# a model; with each database.

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use JSON::PP;
use Test::More;

use Ctl qw(ctl ctl_command ctl_json);
use Database;
use Policyd qw(freeze wait_until need have_command as_root slurp spew True False None $root);

need(have_command('sqlite3'), 'no sqlite3 to write rows with');

my $now = time;
my $state = 12345;

# The same numbers each time.
sub random {
	my ($n) = @_;

	$state = ($state * 1103515245 + 12345) % 2147483648;
	return int($state / 65536) % $n;
}

# Inserts rows of [id, date, amount] as other programs do.
sub insert {
	my ($db, @rows) = @_;

	while (my @some = splice @rows, 0, 500) {
		$db->sql('INSERT INTO mail_count (id, date, recipient_count, instance, protocol_state) ' .
		    'VALUES ' . join ', ', map { "('$_->[0]', $_->[1], $_->[2], 'empty', 'DATA')" } @some);
	}
}

# id => [refused, total, first, window] of rows, by the limits that `limits` finds.
sub model {
	my ($limits, @rows) = @_;
	my %of;

	push @{$of{lc $_->[0]}}, $_ for @rows;
	for my $id (keys %of) {
		my (@kept, $first, $window);
		my ($refused, $total) = (0, 0);

		for my $row (sort { $a->[1] <=> $b->[1] } @{$of{$id}}) {
			my (undef, $date, $amount) = @$row;
			my ($full) = grep { my ($mails, $seconds) = @$_;
			    my $sum = 0;
			    $sum += $_->[1] for grep { $_->[0] >= $date - $seconds } @kept;
			    $sum + $amount > $mails } @{$limits->($id)};

			$total += $amount;
			if (!$full) {
				push @kept, [$date, $amount];
				next;
			}
			$refused += $amount;
			($first, $window) = ($date, "@$full") if !defined $first;
		}
		$of{$id} = [$refused, $total, $first // 0, $window // '0 0'];
	}
	return \%of;
}

sub peak {
	my ($seconds, @rows) = @_;
	my $peak = 0;

	for my $last (@rows) {
		my $sum = 0;
		$sum += $_->[2] for grep { $_->[1] <= $last->[1] &&
		    $_->[1] >= $last->[1] - $seconds } @rows;
		$peak = $sum if $sum > $peak;
	}
	return $peak;
}

sub quantile { return (sort { $a <=> $b } @_)[(@_ * $_[-1] + 99) / 100 - 1] }

# --- plain settings, with each database ---

sub plain {
	my ($db, %config) = @_;
	my $d = Policyd->start(config => { limits => [[1000, 3600]], db_timeout => 20, %config });
	my @rows = map { ['U' . random(30) . '@' . (random(4) ? 'a' : 'b') . '.example',
	    $now - 86400 + random(86400), 1 + random(5)] } 1 .. 3000;

	# Out of order, as after a move from another database.
	insert($db // $d, @rows, ['u1@a.example', $now + 10 * 86400, 500]);
	my @limits = ([40, 3600], [70, 7200]);
	my %by_id = ('u3@a.example' => [[5, 3600]], '@b.example' => [[20, 600]]);
	my $file = "$d->{dir}/new.conf";
	spew($file, "limits = [[40, 3600], [70, 7200]]\nexempt = ['u5\@a.example']\n" .
	    "limits_by_id = {'u3\@a.example': [[5, 3600]], '\@b.example': [[20, 600]]}\n");
	my $want = model(sub { my ($id) = @_;
	    return $id eq 'u5@a.example' ? [] : $by_id{$id} // ($id =~ /\@b\./ ?
	    $by_id{'@b.example'} : \@limits) }, @rows);
	my $j = ctl_json($d, 'try', '-n', 1000, $file);
	my %got = map { $_->{id} => [@$_{qw(refused total first)}, "$_->{limit} $_->{seconds}"] }
	    @{$j->{refused}};
	my %refused = map { $_ => $want->{$_} } grep { $want->{$_}[0] > 0 } keys %$want;

	cmp_ok(scalar keys %refused, '>', 10,
	    'the limits of the file refuse many ids of the model');
	is_deeply(\%got, \%refused, 'try finds the ids, mails and windows that the model finds');
	my $sum = 0;
	$sum += $_->[0] for values %refused;
	my ($first) = sort { $a <=> $b } map { $_->[2] } values %refused;
	is_deeply($j->{rules}, [{ rule => '', ids => scalar keys %$want, first => $first,
	    refused_ids => scalar keys %refused, refused => $sum }], 'rules has the sums');
	is_deeply([@{$j->{refused}}[0 .. 1]], [(sort { $b->{refused} <=> $a->{refused} ||
	    $a->{id} cmp $b->{id} } @{$j->{refused}})[0 .. 1]],
	    'the id with most refusals is first');
	my @dates = sort { $a <=> $b } map { $_->[1] } @rows;
	is_deeply([@$j{qw(rows ids first last)}], [@rows + 1, scalar keys %$want, $dates[0],
	    $dates[-1]], 'the span of the rows leaves out a row dated in the future');

	# Without a file.
	$j = ctl_json($d, 'try', '-n', 3);
	my %of;
	push @{$of{lc $_->[0]}}, $_ for @rows;
	my @peaks = sort { $a <=> $b } map { peak(3600, @$_) } values %of;
	my $n = @peaks;
	is_deeply($j->{windows}, [{ rule => '', seconds => 3600, limit => 1000, ids => $n,
	    p50 => $peaks[int((50 * $n + 99) / 100) - 1], p99 => $peaks[int((99 * $n + 99) / 100) - 1],
	    max => $peaks[-1], suggested => $peaks[-4],
	    over => scalar grep { $_ > $peaks[-4] } @peaks }],
	    'without a file try has the peaks of the ids in each window');
	# The limit that it names meets those ids and no other.
	spew($file, "limits = [[$peaks[-4], 3600]]\n");
	is(ctl_json($d, 'try', $file)->{rules}[0]{refused_ids}, $j->{windows}[0]{over},
	    'the suggested limit refuses as many ids as try predicted');
	my ($status, $out) = ctl($d, 'try', '-n', 2, $file);
	is($status, 0, 'try exits with 0 in the text form');
	like($out, qr/^refuses 3 of $n ids, \d+ mails?, first \d{4}-\d\d-\d\d [\d:]+, most u/m,
	    'the text form has the summary');
	like($out, qr/^Mail that was refused left no rows: /m,
	    'the text form says that refused mail left no rows');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the daemon answers requests after try');
	is((ctl($d, 'status', '-q'))[0], 0, 'status is well after try');
	$d->ends_well;
}

subtest 'sqlite' => sub { plain(undef) };
for my $kind (qw(pgsql mysql)) {
	subtest $kind => sub {
		plan(skip_all => "no $kind") if !eval { Database->needed($kind); 1 };
		my $db = Database->start($kind);
		plain($db, $db->config);
		$db->stop;
	};
}

# --- rules ---

subtest 'rules' => sub {
	my %mails = (name => 'mails', key => 'sasl_username', limits => [[100, 3600]]);
	my %wide = (name => 'wide', key => 'sasl_domain', limits => [[1000, 3600]]);
	my %seen = (name => 'seen', key => 'sasl_username', count => 'addresses',
	    limits => [[10, 3600]]);
	my @other = (
	    [{ key => 'sender' }, 'it has another key'],
	    [{ count => 'messages' }, 'it counts something else'],
	    [{ networks => ['192.0.2.0/24'] }, 'it applies to other requests'],
	    [{ only => { server_port => ['587'] } }, 'it applies to other requests'],
	    [{ unless => 'sender' }, 'it applies to other requests'],
	    [{ id_sql => 'SELECT ? FROM x' }, 'its ids are mapped in another way'],
	);
	my $d = Policyd->start(config => { rules => [\%mails, \%wide, \%seen] });
	my $file = "$d->{dir}/new.conf";

	$d->ask(sasl_username => "u$_\@a.example") for (1) x 5, (2) x 3, 3;
	my $try = sub { my ($rules, $more) = @_;
	    spew($file, 'rules = ' . Policyd::literal($rules) . "\n" . ($more // ''));
	    return ctl_json($d, 'try', $file) };
	my $j = $try->([{ %mails, limits => [[2, 3600]], limits_by_id => { 'u2@a.example' => [[3, 60]] } },
	    { %wide, limits => [[8, 60]] }, \%seen]);
	is_deeply([map { [@$_{qw(rule ids refused_ids refused)}] } @{$j->{rules}}],
	    [['mails', 3, 1, 3], ['wide', 1, 1, 1]], 'each rule has its own result');
	is_deeply([map { "$_->{id} $_->{refused}" } @{$j->{refused}}],
	    ['mails:u1@a.example 3', 'wide:a.example 1'],
	    'refused ids have the name of their rule');
	is_deeply($j->{skipped}, [{ rule => 'seen',
	    reason => 'only recipients, messages and bytes can be tried' }],
	    'a rule that counts different values is skipped');
	for (@other) {
		my ($change, $reason) = @$_;

		$j = $try->([{ %mails, %$change }, \%wide]);
		is_deeply($j->{skipped}[0], { rule => 'mails', reason => $reason },
		    "a rule changed by @{[%$change]} is skipped");
	}
	$j = $try->([{ %mails, name => 'post', was => ['mails'], limits => [[2, 3600]] }]);
	is_deeply([map { [@$_{qw(rule refused)}] } @{$j->{rules}}], [['mails', 4]],
	    'a renamed rule is tried with the rows of its earlier name');
	insert($d, ['old:u1@a.example', $now, 2]);
	$d->write_config({ %{$d->{config}}, rules => [{ %mails, was => ['old'] }] });
	ctl($d, 'reload');
	is($try->([{ %mails, was => ['old'], limits => [[6, 86400]] }])->{rules}[0]{refused}, 1,
	    'rows of earlier names count under the running rule');
	for my $count ('external', 'new_recipients') {
		my @rules = { %mails, count => $count };

		$d->write_config({ %{$d->{config}}, rules => \@rules });
		ctl($d, 'reload');
		is($try->(\@rules)->{skipped}[0]{reason}, 'only recipients, messages and bytes ' .
		    'can be tried', "a rule that counts $count is skipped");
	}
	$d->write_config({ %{$d->{config}}, rules => [\%mails, \%wide, \%seen] });
	ctl($d, 'reload');
	is_deeply($try->([\%mails], "fold_case = False\n")->{skipped}[0]{reason},
	    'ids are folded in another way', 'with another fold_case rules are skipped');
	is_deeply($try->([\%mails], "count_mode = 1\n")->{skipped}[0]{reason},
	    'count_mode is another', 'with another count_mode rules are skipped');
	$j = $try->([\%wide, { %mails, name => 'new' }]);
	is_deeply([map { "$_->{rule}: $_->{reason}" } @{$j->{skipped}}],
	    ['mails: the other configuration has no such rule',
	    'seen: the other configuration has no such rule',
	    'new: no rule in force has this name, so there are no rows'],
	    'missing and new rules are skipped');
	spew($file, "limits = [[1, 60]]\n");
	is(scalar grep({ $_->{reason} =~ /has rules and the other none/ }
	    @{ctl_json($d, 'try', $file)->{skipped}}), 3,
	    'with plain settings in the file all rules are skipped');
	$d->ends_well;
};

# --- what is sent, and what is not ---

subtest 'only limits are sent' => sub {
	my $d = Policyd->start(config => { limits => [[100, 3600]] });
	my $file = "$d->{dir}/new.yaml";
	my $path = "$d->{dir}/fake";

	spew($file, "limits: [[7, 60]]\nSOCKET: /nowhere/socket\nbackend: mysql\nmysql_config: " .
	    "{user: root, passwd: sesame, db: x}\nsql_limits_by_id: SELECT limits FROM secrets WHERE id = %s\n" .
	    "smtp_credentials: [root, sesame]\n", 0644);
	my $server = IO::Socket::UNIX->new(Local => $path, Listen => 1) or die "$path: $!";
	my $err = "$d->{dir}/err";
	my $pid = $d->spawn('/dev/null', $err, "$root/build/policyctl", '-s', $path, 'try', $file);
	$server->timeout(20);
	my $client = $server->accept or die "policyctl did not connect: ", slurp($err);
	my $sent = '';
	1 while $sent !~ /\0\0\z/ && sysread $client, $sent, 65536, length $sent;
	close $client;
	Policyd::reap($pid);
	like($sent, qr/\Atry\0limits = \[\[7, 60\]\]\n\0\0\z/,
	    'policyctl sends the limits and nothing else of the file');
	like(slurp($err), qr/new\.yaml: sql_limits_by_id is not asked/,
	    'policyctl says that the query is not asked');

	my ($status, $out, $said) = ctl($d, 'try', $file);
	is($status, 0, 'a file with another database and socket is tried');
	spew($file, "limits: [[7, 60]]\nlimts: 3\nlimits_by_id: 7\n");
	($status, $out, $said) = ctl($d, 'try', $file);
	is_deeply([$status, $out], [3, ''], 'a file with an error is refused');
	like($said, qr/new\.yaml:3:\d+: error: limits_by_id/,
	    'the error has file, line and column');
	($status, $out, $said) = ctl($d, 'try', "$d->{dir}/none");
	is($status, 3, 'a missing file is an error');
	($status) = ctl($d, 'try', '-n', 0);
	is($status, 3, '-n 0 is an error');
	# A question that policyctl would not send.
	my $s = IO::Socket::UNIX->new(Peer => $d->control) or die "connect: $!";
	syswrite $s, "try\0user = 'root'\n\0\0";
	my $answer = join '', <$s>;
	like($answer, qr/\Aerror try: .*a setting is not tried\nend\n\z/,
	    'the daemon refuses a setting that is no limit');
	$s = IO::Socket::UNIX->new(Peer => $d->control) or die "connect: $!";
	syswrite $s, "try\0limits = [[\n\0\0";
	like(join('', <$s>), qr/\Aerror try: /, 'the daemon refuses text that does not parse');
	$d->ends_well;
};

# --- a process of its own ---

subtest 'one at a time, and what ends it' => sub {
	my $d = Policyd->start(config => { limits => [[100, 3600]], db_timeout => 20,
	    db_error_action => 'defer database' });
	my $scanner = sub { my ($p) = grep { $_->{name} eq 'scanning ledger' }
	    @{ctl_json($d, 'status')->{processes}}; return $p };
	my ($n, $pid) = (200_000);

	$d->sql('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ' .
	    "$n) INSERT INTO mail_count (id, date, recipient_count, instance, protocol_state) " .
	    "SELECT 'u' || i, $now - 3600 + i % 3600, 1, 'empty', 'DATA' FROM n");
	# Stops a scanning ledger before it has answered; another one if it was too fast.
	my $begin = sub {
		my $s;
		ok(wait_until {
			$s = IO::Socket::UNIX->new(Peer => $d->control) or die "connect: $!";
			my $answered = sub { IO::Select->new($s)->can_read(0) };
			my $process;
			syswrite $s, "try\0\0";
			# While it starts it may hold a lock.
			wait_until { $process = $scanner->();
			    ($process // {})->{serving} || $answered->() };
			$pid = ($process // {})->{pid} or return 0;
			freeze($pid);
			# The engine has passed on what was answered before.
			$scanner->();
			return 1 if !$answered->();
			kill 'CONT', $pid;
			return 0;
		}, 'a scanning ledger works for try');
		return $s;
	};
	my $first = $begin->();
	my $waits = IO::Socket::UNIX->new(Peer => $d->control) or die "connect: $!";
	syswrite $waits, "try\0\0";
	is($d->ask(sasl_username => 'bob'), 'dunno',
	    'a request is answered while the scanning ledger is stopped');
	kill 'KILL', $pid;
	like(join('', <$first>), qr/error try: the process that reads the rows [^\n]+\nend\n\z/,
	    'if the scanning ledger is killed, try fails with that reason');
	like(join('', <$waits>), qr/^ok\n.*\tids#@{[$n + 1]}\t.*\nend\n\z/ms,
	    'the caller that waited gets its answer');
	ok(wait_until { !$scanner->() }, 'the scanning ledger exits after the answer');
	close $begin->();
	kill 'CONT', $pid;
	ok(wait_until { !$scanner->() }, 'the scanning ledger exits when its caller is gone');
	is(ctl_json($d, 'try')->{ids}, $n + 1, 'the next try succeeds');
	is(ctl_json($d, 'try')->{ids}, $n + 1, 'a further try succeeds at once');
	$begin->();
	kill 'CONT', $pid;
	is($d->stop, 0, 'the daemon stops while a scanning ledger runs');
};

done_testing;
