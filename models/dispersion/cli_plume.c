/* canhbao-model plume */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/dispersion/dispersion.h"
#include "models/dispersion/release.h"
#include "models/table/args.h"
#include "models/table/table.h"

#define HOLD_S         3600.0
#define RECEPTOR_M     1.5
#define BREATHING_M3_S 2.57e-4 /* adult, mean of a day */
#define HOUR_S         3600.0
#define MG_G           1e3

static const char about[] =
    "Concentration, deposition and doses downwind of a release: Gaussian plume (continuous) or "
    "puffs\n"
    "(finite duration, wind changing in time). No buildings, terrain or plume rise; a dense gas "
    "is\n"
    "refused by the criterion of Britter and McQuaid (1988) when its densities are told.\n"
    "\n"
    "RELEASE.yaml  x_east_m, y_north_m (0), release_height_m; Q_g_s, or mass_g with duration_s; "
    "for a\n"
    "              nuclide: nuclide (as Cs-137), Q_Bq_s, or activity_Bq with duration_s; start "
    "(RFC\n"
    "              3339, UTC), duration_s (without: continuous), substance, curves (rural, "
    "urban),\n"
    "              method (auto, similarity, briggs), dry_velocity_m_s, gas_density_kg_m3 with\n"
    "              air_density_kg_m3. Units are in the names; another unit is refused.\n"
    "WEATHER.csv   time (UTC; not needed with one row), wind_m_s with wind_height_m (10), or\n"
    "              wind_2m_m_s (any height so); wind_from_deg (or wind_from_deg_2m): where it "
    "comes\n"
    "              FROM, degrees from north; ustar_m_s, obukhov_L_m, sigma_azimuth_deg (all "
    "three:\n"
    "              surface-layer spread, else classes); class (A to F) or sky (sun_strong,\n"
    "              sun_moderate, sun_slight, night_cloudy, night_clear); mixing_height_m, z0_m\n"
    "              (0.03), rain_mm_h. Wind below 0.5 m/s, or rows more than an hour away, are\n"
    "              refused: unknown is not zero.\n"
    "RECEPTORS.csv x_east_m, y_north_m, and z_m or receptor_height_m (1.5 m without)\n"
    "OUT.csv       continuous: time (when the weather has it; one plume a row of weather),\n"
    "              x_east_m, y_north_m, z_m, conc_mg_m3 (nuclide: conc_Bq_m3)\n"
    "              finite: x_east_m, y_north_m, z_m, conc_max_mg_m3 (largest mean of a step),\n"
    "              conc_mean_mg_m3 (time integral over duration_s), tic_mg_s_m3 (time integral),\n"
    "              arrival_s, last_s (after the start; empty: not reached), deposit_mg_m2 (empty: "
    "the\n"
    "              rain is not known); nuclide: the same with Bq, then inhalation_Sv (adult,\n"
    "              2.57e-4 m3/s; empty: a gas), cloud_Sv (semi-infinite cloud: too high close to "
    "a\n"
    "              narrow plume), ground_Sv_h. Dose coefficients are provisional.\n"
    "Wind fields and results in NetCDF are not read or written yet.\n";

struct receptors {
    size_t count;
    struct puff_receptor *list;
};

