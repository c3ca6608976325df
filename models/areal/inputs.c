#include "models/areal/inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "models/output/output.h"

enum { PROGRESS_EVERY_S = 2 };

void inputs_progress(struct inputs *inputs, const char *what, size_t done, size_t all) {
    time_t now_s = time(NULL);
    if (!inputs->quiet && (done == all || now_s - inputs->progress_s >= PROGRESS_EVERY_S)) {
        inputs->progress_s = now_s;
        fprintf(stderr, "areal: %s %zu of %zu\n", what, done, all);
    }
}

static void leave_out(struct inputs *inputs, const char *why) {
    json_array_append_new(inputs->left_out, json_string(why));
}

/* ---- the list ---- */

int inputs_create(struct inputs *inputs, struct err *ret_err) {
    inputs->list = calloc(INPUTS_MAX, sizeof *inputs->list);
    inputs->left_out = json_array();
    inputs->reference_us = INT64_MIN;
    return inputs->list != NULL && inputs->left_out != NULL
               ? 0
               : err_set(ret_err, ERR_MEMORY, "no memory for a list of files");
}

void inputs_finish(struct inputs *inputs) {
    for (size_t i = 0; inputs->list != NULL && i < inputs->count; i++) {
        if (inputs->list[i].fd >= 0) {
            (void)close(inputs->list[i].fd); /* only read */
        }
        free(inputs->list[i].utc_us);
    }
    free(inputs->list);
    free(inputs->slot_used);
    json_decref(inputs->left_out);
    past_destroy(inputs->past);
    past_destroy(inputs->keep);
    grid_destroy(inputs->grid);
    grid_env_destroy(inputs->env);
}

int inputs_name(struct inputs *inputs, const char *path, bool history) {
    for (size_t i = 0; i < inputs->count; i++) {
        struct input *other = &inputs->list[i];
        if (other->history != history && strcmp(other->path, path) == 0) {
            other->history = false; /* the newest frames are some of the history */
            return 0;
        }
    }
    if (inputs->count == INPUTS_MAX) {
        return ERR_LIMIT;
    }
    inputs->list[inputs->count++] = (struct input){.path = path, .history = history, .fd = -1};
    return 0;
}

