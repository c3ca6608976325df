#include "models/hydrology/flashflood_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEAK_LEADS = 5 };
static const int peak_leads_h[PEAK_LEADS] = {1, 3, 6, 12, 24};

/* ---- areas ---- */

/* The place of a cell of the file, or -1. */
static int32_t place_of(const struct crest_domain *domain, size_t index) {
    const struct grid *grid = domain->grid;
    size_t row = index / grid->columns, column = index % grid->columns;
    bool ascending = grid->y[grid->rows - 1] > grid->y[0];
    row = ascending ? grid->rows - 1 - row : row;
    int32_t cell = domain->cell_of_grid[row * grid->columns + column];
    return cell < 0 ? -1 : domain->network->place_of[cell];
}

int flashflood_areas(struct grid_env *env, const struct crest_domain *domain,
                     const struct area_list *areas, struct cell_area **ret_areas,
                     struct err *ret_err) {
    size_t cells = domain->grid->rows * domain->grid->columns;
    int64_t *places = calloc(cells, sizeof *places);
    if (places == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for areas");
    }
    for (size_t i = 0; i < cells; i++) {
        places[i] = place_of(domain, i);
    }
    int rc = cell_areas_create(env, domain->grid, places, areas, ret_areas, ret_err);
    free(places);
    return rc;
}

/* ---- one number of an area and a member ---- */

/* Highest of the known cells; coverage: share that is known. */
static struct cell_found highest(const struct cell_area *area, const float *by_place,
                                 const double *divisor) {
    struct cell_found found = {NAN, 0};
    size_t known = 0;
    for (size_t i = 0; i < area->count; i++) {
        double value = (double)by_place[area->places[i]];
        value /= divisor != NULL ? divisor[area->places[i]] : 1;
        known += (size_t)!isnan(value);
        found.value = isnan(found.value) || value > found.value ? value : found.value;
    }
    found.coverage = area->count == 0 ? 0 : (double)known / (double)area->count;
    return found;
}

/* Share of the known cells at or above a bound. */
static struct cell_found share(const struct cell_area *area, const float *by_place, double bound) {
    size_t known = 0, above = 0;
    for (size_t i = 0; i < area->count; i++) {
        double value = (double)by_place[area->places[i]];
        known += (size_t)!isnan(value);
        above += value >= bound;
    }
    return (struct cell_found){known == 0 ? (double)NAN : (double)above / (double)known,
                               area->count == 0 ? 0 : (double)known / (double)area->count};
}

/* Highest until a lead. A cell that is unknown in an hour is so until then. */
static struct cell_found highest_until(const struct flashflood_output *out,
                                       const struct cell_area *area, size_t m, int lead_h) {
    const struct crest_live *live = out->live;
    size_t places = live->domain->network->count;
    struct cell_found found = {NAN, 1};
    for (int k = 0; k < lead_h; k++) {
        const float *peak = live->peak_m3_s + (m * CREST_LIVE_LEADS_H + (size_t)k) * places;
        struct cell_found hour = highest(area, peak, live->domain->drained_km2);
        found.value = isnan(found.value) || hour.value > found.value ? hour.value : found.value;
        found.coverage = fmin(found.coverage, hour.coverage);
    }
    return found;
}

/* ---- results ---- */

static const char not_known[] = "rain or state of too many cells is not known";

static void add(json_t *list, const struct flashflood_output *out, const struct cell_row *row,
                struct cell_found found) {
    found.value = found.coverage >= out->min_coverage ? found.value : (double)NAN;
    cell_row_add(list, row, found, NAN, not_known);
}

static void add_members(json_t *list, const struct flashflood_output *out,
                        const struct cell_row *row, const struct cell_found *members) {
    cell_row_add_members(list, row, members, out->live->member_count, out->min_coverage, not_known);
}

