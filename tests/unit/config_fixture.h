/* Folders of site files for tests of the configuration: read, write, copy, load, and the errors
 * told. Header only; every test program builds its own copy. */
#ifndef CANHBAO_TESTS_CONFIG_FIXTURE_H
#define CANHBAO_TESTS_CONFIG_FIXTURE_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/config/site.h"

static const char minimal[] = CANHBAO_SOURCE_DIR "/tests/data/sites/minimal";
static const char main_file[] = "canhbao.yaml";
static const char alpha[] = "stations/alpha.yaml";
static const char flood[] = "rules/flood.yaml";
static const char areal[] = "rules/areal.yaml";
static const char area[] = "areas/lv-alpha.geojson";
static const char *const files[] = {main_file, alpha, flood, areal, area};
enum { FILE_COUNT = 5 };

/* ---- folders ---- */

static inline char *read_whole(const char *dir, const char *file, size_t *ret_length) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    *ret_length = fread(text, 1, (1 << 20) - 1, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static inline void write_whole(const char *dir, const char *file, const char *bytes,
                               size_t length) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, length, stream), length);
    assert_int_equal(fclose(stream), 0);
}

static inline void make_dir(char ret_dir[64]) {
    static const char *const folders[] = {"stations", "rules", "areas"};
    (void)strcpy(ret_dir, "/tmp/canhbao-test-config-XXXXXX");
    assert_non_null(mkdtemp(ret_dir));
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", ret_dir, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
}

static inline void copy_minimal(char ret_dir[64]) {
    make_dir(ret_dir);
    for (size_t i = 0; i < FILE_COUNT; i++) {
        size_t length;
        char *text = read_whole(minimal, files[i], &length);
        write_whole(ret_dir, files[i], text, length);
        free(text);
    }
}

static inline int remove_entry(const char *path, const struct stat *status, int flag,
                               struct FTW *where) {
    (void)status;
    (void)flag;
    (void)where;
    return remove(path);
}

static inline void remove_dir(const char *dir) {
    assert_int_equal(nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Loads; the result with its errors. The unit database is opened once for all tests. */
static struct units *units;

static inline int load(const char *dir, struct site **ret_site, struct config_errors *errors) {
    memset(errors, 0, sizeof *errors);
    return site_load(dir, units, ret_site, errors);
}

static inline bool has_error(const struct config_errors *errors, const char *position,
                             const char *text) {
    for (size_t i = 0; i < errors->count; i++) {
        char line[1024];
        config_error_format(&errors->items[i], line, sizeof line);
        size_t length = strlen(position);
        if (strncmp(line, position, length) == 0 && line[length] == ':' &&
            strstr(line + length, text) != NULL) {
            return true;
        }
    }
    return false;
}

static inline void show_errors(const struct config_errors *errors) {
    for (size_t i = 0; i < errors->count; i++) {
        char line[1024];
        config_error_format(&errors->items[i], line, sizeof line);
        print_error("    got %s\n", line);
    }
}

static inline void expect_refused(const char *dir, const char *position, const char *text) {
    struct config_errors errors;
    struct site *site = NULL;
    assert_int_not_equal(load(dir, &site, &errors), 0);
    assert_null(site);
    if (!has_error(&errors, position, text)) {
        show_errors(&errors);
        fail_msg("expected %s: %s", position, text);
    }
}

static inline int open_units(void **state) {
    (void)state;
    struct err err;
    return units_create(&units, &err);
}

static inline int close_units(void **state) {
    (void)state;
    units = units_destroy(units);
    return 0;
}

#endif
