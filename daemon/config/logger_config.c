/* The sections clock, identity and memory of a station: what its logger tells of itself. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/config/loader.h"

#define MEMBER(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define GROUP(rows)          .options = (rows), .count = sizeof(rows) / sizeof((rows)[0])

/* In the order of the enums of drivers/modbus/config.h and logger.h, but for the first two, where
 * to_enums() and to_choices() know what stands for what. */
static const char *const tables[] = {"holding", "input", NULL};
static const char *const index_types[] = {"uint16", "uint32", NULL};
static const char *const identity_types[] = {"string", "uint16", "uint32", "uint64", NULL};
static const char *const orders[] = {"ABCD", "CDAB", "BADC", "DCBA", NULL};
static const char *const forms[] = {"unix32", "unix64", "ymdhms", NULL};
static const char *const indices[] = {"next", "newest", "count", NULL};

#define C(member) MEMBER(struct logger_clock, member)
static const struct option clock_rows[] = {
    {"table", OPTION_CHOICE, "holding", .choices = tables, .help = "Which table of the device.",
     C(table)},
    {"address", OPTION_INT, NULL, .min = 0, .max = 65535, .help = "Its first register.",
     C(address)},
    {"form", OPTION_CHOICE, NULL, .choices = forms,
     .help = "unix32, unix64: seconds since 1970 in two or four registers. ymdhms: a register each "
             "for year (whole, or counted from 2000), month, day, hour, minute and second.",
     C(stamp.form)},
    {"order", OPTION_CHOICE, "ABCD", .choices = orders, .help = "As of a point's register.",
     C(stamp.order)},
    {"utc_offset_min", OPTION_INT, NULL, .min = -720, .max = 840,
     .help = "The device's clock shows UTC plus so many minutes; also in its memory.",
     C(stamp.utc_offset_min)},
    {"period", OPTION_DURATION, "1 h", .min = 1, .max = 604800,
     .help = "Between two looks, when no point's request is in the way.", C(period_us)},
    {"limit", OPTION_DURATION, "1 min", .min = 1, .max = 86400,
     .help = "Further off is a condition, and nothing is read out of the memory meanwhile. The "
             "clock is never set, and no time is corrected by what it is off.",
     C(limit_us)},
};
#undef C
const struct option_group group_clock = {
    .path = "stations/ID.yaml clock", .help = "The device's own clock.", GROUP(clock_rows)};

#define I(member) MEMBER(struct logger_identity, member)
static const struct option identity_rows[] = {
    {"table", OPTION_CHOICE, "holding", .choices = tables, .help = "Which table of the device.",
     I(table)},
    {"address", OPTION_INT, NULL, .min = 0, .max = 65535, .help = "Its first register.",
     I(address)},
    {"type", OPTION_CHOICE, "string", .choices = identity_types,
     .help = "string: two characters a register; see also the connection's string_bytes_swapped.",
     I(type)},
    {"length", OPTION_INT, "0", .flags = OPTION_QUIET, .min = 0, .max = 125,
     .help = "Of a string: its registers.", I(registers)},
    {"order", OPTION_CHOICE, "ABCD", .choices = orders, .help = "Of a number.", I(order)},
    {"expected", OPTION_TEXT, NULL,
     .help = "What must stand there: a serial number, not only a model's name. Blanks and zeros "
             "behind a string do not count.",
     I(expected)},
    {"period", OPTION_DURATION, "1 h", .min = 1, .max = 604800,
     .help = "Between two looks; another one follows each new connection and each silence.",
     I(period_us)},
};
#undef I
const struct option_group group_identity = {
    .path = "stations/ID.yaml identity",
    .help = "What tells this device from any other. Until it was read after a start or a silence, "
            "and while something else is found, every reading is suspect (test identity): it may "
            "raise an alarm and never lowers one.",
    GROUP(identity_rows)};