static void add_guidance(json_t *list, const struct flashflood_output *out,
                         const struct cell_area *area) {
    const struct crest_live *live = out->live;
    size_t places = live->domain->network->count;
    for (size_t d = 0; d < FFG_GRID_DURATIONS; d++) {
        const float *guidance = live->state.guidance_mm + d * places; /* the newest slot */
        struct cell_found found = {NAN, 0};
        size_t known = 0;
        for (size_t i = 0; live->state.guidance_us[0] != 0 && i < area->count; i++) {
            double mm = (double)guidance[area->places[i]];
            known += (size_t)!isnan(mm);
            found.value = isnan(found.value) || mm < found.value ? mm : found.value;
        }
        found.coverage = area->count == 0 ? 0 : (double)known / (double)area->count;
        const struct cell_row row = {area->id, "ffg_min", "mm", ffg_grid_hours[d], 0};
        add(list, out, &row, found);
    }
}

static void add_ratios(json_t *list, const struct flashflood_output *out,
                       const struct cell_area *area) {
    const struct crest_live *live = out->live;
    size_t places = live->domain->network->count;
    for (size_t d = 0; d < FFG_GRID_DURATIONS; d++) {
        for (size_t l = 0; l < CREST_LIVE_RATIO_LEADS; l++) {
            int lead_h = crest_live_ratio_leads_h[l];
            struct cell_row ratio = {area->id, "ffg_ratio", "1", ffg_grid_hours[d], lead_h};
            struct cell_row part = {area->id, "ffg_share", "1", ffg_grid_hours[d], lead_h};
            struct cell_found ratios[CELL_RAIN_MEMBERS_MAX], shares[CELL_RAIN_MEMBERS_MAX];
            if (lead_h > ffg_grid_hours[d]) {
                continue;
            }
            /* What has fallen is the same in all members, and in the floor behind them. */
            size_t first = lead_h == 0 ? live->member_count : 0;
            size_t last = lead_h == 0 ? live->member_count + 1 : live->member_count;
            for (size_t m = first; m < last; m++) {
                const float *field =
                    live->ratio +
                    ((m * CREST_LIVE_RATIO_LEADS + l) * FFG_GRID_DURATIONS + d) * places;
                ratios[m - first] = highest(area, field, NULL);
                shares[m - first] = share(area, field, out->share_ratio);
            }
            if (lead_h == 0) {
                add(list, out, &ratio, ratios[0]);
                add(list, out, &part, shares[0]);
            } else {
                add_members(list, out, &ratio, ratios);
                add_members(list, out, &part, shares);
            }
        }
    }
}

static void add_flows(json_t *list, const struct flashflood_output *out,
                      const struct cell_area *area, const float *now) {
    static const char unit[] = "m3 s-1 km-2";
    const struct crest_live *live = out->live;
    const struct cell_row instant = {area->id, "unit_streamflow", unit, 0, 0};
    add(list, out, &instant, highest(area, now, live->domain->drained_km2));
    for (int i = 0; i < PEAK_LEADS; i++) {
        int lead_h = peak_leads_h[i];
        struct cell_found members[CELL_RAIN_MEMBERS_MAX];
        struct cell_row row = {area->id, "peak_unit_streamflow", unit, lead_h, lead_h};
        for (size_t m = 0; m < live->member_count; m++) {
            members[m] = highest_until(out, area, m, lead_h);
        }
        add_members(list, out, &row, members);
        row.variable = "peak_unit_streamflow_zero_rain";
        add(list, out, &row, highest_until(out, area, live->member_count, lead_h));
        row.variable = "peak_unit_streamflow_persistence";
        add(list, out, &row, highest_until(out, area, live->member_count + 1, lead_h));
    }
}

/* The discharge at the reference time as floats. NULL: no memory. */
static float *flow_now(const struct crest_live *live) {
    const struct kinematic *kinematic = live->domain->crest.kinematic;
    size_t places = live->domain->network->count;
    float *now = calloc(places + 1, sizeof *now);
    for (size_t p = 0; now != NULL && p < places; p++) {
        bool known = kinematic->mark[p] == KINEMATIC_OK;
        now[p] = known ? (float)kinematic->outflow_m3_s[p] : NAN;
    }
    return now;
}

