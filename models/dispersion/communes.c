#include "models/dispersion/communes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/grid/grid.h"
#include "models/grid/mask.h"

enum { CELLS = REGION_CELLS * REGION_CELLS };

/* The properties of a Feature; areas are named by Feature.id or else by properties.id. */
static const json_t *properties_of(const json_t *root, const char *id) {
    const json_t *features = json_object_get(root, "features");
    for (size_t i = 0; i < (features != NULL ? json_array_size(features) : 1); i++) {
        const json_t *feature = features != NULL ? json_array_get(features, i) : root;
        const json_t *properties = json_object_get(feature, "properties");
        const char *own = json_string_value(json_object_get(feature, "id"));
        own = own != NULL ? own : json_string_value(json_object_get(properties, "id"));
        if (own != NULL && strcmp(own, id) == 0) {
            return properties;
        }
    }
    return NULL;
}

static int take_properties(const char *path, const json_t *properties, struct commune *commune,
                           struct err *ret_err) {
    const json_t *people = json_object_get(properties, "people");
    const json_t *code = json_object_get(properties, "code");
    commune->people = (double)NAN;
    if (people != NULL && !json_is_null(people)) {
        commune->people = json_number_value(people);
        if (!json_is_number(people) || !(commune->people >= 0)) {
            return err_set(ret_err, ERR_INVALID, "%s: %s: people is no number from 0 on", path,
                           commune->id);
        }
    }
    if (code != NULL && !json_is_null(code) &&
        (!json_is_string(code) || strchr(json_string_value(code), ';') != NULL ||
         text_copy(commune->code, sizeof commune->code, json_string_value(code)) != 0)) {
        return err_set(ret_err, ERR_INVALID, "%s: %s: code is no text of at most %d bytes", path,
                       commune->id, COMMUNE_CODE_SIZE - 1);
    }
    if (strchr(commune->name, ';') != NULL) {
        return err_set(ret_err, ERR_INVALID, "%s: %s: a name must not have a ';'", path,
                       commune->id);
    }
    return 0;
}

static void take_shares(const struct mask *mask, const struct zones *zones,
                        struct commune *commune) {
    double whole_m2 = mask->covered_m2 / mask->inside;
    commune->whole = mask->inside > 1 - 1e-9; /* but for rounding */
    commune->highest = (double)NAN;
    for (size_t i = 0; i < mask->count; i++) {
        double value = zones->value.density[mask->index[i]];
        commune->highest = fmax(commune->highest, value); /* a NaN loses */
        for (size_t l = 0; l < zones->levels.count && value >= zones->levels.list[l].value; l++) {
            commune->share[l] += mask->area_m2[i] / whole_m2;
        }
    }
    for (size_t l = 0; l < zones->levels.count && commune->share[l] > 0; l++) {
        commune->share[l] = fmin(commune->share[l], 1);
        commune->level = zones->levels.list[l].level;
    }
}

struct cutter {
    struct grid_env *env;
    struct grid *grid;
    double *cell_m2;
    const struct zones *zones;
};

static int cut_file(const struct cutter *cutter, const char *path, struct communes *communes,
                    struct err *ret_err) {
    struct area_list areas = {0};
    json_error_t why;
    json_t *root = NULL;
    int rc = area_list_load(path, &areas, ret_err);
    struct commune *list =
        rc == 0 ? realloc(communes->list, (communes->count + areas.count + 1) * sizeof *list)
                : NULL;
    if (rc == 0 && list == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for communes");
    }
    communes->list = list != NULL ? list : communes->list;
    root = rc == 0 ? json_load_file(path, 0, &why) : NULL;
    for (size_t a = 0; rc == 0 && a < areas.count; a++) {
        struct commune *commune = &communes->list[communes->count];
        struct mask *mask = NULL;
        *commune = (struct commune){0};
        (void)text_copy(commune->id, sizeof commune->id, areas.areas[a].id);       /* same sizes */
        (void)text_copy(commune->name, sizeof commune->name, areas.areas[a].name); /* the same */
        rc = take_properties(path, properties_of(root, commune->id), commune, ret_err);
        rc = rc != 0 ? rc
                     : mask_create(cutter->env, cutter->grid, cutter->cell_m2, &areas.areas[a],
                                   &mask, ret_err);
        if (rc == 0) {
            take_shares(mask, cutter->zones, commune);
            communes->count++;
        }
        mask_destroy(mask);
    }
    json_decref(root);
    area_list_finish(&areas);
    return rc;
}

int communes_cut(const char *const *paths, size_t count, const struct zones *zones,
                 const struct release *release, struct communes *ret_communes,
                 struct err *ret_err) {
    struct cutter cutter = {.zones = zones, .cell_m2 = calloc(CELLS, sizeof(double))};
    int rc = cutter.cell_m2 == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for communes")
                                    : zones_grid(zones, &release->origin, &cutter.grid, ret_err);
    rc = rc != 0 ? rc : grid_env_create(NULL, &cutter.env, ret_err);
    rc = rc != 0 ? rc : grid_cell_areas_m2(cutter.env, cutter.grid, cutter.cell_m2, ret_err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = cut_file(&cutter, paths[i], ret_communes, ret_err);
    }
    grid_env_destroy(cutter.env);
    grid_destroy(cutter.grid);
    free(cutter.cell_m2);
    return rc;
}

void communes_finish(struct communes *communes) {
    free(communes->list);
    *communes = (struct communes){0};
}

double communes_people(const struct communes *communes) {
    double sum = 0;
    for (size_t i = 0; i < communes->count; i++) {
        const struct commune *c = &communes->list[i];
        sum += c->level > 0 ? c->people * c->share[0] : 0;
    }
    return round(sum);
}

size_t communes_names(const struct communes *communes, size_t most, char *ret_names, size_t size) {
    size_t touched = 0, length = 0;
    ret_names[0] = '\0';
    for (int level = ZONES_LEVELS_MAX; level > 0; level--) {
        for (size_t i = 0; i < communes->count; i++) {
            const struct commune *c = &communes->list[i];
            if (c->level == level && touched++ < most && length < size) {
                length += (size_t)snprintf(ret_names + length, size - length, "%s%s",
                                           length > 0 ? ", " : "", c->name);
            }
        }
    }
    return touched;
}

json_t *communes_json(const struct communes *communes, const struct zones *zones) {
    json_t *list = json_array();
    for (size_t l = zones->levels.count; l-- > 0;) {
        for (size_t i = 0; i < communes->count; i++) {
            const struct commune *c = &communes->list[i];
            double people = round(c->people * c->share[l]);
            if (c->share[l] > 0) {
                json_array_append_new(
                    list,
                    json_pack("{s:s,s:s,s:s,s:i,s:f,s:o}", "id", c->id, "name", c->name, "code",
                              c->code, "level", zones->levels.list[l].level, "share", c->share[l],
                              "people", isfinite(people) ? json_real(people) : json_null()));
            }
        }
    }
    return list;
}
