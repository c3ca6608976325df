/* The inbox and the real canhbao-model: good grids give results, bad ones end in quarantine by
 * name, and nothing that a file holds reaches the parent but "rejected". */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/base/text.h"
#include "daemon/inbox.h"
#include "daemon/job_output.h"
#include "daemon/jobs.h"
#include "gridfile.h"

enum { ROWS = 6, COLUMNS = 8, RESULTS_KEPT = 256 };

static const char program[] = CANHBAO_BINARY_DIR "/models/canhbao-model";

struct fixture {
    char folder[512];
    char inbox[600];
    char areas[600];
    struct clock *clock;
    struct loop *loop;
    struct jobs *jobs;
    struct jobs_product product;
    int64_t now_s;
    unsigned batches;
    size_t result_count;
    struct model_result results[RESULTS_KEPT]; /* of the last batch */
    unsigned raised[CONDITION_CLASS_COUNT];
    bool standing[CONDITION_CLASS_COUNT];
    char text[CONDITION_TEXT_SIZE];
};

static void on_run(void *ctx, const struct jobs_run *run) {
    struct fixture *fixture = ctx;
    fixture->batches++;
    assert_true(run->parsed->count <= RESULTS_KEPT);
    memcpy(fixture->results, run->parsed->results, run->parsed->count * sizeof fixture->results[0]);
    fixture->result_count = run->parsed->count;
}

static void on_condition(void *ctx, enum condition_class class, const char *product, bool raised,
                         const char *text) {
    struct fixture *fixture = ctx;
    assert_string_equal(product, "radar");
    fixture->standing[class] = raised;
    if (raised) {
        fixture->raised[class]++;
        (void)snprintf(fixture->text, sizeof fixture->text, "%s", text);
    }
}

