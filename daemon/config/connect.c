#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"
#include "daemon/config/loader.h"
#include "drivers/modbus/plan.h"

static int compare_links(const void *left, const void *right, void *context) {
    const struct site *site = context;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    const struct site_link *link_a = &site->links[a];
    const struct site_link *link_b = &site->links[b];
    int order = modbus_endpoint_compare(&link_a->endpoint, &link_b->endpoint);
    if (order == 0) {
        order = (int)link_a->unit - (int)link_b->unit;
    }
    return order != 0 ? order : (a > b) - (a < b);
}

static int compare_maps(const void *left, const void *right) {
    const struct modbus_map *a = left;
    const struct modbus_map *b = right;
    int order = (int)a->table - (int)b->table;
    if (order == 0) {
        order = (int)a->address - (int)b->address;
    }
    return order != 0 ? order : (a->point > b->point) - (a->point < b->point);
}

static bool same_times(const struct modbus_endpoint_config *a,
                       const struct modbus_endpoint_config *b) {
    return a->request_timeout_us == b->request_timeout_us &&
           a->connect_timeout_us == b->connect_timeout_us &&
           a->reconnect_min_us == b->reconnect_min_us &&
           a->reconnect_max_us == b->reconnect_max_us && a->probe_min_us == b->probe_min_us &&
           a->probe_max_us == b->probe_max_us && a->dead_after == b->dead_after;
}

static bool same_manner(const struct modbus_endpoint_config *a,
                        const struct modbus_endpoint_config *b) {
    const struct modbus_serial *serial_a = &a->serial;
    const struct modbus_serial *serial_b = &b->serial;
    const struct modbus_quirks *quirks_a = &a->quirks;
    const struct modbus_quirks *quirks_b = &b->quirks;
    return serial_a->baud == serial_b->baud && serial_a->parity == serial_b->parity &&
           serial_a->stop_bits == serial_b->stop_bits &&
           serial_a->direction == serial_b->direction &&
           serial_a->silent_us == serial_b->silent_us &&
           quirks_a->reply_unit == quirks_b->reply_unit &&
           quirks_a->byte_count == quirks_b->byte_count && quirks_a->surplus == quirks_b->surplus &&
           quirks_a->echo == quirks_b->echo &&
           quirks_a->close_after_reply == quirks_b->close_after_reply &&
           quirks_a->string_swapped == quirks_b->string_swapped &&
           quirks_a->address_from_one == quirks_b->address_from_one &&
           a->idle_close_us == b->idle_close_us && a->connect_pause_us == b->connect_pause_us &&
           a->request_pause_us == b->request_pause_us && a->close_pause_us == b->close_pause_us;
}

static void check_overlap(struct loader *loader, const struct modbus_map *maps, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const struct modbus_map *high = &maps[i];
        const struct modbus_map *low = NULL;
        /* Only those whose registers can reach so far: parts of one register are at most 16. */
        for (size_t j = i; low == NULL && j > 0 && maps[j - 1].table == high->table &&
                           maps[j - 1].address + MODBUS_TYPE_BYTES_MAX / 2 > high->address;
             j--) {
            low = modbus_maps_overlap(&maps[j - 1], high) ? &maps[j - 1] : NULL;
        }
        if (low == NULL) {
            continue;
        }
        /* The complaint stands at the point that comes later in the files. */
        const struct modbus_map *first = low->point < high->point ? low : high;
        const struct modbus_map *second = first == low ? high : low;
        const struct yaml_node *node = yaml_member(loader->point_nodes[second->point], "register");
        const struct point *other = &loader->site->points[first->point];
        yaml_error(loader->reader.errors, yaml_member(node, "address"),
                   "%s register %u is in use already by the point '%s' of station '%s'",
                   modbus_table_name(second->table), second->address, other->id,
                   loader->site->stations[other->station].id);
    }
}

/* Copies the maps of one station behind those that are there. */
static void take_maps(struct loader *loader, uint32_t station_index, size_t *used) {
    struct site *site = loader->site;
    const struct station *station = &site->stations[station_index];
    bool from_one = site->links[station_index].endpoint.quirks.address_from_one;
    for (uint32_t i = 0; i < station->point_count; i++) {
        uint32_t point = station->first_point + i;
        struct modbus_map *map = &site->unit_maps[(*used)++];
        *map = site->maps[point];
        if (from_one && map->address == 0) {
            const struct yaml_node *node = yaml_member(loader->point_nodes[point], "register");
            yaml_error(loader->reader.errors, yaml_member(node, "address"),
                       "there is no register 0 with registers_from_one");
        } else if (from_one) {
            map->address--;
        }
    }
}

static void begin_endpoint(struct loader *loader, struct modbus_endpoint_config *endpoint,
                           uint32_t station, struct modbus_unit_config *units) {
    const struct site *site = loader->site;
    *endpoint = site->links[station].endpoint;
    memcpy(endpoint->id, site->stations[station].id, sizeof endpoint->id);
    endpoint->unit_count = 0;
    endpoint->units = units;
}

/* Walks the stations in the order of their places and units, so that what belongs together stands
 * together. */
