#include "models/nowcast/guidance.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "models/grid/curvilinear.h"
#include "models/grid/geo.h"

enum { US_PER_S = 1000000, MOTION_FRAMES = 3 };

static const double us_per_min = 60e6;
static const double radians_per_degree = 0.017453292519943295;
static const double earth_m = 6371000.0;
static const double memory_min = 10.0;

static void replace(struct motion *motion, struct motion *by, enum motion_source source) {
    by->source = source;
    motion_finish(motion);
    *motion = *by;
}

/* ---- earlier frames ---- */

int guidance_earlier(struct frames *frames, size_t newest, int threads, struct motion *motion,
                     double *ret_age_min, struct err *ret_err) {
    int64_t oldest_us = frames->utc_us[newest] - GUIDANCE_EARLIER_MIN * (int64_t)us_per_min;
    int result = ERR_OK;
    for (size_t i = newest; i-- > 1 && frames->utc_us[i] >= oldest_us;) {
        struct frames_pick pick = {0};
        struct motion earlier = {0};
        result = frames_pick(frames, i, MOTION_FRAMES, &pick, ret_err);
        struct motion_input input = {.nx = frames->nx,
                                     .ny = frames->ny,
                                     .count = pick.count,
                                     .speed_px_max = frames_speed_px_max(frames),
                                     .threads = threads};
        for (int k = 0; k < pick.count; k++) {
            input.frame[k] = pick.rate[k];
            input.step_of_frame[k] = pick.step_of_frame[k];
        }
        if (result == ERR_OK && motion_estimate(&input, &earlier) != ERR_OK) {
            result = err_set(ret_err, ERR_MEMORY, "no memory for a motion");
        }
        frames_pick_finish(&pick);
        if (result != ERR_OK) {
            return result;
        }
        if (earlier.source == MOTION_TRACKED) {
            *ret_age_min = (double)(frames->utc_us[newest] - frames->utc_us[i]) / us_per_min;
            replace(motion, &earlier, MOTION_EARLIER);
            return ERR_OK;
        }
        motion_finish(&earlier);
    }
    return result;
}

/* ---- an earlier run ---- */

/* m/s along the axes of the grid to pixels per step along columns and rows: the inverse of what
 * nowcast writes. */
static void find_scale(const struct frames *frames, float *ret_x, float *ret_y) {
    const struct grid *grid = frames->grid;
    double step_s = (double)frames->step_us / US_PER_S;
    double east = !grid->curvilinear && grid->x[1] < grid->x[0] ? -1.0 : 1.0;
    double north = !grid->curvilinear && grid->y[1] < grid->y[0] ? -1.0 : 1.0;
    *ret_x = (float)(east * step_s / frames->pixel_x_m);
    *ret_y = (float)(north * step_s / frames->pixel_y_m);
}

/* A variable that must be there: ERR_NOT_FOUND is for what is there but too old. */
static int open_needed(struct ncfile *file, const char *name, const char *standard_name,
                       struct ncvar **ret_var, struct err *ret_err) {
    int result = ncvar_open(file, name, standard_name, "m s-1", ret_var, ret_err);
    return result == ERR_NOT_FOUND ? ERR_INVALID : result;
}

/* One component at the nodes. */
static int read_component(struct frames *frames, struct ncfile *file, const char *name, float scale,
                          int64_t *ret_utc_us, struct motion *motion, float *to,
                          struct err *ret_err) {
    struct ncvar *var = NULL;
    struct grid *grid = NULL;
    float *field = malloc((size_t)frames->nx * (size_t)frames->ny * sizeof *field);
    int result = field == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a motion")
                               : open_needed(file, name, NULL, &var, ret_err);
    result = result == 0 ? ncvar_grid(var, &grid, ret_err) : result;
    if (result == 0 && (!grid_same(grid, frames->grid) || ncvar_frame_count(var) != 1)) {
        result = err_set(ret_err, ERR_NOT_FOUND, "%.200s: a motion on another grid than the frames",
                         ncfile_name(file));
    }
    result = result == 0 ? ncvar_times(var, INT64_MAX, ret_utc_us, ret_err) : result;
    result = result == 0 ? ncvar_read_f32(var, 0, field, ret_err) : result;
    for (int node = 0; result == 0 && node < motion->nodes_x * motion->nodes_y; node++) {
        int x = node % motion->nodes_x * MOTION_LATTICE_PX;
        int y = node / motion->nodes_x * MOTION_LATTICE_PX;
        x = x < frames->nx ? x : frames->nx - 1;
        y = y < frames->ny ? y : frames->ny - 1;
        float value = field[(size_t)y * (size_t)frames->nx + (size_t)x];
        to[node] = isnan(value) ? 0.0F : value * scale;
    }
    grid_destroy(grid);
    ncvar_close(var);
    free(field);
    return result;
}

