/* The writing half of frames.h. */
#include <errno.h>
#include <math.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "frames.h"
#include "table.h"

#define SPHERE_M   6371000.0
#define KM_PER_DEG 111.195
#define DEG        (M_PI / 180.0)

enum { FILL = -32768, RAW_MAX = 32767, HUGE_SIDE = 60000, GARBAGE_BYTES = 4096, PLACE_MAX = 4096 };

static void cell_place(const struct frame_grid *grid, size_t row, size_t column, double *ret_lat,
                       double *ret_lon) {
    double x = grid->x0 + (double)column * grid->step;
    double y = grid->y0 - (double)row * grid->step;
    if (!grid->polar) {
        *ret_lat = y;
        *ret_lon = x;
        return;
    }
    double rho = hypot(x, y);
    double angle = 2.0 * atan(rho / (SPHERE_M * (1.0 + sin(grid->lat_true_deg * DEG))));
    *ret_lat = 90.0 - angle / DEG;
    *ret_lon = grid->lon_0_deg + (rho > 0 ? atan2(x, -y) / DEG : 0.0);
}

static bool covered(const struct product *product, double lat_deg, double lon_deg) {
    for (size_t i = 0; i < product->radar_count; i++) {
        double north_km = (lat_deg - product->radar_lat[i]) * KM_PER_DEG;
        double east_km =
            (lon_deg - product->radar_lon[i]) * KM_PER_DEG * cos(product->radar_lat[i] * DEG);
        if (hypot(north_km, east_km) <= product->radar_km[i]) {
            return true;
        }
    }
    return product->radar_count == 0;
}

/* The packed mean of the field at `count` times, rows * columns, row by row from the north.
 * ERR_MEMORY.
 */
static int pack_mean(const struct product *product, const struct rainfield *field,
                     const int64_t *times_us, size_t count, double gain, short *ret_raw) {
    const struct frame_grid *grid = &product->grid;
    size_t cells = grid->rows * grid->columns;
    double *sum = calloc(cells, sizeof *sum);
    int result = sum == NULL ? ERR_MEMORY : 0;
    for (size_t t = 0; result == 0 && t < count; t++) {
        struct rain_now now = {0};
        result = rainfield_at(field, times_us[t], &now);
        for (size_t i = 0; result == 0 && i < cells; i++) {
            double lat_deg, lon_deg;
            cell_place(grid, i / grid->columns, i % grid->columns, &lat_deg, &lon_deg);
            sum[i] += rain_now_mm_h(&now, lat_deg, lon_deg);
        }
        rain_now_free(&now);
    }
    for (size_t i = 0; result == 0 && i < cells; i++) {
        double lat_deg, lon_deg;
        double steps = gain * sum[i] / (double)count / product->resolution_mm_h;
        cell_place(grid, i / grid->columns, i % grid->columns, &lat_deg, &lon_deg);
        ret_raw[i] = covered(product, lat_deg, lon_deg) ? (short)fmin(round(steps), RAW_MAX) : FILL;
    }
    free(sum);
    return result;
}

static size_t times_of(const struct product *product) {
    return product->forecast_hours > 0 ? (size_t)product->forecast_hours : 1;
}

/* All fields of a file, one after the other. NULL: no memory. */
static short *pack(const struct product *product, const struct rainfield *field, int64_t valid_us) {
    enum { SAMPLES = 6 }; /* of an hour */
    const int64_t hour_us = INT64_C(3600000000);
    size_t cells = product->grid.rows * product->grid.columns, count = times_of(product);
    short *raw = malloc(count * cells * sizeof *raw);
    int result = raw == NULL ? ERR_MEMORY : 0;
    if (product->forecast_hours == 0 && result == 0) {
        result = pack_mean(product, field, &valid_us, 1, 1, raw);
    }
    for (size_t h = 0; product->forecast_hours > 0 && result == 0 && h < count; h++) {
        int64_t times_us[SAMPLES];
        for (int i = 0; i < SAMPLES; i++) {
            times_us[i] = valid_us + (int64_t)h * hour_us + (2 * i + 1) * hour_us / (2 * SAMPLES);
        }
        result =
            pack_mean(product, field, times_us, SAMPLES, product->forecast_gain, raw + h * cells);
    }
    if (result != 0) {
        free(raw);
        return NULL;
    }
    return raw;
}

struct layout {
    int file;
    int time;
    int y;
    int x;
    int rain;
};

static int put_text(int file, int variable, const char *name, const char *text) {
    return nc_put_att_text(file, variable, name, strlen(text), text);
}

static int put_number(int file, int variable, const char *name, double value) {
    return nc_put_att_double(file, variable, name, NC_DOUBLE, 1, &value);
}

