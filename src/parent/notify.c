#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/num.h"
#include "parent/notify.h"

static void
open_socket(struct notify *n, const char *path)
{
	/* A manager that does not read must not block us for long. */
	const struct timeval	patience = { .tv_sec = 1 };
	struct sockaddr_un	sun;
	size_t			len = strlen(path);

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(sun.sun_path)) {
		log_warning("NOTIFY_SOCKET names no socket that can be used");
		return;
	}
	memcpy(sun.sun_path, path, len);
	/*
	 * An abstract name on Linux begins with a NUL and has none at its end.
	 */
	if (path[0] == '@')
		sun.sun_path[0] = '\0';
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd == -1 || connect(n->fd, (struct sockaddr *)&sun,
	    offsetof(struct sockaddr_un, sun_path) + len) == -1) {
		log_warning("NOTIFY_SOCKET: %s", strerror(errno));
		notify_close(n);
		return;
	}
	setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
	    sizeof(patience));
}

void
notify_open(struct notify *n)
{
	const char	*path = getenv("NOTIFY_SOCKET");
	const char	*usec = getenv("WATCHDOG_USEC");
	const char	*pid = getenv("WATCHDOG_PID");
	int64_t		 us, whose;

	n->fd = -1;
	n->interval_ms = 0;
	if (path != NULL && path[0] != '\0')
		open_socket(n, path);
	if (usec == NULL || n->fd == -1 || (pid != NULL &&
	    (num_parse(pid, strlen(pid), 1, INT32_MAX, &whose) == -1 ||
	    whose != getpid())))
		goto out;
	if (num_parse(usec, strlen(usec), 2000, INT32_MAX * (int64_t)1000,
	    &us) == -1) {
		log_warning("WATCHDOG_USEC is not a usable time");
		goto out;
	}
	/* Half of its interval, as sd_watchdog_enabled(3) advises. */
	n->interval_ms = us / 2000;
	n->next = clock_after(clock_mono(), n->interval_ms);
 out:
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void
notify_close(struct notify *n)
{
	if (n->fd != -1)
		close(n->fd);
	n->fd = -1;
	n->interval_ms = 0;
}

static void	tell(const struct notify *, const char *, ...)
		    __attribute__((__format__(printf, 2, 3)));

static void
tell(const struct notify *n, const char *fmt, ...)
{
	char	text[512];
	va_list	ap;
	int	len;

	if (n->fd == -1)
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	if ((size_t)len >= sizeof(text))
		len = sizeof(text) - 1;
	if (send(n->fd, text, len, MSG_NOSIGNAL) == -1)
		log_debug("NOTIFY_SOCKET: %s", strerror(errno));
}

void
notify_ready(const struct notify *n, const char *status)
{
	tell(n, "READY=1\nMAINPID=%ld\nSTATUS=%s\n", (long)getpid(), status);
}

void
notify_reloading(const struct notify *n)
{
	tell(n, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloading\n",
	    (long long)(clock_mono().ns / 1000));
}

void
notify_stopping(const struct notify *n)
{
	tell(n, "STOPPING=1\nSTATUS=Stopping\n");
}

void
notify_watchdog(struct notify *n, struct mono now)
{
	if (n->interval_ms == 0 || !clock_passed(n->next, now))
		return;
	n->next = clock_after(now, n->interval_ms);
	tell(n, "WATCHDOG=1\n");
}

int
notify_left(const struct notify *n, struct mono now)
{
	return n->interval_ms == 0 ? -1 : clock_left(n->next, now);
}
