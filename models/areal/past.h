/* Frames that earlier runs have read, on the cells that areas cover: long windows go on without
 * their files being decoded again. What a run gives is the same with and without.
 *
 * A frame is known by the name, size and time of change of its file; only files of one frame are
 * kept. All of it belongs to one grid, one variable and one set of cells (its signature); made for
 * others it is not used. The file is ours, with its SHA-256 at the end: what does not match is
 * refused as a whole.
 * Thread rule: one thread. */
#ifndef CANHBAO_MODELS_AREAL_PAST_H
#define CANHBAO_MODELS_AREAL_PAST_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/ids.h"
#include "models/grid/grid.h"

enum { PAST_NAME_SIZE = 256, PAST_FRAMES_MAX = 20000, PAST_BYTES_MAX = 256 << 20 };

/* A file of one frame. */
struct past_frame {
    char name[PAST_NAME_SIZE]; /* without folders */
    int64_t bytes;
    int64_t modified_ns;
    char hash[HASH_TEXT_SIZE];
    int64_t utc_us;
    double *rate_mm_h; /* [cells], NaN missing */
};

struct past;

/* `variable` as asked for, "" for the default; `cells`: indexes in the grid, ascending. */
void past_signature(const struct grid *grid, const char *variable, const size_t *cells,
                    size_t cell_count, char ret_text[HASH_TEXT_SIZE]);

/* Without frames. ERR_MEMORY. */
int past_create(const char *signature, size_t cell_count, struct past **ret_past,
                struct err *ret_err);
/* ERR_CORRUPT, ERR_UNSUPPORTED (an other version), ERR_INVALID (another signature), ERR_LIMIT,
 * ERR_IO, ERR_MEMORY; all name the file. */
int past_read(const char *path, const char *signature, size_t cell_count, struct past **ret_past,
              struct err *ret_err);
int past_write(const struct past *past, const char *path, struct err *ret_err);
void past_destroy(struct past *past);

size_t past_count(const struct past *past);
/* NULL: it is not there. Valid until a frame is added. `past` may be NULL. */
const struct past_frame *past_find(const struct past *past, const char *name, int64_t bytes,
                                   int64_t modified_ns);
/* Copies it. ERR_LIMIT: more than PAST_FRAMES_MAX or PAST_BYTES_MAX; ERR_MEMORY. */
int past_add(struct past *past, const struct past_frame *frame, struct err *ret_err);

#endif
