#!/usr/bin/perl
# policyctl page: an HTML page that holds no script and refers to nothing, whatever the ids,
# senders, recipients, host names and reasons are; also without a daemon or a database.

use strict;
use warnings;

use Digest::SHA qw(sha256_base64);
use Encode qw(decode encode FB_CROAK);
use Test::More;

use Ctl qw(ctl ctl_json);
use Packaging qw(substituted);
use Policyd qw(as_root slurp spew wait_until $root);

# --- a strict reader of HTML: dies of what the page must not have ---

my %elements = map { $_ => 1 } qw(html head title style body header main section footer h1 h2
    nav a p span strong small div bdi time table thead tbody tr th td svg rect dl dt dd ul ol li);
my %empty = (meta => 1, wbr => 1);
my %attributes = map { $_ => 1 } qw(lang charset name content class datetime aria-hidden width
    height http-equiv id href);
my %entity = (amp => '&', lt => '<', gt => '>', quot => '"', '#39' => "'", nbsp => "\xa0");

sub plain {
	my ($text) = @_;

	die "a bracket in text: $text\n" if $text =~ /[<>]/;
	$text =~ s/&(?:(\w+|#\d+);)?/defined $1 && $entity{$1} or die "an entity: $text\n";
	    $entity{$1}/ge;
	return $text;
}

# { text, title, style, policy, class => [texts], names => [texts], element => [attributes] }
sub parse {
	my ($bytes) = @_;
	my $html = decode('UTF-8', my $copy = $bytes, FB_CROAK);
	my (@open, %page);

	die "a control character\n" if $html =~ /[^\n[:print:]]/;
	die "characters of direction\n" if $html =~ /\p{Cf}/;
	$html =~ s/\A<!DOCTYPE html>\n// or die "no doctype\n";
	$page{text} = '';
	pos($html) = 0;
	while (pos($html) < length $html) {
		if ($html =~ m{\G<style>(.*?)</style>}gcs) {
			die "a second style\n" if defined $page{style};
			$page{style} = $1;
		} elsif ($html =~ m{\G</(\w+)>}gc) {
			my $top = pop @open // { name => 'nothing' };
			die "$1 ends $top->{name}\n" if $1 ne $top->{name};
			my $own = substr $page{text}, $top->{at};
			push @{$page{$1}}, $own;
			push @{$page{".$_"}}, $own for split ' ', $top->{has}{class} // '';
		} elsif ($html =~ m{\G<(\w+)((?: [-a-z]+="[^"<>]*")*)(/?)>}gc) {
			my ($name, $has, $ends) = ($1, $2, $3);
			my %has;
			die "element $name\n" if !$elements{$name} && !$empty{$name};
			while ($has =~ / ([-a-z]+)="([^"]*)"/g) {
				die "attribute $1\n" if !$attributes{$1} || exists $has{$1};
				$has{$1} = plain($2);
				die "a reference to $2\n" if $1 eq 'href' && $2 !~ /\A#[a-z]+\z/;
			}
			push @{$page{"<$name"}}, \%has;
			push @open, { name => $name, has => \%has, at => length $page{text} }
			    if !$ends && !$empty{$name};
		} elsif ($html =~ m{\G([^<]+)}gc) {
			$page{text} .= plain($1);
		} else {
			die 'no HTML: ' . substr($html, pos $html, 60) . "\n";
		}
	}
	die "open: @{[map { $_->{name} } @open]}\n" if @open;
	return \%page;
}

sub page_of {
	my ($name, $bytes) = @_;
	my $page = eval { parse($bytes) };

	ok($page, "$name: strict HTML") or diag($@);
	return $page // {};
}

# The page of a daemon, with the exit status and what was said.
sub made {
	my ($name, $d, @options) = @_;
	my ($status, $out, $err) = ctl($d, @options, 'page');

	return (page_of($name, $out), $status, $err, $out);
}

# The reader does see what is wrong.
{
	my $good = "<!DOCTYPE html>\n<p class=\"x\">a &lt; b</p>";
	is(parse($good)->{text}, 'a < b', 'the reader of this test reads');
	for my $bad ($good =~ s/<p/<script/r, $good =~ s/class/onclick/r, $good =~ s/&lt;/</r,
	    $good =~ s/&lt;/&/r, $good =~ s{</p>}{}r, $good =~ s{/p}{/b}r, $good =~ s/a/\xff/r,
	    $good =~ s/a/\x1b/r, $good =~ s/a/\xe2\x80\xae/r, $good =~ s/class="x"/href="x"/r,
	    $good =~ s/a/<!-- -->/r) {
		ok(!eval { parse($bad) }, 'and dies of ' . encode('UTF-8', $bad =~
		    s/([^ -~])/sprintf '\\x%02x', ord $1/ger));
	}
}

my @hostile = ('<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' onclick='x",
    '&lt;b&gt;&amp;&#60;', '</style><b>', '<!--', "\xe2\x80\xaegro.elpmaxe", "\xff\xfe\xc3",
    "\x1b[31m\x07", '{{7*7}}${x}', 'a' x 250, "\xd7\x90\xd7\x91 1 2", 'j&ouml;rg@example.org',
    'back\\slash');
my %rules = (rules => [
    { name => 'user', key => 'sasl_username', limits => [[1, 3600]], warn_at => 80 },
    { name => 'watch', key => 'sender', limits => [[1, 3600]], shadow => Policyd::True }],
    fail_action => 'reject full');

subtest 'hostile names' => sub {
	my $d = Policyd->start(config => { %rules });

	for my $name (@hostile) {
		$d->ask(sasl_username => $name, sender => $name, recipient => $name,
		    client_name => $name, queue_id => $name) for 1, 2;
	}
	my $reason = q{<b onmouseover="x">Tom & 'Jerry'</b>};
	is((ctl($d, 'block', 'login:<i>', '2h', $reason))[0], 0, 'block succeeds');
	my ($page, $status, $err, $out) = made('hostile', $d);
	is($status, 0, 'page exits with 0');
	is($err, '', 'page prints nothing to stderr');
	my %shown = map { $_ => 1 } @{$page->{bdi}};
	# As in the text for people, which is never cut in a pipe.
	my @ids = decode('UTF-8', (ctl($d, 'top', '-n', 20))[1]) =~ /\d %  (.*?)(?: \(shadow\))?$/mg;
	is(scalar @ids, 20, 'top has 20 ids to look for');
	ok($shown{$_}, 'the page shows the id ' . substr encode('UTF-8', $_), 0, 60) for @ids;
	ok($shown{$_}, encode('UTF-8', "the page shows $_")) for $reason, 'login:<i>',
	    'user:<script>alert(1)</script>', 'user:&lt;b&gt;&amp;&#60;', '</style><b>',
	    'user:\xe2\x80\xaegro.elpmaxe', '\xff\xfe\xc3', '\x1b[31m\x07', 'back\\\\slash',
	    "\x{5d0}\x{5d1} 1 2";
	unlike($out, qr{https?:|//}, 'the page has no link');

	# The policy: nothing may be loaded but the style, which its hash names.
	my ($policy) = map { $_->{content} } grep { ($_->{'http-equiv'} // '') eq
	    'Content-Security-Policy' } @{$page->{'<meta'}};
	my $hash = sha256_base64($page->{style});
	$hash .= '=' while length($hash) % 4;
	is($policy, "default-src 'none'; style-src 'sha256-$hash'; base-uri 'none'; " .
	    "form-action 'none'", 'the policy allows only the style, by its hash');
	unlike($page->{style}, qr{url|import|expression|//|<}i, 'the style refers to nothing');
	like($page->{style}, qr/prefers-color-scheme: ?dark/, 'the style has a dark scheme');
	$d->ends_well;
};

subtest 'what it shows' => sub {
	my $d = Policyd->start(config => { rules => [$rules{rules}[0]], fail_action => 'reject full' });
	my $client = $d->connect;

	# More ids and blocks than the page shows.
	for my $n (1 .. 300) {
		$client->send(Policyd::request(sasl_username => "user$n\@example.org"));
		$client->answer;
	}
	for (1 .. 5) {
		$client->send(Policyd::request(sasl_username => 'bob', sender => 'bob@example.org',
		    recipient => 'a@example.net', client_address => '192.0.2.7',
		    client_name => 'host.example.net', queue_id => '568BAA82041'));
		$client->answer;
	}
	is((ctl($d, 'block', "b$_\@example.org", '1h', 'spam'))[0], 0,
	    "block $_ succeeds") for 1 .. 52;
	is((ctl($d, 'block', 'bob', 'forever', 'stolen', 'login'))[0], 0, 'block of bob succeeds');
	is((ctl($d, 'grant', 'user1@example.org', 5, '1h'))[0], 0, 'grant succeeds');
	$d->sql("UPDATE mail_override SET since = since - 60 WHERE id NOT LIKE '%bob'");
	my $list;
	ok(wait_until { ($list = (ctl($d, 'list', '-n', 1))[1]) =~ /\Alogin:bob blocked/ },
	    'list -n 1 has the newest block');
	like($list, qr/\A.*\nuser:\S+ 5 mails more [^\n]*\n\z/,
	    'list -n 1 has the newest grant too');
	my ($page, $status, undef, $out) = made('full', $d);
	is($status, 0, 'page exits with 0');
	cmp_ok(length $out, '<', 100_000, 'the page is smaller than 100,000 bytes');
	my ($fill, $refused, $overrides, $last, $state) = map { $page->{".$_"}[0] =~ s/\s+/ /gr }
	    qw(fill refused overrides refusals status);
	like($fill, qr/Nearest to their limits 20 of 301 ids/,
	    'the page has the number of shown and of all ids');
	like($fill, qr/user:user\d+\@example\.org1 of 1 in 1 h100 %/,
	    'an id at its limit has use, limit, window and 100 %');
	is(() = $fill =~ /user:/g, 20, 'the page shows 20 ids nearest to their limits');
	like($refused, qr/Refused most.* 1 of 1 ids.*Refused ?user:bob blocked4/,
	    'the page has the id with most refusals, marked as blocked');
	like($overrides, qr/51 of 54, the newest first ?blocked login:bob ?forever, by \w+ ?stolen login/,
	    'the page begins with the newest block');
	is(() = $overrides =~ /blocked login:/g, 50, 'the page shows 50 blocks');
	like($overrides, qr/granted user:user1\@example\.org 5 mails more ?until \w+ [-\d]+ [\d:]+ \((?:1 h|59 min)/,
	    'the page has the grant with its end');
	like($last, qr/refused:\ user:bob\ rule\ user\ 1\ of\ 1\ in\ 1\ hfrom\ <bob\@example\.org>
	    \ to\ <a\@example\.net>client\ 192\.0\.2\.7\ \(host\.example\.net\),\ login\ bob,
	    \ queue\ id\ 568BAA82041/x, 'the page has the last refusal with its attributes');
	like($state, qr/databasewell sqlite .*requests ?30\d.*accepted ?30\d.*refused ?4/,
	    'the page has the state of the database and the counters');
	my ($made) = map { $_->{datetime} } @{$page->{'<time'}};
	ok(abs(ctl_json($d, 'top')->{time} - time) < 60,
	    'the clock of the daemon is that of the test');
	my ($year) = (gmtime)[5] + 1900;
	like($made, qr/\A$year-\d\d-\d\dT\d\d:\d\d:\d\dZ\z/, 'the page has its time for programs');
	like($page->{'.made'}[0], qr/^made \w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+/,
	    'the page has its time for people');
	like($page->{title}[0], qr/^well: /, 'the title has the state');

	# What the page asks can be asked by hand.
	is((ctl($d, 'list', '-n', 0))[0], 3, 'list -n 0 fails');
	my $why = ctl_json($d, 'why', '-n', 3);
	is_deeply([map { $_->{login} } @{$why->{refusals}}], [('bob') x 3],
	    'why -j without a subject has the newest refusals of everybody');
	ok(!exists $why->{refused}, 'why -j without a subject has no total');
	like((ctl($d, 'why'))[1], qr/refused: user:bob \(rule user\)\n/,
	    'the text of why without a subject has the refusals');
	is((ctl($d, 'why', ''))[0], 1, 'why with an empty subject is a usage error');
	$d->ends_well;
};

subtest 'the file' => sub {
	my $d = Policyd->start(config => { limits => [[1, 3600]] });
	my $dir = "$d->{dir}/www";
	my $file = "$dir/index.html";
	my $here = sub { opendir(my $dh, $dir) or die "$dir: $!"; join ' ', sort grep { !/^\.+\z/ } readdir $dh };
	my $gid = as_root() ? getgrnam('daemon') : (split ' ', $))[0];

	mkdir $dir or die "$dir: $!";
	chown -1, $gid, $dir;
	chmod 02750, $dir;
	for my $mask (0, 0077) {
		my $old = umask $mask;
		is((ctl($d, 'page', $file))[0], 0, 'the page is written');
		umask $old;
		my @stat = stat $file;
		is(sprintf('%o', $stat[2] & 07777), '640',
		    sprintf 'the mode of the file is 0640 with umask %o', $mask);
		is($stat[5], $gid, 'the group of the file is that of the directory');
		is($here->(), 'index.html', 'no temporary file is left');
	}
	# A program that reads meanwhile sees the earlier page to its end.
	open my $reader, '<', $file or die "$file: $!";
	sysread $reader, my $begin, 100;
	my $inode = (stat $file)[1];
	is((ctl($d, 'page', $file))[0], 0, 'the page is written again');
	isnt((stat $file)[1], $inode, 'a new file replaces the earlier one');
	page_of('the earlier one', $begin . do { local $/; <$reader> });
	page_of('the new one', slurp($file));
	# A link is replaced, and what it leads to is not touched.
	spew("$dir/target", 'x');
	unlink $file;
	symlink 'target', $file or die "$file: $!";
	is((ctl($d, 'page', $file))[0], 0, 'the page is written in place of a link');
	is(slurp("$dir/target"), 'x', 'the target of the link is unchanged');
	ok(!-l $file, 'the link was replaced by a file');

	my ($status, $out, $err) = ctl($d, 'page', "$dir/none/index.html");
	is($status, 3, 'page into a missing directory fails');
	like($err, qr{^policyctl: \Q$dir\E/none/index\.html: No such file}m,
	    'the error has the path and the reason');
	mkdir "$dir/sub";
	is((ctl($d, 'page', "$dir/sub"))[0], 3, 'page does not replace a directory');
	is($here->(), 'index.html sub target', 'no temporary file is left after a failure');
	is((ctl($d, @$_))[0], 3, "policyctl @$_ fails") for ['page', $file, 'x'], ['-j', 'page'];

	# What the unit does.
	my $unit = substituted("$root/systemd/policyd-rate-limit-page.service.in", SBINDIR => '/sbin');
	my ($command) = $unit =~ m{^ExecStart=/sbin/policyctl (.*)$}m;
	$command =~ s/\$\{DIRECTORY\}/$dir/ or fail('the unit names its directory');
	unlink $file;
	is((ctl($d, split ' ', $command))[0], 0, 'the command of the unit succeeds');
	page_of('of the unit', slurp($file));
	is(() = $unit =~ m{^\w+=(?:DIRECTORY=|-)?/var/www/policyd-rate-limit$}mg, 3,
	    'the unit names its directory in three lines');
	$d->ends_well;
	is((ctl($d, 'page', $file))[0], 2, 'without a daemon page exits with 2');
	like(page_of('of no daemon', slurp($file))->{title}[0], qr/^not serving: /,
	    'without a daemon the page is written and says so');
};

subtest 'the database is away' => sub {
	my $d = Policyd->start(config => { limits => [[1, 3600]], db_timeout => 0.2 });
	my $ledger = $d->child('ledger-sqlite');

	$d->ask(sasl_username => 'bob') for 1, 2;
	kill 'STOP', $ledger;
	my ($page, $status, $err) = made('without it', $d);
	kill 'CONT', $ledger;
	is($status, 1, 'while the ledger is stopped page exits with 1');
	like($err, qr/^policyctl: degraded: the database: no answer$/m,
	    'while the ledger is stopped page prints the reason');
	like($page->{title}[0], qr/^degraded: /, 'the title says degraded');
	like($page->{'.degraded'}[0], qr/degraded the database: no answer/,
	    'the head has the reason');
	like($page->{".$_"}[0], qr/^the database did not answer in time$/m,
	    "the section $_ says that there was no answer")
	    for 'refused', 'refusals';
	like($page->{'.overrides'}[0], qr/as the daemon has read it last: the database did not answer in time/,
	    'the list of blocks says that it is old');
	ok(wait_until { (ctl($d, 'page'))[0] == 0 }, 'page exits with 0 once the ledger continues');
	$d->ends_well;
};

subtest 'the daemon is away' => sub {
	my $d = Policyd->start(config => { limits => [[1, 3600]] });
	my @pids = ($d->pid, values %{$d->children});

	kill 'STOP', $d->child('engine');
	my ($page, $status) = made('a daemon that hangs', $d, '-t', 1);
	kill 'CONT', $d->child('engine');
	is($status, 2, 'while the engine is stopped page exits with 2');
	like($page->{'.down'}[0], qr/not serving .*no answer in time/,
	    'while the engine is stopped the page says that there was no answer');
	$d->ends_well;
	($page, $status, my $err) = made('no daemon', $d);
	is($status, 2, 'without a daemon page exits with 2');
	like($err, qr/^policyctl: not serving: .*No such file/m,
	    'without a daemon page prints the reason');
	like($page->{title}[0], qr/^not serving: /, 'the title says not serving');
	like($page->{'.down'}[0], qr/not serving .*control: No such file/,
	    'the head has the reason without a daemon');
	like($page->{'.fault'}[0], qr/^Nothing can be shown: /,
	    'the page says that nothing can be shown');
	ok(!$page->{'<section'}, 'without a daemon the page has no section');
};

subtest 'who may only look' => sub {
	plan skip_all => 'only root can be somebody else' if !as_root();
	my $d = Policyd->new(config => { limits => [[1, 3600]], control_group => 'news' });
	chmod 0755, $d->{dir};
	$d->start;
	$d->ask(sasl_username => 'bob', recipient => 'secret@example.net') for 1, 2;
	local $d->{as} = 'news';
	my ($page, $status) = made('of a helpdesk', $d);
	is($status, 0, 'all is well');
	like($page->{'.refusals'}[0], qr/permission denied: why is for root/,
	    'the last refusals are for operators, and the page says so');
	unlike($page->{text}, qr/secret/, 'no recipient is shown');
	like($page->{'.fill'}[0], qr/bob/, 'the rest is there');
	delete $d->{as};
	$d->ends_well;
};

done_testing;