static int define_axes(const struct product *product, struct layout *at, const int dims[3],
                       enum frame_bad bad) {
    bool polar = product->grid.polar;
    int status = NC_NOERR;
    if (bad != FRAME_NO_TIME) {
        status = nc_def_var(at->file, "time", NC_DOUBLE, 1, &dims[0], &at->time);
        status = status
                     ? status
                     : put_text(at->file, at->time, "units", "seconds since 1970-01-01 00:00:00");
        status = status ? status : put_text(at->file, at->time, "standard_name", "time");
        status = status ? status : put_text(at->file, at->time, "calendar", "standard");
    }
    status =
        status ? status : nc_def_var(at->file, polar ? "y" : "lat", NC_DOUBLE, 1, &dims[1], &at->y);
    status = status ? status : put_text(at->file, at->y, "units", polar ? "m" : "degrees_north");
    status = status ? status
                    : put_text(at->file, at->y, "standard_name",
                               polar ? "projection_y_coordinate" : "latitude");
    status =
        status ? status : nc_def_var(at->file, polar ? "x" : "lon", NC_DOUBLE, 1, &dims[2], &at->x);
    status = status ? status : put_text(at->file, at->x, "units", polar ? "m" : "degrees_east");
    return status ? status
                  : put_text(at->file, at->x, "standard_name",
                             polar ? "projection_x_coordinate" : "longitude");
}

static int define_mapping(const struct product *product, int file) {
    const struct frame_grid *grid = &product->grid;
    int crs;
    int status = nc_def_var(file, "crs", NC_INT, 0, NULL, &crs);
    status = status ? status
                    : put_text(file, crs, "grid_mapping_name",
                               grid->polar ? "polar_stereographic" : "latitude_longitude");
    status = status ? status : put_number(file, crs, "semi_major_axis", SPHERE_M);
    status = status ? status : put_number(file, crs, "semi_minor_axis", SPHERE_M);
    if (status == NC_NOERR && grid->polar) {
        status = put_number(file, crs, "latitude_of_projection_origin", 90.0);
        status = status ? status
                        : put_number(file, crs, "straight_vertical_longitude_from_pole",
                                     grid->lon_0_deg);
        status = status ? status : put_number(file, crs, "standard_parallel", grid->lat_true_deg);
        status = status ? status : put_number(file, crs, "false_easting", 0.0);
        status = status ? status : put_number(file, crs, "false_northing", 0.0);
    }
    return status;
}

static int define_rain(const struct product *product, struct layout *at, const int dims[3],
                       enum frame_bad bad) {
    const size_t chunks[3] = {1, product->grid.rows, product->grid.columns};
    const short fill = FILL;
    const char *name = bad == FRAME_MISSING_VARIABLE ? "reflectivity" : "rainfall_rate";
    int status = nc_def_var(at->file, name, NC_SHORT, 3, dims, &at->rain);
    status = status ? status : nc_def_var_chunking(at->file, at->rain, NC_CHUNKED, chunks);
    status = status ? status : nc_def_var_deflate(at->file, at->rain, 1, 1, 1);
    if (status == NC_NOERR && bad != FRAME_NO_FILL) {
        status = nc_put_att_short(at->file, at->rain, "_FillValue", NC_SHORT, 1, &fill);
    }
    status = status ? status : put_text(at->file, at->rain, "standard_name", "rainfall_rate");
    status = status ? status
                    : put_text(at->file, at->rain, "units",
                               bad == FRAME_WRONG_UNIT ? "K" : product->unit);
    status = status ? status
                    : put_number(at->file, at->rain, "scale_factor",
                                 product->resolution_mm_h * product->unit_per_mm_h);
    status = status ? status : put_number(at->file, at->rain, "add_offset", 0.0);
    return status ? status : put_text(at->file, at->rain, "grid_mapping", "crs");
}

static int define(const struct product *product, struct layout *at, enum frame_bad bad) {
    bool polar = product->grid.polar;
    bool huge = bad == FRAME_HUGE;
    int dims[3];
    int status = nc_def_dim(at->file, "time", times_of(product), &dims[0]);
    status = status ? status
                    : nc_def_dim(at->file, polar ? "y" : "lat",
                                 huge ? HUGE_SIDE : product->grid.rows, &dims[1]);
    status = status ? status
                    : nc_def_dim(at->file, polar ? "x" : "lon",
                                 huge ? HUGE_SIDE : product->grid.columns, &dims[2]);
    status = status ? status : define_axes(product, at, dims, bad);
    status = status ? status : define_mapping(product, at->file);
    status = status ? status : define_rain(product, at, dims, bad);
    status = status ? status : put_text(at->file, NC_GLOBAL, "Conventions", "CF-1.8");
    status = status ? status
                    : put_text(at->file, NC_GLOBAL, "title", "invented rain field of a simulator");
    status =
        status ? status : put_text(at->file, NC_GLOBAL, "source", "canhbao-sim; not a measurement");
    return status ? status : nc_enddef(at->file);
}

static int put_axes(const struct product *product, const struct layout *at, double time_s) {
    const struct frame_grid *grid = &product->grid;
    double values[FRAMES_SIDE_MAX];
    const size_t start = 0;
    for (size_t i = 0; i < times_of(product); i++) {
        values[i] = time_s + (product->forecast_hours > 0 ? 3600.0 * (double)(i + 1) : 0);
    }
    int status = at->time >= 0 ? nc_put_var_double(at->file, at->time, values) : NC_NOERR;
    for (size_t i = 0; i < grid->rows; i++) {
        values[i] = grid->y0 - (double)i * grid->step;
    }
    status = status ? status : nc_put_vara_double(at->file, at->y, &start, &grid->rows, values);
    for (size_t i = 0; i < grid->columns; i++) {
        values[i] = grid->x0 + (double)i * grid->step;
    }
    return status ? status : nc_put_vara_double(at->file, at->x, &start, &grid->columns, values);
}

