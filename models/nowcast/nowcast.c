#include "models/nowcast/nowcast.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/text.h"
#include "models/grid/ncwrite.h"
#include "models/nowcast/amounts.h"
#include "models/nowcast/ensemble.h"
#include "models/nowcast/frames.h"
#include "models/nowcast/members.h"
#include "models/nowcast/motion.h"
#include "models/nowcast/outlook.h"
#include "models/nowcast/parallel.h"
#include "models/output/output.h"
#include "models/table/args.h"

enum { LEADS_MAX = 1000, US_PER_S = 1000000 };

static const char about[] =
    "Carries the rain of the newest radar frame along its motion (sparse Lucas-Kanade over three\n"
    "frames, backward semi-Lagrangian extrapolation). Fine detail of light rain fades with the\n"
    "lead as fast as it did between the last two frames; the distribution of the rates stays.\n"
    "Input: CF NetCDF with a rain rate that converts to mm h-1 over ([time,] y, x). Output: CF\n"
    "NetCDF, rainfall_rate (mm h-1) over (lead_time, y, x), one lead per time step of the input.\n"
    "Missing stays missing. Where the newest frames show no motion: that of frames of the last\n"
    "hour, of --motion-in, or the wind; the source attribute of the output says which.\n"
    "With --members: a STEPS ensemble, rainfall_rate over (realization, lead_time, y, x), and the\n"
    "probabilities probability_rate_0p1, _1 and _5 of at least 0.1, 1 and 5 mm h-1, and\n"
    "probability_amount_1h_10 ... _3h_50 of at least 10, 20 and 50 mm in the 1, 2 and 3 h up to "
    "the\n"
    "lead: what was observed and what is forecast. The same seed gives the same ensemble. Needs "
    "two\n"
    "frames.\n";

struct request {
    struct args_list in;
    const char *variable;
    const char *at;
    const char *out;
    const char *motion_out;
    const char *motion_in;
    const char *wind;
    const char *product;
    int64_t leads;
    int64_t members; /* 0: one forecast by extrapolation */
    int64_t seed;
    int64_t step_s;
    int64_t threads;
};

struct nowcast {
    struct request request;
    struct frames frames;
    struct outlook outlook;
    struct amounts *amounts; /* what was observed, for an ensemble */
    int64_t reference_us;
    char source[512];
    char history[512];
};

static int failed(const struct err *err) {
    fprintf(stderr, "canhbao-model nowcast: %s\n", err->text);
    return err->code == ERR_MEMORY ? MODEL_FAILED : MODEL_REFUSED;
}

/* "2016-09-28T15:25:00Z"; without a zone it is taken as UTC. */
static int parse_at(const char *text, int64_t *ret_utc_us) {
    char with_zone[64];
    if (text_parse_time(text, ret_utc_us) == ERR_OK) {
        return ERR_OK;
    }
    int length = snprintf(with_zone, sizeof with_zone, "%sZ", text);
    return length > 0 && (size_t)length < sizeof with_zone ? text_parse_time(with_zone, ret_utc_us)
                                                           : ERR_SYNTAX;
}

static int open_guidance(struct nowcast *run, const char *path, struct ncfile **ret_file,
                         struct err *ret_err) {
    return path == NULL ? ERR_OK : ncfile_open(run->frames.env, path, ret_file, ret_err);
}

