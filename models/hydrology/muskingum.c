#include "models/hydrology/muskingum.h"

#include <math.h>
#include <stdlib.h>

static int check_inflow(const double *inflow_m3_s, size_t count, struct err *ret_err) {
    for (size_t i = 0; i < count; i++) {
        if (inflow_m3_s[i] < 0 || isinf(inflow_m3_s[i])) {
            return err_set(ret_err, ERR_RANGE, "inflow %g m3/s at step %zu", inflow_m3_s[i], i);
        }
    }
    return 0;
}

/* Counts the steps since the last gap; a series that begins is not a recovery. */
struct gap {
    bool seen;
    double steps_left;
};

static void mark(struct gap *gap, bool missing, double memory_steps, bool *ret_recovering,
                 size_t at) {
    if (missing) {
        gap->seen = true;
        gap->steps_left = memory_steps;
    } else if (gap->steps_left > 0) {
        gap->steps_left -= 1;
    }
    if (ret_recovering != NULL) {
        ret_recovering[at] = gap->seen && !missing && gap->steps_left > 0;
    }
}

int muskingum_linear(double k_h, double x, double dt_h, const double *inflow_m3_s, size_t count,
                     double *ret_outflow_m3_s, bool *ret_recovering, struct err *ret_err) {
    double high_h = 2 * k_h * (1 - x);
    if (!(k_h > 0 && x >= 0 && x <= 0.5 && dt_h > 0 && dt_h <= high_h)) {
        return err_set(ret_err, ERR_RANGE,
                       "K = %g h, X = %g, step %g h: expected X within 0 and 0.5 and a step of at "
                       "most 2 K (1 - X) = %g h",
                       k_h, x, dt_h, high_h);
    }
    int rc = check_inflow(inflow_m3_s, count, ret_err);
    if (rc != 0) {
        return rc;
    }
    double d = 2 * k_h * (1 - x) + dt_h;
    double c0 = (dt_h - 2 * k_h * x) / d;
    double c1 = (dt_h + 2 * k_h * x) / d;
    double c2 = (2 * k_h * (1 - x) - dt_h) / d;
    struct gap gap = {false, 0};
    for (size_t i = 0; i < count; i++) {
        bool missing = isnan(inflow_m3_s[i]);
        bool start = i == 0 || isnan(inflow_m3_s[i - 1]);
        double inflow = inflow_m3_s[i];
        ret_outflow_m3_s[i] =
            missing ? NAN
            : start ? inflow
                    : c0 * inflow + c1 * inflow_m3_s[i - 1] + c2 * ret_outflow_m3_s[i - 1];
        mark(&gap, missing, 3 * k_h / dt_h, ret_recovering, i);
    }
    return 0;
}

int muskingum_nonlinear(double k, double x, double m, double dt_h, const double *inflow_m3_s,
                        size_t count, double *ret_outflow_m3_s, bool *ret_recovering,
                        struct err *ret_err) {
    if (!(k > 0 && x >= 0 && x < 0.5 && m >= 0.5 && m <= 5 && dt_h > 0)) {
        return err_set(ret_err, ERR_RANGE,
                       "K = %g, X = %g, m = %g, step %g h: expected K > 0, X within 0 and 0.5, m "
                       "within 0.5 and 5",
                       k, x, m, dt_h);
    }
    int rc = check_inflow(inflow_m3_s, count, ret_err);
    double storage = 0;
    struct gap gap = {false, 0};
    for (size_t i = 0; rc == 0 && i < count; i++) {
        bool missing = isnan(inflow_m3_s[i]);
        double memory_steps = 0;
        if (missing) {
            ret_outflow_m3_s[i] = NAN;
            storage = NAN;
        } else if (i == 0 || isnan(inflow_m3_s[i - 1])) {
            ret_outflow_m3_s[i] = inflow_m3_s[i];
            storage = k * pow(inflow_m3_s[i], m);
        } else {
            double before = inflow_m3_s[i - 1];
            double leaving = (pow(storage / k, 1 / m) - x * before) / (1 - x);
            storage = fmax(0, storage + dt_h * (before - leaving));
            ret_outflow_m3_s[i] = fmax(0, (pow(storage / k, 1 / m) - x * before) / (1 - x));
        }
        /* The travel time dS/dO at the flow before the gap. */
        memory_steps = i > 0 && missing && !isnan(ret_outflow_m3_s[i - 1])
                           ? 3 * k * m * pow(ret_outflow_m3_s[i - 1], m - 1) / dt_h
                           : gap.steps_left;
        mark(&gap, missing, fmax(memory_steps, 3), ret_recovering, i);
    }
    return rc;
}

