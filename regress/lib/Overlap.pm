package Overlap;

# What tests of batches that overlap have in common, whatever the database.

use strict;
use warnings;

use Exporter qw(import);
use Test::More import => [qw(is_deeply cmp_ok ok)];

use Policyd qw(wait_until);

our @EXPORT_OK = qw(wait_read ok_after_loss);

# Returns once the engine has read what clients have sent: it reads requests in order of
# arrival, this one last.
sub wait_read {
	my ($d) = @_;
	my $last = $d->connect;

	$last->send("not a request\n\n");
	$last->wait_closed;
}

# Each client has asked once for the id, and a connection was lost while a batch was being
# committed.
sub ok_after_loss {
	my ($d, $db, $id, @clients) = @_;
	my %answers;

	$answers{$_->answer // 'none'}++ for @clients;
	is_deeply([grep { !/^(?:dunno|defer database)\z/ } keys %answers], [],
	    'only these two answers occur');
	my $accepted = $answers{dunno} // 0;
	my $recorded = $db->recorded($id);
	cmp_ok($recorded, '>=', $accepted, "no answered count is lost ($accepted)");
	cmp_ok($recorded, '<=', scalar @clients, 'no request is recorded twice');
	ok(wait_until { ($d->ask(sasl_username => 'bob') // '') eq 'dunno' },
	    'requests are accepted again');
}

1;
