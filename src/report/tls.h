#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * TLS 1.2 and later for one connection, as a state machine without a socket.
 * The only file that uses OpenSSL.
 */
struct tls;

/*
 * Reads the library's configuration. Call it before everything else, since a
 * process in its sandbox cannot read it. -1 with a reason.
 */
int		 tls_load(char *why, size_t);

/*
 * Loads everything, including the authorities' certificates (`cafile`; NULL:
 * the system's); no file is read afterwards. With `verify` the server must show
 * a certificate for `host`, a name or an address, that one of these authorities
 * signed. NULL with a reason.
 */
struct tls	*tls_new(const char *host, bool verify, const char *cafile,
		    char *why, size_t);
void		 tls_free(struct tls *);

enum tls_state {
	TLS_WANT_INPUT,		/* send the output, feed the input */
	TLS_DONE,
	TLS_FAILED		/* tls_reason() says why */
};

/* Continues the handshake. DONE means that the certificate is good too. */
enum tls_state	 tls_handshake(struct tls *);

/* Feeds bytes from the wire. */
void		 tls_feed(struct tls *, const void *, size_t);

/* Takes up to `size` bytes for the wire. */
size_t		 tls_output(struct tls *, void *, size_t size);

/*
 * The number of decrypted bytes; 0: more must be fed first; -1: the session has
 * ended (tls_reason).
 */
int		 tls_read(struct tls *, void *, size_t);

/* Encrypts all of it; or -1 (tls_reason). */
int		 tls_write(struct tls *, const void *, size_t);

/* Sends the end of our side. */
void		 tls_close(struct tls *);

const char	*tls_reason(const struct tls *);

/* HMAC-MD5, for smtp_hmac of smtp.h. */
int		 tls_hmac_md5(const void *key, size_t keylen, const void *text,
		    size_t len, unsigned char digest[16]);

#endif
