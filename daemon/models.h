/* The models of a site, as the daemon runs them: jobs on inboxes (jobs.h), runs by triggers
 * (runs.h), and what becomes of their results: inputs of the engine, kept files, triggers of other
 * products. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_MODELS_H
#define CANHBAO_DAEMON_MODELS_H

#include "daemon/config/site.h"
#include "daemon/control/whatif_request.h"
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

enum { MODELS_ASK_ID_SIZE = 40 };

/* A site without products is fine. Makes inbox and output folders. */
int models_create(const struct models_options *options, struct models **ret_models,
                  struct err *ret_err);
/* A hypothetical release: the product with model whatif runs it as soon as it can. Its output is
 * kept like that of other products and marked hypothetical; it never reaches rules, topics or
 * bulletins. ret_id: stands in the output's request. ERR_NOT_FOUND: the site has no such product;
 * ERR_BUSY. */
int models_what_if(struct models *models, const struct whatif_request *request, const char *actor,
                   char *ret_product, char ret_id[MODELS_ASK_ID_SIZE], struct err *ret_err);
/* Kills what runs. NULL is fine; returns NULL. */
struct models *models_destroy(struct models *models);

#endif
