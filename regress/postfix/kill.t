# Engine and ledger killed while mail comes in: every mail that was delivered is
# counted, once, and no more of them than the limit allows.

use strict;
use warnings;

use Test::More;

use Policyd qw(have_command need wait_until);
use Postfix;

Postfix::needed();
my $source = have_command('smtp-source');
need($source, 'smtp-source (postfix)');

# Without a verdict mail is deferred, so that no mail passes uncounted.
my $p = Postfix->new(main => { smtpd_data_restrictions =>
    'check_policy_service unix:ratelimit/policy' });
my $d = $p->daemon(config => { debug => \'False', limit_by_sender => \'True',
    db_error_action => 'defer_if_permit no verdict', limits => [[400, 3600]] });
$p->start;

my $load = $d->spawn("$d->{dir}/out", "$d->{dir}/out", $source, '-A', '-4', '-s', 8,
    '-m', 600, '-f', 'busy@example.org', '-t', 'to@example.net',
    '127.0.0.1:' . $p->port);
my $goal = 0;
for my $name (qw(engine ledger-sqlite engine ledger-sqlite)) {
	$goal += 60;
	ok(wait_until { my @done = $p->delivered; @done >= $goal },
	    "mail comes in, $goal so far");
	my $pid = $d->child($name);
	ok($pid && kill('KILL', $pid), "$name is killed");
	ok($d->child($name, $pid), 'the killed process is restarted');
}
ok(defined Policyd::reap($load, 300), 'all mail was tried');
ok((wait_until { !$p->waiting } 120), 'accepted mail is delivered');

my $recorded = $d->recorded('busy@example.org');
my @delivered = $p->delivered;
cmp_ok(scalar @delivered, '>=', $goal, 'mail was accepted all the time');
cmp_ok($recorded, '<=', 400, 'no more than the limit were counted');
cmp_ok(scalar @delivered, '<=', $recorded, 'every delivered mail was counted');
# A mail is lost to the count only when the session gave up on it meanwhile: two tries
# of Postfix, a second apart.
cmp_ok($recorded - @delivered, '<=', 8 * 4, 'and none was counted for nothing, but ' .
    'for sessions that a kill hit');
$d->ok_alive;
like($p->session->mail(from => 'other@example.org'), qr/^250/, 'others still pass');

done_testing;
