/* Forward and inverse models over a folder in the form of the Prairie Grass data:
 *   prairie_grass DIR OUT_DIR
 * reads DIR/runs.csv, arcs.csv and inverse_sensors.csv and writes
 *   OUT_DIR/forward.csv  run,arc_m,max_mg_m3,cic_mg_m2: centre line maximum and crosswind integral
 * at receptor height, from u*, L and sigma_theta; runs without meteorology are left out
 *   OUT_DIR/routine.csv  the same from the class (Briggs curves, open country)
 *   OUT_DIR/inverse.csv  run,config,x_east_m,y_north_m,Q_g_s,inside90,area90_m2; empty fields where
 *                        fewer than three sensors see something */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "models/dispersion/region.h"
#include "models/dispersion/trace.h"
#include "models/table/table.h"

#define PI     3.14159265358979323846
#define Z0_M   0.006 /* the site's roughness */
#define WIND_M 2.0
/* Far from the plume the samplers tell some hundredths of mg/m3. */
#define DETECTION_MG_M3 0.1

enum { RUNS_MAX = 500, ARCS_MAX = 32, SENSORS_MAX = 500 };

struct pg_run {
    char name[TABLE_NAME_MAX];
    double receptor_m, release_m, rate_g_s;
    struct weather_row row;
    bool known;
};

struct pg {
    size_t count;
    struct pg_run runs[RUNS_MAX];
};

static int fail(const char *what, const struct err *err) {
    fprintf(stderr, "prairie_grass: %s: %s\n", what, err->text);
    return 1;
}

static int open_table(const char *folder, const char *name, struct table **ret_table,
                      struct err *err) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return table_read(path, ret_table, err);
}

/* A column by name; NULL after telling err. The caller frees. */
static double *column(const struct table *table, const char *name, struct err *err) {
    size_t c = 0;
    double *values = calloc(table_rows(table) + 1, sizeof *values);
    if (values == NULL || table_find(table, name, &c, err) != 0 ||
        table_numbers(table, c, -1e9, 1e9, values, err) != 0) {
        free(values);
        return NULL;
    }
    return values;
}

static int read_runs(const char *folder, struct pg *pg, struct err *err) {
    static const char *const names[] = {"Q_g_s",       "release_height_m", "receptor_height_m",
                                        "wind_2m_m_s", "wind_from_deg_2m", "sigma_azimuth_deg",
                                        "ustar_m_s",   "obukhov_L_m",      "mixing_height_m"};
    enum { COLUMNS = sizeof names / sizeof *names };
    double *v[COLUMNS] = {0};
    struct table *table = NULL;
    size_t run = 0;
    int rc = open_table(folder, "runs.csv", &table, err);
    rc = rc != 0 ? rc : table_find(table, "run", &run, err);
    for (size_t c = 0; rc == 0 && c < COLUMNS; c++) {
        v[c] = column(table, names[c], err);
        rc = v[c] == NULL ? ERR_INVALID : 0;
    }
    pg->count = rc == 0 ? table_rows(table) : 0;
    if (pg->count > RUNS_MAX) {
        rc = err_set(err, ERR_LIMIT, "more than %d runs", RUNS_MAX);
        pg->count = 0;
    }
    for (size_t i = 0; i < pg->count; i++) {
        struct pg_run *r = &pg->runs[i];
        (void)snprintf(r->name, sizeof r->name, "%s", table_text(table, i, run));
        r->rate_g_s = v[0][i];
        r->release_m = v[1][i];
        r->receptor_m = v[2][i];
        r->row = (struct weather_row){.wind_m_s = v[3][i],
                                      .wind_height_m = WIND_M,
                                      .wind_from_deg = v[4][i],
                                      .sigma_theta_rad = v[5][i] * PI / 180,
                                      .ustar_m_s = v[6][i],
                                      .obukhov_m = v[7][i],
                                      .lid_m = v[8][i],
                                      .z0_m = Z0_M,
                                      .rain_mm_h = (double)NAN,
                                      .stability = -1};
        r->known = !isnan(v[3][i]) && !isnan(v[4][i]) && !isnan(v[5][i]) && !isnan(v[6][i]) &&
                   !isnan(v[7][i]);
    }
    for (size_t c = 0; c < COLUMNS; c++) {
        free(v[c]);
    }
    table_destroy(table);
    return rc;
}

