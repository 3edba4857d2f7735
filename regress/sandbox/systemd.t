#!/usr/bin/perl

# The systemd unit: its exposure as systemd-analyze measures it, and its system call filter
# allows every call that the daemon makes. The daemon runs as under the unit, by a user,
# and is traced from start to stop.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

use Policyd qw(need have_command as_root slurp spew wait_until $root);

my $analyze = have_command('systemd-analyze');
need($^O eq 'linux' && $analyze, 'systemd-analyze');

my $dir = tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0777, $dir;

# The unit as make install writes it.
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

# --- the calls that the filter allows ---

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

# --- the calls that the daemon makes ---

SKIP: {
	my $strace = have_command('strace');
	skip 'strace is not here', 1 if !$strace;
	my ($uid) = Policyd::nobody();
	my $d = Policyd->new(config => { limits => [[3, 60]] },
	    as_root() ? (as => scalar getpwuid $uid) : (), listen => ['unix', 'tcp']);
	my $program = $d->{program} // Policyd::program();
	# -D: the tracer runs as another process, the daemon keeps the pid.
	spew("$dir/traced", "#!/bin/sh\nexec '$strace' -D -f -q -o '$dir/trace' " .
	    "'$program' \"\$\@\"\n", 0755);
	$d->{program} = "$dir/traced";
	$d->start;
	is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is accepted') for 1 .. 3;
	like($d->ask(sasl_username => 'bob'), qr/^defer/, 'a request is refused');
	my $mark = $d->log_mark;
	$d->signal('HUP');
	ok($d->wait_log(qr/configuration is in force/, $mark), 'the daemon reloads');
	my $ledger = $d->child('ledger-sqlite');
	kill 'KILL', $ledger;
	ok($d->child('ledger-sqlite', $ledger), 'the daemon restarts a child');
	is($d->ask(sasl_username => 'eve'), 'dunno', 'a request is answered by the new child');
	$d->ends_well;
	# The tracer finishes its file when the last process has exited.
	my $pid = $d->pid;
	wait_until { slurp("$dir/trace") =~ /^$pid\s+\+\+\+ exited/m };

	my %used = map { /^\d+\s+(\w+)\(/ ? ($1 => 1) : () }
	    split /\n/, slurp("$dir/trace");
	cmp_ok(scalar keys %used, '>', 40, 'the trace has system calls');
	my @denied = grep { !$allowed{$_} } sort keys %used;
	is("@denied", '', 'the unit forbids no system call of the daemon');
}

done_testing();
