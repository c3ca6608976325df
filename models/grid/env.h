/* What the grid layer needs from the machine: the unit database (UDUNITS-2), the projection
 * database (PROJ) and the NetCDF library, opened once and before any sandbox is entered.
 *
 * Thread rule: one env per thread; UDUNITS parses units with shared state, so no two threads may
 * read files at the same time. */
#ifndef CANHBAO_MODELS_GRID_ENV_H
#define CANHBAO_MODELS_GRID_ENV_H

#include <proj.h>
#include <stddef.h>
#include <udunits2.h>

#include "daemon/base/err.h"

/* Limits on what a file may make us allocate; checked before the allocation. */
struct grid_limits {
    size_t file_bytes_max;  /* size of an input file */
    size_t frame_bytes_max; /* one frame in memory, and one chunk of the file unpacked */
    size_t frames_max;      /* length of a time axis */
    size_t vertices_max;    /* polygon vertices after densification, per area */
};

/* 1 GiB files, 256 MiB frames, 10 000 frames, 2 000 000 vertices. */
extern const struct grid_limits grid_limits_default;

struct grid_env {
    ut_system *units;
    PJ_CONTEXT *proj; /* network access is off */
    struct grid_limits limits;
};

/* Opens the databases. `limits` may be NULL (the default). ERR_IO when a database is missing.
 * Sets NCRCENV_IGNORE=1, so that no .ncrc of the user changes what is read. */
int grid_env_create(const struct grid_limits *limits, struct grid_env **ret_env,
                    struct err *ret_err);

void grid_env_destroy(struct grid_env *env);

/* value_to = scale * value_from + offset. Units in UDUNITS-2 syntax ("mm h-1", "kg m-2 s-1").
 * A mass per area (kg m-2) converts to a depth (mm) as water of 1000 kg m-3, nothing else does.
 * ERR_INVALID with both units in the text when they do not convert, or not linearly. */
int grid_env_unit(const struct grid_env *env, const char *from, const char *to, double *ret_scale,
                  double *ret_offset, struct err *ret_err);

/* Times in any UDUNITS-2 unit with a reference date ("hours since 1900-01-01") to milliseconds
 * since 1970-01-01T00:00:00Z, in place; dates before 15 October 1582 are Julian. ERR_INVALID: not
 * such a unit. */
int grid_env_times_ms(const struct grid_env *env, const char *units, size_t count, double *times,
                      struct err *ret_err);

#endif
