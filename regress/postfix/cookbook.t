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
	return ok($d->wait_log(qr/new configuration is in force/, $mark), 'it is in force');
}

sub at_rcpt { $p->reconfigure({ smtpd_data_restrictions => '',
    smtpd_recipient_restrictions => "$service, reject_unauth_destination" }) }
sub at_data { $p->reconfigure({ smtpd_data_restrictions => $service,
    smtpd_recipient_restrictions => 'reject_unauth_destination', @_ }) }

my %test = (
	'A monitoring host and a newsletter' => sub {
		my $s = $p->session(login => 'newsletter@example.org');
		like($s->mail, qr/^250/, "newsletter $_") for 1 .. 4;
		$s = $p->session(login => 'bob@example.org', address => '192.0.2.25');
		like($s->mail, qr/^250/, "from the monitoring host $_") for 1 .. 4;
		$s = $p->session(login => 'bob@example.org');
		like($s->mail, qr/^250/, "bob $_") for 1, 2;
		like($s->mail, qr/^450/, 'bob is limited');
		$s = $p->session(login => 'eve@example.org');
		like($s->mail, qr/^250/, 'eve');
		like($s->mail, qr/^450/, 'and the company is');
		is($store->recorded('user:newsletter@example.org'), 4, 'its own count');
		is($store->recorded('company:example.org'), 3, 'and not that of the others');
	},
	'Not too many recipients in one mail' => sub {
		my @to = map { "r$_\@example.net" } 1 .. 51;
		my $s = $p->session(login => 'bob');
		like($s->mail(to => \@to), qr/^554 5\.5\.3 .*Too many recipients/,
		    '51 recipients');
		pop @to;
		like($s->mail(to => \@to), qr/^250/, "50, $_") for 1, 2;
		is($store->recorded('user:bob'), 100, 'what was refused is not charged');
	},
	'Ten bounces within an hour' => sub {
		my ($command) = $book =~ /^\.Dl policyctl (charge .*)$/m;
		my (undef, $id, $n, $instance) = split / /, $command;
		my $bounce = sub { ctl($d, 'charge', $id, $n, "$instance.$_[0]") };
		is(($bounce->($_))[0], 0, "bounce $_") for 1 .. 9, 9;
		my $s = $p->session(login => 'bob@example.org');
		like($s->mail, qr/^250/, 'nine of them, one twice');
		is(($bounce->(10))[0], 0, 'the tenth');
		like((ctl($d, 'list'))[1], qr/^login:bob\@example\.org locked until .*, by rule bounces$/m,
		    'closes the login at once');
		like($s->mail, qr/^554 5\.7\.1 .*Too many bounces/, 'the login is refused');
		$s = $p->session(login => 'eve@example.org');
		like($s->mail, qr/^250/, 'nobody else is');
		is($store->recorded('bounces:bob@example.org'), 10, 'ten are counted');
	},
	'Two tiers' => sub {
		my $s = $p->session(login => 'alice');
		like($s->mail, qr/^250/, "mail $_ is taken") for 1 .. 6;
		ok($p->wait_log(qr/hold: DATA from .*more than 3 mails/), 'some are held');
		like($s->mail, qr/^554 .*more than 6 mails/, 'the seventh is refused');
	},
	'A slow transport' => sub {
		my $s = $p->session(login => 'carol');
		like($s->mail, qr/^250/, "mail $_ is taken") for 1 .. 3;
		ok($p->wait_log(qr/filter: DATA from .*slow:/), 'the slow way');
	},
	'Few sender addresses for each login' => sub {
		my $s = $p->session(login => 'dave');
		like($s->mail(from => "$_\@example.org"), qr/^250/, "as $_") for qw(a b c A);
		like($s->mail(from => 'd@example.org'), qr/^450/, 'as d');
		like($s->mail(from => $_), qr/^250/, "as <$_>") for 'b@example.org', '';
	},
	'Stolen logins' => sub {
		at_rcpt();
		my $home = $p->session(login => 'grace', address => '192.0.2.9');
		like($home->mail(to => ['friend@example.net']), qr/^250/, 'to a friend');
		# It has learned for two weeks.
		$store->sql("UPDATE mail_habit SET since = since - $_, seen = seen - $_")
		    for 15 * 86400;
		like($home->mail(to => ["a$_\@example.net"]), qr/^250/, "stranger $_, from home")
		    for 1 .. 4;
		my $thief = $p->session(login => 'grace', address => '198.51.100.7');
		like($thief->mail(to => ["b$_\@example.net"]), qr/^250/, "from elsewhere $_")
		    for 1, 2;
		like($thief->mail(to => ["b$_\@example.net"]), qr/^450/, "and no more $_")
		    for 3, 4;
		like($thief->mail(to => ['friend@example.net']), qr/^250/, 'but the friend');
		like($home->mail(to => ['c@example.net']), qr/^250/, 'and grace goes on');
		my $shop = $p->session(login => 'shop', address => '198.51.100.8');
		like($shop->mail(to => ["d$_\@example.net"]), qr/^250/, "the shop $_") for 1 .. 4;
	},
	'A stolen login that closes itself' => sub {
		my $from = sub { $p->session(login => 'mallory', address => "192.0.2.$_[0]") };
		my @postmaster = (to => ['postmaster@example.test']);
		like($from->($_)->mail, qr/^250/, "address $_") for 1 .. 3;
		like($from->(4)->mail, qr/^554 .*too many addresses/, 'one more');
		like($from->(1)->mail, qr/^554 5\.7\.1 .*mallory is closed/, 'closes the login');
		like($from->(1)->mail(@postmaster), qr/^250/, 'but for the postmaster');
		like($from->(1)->mail(to => ['postmaster@example.test', 'x@example.net']),
		    qr/^554 5\.7\.1/, 'and him alone');
		like($p->session(login => 'alice')->mail, qr/^250/, 'nobody else is concerned');
		is((ctl($d, 'unblock', 'mallory'))[0], 0, 'policyctl unblock');
		like($from->(1)->mail, qr/^250/, 'opens it');
		like($from->(4)->mail, qr/^554 .*too many addresses/, 'the window is full');
		like($from->(1)->mail, qr/^250/, 'and does not close it again');
	},
	'One mailbox, one customer' => sub {
		my ($tables) = $book =~ /^((?:CREATE TABLE|INSERT INTO).*?)^\.Ed$/ms;
		$store->sql($_) for split /;\n/, $tables;
		my $s = $p->session(login => 'bob');
		like($s->mail, qr/^250/, 'bob');
		$s = $p->session(login => 'bob@example.net');
		like($s->mail, qr/^250/, 'in the alias domain');
		$s = $p->session(login => 'Bob@example.org');
		like($s->mail, qr/^250/, 'with his domain');
		like($s->mail, qr/^450/, 'that were three');
		is($store->recorded('mailbox:bob@example.org'), 3, 'one count');
		$s = $p->session(login => 'eve@example.net');
		like($s->mail, qr/^250/, "eve, of the same customer, $_") for 1, 2;
		like($s->mail, qr/^450/, 'these were five');
		is($store->recorded('customer:c7'), 5, 'one count for all its domains');
		$s = $p->session(login => 'zoe@example.com');
		like($s->mail, qr/^250/, 'nobody else is concerned');
		is($store->recorded('customer:example.com'), 1, 'a domain without a row');
	},
	'One daemon for two services' => sub {
		at_data(smtpd_policy_service_policy_context => '');
		my $s = $p->session(login => 'frank', address => '192.0.2.9');
		like($s->mail, qr/^250/, "at port 25, $_") for 1, 2;
		like($s->mail, qr/^450/, 'the address is limited there');
		at_data(smtpd_policy_service_policy_context => 'submission');
		$s = $p->session(login => 'frank', address => '192.0.2.9');
		like($s->mail, qr/^250/, "as submission, $_") for 1 .. 3;
		like($s->mail, qr/^450/, 'the login is limited there');
	},
	'External recipients only' => sub {
		at_rcpt();
		my $s = $p->session(login => 'grace');
		like($s->mail(to => ["c$_\@example.test"]), qr/^250/, "internal $_") for 1 .. 5;
		my $r = $s->mail(to => [map { "x$_\@example.net" } 1 .. 3]);
		like($r, qr/^250/, 'three external ones');
		like($s->mail(to => ['x4@example.net']), qr/^450/, 'a fourth');
		like($s->mail(to => ['c@example.test']), qr/^250/, 'internal goes on');
		is($store->recorded('external:grace'), 3, 'the external ones are counted');
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
