/* What the newest run of a `release` model says of each standing gas alarm: the polygon of its
 * plume and what people should do, for the public message of that alarm.
 *
 * Bounded by RELEASE_AREAS_MAX alarms; a run replaces all that was said before by its product.
 * Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_RELEASE_AREAS_H
#define CANHBAO_DAEMON_RELEASE_AREAS_H

#include <stddef.h>

#include "alerts/message/cap.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/station/station.h"

enum {
    RELEASE_AREAS_MAX = 64,
    RELEASE_POSITIONS_MAX = 200,
    RELEASE_TEXT_SIZE = 1536,
    RELEASE_COMMUNES_SIZE = 4096,
    RELEASE_CODES_SIZE = 1024
};
/* A plume older than that is none: the wind has changed. */
#define RELEASE_AREA_AGE_US INT64_C(3600000000)

struct release_area {
    char rule[STATION_ID_SIZE], place[STATION_ID_SIZE];
    struct utc_us reference_time;
    struct cap_outline outline;
    struct cap_polygon polygon;
    struct cap_position positions[RELEASE_POSITIONS_MAX];
    char instruction[2][RELEASE_TEXT_SIZE]; /* vi, en */
    /* Communes under the plume, "a;b;c", codes where known; "": the site tells no outlines. What
     * does not fit is left out from the end, where the lowest levels are. */
    char communes[RELEASE_COMMUNES_SIZE], commune_codes[RELEASE_CODES_SIZE];
};

struct release_areas {
    size_t count;
    struct release_area list[RELEASE_AREAS_MAX];
};

/* From the run's JSON object (member "cap", models/dispersion/release_report.h). ERR_SYNTAX,
 * ERR_INVALID: then nothing is changed. */
int release_areas_take(struct release_areas *areas, const char *output, size_t length,
                       struct utc_us reference_time, struct err *ret_err);

/* NULL: none, or too old at `now`. Valid until the next take. */
const struct release_area *release_areas_find(const struct release_areas *areas, const char *rule,
                                              const char *place, struct utc_us now);

#endif
