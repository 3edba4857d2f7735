package Conf;

# The program with a configuration that it only looks at: what it prints and how it
# ends.
#
#	my $r = run_config("debug = True\n", '--get-config', 'debug');
#	is($r->{out}, 'True');

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use POSIX ();

use Policyd qw(slurp spew wait_until as_root need $root);

our @EXPORT_OK = qw(run_program run_config get_config table rules_table connections
    $dir);

# Its name stands in expected faults as @dir@.
our $dir = '';
# perl -c only wants to read the test, and would leave it behind.
if (!$^C) {
	$dir = abs_path(tempdir('policyd-conf-XXXXXXXX', TMPDIR => 1, CLEANUP => 1));
	chmod 0755, $dir;
}

my $program = $ENV{POLICYD_PROGRAM} || "$root/build/policyd-rate-limit";
my $calls = 0;

# A copy that other users reach, too, whatever the directories above the build are.
sub for_others {
	my $copy = "$dir/program";

	if (!-e $copy) {
		copy($program, $copy) or croak "$copy: $!";
		chmod 0755, $copy;
	}
	return $copy;
}

# { status, out, err } of the program with these arguments; options of ours first, as
# a hash: home, as (a user), stdout (a file).
sub run_program {
	my %option = ref $_[0] ? %{+shift} : ();
	my @args = @_;
	my $n = $calls++;
	my $executable = defined $option{as} ? for_others() : $program;
	my ($out, $err) = ("$dir/out$n", "$dir/err$n");

	spew($_, '', 0666) for $out, $err;
	defined(my $pid = fork) or croak "fork: $!";
	if ($pid == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', $option{stdout} // $out or POSIX::_exit(126);
		open STDERR, '>', $err or POSIX::_exit(126);
		# Nobody's own configuration is to be found.
		$ENV{HOME} = $option{home} // "$dir/nowhere";
		if (defined $option{as}) {
			my ($uid, $gid) = (getpwnam $option{as})[2, 3];
			$) = "$gid $gid";
			POSIX::setgid($gid);
			POSIX::setuid($uid);
			POSIX::_exit(125) if $> != $uid;
		}
		{ exec { $executable } "policyd-rate-limit", @args }
		POSIX::_exit(127);
	}
	my $status;
	if (!wait_until { waitpid($pid, POSIX::WNOHANG()) == $pid and
	    $status = $?, 1 }) {
		kill KILL => $pid;
		waitpid $pid, 0;
		croak "policyd-rate-limit @args: still running";
	}
	my %result = (
		status => $status & 127 ? 'signal ' . ($status & 127) : $status >> 8,
		out => slurp($out),
		err => slurp($err) =~ s/\Q$dir\E/\@dir\@/gr,
	);
	unlink $out, $err;
	return \%result;
}

# The same with -f and a file of this text; its name ends in .conf, or .yaml when the
# text begins with a line `# yaml`.
sub run_config {
	my %option = ref $_[0] ? %{+shift} : ();
	my ($text, @args) = @_;
	my $file = "$dir/test." . ($text =~ /\A# yaml\n/ ? 'yaml' : 'conf');

	spew($file, $text, $option{mode} // 0644);
	my $result = run_program(\%option, '-f', $file, @args);
	unlink $file;
	return $result;
}

sub get_config {
	my ($text, $name) = @_;
	my $result = run_config($text, '--get-config', $name);

	return $result->{status} == 0 ? $result->{out} :
	    "status $result->{status}: $result->{err}";
}

# --- the settings table ---

sub dump_of {
	my $test = "$root/regress/unit/settings_table.test";
	my @lines;

	need(-x $test, 'regress/unit/settings_table.test is not built');
	open my $fh, '-|', $test, 'dump', @_ or croak "$test: $!";
	while (<$fh>) {
		chomp;
		push @lines, [split /\t/, $_, -1];
	}
	close $fh or croak "$test: failed";
	return @lines;
}

# [name, type, default] of each setting, the default as a literal.
sub table { return dump_of() }

# [name, type] of each field of a rule.
sub rules_table { return dump_of('rules') }

# [setting, keyword, used or ignored]
sub connections { return dump_of('connections') }

1;
