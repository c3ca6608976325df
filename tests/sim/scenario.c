#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "logger.h"
#include "simclock.h"

/* ---- register maps ------------------------------------------------------------------------ */

static int load_nan(struct map_point *point, struct doc *doc, yaml_node_t *map,
                    struct err *ret_err) {
    yaml_node_t *node = doc_get(doc, map, "nan");
    if (node == NULL) {
        return 0;
    }
    if (point->spec.type == ENCODE_FLOAT32 || point->spec.type == ENCODE_BIT) {
        return doc_fail(doc, node, ret_err, ERR_INVALID, "only an integer type has a 'nan' code");
    }
    int64_t raw = 0;
    int64_t most = encode_width(point->spec.type) == 1 ? 65535 : 4294967295LL;
    int result = doc_int(doc, node, 0, most, &raw, ret_err);
    point->spec.nan_raw = (uint32_t)raw;
    point->spec.has_nan = result == 0;
    return result;
}

static int load_map_point(struct map_point *point, struct doc *doc, yaml_node_t *map,
                          struct err *ret_err) {
    static const char *const keys[] = {"point", "table",  "address", "type",     "order",
                                       "scale", "offset", "nan",     "overflow", NULL};
    static const char *const tables[] = {"coils", "discrete", "input", "holding", NULL};
    static const char *const overflows[] = {"saturate", "wrap", NULL};
    yaml_node_t *node = NULL;
    const char *name = NULL;
    int table = 0, type = 0, order = 0, overflow = 0;
    int64_t address = 0;
    point->spec.scale = 1.0;
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 || (result = doc_need(doc, map, "point", &node, ret_err)) != 0 ||
        (result = doc_id(doc, node, &name, ret_err)) != 0 ||
        (result = doc_need(doc, map, "table", &node, ret_err)) != 0 ||
        (result = doc_word(doc, node, tables, &table, ret_err)) != 0 ||
        (result = doc_need(doc, map, "type", &node, ret_err)) != 0 ||
        (result = doc_word(doc, node, encode_type_names, &type, ret_err)) != 0 ||
        (result = doc_opt_word(doc, map, "order", encode_order_names, &order, ret_err)) != 0 ||
        (result = doc_opt_word(doc, map, "overflow", overflows, &overflow, ret_err)) != 0 ||
        (result = doc_opt_double(doc, map, "scale", -1e9, 1e9, &point->spec.scale, ret_err)) != 0 ||
        (result = doc_opt_double(doc, map, "offset", -1e9, 1e9, &point->spec.offset, ret_err)) !=
            0 ||
        (result = doc_need_int(doc, map, "address", 0, 65535, &address, ret_err)) != 0) {
        return result;
    }
    (void)snprintf(point->name, sizeof point->name, "%s", name); /* an id fits */
    point->table = (enum sim_table)table;
    point->address = (uint16_t)address;
    point->spec.type = (enum encode_type)type;
    point->spec.order = (enum encode_order)order;
    point->spec.wrap = overflow == 1;
    if (point->spec.scale == 0) {
        return doc_fail(doc, map, ret_err, ERR_RANGE, "'scale' must not be 0");
    }
    if ((point->table <= TABLE_DISCRETE) != (point->spec.type == ENCODE_BIT)) {
        return doc_fail(doc, map, ret_err, ERR_INVALID,
                        "type bit belongs to coils and discrete inputs, the others to registers");
    }
    if (address + encode_width(point->spec.type) > 65536) {
        return doc_fail(doc, map, ret_err, ERR_RANGE, "the value ends beyond address 65535");
    }
    return load_nan(point, doc, map, ret_err);
}

static int compare_points(const void *a, const void *b) {
    const struct map_point *left = a;
    const struct map_point *right = b;
    if (left->table != right->table) {
        return left->table < right->table ? -1 : 1;
    }
    return left->address < right->address ? -1 : left->address > right->address;
}

