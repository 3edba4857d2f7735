#!/usr/bin/perl
# The server's disk is full: requests get db_error_action in time, and verdicts again
# once there is space. The disk is a small file system in memory.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

use Database;
use Policyd qw(need wait_until as_root have_command);
use Trouble qw(make_user daemon ok_away ok_back ok_log);

my %size = (pgsql => '96m', mysql => '160m');
my @mounted;

sub disk {
	my ($kind) = @_;
	my $dir = tempdir("disk-$kind-XXXXXXXX", TMPDIR => 1, CLEANUP => 1);

	need(as_root() && have_command('mount') &&
	    system("mount -t tmpfs -o size=$size{$kind},mode=0755 none $dir") == 0,
	    'a file system in memory may be mounted');
	push @mounted, $dir;
	return $dir;
}

sub full {
	my ($db, $disk) = @_;
	my $d = daemon($db, limits => [[1_000_000, 3600]])->start;

	ok_back($d, 'at first');
	my $mark = $d->log_mark;
	open my $fh, '>', "$disk/ballast" or die "ballast: $!";
	1 while syswrite $fh, 'x' x 4096;
	close $fh;
	# Until the free pages in the files are used up too.
	my $accepted = 0;
	for (1 .. 20000) {
		last if ($d->ask(sasl_username => 'load') // '') ne 'dunno';
		$accepted++;
	}
	ok_away($d, 'full');
	unlink "$disk/ballast";
	if (!$db->running) {
		note('the server itself gave up');
		$db->launch;
	}
	ok_back($d, 'room again');
	ok_log($d, $mark, 'full', 12);
	cmp_ok($db->recorded('load'), '>=', $accepted, "no answered count is lost ($accepted)");
	cmp_ok($db->recorded('load'), '<=', $accepted + 1, 'no mail is counted twice');
	is($db->recorded('away'), 0, 'requests without a verdict are not recorded');
	$d->ends_well;
}

for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	Database->needed($kind);
	my $disk = disk($kind);

	subtest $kind => sub {
		my $db = Database->start($kind, dir => $disk, small => 1);

		make_user($db);
		full($db, $disk);
		$db->stop;
	};
}

done_testing();

END {
	my $status = $?;

	# Running servers would keep the file system busy.
	$_->stop for Database->all;
	system('umount', $_) for @mounted;
	$? = $status;
}
