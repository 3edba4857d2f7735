#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * TLS 1.2 and later for one connection, as a machine without a socket: what
 * came from the wire in, what is to go there out. The only file that knows
 * OpenSSL.
 */
struct tls;

/*
 * Reads the library's configuration, before anything else is called: a process
 * that is locked in could not. -1 with a reason.
 */
int		 tls_load(char *why, size_t);

/*
 * Loads what is needed, certificates of authorities included (`cafile`; NULL:
 * the system's): afterwards no file is read any more. With `verify` the server
 * must show a certificate for `host`, a name or an address, that leads to one
 * of them. NULL with a reason when it cannot be so.
 */
struct tls	*tls_new(const char *host, bool verify, const char *cafile,
		    char *why, size_t);
void		 tls_free(struct tls *);

enum tls_state {
	TLS_WANT_INPUT,		/* send the output, feed what comes */
	TLS_DONE,
	TLS_FAILED		/* tls_reason() says why */
};

/* Goes on with the handshake; DONE only when the certificate is good too. */
enum tls_state	 tls_handshake(struct tls *);

/* From the wire. */
void		 tls_feed(struct tls *, const void *, size_t);

/* For the wire: up to `size` bytes of what waits. */
size_t		 tls_output(struct tls *, void *, size_t size);

/*
 * What the other side said: the number of bytes, 0 when more must be fed first,
 * -1 when it is over (tls_reason).
 */
int		 tls_read(struct tls *, void *, size_t);

/* Takes all of it, or -1 (tls_reason). */
int		 tls_write(struct tls *, const void *, size_t);

/* We say nothing any more. */
void		 tls_close(struct tls *);

const char	*tls_reason(const struct tls *);

/* HMAC-MD5, as smtp.h wants it. */
int		 tls_hmac_md5(const void *key, size_t keylen, const void *text,
		    size_t len, unsigned char digest[16]);

#endif
