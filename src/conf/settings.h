#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/fault.h"
#include "conf/value.h"
#include "lib/addr.h"
#include "lib/map.h"
#include "lib/window.h"

/*
 * The settings of policyd-rate-limit.conf(5). table.c has the table that names
 * each setting, with its type, default, bounds, reader, and the roles that
 * receive it.
 */
enum backend {
	BACKEND_SQLITE,
	BACKEND_MYSQL,
	BACKEND_PGSQL,
	BACKEND__MAX
};

enum count_mode {
	COUNT_RCPT,		/* 0, as 1.x */
	COUNT_RECIPIENTS,	/* 1 */
	COUNT_MESSAGES,		/* 2 */
	COUNT_AUTO
};

enum smtp_tls {
	SMTP_TLS_NONE,
	SMTP_TLS_STARTTLS,
	SMTP_TLS_TLS
};

enum log_where {
	LOG_WHERE_AUTO,		/* stderr with `debug`, else syslog */
	LOG_WHERE_STDERR,
	LOG_WHERE_SYSLOG
};

struct settings_socket {
	char	*path;			/* UNIX socket; NULL: TCP */
	char	*host;			/* address of a TCP socket */
	uint16_t port;
};

struct settings_strings {
	size_t	 count;
	char	**list;
};

struct settings_networks {
	size_t		 count;
	struct network	*list;
};

/* ids.h: found by exact id, "@domain", or the longest CIDR network. */
struct ids;

enum rule_attribute {		/* attributes in a rule's key */
	KEY_SASL_USERNAME,
	KEY_SASL_DOMAIN,
	KEY_SENDER,
	KEY_SENDER_DOMAIN,
	KEY_CLIENT_ADDRESS,
	KEY_RECIPIENT,
	KEY_RECIPIENT_DOMAIN,
	KEY_HELO_NAME,
	KEY_CLIENT_NAME,
	KEY_POLICY_CONTEXT,
	KEY_SERVER_PORT,
	KEY_CCERT_FINGERPRINT,
	KEY_SERVER,
	KEY__MAX
};

enum rule_count {
	RULE_RECIPIENTS,
	RULE_MESSAGES,
	RULE_BYTES,
	RULE_ADDRESSES,
	RULE_DISTINCT_RECIPIENTS,
	RULE_SENDERS,
	RULE_NEW_RECIPIENTS,
	RULE_EXTERNAL,		/* policyctl charge alone adds */
	RULE_COUNT__MAX
};

#define RULE_KEY_MAX	4		/* most attributes in one key */
#define RULES_MAX	32
#define RULE_WAS_MAX	4		/* most earlier names of a rule */

#define SETTINGS_MAX	64	/* rows that the table may have */

/* `only` or `except`: a list of values for each attribute. */
struct settings_match {
	size_t	count;
	struct {
		enum rule_attribute	 attr;
		struct ids		*ids;
	}	list[KEY__MAX];
};

/* The field `lock` of a rule. */
struct settings_lock {
	int64_t		 seconds;	/* `for`; 0: no lock */
	int64_t		 again;		/* if it was locked before */
	char		*action;	/* NULL: block_action */
	struct ids	*except;	/* recipients; NULL: none */
};

struct settings_rule {
	char			*name;
	char			*was[RULE_WAS_MAX];	/* earlier names */
	size_t			 nwas;
	enum rule_attribute	 key[RULE_KEY_MAX];
	size_t			 nkey;
	char			*id_sql;	/* NULL: none */
	struct limits		 limits;
	struct ids *limits_by_id;
	char			*sql_limits_by_id;	/* NULL: none */
	enum rule_count		 count;
	struct settings_match	 only;
	struct settings_match	 except;
	bool			 at_rcpt;	/* uses the recipient */
	unsigned int		 ipv4_prefix;	/* the rule's, or the setting */
	unsigned int		 ipv6_prefix;
	struct settings_networks networks;
	int			 unless;	/* enum rule_attribute, or -1 */
	int64_t			 max_per_mail;	/* 0: any number */
	/* RULE_NEW_RECIPIENTS, in seconds. */
	int64_t			 unfamiliar;	/* 0: every network is */
	int64_t			 learn;
	char			*action;	/* NULL: fail_action */
	struct settings_lock	 lock;
	unsigned int		 warn_at;	/* per cent, 0: never */
	bool			 shadow;
	bool			 report;
};

