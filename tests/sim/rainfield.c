#include "rainfield.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KM_PER_DEG 111.195
#define HOUR_US    INT64_C(3600000000)

static int cell_add(struct rainfield *field, const struct rain_cell *cell) {
    if (field->count == RAINFIELD_CELLS_MAX) {
        return ERR_LIMIT;
    }
    struct rain_cell *grown = realloc(field->cells, (field->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return ERR_MEMORY;
    }
    field->cells = grown;
    field->cells[field->count++] = *cell;
    return 0;
}

/* A list [a, b] of two numbers. */
static int load_pair(struct doc *doc, yaml_node_t *map, const char *key, double min, double max,
                     double ret_pair[2], struct err *ret_err) {
    yaml_node_t *node = NULL;
    size_t count = 0;
    int result = doc_need(doc, map, key, &node, ret_err);
    if (result == 0) {
        result = doc_list(doc, node, 2, &count, ret_err);
    }
    if (result == 0 && count != 2) {
        result = doc_fail(doc, node, ret_err, ERR_SYNTAX, "two numbers are expected");
    }
    double pair[2] = {0, 0};
    for (size_t i = 0; result == 0 && i < 2; i++) {
        result = doc_double(doc, doc_item(doc, node, i), min, max, &pair[i], ret_err);
    }
    if (result == 0) {
        memcpy(ret_pair, pair, sizeof pair);
    }
    return result;
}

static int load_cell(struct rainfield *field, struct doc *doc, yaml_node_t *map,
                     struct err *ret_err) {
    static const char *const keys[] = {"place",    "time", "peak_mm_h", "sigma_km",
                                       "move_m_s", "life", NULL};
    struct rain_cell cell = {0};
    double place[2] = {0, 0};
    double move[2] = {0, 0};
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 || (result = load_pair(doc, map, "place", -180, 180, place, ret_err)) != 0 ||
        (result = load_pair(doc, map, "move_m_s", -50, 50, move, ret_err)) != 0 ||
        (result = doc_need_time(doc, map, "time", &cell.peak_us, ret_err)) != 0 ||
        (result = doc_need_double(doc, map, "peak_mm_h", 0, 500, &cell.peak_mm_h, ret_err)) != 0 ||
        (result = doc_need_double(doc, map, "sigma_km", 0.1, 500, &cell.sigma_km, ret_err)) != 0 ||
        (result = doc_need_duration(doc, map, "life", 1000000, &cell.life_us, ret_err)) != 0) {
        return result;
    }
    cell.lat_deg = place[0];
    cell.lon_deg = place[1];
    cell.east_m_s = move[0];
    cell.north_m_s = move[1];
    result = cell_add(field, &cell);
    return result == 0 ? 0 : doc_fail(doc, map, ret_err, result, "too many rain cells");
}

struct draw {
    int64_t per_hour;
    int64_t from_us;
    int64_t to_us;
    double peak_mm_h[2];
    double sigma_km[2];
    double life_min[2];
    double lat[2];
    double lon[2];
    double move_m_s[2];
};

static double draw_between(const double pair[2], uint64_t seed, int64_t hour, int64_t cell,
                           int what) {
    double share = noise_uniform(noise_bits(seed, (uint64_t)hour, (uint64_t)cell, (uint64_t)what));
    return pair[0] + share * (pair[1] - pair[0]);
}

static int draw_cells(struct rainfield *field, const struct draw *draw, uint64_t seed) {
    static const double one_hour[2] = {0, 1};
    for (int64_t hour = draw->from_us / HOUR_US; hour * HOUR_US < draw->to_us; hour++) {
        for (int64_t i = 0; i < draw->per_hour; i++) {
            double into = draw_between(one_hour, seed, hour, i, 0);
            struct rain_cell cell = {
                .lat_deg = draw_between(draw->lat, seed, hour, i, 1),
                .lon_deg = draw_between(draw->lon, seed, hour, i, 2),
                .peak_us = hour * HOUR_US + (int64_t)(into * (double)HOUR_US),
                .peak_mm_h = draw_between(draw->peak_mm_h, seed, hour, i, 3),
                .sigma_km = draw_between(draw->sigma_km, seed, hour, i, 4),
                .east_m_s = draw->move_m_s[0],
                .north_m_s = draw->move_m_s[1],
                .life_us = (int64_t)(draw_between(draw->life_min, seed, hour, i, 5) * 6e7),
            };
            int result = cell_add(field, &cell);
            if (result != 0) {
                return result;
            }
        }
    }
    return 0;
}

