# Whole files of both syntaxes, as people write them or get them wrong. Beside each file
# stands what is to come of it: the status of -n, what is said on stderr, and for a good
# one every setting that is no longer the default.
#
# REWRITE=1 writes what comes today; read it before it is committed.

use strict;
use warnings;

use File::Basename qw(basename);
use Test::More;

use Conf qw(run_program table $dir);
use Policyd qw(slurp spew $root);

my @names = map { $_->[0] } table();
my %default;
my $empty = "$dir/empty.conf";

spew($empty, '', 0600);
$default{$_} = run_program('-f', $empty, '--get-config', $_)->{out} for @names;

my @files = sort grep { /\.(?:conf|yaml)\z/ } glob "$root/regress/conf/golden/*";
cmp_ok(scalar @files, '>=', 9, 'the files are there');

for my $file (@files) {
	my $name = basename($file);
	(my $want = $file) =~ s/\.(conf|yaml)\z/-$1.want/;
	my $copy = "$dir/$name";

	# They hold passwords, and belong to who runs the test.
	spew($copy, slurp($file), 0600);
	my $r = run_program('-f', $copy, '-n');
	my $got = "exit $r->{status}\n" . $r->{err} =~ s/^\@dir\@\///gmr;
	if ($r->{status} == 0) {
		is($r->{out}, "configuration OK\n", "$name: is said to be good");
		for (@names) {
			next if $_ eq 'config_file';
			my $value = run_program('-f', $copy, '--get-config', $_)->{out};
			$got .= "$_ = $value\n" if $value ne $default{$_};
		}
	} else {
		is($r->{out}, '', "$name: is not said to be good");
	}
	spew($want, $got) if $ENV{REWRITE};
	is($got, slurp($want), $name);
	unlink $copy;
}

done_testing;
