package Fault::Shim;

# A role with regress/fault/shim.c before it, and the page by which it is told what
# fails. The parent clears its children's environment, so a program of ours that sets
# it stands in the role's place, in a libexec directory of the test's own.
#
#	my $d = fault_daemon(shim => ['engine']);
#	$d->{shim}{engine}->fail('accept4', errno => EMFILE, after => 3, count => 100);

use strict;
use warnings;

use Carp qw(croak);
use Errno ();

use Policyd qw(need spew slurp $root);

our $program = "$root/build/regress/fault/policyd-rate-limit";
my $shim = "$root/build/regress/fault/shim.so";

# As in shim.c: a name, then numbers.
my %at = (error => 24, after => 32, count => 40, failed => 48, clock => 56, pause => 64,
    size => 72, used => 80, mono => 88, hit => 96, wall => 120);
my $journal_at = 4096;

sub needed {
	need(-e $shim && -x $program, 'build/regress/fault (make tests; Linux)');
	need(!grep({ /asan|sanitize/i } $ENV{CFLAGS} // ''), 'no shim before sanitizers');
}

# For the roles named, `parent` among them, before the daemon is started; `journal`
# bytes for what is written.
sub prepare {
	my ($d, $roles, $journal) = @_;
	my %shimmed = map { $_ => 1 } @$roles;
	my $libexec = "$d->{dir}/libexec";

	mkdir $libexec, 0755 or croak "$libexec: $!";
	for my $file (glob "$root/build/libexec/*") {
		my ($role) = $file =~ m{([^/]+)\z};
		my $set = $shimmed{$role} ? shim_before($d, $role, $journal) : '';
		spew("$libexec/$role", "#!/bin/sh\n${set}exec '$file'\n", 0755);
	}
	# The program looks for its children in libexec, wherever it stands.
	$d->{prepare} = sub { chdir $d->{dir} };
	$d->{program} = $program;
	if ($shimmed{parent}) {
		$d->{program} = "$d->{dir}/parent";
		spew($d->{program}, "#!/bin/sh\n" . shim_before($d, 'parent') .
		    "exec '$program' \"\$@\"\n", 0755);
	}
}

sub shim_before {
	my ($d, $role, $journal) = @_;
	my $self = $d->{shim}{$role} =
	    __PACKAGE__->new("$d->{dir}/$role.fault", $journal);

	return $self->before;
}

# What a shell needs before a command.
sub before {
	my ($self) = @_;

	return "LD_PRELOAD='$shim' FAULT_CONTROL='$self->{file}' ";
}

sub new {
	my ($class, $file, $journal) = @_;
	my $self = bless { file => $file }, $class;

	spew($file, '', 0666);
	truncate $file, $journal_at + ($journal // 0) or croak "$file: $!";
	open $self->{fh}, '+<:raw', $file or croak "$file: $!";
	$self->set(size => $journal // 0);
	return $self;
}

sub set {
	my ($self, $name, $value) = @_;

	sysseek $self->{fh}, $at{$name}, 0;
	syswrite $self->{fh}, pack('q', $value) or croak "$self->{file}: $!";
}

sub get {
	my ($self, $name) = @_;

	sysseek $self->{fh}, $at{$name}, 0;
	sysread $self->{fh}, my $bytes, 8;
	return unpack 'q', $bytes;
}

# The call of this name fails: from the n-th on from now (after, 1), so many times
# (count, 1), with this errno.
sub fail {
	my ($self, $name, %option) = @_;

	$self->set(count => 0);
	sysseek $self->{fh}, 0, 0;
	syswrite $self->{fh}, pack 'a24', $name;
	$self->set(error => $option{errno} // Errno::EIO());
	$self->set(failed => 0);
	$self->set(after => $option{after} // 1);
	$self->set(count => $option{count} // 1);
}

sub calm { $_[0]->set(count => 0) }
sub failed { return $_[0]->get('failed') }

# The name of the call that failed last.
sub hit {
	my ($self) = @_;

	sysseek $self->{fh}, $at{hit}, 0;
	sysread $self->{fh}, my $name, 24;
	return $name =~ s/\0.*//sr;
}

# The journal so far: [what, file, offset, bytes, where the record ends].
sub journal {
	my ($self) = @_;
	my $used = $self->get('used');
	my $bytes = slurp($self->{file});
	my @records;

	for (my $at = $journal_at; $at < $journal_at + $used; ) {
		my ($what, $file, $offset, $len) = unpack 'l l q q', substr $bytes, $at, 24;
		# One that is being written.
		last if $what == 0;
		push @records, [chr $what, chr $file, $offset, substr($bytes, $at + 24,
		    $len), ($at += 24 + $len) - $journal_at];
	}
	return \@records;
}

1;
