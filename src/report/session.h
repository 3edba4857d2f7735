#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "report/smtp.h"
#include "report/tls.h"

/* Moves bytes between the SMTP machine, TLS and the socket. */
struct session {
	int		 fd;		/* connected, non-blocking */
	struct smtp	*smtp;
	struct tls	*tls;		/* NULL: none is wanted */
	bool		 tls_first;	/* before the greeting */
	int		 seconds;	/* at the most, all in all; 0: no end */

	/*
	 * The descriptor of the parent and what is done when it has something
	 * to say, which may be to exit.
	 */
	int		 parent_fd;
	void		 (*on_parent)(void);

	/* Called once, as soon as the server took the mail. */
	void		 (*on_taken)(void);
};

/* Until it is over; how it went, the SMTP machine says. */
void	session_run(const struct session *);

#endif
