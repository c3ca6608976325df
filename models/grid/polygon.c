#include "models/grid/polygon.h"

#include <stdbool.h>

void polygon_clip(const struct polygon *in, double ax, double ay, double bx, double by,
                  struct polygon *ret_out) {
    ret_out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        size_t next = i + 1 < in->count ? i + 1 : 0;
        double d0 = (bx - ax) * (in->y[i] - ay) - (by - ay) * (in->x[i] - ax);
        double d1 = (bx - ax) * (in->y[next] - ay) - (by - ay) * (in->x[next] - ax);
        bool left = d0 >= 0.0;
        if (left && ret_out->count < POLYGON_MAX) {
            ret_out->x[ret_out->count] = in->x[i];
            ret_out->y[ret_out->count++] = in->y[i];
        }
        if (left != (d1 >= 0.0) && ret_out->count < POLYGON_MAX) {
            double t = d0 / (d0 - d1);
            ret_out->x[ret_out->count] = in->x[i] + t * (in->x[next] - in->x[i]);
            ret_out->y[ret_out->count++] = in->y[i] + t * (in->y[next] - in->y[i]);
        }
    }
}

double polygon_area(const struct polygon *polygon) {
    double sum = 0.0;
    for (size_t i = 1; i + 1 < polygon->count; i++) { /* from the first vertex: small numbers */
        double ax = polygon->x[i] - polygon->x[0];
        double ay = polygon->y[i] - polygon->y[0];
        double bx = polygon->x[i + 1] - polygon->x[0];
        double by = polygon->y[i + 1] - polygon->y[0];
        sum += ax * by - bx * ay;
    }
    return 0.5 * sum;
}
