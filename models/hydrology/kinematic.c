#include "models/hydrology/kinematic.h"

#include <math.h>
#include <stdlib.h>

/* Newton's method is started at or brought above the root, where it converges from one side. */
enum { NEWTON_MAX = 60 };

struct kinematic *kinematic_destroy(struct kinematic *kinematic) {
    if (kinematic != NULL) {
        free(kinematic->storage);
        free(kinematic->volume_m3);
        free(kinematic->outflow_m3_s);
        free(kinematic->root);
        free(kinematic->assumed_m3);
        free(kinematic->mark);
        free(kinematic);
    }
    return NULL;
}

int kinematic_create(const struct network *network, const struct kinematic_reach *reaches,
                     struct kinematic **ret_kinematic, struct err *ret_err) {
    for (size_t i = 0; i < network->count; i++) {
        const struct kinematic_reach *r = &reaches[i];
        if (!(r->length_m > 0 && r->length_m <= 1e7 && r->width_m > 0 && r->width_m <= 1e6 &&
              r->slope > 0 && r->slope <= 10 && r->manning > 0 && r->manning <= 10)) {
            return err_set(ret_err, ERR_RANGE,
                           "reach %zu: length %g m, width %g m, slope %g, n %g must all be above 0 "
                           "and at most 1e7, 1e6, 10, 10",
                           i, r->length_m, r->width_m, r->slope, r->manning);
        }
    }
    struct kinematic *kinematic = calloc(1, sizeof *kinematic);
    if (kinematic != NULL) {
        kinematic->network = network;
        kinematic->storage = calloc(network->count, sizeof(double));
        kinematic->volume_m3 = calloc(network->count, sizeof(double));
        kinematic->outflow_m3_s = calloc(network->count, sizeof(double));
        kinematic->root = calloc(network->count, sizeof(double));
        kinematic->assumed_m3 = calloc(network->count, sizeof(double));
        kinematic->mark = calloc(network->count, sizeof(uint8_t));
    }
    if (kinematic == NULL || kinematic->storage == NULL || kinematic->volume_m3 == NULL ||
        kinematic->outflow_m3_s == NULL || kinematic->root == NULL ||
        kinematic->assumed_m3 == NULL || kinematic->mark == NULL) {
        kinematic_destroy(kinematic);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu reaches", network->count);
    }
    for (size_t p = 0; p < network->count; p++) {
        const struct kinematic_reach *r = &reaches[network->cell_of[p]];
        double alpha = pow(r->manning * pow(r->width_m, 2.0 / 3.0) / sqrt(r->slope), 0.6);
        kinematic->storage[p] = r->length_m * alpha;
    }
    *ret_kinematic = kinematic;
    return 0;
}

static void set_steady(struct kinematic *kinematic, size_t place, double flow_m3_s) {
    kinematic->outflow_m3_s[place] = flow_m3_s;
    kinematic->root[place] = pow(flow_m3_s, 0.2);
    kinematic->volume_m3[place] = kinematic->storage[place] * pow(flow_m3_s, 0.6);
}

void kinematic_set_flow(struct kinematic *kinematic, const double *outflow_m3_s) {
    for (size_t p = 0; p < kinematic->network->count; p++) {
        double flow_m3_s = outflow_m3_s[kinematic->network->cell_of[p]];
        set_steady(kinematic, p, flow_m3_s);
        kinematic->assumed_m3[p] = 0;
        kinematic->mark[p] = (uint8_t)(isnan(flow_m3_s) ? KINEMATIC_MISSING : KINEMATIC_OK);
        kinematic->degraded |= isnan(flow_m3_s) != 0;
    }
}

/* A bound for the root from the exponents alone: at most 2.3 times the root of the smaller term,
 * and the same bits on every machine. */
static double upper_bound(double dt_s, double storage, double water_m3) {
    int fifth = 0;
    int third = 0;
    (void)frexp(water_m3 / dt_s, &fifth);
    (void)frexp(water_m3 / storage, &third);
    /* x < 2^e, so x^(1/n) < 2^ceil(e/n) */
    fifth = fifth > 0 ? (fifth + 4) / 5 : -(-fifth / 5);
    third = third > 0 ? (third + 2) / 3 : -(-third / 3);
    return ldexp(1, fifth < third ? fifth : third);
}

/* The y >= 0 with dt y^5 + storage y^3 = water (> 0), from a guess. The polynomial is increasing
 * and convex: the first step from any guess lands above the root, the next ones come down to it. */
static inline double solve(double dt_s, double storage, double water_m3, double guess) {
    double stop = 1e-10 * water_m3;
    double y = guess > 0 ? guess : upper_bound(dt_s, storage, water_m3);
    for (int i = 0; i < NEWTON_MAX; i++) {
        double y2 = y * y;
        double f = y2 * y * (dt_s * y2 + storage) - water_m3;
        if (fabs(f) <= stop) {
            break;
        }
        double next = y - f / (y2 * (5 * dt_s * y2 + 3 * storage));
        /* A guess far below the root shoots far above it. */
        y = next > 2 * y ? fmin(next, upper_bound(dt_s, storage, water_m3)) : next;
    }
    return y;
}

