package Bench::Postfix;

# Mails a second through a real Postfix that throws them away, by smtp-source: with no
# policy service, with the floor, and with the daemon. Each has a listener of its own in the
# same Postfix, so that the rounds can take turns.

use strict;
use warnings;

use Carp qw(croak);
use Time::HiRes qw(time);

use Bench;
use Policyd qw(wait_until need have_command free_port);
use Postfix;

my @services = qw(none floor daemon);

sub services { return @services }

sub start {
	my ($class, $backend) = @_;
	my $self = bless { port => {} }, $class;
	my %restriction = (none => '', floor => 'check_policy_service unix:ratelimit/floor',
	    daemon => 'check_policy_service unix:ratelimit/policy');
	my %database;

	Postfix::needed();
	$self->{source} = have_command('smtp-source');
	need($self->{source}, 'smtp-source (postfix)');
	$self->{port}{$_} = free_port() for @services;
	my $p = $self->{postfix} = Postfix->new(master => join '', map {
	    "127.0.0.1:$self->{port}{$_} inet n - y - 200 smtpd\n" .
	    "    -o { smtpd_data_restrictions = $restriction{$_} }\n" } @services);
	if ($backend ne 'sqlite') {
		my $server = Bench::server($backend);
		$server->sql('CREATE DATABASE bench_postfix');
		%database = $server->config(
		    ($backend eq 'pgsql' ? 'database' : 'db') => 'bench_postfix');
	}
	$self->{daemon} = $p->daemon(config => { debug => \'False', limit_by_sender => \'True',
	    limits => [[1_000_000_000, 60], [2_000_000_000, 86400]], %database });
	my $floor = Bench::floor_start("$p->{queue}/ratelimit/floor");
	# smtpd runs as another user.
	chmod 0666, $floor->{endpoint};
	$p->start;
	return $self;
}

# Mails a second, and 1 if smtp-source gave up.
sub round {
	my ($self, $service, $sessions, $mails) = @_;

	# What the last round left in the queue is not this round's work.
	wait_until { !$self->{postfix}->waiting };
	my $begun = time;
	my $status = system('timeout', 120, $self->{source}, '-4', '-s', $sessions,
	    '-m', $mails, '-f', 'bob@example.org', '-t', 'to@example.net',
	    "127.0.0.1:$self->{port}{$service}");

	return ($mails / (time - $begun), $status != 0);
}

sub stop {
	my ($self) = @_;

	$self->{postfix}->stop;
	Bench::floor_stop();
	$self->{daemon}->stop;
}

1;
