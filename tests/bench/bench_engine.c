/* Readings per CPU-second through quality control, windows, rules and alarms; bytes and time of a
 * snapshot. The site: stations with a stage (flood levels, rise over 1 h and 3 h) and a rain bucket
 * (accumulations over 1, 3, 6, 12, 24 and 72 h). Baseline: the quality tests alone.
 * CANHBAO_BENCH_SMOKE makes it small. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/engine.h"
#include "models/quality/quality.h"

#define SEC       INT64_C(1000000)
#define MIN       (60 * SEC)
#define HOUR      (60 * MIN)
#define START_UTC INT64_C(1763427600000000) /* 2025-11-18T01:00:00Z */

enum { RAIN_WINDOWS = 6, RULES = 3 };

struct site {
    size_t station_count;
    struct station *stations;
    struct point *points; /* stage, rain; stage, rain; ... */
    struct rule *rules;
    struct rule_place *places;
    struct engine_site site;
};

static double cpu_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* cannot fail for this clock */
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct moment at(int64_t us) {
    return (struct moment){{us}, {START_UTC + us}};
}

static void fill_rule(struct rule *rule, const char *id, uint32_t levels, const struct site *site) {
    (void)snprintf(rule->id, sizeof rule->id, "%s", id);
    rule_revision(id, strlen(id), rule->revision);
    (void)snprintf(rule->scale.id, sizeof rule->scale.id, "bench");
    rule->scale.kind = SCALE_OWN;
    rule->scale.level_count = levels;
    rule->level_count = levels;
    for (uint8_t i = 0; i < levels; i++) {
        rule->levels[i] = (struct rule_level){.level = (uint8_t)(i + 1),
                                              .first_node = i,
                                              .node_count = 1,
                                              .off_delay_us = 10 * MIN,
                                              .required = KNOWLEDGE_DOUBTFUL};
    }
    rule->node_count = levels;
    rule->expires_after_us = 6 * HOUR;
    rule->places = site->places;
    rule->place_count = site->station_count;
}

static struct indicator_spec spec_of(enum indicator_kind kind, const char *point,
                                     int64_t window_us) {
    struct indicator_spec spec = {.kind = kind,
                                  .window_us = window_us,
                                  .min_completeness = 0.95,
                                  .min_probability = (double)NAN};
    (void)snprintf(spec.point, sizeof spec.point, "%s", point);
    return spec;
}

static struct rule_node compare(uint8_t indicator, double threshold, uint8_t station_level) {
    return (struct rule_node){.kind = NODE_COMPARE,
                              .indicator = indicator,
                              .comparison = COMPARE_AT_LEAST,
                              .station_level = station_level,
                              .threshold = threshold,
                              .hysteresis = 0.1};
}

static void fill_rules(struct site *site) {
    static const int64_t hours[RAIN_WINDOWS] = {1, 3, 6, 12, 24, 72};
    struct rule *flood = &site->rules[0];
    fill_rule(flood, "flood", 3, site);
    flood->indicator_count = 1;
    flood->indicators[0] = spec_of(INDICATOR_LATEST, "stage", 0);
    for (uint8_t i = 0; i < 3; i++) {
        flood->nodes[i] = compare(0, 0, (uint8_t)(i + 1));
    }
    struct rule *rise = &site->rules[1];
    fill_rule(rise, "rise", 2, site);
    rise->indicator_count = 2;
    for (uint8_t i = 0; i < 2; i++) {
        rise->indicators[i] = spec_of(INDICATOR_RISE, "stage", hours[i] * HOUR);
        rise->nodes[i] = compare(i, 2 + i, 0);
    }
    struct rule *rain = &site->rules[2];
    fill_rule(rain, "rain", 1, site);
    rain->indicator_count = RAIN_WINDOWS;
    rain->node_count = RAIN_WINDOWS + 1;
    rain->levels[0].node_count = RAIN_WINDOWS + 1;
    rain->nodes[0] = (struct rule_node){.kind = NODE_ANY, .child_count = RAIN_WINDOWS};
    for (uint8_t i = 0; i < RAIN_WINDOWS; i++) {
        rain->indicators[i] = spec_of(INDICATOR_ACCUMULATION, "tips", hours[i] * HOUR);
        rain->nodes[1 + i] = compare(i, 50 + 40 * i, 0);
    }
}

static struct quality_limits limits_of(double hard_max) {
    return (struct quality_limits){.hard_min = 0,
                                   .hard_max = hard_max,
                                   .soft_min = 0,
                                   .soft_max = hard_max,
                                   .rate_max_per_s = 1,
                                   .spike_suspect = 5,
                                   .spike_fail = 50,
                                   .flat_epsilon = 0,
                                   .flat_suspect_us = 100 * HOUR,
                                   .gap_us = HOUR,
                                   .revision = 1};
}

