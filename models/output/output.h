/* What a run leaves behind: its JSON object for the daemon's jobs, its run manifest, files that
 * appear only when complete.
 *
 * Manifest: {model, build, parameters, inputs: [{name, sha256, ...}], ...}. Its hash is that of its
 * compact text with sorted keys, so that the same inputs, parameters and build always give the same
 * hash, wherever the files lie. Thread rule: pure functions of their arguments and the files. */
#ifndef CANHBAO_MODELS_OUTPUT_OUTPUT_H
#define CANHBAO_MODELS_OUTPUT_OUTPUT_H

#include <jansson.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/ids.h"

/* The last part of a path. */
const char *output_base_name(const char *path);

/* Writes all of a text. ERR_IO with errno. */
int output_write_fd(int fd, const char *text);

/* Temporary name, fsync, rename: half a file is never seen. */
int output_write_file(const char *path, const char *text, struct err *ret_err);
int output_write_bytes(const char *path, const void *data, size_t size, struct err *ret_err);

/* JSON that an earlier run or a person left; no key twice. ERR_IO when it cannot be read,
 * ERR_CORRUPT with "file:line:column". json_decref() the root. */
int output_read_json(const char *path, json_t **ret_root, struct err *ret_err);

/* JSON, indented, numbers with 17 digits; `path` NULL or "-" is standard output. `json` NULL is
 * told as ERR_MEMORY. */
int output_write_json(const char *path, const json_t *json, struct err *ret_err);

/* A manifest without inputs. Takes `parameters` over. NULL: no memory. */
json_t *manifest_create(const char *model, json_t *parameters);
/* Adds a file with its hash to "inputs". ERR_IO, ERR_MEMORY. */
int manifest_add_file(json_t *manifest, const char *path, struct err *ret_err);
/* A manifest of these files; NULL entries are files that were not given. Takes `parameters` over.
 * NULL, with a sentence: a file that cannot be read, or no memory. */
json_t *manifest_of_files(const char *model, json_t *parameters, const char *const *files,
                          size_t file_count, struct err *ret_err);
int manifest_hash(const json_t *manifest, char ret_text[HASH_TEXT_SIZE]);

/* {model, product, reference_time, manifest, manifest_sha256, results}. Takes `manifest` and
 * `results` over, also on failure. NULL: one of them is NULL, or no memory. */
json_t *output_object(const char *model, const char *product, int64_t reference_us,
                      json_t *manifest, json_t *results);

#endif
