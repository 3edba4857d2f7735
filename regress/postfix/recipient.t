# The service in smtpd_recipient_restrictions, where 1.x had to stand: every recipient
# is asked for, and those over the limit are refused one by one.

use strict;
use warnings;

use Test::More;

use Policyd;
use Postfix;

Postfix::needed();

my $p = Postfix->new(main => { smtpd_recipient_restrictions =>
    'check_policy_service { unix:ratelimit/policy, default_action=DUNNO }, permit' });
my $d = $p->daemon(config => { limits => [[5, 3600]] });
$p->start;

my $s = $p->session(login => 'alice');
like($s->command('MAIL FROM:<alice@example.org>'), qr/^250/, 'MAIL');
like($s->rcpt("r$_\@example.net"), qr/^250/, "recipient $_ is taken") for 1 .. 5;
like($s->rcpt("r$_\@example.net"), qr/^450 .*Rate limit reach/,
    "recipient $_ is not") for 6 .. 7;
like($s->command('DATA'), qr/^354/, 'DATA is accepted for the accepted recipients');
like($s->message, qr/^250/, 'the mail passes');
is($p->wait_delivered(5), 5, 'the mail is delivered to five recipients');
is($d->recorded('alice'), 5, 'five are counted');
like($s->mail, qr/^450/, 'the next mail is refused');

my $other = $p->session(login => 'bob');
like($other->command('VRFY r1@example.net'), qr/^252/, 'VRFY asks the service too');
is($d->recorded('bob'), 0, 'VRFY is not counted');
like($other->mail(to => [map { "r$_\@example.net" } 1 .. 3]), qr/^250/,
    'another user still passes');
is($d->recorded('bob'), 3, 'each recipient counts one');
is($p->wait_delivered(8), 8, 'all of it is delivered');
$d->ok_alive;

done_testing;
