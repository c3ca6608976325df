/* Metropolis chains over the posterior of a field: four, with Haario's adaptation in the burn-in
 * only. Random numbers are counted from the problem's seed. Thread rule: pure on the caller's
 * memory. */
#ifndef CANHBAO_MODELS_DISPERSION_TRACE_CHAIN_H
#define CANHBAO_MODELS_DISPERSION_TRACE_CHAIN_H

#include "models/dispersion/trace_field.h"

enum { CHAIN_KEPT = 2000, CHAIN_SAMPLES = TRACE_CHAINS * CHAIN_KEPT };

/* From the best starts (best first), [CHAIN_SAMPLES], chain after chain; up to three times as long
 * while the chains do not agree (chain_r_hat() above 1.05). */
void chain_run(const struct field *field, const struct candidate *starts, size_t count,
               struct trace_sample *ret_samples);
/* Gelman and Rubin (1992), largest over the unknowns. */
double chain_r_hat(const struct trace_sample *samples, size_t unknowns);
/* ln of the volume that the samples fill, taken as a normal distribution: with the height of the
 * posterior it makes the evidence (Laplace). */
double chain_ln_volume(const struct trace_sample *samples, size_t unknowns);

#endif
