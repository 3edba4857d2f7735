#!/usr/bin/perl
# The examples of the section COOKBOOK in policyd-rate-limit.conf(5) with requests that
# Postfix rarely sends: other case, IPv6, several domains, no sender, no login, address
# extensions and addresses in UTF-8. regress/postfix/cookbook.t has the usual ones.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl);
use Policyd qw(slurp need have_command $root);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

my ($book) = slurp("$root/man/policyd-rate-limit.conf.5") =~ /^\.Sh COOKBOOK\n(.*?)^\.Sh /ms;
my %recipe = $book =~ /^\.Ss ([^\n]+)\n(?:(?!^\.Ss ).)*^\.Bd [^\n]*\n(.*?)^\.Ed$/msg;
my $full = qr/\Adefer_if_permit /;

# A daemon with one recipe, and a function that asks with these attributes.
sub cook {
	my ($name, $asked, %more) = @_;
	my (undef, %setting) = split /^(\w+) = /m, $recipe{$name} // die "no recipe: $name\n";
	my $d = Policyd->start(config => { map({ $_ => \$setting{$_} } keys %setting), %more });

	return ($d, sub { $d->ask(%$asked, @_) });
}

# One request for each value of an attribute, all with the same answer.
sub all_are {
	my ($ask, $wanted, $attribute, $name, @values) = @_;

	like($ask->($attribute => $_), $wanted, "$name: $_") for @values;
}

my $taken = qr/\Adunno\z/;
my $rcpt = { protocol_state => 'RCPT', recipient_count => 0, sasl_username => 'bob@example.org' };

subtest 'external recipients' => sub {
	my ($d, $ask) = cook('External recipients only', $rcpt);

	all_are($ask, $taken, recipient => 'internal', 'C@EXAMPLE.Test', 'bob+x@example.org',
	    '"a@b.example.net"@example.org', "j\xc3\xbcrgen\@example.test");
	all_are($ask, $taken, sasl_username => 'without a login', '', '');
	is($d->recorded('external:bob@example.org'), 0, 'none of them is counted');
	all_are($ask, $taken, recipient => 'external', 'a@sub.example.test', 'a@example.test.example.net',
	    "a\@b\xc3\xbccher.example");
	all_are($ask, $full, recipient => 'one more', 'a@example.net', "\xc3\xa4\@example.com");
	like($ask->(recipient => 'a@example.net', sender => ''), $full, 'without a sender too');
	like($ask->(recipient => 'a@example.net', sasl_username => 'BOB@Example.org'), $full,
	    'and in other case');
	$d->ends_well;
};

subtest 'exempt' => sub {
	my ($d, $ask) = cook('A monitoring host and a newsletter', { sasl_username => 'bob@example.org' });

	all_are($ask, $taken, client_address => 'the host', ('192.0.2.25', '::ffff:192.0.2.25') x 2);
	all_are($ask, $taken, sasl_username => 'the login', ('Newsletter@Example.ORG') x 4);
	is($d->recorded('user:bob@example.org'), 0, 'bob has used nothing');
	all_are($ask, $taken, sender => 'its address does not help', ('newsletter@example.org') x 2);
	like($ask->(sender => 'newsletter@example.org'), $full, 'bob');
	like($ask->(client_address => '2001:db8::25'), $full, 'by IPv6');
	is($ask->(sasl_username => '', client_address => '2001:db8::25'), 'dunno', 'without a login');
	all_are($ask, $taken, sasl_username => 'an extension is another login',
	    'newsletter+x@example.org');
	like($ask->(sasl_username => 'newsletter+y@example.org'), $full, 'so the company is full');
	$d->write_config({ %{$d->{config}}, recipient_delimiter => '+',
	    exempt => ['2001:db8:1::/48', '@news.example.org', 'newsletter@example.org'] });
	is((ctl($d, 'reload'))[0], 0, 'with recipient_delimiter');
	all_are($ask, $taken, sasl_username => 'exempt', 'newsletter+y@example.org', 'x@NEWS.example.org');
	all_are($ask, $taken, client_address => 'exempt', '2001:db8:1::7', '2001:DB8:1:2::9');
	like($ask->(client_address => '2001:db8:2::7'), $full, 'another network');
	$d->ends_well;
};

