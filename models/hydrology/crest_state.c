#include "models/hydrology/crest_state.h"

#include <math.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/ids.h"

enum { DIM_PLACE, DIM_ARRAY, DIM_SLOT, DIM_DURATION, DIM_STEP, DIMS };

static const char *const dim_names[DIMS] = {"place", "array", "slot", "duration", "step"};

/* The first failure of a row of library calls. */
struct file {
    int id, status;
    const char *what;
};

static void call(struct file *file, int status, const char *what) {
    if (file->status == NC_NOERR && status != NC_NOERR) {
        file->status = status;
        file->what = what;
    }
}

static void lengths_of(const struct crest_live *live, size_t ret_lengths[DIMS]) {
    const size_t lengths[DIMS] = {live->domain->network->count, CREST_SAVED_ARRAYS,
                                  CREST_LIVE_SLOTS, FFG_GRID_DURATIONS, live->back_steps};
    memcpy(ret_lengths, lengths, sizeof lengths);
}

/* Everything that is saved, with its place in memory. */
struct item {
    const char *name;
    nc_type type;
    int dim_count, dims[3];
    void *values;
};

enum { ITEMS = 7 };

static void items_of(struct crest_live_state *state, struct crest_saved *saved,
                     int64_t *end_and_steps, struct item *ret_items) {
    const struct item items[ITEMS] = {
        {"stores", NC_DOUBLE, 2, {DIM_ARRAY, DIM_PLACE}, saved->numbers},
        {"mark", NC_UBYTE, 1, {DIM_PLACE}, saved->mark},
        {"guidance_time", NC_INT64, 1, {DIM_SLOT}, state->guidance_us},
        {"guidance", NC_FLOAT, 3, {DIM_SLOT, DIM_DURATION, DIM_PLACE}, state->guidance_mm},
        {"rain", NC_FLOAT, 2, {DIM_STEP, DIM_PLACE}, state->rain_mm},
        {"end_time", NC_INT64, 0, {0}, &end_and_steps[0]},
        {"steps", NC_INT64, 0, {0}, &end_and_steps[1]},
    };
    memcpy(ret_items, items, sizeof items);
}

/* ---- writing ---- */

static void write_all(struct file *file, const struct crest_live *live, const char *identity) {
    struct crest_live_state state = live->late_state;
    struct crest_saved saved = live->late_saved;
    int64_t end_and_steps[2] = {state.end_us, state.steps};
    struct item items[ITEMS];
    size_t lengths[DIMS];
    int dims[DIMS], ids[ITEMS];
    lengths_of(live, lengths);
    items_of(&state, &saved, end_and_steps, items);
    for (int d = 0; d < DIMS; d++) {
        call(file, nc_def_dim(file->id, dim_names[d], lengths[d], &dims[d]), dim_names[d]);
    }
    for (int i = 0; file->status == NC_NOERR && i < ITEMS; i++) {
        int of[3];
        for (int d = 0; d < items[i].dim_count; d++) {
            of[d] = dims[items[i].dims[d]];
        }
        call(file,
             nc_def_var(file->id, items[i].name, items[i].type, items[i].dim_count, of, &ids[i]),
             items[i].name);
        if (items[i].dim_count > 1) {
            call(file, nc_def_var_deflate(file->id, ids[i], 1, 1, 1), items[i].name);
        }
    }
    const unsigned char degraded = saved.degraded;
    call(file, nc_put_att_text(file->id, NC_GLOBAL, "identity", strlen(identity), identity),
         "identity");
    call(file, nc_put_att_uchar(file->id, NC_GLOBAL, "degraded", NC_UBYTE, 1, &degraded),
         "degraded");
    call(file,
         nc_put_att_longlong(file->id, NC_GLOBAL, "step_us", NC_INT64, 1,
                             &(long long){live->step_us}),
         "step_us");
    call(file, nc_enddef(file->id), "definitions");
    for (int i = 0; file->status == NC_NOERR && i < ITEMS; i++) {
        call(file, nc_put_var(file->id, ids[i], items[i].values), items[i].name);
    }
}

int crest_state_save(const char *path, const struct crest_live *live, const char *identity,
                     struct err *ret_err) {
    char temporary[4096];
    struct file file = {.status = NC_NOERR, .what = ""};
    if (snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid()) >=
        (int)sizeof temporary) {
        return err_set(ret_err, ERR_LIMIT, "the name of the state file is too long");
    }
    call(&file, nc_create(temporary, NC_NETCDF4 | NC_NOCLOBBER, &file.id), "create");
    if (file.status == NC_NOERR) {
        write_all(&file, live, identity);
        call(&file, nc_close(file.id), "close");
        if (file.status != NC_NOERR || rename(temporary, path) != 0) {
            (void)unlink(temporary); /* half a file is worse than none */
            file.what = file.status == NC_NOERR ? "rename" : file.what;
            file.status = file.status == NC_NOERR ? NC_EPERM : file.status;
        }
    }
    return file.status == NC_NOERR ? 0
                                   : err_set(ret_err, ERR_IO, "%.300s: %.40s: %s", path, file.what,
                                             nc_strerror(file.status));
}

/* ---- reading ---- */

