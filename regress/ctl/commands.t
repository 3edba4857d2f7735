#!/usr/bin/perl
# policyctl's commands against a daemon.

use strict;
use warnings;

use JSON::PP;
use Socket qw(AF_INET);
use Test::More;

use Ctl qw(ctl ctl_command ctl_json);
use Policyd qw(freeze wait_until have_command as_root process_alive spew slurp True False $root);

sub start {
	my (%config) = @_;

	return Policyd->start(config => { limits => [[3, 60], [10, 3600]],
	    fail_action => 'reject full', %config });
}

subtest 'status' => sub {
	my $d = start();
	my $j;

	$d->ask(sasl_username => 'bob') for 1 .. 5;
	$j = ctl_json($d, 'status');
	is($j->{version}, (split / /, `$root/build/policyctl -V`)[1] =~ s/\n//r,
	    'status has the version of policyctl');
	is($j->{database}, 'well', 'status says that the database is well');
	like($j->{backend}, qr/\Asqlite \Q@{[$d->database]}\E\z/, 'status names the database');
	is($j->{configuration}, $d->{file}, 'status names the configuration file');
	my %pid = map { $_->{name} => $_->{pid} } @{$j->{processes}};
	is($pid{parent}, $d->pid, "status has the parent's pid");
	my $children = $d->children;
	is($pid{$_}, $children->{$_},
	    "status has the pid of the $_") for 'engine', 'ledger-sqlite';
	my %count = map { $_->{name} => $_->{value} } @{$j->{counters}};
	is($count{accepted}, 3, 'status counts accepted requests');
	is($count{refused}, 2, 'status counts refused requests');
	my ($status, $out) = ctl($d, 'status');
	is($status, 0, 'status exits with 0');
	like($out, qr/^policyd-rate-limit \d/, 'the text begins with the name and version');
	like($out, qr/^  refused +2$/m, 'the text has the counters');
	unlike($out, qr/[^\n\x20-\x7e]/, 'no terminal escape is written to a pipe');
	$d->ends_well;
};

subtest 'the exit status of status' => sub {
	my $d = start(db_timeout => 1);
	my ($status, $out, $err) = ctl($d, 'status', '-q');

	is_deeply([$status, $out, $err], [0, "well\n", ''],
	    'status -q prints well and exits with 0');
	($status, $out) = ctl($d, 'status', 'more');
	is($status, 3, 'after wrong usage the status is unknown');
	my $ledger = $d->children->{'ledger-sqlite'};
	freeze($ledger);
	($status, $out, $err) = ctl($d, 'status', '-q');
	is($status, 1, 'while the ledger is stopped status -q exits with 1');
	like($out, qr/\Adegraded: the database: \S[^\n]*\n\z/,
	    'status -q prints the reason in one line');
	($status, $out, $err) = ctl($d, 'status');
	is($status, 1, 'while the ledger is stopped status exits with 1');
	like($out, qr/^policyd-rate-limit \d/, 'status prints all parts while it is degraded');
	like($err, qr/^policyctl: degraded: the database/, 'status prints the reason to stderr');
	kill 'CONT', $ledger;
	my $socket = $d->control;
	$d->ends_well;
	($status, $out, $err) = ctl($d, 'status', '-q');
	is_deeply([$status, $err], [2, ''], 'without a daemon status -q exits with 2');
	like($out, qr/\Anot serving: \Q$socket\E: [^\n]+\n\z/,
	    'status -q names the socket and the reason in one line');
	($status, $out, $err) = ctl($d, 'status');
	is_deeply([$status, $out], [2, ''], 'without a daemon status exits with 2');
	for my $command ('status', 'top') {
		($status, $out) = ctl($d, '-j', $command);
		is($status, 2, "without a daemon -j $command exits with 2");
		is_deeply(decode_json($out), { error => "$socket: No such file or directory",
		    exit_status => 2 }, "-j $command prints the error as JSON");
	}
	spew($socket, 'no answer');
	($status) = ctl($d, 'status', '-q');
	is($status, 2, 'with a plain file as control socket status -q exits with 2');
};

