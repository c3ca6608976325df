/* The files of an areal run: opened before the cage of a worker is entered, else one by one;
 * surveyed (grid and times), given frame by frame to the sums, and read again for the forecast.
 *
 * A refused file ends the run; a refused one of the history is left out and named. A file that is
 * named twice counts once. Frames that an earlier run has kept (past.h) are not read again.
 * Thread rule: one thread. */
#ifndef CANHBAO_MODELS_AREAL_INPUTS_H
#define CANHBAO_MODELS_AREAL_INPUTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "daemon/base/err.h"
#include "daemon/base/ids.h"
#include "models/areal/areal.h"
#include "models/areal/past.h"
#include "models/grid/ncfile.h"

enum { INPUTS_MAX = 2048 };

/* One input file. */
struct input {
    const char *path;
    bool history;
    int fd;        /* -1: opened when it is read */
    int64_t bytes; /* 0: not looked at, or not there */
    int64_t modified_ns;
    bool used;
    bool broken; /* a frame could not be read; those before it count */
    char hash[HASH_TEXT_SIZE];
    size_t frame_count;
    int64_t *utc_us; /* [frame_count] */
};

struct inputs {
    /* as asked for */
    struct grid_limits limits;
    const char *variable; /* NULL: by standard name */
    int64_t newest_utc_us;
    int64_t step_s;
    bool quiet;
    const char *state_in;  /* frames of an earlier run; NULL: none */
    const char *state_out; /* where to keep them; NULL: nowhere */
    size_t count;
    struct input *list; /* [INPUTS_MAX] */

    struct grid_env *env;
    struct grid *grid;    /* of all files; NULL before the first is surveyed */
    int64_t reference_us; /* of the newest frame; INT64_MIN: none yet */
    json_t *left_out;     /* texts */
    bool *slot_used;      /* [areal_slots] */
    struct past *past;    /* NULL: none */
    struct past *keep;    /* NULL: nothing is kept */
    size_t not_read;      /* files whose frame the past had */
    time_t progress_s;
};

/* ERR_MEMORY. */
int inputs_create(struct inputs *inputs, struct err *ret_err);
void inputs_finish(struct inputs *inputs);

/* ERR_LIMIT: too many. */
int inputs_name(struct inputs *inputs, const char *path, bool history);
/* One of the history that is not there is left out later. ERR_IO names the file. */
int input_open(struct input *input, struct err *ret_err);
int inputs_open(struct inputs *inputs, struct err *ret_err);
/* Without opening them: how large they are, and when they were changed. */
void inputs_look(struct inputs *inputs);

/* Tells on standard error how far it is, every two seconds. */
void inputs_progress(struct inputs *inputs, const char *what, size_t done, size_t all);

/* Surveys the new files, or those of the history after them, so that these cannot push them out. */
int inputs_survey(struct inputs *inputs, bool history, struct err *ret_err);
/* The past of --state-in, once the cells are known and before the history is surveyed. What cannot
 * be used is left out and named. */
void inputs_use_past(struct inputs *inputs, const struct areal *areal);
/* Gives the frames of all surveyed files to the sums. */
int inputs_sum(struct inputs *inputs, struct areal *areal, struct err *ret_err);
/* Writes what the next run need not read again to --state-out. */
int inputs_keep(struct inputs *inputs, struct err *ret_err);

/* A file opened for one pass. */
struct opened {
    void *bytes;
    size_t size;
    struct ncfile *file;
    struct ncvar *var;
};

int input_open_file(struct inputs *inputs, const struct input *input, struct opened *ret_opened,
                    struct err *ret_err);
void input_close_file(struct opened *opened);

/* All used frames in the order of their times, for the forecast. Zero-initialise; finish frees. */
struct sequence {
    struct inputs *inputs;
    size_t count;
    struct place {
        int64_t utc_us;
        struct input *input;
        size_t frame;
    } * places;
    int64_t *utc_us;           /* [count] */
    const struct input *input; /* that is open; NULL: none */
    struct opened opened;
};

int sequence_list(struct inputs *inputs, struct sequence *sequence, struct err *ret_err);
/* A frame again, as frames.h wants it; `context` is the sequence. */
int sequence_read(void *context, size_t index, float *ret_rate, struct err *ret_err);
void sequence_finish(struct sequence *sequence);

#endif
