#include "models/areal/areal.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTHS_MAX = 2 * AREAL_WINDOWS_MAX };

/* Sums of one area: [cell] for the rates, [length * cells + cell] for the windows. */
struct sums {
    struct mask *mask; /* NULL: could not be placed; see cause */
    char cause[AREAL_CAUSE_SIZE];
    double *rate;     /* newest, NaN missing */
    double *sum;      /* of rates with data */
    uint32_t *filled; /* slots with data */
};

struct areal {
    struct areal_options options;
    const struct area_list *areas;
    size_t cells; /* of the grid */
    size_t columns;
    size_t slots;
    size_t length_count;
    size_t length[LENGTHS_MAX]; /* in slots: windows, then windows less the lead */
    struct sums *sums;          /* [areas->count] */
};

static int check_options(const struct areal_options *options, struct err *ret_err) {
    if (options->step_s <= 0 || options->step_s > 86400) {
        return err_set(ret_err, ERR_INVALID, "step %lld s; 1 s to 1 d expected",
                       (long long)options->step_s);
    }
    if (options->window_count > AREAL_WINDOWS_MAX || options->lead_s < 0 ||
        options->lead_s % options->step_s != 0) {
        return err_set(ret_err, ERR_INVALID,
                       "more than %d windows, or a lead of %lld s that is no "
                       "multiple of the step",
                       AREAL_WINDOWS_MAX, (long long)options->lead_s);
    }
    for (size_t i = 0; i < options->window_count; i++) {
        int64_t window_s = options->window_s[i];
        if (window_s <= 0 || window_s % options->step_s != 0 ||
            window_s / options->step_s > AREAL_SLOTS_MAX ||
            (i > 0 && window_s <= options->window_s[i - 1])) {
            return err_set(ret_err, ERR_INVALID,
                           "window %lld s; ascending multiples of the step of %lld s expected",
                           (long long)window_s, (long long)options->step_s);
        }
    }
    if (!(options->min_coverage >= 0 && options->min_coverage <= 1) ||
        !(options->threshold_mm_h >= 0)) {
        return err_set(ret_err, ERR_INVALID, "coverage %g or threshold %g is out of range",
                       options->min_coverage, options->threshold_mm_h);
    }
    return 0;
}

static void fill_lengths(struct areal *areal) {
    const struct areal_options *options = &areal->options;
    areal->slots = 1;
    for (size_t i = 0; i < options->window_count; i++) {
        size_t window = (size_t)(options->window_s[i] / options->step_s);
        size_t lead = (size_t)(options->lead_s / options->step_s);
        areal->length[i] = window;
        areal->length[options->window_count + i] = window > lead ? window - lead : 0;
        areal->slots = window > areal->slots ? window : areal->slots;
    }
    areal->length_count = 2 * options->window_count;
}

static int make_sums(struct grid_env *env, const struct grid *grid, const double *cell_area_m2,
                     const struct area *area, size_t length_count, struct sums *sums,
                     struct err *ret_err) {
    struct err inner = {.code = 0};
    int result = mask_create(env, grid, cell_area_m2, area, &sums->mask, &inner);
    if (result == ERR_MEMORY || result == ERR_LIMIT) {
        return err_set(ret_err, result, "%s", inner.text);
    }
    if (result != 0) {
        (void)snprintf(sums->cause, sizeof sums->cause, "%.95s", inner.text);
        return 0;
    }
    size_t count = sums->mask->count;
    sums->rate = malloc((count + 1) * sizeof *sums->rate);
    sums->sum = calloc(count * length_count + 1, sizeof *sums->sum);
    sums->filled = calloc(count * length_count + 1, sizeof *sums->filled);
    if (sums->rate == NULL || sums->sum == NULL || sums->filled == NULL) {
        return err_set(ret_err, ERR_MEMORY, "area %s: no memory for %zu cells", area->id, count);
    }
    for (size_t i = 0; i < count; i++) {
        sums->rate[i] = NAN;
    }
    return 0;
}

