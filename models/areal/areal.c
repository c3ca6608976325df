#include "models/areal/areal.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTHS_MAX = AREAL_WINDOWS_MAX * (1 + AREAL_LEADS_MAX),
    POINTS_MAX = AREAL_LEADS_MAX * (1 + AREAL_WINDOWS_MAX),
    /* of a lead: mean, max and covered share of rates; mean and max of each window */
    NUMBERS_MAX = 3 + 2 * AREAL_WINDOWS_MAX
};

/* What one combination of window and lead gives. */
struct statistics {
    double mean;
    double max;
    double covered; /* window 0 only */
    double coverage;
    double least_mean; /* windows only: with nothing where data are missing */
    double least_max;
};

/* A value, its coverage and what it is not below (0: not told), to be kept for each member. */
struct number {
    double value;
    double coverage;
    double least;
};

/* A forecast that is being taken: the one without members, or a member. */
struct running {
    double *total;     /* of rates up to the step taken last */
    uint32_t *got;     /* steps with data */
    double *point_sum; /* total at the points: [point * cells + cell] */
    uint32_t *point_got;
    double *lead_rate; /* rates at the leads: [lead * cells + cell] */
};

/* Sums of one area: [cell] for the rates, [length * cells + cell] for the windows. */
struct sums {
    struct mask *mask; /* NULL: could not be placed; see cause */
    char cause[AREAL_CAUSE_SIZE];
    double *rate;     /* newest, NaN missing */
    double *sum;      /* of rates with data */
    uint32_t *filled; /* slots with data */
    struct running running[AREAL_TOGETHER];
    struct number *numbers; /* [(1 + member) * leads + lead][NUMBERS_MAX]; row 0: no ensemble */
};

struct areal {
    struct areal_options options;
    const struct area_list *areas;
    size_t cells; /* of the grid */
    size_t columns;
    size_t slots;
    size_t length_count;
    size_t length[LENGTHS_MAX]; /* in slots: windows, then for each lead windows less the lead */
    size_t point_count;
    size_t point[POINTS_MAX];           /* steps ahead at which totals are kept, ascending */
    bool forecast;                      /* one was given */
    char no_forecast[AREAL_CAUSE_SIZE]; /* why there is none; empty: there is */
    char no_members[AREAL_CAUSE_SIZE];
    struct sums *sums; /* [areas->count] */
    size_t *covered;   /* [covered_count] cells that any area covers */
    size_t covered_count;
};

static int check_leads(const struct areal_options *options, struct err *ret_err) {
    if (options->lead_count > AREAL_LEADS_MAX ||
        options->probability_count > AREAL_PROBABILITIES_MAX) {
        return err_set(ret_err, ERR_INVALID, "more than %d leads or %d probabilities",
                       AREAL_LEADS_MAX, AREAL_PROBABILITIES_MAX);
    }
    for (size_t i = 0; i < options->lead_count; i++) {
        int64_t lead_s = options->lead_s[i];
        if (lead_s <= 0 || lead_s % options->step_s != 0 ||
            lead_s / options->step_s > AREAL_SLOTS_MAX ||
            (i > 0 && lead_s <= options->lead_s[i - 1])) {
            return err_set(ret_err, ERR_INVALID,
                           "lead %lld s; ascending multiples of the step of %lld s expected",
                           (long long)lead_s, (long long)options->step_s);
        }
    }
    for (size_t i = 0; i < options->probability_count; i++) {
        double p = options->probability[i];
        if (!(p > 0.0 && p <= 1.0) || (i > 0 && !(p > options->probability[i - 1]))) {
            return err_set(ret_err, ERR_INVALID, "probability %g; ascending in (0, 1] expected", p);
        }
    }
    return 0;
}

