#!/usr/bin/perl

# The channels under attack: an engine that was taken over lies to the parent and to the
# ledger (liar.c). Whatever it says, both go on, neither grows, who broke the rules is
# ended where it can be told, and the next engine's honest question is answered.

use strict;
use warnings;

use Test::More;

use Policyd qw(need wait_until process_alive slurp status_of True False $root);

my $program = "$root/build/regress/liar/policyd-rate-limit";
need(-x $program, 'build/regress/liar (make tests)');
$ENV{POLICYD_PROGRAM} = $program;

my $answered = qr/liar: an honest charge has its answer/;
my $told = qr/liar: \S+ (?:was told|came to an end)/;

my $noticed = qr/engine (?:broke the rules|\(process \d+\) sent a .* not right)/;

# What comes of a lie: "parent" or "ledger" notices that the rules were broken, "borne":
# it was no breach, or none that can be seen.
my @lies = (
	['parent-type', 'parent'],
	['parent-length', 'parent'],
	['parent-not-mine', 'parent'],
	['parent-verdict', 'parent'],
	['parent-flags', 'parent'],
	['parent-no-descriptor', 'parent'],
	['parent-descriptors', 'parent'],
	['parent-ready-again', 'parent'],
	['parent-wish-unknown', 'parent'],
	['parent-wish-short', 'parent'],
	['parent-fault-forged', 'parent'],
	['parent-line-forged', 'borne'],
	['parent-line-long', 'borne'],
	map({ ["parent-line-flood $_", 'borne'] } 0 .. 2),
	['parent-refuse', 'refused'],
	['parent-half', 'borne'],
	map({ ["parent-wish-flood $_", 'borne'] } 0 .. 2),
	map({ ["parent-wish-flood $_", 'parent'] } 3 .. 5),
	['parent-wish-drip', 'borne'],
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
	['ledger-charge-extreme', 'borne'],
	map({ ["ledger-charge-mutated $_", 'ledger'] } 1 .. 4),
	['ledger-charge-flood', 'borne'],
	['ledger-top-flood', 'ledger'],
	['ledger-figures-flood', 'ledger'],
	['ledger-weigh-flood', 'ledger'],
	['ledger-override-flood', 'ledger'],
	map({ ["ledger-question-mutated $_", 'ledger'] } 1 .. 3),
	['ledger-noise 1', 'ledger'],
);

# Those alone that are named, as in `prove liar.t :: ledger-noise`.
@lies = grep { my $lie = $_->[0]; grep { $lie =~ /\A\Q$_/ } @ARGV } @lies if @ARGV;

sub descriptors { return scalar(my @fds = glob "/proc/$_[0]/fd/*") }

sub memory {
	my ($pid) = @_;
	my ($kb) = (status_of($pid)->{VmHWM} // '0 kB') =~ /(\d+)/;

	return $kb;
}

sub check_calm {
	my ($d, $ledger) = @_;

	is($d->child('ledger-sqlite'), $ledger, 'the ledger is the same');
	ok($d->running, 'the parent is there');
	SKIP: {
		skip 'no /proc', 4 if !-d '/proc/self';
		cmp_ok(memory($d->pid), '<', 64 * 1024, 'the parent never was large');
		cmp_ok(memory($ledger), '<', 128 * 1024, 'the ledger never was large');
		cmp_ok(descriptors($d->pid), '<', 64, 'the parent holds few descriptors');
		cmp_ok(descriptors($ledger), '<', 64, 'the ledger too');
	}
	unlike($d->log, qr/^2026-01-01T00:00:00/m, 'no line of the log is forged');
	unlike($d->log, qr/^(?!\d{4}-\d\d-\d\dT[\d:]{8} (?:parent|engine|ledger): )/m,
	    'each bears the name of a process');
	unlike($d->log, qr/has no answer|forbidden system call|died of signal (?!9:)/,
	    'nothing else went wrong');
}

# What a lie brings beside, by its name.
my %also = (
	'parent-line-forged' => sub {
		my ($d) = @_;

		ok($d->wait_log(qr/ engine: line without an end/), 'the last line is logged');
		ok($d->wait_log(qr/^\S+ engine: 2026-01-01T00:00:00 parent: forged$/m),
		    "the engine's line bears its name");
		ok($d->wait_log(qr/^\S+ engine: 2026.* parent: urgent\\x0d\\x1b\[2J\\xff$/m),
		    'and is made printable');
		ok($d->wait_log(qr/^\S+ engine: <9>level$/m), 'a level that is none');
	},
	'parent-line-long' => sub {
		my ($d) = @_;

		ok($d->wait_log(qr/^\S+ engine: in two halves$/m), 'two halves are a line');
		my @lines = $d->log =~ /^(.*y{50}.*)$/mg;
		is(scalar @lines, 1, 'a long line is one line');
		like($lines[0], qr/^\S+ engine: y{100}\\x1by+$/, 'printable');
		cmp_ok(length $lines[0], '<', 4200, 'and cut');
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
			fail('the impostor serves at first');
			return;
		}
		my $ledger = $d->child('ledger-sqlite');
		$d->signal('HUP');
		if ($outcome eq 'borne') {
			ok($d->wait_log($told), 'the lie was told');
		} elsif ($outcome eq 'refused') {
			ok($d->wait_log(qr/the\ engine\ did\ not\ take\ the\ new\ configuration.*
			    the\ new\ configuration\ is\ not\ used;\ the\ running\ one\ stays.*
			    $answered/sx), 'the running configuration stays, and the next serves');
		} else {
			ok($d->wait_log(qr/ $outcome(?:-sqlite)?: .*$noticed/),
			    "the $outcome notices");
			# The next one starts with an honest question.
			ok($d->wait_log(qr/$answered.*$answered/s),
			    'and serves the next engine');
		}
		my ($kind) = split / /, $lie;
		check_calm($d, $ledger);
		$also{$kind}->($d) if $also{$kind};
		is($d->stop, 0, 'it stops when it is told to');
		unlike($d->log, qr/ended by force|had to be killed/, 'nothing hung');
	};
}

done_testing();
