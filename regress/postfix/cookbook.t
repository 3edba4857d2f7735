# The examples of the section COOKBOOK in policyd-rate-limit.conf(5), each as it stands
# there, with a real Postfix.

use strict;
use warnings;

use Test::More;

use Ctl qw(ctl);
use Database;
use Policyd qw(slurp $root);
use Postfix;

Postfix::needed();

my ($book) = slurp("$root/man/policyd-rate-limit.conf.5") =~ /^\.Sh COOKBOOK\n(.*?)^\.Sh /ms;
# The last literal text of each.
my %recipe = $book =~ /^\.Ss ([^\n]+)\n(?:(?!^\.Ss ).)*^\.Bd [^\n]*\n(.*?)^\.Ed$/msg;

my $service = 'check_policy_service { unix:ratelimit/policy, default_action=DUNNO }';
my $p = Postfix->start;
my ($d, $store);

# The daemon with one recipe alone.
sub cook {
	my ($name) = @_;
	my (undef, %setting) = split /^(\w+) = /m, $recipe{$name};

	my $mark = $d->log_mark;
	$d->write_config({ exempt => [], default_domain => '',
	    map { $_ => \$setting{$_} } keys %setting });
	$d->signal('HUP');
	return ok($d->wait_log(qr/new configuration is in force/, $mark), 'the recipe is in force');
}

sub at_rcpt { $p->reconfigure({ smtpd_data_restrictions => '',
    smtpd_recipient_restrictions => "$service, reject_unauth_destination" }) }
sub at_data { $p->reconfigure({ smtpd_data_restrictions => $service,
    smtpd_recipient_restrictions => 'reject_unauth_destination', @_ }) }

