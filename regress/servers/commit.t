#!/usr/bin/perl
# retransmit-counts-twice, the hardest case: the connection is cut while COMMIT is in
# flight, so the result is unknown. The engine sends the charge to the next ledger, which
# finds it in the table or records it. A proxy between the daemon and the server cuts the
# connection before or after it forwards COMMIT.

use strict;
use warnings;

use IO::Select;
use Socket;
use Test::More;

use Database;
use Policyd qw(free_port spew);

my $owner = $$;
my @proxies;

# Also if the test dies: the proxies hold its output open.
END { kill 'TERM', @proxies if $$ == $owner }

# Starts a proxy that forwards until a file orders the cut; returns its pid.
sub proxy {
	my ($port, $to, $order) = @_;

	socket(my $listener, AF_INET, SOCK_STREAM, 0) or die "socket: $!";
	setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
	bind($listener, pack_sockaddr_in($port, INADDR_LOOPBACK)) or die "bind: $!";
	listen($listener, 10) or die "listen: $!";
	defined(my $pid = fork) or die "fork: $!";
	if ($pid) {
		push @proxies, $pid;
		return $pid;
	}
	$SIG{TERM} = sub { POSIX::_exit(0) };
	my $all = IO::Select->new($listener);
	my (%peer, %client);
	my $commit = qr/COMMIT/i;
	my $end = sub {
		for my $s (grep { defined } $_[0], $peer{$_[0]}) {
			$all->remove($s);
			close $s;
		}
		delete @peer{$peer{$_[0]} // '', $_[0]};
	};
	while (1) {
		for my $s ($all->can_read) {
			if ($s == $listener) {
				accept(my $c, $listener) or next;
				socket(my $server, AF_INET, SOCK_STREAM, 0);
				if (!connect($server, pack_sockaddr_in($to, INADDR_LOOPBACK))) {
					close $c;
					next;
				}
				@peer{$c, $server} = ($server, $c);
				$client{$c} = 1;
				$all->add($c, $server);
				next;
			}
			next if !$peer{$s};
			my $bytes;
			if (!sysread $s, $bytes, 65536) {
				$end->($s);
				next;
			}
			my $what = -e $order && $client{$s} ? Policyd::slurp($order) : '';
			# On PostgreSQL it is prepared under a name, MySQL gets its text.
			$commit = qr/\0$1\0/ if $bytes =~ /(s\d+)\0COMMIT\0/;
			if ($what && $bytes =~ $commit) {
				unlink $order;
				if ($what eq 'behind') {
					my $server = $peer{$s};
					my $answer;
					syswrite $server, $bytes;
					# The reply proves the COMMIT; do not forward it.
					sysread $server, $answer, 65536;
				}
				$end->($s);
				next;
			}
			syswrite $peer{$s}, $bytes;
		}
	}
}

for my $kind (qw(pgsql mysql)) {
	subtest $kind => sub {
		my $db = Database->start($kind);
		my $port = free_port();
		my $order = "$db->{dir}/order";
		my $pid = proxy($port, $db->{port}, $order);
		my $d = Policyd->start(config => { $db->config(port => $port,
		    $kind eq 'pgsql' ? (sslmode => 'disable') : ()), db_timeout => 20,
		    limits => [[10, 3600]], fail_action => 'reject full',
		    db_error_action => 'defer database' });
		my $n = 0;

		is($d->ask(sasl_username => 'bob'), 'dunno', 'all is well');
		for my $where (qw(behind before behind)) {
			my %mail = (sasl_username => 'bob', instance => "cut$n",
			    recipient_count => 2);
			my $before = $db->recorded('bob');

			$n++;
			spew($order, $where);
			is($d->ask(%mail), 'dunno',
			    "cut $where COMMIT: the request is accepted by the next ledger");
			ok(!-e $order, 'the proxy saw COMMIT');
			is($db->recorded('bob'), $before + 2, 'the mail is counted once');
			is($d->ask(%mail), 'dunno', 'the repeated request is accepted');
			is($db->recorded('bob'), $before + 2,
			    'the mail is still counted once');
		}
		is($d->ask(sasl_username => 'bob', recipient_count => 3), 'dunno',
		    'a mail to the last 3 recipients is accepted');
		is($d->ask(sasl_username => 'bob'), 'reject full',
		    'a mail over the limit is refused');
		$d->ends_well;

		# The engine's memory learns the counts that the next ledger found in the table.
		$d->write_config({ db_error_action => 'memory', db_timeout => 5 });
		$d->start;
		spew($order, 'behind');
		is($d->ask(sasl_username => 'eve', recipient_count => 9), 'dunno',
		    'cut after COMMIT: the mail is accepted');
		is($db->recorded('eve'), 9, 'the mail is counted once');
		$db->stop;
		is($d->ask(sasl_username => 'eve'), 'dunno',
		    'without the server one more mail is accepted');
		is($d->ask(sasl_username => 'eve'), 'reject full',
		    'a mail over the limit is refused');
		$d->ends_well;
		kill 'TERM', $pid;
		waitpid $pid, 0;
		@proxies = ();
		$db->stop;
	};
}

done_testing();
