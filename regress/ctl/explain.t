#!/usr/bin/perl
# explain gives the answer that the server then gives: thousands of requests, each
# explained and asked.

use strict;
use warnings;

use JSON::PP;
use Socket;
use Test::More;

use Chance qw(one_of);
use Ctl qw(ctl ctl_json);
use Fault qw(lock_database);
use Policyd qw(request need have_command True False);

need(have_command('sqlite3'), 'sqlite3, to lock the database');

# policyctl's question without the program: a process for each would take long.
sub foretold {
	my ($d, $request) = @_;
	my $answer = '';

	socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
	connect($s, pack_sockaddr_un($d->control)) or die "connect: $!";
	syswrite $s, join('', map { "$_\0" } 'explain', split /\n/, $request) . "\0";
	1 while sysread $s, $answer, 65536, length $answer;
	my ($verdict) = $answer =~ /^\tverdict=(\w+)/m;
	my ($action) = $answer =~ /\taction=(.*)$/m;
	$action //= "no answer: $answer";
	$action =~ s/\\\\/\\/g;
	return ($action, $verdict // '', $answer);
}

sub mails {
	my ($n) = @_;

	return map { {
		sasl_username => one_of('', '', 'alice', 'Alice', 'bob', 'eve+x', 'free',
		    "odd\xff", 'carol'),
		sender => one_of('', 's@example.org', 'S+tag@Example.org', 't@example.net'),
		client_address => one_of('192.0.2.1', '192.0.2.2', '2001:db8::1', 'unknown',
		    '198.51.100.7'),
		recipient => one_of('a@example.com', 'b@example.com', 'C@example.com'),
		recipient_count => one_of(0, 1, 1, 2, 3, 7, 'x', ''),
		size => one_of(0, 1000, 100_000, 'x'),
		protocol_state => one_of('RCPT', 'RCPT', 'DATA', 'DATA', 'END-OF-MESSAGE',
		    'CONNECT', ''),
		instance => one_of('', map { "i.$_" } 1 .. 60),
	} } 1 .. $n;
}

my $action = 'reject {id} {limit}/{period} {used}';
my %by_id = (free => [], bob => [[40, 600]]);
my @configurations = (
	[500, 'plain', { limits => [[15, 600], [60, 3600]], limits_by_id => \%by_id,
	    fail_action => $action }],
	[500, 'all identities', { limits => [[15, 600]], limit_by_sender => True,
	    limit_by_ip => True, limited_networks => ['192.0.2.0/24', '2001:db8::/32'],
	    recipient_delimiter => '+', fail_action => $action }],
	[500, 'count_mode 0', { limits => [[8, 600]], count_mode => 0,
	    fold_case => False, fail_action => $action }],
	[500, 'count_mode 1', { limits => [[15, 600]], count_mode => 1,
	    fail_action => $action }],
	[300, 'count_mode 2', { limits => [[5, 600]], count_mode => 2,
	    fail_action => $action }],
	[800, 'rules', { fail_action => $action, rules => [
	    { name => 'user', key => 'sasl_username', limits => [[30, 600]],
	    limits_by_id => \%by_id, max_per_mail => 3 },
	    { name => 'names', key => 'sasl_username', limits => [[3, 600]],
	    count => 'senders' },
	    { name => 'size', key => 'sender', limits => [[900_000, 600]],
	    count => 'bytes' },
	    { name => 'spread', key => 'client_address', limits => [[2, 600]],
	    count => 'distinct_recipients', action => 'reject {id} too many {used}' },
	    { name => 'places', key => ['sasl_username', 'sender'],
	    limits => [[2, 600]], count => 'addresses', unless => 'helo_name' },
	    { name => 'watch', key => 'server', limits => [[5, 600]],
	    shadow => True }] }],
);

for (@configurations) {
	my ($n, $name, $config) = @$_;

	subtest $name => sub {
		my $d = Policyd->start(config => $config);
		my (%verdicts, @wrong);
		my $before = 0;

		for my $mail (mails($n)) {
			my $request = request(%$mail);
			my ($told, $verdict, $whole) = foretold($d, $request);
			my $real = $d->ask(%$mail);
			push @wrong, "$request=> $real\nexplained: $whole"
			    if $told ne $real;
			$verdicts{$verdict}++;
		}
		is(scalar @wrong, 0, 'each is answered as it was explained')
		    or diag($wrong[0]);
		cmp_ok($verdicts{$_} // 0, '>', 10, "some are $_")
		    for qw(accepted refused passed);
		$d->ends_well;
	};
}

# Without the database the memory decides, and explain tells what it would.
subtest 'from memory' => sub {
	my $d = Policyd->start(config => { limits => [[3, 3600]], db_timeout => 0.2,
	    limits_by_id => { eve => [[1, 600], [5, 3600]] }, fail_action => $action,
	    db_error_action => 'memory' });
	my (@wrong, %verdicts);

	$d->ask(sasl_username => 'bob') for 1 .. 2;
	my $unlock = lock_database($d);
	ok($unlock, 'the database is locked');
	for my $id (('bob', 'eve', 'new') x 4) {
		my ($told, $verdict, $whole) = foretold($d, request(sasl_username => $id));
		my $real = $d->ask(sasl_username => $id);
		push @wrong, "$id => $real\nexplained: $whole" if $told ne $real;
		$verdicts{$verdict}++;
	}
	is(scalar @wrong, 0, 'each is answered as it was explained') or diag($wrong[0]);
	is_deeply(\%verdicts, { accepted => 5, refused => 7 },
	    'without the database requests are decided from memory');
	my $j = ctl_json($d, 'explain', 'protocol_state=RCPT', 'sasl_username=eve');
	like($j->{reason}, qr/^the database gives no verdict; in memory/,
	    'explain says that it uses the memory');
	is_deeply([map { [@$_{qw(id used limit seconds)}] } @{$j->{windows}}],
	    [['eve', 1, 1, 600], ['eve', 1, 5, 3600]], 'explain has the windows of the memory');
	is($j->{keys}[0]{refuses}, JSON::PP::true, 'explain marks the key that refuses');
	$unlock->();
	$d->ends_well;
};

subtest 'max_per_mail and exempt' => sub {
	my $d = Policyd->start(config => { fail_action => $action,
	    exempt => ['boss', '192.0.2.25'], rules => [{ name => 'user', key => 'sasl_username',
	    max_per_mail => 2, limits => [[50, 600]] }] });
	my @data = ('protocol_state=DATA', 'recipient_count=3');

	my $j = ctl_json($d, 'explain', @data, 'sasl_username=bob');
	is_deeply([@$j{qw(verdict reason action)}, $j->{keys}[0]{max_per_mail}], ['refused',
	    'the mail exceeds max_per_mail', 'reject 5.5.3 Too many recipients', 2],
	    'a mail over max_per_mail is refused');
	my (undef, $out) = ctl($d, 'explain', @data, 'sasl_username=bob');
	like($out, qr/^counts 3 for .* by rule user, at most 2 a mail, which refuses$/m,
	    'the text form names max_per_mail');
	$j = ctl_json($d, 'explain', @data, 'sasl_username=boss');
	is_deeply([@$j{qw(verdict reason)}, $j->{windows}], ['accepted',
	    'exempt: it is recorded, and no limit applies', []],
	    'explain: an exempt login has no limit');
	$j = ctl_json($d, 'explain', @data, 'sasl_username=bob', 'client_address=192.0.2.25');
	is_deeply([@$j{qw(verdict reason action)}], ['passed', 'exempt: no limit applies',
	    'dunno'], 'explain: an exempt client has no limit');
	$d->ask(sasl_username => 'boss') for 1 .. 2;
	is((ctl($d, 'show', $_))[1], "exempt: no limit applies to its mail\n", "show $_")
	    for 'Boss', 'user:boss', 'login:boss';
	is_deeply(ctl_json($d, 'show', 'boss'), { exempt => JSON::PP::true, blocks => [],
	    locks => [],
	    keys => [], windows => [], known => JSON::PP::true, refused => 0,
	    would_refuse => 0 }, 'show of an exempt id, in JSON');
	like((ctl($d, 'show', 'bob'))[1], qr/\Auser:bob: at most 2 a mail\nuser:bob\n +0 of /,
	    'show of another id has max_per_mail and windows');
	is(JSON::PP::decode_json((ctl($d, '-j', 'show', 'bob'))[1])->{keys}[0]{max_per_mail}, 2,
	    'max_per_mail in JSON');
	$d->ends_well;

	# Mail of the others in its network, and with its address as the sender, is limited.
	$d = Policyd->start(config => { exempt => ['boss@x.example', '192.0.2.25'], rules => [
	    { name => 'net', key => 'client_address', ipv4_prefix => 24, limits => [[2, 600]] },
	    { name => 'ip', key => 'client_address', limits => [[2, 600]] },
	    { name => 'user', key => 'sasl_username', limits => [[2, 600]] },
	    { name => 'from', key => 'sender', max_per_mail => 7, limits => [] }] });
	(undef, $out) = ctl($d, 'show', '192.0.2.25');
	like($out, qr{\Aexempt: .*\nnet:192\.0\.2\.0/24\n.*\n\z}, 'show of an exempt address');
	is((ctl($d, 'show', 'boss@x.example'))[1], "exempt: no limit applies to its mail\n" .
	    "from:boss\@x.example: at most 7 a mail\n", 'an exempt login');
	$d->ends_well;
};

subtest 'an action with which Postfix takes the mail' => sub {
	my $d = Policyd->start(config => { limits => [[1, 600]], fail_action => 'hold {used}' });
	my @data = ('protocol_state=RCPT', 'sasl_username=bob');

	is(ctl_json($d, 'explain', @data)->{reason}, 'all windows hold', 'explain: there is room');
	$d->ask(sasl_username => 'bob');
	is_deeply([@{ctl_json($d, 'explain', @data)}{qw(verdict action reason)}], ['accepted',
	    'hold 1', 'a window is full, and Postfix takes the mail'],
	    'explain says why a mail is accepted for which there is no room');
	$d->ends_well;
};

subtest 'a rule with a prefix of its own' => sub {
	my $d = Policyd->start(config => { fail_action => $action, ipv6_prefix => 64, rules => [
	    { name => 'net', key => 'client_address', ipv4_prefix => 24, limits => [[2, 600]] },
	    { name => 'host', key => 'client_address', limits => [[5, 600]] }] });

	is($d->ask(client_address => "192.0.2.$_"), 'dunno', "192.0.2.$_") for 1, 2;
	is($d->ask(client_address => '192.0.2.3'), 'reject 192.0.2.0/24 2/600 2',
	    'the third mail of the network is refused');
	my $j = ctl_json($d, 'show', '192.0.2.1');
	is_deeply([map { [@$_{qw(id used)}] } @{$j->{windows}}], [['net:192.0.2.0/24', 2],
	    ['host:192.0.2.1', 1]], 'show prints the windows of both rules');
	$d->ends_well;
};

subtest 'standard input' => sub {
	my $d = Policyd->start(config => { limits => [[1, 60]],
	    fail_action => 'reject full' });
	my $file = "$d->{dir}/request";

	$d->ask(sasl_username => 'bob');
	open my $fh, '>', $file or die "$file: $!";
	print $fh request(sasl_username => 'bob');
	close $fh;
	my ($status, $out) = $d->run_command('/bin/sh', '-c',
	    'exec "$0" -s "$1" explain <"$2"', "$Policyd::root/build/policyctl",
	    $d->control, $file);
	is($status, 0, 'explain reads a request from the standard input');
	like($out, qr/^refused: .*\naction=reject full\ncounts 1 for sasl_username=<bob>/,
	    'that request is explained');
	is((ctl($d, 'explain', 'nonsense'))[0], 3, 'input that is no request fails');
	is((ctl($d, 'explain'))[0], 1, 'empty input is a usage error');
	$d->ends_well;
};

done_testing;