subtest 'a database server that cannot be reached' => sub {
	for (['pgsql', 'database', 'password'], ['mysql', 'db', 'passwd']) {
		my ($kind, $database, $password) = @$_;
		my $port = Policyd::free_port(AF_INET);
		my $d = start(backend => $kind, db_timeout => 1, "${kind}_config" => {
		    host => '127.0.0.1', port => $port, user => 'bob', $database => 'mail',
		    $password => 'sesame' });
		my ($status, $out);

		ok(wait_until { ($status, $out) = ctl($d, 'status', '-q');
		    $out =~ /\Adegraded: the database: away \([^\n]*127\.0\.0\.1[^\n]*\)\n\z/ },
		    "$kind: status -q names the reason") or diag($out);
		is($status, 1, "$kind: status -q exits with 1");
		# Between two ledgers the reason is not known.
		for (['status', qr/^database +away: .*127\.0\.0\.1/m], ['metrics',
		    qr/^\w+database_fault\{reason="[^\n]*127\.0\.0\.1[^\n]*"\} 1$/m]) {
			my ($word, $reason) = @$_;
			ok(wait_until { ($status, $out) = ctl($d, $word); $out =~ $reason },
			    "$kind: $word names the reason") or diag($out);
		}
		$d->ends_well;
	}
};

subtest 'output that cannot be written' => sub {
	plan(skip_all => 'no /dev/full') if !-c '/dev/full';
	my $d = start();

	$d->ask(sasl_username => 'bob');
	for my $words (['status'], ['show', 'bob'], ['-j', 'top'], ['metrics'], ['-V'], ['-h']) {
		my $command = join ' ', map { "'$_'" } ctl_command($d, @$words);
		my ($status, undef, $err) = $d->run_command('/bin/sh', '-c',
		    "$command >/dev/full");

		is($status, 3, "@$words fails if its output cannot be written");
		like($err, qr/^policyctl: standard output: ./,
		    "@$words: the message names standard output");
	}
	$d->ends_well;
};

subtest 'show and top' => sub {
	my $d = start(limits_by_id => { none => [[0, 60]] });
	my ($j, $status, $out);

	$d->ask(sasl_username => 'bob') for 1 .. 2;
	like((ctl($d, 'top'))[1], qr/\A.*  1 of 1 id\n/,
	    'the heading of top has one id in the singular');
	$d->ask(sasl_username => 'eve') for 1 .. 4;
	$d->ask(sasl_username => "ann\xc3\xa4\xff");
	$j = ctl_json($d, 'show', 'BOB');
	is_deeply([map { [@$_{qw(id used limit seconds retry_after)}] } @{$j->{windows}}],
	    [['bob', 2, 3, 60, 0], ['bob', 2, 10, 3600, 0]], 'show has both windows');
	$j = ctl_json($d, 'show', 'eve');
	is($j->{windows}[0]{used}, 3, 'show has the use of a full window');
	cmp_ok($j->{windows}[0]{retry_after}, '>', 0, 'show has the time until a mail fits');
	$d->ask(sasl_username => 'none');
	$j = ctl_json($d, 'show', 'none');
	is_deeply([@{$j->{windows}[0]}{qw(limit retry_after never)}], [0, 60, JSON::PP::true],
	    'show has never for a limit that one mail alone exceeds');
	($status, $out) = ctl($d, 'show', 'none');
	like($out, qr/ mail exceeds limit$/m,
	    'the text of show says that one mail exceeds the limit');
	($status, $out) = ctl($d, '-j', 'show', 'nobody');
	is($status, 3, 'show of an unknown id has status 3');
	is(decode_json($out)->{windows}[0]{used}, 0,
	    'show -j of an unknown id has its windows');
	is($d->recorded('bob'), 2, 'show records nothing');
	$j = ctl_json($d, 'top');
	is_deeply([map { [@$_{qw(id used limit)}] } @{$j->{ids}}[0, 1]],
	    [['eve', 3, 3], ['bob', 2, 3]], 'top lists the fullest first');
	is(scalar @{$j->{ids}}, 3, 'top lists all ids');
	is(scalar @{ctl_json($d, 'top', 1)->{ids}}, 1, 'top N lists N ids');
	($status, $out) = ctl($d, 'top');
	like($out, qr/^ +3 +3  1 min .*100 %  eve$/m,
	    'the text of top has use, limit and window of an id');
	like($out, qr/\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  3 of 3 ids\n/,
	    'the first line has the time and the number of ids');
	like((ctl($d, 'top', 1))[1], qr/\A.*  1 of 3 ids\n/,
	    'top 1 has the total number of ids');
	local $d->{environment} = { COLUMNS => 40 };
	($status, $out) = ctl($d, 'top');
	is((grep { length > 40 } split /\n/, $out), 0, 'no line is wider than 40 columns');
	$d->ask(sasl_username => "\xe6\x97\xa5" x 40) for 1 .. 3;
	($status, $out) = ctl($d, 'top');
	is((sort { $b <=> $a } map { length } $out =~ /((?:\xe6\x97\xa5)+)$/mg)[0], 11 * 3,
	    'wide characters count as two columns');
	local $d->{environment} = {};
	($status, $out) = ctl($d, 'top');
	is((sort { $b <=> $a } map { length } $out =~ /((?:\xe6\x97\xa5)+)$/mg)[0], 40 * 3,
	    'nothing is truncated in a pipe');
	local $d->{environment} = { COLUMNS => 64 };
	($status, $out) = ctl($d, 'show', 'eve');
	is((grep { length > 64 } split /\n/, $out), 0, 'windows fit into 64 columns');
	like($out, qr/ in 1 min +100 %  room in (?:\d+ s|1 min(?: \d s)?)$/m,
	    'the line has the time until a mail fits');
	for my $n ('0', '1001', 'x', '-1') {
		($status) = ctl($d, 'top', $n);
		is($status, $n eq "-1" ? 1 : 3, "top $n fails");
	}
	$d->ends_well;
};

