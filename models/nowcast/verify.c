#include "models/nowcast/verify.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/station/skill.h"
#include "models/nowcast/frames.h"
#include "models/nowcast/score.h"
#include "models/output/output.h"
#include "models/table/args.h"

enum {
    PAIRS_MAX = 16384,
    PAIRS_NEW_MAX = 2000, /* of one run: the daemon takes 20,000 scores, a pair has eight */
    FSS_SCALE = 1,
    THINNING = 2,
    LEAD_S_MAX = 10 * 86400
};

static const char about[] =
    "Scores forecasts of rain on a grid against the frames that came, for the daemon to pool.\n"
    "\n"
    "--observed  CF NetCDF frames of a rain rate, as `nowcast` reads them\n"
    "--forecast  what `nowcast` wrote, without members: rainfall_rate over (lead_time, y, x)\n"
    "--ensemble  what `nowcast --members` wrote\n"
    "--previous  output of the run before: what it has scored is not scored again. A forecast or "
    "a\n"
    "            frame that came late is scored when it is there, and marked.\n"
    "\n"
    "Every forecast of a frame is compared with it and with persistence (the frame of the\n"
    "forecast's reference time stays) on the same pixels: observed and forecast; where "
    "persistence\n"
    "has no value there, it counts as dry. Thresholds 0.1, 1 and 5 mm h-1; FSS in boxes of 10 km;\n"
    "of ensembles CRPS, Brier score and reliability on every second pixel in both directions.\n"
    "Output: JSON with model, product, reference_time, manifest, results (empty), scored_until,\n"
    "and scores: [{product, system, place, variable, unit, lead_s, threshold, valid_time, sums, "
    "late}];\n"
    "scored: what counts as scored for the next run; left_out: files on another grid than that of "
    "the\n"
    "newest frame, which are not scored.\n";

/* A forecast of one time that was scored: none is scored twice. */
struct pair {
    int64_t valid_us, lead_us;
    bool ensemble;
    bool kept; /* its forecast is among those of this run */
};

struct verify {
    struct args_list observed, forecasts, ensembles;
    const char *of, *product, *previous, *out;

    struct frames frames;
    size_t pixels;
    float *rate, *forecast, *persistence; /* [pixels] each */
    float *members;                       /* [members_room] */
    size_t members_room;
    int64_t after_us; /* newest frame of the run before; INT64_MIN: there was none */
    struct pair pairs[PAIRS_MAX];
    size_t pair_count;
    size_t new_count; /* of them, those of this run */
    size_t left;      /* more than a run may have; for the next one */
    json_t *scores;
    json_t *left_out; /* names of files on another grid than the newest frame */
};

/* ---- writing of scores ---- */

static void put_sum(json_t *sums, enum skill_sum which, double value) {
    char name[40];
    skill_sum_name(which, name, sizeof name);
    (void)json_object_set_new(sums, name, json_real(value)); /* a failure shows as a missing sum */
}

static int put_score(struct verify *run, const char *system, int64_t valid_us, int64_t lead_us,
                     int threshold, json_t *sums) {
    char valid[40];
    char limit[40];
    text_format_time(valid_us, valid, sizeof valid);
    if (threshold >= 0) { /* 0.1 and not the binary32 number next to it */
        (void)snprintf(limit, sizeof limit, "%.3g", (double)score_threshold_mm_h[threshold]);
    }
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:s, s:o}", "product", run->of,
                             "system", system, "place", "", "variable", "rainfall_rate", "unit",
                             "mm h-1", "lead_s", (json_int_t)(lead_us / 1000000), "threshold",
                             threshold >= 0 ? json_real(strtod(limit, NULL)) : json_null(),
                             "valid_time", valid, "sums", sums);
    if (json != NULL && valid_us <= run->after_us &&
        json_object_set_new(json, "late", json_true()) != 0) {
        json_decref(json);
        json = NULL;
    }
    return json != NULL && json_array_append_new(run->scores, json) == 0 ? 0 : ERR_MEMORY;
}

