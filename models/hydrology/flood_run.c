#include "models/hydrology/flood_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/rain_members.h"

#define HOUR_US INT64_C(3600000000)
#define SLOT_US INT64_C(300000000) /* the grain in which rain sources follow each other */

/* ---- the past ---- */

/* The first hour in which every basin has rain: what fell before is in the assumed stores. */
static int64_t first_hour_us(const struct flood_run *run) {
    int64_t hour_us = samples_first_us(run->samples);
    if (hour_us > run->reference_us) {
        return run->reference_us;
    }
    hour_us += (HOUR_US - hour_us % HOUR_US) % HOUR_US;
    for (; hour_us < run->reference_us; hour_us += HOUR_US) {
        size_t known = 0;
        for (size_t b = 0; b < run->site->basin_count; b++) {
            known += (size_t)!isnan(samples_basin_mm(run->samples, &run->site->basins[b], hour_us,
                                                     hour_us + HOUR_US, NULL));
        }
        if (known == run->site->basin_count) {
            break;
        }
    }
    return hour_us;
}

static int start_state(struct flood_run *run, struct flood_state *state, struct err *ret_err) {
    run->state = state;
    run->reference_us = run->now_us - run->now_us % HOUR_US;
    if (state == NULL) {
        int64_t first_us = first_hour_us(run);
        if (first_us >= run->reference_us) {
            return err_set(ret_err, ERR_INVALID,
                           "the readings do not hold one full hour with rain of every basin");
        }
        int rc = flood_state_create(run->site, first_us, &run->state, ret_err);
        if (rc != 0) {
            return rc;
        }
    }
    int64_t hours = (run->reference_us - run->state->end_us) / HOUR_US;
    if (hours < 0 || hours > FLOOD_PAST_MAX_H) {
        return err_set(ret_err, ERR_INVALID,
                       "the state is %lld h before the run; 0 to %d can be caught up",
                       (long long)hours, FLOOD_PAST_MAX_H);
    }
    run->past_count = (size_t)hours;
    return flood_state_create(run->site, 0, &run->saved, ret_err);
}

static int make_past(struct flood_run *run, struct err *ret_err) {
    for (size_t g = 0; g < run->site->gauge_count; g++) {
        struct flood_past *past = &run->past[g];
        past->observed_m3_s = calloc(3 * run->past_count + 1, sizeof *past->observed_m3_s);
        if (past->observed_m3_s == NULL) {
            return err_set(ret_err, ERR_MEMORY, "no memory for %zu hours", run->past_count);
        }
        past->stage_m = past->observed_m3_s + run->past_count;
        past->simulated_m3_s = past->stage_m + run->past_count;
    }
    return 0;
}

static void read_hour(const struct flood_run *run, int64_t start_us, struct flood_hour *ret_hour) {
    const struct flood_site *site = run->site;
    *ret_hour = (struct flood_hour){.start_us = start_us};
    for (size_t b = 0; b < site->basin_count; b++) {
        ret_hour->rain_mm[b] =
            samples_basin_mm(run->samples, &site->basins[b], start_us, start_us + HOUR_US, NULL);
    }
    for (size_t r = 0; r < site->reservoir_count; r++) {
        ret_hour->release_m3_s[r] =
            site->reservoirs[r].has_gauge
                ? samples_at(run->samples, &site->reservoirs[r].gauge, start_us + HOUR_US)
                : (double)NAN;
    }
}

static double known_flow(const struct flood_flows *flows, size_t node) {
    double dry = flows->dry_m3_s[node], wet = flows->wet_m3_s[node];
    return flows->doubt[node] || !(fabs(wet - dry) <= FLOOD_AGREEMENT * dry + 1e-3) ? (double)NAN
                                                                                    : dry;
}

static void note_hour(struct flood_run *run, size_t t, const struct flood_hour *hour,
                      const struct flood_flows *flows) {
    const struct flood_site *site = run->site;
    bool missing = false;
    for (size_t b = 0; b < site->basin_count; b++) {
        run->rain_now_mm[b] = hour->rain_mm[b];
        missing = missing || isnan(hour->rain_mm[b]);
    }
    run->missing_h += missing;
    for (size_t g = 0; g < site->gauge_count; g++) {
        const struct flood_gauge *gauge = &site->gauges[g];
        struct flood_past *past = &run->past[g];
        past->stage_m[t] = samples_at(run->samples, &gauge->at, hour->start_us + HOUR_US);
        past->observed_m3_s[t] = rating_flow(&gauge->rating, past->stage_m[t]).flow_m3_s;
        past->simulated_m3_s[t] = known_flow(flows, gauge->node);
    }
}

