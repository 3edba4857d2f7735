package Postfix;

# A real Postfix with a configuration, queue and log of its own, on a loopback port.
# It takes mail by SMTP and throws it away, and asks a policy service before. Its
# smtpd is chrooted to the queue directory, as Debian's is.
#
#	my $p = Postfix->start(main => {
#	    smtpd_data_restrictions => "check_policy_service unix:ratelimit/policy" });
#	my $s = $p->session(login => 'alice');
#	like($s->mail(to => ['bob@example.net']), qr/^250/);
#
# Postfix::Policy is a policy service that answers by a script, for what must be
# arranged around the one under test.

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use File::Find qw(find);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX qw(:sys_wait_h);
use Test::More ();

use Policyd qw(wait_until need free_port have_command slurp spew as_root);
use Postfix::Policy;
use Postfix::Session;

my @started;
my $owner = $$;

# What every test with a Postfix begins with.
sub needed {
	need(as_root(), 'Postfix can only be started by root');
	need(have_command('postconf'), 'Postfix is not installed');
}

sub postconf {
	my (@args) = @_;

	open my $fh, '-|', have_command('postconf'), @args or croak "postconf: $!";
	my @lines = map { chomp; $_ } <$fh>;
	close $fh or croak "postconf @args: status $?";
	return @lines;
}

# options: main, a hash of main.cf over ours; chroot, 'y' (default) or 'n'; master,
# more lines for master.cf
sub new {
	my ($class, %option) = @_;
	my $self = bless { chroot => 'y', %option }, $class;

	$self->{dir} = abs_path(tempdir('postfix-XXXXXXXX', TMPDIR => 1));
	chmod 0755, $self->{dir};
	$self->{queue} = "$self->{dir}/queue";
	$self->{log} = "$self->{dir}/mail.log";
	$self->{port} = free_port();
	($self->{daemons}) = postconf('-dh', 'daemon_directory');
	push @started, $self;
	$self->make_directories;
	$self->write_config;
	return $self;
}

sub start {
	my ($class, %option) = @_;
	my $self = ref $class ? $class : $class->new(%option);

	$self->{pid} = $self->launch;
	my $up = wait_until {
		my $s = !$self->running || Postfix::Session->new($self->{port});
		$s && (!ref $s || $s->{greeting} =~ /^220/);
	};
	if (!$up || !$self->running) {
		$self->explain;
		croak 'Postfix did not start';
	}
	return $self;
}

# Postfix checks owners and modes of what is below, and makes the rest by itself.
sub make_directories {
	my ($self) = @_;
	my (undef, undef, $uid, $gid) = getpwnam('postfix') or croak 'no user postfix';
	my $drop = getgrnam('postdrop') // $gid;

	mkdir $_, 0755 or croak "$_: $!"
	    for map { "$self->{dir}/$_" } qw(etc queue data);
	chown $uid, -1, "$self->{dir}/data";
	for (qw(active bounce corrupt defer deferred flush hold incoming private saved
	    trace)) {
		mkdir "$self->{queue}/$_", 0700 or croak "$_: $!";
		chown $uid, -1, "$self->{queue}/$_";
	}
	mkdir "$self->{queue}/pid", 0755 or croak "pid: $!";
	mkdir "$self->{queue}/$_", 0700 or croak "$_: $!" for qw(maildrop public);
	chown $uid, $drop, map { "$self->{queue}/$_" } qw(maildrop public);
	chmod 01730, "$self->{queue}/maildrop";
	chmod 02710, "$self->{queue}/public";
	# As an administrator makes it for a policy server.
	mkdir "$self->{queue}/ratelimit", 0750 or croak "ratelimit: $!";
	chown 0, $gid, "$self->{queue}/ratelimit";
}

