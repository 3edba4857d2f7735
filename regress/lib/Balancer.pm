package Balancer;

# A HAProxy of its own in front of Databases, on a loopback port, stopped at the end. Connections
# go to the first server that answers; those to one that no longer answers are closed.
#
#	my $balancer = Balancer->start([$one, $two], 8);
#	my $d = Policyd->start(config => { $balancer->config });
#	$balancer->command('disable server database/s0');

use strict;
use warnings;

use IO::Socket::UNIX;

use Database;
use Policyd qw(wait_until need free_port have_command);
use Pooler;

my @started;
my $owner = $$;

sub needed { need(have_command('haproxy'), 'haproxy is not installed') }

# Connections that are idle for so many seconds are closed.
sub start {
	my ($class, $servers, $idle) = @_;
	my $db = $servers->[0];
	my $self = bless { db => $db, port => free_port(), name => 'haproxy' }, $class;
	my $kind = $db->{kind};

	needed();
	$self->{socket} = "$db->{dir}/haproxy.$self->{port}";
	# Without an account the checks would count as failed connections.
	$db->sql("CREATE USER IF NOT EXISTS 'check'\@'127.0.0.1'") if $kind eq 'mysql';
	my $file = $db->keep("haproxy.$self->{port}.cfg", <<END .
global
	stats socket $self->{socket} mode 600 level admin
defaults
	mode tcp
	timeout connect 2s
	timeout client ${idle}s
	timeout server ${idle}s
listen database
	bind 127.0.0.1:$self->{port}
	option $kind-check user check
	default-server check inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
END
	    join('', map { "\tserver s$_ 127.0.0.1:$servers->[$_]{port}" .
	    ($_ > 0 ? ' backup' : '') . "\n" } 0 .. $#$servers));
	$self->{pid} = $db->spawn(have_command('haproxy'), '-db', '-f', $file);
	push @started, $self;
	wait_until { !$self->running || $self->status('s0') =~ /\AUP/ } or
	    $db->failed('haproxy');
	$db->failed('haproxy') if !$self->running;
	return $self;
}

sub running { return Database::running($_[0]) }
sub config { return Pooler::config(@_) }
sub stop { return Pooler::stop(@_) }

# A command of the administrator, and its answer.
sub command {
	my ($self, $command) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $self->{socket}) or return '';

	print $socket "$command\n";
	return join '', <$socket>;
}

# Such as "UP" or "DOWN".
sub status {
	my ($self, $server) = @_;
	my ($line) = grep { /\Adatabase,$server,/ } split /\n/, $self->command('show stat');

	return ($line // '') =~ /\A(?:[^,]*,){17}([^,]*)/ ? $1 : '';
}

END {
	my $status = $?;
	if ($$ == $owner) {
		$_->stop for @started;
	}
	$? = $status;
}

1;
