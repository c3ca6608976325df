#include "models/nowcast/amounts.h"

#include <math.h>
#include <stdlib.h>

/* Marks a pixel where some member is missing: no probability can be told. */
enum { COUNT_MISSING = UINT16_MAX };

const int64_t amounts_window_s[AMOUNTS_WINDOWS] = {3600, 7200, 10800};
const float amounts_threshold_mm[AMOUNTS_THRESHOLDS] = {10.0F, 20.0F, 50.0F};

struct amounts {
    size_t pixels;
    size_t leads;
    size_t together;
    float step_h;
    size_t slots;                   /* of the longest window */
    size_t window[AMOUNTS_WINDOWS]; /* in steps; 0: left out */
    size_t observed;                /* slots so far */
    float *sum;                     /* of the observed rates so far, [pixel] */
    uint16_t *got;                  /* slots with data so far, [pixel] */
    float *past;                    /* mm of the observed part, [window][lead][pixel] */
    float *total;    /* mm since the reference time, [member of a group][lead][pixel] */
    uint16_t *above; /* [window][threshold][lead][pixel] */
};

static size_t past_at(const struct amounts *amounts, size_t window, size_t lead) {
    return (window * amounts->leads + lead) * amounts->pixels;
}

static size_t above_at(const struct amounts *amounts, size_t window, size_t threshold,
                       size_t lead) {
    return ((window * AMOUNTS_THRESHOLDS + threshold) * amounts->leads + lead) * amounts->pixels;
}

int amounts_create(size_t pixels, int64_t step_s, size_t leads, size_t together,
                   struct amounts **ret_amounts) {
    struct amounts *amounts = calloc(1, sizeof *amounts);
    if (amounts == NULL) {
        return ERR_MEMORY;
    }
    amounts->pixels = pixels;
    amounts->leads = leads;
    amounts->together = together;
    amounts->step_h = (float)step_s / 3600.0F;
    for (size_t w = 0; w < AMOUNTS_WINDOWS; w++) {
        if (amounts_window_s[w] % step_s == 0) {
            amounts->window[w] = (size_t)(amounts_window_s[w] / step_s);
            amounts->slots = amounts->window[w];
        }
    }
    amounts->sum = calloc(pixels, sizeof *amounts->sum);
    amounts->got = calloc(pixels, sizeof *amounts->got);
    amounts->past = calloc(AMOUNTS_WINDOWS * leads * pixels, sizeof *amounts->past);
    amounts->total = malloc(together * leads * pixels * sizeof *amounts->total);
    amounts->above =
        calloc(AMOUNTS_WINDOWS * AMOUNTS_THRESHOLDS * leads * pixels, sizeof *amounts->above);
    if (amounts->sum == NULL || amounts->got == NULL || amounts->past == NULL ||
        amounts->total == NULL || amounts->above == NULL) {
        amounts_destroy(amounts);
        return ERR_MEMORY;
    }
    *ret_amounts = amounts;
    return ERR_OK;
}

void amounts_destroy(struct amounts *amounts) {
    if (amounts == NULL) {
        return;
    }
    free(amounts->sum);
    free(amounts->got);
    free(amounts->past);
    free(amounts->total);
    free(amounts->above);
    free(amounts);
}

int amounts_has(const struct amounts *amounts, size_t window) {
    return amounts->window[window] > 0;
}

size_t amounts_slots(const struct amounts *amounts) {
    return amounts->slots;
}

void amounts_observe(struct amounts *amounts, const float *rate) {
    size_t slots = ++amounts->observed;
    for (size_t i = 0; rate != NULL && i < amounts->pixels; i++) {
        if (!isnan(rate[i])) {
            amounts->sum[i] += rate[i];
            amounts->got[i]++;
        }
    }
    for (size_t w = 0; w < AMOUNTS_WINDOWS; w++) {
        /* The window ends `lead + 1` steps ahead and begins with this slot. */
        if (amounts->window[w] <= slots || amounts->window[w] - slots > amounts->leads) {
            continue;
        }
        float *past = amounts->past + past_at(amounts, w, amounts->window[w] - slots - 1);
        for (size_t i = 0; i < amounts->pixels; i++) {
            size_t got = amounts->got[i];
            past[i] = got * 100 >= slots * AMOUNTS_SHARE_MIN
                          ? amounts->sum[i] / (float)got * (float)slots * amounts->step_h
                          : NAN;
        }
    }
}

static void count(struct amounts *amounts, size_t window, size_t lead, const float *total,
                  const float *before) {
    const float *past = amounts->past + past_at(amounts, window, lead);
    for (size_t t = 0; t < AMOUNTS_THRESHOLDS; t++) {
        uint16_t *above = amounts->above + above_at(amounts, window, t, lead);
        float threshold = amounts_threshold_mm[t];
        for (size_t i = 0; i < amounts->pixels; i++) {
            float mm = past[i] + total[i] - (before != NULL ? before[i] : 0.0F);
            if (isnan(mm)) {
                above[i] = COUNT_MISSING;
            } else if (above[i] != COUNT_MISSING) {
                above[i] = (uint16_t)(above[i] + (mm >= threshold));
            }
        }
    }
}

void amounts_take(struct amounts *amounts, int member, int lead, const float *rate) {
    float *totals =
        amounts->total + (size_t)member % amounts->together * amounts->leads * amounts->pixels;
    float *total = totals + (size_t)lead * amounts->pixels;
    const float *last = lead > 0 ? total - amounts->pixels : NULL;
    for (size_t i = 0; i < amounts->pixels; i++) {
        total[i] = (last != NULL ? last[i] : 0.0F) + rate[i] * amounts->step_h; /* NaN stays */
    }
    for (size_t w = 0; w < AMOUNTS_WINDOWS; w++) {
        size_t window = amounts->window[w];
        if (window > 0) {
            const float *before = (size_t)lead >= window ? total - window * amounts->pixels : NULL;
            count(amounts, w, (size_t)lead, total, before);
        }
    }
}

void amounts_probability(const struct amounts *amounts, size_t window, size_t threshold,
                         size_t lead, size_t members, float *ret_field) {
    const uint16_t *above = amounts->above + above_at(amounts, window, threshold, lead);
    for (size_t i = 0; i < amounts->pixels; i++) {
        ret_field[i] = above[i] == COUNT_MISSING ? NAN : (float)above[i] / (float)members;
    }
}
