/* The manifest of a run by hand: hashes against sha256sum's, parameters, what is left out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "models/output/run_manifest.h"

static void test_manifest(void **state) {
    (void)state;
    char folder[] = "/tmp/manifest-XXXXXX", in[64], out[64], path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(in, sizeof in, "%s/in.csv", folder);
    (void)snprintf(out, sizeof out, "%s/out.csv", folder);
    (void)snprintf(path, sizeof path, "%s/m.json", folder);
    FILE *file = fopen(in, "w");
    assert_non_null(file);
    fputs("abc", file);
    assert_int_equal(fclose(file), 0);
    file = fopen(out, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    const char *forcing = in, *result = out, *state_in = NULL, *word = "daily", *manifest = path;
    const char *console = "-";
    double x = 1.5, unset = NAN;
    int64_t n = 3;
    bool on = true;
    const struct args_option options[] = {
        {"forcing", ARGS_TEXT, &forcing, true, 0, 0, "FILE.csv", ""},
        {"state-in", ARGS_TEXT, &state_in, false, 0, 0, "FILE.json", ""},
        {"report", ARGS_TEXT, &console, false, 0, 0, "FILE.html", ""},
        {"step", ARGS_TEXT, &word, true, 0, 0, "daily|hourly", ""},
        {"x1", ARGS_NUMBER, &x, true, 0, 9, "MM", ""},
        {"k", ARGS_NUMBER, &unset, false, 0, 9, "K", ""},
        {"threads", ARGS_INT, &n, false, 0, 9, "N", ""},
        {"compat", ARGS_SWITCH, &on, false, 0, 0, NULL, ""},
        {"manifest", ARGS_TEXT, &manifest, false, 0, 0, "FILE.json", ""},
        {"out", ARGS_TEXT, &result, true, 0, 0, "FILE.csv", ""},
        {0},
    };
    assert_int_equal(run_manifest_write(path, "gr", options, 0, NULL), 0);
    json_t *root = json_load_file(path, 0, NULL);
    json_t *wanted = json_pack(
        "{s:s, s:s, s:{s:s, s:f, s:i, s:b}, s:[{s:s, s:s, s:s}], s:[{s:s, s:s, s:s}], s:s}",
        "model", "gr", "build", CANHBAO_VERSION, "parameters", "step", "daily", "x1", 1.5,
        "threads", 3, "compat", 1, "inputs", "option", "forcing", "name", "in.csv", "sha256",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "outputs", "option",
        "out", "name", "out.csv", "sha256",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "reference_time",
        "1970-01-01T00:00:00Z");
    assert_non_null(wanted);
    assert_true(json_equal(root, wanted));
    json_decref(root);
    json_decref(wanted);
    (void)unlink(path);
    assert_int_equal(run_manifest_write(NULL, "gr", options, 0, NULL), 0); /* not asked for */
    (void)unlink(in);
    assert_int_equal(run_manifest_write(path, "gr", options, 0, NULL), ERR_IO);
    assert_int_not_equal(access(path, F_OK), 0);
    (void)unlink(out);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_manifest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
