#include "models/hydrology/flood_site.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "daemon/base/text.h"

enum { SITE_BYTES_MAX = 4 << 20 };

/* ---- strict JSON ---- */

/* Where we are, for messages; the first complaint is kept. */
struct reader {
    struct flood_site *site;
    const char *file;
    char place[96]; /* "basins[2]" */
    struct err err;
};

__attribute__((format(printf, 2, 3))) static void complain(struct reader *in, const char *format,
                                                           ...) {
    char text[300];
    va_list arguments;
    if (in->err.code != 0) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* cut is fine */
    va_end(arguments);
    (void)err_set(&in->err, ERR_INVALID, "%.120s: %s: %s", in->file, in->place, text);
}

/* Every key of an object is among `keys` (NULL-terminated). */
static void check_keys(struct reader *in, json_t *object, const char *const *keys) {
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        complain(in, "an object is expected");
    }
    json_object_foreach(object, key, value) {
        size_t i = 0;
        while (keys[i] != NULL && strcmp(keys[i], key) != 0) {
            i++;
        }
        if (keys[i] == NULL) {
            complain(in, "unknown key '%.60s'", key);
        }
    }
}

static double number_in(struct reader *in, const json_t *value, const char *key, double min,
                        double max) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= min && number <= max)) {
        complain(in, "%s: expected a number within %g and %g", key, min, max);
        return min;
    }
    return number;
}

static double take_number(struct reader *in, const json_t *object, const char *key, double min,
                          double max) {
    return number_in(in, json_object_get(object, key), key, min, max);
}

static double number_or(struct reader *in, const json_t *object, const char *key, double min,
                        double max, double otherwise) {
    return json_object_get(object, key) == NULL ? otherwise
                                                : take_number(in, object, key, min, max);
}

static bool take_switch(struct reader *in, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_boolean(value)) {
        complain(in, "%s: expected true or false", key);
    }
    return json_is_true(value);
}

static void take_id(struct reader *in, const json_t *object, const char *key,
                    char ret_id[FLOOD_ID_SIZE]) {
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || !text_is_id(text) || text_copy(ret_id, FLOOD_ID_SIZE, text) != 0) {
        complain(in, "%s: expected an id", key);
        ret_id[0] = '\0';
    }
}

static void check_source(struct reader *in, const json_t *object) {
    const char *text = json_string_value(json_object_get(object, "source"));
    if (text == NULL || text[0] == '\0') {
        complain(in, "source: expected a sentence that says where the numbers come from");
    }
}

/* The node of that name, made when it is new. */
static size_t take_node(struct reader *in, const json_t *object, const char *key) {
    struct flood_site *site = in->site;
    char id[FLOOD_ID_SIZE];
    take_id(in, object, key, id);
    for (size_t n = 0; n < site->node_count; n++) {
        if (strcmp(site->node[n], id) == 0) {
            return n;
        }
    }
    if (site->node_count == FLOOD_NODES_MAX) {
        complain(in, "more than %d nodes", FLOOD_NODES_MAX);
        return 0;
    }
    memcpy(site->node[site->node_count], id, sizeof id);
    return site->node_count++;
}

static void take_point(struct reader *in, const json_t *object, struct flood_point *ret_point) {
    take_id(in, object, "station", ret_point->station);
    take_id(in, object, "point", ret_point->point);
}

/* ---- parts ---- */

static void take_rain(struct reader *in, json_t *object, struct flood_basin *basin) {
    static const char *const keys[] = {"station", "point", "mm_per_count", "weight", NULL};
    if (basin->rain_count == FLOOD_SOURCES_MAX) {
        complain(in, "rain: more than %d points", FLOOD_SOURCES_MAX);
        return;
    }
    struct flood_rain *rain = &basin->rain[basin->rain_count++];
    check_keys(in, object, keys);
    take_point(in, object, &rain->at);
    rain->mm_per_count = number_or(in, object, "mm_per_count", 1e-3, 100, 0);
    rain->weight = take_number(in, object, "weight", 1e-6, 1e6);
}

