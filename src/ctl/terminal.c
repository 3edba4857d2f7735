#include <sys/types.h>
#include <sys/ioctl.h>

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/terminal.h"
#include "lib/num.h"

#define LEAST_WIDTH	40
#define ENDLESS		(SIZE_MAX / 2)
#define LEAST_HEIGHT	5
#define MOST		1000

static size_t
size_of(const char *variable, size_t known, size_t otherwise)
{
	const char	*text = getenv(variable);
	int64_t		 n;

	if (text != NULL && num_parse(text, strlen(text), 1, MOST, &n) == 0)
		return (size_t)n;
	return known > 0 ? known : otherwise;
}

size_t
terminal_width(void)
{
	struct winsize	size;
	size_t		known = 0, width;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		known = size.ws_col;
	width = size_of("COLUMNS", known, isatty(STDOUT_FILENO) ? 80 : ENDLESS);
	return width < LEAST_WIDTH ? LEAST_WIDTH : width;
}

size_t
terminal_height(void)
{
	struct winsize	size;
	size_t		known = 0;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		known = size.ws_row;
	known = size_of("LINES", known, 24);
	return known < LEAST_HEIGHT ? LEAST_HEIGHT : known;
}

bool
terminal_is(void)
{
	const char	*term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term != NULL &&
	    strcmp(term, "dumb") != 0;
}

static bool
coloured(void)
{
	const char	*none = getenv("NO_COLOR");

	return (none == NULL || *none == '\0') && terminal_is();
}

const char *
terminal_colour(enum terminal_colour colour)
{
	static const char	*const sequences[] = {
		[TERMINAL_GREEN] = "\033[32m",
		[TERMINAL_YELLOW] = "\033[33m",
		[TERMINAL_RED] = "\033[31m"
	};

	return coloured() ? sequences[colour] : "";
}

const char *
terminal_plain(void)
{
	return coloured() ? "\033[0m" : "";
}

const char *
terminal_anew(void)
{
	return terminal_is() ? "\033[H\033[J" : "";
}

/* --- waiting --- */

static struct {
	struct termios	before;
	bool		changed;
} keys;

static void
on_signal(int number)
{
	/* A change of size only ends the wait. */
	if (number == SIGWINCH)
		return;
	terminal_restore();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

void
terminal_keys(void)
{
	struct sigaction	sa;
	struct termios		raw;

	if (!terminal_is() || tcgetattr(STDIN_FILENO, &keys.before) == -1)
		return;
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGHUP, &sa, NULL);
	(void)sigaction(SIGWINCH, &sa, NULL);
	raw = keys.before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void
terminal_restore(void)
{
	if (keys.changed)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &keys.before);
	keys.changed = false;
}

int
terminal_keys_fd(void)
{
	return keys.changed ? STDIN_FILENO : -1;
}

bool
terminal_goes_on(void)
{
	char	key;

	return read(STDIN_FILENO, &key, 1) == 1 && key != 'q';
}

bool
terminal_wait(int ms)
{
	struct pollfd	pfd = { .fd = terminal_keys_fd(), .events = POLLIN };

	return poll(&pfd, 1, ms) != 1 || terminal_goes_on();
}
