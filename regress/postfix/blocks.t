# What policyctl blocks, with a real Postfix that asks at RCPT and at DATA: the mail is
# refused from the next command on, whatever was accepted of it before.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl);
use Policyd;
use Postfix;

Postfix::needed();

my $service = 'check_policy_service { unix:ratelimit/policy, default_action=DUNNO }';
my $p = Postfix->new(main => { smtpd_recipient_restrictions => "$service, permit",
    smtpd_data_restrictions => $service });
my $d = $p->daemon(config => { limits => [[100, 3600]], limits_by_id => { vip => [] } });
my $refused = qr/^554 5\.7\.1 .*Sending is blocked/;

sub set {
	my (@words) = @_;

	is((ctl($d, @words))[0], 0, "policyctl @words succeeds");
}

$p->start;

subtest 'a blocked login' => sub {
	my ($bob, $eve) = map { $p->session(login => $_) } qw(Bob@x.example eve@y.example);

	like($_->mail, qr/^250/, 'mail is accepted before the block') for $bob, $eve;
	set('block', 'bob@X.example', '1h', 'stolen password');
	like($bob->mail, $refused, 'the blocked login is refused in its open session');
	like($p->session(login => 'bob@x.example')->mail, $refused,
	    'the blocked login is refused in a new session');
	like($eve->mail, qr/^250/, 'another login passes');
	ok($d->wait_log(qr/blocked: by=<login:bob\@x\.example> .*sasl_username=Bob\@x\.example/),
	    'the log names the block');
	$d->restart;
	like($p->session(login => 'bob@x.example')->mail, $refused, 'after a restart');
	set('unblock', 'bob@x.example');
	like($bob->mail, qr/^250/, 'mail passes after unblock');
	set('block', '@x.example', '1h');
	like($bob->mail, $refused, 'a login of a blocked domain is refused');
	set('unblock', '@x.example');
};

subtest 'an address, a network, a sender, an id without limits' => sub {
	for (['192.0.2.9', { address => '192.0.2.9' }, {}],
	    ['192.0.2.0/28', { address => '192.0.2.9' }, {}],
	    ['sender:spam@z.example', {}, { from => 'spam@z.example' }],
	    ['vip', { login => 'vip' }, {}]) {
		my ($what, $session, $mail) = @$_;
		my $s = $p->session(login => 'zoe', %$session);

		like($s->mail(%$mail), qr/^250/, "$what: mail is accepted before the block");
		set('block', $what, '15m');
		like($s->mail(%$mail), $refused, "$what: mail is refused");
		set('unblock', $what);
		like($s->mail(%$mail), qr/^250/, "$what: mail is accepted after unblock");
	}
};

subtest 'a block between RCPT and DATA' => sub {
	my $s = $p->session(login => 'mallory');

	like($s->envelope(to => [map { "r$_\@example.net" } 1 .. 3]), qr/^250/,
	    'three recipients are taken');
	set('block', 'mallory', 'forever');
	like($s->command('DATA'), $refused, 'DATA is refused');
	like($s->rcpt('r4@example.net'), $refused, 'another recipient is refused');
	like($s->command('DATA'), $refused, 'DATA is refused again');
	$s->reset;
	like($p->session(login => 'zoe')->mail(to => ['last@example.net']), qr/^250/,
	    "another login's mail passes");
	ok($p->wait_log(qr/to=<last\@example\.net>, .* status=sent/),
	    'the mail of another login is delivered');
	unlike($p->log, qr/to=<r\d\@example\.net>, .* status=/,
	    'no blocked mail is delivered');
};

subtest 'block_action HOLD' => sub {
	$d->write_config({ block_action => 'HOLD blocked' });
	set('reload');
	my $s = $p->session(login => 'mallory');
	like($s->mail(to => ['held@example.net']), qr/^250/, 'the mail is taken');
	ok($p->wait_log(qr/hold: (?:RCPT|DATA) from .*blocked/), 'the mail is held');
	unlike($p->log, qr/to=<held\@example\.net>, .* status=sent/,
	    'the held mail is not delivered');
};

$d->ok_alive;

done_testing;