static int find_motion(struct nowcast *run, struct err *ret_err) {
    struct outlook *outlook = &run->outlook;
    struct ncfile *motion_in = NULL;
    struct ncfile *wind = NULL;
    int result = open_guidance(run, run->request.motion_in, &motion_in, ret_err);
    result = result == ERR_OK ? open_guidance(run, run->request.wind, &wind, ret_err) : result;
    result = result == ERR_OK ? outlook_find_motion(outlook, motion_in, wind, ret_err) : result;
    ncfile_close(motion_in);
    ncfile_close(wind);
    if (result != ERR_OK) {
        return result;
    }
    (void)snprintf(
        run->source, sizeof run->source,
        "canhbao-model nowcast %s; motion: %s%s (%d vectors, %d frames); newest frame %.1f "
        "min before the reference time",
        CANHBAO_VERSION, motion_source_name(outlook->motion.source), outlook->note,
        outlook->motion.vectors, outlook->pick.count,
        outlook->age_steps * (double)run->frames.step_us / US_PER_S / 60.0);
    /* Without the time of the run: the same input gives the same bytes. */
    (void)snprintf(run->history, sizeof run->history,
                   "canhbao-model nowcast %s on %.255s (%zu files), seed %lld", CANHBAO_VERSION,
                   run->frames.name, run->frames.file_count, (long long)run->request.seed);
    return ERR_OK;
}

static int write_motion(const struct nowcast *run, struct err *ret_err) {
    const struct frames *frames = &run->frames;
    const int64_t lead_s[] = {0};
    struct ncwrite_header header = {.grid = frames->grid,
                                    .reference_utc_us = run->reference_us,
                                    .lead_count = 1,
                                    .lead_s = lead_s,
                                    .title = "motion of rain",
                                    .source = run->source,
                                    .history = run->history};
    struct ncwrite_variable variables[] = {
        {.name = "motion_x",
         .long_name = "speed of the rain towards larger x of the grid",
         .units = "m s-1",
         .type = NCWRITE_FLOAT},
        {.name = "motion_y",
         .long_name = "speed of the rain towards larger y of the grid",
         .units = "m s-1",
         .type = NCWRITE_FLOAT},
    };
    struct ncwriter *writer = NULL;
    size_t pixels = (size_t)frames->nx * (size_t)frames->ny;
    float *field = malloc(pixels * sizeof *field);
    if (field == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the motion");
    }
    int result = ncwriter_create(run->request.motion_out, &header, variables, 2, &writer, ret_err);
    double step_s = (double)frames->step_us / US_PER_S;
    const struct grid *grid = frames->grid;
    /* Larger row numbers are smaller y when y descends. */
    double east = !grid->curvilinear && grid->x[1] < grid->x[0] ? -1.0 : 1.0;
    double north = !grid->curvilinear && grid->y[1] < grid->y[0] ? -1.0 : 1.0;
    float scale[] = {(float)(east * frames->pixel_x_m / step_s),
                     (float)(north * frames->pixel_y_m / step_s)};
    for (size_t k = 0; k < 2 && result == ERR_OK; k++) {
        for (int y = 0; y < frames->ny; y++) {
            for (int x = 0; x < frames->nx; x++) {
                float uv[2];
                motion_at(&run->outlook.motion, (float)x, (float)y, &uv[0], &uv[1]);
                field[(size_t)y * (size_t)frames->nx + (size_t)x] = uv[k] * scale[k];
            }
        }
        result = ncwriter_put(writer, k, 0, 0, field, ret_err);
    }
    free(field);
    if (result != ERR_OK) {
        ncwriter_destroy(writer);
        return result;
    }
    return ncwriter_finish(writer, ret_err);
}

/* Where the fields of an extrapolation go. */
struct fields {
    struct ncwriter *writer;
    int leads;
    struct err *err;
};

static int take_field(void *context, int lead, const float *rate) {
    const struct fields *fields = context;
    fprintf(stderr, "\rcanhbao-model nowcast: lead %d of %d%s", lead + 1, fields->leads,
            lead + 1 == fields->leads ? "\n" : "");
    return ncwriter_put(fields->writer, 0, 0, (size_t)lead, rate, fields->err);
}

static int extrapolate(struct nowcast *run, struct ncwriter *writer, struct err *ret_err) {
    struct fields fields = {writer, (int)run->request.leads, ret_err};
    return outlook_extrapolate(&run->outlook, fields.leads, take_field, &fields, ret_err);
}

