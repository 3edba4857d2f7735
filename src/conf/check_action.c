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
	REST_RESTRICTIONS,	/* further restrictions, optional */
	REST__MAX
};

/* The words, by what follows them. */
static const char *const *const	check_words[] = {
	[REST_RESTRICTIONS] = READER_NAMES("OK", "DUNNO", "PERMIT",
	    "permit_auth_destination", "permit_inet_interfaces",
	    "permit_mx_backup", "permit_mynetworks", "permit_naked_ip_address",
	    "permit_sasl_authenticated", "permit_tls_all_clientcerts",
	    "permit_tls_clientcerts", "defer_unauth_destination",
	    "reject_authenticated_sender_login_mismatch",
	    "reject_invalid_helo_hostname",
	    "reject_known_sender_login_mismatch",
	    "reject_multi_recipient_bounce", "reject_non_fqdn_helo_hostname",
	    "reject_non_fqdn_recipient", "reject_non_fqdn_sender",
	    "reject_plaintext_session", "reject_sender_login_mismatch",
	    "reject_unauth_destination", "reject_unauth_pipelining",
	    "reject_unauthenticated_sender_login_mismatch",
	    "reject_unknown_client_hostname",
	    "reject_unknown_forward_client_hostname",
	    "reject_unknown_helo_hostname", "reject_unknown_recipient_domain",
	    "reject_unknown_reverse_client_hostname",
	    "reject_unknown_sender_domain", "reject_unlisted_recipient",
	    "reject_unlisted_sender", "reject_unverified_recipient",
	    "reject_unverified_sender"),
	[REST_TEXT] = READER_NAMES("REJECT", "DEFER", "DEFER_IF_PERMIT",
	    "DEFER_IF_REJECT", "DISCARD", "HOLD", "INFO", "WARN"),
	[REST_ADDRESS] = READER_NAMES("BCC", "REDIRECT"),
	[REST_TRANSPORT] = READER_NAMES("FILTER"),
	[REST_HEADER] = READER_NAMES("PREPEND"),
	[REST_WORDS] = READER_NAMES("permit_dnswl_client",
	    "permit_rhswl_client", "warn_if_reject", "sleep",
	    "check_ccert_access",
	    "check_client_a_access", "check_client_access",
	    "check_client_mx_access", "check_client_ns_access",
	    "check_etrn_access", "check_helo_a_access", "check_helo_access",
	    "check_helo_mx_access", "check_helo_ns_access",
	    "check_policy_service", "check_recipient_a_access",
	    "check_recipient_access", "check_recipient_mx_access",
	    "check_recipient_ns_access",
	    "check_reverse_client_hostname_a_access",
	    "check_reverse_client_hostname_access",
	    "check_reverse_client_hostname_mx_access",
	    "check_reverse_client_hostname_ns_access", "check_sasl_access",
	    "check_sender_a_access", "check_sender_access",
	    "check_sender_mx_access", "check_sender_ns_access",
	    "reject_rbl_client", "reject_rhsbl_client", "reject_rhsbl_helo",
	    "reject_rhsbl_recipient", "reject_rhsbl_reverse_client",
	    "reject_rhsbl_sender")
};

/*
 * Postfix truncates a line at 2048 bytes, and placeholders grow when they are
 * filled.
 */
#define CHECK_ACTION_MAX	1500

static const char *const	check_placeholders[] = {
	"id", "rule", "limit", "period", "used", "retry_after", NULL
};

/* What is missing after the word; NULL: nothing. */
static const char *
rest_fault(enum check_rest kind, const char *rest)
{
	const char	*colon;

	switch (kind) {
	case REST_TEXT:
	case REST_RESTRICTIONS:
	case REST__MAX:
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

/* Finds the first word of an action; NULL and a fault: it is unknown. */
static const char *
find_first_word(const char *name, const struct value *v, size_t len,
    enum check_rest *rest, struct faults *faults)
{
	struct reader_nearest	 nearest = { .written = NULL };
	char			*word;
	size_t			 i;

	*rest = REST_TEXT;
	/* 4yz and 5yz, alone or with a text. */
	if (len == 3 && (v->bytes[0] == '4' || v->bytes[0] == '5') &&
	    isdigit((unsigned char)v->bytes[1]) &&
	    isdigit((unsigned char)v->bytes[2]))
		return v->bytes;
	nearest.written = word = alloc_copy(v->bytes, len);
	for (; *rest < REST__MAX; ++*rest)
		for (i = 0; check_words[*rest][i] != NULL; i++) {
			if (strcasecmp(check_words[*rest][i], word) == 0) {
				free(word);
				return check_words[*rest][i];
			}
			reader_nearest(&nearest, check_words[*rest][i]);
		}
	fault_error(faults, v->line, v->column, "%s begins with \"%s\", which "
	    "is not an action of access(5)%s", name, word, nearest.hint);
	free(word);
	return NULL;
}

static void
verify_placeholder(const char *name, const struct value *v, const char *word,
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
	fault_warning(faults, v->line, v->column,
	    "%s: {%s} is not a placeholder and stays as it is%s", name, word,
	    nearest.hint);
}

void
check_action(const char *name, const struct value *v, enum check_filled filled,
    struct faults *faults)
{
	const char	*missing, *p, *rest, *first;
	char		*word;
	enum check_rest	 kind;
	size_t		 len, i;

	/* The readers have rejected it. */
	if (v->type != VALUE_STR || v->len == 0 || !reader_is_line(v))
		return;
	if (v->len > CHECK_ACTION_MAX) {
		fault_error(faults, v->line, v->column,
		    "%s is longer than %d bytes", name, CHECK_ACTION_MAX);
		return;
	}
	if (v->bytes[0] == ' ') {
		fault_error(faults, v->line, v->column,
		    "%s must not begin with a blank", name);
		return;
	}
	/* RFC 5321 4.2: the client gets the text unchanged. */
	for (i = 0; i < v->len; i++)
		if ((unsigned char)v->bytes[i] >= 0x80) {
			fault_error(faults, v->line, v->column, "%s must be "
			    "ASCII, which byte %zu is not", name, i + 1);
			break;
		}
	for (p = v->bytes; (p = strchr(p, '{')) != NULL; p += len) {
		len = strspn(++p, "abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
		if (len == 0 || p[len] != '}')
			continue;
		word = alloc_copy(p, len);
		verify_placeholder(name, v, word, filled, faults);
		free(word);
	}
	if (access_is_number(v->bytes))
		return;
	len = strcspn(v->bytes, " ");
	rest = v->bytes + len;
	rest += strspn(rest, " ");
	if ((first = find_first_word(name, v, len, &kind, faults)) != NULL &&
	    (missing = rest_fault(kind, rest)) != NULL)
		fault_error(faults, v->line, v->column,
		    "%s: %s must be followed by %s", name, first, missing);
}
