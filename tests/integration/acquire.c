/* Runs the real acquisition against one Modbus server and prints what comes, one JSON object a
 * reading, until every point has had ROUNDS readings, at least one of which is no skipped slot (a
 * busy machine leaves slots out). For the tests of this folder.
 *   acquire [WORD ...] HOST PORT ROUNDS TIMEOUT_MS POINT ...
 *   acquire [WORD ...] DEVICE BAUD ROUNDS TIMEOUT_MS POINT ...     a path: a serial line
 *   acquire [WORD ...] @IDENTITY PORT ROUNDS TIMEOUT_MS POINT ...  the server dials in to us
 * WORD: rtu, or a quirk: reply-unit-0, reply-unit-255, byte-count, surplus, echo,
 * close-after-reply; period=MS, connect-pause=MS, request-pause=MS, close-pause=MS, idle-close=MS.
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
#define GIVE_UP_US        INT64_C(600000000)
#define PERIOD_US_DEFAULT INT64_C(200000)

struct tool {
    struct loop *loop;
    struct modbus_unit_config units[MODBUS_UNITS_MAX];
    struct modbus_map maps[MODBUS_UNITS_MAX][POINTS_MAX];
    size_t unit_count;
    uint32_t point_count;
    int64_t period_us;
    int64_t rounds;
    int64_t seen[POINTS_MAX];
    bool told[POINTS_MAX];
};

static bool complete(const struct tool *tool) {
    for (uint32_t i = 0; i < tool->point_count; i++) {
        if (tool->seen[i] < tool->rounds || !tool->told[i]) {
            return false;
        }
    }
    return true;
}

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
        tool->told[reading->point] |= reading->status != READING_SKIPPED;
    }
    if (complete(tool)) {
        loop_stop(tool->loop);
    }
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
    struct modbus_map map = {.point = tool->point_count, .period_us = tool->period_us};
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
                                          .listen_host = "127.0.0.1",
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

/* "connect-pause=50". */
static bool read_pause(const char *word, const char *name, int64_t *ret_us) {
    size_t length = strlen(name);
    int64_t ms;
    if (strncmp(word, name, length) != 0 || word[length] != '=' ||
        text_parse_int(word + length + 1, 0, 60000, &ms) < 0) {
        return false;
    }
    *ret_us = ms * 1000;
    return true;
}

static bool read_word(const char *word, struct tool *tool,
                      struct modbus_endpoint_config *endpoint) {
    struct modbus_quirks *quirks = &endpoint->quirks;
    struct {
        const char *name;
        bool *flag;
    } flags[] = {{"byte-count", &quirks->byte_count},
                 {"surplus", &quirks->surplus},
                 {"echo", &quirks->echo},
                 {"close-after-reply", &quirks->close_after_reply}};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strcmp(word, flags[i].name) == 0) {
            *flags[i].flag = true;
            return true;
        }
    }
    if (strcmp(word, "rtu") == 0) {
        endpoint->framing = MODBUS_FRAMING_RTU;
    } else if (strcmp(word, "reply-unit-0") == 0) {
        quirks->reply_unit = MODBUS_REPLY_UNIT_0;
    } else if (strcmp(word, "reply-unit-255") == 0) {
        quirks->reply_unit = MODBUS_REPLY_UNIT_255;
    } else {
        return read_pause(word, "period", &tool->period_us) ||
               read_pause(word, "connect-pause", &endpoint->connect_pause_us) ||
               read_pause(word, "request-pause", &endpoint->request_pause_us) ||
               read_pause(word, "close-pause", &endpoint->close_pause_us) ||
               read_pause(word, "idle-close", &endpoint->idle_close_us);
    }
    return true;
}

/* Where the server is; the second word is a port or a speed. */
static int read_place(const char *place, int64_t number, struct modbus_endpoint_config *endpoint) {
    if (place[0] == '/') {
        endpoint->transport = MODBUS_SERIAL;
        endpoint->framing = MODBUS_FRAMING_RTU;
        endpoint->serial.baud = (uint32_t)number;
        endpoint->serial.parity = MODBUS_PARITY_NONE; /* a pseudo-terminal has none */
        return text_copy(endpoint->serial.device, sizeof(endpoint->serial.device), place);
    }
    endpoint->port = (uint16_t)number;
    if (place[0] == '@') {
        endpoint->transport = MODBUS_DIAL_IN;
        return text_copy(endpoint->identity, sizeof(endpoint->identity), place + 1);
    }
    return text_copy(endpoint->host, sizeof(endpoint->host), place);
}

int main(int argc, char **argv) {
    static struct tool tool;
    struct modbus_endpoint_config endpoint;
    int64_t number = 0, timeout_ms = 0;
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* tests look at what comes while it comes */
    tool.period_us = PERIOD_US_DEFAULT;
    modbus_endpoint_defaults(&endpoint);
    for (; argc > 1 && read_word(argv[1], &tool, &endpoint); argc--) {
        argv++;
    }
    if (argc < 6 || text_parse_int(argv[2], 1, 115200, &number) < 0 ||
        (argv[1][0] != '/' && number > 65535) ||
        text_parse_int(argv[3], 1, 1000000, &tool.rounds) < 0 ||
        text_parse_int(argv[4], 10, 60000, &timeout_ms) < 0 ||
        read_place(argv[1], number, &endpoint) < 0) {
        (void)fprintf(stderr, "usage: acquire [WORD ...] HOST|DEVICE|@IDENTITY PORT|BAUD ROUNDS "
                              "TIMEOUT_MS POINT ...\n");
        return 2;
    }
    for (int i = 5; i < argc; i++) {
        if (add_point(&tool, argv[i]) < 0) {
            (void)fprintf(stderr, "acquire: bad point number %d\n", i - 5);
            return 2;
        }
    }
    (void)text_copy(endpoint.id, sizeof(endpoint.id), "peer");
    endpoint.request_timeout_us = timeout_ms * 1000;
    endpoint.unit_count = tool.unit_count;
    endpoint.units = tool.units;
    if (run(&tool, &endpoint) < 0) {
        return 2;
    }
    return complete(&tool) ? 0 : 1;
}
