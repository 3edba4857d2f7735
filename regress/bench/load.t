# The bench itself: the load generator counts correctly, its open loop includes all
# waiting times, and the floor answers each request once.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep);

use Bench;
use Policyd qw(need slurp request);
use Policyd::Client;
use Postfix::Policy;

need(-x "$Policyd::root/build/bench/load", 'the bench is not built');

my $dir = Bench::prepare();

sub server {
	my ($answer) = @_;

	return Postfix::Policy->start(endpoint => "$dir/script", answer => $answer);
}

subtest 'what is sent' => sub {
	my $server = server(sub { $_[0]{sasl_username} =~ /0000003@/ ? 'defer no' : 'dunno' });
	my $r = Bench::load("$dir/script", c => 7, n => 200, u => 10, s => 1, w => 0,
	    d => "$dir/counts");
	my @requests = $server->requests;
	my (%instances, %users, $sum);

	is($r->{sent}, 200, '200 requests were sent');
	is(scalar @requests, 200, 'and came');
	is_deeply($r->{answers}, { dunno => 180, defer => 20 }, 'answers are told apart');
	is($r->{faults}, 0, 'nothing went wrong');
	for (@requests) {
		$instances{$_->{instance}}++;
		$users{$_->{sasl_username}} += $_->{recipient_count};
		is($_->{recipient} ne '', $_->{recipient_count} == 1,
		    'a recipient is told when there is one') if !$sum++;
	}
	is(scalar keys %instances, 200, 'each is a transaction of its own');
	is(scalar keys %users, 10, 'of ten users');
	my %granted = map { split / /, $_, 2 } split /\n/, slurp("$dir/counts");
	delete $users{'user0000003@submission.example.org'};
	is_deeply(\%granted, { map { $_ => "$users{$_} 0" } keys %users },
	    'what each user was granted is told');
	$sum = 0;
	$sum += $_ for values %users;
	is($r->{accepted_recipients}, $sum, 'and all of them together');
	$server->stop;
};

subtest 'closed without an answer' => sub {
	my $server = server(sub { $_[1] % 10 == 0 ? \'' : 'dunno' });
	my $r = Bench::load("$dir/script", c => 3, n => 100, w => 0);

	is($r->{lost}, 10, 'each is counted');
	is($r->{answers}{dunno}, 90, 'the others were answered');
	is($r->{sent}, 100, 'it goes on with new connections');
	$server->stop;
};

subtest 'answers that are none' => sub {
	my @bad = ("action=dunno\n", "dunno\n\n", "action=dunno\n\naction=dunno\n\n",
	    "action=\n\nx\n\n");
	my $server = server(sub { \$bad[$_[1] % @bad] });
	my $r = Bench::load("$dir/script", c => 1, n => 40, w => 0);

	is($r->{answers}{dunno} // 0, 0, 'none of them is counted as an answer');
	is($r->{lost}, 40, 'all were lost');
	cmp_ok($r->{malformed}, '>=', 30, 'most of them as malformed');
	$server->stop;
};

# A server that stands still for a second at 100 requests a second keeps a hundred of
# them waiting, though it never has more than one in its hands.
subtest 'open loop' => sub {
	my $server = server(sub { sleep 1 if $_[1] == 100; 'dunno' });
	my $r = Bench::load("$dir/script", c => 1, r => 100, t => 4, w => 0);

	is($r->{answered} + $r->{unanswered}, 400, 'all that was due was sent');
	cmp_ok($r->{latency_us}{p90}, '>', 400_000, 'the tenth that waited longest is seen');
	cmp_ok($r->{latency_us}{max}, '>', 990_000, 'and how long the first of them did');
	cmp_ok($r->{latency_us}{p50}, '<', 300_000, 'the others did not wait');
	$server->stop;
};

subtest 'closed loop' => sub {
	my $server = server(sub { sleep 0.02; 'dunno' });
	my $r = Bench::load("$dir/script", c => 4, t => 1, w => 0.2);

	cmp_ok($r->{per_second}, '<', 50.5, 'it can be no faster than its server');
	cmp_ok($r->{latency_us}{p50}, '>', 40_000,
	    'four clients share the server, so each waits for others');
	$server->stop;
};

subtest 'the floor' => sub {
	my $floor = Bench::floor_start();
	my $client = Policyd::Client->new($floor->{endpoint});
	my $request = request();

	is($client->ask_bytes($request), 'dunno', 'a request in one piece');
	$client->send($_) for split //, $request;
	is($client->answer, 'dunno', 'byte by byte');
	$client->send($request x 3);
	is($client->answer, 'dunno', "answer $_ of three in one write") for 1 .. 3;
	$client->send(substr($request, 0, -1));
	is($client->unread(0.05), '', 'no answer before the empty line');
	$client->send("\n" . substr($request, 0, 40));
	is($client->answer, 'dunno', 'and one after it');
	$client->send(substr($request, 40));
	is($client->answer, 'dunno', 'the next one had begun already');
	is($client->unread(0.05), '', 'no second answer arrives');
	my $r = Bench::load($floor->{endpoint}, c => 50, o => 1, n => 2000, w => 0);
	is($r->{answers}{dunno}, 2000, 'connections that come and go');
	is($r->{faults}, 0, 'without a fault');
	Bench::floor_stop();
};

done_testing;