static void take_gr(struct reader *in, json_t *object, struct flood_basin *basin) {
    static const char *const keys[] = {"x1_mm",         "x2_mm", "x3_mm", "x4", "start_production",
                                       "start_routing", NULL};
    struct err inner = {0};
    check_keys(in, object, keys);
    struct gr_parameters p = {
        take_number(in, object, "x1_mm", 0, 1e5), take_number(in, object, "x2_mm", -1e3, 1e3),
        take_number(in, object, "x3_mm", 0, 1e5), take_number(in, object, "x4", 0, 1e3)};
    basin->start_production = take_number(in, object, "start_production", 0, 1);
    basin->start_routing = take_number(in, object, "start_routing", 0, 1);
    if (gr_init(&basin->gr, GR_HOURLY, &p, false, &inner) != 0) {
        complain(in, "gr4h: %s", inner.text);
    }
}

static void take_hbv(struct reader *in, json_t *object, struct flood_basin *basin) {
    static const char *const keys[] = {
        "tt_c",   "cfmax_mm_k_day", "cfr",    "cwh",    "fc_mm",       "beta",       "lp",
        "k0_day", "k1_day",         "k2_day", "uzl_mm", "perc_mm_day", "maxbas_day", NULL};
    struct hbv_parameters p = {0};
    double *const values[] = {
        &p.tt_c,   &p.cfmax_mm_k_day, &p.cfr,    &p.cwh,    &p.fc_mm,       &p.beta,      &p.lp,
        &p.k0_day, &p.k1_day,         &p.k2_day, &p.uzl_mm, &p.perc_mm_day, &p.maxbas_day};
    struct err inner = {0};
    check_keys(in, object, keys);
    for (size_t i = 0; keys[i] != NULL; i++) {
        *values[i] = take_number(in, object, keys[i], -1e4, 1e4);
    }
    basin->is_hbv = true;
    if (hbv_init(&basin->hbv, 1, &p, &inner) != 0) {
        complain(in, "hbv: %s", inner.text);
    }
    if (isnan(in->site->temperature_c[0])) {
        complain(in, "hbv needs temperature_c of the site");
    }
}

static void take_basin(struct reader *in, json_t *object) {
    static const char *const keys[] = {"id",   "area_km2", "node",        "gr4h",     "hbv",
                                       "rain", "source",   "provisional", "regional", NULL};
    struct flood_basin *basin = &in->site->basins[in->site->basin_count++];
    json_t *gr = json_object_get(object, "gr4h"), *hbv = json_object_get(object, "hbv");
    json_t *rain = json_object_get(object, "rain"), *item;
    size_t i;
    check_keys(in, object, keys);
    take_id(in, object, "id", basin->id);
    check_source(in, object);
    basin->area_km2 = take_number(in, object, "area_km2", 1e-3, 1e7);
    basin->node = take_node(in, object, "node");
    basin->provisional = take_switch(in, object, "provisional");
    basin->regional = take_switch(in, object, "regional");
    if ((gr == NULL) == (hbv == NULL)) {
        complain(in, "expected either gr4h or hbv");
    } else if (gr != NULL) {
        take_gr(in, gr, basin);
    } else {
        take_hbv(in, hbv, basin);
    }
    if (json_array_size(rain) == 0) {
        complain(in, "rain: expected a list of points");
    }
    json_array_foreach(rain, i, item) {
        take_rain(in, item, basin);
    }
}