/* Marks a place whose input is not all known, restarts it when it is known again. Returns false
 * when the place is finished with an unknown outflow. */
static bool settle_mark(struct kinematic *kinematic, size_t p, double inflow_m3_s) {
    const struct network *network = kinematic->network;
    uint8_t mark = KINEMATIC_OK;
    for (int32_t k = network->first[p]; k < network->first[p + 1]; k++) {
        mark |= kinematic->mark[network->upstream[k]] & KINEMATIC_RECOVERING;
    }
    if (isnan(inflow_m3_s)) {
        kinematic->outflow_m3_s[p] = NAN;
        kinematic->volume_m3[p] = NAN;
        kinematic->mark[p] = KINEMATIC_MISSING;
        return false;
    }
    if (isnan(kinematic->volume_m3[p])) {
        set_steady(kinematic, p, inflow_m3_s);
        kinematic->assumed_m3[p] = 3 * kinematic->volume_m3[p];
    }
    kinematic->mark[p] = kinematic->assumed_m3[p] > 0 ? KINEMATIC_RECOVERING : mark;
    return true;
}

void kinematic_begin(struct kinematic *kinematic, const struct kinematic_input *input) {
    bool unknown = false;
    bool marked = false;
    for (size_t p = 0; p < kinematic->network->count; p++) {
        unknown |= isnan(input->lateral_m3_s[p]) != 0;
        marked |= kinematic->mark[p] != KINEMATIC_OK;
        if (input->is_reservoir != NULL && input->is_reservoir[p]) {
            unknown |= isnan(input->release_m3_s[p]) != 0;
        }
    }
    kinematic->degraded = unknown || marked;
}

/* A reservoir passes on what is released. Its own volume may be unknown while the release is not.
 */
static void release(struct kinematic *kinematic, const struct kinematic_input *input, size_t p,
                    double inflow_m3_s) {
    double outflow_m3_s = input->release_m3_s[p];
    kinematic->volume_m3[p] += (inflow_m3_s - outflow_m3_s) * input->dt_s;
    kinematic->outflow_m3_s[p] = outflow_m3_s;
    kinematic->mark[p] = (uint8_t)(isnan(outflow_m3_s) ? KINEMATIC_MISSING : KINEMATIC_OK);
}

void kinematic_step_range(struct kinematic *kinematic, const struct kinematic_input *input,
                          size_t from, size_t to) {
    const int32_t *first = kinematic->network->first;
    const int32_t *upstream = kinematic->network->upstream;
    const double dt_s = input->dt_s;
    double *outflow = kinematic->outflow_m3_s;
    for (size_t p = from; p < to; p++) {
        double inflow = input->lateral_m3_s[p];
        for (int32_t k = first[p]; k < first[p + 1]; k++) {
            inflow += outflow[upstream[k]];
        }
        if (input->is_reservoir != NULL && input->is_reservoir[p]) {
            release(kinematic, input, p, inflow);
            continue;
        }
        if (kinematic->degraded && !settle_mark(kinematic, p, inflow)) {
            continue;
        }
        double water = kinematic->volume_m3[p] + inflow * dt_s;
        if (!(water > 0)) {
            outflow[p] = 0;
            kinematic->root[p] = 0;
            kinematic->assumed_m3[p] = 0;
            continue;
        }
        double y = solve(dt_s, kinematic->storage[p], water, kinematic->root[p]);
        double y2 = y * y;
        double flow = fmin(y2 * y2 * y, water / dt_s);
        outflow[p] = flow;
        kinematic->root[p] = y;
        kinematic->volume_m3[p] = fmax(0, water - flow * dt_s);
        if (kinematic->degraded && kinematic->assumed_m3[p] > 0) {
            kinematic->assumed_m3[p] -= flow * dt_s;
        }
    }
}

void kinematic_step(struct kinematic *kinematic, const struct kinematic_input *input) {
    kinematic_begin(kinematic, input);
    kinematic_step_range(kinematic, input, 0, kinematic->network->count);
}

void kinematic_to_places(const struct network *network, const double *by_cell,
                         double *ret_by_place) {
    for (size_t p = 0; p < network->count; p++) {
        ret_by_place[p] = by_cell[network->cell_of[p]];
    }
}

void kinematic_to_cells(const struct network *network, const double *by_place,
                        double *ret_by_cell) {
    for (size_t p = 0; p < network->count; p++) {
        ret_by_cell[network->cell_of[p]] = by_place[p];
    }
}

double kinematic_stored_m3(const struct kinematic *kinematic) {
    double sum = 0;
    for (size_t p = 0; p < kinematic->network->count; p++) {
        sum += kinematic->volume_m3[p];
    }
    return sum;
}

double kinematic_outlet_m3_s(const struct kinematic *kinematic) {
    double sum = 0;
    for (size_t p = 0; p < kinematic->network->count; p++) {
        sum += kinematic->network->downstream[p] == NETWORK_OUTLET ? kinematic->outflow_m3_s[p] : 0;
    }
    return sum;
}
