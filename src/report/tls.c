#include <sys/types.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "report/tls.h"

/* Older LibreSSL checks the common name if there is no DNS name. */
#ifndef X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
#define X509_CHECK_FLAG_NEVER_CHECK_SUBJECT	0
#endif

struct tls {
	SSL_CTX	*ctx;
	SSL	*ssl;		/* owns both BIOs: */
	BIO	*in;
	BIO	*out;
	bool	 verify;
	char	 reason[256];
};

/* The library's last error, or the given words. */
static const char *
error_words(const char *otherwise)
{
	const char	*words;

	words = ERR_reason_error_string(ERR_peek_error());
	return words != NULL ? words : otherwise;
}

int
tls_load(char *why, size_t size)
{
	unsigned char	digest[16];

	if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1) {
		snprintf(why, size, "OpenSSL cannot be set up: %s",
		    error_words("no reason given"));
		return -1;
	}
	/* Without HMAC-MD5, CRAM-MD5 is not used. */
	(void)tls_hmac_md5("", 0, digest, 0, digest);
	return 0;
}

/* --- certificates of authorities --- */

/* Adds every certificate of the file; whether there was one. */
static bool
load_file(SSL_CTX *ctx, const char *file)
{
	bool	good;

	good = SSL_CTX_load_verify_locations(ctx, file, NULL) == 1;
	/* A fault of a file is not an error of the connection. */
	if (!good)
		ERR_clear_error();
	return good;
}

/*
 * Adds all certificates of a directory now: OpenSSL would read them when it
 * needs them, when the process cannot open files.
 */
static bool
load_directory(SSL_CTX *ctx, const char *path)
{
	struct dirent	*entry;
	struct stat	 sb;
	DIR		*dir;
	char		*file;
	bool		 any = false;

	if ((dir = opendir(path)) == NULL)
		return false;
	while ((entry = readdir(dir)) != NULL) {
		file = alloc_printf("%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.' && stat(file, &sb) == 0 &&
		    S_ISREG(sb.st_mode) && load_file(ctx, file))
			any = true;
		free(file);
	}
	closedir(dir);
	return any;
}

/*
 * Where systems keep all certificates in one file, if OpenSSL's own place is
 * empty.
 */
static const char *const	bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/ssl/cert.pem",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/openssl/certs/ca-certificates.crt",
	"/usr/local/share/certs/ca-root-nss.crt"
};

static bool
load_system(SSL_CTX *ctx)
{
	const char	*file = getenv(X509_get_default_cert_file_env());
	const char	*dir = getenv(X509_get_default_cert_dir_env());
	size_t		 i;
	bool		 any = false;

	/* If the administrator names them, only these are trusted. */
	if (file != NULL || dir != NULL) {
		if (file != NULL)
			any = load_file(ctx, file);
		if (dir != NULL)
			any = load_directory(ctx, dir) || any;
		return any;
	}
	if (load_file(ctx, X509_get_default_cert_file()))
		return true;
	for (i = 0; i < sizeof(bundles) / sizeof(bundles[0]); i++)
		if (load_file(ctx, bundles[i]))
			return true;
	return load_directory(ctx, X509_get_default_cert_dir());
}

static int
load_authorities(struct tls *t, const char *cafile, char *why, size_t size)
{
	FILE	*fp;

	if (cafile == NULL) {
		if (load_system(t->ctx))
			return 0;
		snprintf(why, size, "no certificates of authorities were found "
		    "on this system: set smtp_tls_cafile");
		return -1;
	}
	if ((fp = fopen(cafile, "r")) == NULL) {
		snprintf(why, size, "smtp_tls_cafile %s: %s", cafile,
		    strerror(errno));
		return -1;
	}
	fclose(fp);
	if (!load_file(t->ctx, cafile)) {
		snprintf(why, size, "smtp_tls_cafile %s: holds no certificates",
		    cafile);
		return -1;
	}
	/* Trusts each certificate in it, also the server's own. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(t->ctx),
	    X509_V_FLAG_PARTIAL_CHAIN);
	return 0;
}

/* --- set up --- */

/* Sets the name or address that the certificate must be for. */
static int
expect_host(struct tls *t, const char *host)
{
	X509_VERIFY_PARAM	*param = SSL_get0_param(t->ssl);
	struct addr		 addr;
	char			 name[256];
	size_t			 len = strlen(host);

	if (addr_parse(&addr, host, len) == 0)
		return !t->verify ||
		    X509_VERIFY_PARAM_set1_ip(param, addr.byte,
		    addr.bits / 8) == 1 ? 0 : -1;
	/* A certificate has no dot at the end of a name. */
	if (len > 1 && host[len - 1] == '.')
		len--;
	if (len >= sizeof(name))
		return -1;
	memcpy(name, host, len);
	name[len] = '\0';
	if (SSL_set_tlsext_host_name(t->ssl, name) != 1)
		return -1;
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (t->verify && X509_VERIFY_PARAM_set1_host(param, name, 0) != 1)
		return -1;
	return 0;
}

struct tls *
tls_new(const char *host, bool verify, const char *cafile, char *why,
    size_t size)
{
	struct tls	*t;

	t = alloc_zero(1, sizeof(*t));
	t->verify = verify;
	snprintf(why, size, "TLS cannot be set up");
	if ((t->ctx = SSL_CTX_new(TLS_client_method())) == NULL ||
	    SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) != 1)
		goto fail;
	SSL_CTX_set_mode(t->ctx, SSL_MODE_AUTO_RETRY);
	if (verify && load_authorities(t, cafile, why, size) == -1)
		goto fail;
	SSL_CTX_set_verify(t->ctx, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
	    NULL);
	if ((t->ssl = SSL_new(t->ctx)) == NULL ||
	    (t->in = BIO_new(BIO_s_mem())) == NULL)
		goto fail;
	if ((t->out = BIO_new(BIO_s_mem())) == NULL) {
		BIO_free(t->in);
		goto fail;
	}
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_connect_state(t->ssl);
	if (expect_host(t, host) == -1)
		goto fail;
	return t;
 fail:
	tls_free(t);
	return NULL;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	explicit_bzero(t, sizeof(*t));
	free(t);
}

