# The manual pages say what the program does: every setting with its type and default,
# every field of a rule, every keyword of a connection, every option, every status.

use strict;
use warnings;

use Test::More;

use Conf qw(run_program run_config table rules_table connections);
use Policyd qw(slurp need $root);

my %page = map { $_ => slurp("$root/man/$_") }
    qw(policyd-rate-limit.8 policyd-rate-limit.conf.5);
ok(length $page{$_}, "$_ is there") for sort keys %page;
my ($eight, $five) = @page{qw(policyd-rate-limit.8 policyd-rate-limit.conf.5)};

# The text of a section or subsection, from its head to the next one like it.
sub part {
	my ($page, $head) = @_;
	my ($text) = $page =~ /^\.S[hs] \Q$head\E\n(.*?)(?=^\.S[hs] |\z)/ms;

	return $text // '';
}

sub section {
	my ($page, $head) = @_;
	my ($text) = $page =~ /^\.Sh \Q$head\E\n(.*?)(?=^\.Sh |\z)/ms;

	return $text // '';
}

# name => [type, default] of the items of a list, each with a line such as
# `Type: str; default: "x".`; it may go on.
sub items {
	my ($text) = @_;
	my (%found, @order);

	while ($text =~ /^\.It Ic (\w+)\n((?!\.)(?:.*\n))/mg) {
		my ($name, $line) = ($1, $2);
		my $rest = substr $text, pos $text;
		while ($line !~ /\.\n\z/ && $rest =~ s/\A((?!\.).*\n)//) {
			$line .= $1;
		}
		$line =~ s/\n\z//;
		$line =~ s/\n/ /g;
		if ($line =~ /\AType: (.*?)(?:; default: (.*))?\.\z/) {
			ok(!$found{$name}, "$name stands there once");
			$found{$name} = [$1, $2];
			push @order, $name;
		} else {
			fail("the type of $name: $line");
		}
	}
	return \%found, \@order;
}

# --- settings ---

