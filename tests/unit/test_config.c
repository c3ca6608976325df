/* What the site files become: structs, connections, registers, revisions, and the dump of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/options.h"
#include "daemon/engine.h"
#include "tests/unit/config_fixture.h"

static const char binh_dinh[] = CANHBAO_SOURCE_DIR "/deploy/sites/binh-dinh";

static const char beta_station[] = "id: beta\n"
                                   "name: {vi: Beta, en: Beta}\n"
                                   "kind: stage\n"
                                   "connection: {host: 127.0.0.1, port: 15900, unit: 2}\n"
                                   "points:\n"
                                   "  - id: stage\n"
                                   "    quantity: stage\n"
                                   "    unit: cm\n"
                                   "    period: 1 min\n"
                                   "    stale_after: 10 min\n"
                                   "    register:\n"
                                   "      address: 0\n"
                                   "      table: holding\n"
                                   "      type: float32\n"
                                   "    quality: {hard_min: 0 m, hard_max: 2000 cm}\n";

/* A second station: what only two can get wrong. */
static void test_two_stations(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *position, *text;
    } changes[] = {
        {"unit: 2", "unit: 1", "stations/beta.yaml:12:16",
         "holding register 0 is in use already by the point 'stage' of station 'alpha'"},
        {"unit: 2", "unit: 2, request_timeout: 5 s", "stations/beta.yaml:4:13",
         "the times differ from those of station 'alpha'"},
        {"unit: 2", "unit: 2, framing: rtu", "stations/beta.yaml:4:13",
         "the framing differs from that of station 'alpha'"},
        {"unit: 2", "unit: 2, request_pause: 5 ms", "stations/beta.yaml:4:13",
         "the line's settings, pauses or quirks differ from those of station 'alpha'"},
        {"host: 127.0.0.1, port: 15900, unit: 2",
         "host: 127.0.0.1, port: 15901, registers_from_one: true", "stations/beta.yaml:12:16",
         "there is no register 0 with registers_from_one"},
        {"unit: cm", "unit: m", NULL, NULL},
    };
    char dir[64];
    struct config_errors errors;
    struct site *site = NULL;
    copy_minimal(dir);
    write_whole(dir, "stations/beta.yaml", beta_station, strlen(beta_station));
    assert_int_equal(load(dir, &site, &errors), 0);
    /* one endpoint, two units; the limit in metres was taken to the point's unit */
    assert_int_equal(site->modbus.endpoint_count, 1);
    assert_int_equal(site->modbus.endpoints[0].unit_count, 2);
    assert_int_equal(site->modbus.endpoints[0].units[1].unit, 2);
    assert_int_equal(site->modbus.endpoints[0].units[0].map_count, 2);
    assert_string_equal(site->modbus.endpoints[0].id, "alpha");
    assert_true(site->points[2].quality.hard_max == 2000);
    site = site_destroy(site);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char text[1024];
        const char *at = strstr(beta_station, changes[i].from);
        assert_non_null(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - beta_station), beta_station,
                       changes[i].to, at + strlen(changes[i].from));
        write_whole(dir, "stations/beta.yaml", text, strlen(text));
        if (changes[i].position != NULL) {
            expect_refused(dir, changes[i].position, changes[i].text);
        }
    }
    /* places of one rule must agree on the unit, and each must have the levels it asks for */
    size_t length;
    char *rule = read_whole(minimal, flood, &length);
    char *at = strstr(rule, "[alpha]");
    assert_non_null(at);
    memmove(at + 13, at + 7, strlen(at + 7) + 1);
    memcpy(at, "[alpha, beta]", 13);
    write_whole(dir, flood, rule, strlen(rule));
    write_whole(dir, "stations/beta.yaml", beta_station, strlen(beta_station));
    expect_refused(dir, "rules/flood.yaml:11:12", "in 'cm' at 'beta' and in 'm' elsewhere");
    char metres[1024];
    (void)strcpy(metres, beta_station);
    memcpy(strstr(metres, "unit: cm"), "unit: m ", 8);
    write_whole(dir, "stations/beta.yaml", metres, strlen(metres));
    expect_refused(dir, "rules/flood.yaml:7:3", "'beta' has no alarm levels");
    free(rule);
    remove_dir(dir);
}

