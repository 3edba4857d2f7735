#ifndef MEMBER_H
#define MEMBER_H

#include "conf/reader.h"

/*
 * Readers of settings that fill several members of struct settings: `out` of
 * struct reading is the whole struct.
 */
reader	member_sockets;		/* sockets, nsockets */
reader	member_control_socket;	/* control_socket itself; None: none */
reader	member_log;		/* log itself */
reader	member_smtp_server;	/* smtp_host, smtp_port; 0: no port */
reader	member_credentials;	/* smtp_user, smtp_password */
reader	member_starttls;	/* smtp_tls */
reader	member_tls;		/* smtp_tls; None: as smtp_starttls says */
reader	member_report_subject;	/* itself; None and "": the default */
reader	member_report_limits;	/* report_limits, nreport_limits */

#define MEMBER_REPORT_SUBJECT	"policyd-rate-limit report"

/* Frees these members. */
void	member_clear(struct settings *);

#endif
