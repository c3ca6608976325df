/* Runs the real acquisition against one Modbus TCP server and prints what comes, one JSON object a
 * reading, until every point has had ROUNDS readings. For the tests of this folder.
 *   acquire [rtu] HOST PORT ROUNDS TIMEOUT_MS POINT ...
 * POINT: unit:table:address:type:order:scale:offset[:sentinel]; points are numbered as they stand.
 * type may be bit@N or bits@N@COUNT; order may be a permutation of the bytes.
 * Exit 0: all there; 1: not within GIVE_UP_US; 2: bad arguments. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "drivers/driver.h"

enum { POINTS_MAX = 512, FIELDS = 8 };
#define GIVE_UP_US INT64_C(60000000)
#define PERIOD_US  INT64_C(200000)

struct tool {
    struct loop *loop;
    struct modbus_unit_config units[MODBUS_UNITS_MAX];
    struct modbus_map maps[MODBUS_UNITS_MAX][POINTS_MAX];
    size_t unit_count;
    uint32_t point_count;
    int64_t rounds;
    int64_t seen[POINTS_MAX];
};

static void on_readings(void *ctx, const struct reading *readings, size_t count) {
    struct tool *tool = ctx;
    for (size_t i = 0; i < count; i++) {
        const struct reading *reading = &readings[i];
        char value[40];
        (void)text_format_double(reading->value, value, sizeof(value));
        printf("{\"point\":%u,\"seq\":%" PRIu64 ",\"status\":\"%s\",\"exception\":%u,\"value\":%s,"
               "\"raw\":\"",
               reading->point, reading->seq, reading_status_name(reading->status),
               reading->exception, value);
        for (uint8_t j = 0; j < reading->raw_len; j++) {
            printf("%02x", reading->raw[j]);
        }
        printf("\"}\n");
        tool->seen[reading->point]++;
    }
    for (uint32_t i = 0; i < tool->point_count; i++) {
        if (tool->seen[i] < tool->rounds) {
            return;
        }
    }
    loop_stop(tool->loop);
}

static struct modbus_unit_config *unit_of(struct tool *tool, uint8_t unit) {
    for (size_t i = 0; i < tool->unit_count; i++) {
        if (tool->units[i].unit == unit) {
            return &tool->units[i];
        }
    }
    struct modbus_unit_config *added = &tool->units[tool->unit_count];
    *added = (struct modbus_unit_config){.unit = unit, .maps = tool->maps[tool->unit_count]};
    tool->unit_count++;
    return added;
}

/* "bits@4@3": bit 4 on, three bits. */
static int read_type(char *text, struct modbus_map *map) {
    int64_t bit = 0, count = 1;
    char *at = strchr(text, '@');
    if (at != NULL) {
        *at = '\0';
        char *second = strchr(at + 1, '@');
        if (second != NULL) {
            *second = '\0';
        }
        if (text_parse_int(at + 1, 0, 15, &bit) < 0 ||
            (second != NULL && text_parse_int(second + 1, 1, 16, &count) < 0)) {
            return ERR_SYNTAX;
        }
    }
    map->bit = (uint8_t)bit;
    map->bit_count = (uint8_t)count;
    return modbus_type_parse(text, &map->type);
}

static int read_order(const char *text, struct modbus_map *map) {
    if (modbus_order_parse(text, &map->order) == 0) {
        return 0;
    }
    return modbus_permutation_ok(map->type, text)
               ? text_copy(map->permutation, sizeof(map->permutation), text)
               : ERR_SYNTAX;
}

