#include "models/hydrology/rating.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "models/output/output.h"

/* Standard normal quantiles of 75 and 95 %. */
#define NORMAL_75 0.6744897501960817
#define NORMAL_95 1.6448536269514722

struct gaugings {
    const double *stage_m;
    const double *log_flow;
    size_t count;
    size_t without; /* one that is left out, SIZE_MAX for none */
    double lowest_m;
    double highest_m;
};

static int terms(const struct rating *r) {
    return r->segments + 1;
}

static void basis(const struct rating *r, double stage_m, double ret_basis[3]) {
    double x = log(stage_m - r->c_m);
    ret_basis[0] = 1;
    ret_basis[1] = x;
    ret_basis[2] = r->segments > 1 ? fmax(0, x - log(r->break_m - r->c_m)) : 0;
}

/* Inverts the leading n x n part by Gauss-Jordan; false when singular. */
static bool invert(double m[3][3], int n, double ret_inverse[3][3]) {
    double a[3][6] = {{0}};
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < n; k++) {
            a[i][k] = m[i][k];
        }
        a[i][n + i] = 1;
    }
    for (int i = 0; i < n; i++) {
        int best = i;
        for (int k = i + 1; k < n; k++) {
            best = fabs(a[k][i]) > fabs(a[best][i]) ? k : best;
        }
        for (int k = 0; k < 2 * n; k++) {
            double swap = a[i][k];
            a[i][k] = a[best][k];
            a[best][k] = swap;
        }
        if (!(fabs(a[i][i]) > 1e-12)) {
            return false;
        }
        for (int k = 0; k < n; k++) {
            double factor = k == i ? 0 : a[k][i] / a[i][i];
            for (int j = 0; j < 2 * n; j++) {
                a[k][j] -= factor * a[i][j];
            }
        }
        for (int j = 2 * n - 1; j >= 0; j--) {
            a[i][j] /= a[i][i];
        }
    }
    memset(ret_inverse, 0, 9 * sizeof(double));
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < n; k++) {
            ret_inverse[i][k] = a[i][n + k];
        }
    }
    return true;
}

static double residual(const struct rating *r, double stage_m, double log_flow) {
    double b[3];
    basis(r, stage_m, b);
    return log_flow -
           (r->coefficient[0] * b[0] + r->coefficient[1] * b[1] + r->coefficient[2] * b[2]);
}

/* Least squares with c and the break given; the sum of squares, INFINITY when it cannot be. */
static double solve(struct rating *r, const struct gaugings *g) {
    double normal[3][3] = {{0}}, right[3] = {0};
    int n = terms(r);
    for (size_t i = 0; i < g->count; i++) {
        double b[3];
        if (i == g->without) {
            continue;
        }
        basis(r, g->stage_m[i], b);
        for (int k = 0; k < n; k++) {
            right[k] += b[k] * g->log_flow[i];
            for (int j = 0; j < n; j++) {
                normal[k][j] += b[k] * b[j];
            }
        }
    }
    if (!invert(normal, n, r->inverse)) {
        return INFINITY;
    }
    double sum = 0;
    for (int k = 0; k < 3; k++) {
        r->coefficient[k] = 0;
        for (int j = 0; k < n && j < n; j++) {
            r->coefficient[k] += r->inverse[k][j] * right[j];
        }
    }
    for (size_t i = 0; i < g->count; i++) {
        double e = i == g->without ? 0 : residual(r, g->stage_m[i], g->log_flow[i]);
        sum += e * e;
    }
    return sum;
}

static double try_c(struct rating *r, const struct gaugings *g, double log_depth) {
    r->c_m = g->lowest_m - exp(log_depth);
    return solve(r, g);
}

/* The best c for a break: over ln(lowest - c), a grid, then (`refine`) golden section round its
 * minimum. */
