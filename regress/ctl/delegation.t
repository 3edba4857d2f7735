#!/usr/bin/perl
# control_group and operator_group: who may open which socket of policyctl, what he may do
# there, and what he is told if he may not.

use strict;
use warnings;

use Socket qw(SOCK_STREAM pack_sockaddr_un);
use Test::More;

use Ctl qw(ctl ctl_command ctl_json);
use Policyd qw(as_root need slurp wait_until None);

# Users whose own group is all that they have, as every system has them.
my ($looker, $operator, $stranger) = qw(news games daemon);
my %gid = map { ($_ => scalar getgrnam $_) } $looker, $operator;
need(!grep({ !defined getpwnam $_ } $looker, $operator, $stranger),
    "no users $looker, $operator and $stranger here");

sub operators { return $_[0]->control . '.operator' }

sub start {
	my (%config) = @_;
	my $d = Policyd->new(config => { limits => [[3, 3600]], fail_action => 'reject full',
	    control_group => $looker, operator_group => $operator, %config });

	chmod 0755, $d->{dir};
	return $d->start;
}

# policyctl as another user.
sub as {
	my ($d, $user, @words) = @_;

	local $d->{as} = $user;
	return ctl($d, @words);
}

sub mode_of {
	my ($file) = @_;
	my @stat = stat $file or return 'none';

	return sprintf '%o uid=%d gid=%d', $stat[2] & 07777, @stat[4, 5];
}

subtest 'who may do what' => sub {
	plan skip_all => 'only root can be somebody else' if !as_root();
	my $d = start();

	# The helpdesk need not read the password of a database.
	chmod 0600, $d->{file};
	is(mode_of($d->control), "660 uid=0 gid=$gid{$looker}",
	    'control_group owns control_socket');
	is(mode_of(operators($d)), "660 uid=0 gid=$gid{$operator}",
	    "operator_group owns the operators' socket");
	$d->ask(sasl_username => 'bob') for 1 .. 3;

	my @look = (['status'], ['show', 'bob'], ['top'], ['list'], ['metrics'],
	    ['explain', 'sasl_username=bob', 'protocol_state=DATA']);
	my @operate = (['reset', 'bob'], ['grant', 'bob', 2, '1h'], ['ungrant', 'bob'],
	    ['block', 'bob', '1h', 'why', 'not'], ['unblock', 'bob']);
	my @own = (['reload'], ['report'], ['clean'], ['log', 'debug']);
	for my $words (@look) {
		is((as($d, $_, @$words))[0], 0, "@$words: $_") for $looker, $operator;
	}
	for my $words (@operate) {
		my ($status, undef, $err) = as($d, $looker, @$words);
		is($status, 3, "@$words: $looker is denied");
		is($err, "policyctl: permission denied: $words->[0] is for root, the owner of the " .
		    "socket and the group $operator\n", 'the error names who may use it');
		is((as($d, $operator, @$words))[0], 0, "@$words: $operator is allowed");
	}
	for my $words (['try'], ['charge', 'bounces:bob', 1], ['trust', 'bob', '192.0.2.0/24'],
	    ['forget', 'bob', '1h']) {
		like((as($d, $looker, @$words))[2], qr/permission denied: $words->[0] is for root, the owner/,
		    "@$words: $looker is denied");
		unlike((as($d, $operator, @$words))[2], qr/permission/, "@$words: $operator is allowed");
	}
	like((as($d, $looker, 'why', 'bob'))[2], qr/permission denied: why is for root/,
	    "$looker does not learn who writes to whom");
	unlike((as($d, $operator, 'why', 'bob'))[2], qr/permission/, "$operator may use why");
	for my $words (@own) {
		for my $user ($looker, $operator) {
			my ($status, undef, $err) = as($d, $user, @$words);
			is($status, 3, "@$words: $user is denied");
			is($err, "policyctl: permission denied: $words->[0] is for root and the " .
			    "owner of the socket\n", 'the error names root and the owner');
		}
		unlike((ctl($d, @$words))[2], qr/permission/i, "@$words: root is allowed");
	}
	for my $words (@look, @operate, @own) {
		my ($status, undef, $err) = as($d, $stranger, @$words);
		is($status, $words->[0] eq 'status' ? 3 : 2, "@$words: $stranger cannot connect");
		is($err, 'policyctl: ' . $d->control . ": Permission denied; the group $looker " .
		    "may look, the group $operator may make changes too\n",
		    'the error names both groups');
	}
	my $ids = 'uid=' . getpwnam($operator) . " gid=$gid{$operator}";
	ok($d->wait_log(qr/policyctl: \Q$ids\E asks for: block bob \S+ why not$/m),
	    'the log has the ids of the peer');
	ok($d->wait_log(qr/policyctl: \Q$ids\E: unblock bob: done$/m),
	    'the log has them at the end of the command too');
	$ids = 'uid=' . getpwnam($looker) . " gid=$gid{$looker}";
	ok($d->wait_log(qr/policyctl: \Q$ids\E may not reset \(/),
	    'the log has the ids of a denied peer');
	$d->ends_well;
};

subtest 'without operator_group' => sub {
	plan skip_all => 'only root can be somebody else' if !as_root();
	my $d = start(operator_group => None, control_group => None);

	is(mode_of(operators($d)), 'none', 'without operator_group there is one socket');
	my $group = (split ' ', $))[0];
	my (undef, undef, $err) = as($d, $stranger, 'top');
	my $name = getgrgid((stat $d->control)[5]);
	like($err, qr/: Permission denied; root and the group $name may open it$/,
	    'who may open it');
	chmod 0666, $d->control;
	(my $status, undef, $err) = as($d, $operator, 'block', 'bob', '1h');
	is($status, 3, 'its group may not block');
	like($err, qr/for root and the owner of the socket, since operator_group is not set$/,
	    'the error says why');
	$d->ends_well;
};