int guidance_previous(struct frames *frames, struct ncfile *file, int64_t reference_us,
                      struct motion *ret_motion, double *ret_age_min, struct err *ret_err) {
    struct motion motion = {0};
    int64_t utc_us = 0;
    float scale_x;
    float scale_y;
    find_scale(frames, &scale_x, &scale_y);
    int result = motion_init_zero(frames->nx, frames->ny, MOTION_PREVIOUS, &motion);
    result = result == 0 ? read_component(frames, file, "motion_x", scale_x, &utc_us, &motion,
                                          motion.u, ret_err)
                         : result;
    result = result == 0 ? read_component(frames, file, "motion_y", scale_y, &utc_us, &motion,
                                          motion.v, ret_err)
                         : result;
    double age_min = (double)(reference_us - utc_us) / us_per_min;
    if (result == 0 && !(age_min >= 0.0 && age_min <= GUIDANCE_PREVIOUS_MIN)) {
        result = err_set(ret_err, ERR_NOT_FOUND, "%.200s: a motion of %.0f min before",
                         ncfile_name(file), age_min);
    }
    if (result != 0) {
        motion_finish(&motion);
        return result;
    }
    *ret_age_min = age_min;
    *ret_motion = motion;
    return ERR_OK;
}

void guidance_smooth(const struct motion *previous, double age_min, struct motion *motion) {
    float w = (float)exp(-age_min / memory_min);
    for (int i = 0; i < motion->nodes_x * motion->nodes_y; i++) {
        motion->u[i] = (motion->u[i] + w * previous->u[i]) / (1.0F + w);
        motion->v[i] = (motion->v[i] + w * previous->v[i]) / (1.0F + w);
    }
}

/* ---- wind ---- */

struct wind {
    struct grid *grid;
    struct geo *geo;
    struct curvilinear *cells; /* between its centres; NULL: the grid has axes */
    float *east;               /* m/s, on its grid */
    float *north;
};

static void wind_finish(struct wind *wind) {
    curvilinear_destroy(wind->cells);
    geo_destroy(wind->geo);
    grid_destroy(wind->grid);
    free(wind->east);
    free(wind->north);
}

/* The frame next to the reference time. */
static int nearest_frame(struct ncvar *var, int64_t reference_us, size_t *ret_frame,
                         struct err *ret_err) {
    size_t count = ncvar_frame_count(var);
    int64_t *utc_us = malloc(count * sizeof *utc_us);
    int result = utc_us == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for times")
                                : ncvar_times_stored(var, utc_us, ret_err);
    size_t best = 0;
    for (size_t i = 1; i < count && result == 0; i++) {
        best = llabs(utc_us[i] - reference_us) < llabs(utc_us[best] - reference_us) ? i : best;
    }
    if (result == 0 &&
        (double)llabs(utc_us[best] - reference_us) > GUIDANCE_WIND_MIN * us_per_min) {
        result = err_set(ret_err, ERR_NOT_FOUND, "no wind within %d min of the reference time",
                         GUIDANCE_WIND_MIN);
    }
    free(utc_us);
    *ret_frame = best;
    return result;
}

static int read_wind_component(struct ncfile *file, const char *standard_name, int64_t reference_us,
                               struct wind *wind, float **ret_values, struct err *ret_err) {
    struct ncvar *var = NULL;
    size_t frame = 0;
    int result = open_needed(file, NULL, standard_name, &var, ret_err);
    if (result == 0 && wind->grid == NULL) {
        result = ncvar_grid(var, &wind->grid, ret_err);
    }
    result = result == 0 ? nearest_frame(var, reference_us, &frame, ret_err) : result;
    if (result == 0) {
        *ret_values = malloc(wind->grid->rows * wind->grid->columns * sizeof **ret_values);
        result = *ret_values == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for the wind")
                                     : ncvar_read_f32(var, frame, *ret_values, ret_err);
    }
    ncvar_close(var);
    return result;
}

