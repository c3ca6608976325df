#include "models/dispersion/plume_results.h"

#include <math.h>
#include <stdlib.h>

#include "models/dispersion/dense_puff.h"

#define BREATHING_M3_S 2.57e-4 /* adult, mean of a day */
#define HOUR_S         3600.0
#define MG_G           1e3
#define LN2            0.693147180559945309417
#define RADIAN         57.29577951308232

const char *const results_methods[RESULTS_METHODS] = {"plume", "puffs", "dense", "particles"};

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
    struct results_column column = {name, units, long_name, calloc(count + 1, sizeof(double)),
                                    false};
    if (column.values == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu results", count);
    }
    results->columns[results->column_count++] = column;
    return 0;
}

/* The two columns that tell how a value was found, as the last ones. */
static int add_method(struct results *results, size_t count, struct err *ret_err) {
    int rc = add(results, count, "method", "1", "how the values were found", ret_err);
    if (rc == 0) {
        results->columns[results->column_count - 1].method = true;
    }
    return rc != 0 ? rc
                   : add(results, count, "error_share", "1",
                         "standard error of the time integral (steady: of the concentration) for "
                         "the number of particles, in units of it",
                         ret_err);
}

static bool takes_particles(const struct release *release, const struct weather *weather,
                            const struct results_options *o, const struct puff_receptor *r) {
    double away = hypot(r->x_m - release->puff.x_m, r->y_m - release->puff.y_m);
    return o->particles || (release->puff.method == WEATHER_AUTO && away > FAR_BEYOND_M &&
                            (!release->continuous || weather->field != NULL));
}

/* The receptors for particles, packed. */
struct far_part {
    size_t count, *index;
    struct puff_receptor *list;
    double *error;
};

static void far_part_finish(struct far_part *part) {
    free(part->index);
    free(part->list);
    free(part->error);
}

static int far_part_make(const struct release *release, const struct weather *weather,
                         const struct results_options *o, const struct puff_receptor *receptors,
                         size_t count, struct far_part *ret, struct err *ret_err) {
    struct far_part part = {0, calloc(count + 1, sizeof *part.index),
                            calloc(count + 1, sizeof *part.list),
                            calloc(count + 1, sizeof *part.error)};
    if (part.index == NULL || part.list == NULL || part.error == NULL) {
        far_part_finish(&part);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu receptors", count);
    }
    for (size_t i = 0; i < count; i++) {
        if (takes_particles(release, weather, o, &receptors[i])) {
            part.index[part.count] = i;
            part.list[part.count++] = receptors[i];
        }
    }
    *ret = part;
    return 0;
}

/* One row of weather by plumes (or dense gas), where particles do not serve. */
static int plume_row(const struct release *release, const struct weather *weather,
                     const struct results_options *o, const struct weather_row *row,
                     const struct puff_receptor *receptors, size_t count, double *ret_values,
                     double *ret_method, struct err *ret_err) {
    struct weather_air air = {0};
    bool dense = false, known = false;
    int rc = release_dense_in(release, row->wind_m_s, &dense) != 0 ? ERR_RANGE : 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        ret_method[i] = dense ? RESULTS_DENSE : RESULTS_PLUME;
        if (!dense && takes_particles(release, weather, o, &receptors[i])) {
            ret_method[i] = RESULTS_PARTICLES;
            continue;
        }
        if (!known) {
            rc = weather_air(row, release->puff.method, release->puff.curves,
                             release->puff.height_m, &air, ret_err);
            known = true;
        }
        rc = rc != 0 ? rc : results_steady(release, &air, &receptors[i], &ret_values[i], ret_err);
    }
    return rc;
}

