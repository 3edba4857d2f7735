package Galera;

# A Galera cluster of MariaDB on loopback: each node is a Database with a directory and ports of
# its own.
#
#	my $cluster = Galera->start(3);
#	my $d = Policyd->start(config => { $cluster->node(1)->config });
#	$cluster->node(2)->stop('KILL');
#	$cluster->join(2);

use strict;
use warnings;

use Database;
use Policyd qw(wait_until need free_port have_command);

# A node that was killed is suspected and given up after these times.
use constant SUSPECT => 'PT2S';
use constant INACTIVE => 'PT6S';

my ($provider) = grep { -e } map { "$_/galera/libgalera_smm.so" }
    qw(/usr/lib /usr/lib64 /usr/local/lib);

# What a test with a cluster begins with.
sub needed {
	Database->needed('mysql');
	need($provider, 'galera-4 is not installed');
	need(have_command('rsync'), 'rsync is not installed');
}

sub start {
	my ($class, $nodes) = @_;
	my $self = bless { ports => [map { [map { free_port() } 1 .. 3] } 1 .. $nodes],
	    node => [] }, $class;

	needed();
	push @{$self->{node}}, $self->new_node($_) for 0 .. $nodes - 1;
	$self->whole($nodes);
	return $self;
}

sub options {
	my ($self, $i) = @_;
	my ($base, $ist, $sst) = @{$self->{ports}[$i]};

	# With its plugin MariaDB 11.8 would not let the options be changed.
	return (qw(--loose-plugin-wsrep-provider=OFF
	    --binlog-format=ROW --innodb-autoinc-lock-mode=2 --wsrep-on=ON
	    --wsrep-sst-method=rsync --wsrep-slave-threads=2 --innodb-buffer-pool-size=32M),
	    "--wsrep-provider=$provider", '--wsrep-cluster-name=policyd',
	    "--wsrep-node-name=n$i", '--wsrep-cluster-address=gcomm://' .
	    CORE::join(q(,), map { "127.0.0.1:$_->[0]" } @{$self->{ports}}),
	    "--wsrep-node-address=127.0.0.1:$base",
	    "--wsrep-sst-receive-address=127.0.0.1:$sst",
	    "--wsrep-provider-options=base_port=$base;ist.recv_addr=127.0.0.1:$ist;" .
	    "gmcast.listen_addr=tcp://127.0.0.1:$base;gcache.size=32M;" .
	    'evs.suspect_timeout=' . SUSPECT . ';evs.inactive_timeout=' . INACTIVE .
	    ';evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.2S');
}

# The first node makes the cluster, the others get its state.
sub new_node {
	my ($self, $i) = @_;

	return Database->start('mysql', small => 1, args => [$self->options($i),
	    $i == 0 ? '--wsrep-new-cluster' : ()], $i == 0 ? () : (init => \&empty));
}

sub empty {
	my ($node) = @_;

	mkdir "$node->{dir}/data", 0700;
	chown $node->{uid}, $node->{gid}, "$node->{dir}/data" if defined $node->{uid};
	# The account comes with the state.
	Policyd::spew("$node->{dir}/init.sql", '', 0644);
}

sub node { return $_[0]{node}[$_[1]] }
sub nodes { return @{$_[0]{node}} }

# Waits until the nodes that run are one cluster of so many, and take statements.
sub whole {
	my ($self, $size) = @_;
	my @up = grep { $_->running } $self->nodes;

	wait_until { @up == grep { status($_, 'wsrep_cluster_size') == $size &&
	    status($_, 'wsrep_local_state_comment') eq 'Synced' } @up } 90
	    or $up[0]->failed('the cluster');
}

sub status {
	my ($node, $name) = @_;

	return eval { ($node->sql("SHOW STATUS LIKE '$name'"))[0][1] } // 0;
}

# The node, once it has applied all that was committed on the others before. A node confirms
# a COMMIT before the others have applied it.
sub caught_up {
	my ($node) = @_;

	$node->sql('SET SESSION wsrep_sync_wait = 1; SELECT 1');
	return $node;
}

# A node that was stopped or killed comes back.
sub join {
	my ($self, $i) = @_;
	my $node = $self->node($i);

	@{$node->{args}} = $self->options($i);
	$node->launch;
	$self->whole(scalar grep { $_->running } $self->nodes);
}

sub leave {
	my ($self, $i, $signal) = @_;

	$self->node($i)->stop($signal);
	$self->whole(scalar grep { $_->running } $self->nodes);
}

1;
