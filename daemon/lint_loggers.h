/* What reading loggers aside costs, told at load: how many requests a whole memory is, and whether
 * there is room for them between the points' requests. Thread rule: pure. */
#ifndef CANHBAO_DAEMON_LINT_LOGGERS_H
#define CANHBAO_DAEMON_LINT_LOGGERS_H

#include "daemon/config/site.h"

/* Calls tell once a station with a logger; `warning`: there is never room, so that its memory is
 * not read, and the rest only by impatience (drivers/driver.h). */
void lint_loggers(const struct site *site,
                  void (*tell)(void *ctx, const char *station, bool warning, const char *text),
                  void *ctx);

#endif
