#!/usr/bin/perl

# The systemd unit: as tight as systemd-analyze can measure, and nothing that the daemon
# does needs a system call that the unit forbids. The daemon is run as the unit runs it,
# by a user, and traced from its start to its stop.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

use Policyd qw(need have_command as_root slurp spew wait_until $root);

my $analyze = have_command('systemd-analyze');
need($^O eq 'linux' && $analyze, 'systemd-analyze');

my $dir = tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0777, $dir;

# As make install writes it.
my $unit = "$dir/policyd-rate-limit.service";
my %place = (SBINDIR => '/usr/sbin', SYSCONFDIR => '/etc',
    RUNDIR => '/run/policyd-rate-limit', STATEDIR => '/var/lib/policyd-rate-limit');
spew($unit, slurp("$root/systemd/policyd-rate-limit.service.in") =~
    s/\@(\w+)\@/$place{$1}/gr, 0644);

sub output {
	my (@command) = @_;

	open my $fh, '-|', @command or die "$command[0]: $!";
	local $/;
	my $text = <$fh>;
	close $fh;
	return $text;
}

my $report = output('sh', '-c', '"$1" security --offline=true --no-pager "$2" 2>&1',
    'sh', $analyze, $unit);
my ($exposure) = $report =~ /Overall exposure level .*: ([\d.]+)/;
ok(defined $exposure && $exposure <= 1.5, 'exposure is 1.5 or better')
    or diag($report);

# --- what the filter lets through ---

my %group;
my $current;
for (split /\n/, output('sh', '-c', '"$1" syscall-filter --no-pager 2>/dev/null', 'sh',
    $analyze)) {
	if (/^(@\S+)/) {
		$current = $1;
	} elsif (/^#/) {
		$current = undef;
	} elsif (defined $current && /^\s+([@\w]\S*)/) {
		push @{$group{$current}}, $1;
	}
}

sub expand {
	my ($name) = @_;

	return $name =~ /^@/ ? map { expand($_) } @{$group{$name} || []} : $name;
}

my %allowed = map { $_ => 1 } expand('@default');
for (slurp($unit) =~ /^SystemCallFilter=(.*)$/mg) {
	my $deny = s/^~//;
	for my $call (map { expand($_) } split) {
		$deny ? delete $allowed{$call} : ($allowed{$call} = 1);
	}
}
ok($allowed{read} && $allowed{landlock_restrict_self} && !$allowed{mount} &&
    !$allowed{setuid}, 'the filter of the unit can be read');

# --- what the daemon does ---

SKIP: {
	my $strace = have_command('strace');
	skip 'strace is not here', 1 if !$strace;
	my ($uid) = Policyd::nobody();
	my $d = Policyd->new(config => { limits => [[3, 60]] },
	    as_root() ? (as => scalar getpwuid $uid) : (), listen => ['unix', 'tcp']);
	my $program = $d->{program} // Policyd::program();
	# -D: the daemon keeps the pid, the tracer is the one that moves away.
	spew("$dir/traced", "#!/bin/sh\nexec '$strace' -D -f -q -o '$dir/trace' " .
	    "'$program' \"\$\@\"\n", 0755);
	$d->{program} = "$dir/traced";
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'it serves') for 1 .. 3;
	like($d->ask(sasl_username => 'bob'), qr/^defer/, 'and refuses');
	my $mark = $d->log_mark;
	$d->signal('HUP');
	ok($d->wait_log(qr/configuration is in force/, $mark), 'it reloads');
	my $ledger = $d->child('ledger-sqlite');
	kill 'KILL', $ledger;
	ok($d->child('ledger-sqlite', $ledger), 'it starts a child again');
	is($d->ask(sasl_username => 'eve'), 'dunno', 'and serves again');
	$d->ends_well;
	# The tracer writes the end when the last process is gone.
	my $pid = $d->pid;
	wait_until { slurp("$dir/trace") =~ /^$pid\s+\+\+\+ exited/m };

	my %used = map { /^\d+\s+(\w+)\(/ ? ($1 => 1) : () }
	    split /\n/, slurp("$dir/trace");
	cmp_ok(scalar keys %used, '>', 40, 'the trace has something in it');
	my @denied = grep { !$allowed{$_} } sort keys %used;
	is("@denied", '', 'nothing that the daemon does is forbidden by the unit');
}

done_testing();