/* --- the connection --- */

static void
fail_with(struct tls *t, const char *what, const char *detail)
{
	char	text[160];

	str_printable(text, sizeof(text), detail, strlen(detail));
	snprintf(t->reason, sizeof(t->reason), "%s: %s", what, text);
	ERR_clear_error();
}

/* Whether the call that returned `n` must be repeated with more input. */
static bool
wants_input(struct tls *t, int n)
{
	return SSL_get_error(t->ssl, n) == SSL_ERROR_WANT_READ;
}

enum tls_state
tls_handshake(struct tls *t)
{
	long	result;
	int	n;

	ERR_clear_error();
	n = SSL_do_handshake(t->ssl);
	if (n != 1 && wants_input(t, n))
		return TLS_WANT_INPUT;
	result = SSL_get_verify_result(t->ssl);
	if (t->verify && result != X509_V_OK) {
		fail_with(t, "the server's certificate is not valid",
		    X509_verify_cert_error_string(result));
		return TLS_FAILED;
	}
	if (n != 1) {
		fail_with(t, "no TLS", error_words("the handshake failed"));
		return TLS_FAILED;
	}
	return TLS_DONE;
}

void
tls_feed(struct tls *t, const void *bytes, size_t len)
{
	/* The buffer grows as needed; -1: no memory. */
	if (len > INT_MAX || BIO_write(t->in, bytes, (int)len) != (int)len)
		fail_with(t, "TLS", "no memory");
}

size_t
tls_output(struct tls *t, void *bytes, size_t size)
{
	int	n;

	if (BIO_ctrl_pending(t->out) == 0)
		return 0;
	n = BIO_read(t->out, bytes, size > INT_MAX ? INT_MAX : (int)size);
	return n > 0 ? (size_t)n : 0;
}

int
tls_read(struct tls *t, void *bytes, size_t size)
{
	int	n;

	ERR_clear_error();
	n = SSL_read(t->ssl, bytes, size > INT_MAX ? INT_MAX : (int)size);
	if (n > 0)
		return n;
	if (wants_input(t, n))
		return 0;
	fail_with(t, "TLS", SSL_get_error(t->ssl, n) == SSL_ERROR_ZERO_RETURN ?
	    "closed by the server" : error_words("the connection is broken"));
	return -1;
}

int
tls_write(struct tls *t, const void *bytes, size_t len)
{
	int	n;

	ERR_clear_error();
	/* A buffer in memory takes everything at once. */
	n = SSL_write(t->ssl, bytes, len > INT_MAX ? INT_MAX : (int)len);
	if (n > 0 && (size_t)n == len)
		return 0;
	fail_with(t, "TLS", error_words("the connection is broken"));
	return -1;
}

void
tls_close(struct tls *t)
{
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

const char *
tls_reason(const struct tls *t)
{
	return t->reason;
}

int
tls_hmac_md5(const void *key, size_t keylen, const void *text, size_t len,
    unsigned char digest[16])
{
	unsigned int	digestlen = 16;

	if (keylen > INT_MAX)
		return -1;
	if (HMAC(EVP_md5(), key, (int)keylen, text, len, digest, &digestlen) ==
	    NULL || digestlen != 16) {
		ERR_clear_error();
		return -1;
	}
	return 0;
}
