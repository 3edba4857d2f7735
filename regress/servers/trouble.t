#!/usr/bin/perl
# A server in trouble: every request is answered in time by db_error_action, the daemon
# is well again by itself and at once, the log tells of it when it begins and when it
# ends, and nothing is counted twice.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use Database;
use Policyd qw(wait_until request);

use constant TIMEOUT => 2;

my %ledger = (pgsql => 'ledger-pgsql', mysql => 'ledger-mysql');

my $secret = 'daemon\'s secret';

# An account with no more rights than a daemon needs.
sub make_user {
	my ($db) = @_;
	(my $quoted = $secret) =~ s/'/''/g;

	if ($db->{kind} eq 'pgsql') {
		$db->sql("CREATE USER daemon PASSWORD '$quoted'");
		$db->sql('ALTER SCHEMA public OWNER TO daemon');
	} else {
		$db->sql("CREATE USER 'daemon'\@'127.0.0.1' IDENTIFIED BY '$quoted'");
		$db->sql("GRANT ALL ON policyd.* TO 'daemon'\@'127.0.0.1'");
	}
}

sub daemon {
	my ($db, %config) = @_;
	my $password = $db->{kind} eq 'pgsql' ? 'password' : 'passwd';

	return Policyd->new(config => { $db->config(user => 'daemon',
	    $password => $secret), db_timeout => TIMEOUT,
	    limits => [[1000, 3600]], fail_action => 'reject full',
	    db_error_action => 'defer database', %config });
}

# Answers and the longest time that one took, of one request after the other.
sub answers {
	my ($d, $n, %attributes) = @_;
	my $longest = 0;
	my @answers;

	for (1 .. $n) {
		my $begin = time;
		push @answers, $d->ask(%attributes) // 'none';
		my $took = time - $begin;
		$longest = $took if $took > $longest;
	}
	return ($longest, @answers);
}

# It is answered by db_error_action, in time.
sub ok_away {
	my ($d, $name) = @_;
	my ($longest, @answers) = answers($d, 3, sasl_username => 'away');

	is_deeply(\@answers, [('defer database') x 3], "$name: db_error_action");
	cmp_ok($longest, '<', TIMEOUT + 2, "$name: in time ($longest s)");
}

