/* The inside of trace.h: sensors in the frame of the wind, the model's tables, the posterior, and
 * the search for its top. Coordinates here are metres along and across the wind from the sensors'
 * middle; field_to_map() turns them back. Thread rule: a finished field is read-only. */
#ifndef CANHBAO_MODELS_DISPERSION_TRACE_FIELD_H
#define CANHBAO_MODELS_DISPERSION_TRACE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/dispersion/trace.h"

enum { FIELD_TABLE_NODES = 400, FIELD_STARTS = 6 };

/* One sensor turned into the frame of the wind. */
struct seen {
    double along_m, across_m, ln_value;
    bool positive;
    const double *vertical; /* table for the sensor's height */
};

struct field {
    const struct trace_problem *problem;
    size_t sources;  /* that are looked for: 1 or 2 */
    size_t unknowns; /* of that many sources */
    double middle_x_m, middle_y_m;
    double down_x, down_y; /* unit vector downwind */
    size_t count;
    struct seen *sensors;
    double *tables; /* vertical factors, one table a height, the last for the points to measure */
    const double *point_table;
    double ln_width[FIELD_TABLE_NODES];
    double ln_step, ln_pivot, growth, loss;
    double near_m, far_m; /* box along the wind, from the middle */
    double half_m;        /* and across */
    double ln_q_low, ln_q_high;
    double core_along_m, core_across_m; /* middle of the readings, weighted by their logarithm */
};

struct candidate {
    double value; /* ln of the posterior */
    double u[TRACE_UNKNOWNS_MAX];
};

/* Index of place and rate of a source among the unknowns. */
size_t field_at(size_t source);

/* ERR_MEMORY, ERR_RANGE. field_finish() also after a failure. */
int field_init(struct field *field, const struct trace_problem *problem, struct err *ret_err);
void field_finish(struct field *field);
void field_sources(struct field *field, size_t sources);

double field_ln_posterior(const struct field *field, const double *u);
/* ln(concentration + floor) at a place of the frame with the table of its height. */
double field_ln_model(const struct field *field, const struct seen *at, const double *u);
/* The best ln Q of a source's place, given the sources before it. false: no sensor sees it. */
bool field_best_rate(const struct field *field, size_t source, double *u);
/* Turns along and across into east and north, for every source. */
void field_to_map(const struct field *field, double *u);
void field_from_map(const struct field *field, double x_m, double y_m, double *ret_along_m,
                    double *ret_across_m);

/* The FIELD_STARTS best places of one source, or of a second one next to the first of `u`, from a
 * grid, each climbed (Nelder and Mead 1965); best first. Entries that do not exist are -HUGE_VAL.
 */
void field_search(const struct field *field, const double *u, struct candidate *ret_best);

#endif
