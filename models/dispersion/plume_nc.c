#include "models/dispersion/plume_nc.h"

#include <math.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/dispersion/local.h"

enum { COLUMNS_MAX = 32, FLAGS_MAX = 8, PLACES = 5, PATH_SIZE = 4096 };

struct out {
    int id, status;
    int dims[2]; /* time, receptor */
    const char *what;
};

static void keep(struct out *o, int status, const char *what) {
    if (o->status == NC_NOERR && status != NC_NOERR) {
        o->status = status;
        o->what = what;
    }
}

static void put_text(struct out *o, int variable, const char *name, const char *text) {
    keep(o, nc_put_att_text(o->id, variable, name, strlen(text), text), name);
}

static int define(struct out *o, const char *name, const char *units, const char *standard,
                  const char *long_name, int first_dim, int dim_count) {
    int id = -1;
    double nan = (double)NAN;
    keep(o, nc_def_var(o->id, name, NC_DOUBLE, dim_count, o->dims + first_dim, &id), name);
    put_text(o, id, "units", units);
    if (standard != NULL) {
        put_text(o, id, "standard_name", standard);
    }
    put_text(o, id, "long_name", long_name);
    if (first_dim == 0 || standard == NULL) {
        keep(o, nc_put_att_double(o->id, id, "_FillValue", NC_DOUBLE, 1, &nan), name);
    }
    return id;
}

/* CF 3.5: what the values mean. */
static void put_flags(struct out *o, int id, const struct plume_nc_column *column) {
    double values[FLAGS_MAX];
    char meanings[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < column->meaning_count && i < FLAGS_MAX; i++) {
        values[i] = (double)i;
        used += (size_t)snprintf(meanings + used, sizeof meanings - used, "%s%.20s",
                                 i > 0 ? " " : "", column->meanings[i]);
    }
    keep(o, nc_put_att_double(o->id, id, "flag_values", NC_DOUBLE, column->meaning_count, values),
         "flag_values");
    put_text(o, id, "flag_meanings", meanings);
}

/* Where the mass of the particles is at the end. */
static void put_mass(struct out *o, const struct far_mass *mass) {
    const struct {
        const char *name;
        double value;
    } shares[] = {{"particles_released", mass->released},   {"particles_in_air", mass->air},
                  {"particles_deposited", mass->deposited}, {"particles_decayed", mass->decayed},
                  {"particles_past_receptors", mass->done}, {"particles_left_wind", mass->gone}};
    for (size_t i = 0; mass->released > 0 && i < sizeof shares / sizeof *shares; i++) {
        keep(o, nc_put_att_double(o->id, NC_GLOBAL, shares[i].name, NC_DOUBLE, 1, &shares[i].value),
             shares[i].name);
    }
}

static int place_columns(const struct puff_receptor *receptors, size_t count,
                         const struct weather_origin *origin, double *values) {
    int known = isfinite(origin->latitude_deg) && isfinite(origin->longitude_deg);
    for (size_t i = 0; i < count; i++) {
        const struct puff_receptor *r = &receptors[i];
        values[i] = r->x_m;
        values[count + i] = r->y_m;
        values[2 * count + i] = r->z_m;
        if (known) {
            local_to_ground(origin, r->x_m, r->y_m, &values[3 * count + i], &values[4 * count + i]);
        }
    }
    return known ? PLACES : PLACES - 2;
}

