# Two rules on one login with a real Postfix: from the third mail on it is held in the
# queue, the sixth is refused.

use strict;
use warnings;

use Test::More;

use Policyd;
use Postfix;

Postfix::needed();

my $service = 'check_policy_service { unix:ratelimit/policy, default_action=DUNNO }';
my $p = Postfix->new(main => { smtpd_data_restrictions => $service });
my $d = $p->daemon(config => { rules => [
	{ name => 'soft', key => 'sasl_username', limits => [[3, 3600]],
	    action => 'HOLD more than {limit} mails' },
	{ name => 'hard', key => 'sasl_username', limits => [[6, 3600]],
	    action => 'REJECT more than {limit} mails' },
] });
$p->start;

my $s = $p->session(login => 'alice');
like($s->mail, qr/^250/, "mail $_ passes") for 1 .. 3;
is($p->wait_delivered(3), 3, 'and is delivered');
like($s->mail, qr/^250/, "mail $_ is taken") for 4 .. 6;
ok($p->wait_log(qr/hold: DATA from .*more than 3 mails/), 'the mail is held');
like($s->mail, qr/^554 .*more than 6 mails/, 'the seventh is refused');
like($p->session(login => 'bob')->mail, qr/^250/, 'another login passes');
is($p->wait_delivered(4), 4, "the other login's mail is delivered, held mails are not");
is($d->recorded('soft:alice'), 6, 'held mails are charged');

# A slower transport beyond the limit, with one rule.
$d->write_config({ fail_action => 'FILTER slow:', rules => [
	{ name => 'slow', key => 'sasl_username', limits => [[2, 3600]] }] });
my $mark = $d->log_mark;
$d->signal('HUP');
ok($d->wait_log(qr/new configuration is in force/, $mark), 'FILTER by fail_action');
$s = $p->session(login => 'carol');
like($s->mail, qr/^250/, "mail $_ is taken") for 1 .. 4;
ok($p->wait_log(qr/filter: DATA from .*slow:/), 'the mail goes to the slow transport');
is($d->recorded('slow:carol'), 4, 'every mail is charged');
$d->ok_alive;

done_testing;
