#include "daemon/runs.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "daemon/run_arguments.h"
#include "daemon/run_folder.h"
#include "daemon/series_export.h"
#include "daemon/station_list.h"
#include "daemon/worker.h"

enum {
    LOOK_US = 250000,   /* real time between two looks at triggers */
    RETRY_US = 5000000, /* real time between two looks for inputs that are not there */
    FUTURE_US = 60000000,
    REST_RUNS = 3, /* a product that readings trigger rests so many times as long as it ran */
    KEPT_BYTES_MAX = 1 << 30 /* of one run's folder */
};

struct run {
    struct runs *runs;
    const struct site_product *product;
    struct series_point *points;
    uint32_t *point_indexes; /* parallel, in the site */
    size_t point_count;
    char folder[RUN_FOLDER_PATH_SIZE];

    char *request; /* what is asked next; NULL: nothing */
    bool pending;
    bool gate_open;
    int64_t slot;          /* of triggers.every */
    uint64_t readings_sum; /* changes with every new reading of the points */
    bool started_any;
    struct moment started;
    struct mono_us ended;      /* of the last worker, real time */
    struct mono_us good_since; /* of the newest good data, or of the opening of the gate */
    char waiting[160];         /* what a run waits for; empty: nothing */
    struct mono_us retry_at;   /* then a waiting run looks again, real time */

    struct series_export *series;
    struct worker *worker;
    struct runs_counters counters;
};

struct runs {
    struct runs_options options;
    struct loop_timer look;
    size_t count;
    struct run *list; /* parallel to site.products; product NULL: has an inbox */
};

static void raise_condition(struct run *run, enum condition_class class, const char *text) {
    run->runs->options.on_condition(run->runs->options.ctx, class, run->product->id, true, text);
}

static void clear_condition(struct run *run, enum condition_class class) {
    run->runs->options.on_condition(run->runs->options.ctx, class, run->product->id, false, "");
}

static struct moment now_of(const struct run *run) {
    return clock_now(loop_clock(run->runs->options.loop));
}

/* ---- alarms ---- */

struct standing {
    const struct run *run;
    json_t *list; /* NULL: only counted */
    size_t count;
};

static int note_standing(void *context, const struct alarm_view *view) {
    struct standing *standing = context;
    const struct site_triggers *triggers = &standing->run->product->triggers;
    if (view->alarm->level == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < triggers->alarm_count; i++) {
        if (strcmp(triggers->alarms[i], view->rule->id) != 0) {
            continue;
        }
        standing->count++;
        if (standing->list != NULL) {
            char since[40];
            text_format_time(view->alarm->level_since.utc.us, since, sizeof since);
            (void)json_array_append_new(
                standing->list, json_pack("{s:s, s:s, s:i, s:s, s:s}", "rule", view->rule->id,
                                          "place", view->place.id, "level", (int)view->alarm->level,
                                          "scale", view->rule->scale.id, "since", since));
        }
    }
    return 0;
}

static size_t count_standing(const struct run *run, json_t *list) {
    struct standing standing = {.run = run, .list = list};
    (void)engine_visit_alarms(pipeline_engine(run->runs->options.pipeline), note_standing,
                              &standing); /* never stops early */
    return standing.count;
}

static int write_alarms(struct run *run, struct err *ret_err) {
    json_t *list = json_array();
    (void)count_standing(run, list);
    char *text = list != NULL ? json_dumps(list, JSON_INDENT(1)) : NULL;
    json_decref(list);
    if (text == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the alarms");
    }
    int result = run_folder_write(run->folder, RUN_ALARMS_FILE, text, strlen(text), ret_err);
    free(text);
    return result;
}

static int write_stations(struct run *run, struct err *ret_err) {
    char *text = station_list_text(run->runs->options.site, run->point_indexes, run->point_count);
    if (text == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the stations");
    }
    int result = run_folder_write(run->folder, RUN_STATIONS_FILE, text, strlen(text), ret_err);
    free(text);
    return result;
}

/* ---- the end of a run ---- */

static void fail(struct run *run, const char *text) {
    run->counters.failed++;
    raise_condition(run, CONDITION_WORKER_FAILED, text);
}

