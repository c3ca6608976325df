#include "models/grid/ncwrite.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netcdf.h>
#include <netcdf_mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/text.h"

enum {
    VARIABLES_MAX = 16,
    DEFLATE_LEVEL = 4, /* beyond it radar fields hardly shrink, but take much longer */
    PATH_SIZE = 4096,
    MEMORY_START = 1 << 20,
    SHORT_MISSING = -32768,
    BYTE_MISSING = 127,
    INTERVALS_MAX = 4, /* lengths of accumulations in one file */
};

static const char epoch_units[] = "seconds since 1970-01-01T00:00:00Z";

struct ncwriter {
    int id;
    bool is_open;
    bool in_memory;
    char path[PATH_SIZE];
    char temporary[PATH_SIZE + 32];
    size_t rows;
    size_t columns;
    size_t lead_count;
    size_t member_count;
    size_t variable_count;
    int variable_ids[VARIABLES_MAX];
    struct ncwrite_variable variables[VARIABLES_MAX]; /* texts are not used after creation */
    void *packed;                                     /* [rows * columns] of the largest type */
};

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
    if (text != NULL) {
        call(calls, nc_put_att_text(id, variable, name, strlen(text), text), name);
    }
}

static int check_header(const char *name, const struct ncwrite_header *header,
                        const struct ncwrite_variable *variables, size_t count,
                        struct err *ret_err) {
    if (header->title == NULL || header->lead_count == 0 || header->lead_count > 10000 ||
        header->member_count > 10000 || header->accumulation_s < 0) {
        return err_set(ret_err, ERR_INVALID, "%.200s: no title, or not 1 to 10000 leads", name);
    }
    for (size_t i = 1; i < header->lead_count; i++) {
        if (header->lead_s[i] <= header->lead_s[i - 1]) {
            return err_set(ret_err, ERR_INVALID,
                           "%.200s: lead %zu is not later than the one before", name, i);
        }
    }
    if (count == 0 || count > VARIABLES_MAX) {
        return err_set(ret_err, ERR_LIMIT, "%.200s: %zu variables; 1 to %d expected", name, count,
                       VARIABLES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (variables[i].units == NULL || variables[i].name == NULL ||
            (variables[i].type == NCWRITE_SHORT && !(variables[i].scale > 0)) ||
            (variables[i].has_members && header->member_count == 0)) {
            return err_set(ret_err, ERR_INVALID,
                           "%.200s: variable %zu has no name, units, scale or members", name, i);
        }
    }
    return 0;
}

static void write_globals(struct calls *calls, int id, const struct ncwrite_header *header) {
    put_text(calls, id, NC_GLOBAL, "Conventions", "CF-1.8");
    put_text(calls, id, NC_GLOBAL, "title", header->title);
    put_text(calls, id, NC_GLOBAL, "institution", header->institution);
    put_text(calls, id, NC_GLOBAL, "source", header->source);
    put_text(calls, id, NC_GLOBAL, "history", header->history);
}

/* A coordinate along one dimension. */
static int define_axis(struct calls *calls, int id, const char *name, int dim, const char *axis,
                       const char *standard_name, const char *units) {
    int variable = 0;
    call(calls, nc_def_var(id, name, NC_DOUBLE, 1, &dim, &variable), name);
    put_text(calls, id, variable, "axis", axis);
    put_text(calls, id, variable, "standard_name", standard_name);
    put_text(calls, id, variable, "units", units);
    return variable;
}

struct layout {
    int member_dim, lead_dim, y_dim, x_dim, bounds_dim;
    int x, y, lon, lat;
    int lead, time, time_bounds, reference, member;
    size_t interval_count;
    struct {
        int64_t length_s;
        int time, bounds;
    } intervals[INTERVALS_MAX];
    bool has_mapping;
};

static void define_space(struct calls *calls, int id, const struct grid *grid,
                         struct layout *layout) {
    bool rotated = grid->degrees && !grid->geographic;
    call(calls, nc_def_dim(id, "y", grid->rows, &layout->y_dim), "dimension y");
    call(calls, nc_def_dim(id, "x", grid->columns, &layout->x_dim), "dimension x");
    if (grid->curvilinear) {
        int dims[] = {layout->y_dim, layout->x_dim};
        call(calls, nc_def_var(id, "lon", NC_DOUBLE, 2, dims, &layout->lon), "lon");
        call(calls, nc_def_var(id, "lat", NC_DOUBLE, 2, dims, &layout->lat), "lat");
        put_text(calls, id, layout->lon, "standard_name", "longitude");
        put_text(calls, id, layout->lat, "standard_name", "latitude");
        put_text(calls, id, layout->lon, "units", "degrees_east");
        put_text(calls, id, layout->lat, "units", "degrees_north");
        return;
    }
    layout->y = define_axis(calls, id, "y", layout->y_dim, "Y",
                            grid->geographic ? "latitude"
                            : rotated        ? "grid_latitude"
                                             : "projection_y_coordinate",
                            grid->geographic ? "degrees_north"
                            : rotated        ? "degrees"
                                             : "m");
    layout->x = define_axis(calls, id, "x", layout->x_dim, "X",
                            grid->geographic ? "longitude"
                            : rotated        ? "grid_longitude"
                                             : "projection_x_coordinate",
                            grid->geographic ? "degrees_east"
                            : rotated        ? "degrees"
                                             : "m");
    layout->has_mapping = grid->mapping.count > 0;
    if (!layout->has_mapping) {
        return;
    }
    int crs = 0;
    call(calls, nc_def_var(id, "crs", NC_INT, 0, NULL, &crs), "crs");
    for (size_t i = 0; i < grid->mapping.count; i++) {
        const struct grid_attribute *attribute = &grid->mapping.attributes[i];
        if (attribute->text != NULL) {
            put_text(calls, id, crs, attribute->name, attribute->text);
        } else {
            call(calls,
                 nc_put_att_double(id, crs, attribute->name, NC_DOUBLE, attribute->number_count,
                                   attribute->numbers),
                 attribute->name);
        }
    }
}

static void define_time(struct calls *calls, int id, const struct ncwrite_header *header,
                        struct layout *layout) {
    if (header->member_count > 0) {
        call(calls, nc_def_dim(id, "realization", header->member_count, &layout->member_dim),
             "dimension realization");
        call(calls, nc_def_var(id, "realization", NC_INT, 1, &layout->member_dim, &layout->member),
             "realization");
        put_text(calls, id, layout->member, "standard_name", "realization");
        put_text(calls, id, layout->member, "units", "1");
    }
    call(calls, nc_def_dim(id, "lead_time", header->lead_count, &layout->lead_dim),
         "dimension lead_time");
    layout->lead =
        define_axis(calls, id, "lead_time", layout->lead_dim, NULL, "forecast_period", "s");
    put_text(calls, id, layout->lead, "long_name", "time since forecast_reference_time");
    layout->time = define_axis(calls, id, "time", layout->lead_dim, "T", "time", epoch_units);
    put_text(calls, id, layout->time, "calendar", "standard");
    call(calls, nc_def_var(id, "forecast_reference_time", NC_DOUBLE, 0, NULL, &layout->reference),
         "forecast_reference_time");
    put_text(calls, id, layout->reference, "standard_name", "forecast_reference_time");
    put_text(calls, id, layout->reference, "units", epoch_units);
    put_text(calls, id, layout->reference, "calendar", "standard");
    if (header->accumulation_s > 0 || layout->interval_count > 0) {
        call(calls, nc_def_dim(id, "bounds", 2, &layout->bounds_dim), "dimension bounds");
    }
    if (header->accumulation_s > 0) {
        int dims[] = {layout->lead_dim, layout->bounds_dim};
        call(calls, nc_def_var(id, "time_bounds", NC_DOUBLE, 2, dims, &layout->time_bounds),
             "time_bounds");
        put_text(calls, id, layout->time, "bounds", "time_bounds");
    }
}

/* "time_3600s", "time_3600s_bounds". */
static void name_interval(int64_t length_s, const char *suffix, char *ret_name, size_t size) {
    (void)snprintf(ret_name, size, "time_%llds%s", (long long)length_s, suffix);
}

/* The times of accumulations of each length, as auxiliary coordinates with bounds. */
static void define_intervals(struct calls *calls, int id, struct layout *layout) {
    for (size_t i = 0; i < layout->interval_count; i++) {
        char name[48];
        int dims[] = {layout->lead_dim, layout->bounds_dim};
        name_interval(layout->intervals[i].length_s, "_bounds", name, sizeof name);
        call(calls, nc_def_var(id, name, NC_DOUBLE, 2, dims, &layout->intervals[i].bounds), name);
        char bounds[48];
        (void)snprintf(bounds, sizeof bounds, "%s", name);
        name_interval(layout->intervals[i].length_s, "", name, sizeof name);
        layout->intervals[i].time =
            define_axis(calls, id, name, layout->lead_dim, NULL, "time", epoch_units);
        put_text(calls, id, layout->intervals[i].time, "calendar", "standard");
        put_text(calls, id, layout->intervals[i].time, "bounds", bounds);
    }
}

static void define_missing(struct calls *calls, int id, int variable,
                           const struct ncwrite_variable *spec) {
    static const float nan_fill = NAN;
    static const short short_fill = SHORT_MISSING;
    static const signed char byte_fill = BYTE_MISSING;
    if (spec->type == NCWRITE_FLOAT) {
        call(calls, nc_def_var_fill(id, variable, NC_FILL, &nan_fill), "_FillValue");
    } else if (spec->type == NCWRITE_SHORT) {
        static const double none = 0.0;
        call(calls, nc_def_var_fill(id, variable, NC_FILL, &short_fill), "_FillValue");
        call(calls, nc_put_att_double(id, variable, "scale_factor", NC_DOUBLE, 1, &spec->scale),
             "scale_factor");
        call(calls, nc_put_att_double(id, variable, "add_offset", NC_DOUBLE, 1, &none),
             "add_offset");
    } else {
        call(calls, nc_def_var_fill(id, variable, NC_FILL, &byte_fill), "_FillValue");
    }
}

static void define_flags(struct calls *calls, int id, int variable, const char *meanings) {
    signed char values[BYTE_MISSING];
    size_t count = 0;
    bool inside = false;
    for (const char *at = meanings; *at != '\0' && count < BYTE_MISSING; at++) {
        if (*at != ' ' && !inside) {
            values[count] = (signed char)count;
            count++;
        }
        inside = *at != ' ';
    }
    call(calls, nc_put_att_schar(id, variable, "flag_values", NC_BYTE, count, values),
         "flag_values");
    put_text(calls, id, variable, "flag_meanings", meanings);
}

static int define_variable(struct calls *calls, int id, const struct ncwrite_header *header,
                           const struct layout *layout, const struct ncwrite_variable *spec) {
    static const nc_type types[] = {NC_FLOAT, NC_SHORT, NC_BYTE};
    const struct grid *grid = header->grid;
    int dims[4];
    size_t chunks[4];
    int count = 0;
    int variable = 0;
    if (spec->has_members) {
        chunks[count] = 1;
        dims[count++] = layout->member_dim;
    }
    if (spec->has_leads) {
        chunks[count] = 1;
        dims[count++] = layout->lead_dim;
    }
    chunks[count] = grid->rows;
    dims[count++] = layout->y_dim;
    chunks[count] = grid->columns;
    dims[count++] = layout->x_dim;
    call(calls, nc_def_var(id, spec->name, types[spec->type], count, dims, &variable), spec->name);
    call(calls, nc_def_var_chunking(id, variable, NC_CHUNKED, chunks), "chunks");
    call(calls, nc_def_var_deflate(id, variable, 1, 1, DEFLATE_LEVEL), "deflate");
    define_missing(calls, id, variable, spec);
    put_text(calls, id, variable, "standard_name", spec->standard_name);
    put_text(calls, id, variable, "long_name", spec->long_name);
    if (spec->type != NCWRITE_FLAG_BYTE) {
        put_text(calls, id, variable, "units", spec->units);
    }
    put_text(calls, id, variable, "cell_methods", spec->cell_methods);
    put_text(calls, id, variable, "ancillary_variables", spec->ancillary_variables);
    if (spec->flag_meanings != NULL) {
        define_flags(calls, id, variable, spec->flag_meanings);
    }
    put_text(calls, id, variable, "grid_mapping", layout->has_mapping ? "crs" : NULL);
    char coordinates[128];
    char time[48] = "time";
    if (spec->accumulation_s > 0) {
        name_interval(spec->accumulation_s, "", time, sizeof time);
    }
    (void)snprintf(coordinates, sizeof coordinates, "%s%sforecast_reference_time%s",
                   spec->has_leads ? time : "", spec->has_leads ? " " : "",
                   grid->curvilinear ? " lat lon" : "");
    put_text(calls, id, variable, "coordinates", coordinates);
    return variable;
}

static void write_coordinates(struct calls *calls, int id, const struct ncwrite_header *header,
                              const struct layout *layout) {
    const struct grid *grid = header->grid;
    if (grid->curvilinear) {
        call(calls, nc_put_var_double(id, layout->lon, grid->lon), "lon");
        call(calls, nc_put_var_double(id, layout->lat, grid->lat), "lat");
    } else {
        call(calls, nc_put_var_double(id, layout->x, grid->x), "x");
        call(calls, nc_put_var_double(id, layout->y, grid->y), "y");
    }
    for (size_t i = 0; i < header->member_count; i++) {
        int number = (int)i;
        call(calls, nc_put_var1_int(id, layout->member, &i, &number), "realization");
    }
    double reference_s = (double)header->reference_utc_us / 1e6;
    call(calls, nc_put_var_double(id, layout->reference, &reference_s), "forecast_reference_time");
    for (size_t i = 0; i < header->lead_count; i++) {
        double lead_s = (double)header->lead_s[i];
        double time_s = reference_s + lead_s;
        call(calls, nc_put_var1_double(id, layout->lead, &i, &lead_s), "lead_time");
        call(calls, nc_put_var1_double(id, layout->time, &i, &time_s), "time");
        if (header->accumulation_s > 0) {
            size_t start[] = {i, 0};
            size_t count[] = {1, 2};
            double bounds[] = {time_s - (double)header->accumulation_s, time_s};
            call(calls, nc_put_vara_double(id, layout->time_bounds, start, count, bounds),
                 "time_bounds");
        }
    }
}

static void write_intervals(struct calls *calls, int id, const struct ncwrite_header *header,
                            const struct layout *layout) {
    for (size_t k = 0; k < layout->interval_count; k++) {
        for (size_t i = 0; i < header->lead_count; i++) {
            size_t start[] = {i, 0};
            size_t count[] = {1, 2};
            double end_s = (double)header->reference_utc_us / 1e6 + (double)header->lead_s[i];
            double bounds[] = {end_s - (double)layout->intervals[k].length_s, end_s};
            call(calls, nc_put_var1_double(id, layout->intervals[k].time, &i, &end_s), "time");
            call(calls, nc_put_vara_double(id, layout->intervals[k].bounds, start, count, bounds),
                 "time bounds");
        }
    }
}

/* The different lengths among the variables. */
static int collect_intervals(const struct ncwrite_variable *variables, size_t count,
                             struct layout *layout) {
    for (size_t v = 0; v < count; v++) {
        size_t i = 0;
        while (i < layout->interval_count &&
               layout->intervals[i].length_s != variables[v].accumulation_s) {
            i++;
        }
        if (variables[v].accumulation_s > 0 && i == INTERVALS_MAX) {
            return ERR_LIMIT;
        }
        if (variables[v].accumulation_s > 0 && i == layout->interval_count) {
            layout->intervals[layout->interval_count++].length_s = variables[v].accumulation_s;
        }
    }
    return 0;
}

static int define_all(struct ncwriter *writer, const struct ncwrite_header *header,
                      const struct ncwrite_variable *variables, size_t count, struct err *ret_err) {
    struct calls calls = {.status = NC_NOERR};
    struct layout layout = {0};
    int id = writer->id;
    if (collect_intervals(variables, count, &layout) != 0) {
        return err_set(ret_err, ERR_LIMIT, "%.300s: more than %d lengths of accumulations",
                       writer->path, INTERVALS_MAX);
    }
    write_globals(&calls, id, header);
    define_time(&calls, id, header, &layout);
    define_intervals(&calls, id, &layout);
    define_space(&calls, id, header->grid, &layout);
    for (size_t i = 0; i < count; i++) {
        writer->variables[i] = variables[i];
        writer->variable_ids[i] = define_variable(&calls, id, header, &layout, &variables[i]);
    }
    call(&calls, nc_enddef(id), "definitions");
    write_coordinates(&calls, id, header, &layout);
    write_intervals(&calls, id, header, &layout);
    if (calls.status != NC_NOERR) {
        return err_set(ret_err, ERR_IO, "%.300s: %.60s: %s", writer->path, calls.what,
                       nc_strerror(calls.status));
    }
    return 0;
}

static int create(const char *path, bool in_memory, const struct ncwrite_header *header,
                  const struct ncwrite_variable *variables, size_t count,
                  struct ncwriter **ret_writer, struct err *ret_err) {
    int result = check_header(path, header, variables, count, ret_err);
    if (result != 0) {
        return result;
    }
    struct ncwriter *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return err_set(ret_err, ERR_MEMORY, "%.300s: no memory", path);
    }
    writer->in_memory = in_memory;
    writer->rows = header->grid->rows;
    writer->columns = header->grid->columns;
    writer->lead_count = header->lead_count;
    writer->member_count = header->member_count;
    writer->variable_count = count;
    writer->packed = malloc(writer->rows * writer->columns * sizeof(short));
    if (writer->packed == NULL || text_copy(writer->path, sizeof writer->path, path) != 0) {
        ncwriter_destroy(writer);
        return err_set(ret_err, ERR_LIMIT, "%.300s: no memory, or too long a name", path);
    }
    (void)snprintf(writer->temporary, sizeof writer->temporary, "%s.tmp-%ld", path, (long)getpid());
    int status = in_memory ? nc_create_mem(path, NC_NETCDF4, MEMORY_START, &writer->id)
                           : nc_create(writer->temporary, NC_NETCDF4 | NC_NOCLOBBER, &writer->id);
    if (status != NC_NOERR) {
        ncwriter_destroy(writer);
        return err_set(ret_err, ERR_IO, "%.300s: cannot create: %s", path, nc_strerror(status));
    }
    writer->is_open = true;
    result = define_all(writer, header, variables, count, ret_err);
    if (result != 0) {
        ncwriter_destroy(writer);
        return result;
    }
    *ret_writer = writer;
    return 0;
}