#define M(member) MEMBER(struct logger_memory, member)
static const struct option memory_rows[] = {
    {"table", OPTION_CHOICE, "holding", .choices = tables, .help = "Which table of the device.",
     M(table)},
    {"index", OPTION_CHOICE, NULL, .choices = indices,
     .help = "What the index register says. next: the slot that is written next, from 0. newest: "
             "the one written last. count: how many records were ever written, into slot (count - "
             "1) mod capacity.",
     M(index_means)},
    {"index_address", OPTION_INT, NULL, .min = 0, .max = 65535, .help = "Its first register.",
     M(index_address)},
    {"index_type", OPTION_CHOICE, "uint16", .choices = index_types, .help = "Of the index.",
     M(index_type)},
    {"index_order", OPTION_CHOICE, "ABCD", .choices = orders, .help = "Of the index.",
     M(index_order)},
    {"address", OPTION_INT, NULL, .min = 0, .max = 65535, .help = "The first register of slot 0.",
     M(address)},
    {"record_registers", OPTION_INT, NULL, .min = 3, .max = 125, .help = "Registers of a record.",
     M(record_registers)},
    {"capacity", OPTION_INT, NULL, .min = LOGGER_CAPACITY_MIN, .max = LOGGER_CAPACITY_MAX,
     .help = "Slots.", M(capacity)},
    {"interval", OPTION_DURATION, NULL, .min = 1, .max = 86400,
     .help = "Between two records: a shorter hole is not looked for.", M(interval_us)},
    {"stamp_offset", OPTION_INT, "0", .min = 0, .max = 124,
     .help = "Register of the time stamp within the record.", M(stamp_offset)},
    {"stamp_form", OPTION_CHOICE, NULL, .choices = forms, .help = "As of the clock.",
     M(stamp.form)},
    {"stamp_order", OPTION_CHOICE, "ABCD", .choices = orders, .help = "Of the time stamp.",
     M(stamp.order)},
    {"values", OPTION_SECTION, NULL,
     .help = "List of keys point and offset: where a record has the value of a point, in the form "
             "of the point's own register (type, order, scale and so on). Of a counter it is the "
             "total."},
};
#undef M
const struct option_group group_memory = {
    .path = "stations/ID.yaml memory",
    .help = "A ring of records in registers, read after a gap in the station's readings, with the "
            "records' own time stamps, marked late. Needs a clock. Reads only; a memory that wants "
            "a window selected by a write cannot be read.",
    GROUP(memory_rows)};

struct memory_value {
    char point[STATION_ID_SIZE];
    uint16_t offset;
};
static const struct option value_rows[] = {
    {"point", OPTION_ID, NULL, .help = "A point of the station.",
     MEMBER(struct memory_value, point)},
    {"offset", OPTION_INT, NULL, .min = 0, .max = 124, .help = "Its first register in the record.",
     MEMBER(struct memory_value, offset)},
};
const struct option_group group_memory_value = {
    .path = "stations/ID.yaml memory.values[]", .help = "A value in a record.", GROUP(value_rows)};

/* ---- between choices and enums ---- */

static enum modbus_table table_of(unsigned choice) {
    return choice == 0 ? MODBUS_HOLDING : MODBUS_INPUT;
}

static unsigned choice_of(enum modbus_table table) {
    return table == MODBUS_HOLDING ? 0 : 1;
}

static const enum modbus_type identity_enums[] = {MODBUS_TYPE_COUNT, MODBUS_UINT16, MODBUS_UINT32,
                                                  MODBUS_UINT64};

/* ---- reading ---- */

static void check_end(struct loader *loader, const struct yaml_node *node, const char *key,
                      uint32_t address, uint32_t registers) {
    if (address + registers > 65536) {
        yaml_error(loader->reader.errors, yaml_member(node, key),
                   "%u registers from %u on reach beyond register 65535", registers, address);
    }
}

static void check_from_one(struct loader *loader, const struct yaml_node *node, const char *key,
                           uint16_t address, const struct site_link *link) {
    const struct yaml_node *member = yaml_member(node, key);
    if (member != NULL && link->endpoint.quirks.address_from_one && address == 0) {
        yaml_error(loader->reader.errors, member, "there is no register 0 with registers_from_one");
    }
}

static void read_clock(struct loader *loader, const struct yaml_node *map,
                       const struct site_link *link, struct logger_clock *clock) {
    const struct yaml_node *node = loader_section(loader, &group_clock, map, "clock", clock);
    if (node == NULL || node->kind != YAML_MAP) {
        return;
    }
    clock->present = true;
    clock->table = table_of((unsigned)clock->table);
    check_end(loader, node, "address", clock->address, logger_stamp_registers(clock->stamp.form));
    check_from_one(loader, node, "address", clock->address, link);
}

