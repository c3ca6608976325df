#include <math.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/hydrology/forecast_out.h"

enum { PATH_SIZE = 4096, NAME_SIZE = 64 };

static const char epoch_units[] = "seconds since 1970-01-01T00:00:00Z";

/* The first failure of a row of library calls. */
struct calls {
    int status;
    const char *what;
};

static void call(struct calls *calls, int status, const char *what) {
    if (calls->status == NC_NOERR && status != NC_NOERR) {
        calls->status = status;
        calls->what = what;
    }
}

static void put_text(struct calls *calls, int id, int variable, const char *name,
                     const char *text) {
    call(calls, nc_put_att_text(id, variable, name, strlen(text), text), name);
}

/* One variable and the values that go into it. */
struct field {
    const char *name;
    const char *standard_name; /* "": none */
    const char *units;
    const char *long_name;
    int dims[2];
    int dim_count;
    double *values; /* owned */
    int variable;
};

enum { FIELDS_MAX = 16 };
struct layout {
    size_t leads, members, levels;
    int lead_dim, member_dim, quantile_dim, level_dim, text_dim;
    size_t count;
    struct field fields[FIELDS_MAX];
};

enum { NO_DIM = -1 };

/* Room for the values of a field over one, two or no dimensions; NULL without memory. */
static double *add(struct layout *layout, const char *name, const char *units,
                   const char *long_name, int dim, int second_dim, size_t size) {
    double *values = calloc(size, sizeof *values);
    layout->fields[layout->count++] = (struct field){
        .name = name,
        .standard_name = "",
        .units = units,
        .long_name = long_name,
        .dims = {dim, second_dim},
        .dim_count = dim == NO_DIM          ? 0
                     : second_dim == NO_DIM ? 1
                                            : 2,
        .values = values,
    };
    return values;
}

static void name_last(struct layout *layout, const char *standard_name) {
    layout->fields[layout->count - 1].standard_name = standard_name;
}

static bool add_axes(struct layout *layout, const struct forecast_input *input,
                     const struct forecast_labels *labels) {
    int lead_dim = layout->lead_dim;
    double *lead = add(layout, "lead_time", "s", "time since forecast_reference_time", lead_dim,
                       NO_DIM, layout->leads);
    name_last(layout, "forecast_period");
    double *time = add(layout, "time", epoch_units, "valid time", lead_dim, NO_DIM, layout->leads);
    name_last(layout, "time");
    double *reference = add(layout, "forecast_reference_time", epoch_units,
                            "end of the newest observed hour", NO_DIM, NO_DIM, 1);
    name_last(layout, "forecast_reference_time");
    double *quantile = add(layout, "quantile", "1", "share of paths below", layout->quantile_dim,
                           NO_DIM, FORECAST_QUANTILES);
    double *level = layout->levels == 0
                        ? NULL
                        : add(layout, "level", input->rating != NULL ? "m" : "m3 s-1",
                              "alarm levels", layout->level_dim, NO_DIM, layout->levels);
    if (lead == NULL || time == NULL || reference == NULL || quantile == NULL ||
        (layout->levels > 0 && level == NULL)) {
        return false;
    }
    *reference = (double)labels->reference_us / 1e6;
    for (size_t k = 0; k < layout->leads; k++) {
        lead[k] = 3600.0 * (double)(k + 1);
        time[k] = *reference + lead[k];
    }
    memcpy(quantile, forecast_quantiles, sizeof forecast_quantiles);
    for (size_t l = 0; l < layout->levels; l++) {
        level[l] = input->levels[l];
    }
    return true;
}

static bool add_members(struct layout *layout, const struct forecast_input *input,
                        const struct forecast *forecast) {
    size_t size = layout->members * layout->leads;
    double *flow = add(layout, "discharge", "m3 s-1", "updated discharge of each rain member",
                       layout->member_dim, layout->lead_dim, size);
    name_last(layout, "water_volume_transport_in_river_channel");
    double *stage = input->rating == NULL ? NULL
                                          : add(layout, "stage", "m", "stage of each rain member",
                                                layout->member_dim, layout->lead_dim, size);
    if (flow == NULL || (input->rating != NULL && stage == NULL)) {
        return false;
    }
    memcpy(flow, forecast->member_m3_s, size * sizeof *flow);
    for (size_t i = 0; stage != NULL && i < size; i++) {
        enum rating_mark mark;
        stage[i] = rating_stage(input->rating, flow[i], &mark);
    }
    return true;
}

