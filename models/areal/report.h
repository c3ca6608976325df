/* What `canhbao-model areal` prints; the form stands in command.h. Thread rule: pure. */
#ifndef CANHBAO_MODELS_AREAL_REPORT_H
#define CANHBAO_MODELS_AREAL_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "models/areal/ahead.h"
#include "models/areal/areal.h"
#include "models/areal/classes.h"
#include "models/areal/inputs.h"

/* What a run knows at its end. */
struct report {
    const struct inputs *inputs;
    const struct areal_options *options;
    const char *product;
    bool nowcast; /* else persistence */
    int members;
    int64_t seed;
    const struct ahead_motion *motion;
    const struct classes *classes; /* NULL: none */
    const struct classes_file *classes_file;
};

/* Finishes the sums. NULL: no memory. */
json_t *report_make(const struct report *report, struct areal *areal);

#endif
