#!/usr/bin/perl
# policyctl events: what happens is told as it happens, to each follower, and no follower
# holds up anybody.

use strict;
use warnings;

use IO::Socket::UNIX;
use JSON::PP;
use Test::More;

use Ctl qw(ctl ctl_command);
use Packaging qw(substituted);
use Policyd qw(wait_until process_alive slurp spew True $root);

my $files = 0;

# A follower that writes to files; it ends with the daemon.
sub follow {
	my ($d, @options) = @_;
	my $file = "$d->{dir}/follower" . ++$files;
	my $pid = $d->spawn($file, "$file.err", ctl_command($d, @options, 'events'));

	return bless { d => $d, file => $file, pid => $pid }, 'Follower';
}

# Accepted by the daemon: an event reaches it. Each call makes one more.
sub follows {
	my (@followers) = @_;
	my $d = $followers[0]{d};

	ok(wait_until { ctl($d, 'block', 'begin.example', 60);
	    !grep { $_->text !~ /begin\.example/ } @followers }, 'every follower is served');
	ctl($d, 'unblock', 'begin.example');
	ok(wait_until { !grep { $_->text !~ /unblock.*begin\.example/ } @followers },
	    'an event is printed without delay');
	$_->{seen} = length $_->text for @followers;
}

sub Follower::text { return Policyd::slurp($_[0]{file}) }

sub Follower::errors { return Policyd::slurp("$_[0]{file}.err") }

sub Follower::since { return substr $_[0]->text, $_[0]{seen} }

sub Follower::status {
	my $status = Policyd::reap($_[0]{pid});

	return defined $status ? Policyd::exit_status($status) : undef;
}

# The first event of that name since follows(), as JSON.
sub event {
	my ($follower, $name, $what) = @_;
	my $found;

	wait_until { ($found) = grep { $_->{event} eq $name && (!$what || $what->($_)) }
	    map { decode_json($_) } grep { /\}\n\z/ } split /^/, $follower->since };
	ok($found, "$name is told") or diag(substr($follower->text, -2000), $follower->errors);
	return $found // {};
}

