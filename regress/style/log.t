#!/usr/bin/perl
# policyd-rate-limit(8) lists every line of the log with an example, and no line that is
# not written.

use strict;
use warnings;

use Test::More;

use Style qw(files text places_ok);

# A format without its conversions is a pattern; too few letters are none.
sub pattern {
	my ($format) = @_;
	my @parts = split /%[-+ #0-9.*]*(?:hh|h|ll|l|z|j)?[a-zA-Z]/, $format, -1;

	return undef if (() = join('', @parts) =~ /[a-z]/g) < 6;
	return join '.*', map { quotemeta } @parts;
}

# A literal in pieces, PRId64 and the like between them.
my $literal = qr/(?:"(?:[^"\\]|\\.)*"[\s\\]*(?:PRI\w+\s*)?)+/;

# pattern => where it is.
my %written;

sub add {
	my ($place, $pieces) = @_;
	my $format = join '', map { /\A"(.*)"\z/s ? $1 : 'd' }
	    $pieces =~ /("(?:[^"\\]|\\.)*"|PRI\w+)/g;
	my $pattern = pattern($format =~ s/\\"/"/gr);

	$written{$pattern} //= "$place: $format" if defined $pattern;
}

my %macro;
my %text = map { $_ => text($_) } files(qr{\Asrc/.*\.[ch]\z});
for my $file (sort keys %text) {
	while ($text{$file} =~ /(?<!\w)log_(?:error|warning|notice)\(\s*($literal|[A-Z_]+)/g) {
		my ($format, $at) = ($1, $-[0]);
		my $line = 1 + (substr($text{$file}, 0, $at) =~ tr{\n}{});
		if ($format =~ /\A"/) {
			add("$file:$line", $format);
		} else {
			$macro{$format} = 1;
		}
	}
}
for my $file (sort keys %text) {
	while ($text{$file} =~ /^#define\s+([A-Z_]+)[\s\\]+($literal)/mg) {
		add($file, $2) if $macro{$1};
	}
}
cmp_ok(scalar keys %written, '>', 50, 'the sources write lines');

# Failures of cleaning and the report.
for ($text{'src/parent/maintenance.c'}) {
	while (/(?<!\w)fail\(p,\s*($literal)/g) {
		add('src/parent/maintenance.c', $1);
	}
}

my ($page) = text('man/policyd-rate-limit.8') =~ /^\.Sh DIAGNOSTICS\n(.*?)^\.Sh /ms;
my @told = map { s/\n\z//r =~ s/\n/ /gr =~ s/\\&//gr } $page =~ /^\.It\n((?:[^.].*\n)+)/mg;
my @explained = map { s/\\\(dq|\\"/"/gr } $page =~ /^\.It "(.*)"$/mg;
cmp_ok(scalar @told, '>', 50, 'the manual lists them');

# An explained line may end early.
sub explains {
	my ($pattern) = @_;

	for my $line (@explained) {
		return 1 if $line =~ /\A$pattern\z/;
		my ($begin) = $line =~ /\A(.{8,}?):? ?(?:\.\.\.)?\z/;
		return 1 if $pattern =~ /\A(?:\.\*)?(?:\\:\\ )?\Q@{[quotemeta $begin]}/;
	}
	return 0;
}

places_ok('each is in policyd-rate-limit(8)', map { $written{$_} }
    grep { my $p = $_; !(grep { /\A$p\z/ } @told) && !explains($p) } sort keys %written);
places_ok('which has no others', map { "man/policyd-rate-limit.8: $_" }
    grep { my $line = $_; !grep { $line =~ /\A$_\z/ } keys %written } @told);

# A number in front of a plural may be 1, unless it is a bound. "records deleted" is what
# version 1.x prints.
my @plurals;
for my $file (grep { /\.c\z/ } sort keys %text) {
	my $text = $text{$file} =~ s/log_fatal\([^;]*;/$& =~ tr{\n}{}cdr/gser;
	while ($text =~ /$literal/g) {
		my $format = join '', map { /\A"(.*)"\z/s ? $1 : 'd' }
		    $& =~ /("(?:[^"\\]|\\.)*"|PRI\w+)/g;
		push @plurals, "$file: $format" if $format =~ /(?<!than\ )(?<!the\ )(?<!to\ )(?<!or\ )(?<!=)
		    %[-0-9.*]*(?:l|ll|z|j)?[diu]\ (?!records\ deleted|is\b|was\b|lacks\b)[a-z]+s\b/x;
	}
}
places_ok('a number in front of a plural may be 1', @plurals);

done_testing;
