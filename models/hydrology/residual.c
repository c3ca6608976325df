#include "models/hydrology/residual.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include <jansson.h>

#include "models/output/output.h"

struct pair {
    double forecast;
    double log_ratio;
};

static int by_forecast(const void *a, const void *b) {
    double x = ((const struct pair *)a)->forecast, y = ((const struct pair *)b)->forecast;
    return x < y ? 1 : x > y ? -1 : 0; /* the highest first */
}

static int by_ratio(const void *a, const void *b) {
    double x = ((const struct pair *)a)->log_ratio, y = ((const struct pair *)b)->log_ratio;
    return x < y ? -1 : x > y ? 1 : 0;
}

static int quantiles(struct pair *pairs, size_t count, int lead, double *ret_log_ratio,
                     struct err *ret_err) {
    size_t used = (size_t)ceil(RESIDUAL_SHARE * (double)count);
    used = used < RESIDUAL_PAIRS_MIN ? RESIDUAL_PAIRS_MIN : used;
    if (count < used) {
        return err_set(ret_err, ERR_INVALID,
                       "%zu forecasts and observations above 0 at lead %d; %d are needed", count,
                       lead, RESIDUAL_PAIRS_MIN);
    }
    qsort(pairs, count, sizeof *pairs, by_forecast);
    qsort(pairs, used, sizeof *pairs, by_ratio);
    for (int i = 0; i < RESIDUAL_QUANTILES; i++) {
        double at = (i + 0.5) / RESIDUAL_QUANTILES * (double)(used - 1);
        size_t below = (size_t)at;
        double part = at - (double)below;
        ret_log_ratio[i] = (1 - part) * pairs[below].log_ratio + part * pairs[below + 1].log_ratio;
    }
    return 0;
}

/* The pairs of one lead. Lead 0 is the open loop; `first_order` keeps the AR(2) from seeing the
 * error before the newest. */
static size_t collect(const struct update_model *model, const double *observed,
                      const double *simulated, size_t count, int lead, bool first_order,
                      struct pair *ret_pairs) {
    size_t used = 0;
    for (size_t t = 1; t + (size_t)lead < count; t++) {
        size_t then = t + (size_t)lead;
        const double newest[2] = {first_order ? (double)NAN : observed[t - 1], observed[t]};
        enum update_mark mark = UPDATE_DROPPED;
        double forecast = lead == 0 ? simulated[t]
                                    : update_forecast(model, newest, simulated + t - 1, 1, lead,
                                                      simulated[then], &mark, NULL);
        bool wanted = lead == 0 || mark == (first_order ? UPDATE_AR1 : UPDATE_OK);
        if (wanted && forecast > 0 && observed[then] > 0) {
            ret_pairs[used++] = (struct pair){forecast, log(observed[then] / forecast)};
        }
    }
    return used;
}

int residual_fit(const struct update_model *model, const double *observed, const double *simulated,
                 size_t count, struct residual *ret_residual, struct err *ret_err) {
    struct pair *pairs = malloc((count + 1) * sizeof *pairs);
    struct residual *residual = calloc(1, sizeof *residual);
    int rc = pairs == NULL || residual == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu steps", count)
                 : 0;
    for (int lead = 0; rc == 0 && lead <= model->leads; lead++) {
        size_t used = collect(model, observed, simulated, count, lead, false, pairs);
        rc = quantiles(pairs, used, lead, residual->log_ratio[lead], ret_err);
        if (rc == 0) {
            used = collect(model, observed, simulated, count, lead, true, pairs);
            rc = quantiles(pairs, used, lead, residual->log_ratio_1[lead], ret_err);
        }
    }
    if (rc == 0) {
        residual->leads = model->leads;
        *ret_residual = *residual;
    }
    free(pairs);
    free(residual);
    return rc;
}

static json_t *pack_table(const double table[][RESIDUAL_QUANTILES], int leads) {
    json_t *rows = json_array();
    for (int lead = 0; rows != NULL && lead <= leads; lead++) {
        json_t *row = json_array();
        for (int i = 0; i < RESIDUAL_QUANTILES; i++) {
            (void)json_array_append_new(row, json_real(table[lead][i]));
        }
        if (json_array_size(row) != RESIDUAL_QUANTILES || json_array_append(rows, row) != 0) {
            json_decref(rows);
            rows = NULL;
        }
        json_decref(row);
    }
    return rows;
}

json_t *residual_pack(const struct residual *residual) {
    return json_pack("{s:o, s:o}", "log_ratio", pack_table(residual->log_ratio, residual->leads),
                     "log_ratio_1", pack_table(residual->log_ratio_1, residual->leads));
}

static bool unpack_table(const json_t *rows, double ret_table[][RESIDUAL_QUANTILES],
                         int *ret_leads) {
    size_t count = json_array_size(rows);
    if (count < 2 || count > UPDATE_LEADS_MAX + 1) {
        return false;
    }
    for (size_t lead = 0; lead < count; lead++) {
        const json_t *row = json_array_get(rows, lead);
        if (json_array_size(row) != RESIDUAL_QUANTILES) {
            return false;
        }
        for (size_t i = 0; i < RESIDUAL_QUANTILES; i++) {
            const json_t *value = json_array_get(row, i);
            double number = json_number_value(value);
            /* e^20: nothing real; and quantiles never fall */
            if (!json_is_number(value) || !(fabs(number) < 20) ||
                (i > 0 && number < ret_table[lead][i - 1])) {
                return false;
            }
            ret_table[lead][i] = number;
        }
    }
    *ret_leads = (int)count - 1;
    return true;
}

int residual_unpack(const json_t *json, struct residual *ret_residual) {
    struct residual *residual = calloc(1, sizeof *residual);
    int leads_1 = 0;
    if (residual == NULL) {
        return ERR_MEMORY;
    }
    bool good =
        unpack_table(json_object_get(json, "log_ratio"), residual->log_ratio, &residual->leads) &&
        unpack_table(json_object_get(json, "log_ratio_1"), residual->log_ratio_1, &leads_1) &&
        leads_1 == residual->leads;
    if (good) {
        *ret_residual = *residual;
    }
    free(residual);
    return good ? 0 : ERR_CORRUPT;
}

const double *residual_of(const struct residual *residual, enum update_mark mark, int lead,
                          int age) {
    int from_then = lead + age;
    if ((mark != UPDATE_OK && mark != UPDATE_AR1) || from_then < 1 || from_then > residual->leads) {
        return residual->log_ratio[0];
    }
    return mark == UPDATE_OK ? residual->log_ratio[from_then] : residual->log_ratio_1[from_then];
}

int residual_load(const char *path, struct residual *ret_residual, struct err *ret_err) {
    json_t *root = NULL;
    int rc = output_read_json(path, &root, ret_err);
    if (rc != 0) {
        return rc;
    }
    rc = residual_unpack(json_object_get(root, "residual"), ret_residual);
    json_decref(root);
    return rc == 0 ? 0
                   : err_set(ret_err, rc,
                             "%.300s: no residuals for bands in it; fit it again with update --fit",
                             path);
}
