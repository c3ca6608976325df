#include "models/render/render.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/grid/geo.h"
#include "models/grid/ncfile.h"
#include "models/render/map.h"
#include "models/table/args.h"

enum { ICT_MIN = 420, TITLE_SIZE = 400 };

static const char about[] =
    "Draws one field of a CF NetCDF file on a grid as a PNG with title, legend and map lines.\n"
    "The file may be radar frames, or what nowcast, merge or hydrology models wrote. Rates are\n"
    "drawn in mm/h, amounts in mm, shares and probabilities from 0 to 1. Missing is grey, never\n"
    "white. Lines: GeoJSON with LineString, MultiLineString, Polygon or MultiPolygon.\n";

struct request {
    const char *in;
    const char *out;
    const char *variable;
    const char *at;
    int64_t member;
    const char *coast;
    const char *rivers;
    int64_t width;
};

struct picture {
    struct request request;
    struct grid_env *env;
    struct ncfile *file;
    struct ncvar *var;
    const char *unit;
    struct grid *grid;
    struct geo *geo;
    struct curvilinear *cells;
    float *values;
    int64_t valid_us;
    int64_t reference_us; /* INT64_MIN: not a forecast */
    struct lines lines[MAP_LINES_MAX];
};

/* The variable by name, else the rain rate; in the first of our units that it converts to. */
static int open_variable(struct picture *picture, struct err *ret_err) {
    static const char *const units[] = {"mm h-1", "mm", "1"};
    int result = ERR_INVALID;
    for (size_t i = 0; i < sizeof units / sizeof *units && result != 0 && result != ERR_NOT_FOUND;
         i++) {
        picture->unit = units[i];
        result = ncvar_open_ensemble(picture->file, picture->request.variable, "rainfall_rate",
                                     units[i], &picture->var, ret_err);
    }
    return result;
}

/* The frame of --at; the first without it. */
static int find_frame(struct picture *picture, size_t *ret_frame, struct err *ret_err) {
    size_t count = ncvar_frame_count(picture->var);
    int64_t at_us = 0;
    int64_t *utc_us = malloc(count * sizeof *utc_us);
    if (utc_us == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for times");
    }
    int result = ncvar_times_stored(picture->var, utc_us, ret_err);
    if (result == 0 && picture->request.at != NULL &&
        text_parse_time(picture->request.at, &at_us) != 0) {
        result = err_set(ret_err, ERR_SYNTAX, "--at: a time such as 2016-09-28T15:25:00Z, not '%s'",
                         picture->request.at);
    }
    size_t frame = 0;
    while (result == 0 && picture->request.at != NULL && frame < count && utc_us[frame] != at_us) {
        frame++;
    }
    if (result == 0 && frame == count) {
        char first[40];
        char last[40];
        text_format_time(utc_us[0], first, sizeof first);
        text_format_time(utc_us[count - 1], last, sizeof last);
        result = err_set(ret_err, ERR_NOT_FOUND, "%.200s: no field of %s; it has %zu from %s to %s",
                         ncfile_name(picture->file), picture->request.at, count, first, last);
    }
    if (result == 0) {
        picture->valid_us = utc_us[frame];
        *ret_frame = frame;
    }
    free(utc_us);
    return result;
}

static int read_field(struct picture *picture, struct err *ret_err) {
    size_t frame = 0;
    const struct request *request = &picture->request;
    int result = grid_env_create(NULL, &picture->env, ret_err);
    result = result == 0 ? ncfile_open(picture->env, request->in, &picture->file, ret_err) : result;
    result = result == 0 ? open_variable(picture, ret_err) : result;
    result = result == 0 ? ncvar_grid(picture->var, &picture->grid, ret_err) : result;
    result = result == 0 ? find_frame(picture, &frame, ret_err) : result;
    if (result != 0) {
        return result;
    }
    size_t members = ncvar_member_count(picture->var);
    if (request->member > 0 && (size_t)request->member > members) {
        return err_set(ret_err, ERR_RANGE, "%.200s: %zu members, no member %lld", request->in,
                       members, (long long)request->member);
    }
    if (request->member > 0) {
        ncvar_set_member(picture->var, (size_t)request->member - 1);
    }
    size_t cells = picture->grid->rows * picture->grid->columns;
    picture->values = malloc(cells * sizeof *picture->values);
    if (picture->values == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", cells);
    }
    if (ncfile_reference_us(picture->file, &picture->reference_us) != 0) {
        picture->reference_us = INT64_MIN;
    }
    return ncvar_read_f32(picture->var, frame, picture->values, ret_err);
}

