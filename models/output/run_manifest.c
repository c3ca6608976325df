#include "models/output/run_manifest.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <jansson.h>

#include "daemon/base/text.h"
#include "models/output/output.h"

static bool is_file(const struct args_option *option) {
    return option->placeholder != NULL && strncmp(option->placeholder, "FILE", 4) == 0;
}

static bool is_written(const char *name) {
    static const char *const names[] = {"out", "report", "csv", "nc", "manifest"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return length > 4 && strcmp(name + length - 4, "-out") == 0;
}

static int add_file(json_t *list, const char *option, const char *path, struct err *ret_err) {
    char hash[HASH_TEXT_SIZE];
    if (strcmp(path, "-") == 0) {
        return 0;
    }
    if (hash_file(path, hash) != 0) {
        return err_set(ret_err, ERR_IO, "%.300s: cannot read: %s", path, strerror(errno));
    }
    json_t *entry = json_pack("{s:s, s:s, s:s}", "option", option, "name", output_base_name(path),
                              "sha256", hash);
    return json_array_append_new(list, entry) == 0
               ? 0
               : err_set(ret_err, ERR_MEMORY, "no memory for the manifest");
}

static int add_files(json_t *list, const struct args_option *option, struct err *ret_err) {
    int rc = 0;
    if (option->kind == ARGS_LIST) {
        const struct args_list *words = option->value;
        for (size_t i = 0; rc == 0 && i < words->count; i++) {
            rc = add_file(list, option->name, words->words[i], ret_err);
        }
        return rc;
    }
    const char *path = *(const char *const *)option->value;
    return path == NULL ? 0 : add_file(list, option->name, path, ret_err);
}

/* The value of an option that is no file; NULL when it was not given and has no default. */
static json_t *value_of(const struct args_option *option) {
    switch (option->kind) {
    case ARGS_TEXT: {
        const char *text = *(const char *const *)option->value;
        return text == NULL ? NULL : json_string(text);
    }
    case ARGS_NUMBER: {
        double number = *(const double *)option->value;
        return isfinite(number) ? json_real(number) : NULL;
    }
    case ARGS_INT:
        return json_integer(*(const int64_t *)option->value);
    case ARGS_SWITCH:
        return json_boolean(*(const bool *)option->value);
    case ARGS_LIST:
        break;
    }
    return NULL;
}

int run_manifest_write(const char *path, const char *model, const struct args_option *options,
                       int64_t reference_us, struct err *ret_err) {
    json_t *parameters = json_object(), *outputs = json_array(), *root = NULL;
    int rc = 0;
    if (path == NULL) {
        json_decref(parameters);
        json_decref(outputs);
        return 0;
    }
    root = manifest_create(model, parameters);
    if (root == NULL || json_object_set_new(root, "outputs", outputs) != 0) {
        json_decref(root);
        return err_set(ret_err, ERR_MEMORY, "no memory for the manifest");
    }
    for (const struct args_option *option = options; rc == 0 && option->name != NULL; option++) {
        if (strcmp(option->name, "manifest") == 0) {
            continue;
        }
        if (is_file(option)) {
            rc = add_files(is_written(option->name) ? outputs : json_object_get(root, "inputs"),
                           option, ret_err);
        } else {
            json_t *value = value_of(option);
            if (value != NULL) {
                (void)json_object_set_new(parameters, option->name, value);
            }
        }
    }
    if (reference_us != RUN_MANIFEST_NO_TIME) {
        char time[32];
        text_format_time(reference_us, time, sizeof time);
        (void)json_object_set_new(root, "reference_time", json_string(time));
    }
    rc = rc != 0 ? rc : output_write_json(path, root, ret_err);
    json_decref(root);
    return rc;
}
