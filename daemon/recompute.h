/* One decision once more, from the store: see explain.h. Thread rule: loop thread. */
#ifndef CANHBAO_DAEMON_RECOMPUTE_H
#define CANHBAO_DAEMON_RECOMPUTE_H

#include <jansson.h>

#include "daemon/engine.h"
#include "daemon/store/store.h"

struct recompute_options {
    struct store *store;
    const struct engine_site *site;
    const struct rule *rule; /* of the site */
    struct rule_place place;
    const json_t *event; /* as published */
    struct utc_us at;    /* of the event */
    uint64_t inputs_max; /* 0: no bound */
};

enum { RECOMPUTE_DIFFERENCES_MAX = 16 };

struct recompute {
    const char *from; /* "journal" or "readings" */
    uint64_t inputs;
    json_t *differences; /* of {at, stored, recomputed}; empty: the same. Owner: the caller */
    struct indicator indicators[RULE_INDICATORS_MAX];
    const struct alarm_levels *alarm_levels; /* of the place */
};

/* ERR_LIMIT, ERR_MEMORY, ERR_CORRUPT, ERR_IO, or what the engine refuses. */
int recompute_decision(const struct recompute_options *options, struct recompute *ret_result,
                       struct err *ret_err);

#endif