subtest 'the order of top' => sub {
	my $d = Policyd->start(config => { rules => [
	    { name => 'user', key => 'sasl_username', limits => [[4, 60], [100, 86400]] },
	    { name => 'bulk', key => 'sasl_username', limits => [[1000, 86400]],
	    limits_by_id => { ann => [[1, 86400]] }, shadow => True }] });
	my $top = sub {
		my $j = ctl_json($d, 'top', @_);
		return join ' ', map { "$_->{id}=$_->{used}/$_->{limit}" } @{$j->{ids}};
	};

	$d->ask(sasl_username => 'bob') for 1 .. 3;
	$d->ask(sasl_username => 'ann') for 1 .. 2;
	is($top->(), 'bulk:ann=2/1 user:bob=3/4 user:ann=2/4 bulk:bob=3/1000',
	    'top is sorted by fill');
	is($top->('--by', 'fill', '-n', 2), 'bulk:ann=2/1 user:bob=3/4',
	    'top -n 2 has the first two');
	is($top->('--by', 'used', '--rule', 'user', '--window', '1d'),
	    'user:bob=3/100 user:ann=2/100', 'top --by used with one rule and one window');
	is($top->('--window', 60), 'user:bob=3/4 user:ann=2/4',
	    'only the rule with that window is listed');
	is($top->('--window', '1h'), '', 'with an unknown window nothing is listed');
	is(ctl_json($d, 'top', '-n', 1)->{total}, 4,
	    'top gives the total number of ids');
	is((ctl($d, 'block', 'bob', 60))[0], 0, 'block of a login succeeds');
	my ($status, $out) = ctl($d, 'top');
	like($out, qr/ user:bob \(blocked\)$/m, 'top marks the blocked id');
	like($out, qr/ bulk:bob \(blocked, shadow\)$/m,
	    'top marks a blocked id of a shadow rule');
	like($out, qr/ bulk:ann \(shadow\)$/m, 'top marks an id of a shadow rule');
	like($out, qr/ user:ann$/m, 'other ids are not marked');
	for (['--by', 'name'], ['--rule', 'none'], ['--window', 'x'], ['-n', 0]) {
		($status, undef, my $err) = ctl($d, 'top', @$_);
		is($status, 3, "top @$_ fails");
		like($err, qr/\Apolicyctl: top: /, "top @$_: the reason is printed");
	}
	$d->ends_well;
};