struct progress {
    struct members *members;
    int total;
    int done;
};

static int take_and_tell(void *context, int member, int lead, const float *rate) {
    struct progress *progress = context;
    progress->done++;
    fprintf(stderr, "\rcanhbao-model nowcast: %d of %d fields", progress->done, progress->total);
    return members_take(progress->members, member, lead, rate);
}

/* All members of a forecast from nothing: missing. */
static int take_nothing(const struct nowcast *run, struct members *members) {
    size_t pixels = (size_t)run->frames.nx * (size_t)run->frames.ny;
    float *field = malloc(pixels * sizeof *field);
    int result = field == NULL ? ERR_MEMORY : ERR_OK;
    for (size_t i = 0; i < pixels && field != NULL; i++) {
        field[i] = NAN;
    }
    for (int member = 0; member < run->request.members; member++) {
        for (int lead = 0; lead < run->request.leads && result == ERR_OK; lead++) {
            result = members_take(members, member, lead, field);
        }
    }
    free(field);
    return result;
}

static int write_members(struct nowcast *run, struct ncwriter *writer, struct err *ret_err) {
    struct members members = {0};
    size_t leads = (size_t)run->request.leads;
    size_t pixels = (size_t)run->frames.nx * (size_t)run->frames.ny;
    int result = members_init(writer, pixels, leads, run->amounts, &members);
    struct progress progress = {&members, (int)run->request.members * (int)leads, 0};
    if (result == ERR_OK && run->outlook.nothing) {
        result = take_nothing(run, &members);
    } else if (result == ERR_OK) {
        struct outlook_members about_members = {(int)run->request.members, (int)leads,
                                                (uint64_t)run->request.seed, take_and_tell,
                                                &progress};
        result = outlook_members(&run->outlook, &about_members);
        fputc('\n', stderr);
    }
    if (result == ERR_OK) {
        result = members_write_probabilities(&members, ret_err);
    } else if (members.err.code != ERR_OK) {
        *ret_err = members.err;
    } else {
        (void)err_set(ret_err, result, "cannot make the ensemble: %s", err_name(result));
    }
    members_finish(&members);
    return result;
}

static float largest_rate(const struct nowcast *run) {
    const struct frames_pick *pick = &run->outlook.pick;
    const float *rate = pick->rate[pick->count - 1];
    float max = 0.0F;
    for (size_t i = 0; i < (size_t)run->frames.nx * (size_t)run->frames.ny; i++) {
        max = rate[i] > max ? rate[i] : max; /* false for NaN */
    }
    return max;
}

/* The frame of a slot before the reference time, to half a step; count when there is none. */
static size_t frame_of_slot(const struct nowcast *run, size_t slot) {
    const struct frames *frames = &run->frames;
    int64_t utc_us = run->reference_us - (int64_t)slot * frames->step_us;
    size_t i = 0;
    while (i < frames->count && !(2 * (frames->utc_us[i] - utc_us) > -frames->step_us &&
                                  2 * (frames->utc_us[i] - utc_us) <= frames->step_us &&
                                  frames->utc_us[i] <= run->reference_us)) {
        i++;
    }
    return i;
}

/* What fell in the longest window before the reference time. */
static int observe_amounts(struct nowcast *run, struct err *ret_err) {
    struct frames *frames = &run->frames;
    size_t pixels = (size_t)frames->nx * (size_t)frames->ny;
    size_t together =
        (size_t)ensemble_group((int)run->request.members, (int)run->request.threads, pixels);
    float *rate = malloc(pixels * sizeof *rate);
    int result = rate == NULL ? ERR_MEMORY
                              : amounts_create(pixels, frames->step_us / US_PER_S,
                                               (size_t)run->request.leads, together, &run->amounts);
    if (result != ERR_OK) {
        free(rate);
        return err_set(ret_err, result, "no memory for the accumulations");
    }
    for (size_t slot = 0; slot < amounts_slots(run->amounts) && result == ERR_OK; slot++) {
        size_t valid;
        size_t index = frame_of_slot(run, slot);
        if (index < frames->count) {
            result = frames_read(frames, index, rate, &valid, ret_err);
        }
        if (result == ERR_OK) {
            amounts_observe(run->amounts, index < frames->count ? rate : NULL);
        }
    }
    free(rate);
    return result;
}

