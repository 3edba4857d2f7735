package Bench::Raw;

# The second floor of a database server: one session of the server's own client that only
# inserts rows like ours, into an empty copy of mail_count, with as many rows in a commit
# as the daemon had.

use strict;
use warnings;

use Carp qw(croak);
use Time::HiRes qw(time);

use Policyd qw(spew);

my %statement = (insert => \&insert, copy => \&copy);

# The ways in which this server takes many rows.
sub ways { return $_[0] eq 'pgsql' ? qw(insert copy) : qw(insert) }

sub row {
	my ($users) = @_;
	my $id = sprintf 'user%07d@submission.example.org', rand $users;

	return ($id, int(time), 1, sprintf('%06x.%08x.%05x.0', rand 2 ** 24, rand 2 ** 32,
	    rand 2 ** 20), 'DATA');
}

sub insert {
	my ($rows, $users) = @_;

	return 'INSERT INTO raw_count (id, date, recipient_count, instance, protocol_state) ' .
	    'VALUES ' . join(', ', map { sprintf "('%s', %d, %d, '%s', '%s')",
	    row($users) } 1 .. $rows) . ";\n";
}

sub copy {
	my ($rows, $users) = @_;

	return 'COPY raw_count (id, date, recipient_count, instance, protocol_state) ' .
	    "FROM STDIN;\n" . join('', map { join("\t", row($users)) . "\n" } 1 .. $rows) .
	    "\\.\n";
}

# Seconds that the client needs for this file.
sub took {
	my ($server, $database, $file) = @_;
	my $begun = time;

	$server->sql_file($database, $file);
	return time - $begun;
}

# Rows a second, for about so many seconds.
sub rate {
	my ($server, $database, $way, %option) = @_;
	my ($rows, $users, $seconds) = @option{qw(rows users seconds)};
	my $file = "$server->{dir}/raw.sql";
	my $write = sub {
		my ($batches) = @_;
		spew($file, join '', map { $statement{$way}->($rows, $users) } 1 .. $batches);
	};

	croak "rows: $rows" if $rows < 1;
	$server->sql_in($database, $_) for 'DROP TABLE IF EXISTS raw_count',
	    'CREATE TABLE raw_count ' . ($server->{kind} eq 'pgsql' ?
	    '(LIKE mail_count INCLUDING ALL)' : 'LIKE mail_count');
	$write->(0);
	my $empty = took($server, $database, $file);
	# A short run says how many batches fill the time.
	my $batches = 50;
	$write->($batches);
	my $first = took($server, $database, $file) - $empty;
	$batches = int($batches * $seconds / ($first > 0.001 ? $first : 0.001)) + 1;
	$write->($batches);
	my $rate = $batches * $rows / (took($server, $database, $file) - $empty);
	$server->sql_in($database, 'DROP TABLE raw_count');
	unlink $file;
	return $rate;
}

1;
