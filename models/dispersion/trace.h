/* Where is the source: Bayesian estimate of place and rate of one or two steady releases from
 * readings of several sensors in one steady wind.
 *
 * Unknown: place (x east, y north, metres) and rate of each source, errors of the wind direction
 * and of the plume's width, growth and decrease with distance. Likelihood: Student's t (5 degrees
 * of freedom, so that one false sensor does not decide) of ln(model + c0) - ln(reading + c0), so
 * that zeros speak too; c0 is TRACE_FLOOR times the detection limit. Priors: place within a box
 * upwind of the sensors, uniform in direction and in the logarithm of distance, rate uniform in its
 * logarithm, wind error normal, logarithm of the width normal. The best rate of a place is the mean
 * of log ratios over the sensors that see something (Keats et al. 2007; Yee 2008 for the
 * formulation). Search: grid, then Nelder and Mead from the best cells, then four Metropolis chains
 * (Haario's adaptation in the burn-in only). Two sources are told when their evidence (Laplace) is
 * above that of one (Yee 2012). The random numbers are counted from the seed: the same input gives
 * the same bits. Thread rule: pure functions; one call, one thread.
 */
#ifndef CANHBAO_MODELS_DISPERSION_TRACE_H
#define CANHBAO_MODELS_DISPERSION_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/dispersion/region.h"
#include "models/dispersion/weather.h"

enum {
    TRACE_SENSORS_MAX = 2000,
    TRACE_POINTS_MAX = 5000,
    TRACE_CHAINS = 4,
    TRACE_INFORMATIVE_MIN = 3
};

/* Errors of the models over open country. Of nine pairs (0.45, 0.55, 0.65 with a floor of 1.5, 2.5,
 * 4) the one whose 90 % regions hold the source most nearly in 90 % of the Prairie Grass runs with
 * sensors on all arcs (0.89; with 0.45 0.81 to 0.85, with 0.65 0.93). The median error hardly tells
 * them apart: picked by it on every second run, the other half has 5.0 and 8.4 m (a plain
 * inversion 5.3 and 8.8 m), but regions that are too small. */
#define TRACE_SIGMA_LOG    0.55
#define TRACE_WIND_SD_DEG  3.0
#define TRACE_WIDTH_SD_LOG 0.15
/* c0 over the detection limit. */
#define TRACE_FLOOR 2.5

struct trace_sensor {
    double x_m;   /* east */
    double y_m;   /* north */
    double z_m;   /* above ground */
    double value; /* concentration; NaN is left out, 0 is used */
};

struct trace_point;

struct trace_problem {
    const struct trace_sensor *sensors;
    size_t count;
    struct weather_air air; /* steady */
    double source_height_m;
    double detection_limit; /* unit of the readings; above 0; readings above it are informative */
    double floor;           /* c0 of the likelihood */
    double sigma_log;       /* model error of one sensor, 0.6 unless known better */
    double wind_sd_deg;     /* prior of the wind error, 3 */
    double width_sd_log;    /* prior of ln of the width error */
    double reach_m; /* how far upwind of the outermost sensor a source is looked for; 0: twice the
                     * extent of the network, at least 1000 m */
    size_t sources_max; /* 1 or 2 */
    uint64_t seed;
    struct trace_point *points; /* where a reading could be taken; NULL: none */
    size_t point_count;
    double point_z_m; /* height of their inlet */
};

/* A place for the next reading, rated by trace_run(). */
struct trace_point {
    double x_m, y_m;
    double area_left; /* expected share of the region of the first source that a reading leaves */
};

/* The unknowns; of a second source place and rate follow at TRACE_SECOND in the same order. */
enum {
    TRACE_X,
    TRACE_Y,
    TRACE_LN_Q,
    TRACE_WIND,
    TRACE_WIDTH,
    TRACE_GROWTH,
    TRACE_LOSS,
    TRACE_SECOND,
    TRACE_UNKNOWNS_MAX = TRACE_SECOND + 3
};

/* What the chains kept, chain after chain, [count]: wind in degrees, width as ln of the factor,
 * growth and loss a unit of ln distance. */
struct trace_sample {
    double value[TRACE_UNKNOWNS_MAX];
};

struct trace_source {
    double x_m, y_m; /* the most probable point when the spread is below a quarter of the
                      * distance to the sensors, else the middle of the densest part */
    double rate;     /* median, in the unit of the readings times m3/s */
    double rate_p05, rate_p95;
    struct region region; /* of the place */
};

struct trace_result {
    size_t used;         /* sensors with a reading */
    size_t informative;  /* readings above the detection limit */
    size_t source_count; /* 1 or 2 */
    double two_over_one; /* probability of two sources against one; NaN: not looked for */
    struct trace_source source[2];
    double best[TRACE_UNKNOWNS_MAX]; /* most probable point */
    double wind_deg;                 /* median error of the wind, clockwise */
    double r_hat;                    /* largest over the unknowns; above 1.05 is not settled */
    double box[4];                   /* west, east, south, north of the search, m */
    bool at_edge;   /* more than 5 % of the samples within 2 % of the reach limit */
    double *misfit; /* [problem->count]: of ln(reading + c0) from the most probable point, in
                     * units of sigma_log; NaN: no reading. Beyond 4 a sensor is doubtful */
    size_t count;
    struct trace_sample *samples;
};

/* ERR_NOT_FOUND: fewer than TRACE_INFORMATIVE_MIN sensors above the detection limit: not enough
 * data for a place, and none is given. ERR_RANGE, ERR_LIMIT, ERR_MEMORY. trace_finish() after
 * success. */
int trace_run(const struct trace_problem *problem, struct trace_result *ret_result,
              struct err *ret_err);
void trace_finish(struct trace_result *result);

#endif
