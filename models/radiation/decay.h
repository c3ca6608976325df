/* Radioactive decay: single nuclides, chains, and the nuclides that doses are known for.
 *
 * Sources: half-lives ICRP 107; inhalation ICRP 119, adult member of the public; ground plane and
 * submersion FGR 15 (2019), adult. The dose numbers were transcribed from a secondary source and
 * are provisional until checked against the publications.
 * Thread rule: pure functions and constant data. */
#ifndef CANHBAO_MODELS_RADIATION_DECAY_H
#define CANHBAO_MODELS_RADIATION_DECAY_H

#include <stddef.h>

#include "daemon/base/err.h"

enum { DECAY_CHAIN_MAX = 8 };

/* Share left after time_s; half_life_s of INFINITY is stable. */
double decay_left(double half_life_s, double time_s);

/* Activities of a chain after time_s. activity[i] in Bq at the start; half_life_s[i] above 0;
 * branch[i] is the share of decays of i that feed i + 1 (the last one is not read). The result
 * keeps full relative precision also for equal or nearly equal half-lives. ret_activity may be
 * activity. ERR_RANGE, ERR_LIMIT (count 0 or above DECAY_CHAIN_MAX). */
int decay_chain(const double *half_life_s, const double *branch, const double *activity,
                size_t count, double time_s, double *ret_activity);

enum decay_deposition { DECAY_NOBLE_GAS, DECAY_AEROSOL, DECAY_IODINE, DECAY_IODINE_ORGANIC };

struct nuclide {
    const char *name;
    double half_life_s;
    double inhalation_sv_bq; /* the largest of the types listed; NaN: none (gas) */
    double ground_sv_s_m2;   /* Sv/s per Bq/m2, short-lived daughters in equilibrium included */
    double cloud_sv_s_m3;    /* Sv/s per Bq/m3, the same */
    enum decay_deposition deposition;
};

/* "Cs-137"; NULL when not in the table. */
const struct nuclide *decay_nuclide(const char *name);
/* The i-th entry, NULL beyond the last. */
const struct nuclide *decay_nuclide_at(size_t i);

/* Dry deposition velocity in m/s and washout coefficient in 1/s for rain in mm/h. */
double decay_dry_velocity_m_s(enum decay_deposition kind);
double decay_washout_s(enum decay_deposition kind, double rain_mm_h);

#endif