static size_t nearest_on(const double *axis, size_t count, double value) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        best = fabs(axis[i] - value) < fabs(axis[best] - value) ? i : best;
    }
    return best;
}

/* false: outside a curvilinear grid, or the projection cannot place it. */
static bool nearest_cell(const struct wind *wind, double lon, double lat, size_t *ret_cell) {
    const struct grid *grid = wind->grid;
    double row;
    double column;
    if (wind->cells != NULL) {
        bool inside = curvilinear_locate(wind->cells, lon, lat, &row, &column);
        *ret_cell = inside ? (size_t)round(row) * grid->columns + (size_t)round(column) : *ret_cell;
        return inside;
    }
    if (geo_forward(wind->geo, 1, &lon, &lat) > 0) {
        return false;
    }
    if (grid->degrees) {
        lon += 360.0 * round((grid->x[grid->columns / 2] - lon) / 360.0);
    }
    *ret_cell = nearest_on(grid->y, grid->rows, lat) * grid->columns +
                nearest_on(grid->x, grid->columns, lon);
    return true;
}

/* The wind of the cell next to a place; false when it is missing there. Wind fields are coarse and
 * smooth, and the motion is made smooth by its lattice. */
static bool wind_at(const struct wind *wind, double lon, double lat, double *ret_east,
                    double *ret_north) {
    size_t cell = 0;
    if (!nearest_cell(wind, lon, lat, &cell)) {
        return false;
    }
    *ret_east = (double)wind->east[cell];
    *ret_north = (double)wind->north[cell];
    return !isnan(*ret_east) && !isnan(*ret_north);
}

/* What a step carries a place by, in degrees. */
static void carry_degrees(const struct frames *frames, double lat, double east, double north,
                          double *ret_lon, double *ret_lat) {
    double step_s = (double)frames->step_us / US_PER_S;
    *ret_lon = east * step_s / (earth_m * cos(lat * radians_per_degree) * radians_per_degree);
    *ret_lat = north * step_s / (earth_m * radians_per_degree);
}

/* Where a node is carried in one step, in pixels. */
static bool carry_straight(const struct frames *frames, struct geo *geo, const struct wind *wind,
                           size_t row, size_t column, float *ret_u, float *ret_v) {
    const struct grid *grid = frames->grid;
    double x = grid->x[column];
    double y = grid->y[row];
    double lon = x;
    double lat = y;
    double east;
    double north;
    double more_lon;
    double more_lat;
    if (geo_inverse(geo, 1, &lon, &lat) > 0 || !wind_at(wind, lon, lat, &east, &north)) {
        return false;
    }
    carry_degrees(frames, lat, east, north, &more_lon, &more_lat);
    lon += more_lon;
    lat += more_lat;
    if (geo_forward(geo, 1, &lon, &lat) > 0) {
        return false;
    }
    double dx = (grid->x[grid->columns - 1] - grid->x[0]) / (double)(grid->columns - 1);
    double dy = (grid->y[grid->rows - 1] - grid->y[0]) / (double)(grid->rows - 1);
    double turn = grid->degrees ? 360.0 * round((lon - x) / 360.0) : 0.0;
    *ret_u = (float)((lon - turn - x) / dx);
    *ret_v = (float)((lat - y) / dy);
    return true;
}

