/* Dispersion, one thread, processor time: receptor values of a plume and steps of particles a
 * second, one trace update (24 sensors, up to two sources), and zones from a traced source (16
 * members of weather), which is what a live cycle computes between reading and polygon. The aims
 * stand as "baseline"; there is no other program in this run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/dispersion/particles.h"
#include "models/dispersion/plume_results.h"
#include "models/dispersion/trace.h"
#include "models/dispersion/zones.h"
#include "tests/bench/common.h"

enum { RECEPTORS = 100000, SENSORS = 24, PARTICLES = 2000 };

static void line(const char *metric, double value, const char *unit, double aim, bool more) {
    printf("{\"bench\": \"dispersion\", \"metric\": \"%s\", \"value\": %.4g, \"unit\": \"%s\", "
           "\"aim\": %.4g, \"met\": %s}\n",
           metric, value, unit, aim, (more ? value >= aim : value <= aim) ? "true" : "false");
}

static struct weather_row routine(void) {
    const double nan = (double)NAN;
    return (struct weather_row){.wind_m_s = 4,
                                .wind_height_m = 10,
                                .wind_from_deg = 270,
                                .ustar_m_s = nan,
                                .obukhov_m = nan,
                                .sigma_theta_rad = nan,
                                .lid_m = nan,
                                .z0_m = 0.03,
                                .rain_mm_h = nan,
                                .stability = PLUME_D};
}

static struct release make_release(void) {
    struct release r = {.continuous = true,
                        .gas_density_kg_m3 = (double)NAN,
                        .origin = {13.8, 109.2},
                        .substance = "Cl2"};
    r.puff.rate = 100;
    r.puff.height_m = 1;
    r.puff.half_life_s = (double)INFINITY;
    return r;
}

static void receptors(const struct release *release, const struct weather_air *air) {
    struct puff_receptor *r = calloc(RECEPTORS, sizeof *r);
    double sum = 0;
    if (r == NULL) {
        bench_die("receptors", "no memory");
    }
    for (size_t i = 0; i < RECEPTORS; i++) {
        r[i] = (struct puff_receptor){
            .x_m = 100 + 0.05 * (double)i, .y_m = (double)(i % 101) - 50, .z_m = 1.5};
    }
    double from = bench_cpu_s();
    for (size_t i = 0; i < RECEPTORS; i++) {
        double value = 0;
        if (results_steady(release, air, &r[i], &value, NULL) != 0) {
            bench_die("receptors", "refused");
        }
        sum += value;
    }
    double spent = bench_cpu_s() - from;
    if (!(sum > 0)) {
        bench_die("receptors", "nothing came out");
    }
    line("receptor_values", RECEPTORS / spent, "1/s", 5e6, true);
    free(r);
}

static void particles(size_t count) {
    const struct particles_air air = {0.35, -40, 1000, 1e-4, 4, 0, 0, 0, 0};
    const struct particles_options options = {3600, 20, 1, 1, NULL};
    struct particle *p = calloc(count, sizeof *p);
    uint64_t steps = 0;
    double from = bench_cpu_s();
    for (size_t i = 0; p != NULL && i < count; i++) {
        p[i].position_m[2] = 50;
    }
    if (p == NULL || particles_move(&air, 1, &options, p, count, &steps, NULL) != 0) {
        bench_die("particles", "refused");
    }
    line("particle_steps", (double)steps / (bench_cpu_s() - from), "1/s", 5e6, true);
    free(p);
}

static void cycle(struct release *release, const struct weather *weather,
                  const struct weather_air *air) {
    struct trace_sensor sensors[SENSORS];
    struct trace_problem p = {.sensors = sensors,
                              .count = SENSORS,
                              .air = *air,
                              .source_height_m = 1,
                              .detection_limit = 0.1,
                              .floor = TRACE_FLOOR * 0.1,
                              .sigma_log = TRACE_SIGMA_LOG,
                              .wind_sd_deg = TRACE_WIND_SD_DEG,
                              .width_sd_log = TRACE_WIDTH_SD_LOG,
                              .sources_max = 2,
                              .seed = 1};
    for (size_t i = 0; i < SENSORS; i++) {
        struct puff_receptor at = {
            .x_m = 300 + 250 * (double)(i % 3), .y_m = -230 + 20 * (double)i, .z_m = 1.5};
        double value = 0;
        if (results_steady(release, air, &at, &value, NULL) != 0) {
            bench_die("trace", "no twin");
        }
        sensors[i] = (struct trace_sensor){at.x_m, at.y_m, at.z_m, value * 1e3};
    }
    struct trace_result found = {0};
    struct zones zones = {0};
    struct zones_options options = zones_options_default;
    struct zones_levels levels = {.count = 2, .list = {{1, "AEGL-1", 1.45}, {2, "AEGL-2", 5.8}}};
    double from = bench_cpu_s();
    if (trace_run(&p, &found, NULL) != 0) {
        bench_die("trace", "refused");
    }
    double traced = bench_cpu_s() - from;
    release->puff.x_m = found.source[0].x_m;
    release->puff.y_m = found.source[0].y_m;
    release->puff.rate = found.source[0].rate / 1e3;
    if (zones_run(release, weather, &options, &levels, &zones, NULL) != 0) {
        bench_die("zones", "refused");
    }
    json_t *polygons = zones_polygons(&zones, 0, &release->origin);
    double all = bench_cpu_s() - from;
    if (json_array_size(polygons) == 0) {
        bench_die("zones", "no polygon");
    }
    line("trace_update", traced, "s", 1, false);
    line("live_cycle", all, "s", 5, false);
    json_decref(polygons);
    zones_finish(&zones);
    trace_finish(&found);
}

int main(void) {
    struct weather_row row = routine();
    struct weather weather = {.count = 1, .rows = &row};
    struct weather_air air;
    struct release release = make_release();
    struct err err = {0};
    if (weather_air(&row, WEATHER_BRIGGS, PLUME_RURAL, 1, &air, &err) != 0) {
        bench_die("weather", err.text);
    }
    receptors(&release, &air);
    particles(getenv("CANHBAO_BENCH_SMOKE") != NULL ? 20 : PARTICLES);
    cycle(&release, &weather, &air);
    return 0;
}
