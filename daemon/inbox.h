/* A folder that files are dropped into: INBOX/NAME (complete: they appear by rename), INBOX/done
 * and INBOX/quarantine. Names that begin with '.' or end in .tmp, .part or .reason are not files
 * yet.
 *
 * Thread rule: loop thread; every call is bounded by INBOX_SCAN_MAX entries. */
#ifndef CANHBAO_DAEMON_INBOX_H
#define CANHBAO_DAEMON_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

enum { INBOX_SCAN_MAX = 20000, INBOX_NAME_SIZE = 200, INBOX_PATH_SIZE = 1024 };

struct inbox_file {
    char name[INBOX_NAME_SIZE];
    int64_t modified_ns; /* of the file system's clock: order only */
    int64_t bytes;
    bool regular;
};

/* Makes the folder's two subfolders. ERR_IO names the path. */
int inbox_prepare(const char *folder, struct err *ret_err);

/* The newest `max` files, newest first (same time: by name, last first); ret_all counts all. */
int inbox_list(const char *folder, size_t max, struct inbox_file *ret_files, size_t *ret_count,
               size_t *ret_all, struct err *ret_err);

/* Moves to done/ or quarantine/, never over another file: "NAME", "NAME~1", ... With a reason,
 * quarantine/NAME.reason holds it as one line. */
int inbox_done(const char *folder, const char *name, struct err *ret_err);
int inbox_quarantine(const char *folder, const char *name, const char *reason, struct err *ret_err);

/* Deletes the oldest files of a subfolder ("done", "quarantine") beyond `count_max` and those
 * older than age_max_s. */
int inbox_retain(const char *folder, const char *subfolder, size_t count_max, int64_t age_max_s,
                 struct err *ret_err);

#endif