sub write_config {
	my ($self, $more) = @_;

	$self->{main} = { %{$self->{main} // {}}, %{$more // {}} };
	my %main = (
		compatibility_level => '3.6',
		queue_directory => $self->{queue},
		data_directory => "$self->{dir}/data",
		maillog_file => $self->{log},
		maillog_file_prefixes => $self->{dir},
		myhostname => 'mx.example.test',
		mydestination => 'example.test',
		mynetworks => '127.0.0.0/8',
		inet_interfaces => '127.0.0.1',
		inet_protocols => 'ipv4',
		alias_maps => '',
		alias_database => '',
		local_recipient_maps => '',
		local_transport => 'discard:',
		default_transport => 'discard:',
		smtp_dns_support_level => 'disabled',
		smtpd_peername_lookup => 'no',
		smtpd_relay_restrictions => 'reject_unauth_destination',
		relay_domains => 'example.net',
		relay_transport => 'discard:',
		smtpd_authorized_xclient_hosts => '127.0.0.1',
		# A test makes many errors, and none of them by accident.
		smtpd_error_sleep_time => '0',
		smtpd_soft_error_limit => '1000',
		smtpd_hard_error_limit => '1000',
		smtpd_junk_command_limit => '1000',
		in_flow_delay => '0',
		%{$self->{main}},
	);
	spew("$self->{dir}/etc/main.cf",
	    join('', map { "$_ = $main{$_}\n" } sort keys %main), 0644);
	spew("$self->{dir}/etc/master.cf", <<"END", 0644);
127.0.0.1:$self->{port} inet n - $self->{chroot} - - smtpd
cleanup unix n - $self->{chroot} - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - $self->{chroot} - - trivial-rewrite
bounce unix - - $self->{chroot} - 0 bounce
defer unix - - $self->{chroot} - 0 bounce
trace unix - - $self->{chroot} - 0 bounce
verify unix - - $self->{chroot} - 1 verify
flush unix n - $self->{chroot} 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - $self->{chroot} - - showq
error unix - - $self->{chroot} - - error
retry unix - - $self->{chroot} - - error
discard unix - - $self->{chroot} - - discard
anvil unix - - $self->{chroot} - 1 anvil
scache unix - - $self->{chroot} - 1 scache
postlog unix-dgram n - n - 1 postlogd
@{[$self->{master} // '']}
END
	# Postfix waits before it reads a file that was changed a moment ago.
	utime time - 60, time - 60, map { "$self->{dir}/etc/$_" } qw(main.cf master.cf);
}

# The master in the foreground, leader of its process group: it ends its daemons by
# a signal to that.
sub launch {
	my ($self) = @_;

	defined(my $pid = fork) or croak "fork: $!";
	return $pid if $pid != 0;
	POSIX::setpgid(0, 0);
	chdir '/';
	open STDIN, '<', '/dev/null';
	open STDOUT, '>>', "$self->{dir}/output";
	open STDERR, '>&', \*STDOUT;
	$ENV{MAIL_CONFIG} = "$self->{dir}/etc";
	{ no warnings 'exec'; exec "$self->{daemons}/master", '-d', '-c',
	    "$self->{dir}/etc"; }
	POSIX::_exit(127);
}

sub running {
	my ($self) = @_;

	return 0 if !$self->{pid};
	return 1 if waitpid($self->{pid}, WNOHANG) != $self->{pid};
	delete $self->{pid};
	return 0;
}

sub stop {
	my ($self) = @_;
	my $pid = $self->{pid};

	return if !$self->running;
	kill 'TERM', $pid;
	if (!wait_until { !$self->running }) {
		kill 'KILL', -$pid;
		wait_until { !$self->running };
	}
	# An smtpd that ends after its master holds the port until then.
	wait_until { !IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	    PeerPort => $self->{port}) };
}

# New settings take effect with the next smtpd process, so all are replaced.
sub reconfigure {
	my ($self, $main) = @_;

	$self->stop;
	$self->write_config($main);
	return $self->start;
}

sub explain {
	my ($self) = @_;
	my @lines = split /\n/, slurp("$self->{dir}/output") . $self->log;

	splice @lines, 0, @lines - 40 if @lines > 40;
	Test::More::diag('log of Postfix:', map { "\n  $_" } @lines);
}

# options: login, address (of the client), as XCLIENT sets them
sub session {
	my ($self, %option) = @_;
	my $s = Postfix::Session->new($self->{port}) // croak "no session: $!";

	$s->hello;
	$s->xclient(LOGIN => $option{login} // '[UNAVAILABLE]',
	    ADDR => $option{address} // '192.0.2.7');
	return $s;
}

# The daemon under test where smtpd finds it: its socket in the queue directory, as
# the service unix:ratelimit/policy, open to the group of Postfix alone.
sub daemon {
	my ($self, %option) = @_;

	$option{config} = { socket_permission => \'0o660', socket_group => 'postfix',
	    %{$option{config} // {}} };
	return Policyd->start(listen => $self->policy_path, %option);
}

sub policy_path { return "$_[0]{queue}/ratelimit/policy" }

# --- what became of the mail ---

sub port { return $_[0]{port} }
sub queue { return $_[0]{queue} }
sub log { return slurp($_[0]{log}) }

# The recipients that mail went to, each as often as it did; what waits in the queue
# is not among them yet.
sub delivered {
	my ($self) = @_;

	my @to = $self->log =~ /^.* to=<([^>]*)>, .* status=sent /mg;
	return @to;
}

# How many mails are still in the queue.
sub waiting {
	my ($self) = @_;
	my $n = 0;

	find(sub { $n++ if -f }, map { "$self->{queue}/$_" }
	    qw(maildrop incoming active deferred));
	return $n;
}

# Waits for so many recipients; the number when it is right or the deadline is over.
sub wait_delivered {
	my ($self, $n) = @_;

	wait_until { my @to = $self->delivered; @to >= $n };
	return scalar(my @to = $self->delivered);
}

sub wait_log {
	my ($self, $pattern) = @_;

	return wait_until { $self->log =~ $pattern };
}

END {
	my $status = $?;
	if ($$ == $owner) {
		$_->stop for @started;
		remove_tree(map { $_->{dir} } @started) if !$ENV{POLICYD_KEEP};
	}
	$? = $status;
}

1;
