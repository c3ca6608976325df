#include "models/hydrology/forecast.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const double forecast_quantiles[FORECAST_QUANTILES] = {0.05, 0.25, 0.5, 0.75, 0.95};

enum { MEDIAN = 2 };

/* Dry and wet start count as the same answer within that. */
static const double agreement = 0.05;

static int check(const struct forecast_input *in, struct err *ret_err) {
    if (in->leads < 1 || in->leads > FORECAST_LEADS_MAX ||
        in->member_count > FORECAST_MEMBERS_MAX || in->level_count > FORECAST_LEVELS_MAX ||
        in->past_count == 0) {
        return err_set(ret_err, ERR_RANGE, "%d leads, %zu members, %zu levels; at most %d, %d, %d",
                       in->leads, in->member_count, in->level_count, FORECAST_LEADS_MAX,
                       FORECAST_MEMBERS_MAX, FORECAST_LEVELS_MAX);
    }
    if (in->since_count > 0 &&
        (in->since_count > FORECAST_SINCE_MAX || in->since_count > in->past_count ||
         !(in->since_h > 0 && in->since_h < 1))) {
        return err_set(ret_err, ERR_RANGE, "%zu observations since the newest hour, %g h after it",
                       in->since_count, in->since_h);
    }
    for (size_t i = 0; i < in->level_count; i++) {
        double below = i == 0 ? -INFINITY : in->levels[i - 1];
        if (!isfinite(in->levels[i]) || !(in->levels[i] > below) ||
            (in->rating != NULL && in->levels[i] < in->rating->lowest_m)) {
            return err_set(ret_err, ERR_RANGE,
                           "level %zu, %g: expected above the level before and not under the "
                           "lowest gauging",
                           i + 1, in->levels[i]);
        }
    }
    return 0;
}

/* ---- members ---- */

struct work {
    const struct forecast_input *in;
    struct forecast *forecast;
    double *paths;  /* [lead][path] m3/s */
    double *sorted; /* [path] */
    double *stages; /* [path] */
    size_t path_count;
};

/* Whether there is an observation within the hour under way. */
static bool has_since(const struct forecast_input *in) {
    return in->since_count > 0 && !isnan(in->since_observed_m3_s[in->since_count - 1]);
}

/* The simulation at the times of since_observed_m3_s. */
static void simulate_since(const struct forecast_input *in, double first_hour_m3_s,
                           double ret_simulated[FORECAST_SINCE_MAX]) {
    double s = in->since_h;
    for (size_t i = 0; i < in->since_count; i++) {
        size_t at = in->past_count - in->since_count + i;
        double next = at + 1 < in->past_count ? in->simulated_m3_s[at + 1] : first_hour_m3_s;
        ret_simulated[i] = (1 - s) * in->simulated_m3_s[at] + s * next;
    }
}

/* From an observation since the newest hour: lead k + 1 lies between k and k + 1 h after it. */
static void update_member_since(const struct forecast_input *in, const double *open,
                                double *ret_flow) {
    double simulated[FORECAST_SINCE_MAX];
    size_t now = in->since_count - 1;
    enum update_mark mark;
    simulate_since(in, open[0], simulated);
    double error = in->since_observed_m3_s[now] - simulated[now];
    for (int k = 0; k < in->leads; k++) {
        double before = isnan(error) || k > 0
                            ? update_forecast(in->update, in->since_observed_m3_s, simulated, now,
                                              k, open[k], &mark, NULL)
                            : fmax(0, open[k] + error);
        double after = update_forecast(in->update, in->since_observed_m3_s, simulated, now, k + 1,
                                       open[k], &mark, NULL);
        ret_flow[k] = in->since_h * before + (1 - in->since_h) * after;
    }
}

/* Updates one member. */
static void update_member(const struct forecast_input *in, const double *open, double *ret_flow) {
    if (has_since(in)) {
        update_member_since(in, open, ret_flow);
        return;
    }
    for (int k = 0; k < in->leads; k++) {
        enum update_mark mark;
        ret_flow[k] = update_forecast(in->update, in->observed_m3_s, in->simulated_m3_s,
                                      in->past_count - 1, k + 1, open[k], &mark, NULL);
    }
}

