#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/text.h"
#include "models/nowcast/advect.h"
#include "models/nowcast/ensemble.h"
#include "models/nowcast/fade.h"
#include "models/nowcast/frames.h"
#include "models/nowcast/motion.h"
#include "models/nowcast/nowcast.h"
#include "models/nowcast/parallel.h"
#include "models/nowcast/refresh.h"
#include "models/nowcast/score.h"
#include "models/table/args.h"
#include "models/table/table.h"

enum { LEADS_MAX = 200, MEMBERS_MAX = 100, MOTION_FRAMES = 3, US_PER_S = 1000000 };

/* An ensemble is scored on every second pixel in both directions, so that all its members fit. */
enum { THINNING = 2 };

static const char about[] =
    "Forecasts from many frames of a sequence and scores each lead against the frame that came.\n"
    "Scores are pooled over the starts. Systems: persistence (the newest frame stays), "
    "extrapolation\n"
    "(as model nowcast), sprog (with --sprog) and ensemble (with --members; every second pixel in\n"
    "both directions). All systems are scored on the same pixels: observed, and reached by the\n"
    "extrapolation; where another system has no value there, it counts as dry.\n"
    "Output: CSV with one row per system, lead and threshold; an empty field: nothing to score.\n";

/* As score_threshold_mm_h, in the decimals that a person writes. */
static const double threshold_mm_h[SCORE_THRESHOLDS] = {0.1, 1.0, 5.0};

enum system { PERSISTENCE, EXTRAPOLATION, SPROG, ENSEMBLE, SYSTEMS };

static const char *const system_name[SYSTEMS] = {"persistence", "extrapolation", "sprog",
                                                 "ensemble"};

struct hindcast {
    struct args_list in;
    const char *out;
    const char *variable;
    const char *first;
    const char *last;
    int64_t every;
    int64_t leads;
    int64_t members;
    int64_t seed;
    int64_t step_s;
    int64_t threads;
    bool sprog;
    struct frames frames;
    size_t pixels;
    size_t thinned;  /* pixels of an ensemble that are scored */
    float *forecast; /* of one lead */
    float *observed;
    float *other;         /* another system, on the pixels of the forecast */
    float *sprog_fields;  /* [lead][pixel] */
    float *member_values; /* [member][lead][thinned pixel] */
    struct score *scores; /* [system][lead] */
    int *starts;          /* [lead]: forecasts that met an observation */
    size_t alone;         /* starts without a second frame for an ensemble: of no system */
};

static struct score *score_of(struct hindcast *run, enum system system, int64_t lead) {
    return &run->scores[(size_t)system * (size_t)run->leads + (size_t)lead];
}

/* ---- one start ---- */

static int keep_sprog(void *context, int member, int lead, const float *rate) {
    struct hindcast *run = context;
    float *to = run->sprog_fields + (size_t)lead * run->pixels;
    (void)member;
    for (size_t i = 0; i < run->pixels; i++) {
        to[i] = rate[i];
    }
    return ERR_OK;
}

static int keep_member(void *context, int member, int lead, const float *rate) {
    struct hindcast *run = context;
    float *to =
        run->member_values + ((size_t)member * (size_t)run->leads + (size_t)lead) * run->thinned;
    for (int y = 0; y < run->frames.ny; y += THINNING) {
        for (int x = 0; x < run->frames.nx; x += THINNING) {
            *to++ = rate[(size_t)y * (size_t)run->frames.nx + (size_t)x];
        }
    }
    return ERR_OK;
}

static int run_ensembles(struct hindcast *run, const struct motion_input *input,
                         const struct motion *motion) {
    struct ensemble *ensemble = NULL;
    struct ensemble_input about_rain = {input, motion, frames_pixel_km(&run->frames),
                                        (double)run->frames.step_us / US_PER_S / 60.0};
    struct ensemble_run about_run = {.leads = (int)run->leads,
                                     .threads = (int)run->threads,
                                     .seed = (uint64_t)run->seed,
                                     .context = run};
    int result = ensemble_create(&about_rain, &ensemble);
    if (result == ERR_OK && run->sprog) {
        about_run.take = keep_sprog;
        result = ensemble_run(ensemble, &about_run);
    }
    if (result == ERR_OK && run->members > 0) {
        about_run.members = (int)run->members;
        about_run.take = keep_member;
        result = ensemble_run(ensemble, &about_run);
    }
    ensemble_destroy(ensemble);
    return result;
}

/* Scores a system on the pixels that the extrapolation reached. */
static int score_other(struct hindcast *run, enum system system, int64_t lead, const float *field) {
    for (size_t i = 0; i < run->pixels; i++) {
        float value = isnan(field[i]) ? 0.0F : field[i];
        run->other[i] = isnan(run->forecast[i]) ? NAN : value;
    }
    return score_add(score_of(run, system, lead), run->other, run->observed, run->frames.nx,
                     run->frames.ny, frames_pixel_km(&run->frames));
}