static const struct pg_run *find_run(const struct pg *pg, const char *name) {
    for (size_t i = 0; i < pg->count; i++) {
        if (strcmp(pg->runs[i].name, name) == 0) {
            return &pg->runs[i];
        }
    }
    return NULL;
}

/* Maximum in mg/m3 and crosswind integral in mg/m2 at a distance; NaN without meteorology. */
static void forward(const struct pg_run *r, double arc_m, enum weather_method method,
                    double *ret_max, double *ret_cic) {
    struct weather_air air;
    double sy = 0, sz = 0, wind = 0;
    *ret_max = *ret_cic = (double)NAN;
    if (!r->known || weather_air(&r->row, method, PLUME_RURAL, r->release_m, &air, NULL) != 0 ||
        weather_spread(&air, r->release_m, arc_m, &sy, &sz, &wind) != 0) {
        return;
    }
    *ret_max = 1e3 * plume_concentration(r->rate_g_s, wind, sy, sz, 0, r->receptor_m, r->release_m,
                                         air.lid_m);
    *ret_cic =
        1e3 * r->rate_g_s / wind * plume_vertical(r->receptor_m, r->release_m, sz, air.lid_m);
}

static int write_forward(const struct pg *pg, const char *folder, const char *out_folder,
                         const char *name, enum weather_method method, struct err *err) {
    struct table *table = NULL;
    struct table_out out;
    char path[4096];
    size_t run = 0;
    int rc = open_table(folder, "arcs.csv", &table, err);
    rc = rc != 0 ? rc : table_find(table, "run", &run, err);
    double *arc = rc == 0 ? column(table, "arc_m", err) : NULL;
    (void)snprintf(path, sizeof path, "%s/%s", out_folder, name);
    rc = rc != 0 ? rc : arc == NULL ? ERR_INVALID : table_out_open(&out, path, err);
    if (rc == 0) {
        static const char *const head[] = {"run", "arc_m", "max_mg_m3", "cic_mg_m2"};
        for (size_t i = 0; i < 4; i++) {
            table_out_text(&out, head[i]);
        }
        table_out_end_row(&out);
        for (size_t i = 0; i < table_rows(table); i++) {
            const struct pg_run *r = find_run(pg, table_text(table, i, run));
            bool repeated = false;
            for (size_t k = 0; k < i && !repeated; k++) {
                repeated = arc[k] == arc[i] &&
                           strcmp(table_text(table, k, run), table_text(table, i, run)) == 0;
            }
            if (repeated || r == NULL) {
                continue;
            }
            double max = 0, cic = 0;
            forward(r, arc[i], method, &max, &cic);
            if (isnan(max)) {
                continue;
            }
            table_out_text(&out, r->name);
            table_out_number(&out, arc[i]);
            table_out_number(&out, max);
            table_out_number(&out, cic);
            table_out_end_row(&out);
        }
        rc = table_out_close(&out, true, err);
    }
    free(arc);
    table_destroy(table);
    return rc;
}

struct found {
    bool known;
    double x_m, y_m, rate_g_s, area90_m2;
    bool inside90;
};

static int invert(const struct pg_run *r, const struct trace_sensor *sensors, size_t count,
                  struct found *ret_found, struct err *err) {
    struct trace_problem problem = {.sensors = sensors,
                                    .count = count,
                                    .source_height_m = r->release_m,
                                    .detection_limit = DETECTION_MG_M3,
                                    .floor = TRACE_FLOOR * DETECTION_MG_M3,
                                    .sigma_log = TRACE_SIGMA_LOG,
                                    .wind_sd_deg = TRACE_WIND_SD_DEG,
                                    .width_sd_log = TRACE_WIDTH_SD_LOG,
                                    .sources_max = 1,
                                    .seed = 1};
    struct trace_result result = {0};
    *ret_found = (struct found){0};
    int rc = weather_air(&r->row, WEATHER_SIMILARITY, PLUME_RURAL, r->release_m, &problem.air, err);
    rc = rc != 0 ? rc : trace_run(&problem, &result, err);
    if (rc == ERR_NOT_FOUND) {
        return 0;
    }
    double level = 0;
    rc = rc != 0 ? rc : region_level(&result.source[0].region, 0.9, &level);
    if (rc == 0) {
        *ret_found =
            (struct found){.known = true,
                           .x_m = result.source[0].x_m,
                           .y_m = result.source[0].y_m,
                           .rate_g_s = result.source[0].rate / 1e3,
                           .area90_m2 = region_area_m2(&result.source[0].region, level),
                           .inside90 = region_holds(&result.source[0].region, level, 0, 0)};
    }
    trace_finish(&result);
    return rc;
}

