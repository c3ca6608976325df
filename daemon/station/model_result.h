/* One number of one model run: what the job runner hands to the engine.
 *
 * A run gives many of them (one per area, variable, window and lead time). `value` is NaN when the
 * model could not say, with the cause in words. Owner: whoever holds the struct; no pointers. */
#ifndef CANHBAO_STATION_MODEL_RESULT_H
#define CANHBAO_STATION_MODEL_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/base/ids.h"
#include "daemon/station/station.h"

enum { MODEL_CAUSE_SIZE = 96 };

/* Why a number is there but nothing may be called off because of it. Kept in the journal. */
enum model_doubt {
    MODEL_DOUBT_NONE,
    MODEL_DOUBT_SKILL, /* forecasts with this lead were worse than persistence over the last day */
    MODEL_DOUBT_INPUT, /* the model says that input which quality control doubts matters here */
    MODEL_DOUBT_COUNT
};

struct model_result {
    char product[STATION_ID_SIZE];  /* the inbox product of the configuration: "radar" */
    char model[STATION_ID_SIZE];    /* "areal" */
    char place[STATION_ID_SIZE];    /* an area or station of the site */
    char variable[STATION_ID_SIZE]; /* "rain_mean", "rain_max", "rain_covered", "stage", ... */
    char unit[STATION_UNIT_SIZE];
    int64_t window_us;            /* accumulation window; 0: a rate or state at an instant */
    int64_t lead_us;              /* 0: analysis, above 0: forecast */
    struct utc_us reference_time; /* the newest observation that went in */
    double value;                 /* NaN: unknown */
    double at_least; /* of an unknown amount: it is not below this; not above 0: nothing is told */
    double
        coverage; /* share of the place (and of the window) that had data, 0 to 1; NaN: not told */
    double probability; /* of what the variable says, 0 to 1; NaN: a deterministic number */
    enum model_doubt doubt;
    char manifest[HASH_TEXT_SIZE]; /* SHA-256 of the run manifest */
    char cause[MODEL_CAUSE_SIZE];  /* why unknown; empty otherwise */
};

#endif
