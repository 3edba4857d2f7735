#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/access.h"
#include "conf/check.h"
#include "conf/reader.h"
#include "lib/alloc.h"

/*
 * What Postfix accepts as the action of a policy server: a result of access(5),
 * or a restriction of smtpd(8). For any other word it answers "451 Server
 * configuration error" to every client.
 */
enum check_rest {
	REST_TEXT,		/* text, optional */
	REST_ADDRESS,		/* user@domain */
	REST_TRANSPORT,		/* transport:destination */
	REST_HEADER,		/* name: value */
	REST_WORDS,		/* words, required */
	REST_RESTRICTIONS	/* further restrictions, optional */
};

struct check_word {
	const char	*name;
	enum check_rest	 rest;
};

static const struct check_word	check_words[] = {
	{ "OK",			REST_RESTRICTIONS },
	{ "DUNNO",		REST_RESTRICTIONS },
	{ "REJECT",		REST_TEXT },
	{ "DEFER",		REST_TEXT },
	{ "DEFER_IF_PERMIT",	REST_TEXT },
	{ "DEFER_IF_REJECT",	REST_TEXT },
	{ "DISCARD",		REST_TEXT },
	{ "HOLD",		REST_TEXT },
	{ "INFO",		REST_TEXT },
	{ "WARN",		REST_TEXT },
	{ "BCC",		REST_ADDRESS },
	{ "REDIRECT",		REST_ADDRESS },
	{ "FILTER",		REST_TRANSPORT },
	{ "PREPEND",		REST_HEADER },
	{ "PERMIT",		REST_RESTRICTIONS },
	{ "permit_auth_destination",	REST_RESTRICTIONS },
	{ "permit_dnswl_client",	REST_WORDS },
	{ "permit_inet_interfaces",	REST_RESTRICTIONS },
	{ "permit_mx_backup",		REST_RESTRICTIONS },
	{ "permit_mynetworks",		REST_RESTRICTIONS },
	{ "permit_naked_ip_address",	REST_RESTRICTIONS },
	{ "permit_rhswl_client",	REST_WORDS },
	{ "permit_sasl_authenticated",	REST_RESTRICTIONS },
	{ "permit_tls_all_clientcerts",	REST_RESTRICTIONS },
	{ "permit_tls_clientcerts",	REST_RESTRICTIONS },
	{ "defer_unauth_destination",	REST_RESTRICTIONS },
	{ "warn_if_reject",		REST_WORDS },
	{ "sleep",			REST_WORDS },
	{ "check_ccert_access",		REST_WORDS },
	{ "check_client_a_access",	REST_WORDS },
	{ "check_client_access",	REST_WORDS },
	{ "check_client_mx_access",	REST_WORDS },
	{ "check_client_ns_access",	REST_WORDS },
	{ "check_etrn_access",		REST_WORDS },
	{ "check_helo_a_access",	REST_WORDS },
	{ "check_helo_access",		REST_WORDS },
	{ "check_helo_mx_access",	REST_WORDS },
	{ "check_helo_ns_access",	REST_WORDS },
	{ "check_policy_service",	REST_WORDS },
	{ "check_recipient_a_access",	REST_WORDS },
	{ "check_recipient_access",	REST_WORDS },
	{ "check_recipient_mx_access",	REST_WORDS },
	{ "check_recipient_ns_access",	REST_WORDS },
	{ "check_reverse_client_hostname_a_access",	REST_WORDS },
	{ "check_reverse_client_hostname_access",	REST_WORDS },
	{ "check_reverse_client_hostname_mx_access",	REST_WORDS },
	{ "check_reverse_client_hostname_ns_access",	REST_WORDS },
	{ "check_sasl_access",		REST_WORDS },
	{ "check_sender_a_access",	REST_WORDS },
	{ "check_sender_access",	REST_WORDS },
	{ "check_sender_mx_access",	REST_WORDS },
	{ "check_sender_ns_access",	REST_WORDS },
	{ "reject_authenticated_sender_login_mismatch",	REST_RESTRICTIONS },
	{ "reject_invalid_helo_hostname",	REST_RESTRICTIONS },
	{ "reject_known_sender_login_mismatch",	REST_RESTRICTIONS },
	{ "reject_multi_recipient_bounce",	REST_RESTRICTIONS },
	{ "reject_non_fqdn_helo_hostname",	REST_RESTRICTIONS },
	{ "reject_non_fqdn_recipient",		REST_RESTRICTIONS },
	{ "reject_non_fqdn_sender",		REST_RESTRICTIONS },
	{ "reject_plaintext_session",		REST_RESTRICTIONS },
	{ "reject_rbl_client",			REST_WORDS },
	{ "reject_rhsbl_client",		REST_WORDS },
	{ "reject_rhsbl_helo",			REST_WORDS },
	{ "reject_rhsbl_recipient",		REST_WORDS },
	{ "reject_rhsbl_reverse_client",	REST_WORDS },
	{ "reject_rhsbl_sender",		REST_WORDS },
	{ "reject_sender_login_mismatch",	REST_RESTRICTIONS },
	{ "reject_unauth_destination",		REST_RESTRICTIONS },
	{ "reject_unauth_pipelining",		REST_RESTRICTIONS },
	{ "reject_unauthenticated_sender_login_mismatch", REST_RESTRICTIONS },
	{ "reject_unknown_client_hostname",	REST_RESTRICTIONS },
	{ "reject_unknown_forward_client_hostname",	REST_RESTRICTIONS },
	{ "reject_unknown_helo_hostname",	REST_RESTRICTIONS },
	{ "reject_unknown_recipient_domain",	REST_RESTRICTIONS },
	{ "reject_unknown_reverse_client_hostname",	REST_RESTRICTIONS },
	{ "reject_unknown_sender_domain",	REST_RESTRICTIONS },
	{ "reject_unlisted_recipient",		REST_RESTRICTIONS },
	{ "reject_unlisted_sender",		REST_RESTRICTIONS },
	{ "reject_unverified_recipient",	REST_RESTRICTIONS },
	{ "reject_unverified_sender",		REST_RESTRICTIONS }
};