static double best_c(struct rating *r, const struct gaugings *g, bool refine) {
    enum { GRID = 50, SECTIONS = 45 };
    const double golden = 0.6180339887498949;
    double span_m = g->highest_m - g->lowest_m;
    double low = log(1e-4 * span_m), high = log(10 * span_m);
    double step = (high - low) / GRID;
    double best = INFINITY;
    int at = 0;
    for (int i = 0; i <= GRID; i++) {
        double sum = try_c(r, g, low + step * i);
        if (sum < best) {
            best = sum;
            at = i;
        }
    }
    if (!refine) {
        return try_c(r, g, low + step * at);
    }
    double from = low + step * (at - 1), to = low + step * (at + 1);
    double left = to - golden * (to - from), right = from + golden * (to - from);
    double sum_left = try_c(r, g, left), sum_right = try_c(r, g, right);
    for (int i = 0; i < SECTIONS; i++) {
        if (sum_left < sum_right) {
            to = right;
            right = left;
            sum_right = sum_left;
            left = to - golden * (to - from);
            sum_left = try_c(r, g, left);
        } else {
            from = left;
            left = right;
            sum_left = sum_right;
            right = from + golden * (to - from);
            sum_right = try_c(r, g, right);
        }
    }
    return try_c(r, g, 0.5 * (from + to));
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* Break and c. With two segments at most BREAKS stages, evenly spread over the gaugings with 4 on
 * either side, are tried as the break. */
static double best_fit(struct rating *r, const struct gaugings *g) {
    enum { BREAKS = 24, SIDE = 4 };
    double sorted[RATING_GAUGINGS_MAX], least = INFINITY;
    r->break_m = NAN;
    if (r->segments == 1) {
        return best_c(r, g, true);
    }
    memcpy(sorted, g->stage_m, g->count * sizeof *sorted);
    qsort(sorted, g->count, sizeof *sorted, compare);
    size_t room = g->count - 2 * SIDE;
    size_t tries = room < BREAKS ? room : BREAKS;
    struct rating best = *r;
    for (size_t i = 0; i < tries; i++) {
        r->break_m = sorted[SIDE + i * (room - 1) / (tries > 1 ? tries - 1 : 1)];
        double sum = best_c(r, g, false);
        if (sum < least) {
            least = sum;
            best = *r;
        }
    }
    *r = best;
    return isinf(least) ? least : best_c(r, g, true);
}

static void set_range(struct gaugings *g) {
    g->lowest_m = INFINITY;
    g->highest_m = -INFINITY;
    for (size_t i = 0; i < g->count; i++) {
        if (i != g->without) {
            g->lowest_m = fmin(g->lowest_m, g->stage_m[i]);
            g->highest_m = fmax(g->highest_m, g->stage_m[i]);
        }
    }
}

/* The break stays where all gaugings put it. */
static void leave_one_out(struct rating *r, struct gaugings *g) {
    double sum = 0;
    int predicted = 0;
    r->loo_refused = 0;
    for (size_t i = 0; i < g->count; i++) {
        struct rating other = *r;
        g->without = i;
        set_range(g);
        if (isinf(best_c(&other, g, true)) || g->stage_m[i] <= other.c_m) {
            r->loo_refused++;
            continue;
        }
        double e = residual(&other, g->stage_m[i], g->log_flow[i]);
        sum += e * e;
        predicted++;
    }
    r->loo_rms_log = predicted > 0 ? sqrt(sum / predicted) : NAN;
    g->without = SIZE_MAX;
    set_range(g);
}

static int check(const double *stage_m, const double *flow_m3_s, size_t count, int segments,
                 struct err *ret_err) {
    size_t least = segments == 2 ? RATING_GAUGINGS_MIN + 4 : RATING_GAUGINGS_MIN;
    if (segments < 1 || segments > RATING_SEGMENTS_MAX || count < least ||
        count > RATING_GAUGINGS_MAX) {
        return err_set(ret_err, ERR_INVALID, "%zu gaugings for %d segments; %zu to %d are needed",
                       count, segments, least, RATING_GAUGINGS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(stage_m[i]) || !(flow_m3_s[i] > 0) || isinf(flow_m3_s[i])) {
            return err_set(ret_err, ERR_INVALID,
                           "gauging %zu: stage %g m, discharge %g m3/s; both are needed, the "
                           "discharge above 0",
                           i + 1, stage_m[i], flow_m3_s[i]);
        }
    }
    return 0;
}

int rating_fit(const double *stage_m, const double *flow_m3_s, size_t count, int segments,
               struct rating *ret_rating, struct err *ret_err) {
    int rc = check(stage_m, flow_m3_s, count, segments, ret_err);
    if (rc != 0) {
        return rc;
    }
    double *log_flow = malloc(count * sizeof *log_flow);
    if (log_flow == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu gaugings", count);
    }
    for (size_t i = 0; i < count; i++) {
        log_flow[i] = log(flow_m3_s[i]);
    }
    struct gaugings g = {stage_m, log_flow, count, SIZE_MAX, 0, 0};
    struct rating r = {.segments = segments, .count = (int)count};
    set_range(&g);
    double sum = g.highest_m > g.lowest_m ? best_fit(&r, &g) : INFINITY;
    if (isinf(sum) || !(r.coefficient[1] > 0 && r.coefficient[1] + r.coefficient[2] > 0)) {
        rc = err_set(ret_err, ERR_INVALID,
                     "no curve that rises with the stage fits these %zu gaugings", count);
    } else {
        /* c and the break are fitted as well */
        double freedom = (double)count - terms(&r) - segments;
        r.rms_log = sqrt(sum / (double)count);
        r.sigma_log = sqrt(sum / freedom);
        r.lowest_m = g.lowest_m;
        r.highest_m = g.highest_m;
        leave_one_out(&r, &g);
        *ret_rating = r;
    }
    free(log_flow);
    return rc;
}

void rating_power(const struct rating *rating, int segment, double *ret_a, double *ret_b) {
    double a = rating->coefficient[0], b = rating->coefficient[1];
    if (segment > 0) {
        a -= rating->coefficient[2] * log(rating->break_m - rating->c_m);
        b += rating->coefficient[2];
    }
    *ret_a = exp(a);
    *ret_b = b;
}

struct rated rating_flow(const struct rating *rating, double stage_m) {
    struct rated rated = {NAN, NAN, NAN, NAN, NAN, RATING_MISSING};
    if (isnan(stage_m)) {
        return rated;
    }
    if (stage_m < rating->lowest_m) {
        rated.mark = RATING_BELOW;
        return rated;
    }
    double b[3], leverage = 0;
    basis(rating, stage_m, b);
    double log_flow = 0;
    for (int i = 0; i < 3; i++) {
        log_flow += rating->coefficient[i] * b[i];
        for (int k = 0; k < 3; k++) {
            leverage += b[i] * rating->inverse[i][k] * b[k];
        }
    }
    double spread = rating->sigma_log * sqrt(1 + leverage);
    rated.flow_m3_s = exp(log_flow);
    rated.q05 = exp(log_flow - NORMAL_95 * spread);
    rated.q25 = exp(log_flow - NORMAL_75 * spread);
    rated.q75 = exp(log_flow + NORMAL_75 * spread);
    rated.q95 = exp(log_flow + NORMAL_95 * spread);
    rated.mark = stage_m > rating->highest_m ? RATING_EXTRAPOLATED : RATING_OK;
    return rated;
}

double rating_stage(const struct rating *rating, double flow_m3_s, enum rating_mark *ret_mark) {
    *ret_mark = RATING_MISSING;
    if (isnan(flow_m3_s)) {
        return NAN;
    }
    /* The rounding of exp and log must not turn the lowest gauging itself away. */
    double lowest = rating_flow(rating, rating->lowest_m).flow_m3_s;
    if (flow_m3_s < lowest * (1 - 1e-12)) {
        *ret_mark = RATING_BELOW;
        return NAN;
    }
    double a = 0, b = 0;
    rating_power(rating, 0, &a, &b);
    double stage_m = rating->c_m + pow(flow_m3_s / a, 1 / b);
    if (rating->segments > 1 && stage_m > rating->break_m) {
        rating_power(rating, 1, &a, &b);
        stage_m = rating->c_m + pow(flow_m3_s / a, 1 / b);
    }
    *ret_mark = stage_m > rating->highest_m ? RATING_EXTRAPOLATED : RATING_OK;
    return fmax(stage_m, rating->lowest_m);
}

int rating_save(const char *path, const struct rating *rating, struct err *ret_err) {
    const struct rating *r = rating;
    json_t *power = json_array();
    for (int s = 0; s < r->segments; s++) {
        double a = 0, b = 0;
        rating_power(r, s, &a, &b);
        (void)json_array_append_new(power, json_pack("{s:f, s:f}", "a", a, "b", b));
    }
    json_t *inverse = json_array();
    for (int i = 0; i < 9; i++) {
        (void)json_array_append_new(inverse, json_real(r->inverse[i / 3][i % 3]));
    }
    json_t *loo = isnan(r->loo_rms_log) ? json_null() : json_real(r->loo_rms_log);
    json_t *at = r->segments > 1 ? json_real(r->break_m) : json_null();
    json_t *root = json_pack(
        "{s:s, s:i, s:i, s:f, s:o, s:o, s:[f,f,f], s:o, s:f, s:f, s:o, s:i, s:i, s:f, s:f}", "kind",
        "rating", "version", 1, "segments", r->segments, "c_m", r->c_m, "break_m", at, "power_laws",
        power, "log_coefficients", r->coefficient[0], r->coefficient[1], r->coefficient[2],
        "inverse_normal_matrix", inverse, "sigma_log", r->sigma_log, "rms_log", r->rms_log,
        "leave_one_out_rms_log", loo, "leave_one_out_refused", r->loo_refused, "gaugings", r->count,
        "lowest_m", r->lowest_m, "highest_m", r->highest_m);
    int rc = output_write_json(path, root, ret_err);
    json_decref(root);
    return rc;
}

static bool is_possible(const struct rating *r) {
    bool finite = isfinite(r->c_m) && isfinite(r->sigma_log) && isfinite(r->lowest_m) &&
                  isfinite(r->highest_m);
    for (int i = 0; i < 3; i++) {
        finite = finite && isfinite(r->coefficient[i]);
        for (int k = 0; k < 3; k++) {
            finite = finite && isfinite(r->inverse[i][k]);
        }
    }
    return finite && (r->segments == 1 || (r->segments == 2 && r->break_m > r->lowest_m)) &&
           r->c_m < r->lowest_m && r->lowest_m < r->highest_m && r->sigma_log >= 0 &&
           r->coefficient[1] > 0 && r->coefficient[1] + r->coefficient[2] > 0;
}

int rating_unpack(const char *name, json_t *root, struct rating *ret_rating, struct err *ret_err) {
    struct rating r = {.break_m = NAN, .loo_rms_log = NAN};
    const char *kind = "";
    json_t *inverse = NULL, *at = NULL, *loo = NULL;
    int version = 0;
    json_error_t why = {.text = "a number is out of its range"};
    int bad = json_unpack_ex(
        root, &why, 0,
        "{s:s, s:i, s:i, s:F, s:o, s:[F,F,F], s:o, s:F, s:F, s:o, s:i, "
        "s:i, s:F, s:F}",
        "kind", &kind, "version", &version, "segments", &r.segments, "c_m", &r.c_m, "break_m", &at,
        "log_coefficients", &r.coefficient[0], &r.coefficient[1], &r.coefficient[2],
        "inverse_normal_matrix", &inverse, "sigma_log", &r.sigma_log, "rms_log", &r.rms_log,
        "leave_one_out_rms_log", &loo, "leave_one_out_refused", &r.loo_refused, "gaugings",
        &r.count, "lowest_m", &r.lowest_m, "highest_m", &r.highest_m);
    bad = bad != 0 || strcmp(kind, "rating") != 0 || version != 1 || json_array_size(inverse) != 9;
    for (size_t i = 0; !bad && i < 9; i++) {
        r.inverse[i / 3][i % 3] = json_number_value(json_array_get(inverse, i));
    }
    if (!bad) {
        r.break_m = json_is_number(at) ? json_number_value(at) : NAN;
        r.loo_rms_log = json_is_number(loo) ? json_number_value(loo) : NAN;
    }
    if (bad || !is_possible(&r)) {
        return err_set(ret_err, ERR_CORRUPT,
                       "%.300s: not a rating as rating --fit writes it: %.150s", name, why.text);
    }
    *ret_rating = r;
    return 0;
}

int rating_load(const char *path, struct rating *ret_rating, struct err *ret_err) {
    json_t *root = NULL;
    int rc = output_read_json(path, &root, ret_err);
    if (rc != 0) {
        return rc;
    }
    rc = rating_unpack(path, root, ret_rating, ret_err);
    json_decref(root);
    return rc;
}
