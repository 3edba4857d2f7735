#!/usr/bin/perl
# clean-shortens-custom-window and other cleaning tests, on a server: a row is old if no
# window needs it, including windows from SQL; many rows are deleted in small steps while
# a daemon decides; and the daemon cleans by itself.

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

# Inserts $n rows, the newest $age seconds old.
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
	# Many small steps; requests are decided between them.
	local $Policyd::patience = 120;
	my ($status, $out, $err) = $d->run('--clean');

	is($status, 0, '--clean exits with status 0') or diag($err);
	return $out;
}

# Sends requests until told to stop; returns the answers and the longest wait.
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

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a mail of bob is accepted');
	fill($db, 'bob', 10, 14_000);		# within twice of 7200
	fill($db, 'bob', 20, 15_000);
	like(clean($d), qr/^20 records deleted$/m, 'rows that no window needs are deleted');
	is(count($db, "instance <> 'empty' AND id = 'bob' AND recipient_count = 1 AND " .
	    'date < ' . (int(time) - 10_000)), 10, 'rows that limits_by_id needs remain');

	$db->sql("INSERT INTO rate_limits VALUES ('eve', '[[1000, 100000]]')");
	is($d->ask(sasl_username => 'eve'), 'dunno', 'the daemon reads a window from SQL');
	$d->stop;
	fill($db, 'eve', 15, 190_000);		# within twice of 100000
	fill($db, 'eve', 25, 210_000);
	like(clean($d), qr/^25 records deleted$/m,
	    'windows from SQL are respected when their daemon has stopped');
	is(count($db, "id = 'eve' AND date < " . (int(time) - 150_000)), 15,
	    'rows that sql_limits_by_id needs remain');
}

sub beside {
	my ($db) = @_;
	my $d = daemon($db)->start;

	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');
	fill($db, "old$_", ROWS / 4, OLD) for 1 .. 4;
	my $stop = asking($d);
	like(clean($d), qr/^@{[ROWS]} records deleted$/m, 'all old rows are deleted');
	my ($longest, @answers) = $stop->();
	is(@answers, 1, 'only one kind of answer during cleaning');
	like($answers[0], qr/^dunno=[1-9]/, 'every request was accepted');
	cmp_ok($longest, '<', 9, "no request waited long ($longest s)");
	is(count($db, 'date < ' . (int(time) - OLD)), 0, 'no old row is left');
	$d->ends_well;
}

# Rows locked by another transaction are left for the next cleaning.
sub locked {
	my ($db) = @_;
	my $d = daemon($db)->start;

	$d->stop;
	fill($db, 'held', 10, OLD);
	fill($db, 'free', 500, OLD);
	my $release = $db->holding("SELECT 1 FROM mail_count WHERE id = 'held' FOR UPDATE");
	like(clean($d), qr/^500 records deleted$/m,
	    'all old rows but the locked ones are deleted');
	$release->();
	like(clean($d), qr/^10 records deleted$/m, 'the formerly locked rows are deleted');
}

# Servers before PostgreSQL 14 read the whole table for a range of blocks, so the daemon
# uses another statement. This server claims to be that old.
sub older {
	my ($db) = @_;
	my $d = daemon($db)->start;
	my $ranges = sub { scalar(() = slurp("$db->{dir}/log") =~ /ctid >=/g) };

	$d->stop;
	$db->sql("ALTER ROLE CURRENT_USER SET log_statement = 'all'");
	fill($db, 'newer', 2500, OLD);
	like(clean($d), qr/^2500 records deleted$/m, 'all old rows are deleted');
	my $asked = $ranges->();
	cmp_ok($asked, '>', 0, 'rows are found by ranges of blocks');
	$db->sql('CREATE SCHEMA older');
	$db->sql('CREATE FUNCTION older.current_setting(text) RETURNS text LANGUAGE sql AS ' .
	    "\$\$ SELECT CASE \$1 WHEN 'server_version_num' THEN '130000' " .
	    "ELSE pg_catalog.current_setting(\$1) END \$\$");
	$db->sql("ALTER ROLE CURRENT_USER SET search_path = older, pg_catalog, public");
	fill($db, 'older', 2500, OLD);
	like(clean($d), qr/^2500 records deleted$/m,
	    'all old rows are deleted on an older server');
	is($ranges->(), $asked, 'without ranges of blocks');
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