static int check_options(const struct areal_options *options, struct err *ret_err) {
    if (options->step_s <= 0 || options->step_s > 86400) {
        return err_set(ret_err, ERR_INVALID, "step %lld s; 1 s to 1 d expected",
                       (long long)options->step_s);
    }
    if (options->window_count > AREAL_WINDOWS_MAX) {
        return err_set(ret_err, ERR_INVALID, "more than %d windows", AREAL_WINDOWS_MAX);
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
    return check_leads(options, ret_err);
}

static void add_point(struct areal *areal, size_t step) {
    size_t at = areal->point_count;
    while (at > 0 && areal->point[at - 1] > step) {
        at--;
    }
    if (at > 0 && areal->point[at - 1] == step) {
        return;
    }
    memmove(&areal->point[at + 1], &areal->point[at],
            (areal->point_count - at) * sizeof areal->point[0]);
    areal->point[at] = step;
    areal->point_count++;
}

static size_t steps_of(const struct areal *areal, int64_t duration_s) {
    return (size_t)(duration_s / areal->options.step_s);
}

static void fill_lengths(struct areal *areal) {
    const struct areal_options *options = &areal->options;
    areal->slots = 1;
    for (size_t i = 0; i < options->window_count; i++) {
        size_t window = steps_of(areal, options->window_s[i]);
        areal->length[i] = window;
        areal->slots = window > areal->slots ? window : areal->slots;
    }
    areal->length_count = options->window_count;
    for (size_t l = 0; l < options->lead_count; l++) {
        size_t lead = steps_of(areal, options->lead_s[l]);
        add_point(areal, lead);
        for (size_t i = 0; i < options->window_count; i++) {
            size_t window = areal->length[i];
            areal->length[areal->length_count++] = window > lead ? window - lead : 0;
            if (lead > window) {
                add_point(areal, lead - window);
            }
        }
    }
}

static int allocate_ahead(const struct areal *areal, struct sums *sums) {
    size_t count = sums->mask->count;
    size_t leads = areal->options.lead_count;
    size_t rows = (1 + areal->options.member_count) * leads;
    sums->numbers = calloc(rows * NUMBERS_MAX + 1, sizeof *sums->numbers);
    bool good = sums->numbers != NULL;
    for (size_t i = 0; i < AREAL_TOGETHER; i++) {
        struct running *running = &sums->running[i];
        running->total = calloc(count + 1, sizeof *running->total);
        running->got = calloc(count + 1, sizeof *running->got);
        running->point_sum = calloc(count * areal->point_count + 1, sizeof *running->point_sum);
        running->point_got = calloc(count * areal->point_count + 1, sizeof *running->point_got);
        running->lead_rate = calloc(count * leads + 1, sizeof *running->lead_rate);
        good = good && running->total != NULL && running->got != NULL &&
               running->point_sum != NULL && running->point_got != NULL &&
               running->lead_rate != NULL;
    }
    return good ? 0 : ERR_MEMORY;
}

/* The cells of a polygon; without any, why. */
static int place_polygon(struct grid_env *env, const struct grid *grid, const double *cell_area_m2,
                         const struct area *area, struct sums *sums, struct err *ret_err) {
    struct err inner = {.code = 0};
    int result = mask_create(env, grid, cell_area_m2, area, &sums->mask, &inner);
    if (result == ERR_MEMORY || result == ERR_LIMIT) {
        return err_set(ret_err, result, "%s", inner.text);
    }
    if (result != 0) {
        (void)snprintf(sums->cause, sizeof sums->cause, "%.95s", inner.text);
    }
    return 0;
}

/* The cells of a class, in its polygon when it has one, which was placed before. */
static int place_class(const struct areal *areal, const struct classes *classes, size_t index,
                       const double *cell_area_m2, struct sums *sums, struct err *ret_err) {
    size_t parent = classes_parent(classes, index);
    const struct sums *of = parent != SIZE_MAX ? &areal->sums[parent] : NULL;
    if (of != NULL && of->mask == NULL) {
        memcpy(sums->cause, of->cause, sizeof sums->cause);
        return 0;
    }
    int result = classes_mask(classes, index, of != NULL ? of->mask : NULL, cell_area_m2,
                              &sums->mask, ret_err);
    if (result == 0 && sums->mask->count == 0 && (of == NULL || of->mask->count > 0)) {
        mask_destroy(sums->mask);
        sums->mask = NULL;
        (void)snprintf(sums->cause, sizeof sums->cause, "no cell of that class");
    }
    return result;
}

static int make_sums(const struct area *area, const struct areal *areal, struct sums *sums,
                     struct err *ret_err) {
    if (sums->mask == NULL) {
        return 0;
    }
    size_t count = sums->mask->count;
    sums->rate = malloc((count + 1) * sizeof *sums->rate);
    sums->sum = calloc(count * areal->length_count + 1, sizeof *sums->sum);
    sums->filled = calloc(count * areal->length_count + 1, sizeof *sums->filled);
    if (sums->rate == NULL || sums->sum == NULL || sums->filled == NULL ||
        allocate_ahead(areal, sums) != 0) {
        return err_set(ret_err, ERR_MEMORY, "area %s: no memory for %zu cells", area->id, count);
    }
    for (size_t i = 0; i < count; i++) {
        sums->rate[i] = NAN;
    }
    return 0;
}

static int collect_cells(struct areal *areal, struct err *ret_err) {
    unsigned char *marks = calloc(areal->cells, 1);
    areal->covered = malloc(areal->cells * sizeof *areal->covered);
    if (marks == NULL || areal->covered == NULL) {
        free(marks);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", areal->cells);
    }
    for (size_t a = 0; a < areal->areas->count; a++) {
        const struct mask *mask = areal->sums[a].mask;
        for (size_t i = 0; mask != NULL && i < mask->count; i++) {
            marks[mask->index[i]] = 1;
        }
    }
    for (size_t i = 0; i < areal->cells; i++) {
        if (marks[i] != 0) {
            areal->covered[areal->covered_count++] = i;
        }
    }
    free(marks);
    return 0;
}

int areal_create(struct grid_env *env, const struct grid *grid, const struct area_list *areas,
                 const struct classes *classes, const struct areal_options *options,
                 struct areal **ret_areal, struct err *ret_err) {
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
        struct sums *sums = &areal->sums[i];
        result = classes != NULL && i >= classes_polygons(classes)
                     ? place_class(areal, classes, i, cell_area_m2, sums, ret_err)
                     : place_polygon(env, grid, cell_area_m2, &areas->areas[i], sums, ret_err);
        result = result == 0 ? make_sums(&areas->areas[i], areal, sums, ret_err) : result;
    }
    free(cell_area_m2);
    result = result == 0 ? collect_cells(areal, ret_err) : result;
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
        struct sums *sums = &areal->sums[i];
        mask_destroy(sums->mask);
        free(sums->rate);
        free(sums->sum);
        free(sums->filled);
        for (size_t k = 0; k < AREAL_TOGETHER; k++) {
            free(sums->running[k].total);
            free(sums->running[k].got);
            free(sums->running[k].point_sum);
            free(sums->running[k].point_got);
            free(sums->running[k].lead_rate);
        }
        free(sums->numbers);
    }
    free(areal->sums);
    free(areal->covered);
    free(areal);
}

