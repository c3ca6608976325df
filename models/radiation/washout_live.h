/* The washout of all dose-rate stations of a site at once, from the readings that the daemon
 * exports, as its results and an explanation for people. Thread rule: one call, one thread. */
#ifndef CANHBAO_MODELS_RADIATION_WASHOUT_LIVE_H
#define CANHBAO_MODELS_RADIATION_WASHOUT_LIVE_H

#include <jansson.h>

#include "daemon/base/err.h"
#include "models/radiation/washout.h"

struct washout_live {
    const char *product, *series, *reference; /* reference: RFC 3339 */
    const char *dose_point, *rain_point;      /* "dose_rate" in nSv/h or uSv/h, "rate" in mm/h */
    const char *neighbours; /* file of downwind.h; NULL: what stations downwind see is not known */
};

/* {model, product, reference_time, manifest, manifest_sha256, results, stations}. Results of each
 * station at an instant: dose_alarm (1, 0), dose_rain (1: a rise that rain explains), dose_excess,
 * dose_washout, dose_baseline (nSv/h), dose_significance, dose_neighbours (stations
 * downwind whose rise of the last hour rain does not explain); unknown with its cause. The
 * reference time of all is the run's. A station that has no reading of the last 20 minutes is
 * unknown. Errors of longform_read(); ERR_INVALID: another unit, or a washout_step() that refuses.
 */
int washout_live_run(const struct washout_live *live, const struct washout_options *options,
                     json_t **ret_object, struct err *ret_err);

#endif
