#include "models/merge/areas.h"

#include <math.h>
#include <stdlib.h>

#include "models/grid/mask.h"

/* Whether the gauge nearest to the place, among those used and those doubted, is a doubted one. */
static bool nearest_is_doubted(const struct merge_field *field, struct place place) {
    double nearest_km = INFINITY;
    bool doubted = false;
    for (size_t g = 0; g < field->gauge_count; g++) {
        if (isnan(field->gauges[g].value) && !field->doubted[g]) {
            continue;
        }
        double distance_km = place_distance_km(field->gauges[g].place, place);
        if (distance_km < nearest_km) {
            nearest_km = distance_km;
            doubted = field->doubted[g];
        }
    }
    return doubted;
}

static void measure(const struct merge_field *field, const struct mask *mask, bool any_doubted,
                    struct merge_area *area) {
    double known_m2 = 0, sum = 0, radar_m2 = 0, suspect_m2 = 0;
    area->highest = (double)NAN;
    for (size_t i = 0; i < mask->count; i++) {
        size_t cell = mask->index[i];
        double value = (double)field->result->value[cell];
        if (any_doubted && nearest_is_doubted(field, field->places[cell])) {
            suspect_m2 += mask->area_m2[i];
        }
        if (isnan(value)) {
            continue;
        }
        known_m2 += mask->area_m2[i];
        sum += mask->area_m2[i] * value;
        radar_m2 += field->result->quality[cell] == (float)MERGE_GAUGES_ONLY ? 0 : mask->area_m2[i];
        area->highest = fmax(area->highest, value); /* NaN gives way */
    }
    area->mean = known_m2 > 0 ? sum / known_m2 : (double)NAN;
    area->radar_share = known_m2 > 0 ? radar_m2 / known_m2 : (double)NAN;
    area->coverage = known_m2 > 0 ? fmin(known_m2 / mask->covered_m2 * mask->inside, 1) : 0;
    area->suspect_share = mask->covered_m2 > 0 ? suspect_m2 / mask->covered_m2 : 0;
}

int merge_areas_measure(struct grid_env *env, const struct merge_field *field,
                        const struct area_list *areas, struct merge_area **ret_areas,
                        struct err *ret_err) {
    double *cell_m2 = calloc(field->grid->rows * field->grid->columns, sizeof *cell_m2);
    struct merge_area *found = calloc(areas->count + 1, sizeof *found);
    bool any_doubted = false;
    for (size_t g = 0; g < field->gauge_count; g++) {
        any_doubted = any_doubted || field->doubted[g];
    }
    int rc = cell_m2 == NULL || found == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for areas")
                 : grid_cell_areas_m2(env, field->grid, cell_m2, ret_err);
    for (size_t a = 0; rc == 0 && a < areas->count; a++) {
        struct mask *mask = NULL;
        found[a].id = areas->areas[a].id;
        rc = mask_create(env, field->grid, cell_m2, &areas->areas[a], &mask, ret_err);
        if (rc == 0) {
            measure(field, mask, any_doubted, &found[a]);
            mask_destroy(mask);
        }
    }
    free(cell_m2);
    if (rc != 0) {
        free(found);
        return rc;
    }
    *ret_areas = found;
    return 0;
}