static void print_site(const void *object, char **ret_text) {
    size_t length;
    FILE *file = open_memstream(ret_text, &length);
    assert_non_null(file);
    site_print(object, file);
    assert_int_equal(fclose(file), 0);
}

/* dump -> load -> dump gives the same bytes, and the same rules with the same revisions */
static void round_trip(const char *source, const char *const *area_files, size_t area_count) {
    char dir[64];
    char *first, *second;
    struct config_errors errors;
    struct site *site = NULL, *again = NULL;
    assert_int_equal(load(source, &site, &errors), 0);
    print_site(site, &first);
    make_dir(dir);
    write_whole(dir, main_file, first, strlen(first));
    for (size_t i = 0; i < area_count; i++) {
        size_t length;
        char *text = read_whole(source, area_files[i], &length);
        write_whole(dir, area_files[i], text, length);
        free(text);
    }
    if (load(dir, &again, &errors) != 0) {
        show_errors(&errors);
        fail();
    }
    print_site(again, &second);
    assert_string_equal(first, second);
    assert_int_equal(site->rule_count, again->rule_count);
    for (size_t i = 0; i < site->rule_count; i++) {
        assert_string_equal(site->rules[i].revision, again->rules[i].revision);
        assert_int_equal(strlen(site->rules[i].revision), 32);
    }
    assert_int_equal(site->point_count, again->point_count);
    for (size_t i = 0; i < site->point_count; i++) {
        assert_int_equal(site->points[i].quality.revision, again->points[i].quality.revision);
    }
    free(first);
    free(second);
    (void)site_destroy(site);
    (void)site_destroy(again);
    remove_dir(dir);
}

static void test_round_trip(void **state) {
    (void)state;
    static const char *const minimal_areas[] = {"areas/lv-alpha.geojson"};
    static const char *const areas[] = {"areas/lv-kon.geojson", "areas/lv-ha-thanh.geojson",
                                        "areas/lv-lai-giang.geojson"};
    round_trip(minimal, minimal_areas, 1);
    round_trip(binh_dinh, areas, 3);
}

/* Two more rain gauges, and what the first one's quality section says of them. */
static const char rain_station[] = "id: %s\n"
                                   "name: {vi: Mưa, en: Rain}\n"
                                   "kind: rain\n"
                                   "connection: {host: 127.0.0.1, port: 15900, unit: %d}\n"
                                   "points:\n"
                                   "  - id: tips\n"
                                   "    quantity: rain\n"
                                   "    unit: mm\n"
                                   "    kind: counter\n"
                                   "    period: 1 min\n"
                                   "    stale_after: 10 min\n"
                                   "    counter_step_max: 30 mm\n"
                                   "    register: {table: input, address: 0, type: uint32}\n"
                                   "    quality: {hard_min: 0 mm, hard_max: 1e9 mm}\n";

static void write_rain(const char *dir, const char *quality) {
    size_t length;
    char text[1024], *own = read_whole(minimal, alpha, &length);
    assert_true(length + strlen(quality) < 1 << 20);
    (void)strcpy(own + length, quality); /* the buckets stand last */
    write_whole(dir, alpha, own, strlen(own));
    free(own);
    (void)snprintf(text, sizeof text, rain_station, "beta", 2);
    write_whole(dir, "stations/beta.yaml", text, strlen(text));
    (void)snprintf(text, sizeof text, rain_station, "gamma", 3);
    write_whole(dir, "stations/gamma.yaml", text, strlen(text));
}

#define BOTH "[{station: beta, point: tips}, {station: gamma, point: tips}]\n"