static int read_receptors(const char *path, struct receptors *ret, struct err *ret_err) {
    struct table *table = NULL;
    int rc = table_read(path, &table, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t count = table_rows(table), x = 0, y = 0, z = 0;
    const char *height = table_has(table, "z_m") ? "z_m" : "receptor_height_m";
    bool has_z = table_has(table, height);
    struct puff_receptor *list = calloc(count + 1, sizeof *list);
    double *v = calloc(3 * count + 1, sizeof *v);
    rc = list == NULL || v == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for receptors") : 0;
    rc = rc != 0 ? rc : table_find(table, "x_east_m", &x, ret_err);
    rc = rc != 0 ? rc : table_find(table, "y_north_m", &y, ret_err);
    rc = rc != 0 || !has_z ? rc : table_find(table, height, &z, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, x, -1e7, 1e7, v, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, y, -1e7, 1e7, v + count, ret_err);
    rc = rc != 0 || !has_z ? rc : table_numbers(table, z, 0, 5000, v + 2 * count, ret_err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        list[i] = (struct puff_receptor){
            .x_m = v[i], .y_m = v[count + i], .z_m = has_z ? v[2 * count + i] : RECEPTOR_M};
        if (isnan(v[i]) || isnan(v[count + i]) || isnan(list[i].z_m)) {
            rc = table_refuse(table, i, isnan(v[i]) ? x : y, ERR_INVALID, ret_err,
                              "a receptor needs a place and a height");
        }
    }
    if (rc == 0 && (count == 0 || count > PUFF_RECEPTORS_MAX)) {
        rc = err_set(ret_err, ERR_LIMIT, "%s: 1 to %d receptors", path, PUFF_RECEPTORS_MAX);
    }
    free(v);
    table_destroy(table);
    if (rc != 0) {
        free(list);
        return rc;
    }
    *ret = (struct receptors){count, list};
    return 0;
}

static int check_dense(const struct release *release, const struct weather *weather,
                       struct err *ret_err) {
    if (isnan(release->gas_density_kg_m3)) {
        return 0;
    }
    for (size_t i = 0; i < weather->count; i++) {
        bool dense = false;
        int rc = release_is_dense(release->puff.rate / 1e3, release->gas_density_kg_m3,
                                  release->air_density_kg_m3, weather->rows[i].wind_m_s, &dense);
        if (rc != 0 || dense) {
            return err_set(ret_err, ERR_UNSUPPORTED,
                           "the gas is dense at %.1f m/s (Britter and McQuaid): a Gaussian plume "
                           "does not hold",
                           weather->rows[i].wind_m_s);
        }
    }
    return 0;
}

static void put_header(struct table_out *out, const char *const *names) {
    for (size_t i = 0; names[i] != NULL; i++) {
        table_out_text(out, names[i]);
    }
    table_out_end_row(out);
}

static void put_place(struct table_out *out, const struct puff_receptor *r) {
    table_out_number(out, r->x_m);
    table_out_number(out, r->y_m);
    table_out_number(out, r->z_m);
}

/* The plume of one row of weather at one receptor, without what falls out on the way but with the
 * decay; 0 upwind. */
static int plume_at(const struct release *release, const struct weather_air *air,
                    const struct puff_receptor *r, double *ret_value, struct err *ret_err) {
    double angle = air->wind_from_deg * 3.14159265358979323846 / 180;
    double dx = r->x_m - release->puff.x_m, dy = r->y_m - release->puff.y_m;
    double x = -dx * sin(angle) - dy * cos(angle), y = dx * cos(angle) - dy * sin(angle);
    double sy = 0, sz = 0, wind = 0;
    *ret_value = 0;
    if (!(x > 0)) {
        return 0;
    }
    int rc = weather_spread(air, release->puff.height_m, x, &sy, &sz, &wind);
    if (rc != 0) {
        return err_set(ret_err, rc, "no spread at %.1f m", x);
    }
    *ret_value = plume_concentration(release->puff.rate, wind, sy, sz, y, r->z_m,
                                     release->puff.height_m, air->lid_m) *
                 decay_left(release->puff.half_life_s, x / wind);
    return 0;
}

static int run_plume_rows(const struct release *release, const struct weather *weather,
                          const struct receptors *receptors, struct table_out *out,
                          struct err *ret_err) {
    const char *const timed[] = {"time",
                                 "x_east_m",
                                 "y_north_m",
                                 "z_m",
                                 release->nuclide != NULL ? "conc_Bq_m3" : "conc_mg_m3",
                                 NULL};
    int rc = 0;
    put_header(out, weather->timed ? timed : timed + 1);
    for (size_t k = 0; rc == 0 && k < weather->count; k++) {
        struct weather_air air;
        char time[64];
        rc = weather_air(&weather->rows[k], release->puff.method, release->puff.curves,
                         release->puff.height_m, &air, ret_err);
        text_format_time(weather->rows[k].utc_us, time, sizeof time);
        for (size_t i = 0; rc == 0 && i < receptors->count; i++) {
            double value = 0;
            rc = plume_at(release, &air, &receptors->list[i], &value, ret_err);
            if (weather->timed) {
                table_out_text(out, time);
            }
            put_place(out, &receptors->list[i]);
            table_out_number(out, release->nuclide != NULL ? value : value * MG_G);
            table_out_end_row(out);
        }
    }
    return rc;
}

static int run_puffs(const struct release *release, const struct weather *weather,
                     const struct receptors *receptors, struct table_out *out,
                     struct err *ret_err) {
    static const char *const grams[] = {
        "x_east_m",    "y_north_m", "z_m",    "conc_max_mg_m3", "conc_mean_mg_m3",
        "tic_mg_s_m3", "arrival_s", "last_s", "deposit_mg_m2",  NULL};
    static const char *const becquerels[] = {
        "x_east_m",    "y_north_m",   "z_m",    "conc_max_Bq_m3", "conc_mean_Bq_m3",
        "tic_Bq_s_m3", "arrival_s",   "last_s", "deposit_Bq_m2",  "inhalation_Sv",
        "cloud_Sv",    "ground_Sv_h", NULL};
    const struct nuclide *n = release->nuclide;
    double scale = n != NULL ? 1 : MG_G;
    if (weather->timed && !release->started) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "the release needs a start: the weather changes in time");
    }
    int rc = puff_run(&release->puff, weather, HOLD_S, receptors->list, receptors->count, ret_err);
    put_header(out, n != NULL ? becquerels : grams);
    for (size_t i = 0; rc == 0 && i < receptors->count; i++) {
        const struct puff_receptor *r = &receptors->list[i];
        put_place(out, r);
        table_out_number(out, r->max * scale);
        table_out_number(out, r->tic / release->puff.duration_s * scale);
        table_out_number(out, r->tic * scale);
        table_out_number(out, r->arrival_s);
        table_out_number(out, r->last_s);
        table_out_number(out, r->deposit * scale);
        if (n != NULL) {
            table_out_number(out, r->tic * BREATHING_M3_S * n->inhalation_sv_bq);
            table_out_number(out, r->tic * n->cloud_sv_s_m3);
            table_out_number(out, r->deposit * n->ground_sv_s_m2 * HOUR_S);
        }
        table_out_end_row(out);
    }
    return rc;
}