int areal_create(struct grid_env *env, const struct grid *grid, const struct area_list *areas,
                 const struct areal_options *options, struct areal **ret_areal,
                 struct err *ret_err) {
    int result = check_options(options, ret_err);
    if (result != 0) {
        return result;
    }
    struct areal *areal = calloc(1, sizeof *areal);
    double *cell_area_m2 = malloc(grid->rows * grid->columns * sizeof *cell_area_m2);
    if (areal != NULL) {
        areal->sums = calloc(areas->count, sizeof *areal->sums);
    }
    if (areal == NULL || areal->sums == NULL || cell_area_m2 == NULL) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for %zu areas", areas->count);
    } else {
        areal->options = *options;
        areal->areas = areas;
        areal->cells = grid->rows * grid->columns;
        areal->columns = grid->columns;
        fill_lengths(areal);
        result = grid_cell_areas_m2(env, grid, cell_area_m2, ret_err);
    }
    for (size_t i = 0; result == 0 && i < areas->count; i++) {
        result = make_sums(env, grid, cell_area_m2, &areas->areas[i], areal->length_count,
                           &areal->sums[i], ret_err);
    }
    free(cell_area_m2);
    if (result != 0) {
        areal_destroy(areal);
        return result;
    }
    *ret_areal = areal;
    return 0;
}

void areal_destroy(struct areal *areal) {
    if (areal == NULL) {
        return;
    }
    for (size_t i = 0; areal->sums != NULL && i < areal->areas->count; i++) {
        mask_destroy(areal->sums[i].mask);
        free(areal->sums[i].rate);
        free(areal->sums[i].sum);
        free(areal->sums[i].filled);
    }
    free(areal->sums);
    free(areal);
}

size_t areal_slots(const struct areal *areal) {
    return areal->slots;
}

int areal_add(struct areal *areal, size_t slot, const double *rate_mm_h, struct err *ret_err) {
    for (size_t i = 0; i < areal->cells; i++) {
        if (rate_mm_h[i] < 0.0) {
            return err_set(ret_err, ERR_RANGE, "rain rate %g mm h-1 at row %zu, column %zu",
                           rate_mm_h[i], i / areal->columns, i % areal->columns);
        }
    }
    for (size_t a = 0; a < areal->areas->count; a++) {
        struct sums *sums = &areal->sums[a];
        size_t count = sums->mask != NULL ? sums->mask->count : 0;
        for (size_t i = 0; i < count; i++) {
            double rate = rate_mm_h[sums->mask->index[i]];
            if (slot == 0) {
                sums->rate[i] = rate;
            }
            for (size_t l = 0; l < areal->length_count && !isnan(rate); l++) {
                if (slot < areal->length[l]) {
                    sums->sum[l * count + i] += rate;
                    sums->filled[l * count + i]++;
                }
            }
        }
    }
    return 0;
}

/* What one combination of window and lead gives. */
struct statistics {
    double mean;
    double max;
    double covered; /* window 0 only */
    double coverage;
};

/* Rates now. */
static struct statistics rate_statistics(const struct areal *areal, const struct sums *sums) {
    struct statistics out = {.max = NAN};
    double weight = 0.0;
    double sum = 0.0;
    double over = 0.0;
    for (size_t i = 0; i < sums->mask->count; i++) {
        double rate = sums->rate[i];
        double w = sums->mask->area_m2[i];
        if (isnan(rate)) {
            continue;
        }
        weight += w;
        sum += w * rate;
        over += rate >= areal->options.threshold_mm_h ? w : 0.0;
        out.max = isnan(out.max) || rate > out.max ? rate : out.max;
    }
    out.mean = weight > 0.0 ? sum / weight : NAN;
    out.covered = weight > 0.0 ? over / weight : NAN;
    out.coverage = weight > 0.0 ? weight / sums->mask->covered_m2 * sums->mask->inside : 0.0;
    return out;
}

