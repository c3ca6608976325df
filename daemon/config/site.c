#include "daemon/config/site.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"
#include "daemon/base/ids.h"
#include "daemon/base/text.h"
#include "daemon/config/loader.h"

static const char main_file[] = "canhbao.yaml";

/* ---- what the parts of the loader share ---- */

void *loader_append(struct loader *loader, const struct yaml_node *node, void *array, size_t *count,
                    size_t size, size_t max, const char *what) {
    void *old;
    memcpy(&old, array, sizeof old);
    if (*count >= max) {
        yaml_error(loader->reader.errors, node, "more than %zu %s", max, what);
        return NULL;
    }
    /* Room doubles: the array is full whenever the count is 0 or a power of two. */
    if ((*count & (*count - 1)) == 0) {
        void *grown = reallocarray(old, *count == 0 ? 1 : *count * 2, size);
        if (grown == NULL) {
            yaml_error(loader->reader.errors, node, "out of memory");
            return NULL;
        }
        memcpy(array, &grown, sizeof grown);
        old = grown;
    }
    char *element = (char *)old + *count * size;
    memset(element, 0, size);
    (*count)++;
    return element;
}

const struct yaml_node *loader_section(struct loader *loader, const struct option_group *group,
                                       const struct yaml_node *map, const char *key, void *object) {
    const struct yaml_node *node = yaml_member(map, key);
    if (node == NULL) {
        option_group_preset(group, object);
        return NULL;
    }
    (void)option_group_read(&loader->reader, group, node, object);
    return node;
}

void loader_check_name(struct loader *loader, const struct yaml_node *map, const char *id,
                       const char *expected) {
    const struct yaml_node *node = yaml_member(map, "id");
    if (expected != NULL && node != NULL && id[0] != '\0' && strcmp(id, expected) != 0) {
        yaml_error(loader->reader.errors, node, "'%s' is not the file's name; expected '%s'", id,
                   expected);
    }
}

