/* Where the files of a product's runs are kept: FOLDER/RUN/FILE, with RUN =
 * "20251119T060000Z-000012": reference time, then a counter, so that names in order are runs in
 * order. A run under way works in FOLDER/.run and appears by rename; only the newest are kept.
 *
 * Thread rule: loop thread; every call is bounded by RUN_FOLDER_SCAN_MAX entries. */
#ifndef CANHBAO_DAEMON_RUN_FOLDER_H
#define CANHBAO_DAEMON_RUN_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"

enum {
    RUN_FOLDER_PATH_SIZE = 1024,
    RUN_FOLDER_NAME_SIZE = 32,
    RUN_FOLDER_SCAN_MAX = 4096,
    RUN_FOLDER_FILES_MAX = 100
};

/* The kept runs, oldest first. */
struct run_folder_list {
    size_t count;
    char (*names)[RUN_FOLDER_NAME_SIZE]; /* [count] */
};

/* Makes FOLDER (its parent must exist) and an empty FOLDER/.run, whose path is returned. */
int run_folder_begin(const char *folder, char ret_path[RUN_FOLDER_PATH_SIZE], struct err *ret_err);
/* Writes a file into FOLDER/.run. */
int run_folder_write(const char *folder, const char *file, const void *bytes, size_t length,
                     struct err *ret_err);
/* Names FOLDER/.run for good and deletes the oldest beyond keep_max. ERR_LIMIT when it holds more
 * than bytes_max or RUN_FOLDER_FILES_MAX files, or anything but plain files. */
int run_folder_keep(const char *folder, struct utc_us reference_time, size_t keep_max,
                    int64_t bytes_max, struct err *ret_err);

/* FOLDER need not exist: an empty list then. ret_list must be finished. */
int run_folder_list(const char *folder, struct run_folder_list *ret_list, struct err *ret_err);
void run_folder_list_finish(struct run_folder_list *list);
/* Path of FILE in the newest run that has it. ERR_NOT_FOUND. */
int run_folder_newest(const char *folder, const char *file, char ret_path[RUN_FOLDER_PATH_SIZE]);

#endif
