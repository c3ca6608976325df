/* What follows from a run of model `release`: plume and traced source become attachments of the
 * incident of the alarm, the polygon and the instruction wait for its next public message.
 *
 * The incident hears of a new state at once, else every FOLLOW_AGAIN_US. Thread rule: loop thread.
 */
#ifndef CANHBAO_DAEMON_RELEASE_FOLLOW_H
#define CANHBAO_DAEMON_RELEASE_FOLLOW_H

#include "daemon/jobs.h"
#include "daemon/pipeline.h"
#include "daemon/release_areas.h"

#define FOLLOW_AGAIN_US INT64_C(900000000)

struct release_follow { /* zeroed at first */
    char rule[STATION_ID_SIZE], place[STATION_ID_SIZE], status[STATION_ID_SIZE];
    struct utc_us attached;
};

/* Does nothing for other models. ERR_SYNTAX, ERR_INVALID: the output is not understood. An alarm
 * that is gone by now, or in no incident, is no error. */
int release_follow(struct release_follow *follow, const struct jobs_run *run,
                   struct release_areas *areas, struct pipeline *pipeline, struct utc_us now,
                   struct err *ret_err);

#endif