static int load_map(struct sim_map *map, struct doc *doc, const char *name, yaml_node_t *list,
                    struct err *ret_err) {
    size_t count = 0;
    int result = doc_list(doc, list, SCENARIO_POINTS_MAX, &count, ret_err);
    if (result != 0) {
        return result;
    }
    (void)snprintf(map->name, sizeof map->name, "%s", name); /* checked by the caller */
    map->points = calloc(count + 1, sizeof *map->points);
    if (map->points == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a register map");
    }
    map->count = count;
    for (size_t i = 0; i < count; i++) {
        result = load_map_point(&map->points[i], doc, doc_item(doc, list, i), ret_err);
        if (result != 0) {
            return result;
        }
    }
    qsort(map->points, count, sizeof *map->points, compare_points);
    for (size_t i = 1; i < count; i++) {
        const struct map_point *before = &map->points[i - 1];
        if (before->table == map->points[i].table &&
            before->address + encode_width(before->spec.type) > map->points[i].address) {
            return doc_fail(doc, list, ret_err, ERR_EXISTS, "points '%s' and '%s' overlap",
                            before->name, map->points[i].name);
        }
    }
    return 0;
}

static int load_maps(struct scenario *scenario, yaml_node_t *maps, struct err *ret_err) {
    struct doc *doc = &scenario->doc;
    int result = doc_check_keys(doc, maps, NULL, ret_err);
    if (result != 0) {
        return result;
    }
    for (yaml_node_pair_t *pair = maps->data.mapping.pairs.start;
         pair < maps->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(&doc->yaml, pair->key);
        const char *name = NULL;
        if (scenario->map_count == SCENARIO_MAPS_MAX) {
            return doc_fail(doc, key, ret_err, ERR_LIMIT, "more than %d maps", SCENARIO_MAPS_MAX);
        }
        result = doc_id(doc, key, &name, ret_err);
        if (result == 0) {
            result = load_map(&scenario->maps[scenario->map_count++], doc, name,
                              yaml_document_get_node(&doc->yaml, pair->value), ret_err);
        }
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* ---- stations ----------------------------------------------------------------------------- */

static int add_station(struct scenario *scenario, const struct sim_station *station,
                       struct err *ret_err) {
    if (scenario->station_count == SCENARIO_STATIONS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "%s: more than %d stations", scenario->doc.path,
                       SCENARIO_STATIONS_MAX);
    }
    if (scenario->station_count == scenario->station_room) {
        size_t room = scenario->station_room == 0 ? 64 : 2 * scenario->station_room;
        struct sim_station *grown = realloc(scenario->stations, room * sizeof *grown);
        if (grown == NULL) {
            return err_set(ret_err, ERR_MEMORY, "no memory for the stations");
        }
        scenario->stations = grown;
        scenario->station_room = room;
    }
    scenario->stations[scenario->station_count++] = *station;
    return 0;
}

static void free_values(struct sim_station *station) {
    for (size_t i = 0; station->values != NULL && i < station->map->count; i++) {
        signal_free(&station->values[i].signal);
    }
    free(station->values);
    station->values = NULL;
}

static int load_values(struct sim_station *station, struct doc *doc, yaml_node_t *node,
                       struct err *ret_err) {
    const char *keys[SCENARIO_POINTS_MAX + 1] = {NULL};
    station->values = calloc(station->map->count + 1, sizeof *station->values);
    if (station->values == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a station");
    }
    for (size_t i = 0; i < station->map->count; i++) {
        keys[i] = station->map->points[i].name;
    }
    int result = doc_check_keys(doc, node, keys, ret_err);
    for (size_t i = 0; result == 0 && i < station->map->count; i++) {
        yaml_node_t *signal = NULL;
        result = doc_need(doc, node, keys[i], &signal, ret_err);
        if (result == 0) {
            result = signal_load(&station->values[i].signal, doc, signal, ret_err);
        }
    }
    return result;
}

/* Ties the terms that look at another point to it, and seeds every point by its name. */
static int link_values(struct scenario *scenario, struct sim_station *station, yaml_node_t *node,
                       struct err *ret_err) {
    struct doc *doc = &scenario->doc;
    for (size_t i = 0; i < station->map->count; i++) {
        struct signal *signal = &station->values[i].signal;
        signal->seed = noise_bits(scenario->seed, noise_hash(station->id),
                                  noise_hash(station->map->points[i].name), 0);
        for (size_t k = 0; k < signal->count; k++) {
            struct term *term = &signal->terms[k];
            if (term->kind == TERM_FIELD && !scenario->has_field) {
                return doc_fail(doc, node, ret_err, ERR_NOT_FOUND,
                                "a term 'field', but the scenario has no rain_field");
            }
            if (term->kind != TERM_COUNT && term->kind != TERM_WASHOUT) {
                continue;
            }
            size_t other = 0;
            while (other < station->map->count &&
                   strcmp(station->map->points[other].name, term->of) != 0) {
                other++;
            }
            if (other == station->map->count || signal_remembers(&station->values[other].signal)) {
                return doc_fail(doc, node, ret_err, ERR_NOT_FOUND,
                                "'of: %s' must name a point of the station without walk, count or "
                                "washout",
                                term->of);
            }
            term->other = &station->values[other].signal;
        }
    }
    return 0;
}

/* A serial line instead of host and port. */
static int load_device(struct doc *doc, yaml_node_t *map, struct sim_station *station,
                       struct err *ret_err) {
    yaml_node_t *node = doc_get(doc, map, "device");
    const char *text = NULL;
    if (node == NULL) {
        return 0;
    }
    if (doc_get(doc, map, "port") != NULL || doc_get(doc, map, "host") != NULL) {
        return doc_fail(doc, node, ret_err, ERR_EXISTS, "a device has no host and port");
    }
    int result = doc_text(doc, node, &text, ret_err);
    if (result == 0 && text_copy(station->device, sizeof station->device, text) != 0) {
        result = doc_fail(doc, node, ret_err, ERR_LIMIT, "the device's path is too long");
    }
    return result;
}

static int load_common(struct scenario *scenario, struct sim_station *station, yaml_node_t *map,
                       struct err *ret_err) {
    struct doc *doc = &scenario->doc;
    yaml_node_t *node = NULL;
    const char *text = NULL;
    int64_t port = 0;
    int64_t unit = 1;
    int result = doc_need(doc, map, "id", &node, ret_err);
    if (result != 0 || (result = doc_id(doc, node, &text, ret_err)) != 0 ||
        (result = load_device(doc, map, station, ret_err)) != 0 ||
        (result = station->device[0] != '\0'
                      ? 0
                      : doc_need_int(doc, map, "port", 0, 65535, &port, ret_err)) != 0 ||
        (result = doc_opt_int(doc, map, "unit", 1, 247, &unit, ret_err)) != 0 ||
        (result = doc_opt_double(doc, map, "lat", -90, 90, &station->env.lat_deg, ret_err)) != 0 ||
        (result = doc_opt_double(doc, map, "lon", -180, 180, &station->env.lon_deg, ret_err)) !=
            0) {
        return result;
    }
    (void)snprintf(station->id, sizeof station->id, "%s", text); /* an id fits */
    station->port = (uint16_t)port;
    station->unit = (uint8_t)unit;
    station->env.field = scenario->has_field ? &scenario->field : NULL;
    station->env.start_us = scenario->start_us;
    memcpy(station->host, scenario->host, sizeof station->host);
    node = doc_get(doc, map, "host");
    if (node != NULL) {
        if ((result = doc_text(doc, node, &text, ret_err)) != 0) {
            return result;
        }
        if (text_copy(station->host, sizeof station->host, text) != 0) {
            return doc_fail(doc, node, ret_err, ERR_LIMIT, "the host is too long");
        }
    }
    if ((result = doc_need(doc, map, "map", &node, ret_err)) != 0 ||
        (result = doc_text(doc, node, &text, ret_err)) != 0) {
        return result;
    }
    for (size_t i = 0; i < scenario->map_count; i++) {
        if (strcmp(scenario->maps[i].name, text) == 0) {
            station->map = &scenario->maps[i];
        }
    }
    return station->map != NULL
               ? 0
               : doc_fail(doc, node, ret_err, ERR_NOT_FOUND, "no map is called '%.60s'", text);
}

static int load_station(struct scenario *scenario, yaml_node_t *map, struct err *ret_err) {
    static const char *const keys[] = {"id",  "device",  "host",  "port", "unit",   "lat", "lon",
                                       "map", "signals", "clock", "text", "memory", NULL};
    struct sim_station station = {0};
    yaml_node_t *signals = NULL;
    int result = doc_check_keys(&scenario->doc, map, keys, ret_err);
    if (result == 0) {
        result = load_common(scenario, &station, map, ret_err);
    }
    if (result == 0) {
        result = doc_need(&scenario->doc, map, "signals", &signals, ret_err);
    }
    if (result == 0) {
        result = load_values(&station, &scenario->doc, signals, ret_err);
    }
    if (result == 0) {
        result = link_values(scenario, &station, signals, ret_err);
    }
    if (result == 0) {
        result = sim_logger_load(&station, &scenario->doc, map, scenario->start_us, &station.logger,
                                 ret_err);
    }
    if (result == 0) {
        result = add_station(scenario, &station, ret_err);
    }
    if (result != 0) {
        sim_logger_free(station.logger);
        free_values(&station);
    }
    return result;
}

/* One more station of a fleet: the template with its own name, address and state. The template
 * itself becomes number 0, because the shared tables belong to it. */
static int add_copy(struct scenario *scenario, const struct sim_station *template, int64_t number,
                    bool one_port, yaml_node_t *node, struct err *ret_err) {
    struct sim_station copy = *template;
    int length = snprintf(copy.id, sizeof copy.id, "%s-%05lld", template->id, (long long)number);
    if (length < 0 || (size_t)length >= sizeof copy.id) {
        return doc_fail(&scenario->doc, node, ret_err, ERR_LIMIT, "the id is too long");
    }
    if (one_port) {
        copy.unit = (uint8_t)(template->unit + number);
    } else if (template->port != 0) {
        copy.port = (uint16_t)(template->port + number);
    }
    copy.values = calloc(template->map->count + 1, sizeof *copy.values);
    if (copy.values == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the fleet");
    }
    int result = 0;
    for (size_t i = 0; result == 0 && i < template->map->count; i++) {
        result = signal_copy(&template->values[i].signal, &copy.values[i].signal);
    }
    if (result != 0) {
        (void)err_set(ret_err, result, "no memory for the fleet");
    } else if ((result = link_values(scenario, &copy, node, ret_err)) == 0) {
        result = add_station(scenario, &copy, ret_err);
    }
    if (result != 0) {
        free_values(&copy);
    }
    return result;
}

static int load_fleet(struct scenario *scenario, yaml_node_t *map, struct err *ret_err) {
    static const char *const keys[] = {"id",  "host",  "port",   "unit",    "lat", "lon",
                                       "map", "count", "spread", "signals", NULL};
    static const char *const spreads[] = {"ports", "units", NULL};
    struct doc *doc = &scenario->doc;
    struct sim_station template = {0};
    yaml_node_t *signals = NULL;
    int64_t count = 0;
    int spread = 0;
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 || (result = load_common(scenario, &template, map, ret_err)) != 0 ||
        (result = doc_need_int(doc, map, "count", 1, SCENARIO_STATIONS_MAX, &count, ret_err)) !=
            0 ||
        (result = doc_opt_word(doc, map, "spread", spreads, &spread, ret_err)) != 0 ||
        (result = doc_need(doc, map, "signals", &signals, ret_err)) != 0) {
        return result;
    }
    bool one_port = spread == 1;
    if (one_port && (template.port == 0 || template.unit + count - 1 > SCENARIO_UNITS_MAX)) {
        return doc_fail(doc, map, ret_err, ERR_RANGE,
                        "'spread: units' needs a fixed port and at most %d units",
                        SCENARIO_UNITS_MAX);
    }
    if (!one_port && template.port != 0 && template.port + count - 1 > 65535) {
        return doc_fail(doc, map, ret_err, ERR_RANGE, "the ports end beyond 65535");
    }
    result = load_values(&template, doc, signals, ret_err);
    if (result == 0) {
        result = add_copy(scenario, &template, 0, one_port, signals, ret_err);
    }
    if (result != 0) {
        free_values(&template);
        return result;
    }
    /* Number 0 takes over the tables; the template's own list of terms is not needed any more. */
    struct sim_station *first = &scenario->stations[scenario->station_count - 1];
    for (size_t i = 0; i < template.map->count; i++) {
        for (size_t k = 0; k < template.values[i].signal.count; k++) {
            first->values[i].signal.terms[k].owns_table =
                template.values[i].signal.terms[k].owns_table;
            template.values[i].signal.terms[k].owns_table = false;
        }
    }
    for (int64_t number = 1; result == 0 && number < count; number++) {
        result = add_copy(scenario, &template, number, one_port, signals, ret_err);
    }
    free_values(&template);
    return result;
}

