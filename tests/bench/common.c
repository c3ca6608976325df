#include "tests/bench/common.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const int64_t second_us = 1000000;

void bench_die(const char *what, const char *why) {
    (void)fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(1);
}

double bench_wall_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_cpu_s(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage); /* cannot fail */
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int compare(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

void bench_sort(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
}

void bench_make_dir(char ret_path[BENCH_PATH_SIZE]) {
    const char *base = getenv("TMPDIR");
    int length = snprintf(ret_path, BENCH_PATH_SIZE, "%s/canhbao-bench-XXXXXX",
                          base != NULL ? base : "/tmp");
    if (length >= BENCH_PATH_SIZE || mkdtemp(ret_path) == NULL) {
        bench_die("temporary folder", strerror(errno));
    }
}

void bench_remove_dir(const char *path) {
    char command[BENCH_PATH_SIZE + 16];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0) {
        bench_die(path, "cannot be removed");
    }
}

static struct quality_limits gauge_limits(void) {
    return (struct quality_limits){.hard_min = -5,
                                   .hard_max = 50,
                                   .soft_min = -1,
                                   .soft_max = 30,
                                   .rate_max_per_s = 1,
                                   .spike_suspect = 1,
                                   .spike_fail = 2,
                                   .flat_epsilon = 0.001,
                                   .flat_suspect_us = 3600 * second_us,
                                   .flat_fail_us = 7200 * second_us,
                                   .gap_us = 600 * second_us,
                                   .revision = 1};
}

static void make_rule(const struct bench_site *site, const char *id, enum indicator_kind kind,
                      uint32_t levels, double first_threshold, struct rule *ret_rule) {
    *ret_rule = (struct rule){.provisional = true,
                              .scale = {.kind = SCALE_OWN, .id = "bench", .level_count = levels},
                              .level_count = levels,
                              .indicator_count = 1,
                              .node_count = levels,
                              .expires_after_us = 6 * 3600 * second_us,
                              .places = site->places,
                              .place_count = site->site.station_count};
    (void)snprintf(ret_rule->id, sizeof ret_rule->id, "%s", id);
    (void)snprintf(ret_rule->hazard, sizeof ret_rule->hazard, "flood");
    (void)snprintf(ret_rule->text_vi, sizeof ret_rule->text_vi, "Mực nước vượt ngưỡng");
    (void)snprintf(ret_rule->text_en, sizeof ret_rule->text_en, "Stage above the threshold");
    (void)snprintf(ret_rule->source, sizeof ret_rule->source, "benchmark");
    rule_revision(id, strlen(id), ret_rule->revision);
    ret_rule->indicators[0] =
        (struct indicator_spec){.kind = kind,
                                .window_us = kind == INDICATOR_LATEST ? 0 : 3600 * second_us,
                                .min_completeness = 0.9,
                                .min_probability = (double)NAN};
    (void)snprintf(ret_rule->indicators[0].point, STATION_ID_SIZE, "stage-0");
    for (uint32_t i = 0; i < levels; i++) {
        ret_rule->levels[i] = (struct rule_level){.level = (uint8_t)(i + 1),
                                                  .first_node = (uint16_t)i,
                                                  .node_count = 1,
                                                  .off_delay_us = 600 * second_us,
                                                  .required = KNOWLEDGE_DOUBTFUL};
        ret_rule->nodes[i] = (struct rule_node){.kind = NODE_COMPARE,
                                                .comparison = COMPARE_AT_LEAST,
                                                .threshold = first_threshold + i,
                                                .hysteresis = 0.2};
    }
}

void bench_site_make(size_t stations, size_t points_each, double first_level_m,
                     struct bench_site *ret_site) {
    struct bench_site *site = ret_site;
    size_t points = stations * points_each;
    site->stations = calloc(stations, sizeof *site->stations);
    site->points = calloc(points, sizeof *site->points);
    site->places = calloc(stations, sizeof *site->places);
    if (site->stations == NULL || site->points == NULL || site->places == NULL) {
        bench_die("site", "no memory");
    }
    for (size_t i = 0; i < stations; i++) {
        struct station *station = &site->stations[i];
        (void)snprintf(station->id, sizeof station->id, "station-%zu", i);
        station->first_point = (uint32_t)(i * points_each);
        station->point_count = (uint32_t)points_each;
        site->places[i] = (struct rule_place){PLACE_STATION, (uint32_t)i};
    }
    for (size_t i = 0; i < points; i++) {
        struct point *point = &site->points[i];
        *point = (struct point){.quantity = "stage",
                                .unit = "m",
                                .station = (uint32_t)(i / points_each),
                                .period_us = 10 * second_us,
                                .stale_after_us = 60 * second_us,
                                .counter_modulus = (double)NAN,
                                .counter_step_max = (double)NAN,
                                .quality = gauge_limits()};
        (void)snprintf(point->id, sizeof point->id, "stage-%zu", i % points_each);
    }
    site->site = (struct engine_site){.stations = site->stations,
                                      .station_count = stations,
                                      .points = site->points,
                                      .point_count = points,
                                      .rules = site->rules,
                                      .rule_count = 2};
    make_rule(site, "flood", INDICATOR_LATEST, RULE_LEVELS_MAX, first_level_m, &site->rules[0]);
    make_rule(site, "rise", INDICATOR_RISE, 2, first_level_m, &site->rules[1]);
}

void bench_site_finish(struct bench_site *site) {
    free(site->stations);
    free(site->points);
    free(site->places);
}