#define CHECK_WORDS	(sizeof(check_words) / sizeof(check_words[0]))

/*
 * Postfix truncates a line at 2048 bytes, and placeholders grow when they are
 * filled.
 */
#define CHECK_ACTION_MAX	1500

static const char *const	check_placeholders[] = {
	"id", "rule", "limit", "period", "used", "retry_after", NULL
};

/* 4yz and 5yz, alone or with a text. */
static bool
check_is_code(const char *word, size_t len)
{
	return len == 3 && (word[0] == '4' || word[0] == '5') &&
	    isdigit((unsigned char)word[1]) && isdigit((unsigned char)word[2]);
}

static const struct check_word *
check_find_word(const char *word, size_t len)
{
	size_t	i;

	for (i = 0; i < CHECK_WORDS; i++)
		if (strlen(check_words[i].name) == len &&
		    strncasecmp(check_words[i].name, word, len) == 0)
			return &check_words[i];
	return NULL;
}

/* What is missing after the word; NULL: nothing. */
static const char *
check_rest(enum check_rest kind, const char *rest)
{
	const char	*colon;

	switch (kind) {
	case REST_TEXT:
	case REST_RESTRICTIONS:
		return NULL;
	case REST_ADDRESS:
		return strchr(rest, '@') != NULL && strchr(rest, ' ') == NULL ?
		    NULL : "a mail address";
	case REST_TRANSPORT:
		colon = strchr(rest, ':');
		return colon != NULL ? NULL : "transport:destination";
	case REST_HEADER:
		colon = strchr(rest, ':');
		return colon != NULL && colon > rest &&
		    strcspn(rest, " \t") > (size_t)(colon - rest) ? NULL :
		    "a header, such as \"X-Rate: high\"";
	case REST_WORDS:
		return *rest != '\0' ? NULL : "what it is about";
	}
	return NULL;
}

static void
check_unknown_word(const char *name, const struct value *v, size_t len,
    struct faults *faults)
{
	struct reader_nearest	 nearest = { NULL, NULL, 0 };
	char			*word;
	size_t			 i;

