#include "models/dispersion/weather_field.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/grid/curvilinear.h"
#include "models/grid/env.h"
#include "models/grid/geo.h"
#include "models/grid/grid.h"
#include "models/grid/ncfile.h"

#define PI         3.14159265358979323846
#define Z0_DEFAULT 0.03
#define VALUES_MAX ((size_t)100000000)

enum { EAST, NORTH, SPEED, FROM, USTAR, OBUKHOV, SIGMA, LID, Z0, RAIN, CLASS, VARIABLES };

static const struct {
    const char *name, *other, *standard, *units;
} variables[VARIABLES] = {
    {"u10", "u", "eastward_wind", "m s-1"},
    {"v10", "v", "northward_wind", "m s-1"},
    {"wind_m_s", NULL, "wind_speed", "m s-1"},
    {"wind_from_deg", NULL, "wind_from_direction", "degree"},
    {"ustar_m_s", NULL, NULL, "m s-1"},
    {"obukhov_L_m", NULL, NULL, "m"},
    {"sigma_azimuth_deg", NULL, NULL, "degree"},
    {"mixing_height_m", NULL, "atmosphere_boundary_layer_thickness", "m"},
    {"z0_m", NULL, "surface_roughness_length", "m"},
    {"rain_mm_h", NULL, "rainfall_rate", "mm h-1"},
    {"pasquill_class", NULL, NULL, "1"},
};

struct weather_field {
    struct grid_env *env;
    struct grid *grid;
    struct geo *to_grid, *to_ground; /* NULL: the grid is in metres about the origin */
    struct curvilinear *curved;      /* instead of to_grid on 2-D longitude and latitude */
    size_t frames, cells;
    float *values[VARIABLES]; /* [frames * cells] or [cells]; NULL: not in the file */
    bool constant[VARIABLES]; /* one frame for all */
    double wind_height_m;
};

struct weather_field *weather_field_destroy(struct weather_field *field) {
    if (field != NULL) {
        for (size_t i = 0; i < VARIABLES; i++) {
            free(field->values[i]);
        }
        geo_destroy(field->to_grid);
        geo_destroy(field->to_ground);
        curvilinear_destroy(field->curved);
        grid_destroy(field->grid);
        grid_env_destroy(field->env);
        free(field);
    }
    return NULL;
}

static int open_variable(struct ncfile *file, size_t i, struct ncvar **ret_var,
                         struct err *ret_err) {
    const char *const names[] = {variables[i].name, variables[i].other};
    int rc = ERR_NOT_FOUND;
    if (variables[i].standard != NULL) {
        rc = ncvar_open(file, NULL, variables[i].standard, variables[i].units, ret_var, ret_err);
    }
    for (size_t k = 0; k < 2 && rc == ERR_NOT_FOUND && names[k] != NULL; k++) {
        rc = ncvar_open(file, names[k], NULL, variables[i].units, ret_var, ret_err);
    }
    return rc;
}

/* The first variable brings grid and times; the others must have the same. */
static int take_shape(struct weather_field *f, struct ncvar *var, const struct weather_origin *o,
                      struct weather *weather, struct err *ret_err) {
    struct grid *grid = NULL;
    bool known = isfinite(o->latitude_deg) && isfinite(o->longitude_deg);
    int rc = ncvar_grid_local(var, known ? o->latitude_deg : 0, known ? o->longitude_deg : 0, &grid,
                              ret_err);
    size_t frames = ncvar_frame_count(var);
    if (rc != 0) {
        return rc;
    }
    if (f->grid != NULL) {
        bool same = grid_same(f->grid, grid) && (frames == f->frames || frames == 1);
        grid_destroy(grid);
        return same ? 0
                    : err_set(ret_err, ERR_INVALID, "%s has another grid or other times than %s",
                              ncvar_name(var), "the wind");
    }
    f->grid = grid;
    f->frames = frames;
    f->cells = grid->rows * grid->columns;
    if (frames > WEATHER_ROWS_MAX || f->cells > VALUES_MAX / frames) {
        return err_set(ret_err, ERR_LIMIT, "%zu frames of %zu cells are too many", frames,
                       f->cells);
    }
    int64_t *times = calloc(frames, sizeof *times);
    weather->rows = calloc(frames, sizeof *weather->rows);
    weather->count = frames;
    rc = times == NULL || weather->rows == NULL
             ? err_set(ret_err, ERR_MEMORY, "no memory for %zu frames", frames)
             : 0;
    /* One frame without a time holds for ever. */
    int timed = rc != 0 ? rc : ncvar_times(var, INT64_MAX, times, ret_err);
    weather->timed = timed == 0;
    rc = rc != 0 ? rc : timed != 0 && frames > 1 ? timed : 0;
    for (size_t i = 0; rc == 0 && i < frames; i++) {
        weather->rows[i].utc_us = times[i];
        weather->rows[i].stability = -1;
    }
    free(times);
    return rc;
}

