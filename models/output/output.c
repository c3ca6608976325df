#include "models/output/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/text.h"

const char *output_base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int write_bytes(int fd, const void *data, size_t length) {
    const char *text = data;
    while (length > 0) {
        ssize_t count = write(fd, text, length);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return ERR_IO;
        }
        text += count;
        length -= (size_t)count;
    }
    return 0;
}

int output_write_fd(int fd, const char *text) {
    return write_bytes(fd, text, strlen(text));
}

int output_write_file(const char *path, const char *text, struct err *ret_err) {
    return output_write_bytes(path, text, strlen(text), ret_err);
}

int output_write_bytes(const char *path, const void *data, size_t size, struct err *ret_err) {
    char temporary[4096];
    int length = snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    int fd = length > 0 && (size_t)length < sizeof temporary
                 ? open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)
                 : -1;
    bool good = fd >= 0 && write_bytes(fd, data, size) == 0 && fsync(fd) == 0;
    int code = errno;
    if (fd >= 0) {
        good = close(fd) == 0 && good;
    }
    if (!good || rename(temporary, path) != 0) {
        code = good ? errno : code;
        if (fd >= 0) {
            (void)unlink(temporary); /* half a file is worse than none */
        }
        return err_set(ret_err, ERR_IO, "%.300s: %s", path, strerror(code));
    }
    return 0;
}

int output_read_json(const char *path, json_t **ret_root, struct err *ret_err) {
    json_error_t where;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return err_set(ret_err, ERR_IO, "%.300s: cannot open: %s", path, strerror(errno));
    }
    errno = 0;
    json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
    int failed = ferror(file) != 0 ? errno : 0;
    (void)fclose(file); /* only read */
    if (failed != 0) {
        json_decref(root);
        return err_set(ret_err, ERR_IO, "%.300s: cannot read: %s", path, strerror(failed));
    }
    if (root == NULL) {
        return err_set(ret_err, ERR_CORRUPT, "%.300s:%d:%d: not JSON: %.150s", path, where.line,
                       where.column, where.text);
    }
    *ret_root = root;
    return 0;
}

int output_write_json(const char *path, const json_t *json, struct err *ret_err) {
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    if (text == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the output");
    }
    int result;
    if (path != NULL && strcmp(path, "-") != 0) {
        result = output_write_file(path, text, ret_err);
    } else {
        result = output_write_fd(STDOUT_FILENO, text);
        if (result == 0) {
            result = output_write_fd(STDOUT_FILENO, "\n");
        }
        if (result != 0) {
            err_set(ret_err, result, "standard output: %s", strerror(errno));
        }
    }
    free(text);
    return result;
}

json_t *manifest_create(const char *model, json_t *parameters) {
    return json_pack("{s:s, s:s, s:o, s:[]}", "model", model, "build", CANHBAO_VERSION,
                     "parameters", parameters, "inputs");
}

int manifest_add_file(json_t *manifest, const char *path, struct err *ret_err) {
    char hash[HASH_TEXT_SIZE];
    if (hash_file(path, hash) != 0) {
        return err_set(ret_err, ERR_IO, "%.300s: cannot read: %s", path, strerror(errno));
    }
    json_t *entry = json_pack("{s:s, s:s}", "name", output_base_name(path), "sha256", hash);
    if (json_array_append_new(json_object_get(manifest, "inputs"), entry) != 0) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the manifest");
    }
    return 0;
}

json_t *manifest_of_files(const char *model, json_t *parameters, const char *const *files,
                          size_t file_count, struct err *ret_err) {
    json_t *manifest = manifest_create(model, parameters);
    if (manifest == NULL) {
        (void)err_set(ret_err, ERR_MEMORY, "no memory for the manifest");
        return NULL;
    }
    for (size_t i = 0; i < file_count; i++) {
        if (files[i] != NULL && manifest_add_file(manifest, files[i], ret_err) != 0) {
            json_decref(manifest);
            return NULL;
        }
    }
    return manifest;
}

int manifest_hash(const json_t *manifest, char ret_text[HASH_TEXT_SIZE]) {
    char *text = json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    if (text == NULL) {
        return ERR_MEMORY;
    }
    hash_text(text, strlen(text), ret_text);
    free(text);
    return 0;
}

json_t *output_object(const char *model, const char *product, int64_t reference_us,
                      json_t *manifest, json_t *results) {
    char hash[HASH_TEXT_SIZE];
    char reference[32];
    if (manifest == NULL || results == NULL || manifest_hash(manifest, hash) != 0) {
        json_decref(manifest);
        json_decref(results);
        return NULL;
    }
    text_format_time(reference_us, reference, sizeof reference);
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:o}", "model", model, "product", product,
                     "reference_time", reference, "manifest", manifest, "manifest_sha256", hash,
                     "results", results);
}
