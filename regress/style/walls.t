# The walls between the rooms: who includes whom, what stands in one file only, that a
# file exports nothing but names of its own, and that files of a room do not need each
# other in a circle.

use strict;
use warnings;

use Test::More;

use Policyd qw(have_command need);
use Style qw(files text code places_ok $root);

my @c = files(qr{\Asrc/.*\.[ch]\z});
ok(@c > 20, 'the sources are there');

# --- downward only ---

my @roles = qw(parent engine ledger report ctl);
my %below = (
	lib => [],
	ipc => [qw(lib)],
	conf => [qw(lib ipc)],
	decision => [qw(lib ipc)],
	sandbox => [qw(lib ipc)],
	role => [qw(lib ipc conf sandbox)],
	map { $_ => [qw(lib ipc conf decision sandbox role)] } @roles,
);
my (@upward, @unknown, @order, @foreign);
for my $file (@c) {
	my ($room) = $file =~ m{\Asrc/(\w+)/};
	if (!defined $room || !$below{$room}) {
		push @unknown, $file;
		next;
	}
	my $n = 0;
	my $ours = 0;
	for (split /\n/, text($file)) {
		$n++;
		next if !/^\s*#\s*include\s*([<"])([^>"]+)[>"]/;
		my ($kind, $name) = ($1, $2);
		push @order, "$file:$n: <$name> after one of ours"
		    if $kind eq '<' && $ours;
		next if $kind eq '<';
		$ours = 1;
		if ($name =~ m{\A(\w+)/}) {
			push @upward, "$file:$n: $name" if $1 ne $room &&
			    !grep { $_ eq $1 } @{$below{$room}};
			push @foreign, "$file:$n: $name" if !-f "$root/src/$name";
		} elsif (!-f "$root/compat/$name") {
			push @foreign, "$file:$n: $name";
		}
	}
}
places_ok('every source is in a room', @unknown);
places_ok('rooms include downward only, roles never each other', @upward);
places_ok('what the system has comes before what is ours', @order);
places_ok('ours are named from src, or stand in compat', @foreign);

# --- the folders of the databases ---