subtest 'a claim of sudo' => sub {
	my $d = start(control_group => None, operator_group => None);

	$d->{environment}{SUDO_UID} = 1234;
	is((ctl($d, 'block', 'bob', '1h'))[0], 0, 'a block by sudo succeeds');
	ok($d->wait_log(qr/uid=$> gid=\d+ claimed_sudo_uid=1234 asks for: block bob \S+$/m),
	    'the log has who called sudo, as a claim');
	like(ctl_json($d, 'list')->{blocks}[0]{who}, qr/\Auid=$> claimed_sudo_uid=1234\z/,
	    'the block has the same claim');
	my $user = getpwuid $>;
	like((ctl($d, 'list'))[1], qr/by $user \(SUDO_UID: uid=1234\)/,
	    'list prints the claim as text');
	for my $claim ('', '-1', '1 2', '4294967296', "1\n", 'root', '9' x 300) {
		$d->{environment}{SUDO_UID} = $claim;
		my $mark = $d->log_mark;
		is((ctl($d, 'unblock', 'nobody'))[0], 3, "'$claim': the command is not denied");
		ok($d->wait_log(qr/policyctl: uid=$> gid=\d+ asks for: unblock nobody$/m, $mark),
		    'a malformed claim is not logged');
	}
	for my $question ("sudo_uid=x\0reset\0bob\0\0", "sudo_uid=1\0sudo_uid=2\0list\0\0",
	    "sudo_uid=1\0\0", "sudo_uid=\0list\0\0") {
		socket my $socket, Socket::AF_UNIX, SOCK_STREAM, 0;
		connect $socket, pack_sockaddr_un($d->control);
		syswrite $socket, $question;
		my $answer = join '', <$socket>;
		like($answer, qr/\Aerror (?:malformed question|unknown command)\nend\n\z/,
		    $question =~ s/\0/ /gr);
	}
	$d->ends_well;
};

