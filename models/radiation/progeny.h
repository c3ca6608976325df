/* Radon progeny that rain brings to the ground, and how much of it a given rain brings.
 *
 * The dose rate is k times the fold of the square root of the rain intensity with a decay, unit for
 * steady rain of 1 mm/h. Three decays are weighed against each other: one effective half-life of
 * 33 min, and Pb-214 feeding Bi-214 (26.8 and 19.9 min; dose per decay 0.25 to 1.51) with as much
 * and with half as much Bi-214 as Pb-214 in the rain. k and the decay have discrete weights.
 * Thread rule: pure functions on the caller's memory. */
#ifndef CANHBAO_MODELS_RADIATION_PROGENY_H
#define CANHBAO_MODELS_RADIATION_PROGENY_H

#include <stdbool.h>

enum { PROGENY_FACTORS = 48, PROGENY_DECAYS = 3 };

struct progeny_state { /* activities on the ground, arbitrary unit */
    double lead, fed, bismuth, effective;
};

struct progeny {
    double k[PROGENY_FACTORS]; /* nSv/h per square root of mm/h */
    double prior[PROGENY_FACTORS];
    double weight[PROGENY_FACTORS][PROGENY_DECAYS]; /* sums to 1 */
};

void progeny_init(struct progeny *progeny);
/* `root_rain`: square root of the mean intensity (mm/h) over the step. */
void progeny_step(struct progeny_state *state, double root_rain, double step_s);
/* Mean and standard deviation of the dose rate, nSv/h; the model is the less sure the longer no
 * rain fell (dry_s). */
void progeny_predict(const struct progeny *progeny, const struct progeny_state *state, double dry_s,
                     double *ret_mean, double *ret_sd);
/* How much the change between two states may differ from its mean. */
double progeny_change_sd(const struct progeny *progeny, const struct progeny_state *from,
                         const struct progeny_state *to);
/* One reading of the excess, nSv/h. While it does not rain only the decay is learned, not k. */
void progeny_learn(struct progeny *progeny, const struct progeny_state *state, double excess,
                   double sigma, bool raining);

#endif