static void write_text(const char *path, const char *text) {
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void fixture_start(struct fixture *fixture) {
    const struct jobs_options options = {.loop = fixture->loop,
                                         .program = program,
                                         .products = &fixture->product,
                                         .product_count = 1,
                                         .on_run = on_run,
                                         .on_condition = on_condition,
                                         .ctx = fixture};
    struct err err = {.code = 0};
    if (jobs_create(&options, &fixture->jobs, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static const char *const model_arguments[] = {"--windows", "10min", "--lead", "5min", NULL};

static struct fixture *fixture_create(void) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    gridfile_folder(fixture->folder, sizeof fixture->folder);
    (void)snprintf(fixture->inbox, sizeof fixture->inbox, "%s/inbox", fixture->folder);
    (void)snprintf(fixture->areas, sizeof fixture->areas, "%s/areas.geojson", fixture->folder);
    assert_int_equal(mkdir(fixture->inbox, 0700), 0);
    write_text(fixture->areas,
               "{\"type\":\"Feature\",\"id\":\"kon\",\"properties\":{},\"geometry\":{\"type\":"
               "\"Polygon\",\"coordinates\":[[[108.5,13.5],[110.5,13.5],[110.5,15.5],[108.5,15.5],"
               "[108.5,13.5]]]}}");
    assert_int_equal(clock_create_real(&fixture->clock), 0);
    assert_int_equal(loop_create(fixture->clock, &fixture->loop), 0);
    fixture->product = jobs_product_default;
    fixture->product.name = "radar";
    fixture->product.folder = fixture->inbox;
    fixture->product.areas = fixture->areas;
    fixture->product.arguments = model_arguments;
    fixture->now_s = (int64_t)time(NULL) / 300 * 300;
    return fixture;
}

static void fixture_destroy(struct fixture *fixture) {
    char command[700];
    (void)jobs_destroy(fixture->jobs);
    (void)loop_destroy(fixture->loop);
    (void)clock_destroy(fixture->clock);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", fixture->folder);
    assert_int_equal(system(command), 0);
    free(fixture);
}

/* A frame of constant rain at `age` steps before now. */
static struct gridfile frame(const struct fixture *fixture, double *time_s, double *values,
                             double rate, int age) {
    static const double x[COLUMNS] = {107.5, 108.5, 109.5, 110.5, 111.5, 112.5, 113.5, 114.5};
    static const double y[ROWS] = {17.5, 16.5, 15.5, 14.5, 13.5, 12.5};
    *time_s = (double)(fixture->now_s - 300 * age);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        values[i] = rate;
    }
    return (struct gridfile){.frames = 1,
                             .rows = ROWS,
                             .columns = COLUMNS,
                             .x = x,
                             .y = y,
                             .times = time_s,
                             .values = values};
}

/* Written beside, appears by rename. */
static void drop(const struct fixture *fixture, const struct gridfile *file, const char *name) {
    char temporary[700];
    char path[800];
    struct gridfile copy = *file;
    (void)snprintf(temporary, sizeof temporary, "%s/%s.tmp", fixture->inbox, name);
    (void)snprintf(path, sizeof path, "%s/%s", fixture->inbox, name);
    copy.path = temporary;
    gridfile_write(&copy);
    assert_int_equal(rename(temporary, path), 0);
}

/* Runs the loop until `done` + `quarantined` files are through; fails after a minute. */
static void wait_for(struct fixture *fixture, uint64_t files) {
    for (int i = 0; i < 1200; i++) {
        struct jobs_counters counters = jobs_counters(fixture->jobs, 0);
        if (counters.done + counters.quarantined >= files && !counters.running) {
            return;
        }
        assert_int_equal(loop_run_for(fixture->loop, 50000), 0);
    }
    fail_msg("%" PRIu64 " files were not through in time: %s", files, fixture->text);
}

static bool exists(const struct fixture *fixture, const char *name) {
    char path[800];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->inbox, name);
    return access(path, F_OK) == 0;
}

static void read_reason(const struct fixture *fixture, const char *name, char *ret_text,
                        size_t size) {
    char path[800];
    (void)snprintf(path, sizeof path, "%s/quarantine/%s.reason", fixture->inbox, name);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_non_null(fgets(ret_text, (int)size, in));
    (void)fclose(in);
}

static const struct model_result *find(const struct fixture *fixture, const char *variable,
                                       int64_t window_us, int64_t lead_us) {
    for (size_t i = 0; i < fixture->result_count; i++) {
        const struct model_result *result = &fixture->results[i];
        if (strcmp(result->variable, variable) == 0 && result->window_us == window_us &&
            result->lead_us == lead_us) {
            return result;
        }
    }
    fail_msg("no result %s", variable);
    return NULL;
}

static void good_frames_become_results_and_history(void **state) {
    (void)state;
    struct fixture *fixture = fixture_create();
    double time_s, values[ROWS * COLUMNS];
    fixture_start(fixture);
    struct gridfile file = frame(fixture, &time_s, values, 6.0, 1);
    drop(fixture, &file, "a.nc");
    wait_for(fixture, 1);
    assert_true(exists(fixture, "done/a.nc") && !exists(fixture, "a.nc"));
    const struct model_result *rate = find(fixture, "rain_mean", 0, 0);
    assert_true(fabs(rate->value - 6.0) < 1e-9 && rate->coverage == 1.0);
    assert_string_equal(rate->place, "kon");
    assert_string_equal(rate->product, "radar");
    assert_string_equal(rate->model, "areal");
    assert_int_equal(strlen(rate->manifest), 64);
    assert_true(rate->reference_time.us == (fixture->now_s - 300) * 1000000);
    /* one of two slots: half is not enough, never a small sum */
    const struct model_result *sum = find(fixture, "rain_mean", 600000000, 0);
    assert_true(isnan(sum->value) && sum->coverage == 0.5 && sum->cause[0] != '\0');
    file = frame(fixture, &time_s, values, 12.0, 0);
    drop(fixture, &file, "b.nc");
    wait_for(fixture, 2);
    assert_int_equal(fixture->batches, 2);
    sum = find(fixture, "rain_mean", 600000000, 0);
    assert_true(fabs(sum->value - 1.5) < 1e-9 && sum->coverage == 1.0); /* 6/12 + 12/12 mm */
    sum = find(fixture, "rain_mean", 600000000, 300000000);
    assert_true(fabs(sum->value - 2.0) < 1e-9); /* persistence: 12/12 twice */
    for (size_t i = 0; i < CONDITION_CLASS_COUNT; i++) {
        assert_int_equal(fixture->raised[i], 0);
    }
    fixture_destroy(fixture);
}

static void bad_files_are_quarantined_by_name_and_a_good_one_clears(void **state) {
    (void)state;
    struct fixture *fixture = fixture_create();
    double time_s, values[ROWS * COLUMNS];
    char path[800], reason[600];
    uint64_t through = 0;
    fixture->product.file_bytes_max = 1 << 20;
    fixture_start(fixture);
    struct gridfile good = frame(fixture, &time_s, values, 6.0, 3);
    drop(fixture, &good, "first.nc");
    wait_for(fixture, ++through);
    static const struct {
        const char *name;
        const char *expected;
    } table[] = {
        {"garbage.nc", "not readable as NetCDF"}, {"empty.nc", "empty"},
        {"huge.nc", "at most 1048576"},           {"unit.nc", "'K' does not convert"},
        {"fill.nc", "without _FillValue"},        {"future.nc", "in the future"},
        {"repeated.nc", "repeated.nc: time"},     {"variable.nc", "no variable with standard_name"},
        {"negative.nc", "rain rate -3"},          {"truncated.nc", "not readable"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct gridfile file = frame(fixture, &time_s, values, 6.0, 1);
        (void)snprintf(path, sizeof path, "%s/%s", fixture->inbox, table[i].name);
        file.units = i == 3 ? "K" : NULL;
        file.no_fill = i == 4;
        time_s += i == 5 ? 7200 : i == 6 ? -600 : 0;
        file.no_standard_name = i == 7;
        for (size_t k = 0; i == 8 && k < ROWS * COLUMNS; k++) {
            values[k] = -3.0;
        }
        if (i == 0) {
            write_text(path, "this is no grid at all");
        } else if (i == 1) {
            write_text(path, "");
        } else if (i == 2) {
            write_text(path, "x");
            assert_int_equal(truncate(path, (1 << 20) + 1), 0);
        } else if (i == 9) {
            char temporary[900];
            (void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
            file.path = temporary;
            gridfile_write(&file);
            assert_int_equal(truncate(temporary, 2000), 0);
            assert_int_equal(rename(temporary, path), 0);
        } else {
            drop(fixture, &file, table[i].name);
        }
        wait_for(fixture, ++through);
        read_reason(fixture, table[i].name, reason, sizeof reason);
        if (strstr(reason, table[i].expected) == NULL) {
            fail_msg("%s: %s", table[i].name, reason);
        }
        assert_true(fixture->standing[CONDITION_GRID_REJECTED]);
        assert_non_null(strstr(fixture->text, table[i].name));
        assert_int_equal(fixture->batches, 1);
    }
    good = frame(fixture, &time_s, values, 6.0, 0);
    drop(fixture, &good, "last.nc");
    wait_for(fixture, ++through);
    assert_int_equal(fixture->batches, 2);
    assert_false(fixture->standing[CONDITION_GRID_REJECTED]);
    fixture_destroy(fixture);
}

/* A worker that hangs: a shell script in the model's place. */
static void hanging_and_lying_workers_are_ended(void **state) {
    (void)state;
    static const struct {
        const char *script;
        const char *expected;
    } table[] = {
        {"#!/bin/sh\nexec sleep 100\n", "deadline"},
        {"#!/bin/sh\nkill -SEGV $$\n", "signal 11"},
        {"#!/bin/sh\nexit 1\n", "status 1"},
        {"#!/bin/sh\necho '{}'\n", "model or product"},
        {"#!/bin/sh\necho 'not json'\n", "not JSON"},
        {"#!/bin/sh\nexec yes\n", "too much"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct fixture *fixture = fixture_create();
        char script[700], reason[600];
        double time_s, values[ROWS * COLUMNS];
        (void)snprintf(script, sizeof script, "%s/worker", fixture->folder);
        write_text(script, table[i].script);
        assert_int_equal(chmod(script, 0700), 0);
        fixture->product.deadline_us = i == 0 ? 300000 : 30000000;
        const struct jobs_options options = {.loop = fixture->loop,
                                             .program = script,
                                             .products = &fixture->product,
                                             .product_count = 1,
                                             .on_run = on_run,
                                             .on_condition = on_condition,
                                             .ctx = fixture};
        assert_int_equal(jobs_create(&options, &fixture->jobs, NULL), 0);
        struct gridfile file = frame(fixture, &time_s, values, 6.0, 1);
        drop(fixture, &file, "a.nc");
        wait_for(fixture, 1);
        read_reason(fixture, "a.nc", reason, sizeof reason);
        if (strstr(reason, table[i].expected) == NULL) {
            fail_msg("case %zu: %s", i, reason);
        }
        assert_true(fixture->standing[CONDITION_WORKER_FAILED]);
        assert_int_equal(fixture->batches, 0);
        fixture_destroy(fixture);
    }
}

static void old_data_in_a_good_file_does_not_end_staleness(void **state) {
    (void)state;
    struct fixture *fixture = fixture_create();
    double time_s, values[ROWS * COLUMNS];
    fixture->product.stale_after_us = 3000000;
    fixture_start(fixture);
    for (int64_t end_s = (int64_t)time(NULL) + 60;
         !fixture->standing[CONDITION_GRID_STALE] && (int64_t)time(NULL) < end_s;) {
        assert_int_equal(loop_run_for(fixture->loop, 50000), 0);
    }
    assert_true(fixture->standing[CONDITION_GRID_STALE]);
    struct gridfile file = frame(fixture, &time_s, values, 6.0, 10);
    drop(fixture, &file, "old.nc");
    wait_for(fixture, 1);
    assert_int_equal(fixture->batches, 1);
    assert_true(fixture->standing[CONDITION_GRID_STALE]); /* 50 min old */
    file = frame(fixture, &time_s, values, 6.0, 0);
    time_s = (double)time(NULL) + 120; /* more than a wrong clock of the sender's may be off */
    drop(fixture, &file, "ahead.nc");
    wait_for(fixture, 2);
    assert_true(exists(fixture, "quarantine/ahead.nc"));
    time_s = (double)time(NULL) + 20;
    drop(fixture, &file, "new.nc");
    wait_for(fixture, 3);
    assert_int_equal(fixture->batches, 2);
    assert_false(fixture->standing[CONDITION_GRID_STALE]);
    fixture_destroy(fixture);
}

static void a_full_inbox_runs_the_newest_and_counts_the_rest(void **state) {
    (void)state;
    struct fixture *fixture = fixture_create();
    double time_s, values[ROWS * COLUMNS];
    fixture->product.waiting_max = 2;
    for (int age = 5; age >= 0; age--) {
        char name[32];
        (void)snprintf(name, sizeof name, "f%d.nc", 5 - age);
        struct gridfile file = frame(fixture, &time_s, values, 6.0, age);
        drop(fixture, &file, name);
        char path[800];
        (void)snprintf(path, sizeof path, "%s/%s", fixture->inbox, name);
        struct timespec times[2] = {{.tv_sec = fixture->now_s - age},
                                    {.tv_sec = fixture->now_s - age}};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    fixture_start(fixture);
    wait_for(fixture, 1);
    for (int i = 0; i < 1200 && jobs_counters(fixture->jobs, 0).skipped < 5; i++) {
        assert_int_equal(loop_run_for(fixture->loop, 50000), 0);
    }
    assert_int_equal(jobs_counters(fixture->jobs, 0).skipped,
                     5); /* the second newest is outdated */
    assert_true(fixture->raised[CONDITION_JOBS_BEHIND] > 0);
    assert_int_equal(fixture->batches, 1);
    assert_true(fixture->results[0].reference_time.us == fixture->now_s * 1000000);
    const struct model_result *sum = find(fixture, "rain_mean", 600000000, 0);
    assert_true(fabs(sum->value - 1.0) < 1e-9);
    fixture_destroy(fixture);
}

/* Bytes of a good file changed at random: the worker may refuse, die or pass, the parent stands. */
static void mutated_files_never_reach_the_parent(void **state) {
    (void)state;
    enum { MUTATIONS = 300 };
    struct fixture *fixture = fixture_create();
    double time_s, values[ROWS * COLUMNS];
    char source[700], name[64], path[800];
    static char bytes[65536];
    fixture->product.deadline_us = 10000000;
    fixture->product.keep_max = 20; /* retention works on the way */
    fixture->product.history_max = 0;
    fixture_start(fixture);
    (void)snprintf(source, sizeof source, "%s/source.nc", fixture->folder);
    struct gridfile file = frame(fixture, &time_s, values, 6.0, 1);
    file.path = source;
    gridfile_write(&file);
    FILE *in = fopen(source, "r");
    assert_non_null(in);
    size_t size = fread(bytes, 1, sizeof bytes, in);
    (void)fclose(in);
    assert_true(size > 1000 && size < sizeof bytes);
    uint32_t seed = 20251119;
    for (uint64_t i = 0; i < MUTATIONS; i++) {
        static char mutated[65536];
        memcpy(mutated, bytes, size);
        for (int k = 0; k < 1 + (int)(i % 8); k++) {
            seed = seed * 1664525U + 1013904223U;
            mutated[(seed >> 8) % size] = (char)(seed >> 3);
        }
        (void)snprintf(name, sizeof name, "m%" PRIu64 ".nc", i);
        (void)snprintf(path, sizeof path, "%s/.%s", fixture->inbox, name);
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        assert_int_equal(fwrite(mutated, 1, size, out), size);
        assert_int_equal(fclose(out), 0);
        char final[900];
        (void)snprintf(final, sizeof final, "%s/%s", fixture->inbox, name);
        assert_int_equal(rename(path, final), 0);
        wait_for(fixture, i + 1);
        assert_false(exists(fixture, name));
    }
    struct jobs_counters counters = jobs_counters(fixture->jobs, 0);
    assert_int_equal(counters.done + counters.quarantined, MUTATIONS);
    assert_true(counters.quarantined > 0);
    assert_int_equal(fixture->batches, counters.done);
    print_message("%" PRIu64 " of %d mutated files refused, %u workers failed\n",
                  counters.quarantined, MUTATIONS, fixture->raised[CONDITION_WORKER_FAILED]);
    fixture_destroy(fixture);
}

static void retention_deletes_the_oldest(void **state) {
    (void)state;
    struct fixture *fixture = fixture_create();
    assert_int_equal(inbox_prepare(fixture->inbox, NULL), 0);
    for (int i = 0; i < 10; i++) {
        char path[800];
        (void)snprintf(path, sizeof path, "%s/done/f%d.nc", fixture->inbox, i);
        write_text(path, "x");
        struct timespec times[2] = {{.tv_sec = fixture->now_s - 100 * (10 - i)},
                                    {.tv_sec = fixture->now_s - 100 * (10 - i)}};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    assert_int_equal(inbox_retain(fixture->inbox, "done", 4, 86400, NULL), 0);
    assert_true(exists(fixture, "done/f9.nc") && exists(fixture, "done/f6.nc"));
    assert_false(exists(fixture, "done/f5.nc"));
    assert_int_equal(inbox_retain(fixture->inbox, "done", 4, 50, NULL), 0);
    assert_false(exists(fixture, "done/f9.nc"));
    fixture_destroy(fixture);
}

static void outputs_of_workers_are_not_believed(void **state) {
    (void)state;
#define HEAD(time)                                                                                 \
    "{\"model\":\"areal\",\"product\":\"radar\",\"reference_time\":\"" time                        \
    "\",\"manifest_sha256\":"                                                                      \
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"results\":["
#define RESULT(value)                                                                              \
    "{\"area\":\"kon\",\"variable\":\"rain_mean\",\"unit\":\"mm\",\"window_s\":3600,\"lead_s\":0," \
    "\"coverage\":1," value "}]}"
    static const struct {
        const char *text;
        const char *expected; /* NULL: good */
        enum model_doubt doubt;
    } table[] = {
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":1.5"), NULL, MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":1.5,\"doubtful\":true"), NULL,
         MODEL_DOUBT_INPUT},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":1.5,\"doubtful\":false"), NULL,
         MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":1.5,\"doubtful\":1"), "bad doubtful",
         MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":null,\"cause\":\"coverage 0\""), NULL,
         MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":null"), "bad cause", MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z")
             RESULT("\"value\":null,\"at_least\":3.5,\"cause\":\"coverage 0\""),
         NULL, MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":4,\"at_least\":3.5"), "bad at_least",
         MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":null,\"at_least\":-1"), "bad at_least",
         MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"cause\":\"x\""), "bad value", MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":\"1\""), "bad value", MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":1e300"), "bad value", MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":1,\"probability\":2"), "bad probability",
         MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") RESULT("\"value\":1,\"value\":2"), "not JSON",
         MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") "{}]}", "bad area", MODEL_DOUBT_NONE},
        {HEAD("2025-11-19T06:00:00Z") "7]}", "bad area", MODEL_DOUBT_NONE},
        {HEAD("2026-11-19T06:00:00Z") RESULT("\"value\":1.5"), "future", MODEL_DOUBT_NONE},
        {HEAD("yesterday") RESULT("\"value\":1.5"), "reference_time", MODEL_DOUBT_NONE},
        {"[]", "model or product", MODEL_DOUBT_NONE},
    };
    int64_t newest_us = 0;
    assert_int_equal(text_parse_time("2025-11-19T06:05:00Z", &newest_us), 0);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct job_output output = {.count = 0};
        struct err err = {.code = 0};
        int result = job_output_parse(table[i].text, strlen(table[i].text), "areal", "radar",
                                      (struct utc_us){newest_us}, &output, &err);
        assert_int_equal(result == 0, table[i].expected == NULL);
        if (result == 0) {
            assert_int_equal(output.count, 1);
            assert_int_equal(output.results[0].doubt, table[i].doubt);
            assert_true(isnan(output.results[0].value) ? output.results[0].cause[0] != '\0'
                                                       : output.results[0].value == 1.5);
        } else if (strstr(err.text, table[i].expected) == NULL) {
            fail_msg("case %zu: %s", i, err.text);
        }
        job_output_finish(&output);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_frames_become_results_and_history),
        cmocka_unit_test(bad_files_are_quarantined_by_name_and_a_good_one_clears),
        cmocka_unit_test(hanging_and_lying_workers_are_ended),
        cmocka_unit_test(old_data_in_a_good_file_does_not_end_staleness),
        cmocka_unit_test(a_full_inbox_runs_the_newest_and_counts_the_rest),
        cmocka_unit_test(retention_deletes_the_oldest),
        cmocka_unit_test(outputs_of_workers_are_not_believed),
        cmocka_unit_test(mutated_files_never_reach_the_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
