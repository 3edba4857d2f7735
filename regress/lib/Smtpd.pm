package Smtpd;

# An SMTP server that does as it is told, its misbehaviour included: a process of its
# own on a loopback port, one connection after the other.
#
#	my $s = Smtpd->start(tls => 'starttls', cert => $cert, reply => { RCPT => '550 no' });
#	... what sends a mail to $s->port ...
#	my ($mail) = $s->mails;
#	like($s->transcript, qr/^C: MAIL FROM:/m);
#
# options:
#   host	where it listens, 127.0.0.1
#   tls		none (default), 'starttls' or 'tls'
#   cert	[certificate file, key file]
#   auth	list of mechanisms: PLAIN, LOGIN, CRAM-MD5; user, password
#   offer	lines of EHLO besides
#   reply	step => its reply (a list: one for each time, the last for the rest; a
#		reply of several lines holds \n)
#   cut		the step at which the connection is closed without an answer
#   after	step => bytes sent right behind its reply
#   pieces	true: every byte in a packet of its own
#   silent	the step that is never answered
#   hold	the step that is answered only after release()
# steps: greeting, EHLO, HELO, STARTTLS, handshake, AUTH, AUTH2, AUTH3, MAIL, RCPT, DATA,
# BODY, QUIT

use strict;
use warnings;

use Carp qw(croak);
use Digest::MD5 qw(md5);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Socket::IP;
use MIME::Base64;
use POSIX qw(:sys_wait_h);
use Socket qw(IPPROTO_TCP TCP_NODELAY);

use Policyd qw(wait_until need slurp spew);

my @started;
my $owner = $$;

sub needed {
	need(eval { require IO::Socket::SSL; require IO::Socket::SSL::Utils; 1 },
	    'IO::Socket::SSL is not installed');
}

# --- certificates ---

