/* Rain gauges of the daemon's stations, and what fell at one of them in a window.
 *
 * Stations: JSON as daemon/station_list.h writes it. A gauge is a station's point of kind counter
 * or amount in mm; a station has at most one in the file, other points are passed over.
 *
 * What fell is counted as the daemon counts it (station/counter.h, station/window.h): between two
 * totals in a row the amount is exact or not known. A total that passed its modulus is exact; one
 * that was set back makes a hole; a reading that is missing makes none, as the totals on both sides
 * of it still tell; one that quality control doubts or failed makes one, as the tips of a test are
 * in the totals after it. The window of a gauge ends with its newest undoubted reading, at most
 * `slack_us` before the end that is asked for. A gauge counts when at least RAIN_KNOWN_SHARE of its
 * window is known: its rate is that of the known time.
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_MERGE_GAUGES_H
#define CANHBAO_MODELS_MERGE_GAUGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/table/longform.h"

enum { RAIN_GAUGES_MAX = 512, RAIN_WHY_SIZE = 96 };
#define RAIN_KNOWN_SHARE 0.8
#define RAIN_RATE_MAX    500.0 /* mm/h over a window; the record of an hour is 401 mm */

struct rain_gauges;

/* ERR_SYNTAX, ERR_INVALID (also without any gauge), ERR_LIMIT, ERR_MEMORY, all with the place. */
int rain_gauges_load(const char *path, struct rain_gauges **ret_gauges, struct err *ret_err);
/* NULL is fine; returns NULL. */
struct rain_gauges *rain_gauges_destroy(struct rain_gauges *gauges);

size_t rain_gauges_count(const struct rain_gauges *gauges);
/* The station's id, and its place (WGS 84; NaN: not told). */
const char *rain_gauge_id(const struct rain_gauges *gauges, size_t index);
void rain_gauge_place(const struct rain_gauges *gauges, size_t index, double *ret_latitude_deg,
                      double *ret_longitude_deg);

struct rain_span {
    int64_t end_us, window_us, slack_us;
};

struct rain_fall {
    double rate_mm_h;        /* NaN: not known well enough */
    double known_min;        /* time of the window that is known */
    bool doubted;            /* readings of the window are suspect or failed */
    char why[RAIN_WHY_SIZE]; /* why not known; empty: it is */
};

/* ERR_INVALID: the readings are in another unit than the stations say; ERR_MEMORY. */
int rain_gauge_fall(const struct rain_gauges *gauges, size_t index, const struct longform *series,
                    const struct rain_span *span, struct rain_fall *ret_fall, struct err *ret_err);

#endif
