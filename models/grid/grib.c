#include "models/grid/grib.h"

#include <eccodes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "models/grid/geo.h"
#include "models/grid/grid.h"
#include "models/grid/ncwrite.h"

enum { FIELDS = 4, MESSAGES_MAX = 20000, HEADER_BYTES = 16, HASH_SIZE = 64 };

static const double missing_code = 9.999e20;

/* What a field becomes. */
struct field {
    const char *name;
    const char *standard_name;
    const char *units;
};

static const struct field fields[FIELDS] = {
    {"rainfall_rate", "rainfall_rate", "mm h-1"},
    {"rainfall_amount", "thickness_of_rainfall_amount", "mm"},
    {"eastward_wind", "eastward_wind", "m s-1"},
    {"northward_wind", "northward_wind", "m s-1"},
};

static const struct {
    long discipline, category, number;
    size_t field;
    double factor;
    bool negative_missing; /* codes for no coverage */
} parameters[] = {
    {0, 1, 7, 0, 3600.0, false}, {0, 1, 52, 0, 3600.0, false}, {0, 1, 65, 0, 3600.0, false},
    {209, 6, 1, 0, 1.0, true},   {0, 1, 8, 1, 1.0, false},     {0, 1, 49, 1, 1.0, false},
    {0, 2, 2, 2, 1.0, false},    {0, 2, 3, 3, 1.0, false},
};
enum { PARAMETERS = sizeof parameters / sizeof *parameters };

struct message {
    const unsigned char *bytes;
    size_t size;
    size_t parameter;
    int64_t reference_s; /* UTC since 1970 */
    int64_t valid_s;
    int64_t interval_s; /* of an amount; 0: an instant */
};

struct file {
    struct grid_env *env;
    const char *name;
    size_t count;
    struct message *messages; /* [count], by valid time */
    char grid_hash[HASH_SIZE];
    struct grid *grid;
    size_t lead_count;
    int64_t *lead_s; /* [lead_count] */
    int64_t reference_s;
    struct ncwrite_variable variables[FIELDS];
    size_t variable_count;
    size_t variable_of[FIELDS]; /* index + 1; 0: not in the file */
};

static long get(codes_handle *handle, const char *key) {
    long value = 0;
    return codes_get_long(handle, key, &value) == CODES_SUCCESS ? value : -1;
}

static double get_double(codes_handle *handle, const char *key) {
    double value;
    return codes_get_double(handle, key, &value) == CODES_SUCCESS ? value : (double)NAN;
}

/* ---- messages ---- */

/* Size of the message that begins here; 0: not GRIB2, or cut off. */
static size_t message_size(const unsigned char *bytes, size_t left) {
    uint64_t size = 0;
    if (left < HEADER_BYTES || memcmp(bytes, "GRIB", 4) != 0 || bytes[7] != 2) {
        return 0;
    }
    for (int i = 8; i < HEADER_BYTES; i++) {
        size = size << 8 | bytes[i];
    }
    return size > HEADER_BYTES && size <= left ? (size_t)size : 0;
}

static int64_t seconds_of(long date, long time, long second) {
    struct tm tm = {.tm_year = (int)(date / 10000) - 1900,
                    .tm_mon = (int)(date / 100 % 100) - 1,
                    .tm_mday = (int)(date % 100),
                    .tm_hour = (int)(time / 100),
                    .tm_min = (int)(time % 100),
                    .tm_sec = second > 0 && second < 60 ? (int)second : 0};
    return (int64_t)timegm(&tm);
}

/* Returns 0, or 1 when the field is none of ours. */
static int read_head(struct file *file, codes_handle *handle, struct message *message,
                     struct err *ret_err) {
    char hash[HASH_SIZE] = "";
    size_t length = sizeof hash;
    size_t p = 0;
    while (p < PARAMETERS && (get(handle, "discipline") != parameters[p].discipline ||
                              get(handle, "parameterCategory") != parameters[p].category ||
                              get(handle, "parameterNumber") != parameters[p].number)) {
        p++;
    }
    if (p == PARAMETERS) {
        return 1;
    }
    message->parameter = p;
    message->reference_s =
        seconds_of(get(handle, "dataDate"), get(handle, "dataTime"), get(handle, "second"));
    message->valid_s = seconds_of(get(handle, "validityDate"), get(handle, "validityTime"), 0);
    if (get(handle, "endStep") == 0) {
        message->valid_s = message->reference_s; /* validityTime has no seconds */
    }
    long start = get(handle, "startStep");
    long end = get(handle, "endStep");
    message->interval_s = 0;
    if (parameters[p].field == 1 && end > start && start >= 0) {
        /* The steps are in the unit that validityTime has resolved. */
        message->interval_s = (message->valid_s - message->reference_s) * (end - start) / end;
    }
    if (codes_get_string(handle, "md5GridSection", hash, &length) != CODES_SUCCESS) {
        return err_set(ret_err, ERR_CORRUPT, "%.200s: a message without a grid", file->name);
    }
    if (file->grid_hash[0] == '\0') {
        memcpy(file->grid_hash, hash, sizeof hash);
    }
    return strcmp(file->grid_hash, hash) == 0
               ? 0
               : err_set(ret_err, ERR_INVALID, "%.200s: fields on different grids", file->name);
}

