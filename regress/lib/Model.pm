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

use List::Util qw(any first max min sum0);
use Socket qw(inet_pton inet_ntop AF_INET AF_INET6);

use constant DAY => 86400;

my %defaults = (limits => [[10, 60], [150, 86400]], limits_by_id => {}, limit_by_sasl => 1,
    limit_by_sender => 0, limit_by_ip => 0, limited_networks => [], count_mode => 'auto',
    fold_case => 1, recipient_delimiter => '', default_domain => '', ipv4_prefix => 32,
    ipv6_prefix => 128, success_action => 'dunno', never_action => undef, report => 0,
    fail_action => 'defer_if_permit Rate limit reach, retry later',
    block_action => 'reject 5.7.1 Sending is blocked', report_limits => [86400],
    exempt => []);

sub new {
	my ($class, $settings) = @_;
	my $self = bless { rows => {}, seen => {}, block => {}, grant => {}, hit => {},
	    since => {}, gone => 0, ids => {},
	    outside => {}, lock => {}, locked => {}, pair => {}, rule_first => {} }, $class;

	$self->reload($settings);
	return $self;
}

sub reload {
	my ($self, $settings) = @_;

	$self->{s} = { %defaults, %$settings };
}

# --- ids ---

# The bytes of an address; IPv4 in IPv6 is IPv4. undef: it is not an address.
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

# Attributes whose whole value counts.
my $whole = qr/\A(?:helo_name|client_name|policy_context|server_port|ccert_fingerprint)\z/;

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
	return undef if $key eq 'client_name' && $value eq 'unknown';
	my $domain = $key =~ /^sasl/ ? $s->{default_domain} : '';
	my $id = $key =~ $whole ? $self->fold($value) : $key =~ /domain/ ?
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

	$self->forget_ended($now);
	my $was = delete $all->{$name};
	$all->{$name} = [$until, $amount] if $until > $now;
	return $was || $until > $now ? 1 : 0;
}