/* A window: `past` selects the sums of what has been, `ahead` slots repeat the rates now. */
static struct statistics window_statistics(const struct areal *areal, const struct sums *sums,
                                           size_t window, size_t past, size_t ahead) {
    struct statistics out = {.max = NAN, .covered = NAN};
    size_t count = sums->mask->count;
    size_t slots = areal->length[window];
    double hours = (double)areal->options.window_s[window] / 3600.0;
    double weight = 0.0;
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        double rates = sums->sum[past * count + i];
        double filled = (double)sums->filled[past * count + i];
        double w = sums->mask->area_m2[i];
        if (ahead > 0 && !isnan(sums->rate[i])) {
            rates += (double)ahead * sums->rate[i];
            filled += (double)ahead;
        }
        if (filled == 0.0) {
            continue;
        }
        weight += w * filled;
        sum += w * rates;
        double amount_mm = rates / filled * hours;
        bool enough = filled >= areal->options.min_coverage * (double)slots;
        if (enough && (isnan(out.max) || amount_mm > out.max)) {
            out.max = amount_mm;
        }
    }
    out.mean = weight > 0.0 ? sum / weight * hours : NAN;
    out.coverage =
        weight > 0.0 ? weight / (sums->mask->covered_m2 * (double)slots) * sums->mask->inside : 0.0;
    return out;
}

static void put(const struct areal *areal, const struct sums *sums, const struct area *area,
                const char *variable, const char *unit, int64_t window_s, int64_t lead_s,
                double value, double coverage, struct areal_result **at) {
    struct areal_result *result = (*at)++;
    coverage = fmin(coverage, 1.0);
    *result = (struct areal_result){.area = area->id,
                                    .variable = variable,
                                    .unit = unit,
                                    .window_s = window_s,
                                    .lead_s = lead_s,
                                    .value = value,
                                    .coverage = coverage};
    if (sums->mask == NULL) {
        result->value = NAN;
        (void)snprintf(result->cause, sizeof result->cause, "%s", sums->cause);
    } else if (sums->mask->count == 0) {
        result->value = NAN;
        (void)snprintf(result->cause, sizeof result->cause, "area outside the grid");
    } else if (coverage < areal->options.min_coverage || isnan(value)) {
        result->value = NAN;
        (void)snprintf(result->cause, sizeof result->cause, "coverage %.3f below %.3f", coverage,
                       areal->options.min_coverage);
    }
}

size_t areal_result_count(const struct areal *areal) {
    size_t leads = areal->options.lead_s > 0 ? 2 : 1;
    return areal->areas->count * leads * (3 + 2 * areal->options.window_count);
}

static void finish_area(const struct areal *areal, const struct sums *sums, const struct area *area,
                        struct areal_result **at) {
    const struct areal_options *options = &areal->options;
    size_t leads = options->lead_s > 0 ? 2 : 1;
    bool known = sums->mask != NULL && sums->mask->count > 0;
    const struct statistics none = {NAN, NAN, NAN, 0.0};
    for (size_t l = 0; l < leads; l++) {
        int64_t lead_s = l == 0 ? 0 : options->lead_s;
        struct statistics s = known ? rate_statistics(areal, sums) : none;
        put(areal, sums, area, "rain_mean", "mm h-1", 0, lead_s, s.mean, s.coverage, at);
        put(areal, sums, area, "rain_max", "mm h-1", 0, lead_s, s.max, s.coverage, at);
        put(areal, sums, area, "rain_covered", "1", 0, lead_s, s.covered, s.coverage, at);
        for (size_t w = 0; w < options->window_count; w++) {
            size_t past = l == 0 ? w : options->window_count + w;
            size_t ahead = l == 0 ? 0 : areal->length[w] - areal->length[past];
            int64_t window_s = options->window_s[w];
            s = known ? window_statistics(areal, sums, w, past, ahead) : none;
            put(areal, sums, area, "rain_mean", "mm", window_s, lead_s, s.mean, s.coverage, at);
            put(areal, sums, area, "rain_max", "mm", window_s, lead_s, s.max, s.coverage, at);
        }
    }
}

void areal_finish(const struct areal *areal, struct areal_result *ret_results) {
    for (size_t a = 0; a < areal->areas->count; a++) {
        finish_area(areal, &areal->sums[a], &areal->areas->areas[a], &ret_results);
    }
}
