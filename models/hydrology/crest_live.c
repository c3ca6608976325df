#include "models/hydrology/crest_live.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/text.h"
#include "models/hydrology/rain_members.h"

#define HOUR_US INT64_C(3600000000)

const int crest_live_ratio_leads_h[CREST_LIVE_RATIO_LEADS] = {0, 1, 3, 6};

enum { FLOORS = 2 }; /* no more rain, rain held on */

struct work {
    struct crest_live *live;
    size_t places;
    double *rain_mm, *potential_mm; /* [place], a step */
    double *threshold_m3_s, *potential_mm_h;
    double *guidance_mm; /* [duration][place] */
    float *ahead_mm;     /* [step ahead][place], of one member */
};

static size_t places_of(const struct crest_live *live) {
    return live->domain->network->count;
}

static int create_state(const struct crest_live *live, struct crest_live_state *state,
                        struct err *ret_err) {
    size_t places = places_of(live);
    state->guidance_mm = calloc(CREST_LIVE_SLOTS * FFG_GRID_DURATIONS * places, sizeof(float));
    state->rain_mm = calloc(live->back_steps * places, sizeof(float));
    if (state->guidance_mm == NULL || state->rain_mm == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", places);
    }
    for (size_t i = 0; i < live->back_steps * places; i++) {
        state->rain_mm[i] = NAN;
    }
    return 0;
}

int crest_live_create(struct crest_live *live, struct err *ret_err) {
    if (live->step_us <= 0 || HOUR_US % live->step_us != 0) {
        return err_set(ret_err, ERR_RANGE, "a step of %g min does not divide an hour",
                       (double)live->step_us / 6e7);
    }
    live->back_steps = (size_t)(CREST_LIVE_RAIN_H * HOUR_US / live->step_us);
    live->ahead_steps = (size_t)(CREST_LIVE_LEADS_H * HOUR_US / live->step_us);
    int rc = create_state(live, &live->state, ret_err);
    rc = rc != 0 ? rc : create_state(live, &live->late_state, ret_err);
    rc = rc != 0 ? rc : crest_saved_create(live->domain, &live->saved, ret_err);
    return rc != 0 ? rc : crest_saved_create(live->domain, &live->late_saved, ret_err);
}

void crest_live_finish(struct crest_live *live) {
    struct crest_live_state *const states[] = {&live->state, &live->late_state};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        free(states[i]->guidance_mm);
        free(states[i]->rain_mm);
    }
    free(live->peak_m3_s);
    free(live->ratio);
    crest_saved_finish(&live->saved);
    crest_saved_finish(&live->late_saved);
}

/* ---- the past ---- */

static int start(struct crest_live *live, struct err *ret_err) {
    const struct cell_rain *rain = live->observed;
    struct crest_live_state *state = &live->state;
    if (rain->frame_count == 0 && state->end_us == 0) {
        return err_set(ret_err, ERR_INVALID, "no rain frame that can be used");
    }
    /* Without a new frame the forecast may still have changed. */
    live->observed_us = rain->frame_count > 0 ? rain->end_us[rain->frame_count - 1] : state->end_us;
    if (live->now_us - live->observed_us > live->stale_us) {
        char text[32];
        text_format_time(live->observed_us, text, sizeof text);
        return err_set(ret_err, ERR_INVALID,
                       "the newest rain is of %s, %" PRId64 " min before the run; at most %" PRId64
                       " are allowed",
                       text, (live->now_us - live->observed_us) / 60000000,
                       live->stale_us / 60000000);
    }
    if (state->end_us == 0) {
        int64_t first_us = rain->start_us[0] + live->step_us - 1;
        state->end_us = first_us - first_us % live->step_us;
    }
    live->reference_us = live->observed_us - live->observed_us % live->step_us;
    if (state->end_us > live->reference_us ||
        live->reference_us - state->end_us > CREST_LIVE_PAST_MAX_H * HOUR_US) {
        return err_set(ret_err, ERR_INVALID,
                       "the newest whole step of rain is %g h after the state; 0 to %d h can be "
                       "run",
                       (double)(live->reference_us - state->end_us) / (double)HOUR_US,
                       CREST_LIVE_PAST_MAX_H);
    }
    return 0;
}