static int check_identity(struct file *file, const char *path, const struct crest_live *live,
                          const char *identity, struct err *ret_err) {
    char text[HASH_TEXT_SIZE] = {0};
    size_t length = 0, lengths[DIMS];
    long long step_us = 0;
    lengths_of(live, lengths);
    bool same = nc_inq_attlen(file->id, NC_GLOBAL, "identity", &length) == NC_NOERR &&
                length == HASH_TEXT_SIZE - 1 &&
                nc_get_att_text(file->id, NC_GLOBAL, "identity", text) == NC_NOERR &&
                strcmp(text, identity) == 0 &&
                nc_inq_attlen(file->id, NC_GLOBAL, "step_us", &length) == NC_NOERR && length == 1 &&
                nc_get_att_longlong(file->id, NC_GLOBAL, "step_us", &step_us) == NC_NOERR &&
                step_us == live->step_us;
    for (int d = 0; d < DIMS; d++) {
        int id = 0;
        same = same && nc_inq_dimid(file->id, dim_names[d], &id) == NC_NOERR &&
               nc_inq_dimlen(file->id, id, &length) == NC_NOERR && length == lengths[d];
    }
    return same ? 0
                : err_set(ret_err, ERR_INVALID,
                          "%.300s: the state of another drainage grid, step or parameters", path);
}

/* The variable has just the form that it was written in, so that it fits into its place. */
static bool has_form(const struct file *file, const struct item *item, int *ret_id) {
    nc_type type = NC_NAT;
    int dim_count = -1, dims[NC_MAX_VAR_DIMS];
    if (nc_inq_varid(file->id, item->name, ret_id) != NC_NOERR ||
        nc_inq_var(file->id, *ret_id, NULL, &type, &dim_count, dims, NULL) != NC_NOERR ||
        type != item->type || dim_count != item->dim_count) {
        return false;
    }
    for (int d = 0; d < dim_count; d++) {
        int id = -1;
        if (nc_inq_dimid(file->id, dim_names[item->dims[d]], &id) != NC_NOERR || id != dims[d]) {
            return false;
        }
    }
    return true;
}

static void read_items(struct file *file, const struct item *items) {
    for (int i = 0; i < ITEMS; i++) {
        int id = 0;
        call(file,
             has_form(file, &items[i], &id) ? nc_get_var(file->id, id, items[i].values) : NC_EINVAL,
             items[i].name);
    }
}

static bool is_sane(const struct crest_saved *saved, size_t places, const int64_t *end_and_steps) {
    bool sane = end_and_steps[0] > 0 && end_and_steps[1] >= 0;
    for (size_t p = 0; p < places; p++) {
        /* Soil and interflow are always known, and nothing but a volume goes below zero. */
        sane = sane && saved->mark[p] <= KINEMATIC_RECOVERING && saved->numbers[p] >= 0 &&
               saved->numbers[places + p] >= 0 && !isinf(saved->numbers[2 * places + p]) &&
               !(saved->numbers[3 * places + p] < 0);
    }
    return sane;
}

static int read_all(struct file *file, const char *path, struct crest_live *live,
                    struct crest_live_state *state, struct crest_saved *saved,
                    struct err *ret_err) {
    int64_t end_and_steps[2] = {0, 0};
    unsigned char degraded = 0;
    struct item items[ITEMS];
    items_of(state, saved, end_and_steps, items);
    read_items(file, items);
    call(file, nc_get_att_uchar(file->id, NC_GLOBAL, "degraded", &degraded), "degraded");
    if (file->status != NC_NOERR || !is_sane(saved, live->domain->network->count, end_and_steps) ||
        end_and_steps[0] % live->step_us != 0) {
        return err_set(ret_err, ERR_CORRUPT, "%.300s: %s is not as it was written", path,
                       file->status != NC_NOERR ? file->what : "the state");
    }
    state->end_us = end_and_steps[0];
    state->steps = end_and_steps[1];
    saved->degraded = degraded != 0;
    return 0;
}

int crest_state_load(const char *path, struct crest_live *live, const char *identity,
                     struct err *ret_err) {
    struct file file = {.status = NC_NOERR, .what = ""};
    struct crest_live fresh = *live; /* its own room */
    fresh.state = (struct crest_live_state){.end_us = 0};
    fresh.saved = (struct crest_saved){.numbers = NULL};
    fresh.late_state = (struct crest_live_state){.end_us = 0};
    fresh.late_saved = (struct crest_saved){.numbers = NULL};
    int status = nc_open(path, NC_NOWRITE, &file.id);
    if (status != NC_NOERR) {
        return err_set(ret_err, status == NC_ENOTNC || status == NC_EHDFERR ? ERR_CORRUPT : ERR_IO,
                       "%.300s: %s", path, nc_strerror(status));
    }
    int rc = check_identity(&file, path, live, identity, ret_err);
    rc = rc != 0 ? rc : crest_live_create(&fresh, ret_err);
    rc = rc != 0 ? rc : read_all(&file, path, live, &fresh.state, &fresh.saved, ret_err);
    (void)nc_close(file.id); /* only read */
    if (rc == 0) {
        struct crest_live old = *live;
        live->state = fresh.state;
        live->saved = fresh.saved;
        fresh.state = old.state;
        fresh.saved = old.saved;
        crest_saved_restore(live->domain, &live->saved);
    }
    fresh.peak_m3_s = NULL; /* not its own */
    fresh.ratio = NULL;
    crest_live_finish(&fresh);
    return rc;
}
