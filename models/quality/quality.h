/* Per-reading quality tests with QARTOD flags (IOOS Manual for Real-Time Quality Control of Water
 * Level Data, version 2.1: gross range, rate of change, spike, flat line, gap; flag values from the
 * QARTOD data flags manual, version 1.2).
 *
 *   gross range     outside hard bounds: fail; outside soft bounds: suspect. Bounds are inside. The
 *                   bounds of the local calendar month where there are some, else those of the year
 *                   (QARTOD: climatology).
 *   rate of change  |change| / time since the last value that did not fail, above rate_max_per_s:
 *                   suspect
 *   spike           judges the MIDDLE of three consecutive values when the third arrives: its
 *                   distance from the mean of its neighbours, less half the difference between
 *                   them (Argo quality control manual, test 9: so a step is no spike), above
 *                   spike_suspect or spike_fail.
 *                   The newest value is never judged by this test: it cannot be told from a real
 *                   rise yet. The middle one is handed back with its worse flags.
 *   flat line       no change above flat_epsilon for flat_suspect_us or flat_fail_us
 *   gap             gap_us or longer since the last value that did not fail: suspect
 *   attenuated, neighbour, cross-variable and what two neighbours that agree do to a soft fail: see
 *                   attenuated.h and compare.h
 *
 *   identity        no test of the value: the device is not known to be the right one: suspect
 *
 * A value without any applicable test is "not evaluated". A failed request is "missing". Staleness
 * is not a flag: it is decided where ages are known. Raw bytes and values are never changed, except
 * that a value that is not a finite number becomes NaN with READING_NOT_A_NUMBER.
 *
 * State is bounded: two readings and some numbers per point. Thread rule: per state. */
#ifndef CANHBAO_QUALITY_QUALITY_H
#define CANHBAO_QUALITY_QUALITY_H

#include <stdbool.h>

#include "daemon/base/clock.h"
#include "daemon/station/reading.h"
#include "daemon/station/station.h"
#include "models/quality/attenuated.h"
#include "models/quality/compare.h"

struct quality_state {
    /* The newest two readings with values, oldest first, as a chain for the spike test; a value
     * that failed, a spike, or a gap starts the chain anew. */
    uint8_t chain_count; /* 0 to 2 */
    struct reading chain[2];
    bool has_last; /* the newest value that did not fail */
    double last_value;
    struct mono_us last_at;
    bool has_before; /* the one before it, for when the last one turns out to be a spike */
    double before_value;
    struct mono_us before_at;
    bool has_flat; /* since when the value has not left flat_value +- flat_epsilon */
    double flat_value;
    struct mono_us flat_since;
    struct attenuated attenuated;
};

/* A fresh state is all zero bytes. */

/* Fills the quality part of `reading`. `context` NULL: nothing is known about other points. When
 * the spike test makes the previous reading worse, copies that into `ret_worse` and returns true.
 * Readings come in time order. */
bool quality_test(struct quality_state *state, const struct quality_limits *limits,
                  const struct quality_context *context, struct reading *reading,
                  struct reading *ret_worse);

/* The tests that need no neighbours in time: for a reading out of a logger's memory. */
void quality_test_alone(const struct quality_limits *limits, struct reading *reading);

#endif
