#include "models/landslide/slopes.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/hydrology/rain_members.h"

#define HOUR_US INT64_C(3600000000)

const int slopes_leads_h[SLOPES_LEADS] = {0, 3, 6, 12, 24};

int slopes_create(struct slopes *slopes, struct err *ret_err) {
    size_t count = SLOPES_HOURS * slopes->place_count;
    slopes->rain_mm = malloc((count + 1) * sizeof *slopes->rain_mm);
    slopes->late_rain_mm = malloc((count + 1) * sizeof *slopes->late_rain_mm);
    for (size_t i = 0; slopes->rain_mm != NULL && i < count; i++) {
        slopes->rain_mm[i] = NAN;
    }
    return slopes->rain_mm != NULL && slopes->late_rain_mm != NULL
               ? 0
               : err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", slopes->place_count);
}

void slopes_finish(struct slopes *slopes) {
    free(slopes->rain_mm);
    free(slopes->late_rain_mm);
    free(slopes->cells);
    free(slopes->api_mm);
}

const struct slopes_cell *slopes_at(const struct slopes *slopes, size_t lead, size_t member) {
    size_t members = slopes->member_count > 0 ? slopes->member_count : 1;
    return slopes->cells + (lead * members + (lead == 0 ? 0 : member)) * slopes->place_count;
}

/* ---- the past ---- */

static int start(struct slopes *slopes, struct err *ret_err) {
    const struct cell_rain *rain = slopes->observed;
    if (rain->frame_count == 0 && slopes->end_us == 0) {
        return err_set(ret_err, ERR_INVALID, "no rain frame that can be used");
    }
    /* Without a new frame the forecast may still have changed. */
    slopes->observed_us =
        rain->frame_count > 0 ? rain->end_us[rain->frame_count - 1] : slopes->end_us;
    int64_t age_min = (slopes->now_us - slopes->observed_us) / 60000000;
    if (age_min > slopes->stale_us / 60000000) {
        char text[32];
        text_format_time(slopes->observed_us, text, sizeof text);
        return err_set(ret_err, ERR_INVALID,
                       "the newest rain is of %s, %" PRId64 " min before the run; at most %" PRId64
                       " are allowed",
                       text, age_min, slopes->stale_us / 60000000);
    }
    if (slopes->end_us == 0) {
        const struct cell_rain *first =
            slopes->before != NULL && slopes->before->frame_count > 0 ? slopes->before : rain;
        int64_t first_us = first->start_us[0] + HOUR_US - 1;
        slopes->end_us = first_us - first_us % HOUR_US;
    }
    slopes->reference_us = slopes->observed_us - slopes->observed_us % HOUR_US;
    if (slopes->end_us > slopes->reference_us ||
        slopes->reference_us - slopes->end_us > SLOPES_HOURS * HOUR_US) {
        return err_set(ret_err, ERR_INVALID,
                       "the newest full hour of rain is %" PRId64
                       " h after the state; 0 to %d can be run",
                       (slopes->reference_us - slopes->end_us) / HOUR_US, SLOPES_HOURS);
    }
    return 0;
}

/* Puts the sums aside that the next run starts from. */
static void keep_late(struct slopes *slopes) {
    slopes->late_us = slopes->end_us;
    memcpy(slopes->late_rain_mm, slopes->rain_mm,
           SLOPES_HOURS * slopes->place_count * sizeof *slopes->rain_mm);
}

static void run_past(struct slopes *slopes, double *rain_mm) {
    const struct cell_rain_part parts[] = {{slopes->observed, 0, 1}, {slopes->before, 0, 1}};
    size_t places = slopes->place_count;
    int64_t late_us = slopes->reference_us - SLOPES_LAG_H * HOUR_US;
    if (slopes->end_us >= late_us) {
        keep_late(slopes);
    }
    while (slopes->end_us < slopes->reference_us) {
        float *newest = slopes->rain_mm + (SLOPES_HOURS - 1) * places;
        cell_rain_depth(parts, 2, places, slopes->end_us, slopes->end_us + HOUR_US, rain_mm);
        memmove(slopes->rain_mm, slopes->rain_mm + places,
                (SLOPES_HOURS - 1) * places * sizeof *slopes->rain_mm);
        for (size_t p = 0; p < places; p++) {
            newest[p] = (float)rain_mm[p];
        }
        slopes->end_us += HOUR_US;
        if (slopes->end_us == late_us) {
            keep_late(slopes);
        }
    }
}

/* ---- cells ---- */

struct work {
    struct slopes *slopes;
    double *limits[SLOPES_CURVES_MAX]; /* [SLOPES_HOURS] each */
    double *ahead_mm;                  /* [hour ahead][place] of one member */
    double series[SLOPES_HOURS + SLOPES_AHEAD_H];
};

static double api_of(const struct slopes *slopes, const double *rain_mm_h) {
    double daily[SLOPES_HOURS / 24] = {0};
    for (size_t i = 0; i < SLOPES_HOURS; i++) {
        daily[i / 24] += rain_mm_h[i];
    }
    return landslide_api_mm(daily, SLOPES_HOURS / 24, slopes->api_factor);
}

