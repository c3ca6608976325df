/* What people and programs see of the daemon: JSON documents built from the live state. One builder
 * for the control socket and the HTTP interface. Every function returns a new reference, NULL
 * without memory.
 *
 * Numbers that are not known are null. A level never stands without its scale. What is provisional
 * says so. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_VIEW_H
#define CANHBAO_DAEMON_VIEW_H

#include <jansson.h>

#include "alerts/kpi.h"
#include "alerts/outbox.h"
#include "daemon/config/site.h"
#include "daemon/field.h"
#include "daemon/health.h"
#include "daemon/loggers.h"
#include "daemon/pipeline.h"
#include "drivers/driver.h"

/* Borrowed; NULL where a part is switched off. */
struct view_source {
    const struct site *site;
    struct clock *clock;
    struct pipeline *pipeline;
    struct store *store;
    const struct health *health;
    struct acquisition *acquisition;
    const struct loggers *loggers; /* NULL while there are none yet */
    const struct outbox *outbox;   /* NULL: no Kafka configured */
    const struct kafka *kafka;
    const struct control *control;
    const struct kpi *kpi; /* since the start */
    struct moment started; /* pipeline_now() at the start */
    struct message_context messages;
    const size_t *endpoint_of_station; /* by station; see view_map_endpoints() */
};

/* Which endpoint of the acquisition serves each station. Caller frees. NULL without memory. */
size_t *view_map_endpoints(const struct site *site);

json_t *view_status(const struct view_source *source);
json_t *view_health(const struct view_source *source); /* the heartbeat's body */
/* `station` NULL or empty: all. ERR_NOT_FOUND. */
json_t *view_stations(const struct view_source *source, const char *station, struct err *ret_err);
json_t *view_alarms(const struct view_source *source);
/* Open ones first; each with its members. */
json_t *view_incidents(const struct view_source *source);
/* after -1: the newest `limit`. */
json_t *view_events(const struct view_source *source, int64_t after, size_t limit);
/* Newest first; `point` NULL or empty: every point of the station. Values are calibrated as was
 * known at `as_of` (0: now). ERR_NOT_FOUND. */
json_t *view_readings(const struct view_source *source, const char *station, const char *point,
                      size_t limit, struct utc_us as_of, struct err *ret_err);
/* What technicians did at a station, oldest first. ERR_NOT_FOUND. */
json_t *view_records(const struct view_source *source, const char *station, struct err *ret_err);

/* True when a reading of this process (pipeline_newest) is older than its point may be silent. */
bool view_is_stale(const struct view_source *source, uint32_t point, const struct reading *reading);

#endif
