/* What fell between two readings of a total (a rain bucket): exact, or unknown.
 *
 * A total rises by what fell, starts again at its modulus, and is set back by a restart of the
 * device or by another device. Two totals and the time between them do not always tell which of
 * these it was; wherever two of them could have been, the amount is unknown.
 *
 *   most(t)    what may at most have fallen in a time t: counter_step_max for each period begun.
 *   kept       The device keeps its total over a restart: a rise is an amount, a fall is the
 * modulus passed once. Unknown: above counter_step_max (another device, or not believed); a fall
 * without a modulus; a pause so long that the modulus may have been passed once more, step +
 * modulus <= most(t). lost       After a restart the total begins at 0. A fall may always be a
 * restart: unknown. A rise is an amount only where a restart could not have reached the new total
 * again: total > most(t). epoch      A second number of the same device, read in the same reply,
 * that tells restarts and replacements: a count of restarts, a serial number (changes), or the time
 * since the start (falls). Where it says "the same as before", `lost` counts as `kept`; where it
 *              says "another", the amount is unknown whatever the totals are; where it is not
 * known, it does not help.
 *
 * What totals alone cannot tell: a device that is replaced by one whose total lies up to
 * counter_step_max above the old one's, and what fell while a device that keeps its total had no
 * power. Only an epoch tells both.
 * Thread rule: pure. */
#ifndef CANHBAO_STATION_COUNTER_H
#define CANHBAO_STATION_COUNTER_H

#include <stdint.h>

#include "daemon/station/station.h"

struct counter_sample {
    double total;  /* in the point's unit */
    int64_t at_us; /* monotonic */
    double epoch;  /* NaN: not known at that very reply */
};

/* The amount in the point's unit; NaN: unknown. */
double counter_amount(const struct point *point, const struct counter_sample *before,
                      const struct counter_sample *after);

#endif
