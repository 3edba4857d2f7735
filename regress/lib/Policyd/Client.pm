package Policyd::Client;

# One connection of a policy client, byte by byte if need be. Every wait has a
# deadline.

use strict;
use warnings;

use Errno qw(EAGAIN EINPROGRESS EINTR EWOULDBLOCK);
use IO::Handle;
use IO::Select;
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6 IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

# An endpoint is a path or [address, port]. undef with $! when nobody is there.
sub new {
	my ($class, $endpoint, $patience) = @_;
	my ($family, $address, $socket);

	if (!ref $endpoint) {
		($family, $address) = (AF_UNIX, pack_sockaddr_un($endpoint));
	} elsif ($endpoint->[0] =~ /:/) {
		$family = AF_INET6;
		$address = pack_sockaddr_in6($endpoint->[1],
		    inet_pton(AF_INET6, $endpoint->[0]));
	} else {
		$family = AF_INET;
		$address = pack_sockaddr_in($endpoint->[1], inet_aton($endpoint->[0]));
	}
	socket($socket, $family, SOCK_STREAM, 0) or return undef;
	connect($socket, $address) or return undef;
	setsockopt($socket, IPPROTO_TCP, TCP_NODELAY, 1) if $family != AF_UNIX;
	$socket->blocking(0);
	binmode $socket;
	return bless {
		socket => $socket,
		select => IO::Select->new($socket),
		patience => $patience // 30,
		buffer => '',
		closed => 0,
	}, $class;
}

sub socket_of { return $_[0]{socket} }

# Writes all of it; false when the other end is gone or takes nothing for too long.
sub send {
	my ($self, $bytes, $seconds) = @_;
	my $end = time + ($seconds // $self->{patience});
	my $at = 0;

	while ($at < length $bytes) {
		my $n = syswrite($self->{socket}, $bytes, length($bytes) - $at, $at);
		if (defined $n) {
			$at += $n;
		} elsif ($! == EAGAIN || $! == EWOULDBLOCK) {
			my $left = $end - time;
			return 0 if $left <= 0;
			$self->{select}->can_write($left);
		} elsif ($! != EINTR) {
			return 0;
		}
	}
	return 1;
}

# Reads what is there, waiting for the first byte until the deadline: bytes read, 0
# at the end of file, undef when nothing came.
sub fill {
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // $self->{patience});

	for (;;) {
		my $n = sysread($self->{socket}, $self->{buffer}, 65536,
		    length $self->{buffer});
		return $n if $n;
		if (defined $n || !($! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR)) {
			$self->{closed} = 1;
			return 0;
		}
		my $left = $end - time;
		return undef if $left <= 0;
		$self->{select}->can_read($left);
	}
}

# The next whole answer with its empty line; undef when there came none.
sub answer_bytes {
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // $self->{patience});

	while ($self->{buffer} !~ /\n\n/) {
		my $left = $end - time;
		return undef if $left < 0 || !$self->fill($left);
	}
	$self->{buffer} =~ s/\A(.*?\n\n)//s;
	return $1;
}

# The action of the next answer.
sub answer {
	my ($self, $seconds) = @_;
	my $bytes = $self->answer_bytes($seconds);

	return undef if !defined $bytes;
	return $bytes =~ /\Aaction=(.*)\n\n\z/ ? $1 : "malformed answer: $bytes";
}

sub ask_bytes {
	my ($self, $bytes, $seconds) = @_;

	$self->send($bytes, $seconds) or return undef;
	return $self->answer($seconds);
}

sub ask {
	my ($self, %attributes) = @_;

	return $self->ask_bytes(Policyd::request(%attributes));
}

# Waits until the other end closes; what came before that stays in the buffer.
sub wait_closed {
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // $self->{patience});

	until ($self->{closed}) {
		my $left = $end - time;
		return 0 if !defined $self->fill($left < 0 ? 0 : $left);
	}
	return 1;
}

# Bytes that came and were not asked for.
sub unread {
	my ($self, $seconds) = @_;

	$self->fill($seconds // 0);
	return $self->{buffer};
}

# No more bytes from us; answers can still be read.
sub finish { shutdown $_[0]{socket}, 1 }

sub close { CORE::close($_[0]{socket}) }

# Closed with a reset instead of an orderly end (TCP only).
sub reset {
	my ($self) = @_;

	setsockopt($self->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
	CORE::close($self->{socket});
}

1;
