/* Routing: the analytic plane, steady state, volume, order of cells, threads, gaps, reservoirs;
 * Muskingum's mass, translation and spreading. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/hydrology/kinematic.h"
#include "models/hydrology/muskingum.h"
#include "models/nowcast/parallel.h"

enum { PLANE = 100 };

static struct network *chain(int count) {
    struct network *network = NULL;
    int32_t *downstream = malloc((size_t)count * sizeof *downstream);
    assert_non_null(downstream);
    for (int i = 0; i < count; i++) {
        downstream[i] = i + 1 < count ? i + 1 : NETWORK_OUTLET;
    }
    assert_int_equal(network_create((size_t)count, downstream, NULL, &network, NULL), 0);
    free(downstream);
    return network;
}

/* Rain of 30 mm/h on a plane of 100 m, 1 m wide: q = a (i t)^m up to tc, then i L (Henderson and
 * Wooding 1964). The scheme rounds the corner at tc (first-order diffusion), so tc is taken from
 * what the plane holds back: the integral of i L - q is i L tc m / (m + 1). The time to 90 % is
 * looked at as well, with the room that the rounding needs. */
static void test_plane(void **state) {
    (void)state;
    const double length_m = 100, slope = 0.01, manning = 0.1, rain_m_s = 30e-3 / 3600, m = 5.0 / 3;
    const double a = sqrt(slope) / manning;
    const double tc_s = pow(length_m / (a * pow(rain_m_s, m - 1)), 1 / m);
    struct network *network = chain(PLANE);
    struct kinematic *k = NULL;
    struct kinematic_reach reaches[PLANE];
    double lateral[PLANE];
    for (int i = 0; i < PLANE; i++) {
        reaches[i] = (struct kinematic_reach){length_m / PLANE, 1, slope, manning};
        lateral[i] = rain_m_s * length_m / PLANE;
    }
    assert_int_equal(kinematic_create(network, reaches, &k, NULL), 0);
    /* Courant number 1 at the outlet at equilibrium */
    double depth_m = pow(rain_m_s * length_m / a, 1 / m);
    double dt_s = length_m / PLANE / (a * m * pow(depth_m, m - 1));
    double fallen_m3 = 0, left_m3 = 0, t90_s = 0, before = 0, t_s = 0, worst_rise = 0;
    struct kinematic_input input = {.dt_s = dt_s, .lateral_m3_s = lateral};
    while (t_s < 4 * tc_s) {
        kinematic_step(k, &input);
        t_s += dt_s;
        double q = kinematic_outlet_m3_s(k);
        fallen_m3 += rain_m_s * length_m * dt_s;
        left_m3 += q * dt_s;
        if (t90_s == 0 && q >= 0.9 * rain_m_s * length_m) {
            double share = (0.9 * rain_m_s * length_m - before) / (q - before);
            t90_s = t_s - dt_s + share * dt_s;
        }
        if (t_s > 0.2 * tc_s && t_s < 0.8 * tc_s) {
            double exact = a * pow(rain_m_s * t_s, m);
            worst_rise = fmax(worst_rise, fabs(q / exact - 1));
        }
        before = q;
    }
    double tc90_s = tc_s * pow(0.9, 1 / m);
    printf("plane: peak %.5f of exact, time to 90 %% %.5f of exact, rise within %.4f\n",
           before / (rain_m_s * length_m), t90_s / tc90_s, worst_rise);
    assert_true(fabs(before / (rain_m_s * length_m) - 1) < 0.01);
    double held_m3 = fallen_m3 - left_m3;
    double from_volume_s = held_m3 * (m + 1) / (m * rain_m_s * length_m);
    printf("plane: tc from the volume %.5f of exact\n", from_volume_s / tc_s);
    assert_true(fabs(from_volume_s / tc_s - 1) < 0.02);
    assert_true(fabs(t90_s / tc90_s - 1) < 0.03);
    assert_true(worst_rise < 0.05);
    assert_true(fabs(left_m3 + kinematic_stored_m3(k) - fallen_m3) < 1e-12 * fallen_m3);
    kinematic_destroy(k);
    network_destroy(network);
}

