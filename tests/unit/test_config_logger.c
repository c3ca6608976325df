/* The sections clock, identity and memory of a station: a good one, its canonical dump, and bad
 * ones. Where a fault must be told is marked with '|' in the change itself. */
#include "tests/unit/config_fixture.h"

static const char good[] =
    "id: logger\nname: {vi: L, en: L}\nkind: stage\n"
    "connection: {host: 10.0.0.9, string_bytes_swapped: true, registers_max: 60}\n"
    "clock:\n  table: input\n  address: 90\n  form: ymdhms\n  utc_offset_min: 420\n"
    "  period: 30 min\n  limit: 20 s\n"
    "identity:\n  address: 80\n  length: 8\n  expected: HV-2210\n"
    "memory:\n  index: newest\n  index_address: 96\n  index_type: uint32\n  address: 1000\n"
    "  record_registers: 8\n  capacity: 500\n  interval: 10 min\n  stamp_form: unix32\n"
    "  stamp_offset: 1\n  stamp_order: CDAB\n"
    "  values:\n    - {point: stage, offset: 3}\n    - {point: tips, offset: 5}\n"
    "points:\n"
    "  - id: stage\n    quantity: stage\n    unit: m\n    period: 1 min\n    stale_after: 10 min\n"
    "    register: {address: 7, table: holding, type: float32}\n"
    "    quality: {hard_min: 0 m, hard_max: 20 m}\n"
    "  - id: tips\n    quantity: rain\n    unit: mm\n    kind: counter\n    period: 1 min\n"
    "    stale_after: 10 min\n    counter_step_max: 30 mm\n"
    "    register: {address: 9, table: holding, type: uint32}\n"
    "    quality: {hard_min: 0 mm, hard_max: 1e6 mm}\n"
    "  - id: door\n    quantity: restarts\n    unit: \"1\"\n    period: 1 min\n"
    "    stale_after: 10 min\n    register: {address: 1, table: coil, type: bit}\n"
    "    quality: {hard_min: 0 1, hard_max: 1 1}\n";

static const struct {
    const char *from, *to, *text;
} bads[] = {
    {"  utc_offset_min: 420\n", "", "the key 'utc_offset_min' is missing"},
    {"form: ymdhms", "form: |bcd", "'bcd'"},
    {"address: 90", "address: |65531", "6 registers from 65531 on reach beyond register 65535"},
    {"limit: 20 s", "limit: |0 s", "out of bounds"},
    {"  length: 8\n", "  length: |0\n", "a string needs 'length'"},
    {"length: 8", "type: uint32\n  |length: 8", "only a string has it"},
    {"length: 8\n  expected: HV-2210", "type: uint32\n  expected: |HV-2210", "is no whole number"},
    {"length: 8", "length: 3", "'HV-2210' does not fit into 3 registers"},
    {"expected: HV-2210\n", "serial: 7\n", "unknown key 'serial'"},
    {"index: newest", "index: |oldest", "'oldest'"},
    {"index: newest\n  index_address: 96\n  index_type: uint32",
     "index: |count\n  index_address: 96\n  index_type: uint16",
     "begins again at 65536, which is no multiple of the capacity"},
    {"capacity: 500", "capacity: |3", "out of bounds"},
    {"address: 1000", "address: |62000",
     "4000 registers from 62000 on reach beyond register 65535"},
    {"record_registers: 8", "record_registers: |61", "does not fit into one request"},
    {"stamp_offset: 1", "stamp_offset: |7", "the time stamp reaches beyond a record of 8"},
    {"{point: stage, offset: 3}", "{point: |level, offset: 3}", "the station has no point 'level'"},
    {"{point: stage, offset: 3}", "{point: stage, offset: |7}", "a float32 at 7 reaches beyond"},
    {"{point: stage, offset: 3}", "{point: |door, offset: 3}", "'door' is no register"},
    {"{point: tips, offset: 5}", "{point: |stage, offset: 5}", "'stage' has a value already"},
    {"  values:\n    - {point: stage, offset: 3}\n    - {point: tips, offset: 5}\n", "",
     "the key 'values' is missing"},
    {"registers_max: 60", "registers_max: 60, registers_from_one: true", NULL},
    {"registers_max: 60}\nclock:\n  table: input\n  address: 90",
     "registers_max: 60, registers_from_one: true}\nclock:\n  table: input\n  address: |0",
     "there is no register 0 with registers_from_one"},
    {"clock:\n  table: input\n  address: 90\n  form: ymdhms\n  utc_offset_min: 420\n"
     "  period: 30 min\n  limit: 20 s\n",
     "", "a memory needs the section 'clock'"},
};