static void note_good(struct run *run, struct utc_us reference_time) {
    struct moment now = now_of(run);
    int64_t age_us = now.utc.us - reference_time.us;
    int64_t since_us = now.mono.us - (age_us > 0 ? age_us : 0);
    run->good_since.us = since_us > run->good_since.us ? since_us : run->good_since.us;
    if (now.mono.us - run->good_since.us <= run->product->stale_after_us) {
        clear_condition(run, CONDITION_MODEL_STALE);
    }
}

/* A run that is to start at most every min_interval may take that long. */
static void note_length(struct run *run) {
    const struct site_triggers *triggers = &run->product->triggers;
    int64_t took_us = now_of(run).mono.us - run->started.mono.us;
    int64_t period_us = run->product->period_us;
    period_us = triggers->min_interval_us > period_us ? triggers->min_interval_us : period_us;
    if (took_us > period_us) {
        char text[CONDITION_TEXT_SIZE];
        (void)snprintf(text, sizeof text,
                       "the last run took %" PRId64 " s, the period is %" PRId64 " s",
                       took_us / 1000000, period_us / 1000000);
        raise_condition(run, CONDITION_JOBS_BEHIND, text);
    } else {
        clear_condition(run, CONDITION_JOBS_BEHIND);
    }
}

static int keep(struct run *run, const struct job_output *parsed,
                const struct worker_outcome *outcome, struct err *ret_err) {
    char path[RUN_FOLDER_PATH_SIZE + sizeof RUN_SERIES_FILE + 8];
    (void)snprintf(path, sizeof path, "%s/.run/" RUN_SERIES_FILE, run->folder);
    (void)unlink(path); /* the store has it; most runs have none */
    int result = run_folder_write(run->folder, "output.json", outcome->output,
                                  outcome->output_length, ret_err);
    return result == 0 ? run_folder_keep(run->folder, parsed->reference_time, run->product->keep,
                                         KEPT_BYTES_MAX, ret_err)
                       : result;
}

static void accept(struct run *run, const struct worker_outcome *outcome) {
    struct job_output parsed = {.count = 0};
    struct err err = {.code = 0};
    struct utc_us newest = {now_of(run).utc.us + FUTURE_US};
    int result = job_output_parse(outcome->output, outcome->output_length, run->product->model,
                                  run->product->id, newest, &parsed, &err);
    result = result == 0 ? keep(run, &parsed, outcome, &err) : result;
    if (result == 0) {
        const struct jobs_run done = {.product = run->product->id,
                                      .model = run->product->model,
                                      .parsed = &parsed,
                                      .output = outcome->output,
                                      .output_length = outcome->output_length,
                                      .run_us = outcome->run_us};
        run->counters.done++;
        clear_condition(run, CONDITION_WORKER_FAILED);
        note_good(run, parsed.reference_time);
        run->runs->options.on_run(run->runs->options.ctx, &done);
    } else {
        fail(run, err.text);
    }
    job_output_finish(&parsed);
}

static void on_worker_end(void *ctx, const struct worker_outcome *outcome) {
    struct run *run = ctx;
    run->counters.running = false;
    run->counters.run_us_last = outcome->run_us;
    run->ended = clock_wire(loop_clock(run->runs->options.loop));
    note_length(run);
    if (outcome->end == WORKER_DONE) {
        accept(run, outcome);
    } else {
        fail(run, outcome->text);
    }
    run->worker = worker_destroy(run->worker);
}

/* ---- the start of a run ---- */

