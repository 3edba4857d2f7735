# -n and the rest of the command line: what is said, where, and with which status. What a
# file may say is in golden.t.

use strict;
use warnings;

use Socket;
use Test::More;

use Conf qw(run_program run_config $dir);
use Policyd qw(spew as_root);

# --- the command line ---

for (['-h'], ['--help'], ['-h', '--nothing'], ['-nh']) {
	my $r = run_program(@$_);
	is($r->{status}, 0, "@$_: status");
	like($r->{out}, qr/\Ausage: policyd-rate-limit \[-bdhnV\] \[-f file\] /, "@$_");
	like($r->{out}, qr/--get-config/, "@$_ names the options");
	is($r->{err}, '', "@$_: nothing on stderr");
}
for ('-V', '--version') {
	my $r = run_program($_);
	is($r->{status}, 0, "$_: status");
	like($r->{out}, qr/\Apolicyd-rate-limit \d+\.\d+\.\d+\n\z/, $_);
}
for (['-x'], ['--nothing'], ['-f'], ['--file'], ['--get-config'], ['operand'], ['-n', 'x'],
    ['-n', '--', 'x'], ['--debug=1'], ['-n', '--clean'], ['-n', '--get-config', 'debug'],
    ['--clean', '--get-config', 'debug'], ['--clean', '-b']) {
	my $r = run_program(@$_);
	is($r->{status}, 1, "@$_: status");
	is($r->{out}, '', "@$_: nothing on stdout");
	like($r->{err}, qr/^usage: /m, "@$_: usage on stderr");
}

# --- -n ---

for my $text ('', "# yaml\n", "# yaml\n---\n", "limits = [[1, 1]]\n", "# yaml\ndebug: no\n") {
	for my $option ('-n', '--configtest') {
		my $r = run_config($text, $option);
		is($r->{status}, 0, 'good: status');
		is($r->{out}, "configuration OK\n", 'good: said');
		is($r->{err}, '', 'good: nothing else');
	}
}

my $r = run_config("report_to = 5\nlimits = 7\ndebug = 9\n", '-n');
is($r->{status}, 5, 'errors: status');
is($r->{out}, '', 'errors: nothing on stdout');
like($r->{err}, qr{\A\@dir\@/test\.conf:1:13:\ error:\ report_to\ .*\n
    \@dir\@/test\.conf:2:10:\ error:\ limits\ .*\n
    \@dir\@/test\.conf:3:9:\ error:\ debug\ .*\n\z}x, 'errors: all of them, in order');

$r = run_config("# yaml\nlimits: 7\ndebug: 9\n", '-n');
is($r->{status}, 5, 'errors in YAML: status');
like($r->{err}, qr{\A\@dir\@/test\.yaml:2:9:\ error:\ limits\ .*\n
    \@dir\@/test\.yaml:3:8:\ error:\ debug\ .*\n\z}x, 'errors in YAML: both');

# As 1.2.0 took them.
for my $text ('debug: null', 'report: ~', 'limit_by_ip: null', 'smtp_starttls: null',
    'report_only_if_needed: null', 'report_subject: null', 'report_subject: ""',
    'smtp_server: ["localhost", "25"]') {
	is(run_config("# yaml\n$text\n", '-n')->{out}, "configuration OK\n", $text);
}
for my $text ('smtp_tls_verify: null', 'limits: null', 'smtp_server: ["localhost", "smtp"]') {
	is(run_config("# yaml\n$text\n", '-n')->{status}, 5, "$text is an error");
}

for my $text ("socket_permision = 0o660\n", "# yaml\nsocket_permision: 0660\n") {
	$r = run_config($text, '-n');
	is($r->{status}, 5, 'an unknown name: status');
	is($r->{out}, '', 'an unknown name: nothing on stdout');
	like($r->{err}, qr/error: .*"socket_permision".*"socket_permission"/,
	    'an unknown name: the nearest one');
}
$r = run_config("mysql_config = {'pasword': 'x'}\n", '-n');
is($r->{status}, 5, 'an unknown keyword: status');
like($r->{err}, qr/"pasword".*did you mean "password"/, 'an unknown keyword');

$r = run_config("rules = [{'name': 'a', 'key': 'sender', 'limits': [], 'colour': 1}]\n", '-n');
is($r->{status}, 5, 'an unknown field of a rule: status');
like($r->{err}, qr/: error: .*"colour"/, 'an unknown field of a rule is an error');

