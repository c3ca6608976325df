#include "models/hydrology/gr_members.h"

#include <math.h>
#include <string.h>

enum { AT_ONCE = 16 };

struct run {
    const struct gr *gr;
    const struct gr_state *start;
    const struct gr_rain *rain;
    double m3_s_per_mm;
    double *flow_m3_s; /* [member][lead] */
};

/* After the first lost hour the state says nothing. */
static void finish_member(const struct run *run, size_t member) {
    double *flow = run->flow_m3_s + member * (size_t)run->rain->leads;
    bool known = true;
    for (int k = 0; k < run->rain->leads; k++) {
        known = known && !isnan(flow[k]);
        flow[k] = known ? flow[k] * run->m3_s_per_mm : (double)NAN;
    }
}

static void run_some(const struct run *run, size_t first, size_t count, const double *zero_rain_mm,
                     const double *held_rain_mm) {
    const struct gr_rain *rain = run->rain;
    struct gr_state states[AT_ONCE];
    struct gr_job jobs[AT_ONCE];
    memset(states, 0, count * sizeof *states);
    for (size_t i = 0; i < count; i++) {
        size_t member = first + i, at = member * (size_t)rain->leads;
        gr_state_copy(run->gr, &states[i], run->start);
        jobs[i] = (struct gr_job){run->gr, &states[i],
                                  member < rain->member_count    ? rain->rain_mm + at
                                  : member == rain->member_count ? zero_rain_mm
                                                                 : held_rain_mm,
                                  rain->evaporation_mm, run->flow_m3_s + at};
    }
    gr_run_many(jobs, count, (size_t)rain->leads);
    for (size_t i = 0; i < count; i++) {
        finish_member(run, first + i);
    }
}

void gr_members_run(const struct gr *gr, const struct gr_state *start, const struct gr_rain *rain,
                    double m3_s_per_mm, double *ret_flow_m3_s) {
    const struct run run = {gr, start, rain, m3_s_per_mm, ret_flow_m3_s};
    double zero[GR_MEMBERS_LEADS_MAX] = {0}, held[GR_MEMBERS_LEADS_MAX];
    size_t all = rain->member_count + 2;
    for (int k = 0; k < GR_MEMBERS_LEADS_MAX; k++) {
        held[k] = rain->rain_now_mm;
    }
    for (size_t first = 0; first < all; first += AT_ONCE) {
        run_some(&run, first, all - first < AT_ONCE ? all - first : AT_ONCE, zero, held);
    }
}
