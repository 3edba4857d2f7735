#!/usr/bin/perl
# What the shells complete is what policyctl knows.

use strict;
use warnings;

use Test::More;

use Conf;
use Ctl qw(ctl);
use Policyd qw(slurp have_command $root);

my $policyctl = "$root/build/policyctl";
my $usage = `'$policyctl' -h`;
my @commands = sort $usage =~ /^\s+policyctl (\w+)/mg;
cmp_ok(scalar @commands, '>', 5, 'policyctl -h lists commands');

my ($bash, $zsh) = map { "$root/packaging/completion/$_" } 'policyctl.bash', '_policyctl';
my @zsh = sort { $a cmp $b } slurp($zsh) =~ /^\t'([a-z]+):/mg;
is_deeply(\@zsh, \@commands, 'zsh completes the same commands');

my @manual = sort { $a cmp $b } slurp("$root/man/policyctl.8") =~ /^\.It Ic (\w+)/mg;
is_deeply(\@manual, \@commands, 'the manual describes the same commands');

# The daemon's own options, and the names that --get-config knows.
my $help = `'$root/build/policyd-rate-limit' -h`;
my @options = sort map { /(?<![\w-])(--?[a-zA-Z][a-z-]*)(?=[, ])/g } $help =~ /^ .*/mg;
cmp_ok(scalar @options, '>', 10, 'the daemon lists options');
my @settings = sort { $a cmp $b } map { $_->[0] } Conf::table();
my ($own, $zown) = map { "$root/packaging/completion/$_" } 'policyd-rate-limit.bash',
    '_policyd-rate-limit';
