#include "models/radiation/washout.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "models/radiation/progeny.h"
#include "models/radiation/rank.h"

#define DAY_S         86400.0
#define SMOOTH_S      600.0  /* tipping buckets tell rain in lumps */
#define QUIET_S       1200.0 /* of the decay that is looked at, and of an alarm's end */
#define HALF_LIFE_S   3600.0 /* natural excess falls faster */
#define STEP_FROM_S   180.0  /* the readings that a step is told from */
#define STEP_TO_S     720.0
#define ENDS_BELOW    0.5    /* of the significance that raised */
#define PROGENY_S     2100.0 /* half-life of Pb-214 and Bi-214 together, the longer bound */
#define SIGMA_FLOOR   0.5    /* nSv/h: the resolution of the instruments */
#define SIGMA_SHARE   0.005
#define STAYS_AFTER_S 1800.0
#define ENDED_S       600.0
#define SURE_SDS      2.0 /* rain brings at least its mean less so many scatters */

enum { WINDOWS = 4, HISTORY_MAX = 512, BASELINE_MIN = 24, BASELINE_MAX = 2880, RENEWED = 16 };
static const size_t window_rows[WINDOWS] = {1, 3, 6, 15};
#define WINDOW_S_MAX 10800.0

struct past {
    int64_t utc_us;
    double excess, rain_mm_h; /* NaN: not known */
    struct progeny_state progeny;
    bool rain_known, raining, questioned, learned;
};

struct washout {
    struct washout_options options;
    struct rank dry[WINDOWS]; /* readings, then means of several */
    double sigma[WINDOWS];    /* scatter of the dry means; NaN: too few */
    size_t pushed, needed;
    struct progeny progeny;
    struct past past[HISTORY_MAX]; /* ring */
    size_t count, next;
    int64_t rain_us, wet_us; /* newest known rain, newest above WASHOUT_WET; 0: none */
    double rain_held;
    bool alarmed, by_step;
    double step_level; /* the residual at which an alarm by a step is over */
    int64_t alarm_us;
    double stood;   /* residual when it began, or later when rain was last too long ago to be it */
    double highest; /* mean excess of the alarm */
    bool unrained;  /* `stood` is of a time without rain */
    enum washout_why alarm_why;
};

const struct washout_options washout_options_default = {WASHOUT_CEILING, WASHOUT_RAIN_AGE, 5, 60};

static const struct past *past_at(const struct washout *w, size_t back) {
    return &w->past[(w->next + HISTORY_MAX - 1 - back) % HISTORY_MAX];
}

static double seconds(int64_t from_us, int64_t to_us) {
    return (double)(to_us - from_us) / 1e6;
}

int washout_create(const struct washout_options *options, struct washout **ret_washout,
                   struct err *ret_err) {
    const struct washout_options *o = options;
    if (!(o->ceiling_nsv_h > 0) || !(o->rain_max_age_s >= 0) || !(o->significance > 0) ||
        !(o->step_s >= 1 && o->step_s <= 7200)) {
        return err_set(ret_err, ERR_RANGE,
                       "ceiling and significance above 0, readings 1 s to 2 h apart");
    }
    struct washout *w = calloc(1, sizeof *w);
    int rc = w == NULL ? ERR_MEMORY : 0;
    double rows = fmin(fmax(DAY_S / o->step_s, BASELINE_MIN), BASELINE_MAX);
    for (size_t k = 0; rc == 0 && k < WINDOWS; k++) {
        rc = rank_create((size_t)rows, &w->dry[k]);
    }
    if (rc != 0) {
        washout_destroy(w);
        return err_set(ret_err, rc, "no memory for a day of readings");
    }
    w->options = *o;
    w->needed = (size_t)fmin(fmax(WASHOUT_NEEDED_S / o->step_s, 6), BASELINE_MIN);
    progeny_init(&w->progeny);
    *ret_washout = w;
    return 0;
}

struct washout *washout_destroy(struct washout *washout) {
    for (size_t k = 0; washout != NULL && k < WINDOWS; k++) {
        rank_finish(&washout->dry[k]);
    }
    free(washout);
    return NULL;
}

/* Scatter of a mean over each window, at least that of the instrument. A day of readings changes
 * little in a few: told anew after every RENEWED of them. */
