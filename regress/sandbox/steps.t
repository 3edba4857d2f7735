#!/usr/bin/perl

# The privileges of a child at each step, as the kernel shows them. The child is held where
# it reads its first untrusted bytes: a database server that accepts and sends nothing, a
# resolver that never answers, a database file whose first query never ends. The table in
# SECURITY.md is the result; -w writes it.
#
#	prove -Iregress/lib regress/sandbox/steps.t
#	perl -Iregress/lib regress/sandbox/steps.t -w

use strict;
use warnings;

use Policyd;
use Elsewhere;

BEGIN { Elsewhere->enter(hosts => { 'here.example.test' => '192.0.2.25' }) }

use File::Temp qw(tempdir);
use IO::Socket::INET;
use Test::More;

use Policyd qw(need have_command wait_until slurp spew status_of as_root True $root);

need($^O eq 'linux' && as_root(), 'root reads /proc of Linux');

my $attack = "$root/build/regress/attack";
need(-x $attack, 'build/regress/attack (make tests)');
need(`$attack all engine work 2>/dev/null` !~ /EASED/, 'this build has no whole sandbox');

my ($uid, $gid) = Policyd::nobody();
my $dir = tempdir(TMPDIR => 1, CLEANUP => 1);
my $chroot_only = sprintf '%016x', 1 << 18;
my @rows;

# No privilege of root is left at any step.
sub check {
	my ($what, $step, $pid, %expected) = @_;
	my $status = status_of($pid);
	my $jail = readlink "/proc/$pid/root";

	is($status->{Uid}, join("\t", ($uid) x 4), "$what, $step: no id is root's");
	is($status->{Gid}, join("\t", ($gid) x 4),
	    "$what, $step: all group ids are the service's");
	is($status->{Groups}, $gid, "$what, $step: no other supplementary group");
	is($status->{"Cap$_"}, $expected{caps} // '0' x 16, "$what, $step: Cap$_")
	    for qw(Prm Eff);
	is($status->{"Cap$_"}, '0' x 16, "$what, $step: Cap$_") for qw(Inh Amb);
	is($status->{NoNewPrivs}, 1, "$what, $step: no new privileges");
	is($status->{Seccomp}, 2, "$what, $step: a system call filter is in force");
	is($status->{Seccomp_filters} // $expected{filters}, $expected{filters},
	    "$what, $step: the number of filters");
	like(slurp("/proc/$pid/limits"), qr/^Max processes\s+0\s+0\s/m,
	    "$what, $step: no process can be created");
	my $caps = hex $status->{CapPrm};
	push @rows, [$what, $step, 'the user\'s, all of them',
	    $caps == 0 ? 'none' : $caps == 1 << 18 ? '`CAP_SYS_CHROOT`' : 'other',
	    $status->{Seccomp_filters} // '',
	    $jail eq '/' ? 'the system\'s' : 'shut in'];
}

sub daemon {
	my (%config) = @_;
	my $d = Policyd->new(config => { limits => [[1, 3600]], %config });

	$d->launch;
	return $d;
}

# A server that accepts a connection and sends nothing.
sub hang_at_server {
	my ($name, %config) = @_;
	my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1')
	    or die "TCP: $!";
	my $d = daemon(db_timeout => 30, $name eq 'ledger-pgsql' ?
	    (backend => 'pgsql', pgsql_config => { host => '127.0.0.1',
	    port => $server->sockport, user => 'u', password => 'p' }) :
	    (backend => 'mysql', mysql_config => { host => '127.0.0.1',
	    port => $server->sockport, user => 'u', passwd => 'p' }));
	my $c = $server->accept;
	ok($c, "$name connects");
	check($name, 'in the handshake with its server', $d->child($name),
	    caps => $chroot_only, filters => 1);
	close $server;
	close $c;
	$d->stop;
}

for my $name (qw(ledger-pgsql ledger-mysql)) {
	subtest $name => sub { hang_at_server($name) };
}

subtest 'ledger-sqlite' => sub {
	my $d = Policyd->new(config => { limits => [[1, 3600]] });
	my $name = 'ledger-sqlite';

	# A daemon creates the file, which is then replaced.
	$d->launch;
	wait_until { $d->ready };
	check($name, 'serving', $d->child($name), filters => 1);
	$d->stop;
	unlink glob $d->database . '*';
	$d->sql("CREATE VIEW mail_state AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL" .
	    " SELECT x + 1 FROM c) SELECT 'schema' || x AS name, x AS value FROM c;" .
	    ' CREATE TABLE limit_lock (id); CREATE TABLE mail_notice (id)');
	chown $uid, $gid, $d->database;
	$d->launch;
	my $pid = $d->child($name);
	# CPU time shows that the query runs: nothing else takes so much.
	wait_until { (split ' ', slurp("/proc/$pid/stat"))[13] > 20 };
	check($name, 'in the first query of a hostile file', $pid, filters => 1);
	my @started = map { @$_ } values %{Policyd::children_of($pid)};
	is(scalar @started, 1, 'the ledger has started one process, the checkpointer');
	check('checkpointer of ledger-sqlite', 'in the first query of a hostile file', $_,
	    filters => 1) for @started;
	kill 'KILL', $pid;
	$d->stop;
};

subtest 'report' => sub {
	# The resolver reads queries and never answers.
	my $resolver = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 53,
	    Proto => 'udp') or plan(skip_all => "port 53 of this namespace: $!");
	spew("$dir/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30\n", 0644);
	chmod 0755, $dir;
	Elsewhere::run(have_command('mount'), '--bind', "$dir/resolv.conf",
	    '/etc/resolv.conf');
	my $d = Policyd->start(config => { limits => [[1, 3600]], report => True,
	    report_limits => [3600], report_to => 'postmaster@example.org',
	    report_immediately => True,
	    smtp_server => ['mail.elsewhere.example.', 25] });
	$d->ask(sasl_username => 'bob') for 1 .. 2;
	my $question;
	ok(defined $resolver->recv($question, 512), 'the report sends a DNS query');
	check('report', 'while the resolver is silent', $d->child('report'),
	    caps => $chroot_only, filters => 1);
	check('engine', 'serving', $d->child('engine'), filters => 1);
	kill 'KILL', $d->child('report');
	$d->stop;
};

# --- the table ---

@rows = sort { $a->[0] cmp $b->[0] || $a->[1] cmp $b->[1] } @rows;
my @head = ('process', 'step', 'ids', 'capabilities', 'filters', 'root directory');
my $table = join '', map { '| ' . join(' | ', @$_) . " |\n" } \@head,
    [map { '---' } @head], @rows;
my $page = slurp("$root/SECURITY.md");
my ($written) = $page =~ /<!-- begin steps -->\n\n(.*?)\n<!-- end -->/s;
if (@ARGV && $ARGV[0] eq '-w') {
	$page =~ s/(<!-- begin steps -->\n).*?(<!-- end -->)/$1\n$table\n$2/s;
	open my $fh, '>', "$root/SECURITY.md" or die "SECURITY.md: $!";
	print $fh $page;
	close $fh or die "SECURITY.md: $!";
} else {
	is($written, $table, 'the table in SECURITY.md matches');
}

done_testing();
