package Elsewhere;

# A network and an /etc/hosts of the test's own, in which addresses that are not
# loopback ones are on this machine alone: for what is done to other hosts only.
#
#	use Elsewhere;
#	Elsewhere->enter(hosts => { 'mail.example.test' => '192.0.2.25' });
#
# Linux and root only; elsewhere the test is skipped. It runs from its beginning once
# more inside, so this stands first.

use strict;
use warnings;

use File::Temp;
use POSIX ();

use Policyd qw(need have_command as_root spew);

my $hosts;

sub enter {
	my ($class, %option) = @_;
	# perl -c only wants to read the test.
	return if $^C;
	my ($unshare, $ip, $mount) = map { have_command($_) } qw(unshare ip mount);

	if (!$ENV{POLICYD_ELSEWHERE}) {
		need(as_root(), 'a network namespace needs root');
		need($unshare && $ip && $mount, 'no unshare, ip or mount');
		need(system("$unshare -m -n true 2>/dev/null") == 0,
		    'no network namespace can be made here');
		local $ENV{POLICYD_ELSEWHERE} = 1;
		exec $unshare, '-m', '-n', $^X, (map { "-I$_" } @INC), $0, @ARGV
		    or die "$unshare: $!";
	}
	run($ip, 'link', 'set', 'lo', 'up');
	# Nobody is there to ask for other names, this host's own included.
	my $text = '127.0.0.1 localhost ' . (POSIX::uname())[1] . "\n::1 localhost\n";
	my %there;
	for my $name (sort keys %{$option{hosts}}) {
		my $addresses = $option{hosts}{$name};
		for my $address (ref $addresses ? @$addresses : $addresses) {
			$text .= "$address $name\n";
			next if $there{$address}++;
			run($ip, 'addr', 'add', $address =~ /:/ ?
			    ("$address/128", 'dev', 'lo', 'nodad') :
			    ("$address/32", 'dev', 'lo'));
		}
	}
	$hosts = File::Temp->new;
	spew("$hosts", $text, 0644);
	run($mount, '--bind', "$hosts", '/etc/hosts');
}

sub run {
	my (@command) = @_;

	system(@command) == 0 or die "@command: status $?\n";
}

1;
