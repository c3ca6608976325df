/* Writes an ensemble as it comes, and the shares of its members above thresholds.
 *
 * Probabilities of rates, and of accumulations (amounts.h). Memory: one counter per pixel, lead and
 * threshold, whatever the number of members. */
#ifndef CANHBAO_NOWCAST_MEMBERS_H
#define CANHBAO_NOWCAST_MEMBERS_H

#include <stddef.h>
#include <stdint.h>

#include "models/grid/ncwrite.h"
#include "models/nowcast/amounts.h"

/* Variables of the file: the members' rates, the probabilities of rates, and those of accumulations
 * for the windows that are there, in this order. */
enum {
    MEMBERS_PROBABILITIES = 3,
    MEMBERS_VARIABLES = 1 + MEMBERS_PROBABILITIES + AMOUNTS_WINDOWS * AMOUNTS_THRESHOLDS
};

struct members {
    struct ncwriter *writer;
    size_t pixels;
    size_t leads;
    size_t count;    /* members taken at the last lead */
    uint16_t *above; /* [threshold][lead][pixel] */
    struct amounts *amounts;
    float *field;   /* one, for rounding and for probabilities */
    struct err err; /* of the first failure to write */
};

/* Fills the description of the variables and returns their number. max_mm_h is the largest rate
 * that can come; it chooses the step of the packed rates (0.01 mm/h up to 327 mm/h, else 0.1 mm/h).
 */
size_t members_variables(float max_mm_h, const struct amounts *amounts,
                         struct ncwrite_variable ret_variables[MEMBERS_VARIABLES]);

/* `amounts` has what was observed, and is still the caller's. ERR_MEMORY. */
int members_init(struct ncwriter *writer, size_t pixels, size_t leads, struct amounts *amounts,
                 struct members *ret_members);
void members_finish(struct members *members);

/* To be given to ensemble_run with a struct members as context. */
int members_take(void *context, int member, int lead, const float *rate);

/* Writes the probabilities once all members are there. */
int members_write_probabilities(struct members *members, struct err *ret_err);

#endif
