#include "models/grid/ncfile.h"

#include <errno.h>
#include <fcntl.h>
#include <netcdf_mem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "models/grid/formats.h"
#include "models/grid/ncpriv.h"

enum { VARIABLES_MAX = 1024 };

size_t ncpriv_product(size_t a, size_t b, size_t max) {
    size_t product;
    return __builtin_mul_overflow(a, b, &product) || product > max ? 0 : product;
}

int ncpriv_refuse(const struct ncvar *var, struct err *ret_err, int code, const char *format, ...) {
    char text[ERR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* cut is fine */
    va_end(arguments);
    return err_set(ret_err, code, "%.120s: variable %.80s: %.300s", var->file->name, var->name,
                   text);
}

int ncpriv_text(const struct ncfile *file, int variable, const char *attribute, char *ret_text,
                size_t size) {
    nc_type type;
    size_t length;
    if (nc_inq_att(file->id, variable, attribute, &type, &length) != NC_NOERR) {
        return ERR_NOT_FOUND;
    }
    if (type == NC_STRING && length == 1) {
        char *text = NULL;
        if (nc_get_att_string(file->id, variable, attribute, &text) != NC_NOERR || text == NULL) {
            return ERR_INVALID;
        }
        int result = text_copy(ret_text, size, text);
        (void)nc_free_string(1, &text);
        return result == 0 ? 0 : ERR_INVALID;
    }
    if (type != NC_CHAR || length >= size) {
        return ERR_INVALID;
    }
    if (length > 0 && nc_get_att_text(file->id, variable, attribute, ret_text) != NC_NOERR) {
        return ERR_INVALID;
    }
    ret_text[length] = '\0';
    return 0;
}

int ncpriv_numbers(const struct ncfile *file, int variable, const char *attribute, size_t max,
                   double *ret_numbers, size_t *ret_count, nc_type *ret_type) {
    nc_type type;
    size_t length;
    if (nc_inq_att(file->id, variable, attribute, &type, &length) != NC_NOERR) {
        return ERR_NOT_FOUND;
    }
    bool number = (type >= NC_BYTE && type <= NC_UINT64) && type != NC_CHAR;
    if (!number || length == 0 || length > max ||
        nc_get_att_double(file->id, variable, attribute, ret_numbers) != NC_NOERR) {
        return ERR_INVALID;
    }
    *ret_count = length;
    *ret_type = type;
    return 0;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

int ncfile_slurp(const struct grid_env *env, const char *name, int fd, void **ret_bytes,
                 size_t *ret_size, struct err *ret_err) {
    struct stat status;
    name = base_name(name);
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return err_set(ret_err, ERR_IO, "%.200s: not a regular file", name);
    }
    if ((size_t)status.st_size > env->limits.file_bytes_max) {
        return err_set(ret_err, ERR_LIMIT, "%.200s: %lld bytes; at most %zu expected", name,
                       (long long)status.st_size, env->limits.file_bytes_max);
    }
    if (status.st_size == 0) {
        return err_set(ret_err, ERR_CORRUPT, "%.200s: the file is empty", name);
    }
    size_t size = (size_t)status.st_size;
    char *bytes = malloc(size);
    if (bytes == NULL) {
        return err_set(ret_err, ERR_MEMORY, "%.200s: no memory for %zu bytes", name, size);
    }
    size_t got = 0;
    while (got < size) {
        ssize_t count = pread(fd, bytes + got, size - got, (off_t)got);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            int code = errno;
            free(bytes);
            return err_set(ret_err, ERR_IO, "%.200s: read of byte %zu: %s", name, got,
                           count == 0 ? "the file became shorter" : strerror(code));
        }
        got += (size_t)count;
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return 0;
}

int ncfile_open_memory(struct grid_env *env, const char *name, const void *bytes, size_t size,
                       struct ncfile **ret_file, struct err *ret_err) {
    struct ncfile *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a NetCDF file");
    }
    file->env = env;
    (void)snprintf(file->name, sizeof file->name, "%s", base_name(name)); /* cut is fine */
    const struct format *format = format_of(bytes, size);
    if (format != NULL && format->translate != NULL) {
        int result = format->translate(env, file->name, bytes, size, &file->image, &size, ret_err);
        if (result != 0) {
            free(file);
            return result;
        }
        bytes = file->image;
    }
    /* NC_NOWRITE: the library only reads the image, in spite of its prototype. */
    int status = nc_open_mem(file->name, NC_NOWRITE, size, (void *)(uintptr_t)bytes, &file->id);
    int variables = 0;
    if (status == NC_NOERR) {
        status = nc_inq_nvars(file->id, &variables);
        if (status == NC_NOERR && variables > VARIABLES_MAX) {
            (void)nc_close(file->id);
            free(file->image);
            free(file);
            return err_set(ret_err, ERR_LIMIT, "%.200s: %d variables; at most %d expected",
                           base_name(name), variables, VARIABLES_MAX);
        }
    }
    if (status != NC_NOERR) {
        free(file->image);
        free(file);
        return err_set(ret_err, ERR_CORRUPT, "%.200s: not readable as NetCDF: %s", base_name(name),
                       nc_strerror(status));
    }
    *ret_file = file;
    return 0;
}