static int take_values(struct weather_field *f, struct ncvar *var, size_t i, struct err *ret_err) {
    size_t frames = ncvar_frame_count(var);
    f->constant[i] = frames != f->frames || frames == 1;
    f->values[i] = calloc(frames * f->cells, sizeof *f->values[i]);
    if (f->values[i] == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %s", ncvar_name(var));
    }
    int rc = 0;
    for (size_t k = 0; rc == 0 && k < frames; k++) {
        rc = ncvar_read_f32(var, k, f->values[i] + k * f->cells, ret_err);
    }
    return rc;
}

static int make_projections(struct weather_field *f, const struct weather_origin *o,
                            struct err *ret_err) {
    struct grid_mapping mapping = {0};
    char crs[GRID_CRS_MAX];
    bool geographic = false, degrees = false;
    if (!isfinite(o->latitude_deg) || !isfinite(o->longitude_deg)) {
        return f->grid->degrees || strstr(f->grid->crs, "aeqd") == NULL
                   ? err_set(ret_err, ERR_NOT_FOUND,
                             "the wind has places on the ground: latitude_deg and longitude_deg of "
                             "the origin are needed")
                   : 0;
    }
    int rc = grid_mapping_plane(&mapping, o->latitude_deg, o->longitude_deg);
    rc = rc != 0 ? err_set(ret_err, rc, "no memory for a projection")
                 : grid_mapping_crs(&mapping, crs, sizeof crs, &geographic, &degrees, ret_err);
    grid_mapping_finish(&mapping);
    rc = rc != 0 ? rc : geo_create(f->env, crs, &f->to_ground, ret_err);
    if (rc == 0 && f->grid->curvilinear) {
        return curvilinear_create(f->grid, CURVILINEAR_CENTRES, &f->curved, ret_err);
    }
    return rc != 0 ? rc : geo_create(f->env, f->grid->crs, &f->to_grid, ret_err);
}

static int load(struct weather_field *f, struct ncfile *file, const struct weather_origin *origin,
                struct weather *weather, struct err *ret_err) {
    for (size_t i = 0; i < VARIABLES; i++) {
        struct ncvar *var = NULL;
        struct err why = {0};
        bool vector = f->values[EAST] != NULL;
        if ((vector && (i == SPEED || i == FROM)) || (i == NORTH && !vector)) {
            continue;
        }
        int rc = open_variable(file, i, &var, &why);
        if (rc == ERR_NOT_FOUND && i != NORTH && i != SPEED && i != FROM) {
            continue;
        }
        rc = rc != 0 ? err_set(ret_err, rc, "%s", why.text) : 0;
        rc = rc != 0 ? rc : take_shape(f, var, origin, weather, ret_err);
        rc = rc != 0 ? rc : take_values(f, var, i, ret_err);
        ncvar_close(var);
        if (rc != 0) {
            return rc;
        }
    }
    return make_projections(f, origin, ret_err);
}

int weather_field_read(const char *path, const struct weather_origin *origin, double wind_height_m,
                       struct weather *ret_weather, struct err *ret_err) {
    struct weather weather = {0};
    struct ncfile *file = NULL;
    struct weather_field *f = calloc(1, sizeof *f);
    int rc = f == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a field")
                       : grid_env_create(NULL, &f->env, ret_err);
    rc = rc != 0 ? rc : ncfile_open(f->env, path, &file, ret_err);
    if (rc == 0) {
        f->wind_height_m = wind_height_m;
        rc = load(f, file, origin, &weather, ret_err);
    }
    ncfile_close(file);
    weather.field = f;
    if (rc != 0) {
        weather_finish(&weather);
        return rc;
    }
    *ret_weather = weather;
    return 0;
}

/* Weights of the four cells about a point. */
struct corners {
    size_t cell[4];
    double weight[4];
};

static bool locate(const struct weather_field *f, double x_m, double y_m, struct corners *ret) {
    double x = x_m, y = y_m, row = 0, column = 0;
    const struct grid *g = f->grid;
    if (f->to_ground != NULL) {
        (void)geo_inverse(f->to_ground, 1, &x, &y); /* NaN is found outside below */
    }
    if (f->to_grid != NULL) {
        (void)geo_forward(f->to_grid, 1, &x, &y);
    }
    if (!isfinite(x) || !isfinite(y) ||
        !(f->curved != NULL ? curvilinear_locate(f->curved, x, y, &row, &column)
                            : grid_locate(g, x, y, &row, &column))) {
        return false;
    }
    row = fmin(fmax(row, 0), (double)(g->rows - 1));
    column = fmin(fmax(column, 0), (double)(g->columns - 1));
    size_t r = (size_t)row, c = (size_t)column;
    r = r + 1 < g->rows ? r : g->rows - 2;
    c = c + 1 < g->columns ? c : g->columns - 2;
    double fr = row - (double)r, fc = column - (double)c;
    *ret = (struct corners){{r * g->columns + c, r * g->columns + c + 1, (r + 1) * g->columns + c,
                             (r + 1) * g->columns + c + 1},
                            {(1 - fr) * (1 - fc), (1 - fr) * fc, fr * (1 - fc), fr * fc}};
    return true;
}

