#!/usr/bin/perl
# How far a command of policyctl is: said on a terminal while it lasts, gone with the answer, and
# nowhere else.

use strict;
use warnings;

use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use POSIX ();
use Test::More;

use Policyd qw(wait_until need have_command slurp $root);

need($^O eq 'linux' && !(grep { !have_command($_) } 'script', 'timeout'),
    'no script(1) to give it a terminal');
need(-x "$root/build/policyctl", 'policyctl is not built');

my $dir = tempdir('policyctl-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
my $server = IO::Socket::UNIX->new(Local => "$dir/control", Listen => 4) or die "listen: $!";

# The daemon's end of the connection, its question read.
sub asked {
	$server->timeout(60);
	my $s = $server->accept or die 'policyctl does not connect';
	my $question = '';

	1 while $question !~ /\0\0\z/ && sysread $s, $question, 4096, length $question;
	return $s;
}

# A command with its output in a file, on a terminal or not.
sub command {
	my ($terminal, @words) = @_;
	my $seen = "$dir/seen";
	my $line = "$root/build/policyctl -s $dir/control @words";

	defined(my $pid = fork) or die "fork: $!";
	if (!$pid) {
		open STDIN, '<', '/dev/null' or POSIX::_exit(126);
		open STDOUT, '>', $seen or POSIX::_exit(126);
		open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
		exec('timeout', 300, $terminal ? ('script', '-qec', $line, '/dev/null') :
		    ('sh', '-c', $line)) or POSIX::_exit(127);
	}
	return ($pid, $seen);
}

for my $words (['try'], ['why', 'bob'], ['top'], ['-j', 'top']) {
	my ($pid, $seen) = command(1, @$words);
	my $s = asked();

	syswrite $s, "progress 5000\nprogress 70";
	ok(wait_until { slurp($seen) =~ /\r5000 rows are read \z/ }, "@$words: the rows are counted");
	syswrite $s, "00\n";
	ok(wait_until { slurp($seen) =~ /\r7000 rows are read \z/ }, 'and more of them');
	syswrite $s, "ok\n\ttime#1\ttotal#0\nend\n";
	close $s;
	waitpid $pid, 0;
	like(slurp($seen), qr/rows are read \r\e\[K(?!.*rows are read)/s, 'the line vanishes');
}

for my $words (['clean'], ['report'], ['reload'], ['list'], ['show', 'bob']) {
	my ($pid, $seen) = command(1, @$words);
	my $s = asked();

	ok(wait_until { slurp($seen) =~ /\rthe daemon works on it, \d+ s \z/ },
	    "@$words: silence for a second is said");
	syswrite $s, "error it cannot\nend\n";
	close $s;
	waitpid $pid, 0;
	like(slurp($seen), qr/ s \r\e\[Kpolicyctl: it cannot\r\n\z/, 'the line vanishes');
}

# An answer that does not come.
{
	my ($pid, $seen) = command(1, '-t', 2, 'list');
	my $s = asked();

	waitpid $pid, 0;
	like(slurp($seen), qr/\rthe daemon works on it, 1 s \r\e\[Kpolicyctl: .*: no answer in time\r\n\z/,
	    'the line vanishes before a fault');
}

{
	my ($pid, $seen) = command(0, 'try');
	my $s = asked();

	syswrite $s, "progress 5000\nerror it cannot\nend\n";
	close $s;
	waitpid $pid, 0;
	is(slurp($seen), "policyctl: it cannot\n", 'in a pipe there is no such line');
}

done_testing;