static bool is_netcdf(const char *path) {
    size_t length = strlen(path);
    return length > 3 && strcmp(path + length - 3, ".nc") == 0;
}

static int run(const char *const *paths, struct err *ret_err) {
    struct release release;
    struct weather weather = {0};
    struct receptors receptors = {0};
    struct table_out out;
    if (is_netcdf(paths[1]) || is_netcdf(paths[3])) {
        return err_set(ret_err, ERR_UNSUPPORTED,
                       "%s: NetCDF wind and NetCDF results are not supported yet; use CSV",
                       paths[is_netcdf(paths[1]) ? 1 : 3]);
    }
    int rc = release_read(paths[0], &release, ret_err);
    rc = rc != 0 ? rc : weather_read(paths[1], &weather, ret_err);
    rc = rc != 0 ? rc : read_receptors(paths[2], &receptors, ret_err);
    rc = rc != 0 ? rc : check_dense(&release, &weather, ret_err);
    rc = rc != 0 ? rc : table_out_open(&out, paths[3], ret_err);
    if (rc == 0) {
        rc = release.continuous ? run_plume_rows(&release, &weather, &receptors, &out, ret_err)
                                : run_puffs(&release, &weather, &receptors, &out, ret_err);
        int closed = table_out_close(&out, rc == 0, rc == 0 ? ret_err : NULL);
        rc = rc != 0 ? rc : closed;
    }
    free(receptors.list);
    weather_finish(&weather);
    return rc;
}

static int run_plume(int argc, char **argv) {
    const char *paths[4] = {0};
    const struct args_option options[] = {
        {"release", ARGS_TEXT, &paths[0], true, 0, 0, "FILE.yaml", "what is released"},
        {"weather", ARGS_TEXT, &paths[1], true, 0, 0, "FILE.csv", "wind and stability"},
        {"receptors", ARGS_TEXT, &paths[2], true, 0, 0, "FILE.csv", "where to tell"},
        {"out", ARGS_TEXT, &paths[3], true, 0, 0, "FILE.csv", "results"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && run(paths, &err) != 0) {
        code = model_exit_of(argv[0], &err);
    }
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_plume = {
    "plume", "concentration and doses downwind of a release: plume and puffs (CSV)", run_plume};