/* A random tree: each cell drains to one of the next twenty. */
static void random_tree(size_t count, int32_t *downstream, uint32_t seed) {
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525U + 1013904223U;
        size_t next = i + 1 + (seed >> 16) % 20;
        downstream[i] = next < count ? (int32_t)next : NETWORK_OUTLET;
    }
}

static void random_reaches(size_t count, struct kinematic_reach *reaches, double *lateral) {
    uint32_t seed = 77;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525U + 1013904223U;
        reaches[i] =
            (struct kinematic_reach){300 + (seed >> 24), 2 + (seed >> 28),
                                     1e-4 + (seed >> 20) * 1e-5, 0.03 + (seed >> 28) * 2e-3};
        lateral[i] = 1e-3 * (1 + (seed >> 26));
    }
}

enum { TREE = 5000, TREE_STEPS = 200 };

struct tree {
    int32_t downstream[TREE];
    int64_t key[TREE];
    struct kinematic_reach reaches[TREE];
    double lateral[TREE];
    double flow[TREE];
};

static void run_tree(struct tree *t, int steps, const double *factor) {
    static double by_place[TREE];
    struct network *network = NULL;
    struct kinematic *k = NULL;
    assert_int_equal(network_create(TREE, t->downstream, t->key, &network, NULL), 0);
    assert_int_equal(kinematic_create(network, t->reaches, &k, NULL), 0);
    for (int s = 0; s < steps; s++) {
        kinematic_to_places(network, t->lateral, by_place);
        for (int i = 0; i < TREE; i++) {
            by_place[i] *= factor[s];
        }
        struct kinematic_input input = {.dt_s = 900, .lateral_m3_s = by_place};
        kinematic_step(k, &input);
    }
    kinematic_to_cells(network, k->outflow_m3_s, t->flow);
    kinematic_destroy(k);
    network_destroy(network);
}

static void test_order_of_cells_changes_no_bit(void **state) {
    (void)state;
    static struct tree a, b;
    static int32_t moved[TREE];
    double factor[TREE_STEPS];
    for (int s = 0; s < TREE_STEPS; s++) {
        factor[s] = s < 20 ? 5 : s % 50 == 0 ? 9 : 0;
    }
    random_tree(TREE, a.downstream, 5);
    random_reaches(TREE, a.reaches, a.lateral);
    uint32_t seed = 9;
    for (int i = 0; i < TREE; i++) {
        a.key[i] = i;
        moved[i] = i;
    }
    for (int i = TREE - 1; i > 0; i--) {
        seed = seed * 1664525U + 1013904223U;
        int other = (int)((seed >> 8) % (unsigned)(i + 1));
        int32_t swap = moved[i];
        moved[i] = moved[other];
        moved[other] = swap;
    }
    for (int i = 0; i < TREE; i++) {
        int to = moved[i];
        b.downstream[to] = a.downstream[i] < 0 ? NETWORK_OUTLET : moved[a.downstream[i]];
        b.key[to] = a.key[i];
        b.reaches[to] = a.reaches[i];
        b.lateral[to] = a.lateral[i];
    }
    run_tree(&a, TREE_STEPS, factor);
    run_tree(&b, TREE_STEPS, factor);
    for (int i = 0; i < TREE; i++) {
        assert_memory_equal(&a.flow[i], &b.flow[moved[i]], sizeof(double));
        assert_true(a.flow[i] > 0);
    }
}

static void test_steady_state_is_the_upstream_sum(void **state) {
    (void)state;
    static struct tree t;
    static double factor[4000];
    static double sum[TREE];
    random_tree(TREE, t.downstream, 5);
    random_reaches(TREE, t.reaches, t.lateral);
    for (int i = 0; i < TREE; i++) {
        t.key[i] = i;
        sum[i] += t.lateral[i];
        if (t.downstream[i] >= 0) {
            sum[t.downstream[i]] += sum[i];
        }
    }
    for (int s = 0; s < 4000; s++) {
        factor[s] = 1;
    }
    run_tree(&t, 4000, factor);
    for (int i = 0; i < TREE; i++) {
        if (fabs(t.flow[i] / sum[i] - 1) > 1e-6) {
            fail_msg("cell %d: %.9g, upstream sum %.9g", i, t.flow[i], sum[i]);
        }
    }
}