subtest 'top after a move to rules' => sub {
	my $d = start();

	$d->ask(sasl_username => 'bob') for 1 .. 3;
	is(ctl_json($d, 'top')->{ids}[0]{id}, 'bob', 'top lists an id of the plain settings');
	$d->write_config({ limits => \'DEFAULT',
	    rules => [{ name => 'user', key => 'sasl_username', limits => [[9, 60]] }] });
	is((ctl($d, 'reload'))[0], 0, 'the reload to rules succeeds');
	$d->ask(sasl_username => 'ann');
	is_deeply([map { $_->{id} } @{ctl_json($d, 'top')->{ids}}], ['user:ann'],
	    'an id without a limit is not listed');
	$d->ends_well;
};

for my $hangs (0, 1) {
	subtest 'top -w on a terminal' . ($hangs ? ', of a daemon that hangs' : '') => sub {
		plan skip_all => 'no script(1) to give it a terminal'
		    if $^O ne 'linux' || grep { !have_command($_) } 'script', 'timeout';
		my $d = start();
		my $seen = "$d->{dir}/seen";

		$d->ask(sasl_username => 'bob');
		pipe(my $from, my $to) or die "pipe: $!";
		defined(my $pid = fork) or die "fork: $!";
		if (!$pid) {
			close $to;
			open STDIN, '<&', $from or POSIX::_exit(126);
			open STDOUT, '>', $seen or POSIX::_exit(126);
			$ENV{TERM} = 'vt100';
			exec('timeout', 300, 'script', '-qec', join(' ', ctl_command($d, 'top', '-w')) .
			    '; echo status=$?; stty -a', '/dev/null') or POSIX::_exit(127);
		}
		close $from;
		$to->autoflush(1);
		ok(wait_until { (() = slurp($seen) =~ /of 1 id\r?\n/g) >= 2 },
		    'the list is printed repeatedly');
		my $engine = $d->child('engine');
		if ($hangs) {
			freeze($engine);
			ok(wait_until { slurp($seen) =~ /the daemon works on it/ }, 'no answer comes');
		}
		print $to 'q';
		waitpid $pid, 0;
		kill 'CONT', $engine;
		like(slurp($seen), qr/status=0\r?\n/, 'q ends top with status 0');
		like(slurp($seen), qr/ echo\b/, "the terminal's settings are restored");
		$d->ends_well;
	};
}

subtest 'rules' => sub {
	my $d = Policyd->start(config => { rules => [
	    { name => 'user', key => 'sasl_username', limits => [[3, 60]] },
	    { name => 'net', key => 'client_address', limits => [[5, 60]] },
	    { name => 'watch', key => 'sasl_username', limits => [[1, 60]],
	    shadow => True }] });
	my $j;

	$d->ask(sasl_username => 'bob', client_address => '192.0.2.9') for 1 .. 2;
	$j = ctl_json($d, 'show', 'bob');
	is_deeply([map { "$_->{rule} $_->{used}" } @{$j->{windows}}],
	    ['user 2', 'watch 2'],
	    'show has each rule that counts the id');
	$j = ctl_json($d, 'show', 'net:192.0.2.9');
	is_deeply([map { "$_->{id} $_->{used}" } @{$j->{windows}}],
	    ['net:192.0.2.9 2'], 'show of an id of one rule');
	$j = ctl_json($d, 'explain', 'sasl_username=bob', 'protocol_state=DATA',
	    'client_address=192.0.2.9');
	is($j->{verdict}, 'accepted', 'explain has the verdict');
	is_deeply([map { "$_->{rule} $_->{would_refuse}" } @{$j->{keys}}],
	    ['user 0', 'net 0', 'watch 1'],
	    'explain shows what a rule in shadow would do');
	my %rule = map { $_->{label_value} => $_->{value} }
	    grep { $_->{name} =~ /rule_requests_total/ }
	    @{ctl_json($d, 'metrics')->{samples}};
	is_deeply(\%rule, { user => 2, net => 2, watch => 2 }, 'metrics count requests by rule');
	$d->ends_well;
};

