# The service in smtpd_recipient_restrictions and in smtpd_data_restrictions, and at
# the end of the data: each recipient is charged once.

use strict;
use warnings;

use Test::More;

use Policyd;
use Postfix;

Postfix::needed();

my $service = 'check_policy_service { unix:ratelimit/policy, default_action=DUNNO }';

sub to { return [map { "r$_\@example.net" } 1 .. $_[0]] }

my $p = Postfix->new(main => {
	smtpd_recipient_restrictions => "$service, permit",
	smtpd_data_restrictions => $service,
	smtpd_end_of_data_restrictions => $service,
});
my $d = $p->daemon(config => { limits => [[12, 3600]] });
$p->start;

my $s = $p->session(login => 'alice');
like($s->mail(to => to(12)), qr/^250/, 'a mail with twelve recipients passes');
is($d->recorded('alice'), 12, 'each recipient was charged once, not at each stage');
like($s->mail, qr/^450 .*Rate limit reach/, 'the thirteenth recipient is refused');
$s = $p->session(login => 'bob');
like($s->mail, qr/^250/, "mail $_ of 12 passes") for 1 .. 12;
like($s->mail, qr/^450/, 'the thirteenth mail is refused');
$s = $p->session(login => 'carol');
like($s->command('MAIL FROM:<>'), qr/^250/, 'a null sender');
$s->rcpt("r$_\@example.net") for 1 .. 15;
like($s->command('DATA'), qr/^354/, 'DATA after three refused recipients');
like($s->message, qr/^250/, 'the mail to the twelve accepted recipients passes');
is($d->recorded('carol'), 12, 'twelve recipients were charged');
is($p->wait_delivered(36), 36, 'all accepted mail is delivered');
$p->stop;

# Another service refuses after ours has accepted: the client adds a recipient and sends
# DATA again in the same transaction.
my $first = Postfix::Policy->start(endpoint => $p->queue . '/ratelimit/other',
    answer => sub { $_[1] == 1 ? 'defer_if_permit not yet' : 'dunno' });
$p->reconfigure({
	smtpd_recipient_restrictions => 'permit',
	smtpd_data_restrictions => "$service, check_policy_service unix:ratelimit/other",
	smtpd_end_of_data_restrictions => '',
});
$s = $p->session(login => 'dave');
$s->envelope(to => to(2));
like($s->command('DATA'), qr/^450 .*not yet/, 'another service refuses DATA');
is($d->recorded('dave'), 2, 'two recipients were charged');
like($s->rcpt('more@example.net'), qr/^250/, 'another recipient is accepted');
like($s->command('DATA'), qr/^354/, 'the second DATA is accepted');
is($d->recorded('dave'), 3, 'only the additional recipient is charged');
like($s->message, qr/^250/, 'the mail passes');
my @asked = $first->requests;
is($asked[0]{instance}, $asked[1]{instance}, 'both requests have the same instance');
is(join(' ', map { $_->{recipient_count} } @asked), '2 3',
    'the second request has one more recipient');
is($p->wait_delivered(39), 39, 'the mail is delivered to three recipients');
$d->ok_alive;

done_testing;
