#ifndef SMTP_H
#define SMTP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * An SMTP client as a pure machine (RFC 5321; STARTTLS 3207, AUTH 4954 and
 * 2195, PIPELINING 2920, SIZE 1870, SMTPUTF8 6531): the server's bytes in, our
 * bytes out. It knows no socket, no clock and no TLS library.
 */
enum smtp_want {
	SMTP_WANT_REPLY,	/* send the output, then feed what comes */
	SMTP_WANT_TLS,		/* shake hands, then smtp_secured() */
	SMTP_WANT_CLOSE		/* it is over: close */
};

/* HMAC-MD5 (RFC 2104) for CRAM-MD5; 0, or -1 where there is none. */
typedef int	smtp_hmac(const void *key, size_t keylen, const void *text,
		    size_t len, unsigned char digest[16]);

struct smtp_config {
	const char	*name;		/* our host name, for EHLO */
	bool		 starttls;	/* no mail and no password without */
	bool		 tls;		/* the connection begins inside TLS */
	bool		 loopback;	/* a password may go without TLS */
	const char	*user;		/* NULL: no AUTH */
	const char	*password;
	smtp_hmac	*hmac;		/* NULL: no CRAM-MD5 */
};

struct smtp_mail {
	const char		*from;
	const char *const	*to;
	size_t			 nto;
	const char		*data;	/* lines end in CRLF, dots are bare */
	size_t			 len;
};

#define SMTP_ADDRESS_MAX 320	/* 64 "@" 255: RFC 5321 4.5.3.1 */
#define SMTP_LINE_MAX	2048	/* of a reply; RFC 5321 4.5.3.1.5 has 512 */
#define SMTP_LINE_MOST	65536	/* so long the rest is read past */
#define SMTP_LINES_MAX	256	/* of one reply */
#define SMTP_REASON_MAX	400

struct smtp;

/*
 * Config and mail are borrowed until smtp_free. With mail NULL it says QUIT
 * after the greeting.
 */
struct smtp	*smtp_new(const struct smtp_config *, const struct smtp_mail *);
void		 smtp_free(struct smtp *);	/* wipes */

/* What the server sent, in any pieces. */
enum smtp_want	 smtp_input(struct smtp *, const void *, size_t);

/* The handshake after SMTP_WANT_TLS was good, and the certificate too. */
enum smtp_want	 smtp_secured(struct smtp *);

/*
 * The connection ended, or a deadline passed: a reason of the caller's. Or TLS
 * with this server cannot be trusted.
 */
void		 smtp_lost(struct smtp *, const char *reason);
void		 smtp_untrusted(struct smtp *, const char *reason);

/*
 * Bytes to send; the caller tells with smtp_wrote how many of them are gone,
 * and they are wiped.
 */
const char	*smtp_output(const struct smtp *, size_t *len);
void		 smtp_wrote(struct smtp *, size_t);

/*
 * Seconds to wait for the next reply (RFC 5321 4.5.3.2), and how many came so
 * far.
 */
int		 smtp_timeout(const struct smtp *);
size_t		 smtp_replies(const struct smtp *);

/*
 * Whether the server took the mail (250 to the end of data), for one recipient
 * or more.
 */
bool		 smtp_taken(const struct smtp *);

/*
 * Whether it failed before the server had answered EHLO, so that another of its
 * addresses is worth a try (RFC 5321 5.1).
 */
bool		 smtp_next(const struct smtp *);

/*
 * Printable: why it failed, with the server's words; or, when it was taken,
 * which recipients were not; else "".
 */
const char	*smtp_reason(const struct smtp *);

/*
 * Whether an address can stand in a command: no control characters, blanks or
 * <>, not too long.
 */
bool		 smtp_address_valid(const char *);

#endif
