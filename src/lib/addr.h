#ifndef ADDR_H
#define ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * IPv4 and IPv6 addresses as Postfix writes them in client_address. An
 * IPv4-mapped IPv6 address (::ffff:192.0.2.1) is the IPv4 address.
 */
struct addr {
	unsigned int	bits;		/* 32 or 128; 0: none */
	uint8_t		byte[16];	/* network order; bits / 8 are used */
};

struct network {
	struct addr	addr;		/* host bits zero */
	unsigned int	prefix;		/* 0 to addr.bits */
};

#define ADDR_TEXT_MAX	50		/* longest text of either, with NUL */

/*
 * 0, or -1 with errno EINVAL and the address unchanged, when the bytes are not
 * an address (`unknown`, a name, a scope id).
 */
int	addr_parse(struct addr *, const char *, size_t);

/* Clears the bits after the first `prefix`. */
void	addr_mask(struct addr *, unsigned int prefix);
bool	addr_equal(const struct addr *, const struct addr *);
bool	addr_loopback(const struct addr *);

/*
 * Whether the text itself names this machine: "localhost" or a loopback
 * address. False for any other name, even if it resolves to loopback: a
 * resolver can lie.
 */
bool	addr_names_loopback(const char *host);

/*
 * These two write the text into a buffer of ADDR_TEXT_MAX bytes, and return the
 * buffer; "" for an address of 0 bits.
 */
const char	*addr_format(const struct addr *, char *, size_t);
const char	*addr_network_format(const struct network *, char *, size_t);

/*
 * "192.0.2.0/24", "2001:db8::/32", or an address alone (its full length); for
 * IPv4 also "192.0.2.0/255.255.255.0" and "192.0.2.0/0.0.0.255", as Python's
 * ipaddress. 0; or -1 with errno EDOM if host bits are set, so that the caller
 * can say so (ipaddress refuses them too), and EINVAL for anything else.
 */
int	addr_network_parse(struct network *, const char *, size_t);
bool	addr_network_contains(const struct network *, const struct addr *);

#endif
