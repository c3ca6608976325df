/* Grids from outside, NetCDF and GRIB2, as a worker reads them: in a process of its own, in the
 * cage of production. The fuzzer's counters of the child are carried over, so that it sees which
 * way our code went.
 *
 * The libraries crash and run away on malformed files, which is what the cage is for: a child that
 * dies inside one of them or of its CPU limit is well. Not well: there is no cage, a rate is
 * infinite, or a sanitizer finds the fault in our own code (the first frame that is no interceptor
 * lies in this program: the libraries are shared). */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "models/grid/ncfile.h"
#include "models/grid/sandbox.h"

enum { MEMORY_BYTES = 1 << 30, CPU_S = 5, REPORT_SIZE = 1 << 16, FOUND = 99 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A sanitizer ignores the limit of the address space. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1:max_allocation_size_mb=1024:detect_leaks=0:symbolize=0";
}

static void read_frames(struct ncvar *var, const struct grid *grid) {
    size_t cells = grid->rows * grid->columns;
    float *values = malloc(cells * sizeof *values);
    int64_t *times = malloc(ncvar_frame_count(var) * sizeof *times);
    if (values != NULL && times != NULL) {
        (void)ncvar_times(var, INT64_MAX, times, NULL);
        for (size_t f = 0; f < ncvar_frame_count(var) && f < 4; f++) {
            bool good = ncvar_read_f32(var, f, values, NULL) == 0;
            for (size_t i = 0; i < cells && good; i++) {
                if (isinf(values[i])) {
                    _exit(FOUND);
                }
            }
        }
    }
    free(values);
    free(times);
}

static void read_grids(struct grid_env *env, const uint8_t *data, size_t size) {
    static const char *const names[] = {"rainfall_rate", "eastward_wind"};
    static const char *const units[] = {"mm h-1", "m s-1"};
    struct ncfile *file = NULL;
    if (ncfile_open_memory(env, "fuzz", data, size, &file, NULL) != 0) {
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        struct ncvar *var = NULL;
        struct grid *grid = NULL;
        if (ncvar_open(file, NULL, names[i], units[i], &var, NULL) == 0 &&
            ncvar_grid(var, &grid, NULL) == 0) {
            read_frames(var, grid);
        }
        grid_destroy(grid);
        ncvar_close(var);
    }
    ncfile_close(file);
}

/* ---- what the fuzzer learns ---- */

static uint8_t *counters; /* of the instrumented code; NULL without libFuzzer */
static uint8_t *counters_end;

/* The linker hands us the call by which the program tells libFuzzer of its counters. */
void __real___sanitizer_cov_8bit_counters_init(uint8_t *begin, uint8_t *end) __attribute__((weak));
void __wrap___sanitizer_cov_8bit_counters_init(uint8_t *begin, uint8_t *end);
void __wrap___sanitizer_cov_8bit_counters_init(uint8_t *begin, uint8_t *end) {
    counters = begin;
    counters_end = end;
    if (__real___sanitizer_cov_8bit_counters_init != NULL) {
        __real___sanitizer_cov_8bit_counters_init(begin, end);
    }
}

static size_t counter_count(void) {
    return (size_t)(counters_end - counters);
}

/* Memory that a child and its parent share. */
static uint8_t *share_counters(void) {
    void *shared =
        mmap(NULL, counter_count() + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        abort();
    }
    return shared;
}

/* ---- in the cage ---- */

static uint8_t *shared; /* counter_count() bytes */

static void run_child(struct grid_env *env, const uint8_t *data, size_t size, int report) {
    const struct sandbox_limits limits = {MEMORY_BYTES, CPU_S, 1 << 20};
    (void)dup2(report, STDERR_FILENO);
    if (sandbox_enter_folder(&limits, NULL, NULL, 0, NULL) != 0) {
        _exit(FOUND); /* without a cage nothing here means anything */
    }
    read_grids(env, data, size);
    for (size_t i = 0; i < counter_count(); i++) {
        shared[i] = counters[i];
    }
    _exit(0);
}

/* Whether the sanitizer's report names our own code. */
static bool is_ours(const char *report) {
    const char *line = strstr(report, "#0 ");
    if (strstr(report, "runtime error: ") != NULL) {
        return true; /* only our own code is built with these checks */
    }
    for (; line != NULL; line = strstr(line + 1, "    #")) {
        char text[512];
        size_t length = strcspn(line, "\n");
        (void)snprintf(text, sizeof text, "%.*s", (int)length, line);
        bool interceptor = strstr(text, "__asan") != NULL || strstr(text, "libasan") != NULL;
        if (!interceptor) {
            return strstr(text, "/fuzz_grids") != NULL;
        }
    }
    return false;
}

static void run(struct grid_env *env, const uint8_t *data, size_t size) {
    static char report[REPORT_SIZE];
    int ends[2];
    int status = 0;
    size_t length = 0;
    if (pipe(ends) != 0) {
        abort();
    }
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        run_child(env, data, size, ends[1]);
    }
    (void)close(ends[1]);
    ssize_t got = 1;
    while (child > 0 && got > 0 && length < sizeof report - 1) {
        got = read(ends[0], report + length, sizeof report - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    report[length] = '\0';
    (void)close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child) {
        abort();
    }
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool found = WIFEXITED(status) && WEXITSTATUS(status) == FOUND;
    if (found || (!good && is_ours(report))) {
        fprintf(stderr, "status %d\n%s\n", status, report);
        abort();
    }
    for (size_t i = 0; good && i < counter_count(); i++) {
        counters[i] = shared[i];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct grid_env *env; /* kept for all inputs, as the fuzzer keeps the process */
    static const struct grid_limits limits = {.file_bytes_max = 1 << 20,
                                              .frame_bytes_max = 4 << 20,
                                              .frames_max = 100,
                                              .vertices_max = 1000};
    if (env == NULL) {
        shared = share_counters();
        if (grid_env_create(&limits, &env, NULL) != 0) {
            abort();
        }
    }
    run(env, data, size);
    return 0;
}
