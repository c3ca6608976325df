#include "daemon/job_output.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

static const int64_t span_max_s = 366 * 86400;

/* A text member that fits; "" is allowed where `empty` is. */
static bool take_text(const json_t *object, const char *key, char *ret_text, size_t size) {
    const json_t *member = json_object_get(object, key);
    const char *text = json_string_value(member);
    return text != NULL && json_string_length(member) == strlen(text) &&
           text_is_utf8_line(text, strlen(text)) && text_copy(ret_text, size, text) == 0;
}

static bool take_seconds(const json_t *object, const char *key, int64_t *ret_us) {
    const json_t *member = json_object_get(object, key);
    if (!json_is_integer(member) || json_integer_value(member) < 0 ||
        json_integer_value(member) > span_max_s) {
        return false;
    }
    *ret_us = (int64_t)json_integer_value(member) * 1000000;
    return true;
}

/* A finite number in [min, max]; null or absent gives NaN. */
static bool take_number(const json_t *object, const char *key, double min, double max,
                        double *ret_value) {
    const json_t *member = json_object_get(object, key);
    if (member == NULL || json_is_null(member)) {
        *ret_value = NAN;
        return true;
    }
    double value = json_number_value(member);
    if (!json_is_number(member) || !isfinite(value) || value < min || value > max) {
        return false;
    }
    *ret_value = value;
    return true;
}

static int read_result(const json_t *json, size_t index, struct model_result *result,
                       struct err *ret_err) {
    const char *bad = NULL;
    if (!take_text(json, "area", result->place, sizeof result->place) ||
        !text_is_id(result->place)) {
        bad = "area";
    } else if (!take_text(json, "variable", result->variable, sizeof result->variable) ||
               !text_is_id(result->variable)) {
        bad = "variable";
    } else if (!take_text(json, "unit", result->unit, sizeof result->unit)) {
        bad = "unit";
    } else if (!take_seconds(json, "window_s", &result->window_us)) {
        bad = "window_s";
    } else if (!take_seconds(json, "lead_s", &result->lead_us)) {
        bad = "lead_s";
    } else if (json_object_get(json, "value") == NULL ||
               !take_number(json, "value", -1e12, 1e12, &result->value)) {
        bad = "value";
    } else if (!take_number(json, "at_least", 0.0, 1e12, &result->at_least) ||
               (!isnan(result->at_least) && !isnan(result->value))) {
        bad = "at_least";
    } else if (!take_number(json, "coverage", 0.0, 1.0, &result->coverage)) {
        bad = "coverage";
    } else if (!take_number(json, "probability", 0.0, 1.0, &result->probability)) {
        bad = "probability";
    } else if (json_object_get(json, "doubtful") != NULL &&
               !json_is_boolean(json_object_get(json, "doubtful"))) {
        bad = "doubtful";
    } else if (isnan(result->value) &&
               (!take_text(json, "cause", result->cause, sizeof result->cause) ||
                result->cause[0] == '\0')) {
        bad = "cause";
    }
    result->doubt =
        json_is_true(json_object_get(json, "doubtful")) ? MODEL_DOUBT_INPUT : MODEL_DOUBT_NONE;
    return bad == NULL ? 0 : err_set(ret_err, ERR_INVALID, "result %zu: bad %s", index, bad);
}

static int read_head(const json_t *root, const char *model, const char *product,
                     struct utc_us newest, struct model_result *ret_head, struct err *ret_err) {
    char time[40];
    struct model_result head = {.window_us = 0};
    if (!take_text(root, "model", head.model, sizeof head.model) ||
        strcmp(head.model, model) != 0 ||
        !take_text(root, "product", head.product, sizeof head.product) ||
        strcmp(head.product, product) != 0) {
        return err_set(ret_err, ERR_INVALID, "model or product is not that of the job");
    }
    if (!take_text(root, "reference_time", time, sizeof time) ||
        text_parse_time(time, &head.reference_time.us) != 0 || head.reference_time.us > newest.us) {
        return err_set(ret_err, ERR_INVALID, "reference_time is missing or in the future");
    }
    if (!take_text(root, "manifest_sha256", head.manifest, sizeof head.manifest) ||
        strspn(head.manifest, "0123456789abcdef") != HASH_TEXT_SIZE - 1) {
        return err_set(ret_err, ERR_INVALID, "manifest_sha256 is not a hash");
    }
    *ret_head = head;
    return 0;
}

static int read_results(const json_t *list, const struct model_result *head,
                        struct job_output *output, struct err *ret_err) {
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > JOB_RESULTS_MAX) {
        return err_set(ret_err, ERR_INVALID, "results is no list of at most %d", JOB_RESULTS_MAX);
    }
    if (count == 0) {
        return 0;
    }
    output->results = malloc(count * sizeof *output->results);
    if (output->results == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for results");
    }
    for (size_t i = 0; i < count; i++) {
        output->results[i] = *head;
        int result = read_result(json_array_get(list, i), i, &output->results[i], ret_err);
        if (result != 0) {
            return result;
        }
    }
    output->count = count;
    return 0;
}

