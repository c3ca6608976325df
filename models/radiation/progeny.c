#include "models/radiation/progeny.h"

#include <math.h>
#include <stddef.h>

#define LN2         0.693147180559945309417
#define LEAD_S      (26.8 * 60 / LN2) /* mean life */
#define BISMUTH_S   (19.9 * 60 / LN2)
#define EFFECTIVE_S (33.0 * 60 / LN2)
#define LEAD_DOSE   0.142 /* 0.25 of 0.25 + 1.51 MeV */
#define K_LEAST     0.3
#define K_MOST      150.0
#define K_MEDIAN    7.0
#define K_SPREAD    0.9
#define MODEL_SHARE 0.12 /* error of a reading's washout, of itself */
#define DRY_SHARE   0.15 /* more an hour without rain */
#define CHANGE_MORE 0.5  /* of a change within minutes */
#define CHANGE_LEFT 0.03
#define FORGET      0.002 /* a reading: k drifts within a rain and differs in the next */
#define SHAPE_GONE  1e-5  /* of steady rain of 1 mm/h: 1 pSv/h */

void progeny_init(struct progeny *progeny) {
    double sum = 0;
    for (size_t i = 0; i < PROGENY_FACTORS; i++) {
        double share = (double)i / (PROGENY_FACTORS - 1);
        progeny->k[i] = K_LEAST * pow(K_MOST / K_LEAST, share);
        double t = log(progeny->k[i] / K_MEDIAN) / K_SPREAD;
        progeny->prior[i] = exp(-0.5 * t * t);
        sum += progeny->prior[i];
    }
    for (size_t i = 0; i < PROGENY_FACTORS; i++) {
        progeny->prior[i] /= sum;
        for (size_t d = 0; d < PROGENY_DECAYS; d++) {
            progeny->weight[i][d] = progeny->prior[i] / PROGENY_DECAYS;
        }
    }
}

void progeny_step(struct progeny_state *s, double root_rain, double step_s) {
    double e1 = exp(-step_s / LEAD_S), e2 = exp(-step_s / BISMUTH_S),
           e3 = exp(-step_s / EFFECTIVE_S);
    double steady = root_rain * LEAD_S, rate = 1 / BISMUTH_S;
    s->fed = s->fed * e2 + steady * (1 - e2) +
             (s->lead - steady) * rate / (rate - 1 / LEAD_S) * (e1 - e2);
    s->lead = s->lead * e1 + steady * (1 - e1);
    s->bismuth = s->bismuth * e2 + root_rain * BISMUTH_S * (1 - e2);
    s->effective = s->effective * e3 + root_rain * (1 - e3);
}

/* Of steady rain of 1 mm/h all are 1. */
static void shapes(const struct progeny_state *s, double *ret_shape) {
    ret_shape[0] = s->effective;
    for (int half = 0; half < 2; half++) {
        double share = half == 0 ? 1 : 0.5;
        double full = LEAD_DOSE * LEAD_S + (1 - LEAD_DOSE) * (LEAD_S + share * BISMUTH_S);
        ret_shape[1 + half] =
            (LEAD_DOSE * s->lead + (1 - LEAD_DOSE) * (s->fed + share * s->bismuth)) / full;
    }
}

static void moments(const struct progeny *p, const double *shape, double *ret_mean,
                    double *ret_variance) {
    double mean = 0, square = 0;
    if (fmax(fabs(shape[0]), fmax(fabs(shape[1]), fabs(shape[2]))) < SHAPE_GONE) {
        *ret_mean = *ret_variance = 0;
        return;
    }
    for (size_t i = 0; i < PROGENY_FACTORS; i++) {
        for (size_t d = 0; d < PROGENY_DECAYS; d++) {
            double dose = p->k[i] * shape[d];
            mean += p->weight[i][d] * dose;
            square += p->weight[i][d] * dose * dose;
        }
    }
    *ret_mean = mean;
    *ret_variance = fmax(square - mean * mean, 0);
}

void progeny_predict(const struct progeny *progeny, const struct progeny_state *state, double dry_s,
                     double *ret_mean, double *ret_sd) {
    double shape[PROGENY_DECAYS], mean = 0, variance = 0;
    shapes(state, shape);
    moments(progeny, shape, &mean, &variance);
    double share = MODEL_SHARE + DRY_SHARE * fmin(fmax(dry_s, 0), 14400) / 3600;
    *ret_mean = mean;
    *ret_sd = sqrt(variance + share * share * mean * mean);
}

double progeny_change_sd(const struct progeny *progeny, const struct progeny_state *from,
                         const struct progeny_state *to) {
    double a[PROGENY_DECAYS], b[PROGENY_DECAYS], mean = 0, variance = 0, left = 0, unused = 0;
    shapes(from, a);
    shapes(to, b);
    moments(progeny, b, &left, &unused);
    for (size_t d = 0; d < PROGENY_DECAYS; d++) {
        b[d] -= a[d];
    }
    moments(progeny, b, &mean, &variance);
    double more = CHANGE_MORE * mean;
    left *= CHANGE_LEFT;
    return sqrt(variance + more * more + left * left);
}

void progeny_learn(struct progeny *p, const struct progeny_state *state, double excess,
                   double sigma, bool raining) {
    double shape[PROGENY_DECAYS], sum = 0;
    shapes(state, shape);
    if (shape[1] < SHAPE_GONE) {
        progeny_init(p); /* nothing left of the last rain: the next one is another */
        return;
    }
    for (size_t i = 0; i < PROGENY_FACTORS; i++) {
        double before = 0, after = 0, likely[PROGENY_DECAYS];
        for (size_t d = 0; d < PROGENY_DECAYS; d++) {
            double dose = p->k[i] * shape[d], spread = hypot(sigma, MODEL_SHARE * dose);
            double t = (excess - dose) / spread;
            /* Student with 4 degrees of freedom, at a third: readings in a row are not
             * independent of each other. */
            likely[d] = exp(-(2.5 * log1p(t * t / 4) + log(spread)) / 3);
            before += p->weight[i][d];
            after += p->weight[i][d] * likely[d];
        }
        double keep = raining ? 1 : before / fmax(after, 1e-300);
        for (size_t d = 0; d < PROGENY_DECAYS; d++) {
            p->weight[i][d] *= likely[d] * keep;
            sum += p->weight[i][d];
        }
    }
    for (size_t i = 0; i < PROGENY_FACTORS; i++) {
        for (size_t d = 0; d < PROGENY_DECAYS; d++) {
            p->weight[i][d] =
                (1 - FORGET) * p->weight[i][d] / sum + FORGET * p->prior[i] / PROGENY_DECAYS;
        }
    }
}
