#!/usr/bin/perl
# What policyctl prints for people, on terminals of 40 and 80 columns and in a pipe: no line is
# wider than the terminal, and no word is cut or missing.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl ctl_command);
use Policyd qw(need have_command slurp spew True);

need($^O eq 'linux' && !(grep { !have_command($_) } 'script', 'stty'),
    'no script(1) to give it a terminal');

my $login = 'a.rather.long.login@department.example.org';
my $d = Policyd->start(config => { rules => [
    { name => 'user', key => 'sasl_username', limits => [[3, 3600], [50, 86400]] },
    { name => 'watch', key => 'sasl_domain', limits => [[2, 3600]], shadow => True },
    { name => 'stolen', key => 'sasl_username', count => 'addresses', limits => [[3, 3600]],
      lock => { for => 3600 } }] });
my $new = "$d->{dir}/new.conf";

$d->ask(sasl_username => $login, queue_id => "4ZLqQ1r9z$_") for 1 .. 5;
$d->ask(sasl_username => 'eve@department.example.org', client_address => "2001:db8::$_") for 1 .. 4;
spew($new, 'rules = [{"name": "user", "key": "sasl_username", "limits": [[2, 86400]]}]' . "\n");
is((ctl($d, 'grant', 'bob@department.example.org', 500, 'until 06:00'))[0], 0, 'a grant');
is((ctl($d, 'block', '@department.example.net', '1h', 'stolen logins, see ticket 4711'))[0], 0,
    'a block');

# What a command prints on a terminal of so many columns.
sub on_terminal {
	my ($columns, @words) = @_;
	my $seen = "$d->{dir}/seen";
	my $line = join ' ', map { "'$_'" } ctl_command($d, @words);

	unlink $seen;
	$d->run_command('script', '-qec', "stty cols $columns rows 24; TERM=vt100 $line",
	    $seen);
	my $text = slurp($seen);
	$text =~ s/\AScript started.*\n//;
	$text =~ s/^Script done.*\n//m;
	$text =~ s/\r|\e\[[\d;]*[A-Za-z]//g;
	# What it says while it waits is gone.
	$text =~ s/(?:\d+ rows are read |the daemon works on it, \d+ s )//g;
	return $text;
}

# The words, without bars and what a second changes.
sub words {
	my ($text) = @_;

	$text = join ' ', split ' ', $text =~ s/\[[# ]*\]//gr;
	$text =~ s/\b\d+:\d\d:\d\d\b|\b\d+ (?:s|min|h|d)\b(?: \d+ (?:s|min|h))?,?//g;
	return sort split ' ', $text;
}

for my $command (['show', $login], ['show', 'eve@department.example.org'], ['list'], ['why'],
    ['why', $login], ['status'], ['try'], ['try', $new],
    ['explain', "sasl_username=$login", 'protocol_state=DATA']) {
	my ($status, $pipe) = ctl($d, @$command);

	is($status, 0, "policyctl @$command");
	for my $columns (40, 80) {
		my $text = on_terminal($columns, @$command);
		# A command stays whole, so that it can be pasted.
		my @wide = grep { length > $columns && !/\A *\S+\z/ && !/\A  policyctl / }
		    split /\n/, $text;
		is_deeply(\@wide, [], "no line is wider than $columns columns");
		is_deeply([words($text)], [words($pipe)], 'and every word is there')
		    if $command->[0] ne 'status';
	}
}
for my $command (['top'], ['top', '--by', 'refused'], ['top', '--group', 'domain']) {
	for my $columns (40, 80) {
		my @wide = grep { length > $columns } split /\n/, on_terminal($columns, @$command);
		is_deeply(\@wide, [], "@$command: no line is wider than $columns columns");
	}
}

$d->ends_well;
done_testing;
