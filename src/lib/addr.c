#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/addr.h"
#include "lib/num.h"

/* ::ffff:0:0/96, RFC 4291 2.5.5.2 */
static const uint8_t	mapped[12] = { [10] = 0xff, [11] = 0xff };

static int
parse_plain(struct addr *a, const char *s, size_t len)
{
	char	text[INET6_ADDRSTRLEN];

	if (len == 0 || len >= sizeof(text) || memchr(s, '\0', len) != NULL)
		return -1;
	memcpy(text, s, len);
	text[len] = '\0';
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->byte) == 1)
		a->bits = 32;
	else if (inet_pton(AF_INET6, text, a->byte) == 1)
		a->bits = 128;
	else
		return -1;
	return 0;
}

/* Makes an IPv4-mapped address the IPv4 address; false: it is another. */
static bool
unmap(struct addr *a)
{
	if (a->bits != 128 || memcmp(a->byte, mapped, sizeof(mapped)) != 0)
		return false;
	memmove(a->byte, a->byte + 12, 4);
	memset(a->byte + 4, 0, 12);
	a->bits = 32;
	return true;
}

int
addr_parse(struct addr *a, const char *s, size_t len)
{
	struct addr	parsed;

	if (parse_plain(&parsed, s, len) == -1) {
		errno = EINVAL;
		return -1;
	}
	(void)unmap(&parsed);
	*a = parsed;
	return 0;
}

void
addr_mask(struct addr *a, unsigned int prefix)
{
	unsigned int	i, keep;

	for (i = 0; i < a->bits / 8; i++) {
		keep = prefix > i * 8 ? prefix - i * 8 : 0;
		if (keep < 8)
			a->byte[i] &= (uint8_t)(0xff00 >> keep);
	}
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return a->bits == b->bits && memcmp(a->byte, b->byte, a->bits / 8) == 0;
}

bool
addr_loopback(const struct addr *a)
{
	static const struct addr	one = { 128, { [15] = 1 } };

	return a->bits == 32 ? a->byte[0] == 127 : addr_equal(a, &one);
}

bool
addr_names_loopback(const char *host)
{
	struct addr	a;

	return strcasecmp(host, "localhost") == 0 ||
	    (addr_parse(&a, host, strlen(host)) == 0 && addr_loopback(&a));
}

const char *
addr_format(const struct addr *a, char *dst, size_t size)
{
	if (size == 0)
		return dst;
	if (a->bits == 0 || inet_ntop(a->bits == 32 ? AF_INET : AF_INET6,
	    a->byte, dst, (socklen_t)size) == NULL)
		dst[0] = '\0';
	return dst;
}

/* "255.255.255.0" or, as Python's ipaddress accepts, "0.0.0.255". */
static int
parse_netmask(const char *s, size_t len, unsigned int *prefix)
{
	struct addr	a;
	uint32_t	mask;

	if (parse_plain(&a, s, len) == -1 || a.bits != 32)
		return -1;
	mask = (uint32_t)a.byte[0] << 24 | (uint32_t)a.byte[1] << 16 |
	    (uint32_t)a.byte[2] << 8 | a.byte[3];
	if (mask != 0 && (mask & 0x80000000) == 0)
		mask = ~mask;
	/*
	 * The mask is one run of ones from the top if the bits below it are 2^n
	 * - 1.
	 */
	if ((~mask & (~mask + 1)) != 0)
		return -1;
	for (*prefix = 0; mask != 0; mask <<= 1)
		(*prefix)++;
	return 0;
}

int
addr_network_parse(struct network *net, const char *s, size_t len)
{
	const char	*slash;
	struct network	 parsed;
	struct addr	 masked;
	size_t		 alen = len, plen;
	int64_t		 n;

	if (len > 0 && (slash = memchr(s, '/', len)) != NULL)
		alen = (size_t)(slash - s);
	if (parse_plain(&parsed.addr, s, alen) == -1)
		goto invalid;
	parsed.prefix = parsed.addr.bits;
	if (alen < len) {
		s += alen + 1;
		plen = len - alen - 1;
		if (plen > 0 && *s != '-' &&
		    num_parse(s, plen, 0, parsed.addr.bits, &n) == 0)
			parsed.prefix = (unsigned int)n;
		else if (parsed.addr.bits != 32 ||
		    parse_netmask(s, plen, &parsed.prefix) == -1)
			goto invalid;
	}
	if (parsed.prefix >= 96 && unmap(&parsed.addr))
		parsed.prefix -= 96;
	masked = parsed.addr;
	addr_mask(&masked, parsed.prefix);
	if (!addr_equal(&masked, &parsed.addr)) {
		errno = EDOM;
		return -1;
	}
	*net = parsed;
	return 0;
 invalid:
	errno = EINVAL;
	return -1;
}

bool
addr_network_contains(const struct network *net, const struct addr *a)
{
	struct addr	masked = *a;

	addr_mask(&masked, net->prefix);
	return a->bits != 0 && addr_equal(&masked, &net->addr);
}

const char *
addr_network_format(const struct network *net, char *dst, size_t size)
{
	char	text[ADDR_TEXT_MAX];

	addr_format(&net->addr, text, sizeof(text));
	if (net->prefix == net->addr.bits)
		snprintf(dst, size, "%s", text);
	else
		snprintf(dst, size, "%s/%u", text, net->prefix);
	return dst;
}
