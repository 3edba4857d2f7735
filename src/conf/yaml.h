#ifndef CONF_YAML_H
#define CONF_YAML_H

#include <stddef.h>

#include "conf/fault.h"
#include "conf/value.h"

/*
 * The .yaml syntax: libyaml's events, plain scalars resolved as PyYAML's
 * SafeLoader does (YAML 1.1). A dict of the settings, never NULL; all faults go
 * to `faults`.
 */
#define YAML_FILE_MAX	(8 * 1024 * 1024)
struct value	*yaml_file(const char *, size_t, struct faults *);

#endif