for my $name (qw(exempt_recipients retention_days skip_same_domain sql_report)) {
	$r = run_config("$name = 1\n", '-n');
	is($r->{status}, 5, "$name: status");
	like($r->{err}, qr/:1:1: error: "$name" .* this one does not have its function$/m,
	    "$name is said to be another edition's");
}

$r = run_config("count_mode = 0\n", '-n');
is($r->{status}, 0, 'advice: status');
is($r->{out}, "configuration OK\n", 'advice: good all the same');
like($r->{err}, qr/\A\@dir\@\/test\.conf:1:14: warning: count_mode 0 /, 'advice: given');

$r = run_config("user = 'no-such-user'\nsocket_group = 'no-such-group'\n", '-n');
is($r->{status}, 0, 'users that are not here: status');
like($r->{err}, qr/:1:8: warning: .*"no-such-user".*:2:16: warning: .*"no-such-group"/s,
    'users that are not here: said');

$r = run_config("limits = [[1, 1]\n", '-n');
is($r->{status}, 5, 'what is no literal: status');
like($r->{err}, qr/\A\@dir\@\/test\.conf:\d+:\d+: /, 'what is no literal: the place');
$r = run_config("# yaml\nlimits: [[1, 1]\n", '-n');
is($r->{status}, 5, 'what is no YAML: status');
like($r->{err}, qr/\A\@dir\@\/test\.yaml:\d+:\d+: /, 'what is no YAML: the place');

# A terminal is not told what to do by a file.
$r = run_config("a\x1b[31mb = 1\ndebug = 'x\x07'\n'\x1b]0;x\x07' = 2\n", '-n');
is($r->{status}, 5, 'control characters: status');
unlike($r->{err}, qr/[\x00-\x09\x0b-\x1f\x7f]/, 'control characters: none on stderr');

# --- status 4 ---

for my $socket ('["localhost", 10031]', '5', 'None', '[]', '""', '["127.0.0.1"]',
    '["127.0.0.1", "10031"]', '["/a", ["x", 1]]') {
	$r = run_config("SOCKET = $socket\n", '-n');
	is($r->{status}, 4, "-n with SOCKET = $socket");
	$r = run_config("SOCKET = $socket\n");
	is($r->{status}, 4, "a start with SOCKET = $socket");
	like($r->{err}, qr/test\.conf:1:\d+: error: SOCKET /,
	    'the error names the place of SOCKET');
}
is(run_config("SOCKET = ['x', 1]\ndebug = 5\n", '-n')->{status}, 5,
    'SOCKET is not all that is wrong');
is(run_config("SOCKET = ['127.0.0.1', 99999]\n", '-n')->{status}, 5,
    'a port out of range');
$r = run_config("SOCKET = ['no.address', 10031]\n", '-n');
is($r->{status}, 5, 'an address that is none: status');
like($r->{err}, qr/"no\.address" is not an address/, 'an address that is none: said');

# Postfix's notation, and other things that are no path: what to write is said.
for (['unix:/a/b' => 'write "/a/b"'], ['UNIX:/a/b' => 'write "/a/b"'],
    ['local:/a/b' => 'write "/a/b"'], ['unix:a/b' => 'write "/path" or'],
    ['unix:' => 'write "/path" or'], ['tcp:x' => 'write "/path" or'],
    ['inet:127.0.0.1:10031' => 'write ["127.0.0.1", 10031]'],
    ['inet:[::1]:10031' => 'write ["::1", 10031]'],
    ['[::1]:10031' => 'write ["::1", 10031]'],
    ['127.0.0.1:10031' => 'write ["127.0.0.1", 10031]'],
    ['inet:10031' => 'write ["127.0.0.1", 10031]'],
    ['localhost:10031' => 'write ["127.0.0.1", 10031]'],
    ['inet:localhost:10031' => 'write ["127.0.0.1", 10031]'],
    [' /a/b' => 'a blank'], ['/a/b ' => 'a blank'], ["/a/b\\t" => 'a blank']) {
	my ($socket, $advice) = @$_;
	for my $text (qq{"$socket"}, qq{["/c", "$socket"]}, qq{["$socket", ["::1", 9]]}) {
		$r = run_config("SOCKET = $text\n", '-n');
		is($r->{status}, 4, "SOCKET = $text: status");
		like($r->{err}, qr/:1:\d+: error: SOCKET .*\Q$advice\E/, "SOCKET = $text: advice");
	}
	$r = run_config("control_socket = '$socket'\n", '-n');
	is($r->{status}, 5, "control_socket = '$socket': status");
	like($r->{err}, qr/:1:18: error: control_socket .*\Q$advice\E/,
	    "control_socket = '$socket': advice");
}
for ('SOCKET = "a/b"', 'SOCKET = "b"', 'SOCKET = ["/c", "./b"]', 'control_socket = "b"',
    'pidfile = "a/b"') {
	$r = run_config("$_\n", '-n');
	is($r->{status}, 0, "$_: status");
	like($r->{err}, qr/: warning: .* is a path relative to/, "$_: a relative path is warned about");
}
for (':memory:', '', 'file:/a/b?mode=memory', '/a/', '/a/.', '..', ':x') {
	$r = run_config("sqlite_config = {'database': '$_'}\n", '-n');
	is($r->{status}, 5, "database '$_': status");
	like($r->{err}, qr/:1:\d+: error: sqlite_config must have the path of a file as "database"/,
	    "database '$_' is no file");
}
for ('"stderr"', '"syslog"', 'None') {
	is(run_config("log = $_\n", '-n')->{status}, 0, "log = $_");
}
is(run_config("log = $_\n", '-n')->{status}, 5, "log = $_") for '"x"', '1', '""';
is(run_config("pidfile = None\n", '-n')->{out}, "configuration OK\n", 'pidfile = None');