static void take_reach(struct reader *in, json_t *object) {
    static const char *const keys[] = {"id",      "from",        "to",      "length_m",
                                       "width_m", "slope",       "manning", "design_m3_s",
                                       "source",  "provisional", NULL};
    struct flood_reach *reach = &in->site->reaches[in->site->reach_count++];
    struct err inner = {0};
    check_keys(in, object, keys);
    take_id(in, object, "id", reach->id);
    check_source(in, object);
    reach->from = take_node(in, object, "from");
    reach->to = take_node(in, object, "to");
    reach->provisional = take_switch(in, object, "provisional");
    const struct cunge_reach channel = {
        take_number(in, object, "length_m", 1, 1e6), take_number(in, object, "width_m", 0.1, 1e5),
        take_number(in, object, "slope", 1e-6, 1), take_number(in, object, "manning", 1e-3, 1)};
    double design_m3_s = take_number(in, object, "design_m3_s", 1e-3, 1e6);
    if (in->err.code == 0 && cunge_init(&channel, 3600, design_m3_s, &reach->cunge, &inner) != 0) {
        complain(in, "%s", inner.text);
    }
}

static void take_schedule(struct reader *in, const json_t *list, struct flood_reservoir *to) {
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item) {
        const char *text = json_string_value(json_array_get(item, 0));
        if (i == FLOOD_CURVE_MAX || text == NULL || json_array_size(item) != 2 ||
            text_parse_time(text, &to->schedule_us[i]) != 0 ||
            (i > 0 && to->schedule_us[i] <= to->schedule_us[i - 1])) {
            complain(in, "schedule: expected at most %d pairs [time, m3/s], times rising",
                     FLOOD_CURVE_MAX);
            return;
        }
        to->schedule_m3_s[i] = number_in(in, json_array_get(item, 1), "schedule", 0, 1e6);
        to->schedule_count = i + 1;
    }
}

static void take_rule(struct reader *in, const json_t *list, struct flood_reservoir *to) {
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item) {
        if (i == FLOOD_CURVE_MAX || json_array_size(item) != 2) {
            complain(in, "rule: expected at most %d pairs [volume m3, release m3/s]",
                     FLOOD_CURVE_MAX);
            return;
        }
        to->rule_m3[i] = number_in(in, json_array_get(item, 0), "rule", 0, 1e12);
        to->rule_m3_s[i] = number_in(in, json_array_get(item, 1), "rule", 0, 1e6);
        if (i > 0 && !(to->rule_m3[i] > to->rule_m3[i - 1])) {
            complain(in, "rule: volumes must rise");
        }
        to->rule_count = i + 1;
    }
}

static void take_reservoir(struct reader *in, json_t *object) {
    static const char *const keys[] = {"id",      "node",     "gauge",  "schedule",    "rule",
                                       "full_m3", "start_m3", "source", "provisional", NULL};
    static const char *const point_keys[] = {"station", "point", NULL};
    struct flood_reservoir *reservoir = &in->site->reservoirs[in->site->reservoir_count++];
    json_t *gauge = json_object_get(object, "gauge");
    check_keys(in, object, keys);
    take_id(in, object, "id", reservoir->id);
    check_source(in, object);
    reservoir->node = take_node(in, object, "node");
    reservoir->provisional = take_switch(in, object, "provisional");
    if (gauge != NULL) {
        check_keys(in, gauge, point_keys);
        take_point(in, gauge, &reservoir->gauge);
        reservoir->has_gauge = true;
    }
    take_schedule(in, json_object_get(object, "schedule"), reservoir);
    take_rule(in, json_object_get(object, "rule"), reservoir);
    reservoir->full_m3 = take_number(in, object, "full_m3", 1, 1e12);
    reservoir->start_m3 = take_number(in, object, "start_m3", 0, reservoir->full_m3);
    if (!reservoir->has_gauge && reservoir->schedule_count == 0 && reservoir->rule_count == 0) {
        complain(in, "expected gauge, schedule or rule: nothing says what is released");
    }
}

/* "updating": what update --fit wrote, or {half_life_h, log_sigma}, a guess for a gauge without a
 * record: an AR(1) whose error halves in that time and whose open loop is off by that much. */
