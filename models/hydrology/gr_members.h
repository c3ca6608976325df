/* Rain members through one catchment: the open loop that forecast.h starts from.
 * Thread rule: pure function. */
#ifndef CANHBAO_MODELS_HYDROLOGY_GR_MEMBERS_H
#define CANHBAO_MODELS_HYDROLOGY_GR_MEMBERS_H

#include "models/hydrology/gr.h"

enum { GR_MEMBERS_LEADS_MAX = 96 };

struct gr_rain {
    int leads; /* hours, at most GR_MEMBERS_LEADS_MAX */
    size_t member_count;
    const double *rain_mm;        /* [member_count][leads], NaN unknown */
    double rain_now_mm;           /* of the newest hour, for persistence; may be NaN */
    const double *evaporation_mm; /* [leads] */
};

/* Runs each member from a copy of `start`, then one without rain and one with rain_now_mm each
 * hour: ret_flow_m3_s is [member_count + 2][leads]. After the first lost hour a member is NaN. */
void gr_members_run(const struct gr *gr, const struct gr_state *start, const struct gr_rain *rain,
                    double m3_s_per_mm, double *ret_flow_m3_s);

#endif
