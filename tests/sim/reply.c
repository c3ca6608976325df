#include "reply.h"

#include <math.h>
#include <string.h>

#include "logger.h"

enum {
    EXCEPTION_FUNCTION = 0x01,
    EXCEPTION_ADDRESS = 0x02,
    EXCEPTION_VALUE = 0x03,
    EXCEPTION_NOBODY = 0x0b
};

static unsigned get16(const uint8_t *at) {
    return (unsigned)at[0] << 8 | at[1];
}

static void put16(uint8_t *at, unsigned value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

int reply_request_length(const uint8_t *bytes, size_t count) {
    if (count < 6) {
        return 0;
    }
    unsigned after = get16(bytes + 4); /* unit id and PDU */
    if (get16(bytes + 2) != 0 || after < 2 || after > 254) {
        return -1;
    }
    return count >= 6 + after ? (int)(6 + after) : 0;
}

static size_t finish(const uint8_t *request, size_t pdu_length, uint8_t *frame) {
    memcpy(frame, request, 4);
    put16(frame + 4, (unsigned)(1 + pdu_length));
    frame[6] = request[6];
    return REPLY_MBAP + pdu_length;
}

static size_t exception(const uint8_t *request, uint8_t code, uint8_t *frame) {
    frame[7] = (uint8_t)(request[7] | 0x80);
    frame[8] = code;
    return finish(request, 2, frame);
}

/* The value of point number i, with the value faults applied; *ret_fault names the one at work. */
static double value_now(struct sim_station *station, size_t i, int64_t t_us,
                        const char **ret_fault) {
    struct sim_value *value = &station->values[i];
    double now = signal_at(&value->signal, &station->env, t_us);
    bool stuck = false;
    for (size_t k = 0; k < station->fault_count; k++) {
        const struct fault *fault = station->faults[k];
        if (!fault_is_value(fault->kind) || !fault_active(fault, t_us) ||
            !fault_hits_point(fault, station->map->points[i].name)) {
            continue;
        }
        *ret_fault = fault_names[fault->kind];
        if (fault->kind == FAULT_NAN) {
            now = NAN;
        } else if (fault->kind == FAULT_ADD) {
            now += fault->add;
        } else {
            stuck = true;
            value->frozen_value = value->frozen ? value->frozen_value : now;
            value->frozen = true;
            now = value->frozen_value;
        }
    }
    value->frozen = stuck;
    return now;
}

/* The first point that ends after the address. */
static size_t find_point(const struct sim_map *map, enum sim_table table, unsigned address) {
    size_t low = 0;
    size_t high = map->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct map_point *point = &map->points[middle];
        unsigned end = point->address + (unsigned)encode_width(point->spec.type);
        if (point->table < table || (point->table == table && end <= address)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Whether points, or what the station has beside them, fill the range. */
static bool has_range(struct sim_station *station, enum sim_table table, unsigned at, unsigned end,
                      int64_t t_us) {
    const struct sim_map *map = station->map;
    struct record none = {.file = NULL};
    uint16_t ignored;
    for (size_t i = find_point(map, table, at); at < end;) {
        if (i < map->count && map->points[i].table == table && map->points[i].address <= at) {
            at = map->points[i].address + (unsigned)encode_width(map->points[i].spec.type);
            i++;
        } else if (sim_logger_register(station, table, at, t_us, &none, &ignored)) {
            at++;
        } else {
            return false;
        }
    }
    return true;
}

/* Fills count registers (or bits, one a word) from the address; false when one does not exist. */
static bool read_range(struct sim_station *station, enum sim_table table, unsigned address,
                       unsigned count, int64_t t_us, const char *reply_fault, struct record *truth,
                       uint16_t *ret_words) {
    const struct sim_map *map = station->map;
    unsigned end = address + count;
    size_t first = find_point(map, table, address);
    /* The whole range is checked first: a refused request serves nothing. */
    if (!has_range(station, table, address, end, t_us)) {
        return false;
    }
    for (unsigned at = address; at < end; at++) {
        (void)sim_logger_register(station, table, at, t_us, truth, &ret_words[at - address]);
    }
    for (size_t i = first;
         i < map->count && map->points[i].table == table && map->points[i].address < end; i++) {
        const struct map_point *point = &map->points[i];
        uint16_t registers[2];
        double stored;
        const char *fault = NULL;
        double value = value_now(station, i, t_us, &fault);
        encode_value(&point->spec, value, registers, &stored);
        for (unsigned k = 0; k < (unsigned)encode_width(point->spec.type); k++) {
            unsigned where = point->address + k;
            if (where >= address && where < end) {
                ret_words[where - address] = registers[k];
            }
        }
        record_value(truth, t_us, station, point, value, stored, registers,
                     reply_fault != NULL ? reply_fault : fault);
    }
    return true;
}

size_t reply_build(struct sim_station *station, const uint8_t *request, size_t length, int64_t t_us,
                   const char *fault, struct record *truth, uint8_t *ret_frame) {
    static const enum sim_table tables[] = {0, TABLE_COILS, TABLE_DISCRETE, TABLE_HOLDING,
                                            TABLE_INPUT};
    uint8_t function = request[7];
    if (station == NULL) {
        return exception(request, EXCEPTION_NOBODY, ret_frame);
    }
    if (function < 1 || function > 4) {
        return exception(request, EXCEPTION_FUNCTION, ret_frame);
    }
    bool bits = function <= 2;
    unsigned most = bits ? 2000 : 125;
    unsigned count = length == 12 ? get16(request + 10) : 0;
    if (count < 1 || count > most) {
        return exception(request, EXCEPTION_VALUE, ret_frame);
    }
    unsigned address = get16(request + 8);
    uint16_t words[2000] = {0};
    if (address + count > 65536 ||
        !read_range(station, tables[function], address, count, t_us, fault, truth, words)) {
        return exception(request, EXCEPTION_ADDRESS, ret_frame);
    }
    unsigned bytes = bits ? (count + 7) / 8 : 2 * count;
    uint8_t *data = ret_frame + REPLY_MBAP + 2;
    memset(data, 0, bytes);
    for (unsigned i = 0; i < count; i++) {
        if (bits) {
            data[i / 8] = (uint8_t)(data[i / 8] | (words[i] & 1) << (i % 8));
        } else {
            put16(data + 2 * i, words[i]);
        }
    }
    ret_frame[7] = function;
    ret_frame[8] = (uint8_t)bytes;
    return finish(request, 2 + bytes, ret_frame);
}
