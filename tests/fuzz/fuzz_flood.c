/* What the flood model reads: a site as JSON (input begins with '{') or readings as CSV. Neither
 * may crash; a site that is taken must run an hour, readings that are taken must answer. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/flood_flow.h"
#include "models/hydrology/samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_site(const char *text, size_t size) {
    struct flood_site *site = NULL;
    struct flood_state *state = NULL;
    if (flood_site_parse("fuzz", text, size, &site, NULL) != 0) {
        return;
    }
    if (flood_state_create(site, 0, &state, NULL) == 0) {
        for (int t = 0; t < 3; t++) {
            struct flood_hour hour = {.start_us = state->end_us};
            struct flood_flows flows;
            for (size_t b = 0; b < site->basin_count; b++) {
                hour.rain_mm[b] = t == 1 ? (double)NAN : 5;
            }
            for (size_t r = 0; r < site->reservoir_count; r++) {
                hour.release_m3_s[r] = NAN;
            }
            flood_step(site, state, &hour, &flows);
            for (size_t n = 0; n < site->node_count; n++) {
                if (flows.dry_m3_s[n] < 0) {
                    abort(); /* rivers do not flow backwards */
                }
            }
        }
    }
    flood_state_destroy(state);
    free(site);
}

static void try_readings(const char *text, size_t size) {
    struct samples *samples = NULL;
    const struct flood_point point = {"a", "rate"};
    if (samples_parse("fuzz", text, size, &samples, NULL) != 0) {
        return;
    }
    int64_t first = samples_first_us(samples), last = samples_last_us(samples);
    if (first < last) {
        double mm = samples_rain_mm(samples, &point, 0, first, last);
        if (mm < 0) {
            abort();
        }
        (void)samples_at(samples, &point, last);
        (void)samples_rain_mm(samples, &point, 0.2, first, last);
    }
    samples_destroy(samples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 0 && data[0] == '{') {
        try_site((const char *)data, size);
    } else {
        try_readings((const char *)data, size);
    }
    return 0;
}
