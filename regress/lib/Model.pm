package Model;

# What a daemon must answer, and what its tables must hold: every rule of
# policyd-rate-limit(8), policyd-rate-limit.conf(5) and policyctl(8) about blocks,
# identities, counts, windows and rules, as simply as it can be said. A window is a sum
# over all rows. Nothing of the program is used here, and nothing is remembered but the
# rows.
#
#	my $model = Model->new({ limits => [[2, 60]], ... });
#	my $answer = $model->ask($now, { sasl_username => 'bob', ... });
#
# Settings are as in a configuration, with 0 and 1 for False and True.

use strict;
use warnings;

use List::Util qw(any first max sum0);
use Socket qw(inet_pton inet_ntop AF_INET AF_INET6);

use constant DAY => 86400;

my %defaults = (limits => [[10, 60], [150, 86400]], limits_by_id => {}, limit_by_sasl => 1,
    limit_by_sender => 0, limit_by_ip => 0, limited_networks => [], count_mode => 'auto',
    fold_case => 1, recipient_delimiter => '', default_domain => '', ipv4_prefix => 32,
    ipv6_prefix => 128, success_action => 'dunno', never_action => undef, report => 0,
    fail_action => 'defer_if_permit Rate limit reach, retry later',
    block_action => 'reject 5.7.1 Sending is blocked', report_limits => [86400]);

sub new {
	my ($class, $settings) = @_;
	my $self = bless { rows => {}, seen => {}, block => {}, grant => {}, hit => {},
	    since => {}, gone => 0, ids => {},
	    outside => {} }, $class;

	$self->reload($settings);
	return $self;
}

sub reload {
	my ($self, $settings) = @_;

	$self->{s} = { %defaults, %$settings };
}

# --- ids ---

# The bytes of an address; IPv4 in IPv6 is IPv4. undef: it is no address.
sub address {
	my ($text) = @_;
	my $bytes = inet_pton(AF_INET, $text) // inet_pton(AF_INET6, $text);

	return undef if !defined $bytes;
	return $bytes =~ /\A\0{10}\xff\xff(.{4})\z/s ? $1 : $bytes;
}

sub masked {
	my ($bytes, $prefix) = @_;
	my $bits = 8 * length $bytes;
	my $mask = pack "B$bits", '1' x $prefix . '0' x ($bits - $prefix);

	return $bytes & $mask;
}

sub address_text { return inet_ntop(length $_[0] == 4 ? AF_INET : AF_INET6, $_[0]) }

