#include "models/nowcast/frames.h"

#include <math.h>
#include <stdlib.h>

#include "daemon/base/text.h"
#include "models/nowcast/motion.h"

enum { US_PER_S = 1000000 };

static const double speed_m_s_max = 60.0;
static const double degree_m = 111195.0; /* of a great circle on a sphere of 6371 km */
static const double radians_per_degree = 0.017453292519943295;

static int compare_times(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static int find_step(struct frames *frames, const char *path, int64_t step_s, struct err *ret_err) {
    if (step_s > 0) {
        frames->step_us = step_s * US_PER_S;
        return ERR_OK;
    }
    if (frames->count < 2) {
        return err_set(ret_err, ERR_INVALID,
                       "%s: a single frame does not tell its time step; give --step", path);
    }
    size_t intervals = frames->count - 1;
    int64_t *interval_us = malloc(intervals * sizeof *interval_us);
    if (interval_us == NULL) {
        return err_set(ret_err, ERR_MEMORY, "%s: no memory", path);
    }
    for (size_t i = 0; i < intervals; i++) {
        interval_us[i] = frames->utc_us[i + 1] - frames->utc_us[i];
    }
    qsort(interval_us, intervals, sizeof *interval_us, compare_times);
    /* Missing frames only lengthen intervals: of two middle ones the shorter is meant. */
    int64_t median_us = interval_us[(intervals - 1) / 2];
    free(interval_us);
    frames->step_us = (median_us + US_PER_S / 2) / US_PER_S * US_PER_S;
    if (frames->step_us < US_PER_S) {
        return err_set(ret_err, ERR_INVALID, "%s: frames less than a second apart", path);
    }
    return ERR_OK;
}

void frames_pixel_m(const struct grid *grid, double *ret_x_m, double *ret_y_m) {
    size_t row = grid->rows / 2;
    size_t column = grid->columns / 2;
    double dx;
    double dy;
    if (grid->curvilinear) {
        size_t i = row * grid->columns + column;
        size_t up = i - grid->columns;
        double cosine = cos(grid->lat[i] * radians_per_degree);
        dx = hypot((grid->lon[i] - grid->lon[i - 1]) * cosine, grid->lat[i] - grid->lat[i - 1]);
        dy = hypot((grid->lon[i] - grid->lon[up]) * cosine, grid->lat[i] - grid->lat[up]);
        dx *= degree_m;
        dy *= degree_m;
    } else {
        dx = fabs(grid->x[column] - grid->x[column - 1]);
        dy = fabs(grid->y[row] - grid->y[row - 1]);
        if (grid->degrees) { /* a rotated pole has its middle near its equator */
            dx *= degree_m * cos(grid->y[row] * radians_per_degree);
            dy *= degree_m;
        }
    }
    *ret_x_m = dx;
    *ret_y_m = dy;
}

static int open_variable(struct ncfile *file, const char *variable, struct ncvar **ret_var,
                         struct err *ret_err) {
    if (variable != NULL) {
        return ncvar_open(file, variable, NULL, "mm h-1", ret_var, ret_err);
    }
    int result = ncvar_open(file, "rainfall_rate", NULL, "mm h-1", ret_var, ret_err);
    if (result != ERR_NOT_FOUND) {
        return result;
    }
    return ncvar_open(file, NULL, "rainfall_rate", "mm h-1", ret_var, ret_err);
}

static int check_grid(struct frames *frames, size_t file, const char *path, struct err *ret_err) {
    struct grid *grid = NULL;
    int result = ncvar_grid(frames->vars[file], &grid, ret_err);
    if (result != ERR_OK) {
        return result;
    }
    if (file > 0) {
        bool same = grid_same(grid, frames->grid);
        grid_destroy(grid);
        return same ? ERR_OK
                    : err_set(ret_err, ERR_INVALID, "%.200s: another grid than %.200s", path,
                              frames->name);
    }
    frames->grid = grid;
    if (grid->rows < MOTION_SIDE_MIN || grid->columns < MOTION_SIDE_MIN ||
        grid->rows > MOTION_SIDE_MAX || grid->columns > MOTION_SIDE_MAX) {
        return err_set(ret_err, ERR_INVALID, "%s: grid of %zu x %zu; expected %d to %d a side",
                       path, grid->rows, grid->columns, MOTION_SIDE_MIN, MOTION_SIDE_MAX);
    }
    return ERR_OK;
}

struct stamp {
    int64_t utc_us;
    struct frames_place place;
};

static int compare_stamps(const void *left, const void *right) {
    const struct stamp *a = left;
    const struct stamp *b = right;
    return (a->utc_us > b->utc_us) - (a->utc_us < b->utc_us);
}

/* Adds the frames of a file to the stamps, unsorted. */
static int add_stamps(struct frames *frames, size_t file, const char *path, struct stamp **stamps,
                      struct err *ret_err) {
    size_t more = ncvar_frame_count(frames->vars[file]);
    int64_t *utc_us = malloc((more + 1) * sizeof *utc_us);
    struct stamp *grown = realloc(*stamps, (frames->count + more + 1) * sizeof *grown);
    int result;
    *stamps = grown != NULL ? grown : *stamps;
    if (utc_us == NULL || grown == NULL) {
        result = err_set(ret_err, ERR_MEMORY, "%s: no memory", path);
    } else if (frames->count + more > frames->env->limits.frames_max) {
        result = err_set(ret_err, ERR_LIMIT, "%s: more than %zu frames", path,
                         frames->env->limits.frames_max);
    } else {
        result = ncvar_times_stored(frames->vars[file], utc_us, ret_err);
    }
    for (size_t i = 0; i < more && result == ERR_OK; i++) {
        grown[frames->count++] = (struct stamp){utc_us[i], {file, i}};
    }
    free(utc_us);
    return result;
}

/* Puts the frames in the order of their times. */
static int take_stamps(struct frames *frames, struct stamp *stamps, struct err *ret_err) {
    if (frames->count == 0) {
        return err_set(ret_err, ERR_NOT_FOUND, "%s: no frames", frames->name);
    }
    frames->utc_us = malloc(frames->count * sizeof *frames->utc_us);
    frames->places = malloc(frames->count * sizeof *frames->places);
    if (frames->utc_us == NULL || frames->places == NULL) {
        return err_set(ret_err, ERR_MEMORY, "%s: no memory", frames->name);
    }
    qsort(stamps, frames->count, sizeof *stamps, compare_stamps);
    for (size_t i = 0; i < frames->count; i++) {
        if (i > 0 && stamps[i].utc_us == stamps[i - 1].utc_us) {
            char text[32];
            text_format_time(stamps[i].utc_us, text, sizeof text);
            return err_set(ret_err, ERR_INVALID, "%.200s: time %s is there twice (also in %.200s)",
                           ncfile_name(frames->files[stamps[i].place.file]), text,
                           ncfile_name(frames->files[stamps[i - 1].place.file]));
        }
        frames->utc_us[i] = stamps[i].utc_us;
        frames->places[i] = stamps[i].place;
    }
    return ERR_OK;
}

static int open_files(struct frames *frames, const char *const *paths, size_t path_count,
                      const char *variable, struct err *ret_err) {
    struct stamp *stamps = NULL;
    int result = grid_env_create(NULL, &frames->env, ret_err);
    if (result == ERR_OK && (path_count == 0 || path_count > FRAMES_FILES_MAX)) {
        result = err_set(ret_err, ERR_LIMIT, "%zu files; 1 to %d expected", path_count,
                         FRAMES_FILES_MAX);
    }
    for (size_t i = 0; i < path_count && result == ERR_OK; i++) {
        result = ncfile_open(frames->env, paths[i], &frames->files[i], ret_err);
        if (result != ERR_OK) {
            break;
        }
        frames->file_count = i + 1;
        frames->name = ncfile_name(frames->files[0]);
        result = open_variable(frames->files[i], variable, &frames->vars[i], ret_err);
        if (result == ERR_OK) {
            result = check_grid(frames, i, paths[i], ret_err);
        }
        if (result == ERR_OK) {
            result = add_stamps(frames, i, paths[i], &stamps, ret_err);
        }
    }
    if (result == ERR_OK) {
        result = take_stamps(frames, stamps, ret_err);
    }
    free(stamps);
    return result;
}

int frames_open(const char *const *paths, size_t path_count, const char *variable, int64_t step_s,
                struct frames *ret_frames, struct err *ret_err) {
    struct frames frames = {0};
    int result = open_files(&frames, paths, path_count, variable, ret_err);
    if (result == ERR_OK) {
        result = find_step(&frames, paths[0], step_s, ret_err);
    }
    if (result != ERR_OK) {
        frames_finish(&frames);
        return result;
    }
    frames.nx = (int)frames.grid->columns;
    frames.ny = (int)frames.grid->rows;
    frames_pixel_m(frames.grid, &frames.pixel_x_m, &frames.pixel_y_m);
    *ret_frames = frames;
    return ERR_OK;
}

/* Opens of each file its frames, keeps those of the file with the newest one. */
static int open_newest_file(const char *const *paths, size_t path_count, const char *variable,
                            int64_t step_s, struct frames *ret_newest, struct err *ret_err) {
    struct frames newest = {0};
    for (size_t i = 0; i < path_count; i++) {
        struct frames one;
        int result = frames_open(&paths[i], 1, variable, step_s, &one, ret_err);
        if (result != ERR_OK) {
            frames_finish(&newest);
            return result;
        }
        bool newer =
            newest.count == 0 || one.utc_us[one.count - 1] > newest.utc_us[newest.count - 1];
        frames_finish(newer ? &newest : &one);
        newest = newer ? one : newest;
    }
    *ret_newest = newest;
    return ERR_OK;
}

int frames_open_newest_grid(const char *const *paths, size_t path_count, const char *variable,
                            int64_t step_s, struct frames *ret_frames, bool *ret_taken,
                            struct err *ret_err) {
    const char *taken[FRAMES_FILES_MAX];
    size_t count = 0;
    struct frames newest = {0};
    if (path_count == 0 || path_count > FRAMES_FILES_MAX) { /* which frames_open refuses */
        return frames_open(paths, path_count, variable, step_s, ret_frames, ret_err);
    }
    /* Nearly always all are on one grid, which is found out at a fraction of the time. */
    struct err differ = {0};
    if (frames_open(paths, path_count, variable, step_s, ret_frames, &differ) == ERR_OK) {
        for (size_t i = 0; i < path_count; i++) {
            ret_taken[i] = true;
        }
        return ERR_OK;
    }
    int result = open_newest_file(paths, path_count, variable, step_s, &newest, ret_err);
    for (size_t i = 0; i < path_count && result == ERR_OK; i++) {
        struct frames one;
        result = frames_open(&paths[i], 1, variable, step_s, &one, ret_err);
        if (result == ERR_OK) {
            ret_taken[i] = grid_same(one.grid, newest.grid);
            frames_finish(&one);
        }
        if (result == ERR_OK && ret_taken[i]) {
            taken[count++] = paths[i];
        }
    }
    frames_finish(&newest);
    return result == ERR_OK ? frames_open(taken, count, variable, step_s, ret_frames, ret_err)
                            : result;
}

struct frames frames_borrow(struct grid_env *env, struct grid *grid, int64_t *utc_us, size_t count,
                            int64_t step_us, frames_reader read, void *context) {
    struct frames frames = {.env = env,
                            .read = read,
                            .context = context,
                            .grid = grid,
                            .name = "the frames",
                            .count = count,
                            .utc_us = utc_us,
                            .step_us = step_us,
                            .nx = (int)grid->columns,
                            .ny = (int)grid->rows};
    frames_pixel_m(grid, &frames.pixel_x_m, &frames.pixel_y_m);
    return frames;
}

void frames_finish(struct frames *frames) {
    if (frames == NULL || frames->read != NULL) {
        return; /* borrowed */
    }
    grid_destroy(frames->grid);
    for (size_t i = 0; i < frames->file_count; i++) {
        ncvar_close(frames->vars[i]);
        ncfile_close(frames->files[i]);
    }
    grid_env_destroy(frames->env);
    free(frames->utc_us);
    free(frames->places);
    *frames = (struct frames){0};
}

int frames_newest(const struct frames *frames, int64_t at_utc_us, size_t *ret_index,
                  struct err *ret_err) {
    char at[32];
    char other[32];
    text_format_time(at_utc_us, at, sizeof at);
    size_t next = 0;
    while (next < frames->count && frames->utc_us[next] <= at_utc_us) {
        next++;
    }
    if (next == 0) {
        text_format_time(frames->utc_us[0], other, sizeof other);
        return err_set(ret_err, ERR_NOT_FOUND, "%s: no frame at or before %s; the first is of %s",
                       frames->name, at, other);
    }
    if (at_utc_us - frames->utc_us[next - 1] > FRAMES_GAP_STEPS_MAX * frames->step_us) {
        text_format_time(frames->utc_us[next - 1], other, sizeof other);
        return err_set(ret_err, ERR_NOT_FOUND,
                       "%s: no frame within %d steps before %s; the newest is of %s", frames->name,
                       FRAMES_GAP_STEPS_MAX, at, other);
    }
    *ret_index = next - 1;
    return ERR_OK;
}

int frames_read(struct frames *frames, size_t index, float *ret_rate, size_t *ret_valid,
                struct err *ret_err) {
    int result;
    if (frames->read != NULL) {
        result = frames->read(frames->context, index, ret_rate, ret_err);
    } else {
        struct frames_place place = frames->places[index];
        result = ncvar_read_f32(frames->vars[place.file], place.index, ret_rate, ret_err);
    }
    if (result != ERR_OK) {
        return result;
    }
    size_t valid = 0;
    for (size_t i = 0; i < (size_t)frames->nx * (size_t)frames->ny; i++) {
        if (ret_rate[i] >= 0.0F) {
            valid++;
        } else {
            ret_rate[i] = NAN;
        }
    }
    *ret_valid = valid;
    return ERR_OK;
}

/* frames_pick with frames at least spacing_us apart. */
static int pick_spaced(struct frames *frames, size_t newest, int want, int64_t spacing_us,
                       struct frames_pick *ret_pick, struct err *ret_err) {
    struct frames_pick pick = {0}; /* newest first until the end */
    int result = ERR_OK;
    int64_t last_us = frames->utc_us[newest];
    float *rate = NULL;
    want = want < FRAMES_PICK_MAX ? want : FRAMES_PICK_MAX;
    for (size_t back = 0; back <= newest && pick.count < want; back++) {
        size_t index = newest - back;
        int64_t gap_us = last_us - frames->utc_us[index];
        if (gap_us >= spacing_us + FRAMES_GAP_STEPS_MAX * frames->step_us) {
            break;
        }
        if (back > 0 && gap_us < spacing_us) {
            continue;
        }
        size_t valid;
        if (rate == NULL) {
            rate = malloc((size_t)frames->nx * (size_t)frames->ny * sizeof *rate);
        }
        result = rate == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a frame")
                              : frames_read(frames, index, rate, &valid, ret_err);
        if (result != ERR_OK) {
            break;
        }
        if (valid == 0 && back > 0) {
            continue;
        }
        pick.index[pick.count] = index;
        pick.step_of_frame[pick.count] =
            (double)(frames->utc_us[index] - frames->utc_us[newest]) / (double)frames->step_us;
        pick.rate[pick.count++] = rate;
        last_us = frames->utc_us[index];
        rate = NULL;
    }
    free(rate);
    if (result != ERR_OK) {
        frames_pick_finish(&pick);
        return result;
    }
    ret_pick->count = pick.count;
    for (int i = 0; i < pick.count; i++) {
        ret_pick->index[i] = pick.index[pick.count - 1 - i];
        ret_pick->step_of_frame[i] = pick.step_of_frame[pick.count - 1 - i];
        ret_pick->rate[i] = pick.rate[pick.count - 1 - i];
    }
    return ERR_OK;
}

int frames_pick(struct frames *frames, size_t newest, int want, struct frames_pick *ret_pick,
                struct err *ret_err) {
    /* A tenth of a step for clocks that are not quite regular. */
    int64_t spacing_us = FRAMES_SPACING_MIN * 60 * (int64_t)US_PER_S - frames->step_us / 10;
    int result = pick_spaced(frames, newest, want, spacing_us, ret_pick, ret_err);
    if (result != ERR_OK || ret_pick->count > 1) {
        return result;
    }
    /* The sequence has just begun: better close frames than none. */
    frames_pick_finish(ret_pick);
    return pick_spaced(frames, newest, want, 0, ret_pick, ret_err);
}

void frames_pick_finish(struct frames_pick *pick) {
    for (int i = 0; i < pick->count; i++) {
        free(pick->rate[i]);
        pick->rate[i] = NULL;
    }
    pick->count = 0;
}

double frames_speed_px_max(const struct frames *frames) {
    double pixel_m = fmin(frames->pixel_x_m, frames->pixel_y_m);
    return speed_m_s_max * ((double)frames->step_us / US_PER_S) / pixel_m;
}

double frames_pixel_km(const struct frames *frames) {
    return sqrt(frames->pixel_x_m * frames->pixel_y_m) / 1000.0;
}