static void renew_sigma(struct washout *w) {
    double floor = fmax(SIGMA_FLOOR, SIGMA_SHARE * rank_median(&w->dry[0]));
    if (w->pushed++ % RENEWED != 0 && w->dry[0].count > 2 * w->needed) {
        return;
    }
    for (size_t k = 0; k < WINDOWS; k++) {
        double least = floor / sqrt((double)window_rows[k]);
        w->sigma[k] =
            w->dry[k].count >= w->needed ? fmax(rank_spread(&w->dry[k]), least) : (double)NAN;
    }
}

/* Mean rain of the smoothing time before a reading, the reading's own when that is more: at the
 * onset the mean is late. */
static double smooth_rain(const struct washout *w, int64_t now_us, double rain_mm_h) {
    double sum = rain_mm_h, count = 1;
    for (size_t back = 0; back < w->count; back++) {
        const struct past *p = past_at(w, back);
        if (seconds(p->utc_us, now_us) >= SMOOTH_S) {
            break;
        }
        sum += p->rain_known ? p->rain_mm_h : 0;
        count += p->rain_known;
    }
    return fmax(rain_mm_h, sum / count);
}

/* Carries rain and progeny to the new reading. */
static struct past advance(struct washout *w, const struct washout_input *in) {
    double step_s = w->count > 0 ? seconds(past_at(w, 0)->utc_us, in->utc_us) : w->options.step_s;
    struct past now = {.utc_us = in->utc_us, .excess = (double)NAN};
    if (!isnan(in->rain_mm_h)) {
        w->rain_us = in->utc_us;
        w->rain_held = in->rain_mm_h;
        w->wet_us = in->rain_mm_h >= WASHOUT_WET ? in->utc_us : w->wet_us;
    }
    now.rain_known =
        w->rain_us != 0 && seconds(w->rain_us, in->utc_us) <= w->options.rain_max_age_s;
    now.rain_mm_h = now.rain_known ? w->rain_held : (double)NAN;
    double smooth = now.rain_known ? smooth_rain(w, in->utc_us, now.rain_mm_h) : 0;
    now.raining = smooth > 0;
    now.progeny = w->count > 0 ? past_at(w, 0)->progeny : (struct progeny_state){0};
    progeny_step(&now.progeny, sqrt(smooth), step_s);
    return now;
}

/* Learns from the readings that have become old enough. */
static void learn(struct washout *w, int64_t now_us, double sigma) {
    for (size_t back = w->count; back-- > 0;) {
        struct past *p = &w->past[(w->next + HISTORY_MAX - 1 - back) % HISTORY_MAX];
        if (p->learned || seconds(p->utc_us, now_us) < WASHOUT_LAG_S) {
            continue;
        }
        p->learned = true;
        if (!p->questioned && p->rain_known && !isnan(p->excess)) {
            progeny_learn(&w->progeny, &p->progeny, p->excess, sigma, p->raining);
        }
    }
}

struct finding {
    double score;
    bool step;
    double step_level;
};

/* Residual of means over the last readings, each against its own scatter. */
static void test_windows(const struct washout *w, const struct past *now, double dry_s,
                         struct finding *found) {
    double sum = 0;
    size_t rows = 0;
    for (size_t k = 0; k < WINDOWS; k++) {
        double sd = 0, mean = 0, sigma = w->sigma[k], first = 0;
        for (; rows < window_rows[k] && rows < w->count; rows++) {
            const struct past *p = past_at(w, rows);
            progeny_predict(&w->progeny, &p->progeny, dry_s, &mean, &sd);
            sum += p->excess - (now->rain_known ? mean : 0);
        }
        if (rows < window_rows[k] || isnan(sigma) || isnan(sum)) {
            break;
        }
        first = seconds(past_at(w, rows - 1)->utc_us, now->utc_us);
        if (first > WINDOW_S_MAX) {
            break;
        }
        progeny_predict(&w->progeny, &now->progeny, dry_s, &mean, &sd);
        double spread = now->rain_known ? hypot(sigma, sd) : sigma;
        found->score = fmax(found->score, sum / (double)rows / spread);
    }
}