/* ---- endpoints and faults ----------------------------------------------------------------- */

static int place_station(struct scenario *scenario, size_t index, size_t *by_port,
                         struct err *ret_err) {
    struct sim_station *station = &scenario->stations[index];
    /* The table is by port alone: two hosts with the same port are rare enough to be refused. */
    size_t at = station->port != 0 ? by_port[station->port] : 0;
    for (size_t i = 0; station->device[0] != '\0' && i < scenario->endpoint_count; i++) {
        at = strcmp(scenario->endpoints[i].device, station->device) == 0 ? i + 1 : at;
    }
    if (at == 0) {
        struct sim_endpoint *endpoint = &scenario->endpoints[scenario->endpoint_count++];
        memcpy(endpoint->device, station->device, sizeof endpoint->device);
        memcpy(endpoint->host, station->host, sizeof endpoint->host);
        endpoint->port = station->port;
        at = scenario->endpoint_count;
        by_port[station->port] = at;
    }
    struct sim_endpoint *endpoint = &scenario->endpoints[at - 1];
    if (strcmp(endpoint->host, station->host) != 0) {
        return err_set(ret_err, ERR_EXISTS, "%s: port %u on two hosts, %s and %s",
                       scenario->doc.path, station->port, endpoint->host, station->host);
    }
    if (endpoint->units[station->unit] != NULL) {
        return err_set(ret_err, ERR_EXISTS, "%s: stations '%s' and '%s' share port %u and unit %u",
                       scenario->doc.path, endpoint->units[station->unit]->id, station->id,
                       station->port, station->unit);
    }
    endpoint->units[station->unit] = station;
    station->endpoint = at - 1;
    return 0;
}