sub ok_back {
	my ($d, $name) = @_;
	my $begin = time;

	ok(wait_until { ($d->ask(sasl_username => 'back') // '') eq 'dunno' },
	    "$name: it is well again");
	cmp_ok(time - $begin, '<', 8, "$name: soon");
	is($d->ask(sasl_username => 'back'), 'dunno', "$name: and stays so");
}

# Lines of the log about the database, since the mark.
sub lines {
	my ($d, $mark) = @_;

	# What is said of each request and each process is for debugging only.
	return grep { / (?:parent|ledger): / && !/answered|started as|is ready|is gone|ended$/ }
	    split /\n/, $d->log_since($mark);
}

sub ok_log {
	my ($d, $mark, $name, $most) = @_;
	my @lines;

	ok((wait_until { @lines = lines($d, $mark); grep { /serves again|works again|is back/ } @lines } 10),
	    "$name: the log tells of the end");
	cmp_ok(scalar @lines, '<=', $most, "$name: in few lines") or
	    diag(map { "$_\n" } @lines);
}

sub down_at_start {
	my ($db) = @_;
	my $d = daemon($db);

	$db->stop;
	$d->start;
	my $mark = $d->log_mark;
	ok_away($d, 'down at start');
	ok(wait_until { $d->log =~ /database is away/ }, 'the log tells of it');
	$db->launch;
	ok_back($d, 'started later');
	ok_log($d, $mark, 'down at start', 6);
	$d->ends_well;
}

sub killed {
	my ($db) = @_;
	my $d = daemon($db)->start;
	my @clients = map { $d->connect } 1 .. 20;
	my %answers;

	ok_back($d, 'at first');
	my $mark = $d->log_mark;
	my $accepted = 0;
	my $round = sub {
		$_->send(request(sasl_username => 'load')) for @clients;
		$answers{$_->answer // 'none'}++ for @clients;
	};
	$round->() for 1 .. 5;
	$_->send(request(sasl_username => 'load')) for @clients;
	$db->stop('KILL');
	$answers{$_->answer // 'none'}++ for @clients;
	ok_away($d, 'killed under load');
	$db->launch;
	ok_back($d, 'restarted');
	ok_log($d, $mark, 'killed', 12);
	is_deeply([sort keys %answers], [grep { $answers{$_} } 'defer database', 'dunno'],
	    'no other answers');
	$accepted = $answers{dunno};
	my $recorded = $db->recorded('load');
	cmp_ok($recorded, '>=', $accepted, "no answered count is lost ($accepted)");
	cmp_ok($recorded, '<=', $accepted + @clients, "$recorded are recorded");

	# A stop in good order, and at once again.
	$db->stop;
	$db->launch;
	ok_back($d, 'stopped and started');
	$d->ends_well;
}

sub frozen {
	my ($db) = @_;
	my $d = daemon($db)->start;

	ok_back($d, 'at first');
	my $mark = $d->log_mark;
	my @all = ($db->{pid}, map { @$_ } values %{Policyd::children_of($db->{pid})});
	kill 'STOP', @all;
	ok_away($d, 'frozen');
	kill 'CONT', reverse @all;
	ok_back($d, 'thawed');
	ok_log($d, $mark, 'frozen', 8);
	$d->ends_well;
}

# A session of the same account, that goes on until it is told to end.
sub session {
	my ($db, $sql) = @_;

	pipe(my $from, my $to) or die "pipe: $!";
	pipe(my $said, my $say) or die "pipe: $!";
	defined(my $pid = fork) or die "fork: $!";
	if (!$pid) {
		close $to;
		close $said;
		open STDIN, '<&', $from;
		open STDOUT, '>&', $say;
		$ENV{PGPASSWORD} = $ENV{MYSQL_PWD} = $secret;
		exec($db->{kind} eq 'pgsql' ? (Database::program('psql'), '-X', '-q', '-A',
		    '-t', '-h', '127.0.0.1', '-p', $db->{port}, '-U', 'daemon', 'policyd') :
		    (Database::program('mariadb'), '--no-defaults', '-h', '127.0.0.1',
		    '-P', $db->{port}, '-u', 'daemon', '-N', '-B', '-n', 'policyd')) or
		    POSIX::_exit(127);
	}
	close $from;
	close $say;
	$to->autoflush(1);
	print $to "$sql;\nSELECT 'ready';\n";
	while (my $line = <$said>) {
		return { pid => $pid, to => $to, said => $said } if $line =~ /ready/;
	}
	die 'no session';
}

sub close_session {
	my ($t) = @_;

	close $t->{to};
	waitpid $t->{pid}, 0;
}

sub locked {
	my ($db) = @_;
	my $d = daemon($db)->start;
	my %lock = (pgsql => 'BEGIN; LOCK TABLE mail_count IN ACCESS EXCLUSIVE MODE',
	    mysql => 'LOCK TABLES mail_count WRITE');

	ok_back($d, 'at first');
	my $before = $db->recorded('away');
	my $mark = $d->log_mark;
	my $t = session($db, $lock{$db->{kind}});
	ok_away($d, 'locked');
	close_session($t);
	ok_back($d, 'unlocked');
	is($db->recorded('away'), $before, 'what got no verdict is not recorded');
	ok_log($d, $mark, 'locked', 8);
	$d->ends_well;
}

sub dropped {
	my ($db) = @_;
	my $d = daemon($db)->start;

	for my $table (qw(mail_count limit_report mail_distinct)) {
		$db->sql("DROP TABLE $table");
		ok_back($d, "$table dropped");
	}
	is($d->ask(sasl_username => 'full', recipient_count => 1000), 'dunno', 'it counts');
	is($d->ask(sasl_username => 'full'), 'reject full', 'as ever');
	$d->ends_well;
}

sub password {
	my ($db) = @_;
	my $d = daemon($db)->start;
	my $set = sub {
		(my $quoted = $_[0]) =~ s/'/''/g;
		$db->sql($db->{kind} eq 'pgsql' ? "ALTER USER daemon PASSWORD '$quoted'" :
		    "ALTER USER 'daemon'\@'127.0.0.1' IDENTIFIED BY '$quoted'");
	};

	ok_back($d, 'at first');
	$set->('another');
	hang_up($db);
	wait_until { ($d->ask(sasl_username => 'away') // '') eq 'defer database' };
	my $mark = $d->log_mark;
	ok_away($d, 'password changed');
	$set->($secret);
	ok_back($d, 'password as it was');
	ok_log($d, $mark, 'password', 6);
	$d->ends_well;
}

# The server ends the daemon's connections.
sub hang_up {
	my ($db) = @_;

	if ($db->{kind} eq 'pgsql') {
		$db->sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity ' .
		    "WHERE application_name = 'policyd-rate-limit'");
	} else {
		$db->sql("KILL $_->[0]") for $db->sql('SELECT id FROM ' .
		    "information_schema.processlist WHERE user = 'daemon'");
	}
}

sub cut {
	my ($db) = @_;
	my $d = daemon($db)->start;

	ok_back($d, 'at first');
	my $mark = $d->log_mark;
	hang_up($db);
	ok_back($d, 'cut');
	ok_log($d, $mark, 'cut', 5);
	$d->ends_well;
}

# The account may have no connection more.
sub full_house {
	my ($db) = @_;
	my $d = daemon($db)->start;
	my $account = $db->{kind} eq 'pgsql' ? 'daemon CONNECTION LIMIT' :
	    "'daemon'\@'127.0.0.1' WITH MAX_USER_CONNECTIONS";

	ok_back($d, 'at first');
	$db->sql("ALTER USER $account 1");
	hang_up($db);
	my $session;
	ok(wait_until { $session = eval { session($db, 'SELECT 1') } },
	    'somebody has the only one');
	wait_until { ($d->ask(sasl_username => 'away') // '') eq 'defer database' };
	my $mark = $d->log_mark;
	ok_away($d, 'out of connections');
	close_session($session);
	ok_back($d, 'one is free');
	ok_log($d, $mark, 'out of connections', 6);
	$db->sql("ALTER USER $account " . ($db->{kind} eq 'pgsql' ? -1 : 0));
	$d->ends_well;
}

sub read_only {
	my ($db) = @_;
	my $d = daemon($db)->start;
	my $set = sub {
		if ($db->{kind} eq 'pgsql') {
			$db->sql("ALTER USER daemon SET default_transaction_read_only = " .
			    ($_[0] ? 'on' : 'off'));
			hang_up($db);
		} else {
			$db->sql("SET GLOBAL read_only = $_[0]");
		}
	};

	ok_back($d, 'at first');
	$set->(1);
	wait_until { ($d->ask(sasl_username => 'away') // '') eq 'defer database' };
	my $mark = $d->log_mark;
	ok_away($d, 'read only');
	$set->(0);
	ok_back($d, 'takes writes');
	ok_log($d, $mark, 'read only', 6);
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);

		make_user($db);
		subtest 'down at start' => sub { down_at_start($db) };
		subtest 'killed under load' => sub { killed($db) };
		subtest 'frozen' => sub { frozen($db) };
		subtest 'locked by a long transaction' => sub { locked($db) };
		subtest 'tables dropped' => sub { dropped($db) };
		subtest 'password changed' => sub { password($db) };
		subtest 'out of connections' => sub { full_house($db) };
		subtest 'read only' => sub { read_only($db) };
		subtest 'connection cut' => sub { cut($db) };
		$db->stop;
	};
}

done_testing();
