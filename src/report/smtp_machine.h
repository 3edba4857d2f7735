#ifndef SMTP_MACHINE_H
#define SMTP_MACHINE_H

#include "lib/str.h"
#include "report/smtp.h"

/*
 * What the parts of the SMTP client share: smtp.c reads the replies and begins
 * the session, smtp_auth.c logs in, smtp_mail.c sends the mail, smtp_machine.c
 * ends the session.
 */
enum smtp_step {
	STEP_GREETING,
	STEP_EHLO,
	STEP_HELO,
	STEP_STARTTLS,
	STEP_HANDSHAKE,
	STEP_PLAIN,
	STEP_LOGIN_USER,
	STEP_LOGIN_PASSWORD,
	STEP_CRAM,
	STEP_AUTH_END,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_BODY,
	STEP_QUIT,
	STEP_OVER,
	STEP__MAX
};

/* The extensions that the server offers and that we use. */
enum {
	CAN_STARTTLS	= 1 << 0,
	CAN_PIPELINING	= 1 << 1,
	CAN_SMTPUTF8	= 1 << 2,
	CAN_PLAIN	= 1 << 3,
	CAN_LOGIN	= 1 << 4,
	CAN_CRAM_MD5	= 1 << 5,
	CAN_SIZE	= 1 << 6
};
#define CAN_AUTH	(CAN_PLAIN | CAN_LOGIN | CAN_CRAM_MD5)

struct smtp {
	const struct smtp_config *config;
	const struct smtp_mail	*mail;
	enum smtp_step		 step;
	bool			 tls;
	bool			 taken;
	bool			 next;		/* smtp_next */
	unsigned int		 can;
	unsigned int		 mechanism;	/* that is under way */
	unsigned int		 tried;		/* those that failed */
	size_t			 rcpt;		/* whom the next reply is for */
	size_t			 sent_rcpt;	/* whom the next RCPT is for */
	size_t			 accepted;	/* recipients */
	struct str		 line;		/* an incomplete reply line */
	size_t			 skipped;	/* dropped from a long line */
	size_t			 lines;		/* complete lines of it */
	int			 code;
	size_t			 replies;	/* complete replies so far */
	struct str		 text;		/* the last line of a reply */
	struct str		 out;
	size_t			 gone;		/* bytes of `out`, sent */
	char			 reason[SMTP_REASON_MAX];
};

/* --- smtp_machine.c --- */

/* Whether there is output that is not written yet. */
bool	smtp_pending(const struct smtp *);

/* Wipes the output that is not written yet. */
void	smtp_drop_output(struct smtp *);

/* Appends to the reason. Both texts are made printable; detail may be "". */
void	smtp_add_reason(struct smtp *, const char *what, const char *detail);

/* Sends QUIT. */
void	smtp_quit(struct smtp *);

/*
 * Ends the session without a mail; smtp_refused adds the server's last reply.
 */
void	smtp_fail(struct smtp *, const char *what, const char *detail);
void	smtp_refused(struct smtp *, const char *what);

/* Ends the session without QUIT, since the server would not understand it. */
void	smtp_give_up(struct smtp *, const char *what);

/* --- smtp_auth.c --- */
void	smtp_auth_begin(struct smtp *);
void	smtp_auth_on_reply(struct smtp *);

/* --- smtp_mail.c --- */
void	smtp_mail_begin(struct smtp *);
void	smtp_mail_on_mail(struct smtp *);
void	smtp_mail_on_rcpt(struct smtp *);
void	smtp_mail_on_data(struct smtp *);
void	smtp_mail_on_body(struct smtp *);

#endif