static int compare_ids(const void *a, const void *b) {
    const struct sim_station *const *left = a;
    const struct sim_station *const *right = b;
    return strcmp((*left)->id, (*right)->id);
}

static int check_ids(struct scenario *scenario, struct err *ret_err) {
    const struct sim_station **sorted = calloc(scenario->station_count + 1, sizeof *sorted);
    if (sorted == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the stations");
    }
    for (size_t i = 0; i < scenario->station_count; i++) {
        sorted[i] = &scenario->stations[i];
    }
    qsort(sorted, scenario->station_count, sizeof(*sorted), compare_ids);
    int result = 0;
    for (size_t i = 1; result == 0 && i < scenario->station_count; i++) {
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0) {
            result = err_set(ret_err, ERR_EXISTS, "%s: station '%s' stands twice",
                             scenario->doc.path, sorted[i]->id);
        }
    }
    free(sorted);
    return result;
}

static int place_stations(struct scenario *scenario, struct err *ret_err) {
    size_t *by_port = calloc(65536, sizeof *by_port);
    scenario->endpoints = calloc(scenario->station_count + 1, sizeof *scenario->endpoints);
    int result = by_port == NULL || scenario->endpoints == NULL
                     ? err_set(ret_err, ERR_MEMORY, "no memory for the endpoints")
                     : check_ids(scenario, ret_err);
    for (size_t i = 0; result == 0 && i < scenario->station_count; i++) {
        result = place_station(scenario, i, by_port, ret_err);
    }
    free(by_port);
    return result;
}

