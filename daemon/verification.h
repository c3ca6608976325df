/* Verification as it runs: takes the scores that model runs print, pools them in the store, tells
 * which products are worse than persistence.
 *
 * A forecast of a time counts once: of each run only scores later than the last ones of the same
 * product that prints them are taken, and late ones (skill_score.late), unless the run is the one
 * taken last, which comes again after a restart. They are written with the group of the same turn.
 *
 * Worse than persistence is judged lead by lead: over the last day of pooled hours the mean
 * absolute error of "forecast" is larger than that of "persistence" (or, where a gauge's squared
 * error of persistence is kept, the squared one: the persistence index is below 0), in one variable
 * at least, and the lead has been scored since HOURS_MIN hours. Then CONDITION_SKILL_LOW stands for
 * the product and names the leads, and its forecasts at these leads are doubtful evidence
 * (CAUSE_WORSE_THAN_PERSISTENCE); those at the other leads are not. Without scores nothing is said.
 *
 * Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_VERIFICATION_H
#define CANHBAO_DAEMON_VERIFICATION_H

#include "daemon/config/site.h"
#include "daemon/health.h"
#include "daemon/store/store.h"

enum { VERIFICATION_HOURS_MIN = 3 };

struct verification;

struct verification_options {
    struct store *store;
    const struct site *site;
    void (*on_condition)(void *ctx, enum condition_class class, const char *product, bool raised,
                         const char *text);
    void *ctx;
};

/* Reads what the store knows; `now` in scenario time. */
int verification_create(const struct verification_options *options, struct utc_us now,
                        struct verification **ret_verification, struct err *ret_err);
struct verification *verification_destroy(struct verification *verification);

/* The scores of one run of `product`, known by its manifest's hash. They show after the next
 * commit.
 */
void verification_take(struct verification *verification, const char *product, const char *manifest,
                       const struct skill_score *scores, size_t count);
/* Judges the last day again, from what is committed; call it now and then. */
void verification_judge(struct verification *verification, struct utc_us now);

/* Whether forecasts of the product (its own or those of `skill_of`, config/site.h) are worse than
 * persistence at a lead: the verdict of the scored lead next to it. An analysis (lead 0) is never.
 * Of an accumulation the lead is that of its end. */
bool verification_is_worse(const struct verification *verification, const char *product,
                           int64_t lead_us);

/* Pooled sums over [from, to), one for each key, in the order of the keys: hours are added up.
 * `product` NULL: of all. Stops early when visit returns non-zero and returns that. */
int verification_visit(struct store *store, enum skill_period period, struct utc_us from,
                       struct utc_us to, const char *product,
                       int (*visit)(void *user, const struct skill *skill), void *user);

#endif
