#!/usr/bin/perl
# Several hosts in one setting: if all of them fail, the log has the reason of each one.

use strict;
use warnings;

use Test::More;

use Database;
use Policyd qw(wait_until free_port);

# No server listens at any of these ports.
sub all_down {
	my ($kind, $count, $config) = @_;
	my @ports = map { free_port() } 1 .. $count;
	my $d = Policyd->start(config => { backend => $kind,
	    "${kind}_config" => $config->(@ports), db_timeout => 2,
	    db_error_action => 'defer database' });

	is($d->ask(sasl_username => 'bob'), 'defer database', "$count hosts are down");
	my $each = join '.*;.*', map { "$_\\b.*?(?:refused|111|61)" } @ports;
	ok($d->wait_log(qr/^.*$each/m), 'one line has the reason of each') or diag($d->log);
	cmp_ok(length, '<', 600, 'a line of bounded length') for (sort { length $b <=> length $a }
	    split /\n/, $d->log)[0];
	$d->ends_well;
}

sub pgsql {
	my $config = sub { { host => join(',', ('127.0.0.1') x @_), port => join(',', @_),
	    user => 'daemon', database => 'policyd' } };

	all_down('pgsql', $_, $config) for 2, 4;
}

for my $kind (@ARGV ? @ARGV : qw(pgsql)) {
	Database->needed($kind);
	subtest $kind => sub { { pgsql => \&pgsql }->{$kind}->() };
}

done_testing();
