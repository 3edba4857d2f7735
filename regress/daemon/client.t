#!/usr/bin/perl
# Input from clients: requests split at any byte, any value, and any way to disconnect.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time sleep);

use Policyd qw(request wait_until True need have_command);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

my $limit_one = { limits => [[1, 3600]], fail_action => 'reject full' };

sub engine_rss {
	my ($daemon) = @_;
	my ($kb) = (Policyd::status_of($daemon->child('engine'))->{VmRSS} // 0) =~ /(\d+)/;

	return $kb;
}

subtest 'utf8-split-across-reads' => sub {
	my $d = Policyd->start(config => $limit_one);
	my $n = 0;

	# Split the request inside each character and send the halves in two packets.
	for my $name ("j\xc3\xbcrgen", "\xe2\x82\xac\xe2\x82\xac", "\xf0\x9f\x93\xac",
	    "\xff\xfe\x80", "caf\xc3") {
		my $bytes = request(sasl_username => $name, sender => $name);
		my $start = index($bytes, "sasl_username=") + length 'sasl_username=';
		for my $cut ($start + 1 .. $start + length($name) - 1) {
			my $client = $d->connect;
			my $id = $name . $n++;
			(my $whole = $bytes) =~ s/sasl_username=\Q$name\E/sasl_username=$id/;
			$whole =~ s/^instance=.*$/instance=$id/m;
			$client->send(substr $whole, 0, $cut);
			sleep 0.002;
			is($client->answer(0.02), undef,
			    'no answer before the request is complete')
			    if $n == 1;
			is($client->ask_bytes(substr $whole, $cut), 'dunno',
			    "a request split at byte $cut is answered");
			is($client->ask(sasl_username => $id), 'reject full',
			    'the mail was counted for the complete login');
		}
	}
	# Each byte in a packet of its own.
	my $client = $d->connect;
	$client->send($_) for split //, request(sasl_username => 'byte by byte');
	is($client->answer, 'dunno', 'a request sent byte by byte is answered');
	is($d->recorded('byte by byte'), 1, 'it is recorded under the complete login');
	is($d->recorded("j\xc3\xbcrgen0"), 1, 'UTF-8 is stored byte for byte');
	$d->ends_well;
};

subtest 'long-helo-hides-sasl' => sub {
	my $d = Policyd->start(config => $limit_one);
	my %long = (helo_name => 'h' x 2040, sender => 's' x 2000 . '@example.org',
	    recipient => 'r' x 2000 . '@example.net', ccert_subject => 'c' x 1500);

	is($d->ask(%long, sasl_username => 'mallory'), 'dunno', 'the first mail is accepted');
	is($d->ask(%long, sasl_username => 'mallory'), 'reject full',
	    'the login is found behind 8 kB of other attributes');
	is($d->ask(%long, helo_name => 'h' x 50_000, sasl_username => 'mallory'),
	    'reject full', 'the login is found behind 50 kB of other attributes');
	$d->ends_well;
};

subtest 'value-with-equals' => sub {
	my $d = Policyd->start(config => $limit_one);

	is($d->ask(sasl_username => 'a=b'), 'dunno', 'a=b');
	is($d->ask(sasl_username => 'a=c'), 'dunno', 'a=c and a=b are different ids');
	is($d->ask(sasl_username => 'a=b'), 'reject full', 'a second mail of a=b is refused');
	is($d->ask(sasl_username => '='), 'dunno', 'the login = is accepted');
	is($d->ask(sasl_username => '='), 'reject full',
	    'a second mail of the login = is refused');
	is($d->recorded('a=b'), 1, 'the complete value is recorded');
	$d->ends_well;
};

subtest 'two-requests-in-one-write-merged' => sub {
	my $d = Policyd->start(config => { limits => [[2, 3600]],
	    fail_action => 'reject full' });
	my $client = $d->connect;
	my $three = join '', map { request(sasl_username => 'bob') } 1 .. 3;

	$client->send($three . request(sasl_username => 'eve'));
	is_deeply([map { $client->answer } 1 .. 4],
	    ['dunno', 'dunno', 'reject full', 'dunno'],
	    'four answers in the order of four requests');
	$client->send(request(sasl_username => 'a') . substr request(
	    sasl_username => 'b', instance => 'half'), 0, 100);
	is($client->answer, 'dunno',
	    'of one and a half requests the complete one is answered');
	is($client->answer(0.05), undef, 'the incomplete one is not answered');
	$client->send(substr request(sasl_username => 'b', instance => 'half'), 100);
	is($client->answer, 'dunno', 'it is answered once it is complete');
	is($client->unread, '', 'nothing follows the answer');

	# Of a repeated attribute the last value counts.
	is($client->ask_bytes("request=smtpd_access_policy\nprotocol_state=DATA\n" .
	    "sasl_username=first\nsasl_username=last\nrecipient_count=1\n\n"), 'dunno',
	    'a request with a repeated attribute is answered');
	is($d->recorded('last'), 1, 'the last value is used');
	is($d->recorded('first'), 0, 'the first value is not used');
	$d->ends_well;
};

subtest 'answer-is-one-write' => sub {
	my $d = Policyd->start(config => $limit_one);
	my $client = $d->connect;

	$client->send(request(sasl_username => 'bob'));
	is($client->answer_bytes, "action=dunno\n\n", 'the answer is complete');
	is($client->unread(0.1), '', 'nothing follows it');
	$d->ends_well;
};

subtest 'unbounded-buffer' => sub {
	my $d = Policyd->start(config => $limit_one);
	my $before = engine_rss($d);
	my @clients = map { $d->connect } 1 .. 40;

	# Each client tries to send 4 MB without the end of a request.
	my $line = 'attribute=' . 'x' x 16_000 . "\n";
	my $sent = 0;
	for my $client (@clients) {
		for (1 .. 256) {
			$client->send($line, 2) or last;
			$sent += length $line;
		}
	}
	cmp_ok($sent, '>', 40 * 65_536, 'more was sent than a request may be long');
	is(scalar(grep { $_->wait_closed } @clients), 40,
	    'a connection is closed once its request exceeds 64 KiB');
	is(join('', map { $_->{buffer} } @clients), '', 'no client gets an answer');
	SKIP: {
		skip 'no /proc to read sizes in', 1 if !$before;
		cmp_ok(engine_rss($d) - $before, '<', 40 * 1024, 'memory stays bounded');
	}
	ok($d->wait_log(qr/65536|too long|64 KiB/i), 'the long request is logged');
	is($d->sql('SELECT * FROM mail_count'), 0, 'nothing is recorded');

	# Answers to a client that sends and never reads are not buffered without limit.
	my $flood = $d->connect;
	my $request = request(sasl_username => 'flood');
	my $n = 0;
	$n++ while $n < 50_000 && $flood->send($request, 1);
	SKIP: {
		skip 'no /proc to read sizes in', 1 if !$before;
		cmp_ok(engine_rss($d) - $before, '<', 40 * 1024,
		    "memory stays bounded with $n requests of a client that never reads");
	}
	is($d->ask(sasl_username => 'somebody else'), 'dunno', 'other clients are served');
	$flood->close;
	$d->ends_well;
};

subtest 'malformed-requests' => sub {
	my $d = Policyd->start(config => $limit_one);
	my %bad = (
		'a line without =' => "request=smtpd_access_policy\nnonsense\n\n",
		'a NUL byte' => "request=smtpd_access_policy\nsasl_username=a\0b\n\n",
		'another protocol' => "request=something_else\nsasl_username=bob\n\n",
		'HTTP' => "GET / HTTP/1.0\r\n\r\n\n\n",
	);

	for my $what (sort keys %bad) {
		my $client = $d->connect;
		$client->send($bad{$what});
		ok($client->wait_closed, "$what: closed");
		is($client->{buffer}, '', "$what: without an answer");
	}
	is($d->sql('SELECT * FROM mail_count'), 0, 'nothing is recorded');
	is($d->ask(protocol_state => undef, sasl_username => 'bob'), 'dunno',
	    'no protocol_state: success_action');
	is($d->ask(protocol_state => 'DATA', sasl_username => ''), 'dunno',
	    'an empty login: success_action');
	is($d->sql('SELECT * FROM mail_count'), 0, 'no row has been recorded');
	$d->ends_well;
};

subtest 'missing-recipient_count-drops-connection' => sub {
	my $d = Policyd->start(config => { limits => [[5, 3600]],
	    fail_action => 'reject full' });
	my $client = $d->connect;

	is($client->ask(sasl_username => 'bob', recipient_count => undef), 'dunno',
	    'no recipient_count');
	is($d->recorded('bob'), 1, 'the mail counts as one recipient');
	my $n = 1;
	for my $count ('', 'many', '-3', '1e3', '0x10', '99999999999999999999') {
		my $name = 'user' . $n++;
		is($client->ask(sasl_username => $name, recipient_count => $count), 'dunno',
		    "recipient_count '$count'");
		is($d->recorded($name), 1, 'the mail counts as one recipient');
	}
	is($client->ask(sasl_username => 'zero', recipient_count => 0), 'dunno',
	    'recipient_count 0 is accepted');
	is($d->recorded('zero'), 1, 'the mail counts as one recipient');
	ok($d->wait_log(qr/recipient_count/), 'the bad recipient_count is logged');
	is($client->ask(sasl_username => 'bob', recipient_count => 4), 'dunno',
	    'the same connection is still served');
	is($client->ask(sasl_username => 'bob', recipient_count => 1), 'reject full',
	    'recipients are counted correctly');
	$d->ends_well;
};

subtest 'unknown-client_address-drops-connection' => sub {
	my $d = Policyd->start(config => { %$limit_one, limit_by_sasl => Policyd::False,
	    limit_by_ip => True, limited_networks => ['0.0.0.0/0', '::/0'] });
	my $client = $d->connect;

	for my $address ('unknown', '', undef, '1.2.3', '1.2.3.4.5', '::g', "\xff",
	    'fe80::1%eth0', '999.1.1.1') {
		is($client->ask(client_address => $address), 'dunno',
		    defined $address ? "client_address '$address'" : 'no client_address');
	}
	is($d->sql('SELECT * FROM mail_count'), 0, 'an invalid address is not limited');
	is($client->ask(client_address => '192.0.2.7'), 'dunno',
	    'the first mail of an IPv4 address is accepted');
	is($client->ask(client_address => '192.0.2.7'), 'reject full',
	    'its second mail is refused');
	is($client->ask(client_address => '2001:db8::7'), 'dunno',
	    'the first mail of an IPv6 address is accepted');
	is($client->ask(client_address => '2001:DB8:0:0::7'), 'reject full',
	    'another spelling of that IPv6 address is the same client');
	is($client->ask(client_address => '::ffff:192.0.2.7'), 'reject full',
	    'an IPv4-mapped address counts as the IPv4 address');
	$d->ends_well;
};

subtest 'epipe-kills-daemon' => sub {
	for my $kind ('unix', 'tcp', 'tcp6') {
		my $d = Policyd->start(config => { limits => [[100_000, 3600]] },
		    listen => $kind);

		for my $round (1 .. 60) {
			my $client = $d->connect;
			$client->send(join '', map { request(sasl_username => 'bob') } 1 .. 20);
			$round % 2 && ref $d->endpoint ? $client->reset : $client->close;
		}
		my $client = $d->connect;
		is($client->ask(sasl_username => 'eve'), 'dunno',
		    "$kind: clients that left with answers on their way");
		$d->ends_well;
	}
};

subtest 'client-closes-early-kills-daemon' => sub {
	my $d = Policyd->start(config => { limits => [[100_000, 3600]] },
	    listen => ['unix', 'tcp']);
	my $bytes = request(sasl_username => 'bob', instance => 'early');
	my @clients;

	for my $endpoint ($d->endpoint(0), $d->endpoint(1)) {
		for (my $cut = 0; $cut < length $bytes; $cut += 37) {
			my $client = $d->connect($endpoint);
			$client->send(substr $bytes, 0, $cut);
			$cut % 2 ? $client->close : $client->finish;
			push @clients, $client;
		}
	}
	is(scalar(grep { !$_->{socket}->opened || $_->wait_closed } @clients),
	    scalar @clients, 'connections with half a request are closed');
	is($d->recorded('bob'), 0, 'nothing is recorded');

	my $client = $d->connect;
	$client->send($bytes);
	$client->finish;
	is($client->answer, 'dunno', 'a half-closed client gets its answer');
	ok($client->wait_closed, 'and its connection is closed');
	is($d->recorded('bob'), 1, 'its mail is recorded');

	$client = $d->connect;
	$client->send(request(sasl_username => 'gone'));
	$client->close;
	ok(wait_until { $d->recorded('gone') == 1 },
	    'a request is counted though its client has closed');
	$d->ends_well;
};

subtest 'log-injection' => sub {
	my $d = Policyd->start(config => { limits => [[0, 3600]],
	    fail_action => 'reject {id} is full' });
	my $client = $d->connect;
	my $evil = "bob\r2026-01-01 parent: all is well\x1b[31m\x07\x7f\xc2\x9b2J" .
	    "\xe2\x80\xae";

	like($client->ask(sasl_username => $evil, helo_name => $evil, sender => $evil,
	    queue_id => $evil, instance => $evil, client_name => $evil),
	    qr/^reject [\x20-\x7e]* is full$/, 'the answer is one printable line');
	ok($d->wait_log(qr/id=.*bob/), 'the refusal is logged');
	$client->send("nonsense\x1b]0;title\x07\r\n\n");
	ok($client->wait_closed, 'a connection that sends garbage is closed');
	$client = $d->connect;
	# Tools that ban addresses by these lines must not see a forged address.
	my $other = 'key=sasl_username client=198.51.100.1 instance=1';
	$client->ask(sasl_username => "eve> $other", queue_id => "1 $other",
	    instance => "2 $other");
	$client->ask(sasl_username => 'mark the end');
	ok($d->wait_log(qr/mark the end/), 'later requests are logged');
	unlike($d->log, qr/[\x00-\x09\x0b-\x1f\x7f]/, 'no control character in the log');
	unlike($d->log, qr/\xc2\x9b|\xe2\x80\xae/, 'nor one of Unicode');
	unlike($d->log, qr/^2026-01-01/m, 'a client cannot start a log line');
	ok($d->wait_log(qr/refused: id=<eve\\x3e key=/), 'an id cannot end its own quoting');
	is(scalar(() = $d->log =~ /^\S+ engine: refused: id=<eve[^>]*> (.*)/mg), 1,
	    'one refusal is logged');
	unlike($d->log =~ /^(\S+ engine: refused: id=<eve.*)/m ? $1 =~ s/<[^>]*>//r : 'none',
	    qr/[ ]client=198|\Anone/, 'a client cannot add a field to the line');
	$d->ends_well;
};

done_testing();
