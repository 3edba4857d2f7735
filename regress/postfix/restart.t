# The daemon stops and starts again: mail passes by default_action meanwhile, and the
# counts are kept.

use strict;
use warnings;

use Test::More;

use Policyd;
use Postfix;

Postfix::needed();

my $p = Postfix->new(main => { smtpd_data_restrictions =>
    'check_policy_service { unix:ratelimit/policy, default_action=DUNNO }' });
my $d = $p->daemon(config => { limits => [[4, 3600]] });
$p->start;

# One session throughout: its smtpd holds a connection to the daemon all the time.
my $s = $p->session(login => 'alice');
like($s->mail, qr/^250/, "mail $_ of 4") for 1 .. 2;

is($d->stop, 0, 'the daemon stops cleanly');
ok(!-e $p->policy_path, 'its socket is gone');
like($s->mail, qr/^250/, 'mail passes by default_action');
ok($p->wait_log(qr{warning: .*ratelimit/policy}), 'Postfix says so');

$d->start;
is($d->recorded('alice'), 2, 'the counts are kept');
like($s->mail, qr/^250/, 'mail 3 of 4');

for my $name (qw(engine ledger-sqlite)) {
	my $pid = $d->child($name);
	ok($pid, "there is $name") or next;
	kill 'KILL', $pid;
	ok($d->child($name, $pid), "$name is back after a kill");
	ok($d->alive, 'the daemon answers');
}
like($s->mail, qr/^250/, 'mail 4 of 4');
like($s->mail, qr/^450/, 'the fifth is refused');
is($d->recorded('alice'), 4, 'exactly four were counted');

# Without default_action Postfix defers all mail while no daemon answers.
$d->stop;
$p->reconfigure({ smtpd_data_restrictions =>
    'check_policy_service unix:ratelimit/policy' });
$s = $p->session(login => 'bob');
like($s->mail, qr/^451 /, 'without default_action mail is deferred');
$d->start;
like($s->mail, qr/^250/, 'mail passes once the daemon is back');
is($p->wait_delivered(6), 6, 'six were delivered');
$d->ok_alive;

done_testing;