static void take_updating(struct reader *in, json_t *object, struct flood_gauge *gauge) {
    static const char *const keys[] = {"half_life_h", "log_sigma", NULL};
    /* Standard normal quantiles at (i + 0.5) / 20. */
    static const double normal[RESIDUAL_QUANTILES / 2] = {
        1.9599639845400545,  1.4395314709384572,  1.1503493803760083,  0.93458929107348,
        0.75541502636046909, 0.59776012604247841, 0.45376219016987968, 0.31863936396437514,
        0.18911842627279243, 0.06270677794321385};
    struct err inner = {0};
    if (json_object_get(object, "kind") != NULL) {
        int rc = update_unpack("updating", object, &gauge->update, &inner);
        if (rc == 0 &&
            residual_unpack(json_object_get(object, "residual"), &gauge->residual) != 0) {
            rc = err_set(&inner, ERR_INVALID, "no residuals in it");
        }
        if (rc != 0 || gauge->update.step_s != 3600) {
            complain(in, "updating: %s", rc != 0 ? inner.text : "not of hourly series");
        }
        return;
    }
    check_keys(in, object, keys);
    double rho = pow(0.5, 1 / take_number(in, object, "half_life_h", 0.1, 1000));
    double sigma = take_number(in, object, "log_sigma", 1e-3, 3);
    gauge->update =
        (struct update_model){.phi1 = rho, .rho = rho, .leads = UPDATE_LEADS_MAX, .step_s = 3600};
    gauge->residual.leads = UPDATE_LEADS_MAX;
    for (int k = 0; k <= UPDATE_LEADS_MAX; k++) {
        double spread = k == 0 ? sigma : sigma * sqrt(1 - pow(rho, 2 * k));
        gauge->update.gain[k] = gauge->update.gain_1[k] = 1;
        for (int i = 0; i < RESIDUAL_QUANTILES; i++) {
            double z = i < RESIDUAL_QUANTILES / 2 ? -normal[i] : normal[RESIDUAL_QUANTILES - 1 - i];
            gauge->residual.log_ratio[k][i] = gauge->residual.log_ratio_1[k][i] = spread * z;
        }
    }
}

static void take_gauge(struct reader *in, json_t *object) {
    static const char *const keys[] = {"station",  "point",  "node",        "rating", "levels_m",
                                       "updating", "source", "provisional", NULL};
    struct flood_gauge *gauge = &in->site->gauges[in->site->gauge_count++];
    const json_t *levels = json_object_get(object, "levels_m"), *item;
    struct err inner = {0};
    size_t i;
    check_keys(in, object, keys);
    take_point(in, object, &gauge->at);
    check_source(in, object);
    gauge->node = take_node(in, object, "node");
    gauge->provisional = take_switch(in, object, "provisional");
    if (rating_unpack("rating", json_object_get(object, "rating"), &gauge->rating, &inner) != 0) {
        complain(in, "%s", inner.text);
    }
    if (json_array_size(levels) > FLOOD_LEVELS_MAX) {
        complain(in, "levels_m: at most %d", FLOOD_LEVELS_MAX);
        return;
    }
    json_array_foreach(levels, i, item) {
        gauge->levels_m[i] = number_in(in, item, "levels_m", -1000, 10000);
        if (!(gauge->levels_m[i] >= (i > 0 ? gauge->levels_m[i - 1] : gauge->rating.lowest_m))) {
            complain(in, "levels_m: must rise, and not lie under the lowest gauging");
        }
        gauge->level_count = i + 1;
    }
    take_updating(in, json_object_get(object, "updating"), gauge);
}

/* ---- the whole ---- */

struct part {
    const char *name;
    size_t max;
    bool needed;
    void (*take)(struct reader *in, json_t *object);
};

static void take_months(struct reader *in, const json_t *list, const char *key, double min,
                        double max, double *ret_values) {
    if (json_array_size(list) != 12) {
        complain(in, "%s: expected 12 numbers, January first", key);
        return;
    }
    for (size_t i = 0; i < 12; i++) {
        ret_values[i] = number_in(in, json_array_get(list, i), key, min, max);
    }
}

