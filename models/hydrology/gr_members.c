#include "models/hydrology/gr_members.h"

#include <math.h>
#include <string.h>

static void run_member(const struct gr *gr, const struct gr_state *start,
                       const struct gr_rain *rain, size_t member, double m3_s_per_mm,
                       double *ret_flow_m3_s) {
    struct gr_state state;
    memset(&state, 0, sizeof state);
    gr_state_copy(gr, &state, start);
    bool known = true;
    for (int k = 0; k < rain->leads; k++) {
        double rain_mm = member == rain->member_count ? 0 : rain->rain_now_mm;
        if (member < rain->member_count) {
            rain_mm = rain->rain_mm[member * (size_t)rain->leads + (size_t)k];
        }
        double runoff_mm =
            known ? gr_step(gr, &state, rain_mm, rain->evaporation_mm[k], NULL) : (double)NAN;
        known = !isnan(runoff_mm); /* after the first lost hour the state says nothing */
        ret_flow_m3_s[k] = runoff_mm * m3_s_per_mm;
    }
}

void gr_members_run(const struct gr *gr, const struct gr_state *start, const struct gr_rain *rain,
                    double m3_s_per_mm, double *ret_flow_m3_s) {
    for (size_t m = 0; m < rain->member_count + 2; m++) {
        run_member(gr, start, rain, m, m3_s_per_mm, ret_flow_m3_s + m * (size_t)rain->leads);
    }
}
