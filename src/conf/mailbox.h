#ifndef MAILBOX_H
#define MAILBOX_H

#include "conf/reader.h"

/*
 * Readers of mail addresses. "Name <user@host>" gives the address in it, as
 * Python's smtplib does. An accepted address cannot end a line or a command of
 * SMTP.
 */
reader	mailbox_read;		/* char *; None and "" are NULL */
reader	mailbox_read_list;	/* struct settings_strings */

#endif
