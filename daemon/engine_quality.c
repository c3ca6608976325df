/* What other points say at the time of a reading: neighbours and cross-variable tests. Declared in
 * engine_core.h. */
#include <math.h>

#include "daemon/engine_core.h"

/* An amount or mean with less of its window known says nothing. */
#define COMPLETE_ENOUGH 0.9

/* The newest good value of another point at `at_us`; NaN: none, or too old. A suspect one is no
 * witness. */
static double latest_of(const struct engine *engine, uint32_t point, int64_t at_us,
                        int64_t age_max_us) {
    const struct sample_ref *newest = &engine->points[point].newest;
    bool known = newest->seq != 0 && newest->flag != QUALITY_SUSPECT && !newest->simulated &&
                 at_us - newest->at.mono.us <= age_max_us;
    return known ? newest->value : (double)NAN;
}

/* A statistic of another point over a window; NaN: not known well enough, doubted, or too old. */
static double windowed(const struct engine *engine, uint32_t point, uint32_t window, int64_t at_us,
                       int64_t age_max_us) {
    const struct window_value *value = &engine->windows[window].value;
    bool fresh = !isnan(latest_of(engine, point, at_us, age_max_us));
    return fresh && value->completeness >= COMPLETE_ENOUGH && !value->doubtful ? value->value
                                                                               : (double)NAN;
}

static double statistic_of(const struct engine *engine, const struct quality_cross *cross,
                           const struct engine_cross *windows, int64_t at_us) {
    const struct point *other = &engine->site.points[cross->other.index];
    if (cross->statistic == STATISTIC_LATEST) {
        return latest_of(engine, cross->other.index, at_us, cross->window_us);
    }
    return windowed(engine, cross->other.index, windows->other_window, at_us,
                    other->stale_after_us);
}

/* What fell at the point itself up to the reading, whose interval is `interval`. */
static double amount_to(const struct engine *engine, uint32_t window,
                        const struct window_segment *interval) {
    double known;
    double amount = window_amount_to(&engine->windows[window].series, interval, &known);
    return known >= COMPLETE_ENOUGH ? amount : (double)NAN;
}

/* The same for a counter or amount: not its number but what fell is compared. */
static void total_context(const struct engine *engine, const struct reading *reading,
                          struct quality_context *context) {
    const struct engine_point *state = &engine->points[reading->point];
    const struct quality_limits *limits = &engine->site.points[reading->point].quality;
    const struct engine_cross *neighbours = &engine->crosses[state->first_neighbour];
    const struct engine_cross *crosses = &engine->crosses[state->first_cross];
    int64_t at_us = reading->received.mono.us;
    struct window_segment interval;
    bool known = engine_interval_to(engine, reading, &interval);
    context->is_total = true;
    context->amount = known && limits->neighbour_count > 0
                          ? amount_to(engine, neighbours[0].rise_window, &interval)
                          : (double)NAN;
    for (uint32_t i = 0; i < limits->neighbour_count; i++) {
        context->neighbours[i] =
            windowed(engine, limits->neighbours[i].index, neighbours[i].other_window, at_us,
                     limits->neighbour_age_us);
    }
    for (uint32_t i = 0; i < limits->cross_count; i++) {
        context->rises[i] = known && crosses[i].rise_window != UINT32_MAX
                                ? amount_to(engine, crosses[i].rise_window, &interval)
                                : (double)NAN;
        context->others[i] = statistic_of(engine, &limits->cross[i], &crosses[i], at_us);
    }
}

bool engine_quality_context(const struct engine *engine, const struct reading *reading,
                            struct quality_context *ret_context) {
    const struct quality_limits *limits = &engine->site.points[reading->point].quality;
    int64_t at_us = reading->received.mono.us;
    if (limits->neighbour_count == 0 && limits->cross_count == 0) {
        return false;
    }
    if (engine->site.points[reading->point].kind != POINT_INSTANT) {
        total_context(engine, reading, ret_context);
        return true;
    }
    ret_context->is_total = false;
    for (uint32_t i = 0; i < limits->neighbour_count; i++) {
        ret_context->neighbours[i] =
            latest_of(engine, limits->neighbours[i].index, at_us, limits->neighbour_age_us);
    }
    for (uint32_t i = 0; i < limits->cross_count; i++) {
        const struct engine_cross *windows =
            &engine->crosses[engine->points[reading->point].first_cross + i];
        ret_context->rises[i] = windows->rise_window == UINT32_MAX
                                    ? (double)NAN
                                    : window_rise_to(&engine->windows[windows->rise_window].series,
                                                     at_us, reading->value);
        ret_context->others[i] = statistic_of(engine, &limits->cross[i], windows, at_us);
    }
    return true;
}
