#!/usr/bin/perl
# The rules for Prometheus in promtool's own eyes: each alert is raised by figures that are
# bad and not by others, and what the metrics unit writes is a file for the node exporter.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl ctl_command);
use Packaging qw(output substituted);
use Policyd qw(need have_command slurp spew $root);

my $promtool = have_command('promtool');
need($promtool, 'promtool, of Prometheus');

my $rules = "$root/packaging/monitoring/alerts.yml";
my $cases = "$root/regress/packaging/alerts.yml";

like(output("$promtool check rules '$rules' 2>&1; echo status=\$?"), qr/^status=0$/m,
    'promtool reads the rules');
my $said = output("$promtool test rules '$cases' 2>&1; echo status=\$?");
like($said, qr/^status=0$/m, 'each alert does what its cases say') or diag($said);

# What a case expects, by alert: raised, and not raised.
my %tried;
for (split /^ +- (?=alertname:)/m, slurp($cases)) {
	my ($alert) = /\Aalertname: (\w+)/ or next;
	$tried{$alert}{/^ +exp_alerts:/m ? 'raised' : 'quiet'} = 1;
}
my @alerts = slurp($rules) =~ /^ +- alert: (\w+)$/mg;
cmp_ok(scalar @alerts, '>', 5, 'there are alerts');
is(join(' ', grep { !$tried{$_}{raised} || !$tried{$_}{quiet} } @alerts), '',
    'each alert has a case that raises it and one that does not');

my $d = Policyd->start(config => { limits => [[2, 60]], fail_action => 'reject full' });

# A comparison of series with different labels matches nothing, which a case shows.
my $worse = slurp($rules) =~ s/sum by \(instance, job\) (\(increase\(\w+_requests_total)/$1/gr;
spew("$d->{dir}/alerts.yml", $worse);
spew("$d->{dir}/cases.yml", slurp($cases) =~ s{^ +- \S+/alerts\.yml$}{  - alerts.yml}mr);
like(output("$promtool test rules '$d->{dir}/cases.yml' 2>&1; echo status=\$?"),
    qr/PolicydRateLimitNobodyAsks.*^status=1$/ms, 'promtool notices a label that does not match');

# --- what the unit writes ---

my $sbin = "$d->{dir}/sbin";
my $to = "$d->{dir}/collector";
mkdir $_ or die "$_: $!" for $sbin, $to;
spew("$sbin/policyctl", join(' ', "#!/bin/sh\nexec", ctl_command($d), '"$@"') . "\n", 0755);
my $unit = substituted("$root/systemd/policyd-rate-limit-metrics.service.in", SBINDIR => $sbin);
my ($script) = $unit =~ m{^ExecStart=/bin/sh -c '([^']*)'$}m;
ok($script, 'the unit has a command');
$script =~ s/\$\$/\$/g;
my $named = () = $unit =~ m{^\w+=(?:DIRECTORY=|-)?/var/lib/prometheus/node-exporter$}mg;
is($named, 3, 'the unit names its directory in three lines');

sub collect {
	local $ENV{DIRECTORY} = $to;
	my ($status) = $d->run_command('/bin/sh', '-c', $script);

	opendir(my $dh, $to) or die "$to: $!";
	return ($status, join ' ', sort grep { !/^\.+\z/ } readdir $dh);
}

sub ok_text {
	my ($name) = @_;
	my $text = output("$promtool check metrics <'$to/policyd.prom' 2>&1; echo status=\$?");

	# 3: no fault, advice on names.
	like($text, qr/^status=[03]$/m, "$name: promtool reads it");
	is(join("\n", grep { !/counter metrics should have|^status=/ } split /\n/, $text), '',
	    "$name: with its types") or diag($text);
}

$d->ask(sasl_username => 'bob') for 1 .. 3;
is_deeply([collect()], [0, 'policyd.prom'], 'the command writes the file');
ok_text('all is well');
my $text = slurp("$to/policyd.prom");
like($text, qr/^# TYPE policyd_rate_limit_answers_total counter$/m,
    'the file has the type of a counter');
like($text, qr/^policyd_rate_limit_answers_total\{verdict="refused"\} 1$/m,
    'the file has the value of the counter');
unlike($text, qr/^# (?:UNIT|EOF)/m, 'the file has nothing of the OpenMetrics format');
$d->stop;
my ($status, $files) = collect();
isnt($status, 0, 'without a daemon the command fails');
is(slurp("$to/policyd.prom"), $text, 'without a daemon the last file stays');

done_testing;
