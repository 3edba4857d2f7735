package Policyd;

# The whole program under test: a daemon of its own in a directory of its own, asked
# over its sockets as Postfix asks. Nothing is waited for by time alone, only for a
# condition until a deadline; nothing is stopped but by the pid that was started here.
#
#	my $d = Policyd->start(config => { limits => [[2, 60]] });
#	is($d->ask(sasl_username => 'bob'), 'dunno');
#	$d->ok_alive;
#
# Values of the configuration are Perl's; a reference to a string is written as it is
# (\'True', \'None'), a string that looks like a number is a number unless it is
# given as \"'123'".

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use Exporter qw(import);
use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Handle;
use POSIX qw(:sys_wait_h);
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6 IPPROTO_TCP TCP_NODELAY);
use Test::More ();
use Time::HiRes qw(time sleep);

use Policyd::Client;

our @EXPORT_OK = qw(wait_until need request free_port literal have_command
    True False None freeze slurp spew children_of process_alive status_of as_root
    $root);

our $root = abs_path(dirname(__FILE__) . '/../..');

# What a test makes is read by others, whatever the shell's is.
umask 022;

# What things may take at most; a machine under load is slow, never wrong.
our $patience = $ENV{POLICYD_PATIENCE} || 30;

sub True () { \'True' }
sub False () { \'False' }
sub None () { \'None' }

my %running;		# pid => 1, started here and not yet reaped
my @cleanup;		# directories
my @reserved;		# sockets, for their ports
my $owner = $$;

# --- conditions ---