static int fill_command(struct run *run, struct run_words *words, struct err *ret_err) {
    const struct runs_options *options = &run->runs->options;
    const struct site_product *product = run->product;
    const struct run_places places = {.site = options->site,
                                      .site_dir = options->site_dir,
                                      .state_dir = options->state_dir,
                                      .now = run->started.utc};
    struct run_words model = {.count = 0};
    struct run_words reads = {.count = 0};
    char memory[32];
    char cpu[32];
    (void)snprintf(memory, sizeof memory, "%" PRId64, product->memory_bytes / (1024 * 1024));
    (void)snprintf(cpu, sizeof cpu, "%" PRId64, product->deadline_us / 1000000 + 1);
    int result = run_arguments_fill(&places, product, &model, &reads, ret_err);
    const char *const head[] = {options->program, "--cage",  ".", "--memory-mb",
                                memory,           "--cpu-s", cpu, NULL};
    for (size_t i = 0; result == 0 && head[i] != NULL; i++) {
        result = run_words_add(words, head[i], ret_err);
    }
    for (size_t i = 0; result == 0 && i < reads.count; i++) {
        result = run_words_add(words, "--read", ret_err);
        result = result == 0 ? run_words_add(words, reads.list[i], ret_err) : result;
    }
    result = result == 0 ? run_words_add(words, product->model, ret_err) : result;
    result = result == 0 ? run_words_add(words, "--product", ret_err) : result;
    result = result == 0 ? run_words_add(words, product->id, ret_err) : result;
    for (size_t i = 0; result == 0 && i < model.count; i++) {
        result = run_words_add(words, model.list[i], ret_err);
    }
    run_words_finish(&model);
    run_words_finish(&reads);
    return result;
}

static void start_worker(struct run *run) {
    struct run_words words = {.count = 0};
    struct err err = {.code = 0};
    char cwd[RUN_FOLDER_PATH_SIZE + 8];
    (void)snprintf(cwd, sizeof cwd, "%s/.run", run->folder);
    int result = fill_command(run, &words, &err);
    if (result == ERR_NOT_FOUND) {
        (void)snprintf(run->waiting, sizeof run->waiting, "%.150s", err.text);
        run->retry_at.us = clock_wire(loop_clock(run->runs->options.loop)).us + RETRY_US;
    } else if (result == 0) {
        const struct worker_options options = {.loop = run->runs->options.loop,
                                               .program = run->runs->options.program,
                                               .argv = (const char *const *)words.list,
                                               .cwd = cwd,
                                               .deadline_us = run->product->deadline_us,
                                               .on_end = on_worker_end,
                                               .ctx = run};
        run->counters.running = worker_start(&options, &run->worker, &err) == 0;
        if (!run->counters.running) {
            fail(run, err.text);
        }
    } else {
        fail(run, err.text);
    }
    run_words_finish(&words);
}

static void on_series_end(void *ctx, int code, const char *text) {
    struct run *run = ctx;
    run->series = series_export_destroy(run->series);
    if (code != 0) {
        fail(run, text);
    } else {
        start_worker(run);
    }
}

static int start_series(struct run *run, struct err *ret_err) {
    char path[RUN_FOLDER_PATH_SIZE + sizeof RUN_SERIES_FILE + 8];
    (void)snprintf(path, sizeof path, "%s/.run/" RUN_SERIES_FILE, run->folder);
    const struct series_export_options options = {
        .loop = run->runs->options.loop,
        .store = run->runs->options.store,
        .points = run->points,
        .point_count = run->point_count,
        .from = {run->started.utc.us - run->product->series_window_us},
        .to = {run->started.utc.us + 1},
        .path = path,
        .on_end = on_series_end,
        .ctx = run};
    return series_export_start(&options, &run->series, ret_err);
}

static void start(struct run *run) {
    struct err err = {.code = 0};
    char path[RUN_FOLDER_PATH_SIZE];
    run->pending = false;
    run->started_any = true;
    run->started = now_of(run);
    run->waiting[0] = '\0';
    int result = run_folder_begin(run->folder, path, &err);
    if (result == 0 && run_arguments_use(run->product, "alarms")) {
        result = write_alarms(run, &err);
    }
    if (result == 0 && run_arguments_use(run->product, "stations")) {
        result = write_stations(run, &err);
    }
    if (result == 0 && run->request != NULL) {
        result = run_folder_write(run->folder, RUN_REQUEST_FILE, run->request, strlen(run->request),
                                  &err);
    }
    free(run->request);
    run->request = NULL;
    if (result == 0 && run_arguments_use(run->product, "series")) {
        result = start_series(run, &err);
    } else if (result == 0) {
        start_worker(run);
    }
    if (result != 0) {
        fail(run, err.text);
    }
}

/* ---- triggers ---- */

static uint64_t sum_readings(const struct run *run) {
    uint64_t sum = 0;
    for (size_t i = 0; i < run->point_count; i++) {
        const struct reading *reading =
            pipeline_newest(run->runs->options.pipeline, run->point_indexes[i]);
        sum += reading != NULL ? reading->seq : 0; /* each only grows */
    }
    return sum;
}

