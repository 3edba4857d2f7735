# count_mode as an administrator sets it, where Postfix asks.

use strict;
use warnings;

use Test::More;

use Policyd;
use Postfix;

Postfix::needed();

my $service = 'check_policy_service { unix:ratelimit/policy, default_action=DUNNO }';

sub to { return [map { "r$_\@example.net" } 1 .. $_[0]] }

sub with {
	my ($mode, $where, $code) = @_;

	subtest "count_mode $mode in $where" => sub {
		my $p = Postfix->new(main => { $where => "$service" .
		    ($where =~ /recipient/ ? ', permit' : '') });
		my $d = $p->daemon(config => { count_mode => $mode,
		    limits => [[3, 3600]] });
		$p->start;
		$code->($p, $d, $p->session(login => 'alice'));
		$d->ok_alive;
		$d->stop;
		$p->stop;
	};
}

with(0, 'smtpd_recipient_restrictions', sub {
	my ($p, $d, $s) = @_;

	like($s->command('MAIL FROM:<alice@example.org>'), qr/^250/, 'MAIL is accepted');
	like($s->rcpt("r$_\@example.net"), qr/^250/, "recipient $_ is accepted") for 1 .. 3;
	is($d->recorded('alice'), 3, 'three are counted');
	like($s->rcpt('r4@example.net'), qr/^450/, 'the fourth is refused');
	is($d->recorded('alice'), 0, 'the refusal takes back the charges of its mail');
	like($s->rcpt('r5@example.net'), qr/^250/, 'another recipient is accepted');
	like($s->command('DATA'), qr/^354/, 'DATA is accepted');
	like($s->message, qr/^250/, 'the mail passes');
	is($p->wait_delivered(4), 4, 'the mail is delivered to the four accepted recipients');
	ok($d->wait_log(qr/count_mode/), 'the log warns that this mode can be abused');
});

with(1, 'smtpd_data_restrictions', sub {
	my ($p, $d, $s) = @_;

	like($s->mail(to => to(2)), qr/^250/, 'a mail to two recipients is accepted');
	is($d->recorded('alice'), 2, 'two recipients count two');
	like($s->mail(to => to(2)), qr/^450/, 'a mail to two more recipients is refused');
	like($s->mail, qr/^250/, 'a mail to one recipient passes');
	is($p->wait_delivered(3), 3, 'three are delivered');
});

with(2, 'smtpd_data_restrictions', sub {
	my ($p, $d, $s) = @_;

	like($s->mail(to => to(12)), qr/^250/, 'a mail to twelve') for 1 .. 3;
	is($d->recorded('alice'), 3, 'each mail counts one');
	like($s->mail(to => to(12)), qr/^450/, 'the fourth is refused');
	is($p->wait_delivered(36), 36, 'three are delivered');
});

with('auto', 'smtpd_end_of_data_restrictions', sub {
	my ($p, $d, $s) = @_;

	like($s->mail(to => to(3)), qr/^250/, 'a mail to three passes at its end');
	is($d->recorded('alice'), 3, 'a mail to three counts three');
	like($s->mail, qr/^450/, 'the next is refused at its end');
});

# wrong-stage-silent: 1.x said nothing, and limited nobody.
with(1, 'smtpd_recipient_restrictions', sub {
	my ($p, $d, $s) = @_;

	like($s->mail, qr/^250/, 'all mails are accepted') for 1 .. 5;
	is($d->recorded('alice'), 0, 'no mail is counted');
	ok($d->wait_log(qr/smtpd_data_restrictions/),
	    'the log names the missing line of main.cf');
	my @said = $d->log =~ /smtpd_data_restrictions/g;
	is(scalar @said, 1, 'the log names smtpd_data_restrictions once');
});

done_testing;
