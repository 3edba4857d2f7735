# Each program is linked to what it needs and nothing else, and hardened: read in the
# dynamic section of what was built.

use strict;
use warnings;

use Test::More;

use Policyd qw(have_command need slurp);
use Style qw(places_ok $root);

need(have_command('readelf'), 'readelf (binutils)');
need(-x "$root/build/policyd-rate-limit", 'the programs are not built');

my @always = (qr/libc\.so/, qr/ld-linux/, qr/libbsd\.so/, qr/libpthread\.so/);
my $seccomp = qr/libseccomp\.so/;
my $digest = qr/libmd\.so/;
my $event = qr/libevent(?:_core|_core-[\d.]+|-[\d.]+)?\.so/;

# What it may have beside those of always, and what it has at least.
my %program = (
	'policyd-rate-limit' => { may => [qr/libyaml/, $seccomp], has => [qr/libyaml/] },
	'libexec/engine' => { may => [$event, $seccomp], has => [$event] },
	'libexec/ledger-sqlite' => { may => [qr/libsqlite3/, $digest, $seccomp],
	    has => [qr/libsqlite3/] },
	'libexec/ledger-pgsql' => { may => [qr/libpq\./, $digest, $seccomp],
	    has => [qr/libpq\./] },
	'libexec/ledger-mysql' => { may => [qr/libmariadb|libmysqlclient/, $digest,
	    $seccomp], has => [qr/libmariadb|libmysqlclient/] },
	'libexec/report' => { may => [qr/libssl\./, qr/libcrypto\./, $seccomp],
	    has => [qr/libssl\./] },
	'policyctl' => { may => [qr/libyaml/], has => [qr/libyaml/] },
);

# No child starts a program, and who reads what strangers wrote asks no resolver: not
# even the code for it is there.
my @never = qw(system popen execve execv execvp execvpe execl execlp execle fexecve
    posix_spawn posix_spawnp fork vfork dlopen);
# A second process of the same program copies SQLite's log into the database.
my %may = ('libexec/ledger-sqlite' => { fork => 1 });
my %no_resolver = map { $_ => 1 } qw(libexec/engine libexec/ledger-sqlite);

sub output {
	my (@command) = @_;

	open my $fh, '-|', @command or die "$command[0]: $!\n";
	my @lines = <$fh>;
	close $fh or die "@command: status $?\n";
	return @lines;
}

sub check {
	my ($name, $want) = @_;
	my $path = "$root/build/$name";
	my @dynamic = output('readelf', '-dW', $path);
	my @needed = map { /\(NEEDED\).*\[(.+?)\]/ ? $1 : () } @dynamic;
	my @surplus = grep { my $so = $_;
	    !grep { $so =~ $_ } @always, @{$want->{may}} } @needed;
	my @missing = grep { my $so = $_; !grep { $_ =~ $so } @needed } @{$want->{has}};

	places_ok("$name links nothing else", @surplus);
	places_ok("$name links what it is for", map { "$_" } @missing);
	places_ok("$name has no path of a library in it",
	    grep { /\((?:RPATH|RUNPATH)\)/ } @dynamic);
	ok((grep { /BIND_NOW|\bNOW\b/ } @dynamic), "$name is bound at its start");
	ok((grep { /Type:\s+DYN/ } output('readelf', '-hW', $path)),
	    "$name can be put anywhere in memory");
	my @segments = output('readelf', '-lW', $path);
	ok((grep { /GNU_RELRO/ } @segments), "$name has its tables read-only");
	places_ok("$name has no executable stack",
	    grep { /GNU_STACK.*\bE\b|GNU_STACK.*RWE/ } @segments);

	my %wants = map { /\bUND\s+(\w+)/ ? ($1 => 1) : () }
	    output('readelf', '--dyn-syms', '-W', $path);
	ok($wants{__stack_chk_fail}, "$name has stack canaries");
	ok((grep { /\A__\w+_chk\z/ } keys %wants), "$name has checked buffer functions");
	return if $name !~ m{\Alibexec/};
	places_ok("$name cannot start programs",
	    grep { $wants{$_} && !$may{$name}{$_} } @never);
	places_ok("$name asks no resolver", grep { $wants{$_} }
	    qw(getaddrinfo gethostbyname)) if $no_resolver{$name};
}

for my $name (sort keys %program) {
	next if !-e "$root/build/$name";
	subtest $name => sub { check($name, $program{$name}) };
}

# The linker keeps the mark of control-flow protection only where the C library's own
# objects have it, so it is looked for in what was compiled.
SKIP: {
	my ($probed) = grep { /compile\z/ } glob("$root/build/hardening/*");
	skip('this compiler has no -fcf-protection', 1)
	    if !defined $probed || slurp($probed) !~ /-fcf-protection/;
	ok((grep { /IBT, SHSTK/ } output('readelf', '-nW', "$root/src/ctl/main.o")),
	    'indirect branches and returns are protected');
}

# A program that nobody wrote into the table above has not been thought about.
my @unknown = grep { -f && -x _ && !$program{s{\A\Q$root\E/build/}{}r} }
    glob("$root/build/* $root/build/libexec/*");
places_ok('every program is in the table', @unknown);

done_testing;
