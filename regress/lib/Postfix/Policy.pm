package Postfix::Policy;

# A policy service that answers by a script and writes down what it was asked: for
# what must be arranged around the daemon under test, and to see what Postfix sends.
#
#	my $p = Postfix::Policy->start(endpoint => $path,
#	    answer => sub { my ($request, $n) = @_; $n == 1 ? 'defer' : 'dunno' });
#	my @requests = $p->requests;
#
# `answer` runs in the service's own process; it is given the attributes of a request
# and how many requests it makes. It returns the action, undef for no answer, or a
# reference to bytes that are sent as they are before the connection is closed.

use strict;
use warnings;

use Carp qw(croak);
use IO::Select;
use POSIX ();
use Socket qw(:DEFAULT SOMAXCONN);

use Policyd qw(wait_until slurp process_alive);

my @started;
my $owner = $$;

# options: endpoint, a path or [address, port]; answer; record, a file
sub start {
	my ($class, %option) = @_;
	my $self = bless { answer => sub { 'dunno' }, %option }, $class;
	my $listener = $self->listener;

	if (!ref $self->{endpoint}) {
		chmod 0666, $self->{endpoint};
		$self->{record} //= "$self->{endpoint}.requests";
	}
	croak 'no file to record in' if !defined $self->{record};
	defined(my $pid = fork) or croak "fork: $!";
	if ($pid == 0) {
		$SIG{TERM} = 'DEFAULT';
		eval { $self->serve($listener) };
		print STDERR $@ if $@;
		POSIX::_exit(1);
	}
	$self->{pid} = $pid;
	push @started, $self;
	return $self;
}

sub listener {
	my ($self) = @_;
	my ($family, $address, $s);

	if (ref $self->{endpoint}) {
		$family = AF_INET;
		$address = pack_sockaddr_in($self->{endpoint}[1],
		    inet_aton($self->{endpoint}[0]));
	} else {
		$family = AF_UNIX;
		$address = pack_sockaddr_un($self->{endpoint});
		unlink $self->{endpoint};
	}
	socket($s, $family, SOCK_STREAM, 0) or croak "socket: $!";
	setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
	bind($s, $address) or croak "bind: $!";
	listen($s, SOMAXCONN) or croak "listen: $!";
	return $s;
}

sub serve {
	my ($self, $listener) = @_;
	my $select = IO::Select->new($listener);
	my %buffer;
	my $n = 0;

	open my $record, '>>', $self->{record} or die "$self->{record}: $!\n";
	$record->autoflush(1);
	for (;;) {
		for my $fh ($select->can_read) {
			if ($fh == $listener) {
				accept(my $client, $listener) or next;
				$select->add($client);
				next;
			}
			my $open = sysread $fh, $buffer{$fh}, 65536,
			    length($buffer{$fh} // '');
			while ($open && $buffer{$fh} =~ s/\A(.*?\n)\n//s) {
				print $record "$1\n";
				my $action = $self->{answer}->(parse($1), ++$n);
				$open = $self->reply($fh, $action);
			}
			next if $open;
			# Removed before it is closed: a closed one has no number.
			delete $buffer{$fh};
			$select->remove($fh);
			close $fh;
		}
	}
}

# False when the connection is to be closed with it.
sub reply {
	my ($self, $fh, $action) = @_;

	if (ref $action) {
		syswrite $fh, $$action;
		return 0;
	}
	syswrite $fh, "action=$action\n\n" if defined $action;
	return 1;
}

sub parse { return { $_[0] =~ /^([^=\n]*)=(.*)$/mg } }

# All that was asked so far, in order.
sub requests {
	my ($self) = @_;

	return map { parse("$_\n") } split /\n\n/, slurp($self->{record});
}

sub stop {
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;

	kill 'TERM', $pid;
	waitpid $pid, 0;
	unlink $self->{endpoint} if !ref $self->{endpoint};
}

END {
	my $status = $?;
	if ($$ == $owner) {
		$_->stop for @started;
	}
	$? = $status;
}

1;