/* Returns a NetCDF status. A huge file gets its axes' beginning and no field: it is small on disk.
 */
static int write_netcdf(const struct product *product, const short *raw, const char *path,
                        int64_t valid_us, enum frame_bad bad) {
    struct layout at = {.time = -1};
    int status = nc_create(path, NC_CLOBBER | NC_NETCDF4 | NC_CLASSIC_MODEL, &at.file);
    if (status != NC_NOERR) {
        return status;
    }
    int64_t time_us = valid_us;
    if (bad == FRAME_FUTURE_TIME) {
        time_us += INT64_C(86400000000);
    } else if (bad == FRAME_REPEATED_TIME) {
        time_us -= product->every_us;
    }
    status = define(product, &at, bad);
    status = status ? status : put_axes(product, &at, (double)time_us / 1e6);
    if (status == NC_NOERR && bad != FRAME_HUGE) {
        const size_t start[3] = {0, 0, 0};
        const size_t count[3] = {times_of(product), product->grid.rows, product->grid.columns};
        status = nc_put_vara_short(at.file, at.rain, start, count, raw);
    }
    int closed = nc_close(at.file);
    return status ? status : closed;
}

/* A file that is no NetCDF at all. */
static int write_bytes(const char *path, size_t count, uint64_t seed) {
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return ERR_IO;
    }
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        good = good && fputc((int)(noise_bits(seed, i, 0, 0) & 0xff), file) != EOF;
    }
    return fclose(file) == 0 && good ? 0 : ERR_IO;
}

static int write_frame(const struct product *product, const struct rainfield *field,
                       const char *path, int64_t valid_us, struct err *ret_err) {
    enum frame_bad bad = frames_bad(product, valid_us);
    if (bad == FRAME_EMPTY || bad == FRAME_GARBAGE) {
        size_t count = bad == FRAME_EMPTY ? 0 : GARBAGE_BYTES;
        return write_bytes(path, count, (uint64_t)valid_us) == 0
                   ? 0
                   : err_set(ret_err, ERR_IO, "%.300s: %s", path, strerror(errno));
    }
    short *raw = pack(product, field, valid_us);
    if (raw == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a frame");
    }
    int status = write_netcdf(product, raw, path, valid_us, bad);
    free(raw);
    if (status != NC_NOERR) {
        return err_set(ret_err, ERR_IO, "%.300s: %s", path, nc_strerror(status));
    }
    struct stat info;
    if (bad == FRAME_TRUNCATED &&
        (stat(path, &info) != 0 || truncate(path, info.st_size / 2) != 0)) {
        return err_set(ret_err, ERR_IO, "%.300s: %s", path, strerror(errno));
    }
    return 0;
}

/* PRODUCT_YYYYMMDDTHHMMSSZ.nc */
static void frame_name(const struct product *product, int64_t valid_us, char *ret_name,
                       size_t size) {
    char time[32];
    char digits[32];
    size_t used = 0;
    text_format_time(valid_us - valid_us % 1000000, time, sizeof time);
    for (const char *at = time; *at != '\0'; at++) {
        if (*at != '-' && *at != ':') {
            digits[used++] = *at;
        }
    }
    digits[used] = '\0';
    (void)snprintf(ret_name, size, "%s_%.24s.nc", product->name, digits); /* size is documented */
}

int frames_write(const struct product *product, const struct rainfield *field, const char *folder,
                 int64_t valid_us, char *ret_name, struct err *ret_err) {
    char name[FRAMES_NAME_MAX + 32];
    char place[PLACE_MAX];
    char temporary[PLACE_MAX + sizeof name + 8];
    char final[PLACE_MAX + sizeof name + 8];
    frame_name(product, valid_us, name, sizeof name);
    int length = snprintf(place, sizeof place, "%s/%s", folder, product->name);
    if (length < 0 || (size_t)length >= sizeof place) {
        return err_set(ret_err, ERR_LIMIT, "the inbox path is too long");
    }
    if (mkdir(place, 0755) != 0 && errno != EEXIST) {
        return err_set(ret_err, ERR_IO, "%.300s: %s", place, strerror(errno));
    }
    (void)snprintf(temporary, sizeof temporary, "%s/.%s.tmp", place, name); /* fits */
    (void)snprintf(final, sizeof final, "%s/%s", place, name);
    int result = write_frame(product, field, temporary, valid_us, ret_err);
    if (result == 0 && rename(temporary, final) != 0) {
        result = err_set(ret_err, ERR_IO, "%.300s: %s", final, strerror(errno));
    }
    if (result != 0) {
        (void)unlink(temporary); /* it may not even exist */
        return result;
    }
    memcpy(ret_name, name, strlen(name) + 1);
    return 0;
}
