package Pooler;

# A PgBouncer of its own in front of a Database, on a loopback port, stopped at the end.
#
#	my $pooler = Pooler->start($db, 'session');
#	my $d = Policyd->start(config => { $pooler->config });

use strict;
use warnings;

use IO::Socket::INET;

use Database;
use Policyd qw(wait_until need free_port have_command slurp);

my @started;
my $owner = $$;

sub needed {
	Database->needed('pgsql');
	need(have_command('pgbouncer'), 'pgbouncer is not installed');
}

# more: further settings of PgBouncer
sub start {
	my ($class, $db, $mode, %more) = @_;
	my $self = bless { db => $db, port => free_port(), mode => $mode }, $class;
	my %config = $db->config;
	my ($user, $password) = @{$config{pgsql_config}}{qw(user password)};

	needed();
	s/"/""/g for my @quoted = ($user, $password);
	my $auth = $db->keep("users.$self->{port}", "\"$quoted[0]\" \"$quoted[1]\"\n");
	%more = (default_pool_size => 20, %more);
	$self->{ini} = $db->keep("pgbouncer.$self->{port}", <<END .
[databases]
policyd = host=127.0.0.1 port=$db->{port} dbname=policyd
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $self->{port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $auth
pool_mode = $mode
END
	    join('', map { "$_ = $more{$_}\n" } sort keys %more));
	$self->{pid} = $db->spawn(have_command('pgbouncer'), $self->{ini});
	push @started, $self;
	wait_until { !$self->running || $self->listens } or $db->failed('pgbouncer');
	$db->failed('pgbouncer') if !$self->running;
	return $self;
}

sub running { return Database::running($_[0]) }
sub signal { return Database::signal(@_) }

sub listens {
	my ($self) = @_;

	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port});
}

sub config {
	my ($self, %more) = @_;

	return $self->{db}->config(port => $self->{port}, %more);
}

# It keeps no file, and a SIGTERM ends it at once.
sub stop {
	my ($self) = @_;

	return if !$self->running;
	kill 'TERM', $self->{pid};
	wait_until { !$self->running };
}

END {
	my $status = $?;
	if ($$ == $owner) {
		$_->stop for @started;
	}
	$? = $status;
}

1;