sub forget_ended {
	my ($self, $now) = @_;

	for my $list (@$self{qw(block grant lock locked)}) {
		$self->{gone} = max $self->{gone}, map { (delete $list->{$_})->[0] }
		    grep { $list->{$_}[0] <= $now } keys %$list;
	}
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
	my ($self, $count, $r, @attributes) = @_;
	my $stage = stage($r);
	my $rcpt = $count eq 'distinct_recipients' || grep { /\Arecipient/ } @attributes;

	if ($count eq 'bytes') {
		return undef if $rcpt || $stage !~ /\A(?:DATA|END-OF-MESSAGE)\z/;
		return $r->{size} =~ /\A\d+\z/ ? $r->{size} : 0;
	}
	return $stage eq 'RCPT' ? 1 : undef if $rcpt;
	return undef if !$stages{$self->{s}{count_mode}}{$stage};
	return 1 if $stage eq 'RCPT' || ($count eq 'new_recipients' ? $r->{recipient} ne '' :
	    $count ne 'recipients' || $self->{s}{count_mode} eq '2');
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

	# What a query returns is no login.
	($limits) = map { $of->{limits_by_id}{$_} } grep { $self->fold($_) eq $id }
	    keys %{$of->{limits_by_id} // {}} if !$limits && $of->{id_sql};
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

# Whether one of the values names what the request has of the attribute.
sub among {
	my ($self, $attribute, $r, @values) = @_;

	if ($attribute eq 'client_address') {
		my $client = address($r->{client_address} // '');
		return defined $client && any { in_network($client, $_) } @values;
	}
	my $id = $self->identity($attribute, $r) // return 0;
	my $domain = $attribute eq 'sasl_username' ? $self->{s}{default_domain} : '';
	my ($of) = $id =~ /(\@[^\@]*)\z/;
	return any { $attribute =~ $whole ? $self->fold($_) eq $id :
	    $attribute =~ /domain/ ? $self->fold(s/\A\@//r) eq $id : /\A\@/ ?
	    ($of // '') eq $self->fold($_) : $self->mailbox($_, $domain) eq $id } @values;
}

# By `only` and `except` of a rule.
sub applies {
	my ($self, $rule, $r) = @_;
	my ($only, $except) = map { $rule->{$_} // {} } qw(only except);

	return !grep({ !$self->among($_, $r, @{$only->{$_}}) } keys %$only) &&
	    !grep { $self->among($_, $r, @{$except->{$_}}) } keys %$except;
}

# Which of login and client address make the request exempt.
sub exempt {
	my ($self, $r) = @_;

	return map { $_ => 1 } grep { $self->among($_, $r, @{$self->{s}{exempt}}) }
	    qw(sasl_username client_address);
}

# Whether no mail of others is counted under this key of an exempt request: the whole
# network that is counted is exempt.
sub own {
	my ($self, $exempt, $r, @key) = @_;

	for my $key (@key) {
		return 0 if !$exempt->{$key};
		next if $key ne 'client_address';
		my ($bytes, $prefix) = network($self->identity($key, $r));
		return 0 if !any { my ($of, $most) = network($_); defined $of &&
		    $most <= $prefix && in_network($bytes, $_) } @{$self->{s}{exempt}};
	}
	return 1;
}

# [{ id, limits, n, ... }] of all that a request is charged under.
sub charges {
	my ($self, $r) = @_;
	my $s = $self->{s};
	my $client = address($r->{client_address} // '');
	my $in = sub { defined $client && any { in_network($client, $_) } @{$_[0]} };
	my %exempt = $self->exempt($r);
	my @keys;

	if (!$s->{rules}) {
		my $id;
		$id = $self->identity('sasl_username', $r) if $s->{limit_by_sasl};
		$id //= $self->identity('sender', $r) if $s->{limit_by_sender};
		$id //= $self->identity('client_address', $r)
		    if $s->{limit_by_ip} && $in->($s->{limited_networks});
		my $n = $self->amount('recipients', $r);
		return if !defined $id || !defined $n;
		my $of = defined $self->identity('sasl_username', $r) && $s->{limit_by_sasl} ?
		    'sasl_username' : defined $self->identity('sender', $r) && $s->{limit_by_sender} ?
		    'sender' : 'client_address';
		return if %exempt && !$self->own(\%exempt, $r, $of);
		return { id => $id, value => $id, rule => '', n => $n, limits => [], report => 0,
		    count => 'recipients', action => 'reject' } if %exempt;
		return { id => $id, value => $id, rule => '', n => $n,
		    limits => $self->limits($s, $id, 'sasl_username'), count => 'recipients', report => 1,
		    action => $s->{fail_action} };
	}
	for my $rule (@{$s->{rules}}) {
		my $habit = ($rule->{count} // '') eq 'new_recipients';
		local @$s{qw(ipv4_prefix ipv6_prefix)} = ($rule->{ipv4_prefix} // ($habit ? 24 :
		    $s->{ipv4_prefix}), $rule->{ipv6_prefix} // ($habit ? 48 : $s->{ipv6_prefix}));
		my @key = ref $rule->{key} ? @{$rule->{key}} : $rule->{key};
		my @values = map { $self->identity($_, $r) } @key;
		my $count = $rule->{count} // 'recipients';
		my $n = $self->amount($count, $r, @key, map { keys %{$rule->{$_} // {}} }
		    qw(only except));
		next if !$self->applies($rule, $r);
		next if !defined $n || grep { !defined } @values;
		next if $rule->{networks} && !$in->($rule->{networks});
		next if $rule->{unless} && defined $self->identity($rule->{unless}, $r);
		my $distinct = { addresses => 'client_address', senders => 'sender',
		    distinct_recipients => 'recipient' }->{$count};
		my $seen = $distinct ? $self->identity($distinct, $r) // next : undef;
		my $value = $self->mapped($rule,
		    join ',', map { @key > 1 ? s/([,\\])/\\$1/gr : $_ } @values);
		next if %exempt && ($habit || $rule->{id_sql} || !$self->own(\%exempt, $r, @key));
		push @keys, { id => "$rule->{name}:$value", %exempt ? (limits => [], report => 0,
		    value => $value, rule => $rule->{name}, n => $n, count => $count, seen => $seen,
		    was => [map { "$_:$value" } @{$rule->{was} // []}], action => 'reject') : (
		    was => [map { "$_:$value" } @{$rule->{was} // []}], value => $value, rule => $rule->{name},
		    n => $n, limits => $self->limits($rule, $value, @key), count => $count,
		    seen => $seen, shadow => $rule->{shadow}, most => $rule->{max_per_mail}, report => $rule->{report} // 1,
		    action => $rule->{action} // $s->{fail_action}, lock => $rule->{lock},
		    lock_id => $self->lock_id($rule, $r),
		    habit => $habit && { %$rule, network => $self->identity('client_address', $r),
		    recipient => $self->identity('recipient', $r) }) };
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

# --- locks ---

# What a rule locks of a request; in which networks `unfamiliar` says.
sub lock_id {
	my ($self, $rule, $r) = @_;
	my @key = ref $rule->{key} ? @{$rule->{key}} : $rule->{key};

	return undef if !$rule->{lock};
	if (any { $_ eq 'sasl_username' } @key) {
		return (($rule->{count} // '') eq 'new_recipients' ? 'unfamiliar:' : 'login:') .
		    $self->identity('sasl_username', $r);
	}
	my $network = $self->identity('client_address', $r);
	return "network:$network" . ($network =~ m{/} ? '' :
	    '/' . 8 * length address($network));
}

sub rule_named {
	my ($self, $name) = @_;

	return first { any { $_ eq $name } $_->{name}, @{$_->{was} // []} } @{$self->{s}{rules} // []};
}

# The locks that hold for a request: [id, lock], the login's first.
sub locks {
	my ($self, $now, $r) = @_;
	my $login = $self->identity('sasl_username', $r);
	my $client = address($r->{client_address} // '');
	my @networks = !defined $client ? () : sort { (network($b =~ s/network://r))[1] <=>
	    (network($a =~ s/network://r))[1] } grep { /\Anetwork:(.*)/ && in_network($client, $1) &&
	    $self->{lock}{$_}[0] > $now } keys %{$self->{lock}};

	return map { [$_, $self->{lock}{$_}] } grep { ($self->{lock}{$_} // [0])->[0] > $now }
	    (defined $login ? ("login:$login", "unfamiliar:$login") : ()), $networks[0] // ();
}

# Whether the recipient is one that passes the lock of this rule.
sub excepted {
	my ($self, $name, $r) = @_;
	my $rule = $self->rule_named($name) // return 0;

	return 0 if stage($r) !~ /\A(?:RCPT|DATA|END-OF-MESSAGE)\z/;
	return $self->among('recipient', $r, @{$rule->{lock}{except_recipients} // []});
}

# The lock that answers, [id, lock], or the words of those that the request passes.
sub closed {
	my ($self, $now, $r, @keys) = @_;
	my %passes;

	for my $lock ($self->exempt($r) ? () : $self->locks($now, $r)) {
		my ($id, $rule) = ($lock->[0], $lock->[1][1]);
		my $k;
		if ($id =~ /\Aunfamiliar:/) {
			($k) = grep { $_->{habit} && any { $_ eq $rule } $_->{rule},
			    @{($self->rule_named($_->{rule}) // {})->{was} // []} } @keys;
			next if !$k || $self->familiar($k, $now);
		}
		return ([@$lock, $k]) if !$self->excepted($rule, $r);
		$passes{$id =~ /\Anetwork/ ? 'network' : 'login'} = 1;
	}
	return (undef, sort keys %passes);
}

sub lock_answer {
	my ($self, $now, $lock) = @_;
	my ($id, $of) = @$lock;
	my $rule = $self->rule_named($of->[1]);
	my $action = $rule && $rule->{lock} && $rule->{lock}{action} // $self->{s}{block_action};
	my %fill = (id => $id =~ s/\A\w+://r, rule => $rule ? $rule->{name} : '',
	    retry_after => $of->[0] - $now, limit => 0, period => 0, used => 0);

	return $action =~ s/\{(\w+)\}/$fill{$1}/gr;
}

# The keys under which mail is counted that passes: at most 10 an hour.
sub passing {
	my ($self, $r, @words) = @_;
	my $prefix = sub { my ($rule, $bits) = @_; return $rule->{$bits == 32 ? 'ipv4_prefix' :
	    'ipv6_prefix'} // $self->{s}{$bits == 32 ? 'ipv4_prefix' : 'ipv6_prefix'} };
	my @keys;

	for my $word (@words) {
		my $id = 'login:' . ($self->identity('sasl_username', $r) // '');
		if ($word eq 'network') {
			my $bytes = address($r->{client_address});
			my $shortest = min map { $prefix->($_, 8 * length $bytes) } grep {
			    $self->excepted($_->{name}, $r) && ($self->lock_kind($_) // '') eq 'network' }
			    @{$self->{s}{rules}};
			$id = 'network:' . address_text(masked($bytes, $shortest)) . "/$shortest";
		}
		push @keys, { id => "lock/$id", value => $id, rule => '', n => 1, report => 0,
		    limits => [[10, 3600]], count => 'recipients', action => 'reject' };
	}
	return @keys;
}

sub lock_kind {
	my ($self, $rule) = @_;
	my @key = ref $rule->{key} ? @{$rule->{key}} : $rule->{key};

	return !$rule->{lock} ? undef : (any { $_ eq 'sasl_username' } @key) ? 'login' : 'network';
}

# Whether what was charged since then is a hit too.
sub still_hits {
	my ($self, $now, $k, $over, $since, $r) = @_;

	if ($over->{seconds} == 0) {
		my @rows = grep { $_->{instance} ne '' && $_->{instance} eq ($r->{instance} // '') }
		    map { @{$self->{rows}{$_} // []} } ids($k);
		return !@rows || $self->charged($k, $r) == 0 || max(map { $_->{date} } @rows) >= $since;
	}
	my $seconds = min $over->{seconds}, $now - $since;
	my $used = $seconds < 0 ? 0 : $self->used($k, $now, $seconds);
	return $used + (defined $k->{seen} ? 1 : $k->{new}) + ($over->{external} // 0) >
	    $over->{mails};
}

# What the hits of a request lock, [key, over] each.
sub lock_hits {
	my ($self, $now, $r, @hits) = @_;
	my %made;

	for (@hits) {
		my ($k, $over) = @$_;
		my $id = $k->{lock_id} // next;
		next if ($self->{lock}{$id} // [0])->[0] > $now;
		my $last = $self->{locked}{$id};
		$last = undef if $last && ($last->[0] <= $now || $last->[2] > $now + 1);
		next if $last && !$self->still_hits($now, $k, $over, $last->[2], $r);
		next if $k->{shadow};
		my $recent = grep { $_->[1] eq $k->{rule} && $_->[3] <= $now && $_->[3] > $now - 600 }
		    values %{$self->{locked}};
		next if $recent >= 100;
		my $for = $last && $now - $last->[2] <= 30 * DAY ? $k->{lock}{again} // $k->{lock}{for} :
		    $k->{lock}{for};
		my $until = $now + $for;
		$self->{lock}{$id} = [$until, $k->{rule}, $now];
		$self->{locked}{$id} = [$until + max(30 * DAY, map { $_->[1] } @{$k->{limits}}),
		    $k->{rule}, $until, $now];
		$self->{hit}{"limit_lock $k->{id} $over->{seconds}"}++
		    if $self->{s}{report} && $k->{report};
	}
}

# policyctl unblock: the locks of the same name end too.
sub unlock {
	my ($self, $now, $name) = @_;
	my $there = 0;

	for my $id ($name, $name =~ s/\Alogin:/unfamiliar:/r) {
		my $lock = $self->{lock}{$id} // next;
		next if $lock->[0] <= $now;
		delete $self->{lock}{$id};
		$self->{locked}{$id}[2] = $now + 1 if $self->{locked}{$id};
		$there = 1;
	}
	return $there;
}

# --- new recipients ---

sub day_end { return $_[0] - $_[0] % DAY + DAY }

# A pair is [first, last]: accepted of late, by days.
sub known {
	my ($rule, $pair, $now) = @_;

	return $pair && $pair->[0] <= $now + DAY &&
	    day_end($pair->[1]) > $now - ($rule->{learn} // 90 * DAY);
}

sub familiar {
	my ($self, $k, $now) = @_;
	my $rule = $k->{habit};
	my $pair = defined $rule->{network} ? $self->{pair}{"$k->{id} from $rule->{network}"} : undef;

	return $rule->{unfamiliar} && known($rule, $pair, $now) &&
	    $now - $pair->[0] >= $rule->{unfamiliar};
}

sub learning {
	my ($self, $k, $now) = @_;

	return $now - ($self->{rule_first}{$k->{rule}} // $now) < 14 * DAY;
}

# Of a rule's amount: what is new. `asked` recipients of the mail were charged at RCPT.
sub strange {
	my ($self, $k, $r, $now, $tag) = @_;
	my $rule = $k->{habit};
	my $n = $k->{n};

	return 0 if $tag ne '' && $self->charged($k, $r, $tag) > 0 && $self->{s}{count_mode} ne '0';
	$n -= max $self->charged($k, $r), $self->{asked}{"$k->{id} $r->{instance}"} // 0
	    if $tag eq '' && ($r->{instance} // '') ne '';
	return 0 if $n <= 0 || $self->familiar($k, $now);
	return $n if !defined $rule->{recipient};
	return known($rule, $self->{pair}{"$k->{id} to $rule->{recipient}"}, $now) ? 0 : 1;
}

sub restart_network {
	my ($self, $k, $now) = @_;
	my $rule = $k->{habit};
	my $pair = defined $rule->{network} && $rule->{unfamiliar} ?
	    $self->{pair}{"$k->{id} from $rule->{network}"} : undef;

	$pair->[0] = max $pair->[0], day_end($now) if known($rule, $pair, $now);
}

# After a request: what its rules learn of it.
sub learn {
	my ($self, $now, $r, $tag, $accepted, $refused, @keys) = @_;

	for my $k (grep { $_->{habit} } @keys) {
		my $rule = $k->{habit};
		my $learning = $self->learning($k, $now);
		$self->{rule_first}{$k->{rule}} //= $now;
		for my $name ($accepted && defined $rule->{recipient} ? (
		    defined $rule->{network} && $rule->{unfamiliar} ? "from $rule->{network}" : (),
		    "to $rule->{recipient}") : ()) {
			my $pair = \$self->{pair}{"$k->{id} $name"};
			$$pair = [$now, $now] if !known($rule, $$pair, $now);
			$$pair->[1] = $now if day_end($now) != day_end($$pair->[1]);
		}
		$self->{asked}{"$k->{id} $r->{instance}"}++ if $accepted && $tag ne '';
		$self->restart_network($k, $now) if !$learning && grep { $_ == $k } @$refused;
	}
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

	return if $k->{learning} || !$over->{new} || $k->{outside} || !$self->{s}{report} || !$k->{report} ||
	    !any { $_ == $over->{seconds} } 0, @{$self->{s}{report_limits}};
	# One for each mail.
	return if $k->{habit} && ($k->{instance} // '') ne '' &&
	    $self->{told}{"$k->{id} $k->{instance}"}++;
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
	my ($lock, @passes) = $self->closed($now, $r, @keys);
	if ($lock) {
		$self->restart_network($lock->[2], $now) if $lock->[2];
		return $self->lock_answer($now, $lock);
	}
	return $self->pass($now, $r, $tag, @passes) if @passes;
	return $s->{success_action} if !@keys;
	$self->amounts($now, $r, $tag, $each, @keys);
	my ($answer, $refused, @hits, @over);
	for my $k (@keys) {
		for my $over (grep { defined } $self->too_many($k, $r), $self->over($k, $now)) {
			push @hits, [$k, $over];
			push @over, $k;
			if ($k->{shadow} || $k->{soft} && $over->{seconds} > 0) {
				$answer //= $self->answer($now, $k, $over, $r, @keys)
				    if !$k->{shadow};
				next;
			}
			$refused = 1;
			$answer = $self->answer($now, $k, $over, $r, @keys);
			last;
		}
		last if $refused;
	}
	# What Postfix does not take after all is no hit.
	@hits = grep { $_->[0]{shadow} || !$_->[0]{soft} || $_->[1]{seconds} == 0 } @hits if $refused;
	$self->take_back($r, @keys) if $refused && $each && $hits[-1][1]{seconds} > 0;
	if (!$refused) {
		$self->record($now, $_, $r, $tag) for @keys;
	}
	$self->learn($now, $r, $tag, !$refused && !defined $answer, \@over, @keys);
	$self->lock_hits($now, $r, grep { $_->[1]{new} && !$_->[0]{outside} && !$_->[0]{learning} } @hits);
	$self->count_hit(@$_) for @hits;
	if ($refused && !$self->exempt($r)) {
		my ($still, @now) = $self->closed($now, $r, @keys);
		my $passed = !$still && @now ? $self->pass($now, $r, $tag, @now) : '';
		$answer = $passed if $passed eq $s->{success_action};
	}
	return $answer // $s->{success_action};
}

# How much of each amount is new.
sub amounts {
	my ($self, $now, $r, $tag, $each, @keys) = @_;

	for my $k (@keys) {
		$k->{soft} = soft($k->{action});
		$k->{instance} = $r->{instance};
		my $one = $k->{count} ne 'messages';
		if ($k->{habit}) {
			# It refuses nothing yet, and is not reported.
			$k->{learning} = $self->learning($k, $now);
			$k->{shadow} = 1 if $k->{learning};
			$k->{new} = $self->strange($k, $r, $now, $tag);
			next;
		}
		# Of what others count a mail needs room for one more.
		$k->{outside} = $k->{count} eq 'external';
		$k->{new} = $k->{outside} ? 1 : defined $k->{seen} || $each && $one ? $k->{n} : $tag ne '' && $one ?
		    ($self->charged($k, $r, $tag) > 0 ? 0 : $k->{n}) :
		    max(0, $k->{n} - $self->charged($k, $r));
	}
}

# Mail that passes a lock, or may no longer.
sub pass {
	my ($self, $now, $r, $tag, @words) = @_;
	my @keys = $self->passing($r, @words);

	$self->amounts($now, $r, $tag, $self->{s}{count_mode} eq '0' && stage($r) eq 'RCPT', @keys);
	if (grep { $self->over($_, $now) } @keys) {
		return $self->lock_answer($now, ($self->locks($now, $r))[0]);
	}
	$self->record($now, $_, $r, $tag) for @keys;
	return $self->{s}{success_action};
}

# policyctl charge: an instance counts once for an id; what reaches a limit is a hit.
sub charge {
	my ($self, $now, $rule, $value, $n, $instance, $word) = @_;
	my $id = "$rule->{name}:$value";
	my @hits;
	my $k = { id => $id, was => [map { "$_:$value" } @{$rule->{was} // []}],
	    report => $rule->{report} // 1, rule => $rule->{name}, shadow => $rule->{shadow},
	    lock => $rule->{lock}, limits => $self->limits($rule, $value, $rule->{key}),
	    lock_id => $rule->{lock} && "login:$word" };

	return 0 if $instance ne '' && grep { exists $self->{outside}{$_}{$instance} } ids($k);
	$self->{outside}{$id}{$instance} = $now if $instance ne '';
	my $granted = first { $_ > 0 } map { $self->granted($_, $now) } ids($k);
	for my $limit (@{$self->limits($rule, $value, $rule->{key})}) {
		my $used = $self->used($k, $now, $limit->[1]);
		my $mails = $limit->[0] + ($granted // 0);
		push @hits, [$k, { new => 1, seconds => $limit->[1], mails => $mails, external => 1 }]
		    if $used < $mails && $used + $n >= $mails;
	}
	$k->{new} = $n;
	$self->lock_hits($now, {}, @hits);
	$self->count_hit(@$_) for @hits;
	push @{$self->{rows}{$id}}, { date => $now, n => $n, tag => '', instance => '' };
	return $n;
}

# count_mode 0: a refusal takes back what the mail was charged.
sub take_back {
	my ($self, $r, @keys) = @_;

	return if ($r->{instance} // '') eq '';
	for my $k (grep { !$_->{habit} } @keys) {
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

# The longest window of any limit, and of mail that passes a lock.
sub longest {
	my ($self) = @_;

	return max 0, map({ $_->{lock} && $_->{lock}{except_recipients} ? 3600 : 0 }
	    @{$self->{s}{rules} // []}), map { my $of = $_; map { $_->[1] } map { @$_ } $of->{limits} // [],
	    values %{$of->{limits_by_id} // {}} } $self->{s}{rules} ? @{$self->{s}{rules}} :
	    $self->{s};
}

sub clean {
	my ($self, $now) = @_;
	my $first = $now - 2 * $self->longest;

	$self->forget_ended($now - DAY);
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
