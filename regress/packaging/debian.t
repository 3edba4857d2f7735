#!/usr/bin/perl

# The maintainer scripts of the Debian package, with fakes of ucf(1) and similar tools: the
# configuration after an installation, an upgrade and a purge. make debcheck tests a real
# package.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

use Policyd qw(need have_command slurp spew $root);

need(defined have_command('dpkg'), 'dpkg');

my $dir = tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
my $sample = slurp("$root/etc/policyd-rate-limit.conf");

# The options of ucf(1) that the scripts use, as its manual page describes them.
my %tool = (
	ucf => <<'END',
case $1 in
--three-way)	cp "$2" "$3" ;;
--purge)	sed -i '/./d' "$PLAY/registry" ;;
esac
END
	ucfr => <<'END',
case $1 in
--purge)	sed -i '/./d' "$PLAY/registry" ;;
*)		printf '%s\n' "$1" >"$PLAY/registry" ;;
esac
END
	ucfq => <<'END',
printf '%s:%s:Yes:No\n' "$2" "$(cat "$PLAY/registry")"
END
	'getent' => '[ "$2" = policyd-rate-limit ] || grep -q "^$2:" "/etc/$1"' . "\n",
	setpriv => 'exit ${UNREADABLE:-0}' . "\n",
	'systemd-sysusers' => "exit 0\n",
	'deb-systemd-invoke' => 'printf "%s\n" "$*" >>"$PLAY/services"' . "\n",
	'start-stop-daemon' => 'printf "%s\n" "$*" >>"$PLAY/services"' . "\n",
	chgrp => 'printf "%s\n" "chgrp $*" >>"$PLAY/done"' . "\n",
	chmod => 'printf "%s\n" "chmod $*" >>"$PLAY/done"' . "\n",
	stat => 'printf "%s\n" "root:root:$MODE"' . "\n",
);
mkdir "$dir/bin";
spew("$dir/bin/daemon", <<"END", 0755);
#!/bin/sh
for f in "\$PLAY/etc/policyd-rate-limit.conf" "\$PLAY/etc/policyd-rate-limit.yaml"; do
	[ ! -f "\$f" ] || exec '@{[Policyd::program()]}' -f "\$f" "\$@"
done
END
spew("$dir/bin/$_", "#!/bin/sh\n$tool{$_}", 0755) for keys %tool;

# Starts a test with these files in /etc.
sub life {
	my (%files) = @_;

	system('rm', '-rf', "$dir/etc", "$dir/share", "$dir/var");
	mkdir "$dir/$_" for qw(etc share var);
	spew("$dir/share/policyd-rate-limit.conf", $sample);
	spew("$dir/etc/$_", $files{$_}) for keys %files;
	spew("$dir/$_", '') for 'registry', 'done', 'services';
}

sub script {
	my ($name, %option) = @_;
	my $text = slurp("$root/packaging/debian/policyd-rate-limit.$name");

	$text =~ s{sh \S+/leftovers}{:};
	$text =~ s{/usr/share/policyd-rate-limit}{$dir/share}g;
	$text =~ s{=/usr/sbin/policyd-rate-limit}{=$dir/bin/daemon};
	$text =~ s{/usr/libexec/policyd-rate-limit}{$dir/libexec}g;
	$text =~ s{=/etc/}{=$dir/etc/}g;
	$text =~ s{(?<![\w/])/var/}{$dir/var/}g if $name ne 'postinst';
	$text =~ s/^#DEBHELPER#$//m or die "$name: no place for debhelper's part\n";
	spew("$dir/script", $text, 0755);
	local $ENV{PATH} = "$dir/bin:$ENV{PATH}";
	local $ENV{PLAY} = $dir;
	local $ENV{MODE} = $option{mode} // 640;
	local $ENV{UNREADABLE} = $option{unreadable} // 0;
	my $status = system("/bin/sh '$dir/script' @{$option{args}} >'$dir/said' 2>&1");
	return $status == 0;
}

sub files { return join ' ', map { s{.*/}{}r } sort glob "$dir/etc/*" }

life();
ok(script('postinst', args => ['configure', '']), 'postinst succeeds at a fresh installation');
is(slurp("$dir/etc/policyd-rate-limit.conf"), $sample,
    'a fresh installation has the sample configuration');
like(slurp("$dir/done"), qr/^chmod 0640 /m, 'the sample is not world-readable');
spew("$dir/done", '');
spew("$dir/share/policyd-rate-limit.conf", "newer\n");
ok(script('postinst', args => ['configure', '2.0.0-1']), 'postinst succeeds at an upgrade');
is(slurp("$dir/etc/policyd-rate-limit.conf"), "newer\n", 'an upgrade installs the new sample');
is(slurp("$dir/done"), '', 'an upgrade changes no mode');
ok(script('postrm', args => ['remove']), 'postrm succeeds at a removal');
is(files(), 'policyd-rate-limit.conf', 'a removal keeps the configuration');
ok(script('postrm', args => ['purge']), 'postrm succeeds at a purge');
is(files(), '', 'a purge deletes the configuration');