int ncfile_open(struct grid_env *env, const char *path, struct ncfile **ret_file,
                struct err *ret_err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return err_set(ret_err, ERR_IO, "%.300s: %s", path, strerror(errno));
    }
    void *bytes = NULL;
    size_t size = 0;
    int result = ncfile_slurp(env, path, fd, &bytes, &size, ret_err);
    (void)close(fd); /* only read */
    if (result == 0) {
        result = ncfile_open_memory(env, path, bytes, size, ret_file, ret_err);
        if (result == 0) {
            (*ret_file)->owned = bytes;
        } else {
            free(bytes);
        }
    }
    return result;
}

void ncfile_close(struct ncfile *file) {
    if (file == NULL) {
        return;
    }
    (void)nc_close(file->id); /* nothing was written */
    free(file->owned);
    free(file->image);
    free(file);
}

const char *ncfile_name(const struct ncfile *file) {
    return file->name;
}

/* "a, b, c" for a message about a variable that is not there. */
static void list_variables(const struct ncfile *file, char *ret_text, size_t size) {
    int count = 0;
    size_t length = 0;
    ret_text[0] = '\0';
    (void)nc_inq_nvars(file->id, &count); /* checked at open */
    for (int i = 0; i < count; i++) {
        char name[NC_MAX_NAME + 1];
        if (nc_inq_varname(file->id, i, name) == NC_NOERR && length + strlen(name) + 3 < size) {
            length += (size_t)snprintf(ret_text + length, size - length, "%s%s",
                                       length == 0 ? "" : ", ", name);
        }
    }
}

static int find_variable(const struct ncfile *file, const char *name, const char *standard_name,
                         int *ret_id, struct err *ret_err) {
    char text[200];
    if (name != NULL) {
        if (nc_inq_varid(file->id, name, ret_id) == NC_NOERR) {
            return 0;
        }
        list_variables(file, text, sizeof text);
        return err_set(ret_err, ERR_NOT_FOUND, "%.120s: no variable '%.64s'; the file has: %s",
                       file->name, name, text);
    }
    int count = 0;
    int found = -1;
    (void)nc_inq_nvars(file->id, &count); /* checked at open */
    for (int i = 0; i < count; i++) {
        if (ncpriv_text(file, i, "standard_name", text, sizeof text) == 0 &&
            strcmp(text, standard_name) == 0) {
            if (found >= 0) {
                return err_set(ret_err, ERR_INVALID,
                               "%.120s: more than one variable with standard_name '%s'; name one",
                               file->name, standard_name);
            }
            found = i;
        }
    }
    if (found < 0) {
        list_variables(file, text, sizeof text);
        return err_set(ret_err, ERR_NOT_FOUND,
                       "%.120s: no variable with standard_name '%s'; the file has: %s", file->name,
                       standard_name, text);
    }
    *ret_id = found;
    return 0;
}

