#include "models/hydrology/cell_rain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/grid/ncfile.h"

enum { PARTS_MAX = 4 };

/* What is read so far. */
struct reader {
    struct grid_env *env;
    const struct cell_rain_source *source;
    struct cell_rain *rain;
    struct grid *grid; /* of the first file */
    size_t *index;
    float *frame;
    int64_t last_us; /* newest end so far, also of frames that are not kept; INT64_MIN: none */
    size_t frame_room;
};

struct input {
    struct ncfile *file;
    struct ncvar *var;
    struct grid *grid;
    int64_t *end_us;
    size_t frames;
};

static void close_input(struct input *input) {
    free(input->end_us);
    grid_destroy(input->grid);
    if (input->var != NULL) {
        ncvar_close(input->var);
    }
    ncfile_close(input->file);
}

static int open_input(struct reader *reader, const char *path, struct input *input,
                      struct err *ret_err) {
    const char *name = reader->source->variable;
    int rc = ncfile_open(reader->env, path, &input->file, ret_err);
    rc = rc != 0 ? rc
                 : ncvar_open_ensemble(input->file, name, name == NULL ? "rainfall_rate" : NULL,
                                       "mm h-1", &input->var, ret_err);
    rc = rc != 0 ? rc : ncvar_grid(input->var, &input->grid, ret_err);
    if (rc != 0) {
        return rc;
    }
    input->frames = ncvar_frame_count(input->var);
    input->end_us = calloc(input->frames + 1, sizeof *input->end_us);
    return input->end_us == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for times")
                                 : ncvar_times(input->var, INT64_MAX, input->end_us, ret_err);
}

/* The first good file decides grid and members. */
static int check_input(struct reader *reader, const struct input *input, struct err *ret_err) {
    size_t members = ncvar_member_count(input->var);
    if (members > CELL_RAIN_MEMBERS_MAX) {
        return err_set(ret_err, ERR_INVALID, "%.200s: %zu members; at most %d",
                       ncfile_name(input->file), members, CELL_RAIN_MEMBERS_MAX);
    }
    if (reader->grid != NULL) {
        return grid_same(reader->grid, input->grid) && members == reader->rain->member_count
                   ? 0
                   : err_set(ret_err, ERR_INVALID, "%.200s: another grid or number of members",
                             ncfile_name(input->file));
    }
    int rc = reader->source->map(reader->source->context, input->grid, reader->index, ret_err);
    if (rc == 0) {
        reader->frame = calloc(input->grid->rows * input->grid->columns, sizeof *reader->frame);
        rc = reader->frame == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a frame") : 0;
    }
    if (rc == 0) {
        reader->rain->member_count = members;
    }
    return rc;
}

/* Rates are kept as [frame][member][place] while the number of frames is not known. */
static int grow(struct reader *reader, struct err *ret_err) {
    struct cell_rain *rain = reader->rain;
    if (rain->frame_count == CELL_RAIN_FRAMES_MAX) {
        return err_set(ret_err, ERR_LIMIT, "more than %d frames of rain", CELL_RAIN_FRAMES_MAX);
    }
    if (rain->frame_count < reader->frame_room) {
        return 0;
    }
    size_t room = reader->frame_room * 2 + 16;
    size_t row = rain->member_count * rain->place_count;
    float *rates = realloc(rain->rate_mm_h, room * row * sizeof *rates);
    rain->rate_mm_h = rates != NULL ? rates : rain->rate_mm_h;
    int64_t *starts = realloc(rain->start_us, room * sizeof *starts);
    rain->start_us = starts != NULL ? starts : rain->start_us;
    int64_t *ends = realloc(rain->end_us, room * sizeof *ends);
    rain->end_us = ends != NULL ? ends : rain->end_us;
    if (rates == NULL || starts == NULL || ends == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu frames of rain", room);
    }
    reader->frame_room = room;
    return 0;
}

static int take_frame(struct reader *reader, struct input *input, size_t f, struct err *ret_err) {
    struct cell_rain *rain = reader->rain;
    int rc = grow(reader, ret_err);
    if (rc != 0) {
        return rc;
    }
    float *rates = rain->rate_mm_h + rain->frame_count * rain->member_count * rain->place_count;
    for (size_t m = 0; rc == 0 && m < rain->member_count; m++) {
        ncvar_set_member(input->var, m);
        rc = ncvar_read_f32(input->var, f, reader->frame, ret_err);
        for (size_t p = 0; rc == 0 && p < rain->place_count; p++) {
            size_t cell = reader->index[p];
            float rate = cell == CELL_RAIN_OUTSIDE ? NAN : reader->frame[cell];
            rates[m * rain->place_count + p] = rate >= 0 ? rate : NAN; /* rain is not below 0 */
        }
    }
    if (rc == 0) {
        rain->start_us[rain->frame_count] = reader->last_us;
        rain->end_us[rain->frame_count++] = input->end_us[f];
    }
    return rc;
}