	nearest.written = word = alloc_copy(v->bytes, len);
	for (i = 0; i < CHECK_WORDS; i++)
		reader_nearest(&nearest, check_words[i].name);
	if (nearest.name != NULL)
		fault_error(faults, v->line, v->column,
		    "%s begins with \"%s\", which is not an action of "
		    "access(5); did you mean \"%s\"?",
		    name, word, nearest.name);
	else
		fault_error(faults, v->line, v->column,
		    "%s begins with \"%s\", which is not an action of "
		    "access(5)",
		    name, word);
	free(word);
}

static void
check_placeholder(const char *name, const struct value *v, const char *word,
    enum check_filled filled, struct faults *faults)
{
	struct reader_nearest	nearest = { .written = word };
	size_t			i;

	for (i = 0; check_placeholders[i] != NULL; i++) {
		if (strcmp(check_placeholders[i], word) == 0) {
			if (filled == FILLED_NOT)
				fault_warning(faults, v->line, v->column,
				    "%s: {%s} is replaced in answers to a "
				    "limit only, and stays as it is here",
				    name, word);
			else if (filled != FILLED_LIMIT &&
			    strcmp(word, "id") != 0 &&
			    strcmp(word, "retry_after") != 0 &&
			    (filled == FILLED_BLOCK ||
			    strcmp(word, "rule") != 0))
				fault_warning(faults, v->line, v->column,
				    "%s: {%s} is empty here, since a %s", name,
				    word, filled == FILLED_BLOCK ? "block has "
				    "neither a limit nor a rule" :
				    "lock has no limit");
			return;
		}
		reader_nearest(&nearest, check_placeholders[i]);
	}
	if (nearest.name != NULL)
		fault_warning(faults, v->line, v->column, "%s: {%s} is not "
		    "a placeholder and stays as it is; did you mean {%s}?",
		    name, word, nearest.name);
	else
		fault_warning(faults, v->line, v->column,
		    "%s: {%s} is not a placeholder and stays as it is", name,
		    word);
}

/* RFC 5321 4.2: replies are ASCII, and the client gets the text unchanged. */
static void
check_ascii(const char *name, const struct value *v, struct faults *faults)
{
	size_t	i;

	for (i = 0; i < v->len; i++)
		if ((unsigned char)v->bytes[i] >= 0x80)
			break;
	if (i < v->len)
		fault_error(faults, v->line, v->column,
		    "%s must be ASCII, which byte %zu is not", name, i + 1);
}

static void
check_all_placeholders(const char *name, const struct value *v,
    enum check_filled filled, struct faults *faults)
{
	const char	*p;
	char		*word;
	size_t		 len;

	for (p = v->bytes; (p = strchr(p, '{')) != NULL; p += len) {
		len = strspn(++p, "abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
		if (len == 0 || p[len] != '}')
			continue;
		word = alloc_copy(p, len);
		check_placeholder(name, v, word, filled, faults);
		free(word);
	}
}

void
check_action(const char *name, const struct value *v, enum check_filled filled,
    struct faults *faults)
{
	const struct check_word	*word;
	const char		*missing, *rest;
	size_t			 len;

	/* The readers have rejected it. */
	if (v->type != VALUE_STR || v->len == 0 || !reader_is_line(v))
		return;
	if (v->len > CHECK_ACTION_MAX) {
		fault_error(faults, v->line, v->column,
		    "%s is longer than %d bytes", name, CHECK_ACTION_MAX);
		return;
	}
	len = strcspn(v->bytes, " ");
	if (len == 0) {
		fault_error(faults, v->line, v->column,
		    "%s must not begin with a blank", name);
		return;
	}
	check_ascii(name, v, faults);
	check_all_placeholders(name, v, filled, faults);
	if (check_is_code(v->bytes, len) || access_is_number(v->bytes))
		return;
	if ((word = check_find_word(v->bytes, len)) == NULL) {
		check_unknown_word(name, v, len, faults);
		return;
	}
	rest = v->bytes + len;
	rest += strspn(rest, " ");
	if ((missing = check_rest(word->rest, rest)) != NULL)
		fault_error(faults, v->line, v->column,
		    "%s: %s must be followed by %s",
		    name, word->name, missing);
}