static int compare_ids(const void *left, const void *right) {
    const struct loader_id *a = left;
    const struct loader_id *b = right;
    int order = strcmp(a->id, b->id);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

const struct loader_id *loader_find(const struct loader_id *ids, size_t count, const char *id) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(ids[middle].id, id);
        if (order == 0) {
            return &ids[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

void loader_durations(struct loader *loader, const struct yaml_node *map, const char *key,
                      int64_t min_us, uint32_t count_max, int64_t *ret_list, uint32_t *ret_count) {
    const struct option row = {
        .type = OPTION_DURATION, .min = (double)min_us / 1e6, .max = 2592000, .size = 8};
    const struct yaml_node *list = yaml_member(map, key);
    *ret_count = 0;
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    if (list->count > count_max) {
        yaml_error(loader->reader.errors, list, "%u entries; expected at most %u",
                   (unsigned)list->count, (unsigned)count_max);
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        int64_t us;
        if (option_read(&loader->reader, &row, node, &us) != 0) {
            continue;
        }
        if (*ret_count > 0 && us <= ret_list[*ret_count - 1]) {
            yaml_error(loader->reader.errors, node,
                       "'%s' is not longer than the one before; expected rising durations",
                       node->text);
            continue;
        }
        ret_list[(*ret_count)++] = us;
    }
}

/* ---- sections of the main file ---- */

static void check_brokers(struct loader *loader, const struct yaml_node *kafka) {
    const struct yaml_node *node = kafka == NULL ? NULL : yaml_member(kafka, "brokers");
    char text[SITE_PATH_SIZE];
    char *rest = text;
    if (node == NULL || text_copy(text, sizeof text, loader->site->settings.kafka.brokers) != 0) {
        return;
    }
    for (char *broker = strsep(&rest, ","); broker != NULL; broker = strsep(&rest, ",")) {
        char *colon = strrchr(broker, ':');
        int64_t port;
        if (colon == NULL || colon == broker || strpbrk(broker, " /@") != NULL ||
            text_parse_int(colon + 1, 1, 65535, &port) != 0) {
            yaml_error(loader->reader.errors, node,
                       "'%.80s' is no broker; expected HOST:PORT with a port from 1 to 65535",
                       broker);
            return;
        }
    }
}

static void check_kafka(struct loader *loader, const struct yaml_node *kafka) {
    const struct site_kafka *config = &loader->site->settings.kafka;
    bool sasl =
        config->security == SECURITY_SASL_PLAINTEXT || config->security == SECURITY_SASL_SSL;
    check_brokers(loader, kafka);
    if (kafka == NULL || kafka->kind != YAML_MAP) {
        return;
    }
    const struct yaml_node *mechanism = yaml_member(kafka, "sasl_mechanism");
    if (sasl != (config->sasl_mechanism != MECHANISM_NONE)) {
        yaml_error(loader->reader.errors, mechanism != NULL ? mechanism : kafka,
                   sasl ? "security asks for SASL; expected a sasl_mechanism"
                        : "a sasl_mechanism needs security sasl_plaintext or sasl_ssl");
    } else if (sasl && (config->sasl_username[0] == '\0' || config->sasl_password[0] == '\0')) {
        yaml_error(loader->reader.errors, kafka, "SASL needs sasl_username and sasl_password");
    }
}

static void read_settings(struct loader *loader, const struct yaml_node *root) {
    struct site_settings *settings = &loader->site->settings;
    const struct yaml_node *site = loader_section(loader, &group_site, root, "site", settings);
    if (site != NULL && site->kind == YAML_MAP) {
        (void)loader_section(loader, &group_site_name, site, "name", settings);
    }
    (void)loader_section(loader, &group_store, root, "store", settings);
    const struct yaml_node *kafka = loader_section(loader, &group_kafka, root, "kafka", settings);
    check_kafka(loader, kafka);
    (void)loader_section(loader, &group_web, root, "web", settings);
    const struct yaml_node *web = yaml_member(root, "web");
    const struct yaml_node *host = web == NULL ? NULL : yaml_member(web, "host");
    if (host != NULL && settings->web.host[0] != '\0' &&
        strspn(settings->web.host, "0123456789abcdefABCDEF:.") != strlen(settings->web.host)) {
        yaml_error(loader->reader.errors, host, "'%s' is no numeric address", settings->web.host);
    }
    (void)loader_section(loader, &group_control, root, "control", settings);
    const struct yaml_node *acquisition =
        loader_section(loader, &group_acquisition, root, "acquisition", settings);
    const struct yaml_node *listen =
        acquisition == NULL ? NULL : yaml_member(acquisition, "listen_host");
    if (listen != NULL && strspn(settings->listen_host, "0123456789abcdefABCDEF:.") !=
                              strlen(settings->listen_host)) {
        yaml_error(loader->reader.errors, listen, "'%s' is no numeric address",
                   settings->listen_host);
    }
}

static void check_legal_scale(struct loader *loader, const struct yaml_node *map,
                              const struct scale *scale) {
    static const struct {
        const char *id;
        uint32_t levels;
    } legal[] = {{"flood_alarm", 3}, {"risk", 5}};
    if (scale->kind == SCALE_OWN) {
        for (size_t i = 0; i < 2; i++) {
            if (strcmp(scale->id, legal[i].id) == 0) {
                yaml_error(loader->reader.errors, yaml_member(map, "id"),
                           "'%s' is the name of a legal scale; expected another one", scale->id);
            }
        }
        return;
    }
    const struct yaml_node *id = yaml_member(map, "id");
    if (id != NULL && scale->id[0] != '\0' && strcmp(scale->id, legal[scale->kind].id) != 0) {
        yaml_error(loader->reader.errors, id, "'%s' is not the kind of the scale; expected '%s'",
                   scale->id, legal[scale->kind].id);
    }
    const struct yaml_node *levels = yaml_member(map, "levels");
    if (levels != NULL && scale->level_count != 0 &&
        scale->level_count != legal[scale->kind].levels) {
        yaml_error(loader->reader.errors, levels, "%u levels; the scale %s has %u",
                   (unsigned)scale->level_count, legal[scale->kind].id,
                   (unsigned)legal[scale->kind].levels);
    }
}

static void read_scale(struct loader *loader, const struct yaml_node *map) {
    struct site *site = loader->site;
    struct scale *scale = loader_append(loader, map, &site->scales, &site->scale_count,
                                        sizeof *scale, SITE_SCALES_MAX, "scales");
    if (scale == NULL || (option_group_read(&loader->reader, &group_scale, map, scale) != 0 &&
                          (map->kind != YAML_MAP || yaml_member(map, "kind") == NULL))) {
        return;
    }
    (void)loader_section(loader, &group_scale_name, map, "name", scale);
    for (size_t i = 0; i + 1 < site->scale_count; i++) {
        if (scale->id[0] != '\0' && strcmp(site->scales[i].id, scale->id) == 0) {
            yaml_error(loader->reader.errors, yaml_member(map, "id"), "a scale '%s' exists already",
                       scale->id);
        }
    }
    const struct yaml_node *list = yaml_member(map, "levels");
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    if (list->count == 0 || list->count > RULE_LEVELS_MAX) {
        yaml_error(loader->reader.errors, list, "%u levels; expected 1 to %d",
                   (unsigned)list->count, RULE_LEVELS_MAX);
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        (void)option_group_read(&loader->reader, &group_level_name, node,
                                &scale->levels[scale->level_count++]);
    }
    check_legal_scale(loader, map, scale);
}

static void read_area(struct loader *loader, const struct yaml_node *map) {
    struct site *site = loader->site;
    size_t before = config_errors_total(loader->reader.errors);
    struct area *area = loader_append(loader, map, &site->areas, &site->area_count, sizeof *area,
                                      SITE_AREAS_MAX, "areas");
    if (area == NULL || option_group_read(&loader->reader, &group_area, map, area) != 0) {
        return;
    }
    (void)loader_section(loader, &group_area_name, map, "name", area);
    if (area->file[0] != '/') {
        char path[sizeof area->file];
        int length = snprintf(path, sizeof path, "%s/%s", site->dir, area->file);
        if (length < 0 || (size_t)length >= sizeof path) {
            yaml_error(loader->reader.errors, yaml_member(map, "file"), "the path is too long");
            return;
        }
        memcpy(area->file, path, (size_t)length + 1);
    }
    loader_communes(loader, yaml_member(map, "communes"), area->communes, area->commune_codes);
    if (config_errors_total(loader->reader.errors) == before) {
        loader_check_area(loader, yaml_member(map, "file"), area);
    }
}

static void read_list(struct loader *loader, const struct yaml_node *root, const char *key,
                      void (*read)(struct loader *loader, const struct yaml_node *map)) {
    const struct yaml_node *list = yaml_member(root, key);
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        read(loader, node);
    }
}

static void read_inline_station(struct loader *loader, const struct yaml_node *map) {
    loader_station(loader, map, NULL);
}

static void read_inline_rule(struct loader *loader, const struct yaml_node *map) {
    loader_rule(loader, map, NULL);
}

/* ---- files ---- */

static const struct yaml_node *load_doc(struct loader *loader, const char *file) {
    char path[2 * SITE_PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/%s", loader->site->dir, file);
    if (length < 0 || (size_t)length >= sizeof path) {
        config_errors_add(loader->reader.errors, file, 0, 0, "", "the path is too long");
        return NULL;
    }
    struct yaml_doc *doc;
    if (yaml_load(path, file, &doc, loader->reader.errors) != 0) {
        return NULL;
    }
    const struct yaml_node *root = yaml_root(doc);
    struct yaml_doc **kept = loader_append(loader, root, &loader->docs, &loader->doc_count,
                                           sizeof(void *), 2 * SITE_FILES_MAX + 1, "files");
    if (kept == NULL) {
        yaml_destroy(doc);
        return NULL;
    }
    *kept = doc;
    return root;
}

static bool is_passed_over(const char *name) {
    size_t length = strlen(name);
    return name[0] == '.' || strncmp(name, "README", 6) == 0 || name[length - 1] == '~';
}

static int compare_names(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The names of a folder's YAML files in the order of their bytes; the caller frees. A folder that
 * does not exist is empty. */
static char **list_folder(struct loader *loader, const char *folder, size_t *ret_count) {
    char path[2 * SITE_PATH_SIZE];
    char **names = NULL;
    size_t count = 0;
    (void)snprintf(path, sizeof path, "%s/%s", loader->site->dir, folder); /* dir is bounded */
    DIR *stream = opendir(path);
    if (stream == NULL && errno != ENOENT) {
        config_errors_add(loader->reader.errors, folder, 0, 0, "", "cannot be listed: %s",
                          strerror(errno));
    }
    for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        size_t length = strlen(entry->d_name);
        char file[2 * SITE_PATH_SIZE];
        if (is_passed_over(entry->d_name)) {
            continue;
        }
        (void)snprintf(file, sizeof file, "%s/%s", folder, entry->d_name); /* cut is fine */
        if (length < 6 || strcmp(entry->d_name + length - 5, ".yaml") != 0) {
            config_errors_add(loader->reader.errors, file, 0, 0, "",
                              "not a configuration file; expected NAME.yaml");
            continue;
        }
        struct yaml_node here = {.file = file};
        char **name = loader_append(loader, &here, &names, &count, sizeof *names, SITE_FILES_MAX,
                                    "files in one folder");
        if (name == NULL || (*name = strdup(entry->d_name)) == NULL) {
            count -= name != NULL;
            break;
        }
    }
    if (stream != NULL) {
        (void)closedir(stream); /* only read from */
    }
    if (count > 0) {
        qsort(names, count, sizeof *names, compare_names);
    }
    *ret_count = count;
    return names;
}

static void read_folder(struct loader *loader, const char *folder,
                        void (*read)(struct loader *loader, const struct yaml_node *map,
                                     const char *expected)) {
    size_t count = 0;
    char **names = list_folder(loader, folder, &count);
    for (size_t i = 0; i < count; i++) {
        char file[2 * SITE_PATH_SIZE];
        (void)snprintf(file, sizeof file, "%s/%s", folder, names[i]); /* a name is <= 255 bytes */
        const struct yaml_node *root = load_doc(loader, file);
        if (root != NULL) {
            names[i][strlen(names[i]) - 5] = '\0';
            read(loader, root, names[i]);
        }
        free(names[i]);
    }
    free(names);
}

/* ---- across the files ---- */

static struct loader_id *make_ids(struct loader *loader, size_t count) {
    struct loader_id *ids = calloc(count + 1, sizeof *ids);
    if (ids == NULL) {
        config_errors_add(loader->reader.errors, main_file, 0, 0, "", "out of memory");
    }
    return ids;
}

static void tell_twice(struct loader *loader, const struct loader_id *first,
                       const struct loader_id *second) {
    yaml_error(loader->reader.errors, yaml_member(second->node, "id"),
               "'%s' is the id of another station or area already, in %s:%u", second->id,
               first->node->file, first->node->line);
}

/* Sorts the ids of stations and of areas for the look-ups of rules, and tells which exist twice:
 * both are places, so they share their ids. */
static void sort_ids(struct loader *loader, const struct yaml_node *root) {
    const struct site *site = loader->site;
    loader->stations = make_ids(loader, site->station_count);
    loader->areas = make_ids(loader, site->area_count);
    if (loader->stations == NULL || loader->areas == NULL) {
        return;
    }
    for (uint32_t i = 0; i < site->station_count; i++) {
        loader->stations[i] = (struct loader_id){site->stations[i].id, loader->station_nodes[i], i};
    }
    const struct yaml_node *area = site->area_count > 0 ? yaml_member(root, "areas")->first : NULL;
    for (uint32_t i = 0; i < site->area_count; i++, area = area->next) {
        loader->areas[i] = (struct loader_id){site->areas[i].id, area, i};
    }
    qsort(loader->stations, site->station_count, sizeof *loader->stations, compare_ids);
    qsort(loader->areas, site->area_count, sizeof *loader->areas, compare_ids);
    for (size_t i = 1; i < site->station_count; i++) {
        if (loader->stations[i].id[0] != '\0' &&
            strcmp(loader->stations[i - 1].id, loader->stations[i].id) == 0) {
            tell_twice(loader, &loader->stations[i - 1], &loader->stations[i]);
        }
    }
    for (size_t i = 0; i < site->area_count; i++) {
        const struct loader_id *id = &loader->areas[i];
        const struct loader_id *other = loader_find(loader->stations, site->station_count, id->id);
        if (id->id[0] == '\0') {
            continue;
        }
        if (other != NULL) {
            tell_twice(loader, other, id);
        } else if (i > 0 && strcmp(id->id, loader->areas[i - 1].id) == 0) {
            tell_twice(loader, &loader->areas[i - 1], id);
        }
    }
}

static void read_site(struct loader *loader) {
    struct config_errors *errors = loader->reader.errors;
    const struct yaml_node *root = load_doc(loader, main_file);
    if (root == NULL) {
        return;
    }
    (void)option_group_read(&loader->reader, &group_root, root, NULL);
    if (root->kind != YAML_MAP) {
        return;
    }
    read_settings(loader, root);
    loader_alerting(loader, root);
    read_list(loader, root, "scales", read_scale);
    read_list(loader, root, "areas", read_area);
    read_list(loader, root, "products", loader_product);
    read_list(loader, root, "stations", read_inline_station);
    read_folder(loader, "stations", loader_station);
    if (loader->site->station_count == 0 && config_errors_total(errors) == 0) {
        yaml_error(errors, root, "the site has no stations; expected stations/ID.yaml");
    }
    sort_ids(loader, root);
    if (loader->stations == NULL || loader->areas == NULL) {
        return;
    }
    loader_quality_others(loader);
    if (config_errors_total(errors) == 0) {
        loader_connect(loader);
    }
    read_list(loader, root, "rules", read_inline_rule);
    read_folder(loader, "rules", loader_rule);
    for (size_t i = 0; i < loader->site->rule_count && config_errors_total(errors) == 0; i++) {
        loader_check_relations(loader, loader->rule_nodes[i], &loader->site->rules[i]);
    }
    loader_check_products(loader, yaml_member(root, "products"));
}

/* A last look with the drivers' own eyes: what they demand and we forgot is our bug, but must not
 * be found by a device. */
static void check_drivers(struct loader *loader) {
    const struct site *site = loader->site;
    struct err err;
    if (modbus_config_check(&site->modbus, site->point_count, site->station_count, &err) != 0) {
        config_errors_add(loader->reader.errors, "stations", 0, 0, "", "%s", err.text);
    }
}

int site_load(const char *dir, const struct units *units, struct site **ret_site,
              struct config_errors *errors) {
    size_t before = config_errors_total(errors);
    struct loader loader = {.reader = {.units = units, .errors = errors}};
    loader.site = calloc(1, sizeof *loader.site);
    if (loader.site == NULL || text_copy(loader.site->dir, sizeof loader.site->dir, dir) != 0) {
        config_errors_add(errors, main_file, 0, 0, "",
                          loader.site == NULL ? "out of memory" : "the folder's path is too long");
        free(loader.site);
        return ERR_LIMIT;
    }
    size_t length = strlen(loader.site->dir);
    while (length > 1 && loader.site->dir[length - 1] == '/') {
        loader.site->dir[--length] = '\0';
    }
    read_site(&loader);
    if (config_errors_total(errors) == before) {
        loader_mark_urgent(&loader);
        check_drivers(&loader);
    }
    for (size_t i = 0; i < loader.doc_count; i++) {
        yaml_destroy(loader.docs[i]);
    }
    free(loader.docs);
    free(loader.station_nodes);
    free(loader.point_nodes);
    free(loader.rule_nodes);
    free(loader.stations);
    free(loader.areas);
    (void)tables_destroy(loader.tables);
    if (config_errors_total(errors) != before) {
        (void)site_destroy(loader.site);
        return ERR_INVALID;
    }
    *ret_site = loader.site;
    return 0;
}

struct alerting site_alerting(const struct site *site, bool drill) {
    struct alerting alerting = site->alerting;
    if (drill && !alerting.approval_in_exercises) {
        alerting.approval_from = 0;
    }
    return alerting;
}

struct engine_site site_for_engine(const struct site *site, const struct alerting *alerting) {
    return (struct engine_site){
        .stations = site->stations,
        .station_count = site->station_count,
        .points = site->points,
        .point_count = site->point_count,
        .areas = site->areas,
        .area_count = site->area_count,
        .rules = site->rules,
        .rule_count = site->rule_count,
        .alerting = alerting,
    };
}

struct site *site_destroy(struct site *site) {
    if (site == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < site->rule_count; i++) {
        free(site->rules[i].places);
        free(site->rules[i].rows);
    }
    free(site->stations);
    free(site->links);
    free(site->points);
    free(site->maps);
    free(site->loggers);
    free(site->areas);
    free(site->scales);
    free(site->alerting.contacts);
    free(site->alerting.duties);
    free(site->alerting.ladders);
    free(site->operators);
    free(site->rules);
    free(site->products);
    free(site->endpoints);
    free(site->units);
    free(site->unit_maps);
    free(site);
    return NULL;
}

/* ---- Kafka ---- */

static const char *or_null(const char *text) {
    return text[0] != '\0' ? text : NULL;
}

static int credential_path(const char *dir, const char *name, char *ret_path, size_t size,
                           struct err *ret_err) {
    ret_path[0] = '\0';
    if (name[0] == '\0') {
        return 0;
    }
    if (dir == NULL) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "the credential '%s' is named but there is no folder of credentials "
                       "(CREDENTIALS_DIRECTORY)",
                       name);
    }
    int length = snprintf(ret_path, size, "%s/%s", dir, name);
    return length > 0 && (size_t)length < size
               ? 0
               : err_set(ret_err, ERR_LIMIT, "the path of the credential '%s' is too long", name);
}

int site_kafka_config(const struct site *site, const char *credentials_dir,
                      struct site_kafka_paths *ret_paths, struct kafka_config *ret_config,
                      struct err *ret_err) {
    static const char *const securities[] = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"};
    static const char *const mechanisms[] = {NULL, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
    const struct site_kafka *kafka = &site->settings.kafka;
    int result = credential_path(credentials_dir, kafka->sasl_password, ret_paths->sasl_password,
                                 sizeof ret_paths->sasl_password, ret_err);
    if (result == 0) {
        result =
            credential_path(credentials_dir, kafka->ssl_key_password, ret_paths->ssl_key_password,
                            sizeof ret_paths->ssl_key_password, ret_err);
    }
    if (result != 0) {
        return result;
    }
    *ret_config = (struct kafka_config){
        .brokers = kafka->brokers,
        .client_id = kafka->client_id,
        .topic_prefix = kafka->topic_prefix,
        .security_protocol = securities[kafka->security],
        .sasl_mechanism = mechanisms[kafka->sasl_mechanism],
        .sasl_username = or_null(kafka->sasl_username),
        .sasl_password_file = or_null(ret_paths->sasl_password),
        .ssl_ca_file = or_null(kafka->ssl_ca_file),
        .ssl_certificate_file = or_null(kafka->ssl_certificate_file),
        .ssl_key_file = or_null(kafka->ssl_key_file),
        .ssl_key_password_file = or_null(ret_paths->ssl_key_password),
        .message_timeout_ms = kafka->message_timeout_us / 1000,
        .create_topics = kafka->create_topics,
        .commands = kafka->commands,
    };
    return 0;
}
