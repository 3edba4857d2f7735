# The installed sample: good as it is, complete, and each default in it the real one.

use strict;
use warnings;

use Test::More;

use Conf qw(run_program run_config table rules_table $dir);
use Policyd qw(slurp spew $root);

my $sample = slurp("$root/etc/policyd-rate-limit.conf");
ok(length $sample, 'the sample is there');

# --- as installed ---

spew("$dir/sample.conf", $sample, 0644);
my $r = run_program('-f', "$dir/sample.conf", '-n');
is($r->{status}, 0, 'the sample is good');
is($r->{out}, "configuration OK\n", '-n prints that the sample is good');
# The group may be missing where the test runs.
is(join('', grep { !/there is no group "postfix"/ } $r->{err} =~ /^.*\n/mg), '',
    'there is nothing to say about it');

my %wanted = (
	debug => 'False',
	SOCKET => '/var/spool/postfix/ratelimit/policy',
	socket_permission => 0660,
	socket_group => 'postfix',
	db_error_action => 'memory',
	never_action => 'reject 5.5.3 This mail alone exceeds the limit of {limit}',
	ipv6_prefix => 64,
);
my @set = $sample =~ /^(\w+) = /mg;
is_deeply([sort @set], [sort keys %wanted], 'what a new installation should have');
for (sort keys %wanted) {
	is(run_program('-f', "$dir/sample.conf", '--get-config', $_)->{out}, $wanted{$_},
	    "$_ of a new installation");
}

# --- what is commented out ---

# `#name = value`, with the lines that its brackets take.
my (%default, @order);
my @lines = split /\n/, $sample;
while (defined(my $line = shift @lines)) {
	my ($name, $value) = $line =~ /^#(\w+) = (.*)/ or next;
	while ((() = $value =~ /[\[{(]/g) > (() = $value =~ /[\]})]/g)) {
		my $more = shift @lines;
		last if !defined $more || $more !~ s/^#//;
		$value .= "\n$more";
	}
	ok(!exists $default{$name}, "$name stands there once");
	$default{$name} = $value;
	push @order, $name;
}

my @table = table();
my @names = grep { !/^(?:config_file|limited_netword)$/ } map { $_->[0] } @table;
is_deeply([sort @order], [sort @names], 'no setting is missing, none is too much');
like($sample, qr/^#.*\b$_\b/m, "$_ is told of") for qw(config_file limited_netword);

my $all = join '', map { "$_ = $default{$_}\n" } grep { $_ ne 'rules' } @order;
$r = run_config($all, '-n');
is($r->{status}, 0, 'the defaults are good') or diag $r->{err};
for (@names) {
	is(run_config("$_ = $default{$_}\n", '--get-config', $_)->{out},
	    run_config('', '--get-config', $_)->{out}, "$_ has its real default");
}

# --- the examples in the text ---

my $examples = 0;
while ($sample =~ /^#\t(\w+) = (.*\n(?:#\t .*\n|#\t[\]}]\n)*)/mg) {
	my ($name, $text) = ($1, "$1 = $2");
	next if !grep { $_ eq $name } @names;
	$text =~ s/^#\t//mg;
	$r = run_config($text, '-n');
	is($r->{status}, 0, "the example of $name is good") or diag $text, $r->{err};
	$examples++;
}
cmp_ok($examples, '>=', 4, 'there are examples');

my ($rules) = $sample =~ /^#\trules = \[\n((?:#\t .*\n)+)#\t\]$/m;
like($rules // '', qr/"$_":/, "the example of rules has the field $_")
    for map({ $_->[0] } rules_table()), qw(for again except_recipients);
like($rules // '', qr/"count": "$_"/, "and a rule that counts $_")
    for qw(senders new_recipients external);

done_testing;
