package Ctl;

# policyctl against a daemon under test.

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP;
use Test::More;

use Policyd qw(slurp need $root);

our @EXPORT_OK = qw(ctl ctl_command ctl_json);

my $program = "$root/build/policyctl";

sub ctl_command {
	my ($d, @words) = @_;

	need(-x $program, 'policyctl is not built');
	return ($program, '-s', $d->control, @words);
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
