package Packaging;

# What the tests of packaging have in common.

use strict;
use warnings;

use Exporter qw(import);

use Policyd qw($root);

our @EXPORT_OK = qw(output substituted);

# What a shell command says on standard output.
sub output {
	my ($command) = @_;

	open my $fh, '-|', '/bin/sh', '-c', $command or die "sh: $!";
	local $/;
	my $text = <$fh> // '';
	close $fh;
	return $text;
}

# A file with the paths of an installation in it, by default those of a system package.
sub substituted {
	my ($file, %place) = @_;

	local %ENV = (%ENV, SBINDIR => '/usr/sbin', SYSCONFDIR => '/etc',
	    LIBEXECDIR => '/usr/libexec/policyd-rate-limit',
	    EXAMPLEDIR => '/usr/share/doc/policyd-rate-limit/examples',
	    RUNDIR => '/var/run/policyd-rate-limit',
	    STATEDIR => '/var/lib/policyd-rate-limit', %place);
	return output("'$root/packaging/substitute' <'$file'");
}

1;