subtest 'one count' => sub {
	my ($d, $ask) = cook('One mailbox, one customer', {}, recipient_delimiter => '+');
	my ($tables) = $book =~ /^((?:CREATE TABLE|INSERT INTO).*?)^\.Ed$/ms;

	$d->sql($_) for split /;\n/, $tables;
	all_are($ask, $taken, sasl_username => 'bob', 'BOB', 'bob+x', 'Bob+y@Example.NET');
	like($ask->(sasl_username => 'bob@example.org'), $full, 'that were three');
	is($d->recorded('mailbox:bob@example.org'), 3, 'under one id');
	all_are($ask, $taken, sasl_username => 'others', "o'brien\@example.com", '%s', "\xc3\xa9va");
	like($ask->(sasl_username => 'eve@example.net'), $full, 'the customer is full');
	is($d->recorded("mailbox:o'brien\@example.com"), 1, 'a quote is a byte of the login');
	$d->ends_well;
};

subtest 'two services' => sub {
	my ($d, $ask) = cook('One daemon for two services', { sasl_username => 'frank',
	    client_address => '2001:db8::9' }, ipv6_prefix => 64);

	all_are($ask, $taken, policy_context => 'the login', qw(submission Submission SUBMISSION));
	like($ask->(policy_context => 'submission', sasl_username => 'FRANK'), $full, 'is limited');
	is($ask->(policy_context => 'submission', sasl_username => ''), 'dunno',
	    'the network is not, without a login');
	all_are($ask, $taken, policy_context => 'elsewhere the network', '', 'smtps');
	like($ask->(policy_context => undef, client_address => '2001:db8::a'), $full,
	    'is, also by a Postfix without policy_context');
	$d->ends_well;
};

subtest 'one mail' => sub {
	my ($d, $ask) = cook('Not too many recipients in one mail', $rcpt);
	my $mail = sub { my ($n, $instance) = @_; return join ' ', map {
	    $ask->(instance => $instance, recipient => "r$_\@example.net") } 1 .. $n };

	is($mail->(51, 'a'), 'dunno ' x 50 . 'reject 5.5.3 Too many recipients', 'at RCPT one by one');
	is($ask->(protocol_state => 'DATA', instance => 'a', recipient => '', recipient_count => 50),
	    'dunno', 'DATA with those that were accepted');
	is($mail->(1, 'b'), 'dunno', 'the next mail');
	is($ask->(instance => 'a', recipient => 'R1@Example.net'), 'dunno', 'one that is repeated');
	is($d->recorded('user:bob@example.org'), 51, 'what was refused is not charged');
	$d->ends_well;
};

subtest 'two tiers' => sub {
	my ($d, $ask) = cook('Two tiers', { sasl_username => 'alice' });

	is($ask->(recipient_count => 7), 'REJECT more than 6 mails', 'more than the hard limit');
	is($ask->(recipient_count => 5), 'HOLD more than 3 mails', 'more than the soft one');
	is($ask->(sasl_username => 'ALICE', recipient_count => 2), 'REJECT more than 6 mails', 'both');
	is($ask->(sasl_username => 'Alice'), 'HOLD more than 3 mails', 'the sixth');
	is($ask->(sasl_username => ''), 'dunno', 'without a login');
	$d->ends_well;
};

subtest 'senders' => sub {
	my ($d, $ask) = cook('Few sender addresses for each login', { sasl_username => 'dave' });

	all_are($ask, $taken, sender => 'a sender', 'a@example.org', 'A@EXAMPLE.org', 'a+x@example.org',
	    "\xc3\xa4\@example.org", '');
	all_are($ask, $full, sender => 'one more', 'b@example.org', 'a+y@example.org');
	is($ask->(sasl_username => '', sender => 'b@example.org'), 'dunno', 'without a login');
	$d->ends_well;
};

subtest 'locks' => sub {
	my ($d, $ask) = cook('A stolen login that closes itself', { sasl_username => 'mallory' },
	    ipv6_prefix => 64);
	my $closed = 'REJECT 5.7.1 mallory is closed, ask the postmaster';

	all_are($ask, $taken, client_address => 'address', '192.0.2.1', '::ffff:192.0.2.1', '2001:db8::1',
	    '2001:db8::2', '2001:db8:0:1::1', 'unknown');
	is($ask->(client_address => '2001:db8:0:2::1'), 'REJECT too many addresses', 'one more');
	is($ask->(sasl_username => 'MALLORY', client_address => 'unknown'), $closed, 'closes it');
	is($ask->(recipient => 'Postmaster@EXAMPLE.test'), 'dunno', 'but for the postmaster');
	is($ask->(recipient => 'postmaster@example.test', sender => ''), 'dunno', 'without a sender');
	is($ask->(recipient => 'postmaster'), $closed, 'and him with his domain');
	is($ask->(sasl_username => 'mallory@example.org'), 'dunno', 'this is another login');
	is($ask->(sasl_username => ''), 'dunno', 'and this none');
	$d->ends_well;
};

done_testing;
