#include "models/dispersion/plume_results.h"

#include <math.h>
#include <stdlib.h>

#include "models/dispersion/dense.h"

#define BREATHING_M3_S 2.57e-4 /* adult, mean of a day */
#define HOUR_S         3600.0
#define MG_G           1e3
#define LN2            0.693147180559945309417
#define RADIAN         57.29577951308232

/* Britter and McQuaid instead of Gauss; g/m3. */
static int dense_at(const struct release *release, double wind_m_s, double x_m, double y_m,
                    double z_m, double *ret_value, struct err *ret_err) {
    struct dense_release dense = {release->puff.rate / MG_G,  release->gas_density_kg_m3,
                                  release->air_density_kg_m3, release->gas_temperature_k,
                                  release->air_temperature_k, wind_m_s};
    double share = 0;
    if (dense_share_at(&dense, x_m, y_m, z_m, &share) != 0) {
        return err_set(ret_err, ERR_RANGE, "no dense plume at %.1f m", x_m);
    }
    *ret_value = dense_concentration(&dense, share) * MG_G;
    return 0;
}

int results_steady(const struct release *release, const struct weather_air *air,
                   const struct puff_receptor *r, double *ret_value, struct err *ret_err) {
    double angle = air->wind_from_deg / RADIAN;
    double dx = r->x_m - release->puff.x_m, dy = r->y_m - release->puff.y_m;
    double x = -dx * sin(angle) - dy * cos(angle), y = dx * cos(angle) - dy * sin(angle);
    double sy = 0, sz = 0, wind = 0;
    if (!(x > 0)) {
        *ret_value = 0;
        return 0;
    }
    bool dense = false;
    if (release_dense_in(release, air->surface.wind_m_s, &dense) == 0 && dense) {
        return dense_at(release, air->surface.wind_m_s, x, y, r->z_m, ret_value, ret_err);
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

static int add(struct results *results, size_t count, const char *name, const char *units,
               const char *long_name, struct err *ret_err) {
    struct results_column column = {name, units, long_name, calloc(count + 1, sizeof(double))};
    if (column.values == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu results", count);
    }
    results->columns[results->column_count++] = column;
    return 0;
}

static int run_rows(const struct release *release, const struct weather *weather,
                    const struct puff_receptor *receptors, size_t count, struct results *results,
                    struct err *ret_err) {
    bool nuclide = release->nuclide != NULL;
    double scale = nuclide ? 1 : MG_G;
    results->times = weather->timed ? weather->count : 0;
    int rc = weather->count * count > PUFF_CELLS_MAX
                 ? err_set(ret_err, ERR_LIMIT, "%zu rows of weather for %zu receptors are too many",
                           weather->count, count)
                 : add(results, weather->count * count, nuclide ? "conc_Bq_m3" : "conc_mg_m3",
                       nuclide ? "Bq m-3" : "mg m-3", "concentration in the plume", ret_err);
    for (size_t k = 0; rc == 0 && k < weather->count; k++) {
        struct weather_air air;
        rc = weather_air(&weather->rows[k], release->puff.method, release->puff.curves,
                         release->puff.height_m, &air, ret_err);
        for (size_t i = 0; rc == 0 && i < count; i++) {
            double value = 0;
            rc = results_steady(release, &air, &receptors[i], &value, ret_err);
            results->columns[0].values[k * count + i] = value * scale;
        }
    }
    return rc;
}

enum { MAX, MEAN, TIC, ARRIVAL, LAST, DEPOSIT, INHALATION, CLOUD, GROUND, FINITE };

static int add_finite(struct results *results, bool nuclide, size_t count, struct err *ret_err) {
    static const struct {
        const char *grams, *becquerels, *grams_unit, *becquerels_unit, *about;
    } columns[FINITE] = {
        {"conc_max_mg_m3", "conc_max_Bq_m3", "mg m-3", "Bq m-3", "largest mean of a step"},
        {"conc_mean_mg_m3", "conc_mean_Bq_m3", "mg m-3", "Bq m-3",
         "time integral over the duration of the release"},
        {"tic_mg_s_m3", "tic_Bq_s_m3", "mg s m-3", "Bq s m-3", "time integrated concentration"},
        {"arrival_s", "arrival_s", "s", "s", "arrival after the start of the release"},
        {"last_s", "last_s", "s", "s", "last sight after the start of the release"},
        {"deposit_mg_m2", "deposit_Bq_m2", "mg m-2", "Bq m-2", "deposit on the ground"},
        {NULL, "inhalation_Sv", NULL, "Sv", "dose by inhalation, adult"},
        {NULL, "cloud_Sv", NULL, "Sv", "dose by submersion in a semi-infinite cloud"},
        {NULL, "ground_Sv_h", NULL, "Sv h-1", "dose rate from the ground"}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < (size_t)(nuclide ? FINITE : INHALATION); i++) {
        rc = add(results, count, nuclide ? columns[i].becquerels : columns[i].grams,
                 nuclide ? columns[i].becquerels_unit : columns[i].grams_unit, columns[i].about,
                 ret_err);
    }
    return rc;
}

static int run_puffs(const struct release *release, const struct weather *weather,
                     struct puff_receptor *receptors, size_t count, struct results *results,
                     struct err *ret_err) {
    const struct nuclide *n = release->nuclide;
    double scale = n != NULL ? 1 : MG_G;
    if (weather->timed && !release->started) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "the release needs a start: the weather changes in time");
    }
    int rc = add_finite(results, n != NULL, count, ret_err);
    rc =
        rc != 0 ? rc : puff_run(&release->puff, weather, RESULTS_HOLD_S, receptors, count, ret_err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const struct puff_receptor *r = &receptors[i];
        const double values[FINITE] = {r->max * scale,
                                       r->tic / release->puff.duration_s * scale,
                                       r->tic * scale,
                                       r->arrival_s,
                                       r->last_s,
                                       r->deposit * scale,
                                       n != NULL ? r->tic * BREATHING_M3_S * n->inhalation_sv_bq
                                                 : 0,
                                       n != NULL ? r->tic * n->cloud_sv_s_m3 : 0,
                                       n != NULL ? r->deposit * n->ground_sv_s_m2 * HOUR_S : 0};
        for (size_t c = 0; c < results->column_count; c++) {
            results->columns[c].values[i] = values[c];
        }
    }
    return rc;
}

int results_run(const struct release *release, const struct weather *weather,
                struct puff_receptor *receptors, size_t count, struct results *ret_results,
                struct err *ret_err) {
    struct results results = {0};
    int rc = release->continuous ? run_rows(release, weather, receptors, count, &results, ret_err)
                                 : run_puffs(release, weather, receptors, count, &results, ret_err);
    if (rc != 0) {
        results_finish(&results);
        return rc;
    }
    *ret_results = results;
    return 0;
}

void results_finish(struct results *results) {
    for (size_t i = 0; i < results->column_count; i++) {
        free(results->columns[i].values);
    }
    *results = (struct results){0};
}

double results_dose_sv(const struct nuclide *nuclide, const struct puff_receptor *r,
                       double ground_s) {
    double lambda = LN2 / nuclide->half_life_s;
    double inhaled = isnan(nuclide->inhalation_sv_bq) ? 0 : nuclide->inhalation_sv_bq; /* a gas */
    return r->tic * (BREATHING_M3_S * inhaled + nuclide->cloud_sv_s_m3) +
           r->deposit * nuclide->ground_sv_s_m2 * (1 - exp(-lambda * ground_s)) / lambda;
}
