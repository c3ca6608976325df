#include "logger.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIELDS_MAX = 16, TEXT_MAX = 128 };

enum form { FORM_UNIX32, FORM_UNIX64, FORM_YMDHMS };
enum index_kind { INDEX_NEXT, INDEX_NEWEST, INDEX_COUNT };

struct place {
    enum sim_table table;
    unsigned address, count;
};

struct sim_logger {
    bool has_clock, has_text, has_memory;
    struct place clock, text, index, ring;
    enum form clock_form, stamp_form;
    int64_t utc_offset_s;
    struct signal offset_s; /* of the clock, by time */
    char characters[TEXT_MAX + 1];
    bool swapped;
    enum index_kind index_kind;
    unsigned record_registers, capacity, stamp_offset;
    int64_t interval_us, origin_us;
    int64_t corrupt_every, repeat_every; /* 0: never */
    size_t field_count;
    struct {
        size_t point; /* in the map */
        unsigned offset;
    } fields[FIELDS_MAX];
};

static const char *const forms[] = {"unix32", "unix64", "ymdhms", NULL};
static const unsigned form_registers[] = {2, 4, 6};

/* ---- loading ---- */

static int load_place(struct place *place, struct doc *doc, yaml_node_t *map, const char *key,
                      unsigned count, struct err *ret_err) {
    static const char *const tables[] = {"input", "holding", NULL};
    int table = 1;
    int64_t address = 0;
    int result = doc_opt_word(doc, map, "table", tables, &table, ret_err);
    if (result == 0) {
        result = doc_need_int(doc, map, key, 0, 65536 - (int64_t)count, &address, ret_err);
    }
    *place = (struct place){table == 0 ? TABLE_INPUT : TABLE_HOLDING, (unsigned)address, count};
    return result;
}

static int need_form(struct doc *doc, yaml_node_t *map, const char *key, enum form *ret_form,
                     struct err *ret_err) {
    yaml_node_t *node = NULL;
    int form = 0;
    int result = doc_need(doc, map, key, &node, ret_err);
    result = result == 0 ? doc_word(doc, node, forms, &form, ret_err) : result;
    *ret_form = (enum form)form;
    return result;
}

static int load_clock(struct sim_logger *logger, struct doc *doc, yaml_node_t *map,
                      struct err *ret_err) {
    static const char *const keys[] = {"table",    "address",        "form",
                                       "offset_s", "utc_offset_min", NULL};
    int64_t offset_min = 0;
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 || (result = need_form(doc, map, "form", &logger->clock_form, ret_err)) != 0 ||
        (result = load_place(&logger->clock, doc, map, "address",
                             form_registers[logger->clock_form], ret_err)) != 0 ||
        (result = doc_opt_int(doc, map, "utc_offset_min", -720, 840, &offset_min, ret_err)) != 0) {
        return result;
    }
    yaml_node_t *offset = doc_get(doc, map, "offset_s");
    logger->utc_offset_s = offset_min * 60;
    logger->has_clock = true;
    return offset == NULL ? 0 : signal_load(&logger->offset_s, doc, offset, ret_err);
}

static int load_text(struct sim_logger *logger, struct doc *doc, yaml_node_t *map,
                     struct err *ret_err) {
    static const char *const keys[] = {"table", "address", "registers", "text", "swapped", NULL};
    yaml_node_t *node = NULL;
    const char *text = NULL;
    int64_t registers = 0;
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 ||
        (result = doc_need_int(doc, map, "registers", 1, TEXT_MAX / 2, &registers, ret_err)) != 0 ||
        (result = load_place(&logger->text, doc, map, "address", (unsigned)registers, ret_err)) !=
            0 ||
        (result = doc_need(doc, map, "text", &node, ret_err)) != 0 ||
        (result = doc_text(doc, node, &text, ret_err)) != 0) {
        return result;
    }
    if (strlen(text) > (size_t)registers * 2) {
        return doc_fail(doc, node, ret_err, ERR_LIMIT, "the text is longer than its registers");
    }
    memcpy(logger->characters, text, strlen(text));
    logger->has_text = true;
    node = doc_get(doc, map, "swapped");
    return node == NULL ? 0 : doc_bool(doc, node, &logger->swapped, ret_err);
}

