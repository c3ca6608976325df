/* The form in which the journal keeps the inputs of the engine: there and back, cut short, of
 * another site or version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture;
static struct engine *engine;

static void create(void) {
    struct err err = {0};
    int result = engine_create(&fixture.site, fixture_at(0), &engine, &err);
    if (result != 0) {
        fail_msg("%s", err.text);
    }
}

static int setup(void **state) {
    (void)state;
    fixture_init(&fixture);
    create();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    return 0;
}

static void test_journal_form_of_inputs(void **state) {
    (void)state;
    struct bytes bytes = {0};
    struct engine_input inputs[5];
    inputs[0] = fixture_input(ENGINE_READING, 1, 1);
    inputs[0].simulated = true;
    inputs[0].as.reading = (struct reading){.point = POINT_RAIN,
                                            .seq = 77,
                                            .status = READING_EXCEPTION,
                                            .exception = 2,
                                            .raw_len = 3,
                                            .raw = {1, 2, 3},
                                            .value = (double)NAN,
                                            .received = fixture_at(1),
                                            .round_trip_us = -1,
                                            .flag = QUALITY_NOT_EVALUATED};
    inputs[1] = fixture_model_input(1, 2, 1, -0.0);
    inputs[1].as.model_result.doubt = MODEL_DOUBT_INPUT;
    inputs[2] = fixture_input(ENGINE_COMMAND, 1, 3);
    inputs[2].as.command = (struct command){.kind = COMMAND_COMMENT,
                                            .rule = "flood",
                                            .place = "gauge",
                                            .actor = "duty",
                                            .comment = "Đã gọi ông Tư",
                                            .until = {5},
                                            .has_expected_revision = true,
                                            .expected_revision = 9,
                                            .verdict = JUDGED_FAULT};
    inputs[3] = fixture_input(ENGINE_TICK, 1, 4);
    inputs[4] = fixture_input(ENGINE_START, 1, 5);
    inputs[4].as.gap_us = 123;
    for (int i = 0; i < 5; i++) {
        struct engine_input back;
        bytes_clear(&bytes);
        assert_int_equal(engine_input_encode(engine, &inputs[i], &bytes), 0);
        assert_true(bytes.length <= ENGINE_INPUT_BYTES_MAX);
        assert_int_equal(engine_input_decode(engine, bytes.data, bytes.length, &back), 0);
        struct bytes again = {0};
        assert_int_equal(engine_input_encode(engine, &back, &again), 0);
        assert_int_equal(again.length, bytes.length);
        assert_memory_equal(again.data, bytes.data, bytes.length);
        assert_int_equal(back.kind, inputs[i].kind);
        if (i == 1) {
            assert_int_equal(back.as.model_result.doubt, MODEL_DOUBT_INPUT);
        }
        for (size_t cut = 0; cut < bytes.length; cut++) {
            assert_int_equal(engine_input_decode(engine, bytes.data, cut, &back), ERR_CORRUPT);
        }
        bytes_put_u8(&bytes, 0); /* something behind */
        assert_int_equal(engine_input_decode(engine, bytes.data, bytes.length, &back), ERR_CORRUPT);
        bytes_finish(&again);
    }
    bytes_finish(&bytes);
}

static void test_journal_of_other_sites_and_versions(void **state) {
    (void)state;
    struct bytes bytes = {0};
    struct engine_input input = fixture_input(ENGINE_READING, 1, 1);
    input.as.reading = (struct reading){.seq = 1, .received = fixture_at(1)};
    assert_int_equal(engine_input_encode(engine, &input, &bytes), 0);
    bytes.data[0]++;
    assert_int_equal(engine_input_decode(engine, bytes.data, bytes.length, &input),
                     ERR_UNSUPPORTED);
    bytes.data[0]--;
    engine = engine_destroy(engine);
    strcpy(fixture.points[POINT_STAGE].id, "level");
    fixture.site.rule_count = 0;
    create();
    assert_int_equal(engine_input_decode(engine, bytes.data, bytes.length, &input), ERR_NOT_FOUND);
    input.as.reading.point = FIXTURE_POINTS;
    size_t before = bytes.length;
    assert_int_equal(engine_input_encode(engine, &input, &bytes), ERR_INVALID);
    assert_int_equal(bytes.length, before);
    bytes_finish(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_journal_form_of_inputs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_journal_of_other_sites_and_versions, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
