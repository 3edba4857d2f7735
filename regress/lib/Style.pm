package Style;

# The files of the source tree, for the tests that hold the walls of the house.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(basename dirname);
use File::Find qw(find);
use Test::More ();

our @EXPORT_OK = qw(files text lines code places_ok $root);

our $root = abs_path(dirname(__FILE__) . '/../..');

# What is made, or belongs to others.
my $not_ours = qr{\A(?:\.git|build|run|dist|compile_commands\.json)(?:/|\z)};

my @all;

# The names of all source files that match, from the root, sorted.
sub files {
	my ($pattern) = @_;

	if (!@all) {
		find({ no_chdir => 1, wanted => sub {
			return if $File::Find::name eq $root;
			my $name = substr($File::Find::name, length($root) + 1);
			if ($name =~ $not_ours) {
				$File::Find::prune = 1;
				return;
			}
			push @all, $name if !-l $File::Find::name && -f _ && -T _;
		} }, $root);
		@all = sort @all;
	}
	return grep { $_ =~ $pattern } @all;
}

my %text;

sub text {
	my ($name) = @_;

	return $text{$name} //= do {
		open my $fh, '<:raw', "$root/$name" or die "$name: $!\n";
		local $/;
		scalar(<$fh>) // '';
	};
}

sub lines { return split /\n/, text($_[0]), -1 }

sub blank { return $_[0] =~ s/[^\n]/ /gr }

# A C file with its comments, strings and characters blanked out, line for line.
my %code;

sub code {
	my ($name) = @_;

	return $code{$name} //= do {
		my $c = text($name);
		$c =~ s{(^[ \t]*\#[ \t]*include[^\n]*)|(/\*.*?\*/)|"((?:[^"\\\n]|\\.)*)"|
		    '((?:[^'\\\n]|\\.)+)'}{
			my ($include, $comment, $string, $char) = ($1, $2, $3, $4);
			$include // (defined $comment ? blank($comment) :
			    defined $string ? '"' . blank($string) . '"' :
			    "'" . blank($char) . "'");
		}gsmex;
		$c;
	};
}

# One test for all places where a rule is broken.
sub places_ok {
	my ($name, @places) = @_;
	my $ok = Test::More::ok(!@places, $name);

	splice @places, 50, @places - 50, '...' if @places > 50;
	Test::More::diag(map { "  $_\n" } @places) if !$ok;
	return $ok;
}

1;