static int compare_messages(const void *left, const void *right) {
    const struct message *a = left;
    const struct message *b = right;
    return (a->valid_s > b->valid_s) - (a->valid_s < b->valid_s);
}

static int add_message(struct file *file, const struct message *message, struct err *ret_err) {
    struct message *grown = realloc(file->messages, (file->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return err_set(ret_err, ERR_MEMORY, "%.200s: no memory for messages", file->name);
    }
    file->messages = grown;
    file->messages[file->count++] = *message;
    return 0;
}

static int find_messages(struct file *file, const unsigned char *bytes, size_t size,
                         struct err *ret_err) {
    size_t seen = 0;
    for (size_t at = 0; at < size; seen++) {
        struct message message = {.bytes = bytes + at, .size = message_size(bytes + at, size - at)};
        if (message.size == 0 || seen == MESSAGES_MAX) {
            return err_set(ret_err, ERR_CORRUPT,
                           "%.200s: no whole GRIB2 message at byte %zu, or more than %d",
                           file->name, at, MESSAGES_MAX);
        }
        codes_handle *handle = codes_handle_new_from_message(NULL, message.bytes, message.size);
        if (handle == NULL) {
            return err_set(ret_err, ERR_CORRUPT, "%.200s: message %zu is not readable", file->name,
                           seen + 1);
        }
        int result = read_head(file, handle, &message, ret_err);
        codes_handle_delete(handle);
        result = result == 0 ? add_message(file, &message, ret_err) : result;
        if (result < 0) {
            return result;
        }
        at += message.size;
    }
    if (file->count == 0) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "%.200s: none of its %zu messages is rain or wind that we know", file->name,
                       seen);
    }
    qsort(file->messages, file->count, sizeof *file->messages, compare_messages);
    return 0;
}

/* ---- the grid ---- */

static int add_number(struct grid_mapping *mapping, const char *name, double value) {
    return grid_mapping_add_numbers(mapping, name, 1, &value);
}

static int add_earth(codes_handle *handle, struct grid_mapping *mapping) {
    if (get(handle, "earthIsOblate") == 1) {
        int result =
            add_number(mapping, "semi_major_axis", get_double(handle, "earthMajorAxisInMetres"));
        return result != 0 ? result
                           : add_number(mapping, "semi_minor_axis",
                                        get_double(handle, "earthMinorAxisInMetres"));
    }
    return add_number(mapping, "earth_radius", get_double(handle, "radius"));
}

