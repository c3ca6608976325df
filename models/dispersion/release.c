#include "models/dispersion/release.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "daemon/base/text.h"
#include "models/table/table.h"

#define GRAVITY_M_S2   9.80665
#define DENSE_BEYOND   0.15
#define ZERO_C_K       273.15
#define DENSE_HEIGHT_M 10.0 /* from higher up it has mixed before it is down */
enum { TEXT_MAX = 256 };

struct key {
    const char *name;
    bool number;
    double min, max;
    double value; /* NaN: not told */
    char text[TEXT_MAX];
    bool seen;
};

enum {
    K_SUBSTANCE,
    K_NUCLIDE,
    K_X,
    K_Y,
    K_HEIGHT,
    K_Q_G,
    K_Q_BQ,
    K_MASS,
    K_ACTIVITY,
    K_START,
    K_DURATION,
    K_CURVES,
    K_METHOD,
    K_DRY,
    K_GAS,
    K_AIR,
    K_GAS_T,
    K_AIR_T,
    K_LATITUDE,
    K_LONGITUDE,
    K_END
};

static void keys_init(struct key *keys) {
    static const struct key all[K_END] = {
        {.name = "substance"},
        {.name = "nuclide"},
        {.name = "x_east_m", .number = true, .min = -1e7, .max = 1e7},
        {.name = "y_north_m", .number = true, .min = -1e7, .max = 1e7},
        {.name = "release_height_m", .number = true, .min = 0, .max = 2000},
        {.name = "Q_g_s", .number = true, .min = 1e-12, .max = 1e9},
        {.name = "Q_Bq_s", .number = true, .min = 1e-6, .max = 1e20},
        {.name = "mass_g", .number = true, .min = 1e-12, .max = 1e12},
        {.name = "activity_Bq", .number = true, .min = 1e-6, .max = 1e20},
        {.name = "start"},
        {.name = "duration_s", .number = true, .min = 1, .max = 864000},
        {.name = "curves"},
        {.name = "method"},
        {.name = "dry_velocity_m_s", .number = true, .min = 0, .max = 1},
        {.name = "gas_density_kg_m3", .number = true, .min = 0.01, .max = 100},
        {.name = "air_density_kg_m3", .number = true, .min = 0.3, .max = 2},
        {.name = "gas_temperature_c", .number = true, .min = -200, .max = 300},
        {.name = "air_temperature_c", .number = true, .min = -60, .max = 60},
        {.name = "latitude_deg", .number = true, .min = -89, .max = 89},
        {.name = "longitude_deg", .number = true, .min = -180, .max = 180},
    };
    memcpy(keys, all, sizeof all);
    for (int i = 0; i < K_END; i++) {
        keys[i].value = (double)NAN;
    }
}

static int refuse(const char *path, const yaml_mark_t *mark, struct err *ret_err, const char *what,
                  const char *text) {
    return err_set(ret_err, ERR_SYNTAX, "%s:%zu:%zu: %s%s", path, mark->line + 1, mark->column + 1,
                   what, text);
}

static int take(const char *path, const yaml_node_t *name, const yaml_node_t *value,
                struct key *keys, struct err *ret_err) {
    if (name->type != YAML_SCALAR_NODE || value->type != YAML_SCALAR_NODE) {
        return refuse(path, &name->start_mark, ret_err, "expected key: value", "");
    }
    const char *key_text = (const char *)name->data.scalar.value;
    const char *text = (const char *)value->data.scalar.value;
    for (int i = 0; i < K_END; i++) {
        struct key *key = &keys[i];
        if (strcmp(key->name, key_text) != 0) {
            continue;
        }
        if (key->seen) {
            return refuse(path, &name->start_mark, ret_err, "a second ", key_text);
        }
        key->seen = true;
        if (key->number && text_parse_double(text, key->min, key->max, &key->value) != 0) {
            char what[160];
            (void)snprintf(what, sizeof what, "%s is a number from %g to %g, not ", key->name,
                           key->min, key->max);
            return refuse(path, &value->start_mark, ret_err, what, text);
        }
        if (!key->number && (text[0] == '\0' || text_copy(key->text, TEXT_MAX, text) != 0)) {
            return refuse(path, &value->start_mark, ret_err, "an empty or too long ", key_text);
        }
        return 0;
    }
    return refuse(path, &name->start_mark, ret_err,
                  "unknown key (names carry their unit, as Q_g_s, duration_s): ", key_text);
}

