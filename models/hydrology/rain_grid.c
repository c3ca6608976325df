#include "models/hydrology/rain_grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/grid/mask.h"

struct source {
    struct ncfile *file;
    struct ncvar *var;
    struct grid *grid;
    double *cell_m2;
    double *frame;
    struct mask **masks; /* [basin_count] */
    size_t mask_count;
};

static void close_source(struct source *source) {
    for (size_t i = 0; source->masks != NULL && i < source->mask_count; i++) {
        mask_destroy(source->masks[i]);
    }
    free(source->masks);
    free(source->frame);
    free(source->cell_m2);
    grid_destroy(source->grid);
    if (source->var != NULL) {
        ncvar_close(source->var);
    }
    ncfile_close(source->file);
}

static const struct area *area_of(const struct area_list *outlines, const char *id) {
    for (size_t i = 0; i < outlines->count; i++) {
        if (strcmp(outlines->areas[i].id, id) == 0) {
            return &outlines->areas[i];
        }
    }
    return NULL;
}

static int make_masks(struct grid_env *env, struct source *source, const struct area_list *outlines,
                      const char *const *basins, size_t basin_count, struct err *ret_err) {
    size_t cells = source->grid->rows * source->grid->columns;
    source->cell_m2 = calloc(cells, sizeof *source->cell_m2);
    source->frame = calloc(cells, sizeof *source->frame);
    source->masks = calloc(basin_count, sizeof(struct mask *));
    if (source->cell_m2 == NULL || source->frame == NULL || source->masks == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a grid of %zu cells", cells);
    }
    int rc = grid_cell_areas_m2(env, source->grid, source->cell_m2, ret_err);
    for (size_t b = 0; rc == 0 && b < basin_count; b++) {
        const struct area *area = area_of(outlines, basins[b]);
        rc = area == NULL ? err_set(ret_err, ERR_NOT_FOUND, "no outline of basin '%s'", basins[b])
                          : mask_create(env, source->grid, source->cell_m2, area, &source->masks[b],
                                        ret_err);
        source->mask_count += rc == 0;
    }
    return rc;
}

static int open_source(const char *name, struct source *source, struct err *ret_err) {
    int rc = ncvar_open_ensemble(source->file, name, name == NULL ? "rainfall_rate" : NULL,
                                 "mm h-1", &source->var, ret_err);
    return rc != 0 ? rc : ncvar_grid(source->var, &source->grid, ret_err);
}

static double mean_over(const struct mask *mask, const double *frame) {
    double sum = 0, known_m2 = 0;
    for (size_t i = 0; i < mask->count; i++) {
        double rate = frame[mask->index[i]];
        if (rate >= 0) { /* NaN is not */
            sum += rate * mask->area_m2[i];
            known_m2 += mask->area_m2[i];
        }
    }
    double share = mask->covered_m2 > 0 ? known_m2 / mask->covered_m2 * mask->inside : 0;
    return share < RAIN_GRID_COVERAGE ? (double)NAN : sum / known_m2;
}

static int read_rates(struct source *source, struct rain_grid *rain, struct err *ret_err) {
    int rc = 0;
    for (size_t m = 0; rc == 0 && m < rain->member_count; m++) {
        ncvar_set_member(source->var, m);
        for (size_t f = 0; rc == 0 && f < rain->frame_count; f++) {
            rc = ncvar_read_f64(source->var, f, source->frame, ret_err);
            for (size_t b = 0; rc == 0 && b < rain->basin_count; b++) {
                rain->rate_mm_h[(m * rain->basin_count + b) * rain->frame_count + f] =
                    mean_over(source->masks[b], source->frame);
            }
        }
    }
    return rc;
}

static int make_room(const struct source *source, size_t basin_count, struct rain_grid **ret_rain,
                     struct err *ret_err) {
    struct rain_grid *rain = calloc(1, sizeof *rain);
    size_t members = ncvar_member_count(source->var), frames = ncvar_frame_count(source->var);
    if (members > RAIN_GRID_MEMBERS_MAX) {
        free(rain);
        return err_set(ret_err, ERR_LIMIT, "%s: %zu members; at most %d", ncfile_name(source->file),
                       members, RAIN_GRID_MEMBERS_MAX);
    }
    if (rain != NULL) {
        *rain = (struct rain_grid){
            .member_count = members,
            .basin_count = basin_count,
            .frame_count = frames,
            .end_us = calloc(frames, sizeof *rain->end_us),
            .rate_mm_h = calloc(members * basin_count * frames, sizeof *rain->rate_mm_h)};
    }
    if (rain == NULL || rain->end_us == NULL || rain->rate_mm_h == NULL) {
        rain_grid_destroy(rain);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu frames", frames);
    }
    *ret_rain = rain;
    return 0;
}

int rain_grid_read(struct grid_env *env, struct ncfile *file, const char *name,
                   const struct area_list *outlines, const char *const *basins, size_t basin_count,
                   struct rain_grid **ret_rain, struct err *ret_err) {
    struct source source = {.file = file};
    struct rain_grid *rain = NULL;
    int rc = open_source(name, &source, ret_err);
    rc = rc != 0 ? rc : make_masks(env, &source, outlines, basins, basin_count, ret_err);
    rc = rc != 0 ? rc : make_room(&source, basin_count, &rain, ret_err);
    rc = rc != 0 ? rc : ncvar_times(source.var, INT64_MAX, rain->end_us, ret_err);
    if (rc == 0 && rain->frame_count < 2) {
        rc = err_set(ret_err, ERR_INVALID, "%s: one frame does not tell how long it stands for",
                     ncfile_name(source.file));
    }
    rc = rc != 0 ? rc : read_rates(&source, rain, ret_err);
    close_source(&source);
    if (rc != 0) {
        rain_grid_destroy(rain);
        return rc;
    }
    rain->first_us = rain->end_us[0] - (rain->end_us[1] - rain->end_us[0]);
    *ret_rain = rain;
    return 0;
}

struct rain_grid *rain_grid_destroy(struct rain_grid *rain) {
    if (rain != NULL) {
        free(rain->end_us);
        free(rain->rate_mm_h);
        free(rain);
    }
    return NULL;
}

double rain_grid_rate(const struct rain_grid *rain, size_t member, size_t basin, int64_t from_us,
                      int64_t to_us) {
    const double *rate = rain->rate_mm_h + (member * rain->basin_count + basin) * rain->frame_count;
    double sum = 0;
    if (from_us < rain->first_us || to_us > rain->end_us[rain->frame_count - 1]) {
        return NAN;
    }
    for (size_t f = 0; f < rain->frame_count; f++) {
        int64_t start = f == 0 ? rain->first_us : rain->end_us[f - 1], end = rain->end_us[f];
        start = start > from_us ? start : from_us;
        end = end < to_us ? end : to_us;
        if (end > start) {
            sum += rate[f] * (double)(end - start); /* an unknown one makes all unknown */
        }
    }
    return sum / (double)(to_us - from_us);
}