static void run_past(struct flood_run *run) {
    flood_state_copy(run->site, run->saved, run->state);
    for (size_t b = 0; b < run->site->basin_count; b++) {
        run->rain_now_mm[b] = NAN;
    }
    for (size_t t = 0; t < run->past_count; t++) {
        struct flood_hour hour;
        struct flood_flows flows;
        read_hour(run, run->state->end_us, &hour);
        flood_step(run->site, run->state, &hour, &flows);
        note_hour(run, t, &hour, &flows);
        if (t + FLOOD_STATE_LAG_H + 1 <= run->past_count) {
            flood_state_copy(run->site, run->saved, run->state);
        }
    }
}

/* What the hour under way has brought. */
static void read_since(struct flood_run *run) {
    const struct flood_site *site = run->site;
    bool begun = run->now_us > run->reference_us;
    for (size_t b = 0; b < site->basin_count; b++) {
        run->fallen_mm[b] = begun ? samples_basin_mm(run->samples, &site->basins[b],
                                                     run->reference_us, run->now_us, NULL)
                                  : 0;
    }
    run->since_count = !begun                                 ? 0
                       : run->past_count < FORECAST_SINCE_MAX ? run->past_count
                                                              : FORECAST_SINCE_MAX;
    for (size_t g = 0; g < site->gauge_count; g++) {
        const struct flood_gauge *gauge = &site->gauges[g];
        for (size_t i = 0; i < run->since_count; i++) {
            int64_t at_us = run->now_us - (int64_t)(run->since_count - 1 - i) * HOUR_US;
            double stage_m = samples_at(run->samples, &gauge->at, at_us);
            run->since_m3_s[g][i] = rating_flow(&gauge->rating, stage_m).flow_m3_s;
        }
    }
}

/* ---- rain to come ---- */

static struct rain_member member_of(const struct flood_run *run, size_t m) {
    return rain_member_of(m, run->nowcast != NULL ? run->nowcast->member_count : 0,
                          run->nwp != NULL ? run->nwp->member_count : 0, run->site->rain_log_sigma);
}

static double rate_of_slot(const struct flood_run *run, const struct rain_member *member, size_t b,
                           int64_t from_us, double observed_mm_h) {
    int64_t to_us = from_us + SLOT_US;
    if (to_us <= run->now_us && !isnan(observed_mm_h)) {
        return observed_mm_h;
    }
    double rate = run->nowcast != NULL
                      ? rain_grid_rate(run->nowcast, member->nowcast, b, from_us, to_us)
                      : (double)NAN;
    if (isnan(rate) && run->nwp != NULL) {
        rate = member->factor * rain_grid_rate(run->nwp, member->nwp, b, from_us, to_us);
    }
    return rate;
}

static int foresee_rain(struct flood_run *run, struct err *ret_err) {
    size_t basins = run->site->basin_count;
    run->member_count =
        rain_member_count(run->nowcast != NULL ? run->nowcast->member_count : 0,
                          run->nwp != NULL ? run->nwp->member_count : 0, run->site->rain_log_sigma);
    run->rain_mm = calloc(run->member_count * basins * FLOOD_LEADS + 1, sizeof *run->rain_mm);
    if (run->rain_mm == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu members", run->member_count);
    }
    for (size_t b = 0; b < basins; b++) {
        /* What has fallen since the reference time, as a rate; whole slots of it are used. */
        double hours = (double)(run->now_us - run->reference_us) / (double)HOUR_US;
        double observed_mm_h = hours > 0 ? run->fallen_mm[b] / hours : (double)NAN;
        for (size_t m = 0; m < run->member_count; m++) {
            struct rain_member member = member_of(run, m);
            double *rain = run->rain_mm + (m * basins + b) * FLOOD_LEADS;
            for (int64_t slot = 0; slot < FLOOD_LEADS * (HOUR_US / SLOT_US); slot++) {
                rain[slot / (HOUR_US / SLOT_US)] +=
                    rate_of_slot(run, &member, b, run->reference_us + slot * SLOT_US,
                                 observed_mm_h) *
                    (double)SLOT_US / (double)HOUR_US;
            }
        }
    }
    return 0;
}