/* A step within minutes, against what rain may bring in that time. */
static void test_step(const struct washout *w, const struct past *now, double sigma,
                      struct finding *found) {
    double sum = 0;
    size_t count = 0;
    struct progeny_state before = {0};
    for (size_t back = 1; back < w->count && count < 10; back++) {
        const struct past *p = past_at(w, back);
        double age = seconds(p->utc_us, now->utc_us);
        if (age > fmax(STEP_TO_S, 3 * w->options.step_s)) {
            break;
        }
        if (age < STEP_FROM_S || isnan(p->excess) || !p->rain_known) {
            continue;
        }
        double mean = 0, sd = 0;
        progeny_predict(&w->progeny, &p->progeny, 0, &mean, &sd);
        sum += p->excess - mean;
        before = p->progeny;
        count++;
    }
    if (count == 0 || !now->rain_known || isnan(now->excess)) {
        return;
    }
    double mean = 0, sd = 0, reference = sum / (double)count;
    progeny_predict(&w->progeny, &now->progeny, 0, &mean, &sd);
    double residual = now->excess - mean;
    double brought = progeny_change_sd(&w->progeny, &before, &now->progeny);
    double spread = sqrt(sigma * sigma * (1 + 1 / (double)count) + brought * brought);
    double score = (residual - reference) / spread;
    if (score > found->score) {
        *found = (struct finding){score, true, reference + (residual - reference) / 2};
    }
}

/* How the excess went over the last twenty minutes, and what of the residual is left when that much
 * of it falls as progeny do: a part that stays is no rain. */
struct course {
    bool falls;    /* with a half-life below an hour */
    double stays;  /* nSv/h; NaN: not known */
    double spread; /* of it */
};

static struct course course_of(const struct washout *w, const struct past *now, double sigma) {
    double sum[2] = {0, 0}, residual[2] = {0, 0}; /* before, recent */
    size_t n[2] = {0, 0};
    double apart = fmax(QUIET_S, 2 * w->options.step_s);
    for (size_t back = 0; back < w->count; back++) {
        const struct past *p = past_at(w, back);
        double age = seconds(p->utc_us, now->utc_us), mean = 0, sd = 0;
        if (age > fmax(1.5 * QUIET_S, 3.5 * w->options.step_s)) {
            break;
        }
        bool recent = age < fmax(QUIET_S / 2, 1.5 * w->options.step_s);
        if (isnan(p->excess) || (!recent && age < apart)) {
            continue;
        }
        if (p->rain_known) {
            progeny_predict(&w->progeny, &p->progeny, 0, &mean, &sd);
        }
        sum[recent] += p->excess;
        residual[recent] += p->excess - mean;
        n[recent]++;
    }
    if (n[0] == 0 || n[1] == 0) {
        return (struct course){false, (double)NAN, (double)NAN};
    }
    double r[2] = {1 / (double)n[0], 1 / (double)n[1]}, left = exp2(-apart / PROGENY_S);
    return (struct course){
        .falls = sum[1] * r[1] < sum[0] * r[0] * exp2(-apart / HALF_LIFE_S),
        .stays = (residual[1] * r[1] - left * residual[0] * r[0]) / (1 - left),
        .spread = sigma * sqrt(r[1] + left * left * r[0]) / (1 - left),
    };
}

static enum washout_why why_of(const struct washout *w, const struct past *now, bool step,
                               bool neighbours) {
    double wet_s = w->wet_us == 0 ? HUGE_VAL : seconds(w->wet_us, now->utc_us);
    return !now->rain_known           ? WASHOUT_WHY_STALE_RAIN
           : wet_s > WASHOUT_RECENT_S ? WASHOUT_WHY_DRY
           : neighbours               ? WASHOUT_WHY_NEIGHBOURS
           : step                     ? WASHOUT_WHY_STEP
           : wet_s > STAYS_AFTER_S    ? WASHOUT_WHY_STAYS
                                      : WASHOUT_WHY_BEYOND_RAIN;
}

/* The last minutes of a standing alarm; readings before it are not of it. */
struct standing {
    size_t count;
    double excess, residual; /* means, nSv/h */
    double unsure;           /* mean excess less what the rain is sure to have brought, nSv/h */
    double sd;               /* of the washout now */
};

