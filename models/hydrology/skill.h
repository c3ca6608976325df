/* Skill of simulated or forecast discharge. Pairs with a missing value are left out; NaN is "cannot
 * be told", never a score. Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_SKILL_H
#define CANHBAO_MODELS_HYDROLOGY_SKILL_H

#include <stddef.h>

/* Nash-Sutcliffe efficiency against the mean of the observed. NaN with fewer than 2 pairs or no
 * variance. */
double skill_nse(const double *observed, const double *forecast, size_t count);
/* Kling-Gupta efficiency (Gupta et al. 2009). */
double skill_kge(const double *observed, const double *forecast, size_t count);
/* Persistence index: 1 - SSE(forecast) / SSE(observation at the time of issue). */
double skill_persistence(const double *observed, const double *forecast, const double *at_issue,
                         size_t count);

#endif