static int add_point(struct tool *tool, char *text) {
    char *fields[FIELDS] = {NULL};
    int64_t unit = 0, address = 0;
    struct modbus_map map = {.point = tool->point_count, .period_us = PERIOD_US};
    size_t count = 0;
    for (char *field = strtok(text, ":"); field != NULL && count < FIELDS;
         field = strtok(NULL, ":")) {
        fields[count++] = field;
    }
    if (count < FIELDS - 1 || tool->point_count == POINTS_MAX ||
        text_parse_int(fields[0], 0, 255, &unit) < 0 ||
        modbus_table_parse(fields[1], &map.table) < 0 ||
        text_parse_int(fields[2], 0, 65535, &address) < 0 || read_type(fields[3], &map) < 0 ||
        read_order(fields[4], &map) < 0 ||
        text_parse_double(fields[5], -1e300, 1e300, &map.scale) < 0 ||
        text_parse_double(fields[6], -1e300, 1e300, &map.offset) < 0 ||
        (count == FIELDS && text_parse_double(fields[7], -1e300, 1e300, &map.sentinels[0]) < 0)) {
        return ERR_SYNTAX;
    }
    map.address = (uint16_t)address;
    map.sentinel_count = count == FIELDS;
    struct modbus_unit_config *config = unit_of(tool, (uint8_t)unit);
    tool->maps[config - tool->units][config->map_count++] = map;
    tool->point_count++;
    return 0;
}

static int run(struct tool *tool, const struct modbus_endpoint_config *endpoint) {
    struct clock *clock = NULL;
    struct acquisition *acquisition = NULL;
    struct modbus_config config = {.endpoint_count = 1, .endpoints = endpoint};
    struct err err = {.text = "no memory"};
    int result = modbus_config_check(&config, tool->point_count, 1, &err);
    if (result == 0) {
        result = clock_create_real(&clock);
    }
    if (result == 0) {
        result = loop_create(clock, &tool->loop);
    }
    struct acquisition_options options = {.loop = tool->loop,
                                          .modbus = &config,
                                          .station_count = 1,
                                          .on_readings = on_readings,
                                          .ctx = tool};
    if (result == 0) {
        result = acquisition_create(&options, &acquisition, &err);
    }
    if (result < 0) {
        (void)fprintf(stderr, "acquire: %s\n", err.text);
    } else {
        acquisition_start(acquisition);
        result = loop_run_for(tool->loop, GIVE_UP_US);
    }
    (void)acquisition_destroy(acquisition);
    (void)loop_destroy(tool->loop);
    (void)clock_destroy(clock);
    return result;
}

int main(int argc, char **argv) {
    static struct tool tool;
    struct modbus_endpoint_config endpoint;
    int64_t port = 0, timeout_ms = 0;
    modbus_endpoint_defaults(&endpoint);
    if (argc > 1 && strcmp(argv[1], "rtu") == 0) {
        endpoint.framing = MODBUS_FRAMING_RTU;
        argc--;
        argv++;
    }
    if (argc < 6 || text_parse_int(argv[2], 1, 65535, &port) < 0 ||
        text_parse_int(argv[3], 1, 1000000, &tool.rounds) < 0 ||
        text_parse_int(argv[4], 10, 60000, &timeout_ms) < 0 ||
        text_copy(endpoint.host, sizeof(endpoint.host), argv[1]) < 0) {
        (void)fprintf(stderr, "usage: acquire [rtu] HOST PORT ROUNDS TIMEOUT_MS POINT ...\n");
        return 2;
    }
    for (int i = 5; i < argc; i++) {
        if (add_point(&tool, argv[i]) < 0) {
            (void)fprintf(stderr, "acquire: bad point number %d\n", i - 5);
            return 2;
        }
    }
    (void)text_copy(endpoint.id, sizeof(endpoint.id), "peer");
    endpoint.port = (uint16_t)port;
    endpoint.request_timeout_us = timeout_ms * 1000;
    endpoint.unit_count = tool.unit_count;
    endpoint.units = tool.units;
    if (run(&tool, &endpoint) < 0) {
        return 2;
    }
    for (uint32_t i = 0; i < tool.point_count; i++) {
        if (tool.seen[i] < tool.rounds) {
            return 1;
        }
    }
    return 0;
}
