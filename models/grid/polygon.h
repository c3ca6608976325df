/* Small polygons in the plane: the part on one side of a line, the area.
 *
 * Of a polygon that is not convex the part may hang together by edges of no width; its area is
 * right. Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_GRID_POLYGON_H
#define CANHBAO_MODELS_GRID_POLYGON_H

#include <stddef.h>

/* A line adds at most half the vertices: 8 vertices and four lines give 8, 12, 18, 27, 40. */
enum { POLYGON_MAX = 40 };

struct polygon {
    size_t count;
    double x[POLYGON_MAX];
    double y[POLYGON_MAX];
};

/* The part to the left of the line from a to b (Sutherland & Hodgman 1974). */
void polygon_clip(const struct polygon *in, double ax, double ay, double bx, double by,
                  struct polygon *ret_out);

/* Positive when it goes around counter-clockwise. */
double polygon_area(const struct polygon *polygon);

#endif
