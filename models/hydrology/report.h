/* A self-contained HTML page with figures and hydrographs (SVG), for people. */
#ifndef CANHBAO_MODELS_HYDROLOGY_REPORT_H
#define CANHBAO_MODELS_HYDROLOGY_REPORT_H

#include <stddef.h>

#include <jansson.h>

#include "models/hydrology/series.h"

struct report_plot {
    const char *title;
    const struct series *series;
    const double *observed; /* NaN leaves a hole in the line */
    const double *simulated;
    size_t from;
    size_t to;
};

/* `figures` is shown as indented JSON. Long series are drawn as the range of each of some 800
 * columns, so that no peak is lost. */
int report_write(const char *path, const char *title, const json_t *figures,
                 const struct report_plot *plots, size_t count, struct err *ret_err);

#endif
