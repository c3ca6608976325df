#include "daemon/models.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/jobs.h"
#include "daemon/products.h"
#include "daemon/release_follow.h"
#include "daemon/run_arguments.h"
#include "daemon/run_folder.h"
#include "daemon/runs.h"
#include "daemon/verification.h"

struct models {
    struct models_options options;
    /* absolute: workers have folders of their own */
    char site_dir[PATH_MAX], state_dir[PATH_MAX], program[PATH_MAX];
    struct products *products;
    struct jobs *jobs;
    struct runs *runs;
    struct verification *verification;
    struct release_follow follow;
};

static struct utc_us now_of(const struct models *models) {
    return clock_now(loop_clock(models->options.loop)).utc;
}

static void on_condition(void *ctx, enum condition_class class, const char *product, bool raised,
                         const char *text) {
    struct models *models = ctx;
    models->options.on_condition(models->options.ctx, class, product, raised, text);
}

static void publish(struct models *models, const struct jobs_run *run) {
    const struct job_output *parsed = run->parsed;
    struct message_run message = {.product = run->product,
                                  .model = run->model,
                                  .reference_time = parsed->reference_time,
                                  .manifest_sha256 = parsed->manifest,
                                  .manifest_json = parsed->manifest_json,
                                  .results = parsed->count,
                                  .scores = parsed->score_count};
    for (size_t i = 0; i < parsed->count; i++) {
        message.unknown += isnan(parsed->results[i].value) ? 1 : 0;
    }
    pipeline_run_message(models->options.pipeline, &message);
}

/* A run by triggers: its folder is kept already. */
static void on_run(void *ctx, const struct jobs_run *run) {
    struct models *models = ctx;
    const struct job_output *parsed = run->parsed;
    if (strcmp(run->model, "whatif") == 0) {
        return; /* hypothetical: nothing of it goes on, whatever the worker says */
    }
    if (parsed->score_count > 0) {
        verification_judge(models->verification, now_of(models)); /* of what is committed */
        verification_take(models->verification, run->product, parsed->manifest, parsed->scores,
                          parsed->score_count);
    }
    for (size_t i = 0; i < parsed->count; i++) {
        struct model_result *result = &parsed->results[i];
        if (verification_is_worse(models->verification, run->product, result->lead_us)) {
            result->doubt = MODEL_DOUBT_SKILL;
        }
    }
    pipeline_model_results(models->options.pipeline, parsed->results, parsed->count);
    publish(models, run);
    runs_note_output(models->runs, run->product);
    struct err err = {.code = 0};
    if (models->options.areas != NULL &&
        release_follow(&models->follow, run, models->options.areas, models->options.pipeline,
                       now_of(models), &err) != 0) {
        on_condition(models, CONDITION_WORKER_FAILED, run->product, true, err.text);
    }
}

static uint32_t keep_of(const struct models *models, const char *id) {
    const struct site *site = models->options.site;
    for (size_t i = 0; i < site->product_count; i++) {
        if (strcmp(site->products[i].id, id) == 0) {
            return site->products[i].keep;
        }
    }
    return 1;
}

/* A run on an inbox: its output is kept for the runs that follow it. */
static void on_job(void *ctx, const struct jobs_run *run) {
    struct models *models = ctx;
    char folder[RUN_FOLDER_PATH_SIZE];
    char path[RUN_FOLDER_PATH_SIZE];
    struct err err = {.code = 0};
    int result = run_product_folder(models->state_dir, run->product, folder, sizeof folder) == 0
                     ? run_folder_begin(folder, path, &err)
                     : err_set(&err, ERR_LIMIT, "the state folder's path is too long");
    if (result == 0) {
        result = run_folder_write(folder, "output.json", run->output, run->output_length, &err);
    }
    if (result == 0) {
        result = run_folder_keep(folder, run->parsed->reference_time, keep_of(models, run->product),
                                 INT64_MAX, &err);
    }
    if (result != 0) { /* the results count all the same */
        on_condition(models, CONDITION_WORKER_FAILED, run->product, true, err.text);
    }
    on_run(models, run);
}

static int make_absolute(const char *path, char ret_path[PATH_MAX], struct err *ret_err) {
    return realpath(path, ret_path) != NULL
               ? 0
               : err_set(ret_err, ERR_IO, "%.300s: %s", path, strerror(errno));
}

static int create_verification(struct models *models, struct err *ret_err) {
    struct verification_options options = {.store = models->options.store,
                                           .site = models->options.site,
                                           .on_condition = on_condition,
                                           .ctx = models};
    return verification_create(&options, now_of(models), &models->verification, ret_err);
}

/* The arguments of a product with an inbox. The worker opens what it is given before it enters its
 * cage, so nothing needs to be let in. */
static int fill_job(void *ctx, size_t index, struct run_words *words, struct err *ret_err) {
    struct models *models = ctx;
    struct run_words reads = {.count = 0};
    const struct run_places places = {.site = models->options.site,
                                      .site_dir = models->site_dir,
                                      .state_dir = models->state_dir,
                                      .now = now_of(models)};
    int result = run_arguments_fill(&places, products_source(models->products, index), words,
                                    &reads, ret_err);
    run_words_finish(&reads);
    return result;
}

