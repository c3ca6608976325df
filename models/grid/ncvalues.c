/* Stored numbers -> values: missing, range, packing, units. Part of ncfile.h. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/grid/ncpriv.h"

enum { BLOCK_CELLS = 1 << 20 }; /* read in one call: 8 MiB as double */

static bool is_floating(nc_type type) {
    return type == NC_FLOAT || type == NC_DOUBLE;
}

static double as_unsigned(const struct ncvar *var, double raw) {
    if (!var->is_unsigned || raw >= 0) {
        return raw;
    }
    return raw + (var->type == NC_BYTE ? 256.0 : var->type == NC_SHORT ? 65536.0 : 4294967296.0);
}

/* An attribute of a floating type on an integer variable is in unpacked units (NetCDF Users'
 * Guide, attribute conventions, valid_range). */
static bool is_unpacked(const struct ncvar *var, nc_type attribute_type) {
    return is_floating(attribute_type) && !is_floating(var->type);
}

static int load_missing(struct ncvar *var, struct err *ret_err) {
    static const char *const names[] = {"_FillValue", "missing_value"};
    for (size_t i = 0; i < 2; i++) {
        double values[NC_MISSING_MAX / 2];
        size_t count;
        nc_type type;
        int result =
            ncpriv_numbers(var->file, var->id, names[i], NC_MISSING_MAX / 2, values, &count, &type);
        if (result == ERR_INVALID) {
            return ncpriv_refuse(var, ret_err, ERR_INVALID, "%s is not 1 to %d numbers", names[i],
                                 NC_MISSING_MAX / 2);
        }
        for (size_t k = 0; result == 0 && k < count; k++) {
            var->missing[var->missing_count] = as_unsigned(var, values[k]);
            var->missing_unpacked[var->missing_count++] = is_unpacked(var, type);
        }
    }
    if (var->missing_count > 0) {
        return 0;
    }
    if (!is_floating(var->type)) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID,
                             "integers without _FillValue and missing_value: missing cells cannot "
                             "be told from data");
    }
    var->missing[var->missing_count++] =
        var->type == NC_FLOAT ? (double)NC_FILL_FLOAT : NC_FILL_DOUBLE;
    return 0;
}

static int load_range(struct ncvar *var, struct err *ret_err) {
    double range[2];
    size_t count = 0;
    nc_type type = NC_DOUBLE;
    var->valid_min = -INFINITY;
    var->valid_max = INFINITY;
    int result = ncpriv_numbers(var->file, var->id, "valid_range", 2, range, &count, &type);
    if (result == ERR_INVALID || (result == 0 && count != 2)) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID, "valid_range is not two numbers");
    }
    if (result == 0) {
        var->valid_min = as_unsigned(var, range[0]);
        var->valid_max = as_unsigned(var, range[1]);
        var->valid_unpacked = is_unpacked(var, type);
    } else {
        static const char *const names[] = {"valid_min", "valid_max"};
        double *limits[] = {&var->valid_min, &var->valid_max};
        for (size_t i = 0; i < 2; i++) {
            result = ncpriv_numbers(var->file, var->id, names[i], 1, range, &count, &type);
            if (result == ERR_INVALID) {
                return ncpriv_refuse(var, ret_err, ERR_INVALID, "%s is not a number", names[i]);
            }
            if (result == 0) {
                *limits[i] = as_unsigned(var, range[0]);
                var->valid_unpacked = is_unpacked(var, type);
            }
        }
    }
    if (!(var->valid_min <= var->valid_max)) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID, "valid range from %g to %g is empty",
                             var->valid_min, var->valid_max);
    }
    return 0;
}

static int load_factor(struct ncvar *var, const char *name, double otherwise, double *ret_value,
                       struct err *ret_err) {
    double value = otherwise;
    size_t count;
    nc_type type;
    int result = ncpriv_numbers(var->file, var->id, name, 1, &value, &count, &type);
    if (result == ERR_INVALID || !isfinite(value)) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID, "%s is not a finite number", name);
    }
    *ret_value = result == 0 ? value : otherwise;
    return 0;
}

