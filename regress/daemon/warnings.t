#!/usr/bin/perl
# Every child accepts a configuration that the parent accepts with a warning: each warning
# in the sources is provoked at a start and at a reload, with requests in flight. A warning
# without an example here fails.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl);
use Policyd qw(literal slurp $root);

# Fixed parts of the text of every warning in src/conf, in their order.
sub warnings_of {
	my ($file) = @_;
	my $source = slurp($file);
	my @found;

	while ($source =~ /\b(?:fault_warning|fault_unknown|reader_warning|reader_unknown|
	    advise_setting)(\((?:[^()"]++|"(?:[^"\\]|\\.)*+"|(?1))*+\))\s*;/gx) {
		my $call = $1;
		my @strings;
		while ($call =~ /((?:"(?:[^"\\]|\\.)*"\s*)+)/g) {
			my $pieces = $1;
			push @strings, join '', $pieces =~ /"((?:[^"\\]|\\.)*)"/g;
		}
		# The name of the setting, and words of a choice, are strings of their own.
		my ($text) = sort { length $b <=> length $a } @strings;
		next if !defined $text;
		$text =~ s/\\(.)/$1/g;
		push @found, $text if $text ne '%s' && $text ne '%s %s';
	}
	return @found;
}

# A conversion such as %s matches any text.
sub pattern_of {
	my ($text) = @_;
	my @parts = split /%(?:%|[.*]*\w+|[lz]+[ud])/, $text, -1;

	return join '.*', map { quotemeta } @parts;
}

my %warnings = map { my $file = $_; map { ($_ => $file) } warnings_of($file) }
    glob "$root/src/conf/*.c";
cmp_ok(scalar keys %warnings, '>', 30, 'the sources have warnings');

# Warnings that come only with an error, only without root, or only with -n.
my $elsewhere = join '|', 'looks like', 'everybody may write to this file',
    'counts at (?:RCPT|DATA)', 'counts no login without', 'should be asked in smtpd_recipient_restrictions';
delete $warnings{$_} for grep { /$elsewhere/ } keys %warnings;

# Lines of a configuration that is accepted with a warning.
my @examples = (
	'colour = 1', 'socket_permision = 0o660', 'sql_report = 1', 'config_file = "x"',
	'limits = [[9, 60]]; limits = [[8, 60]]', 'limits_by_id = {"a": [], "a": []}',
	'limited_netword = []; limited_networks = []',
	'mysql_config = {"pasword": "x"}', 'mysql_config = {"xyzzyxyzzy": "x"}',
	'mysql_config = {"use_unicode": True}', 'pgsql_config = {"async": 1}',
	'smtp_credentials = ["u", "hush"]',
	'smtp_credentials = ["u", "p"]; smtp_server = ["mail.example.org"]; report = True; ' .
	    'report_to = "a@b.example"',
	'rules = [{"name": "a", "key": "sender", "limits": [], "colour": 1}]',
	'rules = [{"name": "a", "key": "sender", "limits": [], "limit": 1}]',
	'rules = [{"name": "a", "key": "sender", "limits": [], 5: 1}]',
	'limits_by_id = {"Bob": [], "bob": []}',
	'limits_by_id = {"192.0.2.0/24": []}; ipv4_prefix = 16',
	'success_action = "PREPEND X-Seen: yes"; count_mode = "auto"',
	'block_action = "reject over {limit}"',
	'success_action = "dunno {id}"', 'fail_action = "reject {xyzzyxyzzy}"',
	'fail_action = "reject {retry_aftr}"', 'fail_action = "dunno"', 'fail_action = "ok"',
	'success_action = "prepend X-Limit: none"', 'count_mode = 2; ' .
	    'rules = [{"name": "a", "key": "sender", "limits": [], "max_per_mail": 5}]',
	'pidfile = "relative"', 'xyzzyxyzzy = 1',
	'rules = [{"name": "a", "key": "sender", "limits": [], "xyzzyxyzzy": 1}]',
	'SOCKET = ["127.0.0.1", 0]; socket_user = "root"; socket_group = "root"',
	'SOCKET = ["0.0.0.0", 0]', 'allowed_clients = ["192.0.2.0/24"]',
	'socket_user = None; delay_to_close = 10', 'count_mode = 0',
	'limit_by_sasl = False', 'limited_networks = ["192.0.2.0/24"]', 'limit_by_ip = True',
	'report_immediately = True', 'report = True',
	'report = True; report_to = "a@b.example"; report_limits = [77]',
	'report = True; report_to = "a@b.example"; limits = [[1, 60]]',
	'report = True; report_to = "a@b.example"; smtp_tls_cafile = "/x"',
	'report = True; report_to = "a@b.example"; smtp_tls = "none"; smtp_starttls = True',
	'report_user_domains = ["example.org"]',
	'report_user = "{id}"; report_user_domains = ["example.org"]',
	'report_user = "{id}"; report = True',
	'report_user = "{id}"; report = True; limit_by_sasl = False; limit_by_sender = True',
	# The last one, since no policyctl can reload after it.
	'control_socket = None; control_group = "root"',
);
# Examples in YAML.
my $yaml = "delay_to_close: 1200\ndelay_to_close: 1201\n5: 1\n";