subtest 'as it happens' => sub {
	my $d = Policyd->start(config => { fail_action => 'reject full', rules => [
	    { name => 'mails', key => 'sasl_username', limits => [[3, 3600]], warn_at => 60 },
	    { name => 'watch', key => 'sasl_username', limits => [[1, 3600]], shadow => True },
	    { name => 'soft', key => 'sender', limits => [[1, 3600]], action => 'prepend X: y' } ] });
	my $json = follow($d, '-j');
	my $text = follow($d);
	my $e;

	follows($json, $text);
	my $bad = qq{b"o <b>\\'\$(id)`id`=};
	$d->ask(sasl_username => $bad, recipient => 'secret@example.net', queue_id => '4Z1')
	    for 1 .. 4;
	$e = event($json, 'warning');
	is_deeply([@$e{qw(id rule used limit seconds n)}], ["mails:$bad", 'mails', 2, 3, 3600, 1],
	    'a warning has the rule and the window');
	$e = event($json, 'hit', sub { $_[0]{rule} eq 'mails' });
	is_deeply([@$e{qw(id key used limit shadow accepted sasl_username client queue_id state)}],
	    ["mails:$bad", 'sasl_username', 3, 3, JSON::PP::false, JSON::PP::false, $bad,
	    '192.0.2.1', '4Z1', 'DATA'], 'a hit has the fields of the request');
	cmp_ok(abs($e->{time} - time), '<', 120, 'a hit has the time');
	$e = event($json, 'hit', sub { $_[0]{rule} eq 'watch' });
	is_deeply([@$e{qw(used limit shadow)}], [1, 1, JSON::PP::true],
	    'what a rule in shadow would refuse is marked');
	$e = event($json, 'hit', sub { $_[0]{rule} eq 'soft' });
	is_deeply([@$e{qw(shadow accepted)}], [JSON::PP::false, JSON::PP::true],
	    'a mail that is accepted over a limit is marked');
	unlike($json->text, qr/secret/, 'no event names a recipient');
	like($text->text, qr/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d hit id=mails:b"o\\x20<b>\S* key=/m,
	    'blanks in the values of a text line are escaped');

	ctl($d, 'block', 'eve', 'until 2030-01-01', 'sto len');
	$e = event($json, 'block');
	is_deeply([@$e{qw(id who reason forever)}], ['login:eve', "uid=$>", 'sto len', JSON::PP::false],
	    'a block has its fields');
	cmp_ok($e->{until}, '>', time, 'a block has its end');
	$d->ask(sasl_username => 'eve');
	is(event($json, 'blocked')->{id}, 'login:eve', 'a blocked request is an event');
	ctl($d, 'unblock', 'eve');
	is(event($json, 'unblock')->{id}, 'login:eve', 'unblock is an event');
	ctl($d, 'grant', 'mails:bob', 5, '1h');
	is_deeply([@{event($json, 'grant')}{qw(id n)}], ['mails:bob', 5], 'a grant is an event');
	ctl($d, 'ungrant', 'mails:bob');
	is(event($json, 'ungrant')->{id}, 'mails:bob', 'ungrant is an event');
	$d->ask(sasl_username => 'bob');
	ctl($d, 'reset', 'mails:bob');
	is(event($json, 'reset')->{id}, 'mails:bob', 'a reset is an event');
	my ($status) = ctl($d, 'unblock', 'eve');
	isnt($status, 0, 'a second unblock fails');
	my $unblocks = () = $json->since =~ /"event": "unblock"/g;
	is($unblocks, 1, 'a failed command is no event');

	$d->signal('HUP');
	is(event($json, 'reload')->{done}, JSON::PP::true, 'a reload by SIGHUP is an event');
	my $good = slurp($d->{file});
	spew($d->{file}, "limits = 7\n");
	$json->{seen} = length $json->text;
	$d->signal('HUP');
	is_deeply([@{event($json, 'reload')}{qw(done text)}], [JSON::PP::false,
	    'the new configuration is not used; the running one stays'],
	    'a failed reload has the reason');
	spew($d->{file}, $good);

	# A flood of one id hides no other's event.
	$d->ask(sasl_username => 'bob') for 1 .. 40;
	$d->ask(sasl_username => 'ann') for 1 .. 4;
	is(event($json, 'hit', sub { $_[0]{id} eq 'mails:ann' })->{id}, 'mails:ann',
	    'a flood of one id does not hide another id');
	my $flood = () = $json->since =~ /"event": "hit", "id": "mails:bob"/g;
	cmp_ok($flood, '<=', 20, 'at most 20 events of one id are printed');
	$e = event($json, 'omitted', sub { $_[0]{kind} eq 'refused' });
	is($e->{id}, 'mails:bob', 'an event sums up what was left out');
	cmp_ok($e->{events}, '>', 10, 'it has the number of events left out');

	$d->stop;
	is($_->status, 0, 'ends with the daemon, well') for $json, $text;
	is($_->errors, '', 'without a word') for $json, $text;
};

subtest 'a daemon that does not say that it ends' => sub {
	my $d = Policyd->start(config => { limits => [[3, 60]] });
	my $f = follow($d, '-j');
	my $control = $d->control;

	follows($f);
	kill 'KILL', $d->children->{engine};
	is($f->status, 2, 'when the engine dies the follower ends with status 2');
	is($f->errors, "policyctl: $control: the connection was closed\n", 'the reason is printed');
	my ($last) = map { decode_json($_) } (split /^/, $f->text)[-1];
	is($last->{exit_status}, 2, 'JSON has the exit status');
	ok(wait_until { defined $d->ask(sasl_username => 'bob') }, 'the next engine serves');
	$f = follow($d);
	follows($f);
	$d->stop;
	is($f->status, 0, 'a new follower ends with status 0 at the stop');
	$f = follow($d);
	is($f->status, 2, 'without a daemon the status is 2');
	like($f->errors, qr/\Apolicyctl: \Q$control\E: No such file/,
	    'the error says that there is no socket');
};

subtest 'followers that never read, and too many' => sub {
	my $d = Policyd->start(config => { fail_action => 'reject full', limits => [[0, 3600]] });
	my @deaf;

	for (1 .. 7) {
		my $s = IO::Socket::UNIX->new(Peer => $d->control) or die "connect: $!";
		syswrite $s, "events\0\0";
		# Connections that wait would be closed for the next one.
		sysread $s, my $ok, 3;
		push @deaf, $s;
	}
	my $reader = follow($d, '-j');
	follows($reader);
	my ($status, $out, $err) = ctl($d, 'events');
	is($status, 3, 'a ninth follower is refused');
	like($err, qr/\Apolicyctl: events: too many followers: the daemon serves at most 8\n\z/,
	    'the error names the maximum');
	is((ctl($d, 'status', '-q'))[0], 0, 'other commands are served');

	# Each of these ids has a line of its own; the queue and the socket hold less.
	my $long = 'x' x 4000;
	my $n = 400;
	# The reader may be slow, too: it is given the time.
	for (1 .. $n) {
		my $now = $_;
		$d->ask(sasl_username => "id$now.$long");
		wait_until { $reader->since =~ /"id$now\.x/ } if $now % 10 == 0;
	}
	my $told = () = $reader->since =~ /"event": "hit"/g;
	is($told, $n, 'a follower that reads gets each event');
	ok($reader->text !~ /"lost"/, 'a follower that reads loses no event');
	is($d->ask(sasl_username => 'bob'), 'reject full', 'requests are answered meanwhile');

	# One that begins to read is told how many it lost.
	my $slow = $deaf[0];
	my $got = '';
	$slow->blocking(0);
	ok(wait_until { 1 while sysread $slow, $got, 65536, length $got;
	    $got =~ /\tevent=lost\tevents#\d+\n/ },
	    'a follower that reads late gets the number of lost events');
	my ($lost) = $got =~ /event=lost\tevents#(\d+)/;
	my $hits = () = $got =~ /\tevent=hit\t/g;
	is($hits + $lost, $n + 1, 'printed and lost events add up to all');
	$d->ask(sasl_username => 'eve');
	ok(wait_until { 1 while sysread $slow, $got, 65536, length $got;
	    $got =~ /\tid=eve\t/ }, 'after a loss it gets new events');

	close $deaf[1];
	my $next;
	# Until the engine has noticed, it refuses the next one, which ends.
	ok(wait_until { $next = follow($d); wait_until { ctl($d, 'block', 'room.example', 60);
	    $next->text ne '' || !process_alive($next->{pid}) }; process_alive($next->{pid}) },
	    'a follower that ends makes room for another');
	follows($next);
	is($d->stop, 0, 'the daemon ends although a follower does not read');
	is($_->status, 0, 'and who reads is told so') for $reader, $next;
};

subtest 'the example unit' => sub {
	my $d = Policyd->start(config => { fail_action => 'reject full', limits => [[0, 3600]] });
	my $unit = "$root/systemd/policyd-rate-limit-events.service.in";
	my $sbin = "$d->{dir}/sb in";
	my $got = "$d->{dir}/got";

	mkdir $sbin or die "$sbin: $!";
	spew("$sbin/policyctl", join(' ', "#!/bin/sh\nexec", ctl_command($d), '"$@"') . "\n", 0755);
	# What it is given: arguments, and one line.
	spew("$sbin/policyd-rate-limit-event",
	    "#!/bin/sh\necho \"arguments=\$#\" >>'$got'\ncat >>'$got'\n" .
	    "! grep -q '\"id\": \"ann\"' '$got'\n", 0755);
	my ($script) = substituted($unit, SBINDIR => $sbin, SYSCONFDIR => $sbin) =~
	    m{^ExecStart=/bin/sh -c '([^']*)'$}m;
	ok($script, 'the unit has a command');
	# As systemd reads it.
	$script =~ s/%%/%/g;
	$script =~ s/\\\\/\\/g;
	my $log = "$d->{dir}/unit.log";
	my $pid = $d->spawn($log, $log, '/bin/sh', '-c', $script);
	ok(wait_until { ctl($d, 'block', 'begin', 60); -s $got },
	    'the command of the unit follows the events');
	my $bad = qq{\$(touch '$d->{dir}/hurt')"; touch '$d->{dir}/hurt' \\n`id`};
	$d->ask(sasl_username => $_) for $bad, 'ann', 'zoe';
	ok(wait_until { slurp($got) =~ /"id": "zoe"/ }, 'each event') or diag(slurp($log));
	my @lines = split /\n/, slurp($got);
	is(scalar(grep { $_ eq 'arguments=0' } @lines) * 2, scalar @lines,
	    'the script runs once for each event, without an argument');
	my ($told) = grep { ($_->{id} // '') eq lc $bad } map { decode_json($_) } grep { /^\{/ } @lines;
	is($told->{event}, 'hit', 'hostile text reaches the script as data');
	ok(!-e "$d->{dir}/hurt", 'hostile text is not executed');
	like(slurp($log), qr/^policyd-rate-limit-event: exit status 1$/m,
	    'the log names a script that fails');
	$d->stop;
	is(Policyd::exit_status(Policyd::reap($pid) // -1), 0, 'the command ends with the daemon');
	like(slurp($unit), qr/^Restart=always$/m, 'the unit restarts its command');
};

done_testing;