static void define_all(struct out *o, int places, size_t times, size_t count,
                       const struct plume_nc_column *columns, size_t column_count,
                       const struct far_mass *mass, int *ids) {
    static const char *const about[PLACES][4] = {
        {"x_east_m", "m", NULL, "distance east of the origin"},
        {"y_north_m", "m", NULL, "distance north of the origin"},
        {"z_m", "m", "height", "height above ground"},
        {"lon", "degrees_east", "longitude", "longitude"},
        {"lat", "degrees_north", "latitude", "latitude"}};
    if (times > 0) {
        keep(o, nc_def_dim(o->id, "time", times, &o->dims[0]), "time");
    }
    keep(o, nc_def_dim(o->id, "receptor", count, &o->dims[1]), "receptor");
    for (int i = 0; i < places; i++) {
        ids[i] = define(o, about[i][0], about[i][1], about[i][2], about[i][3], 1, 1);
    }
    if (times > 0) {
        keep(o, nc_def_var(o->id, "time", NC_DOUBLE, 1, o->dims, &ids[PLACES]), "time");
        put_text(o, ids[PLACES], "units", "seconds since 1970-01-01T00:00:00Z");
        put_text(o, ids[PLACES], "standard_name", "time");
        put_text(o, ids[PLACES], "calendar", "standard");
    }
    for (size_t c = 0; c < column_count; c++) {
        int id = define(o, columns[c].name, columns[c].units, NULL, columns[c].long_name,
                        times > 0 ? 0 : 1, times > 0 ? 2 : 1);
        put_text(o, id, "coordinates", places == PLACES ? "lon lat z_m" : "x_east_m y_north_m z_m");
        if (columns[c].meanings != NULL) {
            put_flags(o, id, &columns[c]);
        }
        ids[PLACES + 1 + c] = id;
    }
    put_text(o, NC_GLOBAL, "Conventions", "CF-1.8");
    put_text(o, NC_GLOBAL, "featureType", times > 0 ? "timeSeries" : "point");
    put_text(o, NC_GLOBAL, "title", "Concentrations and doses downwind of a release");
    put_text(o, NC_GLOBAL, "source", "canhbao-model plume " CANHBAO_VERSION);
    put_mass(o, mass);
    keep(o, nc_enddef(o->id), "definitions");
}

int plume_nc_write(const char *path, const struct puff_receptor *receptors, size_t count,
                   const int64_t *utc_us, size_t times, const struct weather_origin *origin,
                   const struct plume_nc_column *columns, size_t column_count,
                   const struct far_mass *mass, struct err *ret_err) {
    char temporary[PATH_SIZE];
    int ids[PLACES + 1 + COLUMNS_MAX];
    struct out o = {.status = NC_NOERR};
    double *values = calloc(PLACES * count + times + 1, sizeof *values);
    if (values == NULL || column_count > COLUMNS_MAX) {
        free(values);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu receptors", count);
    }
    (void)snprintf(temporary, sizeof temporary, "%.4000s.tmp", path);
    o.status = nc_create(temporary, NC_NETCDF4 | NC_CLOBBER, &o.id);
    if (o.status != NC_NOERR) {
        free(values);
        return err_set(ret_err, ERR_IO, "%s: %s", path, nc_strerror(o.status));
    }
    int places = place_columns(receptors, count, origin, values);
    define_all(&o, places, times, count, columns, column_count, mass, ids);
    for (int i = 0; i < places && o.status == NC_NOERR; i++) {
        keep(&o, nc_put_var_double(o.id, ids[i], values + (size_t)i * count), "places");
    }
    for (size_t i = 0; i < times; i++) {
        values[PLACES * count + i] = (double)utc_us[i] / 1e6;
    }
    if (times > 0 && o.status == NC_NOERR) {
        keep(&o, nc_put_var_double(o.id, ids[PLACES], values + PLACES * count), "time");
    }
    for (size_t c = 0; c < column_count && o.status == NC_NOERR; c++) {
        keep(&o, nc_put_var_double(o.id, ids[PLACES + 1 + c], columns[c].values), columns[c].name);
    }
    keep(&o, nc_close(o.id), "close");
    free(values);
    if (o.status != NC_NOERR || rename(temporary, path) != 0) {
        (void)unlink(temporary); /* half a file is worse than none */
        return err_set(ret_err, ERR_IO, "%s: %s: %s", path, o.what != NULL ? o.what : "rename",
                       nc_strerror(o.status));
    }
    return 0;
}