static void set_potential(struct work *work, int64_t utc_us) {
    const struct crest_live *live = work->live;
    time_t seconds = (time_t)(utc_us / 1000000);
    struct tm date;
    (void)gmtime_r(&seconds, &date);
    double mm_day = live->evaporation_mm_day[date.tm_mon];
    for (size_t p = 0; p < work->places; p++) {
        work->potential_mm[p] = mm_day * (double)live->step_us / (24.0 * (double)HOUR_US);
        work->potential_mm_h[p] = mm_day / 24;
    }
}

static void step(struct work *work, int64_t from_us) {
    struct crest_live *live = work->live;
    set_potential(work, from_us);
    crest_grid_step(&live->domain->crest, (double)live->step_us / 1e6, work->rain_mm,
                    work->potential_mm, live->threads);
}

static void note_rain(struct work *work) {
    struct crest_live *live = work->live;
    size_t places = work->places;
    float *rain = live->state.rain_mm;
    bool missing = false;
    memmove(rain, rain + places, (live->back_steps - 1) * places * sizeof *rain);
    rain += (live->back_steps - 1) * places;
    for (size_t p = 0; p < places; p++) {
        rain[p] = (float)work->rain_mm[p];
        missing = missing || isnan(work->rain_mm[p]);
    }
    live->missing_steps += missing;
}

/* Whether the rain of the last BACK_H hours is known. */
static bool rain_known(const struct crest_live *live, size_t places, size_t p) {
    size_t hour = (size_t)(HOUR_US / live->step_us);
    for (size_t s = (CREST_LIVE_RAIN_H - CREST_LIVE_BACK_H) * hour; s < live->back_steps; s++) {
        if (isnan(live->state.rain_mm[s * places + p])) {
            return false;
        }
    }
    return true;
}

static int take_guidance(struct work *work, struct err *ret_err) {
    struct crest_live *live = work->live;
    struct crest_live_state *state = &live->state;
    size_t places = work->places, slot = FFG_GRID_DURATIONS * places;
    int rc = ffg_grid_run(live->domain, (double)live->step_us / 1e6, work->threshold_m3_s,
                          work->potential_mm_h, live->threads, work->guidance_mm, ret_err);
    if (rc != 0) {
        return rc;
    }
    memmove(state->guidance_mm + slot, state->guidance_mm,
            (CREST_LIVE_SLOTS - 1) * slot * sizeof *state->guidance_mm);
    memmove(state->guidance_us + 1, state->guidance_us,
            (CREST_LIVE_SLOTS - 1) * sizeof *state->guidance_us);
    state->guidance_us[0] = state->end_us;
    for (size_t p = 0; p < places; p++) {
        bool known =
            live->domain->crest.kinematic->mark[p] == KINEMATIC_OK && rain_known(live, places, p);
        for (size_t d = 0; d < FFG_GRID_DURATIONS; d++) {
            double mm = work->guidance_mm[d * places + p];
            state->guidance_mm[d * places + p] =
                !known ? NAN : (float)(isnan(mm) ? FFG_GRID_CAP_MM : mm);
        }
    }
    return 0;
}

/* Puts the state aside that the next run starts from. */
static void keep_late(struct work *work) {
    struct crest_live *live = work->live;
    float *guidance_mm = live->late_state.guidance_mm, *rain_mm = live->late_state.rain_mm;
    memcpy(guidance_mm, live->state.guidance_mm,
           CREST_LIVE_SLOTS * FFG_GRID_DURATIONS * work->places * sizeof *guidance_mm);
    memcpy(rain_mm, live->state.rain_mm, live->back_steps * work->places * sizeof *rain_mm);
    live->late_state = live->state;
    live->late_state.guidance_mm = guidance_mm;
    live->late_state.rain_mm = rain_mm;
    crest_saved_keep(live->domain, &live->late_saved);
}

