#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/tables/grade.h"
#include "daemon/base/err.h"
#include "daemon/base/ids.h"
#include "daemon/base/text.h"
#include "daemon/config/loader.h"
#include "daemon/config/quantity.h"

enum { STATION_POINTS_MAX = 256 };

static void check_alarm_levels(struct loader *loader, const struct yaml_node *node,
                               struct alarm_levels *levels) {
    const struct site *site = loader->site;
    double last = -INFINITY;
    for (uint32_t i = 0; i < ALARM_LEVELS_MAX; i++) {
        char key[] = {'l', 'e', 'v', 'e', 'l', '_', (char)('1' + i), '\0'};
        const struct yaml_node *member = yaml_member(node, key);
        if (!isfinite(levels->at[i])) {
            continue;
        }
        if (levels->at[i] <= last && member != NULL) { /* those of the table do rise */
            yaml_error(loader->reader.errors, member,
                       "'%s' is not above the level before; expected rising levels", member->text);
        }
        last = levels->at[i];
        levels->count = i + 1;
    }
    if (levels->count == 0) {
        yaml_error(loader->reader.errors, node,
                   "no level is given; expected at least one, or no alarm_levels at all");
    }
    const struct scale *scale = NULL;
    for (size_t i = 0; i < site->scale_count && scale == NULL; i++) {
        scale = strcmp(site->scales[i].id, levels->scale) == 0 ? &site->scales[i] : NULL;
    }
    const struct yaml_node *name = yaml_member(node, "scale");
    if (name != NULL && levels->scale[0] != '\0' && scale == NULL) {
        yaml_error(loader->reader.errors, name,
                   "the scale '%s' is unknown; expected an id of scales", levels->scale);
    } else if (scale != NULL && levels->count > scale->level_count) {
        yaml_error(loader->reader.errors, node, "level %u is given; the scale '%s' has %u levels",
                   (unsigned)levels->count, scale->id, (unsigned)scale->level_count);
    }
}

/* The highest flood on record, where the table has one. */
static void take_historic_peak(struct loader *loader, const struct yaml_node *name,
                               const struct flood_station *row, struct alarm_levels *levels) {
    double at = NAN;
    if (!isfinite(row->historic_m) ||
        units_convert(loader->reader.units, row->historic_m, "m", levels->unit, &at) != 0) {
        return; /* the unit of the levels was looked at before */
    }
    if (isfinite(levels->historic_peak) && levels->historic_peak != at) {
        yaml_error(loader->reader.errors, name,
                   "historic_peak is %.10g; the table has %.10g in historic_peak_m of '%s'",
                   levels->historic_peak, at, levels->table_row);
    }
    levels->historic_peak = at;
    levels->historic_provisional = levels->historic_provisional || row->source.provisional;
    if (levels->historic_source[0] == '\0') {
        (void)snprintf(levels->historic_source, sizeof levels->historic_source,
                       "table flood_alarm_levels, flood of %s: %s", row->historic_year,
                       row->historic_confidence);
    }
}

/* Levels I to III of a gauge as the table has them. */
static void take_table_row(struct loader *loader, const struct yaml_node *node,
                           struct alarm_levels *levels) {
    static const char *const columns[] = {"bd1_m", "bd2_m", "bd3_m"};
    const struct yaml_node *name = yaml_member(node, "table_row");
    const struct tables *tables = loader_tables(loader, name);
    const struct flood_station *row =
        tables != NULL ? flood_station_find(tables, levels->table_row) : NULL;
    if (row == NULL) {
        if (tables != NULL) {
            yaml_error(loader->reader.errors, name, "the table of alarm levels has no gauge '%s'",
                       levels->table_row);
        }
        return;
    }
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        double at = NAN;
        if (isfinite(row->at_m[i]) &&
            units_convert(loader->reader.units, row->at_m[i], "m", levels->unit, &at) != 0) {
            yaml_error(loader->reader.errors, name, "the table is in m, the levels in '%s'",
                       levels->unit);
            return;
        }
        if (isfinite(levels->at[i]) && levels->at[i] != at) {
            yaml_error(loader->reader.errors, name,
                       "level_%zu is %.10g; the table has %.10g in %s of '%s'", i + 1,
                       levels->at[i], at, columns[i], levels->table_row);
        }
        levels->at[i] = at;
    }
    take_historic_peak(loader, name, row, levels);
    levels->provisional = levels->provisional || row->source.provisional;
    if (levels->source[0] == '\0') {
        (void)text_copy(levels->source, sizeof levels->source, row->source.text); /* tables.c */
    }
}