static int write_forecast(struct nowcast *run, struct err *ret_err) {
    size_t leads = (size_t)run->request.leads;
    size_t members = (size_t)run->request.members;
    int64_t *lead_s = malloc(leads * sizeof *lead_s);
    if (lead_s == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu leads", leads);
    }
    for (size_t i = 0; i < leads; i++) {
        lead_s[i] = (int64_t)(i + 1) * (run->frames.step_us / US_PER_S);
    }
    struct ncwrite_header header = {.grid = run->frames.grid,
                                    .reference_utc_us = run->reference_us,
                                    .lead_count = leads,
                                    .lead_s = lead_s,
                                    .member_count = members,
                                    .title = "rain nowcast",
                                    .source = run->source,
                                    .history = run->history};
    struct ncwrite_variable variables[MEMBERS_VARIABLES] = {
        {.name = "rainfall_rate",
         .standard_name = "rainfall_rate",
         .long_name = "rainfall rate, extrapolated radar frame",
         .units = "mm h-1",
         .type = NCWRITE_FLOAT,
         .has_leads = true}};
    size_t variable_count = 1;
    int result = ERR_OK;
    if (members > 0) {
        result = observe_amounts(run, ret_err);
        variable_count =
            result == ERR_OK ? members_variables(largest_rate(run), run->amounts, variables) : 0;
    }
    struct ncwriter *writer = NULL;
    if (result == ERR_OK) {
        result =
            ncwriter_create(run->request.out, &header, variables, variable_count, &writer, ret_err);
    }
    free(lead_s);
    if (result == ERR_OK) {
        result =
            members > 0 ? write_members(run, writer, ret_err) : extrapolate(run, writer, ret_err);
    }
    if (result != ERR_OK) {
        ncwriter_destroy(writer);
        return result;
    }
    return ncwriter_finish(writer, ret_err);
}

static int read_frames(struct nowcast *run, struct err *ret_err) {
    struct frames *frames = &run->frames;
    int result = frames_open(run->request.in.words, run->request.in.count, run->request.variable,
                             run->request.step_s, frames, ret_err);
    if (result != ERR_OK) {
        return result;
    }
    if (run->request.at == NULL) {
        run->reference_us = frames->utc_us[frames->count - 1];
    } else if (parse_at(run->request.at, &run->reference_us) != ERR_OK) {
        return err_set(ret_err, ERR_SYNTAX,
                       "--at: expected a UTC time such as 2016-09-28T15:25:00Z, got '%s'",
                       run->request.at);
    }
    result = outlook_begin("nowcast", frames, run->reference_us, (int)run->request.threads,
                           &run->outlook, ret_err);
    if (result == ERR_OK && run->request.members > 0 && !run->outlook.nothing &&
        run->outlook.pick.count < 2) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "%s: --members: needs two frames with rain rates, close to one another; "
                       "there is one",
                       frames->name);
    }
    return result;
}

/* Tells the daemon what was done; the numbers are in the file. */
static int print_object(const struct nowcast *run, struct err *ret_err) {
    const struct request *request = &run->request;
    json_t *manifest = manifest_create(
        "nowcast", json_pack("{s:I, s:I, s:I, s:s}", "leads", (json_int_t)request->leads, "members",
                             (json_int_t)request->members, "seed", (json_int_t)request->seed,
                             "motion", motion_source_name(run->outlook.motion.source)));
    int result = manifest == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a manifest") : 0;
    for (size_t i = 0; i < request->in.count && result == ERR_OK; i++) {
        result = manifest_add_file(manifest, request->in.words[i], ret_err);
    }
    if (result != ERR_OK) {
        json_decref(manifest);
        return result;
    }
    json_t *output =
        output_object("nowcast", request->product, run->reference_us, manifest, json_array());
    result = output_write_json(NULL, output, ret_err);
    json_decref(output);
    return result;
}