static void score_members(struct hindcast *run, int64_t lead) {
    float values[MEMBERS_MAX];
    size_t thin = 0;
    for (int y = 0; y < run->frames.ny; y += THINNING) {
        for (int x = 0; x < run->frames.nx; x += THINNING, thin++) {
            size_t i = (size_t)y * (size_t)run->frames.nx + (size_t)x;
            if (isnan(run->forecast[i])) {
                continue;
            }
            for (int64_t m = 0; m < run->members; m++) {
                float value = run->member_values[((size_t)m * (size_t)run->leads + (size_t)lead) *
                                                     run->thinned +
                                                 thin];
                values[m] = isnan(value) ? 0.0F : value;
            }
            score_add_ensemble(score_of(run, ENSEMBLE, lead), values, (int)run->members,
                               run->observed[i]);
        }
    }
}

/* The frame of a time, within a second; count when there is none. */
static size_t frame_of(const struct frames *frames, int64_t utc_us) {
    size_t i = 0;
    while (i < frames->count && llabs(frames->utc_us[i] - utc_us) > US_PER_S) {
        i++;
    }
    return i;
}

static int score_leads(struct hindcast *run, size_t newest, const struct motion_input *input,
                       const struct motion *motion, struct err *ret_err) {
    const float *rate = input->frame[input->count - 1];
    double step_min = (double)run->frames.step_us / US_PER_S / 60.0;
    struct displacement displacement;
    struct refresh refresh = {0};
    struct fade *fade = NULL;
    int result = displacement_init(motion, &displacement);
    if (result != ERR_OK) {
        return result;
    }
    result = fade_create(input, motion, frames_pixel_km(&run->frames), step_min, &fade);
    if (result != ERR_OK) {
        displacement_finish(&displacement);
        return result;
    }
    result = refresh_read(&run->frames, newest, rate, &refresh, ret_err);
    for (int64_t lead = 0; lead < run->leads && result == ERR_OK; lead++) {
        size_t valid;
        size_t then =
            frame_of(&run->frames, run->frames.utc_us[newest] + (lead + 1) * run->frames.step_us);
        displacement_advance(&displacement, motion, 1.0F, (int)run->threads);
        if (then == run->frames.count) {
            continue; /* no observation */
        }
        result = frames_read(&run->frames, then, run->observed, &valid, ret_err);
        if (result != ERR_OK) {
            break;
        }
        fade_field(fade, &displacement, (double)(lead + 1) * step_min, (int)run->threads,
                   run->forecast);
        refresh_apply(&refresh, &displacement, rate, (int)lead + 1, run->forecast);
        run->starts[lead]++;
        result = score_add(score_of(run, EXTRAPOLATION, lead), run->forecast, run->observed,
                           run->frames.nx, run->frames.ny, frames_pixel_km(&run->frames));
        if (result == ERR_OK) {
            result = score_other(run, PERSISTENCE, lead, rate);
        }
        if (result == ERR_OK && run->sprog) {
            result = score_other(run, SPROG, lead, run->sprog_fields + (size_t)lead * run->pixels);
        }
        if (run->members > 0) {
            score_members(run, lead);
        }
    }
    fade_destroy(fade);
    refresh_finish(&refresh);
    displacement_finish(&displacement);
    return result;
}

static int run_start(struct hindcast *run, size_t newest, struct err *ret_err) {
    struct frames_pick pick = {0};
    struct motion motion = {0};
    int result = frames_pick(&run->frames, newest, MOTION_FRAMES, &pick, ret_err);
    if (result == ERR_OK && pick.count < 2 && (run->sprog || run->members > 0)) {
        run->alone++; /* all systems are scored on the same starts */
        frames_pick_finish(&pick);
        return ERR_OK;
    }
    struct motion_input input = {.nx = run->frames.nx,
                                 .ny = run->frames.ny,
                                 .count = pick.count,
                                 .speed_px_max = frames_speed_px_max(&run->frames),
                                 .threads = (int)run->threads};
    for (int i = 0; i < pick.count; i++) {
        input.frame[i] = pick.rate[i];
        input.step_of_frame[i] = pick.step_of_frame[i];
    }
    if (result == ERR_OK) {
        result = motion_estimate(&input, &motion);
    }
    if (result == ERR_OK && (run->sprog || run->members > 0)) {
        result = run_ensembles(run, &input, &motion);
    }
    if (result == ERR_OK) {
        result = score_leads(run, newest, &input, &motion, ret_err);
    }
    motion_finish(&motion);
    frames_pick_finish(&pick);
    return result;
}

/* ---- all starts ---- */

