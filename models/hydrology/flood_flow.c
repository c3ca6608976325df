#include "models/hydrology/flood_flow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/gr_series.h"

static size_t pieces_of(const struct flood_site *site, size_t reach_count) {
    size_t sum = 0;
    for (size_t r = 0; r < reach_count; r++) {
        sum += (size_t)site->reaches[r].cunge.pieces;
    }
    return sum;
}

const char *flood_release_name(enum flood_release release) {
    static const char *const names[] = {"gauged", "schedule", "rule", "held", "unknown"};
    return names[release];
}

/* ---- states ---- */

static struct flood_state *make_state(const struct flood_site *site) {
    size_t pieces = pieces_of(site, site->reach_count);
    struct flood_state *state = calloc(1, sizeof *state);
    if (state != NULL) {
        state->pieces = calloc(2 * pieces + 1, sizeof *state->pieces);
    }
    if (state == NULL || state->pieces == NULL) {
        return flood_state_destroy(state);
    }
    state->dry.pieces = state->pieces;
    state->wet.pieces = state->pieces + pieces;
    return state;
}

int flood_state_create(const struct flood_site *site, int64_t start_us,
                       struct flood_state **ret_state, struct err *ret_err) {
    struct flood_state *state = make_state(site);
    if (state == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the state");
    }
    state->end_us = start_us;
    for (size_t b = 0; b < site->basin_count; b++) {
        const struct flood_basin *basin = &site->basins[b];
        if (basin->is_hbv) {
            hbv_state_start(&basin->hbv, &state->dry.hbv[b]);
        } else {
            state->dry.gr[b].production_mm = basin->start_production * basin->gr.parameters.x1_mm;
            state->dry.gr[b].routing_mm = basin->start_routing * basin->gr.parameters.x3_mm;
        }
    }
    for (size_t r = 0; r < site->reservoir_count; r++) {
        state->dry.volume_m3[r] = site->reservoirs[r].start_m3;
        state->held_m3_s[r] = NAN;
    }
    *ret_state = state;
    return 0;
}

struct flood_state *flood_state_destroy(struct flood_state *state) {
    if (state != NULL) {
        free(state->pieces);
        free(state);
    }
    return NULL;
}

static void copy_view(const struct flood_site *site, struct flood_view *ret_view,
                      const struct flood_view *view) {
    struct cunge_piece *pieces = ret_view->pieces;
    *ret_view = *view;
    ret_view->pieces = pieces;
    memcpy(pieces, view->pieces, pieces_of(site, site->reach_count) * sizeof *pieces);
}

void flood_state_copy(const struct flood_site *site, struct flood_state *ret_state,
                      const struct flood_state *state) {
    struct cunge_piece *pieces = ret_state->pieces;
    struct cunge_piece *dry = ret_state->dry.pieces, *wet = ret_state->wet.pieces;
    *ret_state = *state;
    ret_state->pieces = pieces;
    ret_state->dry.pieces = dry;
    ret_state->wet.pieces = wet;
    memcpy(pieces, state->pieces, 2 * pieces_of(site, site->reach_count) * sizeof *pieces);
}

/* ---- one hour of one view ---- */

static double runoff_m3_s(const struct flood_site *site, struct flood_view *view, size_t b,
                          double rain_mm, double evaporation_mm, int64_t utc_us) {
    const struct flood_basin *basin = &site->basins[b];
    if (view->lost[b] || isnan(rain_mm)) {
        view->lost[b] = true;
        return NAN;
    }
    double mm = basin->is_hbv ? hbv_step(&basin->hbv, &view->hbv[b], rain_mm, evaporation_mm,
                                         flood_temperature_c(site, utc_us), NULL)
                              : gr_step(&basin->gr, &view->gr[b], rain_mm, evaporation_mm, NULL);
    return mm * basin->area_km2 / 3.6;
}

static double scheduled(const struct flood_reservoir *reservoir, int64_t utc_us) {
    double release = NAN;
    for (size_t i = 0; i < reservoir->schedule_count && reservoir->schedule_us[i] <= utc_us; i++) {
        release = reservoir->schedule_m3_s[i];
    }
    return release;
}

