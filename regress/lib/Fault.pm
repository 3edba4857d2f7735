package Fault;

# Load with a checker that knows what was answered, and faults to be had meanwhile.
#
#	my $d = fault_daemon(config => { ... });
#	my $work = Fault::Work->start($d, workers => 4);
#	$work->wait_more(20);
#	... the fault ...
#	$work->check;		# every answered mail is in the tables, once

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use Test::More;
use Time::HiRes qw(time sleep);

use Ctl qw(ctl);
use Policyd qw(wait_until need have_command slurp spew $root);
use Fault::Shim;

our @EXPORT_OK = qw(fault_daemon full pause sums lock_database database_away db_timeout
    checkpointer);

# FAULT=full: more rounds than make check has time for.
sub full () { ($ENV{FAULT} // '') eq 'full' }

# A random moment, no synchronisation, and none that a seed would bring again.
sub pause {
	my ($most) = @_;

	sleep rand $most;
}

# A daemon in which no answer but a verdict looks like one. Options as Policyd's, and
# shim: a list of roles to put the shim before, journal: bytes for what they write.
sub fault_daemon {
	my (%option) = @_;

	need(have_command('sqlite3'), 'no sqlite3 to look into the database with');
	Fault::Shim::needed() if $option{shim};
	my $config = { limits => [[1_000_000, 3600]], debug => Policyd::False,
	    fail_action => 'reject full', db_error_action => 'defer database',
	    db_timeout => 1.0, %{delete $option{config} // {}} };
	my $shim = delete $option{shim};
	my $d = Policyd->new(config => $config, %option);
	Fault::Shim::prepare($d, $shim, $option{journal}) if $shim;
	return $d;
}

# id => what the tables hold for it.
sub sums {
	my ($d) = @_;

	return { map { $_->[0] => $_->[1] } ($d->{server} // $d)->sql(
	    'SELECT id, SUM(recipient_count) FROM mail_count GROUP BY id') };
}

# The process beside SQLite's ledger; undef when there is none at the moment.
sub checkpointer {
	my ($d) = @_;
	my $ledger = $d->children->{'ledger-sqlite'} or return undef;
	my ($pid) = map { @$_ } values %{Policyd::children_of($ledger)};

	return $pid;
}

# Another process that holds the database as only one can; undef when it cannot. To
# end it, call it.
sub lock_database {
	my ($d) = @_;

	pipe(my $from, my $to) or croak "pipe: $!";
	pipe(my $said, my $say) or croak "pipe: $!";
	defined(my $pid = fork) or croak "fork: $!";
	if (!$pid) {
		open STDIN, '<&', $from;
		open STDOUT, '>&', $say;
		close $to;
		{ no warnings 'exec'; exec('sqlite3', '-batch', '-cmd',
		    '.timeout 20000', $d->database); }
		POSIX::_exit(127);
	}
	close $from;
	close $say;
	$to->autoflush(1);
	print $to "BEGIN EXCLUSIVE;\nSELECT 'locked';\n";
	if ((<$said> // '') ne "locked\n") {
		close $to;
		waitpid $pid, 0;
		return undef;
	}
	return sub {
		print $to "ROLLBACK;\n.quit\n";
		close $to;
		waitpid $pid, 0;
	};
}

# Changes db_timeout by a reload. A test that expects a verdict gives the database the
# default's time, since a busy machine may stand still for a second.
sub db_timeout {
	my ($d, $seconds) = @_;

	$d->write_config({ db_timeout => $seconds });
	return (ctl($d, 'reload'))[0] == 0;
}

# Takes the database away, a server or SQLite's file, and returns a sub that brings it
# back. Only while it is away are requests answered without it soon.
sub database_away {
	my ($d, $db) = @_;
	my $before = $d->{config}{db_timeout} // 20;
	my $back = $db ? sub { $db->launch } : undef;

	ok(db_timeout($d, 0.3), 'requests wait for a shorter time');
	$db ? $db->stop('KILL') : ($back = lock_database($d));
	return sub {
		$back->();
		ok(wait_until { db_timeout($d, $before) }, 'requests wait again');
	};
}

# Clients that never give up, as Postfix does not: no answer, or one that says the
# database gave none, and the same request is sent again. So each mail has a verdict
# in the end, and what was accepted is known exactly.
package Fault::Work;

use Carp qw(croak);
use Errno qw(EAGAIN EINTR);
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time sleep);

use Policyd qw(wait_until slurp spew request);

my $works = 0;

# options:
#   workers	processes (4)
#   user	sub of the worker's number and its mail's: whose it is
#   recipients	of each mail (2)
#   attributes	sub of the same that returns more of its requests' attributes
#   once	an answer of any kind is the last word, nothing is asked again
#   until_full	a worker ends at its first refusal
#   patience	seconds for the verdict of one mail (60)
sub start {
	my ($class, $d, %option) = @_;
	my $self = bless { d => $d, workers => 4, recipients => 2, patience => 60,
	    user => sub { "user$_[0]" }, %option, n => $works++ }, $class;

	pipe(my $from, my $to) or croak "pipe: $!";
	pipe(my $stop_from, my $stop) or croak "pipe: $!";
	for my $n (1 .. $self->{workers}) {
		defined(my $pid = fork) or croak "fork: $!";
		if (!$pid) {
			close $_ for $from, $stop;
			$_->blocking(0) for $stop_from, $to;
			my $ok = eval { $self->work($n, $stop_from, $to); 1 };
			print STDERR $@ if !$ok;
			POSIX::_exit($ok ? 0 : 1);
		}
		push @{$self->{pids}}, $pid;
	}
	$from->blocking(0);
	@$self{qw(from stop seen)} = ($from, $stop, 0);
	return $self;
}

sub file { return "$_[0]{d}{dir}/work$_[0]{n}.$_[1]" }

sub work {
	my ($self, $n, $stop, $tell) = @_;
	my %did = map { $_ => {} } qw(dunno reject unknown other again);
	my $client;

	for (my $mail = 0; !defined sysread $stop, my $byte, 1; $mail++) {
		my $user = $self->{user}->($n, $mail);
		my $bytes = request(sasl_username => $user,
		    instance => "$$.$n.$mail", recipient_count => $self->{recipients},
		    $self->{attributes} ? $self->{attributes}->($n, $mail) : ());
		my $end = time + $self->{patience};
		my $word = '';
		until ($word =~ /\A(?:dunno|reject)\z/) {
			die "mail $mail of worker $n has no verdict\n" if time > $end;
			if (!$client && !($client = $self->{d}->connect_quietly)) {
				sleep 0.01;
				next;
			}
			my $answer = $client->ask_bytes($bytes, 20);
			($word) = ($answer // 'unknown') =~ /\A(\w+)/;
			undef $client if !defined $answer;
			last if $self->{once};
			next if $word =~ /\A(?:dunno|reject)\z/;
			$did{again}{$user}++;
			sleep 0.005;
		}
		$did{exists $did{$word} ? $word : 'other'}{$user}++;
		# Nobody may be reading any more.
		syswrite $tell, '.' if $word eq 'dunno';
		last if $self->{until_full} && $word eq 'reject';
	}
	spew($self->file($n), JSON::PP::encode_json(\%did));
}

sub accepted {
	my ($self) = @_;

	my $n;

	while ($n = sysread $self->{from}, my $bytes, 65536) {
		$self->{seen} += $n;
	}
	$self->{done} = defined $n;
	return $self->{seen};
}

# Whether all workers ended by themselves.
sub wait_done {
	my ($self, $seconds) = @_;

	return wait_until { $self->accepted; $self->{done} } $seconds;
}

# Whether so many more mails were accepted before the deadline.
sub wait_more {
	my ($self, $more, $seconds) = @_;
	my $before = $self->accepted;

	wait_until { $self->accepted >= $before + $more || $self->{done} } $seconds;
	return $self->{seen} >= $before + $more;
}

# Ends the load: { dunno, reject, unknown, other => { user => mails } }.
sub finish {
	my ($self) = @_;
	my %all;

	close $self->{stop};
	for my $n (1 .. $self->{workers}) {
		waitpid $self->{pids}[$n - 1], 0;
		$self->{faults}++ if $? != 0;
		my $did = JSON::PP::decode_json(slurp($self->file($n)) || '{}');
		for my $word (keys %$did) {
			$all{$word}{$_} += $did->{$word}{$_} for keys %{$did->{$word}};
		}
	}
	$self->{did} = \%all;
	return \%all;
}

sub total {
	my ($self, $word) = @_;
	my $sum = 0;

	$sum += $_ for values %{$self->{did}{$word} // {}};
	return $sum;
}

# Each of an id's mails that were accepted is in the tables, once, and nothing else.
sub check_sums {
	my ($self, $name) = @_;
	my $held = Fault::sums($self->{d});
	my %expected = map { $_ => $self->{did}{dunno}{$_} * $self->{recipients} }
	    keys %{$self->{did}{dunno}};

	delete $held->{$_} for grep { !/\Auser/ } keys %$held;
	return is_deeply($held, \%expected, $name // sprintf
	    'each of %d accepted mails is counted once', $self->total('dunno'));
}

sub check {
	my ($self, $name) = @_;

	$self->finish;
	ok(!$self->{faults}, 'every mail had its verdict');
	$self->check_sums($name);
}

1;
