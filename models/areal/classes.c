#include "models/areal/classes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/ids.h"
#include "daemon/base/text.h"
#include "models/grid/formats.h"
#include "models/grid/ncfile.h"
#include "models/grid/ncflags.h"

enum { NO_CLASS = UINT8_MAX };
static_assert((int)NCFLAGS_MAX < (int)NO_CLASS, "a class fits into uint8_t");

struct classes {
    char hash[HASH_TEXT_SIZE];
    char variable[256];
    struct ncflags flags;
    size_t cells;
    uint8_t *of_cell; /* [cells] index of its class, NO_CLASS: missing */
    size_t polygons;
};

int classes_file_open(const char *text, struct classes_file *ret_file, struct err *ret_err) {
    struct classes_file file = {.fd = -1};
    const char *colon = strrchr(text, ':');
    const char *slash = strrchr(text, '/');
    const char *end = colon != NULL && (slash == NULL || colon > slash) ? colon : NULL;
    size_t length = end != NULL ? (size_t)(end - text) : strlen(text);
    if (length >= sizeof file.path ||
        (end != NULL && text_copy(file.variable, sizeof file.variable, end + 1) != 0)) {
        return err_set(ret_err, ERR_LIMIT, "--classes: the path or variable is too long");
    }
    memcpy(file.path, text, length);
    file.fd = open(file.path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file.fd < 0) {
        return err_set(ret_err, ERR_IO, "%.300s: %s", file.path, strerror(errno));
    }
    *ret_file = file;
    return 0;
}

/* ---- reading ---- */

static int refuse(struct ncfile *file, struct ncvar *var, struct err *ret_err, int code,
                  const char *what) {
    return err_set(ret_err, code, "%.120s: variable %.60s: %s", ncfile_name(file), ncvar_name(var),
                   what);
}

/* Nothing here regrids classes: means of them are no classes. */
static int check_grid(struct ncfile *file, struct ncvar *var, const struct grid *grid,
                      struct err *ret_err) {
    struct grid *own = NULL;
    int result = ncvar_grid(var, &own, ret_err);
    if (result == 0 && !grid_same(own, grid)) {
        result = refuse(file, var, ret_err, ERR_INVALID,
                        "the classes are not on the grid and projection of the rain; put them "
                        "there first (nearest neighbour)");
    }
    if (result == 0 && ncvar_frame_count(var) != 1) {
        result = refuse(file, var, ret_err, ERR_INVALID, "more than one frame of classes");
    }
    grid_destroy(own);
    return result;
}

