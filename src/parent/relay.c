#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "parent/relay.h"

#define READ_BYTES	8192		/* in one turn of the loop */
#define LINE_COST	64	/* each line counts as so many more */
#define PERIOD_MS	100
#define PERIOD_BRIEF	((size_t)128 * 1024)	/* about 6,000 lines a second */
#define PERIOD_DETAIL	((size_t)1024 * 1024)	/* about 50,000 */
#define PIPE_BYTES	(1024 * 1024)

int
relay_open(struct relay *r, const char *name)
{
	int	fd[2];

	memset(r, 0, sizeof(*r));
	r->fd = -1;
	r->name = name;
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) == -1)
		return -1;
#ifdef F_SETPIPE_SZ
	/* Holds a burst of lines while this process waits for a CPU. */
	(void)fcntl(fd[0], F_SETPIPE_SZ, PIPE_BYTES);
#endif
	r->fd = fd[0];
	return fd[1];
}

void
relay_close(struct relay *r)
{
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
}

/* The number of lines logged, 1 or 0. */
static size_t
end_line(struct relay *r)
{
	bool	whole = r->len > 0 && !r->cut;

	if (whole)
		log_relay(r->name, r->pid, r->line, r->len);
	r->len = 0;
	r->cut = false;
	return whole;
}

/* Logs a part. Returns what it cost; 0: nothing is there now. */
static size_t
read_some(struct relay *r)
{
	char		 bytes[READ_BYTES], *p = bytes;
	const char	*end;
	ssize_t		 got;
	size_t		 n, left, lines = 0;

	if (r->fd == -1)
		return 0;
	if ((got = read(r->fd, bytes, sizeof(bytes))) <= 0) {
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			relay_close(r);
		return 0;
	}
	for (left = (size_t)got; left > 0; p += n, left -= n) {
		end = memchr(p, '\n', left);
		n = end != NULL ? (size_t)(end - p) : left;
		if (n > sizeof(r->line) - r->len)
			n = sizeof(r->line) - r->len;
		memcpy(r->line + r->len, p, n);
		r->len += n;
		if (n < left && p[n] == '\n') {
			lines += end_line(r);
			n++;
		} else if (r->len == sizeof(r->line)) {
			/* The end of a long line is dropped. */
			lines += end_line(r);
			r->cut = true;
		}
	}
	return (size_t)got + LINE_COST * lines;
}

void
relay_take(struct relay *r, struct mono now)
{
	size_t	cost;

	if (clock_passed(r->next, now)) {
		r->next = clock_after(now, PERIOD_MS);
		r->left = log_debugging() ? PERIOD_DETAIL : PERIOD_BRIEF;
	}
	if (r->left == 0)
		return;
	cost = read_some(r);
	r->left = r->left > cost ? r->left - cost : 0;
}

void
relay_rest(struct relay *r)
{
	size_t	cost, left = PERIOD_DETAIL;

	while (left > 0 && (cost = read_some(r)) > 0)
		left = left > cost ? left - cost : 0;
	(void)end_line(r);
}

int
relay_poll(const struct relay *r, struct mono now, int *left)
{
	if (r->left > 0 || clock_passed(r->next, now))
		return r->fd;
	if (r->fd != -1)
		*left = clock_sooner(*left, clock_left(r->next, now));
	return -1;
}
