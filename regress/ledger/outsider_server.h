#ifndef OUTSIDER_SERVER_H
#define OUTSIDER_SERVER_H

#include "conf/value.h"
#include "outsider.h"

/* What those of servers share; of each server: */
extern const char	outsider_first[];	/* a database that is there */
extern const char	outsider_create[];	/* makes one, %s */
extern const char	outsider_changes[];	/* made by others; SQL */

/* The connection's dictionary, for the database `path`. */
void	outsider_server_config(struct value *, const char *password_key,
	    const char *database_key, const char *path);

#endif
