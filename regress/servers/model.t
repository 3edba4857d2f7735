#!/usr/bin/perl
# Whatever happens, in whatever order, each answer and each sum is what the reference
# model says, on all three databases: requests of every kind, blocks, grants, a clock that
# is set, rows that other programs write, whenever they commit, restarts, reloads and
# kills.
#
# A world is a configuration and a sequence of steps, both drawn from one seed. A seed
# that failed is run again by POLICYD_SEED=n MODEL_WORLDS=1 and, as an argument, the
# database; more of them with a larger MODEL_WORLDS. MODEL_STEPS says how long each is,
# MODEL_TRACE=1 tells all steps.

use strict;
use warnings;

use List::Util qw(first min sum);
use Test::More;

use Chance qw(draw chance one_of seed begin_with);
use Ctl qw(ctl_command);
use Database;
use Fault qw(full);
use Fault::Shim;
use Model;
use Policyd qw(wait_until need have_command request);

use constant START => 1_800_000_000;

my %worlds = (sqlite => full ? 80 : 8, pgsql => full ? 40 : 4, mysql => full ? 40 : 4);
my $steps = $ENV{MODEL_STEPS} // 200;
my $first = seed();

# What requests are made of.
my @logins = ('bob', 'Bob', 'bob+x', 'bob@d1.example', 'BOB@D1.example', 'eve@d2.example',
    'vip', 'ann+list@d1.example', 'ann@d1.example', '');
my @senders = ('s1@d1.example', 'S1@d1.example', 's2+q@d2.example', 'bob@d1.example', '');
my @clients = ('192.0.2.1', '192.0.2.9', '198.51.100.7', '2001:db8:1::5', '2001:db8:1::6',
    '2001:db8:2::1', '::ffff:192.0.2.9', 'unknown');
my @recipients = ('r1@e.example', 'R1@e.example', 'r1+t@e.example', 'r2@e.example',
    'r3@f.example', 'r4@f.example');
# What a session has besides, of attributes whose whole value counts.
my %sessions = (client_name => ['mx.d1.example', 'MX.D1.example', 'unknown'],
    helo_name => ['pc', 'PC'], policy_context => ['', 'submission', 'Submission'],
    server_port => [25, 587], ccert_fingerprint => ['', 'AB:CD', 'ab:cd']);
# What id_sql finds: several to one, one that is another's, and one that is folded.
my %ids = ('vip' => 'c1', 'ann@d1.example' => 'C1', 'eve@d2.example' => 'bob@d1.example',
    's1@d1.example' => 's2@d2.example', 'd2.example' => 'd1.example', '192.0.2.1' => 'c1',
    '2001:db8:2::/64' => '192.0.2.9', 'server' => '', 'r1@e.example' => 'r2@e.example');
my @windows = (10, 60, 60, 600, 3600, 7200, 86400);

my $w;		# the world

# --- its configuration ---

sub some_limits {
	my @seconds = grep { $_ <= $w->{longest} } @windows or return [];
	my %seconds = map { one_of(@seconds) => 1 } 1 .. 1 + draw(3);
	my $mails = 1 + draw(6);

	return [map { [$mails += draw(8), $_] } sort { $a <=> $b } keys %seconds];
}

sub by_id {
	# With a default domain they are the same.
	my @ids = grep { $w->{domain} eq '' || $_ ne 'bob' } @_;
	my %limits;

	$limits{$_} = chance() < 0.3 ? [] : some_limits() for grep { chance() < 0.5 } @ids;
	return \%limits;
}

sub text { return one_of('defer 4.7.1', 'defer_if_permit', 'reject', '450 4.7.1') }

sub action {
	my ($soft) = @_;

	return chance() < $soft ? one_of('WARN', 'HOLD', 'INFO') . ' soft {rule} {limit} {period}' :
	    text() . ' {rule} {id} {limit} {period} {used}' .
	    ($w->{retry} ? ' {retry_after}' : '');
}

sub plain {
	return (limits => some_limits(), limit_by_sasl => chance() < 0.8 ? 1 : 0,
	    limit_by_sender => draw(2), limit_by_ip => draw(2),
	    limited_networks => one_of(['192.0.2.0/24', '2001:db8::/32'], ['0.0.0.0/0', '::/0']),
	    limits_by_id => by_id('vip', 'bob', 'bob@d1.example', '@d1.example', '@d2.example',
	    'Eve@d2.example', '192.0.0.0/16', '2001:db8:1::/48', '2001:db8::/32'));
}