static void read_identity(struct loader *loader, const struct yaml_node *map,
                          const struct site_link *link, struct logger_identity *identity) {
    struct config_errors *errors = loader->reader.errors;
    const struct yaml_node *node =
        loader_section(loader, &group_identity, map, "identity", identity);
    if (node == NULL || node->kind != YAML_MAP) {
        return;
    }
    const struct yaml_node *length = yaml_member(node, "length");
    const struct yaml_node *expected = yaml_member(node, "expected");
    unsigned type = (unsigned)identity->type;
    int64_t number;
    identity->present = true;
    identity->table = table_of((unsigned)identity->table);
    identity->type = identity_enums[type];
    identity->swapped = link->endpoint.quirks.string_swapped;
    if (type == 0 && identity->registers == 0) {
        yaml_error(errors, length != NULL ? length : node,
                   "a string needs 'length', its registers");
        return;
    }
    if (type != 0 && length != NULL) {
        yaml_error_key(errors, length, "only a string has it");
    }
    identity->registers = type == 0 ? identity->registers : 0;
    if (expected != NULL && identity->expected[0] != '\0' && type != 0 &&
        text_parse_int(identity->expected, 0, INT64_C(1) << 53, &number) != 0) {
        yaml_error(errors, expected, "'%s' is no whole number", identity->expected);
    }
    if (type == 0 && strlen(identity->expected) > (size_t)identity->registers * 2) {
        yaml_error(errors, expected, "'%s' does not fit into %u registers", identity->expected,
                   identity->registers);
    }
    check_end(loader, node, "address", identity->address, logger_identity_registers(identity));
    check_from_one(loader, node, "address", identity->address, link);
}

/* One value of a record: a point of the station that stands in registers. */
static void read_value(struct loader *loader, const struct yaml_node *node,
                       const struct station *station, struct logger_memory *memory) {
    const struct site *site = loader->site;
    struct config_errors *errors = loader->reader.errors;
    struct memory_value value = {.point = ""};
    if (option_group_read(&loader->reader, &group_memory_value, node, &value) != 0) {
        return;
    }
    uint32_t end = station->first_point + station->point_count;
    uint32_t point = station->first_point;
    while (point < end && strcmp(site->points[point].id, value.point) != 0) {
        point++;
    }
    if (point == end) {
        yaml_error(errors, yaml_member(node, "point"), "the station has no point '%s'",
                   value.point);
        return;
    }
    uint32_t registers = modbus_type_registers(site->maps[point].type);
    if (modbus_table_is_bits(site->maps[point].table)) {
        yaml_error(errors, yaml_member(node, "point"), "'%s' is no register", value.point);
    } else if (value.offset + registers > memory->record_registers) {
        yaml_error(errors, yaml_member(node, "offset"),
                   "a %s at %u reaches beyond a record of %u registers",
                   modbus_type_name(site->maps[point].type), value.offset,
                   memory->record_registers);
    }
    for (uint32_t i = 0; i < memory->field_count; i++) {
        if (memory->fields[i].point == point) {
            yaml_error(errors, yaml_member(node, "point"), "'%s' has a value already", value.point);
        }
    }
    memory->fields[memory->field_count++] =
        (struct logger_field){.point = point, .offset = value.offset};
}

static void read_values(struct loader *loader, const struct yaml_node *map,
                        const struct station *station, struct logger_memory *memory) {
    const struct yaml_node *list = yaml_member(map, "values");
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    if (list->count < 1 || list->count > LOGGER_FIELDS_MAX) {
        yaml_error(loader->reader.errors, list, "%u values; expected 1 to %d",
                   (unsigned)list->count, LOGGER_FIELDS_MAX);
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        read_value(loader, node, station, memory);
    }
}

static void check_memory(struct loader *loader, const struct yaml_node *node,
                         const struct logger_memory *memory, const struct site_link *link) {
    struct config_errors *errors = loader->reader.errors;
    uint32_t stamp_end =
        memory->stamp_offset + (uint32_t)logger_stamp_registers(memory->stamp.form);
    if (stamp_end > memory->record_registers) {
        const struct yaml_node *offset = yaml_member(node, "stamp_offset");
        yaml_error(errors, offset != NULL ? offset : node,
                   "the time stamp reaches beyond a record of %u registers",
                   memory->record_registers);
    }
    if (link->registers_max > 0 && memory->record_registers > link->registers_max) {
        yaml_error(errors, yaml_member(node, "record_registers"),
                   "a record does not fit into one request of registers_max %u",
                   link->registers_max);
    }
    if (memory->index_means == INDEX_COUNT && memory->index_type == MODBUS_UINT16 &&
        memory->capacity > 0 && 65536 % memory->capacity != 0) {
        yaml_error(errors, yaml_member(node, "index"),
                   "a uint16 count begins again at 65536, which is no multiple of the capacity: "
                   "nobody could tell the slots afterwards");
    }
    check_end(loader, node, "address", memory->address,
              memory->capacity * (uint32_t)memory->record_registers);
    check_end(loader, node, "index_address", memory->index_address,
              modbus_type_registers(memory->index_type));
    check_from_one(loader, node, "address", memory->address, link);
    check_from_one(loader, node, "index_address", memory->index_address, link);
}

