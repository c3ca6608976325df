/* canhbaoctl kpi: figures of the alarm system (alerts/kpi.h) with their targets beside.
 * Thread rule: single-threaded program. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_KPI_H
#define CANHBAO_DAEMON_CONTROL_CTL_KPI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Asks the daemon one thing; `request` is taken over. An exit code. */
typedef int ctl_ask_fn(void *ctx, json_t *request, json_t **ret_data);

/* Over the last `for_us` of the daemon's time, from its events and alarms. An exit code. */
int ctl_kpi(ctl_ask_fn *ask, void *ctx, int64_t for_us, bool as_json);

#endif
