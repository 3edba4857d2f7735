#!/usr/bin/perl
# The server ledgers and a running report as the kernel sees them: an unprivileged user,
# no capability, an empty root directory, and only the sockets that they need.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(need slurp status_of as_root True);
use Smtpd;

need($^O eq 'linux' && as_root(), 'root reads /proc of Linux');
Smtpd->needed;

# name and number of sockets
sub check {
	my ($d, $name, $sockets) = @_;
	my $pid = $d->child($name);
	my $status = status_of($pid);
	my ($uid, $gid) = Policyd::nobody();

	is($status->{Uid}, join("\t", ($uid) x 4), "$name: every user id is the user's");
	is($status->{Gid}, join("\t", ($gid) x 4), "$name: every group id is the group's");
	is($status->{Groups}, $gid, "$name: no supplementary group but the user's");
	is($status->{"Cap$_"}, '0' x 16, "$name: no capability is $_") for qw(Inh Prm Eff Amb);
	is($status->{NoNewPrivs}, 1, "$name: no new privileges");
	is($status->{Seccomp}, 2, "$name: a system call filter is in force");
	is($status->{Threads}, 1, "$name: one thread");
	is((stat "/proc/$pid/environ")[4], 0, "$name: not dumpable");
	is_deeply([glob "/proc/$pid/root/*"], [], "$name: the root directory is empty");
	my $limits = slurp("/proc/$pid/limits");
	like($limits, qr/^Max $_\s+0\s+0\s/m, "$name: limit of $_")
	    for 'processes', 'core file size', 'locked memory', 'file size';
	like($limits, qr/^Max open files\s+64\s+64\s/m, "$name: few descriptors");

	my @leads = map { readlink // () } glob "/proc/$pid/fd/*";
	my @sockets = grep { /\Asocket:/ } @leads;
	my @else = grep { $_ ne '/dev/null' && !/\A(?:socket|pipe):/ } @leads;
	cmp_ok(scalar @sockets, '<=', $sockets, "$name: no more than $sockets sockets");
	is("@else", '', "$name: no other descriptor");
	is(scalar(grep { /\Apipe:/ } @leads), 1, "$name: one pipe, for its log lines");
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	Database->needed($kind);
	subtest $kind => sub {
		my $db = Database->start($kind);
		my $s = Smtpd->start(hold => 'BODY');
		my $d = Policyd->start(config => { $db->config, limits => [[1, 3600]],
		    fail_action => 'reject full', report => True, report_limits => [3600],
		    report_to => 'postmaster@example.org', report_immediately => True,
		    smtp_server => ['127.0.0.1', $s->port] });

		if ($d->log =~ /EASED|SANDBOX=none/) {
			$d->ends_well;
			plan(skip_all => 'built without the whole sandbox');
		}
		$d->ask(sasl_username => 'bob') for 1 .. 2;
		ok($s->holds, 'a report is being sent');
		# parent, engine, report, database; PostgreSQL's flusher or MySQL's second session
		check($d, "ledger-$kind", 5);
		# parent, ledger, mail server
		check($d, 'report', 3);
		$s->release;
		$d->ends_well;
		$db->stop;
	};
}

# Without root the same two steps are taken; each adds a filter.
for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	Database->needed($kind);
	subtest "$kind, started by a user" => sub {
		my $db = Database->start($kind);
		my $d = Policyd->start(as => 'nobody', config => { $db->config,
		    limits => [[1, 3600]] });
		my $status = status_of($d->child("ledger-$kind"));

		is($d->ask(sasl_username => 'bob'), 'dunno', 'a request is answered');
		SKIP: {
			skip 'built without the whole sandbox', 3
			    if $d->log =~ /EASED|SANDBOX=none/;
			is($status->{Seccomp}, 2, 'a filter for system calls');
			cmp_ok($status->{Seccomp_filters} // 2, '>=', 2,
			    'there is a filter of each step');
			is($status->{CapPrm}, '0' x 16, 'no capability');
		}
		$d->ends_well;
		$db->stop;
	};
}

done_testing();
