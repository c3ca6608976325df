#include "models/landslide/slopes_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "models/grid/mask.h"
#include "models/grid/ncwrite.h"

enum { PROBABILITIES = 3 };
static const double probabilities[PROBABILITIES] = {0.2, 0.5, 0.8};

static size_t members_of(const struct slopes *slopes, size_t lead) {
    return lead == 0 ? 1 : slopes->member_count;
}

/* ---- areas ---- */

static int read_area(struct grid_env *env, const struct slopes_output *output,
                     const double *cell_m2, const int64_t *place_of, const struct area *area,
                     struct slopes_area *ret_area, struct err *ret_err) {
    struct mask *mask = NULL;
    int rc = mask_create(env, output->grid, cell_m2, area, &mask, ret_err);
    if (rc != 0) {
        return rc;
    }
    *ret_area = (struct slopes_area){area->id, 0, calloc(mask->count + 1, sizeof(size_t))};
    for (size_t i = 0; ret_area->places != NULL && i < mask->count; i++) {
        int64_t place = place_of[mask->index[i]];
        if (place >= 0 && mask->fraction[i] >= 0.5) {
            ret_area->places[ret_area->count++] = (size_t)place;
        }
    }
    mask_destroy(mask);
    return ret_area->places != NULL ? 0 : err_set(ret_err, ERR_MEMORY, "no memory for areas");
}

int slopes_areas(struct grid_env *env, const struct area_list *areas, struct slopes_output *output,
                 struct err *ret_err) {
    size_t cells = output->grid->rows * output->grid->columns;
    double *cell_m2 = calloc(cells, sizeof *cell_m2);
    int64_t *place_of = calloc(cells, sizeof *place_of);
    output->areas = calloc(areas->count + 1, sizeof *output->areas);
    int rc = cell_m2 == NULL || place_of == NULL || output->areas == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for areas")
                 : grid_cell_areas_m2(env, output->grid, cell_m2, ret_err);
    if (rc == 0) {
        for (size_t i = 0; i < cells; i++) {
            place_of[i] = -1;
        }
        for (size_t p = 0; p < output->slopes->place_count; p++) {
            place_of[output->cell_of[p]] = (int64_t)p;
        }
    }
    for (size_t a = 0; rc == 0 && a < areas->count; a++) {
        rc =
            read_area(env, output, cell_m2, place_of, &areas->areas[a], &output->areas[a], ret_err);
        output->area_count = a + 1;
    }
    free(cell_m2);
    free(place_of);
    return rc;
}

void slopes_areas_finish(struct slopes_output *output) {
    for (size_t a = 0; a < output->area_count; a++) {
        free(output->areas[a].places);
    }
    free(output->areas);
}

/* ---- one number of an area and a member ---- */

struct found {
    double value, coverage;
};

/* Share of the cells of a class or above; of the known ones: those that are, and those that cannot
 * be. */
static struct found share_of(const struct slopes_area *area, const struct slopes_cell *cells,
                             int level) {
    size_t known = 0, above = 0;
    for (size_t i = 0; i < area->count; i++) {
        const struct slopes_cell *cell = &cells[area->places[i]];
        above += cell->level >= level;
        known += cell->level >= level || cell->may_reach < level;
    }
    return (struct found){known == 0 ? (double)NAN : (double)above / (double)known,
                          area->count == 0 ? 0 : (double)known / (double)area->count};
}

static struct found ratio_of(const struct slopes_area *area, const struct slopes_cell *cells) {
    struct found found = {NAN, 0};
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

struct row {
    const char *area, *variable, *unit;
    int lead_h;
};

static void add(json_t *list, const struct row *row, double value, double coverage,
                double probability, const char *cause) {
    json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:i, s:f}", "area", row->area, "variable",
                             row->variable, "unit", row->unit, "window_s", 0, "lead_s",
                             row->lead_h * 3600, "coverage", coverage);
    if (!isnan(probability)) {
        (void)json_object_set_new(json, "probability", json_real(probability));
    }
    (void)json_object_set_new(json, "value", isnan(value) ? json_null() : json_real(value));
    if (isnan(value)) {
        (void)json_object_set_new(json, "cause", json_string(cause));
    }
    (void)json_array_append_new(list, json);
}

static int falling(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static const char *cause_of(size_t members) {
    return members == 0 ? "no rain forecast" : "rain of too many cells is not known";
}

/* The values that are reached with the probabilities; of what has been, the one there is. */
static void add_values(json_t *list, const struct slopes_output *output, const struct row *row,
                       const struct found *members, size_t count) {
    double values[CELL_RAIN_MEMBERS_MAX], coverage = count > 0 ? 1 : 0;
    bool known = count > 0;
    for (size_t m = 0; m < count; m++) {
        values[m] = members[m].value;
        coverage = fmin(coverage, members[m].coverage);
        known = known && !isnan(values[m]);
    }
    known = known && coverage >= output->min_coverage;
    qsort(values, known ? count : 0, sizeof *values, falling);
    if (row->lead_h == 0) {
        add(list, row, known ? values[0] : (double)NAN, coverage, NAN, cause_of(count));
        return;
    }
    for (int i = 0; i < PROBABILITIES; i++) {
        size_t at = (size_t)fmax(0, ceil(probabilities[i] * (double)count - 1e-9) - 1);
        add(list, row, known ? values[at] : (double)NAN, coverage, probabilities[i],
            cause_of(count));
    }
}

/* Share of the members in which a cell of the area is of the class or above. A member says no only
 * when enough of its cells are known. */
static void add_probability(json_t *list, const struct slopes_output *output, const struct row *row,
                            const struct found *members, size_t count) {
    double coverage = count > 0 ? 1 : 0;
    size_t yes = 0, open = 0;
    for (size_t m = 0; m < count; m++) {
        bool is = members[m].value > 0; /* NaN is not */
        yes += is;
        open += !is && !(members[m].coverage >= output->min_coverage);
        coverage = fmin(coverage, is ? 1 : members[m].coverage);
    }
    bool known = count > 0 && open == 0;
    add(list, row, known ? (double)yes / (double)count : (double)NAN, coverage, NAN,
        cause_of(count));
}

static void add_area(json_t *list, const struct slopes_output *output,
                     const struct slopes_area *area) {
    static const char *const probability_names[SLOPES_LEVELS] = {
        "probability_level_1", "probability_level_2", "probability_level_3"};
    static const char *const share_names[SLOPES_LEVELS] = {"share_level_1", "share_level_2",
                                                           "share_level_3"};
    const struct slopes *slopes = output->slopes;
    struct found found[CELL_RAIN_MEMBERS_MAX];
    for (size_t l = 0; l < SLOPES_LEADS; l++) {
        size_t count = members_of(slopes, l);
        struct row row = {area->id, "threshold_ratio", "1", slopes_leads_h[l]};
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
    struct found api = {NAN, 0};
    size_t known = 0;
    for (size_t i = 0; i < area->count; i++) {
        double mm = (double)slopes->api_mm[area->places[i]];
        known += (size_t)!isnan(mm);
        api.value = isnan(api.value) || mm > api.value ? mm : api.value;
    }
    api.coverage = area->count == 0 ? 0 : (double)known / (double)area->count;
    const struct row row = {area->id, "api_max", "mm", 0};
    add(list, &row, api.coverage >= output->min_coverage ? api.value : (double)NAN, api.coverage,
        NAN, "rain of the last month is not known");
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

static int rising(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

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
    qsort(ratios, count, sizeof *ratios, rising);
    return 0.5F * (ratios[(count - 1) / 2] + ratios[count / 2]);
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