/* NaN without the variable or where a cell with weight misses. */
static double value_at(const struct weather_field *f, size_t variable, size_t frame,
                       const struct corners *at) {
    const float *values = f->values[variable];
    double sum = 0;
    if (values == NULL) {
        return (double)NAN;
    }
    values += f->constant[variable] ? 0 : frame * f->cells;
    for (size_t i = 0; i < 4; i++) {
        sum += at->weight[i] > 0 ? at->weight[i] * (double)values[at->cell[i]] : 0;
    }
    return sum;
}

static int class_at(const struct weather_field *f, size_t frame, const struct corners *at) {
    size_t best = 0;
    if (f->values[CLASS] == NULL) {
        return -1;
    }
    for (size_t i = 1; i < 4; i++) {
        best = at->weight[i] > at->weight[best] ? i : best;
    }
    double value =
        (double)f->values[CLASS][(f->constant[CLASS] ? 0 : frame * f->cells) + at->cell[best]];
    return value >= 1 && value <= 6 ? (int)lround(value) - 1 : -1;
}

/* Speeds and directions are turned into vectors first: north and south have no mean direction. */
static void wind_at(const struct weather_field *f, size_t frame, const struct corners *at,
                    double *ret_east, double *ret_north) {
    if (f->values[EAST] != NULL) {
        *ret_east = value_at(f, EAST, frame, at);
        *ret_north = value_at(f, NORTH, frame, at);
        return;
    }
    *ret_east = *ret_north = 0;
    for (size_t i = 0; i < 4; i++) {
        struct corners one = {{at->cell[i], at->cell[i], at->cell[i], at->cell[i]}, {1, 0, 0, 0}};
        double speed = value_at(f, SPEED, frame, &one);
        double from = value_at(f, FROM, frame, &one) * PI / 180;
        if (at->weight[i] > 0) {
            *ret_east -= at->weight[i] * speed * sin(from);
            *ret_north -= at->weight[i] * speed * cos(from);
        }
    }
}

int weather_field_row(const struct weather_field *field, size_t frame, double x_m, double y_m,
                      struct weather_row *row, struct err *ret_err) {
    struct corners at;
    if (!locate(field, x_m, y_m, &at)) {
        return err_set(ret_err, ERR_NOT_FOUND, "the wind does not reach %.0f m east, %.0f m north",
                       x_m, y_m);
    }
    double east = 0, north = 0;
    wind_at(field, frame, &at, &east, &north);
    if (isnan(east) || isnan(north)) {
        return err_set(ret_err, ERR_NOT_FOUND, "the wind is missing at %.0f m east, %.0f m north",
                       x_m, y_m);
    }
    double z0 = value_at(field, Z0, frame, &at);
    int stability = class_at(field, frame, &at);
    row->wind_m_s = hypot(east, north);
    row->wind_from_deg = fmod(atan2(-east, -north) * 180 / PI + 360, 360);
    row->wind_height_m = field->wind_height_m;
    row->ustar_m_s = value_at(field, USTAR, frame, &at);
    row->obukhov_m = value_at(field, OBUKHOV, frame, &at);
    row->sigma_theta_rad = value_at(field, SIGMA, frame, &at) * PI / 180;
    row->lid_m = value_at(field, LID, frame, &at);
    row->z0_m = isnan(z0) ? Z0_DEFAULT : z0;
    row->rain_mm_h = value_at(field, RAIN, frame, &at);
    row->stability = stability >= 0 ? stability : row->stability;
    return 0;
}

int weather_open(const struct weather_choice *choice, double x_m, double y_m,
                 struct weather *ret_weather, struct err *ret_err) {
    struct weather weather = {0};
    size_t length = strlen(choice->path);
    const char *class = choice->class_text;
    if (class != NULL && (class[0] < 'A' || class[0] > 'F' || class[1] != '\0')) {
        return err_set(ret_err, ERR_INVALID, "--class is A to F, not '%s'", class);
    }
    int rc = length > 3 && strcmp(choice->path + length - 3, ".nc") == 0
                 ? weather_field_read(choice->path, &choice->origin, choice->wind_height_m,
                                      &weather, ret_err)
                 : weather_read(choice->path, &weather, ret_err);
    if (rc == 0 && class != NULL) {
        weather_assume_class(&weather, class[0] - 'A');
    }
    rc = rc != 0 ? rc : weather_settle(&weather, x_m, y_m, ret_err);
    if (rc != 0) {
        weather_finish(&weather);
        return rc;
    }
    *ret_weather = weather;
    return 0;
}