static void take_parts(struct reader *in, const json_t *root) {
    static const struct part parts[] = {
        {"basins", FLOOD_BASINS_MAX, true, take_basin},
        {"reaches", FLOOD_REACHES_MAX, false, take_reach},
        {"reservoirs", FLOOD_RESERVOIRS_MAX, false, take_reservoir},
        {"gauges", FLOOD_GAUGES_MAX, true, take_gauge},
    };
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        const json_t *list = json_object_get(root, parts[p].name);
        json_t *item;
        size_t i;
        (void)snprintf(in->place, sizeof in->place, "%s", parts[p].name);
        if ((list != NULL && !json_is_array(list)) || json_array_size(list) > parts[p].max ||
            (parts[p].needed && json_array_size(list) == 0)) {
            complain(in, "expected a list of %d to %zu", parts[p].needed ? 1 : 0, parts[p].max);
            return;
        }
        json_array_foreach(list, i, item) {
            (void)snprintf(in->place, sizeof in->place, "%s[%zu]", parts[p].name, i);
            parts[p].take(in, item);
        }
    }
}

/* One reach at most leaves a node, one reservoir at most stands at it, nothing goes in circles. */
static void sort_nodes(struct reader *in) {
    struct flood_site *site = in->site;
    size_t next[FLOOD_NODES_MAX], waiting[FLOOD_NODES_MAX] = {0}, done = 0;
    (void)snprintf(in->place, sizeof in->place, "network");
    for (size_t n = 0; n < site->node_count; n++) {
        next[n] = SIZE_MAX;
    }
    for (size_t r = 0; r < site->reach_count; r++) {
        const struct flood_reach *reach = &site->reaches[r];
        if (next[reach->from] != SIZE_MAX) {
            complain(in, "two reaches leave node %s", site->node[reach->from]);
        }
        next[reach->from] = reach->to;
        waiting[reach->to]++;
    }
    for (size_t a = 0; a < site->reservoir_count; a++) {
        for (size_t b = 0; b < a; b++) {
            if (site->reservoirs[a].node == site->reservoirs[b].node) {
                complain(in, "two reservoirs at node %s", site->node[site->reservoirs[a].node]);
            }
        }
    }
    for (size_t n = 0; n < site->node_count; n++) {
        if (waiting[n] == 0) {
            site->order[done++] = n;
        }
    }
    for (size_t i = 0; i < done; i++) {
        size_t to = next[site->order[i]];
        if (to != SIZE_MAX && --waiting[to] == 0) {
            site->order[done++] = to;
        }
    }
    if (done < site->node_count) {
        complain(in, "the reaches go in a circle");
    }
}

static void check_ids(struct reader *in) {
    const struct flood_site *site = in->site;
    (void)snprintf(in->place, sizeof in->place, "ids");
    for (size_t a = 0; a < site->basin_count; a++) {
        for (size_t b = 0; b < a; b++) {
            if (strcmp(site->basins[a].id, site->basins[b].id) == 0) {
                complain(in, "basin '%s' is there twice", site->basins[a].id);
            }
        }
    }
    for (size_t a = 0; a < site->gauge_count; a++) {
        for (size_t b = 0; b < a; b++) {
            if (strcmp(site->gauges[a].at.station, site->gauges[b].at.station) == 0) {
                complain(in, "gauge '%s' is there twice", site->gauges[a].at.station);
            }
        }
    }
}

