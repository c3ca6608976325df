#include "models/hydrology/flood_nc.h"

#include <math.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIM_STATION, DIM_QUANTILE, DIM_LEVEL, DIM_LEAD, DIM_NAME, DIMS, NAME_SIZE = 64 };

static const char epoch_units[] = "seconds since 1970-01-01T00:00:00Z";

/* The first failure of a row of library calls. */
struct file {
    int id, status;
    const char *what;
    int dims[DIMS];
};

static void call(struct file *file, int status, const char *what) {
    if (file->status == NC_NOERR && status != NC_NOERR) {
        file->status = status;
        file->what = what;
    }
}

static void put_text(struct file *file, int variable, const char *name, const char *text) {
    call(file, nc_put_att_text(file->id, variable, name, strlen(text), text), name);
}

/* A variable over some dimensions; value_of tells its numbers in their order. */
struct variable {
    const char *name, *standard_name, *units, *long_name;
    int dim_count;
    int dims[3];
    double (*value_of)(const struct flood_run *run, const size_t *at);
};

static double lead_s(const struct flood_run *run, const size_t *at) {
    (void)run;
    return 3600.0 * (double)(at[0] + 1);
}

static double valid_s(const struct flood_run *run, const size_t *at) {
    return (double)run->reference_us / 1e6 + lead_s(run, at);
}

static double reference_s(const struct flood_run *run, const size_t *at) {
    (void)at;
    return (double)run->reference_us / 1e6;
}

static double quantile_of(const struct flood_run *run, const size_t *at) {
    (void)run;
    return forecast_quantiles[at[0]];
}

static double level_of(const struct flood_run *run, const size_t *at) {
    const struct flood_gauge *gauge = &run->site->gauges[at[0]];
    return at[1] < gauge->level_count ? gauge->levels_m[at[1]] : (double)NAN;
}

static double discharge_q(const struct flood_run *run, const size_t *at) {
    return run->forecast[at[0]]->lead[at[2]].flow_m3_s[at[1]];
}

static double stage_q(const struct flood_run *run, const size_t *at) {
    return run->forecast[at[0]]->lead[at[2]].stage_m[at[1]];
}

static double reached(const struct flood_run *run, const size_t *at) {
    return at[1] < run->site->gauges[at[0]].level_count
               ? run->forecast[at[0]]->lead[at[2]].reached[at[1]]
               : (double)NAN;
}

static double zero_m3_s(const struct flood_run *run, const size_t *at) {
    return run->forecast[at[0]]->lead[at[1]].zero_m3_s;
}

static double persistence_m3_s(const struct flood_run *run, const size_t *at) {
    return run->forecast[at[0]]->lead[at[1]].persistence_m3_s;
}

static double zero_m(const struct flood_run *run, const size_t *at) {
    return run->forecast[at[0]]->lead[at[1]].zero_m;
}

static double persistence_m(const struct flood_run *run, const size_t *at) {
    return run->forecast[at[0]]->lead[at[1]].persistence_m;
}

static const char discharge_name[] = "water_volume_transport_in_river_channel";

static const struct variable variables[] = {
    {"lead_time",
     "forecast_period",
     "s",
     "time since forecast_reference_time",
     1,
     {DIM_LEAD},
     lead_s},
    {"time", "time", epoch_units, "valid time", 1, {DIM_LEAD}, valid_s},
    {"forecast_reference_time",
     "forecast_reference_time",
     epoch_units,
     "end of the newest observed hour",
     0,
     {0},
     reference_s},
    {"quantile", "", "1", "share of paths below", 1, {DIM_QUANTILE}, quantile_of},
    {"level", "", "m", "alarm levels", 2, {DIM_STATION, DIM_LEVEL}, level_of},
    {"discharge_quantile",
     discharge_name,
     "m3 s-1",
     "discharge",
     3,
     {DIM_STATION, DIM_QUANTILE, DIM_LEAD},
     discharge_q},
    {"stage_quantile", "", "m", "stage", 3, {DIM_STATION, DIM_QUANTILE, DIM_LEAD}, stage_q},
    {"level_reached_probability",
     "",
     "1",
     "probability of being reached by then",
     3,
     {DIM_STATION, DIM_LEVEL, DIM_LEAD},
     reached},
    {"discharge_zero_rain",
     discharge_name,
     "m3 s-1",
     "floor: no more rain",
     2,
     {DIM_STATION, DIM_LEAD},
     zero_m3_s},
    {"discharge_persistence",
     discharge_name,
     "m3 s-1",
     "floor: the rain of the last hour goes on",
     2,
     {DIM_STATION, DIM_LEAD},
     persistence_m3_s},
    {"stage_zero_rain", "", "m", "floor: no more rain", 2, {DIM_STATION, DIM_LEAD}, zero_m},
    {"stage_persistence",
     "",
     "m",
     "floor: the rain of the last hour goes on",
     2,
     {DIM_STATION, DIM_LEAD},
     persistence_m},
};
enum { VARIABLES = sizeof variables / sizeof *variables };

