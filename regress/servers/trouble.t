#!/usr/bin/perl
# Server failures: every request gets db_error_action in time, the daemon recovers at once
# and without a restart, the log has the begin and the end of the outage, and no mail is
# counted twice.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(freeze wait_until request);
use Trouble qw(make_user daemon ok_away ok_not_waited_for ok_back ok_log session
    close_session hang_up $secret);

sub down_at_start {
	my ($db) = @_;
	my $d = daemon($db);

	$db->stop;
	$d->start;
	my $mark = $d->log_mark;
	ok_away($d, 'down at start');
	ok(wait_until { $d->log =~ /database is away/ }, 'the outage is logged');
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
	ok_not_waited_for($d, 'killed for a while');
	$db->launch;
	ok_back($d, 'restarted');
	ok_log($d, $mark, 'killed', 12);
	is_deeply([sort keys %answers], [grep { $answers{$_} } 'defer database', 'dunno'],
	    'only these two answers occur');
	$accepted = $answers{dunno};
	my $recorded = $db->recorded('load');
	cmp_ok($recorded, '>=', $accepted, "no answered count is lost ($accepted)");
	cmp_ok($recorded, '<=', $accepted + @clients, "$recorded are recorded");

	# A clean stop and an immediate start.
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
	freeze(@all);
	ok_away($d, 'frozen');
	kill 'CONT', reverse @all;
	ok_back($d, 'thawed');
	ok_log($d, $mark, 'frozen', 8);
	$d->ends_well;
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
	is($db->recorded('away'), $before, 'requests without a verdict are not recorded');
	ok_log($d, $mark, 'locked', 8);
	$d->ends_well;
}

sub dropped {
	my ($db) = @_;
	my $d = daemon($db, db_timeout => 20)->start;

	for my $table (qw(mail_count limit_report limit_warning limit_shadow limit_lock
	    mail_distinct)) {
		$db->sql("DROP TABLE $table");
		ok_back($d, "$table dropped");
	}
	is($d->ask(sasl_username => 'full', recipient_count => 1000), 'dunno',
	    'a mail is accepted');
	is($d->ask(sasl_username => 'full'), 'reject full', 'the limit applies');
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

# An idle timeout or a firewall: the ledger notices and reconnects before the next request.
sub idle {
	my ($db) = @_;
	my $d = daemon($db, db_timeout => 20)->start;
	my $mark;

	ok_back($d, 'at first');
	for (1 .. 3) {
		my $ledger = $d->child("ledger-$db->{kind}");

		$mark = $d->log_mark;
		hang_up($db);
		ok($d->child("ledger-$db->{kind}", $ledger), 'the ledger notices');
		ok($d->wait_log(qr/serves again|works again|is back/, $mark),
		    'the ledger has reconnected');
		is($d->ask(sasl_username => 'idle'), 'dunno', 'the next request is accepted');
	}
	ok_log($d, $mark, 'idle', 5);
	$d->ends_well;
}

# The account has reached its maximum of connections.
sub full_house {
	my ($db) = @_;
	my $d = daemon($db)->start;
	my $account = $db->{kind} eq 'pgsql' ? 'daemon CONNECTION LIMIT' :
	    "'daemon'\@'127.0.0.1' WITH MAX_USER_CONNECTIONS";

	ok_back($d, 'at first');
	$db->sql("ALTER USER $account 1");
	# The daemon must not reconnect first.
	freeze($d->{pid});
	hang_up($db);
	my $session;
	ok(wait_until { $session = eval { session($db, 'SELECT 1') } },
	    'another session holds the only connection');
	$d->signal('CONT');
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
		subtest 'connection cut while idle' => sub { idle($db) };
		subtest 'connection cut' => sub { cut($db) };
		$db->stop;
	};
}

done_testing();