int ncpriv_load_packing(struct ncvar *var, const char *units, struct err *ret_err) {
    char text[NC_TEXT_MAX];
    struct err inner;
    int result = ncpriv_text(var->file, var->id, "_Unsigned", text, sizeof text);
    var->is_unsigned = result == 0 && strcmp(text, "true") == 0 &&
                       (var->type == NC_BYTE || var->type == NC_SHORT || var->type == NC_INT);
    result = load_missing(var, ret_err);
    if (result == 0) {
        result = load_range(var, ret_err);
    }
    if (result == 0) {
        result = load_factor(var, "scale_factor", 1.0, &var->scale, ret_err);
    }
    if (result == 0) {
        result = load_factor(var, "add_offset", 0.0, &var->offset, ret_err);
    }
    if (result == 0 && var->scale == 0.0) {
        result = ncpriv_refuse(var, ret_err, ERR_INVALID, "scale_factor is 0");
    }
    if (result != 0) {
        return result;
    }
    if (units == NULL) { /* classes have none */
        var->unit_scale = 1.0;
        return 0;
    }
    if (ncpriv_text(var->file, var->id, "units", text, sizeof text) != 0) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID, "no units; '%s' expected", units);
    }
    result =
        grid_env_unit(var->file->env, text, units, &var->unit_scale, &var->unit_offset, &inner);
    if (result != 0) {
        return ncpriv_refuse(var, ret_err, result, "%s", inner.text);
    }
    return 0;
}

/* Stored number to value; NaN when missing. */
static double unpack(const struct ncvar *var, double raw) {
    raw = as_unsigned(var, raw);
    double value = raw * var->scale + var->offset;
    if (isnan(value)) {
        return NAN;
    }
    for (size_t i = 0; i < var->missing_count; i++) {
        if (raw == var->missing[i] || (var->missing_unpacked[i] && value == var->missing[i])) {
            return NAN;
        }
    }
    double checked = var->valid_unpacked ? value : raw;
    if (checked < var->valid_min || checked > var->valid_max) {
        return NAN;
    }
    return value * var->unit_scale + var->unit_offset;
}

/* Reads stored rows [first, first + count) of a frame. In a transposed file these are columns. */
static int read_block(struct ncvar *var, size_t frame, size_t first, size_t count, double *ret_raw,
                      struct err *ret_err) {
    size_t start[NC_DIMS_MAX] = {0};
    size_t counts[NC_DIMS_MAX];
    for (int i = 0; i < var->dim_count; i++) {
        counts[i] = 1;
    }
    if (var->time_dim >= 0) {
        start[var->time_dim] = frame;
    }
    if (var->member_dim >= 0) {
        start[var->member_dim] = var->member;
    }
    start[var->dim_count - 2] = first;
    counts[var->dim_count - 2] = count;
    counts[var->dim_count - 1] = var->lengths[var->dim_count - 1];
    int status = nc_get_vara_double(var->file->id, var->id, start, counts, ret_raw);
    if (status != NC_NOERR) {
        return ncpriv_refuse(var, ret_err, ERR_CORRUPT, "frame %zu is not readable: %s", frame,
                             nc_strerror(status));
    }
    return 0;
}

/* Exactly one of the outputs is given. */
static int read_frame(struct ncvar *var, size_t frame, double *ret_f64, float *ret_f32,
                      struct err *ret_err) {
    if (frame >= ncvar_frame_count(var)) {
        return ncpriv_refuse(var, ret_err, ERR_RANGE, "no frame %zu", frame);
    }
    size_t outer = var->lengths[var->dim_count - 2];
    size_t inner = var->lengths[var->dim_count - 1];
    size_t step = BLOCK_CELLS / inner > 0 ? BLOCK_CELLS / inner : 1;
    step = step < outer ? step : outer;
    double *raw = malloc(step * inner * sizeof *raw);
    if (raw == NULL) {
        return ncpriv_refuse(var, ret_err, ERR_MEMORY, "no memory for %zu cells", step * inner);
    }
    int result = 0;
    for (size_t first = 0; first < outer && result == 0; first += step) {
        size_t count = outer - first < step ? outer - first : step;
        result = read_block(var, frame, first, count, raw, ret_err);
        for (size_t k = 0; k < count * inner && result == 0; k++) {
            size_t o = first + k / inner;
            size_t i = k % inner;
            size_t at = var->transposed ? i * outer + o : o * inner + i;
            double value = unpack(var, raw[k]);
            if (isinf(value) || (ret_f32 != NULL && fabs(value) > (double)FLT_MAX)) {
                result = ncpriv_refuse(var, ret_err, ERR_CORRUPT,
                                       "frame %zu holds %g (stored %g) at %zu, %zu", frame, value,
                                       raw[k], o, i);
            } else if (ret_f64 != NULL) {
                ret_f64[at] = value;
            } else {
                ret_f32[at] = (float)value;
            }
        }
    }
    free(raw);
    return result;
}

int ncvar_read_f64(struct ncvar *var, size_t frame, double *ret_values, struct err *ret_err) {
    return read_frame(var, frame, ret_values, NULL, ret_err);
}

int ncvar_read_f32(struct ncvar *var, size_t frame, float *ret_values, struct err *ret_err) {
    return read_frame(var, frame, NULL, ret_values, ret_err);
}