/* ---- members through the rivers ---- */

static int make_open(struct flood_run *run, struct err *ret_err) {
    size_t count = (run->member_count + 2) * FLOOD_LEADS;
    for (size_t g = 0; g < run->site->gauge_count; g++) {
        run->open_m3_s[g] = calloc(2 * count, sizeof(double));
        if (run->open_m3_s[g] == NULL) {
            return err_set(ret_err, ERR_MEMORY, "no memory for %zu members", run->member_count);
        }
        run->wet_m3_s[g] = run->open_m3_s[g] + count;
    }
    return 0;
}

/* Rain of a floor: what is known to have fallen of the hour under way, then none or the rate of the
 * last hour. */
static double floor_mm(const struct flood_run *run, size_t b, int lead, bool held) {
    double rest = held ? run->rain_now_mm[b] : 0;
    double part = (double)(run->now_us - run->reference_us) / (double)HOUR_US;
    return lead > 0 || isnan(run->fallen_mm[b]) ? rest : run->fallen_mm[b] + (1 - part) * rest;
}

static void future_hour(const struct flood_run *run, size_t m, int lead,
                        struct flood_hour *ret_hour) {
    size_t basins = run->site->basin_count;
    *ret_hour = (struct flood_hour){.start_us = run->reference_us + lead * HOUR_US, .future = true};
    for (size_t b = 0; b < basins; b++) {
        ret_hour->rain_mm[b] = m < run->member_count
                                   ? run->rain_mm[(m * basins + b) * FLOOD_LEADS + (size_t)lead]
                                   : floor_mm(run, b, lead, m > run->member_count);
    }
    for (size_t r = 0; r < run->site->reservoir_count; r++) {
        ret_hour->release_m3_s[r] = NAN;
    }
}

static int run_members(struct flood_run *run, struct err *ret_err) {
    const struct flood_site *site = run->site;
    struct flood_state *state = NULL;
    int rc = flood_state_create(site, 0, &state, ret_err);
    for (size_t m = 0; rc == 0 && m < run->member_count + 2; m++) {
        flood_state_copy(site, state, run->state);
        for (int k = 0; k < FLOOD_LEADS; k++) {
            struct flood_hour hour;
            struct flood_flows flows;
            future_hour(run, m, k, &hour);
            flood_step(site, state, &hour, &flows);
            for (size_t g = 0; g < site->gauge_count; g++) {
                size_t at = m * FLOOD_LEADS + (size_t)k, node = site->gauges[g].node;
                run->open_m3_s[g][at] = flows.dry_m3_s[node];
                run->wet_m3_s[g][at] = flows.wet_m3_s[node];
                run->open_doubt[g] = run->open_doubt[g] || (k == 0 && flows.doubt[node]);
            }
            for (size_t r = 0; r < site->reservoir_count; r++) {
                run->release[r][k] = state->dry.release[r];
            }
        }
    }
    flood_state_destroy(state);
    return rc;
}

/* ---- gauges ---- */

static bool is_wet(const struct flood_run *run, size_t g) {
    size_t count = (run->member_count + 2) * FLOOD_LEADS;
    bool differ = false;
    for (size_t i = 0; i < count; i++) {
        differ = differ || run->wet_m3_s[g][i] > run->open_m3_s[g][i] * (1 + 1e-9);
    }
    return run->state->recovering && differ;
}

/* The rain or the rivers as the model has them do not give what the gauge shows: an unannounced
 * release, a rating that moved, wrong rain. */
static bool disagrees(const struct flood_run *run, size_t g) {
    const struct flood_gauge *gauge = &run->site->gauges[g];
    double observed = run->past[g].observed_m3_s[run->past_count - 1];
    double simulated = run->past[g].simulated_m3_s[run->past_count - 1];
    const double *open = gauge->residual.log_ratio[0];
    if (!(observed > 0 && simulated > 0)) {
        return false;
    }
    double log_ratio = log(observed / simulated);
    return log_ratio < open[0] || log_ratio > open[RESIDUAL_QUANTILES - 1];
}

