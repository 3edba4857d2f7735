#!/usr/bin/perl
# policyctl why and show: why mail was refused, on each database.

use strict;
use warnings;

use JSON::PP;
use IO::Socket::UNIX;
use Test::More;

use Ctl qw(ctl ctl_json);
use Database;
use Policyd qw(wait_until need have_command True);

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

sub daemon {
	my ($db, %config) = @_;

	return Policyd->start(config => { db_timeout => 5, fail_action => 'reject full',
	    defined $db ? $db->config : (), %config });
}

my @rules = (rules => [
    { name => 'dom', key => 'sasl_domain', limits => [[4, 60], [100, 86400]] },
    { name => 'user', key => 'sasl_username', limits => [[50, 3600]] },
    { name => 'new', key => 'sender', limits => [[1, 3600]], shadow => True } ]);

# bob and ann use up what their domain has.
sub refuse {
	my ($d) = @_;
	my %bob = (sasl_username => 'bob@x.example', sender => 'bob@x.example',
	    client_address => '203.0.113.9', client_name => 'host.x.example',
	    queue_id => '568BAA82041', recipient => '', recipient_count => 3);

	is($d->ask(sasl_username => 'ann@x.example', sender => 'ann@x.example'), 'dunno', 'ann')
	    for 1 .. 2;
	is($d->ask(%bob), 'reject full', 'bob');
	is($d->ask(sasl_username => 'ann@x.example', sender => 'ann@x.example', queue_id => 'A1',
	    recipient => 'c@example.net', recipient_count => 9), 'reject full', 'ann')
	    for 1 .. 2;
}

# The number of refusals by the field queue_id, which policyctl does not use.
sub by_field {
	my ($d, $id) = @_;
	my $s = IO::Socket::UNIX->new(Peer => $d->control) // die "connect: $!";

	syswrite $s, join("\0", 'why', "queue_id=$id", '', '');
	my @found = grep { /queue_id=/ } <$s>;
	return scalar @found;
}

sub found {
	my ($d) = @_;
	my $j = ctl_json($d, 'why', '568BAA82041');

	is(scalar @{$j->{refusals}}, 1, 'by the queue id') or return;
	my $r = $j->{refusals}[0];
	is_deeply([@$r{qw(kind rule id n sender recipient recipients client client_name login
	    queue_id state times)}], ['limit', 'dom', 'dom:x.example', 3, 'bob@x.example', '', 3,
	    '203.0.113.9', 'host.x.example', 'bob@x.example', '568BAA82041', 'DATA', 1],
	    'why has the rule and the mail');
	is_deeply([map { [@$_{qw(used limit seconds full)}] }
	    grep { $_->{refusal} == $r->{number} } @{$j->{windows}}],
	    [[2, 4, 60, JSON::PP::true], [2, 100, 86400, JSON::PP::false]],
	    'why has all windows as they were');
	is_deeply([map { [@$_{qw(id who refused)}] } @{$j->{shared}}],
	    [['dom:x.example', 'ann@x.example', 2], ['dom:x.example', 'bob@x.example', 1]],
	    'why has those who share the count');
	is($j->{help}[0]{command}, 'policyctl grant dom:x.example 1 1h',
	    'why has a command that helps');
	my (undef, @words) = split / /, $j->{help}[0]{command};
	is((ctl($d, @words))[0], 0, 'the command can be pasted');
	is((ctl($d, 'ungrant', 'dom:x.example'))[0], 0, 'the grant of the command can be ended');
	is($j->{refused}, 1, 'why has the number of refusals');
	$j = ctl_json($d, 'why', 'ann@x.example');
	is($j->{would_refuse}, 1, 'and of others, how many would have been');
	is_deeply([map { "$_->{id} $_->{shadow}" } @{$j->{refusals}}],
	    ['dom:x.example 0', 'dom:x.example 0', 'new:ann@x.example 1'],
	    'why lists the newest refusal first');
}

sub subjects {
	my ($d) = @_;
	my $refused = sub { ctl_json($d, 'why', @_)->{refused} };

	is($refused->('ANN@x.example'), 2, 'why finds a login');
	is($refused->('203.0.113.9'), 1, 'why finds an address');
	is($refused->('c@example.net'), 2, 'why finds a recipient');
	is($refused->('x.example'), 3, 'why finds an id of a rule');
	is($refused->('dom:x.example'), 3, 'why finds an id with its rule');
	is($refused->('@x.example'), 3, 'why finds a domain');
	my $line = 'Nov 29 12:00:01 mx postfix/smtpd[99]: NOQUEUE: reject: RCPT from ' .
	    'host.x.example[203.0.113.9]: 450 4.7.1 <DATA>: Data command rejected: ' .
	    'full; from=<bob@x.example> to=<z@example.net> proto=ESMTP helo=<h>';
	is($refused->($line), 1, 'why finds a line of the log');
	is($refused->(split / /, $line), 1, 'why finds a line of the log without quotes');
	is($refused->('-n', 1, 'ann@x.example'), 2, '-n does not change the number of refusals');
	is(scalar @{ctl_json($d, 'why', '-n', 1, 'ann@x.example')->{refusals}}, 1,
	    '-n shows fewer refusals');
	my ($status, $out, $err) = ctl($d, 'why', $line =~ s/\[203.0.113.9\]/[203.0.113.8]/r);
	is($status, 3, 'of another client nothing is known');
	like($err, qr/^policyctl: no refusal of it is kept \(of the last 7 days\)$/,
	    'the error says that nothing is kept');
	is((ctl($d, 'why', 'nobody'))[0], 3, 'an unknown login has status 3');
	is((ctl($d, 'why', '568baa82041'))[0], 3, 'an unknown queue id has status 3');
	is(by_field($d, '568BAA82041'), 1, 'a program that asks for a queue id gets its refusal');
	is(by_field($d, '568baa82041'), 0, 'but not in other letter case');
	($status, $out) = ctl($d, 'why');
	is($status, 0, 'without a subject status 0');
	like($out, qr/568BAA82041/, "and everybody's last refusals");
	($status, $out) = ctl($d, 'why', '568BAA82041');
	like($out, qr/^\w{3} \d{4}-\d\d-\d\d \d\d:\d\d  refused: dom:x\.example \(rule dom\)$/m,
	    'the text form has the rule');
	like($out, qr/^  from <bob\@x\.example> \(recipients: 3\), login bob\@x\.example$/m,
	    'the text form has the mail');
	like($out, qr/^ +2 of +4 in 1 min: no room for 3$/m, 'the text form has the window');
	like($out, qr/^  policyctl grant dom:x\.example 1 1h  # /m,
	    'the text form has a command that helps');
}