static int open_path(const char *path) {
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

int input_open(struct input *input, struct err *ret_err) {
    input->fd = open_path(input->path);
    return input->fd >= 0 || input->history
               ? 0
               : err_set(ret_err, ERR_IO, "%.300s: %s", input->path, strerror(errno));
}

int inputs_open(struct inputs *inputs, struct err *ret_err) {
    int result = 0;
    for (size_t i = 0; i < inputs->count && result == 0; i++) {
        result = input_open(&inputs->list[i], ret_err);
    }
    return result;
}

void inputs_look(struct inputs *inputs) {
    for (size_t i = 0; i < inputs->count; i++) {
        struct input *input = &inputs->list[i];
        struct stat status;
        if (stat(input->path, &status) == 0) {
            input->bytes = status.st_size;
            input->modified_ns =
                (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
        }
    }
}

/* ---- one file ---- */

static int open_variable(struct inputs *inputs, struct ncfile *file, struct ncvar **ret_var,
                         struct err *ret_err) {
    static const char *const standard_names[] = {"rainfall_rate", "lwe_precipitation_rate",
                                                 "rainfall_flux", "precipitation_flux"};
    if (inputs->variable != NULL) {
        return ncvar_open(file, inputs->variable, NULL, "mm h-1", ret_var, ret_err);
    }
    struct err other;
    int result = ncvar_open(file, NULL, standard_names[0], "mm h-1", ret_var, ret_err);
    for (size_t i = 1; result == ERR_NOT_FOUND && i < 4; i++) {
        int next = ncvar_open(file, NULL, standard_names[i], "mm h-1", ret_var, &other);
        if (next != ERR_NOT_FOUND && next != 0 && ret_err != NULL) {
            *ret_err = other;
        }
        result = next;
    }
    return result;
}

void input_close_file(struct opened *opened) {
    ncvar_close(opened->var);
    ncfile_close(opened->file);
    free(opened->bytes);
    *opened = (struct opened){.bytes = NULL};
}

int input_open_file(struct inputs *inputs, const struct input *input, struct opened *ret_opened,
                    struct err *ret_err) {
    struct opened opened = {.bytes = NULL};
    int fd = input->fd >= 0 ? input->fd : open_path(input->path);
    int result =
        fd >= 0 ? ncfile_slurp(inputs->env, input->path, fd, &opened.bytes, &opened.size, ret_err)
                : err_set(ret_err, ERR_IO, "%.300s: %s", input->path, strerror(errno));
    if (fd >= 0 && fd != input->fd) {
        (void)close(fd); /* only read */
    }
    if (result == 0) {
        result = ncfile_open_memory(inputs->env, input->path, opened.bytes, opened.size,
                                    &opened.file, ret_err);
    }
    if (result != 0) {
        input_close_file(&opened);
        return result;
    }
    *ret_opened = opened;
    return 0;
}

static int open_rain(struct inputs *inputs, const struct input *input, struct opened *ret_opened,
                     struct err *ret_err) {
    struct opened opened;
    int result = input_open_file(inputs, input, &opened, ret_err);
    if (result != 0) {
        return result;
    }
    result = open_variable(inputs, opened.file, &opened.var, ret_err);
    if (result != 0) {
        input_close_file(&opened);
        return result;
    }
    *ret_opened = opened;
    return 0;
}

/* ---- first pass: grid and times ---- */

/* Compares with the grid of the files before. */
static int check_grid(struct inputs *inputs, const struct opened *opened, struct err *ret_err) {
    struct grid *grid = NULL;
    int result = ncvar_grid(opened->var, &grid, ret_err);
    if (result == 0 && inputs->grid != NULL && !grid_same(inputs->grid, grid)) {
        result = err_set(ret_err, ERR_INVALID,
                         "%.120s: its grid of %zu x %zu cells differs from that of the other files",
                         ncfile_name(opened->file), grid->rows, grid->columns);
    }
    if (result == 0 && inputs->grid == NULL) {
        inputs->grid = grid;
    } else {
        grid_destroy(grid);
    }
    return result;
}

/* A time that another used file has too. ERR_EXISTS: the other is a new file. */
static int check_repeated(const struct inputs *inputs, const struct input *input,
                          struct err *ret_err) {
    for (size_t k = 0; k < inputs->count; k++) {
        const struct input *other = &inputs->list[k];
        for (size_t a = 0; other->used && other != input && a < other->frame_count; a++) {
            for (size_t b = 0; b < input->frame_count; b++) {
                if (other->utc_us[a] == input->utc_us[b]) {
                    char text[32];
                    text_format_time(input->utc_us[b], text, sizeof text);
                    /* told of the new file, whichever was read first */
                    bool is_old = other->history || !input->history;
                    return err_set(ret_err, other->history ? ERR_INVALID : ERR_EXISTS,
                                   "%.150s: time %s is repeated, %.150s has it",
                                   output_base_name(is_old ? input->path : other->path), text,
                                   output_base_name(is_old ? other->path : input->path));
                }
            }
        }
    }
    return 0;
}

/* The frame of a file that the past has; NULL: the file must be read. */
static const struct past_frame *past_of(const struct inputs *inputs, const struct input *input) {
    const struct past_frame *frame = input->history && input->bytes > 0
                                         ? past_find(inputs->past, output_base_name(input->path),
                                                     input->bytes, input->modified_ns)
                                         : NULL;
    return frame != NULL && frame->utc_us <= inputs->newest_utc_us ? frame : NULL;
}

static int survey_past(struct inputs *inputs, struct input *input, const struct past_frame *frame,
                       struct err *ret_err) {
    input->frame_count = 1;
    input->utc_us = malloc(sizeof *input->utc_us);
    if (input->utc_us == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for times");
    }
    input->utc_us[0] = frame->utc_us;
    memcpy(input->hash, frame->hash, sizeof input->hash);
    return check_repeated(inputs, input, ret_err);
}

static int survey_file(struct inputs *inputs, struct input *input, struct err *ret_err) {
    struct opened opened;
    int result = open_rain(inputs, input, &opened, ret_err);
    if (result != 0) {
        return result;
    }
    hash_text(opened.bytes, opened.size, input->hash);
    input->frame_count = ncvar_frame_count(opened.var);
    input->utc_us = calloc(input->frame_count, sizeof *input->utc_us);
    if (input->utc_us == NULL) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for times");
    }
    if (result == 0) {
        result = ncvar_times(opened.var, inputs->newest_utc_us, input->utc_us, ret_err);
    }
    if (result == 0) {
        result = check_grid(inputs, &opened, ret_err);
    }
    if (result == 0) {
        result = check_repeated(inputs, input, ret_err);
    }
    input_close_file(&opened);
    return result;
}

int inputs_survey(struct inputs *inputs, bool history, struct err *ret_err) {
    for (size_t i = 0; i < inputs->count; i++) {
        struct input *input = &inputs->list[i];
        if (input->history != history) {
            continue;
        }
        struct err inner = {.code = 0};
        const struct past_frame *frame = past_of(inputs, input);
        int result = frame != NULL ? survey_past(inputs, input, frame, &inner)
                                   : survey_file(inputs, input, &inner);
        /* A frame that history has already: the new file is refused. */
        if (result != 0 && (!history || result == ERR_EXISTS)) {
            *ret_err = inner;
            return result;
        }
        input->used = result == 0;
        if (result != 0) {
            leave_out(inputs, inner.text);
        }
        for (size_t f = 0; input->used && f < input->frame_count; f++) {
            if (input->utc_us[f] > inputs->reference_us) {
                inputs->reference_us = input->utc_us[f];
            }
        }
        inputs_progress(inputs, "surveyed file", i + 1, inputs->count);
    }
    return 0;
}

/* ---- second pass: the frames ---- */

void inputs_use_past(struct inputs *inputs, const struct areal *areal) {
    const size_t *cells = NULL;
    size_t count = areal_cells(areal, &cells);
    char signature[HASH_TEXT_SIZE];
    struct err err = {.code = 0};
    if (inputs->state_in == NULL && inputs->state_out == NULL) {
        return;
    }
    past_signature(inputs->grid, inputs->variable != NULL ? inputs->variable : "", cells, count,
                   signature);
    if (inputs->state_in != NULL &&
        past_read(inputs->state_in, signature, count, &inputs->past, &err) != 0) {
        leave_out(inputs, err.text);
    }
    if (inputs->state_out != NULL && past_create(signature, count, &inputs->keep, &err) != 0) {
        leave_out(inputs, err.text);
    }
}

/* For the next run: a frame that is the only one of its file. When there is no room for it, nothing
 * is kept. */
static void keep_frame(struct inputs *inputs, const struct areal *areal, const struct input *input,
                       const double *values) {
    const size_t *cells = NULL;
    size_t count = areal_cells(areal, &cells);
    struct past_frame kept = {
        .bytes = input->bytes, .modified_ns = input->modified_ns, .utc_us = input->utc_us[0]};
    struct err err = {.code = 0};
    if (inputs->keep == NULL || input->frame_count != 1 ||
        text_copy(kept.name, sizeof kept.name, output_base_name(input->path)) != 0) {
        return;
    }
    memcpy(kept.hash, input->hash, sizeof kept.hash);
    kept.rate_mm_h = malloc((count + 1) * sizeof *kept.rate_mm_h);
    int result = kept.rate_mm_h != NULL ? 0 : err_set(&err, ERR_MEMORY, "no memory for a frame");
    for (size_t i = 0; i < count && result == 0; i++) {
        kept.rate_mm_h[i] = values[cells[i]];
    }
    result = result == 0 ? past_add(inputs->keep, &kept, &err) : result;
    free(kept.rate_mm_h);
    if (result != 0) {
        past_destroy(inputs->keep);
        inputs->keep = NULL;
        leave_out(inputs, err.text);
    }
}

/* The values of a frame that the past has: missing where no area is. */
static void spread(const struct inputs *inputs, const struct areal *areal,
                   const struct past_frame *kept, double *ret_values) {
    const size_t *cells = NULL;
    size_t count = areal_cells(areal, &cells);
    for (size_t i = 0; i < inputs->grid->rows * inputs->grid->columns; i++) {
        ret_values[i] = NAN;
    }
    for (size_t i = 0; i < count; i++) {
        ret_values[cells[i]] = kept->rate_mm_h[i];
    }
}

/* Adds one frame to its slot, if it matters to the sums; from the past when `kept` is given. */
static int add_frame(struct inputs *inputs, struct areal *areal, const struct input *input,
                     struct ncvar *var, const struct past_frame *kept, size_t frame, double *values,
                     struct err *ret_err) {
    double age_s = (double)(inputs->reference_us - input->utc_us[frame]) / 1e6;
    double slot = round(age_s / (double)inputs->step_s);
    if (!(slot < (double)areal_slots(areal))) {
        return 0;
    }
    if (inputs->slot_used[(size_t)slot]) {
        char text[32];
        text_format_time(input->utc_us[frame], text, sizeof text);
        return err_set(ret_err, ERR_INVALID,
                       "%.150s: a second frame within %lld s at %s; is the step right?",
                       output_base_name(input->path), (long long)inputs->step_s, text);
    }
    int result = 0;
    if (kept != NULL) {
        spread(inputs, areal, kept, values);
        inputs->not_read++;
    } else {
        result = ncvar_read_f64(var, frame, values, ret_err);
    }
    if (result == 0) {
        struct err inner;
        result = areal_add(areal, (size_t)slot, values, &inner);
        if (result != 0) {
            return err_set(ret_err, result, "%.150s: variable %.60s: frame %zu: %.200s",
                           output_base_name(input->path), var != NULL ? ncvar_name(var) : "", frame,
                           inner.text);
        }
        inputs->slot_used[(size_t)slot] = true;
        keep_frame(inputs, areal, input, values);
    }
    return result;
}

static int add_file(struct inputs *inputs, struct areal *areal, const struct input *input,
                    double *values, struct err *ret_err) {
    struct opened opened;
    const struct past_frame *kept = past_of(inputs, input);
    double oldest_us =
        (double)inputs->reference_us - 1e6 * (double)inputs->step_s * (double)areal_slots(areal);
    if (kept != NULL) {
        return add_frame(inputs, areal, input, NULL, kept, 0, values, ret_err);
    }
    if ((double)input->utc_us[input->frame_count - 1] < oldest_us) {
        return 0; /* nothing of it is inside the longest window */
    }
    int result = open_rain(inputs, input, &opened, ret_err);
    if (result != 0) {
        return result;
    }
    for (size_t f = 0; f < input->frame_count && result == 0; f++) {
        result = add_frame(inputs, areal, input, opened.var, NULL, f, values, ret_err);
        inputs_progress(inputs, "read frame", f + 1, input->frame_count);
    }
    input_close_file(&opened);
    return result;
}

int inputs_sum(struct inputs *inputs, struct areal *areal, struct err *ret_err) {
    int result = 0;
    double *values = malloc(inputs->grid->rows * inputs->grid->columns * sizeof *values);
    inputs->slot_used = calloc(areal_slots(areal), sizeof *inputs->slot_used);
    if (values == NULL || inputs->slot_used == NULL) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for a frame");
    }
    for (size_t i = 0; i < inputs->count && result == 0; i++) {
        struct input *input = &inputs->list[i];
        if (!input->used) {
            continue;
        }
        result = add_file(inputs, areal, input, values, ret_err);
        if (result != 0 && input->history) {
            /* what it gave so far stays; the rest is missing */
            input->broken = true;
            leave_out(inputs, ret_err->text);
            result = 0;
        }
    }
    free(values);
    if (inputs->past != NULL && !inputs->quiet) {
        fprintf(stderr, "areal: %zu frames were kept from earlier runs\n", inputs->not_read);
    }
    return result;
}

