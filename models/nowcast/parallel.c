#include "models/nowcast/parallel.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct part {
    parallel_fn function;
    void *context;
    int part;
    int begin;
    int end;
};

static void *run_part(void *argument) {
    const struct part *part = argument;
    part->function(part->context, part->part, part->begin, part->end);
    return NULL;
}

void parallel_rows(int threads, int count, parallel_fn function, void *context) {
    if (count <= 0) {
        return;
    }
    threads = threads < 1 ? 1 : threads;
    threads = threads > PARALLEL_THREADS_MAX ? PARALLEL_THREADS_MAX : threads;
    threads = threads > count ? count : threads;
    struct part parts[PARALLEL_THREADS_MAX];
    pthread_t ids[PARALLEL_THREADS_MAX];
    bool started[PARALLEL_THREADS_MAX] = {false};
    for (int p = 0; p < threads; p++) {
        parts[p] = (struct part){function, context, p, (int)((int64_t)count * p / threads),
                                 (int)((int64_t)count * (p + 1) / threads)};
        if (p > 0) {
            started[p] = pthread_create(&ids[p], NULL, run_part, &parts[p]) == 0;
        }
    }
    for (int p = 0; p < threads; p++) {
        if (!started[p]) {
            (void)run_part(&parts[p]);
        }
    }
    for (int p = 1; p < threads; p++) {
        if (started[p]) {
            (void)pthread_join(ids[p], NULL);
        }
    }
}
