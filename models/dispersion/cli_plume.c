/* canhbao-model plume */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/dispersion/dispersion.h"
#include "models/dispersion/plume_nc.h"
#include "models/dispersion/plume_results.h"
#include "models/dispersion/receptors.h"
#include "models/dispersion/release.h"
#include "models/dispersion/weather_field.h"
#include "models/dispersion/zones.h"
#include "models/dispersion/zones_report.h"
#include "models/output/output.h"
#include "models/table/args.h"
#include "models/table/table.h"

static const char about[] =
    "Concentration, deposition and doses downwind of a release: Gaussian plume (continuous) or "
    "puffs\n"
    "(finite duration, wind changing in time); beyond 10 km Lagrangian particles, when the release "
    "is\n"
    "finite or the wind is a NetCDF field, unless the release asks for a method. No buildings, "
    "terrain\n"
    "or plume rise. Particles take friction velocity, Obukhov length and mixing height where they "
    "are\n"
    "(not told: from wind and class; 0.2 u*/f, 0.4 (u* L/f)^0.5 or 1000 m). A release that is "
    "dense\n"
    "by the criteria of Britter and McQuaid (1988), when its densities are told, takes their\n"
    "correlations for continuous releases and for releases at once, by u T / x.\n"
    "\n"
    "RELEASE.yaml  x_east_m, y_north_m (0), latitude_deg and longitude_deg of the origin (0, 0),\n"
    "              release_height_m; Q_g_s, or mass_g with duration_s; "
    "for a\n"
    "              nuclide: nuclide (as Cs-137), Q_Bq_s, or activity_Bq with duration_s; start "
    "(RFC\n"
    "              3339, UTC), duration_s (without: continuous), substance, curves (rural, "
    "urban),\n"
    "              method (auto, similarity, briggs), dry_velocity_m_s, gas_density_kg_m3 with\n"
    "              air_density_kg_m3, gas_temperature_c with air_temperature_c. Units are in the "
    "names; another unit is refused.\n"
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
    "WEATHER.nc    ([time,] y, x): eastward_wind and northward_wind (standard names, or u10 and\n"
    "              v10), or wind_m_s and wind_from_deg; the other columns above as variables, and\n"
    "              pasquill_class (1 to 6). Axes: metres east and north of the origin, or "
    "longitude\n"
    "              and latitude or a projection, with latitude_deg and longitude_deg of the "
    "origin\n"
    "              in the release. A wind without stability needs --class. A continuous release\n"
    "              takes the wind at its source, puffs take it where they are.\n"
    "              Last in both: method (plume, puffs, dense, particles) and error_share "
    "(standard\n"
    "              error of particles in units of the value; empty: none, or not reached)\n"
    "OUT.nc        the same columns over (receptor) or (time, receptor), CF-1.8\n"
    "zones, grid   about the source, 128 x 128 cells; see --levels, --members. The value is the\n"
    "              mean over the exposure time in mg/m3; for a nuclide the dose in Sv of\n"
    "              inhalation, cloud and 24 h of ground.\n";

struct options {
    const char *release, *receptors, *out;
    struct weather_choice weather;
    const char *grid, *zones, *levels, *places;
    struct args_list communes;
    struct zones_options zone;
    struct results_options results;
    int64_t members, seed, threads, particle_count;
};

static bool is_netcdf(const char *path) {
    size_t length = strlen(path);
    return length > 3 && strcmp(path + length - 3, ".nc") == 0;
}