static void test_neighbours_of_a_bucket(void **state) {
    (void)state;
    static const char good[] = "      neighbour_max: 5 mm\n      neighbour_age: 10 min\n"
                               "      neighbour_window: 1 h\n      neighbours: " BOTH
                               "      cross:\n        - {rise_above: 20 mm, rise_window: 1 h, "
                               "point: stage, window: 5 min, other: {min: 1 m}}\n";
    static const char no_window[] = "      neighbour_max: 5 mm\n      neighbour_age: 10 min\n"
                                    "      neighbours: " BOTH;
    static const char short_window[] = "      neighbour_max: 5 mm\n      neighbour_age: 10 min\n"
                                       "      neighbour_window: 30 s\n      neighbours: " BOTH;
    static const char other_kind[] =
        "      neighbour_max: 5 mm\n      neighbour_age: 10 min\n      neighbour_window: 1 h\n"
        "      neighbours:\n        - {station: beta, point: tips}\n"
        "        - {station: delt, point: stage}\n";
    char dir[64], stage_gauge[1024];
    struct config_errors errors;
    struct site *site = NULL;
    copy_minimal(dir);
    write_rain(dir, good);
    if (load(dir, &site, &errors) != 0) {
        show_errors(&errors);
        fail();
    }
    const struct quality_limits *limits = &site->points[1].quality;
    assert_int_equal(limits->neighbour_count, 2);
    assert_int_equal(limits->neighbours[1].index, 3);
    assert_int_equal(limits->neighbour_window_us, INT64_C(3600000000));
    assert_int_equal(limits->cross_count, 1);
    site = site_destroy(site);
    round_trip(dir, (const char *const[]){area}, 1);
    write_rain(dir, no_window);
    expect_refused(dir, "stations/alpha.yaml:41:7", "needs a neighbour_window");
    write_rain(dir, short_window);
    expect_refused(dir, "stations/alpha.yaml:45:25", "of at least its period");
    (void)strcpy(stage_gauge, beta_station);
    memcpy(strstr(stage_gauge, "beta"), "delt", 4);
    memcpy(strstr(stage_gauge, "unit: 2"), "unit: 4", 7);
    write_whole(dir, "stations/delt.yaml", stage_gauge, strlen(stage_gauge));
    write_rain(dir, other_kind);
    expect_refused(dir, "stations/alpha.yaml:48:11",
                   "delt.stage is not of kind counter or amount and in mm");
    remove_dir(dir);
}

