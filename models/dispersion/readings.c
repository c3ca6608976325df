#include "models/dispersion/readings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/dispersion/gas.h"
#include "models/table/table.h"

#define RECEPTOR_M    1.5
#define DETECTION_MAX 0.1  /* mg/m3 */
#define DETECTION_OF  0.05 /* of the largest reading */

struct raw {
    size_t count;
    double *x, *y, *z, *value; /* one allocation */
    int64_t *time;             /* zeros without times */
    bool timed;
};

static void raw_finish(struct raw *raw) {
    free(raw->x);
    free(raw->time);
}

/* The one concentration column and what makes mg/m3 of it. */
static int find_unit(const struct table *table, const struct readings_air *air, size_t *ret_column,
                     double *ret_factor, struct err *ret_err) {
    static const struct {
        const char *name;
        double factor;
        bool volume;
    } units[] = {{"conc_mg_m3", 1, false},
                 {"conc_ug_m3", 1e-3, false},
                 {"conc_ppm", 1, true},
                 {"conc_ppb", 1e-3, true}};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double factor = units[i].factor, per_ppm = 1;
        if (!table_has(table, units[i].name)) {
            continue;
        }
        if (found != NULL) {
            return err_set(ret_err, ERR_INVALID, "either %s or %s, not both", found, units[i].name);
        }
        if (units[i].volume && gas_mg_m3_per_ppm(air->molar_mass_g_mol, air->temperature_c,
                                                 air->pressure_hpa, &per_ppm) != 0) {
            return err_set(ret_err, ERR_INVALID,
                           "%s needs --substance or --molar-mass, --temperature-c and "
                           "--pressure-hpa",
                           units[i].name);
        }
        found = units[i].name;
        *ret_factor = factor * per_ppm;
    }
    return table_find(table, found != NULL ? found : units[0].name, ret_column, ret_err);
}

static int read_raw(const struct table *table, const struct readings_air *air, struct raw *raw,
                    struct err *ret_err) {
    const char *height = table_has(table, "z_m") ? "z_m" : "receptor_height_m";
    size_t n = table_rows(table), column = 0;
    double factor = 1;
    raw->count = n;
    raw->x = calloc(4 * n + 1, sizeof *raw->x);
    raw->time = calloc(n + 1, sizeof *raw->time);
    if (raw->x == NULL || raw->time == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for readings");
    }
    raw->y = raw->x + n;
    raw->z = raw->y + n;
    raw->value = raw->z + n;
    int rc = table_find(table, "x_east_m", &column, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, column, -1e7, 1e7, raw->x, ret_err);
    rc = rc != 0 ? rc : table_find(table, "y_north_m", &column, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, column, -1e7, 1e7, raw->y, ret_err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        raw->z[i] = RECEPTOR_M;
        if (isnan(raw->x[i]) || isnan(raw->y[i])) {
            rc = table_refuse(table, i, column, ERR_INVALID, ret_err, "a sensor needs a place");
        }
    }
    if (rc == 0 && table_has(table, height)) {
        rc = table_find(table, height, &column, ret_err);
        rc = rc != 0 ? rc : table_numbers(table, column, 0, 5000, raw->z, ret_err);
        for (size_t i = 0; rc == 0 && i < n; i++) {
            rc = isnan(raw->z[i]) ? table_refuse(table, i, column, ERR_INVALID, ret_err,
                                                 "a sensor needs a height")
                                  : 0;
        }
    }
    rc = rc != 0 ? rc : find_unit(table, air, &column, &factor, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, column, 0, 1e9, raw->value, ret_err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        raw->value[i] *= factor;
    }
    raw->timed = table_has(table, "time");
    if (rc == 0 && raw->timed) { /* not ascending: several sensors tell at once */
        rc = table_find(table, "time", &column, ret_err);
        for (size_t i = 0; rc == 0 && i < n; i++) {
            const char *text = table_text(table, i, column);
            if (table_time(text, &raw->time[i]) != 0) {
                rc = table_refuse(table, i, column, ERR_SYNTAX, ret_err, "'%s' is no time", text);
            }
        }
    }
    return rc;
}

static bool same_place(const struct raw *raw, size_t i, const struct trace_sensor *s) {
    return raw->x[i] == s->x_m && raw->y[i] == s->y_m && raw->z[i] == s->z_m;
}

/* One sensor a place: the mean of its rows since the plume was first seen anywhere. */
static int gather(const struct raw *raw, struct readings *r, struct err *ret_err) {
    int64_t begin_us = INT64_MAX;
    double *weight = calloc(raw->count + 1, sizeof *weight);
    if (weight == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for readings");
    }
    for (size_t i = 0; i < raw->count; i++) {
        bool seen = raw->value[i] > r->detection_mg_m3;
        begin_us = seen && raw->time[i] < begin_us ? raw->time[i] : begin_us;
    }
    for (size_t i = 0; i < raw->count; i++) {
        size_t k = 0;
        while (k < r->count && !(raw->timed && same_place(raw, i, &r->sensors[k]))) {
            k++;
        }
        if (k == r->count) {
            r->sensors[r->count++] =
                (struct trace_sensor){raw->x[i], raw->y[i], raw->z[i], (double)NAN};
        }
        struct trace_sensor *s = &r->sensors[k];
        if (raw->timed && begin_us != INT64_MAX && raw->time[i] < begin_us) {
            s->value = isnan(s->value) && !isnan(raw->value[i]) ? 0 : s->value;
            continue;
        }
        if (isnan(raw->value[i])) {
            continue;
        }
        weight[k]++;
        s->value =
            weight[k] > 1 ? s->value + (raw->value[i] - s->value) / weight[k] : raw->value[i];
        if (raw->timed && raw->value[i] > r->detection_mg_m3 &&
            (r->seen_us[k] == 0 || raw->time[i] < r->seen_us[k])) {
            r->seen_us[k] = raw->time[i];
        }
    }
    free(weight);
    return 0;
}

int readings_read(const char *path, const struct readings_air *air, double detection_mg_m3,
                  struct readings *ret_readings, struct err *ret_err) {
    struct table *table = NULL;
    struct raw raw = {0};
    struct readings r = {.detection_mg_m3 = detection_mg_m3};
    int rc = table_read(path, &table, ret_err);
    rc = rc != 0 ? rc : read_raw(table, air, &raw, ret_err);
    if (rc == 0) {
        double top = 0;
        for (size_t i = 0; i < raw.count; i++) {
            top = fmax(top, raw.value[i]);
        }
        r.timed = raw.timed;
        r.detection_mg_m3 = detection_mg_m3 > 0 ? detection_mg_m3
                            : top > 0           ? fmin(DETECTION_MAX, DETECTION_OF * top)
                                                : DETECTION_MAX;
        r.sensors = calloc(raw.count + 1, sizeof *r.sensors);
        r.seen_us = calloc(raw.count + 1, sizeof *r.seen_us);
        rc = r.sensors == NULL || r.seen_us == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for readings")
                 : gather(&raw, &r, ret_err);
    }
    raw_finish(&raw);
    table_destroy(table);
    if (rc != 0) {
        readings_finish(&r);
        return rc;
    }
    *ret_readings = r;
    return 0;
}

void readings_finish(struct readings *readings) {
    free(readings->sensors);
    free(readings->seen_us);
    *readings = (struct readings){0};
}
