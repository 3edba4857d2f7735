#ifndef METRICS_H
#define METRICS_H

#include "engine/control/control.h"

/*
 * The metrics, as families ("metrics": name, type, unit, help) and their
 * samples ("samples": name, value, and optionally label and label_value), in
 * the order of OpenMetrics.
 */
void	metrics_on_state(struct control *, const struct msg_state *);
int	metrics_on_answer(struct control *, const struct message *);
void	metrics_on_timeout(struct control *);

#endif
