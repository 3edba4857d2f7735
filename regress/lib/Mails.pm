package Mails;

# Asks daemons one mail after another, each with an instance of its own, and knows what each was
# answered: every mail that was answered with dunno has to be in the tables exactly once.
#
#	my $mails = Mails->new(\@daemons, 'bob');
#	$mails->ask(100);
#	$mails->while_running(sub { $cluster->leave(2, 'KILL') });
#	$mails->ok_recorded($db, 'after a node was killed');

use strict;
use warnings;

use Test::More import => [qw(is_deeply)];
use POSIX ();
use Time::HiRes qw(time);

use Policyd qw(request wait_until);

sub new {
	my ($class, $daemons, $id) = @_;

	return bless { daemons => $daemons, id => $id, asked => 0, answered => {},
	    longest => 0 }, $class;
}

sub ask {
	my ($self, $count) = @_;

	for (1 .. $count) {
		my $n = $self->{asked}++;
		my $instance = "$self->{id}.$n";
		my $begin = time;
		my $answer = $self->{daemons}[$n % @{$self->{daemons}}]->ask(
		    sasl_username => "$self->{id}$n", instance => $instance) // 'none';
		my $took = time - $begin;
		$self->{answered}{$instance} = $answer;
		$self->{longest} = $took if $took > $self->{longest};
	}
}

# Asks until the change, made by a process of its own, is complete, and a little longer.
sub while_running {
	my ($self, $change) = @_;

	pipe(my $done, my $say) or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		close $done;
		my $good = eval { $change->(); 1 };
		print STDERR $@ if !$good;
		POSIX::_exit($good ? 0 : 1);
	}
	close $say;
	my $rest = 20;
	my $ended = 0;
	while ($rest > 0) {
		$ended ||= waitpid($pid, POSIX::WNOHANG()) == $pid;
		$self->ask(1);
		$rest-- if $ended;
	}
	return $?;
}

# Asks until a mail is accepted.
sub until_accepted {
	my ($self) = @_;

	return wait_until { $self->ask(1);
	    $self->{answered}{"$self->{id}." . ($self->{asked} - 1)} eq 'dunno' };
}

# Answers other than dunno.
sub others {
	my ($self) = @_;
	my %count;

	$count{$_}++ for grep { $_ ne 'dunno' } values %{$self->{answered}};
	return \%count;
}

# The instances that were answered with dunno and are not in the table.
sub lost {
	my ($self, $db) = @_;
	my %rows = map { @$_ } $db->sql('SELECT instance, sum(recipient_count) FROM mail_count' .
	    " WHERE instance LIKE '$self->{id}.%' GROUP BY instance");
	my %answered = %{$self->{answered}};
	my @twice = grep { $rows{$_} != 1 } sort keys %rows;

	is_deeply(\@twice, [], 'no mail is recorded twice');
	return grep { $answered{$_} eq 'dunno' && !$rows{$_} } sort keys %answered;
}

# What the next server did not get is what the last one took at its end: of what was asked
# in between nothing is recorded. Returns what is lost.
sub ok_lost_last {
	my ($self, $db, $name) = @_;
	my @lost = $self->lost($db);
	my %lost = map { $_ => 1 } @lost;
	my ($first, $last) = (sort { $a <=> $b } map { /\.(\d+)\z/ } @lost)[0, -1];
	my @kept = grep { $self->{answered}{$_} eq 'dunno' && !$lost{$_} }
	    map { "$self->{id}.$_" } @lost ? $first .. $last : ();

	is_deeply(\@kept, [], "$name: lost, of what was answered last before it: @lost");
	$self->note($name);
	return @lost;
}

sub ok_recorded {
	my ($self, $db, $name) = @_;

	is_deeply([$self->lost($db)], [], "$name: each mail that was answered is recorded");
	$self->note($name);
}

sub note {
	my ($self, $name) = @_;

	Test::More::note(sprintf '%s: %d mails, the longest answer took %.1f s; other answers: %s', $name,
	    $self->{asked}, $self->{longest}, join(', ', map { "$_: " . $self->others->{$_} }
	    sort keys %{$self->others}) || 'none');
}

1;