static int read_lines(struct picture *picture, struct map *map, struct err *ret_err) {
    const char *const paths[MAP_LINES_MAX] = {picture->request.coast, picture->request.rivers};
    static const char *const names[MAP_LINES_MAX] = {"coast", "rivers"};
    int result = 0;
    if (paths[0] == NULL && paths[1] == NULL) {
        return 0;
    }
    if (picture->grid->curvilinear) {
        result = curvilinear_create(picture->grid, CURVILINEAR_CORNERS, &picture->cells, ret_err);
        map->cells = picture->cells;
    } else {
        result = geo_create(picture->env, picture->grid->crs, &picture->geo, ret_err);
        map->geo = picture->geo;
    }
    for (size_t i = 0; i < MAP_LINES_MAX && result == 0; i++) {
        if (paths[i] == NULL) {
            continue;
        }
        struct lines *lines = &picture->lines[i];
        result = lines_load(paths[i], lines, ret_err);
        map->lines[map->line_count] = lines;
        map->line_names[map->line_count] = names[i];
        map->line_count += result == 0;
    }
    return result;
}

/* Local and world time of the field; for a forecast also how far ahead of what it is. */
static void write_titles(const struct picture *picture, char (*ret_titles)[TITLE_SIZE]) {
    char utc[40];
    char local[40];
    char member[40] = "";
    text_format_time(picture->valid_us, utc, sizeof utc);
    text_format_local(picture->valid_us, ICT_MIN, local, sizeof local);
    if (picture->request.member > 0) {
        (void)snprintf(member, sizeof member, ", member %lld", (long long)picture->request.member);
    }
    (void)snprintf(ret_titles[0], TITLE_SIZE, "%.100s%s", ncvar_name(picture->var), member);
    (void)snprintf(ret_titles[1], TITLE_SIZE, "%s (+07:00), %s", local, utc);
    if (picture->reference_us == INT64_MIN) {
        (void)snprintf(ret_titles[2], TITLE_SIZE, "%.200s", ncfile_name(picture->file));
        return;
    }
    text_format_time(picture->reference_us, utc, sizeof utc);
    (void)snprintf(ret_titles[2], TITLE_SIZE, "forecast %+.0f min from %s, %.200s",
                   (double)(picture->valid_us - picture->reference_us) / 60e6, utc,
                   ncfile_name(picture->file));
}

static int draw(struct picture *picture, struct err *ret_err) {
    char titles[MAP_TITLES][TITLE_SIZE];
    struct map map = {.grid = picture->grid,
                      .values = picture->values,
                      .unit = picture->unit,
                      .what = strcmp(picture->unit, "1") == 0 ? "share" : picture->unit,
                      .width_px = (int)picture->request.width};
    int result = read_lines(picture, &map, ret_err);
    if (result != 0) {
        return result;
    }
    write_titles(picture, titles);
    for (int i = 0; i < MAP_TITLES; i++) {
        map.titles[i] = titles[i];
    }
    return map_write(&map, picture->request.out, ret_err);
}

static void release(struct picture *picture) {
    for (size_t i = 0; i < MAP_LINES_MAX; i++) {
        lines_finish(&picture->lines[i]);
    }
    free(picture->values);
    geo_destroy(picture->geo);
    curvilinear_destroy(picture->cells);
    grid_destroy(picture->grid);
    ncvar_close(picture->var);
    ncfile_close(picture->file);
    grid_env_destroy(picture->env);
}

static int run_render(int argc, char **argv) {
    struct picture picture = {.request = {.width = 800}};
    struct request *request = &picture.request;
    const struct args_option options[] = {
        {"in", ARGS_TEXT, &request->in, true, 0, 0, "FILE.nc", "the file"},
        {"out", ARGS_TEXT, &request->out, true, 0, 0, "FILE.png", "the picture"},
        {"variable", ARGS_TEXT, &request->variable, false, 0, 0, "NAME",
         "default: the variable of standard_name rainfall_rate"},
        {"at", ARGS_TEXT, &request->at, false, 0, 0, "TIME",
         "valid time of the field, UTC; default: the first"},
        {"member", ARGS_INT, &request->member, false, 1, 1000, "M",
         "of an ensemble, from 1; default: the first"},
        {"coast", ARGS_TEXT, &request->coast, false, 0, 0, "FILE.geojson", "drawn in black"},
        {"rivers", ARGS_TEXT, &request->rivers, false, 0, 0, "FILE.geojson", "drawn in blue"},
        {"width", ARGS_INT, &request->width, false, 100, 8000, "PX",
         "of the field, about; default 800"},
        {.name = NULL},
    };
    int parsed = args_parse(argc, argv, options, about);
    if (parsed != MODEL_DONE) {
        return parsed == ARGS_HELPED ? MODEL_DONE : parsed;
    }
    struct err err = {0};
    int result = read_field(&picture, &err);
    result = result == 0 ? draw(&picture, &err) : result;
    release(&picture);
    return result != 0 ? model_exit_of("render", &err) : MODEL_DONE;
}

const struct model model_render = {"render", "a field of a grid as a PNG with legend and map lines",
                                   run_render};