/* False: a reading of these minutes is not known. */
static bool look_back(const struct washout *w, const struct past *now, struct standing *ret) {
    struct standing s = {0};
    for (size_t back = 0; back < w->count; back++) {
        const struct past *p = past_at(w, back);
        double mean = 0, sd = 0;
        if (p->utc_us < w->alarm_us ||
            seconds(p->utc_us, now->utc_us) > fmax(ENDED_S, 2.5 * w->options.step_s)) {
            break;
        }
        if (isnan(p->excess)) {
            return false;
        }
        if (now->rain_known) {
            progeny_predict(&w->progeny, &p->progeny, 0, &mean, &sd);
        }
        s.sd = back == 0 ? sd : s.sd;
        s.excess += p->excess;
        s.residual += p->excess - mean;
        s.unsure += p->excess - fmax(mean - SURE_SDS * sd, 0);
        s.count++;
    }
    s.excess /= (double)s.count;
    s.residual /= (double)s.count;
    s.unsure /= (double)s.count;
    *ret = s;
    return s.count > 1;
}

/* Whether a standing alarm is over: its residual is small again, and what stood is gone, also when
 * no more is taken off than the rain is sure to have brought; or more than half of it fell as
 * progeny do and no part of it stays. What stood without rain does not become rain by a later one.
 */
static bool over(struct washout *w, const struct past *now, double sigma, double wet_s,
                 bool falling) {
    struct standing s = {0};
    if (!look_back(w, now, &s)) {
        return false;
    }
    double noise = ENDS_BELOW * w->options.significance * sigma;
    double limit = w->by_step ? fmax(w->step_level, noise)
                              : ENDS_BELOW * w->options.significance * hypot(sigma, s.sd);
    if (wet_s > WASHOUT_RECENT_S) {
        w->stood = s.residual;
        w->unrained = true;
    }
    w->highest = fmax(w->highest, s.excess);
    bool gone = s.unsure < fmax(ENDS_BELOW * w->stood, noise);
    bool fell = falling && s.excess < ENDS_BELOW * w->highest;
    return (gone && (s.residual < limit || fell)) || (fell && !w->unrained);
}

static void judge(struct washout *w, const struct washout_input *in, struct past *now,
                  struct washout_output *out) {
    struct finding found = {.score = -HUGE_VAL};
    double sigma = out->sigma_nsv_h, wet_s = HUGE_VAL;
    bool neighbours = in->neighbours_up > 0;
    if (w->wet_us != 0) {
        wet_s = seconds(w->wet_us, now->utc_us);
    }
    test_windows(w, now, wet_s, &found);
    test_step(w, now, sigma, &found);
    out->significance = found.score;
    bool raised = found.score > w->options.significance;
    bool recent = now->rain_known && wet_s <= WASHOUT_RECENT_S;
    struct course course = course_of(w, now, sigma);
    bool falling = recent && !found.step && !neighbours && course.falls;
    bool whole = course.stays < course.spread; /* not when it is not known */
    if (w->alarmed) {
        w->alarmed = !over(w, now, sigma, wet_s, falling && whole);
    } else if (raised && !falling) {
        w->alarmed = true;
        w->by_step = found.step;
        w->step_level = found.step_level;
        w->alarm_us = now->utc_us;
        w->stood = out->residual_nsv_h;
        w->highest = now->excess;
        w->unrained = wet_s > WASHOUT_RECENT_S;
        w->alarm_why = why_of(w, now, found.step, neighbours);
    }
    double plain = now->excess / sigma;
    if (in->dose_nsv_h >= w->options.ceiling_nsv_h) {
        out->state = WASHOUT_ALARM;
        out->why = WASHOUT_WHY_CEILING;
    } else if (w->alarmed) {
        out->state = WASHOUT_ALARM;
        out->why = w->alarm_why;
    } else if (recent && plain > 3) {
        out->state = WASHOUT_RAIN;
        out->why = raised ? WASHOUT_WHY_DECAYS : WASHOUT_WHY_EXPLAINED;
    } else {
        out->state = WASHOUT_NORMAL;
    }
}

static void remember_means(struct washout *w) {
    double median = rank_median(&w->dry[0]), sum = 0;
    size_t rows = 0;
    for (size_t k = 1; k < WINDOWS; k++) {
        for (; rows < window_rows[k] && rows < w->count; rows++) {
            const struct past *p = past_at(w, rows);
            sum += p->questioned ? (double)NAN : p->excess;
        }
        if (rows < window_rows[k] || isnan(sum)) {
            return;
        }
        rank_push(&w->dry[k], median + sum / (double)rows);
    }
}

