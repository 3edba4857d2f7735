#!/usr/bin/perl
# What reads the log besides people: the filters for fail2ban, in its own eyes, and the
# list of lines that logcheck need not mail.

use strict;
use warnings;

use Test::More;

use Packaging qw(output);
use Policyd qw(need have_command slurp spew $root);

my $fail2ban = have_command('fail2ban-regex');
need($fail2ban && -d '/etc/fail2ban/filter.d', 'fail2ban');

my $d = Policyd->start(config => { limits => [[1, 60]], fail_action => 'reject full' });
my $conf = "$d->{dir}/fail2ban";
output("cp -R /etc/fail2ban '$conf' && cp '$root/packaging/fail2ban/'* '$conf/filter.d'");

# The lines of these that the filter takes for an attack, with the address.
sub found {
	my ($filter, @lines) = @_;

	spew("$d->{dir}/log", join '', map { "$_\n" } @lines);
	my $said = output("$fail2ban -c '$conf' -o ip '$d->{dir}/log' '$filter' 2>&1");
	return join ' ', split /\n/, $said;
}

# --- our own lines, as the daemon writes them ---

my $lie = '2 client=203.0.113.66 ';
my %mail = (sasl_username => 'bob', client_address => '198.51.100.7', sender => "a$lie\@x",
    recipient => "e$lie\@x", helo_name => "h$lie", recipient_count => 1);
$d->ask(%mail) for 1, 2;
$d->ask(%mail, sasl_username => "eve$lie", client_address => '2001:db8::7') for 1, 2;
ok($d->wait_log(qr/^.*refused: id=<eve/m), 'a refusal is logged');
my @refused = map { "Nov 29 09:00:00 mx1 policyd-rate-limit/engine[17]: $_" }
    $d->log =~ /^\S+ engine: (refused: .*)$/mg;
is(scalar @refused, 2, 'both refusals are logged');
is(found('policyd-rate-limit', @refused), '198.51.100.7 2001:db8::7',
    'the filter finds their clients');
my ($prefix) = $refused[0] =~ /^(.*?: )refused/;
is(found('policyd-rate-limit', map { my $word = $_; map { s/: refused: /: $word: /r } @refused }
    'near its limit', 'would refuse', 'accepted over its limit', 'accepted'), '',
    'the filter ignores accepted mail');
is(found('policyd-rate-limit', "${prefix}blocked: by=<login:bob> until=forever " .
    'sasl_username=bob from=<x client=203.0.113.9 > client=198.51.100.8 queue_id='),
    '198.51.100.8', 'the filter finds the client of a block');

# --- Debian's filter for Postfix ---

my $smtpd = 'Nov 29 09:00:00 mx1 postfix/submission/smtpd[123]: NOQUEUE: reject: ';
my $end = '; from=<bob@example.org> proto=ESMTP helo=<pc>';
my @limited = map { "$smtpd$_$end" }
    'DATA from mx[198.51.100.7]: 450 4.7.1 <DATA>: Data command rejected: ' .
    'Rate limit reach, retry later',
    'RCPT from mx[198.51.100.7]: 450 4.7.1 <a@b>: Recipient address rejected: ' .
    'Rate limit reach, retry later',
    'DATA from mx[198.51.100.7]: 554 5.7.1 <DATA>: Data command rejected: Sending is blocked';
my @attacks = map { "$smtpd$_" }
    "RCPT from x[203.0.113.7]: 554 5.7.1 <a\@b>: Relay access denied$end",
    'RCPT from x[203.0.113.8]: 554 5.7.1 <a@b>: Relay access denied; from=<b@c> proto=ESMTP ' .
    'helo=<DATA from x: 450 4.7.1 <DATA>: Data command rejected: Rate limit reach, retry later>';
is(found('postfix[mode=more]', @limited, @attacks), '203.0.113.7 203.0.113.8',
    'postfix.local ignores our refusals, and nothing else');
unlink "$conf/filter.d/postfix.local" or die "postfix.local: $!";
is(found('postfix[mode=more]', $limited[0]), '198.51.100.7',
    'without postfix.local its filter takes our refusals for attacks');

# --- logcheck ---

my $rules = "$root/packaging/debian/policyd-rate-limit.logcheck.ignore.server";

# What logcheck would mail.
sub mailed {
	my (@lines) = @_;

	spew("$d->{dir}/log", join '', map { "$_\n" } @lines);
	return output("grep -E -v -f '$rules' '$d->{dir}/log'");
}

is(mailed(@refused), '', 'logcheck mails no refusal');
is(mailed(map { s/^Nov 29 09:00:00/2026-11-29T09:00:00.123456+00:00/r } @refused), '',
    'logcheck mails no refusal with the other date format');
my @faults = map { "Nov 29 09:00:00 mx1 policyd-rate-limit/$_" }
    'ledger[17]: sqlite /var/lib/x: disk full', 'parent[17]: the database is away; looking for it',
    'engine[17]: the database gives no verdict: requests are answered dunno: refused: id=<x> key=y ';
is(mailed(@faults), join('', map { "$_\n" } @faults), 'logcheck mails every fault');
$d->ends_well;

done_testing;