/* The CF mapping of a grid type; ERR_UNSUPPORTED: another one. */
static int make_mapping(codes_handle *handle, const char *type, struct grid_mapping *mapping) {
    const double parallels[] = {get_double(handle, "Latin1InDegrees"),
                                get_double(handle, "Latin2InDegrees")};
    double true_scale = get_double(handle, "LaDInDegrees");
    int result;
    if (strcmp(type, "regular_ll") == 0) {
        result = grid_mapping_add_text(mapping, "grid_mapping_name", "latitude_longitude");
    } else if (strcmp(type, "lambert") == 0) {
        result = grid_mapping_add_text(mapping, "grid_mapping_name", "lambert_conformal_conic");
        result = result != 0 ? result
                             : grid_mapping_add_numbers(mapping, "standard_parallel", 2, parallels);
        result = result != 0 ? result
                             : add_number(mapping, "longitude_of_central_meridian",
                                          get_double(handle, "LoVInDegrees"));
        result =
            result != 0 ? result : add_number(mapping, "latitude_of_projection_origin", true_scale);
    } else if (strcmp(type, "polar_stereographic") == 0) {
        double pole = get(handle, "projectionCentreFlag") & 128 ? -90.0 : 90.0;
        result = grid_mapping_add_text(mapping, "grid_mapping_name", "polar_stereographic");
        result = result != 0 ? result
                             : add_number(mapping, "straight_vertical_longitude_from_pole",
                                          get_double(handle, "orientationOfTheGridInDegrees"));
        result = result != 0 ? result : add_number(mapping, "latitude_of_projection_origin", pole);
        result = result != 0 ? result : add_number(mapping, "standard_parallel", true_scale);
    } else if (strcmp(type, "mercator") == 0) {
        result = grid_mapping_add_text(mapping, "grid_mapping_name", "mercator");
        result = result != 0 ? result : add_number(mapping, "longitude_of_projection_origin", 0.0);
        result = result != 0 ? result : add_number(mapping, "standard_parallel", true_scale);
    } else {
        return ERR_UNSUPPORTED;
    }
    return result != 0 ? result : add_earth(handle, mapping);
}

/* Longitudes that rise or fall without the jump of a full turn. */
static void unwrap(double *lon, size_t count) {
    for (size_t i = 1; i < count; i++) {
        lon[i] += 360.0 * round((lon[i - 1] - lon[i]) / 360.0);
    }
}

struct points {
    size_t rows, columns;
    double *lon, *lat; /* [rows * columns] */
};

/* Axes from the first row and the first column. ERR_UNSUPPORTED when they are not straight lines of
 * the projection. */
static int make_axes(struct file *file, const struct grid_mapping *mapping, bool degrees,
                     const char *crs, const struct points *points, double *x, double *y) {
    struct geo *geo = NULL;
    double *beside_x = calloc(points->columns, sizeof *beside_x);
    double *beside_y = calloc(points->rows, sizeof *beside_y);
    int result = beside_x == NULL || beside_y == NULL ? ERR_MEMORY : 0;
    for (size_t i = 0; i < points->columns && result == 0; i++) {
        x[i] = points->lon[i];
        beside_x[i] = points->lat[i];
    }
    for (size_t j = 0; j < points->rows && result == 0; j++) {
        y[j] = points->lat[j * points->columns];
        beside_y[j] = points->lon[j * points->columns];
    }
    if (result == 0 && degrees) {
        unwrap(x, points->columns);
    } else if (result == 0) {
        result = geo_create(file->env, crs, &geo, NULL);
        if (result == 0) {
            (void)geo_forward(geo, points->columns, x, beside_x);
            (void)geo_forward(geo, points->rows, beside_y, y);
        }
        double cell = fabs(x[1] - x[0]);
        for (size_t i = 1; i < points->columns && result == 0; i++) {
            bool straight = fabs(beside_x[i] - beside_x[0]) < 0.01 * cell &&
                            fabs(x[i] - x[i - 1] - (x[1] - x[0])) < 0.02 * cell;
            result = straight ? 0 : ERR_UNSUPPORTED; /* also when it is NaN */
        }
    }
    geo_destroy(geo);
    free(beside_x);
    free(beside_y);
    return result != 0
               ? result
               : grid_create(points->rows, points->columns, x, y, mapping, &file->grid, NULL);
}

static int make_grid(struct file *file, codes_handle *handle, const struct points *points,
                     struct err *ret_err) {
    struct grid_mapping mapping = {.count = 0};
    char type[64] = "";
    size_t length = sizeof type;
    char crs[GRID_CRS_MAX];
    bool geographic = false;
    bool degrees = false;
    double *x = malloc(points->columns * sizeof *x);
    double *y = malloc(points->rows * sizeof *y);
    int result = x == NULL || y == NULL ? ERR_MEMORY : 0;
    if (result == 0 && codes_get_string(handle, "gridType", type, &length) != CODES_SUCCESS) {
        result = ERR_CORRUPT;
    }
    result = result != 0 ? result : make_mapping(handle, type, &mapping);
    result = result != 0 ? result
                         : grid_mapping_crs(&mapping, crs, sizeof crs, &geographic, &degrees, NULL);
    result = result != 0 ? result : make_axes(file, &mapping, degrees, crs, points, x, y);
    if (result == ERR_UNSUPPORTED) {
        result = grid_create_curvilinear(points->rows, points->columns, points->lon, points->lat,
                                         &file->grid, NULL);
    }
    grid_mapping_finish(&mapping);
    free(x);
    free(y);
    return result == 0 ? 0
                       : err_set(ret_err, result, "%.200s: its grid (%.40s) is not understood: %s",
                                 file->name, type, err_name(result));
}