static void read_alarm_levels(struct loader *loader, const struct yaml_node *map,
                              struct station *station) {
    struct option_reader *reader = &loader->reader;
    struct alarm_levels *levels = &station->alarm_levels;
    const struct yaml_node *node = yaml_member(map, "alarm_levels");
    option_group_preset(&group_alarm_levels, levels);
    levels->count = 0;
    if (node == NULL) {
        return;
    }
    reader->value_unit = levels->unit;
    (void)option_group_read(reader, &group_alarm_levels, node, levels);
    reader->value_unit = NULL;
    if (node->kind == YAML_MAP) {
        if (levels->table_row[0] != '\0' && levels->unit[0] != '\0') {
            take_table_row(loader, node, levels);
        }
        if (levels->source[0] == '\0') {
            yaml_error(reader->errors, node, "the key 'source' is missing");
        }
        if (isfinite(levels->historic_peak) != (levels->historic_source[0] != '\0')) {
            yaml_error(reader->errors, node,
                       "the keys 'historic_peak' and 'historic_source' belong together");
        }
        check_alarm_levels(loader, node, levels);
    }
}

static bool is_host(const char *text) {
    return strpbrk(text, " /@:,") == NULL ||
           strspn(text, "0123456789abcdefABCDEF:.") == strlen(text);
}

/* Which of the three ways leads to the station, and what follows from it. */
static void choose_transport(struct loader *loader, const struct yaml_node *node,
                             struct site_link *link) {
    struct config_errors *errors = loader->reader.errors;
    struct modbus_endpoint_config *endpoint = &link->endpoint;
    const struct yaml_node *device = yaml_member(node, "device");
    const struct yaml_node *identity = yaml_member(node, "identity");
    const struct yaml_node *host = yaml_member(node, "host");
    bool has_device = endpoint->serial.device[0] != '\0';
    bool has_identity = endpoint->identity[0] != '\0';
    bool has_host = endpoint->host[0] != '\0';
    if (has_device + has_identity + has_host != 1) {
        if (host == NULL && device == NULL && identity == NULL) {
            yaml_error(errors, node, "the key 'host' is missing (or 'device', or 'identity')");
        } else if (has_device + has_identity + has_host > 1) {
            yaml_error(errors, node, "expected one of host, device and identity");
        }
        return;
    }
    endpoint->transport = has_device     ? MODBUS_SERIAL
                          : has_identity ? MODBUS_DIAL_IN
                                         : MODBUS_CONNECT;
    if (has_host && !is_host(endpoint->host)) {
        yaml_error(errors, host, "'%.80s' is not a host; expected a name or numeric address",
                   endpoint->host);
    }
    if (!has_device) {
        return;
    }
    const struct yaml_node *framing = yaml_member(node, "framing");
    if (framing != NULL && endpoint->framing != MODBUS_FRAMING_RTU) {
        yaml_error(errors, framing, "'tcp' is not for a serial device; expected rtu");
    }
    endpoint->framing = MODBUS_FRAMING_RTU;
    if (yaml_member(node, "gap_registers") == NULL) {
        link->gap_registers = MODBUS_GAP_REGISTERS_SERIAL_DEFAULT;
    }
    if (endpoint->serial.device[0] != '/') {
        yaml_error(errors, device, "'%.80s' is not an absolute path", endpoint->serial.device);
    }
    if (!modbus_baud_ok(endpoint->serial.baud)) {
        yaml_error(errors, yaml_member(node, "baud"),
                   "expected 300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600 or 115200");
    }
    if (link->unit < 1 || link->unit > 247) {
        yaml_error(errors, yaml_member(node, "unit"), "a serial line has the units 1 to 247");
    }
}

static void check_quirks(struct loader *loader, const struct yaml_node *node,
                         const struct modbus_endpoint_config *endpoint) {
    struct config_errors *errors = loader->reader.errors;
    if (endpoint->quirks.echo && endpoint->framing != MODBUS_FRAMING_RTU) {
        yaml_error_key(errors, yaml_member(node, "echo"), "only rtu frames come back as an echo");
    }
    if (endpoint->quirks.close_after_reply && endpoint->transport != MODBUS_CONNECT) {
        yaml_error_key(errors, yaml_member(node, "close_after_reply"),
                       "only a connection that we make can be made anew for each request");
    }
}