my @other;
for my $file (grep { m{\Asrc/ledger/} } @c) {
	my ($folder) = $file =~ m{\Asrc/ledger/(?!batch/)(\w+)/};
	# What every ledger has includes nothing of a database.
	my $may = !defined $folder ? qr{\A\z} : $folder eq 'sqlite' ||
	    $folder eq 'server' ? qr{\A$folder\z} : qr{\A(?:$folder|server)\z};
	push @other, map { $_ !~ $may ? "$file: ledger/$_/" : () }
	    text($file) =~ m{^#include "ledger/(?!batch/)(\w+)/}mg;
}
places_ok('a database of the ledger includes none of another', @other);

# --- one file each ---

my %home = (
	'sqlite3.h' => qr{\Asrc/ledger/sqlite/},
	'libpq-fe.h' => qr{\Asrc/ledger/pgsql/},
	'mysql.h' => qr{\Asrc/ledger/mysql/},
	'yaml.h' => qr{\Asrc/conf/syntax/yaml\.c\z},
	'openssl/' => qr{\Asrc/report/tls\.c\z},
	'seccomp.h' => qr{\Asrc/sandbox/},
	'event.h' => qr{\Asrc/engine/},
	'syslog.h' => qr{\Asrc/lib/log\.c\z},
);
for my $header (sort keys %home) {
	my $pattern = qr{<(?:\w+/)*\Q$header\E};
	my @in = grep { code($_) =~ /^\s*#\s*include\s*$pattern/m } @c;
	my @wrong = grep { $_ !~ $home{$header} } @in;
	places_ok("<$header> stays in its room", @wrong);
	next if $header eq 'event.h';
	places_ok("<$header> stands in one file", @in) if @in > 1;
}

sub only_in {
	my ($what, $home, @files) = @_;
	my @places;

	for my $file (grep { $_ !~ $home } @files) {
		my $n = 0;
		for (split /\n/, code($file)) {
			$n++;
			push @places, "$file:$n: $_" if /$what/;
		}
	}
	return @places;
}

places_ok('descriptors are passed by channel.c alone',
    only_in(qr/\b(?:SCM_RIGHTS|CMSG_\w+)\b/, qr{\Asrc/ipc/channel\.c\z}, @c));
places_ok('programs are started by the parent alone',
    only_in(qr/\b(?:exec[lv]p?e?|fexecve|posix_spawnp?|fork)\s*\(/,
    # The checkpointer is a copy of the ledger and no program: it is locked in like it.
    qr{\Asrc/(?:parent/|ledger/sqlite/checkpointer\.c\z)}, @c));
places_ok('only these files connect to a server',
    only_in(qr/(?<!->)\bconnect\s*\(/, qr{\Asrc/(?:lib/log\.c|parent/notify\.c
    |report/\w+\.c|ctl/\w+\.c)\z}x, @c));
places_ok('ids are changed in the sandbox room and the parent',
    only_in(qr/\b(?:setres?[ug]id|setgroups|initgroups|chroot)\s*\(/,
    qr{\Asrc/(?:sandbox|parent)/}, @c));

# --- one name each ---

my %named;
for my $file (@c, files(qr{\Acompat/.*\.[ch]\z})) {
	my ($path, $name) = $file =~ m{\A(.*/(\w+))\.\w\z} or next;
	# Each program has its own main.c.
	$named{$name}{$path} = 1 if $name ne 'main';
}
my %twice = map { $_ => join ' ', sort keys %{$named{$_}} }
    grep { keys %{$named{$_}} > 1 } sort keys %named;
places_ok('no two files have one name', map { $twice{$_} } sort keys %twice);

# --- the pure ones ---

my @pure = grep { m{\Asrc/(?:decision/\w+|engine/(?:request|apply)|lib/(?:window|num|str|addr)
    |conf/(?:syntax/(?:literal|expression|token|repr|utf8)|value|limits|rules)
    |report/(?:smtp|mail))\.c\z}x } @c;
cmp_ok(scalar @pure, '>=', 8, 'pure files are there');
places_ok('no descriptors, clocks or random numbers in pure files',
    only_in(qr/(?<!->)(?<!\.)\b(?:open(?:at)?|read|write|recv|send|socket|connect|accept4?|poll
    |time|clock_gettime|clock_mono|clock_wall|gettimeofday|arc4random\w*
    |getenv|getpid)\s*\(/x, qr{\A\z}, @pure));

# --- what a file exports ---

# Where the name of a file is not what its names begin with.
my %prefix = (
	'src/ipc/message' => [qw(msg message)],
	(map { ("src/sandbox/$_" => ['sandbox']) }
	    qw(linux openbsd freebsd netbsd none)),
);

sub prefixes {
	my ($file) = @_;
	my ($path, $room, $name) =
	    $file =~ m{\A((?:src/)?(\w+)/(?:\w+/)*(\w+))\.\w\z} or return;

	return $name if $room eq 'compat';
	return @{$prefix{$path}} if $prefix{$path};
	# A room's main.c speaks for the room.
	return ('main', $room) if $name eq 'main';
	# message_charge.c is a part of message.c, store_sqlite.c one kind of store.
	return ($name, $name =~ /\A([a-z]+)_/ ? do {
		my $whole = $1;
		my $of = $path =~ s/_\w+\z//r;
		@{$prefix{$of} // []}, $whole;
	    } : ());
}

# Each circle of files that need each other, as their names, sorted: the strongly
# connected parts of { file => { needed file => 1 } }, by Tarjan's algorithm.
sub circles {
	my ($needs) = @_;
	my (%index, %low, %on, @stack, @found);
	my $n = 0;
	my $visit;

	$visit = sub {
		my ($file) = @_;

		$index{$file} = $low{$file} = $n++;
		push @stack, $file;
		$on{$file} = 1;
		for my $to (sort keys %{$needs->{$file} // {}}) {
			my $reached;
			if (!defined $index{$to}) {
				$visit->($to);
				$reached = $low{$to};
			} elsif ($on{$to}) {
				$reached = $index{$to};
			} else {
				next;
			}
			$low{$file} = $reached if $reached < $low{$file};
		}
		return if $low{$file} != $index{$file};
		my @part;
		do {
			push @part, pop @stack;
			delete $on{$part[-1]};
		} while $part[-1] ne $file;
		push @found, [sort @part] if @part > 1;
	};
	defined $index{$_} or $visit->($_) for sort keys %$needs;
	return @found;
}

is_deeply([circles({ a => { b => 1 }, b => { c => 1, d => 1 }, c => { a => 1 },
    d => { e => 1 }, e => {} })], [[qw(a b c)]], 'a circle is found');

# A static has no file's name in front, so that a reader sees what is exported.
my @statics;
for my $file (grep { m{\Asrc/.*\.c\z} } @c) {
	for my $name (code($file) =~ /^static\b[^;={}]*?\n(\w+)\(/mg) {
		push @statics, "$file: $name"
		    if grep { $name =~ /\A\Q$_\E_/ } prefixes($file);
	}
}
places_ok("no static has its file's name in front", @statics);

SKIP: {
	my @objects = grep { -f "$root/$_" } map { s/\.c\z/.o/r } grep { /\.c\z/ }
	    @c, files(qr{\Acompat/\w+\.c\z});
	skip 'nothing is built', 3 if @objects < 20;
	need(have_command('nm'), 'nm (binutils)');
	chdir $root or die "$root: $!";
	open my $nm, '-|', 'nm', '-g', '-A', '-P', @objects or die "nm: $!";
	my (@names, %defined, %wanted);
	while (<$nm>) {
		my ($object, $name, $kind) = /^(\S+?):\s*(\S+) (\w)/ or next;
		(my $file = $object) =~ s/o\z/c/;
		if ($kind =~ /[Uwv]/) {
			$wanted{$name}{$file} = 1;
			next;
		}
		$name =~ s/\A_(?=[a-z])// if $^O eq 'darwin';
		$defined{$name}{$file} = 1;
		next if $name =~ /\A(?:__|main\z)/;
		push @names, "$file: $name"
		    if !grep { $name eq $_ || $name =~ /\A\Q$_\E_/ } prefixes($file);
	}
	close $nm;
	places_ok("a file exports only names with its own in front", @names);

	my @twice;
	for my $name (sort keys %defined) {
		my @in = grep { !m{\Asrc/ledger/(?:\w+/)?store_|/main\.c\z} }
		    sort keys %{$defined{$name}};
		# Roles never meet in one program, but each meets the rooms below.
		my %room = map { m{\Asrc/(\w+)/} ? ($1 => 1) : () } @in;
		push @twice, "$name: @in" if @in > keys %room ||
		    @in > 1 && grep { my $room = $_; !grep { $_ eq $room } @roles }
		    keys %room;
	}
	places_ok('no name is exported twice', @twice);

	# Each ledger links one kind of store.
	my $kind = sub { $_[0] =~ /store_(sqlite|pgsql|mysql)/ ? $1 : '' };
	my %needs;
	for my $name (keys %wanted) {
		my @in = keys %{$defined{$name} // {}};
		for my $file (keys %{$wanted{$name}}) {
			my ($room) = $file =~ m{\A(src/\w+/)} or next;
			$needs{$file}{$_} = 1 for grep { $_ ne $file && /\A$room/ &&
			    (@in == 1 || $kind->($_) eq $kind->($file)) } @in;
		}
	}
	my @circles = map { join ' ', @$_ } circles(\%needs);
	places_ok('files of a room do not need each other in a circle', @circles);
}

done_testing;
