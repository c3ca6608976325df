/* canhbao-model: runs one model and exits. */
#include <stdio.h>
#include <string.h>

#include "models/areal/command.h"
#include "models/dispersion/dispersion.h"
#include "models/hydrology/hydrology.h"
#include "models/landslide/model_landslide.h"
#include "models/merge/command.h"
#include "models/model.h"
#include "models/nowcast/nowcast.h"
#include "models/radiation/model_washout.h"

/* One line a model; keep the table in the order of the work flow. */
// clang-format off
static const struct model *const table[] = {
    &model_gr,
    &model_crest,
    &model_crest_grid,
    &model_hbv,
    &model_route,
    &model_rating,
    &model_update,
    &model_ffg,
    &model_forecast,
    &model_calibrate,
    &model_terrain,
    &model_landslide,
    &model_nowcast,
    &model_hindcast,
    &model_merge,
    &model_areal,
    &model_plume,
    &model_trace,
    &model_washout,
    NULL,
};
// clang-format on

static void usage(FILE *out) {
    fputs("usage: canhbao-model [--worker] MODEL [OPTION...]\n"
          "       canhbao-model MODEL --help\n"
          "       canhbao-model --help | --version\n\nmodels:\n",
          out);
    for (size_t i = 0; table[i] != NULL; i++) {
        fprintf(out, "  %-10s %s\n", table[i]->name, table[i]->summary);
    }
}

int main(int argc, char **argv) {
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
    for (size_t i = 0; table[i] != NULL; i++) {
        if (strcmp(table[i]->name, argv[1]) == 0) {
            return table[i]->run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "canhbao-model: unknown model '%s'; see canhbao-model --help\n", argv[1]);
    return MODEL_USAGE;
}
