#include "models/areal/ahead.h"

#include <math.h>
#include <stdlib.h>

#include "models/nowcast/advect.h"
#include "models/nowcast/ensemble.h"
#include "models/nowcast/frames.h"

enum { US_PER_S = 1000000 };

static const double speed_m_s_max = 60.0;

static int compare_times(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

void ahead_plan(int64_t *utc_us, size_t count, int64_t step_us, struct ahead *ret_ahead) {
    size_t index[AHEAD_FRAMES];
    struct ahead ahead = {.step_us = step_us, .source = MOTION_NO_FRAMES};
    qsort(utc_us, count, sizeof *utc_us, compare_times);
    ahead.count = frames_choose(utc_us, count, step_us, AHEAD_FRAMES, index);
    for (int i = 0; i < ahead.count; i++) {
        ahead.utc_us[i] = utc_us[index[i]];
    }
    *ret_ahead = ahead;
}

bool ahead_wants(const struct ahead *ahead, int64_t utc_us) {
    for (int i = 0; i < ahead->count; i++) {
        if (ahead->utc_us[i] == utc_us) {
            return true;
        }
    }
    return false;
}

int ahead_keep(struct ahead *ahead, int64_t utc_us, const double *rate_mm_h, size_t pixels) {
    for (int i = 0; i < ahead->count; i++) {
        if (ahead->utc_us[i] != utc_us || ahead->rate[i] != NULL) {
            continue;
        }
        ahead->rate[i] = malloc(pixels * sizeof *ahead->rate[i]);
        if (ahead->rate[i] == NULL) {
            return ERR_MEMORY;
        }
        for (size_t p = 0; p < pixels; p++) {
            ahead->rate[i][p] = (float)rate_mm_h[p];
        }
    }
    return 0;
}

void ahead_finish(struct ahead *ahead) {
    for (int i = 0; i < ahead->count; i++) {
        free(ahead->rate[i]);
        ahead->rate[i] = NULL;
    }
    ahead->count = 0;
}

/* ---- the fields ---- */

struct giver {
    struct areal *areal;
    const struct ahead_run *run;
    size_t steps;
    size_t done;
};

static void tell(struct giver *giver) {
    giver->done++;
    giver->run->progress(giver->run->context, giver->done,
                         giver->steps * (1 + (size_t)giver->run->members));
}

static int take_member(void *context, int member, int lead, const float *rate) {
    struct giver *giver = context;
    areal_member(giver->areal, (size_t)member, (size_t)lead + 1, rate);
    tell(giver);
    return 0;
}

static int extrapolate(const struct motion *motion, const float *newest, struct giver *giver) {
    struct displacement displacement;
    float *field = malloc((size_t)motion->nx * (size_t)motion->ny * sizeof *field);
    if (field == NULL || displacement_init(motion, &displacement) != 0) {
        free(field);
        return ERR_MEMORY;
    }
    for (size_t step = 1; step <= giver->steps; step++) {
        displacement_advance(&displacement, motion, 1.0F, 1);
        displacement_sample(&displacement, newest, motion->nx, motion->ny, SAMPLE_BILINEAR, 1,
                            field);
        areal_forecast(giver->areal, step, field);
        tell(giver);
    }
    displacement_finish(&displacement);
    free(field);
    return 0;
}

static int make_members(const struct motion_input *input, const struct motion *motion,
                        double pixel_km, double step_min, struct giver *giver) {
    struct ensemble *ensemble = NULL;
    struct ensemble_input about = {input, motion, pixel_km, step_min};
    struct ensemble_run run = {.members = giver->run->members,
                               .leads = (int)giver->steps,
                               .threads = 1,
                               .seed = giver->run->seed,
                               .take = take_member,
                               .context = giver};
    int result = ensemble_create(&about, &ensemble);
    if (result == 0) {
        result = ensemble_run(ensemble, &run);
    }
    ensemble_destroy(ensemble);
    return result;
}

/* The frames that were read, oldest first. */
static struct motion_input collect(const struct ahead *ahead, const struct grid *grid) {
    struct motion_input input = {.nx = (int)grid->columns, .ny = (int)grid->rows, .threads = 1};
    for (int i = ahead->count; i-- > 0;) {
        if (ahead->rate[i] != NULL) {
            input.frame[input.count] = ahead->rate[i];
            input.step_of_frame[input.count++] =
                (double)(ahead->utc_us[i] - ahead->utc_us[0]) / (double)ahead->step_us;
        }
    }
    return input;
}

/* NULL when a forecast can be made. */
static const char *reason_against(const struct ahead *ahead, const struct grid *grid) {
    if (ahead->count == 0 || ahead->rate[0] == NULL) {
        return "the newest frame could not be read";
    }
    if (grid->rows < MOTION_SIDE_MIN || grid->columns < MOTION_SIDE_MIN ||
        grid->rows > MOTION_SIDE_MAX || grid->columns > MOTION_SIDE_MAX) {
        return "the grid is too small or too large to show motion";
    }
    return NULL;
}

int ahead_run(struct ahead *ahead, const struct ahead_run *run, struct areal *areal,
              struct err *ret_err) {
    struct motion motion = {0};
    double x_m;
    double y_m;
    struct giver giver = {areal, run, areal_steps_ahead(areal), 0};
    const char *reason = reason_against(ahead, run->grid);
    if (reason != NULL) {
        areal_no_forecast(areal, false, reason);
        return 0;
    }
    struct motion_input input = collect(ahead, run->grid);
    double step_s = (double)ahead->step_us / US_PER_S;
    frames_pixel_m(run->grid, &x_m, &y_m);
    input.speed_px_max = speed_m_s_max * step_s / fmin(x_m, y_m);
    int result = motion_estimate(&input, &motion);
    if (result == 0) {
        ahead->source = motion.source;
        ahead->vectors = motion.vectors;
        result = extrapolate(&motion, input.frame[input.count - 1], &giver);
    }
    if (result == 0 && run->members > 0 && input.count < 2) {
        areal_no_forecast(areal, true, "an ensemble needs two frames, there is one");
    } else if (result == 0 && run->members > 0) {
        result = make_members(&input, &motion, sqrt(x_m * y_m) / 1000.0, step_s / 60.0, &giver);
    }
    motion_finish(&motion);
    return result == 0 ? 0
                       : err_set(ret_err, result, "cannot make the forecast: %s", err_name(result));
}
