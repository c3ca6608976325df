/* Rain-rate grids of the scenario's rain field, as CF-1.8 NetCDF-4 (classic model) files: packed
 * short `rainfall_rate(time, y, x)` with _FillValue -32768 outside the radars' range, on a
 * latitude/longitude grid or on a polar stereographic one (sphere of 6371000 m; inverse after
 * Snyder 1987, USGS Professional Paper 1395, equations 20-14 to 20-18).
 *
 * A product with `forecast` makes a numerical weather forecast instead: a file issued at T holds
 * the means over the hours that end at T + 1 h, T + 2 h, ..., times a factor, because no forecast
 * hits the amount.
 *
 * A frame valid at T is written at T + latency under a name that starts with a dot, and renamed to
 * FOLDER/PRODUCT/PRODUCT_YYYYMMDDTHHMMSSZ.nc. Scripted bad frames take the place of the first frame
 * valid at or after their time. Thread rule: the loop's thread. */
#ifndef CANHBAO_SIM_FRAMES_H
#define CANHBAO_SIM_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doc.h"
#include "rainfield.h"

enum {
    FRAMES_PRODUCTS_MAX = 16,
    FRAMES_BAD_MAX = 64,
    FRAMES_RADARS_MAX = 8,
    FRAMES_SIDE_MAX = 4000, /* cells along one axis */
    FRAMES_HOURS_MAX = 240,
    FRAMES_NAME_MAX = 64
};

enum frame_bad {
    FRAME_GOOD,
    FRAME_EMPTY,            /* a file of 0 bytes */
    FRAME_GARBAGE,          /* 4096 bytes that are no NetCDF */
    FRAME_TRUNCATED,        /* the first half of a good file */
    FRAME_WRONG_UNIT,       /* units = "K" */
    FRAME_MISSING_VARIABLE, /* the variable has another name */
    FRAME_NO_FILL,          /* no _FillValue attribute */
    FRAME_NO_TIME,          /* no time coordinate */
    FRAME_FUTURE_TIME,      /* valid a day later than the file's name says */
    FRAME_REPEATED_TIME,    /* valid when the frame before it was */
    FRAME_HUGE              /* declares 60000 x 60000 cells */
};
extern const char *const frame_bad_names[]; /* NULL-terminated, in the order of the enum */

struct frame_grid {
    bool polar; /* x, y in metres instead of longitude, latitude in degrees */
    double x0;  /* centre of the first column; y0: of the first, northernmost row */
    double y0;
    double step;
    size_t columns;
    size_t rows;
    double lat_true_deg;
    double lon_0_deg;
};

struct product {
    char name[FRAMES_NAME_MAX];
    char unit[FRAMES_NAME_MAX];
    double unit_per_mm_h; /* value in `unit` of 1 mm/h */
    double resolution_mm_h;
    int64_t every_us;
    int64_t latency_us;
    int64_t from_us;
    int64_t to_us;
    struct frame_grid grid;
    double radar_lat[FRAMES_RADARS_MAX];
    double radar_lon[FRAMES_RADARS_MAX];
    double radar_km[FRAMES_RADARS_MAX];
    size_t radar_count;     /* 0: everything is covered */
    int64_t forecast_hours; /* 0: the field as it is */
    double forecast_gain;
    int64_t bad_at_us[FRAMES_BAD_MAX];
    enum frame_bad bad_kind[FRAMES_BAD_MAX];
    size_t bad_count;
};

struct frames {
    struct product products[FRAMES_PRODUCTS_MAX];
    size_t count;
};

int frames_load(struct frames *frames, struct doc *doc, yaml_node_t *list, struct err *ret_err);

/* What stands in the script for the frame valid at valid_us. */
enum frame_bad frames_bad(const struct product *product, int64_t valid_us);

/* Writes one frame into folder/PRODUCT (made when missing). ret_name (FRAMES_NAME_MAX + 32 bytes)
 * gets the file's name. */
int frames_write(const struct product *product, const struct rainfield *field, const char *folder,
                 int64_t valid_us, char *ret_name, struct err *ret_err);

#endif
