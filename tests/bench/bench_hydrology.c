/* Hydrology kernels: GR4H steps over many sub-basins, and CREST with the kinematic wave on a
 * network of the size of a province at 500 m. The baselines are the same equations written the
 * plain way, with the mathematical library's tanh and pow in every step, compiled with the same
 * flags.
 *
 * CPU seconds of the whole process, so that other work on the machine does not count; with several
 * threads that shows what the threads cost, not how long it takes. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "models/hydrology/crest_grid.h"
#include "models/hydrology/gr.h"

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print(const char *metric, double value, const char *unit, double baseline) {
    printf("{\"bench\":\"hydrology\",\"metric\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"", metric,
           value, unit);
    if (baseline > 0) {
        printf(",\"baseline\":%.4g,\"ratio\":%.3f", baseline, value / baseline);
    }
    puts("}");
}

static double uniform(uint32_t *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    return (*seed >> 8) / 16777216.0;
}

enum { GR_STEPS = 4380 };

/* One GR4H run the plain way. */
static double plain_gr(const struct gr *gr, struct gr_state *s, const double *rain,
                       const double *evaporation) {
    double x1 = gr->parameters.x1_mm, x3 = gr->parameters.x3_mm, sum = 0;
    for (int i = 0; i < GR_STEPS; i++) {
        double pr = 0;
        if (rain[i] <= evaporation[i]) {
            double w = tanh(fmin((evaporation[i] - rain[i]) / x1, 13)), r = s->production_mm / x1;
            s->production_mm -= s->production_mm * (2 - r) * w / (1 + (1 - r) * w);
        } else {
            double net = rain[i] - evaporation[i];
            double w = tanh(fmin(net / x1, 13)), r = s->production_mm / x1;
            double kept = x1 * (1 - r * r) * w / (1 + r * w);
            s->production_mm += kept;
            pr = net - kept;
        }
        double perc = s->production_mm *
                      (1 - pow(1 + pow(s->production_mm / x1, 4) / gr->percolation, -0.25));
        s->production_mm -= perc;
        pr += perc;
        double q9 = s->uh1_mm[0] + gr->uh1[0] * gr->split9 * pr;
        double q1 = s->uh2_mm[0] + gr->uh2[0] * gr->split1 * pr;
        for (int k = 1; k < gr->n1; k++) {
            s->uh1_mm[k - 1] = s->uh1_mm[k] + gr->uh1[k] * gr->split9 * pr;
        }
        for (int k = 1; k < gr->n2; k++) {
            s->uh2_mm[k - 1] = s->uh2_mm[k] + gr->uh2[k] * gr->split1 * pr;
        }
        double f = gr->parameters.x2_mm * pow(s->routing_mm / x3, 3.5);
        s->routing_mm = fmax(0, s->routing_mm + q9 + f);
        double qr = s->routing_mm * (1 - pow(1 + pow(s->routing_mm / x3, 4), -0.25));
        s->routing_mm -= qr;
        sum += qr + fmax(0, q1 + f);
    }
    return sum;
}

/* Basins of one region: each its own parameters, rain and state. */
struct basins {
    int count;
    struct gr *gr;
    struct gr_state *states;
    struct gr_job *jobs;
    double *rain, *evaporation, *runoff; /* [basin][step] */
};

static void free_basins(struct basins *b) {
    free(b->gr);
    free(b->states);
    free(b->jobs);
    free(b->rain);
    free(b->evaporation);
    free(b->runoff);
}

