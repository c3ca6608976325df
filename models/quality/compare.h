/* Tests that look at other points: neighbours and cross-variable (QARTOD "neighbor" and
 * "multi-variate"). They only ever make a reading suspect: that another instrument disagrees does
 * not say which of them is wrong, and an extreme may be local.
 *
 * Neighbour: distance from the median of the neighbours' values above neighbour_max. At least two
 * neighbours must be known; with fewer nothing is said.
 * Of a counter or amount not the number itself is compared but what fell over a window; while an
 * interval of it is unknown nothing is said.
 * Cross-variable: see struct quality_cross. Not said while either side is unknown.
 * Support: a value that failed softly (anything but the hard range) while two independent
 * neighbours lie within neighbour_max of it is suspect instead: quality control must never silence
 * a real extreme. Thread rule: pure. */
#ifndef CANHBAO_QUALITY_COMPARE_H
#define CANHBAO_QUALITY_COMPARE_H

#include <stdbool.h>

#include "daemon/station/station.h"

enum { NEIGHBOURS_NEEDED = 2 };

/* What the engine knows about the other points at the time of a reading; NaN: unknown. */
struct quality_context {
    bool is_total; /* the point is a counter or amount */
    double amount; /* then: what is compared with the neighbours, the reading included */
    double neighbours[QUALITY_NEIGHBOURS_MAX]; /* parallel to limits.neighbours */
    double rises[QUALITY_CROSS_MAX];  /* of the point itself, for limits.cross[i]; of a total: what
                                         fell */
    double others[QUALITY_CROSS_MAX]; /* the other's statistic, for limits.cross[i] */
};

enum quality_verdict { VERDICT_NONE, VERDICT_PASS, VERDICT_SUSPECT };

/* value: of the reading, or what fell; NaN: not known, nothing is said. */
enum quality_verdict quality_neighbour(const struct quality_limits *limits,
                                       const struct quality_context *context, double value);
enum quality_verdict quality_cross_variable(const struct quality_limits *limits,
                                            const struct quality_context *context, double value);
bool quality_supported(const struct quality_limits *limits, const struct quality_context *context,
                       double value);

#endif
