/* A gas alarm as it stands: where the gas comes from and where it goes, from what the stations
 * said.
 *
 * Readings are means of the last ten minutes of each gas sensor, wind the mean vector of the last
 * twenty minutes; ppm becomes mg/m3 with temperature and pressure of the weather station. With
 * three sensors above the detection limit or more the source is traced; with fewer ("not enough
 * data") the site of the catalogue that lies upwind of the highest reading and has the substance is
 * assumed, and said to be assumed; without one there is no plume. Zones are those of a steady
 * release. Each sensor's rise is judged (sensor_doubt.h); what looks like a fault is labelled, and
 * takes nothing from alarm, trace or zones. Thread rule: one call, one thread. */
#ifndef CANHBAO_MODELS_DISPERSION_RELEASE_LIVE_H
#define CANHBAO_MODELS_DISPERSION_RELEASE_LIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/dispersion/communes.h"
#include "models/dispersion/readings.h"
#include "models/dispersion/release_site.h"
#include "models/dispersion/sensor_doubt.h"
#include "models/dispersion/trace.h"
#include "models/dispersion/trace_report.h"
#include "models/dispersion/zones.h"
#include "models/table/args.h"
#include "models/table/longform.h"

/* What is to be thought of a station's sensor of the substance. */
struct release_sensor {
    struct sensor_verdict verdict;
    size_t downwind, downwind_up;
};

enum release_basis { RELEASE_NOTHING, RELEASE_TRACED, RELEASE_ASSUMED };

struct release_live {
    const struct release_site *site;
    int64_t now_us, since_us;
    const struct release_substance *substance;
    char rule[RELEASE_ID_SIZE];
    struct readings readings; /* in order of site->stations */
    struct weather weather;   /* one row */
    struct weather_air air;
    struct release_sensor *sensors; /* in order of site->stations */
    double mg_m3_per_ppm;
    enum release_basis basis;
    char why[160]; /* without a traced source: what is missing */
    const struct release_place *assumed;
    struct trace_problem problem;
    struct trace_result traced;
    struct release release; /* what the zones are of */
    struct zones zones;
    bool has_zones;
    struct communes communes; /* of the site's outlines; without zones none is cut */
    bool has_outlines;        /* of communes */
};

/* The alarm that is followed: of the daemon's list of standing alarms the highest of a rule that
 * the site knows. ERR_NOT_FOUND: none stands. ERR_SYNTAX. */
int release_live_alarm(struct release_live *live, const json_t *alarms, struct err *ret_err);

/* The wind of the last twenty minutes as the one row of `weather`, and `air`. ERR_NOT_FOUND. */
int release_live_wind(struct release_live *live, const struct longform *series,
                      struct err *ret_err);

/* Fills the rest. Not enough data is no error: `why` says it. ERR_NOT_FOUND: no wind, temperature
 * or pressure of the last half hour. ERR_INVALID: a series in another unit. release_live_finish()
 * always. */
int release_live_run(struct release_live *live, const struct longform *series,
                     const char *levels_path, const struct args_list *outlines,
                     struct trace_places *points, struct err *ret_err);

/* `zones` of `release` in `weather`, on the smallest of four maps (5 to 40 km) that holds the
 * lowest level, and `communes` of the outlines. Errors of zones_levels_read(), zones_run() and
 * communes_cut(). */
int release_live_zones(struct release_live *live, const char *levels_path,
                       const struct args_list *outlines, struct err *ret_err);
/* Whether nothing beyond the map reaches the lowest level: that of a release near the ground ends
 * on the map, or is nowhere. */
bool release_live_closed(const struct release_live *live);
/* The level at a place; NaN: not known. A continuous release is asked at the place itself, others
 * on the map. ret_conc: mg/m3; untouched where it is not known. */
double release_live_level(const struct release_live *live, double x_m, double y_m,
                          double *ret_conc);
void release_live_finish(struct release_live *live);

#endif