my %test = (
	'A monitoring host and a newsletter' => sub {
		my $s = $p->session(login => 'newsletter@example.org');
		like($s->mail, qr/^250/, "mail $_ of the newsletter is accepted") for 1 .. 4;
		$s = $p->session(login => 'bob@example.org', address => '192.0.2.25');
		like($s->mail, qr/^250/, "mail $_ of the monitoring host is accepted") for 1 .. 4;
		$s = $p->session(login => 'bob@example.org');
		like($s->mail, qr/^250/, "mail $_ of bob is accepted") for 1, 2;
		like($s->mail, qr/^450/, 'mail 3 of bob is refused by the rule user');
		$s = $p->session(login => 'eve@example.org');
		like($s->mail, qr/^250/, 'mail 1 of eve is accepted');
		like($s->mail, qr/^450/, 'mail 2 of eve is refused by the rule company');
		is($store->recorded('user:newsletter@example.org'), 4,
		    'mail of the newsletter is recorded under its login');
		is($store->recorded('company:example.org'), 3,
		    'mail of the newsletter is not recorded for the company');
	},
	'Not too many recipients in one mail' => sub {
		my @to = map { "r$_\@example.net" } 1 .. 51;
		my $s = $p->session(login => 'bob');
		like($s->mail(to => \@to), qr/^554 5\.5\.3 .*Too many recipients/,
		    'a mail to 51 recipients is refused');
		pop @to;
		like($s->mail(to => \@to), qr/^250/,
		    "mail $_ to 50 recipients is accepted") for 1, 2;
		is($store->recorded('user:bob'), 100, 'what was refused is not charged');
	},
	'Ten bounces within an hour' => sub {
		my ($command) = $book =~ /^\.Dl policyctl (charge .*)$/m;
		my (undef, $id, $n, $instance) = split / /, $command;
		my $bounce = sub { ctl($d, 'charge', $id, $n, "$instance.$_[0]") };
		is(($bounce->($_))[0], 0, "charge of bounce $_ succeeds") for 1 .. 9, 9;
		my $s = $p->session(login => 'bob@example.org');
		like($s->mail, qr/^250/,
		    'a mail is accepted after nine bounces, one of them charged twice');
		is(($bounce->(10))[0], 0, 'charge of the tenth bounce succeeds');
		like((ctl($d, 'list'))[1], qr/^login:bob\@example\.org locked until .*, by rule bounces$/m,
		    'the tenth bounce locks the login');
		like($s->mail, qr/^554 5\.7\.1 .*Too many bounces/,
		    'mail of the locked login is refused');
		$s = $p->session(login => 'eve@example.org');
		like($s->mail, qr/^250/, 'mail of another login is accepted');
		is($store->recorded('bounces:bob@example.org'), 10, 'ten bounces are counted');
	},
	'Two tiers' => sub {
		my $s = $p->session(login => 'alice');
		like($s->mail, qr/^250/, "mail $_ is accepted") for 1 .. 6;
		ok($p->wait_log(qr/hold: DATA from .*more than 3 mails/),
		    'mails after the third are held');
		like($s->mail, qr/^554 .*more than 6 mails/, 'mail 7 is refused');
	},
	'A slow transport' => sub {
		my $s = $p->session(login => 'carol');
		like($s->mail, qr/^250/, "mail $_ is accepted") for 1 .. 3;
		ok($p->wait_log(qr/filter: DATA from .*slow:/),
		    'mail over the limit goes by the slow transport');
	},
	'Few sender addresses for each login' => sub {
		my $s = $p->session(login => 'dave');
		like($s->mail(from => "$_\@example.org"), qr/^250/,
		    "mail as sender $_ is accepted") for qw(a b c A);
		like($s->mail(from => 'd@example.org'), qr/^450/,
		    'mail as a fourth sender is refused');
		like($s->mail(from => $_), qr/^250/,
		    "mail as <$_> is accepted after that") for 'b@example.org', '';
	},
	'Stolen logins' => sub {
		at_rcpt();
		my $home = $p->session(login => 'grace', address => '192.0.2.9');
		like($home->mail(to => ['friend@example.net']), qr/^250/,
		    'mail to a friend is accepted');
		# It has learned for two weeks.
		$store->sql("UPDATE mail_habit SET since = since - $_, seen = seen - $_")
		    for 15 * 86400;
		like($home->mail(to => ["a$_\@example.net"]), qr/^250/,
		    "mail to stranger $_ from home is accepted")
		    for 1 .. 4;
		my $thief = $p->session(login => 'grace', address => '198.51.100.7');
		like($thief->mail(to => ["b$_\@example.net"]), qr/^250/,
		    "mail to stranger $_ from elsewhere is accepted")
		    for 1, 2;
		like($thief->mail(to => ["b$_\@example.net"]), qr/^450/,
		    "mail to stranger $_ from elsewhere is refused")
		    for 3, 4;
		like($thief->mail(to => ['friend@example.net']), qr/^250/,
		    'mail to the friend from elsewhere is accepted');
		like($home->mail(to => ['c@example.net']), qr/^250/,
		    'mail to a stranger from home is still accepted');
		my $shop = $p->session(login => 'shop', address => '198.51.100.8');
		like($shop->mail(to => ["d$_\@example.net"]), qr/^250/,
		    "mail $_ of the shop is accepted") for 1 .. 4;
	},
	'A stolen login that closes itself' => sub {
		my $from = sub { $p->session(login => 'mallory', address => "192.0.2.$_[0]") };
		my @postmaster = (to => ['postmaster@example.test']);
		like($from->($_)->mail, qr/^250/, "mail from address $_ is accepted") for 1 .. 3;
		like($from->(4)->mail, qr/^554 .*too many addresses/,
		    'mail from a fourth address is refused');
		like($from->(1)->mail, qr/^554 5\.7\.1 .*mallory is closed/,
		    'mail from a known address is refused by the lock');
		like($from->(1)->mail(@postmaster), qr/^250/,
		    'mail to the postmaster passes the lock');
		like($from->(1)->mail(to => ['postmaster@example.test', 'x@example.net']),
		    qr/^554 5\.7\.1/, 'mail to the postmaster and others does not pass the lock');
		like($p->session(login => 'alice')->mail, qr/^250/,
		    'mail of another login is accepted');
		is((ctl($d, 'unblock', 'mallory'))[0], 0, 'unblock succeeds');
		like($from->(1)->mail, qr/^250/, 'mail is accepted after unblock');
		like($from->(4)->mail, qr/^554 .*too many addresses/,
		    'mail from a fourth address is refused after unblock');
		like($from->(1)->mail, qr/^250/, 'this refusal does not lock again');
	},
	'One mailbox, one customer' => sub {
		my ($tables) = $book =~ /^((?:CREATE TABLE|INSERT INTO).*?)^\.Ed$/ms;
		$store->sql($_) for split /;\n/, $tables;
		my $s = $p->session(login => 'bob');
		like($s->mail, qr/^250/, 'mail 1, of login bob, is accepted');
		$s = $p->session(login => 'bob@example.net');
		like($s->mail, qr/^250/, 'mail 2, of bob in the alias domain, is accepted');
		$s = $p->session(login => 'Bob@example.org');
		like($s->mail, qr/^250/, 'mail 3, of bob with his domain, is accepted');
		like($s->mail, qr/^450/, 'mail 4 of the mailbox is refused');
		is($store->recorded('mailbox:bob@example.org'), 3,
		    'the three logins have one count');
		$s = $p->session(login => 'eve@example.net');
		like($s->mail, qr/^250/, "mail $_ of eve, of the same customer, is accepted")
		    for 1, 2;
		like($s->mail, qr/^450/, 'mail 6 of the customer is refused');
		is($store->recorded('customer:c7'), 5,
		    'the domains of the customer have one count');
		$s = $p->session(login => 'zoe@example.com');
		like($s->mail, qr/^250/, 'mail of another domain is accepted');
		is($store->recorded('customer:example.com'), 1,
		    'a domain without a row has its own count');
	},
	'One daemon for two services' => sub {
		at_data(smtpd_policy_service_policy_context => '');
		my $s = $p->session(login => 'frank', address => '192.0.2.9');
		like($s->mail, qr/^250/, "mail $_ at port 25 is accepted") for 1, 2;
		like($s->mail, qr/^450/, 'mail 3 at port 25 is refused by address');
		at_data(smtpd_policy_service_policy_context => 'submission');
		$s = $p->session(login => 'frank', address => '192.0.2.9');
		like($s->mail, qr/^250/, "mail $_ by submission is accepted") for 1 .. 3;
		like($s->mail, qr/^450/, 'mail 4 by submission is refused by login');
	},
	'External recipients only' => sub {
		at_rcpt();
		my $s = $p->session(login => 'grace');
		like($s->mail(to => ["c$_\@example.test"]), qr/^250/,
		    "internal mail $_ is accepted") for 1 .. 5;
		my $r = $s->mail(to => [map { "x$_\@example.net" } 1 .. 3]);
		like($r, qr/^250/, 'a mail to three external recipients is accepted');
		like($s->mail(to => ['x4@example.net']), qr/^450/,
		    'mail to a fourth external recipient is refused');
		like($s->mail(to => ['c@example.test']), qr/^250/,
		    'internal mail is still accepted');
		is($store->recorded('external:grace'), 3, 'only external recipients are counted');
	},
);
my @order = ('A stolen login that closes itself',
    'A monitoring host and a newsletter', 'Not too many recipients in one mail',
    'One mailbox, one customer', 'Ten bounces within an hour', 'Two tiers',
    'A slow transport',
    'Few sender addresses for each login',
    'One daemon for two services', 'External recipients only', 'Stolen logins');

is_deeply([sort keys %recipe], [sort keys %test], 'each recipe has its test');
for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql)) {
	my $db = $kind eq 'sqlite' ? undef : Database->start($kind);
	at_data();
	$d = $p->daemon(config => { defined $db ? $db->config : () });
	$store = $db // $d;
	for my $name (@order) {
		subtest "$kind: $name" => sub { cook($name) && $test{$name}->() };
	}
	$d->ends_well;
	$db->stop if defined $db;
}

done_testing;
