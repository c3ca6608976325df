/* Where to measure next: what one more reading at a point is expected to do to the region of the
 * source.
 *
 * Over the samples of the posterior: were the truth one of them, the reading there would weigh the
 * others (error sigma_log of its logarithm); the expected share of the spread that is left is the
 * mean over such truths. 1 says that a reading teaches nothing. Thread rule: pure function. */
#ifndef CANHBAO_MODELS_DISPERSION_TRACE_NEXT_H
#define CANHBAO_MODELS_DISPERSION_TRACE_NEXT_H

#include "models/dispersion/trace_field.h"

/* `samples` of the field, in its own frame. Fills area_left of the points. ERR_MEMORY. */
int next_rate_points(const struct field *field, const struct trace_sample *samples, size_t count,
                     struct trace_point *points, size_t point_count, struct err *ret_err);

#endif
