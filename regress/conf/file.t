# Which file is read, and which is not: the search path, what a name says about the
# syntax, who may write to it and who may read it.

use strict;
use warnings;

use File::Path qw(make_path);
use POSIX qw(mkfifo);
use Test::More;

use Conf qw(run_program $dir);
use Policyd qw(spew as_root);

my $group = (getgrnam 'nogroup')[2] // (getgrnam 'nobody')[2] // 65534;

sub config_of {
	my ($option, $name, @file) = @_;

	return run_program($option, (map { ('-f', $_) } @file), '--get-config', $name);
}

sub ok_reads {
	my ($file, $what) = @_;
	my $r = config_of({}, 'delay_to_close', $file);

	is("$r->{status} $r->{out} $r->{err}", '0 1234 ', $what);
}

sub ok_refuses {
	my ($file, $why, $what, $option) = @_;
	my $r = config_of($option // {}, 'delay_to_close', $file);

	is($r->{status}, 5, "$what: status");
	is($r->{out}, '', "$what: nothing on stdout");
	like($r->{err}, $why, "$what: said");
}

# What -n says beside that all is well.
sub said_about {
	my ($file, $option) = @_;
	my $r = run_program($option // {}, '-f', $file, '-n');

	return $r->{status} == 0 ? $r->{err} : "status $r->{status}: $r->{err}";
}

# --- the search path ---

my $home = "$dir/home";
make_path("$home/.config", "$dir/empty");
chmod 0755, $home, "$home/.config";
my ($conf, $yaml) = map { "$home/.config/policyd-rate-limit.$_" } qw(conf yaml);

spew($yaml, "delay_to_close: 1111\n", 0644);
my $r = config_of({ home => $home }, 'delay_to_close');
is("$r->{status} $r->{out}", '0 1111', 'the .yaml of the home directory');
$r = config_of({ home => $home }, 'config_file');
is($r->{out}, $yaml, 'config_file names it');

spew($conf, "delay_to_close = 2222\n", 0644);
$r = config_of({ home => $home }, 'delay_to_close');
is("$r->{status} $r->{out}", '0 2222', 'the .conf comes before it');
$r = config_of({ home => $home }, 'config_file');
is($r->{out}, $conf, 'config_file names that');

spew("$dir/named.conf", "delay_to_close = 1234\n", 0644);
$r = config_of({ home => $home }, 'delay_to_close', "$dir/named.conf");
is("$r->{status} $r->{out}", '0 1234', '-f comes before both');

spew($conf, "delay_to_close = many\n", 0644);
$r = config_of({ home => $home }, 'delay_to_close');
is($r->{status}, 5, 'a wrong file stops the search');
like($r->{err}, qr{\A\@dir\@/home/\.config/policyd-rate-limit\.conf:1:18: },
    'and it is named');

unlink $conf, $yaml;
symlink "$dir/named.conf", $conf;
$r = config_of({ home => $home }, 'delay_to_close');
is("$r->{status} $r->{out}", '0 1234', 'a symbolic link is followed');
unlink $conf;
mkdir $conf;
$r = config_of({ home => $home }, 'delay_to_close');
is($r->{status}, 5, 'a directory in its place: status');
like($r->{err}, qr/a directory/, 'a directory in its place: said');
rmdir $conf;

# --- what is no configuration ---

ok_refuses("$dir/missing.conf", qr{\A\@dir\@/missing\.conf: .*No such file},
    'a missing file');
ok_refuses("$dir/named.conf/x", qr/Not a directory/, 'a file as a directory');
ok_refuses($dir, qr/a directory, not a file/, 'a directory');
ok_refuses('/dev/null', qr/not a regular file/, 'a device');
mkfifo("$dir/fifo.conf", 0600);
ok_refuses("$dir/fifo.conf", qr/not a regular file/, 'a FIFO nobody writes to');

spew("$dir/large.conf", "delay_to_close = 1234\n" . '#' x (8 << 20), 0600);
ok_refuses("$dir/large.conf", qr/larger than 8388608 bytes/, 'a very large file');
spew("$dir/large.conf", "delay_to_close = 1234\n" . '#' x ((8 << 20) - 22), 0600);
ok_reads("$dir/large.conf", 'one byte less would have done');
unlink "$dir/large.conf";

# --- the syntax by the name ---

for my $name (qw(x.conf x x.yaml.conf x.cfg .conf yaml)) {
	spew("$dir/$name", "delay_to_close = 1234\n", 0600);
	ok_reads("$dir/$name", "$name: name = value");
	unlink "$dir/$name";
}
for my $name (qw(x.yaml x.yml x.YAML x.conf.yaml)) {
	spew("$dir/$name", "delay_to_close: 1234\n", 0600);
	ok_reads("$dir/$name", "$name: YAML");
	unlink "$dir/$name";
}
spew("$dir/x.conf", "debug: True\ndelay_to_close: 1234\n", 0600);
$r = run_program('-f', "$dir/x.conf", '-n');
is($r->{status}, 5, 'YAML under the other name: status');
like($r->{err}, qr/x\.conf: warning: .*looks like YAML: let its name end in \.yaml/,
    'YAML under the other name: said');
spew("$dir/x.yaml", "debug = True\ndelay_to_close = 1234\n", 0600);
$r = run_program('-f', "$dir/x.yaml", '-n');
is($r->{status}, 5, 'name = value under the other name: status');
like($r->{err}, qr/x\.yaml: warning: .*looks like name = value: .* end in \.conf/,
    'name = value under the other name: said');

# --- who may read it ---

my %holds = (
	'mysql_config = {"passwd": "secret"}' => '1:16: warning: mysql_config',
	"debug = True\npgsql_config = {'host': 'x', 'password': 'secret'}" =>
	    '2:16: warning: pgsql_config',
	'smtp_credentials = ["user", "secret"]' => '1:20: warning: smtp_credentials',
	'pgsql_config = {"database": "postgresql://u:secret@h/x"}' =>
	    '1:16: warning: pgsql_config',
);
for my $text (sort keys %holds) {
	spew("$dir/secret.conf", "$text\n", 0644);
	my $said = said_about("$dir/secret.conf");
	like($said, qr/:\Q$holds{$text}\E holds a password/, 'readable by everybody');
	unlike($said, qr/secret(?!\.conf)/, 'the warning does not show the secret');
	chmod 0640, "$dir/secret.conf";
	unlike(said_about("$dir/secret.conf"), qr/holds a password/,
	    'readable by the group');
}
for my $text ('smtp_credentials = None', 'mysql_config = {"user": "x"}',
    'mysql_config = {"passwd": ""}', 'mysql_config = {"passwd": "*****"}',
    'pgsql_config = {"password": "*****"}', 'pgsql_config = {"database": "postgres"}',
    'smtp_credentials = ["user", "*****"]',
    'debug = True') {
	spew("$dir/open.conf", "$text\n", 0644);
	unlike(said_about("$dir/open.conf"), qr/holds a password/,
	    "nothing to hide: $text");
}

# --- who may write to it ---

my $file = "$dir/writers.conf";
spew($file, "delay_to_close = 1234\n", 0600);
SKIP: {
	skip 'only root refuses a file for its writers', 15 if !as_root;

	chown 0, 0, $file;
	for (0600, 0640, 0644, 0660, 0400) {
		chmod $_, $file;
		ok_reads($file, sprintf 'of root and its group, %04o', $_);
	}
	chmod 0602, $file;
	ok_refuses($file, qr/refused: everybody may write/, 'everybody may write');
	chown 0, $group, $file;
	chmod 0640, $file;
	ok_reads($file, 'a group may read');
	chmod 0660, $file;
	ok_refuses($file, qr/refused: gid $group may write/, 'a group may write');
	chmod 0600, $file;
	chown +(getpwnam 'nobody')[2], 0, $file;
	ok_refuses($file, qr/refused: it belongs to uid \d+/,
	    'a file of another user is refused');
	chown 0, 0, $file;
}
# Who may write to a directory on the way decides which file is found.
SKIP: {
	skip 'only root refuses a file for its directories', 32 if !as_root;
	my $uid = (getpwnam 'nobody')[2];
	my $refused = qr/: error: refused: another user decides what is found there: /;

	mkdir $_ for "$dir/way", "$dir/way/in", "$dir/other";
	spew("$dir/way/in/x.conf", "delay_to_close = 1234\n", 0600);
	symlink '../way/in', "$dir/other/link";
	symlink "$dir/way/in/x.conf", "$dir/other/x.conf";
	my @files = ("$dir/way/in/x.conf", "$dir/other/link/x.conf", "$dir/other/x.conf");
	ok_reads($_, 'only root may write to its directories') for @files;
	for my $case ([$uid, 0, 0755, qr/belongs to uid $uid$/], [0, 0, 0757, qr/can be written to by everybody$/],
	    [0, $group, 0775, qr/can be written to by gid $group$/]) {
		my ($owner, $gid, $mode, $why) = @$case;
		chown $owner, $gid, "$dir/way";
		chmod $mode, "$dir/way";
		ok_refuses($_, qr{$refused\@dir\@/way $why}m, "a directory above: $mode") for @files;
	}
	chown 0, $group, "$dir/way";
	for (01777, 01775, 0755) {
		chmod $_, "$dir/way";
		ok_reads($files[0], sprintf 'a directory of root, %04o', $_);
	}
	chmod 01777, "$dir/other";
	ok_reads($files[2], "root's link in a directory with the sticky bit");
	system 'chown', '-h', 'nobody', "$dir/other/link", "$dir/other/x.conf";
	# By the system too, where it protects symbolic links.
	ok_refuses($_, qr/$refused.* is a symbolic link of another user$|: Permission denied$/m,
	    'a link of another user')
	    for @files[1, 2];
}
SKIP: {
	skip 'only root can be somebody else', 7 if !as_root;
	my $nobody = { as => 'nobody', home => $home };

	chmod 0646, $file;
	like(said_about($file, $nobody), qr/: warning: everybody may write/,
	    'without root a warning');
	chmod 0600, $file;
	ok_refuses($file, qr/Permission denied/, 'not to be read', $nobody);

	# There, but not for us: that is not the same as missing.
	spew($conf, "delay_to_close = 2222\n", 0600);
	$r = config_of($nobody, 'delay_to_close');
	is($r->{status}, 5, 'found, not to be read: status');
	like($r->{err}, qr{\A\@dir\@/home/\.config/policyd-rate-limit\.conf: .*denied},
	    'found, not to be read: said');
	chmod 0700, "$home/.config";
	$r = config_of($nobody, 'config_file');
	isnt($r->{out}, $conf, 'a directory that is closed to us is passed by');
}

done_testing;