/* The series of SLOPES_HOURS that ends with series[end - 1]. */
static int judge(struct work *work, size_t p, size_t end, struct slopes_cell *ret_cell,
                 struct err *ret_err) {
    static const char *const words[] = {"low", "medium", "high", "very_high"};
    struct slopes *slopes = work->slopes;
    const double *series = work->series + end - SLOPES_HOURS;
    struct landslide_class class_46;
    struct slopes_cell cell = {.ratio = NAN};
    for (size_t c = 0; c < slopes->curve_count; c++) {
        struct landslide_exceedance e =
            landslide_exceeds_limits(&slopes->curves[c], work->limits[c], series, SLOPES_HOURS);
        cell.ratio = isnan(cell.ratio) ? (float)e.ratio : fmaxf(cell.ratio, (float)e.ratio);
        cell.ratio_open = cell.ratio_open || e.answer == LANDSLIDE_UNKNOWN;
    }
    cell.ratio_open = cell.ratio_open && !(cell.ratio >= 1);
    int rc = landslide_judge(&slopes->rules, words[slopes->susceptibility[p] - 1], series,
                             SLOPES_HOURS, slopes->rain_day_mm, &class_46, ret_err);
    if (rc == 0) {
        cell.level = (int8_t)class_46.level;
        int highest = landslide_highest(&slopes->rules, words[slopes->susceptibility[p] - 1]);
        cell.may_reach = (int8_t)(class_46.may_be_higher ? highest : class_46.level);
        *ret_cell = cell;
    }
    return rc;
}

static void foresee(struct work *work, size_t m, double *rain_mm) {
    struct slopes *slopes = work->slopes;
    size_t nowcast = slopes->nowcast != NULL ? slopes->nowcast->member_count : 0;
    size_t nwp = slopes->nwp != NULL ? slopes->nwp->member_count : 0;
    struct rain_member member = rain_member_of(m, nowcast, nwp, slopes->rain_log_sigma);
    const struct cell_rain_part parts[] = {{slopes->observed, 0, 1},
                                           {slopes->nowcast, member.nowcast, 1},
                                           {slopes->nwp, member.nwp, member.factor}};
    for (size_t h = 0; h < SLOPES_AHEAD_H; h++) {
        int64_t from_us = slopes->reference_us + (int64_t)h * HOUR_US;
        cell_rain_depth(parts, 3, slopes->place_count, from_us, from_us + HOUR_US, rain_mm);
        memcpy(work->ahead_mm + h * slopes->place_count, rain_mm,
               slopes->place_count * sizeof *rain_mm);
    }
}

static int run_member(struct work *work, size_t m, struct err *ret_err) {
    struct slopes *slopes = work->slopes;
    size_t places = slopes->place_count;
    bool ahead = slopes->member_count > 0;
    int rc = 0;
    for (size_t p = 0; rc == 0 && p < places; p++) {
        for (size_t h = 0; h < SLOPES_HOURS; h++) {
            work->series[h] = (double)slopes->rain_mm[h * places + p];
        }
        for (size_t h = 0; ahead && h < SLOPES_AHEAD_H; h++) {
            work->series[SLOPES_HOURS + h] = work->ahead_mm[h * places + p];
        }
        if (m == 0) {
            slopes->api_mm[p] = (float)api_of(slopes, work->series);
        }
        for (size_t l = m == 0 ? 0 : 1; rc == 0 && l < (ahead ? SLOPES_LEADS : 1); l++) {
            struct slopes_cell *cells = slopes->cells + (slopes_at(slopes, l, m) - slopes->cells);
            rc = judge(work, p, SLOPES_HOURS + (size_t)slopes_leads_h[l], &cells[p], ret_err);
        }
    }
    return rc;
}

static int make_limits(struct work *work, struct err *ret_err) {
    for (size_t c = 0; c < work->slopes->curve_count; c++) {
        work->limits[c] = calloc(SLOPES_HOURS, sizeof(double));
        if (work->limits[c] == NULL) {
            return err_set(ret_err, ERR_MEMORY, "no memory for thresholds");
        }
        landslide_limits(&work->slopes->curves[c], work->limits[c], SLOPES_HOURS);
    }
    return 0;
}

static int run_members(struct slopes *slopes, double *rain_mm, struct err *ret_err) {
    size_t places = slopes->place_count;
    struct work *work = calloc(1, sizeof *work);
    slopes->member_count = rain_member_count(
        slopes->nowcast != NULL ? slopes->nowcast->member_count : 0,
        slopes->nwp != NULL ? slopes->nwp->member_count : 0, slopes->rain_log_sigma);
    size_t members = slopes->member_count > 0 ? slopes->member_count : 1;
    slopes->cells = calloc(SLOPES_LEADS * members * places + 1, sizeof *slopes->cells);
    slopes->api_mm = calloc(places + 1, sizeof *slopes->api_mm);
    if (work == NULL || slopes->cells == NULL || slopes->api_mm == NULL) {
        free(work);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", places);
    }
    work->slopes = slopes;
    work->ahead_mm = calloc(SLOPES_AHEAD_H * places + 1, sizeof *work->ahead_mm);
    int rc = work->ahead_mm == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for rain")
                                    : make_limits(work, ret_err);
    for (size_t m = 0; rc == 0 && m < members; m++) {
        if (slopes->member_count > 0) {
            foresee(work, m, rain_mm);
        }
        rc = run_member(work, m, ret_err);
    }
    for (size_t c = 0; c < SLOPES_CURVES_MAX; c++) {
        free(work->limits[c]);
    }
    free(work->ahead_mm);
    free(work);
    return rc;
}

int slopes_run(struct slopes *slopes, struct err *ret_err) {
    int rc = start(slopes, ret_err);
    double *rain_mm = calloc(slopes->place_count + 1, sizeof *rain_mm);
    if (rc == 0 && rain_mm == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", slopes->place_count);
    }
    if (rc == 0) {
        run_past(slopes, rain_mm);
        rc = run_members(slopes, rain_mm, ret_err);
    }
    free(rain_mm);
    return rc;
}
