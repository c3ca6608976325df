/* What a trace found, as JSON: see the --help of canhbao-model trace.
 *
 * Thread rule: pure functions on the caller's memory. */
#ifndef CANHBAO_MODELS_DISPERSION_TRACE_REPORT_H
#define CANHBAO_MODELS_DISPERSION_TRACE_REPORT_H

#include <jansson.h>
#include <stdint.h>

#include "models/dispersion/readings.h"
#include "models/dispersion/trace.h"

enum { PLACE_TEXT = 64 };

/* A candidate site or a point that can be reached. */
struct trace_place {
    char id[PLACE_TEXT], name[PLACE_TEXT];
    double x_m, y_m;
    double travel_min; /* to a point; NaN: not told */
    bool reachable;
};

struct trace_places {
    size_t count;
    struct trace_place *list;
};

/* CSV: id, x_east_m, y_north_m; name, reachable (yes, no), travel_min may be there. `path` NULL:
 * none. ERR_IO, ERR_SYNTAX, ERR_NOT_FOUND, ERR_INVALID, ERR_LIMIT, ERR_MEMORY. */
int trace_places_read(const char *path, struct trace_places *ret_places, struct err *ret_err);
void trace_places_finish(struct trace_places *places);

/* A grid of points over the 90 % region of where a source may be and the sensors' plume, for when
 * no list of points was given. ERR_MEMORY. */
int trace_places_around(const struct readings *readings, const struct weather_air *air,
                        struct trace_places *ret_places, struct err *ret_err);

/* The object; NULL: no memory. `points` are the places in order of problem->points. */
json_t *trace_report(const struct trace_problem *problem, const struct readings *readings,
                     const struct trace_result *result, const struct trace_places *catalogue,
                     const struct trace_places *points);

#endif
