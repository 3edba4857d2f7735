# The manual pages: clean mdoc, with the sections that a reader looks for.

use strict;
use warnings;

use Test::More;

use Policyd qw(have_command need);
use Style qw(files text places_ok $root);

my @pages = files(qr{\Aman/.*\.[1-9]\z});

need(scalar @pages, 'no manual page is written yet');
need(have_command('mandoc'), 'mandoc');

my %sections = (
	8 => ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'FILES', 'EXIT STATUS', 'EXAMPLES',
	    'DIAGNOSTICS', 'SEE ALSO', 'CAVEATS'],
	5 => ['NAME', 'DESCRIPTION', 'FILES', 'EXAMPLES', 'SEE ALSO'],
);

for my $page (@pages) {
	my ($section) = $page =~ /(\d)\z/;
	my @found = map { /^\.Sh (.*?)\s*$/ ? $1 =~ s/"//gr : () }
	    split /\n/, text($page);

	open my $fh, '-|', "cd '$root' && mandoc -T lint -W style '$page' 2>&1"
	    or die "mandoc: $!";
	# Which other pages this system has is nothing of ours.
	my @faults = grep { !/referenced manual not found|outdated mandoc\.db/ }
	    map { s/\n//r } <$fh>;
	close $fh;
	places_ok("$page is clean", @faults);
	places_ok("$page has its sections", grep { my $want = $_;
	    !grep { $_ eq $want } @found } @{$sections{$section} // []});
	my $n = 0;
	my @many;
	for (split /\n/, text($page)) {
		$n++;
		push @many, "$page:$n: $_"
		    if !/^[.']/ && /[a-z]{3}[.?!] +[A-Z][a-z]/;
	}
	places_ok("$page has one sentence a line", @many);
}

# What the program makes in a database is described.
{
	my $daemon = text('man/policyd-rate-limit.8');
	my %made;

	for my $file (files(qr{\Asrc/ledger/.*\.c\z})) {
		# One string is several literals.
		my $sql = text($file) =~ s/"\s+"//gr;
		$made{$1} //= $file while $sql =~
		    /CREATE\ (?:OR\ REPLACE\ )?(?:UNIQUE\ )?(?:TABLE|INDEX|SEQUENCE|
		    TRIGGER|FUNCTION)\ (?:IF\ NOT\ EXISTS\ )?(?!ON\b|IF\b)(\w+)/gx;
	}
	cmp_ok(scalar keys %made, '>=', 20, 'what is made is found in the sources');
	places_ok('policyd-rate-limit(8) describes each table, index and trigger',
	    map { "$made{$_}: $_" } grep { $daemon !~ /^\.(?:It )?Ic \Q$_\E\b/m }
	    sort keys %made);
}

done_testing;