static void look_at_triggers(struct run *run) {
    const struct site_triggers *triggers = &run->product->triggers;
    struct moment now = now_of(run);
    bool open = triggers->request ? run->request != NULL
                                  : triggers->alarm_count == 0 || count_standing(run, NULL) > 0;
    run->pending = run->pending || (triggers->request && open);
    if (open && !run->gate_open) {
        run->pending = run->pending || triggers->alarm_count > 0;
        run->good_since = now.mono;
    }
    run->gate_open = open;
    if (triggers->readings) {
        uint64_t sum = sum_readings(run);
        run->pending = run->pending || sum != run->readings_sum;
        run->readings_sum = sum;
    }
    if (triggers->every_us > 0) {
        int64_t slot = now.utc.us / triggers->every_us;
        run->pending = run->pending || slot != run->slot;
        run->slot = slot;
    }
    if (run->waiting[0] != '\0' &&
        clock_wire(loop_clock(run->runs->options.loop)).us >= run->retry_at.us) {
        run->pending = true;
    }
    run->pending = run->pending && open;
}

static void look_at_age(struct run *run) {
    int64_t age_us = now_of(run).mono.us - run->good_since.us;
    if (!run->gate_open) {
        clear_condition(run, CONDITION_MODEL_STALE);
    } else if (age_us > run->product->stale_after_us) {
        char text[CONDITION_TEXT_SIZE];
        (void)snprintf(text, sizeof text, "no good run for %" PRId64 " s%s%s", age_us / 1000000,
                       run->waiting[0] != '\0' ? "; " : "", run->waiting);
        raise_condition(run, CONDITION_MODEL_STALE, text);
    }
}

/* Readings come all the time, faster than some models run: what such a run costs in real time sets
 * the pace, so that it takes at most a quarter of one core. */
static bool rests(const struct run *run) {
    int64_t since_us = clock_wire(loop_clock(run->runs->options.loop)).us - run->ended.us;
    return run->product->triggers.readings && run->ended.us > 0 &&
           since_us < REST_RUNS * run->counters.run_us_last;
}

static void look(struct run *run) {
    struct moment now = now_of(run);
    look_at_triggers(run);
    look_at_age(run);
    if (run->worker != NULL) {
        if (now.mono.us - run->started.mono.us > run->product->stale_after_us) {
            run->counters.cancelled++;
            worker_kill(run->worker, "the run was outdated before it was done and was cancelled");
        }
        return;
    }
    bool early = rests(run) || (run->started_any && now.mono.us - run->started.mono.us <
                                                        run->product->triggers.min_interval_us);
    if (run->pending && run->series == NULL && !early) {
        start(run);
    }
}

static void on_look(void *ctx) {
    struct runs *runs = ctx;
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->list[i].product != NULL) {
            look(&runs->list[i]);
        }
    }
    loop_timer_start_in(&runs->look, LOOK_US);
}

void runs_note_output(struct runs *runs, const char *product) {
    for (size_t i = 0; i < runs->count; i++) {
        struct run *run = &runs->list[i];
        for (uint32_t k = 0; run->product != NULL && k < run->product->triggers.product_count;
             k++) {
            if (strcmp(run->product->triggers.products[k], product) == 0) {
                run->pending = true;
            }
        }
    }
}

int runs_ask(struct runs *runs, const char *id, char *text, struct err *ret_err) {
    for (size_t i = 0; i < runs->count; i++) {
        struct run *run = &runs->list[i];
        if (run->product == NULL || !run->product->triggers.request ||
            strcmp(run->product->id, id) != 0) {
            continue;
        }
        if (run->request != NULL) {
            free(text);
            return err_set(ret_err, ERR_BUSY, "an earlier question waits for its answer");
        }
        run->request = text;
        return 0;
    }
    free(text);
    return err_set(ret_err, ERR_NOT_FOUND, "no product answers such questions");
}

/* ---- construction ---- */

struct collect {
    struct run *run;
    const struct site *site;
    struct store *store;
    int result;
    struct err *err;
};