size_t areal_cells(const struct areal *areal, const size_t **ret_cells) {
    *ret_cells = areal->covered;
    return areal->covered_count;
}

size_t areal_slots(const struct areal *areal) {
    return areal->slots;
}

size_t areal_steps_ahead(const struct areal *areal) {
    return areal->point_count > 0 ? areal->point[areal->point_count - 1] : 0;
}

/* ---- what has been ---- */

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

/* Rates of the cells, NaN missing. */
static struct statistics rate_statistics(const struct areal *areal, const struct sums *sums,
                                         const double *rates) {
    struct statistics out = {.max = NAN};
    double weight = 0.0;
    double sum = 0.0;
    double over = 0.0;
    for (size_t i = 0; i < sums->mask->count; i++) {
        double rate = rates[i];
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

/* What a window takes of the forecast: the total at one point less that at another. */
struct ahead {
    const struct running *of; /* NULL: nothing */
    size_t to;                /* index of a point */
    bool less;                /* the window begins after the reference time */
    size_t from;              /* index of a point */
};

/* A window: `past` selects the sums of what has been. */
static struct statistics window_statistics(const struct areal *areal, const struct sums *sums,
                                           size_t window, size_t past, const struct ahead *ahead) {
    struct statistics out = {.max = NAN, .covered = NAN};
    size_t count = sums->mask->count;
    size_t slots = areal->length[window];
    double hours = (double)areal->options.window_s[window] / 3600.0;
    double step_hours = (double)areal->options.step_s / 3600.0;
    double weight = 0.0;
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        double rates = sums->sum[past * count + i];
        double filled = (double)sums->filled[past * count + i];
        double w = sums->mask->area_m2[i];
        if (ahead->of != NULL) {
            rates += ahead->of->point_sum[ahead->to * count + i];
            filled += (double)ahead->of->point_got[ahead->to * count + i];
        }
        if (ahead->less) {
            rates -= ahead->of->point_sum[ahead->from * count + i];
            filled -= (double)ahead->of->point_got[ahead->from * count + i];
        }
        if (filled == 0.0) {
            continue;
        }
        weight += w * filled;
        sum += w * rates;
        double amount_mm = fmax(rates, 0.0) / filled * hours; /* of rounding: -1e-16 */
        out.least_max = fmax(out.least_max, rates * step_hours);
        bool enough = filled >= areal->options.min_coverage * (double)slots;
        if (enough && (isnan(out.max) || amount_mm > out.max)) {
            out.max = amount_mm;
        }
    }
    out.mean = weight > 0.0 ? fmax(sum, 0.0) / weight * hours : NAN;
    out.coverage =
        weight > 0.0 ? weight / (sums->mask->covered_m2 * (double)slots) * sums->mask->inside : 0.0;
    out.least_mean = fmax(sum, 0.0) / sums->mask->covered_m2 * sums->mask->inside * step_hours;
    return out;
}

/* ---- what is ahead ---- */

static size_t point_of(const struct areal *areal, size_t step) {
    size_t at = 0;
    while (areal->point[at] != step) {
        at++; /* every lead and every begin of a window is a point */
    }
    return at;
}

/* The numbers of a lead in the order of the results. */
static void take_numbers(const struct areal *areal, const struct sums *sums,
                         const struct running *running, size_t lead, struct number *ret_numbers) {
    size_t windows = areal->options.window_count;
    size_t step = steps_of(areal, areal->options.lead_s[lead]);
    struct statistics s =
        rate_statistics(areal, sums, running->lead_rate + lead * sums->mask->count);
    *ret_numbers++ = (struct number){s.mean, s.coverage, 0.0};
    *ret_numbers++ = (struct number){s.max, s.coverage, 0.0};
    *ret_numbers++ = (struct number){s.covered, s.coverage, 0.0};
    for (size_t w = 0; w < windows; w++) {
        struct ahead ahead = {.of = running, .to = point_of(areal, step)};
        if (step > areal->length[w]) {
            ahead.less = true;
            ahead.from = point_of(areal, step - areal->length[w]);
        }
        s = window_statistics(areal, sums, w, windows * (1 + lead) + w, &ahead);
        *ret_numbers++ = (struct number){s.mean, s.coverage, s.least_mean};
        *ret_numbers++ = (struct number){s.max, s.coverage, s.least_max};
    }
}

/* Adds a step to the run that is being taken; after the last one, its numbers go to `row`. */
static void end_step(const struct areal *areal, struct sums *sums, struct running *running,
                     size_t step, size_t row) {
    size_t count = sums->mask->count;
    for (size_t p = 0; p < areal->point_count; p++) {
        if (areal->point[p] == step) {
            memcpy(running->point_sum + p * count, running->total, count * sizeof *running->total);
            memcpy(running->point_got + p * count, running->got, count * sizeof *running->got);
        }
    }
    size_t leads = areal->options.lead_count;
    for (size_t l = 0; l < leads && step == areal_steps_ahead(areal); l++) {
        take_numbers(areal, sums, running, l, sums->numbers + (row * leads + l) * NUMBERS_MAX);
    }
}

static void add_rate(const struct areal *areal, const struct sums *sums, struct running *running,
                     size_t step, size_t cell, double rate) {
    size_t count = sums->mask->count;
    if (step == 1) {
        running->total[cell] = 0.0;
        running->got[cell] = 0;
    }
    if (!isnan(rate)) {
        running->total[cell] += rate;
        running->got[cell]++;
    }
    for (size_t l = 0; l < areal->options.lead_count; l++) {
        if (steps_of(areal, areal->options.lead_s[l]) == step) {
            running->lead_rate[l * count + cell] = rate;
        }
    }
}

static void take_step(struct areal *areal, size_t row, size_t step, const float *rate_mm_h) {
    for (size_t a = 0; a < areal->areas->count; a++) {
        struct sums *sums = &areal->sums[a];
        struct running *running = &sums->running[row % AREAL_TOGETHER];
        size_t count = sums->mask != NULL ? sums->mask->count : 0;
        for (size_t i = 0; i < count; i++) {
            add_rate(areal, sums, running, step, i,
                     rate_mm_h != NULL ? (double)rate_mm_h[sums->mask->index[i]] : sums->rate[i]);
        }
        if (count > 0) {
            end_step(areal, sums, running, step, row);
        }
    }
}

void areal_forecast(struct areal *areal, size_t step, const float *rate_mm_h) {
    areal->forecast = true;
    take_step(areal, 0, step, rate_mm_h);
}

void areal_member(struct areal *areal, size_t member, size_t step, const float *rate_mm_h) {
    take_step(areal, 1 + member, step, rate_mm_h);
}

void areal_no_forecast(struct areal *areal, bool members_only, const char *cause) {
    (void)snprintf(areal->no_members, sizeof areal->no_members, "%s", cause); /* cut is fine */
    if (!members_only) {
        (void)snprintf(areal->no_forecast, sizeof areal->no_forecast, "%s", cause);
    }
}

/* ---- results ---- */

/* What is the same for all results of one area and lead. */
struct out {
    const struct areal *areal;
    const struct sums *sums;
    const struct area *area;
    int64_t lead_s;
    double probability;
    const char *cause; /* why all of them are unknown; empty: they are not */
    struct areal_result *at;
};

static void put(struct out *out, const char *variable, const char *unit, int64_t window_s,
                struct number number) {
    struct areal_result *result = out->at++;
    double min_coverage = out->areal->options.min_coverage;
    double coverage = fmin(number.coverage, 1.0);
    *result = (struct areal_result){.area = out->area->id,
                                    .variable = variable,
                                    .unit = unit,
                                    .window_s = window_s,
                                    .lead_s = out->lead_s,
                                    .value = number.value,
                                    .at_least = NAN,
                                    .coverage = coverage,
                                    .probability = out->probability};
    if (out->sums->mask == NULL) {
        result->value = NAN;
        (void)snprintf(result->cause, sizeof result->cause, "%s", out->sums->cause);
    } else if (out->sums->mask->count == 0) {
        result->value = NAN;
        (void)snprintf(result->cause, sizeof result->cause, "area outside the grid");
    } else if (out->cause[0] != '\0') {
        result->value = NAN;
        (void)snprintf(result->cause, sizeof result->cause, "%s", out->cause);
    } else if (coverage < min_coverage || isnan(number.value)) {
        result->value = NAN;
        /* "At least 0" would say nothing. */
        result->at_least = number.least > 0.0 ? number.least : (double)NAN;
        (void)snprintf(result->cause, sizeof result->cause, "coverage %.3f below %.3f", coverage,
                       min_coverage);
    }
}

/* numbers in the order of take_numbers. */
static void put_all(struct out *out, const struct number *numbers) {
    const struct areal_options *options = &out->areal->options;
    put(out, "rain_mean", "mm h-1", 0, numbers[0]);
    put(out, "rain_max", "mm h-1", 0, numbers[1]);
    put(out, "rain_covered", "1", 0, numbers[2]);
    for (size_t w = 0; w < options->window_count; w++) {
        put(out, "rain_mean", "mm", options->window_s[w], numbers[3 + 2 * w]);
        put(out, "rain_max", "mm", options->window_s[w], numbers[4 + 2 * w]);
    }
}

static void take_past(const struct areal *areal, const struct sums *sums,
                      struct number *ret_numbers) {
    static const struct ahead none = {.of = NULL};
    struct statistics s = rate_statistics(areal, sums, sums->rate);
    ret_numbers[0] = (struct number){s.mean, s.coverage, 0.0};
    ret_numbers[1] = (struct number){s.max, s.coverage, 0.0};
    ret_numbers[2] = (struct number){s.covered, s.coverage, 0.0};
    for (size_t w = 0; w < areal->options.window_count; w++) {
        s = window_statistics(areal, sums, w, w, &none);
        ret_numbers[3 + 2 * w] = (struct number){s.mean, s.coverage, s.least_mean};
        ret_numbers[4 + 2 * w] = (struct number){s.max, s.coverage, s.least_max};
    }
}

static int compare_falling(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a < b) - (a > b);
}

