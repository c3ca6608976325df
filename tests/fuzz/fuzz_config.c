/* libFuzzer target: any bytes as a configuration file. The first byte says which: the main file, or
 * a station or rule beside a good main file. A refusal is fine; a crash, a leak, a refusal without
 * an error, or a dump that does not load to the same dump is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/site.h"
#include "daemon/config/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const targets[] = {"canhbao.yaml", "stations/alpha.yaml", "rules/flood.yaml",
                                      "rules/areal.yaml"};
static const char *const sources[] = {"canhbao.yaml", "stations/alpha.yaml", "rules/flood.yaml",
                                      "rules/areal.yaml", "areas/lv-alpha.geojson"};
static char dir[] = "/tmp/canhbao-fuzz-config-XXXXXX";
static struct units *units;

static void need(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "fuzz_config: %s\n", what);
        abort();
    }
}

static void write_file(const char *name, const void *bytes, size_t length) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    need(file != NULL && fwrite(bytes, 1, length, file) == length && fclose(file) == 0,
         "cannot write");
}

static void restore(const char *name) {
    char path[512];
    static char text[1 << 16];
    (void)snprintf(path, sizeof path, "%s/tests/data/sites/minimal/%s", CANHBAO_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    need(file != NULL, "cannot read the good site");
    size_t length = fread(text, 1, sizeof text, file);
    (void)fclose(file); /* only read from */
    write_file(name, text, length);
}

static void remove_all(void) {
    char path[256];
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, sources[i]);
        (void)unlink(path);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir,
                       (const char *const[]){"stations", "rules", "areas", "."}[i]);
        (void)rmdir(path);
    }
    (void)rmdir(dir);
    units = units_destroy(units);
}

static void set_up(void) {
    struct err err;
    char path[256];
    need(mkdtemp(dir) != NULL && units_create(&units, &err) == 0, "cannot start");
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir,
                       (const char *const[]){"stations", "rules", "areas"}[i]);
        need(mkdir(path, 0700) == 0, "cannot make a folder");
    }
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        restore(sources[i]);
    }
    (void)atexit(remove_all);
}

static char *dump(const struct site *site) {
    char *text;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    need(file != NULL, "no memory");
    site_print(site, file);
    need(fclose(file) == 0, "no memory");
    return text;
}

static struct site *load(bool must) {
    static struct config_errors errors;
    struct site *site = NULL;
    memset(&errors, 0, sizeof errors);
    int result = site_load(dir, units, &site, &errors);
    need((result == 0) == (site != NULL), "result and site disagree");
    need((result == 0) == (errors.count == 0), "a refusal without a word");
    if (must && result != 0) {
        char line[1024];
        config_error_format(&errors.items[0], line, sizeof line);
        need(false, line);
    }
    return site;
}

/* With nothing but the dump in the folder. */
static void check_round_trip(const char *text) {
    char path[256];
    for (size_t i = 1; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, targets[i]);
        need(unlink(path) == 0, "cannot remove");
    }
    size_t length = strlen(text);
    if (length <= YAML_FILE_MAX) {
        write_file(targets[0], text, length);
        struct site *again = load(true);
        char *second = dump(again);
        need(strcmp(text, second) == 0, "the dump loads to another dump");
        free(second);
        (void)site_destroy(again);
    }
    for (size_t i = 0; i < 4; i++) {
        restore(targets[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    if (units == NULL) {
        set_up();
    }
    const char *target = targets[data[0] % 4];
    write_file(target, data + 1, size - 1);
    struct site *site = load(false);
    if (site != NULL) {
        /* a secret's name is masked in the dump, so that one does not load again */
        bool secret = site->settings.kafka.sasl_password[0] != '\0' ||
                      site->settings.kafka.ssl_key_password[0] != '\0';
        char *text = dump(site);
        if (!secret) {
            check_round_trip(text);
        }
        free(text);
    }
    (void)site_destroy(site);
    restore(target);
    return 0;
}