static int write_csv(const char *path, const struct receptors *receptors,
                     const struct weather *weather, const struct results *results,
                     struct err *ret_err) {
    static const char *const places[] = {"x_east_m", "y_north_m", "z_m"};
    struct table_out out;
    int rc = table_out_open(&out, path, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t blocks = results->times > 0 ? results->times : 1;
    if (results->times > 0) {
        table_out_text(&out, "time");
    }
    for (size_t i = 0; i < 3; i++) {
        table_out_text(&out, places[i]);
    }
    for (size_t c = 0; c < results->column_count; c++) {
        table_out_text(&out, results->columns[c].name);
    }
    table_out_end_row(&out);
    for (size_t k = 0; k < blocks * receptors->count; k++) {
        const struct puff_receptor *r = &receptors->list[k % receptors->count];
        if (results->times > 0) {
            char time[64];
            text_format_time(weather->rows[k / receptors->count].utc_us, time, sizeof time);
            table_out_text(&out, time);
        }
        table_out_number(&out, r->x_m);
        table_out_number(&out, r->y_m);
        table_out_number(&out, r->z_m);
        for (size_t c = 0; c < results->column_count; c++) {
            double value = results->columns[c].values[k];
            if (results->columns[c].method) {
                table_out_text(&out, results_methods[(size_t)value]);
            } else {
                table_out_number(&out, value);
            }
        }
        table_out_end_row(&out);
    }
    return table_out_close(&out, true, ret_err);
}

static int write_netcdf(const char *path, const struct receptors *receptors,
                        const struct weather *weather, const struct results *results,
                        const struct release *release, struct err *ret_err) {
    struct plume_nc_column columns[RESULTS_COLUMNS_MAX];
    int64_t *times = calloc(results->times + 1, sizeof *times);
    if (times == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for times");
    }
    for (size_t c = 0; c < results->column_count; c++) {
        const struct results_column *from = &results->columns[c];
        columns[c] = (struct plume_nc_column){from->name,
                                              from->units,
                                              from->long_name,
                                              from->values,
                                              from->method ? results_methods : NULL,
                                              RESULTS_METHODS};
    }
    for (size_t i = 0; i < results->times; i++) {
        times[i] = weather->rows[i].utc_us;
    }
    int rc =
        plume_nc_write(path, receptors->list, receptors->count, times, results->times,
                       &release->origin, columns, results->column_count, &results->mass, ret_err);
    free(times);
    return rc;
}

static int tell_receptors(const struct options *o, const struct release *release,
                          const struct weather *weather, struct err *ret_err) {
    struct receptors receptors = {0};
    struct results results = {0};
    int rc = receptors_read(o->receptors, &receptors, ret_err);
    rc = rc != 0 ? rc
                 : results_run(release, weather, &o->results, receptors.list, receptors.count,
                               &results, ret_err);
    rc = rc != 0             ? rc
         : is_netcdf(o->out) ? write_netcdf(o->out, &receptors, weather, &results, release, ret_err)
                             : write_csv(o->out, &receptors, weather, &results, ret_err);
    results_finish(&results);
    free(receptors.list);
    return rc;
}

static int tell_zones(const struct options *o, const struct release *release,
                      const struct weather *weather, struct err *ret_err) {
    struct zones zones = {0};
    struct zones_levels levels = {0};
    json_t *report = NULL;
    if (o->levels == NULL) {
        return err_set(ret_err, ERR_INVALID, "--zones and --grid need --levels");
    }
    int rc = zones_levels_read(o->levels, release, zones_exposure_s(release, &o->zone), &levels,
                               ret_err);
    rc = rc != 0 ? rc : zones_run(release, weather, &o->zone, &levels, &zones, ret_err);
    if (rc == 0 && o->zones != NULL) {
        rc = zones_report(&zones, release, o->places, &o->communes, &report, ret_err);
        rc = rc != 0 ? rc : output_write_json(o->zones, report, ret_err);
        json_decref(report);
    }
    if (rc == 0 && o->grid != NULL) {
        int64_t utc_us = release->started ? release->puff.start_utc_us : weather->rows[0].utc_us;
        rc = zones_write_grid(&zones, release, utc_us, o->grid, ret_err);
    }
    zones_finish(&zones);
    return rc;
}

static int run(struct options *o, struct err *ret_err) {
    struct release release;
    struct weather weather = {0};
    int rc = release_read(o->release, &release, ret_err);
    if (rc == 0) {
        o->weather.origin = release.origin;
        o->results.far.latitude_deg = release.origin.latitude_deg;
        rc = weather_open(&o->weather, release.puff.x_m, release.puff.y_m, &weather, ret_err);
    }
    rc = rc != 0 ? rc : tell_receptors(o, &release, &weather, ret_err);
    if (rc == 0 && (o->zones != NULL || o->grid != NULL)) {
        rc = tell_zones(o, &release, &weather, ret_err);
    }
    weather_finish(&weather);
    return rc;
}

static int run_plume(int argc, char **argv) {
    struct options o = {
        .weather = {.wind_height_m = 10}, .zone = zones_options_default, .seed = 1, .threads = 1};
    o.members = (int64_t)o.zone.members;
    o.results.far = far_options_default;
    o.particle_count = (int64_t)o.results.far.particles;
    const struct args_option options[] = {
        {"release", ARGS_TEXT, &o.release, true, 0, 0, "FILE.yaml", "what is released"},
        {"weather", ARGS_TEXT, &o.weather.path, true, 0, 0, "FILE.csv|nc", "wind and stability"},
        {"receptors", ARGS_TEXT, &o.receptors, true, 0, 0, "FILE.csv", "where to tell"},
        {"out", ARGS_TEXT, &o.out, true, 0, 0, "FILE.csv|nc", "results at the receptors"},
        {"class", ARGS_TEXT, &o.weather.class_text, false, 0, 0, "A..F",
         "class where the weather tells none"},
        {"wind-height-m", ARGS_NUMBER, &o.weather.wind_height_m, false, 0.1, 1000, "M",
         "height of a NetCDF wind (10)"},
        {"zones", ARGS_TEXT, &o.zones, false, 0, 0, "FILE.geojson", "polygons of the levels"},
        {"grid", ARGS_TEXT, &o.grid, false, 0, 0, "FILE.nc", "grid of values and probabilities"},
        {"levels", ARGS_TEXT, &o.levels, false, 0, 0, "FILE.csv",
         "level,name,conc_mg_m3|dose_Sv; or AEGL"},
        {"places", ARGS_TEXT, &o.places, false, 0, 0, "FILE.csv", "arrival times: id,name,places"},
        {"communes", ARGS_LIST, &o.communes, false, 0, 0, "FILE.geojson",
         "polygons with name, people, code"},
        {"reach-m", ARGS_NUMBER, &o.zone.reach_m, false, 100, 50000, "M",
         "half width of zones and grid (5000)"},
        {"exposure-s", ARGS_NUMBER, &o.zone.exposure_s, false, 1, 86400, "S",
         "mean over that time (the release's duration; continuous: 3600)"},
        {"members", ARGS_INT, &o.members, false, 0, ZONES_MEMBERS_MAX, "N",
         "of uncertain weather (16; 0: none)"},
        {"wind-sd-deg", ARGS_NUMBER, &o.zone.wind_sd_deg, false, 0, 90, "DEG",
         "of the direction among members (10)"},
        {"speed-sd-log", ARGS_NUMBER, &o.zone.speed_sd_log, false, 0, 1, "LN",
         "of ln of the speed (0.25)"},
        {"particles", ARGS_SWITCH, &o.results.particles, false, 0, 0, NULL,
         "particles for all receptors, not only beyond 10 km"},
        {"particle-count", ARGS_INT, &o.particle_count, false, FAR_PARTICLES_MIN, FAR_PARTICLES_MAX,
         "N", "of a release (10000)"},
        {"seed", ARGS_INT, &o.seed, false, 0, 1e15, "N", "of members and particles (1)"},
        {"threads", ARGS_INT, &o.threads, false, 1, ZONES_THREADS_MAX, "N",
         "over members and particles; the same bits with any number (1)"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    o.zone.members = (size_t)o.members;
    o.zone.seed = (uint64_t)o.seed;
    o.zone.threads = (int)o.threads;
    o.results.far.particles = (size_t)o.particle_count;
    o.results.far.seed = (uint64_t)o.seed;
    o.results.far.threads = (int)o.threads;
    o.zone.results = o.results;
    if (code == MODEL_DONE && run(&o, &err) != 0) {
        code = model_exit_of(argv[0], &err);
    }
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_plume = {
    "plume", "concentration, doses and zones downwind of a release: plume and puffs", run_plume};
