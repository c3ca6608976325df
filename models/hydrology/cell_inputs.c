#include "models/hydrology/cell_inputs.h"

#include <stdio.h>

#include "daemon/base/text.h"
#include "models/model.h"
#include "models/output/output.h"

static int read_forecast(struct grid_env *env, const struct cell_rain_source *places,
                         struct cell_inputs *inputs, const char *path, const char *variable,
                         struct cell_rain **ret_rain, struct err *ret_err) {
    struct cell_rain_source source = *places;
    if (path == NULL) {
        return 0;
    }
    source.paths = &path;
    source.path_count = 1;
    source.variable = variable;
    source.hold_us = INT64_MAX;
    source.after_us = INT64_MIN;
    int rc = cell_rain_read(env, &source, inputs->left_out, ret_rain, ret_err);
    if (rc == 0 && (*ret_rain)->frame_count == 0) {
        *ret_rain = cell_rain_destroy(*ret_rain);
    }
    return rc;
}

int cell_inputs_read(struct grid_env *env, const struct cell_rain_source *places, int64_t after_us,
                     struct cell_inputs *inputs, struct err *ret_err) {
    struct cell_rain_source source = *places;
    source.paths = inputs->rain.words;
    source.path_count = inputs->rain.count;
    source.variable = inputs->rain_name;
    source.hold_us = (int64_t)(inputs->hold_min * 6e7);
    source.after_us = after_us;
    int rc = cell_rain_read(env, &source, inputs->left_out, &inputs->observed, ret_err);
    if (rc == 0 && after_us == INT64_MIN && inputs->history.count > 0) {
        source.paths = inputs->history.words;
        source.path_count = inputs->history.count;
        source.variable = NULL;
        source.hold_us = INT64_C(3600000000);
        rc = cell_rain_read(env, &source, inputs->left_out, &inputs->before, ret_err);
    }
    rc = rc != 0 ? rc
                 : read_forecast(env, places, inputs, inputs->nowcast, NULL, &inputs->nowcast_rain,
                                 ret_err);
    return rc != 0 ? rc
                   : read_forecast(env, places, inputs, inputs->nwp, inputs->nwp_name,
                                   &inputs->nwp_rain, ret_err);
}

void cell_inputs_finish(struct cell_inputs *inputs) {
    cell_rain_destroy(inputs->observed);
    cell_rain_destroy(inputs->before);
    cell_rain_destroy(inputs->nowcast_rain);
    cell_rain_destroy(inputs->nwp_rain);
    json_decref(inputs->left_out);
}

int cell_inputs_state(struct cell_inputs *inputs, int rc, const struct err *read_err,
                      bool *ret_used, struct err *ret_err) {
    if (rc == ERR_MEMORY || rc == ERR_IO) {
        return err_set(ret_err, rc, "%s", read_err->text);
    }
    *ret_used = rc == 0;
    if (rc != 0) {
        (void)json_array_append_new(inputs->left_out, json_string(read_err->text));
    }
    return 0;
}

json_t *cell_inputs_manifest(const struct cell_inputs *inputs, const char *model,
                             json_t *parameters, const char *const *files, size_t file_count,
                             struct err *ret_err) {
    enum { OTHERS_MAX = 16 };
    const char *all[2 * ARGS_LIST_MAX + OTHERS_MAX + 2];
    size_t count = 0;
    for (size_t i = 0; i < file_count && i < OTHERS_MAX; i++) {
        all[count++] = files[i];
    }
    all[count++] = inputs->nowcast_rain != NULL ? inputs->nowcast : NULL;
    all[count++] = inputs->nwp_rain != NULL ? inputs->nwp : NULL;
    for (size_t i = 0; i < inputs->rain.count; i++) {
        all[count++] = inputs->rain.words[i];
    }
    for (size_t i = 0; inputs->before != NULL && i < inputs->history.count; i++) {
        all[count++] = inputs->history.words[i];
    }
    json_t *manifest = manifest_of_files(model, parameters, all, count, ret_err);
    if (manifest != NULL && json_object_set(manifest, "left_out", inputs->left_out) != 0) {
        (void)err_set(ret_err, ERR_MEMORY, "no memory for the manifest");
        json_decref(manifest);
        return NULL;
    }
    return manifest;
}

int run_labels_check(const char *model, const char *reference, const char *product,
                     int64_t *ret_now_us) {
    if (text_parse_time(reference, ret_now_us) != 0) {
        fprintf(stderr,
                "canhbao-model %s: --reference: expected a time such as 2025-11-18T06:00:00Z\n",
                model);
        return MODEL_USAGE;
    }
    if (product[0] != '\0' && !text_is_id(product)) {
        fprintf(stderr, "canhbao-model %s: --product: expected an id\n", model);
        return MODEL_USAGE;
    }
    return MODEL_DONE;
}