/* A NaN fault needs a point that can say "no value". */
static int check_fault(const struct scenario *scenario, const struct fault *fault,
                       const struct sim_station *station, yaml_node_t *node, struct err *ret_err) {
    bool found = !fault_is_value(fault->kind);
    for (size_t i = 0; i < station->map->count; i++) {
        const struct map_point *point = &station->map->points[i];
        if (!fault_is_value(fault->kind) || !fault_hits_point(fault, point->name)) {
            continue;
        }
        found = true;
        if (fault->kind == FAULT_NAN && !point->spec.has_nan &&
            point->spec.type != ENCODE_FLOAT32) {
            return doc_fail(&scenario->doc, node, ret_err, ERR_INVALID,
                            "point '%s' of '%s' has no 'nan' code", point->name, station->id);
        }
    }
    return found ? 0
                 : doc_fail(&scenario->doc, node, ret_err, ERR_NOT_FOUND,
                            "'%s' has no point that matches '%s'", station->id, fault->point);
}

static int load_fault(struct scenario *scenario, yaml_node_t *node, struct fault *fault,
                      struct err *ret_err) {
    int result = fault_load(fault, &scenario->doc, node, ret_err);
    bool hit = false;
    for (size_t i = 0; result == 0 && i < scenario->station_count; i++) {
        struct sim_station *station = &scenario->stations[i];
        if (!fault_hits_station(fault, station->id)) {
            continue;
        }
        hit = true;
        if ((result = check_fault(scenario, fault, station, node, ret_err)) != 0) {
            return result;
        }
        const struct fault **grown =
            realloc(station->faults, (station->fault_count + 1) * sizeof(*grown));
        if (grown == NULL) {
            return err_set(ret_err, ERR_MEMORY, "no memory for the faults");
        }
        station->faults = grown;
        station->faults[station->fault_count++] = fault;
    }
    if (result == 0 && !hit) {
        result = doc_fail(&scenario->doc, node, ret_err, ERR_NOT_FOUND, "no station matches '%s'",
                          fault->station);
    }
    return result;
}

