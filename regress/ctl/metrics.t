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
is($status, 0, 'metrics');
my $all = eval { parse($text) };
ok($all, 'are OpenMetrics') or diag($@);

sub value {
	my ($family, $sample) = @_;

	return $all->{"policyd_rate_limit_$family"}{samples}{"policyd_rate_limit_$sample"};
}

is(value('requests', 'requests_total'), 7, 'requests: of the test that it is ready too');
is(value('answers', "answers_total{verdict=\"$$_[0]\"}"), $$_[1], "answers: $$_[0]")
    for ['accepted', 2], ['refused', 3], ['passed', 2], ['unavailable', 0];
is(value('rule_refusals', 'rule_refusals_total{rule="default"}'), 3, 'by rule');
cmp_ok(value('ledger_charges', 'ledger_charges_total'), '>=', 5, 'of the ledger');
is(value('ledger_cache_ids', 'ledger_cache_ids'), 1, 'and its memory');
is(value('database_up', 'database_up'), 1, 'and the database');
is(value('database_state', "database_state{state=\"$_->[0]\"}"), $_->[1], "state: $_->[0]")
    for ['well', 1], ['in trouble', 0], ['away', 0], ['no answer', 0];
is(value('database_fault', 'database_fault{reason=""}'), 0, 'no fault');
is(value('oldest_waiting_seconds', 'oldest_waiting_seconds'), '0.000000000', 'no request waits');
is(value('reload_successful', 'reload_successful'), 1, 'the configuration is in force');
my $since = value('reload_success_timestamp_seconds', 'reload_success_timestamp_seconds');
ok(abs(time - $since) < 300, 'since the start');

my $h = $all->{policyd_rate_limit_answer_seconds};
my @buckets = map { [$_->[0] eq '+Inf' ? 9**9**9 : $_->[0], $_->[1]] }
    map { /_bucket\{le="(.*)"\}/ ? [$1, $h->{samples}{$_}] : () } keys %{$h->{samples}};
@buckets = sort { $a->[0] <=> $b->[0] } @buckets;
cmp_ok(scalar @buckets, '>', 10, 'a histogram');
is((grep { $buckets[$_][1] < $buckets[$_ - 1][1] } 1 .. $#buckets), 0, 'that only rises');
is($buckets[-1][1], 7, 'to all answers');
is($h->{samples}{policyd_rate_limit_answer_seconds_count}, 7, 'which it counts');
cmp_ok($h->{samples}{policyd_rate_limit_answer_seconds_sum}, '>', 0, 'and sums up');

# The parser does see what is wrong.
for my $bad ($text =~ s/# EOF\n//r, "nonsense\n$text", $text =~ s/_total /_totals /r,
    $text =~ s/(\nd\S+ 2\n)/$1$1/r =~ s/_total\{verdict="passed"\}/{verdict="passed"}/r,
    $text =~ s/le="\+Inf"/le="+Inf/r) {
	ok(!eval { parse($bad) }, 'a fault is seen');
}
my $j = ctl_json($d, 'metrics');
is(scalar @{$j->{metrics}}, scalar keys %$all, 'the same as JSON');

# The older format: the same samples, a counter's type with its whole name.
my ($prometheus) = (ctl($d, 'metrics', '-p'))[1];
my @same = grep { !/^#|_seconds|requests/ } split /\n/, $text;
is(join("\n", grep { !/^#|_seconds|requests/ } split /\n/, $prometheus), join("\n", @same),
    '-p: the samples');
unlike($prometheus, qr/^# (?:UNIT|EOF)/m, 'nothing that the older format does not know');
for my $family (sort keys %$all) {
	my $type = $all->{$family}{TYPE};
	my $named = $family . ($type eq 'counter' ? '_total' : '');
	like($prometheus, qr/^# TYPE $named $type\n# HELP $named \S/m, "-p: $family");
}

# --- reloads, and requests that wait ---

my $generation = value('generation', 'generation');
my $good = slurp($d->{file});
spew($d->{file}, "nonsense\n");
is((ctl($d, 'reload'))[0], 3, 'a reload that fails');
$all = parse((ctl($d, 'metrics'))[1]);
is(value('reload_successful', 'reload_successful'), 0,
    'a failed reload shows in the metrics');
is(value('reload_success_timestamp_seconds', 'reload_success_timestamp_seconds'), $since,
    'the last good one too');
my ($state, $line) = ctl($d, 'status', '-q');
is_deeply([$state, $line], [1, "degraded: the last reload failed\n"], 'by status too');
is(ctl_json($d, 'status')->{reload_failed}, JSON::PP::true, 'in JSON');
spew($d->{file}, $good);
is((ctl($d, 'reload'))[0], 0, 'one that does not');
$all = parse((ctl($d, 'metrics'))[1]);
is(value('reload_successful', 'reload_successful'), 1,
    'a successful reload shows in the metrics');
cmp_ok(value('generation', 'generation'), '>', $generation, 'and counted');
is((ctl($d, 'status', '-q'))[0], 0, 'status is well again');

freeze($d->child('ledger-sqlite'));
my $client = $d->connect;
$client->send(Policyd::request(sasl_username => 'eve'));
ok(wait_until { $all = parse((ctl($d, 'metrics'))[1]);
    value('oldest_waiting_seconds', 'oldest_waiting_seconds') > 0.001 }, 'one waits');
is(value('database_state', 'database_state{state="no answer"}'), 1, 'the database is silent');
is(value('database_up', 'database_up'), 0, 'which is not well');
kill 'CONT', $d->child('ledger-sqlite');
is($client->answer, 'dunno', 'it was answered');
ok(wait_until { $all = parse((ctl($d, 'metrics'))[1]); value('database_up', 'database_up') },
    'and the database is well again');
$d->ends_well;

# --- what is told of them ---

my %there = map { s/\{.*//sr => 1 } map { keys %{$_->{samples}} } values %$all;
# A rule's refusals are there before one is; what takes a label has that label.
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
	is(join(' ', sort keys %strange), '', 'each of which there is');
	my @wrong;
	while ($said =~ /\b(policyd_rate_limit_\w+)\{([^}]*)\}/g) {
		my ($metric, $matchers) = ($1, $2);
		push @wrong, "$metric: $_"
		    for grep { $_ ne 'instance' && !$labels{$metric}{$_} } $matchers =~ /(\w+)=/g;
	}
	is("@wrong", '', 'with the labels that it has');
	return { map { $_ => 1 } @used };
}

my $dashboard = decode_json(slurp("$root/packaging/monitoring/grafana.json"));
my @expressions = map { $_->{expr} } map { @{$_->{targets}} } @{$dashboard->{panels}};
my $shown = ok_known('the dashboard', join "\n", @expressions);
is(join(' ', grep { !$shown->{$_} && !/_(?:sum|count)\z/ } sort keys %there), '',
    'and all are shown');
for my $e (@expressions) {
	my ($open, $close) = (scalar($e =~ tr/(//), scalar($e =~ tr/)//));
	is($open, $close, "brackets: $e") if $open != $close;
	my @rated = $e =~ /rate\((\w+)/g;
	is((grep { !/_(?:total|bucket)\z/ } @rated), 0, "rates are of what only rises: $e")
	    if grep { !/_(?:total|bucket)\z/ } @rated;
}
my %id = map { $_->{id} => 1 } @{$dashboard->{panels}};
is(scalar keys %id, scalar @{$dashboard->{panels}}, 'each panel is one of its own');
ok_known('the alerts', slurp("$root/packaging/monitoring/alerts.yml"));
ok_known('the manual', slurp("$root/man/policyctl.8"));

done_testing;