static int load_random(struct rainfield *field, struct doc *doc, yaml_node_t *map, uint64_t seed,
                       struct err *ret_err) {
    static const char *const keys[] = {"per_hour", "from", "to",  "peak_mm_h", "sigma_km",
                                       "life_min", "lat",  "lon", "move_m_s",  NULL};
    struct draw draw;
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 ||
        (result = doc_need_int(doc, map, "per_hour", 1, 1000, &draw.per_hour, ret_err)) != 0 ||
        (result = doc_need_time(doc, map, "from", &draw.from_us, ret_err)) != 0 ||
        (result = doc_need_time(doc, map, "to", &draw.to_us, ret_err)) != 0 ||
        (result = load_pair(doc, map, "peak_mm_h", 0, 500, draw.peak_mm_h, ret_err)) != 0 ||
        (result = load_pair(doc, map, "sigma_km", 0.1, 500, draw.sigma_km, ret_err)) != 0 ||
        (result = load_pair(doc, map, "life_min", 1, 10000, draw.life_min, ret_err)) != 0 ||
        (result = load_pair(doc, map, "lat", -90, 90, draw.lat, ret_err)) != 0 ||
        (result = load_pair(doc, map, "lon", -180, 180, draw.lon, ret_err)) != 0 ||
        (result = load_pair(doc, map, "move_m_s", -50, 50, draw.move_m_s, ret_err)) != 0) {
        return result;
    }
    result = draw_cells(field, &draw, seed);
    return result == 0 ? 0
                       : doc_fail(doc, map, ret_err, result, "more than %d rain cells",
                                  RAINFIELD_CELLS_MAX);
}

int rainfield_load(struct rainfield *field, struct doc *doc, yaml_node_t *map, uint64_t seed,
                   struct err *ret_err) {
    static const char *const keys[] = {"cells", "random", "intensity", NULL};
    int result = doc_check_keys(doc, map, keys, ret_err);
    yaml_node_t *cells = doc_get(doc, map, "cells");
    yaml_node_t *random = doc_get(doc, map, "random");
    yaml_node_t *intensity = doc_get(doc, map, "intensity");
    size_t count = 0;
    if (result == 0 && cells != NULL) {
        result = doc_list(doc, cells, RAINFIELD_CELLS_MAX, &count, ret_err);
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = load_cell(field, doc, doc_item(doc, cells, i), ret_err);
    }
    count = 0;
    if (result == 0 && random != NULL) {
        result = doc_list(doc, random, 16, &count, ret_err);
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        result =
            load_random(field, doc, doc_item(doc, random, i), noise_bits(seed, i, 0, 0), ret_err);
    }
    if (result == 0 && intensity != NULL) {
        result = table_load_inline(&field->intensity, doc, intensity, ret_err);
    }
    return result;
}

void rainfield_free(struct rainfield *field) {
    if (field != NULL) {
        free(field->cells);
        table_free(&field->intensity);
        *field = (struct rainfield){0};
    }
}

/* The cell as it is at t; false when it is not alive. */
static bool cell_now(const struct rainfield *field, const struct rain_cell *cell, int64_t t_us,
                     struct rain_cell *ret_now) {
    int64_t since_us = t_us - cell->peak_us;
    if (2 * (since_us < 0 ? -since_us : since_us) >= cell->life_us) {
        return false;
    }
    double growth = cos(M_PI * (double)since_us / (double)cell->life_us);
    double since_s = (double)since_us / 1e6;
    *ret_now = *cell;
    ret_now->peak_mm_h = cell->peak_mm_h * growth * growth;
    if (field->intensity.count > 0) {
        ret_now->peak_mm_h *= table_at(&field->intensity, t_us);
    }
    ret_now->lat_deg = cell->lat_deg + cell->north_m_s * since_s / 1000.0 / KM_PER_DEG;
    ret_now->lon_deg = cell->lon_deg + cell->east_m_s * since_s / 1000.0 /
                                           (KM_PER_DEG * cos(cell->lat_deg * M_PI / 180.0));
    return true;
}

static double cell_mm_h(const struct rain_cell *now, double lat_deg, double lon_deg) {
    double north_km = (lat_deg - now->lat_deg) * KM_PER_DEG;
    double east_km = (lon_deg - now->lon_deg) * KM_PER_DEG * cos(now->lat_deg * M_PI / 180.0);
    double squared = (north_km * north_km + east_km * east_km) / (now->sigma_km * now->sigma_km);
    return squared > 16.0 ? 0.0 : now->peak_mm_h * exp(-0.5 * squared);
}

int rainfield_at(const struct rainfield *field, int64_t t_us, struct rain_now *ret_now) {
    struct rain_cell *cells = calloc(field->count + 1, sizeof *cells);
    if (cells == NULL) {
        return ERR_MEMORY;
    }
    size_t count = 0;
    for (size_t i = 0; i < field->count; i++) {
        count += cell_now(field, &field->cells[i], t_us, &cells[count]);
    }
    *ret_now = (struct rain_now){cells, count};
    return 0;
}

void rain_now_free(struct rain_now *now) {
    if (now != NULL) {
        free(now->cells);
        *now = (struct rain_now){0};
    }
}

double rain_now_mm_h(const struct rain_now *now, double lat_deg, double lon_deg) {
    double sum = 0;
    for (size_t i = 0; i < now->count; i++) {
        sum += cell_mm_h(&now->cells[i], lat_deg, lon_deg);
    }
    return sum;
}

double rainfield_mm_h(const struct rainfield *field, int64_t t_us, double lat_deg, double lon_deg) {
    double sum = 0;
    for (size_t i = 0; i < field->count; i++) {
        struct rain_cell now;
        if (cell_now(field, &field->cells[i], t_us, &now)) {
            sum += cell_mm_h(&now, lat_deg, lon_deg);
        }
    }
    return sum;
}
