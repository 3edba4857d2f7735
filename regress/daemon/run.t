#!/usr/bin/perl

# make run, by root and by a user: the daemon writes below ./run only and answers the
# request that its banner suggests; children of root run as another user.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use Test::More;

use Policyd qw(wait_until as_root slurp $root);

# A tree that only its owner may search; children of root must work there all the same.
sub made {
	my ($as) = @_;
	my $top = abs_path(tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1));

	mkdir "$top/regress" or die;
	copy("$root/regress/$_", "$top/regress/$_") or die "$_: $!" for 'run.sh', 'ask.pl';
	symlink "$root/build", "$top/build" or die;
	chown +(getpwnam $as)[2, 3], $top, "$top/regress" if defined $as;
	return $top;
}

sub ask {
	my ($top) = @_;

	return qx(cd '$top' && $^X regress/ask.pl run/policy sasl_username=alice recipient_count=1 2>&1);
}

my @who = (undef);
push @who, 'nobody' if as_root() && defined getpwnam('nobody') && Policyd::build_is_open();

for my $as (@who) {
	my $name = $as // (as_root() ? 'root' : 'a user');
	my $top = made($as);
	my $d = bless { as => $as, name => 'run', logfile => "$top/log" }, 'Policyd';

	# Twice: the second run uses the files that the first run created.
	for my $time ('first', 'second') {
		delete $d->{status};
		$d->{pid} = $d->spawn("$top/said", $d->{logfile}, '/bin/sh',
		    "$top/regress/run.sh");
		wait_until { !$d->running || ask($top) =~ /^action=/ };
		if (!ok($d->running, "$name, $time run: the daemon starts")) {
			$d->explain;
			last;
		}
		like(slurp("$top/said"), qr{^    perl regress/ask\.pl run/policy }m,
		    'the banner says how to send a request');
		if ($time eq 'first') {
			ask($top) for 1 .. 2;
			like(ask($top), qr/^action=defer_if_permit/,
			    'the fourth request is refused');
		}
		is($d->stop('INT'), 0, 'the daemon stops with status 0');
		ok(!-e "$top/run/policy", 'the socket is removed');
	}
	like(slurp("$top/run/policyd-rate-limit.conf"), qr/^SOCKET = "\Q$top\E\/run/m,
	    'the configuration of the first run is kept');
}

done_testing();