struct settings {
	bool			 debug;
	enum log_where		 log;
	char			*user;
	char			*group;
	char			*pidfile;		/* NULL: none */
	enum backend		 backend;
	/*
	 * Dicts as written, with secrets; sqlite_config always has a database.
	 */
	struct value		*sqlite_config;
	struct value		*mysql_config;
	struct value		*pgsql_config;
	struct settings_socket	*sockets;
	size_t			 nsockets;
	unsigned int		 socket_permission;
	struct limits		 limits;
	struct ids *limits_by_id;
	char			*sql_limits_by_id;	/* "": none */
	bool			 limit_by_sasl;
	bool			 limit_by_sender;
	bool			 limit_by_ip;
	struct settings_networks limited_networks;
	char			*success_action;
	char			*fail_action;
	char			*block_action;
	char			*never_action;		/* NULL: fail_action */
	char			*db_error_action;
	bool			 report;
	char			*report_from;		/* NULL: by host name */
	struct settings_strings	 report_to;
	char			*report_subject;
	int64_t			*report_limits;
	size_t			 nreport_limits;
	bool			 report_only_if_needed;
	char			*smtp_host;
	uint16_t		 smtp_port;
	char			*smtp_user;		/* NULL: no AUTH */
	char			*smtp_password;
	enum smtp_tls		 smtp_tls;		/* and smtp_starttls */
	bool			 smtp_tls_verify;
	char			*smtp_tls_cafile;	/* NULL: the system's */
	unsigned int		 delay_to_close;	/* seconds */
	enum count_mode		 count_mode;
	char			*config_file;		/* "": defaults */
	bool			 fold_case;
	char			*recipient_delimiter;	/* a set; "": none */
	char			*default_domain;	/* "": none */
	struct ids		*exempt;
	unsigned int		 ipv4_prefix;
	unsigned int		 ipv6_prefix;
	char			*socket_user;		/* NULL: as it is */
	char			*socket_group;
	struct settings_networks allowed_clients;
	char			*control_socket;	/* NULL: none */
	char			*control_group;		/* NULL: as it is */
	char			*operator_group;	/* NULL: no socket */
	bool			 db_insecure_auth;
	bool			 sandbox_required;
	int64_t			 db_timeout;		/* milliseconds */
	bool			 report_immediately;
	char			*report_user;		/* NULL: nobody */
	struct settings_strings	 report_user_domains;
	int64_t			 clean_interval;	/* seconds, 0: none */
	int64_t			 history;		/* days, 0: none */
	struct settings_rule	*rules;
	size_t			 nrules;
	int64_t			 memory_limit;		/* bytes */
	/*
	 * The values, given or default, by table row; they own the dicts above.
	 * In a child only those dicts remain: the other values are freed after
	 * they are read.
	 */
	struct value		*values[SETTINGS_MAX];
	uint64_t		 given;			/* a bit for each row */
};

/*
 * Added to the path of control_socket, it makes the path of the socket of
 * operator_group.
 */
#define SETTINGS_OPERATOR	".operator"

struct settings	*settings_new(void);		/* all defaults */
void		 settings_free(struct settings *);	/* wipes secrets */

/*
 * Wipes all strings in the values of the dicts for connecting, which include
 * the passwords; call it once connected.
 */
void		 settings_wipe_connections(struct settings *);

/*
 * Reads a tree of names and values over the defaults: checks types, ranges,
 * unknown names (with the nearest known one) and settings that exclude each
 * other. Adds every fault; if an error was added, the result is incomplete.
 * config_file becomes faults->file. Takes the dict and frees it.
 */
struct settings	*settings_adopt(struct value *dict, struct faults *);

/*
 * The value of a setting; `a.b` is item b of the dict a. NULL: there is none of
 * that name. The settings own the value.
 */
const struct value	*settings_lookup(const struct settings *,
			    const char *name);

/*
 * The limits of an id in limits_by_id, or NULL. The id is in its counted form:
 * folded if fold_case is on; an address, or the network that it counts as.
 */
const struct limits	*settings_id_limits(const struct ids *,
			    const char *id, size_t idlen);

/*
 * The limits of an id under a rule, by its index: those of the rule's
 * limits_by_id, or else its `limits`. The id is without the rule's name.
 */
const struct limits	*settings_rule_limits(const struct settings *,
			    size_t rule, const char *id, size_t idlen);

/* Bit i is set if hits of window i are reported (report_limits). */
uint32_t		 settings_reported(const struct settings *,
			    const struct limits *);

/*
 * The longest period in seconds for which rows are counted: the longest window
 * of any setting, but at least an hour if a lock has except_recipients.
 * Cleaning must keep the rows of this period.
 */
int64_t		 settings_longest_window(const struct settings *);

/*
 * The prefix length by which an address of 32 or 128 bits is counted; `rule` is
 * NULL if there are no rules.
 */
unsigned int	 settings_prefix(const struct settings *,
		    const struct settings_rule *, unsigned int bits);

/*
 * settings_conveyed: the value of a row of the table if a child must be sent it
 * (given, or a default that depends on the installation), else NULL.
 * settings_forget: in the child, frees all values but the dicts of the
 * connections.
 */
const struct value	*settings_conveyed(const struct settings *, size_t);
void			 settings_forget(struct settings *);

#endif
