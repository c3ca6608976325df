/* The daemon's figures in the Prometheus text format 0.0.4. Names end in their unit.
 * Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_METRICS_H
#define CANHBAO_DAEMON_METRICS_H

#include <stddef.h>

#include "daemon/view.h"

/* From malloc(); NULL without memory. */
char *metrics_text(const struct view_source *source, size_t *ret_length);

#endif
