package Bench::Daemons;

# Several daemons on one database server, with one load generator for each daemon. Tells
# the rate and latency of all of them together, and what a request costs the server:
# statements, commits, bytes of its log, processor time.

use strict;
use warnings;

use Carp qw(croak);

use Bench;
use Database;

# The server counts statements: PostgreSQL by pg_stat_statements, which is in its package of
# extensions; MariaDB by itself.
my %counting = (
	pgsql => [qw(-c shared_preload_libraries=pg_stat_statements)],
	mysql => []
);

sub start {
	my ($class, $backend, $n) = @_;
	my $server = Database->start($backend, dir => $Bench::dir, args => $counting{$backend});
	my $self = bless { backend => $backend, server => $server, database => 'bench_daemons',
	    daemons => [] }, $class;

	$server->sql("CREATE DATABASE $self->{database}");
	$server->sql('CREATE EXTENSION pg_stat_statements') if $backend eq 'pgsql';
	push @{$self->{daemons}}, Bench::daemon("daemons$_", backend => $backend,
	    server => $server, database => $self->{database})->start for 1 .. $n;
	return $self;
}

sub stop {
	my ($self) = @_;

	$_->stop for @{$self->{daemons}};
	$self->{server}->stop;
}

# Statements, commits, and bytes of the log since the server was started. PostgreSQL counts
# no BEGIN and no COMMIT as statements; its commits are the transactions that wrote something.
sub counters {
	my ($self) = @_;
	my $server = $self->{server};

	return @{($server->sql('SELECT coalesce(sum(calls), 0), ' .
	    "pg_snapshot_xmax(pg_current_snapshot()), " .
	    "pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') FROM pg_stat_statements " .
	    "JOIN pg_database d ON d.oid = dbid WHERE datname = '$self->{database}'"))[0]}
	    if $self->{backend} eq 'pgsql';
	my %status = map { @$_ } $server->sql('SHOW GLOBAL STATUS WHERE Variable_name IN ' .
	    "('Questions', 'Com_commit', 'Innodb_os_log_written')");
	return @status{qw(Questions Com_commit Innodb_os_log_written)};
}

# All that a run changes: the counters, seconds of processor time of our processes, and
# those of the server.
sub state_of {
	my ($self, @daemons) = @_;
	my $ours = 0;

	$ours += Bench::worked($_->pid) for @daemons;
	return ($self->counters, $ours, Bench::sum_of(Bench::cpu($self->{server}{pid})));
}

# Loads the first `n` daemons at the same time. `domain`: a sub that is given the number of
# a daemon and returns the domain of its users. Other options as for Bench::load, for each
# daemon.
sub run {
	my ($self, $n, $domain, %option) = @_;
	my @daemons = @{$self->{daemons}}[0 .. $n - 1];
	my @before = $self->state_of(@daemons);
	my @loads = map { Bench::load_begin($daemons[$_]->endpoint, %option,
	    S => $_ + ($option{S} // 1), D => $domain->($_)) } 0 .. $#daemons;
	my @results = map { Bench::load_end($_) } @loads;
	my @after = $self->state_of(@daemons);

	return summary(\@results, [map { $after[$_] - $before[$_] } 0 .. $#after]);
}

# The rates and faults of all daemons are added up. The percentiles are medians of the
# daemons' percentiles; `worst` is the largest p99 of a daemon.
sub summary {
	my ($results, $changes) = @_;
	my ($sent, %sum) = (0);

	croak 'no results' if !@$results;
	for my $r (@$results) {
		$sent += $r->{sent};
		$sum{$_} += $r->{$_} for qw(per_second faults accepted_recipients);
		$sum{answers}{$_} += $r->{answers}{$_} for keys %{$r->{answers}};
	}
	for my $which (qw(p50 p99)) {
		$sum{latency_us}{$which} = Bench::median(
		    map { $_->{latency_us}{$which} } @$results);
	}
	($sum{worst}) = sort { $b <=> $a } map { $_->{latency_us}{p99} } @$results;
	my @cost = map { $_ / ($sent || 1) } @$changes;
	@sum{qw(statements commits log_bytes)} = @cost[0 .. 2];
	@sum{qw(cpu_us server_cpu_us)} = map { $_ * 1e6 } @cost[3, 4];
	return \%sum;
}

1;