/* Corrected numbers of one piece at one flow, Todini 2007 equations 17 to 20. */
struct numbers {
    double courant;
    double reynolds;
};

static double celerity_m_s(const struct cunge_reach *reach, double flow_m3_s) {
    double root = sqrt(reach->slope) / reach->manning;
    double depth_m = pow(flow_m3_s / (reach->width_m * root), 0.6);
    return 5.0 / 3.0 * root * pow(depth_m, 2.0 / 3.0);
}

static struct numbers numbers_at(const struct cunge_reach *reach, double piece_m, double dt_s,
                                 double flow_m3_s) {
    const double beta = 5.0 / 3.0; /* celerity over velocity of a wide channel */
    double celerity = celerity_m_s(reach, flow_m3_s);
    struct numbers n;
    n.courant = celerity / beta * dt_s / piece_m;
    n.reynolds = flow_m3_s / (beta * reach->width_m * reach->slope * celerity * piece_m);
    return n;
}

/* Storage of a piece, m3, from the numbers at its flow. */
static double storage_m3(struct numbers n, double dt_s, double inflow, double outflow) {
    return dt_s * ((1 - n.reynolds) * inflow + (1 + n.reynolds) * outflow) / (2 * n.courant);
}

/* A flow that keeps the numbers finite in a dry channel: 1 ml/s. */
static double reference(double inflow, double outflow) {
    return fmax(0.5 * (inflow + outflow), 1e-6);
}

static double step_piece(const struct cunge_reach *reach, double piece_m, double dt_s,
                         double inflow, struct cunge_piece *piece) {
    double outflow = fmax(0, piece->outflow + inflow - piece->inflow);
    /* Two passes, as Todini: the numbers of the new time from a guess, then from the result. */
    for (int pass = 0; pass < 2; pass++) {
        struct numbers n = numbers_at(reach, piece_m, dt_s, reference(inflow, outflow));
        double rest = 0.5 * dt_s * (inflow + piece->inflow - piece->outflow) + piece->storage -
                      dt_s * (1 - n.reynolds) * inflow / (2 * n.courant);
        outflow = fmax(0, rest * 2 * n.courant / (dt_s * (1 + n.courant + n.reynolds)));
    }
    piece->storage += 0.5 * dt_s * (inflow + piece->inflow - outflow - piece->outflow);
    piece->inflow = inflow;
    piece->outflow = outflow;
    return outflow;
}

/* The longest pieces whose first weight (Courant + Reynolds - 1) is not negative. */
static int count_pieces(const struct cunge_reach *reach, double dt_s, double flow_m3_s) {
    struct numbers n = numbers_at(reach, reach->length_m, dt_s, fmax(flow_m3_s, 1e-6));
    double wanted = ceil(1 / (n.courant + n.reynolds));
    return wanted < 1 ? 1 : wanted > CUNGE_PIECES_MAX ? CUNGE_PIECES_MAX : (int)wanted;
}