static void read_link(struct loader *loader, const struct yaml_node *map, struct site_link *link) {
    const struct yaml_node *node =
        loader_section(loader, &group_connection, map, "connection", link);
    if (node == NULL || node->kind != YAML_MAP) {
        return;
    }
    struct config_errors *errors = loader->reader.errors;
    const struct modbus_endpoint_config *endpoint = &link->endpoint;
    const struct yaml_node *unit = yaml_member(node, "unit");
    if (unit != NULL && link->unit > 247 && link->unit < 255) {
        yaml_error(errors, unit, "'%s' is reserved; expected 0 to 247, or 255", unit->text);
    }
    choose_transport(loader, node, link);
    check_quirks(loader, node, endpoint);
    if (endpoint->reconnect_min_us > endpoint->reconnect_max_us) {
        yaml_error(errors, node, "reconnect_min is longer than reconnect_max");
    }
    if (endpoint->probe_min_us > endpoint->probe_max_us) {
        yaml_error(errors, node, "probe_min is longer than probe_max");
    }
}

static void read_sentinels(struct loader *loader, const struct yaml_node *node,
                           struct modbus_map *map) {
    static const struct option row = {.name = "sentinels", .type = OPTION_NUMBER, .size = 8};
    const struct yaml_node *list = yaml_member(node, "sentinels");
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    for (const struct yaml_node *entry = list->first; entry != NULL; entry = entry->next) {
        double number;
        if (map->sentinel_count == MODBUS_SENTINELS_MAX) {
            yaml_error(loader->reader.errors, entry, "more than %d sentinels",
                       MODBUS_SENTINELS_MAX);
            return;
        }
        if (option_read(&loader->reader, &row, entry, &number) != 0) {
            continue;
        }
        if (!modbus_sentinel_fits(map->type, number)) {
            yaml_error(loader->reader.errors, entry, "'%s' is no value of %s", entry->text,
                       modbus_type_name(map->type));
            continue;
        }
        map->sentinels[map->sentinel_count++] = number;
    }
}

/* The keys that only some types have. */
static void check_register_parts(struct loader *loader, const struct yaml_node *node,
                                 const struct modbus_map *map) {
    struct config_errors *errors = loader->reader.errors;
    const struct yaml_node *bytes = yaml_member(node, "bytes");
    const struct yaml_node *bit = yaml_member(node, "bit");
    const struct yaml_node *bit_count = yaml_member(node, "bit_count");
    bool coil = modbus_table_is_bits(map->table);
    if (coil && map->type != MODBUS_BIT && yaml_member(node, "type") != NULL) {
        yaml_error(errors, yaml_member(node, "type"), "a %s is of the type bit",
                   modbus_table_name(map->table));
    }
    if (bytes != NULL && !modbus_permutation_ok(map->type, map->permutation)) {
        yaml_error(errors, bytes, "'%.20s' does not have each of the %u bytes of a %s once",
                   map->permutation, modbus_type_registers(map->type) * 2u,
                   modbus_type_name(map->type));
    }
    if (bytes != NULL && map->order != MODBUS_ABCD) {
        yaml_error_key(errors, bytes, "order is given too; expected one of them");
    }
    if (bit != NULL && (coil || (map->type != MODBUS_BIT && map->type != MODBUS_BITS))) {
        yaml_error_key(errors, bit, "only the types bit and bits of a register have it");
    }
    if ((bit_count != NULL) != (map->type == MODBUS_BITS)) {
        yaml_error(errors, bit_count != NULL ? bit_count : node,
                   "bit_count belongs to the type bits, and only to it");
    } else if (bit_count != NULL && (map->bit_count == 0 || map->bit + map->bit_count > 16)) {
        yaml_error(errors, bit_count, "%u bits from bit %u on are not within bits 0 to 15",
                   (unsigned)map->bit_count, (unsigned)map->bit);
    }
}

static void read_register(struct loader *loader, const struct yaml_node *map,
                          struct modbus_map *ret_map) {
    const struct yaml_node *node =
        loader_section(loader, &group_register, map, "register", ret_map);
    if (node == NULL || node->kind != YAML_MAP) {
        return;
    }
    ret_map->table = (enum modbus_table)(ret_map->table + MODBUS_COIL);
    if (ret_map->scale == 0) {
        yaml_error(loader->reader.errors, yaml_member(node, "scale"),
                   "'0' would make every value the same; expected another number");
    }
    if (ret_map->address + modbus_type_registers(ret_map->type) > 65536) {
        yaml_error(loader->reader.errors, yaml_member(node, "address"),
                   "a %s at %u reaches beyond register 65535", modbus_type_name(ret_map->type),
                   ret_map->address);
    }
    check_register_parts(loader, node, ret_map);
    read_sentinels(loader, node, ret_map);
}

