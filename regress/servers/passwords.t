#!/usr/bin/perl
# Another program listens where the database server should be and asks for the password by
# a method that shows it: it does not get it, unless db_insecure_auth says so or the
# connection is a UNIX socket or verified TLS.

use strict;
use warnings;

use IO::Socket::IP;
use IO::Socket::UNIX;
use Test::More;

use Database;
use File::Temp qw(tempdir);
use Policyd qw(True wait_until slurp spew);
use Smtpd;
use Trouble qw(make_user daemon ok_back);

my $secret = 'Zk31-shown-to-nobody';
my $dir = tempdir(TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;

# --- an impostor of a server ---

# One packet of MySQL's protocol, undef at the end of the connection.
sub mysql_read {
	my ($c) = @_;
	my ($head, $body) = ('', '');

	while (length $head < 4) {
		$c->sysread($head, 4 - length $head, length $head) or return;
	}
	my $len = unpack 'V', substr($head, 0, 3) . "\0";
	while (length $body < $len) {
		$c->sysread($body, $len - length $body, length $body) or return;
	}
	return ($body, ord substr $head, 3);
}

sub mysql_write {
	my ($c, $number, $body) = @_;

	$c->syswrite(substr(pack('V', length $body), 0, 3) . chr($number & 255) . $body);
}

# Lets the client in, and answers its first statement with the request for a file.
sub mysql_take {
	my ($c, $number, $note) = @_;

	mysql_write($c, $number + 1, "\0\0\0\2\0\0\0");
	my ($body) = mysql_read($c) or return;
	mysql_write($c, 1, "\xfb$dir/file");
	$note->('asked by file');
	($body) = mysql_read($c) or return $note->('no answer');
	$note->('answer ' . unpack 'H*', $body);
}

# Greets, asks for the method, and notes what the client says to that.
sub mysql_serve {
	my ($c, $method, $note, $tls) = @_;
	my $capabilities = 0x8 | 0x200 | 0x8000 | 0x80000 | ($tls ? 0x800 : 0);

	mysql_write($c, 0, "\x0a8.0.36\0" . pack('V', 7) . 'abcdefgh' . "\0" .
	    pack('v', $capabilities & 0xffff) . "\x21" . pack('v', 2) .
	    pack('v', $capabilities >> 16) . "\x15" . "\0" x 10 . "ijklmnopqrst\0" .
	    "mysql_native_password\0");
	my ($body, $number) = mysql_read($c) or return;
	if ($tls && length $body == 32) {
		$c = IO::Socket::SSL->start_SSL($c, SSL_server => 1, Timeout => 10,
		    SSL_cert_file => $tls->{file}, SSL_key_file => $tls->{keyfile}) or
		    return $note->('no TLS');
		($body, $number) = mysql_read($c) or return;
	}
	return mysql_take($c, $number, $note) if $method eq 'a file';
	mysql_write($c, $number + 1, "\xfe$method\0ABCDEFGHIJKLMNOPQRST\0");
	$note->("asked by $method");
	($body, $number) = mysql_read($c) or return $note->('no answer');
	$note->('answer ' . unpack 'H*', $body);
	# The rest of MySQL's method: it does not know the client, "\4".
	mysql_write($c, $number + 1, "\1\4");
	($body, $number) = mysql_read($c) or return $note->('no answer');
	$note->('answer ' . unpack 'H*', $body);
}

# Asks for the password in clear.
sub pgsql_serve {
	my ($c, undef, $note) = @_;
	my ($head, $bytes) = ('', '');

	for (;;) {
		$c->sysread($head, 8) or return;
		my ($len, $what) = unpack 'NN', $head;
		$c->sysread($bytes, $len - 8) if $len > 8;
		last if $what == 196608;
		$c->syswrite('N');
	}
	$c->syswrite('R' . pack 'NN', 8, 3);
	$note->('asked by password');
	$c->sysread($bytes, 1000) or return $note->('no answer');
	$note->('answer ' . unpack 'H*', $bytes);
}

my @started;
END { kill 'KILL', map { $_->{pid} } @started if @started; }

sub start_impostor {
	my ($kind, $method, %option) = @_;
	my $file = "$dir/notes-" . @started;
	my $listener = $option{path} ?
	    IO::Socket::UNIX->new(Local => $option{path}, Listen => 5) :
	    IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 5,
	    Proto => 'tcp') or die "listen: $@";
	chmod 0777, $option{path} if $option{path};
	my $self = { file => $file, port => $option{path} ? 0 : $listener->sockport };

	spew($file, '', 0600);
	defined($self->{pid} = fork) or die "fork: $!";
	if ($self->{pid} == 0) {
		my $note = sub {
			open my $out, '>>', $file;
			print $out "$_[0]\n";
			close $out;
		};
		$SIG{PIPE} = 'IGNORE';
		alarm 120;
		for (1 .. 20) {
			my $c = $listener->accept or last;
			($kind eq 'mysql' ? \&mysql_serve : \&pgsql_serve)->($c, $method, $note,
			    $option{tls});
			close $c;
		}
		POSIX::_exit(0);
	}
	push @started, $self;
	return $self;
}