static bool add_bands(struct layout *layout, const struct forecast_input *input,
                      const struct forecast *forecast) {
    size_t leads = layout->leads, quantiles = FORECAST_QUANTILES;
    double *q = add(layout, "discharge_quantile", "m3 s-1", "discharge", layout->quantile_dim,
                    layout->lead_dim, quantiles * leads);
    double *h = NULL, *a = NULL, *r = NULL;
    if (input->rating != NULL) {
        h = add(layout, "stage_quantile", "m", "stage", layout->quantile_dim, layout->lead_dim,
                quantiles * leads);
    }
    if (layout->levels > 0) {
        a = add(layout, "level_probability", "1", "probability of being at or above",
                layout->level_dim, layout->lead_dim, layout->levels * leads);
        r = add(layout, "level_reached_probability", "1", "probability of being reached by then",
                layout->level_dim, layout->lead_dim, layout->levels * leads);
    }
    if (q == NULL || (input->rating != NULL && h == NULL) ||
        (layout->levels > 0 && (a == NULL || r == NULL))) {
        return false;
    }
    for (size_t k = 0; k < leads; k++) {
        for (size_t i = 0; i < quantiles; i++) {
            q[i * leads + k] = forecast->lead[k].flow_m3_s[i];
            if (h != NULL) {
                h[i * leads + k] = forecast->lead[k].stage_m[i];
            }
        }
        for (size_t l = 0; l < layout->levels; l++) {
            a[l * leads + k] = forecast->lead[k].above[l];
            r[l * leads + k] = forecast->lead[k].reached[l];
        }
    }
    return true;
}

static void define_dims(struct calls *calls, int id, struct layout *layout) {
    call(calls, nc_def_dim(id, "lead_time", layout->leads, &layout->lead_dim), "lead_time");
    call(calls, nc_def_dim(id, "realization", layout->members, &layout->member_dim), "realization");
    call(calls, nc_def_dim(id, "quantile", FORECAST_QUANTILES, &layout->quantile_dim), "quantile");
    call(calls, nc_def_dim(id, "name_length", NAME_SIZE, &layout->text_dim), "name_length");
    if (layout->levels > 0) {
        call(calls, nc_def_dim(id, "level", layout->levels, &layout->level_dim), "level");
    }
}

static void define_fields(struct calls *calls, int id, struct layout *layout) {
    static const double fill = NAN;
    for (size_t i = 0; i < layout->count; i++) {
        struct field *field = &layout->fields[i];
        call(
            calls,
            nc_def_var(id, field->name, NC_DOUBLE, field->dim_count, field->dims, &field->variable),
            field->name);
        if (field->standard_name[0] != '\0') {
            put_text(calls, id, field->variable, "standard_name", field->standard_name);
        }
        put_text(calls, id, field->variable, "units", field->units);
        put_text(calls, id, field->variable, "long_name", field->long_name);
        if (field->units == epoch_units) {
            put_text(calls, id, field->variable, "calendar", "standard");
        }
        if (field->dim_count == 2) {
            call(calls, nc_def_var_fill(id, field->variable, NC_FILL, &fill), "_FillValue");
            put_text(calls, id, field->variable, "coordinates",
                     "time forecast_reference_time station_id");
        }
    }
}

static void write_names(struct calls *calls, int id, const struct layout *layout,
                        const struct forecast_labels *labels) {
    int station = 0, member = 0;
    const int dims[2] = {layout->member_dim, layout->text_dim};
    call(calls, nc_def_var(id, "station_id", NC_CHAR, 1, &layout->text_dim, &station),
         "station_id");
    put_text(calls, id, station, "cf_role", "timeseries_id");
    call(calls, nc_def_var(id, "member_name", NC_CHAR, 2, dims, &member), "member_name");
    put_text(calls, id, member, "long_name", "rain member");
    call(calls, nc_enddef(id), "definitions");
    for (size_t m = 0; m <= layout->members; m++) {
        char text[NAME_SIZE] = {0};
        const size_t start[2] = {m, 0}, count[2] = {1, NAME_SIZE};
        const char *name = m == layout->members       ? labels->gauge
                           : m + 2 == layout->members ? "zero_rain"
                           : m + 1 == layout->members ? "persistence"
                                                      : labels->members[m];
        (void)snprintf(text, sizeof text, "%s", name);
        call(calls,
             m == layout->members ? nc_put_var_text(id, station, text)
                                  : nc_put_vara_text(id, member, start, count, text),
             "names");
    }
}

