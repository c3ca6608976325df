/* What the daemon gives to `merge`, and what it gets back: gauges out of the readings that it
 * exports, the mean of the radar frames over the same time, results of areas as JSON.
 *
 * Both stand for the mean rate (mm/h) of the last `window_min` before the reference time: that of
 * the newest radar frame, if it is at most `stale_min` old, else the time of the run. Gauges:
 * gauges.h; those that are not used are named with the reason. A radar frame stands for the time
 * since the one before, at most `hold_min`, the first for as long as the usual step; a cell needs
 * RAIN_KNOWN_SHARE of the window. Without such frames the gauges stand alone, and said so.
 *
 * Results of each area: rain_mean and rain_max over the window, unknown where less than
 * RAIN_KNOWN_SHARE of the area is; doubtful where at least MERGE_LIVE_DOUBT_SHARE of it lies
 * nearest to a gauge that quality control doubts; radar_share and suspect_share (areas.h); and what
 * is of the whole run, the same in every area. Thread rule: one call, one thread. */
#ifndef CANHBAO_MODELS_MERGE_LIVE_H
#define CANHBAO_MODELS_MERGE_LIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/grid/area.h"
#include "models/merge/areas.h"
#include "models/merge/gauges.h"
#include "models/merge/merge.h"
#include "models/nowcast/frames.h"
#include "models/table/args.h"
#include "models/table/table.h"

#define MERGE_LIVE_DOUBT_SHARE 0.1

struct merge_live {
    const char *product, *series, *stations, *reference, *variable;
    struct args_list frame_files, area_files;
    double window_min, slack_min, hold_min, stale_min;

    int64_t reference_us; /* end of the window */
    struct area_list areas;
    json_t *gauges; /* [{id, rain_mm_h or null, estimate_mm_h or null, known_min, doubted, why}] */
    json_t *left_out;     /* sentences */
    bool *doubted;        /* [gauges] left out by quality control */
    size_t used, suspect; /* how many gauges */
    struct frames frames;
    size_t frame_count; /* that count in the window */
};

/* First. The mean radar rate over the window, [cells] of live->frames.grid, which stays the live's;
 * left as it is when there is none, with its reason in left_out. Sets reference_us. ERR_SYNTAX:
 * live->reference; ERR_MEMORY. */
int merge_live_radar(struct merge_live *live, float **ret_radar, struct err *ret_err);

/* Then the areas, and the table (id, lon, lat, rain) of every gauge that has a position, rain empty
 * where it is not used. Those of gauges.h, longform_read() and area_list_load(). */
int merge_live_gauges(struct merge_live *live, struct table **ret_table, struct err *ret_err);

/* {model, product, reference_time, manifest, manifest_sha256, results, merge} to `out`. Row i of
 * `rows` is the gauge of site i of the result; `areas` as merge_areas_measure() found them. */
struct merge_told {
    const struct merge_result *result;
    const size_t *rows;
    const struct merge_area *areas;
    const char *method;
    bool radar;
};
int merge_live_write(struct merge_live *live, const struct merge_told *told, const char *out,
                     struct err *ret_err);
void merge_live_finish(struct merge_live *live);

#endif
