#ifndef SMTP_H
#define SMTP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * An SMTP client as a pure state machine (RFC 5321; STARTTLS 3207, AUTH 4954
 * and 2195, PIPELINING 2920, SIZE 1870, SMTPUTF8 6531): takes the server's
 * bytes, yields ours. It has no socket, no clock and no TLS library.
 */
enum smtp_want {
	SMTP_WANT_REPLY,	/* send the output, then feed the reply */
	SMTP_WANT_TLS,		/* do the handshake, then smtp_secured() */
	SMTP_WANT_CLOSE		/* close the connection */
};

/*
 * HMAC-MD5 (RFC 2104) for CRAM-MD5. 0, or -1 if the library does not have it.
 */
typedef int	smtp_hmac(const void *key, size_t keylen, const void *text,
		    size_t len, unsigned char digest[16]);

struct smtp_config {
	const char	*name;		/* our host name, for EHLO */
	bool		 starttls;	/* required for mail and password */
	bool		 tls;		/* the connection begins inside TLS */
	bool		 loopback;	/* a password may be sent without TLS */
	const char	*user;		/* NULL: no AUTH */
	const char	*password;
	smtp_hmac	*hmac;		/* NULL: no CRAM-MD5 */
};

struct smtp_mail {
	const char		*from;	/* "": the null sender */
	const char *const	*to;
	size_t			 nto;
	const char		*data;	/* lines end in CRLF, dots bare */
	size_t			 len;
};

#define SMTP_ADDRESS_MAX 320	/* 64 "@" 255: RFC 5321 4.5.3.1 */
#define SMTP_LINE_MAX	2048	/* kept of a line; RFC 5321 4.5.3.1.5 has 512 */
#define SMTP_LINE_MOST	65536	/* a longer line is not SMTP */
#define SMTP_LINES_MAX	256	/* of one reply */
#define SMTP_REASON_MAX	400

struct smtp;

/*
 * Config and mail are borrowed until smtp_free. If mail is NULL it sends QUIT
 * after the greeting.
 */
struct smtp	*smtp_new(const struct smtp_config *, const struct smtp_mail *);
void		 smtp_free(struct smtp *);	/* wipes */

/* Feeds bytes from the server, in pieces of any size. */
enum smtp_want	 smtp_input(struct smtp *, const void *, size_t);

/* After SMTP_WANT_TLS: the handshake succeeded and the certificate is good. */
enum smtp_want	 smtp_secured(struct smtp *);

/*
 * End the session for this reason. smtp_lost: the connection ended, or a
 * deadline passed. smtp_untrusted: TLS with this server cannot be trusted.
 */
void		 smtp_lost(struct smtp *, const char *reason);
void		 smtp_untrusted(struct smtp *, const char *reason);

/*
 * The bytes to send. The caller tells smtp_wrote how many it has sent; these
 * are wiped.
 */
const char	*smtp_output(const struct smtp *, size_t *len);
void		 smtp_wrote(struct smtp *, size_t);

/*
 * Seconds to wait for the next reply (RFC 5321 4.5.3.2), and the number of
 * replies so far.
 */
int		 smtp_timeout(const struct smtp *);
size_t		 smtp_replies(const struct smtp *);

/*
 * Whether the server accepted the mail (250 after the end of data), for at
 * least one recipient.
 */
bool		 smtp_taken(const struct smtp *);

/*
 * Whether the server greeted with a refusal, refused EHLO for now, or was lost
 * before it had answered EHLO, so that another address of the host may be tried
 * (RFC 5321 5.1).
 */
bool		 smtp_next(const struct smtp *);

/*
 * Printable: why it failed, with the server's words; or if the mail was
 * accepted, which recipients were not; else "".
 */
const char	*smtp_reason(const struct smtp *);

/*
 * Whether an address may be used in a command: no control characters, blanks or
 * <>, not too long.
 */
bool		 smtp_address_valid(const char *);

#endif