static void write_globals(struct calls *calls, int id, const struct forecast_input *input,
                          const struct forecast *forecast, const struct forecast_labels *labels,
                          const char *manifest_sha256) {
    char text[160];
    put_text(calls, id, NC_GLOBAL, "Conventions", "CF-1.8");
    put_text(calls, id, NC_GLOBAL, "featureType", "timeSeries");
    (void)snprintf(text, sizeof text, "discharge and stage forecast of %s", labels->gauge);
    put_text(calls, id, NC_GLOBAL, "title", text);
    put_text(calls, id, NC_GLOBAL, "source", "canhbao-model forecast " CANHBAO_VERSION);
    put_text(calls, id, NC_GLOBAL, "manifest_sha256", manifest_sha256);
    (void)snprintf(text, sizeof text, "%s, observation age %d h%s",
                   forecast_mark_name(forecast->mark), forecast->age_h,
                   forecast->recovering ? ", recovering from a gap in the rain" : "");
    put_text(calls, id, NC_GLOBAL, "updating", text);
    call(calls, nc_put_att_int(id, NC_GLOBAL, "horizon_h", NC_INT, 1, &forecast->horizon),
         "horizon_h");
    if (input->member_count == 0) {
        put_text(calls, id, NC_GLOBAL, "comment", "no rain forecast: zero rain and persistence");
    }
}

static int fill(int id, const struct forecast_input *input, const struct forecast *forecast,
                const struct forecast_labels *labels, const char *manifest_sha256,
                struct err *ret_err) {
    struct calls calls = {NC_NOERR, ""};
    struct layout layout = {.leads = (size_t)input->leads,
                            .members = input->member_count + 2,
                            .levels = input->level_count};
    define_dims(&calls, id, &layout);
    bool room = add_axes(&layout, input, labels) && add_members(&layout, input, forecast) &&
                add_bands(&layout, input, forecast);
    if (room) {
        write_globals(&calls, id, input, forecast, labels, manifest_sha256);
        define_fields(&calls, id, &layout);
        write_names(&calls, id, &layout, labels);
    }
    for (size_t i = 0; i < layout.count; i++) {
        if (room && calls.status == NC_NOERR) {
            call(&calls, nc_put_var_double(id, layout.fields[i].variable, layout.fields[i].values),
                 layout.fields[i].name);
        }
        free(layout.fields[i].values);
    }
    if (!room) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the NetCDF file");
    }
    return calls.status == NC_NOERR
               ? 0
               : err_set(ret_err, ERR_IO, "%.60s: %s", calls.what, nc_strerror(calls.status));
}

int forecast_write_nc(const char *path, const struct forecast_input *input,
                      const struct forecast *forecast, const struct forecast_labels *labels,
                      const char *manifest_sha256, struct err *ret_err) {
    char temporary[PATH_SIZE];
    int id = 0;
    if (snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid()) >=
        (int)sizeof temporary) {
        return err_set(ret_err, ERR_LIMIT, "the name of the NetCDF file is too long");
    }
    int status = nc_create(temporary, NC_NETCDF4 | NC_NOCLOBBER, &id);
    if (status != NC_NOERR) {
        return err_set(ret_err, ERR_IO, "%.300s: cannot create: %s", path, nc_strerror(status));
    }
    struct err inner = {0};
    int rc = fill(id, input, forecast, labels, manifest_sha256, &inner);
    status = nc_close(id);
    if (rc == 0 && (status != NC_NOERR || rename(temporary, path) != 0)) {
        rc = err_set(&inner, ERR_IO, "cannot close or rename");
    }
    if (rc != 0) {
        (void)unlink(temporary);
        return err_set(ret_err, rc, "%.300s: %.150s", path, inner.text);
    }
    return 0;
}
