#!/usr/bin/perl

# Attacks over the channels: a compromised engine sends malicious messages to the parent
# and the ledger (liar.c). For every message both keep running and do not grow, a protocol
# violation that can be recognised ends the engine, and the next engine's request is
# answered.

use strict;
use warnings;

use Test::More;

use Policyd qw(need wait_until process_alive slurp status_of True False $root);

my $program = "$root/build/regress/liar/policyd-rate-limit";
need(-x $program, 'build/regress/liar (make tests)');
$ENV{POLICYD_PROGRAM} = $program;

my $answered = qr/liar: an honest charge has its answer/;
my $told = qr/liar: \S+ (?:was told|came to an end)/;

my $noticed = qr/engine (?:broke the rules|\(process \d+\) sent a malformed \w[-\w ]* message)/;

# The outcome of each attack: "parent" or "ledger" detects a protocol violation; "borne":
# it is not a violation, or cannot be recognised as one; "accused": the ledger is said to have broken
# the rules.
my @lies = (
	['parent-type', 'parent'],
	['parent-length', 'parent'],
	['parent-not-mine', 'parent'],
	['parent-verdict', 'parent'],
	['parent-flags', 'parent'],
	['parent-no-descriptor', 'parent'],
	['parent-descriptors', 'parent'],
	['parent-ready-again', 'parent'],
	['parent-task-unknown', 'parent'],
	['parent-task-short', 'parent'],
	['parent-fault-forged', 'parent'],
	['parent-line-forged', 'borne'],
	['parent-line-long', 'borne'],
	map({ ["parent-line-flood $_", 'borne'] } 0 .. 2),
	['parent-refuse', 'refused'],
	['parent-half', 'borne'],
	map({ ["parent-task-flood $_", 'borne'] } 0 .. 2),
	map({ ["parent-task-flood $_", 'parent'] } 3 .. 5),
	['parent-task-drip', 'borne'],
	['parent-accuse', 'accused'],
	['parent-lost-flood', 'borne'],
	['parent-noise 1', 'parent'],
	['parent-noise 2', 'parent'],
	['ledger-type', 'ledger'],
	['ledger-length', 'ledger'],
	['ledger-not-mine 0', 'ledger'],
	['ledger-not-mine 1', 'ledger'],
	['ledger-verdict', 'ledger'],
	['ledger-flags', 'ledger'],
	['ledger-no-descriptor', 'ledger'],
	['ledger-descriptors', 'ledger'],
	['ledger-half', 'borne'],
	['ledger-charge-empty', 'ledger'],
	['ledger-charge-left-over', 'ledger'],
	map({ ["ledger-charge-cut $_", 'ledger'] } 1, 9, 17, 33, 60),
	['ledger-charge-extreme', 'ledger'],
	map({ ["ledger-charge-mutated $_", 'ledger'] } 1 .. 4),
	['ledger-charge-flood', 'borne'],
	['ledger-top-flood', 'ledger'],
	['ledger-figures-flood', 'ledger'],
	['ledger-weigh-flood', 'ledger'],
	['ledger-override-flood', 'ledger'],
	map({ ["ledger-question-mutated $_", 'ledger'] } 1 .. 3),
	['ledger-noise 1', 'ledger'],
);

# Runs only the attacks named as arguments, as in `prove liar.t :: ledger-noise`.
@lies = grep { my $lie = $_->[0]; grep { $lie =~ /\A\Q$_/ } @ARGV } @lies if @ARGV;

sub descriptors { return scalar(my @fds = glob "/proc/$_[0]/fd/*") }