static void write_found(struct table_out *out, const char *run, const char *config,
                        const struct found *f) {
    table_out_text(out, run);
    table_out_text(out, config);
    table_out_number(out, f->known ? f->x_m : (double)NAN);
    table_out_number(out, f->known ? f->y_m : (double)NAN);
    table_out_number(out, f->known ? f->rate_g_s : (double)NAN);
    table_out_number(out, f->known ? (double)f->inside90 : (double)NAN);
    table_out_number(out, f->known ? f->area90_m2 : (double)NAN);
    table_out_end_row(out);
}

/* Sensors of one run and config stand together in the file. */
static int write_inverse(const struct pg *pg, const char *folder, const char *out_folder,
                         struct err *err) {
    static const char *const head[] = {"run",   "config",   "x_east_m", "y_north_m",
                                       "Q_g_s", "inside90", "area90_m2"};
    struct table *table = NULL;
    struct table_out out;
    char path[4096];
    size_t run = 0, config = 0;
    int rc = open_table(folder, "inverse_sensors.csv", &table, err);
    rc = rc != 0 ? rc : table_find(table, "run", &run, err);
    rc = rc != 0 ? rc : table_find(table, "config", &config, err);
    double *x = rc == 0 ? column(table, "x_east_m", err) : NULL;
    double *y = x != NULL ? column(table, "y_north_m", err) : NULL;
    double *c = y != NULL ? column(table, "conc_mg_m3", err) : NULL;
    (void)snprintf(path, sizeof path, "%s/inverse.csv", out_folder);
    rc = rc != 0 ? rc : c == NULL ? ERR_INVALID : table_out_open(&out, path, err);
    if (rc == 0) {
        for (size_t i = 0; i < sizeof head / sizeof *head; i++) {
            table_out_text(&out, head[i]);
        }
        table_out_end_row(&out);
        size_t rows = table_rows(table);
        for (size_t from = 0, to = 0; rc == 0 && from < rows; from = to) {
            struct trace_sensor sensors[SENSORS_MAX];
            const struct pg_run *r = find_run(pg, table_text(table, from, run));
            for (to = from;
                 to < rows && to - from < SENSORS_MAX &&
                 strcmp(table_text(table, from, run), table_text(table, to, run)) == 0 &&
                 strcmp(table_text(table, from, config), table_text(table, to, config)) == 0;
                 to++) {
                sensors[to - from] =
                    (struct trace_sensor){x[to], y[to], r != NULL ? r->receptor_m : 0, c[to]};
            }
            struct found found = {0};
            if (r != NULL && r->known) {
                rc = invert(r, sensors, to - from, &found, err);
            }
            write_found(&out, table_text(table, from, run), table_text(table, from, config),
                        &found);
        }
        int closed = table_out_close(&out, rc == 0, rc == 0 ? err : NULL);
        rc = rc != 0 ? rc : closed;
    }
    free(x);
    free(y);
    free(c);
    table_destroy(table);
    return rc;
}

int main(int argc, char **argv) {
    static struct pg pg;
    struct err err = {0};
    if (argc != 3) {
        fputs("usage: prairie_grass DIR OUT_DIR\n", stderr);
        return 2;
    }
    if (mkdir(argv[2], 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "prairie_grass: %s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    if (read_runs(argv[1], &pg, &err) != 0) {
        return fail("runs", &err);
    }
    if (write_forward(&pg, argv[1], argv[2], "forward.csv", WEATHER_SIMILARITY, &err) != 0 ||
        write_forward(&pg, argv[1], argv[2], "routine.csv", WEATHER_BRIGGS, &err) != 0) {
        return fail("forward", &err);
    }
    clock_t start = clock();
    if (write_inverse(&pg, argv[1], argv[2], &err) != 0) {
        return fail("inverse", &err);
    }
    printf("inverse: %.2f s of processor time\n", (double)(clock() - start) / CLOCKS_PER_SEC);
    return 0;
}
