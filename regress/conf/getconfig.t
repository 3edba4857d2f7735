# --get-config: what scripts ask, in both syntaxes, with and without root.

use strict;
use warnings;

use Test::More;

use Conf qw(run_program run_config get_config table $dir);
use Policyd qw(spew as_root);

# --- every setting has its default in an empty file ---

my @table = table();
for (@table) {
	my ($name, undef, $default) = @$_;
	# Strings are printed bare, and no default has anything to escape.
	$default =~ s/\A'(.*)'\z/$1/;
	for my $text ("# nothing\n", "# yaml\n") {
		my $want = $name eq 'config_file' ?
		    "$dir/test." . ($text =~ /yaml/ ? 'yaml' : 'conf') : $default;
		is(get_config($text, $name), $want, "default of $name");
	}
}

# --- how values print ---

my $conf = <<'END';
debug = 1
limits = ([3, 60], (200, 24 * 3600))
backend = PGSQL_DB
socket_permission = 0o640
fail_action = "reject it's \"full\""
mysql_config = {"user": "u", "ssl": {"ca": "/ca.pem"}, "port": 3307}
limits_by_id = {"bob@example.org": [[1, 2]], "10.0.0.0/8": []}
SOCKET = ("127.0.0.1", 10031)
report_to = ["a@b", 'c@d']
db_timeout = 0.25
count_mode = "auto"
report_from = None
END
my $yaml = <<'END';
# yaml
debug: 1
limits: [[3, 60], [200, 86400]]
backend: 2
socket_permission: 0640
fail_action: reject it's "full"
mysql_config: {user: u, ssl: {ca: /ca.pem}, port: 3307}
limits_by_id:
    bob@example.org: [[1, 2]]
    10.0.0.0/8: []
    42: [[5, 5]]
SOCKET: [127.0.0.1, 10031]
report_to: [a@b, c@d]
db_timeout: 0.25
count_mode: auto
report_from: ~
END
my @both = (
	debug => '1',
	backend => '2',
	socket_permission => '416',
	fail_action => 'reject it\'s "full"',
	'mysql_config.user' => 'u',
	'mysql_config.ssl' => "{'ca': '/ca.pem'}",
	'mysql_config.ssl.ca' => '/ca.pem',
	'mysql_config.port' => '3307',
	'limits_by_id.bob@example.org' => '[[1, 2]]',
	'limits_by_id.10.0.0.0/8' => '[]',
	report_to => "['a\@b', 'c\@d']",
	db_timeout => '0.25',
	report_from => 'None',
	limit_by_sasl => 'True',
	limit_by_ip => 'False',
	success_action => 'dunno',
	sql_limits_by_id => '',
	'sqlite_config.database' => '/var/lib/policyd-rate-limit/db.sqlite3',
);
while (my ($name, $want) = splice @both, 0, 2) {
	is(get_config($conf, $name), $want, "$name from .conf");
	is(get_config($yaml, $name), $want, "$name from .yaml");
}
is(get_config($conf, 'limits'), '([3, 60], (200, 86400))', 'tuples stay tuples');
is(get_config($yaml, 'limits'), '[[3, 60], [200, 86400]]', 'lists of YAML');
is(get_config($conf, 'SOCKET'), "('127.0.0.1', 10031)", 'a pair');
is(get_config($yaml, 'SOCKET'), "['127.0.0.1', 10031]", 'a pair of YAML');
is(get_config($yaml, 'limits_by_id.42'), '[[5, 5]]', 'a number as key');
is(get_config($conf, 'limits_by_id'),
    "{'bob\@example.org': [[1, 2]], '10.0.0.0/8': []}", 'a dictionary');
is(get_config("limited_netword = ['::/0']\n", 'limited_networks'), "['::/0']",
    'the old spelling is the same setting');

# --- what is not there ---

for my $name ('nothing', 'mysql_config.nothing', 'limits.0', 'DEBUG', '', '.', 'debug.x',
    'mysql_config.', 'mysql_config.ssl.key') {
	my $r = run_config($conf, '--get-config', $name);
	is($r->{status}, 1, "'$name': status");
	is($r->{out}, '', "'$name': nothing on stdout");
	is($r->{err}, "$name not found\n", "'$name': stderr");
}

