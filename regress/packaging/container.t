#!/usr/bin/perl

# The container file: two stages, no root, paths that exist, and a valid configuration.
# Its steps are not run here.

use strict;
use warnings;

use Test::More;

use Packaging qw(output);
use Policyd qw(slurp $root);

my $place = "$root/packaging/container";
my $text = slurp("$place/Containerfile");
$text =~ s/^#.*\n//mg;
$text =~ s/\\\n\s*/ /g;
my @steps = map { [split ' ', $_, 2] } grep { /\S/ } split /\n/, $text;

my %known = map { $_ => 1 } qw(FROM RUN COPY WORKDIR USER VOLUME EXPOSE STOPSIGNAL
    HEALTHCHECK ENTRYPOINT);
is(join(' ', grep { !$known{$_} } map { $_->[0] } @steps), '', 'every instruction is known');
is((grep { $_->[0] eq 'FROM' } @steps), 2, 'the image is built in two stages');
for (grep { $_->[0] eq 'RUN' } @steps) {
	is(system('sh', '-n', '-c', $_->[1]), 0, 'each RUN is valid for sh(1)');
}
my %last = map { @$_ } @steps;
like($last{USER}, qr/^[1-9]\d*:[1-9]\d*$/, 'the last stage does not run as root');
like($last{HEALTHCHECK}, qr/CMD policyctl .*status -q \|\| \[ \$\? -eq 1 \]$/,
    'the health check accepts the statuses 0 and 1');
for (map { split ' ', $_->[1] } grep { $_->[0] eq 'COPY' && $_->[1] !~ /^--from/ } @steps) {
	next if m{\A/};
	ok(-e "$root/$_", "$_ is there");
}
is(output("'$root/build/policyd-rate-limit' -n -f '$place/policyd-rate-limit.conf' 2>&1"),
    "configuration OK\n", 'the configuration is valid');

done_testing();