subtest 'reload' => sub {
	my $d = start();

	is(ctl_json($d, 'reload')->{text}, 'the new configuration is in force',
	    'reload waits until it is done');
	$d->write_config({ limits => [[1, 60]] });
	is((ctl($d, 'reload'))[0], 0, 'reload of another configuration succeeds');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the first mail after the reload is accepted');
	is($d->ask(sasl_username => 'bob'), 'reject full',
	    'the new configuration is in force');
	spew($d->{file}, "limits = 5\nnonsense = 7\n", 0644);
	my ($status, $out, $err) = ctl($d, 'reload');
	is($status, 3, 'reload of a wrong configuration fails');
	like($err, qr/:1:\d+: .*limits/, 'the error has line and column');
	is($d->ask(sasl_username => 'bob'), 'reject full',
	    'the running configuration stays in use');
	ok($d->wait_log(qr/engine: policyctl: uid=$> gid=\d+: reload: done$/m),
	    'the log names the user who reloaded');
	ok($d->wait_log(qr/engine: policyctl: uid=$> gid=\d+: reload: failed: the new configuration /),
	    'the log has the result of the reload');
	$d->ends_well;
};

subtest 'clean, report, log' => sub {
	my $d = start();
	my ($status, $out, $err);

	is((ctl($d, 'clean'))[1], "0 records deleted\n",
	    'clean prints the number of deleted records');
	($status, $out, $err) = ctl($d, 'report');
	is($status, 3, 'report fails while the setting report is off');
	like($err, qr/no report/, 'the answer says that reports are off');
	is((ctl($d, 'log', 'brief'))[0], 0, 'log brief succeeds');
	my $mark = $d->log_mark;
	$d->ask(sasl_username => 'bob');
	ok(wait_until { (ctl($d, 'log', 'debug'))[0] == 0 }, 'log debug succeeds');
	$d->ask(sasl_username => 'eve');
	ok($d->wait_log(qr/accepted: id=<eve>/, $mark), 'each decision is logged');
	unlike($d->log_since($mark), qr/accepted: id=<bob>/,
	    'decisions before log debug are not logged');
	is((ctl($d, 'log', 'loud'))[0], 3, 'log with an unknown word fails');
	$d->ends_well;
};

subtest 'exit status' => sub {
	my $d = start();

	for my $case ([0, '-h'], [0, '-V'], [1], [1, 'nonsense'], [1, '-x'],
	    [1, 'show', ''], [1, 'show'], [1, 'show', 'a', 'b'], [3, 'status', 'x'],
	    [1, 'log'], [1, 'grant', 'a', 1], [1, 'top', 1, 2], [3, 'log', 'x'],
	    [3, 'grant', 'a', 'x', 1], [1, 'top', '-n'], [1, 'top', '--by'], [1, 'top', '--order', 'x'],
	    [1, 'list', '-n'], [1, 'try', '-n'], [1, 'metrics', '-x'], [3, 'status', '-x']) {
		my ($want, @words) = @$case;
		is((ctl($d, @words))[0], $want, "policyctl @words exits with $want");
	}
	$d->ends_well;
	is((ctl($d, 'status'))[0], 2, 'status exits with 2 when no daemon runs');
};

# Without a daemon too: wrong usage prints the usage of that command only.
subtest 'usage' => sub {
	my $d = Policyd->new;

	for my $case ([['block', 'x'], 'block what duration [reason]'], [['show'], 'show id'],
	    [['show', 'a', 'b'], 'show id'], [['list', 'x'], 'list [-n number]'], [['log'], 'log debug | brief'],
	    [['grant', 'a', 1], 'grant id n duration']) {
		my ($words, $usage) = @$case;
		my ($status, $out, $err) = ctl($d, @$words);
		is($status, 1, "policyctl @$words exits with 1");
		is("$out$err", "usage: policyctl $usage\n",
		    "policyctl @$words prints its usage only");
	}
	my ($status, undef, $err) = ctl($d, 'foo');
	is($status, 1, 'an unknown command exits with 1');
	like($err, qr/\Apolicyctl: unknown command: foo\nusage: .*\n(?:       policyctl \w+.*\n){10,}\z/,
	    'the usage lists all commands');
};

