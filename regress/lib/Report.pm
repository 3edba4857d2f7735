package Report;

# A daemon's directory with hits to report, and --clean that reports them to a server.
#
#	my $r = Report->new(smtp => { port => 25 }, settings => { report_to => 'a@b' });
#	$r->hits([bob => 86400, 3]);
#	my ($status, $out, $err) = $r->clean;
#	is_deeply($r->left, ['bob 86400 3']);

use strict;
use warnings;

use Policyd qw(need have_command True None);

sub needed {
	need(have_command('sqlite3'), 'no sqlite3 to look into the database with');
}

sub new {
	my ($class, %option) = @_;
	my $self = bless { %option }, $class;

	$self->{d} = Policyd->new(config => {
		limits => [[10, 60], [150, 86400]],
		report => True,
		report_to => 'postmaster@example.org',
		report_from => 'policyd@example.org',
		smtp_server => [$option{host} // '127.0.0.1', $option{port}],
		%{$option{settings} // {}},
	}, %{$option{daemon} // {}});
	# The tables are made by whoever comes first.
	$self->{d}->run_command(Policyd::program(), '-f', $self->unreported, '--clean');
	return $self;
}

# The same configuration without the report.
sub unreported {
	my ($self) = @_;
	my $text = Policyd::slurp($self->{d}{file});

	$text =~ s/^report = .*$/report = False/m;
	Policyd::spew("$self->{d}{dir}/quiet.conf", $text, 0644);
	return "$self->{d}{dir}/quiet.conf";
}

sub settings {
	my ($self, %settings) = @_;

	$self->{d}->write_config(\%settings);
}

# [id, seconds, hits] each
sub hits {
	my ($self, @rows) = @_;

	for (@rows) {
		my ($id, $seconds, $hits) = @$_;
		$id = unpack 'H*', $id;
		$self->{d}->sql('INSERT INTO limit_report (id, delta, hit) VALUES ' .
		    "(CAST(x'$id' AS TEXT), $seconds, $hits)");
	}
}

sub left {
	my ($self) = @_;

	return [map { "@$_" } $self->{d}->sql('SELECT id, delta, hit FROM limit_report ' .
	    'ORDER BY id, delta')];
}

sub clean { return $_[0]{d}->run('--clean') }

1;
