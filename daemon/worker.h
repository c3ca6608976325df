/* One run of canhbao-model as a disposable child: started with a clean environment, its standard
 * output gathered (bounded), the end of its standard error kept, killed at the deadline.
 *
 * Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_WORKER_H
#define CANHBAO_DAEMON_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"

enum { WORKER_TEXT_SIZE = 1200, WORKER_OUTPUT_MAX = 16 << 20 };

enum worker_end {
    WORKER_DONE,    /* status 0 */
    WORKER_REFUSED, /* status 3: the input was refused by name */
    WORKER_FAILED   /* died, was killed, another status, printed too much */
};

struct worker_outcome {
    enum worker_end end;
    const char *text; /* one line for a person; "" when done */
    const char *output;
    size_t output_length;
    int64_t run_us; /* real time */
};

struct worker_options {
    struct loop *loop;
    const char *program;
    const char *const *argv; /* NULL-terminated, argv[0] included; used during the call only */
    const char *cwd;         /* NULL: the daemon's; used during the call only */
    int64_t deadline_us;     /* real time */
    /* Once. The outcome's texts live as long as the worker, which may be destroyed in the call. */
    void (*on_end)(void *ctx, const struct worker_outcome *outcome);
    void *ctx;
};

struct worker;

/* ERR_MEMORY, ERR_NOT_FOUND, ERR_LIMIT, ... name the program. */
int worker_start(const struct worker_options *options, struct worker **ret_worker,
                 struct err *ret_err);
/* Ends it as WORKER_FAILED; `why` (a constant) becomes the text of the outcome. */
void worker_kill(struct worker *worker, const char *why);
/* Kills it without a callback when it still runs. NULL is fine; returns NULL. */
struct worker *worker_destroy(struct worker *worker);

#endif