/* `reference`: of persistence on the same pixels; NULL: there is none. */
static int put_field(struct verify *run, const char *system, int64_t valid_us, int64_t lead_us,
                     const struct score *score, double error_sum, const struct score *reference) {
    double n = (double)score->pixels;
    json_t *sums = json_object();
    put_sum(sums, SKILL_N, n);
    put_sum(sums, SKILL_ERROR, error_sum);
    put_sum(sums, SKILL_ABSOLUTE_ERROR, score->abs_error_sum);
    if (reference != NULL) {
        put_sum(sums, SKILL_PAIRED_ABSOLUTE_ERROR, score->abs_error_sum);
        put_sum(sums, SKILL_REFERENCE_ABSOLUTE_ERROR, reference->abs_error_sum);
    }
    int result = put_score(run, system, valid_us, lead_us, -1, sums);
    for (int t = 0; t < SCORE_THRESHOLDS && result == 0; t++) {
        double hits = (double)score->hits[t];
        double misses = (double)score->misses[t];
        double false_alarms = (double)score->false_alarms[t];
        sums = json_object();
        put_sum(sums, SKILL_N, n);
        put_sum(sums, SKILL_HITS, hits);
        put_sum(sums, SKILL_MISSES, misses);
        put_sum(sums, SKILL_FALSE_ALARMS, false_alarms);
        put_sum(sums, SKILL_CORRECT_NEGATIVES, n - hits - misses - false_alarms);
        put_sum(sums, SKILL_FSS_NUMERATOR, score->fss_difference[t][FSS_SCALE]);
        put_sum(sums, SKILL_FSS_DENOMINATOR, score->fss_reference[t][FSS_SCALE]);
        result = put_score(run, system, valid_us, lead_us, t, sums);
    }
    return result;
}

static int put_ensemble(struct verify *run, int64_t valid_us, int64_t lead_us,
                        const struct score *score) {
    double n = (double)score->ensemble_pixels;
    json_t *sums = json_object();
    put_sum(sums, SKILL_CRPS, score->crps_sum);
    put_sum(sums, SKILL_CRPS_N, n);
    int result = put_score(run, "ensemble", valid_us, lead_us, -1, sums);
    for (int t = 0; t < SCORE_THRESHOLDS && result == 0; t++) {
        sums = json_object();
        put_sum(sums, SKILL_BRIER, score->brier_sum[t]);
        put_sum(sums, SKILL_BRIER_N, n);
        for (int i = 0; i < SKILL_BINS; i++) {
            put_sum(sums, (enum skill_sum)(SKILL_RELIABILITY_N + i),
                    (double)score->bin_forecasts[t][i]);
            put_sum(sums, (enum skill_sum)(SKILL_RELIABILITY_OBSERVED + i),
                    (double)score->bin_events[t][i]);
        }
        result = put_score(run, "ensemble", valid_us, lead_us, t, sums);
    }
    return result;
}

/* ---- scoring ---- */

