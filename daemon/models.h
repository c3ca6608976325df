/* The models of a site, as the daemon runs them: jobs on inboxes (jobs.h), runs by triggers
 * (runs.h), and what becomes of their results: inputs of the engine, kept files, triggers of other
 * products. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_MODELS_H
#define CANHBAO_DAEMON_MODELS_H

#include "daemon/config/site.h"
#include "daemon/health.h"
#include "daemon/pipeline.h"
#include "daemon/release_areas.h"

struct models_options {
    struct loop *loop;
    const char *program; /* path of canhbao-model */
    const struct site *site;
    struct store *store;
    struct pipeline *pipeline;
    struct release_areas *areas; /* filled by the runs of model `release`; NULL: not wanted */
    void (*on_condition)(void *ctx, enum condition_class class, const char *product, bool raised,
                         const char *text);
    void *ctx;
};

struct models;

/* A site without products is fine. Makes inbox and output folders. */
int models_create(const struct models_options *options, struct models **ret_models,
                  struct err *ret_err);
/* Kills what runs. NULL is fine; returns NULL. */
struct models *models_destroy(struct models *models);

#endif
