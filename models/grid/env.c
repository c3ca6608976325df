#include "models/grid/env.h"

#include <math.h>
#include <netcdf.h>
#include <stdlib.h>

const struct grid_limits grid_limits_default = {
    .file_bytes_max = (size_t)1 << 30,
    .frame_bytes_max = (size_t)256 << 20,
    .frames_max = 10000,
    .vertices_max = 2000000,
};

static const double water_kg_m3 = 1000.0;

/* NetCDF keeps its run-time configuration from here on; nobody else does it (its header with the
 * prototype is not installed by the distribution's package in every release). */
int nc_initialize(void);

int grid_env_create(const struct grid_limits *limits, struct grid_env **ret_env,
                    struct err *ret_err) {
    struct grid_env *env = calloc(1, sizeof *env);
    if (env == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the grid layer");
    }
    env->limits = limits != NULL ? *limits : grid_limits_default;
    if (setenv("NCRCENV_IGNORE", "1", 1) != 0 || nc_initialize() != NC_NOERR) {
        grid_env_destroy(env);
        return err_set(ret_err, ERR_IO, "cannot initialise the NetCDF library");
    }
    (void)ut_set_error_message_handler(ut_ignore); /* else UDUNITS prints on stderr */
    env->units = ut_read_xml(NULL);
    if (env->units == NULL) {
        grid_env_destroy(env);
        return err_set(ret_err, ERR_IO,
                       "cannot read the UDUNITS-2 database (package libudunits2-data)");
    }
    env->proj = proj_context_create();
    if (env->proj == NULL) {
        grid_env_destroy(env);
        return err_set(ret_err, ERR_MEMORY, "no memory for PROJ");
    }
    (void)proj_context_set_enable_network(env->proj, 0);
    proj_log_level(env->proj, PJ_LOG_NONE);
    /* Opens the projection database now; inside the sandbox it could not be opened any more. */
    PJ *warm = proj_create_crs_to_crs(env->proj, "OGC:CRS84",
                                      "+proj=tmerc +lon_0=108 +ellps=WGS84 +type=crs", NULL);
    if (warm == NULL) {
        grid_env_destroy(env);
        return err_set(ret_err, ERR_IO, "cannot read the PROJ database (package proj-data)");
    }
    proj_destroy(warm);
    *ret_env = env;
    return 0;
}

void grid_env_destroy(struct grid_env *env) {
    if (env == NULL) {
        return;
    }
    if (env->units != NULL) {
        ut_free_system(env->units);
    }
    if (env->proj != NULL) {
        proj_context_destroy(env->proj);
    }
    free(env);
}

/* Divides a mass per area by the density of water, so that it becomes a depth. */
static ut_unit *as_water_depth(const struct grid_env *env, const ut_unit *from) {
    ut_unit *density = ut_parse(env->units, "kg m-3", UT_ASCII);
    ut_unit *water = density != NULL ? ut_scale(water_kg_m3, density) : NULL;
    ut_unit *depth = water != NULL ? ut_divide(from, water) : NULL;
    ut_free(density);
    ut_free(water);
    return depth;
}

int grid_env_unit(const struct grid_env *env, const char *from, const char *to, double *ret_scale,
                  double *ret_offset, struct err *ret_err) {
    ut_unit *from_unit = ut_parse(env->units, from, UT_UTF8);
    ut_unit *to_unit = ut_parse(env->units, to, UT_UTF8);
    int result = 0;
    if (from_unit == NULL || to_unit == NULL) {
        result = err_set(ret_err, ERR_INVALID, "unit '%.80s' is not a UDUNITS-2 unit",
                         from_unit == NULL ? from : to);
    } else if (!ut_are_convertible(from_unit, to_unit)) {
        ut_unit *depth = as_water_depth(env, from_unit);
        if (depth != NULL && ut_are_convertible(depth, to_unit)) {
            ut_free(from_unit);
            from_unit = depth;
        } else {
            ut_free(depth);
            result =
                err_set(ret_err, ERR_INVALID, "unit '%.80s' does not convert to '%s'", from, to);
        }
    }
    cv_converter *converter = result == 0 ? ut_get_converter(from_unit, to_unit) : NULL;
    if (result == 0 && converter == NULL) {
        result = err_set(ret_err, ERR_INVALID, "unit '%.80s' does not convert to '%s'", from, to);
    }
    if (converter != NULL) {
        double offset = cv_convert_double(converter, 0.0);
        double scale = cv_convert_double(converter, 1.0) - offset;
        double check = cv_convert_double(converter, 1000.0);
        if (!isfinite(scale) || !isfinite(offset) || scale == 0.0 ||
            fabs(check - (1000.0 * scale + offset)) > 1e-9 * (fabs(check) + fabs(offset))) {
            /* logarithmic units such as dBZ */
            result = err_set(ret_err, ERR_INVALID, "unit '%.80s' converts to '%s' not linearly",
                             from, to);
        } else {
            *ret_scale = scale;
            *ret_offset = offset;
        }
        cv_free(converter);
    }
    ut_free(from_unit);
    ut_free(to_unit);
    return result;
}

int grid_env_times_ms(const struct grid_env *env, const char *units, size_t count, double *times,
                      struct err *ret_err) {
    ut_unit *from = ut_parse(env->units, units, UT_UTF8);
    ut_unit *to = ut_parse(env->units, "milliseconds since 1970-01-01 00:00:00", UT_ASCII);
    cv_converter *converter = from != NULL && to != NULL && ut_are_convertible(from, to)
                                  ? ut_get_converter(from, to)
                                  : NULL;
    ut_free(from);
    ut_free(to);
    if (converter == NULL) {
        return err_set(ret_err, ERR_INVALID, "unit '%.80s' is not a time since a date", units);
    }
    (void)cv_convert_doubles(converter, times, count, times);
    cv_free(converter);
    return 0;
}
