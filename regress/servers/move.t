#!/usr/bin/perl
# packaging/move-counts copies counts, hits, grants, blocks and limits between any two
# databases: the new daemon decides as the old one would have.

use strict;
use warnings;

use JSON::PP;
use Test::More;

use Ctl qw(ctl ctl_json);
use Database;
use Policyd qw(need have_command slurp spew True $root);

need(have_command('sqlite3'), 'no sqlite3 to read and write the database with');
Database->needed($_) for 'pgsql', 'mysql';

my @ids = ('bob@example.org', 'o\'brien@example.org', 'back\\slash', 'a"b', "t\xc3\xa4st",
    "tab\there", '$x{y}', '100%', '; drop table mail_count; --', '.exit', '\\x', '\\\'');
my %db = map { ($_ => Database->start($_)) } 'pgsql', 'mysql';

sub daemon {
	my ($kind) = @_;

	return Policyd->new(config => { limits => [[5, 86400]], fail_action => 'reject full',
	    report => True, sql_limits_by_id => 'SELECT limits FROM rate_limits WHERE id = %s',
	    $kind eq 'sqlite' ? () : $db{$kind}->config });
}

# Sorted lines; texts, whose names are in brackets, as hexadecimal numbers.
sub rows {
	my ($kind, $d, $query) = @_;
	my $db = $kind eq 'sqlite' ? $d : $db{$kind};

	$query =~ s/\[(\w+)\]/$kind eq 'pgsql' ?
	    "upper(encode(convert_to($1, 'UTF8'), 'hex'))" : "hex($1)"/ge;
	return [sort map { join '|', @$_ } $db->sql($query)];
}

# The command that reads or writes a database, without what it is to do.
sub client {
	my ($kind, $d) = @_;

	return ('sqlite3', '-batch', '-bail', $d->database) if $kind eq 'sqlite';
	my @command = $db{$kind}{client}->($db{$kind}, '');
	splice @command, -2;
	return @command;
}

sub move {
	my ($from, $source, $to, $target) = @_;
	my @client = client($from, $source);
	my $sql = "$source->{dir}/moved.sql";

	shift @client;
	local @ENV{qw(PGPASSWORD MYSQL_PWD)} = (Database::password()) x 2;
	# The programs of PostgreSQL need not be in PATH.
	local $ENV{PATH} = join ':', $ENV{PATH}, map { s{/[^/]+\z}{}r } Database::program('psql');
	my @arguments = $from eq 'sqlite' ? ($source->database) : @client;
	my ($status, $out, $err) = $source->run_command('sh', "$root/packaging/move-counts", $to,
	    $from, @arguments);
	is($status, 0, 'move-counts succeeds') or diag($err);
	is($err, '', 'move-counts prints nothing to stderr');
	spew($sql, $out, 0644);
	my @into = client($to, $target);
	($status, undef, $err) = $target->run_command('sh', '-c', 'exec <"$1"; shift; exec "$@"',
	    'sh', $sql, @into);
	is($status, 0, "$to imports the output") or diag($err);
}

my %queries = (
	counts => 'SELECT [id], date, recipient_count, [instance], protocol_state FROM mail_count',
	hits => 'SELECT [id], delta, hit FROM limit_report',
	overrides => 'SELECT [id], kind, amount, expires, since, [who], [reason] FROM mail_override',
	limits => 'SELECT [id], limits FROM rate_limits',
);

for my $pair (['sqlite', 'pgsql'], ['pgsql', 'mysql'], ['mysql', 'sqlite'],
    ['sqlite', 'sqlite']) {
	my ($from, $to) = @$pair;
	subtest "$from to $to" => sub {
		my ($source, $target) = (daemon($from), daemon($to));
		if ($from eq 'sqlite') {
			$source->start;
			for my $id (@ids) {
				$source->ask(sasl_username => $id, instance => "i$_") for 1 .. 3;
			}
			$source->ask(sasl_username => 'full', recipient_count => 5);
			$source->ask(sasl_username => 'full') for 1 .. 2;
			is((ctl($source, 'block', 'eve', 'forever', "it's\\so"))[0], 0,
			    'block succeeds');
			is((ctl($source, 'grant', 'zoe', 4, '1d'))[0], 0, 'grant succeeds');
			$source->sql("INSERT INTO rate_limits VALUES ('vip', '[[9, 3600]]')");
			is($source->stop, 0, 'the old daemon ends');
		} else {
			$source->start;
			is($source->stop, 0, 'the old daemon ends');
		}
		# Makes the tables.
		is(($target->run_command(Policyd::program(), '-f', $target->{file}, '--clean'))[0], 0,
		    '--clean makes the tables of the new database');
		# Delete rows from an earlier pair.
		if ($to ne 'sqlite') {
			$db{$to}->sql("DELETE FROM $_") for qw(mail_count limit_report rate_limits
			    mail_override);
		}
		my %before = map { ($_ => rows($from, $source, $queries{$_})) } keys %queries;
		move($from, $source, $to, $target);
		for my $what (sort keys %queries) {
			my $new = rows($to, $target, $queries{$what});
			is_deeply($new, $before{$what}, "$what are the same in both databases");
			cmp_ok(scalar @$new, '>', 0, "there are $what to compare");
		}
		$target->start;
		for my $id (@ids) {
			is(ctl_json($target, 'show', $id)->{windows}[0]{used}, 3,
			    "$id has its count");
		}
		is($target->ask(sasl_username => 'full'), 'reject full',
		    'a login over its limit is still refused');
		is($target->ask(sasl_username => 'zoe', recipient_count => 9), 'dunno',
		    'the grant applies');
		like($target->ask(sasl_username => 'eve'), qr/^reject 5\.7\.1/, 'the block holds');
		is($target->ask(sasl_username => 'vip', recipient_count => 9), 'dunno',
		    'the limits of the table rate_limits apply');
		is($target->ask(sasl_username => $ids[0], recipient_count => 2), 'dunno',
		    'a mail within the limit is accepted');
		is($target->ask(sasl_username => $ids[0]), 'reject full',
		    'the next mail is over the limit');
		$target->ends_well;
		if ($to ne 'sqlite') {
			# Restore the source for the next pair.
			$db{$to}->sql("DELETE FROM mail_count WHERE id IN ('zoe', 'vip') OR (id = '$ids[0]' " .
			    'AND recipient_count = 2)');
		}
	};
}

subtest 'faults' => sub {
	my $d = Policyd->new;
	my $run = sub { return $d->run_command('sh', "$root/packaging/move-counts", @_) };

	is(($run->(@$_))[0], 1, "move-counts @$_ fails") for [], ['sqlite'], ['oracle', 'sqlite', '/x'],
	    ['pgsql', 'sqlite', "$d->{dir}/none"], ['sqlite', 'db2', 'x'];
	spew("$d->{dir}/empty", '');
	my ($status, $out, $err) = $run->('pgsql', 'sqlite', "$d->{dir}/empty");
	is($status, 1, 'move-counts from a database without tables fails');
	is($out, '', 'nothing is written to stdout');
	like($err, qr/no table mail_count/, 'the error names the missing table');
};

$_->stop for values %db;
done_testing();
