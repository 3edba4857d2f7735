#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/addr.h"
#include "random.h"

static struct addr
address(const char *s)
{
	struct addr	a;

	assert_int_equal(addr_parse(&a, s, strlen(s)), 0);
	return a;
}

static struct network
network(const char *s)
{
	struct network	n;

	assert_int_equal(addr_network_parse(&n, s, strlen(s)), 0);
	return n;
}

static void
addresses_are_parsed(void **state)
{
	static const struct {
		const char	*in, *out;
		unsigned int	 bits;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", 32 },
		{ "0.0.0.0", "0.0.0.0", 32 },
		{ "255.255.255.255", "255.255.255.255", 32 },
		{ "::", "::", 128 },
		{ "2001:DB8:0:0::1", "2001:db8::1", 128 },
		{ "::ffff:192.0.2.1", "192.0.2.1", 32 },
		{ "::FFFF:C000:0201", "192.0.2.1", 32 },
		{ "0:0:0:0:0:ffff:c000:201", "192.0.2.1", 32 },
		{ "::fffe:192.0.2.1", "::fffe:c000:201", 128 },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128 }
	};
	char		text[ADDR_TEXT_MAX];
	struct addr	a;
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a = address(cases[i].in);
		assert_int_equal(a.bits, cases[i].bits);
		assert_string_equal(addr_format(&a, text, sizeof(text)),
		    cases[i].out);
	}
	/* Only `len` bytes count. */
	assert_int_equal(addr_parse(&a, "192.0.2.123", 9), 0);
	assert_string_equal(addr_format(&a, text, sizeof(text)), "192.0.2.1");
}

static void
other_texts_are_no_addresses(void **state)
{
	static const char *const	bad[] = {
		"", "unknown", "localhost", "192.0.2", "192.0.2.1.1",
		"192.0.2.256", "192.0.2.01", " 192.0.2.1", "192.0.2.1 ",
		"192.0.2.1/32", "3221225985", "0xc0000201", "fe80::1%eth0",
		"[::1]", ":::", "1::2::3", "12345::",
		"::192.0.2.1.", "IPv6:::1",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"
	};
	struct addr			a = { 77, { 0 } };
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		assert_int_equal(addr_parse(&a, bad[i], strlen(bad[i])), -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(a.bits, 77);
	}
	assert_int_equal(addr_parse(&a, "192.0.2.1\0", 10), -1);
	assert_int_equal(addr_parse(&a, "::1\0::2", 7), -1);
	assert_int_equal(addr_parse(&a, NULL, 0), -1);
}

static void
masks_clear_the_host_bits(void **state)
{
	struct addr	a;
	char		text[ADDR_TEXT_MAX];

	(void)state;
	a = address("203.0.113.255");
	addr_mask(&a, 32);
	assert_string_equal(addr_format(&a, text, sizeof(text)),
	    "203.0.113.255");
	addr_mask(&a, 28);
	assert_string_equal(addr_format(&a, text, sizeof(text)),
	    "203.0.113.240");
	addr_mask(&a, 9);
	assert_string_equal(addr_format(&a, text, sizeof(text)), "203.0.0.0");
	addr_mask(&a, 0);
	assert_string_equal(addr_format(&a, text, sizeof(text)), "0.0.0.0");
	a = address("2001:db8:ffff:ffff:ffff::1");
	addr_mask(&a, 64);
	assert_string_equal(addr_format(&a, text, sizeof(text)),
	    "2001:db8:ffff:ffff::");
	addr_mask(&a, 35);
	assert_string_equal(addr_format(&a, text, sizeof(text)),
	    "2001:db8:e000::");
}

static void
loopback_addresses_are_known(void **state)
{
	static const char *const	yes[] = {
		"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"
	};
	static const char *const	no[] = {
		"128.0.0.1", "126.0.0.1", "::", "::2", "7f00::1", "1::1"
	};
	struct addr			a;
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		a = address(yes[i]);
		assert_true(addr_loopback(&a));
	}
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		a = address(no[i]);
		assert_false(addr_loopback(&a));
	}
}

static void
networks_are_parsed(void **state)
{
	static const struct {
		const char	*in, *out;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0/24" },
		{ "192.0.2.1", "192.0.2.1" },
		{ "192.0.2.1/32", "192.0.2.1" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "192.0.2.0/255.255.255.0", "192.0.2.0/24" },
		{ "192.0.2.0/0.0.0.255", "192.0.2.0/24" },
		{ "192.0.2.1/255.255.255.255", "192.0.2.1" },
		{ "0.0.0.0/0.0.0.0", "0.0.0.0/0" },
		{ "2001:db8::/32", "2001:db8::/32" },
		{ "::1", "::1" },
		{ "::/0", "::/0" },
		{ "::ffff:192.0.2.0/120", "192.0.2.0/24" },
		{ "::ffff:0:0/96", "0.0.0.0/0" }
	};
	char		text[ADDR_TEXT_MAX];
	struct network	n;
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = network(cases[i].in);
		assert_string_equal(addr_network_format(&n, text, sizeof(text)),
		    cases[i].out);
	}
}