# For `only` and `except`.
sub for_whom {
	my ($no_recipient) = @_;

	return one_of({ sasl_domain => ['d1.example'] }, { sasl_username => ['vip', '@d1.example'] },
	    { client_address => ['192.0.2.0/24', '2001:db8:1::5'] }, { sender_domain => ['@d1.example'] },
	    { sender => ['S2@d2.example', '@d1.example'], client_address => ['0.0.0.0/0'] },
	    { policy_context => ['SUBMISSION'] }, { server_port => [587], helo_name => ['pc'] },
	    { client_name => ['mx.d1.example', 'x'], ccert_fingerprint => ['Ab:Cd'] },
	    $no_recipient ? () : ({ recipient_domain => ['e.example'] }, { recipient => ['r1@e.example'] }));
}

sub lockable {
	my ($count, $key) = @_;
	my @key = ref $key ? @$key : $key;

	return grep({ $_ eq 'sasl_username' } @key) ||
	    $count ne 'new_recipients' && grep { $_ eq 'client_address' } @key
	    if $count ne 'external' || @key == 1;
	return 0;
}

sub some_lock {
	return { for => one_of(30, 60, 600), draw(2) ? (again => one_of(90, 1200)) : (),
	    draw(2) ? (action => 'REJECT {id} {rule} {retry_after}') : (),
	    draw(2) ? (except_recipients => ['r3@f.example', one_of('@e.example', 'R4@f.example')]) : () };
}

