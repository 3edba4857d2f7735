# Many sessions at once, by smtp-source: exactly as many mails pass as the limit says.

use strict;
use warnings;

use Test::More;

use Policyd qw(have_command need);
use Postfix;

Postfix::needed();
my $source = have_command('smtp-source');
need($source, 'smtp-source (postfix)');

my $service = 'check_policy_service { unix:ratelimit/policy, default_action=DUNNO }';

sub send_mails {
	my ($p, @args) = @_;
	my ($status, $out, $err) = $p->{policyd}->run_command($source, '-A', '-4',
	    @args, '127.0.0.1:' . $p->port);

	return $status;
}

sub check {
	my ($where, $mails, $recipients, $limit) = @_;
	my $p = Postfix->new(main => { $where => $service .
	    ($where =~ /recipient/ ? ', permit' : '') });
	my $d = $p->{policyd} = $p->daemon(config => { debug => \'False',
	    limit_by_sender => \'True',
	    limits => [[$limit, 3600]], limits_by_id => { 'free@example.org' => [] } });

	$p->start;
	subtest "$mails mails to $recipients each, $limit allowed, in $where" => sub {
		for my $sender ('busy@example.org', 'calm@example.org') {
			send_mails($p, '-s', 10, '-m', $mails, '-r', $recipients,
			    '-f', $sender, '-t', 'to@example.net');
		}
		send_mails($p, '-s', 10, '-m', 20, '-f', 'free@example.org',
		    '-t', 'to@example.net');
		is($d->recorded($_), $limit, "$_: exactly the limit was counted")
		    for 'busy@example.org', 'calm@example.org';
		is($p->wait_delivered(2 * $limit + 20), 2 * $limit + 20,
		    'and delivered');
		$d->ok_alive;
	};
	$d->stop;
	$p->stop;
}

check('smtpd_data_restrictions', 150, 1, 100);
check('smtpd_data_restrictions', 60, 3, 99);
check('smtpd_recipient_restrictions', 60, 3, 100);

done_testing;
