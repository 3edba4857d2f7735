package Database;

# A PostgreSQL or MariaDB of its own: in a directory of its own, on a UNIX socket and a
# loopback port, as an unprivileged user, stopped at the end.
#
#	my $db = Database->start('pgsql');
#	my $d = Policyd->start(config => { $db->config });
#	my @rows = $db->sql('SELECT id FROM mail_count');
#
# Everything keeps the server's own defaults, durability included.

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use POSIX qw(:sys_wait_h);

use Policyd qw(wait_until need have_command free_port slurp spew as_root);

my %kinds = (
	pgsql => { name => 'PostgreSQL', programs => [qw(initdb postgres psql)],
	    init => \&pgsql_init, command => \&pgsql_command, stop => 'INT',
	    client => \&pgsql_client },
	mysql => { name => 'MariaDB', programs => [qw(mariadb-install-db mariadbd mariadb)],
	    init => \&mysql_init, command => \&mysql_command, stop => 'TERM',
	    client => \&mysql_client },
);

my $user = 'policyd';
my $password = 'pass word\'s "quotes"';
my @started;
my $owner = $$;

# Debian has PostgreSQL's server outside of PATH, by version.
sub program {
	my ($name) = @_;
	my ($newest) = sort { ($b =~ /(\d+)/)[0] <=> ($a =~ /(\d+)/)[0] }
	    glob("/usr/lib/postgresql/*/bin/$name");

	return have_command($name) // $newest;
}

# Of the user that the tests have.
sub password { return $password }

# What a test with this database begins with.
sub needed {
	my ($class, $kind) = @_;
	my $k = $kinds{$kind} // croak "no database $kind";

	need(program($_), "$_ ($k->{name}) is not installed") for @{$k->{programs}};
}

# options: dir, where to make its directory; args, more of the server's own; small, for a
# file system that is
sub start {
	my ($class, $kind, %option) = @_;
	my $self = bless { kind => $kind, args => [], %{$kinds{$kind}}, %option }, $class;

	needed($class, $kind);
	$self->{dir} = abs_path(tempdir("$kind-XXXXXXXX",
	    $option{dir} ? (DIR => $option{dir}) : (TMPDIR => 1)));
	keep_track($class, $self);
	chmod 0755, $self->{dir};
	$self->{port} = free_port();
	if (as_root()) {
		($self->{uid}, $self->{gid}) = Policyd::nobody();
		chown $self->{uid}, $self->{gid}, $self->{dir};
	}
	$self->{init}->($self);
	$self->launch;
	return $self;
}

# A process as the server's user, its output in the log.
sub spawn {
	my ($self, @command) = @_;

	defined(my $pid = fork) or croak "fork: $!";
	return $pid if $pid != 0;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>>', "$self->{dir}/log";
	open STDERR, '>&', \*STDOUT;
	chdir $self->{dir};
	if (defined $self->{uid}) {
		$) = "$self->{gid} $self->{gid}";
		POSIX::setgid($self->{gid});
		POSIX::setuid($self->{uid});
	}
	$ENV{HOME} = $self->{dir};
	$ENV{LC_ALL} = 'C';
	# Debian's pg_basebackup is in Perl, and that user may not read our libraries.
	delete $ENV{PERL5LIB};
	{ no warnings 'exec'; exec { $command[0] } @command; }
	POSIX::_exit(127);
}

sub run {
	my ($self, @command) = @_;
	my $pid = $self->spawn(@command);

	waitpid $pid, 0;
	$self->failed($command[0]) if $? != 0;
}

sub failed {
	my ($self, $what) = @_;

	Test::More::diag(slurp("$self->{dir}/log")) if defined &Test::More::diag;
	croak "$self->{name}: $what failed";
}

# Starts the server; also again, after a stop.
sub launch {
	my ($self) = @_;

	$self->{pid} = $self->spawn($self->{command}->($self));
	wait_until { !$self->running || $self->answers } 60;
	$self->failed('the start') if !$self->running;
	return $self;
}

# This one ends with the process, as all others do.
sub keep_track { push @started, $_[1] }

# Those that were started in this process.
sub all { return @started }

sub running {
	my ($self) = @_;

	return 0 if !$self->{pid};
	return 1 if waitpid($self->{pid}, WNOHANG) != $self->{pid};
	delete $self->{pid};
	return 0;
}

sub answers {
	my ($self) = @_;

	return eval { $self->sql('SELECT 1'); 1 };
}

sub signal { return kill $_[1], $_[0]{pid} }

sub stop {
	my ($self, $signal) = @_;

	return if !$self->running;
	kill 'CONT', $self->{pid};
	kill $signal // $self->{stop}, $self->{pid};
	return if wait_until { !$self->running };
	kill 'KILL', $self->{pid};
	wait_until { !$self->running };
}

