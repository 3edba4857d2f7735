package Postfix::Session;

# An SMTP client, one command at a time. A reply is its lines in one string, each
# ended by a newline; those of pipelined commands come as a list.

use strict;
use warnings;

use Carp qw(croak);

use Policyd ();
use Policyd::Client;

# undef with $! when nobody listens.
sub new {
	my ($class, $port) = @_;
	my $client = Policyd::Client->new(['127.0.0.1', $port],
	    $Policyd::patience) or return undef;
	my $self = bless { client => $client }, $class;

	$self->{greeting} = $self->reply;
	return $self;
}

# The next reply, "" when the connection ended before one was whole.
sub reply {
	my ($self) = @_;
	my $c = $self->{client};

	for (;;) {
		return $1 =~ s/\r\n/\n/gr
		    if $c->{buffer} =~ s/\A((?:\d{3}-.*\n)*\d{3}(?: .*)?\r\n)//;
		return '' if !$c->fill;
	}
}

sub command {
	my ($self, @lines) = @_;

	$self->{client}->send(join '', map { "$_\r\n" } @lines) or return '';
	my @replies = map { $self->reply } @lines;
	return wantarray ? @replies : $replies[-1];
}

sub hello {
	my ($self) = @_;

	$self->{features} = $self->command('EHLO client.example.net');
	croak "EHLO: $self->{features}" if $self->{features} !~ /^250/;
	return $self->{features};
}

# RFC 3461's xtext.
sub xtext { return $_[0] =~ s/([^!-*,-<>-~])/sprintf '+%02X', ord $1/ger }

# The session begins anew with what was set.
sub xclient {
	my ($self, %set) = @_;
	my $reply = $self->command(join ' ', 'XCLIENT',
	    map { "$_=" . ($set{$_} =~ /\A\[/ ? $set{$_} : xtext($set{$_})) }
	    sort keys %set);

	croak "XCLIENT: $reply" if $reply !~ /^220/;
	return $self->hello;
}

# A mail up to DATA: the reply to that, or the first refusal before.
# options: from, to (a list)
sub envelope {
	my ($self, %mail) = @_;
	my $reply = $self->command('MAIL FROM:<' . ($mail{from} // 'bob@example.org') . '>');

	return $reply if $reply !~ /^250/;
	for (@{$mail{to} // ['carol@example.net']}) {
		$reply = $self->rcpt($_);
		return $reply if $reply !~ /^250/;
	}
	return $reply;
}

sub rcpt {
	my ($self, $address) = @_;

	return $self->command("RCPT TO:<$address>");
}

# The message after a DATA that was let through.
sub message {
	my ($self) = @_;

	return $self->command("Subject: test\r\n\r\nOnly a test.\r\n.");
}

# A whole mail: the last reply. What was begun is given up on a refusal.
sub mail {
	my ($self, %mail) = @_;
	my $reply = $self->envelope(%mail);

	$reply = $self->command('DATA') if $reply =~ /^250/;
	$reply = $self->message if $reply =~ /^354/;
	$self->reset if $reply !~ /^2/;
	return $reply;
}

# The message in one piece without DATA (RFC 3030).
sub bdat {
	my ($self, $text, $last) = @_;

	$self->{client}->send('BDAT ' . length($text) . ($last ? ' LAST' : '') .
	    "\r\n$text") or return '';
	return $self->reply;
}

sub reset { return $_[0]->command('RSET') }

sub quit {
	my ($self) = @_;
	my $reply = $self->command('QUIT');

	$self->{client}->close;
	return $reply;
}

1;