static int create_jobs(struct models *models, struct err *ret_err) {
    const struct models_options *options = &models->options;
    int result = products_create(options->site, &models->products, ret_err);
    if (result != 0) {
        return result;
    }
    struct jobs_options jobs = {
        .loop = options->loop,
        .program = options->program,
        .products = products_list(models->products),
        .product_count = products_count(models->products),
        .fill = fill_job,
        .on_run = on_job,
        .on_condition = on_condition,
        .ctx = models,
    };
    return jobs_create(&jobs, &models->jobs, ret_err);
}

static int create_runs(struct models *models, struct err *ret_err) {
    const struct models_options *options = &models->options;
    struct runs_options runs = {
        .loop = options->loop,
        .program = options->program,
        .site = options->site,
        .site_dir = models->site_dir,
        .state_dir = models->state_dir,
        .store = options->store,
        .pipeline = options->pipeline,
        .on_run = on_run,
        .on_condition = on_condition,
        .ctx = models,
    };
    return runs_create(&runs, &models->runs, ret_err);
}

int models_what_if(struct models *models, const struct whatif_request *request, const char *actor,
                   char *ret_product, char ret_id[MODELS_ASK_ID_SIZE], struct err *ret_err) {
    const struct site *site = models->options.site;
    size_t i = 0;
    while (i < site->product_count && !site->products[i].triggers.request) {
        i++;
    }
    if (i == site->product_count) {
        return err_set(ret_err, ERR_NOT_FOUND, "the site has no product with the model whatif");
    }
    struct utc_us now = now_of(models);
    char id[MODELS_ASK_ID_SIZE];
    (void)snprintf(id, sizeof id, "whatif-%lld", (long long)now.us);
    char *text = whatif_request_text(request, id, actor, now);
    int result = text == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a question")
                              : runs_ask(models->runs, site->products[i].id, text, ret_err);
    if (result == 0) {
        (void)text_copy(ret_product, STATION_ID_SIZE, site->products[i].id); /* of that size */
        memcpy(ret_id, id, sizeof id);
    }
    return result;
}

/* ---- after a restart ---- */

static char *read_file(const char *path, size_t *ret_length) {
    FILE *file = fopen(path, "rbe");
    char *text = file != NULL ? malloc(JOB_OUTPUT_BYTES_MAX + 1) : NULL;
    *ret_length = text != NULL ? fread(text, 1, JOB_OUTPUT_BYTES_MAX + 1, file) : 0;
    if (file != NULL) {
        (void)fclose(file); /* only read */
    }
    return text;
}

/* The newest run of each product once more: the process may have ended between keeping it and the
 * commit of what it said. The engine takes no result and the verification no score twice. */
static void take_newest(struct models *models, const struct site_product *product) {
    char folder[RUN_FOLDER_PATH_SIZE];
    char path[RUN_FOLDER_PATH_SIZE];
    size_t length = 0;
    struct err err;
    struct job_output parsed = {.count = 0};
    struct utc_us newest = {now_of(models).us + 60000000};
    if (run_product_folder(models->state_dir, product->id, folder, sizeof folder) != 0 ||
        run_folder_newest(folder, "output.json", path) != 0) {
        return;
    }
    char *text = read_file(path, &length);
    if (text != NULL &&
        job_output_parse(text, length, product->model, product->id, newest, &parsed, &err) == 0) {
        const struct jobs_run run = {.product = product->id,
                                     .model = product->model,
                                     .parsed = &parsed,
                                     .output = text,
                                     .output_length = length};
        on_run(models, &run);
    }
    job_output_finish(&parsed);
    free(text);
}

int models_create(const struct models_options *options, struct models **ret_models,
                  struct err *ret_err) {
    struct models *models = calloc(1, sizeof *models);
    if (models == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the models");
    }
    models->options = *options;
    if (strchr(options->program, '/') != NULL && realpath(options->program, models->program)) {
        models->options.program = models->program; /* else the search path, or the start tells */
    }
    int result = make_absolute(options->site->dir, models->site_dir, ret_err);
    result = result == 0
                 ? make_absolute(options->site->settings.state_dir, models->state_dir, ret_err)
                 : result;
    result = result == 0 ? create_verification(models, ret_err) : result;
    result = result == 0 ? create_runs(models, ret_err) : result;
    result = result == 0 ? create_jobs(models, ret_err) : result;
    if (result != 0) {
        (void)models_destroy(models);
        return result;
    }
    for (size_t i = 0; i < options->site->product_count; i++) {
        take_newest(models, &options->site->products[i]);
    }
    *ret_models = models;
    return 0;
}

struct models *models_destroy(struct models *models) {
    if (models != NULL) {
        models->jobs = jobs_destroy(models->jobs);
        models->runs = runs_destroy(models->runs);
        models->products = products_destroy(models->products);
        models->verification = verification_destroy(models->verification);
        free(models);
    }
    return NULL;
}