static int run_rows(const struct release *release, const struct weather *weather,
                    const struct results_options *o, const struct puff_receptor *receptors,
                    size_t count, struct results *results, struct err *ret_err) {
    bool nuclide = release->nuclide != NULL;
    double scale = nuclide ? 1 : MG_G;
    struct far_part far = {0};
    results->times = weather->timed ? weather->count : 0;
    int rc = weather->count * count > PUFF_CELLS_MAX
                 ? err_set(ret_err, ERR_LIMIT, "%zu rows of weather for %zu receptors are too many",
                           weather->count, count)
                 : add(results, weather->count * count, nuclide ? "conc_Bq_m3" : "conc_mg_m3",
                       nuclide ? "Bq m-3" : "mg m-3", "concentration in the plume", ret_err);
    rc = rc != 0 ? rc : add_method(results, weather->count * count, ret_err);
    rc = rc != 0 ? rc : far_part_make(release, weather, o, receptors, count, &far, ret_err);
    for (size_t k = 0; rc == 0 && k < weather->count; k++) {
        double *values = results->columns[0].values + k * count;
        double *method = results->columns[1].values + k * count;
        double *error = results->columns[2].values + k * count;
        struct far_mass mass;
        rc = plume_row(release, weather, o, &weather->rows[k], receptors, count, values, method,
                       ret_err);
        for (size_t i = 0; rc == 0 && i < count; i++) {
            error[i] = (double)NAN;
        }
        bool some = rc == 0 && far.count > 0 && method[far.index[0]] == RESULTS_PARTICLES;
        rc = !some ? rc
                   : far_run(&release->puff, weather, RESULTS_HOLD_S, &weather->rows[k].utc_us,
                             &o->far, far.list, far.count, far.error, &mass, ret_err);
        for (size_t i = 0; some && rc == 0 && i < far.count; i++) {
            values[far.index[i]] = far.list[i].tic;
            error[far.index[i]] = far.error[i];
        }
        for (size_t i = 0; rc == 0 && i < count; i++) {
            values[i] *= scale;
        }
    }
    far_part_finish(&far);
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

/* A finite release that is dense where and when it begins: its correlation for all receptors; the
 * cloud passes as a box, so that the time integral is no more than it can be. */
static int finite_dense(const struct release *release, const struct weather *weather,
                        struct puff_receptor *receptors, size_t count, bool *ret_dense,
                        struct err *ret_err) {
    const struct puff_release *puff = &release->puff;
    struct weather_row row;
    *ret_dense = false;
    if (!release_may_be_dense(release)) {
        return 0;
    }
    int rc = weather_at(weather, puff->start_utc_us, RESULTS_HOLD_S, puff->x_m, puff->y_m, &row,
                        ret_err);
    if (rc != 0) {
        return rc;
    }
    struct dense_puff dense = {{puff->rate / MG_G, release->gas_density_kg_m3,
                                release->air_density_kg_m3, release->gas_temperature_k,
                                release->air_temperature_k, row.wind_m_s},
                               puff->duration_s};
    if (!(row.wind_m_s > 0) || dense_puff_is(&dense, ret_dense) != 0) {
        return err_set(ret_err, ERR_RANGE, "whether the gas is dense at %.1f m/s is not known",
                       row.wind_m_s);
    }
    double angle = row.wind_from_deg / RADIAN;
    for (size_t i = 0; *ret_dense && i < count; i++) {
        struct puff_receptor *r = &receptors[i];
        struct dense_passage seen;
        double dx = r->x_m - puff->x_m, dy = r->y_m - puff->y_m;
        double x = -dx * sin(angle) - dy * cos(angle), y = dx * cos(angle) - dy * sin(angle);
        if (dense_puff_at(&dense, x, y, r->z_m, &seen) != 0) {
            return err_set(ret_err, ERR_RANGE, "no dense cloud at %.1f m", x);
        }
        r->max = seen.share > 0 ? dense_concentration(&dense.release, seen.share) * MG_G : 0;
        r->arrival_s = seen.arrival_s;
        r->last_s = seen.last_s;
        r->tic = seen.share > 0 ? r->max * (seen.last_s - seen.arrival_s) : 0;
        r->deposit = puff->dry_velocity_m_s > 0 ? puff->dry_velocity_m_s * r->tic : 0;
    }
    return 0;
}

int results_finite(const struct release *release, const struct weather *weather,
                   const struct results_options *options, struct puff_receptor *receptors,
                   size_t count, double *ret_method, double *ret_error, struct far_mass *ret_mass,
                   struct err *ret_err) {
    struct far_part far = {0};
    size_t near_count = 0;
    if (weather->timed && !release->started) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "the release needs a start: the weather changes in time");
    }
    bool dense = false;
    int rc = finite_dense(release, weather, receptors, count, &dense, ret_err);
    if (rc != 0 || dense) {
        for (size_t i = 0; i < count; i++) {
            ret_method[i] = RESULTS_DENSE;
            ret_error[i] = (double)NAN;
        }
        return rc;
    }
    struct puff_receptor *near = calloc(count + 1, sizeof *near);
    rc = near == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for %zu receptors", count)
                      : far_part_make(release, weather, options, receptors, count, &far, ret_err);
    for (size_t i = 0, k = 0; rc == 0 && i < count; i++) {
        bool particles = k < far.count && far.index[k] == i;
        k += particles;
        ret_method[i] = particles ? RESULTS_PARTICLES : RESULTS_PUFFS;
        ret_error[i] = (double)NAN;
        if (!particles) {
            near[near_count++] = receptors[i];
        }
    }
    rc = rc != 0 || near_count == 0
             ? rc
             : puff_run(&release->puff, weather, RESULTS_HOLD_S, near, near_count, ret_err);
    rc = rc != 0 || far.count == 0
             ? rc
             : far_run(&release->puff, weather, RESULTS_HOLD_S, NULL, &options->far, far.list,
                       far.count, far.error, ret_mass, ret_err);
    for (size_t i = 0, k = 0, n = 0; rc == 0 && i < count; i++) {
        if (ret_method[i] == RESULTS_PARTICLES) {
            ret_error[i] = far.error[k];
            receptors[i] = far.list[k++];
        } else {
            receptors[i] = near[n++];
        }
    }
    free(near);
    far_part_finish(&far);
    return rc;
}

static int run_finite(const struct release *release, const struct weather *weather,
                      const struct results_options *options, struct puff_receptor *receptors,
                      size_t count, struct results *results, struct err *ret_err) {
    const struct nuclide *n = release->nuclide;
    double scale = n != NULL ? 1 : MG_G;
    int rc = add_finite(results, n != NULL, count, ret_err);
    rc = rc != 0 ? rc : add_method(results, count, ret_err);
    size_t plain = results->column_count - 2; /* without method and error */
    rc = rc != 0 ? rc
                 : results_finite(release, weather, options, receptors, count,
                                  results->columns[plain].values,
                                  results->columns[plain + 1].values, &results->mass, ret_err);
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
        for (size_t c = 0; c < plain; c++) {
            results->columns[c].values[i] = values[c];
        }
    }
    return rc;
}

int results_run(const struct release *release, const struct weather *weather,
                const struct results_options *options, struct puff_receptor *receptors,
                size_t count, struct results *ret_results, struct err *ret_err) {
    struct results results = {0};
    int rc = release->continuous
                 ? run_rows(release, weather, options, receptors, count, &results, ret_err)
                 : run_finite(release, weather, options, receptors, count, &results, ret_err);
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
