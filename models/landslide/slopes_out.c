#include "models/landslide/slopes_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "models/grid/ncwrite.h"

static size_t members_of(const struct slopes *slopes, size_t lead) {
    return lead == 0 ? 1 : slopes->member_count;
}

/* ---- areas ---- */

int slopes_areas(struct grid_env *env, const struct area_list *areas, struct slopes_output *output,
                 struct err *ret_err) {
    size_t cells = output->grid->rows * output->grid->columns;
    int64_t *place_of = calloc(cells, sizeof *place_of);
    if (place_of == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for areas");
    }
    for (size_t i = 0; i < cells; i++) {
        place_of[i] = -1;
    }
    for (size_t p = 0; p < output->slopes->place_count; p++) {
        place_of[output->cell_of[p]] = (int64_t)p;
    }
    int rc = cell_areas_create(env, output->grid, place_of, areas, &output->areas, ret_err);
    output->area_count = rc == 0 ? areas->count : 0;
    free(place_of);
    return rc;
}

void slopes_areas_finish(struct slopes_output *output) {
    cell_areas_finish(output->areas, output->area_count);
}

/* ---- one number of an area and a member ---- */

/* Share of the cells of a class or above; of the known ones: those that are, and those that cannot
 * be. */
static struct cell_found share_of(const struct cell_area *area, const struct slopes_cell *cells,
                                  int level) {
    size_t known = 0, above = 0;
    for (size_t i = 0; i < area->count; i++) {
        const struct slopes_cell *cell = &cells[area->places[i]];
        above += cell->level >= level;
        known += cell->level >= level || cell->may_reach < level;
    }
    return (struct cell_found){known == 0 ? (double)NAN : (double)above / (double)known,
                               area->count == 0 ? 0 : (double)known / (double)area->count};
}

static struct cell_found ratio_of(const struct cell_area *area, const struct slopes_cell *cells) {
    struct cell_found found = {NAN, 0};
    size_t known = 0;
    for (size_t i = 0; i < area->count; i++) {
        const struct slopes_cell *cell = &cells[area->places[i]];
        double ratio = (double)cell->ratio;
        known += (size_t)!cell->ratio_open;
        found.value = isnan(found.value) || ratio > found.value ? ratio : found.value;
    }
    found.coverage = area->count == 0 ? 0 : (double)known / (double)area->count;
    return found;
}

/* ---- results ---- */

static const char not_known[] = "rain of too many cells is not known";

/* Of what has been the one value, ahead those of the members. */
static void add_values(json_t *list, const struct slopes_output *output, const struct cell_row *row,
                       const struct cell_found *members, size_t count) {
    if (row->lead_h > 0) {
        cell_row_add_members(list, row, members, count, output->min_coverage, not_known);
        return;
    }
    bool known = members[0].coverage >= output->min_coverage;
    cell_row_add(list, row,
                 (struct cell_found){known ? members[0].value : (double)NAN, members[0].coverage},
                 NAN, not_known);
}

/* Share of the members in which a cell of the area is of the class or above. A member says no only
 * when enough of its cells are known. */
static void add_probability(json_t *list, const struct slopes_output *output,
                            const struct cell_row *row, const struct cell_found *members,
                            size_t count) {
    double coverage = count > 0 ? 1 : 0;
    size_t yes = 0, open = 0;
    for (size_t m = 0; m < count; m++) {
        bool is = members[m].value > 0; /* NaN is not */
        yes += is;
        open += !is && !(members[m].coverage >= output->min_coverage);
        coverage = fmin(coverage, is ? 1 : members[m].coverage);
    }
    bool known = count > 0 && open == 0;
    cell_row_add(list, row,
                 (struct cell_found){known ? (double)yes / (double)count : (double)NAN, coverage},
                 NAN, count == 0 ? "no rain forecast" : not_known);
}

static void add_area(json_t *list, const struct slopes_output *output,
                     const struct cell_area *area) {
    static const char *const probability_names[SLOPES_LEVELS] = {
        "probability_level_1", "probability_level_2", "probability_level_3"};
    static const char *const share_names[SLOPES_LEVELS] = {"share_level_1", "share_level_2",
                                                           "share_level_3"};
    const struct slopes *slopes = output->slopes;
    struct cell_found found[CELL_RAIN_MEMBERS_MAX];
    for (size_t l = 0; l < SLOPES_LEADS; l++) {
        size_t count = members_of(slopes, l);
        struct cell_row row = {area->id, "threshold_ratio", "1", 0, slopes_leads_h[l]};
        for (size_t m = 0; m < count; m++) {
            found[m] = ratio_of(area, slopes_at(slopes, l, m));
        }
        add_values(list, output, &row, found, count);
        for (int level = 1; level <= SLOPES_LEVELS; level++) {
            for (size_t m = 0; m < count; m++) {
                found[m] = share_of(area, slopes_at(slopes, l, m), level);
            }
            row.variable = probability_names[level - 1];
            add_probability(list, output, &row, found, count);
            row.variable = share_names[level - 1];
            add_values(list, output, &row, found, count);
        }
    }
    struct cell_found api = {NAN, 0};
    size_t known = 0;
    for (size_t i = 0; i < area->count; i++) {
        double mm = (double)slopes->api_mm[area->places[i]];
        known += (size_t)!isnan(mm);
        api.value = isnan(api.value) || mm > api.value ? mm : api.value;
    }
    api.coverage = area->count == 0 ? 0 : (double)known / (double)area->count;
    const struct cell_row row = {area->id, "api_max", "mm", 0, 0};
    api.value = api.coverage >= output->min_coverage ? api.value : (double)NAN;
    cell_row_add(list, &row, api, NAN, "rain of the last month is not known");
}