static int forecast_gauge(struct flood_run *run, size_t g, struct err *ret_err) {
    const struct flood_gauge *gauge = &run->site->gauges[g];
    struct forecast_input *in = &run->input[g];
    *in = (struct forecast_input){.flow_m3_s = run->open_m3_s[g],
                                  .wet_flow_m3_s = is_wet(run, g) ? run->wet_m3_s[g] : NULL,
                                  .past_count = run->past_count,
                                  .observed_m3_s = run->past[g].observed_m3_s,
                                  .simulated_m3_s = run->past[g].simulated_m3_s,
                                  .since_h = (double)(run->now_us - run->reference_us) / HOUR_US,
                                  .since_count = run->since_count,
                                  .since_observed_m3_s = run->since_m3_s[g],
                                  .leads = FLOOD_LEADS,
                                  .member_count = run->member_count,
                                  .update = &gauge->update,
                                  .residual = &gauge->residual,
                                  .rating = &gauge->rating,
                                  .level_count = gauge->level_count};
    memcpy(in->levels, gauge->levels_m, sizeof gauge->levels_m);
    int rc = forecast_run(in, &run->forecast[g], ret_err);
    if (rc == 0) {
        run->forecast[g]->recovering = run->forecast[g]->recovering || run->open_doubt[g];
        run->disagrees[g] = disagrees(run, g);
    }
    return rc;
}

static void verify_gauge(struct flood_run *run, size_t g) {
    const struct flood_gauge *gauge = &run->site->gauges[g];
    const struct flood_past *past = &run->past[g];
    const struct forecast *forecast = run->forecast[g];
    struct flood_skill *skill = &run->skill[g];
    const struct flood_scores to = {run->scores, run->product, gauge->at.station, gauge->levels_m,
                                    gauge->level_count};
    double probability[FLOOD_SKILL_LEVELS] = {NAN, NAN, NAN};
    for (size_t t = 0; t < run->past_count; t++) {
        int64_t end_us = run->reference_us - (int64_t)(run->past_count - 1 - t) * HOUR_US;
        if (end_us > skill->until_us) {
            flood_skill_observe(skill, end_us, past->observed_m3_s[t], past->stage_m[t], &to);
        }
    }
    enum { MEDIAN = 2 };
    enum rating_mark mark;
    double hours = forecast->peak_h[MEDIAN];
    struct flood_issue issue = {
        .issue_us = run->reference_us,
        .observed_m3_s = past->observed_m3_s[run->past_count - 1],
        .peak_m = rating_stage(&gauge->rating, forecast->peak_m3_s[MEDIAN], &mark),
        .peak_us = isnan(hours) ? 0 : run->reference_us + (int64_t)(hours * 3600) * 1000000};
    for (int i = 0; i < FLOOD_SKILL_LEADS; i++) {
        issue.median_m3_s[i] = forecast->lead[flood_skill_leads_h[i] - 1].flow_m3_s[MEDIAN];
    }
    for (size_t l = 0; l < gauge->level_count; l++) {
        probability[l] = forecast->level[l].probability;
    }
    flood_skill_issue(skill, &issue, probability, &to);
}

int flood_run_forecast(struct flood_run *run, struct flood_state *state, struct err *ret_err) {
    int rc = start_state(run, state, ret_err);
    run->scores = json_array();
    if (rc == 0 && run->scores == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for scores");
    }
    rc = rc != 0 ? rc : make_past(run, ret_err);
    if (rc == 0 && run->past_count == 0) {
        rc = err_set(ret_err, ERR_INVALID, "nothing new since the state: no full hour");
    }
    if (rc != 0) {
        return rc;
    }
    run_past(run);
    read_since(run);
    rc = foresee_rain(run, ret_err);
    rc = rc != 0 ? rc : make_open(run, ret_err);
    rc = rc != 0 ? rc : run_members(run, ret_err);
    for (size_t g = 0; rc == 0 && g < run->site->gauge_count; g++) {
        rc = forecast_gauge(run, g, ret_err);
    }
    for (size_t g = 0; rc == 0 && g < run->site->gauge_count; g++) {
        verify_gauge(run, g);
    }
    return rc;
}

void flood_run_finish(struct flood_run *run) {
    flood_state_destroy(run->state);
    flood_state_destroy(run->saved);
    free(run->rain_mm);
    json_decref(run->scores);
    for (size_t g = 0; g < FLOOD_GAUGES_MAX; g++) {
        free(run->past[g].observed_m3_s);
        free(run->open_m3_s[g]);
        forecast_destroy(run->forecast[g]);
    }
}
