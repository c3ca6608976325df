/* What the daemon gives to `merge`, and what it gets back: gauges out of the readings that it
 * exports, the mean of the radar frames over the same time, results as JSON.
 *
 * Both stand for the mean rate (mm/h) of the last `window_min` before the reference time: that of
 * the newest radar frame, if it is at most `stale_min` old, else the time of the run. A gauge
 * is a counter in mm: its rate is the difference of the readings at both ends over the time between
 * them, each end at most `slack_min` off; a gauge without them, one that went back, or one above
 * MERGE_LIVE_RATE_MAX is not used, and said so. A radar frame stands for the time since the one
 * before, at most `hold_min`, the first for as long as the usual step; a cell needs
 * MERGE_LIVE_SHARE_MIN of the window. Without such frames the gauges stand alone, and said so.
 *
 * Site: JSON {kind "rain-gauges", version 1, note, area, point, gauges [{id, latitude_deg,
 * longitude_deg}]}; unknown keys are refused. area: an id that results of the whole carry.
 * Thread rule: one call, one thread. */
#ifndef CANHBAO_MODELS_MERGE_LIVE_H
#define CANHBAO_MODELS_MERGE_LIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/merge/merge.h"
#include "models/nowcast/frames.h"
#include "models/table/args.h"
#include "models/table/table.h"

enum { MERGE_LIVE_ID_SIZE = 64 };
#define MERGE_LIVE_RATE_MAX  500.0 /* mm/h over the window; the record of an hour is 401 mm */
#define MERGE_LIVE_SHARE_MIN 0.8

struct merge_live {
    const char *product, *series, *site, *reference, *variable;
    struct args_list frame_files;
    double window_min, slack_min, hold_min, stale_min;

    int64_t reference_us; /* end of the window */
    char area[MERGE_LIVE_ID_SIZE], point[MERGE_LIVE_ID_SIZE];
    json_t *gauges;   /* [{id, rain_mm_h or null, estimate_mm_h or null, why}] */
    json_t *left_out; /* sentences */
    struct frames frames;
    size_t frame_count; /* that count in the window */
};

/* First. The mean radar rate over the window, [cells] of live->frames.grid, which stays the live's;
 * left as it is when there is none, with its reason in left_out. Sets reference_us. ERR_SYNTAX:
 * live->reference; ERR_MEMORY. */
int merge_live_radar(struct merge_live *live, float **ret_radar, struct err *ret_err);

/* Then the table (id, lon, lat, rain) of every gauge of the site, rain empty where it is not used.
 * Fills area, point, gauges. ERR_SYNTAX, ERR_INVALID, those of longform_read(). */
int merge_live_gauges(struct merge_live *live, struct table **ret_table, struct err *ret_err);

/* {model, product, reference_time, manifest, manifest_sha256, results, merge} to `out`. Row i of
 * `rows` is the gauge of site i of the result. */
int merge_live_write(struct merge_live *live, const struct merge_result *result, const size_t *rows,
                     const char *method, bool radar, const char *out, struct err *ret_err);
void merge_live_finish(struct merge_live *live);

#endif
