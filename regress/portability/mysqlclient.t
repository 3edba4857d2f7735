#!/usr/bin/perl

# What is written for MySQL's own library compiles, with a header that declares what its
# C API documents: most systems have MariaDB's library alone, and what nobody compiles
# rots.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

use Policyd qw(need have_command spew $root);

my $make = have_command('make');
need($make && have_command($ENV{CC} // 'cc'), 'no make or no compiler');

my $dir = tempdir(TMPDIR => 1, CLEANUP => 1);
my $header = join '', <DATA>;

# Whether it compiles, and what the compiler says.
sub compile {
	my ($text) = @_;

	spew("$dir/mysql.h", $text, 0644);
	my $said = qx(cd '$root' && '$make' -s mysqlclient MYSQL_HEADERS='$dir' 2>&1);
	return ($? == 0, $said);
}

my ($good, $said) = compile($header);
ok($good, 'both files compile') or diag($said);
# It is that header, and that branch.
for my $name (qw(SSL_MODE_VERIFY_IDENTITY MYSQL_ENABLE_CLEARTEXT_PLUGIN
    MYSQL_OPT_GET_SERVER_PUBLIC_KEY MYSQL_OPT_SSL_MODE)) {
	(my $without = $header) =~ s/\b$name\b/OTHER_$name/ or die "$name?";
	($good, $said) = compile($without);
	ok(!$good, "not without $name");
	like($said, qr/\b$name\b/, 'which the compiler names');
}

done_testing;

__DATA__
#include <stdbool.h>
#include <stdint.h>

typedef struct { int fd; } NET;
struct st_mysql_options { char *password; };
typedef struct {
	NET net;
	char *passwd;
	unsigned int server_status;
	struct st_mysql_options options;
} MYSQL;
#define SERVER_STATUS_IN_TRANS	1
typedef struct mysql_res MYSQL_RES;
typedef struct mysql_stmt MYSQL_STMT;
typedef char **MYSQL_ROW;
enum enum_field_types { MYSQL_TYPE_LONGLONG = 8, MYSQL_TYPE_BLOB = 252,
    MYSQL_TYPE_STRING = 254 };
typedef struct {
	unsigned long *length;
	bool *is_null;
	void *buffer;
	unsigned long buffer_length;
	enum enum_field_types buffer_type;
} MYSQL_BIND;
enum mysql_option { MYSQL_OPT_CONNECT_TIMEOUT, MYSQL_OPT_COMPRESS, MYSQL_INIT_COMMAND,
    MYSQL_READ_DEFAULT_FILE, MYSQL_READ_DEFAULT_GROUP, MYSQL_SET_CHARSET_NAME,
    MYSQL_OPT_LOCAL_INFILE, MYSQL_OPT_READ_TIMEOUT, MYSQL_OPT_WRITE_TIMEOUT,
    MYSQL_DEFAULT_AUTH, MYSQL_OPT_SSL_KEY, MYSQL_OPT_SSL_CERT, MYSQL_OPT_SSL_CA,
    MYSQL_OPT_SSL_CAPATH, MYSQL_OPT_SSL_CIPHER, MYSQL_SERVER_PUBLIC_KEY,
    MYSQL_ENABLE_CLEARTEXT_PLUGIN, MYSQL_OPT_SSL_MODE, MYSQL_OPT_GET_SERVER_PUBLIC_KEY };
enum mysql_ssl_mode { SSL_MODE_DISABLED = 1, SSL_MODE_PREFERRED, SSL_MODE_REQUIRED,
    SSL_MODE_VERIFY_CA, SSL_MODE_VERIFY_IDENTITY };
#define CLIENT_FOUND_ROWS	2
#define MYSQL_NO_DATA		100
#define MYSQL_DATA_TRUNCATED	101

MYSQL		*mysql_init(MYSQL *);
int		 mysql_options(MYSQL *, enum mysql_option, const void *);
MYSQL		*mysql_real_connect(MYSQL *, const char *, const char *, const char *,
		    const char *, unsigned int, const char *, unsigned long);
void		 mysql_set_local_infile_handler(MYSQL *, int (*)(void **, const char *, void *),
		    int (*)(void *, char *, unsigned int), void (*)(void *),
		    int (*)(void *, char *, unsigned int), void *);
void		 mysql_close(MYSQL *);
unsigned int	 mysql_errno(MYSQL *);
const char	*mysql_error(MYSQL *);
int		 mysql_ping(MYSQL *);
int		 mysql_query(MYSQL *, const char *);
int		 mysql_send_query(MYSQL *, const char *, unsigned long);
bool		 mysql_read_query_result(MYSQL *);
MYSQL_RES	*mysql_store_result(MYSQL *);
MYSQL_ROW	 mysql_fetch_row(MYSQL_RES *);
void		 mysql_free_result(MYSQL_RES *);
bool		 mysql_commit(MYSQL *);
bool		 mysql_rollback(MYSQL *);
MYSQL_STMT	*mysql_stmt_init(MYSQL *);
int		 mysql_stmt_prepare(MYSQL_STMT *, const char *, unsigned long);
unsigned long	 mysql_stmt_param_count(MYSQL_STMT *);
unsigned int	 mysql_stmt_field_count(MYSQL_STMT *);
bool		 mysql_stmt_bind_param(MYSQL_STMT *, MYSQL_BIND *);
bool		 mysql_stmt_bind_result(MYSQL_STMT *, MYSQL_BIND *);
int		 mysql_stmt_execute(MYSQL_STMT *);
int		 mysql_stmt_store_result(MYSQL_STMT *);
int		 mysql_stmt_fetch(MYSQL_STMT *);
int		 mysql_stmt_fetch_column(MYSQL_STMT *, MYSQL_BIND *, unsigned int,
		    unsigned long);
int		 mysql_stmt_next_result(MYSQL_STMT *);
bool		 mysql_stmt_free_result(MYSQL_STMT *);
bool		 mysql_stmt_close(MYSQL_STMT *);
unsigned int	 mysql_stmt_errno(MYSQL_STMT *);
const char	*mysql_stmt_error(MYSQL_STMT *);
uint64_t	 mysql_stmt_affected_rows(MYSQL_STMT *);
uint64_t	 mysql_stmt_insert_id(MYSQL_STMT *);
