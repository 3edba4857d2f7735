# The sample configuration, with nothing changed but where files are, and the two
# lines of main.cf that it names.

use strict;
use warnings;

use Test::More;

use Policyd qw(slurp need);
use Postfix;

Postfix::needed();
my $sample = slurp("$Policyd::root/etc/policyd-rate-limit.conf");
need($sample ne '', 'there is no sample configuration');

# The lines as the sample has them, in a comment.
my ($lines) = $sample =~ /^#?[ \t]*(smtpd_data_restrictions =\n(?:#[ \t]+\S.*\n)+)/m;
ok($lines, 'the sample tells what main.cf needs');
my $service = ($lines // '') =~ s/\A.*\n//r =~ s/^#[ \t]*//gmr =~ s/\n/ /gr;
like($service, qr/check_policy_service .*unix:ratelimit\/policy/, "it is: $service");

my $p = Postfix->new(main => { smtpd_data_restrictions => $service });
my ($user, $group) = Policyd::user_names();
my $d = Policyd->start(listen => $p->policy_path, config => $sample . <<"END");

user = "$user"
group = "$group"
SOCKET = "@{[$p->policy_path]}"
pidfile = "\@dir\@/run/pid"
control_socket = "\@dir\@/run/control"
sqlite_config = {"database": "\@dir\@/lib/db.sqlite3"}
END
$d->{pidfile} = $d->dir . '/run/pid';
$p->start;

my @stat = stat $p->policy_path;
is(sprintf('%o', $stat[2] & 0777), '660', 'the socket is for its group');
is(scalar getgrgid $stat[5], 'postfix', "the socket's group is postfix");
my $s = $p->session(login => 'alice');
like($s->mail, qr/^250/, "mail $_ of ten in a minute") for 1 .. 10;
like($s->mail, qr/^450 .*Rate limit reach, retry later/, 'the next is deferred');
like($p->session(login => 'bob')->mail, qr/^250/, 'another user still passes');
is(($d->sql("SELECT SUM(recipient_count) FROM mail_count WHERE id = 'alice'",
    $d->dir . '/lib/db.sqlite3'))[0][0], 10, 'ten are in the table');
is($p->wait_delivered(11), 11, 'eleven were delivered');
$d->ok_alive;
is($d->stop, 0, 'the daemon stops with status 0');

done_testing;
