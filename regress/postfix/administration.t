#!/usr/bin/perl
# The services that policyd-rate-limit(8), ADMINISTRATION, shows for master.cf, with a real
# Postfix.

use strict;
use warnings;

use Test::More;

use Policyd qw(free_port have_command need slurp wait_until $root);
use Postfix;

Postfix::needed();
need(have_command('sqlite3'), 'no sqlite3 to look into the database with');

my ($chapter) = slurp("$root/man/policyd-rate-limit.8") =~ /^\.Sh ADMINISTRATION\n(.*?)^\.Sh /ms;

# The lines of master.cf in a subsection.
sub services {
	my ($name) = @_;
	my ($text) = $chapter =~ /^\.Ss \Q$name\E\n(?:(?!^\.Ss ).)*?^\.Bd [^\n]*\n(.*?)^\.Ed$/ms;

	return $text // die "no $name";
}

subtest 'scripts' => sub {
	my $port = free_port();
	my $master = services('sendmail(1) and web scripts') =~ s/\b10027\b/$port/gr;
	is(scalar(() = $master =~ /\b$port\b/g), 2, 'two services');
	my $p = Postfix->start(master => "smtp unix - - n - - smtp\n$master");
	my $d = $p->daemon(config => { rules => [{ name => 'site', key => 'sender',
	    limits => [[2, 3600]], only => { policy_context => ['scripts'] } },
	    { name => 'all', key => 'policy_context', limits => [[4, 3600]],
	    only => { policy_context => ['scripts'] } }] });
	my $sendmail = have_command('sendmail') // '/usr/sbin/sendmail';
	# Mail on its way to the service is sent too.
	my $out = sub { scalar(() = $p->log =~ /discard\[\d+\]: .*status=sent/g) };
	my $send = sub {
		my ($from) = @_;
		local $ENV{MAIL_CONFIG} = "$p->{dir}/etc";
		open my $fh, '|-', $sendmail, '-f', $from, 'to@example.net' or die "sendmail: $!";
		print $fh "Subject: x\n\nx\n";
		close $fh;
		return is($?, 0, "a script sends as $from");
	};

	$send->('shop@example.test') for 1 .. 3;
	ok(wait_until { $out->() == 2 }, 'two go out');
	ok($p->wait_log(qr/status=deferred .*450 /), 'the third waits in the queue');
	$send->($_) for 'blog@example.test', 'wiki@example.test', 'news@example.test';
	ok(wait_until { (() = $p->log =~ /status=deferred/g) == 2 }, 'two wait now');
	ok(wait_until { $out->() == 4 }, 'and two of others have gone out');
	is($d->recorded('site:shop@example.test'), 2, 'counted by sender');
	is($d->recorded('all:scripts'), 4, 'and together');
	like($p->session(login => 'bob')->mail(from => 'shop@example.test'), qr/^250/,
	    'mail by SMTP is not');
	$d->ends_well;
};

subtest 'internal mail' => sub {
	my $port = free_port();
	my $master = services('Internal mail') =~ s/^submission /127.0.0.1:$port /r;
	# Who is logged in is told by XCLIENT here.
	$master =~ s/permit_sasl_authenticated,reject/permit/ or fail('the end of the list');
	my $p = Postfix->start(main => { mynetworks => '192.0.2.0/24',
	    smtpd_relay_restrictions => 'permit_mynetworks, reject_unauth_destination' },
	    master => $master);
	my $d = $p->daemon(config => { limits => [[2, 3600]] });
	local $p->{port} = $port;
	my $s = $p->session(login => 'bob');

	like($s->mail(to => ["r$_\@example.test", "s$_\@example.net"]), qr/^250/, "to own domains $_")
	    for 1 .. 3;
	is($d->recorded('bob'), 0, 'is not counted');
	like($s->mail(to => ["r$_\@elsewhere.example", "r$_\@example.test"]), qr/^250/, "to others $_")
	    for 1 .. 2;
	is($d->recorded('bob'), 2, 'is, without recipients in own domains');
	like($s->mail(to => ['r@elsewhere.example']), qr/^450/, 'and limited');
	like($s->mail(to => ['r@example.test']), qr/^250/, 'while mail to own domains goes on');
	$d->ends_well;
};

done_testing();