my %old = (yaml => "debug: no\n", conf => "debug = False\n");
for my $kind ('yaml', 'conf') {
	life("policyd-rate-limit.$kind" => $old{$kind});
	ok(script('postinst', args => ['configure', '1.0.1.1-2'], mode => 600),
	    "over the Python program with a .$kind");
	is(files(), "policyd-rate-limit.$kind", 'no other configuration is installed');
	is(slurp("$dir/etc/policyd-rate-limit.$kind"), $old{$kind},
	    'the configuration is unchanged');
	is(slurp("$dir/done"), "chgrp policyd-rate-limit $dir/etc/policyd-rate-limit.$kind\n" .
	    "chmod g+r $dir/etc/policyd-rate-limit.$kind\n", 'the daemon may read it');
	spew("$dir/done", '');
	ok(script('postinst', args => ['configure', '2.0.0-1'], mode => 600),
	    'postinst succeeds at a later upgrade');
	is(files(), "policyd-rate-limit.$kind",
	    'a later upgrade installs no other configuration');
	is(slurp("$dir/done"), '', 'its mode is the administrator\'s');
	ok(script('postrm', args => ['purge']),
	    'postrm succeeds at a purge of an older configuration');
	is(files(), "policyd-rate-limit.$kind",
	    "a purge keeps the old program's configuration");
}

life('policyd-rate-limit.yaml' => $old{yaml});
ok(script('postinst', args => ['configure', '1.0.1.1-2'], mode => 644),
    'postinst succeeds with a world-readable configuration');
is(slurp("$dir/done"), '', 'its mode is unchanged');

# --- settings of the Python program's service are kept in a drop-in ---

sub drop_ins {
	return { map { (split m{/}, $_)[-2] =~ s/\.d\z//r => slurp($_) =~ s/\A#.*\n//r }
	    glob "$dir/etc/systemd/system/*.d/upgrade.conf" };
}

sub taken_over {
	my ($yaml, %option) = @_;

	life('policyd-rate-limit.yaml' => $yaml);
	my $well = script('postinst', args => ['configure', '1.2.0-1.1'], %option);
	return $well ? drop_ins() : slurp("$dir/said");
}

is_deeply(taken_over("debug: no\n"), {}, 'the default paths need no drop-in');
like(slurp("$dir/services"), qr/^stop policyd|--stop/, 'the old service is stopped');
my %write = (
	'sqlite_config: {database: /srv/policyd/db.sqlite3}' =>
	    ['ReadWritePaths="-/srv/policyd"'],
	'sqlite_config: {database: "/home/a b/50%/db"}' =>
	    ['ProtectHome=no', 'ReadWritePaths="-/home/a b/50%%"'],
);
for my $line (sort keys %write) {
	my $want = join "\n", '[Service]', @{$write{$line}}, '';
	is_deeply(taken_over("$line\n"), { 'policyd-rate-limit.service' => $want,
	    'policyd-rate-limit-clean.service' => $want }, $line);
}
is_deeply(taken_over("user: daemon\ngroup: daemon\npidfile: /run/limits/pid\n"), {
	'policyd-rate-limit.service' => "[Service]\nGroup=daemon\n" .
	    "ReadWritePaths=\"-/run/limits\"\nRuntimeDirectory=limits\nUser=daemon\n",
	'policyd-rate-limit-clean.service' => "[Service]\nGroup=daemon\nUser=daemon\n",
}, 'drop-ins have user, group and pidfile');
my %socket = ('/run/x/policy' => ['/run/x/policy'],
	'["127.0.0.1", 10031]' => ['127.0.0.1:10031'],
	'["::1", 10031]' => ['[::1]:10031'],
	'[["::1", 1], /run/x/p, ["10.0.0.1", 2]]' => ['[::1]:1', '/run/x/p', '10.0.0.1:2']);
for my $socket (sort keys %socket) {
	my $want = join "\n", '[Socket]', 'ListenStream=',
	    (map { "ListenStream=$_" } @{$socket{$socket}}), 'FreeBind=yes',
	    'SocketUser=policyd-rate-limit', 'SocketGroup=policyd-rate-limit',
	    "SocketMode=0660\n";
	is(taken_over("SOCKET: $socket\nsocket_permission: 0660\n")->{'policyd-rate-limit.socket'},
	    $want, "drop-in for SOCKET $socket");
}
ok(script('postrm', args => ['upgrade', '1.2.0-1.1']), 'postrm succeeds at a downgrade to 1.x');
is_deeply(drop_ins(), {}, 'a downgrade removes the drop-ins');

# --- the upgrade stops with a message, and the Python program keeps running ---

for my $case (["backend: 1\n", qr/apt install policyd-rate-limit-mysql; then run/],
    ["backend: 2\n", qr/apt install policyd-rate-limit-pgsql; then run/],
    ["limits: [[\n", qr/is not taken over/],
    ["user: no-such-user\n", qr/user "no-such-user" of \S+ does not exist/],
    ["user: daemon\n", qr/user daemon must be able to read/, unreadable => 1]) {
	my ($yaml, $want, %option) = @$case;

	like(taken_over($yaml, %option), $want, $yaml =~ s/\n//r);
	is(slurp("$dir/services"), '', 'the old daemon is not stopped');
}

life('policyd-rate-limit.yaml' => "debug: no\n");
system('mkdir', '-p', "$dir/etc/systemd/system");
my $left = "$dir/etc/systemd/system/policyd-rate-limit.service";
spew($left, "[Service]\nExecStart=/usr/local/bin/policyd-rate-limit\n");
for my $version ('', '1.2.0-1.1') {
	ok(!script('postinst', args => ['configure', "'$version'"]),
	    'a unit that overrides ours stops the upgrade');
	like(slurp("$dir/said"), qr/\(rm \Q$left\E; systemctl daemon-reload\); then run/,
	    'the message has the command to run');
	is(slurp("$dir/services"), '', 'the old daemon goes on running');
	is_deeply(drop_ins(), {}, 'no drop-in is written');
}
unlink $left;
symlink '/dev/null', $left;
ok(script('postinst', args => ['configure', '1.2.0-1.1']), 'a mask is the administrator\'s will');

done_testing();
