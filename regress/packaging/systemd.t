#!/usr/bin/perl

# The systemd units, as make install writes them: good in systemd's own eyes and tight as
# it can measure that; the daemon serves a socket that was made for it by root, where it
# could make nothing itself. What system calls the unit's filter has is in
# regress/sandbox/systemd.t.

use strict;
use warnings;

use File::Temp qw(tempdir);
use POSIX ();
use Socket;
use Test::More;

use Packaging qw(output substituted);
use Policyd qw(need have_command as_root slurp spew $root);

my $analyze = have_command('systemd-analyze');
need($^O eq 'linux' && $analyze, 'systemd-analyze');

my $dir = tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;

# --- the files ---

my @units = map { s{.*/}{}r =~ s/\.in\z//r } glob "$root/systemd/policyd-rate-limit*.in";
is("@units", 'policyd-rate-limit-clean.service policyd-rate-limit-clean.timer ' .
    'policyd-rate-limit-events.service ' .
    'policyd-rate-limit-metrics.service policyd-rate-limit-metrics.timer ' .
    'policyd-rate-limit-page.service policyd-rate-limit-page.timer ' .
    'policyd-rate-limit.service policyd-rate-limit.socket', 'systemd/ has these units');

# systemd looks whether the program is there, and finds units beside each other.
spew("$dir/$_", "#!/bin/sh\n", 0755) for 'policyd-rate-limit', 'policyctl';
for (@units, 'sysusers.conf', 'tmpfiles.conf') {
	spew("$dir/$_", substituted("$root/systemd/$_.in", SBINDIR => $dir));
	unlike(slurp("$dir/$_"), qr/\@\w+\@|\A\z/, "$_: every path is filled in");
}

# Other units are this machine's, manual pages those of an installation.
my @words = grep { /\Qpolicyd-rate-limit/ } split /\n/,
    output("cd '$dir' && $analyze verify --man=no *.service *.socket *.timer 2>&1");
is(join("\n", @words), '', 'systemd-analyze verify finds no fault in the units');

for my $unit (grep { /\.service\z/ } @units) {
	my $report = output("$analyze security --offline=true --no-pager '$dir/$unit' 2>&1");
	my ($exposure) = $report =~ /Overall exposure level .*: ([\d.]+)/;
	ok(defined $exposure && $exposure <= 1.5,
	    "$unit: systemd-analyze security gives an exposure of at most 1.5")
	    or diag($report);
}

my $service = slurp("$dir/policyd-rate-limit.service");
# A service that reaches systemd's limit of starts loses the socket too.
my ($interval, $burst) = map { $service =~ /^StartLimit$_=(\d+)$/m } 'IntervalSec', 'Burst';
ok($interval && $burst && $burst >= 2 * $interval,
    'restarts once a second never reach the limit of starts');
for my $line (grep { /^(?:User|Group|Capa|Ambient|NoNew|Restrict|System|Lock|Memory|
    Protect|Private|Device|Remove|Keyring|UMask|Proc)\w+=/x } split /\n/,
    slurp("$dir/policyd-rate-limit-clean.service")) {
	ok($service =~ /^\Q$line\E$/m,
	    "the daemon's service has the line of the cleaning service: $line");
}

# --- the user and the directory ---

SKIP: {
	my $sysusers = have_command('systemd-sysusers');
	my $tmpfiles = have_command('systemd-tmpfiles');
	skip 'only root makes users', 3 if !as_root() || !$sysusers || !$tmpfiles;
	my $tree = "$dir/tree";
	mkdir $_ for $tree, "$tree/etc", "$tree/var";
	spew("$tree/etc/$_", '') for 'passwd', 'group';
	my $said = output("$sysusers --root='$tree' '$dir/sysusers.conf' 2>&1");
	like(slurp("$tree/etc/passwd"), qr{^policyd-rate-limit:x:\d+:\d+:[^:]*:
	    /var/lib/policyd-rate-limit:/\S*nologin$}mx, 'systemd-sysusers makes the user') or diag($said);
	like(slurp("$tree/etc/group"), qr/^policyd-rate-limit:/m,
	    'systemd-sysusers makes the group');
	$said = output("$tmpfiles --root='$tree' --create '$dir/tmpfiles.conf' 2>&1");
	my ($mode, $uid, $gid) = (stat "$tree/var/spool/postfix/ratelimit")[2, 4, 5];
	my ($postfix) = slurp("$tree/etc/group") =~ /^postfix:[^:]*:(\d+)/m;
	is(sprintf('%o %d %d', ($mode // 0) & 07777, $uid // -1, $gid // -1),
	    '750 0 ' . ($postfix // 'no group'),
	    'systemd-tmpfiles makes the directory of the socket for Postfix only') or diag($said);
}

# --- a socket that exists before the start ---

my ($nobody) = Policyd::nobody();
my $d = Policyd->new(config => { limits => [[2, 60]] },
    as_root() ? (as => scalar getpwuid $nobody) : ());
my $path = $d->endpoint;
(my $place = $path) =~ s{/[^/]*\z}{};
mkdir $place or die "$place: $!";
# The child inherits it, whatever its number.
my $listener;
{
	local $^F = 1023;
	socket($listener, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
}
bind($listener, pack_sockaddr_un($path)) or die "$path: $!";
chmod 0660, $path;
# As root's 0750: the daemon cannot even look at it by its name.
chmod 0700, $place if as_root();
listen($listener, 50) or die "listen: $!";
my $inode = (stat $path)[1];
$d->{prepare} = sub {
	POSIX::dup2(fileno $listener, 3);
	@ENV{qw(LISTEN_PID LISTEN_FDS)} = ($$, 1);
};

# A client that connects before the start, or between two daemons, waits.
my $early = $d->connect_quietly;
ok($early, 'a client can connect before the start');
$d->start;
is($early->ask_bytes(Policyd::request(sasl_username => 'bob')), 'dunno',
    'this client is answered after the start');
is($d->ask(sasl_username => 'bob'), 'dunno', 'a client that connects later is answered');
is((stat $path)[2] & 0777, 0660, 'the daemon leaves the mode of the socket');
is($d->stop, 0, 'the daemon stops');
is((stat $path)[1], $inode, 'the stopped daemon leaves the socket');
my $between = $d->connect_quietly;
ok($between, 'a client can connect between two daemons');
$d->start;
like($between->ask_bytes(Policyd::request(sasl_username => 'bob')), qr/^defer/,
    'this client is answered by the next daemon');
my $mark = $d->log_mark;
$d->signal('HUP');
ok($d->wait_log(qr/configuration is in force/, $mark), 'a reload succeeds');
like($d->ask(sasl_username => 'bob'), qr/^defer/, 'the socket serves after the reload');
ok($d->told(qr/^RELOADING=1$/m), 'the service manager was told of the reload');
$d->ends_well;

done_testing();
