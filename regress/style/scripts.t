# Perl and shell of the tree parse without a word.

use strict;
use warnings;

use Test::More;

use Policyd qw(have_command);
use Style qw(files text places_ok $root);

chdir $root or die "$root: $!";

sub says {
	my (@command) = @_;

	open my $fh, '-|', "$^X", '-e', 'open STDERR, ">&", \*STDOUT; exec @ARGV',
	    @command or die "$command[0]: $!";
	my @lines = map { s/\n//r } <$fh>;
	close $fh;
	return $? == 0 ? grep { !/ syntax OK$/ } @lines : (@lines, "status $?");
}

my @perl = files(qr{\.(?:pl|pm|t)\z});
my @shell = grep { text($_) =~ m{\A#!/bin/sh\b} } files(qr{.});
ok(@perl > 3, 'there is Perl');

places_ok('Perl parses, warnings on', map { my $file = $_;
    map { "$file: $_" } says($^X, '-I', 'regress/lib', '-wc', $file) } @perl);
places_ok('Perl is strict', grep { text($_) !~ /^use strict;$/m ||
    text($_) !~ /^use warnings;$/m } @perl);
places_ok('shell parses', map { my $file = $_;
    map { "$file: $_" } says('sh', '-n', $file) } @shell);

# Core modules only: a test must run wherever there is a Perl.
my %ours = map { m{regress/lib/(.*)\.pm\z} ? ($1 =~ s{/}{::}gr => 1) : () } @perl;
my @foreign;
require Module::CoreList;
for my $file (@perl) {
	my %used = map { $_ => 1 } text($file) =~ /^\s*(?:use|require)\s+([A-Z]\w*(?:::\w+)*)/mg;
	push @foreign, map { "$file: $_" } grep { !$ours{$_} &&
	    !defined Module::CoreList->first_release($_) } sort keys %used;
}
places_ok('core modules only', @foreign);

SKIP: {
	my $shellcheck = have_command('shellcheck');
	skip 'no shellcheck here', 1 if !$shellcheck;
	places_ok('shellcheck has nothing to say', says($shellcheck, '-s', 'sh', @shell));
}

done_testing;