json_t *slopes_results(const struct slopes_output *output) {
    json_t *list = json_array();
    for (size_t a = 0; list != NULL && a < output->area_count; a++) {
        add_area(list, output, &output->areas[a]);
    }
    return list;
}

/* ---- grids ---- */

enum { RATIO = SLOPES_LEVELS, LEVEL, API, VARIABLES };

static const struct ncwrite_variable variables[VARIABLES] = {
    {.name = "probability_level_1",
     .long_name = "share of the members of class 1 or above, Article 46",
     .units = "1",
     .type = NCWRITE_FLOAT,
     .has_leads = true},
    {.name = "probability_level_2",
     .long_name = "share of the members of class 2 or above, Article 46",
     .units = "1",
     .type = NCWRITE_FLOAT,
     .has_leads = true},
    {.name = "probability_level_3",
     .long_name = "share of the members of class 3 or above, Article 46",
     .units = "1",
     .type = NCWRITE_FLOAT,
     .has_leads = true},
    {.name = "threshold_ratio",
     .long_name = "largest rain intensity over threshold, median of the members",
     .units = "1",
     .type = NCWRITE_FLOAT,
     .has_leads = true},
    {.name = "article_46_level",
     .long_name = "class of Article 46 by what is known",
     .units = "1",
     .type = NCWRITE_FLAG_BYTE,
     .flag_meanings = "none level_1 level_2 level_3"},
    {.name = "api_mm",
     .long_name = "antecedent precipitation index",
     .units = "mm",
     .type = NCWRITE_FLOAT},
};

/* One number of a place, variable and lead; NaN where a member leaves it open. */
static float field_of(const struct slopes *slopes, size_t variable, size_t lead, size_t p) {
    size_t count = members_of(slopes, lead), above = 0;
    float ratios[CELL_RAIN_MEMBERS_MAX];
    if (variable == LEVEL) {
        return slopes_at(slopes, 0, 0)[p].level;
    }
    if (variable == API) {
        return slopes->api_mm[p];
    }
    for (size_t m = 0; m < count; m++) {
        const struct slopes_cell *cell = &slopes_at(slopes, lead, m)[p];
        int level = (int)variable + 1;
        bool open = variable == RATIO ? cell->ratio_open || isnan(cell->ratio)
                                      : cell->level < level && cell->may_reach >= level;
        if (open) {
            return NAN;
        }
        ratios[m] = cell->ratio;
        above += cell->level >= level;
    }
    if (count == 0) {
        return NAN;
    }
    if (variable != RATIO) {
        return (float)above / (float)count;
    }
    return cell_median(ratios, count, 1);
}

int slopes_write_nc(const char *path, const struct slopes_output *output,
                    const char *manifest_sha256, struct err *ret_err) {
    const struct slopes *slopes = output->slopes;
    size_t cells = output->grid->rows * output->grid->columns;
    int64_t lead_s[SLOPES_LEADS];
    char history[HASH_TEXT_SIZE + 32];
    struct ncwriter *writer = NULL;
    float *field = malloc((cells + 1) * sizeof *field);
    for (size_t l = 0; l < SLOPES_LEADS; l++) {
        lead_s[l] = slopes_leads_h[l] * 3600;
    }
    (void)snprintf(history, sizeof history, "run manifest %s", manifest_sha256);
    const struct ncwrite_header header = {.grid = output->grid,
                                          .reference_utc_us = slopes->reference_us,
                                          .lead_count = SLOPES_LEADS,
                                          .lead_s = lead_s,
                                          .title = "landslide indicators to 24 h",
                                          .source = "canhbao-model slopes " CANHBAO_VERSION,
                                          .history = history};
    int rc = field == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a field")
                           : ncwriter_create(path, &header, variables, VARIABLES, &writer, ret_err);
    for (size_t v = 0; rc == 0 && v < VARIABLES; v++) {
        for (size_t l = 0; rc == 0 && l < (variables[v].has_leads ? SLOPES_LEADS : 1); l++) {
            for (size_t i = 0; i < cells; i++) {
                field[i] = NAN;
            }
            for (size_t p = 0; p < slopes->place_count; p++) {
                field[output->cell_of[p]] = field_of(slopes, v, l, p);
            }
            rc = ncwriter_put(writer, v, 0, l, field, ret_err);
        }
    }
    if (rc == 0) {
        rc = ncwriter_finish(writer, ret_err);
    } else {
        ncwriter_destroy(writer);
    }
    free(field);
    return rc;
}