static int make_basins(struct basins *b, int count) {
    size_t n = (size_t)count, steps = n * GR_STEPS;
    uint32_t seed = 5;
    *b = (struct basins){count,
                         calloc(n, sizeof(struct gr)),
                         calloc(n, sizeof(struct gr_state)),
                         calloc(n, sizeof(struct gr_job)),
                         calloc(steps, sizeof(double)),
                         calloc(steps, sizeof(double)),
                         calloc(steps, sizeof(double))};
    if (b->gr == NULL || b->states == NULL || b->jobs == NULL || b->rain == NULL ||
        b->evaporation == NULL || b->runoff == NULL) {
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        struct gr_parameters p = {100 + 900 * uniform(&seed), 2 * uniform(&seed) - 1.5,
                                  20 + 200 * uniform(&seed), 2 + 10 * uniform(&seed)};
        double *rain = b->rain + i * GR_STEPS, *evaporation = b->evaporation + i * GR_STEPS;
        for (int t = 0; t < GR_STEPS; t++) {
            rain[t] = uniform(&seed) < 0.15 ? 8 * uniform(&seed) * uniform(&seed) : 0;
            evaporation[t] = t % 24 > 6 && t % 24 < 18 ? 0.4 : 0;
        }
        if (gr_init(&b->gr[i], GR_HOURLY, &p, false, NULL) != 0) {
            return 1;
        }
        b->jobs[i] =
            (struct gr_job){&b->gr[i], &b->states[i], rain, evaporation, b->runoff + i * GR_STEPS};
    }
    return 0;
}

static void start_basins(struct basins *b) {
    for (int i = 0; i < b->count; i++) {
        gr_state_start(&b->gr[i], &b->states[i]);
    }
}

/* All basins at once, one after the other, and the plain way, in the same run. */
static int bench_gr(int count, int rounds) {
    struct basins b;
    double many = INFINITY, single = INFINITY, plain = INFINITY, worst = 0;
    int rc = make_basins(&b, count);
    double *alone = calloc((size_t)count * GR_STEPS, sizeof *alone);
    rc |= alone == NULL;
    for (int round = 0; rc == 0 && round < rounds; round++) {
        start_basins(&b);
        double t0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
        gr_run_many(b.jobs, (size_t)count, GR_STEPS);
        many = fmin(many, seconds(CLOCK_PROCESS_CPUTIME_ID) - t0);
        start_basins(&b);
        t0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (int i = 0; i < count; i++) {
            const struct gr_job *job = &b.jobs[i];
            gr_run(job->gr, job->state, job->rain_mm, job->evaporation_mm, GR_STEPS,
                   alone + (size_t)i * GR_STEPS);
        }
        single = fmin(single, seconds(CLOCK_PROCESS_CPUTIME_ID) - t0);
        if (memcmp(alone, b.runoff, (size_t)count * GR_STEPS * sizeof *alone) != 0) {
            fprintf(stderr, "bench: many basins at once give other bits than one by one\n");
            rc = 1;
        }
        start_basins(&b);
        double spent = 0;
        for (int i = 0; i < count; i++) {
            double sum = 0;
            t0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
            double all = plain_gr(b.jobs[i].gr, b.jobs[i].state, b.jobs[i].rain_mm,
                                  b.jobs[i].evaporation_mm);
            spent += seconds(CLOCK_PROCESS_CPUTIME_ID) - t0;
            for (int t = 0; t < GR_STEPS; t++) {
                sum += alone[(size_t)i * GR_STEPS + (size_t)t];
            }
            worst = fmax(worst, fabs(sum / all - 1));
        }
        plain = fmin(plain, spent);
    }
    if (rc == 0 && worst > 1e-9) {
        fprintf(stderr, "bench: the two GR4H kernels differ by %g\n", worst);
        rc = 1;
    }
    double work = (double)count * GR_STEPS;
    if (rc == 0) {
        print("gr4h_steps_per_cpu_s", work / many, "steps/s", work / plain);
        print("gr4h_steps_per_cpu_s_basin_by_basin", work / single, "steps/s", work / plain);
    }
    free(alone);
    free_basins(&b);
    return rc;
}

struct field {
    struct network *network;
    struct kinematic_reach *reaches;
    struct crest_parameters *parameters;
    double *area, *rain, *dry, *potential;
    size_t count;
};

