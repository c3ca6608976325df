#include "models/nowcast/outlook.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/nowcast/advect.h"
#include "models/nowcast/ensemble.h"
#include "models/nowcast/fade.h"
#include "models/nowcast/guidance.h"
#include "models/nowcast/refresh.h"

enum { MOTION_FRAMES = 3 };

static const double us_per_min = 60e6;

static void warn(const struct outlook *outlook, const char *text, const char *more) {
    fprintf(stderr, "canhbao-model %s: warning: %s%s\n", outlook->model, text, more);
}

/* ---- frames ---- */

static bool is_all_missing(const struct frames *frames, const float *rate) {
    size_t pixels = (size_t)frames->nx * (size_t)frames->ny;
    size_t i = 0;
    while (i < pixels && isnan(rate[i])) {
        i++;
    }
    return i == pixels;
}

static const float *newest_rate(const struct outlook *outlook) {
    return outlook->pick.rate[outlook->pick.count - 1];
}

static int pick_frames(struct outlook *outlook, struct err *ret_err) {
    struct frames *frames = outlook->frames;
    size_t last = outlook->newest;
    int result = frames_pick(frames, last, MOTION_FRAMES, &outlook->pick, ret_err);
    int64_t oldest_us = outlook->reference_us - FRAMES_GAP_STEPS_MAX * frames->step_us;
    while (result == ERR_OK && last > 0 && frames->utc_us[last - 1] >= oldest_us &&
           is_all_missing(frames, newest_rate(outlook))) {
        frames_pick_finish(&outlook->pick);
        result = frames_pick(frames, --last, MOTION_FRAMES, &outlook->pick, ret_err);
    }
    if (result != ERR_OK) {
        return result;
    }
    outlook->nothing = is_all_missing(frames, newest_rate(outlook));
    if (outlook->nothing) {
        warn(outlook, "no valid pixel in the newest frames; the whole forecast is missing", "");
    } else {
        outlook->newest = last;
    }
    return ERR_OK;
}

int outlook_begin(const char *model, struct frames *frames, int64_t reference_us, int threads,
                  struct outlook *ret_outlook, struct err *ret_err) {
    *ret_outlook = (struct outlook){
        .model = model, .frames = frames, .threads = threads, .reference_us = reference_us};
    int result = frames_newest(frames, reference_us, &ret_outlook->newest, ret_err);
    result = result == ERR_OK ? pick_frames(ret_outlook, ret_err) : result;
    if (result != ERR_OK) {
        return result;
    }
    double age_us = (double)(reference_us - frames->utc_us[ret_outlook->newest]);
    ret_outlook->age_steps = age_us / (double)frames->step_us;
    if (ret_outlook->age_steps > 0.0) {
        char age[40];
        (void)snprintf(age, sizeof age, "%.1f min old", age_us / us_per_min);
        warn(ret_outlook, "the newest frame is ", age);
    }
    return ERR_OK;
}

void outlook_finish(struct outlook *outlook) {
    frames_pick_finish(&outlook->pick);
    motion_finish(&outlook->motion);
}

/* ---- motion ---- */

static struct motion_input motion_input_of(const struct outlook *outlook) {
    struct motion_input input = {.nx = outlook->frames->nx,
                                 .ny = outlook->frames->ny,
                                 .count = outlook->pick.count,
                                 .speed_px_max = frames_speed_px_max(outlook->frames),
                                 .threads = outlook->threads};
    for (int i = 0; i < outlook->pick.count; i++) {
        input.frame[i] = outlook->pick.rate[i];
        input.step_of_frame[i] = outlook->pick.step_of_frame[i];
    }
    return input;
}

/* An earlier run's motion: smooths what was tracked, stands in where nothing was. */
static int use_previous(struct outlook *outlook, struct ncfile *file, struct err *ret_err) {
    struct motion previous = {0};
    double age_min;
    int result = guidance_previous(outlook->frames, file, outlook->reference_us, &previous,
                                   &age_min, ret_err);
    if (result == ERR_NOT_FOUND) {
        warn(outlook, ret_err->text, "; not used");
        return ERR_OK;
    }
    if (result != ERR_OK) {
        return result;
    }
    if (outlook->motion.source == MOTION_TRACKED) {
        guidance_smooth(&previous, age_min, &outlook->motion);
        (void)snprintf(outlook->note, sizeof outlook->note,
                       ", smoothed with a motion of %.0f min before", age_min);
        motion_finish(&previous);
    } else if (outlook->motion.source != MOTION_EARLIER) {
        motion_finish(&outlook->motion);
        outlook->motion = previous;
        (void)snprintf(outlook->note, sizeof outlook->note, " of %.0f min before", age_min);
    } else {
        motion_finish(&previous);
    }
    return ERR_OK;
}

