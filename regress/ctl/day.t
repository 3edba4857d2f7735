#!/usr/bin/perl
# An operator's day: each job is one command, which stands in the manual as an example.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl ctl_json);
use Policyd qw(slurp spew $root);

my $manual = slurp("$root/man/policyctl.8") =~ s/\\e\n +//gr;

# Runs an example of the manual; values of the test replace words of it.
sub job {
	my ($d, $example, %instead) = @_;

	ok($manual =~ /^\.Dl # policyctl \Q$example\E$/m, "policyctl $example: the manual has it");
	my ($status, $out, $err) = ctl($d, map { $instead{$_} // $_ } split ' ', $example);
	is($err, '', 'nothing is wrong');
	return ($status, $out);
}

my $d = Policyd->start(config => { rules => [
    { name => 'user', key => 'sasl_username', limits => [[20, 86400]] },
    { name => 'stolen', key => 'sasl_username', count => 'addresses', limits => [[3, 3600]],
      lock => { for => 3600 } }], fail_action => 'reject full',
    block_action => 'reject 5.7.1 blocked' });

sub mail {
	my ($login, $n, %more) = @_;
	my $answer;

	$answer = $d->ask(sasl_username => $login, sender => $login, protocol_state => 'DATA',
	    recipient_count => 1, client_address => '192.0.2.1', %more) for 1 .. $n;
	return $answer;
}

mail('bea@quiet.example', 3);
mail("u$_\@busy.example", 9) for 1 .. 3;
mail('news@lists.example', 20);
my $refused = mail('news@lists.example', 1, queue_id => '568BAA82041');
mail('eve@busy.example', 1, client_address => "203.0.113.$_") for 1 .. 9;

subtest 'who sent most today, by domain' => sub {
	my ($status, $out) = job($d, 'top --group domain --rule user --window 1d');

	is($status, 0, 'done');
	like($out, qr/^ +(?:30) .*busy\.example\n +20 .*lists\.example\n +3 .*quiet\.example$/m,
	    'the domains, with most first');
};

subtest 'which login looks stolen' => sub {
	my ($status, $out) = job($d, 'top --by refused');

	is($status, 0, 'done');
	like($out, qr/REFUSED.*\n +5 .*login:eve\@busy\.example \(locked\)\n/,
	    'the login that came from many addresses comes first');
	like($out, qr/stolen:eve\@busy\.example \(locked\)$/m, 'and is locked');
};

subtest 'why was this mail refused' => sub {
	is($refused, 'reject full', 'a mail was refused');
	my ($status, $out) = job($d, 'why 568BAA82041');

	is($status, 0, 'done');
	like($out, qr/refused: user:news\@lists\.example \(rule user\)$/m, 'by which rule');
	like($out, qr/^ +20 of +20 in 1 d: no room for 1$/m, 'and which window');
	like($out, qr/^  policyctl grant user:news\@lists\.example \d+ 1h/m, 'and what helps');
};

subtest 'let a newsletter out tonight' => sub {
	my ($status, $out) = job($d, 'grant bob 500 until 06:00', bob => 'news@lists.example');

	is($status, 0, 'done');
	is(mail('news@lists.example', 499), 'dunno', 'it goes out');
	is(mail('news@lists.example', 2), 'reject full', 'and not more');
};

subtest 'block a domain until Monday with a reason' => sub {
	is(mail('u1@busy.example', 1), 'dunno', 'it may send');
	my ($status, $out) = job($d, 'block @example.org until Mon 06:00 stolen logins',
	    '@example.org' => '@busy.example');

	is($status, 0, 'done');
	is(mail("u$_\@busy.example", 1), 'reject 5.7.1 blocked', 'all of it is blocked') for 1, 2;
	is(mail('bea@quiet.example', 1), 'dunno', 'and no other');
	like((ctl($d, 'list'))[1], qr/^domain:busy\.example blocked until Mon [-\d]+ 06:00 .*: stolen logins$/m,
	    'until when and why can be listed');
	like((ctl($d, 'top', '--group', 'domain', '--rule', 'user'))[1],
	    qr/user:busy\.example \(blocked\)$/m, 'and the list by domain marks it');
};

subtest "what would tomorrow's limits have done" => sub {
	my $file = "$d->{dir}/tomorrow.conf";

	spew($file, 'rules = [{"name": "user", "key": "sasl_username", "limits": [[5, 86400]]}]' . "\n");
	my ($status, $out) = job($d, 'try /etc/policyd-rate-limit.new.conf',
	    '/etc/policyd-rate-limit.new.conf' => $file);
	is($status, 0, 'done');
	like($out, qr/u1\@busy\.example/, 'it names who would be refused');
	unlike($out, qr/bea\@quiet/, 'and no other');
};

subtest 'is it healthy' => sub {
	my ($status, $out) = job($d, 'status -q');

	is_deeply([$status, $out], [0, "well\n"], 'well');
};

subtest 'show me on my phone' => sub {
	my $file = "$d->{dir}/page.html";
	my ($status) = job($d, 'page /root/policyd-rate-limit.html',
	    '/root/policyd-rate-limit.html' => $file);
	my $html = slurp($file) =~ s/<wbr>//gr;

	is($status, 0, 'done');
	like($html, qr/<meta name="viewport" content="width=device-width/, 'as wide as the phone');
	for my $seen ('<strong>well</strong>', 'stolen:eve@busy.example', 'domain:busy.example',
	    'stolen logins', '568BAA82041') {
		like($html, qr/\Q$seen\E/, "with $seen");
	}
};

$d->ends_well;
done_testing;
