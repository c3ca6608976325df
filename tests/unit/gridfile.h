/* Small NetCDF files for tests, written with the library directly (not with our own writer). */
#ifndef CANHBAO_TESTS_UNIT_GRIDFILE_H
#define CANHBAO_TESTS_UNIT_GRIDFILE_H

#include <math.h>
#include <netcdf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What to leave out or spoil; the text of the refusal is checked by the caller. */
struct gridfile {
    const char *path;
    size_t frames, rows, columns;
    const double *x, *y;      /* centres */
    const char *x_units;      /* NULL: "degrees_east" */
    const char *y_units;      /* NULL: "degrees_north" */
    const char *mapping;      /* grid_mapping_name; NULL: no crs variable */
    const char *const *names; /* attributes of crs, NULL terminated */
    const double *numbers;
    const double *times;    /* [frames] */
    const char *time_units; /* NULL: seconds since 1970 */
    const char *calendar;
    nc_type time_type;    /* 0: NC_DOUBLE */
    nc_type type;         /* 0: NC_SHORT with scale 0.01 */
    const char *units;    /* NULL: "mm h-1"; "": none */
    const char *variable; /* NULL: "rainfall_rate" */
    int no_fill, no_time, scalar_time, no_standard_name;
    double scale;         /* 0: 0.01 for shorts, none for others */
    const double *values; /* [frames * rows * columns], NAN missing */
    int format;           /* 0: NC_NETCDF4 | NC_CLASSIC_MODEL */
};

static inline void gridfile_check(int status, int line) {
    if (status != NC_NOERR) {
        fail_msg("gridfile line %d: %s", line, nc_strerror(status));
    }
}
#define GF(call) gridfile_check((call), __LINE__)

static inline void gridfile_text(int id, int variable, const char *name, const char *text) {
    GF(nc_put_att_text(id, variable, name, strlen(text), text));
}

static inline void gridfile_values(const struct gridfile *file, int id, int variable) {
    size_t count = file->frames * file->rows * file->columns;
    double scale = file->scale != 0.0 ? file->scale : 0.01;
    double *stored = malloc(count * sizeof *stored);
    assert_non_null(stored);
    for (size_t i = 0; i < count; i++) {
        double value = file->values != NULL ? file->values[i] : (double)(i % 100);
        int packed = file->type == 0 || file->type == NC_SHORT;
        stored[i] = !packed ? value : isnan(value) ? -32768.0 : round(value / scale);
    }
    GF(nc_put_var_double(id, variable, stored));
    free(stored);
}

static inline void gridfile_data(const struct gridfile *file, int id, const int *dims, int count) {
    int variable;
    nc_type type = file->type != 0 ? file->type : NC_SHORT;
    const char *units = file->units != NULL ? file->units : "mm h-1";
    GF(nc_def_var(id, file->variable != NULL ? file->variable : "rainfall_rate", type, count, dims,
                  &variable));
    if (!file->no_standard_name) {
        gridfile_text(id, variable, "standard_name", "rainfall_rate");
    }
    if (units[0] != '\0') {
        gridfile_text(id, variable, "units", units);
    }
    if (file->mapping != NULL) {
        gridfile_text(id, variable, "grid_mapping", "crs");
    }
    if (type == NC_SHORT) {
        double scale = file->scale != 0.0 ? file->scale : 0.01;
        short fill = -32768;
        GF(nc_put_att_double(id, variable, "scale_factor", NC_DOUBLE, 1, &scale));
        if (!file->no_fill) {
            GF(nc_put_att_short(id, variable, "_FillValue", NC_SHORT, 1, &fill));
        }
    } else if (!file->no_fill && type == NC_FLOAT) {
        float fill = NAN;
        GF(nc_put_att_float(id, variable, "_FillValue", NC_FLOAT, 1, &fill));
    }
    GF(nc_enddef(id));
    gridfile_values(file, id, variable);
    GF(nc_redef(id));
}

static inline void gridfile_coordinate(int id, const char *name, int dim, const char *units,
                                       const double *values) {
    int variable;
    GF(nc_def_var(id, name, NC_DOUBLE, 1, &dim, &variable));
    gridfile_text(id, variable, "units", units);
    GF(nc_enddef(id));
    GF(nc_put_var_double(id, variable, values));
    GF(nc_redef(id));
}

static inline void gridfile_time(const struct gridfile *file, int id, int dim) {
    int variable;
    GF(nc_def_var(id, "time", file->time_type != 0 ? file->time_type : NC_DOUBLE,
                  file->scalar_time ? 0 : 1, &dim, &variable));
    gridfile_text(id, variable, "standard_name", "time");
    gridfile_text(id, variable, "units",
                  file->time_units != NULL ? file->time_units
                                           : "seconds since 1970-01-01 00:00:00");
    if (file->calendar != NULL) {
        gridfile_text(id, variable, "calendar", file->calendar);
    }
    GF(nc_enddef(id));
    if (file->times != NULL) {
        GF(nc_put_var_double(id, variable, file->times));
    }
    GF(nc_redef(id));
}

static inline void gridfile_write(const struct gridfile *file) {
    int id, dims[3], crs;
    int format = file->format != 0 ? file->format : NC_NETCDF4 | NC_CLASSIC_MODEL;
    (void)unlink(file->path);
    GF(nc_create(file->path, format, &id));
    GF(nc_def_dim(id, "time", file->frames, &dims[0]));
    GF(nc_def_dim(id, "y", file->rows, &dims[1]));
    GF(nc_def_dim(id, "x", file->columns, &dims[2]));
    if (file->mapping != NULL) {
        GF(nc_def_var(id, "crs", NC_INT, 0, NULL, &crs));
        gridfile_text(id, crs, "grid_mapping_name", file->mapping);
        for (size_t i = 0; file->names != NULL && file->names[i] != NULL; i++) {
            GF(nc_put_att_double(id, crs, file->names[i], NC_DOUBLE, 1, &file->numbers[i]));
        }
    }
    if (!file->no_time) {
        gridfile_time(file, id, dims[0]);
    }
    if (file->x != NULL) {
        gridfile_coordinate(id, "x", dims[2],
                            file->x_units != NULL ? file->x_units : "degrees_east", file->x);
        gridfile_coordinate(id, "y", dims[1],
                            file->y_units != NULL ? file->y_units : "degrees_north", file->y);
    }
    if (file->scalar_time) {
        gridfile_data(file, id, dims + 1, 2);
    } else {
        gridfile_data(file, id, dims, 3);
    }
    GF(nc_close(id));
}

/* A fresh folder below the build tree; the caller's path buffer holds it. */
static inline void gridfile_folder(char *ret_folder, size_t size) {
    (void)snprintf(ret_folder, size, "%s/test-grid-XXXXXX", CANHBAO_BINARY_DIR);
    assert_non_null(mkdtemp(ret_folder));
}

#endif
