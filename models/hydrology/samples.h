/* Readings of station points, as they came, and what they say of an hour.
 *
 * CSV in long form: time (RFC 3339), station, point, value (empty: none), flag (QARTOD: 1 good,
 * 2 not evaluated, 3 suspect, 4 fail, 9 missing); further columns are ignored. Rows of a point
 * ascend in time; points may come in any order. A value flagged suspect or fail, and an empty one,
 * is no value: it ends what the reading before it said.
 *
 * Thread rule: read-only once read. */
#ifndef CANHBAO_MODELS_HYDROLOGY_SAMPLES_H
#define CANHBAO_MODELS_HYDROLOGY_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/hydrology/flood_site.h"

/* A reading speaks for at most that long. */
#define SAMPLES_HOLD_US INT64_C(1200000000)
/* An amount is known when that share of its time is. */
#define SAMPLES_COVERAGE 0.75

struct samples; /* a whole file */

/* ERR_SYNTAX and others of models/table; ERR_INVALID: times of a point that do not ascend, a flag
 * that is none. */
int samples_read(const char *path, struct samples **ret_samples, struct err *ret_err);
/* The same from memory; `name` stands for the file in errors. */
int samples_parse(const char *name, const char *bytes, size_t size, struct samples **ret_samples,
                  struct err *ret_err);
struct samples *samples_destroy(struct samples *samples);

/* Oldest and newest time over all rows, UTC microseconds; 0 rows: INT64_MAX, INT64_MIN. */
int64_t samples_first_us(const struct samples *samples);
int64_t samples_last_us(const struct samples *samples);

/* The value that stands at a time: of the newest reading in (utc_us - SAMPLES_HOLD_US, utc_us].
 * NaN: none, or not good. */
double samples_at(const struct samples *samples, const struct flood_point *point, int64_t utc_us);

/* Rain over [from, to), mm. mm_per_count 0: the mean of the rate (mm/h) over the time that has
 * readings, NaN when that is less than SAMPLES_COVERAGE; else the difference of the counter, NaN
 * when an end is unknown or it went backwards. */
double samples_rain_mm(const struct samples *samples, const struct flood_point *point,
                       double mm_per_count, int64_t from_us, int64_t to_us);

/* Rain over a basin: mean of its points by weight over those that know; NaN when they have less
 * than half of the weight. ret_share (may be NULL) gets the share of the weight that knew. */
double samples_basin_mm(const struct samples *samples, const struct flood_basin *basin,
                        int64_t from_us, int64_t to_us, double *ret_share);

#endif
