#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/dispersion/trace_field.h"

enum { GRID_CELLS_MAX = 6000, SIMPLEX_STEPS = 1500, AGAIN = 3 };

/* Keeps the FIELD_STARTS best, far enough from one another. */
static void keep(struct candidate *best, const struct candidate *new_one, size_t at,
                 double apart_m) {
    for (size_t i = 0; i < FIELD_STARTS; i++) {
        bool near = hypot(best[i].u[at + TRACE_X] - new_one->u[at + TRACE_X],
                          best[i].u[at + TRACE_Y] - new_one->u[at + TRACE_Y]) < apart_m;
        if (new_one->value > best[i].value) {
            size_t from = i;
            while (!near && from + 1 < FIELD_STARTS) {
                from++;
            }
            for (size_t k = from; k > i; k--) {
                best[k] = best[k - 1];
            }
            best[i] = *new_one;
            return;
        }
        if (near && best[i].value > -HUGE_VAL) {
            return;
        }
    }
}

static void search_grid(const struct field *field, const double *u, struct candidate *best) {
    size_t source = field->sources - 1, at = field_at(source);
    double length = field->far_m - field->near_m, width = 2 * field->half_m;
    double step = fmax(25, sqrt(length * width / GRID_CELLS_MAX));
    for (size_t i = 0; i < FIELD_STARTS; i++) {
        best[i] = (struct candidate){.value = -HUGE_VAL};
        best[i].u[at] = field->near_m - 1e9;
    }
    for (double a = field->near_m + step / 2; a < field->far_m; a += step) {
        for (double c = -field->half_m + step / 2; c < field->half_m; c += step) {
            for (int turn = source == 0 ? -1 : 0; turn <= (source == 0 ? 1 : 0); turn++) {
                struct candidate now = {.u = {[TRACE_WIND] = turn * field->problem->wind_sd_deg,
                                              [TRACE_GROWTH] = field->growth,
                                              [TRACE_LOSS] = field->loss}};
                if (source > 0) { /* all but the new source stays */
                    memcpy(now.u, u, sizeof now.u);
                }
                now.u[at + TRACE_X] = a;
                now.u[at + TRACE_Y] = c;
                if (field_best_rate(field, source, now.u)) {
                    now.value = field_ln_posterior(field, now.u);
                    keep(best, &now, at, 2 * step);
                }
            }
        }
    }
}

static int compare_candidates(const void *a, const void *b) {
    double x = ((const struct candidate *)a)->value, y = ((const struct candidate *)b)->value;
    return (x < y) - (x > y);
}

/* Nelder and Mead (1965), in place. */
static void climb(const struct field *field, struct candidate *start) {
    static const double steps[TRACE_UNKNOWNS_MAX] = {30, 15, 0.3, 1, 0.1, 0.05, 0.05, 30, 15, 0.3};
    size_t n = field->unknowns;
    struct candidate s[TRACE_UNKNOWNS_MAX + 1];
    for (size_t i = 0; i <= n; i++) {
        s[i] = *start;
        if (i > 0) {
            s[i].u[i - 1] += steps[i - 1];
        }
        s[i].value = field_ln_posterior(field, s[i].u);
    }
    for (int step = 0; step < SIMPLEX_STEPS; step++) {
        qsort(s, n + 1, sizeof *s, compare_candidates);
        if (s[0].value - s[n].value < 1e-9) {
            break;
        }
        static const double moves[] = {1, 2, 0.5, -0.5};
        double middle[TRACE_UNKNOWNS_MAX] = {0};
        struct candidate tried[4] = {{0}};
        struct candidate *worst = &s[n], *taken = NULL;
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0; k < n; k++) {
                middle[k] += s[i].u[k] / (double)n;
            }
        }
        for (size_t m = 0; m < 4; m++) {
            for (size_t k = 0; k < n; k++) {
                tried[m].u[k] = middle[k] + moves[m] * (middle[k] - worst->u[k]);
            }
            tried[m].value = field_ln_posterior(field, tried[m].u);
            if (m == 0 && tried[0].value <= s[0].value && tried[0].value > s[n - 1].value) {
                taken = &tried[0];
                break;
            }
            if (m == 1 && tried[0].value > s[0].value) {
                taken = tried[1].value > tried[0].value ? &tried[1] : &tried[0];
                break;
            }
            if (m >= 2 && tried[m].value > worst->value) {
                taken = &tried[m];
                break;
            }
        }
        if (taken != NULL) {
            *worst = *taken;
            continue;
        }
        for (size_t i = 1; i <= n; i++) {
            for (size_t k = 0; k < n; k++) {
                s[i].u[k] = (s[i].u[k] + s[0].u[k]) / 2;
            }
            s[i].value = field_ln_posterior(field, s[i].u);
        }
    }
    qsort(s, n + 1, sizeof *s, compare_candidates);
    *start = s[0];
}

void field_search(const struct field *field, const double *u, struct candidate *ret_best) {
    search_grid(field, u, ret_best);
    for (size_t i = 0; i < FIELD_STARTS; i++) {
        if (ret_best[i].value > -HUGE_VAL) {
            climb(field, &ret_best[i]);
        }
    }
    qsort(ret_best, FIELD_STARTS, sizeof *ret_best, compare_candidates);
    for (size_t i = 0; i < AGAIN && ret_best[i].value > -HUGE_VAL; i++) {
        climb(field, &ret_best[i]); /* a simplex may have collapsed before the top */
    }
    qsort(ret_best, FIELD_STARTS, sizeof *ret_best, compare_candidates);
}