static int load_fields(struct sim_logger *logger, const struct sim_map *points, struct doc *doc,
                       yaml_node_t *list, struct err *ret_err) {
    static const char *const keys[] = {"point", "offset", NULL};
    int result = doc_list(doc, list, FIELDS_MAX, &logger->field_count, ret_err);
    for (size_t i = 0; result == 0 && i < logger->field_count; i++) {
        yaml_node_t *map = doc_item(doc, list, i), *node = NULL;
        const char *name = NULL;
        int64_t offset = 0;
        size_t at = 0;
        if ((result = doc_check_keys(doc, map, keys, ret_err)) != 0 ||
            (result = doc_need(doc, map, "point", &node, ret_err)) != 0 ||
            (result = doc_text(doc, node, &name, ret_err)) != 0 ||
            (result = doc_need_int(doc, map, "offset", 0, logger->record_registers - 1, &offset,
                                   ret_err)) != 0) {
            return result;
        }
        while (at < points->count && strcmp(points->points[at].name, name) != 0) {
            at++;
        }
        if (at == points->count) {
            return doc_fail(doc, node, ret_err, ERR_NOT_FOUND, "no point is called '%.60s'", name);
        }
        logger->fields[i].point = at;
        logger->fields[i].offset = (unsigned)offset;
    }
    return result;
}

static int load_memory(struct sim_logger *logger, const struct sim_map *points, struct doc *doc,
                       yaml_node_t *map, int64_t start_us, struct err *ret_err) {
    static const char *const keys[] = {
        "table",         "index",        "index_address", "address",    "record_registers",
        "capacity",      "interval",     "history",       "stamp_form", "stamp_offset",
        "corrupt_every", "repeat_every", "values",        NULL};
    static const char *const kinds[] = {"next", "newest", "count", NULL};
    yaml_node_t *list = NULL;
    int64_t size = 0, capacity = 0, stamp_offset = 0, history_us = 0;
    int kind = 0;
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 ||
        (result = doc_need_int(doc, map, "record_registers", 3, 125, &size, ret_err)) != 0 ||
        (result = doc_need_int(doc, map, "capacity", 4, 32768, &capacity, ret_err)) != 0 ||
        (result = doc_need_duration(doc, map, "interval", 1000000, &logger->interval_us,
                                    ret_err)) != 0 ||
        (result = doc_opt_duration(doc, map, "history", 0, &history_us, ret_err)) != 0 ||
        (result = need_form(doc, map, "stamp_form", &logger->stamp_form, ret_err)) != 0 ||
        (result = doc_opt_int(doc, map, "stamp_offset", 0, size - 1, &stamp_offset, ret_err)) !=
            0 ||
        (result = doc_opt_word(doc, map, "index", kinds, &kind, ret_err)) != 0 ||
        (result = doc_opt_int(doc, map, "corrupt_every", 2, 100000, &logger->corrupt_every,
                              ret_err)) != 0 ||
        (result = doc_opt_int(doc, map, "repeat_every", 2, 100000, &logger->repeat_every,
                              ret_err)) != 0 ||
        (result = load_place(&logger->index, doc, map, "index_address", 1, ret_err)) != 0 ||
        (result = load_place(&logger->ring, doc, map, "address", (unsigned)(size * capacity),
                             ret_err)) != 0) {
        return result;
    }
    logger->record_registers = (unsigned)size;
    logger->capacity = (unsigned)capacity;
    logger->stamp_offset = (unsigned)stamp_offset;
    logger->index_kind = (enum index_kind)kind;
    /* Records stand on whole intervals of the calendar, as loggers write them. */
    logger->origin_us = (start_us - history_us) / logger->interval_us * logger->interval_us;
    logger->has_memory = true;
    result = doc_need(doc, map, "values", &list, ret_err);
    return result == 0 ? load_fields(logger, points, doc, list, ret_err) : result;
}

int sim_logger_load(const struct sim_station *station, struct doc *doc, yaml_node_t *map,
                    int64_t start_us, struct sim_logger **ret_logger, struct err *ret_err) {
    yaml_node_t *clock = doc_get(doc, map, "clock");
    yaml_node_t *text = doc_get(doc, map, "text");
    yaml_node_t *memory = doc_get(doc, map, "memory");
    if (clock == NULL && text == NULL && memory == NULL) {
        return 0;
    }
    struct sim_logger *logger = calloc(1, sizeof *logger);
    if (logger == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a logger");
    }
    int result = clock != NULL ? load_clock(logger, doc, clock, ret_err) : 0;
    if (result == 0 && text != NULL) {
        result = load_text(logger, doc, text, ret_err);
    }
    if (result == 0 && memory != NULL) {
        result = load_memory(logger, station->map, doc, memory, start_us, ret_err);
    }
    if (result != 0) {
        sim_logger_free(logger);
        return result;
    }
    *ret_logger = logger;
    return 0;
}