/* The file with one change; where the mark stood, or "". */
static char *change(const char *from, const char *to, char ret_position[64]) {
    const char *at = strstr(good, from), *mark = strchr(to, '|');
    char *text = calloc(1, sizeof good + strlen(to) + 1);
    unsigned line = 1, column = 1;
    assert_non_null(at);
    assert_non_null(text);
    memcpy(text, good, (size_t)(at - good));
    memcpy(text + (at - good), to, mark != NULL ? (size_t)(mark - to) : strlen(to));
    for (const char *c = text; *c != '\0'; c++) {
        line += *c == '\n';
        column = *c == '\n' ? 1 : column + 1;
    }
    (void)snprintf(ret_position, 64, "stations/logger.yaml:%u:%u", line, column);
    strcat(text, mark != NULL ? mark + 1 : "");
    strcat(text, at + strlen(from));
    return text;
}

static bool is_told(const struct config_errors *errors, const char *position, const char *text) {
    char told[1024];
    for (size_t i = 0; i < errors->count; i++) {
        config_error_format(&errors->items[i], told, sizeof told);
        if (strncmp(told, position, strlen(position)) == 0 && strstr(told, text) != NULL) {
            return true;
        }
    }
    return false;
}

static void test_bad_ones(void **state) {
    (void)state;
    char dir[64], position[64];
    copy_minimal(dir);
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        struct config_errors errors;
        struct site *site = NULL;
        char *text = change(bads[i].from, bads[i].to, position);
        write_whole(dir, "stations/logger.yaml", text, strlen(text));
        int result = load(dir, &site, &errors);
        bool marked = strchr(bads[i].to, '|') != NULL;
        bool told = bads[i].text == NULL
                        ? result == 0
                        : result != 0 && is_told(&errors, marked ? position : "", bads[i].text);
        if (!told) {
            print_error("change %zu: %s\n", i, bads[i].to);
            show_errors(&errors);
        }
        assert_true(told);
        (void)site_destroy(site);
        free(text);
    }
    remove_dir(dir);
}

static char *dump(const struct site *site) {
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    assert_non_null(file);
    site_print(site, file);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void test_a_good_one(void **state) {
    (void)state;
    char dir[64], other[64];
    struct config_errors errors;
    struct site *site = NULL, *again = NULL;
    copy_minimal(dir);
    make_dir(other);
    write_whole(dir, "stations/logger.yaml", good, sizeof good - 1);
    assert_int_equal(load(dir, &site, &errors), 0);
    assert_int_equal(site->logger_count, 1);
    assert_null(site_logger_of(site, 0));
    const struct logger *logger = site_logger_of(site, 1);
    assert_non_null(logger);
    assert_int_equal(logger->clock.table, MODBUS_INPUT);
    assert_int_equal(logger->clock.stamp.form, STAMP_YMDHMS);
    assert_int_equal(logger->clock.limit_us, 20000000);
    assert_true(logger->identity.swapped);
    assert_int_equal(logger_identity_registers(&logger->identity), 8);
    assert_int_equal(logger->memory.index_means, INDEX_NEWEST);
    assert_int_equal(logger->memory.index_type, MODBUS_UINT32);
    assert_int_equal(logger->memory.table, MODBUS_HOLDING);
    assert_int_equal(logger->memory.stamp.order, MODBUS_CDAB);
    assert_int_equal(logger->memory.stamp.utc_offset_min, 420);
    assert_int_equal(logger->memory.field_count, 2);
    assert_int_equal(logger_memory_block(&logger->memory, 60), 7);
    /* The dump loads to the same dump. */
    char *text = dump(site);
    size_t length;
    char *shape = read_whole(dir, "areas/lv-alpha.geojson", &length);
    write_whole(other, "areas/lv-alpha.geojson", shape, length);
    write_whole(other, "canhbao.yaml", text, strlen(text));
    int result = load(other, &again, &errors);
    show_errors(&errors);
    assert_int_equal(result, 0);
    char *second = dump(again);
    assert_string_equal(text, second);
    free(shape);
    free(text);
    free(second);
    (void)site_destroy(site);
    (void)site_destroy(again);
    remove_dir(dir);
    remove_dir(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_one),
        cmocka_unit_test(test_bad_ones),
    };
    return cmocka_run_group_tests(tests, open_units, close_units);
}
