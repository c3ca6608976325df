#include "models/areal/report.h"

#include <math.h>
#include <stdlib.h>

#include "models/output/output.h"

static json_t *parameters_of(const struct report *report) {
    const struct areal_options *options = report->options;
    json_t *windows = json_array();
    json_t *leads = json_array();
    for (size_t i = 0; i < options->window_count; i++) {
        json_array_append_new(windows, json_integer(options->window_s[i]));
    }
    for (size_t i = 0; i < options->lead_count; i++) {
        json_array_append_new(leads, json_integer(options->lead_s[i]));
    }
    json_t *parameters =
        json_pack("{s:I, s:o, s:o, s:f, s:f, s:s?, s:s}", "step_s", (json_int_t)options->step_s,
                  "window_s", windows, "lead_s", leads, "threshold_mm_h", options->threshold_mm_h,
                  "min_coverage", options->min_coverage, "variable", report->inputs->variable,
                  "forecast", report->nowcast ? "nowcast" : "persistence");
    json_t *nowcast = report->nowcast && options->lead_count > 0
                          ? json_pack("{s:i, s:I, s:s, s:s, s:i}", "members", report->members,
                                      "seed", (json_int_t)report->seed, "motion",
                                      motion_source_name(report->motion->source), "motion_note",
                                      report->motion->note, "vectors", report->motion->vectors)
                          : NULL;
    if (nowcast != NULL && json_object_update(parameters, nowcast) != 0) {
        json_decref(parameters);
        parameters = NULL;
    }
    json_decref(nowcast);
    return parameters;
}

static json_t *manifest_of(const struct report *report) {
    json_t *inputs = json_array();
    for (size_t i = 0; i < report->inputs->count; i++) {
        const struct input *input = &report->inputs->list[i];
        if (input->used) {
            json_array_append_new(
                inputs, json_pack("{s:s, s:s, s:I}", "name", output_base_name(input->path),
                                  "sha256", input->hash, "frames", (json_int_t)input->frame_count));
        }
    }
    json_t *manifest = manifest_create("areal", parameters_of(report));
    json_t *more = json_pack("{s:o, s:{s:I, s:I, s:s}, s:O}", "inputs", inputs, "grid", "rows",
                             (json_int_t)report->inputs->grid->rows, "columns",
                             (json_int_t)report->inputs->grid->columns, "crs",
                             report->inputs->grid->crs, "left_out", report->inputs->left_out);
    if (more != NULL && report->classes != NULL) {
        json_object_set_new(more, "classes",
                            json_pack("{s:s, s:s, s:s}", "name",
                                      output_base_name(report->classes_file->path), "sha256",
                                      classes_hash(report->classes), "variable",
                                      classes_variable(report->classes)));
    }
    if (manifest == NULL || more == NULL || json_object_update(manifest, more) != 0) {
        json_decref(manifest);
        manifest = NULL;
    }
    json_decref(more);
    return manifest;
}

static json_t *result_of(const struct areal_result *result) {
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:f}", "area", result->area, "variable",
                  result->variable, "unit", result->unit, "window_s", (json_int_t)result->window_s,
                  "lead_s", (json_int_t)result->lead_s, "coverage", result->coverage);
    if (json != NULL && isnan(result->value)) {
        json_object_set_new(json, "value", json_null());
        json_object_set_new(json, "cause", json_string(result->cause));
        if (!isnan(result->at_least)) {
            json_object_set_new(json, "at_least", json_real(result->at_least));
        }
    } else if (json != NULL) {
        json_object_set_new(json, "value", json_real(result->value));
    }
    if (json != NULL && !isnan(result->probability)) {
        json_object_set_new(json, "probability", json_real(result->probability));
    }
    return json;
}

json_t *report_make(const struct report *report, struct areal *areal) {
    size_t count = areal_result_count(areal);
    struct areal_result *results = malloc((count + 1) * sizeof *results);
    json_t *list = NULL;
    if (results != NULL && areal_finish(areal, results, NULL) == 0) {
        list = json_array();
    }
    for (size_t i = 0; list != NULL && i < count; i++) {
        if (json_array_append_new(list, result_of(&results[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    free(results);
    return output_object("areal", report->product, report->inputs->reference_us,
                         manifest_of(report), list);
}
