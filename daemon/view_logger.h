/* What people see of a station's logger beside its points. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_VIEW_LOGGER_H
#define CANHBAO_DAEMON_VIEW_LOGGER_H

#include "daemon/view.h"

/* {"identity", "clock", "memory"}, each null without its section; null without any. */
json_t *view_logger(const struct view_source *source, size_t station);

#endif
