#include "models/hydrology/calibrate.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "models/hydrology/gr_series.h"
#include "models/hydrology/skill.h"

struct job {
    const struct calibrate_data *data;
    const struct calibrate_options *options;
    double *simulated; /* [thread][SEARCH_BATCH][count] */
    int gaps;
    struct room {
        struct gr gr[SEARCH_BATCH];
        struct gr_state state[SEARCH_BATCH];
    } * rooms; /* [thread] */
};

double calibrate_score(enum calibrate_objective objective, const double *observed,
                       const double *simulated, size_t count) {
    if (objective == CALIBRATE_NSE) {
        return skill_nse(observed, simulated, count);
    }
    if (objective == CALIBRATE_KGE) {
        return skill_kge(observed, simulated, count);
    }
    double sum = 0, n = 0, error = 0, variance = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isnan(observed[i]) && !isnan(simulated[i])) {
            sum += observed[i];
            n += 1;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!isnan(observed[i]) && !isnan(simulated[i])) {
            double e = observed[i] - simulated[i], d = observed[i] - sum / n;
            double weight = 1 + observed[i] / (sum / n);
            error += weight * e * e;
            variance += weight * d * d;
        }
    }
    return variance > 0 && sum > 0 ? 1 - error / variance : NAN;
}

static int has_gaps(const struct calibrate_data *data) {
    for (size_t i = 0; i < data->count; i++) {
        if (isnan(data->rain_mm[i]) || isnan(data->evaporation_mm[i])) {
            return 1;
        }
    }
    return 0;
}

static void simulate(const struct calibrate_data *data, int gaps, const struct gr *gr, size_t count,
                     double *ret_simulated_mm) {
    if (!gaps) {
        struct gr_state state;
        gr_state_start(gr, &state);
        gr_run(gr, &state, data->rain_mm, data->evaporation_mm, count, ret_simulated_mm);
        return;
    }
    struct gr_series series;
    struct gr_balance balance = {0};
    gr_series_start(gr, &series);
    for (size_t i = 0; i < count; i++) {
        enum gr_mark mark = gr_series_step(gr, &series, data->rain_mm[i], data->evaporation_mm[i],
                                           &balance, &ret_simulated_mm[i], NULL);
        if (mark != GR_OK) {
            ret_simulated_mm[i] = NAN;
        }
    }
}

/* The search moves in ln X1, asinh X2, ln X3, ln X4. */
static struct gr_parameters from_point(const double *x) {
    return (struct gr_parameters){exp(x[0]), sinh(x[1]), exp(x[2]), exp(x[3])};
}

/* Without gaps the points of a batch run side by side. */
static void score_points(void *context, int part, const double *const *points, int count,
                         double *ret_scores) {
    const struct job *job = context;
    const struct calibrate_data *data = job->data;
    size_t from = job->options->from, to = job->options->to, runs = 0;
    struct room *room = &job->rooms[part];
    double *simulated = job->simulated + (size_t)part * SEARCH_BATCH * data->count;
    struct gr_job jobs[SEARCH_BATCH] = {{.gr = NULL}};
    bool possible[SEARCH_BATCH];
    for (int i = 0; i < count; i++) {
        struct gr_parameters parameters = from_point(points[i]);
        double *out = simulated + (size_t)i * data->count;
        possible[i] = gr_init(&room->gr[i], data->step, &parameters, false, NULL) == 0;
        if (possible[i] && job->gaps) {
            simulate(data, job->gaps, &room->gr[i], to, out);
        } else if (possible[i]) {
            gr_state_start(&room->gr[i], &room->state[i]);
            jobs[runs++] = (struct gr_job){&room->gr[i], &room->state[i], data->rain_mm,
                                           data->evaporation_mm, out};
        }
    }
    gr_run_many(jobs, runs, to);
    for (int i = 0; i < count; i++) {
        ret_scores[i] = possible[i]
                            ? calibrate_score(job->options->objective, data->observed_mm + from,
                                              simulated + (size_t)i * data->count + from, to - from)
                            : (double)NAN;
    }
}

static void pass_progress(void *context, int restart, int generation, double best) {
    const struct job *job = context;
    job->options->progress(job->options->context, restart, generation, best);
}

int calibrate_gr(const struct calibrate_data *data, const struct calibrate_options *options,
                 struct gr_parameters *ret_parameters, struct search_result *ret_result,
                 struct err *ret_err) {
    double x4_low = log(0.5), x4_high = log(data->step == GR_DAILY ? 15 : 240);
    struct job job = {.data = data, .options = options, .gaps = has_gaps(data)};
    struct search search = {
        .dimensions = 4,
        .low = {log(10), asinh(data->step == GR_DAILY ? -15 : -5), log(2), x4_low},
        .high = {log(5000), asinh(data->step == GR_DAILY ? 15 : 5), log(2000), x4_high},
        .generations = 80,
        .restarts = options->restarts,
        .threads = options->threads,
        .seed = options->seed,
        .score = score_points,
        .progress = options->progress == NULL ? NULL : pass_progress,
        .context = &job,
    };
    size_t pairs = 0;
    if (options->from >= options->to || options->to > data->count || options->threads < 1) {
        return err_set(ret_err, ERR_RANGE, "steps %zu to %zu of %zu", options->from, options->to,
                       data->count);
    }
    job.simulated = calloc((size_t)options->threads * SEARCH_BATCH * data->count, sizeof(double));
    job.rooms = calloc((size_t)options->threads, sizeof *job.rooms);
    if (job.simulated == NULL || job.rooms == NULL) {
        free(job.simulated);
        free(job.rooms);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu steps", data->count);
    }
    const struct gr_parameters usual = {350, 0, 90, data->step == GR_DAILY ? 2 : 12};
    calibrate_simulate(data, &usual, job.simulated);
    for (size_t i = options->from; i < options->to; i++) {
        pairs += isnan(data->observed_mm[i]) || isnan(job.simulated[i]) ? 0 : 1;
    }
    double first = calibrate_score(options->objective, data->observed_mm + options->from,
                                   job.simulated + options->from, options->to - options->from);
    if (pairs < CALIBRATE_PAIRS_MIN || isnan(first)) {
        free(job.simulated);
        free(job.rooms);
        return err_set(ret_err, ERR_INVALID,
                       "%zu steps with observed and simulated runoff (at least %d are needed), or "
                       "an observed runoff that does not vary",
                       pairs, CALIBRATE_PAIRS_MIN);
    }
    search_run(&search, ret_result);
    *ret_parameters = from_point(ret_result->best);
    free(job.simulated);
    free(job.rooms);
    return 0;
}

void calibrate_simulate(const struct calibrate_data *data, const struct gr_parameters *parameters,
                        double *ret_simulated_mm) {
    struct gr gr;
    if (gr_init(&gr, data->step, parameters, false, NULL) != 0) {
        for (size_t i = 0; i < data->count; i++) {
            ret_simulated_mm[i] = NAN;
        }
        return;
    }
    simulate(data, has_gaps(data), &gr, data->count, ret_simulated_mm);
}
