/* Writes an ensemble as it comes, and the shares of its members above thresholds.
 *
 * Memory: one counter per pixel, lead and threshold, whatever the number of members. */
#ifndef CANHBAO_NOWCAST_MEMBERS_H
#define CANHBAO_NOWCAST_MEMBERS_H

#include <stddef.h>
#include <stdint.h>

#include "models/grid/ncwrite.h"

/* Variables of the file: the members' rates and the probabilities, in this order. */
enum { MEMBERS_PROBABILITIES = 3, MEMBERS_VARIABLES = 1 + MEMBERS_PROBABILITIES };

struct members {
    struct ncwriter *writer;
    size_t pixels;
    size_t leads;
    size_t count;    /* members taken at the last lead */
    uint16_t *above; /* [threshold][lead][pixel] */
    float *field;    /* one, for rounding and for probabilities */
    struct err err;  /* of the first failure to write */
};

/* Fills the description of the variables. max_mm_h is the largest rate that can come; it chooses
 * the step of the packed rates (0.01 mm/h up to 327 mm/h, else 0.1 mm/h). */
void members_variables(float max_mm_h, struct ncwrite_variable ret_variables[MEMBERS_VARIABLES]);

/* ERR_MEMORY. */
int members_init(struct ncwriter *writer, size_t pixels, size_t leads, struct members *ret_members);
void members_finish(struct members *members);

/* To be given to ensemble_run with a struct members as context. */
int members_take(void *context, int member, int lead, const float *rate);

/* Writes the probabilities once all members are there. */
int members_write_probabilities(struct members *members, struct err *ret_err);

#endif