static void read_memory(struct loader *loader, const struct yaml_node *map,
                        const struct station *station, const struct site_link *link,
                        struct logger *logger) {
    struct logger_memory *memory = &logger->memory;
    const struct yaml_node *node = loader_section(loader, &group_memory, map, "memory", memory);
    if (node == NULL || node->kind != YAML_MAP) {
        return;
    }
    memory->present = true;
    memory->table = table_of((unsigned)memory->table);
    memory->index_type = (unsigned)memory->index_type == 0 ? MODBUS_UINT16 : MODBUS_UINT32;
    memory->stamp.utc_offset_min = logger->clock.stamp.utc_offset_min;
    if (!logger->clock.present) {
        yaml_error(loader->reader.errors, node,
                   "a memory needs the section 'clock': time stamps of a clock that nobody looks "
                   "at tell nothing");
    }
    read_values(loader, node, station, memory);
    check_memory(loader, node, memory, link);
}

void loader_logger(struct loader *loader, const struct yaml_node *map,
                   const struct station *station, const struct site_link *link) {
    struct site *site = loader->site;
    if (yaml_member(map, "clock") == NULL && yaml_member(map, "identity") == NULL &&
        yaml_member(map, "memory") == NULL) {
        return;
    }
    struct logger *logger = loader_append(loader, map, &site->loggers, &site->logger_count,
                                          sizeof *logger, SITE_STATIONS_MAX, "stations");
    if (logger != NULL) {
        logger->station = (uint32_t)site->station_count;
        read_clock(loader, map, link, &logger->clock);
        read_identity(loader, map, link, &logger->identity);
        read_memory(loader, map, station, link, logger);
    }
}

const struct logger *site_logger_of(const struct site *site, size_t station) {
    size_t low = 0;
    size_t high = site->logger_count;
    while (low < high) { /* they stand in the order of the stations */
        size_t middle = low + (high - low) / 2;
        low = site->loggers[middle].station < station ? middle + 1 : low;
        high = site->loggers[middle].station < station ? high : middle;
    }
    return low < site->logger_count && site->loggers[low].station == station ? &site->loggers[low]
                                                                             : NULL;
}

/* ---- the dump ---- */

static void print_memory(const struct site *site, const struct logger_memory *memory, FILE *file) {
    struct logger_memory shown = *memory;
    shown.table = (enum modbus_table)choice_of(memory->table);
    shown.index_type = (enum modbus_type)(memory->index_type == MODBUS_UINT32);
    (void)fputs("    memory:\n", file);
    option_group_print(&group_memory, &shown, NULL, 6, NULL, file);
    (void)fputs("      values:\n", file);
    for (uint32_t i = 0; i < memory->field_count; i++) {
        struct memory_value value = {.offset = memory->fields[i].offset};
        memcpy(value.point, site->points[memory->fields[i].point].id, sizeof value.point);
        option_group_print(&group_memory_value, &value, NULL, 10, "        - ", file);
    }
}

void site_print_logger(const struct site *site, size_t station, FILE *file) {
    const struct logger *logger = site_logger_of(site, station);
    if (logger == NULL) {
        return;
    }
    if (logger->clock.present) {
        struct logger_clock shown = logger->clock;
        shown.table = (enum modbus_table)choice_of(logger->clock.table);
        (void)fputs("    clock:\n", file);
        option_group_print(&group_clock, &shown, NULL, 6, NULL, file);
    }
    if (logger->identity.present) {
        struct logger_identity shown = logger->identity;
        unsigned type = 0;
        while (identity_enums[type] != logger->identity.type) {
            type++;
        }
        shown.table = (enum modbus_table)choice_of(logger->identity.table);
        shown.type = (enum modbus_type)type;
        (void)fputs("    identity:\n", file);
        option_group_print(&group_identity, &shown, NULL, 6, NULL, file);
    }
    if (logger->memory.present) {
        print_memory(site, &logger->memory, file);
    }
}