# (bytes, prefix) of "192.0.2.0/24" or of an address.
sub network {
	my ($text) = @_;
	my ($address, $prefix) = $text =~ m{\A([^/]+)(?:/(\d+))?\z} or return;
	my $bytes = address($address) // return;

	return ($bytes, $prefix // 8 * length $bytes);
}

sub in_network {
	my ($bytes, $network) = @_;
	my ($of, $prefix) = network($network);

	return defined $of && length $of == length $bytes && masked($bytes, $prefix) eq $of;
}

sub fold {
	my ($self, $text) = @_;

	$text =~ tr/A-Z/a-z/ if $self->{s}{fold_case};
	return $text;
}

# A login or an address of mail.
sub mailbox {
	my ($self, $text, $domain) = @_;
	my ($local, $at) = $text =~ /\A(.*)(\@[^@]*)\z/s ? ($1, $2) : ($text, undef);

	$local =~ s/(?<=.)[\Q$self->{s}{recipient_delimiter}\E].*//s
	    if $self->{s}{recipient_delimiter} ne '';
	$at //= $domain ne '' ? "\@$domain" : '';
	return $self->fold("$local$at");
}

sub domain {
	my ($self, $text, $otherwise) = @_;

	return $self->fold($text =~ /.*\@(.*)\z/s ? $1 : $otherwise);
}

# The value of a key for a request; undef: the request lacks it.
sub identity {
	my ($self, $key, $r) = @_;
	my $s = $self->{s};
	my %from = (sasl_domain => 'sasl_username', sender_domain => 'sender',
	    recipient_domain => 'recipient');

	return 'server' if $key eq 'server';
	my $value = $r->{$from{$key} // $key} // '';
	return undef if $value eq '';
	if ($key eq 'client_address') {
		my $bytes = address($value) // return undef;
		my $prefix = $s->{length $bytes == 4 ? 'ipv4_prefix' : 'ipv6_prefix'};
		return address_text($bytes) if $prefix == 8 * length $bytes;
		return address_text(masked($bytes, $prefix)) . "/$prefix";
	}
	my $domain = $key =~ /^sasl/ ? $s->{default_domain} : '';
	my $id = $key eq 'helo_name' ? $self->fold($value) : $key =~ /domain/ ?
	    $self->domain($value, $domain) : $self->mailbox($value, $domain);
	return $id eq '' ? undef : $id;
}

# --- blocks and grants ---

# What an administrator's word names.
sub block_name {
	my ($self, $word) = @_;
	my %kind = (sasl_username => 'login', sasl_domain => 'domain', sender => 'sender',
	    client_address => 'network');
	my ($kind, $value) = ('login', $word);

	if (my ($bytes, $prefix) = network($word)) {
		return 'network:' . address_text($bytes) . "/$prefix";
	}
	if ($word =~ /\A(sender|login):(.*)/s) {
		($kind, $value) = ($1, $2);
	} elsif ($word =~ /\A([^:]+):(.*)/s) {
		my $rule = first { $_->{name} eq $1 } @{$self->{s}{rules} // []};
		return undef if !$rule || ref $rule->{key};
		($kind, $value) = ($kind{$rule->{key}}, $2);
		return undef if !defined $kind;
		return $self->block_name($value) if $kind eq 'network';
	}
	return 'domain:' . $self->fold($value =~ s/\A@//r)
	    if $kind eq 'domain' || $value =~ /\A@/;
	return "$kind:" . $self->mailbox($value,
	    $kind eq 'login' ? $self->{s}{default_domain} : '');
}

# Those that are over may be deleted with the next that is made or ended: a clock from
# before {gone} must not come back.
sub override {
	my ($self, $kind, $name, $now, $until, $amount) = @_;
	my $all = $self->{$kind};

	for my $list (@$self{qw(block grant)}) {
		$self->{gone} = max $self->{gone}, map { (delete $list->{$_})->[0] }
		    grep { $list->{$_}[0] <= $now } keys %$list;
	}
	my $was = delete $all->{$name};
	$all->{$name} = [$until, $amount] if $until > $now;
	return $was || $until > $now ? 1 : 0;
}

sub blocked {
	my ($self, $now, $r) = @_;
	my $s = $self->{s};
	my $login = $self->identity('sasl_username', $r);
	my $sender = $self->identity('sender', $r);
	my $client = address($r->{client_address} // '');
	my $senders = $s->{rules} ? any { my $rule = $_; any { $_ eq 'sender' }
	    ref $rule->{key} ? @{$rule->{key}} : $rule->{key} } @{$s->{rules}} :
	    $s->{limit_by_sender};
	my @names;

	push @names, "login:$login", 'domain:' . $self->domain($login, '') if defined $login;
	push @names, "sender:$sender" if defined $sender;
	push @names, "login:$sender" if defined $sender && $senders;
	push @names, grep { /\Anetwork:(.*)/ && in_network($client, $1) } keys %{$self->{block}}
	    if defined $client;
	return any { ($self->{block}{$_} // [0])->[0] > $now } @names;
}

sub granted {
	my ($self, $id, $now) = @_;
	my $grant = $self->{grant}{$id};

	return $grant && $grant->[0] > $now ? $grant->[1] : 0;
}

# --- what is counted ---

my %stages = (auto => { RCPT => 1, DATA => 1, 'END-OF-MESSAGE' => 1 }, 0 => { RCPT => 1 },
    1 => { DATA => 1 }, 2 => { DATA => 1 });

sub stage { return uc($_[0]{protocol_state} // '') }

# How many it stands for; undef: nothing is counted at this stage. What a recipient is in
# the key of is known at RCPT alone.
sub amount {
	my ($self, $count, $r, @key) = @_;
	my $stage = stage($r);
	my $rcpt = $count eq 'distinct_recipients' || grep { /\Arecipient/ } @key;

	if ($count eq 'bytes') {
		return undef if $rcpt || $stage !~ /\A(?:DATA|END-OF-MESSAGE)\z/;
		return $r->{size} =~ /\A\d+\z/ ? $r->{size} : 0;
	}
	return $stage eq 'RCPT' ? 1 : undef if $rcpt;
	return undef if !$stages{$self->{s}{count_mode}}{$stage};
	return 1 if $count ne 'recipients' || $stage eq 'RCPT' ||
	    $self->{s}{count_mode} eq '2';
	return $r->{recipient_count} =~ /\A\d+\z/ ? max($r->{recipient_count}, 1) : 1;
}

# The limits of an id, without the name of a rule: the most exact entry wins. An entry is
# an id as requests have it.
sub limits {
	my ($self, $of, $id, $key) = @_;
	my $domain = $key eq 'sasl_username' ? $self->{s}{default_domain} : '';
	my %by_id = map { (/\A\@/ || network($_) || $key !~ /\A(?:sasl_username|sender)\z/ ?
	    $self->fold($_) : $self->mailbox($_, $domain)) => $of->{limits_by_id}{$_} }
	    keys %{$of->{limits_by_id} // {}};
	my ($bytes) = network($id);
	my $longest = -1;
	my $limits = $by_id{$id};

	return $limits if $limits;
	$limits = $of->{limits} // [];
	return $by_id{"\@$1"} // $limits if !defined $bytes && $id =~ /.*\@(.*)/s;
	return $limits if !defined $bytes;
	my (undef, $own) = network($id);
	for my $network (keys %by_id) {
		my (undef, $prefix) = network($network);
		next if !defined $prefix || $prefix > $own || $prefix <= $longest ||
		    !in_network($bytes, $network);
		($longest, $limits) = ($prefix, $by_id{$network});
	}
	return $limits;
}

# What is counted for a value of a rule: {ids} is what its id_sql finds.
sub mapped {
	my ($self, $rule, $value) = @_;
	my $id = $rule->{id_sql} ? $self->fold($self->{ids}{$value} // '') : '';

	return $id ne '' ? $id : $value;
}

# [{ id, limits, n, ... }] of all that a request is charged under.
sub charges {
	my ($self, $r) = @_;
	my $s = $self->{s};
	my $client = address($r->{client_address} // '');
	my $in = sub { defined $client && any { in_network($client, $_) } @{$_[0]} };
	my @keys;

	if (!$s->{rules}) {
		my $id;
		$id = $self->identity('sasl_username', $r) if $s->{limit_by_sasl};
		$id //= $self->identity('sender', $r) if $s->{limit_by_sender};
		$id //= $self->identity('client_address', $r)
		    if $s->{limit_by_ip} && $in->($s->{limited_networks});
		my $n = $self->amount('recipients', $r);
		return if !defined $id || !defined $n;
		return { id => $id, value => $id, rule => '', n => $n,
		    limits => $self->limits($s, $id, 'sasl_username'), count => 'recipients', report => 1,
		    action => $s->{fail_action} };
	}
	for my $rule (@{$s->{rules}}) {
		my @key = ref $rule->{key} ? @{$rule->{key}} : $rule->{key};
		my @values = map { $self->identity($_, $r) } @key;
		my $count = $rule->{count} // 'recipients';
		my $n = $self->amount($count, $r, @key);
		next if !defined $n || grep { !defined } @values;
		next if $rule->{networks} && !$in->($rule->{networks});
		next if $rule->{unless} && defined $self->identity($rule->{unless}, $r);
		my $distinct = { addresses => 'client_address', senders => 'sender',
		    distinct_recipients => 'recipient' }->{$count};
		my $seen = $distinct ? $self->identity($distinct, $r) // next : undef;
		my $value = $self->mapped($rule,
		    join ',', map { @key > 1 ? s/([,\\])/\\$1/gr : $_ } @values);
		push @keys, { id => "$rule->{name}:$value",
		    was => [map { "$_:$value" } @{$rule->{was} // []}], value => $value, rule => $rule->{name},
		    n => $n, limits => $self->limits($rule, $value, @key), count => $count,
		    seen => $seen, shadow => $rule->{shadow}, most => $rule->{max_per_mail}, report => $rule->{report} // 1,
		    action => $rule->{action} // $s->{fail_action} };
	}
	return @keys;
}

# What an instance was charged before, at RCPT of this recipient or in all.
sub charged {
	my ($self, $k, $r, $tag) = @_;

	return 0 if ($r->{instance} // '') eq '';
	return sum0(map { $_->{n} } grep { $_->{instance} eq $r->{instance} &&
	    (!defined $tag || $_->{tag} eq $tag) } map { @{$self->{rows}{$_} // []} }
	    ids($k));
}

# --- windows ---

# The id, and those under earlier names of the rule.
sub ids { return ($_[0]{id}, @{$_[0]{was} // []}) }

sub counts { return $_[0] >= $_[1] - $_[2] && $_[0] <= $_[1] + DAY }

# What a window of so many seconds holds.
sub used {
	my ($self, $k, $now, $seconds) = @_;

	return sum0(map { $_->{n} } grep { counts($_->{date}, $now, $seconds) }
	    map { @{$self->{rows}{$_} // []} } ids($k)) +
	    grep { counts($_, $now, $seconds) } values %{$self->{seen}{$k->{id}} // {}};
}

# The first window without room: { mails, seconds, used, new }.
sub over {
	my ($self, $k, $now) = @_;
	my $granted = first { $_ > 0 } map { $self->granted($_, $now) } ids($k);

	for my $limit (@{$k->{limits}}) {
		my ($mails, $seconds) = ($limit->[0] + ($granted // 0), $limit->[1]);
		my $used = $self->used($k, $now, $seconds);
		my $date = defined $k->{seen} ? $self->{seen}{$k->{id}}{$k->{seen}} : undef;
		my $new = defined $date && counts($date, $now, $seconds) ? 0 : $k->{new};
		next if $used + $new <= $mails || !($new || $k->{soft} && !$k->{shadow});
		return { mails => $mails, seconds => $seconds, used => $used, new => $new };
	}
	return undef;
}

# What a mail has beyond max_per_mail; a window of no length.
sub too_many {
	my ($self, $k, $r) = @_;
	my $charged = $self->charged($k, $r);

	return undef if !$k->{most} || !$k->{new} || $charged + $k->{new} <= $k->{most};
	return { mails => $k->{most}, seconds => 0, used => $charged, new => $k->{new} };
}

# Seconds until all of these have room.
sub retry_after {
	my ($self, $now, $otherwise, @keys) = @_;
	my %moment = ($now => 1);

	for my $k (@keys) {
		my @dates = (map({ $_->{date} } map { @{$self->{rows}{$_} // []} } ids($k)),
		    values %{$self->{seen}{$k->{id}} // {}});
		for my $limit (@{$k->{limits}}) {
			$moment{$_ + $limit->[1] + 1} = 1 for @dates;
		}
	}
	for my $moment (sort { $a <=> $b } grep { $_ >= $now } keys %moment) {
		return $moment - $now if !grep { $self->over($_, $moment) } @keys;
	}
	return $otherwise;
}

# --- the decision ---

# Words with which Postfix takes the mail.
sub soft { return $_[0] =~ /\A(?:dunno|ok|warn|info|hold|prepend|filter|redirect|bcc)\b/i }

sub answer {
	my ($self, $now, $k, $over, $r, @keys) = @_;
	my $action = $k->{action};
	my $never = $over->{seconds} == 0 || !$k->{soft} &&
	    $self->charged($k, $r) + $k->{new} > $over->{mails};

	$action = $self->{s}{never_action} // ($k->{count} eq 'bytes' ?
	    'reject 5.3.4 Message too big' : 'reject 5.5.3 Too many recipients')
	    if $over->{seconds} == 0;
	$action = $self->{s}{never_action} if $never && defined $self->{s}{never_action} &&
	    $action =~ /\A(?:4\d\d|defer)\b|\Adefer_if_permit\b/i;
	return $action if $action !~ /\{/;
	my %fill = (id => $k->{value}, rule => $k->{rule}, limit => $over->{mails},
	    period => $over->{seconds}, used => $over->{used});
	$fill{retry_after} = $never ? $over->{seconds} : $self->retry_after($now,
	    $over->{seconds}, grep { !$_->{shadow} && !$_->{soft} && $_->{new} } @keys)
	    if $action =~ /\{retry_after\}/;
	$action =~ s/\{(\w+)\}/$fill{$1}/g;
	return $action;
}

sub count_hit {
	my ($self, $k, $over) = @_;

	return if !$over->{new} || $k->{outside} || !$self->{s}{report} || !$k->{report} ||
	    !any { $_ == $over->{seconds} } 0, @{$self->{s}{report_limits}};
	my $table = $k->{shadow} ? 'limit_shadow' : 'limit_report';
	$self->{hit}{"$table $k->{id} $over->{seconds}"}++;
}

sub record {
	my ($self, $now, $k, $r, $tag) = @_;

	if (defined $k->{seen}) {
		my $date = \$self->{seen}{$k->{id}}{$k->{seen}};
		$$date = $now if !defined $$date || $$date < $now || $$date > $now + DAY;
	} elsif ($k->{new} && !$k->{outside}) {
		push @{$self->{rows}{$k->{id}}}, { date => $now, n => $k->{new}, tag => $tag,
		    instance => $r->{instance} // '' };
	}
}

# The answer to a request, and its effect.
sub ask {
	my ($self, $now, $r) = @_;
	my $s = $self->{s};
	my $each = $s->{count_mode} eq '0' && stage($r) eq 'RCPT';
	my $tag = stage($r) eq 'RCPT' ? $self->fold($r->{recipient}) : '';

	return $s->{block_action} if $self->blocked($now, $r);
	my @keys = $self->charges($r);
	return $s->{success_action} if !@keys;
	for my $k (@keys) {
		$k->{soft} = soft($k->{action});
		my $one = $k->{count} ne 'messages';
		# Of what others count a mail needs room for one more.
		$k->{outside} = $k->{count} eq 'external';
		$k->{new} = $k->{outside} ? 1 : defined $k->{seen} || $each && $one ? $k->{n} : $tag ne '' && $one ?
		    ($self->charged($k, $r, $tag) > 0 ? 0 : $k->{n}) :
		    max(0, $k->{n} - $self->charged($k, $r));
	}
	my ($answer, @hits);
	for my $k (@keys) {
		for my $over (grep { defined } $self->too_many($k, $r), $self->over($k, $now)) {
			if ($k->{shadow} || $k->{soft} && $over->{seconds} > 0) {
				push @hits, [$k, $over];
				$answer //= $self->answer($now, $k, $over, $r, @keys)
				    if !$k->{shadow};
				next;
			}
			$self->count_hit(@$_) for grep { $_->[0]{shadow} } @hits;
			$self->count_hit($k, $over);
			$answer = $self->answer($now, $k, $over, $r, @keys);
			$self->take_back($r, @keys) if $each;
			return $answer;
		}
	}
	$self->count_hit(@$_) for @hits;
	$self->record($now, $_, $r, $tag) for @keys;
	return $answer // $s->{success_action};
}

# policyctl charge: an instance counts once for an id; what reaches a limit is a hit.
sub charge {
	my ($self, $now, $rule, $value, $n, $instance) = @_;
	my $id = "$rule->{name}:$value";
	my $k = { id => $id, was => [map { "$_:$value" } @{$rule->{was} // []}],
	    report => $rule->{report} // 1 };

	return 0 if $instance ne '' && grep { exists $self->{outside}{$_}{$instance} } ids($k);
	$self->{outside}{$id}{$instance} = $now if $instance ne '';
	my $granted = first { $_ > 0 } map { $self->granted($_, $now) } ids($k);
	for my $limit (@{$self->limits($rule, $value, $rule->{key})}) {
		my $used = $self->used($k, $now, $limit->[1]);
		my $mails = $limit->[0] + ($granted // 0);
		$self->count_hit($k, { new => 1, seconds => $limit->[1] })
		    if $used < $mails && $used + $n >= $mails;
	}
	push @{$self->{rows}{$id}}, { date => $now, n => $n, tag => '', instance => '' };
	return $n;
}

# count_mode 0: a refusal takes back what the mail was charged.
sub take_back {
	my ($self, $r, @keys) = @_;

	return if ($r->{instance} // '') eq '';
	for my $k (@keys) {
		@{$self->{rows}{$k->{id}}} = grep { $_->{instance} ne $r->{instance} }
		    @{$self->{rows}{$k->{id}} // []};
	}
}

# --- what else changes counts ---

# All that counts for an id in any window, now and later, is taken back. Whether rows
# from before that are is left open: they never count, as long as no clock comes back from
# before {gone} and no window gets longer, and are not among the sums.
sub reset {
	my ($self, $now, $id, @was) = @_;
	my $first = $now - $self->longest;

	push @{$self->{rows}{$id}}, map { +{ %$_, n => -$_->{n}, instance => 'reset' } }
	    grep { $_->{date} >= $first } map { @{$self->{rows}{$_} // []} } $id, @was;
	delete $self->{seen}{$id};
	$self->{since}{$id} = max $first, $self->{since}{$id} // $first;
	$self->{gone} = max $self->{gone}, $now;
}

# The longest window of any limit.
sub longest {
	my ($self) = @_;

	return max 0, map { my $of = $_; map { $_->[1] } map { @$_ } $of->{limits} // [],
	    values %{$of->{limits_by_id} // {}} } $self->{s}{rules} ? @{$self->{s}{rules}} :
	    $self->{s};
}

sub clean {
	my ($self, $now) = @_;
	my $first = $now - 2 * $self->longest;

	for my $rows (values %{$self->{rows}}) {
		@$rows = grep { $_->{date} >= $first && $_->{date} <= $now + DAY } @$rows;
	}
	for my $seen (map { values %{$self->{$_}} } 'seen', 'outside') {
		delete $seen->{$_} for grep { $seen->{$_} < $first || $seen->{$_} > $now + DAY }
		    keys %$seen;
	}
}

# What a statement of other programs does to the rows of an id that are there now, when
# the sub that is returned is called: the code is given them, and returns what is left.
sub change {
	my ($self, $id, $code) = @_;
	my %there = map { $_ => 1 } @{$self->{rows}{$id} // []};

	return sub {
		my @rows = @{$self->{rows}{$id} // []};
		$self->{rows}{$id} = [grep({ !$there{$_} } @rows),
		    map { +{ %$_ } } $code->(grep { $there{$_} } @rows)];
	};
}

# The same where they get another id.
sub rename {
	my ($self, $id, $other) = @_;
	my %there = map { $_ => 1 } @{$self->{rows}{$id} // []};

	return sub {
		my @rows = @{delete $self->{rows}{$id} // []};
		push @{$self->{rows}{$there{$_} ? $other : $id}}, $_ for @rows;
		$self->{since}{$other} = max map { $self->{since}{$_} // 0 } $id, $other;
	};
}

sub insert {
	my ($self, $id, @rows) = @_;

	push @{$self->{rows}{$self->fold($id)}}, map { +{ tag => '', %$_ } } @rows;
}

# The differences between its sums and the rows of a table, [id, date, sum].
sub compare {
	my ($self, @table) = @_;
	my (%sum, %got);

	$got{$self->fold($_->[0])}{$_->[1]} += $_->[2] for @table;
	for my $id (keys %{$self->{rows}}) {
		$sum{$id}{$_->{date}} += $_->{n} for @{$self->{rows}{$id}};
	}
	for my $id (keys %{$self->{seen}}) {
		$sum{$id}{$_}++ for values %{$self->{seen}{$id}};
	}
	my @differ;
	for my $id (sort keys %{{ %sum, %got }}) {
		for my $date (sort keys %{{ %{$sum{$id} // {}}, %{$got{$id} // {}} }}) {
			my ($sum, $got) = map { $_->{$id}{$date} // 0 } \%sum, \%got;
			push @differ, "$id at $date has $got, not $sum"
			    if $sum != $got && $date >= ($self->{since}{$id} // 0);
		}
	}
	return @differ;
}

1;