my @zoptions = map { split /,/ } slurp($zown) =~ /(?:\{|\s')(-[-a-zA-Z,]+)(?=\}|\[)/g;
is_deeply([sort @zoptions], \@options, 'zsh completes the same options');
my ($zsettings) = slurp($zown) =~ /^settings=\(([^)]*)\)/m;
is_deeply([sort { $a cmp $b } split ' ', $zsettings], \@settings, 'zsh completes the settings');

# What is typed in a shell of its own on a terminal, with the tab key; and the words that
# policyctl is then called with.
my @typed = (
	["gra\tbob 5 60", 'grant bob 5 60'],
	["log br\t", 'log brief'],
	["-j sta\t", '-j status'],
	["top --by us\t", 'top --by used'],
	["explain sasl\tbob", 'explain sasl_username=bob'],
	["explain protocol_state=DATA recipient_c\t1",
	    'explain protocol_state=DATA recipient_count=1'],
	["explain protocol_state=RC\t", 'explain protocol_state=RCPT'],
	["-s $root/LIC\tshow bob", "-s $root/LICENSE show bob"],
);
my %shell = (
	bash => ['bash --norc --noprofile -i', ". $bash"],
	zsh => ['zsh -f -i', "fpath=($root/packaging/completion \$fpath); " .
	    'autoload -Uz compinit; compinit -u -D'],
);

sub calls {
	my ($command, $begin) = @_;
	my $pid = open my $out, '-|';

	defined $pid or die "fork: $!";
	if (!$pid) {
		open STDIN, '-|', 'printf', '%s\n', $begin,
		    "policyctl() { if [ \"\$1\" = -h ]; then '$policyctl' -h;" .
		    ' else printf "called:%s:\n" "$*"; fi; }',
		    (map { "policyctl $_->[0]" } @typed), 'exit' or die "printf: $!";
		$ENV{TERM} = 'dumb';
		exec 'timeout', 300, 'script', '-qec', $command, '/dev/null' or die "exec: $!";
	}
	my $said = join '', <$out>;
	close $out;
	return [$said =~ /^called:(.*):\r?$/mg];
}

for my $name (sort keys %shell) { SKIP: {
	skip "no $name, or no script(1) to give it a terminal", 1
	    if $^O ne 'linux' || grep { !have_command($_) } $name, 'script', 'timeout';
	is_deeply(calls(@{$shell{$name}}), [map { $_->[1] } @typed],
	    "$name completes what is typed");
} }

SKIP: {
	my $shell = have_command('bash');
	skip 'no bash', 6 if !$shell;
	my $complete = sub {
		my (@words) = @_;
		my $n = $#words;
		my ($file, $function) = $words[0] eq $policyctl ? ($bash, '_policyctl') :
		    ($own, '_policyd_rate_limit');
		open my $fh, '-|', $shell, '--norc', '-c',
		    'compopt() { :; }; . "$0"; COMP_CWORD=$1; shift; COMP_WORDS=("$@");' .
		    " $function; " . 'printf "%s\n" "${COMPREPLY[@]}"', $file, $n, @words
		    or die "bash: $!";
		my @all = map { s/\n//r } <$fh>;
		close $fh;
		return [sort @all];
	};
	is_deeply([grep { !/^-/ } @{$complete->($policyctl, '')}], \@commands,
	    'bash completes the commands');
	is_deeply($complete->($policyctl, '-j', 'log', ''), ['brief', 'debug'],
	    'bash completes arguments');
	is_deeply($complete->($policyctl, '-s', '/x', 'explain', 'sasl'),
	    ['sasl_username='], 'bash completes attributes');
	is_deeply($complete->('policyd-rate-limit', ''), \@options,
	    "bash completes the daemon's options");
	is_deeply([sort { $a cmp $b } @{$complete->('policyd-rate-limit', '--get-config', '')}],
	    \@settings, 'bash completes settings');
	is_deeply($complete->('policyd-rate-limit', '-f', "$root/LIC"), ["$root/LICENSE"],
	    'bash completes files');
}

# What a running daemon knows; a hostile id is no word of it.
SKIP: {
	my $shell = have_command('bash');
	skip 'no bash', 8 if !$shell;
	my $d = Policyd->start(config => { rules => [
	    { name => 'user', key => 'sasl_username', limits => [[9, 3600]] },
	    { name => 'host', key => 'client_address', limits => [[9, 3600]] }] });
	$d->ask(sasl_username => $_, client_address => '192.0.2.7')
	    for 'bob', 'bea@example.org', '$(touch pwned)', '`touch pwned`', "b'; touch pwned;", 'b e';
	is((ctl($d, 'block', 'eve@example.org', '1h'))[0], 0, 'a block is set');
	is((ctl($d, 'grant', 'bob', 5, '1h'))[0], 0, 'a grant is set');
	my $complete = sub {
		my (@words) = @_;
		my ($status, $out, $err) = $d->run_command($shell, '--norc', '-c',
		    'cd "$0"; . "$1"; shift; compopt() { :; }; COMP_CWORD=$(($# - 1)); COMP_WORDS=("$@");' .
		    ' _policyctl; printf "%s\n" "${COMPREPLY[@]}"', $d->{dir}, $bash,
		    $policyctl, '-s', $d->control, @words);
		is($err, '', "@words: no error is printed");
		return join ' ', split /\n/, $out;
	};
	is($complete->('show', 'user:be'), 'user:bea@example.org', 'an id is completed');
	is($complete->('show', 'user', ':', 'b'), 'bea@example.org bob',
	    'an id is completed when the shell splits it at colons');
	is($complete->('reset', 'user', ':'), 'bea@example.org bob',
	    'all ids of a rule are listed after its colon');
	is($complete->('grant', 'host'), 'host:192.0.2.7', 'an address is completed');
	is($complete->('grant', 'bob', ''), '', 'nothing is completed in place of a number');
	is($complete->('top', '--rule', 'u'), 'user', 'a rule is completed');
	is($complete->('unblock', 'l'), 'login:eve@example.org',
	    'unblock completes what is blocked');
	is($complete->('ungrant', 'u'), 'user:bob', 'ungrant completes what is granted');
	is($complete->('explain', 'protocol_state', '=', 'E'), 'EHLO END-OF-MESSAGE ETRN',
	    'protocol states are completed');
	is($complete->('explain', 'protocol_state=D'), 'protocol_state=DATA',
	    'a state is completed in one word with its attribute');
	ok(!-e "$d->{dir}/pwned", 'an id runs no command');
	$d->ends_well;
	is($complete->('show', 'b'), '', 'without a daemon no id is completed');
}

done_testing;