int ncwriter_create(const char *path, const struct ncwrite_header *header,
                    const struct ncwrite_variable *variables, size_t variable_count,
                    struct ncwriter **ret_writer, struct err *ret_err) {
    return create(path, false, header, variables, variable_count, ret_writer, ret_err);
}

int ncwriter_create_memory(const char *name, const struct ncwrite_header *header,
                           const struct ncwrite_variable *variables, size_t variable_count,
                           struct ncwriter **ret_writer, struct err *ret_err) {
    return create(name, true, header, variables, variable_count, ret_writer, ret_err);
}

/* Codes of a field; a value that the type cannot hold is refused, never clipped. */
static int pack(const struct ncwriter *writer, const struct ncwrite_variable *spec,
                const float *values, struct err *ret_err) {
    short *shorts = writer->packed;
    signed char *bytes = writer->packed;
    for (size_t i = 0; i < writer->rows * writer->columns; i++) {
        double value = (double)values[i];
        bool missing = isnan(value);
        bool good = true;
        if (spec->type == NCWRITE_SHORT) {
            double code = missing ? SHORT_MISSING : nearbyint(value / spec->scale);
            good = missing || (code > SHORT_MISSING && code <= 32767);
            shorts[i] = good ? (short)code : (short)SHORT_MISSING;
        } else if (spec->type == NCWRITE_FLAG_BYTE) {
            good = missing || (value >= 0 && value < BYTE_MISSING && value == floor(value));
            bytes[i] = good && !missing ? (signed char)value : (signed char)BYTE_MISSING;
        } else {
            good = !isinf(value);
        }
        if (!good) {
            return err_set(ret_err, ERR_RANGE, "%.300s: %g at %zu, %zu does not fit its variable",
                           writer->path, value, i / writer->columns, i % writer->columns);
        }
    }
    return 0;
}