/* A reading that nothing speaks against makes the baseline: dry, or without rain data at all. */
static void remember(struct washout *w, const struct past *now, double dose_nsv_h) {
    double wet_s = w->wet_us == 0 ? HUGE_VAL : seconds(w->wet_us, now->utc_us);
    if (!now->questioned && wet_s > WASHOUT_RECENT_S && !isnan(dose_nsv_h)) {
        rank_push(&w->dry[0], dose_nsv_h);
        remember_means(w);
        renew_sigma(w);
    }
}

static int check(const struct washout *w, const struct washout_input *in, struct err *ret_err) {
    if (w->count > 0 && in->utc_us <= past_at(w, 0)->utc_us) {
        return err_set(ret_err, ERR_RANGE, "a time that is not after the one before");
    }
    if (in->dose_nsv_h < 0 || isinf(in->dose_nsv_h) || in->rain_mm_h < 0 || isinf(in->rain_mm_h)) {
        return err_set(ret_err, ERR_RANGE, "a dose rate or rain that cannot be");
    }
    if (w->dry[0].count >= w->needed && rank_median(&w->dry[0]) < WASHOUT_LOWEST) {
        return err_set(ret_err, ERR_RANGE,
                       "a background of %.3g nSv/h: none is below %.0f nSv/h outdoors, so the "
                       "readings are in another unit (uSv/h?)",
                       rank_median(&w->dry[0]), WASHOUT_LOWEST);
    }
    return 0;
}

int washout_step(struct washout *w, const struct washout_input *in,
                 struct washout_output *ret_output, struct err *ret_err) {
    const double nan = (double)NAN;
    struct washout_output out = {WASHOUT_UNKNOWN, WASHOUT_WHY_NONE, nan, nan, nan, nan, nan, nan};
    int rc = check(w, in, ret_err);
    if (rc != 0) {
        return rc;
    }
    struct past now = advance(w, in);
    bool based = w->dry[0].count >= w->needed;
    if (based) {
        out.baseline_nsv_h = rank_median(&w->dry[0]);
        out.sigma_nsv_h = w->sigma[0];
        now.excess = in->dose_nsv_h - out.baseline_nsv_h;
    } else if (w->dry[0].count > 0) {
        now.excess = in->dose_nsv_h - rank_median(&w->dry[0]);
    }
    w->past[w->next] = now;
    w->next = (w->next + 1) % HISTORY_MAX;
    w->count = w->count < HISTORY_MAX ? w->count + 1 : HISTORY_MAX;
    if (based && now.rain_known) {
        learn(w, in->utc_us, out.sigma_nsv_h);
        double wet_s = w->wet_us == 0 ? HUGE_VAL : seconds(w->wet_us, in->utc_us);
        progeny_predict(&w->progeny, &now.progeny, wet_s, &out.washout_nsv_h,
                        &out.washout_sd_nsv_h);
    }
    out.residual_nsv_h = now.excess - (isnan(out.washout_nsv_h) ? 0 : out.washout_nsv_h);
    out.residual_nsv_h = based ? out.residual_nsv_h : nan;
    if (isnan(in->dose_nsv_h)) {
        out.why = WASHOUT_WHY_NO_READING;
    } else if (!based) {
        bool above = in->dose_nsv_h >= w->options.ceiling_nsv_h;
        out.state = above ? WASHOUT_ALARM : WASHOUT_UNKNOWN;
        out.why = above ? WASHOUT_WHY_CEILING : WASHOUT_WHY_NO_BASELINE;
    } else {
        judge(w, in, &now, &out);
    }
    struct past *kept = &w->past[(w->next + HISTORY_MAX - 1) % HISTORY_MAX];
    kept->questioned = out.state == WASHOUT_ALARM;
    remember(w, kept, in->dose_nsv_h);
    *ret_output = out;
    return 0;
}

const char *washout_state_name(enum washout_state state) {
    static const char *const names[] = {"unknown", "normal", "rain", "alarm"};
    return names[state];
}

const char *washout_why_text(enum washout_why why) {
    static const char *const texts[] = {"",
                                        "no reading",
                                        "no baseline yet",
                                        "rain explains the rise",
                                        "falls as radon progeny do",
                                        "at or above the ceiling",
                                        "rise without fresh rain data",
                                        "rise without rain",
                                        "rise beyond what the rain brings",
                                        "step faster than rain brings",
                                        "rise that stays after the rain",
                                        "neighbours rise too"};
    return texts[why];
}