static double by_rule(const struct flood_reservoir *reservoir, double volume_m3) {
    size_t n = reservoir->rule_count, i = 0;
    if (n == 0) {
        return NAN;
    }
    while (i < n && reservoir->rule_m3[i] <= volume_m3) {
        i++;
    }
    if (i == 0 || i == n) {
        return reservoir->rule_m3_s[i == 0 ? 0 : n - 1];
    }
    double part = (volume_m3 - reservoir->rule_m3[i - 1]) /
                  (reservoir->rule_m3[i] - reservoir->rule_m3[i - 1]);
    return reservoir->rule_m3_s[i - 1] +
           part * (reservoir->rule_m3_s[i] - reservoir->rule_m3_s[i - 1]);
}

/* What leaves the reservoir. A gauged release is what it is; the others cannot release more than
 * there is, and above full_m3 everything is spilled. The volume stays within 0 and full_m3: with a
 * gauge its error is that of the inflow. */
static double release_m3_s(const struct flood_state *state, const struct flood_reservoir *reservoir,
                           size_t r, const struct flood_hour *hour, double inflow_m3_s,
                           struct flood_view *view) {
    const double hour_s = 3600;
    double *volume_m3 = &view->volume_m3[r];
    double release = hour->release_m3_s[r];
    view->release[r] = FLOOD_RELEASE_GAUGED;
    if (isnan(release)) {
        release = scheduled(reservoir, hour->start_us);
        view->release[r] = FLOOD_RELEASE_SCHEDULE;
    }
    if (isnan(release)) {
        release = by_rule(reservoir, *volume_m3);
        view->release[r] = FLOOD_RELEASE_RULE;
    }
    if (isnan(release) && hour->future && state->held_age_h[r] <= FLOOD_HELD_MAX_H) {
        release = state->held_m3_s[r];
        view->release[r] = FLOOD_RELEASE_HELD;
    }
    if (isnan(release)) {
        view->release[r] = FLOOD_RELEASE_UNKNOWN;
    }
    double after_m3 = *volume_m3 + (inflow_m3_s - release) * hour_s;
    if (isnan(after_m3)) {
        return release; /* the volume waits until both are known */
    }
    if (view->release[r] != FLOOD_RELEASE_GAUGED) {
        release += fmax(0, after_m3 - reservoir->full_m3) / hour_s;
        release -= fmax(0, -after_m3) / hour_s;
    }
    *volume_m3 = fmin(fmax(after_m3, 0), reservoir->full_m3);
    return release;
}

static double reach_m3_s(const struct flood_reach *reach, size_t r, double inflow_m3_s,
                         struct flood_view *view, struct cunge_piece *pieces) {
    if (isnan(inflow_m3_s)) {
        view->doubt_h[r] = view->running[r] || view->doubt_h[r] > 0 ? 1 : 0;
        view->running[r] = false;
        return NAN;
    }
    if (!view->running[r]) {
        cunge_start(&reach->cunge, inflow_m3_s, pieces);
        view->running[r] = true;
        view->doubt_h[r] =
            view->doubt_h[r] > 0 ? 3 * cunge_travel_s(&reach->cunge, inflow_m3_s) / 3600 : 0;
        return inflow_m3_s;
    }
    view->doubt_h[r] = fmax(0, view->doubt_h[r] - 1);
    return cunge_step(&reach->cunge, inflow_m3_s, pieces);
}

/* Nodes from the springs down. `flow` has the runoff of the basins and ends as the flow that leaves
 * each node. */
static void route(const struct flood_site *site, const struct flood_state *state,
                  struct flood_view *view, const struct flood_hour *hour, double *flow,
                  bool *doubt) {
    for (size_t i = 0; i < site->node_count; i++) {
        size_t node = site->order[i], piece = 0;
        for (size_t r = 0; r < site->reservoir_count; r++) {
            if (site->reservoirs[r].node == node) {
                flow[node] = release_m3_s(state, &site->reservoirs[r], r, hour, flow[node], view);
                doubt[node] = doubt[node] && view->release[r] != FLOOD_RELEASE_GAUGED;
            }
        }
        for (size_t r = 0; r < site->reach_count; r++) {
            const struct flood_reach *reach = &site->reaches[r];
            if (reach->from == node) {
                flow[reach->to] += reach_m3_s(reach, r, flow[node], view, view->pieces + piece);
                doubt[reach->to] = doubt[reach->to] || doubt[node] || view->doubt_h[r] > 0;
            }
            piece += (size_t)reach->cunge.pieces;
        }
    }
}