# Whether a rule has such a field or count.
sub has {
	my ($what) = @_;

	return grep { $_->{$what} || ($_->{count} // '') eq $what } @{$w->{model}{s}{rules} // []};
}

sub rules {
	my @rules;

	for my $n (1 .. 1 + draw(4)) {
		my $key = one_of('sasl_username', 'sasl_username', 'sasl_domain', 'sender',
		    'sender_domain', 'client_address', 'server', 'recipient', 'recipient_domain',
		    ['sasl_username', 'client_address'], ['sender', 'recipient_domain'],
		    one_of(sort keys %sessions), ['policy_context', 'sasl_username']);
		my $count = one_of('recipients', 'recipients', 'messages', 'bytes', 'addresses',
		    'distinct_recipients', 'senders', 'external', 'new_recipients');
		# A size is known when no recipient is.
		$count = 'recipients' if $count eq 'bytes' && grep { /recipient/ }
		    ref $key ? @$key : $key;
		my %rule = (name => "r$n", key => $key, limits => some_limits());
		$rule{count} = $count if $count ne 'recipients' || draw(2);
		$_->[0] *= 1000 for $count eq 'bytes' ? @{$rule{limits}} : ();
		$rule{id_sql} = 'SELECT m FROM ids WHERE ' . ($w->{db} &&
		    $w->{db}{kind} eq 'mysql' ? 'BINARY v' : 'v') . ' = %s' if chance() < 0.25;
		$rule{limits_by_id} = by_id('vip', 'c1', 'bob@d1.example', '@d1.example', 'd1.example',
		    's1@d1.example', '192.0.2.0/24', '2001:db8::/32') if chance() < 0.4;
		$rule{max_per_mail} = $count eq 'bytes' ? 1500 : 2 + draw(10)
		    if $count =~ /\A(?:bytes|recipients)\z/ && chance() < 0.2;
		$rule{unfamiliar} = one_of(3600, 86400) if $count eq 'new_recipients' && draw(3);
		$rule{learn} = one_of(86400, 20 * 86400) if $count eq 'new_recipients' && draw(2);
		$rule{$_} = for_whom($count eq 'bytes') for grep { chance() < 0.15 } qw(only except);
		$rule{ipv4_prefix} = one_of(16, 24, 32) if chance() < 0.1;
		$rule{ipv6_prefix} = one_of(32, 48, 128) if chance() < 0.1;
		$rule{report} = 0 if chance() < 0.15;
		$rule{lock} = some_lock() if chance() < 0.3 && lockable($count, $key);
		$rule{shadow} = 1 if chance() < 0.2;
		$rule{action} = action(0.4) if chance() < 0.4;
		$rule{networks} = ['192.0.2.0/24'] if chance() < 0.15;
		$rule{unless} = 'sasl_username' if !ref $key && $key ne 'sasl_username' &&
		    chance() < 0.2;
		push @rules, \%rule;
	}
	return (rules => \@rules);
}

sub configuration {
	my $rules = chance() < 0.5;

	return { $rules ? rules() : plain(), fail_action => action(0.15),
	    success_action => one_of('dunno', 'dunno', 'PREPEND X-Count: yes'),
	    never_action => one_of(undef, 'reject 5.5.1 never {limit} {used}'),
	    count_mode => one_of('auto', 'auto', 'auto', 0, 1, 2), fold_case => $w->{fold},
	    recipient_delimiter => one_of('', '+'), default_domain => $w->{domain},
	    exempt => one_of([], [], ['vip', '@d2.example', '198.51.100.7', '2001:db8:1::/48']),
	    ipv4_prefix => one_of(32, 24), ipv6_prefix => one_of(128, 64), report => 1,
	    report_limits => [60, 3600, 86400] };
}

# As the file has it.
sub file_settings {
	my ($settings) = @_;
	my %file = %$settings;
	my $bool = sub { $_[0] ? Policyd::True : Policyd::False };

	$file{$_} = $bool->($file{$_}) for grep { exists $file{$_} } qw(fold_case report
	    limit_by_sasl limit_by_sender limit_by_ip);
	$file{rules} = [map { my %r = %$_; $r{$_} = $bool->($r{$_}) for grep { exists $r{$_} }
	    qw(shadow report); \%r } @{$file{rules}}] if $file{rules};
	return { ($w->{db} ? $w->{db}->config($w->{db}{kind} eq 'pgsql' ? 'database' : 'db',
	    $w->{name}) : ()), db_timeout => 50, db_error_action => 'defer database',
	    limits => \'DEFAULT', %file };
}

# --- its time, its tables ---

sub set_clock {
	my ($to) = @_;

	$w->{now} = $to;
	$_->set(wall => $to) for values %{$w->{d}{shim}};
}

sub sql {
	my ($query) = @_;

	trace("sql $query");
	return $w->{db} ? $w->{db}->sql_in($w->{name}, $query) : $w->{d}->sql($query);
}

sub trace {
	my ($text) = @_;

	push @{$w->{trace}}, "$w->{step} @{[$w->{now} - START]}: $text";
	shift @{$w->{trace}} if @{$w->{trace}} > 60;
	diag($w->{trace}[-1]) if $ENV{MODEL_TRACE};
}

sub differs {
	my ($what) = @_;

	$w->{differs} //= "step $w->{step}, $w->{now}: $what";
}

# --- requests ---

sub attributes {
	my $m = $w->{model};
	my $stage = one_of(qw(RCPT RCPT RCPT DATA DATA DATA data END-OF-MESSAGE VRFY));
	my $count = $stage eq 'RCPT' ? 0 : one_of(1, 1, 2, 3, 5, 12);
	my %r = (protocol_state => $stage, sasl_username => one_of(@logins),
	    sender => one_of(@senders), client_address => one_of(@clients),
	    recipient => $count > 1 ? '' : one_of(@recipients), recipient_count => $count,
	    size => 100 * draw(30), instance => "i$w->{seed}." . $w->{instances}++,
	    map { $_ => one_of(@{$sessions{$_}}) } sort keys %sessions);

	# Another recipient or the next stage of a mail, or a request that is sent again.
	if (@{$w->{mails}} && chance() < 0.45) {
		my $mail = one_of(@{$w->{mails}});
		%r = (%r, map { $_ => $mail->{$_} } qw(sasl_username sender client_address
		    instance), keys %sessions);
		%r = %$mail if chance() < 0.2;
	} elsif (chance() < 0.1) {
		$r{instance} = '';
	}
	push @{$w->{mails}}, { %r } if $r{instance} ne '';
	shift @{$w->{mails}} if @{$w->{mails}} > 12;
	return \%r;
}

sub words {
	my ($r) = @_;

	return join ' ', map { "$_=$r->{$_}" } sort keys %$r;
}

sub expect {
	my ($r) = @_;

	return $w->{model}->ask($w->{now}, $r);
}

sub compare {
	my ($r, $got, @wanted) = @_;

	$got //= 'none';
	trace('ask ' . words($r) . " -> $got");
	differs(words($r) . "\n     got: $got\nexpected: " . join ' or ', @wanted)
	    if !grep { $_ eq $got } @wanted;
}

sub ask {
	my $r = attributes();

	compare($r, $w->{d}->ask(%$r), expect($r));
}

# The same from many clients at once: how many get which answer.
sub burst {
	my $r = attributes();
	my @requests = map { +{ %$r, instance => "$r->{instance}.$_" } } 1 .. 2 + draw(8);
	my @clients = map { $w->{d}->connect } @requests;
	my (%got, %wanted);

	$clients[$_]->send(request(%{$requests[$_]})) for 0 .. $#requests;
	$got{$_->answer // 'none'}++ for @clients;
	$wanted{expect($_)}++ for @requests;
	my ($got, $wanted) = map { my $of = $_; join ', ', map { "$of->{$_} $_" }
	    sort keys %$of } \%got, \%wanted;
	trace(@requests . ' times ' . words($r) . " -> $got");
	differs(words($r) . "\n     got: $got\nexpected: $wanted") if $got ne $wanted;
}

# --- the clock ---

sub later {
	my $by = one_of(1, 1, 5, 9, 10, 11, 30, 59, 60, 61, 599, 601, 1800);

	trace("clock +$by");
	set_clock($w->{now} + $by);
	# An instance is remembered for an hour.
	$w->{mails} = [] if ($w->{passed} += $by) > 3000;
	$w->{passed} = 0 if !@{$w->{mails}};
}

sub much_later {
	# A rule that counts new recipients learns for 14 days.
	my $by = one_of(3599, 3601, 7201, 50_000, 86_401, has('new_recipients') ?
	    (50_000, 15 * 86_400) : ());

	trace("clock +$by");
	set_clock($w->{now} + $by);
	$w->{mails} = [];
}

sub earlier {
	my $by = one_of(1, 3, 60, 500, 4000, 90_000);

	return if $w->{now} - $by < $w->{model}{gone} || has('lock') || has('new_recipients');
	trace("clock -$by");
	set_clock($w->{now} - $by);
}

# Wrong for a while, meanwhile this and that, and right again.
sub wrong_clock {
	my $by = one_of(30 * 86400, -30 * 86400, 366 * 86400, 86_000, 90_000);
	my @mails = @{$w->{mails}};
	# For a second the daemon has those that a cleaning deletes.
	my $held = grep { $_->[0] > $w->{now} } map { values %{$w->{model}{$_}} } qw(block grant);

	return if $w->{now} + $by < $w->{model}{gone} || has('lock') || has('new_recipients');
	trace("wrong clock $by");
	set_clock($w->{now} + $by);
	$w->{mails} = [];
	for (1 .. draw(6)) {
		my $what = one_of(\&ask, \&ask, \&burst, \&insert, \&restart,
		    $held ? () : \&clean);
		$what->();
		# Instances are cleaned away with their rows.
		@mails = () if $what == \&clean;
	}
	set_clock($w->{now} - $by);
	trace('clock is right');
	$w->{mails} = \@mails;
}

# --- what others write ---

# Whatever case other programs wrote it in.
sub folded {
	my ($id) = @_;
	my ($rule, $value) = $id =~ /\A(r\d\w*:)?(.*)/s;
	my %cases = map { $_ => 1 } $value, $w->{fold} ? (ucfirst $value, uc $value) : ();

	return 'id IN (' . join(', ', map { "'" . ($rule // '') . "$_'" } sort keys %cases) . ')';
}

# Ids under which only sums are kept.
sub some_id {
	my $s = $w->{model}{s};
	my $rule = $s->{rules} && first { ($_->{count} // '') !~ /addresses|distinct|senders|new/ }
	    @{$s->{rules}};
	my @ids = $s->{rules} && !$rule ? () : map { ($rule ? "$rule->{name}:" : '') . $_ }
	    'bob', 'BOB', 'bob@d1.example', 'vip', 'eve@d2.example', 's1@d1.example',
	    '192.0.2.1', '192.0.2.0/24', '2001:db8:1::/64';
	my @known = grep { !$w->{model}{seen}{$_} && !m{\Alock/} } sort keys %{$w->{model}{rows}};

	return @known && chance() < 0.6 ? one_of(@known) : @ids ? one_of(@ids) : 'nobody';
}

# An INSERT as 1.2.0 makes it, by position: its text and its rows.
sub insertion {
	my $id = some_id();
	my @rows = map { { date => $w->{now} - one_of(0, 0, 0, 5, 59, 60, 61, 3000, -50, -86_000,
	    -90_000), n => one_of(1, 1, 2, 3), instance => one_of('', "f$w->{instances}.$_") } }
	    1 .. one_of(1, 1, 1, 2, 5);
	my $columns = one_of('', '', ' (id, date, recipient_count, instance, protocol_state)');

	# The case of a rule's name matters.
	$id =~ s/\A(r\d\w*:)?(.*)/($1 \/\/ '') . ucfirst $2/e if $w->{fold} && chance() < 0.2;
	return ("INSERT INTO mail_count$columns VALUES " . join(', ', map {
	    "('$id', $_->{date}, $_->{n}, '" . ($_->{instance} || 'empty') . "', 'RCPT')" } @rows),
	    sub { $w->{model}->insert($id, @rows) });
}

sub insert {
	my ($sql, $effect) = insertion();

	sql($sql);
	$effect->();
}

# A DELETE or UPDATE: its text and its effect.
sub alteration {
	my $m = $w->{model};
	my ($id, $other) = map { $m->fold($_) } some_id(), some_id();
	my $before = $w->{now} - one_of(0, 10, 60, 3000);
	my $by = one_of(5, 60, 1000);
	my ($sql, $effect) = @{one_of(
	    ['DELETE FROM mail_count', $m->change($id, sub { () })],
	    ["DELETE FROM mail_count WHERE date < $before",
	    $m->change($id, sub { grep { $_->{date} >= $before } @_ })],
	    ['UPDATE mail_count SET recipient_count = recipient_count * 2',
	    $m->change($id, sub { map { +{ %$_, n => 2 * $_->{n} } } @_ })],
	    ["UPDATE mail_count SET date = date - $by",
	    $m->change($id, sub { map { +{ %$_, date => $_->{date} - $by } } @_ })],
	    ["UPDATE mail_count SET id = '$other'", $m->rename($id, $other)])};

	return ($sql . ($sql =~ /WHERE/ ? ' AND ' : ' WHERE ') . folded($id), $effect);
}

sub alter {
	my ($sql, $effect) = alteration();

	# It would wait for rows that are not committed, MariaDB for those beside them too.
	return if @{$w->{late}} && $w->{db}{kind} eq 'mysql' || grep { $_->{alters} } @{$w->{late}};
	sql($sql);
	$effect->();
}

sub delete_all {
	return if @{$w->{late}} || %{$w->{model}{seen}};
	sql('DELETE FROM mail_count');
	$_ = [] for values %{$w->{model}{rows}};
}

# A transaction that commits some steps later, or is rolled back.
sub late {
	return locked() if !$w->{db};
	return commit() if @{$w->{late}} > 2;
	my $alters = chance() < 0.3 && !@{$w->{late}} && $w->{model}{s}{count_mode} ne '0';
	my ($sql, $effect) = $alters ? alteration() : insertion();

	trace("late: $sql");
	local $w->{db}{database} = $w->{name};
	push @{$w->{late}}, { end => $w->{db}->holding($sql), effect => $effect,
	    alters => $alters };
}

sub commit {
	my $late = shift @{$w->{late}} or return;
	my $how = chance() < 0.8 ? 'COMMIT' : 'ROLLBACK';

	trace("late: $how");
	$late->{end}->($how);
	$late->{effect}->() if $how eq 'COMMIT';
}

# SQLite has one writer at a time: a request waits for the others' transaction.
sub locked {
	my ($sql, $effect) = insertion();
	my $r = attributes();
	my $client = $w->{d}->connect;

	trace("locked: $sql");
	my $end = Database::hold('BEGIN IMMEDIATE', $sql, '/dev/null', 'sqlite3', '-batch',
	    '-cmd', '.timeout 20000', $w->{d}->database);
	$client->send(request(%$r));
	$end->('COMMIT');
	$effect->();
	compare($r, $client->answer, expect($r));
}

# --- the administrator ---

sub policyctl {
	my ($status, @words) = @_;
	my ($got, $out, $err);

	# The ledger may just have been killed.
	wait_until {
		($got, $out, $err) = $w->{d}->run_command('/bin/sh', '-c',
		    $w->{d}{shim}{policyctl}->before . 'exec "$@"', 'sh',
		    ctl_command($w->{d}, @words));
		$err !~ /the database is away/;
	};

	trace("policyctl @words -> $got");
	differs("policyctl @words: status $got, not $status: $out$err") if $got != $status;
	return $out;
}

sub what {
	my $rule = one_of(@{$w->{model}{s}{rules} // []}, undef);

	return "$rule->{name}:bob\@d1.example" if $rule && !ref $rule->{key} &&
	    $rule->{key} =~ /\A(?:sasl_username|sender)\z/ && chance() < 0.3;
	return one_of('bob', 'BOB@d1.example', 'bob+z@d1.example', 'vip', '@d1.example',
	    '@D2.example', '192.0.2.9', '192.0.2.0/24', '2001:db8:1::5', '2001:db8::/32',
	    'sender:s1@d1.example', 'sender:S2+x@d2.example');
}

sub block {
	my ($what, $for) = (what(), one_of(30, 60, 600, 7200));

	policyctl(0, 'block', $what, $for);
	my $model = $w->{model};
	$model->override('block', $model->block_name($what), $w->{now}, $w->{now} + $for, 0);
}

sub unblock {
	my $model = $w->{model};
	my $name = one_of(sort(keys %{$model->{block}}), sort keys %{$model->{lock}}) //
	    $model->block_name(what());
	my $holds = ($model->{block}{$name} // [0])->[0] > $w->{now};
	$holds = $model->unlock($w->{now}, $name) || $holds;
	my $there = $model->override('block', $name, $w->{now}, 0);

	policyctl($holds ? 0 : 3, 'unblock', $name =~ s/\Anetwork://r);
	return $there;
}

# The ids that a grant or a reset is for.
sub counted {
	my ($word) = @_;
	my $model = $w->{model};
	my $s = $model->{s};

	return $s->{limit_by_sasl} || !$s->{limit_by_sender} ?
	    $model->identity('sasl_username', { sasl_username => $word }) :
	    $model->identity('sender', { sender => $word }) if !$s->{rules};
	my ($name, $value) = $word =~ /\A([^:]+):(.*)/s;
	my $rule = first { $_->{name} eq $name } @{$s->{rules}};
	my $of = $rule->{key} =~ /sasl/ ? 'sasl_username' : 'sender';
	return "$name:" . $model->mapped($rule, $model->identity($rule->{key},
	    { $of => $value }));
}

# The same under earlier names of the rule.
sub earlier_ids {
	my ($word) = @_;
	my ($name, $value) = counted($word) =~ /\A(r\d\w*):(.*)/s or return;
	my $rule = first { $_->{name} eq $name } @{$w->{model}{s}{rules} // []};

	return map { "$_:$value" } @{$rule->{was} // []};
}

sub granted_word {
	my $s = $w->{model}{s};
	my $rules = $s->{rules} or return $s->{limit_by_sasl} || $s->{limit_by_sender} ?
	    one_of(grep { $_ ne '' } @logins) : undef;
	my @rules = grep { !ref $_->{key} && $_->{key} =~ /\A(?:sasl_username|sender)\z/ &&
	    ($_->{count} // '') !~ /addresses|distinct|senders|new/ } @$rules;

	return @rules ? one_of(@rules)->{name} . ':' . one_of('bob@d1.example', 'Bob', 'vip',
	    's1@d1.example') : undef;
}

sub grant {
	my $word = granted_word() // return;
	my ($n, $for) = (one_of(1, 5, 20), one_of(30, 60, 600, 7200));

	policyctl(0, 'grant', $word, $n, $for);
	$w->{model}->override('grant', counted($word), $w->{now}, $w->{now} + $for, $n);
}

sub ungrant {
	my $word = granted_word() // return;
	my $model = $w->{model};
	my @ids = (counted($word), earlier_ids($word));
	my $holds = grep { $model->granted($_, $w->{now}) > 0 } @ids;

	$model->override('grant', $_, $w->{now}, 0) for @ids;
	policyctl($holds ? 0 : 3, 'ungrant', $word);
}

sub take_back {
	my $word = granted_word() // return;

	policyctl(0, 'reset', $word);
	$w->{longest} = min $w->{longest}, $w->{model}->longest;
	$w->{model}->reset($w->{now}, counted($word), earlier_ids($word));
}

sub charge {
	my @rules = grep { !ref $_->{key} && $_->{key} eq 'sasl_username' &&
	    ($_->{count} // '') eq 'external' } @{$w->{model}{s}{rules} // []} or return;
	my $rule = one_of(@rules);
	my $word = "$rule->{name}:" . one_of('bob@d1.example', 'Bob', 'vip', 'ann@d1.example');
	my ($n, $instance) = (one_of(1, 1, 2, 5), one_of('', map { "c$_" } 1 .. 20));

	my $out = policyctl(0, 'charge', $word, $n, $instance ne '' ? $instance : ());
	my ($value) = counted($word) =~ /:(.*)/s;
	my $login = $w->{model}->identity('sasl_username', { sasl_username => $word =~ s/\A[^:]*://r });
	my $wanted = $w->{model}->charge($w->{now}, $rule, $value, $n, $instance, $login);
	differs("charge $word $n $instance: $out, not $wanted") if $out !~ /: $wanted charged/;
}

sub reload {
	my $settings = { %{$w->{settings}} };
	my @of = $settings->{rules} ? map { +{ %$_ } } @{$settings->{rules}} : $settings;

	$settings->{rules} = \@of if $settings->{rules};
	my $of = one_of(@of);
	# Another name; what counts different values has a test of its own.
	if ($settings->{rules} && chance() < 0.3 && @{$of->{was} // []} < 4 &&
	    ($of->{count} // '') !~ /addresses|distinct|senders|new/) {
		$of->{was} = [$of->{name}, @{$of->{was} // []}];
		$of->{name} .= 'n';
	}
	if ($of->{limits_by_id} && chance() < 0.5) {
		$of->{limits_by_id} = by_id(keys %{$of->{limits_by_id}}, 'vip');
	} else {
		$of->{limits} = some_limits();
		$_->[0] *= 1000 for ($of->{count} // '') eq 'bytes' ? @{$of->{limits}} : ();
	}
	$settings->{recipient_delimiter} = one_of('', '+') if chance() < 0.2;
	$settings->{ipv6_prefix} = one_of(64, 128) if chance() < 0.2;
	$w->{d}->write_config(file_settings($settings));
	policyctl(0, 'reload');
	$w->{model}->reload($w->{settings} = $settings);
}

# --- processes ---

sub ledger { return 'ledger-' . ($w->{db} ? $w->{db}{kind} : 'sqlite') }

# Only a process knows which recipients of a mail counted as known, and of which mail
# there was a hit.
sub forgotten {
	return if !has('new_recipients');
	$w->{mails} = [];
	$w->{hits_differ} = 1;
}

sub restart {
	trace('restart');
	$w->{d}->restart;
	forgotten();
}

sub kill_all {
	trace('kill the parent');
	my $all = $w->{d}->children;
	$w->{d}->signal('KILL');
	$w->{d}->wait_end;
	wait_until { !grep { Policyd::process_alive($_) } values %$all };
	$w->{d}->start;
	forgotten();
}

# While a request is under way: it is answered once, and counted once. Where its hit locks,
# the answer to the second question is that of the lock.
sub kill_ledger {
	return if has('lock');
	my $r = attributes();
	my $pid = $w->{d}->child(ledger());
	my $client = $w->{d}->connect;

	trace('kill the ledger');
	$client->send(request(%$r));
	$client->fill(chance() * 0.004) if draw(2);
	kill 'KILL', $pid;
	compare($r, $client->answer, expect($r));
	$w->{hits_differ} = 1;
	forgotten();
}

# The client asks again, as Postfix does.
sub kill_engine {
	return if has('lock');
	my $r = attributes();
	my $pid = $w->{d}->child('engine');
	my $client = $w->{d}->connect;

	return if $r->{instance} eq '' || $w->{model}{s}{count_mode} eq '0';
	trace('kill the engine');
	$client->send(request(%$r));
	$client->fill(chance() * 0.004) if draw(2);
	kill 'KILL', $pid;
	my $answer = $client->answer;
	wait_until {
		$client = defined $answer ? undef : $w->{d}->connect_quietly;
		$answer = $client->ask_bytes(request(%$r)) if $client;
		defined $answer;
	};
	delete $w->{d}{client};
	compare($r, $answer, expect($r));
	$w->{hits_differ} = 1;
	forgotten();
}

sub clean {
	return if @{$w->{late}};
	trace('clean');
	my ($status, $out, $err) = $w->{d}->run('--clean');

	differs("--clean: status $status: $out$err") if $status != 0;
	$w->{model}->clean($w->{now});
	# What was charged to an instance is gone with its rows.
	$w->{mails} = [];
}

sub vacuum {
	return if $w->{db} && $w->{db}{kind} ne 'pgsql' || @{$w->{late}};
	sql('VACUUM');
}

# --- the comparison ---

sub check {
	my @differ = $w->{model}->compare(sql(
	    'SELECT id, date, SUM(recipient_count) FROM mail_count GROUP BY id, date'));

	differs(join "\n", 'sums', @differ) if @differ;
}

sub check_hits {
	return if $w->{hits_differ};
	my %got = map { my $table = $_; map { ("$table $_->[0] $_->[1]" => $_->[2]) }
	    sql("SELECT id, delta, SUM(hit) FROM $table GROUP BY id, delta") }
	    qw(limit_report limit_shadow limit_lock);
	my $wanted = $w->{model}{hit};
	my %all = (%got, %$wanted);
	my @bad = grep { ($got{$_} // 0) != ($wanted->{$_} // 0) } sort keys %all;
	differs('hits differ: ' . join ', ', map { "$_ has " . ($got{$_} // 0) . ', not ' .
	    ($wanted->{$_} // 0) } @bad) if @bad;
}

my @kinds = ([60, \&ask], [6, \&burst], [14, \&later], [2, \&much_later], [2, \&earlier],
    [1, \&wrong_clock], [4, \&insert], [3, \&alter], [0.3, \&delete_all], [3, \&late],
    [3, \&commit], [2, \&block], [1, \&unblock], [2, \&grant], [1, \&ungrant],
    [1, \&take_back], [4, \&charge], [2, \&reload], [0.5, \&restart], [0.3, \&kill_all], [1, \&kill_ledger],
    [1, \&kill_engine], [0.7, \&clean], [0.3, \&vacuum], [1, \&check]);

sub step {
	my $at = chance() * sum(map { $_->[0] } @kinds);
	my $kind = first { ($at -= $_->[0]) < 0 } @kinds;

	$kind->[1]->();
}

sub world {
	my ($seed, $db) = @_;

	begin_with($seed);
	$w = { seed => $seed, name => "world$seed", db => $db, now => START, step => 0,
	    mails => [], late => [], instances => 0, passed => 0, longest => 86400, fold => draw(4) ? 1 : 0,
	    domain => one_of('', 'd1.example'), retry => draw(2) };
	$db->sql("CREATE DATABASE $w->{name}") if $db;
	my $settings = $w->{settings} = configuration();
	$w->{model} = Model->new($settings);
	my $d = $w->{d} = Policyd->new(config => file_settings($settings));
	Fault::Shim::prepare($d, ['engine', ledger()]);
	$d->{shim}{policyctl} = Fault::Shim->new("$d->{dir}/policyctl.fault");
	set_clock(START);
	$d->start;
	sql('CREATE TABLE ids (v varchar(60), m varchar(60))');
	sql("INSERT INTO ids VALUES ('$_', '$ids{$_}')") for sort keys %ids;
	$w->{model}{ids} = \%ids;
	while ($w->{step}++ < $steps && !defined $w->{differs}) {
		my $ok = eval { step(); 1 };
		differs("died: $@") if !$ok;
	}
	commit() while @{$w->{late}};
	if (!defined $w->{differs}) {
		check();
		check_hits();
	}
	my $ok = ok(!defined $w->{differs}, "world $seed");
	if (!$ok) {
		diag(map { "$_\n" } @{$w->{trace}});
		diag("$w->{differs}\nPOLICYD_SEED=$seed MODEL_WORLDS=1 brings it again: " .
		    ledger() . "\n", Policyd::slurp($d->{file}));
	}
	$ok = $d->ends_well && $ok;
	$db->sql("DROP DATABASE $w->{name}") if $db && $ok;
	undef $w;
}

need(have_command('sqlite3'), 'no sqlite3 to look into the database with');
Fault::Shim::needed();
for my $kind (@ARGV ? @ARGV : qw(sqlite pgsql mysql)) {
	subtest $kind => sub {
		# MariaDB's own default lets these transactions wait for each other.
		my $db = $kind eq 'sqlite' ? undef : Database->start($kind, $kind eq 'pgsql' ? () :
		    (args => ['--transaction-isolation=READ-COMMITTED']));
		world($_, $db)
		    for $first .. $first + ($ENV{MODEL_WORLDS} // $worlds{$kind}) - 1;
		$db->stop if $db;
	};
}

done_testing();
