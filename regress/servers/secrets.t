#!/usr/bin/perl
# The database's password is nowhere but with the parent, which starts the next ledger:
# not in the engine, and in the ledger no longer once it is connected. Read as root from
# the memory of each process. With SCRAM, libpq itself keeps a copy out of reach for as
# long as it is connected, and there are two connections, so PostgreSQL is asked for the
# other way too.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(need slurp spew as_root);

need(-r '/proc/self/mem' && as_root(), 'the memory of others is read by root, in /proc');

my $secret = 'v8tQ-secret-in-a-ledger-Zk31';

# The number of copies of a text in a process's writable memory.
sub found {
	my ($pid, $text) = @_;
	my $n = 0;

	open my $maps, '<', "/proc/$pid/maps" or die "maps of $pid: $!";
	open my $mem, '<:raw', "/proc/$pid/mem" or die "mem of $pid: $!";
	while (<$maps>) {
		my ($from, $to, $what) = /^([0-9a-f]+)-([0-9a-f]+) rw.. \S+ \S+ \S+\s*(\S*)/
		    or next;
		no warnings 'portable';
		my $size = hex($to) - hex $from;
		sysseek $mem, hex $from, 0;
		my ($bytes, $at) = ('', 0);
		while ($at < $size) {
			my $got = sysread $mem, $bytes, $size - $at, $at or last;
			$at += $got;
		}
		while ($bytes =~ /\Q$text\E/g) {
			$n++;
			note("$pid: $what at $from + " . pos $bytes);
		}
	}
	return $n;
}

sub check {
	my ($name, $d, $kind, $text, $kept) = @_;

	is($d->ask(sasl_username => 'bob'), 'dunno', "$name: it is connected");
	cmp_ok(found($d->child('engine'), $d->dir), '>=', 0, "$name: memory can be read");
	is(found($d->child('engine'), $text), 0, "$name: the engine does not have it");
	cmp_ok(found($d->child("ledger-$kind"), $text), '<=', $kept // 0,
	    "$name: the ledger has it no more");
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);
		my $pg = $kind eq 'pgsql';
		my $password = $pg ? 'password' : 'passwd';

		if ($pg) {
			my $hba = "$db->{dir}/data/pg_hba.conf";
			spew($hba, "host all daemon 127.0.0.1/32 md5\n" . slurp($hba));
			$db->sql("SET password_encryption = 'md5'; " .
			    "CREATE USER daemon PASSWORD '$secret'; " .
			    'ALTER SCHEMA public OWNER TO daemon');
			$db->reload_conf;
		} else {
			$db->sql("CREATE USER 'daemon'\@'127.0.0.1' IDENTIFIED BY '$secret'");
			$db->sql("GRANT ALL ON policyd.* TO 'daemon'\@'127.0.0.1'");
		}
		my $d = Policyd->start(config => { $db->config(user => 'daemon',
		    $password => $secret), db_error_action => 'defer database' });
		check('from the configuration', $d, $kind, $secret);
		cmp_ok(found($d->pid, $secret), '>', 0, 'the parent has the password');
		my $mark = $d->log_mark;
		$d->write_config({ limits => [[77, 60]] });
		$d->signal('HUP');
		ok($d->wait_log(qr/new configuration is in force/, $mark), 'reloaded');
		check('after a reload', $d, $kind, $secret);
		$d->ends_well;

		my $file = "$db->{dir}/passwords";
		spew($file, $pg ? "127.0.0.1:*:*:daemon:$secret\n" :
		    "[client]\npassword=$secret\n", 0600);
		$d = Policyd->new(config => { $db->config(user => 'daemon',
		    $password => Policyd::None, $pg ? (passfile => $file) :
		    (read_default_file => $file)), db_error_action => 'defer database' });
		chown((Policyd::nobody())[0], -1, $file);
		$d->start;
		check('from a file', $d, $kind, $secret);
		is(found($d->pid, $secret), 0, "the parent never has the file's password");
		$d->ends_well;
		if ($pg) {
			$db->sql("SET password_encryption = 'scram-sha-256'; " .
			    "ALTER USER daemon PASSWORD '$secret'");
			$d->start;
			check('SCRAM', $d, $kind, $secret, 2);
			$d->ends_well;
		}
		$db->stop;
	};
}

done_testing();