sub text_of {
	my ($d, $example) = @_;
	my $all = $d->settings;
	my @lines = split /; /, $example;

	delete $all->{$_} for map { /(\w+) =/ } @lines;
	return join '', map { "$_\n" } @lines, map { "$_ = " . literal($all->{$_}) }
	    sort keys %$all;
}

# Python's literals here are valid YAML, quoted strings too.
sub yaml_of {
	my ($d) = @_;
	my $all = $d->settings;

	return $yaml . join '', map { "$_: " . literal($all->{$_}) . "\n" } sort keys %$all;
}

my %seen;

sub note_warnings {
	my ($when, $text) = @_;

	for my $warning (keys %warnings) {
		my $pattern = pattern_of($warning);
		$seen{$warning}{$when} = 1 if $text =~ /warning: .*$pattern/;
	}
}

sub address_of {
	my ($example) = @_;

	return $example =~ s/(?<=", )0(?=\])/Policyd::free_port(Socket::AF_INET)/er;
}

# The daemon starts and serves with each example.
sub started {
	my ($example, %option) = @_;
	my $d = Policyd->new(%option);
	my ($port) = $example =~ /SOCKET = \["[\d.]+", (\d+)\]/;

	$d->{config} = $example eq $yaml ? yaml_of($d) : text_of($d, $example);
	$d->{endpoints} = [['127.0.0.1', $port]] if $port;
	$d->{prepare} = sub { chdir $d->{dir} };
	$d->write_config;
	$d->start;
	is($d->ask(sasl_username => 'bob', sender => 'a@b.example'), 'dunno',
	    "a start with $example") if $example !~ /fail_action|success_action/;
	note_warnings(start => $d->log);
	if ($example eq $yaml) {
		my ($status, $said) = ctl($d, 'reload');
		is($status, 0, 'policyctl reload succeeds');
		note_warnings(reload => $said);
	}
	is($d->stop, 0, 'the daemon stops with status 0');
	unlike($d->log, qr/settings of the parent|died of|ended with status/,
	    'no child refuses the configuration or dies');
}

my @all = map { address_of($_) } @examples;

subtest 'at-a-start' => sub {
	started($_) for @all;
	started($yaml, syntax => 'yaml');
};

subtest 'at-a-reload' => sub {
	my $d = Policyd->new;

	$d->{prepare} = sub { chdir $d->{dir} };
	$d->start;
	my %children = %{$d->children};

	for my $example (@all) {
		my $mark = $d->log_mark;
		$d->write_config(text_of($d, $example));
		$d->hear;
		my ($status, $said) = ctl($d, 'reload');
		is($status, 0, "a reload with $example") or diag($said);
		note_warnings(reload => $said);
		like($d->log_since($mark), qr/warning: /, 'the warning is logged');
		if ($example !~ /SOCKET/) {
			ok(defined $d->ask(sasl_username => 'bob', sender => 'a@b.example'),
			    'a request is answered');
		} else {
			delete $d->{client};
		}
	}
	is_deeply($d->children, { %children, 'ledger-sqlite' => $d->children->{'ledger-sqlite'} },
	    'no child has died');
	$d->write_config({});
	$d->stop;
};

for my $warning (sort keys %warnings) {
	for my $when ('start', 'reload') {
		ok($seen{$warning}{$when}, "at a $when: $warning");
	}
}

done_testing();