sub memory {
	my ($pid) = @_;
	my ($kb) = (status_of($pid)->{VmHWM} // '0 kB') =~ /(\d+)/;

	return $kb;
}

sub check_calm {
	my ($d, $ledger) = @_;

	is($d->child('ledger-sqlite'), $ledger, 'the ledger was not restarted');
	ok($d->running, 'the parent is running');
	SKIP: {
		skip 'no /proc', 4 if !-d '/proc/self';
		cmp_ok(memory($d->pid), '<', 64 * 1024, "the parent's memory stays bounded");
		cmp_ok(memory($ledger), '<', 128 * 1024, "the ledger's memory stays bounded");
		cmp_ok(descriptors($d->pid), '<', 64, 'the parent holds few descriptors');
		cmp_ok(descriptors($ledger), '<', 64, 'the ledger holds few descriptors');
	}
	unlike($d->log, qr/^2026-01-01T00:00:00/m, 'no log line is forged');
	unlike($d->log, qr/^(?!\d{4}-\d\d-\d\dT[\d:]{8} (?:parent|engine|ledger): )/m,
	    'each log line begins with a process name');
	unlike($d->log, qr/has no answer|forbidden system call|died of signal (?!9:)/,
	    'the log has no other error');
}

# Additional checks for some attacks, by name.
my %also = (
	'parent-line-forged' => sub {
		my ($d) = @_;

		ok($d->wait_log(qr/ engine: line without an end/), 'the last line is logged');
		ok($d->wait_log(qr/^\S+ engine: 2026-01-01T00:00:00 parent: forged$/m),
		    "the engine's line bears its name");
		ok($d->wait_log(qr/^\S+ engine: 2026.* parent: urgent\\x0d\\x1b\[2J\\xff$/m),
		    'control characters are escaped');
		ok($d->wait_log(qr/^\S+ engine: <9>level$/m),
		    'an invalid log level is logged as text');
	},
	'parent-line-long' => sub {
		my ($d) = @_;

		ok($d->wait_log(qr/^\S+ engine: in two halves$/m),
		    'two halves of a line are logged as one');
		my @lines = $d->log =~ /^(.*y{50}.*)$/mg;
		is(scalar @lines, 1, 'a long line is one line');
		like($lines[0], qr/^\S+ engine: y{100}\\x1by+$/,
		    'its control characters are escaped');
		cmp_ok(length $lines[0], '<', 4200, 'it is truncated');
	},
	'parent-line-flood' => sub {
		my ($d) = @_;

		cmp_ok(-s $d->{logfile}, '<', 16 * 1024 * 1024, 'the log is bounded');
	},
);

for (@lies) {
	my ($lie, $outcome) = @$_;

	subtest $lie => sub {
		my $name = $lie =~ / / ? $lie : "$lie 0";
		my $d = Policyd->new(config => { debug => $lie =~ /flood/ ? False : True,
		    log => 'stderr', fail_action => "reject lie $name" });
		$d->launch;
		if (!$d->wait_log(qr/$answered.*listening on|listening on.*$answered/s)) {
			$d->explain;
			fail('the compromised engine serves at first');
			return;
		}
		my $ledger = $d->child('ledger-sqlite');
		$d->signal('HUP');
		if ($outcome eq 'borne') {
			ok($d->wait_log($told), 'the attack was sent');
		} elsif ($outcome eq 'accused') {
			ok($d->wait_log($told), 'the attack was sent');
			my @killed = $d->log =~ /ledger-sqlite \(process \d+\) broke the rules .* is killed$/mg;
			cmp_ok(scalar @killed, '>', 1, 'the accused ledgers are killed');
			cmp_ok(scalar @killed, '<', 8, 'each starts after a longer pause');
			$ledger = $d->child('ledger-sqlite', $ledger);
		} elsif ($outcome eq 'refused') {
			ok($d->wait_log(qr/the\ engine\ did\ not\ take\ the\ new\ configuration.*
			    the\ new\ configuration\ is\ not\ used;\ the\ running\ one\ stays.*
			    $answered/sx), 'the running configuration stays, and the next serves');
		} else {
			ok($d->wait_log(qr/ $outcome(?:-sqlite)?: .*$noticed/),
			    "the $outcome detects the violation");
			# The next engine begins with a valid request.
			ok($d->wait_log(qr/$answered.*$answered/s),
			    'a request to the next engine is answered');
		}
		my ($kind) = split / /, $lie;
		check_calm($d, $ledger);
		$also{$kind}->($d) if $also{$kind};
		is($d->stop, 0, 'the daemon stops with status 0');
		unlike($d->log, qr/ended by force|had to be killed/,
		    'no process had to be killed');
	};
}

done_testing();
