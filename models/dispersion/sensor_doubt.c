#include "models/dispersion/sensor_doubt.h"

#include <math.h>

#define SEEN           2.0 /* detection limits */
#define FULL           0.995
#define PLATEAU_MIN    4.0  /* minutes: a test gas stands longer, a gust does not */
#define PLATEAU_STEADY 0.02 /* turbulence moves a ten-minute plume by a fifth or more */
#define SPAN_OFF       0.05
#define UP_READINGS    2 /* of the rise of a test gas */
#define DRIFT_MIN      60.0
#define DRIFT_STRAIGHT 0.97
#define DRIFT_LEAST    10 /* values */
#define CROSS_OFF      0.25
#define CROSS_LEAST    5 /* values */

enum { LEVEL_OF = 3 };

const char *const sensor_doubt_names[SENSOR_DOUBTS] = {
    "no gas", "release", "saturated", "calibration gas", "cross-sensitivity", "drift"};

/* The values that are there, the newest last. */
struct run {
    size_t count;
    double minute[SENSOR_VALUES_MAX], value[SENSOR_VALUES_MAX];
};

static void collect(const struct sensor_case *s, struct run *ret) {
    size_t from = s->count > SENSOR_VALUES_MAX ? s->count - SENSOR_VALUES_MAX : 0;
    ret->count = 0;
    for (size_t i = from; i < s->count; i++) {
        if (!isnan(s->values[i].value)) {
            ret->minute[ret->count] = (double)(s->values[i].utc_us - s->values[from].utc_us) / 6e7;
            ret->value[ret->count++] = s->values[i].value;
        }
    }
}

/* First of the last values that are all at or above a bound. */
static size_t since(const struct run *r, double bound) {
    size_t i = r->count;
    while (i > 0 && r->value[i - 1] >= bound) {
        i--;
    }
    return i;
}

/* The level that stands: median of the newest values, so that one spike is none. */
static double level_of(const struct run *r) {
    double v[LEVEL_OF];
    size_t count = r->count < LEVEL_OF ? r->count : LEVEL_OF;
    for (size_t i = 0; i < count; i++) {
        double x = r->value[r->count - 1 - i];
        size_t k = i;
        for (; k > 0 && v[k - 1] > x; k--) {
            v[k] = v[k - 1];
        }
        v[k] = x;
    }
    return v[count / 2];
}

/* Deviation of the values from `from` on in units of their mean. */
static double scatter(const struct run *r, size_t from) {
    double sum = 0, square = 0, n = (double)(r->count - from);
    for (size_t i = from; i < r->count; i++) {
        sum += r->value[i] / n;
    }
    for (size_t i = from; i < r->count; i++) {
        square += (r->value[i] - sum) * (r->value[i] - sum);
    }
    return n > 1 && sum > 0 ? sqrt(square / (n - 1)) / sum : (double)NAN;
}

/* Squared correlation of time and value from `from` on; NaN: falling, or too few. */
static double straight(const struct run *r, size_t from) {
    double n = (double)(r->count - from), mt = 0, mv = 0, tt = 0, vv = 0, tv = 0;
    if (n < DRIFT_LEAST) {
        return (double)NAN;
    }
    for (size_t i = from; i < r->count; i++) {
        mt += r->minute[i] / n;
        mv += r->value[i] / n;
    }
    for (size_t i = from; i < r->count; i++) {
        double t = r->minute[i] - mt, v = r->value[i] - mv;
        tt += t * t;
        vv += v * v;
        tv += t * v;
    }
    return tv > 0 && vv > 0 ? tv * tv / (tt * vv) : (double)NAN;
}

static bool is_saturated(const struct sensor_case *s, const struct run *r) {
    return !isnan(s->full_scale) && r->count > 0 && r->value[r->count - 1] >= FULL * s->full_scale;
}

static bool is_calibration(const struct sensor_case *s, const struct run *r, double level,
                           struct sensor_verdict *v) {
    size_t plateau = since(r, 0.9 * level), begin = since(r, 0.1 * level);
    double minutes = r->minute[r->count - 1] - r->minute[plateau];
    v->scatter = minutes >= PLATEAU_MIN ? scatter(r, plateau) : (double)NAN;
    return v->scatter <= PLATEAU_STEADY && begin > 0 && plateau - begin < UP_READINGS &&
           !isnan(s->span) && fabs(level / s->span - 1) <= SPAN_OFF;
}

/* The value of a series at a time, at most two minutes away. */
static double at(const struct sensor_other *o, int64_t utc_us) {
    double value = (double)NAN;
    int64_t best = INT64_C(120000001);
    for (size_t i = 0; i < o->count; i++) {
        int64_t away = o->values[i].utc_us > utc_us ? o->values[i].utc_us - utc_us
                                                    : utc_us - o->values[i].utc_us;
        if (away < best && !isnan(o->values[i].value)) {
            best = away;
            value = o->values[i].value;
        }
    }
    return value;
}

/* All readings that see something stand at the factor of the other gas. */
static bool is_cross(const struct sensor_case *s, const struct sensor_other *o, double *ret_ratio) {
    double sum = 0;
    size_t count = 0, fits = 0;
    for (size_t i = 0; i < s->count; i++) {
        double own = s->values[i].value,
               other = own >= SEEN * s->detection ? at(o, s->values[i].utc_us) : (double)NAN;
        if (isnan(other)) {
            continue;
        }
        double ratio = other > 0 ? own / other : (double)HUGE_VAL;
        count++;
        fits += fabs(ratio / o->factor - 1) <= CROSS_OFF;
        sum += isinf(ratio) ? 0 : ratio;
    }
    *ret_ratio = count > 0 ? sum / (double)count : (double)NAN;
    return count >= CROSS_LEAST && fits * 10 >= count * 9;
}

void sensor_doubt(const struct sensor_case *s, struct sensor_verdict *ret) {
    struct run r;
    struct sensor_verdict v = {SENSOR_NO_GAS, NULL,        (double)NAN,
                               (double)NAN,   (double)NAN, (double)NAN};
    collect(s, &r);
    double level = r.count > 0 ? level_of(&r) : (double)NAN;
    if (!(level >= SEEN * s->detection)) {
        *ret = v;
        return;
    }
    size_t begin = since(&r, 0.1 * level), top = since(&r, 0.9 * level);
    v.rise_min = begin > 0 && top < r.count ? r.minute[top] - r.minute[begin - 1] : (double)NAN;
    v.straight = straight(&r, begin);
    v.doubt = SENSOR_RELEASE;
    bool calibration = is_calibration(s, &r, level, &v);
    if (is_saturated(s, &r)) {
        v.doubt = SENSOR_SATURATED;
    } else if (s->downwind_up == 0 && !(level >= s->ceiling)) {
        bool slow =
            r.minute[r.count - 1] - r.minute[begin] >= DRIFT_MIN && !(v.rise_min < DRIFT_MIN);
        v.doubt = calibration                            ? SENSOR_CALIBRATION
                  : slow && v.straight >= DRIFT_STRAIGHT ? SENSOR_DRIFT
                                                         : SENSOR_RELEASE;
        for (size_t i = 0; v.doubt == SENSOR_RELEASE && i < s->other_count; i++) {
            if (is_cross(s, &s->others[i], &v.ratio)) {
                v.doubt = SENSOR_CROSS;
                v.with = s->others[i].name;
            }
        }
    }
    *ret = v;
}
