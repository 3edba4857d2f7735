#!/usr/bin/perl

# What make install writes, and where: only below DESTDIR, with the paths of that
# installation in every text, by GNU make and by BSD make, for each system's init.

use strict;
use warnings;

use File::Find qw(find);
use File::Temp qw(tempdir);
use Test::More;

use Packaging qw(output);
use Policyd qw(have_command slurp spew $root);

my $dir = tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
# A path may have what sed(1) takes for its own.
my %place = (PREFIX => '/opt/a&b', SBINDIR => '/opt/a&b/sbin',
    LIBEXECDIR => '/opt/libexec|x', SYSCONFDIR => '/opt/etc', EXAMPLEDIR => '/opt/sample',
    RUNDIR => '/opt/run/limit', STATEDIR => '/opt/state/limit', MANDIR => '/opt/man',
    UNITDIR => '/opt/units', SYSUSERSDIR => '/opt/sysusers', TMPFILESDIR => '/opt/tmpfiles',
    RCDIR => '/opt/rc.d', BASHCOMPDIR => '/opt/bash', ZSHCOMPDIR => '/opt/zsh');
my $places = join ' ', map { "$_='$place{$_}'" } sort keys %place;

# Path below the directory => text.
sub tree {
	my ($top) = @_;
	my %found;

	find({ no_chdir => 1, wanted => sub {
		$found{substr $_, length $top} = slurp($_) if -f $_;
	} }, $top) if -d $top;
	return \%found;
}

my %init = (
	systemd => ['/opt/sysusers/policyd-rate-limit.conf',
	    '/opt/tmpfiles/policyd-rate-limit.conf',
	    map { "/opt/units/policyd-rate-limit$_" } '-clean.service', '-clean.timer',
	    '-events.service', '-metrics.service', '-metrics.timer', '-page.service', '-page.timer',
	    '.service', '.socket'],
	openbsd => ['/opt/rc.d/policyd_rate_limit'],
	freebsd => ['/opt/rc.d/policyd_rate_limit'],
	netbsd => ['/opt/rc.d/policyd_rate_limit'],
	none => [],
);
my @texts = ('/opt/man/man5/policyd-rate-limit.conf.5',
    '/opt/man/man8/policyd-rate-limit.8', '/opt/sample/policyd-rate-limit.conf',
    '/opt/man/man8/policyctl.8', (map { ("/opt/bash/$_", "/opt/zsh/_$_") }
    'policyctl', 'policyd-rate-limit'));
my $default = qr{/usr/local/|/var/(?:run|lib)/policyd|(?<![\w&|])/etc/policyd};

for my $make (grep { defined } map { have_command($_) } 'make', 'bmake') {
	for my $init (sort keys %init) {
		my $name = "$make, $init";
		my $dest = "$dir/" . $name =~ s/\W+/-/gr . ' of it';
		my $said = output("cd '$root' && umask 077 && '$make' -s INIT=$init DESTDIR='$dest' " .
		    "$places install-texts install-init-$init 2>&1");
		my $tree = tree($dest);
		my @missing = grep { !defined $tree->{$_} } @texts, @{$init{$init}};
		is("@missing", '', "$name: no file is missing") or diag($said);
		my %known = map { $_ => 1 } @texts, @{$init{$init}};
		my @more = grep { !$known{$_} } sort keys %$tree;
		is("@more", '', "$name: no other file is installed");
		my @left = grep { $tree->{$_} =~ /\@[A-Z]+DIR\@/ || $tree->{$_} =~ $default ||
		    $tree->{$_} =~ /\Q$dest/ } sort keys %$tree;
		is("@left", '', "$name: no other installation's path is in a text");
		is((stat "$dest/opt/man/man8")[2] & 0777, 0755,
		    "$name: every user can read the manual pages");
		output("cp -a '$dest' '$dest.gone' && cd '$root' && '$make' -s INIT=$init " .
		    "DESTDIR='$dest.gone' $places uninstall 2>&1");
		is(join(' ', sort keys %{tree("$dest.gone")}), '',
		    "$name: make uninstall removes every file");
	}
}

my $tree = tree((glob "$dir/*make-systemd\\ of\\ it")[0]);
like($tree->{$texts[0]}, qr{^\.It Pa /opt/etc/policyd-rate-limit\.conf$}m,
    'the manual page has SYSCONFDIR');