static int find_class(const struct ncflags *flags, double value, uint8_t *ret_class) {
    for (size_t k = 0; k < flags->count; k++) {
        if (flags->value[k] == value) {
            *ret_class = (uint8_t)k;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

static int fill_cells(struct ncfile *file, struct ncvar *var, size_t columns,
                      struct classes *classes, struct err *ret_err) {
    double *values = malloc(classes->cells * sizeof *values);
    classes->of_cell = malloc(classes->cells);
    int result = values == NULL || classes->of_cell == NULL
                     ? err_set(ret_err, ERR_MEMORY, "no memory for %zu classes", classes->cells)
                     : ncvar_read_f64(var, 0, values, ret_err);
    for (size_t i = 0; result == 0 && i < classes->cells; i++) {
        classes->of_cell[i] = NO_CLASS;
        if (!isnan(values[i]) &&
            find_class(&classes->flags, values[i], &classes->of_cell[i]) != 0) {
            char what[120];
            (void)snprintf(what, sizeof what, "%g at row %zu, column %zu is not in flag_values",
                           values[i], i / columns, i % columns);
            result = refuse(file, var, ret_err, ERR_INVALID, what);
        }
    }
    free(values);
    return result;
}

static int read_variable(struct ncfile *file, const char *name, const struct grid *grid,
                         struct classes *classes, struct err *ret_err) {
    struct ncvar *var = NULL;
    int result = ncflags_open(file, name[0] != '\0' ? name : NULL, &var, ret_err);
    if (result != 0) {
        return result;
    }
    if (text_copy(classes->variable, sizeof classes->variable, ncvar_name(var)) != 0) {
        result = refuse(file, var, ret_err, ERR_LIMIT, "its name is too long");
    }
    result = result == 0 ? ncflags_read(var, &classes->flags, ret_err) : result;
    result = result == 0 ? check_grid(file, var, grid, ret_err) : result;
    result = result == 0 ? fill_cells(file, var, grid->columns, classes, ret_err) : result;
    ncvar_close(var);
    return result;
}

static int read_file(struct grid_env *env, const struct classes_file *from, const struct grid *grid,
                     struct classes *classes, struct err *ret_err) {
    void *bytes = NULL;
    size_t size = 0;
    struct ncfile *file = NULL;
    int result = ncfile_slurp(env, from->path, from->fd, &bytes, &size, ret_err);
    if (result != 0) {
        return result;
    }
    /* GRIB has no flag attributes, and its library needs files that the cage hides. */
    const struct format *format = format_of(bytes, size);
    if (format != NULL && format->needs_files) {
        result = err_set(ret_err, ERR_UNSUPPORTED, "%.300s: classes are read from NetCDF only",
                         from->path);
    }
    if (result == 0) {
        hash_text(bytes, size, classes->hash);
        result = ncfile_open_memory(env, from->path, bytes, size, &file, ret_err);
    }
    if (result == 0) {
        result = read_variable(file, from->variable, grid, classes, ret_err);
    }
    ncfile_close(file);
    free(bytes);
    return result;
}

/* ---- areas ---- */

static size_t area_count(const struct classes *classes) {
    size_t parents = classes->polygons > 0 ? classes->polygons : 1;
    return parents * classes->flags.count;
}

static int name_area(const struct classes *classes, const struct area_list *areas, size_t index,
                     struct area *ret_area, struct err *ret_err) {
    struct area area = {.ring_count = 0};
    const char *class = classes->flags.name[(index - classes->polygons) % classes->flags.count];
    size_t parent = classes_parent(classes, index);
    bool whole = parent == SIZE_MAX;
    int length = snprintf(area.id, sizeof area.id, "%s%s%s", whole ? "" : areas->areas[parent].id,
                          whole ? "" : ".", class);
    if (length < 0 || (size_t)length >= sizeof area.id || !text_is_id(area.id)) {
        return err_set(ret_err, ERR_INVALID,
                       "--classes: '%.63s%s%.63s' is no id of 1 to 63 of a-z, 0-9, '-', '_', '.'",
                       whole ? "" : areas->areas[parent].id, whole ? "" : ".", class);
    }
    for (size_t i = 0; i < classes->polygons; i++) {
        if (strcmp(areas->areas[i].id, area.id) == 0) {
            return err_set(ret_err, ERR_EXISTS, "--classes: area %s is there already", area.id);
        }
    }
    memcpy(area.name, area.id, sizeof area.id);
    *ret_area = area;
    return 0;
}

static int append_areas(const struct classes *classes, struct area_list *areas,
                        struct err *ret_err) {
    size_t more = area_count(classes);
    if (areas->count + more > AREAS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "--classes: %zu areas with classes; at most %d expected",
                       areas->count + more, AREAS_MAX);
    }
    struct area *list = realloc(areas->areas, (areas->count + more) * sizeof *list);
    if (list == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for areas");
    }
    areas->areas = list;
    int result = 0;
    for (size_t i = 0; result == 0 && i < more; i++) {
        size_t index = classes->polygons + i;
        result = name_area(classes, areas, index, &list[index], ret_err);
    }
    areas->count += result == 0 ? more : 0;
    return result;
}

int classes_load(struct grid_env *env, const struct classes_file *file, const struct grid *grid,
                 struct area_list *areas, struct classes **ret_classes, struct err *ret_err) {
    struct classes *classes = calloc(1, sizeof *classes);
    if (classes == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for classes");
    }
    classes->cells = grid->rows * grid->columns;
    classes->polygons = areas->count;
    int result = read_file(env, file, grid, classes, ret_err);
    result = result == 0 ? append_areas(classes, areas, ret_err) : result;
    if (result != 0) {
        classes_destroy(classes);
        return result;
    }
    *ret_classes = classes;
    return 0;
}

void classes_destroy(struct classes *classes) {
    if (classes != NULL) {
        free(classes->of_cell);
        free(classes);
    }
}

size_t classes_polygons(const struct classes *classes) {
    return classes->polygons;
}

size_t classes_parent(const struct classes *classes, size_t index) {
    return classes->polygons > 0 ? (index - classes->polygons) / classes->flags.count : SIZE_MAX;
}

int classes_mask(const struct classes *classes, size_t index, const struct mask *parent,
                 const double *cell_area_m2, struct mask **ret_mask, struct err *ret_err) {
    size_t wanted = (index - classes->polygons) % classes->flags.count;
    size_t room = parent != NULL ? parent->count : classes->cells;
    size_t count = 0;
    for (size_t i = 0; i < room; i++) {
        count += classes->of_cell[parent != NULL ? parent->index[i] : i] == wanted;
    }
    struct mask *mask = calloc(1, sizeof *mask);
    if (mask != NULL) {
        mask->index = malloc((count + 1) * sizeof *mask->index);
        mask->fraction = malloc((count + 1) * sizeof *mask->fraction);
        mask->area_m2 = malloc((count + 1) * sizeof *mask->area_m2);
        /* Where a polygon leaves the grid the class is not known: as much is missing of each. */
        mask->inside = parent != NULL ? parent->inside : 1.0;
    }
    if (mask == NULL || mask->index == NULL || mask->fraction == NULL || mask->area_m2 == NULL) {
        mask_destroy(mask);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu cells of a class", count);
    }
    for (size_t i = 0; i < room; i++) {
        size_t cell = parent != NULL ? parent->index[i] : i;
        if (classes->of_cell[cell] == wanted) {
            mask->index[mask->count] = cell;
            mask->fraction[mask->count] = parent != NULL ? parent->fraction[i] : 1.0;
            mask->area_m2[mask->count] = parent != NULL ? parent->area_m2[i] : cell_area_m2[cell];
            mask->covered_m2 += mask->area_m2[mask->count++];
        }
    }
    *ret_mask = mask;
    return 0;
}

const char *classes_hash(const struct classes *classes) {
    return classes->hash;
}

const char *classes_variable(const struct classes *classes) {
    return classes->variable;
}