static int use_wind(struct outlook *outlook, struct ncfile *file, struct err *ret_err) {
    struct motion wind = {0};
    int result = guidance_wind(outlook->frames, file, outlook->reference_us, &wind, ret_err);
    if (result == ERR_NOT_FOUND) {
        warn(outlook, ret_err->text, "; not used");
        return ERR_OK;
    }
    if (result == ERR_OK) {
        motion_finish(&outlook->motion);
        outlook->motion = wind;
    }
    return result;
}

static bool stays(const struct outlook *outlook) {
    return outlook->motion.source == MOTION_NO_RAIN || outlook->motion.source == MOTION_NO_FRAMES;
}

int outlook_find_motion(struct outlook *outlook, struct ncfile *motion_in, struct ncfile *wind,
                        struct err *ret_err) {
    struct motion_input input = motion_input_of(outlook);
    double age_min = 0.0;
    int result = motion_estimate(&input, &outlook->motion);
    if (result != ERR_OK) {
        return err_set(ret_err, result, "%s: cannot estimate the motion", outlook->frames->name);
    }
    if (outlook->motion.source != MOTION_TRACKED) {
        result = guidance_earlier(outlook->frames, outlook->newest, outlook->threads,
                                  &outlook->motion, &age_min, ret_err);
        if (result == ERR_OK && outlook->motion.source == MOTION_EARLIER) {
            (void)snprintf(outlook->note, sizeof outlook->note, " of %.0f min before", age_min);
        }
    }
    if (result == ERR_OK && motion_in != NULL) {
        result = use_previous(outlook, motion_in, ret_err);
    }
    if (result == ERR_OK && wind != NULL && stays(outlook)) {
        result = use_wind(outlook, wind, ret_err);
    }
    if (result == ERR_OK && outlook->motion.source != MOTION_TRACKED) {
        char text[80];
        (void)snprintf(text, sizeof text, "no motion in the newest frames (%s)",
                       motion_source_name(outlook->motion.source));
        warn(outlook, text, stays(outlook) ? "; rain stays in place" : "");
    }
    return result;
}

/* ---- fields ---- */

int outlook_extrapolate(struct outlook *outlook, int leads,
                        int (*take)(void *context, int lead, const float *rate), void *context,
                        struct err *ret_err) {
    int nx = outlook->frames->nx;
    int ny = outlook->frames->ny;
    const float *newest = newest_rate(outlook);
    double step_min = (double)outlook->frames->step_us / us_per_min;
    struct motion_input input = motion_input_of(outlook);
    struct displacement displacement = {0};
    struct refresh refresh = {0};
    struct fade *fade = NULL;
    float *field = malloc((size_t)nx * (size_t)ny * sizeof *field);
    int result = field == NULL ? ERR_MEMORY : displacement_init(&outlook->motion, &displacement);
    if (result == ERR_OK) {
        result = fade_create(&input, &outlook->motion, frames_pixel_km(outlook->frames), step_min,
                             &fade);
    }
    if (result != ERR_OK) {
        displacement_finish(&displacement);
        free(field);
        return err_set(ret_err, result, "no memory for a forecast field");
    }
    if (outlook->age_steps <= 0.0) {
        result = refresh_read(outlook->frames, outlook->newest, newest, &refresh, ret_err);
    }
    for (int lead = 0; lead < leads && result == ERR_OK; lead++) {
        float steps = lead == 0 ? (float)(1.0 + outlook->age_steps) : 1.0F;
        displacement_advance(&displacement, &outlook->motion, steps, outlook->threads);
        fade_field(fade, &displacement, (lead + 1.0 + outlook->age_steps) * step_min,
                   outlook->threads, field);
        refresh_apply(&refresh, &displacement, newest, lead + 1, field);
        result = take(context, lead, field);
    }
    fade_destroy(fade);
    refresh_finish(&refresh);
    displacement_finish(&displacement);
    free(field);
    return result;
}

int outlook_members(struct outlook *outlook, const struct outlook_members *run) {
    struct motion_input input = motion_input_of(outlook);
    struct ensemble *ensemble = NULL;
    struct ensemble_input about = {&input, &outlook->motion, frames_pixel_km(outlook->frames),
                                   (double)outlook->frames->step_us / us_per_min};
    struct ensemble_run members = {.members = run->members,
                                   .leads = run->leads,
                                   .threads = outlook->threads,
                                   .seed = run->seed,
                                   .age_steps = outlook->age_steps,
                                   .take = run->take,
                                   .context = run->context};
    int result = ensemble_create(&about, &ensemble);
    if (result == ERR_OK) {
        frames_pick_finish(&outlook->pick); /* the ensemble has what it needs */
        result = ensemble_run(ensemble, &members);
    }
    ensemble_destroy(ensemble);
    return result;
}