static void step_view(const struct flood_site *site, const struct flood_state *state,
                      struct flood_view *view, const struct flood_hour *hour, double gap_rain_mm,
                      double *ret_flow, bool *doubt) {
    double evaporation_mm = flood_evaporation_mm(site, hour->start_us);
    memset(ret_flow, 0, site->node_count * sizeof *ret_flow);
    for (size_t b = 0; b < site->basin_count; b++) {
        double rain_mm = hour->rain_mm[b];
        rain_mm = isnan(rain_mm) && !hour->future ? gap_rain_mm : rain_mm;
        ret_flow[site->basins[b].node] +=
            runoff_m3_s(site, view, b, rain_mm, evaporation_mm, hour->start_us);
    }
    route(site, state, view, hour, ret_flow, doubt);
}

/* ---- both views ---- */

static bool agree(double a, double b) {
    return (isnan(a) && isnan(b)) || fabs(a - b) <= FLOOD_AGREEMENT * fmin(a, b) + 1e-3;
}

static bool stores_agree(const struct flood_basin *basin, const struct flood_state *state,
                         size_t b) {
    double difference =
        basin->is_hbv
            ? (state->wet.hbv[b].soil_mm - state->dry.hbv[b].soil_mm) / basin->hbv.parameters.fc_mm
            : (state->wet.gr[b].production_mm - state->dry.gr[b].production_mm) /
                  basin->gr.parameters.x1_mm;
    return fabs(difference) <= 0.02;
}

static bool has_recovered(const struct flood_site *site, const struct flood_state *state,
                          const struct flood_flows *flows) {
    for (size_t b = 0; b < site->basin_count; b++) {
        const struct flood_basin *basin = &site->basins[b];
        if (state->hours_since_gap < (basin->is_hbv ? basin->hbv.n : basin->gr.n2) ||
            !stores_agree(basin, state, b)) {
            return false;
        }
    }
    for (size_t n = 0; n < site->node_count; n++) {
        if (!agree(flows->dry_m3_s[n], flows->wet_m3_s[n])) {
            return false;
        }
    }
    return true;
}

static void note_releases(const struct flood_site *site, struct flood_state *state,
                          const struct flood_hour *hour) {
    for (size_t r = 0; r < site->reservoir_count; r++) {
        if (!isnan(hour->release_m3_s[r])) {
            state->held_m3_s[r] = hour->release_m3_s[r];
            state->held_age_h[r] = 0;
        } else if (!hour->future) {
            state->held_age_h[r]++;
        }
    }
}

void flood_step(const struct flood_site *site, struct flood_state *state,
                const struct flood_hour *hour, struct flood_flows *ret_flows) {
    bool missing = false;
    for (size_t b = 0; b < site->basin_count; b++) {
        missing = missing || isnan(hour->rain_mm[b]);
    }
    if (missing && !hour->future) {
        if (!state->recovering) {
            copy_view(site, &state->wet, &state->dry);
            state->recovering = true;
        }
        state->hours_since_gap = 0;
    }
    memset(ret_flows, 0, sizeof *ret_flows);
    step_view(site, state, &state->dry, hour, 0, ret_flows->dry_m3_s, ret_flows->doubt);
    if (state->recovering) {
        step_view(site, state, &state->wet, hour, GR_GAP_RAIN_MM(GR_HOURLY), ret_flows->wet_m3_s,
                  ret_flows->doubt);
    } else {
        memcpy(ret_flows->wet_m3_s, ret_flows->dry_m3_s, sizeof ret_flows->wet_m3_s);
    }
    note_releases(site, state, hour);
    state->end_us = hour->start_us + INT64_C(3600000000);
    state->hours++;
    if (state->recovering && !missing && !hour->future) {
        state->hours_since_gap++;
        state->recovering = !has_recovered(site, state, ret_flows);
    }
}

double flood_stored_m3(const struct flood_site *site, const struct flood_view *view) {
    double sum = 0;
    for (size_t b = 0; b < site->basin_count; b++) {
        const struct flood_basin *basin = &site->basins[b];
        double mm = basin->is_hbv ? hbv_stored_mm(&basin->hbv, &view->hbv[b])
                                  : gr_stored_mm(&basin->gr, &view->gr[b]);
        sum += mm * basin->area_km2 * 1e3;
    }
    for (size_t i = 0; i < pieces_of(site, site->reach_count); i++) {
        sum += view->pieces[i].storage;
    }
    for (size_t r = 0; r < site->reservoir_count; r++) {
        sum += view->volume_m3[r];
    }
    return sum;
}
