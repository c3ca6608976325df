/* CF NetCDF in: frames of a variable with missing values, packing, units and times resolved.
 *
 * Files come from outside: everything is checked before it is used, and every refusal names the
 * file, the variable and the value. Still, HDF5 may crash on a malformed file, so this runs in
 * canhbao-model only, never in the daemon.
 *
 * A data variable has the dimensions ([time,] y, x), perhaps with others of length 1; any of the
 * leading ones may be missing. Over lead times (standard_name forecast_period) the times are those
 * of an auxiliary coordinate with standard_name time. The time of a variable without a time
 * dimension comes from a scalar coordinate `time`.
 *
 * Missing is: _FillValue, missing_value, outside valid_range, valid_min, valid_max, NaN, and for
 * floating point without _FillValue also the NetCDF default fill. In packed units where CF says so.
 * Refused: an integer variable without _FillValue and missing_value; infinities.
 * Thread rule: as grid_env. */
#ifndef CANHBAO_MODELS_GRID_NCFILE_H
#define CANHBAO_MODELS_GRID_NCFILE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/grid/env.h"
#include "models/grid/grid.h"

struct ncfile;

/* Reads the whole file into memory, then opens it from there. ERR_IO, ERR_LIMIT (larger than
 * limits.file_bytes_max), ERR_CORRUPT (not NetCDF). */
int ncfile_open(struct grid_env *env, const char *path, struct ncfile **ret_file,
                struct err *ret_err);

/* The same for bytes already read (sandboxed workers). `name` appears in messages; `bytes` must
 * outlive the file. */
int ncfile_open_memory(struct grid_env *env, const char *name, const void *bytes, size_t size,
                       struct ncfile **ret_file, struct err *ret_err);

/* Reads a whole descriptor, at most limits.file_bytes_max. The caller frees. */
int ncfile_slurp(const struct grid_env *env, const char *name, int fd, void **ret_bytes,
                 size_t *ret_size, struct err *ret_err);

void ncfile_close(struct ncfile *file);

const char *ncfile_name(const struct ncfile *file);

/* The scalar coordinate forecast_reference_time as UTC microseconds. ERR_NOT_FOUND: the file has
 * none; ERR_INVALID: it is no time. */
int ncfile_reference_us(struct ncfile *file, int64_t *ret_utc_us);

/* A variable by name or, when `name` is NULL, the only variable with the given CF standard_name.
 * Units NULL: as stored, for classes, which have none. ERR_NOT_FOUND lists what the file has. */
struct ncvar;
int ncvar_open(struct ncfile *file, const char *name, const char *standard_name, const char *units,
               struct ncvar **ret_var, struct err *ret_err);
/* The same for an ensemble: it may have a dimension `realization` (or standard_name realization).
 * ncvar_set_member() tells which of ncvar_member_count() is read, the first unless told. */
int ncvar_open_ensemble(struct ncfile *file, const char *name, const char *standard_name,
                        const char *units, struct ncvar **ret_var, struct err *ret_err);
size_t ncvar_member_count(const struct ncvar *var);
void ncvar_set_member(struct ncvar *var, size_t member);
void ncvar_close(struct ncvar *var);
const char *ncvar_name(const struct ncvar *var);
/* A text attribute of it; "" when there is none or it is longer. */
void ncvar_text(const struct ncvar *var, const char *attribute, char *ret_text, size_t size);

/* Number of frames (1 without a time dimension). */
size_t ncvar_frame_count(const struct ncvar *var);

/* The grid of the variable; the caller destroys it. Lengths are converted to metres. */
int ncvar_grid(struct ncvar *var, struct grid **ret_grid, struct err *ret_err);

/* The same, and axes in metres without a grid mapping are taken for distances east and north of a
 * point (grid_mapping_plane()), which ncvar_grid() refuses. */
int ncvar_grid_local(struct ncvar *var, double latitude_deg, double longitude_deg,
                     struct grid **ret_grid, struct err *ret_err);

/* Times of all frames as UTC microseconds (rounded to 1 ms), [ncvar_frame_count]. Any unit and
 * reference date that UDUNITS knows; calendars standard, gregorian and, after 1582,
 * proleptic_gregorian. Refused by name: no time, another calendar, a missing or repeated time,
 * times out of order, a time later than newest_utc_us (INT64_MAX: no check), a float32 axis that
 * cannot tell seconds apart. */
int ncvar_times(struct ncvar *var, int64_t newest_utc_us, int64_t *ret_utc_us, struct err *ret_err);

/* The same, but in any order, perhaps repeated and with no latest time: for callers that sort. */
int ncvar_times_stored(struct ncvar *var, int64_t *ret_utc_us, struct err *ret_err);

/* One frame in the units given to ncvar_open, [rows * columns], NaN where missing. */
int ncvar_read_f64(struct ncvar *var, size_t frame, double *ret_values, struct err *ret_err);
int ncvar_read_f32(struct ncvar *var, size_t frame, float *ret_values, struct err *ret_err);

#endif