static int find_range(const struct hindcast *run, size_t *ret_first, size_t *ret_last,
                      struct err *ret_err) {
    size_t first = MOTION_FRAMES - 1 < run->frames.count ? MOTION_FRAMES - 1 : 0;
    size_t last = run->frames.count >= 2 ? run->frames.count - 2 : 0;
    const char *const texts[] = {run->first, run->last};
    size_t *const places[] = {&first, &last};
    for (int k = 0; k < 2; k++) {
        int64_t utc_us;
        if (texts[k] == NULL) {
            continue;
        }
        if (text_parse_time(texts[k], &utc_us) != ERR_OK) {
            return err_set(ret_err, ERR_SYNTAX,
                           "expected a time such as 2016-09-28T15:25:00Z, got '%s'", texts[k]);
        }
        *places[k] = frame_of(&run->frames, utc_us);
        if (*places[k] == run->frames.count) {
            return err_set(ret_err, ERR_NOT_FOUND, "%s: no frame of %s", run->frames.name,
                           texts[k]);
        }
    }
    if (first > last) {
        return err_set(ret_err, ERR_INVALID, "%s: the first start lies after the last",
                       run->frames.name);
    }
    *ret_first = first;
    *ret_last = last;
    return ERR_OK;
}

static int allocate(struct hindcast *run, struct err *ret_err) {
    size_t leads = (size_t)run->leads;
    run->pixels = (size_t)run->frames.nx * (size_t)run->frames.ny;
    run->thinned = (size_t)((run->frames.nx + THINNING - 1) / THINNING) *
                   (size_t)((run->frames.ny + THINNING - 1) / THINNING);
    run->forecast = malloc(run->pixels * sizeof *run->forecast);
    run->observed = malloc(run->pixels * sizeof *run->observed);
    run->other = malloc(run->pixels * sizeof *run->other);
    run->scores = calloc(SYSTEMS * leads, sizeof *run->scores);
    run->starts = calloc(leads, sizeof *run->starts);
    size_t sprog = run->sprog ? leads * run->pixels : 1;
    size_t members = run->members > 0 ? (size_t)run->members * leads * run->thinned : 1;
    run->sprog_fields = malloc(sprog * sizeof *run->sprog_fields);
    run->member_values = malloc(members * sizeof *run->member_values);
    if (run->forecast == NULL || run->observed == NULL || run->other == NULL ||
        run->scores == NULL || run->starts == NULL || run->sprog_fields == NULL ||
        run->member_values == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the fields");
    }
    return ERR_OK;
}

static void release(struct hindcast *run) {
    free(run->forecast);
    free(run->observed);
    free(run->other);
    free(run->scores);
    free(run->starts);
    free(run->sprog_fields);
    free(run->member_values);
    frames_finish(&run->frames);
}

/* ---- the table ---- */

/* Counts, minutes and thresholds without an exponent. */
static void write_plain(struct table_out *out, double value) {
    char text[32];
    (void)snprintf(text, sizeof text, "%.15g", value);
    table_out_text(out, text);
}

static void write_row(struct hindcast *run, struct table_out *out, enum system system, int64_t lead,
                      int t) {
    const struct score *score = score_of(run, system, lead);
    bool is_ensemble = system == ENSEMBLE;
    double lead_min = (double)(lead + 1) * (double)run->frames.step_us / US_PER_S / 60.0;
    table_out_text(out, system_name[system]);
    write_plain(out, lead_min);
    write_plain(out, threshold_mm_h[t]);
    write_plain(out, run->starts[lead]);
    write_plain(out, (double)(is_ensemble ? score->ensemble_pixels : score->pixels));
    table_out_number(out, score_csi(score, t));
    table_out_number(out, score_pod(score, t));
    table_out_number(out, score_far(score, t));
    for (int s = 0; s < SCORE_SCALES; s++) {
        table_out_number(out, is_ensemble ? (double)NAN : score_fss(score, t, s));
    }
    table_out_number(out, score_mae(score));
    table_out_number(out, score_crps(score));
    table_out_number(out, score_brier(score, t));
    table_out_number(out, score_reliability(score, t));
    table_out_number(out, score_roc_area(score, t));
    table_out_end_row(out);
}

static int write_table(struct hindcast *run, struct err *ret_err) {
    static const char *const columns[] = {
        "system",    "lead_min", "threshold_mm_h", "starts",   "pixels",   "csi",
        "pod",       "far",      "fss_5km",        "fss_10km", "fss_20km", "mae_mm_h",
        "crps_mm_h", "brier",    "reliability",    "roc_area"};
    struct table_out out;
    int result = table_out_open(&out, run->out, ret_err);
    if (result != ERR_OK) {
        return result;
    }
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        table_out_text(&out, columns[i]);
    }
    table_out_end_row(&out);
    for (enum system system = PERSISTENCE; system < SYSTEMS; system++) {
        if ((system == SPROG && !run->sprog) || (system == ENSEMBLE && run->members == 0)) {
            continue;
        }
        for (int64_t lead = 0; lead < run->leads; lead++) {
            for (int t = 0; t < SCORE_THRESHOLDS; t++) {
                write_row(run, &out, system, lead, t);
            }
        }
    }
    return table_out_close(&out, true, ret_err);
}