my ($items, $order) = items(section($five, 'SETTINGS'));
my @table = table();
is_deeply([sort @$order], [sort map { $_->[0] } @table], 'all settings, no other');
for (@table) {
	my ($name, $type, $default) = @$_;
	my ($says_type, $says) = @{$items->{$name} // ['', '']};
	is($says_type, $type, "type of $name");
	# Quotes of the other kind, and octal, are the same value.
	$says =~ tr/"/'/ if $default !~ /"/;
	$says = oct($says =~ s/\A0o/0/r) if $says =~ /\A0o[0-7]+\z/;
	is($says, $default, "default of $name");
}

# --- rules ---

my ($fields, $field_order) = items(section($five, 'RULES'));
my @rules = rules_table();
is_deeply($field_order, [map { $_->[0] } @rules], 'all fields of a rule, in order');
is(($fields->{$_->[0]} // [''])->[0], $_->[1], "type of a rule's $_->[0]") for @rules;

# --- connections ---

my %seen;
for (connections()) {
	my ($setting, $keyword, $used) = @$_;
	my $part = part($five, $setting);
	my ($ignored) = $part =~ /^\.It ignored: Ta (.*?)\n\./ms;
	(my $rest = $part) =~ s/^\.It ignored: Ta .*?\n(?=\.)//ms;

	$seen{$setting}{$keyword} = 1;
	ok(length $part, "there is a part on $setting") if keys %{$seen{$setting}} == 1;
	if ($used eq 'used') {
		like($rest, qr/(?<![\w.])\Q$keyword\E(?!\w)/, "$setting: $keyword");
		unlike($ignored, qr/\b\Q$keyword\E\b/, "$setting: $keyword is not ignored");
	} else {
		like($ignored, qr/(?<!\w)\Q$keyword\E(?!\w)/, "$setting: $keyword is ignored");
	}
}
# And the other way round.
for my $setting (sort keys %seen) {
	my $part = part($five, $setting);
	for my $item ($part =~ /^\.It (.*?) Ta/mg) {
		next if $item =~ /\A(?:ignored:|others)\z/;
		ok($seen{$setting}{$_}, "$setting knows $_") for split /, /, $item;
	}
	my ($ignored) = $part =~ /^\.It ignored: Ta (.*?)\n\./ms;
	ok($seen{$setting}{$_}, "$setting knows $_") for split /,\s+/, $ignored;
}

# --- options ---

my $help = run_program('-h')->{out};
my @options = $help =~ /^  (?:-(\w), |    )--([\w-]+)/mg;
cmp_ok(scalar @options, '>=', 16, 'there are options');
my $short = '';
while (my ($letter, $name) = splice @options, 0, 2) {
	my $item = $letter ? "Fl $letter , Fl -$name" :
	    $help =~ /--$name [A-Z]/ ? "Fl -$name Ar " : "Fl -$name";
	$item = "Fl $letter Ar file , Fl -$name Ar file" if $name eq 'file';
	like($eight, qr/^\.It \Q$item\E/m, "--$name is explained");
	$short .= $letter if $letter && $name ne 'file';
}
is(join('', sort { lc $a cmp lc $b } split //, $short), 'bdhnV', 'the letters');
like(section($eight, 'SYNOPSIS'), qr/^\.Op Fl bdhnV\n\.Op Fl f Ar file\n\.Op Fl -clean
\.Op Fl -get-config Ar name\n/m, 'the synopsis');

# --- statuses, files ---

is(join(' ', section($eight, 'EXIT STATUS') =~ /^\.It (\d+)$/mg), '0 1 2 3 4 5 6 8',
    'every exit status');
for my $page (sort keys %page) {
	my $files = section($page{$page}, 'FILES');
	like($files, qr/^\.It Pa \Q$_\E$/m, "$page names $_")
	    for qw(~/.config/policyd-rate-limit.conf ~/.config/policyd-rate-limit.yaml
	    /etc/policyd-rate-limit.conf /etc/policyd-rate-limit.yaml);
}
like($eight, qr/^\.It Dv SIGHUP$/m, 'SIGHUP');
like($eight, qr/^\.It Dv SIGTERM , SIGINT , SIGUSR1$/m, 'SIGTERM, SIGINT and SIGUSR1');
like($eight, qr/255 bytes.*sha256.*64 hexadecimal digits/s, 'how long ids are stored');
ok(length section($five, 'COMING FROM THE PYTHON PROGRAM'), 'for those who come over');

# --- what is referred to ---

for my $page (sort keys %page) {
	for my $sx ($page{$page} =~ /^\.Sx (.*?)(?: [.,;])?$/mg) {
		ok(length part($page{$page}, $sx), "$page: there is a section $sx");
	}
	# Tables, their columns, and fields of log lines have sections of their own.
	my $text = $page{$page} =~ s/^\.(?:Ss Tables|Sh DIAGNOSTICS)\n.*?(?=^\.Sh )//gmsr;
	for my $ic ($text =~ /^\.Ic (\w+)(?: .*)?$/mg) {
		next if $ic =~ /\A(?:smtpd_\w+|default_action|permit_\w+|import|if)\z/;
		next if $ic =~ /\A(?:instance|date|id|mail_count)\z/;
		ok($items->{$ic} || $fields->{$ic}, "$page: there is a setting $ic");
	}
}

# --- the examples ---

my $n = 0;
for my $text (map { /^\.Bd [^\n]*\n(.*?)^\.Ed$/msg } section($five, 'EXAMPLES'),
    section($five, 'COOKBOOK')) {
	next if $text =~ /^(?:smtpd_|CREATE )/;
	$text = "# yaml\n$text" if $text !~ / = /;
	my $r = run_config($text, '-n');
	is($r->{status}, 0, 'example ' . ++$n . ' is good') or diag $r->{err};
}
cmp_ok($n, '>=', 10, 'there are examples');

done_testing;
