# Kinds of faults in what is printed: a noun in the plural behind any number, a word twice, a
# level or a program's name that is printed already.

use strict;
use warnings;

use Test::More;

use Style qw(files text places_ok $root);

# [file, line, text] of each string; strings side by side are one, and a macro between them,
# such as PRId64, is what it stands for: a number.
sub strings {
	my ($file) = @_;
	my $source = text($file);
	my @found;

	# Comments go, lines stay.
	$source =~ s{("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+')|/\*(.*?)\*/}
	    {defined $1 ? $1 : "\n" x ($2 =~ tr/\n//)}gse;
	while ($source =~ /\G.*?((?:"(?:[^"\\\n]|\\.)*"(?:\s|\\\n|\bPRI[dux]64\b)*)+)/gs) {
		my ($piece, $at) = ($1, $-[1]);
		my $line = 1 + substr($source, 0, $at) =~ tr/\n//;
		$piece =~ s/%"\s*PRI[dux]64\s*"/%d/g;
		my $text = join '', $piece =~ /"((?:[^"\\\n]|\\.)*)"/g;
		push @found, [$file, $line, $text];
	}
	return @found;
}

my @strings = map { strings($_) } files(qr{\Asrc/(?!compat).*\.c\z});
cmp_ok(scalar @strings, '>', 1000, 'the sources have strings');

sub where { return "$_[0][0]:$_[0][1]: $_[0][2]" }

# A bound is never one; what only a broken invariant prints need not be perfect; and these
# are the older program's words.
my $bound = qr/(?:than|to|most|from|than\ the|which\ byte)\ %\S+\ [a-z]+s\b|which\ byte/x;
places_ok('a count of one has a noun in the singular', map { where($_) } grep {
	$_->[0] !~ m{\Asrc/(?:ipc|lib)/} &&
	$_->[2] =~ /(?:\A|[\s("'])%[-0-9.*]*(?:l|ll|z|j)?[du]\ [a-z]*[a-rt-z]s\b/x &&
	$_->[2] !~ /$bound|records\ deleted|\ lacks\ /x } @strings);

places_ok('no word twice', map { where($_) } grep {
	$_->[2] =~ /\b([a-z]{2,})\ \1\b/ } @strings);

places_ok('no level in a line that has one', map { where($_) } grep {
	$_->[2] =~ /\A(?:warning|error|notice|fatal):/ } @strings);

places_ok('no blank at the end of a sentence, no two in it', map { where($_) } grep {
	$_->[2] =~ /(?<!\\)[a-z]\ \ [a-z]|[a-z]\ \\n\z/ } @strings);

done_testing();
