#!/usr/bin/perl
# Downgrade to the Python program and upgrade again, on each database: 1.2 uses the tables
# unchanged, 1.0 after the manual's SQL; each program counts what the other recorded.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(slurp spew $root);

# The SQL in the manual; the package and its NEWS have the same.
sub manual {
	my ($text) = slurp("$root/man/policyd-rate-limit.conf.5") =~
	    /^\.Bd -literal -offset indent\n(CREATE TABLE mail_count_1_0 .*?)^\.Ed$/ms;

	return $text;
}

sub words { return join ' ', split ' ', $_[0] }

for my $file ('policyd-rate-limit.NEWS', 'policyd-rate-limit.prerm') {
	ok(index(words(slurp("$root/packaging/debian/$file")), words(manual())) >= 0,
	    "$file has the same SQL");
}

# One SQLite file for both programs, or a separate server.
sub storage {
	my ($kind) = @_;

	return Database->start($kind) if $kind ne 'sqlite';
	return bless { d => Policyd->new(limits_of()) }, 'File';
}

sub limits_of { return config => { limits => [[10, 3600]], fail_action => 'reject full' } }

sub File::sql { my ($self, $text) = @_; return $self->{d}->sql($text) }

sub begin {
	my ($storage) = @_;
	my %option = limits_of();

	return $storage->{d}->start if $storage->{d};
	return Policyd->start(config => { %{$option{config}}, $storage->config,
	    db_timeout => 10, db_error_action => 'defer database' });
}

sub accepted {
	my ($d, $id, $times) = @_;

	return scalar grep { $d->ask(sasl_username => $id) eq 'dunno' } 1 .. $times;
}

sub one { my ($storage, $text) = @_; return ($storage->sql($text))[0][0] }

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		my $storage = storage($kind);
		my $d = begin($storage);
		my $since = time - 3600;

		is($d->ask(sasl_username => 'bob', recipient_count => 4), 'dunno',
		    'a mail to four recipients is accepted');
		is(accepted($d, 'bob', 1), 1, 'one more mail is accepted');
		is(accepted($d, 'eve', 1), 1, 'a mail of another login is accepted');
		is($d->stop, 0, 'the daemon stops with status 0');

		# 1.2, with the statements that it uses.
		is(one($storage, 'SELECT SUM(recipient_count) FROM mail_count ' .
		    "WHERE id = 'bob' AND date >= $since"), 5, '1.2 finds the counts');
		$storage->sql("INSERT INTO mail_count VALUES ('bob', " . time .
		    ", 2, 'empty', 'RCPT')");
		$d = begin($storage);
		is(accepted($d, 'bob', 2), 2, 'the daemon counts the mails of 1.2');
		is($d->stop, 0, 'the daemon stops with status 0');

		# 1.0: rows of two columns, one row for each mail.
		$storage->sql($_) for grep { /\S/ } split /;/, manual();
		is(one($storage, 'SELECT COUNT(*) FROM mail_count ' .
		    "WHERE id = 'bob' AND date >= $since"), 9, '1.0 finds the counts');
		$storage->sql("INSERT INTO mail_count VALUES ('eve', " . time . ')') for 1 .. 4;
		is(one($storage, "SELECT COUNT(*) FROM mail_count WHERE id = 'eve'"), 5,
		    '1.0 records mails');
		$d = begin($storage);
		is(accepted($d, 'bob', 5), 1, 'the upgraded daemon counts its earlier mails');
		is(accepted($d, 'eve', 9), 5, 'the upgraded daemon counts the mails of 1.0');
		$d->ends_well;
		$d = begin($storage);
		is(accepted($d, 'eve', 1), 0,
		    'the limit is still reached after another start');
		$d->ends_well;
	};
}

done_testing();