/* Every way to reach a station, through load, dump and load again; those that meet share a line. */
static void test_connections(void **state) {
    (void)state;
    static const struct {
        const char *connection;
        enum modbus_transport transport;
    } rows[] = {
        {"device: /dev/serial/by-id/usb-1, baud: 19200, parity: none, stop_bits: 2, unit: 3, "
         "direction: rts_down, silent_interval: 5 ms, echo: true",
         MODBUS_SERIAL},
        {"device: /dev/serial/by-id/usb-1, baud: 19200, parity: none, stop_bits: 2, unit: 4, "
         "direction: rts_down, silent_interval: 5 ms, echo: true",
         MODBUS_SERIAL},
        {"identity: IMEI-860123, port: 5020, framing: rtu", MODBUS_DIAL_IN},
        {"host: 10.0.0.1, reply_unit: 255, wrong_byte_count: true, surplus_bytes: true, "
         "close_after_reply: true, registers_from_one: true, connect_pause: 1 s, close_pause: 2 s, "
         "request_pause: 20 ms, idle_close: 1 min",
         MODBUS_CONNECT},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    char dir[64];
    struct config_errors errors;
    struct site *site = NULL;
    copy_minimal(dir);
    for (size_t i = 0; i < ROWS; i++) {
        char name[64], text[1024];
        (void)snprintf(name, sizeof name, "stations/s%zu.yaml", i);
        int length = snprintf(text, sizeof text,
                              "id: s%zu\nname: {vi: S, en: S}\nkind: stage\nconnection: {%s}\n"
                              "points:\n  - id: stage\n    quantity: stage\n    unit: m\n"
                              "    period: 1 min\n    stale_after: 10 min\n"
                              "    register: {address: 7, table: holding, type: float32}\n"
                              "    quality: {hard_min: 0 m, hard_max: 20 m}\n",
                              i, rows[i].connection);
        write_whole(dir, name, text, (size_t)length);
    }
    assert_int_equal(load(dir, &site, &errors), 0);
    assert_int_equal(site->modbus.endpoint_count, 4); /* minimal's own, and two share */
    for (size_t i = 0; i < ROWS; i++) {
        const struct modbus_endpoint_config *endpoint = site_endpoint_of(site, i + 1);
        assert_int_equal(endpoint->transport, rows[i].transport);
        assert_int_equal(endpoint->unit_count, i < 2 ? 2 : 1);
        assert_int_equal(endpoint->units[0].maps[0].address, i == 3 ? 6 : 7);
        assert_int_equal(endpoint->units[0].gap_registers, i < 2 ? 20 : 8);
    }
    const struct modbus_endpoint_config *line = site_endpoint_of(site, 1);
    assert_int_equal(line->framing, MODBUS_FRAMING_RTU);
    assert_int_equal(line->serial.baud, 19200);
    assert_int_equal(line->serial.parity, MODBUS_PARITY_NONE);
    assert_int_equal(line->serial.direction, MODBUS_DIRECTION_RTS_DOWN);
    assert_int_equal(line->serial.silent_us, 5000);
    assert_true(line->quirks.echo);
    const struct modbus_endpoint_config *last = site_endpoint_of(site, ROWS);
    assert_int_equal(last->quirks.reply_unit, MODBUS_REPLY_UNIT_255);
    assert_true(last->quirks.byte_count && last->quirks.surplus && last->quirks.close_after_reply);
    assert_int_equal(last->connect_pause_us, 1000000);
    assert_int_equal(last->idle_close_us, 60000000);
    (void)site_destroy(site);
    static const char *const minimal_areas[] = {"areas/lv-alpha.geojson"};
    round_trip(dir, minimal_areas, 1);
    remove_dir(dir);
}

/* Every way to say where a value is, through load, dump and load again. */
static void test_registers(void **state) {
    (void)state;
    static const char head[] = "id: parts\n"
                               "name: {vi: Parts, en: Parts}\n"
                               "kind: stage\n"
                               "connection: {host: 127.0.0.1, port: 15901}\n"
                               "points:\n";
    static const struct {
        const char *place;
        struct modbus_map map;
    } rows[] = {
        {"table: coil, address: 0, type: bit", {.table = MODBUS_COIL, .type = MODBUS_BIT}},
        {"table: discrete, address: 65535, type: bit",
         {.table = MODBUS_DISCRETE, .address = 65535, .type = MODBUS_BIT}},
        {"table: input, address: 3, type: bit, bit: 15",
         {.table = MODBUS_INPUT, .address = 3, .type = MODBUS_BIT, .bit = 15}},
        {"table: input, address: 3, type: bits, bit: 2, bit_count: 13",
         {.table = MODBUS_INPUT, .address = 3, .type = MODBUS_BITS, .bit = 2, .bit_count = 13}},
        {"table: holding, address: 9, type: float64, bytes: EFGHABCD",
         {.table = MODBUS_HOLDING,
          .address = 9,
          .type = MODBUS_FLOAT64,
          .permutation = "EFGHABCD"}},
        {"table: holding, address: 8, type: int8_low, order: DCBA",
         {.table = MODBUS_HOLDING, .address = 8, .type = MODBUS_INT8_LOW, .order = MODBUS_DCBA}},
        {"table: holding, address: 8, type: int8_high, order: DCBA",
         {.table = MODBUS_HOLDING, .address = 8, .type = MODBUS_INT8_HIGH, .order = MODBUS_DCBA}},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    char dir[64], text[4096];
    struct config_errors errors;
    struct site *site = NULL;
    size_t length = (size_t)snprintf(text, sizeof text, "%s", head);
    for (size_t i = 0; i < ROWS; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "  - {id: p%zu, quantity: state, unit: '1', period: 1 min, "
                                   "stale_after: 10 min, register: {%s}, "
                                   "quality: {hard_min: -1e9 1, hard_max: 1e9 1}}\n",
                                   i, rows[i].place);
    }
    copy_minimal(dir);
    write_whole(dir, "stations/parts.yaml", text, length);
    if (load(dir, &site, &errors) != 0) {
        show_errors(&errors);
        fail();
    }
    for (size_t i = 0; i < ROWS; i++) {
        const struct modbus_map *map = &site->maps[site->point_count - ROWS + i];
        const struct modbus_map *want = &rows[i].map;
        assert_int_equal(map->table, want->table);
        assert_int_equal(map->address, want->address);
        assert_int_equal(map->type, want->type);
        assert_int_equal(map->order, want->order);
        assert_int_equal(map->bit, want->bit);
        assert_int_equal(map->bit_count, want->bit_count);
        assert_string_equal(map->permutation, want->permutation);
    }
    assert_int_equal(
        modbus_config_check(&site->modbus, site->point_count, site->station_count, NULL), 0);
    /* The two requests of alpha, and one for each table of parts: 1 s each, once a minute. */
    for (size_t i = 0; i < site->modbus.endpoint_count; i++) {
        double load = 0;
        size_t requests = 0;
        bool is_alpha = strcmp(site->modbus.endpoints[i].id, "alpha") == 0;
        assert_int_equal(site_endpoint_load(site, i, &load, &requests), 0);
        assert_int_equal(requests, is_alpha ? 2 : 4);
        assert_true(fabs(load - (double)requests / 60) < 1e-12);
        assert_ptr_equal(site_endpoint_of(site, is_alpha ? 0 : 1), &site->modbus.endpoints[i]);
    }
    (void)site_destroy(site);
    static const char *const minimal_areas[] = {"areas/lv-alpha.geojson"};
    round_trip(dir, minimal_areas, 1);
    remove_dir(dir);
}

static void test_revision_follows_levels(void **state) {
    (void)state;
    char dir[64];
    struct config_errors errors;
    struct site *before = NULL, *after = NULL;
    assert_int_equal(load(minimal, &before, &errors), 0);
    copy_minimal(dir);
    size_t length;
    char *text = read_whole(minimal, alpha, &length);
    memcpy(strstr(text, "level_3: 8 m"), "level_3: 9 m", 12);
    write_whole(dir, alpha, text, length);
    free(text);
    assert_int_equal(load(dir, &after, &errors), 0);
    /* rules are in the order of their files: areal, flood */
    assert_string_equal(before->rules[0].revision, after->rules[0].revision);
    assert_string_not_equal(before->rules[1].revision, after->rules[1].revision);
    (void)site_destroy(before);
    (void)site_destroy(after);
    remove_dir(dir);
}

static void test_minimal_values(void **state) {
    (void)state;
    struct config_errors errors;
    struct site *site = NULL;
    assert_int_equal(load(minimal, &site, &errors), 0);
    assert_int_equal(site->station_count, 1);
    assert_int_equal(site->point_count, 2);
    const struct station *station = &site->stations[0];
    assert_string_equal(station->name_vi, "Trạm Alpha");
    assert_true(station->latitude_deg == 14.5 && station->longitude_deg == 108.75);
    assert_int_equal(station->alarm_levels.count, 3);
    assert_true(station->alarm_levels.at[1] == 7 && isnan(station->alarm_levels.at[3]));
    assert_int_equal(site->maps[1].table, MODBUS_INPUT);
    assert_int_equal(site->maps[1].type, MODBUS_UINT32);
    assert_true(site->maps[1].scale == 0.2);
    assert_int_equal(site->points[0].period_us, 60000000);
    assert_true(isnan(site->points[0].quality.soft_min));
    assert_true(isnan(site->points[1].counter_modulus));
    assert_true(site->points[1].counter_step_max == 30);
    const struct rule *rule = &site->rules[0];
    assert_string_equal(rule->id, "areal");
    assert_int_equal(rule->node_count, 5);
    assert_int_equal(rule->nodes[0].kind, NODE_ANY);
    assert_int_equal(rule->nodes[0].child_count, 2);
    assert_int_equal(rule->nodes[2].kind, NODE_ALL);
    assert_true(rule->nodes[1].threshold == 20 && rule->nodes[1].hysteresis == 2);
    assert_int_equal(rule->places[0].kind, PLACE_AREA);
    assert_int_equal(rule->levels[0].off_delay_us, INT64_C(1800000000));
    assert_int_equal(rule->levels[0].required, KNOWLEDGE_DOUBTFUL);
    assert_true(isnan(rule->indicators[0].min_probability));
    assert_int_equal(site->rules[1].nodes[2].station_level, 3);
    (void)site_destroy(site);
}

/* Unset members must come out as NaN and never as 0. */
static void test_unset_is_nan(void **state) {
    (void)state;
    struct station station;
    struct quality_limits limits;
    memset(&station, 0x55, sizeof station);
    memset(&limits, 0x55, sizeof limits);
    option_group_preset(&group_position, &station);
    option_group_preset(&group_quality, &limits);
    assert_true(isnan(station.latitude_deg) && isnan(station.longitude_deg));
    assert_true(isnan(limits.hard_min) && isnan(limits.rate_max_per_s) &&
                isnan(limits.flat_epsilon));
    assert_int_equal(limits.flat_fail_us, 0);
}

/* Compared with the tables of the domain, read by eye. */
static void test_binh_dinh(void **state) {
    (void)state;
    static const struct {
        const char *id;
        double level_1, level_2, level_3;
    } gauges[] = {
        {"an-hoa", 22, 23, 24},       {"bong-son", 6, 7, 8},
        {"vinh-son", 71, 72.5, 74},   {"binh-nghi", 15.5, 16.5, 17.5},
        {"thanh-hoa", 6, 7, 8},       {"van-canh", 42.5, 44, 45.5},
        {"dieu-tri", 3.5, 4.5, 5.5},  {"an-khe", NAN, 405.5, 406.5},
        {"ayun-pa", NAN, 154.5, 156},
    };
    struct config_errors errors;
    struct site *site = NULL;
    size_t kinds[5] = {0};
    static const char *const kind_names[] = {"stage", "rain", "weather", "radiation", "chemical"};
    if (load(binh_dinh, &site, &errors) != 0) {
        show_errors(&errors);
        fail();
    }
    assert_true(site->settings.exercise_only);
    for (size_t i = 0; i < site->station_count; i++) {
        const struct station *station = &site->stations[i];
        bool radiation = strcmp(station->kind, "radiation") == 0;
        bool rain_beside = false;
        assert_true(station->provisional && station->note[0] != '\0');
        for (size_t k = 0; k < 5; k++) {
            kinds[k] += strcmp(station->kind, kind_names[k]) == 0;
        }
        for (uint32_t k = 0; k < station->point_count; k++) {
            rain_beside =
                rain_beside || site->points[station->first_point + k].kind == POINT_COUNTER;
        }
        assert_true(!radiation || rain_beside);
        for (size_t k = 0; k < sizeof gauges / sizeof gauges[0]; k++) {
            if (strcmp(gauges[k].id, station->id) == 0) {
                const double *at = station->alarm_levels.at;
                assert_true(at[1] == gauges[k].level_2 && at[2] == gauges[k].level_3);
                assert_true(isnan(gauges[k].level_1) ? isnan(at[0]) : at[0] == gauges[k].level_1);
                assert_true(!isnan(at[0]) || station->alarm_levels.provisional);
            }
        }
    }
    assert_int_equal(kinds[0], 9);
    assert_true(kinds[1] >= 12);
    assert_int_equal(kinds[2], 2);
    assert_int_equal(kinds[3], 4);
    assert_int_equal(kinds[4], 9);
    assert_int_equal(site->area_count, 6);
    const struct engine_site parts = site_for_engine(site, NULL);
    const struct moment now = {.mono = {1000000}, .utc = {INT64_C(1763424000000000)}};
    struct engine *engine = NULL;
    struct err engine_err = {0};
    if (engine_create(&parts, now, &engine, &engine_err) != 0) {
        fail_msg("the engine refuses the site: %s", engine_err.text);
    }
    (void)engine_destroy(engine);
    for (size_t i = 0; i < site->rule_count; i++) {
        struct err err;
        assert_int_equal(rule_check(&site->rules[i], &err), 0);
        assert_true(site->rules[i].source[0] != '\0');
        for (uint32_t k = 0; k < site->rules[i].level_count; k++) {
            assert_true(site->rules[i].levels[k].off_delay_us > 0);
        }
    }
    (void)site_destroy(site);
}

/* Every option is described in the manual page. */
static void test_manual(void **state) {
    (void)state;
    size_t length;
    char *page = read_whole(CANHBAO_SOURCE_DIR, "deploy/man/canhbao.yaml.5", &length);
    for (size_t i = 0; option_groups[i] != NULL; i++) {
        char heading[128];
        (void)snprintf(heading, sizeof heading, ".Ss %s\n", option_groups[i]->path);
        const char *section = strstr(page, heading);
        assert_non_null(section);
        for (size_t k = 0; k < option_groups[i]->count; k++) {
            const struct option *option = &option_groups[i]->options[k];
            char item[128];
            (void)snprintf(item, sizeof item, ".It Sy %s ", option->name);
            if (strstr(section, item) == NULL || strstr(page, option->help) == NULL ||
                option->help[0] == '\0') {
                fail_msg("%s: %s is not in canhbao.yaml.5", option_groups[i]->path, option->name);
            }
        }
    }
    free(page);
}

static void test_kafka(void **state) {
    (void)state;
    struct config_errors errors;
    struct site *site = NULL;
    struct site_kafka_paths paths;
    struct kafka_config config;
    struct err err;
    char *dump;
    assert_int_equal(load(minimal, &site, &errors), 0);
    assert_int_equal(site_kafka_config(site, NULL, &paths, &config, &err), 0);
    assert_string_equal(config.brokers, "127.0.0.1:9092");
    assert_null(config.sasl_mechanism);
    assert_null(config.sasl_password_file);
    assert_int_equal(config.message_timeout_ms, 300000);
    (void)strcpy(site->settings.kafka.sasl_password, "kafka-password");
    assert_int_equal(site_kafka_config(site, NULL, &paths, &config, &err), ERR_NOT_FOUND);
    assert_int_equal(site_kafka_config(site, "/run/credentials", &paths, &config, &err), 0);
    assert_string_equal(config.sasl_password_file, "/run/credentials/kafka-password");
    print_site(site, &dump);
    assert_null(strstr(dump, "kafka-password"));
    assert_non_null(strstr(dump, "sasl_password: (masked)"));
    free(dump);
    (void)site_destroy(site);
}

static void test_pages(void **state) {
    (void)state;
    char *text;
    size_t length;
    struct config_errors errors;
    struct site *site = NULL;
    FILE *file = open_memstream(&text, &length);
    assert_int_equal(load(minimal, &site, &errors), 0);
    site_print_provisional(site, file);
    site_print_options(file);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "provisional: area lv-alpha"));
    assert_non_null(strstr(text, "request_timeout: duration from 0.01 to 3600 s; default 1 s"));
    free(text);
    (void)site_destroy(site);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_stations),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_neighbours_of_a_bucket),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_revision_follows_levels),
        cmocka_unit_test(test_minimal_values),
        cmocka_unit_test(test_unset_is_nan),
        cmocka_unit_test(test_binh_dinh),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_kafka),
        cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, open_units, close_units);
}