static void group_links(struct loader *loader, const uint32_t *order) {
    struct site *site = loader->site;
    struct modbus_endpoint_config *endpoint = NULL;
    struct modbus_unit_config *unit = NULL;
    uint32_t first = 0;
    size_t units = 0;
    size_t used = 0;
    for (size_t i = 0; i < site->station_count; i++) {
        const struct site_link *link = &site->links[order[i]];
        if (endpoint == NULL || !modbus_endpoint_same(endpoint, &link->endpoint)) {
            endpoint = &site->endpoints[site->modbus.endpoint_count++];
            begin_endpoint(loader, endpoint, order[i], &site->units[units]);
            first = order[i];
            unit = NULL;
        } else if (!same_times(endpoint, &link->endpoint)) {
            yaml_error(loader->reader.errors,
                       yaml_member(loader->station_nodes[order[i]], "connection"),
                       "the times differ from those of station '%s', which has the same host and "
                       "port",
                       site->stations[first].id);
        }
        if (!same_manner(endpoint, &link->endpoint)) {
            yaml_error(loader->reader.errors,
                       yaml_member(loader->station_nodes[order[i]], "connection"),
                       "the line's settings, pauses or quirks differ from those of station '%s', "
                       "which is reached by the same way",
                       site->stations[first].id);
        }
        if (endpoint->framing != link->endpoint.framing) {
            yaml_error(loader->reader.errors,
                       yaml_member(loader->station_nodes[order[i]], "connection"),
                       "the framing differs from that of station '%s', which has the same host and "
                       "port",
                       site->stations[first].id);
        }
        if (unit == NULL || unit->unit != link->unit) {
            unit = &site->units[units++];
            *unit = (struct modbus_unit_config){.unit = link->unit,
                                                .gap_registers = link->gap_registers,
                                                .registers_max = link->registers_max,
                                                .maps = site->unit_maps + used};
            endpoint->unit_count++;
        } else if (unit->gap_registers != link->gap_registers ||
                   unit->registers_max != link->registers_max) {
            yaml_error(loader->reader.errors,
                       yaml_member(loader->station_nodes[order[i]], "connection"),
                       "gap_registers or registers_max differ from those of another station with "
                       "the same host, port and unit");
        }
        size_t before = used;
        take_maps(loader, order[i], &used);
        unit->map_count += used - before;
        bool last = i + 1 == site->station_count || site->links[order[i + 1]].unit != unit->unit ||
                    !modbus_endpoint_same(endpoint, &site->links[order[i + 1]].endpoint);
        if (last && unit->map_count > 0) {
            struct modbus_map *maps = site->unit_maps + (used - unit->map_count);
            qsort(maps, unit->map_count, sizeof *maps, compare_maps);
            check_overlap(loader, maps, unit->map_count);
        }
    }
}

void loader_connect(struct loader *loader) {
    struct site *site = loader->site;
    size_t stations = site->station_count;
    uint32_t *order = calloc(stations + 1, sizeof *order);
    site->endpoints = calloc(stations + 1, sizeof *site->endpoints);
    site->units = calloc(stations + 1, sizeof *site->units);
    site->unit_maps = calloc(site->point_count + 1, sizeof *site->unit_maps);
    if (order == NULL || site->endpoints == NULL || site->units == NULL ||
        site->unit_maps == NULL) {
        config_errors_add(loader->reader.errors, "canhbao.yaml", 0, 0, "", "out of memory");
        free(order);
        return;
    }
    for (uint32_t i = 0; i < stations; i++) {
        order[i] = i;
    }
    qsort_r(order, stations, sizeof *order, compare_links, site);
    site->modbus.endpoints = site->endpoints;
    group_links(loader, order);
    free(order);
}

int site_endpoint_load(const struct site *site, size_t endpoint, double *ret_load,
                       size_t *ret_requests) {
    const struct modbus_endpoint_config *config = &site->modbus.endpoints[endpoint];
    struct modbus_plan plan;
    int result = modbus_plan_init(config, &plan);
    if (result == 0) {
        *ret_load = modbus_plan_load(&plan, config);
        *ret_requests = plan.block_count;
        modbus_plan_finish(&plan);
    }
    return result;
}

const struct modbus_endpoint_config *site_endpoint_of(const struct site *site, size_t station) {
    for (size_t i = 0; i < site->modbus.endpoint_count; i++) {
        if (modbus_endpoint_same(&site->modbus.endpoints[i], &site->links[station].endpoint)) {
            return &site->modbus.endpoints[i];
        }
    }
    return NULL;
}

static void mark_point(const struct site *site, uint32_t station_index, const char *point,
                       bool *urgent) {
    const struct station *station = &site->stations[station_index];
    for (uint32_t i = station->first_point; i < station->first_point + station->point_count; i++) {
        urgent[i] = urgent[i] || strcmp(site->points[i].id, point) == 0;
    }
}

static void mark_rule(const struct loader *loader, const struct rule *rule, bool *urgent) {
    const struct site *site = loader->site;
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        const struct indicator_spec *spec = &rule->indicators[i];
        const struct loader_id *named =
            loader_find(loader->stations, site->station_count, spec->station);
        if (spec->point[0] == '\0') {
            continue; /* of a model */
        }
        if (named != NULL) {
            mark_point(site, named->index, spec->point, urgent);
        }
        for (size_t j = 0; named == NULL && j < rule->place_count; j++) {
            if (rule->places[j].kind == PLACE_STATION) {
                mark_point(site, rule->places[j].index, spec->point, urgent);
            }
        }
    }
}

void loader_mark_urgent(struct loader *loader) {
    struct site *site = loader->site;
    bool *urgent = calloc(site->point_count + 1, sizeof *urgent);
    if (urgent == NULL) {
        config_errors_add(loader->reader.errors, "canhbao.yaml", 0, 0, "", "out of memory");
        return;
    }
    for (size_t i = 0; i < site->rule_count; i++) {
        mark_rule(loader, &site->rules[i], urgent);
    }
    for (size_t i = 0; i < site->point_count; i++) {
        site->unit_maps[i].urgent = urgent[site->unit_maps[i].point];
    }
    free(urgent);
}