static int build_site(struct site *site, size_t count) {
    site->station_count = count;
    site->stations = calloc(count, sizeof *site->stations);
    site->points = calloc(2 * count, sizeof *site->points);
    site->rules = calloc(RULES, sizeof *site->rules);
    site->places = calloc(count, sizeof *site->places);
    if (site->stations == NULL || site->points == NULL || site->rules == NULL ||
        site->places == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        struct station *station = &site->stations[i];
        (void)snprintf(station->id, sizeof station->id, "station-%zu", i);
        station->alarm_levels = (struct alarm_levels){.count = 3, .at = {2, 4, 6}};
        site->places[i] = (struct rule_place){PLACE_STATION, (uint32_t)i};
        for (size_t k = 0; k < 2; k++) {
            struct point *point = &site->points[2 * i + k];
            *point = (struct point){.kind = k == 0 ? POINT_INSTANT : POINT_COUNTER,
                                    .station = (uint32_t)i,
                                    .period_us = MIN,
                                    .stale_after_us = 3 * MIN,
                                    .counter_modulus = (double)NAN,
                                    .counter_step_max = 50,
                                    .quality = limits_of(k == 0 ? 20 : 1e6)};
            (void)snprintf(point->id, sizeof point->id, "%s", k == 0 ? "stage" : "tips");
        }
    }
    fill_rules(site);
    site->site = (struct engine_site){.stations = site->stations,
                                      .station_count = count,
                                      .points = site->points,
                                      .point_count = 2 * count,
                                      .rules = site->rules,
                                      .rule_count = RULES};
    return 0;
}

static double value_of(size_t station, size_t kind, int64_t minute) {
    double phase = (double)minute / 200 + (double)station;
    return kind == 0 ? 3 + 3 * sin(phase) : (double)(minute * (1 + (int64_t)(station % 3))) * 0.2;
}

static void count_event(void *context, const struct event *event) {
    (void)event;
    (*(uint64_t *)context)++;
}

static void print_metric(const char *metric, double value, const char *unit) {
    printf("{\"bench\":\"engine\",\"metric\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n", metric,
           value, unit);
}

static double run_quality(const struct site *site, int64_t minutes) {
    size_t count = site->site.point_count;
    struct quality_state *states = calloc(count, sizeof *states);
    struct reading reading = {0};
    struct reading worse;
    if (states == NULL) {
        return 0;
    }
    double start_s = cpu_s();
    for (int64_t minute = 0; minute < minutes; minute++) {
        for (size_t i = 0; i < count; i++) {
            reading.status = READING_OK;
            reading.seq = (uint64_t)minute + 1;
            reading.value = value_of(i / 2, i % 2, minute);
            reading.received = at(minute * MIN);
            (void)quality_test(&states[i], &site->points[i].quality, NULL, &reading, &worse);
        }
    }
    double used_s = cpu_s() - start_s;
    free(states);
    return (double)minutes * (double)count / used_s;
}

static double run_engine(const struct site *site, struct engine *engine, int64_t minutes,
                         uint64_t *events) {
    const struct engine_sink sink = {.context = events, .on_event = count_event};
    uint64_t number = 0;
    double start_s = cpu_s();
    for (int64_t minute = 0; minute < minutes; minute++) {
        for (size_t i = 0; i < site->site.point_count; i++) {
            struct engine_input input = {.kind = ENGINE_READING, .number = ++number};
            input.now = at(minute * MIN + (int64_t)i);
            input.as.reading.point = (uint32_t)i;
            input.as.reading.seq = (uint64_t)minute + 1;
            input.as.reading.value = value_of(i / 2, i % 2, minute);
            input.as.reading.received = input.now;
            if (engine_step(engine, &input, &sink) != 0) {
                return 0;
            }
        }
        for (int64_t second = 1; second < 60; second++) {
            struct engine_input tick = {.kind = ENGINE_TICK, .number = ++number};
            tick.now = at(minute * MIN + second * SEC);
            (void)engine_step(engine, &tick, &sink);
        }
    }
    return (double)minutes * (double)site->site.point_count / (cpu_s() - start_s);
}

int main(void) {
    bool smoke = getenv("CANHBAO_BENCH_SMOKE") != NULL;
    struct site site = {0};
    struct engine *engine = NULL;
    struct err err = {0};
    struct bytes bytes = {0};
    uint64_t events = 0;
    int64_t minutes = smoke ? 5 : 240;
    int result = build_site(&site, smoke ? 20 : 1000);
    result = result == 0 ? engine_create(&site.site, at(0), &engine, &err) : result;
    if (result != 0) {
        (void)fprintf(stderr, "bench_engine: %s %s\n", err_name(result), err.text);
        return 1;
    }
    double baseline = run_quality(&site, minutes);
    double readings = run_engine(&site, engine, minutes, &events);
    printf("{\"bench\":\"engine\",\"metric\":\"readings_per_cpu_second\",\"value\":%.6g,"
           "\"unit\":\"1/s\",\"baseline\":%.6g,\"ratio\":%.4g}\n",
           readings, baseline, baseline > 0 ? readings / baseline : 0);
    print_metric("events", (double)events, "1");
    double start_s = cpu_s();
    result = engine_save(engine, &bytes);
    print_metric("snapshot_cpu_time", (cpu_s() - start_s) * 1e3, "ms");
    print_metric("snapshot_size", (double)bytes.length / 1e6, "MB");
    engine = engine_destroy(engine);
    if (result == 0 && engine_create(&site.site, at(0), &engine, &err) == 0) {
        start_s = cpu_s();
        result = engine_load(engine, bytes.data, bytes.length, NULL, NULL);
        print_metric("snapshot_load_cpu_time", (cpu_s() - start_s) * 1e3, "ms");
    }
    bytes_finish(&bytes);
    (void)engine_destroy(engine);
    free(site.stations);
    free(site.points);
    free(site.rules);
    free(site.places);
    return result == 0 && readings > 0 ? 0 : 1;
}
