#ifndef MAILBOX_H
#define MAILBOX_H

#include "conf/reader.h"

/*
 * Mail addresses. "Name <user@host>" is the address in it, as Python's smtplib
 * took it. Nothing that is read could end a line or a command of SMTP.
 */
reader	mailbox_read;		/* char *; None and "" are NULL */
reader	mailbox_read_list;	/* struct settings_strings */

#endif