void sim_logger_free(struct sim_logger *logger) {
    if (logger != NULL) {
        signal_free(&logger->offset_s);
        free(logger);
    }
}

/* ---- serving ---- */

static bool holds(const struct place *place, enum sim_table table, unsigned address) {
    return place->count > 0 && place->table == table && address >= place->address &&
           address < place->address + place->count;
}

/* What the station's clock shows. */
static int64_t shown_s(struct sim_station *station, int64_t t_us) {
    struct sim_logger *logger = station->logger;
    double offset_s =
        logger->offset_s.count > 0 ? signal_at(&logger->offset_s, &station->env, t_us) : 0;
    return (int64_t)floor((double)t_us / 1e6 + offset_s) + logger->utc_offset_s;
}

static uint16_t stamp_register(enum form form, int64_t seconds, unsigned at) {
    time_t civil = (time_t)seconds;
    struct tm parts;
    if (form != FORM_YMDHMS) {
        unsigned shift = 16 * (form_registers[form] - 1 - at);
        return (uint16_t)((uint64_t)seconds >> shift & 0xFFFF);
    }
    (void)gmtime_r(&civil, &parts); /* years of a scenario are its years */
    const int registers[] = {parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                             parts.tm_hour,        parts.tm_min,     parts.tm_sec};
    return (uint16_t)registers[at];
}

/* One register of the newest record that stands in a slot. */
static uint16_t ring_register(struct sim_station *station, unsigned slot, unsigned at, int64_t t_us,
                              struct record *truth) {
    struct sim_logger *logger = station->logger;
    int64_t newest = (t_us - logger->origin_us) / logger->interval_us;
    int64_t number = newest - ((newest - (int64_t)slot) % logger->capacity + logger->capacity) %
                                  logger->capacity;
    if (t_us < logger->origin_us || number < 0) {
        return 0; /* never written */
    }
    int64_t at_us = logger->origin_us + number * logger->interval_us;
    unsigned stamp_at = at - logger->stamp_offset;
    if (at >= logger->stamp_offset && stamp_at < form_registers[logger->stamp_form]) {
        bool repeated = logger->repeat_every > 0 && number % logger->repeat_every == 1;
        bool corrupt = logger->corrupt_every > 0 && number % logger->corrupt_every == 0;
        int64_t stamped_us = repeated ? at_us - logger->interval_us : at_us;
        return corrupt ? 0xFFFF
                       : stamp_register(logger->stamp_form, shown_s(station, stamped_us), stamp_at);
    }
    for (size_t i = 0; i < logger->field_count; i++) {
        const struct map_point *point = &station->map->points[logger->fields[i].point];
        unsigned place = at - logger->fields[i].offset;
        uint16_t registers[2];
        double stored;
        if (at < logger->fields[i].offset || place >= (unsigned)encode_width(point->spec.type)) {
            continue;
        }
        double value =
            signal_at(&station->values[logger->fields[i].point].signal, &station->env, at_us);
        encode_value(&point->spec, value, registers, &stored);
        if (place == 0) {
            record_value(truth, at_us, station, point, value, stored, registers, "memory");
        }
        return registers[place];
    }
    return 0;
}

bool sim_logger_register(struct sim_station *station, enum sim_table table, unsigned address,
                         int64_t t_us, struct record *truth, uint16_t *ret_register) {
    struct sim_logger *logger = station->logger;
    if (logger == NULL) {
        return false;
    }
    if (logger->has_clock && holds(&logger->clock, table, address)) {
        *ret_register = stamp_register(logger->clock_form, shown_s(station, t_us),
                                       address - logger->clock.address);
        return true;
    }
    if (logger->has_text && holds(&logger->text, table, address)) {
        const char *pair = &logger->characters[2 * (address - logger->text.address)];
        uint8_t first = (uint8_t)pair[logger->swapped], second = (uint8_t)pair[!logger->swapped];
        *ret_register = (uint16_t)(first << 8 | second);
        return true;
    }
    if (logger->has_memory && holds(&logger->index, table, address)) {
        int64_t count = (t_us - logger->origin_us) / logger->interval_us + 1;
        int64_t shown = logger->index_kind == INDEX_COUNT    ? count & 0xFFFF
                        : logger->index_kind == INDEX_NEWEST ? (count - 1) % logger->capacity
                                                             : count % logger->capacity;
        *ret_register = (uint16_t)shown;
        return true;
    }
    if (logger->has_memory && holds(&logger->ring, table, address)) {
        unsigned place = address - logger->ring.address;
        *ret_register = ring_register(station, place / logger->record_registers,
                                      place % logger->record_registers, t_us, truth);
        return true;
    }
    return false;
}