# Calls the code until it returns something true, which is returned; undef after the
# deadline. The pause between is no synchronisation, only a courtesy to the processor.
sub wait_until (&;$) {
	my ($code, $seconds) = @_;
	my $end = time + ($seconds // $patience);
	my $pause = 0.002;

	for (;;) {
		my $result = $code->();
		return $result if $result;
		return undef if time > $end;
		sleep $pause;
		$pause *= 1.5 if $pause < 0.05;
	}
}

# Without what the test needs it is skipped with the reason; with CI=true, where
# everything is to be there, that is a failure.
sub need {
	my ($there, $reason) = @_;

	return 1 if $there;
	if (($ENV{CI} // '') eq 'true') {
		Test::More::fail("needed: $reason");
		Test::More::done_testing();
		exit 1;
	}
	Test::More::plan(skip_all => $reason);
}

sub have_command {
	my ($name) = @_;

	for my $dir (split(/:/, $ENV{PATH} // ''), '/usr/sbin', '/sbin') {
		return "$dir/$name" if -x "$dir/$name" && -f _;
	}
	return undef;
}

sub as_root { return $> == 0 }

# --- small things ---

sub slurp {
	my ($file) = @_;

	open my $fh, '<:raw', $file or return '';
	local $/;
	return scalar(<$fh>) // '';
}

sub spew {
	my ($file, $text, $mode) = @_;

	open my $fh, '>:raw', $file or croak "$file: $!";
	print $fh $text;
	close $fh or croak "$file: $!";
	chmod $mode, $file if defined $mode;
}

# A TCP port that nobody has, nor is given before this process ends: to Linux a socket
# that is bound and does not listen is in the way of those only who do not ask for the
# port by its number, as servers do (SO_REUSEADDR), such as another test's free_port.
sub free_port {
	my ($family) = @_;
	my $s;

	$family //= AF_INET;
	socket($s, $family, SOCK_STREAM, 0) or return undef;
	my $any = $family == AF_INET ? pack_sockaddr_in(0, INADDR_LOOPBACK) :
	    pack_sockaddr_in6(0, inet_pton(AF_INET6, '::1'));
	bind($s, $any) or return undef;
	my ($port) = $family == AF_INET ? unpack_sockaddr_in(getsockname $s) :
	    Socket::unpack_sockaddr_in6(getsockname $s);
	push @reserved, $s
	    if $^O eq 'linux' && setsockopt $s, SOL_SOCKET, SO_REUSEADDR, 1;
	return $port;
}

# A value as the configuration file says it.
sub literal {
	my ($value) = @_;
	my $kind = ref $value;

	return 'None' if !defined $value;
	return $$value if $kind eq 'SCALAR' || $kind eq 'REF';
	return '[' . join(', ', map { literal($_) } @$value) . ']' if $kind eq 'ARRAY';
	return '{' . join(', ', map { quoted($_) . ': ' . literal($value->{$_}) }
	    sort keys %$value) . '}' if $kind eq 'HASH';
	return $value if $value =~ /\A-?\d+(?:\.\d+)?\z/;
	return quoted($value);
}

sub quoted {
	my ($text) = @_;

	$text =~ s/([\\"])/\\$1/g;
	$text =~ s/\n/\\n/g;
	return "\"$text\"";
}

# The bytes of a request as Postfix 3.7 sends it; an attribute given as undef is left
# out, one that is new comes last.
my @attributes = (
	request => 'smtpd_access_policy',
	protocol_state => 'DATA',
	protocol_name => 'ESMTP',
	client_address => '192.0.2.1',
	client_name => 'client.example.net',
	client_port => '40404',
	reverse_client_name => 'client.example.net',
	server_address => '192.0.2.25',
	server_port => '25',
	helo_name => 'client.example.net',
	sender => 'sender@example.org',
	recipient => 'recipient@example.net',
	recipient_count => '1',
	queue_id => '4ZLqQ1r9z1k',
	instance => undef,
	size => '1024',
	etrn_domain => '',
	stress => '',
	sasl_method => 'plain',
	sasl_username => '',
	sasl_sender => '',
	ccert_subject => '',
	ccert_issuer => '',
	ccert_fingerprint => '',
	ccert_pubkey_fingerprint => '',
	encryption_protocol => 'TLSv1.3',
	encryption_cipher => 'TLS_AES_256_GCM_SHA384',
	encryption_keysize => '256',
	policy_context => '',
);

my $sequence = 0;

sub request {
	my %given = @_;
	my $bytes = '';
	my $left;

	if (!exists $given{instance}) {
		my $now = time;
		$given{instance} = sprintf '%x.%x.%x.%x', $$, int($now),
		    ($now - int($now)) * 1_000_000, $sequence++;
	}
	for (my $i = 0; $i < @attributes; $i += 2) {
		my ($name, $value) = @attributes[$i, $i + 1];
		$value = delete $given{$name} if exists $given{$name};
		$bytes .= "$name=$value\n" if defined $value;
	}
	for my $name (sort keys %given) {
		$bytes .= "$name=$given{$name}\n" if defined $given{$name};
	}
	return $bytes . "\n";
}

# --- processes ---

sub process_alive {
	my ($pid) = @_;
	my $state;

	return 0 if !$pid || !kill(0, $pid);
	# A zombie is nobody.
	if (open my $fh, '<', "/proc/$pid/stat") {
		$state = $1 if (<$fh> // '') =~ /\)\s+(\S)/;
		return 0 if defined $state && ($state eq 'Z' || $state eq 'X');
	}
	return 1;
}

# Stops processes; returns when none of their threads runs any more.
sub freeze {
	my (@pids) = @_;

	kill 'STOP', @pids;
	return if !-d '/proc/self/task';
	wait_until {
		for my $file (map { glob "/proc/$_/task/*/stat" } @pids) {
			open my $fh, '<', $file or next;
			return 0 if (<$fh> // ') Z ') !~ /\) [TtZX] /;
		}
		return 1;
	} or croak('still running after SIGSTOP');
}

# name => [pids] of the children of a process.
sub children_of {
	my ($parent) = @_;
	my %found;

	if (-d '/proc/self') {
		opendir my $dir, '/proc' or return {};
		for my $pid (grep { /^\d+$/ } readdir $dir) {
			open my $fh, '<', "/proc/$pid/stat" or next;
			my $line = <$fh> // '';
			my ($name, $state, $ppid) = $line =~ /^\d+ \((.*)\) (\S) (\d+)/s
			    or next;
			next if $ppid != $parent || $state eq 'Z';
			push @{$found{$name}}, $pid;
		}
	} else {
		for (split /\n/, `ps -axo pid=,ppid=,comm=`) {
			my ($pid, $ppid, $name) = /^\s*(\d+)\s+(\d+)\s+(.*?)\s*$/ or next;
			$name =~ s{.*/}{};
			push @{$found{$name}}, $pid if $ppid == $parent;
		}
	}
	return \%found;
}

# The lines of /proc/PID/status as a hash.
sub status_of {
	my ($pid) = @_;

	return { slurp("/proc/$pid/status") =~ /^(\w+):[ \t]*(.*?)[ \t]*$/mg };
}

# The numeric ids of who the children are to be.
sub nobody {
	my (undef, undef, $uid, $gid) = getpwnam('nobody');

	return ($uid // 65534, $gid // 65534);
}

# --- the daemon ---

sub built { return "$root/build/policyd-rate-limit" }

sub program { return $ENV{POLICYD_PROGRAM} || built() }

# Whether users without rights reach what was built.
sub build_is_open {
	for (my $dir = $root; $dir ne '/'; $dir = dirname($dir)) {
		return 0 if !((stat $dir)[2] & 01);
	}
	return 1;
}

# Copies that every user reaches. This parent looks for its children in libexec, where it
# is started.
sub copy_build {
	my ($self) = @_;
	my $parent = "$root/build/regress/fault/policyd-rate-limit";

	return if !-x $parent;
	mkdir "$self->{dir}/libexec" or croak "libexec: $!";
	for my $file ($parent, glob "$root/build/libexec/*") {
		my $copy = $file eq $parent ? 'program' : 'libexec/' . basename($file);
		copy($file, "$self->{dir}/$copy") or croak "$copy: $!";
		chmod 0755, "$self->{dir}/$copy";
	}
	$self->{program} = "$self->{dir}/program";
	$self->{start_in} = $self->{dir};
}

# options:
#   config	hash of settings over those that a test needs, or the text of a file,
#		in which @dir@ is the directory
#   syntax	conf (default) or yaml, for a text
#   listen	'unix' (default), 'tcp', 'tcp6' or a list of these
#   args	further options of the command line
#   environment	hash, over the test's own
#   as		a user to start it as instead of root
#   limits	hash of resource limits for the shell's ulimit: { n => 64 }
#   dir		of another daemon, to share its files
#   program	another than the one that was built
sub new {
	my ($class, %option) = @_;
	my $self = bless { %option }, $class;

	if (!defined $self->{dir}) {
		$self->{dir} = abs_path(tempdir('policyd-XXXXXXXX', TMPDIR => 1));
		push @cleanup, $self->{dir};
		# The children may be another user than the test.
		chmod 0755, $self->{dir};
		if (defined $self->{as}) {
			my ($uid, $gid) = (getpwnam $self->{as})[2, 3];
			chown $uid, $gid, $self->{dir};
			$self->copy_build if ($self->{program} // program()) eq built() &&
			    !build_is_open();
		}
	}
	$self->{name} //= 'policyd';
	$self->{logfile} = "$self->{dir}/$self->{name}.log";
	$self->{endpoints} = $self->choose_endpoints;
	$self->write_config;
	return $self;
}

sub start {
	my ($class, %option) = @_;
	my $self = ref $class ? $class : $class->new(%option);

	$self->launch;
	if (!wait_until { $self->told(qr/^READY=1$/m) && $self->ready || !$self->running }) {
		$self->explain;
		croak 'the daemon did not become ready';
	}
	if (!$self->running) {
		$self->explain;
		croak 'the daemon ended at its start';
	}
	return $self;
}

sub choose_endpoints {
	my ($self) = @_;
	my @endpoints;
	my $n = 0;

	for my $kind (ref $self->{listen} ? @{$self->{listen}} : $self->{listen} // 'unix') {
		if ($kind eq 'unix') {
			my $name = $n++ ? "policy$n" : 'policy';
			push @endpoints, "$self->{dir}/sock/$name";
		} elsif ($kind eq 'tcp') {
			push @endpoints, ['127.0.0.1', free_port(AF_INET)];
		} elsif ($kind eq 'tcp6') {
			push @endpoints, ['::1', free_port(AF_INET6)];
		} else {
			push @endpoints, $kind;
		}
	}
	return \@endpoints;
}

# The settings that keep a daemon under test inside its directory.
sub settings {
	my ($self) = @_;
	my %all = (
		debug => True,
		SOCKET => @{$self->{endpoints}} == 1 ? $self->{endpoints}[0] :
		    $self->{endpoints},
		pidfile => $self->pidfile,
		control_socket => "$self->{dir}/ctl/control",
		sqlite_config => { database => "$self->{dir}/db/db.sqlite3" },
		# A disk may stand still for seconds.
		db_timeout => 20,
	);
	($all{user}, $all{group}) = user_names() if as_root();

	my $given = ref $self->{config} ? $self->{config} : {};
	for my $name (keys %$given) {
		if (ref $given->{$name} eq 'SCALAR' && ${$given->{$name}} eq 'DEFAULT') {
			delete $all{$name};
		} else {
			$all{$name} = $given->{$name};
		}
	}
	return \%all;
}

sub user_names {
	my ($uid, $gid) = nobody();

	return (scalar(getpwuid $uid) // 'nobody', scalar(getgrgid $gid) // 'nogroup');
}

# Writes the configuration anew, for a reload with what changed.
sub write_config {
	my ($self, $config) = @_;
	my $text;

	if (ref $config && ref $self->{config}) {
		$self->{config} = { %{$self->{config}}, %$config };
	} elsif (defined $config) {
		$self->{config} = $config;
	}
	if (defined $self->{config} && !ref $self->{config}) {
		($text = $self->{config}) =~ s/\@dir\@/$self->{dir}/g;
	} else {
		my $all = $self->settings;
		$text = join '', map { "$_ = " . literal($all->{$_}) . "\n" } sort keys %$all;
	}
	$self->{file} = "$self->{dir}/$self->{name}." . ($self->{syntax} // 'conf');
	# Put in place whole, so that a reload never reads half of it.
	spew("$self->{file}.new", $text, 0644);
	rename "$self->{file}.new", $self->{file} or croak "$self->{file}: $!";
}

sub command {
	my ($self, @args) = @_;

	return ($self->{program} // program(), '-f', $self->{file}, @{$self->{args} // []}, @args);
}

# The process that runs the command, its output in the files given.
sub spawn {
	my ($self, $stdout, $stderr, @command) = @_;

	defined(my $pid = fork) or croak "fork: $!";
	if ($pid == 0) {
		%running = ();
		@cleanup = ();
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', $stdout or POSIX::_exit(126);
		open STDERR, '>>', $stderr or POSIX::_exit(126);
		my $environment = { NOTIFY_SOCKET => undef, SUDO_UID => undef,
		    %{$self->{environment} // {}} };
		for (keys %$environment) {
			if (defined $environment->{$_}) {
				$ENV{$_} = $environment->{$_};
			} else {
				delete $ENV{$_};
			}
		}
		chdir $self->{start_in} if defined $self->{start_in};
		$self->{prepare}->() if $self->{prepare};
		if (defined $self->{as}) {
			my ($uid, $gid) = (getpwnam $self->{as})[2, 3];
			$) = "$gid $gid";
			POSIX::setgid($gid);
			POSIX::setuid($uid);
			POSIX::_exit(125) if $> != $uid || $< != $uid;
		}
		if ($self->{limits}) {
			my $ulimit = join ' && ', map { "ulimit -$_ $self->{limits}{$_}" }
			    sort keys %{$self->{limits}};
			@command = ('/bin/sh', '-c', "$ulimit && exec \"\$@\"", 'sh',
			    @command);
		}
		{ no warnings 'exec'; exec { $command[0] } @command; }
		print STDERR "$command[0]: $!\n";
		POSIX::_exit(127);
	}
	$running{$pid} = 1;
	return $pid;
}

sub launch {
	my ($self, @args) = @_;

	delete $self->{status};
	$self->listen_for_notices;
	local $self->{environment} = { NOTIFY_SOCKET => "$self->{dir}/$self->{name}.notify",
	    %{$self->{environment} // {}} };
	$self->{pid} = $self->spawn($self->{logfile}, $self->{logfile},
	    $self->command(@args));
	return $self->{pid};
}

# The daemon says by sd_notify(3) when it is ready; nothing else tells so exactly.
sub listen_for_notices {
	my ($self) = @_;
	my $path = "$self->{dir}/$self->{name}.notify";

	unlink $path;
	socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or croak "socket: $!";
	bind($socket, pack_sockaddr_un($path)) or croak "$path: $!";
	chmod 0777, $path;
	$socket->blocking(0);
	$self->{notify} = $socket;
	$self->{told} = '';
}

# What it says is read as a service manager reads it, always: where nobody does, the
# parent waits a while with each notice.
sub hear {
	my ($self) = @_;
	my $text;

	return if !$self->{notify};
	$self->{told} .= "$text\n" while defined recv($self->{notify}, $text, 4096, 0);
}

# Whether it has said so since it was launched.
sub told {
	my ($self, $pattern) = @_;

	$self->hear;
	return $self->{told} =~ $pattern;
}

# Runs the program to its end: (exit status, stdout, stderr). A status of undef: it
# had to be killed at the deadline.
sub run {
	my ($self, @args) = @_;

	return $self->run_command($self->command(@args));
}

sub run_command {
	my ($self, @command) = @_;
	my $out = File::Temp->new(DIR => $self->{dir});
	my $err = File::Temp->new(DIR => $self->{dir});
	my $pid = $self->spawn("$out", "$err", @command);
	my $status = reap($pid);

	if (!defined $status) {
		kill 'KILL', $pid;
		reap($pid);
	}
	return (defined $status ? exit_status($status) : undef, slurp("$out"), slurp("$err"));
}

sub exit_status {
	my ($status) = @_;

	return $status & 127 ? 'signal ' . ($status & 127) : $status >> 8;
}

sub reap {
	my ($pid, $seconds) = @_;
	my $status;

	wait_until { my $got = waitpid($pid, WNOHANG);
	    $status = $? if $got == $pid; $got != 0 } $seconds;
	delete $running{$pid} if defined $status;
	return $status;
}

# Whether the parent process runs; reaps it when it does not.
sub running {
	my ($self) = @_;

	return 0 if !$self->{pid} || defined $self->{status};
	if (waitpid($self->{pid}, WNOHANG) == $self->{pid}) {
		$self->{status} = exit_status($?);
		delete $running{$self->{pid}};
		return 0;
	}
	return 1;
}

# Whether it takes a connection on its first endpoint and answers there. One that ends
# closes the connection; one that is slow is not asked twice.
sub ready {
	my ($self) = @_;
	my $client = $self->connect_quietly or return 0;
	# No stage and no identity: decided without being recorded.
	my $answer = $client->ask_bytes("request=smtpd_access_policy\n\n", 10);

	return defined $answer;
}

sub alive {
	my ($self) = @_;

	return $self->running && wait_until { $self->ready };
}

sub ok_alive {
	my ($self, $name) = @_;
	my $ok = Test::More::ok($self->alive, $name // 'the daemon still lives');

	$self->explain if !$ok;
	return $ok;
}

# What every test ends with: it still lives and answers, and stops as it should.
sub ends_well {
	my ($self) = @_;

	$self->ok_alive or return 0;
	return Test::More::is($self->stop, 0, 'and stops with status 0');
}

sub explain {
	my ($self) = @_;
	my @lines = split /\n/, $self->log;

	splice @lines, 0, @lines - 40 if @lines > 40;
	Test::More::diag("status: $self->{status}") if defined $self->{status};
	Test::More::diag('log of the daemon:', map { "\n  $_" } @lines);
}

sub signal {
	my ($self, $signal) = @_;

	return kill $signal, $self->{pid};
}

# SIGTERM, or another; the exit status, "signal N", or undef when it had to be killed.
sub stop {
	my ($self, $signal) = @_;

	# A role that died of its sandbox was started again, and the test went on.
	Test::More::fail('no role made a call that its sandbox forbids')
	    if !$self->{attacked} && $self->log =~ /sandbox: forbidden system call/;
	return $self->{status} if !$self->running;
	$self->signal($signal // 'TERM');
	return $self->wait_end;
}

sub wait_end {
	my ($self, $seconds) = @_;

	wait_until { $self->hear; !$self->running } $seconds;
	return $self->{status} if defined $self->{status};
	$self->signal('KILL');
	wait_until { !$self->running };
	return undef;
}

sub restart {
	my ($self) = @_;

	$self->stop;
	return $self->start;
}

# name => pid of the processes under the parent.
sub children {
	my ($self) = @_;
	my $all = children_of($self->{pid});

	return { map { $_ => $all->{$_}[0] } keys %$all };
}

# The pid of a child, waited for; `not` is a pid that it must not have any more.
sub child {
	my ($self, $name, $not) = @_;

	return wait_until {
		my $pid = $self->children->{$name};
		$pid && (!$not || $pid != $not) ? $pid : 0;
	};
}

sub dir { return $_[0]{dir} }
sub pid { return $_[0]{pid} }
sub pidfile { return $_[0]{pidfile} // "$_[0]{dir}/pid/$_[0]{name}.pid" }
sub database { return "$_[0]{dir}/db/db.sqlite3" }
sub control { return "$_[0]{dir}/ctl/control" }
sub endpoint { return $_[0]{endpoints}[$_[1] // 0] }

# --- the log ---

sub log { return slurp($_[0]{logfile}) }

# How long the log is now, for log_since and wait_log.
sub log_mark { return -s $_[0]{logfile} // 0 }

sub log_since {
	my ($self, $mark) = @_;

	return substr($self->log, $mark // 0);
}

sub wait_log {
	my ($self, $pattern, $mark, $seconds) = @_;

	return wait_until { $self->hear; $self->log_since($mark) =~ $pattern } $seconds;
}

# --- asking ---

# A connection to an endpoint (default: the first); croaks when there is none.
sub connect {
	my ($self, $endpoint) = @_;

	return $self->connect_quietly($endpoint) // croak "connect: $!";
}

sub connect_quietly {
	my ($self, $endpoint) = @_;

	return Policyd::Client->new($endpoint // $self->endpoint, $patience);
}

# One request on a connection that is kept open; the action, or undef when it was
# closed without an answer.
sub ask {
	my ($self, %attributes) = @_;
	my $client = $self->{client};

	if (!$client || $client->{pid} != ($self->{pid} // 0)) {
		$client = $self->{client} = $self->connect;
		$client->{pid} = $self->{pid} // 0;
	}
	my $answer = $client->ask_bytes(request(%attributes));
	delete $self->{client} if !defined $answer;
	return $answer;
}

# --- the database ---

# Rows as lists of columns; NULL is the empty string.
sub sql {
	my ($self, $query, $database) = @_;

	$database //= $self->database;
	open my $fh, '-|', 'sqlite3', '-batch', '-separator', "\x1f", '-cmd',
	    '.timeout 10000', $database, $query or croak "sqlite3: $!";
	my @rows = map { chomp; [split /\x1f/, $_, -1] } <$fh>;
	close $fh or croak "sqlite3: $query: status $?";
	return @rows;
}

# The sum that the tables hold for an id, as an administrator's query sees it.
sub recorded {
	my ($self, $id) = @_;

	(my $quoted = $id) =~ s/'/''/g;
	my ($row) = $self->sql('SELECT COALESCE(SUM(recipient_count), 0) FROM mail_count' .
	    " WHERE id = '$quoted'");
	return $row->[0];
}

# --- the end ---

sub end_all {
	return if $$ != $owner;
	my @pids = keys %running;
	my @below = map { map { @$_ } values %{children_of($_)} } @pids;

	kill 'CONT', @pids, @below;
	kill 'TERM', @pids;
	for my $pid (@pids) {
		next if defined reap($pid, 10);
		kill 'KILL', $pid;
		reap($pid, 10);
	}
	# Their children leave when the parent is gone; who stays is frozen or broken.
	wait_until { !grep { process_alive($_) } @below } 10;
	kill 'KILL', grep { process_alive($_) } @below;
	remove_tree(@cleanup) if @cleanup && !$ENV{POLICYD_KEEP};
	@cleanup = ();
}

$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
$SIG{PIPE} = 'IGNORE';

END {
	my $status = $?;
	end_all();
	$? = $status;
}

1;
