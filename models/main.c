/* canhbao-model: runs one model and exits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "models/areal/command.h"
#include "models/dispersion/dispersion.h"
#include "models/grid/sandbox.h"
#include "models/hydrology/hydrology.h"
#include "models/landslide/model_landslide.h"
#include "models/merge/command.h"
#include "models/model.h"
#include "models/nowcast/nowcast.h"
#include "models/nowcast/verify.h"
#include "models/radiation/model_washout.h"
#include "models/regrid/regrid_command.h"
#include "models/render/render.h"

/* One line a model; keep the table in the order of the work flow. */
// clang-format off
static const struct model *const table[] = {
    &model_gr,
    &model_crest,
    &model_crest_grid,
    &model_flashflood,
    &model_hbv,
    &model_route,
    &model_rating,
    &model_update,
    &model_ffg,
    &model_forecast,
    &model_flood,
    &model_nwp,
    &model_calibrate,
    &model_regional,
    &model_terrain,
    &model_landslide,
    &model_landslide_grid,
    &model_slopes,
    &model_nowcast,
    &model_hindcast,
    &model_verify,
    &model_merge,
    &model_regrid,
    &model_render,
    &model_areal,
    &model_plume,
    &model_trace,
    &model_washout,
    &model_release,
    &model_srs,
    &model_whatif,
    NULL,
};
// clang-format on

static void usage(FILE *out) {
    fputs("usage: canhbao-model [--worker] MODEL [OPTION...]\n"
          "       canhbao-model --cage DIR [--memory-mb N] [--cpu-s N] [--read FILE]... MODEL "
          "[OPTION...]\n"
          "       canhbao-model MODEL --help\n"
          "       canhbao-model --help | --version\n\nmodels:\n",
          out);
    for (size_t i = 0; table[i] != NULL; i++) {
        fprintf(out, "  %-10s %s\n", table[i]->name, table[i]->summary);
    }
}

static const struct model *find_model(const char *name) {
    for (size_t i = 0; table[i] != NULL; i++) {
        if (strcmp(table[i]->name, name) == 0) {
            return table[i];
        }
    }
    fprintf(stderr, "canhbao-model: unknown model '%s'; see canhbao-model --help\n", name);
    return NULL;
}

/* The options of the cage, argv[1] on. Returns where the model's name stands, 0 after telling what
 * is wrong. `reads` has room for argc. */
static int parse_cage(int argc, char **argv, struct sandbox_limits *limits, const char **ret_folder,
                      const char **reads, size_t *ret_read_count) {
    int at = 1;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        int64_t number = 0;
        const char *value = argv[at + 1];
        bool good = true;
        if (strcmp(argv[at], "--cage") == 0) {
            *ret_folder = value;
        } else if (strcmp(argv[at], "--read") == 0) {
            reads[(*ret_read_count)++] = value;
        } else if (strcmp(argv[at], "--memory-mb") == 0) {
            good = text_parse_int(value, 64, 1 << 20, &number) == 0;
            limits->memory_bytes = (size_t)number << 20;
        } else if (strcmp(argv[at], "--cpu-s") == 0) {
            good = text_parse_int(value, 1, 86400, &number) == 0;
            limits->cpu_s = (unsigned)number;
        } else {
            good = false;
        }
        if (!good) {
            fprintf(stderr, "canhbao-model: bad option %s %s\n", argv[at], value);
            return 0;
        }
    }
    if (at >= argc) {
        fputs("canhbao-model: --cage needs a model\n", stderr);
        return 0;
    }
    return at;
}

/* As the daemon runs models that open their files themselves: in the cage of
 * sandbox_enter_folder(). */
static int run_caged(int argc, char **argv) {
    struct sandbox_limits limits = {
        .memory_bytes = (size_t)2048 << 20, .cpu_s = 300, .file_bytes = (size_t)1 << 30};
    struct err err = {.code = 0};
    const char *folder = NULL;
    size_t read_count = 0;
    const char **reads = calloc((size_t)argc, sizeof *reads);
    int at = reads != NULL ? parse_cage(argc, argv, &limits, &folder, reads, &read_count) : 0;
    const struct model *model = at > 0 ? find_model(argv[at]) : NULL;
    if (model == NULL) {
        free(reads);
        return MODEL_USAGE;
    }
    int status = MODEL_FAILED;
    if (sandbox_enter_folder(&limits, folder, reads, read_count, &err) != 0) {
        fprintf(stderr, "canhbao-model: %s\n", err.text);
    } else {
        status = model->run(argc - at, argv + at);
    }
    free(reads);
    if (fflush(NULL) != 0 && status == MODEL_DONE) {
        status = MODEL_FAILED;
    }
    /* No exit handlers: what libraries (and LeakSanitizer) do there needs calls that the cage
     * forbids, and everything is written. */
    _exit(status);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--cage") == 0) {
        return run_caged(argc, argv);
    }
    /* "--worker MODEL ..." is "MODEL --worker ...": the model enters its cage itself, once its
     * inputs are open. */
    if (argc > 2 && strcmp(argv[1], "--worker") == 0) {
        argv[1] = argv[2];
        argv[2] = "--worker";
    }
    if (argc < 2) {
        usage(stderr);
        return MODEL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        usage(stdout);
        return MODEL_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("canhbao-model " CANHBAO_VERSION);
        return MODEL_DONE;
    }
    const struct model *model = find_model(argv[1]);
    return model != NULL ? model->run(argc - 1, argv + 1) : MODEL_USAGE;
}
