/* The command line of a model: "--name VALUE" and "--switch", strict, each at most once (a list any
 * number of times), in any order, from one table that also prints --help. */
#ifndef CANHBAO_MODELS_TABLE_ARGS_H
#define CANHBAO_MODELS_TABLE_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

enum args_kind { ARGS_TEXT, ARGS_NUMBER, ARGS_INT, ARGS_SWITCH, ARGS_LIST };

/* One or more words: "--in A.nc B.nc", up to the next word that begins with "--". */
enum { ARGS_LIST_MAX = 256 };
struct args_list {
    const char *words[ARGS_LIST_MAX];
    size_t count;
};

struct args_option {
    const char *name; /* without the dashes; a NULL name ends the table */
    enum args_kind kind;
    void *value; /* const char *, double, int64_t, bool or struct args_list; holds the default */
    bool required;
    double min;
    double max;
    const char *placeholder; /* "FILE.csv", "MM" */
    const char *help;        /* unit and meaning */
};

enum { ARGS_OPTIONS_MAX = 64 };

/* Fills the values. Returns MODEL_DONE when the model shall run, ARGS_HELPED when --help was asked
 * and printed, MODEL_USAGE after telling the mistake on stderr. `about` is what the model does,
 * with the columns and units of its files. */
enum { ARGS_HELPED = 100 };
int args_parse(int argc, char **argv, const struct args_option *options, const char *about);

/* Of a model that can be called in several ways, after args_parse(): this way needs the options of
 * `needs` and can do with those of `may` (names with blanks between) besides the required ones and
 * --manifest. One that is missing, or one of another way that would be ignored, is told on stderr:
 * MODEL_USAGE. `way` names the way: "--method cunge". */
int args_check_way(int argc, char **argv, const struct args_option *options, const char *way,
                   const char *needs, const char *may);

/* Tells the error of a run on stderr as one line and returns the exit code of the process:
 * MODEL_FAILED for what the machine could not do, MODEL_REFUSED for the input. */
int model_exit_of(const char *model, const struct err *err);

#endif
