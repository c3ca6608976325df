#include "models/nowcast/members.h"

#include <math.h>
#include <stdlib.h>

/* Marks a pixel where some member is missing: no probability can be told. */
enum { COUNT_MISSING = UINT16_MAX };

static const float threshold_mm_h[MEMBERS_PROBABILITIES] = {0.1F, 1.0F, 5.0F};

static const char *const amount_names[AMOUNTS_WINDOWS][AMOUNTS_THRESHOLDS] = {
    {"probability_amount_1h_10", "probability_amount_1h_20", "probability_amount_1h_50"},
    {"probability_amount_2h_10", "probability_amount_2h_20", "probability_amount_2h_50"},
    {"probability_amount_3h_10", "probability_amount_3h_20", "probability_amount_3h_50"}};
static const char *const amount_long_names[AMOUNTS_WINDOWS][AMOUNTS_THRESHOLDS] = {
    {"share of members with at least 10 mm in 1 h, observed and forecast",
     "share of members with at least 20 mm in 1 h, observed and forecast",
     "share of members with at least 50 mm in 1 h, observed and forecast"},
    {"share of members with at least 10 mm in 2 h, observed and forecast",
     "share of members with at least 20 mm in 2 h, observed and forecast",
     "share of members with at least 50 mm in 2 h, observed and forecast"},
    {"share of members with at least 10 mm in 3 h, observed and forecast",
     "share of members with at least 20 mm in 3 h, observed and forecast",
     "share of members with at least 50 mm in 3 h, observed and forecast"}};

size_t members_variables(float max_mm_h, const struct amounts *amounts,
                         struct ncwrite_variable ret_variables[MEMBERS_VARIABLES]) {
    static const char *const names[] = {"probability_rate_0p1", "probability_rate_1",
                                        "probability_rate_5"};
    static const char *const long_names[] = {
        "share of members with a rainfall rate of at least 0.1 mm h-1",
        "share of members with a rainfall rate of at least 1 mm h-1",
        "share of members with a rainfall rate of at least 5 mm h-1"};
    ret_variables[0] = (struct ncwrite_variable){.name = "rainfall_rate",
                                                 .standard_name = "rainfall_rate",
                                                 .long_name = "rainfall rate, STEPS ensemble",
                                                 .units = "mm h-1",
                                                 .type = NCWRITE_SHORT,
                                                 .scale = max_mm_h < 327.0F ? 0.01 : 0.1,
                                                 .has_members = true,
                                                 .has_leads = true};
    for (int t = 0; t < MEMBERS_PROBABILITIES; t++) {
        ret_variables[1 + t] = (struct ncwrite_variable){.name = names[t],
                                                         .long_name = long_names[t],
                                                         .units = "1",
                                                         .type = NCWRITE_SHORT,
                                                         .scale = 0.001,
                                                         .has_leads = true};
    }
    size_t count = 1 + MEMBERS_PROBABILITIES;
    for (size_t w = 0; w < AMOUNTS_WINDOWS; w++) {
        for (size_t t = 0; t < AMOUNTS_THRESHOLDS && amounts_has(amounts, w); t++) {
            ret_variables[count] = ret_variables[1];
            ret_variables[count].name = amount_names[w][t];
            ret_variables[count].long_name = amount_long_names[w][t];
            ret_variables[count++].accumulation_s = amounts_window_s[w];
        }
    }
    return count;
}

int members_init(struct ncwriter *writer, size_t pixels, size_t leads, struct amounts *amounts,
                 struct members *ret_members) {
    struct members members = {
        .writer = writer, .pixels = pixels, .leads = leads, .amounts = amounts};
    members.above = calloc(MEMBERS_PROBABILITIES * leads * pixels, sizeof *members.above);
    members.field = malloc(pixels * sizeof *members.field);
    if (members.above == NULL || members.field == NULL) {
        members_finish(&members);
        return ERR_MEMORY;
    }
    *ret_members = members;
    return ERR_OK;
}

void members_finish(struct members *members) {
    free(members->above);
    free(members->field);
    members->above = NULL;
    members->field = NULL;
}

/* Packing must not lift a rate over the smallest threshold, the one between dry and wet. */
static float keep_below(float rate) {
    return rate < threshold_mm_h[0] && rate > threshold_mm_h[0] - 0.01F ? threshold_mm_h[0] - 0.01F
                                                                        : rate;
}

int members_take(void *context, int member, int lead, const float *rate) {
    struct members *members = context;
    for (size_t i = 0; i < members->pixels; i++) {
        members->field[i] = keep_below(rate[i]);
    }
    for (size_t t = 0; t < MEMBERS_PROBABILITIES; t++) {
        uint16_t *above = members->above + (t * members->leads + (size_t)lead) * members->pixels;
        for (size_t i = 0; i < members->pixels; i++) {
            if (isnan(rate[i])) {
                above[i] = COUNT_MISSING;
            } else if (above[i] != COUNT_MISSING) {
                above[i] = (uint16_t)(above[i] + (rate[i] >= threshold_mm_h[t]));
            }
        }
    }
    amounts_take(members->amounts, member, lead, rate);
    members->count += (size_t)lead + 1 == members->leads;
    return ncwriter_put(members->writer, 0, (size_t)member, (size_t)lead, members->field,
                        &members->err);
}

static int write_amounts(struct members *members, struct err *ret_err) {
    size_t variable = 1 + MEMBERS_PROBABILITIES;
    int result = ERR_OK;
    for (size_t w = 0; w < AMOUNTS_WINDOWS; w++) {
        for (size_t t = 0; t < AMOUNTS_THRESHOLDS && amounts_has(members->amounts, w); t++) {
            for (size_t lead = 0; lead < members->leads && result == ERR_OK; lead++) {
                amounts_probability(members->amounts, w, t, lead, members->count, members->field);
                result = ncwriter_put(members->writer, variable, 0, lead, members->field, ret_err);
            }
            variable++;
        }
    }
    return result;
}

int members_write_probabilities(struct members *members, struct err *ret_err) {
    int result = ERR_OK;
    for (size_t t = 0; t < MEMBERS_PROBABILITIES; t++) {
        for (size_t lead = 0; lead < members->leads && result == ERR_OK; lead++) {
            const uint16_t *above = members->above + (t * members->leads + lead) * members->pixels;
            for (size_t i = 0; i < members->pixels; i++) {
                members->field[i] =
                    above[i] == COUNT_MISSING ? NAN : (float)above[i] / (float)members->count;
            }
            result = ncwriter_put(members->writer, 1 + t, 0, lead, members->field, ret_err);
        }
    }
    return result == ERR_OK ? write_amounts(members, ret_err) : result;
}
