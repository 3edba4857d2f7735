package Ctl;

# policyctl against a daemon under test.

use strict;
use warnings;

use Exporter qw(import);
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

use Policyd qw(slurp need $root);

our @EXPORT_OK = qw(ctl ctl_command ctl_json);

my $program = "$root/build/policyctl";
my $copied;

# A copy for a user who does not reach the build.
sub open_program {
	my ($d) = @_;

	return $program if !defined $d->{as} || Policyd::build_is_open();
	if (!defined $copied) {
		my $dir = tempdir('policyctl-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
		chmod 0755, $dir;
		copy($program, "$dir/policyctl") or die "$dir: $!";
		chmod 0755, "$dir/policyctl";
		$copied = "$dir/policyctl";
	}
	return $copied;
}

sub ctl_command {
	my ($d, @words) = @_;

	need(-x $program, 'policyctl is not built');
	return (open_program($d), '-s', $d->control, @words);
}

# (status, stdout, stderr)
sub ctl {
	my ($d, @words) = @_;

	return $d->run_command(ctl_command($d, @words));
}

# The answer of a command that must do well; "status" may say that something is not.
sub ctl_json {
	my ($d, @words) = @_;
	my ($status, $out, $err) = ctl($d, '-j', @words);

	if (!defined $status || $status > ($words[0] eq 'status')) {
		fail("policyctl @words");
		diag('status ', $status // 'none', ": $err");
		return {};
	}
	return decode_json($out);
}

1;
