#include <sys/socket.h>

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings_message.h"
#include "fuzz.h"
#include "ipc/channel.h"
#include "lib/log.h"

/*
 * What a peer writes to a channel: the first byte says who it is and to whom,
 * the second how many bytes come at a time. Only messages that it may send get
 * through, and settings are taken whole or not at all.
 */
static const struct {
	enum role	from;
	enum role	to;
} channel_ways[] = {
	{ ROLE_ENGINE, ROLE_PARENT },
	{ ROLE_LEDGER, ROLE_PARENT },
	{ ROLE_REPORT, ROLE_PARENT },
	{ ROLE_ENGINE, ROLE_LEDGER },
	{ ROLE_LEDGER, ROLE_ENGINE },
	{ ROLE_LEDGER, ROLE_REPORT },
	{ ROLE_PARENT, ROLE_ENGINE },
	{ ROLE_PARENT, ROLE_LEDGER },
	{ ROLE_PARENT, ROLE_REPORT }
};

#define CHANNEL_PIECES	16
#define CHANNEL_WAYS	(sizeof(channel_ways) / sizeof(channel_ways[0]))

/* -1: the one who takes settings would give the channel up. */
static int
channel_take(struct settings_message *convey, const struct message *m,
    size_t way)
{
	const struct message_rule	*rule = message_rule(m->type);
	struct settings			*s = NULL;
	int				 r;

	fuzz_require(rule != NULL &&
	    (rule->from & 1U << channel_ways[way].from) != 0 &&
	    (rule->to & 1U << channel_ways[way].to) != 0);
	fuzz_require(m->fd == -1);
	fuzz_require(m->len == 0 || m->payload != NULL);
	r = settings_message_receive(convey, m, &s);
	fuzz_require((r == 1) == (s != NULL));
	settings_free(s);
	return r == -1 ? -1 : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct channel	*channel;
	struct settings_message	*convey;
	struct message	 m;
	size_t		 way, piece, n;
	int		 fd[2], r = 0;

	if (size < 2 || size > 65536)
		return 0;
	log_open("fuzz", LOG_TO_SYSLOG, -1, false);
	way = data[0] % CHANNEL_WAYS;
	/* Long inputs come in few pieces: each costs two system calls. */
	piece = data[1] + 1U + size / CHANNEL_PIECES;
	fuzz_require(channel_pair(fd) == 0);
	channel = channel_new(fd[0], channel_ways[way].to,
	    channel_ways[way].from);
	convey = settings_message_new();
	for (data += 2, size -= 2; size > 0 && r != -1; data += n, size -= n) {
		n = size < piece ? size : piece;
		fuzz_require(write(fd[1], data, n) == (ssize_t)n);
		if (channel_read(channel) == -1)
			break;
		while ((r = channel_next(channel, &m)) == 1)
			if (channel_take(convey, &m, way) == -1) {
				r = -1;
				break;
			}
	}
	settings_message_free(convey);
	channel_free(channel);
	close(fd[1]);
	return 0;
}