json_t *flashflood_results(const struct flashflood_output *output) {
    json_t *list = json_array();
    float *now = flow_now(output->live);
    for (size_t a = 0; list != NULL && now != NULL && a < output->area_count; a++) {
        const struct cell_area *area = &output->areas[a];
        add_guidance(list, output, area);
        add_ratios(list, output, area);
        add_flows(list, output, area, now);
    }
    if (now == NULL) {
        json_decref(list);
        list = NULL;
    }
    free(now);
    return list;
}

/* ---- details ---- */

static void centre_of(const struct crest_domain *domain, size_t place, double *ret_x,
                      double *ret_y) {
    const struct grid *grid = domain->grid;
    for (size_t i = 0; i < grid->rows * grid->columns; i++) {
        if (place_of(domain, i) >= 0 && (size_t)place_of(domain, i) == place) {
            *ret_x = grid->x[i % grid->columns];
            *ret_y = grid->y[i / grid->columns];
            return;
        }
    }
}

/* Mean over the members to the lead that is the duration; without members of what has fallen. */
static double mean_ratio(const struct crest_live *live, size_t d, size_t place) {
    size_t places = live->domain->network->count;
    size_t stride = CREST_LIVE_RATIO_LEADS * FFG_GRID_DURATIONS * places;
    const float *fallen = live->ratio + d * places + place;
    double sum = 0;
    for (size_t m = 0; m < live->member_count; m++) {
        sum += (double)fallen[m * stride + (d + 1) * FFG_GRID_DURATIONS * places];
    }
    return live->member_count > 0 ? sum / (double)live->member_count : (double)fallen[0];
}

/* Where the ratio of any duration is highest. */
static json_t *worst_of(const struct flashflood_output *out, const struct cell_area *area) {
    const struct crest_live *live = out->live;
    double most = 0, x = 0, y = 0;
    size_t at = 0;
    int duration_h = 0;
    for (size_t d = 0; d < FFG_GRID_DURATIONS; d++) {
        for (size_t i = 0; i < area->count; i++) {
            double value = mean_ratio(live, d, area->places[i]);
            if (value > most) { /* NaN is not */
                most = value;
                at = area->places[i];
                duration_h = ffg_grid_hours[d];
            }
        }
    }
    if (duration_h == 0) {
        return json_null();
    }
    centre_of(live->domain, at, &x, &y);
    bool degrees = live->domain->grid->degrees;
    return json_pack("{s:f, s:f, s:i, s:f}", degrees ? "longitude_deg" : "x_m", x,
                     degrees ? "latitude_deg" : "y_m", y, "duration_h", duration_h, "ratio", most);
}

json_t *flashflood_details(const struct flashflood_output *output) {
    const struct crest_live *live = output->live;
    json_t *warnings = json_array(), *areas = json_array();
    double hours = (double)live->state.steps * (double)live->step_us / 3.6e9;
    if (hours < CREST_LIVE_SETTLED_H) {
        (void)json_array_append_new(warnings,
                                    json_string("the model has not settled since its start"));
    }
    if (live->missing_steps > 0) {
        (void)json_array_append_new(warnings, json_string("rain was missing, cells are unknown"));
    }
    if (live->member_count == 0) {
        (void)json_array_append_new(warnings, json_string("no rain forecast: floors only"));
    }
    for (size_t a = 0; a < output->area_count; a++) {
        const struct cell_area *area = &output->areas[a];
        (void)json_array_append_new(areas, json_pack("{s:s, s:I, s:o}", "area", area->id, "cells",
                                                     (json_int_t)area->count, "worst",
                                                     worst_of(output, area)));
    }
    return json_pack("{s:f, s:i, s:I, s:o, s:o}", "hours_since_start", hours, "missing_rain_steps",
                     live->missing_steps, "members", (json_int_t)live->member_count, "warnings",
                     warnings, "areas", areas);
}