/* The mark is that of the gauge, not of a member's rain: asked with a simulation that is known. */
static void note_updating(struct work *work, int lead, enum update_mark *ret_mark, int *ret_age) {
    const struct forecast_input *in = work->in;
    if (has_since(in)) {
        double simulated[FORECAST_SINCE_MAX];
        simulate_since(in, 1.0, simulated);
        (void)update_forecast(in->update, in->since_observed_m3_s, simulated, in->since_count - 1,
                              lead, 1.0, ret_mark, ret_age);
        return;
    }
    (void)update_forecast(in->update, in->observed_m3_s, in->simulated_m3_s, in->past_count - 1,
                          lead, 1.0, ret_mark, ret_age);
}

static void dress(struct work *work, size_t member, const double *flow) {
    const struct forecast_input *in = work->in;
    for (int k = 0; k < in->leads; k++) {
        enum update_mark mark;
        int age;
        note_updating(work, k + 1, &mark, &age);
        const double *log_ratio = residual_of(in->residual, mark, k + 1, age < 0 ? 0 : age);
        double *paths = work->paths + (size_t)k * work->path_count + member * RESIDUAL_QUANTILES;
        for (int i = 0; i < RESIDUAL_QUANTILES; i++) {
            paths[i] = flow[k] * exp(log_ratio[i]);
        }
    }
}

/* ---- counting ---- */

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* Hazen positions: value i of n stands for the probability (i + 0.5) / n. */
static void quantiles_of(double *values, size_t count, double *ret_quantiles) {
    qsort(values, count, sizeof *values, by_size);
    for (int q = 0; q < FORECAST_QUANTILES; q++) {
        double at = forecast_quantiles[q] * (double)count - 0.5;
        at = fmax(0, fmin(at, (double)(count - 1)));
        size_t below = (size_t)at;
        size_t above = below + 1 < count ? below + 1 : below;
        double part = at - (double)below;
        ret_quantiles[q] = values[below] == values[above]
                               ? values[below]
                               : (1 - part) * values[below] + part * values[above];
    }
}

/* A stage for sorting: below the lowest gauging it is somewhere below everything. */
static double stage_of(const struct rating *rating, double flow_m3_s, bool *extrapolated) {
    enum rating_mark mark;
    double stage_m = rating_stage(rating, flow_m3_s, &mark);
    *extrapolated = *extrapolated || mark == RATING_EXTRAPOLATED;
    return mark == RATING_BELOW ? -INFINITY : stage_m;
}

/* What the levels are compared with. */
static double level_value(const struct work *work, double flow_m3_s) {
    bool ignored = false;
    return work->in->rating != NULL ? stage_of(work->in->rating, flow_m3_s, &ignored) : flow_m3_s;
}

/* Bands and probabilities of one lead. */
static void count_lead(struct work *work, int k) {
    const struct forecast_input *in = work->in;
    struct forecast_lead *lead = &work->forecast->lead[k];
    const double *paths = work->paths + (size_t)k * work->path_count;
    memcpy(work->sorted, paths, work->path_count * sizeof *paths);
    quantiles_of(work->sorted, work->path_count, lead->flow_m3_s);
    for (size_t p = 0; p < work->path_count; p++) {
        double value = level_value(work, paths[p]);
        for (size_t l = 0; l < in->level_count; l++) {
            lead->above[l] += value >= in->levels[l]; /* counted first: no sum of rounded shares */
        }
        if (in->rating != NULL) {
            work->stages[p] = stage_of(in->rating, paths[p], &lead->extrapolated);
        }
    }
    for (size_t l = 0; l < in->level_count; l++) {
        lead->above[l] /= (double)work->path_count;
    }
    for (int q = 0; q < FORECAST_QUANTILES; q++) {
        lead->stage_m[q] = NAN;
    }
    if (in->rating != NULL) {
        quantiles_of(work->stages, work->path_count, lead->stage_m);
    }
    for (int q = 0; q < FORECAST_QUANTILES && in->rating != NULL; q++) {
        if (!isfinite(lead->stage_m[q])) {
            lead->stage_m[q] = NAN;
            (void)snprintf(lead->cause, sizeof lead->cause, "below the lowest gauging");
        }
    }
}

static void count_level(struct work *work, size_t l) {
    struct forecast *f = work->forecast;
    size_t crossed = 0;
    for (size_t p = 0; p < work->path_count; p++) {
        int k = 0;
        while (k < f->horizon &&
               !(level_value(work, work->paths[(size_t)k * work->path_count + p]) >=
                 work->in->levels[l])) {
            k++;
        }
        if (k < f->horizon) {
            work->sorted[crossed++] = k + 1;
        }
        for (; k < f->horizon; k++) {
            f->lead[k].reached[l] += 1;
        }
    }
    for (int k = 0; k < f->horizon; k++) {
        f->lead[k].reached[l] /= (double)work->path_count;
    }
    f->level[l].probability = (double)crossed / (double)work->path_count;
    if (crossed > 0) {
        quantiles_of(work->sorted, crossed, f->level[l].hours);
    }
}