/* Whether the coordinate of a dimension has that standard_name. */
static bool is_standard(const struct ncfile *file, const char *dimension, const char *standard) {
    char text[NC_TEXT_MAX];
    int id;
    return nc_inq_varid(file->id, dimension, &id) == NC_NOERR &&
           ncpriv_text(file, id, "standard_name", text, sizeof text) == 0 &&
           strcmp(text, standard) == 0;
}

/* Which dimension is what. The last two are space, the others time, members or of length 1. */
static int load_dimensions(struct ncvar *var, bool ensemble, struct err *ret_err) {
    const struct ncfile *file = var->file;
    int id;
    char name[NC_MAX_NAME + 1];
    char kinds[NC_DIMS_MAX] = {0};
    var->time_dim = -1;
    var->member_dim = -1;
    for (int i = 0; i < var->dim_count; i++) {
        if (nc_inq_dim(file->id, var->dims[i], name, &var->lengths[i]) != NC_NOERR) {
            return ncpriv_refuse(var, ret_err, ERR_CORRUPT, "dimension %d is not readable", i);
        }
        kinds[i] = nc_inq_varid(file->id, name, &id) == NC_NOERR ? ncpriv_axis_kind(file, id) : 0;
        if (i >= var->dim_count - NC_SPACE_DIMS) {
            continue;
        }
        if (var->time_dim < 0 && (kinds[i] == 'T' || strcmp(name, "time") == 0 ||
                                  is_standard(file, name, "forecast_period"))) {
            var->time_dim = i;
        } else if (ensemble && var->member_dim < 0 &&
                   (strcmp(name, "realization") == 0 || is_standard(file, name, "realization"))) {
            var->member_dim = i;
        } else if (var->lengths[i] != 1) {
            return ncpriv_refuse(var, ret_err, ERR_INVALID,
                                 "dimension %.60s has length %zu; only time may be longer than 1",
                                 name, var->lengths[i]);
        }
    }
    int y = var->dim_count - 2;
    int x = var->dim_count - 1;
    var->transposed = kinds[y] == 'X' && kinds[x] == 'Y';
    if (kinds[y] == 'T' || kinds[x] == 'T') {
        return ncpriv_refuse(var, ret_err, ERR_INVALID,
                             "time is among the last two dimensions; y and x are expected there");
    }
    var->rows = var->lengths[var->transposed ? x : y];
    var->columns = var->lengths[var->transposed ? y : x];
    size_t bytes =
        ncpriv_product(var->rows, var->columns, file->env->limits.frame_bytes_max / sizeof(double));
    if (var->rows < 2 || var->columns < 2 || bytes == 0) {
        return ncpriv_refuse(var, ret_err, ERR_LIMIT,
                             "a frame has %zu x %zu cells; 2 x 2 to %zu bytes expected", var->rows,
                             var->columns, file->env->limits.frame_bytes_max);
    }
    if (var->time_dim >= 0 && (var->lengths[var->time_dim] == 0 ||
                               var->lengths[var->time_dim] > file->env->limits.frames_max)) {
        return ncpriv_refuse(var, ret_err, ERR_LIMIT, "%zu frames; 1 to %zu expected",
                             var->lengths[var->time_dim], file->env->limits.frames_max);
    }
    return 0;
}

