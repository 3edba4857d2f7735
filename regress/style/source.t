# How the C reads, as far as a program can tell.

use strict;
use warnings;

use Test::More;

use Style qw(files text lines code places_ok $root);

use constant {
	COLUMNS => 80,
	FILE_LINES => 600,
	FUNCTION_LINES => 60,
	TEST_LINES => 1000,		# of what only tests: a list of many cases
	ABOUT => 1.1,			# "about": a tenth more is noted, not failed
};

# Files and functions that may be longer, each with its reason.
my %longer = (
);

my @c = files(qr{\A(?:src|compat|regress)/.*\.[ch]\z});
my @source = grep { m{\A(?:src|compat)/} } @c;

# Tabs of eight, and each character of UTF-8 one column.
sub width {
	my ($line) = @_;

	utf8::decode($line);
	1 while $line =~ s/\t/' ' x (8 - $-[0] % 8)/e;
	return length $line;
}

# file:line of each line that the code finds wrong.
sub find_lines {
	my ($wrong, $get, @files) = @_;
	my @places;

	for my $file (@files) {
		my $n = 0;
		for (split /\n/, $get->($file), -1) {
			$n++;
			push @places, "$file:$n: $_" if $wrong->($_, $file);
		}
	}
	return @places;
}

# [name, first line, length] of each function: its name begins a line, and so do the
# braces of its body.
sub functions {
	my ($file) = @_;
	my (@found, $name, $start);
	my $n = 0;

	for (split /\n/, code($file), -1) {
		$n++;
		if (defined $start) {
			next if !/^\}/;
			push @found, [$name, $start, $n - $start - 1];
			undef $start;
			undef $name;
		} elsif (/^(\w+)\(/) {
			$name = $1;
		} elsif (/^\{/ && defined $name) {
			$start = $n;
		} elsif (/^\S/ && !/^[{#\/]/) {
			undef $name;
		}
	}
	return @found;
}

ok(@source > 20, 'the sources are there');

places_ok('80 columns', find_lines(sub { width($_[0]) > COLUMNS }, \&text, @c));
places_ok('no trailing blanks', find_lines(sub { $_[0] =~ /[ \t\r]$/ }, \&text,
    @c, files(qr{\.(?:pl|pm|t|sh|mk|md|[1-9])\z|\Aetc/})));
places_ok('indented with tabs', find_lines(sub { $_[0] =~ /^\t* {8}/ },
    \&text, @c));
places_ok('files end with one newline',
    grep { text($_) !~ /[^\n]\n\z/ } @c, files(qr{\.(?:pl|pm|t|sh|mk)\z}));
places_ok('no // comments', find_lines(sub { $_[0] =~ m{//} }, \&code, @c));
places_ok('no typedef for a struct or enum',
    find_lines(sub { $_[0] =~ /\btypedef\s+(?:struct|enum|union)\b/ }, \&code, @c));
places_ok('a return type has a line of its own',
    find_lines(sub { $_[0] =~ /^(?:static |const |struct |unsigned )*
	\w+[ \t*]+\w+\([^;]*\)\s*\{/x }, \&code, grep { /\.c\z/ } @c));
places_ok('no pragma, no attribute to silence a warning',
    find_lines(sub { $_[0] =~ /#\s*pragma|__attribute__\s*\(\(\s*_*unused/ },
    \&code, @c));

my (@long, @noted);
for my $file (@c) {
	my $n = () = text($file) =~ /\n/g;
	my $limit = $longer{$file} //
	    ($file =~ m{\Aregress/} ? TEST_LINES / ABOUT : FILE_LINES);
	push @long, "$file: $n lines" if $n > $limit * ABOUT;
	push @noted, "$file: $n lines" if $n > $limit && $n <= $limit * ABOUT;
}
places_ok('files of about 600 lines at the most', @long);

@long = ();
for my $file (@c) {
	for (functions($file)) {
		my ($name, $start, $n) = @$_;
		my $limit = $longer{"$file $name"} // FUNCTION_LINES;
		my $place = "$file:$start: $name has $n lines";
		push @long, $place if $n > $limit * ABOUT;
		push @noted, $place if $n > $limit && $n <= $limit * ABOUT;
	}
}
places_ok('functions of about 60 lines at the most', @long);
note("a little over: $_") for @noted;
cmp_ok(scalar(map { functions($_) } @source), '>', 100, 'functions were found');

# --- what is not called ---

my @forbidden = qw(atoi atol atoll atof sprintf vsprintf strcpy strcat strncat gets
    strtok system popen tmpnam tempnam mktemp alloca setjmp longjmp
    asctime ctime gmtime localtime rand srand random srandom vfork);
my $forbidden = join '|', @forbidden;
places_ok('no function that has a better one',
    find_lines(sub { $_[0] =~ /\b(?:$forbidden)\s*\(/ }, \&code,
    # What attacks the sandbox calls what it likes.
    grep { !m{\Aregress/sandbox/} } @c));
places_ok('numbers of strangers are parsed by num.c or strtonum',
    find_lines(sub { $_[0] =~ /\b(?:strtol|strtoul|strtoll|strtoull|sscanf)\s*\(/ },
    \&code, grep { !m{\Asrc/(?:lib/num|conf/)} } @source));

# --- systems ---

places_ok('systems are told apart in src/sandbox and compat only',
    find_lines(sub { $_[0] =~ /^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*
	(?:__\w*(?:linux|BSD|bsd|sun|APPLE|CYGWIN|GLIBC)\w*|\bBSD\b|_WIN32)/x },
    \&text, grep { !m{\A(?:src/sandbox|compat)/} } @c));

# --- what must not be left in ---

places_ok('nothing unfinished', find_lines(sub {
	$_[0] =~ /\b(?:TODO|FIXME|XXX|HACK)\b|\bnot (?:yet )?(?:implemented|supported)\b/
    }, \&text, grep { $_ ne 'regress/style/source.t' }
    @c, files(qr{\.(?:pl|pm|t|sh|mk|conf|[1-9])\z})));

# A page that is cited is one of the project's.
{
	my %page = map { m{([^/]+)\z} ? ($1 => 1) : () } files(qr{\.md\z});
	places_ok('every page that is cited is there', find_lines(sub {
		grep { !$page{$_} } $_[0] =~ /\b(\w+\.md)\b/g
	    }, \&text, files(qr{\A(?!regress/style/).*\.(?:[ch]|pl|pm|t|sh|mk|md|conf|[1-9])\z})));
}

# Only this machine's: the tree itself, and where it stands.
my @machine = ("$root/");
(my $above = $root) =~ s{/[^/]+\z}{};
push @machine, "$above/" if $above =~ m{\A/[^/]+\z|/.+/} &&
    $above !~ m{\A/(?:home|root|usr|tmp|var|opt|srv|mnt)?\z};
my $machine = join '|', map { quotemeta } @machine;
places_ok('no path of this machine', find_lines(sub {
	$_[0] =~ /(?<![\w.\/])(?:$machine)/ || $_[0] =~ m{/home/\w+/}
    }, \&text, grep { $_ ne 'regress/style/source.t' &&
	!/\.(?:d|o|a|log)\z/ } files(qr{.})));

done_testing;
