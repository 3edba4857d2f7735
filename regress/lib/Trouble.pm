package Trouble;

# What the tests of a server in trouble have in common: a daemon with an account of its
# own, and what has to hold while its database is away and when it is back.

use strict;
use warnings;

use Exporter qw(import);
use IO::Handle;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use Database;
use Policyd qw(wait_until);

our @EXPORT_OK = qw(make_user daemon ok_away ok_not_waited_for ok_back ok_log session close_session
    hang_up TIMEOUT $secret);

use constant TIMEOUT => 2;

our $secret = 'daemon\'s secret';

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
	cmp_ok($longest, '<', TIMEOUT + 8, "$name: in time ($longest s)");
}

# Ledgers come and find no server; who asks meanwhile does not wait for each of them.
sub ok_not_waited_for {
	my ($d, $name) = @_;
	my $begin = time;
	my (undef, @answers) = answers($d, 20, sasl_username => 'away');

	is_deeply(\@answers, [('defer database') x 20], "$name: db_error_action");
	cmp_ok(time - $begin, '<', 10 * TIMEOUT, "$name: at once");
}

sub ok_back {
	my ($d, $name) = @_;
	my $begin = time;

	ok(wait_until { ($d->ask(sasl_username => 'back') // '') eq 'dunno' },
	    "$name: it is well again");
	cmp_ok(time - $begin, '<', 20, "$name: soon");
	# A machine that stands still for longer than TIMEOUT is none of the database's trouble.
	ok(wait_until {
		my $n = 0;
		$n++ while $n < 3 && ($d->ask(sasl_username => 'back') // '') eq 'dunno';
		return $n == 3;
	}, "$name: and stays so");
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

# The server ends the daemon's connections.
sub hang_up {
	my ($db) = @_;

	$db->end_sessions('daemon');
}

1;
