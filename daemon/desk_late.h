/* Readings out of a logger's memory that a technician brings: they enter as late readings, through
 * the journal like all others. Thread rule: loop thread. */
#ifndef CANHBAO_DAEMON_DESK_LATE_H
#define CANHBAO_DAEMON_DESK_LATE_H

#include "daemon/control/protocol.h"
#include "daemon/view.h"

/* {"taken": N}; NULL with a sentence: no such point, or times that are not in the past. */
json_t *desk_late(const struct view_source *view, const struct control_request *request,
                  const char *actor, struct err *ret_err);

#endif