static void
other_texts_are_no_networks(void **state)
{
	static const struct {
		const char	*in;
		int		 why;
	} cases[] = {
		{ "192.0.2.1/24", EDOM },
		{ "2001:db8::1/64", EDOM },
		{ "::ffff:192.0.2.1/120", EDOM },
		{ "::ffff:0:0/95", EDOM },
		{ "1.0.0.0/0", EDOM },
		{ "", EINVAL },
		{ "/24", EINVAL },
		{ "192.0.2.0/", EINVAL },
		{ "192.0.2.0/33", EINVAL },
		{ "192.0.2.0/-1", EINVAL },
		{ "192.0.2.0/-0", EINVAL },
		{ "192.0.2.0/+24", EINVAL },
		{ "192.0.2.0/ 24", EINVAL },
		{ "192.0.2.0/24/24", EINVAL },
		{ "192.0.2.0/255.0.255.0", EINVAL },
		{ "192.0.2.0/0.255.0.255", EINVAL },
		{ "2001:db8::/129", EINVAL },
		{ "2001:db8::/255.255.255.0", EINVAL },
		{ "192.0.2.0/ffff::", EINVAL },
		{ "example.org/24", EINVAL }
	};
	struct network	n = { { 77, { 0 } }, 77 };
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		errno = 0;
		assert_int_equal(addr_network_parse(&n, cases[i].in,
		    strlen(cases[i].in)), -1);
		assert_int_equal(errno, cases[i].why);
		assert_int_equal(n.prefix, 77);
	}
}

static void
a_network_contains_its_addresses(void **state)
{
	static const struct {
		const char	*net, *addr;
		bool		 yes;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0", true },
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.0/24", "::ffff:192.0.2.7", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.8/31", "192.0.2.9", true },
		{ "192.0.2.8/31", "192.0.2.10", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "0.0.0.0/0", "8.8.8.8", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "8.8.8.8", false },
		{ "2001:db8::/33", "2001:db8:7fff::", true },
		{ "2001:db8::/33", "2001:db8:8000::", false }
	};
	struct addr	a;
	struct network	n;
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = network(cases[i].net);
		a = address(cases[i].addr);
		assert_int_equal(addr_network_contains(&n, &a), cases[i].yes);
	}
	a.bits = 0;
	assert_false(addr_network_contains(&n, &a));
}

/*
 * In the network exactly if masking to its length gives the network's address.
 */
static void
contains_agrees_with_masking(void **state)
{
	struct random	r = { 7 };
	struct network	n;
	struct addr	a, masked;
	size_t		j;
	int		i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		memset(&a, 0, sizeof(a));
		a.bits = random_below(&r, 2) == 0 ? 32 : 128;
		for (j = 0; j < a.bits / 8; j++)
			a.byte[j] = (uint8_t)random_next(&r);
		n.prefix = (unsigned int)random_below(&r, a.bits + 1);
		n.addr = a;
		if (random_below(&r, 2) == 0) {
			j = random_below(&r, a.bits);
			n.addr.byte[j / 8] ^= (uint8_t)(0x80 >> j % 8);
		}
		addr_mask(&n.addr, n.prefix);
		masked = a;
		addr_mask(&masked, n.prefix);
		assert_int_equal(addr_network_contains(&n, &a),
		    addr_equal(&masked, &n.addr));
	}
}

/* Printed and read again it is the same. */
static void
printed_addresses_parse_to_the_same(void **state)
{
	struct random	r = { 8 };
	struct network	n, m;
	char		text[ADDR_TEXT_MAX];
	size_t		j;
	int		i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		memset(&n, 0, sizeof(n));
		n.addr.bits = random_below(&r, 2) == 0 ? 32 : 128;
		n.addr.byte[0] = 0x20;
		for (j = 1; j < n.addr.bits / 8; j++)
			n.addr.byte[j] = (uint8_t)(random_next(&r) &
			    random_next(&r));
		n.prefix = (unsigned int)random_below(&r, n.addr.bits + 1);
		addr_mask(&n.addr, n.prefix);
		addr_network_format(&n, text, sizeof(text));
		assert_int_equal(addr_network_parse(&m, text, strlen(text)), 0);
		assert_true(addr_equal(&n.addr, &m.addr));
		assert_int_equal(n.prefix, m.prefix);
	}
}

static void
names_of_loopback_are_known(void **state)
{
	static const char *const	yes[] = {
		"localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1",
		"::ffff:127.0.0.1"
	}, *const			no[] = {
		"", "localhost.", "localhost.example.org", "loop.example.org",
		"127.1", "0.0.0.0", "::", "[::1]", "128.0.0.1"
	};
	size_t				 i;

	(void)state;
	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(addr_names_loopback(yes[i]));
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(addr_names_loopback(no[i]));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(addresses_are_parsed),
		cmocka_unit_test(other_texts_are_no_addresses),
		cmocka_unit_test(masks_clear_the_host_bits),
		cmocka_unit_test(loopback_addresses_are_known),
		cmocka_unit_test(names_of_loopback_are_known),
		cmocka_unit_test(networks_are_parsed),
		cmocka_unit_test(other_texts_are_no_networks),
		cmocka_unit_test(a_network_contains_its_addresses),
		cmocka_unit_test(contains_agrees_with_masking),
		cmocka_unit_test(printed_addresses_parse_to_the_same)
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
