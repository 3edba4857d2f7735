#!/usr/bin/perl
# A daemon without rivals takes shortcuts: it locks all ids at once, and does not ask for
# rows of others. Daemons start and stop, other programs insert and delete rows, and
# every answer must be the one that the rows in the table require. Then MariaDB's
# statements for each batch of such a daemon are counted.

use strict;
use warnings;

use Test::More;

use Chance qw(chance draw one_of);
use Database;
use Policyd qw(False);

use constant {
	LIMIT => 40,
	ROUNDS => 24,
	BURST => 60,		# more than SILENT in src/ledger/server/writers.c
	IDS => [map { "user$_" } 1 .. 12]
};

sub daemon {
	my ($db) = @_;

	return Policyd->start(config => { $db->config, db_timeout => 20, debug => False,
	    limits => [[LIMIT, 86400]], fail_action => 'reject full',
	    db_error_action => 'defer database' });
}

# What other programs do between two bursts.
sub interfere {
	my ($db, $sum) = @_;
	my $id = one_of(@{+IDS});

	if (chance() < 0.5) {
		$db->sql('INSERT INTO mail_count (id, date, recipient_count, instance, ' .
		    "protocol_state) VALUES ('$id', @{[time]}, 3, 'other', 'DATA')");
		$sum->{$id} += 3;
		return "a row of $id is inserted";
	}
	$db->sql("DELETE FROM mail_count WHERE id = '$id'");
	$sum->{$id} = 0;
	return "the rows of $id are deleted";
}

# Requests one after the other; returns the number of wrong answers.
sub burst {
	my ($d, $sum, $requests, @ids) = @_;
	my $wrong = 0;

	for (1 .. $requests) {
		my $id = one_of(@ids);
		my $fits = ($sum->{$id} // 0) < LIMIT;
		my $answer = $d->ask(sasl_username => $id) // 'none';

		$sum->{$id}++ if $fits;
		next if $answer eq ($fits ? 'dunno' : 'reject full');
		diag("$id with " . ($sum->{$id} // 0) . ": $answer");
		$wrong++;
	}
	return $wrong;
}

sub exact {
	my ($db) = @_;
	my @daemons = (daemon($db));
	my %sum;

	for my $round (1 .. ROUNDS) {
		my $what = 'nothing else happens';

		if (chance() < 0.3) {
			$what = interfere($db, \%sum);
		} elsif (@daemons < 3 && chance() < 0.5) {
			push @daemons, daemon($db);
			$what = 'a daemon starts';
		} elsif (@daemons > 1) {
			(splice @daemons, draw(scalar @daemons), 1)->stop;
			$what = 'a daemon stops';
		}
		# Each daemon first a little, so that none of them keeps quiet for long.
		my $wrong = 0;
		if (chance() < 0.5) {
			$wrong += burst($_, \%sum, 2, @{+IDS}) for @daemons;
		}
		$wrong += burst(one_of(@daemons), \%sum, BURST + draw(20), @{+IDS});
		is($wrong, 0, "round $round, $what: every answer is right");
	}
	is($db->recorded($_), $sum{$_} // 0, "$_: the table has what was accepted")
	    for @{+IDS};
	$_->ends_well for @daemons;
}

# Statements that were executed, and commits.
sub statements {
	my ($db) = @_;

	return map { ($db->sql("SHOW GLOBAL STATUS LIKE '$_'"))[0][1] }
	    qw(Com_stmt_execute Com_commit);
}

# The lock, the look for changes and the rows; in twenty batches a few may be the rest
# of something else.
sub few_statements {
	my ($db) = @_;
	my $d = daemon($db);
	my $requests = 20;

	my @ids = map { "few$_" } 1 .. 6;

	burst($d, {}, BURST, @ids);
	# Between two batches the ledger may do work of its own, in a transaction.
	my ($executed, $commits);
	for (1 .. 3) {
		my @before = statements($db);
		burst($d, {}, $requests, @ids);
		my @after = statements($db);
		($executed, $commits) = map { $after[$_] - $before[$_] } 0, 1;
		last if $commits == $requests;
	}
	is($commits, $requests, 'alone: each of the requests is one transaction');
	cmp_ok($executed, '<=', 3 * $requests + 3,
	    'alone: a batch is three statements and its commit') or diag($executed);
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);

		exact($db);
		few_statements($db) if $kind eq 'mysql';
		$db->stop;
	};
}

done_testing();