static void check_quantity(struct loader *loader, const struct yaml_node *node,
                           const struct point *point) {
    struct config_errors *errors = loader->reader.errors;
    const struct yaml_node *name = yaml_member(node, "quantity");
    if (name == NULL || point->quantity[0] == '\0') {
        return; /* told already */
    }
    const struct quantity *quantity = quantity_find(point->quantity);
    if (quantity == NULL) {
        char known[300] = "";
        size_t used = 0;
        for (size_t i = 0; i < quantity_count && used < sizeof known; i++) {
            int length = snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                  quantities[i].name);
            used += length > 0 ? (size_t)length : 0;
        }
        yaml_error(errors, name, "the quantity '%s' is unknown; expected one of: %s",
                   point->quantity, known);
        return;
    }
    if (point->unit[0] != '\0' &&
        !units_convertible(loader->reader.units, point->unit, quantity->unit)) {
        yaml_error(errors, yaml_member(node, "unit"),
                   "'%s' is no unit of %s; expected one that converts to '%s'", point->unit,
                   quantity->name, quantity->unit);
    }
    if (point->kind == POINT_INSTANT ? !quantity->instant : !quantity->total) {
        const struct yaml_node *kind = yaml_member(node, "kind");
        yaml_error(errors, kind != NULL ? kind : node, "%s is not %s; expected kind %s",
                   quantity->name, quantity->instant ? "a total" : "a state",
                   quantity->instant ? "instant" : "counter or amount");
    }
}

static void check_point(struct loader *loader, const struct yaml_node *node,
                        const struct point *point) {
    struct config_errors *errors = loader->reader.errors;
    const struct yaml_node *stale = yaml_member(node, "stale_after");
    const struct yaml_node *step = yaml_member(node, "counter_step_max");
    check_quantity(loader, node, point);
    if (stale != NULL && point->period_us > 0 && point->stale_after_us > 0 &&
        point->stale_after_us < 2 * point->period_us) {
        yaml_error(errors, stale,
                   "'%s' is shorter than two periods: one lost reading would make it stale",
                   stale->text);
    }
    if (point->kind == POINT_COUNTER) {
        if (step == NULL) {
            yaml_error(errors, node, "the key 'counter_step_max' is missing; a counter needs it");
        }
        loader_check_positive(loader, node, "counter_step_max", point->counter_step_max);
        loader_check_order(loader, node, "counter_step_max", point->counter_step_max,
                           "counter_modulus", point->counter_modulus, true);
        return;
    }
    static const char *const counter_keys[] = {"counter_step_max", "counter_modulus",
                                               "counter_memory", "counter_epoch"};
    for (size_t i = 0; i < sizeof counter_keys / sizeof counter_keys[0]; i++) {
        const struct yaml_node *member = yaml_member(node, counter_keys[i]);
        if (member != NULL) {
            yaml_error_key(errors, member, "only a point of kind counter has it");
        }
    }
}

static void read_point(struct loader *loader, const struct yaml_node *node, uint32_t station,
                       struct point *ret_point, struct modbus_map *ret_map) {
    struct option_reader *reader = &loader->reader;
    reader->value_unit = ret_point->unit;
    (void)option_group_read(reader, &group_point, node, ret_point);
    reader->value_unit = NULL;
    if (node->kind != YAML_MAP) {
        return;
    }
    ret_point->station = station;
    check_point(loader, node, ret_point);
    read_register(loader, node, ret_map);
    loader_quality(loader, node, ret_point);
    ret_map->station = station;
    ret_map->period_us = ret_point->period_us;
}

static void read_points(struct loader *loader, const struct yaml_node *map, struct station *station,
                        uint32_t station_index) {
    struct site *site = loader->site;
    const struct yaml_node *list = yaml_member(map, "points");
    station->first_point = (uint32_t)site->point_count;
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    if (list->count == 0 || list->count > STATION_POINTS_MAX) {
        yaml_error(loader->reader.errors, list, "%u points; expected 1 to %d",
                   (unsigned)list->count, STATION_POINTS_MAX);
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        struct point point = {.id = ""};
        struct modbus_map register_map = {.point = (uint32_t)site->point_count};
        read_point(loader, node, station_index, &point, &register_map);
        for (uint32_t i = station->first_point; i < site->point_count; i++) {
            if (point.id[0] != '\0' && strcmp(site->points[i].id, point.id) == 0) {
                yaml_error(loader->reader.errors, yaml_member(node, "id"),
                           "the station has a point '%s' already, in line %u", point.id,
                           loader->point_nodes[i]->line);
            }
        }
        if (point.provisional && station->note[0] == '\0') {
            yaml_error(loader->reader.errors, yaml_member(node, "provisional"),
                       "the station needs a note that says why");
        }
        size_t maps = site->point_count;
        size_t nodes = site->point_count;
        struct point *new_point = loader_append(loader, node, &site->points, &site->point_count,
                                                sizeof point, SITE_POINTS_MAX, "points");
        struct modbus_map *new_map = loader_append(loader, node, &site->maps, &maps,
                                                   sizeof register_map, SITE_POINTS_MAX, "points");
        const struct yaml_node **new_node = loader_append(
            loader, node, &loader->point_nodes, &nodes, sizeof(void *), SITE_POINTS_MAX, "points");
        if (new_point == NULL || new_map == NULL || new_node == NULL) {
            return;
        }
        *new_point = point;
        *new_map = register_map;
        *new_node = node;
        station->point_count++;
    }
}