static int load(const char *path, struct key *keys, struct err *ret_err) {
    FILE *file = fopen(path, "rb");
    yaml_parser_t parser;
    yaml_document_t document;
    if (file == NULL) {
        return err_set(ret_err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (!yaml_parser_initialize(&parser)) {
        (void)fclose(file); /* only read */
        return err_set(ret_err, ERR_MEMORY, "no memory for %s", path);
    }
    yaml_parser_set_input_file(&parser, file);
    int rc = 0;
    if (!yaml_parser_load(&parser, &document)) {
        rc = refuse(path, &parser.problem_mark, ret_err,
                    "not YAML: ", parser.problem != NULL ? parser.problem : "");
    } else {
        const yaml_node_t *root = yaml_document_get_root_node(&document);
        if (root == NULL || root->type != YAML_MAPPING_NODE) {
            rc = err_set(ret_err, ERR_SYNTAX, "%s: expected one mapping of key: value", path);
        } else {
            for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
                 rc == 0 && pair < root->data.mapping.pairs.top; pair++) {
                rc = take(path, yaml_document_get_node(&document, pair->key),
                          yaml_document_get_node(&document, pair->value), keys, ret_err);
            }
        }
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    (void)fclose(file); /* only read */
    return rc;
}

static int find_word(const char *path, const struct key *key, const char *const *words,
                     int *ret_index, struct err *ret_err) {
    if (!key->seen) {
        return 0;
    }
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], key->text) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    return err_set(ret_err, ERR_SYNTAX, "%s: %s: '%s' is not known", path, key->name, key->text);
}

/* The rate from the one of four keys that is told. */
static int take_rate(const char *path, const struct key *keys, struct release *release,
                     struct err *ret_err) {
    bool radioactive = release->nuclide != NULL;
    const struct key *rate = &keys[radioactive ? K_Q_BQ : K_Q_G];
    const struct key *total = &keys[radioactive ? K_ACTIVITY : K_MASS];
    if (keys[radioactive ? K_Q_G : K_Q_BQ].seen || keys[radioactive ? K_MASS : K_ACTIVITY].seen) {
        return err_set(ret_err, ERR_INVALID,
                       "%s: grams are for chemicals, Bq for a nuclide that is named", path);
    }
    if (rate->seen == total->seen || (total->seen && release->continuous)) {
        return err_set(ret_err, ERR_INVALID, "%s: either %s, or %s with duration_s", path,
                       rate->name, total->name);
    }
    release->puff.rate = rate->seen ? rate->value : total->value / release->puff.duration_s;
    return 0;
}