static int check_size(struct file *file, codes_handle *handle, struct points *ret_points,
                      struct err *ret_err) {
    long columns = get(handle, "Ni");
    long rows = get(handle, "Nj");
    columns = columns > 0 ? columns : get(handle, "Nx");
    rows = rows > 0 ? rows : get(handle, "Ny");
    size_t most = file->env->limits.frame_bytes_max / sizeof(double);
    if (columns < 2 || rows < 2 || (size_t)columns > most / (size_t)rows ||
        get(handle, "numberOfDataPoints") != columns * rows) {
        return err_set(ret_err, ERR_LIMIT,
                       "%.200s: %ld x %ld points; rows of the same length and at most %zu points "
                       "expected",
                       file->name, rows, columns, most);
    }
    if (get(handle, "jPointsAreConsecutive") == 1 || get(handle, "alternativeRowScanning") == 1) {
        return err_set(ret_err, ERR_UNSUPPORTED,
                       "%.200s: points in columns, or rows that run to and fro", file->name);
    }
    ret_points->columns = (size_t)columns;
    ret_points->rows = (size_t)rows;
    return 0;
}

static int read_array(const struct file *file, codes_handle *handle, const char *key, size_t count,
                      double *ret_values, struct err *ret_err) {
    size_t size = 0;
    int status = codes_get_size(handle, key, &size);
    if (status == CODES_SUCCESS && size == count) {
        status = codes_get_double_array(handle, key, ret_values, &size);
    }
    return status == CODES_SUCCESS && size == count
               ? 0
               : err_set(ret_err, ERR_CORRUPT, "%.200s: cannot decode %s: %s", file->name, key,
                         status != CODES_SUCCESS ? codes_get_error_message(status) : "wrong size");
}

static int read_grid(struct file *file, struct err *ret_err) {
    struct points points = {0};
    const struct message *first = &file->messages[0];
    codes_handle *handle = codes_handle_new_from_message(NULL, first->bytes, first->size);
    int result = handle == NULL ? err_set(ret_err, ERR_MEMORY, "%.200s: no memory", file->name)
                                : check_size(file, handle, &points, ret_err);
    size_t count = points.rows * points.columns;
    if (result == 0) {
        points.lon = malloc(count * sizeof *points.lon);
        points.lat = malloc(count * sizeof *points.lat);
        if (points.lon == NULL || points.lat == NULL) {
            result = err_set(ret_err, ERR_MEMORY, "%.200s: no memory for a grid", file->name);
        }
    }
    result =
        result != 0 ? result : read_array(file, handle, "longitudes", count, points.lon, ret_err);
    result =
        result != 0 ? result : read_array(file, handle, "latitudes", count, points.lat, ret_err);
    result = result != 0 ? result : make_grid(file, handle, &points, ret_err);
    free(points.lon);
    free(points.lat);
    codes_handle_delete(handle);
    return result;
}

/* ---- the image ---- */

/* Leads, and which variables there are. */
static int plan(struct file *file, struct err *ret_err) {
    file->lead_s = malloc(file->count * sizeof *file->lead_s);
    if (file->lead_s == NULL) {
        return err_set(ret_err, ERR_MEMORY, "%.200s: no memory for times", file->name);
    }
    bool same = true;
    for (size_t i = 0; i < file->count; i++) {
        same = same && file->messages[i].reference_s == file->messages[0].reference_s;
    }
    /* Analyses of several times have no common reference; the first of them is as good as any. */
    file->reference_s = same ? file->messages[0].reference_s : file->messages[0].valid_s;
    for (size_t i = 0; i < file->count; i++) {
        const struct message *message = &file->messages[i];
        int64_t lead_s = message->valid_s - file->reference_s;
        size_t field = parameters[message->parameter].field;
        if (file->lead_count == 0 || file->lead_s[file->lead_count - 1] != lead_s) {
            file->lead_s[file->lead_count++] = lead_s;
        }
        if (file->variable_of[field] == 0) {
            file->variables[file->variable_count] = (struct ncwrite_variable){
                .name = fields[field].name,
                .standard_name = fields[field].standard_name,
                .units = fields[field].units,
                .cell_methods = message->interval_s > 0 ? "time: sum" : NULL,
                .type = NCWRITE_FLOAT,
                .has_leads = true,
                .accumulation_s = message->interval_s};
            file->variable_of[field] = ++file->variable_count;
        } else if (file->variables[file->variable_of[field] - 1].accumulation_s !=
                   message->interval_s) {
            return err_set(ret_err, ERR_UNSUPPORTED,
                           "%.200s: amounts over intervals of different lengths", file->name);
        }
    }
    return 0;
}