# --- files ---

$r = run_program('-f', "$dir/missing.conf", '-n');
is($r->{status}, 5, 'no such file');
like($r->{err}, qr/\A\@dir\@\/missing\.conf: .*No such file/, 'no such file: said');
is(run_program('-f', $dir, '-n')->{status}, 5, 'a directory');
is(run_program('-f', '', '-n')->{status}, 5, 'an empty name');

$r = run_config({ mode => 0666 }, "debug = True\n", '-n');
is($r->{status}, as_root() ? 5 : 0, 'a file that everybody may write: status');
like($r->{err}, qr/everybody may write/, 'a file that everybody may write: said');
$r = run_config({ mode => 0644 }, "smtp_credentials = ['u', 'hush']\n", '-n');
is($r->{status}, 0, 'a password that everybody may read: status');
like($r->{err}, qr/warning: smtp_credentials/, 'a password that everybody may read: said');
unlike($r->{err}, qr/hush/, 'a password is not printed');
for my $text ("smtp_credentials = ['u', 'hush', 'hush']\n",
    "pgsql_config = {'password': ['hush']}\n", "smtp_credentials = 'hush'\n") {
	$r = run_config($text, '-n');
	is($r->{status}, 5, 'a wrong password setting: status');
	unlike($r->{err}, qr/hush/, 'the error does not show the wrong password');
}

# A start says the same, with the same status.
$r = run_config("debug = 5\nlimits = 6\n");
is($r->{status}, 5, 'a start with a wrong configuration: status');
like($r->{err}, qr/:1:9: error: debug .*:2:10: error: limits /s, 'a start: all faults');

SKIP: {
	skip 'not root', 3 if !as_root();
	skip 'no user nobody', 3 if !defined getpwnam 'nobody';
	spew("$dir/x.conf", "pidfile = '/root/pid'\n", 0644);
	$r = run_program({ as => 'nobody' }, '-f', "$dir/x.conf", '-n');
	is($r->{status}, 0, 'without root: status');
	is($r->{out}, "configuration OK\n", 'without root: good');
	spew("$dir/x.conf", "debug = True\n", 0600);
	is(run_program({ as => 'nobody' }, '-f', "$dir/x.conf", '-n')->{status}, 5,
	    'a file that may not be read');
}

# What the daemon reads as its user must be readable by him.
SKIP: {
	skip 'not root', 12 if !as_root();
	skip 'no user nobody', 12 if !defined getpwnam 'nobody';
	my $user = "user = 'nobody'\ngroup = '" . getgrgid((getpwnam 'nobody')[3]) . "'\n";
	my $file = "$dir/ca.pem";
	for ("smtp_tls_cafile = '$file'\n",
	    "backend = 'pgsql'\npgsql_config = {'sslrootcert': '$file'}\n",
	    "backend = 'mysql'\nmysql_config = {'ssl': {'ca': '$file'}}\n",
	    "backend = 'mysql'\nmysql_config = {'read_default_file': '$file'}\n") {
		spew($file, '', 0600);
		$r = run_config("$user$_", '-n');
		is($r->{status}, 5, "a file that only root can read: $_");
		like($r->{err}, qr/error: \w+ ".*ca\.pem": Permission denied .* user "nobody"/,
		    'it is named');
		spew($file, '', 0644);
		is(run_config("$user$_", '-n')->{status}, 0, 'a file that the user can read');
	}
}

done_testing;