static void tell_progress(size_t done, size_t total) {
    enum { WIDTH = 40 };
    char bar[WIDTH + 1] = {0};
    for (size_t i = 0; i < WIDTH; i++) {
        bar[i] = i * total < done * WIDTH ? '#' : '.';
    }
    fprintf(stderr, "\rcanhbao-model hindcast: [%s] %zu of %zu starts%s", bar, done, total,
            done == total ? "\n" : "");
}

static int score_sequence(struct hindcast *run, struct err *ret_err) {
    size_t first = 0;
    size_t last = 0;
    int result = frames_open(run->in.words, run->in.count, run->variable, run->step_s, &run->frames,
                             ret_err);
    if (result == ERR_OK) {
        result = find_range(run, &first, &last, ret_err);
    }
    if (result == ERR_OK) {
        result = allocate(run, ret_err);
    }
    if (result != ERR_OK) {
        return result;
    }
    size_t every = (size_t)run->every;
    size_t total = (last - first) / every + 1;
    for (size_t i = 0; i < total && result == ERR_OK; i++) {
        result = run_start(run, first + i * every, ret_err);
        tell_progress(i + 1, total);
    }
    if (result == ERR_OK && run->alone == total) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "%s: --members and --sprog need two frames with rain rates, close to one "
                       "another; no start has them",
                       run->frames.name);
    }
    if (result == ERR_OK && run->alone > 0) {
        fprintf(stderr,
                "canhbao-model hindcast: warning: %zu of %zu starts left out: they have no second "
                "frame close by\n",
                run->alone, total);
    }
    if (result != ERR_OK && ret_err->code == ERR_OK) {
        (void)err_set(ret_err, result, "%s: cannot make a forecast: %s", run->frames.name,
                      err_name(result));
    }
    return result;
}

static int run_hindcast(int argc, char **argv) {
    struct hindcast run = {.leads = 18, .every = 1, .seed = 1, .threads = 1};
    const struct args_option options[] = {
        {"in", ARGS_LIST, &run.in, true, 0, 0, "FRAMES.nc ...",
         "radar frames, in one or more files of the same grid, in any order"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "SCORES.csv", "the table; - for stdout"},
        {"leads", ARGS_INT, &run.leads, false, 1, LEADS_MAX, "N", "time steps ahead; default 18"},
        {"first", ARGS_TEXT, &run.first, false, 0, 0, "TIME",
         "first start; default the third frame"},
        {"last", ARGS_TEXT, &run.last, false, 0, 0, "TIME", "last start; default the last but one"},
        {"every", ARGS_INT, &run.every, false, 1, 10000, "K",
         "frames from start to start; default 1"},
        {"sprog", ARGS_SWITCH, &run.sprog, false, 0, 0, NULL, "score S-PROG too"},
        {"members", ARGS_INT, &run.members, false, 2, MEMBERS_MAX, "M", "score an ensemble too"},
        {"seed", ARGS_INT, &run.seed, false, 0, 9007199254740992.0, "S",
         "of the ensemble; default 1"},
        {"variable", ARGS_TEXT, &run.variable, false, 0, 0, "NAME",
         "rain rate; default rainfall_rate"},
        {"step", ARGS_INT, &run.step_s, false, 1, 86400, "S",
         "time step, s; default from the frames"},
        {"threads", ARGS_INT, &run.threads, false, 1, PARALLEL_THREADS_MAX, "N", "default 1"},
        {.name = NULL},
    };
    int parsed = args_parse(argc, argv, options, about);
    if (parsed != MODEL_DONE) {
        return parsed == ARGS_HELPED ? MODEL_DONE : parsed;
    }
    struct err err = {0};
    int code = MODEL_DONE;
    int result = score_sequence(&run, &err);
    if (result != ERR_OK) {
        code = result == ERR_MEMORY ? MODEL_FAILED : MODEL_REFUSED;
    } else if (write_table(&run, &err) != ERR_OK) {
        code = MODEL_FAILED;
    }
    if (code != MODEL_DONE) {
        fprintf(stderr, "canhbao-model hindcast: %s\n", err.text);
    }
    release(&run);
    return code;
}

const struct model model_hindcast = {
    "hindcast", "score nowcasts over a sequence of radar frames, as a table", run_hindcast};