int ncwriter_put(struct ncwriter *writer, size_t variable, size_t member, size_t lead,
                 const float *values, struct err *ret_err) {
    if (variable >= writer->variable_count) {
        return err_set(ret_err, ERR_RANGE, "%.300s: no variable %zu", writer->path, variable);
    }
    const struct ncwrite_variable *spec = &writer->variables[variable];
    if ((spec->has_members && member >= writer->member_count) ||
        (spec->has_leads && lead >= writer->lead_count)) {
        return err_set(ret_err, ERR_RANGE, "%.300s: no member %zu or lead %zu", writer->path,
                       member, lead);
    }
    int result = pack(writer, spec, values, ret_err);
    if (result != 0) {
        return result;
    }
    size_t start[4] = {0};
    size_t count[4] = {1, 1, 1, 1};
    size_t dims = 0;
    if (spec->has_members) {
        start[dims++] = member;
    }
    if (spec->has_leads) {
        start[dims++] = lead;
    }
    count[dims++] = writer->rows;
    count[dims] = writer->columns;
    int id = writer->variable_ids[variable];
    int status = spec->type == NCWRITE_FLOAT
                     ? nc_put_vara_float(writer->id, id, start, count, values)
                 : spec->type == NCWRITE_SHORT
                     ? nc_put_vara_short(writer->id, id, start, count, writer->packed)
                     : nc_put_vara_schar(writer->id, id, start, count, writer->packed);
    if (status != NC_NOERR) {
        return err_set(ret_err, ERR_IO, "%.300s: cannot write: %s", writer->path,
                       nc_strerror(status));
    }
    return 0;
}

