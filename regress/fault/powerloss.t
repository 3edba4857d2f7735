#!/usr/bin/perl
# A power failure: synced writes are kept; of the other writes any subset of sectors is
# kept. What must hold at any moment: with `synchronous` "full" no answered count is lost;
# with "normal" and "full" the database passes integrity_check and has no count that was
# not requested.

use strict;
use warnings;

use Test::More;

use Chance qw(chance draw);
use Policyd qw(request spew);
use Fault qw(fault_daemon full);

my $sector = 512;
my %suffix = (m => '', w => '-wal', j => '-journal');

# Returns each answer with the length of the journal at that time.
sub ask_some {
	my ($d, $mails) = @_;
	my $shim = $d->{shim}{'ledger-sqlite'};
	my @clients = map { $d->connect } 1 .. 4;
	my @answered;

	for my $n (1 .. $mails / @clients) {
		$_->send(request(sasl_username => 'user' . $n % 50)) for @clients;
		for (@clients) {
			($_->answer // '') eq 'dunno' or return fail("mail $n");
			push @answered, [$shim->get('used'), 'user' . $n % 50];
		}
	}
	return \@answered;
}

# Applies a journal record to a file's content, to all sectors or to some.
sub apply {
	my ($bytes, $record, $torn) = @_;
	my ($what, undef, $offset, $data) = @$record;

	if ($what eq 't') {
		$$bytes = substr($$bytes . "\0" x ($offset - length $$bytes > 0 ?
		    $offset - length $$bytes : 0), 0, $offset);
		return;
	}
	for (my $at = 0; $at < length $data; $at += $sector) {
		next if $torn && chance() < 0.5;
		my $part = substr $data, $at, $sector;
		my $gap = $offset + $at - length $$bytes;
		$$bytes .= "\0" x $gap if $gap > 0;
		substr($$bytes, $offset + $at, length $part) = $part;
	}
}

# Builds the files as a crash at this position of the journal leaves them.
sub crash {
	my ($journal, $until) = @_;
	my (%sure, %open);

	for my $record (@$journal) {
		last if $record->[4] > $until;
		my ($what, $file) = @$record;
		if ($what eq 'u') {
			delete $sure{$file};
			delete $open{$file};
		} elsif ($what eq 's') {
			$sure{$file} //= '';
			apply(\$sure{$file}, $_) for @{delete $open{$file} // []};
		} else {
			push @{$open{$file}}, $record;
		}
	}
	for my $file (keys %open) {
		$sure{$file} //= '';
		for my $record (@{$open{$file}}) {
			my $fate = chance();
			apply(\$sure{$file}, $record, $fate < 0.3) if $fate < 0.6;
		}
	}
	return \%sure;
}

sub check_crash {
	my ($d, $how, $journal, $answered, $until) = @_;
	my $files = crash($journal, $until);
	my $database = "$d->{dir}/crash.sqlite3";

	unlink glob "$database*";
	spew("$database$suffix{$_}", $files->{$_}) for keys %$files;
	my ($check) = eval { $d->sql('PRAGMA integrity_check', $database) };
	return "at $until: not whole: " . ($check->[0] // 'unreadable')
	    if ($check->[0] // '') ne 'ok';
	my $held = { map { $_->[0] => $_->[1] } eval { $d->sql(
	    'SELECT id, SUM(recipient_count) FROM mail_count GROUP BY id', $database) } };
	my (%sure, %all);
	$all{$_->[1]}++ for @$answered;
	$sure{$_->[1]}++ for grep { $_->[0] <= $until } @$answered;
	for (keys %all) {
		my $there = $held->{$_} // 0;
		return "at $until: $_: @{[$sure{$_} // 0]} answered, $there there"
		    if $how eq 'full' && $there < ($sure{$_} // 0);
		return "at $until: $_: $there there, $all{$_} asked" if $there > $all{$_};
	}
	return '';
}

for my $how ('full', 'normal') {
	subtest $how => sub {
		my $d = fault_daemon(shim => ['ledger-sqlite'], journal => 256 << 20);
		$d->write_config({ sqlite_config => { database => $d->database,
		    synchronous => $how }, db_timeout => 20 });
		$d->start;
		my $begin = $d->{shim}{'ledger-sqlite'}->get('used');
		my $answered = ask_some($d, (full) ? 20_000 : 3000);
		$d->ok_alive;
		my $end = $d->{shim}{'ledger-sqlite'}->get('used');
		my $journal = $d->{shim}{'ledger-sqlite'}->journal;
		my @bad;

		cmp_ok(scalar @$journal, '>', @$answered / 10,
		    'what is written is seen');
		for (1 .. (full ? 200 : 20)) {
			my $bad = check_crash($d, $how, $journal, $answered,
			    $begin + draw($end - $begin));
			push @bad, $bad if $bad;
		}
		my $bad = check_crash($d, $how, $journal, $answered, $end);
		push @bad, $bad if $bad;
		is_deeply(\@bad, [], sprintf '%d records, %d answers: nothing is lost',
		    scalar @$journal, scalar @$answered);
		is($d->stop, 0, 'the daemon stops with status 0');
	};
}

done_testing();
