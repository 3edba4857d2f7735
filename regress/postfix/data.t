# Two lines in main.cf limit mail: the service in smtpd_data_restrictions, over a UNIX
# socket and over TCP, as Postfix 3 and as Postfix 2 write it.

use strict;
use warnings;

use Socket qw(AF_INET6);
use Test::More;

use Policyd;
use Postfix;

Postfix::needed();

my $text = 'Rate limit reach, retry later';

sub to { return [map { "r$_\@example.net" } 1 .. $_[0]] }

sub limits_mail {
	my ($p, $d) = @_;
	my $s = $p->session(login => 'alice');

	like($s->mail, qr/^250/, "mail $_ of 5 passes") for 1 .. 5;
	my $reply = $s->mail;
	like($reply, qr/^450 /, 'the sixth mail is refused');
	like($reply, qr/\Q$text\E/, 'the refusal gives the reason');
	is($p->session(login => 'bob')->mail =~ /^(\d+)/ && $1, 250,
	    'another user still passes');
	like($p->session(login => 'Alice')->mail, qr/^450/,
	    'alice is refused in any session and spelling');
	like($p->session->mail, qr/^250/, 'a client without a login is not limited');
	is($d->recorded('alice'), 5, 'refused mails are not counted');
}

sub counts_recipients {
	my ($p, $d) = @_;
	my $s = $p->session(login => 'twelve');

	like($s->mail(to => to(12)), qr/^250/, 'a mail with twelve recipients passes');
	is($d->recorded('twelve'), 12, 'twelve recipients are counted');
	like($s->mail, qr/^450/, 'the thirteenth recipient is refused');
	like($p->session(login => 'thirteen')->mail(to => to(13)), qr/^450/,
	    'a mail to thirteen recipients is refused');
	is($d->recorded('thirteen'), 0, 'the refused mail is not counted');
	like($p->session(login => 'thirteen')->mail(to => to(12)), qr/^250/,
	    'a mail to twelve recipients still passes');
}

sub repeats_data {
	my ($p, $d) = @_;
	my $s = $p->session(login => 'repeats');

	like($s->envelope(to => to(6)), qr/^250/, 'six recipients are taken');
	like($s->command('DATA'), qr/^450/, 'DATA is refused');
	like($s->command('DATA'), qr/^450/, 'and again');
	like($s->rcpt('more@example.net'), qr/^250/, 'a recipient more');
	like($s->command('DATA'), qr/^450/, 'DATA is refused with the additional recipient');
	is($d->recorded('repeats'), 0, 'nothing was counted');
	$s->reset;
	like($s->mail(to => to(5)), qr/^250/, 'a mail to five recipients passes');
	is($d->recorded('repeats'), 5, 'the five recipients are counted once');
}

sub takes_chunks {
	my ($p, $d) = @_;
	my $s = $p->session(login => 'chunks');

	like($s->{features}, qr/CHUNKING/, 'Postfix offers CHUNKING');
	for (1 .. 2) {
		$s->envelope(to => to(2));
		like($s->bdat("Subject: test\r\n\r\n"), qr/^250/, 'a first chunk');
		like($s->bdat("Only a test.\r\n", 1), qr/^250/, 'and the last');
	}
	is($d->recorded('chunks'), 4, 'each mail is counted once');
	$s->envelope(to => to(2));
	like($s->bdat("Subject: test\r\n\r\nOnly a test.\r\n", 1),
	    qr/^450 .*\Q$text\E/, 'BDAT over the limit is refused');
	$s->reset;
	like($s->mail, qr/^250/, 'a mail within the limit passes in the same session');
}

sub check {
	my ($service, $listen) = @_;
	my $p = Postfix->new;
	my $d = $p->daemon(($listen ? (listen => $listen) : ()), config => {
		limits => [[5, 3600]],
		limits_by_id => { map { $_ => [[12, 3600]] } qw(twelve thirteen) },
	});

	if ($listen) {
		my ($address, $port) = @{$d->endpoint};
		my $endpoint = ($address =~ /:/ ? "[$address]" : $address) . ":$port";
		$service =~ s/ENDPOINT/$endpoint/;
	}
	$p->write_config({ smtpd_data_restrictions => $service,
	    $listen && $listen eq 'tcp6' ? (inet_protocols => 'all') : () });
	$p->start;
	subtest "limits mail: $service" => sub { limits_mail($p, $d) };
	subtest 'counts recipients' => sub { counts_recipients($p, $d) };
	subtest 'DATA again with more recipients' => sub { repeats_data($p, $d) };
	subtest 'BDAT' => sub { takes_chunks($p, $d) };
	is($p->wait_delivered(5 + 1 + 1 + 12 + 12 + 5 + 4 + 1), 41,
	    'only accepted mails are delivered');
	$d->ok_alive;
	is($d->stop, 0, 'the daemon stops');
	$p->stop;
}

check('check_policy_service { unix:ratelimit/policy, default_action=DUNNO }');
check('check_policy_service unix:ratelimit/policy');
check('check_policy_service { inet:ENDPOINT, default_action=DUNNO }', 'tcp');

SKIP: {
	skip 'no IPv6 here', 1 if !Policyd::free_port(AF_INET6);
	check('check_policy_service { inet:ENDPOINT, default_action=DUNNO }', 'tcp6');
}

done_testing;
