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

done_testing;