/* The value that at least the share `probability` of the members reach. A member without a value
 * makes it unknown. `values` has room for the members, twice. */
static struct number reached(const struct areal *areal, const struct sums *sums, size_t lead,
                             size_t k, double probability, double *values) {
    size_t members = areal->options.member_count;
    double *least = values + members;
    struct number out = {0.0, 0.0, 0.0};
    for (size_t m = 0; m < members; m++) {
        const struct number *number =
            sums->numbers + ((1 + m) * areal->options.lead_count + lead) * NUMBERS_MAX + k;
        out.value = isnan(number->value) ? (double)NAN : out.value;
        out.coverage += number->coverage / (double)members;
        values[m] = number->value;
        least[m] = number->least;
    }
    /* A share such as 0.3 of 10 members must not become 4 of them by rounding. */
    size_t needed = (size_t)ceil(probability * (double)members - 1e-9);
    size_t at = needed > 0 ? needed - 1 : 0;
    if (!isnan(out.value)) {
        qsort(values, members, sizeof *values, compare_falling);
        out.value = values[at];
    }
    qsort(least, members, sizeof *least, compare_falling);
    out.least = least[at];
    return out;
}

size_t areal_result_count(const struct areal *areal) {
    const struct areal_options *options = &areal->options;
    size_t kinds = 1 + (options->member_count > 0 ? options->probability_count : 0);
    return areal->areas->count * (1 + options->lead_count * kinds) *
           (3 + 2 * options->window_count);
}