static int put_message(struct file *file, const struct message *message, struct ncwriter *writer,
                       double *values, float *out, struct err *ret_err) {
    size_t count = file->grid->rows * file->grid->columns;
    double factor = parameters[message->parameter].factor;
    bool negative_missing = parameters[message->parameter].negative_missing;
    size_t lead = 0;
    codes_handle *handle = codes_handle_new_from_message(NULL, message->bytes, message->size);
    struct points size = {0};
    int result = handle == NULL ? err_set(ret_err, ERR_MEMORY, "%.200s: no memory", file->name)
                                : check_size(file, handle, &size, ret_err);
    if (result == 0 && size.rows * size.columns != count) {
        result = err_set(ret_err, ERR_CORRUPT, "%.200s: fields of different sizes", file->name);
    }
    if (result == 0) {
        (void)codes_set_double(handle, "missingValue", missing_code); /* only with a bitmap */
        result = read_array(file, handle, "values", count, values, ret_err);
    }
    codes_handle_delete(handle);
    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < count; i++) {
        bool missing =
            !(fabs(values[i]) < 0.99 * missing_code) || (negative_missing && values[i] < 0.0);
        out[i] = missing ? NAN : (float)(values[i] * factor);
    }
    while (file->lead_s[lead] != message->valid_s - file->reference_s) {
        lead++; /* plan() has put it there */
    }
    size_t variable = file->variable_of[parameters[message->parameter].field] - 1;
    return ncwriter_put(writer, variable, 0, lead, out, ret_err);
}

static int check_twice(const struct file *file, struct err *ret_err) {
    for (size_t i = 1; i < file->count; i++) {
        for (size_t k = i; k-- > 0 && file->messages[k].valid_s == file->messages[i].valid_s;) {
            if (parameters[file->messages[k].parameter].field ==
                parameters[file->messages[i].parameter].field) {
                return err_set(ret_err, ERR_INVALID,
                               "%.200s: %s of the same time twice (levels or members?)", file->name,
                               fields[parameters[file->messages[i].parameter].field].name);
            }
        }
    }
    return 0;
}

static int write_image(struct file *file, void **ret_image, size_t *ret_size, struct err *ret_err) {
    struct ncwrite_header header = {.grid = file->grid,
                                    .reference_utc_us = file->reference_s * 1000000,
                                    .lead_count = file->lead_count,
                                    .lead_s = file->lead_s,
                                    .title = "translated from GRIB2"};
    struct ncwriter *writer = NULL;
    size_t count = file->grid->rows * file->grid->columns;
    double *values = malloc(count * sizeof *values);
    float *out = malloc(count * sizeof *out);
    int result = values == NULL || out == NULL
                     ? err_set(ret_err, ERR_MEMORY, "%.200s: no memory for a field", file->name)
                     : ncwriter_create_memory(file->name, &header, file->variables,
                                              file->variable_count, &writer, ret_err);
    for (size_t i = 0; i < file->count && result == 0; i++) {
        result = put_message(file, &file->messages[i], writer, values, out, ret_err);
    }
    free(values);
    free(out);
    if (result != 0) {
        ncwriter_destroy(writer);
        return result;
    }
    return ncwriter_finish_memory(writer, ret_image, ret_size, ret_err);
}

int grib_translate(struct grid_env *env, const char *name, const void *bytes, size_t size,
                   void **ret_image, size_t *ret_size, struct err *ret_err) {
    struct file file = {.env = env, .name = name};
    int result = find_messages(&file, bytes, size, ret_err);
    result = result != 0 ? result : check_twice(&file, ret_err);
    result = result != 0 ? result : plan(&file, ret_err);
    result = result != 0 ? result : read_grid(&file, ret_err);
    result = result != 0 ? result : write_image(&file, ret_image, ret_size, ret_err);
    grid_destroy(file.grid);
    free(file.messages);
    free(file.lead_s);
    return result;
}