static int load_faults(struct scenario *scenario, yaml_node_t *list, struct err *ret_err) {
    size_t count = 0;
    int result = list == NULL ? 0 : doc_list(&scenario->doc, list, FAULTS_MAX, &count, ret_err);
    scenario->faults = calloc(count + 1, sizeof *scenario->faults);
    if (result == 0 && scenario->faults == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the faults");
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        result =
            load_fault(scenario, doc_item(&scenario->doc, list, i), &scenario->faults[i], ret_err);
        scenario->faults[i].seed = noise_bits(scenario->seed, UINT64_C(0xfa017), i, 0);
        scenario->fault_count = i + 1;
    }
    return result;
}

/* ---- the file ----------------------------------------------------------------------------- */

static int load_head(struct scenario *scenario, yaml_node_t *root, int64_t start_us,
                     struct err *ret_err) {
    struct doc *doc = &scenario->doc;
    yaml_node_t *node = NULL;
    const char *text = NULL;
    int64_t seed = 1;
    int result = doc_need(doc, root, "scenario", &node, ret_err);
    if (result != 0 || (result = doc_id(doc, node, &text, ret_err)) != 0) {
        return result;
    }
    (void)snprintf(scenario->name, sizeof scenario->name, "%s", text); /* an id fits */
    if ((result = doc_need(doc, root, "start", &node, ret_err)) != 0 ||
        (result = doc_text(doc, node, &text, ret_err)) != 0) {
        return result;
    }
    if (strcmp(text, "now") == 0) {
        scenario->start_us = simclock_real_us();
    } else if ((result = doc_time(doc, node, &scenario->start_us, ret_err)) != 0) {
        return result;
    }
    if (start_us >= 0) {
        scenario->start_us = start_us;
    }
    doc->origin_us = scenario->start_us;
    scenario->speed = 1.0;
    memcpy(scenario->host, "127.0.0.1", sizeof "127.0.0.1");
    if ((result = doc_opt_double(doc, root, "speed", 0.001, 100000, &scenario->speed, ret_err)) !=
            0 ||
        (result = doc_opt_int(doc, root, "seed", 0, INT64_MAX, &seed, ret_err)) != 0) {
        return result;
    }
    scenario->seed = (uint64_t)seed;
    node = doc_get(doc, root, "host");
    if (node == NULL) {
        return 0;
    }
    if ((result = doc_text(doc, node, &text, ret_err)) != 0) {
        return result;
    }
    return text_copy(scenario->host, sizeof scenario->host, text) == 0
               ? 0
               : doc_fail(doc, node, ret_err, ERR_LIMIT, "the host is too long");
}