static int make_field(struct field *f, size_t count) {
    uint32_t seed = 11;
    int32_t *downstream = calloc(count, sizeof *downstream);
    f->count = count;
    f->reaches = calloc(count, sizeof *f->reaches);
    f->parameters = calloc(count, sizeof *f->parameters);
    f->area = calloc(count, sizeof(double));
    f->rain = calloc(count, sizeof(double));
    f->dry = calloc(count, sizeof(double));
    f->potential = calloc(count, sizeof(double));
    if (downstream == NULL || f->reaches == NULL || f->parameters == NULL || f->area == NULL ||
        f->rain == NULL || f->dry == NULL || f->potential == NULL) {
        free(downstream);
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        size_t next = i + 1 + (size_t)(40 * uniform(&seed));
        downstream[i] = next < count ? (int32_t)next : NETWORK_OUTLET;
        f->reaches[i] = (struct kinematic_reach){500, 3 + 20 * uniform(&seed),
                                                 1e-3 + 0.1 * uniform(&seed), 0.05};
        f->parameters[i] =
            (struct crest_parameters){60 + 120 * uniform(&seed), 0.1 + uniform(&seed), 0.05, 1, 2};
        f->area[i] = 250000;
        f->rain[i] = 12 * uniform(&seed);
        f->potential[i] = 0.1;
    }
    int rc = network_create(count, downstream, NULL, &f->network, NULL);
    free(downstream);
    return rc;
}

/* A storm of `wet` steps, then dry ones, from an empty field. Fills outflows. */
static double run_field(const struct field *f, int steps, int wet, int threads, double *outflow) {
    struct crest_grid grid = {.parameters = f->parameters, .area_m2 = f->area};
    grid.water_mm = calloc(f->count, sizeof(double));
    grid.lateral_m3_s = calloc(f->count, sizeof(double));
    grid.evaporation_mm = calloc(f->count, sizeof(double));
    double spent = -1;
    if (grid.water_mm != NULL && grid.lateral_m3_s != NULL && grid.evaporation_mm != NULL &&
        kinematic_create(f->network, f->reaches, &grid.kinematic, NULL) == 0) {
        for (size_t i = 0; i < f->count; i++) {
            grid.water_mm[i] = 0.5 * f->parameters[i].wm_mm;
        }
        double t0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (int s = 0; s < steps; s++) {
            crest_grid_step(&grid, 1800, s < wet ? f->rain : f->dry, f->potential, threads);
        }
        spent = seconds(CLOCK_PROCESS_CPUTIME_ID) - t0;
        memcpy(outflow, grid.kinematic->outflow_m3_s, f->count * sizeof *outflow);
    }
    kinematic_destroy(grid.kinematic);
    free(grid.water_mm);
    free(grid.lateral_m3_s);
    free(grid.evaporation_mm);
    return spent;
}

/* The same explicit balance and implicit wave with pow in the Newton iteration, on one thread. */
static double plain_field(const struct field *f, int steps, int wet) {
    size_t n = f->count;
    double *water = calloc(n, sizeof(double)), *volume = calloc(n, sizeof(double));
    double *flow = calloc(n, sizeof(double));
    double spent = -1;
    if (water != NULL && volume != NULL && flow != NULL) {
        for (size_t i = 0; i < n; i++) {
            water[i] = 0.5 * f->parameters[i].wm_mm;
        }
        double t0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (int s = 0; s < steps; s++) {
            for (size_t p = 0; p < n; p++) {
                size_t c = (size_t)f->network->cell_of[p];
                const struct kinematic_reach *r = &f->reaches[c];
                struct crest_flux x = crest_step(&f->parameters[p], 0.5,
                                                 (s < wet ? f->rain : f->dry)[p], 0.1, &water[p]);
                double in = (x.overland_mm + x.interflow_mm) * 1e-3 * f->area[p] / 1800;
                for (int32_t k = f->network->first[p]; k < f->network->first[p + 1]; k++) {
                    in += flow[f->network->upstream[k]];
                }
                double alpha = pow(r->manning * pow(r->width_m, 2.0 / 3) / sqrt(r->slope), 0.6);
                double all = volume[p] + in * 1800, q = all / 1800, old = -1;
                for (int i = 0; i < 60 && all > 0 && fabs(q - old) > 1e-10 * q; i++) {
                    double root = pow(q, 0.6);
                    old = q;
                    q -= (q * 1800 + r->length_m * alpha * root - all) /
                         (1800 + 0.6 * r->length_m * alpha * root / q);
                    q = fmax(q, 1e-12);
                }
                flow[p] = all > 0 ? fmin(q, all / 1800) : 0;
                volume[p] = all - flow[p] * 1800;
            }
        }
        spent = seconds(CLOCK_PROCESS_CPUTIME_ID) - t0;
    }
    free(water);
    free(volume);
    free(flow);
    return spent;
}

