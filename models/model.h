/* The models that canhbao-model can run.
 *
 * A model is one entry of the table in models/main.c. It is given its own command line (argv[0] is
 * the model's name), does its work, and returns the exit code of the process:
 *   0  done
 *   1  a failure of the machine (out of memory, disk full, cannot write)
 *   2  wrong usage
 *   3  the input was refused; one line on stderr names file, variable or column, value, expectation
 * Results go to the files named by the options (or stdout for `--json`), progress and errors to
 * stderr. Models are free of global state and use no socket. */
#ifndef CANHBAO_MODELS_MODEL_H
#define CANHBAO_MODELS_MODEL_H

enum model_exit {
    MODEL_DONE = 0,
    MODEL_FAILED = 1,
    MODEL_USAGE = 2,
    MODEL_REFUSED = 3,
};

struct model {
    const char *name;
    const char *summary; /* one line for --help */
    int (*run)(int argc, char **argv);
};

#endif
