#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "liar.h"

#define STUCK_MS	2000	/* a receiver that reads nothing for so long */

uint32_t
liar_chance(void)
{
	static uint32_t	state;

	if (state == 0)
		state = liar_number * 2654435761U + 1;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* -1: the other end is closed, or takes nothing any more. */
int
liar_put(int fd, const void *data, size_t len)
{
	const uint8_t	*p = data;
	struct pollfd	 pfd = { .fd = fd, .events = POLLOUT };
	ssize_t		 n;

	while (len > 0) {
		if ((n = send(fd, p, len, MSG_NOSIGNAL)) > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -1;
		if (poll(&pfd, 1, STUCK_MS) != 1)
			return -1;
	}
	return 0;
}

size_t
liar_frame(uint8_t *out, uint32_t len, unsigned int type, unsigned int flags,
    const void *payload, size_t size)
{
	const uint16_t	words[2] = { (uint16_t)type, (uint16_t)flags };
	const uint64_t	request = 1;

	memcpy(out, &len, sizeof(len));
	memcpy(out + 4, words, sizeof(words));
	memcpy(out + 8, &request, sizeof(request));
	if (size > 0)
		memcpy(out + LIAR_HEADER, payload, size);
	return LIAR_HEADER + size;
}

int
liar_put_frame(int fd, unsigned int type, unsigned int flags,
    const void *payload, size_t size)
{
	uint8_t	out[LIAR_HEADER + 1024];

	return liar_put(fd, out, liar_frame(out, (uint32_t)size, type, flags,
	    payload, size));
}

int
liar_put_number(int fd, unsigned int type, uint64_t value)
{
	struct str	payload;
	int		result;

	str_init(&payload);
	msg_number_put(&payload, value);
	result = liar_put_frame(fd, type, 0, payload.data, payload.len);
	str_clear(&payload);
	return result;
}

int
liar_put_noise(int fd)
{
	uint8_t	noise[4096];
	size_t	i, round;

	for (round = 0; round < 64; round++) {
		for (i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)liar_chance();
		if (liar_put(fd, noise, sizeof(noise)) == -1)
			return -1;
	}
	return 0;
}

int
liar_put_descriptors(int fd)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(100 * sizeof(int))];
	} control;
	uint8_t		 out[LIAR_HEADER];
	struct msghdr	 mh;
	struct iovec	 iov = { out, sizeof(out) };
	struct cmsghdr	*cmsg;
	int		 i, two = STDERR_FILENO;

	liar_frame(out, 0, MSG_SETTINGS_TAKEN, LIAR_FD, NULL, 0);
	memset(&mh, 0, sizeof(mh));
	memset(&control, 0, sizeof(control));
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control.space;
	mh.msg_controllen = sizeof(control.space);
	cmsg = CMSG_FIRSTHDR(&mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(100 * sizeof(int));
	for (i = 0; i < 100; i++)
		memcpy(CMSG_DATA(cmsg) + (size_t)i * sizeof(int), &two,
		    sizeof(two));
	return sendmsg(fd, &mh, MSG_NOSIGNAL) == -1 ? -1 : 0;
}

void
liar_charge(struct str *payload, const char *id)
{
	static struct msg_charge	charge;

	memset(&charge, 0, sizeof(charge));
	charge.mode = CHARGE_ONCE;
	charge.deadline = clock_after(clock_mono(), LIAR_WAIT_MS).ns;
	charge.instance = "liar";
	charge.instancelen = strlen("liar");
	charge.state = "DATA";
	charge.statelen = strlen("DATA");
	charge.nkeys = 1;
	charge.keys[0].id = id;
	charge.keys[0].idlen = strlen(id);
	charge.keys[0].amount = 1;
	charge.keys[0].limits.list = charge.store;
	charge.keys[0].limits.count = 1;
	charge.store[0].mails = 1000000;
	charge.store[0].seconds = 60;
	str_init(payload);
	msg_charge_put(payload, &charge);
}