# A key, a certificate of it: { cert, key } of IO::Socket::SSL::Utils, and their files.
# options: name (common name), san [[DNS => ...], [IP => ...]], issuer (another of these;
# none: by itself), ca, begin and end (seconds from now)
sub certificate {
	my ($dir, $file, %option) = @_;
	my $key = IO::Socket::SSL::Utils::KEY_create_ec();
	my ($cert) = IO::Socket::SSL::Utils::CERT_create(
		subject => { commonName => $option{name} // $file },
		key => $key,
		serial => int(rand(2**31)),
		version => 2,
		not_before => time + ($option{begin} // -86400),
		not_after => time + ($option{end} // 86400),
		$option{san} ? (subjectAltNames => $option{san}) : (),
		$option{issuer} ? (issuer => [@{$option{issuer}}{qw(cert key)}]) : (),
		CA => $option{ca} ? 1 : 0,
		$option{ca} ? () : (purpose => 'server'),
	);
	my %self = (cert => $cert, key => $key, file => "$dir/$file.pem",
	    keyfile => "$dir/$file.key");
	spew($self{file}, IO::Socket::SSL::Utils::PEM_cert2string($cert), 0644);
	spew($self{keyfile}, IO::Socket::SSL::Utils::PEM_key2string($key), 0600);
	return \%self;
}

# --- for the test ---

sub start {
	my ($class, %option) = @_;
	my $self = bless { host => '127.0.0.1', tls => 'none', user => 'alice',
	    password => 'secret', %option }, $class;

	$self->{dir} = tempdir('smtpd-XXXXXXXX', TMPDIR => 1);
	$self->{listener} = IO::Socket::IP->new(LocalHost => $self->{host},
	    LocalPort => $self->{listen_port} // 0, Listen => 5, Proto => 'tcp', ReuseAddr => 1)
	    or croak "listen: $@";
	$self->{port} = $self->{listener}->sockport;
	defined(my $pid = fork) or croak "fork: $!";
	if ($pid == 0) {
		$SIG{TERM} = 'DEFAULT';
		$SIG{PIPE} = 'IGNORE';
		eval { $self->serve_all; 1 } or warn "smtpd: $@";
		POSIX::_exit(1);
	}
	close delete $self->{listener};
	$self->{pid} = $pid;
	push @started, $self;
	return $self;
}

# Waits until it holds; then, lets go.
sub holds {
	my ($self) = @_;

	return wait_until { $self->transcript =~ /^X: hold/m };
}

sub release { spew("$_[0]{dir}/release", '') }

sub port { return $_[0]{port} }
sub transcript { return slurp("$_[0]{dir}/transcript") }

# The mails that were taken: { from, to => [...], data }.
sub mails {
	my ($self) = @_;

	return map {
		my ($head, $data) = split /\n\n/, slurp($_), 2;
		my ($from, @to) = split /\n/, $head;
		{ from => $from, to => \@to, data => $data };
	} sort glob("$self->{dir}/mail.*");
}

sub stop {
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;

	kill 'TERM', $pid;
	waitpid($pid, 0);
}

END {
	my $status = $?;
	if ($$ == $owner) {
		for (@started) {
			$_->stop;
			remove_tree($_->{dir}) if !$ENV{POLICYD_KEEP};
		}
	}
	$? = $status;
}

# --- in the process ---

sub serve_all {
	my ($self) = @_;

	while (my $c = $self->{listener}->accept) {
		$self->{c} = $c;
		setsockopt($c, IPPROTO_TCP, TCP_NODELAY, 1);
		$self->{secure} = 0;
		$self->{in} = '';
		$self->{count} = {};
		eval { $self->session; 1 } or $self->note('E: ' . ($@ =~ s/\n.*//sr));
		eval { $self->{c}->close };
	}
}

sub note {
	my ($self, $line) = @_;

	open my $fh, '>>:raw', "$self->{dir}/transcript" or die "transcript: $!\n";
	print $fh "$line\n";
	close $fh;
}

sub put {
	my ($self, $bytes) = @_;

	for my $piece ($self->{pieces} ? split(//, $bytes) : $bytes) {
		my $n = syswrite $self->{c}, $piece;
		die "the client is gone\n" if !defined $n;
	}
}

sub line {
	my ($self) = @_;

	while ($self->{in} !~ /\n/) {
		my $n = sysread $self->{c}, $self->{in}, 65536, length $self->{in};
		die "the client closed\n" if !$n;
	}
	$self->{in} =~ s/\A(.*?)\r?\n//s;
	return $1;
}

# Answers; false when the answer was a refusal. What else is done when it is none is
# done before: who has the answer may look for it at once.
sub answer {
	my ($self, $step, $text, $take) = @_;

	if (($self->{cut} // '') eq $step) {
		$self->note("X: cut at $step");
		die "cut\n";
	}
	if (($self->{silent} // '') eq $step) {
		$self->note("X: silent at $step");
		sysread $self->{c}, my $rest, 1;
		die "silent\n";
	}
	if (($self->{hold} // '') eq $step) {
		$self->note("X: hold at $step");
		wait_until { -e "$self->{dir}/release" };
	}
	my $other = $self->{reply}{$step};
	if (ref $other) {
		my $n = $self->{count}{$step}++;
		$other = $other->[$n < @$other ? $n : -1];
	}
	$text = $other if defined $other;
	my @lines = split /\n/, $text;
	for my $i (0 .. $#lines - 1) {
		$lines[$i] =~ s/\A(\d{3})[ ]?/$1-/;
	}
	$self->note("S: $_") for @lines;
	$take->() if $take && $text =~ /\A2/;
	$self->put(join('', map { "$_\r\n" } @lines) . ($self->{after}{$step} // ''));
	return $text =~ /\A[23]/;
}

sub begin_tls {
	my ($self) = @_;

	if (($self->{cut} // '') eq 'handshake') {
		$self->note('X: cut at handshake');
		die "cut\n";
	}
	my $c = IO::Socket::SSL->start_SSL($self->{c}, SSL_server => 1,
	    SSL_cert_file => $self->{cert}{file}, SSL_key_file => $self->{cert}{keyfile},
	    SSL_version => $self->{version} // 'SSLv23:!SSLv3:!SSLv2',
	    SSL_cipher_list => $self->{ciphers} // 'DEFAULT');
	die 'TLS: ' . IO::Socket::SSL::errstr() . "\n" if !$c;
	$self->{c} = $c;
	$self->{secure} = 1;
	$self->{in} = '';
	$self->note('T: ' . $c->get_sslversion . ' ' . ($c->get_servername // ''));
}

my %verb = (
	EHLO => \&on_ehlo,
	HELO => sub { $_[0]->answer('HELO', '250 mail.example.test') },
	STARTTLS => \&on_starttls,
	AUTH => \&on_auth,
	MAIL => \&on_mail,
	RCPT => \&on_rcpt,
	DATA => \&on_data,
	QUIT => sub { $_[0]->answer('QUIT', '221 bye'); die "quit\n" },
);

sub session {
	my ($self) = @_;

	$self->begin_tls if $self->{tls} eq 'tls';
	$self->note('X: connected');
	$self->answer('greeting', '220 mail.example.test ESMTP');
	for (;;) {
		my $line = $self->line;
		my ($word) = $line =~ /\A(\w+)/;
		$self->note("C: $line");
		my $on = $verb{uc($word // '')};
		if ($on) {
			$on->($self, $line);
		} else {
			$self->answer('other', '500 what?');
		}
	}
}

sub on_ehlo {
	my ($self) = @_;
	my @offers = @{$self->{offer} // ['SIZE 10000000']};

	push @offers, 'STARTTLS' if $self->{tls} eq 'starttls' && !$self->{secure};
	push @offers, "AUTH @{$self->{auth}}" if $self->{auth};
	$self->answer('EHLO', join "\n", map { "250 $_" } 'mail.example.test', @offers);
}

sub on_starttls {
	my ($self) = @_;

	if ($self->answer('STARTTLS', '220 go on')) {
		# Nothing may have come behind the command in clear.
		$self->note('E: bytes before TLS') if $self->{in} ne '';
		$self->begin_tls;
	}
}

sub challenge {
	my ($self, $step, $text) = @_;

	$self->answer($step, '334 ' . encode_base64($text, '')) or return undef;
	my $line = $self->line;
	$self->note("C: $line");
	return decode_base64($line) if $line ne '*';
	$self->answer('cancelled', '501 cancelled');
	return undef;
}

sub hmac_md5 {
	my ($key, $text) = @_;

	$key = md5($key) if length $key > 64;
	$key .= "\0" x (64 - length $key);
	return md5(($key ^ "\x5c" x 64) . md5(($key ^ "\x36" x 64) . $text));
}

sub on_auth {
	my ($self, $line) = @_;
	my (undef, $kind, $initial) = split ' ', $line;
	my ($user, $password) = @$self{qw(user password)};
	my $good;

	return $self->answer('AUTH', '504 unknown')
	    if !grep { $_ eq $kind } @{$self->{auth} // []};
	return $self->answer('AUTH', '') if defined $self->{reply}{AUTH} ||
	    grep { ($self->{$_} // '') eq 'AUTH' } qw(cut silent);
	if ($kind eq 'PLAIN') {
		my $got = defined $initial ? decode_base64($initial) :
		    $self->challenge('AUTH2', '');
		return if !defined $got;
		$good = $got eq "\0$user\0$password";
	} elsif ($kind eq 'LOGIN') {
		my $got = $self->challenge('AUTH2', 'User Name');
		return if !defined $got;
		my $secret = $self->challenge('AUTH3', 'Password');
		return if !defined $secret;
		$good = $got eq $user && $secret eq $password;
	} else {
		my $text = '<1896.697170952@mail.example.test>';
		my $got = $self->challenge('AUTH2', $text);
		return if !defined $got;
		$good = $got eq "$user " . unpack('H*', hmac_md5($password, $text));
	}
	$self->{known} = $good;
	$self->answer('AUTH9', $good ? '235 welcome' : '535 5.7.8 no such user');
}

sub on_mail {
	my ($self, $line) = @_;

	return $self->answer('MAIL', '530 log in first')
	    if $self->{auth} && !$self->{known};
	($self->{from}) = $line =~ /<(.*?)>/;
	$self->{to} = [];
	$self->answer('MAIL', '250 ok');
}

sub on_rcpt {
	my ($self, $line) = @_;
	my ($to) = $line =~ /<(.*?)>/;

	push @{$self->{to}}, $to if $self->answer('RCPT', '250 ok');
}

sub on_data {
	my ($self) = @_;
	my $data = '';

	return if !$self->answer('DATA', '354 go on');
	for (;;) {
		my $line = $self->line;
		last if $line eq '.';
		$line =~ s/\A\.//;
		$data .= "$line\n";
	}
	$self->note('C: (mail)');
	$self->answer('BODY', '250 taken', sub { $self->take($data) });
}

sub take {
	my ($self, $data) = @_;
	my $n = () = glob("$self->{dir}/mail.*");

	spew(sprintf('%s/new.%d', $self->{dir}, $n),
	    join("\n", $self->{from}, @{$self->{to}}) . "\n\n$data");
	rename sprintf('%s/new.%d', $self->{dir}, $n),
	    sprintf('%s/mail.%04d', $self->{dir}, $n);
}

1;