# --- other ways to say it ---

spew("$dir/x.conf", "debug = False\n", 0644);
is(run_program("--file=$dir/x.conf", '--get-config=debug')->{out}, 'False', 'with =');
is(run_program('--get-config', 'debug', '--file', "$dir/x.conf")->{out}, 'False',
    'in another order');
is(run_program("-f$dir/x.conf", '--get-config', 'config_file')->{out}, "$dir/x.conf",
    'the path in use');

# --- trouble ---

my $r = run_config("user = 'no-such-user'\ngroup = 'no-such-group'\n",
    '--get-config', 'user');
is($r->{status}, 0, 'a user that does not exist: status');
is($r->{out}, 'no-such-user', 'a user that does not exist: stdout');
like($r->{err}, qr/\A\@dir\@\/test\.conf:1:8: warning: .*"no-such-user"/,
    'a user that does not exist: stderr');
like($r->{err}, qr/:2:9: warning: .*"no-such-group"/, 'and a group');

$r = run_config("debug = 7\nlimits = 5\n", '--get-config', 'debug');
is($r->{status}, 5, 'a wrong configuration: status');
is($r->{out}, '', 'a wrong configuration: stdout');
like($r->{err}, qr/test\.conf:1:9: error: debug .*test\.conf:2:10: error: limits /s,
    'a wrong configuration: stderr');
is(run_config("SOCKET = ['x', 1]\n", '--get-config', 'debug')->{status}, 4,
    'a wrong SOCKET');
$r = run_program('-f', "$dir/missing.conf", '--get-config', 'debug');
is($r->{status}, 5, 'no such file: status');
like($r->{err}, qr/\A\@dir\@\/missing\.conf: /, 'no such file: stderr');
is(run_config("limits_by_ids = {}\n", '--get-config', 'debug')->{out}, 'True',
    'an unknown name is no hindrance');
is(run_config("count_mode = 0\n", '--get-config', 'count_mode')->{err}, '',
    'advice is not for scripts');

SKIP: {
	skip 'no /dev/full', 2 if !-c '/dev/full';
	$r = run_program({ stdout => '/dev/full' }, '-f', "$dir/x.conf", '--get-config',
	    'debug');
	is($r->{status}, 6, 'an output that cannot be written: status 6');
	isnt($r->{err}, '', 'an output that cannot be written is reported');
}

SKIP: {
	skip 'not root', 3 if !as_root();
	skip 'no user nobody', 3 if !defined getpwnam 'nobody';
	spew("$dir/x.conf", "user = 'root'\nSOCKET = '/nowhere/x'\n", 0644);
	$r = run_program({ as => 'nobody' }, '-f', "$dir/x.conf", '--get-config', 'SOCKET');
	is($r->{status}, 0, 'without root: status');
	is($r->{out}, '/nowhere/x', 'without root: stdout');
	is($r->{err}, '', 'without root: stderr');
}

# --- the search ---

SKIP: {
	my $there = grep { -e "/etc/policyd-rate-limit.$_" } qw(conf yaml);
	skip 'a configuration is installed here', 2 if $there;
	$r = run_program('--get-config', 'config_file');
	is($r->{status}, 0, 'no configuration at all: status');
	is($r->{out}, '', 'no configuration at all: defaults');
}
my $home = "$dir/home";
mkdir $_ or die "$_: $!" for $home, "$home/.config";
spew("$home/.config/policyd-rate-limit.yaml", "debug: no\n", 0644);
is(run_program({ home => $home }, '--get-config', 'config_file')->{out},
    "$home/.config/policyd-rate-limit.yaml", 'the .yaml of this user');
is(run_program({ home => $home }, '--get-config', 'debug')->{out}, 'False',
    'is read as YAML');
spew("$home/.config/policyd-rate-limit.conf", "debug = True\n", 0644);
is(run_program({ home => $home }, '--get-config', 'config_file')->{out},
    "$home/.config/policyd-rate-limit.conf", 'the .conf comes first');
is(run_program({ home => $home }, '-f', "$dir/x.conf", '--get-config',
    'config_file')->{out}, "$dir/x.conf", '-f wins');

done_testing;
