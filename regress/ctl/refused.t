#!/usr/bin/perl
# New settings that a child does not take: the running ones go on, and policyctl says so.
# At a start, a process that dies before it is ready is started again while clients are
# served.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl ctl_command ctl_json);
use Policyd qw(freeze slurp wait_until as_root);

# policyctl in the background: a function that waits for (status, output).
sub ctl_later {
	my ($d, @words) = @_;
	my $said = "$d->{dir}/said";

	unlink $said;
	my $pid = $d->spawn($said, $said, ctl_command($d, @words));
	return sub { return (Policyd::exit_status(Policyd::reap($pid)), slurp($said)) };
}

subtest 'refused-generation-is-taken-back' => sub {
	my $d = Policyd->start(config => { fail_action => 'reject old',
	    limits => [[1, 3600]] });

	is($d->ask(sasl_username => 'bob'), 'dunno', 'the first mail is accepted');
	is($d->ask(sasl_username => 'bob'), 'reject old', 'the second mail is refused');
	my $ledger = $d->child('ledger-sqlite');
	my $mark = $d->log_mark;
	freeze($ledger);
	$d->write_config({ fail_action => 'reject new', limits => [[9, 3600]] });
	my $end = ctl_later($d, 'reload');
	ok($d->wait_log(qr/reading the configuration again/, $mark), 'the reload begins');
	kill 'KILL', $ledger;
	my ($status, $said) = $end->();
	is($status, 3, 'if the ledger dies during it, policyctl reload fails');
	like($said, qr/ledger-sqlite did not take the new configuration\n.*the running one stays/,
	    'the message names the ledger');
	like($d->log_since($mark), qr/error|the new configuration is not used/,
	    'the log has the failed reload too');
	ok($d->child('ledger-sqlite', $ledger), 'the ledger is started again');
	ok(wait_until { ($d->ask(sasl_username => 'bob') // '') eq 'reject old' },
	    'engine and ledger have the old settings');
	is((ctl($d, 'reload'))[0], 0, 'the next reload succeeds');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the limit of the next reload is in force');
	$d->ends_well;
};

subtest 'a new user who may not write to the database' => sub {
	plan skip_all => 'only root starts as somebody else' if !as_root();
	my $d = Policyd->start(config => { fail_action => 'reject old', limits => [[1, 3600]] });
	my ($socket, $control) = ($d->endpoint, $d->control);
	my $owners = sub { join ' ', map { (stat)[2, 4, 5] } $socket, $control };
	my $was = $owners->();
	my %pid = %{$d->children};

	is($d->ask(sasl_username => 'bob'), 'dunno', 'the first mail is accepted');
	$d->write_config({ user => 'daemon', group => 'daemon', fail_action => 'reject new' });
	for (1 .. 2) {
		my ($status, undef, $err) = ctl($d, 'reload');
		is($status, 3,
		    'policyctl reload fails: the new user may not write to the database');
		like($err, qr/the ledger of the new configuration did not start\n/,
		    'the error says that the new ledger did not start');
		is($d->ask(sasl_username => 'bob'), 'reject old',
		    'the running configuration stays');
	}
	is($owners->(), $was, 'mode and owner of the sockets did not change');
	is_deeply($d->children, \%pid, 'no process was restarted');
	chown((getpwnam 'daemon')[2, 3], "$d->{dir}/db", glob "$d->{dir}/db/*");
	is((ctl($d, 'reload'))[0], 0, 'reload succeeds once the new user may write');
	ok(wait_until { ($d->ask(sasl_username => 'bob') // '') eq 'reject new' },
	    'the new configuration is in force and has the counts');
	isnt(Policyd::status_of($d->child('engine', $pid{engine}))->{Uid},
	    Policyd::status_of($$)->{Uid}, 'the engine does not run as root');
	$d->ends_well;
};

subtest 'a-slow-ledger-refuses-nothing' => sub {
	my $d = Policyd->start(config => { limits => [[1, 3600]] });
	my $ledger = $d->child('ledger-sqlite');

	freeze($ledger);
	$d->write_config({ limits => [[9, 3600]] });
	is((ctl($d, 'reload'))[0], 0, 'reload succeeds while the ledger is stopped');
	kill 'CONT', $ledger;
	is($d->ask(sasl_username => 'bob'), 'dunno', "mail $_ of 9 is accepted") for 1 .. 9;
	like($d->ask(sasl_username => 'bob'), qr/^defer/,
	    'the tenth mail is refused: the new limit is in force');
	$d->ends_well;
};

subtest 'died-before-ready-while-clients-are-served' => sub {
	my $d = Policyd->start;

	for my $name ('ledger-sqlite', 'engine') {
		my $pid = $d->child($name);
		for (1 .. 3) {
			kill 'KILL', $pid;
			# Most of these are not ready yet.
			$pid = $d->child($name, $pid);
		}
		ok(wait_until { ($d->ask(sasl_username => 'bob') // '') eq 'dunno' },
		    "a request is answered after $name was killed three times");
		ok($d->running, "the parent still runs after $name was killed three times");
	}
	$d->ends_well;
};

done_testing();