# Waits until the impostor's notes have `wanted`; returns the notes.
sub learned {
	my ($kind, $method, $wanted, %option) = @_;
	my $impostor = start_impostor($kind, $method, %option);
	my $pg = $kind eq 'pgsql';
	my $d = Policyd->start(config => {
		backend => $kind,
		"${kind}_config" => { user => 'daemon', ($pg ? 'password' : 'passwd') => $secret,
		    database => 'policyd', host => '127.0.0.1', ($impostor->{port} ?
		    (port => $impostor->{port}) : ()), %{$option{config} // {}} },
		%{$option{settings} // {}},
		db_error_action => 'defer database',
		db_timeout => 1,
	});

	is($d->ask(sasl_username => 'bob'), 'defer database', "$method: no database");
	ok(wait_until { slurp($impostor->{file}) =~ $wanted }, "$method: $wanted") or
	    diag(slurp($impostor->{file}), $d->log);
	$d->ends_well;
	return slurp($impostor->{file});
}

sub shown { return qr/@{[unpack 'H*', $secret]}/ }

# --- MySQL, MariaDB ---

sub mysql {
	my $clear = 'mysql_clear_password';

	for my $method ($clear, qw(dialog caching_sha2_password sha256_password
	    mysql_old_password)) {
		my $notes = learned('mysql', $method, qr/asked .*\nno answer/);
		unlike($notes, qr/answer [0-9a-f]/, "$method: the password is not sent");
	}
	like(learned('mysql', 'mysql_native_password', qr/answer [0-9a-f]{40}\n/),
	    qr/./, 'a method that does not reveal the password is answered');
	learned('mysql', $clear, shown(), settings => { db_insecure_auth => True });
	learned('mysql', $clear, shown(), path => "$dir/mysql.sock",
	    config => { host => 'localhost', unix_socket => "$dir/mysql.sock" });
	spew("$dir/options", "[client]\nhost=127.0.0.1\n", 0644);
	my $notes = learned('mysql', $clear, qr/asked .*\nno answer/,
	    config => { host => Policyd::None, read_default_file => "$dir/options" });
	unlike($notes, qr/answer [0-9a-f]/, 'a host of an option file: nothing is answered');

	# A file of this machine, whatever an option file says.
	spew("$dir/file", $secret, 0644);
	for my $option ('', "local-infile=1\n") {
		spew("$dir/options", "[client]\n$option", 0644);
		unlike(learned('mysql', 'a file', qr/asked .*\n(?:no )?answer/,
		    config => { read_default_file => "$dir/options" }), shown(),
		    "no file is sent: $option");
	}

	my $ca = Smtpd::certificate($dir, 'ca', ca => 1);
	my $tls = Smtpd::certificate($dir, 'server', issuer => $ca, name => 'localhost',
	    san => [[DNS => 'localhost'], [IP => '127.0.0.1']]);
	$notes = learned('mysql', $clear, qr/asked .*\nno answer/, tls => $tls,
	    config => { ssl_mode => 'REQUIRED' });
	unlike($notes, qr/answer [0-9a-f]/, 'TLS without a check of the certificate: refused');
	learned('mysql', $clear, shown(), tls => $tls, config => { ssl => { ca => $ca->{file} } });
}

# --- PostgreSQL ---

sub pgsql {
	my ($version) = `pg_config --version` =~ /(\d+)/;

	if ($version >= 16) {
		unlike(learned('pgsql', 'password', qr/asked .*\nno answer/),
		    qr/answer [0-9a-f]/, 'the password is not sent');
		learned('pgsql', 'password', shown(), config => { require_auth => 'password' });
		learned('pgsql', 'password', shown(), settings => { db_insecure_auth => True });
	}
	mkdir "$dir/sockets", 0755;
	learned('pgsql', 'password', shown(), path => "$dir/sockets/.s.PGSQL.5432",
	    config => { host => "$dir/sockets" });
	my $db = Database->start('pgsql');
	make_user($db);
	my $d = daemon($db)->start;
	my $words = qr/before 16.*UNIX socket or sslmode=verify-full/;
	ok_back($d, 'by TCP');
	$version >= 16 ? unlike($d->log, $words, 'nothing to warn about') :
	    like($d->log, $words, 'this libpq cannot refuse, which is warned about');
	$d->ends_well;
	for my $trusted ([pgsql_config => { %{{ $db->config }->{pgsql_config}},
	    user => 'daemon', password => $Trouble::secret, host => $db->{dir} }],
	    [db_insecure_auth => True]) {
		$d = daemon($db, @$trusted)->start;
		ok_back($d, "$trusted->[0]");
		unlike($d->log, $words, 'no warning is logged');
		$d->ends_well;
	}
	$db->stop;
}

my %tests = (mysql => \&mysql, pgsql => \&pgsql);
Smtpd->needed;
for my $kind (@ARGV ? @ARGV : qw(pgsql mysql)) {
	Database->needed($kind);
	subtest $kind => $tests{$kind};
}
done_testing();
