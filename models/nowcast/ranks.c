#include "models/nowcast/ranks.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A class is the exponent and the first 9 bits of the fraction of a binary32. */
enum { CLASS_SHIFT = 14, OCTAVES = 23, CLASSES = OCTAVES * 512, FIRST_CLASS = (127 - 10) * 512 };

static const float wet_min_mm_h = 0.0009765625F; /* 2^-10 */
static const float keep = -1.0F;

struct ranks {
    uint32_t has[CLASSES];
    uint32_t wants[CLASSES];
    float least[CLASSES];  /* value wanted in a class */
    float become[CLASSES]; /* what the values of a class become; `keep`: as they are */
};

int ranks_create(struct ranks **ret_ranks) {
    struct ranks *ranks = malloc(sizeof *ranks);
    if (ranks == NULL) {
        return ERR_MEMORY;
    }
    ranks_clear(ranks);
    ranks_decide(ranks);
    *ret_ranks = ranks;
    return ERR_OK;
}

void ranks_destroy(struct ranks *ranks) {
    free(ranks);
}

void ranks_clear(struct ranks *ranks) {
    memset(ranks->has, 0, sizeof ranks->has);
    memset(ranks->wants, 0, sizeof ranks->wants);
}

/* Of a value >= wet_min_mm_h. */
static inline size_t class_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    size_t class = (bits >> CLASS_SHIFT) - FIRST_CLASS;
    return class < CLASSES ? class : CLASSES - 1;
}

void ranks_count(struct ranks *ranks, float value, float wanted) {
    if (isnan(value) || isnan(wanted)) {
        return;
    }
    if (value >= wet_min_mm_h) {
        ranks->has[class_of(value)]++;
    }
    if (wanted >= wet_min_mm_h) {
        size_t class = class_of(wanted);
        bool first = ranks->wants[class]++ == 0;
        ranks->least[class] = first || wanted < ranks->least[class] ? wanted : ranks->least[class];
    }
}

void ranks_decide(struct ranks *ranks) {
    size_t above = 0;      /* pixels of the field in higher classes */
    size_t filled = 0;     /* pixels wanted in `want` and higher classes */
    size_t want = CLASSES; /* the class that the rank falls into */
    for (size_t class = CLASSES; class -- > 0;) {
        size_t rank = above + ranks->has[class] / 2;
        while (want > 0 && filled <= rank) {
            filled += ranks->wants[--want];
        }
        above += ranks->has[class];
        if (above == 0 || (filled > rank && want == class)) {
            ranks->become[class] = keep;
        } else {
            ranks->become[class] = filled > rank ? ranks->least[want] : 0.0F;
        }
    }
}

void ranks_match(const struct ranks *ranks, float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float value = values[i];
        if (value >= wet_min_mm_h) {
            float become = ranks->become[class_of(value)];
            values[i] = become == keep ? value : become;
        } else if (value > 0.0F) {
            values[i] = 0.0F;
        }
    }
}