int inputs_keep(struct inputs *inputs, struct err *ret_err) {
    return inputs->keep != NULL ? past_write(inputs->keep, inputs->state_out, ret_err) : 0;
}

/* ---- once more, for the forecast ---- */

static int compare_places(const void *left, const void *right) {
    const struct place *a = left;
    const struct place *b = right;
    return (a->utc_us > b->utc_us) - (a->utc_us < b->utc_us);
}

int sequence_list(struct inputs *inputs, struct sequence *sequence, struct err *ret_err) {
    size_t all = 0;
    sequence->inputs = inputs;
    for (size_t i = 0; i < inputs->count; i++) {
        all += inputs->list[i].used ? inputs->list[i].frame_count : 0; /* or fewer */
    }
    sequence->places = malloc((all + 1) * sizeof *sequence->places);
    sequence->utc_us = malloc((all + 1) * sizeof *sequence->utc_us);
    if (sequence->places == NULL || sequence->utc_us == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for times");
    }
    for (size_t i = 0; i < inputs->count; i++) {
        struct input *input = &inputs->list[i];
        for (size_t f = 0; input->used && !input->broken && f < input->frame_count; f++) {
            sequence->places[sequence->count++] = (struct place){input->utc_us[f], input, f};
        }
    }
    qsort(sequence->places, sequence->count, sizeof *sequence->places, compare_places);
    for (size_t i = 0; i < sequence->count; i++) {
        sequence->utc_us[i] = sequence->places[i].utc_us;
    }
    return 0;
}

int sequence_read(void *context, size_t index, float *ret_rate, struct err *ret_err) {
    struct sequence *sequence = context;
    const struct place *place = &sequence->places[index];
    int result = 0;
    if (sequence->input != place->input) {
        input_close_file(&sequence->opened);
        sequence->input = NULL;
        result = open_rain(sequence->inputs, place->input, &sequence->opened, ret_err);
        sequence->input = result == 0 ? place->input : NULL;
    }
    return result == 0 ? ncvar_read_f32(sequence->opened.var, place->frame, ret_rate, ret_err)
                       : result;
}

void sequence_finish(struct sequence *sequence) {
    input_close_file(&sequence->opened);
    free(sequence->places);
    free(sequence->utc_us);
}
