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

#endif
