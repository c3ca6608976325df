/* Brings the engine back to where the last commit left it: newest usable snapshot, then the
 * journal. Thread rule: loop thread, before the loop runs. */
#ifndef CANHBAO_DAEMON_PIPELINE_RESTORE_H
#define CANHBAO_DAEMON_PIPELINE_RESTORE_H

#include "daemon/engine.h"
#include "daemon/store/store.h"

struct restore_options {
    struct store *store;
    const struct engine_site *site;
    struct moment now;       /* for an engine that has no past */
    struct engine_sink sink; /* what the replay gives */
    engine_vanished_fn *on_vanished;
    void *ctx;
};

/* ERR_CORRUPT when the past is there but cannot be used: starting as if nothing had been would be a
 * false all-clear. */
int restore_engine(const struct restore_options *options, struct engine **ret_engine,
                   uint64_t *ret_replayed, struct err *ret_err);

#endif