static void collect_point(void *ctx, uint32_t index) {
    struct collect *collect = ctx;
    struct run *run = collect->run;
    const struct point *point = &collect->site->points[index];
    const struct station *station = &collect->site->stations[point->station];
    for (size_t i = 0; i < run->point_count; i++) {
        if (run->point_indexes[i] == index) {
            return; /* named twice */
        }
    }
    struct series_point *entry = &run->points[run->point_count];
    *entry = (struct series_point){.station = station->id, .point = point->id, .unit = point->unit};
    if (collect->result == 0) {
        collect->result = store_point_handle(collect->store, station->id, point->id, point->unit,
                                             &entry->handle, collect->err);
    }
    run->point_indexes[run->point_count++] = index;
}

static int collect_points(struct run *run, struct err *ret_err) {
    const struct runs_options *options = &run->runs->options;
    struct collect collect = {
        .run = run, .site = options->site, .store = options->store, .err = ret_err};
    if (run->product->series_count == 0) {
        return 0;
    }
    run->points = calloc(options->site->point_count, sizeof *run->points);
    run->point_indexes = calloc(options->site->point_count, sizeof *run->point_indexes);
    if (run->points == NULL || run->point_indexes == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a series");
    }
    for (uint32_t i = 0; i < run->product->series_count; i++) {
        (void)site_visit_series_points(options->site, run->product->series_points[i], collect_point,
                                       &collect);
    }
    return collect.result;
}

static int prepare(struct run *run, struct err *ret_err) {
    const struct site_triggers *triggers = &run->product->triggers;
    struct moment now = now_of(run);
    if (run_product_folder(run->runs->options.state_dir, run->product->id, run->folder,
                           sizeof run->folder - 64) != 0) {
        return err_set(ret_err, ERR_LIMIT, "the state folder's path is too long");
    }
    run->pending = triggers->alarm_count == 0 && !triggers->request;
    run->good_since = now.mono;
    run->slot = triggers->every_us > 0 ? now.utc.us / triggers->every_us : 0;
    return collect_points(run, ret_err);
}

static int make_folder(const char *state_dir, struct err *ret_err) {
    char path[RUN_FOLDER_PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/products", state_dir);
    if (length < 0 || length >= RUN_FOLDER_PATH_SIZE) {
        return err_set(ret_err, ERR_LIMIT, "the state folder's path is too long");
    }
    return mkdir(path, 0750) == 0 || errno == EEXIST
               ? 0
               : err_set(ret_err, ERR_IO, "%.400s: %s", path, strerror(errno));
}

int runs_create(const struct runs_options *options, struct runs **ret_runs, struct err *ret_err) {
    struct runs *runs = calloc(1, sizeof *runs);
    struct run *list = calloc(options->site->product_count + 1, sizeof *list);
    if (runs == NULL || list == NULL) {
        free(runs);
        free(list);
        return err_set(ret_err, ERR_MEMORY, "no memory for runs");
    }
    runs->options = *options;
    runs->list = list;
    runs->count = options->site->product_count;
    int result = make_folder(options->state_dir, ret_err);
    for (size_t i = 0; i < runs->count && result == 0; i++) {
        const struct site_product *product = &options->site->products[i];
        list[i].runs = runs;
        if (product->inbox[0] == '\0') {
            list[i].product = product;
            result = prepare(&list[i], ret_err);
        }
    }
    if (result == 0) {
        result = loop_timer_init(options->loop, LOOP_WIRE, on_look, runs, &runs->look);
        result = result == 0 ? 0 : err_set(ret_err, result, "no memory for runs");
    }
    if (result != 0) {
        (void)runs_destroy(runs);
        return result;
    }
    loop_timer_start_in(&runs->look, 0);
    *ret_runs = runs;
    return 0;
}

struct runs *runs_destroy(struct runs *runs) {
    if (runs == NULL) {
        return NULL;
    }
    loop_timer_finish(&runs->look);
    for (size_t i = 0; i < runs->count; i++) {
        (void)series_export_destroy(runs->list[i].series);
        (void)worker_destroy(runs->list[i].worker);
        free(runs->list[i].request);
        free(runs->list[i].points);
        free(runs->list[i].point_indexes);
    }
    free(runs->list);
    free(runs);
    return NULL;
}

struct runs_counters runs_counters(const struct runs *runs, size_t index) {
    return runs->list[index].counters;
}