static int sync_path(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);
    int result = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) {
        (void)close(fd); /* synced */
    }
    return result;
}

/* The folder of a path, so that the rename is on disk too. */
static int sync_folder(const char *path) {
    char folder[PATH_SIZE];
    (void)snprintf(folder, sizeof folder, "%s", path); /* as long as writer->path */
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        return sync_path(".", O_RDONLY | O_DIRECTORY);
    }
    slash[slash == folder] = '\0';
    return sync_path(folder, O_RDONLY | O_DIRECTORY);
}

int ncwriter_finish(struct ncwriter *writer, struct err *ret_err) {
    int status = writer->in_memory ? NC_EINVAL : nc_close(writer->id);
    int code = 0;
    writer->is_open = writer->in_memory;
    if (status == NC_NOERR) {
        code = sync_path(writer->temporary, O_RDONLY);
    }
    if (status == NC_NOERR && code == 0 && rename(writer->temporary, writer->path) != 0) {
        code = errno;
    }
    if (status == NC_NOERR && code == 0) {
        code = sync_folder(writer->path);
    }
    int result = 0;
    if (status != NC_NOERR || code != 0) {
        result = err_set(ret_err, ERR_IO, "%.300s: cannot finish: %s", writer->path,
                         status != NC_NOERR ? nc_strerror(status) : strerror(code));
    }
    ncwriter_destroy(writer);
    return result;
}

