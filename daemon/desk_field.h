/* What the daemon adds to a technician's command before it is taken: what was logged at the minute
 * of a hand reading, and whether the record that is to be revoked is there. Thread rule: loop
 * thread. */
#ifndef CANHBAO_DAEMON_DESK_FIELD_H
#define CANHBAO_DAEMON_DESK_FIELD_H

#include "daemon/view.h"

/* ERR_NOT_FOUND, ERR_EXISTS (revoked already), ERR_IO with a sentence; other commands are left as
 * they are. */
int desk_field_prepare(const struct view_source *view, struct command *command,
                       struct err *ret_err);

#endif