static int load_lists(struct scenario *scenario, yaml_node_t *root, struct err *ret_err) {
    static const char *const names[] = {"stations", "fleet"};
    struct doc *doc = &scenario->doc;
    for (size_t which = 0; which < 2; which++) {
        yaml_node_t *list = doc_get(doc, root, names[which]);
        size_t count = 0;
        int result = list == NULL ? 0 : doc_list(doc, list, SCENARIO_STATIONS_MAX, &count, ret_err);
        for (size_t i = 0; result == 0 && i < count; i++) {
            yaml_node_t *node = doc_item(doc, list, i);
            result = which == 0 ? load_station(scenario, node, ret_err)
                                : load_fleet(scenario, node, ret_err);
        }
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

int scenario_load(struct scenario *scenario, const char *path, int64_t start_us,
                  struct err *ret_err) {
    static const char *const keys[] = {"scenario",   "about",  "start",    "speed", "seed",
                                       "host",       "maps",   "stations", "fleet", "faults",
                                       "rain_field", "frames", NULL};
    memset(scenario, 0, sizeof *scenario);
    struct doc *doc = &scenario->doc;
    int result = doc_load(doc, path, ret_err);
    if (result != 0) {
        return result;
    }
    yaml_node_t *root = doc_root(doc);
    yaml_node_t *maps = NULL;
    result = doc_check_keys(doc, root, keys, ret_err);
    if (result == 0) {
        result = load_head(scenario, root, start_us, ret_err);
    }
    yaml_node_t *field = doc_get(doc, root, "rain_field");
    if (result == 0 && field != NULL) {
        scenario->has_field = true;
        result = rainfield_load(&scenario->field, doc, field, scenario->seed, ret_err);
    }
    yaml_node_t *frames = doc_get(doc, root, "frames");
    if (result == 0 && frames != NULL) {
        result = scenario->has_field
                     ? frames_load(&scenario->frames, doc, frames, ret_err)
                     : doc_fail(doc, frames, ret_err, ERR_NOT_FOUND, "frames need a rain_field");
    }
    maps = doc_get(doc, root, "maps");
    if (result == 0 && maps != NULL) {
        result = load_maps(scenario, maps, ret_err);
    }
    if (result == 0) {
        result = load_lists(scenario, root, ret_err);
    }
    if (result == 0) {
        result = place_stations(scenario, ret_err);
    }
    if (result == 0) {
        result = load_faults(scenario, doc_get(doc, root, "faults"), ret_err);
    }
    if (result != 0) {
        scenario_free(scenario);
    }
    return result;
}

void scenario_free(struct scenario *scenario) {
    if (scenario == NULL) {
        return;
    }
    for (size_t i = 0; i < scenario->station_count; i++) {
        sim_logger_free(scenario->stations[i].logger);
        free_values(&scenario->stations[i]);
        free(scenario->stations[i].faults);
    }
    for (size_t i = 0; i < scenario->map_count; i++) {
        free(scenario->maps[i].points);
    }
    free(scenario->stations);
    free(scenario->endpoints);
    free(scenario->faults);
    rainfield_free(&scenario->field);
    doc_free(&scenario->doc);
    memset(scenario, 0, sizeof *scenario);
}
