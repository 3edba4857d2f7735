#!/usr/bin/perl
# The metrics are OpenMetrics text, read by the rules of its specification.

use strict;
use warnings;

use JSON::PP;
use Test::More;

use Ctl qw(ctl ctl_json);
use Policyd qw(freeze slurp spew wait_until $root);

my $name = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $label = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"/;
# Of the types those that the older text format has too, which node_exporter reads.
my %suffixes = (
	counter => [qw(_total _created)],
	gauge => [''],
	histogram => [qw(_bucket _count _sum _created)],
);

# family => { type, samples => { "name{labels}" => value } }; dies of what is wrong.
sub parse {
	my ($text) = @_;
	my (%family, $current);

	$text =~ s/# EOF\n\z// or die "no end\n";
	for (split /\n/, $text, -1) {
		next if $_ eq '' && $text =~ /\n\z/;
		if (/\A# (TYPE|UNIT|HELP) ($name) (.*)\z/) {
			my ($kind, $which, $value) = ($1, $2, $3);
			if (!defined $current || $which ne $current) {
				die "$which is in pieces\n" if $family{$which};
				$current = $which;
			}
			my $f = $family{$which} //= {};
			die "$kind twice for $which\n" if exists $f->{$kind};
			die "$kind behind samples of $which\n" if $f->{samples};
			$f->{$kind} = $value;
			die "unit of $which\n"
			    if $kind eq 'UNIT' && $which !~ /_\Q$value\E\z/;
			die "type $value\n" if $kind eq 'TYPE' && !$suffixes{$value};
			next;
		}
		/\A($name)(\{$label(?:,$label)*\})? (-?[0-9]+(?:\.[0-9]+)?)\z/
		    or die "not a line: $_\n";
		my ($sample, $labels, $value) = ($1, $2 // '', $3);
		defined $current or die "a sample without a family\n";
		grep { $sample eq "$current$_" } @{$suffixes{$family{$current}{TYPE}}}
		    or die "$sample is not of $current\n";
		die "$sample$labels twice\n"
		    if exists $family{$current}{samples}{"$sample$labels"};
		die "negative $sample\n"
		    if $value < 0 && $family{$current}{TYPE} ne 'gauge';
		$family{$current}{samples}{"$sample$labels"} = $value;
	}
	return \%family;
}

my $d = Policyd->start(config => { limits => [[2, 60]], fail_action => 'reject full',
    db_timeout => 5 });
$d->ask(sasl_username => 'bob') for 1 .. 5;
$d->ask;
my ($status, $text) = ctl($d, 'metrics');
is($status, 0, 'policyctl metrics succeeds');
my $all = eval { parse($text) };
ok($all, 'the metrics are OpenMetrics text') or diag($@);

sub value {
	my ($family, $sample) = @_;

	return $all->{"policyd_rate_limit_$family"}{samples}{"policyd_rate_limit_$sample"};
}

is(value('requests', 'requests_total'), 7,
    'requests counts the 6 of this test and that of the wait for the start');
is(value('answers', "answers_total{verdict=\"$$_[0]\"}"), $$_[1],
    "answers counts $$_[1] of verdict $$_[0]")
    for ['accepted', 2], ['refused', 3], ['passed', 2], ['unavailable', 0];
is(value('rule_refusals', 'rule_refusals_total{rule="default"}'), 3,
    'refusals are counted by rule');
cmp_ok(value('ledger_charges', 'ledger_charges_total'), '>=', 5,
    'the charges of the ledger are counted');
is(value('ledger_cache_ids', 'ledger_cache_ids'), 1,
    'the ids in the cache of the ledger are counted');
is(value('database_up', 'database_up'), 1, 'database_up is 1');
is(value('database_state', "database_state{state=\"$_->[0]\"}"), $_->[1],
    "database_state \"$_->[0]\" is $_->[1]")
    for ['well', 1], ['in trouble', 0], ['away', 0], ['no answer', 0];
is(value('database_fault', 'database_fault{reason=""}'), 0,
    'the reason of database_fault is empty');
is(value('oldest_waiting_seconds', 'oldest_waiting_seconds'), '0.000000000',
    'oldest_waiting_seconds is 0 while no request waits');
is(value('reload_successful', 'reload_successful'), 1, 'reload_successful is 1 after the start');
my $since = value('reload_success_timestamp_seconds', 'reload_success_timestamp_seconds');
ok(abs(time - $since) < 300, 'the time of the last reload is that of the start');

my $h = $all->{policyd_rate_limit_answer_seconds};
my @buckets = map { [$_->[0] eq '+Inf' ? 9**9**9 : $_->[0], $_->[1]] }
    map { /_bucket\{le="(.*)"\}/ ? [$1, $h->{samples}{$_}] : () } keys %{$h->{samples}};
@buckets = sort { $a->[0] <=> $b->[0] } @buckets;
cmp_ok(scalar @buckets, '>', 10, 'answer_seconds has more than ten buckets');
is((grep { $buckets[$_][1] < $buckets[$_ - 1][1] } 1 .. $#buckets), 0,
    'each bucket has at least as many answers as the one before');
is($buckets[-1][1], 7, 'the last bucket has all answers');
is($h->{samples}{policyd_rate_limit_answer_seconds_count}, 7, 'the histogram counts all answers');
cmp_ok($h->{samples}{policyd_rate_limit_answer_seconds_sum}, '>', 0,
    'the histogram sums the times of the answers');

# The parser of this test refuses wrong texts.
for my $bad ($text =~ s/# EOF\n//r, "nonsense\n$text", $text =~ s/_total /_totals /r,
    $text =~ s/(\nd\S+ 2\n)/$1$1/r =~ s/_total\{verdict="passed"\}/{verdict="passed"}/r,
    $text =~ s/le="\+Inf"/le="+Inf/r) {
	ok(!eval { parse($bad) }, 'the parser refuses a wrong text');
}
my $j = ctl_json($d, 'metrics');
is(scalar @{$j->{metrics}}, scalar keys %$all, 'JSON has as many metrics as the text');

# The older format: the same samples, a counter's type with its whole name.
my ($prometheus) = (ctl($d, 'metrics', '-p'))[1];
my @same = grep { !/^#|_seconds|requests/ } split /\n/, $text;
is(join("\n", grep { !/^#|_seconds|requests/ } split /\n/, $prometheus), join("\n", @same),
    '-p has the same samples');
unlike($prometheus, qr/^# (?:UNIT|EOF)/m, '-p has no line that the older format does not know');
for my $family (sort keys %$all) {
	my $type = $all->{$family}{TYPE};
	my $named = $family . ($type eq 'counter' ? '_total' : '');
	like($prometheus, qr/^# TYPE $named $type\n# HELP $named \S/m,
	    "-p has type and help of $family");
}

# --- reloads, and requests that wait ---

my $generation = value('generation', 'generation');
my $good = slurp($d->{file});
spew($d->{file}, "nonsense\n");
is((ctl($d, 'reload'))[0], 3, 'the reload of a wrong file fails');
$all = parse((ctl($d, 'metrics'))[1]);
is(value('reload_successful', 'reload_successful'), 0,
    'reload_successful is 0 after a failed reload');
is(value('reload_success_timestamp_seconds', 'reload_success_timestamp_seconds'), $since,
    'the time of the last successful reload did not change');
my ($state, $line) = ctl($d, 'status', '-q');
is_deeply([$state, $line], [1, "degraded: the last reload failed\n"],
    'status is degraded after a failed reload');
is(ctl_json($d, 'status')->{reload_failed}, JSON::PP::true,
    'status -j has reload_failed');
spew($d->{file}, $good);
is((ctl($d, 'reload'))[0], 0, 'the reload of the correct file succeeds');
$all = parse((ctl($d, 'metrics'))[1]);
is(value('reload_successful', 'reload_successful'), 1,
    'reload_successful is 1 after a successful reload');
cmp_ok(value('generation', 'generation'), '>', $generation,
    'generation rises with a successful reload');
is((ctl($d, 'status', '-q'))[0], 0, 'status is well after a successful reload');

freeze($d->child('ledger-sqlite'));
my $client = $d->connect;
$client->send(Policyd::request(sasl_username => 'eve'));
ok(wait_until { $all = parse((ctl($d, 'metrics'))[1]);
    value('oldest_waiting_seconds', 'oldest_waiting_seconds') > 0.001 },
    'oldest_waiting_seconds rises while the ledger is stopped');
is(value('database_state', 'database_state{state="no answer"}'), 1,
    'database_state is "no answer" while the ledger is stopped');
is(value('database_up', 'database_up'), 0, 'database_up is 0 while the ledger is stopped');
kill 'CONT', $d->child('ledger-sqlite');
is($client->answer, 'dunno', 'the waiting request is answered once the ledger continues');
ok(wait_until { $all = parse((ctl($d, 'metrics'))[1]); value('database_up', 'database_up') },
    'database_up is 1 once the ledger continues');
$d->ends_well;

# --- dashboard, alerts and manual ---

my %there = map { s/\{.*//sr => 1 } map { keys %{$_->{samples}} } values %$all;
my %labels;
for my $sample (map { keys %{$_->{samples}} } values %$all) {
	my ($metric) = $sample =~ /\A(\w+)/;
	$labels{$metric}{$_} = 1 for $sample =~ /[{,](\w+)=/g;
}

sub ok_known {
	my ($what, $said) = @_;
	my @used = $said =~ /\b(policyd_rate_limit_\w+)/g;
	my %strange = map { $_ => 1 } grep { !$there{$_} } @used;

	cmp_ok(scalar @used, '>', 3, "$what names metrics");
	is(join(' ', sort keys %strange), '', "$what names no metric that does not exist");
	my @wrong;
	while ($said =~ /\b(policyd_rate_limit_\w+)\{([^}]*)\}/g) {
		my ($metric, $matchers) = ($1, $2);
		push @wrong, "$metric: $_"
		    for grep { $_ ne 'instance' && !$labels{$metric}{$_} } $matchers =~ /(\w+)=/g;
	}
	is("@wrong", '', "$what uses no label that a metric does not have");
	return { map { $_ => 1 } @used };
}

my $dashboard = decode_json(slurp("$root/packaging/monitoring/grafana.json"));
my @expressions = map { $_->{expr} } map { @{$_->{targets}} } @{$dashboard->{panels}};
my $shown = ok_known('the dashboard', join "\n", @expressions);
is(join(' ', grep { !$shown->{$_} && !/_(?:sum|count)\z/ } sort keys %there), '',
    'the dashboard shows every metric');
for my $e (@expressions) {
	my ($open, $close) = (scalar($e =~ tr/(//), scalar($e =~ tr/)//));
	is($open, $close, "the brackets match: $e") if $open != $close;
	my @rated = $e =~ /rate\((\w+)/g;
	is((grep { !/_(?:total|bucket)\z/ } @rated), 0, "a rate is of a counter: $e")
	    if grep { !/_(?:total|bucket)\z/ } @rated;
}
my %id = map { $_->{id} => 1 } @{$dashboard->{panels}};
is(scalar keys %id, scalar @{$dashboard->{panels}}, 'no two panels of the dashboard have one id');
ok_known('the alerts', slurp("$root/packaging/monitoring/alerts.yml"));
ok_known('the manual', slurp("$root/man/policyctl.8"));

done_testing;