/* The point that tells restarts of a counter's device; all points of the station are known. */
static void resolve_epoch(struct loader *loader, const struct station *station, uint32_t index) {
    const struct site *site = loader->site;
    struct config_errors *errors = loader->reader.errors;
    struct point *counter = &site->points[index];
    const struct yaml_node *node = yaml_member(loader->point_nodes[index], "counter_epoch");
    uint32_t end = station->first_point + station->point_count;
    uint32_t found = station->first_point;
    while (found < end && strcmp(site->points[found].id, counter->counter_epoch_id) != 0) {
        found++;
    }
    if (found == end) {
        yaml_error(errors, node, "the station has no point '%s'", counter->counter_epoch_id);
        return;
    }
    const struct point *epoch = &site->points[found];
    const struct modbus_map *from = &site->maps[found];
    const struct modbus_map *map = &site->maps[index];
    bool uptime = strcmp(epoch->quantity, "uptime") == 0 && strcmp(epoch->unit, "s") == 0;
    if (!uptime && strcmp(epoch->quantity, "restarts") != 0 &&
        strcmp(epoch->quantity, "serial_number") != 0) {
        yaml_error(errors, node,
                   "'%s' does not tell restarts; expected a point of the quantity restarts, "
                   "serial_number, or uptime in s",
                   epoch->id);
    } else if (from->table != map->table || from->address >= map->address ||
               epoch->period_us != counter->period_us) {
        yaml_error(errors, node,
                   "'%s' does not come before the counter in the same reply; expected a lower "
                   "address of the same table and the same period",
                   epoch->id);
    }
    counter->counter_epoch = uptime ? COUNTER_EPOCH_UPTIME : COUNTER_EPOCH_CHANGES;
    counter->counter_epoch_point = found;
}

void loader_station(struct loader *loader, const struct yaml_node *map, const char *expected) {
    struct site *site = loader->site;
    struct config_errors *errors = loader->reader.errors;
    struct station station = {.id = ""};
    struct site_link link = {.unit = 0};
    (void)option_group_read(&loader->reader, &group_station, map, &station);
    if (map->kind != YAML_MAP) {
        return;
    }
    (void)loader_section(loader, &group_station_name, map, "name", &station);
    (void)loader_section(loader, &group_position, map, "position", &station);
    loader_check_name(loader, map, station.id, expected);
    read_alarm_levels(loader, map, &station);
    loader_communes(loader, yaml_member(map, "communes"), station.communes, station.commune_codes);
    if (station.provisional && station.note[0] == '\0') {
        yaml_error(errors, yaml_member(map, "provisional"), "needs a note that says why");
    }
    read_link(loader, map, &link);
    read_points(loader, map, &station, (uint32_t)site->station_count);
    for (uint32_t i = 0; i < station.point_count; i++) {
        if (site->points[station.first_point + i].counter_epoch_id[0] != '\0') {
            resolve_epoch(loader, &station, station.first_point + i);
        }
    }

    loader_logger(loader, map, &station, &link);

    size_t links = site->station_count;
    size_t nodes = site->station_count;
    struct station *new_station = loader_append(loader, map, &site->stations, &site->station_count,
                                                sizeof station, SITE_STATIONS_MAX, "stations");
    struct site_link *new_link = loader_append(loader, map, &site->links, &links, sizeof link,
                                               SITE_STATIONS_MAX, "stations");
    const struct yaml_node **new_node = loader_append(
        loader, map, &loader->station_nodes, &nodes, sizeof(void *), SITE_STATIONS_MAX, "stations");
    if (new_station != NULL && new_link != NULL && new_node != NULL) {
        *new_station = station;
        *new_link = link;
        *new_node = map;
    }
}