struct part_work {
    struct kinematic *k;
    const struct kinematic_input *input;
};

static void work_parts(void *context, int part, int begin, int end) {
    (void)part;
    struct part_work *w = context;
    const struct network *n = w->k->network;
    for (int p = begin; p < end; p++) {
        kinematic_step_range(w->k, w->input, (size_t)n->part[p], (size_t)n->part[p + 1]);
    }
}

static void test_threads_change_no_bit(void **state) {
    (void)state;
    static struct tree t;
    static double flows[3][TREE], by_place[TREE];
    random_tree(TREE, t.downstream, 5);
    random_reaches(TREE, t.reaches, t.lateral);
    struct network *network = NULL;
    assert_int_equal(network_create(TREE, t.downstream, NULL, &network, NULL), 0);
    assert_true(network->part_count > 8);
    for (int run = 0; run < 3; run++) {
        struct kinematic *k = NULL;
        assert_int_equal(kinematic_create(network, t.reaches, &k, NULL), 0);
        kinematic_to_places(network, t.lateral, by_place);
        struct kinematic_input input = {.dt_s = 900, .lateral_m3_s = by_place};
        for (int s = 0; s < 60; s++) {
            struct part_work w = {k, &input};
            kinematic_begin(k, &input);
            parallel_rows(1 << run, (int)network->part_count, work_parts, &w);
            kinematic_step_range(k, &input, (size_t)network->part[network->part_count], TREE);
        }
        memcpy(flows[run], k->outflow_m3_s, sizeof flows[run]);
        kinematic_destroy(k);
    }
    assert_memory_equal(flows[0], flows[1], sizeof flows[0]);
    assert_memory_equal(flows[0], flows[2], sizeof flows[0]);
    network_destroy(network);
}

static void test_network_refuses(void **state) {
    (void)state;
    struct network *network = NULL;
    struct err err = {0};
    const int32_t circle[] = {1, 2, 0, NETWORK_OUTLET};
    assert_int_equal(network_create(4, circle, NULL, &network, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "circle"));
    const int32_t outside[] = {1, 7};
    assert_int_equal(network_create(2, outside, NULL, &network, &err), ERR_RANGE);
    const int32_t self[] = {0};
    assert_int_equal(network_create(1, self, NULL, &network, &err), ERR_RANGE);
    assert_int_equal(network_create(0, self, NULL, &network, &err), ERR_LIMIT);
    const int32_t two[] = {2, 2, NETWORK_OUTLET};
    const int64_t same[] = {4, 4, 5};
    assert_int_equal(network_create(3, two, same, &network, &err), ERR_INVALID);
    assert_null(network);
    const int32_t d8[] = {1, 4, 0, 64, 4, -9999};
    size_t count = 0;
    int32_t cells[6], next[6];
    assert_int_equal(network_from_d8(2, 3, d8, &count, cells, next, NULL), 0);
    assert_int_equal(count, 4);
    assert_true(next[0] == 1 && next[1] == 3 && next[2] == 0 && next[3] == NETWORK_OUTLET);
    const int32_t wrong[] = {3};
    assert_int_equal(network_from_d8(1, 1, wrong, &count, cells, next, &err), ERR_INVALID);
    network = chain(2);
    struct kinematic *k = NULL;
    struct kinematic_reach bad[] = {{100, 1, 0.01, 0.03}, {100, 1, 0, 0.03}};
    assert_int_equal(kinematic_create(network, bad, &k, &err), ERR_RANGE);
    assert_non_null(strstr(err.text, "reach 1"));
    network_destroy(network);
}

