/* What several benchmarks need: a clock, quantiles, a folder, a site. They end the process with a
 * sentence on the first error: a benchmark that went wrong has no figures. */
#ifndef CANHBAO_TESTS_BENCH_COMMON_H
#define CANHBAO_TESTS_BENCH_COMMON_H

#include <stddef.h>
#include <stdnoreturn.h>

#include "daemon/engine.h"

noreturn void bench_die(const char *what, const char *why);
double bench_wall_s(void); /* monotonic */
double bench_cpu_s(void);  /* of this process, user and system */
void bench_sort(double *values, size_t count);

enum { BENCH_PATH_SIZE = 128 };
/* A new folder under TMPDIR, else /tmp. */
void bench_make_dir(char ret_path[BENCH_PATH_SIZE]);
void bench_remove_dir(const char *path);

/* Stations with `points_each` stage gauges; quality limits as a real gauge has them (all but the
 * rate of change, which the caller may set off); two rules at the first gauge of every station:
 * "flood", five levels at first_level_m, first_level_m + 1, ..., and "rise" over one hour. */
struct bench_site {
    struct station *stations;
    struct point *points;
    struct rule_place *places;
    struct rule rules[2];
    struct engine_site site;
};

void bench_site_make(size_t stations, size_t points_each, double first_level_m,
                     struct bench_site *ret_site);
void bench_site_finish(struct bench_site *site);

#endif