# Rows as lists of columns; croaks when the statement fails.
sub sql {
	my ($self, $query) = @_;

	defined(my $pid = open my $fh, '-|') or croak "fork: $!";
	if ($pid == 0) {
		open STDERR, '>>', "$self->{dir}/log";
		$ENV{PGPASSWORD} = $ENV{MYSQL_PWD} = $password;
		{ no warnings 'exec'; exec $self->{client}->($self, $query); }
		POSIX::_exit(127);
	}
	my @rows = map { chomp; [split /\t/, $_, -1] } <$fh>;
	close $fh or croak "$self->{name}: $query: status $?";
	return @rows;
}

sub last_line {
	my ($file) = @_;

	return (split /\n/, slurp($file))[-1] // 'its client printed no error';
}

# A transaction of somebody else: the query was run in it by the client, a command that
# reads statements, and it goes on until the sub that is returned is called, which rolls it
# back or does what it is told.
sub hold {
	my ($begin, $query, $log, @client) = @_;

	pipe(my $from, my $to) or croak "pipe: $!";
	pipe(my $said, my $say) or croak "pipe: $!";
	defined(my $pid = fork) or croak "fork: $!";
	if ($pid == 0) {
		open STDIN, '<&', $from;
		open STDOUT, '>&', $say;
		open STDERR, '>>', $log;
		close $_ for $to, $said;
		$ENV{PGPASSWORD} = $ENV{MYSQL_PWD} = $password;
		{ no warnings 'exec'; exec @client; }
		POSIX::_exit(127);
	}
	close $_ for $from, $say;
	$to->autoflush(1);
	print $to "$begin;\n$query;\nSELECT 'held';\n";
	my $line = '';
	$line = <$said> // croak "$query: nothing is held: " . last_line($log)
	    until $line eq "held\n";
	return sub {
		my ($end) = @_;
		print $to $end // 'ROLLBACK', ";\n";
		close $to;
		waitpid $pid, 0;
	};
}

# The same in this server.
sub holding {
	my ($self, $query) = @_;

	# Without the query as an argument it is read from standard input.
	my @client = $self->{client}->($self, '');
	splice @client, -2;
	push @client, '--unbuffered' if $self->{kind} eq 'mysql';
	return hold('BEGIN', $query, "$self->{dir}/log", @client);
}

# PostgreSQL reads its files again. Its postmaster does so some time after the statement;
# each new session tells when it has.
sub reload_conf {
	my ($self) = @_;
	my $loaded = sub { ($self->sql('SELECT pg_conf_load_time()'))[0][0] };
	my $before = $loaded->();

	$self->sql('SELECT pg_reload_conf()');
	wait_until { $loaded->() ne $before } or $self->failed('the reload');
}

# Ends the connections of the daemons that come as this user.
sub end_sessions {
	my ($self, $of) = @_;

	if ($self->{kind} eq 'pgsql') {
		$self->sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity ' .
		    "WHERE application_name = 'policyd-rate-limit'");
		return;
	}
	# One whose client is gone may have gone meanwhile.
	eval { $self->sql("KILL $_->[0]") } for $self->sql('SELECT id FROM ' .
	    "information_schema.processlist WHERE user = '$of' AND id <> connection_id()");
}

# The same in another database.
sub sql_in {
	my ($self, $database, $query) = @_;

	local $self->{database} = $database;
	return $self->sql($query);
}

# Statements from a file, each committed by itself.
sub sql_file {
	my ($self, $database, $file) = @_;

	local $self->{database} = $database;
	defined(my $pid = fork) or croak "fork: $!";
	if ($pid == 0) {
		open STDIN, '<', $file;
		open STDOUT, '>', '/dev/null';
		open STDERR, '>>', "$self->{dir}/log";
		$ENV{PGPASSWORD} = $ENV{MYSQL_PWD} = $password;
		# Without the query as an argument it is read from standard input.
		my @command = $self->{client}->($self, '');
		splice @command, -2;
		{ no warnings 'exec'; exec @command; }
		POSIX::_exit(127);
	}
	waitpid $pid, 0;
	croak "$self->{name}: $file: status $?" if $? != 0;
}

# Transactions that the server has committed in a database, or in all of them where it
# does not tell databases apart.
sub commits {
	my ($self, $database) = @_;

	return ($self->sql("SELECT xact_commit FROM pg_stat_database WHERE datname = " .
	    "'$database'"))[0][0] if $self->{kind} eq 'pgsql';
	return ($self->sql("SHOW GLOBAL STATUS LIKE 'Com_commit'"))[0][1];
}