/* A chunk is unpacked as a whole, however little of it is asked for. */
static int check_chunks(struct ncvar *var, struct err *ret_err) {
    int storage;
    size_t chunks[NC_MAX_VAR_DIMS];
    size_t type_size;
    if (nc_inq_type(var->file->id, var->type, NULL, &type_size) != NC_NOERR) {
        return ncpriv_refuse(var, ret_err, ERR_CORRUPT, "type is not readable");
    }
    if (nc_inq_var_chunking(var->file->id, var->id, &storage, chunks) != NC_NOERR ||
        storage != NC_CHUNKED) {
        return 0; /* classic formats and contiguous storage */
    }
    size_t max = var->file->env->limits.frame_bytes_max;
    size_t bytes = type_size;
    for (int i = 0; i < var->dim_count; i++) {
        bytes = ncpriv_product(bytes, chunks[i], max);
    }
    if (bytes == 0) {
        return ncpriv_refuse(var, ret_err, ERR_LIMIT, "a chunk is larger than %zu bytes", max);
    }
    /* One frame is read in several pieces: keep its chunks. */
    (void)nc_set_var_chunk_cache(var->file->id, var->id, bytes < max / 4 ? 4 * bytes : max, 521,
                                 0.75F); /* only speed */
    return 0;
}

static int open_var(struct ncfile *file, const char *name, const char *standard_name,
                    const char *units, bool ensemble, struct ncvar **ret_var, struct err *ret_err) {
    int id = -1;
    int result = find_variable(file, name, standard_name, &id, ret_err);
    if (result != 0) {
        return result;
    }
    struct ncvar *var = calloc(1, sizeof *var);
    if (var == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a variable");
    }
    var->file = file;
    var->id = id;
    int dim_count = 0;
    if (nc_inq_varname(file->id, id, var->name) != NC_NOERR ||
        nc_inq_vartype(file->id, id, &var->type) != NC_NOERR ||
        nc_inq_varndims(file->id, id, &dim_count) != NC_NOERR) {
        result = ncpriv_refuse(var, ret_err, ERR_CORRUPT, "not readable");
    } else if (dim_count < NC_SPACE_DIMS || dim_count > NC_DIMS_MAX) {
        result = ncpriv_refuse(var, ret_err, ERR_INVALID,
                               "%d dimensions; time, y, x (or y, x) expected", dim_count);
    } else if (var->type < NC_BYTE || var->type > NC_UINT64 || var->type == NC_CHAR) {
        result = ncpriv_refuse(var, ret_err, ERR_INVALID, "not numeric");
    } else {
        var->dim_count = dim_count;
        if (nc_inq_vardimid(file->id, id, var->dims) != NC_NOERR) {
            result = ncpriv_refuse(var, ret_err, ERR_CORRUPT, "not readable");
        }
    }
    if (result == 0) {
        result = load_dimensions(var, ensemble, ret_err);
    }
    if (result == 0) {
        result = check_chunks(var, ret_err);
    }
    if (result == 0) {
        result = ncpriv_load_packing(var, units, ret_err);
    }
    if (result != 0) {
        ncvar_close(var);
        return result;
    }
    *ret_var = var;
    return 0;
}

int ncvar_open(struct ncfile *file, const char *name, const char *standard_name, const char *units,
               struct ncvar **ret_var, struct err *ret_err) {
    return open_var(file, name, standard_name, units, false, ret_var, ret_err);
}

int ncvar_open_ensemble(struct ncfile *file, const char *name, const char *standard_name,
                        const char *units, struct ncvar **ret_var, struct err *ret_err) {
    return open_var(file, name, standard_name, units, true, ret_var, ret_err);
}

size_t ncvar_member_count(const struct ncvar *var) {
    return var->member_dim >= 0 ? var->lengths[var->member_dim] : 1;
}

void ncvar_set_member(struct ncvar *var, size_t member) {
    var->member = member;
}

void ncvar_close(struct ncvar *var) {
    free(var);
}

const char *ncvar_name(const struct ncvar *var) {
    return var->name;
}

void ncvar_text(const struct ncvar *var, const char *attribute, char *ret_text, size_t size) {
    if (ncpriv_text(var->file, var->id, attribute, ret_text, size) != 0) {
        ret_text[0] = '\0';
    }
}

size_t ncvar_frame_count(const struct ncvar *var) {
    return var->time_dim >= 0 ? var->lengths[var->time_dim] : 1;
}
