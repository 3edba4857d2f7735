#!/usr/bin/perl

# The tables in SECURITY.md, made from the code that enforces them: system calls by the
# program that asks src/sandbox/seccomp.c itself, the other systems' from their sources.
#
#	perl regress/sandbox/tables.pl		writes them into SECURITY.md
#	perl regress/sandbox/tables.pl -p	prints what that file should be
#
# Needs build/regress/attack (make tests, on Linux).

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);

my $root = abs_path(dirname(__FILE__) . '/../..');
my @roles = qw(engine ledger-sqlite ledger-server report connecting);

sub text {
	my ($file) = @_;

	open my $fh, '<', "$root/$file" or die "$file: $!\n";
	local $/;
	return scalar <$fh>;
}

sub table {
	my ($head, @rows) = @_;

	die "a table is empty: @$head\n" if !@rows;
	return join '', map { '| ' . join(' | ', @$_) . " |\n" }
	    $head, [map { '---' } @$head], @rows;
}

# Which roles, in words.
sub who {
	my ($in) = @_;

	return 'every role' if @$in == @roles;
	return join ', ', @$in;
}

sub linux_calls {
	my (%rules, %of, @order);

	open my $fh, '-|', "$root/build/regress/attack", 'table' or die "attack: $!\n";
	while (<$fh>) {
		chomp;
		my ($names, $rule, @in) = split /\t/;
		@in = grep { $_ ne '' } @in or next;
		my $who = who(\@in);
		push @order, $who if !$of{$who};
		for my $name (split / /, $names) {
			push @{$of{$who}}, $name if !$rules{$who}{$name};
			push @{$rules{$who}{$name}}, $rule;
		}
	}
	close $fh or die "attack: status $?\n";
	return table(['in', 'system calls, and with which arguments only'], map {
		my $who = $_;
		[$who, join ', ', map {
			my @rules = grep { $_ ne '' } @{$rules{$who}{$_}};
			@rules ? "`$_` (" . join(' or ', @rules) . ')' : "`$_`";
		} @{$of{$who}}];
	} @order);
}

my %landlock = (
	READ_FILE => 'read files', READ_DIR => 'list the directory',
	WRITE_FILE => 'write files', TRUNCATE => 'cut files',
	MAKE_REG => 'make plain files', REMOVE_FILE => 'remove files',
);

sub linux_files {
	my ($rights) = text('src/sandbox/landlock.c') =~
	    /directory != -1 && allow\(fd, handled, directory, (.*?)\)/s
	    or die "landlock.c: what the ledger may is not found\n";
	my @may = map { $landlock{$_} // die "landlock.c: $_?\n" } $rights =~ /FS_(\w+)/g;

	return table(['in', 'files (Landlock)', 'network (Landlock)'],
	    ['ledger-sqlite', "below the database's directory: " . join(', ', @may),
	    'nothing to bind or connect'],
	    ['engine, ledger-server, report', 'none', 'nothing to bind or connect']);
}

my %role = (ENGINE => 'engine', LEDGER_SQLITE => 'ledger-sqlite',
    LEDGER_SERVER => 'ledger-server', REPORT => 'report',
    CONNECTING => 'connecting', PARENT => 'parent',
    SQLITE => 'ledger-sqlite', SERVER => 'ledger-server', CHILDREN => 'every role');

sub limits {
	my @rows = text('src/sandbox/rlimits.c') =~
	    /^\t\{ (RLIMIT_\w+), ([A-Z |]+), (\w+), \w+ \}/mg;
	my ($few) = text('src/sandbox/rlimits.c') =~ /#define FEW_DESCRIPTORS\t(\d+)/;
	my @out;

	while (my ($what, $in, $most) = splice @rows, 0, 3) {
		push @out, ["`$what`", join(', ', map { $role{$_} // die "$_?\n" }
		    split / \| /, $in), $most eq 'FEW_DESCRIPTORS' ? $few : $most];
	}
	return table(['limit', 'in', 'at most'], @out);
}

sub capabilities {
	my ($list) = text('src/sandbox/linux.c') =~ /parent_capabilities\[\] = \{(.*?)\}/s;

	return join ', ', map { "`$_`" } $list =~ /(CAP_\w+)/g;
}

sub openbsd {
	my ($list) = text('src/sandbox/openbsd.c') =~ /promises\[\w+\] = \{(.*?)\n\};/s;
	my ($unveil) = text('src/sandbox/openbsd.c') =~
	    /unveil\(needs->directory, "(\w+)"\)/;
	my @rows;

	$list =~ s{/\*.*?\*/}{}gs;
	while ($list =~ /\[SANDBOX_(\w+)\]\s*=\s*\(?((?:"[^"]*"\s*)+)/g) {
		my ($name, $promises) = ($role{$1}, join '', $2 =~ /"([^"]*)"/g);
		push @rows, [$name, "`$promises`", $name eq 'ledger-sqlite' ?
		    "the database's directory, `$unveil`" :
		    $promises =~ /\brpath\b/ ? 'all' : 'none'];
	}
	return table(['in', 'pledge(2)', 'files, unveil(2)'], @rows);
}

my @kinds = (socket => 'a socket; `CAP_ACCEPT` only if it listens', directory => "the database's directory and its files",
    file => 'another file', other => 'a channel, kqueue or pipe');

sub freebsd {
	my $c = text('src/sandbox/freebsd.c');
	my @rows;

	for (my $i = 0; $i < @kinds; $i += 2) {
		my ($body) = $c =~ /^$kinds[$i]_rights\(.*?\n\{\n(.*?)\n\}/ms
		    or die "freebsd.c: $kinds[$i]?\n";
		my %seen;
		my @rights = grep { !$seen{$_}++ } $body =~ /\b(CAP_\w+)/g;
		push @rows, [$kinds[$i + 1], join(', ', map { "`$_`" } @rights) || 'none'];
	}
	return table(['descriptor', 'rights (Capsicum)'], @rows);
}

my %part = (
	'linux-calls' => \&linux_calls, 'linux-files' => \&linux_files,
	'limits' => \&limits, 'openbsd' => \&openbsd, 'freebsd' => \&freebsd,
	'capabilities' => sub { capabilities() . "\n" },
);

my $page = text('SECURITY.md');
my %left = map { $_ => 1 } keys %part;
# That of steps.t is what it saw.
$page =~ s{(<!-- begin (?!steps )(\S+) -->\n).*?(<!-- end -->)}{
	my ($head, $name, $tail) = ($1, $2, $3);
	delete $left{$name} or die "SECURITY.md: $name?\n";
	"$head\n" . $part{$name}->() . "\n$tail";
}gse;
die 'SECURITY.md has no place for ', join(', ', sort keys %left), "\n" if %left;

if (@ARGV && $ARGV[0] eq '-p') {
	print $page;
} else {
	open my $fh, '>', "$root/SECURITY.md" or die "SECURITY.md: $!\n";
	print $fh $page;
	close $fh or die "SECURITY.md: $!\n";
}
