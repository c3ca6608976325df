/* Areas of gas alarms for public messages, from what a release run printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/release_areas.h"

static const char good[] = "{\"cap\": [{\"rule\": \"cl2\", \"place\": \"port\", \"polygon\": "
                           "[[13.7, 109.2], [13.8, 109.2], "
                           "[13.8, 109.3], [13.7, 109.2]], \"instruction\": {\"vi\": \"vào nhà\", "
                           "\"en\": \"go indoors\"}, \"communes\": [{\"name\": \"Quy Nhơn\", "
                           "\"code\": \"21583\"}, {\"name\": \"Nhơn Châu\", \"code\": "
                           "\"\"}, {\"name\": \"Quy Nhơn Bắc\", \"code\": \"21584\"}]}]}";

static int take(struct release_areas *areas, const char *text) {
    return release_areas_take(areas, text, strlen(text), (struct utc_us){1000000}, NULL);
}

static void test_taken_and_found(void **state) {
    (void)state;
    static struct release_areas areas;
    assert_int_equal(take(&areas, good), 0);
    const struct release_area *area =
        release_areas_find(&areas, "cl2", "port", (struct utc_us){1000000});
    assert_non_null(area);
    assert_int_equal(area->polygon.count, 4);
    assert_true(area->polygon.positions == area->positions);
    assert_true(area->positions[1].latitude_deg == 13.8);
    assert_string_equal(area->instruction[1], "go indoors");
    assert_string_equal(area->outline.communes, "Quy Nhơn;Nhơn Châu;Quy Nhơn Bắc");
    assert_string_equal(area->outline.commune_codes, "21583;21584");
    assert_null(release_areas_find(&areas, "cl2", "fence", (struct utc_us){1000000}));
    /* too old: the wind has changed */
    assert_null(
        release_areas_find(&areas, "cl2", "port", (struct utc_us){1000001 + RELEASE_AREA_AGE_US}));
    assert_int_equal(take(&areas, "{\"cap\": []}"), 0); /* a run without a plume takes it away */
    assert_null(release_areas_find(&areas, "cl2", "port", (struct utc_us){1000000}));
}

/* Each part of the good text spoilt: refused, and what was there stays. */
static void test_bad_output(void **state) {
    (void)state;
    static struct release_areas areas;
    static const char *const spoilt[][2] = {
        {"[13.7, 109.2]]", "[13.7, 109.1]]"},   /* not closed */
        {"[13.8, 109.3]", "[93.8, 109.3]"},     /* no latitude */
        {"[13.8, 109.2], [13.8, 109.3], ", ""}, /* no polygon */
        {"\"en\"", "\"fr\""},
        {"\"rule\": \"cl2\"", "\"rule\": 7"},
        {"Quy Nhơn Bắc", "Quy Nhơn;Bắc"},
        {"\"21584\"", "21584"},
        {"\"communes\": [", "\"communes\": 1, \"other\": ["},
        {"\"cap\": [", "\"cap\": 1, \"other\": ["},
        {"]}", ""},
    };
    assert_int_equal(take(&areas, good), 0);
    for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        char text[sizeof good + 32];
        const char *at = strstr(good, spoilt[i][0]);
        assert_non_null(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, spoilt[i][1],
                       at + strlen(spoilt[i][0]));
        assert_int_not_equal(take(&areas, text), 0);
        assert_non_null(release_areas_find(&areas, "cl2", "port", (struct utc_us){1000000}));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_and_found),
        cmocka_unit_test(test_bad_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