sub recorded {
	my ($self, $id) = @_;

	(my $quoted = $id) =~ s/'/''/g;
	return ($self->sql('SELECT COALESCE(SUM(recipient_count), 0) FROM mail_count' .
	    " WHERE id = '$quoted'"))[0][0];
}

# Rows that other programs inserted and no daemon has taken in.
sub foreign {
	my ($self) = @_;

	return ($self->sql('SELECT count(*) FROM mail_count WHERE ' .
	    ($self->{kind} eq 'pgsql' ? 'seq IS NULL' : 'own = 0')))[0][0];
}

# The settings of the daemon for this database; `more` goes into its dictionary.
sub config {
	my ($self, %more) = @_;

	return (backend => $self->{kind}, "$self->{kind}_config" =>
	    $self->{kind} eq 'pgsql' ?
	    { host => '127.0.0.1', port => $self->{port}, user => $user,
	    password => $password, database => 'policyd', %more } :
	    { host => '127.0.0.1', port => $self->{port}, user => $user,
	    passwd => $password, db => 'policyd', charset => 'utf8mb4', %more });
}

# A file that only the server may read, such as a key; its name.
sub keep {
	my ($self, $name, $text) = @_;
	my $file = "$self->{dir}/$name";

	spew($file, $text, 0600);
	chown $self->{uid}, $self->{gid}, $file if defined $self->{uid};
	return $file;
}

# --- PostgreSQL ---

sub pgsql_init {
	my ($self) = @_;
	my $file = $self->keep('password', "$password\n");

	$self->run(program('initdb'), '-D', "$self->{dir}/data", '-U', $user,
	    '-A', 'scram-sha-256', "--pwfile=$file", '-E', 'UTF8', '--locale=C', '-N',
	    $self->{small} ? '--wal-segsize=1' : ());
	$self->{pid} = $self->spawn(pgsql_command($self));
	wait_until { !$self->running || eval {
	    $self->sql_in('postgres', 'CREATE DATABASE policyd'); 1 } } 60;
	$self->failed('the first start') if !$self->running;
	$self->stop;
}

sub pgsql_command {
	my ($self) = @_;

	return (program('postgres'), '-D', "$self->{dir}/data", '-k', $self->{dir},
	    '-h', '127.0.0.1', '-p', $self->{port},
	    $self->{small} ? qw(-c min_wal_size=2MB -c max_wal_size=8MB) : (),
	    @{$self->{args}});
}

sub pgsql_client {
	my ($self, $query) = @_;

	return (program('psql'), '-X', '-q', '-A', '-t', '-F', "\t", '-v',
	    'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-p', $self->{port}, '-U', $user,
	    '-d', $self->{database} // 'policyd', '-c', $query);
}

# --- MariaDB ---

sub mysql_init {
	my ($self) = @_;

	$self->run(program('mariadb-install-db'), '--no-defaults',
	    "--datadir=$self->{dir}/data", "--tmpdir=$self->{dir}",
	    '--auth-root-authentication-method=normal',
	    '--skip-test-db', $self->{small} ? '--innodb-log-file-size=8M' : ());
	(my $quoted = $password) =~ s/'/''/g;
	spew("$self->{dir}/init.sql", "CREATE DATABASE IF NOT EXISTS policyd;\n" .
	    join('', map { "CREATE USER IF NOT EXISTS '$user'\@'$_' IDENTIFIED BY " .
	    "'$quoted';\nGRANT ALL ON *.* TO '$user'\@'$_' WITH GRANT OPTION;\n" } qw(localhost 127.0.0.1)),
	    0644);
}

sub mysql_command {
	my ($self) = @_;

	return (program('mariadbd'), '--no-defaults', "--datadir=$self->{dir}/data",
	    "--tmpdir=$self->{dir}",
	    "--socket=$self->{dir}/socket", "--pid-file=$self->{dir}/pid",
	    '--bind-address=127.0.0.1', "--port=$self->{port}",
	    "--init-file=$self->{dir}/init.sql",
	    $self->{small} ? '--innodb-log-file-size=8M' : (), @{$self->{args}});
}

sub mysql_client {
	my ($self, $query) = @_;

	return (program('mariadb'), '--no-defaults', '--default-character-set=utf8mb4',
	    '-S', "$self->{dir}/socket",
	    '-u', $user, '-N', '-B', '-D', $self->{database} // 'policyd', '-e', $query);
}

END {
	my $status = $?;
	if ($$ == $owner) {
		$_->stop for @started;
		remove_tree(map { $_->{dir} } @started) if !$ENV{POLICYD_KEEP};
	}
	$? = $status;
}

1;