/* The same on 2-D longitude and latitude, by their differences between the pixels around. */
static bool carry_curved(const struct frames *frames, const struct wind *wind, size_t row,
                         size_t column, float *ret_u, float *ret_v) {
    const struct grid *grid = frames->grid;
    size_t left = column > 0 ? column - 1 : 0;
    size_t right = column + 1 < grid->columns ? column + 1 : column;
    size_t above = row > 0 ? row - 1 : 0;
    size_t below = row + 1 < grid->rows ? row + 1 : row;
    const double *lon = grid->lon;
    const double *lat = grid->lat;
    size_t line = row * grid->columns;
    double columns = (double)(right - left);
    double rows = (double)(below - above);
    double lon_x = (lon[line + right] - lon[line + left]) / columns;
    double lat_x = (lat[line + right] - lat[line + left]) / columns;
    above = above * grid->columns + column;
    below = below * grid->columns + column;
    double lon_y = (lon[below] - lon[above]) / rows;
    double lat_y = (lat[below] - lat[above]) / rows;
    double det = lon_x * lat_y - lon_y * lat_x;
    double east;
    double north;
    double dlon;
    double dlat;
    if (!(fabs(det) > 0.0) ||
        !wind_at(wind, lon[line + column], lat[line + column], &east, &north)) {
        return false;
    }
    carry_degrees(frames, lat[line + column], east, north, &dlon, &dlat);
    *ret_u = (float)((dlon * lat_y - dlat * lon_y) / det);
    *ret_v = (float)((dlat * lon_x - dlon * lat_x) / det);
    return true;
}

/* Nodes without wind get the mean of the others. */
static void fill_unknown(struct motion *motion, const bool *known, size_t known_count) {
    double u = 0.0;
    double v = 0.0;
    int nodes = motion->nodes_x * motion->nodes_y;
    for (int node = 0; node < nodes; node++) {
        u += known[node] ? (double)motion->u[node] / (double)known_count : 0.0;
        v += known[node] ? (double)motion->v[node] / (double)known_count : 0.0;
    }
    for (int node = 0; node < nodes; node++) {
        motion->u[node] = known[node] ? motion->u[node] : (float)u;
        motion->v[node] = known[node] ? motion->v[node] : (float)v;
    }
}

static int carry_nodes(struct frames *frames, const struct wind *wind, struct motion *motion,
                       struct err *ret_err) {
    const struct grid *grid = frames->grid;
    struct geo *geo = NULL;
    size_t count = 0;
    int nodes = motion->nodes_x * motion->nodes_y;
    bool *known = calloc((size_t)nodes + 1, sizeof *known);
    int result = known == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a motion")
                               : geo_create(frames->env, grid->crs, &geo, ret_err);
    for (int node = 0; result == 0 && node < nodes; node++) {
        size_t column = (size_t)(node % motion->nodes_x * MOTION_LATTICE_PX);
        size_t row = (size_t)(node / motion->nodes_x * MOTION_LATTICE_PX);
        column = column < grid->columns ? column : grid->columns - 1;
        row = row < grid->rows ? row : grid->rows - 1;
        float *u = &motion->u[node];
        float *v = &motion->v[node];
        known[node] = grid->curvilinear ? carry_curved(frames, wind, row, column, u, v)
                                        : carry_straight(frames, geo, wind, row, column, u, v);
        count += known[node];
    }
    geo_destroy(geo);
    if (result == 0 && count == 0) {
        result = err_set(ret_err, ERR_NOT_FOUND, "the wind is missing on the whole grid");
    } else if (result == 0) {
        fill_unknown(motion, known, count);
    }
    free(known);
    return result;
}

int guidance_wind(struct frames *frames, struct ncfile *file, int64_t reference_us,
                  struct motion *ret_motion, struct err *ret_err) {
    struct wind wind = {0};
    struct motion motion = {0};
    int result =
        read_wind_component(file, "eastward_wind", reference_us, &wind, &wind.east, ret_err);
    result = result == 0 ? read_wind_component(file, "northward_wind", reference_us, &wind,
                                               &wind.north, ret_err)
                         : result;
    if (result == 0 && wind.grid->curvilinear) {
        result = curvilinear_create(wind.grid, CURVILINEAR_CENTRES, &wind.cells, ret_err);
    }
    result = result == 0 ? geo_create(frames->env, wind.grid->crs, &wind.geo, ret_err) : result;
    result = result == 0 ? motion_init_zero(frames->nx, frames->ny, MOTION_WIND, &motion) : result;
    result = result == 0 ? carry_nodes(frames, &wind, &motion, ret_err) : result;
    wind_finish(&wind);
    if (result != 0) {
        motion_finish(&motion);
        return result;
    }
    *ret_motion = motion;
    return ERR_OK;
}