static void test_missing_inflow_and_recovery(void **state) {
    (void)state;
    struct network *network = chain(5);
    struct kinematic *k = NULL;
    struct kinematic_reach reaches[5];
    double lateral[5];
    for (int i = 0; i < 5; i++) {
        reaches[i] = (struct kinematic_reach){1000, 10, 0.001, 0.03};
        lateral[i] = 1;
    }
    assert_int_equal(kinematic_create(network, reaches, &k, NULL), 0);
    struct kinematic_input input = {.dt_s = 600, .lateral_m3_s = lateral};
    for (int s = 0; s < 500; s++) {
        kinematic_step(k, &input);
    }
    assert_true(fabs(k->outflow_m3_s[4] - 5) < 1e-6 && !k->degraded);
    lateral[2] = NAN;
    kinematic_step(k, &input);
    kinematic_step(k, &input);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(k->mark[i] == KINEMATIC_MISSING, i >= 2);
        assert_int_equal(isnan(k->outflow_m3_s[i]) != 0, i >= 2);
    }
    lateral[2] = 1;
    kinematic_step(k, &input);
    assert_true(k->mark[1] == KINEMATIC_OK && k->mark[4] == KINEMATIC_RECOVERING);
    assert_true(k->outflow_m3_s[4] > 0);
    for (int s = 0; s < 100; s++) {
        kinematic_step(k, &input);
    }
    assert_true(k->mark[4] == KINEMATIC_OK && fabs(k->outflow_m3_s[4] - 5) < 1e-3);
    /* Reach 2 becomes a reservoir that releases 7 m3/s without asking, then an unknown flow. */
    bool reservoir[5] = {false, false, true, false, false};
    double release[5] = {0, 0, 7, 0, 0};
    input.is_reservoir = reservoir;
    input.release_m3_s = release;
    double held = k->volume_m3[2];
    for (int s = 0; s < 100; s++) {
        kinematic_step(k, &input);
    }
    assert_true(fabs(k->outflow_m3_s[4] - 9) < 1e-3);
    assert_true(fabs(k->volume_m3[2] - held - 100 * 600 * (3.0 - 7.0)) < 60 && k->volume_m3[2] < 0);
    release[2] = NAN;
    kinematic_step(k, &input);
    assert_true(isnan(k->outflow_m3_s[2]) && isnan(k->outflow_m3_s[4]));
    kinematic_destroy(k);
    network_destroy(network);
}

enum { WAVE = 2000 };

/* First and second moment of what is above the base flow. */
static void moments(const double *flow, double base, double dt_s, double *ret_mean,
                    double *ret_variance) {
    double s0 = 0, s1 = 0, s2 = 0;
    for (int i = 0; i < WAVE; i++) {
        double t = i * dt_s;
        s0 += flow[i] - base;
        s1 += (flow[i] - base) * t;
        s2 += (flow[i] - base) * t * t;
    }
    *ret_mean = s1 / s0;
    *ret_variance = s2 / s0 - (s1 / s0) * (s1 / s0);
}

/* A small wave on a base flow travels with celerity c and spreads with Q / (2 B S), whatever the
 * pieces: lag L / c, variance growth L Q / (B S c^3) (Hayami 1951). */
static void test_cunge_celerity_and_diffusion(void **state) {
    (void)state;
    static double inflow[WAVE], outflow[WAVE];
    const struct cunge_reach reach = {60000, 80, 3e-4, 0.035};
    const double dt_s = 1800, base = 200;
    double residual = 1, mean_in, mean_out, var_in, var_out;
    for (int i = 0; i < WAVE; i++) {
        double x = (i - 60.0) / 12;
        inflow[i] = base + 2 * exp(-0.5 * x * x);
    }
    assert_int_equal(muskingum_cunge(&reach, dt_s, inflow, WAVE, outflow, NULL, &residual, NULL),
                     0);
    double root = sqrt(reach.slope) / reach.manning;
    double depth = pow(base / (reach.width_m * root), 0.6);
    double c = 5.0 / 3 * root * pow(depth, 2.0 / 3);
    moments(inflow, base, dt_s, &mean_in, &var_in);
    moments(outflow, base, dt_s, &mean_out, &var_out);
    double lag = (mean_out - mean_in) * c / reach.length_m;
    double growth =
        (var_out - var_in) / (reach.length_m * base / (reach.width_m * reach.slope * c * c * c));
    printf("cunge: lag %.4f, spreading %.4f of theory, residual %.3g m3\n", lag, growth, residual);
    assert_true(fabs(lag - 1) < 0.01);
    assert_true(fabs(growth - 1) < 0.03);
}