static void count_peak(struct work *work) {
    struct forecast *f = work->forecast;
    size_t at_end = 0;
    for (size_t p = 0; p < work->path_count; p++) {
        int best = 0;
        for (int k = 1; k < f->horizon; k++) {
            if (work->paths[(size_t)k * work->path_count + p] >
                work->paths[(size_t)best * work->path_count + p]) {
                best = k;
            }
        }
        at_end += best == f->horizon - 1;
        work->sorted[p] = work->paths[(size_t)best * work->path_count + p];
        work->stages[p] = best + 1;
    }
    quantiles_of(work->sorted, work->path_count, f->peak_m3_s);
    quantiles_of(work->stages, work->path_count, f->peak_h);
    f->peak_at_end = (double)at_end / (double)work->path_count;
}

static void set_unknown(double *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        values[i] = NAN;
    }
}

static void clear(struct forecast *f, int from, const char *cause) {
    for (int k = from; k < FORECAST_LEADS_MAX; k++) {
        struct forecast_lead *lead = &f->lead[k];
        set_unknown(lead->flow_m3_s, FORECAST_QUANTILES);
        set_unknown(lead->stage_m, FORECAST_QUANTILES);
        set_unknown(lead->above, FORECAST_LEVELS_MAX);
        set_unknown(lead->reached, FORECAST_LEVELS_MAX);
        (void)snprintf(lead->cause, sizeof lead->cause, "%s", cause);
    }
}

static void set_horizon(struct work *work) {
    const struct forecast_input *in = work->in;
    struct forecast *f = work->forecast;
    f->horizon = in->member_count == 0 ? 0 : in->leads;
    for (size_t m = 0; m < in->member_count; m++) {
        const double *flow = f->member_m3_s + m * (size_t)in->leads;
        int k = 0;
        while (k < f->horizon && !isnan(flow[k])) {
            k++;
        }
        f->horizon = k;
    }
}

static void count_all(struct work *work) {
    const struct forecast_input *in = work->in;
    struct forecast *f = work->forecast;
    set_horizon(work);
    char cause[FORECAST_CAUSE_SIZE] = "no rain forecast";
    if (f->horizon > 0) {
        (void)snprintf(cause, sizeof cause, "rain or evaporation forecast ends after %d h",
                       f->horizon);
    }
    clear(f, f->horizon, cause);
    set_unknown(f->peak_m3_s, FORECAST_QUANTILES);
    set_unknown(f->peak_h, FORECAST_QUANTILES);
    f->peak_at_end = NAN;
    for (int k = 0; k < f->horizon; k++) {
        count_lead(work, k);
    }
    for (size_t l = 0; l < FORECAST_LEVELS_MAX; l++) {
        f->level[l].probability = NAN;
        set_unknown(f->level[l].hours, FORECAST_QUANTILES);
        if (f->horizon > 0 && l < in->level_count) {
            count_level(work, l);
        }
    }
    if (f->horizon > 0) {
        count_peak(work);
    }
}

/* ---- one start ---- */

static void set_floors(struct work *work) {
    const struct forecast_input *in = work->in;
    struct forecast *f = work->forecast;
    const double *zero = f->member_m3_s + in->member_count * (size_t)in->leads;
    const double *persistence = zero + in->leads;
    for (int k = 0; k < in->leads; k++) {
        enum rating_mark mark;
        struct forecast_lead *lead = &f->lead[k];
        lead->zero_m3_s = zero[k];
        lead->persistence_m3_s = persistence[k];
        lead->zero_m = in->rating != NULL ? rating_stage(in->rating, zero[k], &mark) : (double)NAN;
        lead->persistence_m =
            in->rating != NULL ? rating_stage(in->rating, persistence[k], &mark) : (double)NAN;
    }
}