static int fill(const char *path, const struct key *keys, struct release *r, struct err *ret_err) {
    static const char *const curves[] = {"rural", "urban", NULL};
    static const char *const methods[] = {"auto", "similarity", "briggs", NULL};
    int curve = 0, method = 0;
    if (!keys[K_HEIGHT].seen) {
        return err_set(ret_err, ERR_NOT_FOUND, "%s: release_height_m is missing", path);
    }
    r->nuclide = keys[K_NUCLIDE].seen ? decay_nuclide(keys[K_NUCLIDE].text) : NULL;
    if (keys[K_NUCLIDE].seen && r->nuclide == NULL) {
        return err_set(ret_err, ERR_NOT_FOUND, "%s: nuclide '%s' is not in the table", path,
                       keys[K_NUCLIDE].text);
    }
    r->continuous = !keys[K_DURATION].seen;
    r->started = keys[K_START].seen;
    r->puff.x_m = keys[K_X].seen ? keys[K_X].value : 0;
    r->puff.y_m = keys[K_Y].seen ? keys[K_Y].value : 0;
    r->puff.height_m = keys[K_HEIGHT].value;
    r->puff.duration_s = keys[K_DURATION].value;
    r->gas_density_kg_m3 = keys[K_GAS].value;
    r->air_density_kg_m3 = keys[K_AIR].value;
    r->origin = (struct weather_origin){keys[K_LATITUDE].value, keys[K_LONGITUDE].value};
    if (keys[K_LATITUDE].seen != keys[K_LONGITUDE].seen) {
        return err_set(ret_err, ERR_INVALID, "%s: latitude_deg and longitude_deg, or none", path);
    }
    r->gas_temperature_k = keys[K_GAS_T].seen ? keys[K_GAS_T].value + ZERO_C_K : 1;
    r->air_temperature_k = keys[K_AIR_T].seen ? keys[K_AIR_T].value + ZERO_C_K : 1;
    if (keys[K_GAS].seen != keys[K_AIR].seen || keys[K_GAS_T].seen != keys[K_AIR_T].seen) {
        return err_set(ret_err, ERR_INVALID,
                       "%s: both densities or none, both temperatures or none", path);
    }
    r->puff.half_life_s = r->nuclide != NULL ? r->nuclide->half_life_s : (double)INFINITY;
    if (r->nuclide != NULL) {
        r->puff.dry_velocity_m_s = decay_dry_velocity_m_s(r->nuclide->deposition);
        r->puff.washout_a = decay_washout_s(r->nuclide->deposition, 1);
        r->puff.washout_b =
            log10(decay_washout_s(r->nuclide->deposition, 10) / fmax(r->puff.washout_a, 1e-300));
    }
    r->puff.dry_velocity_m_s = keys[K_DRY].seen ? keys[K_DRY].value : r->puff.dry_velocity_m_s;
    (void)snprintf(r->substance, sizeof r->substance, "%.63s",
                   r->nuclide != NULL ? r->nuclide->name : keys[K_SUBSTANCE].text);
    if (r->started && text_parse_time(keys[K_START].text, &r->puff.start_utc_us) != 0) {
        return err_set(ret_err, ERR_SYNTAX, "%s: start: '%s' is no time like 2025-11-19T06:00:00Z",
                       path, keys[K_START].text);
    }
    int rc = find_word(path, &keys[K_CURVES], curves, &curve, ret_err);
    rc = rc != 0 ? rc : find_word(path, &keys[K_METHOD], methods, &method, ret_err);
    r->puff.curves = (enum plume_curves)curve;
    r->puff.method = (enum weather_method)method;
    return rc != 0 ? rc : take_rate(path, keys, r, ret_err);
}

int release_read(const char *path, struct release *ret_release, struct err *ret_err) {
    struct key keys[K_END];
    struct release release = {0};
    keys_init(keys);
    int rc = load(path, keys, ret_err);
    rc = rc != 0 ? rc : fill(path, keys, &release, ret_err);
    if (rc == 0) {
        *ret_release = release;
    }
    return rc;
}

int release_is_dense(double rate_kg_s, double gas_density_kg_m3, double air_density_kg_m3,
                     double wind_m_s, bool *ret_dense) {
    if (!(rate_kg_s > 0) || !(gas_density_kg_m3 > 0) || !(air_density_kg_m3 > 0) ||
        !(wind_m_s > 0)) {
        return ERR_RANGE;
    }
    double buoyancy = GRAVITY_M_S2 * (gas_density_kg_m3 - air_density_kg_m3) / air_density_kg_m3;
    double flow_m3_s = rate_kg_s / gas_density_kg_m3, width_m = sqrt(flow_m3_s / wind_m_s);
    *ret_dense = buoyancy > 0 && cbrt(buoyancy * flow_m3_s / width_m) / wind_m_s > DENSE_BEYOND;
    return 0;
}

bool release_may_be_dense(const struct release *release) {
    return release->gas_density_kg_m3 > 0 && release->nuclide == NULL &&
           release->puff.height_m <= DENSE_HEIGHT_M;
}

int release_dense_in(const struct release *release, double wind_m_s, bool *ret_dense) {
    *ret_dense = false;
    if (!release_may_be_dense(release)) {
        return 0;
    }
    return release_is_dense(release->puff.rate / 1e3, release->gas_density_kg_m3,
                            release->air_density_kg_m3, wind_m_s, ret_dense);
}