int cunge_init(const struct cunge_reach *reach, double dt_s, double flow_m3_s,
               struct cunge *ret_cunge, struct err *ret_err) {
    if (!(reach->length_m > 0 && reach->width_m > 0 && reach->slope > 0 && reach->slope <= 1 &&
          reach->manning > 0 && reach->manning <= 1 && dt_s > 0)) {
        return err_set(ret_err, ERR_RANGE,
                       "length %g m, width %g m, slope %g, n %g must be above 0, slope and n at "
                       "most 1",
                       reach->length_m, reach->width_m, reach->slope, reach->manning);
    }
    int pieces = count_pieces(reach, dt_s, flow_m3_s);
    *ret_cunge = (struct cunge){*reach, dt_s, pieces, reach->length_m / pieces};
    return 0;
}

void cunge_start(const struct cunge *cunge, double flow_m3_s, struct cunge_piece *ret_pieces) {
    struct numbers n =
        numbers_at(&cunge->reach, cunge->piece_m, cunge->dt_s, reference(flow_m3_s, flow_m3_s));
    for (int k = 0; k < cunge->pieces; k++) {
        ret_pieces[k].inflow = ret_pieces[k].outflow = flow_m3_s;
        ret_pieces[k].storage = storage_m3(n, cunge->dt_s, flow_m3_s, flow_m3_s);
    }
}

double cunge_step(const struct cunge *cunge, double inflow_m3_s, struct cunge_piece *pieces) {
    double flow = inflow_m3_s;
    for (int k = 0; k < cunge->pieces; k++) {
        flow = step_piece(&cunge->reach, cunge->piece_m, cunge->dt_s, flow, &pieces[k]);
    }
    return flow;
}

double cunge_travel_s(const struct cunge *cunge, double flow_m3_s) {
    return cunge->reach.length_m / celerity_m_s(&cunge->reach, fmax(flow_m3_s, 1e-6));
}

static double stored(const struct cunge_piece *pieces, int count) {
    double sum = 0;
    for (int k = 0; k < count; k++) {
        sum += pieces[k].storage;
    }
    return sum;
}

int muskingum_cunge(const struct cunge_reach *reach, double dt_s, const double *inflow_m3_s,
                    size_t count, double *ret_outflow_m3_s, bool *ret_recovering,
                    double *ret_residual_m3, struct err *ret_err) {
    double sum = 0;
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        sum += isnan(inflow_m3_s[i]) ? 0 : inflow_m3_s[i];
        known += isnan(inflow_m3_s[i]) ? 0 : 1;
    }
    double mean = known > 0 ? sum / (double)known : 0;
    struct cunge cunge = {0};
    int rc = cunge_init(reach, dt_s, mean, &cunge, ret_err);
    rc = rc != 0 ? rc : check_inflow(inflow_m3_s, count, ret_err);
    struct cunge_piece *pieces = rc == 0 ? calloc((size_t)cunge.pieces, sizeof *pieces) : NULL;
    if (rc == 0 && pieces == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for %d pieces", cunge.pieces);
    }
    struct gap gap = {false, 0};
    double residual = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        bool missing = isnan(inflow_m3_s[i]);
        if (missing) {
            ret_outflow_m3_s[i] = NAN;
        } else if (i == 0 || isnan(inflow_m3_s[i - 1])) {
            cunge_start(&cunge, inflow_m3_s[i], pieces);
            ret_outflow_m3_s[i] = inflow_m3_s[i];
        } else {
            double before = stored(pieces, cunge.pieces);
            double flow = cunge_step(&cunge, inflow_m3_s[i], pieces);
            ret_outflow_m3_s[i] = flow;
            residual += 0.5 * dt_s *
                            (inflow_m3_s[i] + inflow_m3_s[i - 1] - flow - ret_outflow_m3_s[i - 1]) -
                        (stored(pieces, cunge.pieces) - before);
        }
        mark(&gap, missing, 3 * cunge_travel_s(&cunge, mean) / dt_s, ret_recovering, i);
    }
    free(pieces);
    if (rc == 0 && ret_residual_m3 != NULL) {
        *ret_residual_m3 = residual;
    }
    return rc;
}