static void define(struct file *file, const size_t *lengths, int *ret_ids) {
    static const char *const names[DIMS] = {"station", "quantile", "level", "lead_time",
                                            "name_length"};
    static const double fill = NAN;
    for (int d = 0; d < DIMS; d++) {
        call(file, nc_def_dim(file->id, names[d], lengths[d], &file->dims[d]), names[d]);
    }
    for (int v = 0; v < VARIABLES; v++) {
        const struct variable *variable = &variables[v];
        int dims[3];
        for (int d = 0; d < variable->dim_count; d++) {
            dims[d] = file->dims[variable->dims[d]];
        }
        call(
            file,
            nc_def_var(file->id, variable->name, NC_DOUBLE, variable->dim_count, dims, &ret_ids[v]),
            variable->name);
        if (variable->standard_name[0] != '\0') {
            put_text(file, ret_ids[v], "standard_name", variable->standard_name);
        }
        put_text(file, ret_ids[v], "units", variable->units);
        put_text(file, ret_ids[v], "long_name", variable->long_name);
        if (variable->units == epoch_units) {
            put_text(file, ret_ids[v], "calendar", "standard");
        }
        if (variable->dim_count >= 2) {
            call(file, nc_def_var_fill(file->id, ret_ids[v], NC_FILL, &fill), "_FillValue");
            put_text(file, ret_ids[v], "coordinates", "time forecast_reference_time station_id");
        }
    }
}

static void put_values(struct file *file, const struct flood_run *run, const size_t *lengths,
                       const struct variable *variable, int id, double *room) {
    size_t shape[3] = {1, 1, 1}, count = 0;
    for (int d = 0; d < variable->dim_count; d++) {
        shape[d] = lengths[variable->dims[d]];
    }
    for (size_t a = 0; a < shape[0]; a++) {
        for (size_t b = 0; b < shape[1]; b++) {
            for (size_t c = 0; c < shape[2]; c++) {
                const size_t at[3] = {a, b, c};
                room[count++] = variable->value_of(run, at);
            }
        }
    }
    call(file, nc_put_var_double(file->id, id, room), variable->name);
}

static void put_names(struct file *file, const struct flood_run *run, int id) {
    for (size_t g = 0; g < run->site->gauge_count; g++) {
        char text[NAME_SIZE] = {0};
        const size_t start[2] = {g, 0}, count[2] = {1, NAME_SIZE};
        (void)snprintf(text, sizeof text, "%s", run->site->gauges[g].at.station);
        call(file, nc_put_vara_text(file->id, id, start, count, text), "station_id");
    }
}

static void fill(struct file *file, const struct flood_run *run, const char *manifest_sha256,
                 double *room) {
    const size_t lengths[DIMS] = {run->site->gauge_count, FORECAST_QUANTILES, FLOOD_LEVELS_MAX,
                                  FLOOD_LEADS, NAME_SIZE};
    int ids[VARIABLES] = {0}, station = 0;
    define(file, lengths, ids);
    const int dims[2] = {file->dims[DIM_STATION], file->dims[DIM_NAME]};
    call(file, nc_def_var(file->id, "station_id", NC_CHAR, 2, dims, &station), "station_id");
    put_text(file, station, "cf_role", "timeseries_id");
    put_text(file, NC_GLOBAL, "Conventions", "CF-1.8");
    put_text(file, NC_GLOBAL, "featureType", "timeSeries");
    put_text(file, NC_GLOBAL, "title", "stage and discharge forecasts");
    put_text(file, NC_GLOBAL, "source", "canhbao-model flood " CANHBAO_VERSION);
    put_text(file, NC_GLOBAL, "manifest_sha256", manifest_sha256);
    call(file, nc_enddef(file->id), "definitions");
    put_names(file, run, station);
    for (int v = 0; v < VARIABLES; v++) {
        put_values(file, run, lengths, &variables[v], ids[v], room);
    }
}

int flood_write_nc(const char *path, const struct flood_run *run, const char *manifest_sha256,
                   struct err *ret_err) {
    char temporary[4096];
    struct file file = {.status = NC_NOERR, .what = ""};
    double *room = calloc(run->site->gauge_count * FORECAST_QUANTILES * FLOOD_LEADS, sizeof *room);
    if (room == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the NetCDF file");
    }
    if (snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid()) >=
        (int)sizeof temporary) {
        free(room);
        return err_set(ret_err, ERR_LIMIT, "the name of the NetCDF file is too long");
    }
    call(&file, nc_create(temporary, NC_NETCDF4 | NC_NOCLOBBER, &file.id), "create");
    if (file.status == NC_NOERR) {
        fill(&file, run, manifest_sha256, room);
        call(&file, nc_close(file.id), "close");
        if (file.status != NC_NOERR || rename(temporary, path) != 0) {
            (void)unlink(temporary); /* half a file is worse than none */
            file.status = file.status != NC_NOERR ? file.status : NC_EPERM;
            file.what = file.status == NC_EPERM ? "rename" : file.what;
        }
    }
    free(room);
    return file.status == NC_NOERR ? 0
                                   : err_set(ret_err, ERR_IO, "%.300s: %.40s: %s", path, file.what,
                                             nc_strerror(file.status));
}
