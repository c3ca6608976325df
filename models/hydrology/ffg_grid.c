#include "models/hydrology/ffg_grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/crest_saved.h"

const int ffg_grid_hours[FFG_GRID_DURATIONS] = {1, 3, 6};

static const double depths_mm[FFG_GRID_DEPTHS] = {
    0,  1,  2,  3,  5,  7,   10,  14,  18,  23,  29,
    36, 44, 53, 65, 80, 100, 125, 155, 195, 245, FFG_GRID_CAP_MM};

struct work {
    struct crest_domain *domain;
    double dt_s;
    int threads;
    const double *threshold_m3_s;
    double *rain_mm, *potential_mm;  /* [place], a step */
    double *peak_m3_s, *before_m3_s; /* of this depth and of the one below */
};

static void run_depth(struct work *work, int hours, double depth_mm) {
    const struct kinematic *kinematic = work->domain->crest.kinematic;
    size_t places = work->domain->network->count;
    int wet = (int)lround(hours * 3600 / work->dt_s);
    int all = wet + (int)lround(FFG_GRID_TAIL_H * 3600 / work->dt_s);
    memcpy(work->peak_m3_s, kinematic->outflow_m3_s, places * sizeof(double));
    for (int s = 0; s < all; s++) {
        for (size_t p = 0; p < places; p++) {
            work->rain_mm[p] = s < wet ? depth_mm / wet : 0;
        }
        crest_grid_step(&work->domain->crest, work->dt_s, work->rain_mm, work->potential_mm,
                        work->threads);
        for (size_t p = 0; p < places; p++) {
            /* Unknown stays unknown. */
            work->peak_m3_s[p] = isnan(kinematic->outflow_m3_s[p]) || isnan(work->peak_m3_s[p])
                                     ? (double)NAN
                                     : fmax(work->peak_m3_s[p], kinematic->outflow_m3_s[p]);
        }
    }
}

/* Cells whose threshold lies between the depth before and this one. */
static void note_reached(const struct work *work, size_t depth, double *guidance_mm) {
    for (size_t p = 0; p < work->domain->network->count; p++) {
        double low = work->before_m3_s[p], high = work->peak_m3_s[p];
        double threshold = work->threshold_m3_s[p];
        if (!isnan(guidance_mm[p]) || !(high >= threshold)) {
            continue;
        }
        guidance_mm[p] = depth == 0
                             ? 0
                             : depths_mm[depth - 1] + (depths_mm[depth] - depths_mm[depth - 1]) *
                                                          (threshold - low) / (high - low);
    }
}

static void invert(struct work *work, const struct crest_saved *saved, int hours,
                   double *guidance_mm) {
    size_t places = work->domain->network->count;
    for (size_t p = 0; p < places; p++) {
        guidance_mm[p] = NAN;
    }
    for (size_t depth = 0; depth < FFG_GRID_DEPTHS; depth++) {
        crest_saved_restore(work->domain, saved);
        run_depth(work, hours, depths_mm[depth]);
        note_reached(work, depth, guidance_mm);
        memcpy(work->before_m3_s, work->peak_m3_s, places * sizeof(double));
    }
    for (size_t p = 0; p < places; p++) {
        if (saved->mark[p] != KINEMATIC_OK) {
            guidance_mm[p] = NAN; /* a state that recovers says nothing yet */
        }
    }
}

int ffg_grid_run(struct crest_domain *domain, double dt_s, const double *threshold_m3_s,
                 const double *potential_mm_h, int threads, double *ret_guidance_mm,
                 struct err *ret_err) {
    size_t places = domain->network->count;
    double steps = 3600 / dt_s;
    if (!(dt_s > 0) || fabs(steps - round(steps)) > 1e-9 || steps < 1) {
        return err_set(ret_err, ERR_RANGE, "a step of %g s does not divide an hour", dt_s);
    }
    struct crest_saved saved = {.numbers = NULL};
    double *room = calloc(4 * places + 1, sizeof *room);
    int rc = room == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", places)
                          : crest_saved_create(domain, &saved, ret_err);
    if (rc == 0) {
        struct work work = {domain, dt_s,          threads,           threshold_m3_s,
                            room,   room + places, room + 2 * places, room + 3 * places};
        for (size_t p = 0; p < places; p++) {
            work.potential_mm[p] = potential_mm_h[p] * dt_s / 3600;
        }
        crest_saved_keep(domain, &saved);
        for (size_t d = 0; d < FFG_GRID_DURATIONS; d++) {
            invert(&work, &saved, ffg_grid_hours[d], ret_guidance_mm + d * places);
        }
        crest_saved_restore(domain, &saved);
    }
    crest_saved_finish(&saved);
    free(room);
    return rc;
}
