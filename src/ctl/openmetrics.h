#ifndef OPENMETRICS_H
#define OPENMETRICS_H

#include "ctl/answer.h"

/*
 * Appends the answer to `metrics` in the OpenMetrics text format, version
 * 1.0.0, or, with `prometheus`, in the Prometheus text format, version 0.0.4.
 * Pure.
 */
void	openmetrics_add(struct str *, const struct answer *, bool prometheus);

#endif