static int run_past(struct work *work, struct err *ret_err) {
    struct crest_live *live = work->live;
    const struct cell_rain_part part = {live->observed, 0, 1};
    int64_t oldest_us =
        live->reference_us - live->reference_us % HOUR_US - CREST_LIVE_BACK_H * HOUR_US;
    int rc = 0;
    keep_late(work);
    while (rc == 0 && live->state.end_us < live->reference_us) {
        int64_t from_us = live->state.end_us;
        cell_rain_depth(&part, 1, work->places, from_us, from_us + live->step_us, work->rain_mm);
        step(work, from_us);
        note_rain(work);
        live->state.end_us += live->step_us;
        live->state.steps++;
        if (live->state.end_us % HOUR_US == 0 && live->state.end_us >= oldest_us) {
            rc = take_guidance(work, ret_err);
        }
        if (live->state.end_us <= live->reference_us - CREST_LIVE_LAG_H * HOUR_US) {
            keep_late(work);
        }
    }
    crest_saved_keep(live->domain, &live->saved);
    return rc;
}

/* ---- ahead ---- */

/* Rain of step s ahead for a member, or one of the floors behind them. */
static void rain_ahead(struct work *work, size_t m, size_t s) {
    struct crest_live *live = work->live;
    size_t places = work->places, hour = (size_t)(HOUR_US / live->step_us);
    size_t nowcast = live->nowcast != NULL ? live->nowcast->member_count : 0;
    size_t nwp = live->nwp != NULL ? live->nwp->member_count : 0;
    bool floor = m >= live->member_count;
    struct rain_member member = rain_member_of(m, nowcast, nwp, live->rain_log_sigma);
    const struct cell_rain_part parts[] = {{live->observed, 0, 1},
                                           {live->nowcast, member.nowcast, 1},
                                           {live->nwp, member.nwp, member.factor}};
    int64_t from_us = live->reference_us + (int64_t)s * live->step_us, to_us = from_us;
    to_us += live->step_us;
    if (!floor) {
        cell_rain_depth(parts, 3, places, from_us, to_us, work->rain_mm);
    } else if (m == live->member_count) {
        memset(work->rain_mm, 0, places * sizeof *work->rain_mm);
    } else {
        for (size_t p = 0; p < places; p++) {
            double sum = 0;
            for (size_t i = live->back_steps - hour; i < live->back_steps; i++) {
                sum += (double)live->state.rain_mm[i * places + p];
            }
            work->rain_mm[p] = sum / (double)hour;
        }
    }
    /* What of it has fallen is no forecast: both floors have that, and the rest of the step. */
    if (floor && from_us < live->observed_us) {
        double *rest = work->potential_mm; /* set again by step() */
        int64_t until_us = to_us < live->observed_us ? to_us : live->observed_us;
        double share = (double)(to_us - until_us) / (double)live->step_us;
        memcpy(rest, work->rain_mm, places * sizeof *rest);
        cell_rain_depth(parts, 1, places, from_us, until_us, work->rain_mm);
        for (size_t p = 0; p < places; p++) {
            work->rain_mm[p] += rest[p] * share;
        }
    }
}

/* Rain of the step that begins `at` steps after the oldest kept one. */
static double rain_of(const struct work *work, size_t at, size_t p) {
    const struct crest_live *live = work->live;
    return (double)(at < live->back_steps
                        ? live->state.rain_mm[at * work->places + p]
                        : work->ahead_mm[(at - live->back_steps) * work->places + p]);
}

/* Raises the ratio of every place by one window; unknown stays unknown. */
static void ratio_of_window(const struct work *work, size_t first, size_t count,
                            const float *guidance_mm, float *ratio) {
    for (size_t p = 0; p < work->places; p++) {
        double sum = 0;
        for (size_t i = first; i < first + count; i++) {
            sum += rain_of(work, i, p);
        }
        float now = (float)(sum / fmax((double)guidance_mm[p], CREST_LIVE_FFG_MIN_MM));
        now = isnan(guidance_mm[p]) ? NAN : now; /* fmax passes it over */
        ratio[p] = isnan(ratio[p]) || isnan(now) ? NAN : fmaxf(ratio[p], now);
    }
}