static void put_lead(struct out *out, size_t lead, bool known, double *values) {
    const struct areal *areal = out->areal;
    const struct areal_options *options = &areal->options;
    struct number numbers[NUMBERS_MAX] = {0};
    const struct number *here = numbers;
    size_t count = 3 + 2 * options->window_count;
    if (known) {
        here = out->sums->numbers + lead * NUMBERS_MAX;
    }
    out->cause = areal->no_forecast;
    put_all(out, here);
    out->cause = areal->no_members;
    for (size_t p = 0; options->member_count > 0 && p < options->probability_count; p++) {
        for (size_t k = 0; known && k < count; k++) {
            numbers[k] = reached(areal, out->sums, lead, k, options->probability[p], values);
        }
        out->probability = options->probability[p];
        put_all(out, numbers);
    }
    out->probability = NAN;
    out->cause = "";
}

int areal_finish(struct areal *areal, struct areal_result *ret_results, struct err *ret_err) {
    const struct areal_options *options = &areal->options;
    double *values = malloc((2 * options->member_count + 1) * sizeof *values);
    if (values == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the members");
    }
    for (size_t step = 1; !areal->forecast && step <= areal_steps_ahead(areal); step++) {
        take_step(areal, 0, step, NULL); /* persistence */
    }
    struct out out = {.areal = areal, .probability = NAN, .cause = "", .at = ret_results};
    for (size_t a = 0; a < areal->areas->count; a++) {
        struct number numbers[NUMBERS_MAX] = {0};
        out.sums = &areal->sums[a];
        out.area = &areal->areas->areas[a];
        out.lead_s = 0;
        bool known = out.sums->mask != NULL && out.sums->mask->count > 0;
        if (known) {
            take_past(areal, out.sums, numbers);
        }
        put_all(&out, numbers);
        for (size_t l = 0; l < options->lead_count; l++) {
            out.lead_s = options->lead_s[l];
            put_lead(&out, l, known, values);
        }
    }
    free(values);
    return 0;
}