static int run_nowcast(int argc, char **argv) {
    struct nowcast run = {.request = {.leads = 12, .seed = 1, .threads = 1}};
    struct request *request = &run.request;
    const struct args_option options[] = {
        {"in", ARGS_LIST, &request->in, true, 0, 0, "FRAMES.nc ...",
         "radar frames, in one or more files of the same grid, in any order"},
        {"at", ARGS_TEXT, &request->at, false, 0, 0, "TIME",
         "reference time, UTC; frames after it are not read; default: the newest frame"},
        {"leads", ARGS_INT, &request->leads, false, 1, LEADS_MAX, "N",
         "time steps ahead; default 12"},
        {"members", ARGS_INT, &request->members, false, 1, ENSEMBLE_MEMBERS_MAX, "M",
         "a STEPS ensemble of M members instead of one forecast"},
        {"seed", ARGS_INT, &request->seed, false, 0, 9007199254740992.0, "S",
         "of the ensemble; default 1"},
        {"out", ARGS_TEXT, &request->out, true, 0, 0, "FORECAST.nc", "the forecast"},
        {"motion-out", ARGS_TEXT, &request->motion_out, false, 0, 0, "FILE.nc",
         "the motion, motion_x and motion_y in m s-1 along the axes of the grid"},
        {"motion-in", ARGS_TEXT, &request->motion_in, false, 0, 0, "FILE.nc",
         "motion of an earlier run: smooths what is tracked; used where nothing is"},
        {"wind", ARGS_TEXT, &request->wind, false, 0, 0, "FILE",
         "eastward_wind and northward_wind (NetCDF or GRIB2), used where no rain was tracked"},
        {"product", ARGS_TEXT, &request->product, false, 0, 0, "ID",
         "prints an object with that product and the manifest of the run on stdout"},
        {"variable", ARGS_TEXT, &request->variable, false, 0, 0, "NAME",
         "rain rate in FRAMES.nc; default rainfall_rate, by name or standard name"},
        {"step", ARGS_INT, &request->step_s, false, 1, 86400, "S",
         "time step, s; default: the median interval of the frames"},
        {"threads", ARGS_INT, &request->threads, false, 1, PARALLEL_THREADS_MAX, "N",
         "default 1; the result has the same bits with any number"},
        {.name = NULL},
    };
    int parsed = args_parse(argc, argv, options, about);
    if (parsed != MODEL_DONE) {
        return parsed == ARGS_HELPED ? MODEL_DONE : parsed;
    }
    struct err err = {0};
    int result = read_frames(&run, &err);
    int code = result == ERR_OK ? MODEL_DONE : failed(&err);
    if (result == ERR_OK && (result = find_motion(&run, &err)) != ERR_OK) {
        code = failed(&err);
    }
    if (result == ERR_OK && request->motion_out != NULL &&
        (result = write_motion(&run, &err)) != ERR_OK) {
        (void)failed(&err);
        code = MODEL_FAILED;
    }
    if (result == ERR_OK && (result = write_forecast(&run, &err)) != ERR_OK) {
        (void)failed(&err);
        code = MODEL_FAILED;
    }
    if (result == ERR_OK && request->product != NULL &&
        (result = print_object(&run, &err)) != ERR_OK) {
        (void)failed(&err);
        code = MODEL_FAILED;
    }
    outlook_finish(&run.outlook);
    amounts_destroy(run.amounts);
    frames_finish(&run.frames);
    return code;
}

const struct model model_nowcast = {
    "nowcast", "rain of the next hours from radar frames (motion, extrapolation)", run_nowcast};