int ncwriter_finish_memory(struct ncwriter *writer, void **ret_image, size_t *ret_size,
                           struct err *ret_err) {
    NC_memio image = {0};
    int status = writer->in_memory ? nc_close_memio(writer->id, &image) : NC_EINVAL;
    int result = 0;
    writer->is_open = !writer->in_memory;
    if (status != NC_NOERR) {
        result = err_set(ret_err, ERR_IO, "%.300s: cannot finish: %s", writer->path,
                         nc_strerror(status));
    } else {
        *ret_image = image.memory;
        *ret_size = image.size;
    }
    ncwriter_destroy(writer);
    return result;
}

int ncwriter_finish_fd(struct ncwriter *writer, int fd, struct err *ret_err) {
    NC_memio image = {0};
    int status = writer->in_memory ? nc_close_memio(writer->id, &image) : NC_EINVAL;
    int code = 0;
    size_t done = 0;
    writer->is_open = !writer->in_memory;
    while (status == NC_NOERR && code == 0 && done < image.size) {
        ssize_t count = write(fd, (const char *)image.memory + done, image.size - done);
        if (count > 0) {
            done += (size_t)count;
        } else if (count == 0 || errno != EINTR) {
            code = count == 0 ? EIO : errno;
        }
    }
    int result = 0;
    if (status != NC_NOERR || code != 0) {
        result = err_set(ret_err, ERR_IO, "%.300s: cannot finish: %s", writer->path,
                         status != NC_NOERR ? nc_strerror(status) : strerror(code));
    }
    free(image.memory);
    ncwriter_destroy(writer);
    return result;
}

void ncwriter_destroy(struct ncwriter *writer) {
    if (writer == NULL) {
        return;
    }
    if (writer->is_open && writer->in_memory) {
        NC_memio image = {0};
        (void)nc_close_memio(writer->id, &image); /* given up */
        free(image.memory);
    } else if (writer->is_open) {
        (void)nc_close(writer->id); /* given up */
    }
    if (!writer->in_memory && writer->temporary[0] != '\0') {
        (void)unlink(writer->temporary); /* gone already after a rename */
    }
    free(writer->packed);
    free(writer);
}
