/* Runs one function over a range of rows on a few threads, with a static partition.
 *
 * Part p of n works on rows [count * p / n, count * (p + 1) / n). A function whose result for a row
 * does not depend on the part that computes it gives the same bits with any number of threads.
 * Thread rule: may be called from any thread; returns when every part has finished. */
#ifndef CANHBAO_NOWCAST_PARALLEL_H
#define CANHBAO_NOWCAST_PARALLEL_H

enum { PARALLEL_THREADS_MAX = 64 };

typedef void (*parallel_fn)(void *context, int part, int begin, int end);

/* threads is clamped to [1, PARALLEL_THREADS_MAX] and to count. The caller's thread works part 0. A
 * thread that cannot be started leaves its part to the caller: same result, later. */
void parallel_rows(int threads, int count, parallel_fn function, void *context);

#endif