/* ---- scores ---- */

static const char *read_key(const json_t *json, struct skill_key *key) {
    if (!take_text(json, "product", key->product, sizeof key->product) ||
        !text_is_id(key->product)) {
        return "product";
    }
    if (!take_text(json, "system", key->system, sizeof key->system) || !text_is_id(key->system)) {
        return "system";
    }
    if (!take_text(json, "place", key->place, sizeof key->place) ||
        (key->place[0] != '\0' && !text_is_id(key->place))) {
        return "place";
    }
    if (!take_text(json, "variable", key->variable, sizeof key->variable) ||
        !text_is_id(key->variable)) {
        return "variable";
    }
    if (!take_text(json, "unit", key->unit, sizeof key->unit)) {
        return "unit";
    }
    if (!take_seconds(json, "lead_s", &key->lead_us)) {
        return "lead_s";
    }
    return take_number(json, "threshold", -1e12, 1e12, &key->threshold) ? NULL : "threshold";
}

static bool read_sums(const json_t *json, double sums[SKILL_SUM_COUNT]) {
    const char *name;
    json_t *member;
    memset(sums, 0, SKILL_SUM_COUNT * sizeof *sums);
    json_object_foreach((json_t *)(uintptr_t)json, name, member) {
        enum skill_sum which;
        double value = json_number_value(member);
        if (skill_sum_find(name, &which) != 0 || !json_is_number(member) || !isfinite(value) ||
            fabs(value) > 1e18) {
            return false;
        }
        sums[which] = value;
    }
    return json_is_object(json);
}

static int read_score(const json_t *json, size_t index, struct utc_us newest,
                      struct skill_score *score, struct err *ret_err) {
    char valid[40];
    const char *bad = read_key(json, &score->skill.key);
    if (bad == NULL &&
        (!take_text(json, "valid_time", valid, sizeof valid) ||
         text_parse_time(valid, &score->valid.us) != 0 || score->valid.us > newest.us)) {
        bad = "valid_time";
    } else if (bad == NULL && json_object_get(json, "late") != NULL &&
               !json_is_boolean(json_object_get(json, "late"))) {
        bad = "late";
    } else if (bad == NULL && !read_sums(json_object_get(json, "sums"), score->skill.sums)) {
        bad = "sums";
    }
    score->late = json_is_true(json_object_get(json, "late"));
    return bad == NULL ? 0 : err_set(ret_err, ERR_INVALID, "score %zu: bad %s", index, bad);
}

static int read_scores(const json_t *list, struct utc_us newest, struct job_output *output,
                       struct err *ret_err) {
    size_t count = json_array_size(list);
    if (list == NULL) {
        return 0;
    }
    if (!json_is_array(list) || count > JOB_SCORES_MAX) {
        return err_set(ret_err, ERR_INVALID, "scores is no list of at most %d", JOB_SCORES_MAX);
    }
    output->scores = calloc(count + 1, sizeof *output->scores);
    if (output->scores == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for scores");
    }
    for (size_t i = 0; i < count; i++) {
        int result = read_score(json_array_get(list, i), i, newest, &output->scores[i], ret_err);
        if (result != 0) {
            return result;
        }
    }
    output->score_count = count;
    return 0;
}

int job_output_parse(const char *text, size_t length, const char *model, const char *product,
                     struct utc_us newest, struct job_output *ret_output, struct err *ret_err) {
    json_error_t error;
    struct model_result head;
    struct job_output output = {.count = 0};
    if (length > JOB_OUTPUT_BYTES_MAX) {
        return err_set(ret_err, ERR_LIMIT, "output of more than %d bytes", JOB_OUTPUT_BYTES_MAX);
    }
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return err_set(ret_err, ERR_SYNTAX, "output is not JSON: %.100s", error.text);
    }
    int result = read_head(root, model, product, newest, &head, ret_err);
    if (result == 0) {
        output.reference_time = head.reference_time;
        memcpy(output.manifest, head.manifest, sizeof output.manifest);
        const json_t *manifest = json_object_get(root, "manifest");
        output.manifest_json =
            json_is_object(manifest)
                ? json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17))
                : strdup("null");
        result = output.manifest_json == NULL
                     ? err_set(ret_err, ERR_MEMORY, "no memory for the manifest")
                     : read_results(json_object_get(root, "results"), &head, &output, ret_err);
    }
    if (result == 0) {
        result = read_scores(json_object_get(root, "scores"), newest, &output, ret_err);
    }
    json_decref(root);
    if (result != 0) {
        job_output_finish(&output);
        return result;
    }
    *ret_output = output;
    return 0;
}

void job_output_finish(struct job_output *output) {
    free(output->manifest_json);
    free(output->results);
    free(output->scores);
    *output = (struct job_output){.count = 0};
}
