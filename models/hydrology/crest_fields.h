/* Fields of a distributed run as CF NetCDF: flows, soil, flash-flood guidance and what the rain
 * made of it. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CREST_FIELDS_H
#define CANHBAO_MODELS_HYDROLOGY_CREST_FIELDS_H

#include "models/hydrology/ffg_grid.h"

/* By place; NULL: not written. */
struct crest_fields {
    const double *discharge_m3_s; /* at the end */
    const double *peak_m3_s;      /* highest since the guidance, or since the start */
    const double *soil_share;     /* of WM at the end */
    const double *guidance_mm;    /* [duration][place] */
    const double *ratio;          /* [duration][place] most rain of the duration since, over it */
};

/* unit_streamflow and peak_unit_streamflow (m3 s-1 km-2) are made here. reference_us: of the
 * guidance. NaN where unknown and outside the network. */
int crest_fields_write(const char *path, const struct crest_domain *domain,
                       const struct crest_fields *fields, int64_t reference_us,
                       struct err *ret_err);

#endif
