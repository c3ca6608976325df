/* The grids of flashflood_out.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "models/grid/ncwrite.h"
#include "models/hydrology/flashflood_out.h"

enum { VARIABLES = 12 };
enum { MEDIAN, UNIT_MEDIAN, ABOVE, ZERO, PERSISTENCE, FFG, RATIO = FFG + 3, SOIL = RATIO + 3 };

#define DISCHARGE "water_volume_transport_in_river_channel"

static const struct ncwrite_variable variables[VARIABLES] = {
    {.name = "discharge_median",
     .standard_name = DISCHARGE,
     .long_name = "highest flow of the hour, median of the members",
     .units = "m3 s-1",
     .type = NCWRITE_FLOAT,
     .has_leads = true},
    {.name = "unit_streamflow_median",
     .long_name = "highest flow of the hour per drained area, median of the members",
     .units = "m3 s-1 km-2",
     .type = NCWRITE_FLOAT,
     .has_leads = true},
    {.name = "probability_above_threshold",
     .long_name = "share of the members at or above the threshold flow within the hour",
     .units = "1",
     .type = NCWRITE_FLOAT,
     .has_leads = true},
    {.name = "discharge_zero_rain",
     .standard_name = DISCHARGE,
     .long_name = "floor: no more rain",
     .units = "m3 s-1",
     .type = NCWRITE_FLOAT,
     .has_leads = true},
    {.name = "discharge_persistence",
     .standard_name = DISCHARGE,
     .long_name = "floor: the rain of the last hour goes on",
     .units = "m3 s-1",
     .type = NCWRITE_FLOAT,
     .has_leads = true},
    {.name = "ffg_1h",
     .long_name = "rain whose peak just reaches the threshold",
     .units = "mm",
     .type = NCWRITE_FLOAT},
    {.name = "ffg_3h",
     .long_name = "rain whose peak just reaches the threshold",
     .units = "mm",
     .type = NCWRITE_FLOAT},
    {.name = "ffg_6h",
     .long_name = "rain whose peak just reaches the threshold",
     .units = "mm",
     .type = NCWRITE_FLOAT},
    {.name = "ffg_ratio_1h",
     .long_name = "fallen and foreseen rain over guidance, to 1 h ahead",
     .units = "1",
     .type = NCWRITE_FLOAT},
    {.name = "ffg_ratio_3h",
     .long_name = "fallen and foreseen rain over guidance, to 3 h ahead",
     .units = "1",
     .type = NCWRITE_FLOAT},
    {.name = "ffg_ratio_6h",
     .long_name = "fallen and foreseen rain over guidance, to 6 h ahead",
     .units = "1",
     .type = NCWRITE_FLOAT},
    {.name = "soil_saturation",
     .long_name = "soil store over its capacity",
     .units = "1",
     .type = NCWRITE_FLOAT},
};

struct job {
    const struct crest_live *live;
    struct ncwriter *writer;
    size_t places;
    float *by_place, *field;
};

void flashflood_to_grid(const struct crest_domain *domain, const float *by_place,
                        float *ret_field) {
    const struct grid *grid = domain->grid;
    bool ascending = grid->y[grid->rows - 1] > grid->y[0];
    for (size_t r = 0; r < grid->rows; r++) {
        size_t from = ascending ? grid->rows - 1 - r : r;
        for (size_t c = 0; c < grid->columns; c++) {
            int32_t cell = domain->cell_of_grid[from * grid->columns + c];
            ret_field[r * grid->columns + c] =
                cell < 0 ? NAN : by_place[domain->network->place_of[cell]];
        }
    }
}

static int put(struct job *job, size_t variable, size_t lead, const float *by_place,
               struct err *ret_err) {
    flashflood_to_grid(job->live->domain, by_place, job->field);
    return ncwriter_put(job->writer, variable, 0, lead, job->field, ret_err);
}

static int put_lead(struct job *job, size_t lead, struct err *ret_err) {
    const struct crest_live *live = job->live;
    const struct crest_domain *domain = live->domain;
    size_t places = job->places, stride = CREST_LIVE_LEADS_H * places;
    const float *peak = live->peak_m3_s + lead * places;
    float *unit = job->by_place + places, *above = job->by_place + 2 * places;
    for (size_t p = 0; p < places; p++) {
        double threshold = live->threshold_unit_m3_s_km2 * domain->drained_km2[p];
        size_t count = 0;
        job->by_place[p] = cell_median(peak + p, live->member_count, stride);
        for (size_t m = 0; m < live->member_count; m++) {
            count += (double)peak[m * stride + p] >= threshold;
        }
        unit[p] = (float)((double)job->by_place[p] / domain->drained_km2[p]);
        above[p] = isnan(job->by_place[p]) ? NAN : (float)count / (float)live->member_count;
    }
    int rc = put(job, MEDIAN, lead, job->by_place, ret_err);
    rc = rc != 0 ? rc : put(job, UNIT_MEDIAN, lead, unit, ret_err);
    rc = rc != 0 ? rc : put(job, ABOVE, lead, above, ret_err);
    rc = rc != 0 ? rc : put(job, ZERO, lead, peak + live->member_count * stride, ret_err);
    return rc != 0 ? rc
                   : put(job, PERSISTENCE, lead, peak + (live->member_count + 1) * stride, ret_err);
}

static int put_static(struct job *job, struct err *ret_err) {
    const struct crest_live *live = job->live;
    size_t places = job->places;
    int rc = 0;
    for (size_t d = 0; rc == 0 && d < FFG_GRID_DURATIONS; d++) {
        const float *guidance = live->state.guidance_mm + d * places;
        const float *ratio = live->ratio + ((d + 1) * FFG_GRID_DURATIONS + d) * places;
        size_t stride = CREST_LIVE_RATIO_LEADS * FFG_GRID_DURATIONS * places;
        for (size_t p = 0; p < places; p++) {
            job->by_place[p] = live->state.guidance_us[0] == 0 ? NAN : guidance[p];
        }
        rc = put(job, FFG + d, 0, job->by_place, ret_err);
        for (size_t p = 0; p < places; p++) {
            job->by_place[p] = cell_median(ratio + p, live->member_count, stride);
        }
        rc = rc != 0 ? rc : put(job, RATIO + d, 0, job->by_place, ret_err);
    }
    for (size_t p = 0; p < places; p++) {
        job->by_place[p] =
            (float)(live->domain->crest.water_mm[p] / live->domain->parameters[p].wm_mm);
    }
    return rc != 0 ? rc : put(job, SOIL, 0, job->by_place, ret_err);
}

int flashflood_write_nc(const char *path, const struct flashflood_output *output,
                        const char *manifest_sha256, struct err *ret_err) {
    const struct crest_live *live = output->live;
    const struct grid *grid = live->domain->grid;
    struct job job = {.live = live, .places = live->domain->network->count};
    int64_t lead_s[CREST_LIVE_LEADS_H];
    char history[HASH_TEXT_SIZE + 32];
    for (int k = 0; k < CREST_LIVE_LEADS_H; k++) {
        lead_s[k] = 3600 * (k + 1);
    }
    (void)snprintf(history, sizeof history, "run manifest %s", manifest_sha256);
    const struct ncwrite_header header = {.grid = grid,
                                          .reference_utc_us = live->reference_us,
                                          .lead_count = CREST_LIVE_LEADS_H,
                                          .lead_s = lead_s,
                                          .title = "flows and flash-flood guidance to 24 h",
                                          .source = "canhbao-model flashflood " CANHBAO_VERSION,
                                          .history = history};
    job.by_place = calloc(3 * job.places + 1, sizeof *job.by_place);
    job.field = calloc(grid->rows * grid->columns, sizeof *job.field);
    int rc = job.by_place == NULL || job.field == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for fields")
                 : ncwriter_create(path, &header, variables, VARIABLES, &job.writer, ret_err);
    for (size_t k = 0; rc == 0 && k < CREST_LIVE_LEADS_H; k++) {
        rc = put_lead(&job, k, ret_err);
    }
    rc = rc != 0 ? rc : put_static(&job, ret_err);
    if (rc == 0) {
        rc = ncwriter_finish(job.writer, ret_err);
    } else {
        ncwriter_destroy(job.writer);
    }
    free(job.by_place);
    free(job.field);
    return rc;
}