subtest 'report' => sub {
	for my $case ([{ report => False }, 'the setting report is off'],
	    [{ report => True }, 'report_to names nobody']) {
		my ($config, $why) = @$case;
		my $d = start(%$config);
		my ($status, undef, $err) = ctl($d, 'report');
		is($status, 3, "report fails: $why");
		is($err, "policyctl: no report: $why\n", "the reason is printed: $why");
		ok($d->wait_log(qr/no report: $why$/m), "the reason is logged: $why");
		$d->ends_well;
	}
};

subtest 'permissions' => sub {
	plan skip_all => 'only root can be somebody else' if !as_root();
	my $d = start();

	$d->ask(sasl_username => 'bob');
	# Every user who can open the socket may use read-only commands; here all users can.
	chmod 0755, "$d->{dir}", "$d->{dir}/ctl";
	chmod 0666, $d->control;
	local $d->{as} = 'daemon';
	for my $words (['status'], ['show', 'bob'], ['top'], ['metrics'],
	    ['explain', 'sasl_username=bob', 'protocol_state=DATA']) {
		is((ctl($d, @$words))[0], 0, "@$words: is allowed");
	}
	for my $words (['reload'], ['report'], ['clean'], (['log', 'debug']) x 30) {
		my ($status, $out, $err) = ctl($d, @$words);
		is($status, 3, "@$words: is denied");
		like($err, qr/permission denied/, "@$words: the reason is printed");
	}
	my $uid = getpwnam 'daemon';
	ok($d->wait_log(qr/policyctl: uid=$uid gid=\d+ may not reload/),
	    'the denied command is logged');
	my @lines = $d->log =~ /uid=$uid gid=\d+ may not/g;
	cmp_ok(scalar @lines, '<', 10, 'repeated denied commands are logged a few times only');
	like((ctl($d, 'why', 'bob'))[2], qr/permission denied/,
	    'why is denied, since it names senders');
	unlike($d->log, qr/parent: policyctl asks/, 'the parent gets no denied command');
	$d->ends_well;
};

subtest 'the ledger is away' => sub {
	my $d = start(db_timeout => 1);

	freeze($d->child('ledger-sqlite'));
	is(ctl_json($d, 'status')->{database}, 'no answer',
	    'status reports that the database does not answer');
	my ($status, $out, $err) = ctl($d, 'show', 'bob');
	is($status, 3, 'show fails while the ledger is stopped');
	like($err, qr/did not answer in time/, 'show prints that there was no answer in time');
	is(ctl_json($d, 'explain', 'sasl_username=bob', 'protocol_state=DATA')->{verdict},
	    'unavailable', 'explain reports db_error_action');
	like((ctl($d, 'metrics'))[1], qr/^policyd_rate_limit_ledger_up 0$/m,
	    'ledger_up is 0 while the ledger is stopped');
	kill 'CONT', $d->child('ledger-sqlite');
	$d->ends_well;
};

subtest 'the engine hangs' => sub {
	my $d = start();
	my $engine = $d->child('engine');

	is((ctl($d, '-t', 60, 'status'))[0], 0, 'status -t 60 succeeds');
	is((ctl($d, '-t', $_, 'status'))[0], 1, "-t '$_' is a usage error") for 0, 'x', '';
	freeze($engine);
	my ($status, $out, $err) = ctl($d, '-t', 1, 'status');
	is($status, 2, 'status exits with 2 while the engine is stopped');
	like($err, qr/no answer in time/, 'the timeout is reported');
	kill 'CONT', $engine;
	is((ctl($d, 'status'))[0], 0, 'status works when the engine continues');
	$d->ends_well;
};

done_testing;