sub shown {
	my ($d) = @_;
	my $j = ctl_json($d, 'show', 'x.example');

	is_deeply([@$j{qw(refused would_refuse last_client last_sender)}],
	    [3, 0, '192.0.2.1', 'ann@x.example'], 'show: refused, last client and sender');
	my ($status, $out, $err) = ctl($d, 'show', 'dom:x.example');
	like($out, qr/^refused 3 times, the last time .*\n  client 192\.0\.2\.1, sender <ann\@x/m,
	    'show has the last refusal as text');
	($status, $out, $err) = ctl($d, 'show', 'never@y.example');
	is($status, 3, 'show of an unknown id has status 3');
	like($err, qr/^policyctl: never seen: /, 'the error says that it was never seen');
}

sub blocked {
	my ($d) = @_;

	is((ctl($d, 'block', 'eve@z.example', '1h', 'why not'))[0], 0, 'block succeeds');
	$d->ask(sasl_username => 'eve@z.example');
	my $j = ctl_json($d, 'why', 'eve@z.example');
	is_deeply([@{$j->{refusals}[0]}{qw(kind id)}], ['block', 'login:eve@z.example'],
	    'why names the block');
	is($j->{help}[0]{command}, 'policyctl unblock login:eve@z.example',
	    'why has the command that ends the block');
	is((ctl($d, 'unblock', 'login:eve@z.example'))[0], 0, 'that command succeeds');
}

# Who sent most today, by domain; and who was refused most.
sub top {
	my ($d) = @_;
	my $top = sub {
		my ($field, @words) = @_;
		return join ' ', map { "$_->{id}=$_->{$field}" }
		    @{ctl_json($d, 'top', @words)->{ids}};
	};

	$d->ask(sasl_username => "$_\@y.example") for 'carl', 'dora', 'dora';
	is($top->('used', '--group', 'domain', '--rule', 'user'),
	    'user:y.example=3 user:x.example=2', 'top lists the domains that sent most');
	my ($status, $out) = ctl($d, 'top', '--group', 'domain', '--window', '1d');
	like($out, qr/\A\d{4}-.* of \d+ ids\n +USED  PERIOD    ID\n +3  1 d +dom:y\.example\n/,
	    'top lists a day as text');
	is($top->('refused', '--by', 'refused', '-n', 1), 'dom:x.example=3',
	    'top lists the ids with most refusals');
	is($top->('refused', '--by', 'refused', '--rule', 'dom', '--group', 'domain'),
	    'dom:x.example=3', 'top lists the domains with most refusals');
	my ($shadow) = grep { $_->{id} eq 'new:ann@x.example' }
	    @{ctl_json($d, 'top', '--by', 'refused')->{ids}};
	is_deeply([@$shadow{qw(refused shadow)}], [1, JSON::PP::true],
	    'a refusal in shadow is marked');
	($status, $out) = ctl($d, 'top', '--by', 'refused');
	like($out, qr/^ +3  1 d +dom:x\.example$/m, 'the text form has the number of refusals');
	like($out, qr/^ +1  1 d +new:ann\@x\.example \(shadow\)$/m, 'the text form marks shadow');
	is((ctl($d, 'top', @$_))[0], 3, "top @$_") for ['--group', 'name'], ['--by', 'id'];
}

for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind);
		my $d = daemon($db, @rules);

		refuse($d);
		subtest 'why was this mail refused' => sub { found($d) };
		subtest 'of what one may ask' => sub { subjects($d) };
		subtest 'show' => sub { shown($d) };
		subtest 'a block' => sub { blocked($d) };
		subtest 'top' => sub { top($d) };
		$d->stop;
		$d->start;
		is(ctl_json($d, 'why', '203.0.113.9')->{refused}, 1,
		    'why finds refusals right after a restart');
		is(ctl_json($d, 'top', '--by', 'refused')->{ids}[0]{refused}, 3,
		    'top counts refusals right after a restart');
		$d->ends_well;
		$d = daemon($db, history => 0, @rules);
		like((ctl($d, 'why', 'bob'))[2], qr/history is 0/, 'without history, it is said');
		$d->ends_well;
		$db->stop if defined $db;
	};
}

done_testing;
