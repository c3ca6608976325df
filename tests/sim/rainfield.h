/* A rain field made of moving Gaussian cells; the same seed gives the same field.
 *
 * At time t a cell c adds, at distance d from its centre,
 *     P_c * intensity(t) * cos^2(pi * (t - T_c) / L_c) * exp(-d^2 / (2 s_c^2))     mm/h
 * while |t - T_c| < L_c / 2, and nothing otherwise: it grows, peaks at T_c and decays. Its centre
 * moves with a constant velocity and stands at its given place at T_c; d is measured on a plane
 * through the cell (1 degree of latitude = 111.195 km, longitude times the cosine of latitude).
 * Beyond 4 s_c a cell adds nothing. Cells are listed one by one, or drawn: every hour `per_hour`
 * cells, with peak, width, place, time in the hour and life drawn evenly from given intervals.
 * intensity(t) is a factor interpolated from a table (1 without a table).
 * The field is invented; nothing of it is measured. Thread rule: pure after loading. */
#ifndef CANHBAO_SIM_RAINFIELD_H
#define CANHBAO_SIM_RAINFIELD_H

#include <stddef.h>
#include <stdint.h>

#include "doc.h"
#include "table.h"

enum { RAINFIELD_CELLS_MAX = 4096 };

struct rain_cell {
    double lat_deg;
    double lon_deg;
    int64_t peak_us; /* T_c */
    double peak_mm_h;
    double sigma_km;
    double east_m_s;
    double north_m_s;
    int64_t life_us; /* L_c */
};

struct rainfield {
    struct rain_cell *cells; /* sorted by nothing; at most RAINFIELD_CELLS_MAX */
    size_t count;
    struct table intensity; /* count 0: factor 1 */
};

/* Reads the mapping `rain_field`; random cells are drawn here, from seed. */
int rainfield_load(struct rainfield *field, struct doc *doc, yaml_node_t *map, uint64_t seed,
                   struct err *ret_err);
void rainfield_free(struct rainfield *field);

/* The cells that are alive at t, moved to where they are; for evaluating many places at once. */
struct rain_now {
    struct rain_cell *cells; /* peak_mm_h already carries growth and intensity */
    size_t count;
};
int rainfield_at(const struct rainfield *field, int64_t t_us, struct rain_now *ret_now);
void rain_now_free(struct rain_now *now);
double rain_now_mm_h(const struct rain_now *now, double lat_deg, double lon_deg);

/* One place at one time, mm/h. */
double rainfield_mm_h(const struct rainfield *field, int64_t t_us, double lat_deg, double lon_deg);

#endif
