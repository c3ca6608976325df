/* The cage of a model worker: after sandbox_enter the process can compute, read and write the
 * descriptors it already has, allocate, and exit. Nothing else: no file can be opened, no socket
 * made, no program started, no thread or child created (allow-list by libseccomp, everything else
 * answers EPERM, opening a file ENOENT); no_new_privs is set; memory, CPU time, file size, core
 * dumps and processes are limited.
 *
 * Open inputs, outputs and the databases (grid_env_create) before. Thread rule: call it once, from
 * a process that has a single thread. */
#ifndef CANHBAO_MODELS_GRID_SANDBOX_H
#define CANHBAO_MODELS_GRID_SANDBOX_H

#include <stddef.h>

#include "daemon/base/err.h"

struct sandbox_limits {
    size_t memory_bytes; /* address space; 0: none (builds with AddressSanitizer ignore it) */
    unsigned cpu_s;      /* CPU time; 0: none */
    size_t file_bytes;   /* what may be written to a regular file */
};

/* ERR_DENIED, ERR_UNSUPPORTED: the kernel refuses; the caller must not go on. */
int sandbox_enter(const struct sandbox_limits *limits, struct err *ret_err);

/* A wider cage for a model that opens its files itself: as above, but files may be opened that
 * Landlock lets it: `reads` and what is below /usr/share (databases of units and projections) to
 * read, files in `folder` (no folders, links or devices; NULL: nowhere) to make, read, write,
 * rename and remove. Needs a kernel with Landlock (Linux 5.13, enabled in Debian 12);
 * ERR_UNSUPPORTED without. */
int sandbox_enter_folder(const struct sandbox_limits *limits, const char *folder,
                         const char *const *reads, size_t read_count, struct err *ret_err);

#endif
