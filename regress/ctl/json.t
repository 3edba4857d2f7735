#!/usr/bin/perl
# policyctl -j: each member of each command's object is described in policyctl(8).

use strict;
use warnings;

use JSON::PP;
use Test::More;

use Ctl qw(ctl);
use Policyd qw(slurp spew $root);

# The words of each command's item in the section JSON OUTPUT.
my ($section) = slurp("$root/man/policyctl.8") =~ /^\.Sh JSON OUTPUT\n(.*?)^\.Sh /ms;
my %described;
while ($section =~ /^\.It Cm (\w+)\n(.*?)(?=^\.It|^\.El)/gms) {
	my ($command, $text) = ($1, $2);
	$described{$command} = { map { $_ => 1 } $text =~ /(\w+)/g };
}
# Those of show are as in list, those of explain as in show.
$described{show} = { %{$described{list}}, %{$described{show}} };
$described{explain} = { %{$described{show}}, %{$described{explain}} };

my $d = Policyd->start(config => { rules => [
    { name => 'user', key => 'sasl_username', limits => [[3, 3600]], lock => { for => 600 },
    max_per_mail => 50 },
    { name => 'habit', key => 'sasl_username', count => 'new_recipients',
    unfamiliar => 7 * 86400, learn => 90 * 86400, limits => [[30, 86400]] },
    { name => 'spam', key => 'sasl_username', count => 'external', limits => [[5, 3600]] }],
    exempt => ['vip'] });
my $file = "$d->{dir}/new.conf";

spew($file, "rules = [{'name': 'user', 'key': 'sasl_username', 'limits': [[2, 60]]}]\n");
$d->ask(sasl_username => 'bob') for 1 .. 5;
$d->ask(sasl_username => 'ann');

for my $words (['status'], ['show', 'bob'], ['show', 'vip'], ['show', 'nobody'],
    ['grant', 'user:bob', 5, '1h'], ['block', 'ann', '1h', 'why'], ['list'], ['top'],
    ['top', '--by', 'refused'], ['top', '--group', 'domain'], ['why', 'bob'],
    ['explain', 'sasl_username=bob', 'protocol_state=RCPT'],
    ['explain', 'sasl_username=ann', 'protocol_state=RCPT'],
    ['explain', 'sasl_username=joe', 'protocol_state=RCPT', 'client_address=192.0.2.1',
    'recipient=x@example.org'], ['try'], ['try', $file], ['reset', 'user:ann'],
    ['ungrant', 'user:bob'], ['unblock', 'ann'], ['charge', 'spam:ann', 9, 'i'],
    ['trust', 'ann', '192.0.2.0/24'], ['forget', 'ann', '1h'], ['metrics'], ['reload'],
    ['report'], ['clean'], ['log', 'brief'], ['status', '-q'], ['nonsense'], ['show'],
    ['grant', 'bob', 1, 'soon'], ['try', '/nowhere']) {
	my ($status, $out) = ctl($d, '-j', @$words);
	my $object = eval { decode_json($out) };
	my $known = $described{$words->[0]} // { text => 1 };
	my %seen;

	$known = { error => 1, exit_status => 1 } if ref $object && exists $object->{error};
	for my $name (ref $object ? keys %$object : ()) {
		$seen{$name} = 1;
		next if ref $object->{$name} ne 'ARRAY';
		$seen{$_} = 1 for map { keys %$_ } @{$object->{$name}};
	}
	ok(%seen, "@$words: an object") or diag($out);
	is_deeply([grep { !$known->{$_} } sort keys %seen], [], 'and its members are described');
}
$d->ends_well;

done_testing();