/* The frame of exactly that time; false when there is none. */
static bool find_frame(const struct verify *run, int64_t utc_us, size_t *ret_index) {
    for (size_t i = 0; i < run->frames.count; i++) {
        if (run->frames.utc_us[i] == utc_us) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

/* Whether it was scored before, which keeps it so for the next run. */
static bool was_scored(struct verify *run, int64_t valid_us, int64_t lead_us, bool ensemble) {
    for (size_t i = 0; i < run->pair_count; i++) {
        struct pair *pair = &run->pairs[i];
        if (pair->valid_us == valid_us && pair->lead_us == lead_us && pair->ensemble == ensemble) {
            pair->kept = true;
            return true;
        }
    }
    return false;
}

/* false: not in this run. */
static bool add_pair(struct verify *run, int64_t valid_us, int64_t lead_us, bool ensemble) {
    if (run->pair_count == PAIRS_MAX || run->new_count >= PAIRS_NEW_MAX) {
        run->left++;
        return false;
    }
    run->new_count++;
    run->pairs[run->pair_count++] = (struct pair){valid_us, lead_us, ensemble, true};
    return true;
}

/* Adds one field; returns the sum of forecast - observed through ret_error_sum. */
static int add_field(struct verify *run, const float *field, struct score *score,
                     double *ret_error_sum) {
    const struct frames *frames = &run->frames;
    *ret_error_sum = 0;
    for (size_t i = 0; i < run->pixels; i++) {
        if (!isnan(field[i]) && !isnan(run->rate[i])) {
            *ret_error_sum += (double)field[i] - (double)run->rate[i];
        }
    }
    return score_add(score, field, run->rate, frames->nx, frames->ny, frames_pixel_km(frames));
}

/* The frame of the reference time, where the forecast has a value; dry where it has none itself. */
static int read_persistence(struct verify *run, size_t frame, struct err *ret_err) {
    size_t valid = 0;
    int result = frames_read(&run->frames, frame, run->persistence, &valid, ret_err);
    for (size_t i = 0; result == 0 && i < run->pixels; i++) {
        if (isnan(run->forecast[i])) {
            run->persistence[i] = (float)NAN;
        } else if (isnan(run->persistence[i])) {
            run->persistence[i] = 0;
        }
    }
    return result;
}

/* One lead of a deterministic forecast; run->rate holds what fell. */
static int score_field(struct verify *run, struct ncvar *var, size_t frame, int64_t valid_us,
                       int64_t reference_us, struct err *ret_err) {
    int64_t lead_us = valid_us - reference_us;
    struct score forecast = {0};
    struct score persistence = {0};
    double error_sum = 0;
    double persistence_error_sum = 0;
    size_t start = 0;
    bool has_start = find_frame(run, reference_us, &start);
    int result = ncvar_read_f32(var, frame, run->forecast, ret_err);
    result = result == 0 ? add_field(run, run->forecast, &forecast, &error_sum) : result;
    if (result == 0 && has_start) {
        result = read_persistence(run, start, ret_err);
        result = result == 0
                     ? add_field(run, run->persistence, &persistence, &persistence_error_sum)
                     : result;
        result = result == 0 ? put_field(run, "persistence", valid_us, lead_us, &persistence,
                                         persistence_error_sum, NULL)
                             : result;
    }
    return result == 0 ? put_field(run, "forecast", valid_us, lead_us, &forecast, error_sum,
                                   has_start ? &persistence : NULL)
                       : result;
}

static int score_members(struct verify *run, struct ncvar *var, size_t frame, int64_t valid_us,
                         int64_t lead_us, struct err *ret_err) {
    size_t count = ncvar_member_count(var);
    struct score score = {0};
    float values[SCORE_MEMBERS_MAX];
    if (count > SCORE_MEMBERS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "more than %d members", SCORE_MEMBERS_MAX);
    }
    if (count * run->pixels > run->members_room) {
        float *more = realloc(run->members, count * run->pixels * sizeof *more);
        if (more == NULL) {
            return err_set(ret_err, ERR_MEMORY, "no memory for %zu members", count);
        }
        run->members = more;
        run->members_room = count * run->pixels;
    }
    int result = 0;
    for (size_t m = 0; m < count && result == 0; m++) {
        ncvar_set_member(var, m);
        result = ncvar_read_f32(var, frame, run->members + m * run->pixels, ret_err);
    }
    for (int y = 0; y < run->frames.ny && result == 0; y += THINNING) {
        for (int x = 0; x < run->frames.nx; x += THINNING) {
            size_t i = (size_t)y * (size_t)run->frames.nx + (size_t)x;
            for (size_t m = 0; m < count; m++) {
                values[m] = run->members[m * run->pixels + i];
            }
            if (!isnan(run->rate[i])) {
                score_add_ensemble(&score, values, (int)count, run->rate[i]);
            }
        }
    }
    return result == 0 ? put_ensemble(run, valid_us, lead_us, &score) : result;
}

/* Every frame of the forecast that has come since. Its reference time is one step before its first
 * lead. */
static int score_leads(struct verify *run, struct ncvar *var, const char *path, bool ensemble,
                       const int64_t *times_us, struct err *ret_err) {
    size_t count = ncvar_frame_count(var);
    if (count < 2) {
        return err_set(ret_err, ERR_INVALID, "%.200s: a single lead: its step is not known", path);
    }
    int64_t reference_us = 2 * times_us[0] - times_us[1];
    int result = 0;
    for (size_t f = 0; f < count && result == 0; f++) {
        size_t frame = 0;
        size_t valid = 0;
        int64_t lead_us = times_us[f] - reference_us;
        if (was_scored(run, times_us[f], lead_us, ensemble) ||
            !find_frame(run, times_us[f], &frame) ||
            !add_pair(run, times_us[f], lead_us, ensemble)) {
            continue;
        }
        result = frames_read(&run->frames, frame, run->rate, &valid, ret_err);
        if (result == 0) {
            result = ensemble ? score_members(run, var, f, times_us[f], lead_us, ret_err)
                              : score_field(run, var, f, times_us[f], reference_us, ret_err);
        }
    }
    return result;
}

/* A radar may get another grid: what is not on that of the newest frame cannot be compared. */
static int leave_out(struct verify *run, const char *path, struct err *ret_err) {
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    fprintf(stderr,
            "canhbao-model verify: warning: %.200s is left out: another grid than that of the "
            "newest frame\n",
            path);
    return json_array_append_new(run->left_out, json_string(name)) == 0
               ? 0
               : err_set(ret_err, ERR_MEMORY, "no memory for the name of %.200s", path);
}

static int check_grid(struct verify *run, struct ncvar *var, bool *ret_same, struct err *ret_err) {
    struct grid *grid = NULL;
    int result = ncvar_grid(var, &grid, ret_err);
    if (result == 0) {
        *ret_same = grid_same(grid, run->frames.grid);
    }
    grid_destroy(grid);
    return result;
}

static int score_file(struct verify *run, const char *path, bool ensemble, struct err *ret_err) {
    struct ncfile *file = NULL;
    struct ncvar *var = NULL;
    int64_t *times_us = NULL;
    int result = ncfile_open(run->frames.env, path, &file, ret_err);
    if (result == 0) {
        result = ensemble
                     ? ncvar_open_ensemble(file, "rainfall_rate", NULL, "mm h-1", &var, ret_err)
                     : ncvar_open(file, "rainfall_rate", NULL, "mm h-1", &var, ret_err);
    }
    bool same = true;
    result = result == 0 ? check_grid(run, var, &same, ret_err) : result;
    if (result == 0 && !same) {
        result = leave_out(run, path, ret_err);
    } else if (result == 0) {
        times_us = malloc(ncvar_frame_count(var) * sizeof *times_us);
        result = times_us == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for times")
                                  : ncvar_times(var, INT64_MAX, times_us, ret_err);
    }
    result =
        result == 0 && same ? score_leads(run, var, path, ensemble, times_us, ret_err) : result;
    free(times_us);
    ncvar_close(var);
    ncfile_close(file);
    return result;
}

/* ---- the whole ---- */

static int read_pair(struct verify *run, const json_t *json) {
    const char *valid = json_string_value(json_object_get(json, "valid_time"));
    const json_t *lead = json_object_get(json, "lead_s");
    const json_t *ensemble = json_object_get(json, "ensemble");
    struct pair pair = {.ensemble = json_is_true(ensemble)};
    if (valid == NULL || !json_is_integer(lead) || !json_is_boolean(ensemble) ||
        llabs(json_integer_value(lead)) > LEAD_S_MAX || run->pair_count == PAIRS_MAX ||
        text_parse_time(valid, &pair.valid_us) != 0) {
        return ERR_SYNTAX;
    }
    pair.lead_us = json_integer_value(lead) * 1000000;
    run->pairs[run->pair_count++] = pair;
    return 0;
}

/* "scored_until" and "scored" of the run before. */
static int read_previous(struct verify *run, struct err *ret_err) {
    json_error_t error;
    run->after_us = INT64_MIN;
    if (run->previous == NULL) {
        return 0;
    }
    json_t *root = json_load_file(run->previous, JSON_REJECT_DUPLICATES, &error);
    const char *text = json_string_value(json_object_get(root, "scored_until"));
    const json_t *scored = json_object_get(root, "scored");
    int result =
        text != NULL && json_is_array(scored) ? text_parse_time(text, &run->after_us) : ERR_SYNTAX;
    for (size_t i = 0; result == 0 && i < json_array_size(scored); i++) {
        result = read_pair(run, json_array_get(scored, i));
    }
    json_decref(root);
    return result == 0 ? 0
                       : err_set(ret_err, ERR_SYNTAX,
                                 "%.200s: has no 'scored_until' or 'scored'; it is no output of "
                                 "verify",
                                 run->previous);
}

static int prepare(struct verify *run, struct err *ret_err) {
    /* The step of the frames means nothing here, and a single one would not tell it. */
    const struct args_list *observed = &run->observed;
    bool taken[FRAMES_FILES_MAX];
    int result = frames_open_newest_grid(observed->words, observed->count, NULL, 60, &run->frames,
                                         taken, ret_err);
    if (result != 0) {
        return result;
    }
    run->left_out = json_array();
    for (size_t i = 0; i < observed->count && result == 0; i++) {
        result = taken[i] ? 0 : leave_out(run, observed->words[i], ret_err);
    }
    if (result != 0) {
        return result;
    }
    run->pixels = (size_t)run->frames.nx * (size_t)run->frames.ny;
    run->rate = malloc(run->pixels * sizeof *run->rate);
    run->forecast = malloc(run->pixels * sizeof *run->forecast);
    run->persistence = malloc(run->pixels * sizeof *run->persistence);
    run->scores = json_array();
    if (run->rate == NULL || run->forecast == NULL || run->persistence == NULL ||
        run->scores == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a frame");
    }
    return read_previous(run, ret_err);
}

/* What the next run need not score: pairs of forecasts that this one was given. NULL: no memory. */
static json_t *list_scored(const struct verify *run) {
    json_t *list = json_array();
    for (size_t i = 0; i < run->pair_count; i++) {
        char valid[40];
        const struct pair *pair = &run->pairs[i];
        text_format_time(pair->valid_us, valid, sizeof valid);
        if (pair->kept &&
            json_array_append_new(list, json_pack("{s:s, s:I, s:b}", "valid_time", valid, "lead_s",
                                                  (json_int_t)(pair->lead_us / 1000000), "ensemble",
                                                  pair->ensemble)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int write_output(struct verify *run, struct err *ret_err) {
    char until[40];
    int64_t newest_us = run->frames.utc_us[run->frames.count - 1];
    text_format_time(newest_us > run->after_us ? newest_us : run->after_us, until, sizeof until);
    json_t *manifest = manifest_create("verify", json_pack("{s:s}", "of", run->of));
    const struct args_list *lists[] = {&run->observed, &run->forecasts, &run->ensembles};
    int result = manifest == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a manifest") : 0;
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < lists[k]->count && result == 0; i++) {
            result = manifest_add_file(manifest, lists[k]->words[i], ret_err);
        }
    }
    if (result != 0) {
        json_decref(manifest);
        return result;
    }
    json_t *output = output_object("verify", run->product, newest_us, manifest, json_array());
    if (output != NULL && (json_object_set(output, "scores", run->scores) != 0 ||
                           json_object_set(output, "left_out", run->left_out) != 0 ||
                           json_object_set_new(output, "scored_until", json_string(until)) != 0 ||
                           json_object_set_new(output, "scored", list_scored(run)) != 0)) {
        json_decref(output);
        output = NULL;
    }
    result = output_write_json(run->out, output, ret_err);
    json_decref(output);
    return result;
}

static int score_all(struct verify *run, struct err *ret_err) {
    int result = prepare(run, ret_err);
    for (size_t i = 0; i < run->forecasts.count && result == 0; i++) {
        result = score_file(run, run->forecasts.words[i], false, ret_err);
    }
    for (size_t i = 0; i < run->ensembles.count && result == 0; i++) {
        result = score_file(run, run->ensembles.words[i], true, ret_err);
    }
    if (run->left > 0) {
        fprintf(stderr,
                "canhbao-model verify: warning: %zu forecasts of frames are left to the next "
                "run\n",
                run->left);
    }
    return result == 0 ? write_output(run, ret_err) : result;
}

static int run_verify(int argc, char **argv) {
    struct verify *run = calloc(1, sizeof *run);
    struct err err = {.code = 0};
    if (run == NULL) {
        err_set(&err, ERR_MEMORY, "no memory");
        return model_exit_of("verify", &err);
    }
    run->of = run->product = "";
    const struct args_option options[] = {
        {"observed", ARGS_LIST, &run->observed, true, 0, 0, "FRAMES.nc ...", "what fell"},
        {"forecast", ARGS_LIST, &run->forecasts, false, 0, 0, "FORECAST.nc ...", "forecasts"},
        {"ensemble", ARGS_LIST, &run->ensembles, false, 0, 0, "FORECAST.nc ...", "ensembles"},
        {"of", ARGS_TEXT, &run->of, true, 0, 0, "ID", "the product that the scores are about"},
        {"previous", ARGS_TEXT, &run->previous, false, 0, 0, "OUTPUT.json",
         "output of the run before"},
        {"product", ARGS_TEXT, &run->product, false, 0, 0, "NAME", "written into the output"},
        {"out", ARGS_TEXT, &run->out, false, 0, 0, "FILE.json", "instead of standard output"},
        {.name = NULL},
    };
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE) {
        int result = score_all(run, &err);
        if (result == ERR_MEMORY && err.code == 0) {
            err_set(&err, ERR_MEMORY, "no memory for scores");
        }
        code = result == 0 ? MODEL_DONE : model_exit_of("verify", &err);
    } else if (code == ARGS_HELPED) {
        code = MODEL_DONE;
    }
    json_decref(run->scores);
    json_decref(run->left_out);
    free(run->rate);
    free(run->forecast);
    free(run->persistence);
    free(run->members);
    frames_finish(&run->frames);
    free(run);
    return code;
}

const struct model model_verify = {"verify", "forecasts of rain on grids against what fell",
                                   run_verify};