static int run_from(const struct forecast_input *in, const double *open,
                    struct forecast **ret_forecast, struct err *ret_err) {
    size_t leads = (size_t)in->leads;
    size_t paths = in->member_count * RESIDUAL_QUANTILES;
    struct work work = {.in = in, .path_count = paths};
    struct forecast *f = calloc(1, sizeof *f);
    double *members = calloc((in->member_count + 2) * leads, sizeof *members);
    work.paths = calloc(paths * leads + 1, sizeof *work.paths);
    work.sorted = calloc(2 * paths + 1, sizeof *work.sorted);
    if (f == NULL || members == NULL || work.paths == NULL || work.sorted == NULL) {
        free(f);
        free(members);
        free(work.paths);
        free(work.sorted);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu paths", paths);
    }
    work.stages = work.sorted + paths;
    work.forecast = f;
    f->member_m3_s = members;
    f->path_count = paths;
    for (size_t m = 0; m < in->member_count + 2; m++) {
        update_member(in, open + m * leads, members + m * leads);
        if (m < in->member_count) {
            dress(&work, m, members + m * leads);
        }
    }
    note_updating(&work, 1, &f->mark, &f->age_h);
    double newest = has_since(in) ? in->since_observed_m3_s[in->since_count - 1]
                                  : in->observed_m3_s[in->past_count - 1];
    for (size_t l = 0; l < in->level_count; l++) {
        f->level[l].now = !isnan(newest) && level_value(&work, newest) >= in->levels[l];
    }
    count_all(&work);
    set_floors(&work);
    free(work.paths);
    free(work.sorted);
    *ret_forecast = f;
    return 0;
}

/* ---- dry and wet ---- */

/* Keeps a probability that both starts agree on. */
static void agree(double *low, double high) {
    *low = fabs(high - *low) <= agreement ? high : (double)NAN;
}

/* The lower quantiles stay, the upper ones are those of the wet start. */
static void widen(double *low, const double *high) {
    bool same = fabs(high[MEDIAN] - low[MEDIAN]) <= agreement * fabs(low[MEDIAN]);
    low[MEDIAN] = same ? high[MEDIAN] : (double)NAN;
    for (int q = MEDIAN + 1; q < FORECAST_QUANTILES; q++) {
        low[q] = high[q];
    }
}

static void join(struct forecast *dry, const struct forecast *wet) {
    dry->recovering = true;
    for (int k = 0; k < dry->horizon; k++) {
        struct forecast_lead *lead = &dry->lead[k];
        widen(lead->flow_m3_s, wet->lead[k].flow_m3_s);
        widen(lead->stage_m, wet->lead[k].stage_m);
        lead->extrapolated = lead->extrapolated || wet->lead[k].extrapolated;
        bool lost = isnan(lead->flow_m3_s[MEDIAN]);
        for (size_t l = 0; l < FORECAST_LEVELS_MAX; l++) {
            agree(&lead->above[l], wet->lead[k].above[l]);
            agree(&lead->reached[l], wet->lead[k].reached[l]);
            lost = lost || isnan(lead->above[l]) || isnan(lead->reached[l]);
        }
        if (lost) {
            (void)snprintf(lead->cause, sizeof lead->cause,
                           "rain of the past is missing: dry and wet start disagree");
        }
    }
    for (size_t l = 0; l < FORECAST_LEVELS_MAX; l++) {
        agree(&dry->level[l].probability, wet->level[l].probability);
        if (isnan(dry->level[l].probability)) {
            set_unknown(dry->level[l].hours, FORECAST_QUANTILES);
        }
    }
    widen(dry->peak_m3_s, wet->peak_m3_s);
    if (isnan(dry->peak_m3_s[MEDIAN])) {
        set_unknown(dry->peak_h, FORECAST_QUANTILES);
        dry->peak_at_end = NAN;
    }
}

int forecast_run(const struct forecast_input *input, struct forecast **ret_forecast,
                 struct err *ret_err) {
    struct forecast *dry = NULL, *wet = NULL;
    int rc = check(input, ret_err);
    rc = rc != 0 ? rc : run_from(input, input->flow_m3_s, &dry, ret_err);
    if (rc == 0 && input->wet_flow_m3_s != NULL) {
        rc = run_from(input, input->wet_flow_m3_s, &wet, ret_err);
        if (rc == 0) {
            join(dry, wet);
        }
        forecast_destroy(wet);
    }
    if (rc != 0) {
        forecast_destroy(dry);
        return rc;
    }
    *ret_forecast = dry;
    return 0;
}

struct forecast *forecast_destroy(struct forecast *forecast) {
    if (forecast != NULL) {
        free(forecast->member_m3_s);
        free(forecast);
    }
    return NULL;
}
