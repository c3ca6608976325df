/* The state file of slopes.h. */
#include <math.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/ids.h"
#include "models/landslide/slopes.h"

static int write_all(int id, const struct slopes *slopes, const char *identity) {
    int dims[2] = {0, 0}, rain = 0, end = 0;
    const long long end_us = slopes->late_us;
    int status = nc_def_dim(id, "hour", SLOPES_HOURS, &dims[0]);
    status = status != NC_NOERR ? status : nc_def_dim(id, "place", slopes->place_count, &dims[1]);
    status = status != NC_NOERR ? status : nc_def_var(id, "rain", NC_FLOAT, 2, dims, &rain);
    status = status != NC_NOERR ? status : nc_def_var_deflate(id, rain, 1, 1, 1);
    status = status != NC_NOERR ? status : nc_put_att_text(id, rain, "units", 2, "mm");
    status = status != NC_NOERR ? status : nc_def_var(id, "end_time", NC_INT64, 0, NULL, &end);
    status = status != NC_NOERR
                 ? status
                 : nc_put_att_text(id, NC_GLOBAL, "identity", strlen(identity), identity);
    status = status != NC_NOERR ? status : nc_enddef(id);
    status = status != NC_NOERR ? status : nc_put_var_float(id, rain, slopes->late_rain_mm);
    return status != NC_NOERR ? status : nc_put_var_longlong(id, end, &end_us);
}

int slopes_save(const char *path, const struct slopes *slopes, const char *identity,
                struct err *ret_err) {
    char temporary[4096];
    int id = 0;
    if (snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid()) >=
        (int)sizeof temporary) {
        return err_set(ret_err, ERR_LIMIT, "the name of the state file is too long");
    }
    int status = nc_create(temporary, NC_NETCDF4 | NC_NOCLOBBER, &id);
    if (status == NC_NOERR) {
        status = write_all(id, slopes, identity);
        int closed = nc_close(id);
        status = status != NC_NOERR ? status : closed;
        if (status != NC_NOERR || rename(temporary, path) != 0) {
            (void)unlink(temporary); /* half a file is worse than none */
            status = status != NC_NOERR ? status : NC_EPERM;
        }
    }
    return status == NC_NOERR ? 0
                              : err_set(ret_err, ERR_IO, "%.300s: %s", path, nc_strerror(status));
}

static bool same_identity(int id, const char *identity) {
    char text[HASH_TEXT_SIZE] = {0};
    size_t length = 0;
    return nc_inq_attlen(id, NC_GLOBAL, "identity", &length) == NC_NOERR &&
           length == HASH_TEXT_SIZE - 1 &&
           nc_get_att_text(id, NC_GLOBAL, "identity", text) == NC_NOERR &&
           strcmp(text, identity) == 0;
}

/* The sums have the form that they were written in, so that they fit into their place. */
static bool has_form(int id, const struct slopes *slopes, int *ret_rain, int *ret_end) {
    nc_type type = NC_NAT;
    int count = 0, dims[NC_MAX_VAR_DIMS];
    size_t hours = 0, places = 0;
    return nc_inq_varid(id, "rain", ret_rain) == NC_NOERR &&
           nc_inq_var(id, *ret_rain, NULL, &type, &count, dims, NULL) == NC_NOERR &&
           type == NC_FLOAT && count == 2 && nc_inq_dimlen(id, dims[0], &hours) == NC_NOERR &&
           nc_inq_dimlen(id, dims[1], &places) == NC_NOERR && hours == SLOPES_HOURS &&
           places == slopes->place_count && nc_inq_varid(id, "end_time", ret_end) == NC_NOERR &&
           nc_inq_varndims(id, *ret_end, &count) == NC_NOERR && count == 0;
}

static int read_all(int id, const char *path, struct slopes *slopes, float *rain_mm,
                    struct err *ret_err) {
    int rain = 0, end = 0;
    long long end_us = 0;
    bool good = has_form(id, slopes, &rain, &end) &&
                nc_get_var_float(id, rain, rain_mm) == NC_NOERR &&
                nc_get_var_longlong(id, end, &end_us) == NC_NOERR && end_us > 0 &&
                end_us % INT64_C(3600000000) == 0;
    for (size_t i = 0; good && i < SLOPES_HOURS * slopes->place_count; i++) {
        good = isnan(rain_mm[i]) || (rain_mm[i] >= 0 && rain_mm[i] < 1e5F);
    }
    if (!good) {
        return err_set(ret_err, ERR_CORRUPT, "%.300s: the state is not as it was written", path);
    }
    memcpy(slopes->rain_mm, rain_mm, SLOPES_HOURS * slopes->place_count * sizeof *rain_mm);
    slopes->end_us = end_us;
    return 0;
}

int slopes_load(const char *path, struct slopes *slopes, const char *identity,
                struct err *ret_err) {
    int id = 0, status = nc_open(path, NC_NOWRITE, &id);
    if (status != NC_NOERR) {
        return err_set(ret_err, status == NC_ENOTNC || status == NC_EHDFERR ? ERR_CORRUPT : ERR_IO,
                       "%.300s: %s", path, nc_strerror(status));
    }
    float *rain_mm = calloc(SLOPES_HOURS * slopes->place_count + 1, sizeof *rain_mm);
    int rc = 0;
    if (rain_mm == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for the state");
    } else if (!same_identity(id, identity)) {
        rc =
            err_set(ret_err, ERR_INVALID, "%.300s: the state of another susceptibility grid", path);
    } else {
        rc = read_all(id, path, slopes, rain_mm, ret_err);
    }
    (void)nc_close(id); /* only read */
    free(rain_mm);
    return rc;
}
