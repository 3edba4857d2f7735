#!/usr/bin/perl
# clean-shortens-custom-window and what goes with it, on a server: what is old is what no
# window needs, also none that came from SQL; many rows go in small steps, beside a daemon
# that goes on deciding; and the daemon cleans by itself.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use Chance qw(draw);
use Database;
use Policyd qw(wait_until request slurp);

use constant ROWS => 20_000;
use constant OLD => 400_000;		# seconds

sub daemon {
	my ($db, %config) = @_;

	return Policyd->new(config => { $db->config, db_timeout => 10,
	    debug => Policyd::False, limits => [[1000, 60]],
	    limits_by_id => { bob => [[1000, 7200]] },
	    sql_limits_by_id => 'SELECT limits FROM rate_limits WHERE id = %s',
	    db_error_action => 'defer database', %config });
}

sub count {
	my ($db, $where) = @_;

	return ($db->sql('SELECT count(*) FROM mail_count' .
	    (defined $where ? " WHERE $where" : '')))[0][0];
}

# So many rows, the youngest so many seconds old.
sub fill {
	my ($db, $id, $rows, $age) = @_;
	my $from = int(time) - $age - $rows;

	$db->sql('INSERT INTO mail_count (id, date, recipient_count, instance, ' .
	    "protocol_state) SELECT '$id', $from + " . ($db->{kind} eq 'pgsql' ?
	    "i, 1, 'x' || i, 'DATA' FROM generate_series(1, $rows) i" :
	    "seq, 1, concat('x', seq), 'DATA' FROM seq_1_to_$rows"));
}

sub clean {
	my ($d) = @_;
	# Many small steps, each of which gives way to who asks.
	local $Policyd::patience = 120;
	my ($status, $out, $err) = $d->run('--clean');

	is($status, 0, 'cleaned') or diag($err);
	return $out;
}

# Asks until told to stop: the answers, and the longest that one took.
sub asking {
	my ($d) = @_;

	pipe(my $from, my $to) or die "pipe: $!";
	pipe(my $stop, my $end) or die "pipe: $!";
	defined(my $pid = fork) or die "fork: $!";
	if (!$pid) {
		close $_ for $from, $end;
		my $client = $d->connect;
		my ($longest, %answers) = (0);
		vec(my $set = '', fileno($stop), 1) = 1;
		until (select(my $ready = $set, undef, undef, 0)) {
			my $begin = time;
			$client->send(request(sasl_username => 'load' . draw(50)));
			$answers{$client->answer // 'none'}++;
			my $took = time - $begin;
			$longest = $took if $took > $longest;
		}
		syswrite $to, join ' ', $longest, map { s/ /_/gr . "=$answers{$_}" }
		    sort keys %answers;
		POSIX::_exit(0);
	}
	close $_ for $to, $stop;
	return sub {
		close $end;
		my $said = <$from>;
		waitpid $pid, 0;
		return split / /, $said;
	};
}

sub windows {
	my ($db) = @_;
	my $d = daemon($db)->start;

	is($d->ask(sasl_username => 'bob'), 'dunno', 'bob is known');
	fill($db, 'bob', 10, 14_000);		# within twice of 7200
	fill($db, 'bob', 20, 15_000);
	like(clean($d), qr/^20 records deleted$/m, 'what no window needs is gone');
	is(count($db, "instance <> 'empty' AND id = 'bob' AND recipient_count = 1 AND " .
	    'date < ' . (int(time) - 10_000)), 10, 'what limits_by_id needs is there');

	$db->sql("INSERT INTO rate_limits VALUES ('eve', '[[1000, 100000]]')");
	is($d->ask(sasl_username => 'eve'), 'dunno', 'a window comes from SQL');
	$d->stop;
	fill($db, 'eve', 15, 190_000);		# within twice of 100000
	fill($db, 'eve', 25, 210_000);
	like(clean($d), qr/^25 records deleted$/m, 'it counts also when its daemon is gone');
	is(count($db, "id = 'eve' AND date < " . (int(time) - 150_000)), 15,
	    'what sql_limits_by_id needs is there');
}

sub beside {
	my ($db) = @_;
	my $d = daemon($db)->start;

	is($d->ask(sasl_username => 'bob'), 'dunno', 'it decides');
	fill($db, "old$_", ROWS / 4, OLD) for 1 .. 4;
	my $stop = asking($d);
	like(clean($d), qr/^@{[ROWS]} records deleted$/m, 'all old rows are gone');
	my ($longest, @answers) = $stop->();
	is(@answers, 1, 'only one kind of answer during cleaning');
	like($answers[0], qr/^dunno=[1-9]/, 'was accepted');
	cmp_ok($longest, '<', 9, "nobody waited long ($longest s)");
	is(count($db, 'date < ' . (int(time) - OLD)), 0, 'no old row is left');
	$d->ends_well;
}

# An administrator's own transaction holds rows: they wait for the next time.
sub locked {
	my ($db) = @_;
	my $d = daemon($db)->start;

	$d->stop;
	fill($db, 'held', 10, OLD);
	fill($db, 'free', 500, OLD);
	my $release = $db->holding("SELECT 1 FROM mail_count WHERE id = 'held' FOR UPDATE");
	like(clean($d), qr/^500 records deleted$/m, 'all but rows that somebody holds');
	$release->();
	like(clean($d), qr/^10 records deleted$/m, 'and these later');
}

# Servers before PostgreSQL 14 find a range of blocks only by reading the whole table, and
# are asked another way. This one says that it is one of these.
sub older {
	my ($db) = @_;
	my $d = daemon($db)->start;
	my $ranges = sub { scalar(() = slurp("$db->{dir}/log") =~ /ctid >=/g) };

	$d->stop;
	$db->sql("ALTER ROLE CURRENT_USER SET log_statement = 'all'");
	fill($db, 'newer', 2500, OLD);
	like(clean($d), qr/^2500 records deleted$/m, 'all old rows are gone');
	my $asked = $ranges->();
	cmp_ok($asked, '>', 0, 'by ranges');
	$db->sql('CREATE SCHEMA older');
	$db->sql('CREATE FUNCTION older.current_setting(text) RETURNS text LANGUAGE sql AS ' .
	    "\$\$ SELECT CASE \$1 WHEN 'server_version_num' THEN '130000' " .
	    "ELSE pg_catalog.current_setting(\$1) END \$\$");
	$db->sql("ALTER ROLE CURRENT_USER SET search_path = older, pg_catalog, public");
	fill($db, 'older', 2500, OLD);
	like(clean($d), qr/^2500 records deleted$/m, 'and those of an older server');
	is($ranges->(), $asked, 'without them');
	$db->sql("ALTER ROLE CURRENT_USER RESET ALL");
}

sub by_itself {
	my ($db) = @_;
	my $d = daemon($db, clean_interval => 1)->start;

	fill($db, 'old', 3000, OLD);
	my $stop = asking($d);
	ok(wait_until { count($db, "id = 'old'") == 0 }, 'the daemon cleans by itself');
	my ($longest, @answers) = $stop->();
	like("@answers", qr/^dunno=[1-9]\d*$/, 'requests are accepted meanwhile');
	cmp_ok($longest, '<', 9, "at once ($longest s)");
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);

		subtest 'clean-shortens-custom-window' => sub { windows($db) };
		subtest 'beside a daemon' => sub { beside($db) };
		subtest 'locked' => sub { locked($db) } if $kind eq 'pgsql';
		subtest 'older' => sub { older($db) } if $kind eq 'pgsql';
		subtest 'clean_interval' => sub { by_itself($db) };
		$db->stop;
	};
}

done_testing();
