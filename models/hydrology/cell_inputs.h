/* What the models that work cell by cell from rain as it comes have in common on their command
 * line: frames, forecasts, what was left out of them, and the manifest that names it.
 *
 * Thread rule: as grid_env. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CELL_INPUTS_H
#define CANHBAO_MODELS_HYDROLOGY_CELL_INPUTS_H

#include "models/hydrology/cell_rain.h"
#include "models/table/args.h"

struct cell_inputs {
    /* options */
    struct args_list rain, history;
    const char *nowcast, *nwp, *rain_name, *nwp_name;
    double hold_min;
    /* NULL: none. `before` is of the history, frames of an hour. */
    struct cell_rain *observed, *before, *nowcast_rain, *nwp_rain;
    json_t *left_out; /* texts: files that could not be used */
};

/* Reads the frames that end after after_us (INT64_MIN: all, and the history) and the forecasts; a
 * forecast without a frame that can be used is none. `places` says where (cell_rain.h). */
int cell_inputs_read(struct grid_env *env, const struct cell_rain_source *places, int64_t after_us,
                     struct cell_inputs *inputs, struct err *ret_err);
void cell_inputs_finish(struct cell_inputs *inputs);

/* What becomes of a state that was read with `rc` and `read_err`: used (0), an error (ERR_MEMORY,
 * ERR_IO), or left out because it does not fit: the model starts anew and says so. */
int cell_inputs_state(struct cell_inputs *inputs, int rc, const struct err *read_err,
                      bool *ret_used, struct err *ret_err);

/* The manifest of a run: `files` (NULL entries are none) and the rain files that were used. Takes
 * `parameters` over. NULL, with a sentence: a file that cannot be read, or no memory. */
json_t *cell_inputs_manifest(const struct cell_inputs *inputs, const char *model,
                             json_t *parameters, const char *const *files, size_t file_count,
                             struct err *ret_err);

/* The options --reference and --product of a model that the daemon runs. MODEL_DONE, or MODEL_USAGE
 * after telling the mistake. */
int run_labels_check(const char *model, const char *reference, const char *product,
                     int64_t *ret_now_us);

#endif
