#!/usr/bin/perl

# The maintainer scripts of the Debian package, with ucf(1) and its kin in a small play of
# their own: which configuration is there after an installation, an upgrade and a purge.
# The real thing is make debcheck.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

use Policyd qw(need have_command slurp spew $root);

need(defined have_command('dpkg'), 'dpkg');

my $dir = tempdir('policyd-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
my $sample = slurp("$root/etc/policyd-rate-limit.conf");

# As the manual page of ucf(1) says, as far as the scripts use it.
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
	'getent' => "exit 0\n",
	chgrp => 'printf "%s\n" "chgrp $*" >>"$PLAY/done"' . "\n",
	chmod => 'printf "%s\n" "chmod $*" >>"$PLAY/done"' . "\n",
	stat => 'printf "%s\n" "root:root:$MODE"' . "\n",
);
mkdir "$dir/bin";
spew("$dir/bin/$_", "#!/bin/sh\n$tool{$_}", 0755) for keys %tool;

# One life of /etc, beginning with these files.
sub life {
	my (%files) = @_;

	system('rm', '-rf', "$dir/etc", "$dir/share", "$dir/var");
	mkdir "$dir/$_" for qw(etc share var);
	spew("$dir/share/policyd-rate-limit.conf", $sample);
	spew("$dir/etc/$_", $files{$_}) for keys %files;
	spew("$dir/$_", '') for 'registry', 'done';
}

sub script {
	my ($name, %option) = @_;
	my $text = slurp("$root/packaging/debian/policyd-rate-limit.$name");

	$text =~ s{/usr/share/policyd-rate-limit}{$dir/share}g;
	$text =~ s{=/etc/}{=$dir/etc/}g;
	$text =~ s{(?<![\w/])/var/}{$dir/var/}g;
	$text =~ s/^#DEBHELPER#$//m or die "$name: no place for debhelper's part\n";
	spew("$dir/script", $text, 0755);
	local $ENV{PATH} = "$dir/bin:$ENV{PATH}";
	local $ENV{PLAY} = $dir;
	local $ENV{MODE} = $option{mode} // 640;
	return system('/bin/sh', "$dir/script", @{$option{args}}) == 0;
}

sub files { return join ' ', map { s{.*/}{}r } sort glob "$dir/etc/*" }

life();
ok(script('postinst', args => ['configure', '']), 'a fresh installation');
is(slurp("$dir/etc/policyd-rate-limit.conf"), $sample, 'has the sample');
spew("$dir/share/policyd-rate-limit.conf", "newer\n");
ok(script('postinst', args => ['configure', '2.0.0-1']), 'the next version');
is(slurp("$dir/etc/policyd-rate-limit.conf"), "newer\n", 'offers its own');
is(slurp("$dir/done"), '', 'and changes no mode');
ok(script('postrm', args => ['remove']), 'removed');
is(files(), 'policyd-rate-limit.conf', 'the configuration stays');
ok(script('postrm', args => ['purge']), 'purged');
is(files(), '', 'it goes');

for my $kind ('yaml', 'conf') {
	life("policyd-rate-limit.$kind" => "old\n");
	ok(script('postinst', args => ['configure', '1.0.1.1-2'], mode => 600),
	    "over the Python program with a .$kind");
	is(files(), "policyd-rate-limit.$kind", 'no other configuration comes before it');
	is(slurp("$dir/etc/policyd-rate-limit.$kind"), "old\n", 'and it is what it was');
	is(slurp("$dir/done"), "chgrp policyd-rate-limit $dir/etc/policyd-rate-limit.$kind\n" .
	    "chmod g+r $dir/etc/policyd-rate-limit.$kind\n", 'the daemon may read it');
	spew("$dir/done", '');
	ok(script('postinst', args => ['configure', '2.0.0-1'], mode => 600), 'and later');
	is(files(), "policyd-rate-limit.$kind", 'neither');
	is(slurp("$dir/done"), '', 'its mode is the administrator\'s');
	ok(script('postrm', args => ['purge']), 'purged');
	is(files(), "policyd-rate-limit.$kind", 'what is not ours stays');
}

life('policyd-rate-limit.yaml' => "old\n");
ok(script('postinst', args => ['configure', '1.0.1.1-2'], mode => 644),
    'a configuration that all may read');
is(slurp("$dir/done"), '', 'stays as it is');

done_testing();
