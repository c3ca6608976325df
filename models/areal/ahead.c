#include "models/areal/ahead.h"

#include <assert.h>
#include <stdio.h>

#include "models/nowcast/ensemble.h"

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

static int take_field(void *context, int lead, const float *rate) {
    struct giver *giver = context;
    areal_forecast(giver->areal, (size_t)lead + 1, rate);
    tell(giver);
    return 0;
}

static int take_member(void *context, int member, int lead, const float *rate) {
    struct giver *giver = context;
    areal_member(giver->areal, (size_t)member, (size_t)lead + 1, rate);
    tell(giver);
    return 0;
}

/* The ensemble makes some members together (ensemble_group). */
static_assert((int)ENSEMBLE_GROUP <= (int)AREAL_TOGETHER, "members that come by turns");

static int give_members(struct outlook *outlook, struct giver *giver, struct err *ret_err) {
    const struct outlook_members members = {.members = giver->run->members,
                                            .leads = (int)giver->steps,
                                            .seed = giver->run->seed,
                                            .take = take_member,
                                            .context = giver};
    if (outlook->pick.count < 2) {
        areal_no_forecast(giver->areal, true, "an ensemble needs two frames, there is one");
        return 0;
    }
    int result = outlook_members(outlook, &members);
    return result == 0 ? 0
                       : err_set(ret_err, result, "cannot make the ensemble: %s", err_name(result));
}

static int find_motion(struct outlook *outlook, const struct ahead_run *run,
                       struct err *ret_left_out, struct err *ret_err) {
    int result = outlook_find_motion(outlook, run->motion_in, run->wind, ret_err);
    if (result == 0 || result == ERR_MEMORY || (run->motion_in == NULL && run->wind == NULL)) {
        return result;
    }
    *ret_left_out = *ret_err;
    motion_finish(&outlook->motion);
    return outlook_find_motion(outlook, NULL, NULL, ret_err);
}

static int give(struct outlook *outlook, struct giver *giver, struct ahead_motion *ret_motion,
                struct err *ret_err) {
    const struct ahead_run *run = giver->run;
    int result = outlook_begin("areal", run->frames, run->reference_us, 1, outlook, ret_err);
    if (result == 0 && outlook->nothing) {
        areal_no_forecast(giver->areal, false, "no valid pixel in the newest frames");
        return 0;
    }
    result = result == 0 ? find_motion(outlook, run, &ret_motion->left_out, ret_err) : result;
    if (result == 0) {
        ret_motion->source = outlook->motion.source;
        ret_motion->vectors = outlook->motion.vectors;
        (void)snprintf(ret_motion->note, sizeof ret_motion->note, "%s", outlook->note);
        result = outlook_extrapolate(outlook, (int)giver->steps, take_field, giver, ret_err);
    }
    return result == 0 && run->members > 0 ? give_members(outlook, giver, ret_err) : result;
}

int ahead_run(const struct ahead_run *run, struct areal *areal, struct ahead_motion *ret_motion,
              struct err *ret_err) {
    const struct grid *grid = run->frames->grid;
    struct giver giver = {areal, run, areal_steps_ahead(areal), 0};
    struct outlook outlook = {0};
    if (grid->rows < MOTION_SIDE_MIN || grid->columns < MOTION_SIDE_MIN ||
        grid->rows > MOTION_SIDE_MAX || grid->columns > MOTION_SIDE_MAX) {
        areal_no_forecast(areal, false, "the grid is too small or too large to show motion");
        return 0;
    }
    int result = give(&outlook, &giver, ret_motion, ret_err);
    outlook_finish(&outlook);
    return result;
}
