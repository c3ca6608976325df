#include "models/hydrology/cell_areas.h"

#include <math.h>
#include <stdlib.h>

#include "models/grid/mask.h"
#include "models/hydrology/cell_rain.h"

enum { PROBABILITIES = 3 };
static const double probabilities[PROBABILITIES] = {0.2, 0.5, 0.8};

static int read_area(struct grid_env *env, const struct grid *grid, const double *cell_m2,
                     const int64_t *place_of, const struct area *area, struct cell_area *ret_area,
                     struct err *ret_err) {
    struct mask *mask = NULL;
    int rc = mask_create(env, grid, cell_m2, area, &mask, ret_err);
    if (rc != 0) {
        return rc;
    }
    *ret_area = (struct cell_area){area->id, 0, calloc(mask->count + 1, sizeof(size_t))};
    for (size_t i = 0; ret_area->places != NULL && i < mask->count; i++) {
        int64_t place = place_of[mask->index[i]];
        if (place >= 0 && mask->fraction[i] >= 0.5) {
            ret_area->places[ret_area->count++] = (size_t)place;
        }
    }
    mask_destroy(mask);
    return ret_area->places != NULL ? 0 : err_set(ret_err, ERR_MEMORY, "no memory for areas");
}

int cell_areas_create(struct grid_env *env, const struct grid *grid, const int64_t *place_of,
                      const struct area_list *areas, struct cell_area **ret_cells,
                      struct err *ret_err) {
    double *cell_m2 = calloc(grid->rows * grid->columns, sizeof *cell_m2);
    struct cell_area *cells = calloc(areas->count + 1, sizeof *cells);
    int rc = cell_m2 == NULL || cells == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for areas")
                                              : grid_cell_areas_m2(env, grid, cell_m2, ret_err);
    for (size_t a = 0; rc == 0 && a < areas->count; a++) {
        rc = read_area(env, grid, cell_m2, place_of, &areas->areas[a], &cells[a], ret_err);
    }
    free(cell_m2);
    if (rc != 0) {
        cell_areas_finish(cells, areas->count);
        return rc;
    }
    *ret_cells = cells;
    return 0;
}

void cell_areas_finish(struct cell_area *cells, size_t count) {
    for (size_t a = 0; cells != NULL && a < count; a++) {
        free(cells[a].places);
    }
    free(cells);
}

void cell_row_add(json_t *list, const struct cell_row *row, struct cell_found found,
                  double probability, const char *cause) {
    json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:i, s:f}", "area", row->area, "variable",
                             row->variable, "unit", row->unit, "window_s", row->window_h * 3600,
                             "lead_s", row->lead_h * 3600, "coverage", found.coverage);
    if (!isnan(probability)) {
        (void)json_object_set_new(json, "probability", json_real(probability));
    }
    (void)json_object_set_new(json, "value",
                              isnan(found.value) ? json_null() : json_real(found.value));
    if (isnan(found.value)) {
        (void)json_object_set_new(json, "cause", json_string(cause));
    }
    (void)json_array_append_new(list, json);
}

static int falling(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

void cell_row_add_members(json_t *list, const struct cell_row *row,
                          const struct cell_found *members, size_t count, double min_coverage,
                          const char *cause) {
    double values[CELL_RAIN_MEMBERS_MAX], coverage = count > 0 ? 1 : 0;
    bool known = count > 0;
    for (size_t m = 0; m < count; m++) {
        values[m] = members[m].value;
        known = known && !isnan(values[m]);
        coverage = fmin(coverage, members[m].coverage);
    }
    known = known && coverage >= min_coverage;
    qsort(values, known ? count : 0, sizeof *values, falling);
    for (int i = 0; i < PROBABILITIES; i++) {
        /* A probability that is no whole number of members asks for the next one. */
        size_t at = (size_t)fmax(0, ceil(probabilities[i] * (double)count - 1e-9) - 1);
        cell_row_add(list, row, (struct cell_found){known ? values[at] : (double)NAN, coverage},
                     probabilities[i], count == 0 ? "no rain forecast" : cause);
    }
}

static int rising(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

float cell_median(const float *values, size_t count, size_t stride) {
    float sorted[CELL_RAIN_MEMBERS_MAX];
    for (size_t m = 0; m < count; m++) {
        sorted[m] = values[m * stride];
        if (isnan(sorted[m])) {
            return NAN;
        }
    }
    if (count == 0) {
        return NAN;
    }
    qsort(sorted, count, sizeof *sorted, rising);
    return 0.5F * (sorted[(count - 1) / 2] + sorted[count / 2]);
}