static void test_cunge_keeps_mass_in_a_flood(void **state) {
    (void)state;
    static double inflow[WAVE], outflow[WAVE];
    const struct cunge_reach reach = {60000, 80, 3e-4, 0.035};
    double residual = 1, in = 0, out = 0;
    for (int i = 0; i < WAVE; i++) {
        double x = i / 20.0;
        inflow[i] = 20 + 4000 * x * x * exp(-x); /* twentyfold in hours */
        in += inflow[i];
    }
    assert_int_equal(muskingum_cunge(&reach, 1800, inflow, WAVE, outflow, NULL, &residual, NULL),
                     0);
    double peak = 0;
    for (int i = 0; i < WAVE; i++) {
        assert_true(outflow[i] >= 0);
        out += outflow[i];
        peak = fmax(peak, outflow[i]);
    }
    /* Starts and ends in the same steady flow: in = out up to the storage of the tail. */
    assert_true(fabs(residual) < 1e-9 * in * 1800);
    assert_true(fabs(out / in - 1) < 1e-6);
    assert_true(peak < 20 + 4000 * 4 * exp(-2));
    inflow[100] = NAN;
    bool recovering[WAVE];
    assert_int_equal(
        muskingum_cunge(&reach, 1800, inflow, WAVE, outflow, recovering, &residual, NULL), 0);
    assert_true(isnan(outflow[100]) && !isnan(outflow[101]) && recovering[101]);
    assert_true(!recovering[99] && !recovering[WAVE - 1]);
}

static void test_muskingum_refuses_and_conserves(void **state) {
    (void)state;
    static double inflow[WAVE], outflow[WAVE];
    double in = 0, out = 0;
    for (int i = 0; i < WAVE; i++) {
        inflow[i] = i > 10 && i < 30 ? 100 : 10;
        in += inflow[i];
    }
    struct err err = {0};
    assert_int_equal(muskingum_linear(12, 0.2, 6, inflow, WAVE, outflow, NULL, NULL), 0);
    for (int i = 0; i < WAVE; i++) {
        out += outflow[i];
    }
    assert_true(fabs(out / in - 1) < 1e-12);
    assert_int_equal(muskingum_linear(12, 0.6, 6, inflow, WAVE, outflow, NULL, &err), ERR_RANGE);
    assert_int_equal(muskingum_linear(2, 0.2, 6, inflow, WAVE, outflow, NULL, &err), ERR_RANGE);
    assert_int_equal(muskingum_linear(NAN, 0.2, 6, inflow, WAVE, outflow, NULL, &err), ERR_RANGE);
    assert_int_equal(muskingum_nonlinear(1, 0.5, 1.8, 6, inflow, WAVE, outflow, NULL, &err),
                     ERR_RANGE);
    inflow[3] = -1;
    assert_int_equal(muskingum_linear(12, 0.2, 6, inflow, WAVE, outflow, NULL, &err), ERR_RANGE);
    inflow[3] = NAN;
    bool recovering[WAVE];
    assert_int_equal(muskingum_linear(12, 0.2, 6, inflow, WAVE, outflow, recovering, NULL), 0);
    assert_true(isnan(outflow[3]) && outflow[4] == 10 && recovering[4] && !recovering[20]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plane),
        cmocka_unit_test(test_order_of_cells_changes_no_bit),
        cmocka_unit_test(test_steady_state_is_the_upstream_sum),
        cmocka_unit_test(test_threads_change_no_bit),
        cmocka_unit_test(test_network_refuses),
        cmocka_unit_test(test_missing_inflow_and_recovery),
        cmocka_unit_test(test_cunge_celerity_and_diffusion),
        cmocka_unit_test(test_cunge_keeps_mass_in_a_flood),
        cmocka_unit_test(test_muskingum_refuses_and_conserves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
