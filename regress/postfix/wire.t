# What a real Postfix asks, against what this tree says that it asks: requests of the
# tests and of the bench are made after it.

use strict;
use warnings;

use Test::More;

use Policyd qw(slurp);
use Postfix;
use Style qw($root);

Postfix::needed();
my ($version) = Postfix::postconf('-dh', 'mail_version');

my $service = 'check_policy_service unix:ratelimit/script';
my $p = Postfix->new(main => {
	smtpd_recipient_restrictions => "$service, permit",
	smtpd_data_restrictions => $service,
	smtpd_end_of_data_restrictions => $service,
});
my $record = $p->queue . '/ratelimit/script.requests';
my $script = Postfix::Policy->start(endpoint => $p->queue . '/ratelimit/script');
$p->start;

my $s = $p->session(login => 'Alice', address => '192.0.2.99');
like($s->mail(from => 'alice@example.org', to => ['a@example.net', 'b@example.net']),
    qr/^250/, 'a mail to two');
like($s->mail(from => '', to => ['c@example.net']), qr/^250/, 'a bounce to one');
$s->quit;

my @asked = $script->requests;
is(join(' ', map { $_->{protocol_state} } @asked),
    'RCPT RCPT DATA END-OF-MESSAGE RCPT DATA END-OF-MESSAGE', 'Postfix asks at these stages');
is(join(' ', map { $_->{recipient_count} } @asked), '0 0 2 2 0 1 1',
    'recipient_count has these numbers');
is(join(' ', map { $_->{recipient} } @asked), 'a@example.net b@example.net   ' .
    'c@example.net c@example.net c@example.net', 'recipient has these addresses');
my %mails;
push @{$mails{$_->{instance}}}, $_ for @asked;
is(scalar keys %mails, 2, 'an instance for each transaction');
like($_, qr/^[0-9a-f]+(?:\.[0-9a-f]+){3}$/,
    "the instance $_ has the form of Postfix") for sort keys %mails;
is(scalar(grep { $_->{sasl_username} eq 'Alice' } @asked), 7, 'the login as it was sent');
is(scalar(grep { $_->{client_address} eq '192.0.2.99' } @asked), 7,
    'client_address is that of the client');

sub names { return join ' ', $_[0] =~ /^([^=\n]+)=/mg }

SKIP: {
	skip "Postfix $version, not 3.7", 2 if $version !~ /^3\.[78]\./;
	my ($first) = split /\n\n/, slurp($record);
	is(names(Policyd::request()), names("$first\n"), 'the requests of the tests');
	my $load = "$root/build/bench/load";
	skip 'the bench is not built', 1 if !-x $load;
	my $bench = Postfix::Policy->start(endpoint => $p->queue . '/ratelimit/bench');
	my $daemonless = Policyd->new;
	my ($status, $out, $err) = $daemonless->run_command($load, '-n', 20, '-w', 0,
	    $p->queue . '/ratelimit/bench');
	is($status, 0, 'the load generator runs') or diag $err;
	my %seen = map { names("$_\n") => 1 }
	    split /\n\n/, slurp($p->queue . '/ratelimit/bench.requests');
	is_deeply([keys %seen], [names("$first\n")], 'the requests of the bench');
}

done_testing;
