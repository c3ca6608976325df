/* The run manifest of a model that runs by hand: all its options as parameters, its input files and
 * what it wrote with their hashes, the build, the time that the run stands for.
 *
 * Which files are which: an option whose placeholder begins with FILE is a file; it is written by
 * the model when its name is out, report, csv, nc or manifest, or ends with -out; else read. "-" is
 * no file. Thread rule: pure function of its arguments and the files. */
#ifndef CANHBAO_MODELS_OUTPUT_RUN_MANIFEST_H
#define CANHBAO_MODELS_OUTPUT_RUN_MANIFEST_H

#include <stdint.h>

#include "models/table/args.h"

/* No time. */
#define RUN_MANIFEST_NO_TIME INT64_MIN

/* After a good run. `path` NULL: nothing is asked for. ERR_IO, ERR_MEMORY. */
int run_manifest_write(const char *path, const char *model, const struct args_option *options,
                       int64_t reference_us, struct err *ret_err);

#endif
