#ifndef CONF_YAML_H
#define CONF_YAML_H

#include <stddef.h>

#include "conf/fault.h"
#include "conf/value.h"

/*
 * The .yaml syntax: libyaml's events; plain scalars are resolved as PyYAML's
 * SafeLoader does (YAML 1.1). Returns a dict of the settings, never NULL; adds
 * all faults to `faults`.
 */
#define YAML_FILE_MAX	(8 * 1024 * 1024)
struct value	*yaml_file(const char *, size_t, struct faults *);

#endif