static int read_file(struct reader *reader, const char *path, struct err *ret_err) {
    struct input input = {.file = NULL};
    int rc = open_input(reader, path, &input, ret_err);
    rc = rc != 0 ? rc : check_input(reader, &input, ret_err);
    if (rc == 0 && reader->grid == NULL) {
        reader->grid = input.grid;
        input.grid = NULL;
    }
    for (size_t f = 0; rc == 0 && f < input.frames; f++) {
        if (input.end_us[f] <= reader->last_us) {
            continue; /* has come before */
        }
        rc =
            input.end_us[f] > reader->source->after_us ? take_frame(reader, &input, f, ret_err) : 0;
        reader->last_us = rc == 0 ? input.end_us[f] : reader->last_us;
    }
    close_input(&input);
    return rc;
}

/* Starts of the frames, and the order [member][frame][place]. */
static int settle(struct reader *reader, struct err *ret_err) {
    struct cell_rain *rain = reader->rain;
    size_t members = rain->member_count, places = rain->place_count, frames = rain->frame_count;
    float *rates = calloc(members * places * frames + 1, sizeof *rates);
    if (rates == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu frames of rain", frames);
    }
    for (size_t f = 0; f < frames; f++) {
        for (size_t m = 0; m < members; m++) {
            memcpy(rates + (m * frames + f) * places, rain->rate_mm_h + (f * members + m) * places,
                   places * sizeof *rates);
        }
        int64_t before_us = rain->start_us[f];
        if (before_us == INT64_MIN) { /* the first of all; alone it says nothing of its length */
            before_us = rain->end_us[f] - (frames > 1 ? rain->end_us[1] - rain->end_us[0] : 0);
        }
        bool bridged = rain->end_us[f] - before_us <= reader->source->hold_us;
        rain->start_us[f] = bridged ? before_us : rain->end_us[f] - reader->source->hold_us;
    }
    free(rain->rate_mm_h);
    rain->rate_mm_h = rates;
    return 0;
}

int cell_rain_read(struct grid_env *env, const struct cell_rain_source *source, json_t *left_out,
                   struct cell_rain **ret_rain, struct err *ret_err) {
    struct reader reader = {.env = env,
                            .source = source,
                            .rain = calloc(1, sizeof *reader.rain),
                            .index = calloc(source->place_count + 1, sizeof *reader.index),
                            .last_us = INT64_MIN};
    int rc = reader.rain == NULL || reader.index == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for rain")
                 : 0;
    if (rc == 0) {
        reader.rain->place_count = source->place_count;
    }
    for (size_t i = 0; rc == 0 && i < source->path_count; i++) {
        struct err inner = {0};
        int code = read_file(&reader, source->paths[i], &inner);
        if (code == ERR_MEMORY || code == ERR_LIMIT) {
            rc = err_set(ret_err, code, "%s", inner.text);
        } else if (code != 0) {
            (void)json_array_append_new(left_out, json_string(inner.text));
        }
    }
    rc = rc != 0 ? rc : settle(&reader, ret_err);
    grid_destroy(reader.grid);
    free(reader.index);
    free(reader.frame);
    if (rc != 0) {
        cell_rain_destroy(reader.rain);
        return rc;
    }
    *ret_rain = reader.rain;
    return 0;
}

struct cell_rain *cell_rain_destroy(struct cell_rain *rain) {
    if (rain != NULL) {
        free(rain->start_us);
        free(rain->end_us);
        free(rain->rate_mm_h);
        free(rain);
    }
    return NULL;
}

/* ---- depths ---- */

/* The rates of a part at a time, NULL when no frame stands for it; and until when that is so. */
static const float *rates_at(const struct cell_rain_part *part, int64_t utc_us, int64_t to_us,
                             int64_t *ret_until_us) {
    const struct cell_rain *rain = part->rain;
    size_t f = 0;
    *ret_until_us = to_us;
    if (rain == NULL) {
        return NULL;
    }
    while (f < rain->frame_count && rain->end_us[f] <= utc_us) {
        f++;
    }
    if (f == rain->frame_count) {
        return NULL;
    }
    bool stands = rain->start_us[f] <= utc_us;
    int64_t until_us = stands ? rain->end_us[f] : rain->start_us[f];
    *ret_until_us = until_us < to_us ? until_us : to_us;
    return stands ? rain->rate_mm_h + (part->member * rain->frame_count + f) * rain->place_count
                  : NULL;
}

void cell_rain_depth(const struct cell_rain_part *parts, size_t part_count, size_t place_count,
                     int64_t from_us, int64_t to_us, double *ret_mm) {
    part_count = part_count < PARTS_MAX ? part_count : PARTS_MAX;
    memset(ret_mm, 0, place_count * sizeof *ret_mm);
    while (from_us < to_us) {
        const float *rates[PARTS_MAX];
        double weight[PARTS_MAX];
        int64_t until_us = to_us;
        size_t used = 0;
        for (size_t i = 0; i < part_count; i++) {
            int64_t end_us = 0;
            const float *found = rates_at(&parts[i], from_us, to_us, &end_us);
            until_us = end_us < until_us ? end_us : until_us;
            if (found != NULL) {
                weight[used] = parts[i].factor;
                rates[used++] = found;
            }
        }
        double hours = (double)(until_us - from_us) / 3.6e9;
        for (size_t p = 0; p < place_count; p++) {
            double rate = NAN;
            for (size_t i = 0; i < used && isnan(rate); i++) {
                rate = weight[i] * (double)rates[i][p];
            }
            ret_mm[p] += rate * hours;
        }
        from_us = until_us;
    }
}