subtest 'reload, crash and restart' => sub {
	plan skip_all => 'only root can be somebody else' if !as_root();
	my $d = start();
	my $inodes = sub { join ' ', map { (stat)[1] // 'none' } $d->control, operators($d) };
	my $was = $inodes->();

	is((ctl($d, 'reload'))[0], 0, 'a reload succeeds');
	is($inodes->(), $was, 'a reload keeps both sockets');
	$d->write_config({ control_group => $operator, operator_group => $looker });
	is((ctl($d, 'reload'))[0], 0, 'a reload with the groups exchanged succeeds');
	is($inodes->(), $was, 'that reload keeps both sockets');
	is(mode_of($d->control), "660 uid=0 gid=$gid{$operator}",
	    'control_socket has its new group');
	is((as($d, $looker, 'block', 'x', '1h'))[0], 0, "$looker may block now");
	is((as($d, $operator, 'block', 'x', '1h'))[0], 3, "$operator may not block now");

	$d->write_config({ operator_group => None });
	is((ctl($d, 'reload'))[0], 0, 'a reload without operator_group succeeds');
	ok(!-e operators($d), 'the socket of operator_group is removed');
	is((as($d, $operator, 'status'))[0], 0, 'control_socket is still served');
	is((as($d, $operator, 'block', 'x', '1h'))[0], 3, 'control_socket allows no block');
	$d->write_config({ control_group => $looker, operator_group => $operator });
	is((ctl($d, 'reload'))[0], 0, 'a reload with both groups succeeds');
	is((as($d, $operator, 'block', 'x', '1h'))[0], 0, "$operator may block again");

	my $engine = $d->child('engine');
	kill 'KILL', $engine;
	$d->child('engine', $engine);
	ok(wait_until { (as($d, $operator, 'unblock', 'x'))[0] == 0 },
	    'the next engine has both sockets');
	is((as($d, $looker, 'block', 'x', '1h'))[0], 3,
	    'the next engine still denies $looker a block');

	my @children = values %{$d->children};
	kill 'KILL', $d->pid;
	$d->wait_end;
	ok(wait_until { !grep { Policyd::process_alive($_) } @children },
	    'the killed daemon has ended');
	ok(-S operators($d), 'the socket of operator_group is left');
	is((as($d, $operator, 'status'))[0], 2, 'no daemon answers on it');
	$d->start;
	is((as($d, $operator, 'block', 'x', '1h'))[0], 0, 'the next start replaces that socket');
	is($d->stop, 0, 'the daemon ends with status 0');
	ok(!-e $d->control && !-e operators($d), 'both sockets are removed');
};

subtest 'many who look keep out nobody who operates' => sub {
	plan skip_all => 'only root can be somebody else' if !as_root();
	my $d = start();

	pipe my $held, my $holds;
	pipe my $ends, my $end;
	my $pid = fork // die;
	if ($pid == 0) {
		$) = "$gid{$looker} $gid{$looker}";
		POSIX::setgid($gid{$looker});
		POSIX::setuid(scalar getpwnam $looker);
		close $end;
		my @sockets;
		for (1 .. 8) {
			socket my $socket, Socket::AF_UNIX, SOCK_STREAM, 0;
			connect $socket, pack_sockaddr_un($d->control) or POSIX::_exit(1);
			push @sockets, $socket;
		}
		syswrite $holds, 'x';
		sysread $ends, my $byte, 1;
		POSIX::_exit(0);
	}
	sysread $held, my $byte, 1;
	isnt((as($d, $looker, 'status'))[0], 0, 'a ninth connection to control_socket is refused');
	is((as($d, $operator, 'status'))[0], 0, 'the socket of operator_group still has room');
	is((ctl($d, 'status'))[0], 0, 'root is still served');
	close $end;
	waitpid $pid, 0;
	$d->ends_well;
};

subtest 'wrong groups' => sub {
	for my $setting ('control_group', 'operator_group') {
		my $d = start(control_group => None, operator_group => None);
		my $place = sub {
			my @lines = split /\n/, slurp($d->{file});
			my ($n) = grep { $lines[$_ - 1] =~ /^$setting = / } 1 .. @lines;
			return "$d->{file}:$n:" . (length("$setting = ") + 1);
		};
		$d->write_config({ $setting => 'no-such-group' });
		my $want = qr/\Q@{[$place->()]}\E: error: $setting: group no-such-group does not exist/;
		my ($status, undef, $err) = ctl($d, 'reload');
		is($status, 3, "$setting: a reload fails");
		like($err, $want, 'the error has the place');
		is((ctl($d, 'status'))[0], 1, 'the running daemon still serves');
		$d->stop;
		($status, my $out, $err) = $d->run_command($d->command('-n'));
		is($status, 5, '-n exits with status 5');
		like($err, $want, '-n prints the place');
		($status, $out, $err) = $d->run_command($d->command);
		is($status, 5, 'a start exits with status 5');
		like($err, $want, 'the start logs the place');
		is(($d->run_command($d->command('--clean')))[0], 0, '--clean opens no socket');
	}
	my $long = Policyd->new;
	my $path = "$long->{dir}/ctl/";
	$path .= 'x' x (100 - length $path);
	$long->write_config({ control_socket => $path, operator_group => $looker });
	my ($status, undef, $err) = $long->run_command($long->command('-n'));
	is($status, 5, 'a path that is too long with .operator is an error');
	like($err, qr/error: operator_group: the path "\Q$path\E\.operator" is longer than/,
	    'the error names the length');
};

subtest 'not root' => sub {
	plan skip_all => 'only root can be somebody else' if !as_root();
	my $d = Policyd->new(as => $operator, config => { operator_group => $operator });
	$d->start;
	is(mode_of(operators($d)), '660 uid=' . getpwnam($operator) . " gid=$gid{$operator}",
	    'a daemon that is not root gives the socket to a group of its own');
	$d->write_config({ control_group => $looker });
	my ($status, undef, $err) = ctl($d, 'reload');
	is($status, 3, 'it cannot give the socket to another group');
	like($err, qr/error: control_group: the daemon was not started as root .* the group $looker; /,
	    'the fault names the group');
	like($err, qr/; a unit of systemd needs SupplementaryGroups=$looker$/m,
	    'the error says what a unit needs');
	$d->ends_well;
};

done_testing();