like($tree->{$texts[1]}, qr{^\.It Pa /opt/libexec\|x$}m, 'the manual page has LIBEXECDIR');
like($tree->{$texts[1]}, qr{^\.It Pa /opt/run/limit/control$}m, 'the manual page has RUNDIR');
like($tree->{$texts[2]}, qr{^#sqlite_config.*"/opt/state/limit/db\.sqlite3"}m,
    'the sample has STATEDIR');
like($tree->{"/opt/units/policyd-rate-limit.service"},
    qr{^ExecStart=/opt/a&b/sbin/policyd-rate-limit$}m, 'the systemd unit has SBINDIR');

# --- the default paths do not change a byte but those of *.in ---

my $same = output("cd '$root' && make -s INIT=none DESTDIR='$dir/same' install-texts 2>&1");
for (['etc/policyd-rate-limit.conf', 'share/examples/policyd-rate-limit'],
    ['man/policyd-rate-limit.8', 'share/man/man8']) {
	my ($file, $where) = @$_;
	my ($base) = $file =~ m{([^/]+)\z};
	is(slurp("$dir/same/usr/local/$where/$base"), slurp("$root/$file"),
	    "with the default paths $file is installed unchanged") or diag($same);
}

# --- packing lists of ports ---

my @programs = ((map { "sbin/$_" } 'policyctl', 'policyd-rate-limit'),
    map { "libexec/policyd-rate-limit/$_" } 'engine', 'report',
    map { "ledger-$_" } 'sqlite', 'pgsql', 'mysql');

# What is installed below /usr/local, as a port calls make.
sub installed {
	my ($init, @variables) = @_;

	output("cd '$root' && make -s INIT=$init DESTDIR='$dir/$init' @variables " .
	    "install-texts install-init-$init 2>&1");
	return join "\n", sort @programs, map { s{\A/usr/local/}{}r } keys %{tree("$dir/$init")};
}

sub listed {
	return join "\n", sort @_;
}

my $plist = slurp("$root/packaging/freebsd/pkg-plist");
my @files = map { s/^%%[A-Z]+%%(?=lib)//r =~ s/\.gz\z//r =~
    s/^\@sample\S+ (\S+) \S+\z/$1/r =~
    s{%%EXAMPLESDIR%%}{share/examples/policyd-rate-limit}r } split /\n/, $plist;
is(listed(@files), installed('none'), 'pkg-plist of FreeBSD lists the installed files');
my %rc = (SBINDIR => '%%PREFIX%%/sbin', SYSCONFDIR => '%%PREFIX%%/etc',
    RUNDIR => '/var/run/policyd-rate-limit');
is(slurp("$root/packaging/freebsd/files/policyd_rate_limit.in"),
    slurp("$root/rc.d/policyd_rate_limit.freebsd.in") =~ s/\@(\w+)\@/$rc{$1}/gr,
    'the rc.d script of the FreeBSD port is that of rc.d/');

$plist = join '', map { slurp($_) } glob "$root/packaging/openbsd/pkg/PLIST-*";
# @sample refers to the file in the line above it.
my ($sampled) = $plist =~ /^(\S+)\n(?:\@(?:mode|owner|group) .*\n)*\@sample /m;
is($sampled, 'share/examples/policyd-rate-limit/policyd-rate-limit.conf',
    'PLIST of OpenBSD has the sample configuration');
@files = map { s/^\@(?:bin|man|rcscript) //r =~ s/^\$\{RCDIR\}/\/etc\/rc.d/r }
    grep { !/^\@(?:new|mode|owner|group|sample|extra)|\/\z|pkg-readmes/ } split /\n/, $plist;
is(listed(@files), installed('openbsd', 'MANDIR=/usr/local/man'),
    'PLIST of OpenBSD lists the installed files');

# --- one version, said in several places ---

my ($version) = slurp("$root/src/rules.mk") =~ /^VERSION =\t(\S+)$/m;
ok($version, 'src/rules.mk has a version');
like(slurp("$root/packaging/debian/changelog"), qr/\Apolicyd-rate-limit \(\Q$version\E-\d/,
    'debian/changelog has this version');
like(slurp("$root/packaging/rpm/policyd-rate-limit.spec"), qr/^Version:\t\Q$version\E$/m,
    'the RPM spec has this version');
like(slurp("$root/packaging/openbsd/Makefile"), qr/^V =\s+\Q$version\E$/m,
    'the OpenBSD port has this version');
like(slurp("$root/packaging/freebsd/Makefile"), qr/^DISTVERSION=\s+\Q$version\E$/m,
    'the FreeBSD port has this version');

done_testing();
