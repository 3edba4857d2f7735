#!/usr/bin/perl

# The rc.d scripts of OpenBSD, FreeBSD and NetBSD, each under as much of its system's
# rc.subr(8) as stands beside this test: start, status, reload, restart and stop, and that
# a wrong configuration never takes a running daemon down.

use strict;
use warnings;

use Test::More;

use Packaging qw(output substituted);
use Policyd qw(need have_command wait_until process_alive slurp spew $root);

my $shellcheck = have_command('shellcheck');
my %system = (
	openbsd => { shell => (grep { defined } map { have_command($_) }
	    qw(oksh ksh mksh ksh93 sh))[0], check => 'check', quiet => 1,
	    subr => '/etc/rc.d/rc.subr', ours => 'rc.subr.openbsd', dialect => 'ksh' },
	freebsd => { shell => '/bin/sh', check => 'status', subr => '/etc/rc.subr',
	    ours => 'rc.subr.bsd', enable => 'policyd_rate_limit_enable', dialect => 'sh' },
	netbsd => { shell => '/bin/sh', check => 'status', subr => '/etc/rc.subr',
	    ours => 'rc.subr.bsd', enable => 'policyd_rate_limit', dialect => 'sh' },
);
need(defined have_command('pgrep') && defined have_command('ps'), 'ps and pgrep');

for my $name (sort keys %system) { subtest $name => sub {
	my $s = $system{$name};
	my $d = Policyd->new(config => { limits => [[2, 60]] });
	my $dir = $d->dir;

	# Under a name of its own, by which pgrep(1) finds no other.
	mkdir "$dir/sbin" or die "$dir/sbin: $!";
	symlink Policyd::program(), "$dir/sbin/policyd-rate-limit" or die "symlink: $!";
	my $text = substituted("$root/rc.d/policyd_rate_limit.$name.in",
	    SBINDIR => "$dir/sbin");
	unlike($text, qr/\@\w+\@/, 'every path is filled in');
	ok($text =~ s{\Q. $s->{subr}\E$}{. $root/regress/packaging/$s->{ours}}m,
	    "it reads $s->{subr}");
	spew("$dir/script", $text, 0755);
	is(output("'$shellcheck' -e SC1091,SC2034 -s $s->{dialect} '$dir/script'"), '',
	    'shellcheck has nothing to say') if $shellcheck;

	local $ENV{RC_FLAGS} = "-f $d->{file}";
	local $ENV{RC_CONF} = "$dir/rc.conf";
	my $conf = $s->{enable} ? "$s->{enable}=YES\n" : '';
	spew("$dir/rc.conf", "$conf" . "policyd_rate_limit_config=$d->{file}\n" .
	    'policyd_rate_limit_pidfile=' . $d->pidfile . "\n");
	my $do = sub {
		my ($status, $out, $err) = $d->run_command($s->{shell}, "$dir/script", @_);
		$d->{said} = "$out$err";
		return $status;
	};
	my $ok = sub {
		my ($command, $want) = @_;
		$want ? is($do->($command), 0, $command) :
		    isnt($do->($command), 0, "$command fails") or diag($d->{said});
	};
	# Many starts are no child of the test, so it is known by its file.
	my $pid = sub { return slurp($d->pidfile) =~ /\A(\d+)$/m ? $1 : 0 };

	if ($s->{enable}) {
		spew("$dir/rc.conf", slurp("$dir/rc.conf") =~ s/YES/NO/r);
		$ok->('start', 0);
		ok(!-e $d->pidfile, 'the script starts nothing unless it is enabled');
		spew("$dir/rc.conf", slurp("$dir/rc.conf") =~ s/=NO/=YES/r);
	}
	$ok->($s->{check}, 0);
	$ok->('configtest', 1);
	$ok->('start', 1);
	my $first = $pid->();
	ok($first && process_alive($first), 'start starts a daemon');
	is($d->ask(sasl_username => 'bob'), 'dunno', 'the daemon serves when start returns');
	$ok->($s->{check}, 1);

	$d->write_config({ limits => [[1, 60]] });
	$ok->('reload', 1);
	ok(wait_until { $d->ask(sasl_username => 'bob') =~ /^defer/ },
	    'reload puts the new configuration in force');
	is($pid->(), $first, 'reload keeps the process');

	# What is wrong is found before anything is stopped.
	my $good = slurp($d->{file});
	spew($d->{file}, "$good\nlimits = [[\n");
	$ok->('configtest', 0);
	$ok->('restart', 0);
	$ok->('reload', 0);
	is($pid->(), $first, 'restart or reload with a wrong configuration keeps the process');
	ok(process_alive($first), 'restart or reload with a wrong configuration stops nothing');
	spew($d->{file}, $good);

	$ok->('restart', 1);
	my $second = $pid->();
	ok($second && $second != $first, 'restart starts another process');
	delete $d->{client};
	like($d->ask(sasl_username => 'bob'), qr/^defer/, 'the new process serves');
	$ok->('stop', 1);
	ok(!process_alive($second), 'stop ends the process');
	ok(!-e $d->pidfile, 'stop removes the pid file');
	$ok->($s->{check}, 0);

	spew($d->{file}, "$good\nlimits = [[\n");
	$ok->('start', 0);
	ok(!-e $d->pidfile, 'start with a wrong configuration starts nothing');
	my $left = $pid->();
	kill 'TERM', $left if $left && process_alive($left);
} }

done_testing();