static int bench_field(size_t cells, int steps, int rounds) {
    struct field f = {0};
    if (make_field(&f, cells) != 0) {
        return 1;
    }
    double *one = calloc(cells, sizeof(double)), *other = calloc(cells, sizeof(double));
    double work = (double)cells * steps, best[3] = {0}, plain = 0;
    int rc = one == NULL || other == NULL;
    for (int round = 0; rc == 0 && round < rounds; round++) {
        for (int t = 0; rc == 0 && t < 3; t++) {
            double spent = run_field(&f, steps, steps / 4, 1 << t, t == 0 ? one : other);
            best[t] = fmax(best[t], work / spent);
            if (spent <= 0 || (t > 0 && memcmp(one, other, cells * sizeof(double)) != 0)) {
                fprintf(stderr, "bench: %d threads give other bits than one\n", 1 << t);
                rc = 1;
            }
        }
        plain = fmax(plain, work / plain_field(&f, steps, steps / 4));
    }
    if (rc == 0) {
        print("crest_kw_cell_steps_per_cpu_s_1_thread", best[0], "cell-steps/s", plain);
        print("crest_kw_cell_steps_per_cpu_s_2_threads", best[1], "cell-steps/s", plain);
        print("crest_kw_cell_steps_per_cpu_s_4_threads", best[2], "cell-steps/s", plain);
        print("crest_kw_same_bits_1_2_4_threads", 1, "bool", 0);
    }
    free(one);
    free(other);
    network_destroy(f.network);
    free(f.reaches);
    free(f.parameters);
    free(f.area);
    free(f.rain);
    free(f.dry);
    free(f.potential);
    return rc;
}

/* A 24 h cycle: every rain member through the grid in half-hour steps, each from its own copy of
 * the state, one thread. 21,000 cells of 500 m: the three basins of the first site together. */
static int bench_cycle(size_t cells, int members, int rounds) {
    struct field f = {0};
    if (make_field(&f, cells) != 0) {
        return 1;
    }
    double *outflow = calloc(cells, sizeof *outflow), best = INFINITY;
    for (int round = 0; outflow != NULL && round < rounds; round++) {
        double spent = 0;
        for (int m = 0; m < members; m++) {
            spent += run_field(&f, 48, 12 + m, 1, outflow);
        }
        best = fmin(best, spent);
    }
    if (outflow != NULL) {
        print("crest_kw_cycle_24h_20_members_21000_cells_cpu", best, "s", 0);
    }
    network_destroy(f.network);
    free(f.reaches);
    free(f.parameters);
    free(f.area);
    free(f.rain);
    free(f.dry);
    free(f.potential);
    int rc = outflow == NULL;
    free(outflow);
    return rc;
}

int main(void) {
    bool smoke = getenv("CANHBAO_BENCH_SMOKE") != NULL;
    int rc = bench_gr(smoke ? 2 : 300, smoke ? 1 : 3);
    rc |= bench_field(smoke ? 2000 : 46545, smoke ? 8 : 96, smoke ? 1 : 3);
    rc |= bench_cycle(smoke ? 500 : 21000, 20, smoke ? 1 : 3);
    return rc;
}
