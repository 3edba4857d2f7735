#!/usr/bin/perl
# What the shells complete is what policyctl knows.

use strict;
use warnings;

use Test::More;

use Policyd qw(slurp have_command $root);

my $usage = `'$root/build/policyctl' -h`;
my @commands = sort $usage =~ /^\s+policyctl (\w+)/mg;
cmp_ok(scalar @commands, '>', 5, 'there are commands');

my ($bash, $zsh) = map { "$root/packaging/completion/$_" } 'policyctl.bash', '_policyctl';
my @zsh = sort { $a cmp $b } slurp($zsh) =~ /^\t'([a-z]+):/mg;
is_deeply(\@zsh, \@commands, 'zsh has them');

my @manual = sort { $a cmp $b } slurp("$root/man/policyctl.8") =~ /^\.It Ic (\w+)/mg;
is_deeply(\@manual, \@commands, 'the manual has them');

SKIP: {
	my $shell = have_command('bash');
	skip 'no bash', 3 if !$shell;
	my $complete = sub {
		my (@words) = @_;
		my $n = $#words;
		open my $fh, '-|', $shell, '--norc', '-c',
		    'compopt() { :; }; . "$0"; COMP_CWORD=$1; shift; COMP_WORDS=("$@");' .
		    ' _policyctl; printf "%s\n" "${COMPREPLY[@]}"', $bash, $n, @words
		    or die "bash: $!";
		my @all = map { s/\n//r } <$fh>;
		close $fh;
		return [sort @all];
	};
	is_deeply([grep { !/^-/ } @{$complete->('policyctl', '')}], \@commands,
	    'bash has them');
	is_deeply($complete->('policyctl', '-j', 'log', ''), ['brief', 'debug'],
	    'and arguments');
	is_deeply($complete->('policyctl', '-s', '/x', 'explain', 'sasl'),
	    ['sasl_username='], 'and attributes');
}

done_testing;
