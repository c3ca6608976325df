#include "daemon/station/counter.h"

#include <float.h>
#include <math.h>

/* A device's clock may run so much slow or fast against ours, and be read so late. */
#define UPTIME_DRIFT     0.1
#define UPTIME_READING_S 2.0

enum continuity { CONTINUITY_SAME, CONTINUITY_OTHER, CONTINUITY_UNKNOWN };

/* No restart in between: the time since the start grew by what passed. A start shortly before the
 * first reading and another one after it would look alike. */
static enum continuity of_uptime(double before_s, double after_s, double passed_s) {
    double slack_s = UPTIME_DRIFT * passed_s + UPTIME_READING_S;
    bool grew = after_s - before_s >= passed_s - slack_s;
    return grew && before_s > 2 * slack_s ? CONTINUITY_SAME : CONTINUITY_OTHER;
}

static enum continuity continuity_of(const struct point *point, const struct counter_sample *before,
                                     const struct counter_sample *after) {
    if (point->counter_epoch == COUNTER_EPOCH_NONE || isnan(before->epoch) || isnan(after->epoch)) {
        return CONTINUITY_UNKNOWN;
    }
    if (point->counter_epoch == COUNTER_EPOCH_UPTIME) {
        return of_uptime(before->epoch, after->epoch, (double)(after->at_us - before->at_us) / 1e6);
    }
    return before->epoch == after->epoch ? CONTINUITY_SAME : CONTINUITY_OTHER;
}

/* What may at most have fallen in between. */
static double most(const struct point *point, const struct counter_sample *before,
                   const struct counter_sample *after) {
    double periods = ceil((double)(after->at_us - before->at_us) / (double)point->period_us);
    return point->counter_step_max * (periods > 1 ? periods : 1);
}

double counter_amount(const struct point *point, const struct counter_sample *before,
                      const struct counter_sample *after) {
    enum continuity continuity = continuity_of(point, before, after);
    double most_in_between = most(point, before, after);
    double step = after->total - before->total;
    if (continuity == CONTINUITY_OTHER) {
        return (double)NAN;
    }
    if (point->counter_memory == COUNTER_LOST && continuity == CONTINUITY_UNKNOWN &&
        (step < 0 || !(after->total > most_in_between))) {
        return (double)NAN;
    }
    if (step < 0) {
        step += point->counter_modulus; /* NaN without one */
    }
    /* Totals of some tips are no binary numbers: a difference of exactly the limit is not above it.
     * Comparisons with NaN are false: only what is known passes. */
    double rounding = 4 * DBL_EPSILON * fmax(fabs(before->total), fabs(after->total));
    if (!(step >= 0) || step > point->counter_step_max + rounding ||
        step + point->counter_modulus <= most_in_between) {
        return (double)NAN;
    }
    return step;
}
