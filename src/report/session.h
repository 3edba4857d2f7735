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
	struct tls	*tls;		/* NULL: no TLS */
	bool		 tls_first;	/* TLS before the greeting */
	int		 seconds;	/* for the whole session; 0: only
					   smtp_timeout of each reply */

	/*
	 * The parent's channel, and the function to call when it is readable.
	 * That function may exit.
	 */
	int		 parent_fd;
	void		 (*on_parent)(void);

	/* Called once, when the server has accepted the mail. */
	void		 (*on_taken)(void);
};

/* Runs the session to its end. The SMTP machine has the result. */
void	session_run(const struct session *);

#endif