static void count_ratios(struct work *work, size_t m) {
    struct crest_live *live = work->live;
    size_t places = work->places;
    int64_t oldest_us = live->reference_us - (int64_t)live->back_steps * live->step_us;
    for (size_t l = 0; l < CREST_LIVE_RATIO_LEADS; l++) {
        int64_t until_us = live->reference_us + crest_live_ratio_leads_h[l] * HOUR_US;
        for (size_t d = 0; d < FFG_GRID_DURATIONS; d++) {
            int64_t length_us = ffg_grid_hours[d] * HOUR_US;
            float *ratio =
                live->ratio + ((m * CREST_LIVE_RATIO_LEADS + l) * FFG_GRID_DURATIONS + d) * places;
            bool any = false;
            memset(ratio, 0, places * sizeof *ratio);
            for (size_t i = 0; i < CREST_LIVE_SLOTS && live->state.guidance_us[i] != 0; i++) {
                int64_t at_us = live->state.guidance_us[i];
                if (at_us <= live->reference_us - length_us - HOUR_US || at_us < oldest_us ||
                    at_us + length_us > until_us) {
                    continue;
                }
                any = true;
                ratio_of_window(work, (size_t)((at_us - oldest_us) / live->step_us),
                                (size_t)(length_us / live->step_us),
                                live->state.guidance_mm + (i * FFG_GRID_DURATIONS + d) * places,
                                ratio);
            }
            for (size_t p = 0; !any && p < places; p++) {
                ratio[p] = NAN;
            }
        }
    }
}

static void run_member(struct work *work, size_t m) {
    struct crest_live *live = work->live;
    const struct kinematic *kinematic = live->domain->crest.kinematic;
    size_t places = work->places, hour = (size_t)(HOUR_US / live->step_us);
    crest_saved_restore(live->domain, &live->saved);
    for (size_t s = 0; s < live->ahead_steps; s++) {
        float *peak = live->peak_m3_s + (m * CREST_LIVE_LEADS_H + s / hour) * places;
        rain_ahead(work, m, s);
        for (size_t p = 0; p < places; p++) {
            work->ahead_mm[s * places + p] = (float)work->rain_mm[p];
        }
        step(work, live->reference_us + (int64_t)s * live->step_us);
        for (size_t p = 0; p < places; p++) {
            float now =
                kinematic->mark[p] == KINEMATIC_OK ? (float)kinematic->outflow_m3_s[p] : NAN;
            bool first = s % hour == 0;
            peak[p] = first || isnan(now) ? now : isnan(peak[p]) ? NAN : fmaxf(peak[p], now);
        }
    }
    if (m <= live->member_count) {
        count_ratios(work, m);
    }
}

static int run_ahead(struct work *work, struct err *ret_err) {
    struct crest_live *live = work->live;
    size_t places = work->places;
    live->member_count =
        rain_member_count(live->nowcast != NULL ? live->nowcast->member_count : 0,
                          live->nwp != NULL ? live->nwp->member_count : 0, live->rain_log_sigma);
    live->peak_m3_s =
        calloc((live->member_count + FLOORS) * CREST_LIVE_LEADS_H * places, sizeof(float));
    live->ratio =
        calloc((live->member_count + 1) * CREST_LIVE_RATIO_LEADS * FFG_GRID_DURATIONS * places,
               sizeof(float));
    if (live->peak_m3_s == NULL || live->ratio == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu members of %zu cells",
                       live->member_count, places);
    }
    for (size_t m = 0; m < live->member_count + FLOORS; m++) {
        run_member(work, m);
    }
    crest_saved_restore(live->domain, &live->saved);
    return 0;
}

int crest_live_run(struct crest_live *live, struct err *ret_err) {
    size_t places = places_of(live);
    struct work work = {.live = live, .places = places};
    int rc = start(live, ret_err);
    if (rc != 0) {
        return rc;
    }
    double *room = calloc((4 + FFG_GRID_DURATIONS) * places + 1, sizeof *room);
    work.ahead_mm = calloc(live->ahead_steps * places + 1, sizeof *work.ahead_mm);
    if (room == NULL || work.ahead_mm == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", places);
    } else {
        work.rain_mm = room;
        work.potential_mm = room + places;
        work.threshold_m3_s = room + 2 * places;
        work.potential_mm_h = room + 3 * places;
        work.guidance_mm = room + 4 * places;
        for (size_t p = 0; p < places; p++) {
            work.threshold_m3_s[p] = live->threshold_unit_m3_s_km2 * live->domain->drained_km2[p];
        }
        set_potential(&work, live->state.end_us);
        rc = run_past(&work, ret_err);
        rc = rc != 0 || !live->forecast ? rc : run_ahead(&work, ret_err);
    }
    free(room);
    free(work.ahead_mm);
    return rc;
}