static void take_root(struct reader *in, json_t *root) {
    static const char *const keys[] = {
        "kind",   "version", "source", "provisional", "evaporation_mm_day", "temperature_c",
        "basins", "reaches", "gauges", "reservoirs",  "rain_log_sigma",     NULL};
    const char *kind = json_string_value(json_object_get(root, "kind"));
    (void)snprintf(in->place, sizeof in->place, "top");
    check_keys(in, root, keys);
    check_source(in, root);
    if (kind == NULL || strcmp(kind, "flood-site") != 0 ||
        json_integer_value(json_object_get(root, "version")) != 1) {
        complain(in, "expected \"kind\": \"flood-site\", \"version\": 1");
    }
    (void)take_switch(in, root, "provisional");
    take_months(in, json_object_get(root, "evaporation_mm_day"), "evaporation_mm_day", 0, 20,
                in->site->evaporation_mm_day);
    for (size_t i = 0; i < 12; i++) {
        in->site->temperature_c[i] = NAN;
    }
    if (json_object_get(root, "temperature_c") != NULL) {
        take_months(in, json_object_get(root, "temperature_c"), "temperature_c", -60, 60,
                    in->site->temperature_c);
    }
    in->site->rain_log_sigma = take_number(in, root, "rain_log_sigma", 0, 3);
    take_parts(in, root);
    sort_nodes(in);
    check_ids(in);
}

static void hash_network(const json_t *root, char ret_hash[HASH_TEXT_SIZE]) {
    static const char *const parts[] = {"basins", "reaches", "reservoirs"};
    char joined[3 * HASH_TEXT_SIZE] = "";
    for (size_t i = 0; i < 3; i++) {
        char *text = json_dumps(json_object_get(root, parts[i]), JSON_COMPACT | JSON_SORT_KEYS);
        hash_text(text != NULL ? text : "", text != NULL ? strlen(text) : 0,
                  joined + i * (HASH_TEXT_SIZE - 1));
        free(text);
    }
    hash_text(joined, strlen(joined), ret_hash);
}

int flood_site_parse(const char *name, const char *text, size_t length,
                     struct flood_site **ret_site, struct err *ret_err) {
    json_error_t where;
    struct reader in = {.site = calloc(1, sizeof *in.site), .file = name};
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (in.site == NULL) {
        json_decref(root);
        return err_set(ret_err, ERR_MEMORY, "no memory for the site");
    }
    if (root == NULL) {
        free(in.site);
        return err_set(ret_err, ERR_SYNTAX, "%.120s:%d:%d: %s", name, where.line, where.column,
                       where.text);
    }
    take_root(&in, root);
    hash_network(root, in.site->network);
    json_decref(root);
    if (in.err.code != 0) {
        free(in.site);
        return err_set(ret_err, in.err.code, "%s", in.err.text);
    }
    *ret_site = in.site;
    return 0;
}

int flood_site_load(const char *path, struct flood_site **ret_site, struct err *ret_err) {
    FILE *file = fopen(path, "rb");
    char *text = malloc(SITE_BYTES_MAX + 1);
    int rc = 0;
    if (text == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for the site");
    } else if (file == NULL) {
        rc = err_set(ret_err, ERR_IO, "%.300s: %s", path, strerror(errno));
    } else {
        size_t length = fread(text, 1, SITE_BYTES_MAX + 1, file);
        rc = ferror(file) || length > SITE_BYTES_MAX
                 ? err_set(ret_err, ERR_IO, "%.300s: cannot read, or more than %d bytes", path,
                           SITE_BYTES_MAX)
                 : flood_site_parse(path, text, length, ret_site, ret_err);
    }
    if (file != NULL) {
        (void)fclose(file); /* only read */
    }
    free(text);
    return rc;
}

static int month_of(int64_t utc_us) {
    time_t seconds = (time_t)(utc_us / 1000000);
    struct tm tm;
    return gmtime_r(&seconds, &tm) == NULL ? 0 : tm.tm_mon;
}

double flood_evaporation_mm(const struct flood_site *site, int64_t utc_us) {
    return site->evaporation_mm_day[month_of(utc_us)] / 24;
}

double flood_temperature_c(const struct flood_site *site, int64_t utc_us) {
    return site->temperature_c[month_of(utc_us)];
}
