# The table of targets: what is compared with what, from figures as the bench writes them.

use strict;
use warnings;

use Test::More;

use Bench::Targets qw(targets lines);

sub speed {
	my ($server, $connections, %figures) = @_;

	return { server => $server, connections => $connections, %figures };
}

# The figure and the answer of the first target whose text matches.
sub found {
	my ($what, @figures) = @_;
	my ($t) = grep { $_->{what} =~ $what } targets(@figures);

	return $t ? [@$t{qw(found wanted)}, $t->{reached} ? 1 : defined $t->{reached} ? 0 : undef] :
	    undef;
}

my $sqlite = { backend => 'sqlite', speed => [
    speed('normal', 1, p50_x => 4.01), speed('normal', 10, p50_x => 4),
    speed('normal', 100, of_floor => 0.6, p99_x => 3.2, per_second => 1000),
    speed('normal', 1000, per_second => 900), speed('full', 100, of_floor => 0.1499)],
    rules => { 2 => { cpu_us => 10 }, 5 => { cpu_us => 15 } },
    postfix => { 10 => { share => 0.99, lost => 0 }, 100 => { share => 0.96, lost => 1 } },
    rest => 0.0104,
    targets => [{ what => 'of a section', found => '7', wanted => '<= 8', reached => 1 }] };
my $pgsql = { backend => 'pgsql', speed => [speed('pgsql', 100, of_floor => 0.21)],
    raw => { ours => 500, insert => 1000 }, daemons => [
    { load => 'closed', who => 'own', daemons => 1, per_second => 100 },
    { load => 'closed', who => 'own', daemons => 2, per_second => 120 },
    { load => 'closed', who => 'one', daemons => 1, per_second => 50 },
    { load => 'closed', who => 'one', daemons => 2, per_second => 46 },
    { load => '70/s', who => 'one', daemons => 2, per_second => 1 }] };
my $mysql = { backend => 'mysql', speed => [speed('mysql', 100, of_floor => 0.13)],
    raw => { ours => 501, insert => 1000 } };

is_deeply(found(qr/^100 .*throughput/, $sqlite), ['0.60', '>= 0.6', 1],
    'a figure that is just enough is reached');
is_deeply(found(qr/^100 .*p99/, $sqlite), ['3.20', '<= 3', 0], 'one above the most is not');
is_deeply(found(qr/^1 connection:/, $sqlite), ['4.01', '<= 4', 0],
    'one connection is not ten or a hundred');
is_deeply(found(qr/^10 connections:/, $sqlite), ['4.00', '<= 4', 1], 'nor are ten one');
is_deeply(found(qr/^1000/, $sqlite), ['0.90', '>= 0.9', 1], 'a quotient of two rows');
is_deeply(found(qr/full/, $sqlite), ['0.15', '>= 0.15', 0],
    'the figure is compared before it is rounded');
is_deeply(found(qr/rules/, $sqlite), ['1.50', '<= 1.5', 1], 'five rules by two');
is_deeply(found(qr/Postfix: mails/, $sqlite), ['0.96', '>= 0.97', 0],
    'of several numbers of sessions the lowest share');
is_deeply(found(qr/Postfix: lost/, $sqlite), ['1', '<= 0', 0], 'and the most lost sessions');
is_deeply(found(qr/rest/, $sqlite), ['0.010', '<= 0.01', 0], 'CPU at rest');
is_deeply(found(qr/^of a section/, $sqlite), ['7', '<= 8', 1],
    'what a section compares itself');
is(found(qr/raw|several/, $sqlite), undef, 'SQLite has no server to be compared with');

is_deeply(found(qr/floor/, $pgsql), ['0.21', '>= 0.2', 1], 'PostgreSQL, by the floor');
is_deeply(found(qr/raw/, $pgsql), ['0.50', '>= 0.6', 0], 'and by raw inserts');
is_deeply(found(qr/several/, $pgsql), ['0.92', '>= 0.9', 1],
    'two daemons by one with the same users, without the runs at a fixed rate');
is_deeply(found(qr/rules/, $pgsql), [undef, '<= 1.5', undef], 'what was not measured is said');
is_deeply(found(qr/floor/, $mysql), ['0.13', '>= 0.14', 0], 'MariaDB, by the floor');
is_deeply(found(qr/raw/, $mysql), ['0.50', '>= 0.5', 1], 'and by raw inserts');
is_deeply(found(qr/several/, $mysql), [undef, '>= 0.9', undef], 'without several daemons');

my @lines = lines(targets($sqlite, $pgsql, $mysql));
is(scalar(grep { /^not measured pgsql / } @lines), 4, 'a line for each that was not measured');
like($lines[0], qr/^reached +sqlite 100 connections: .* 0\.60  \(>= 0\.6\)\z/, 'a line');
like($lines[1], qr/^NOT REACHED +sqlite /, 'and one of what is not reached');

done_testing;
