#include <string.h>

#include "daemon/base/text.h"
#include "daemon/config/loader.h"
#include "daemon/run_arguments.h"

static void check_multiples(struct loader *loader, const struct yaml_node *map, const char *key,
                            const int64_t *list, uint32_t count, int64_t period_us) {
    for (uint32_t i = 0; i < count && period_us > 0; i++) {
        if (list[i] % period_us != 0) {
            yaml_error(loader->reader.errors, yaml_member(map, key),
                       "entry %u is no multiple of the period", (unsigned)i + 1);
            return;
        }
    }
}

/* What `canhbao-model areal` would refuse on its command line. */
static void check_inbox_times(struct loader *loader, const struct yaml_node *map,
                              const struct site_product *product) {
    struct config_errors *errors = loader->reader.errors;
    for (const char *const *key = (const char *const[]){"windows", "leads", NULL}; *key != NULL;
         key++) {
        const struct yaml_node *list = yaml_member(map, *key);
        if (list == NULL || (list->kind == YAML_LIST && list->count == 0)) {
            yaml_error(errors, list != NULL ? list : map,
                       "the key '%s' is missing or empty; an inbox needs it", *key);
        }
    }
    check_multiples(loader, map, "windows", product->windows_us, product->window_count,
                    product->period_us);
    check_multiples(loader, map, "leads", product->leads_us, product->lead_count,
                    product->period_us);
    if (product->lead_count > 0 && product->leads_us[0] != 0) {
        yaml_error(errors, yaml_member(map, "leads"), "the first lead is not 0 s, the analysis");
    }
    int64_t longest_us =
        product->window_count > 0 ? product->windows_us[product->window_count - 1] : 0;
    if (product->period_us > 0 && longest_us / product->period_us > SITE_WINDOW_FILES_MAX) {
        yaml_error(errors, yaml_member(map, "windows"),
                   "the longest window has %lld files; at most %d are read by one run",
                   (long long)(longest_us / product->period_us), SITE_WINDOW_FILES_MAX);
    }
    if (loader->site->area_count == 0) {
        yaml_error(errors, map, "the site has no areas, over which the model could average");
    }
    const struct yaml_node *period = yaml_member(map, "period");
    if (period != NULL && product->period_us % 1000000 != 0) {
        yaml_error(errors, period, "'%s' is no whole number of seconds", period->text);
    }
}

/* A list of texts of at most size - 1 bytes into an array of arrays. */
static void read_texts(struct loader *loader, const struct yaml_node *list, enum option_type type,
                       char *ret_list, size_t size, uint32_t count_max, uint32_t *ret_count) {
    const struct option row = {.type = type, .size = size};
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
        if (option_read(&loader->reader, &row, node, ret_list + *ret_count * size) == 0) {
            (*ret_count)++;
        }
    }
}

static void read_triggers(struct loader *loader, const struct yaml_node *map,
                          struct site_product *product) {
    struct site_triggers *triggers = &product->triggers;
    const struct yaml_node *node =
        loader_section(loader, &group_triggers, map, "triggers", product);
    if (node == NULL || node->kind != YAML_MAP) {
        yaml_error(loader->reader.errors, map,
                   "neither 'inbox' nor 'triggers' is given: nothing would start the model");
        return;
    }
    read_texts(loader, yaml_member(node, "products"), OPTION_ID, triggers->products[0],
               STATION_ID_SIZE, SITE_TRIGGERS_MAX, &triggers->product_count);
    read_texts(loader, yaml_member(node, "alarms"), OPTION_ID, triggers->alarms[0], STATION_ID_SIZE,
               SITE_TRIGGERS_MAX, &triggers->alarm_count);
    bool others = triggers->product_count > 0 || triggers->every_us > 0 || triggers->readings ||
                  triggers->alarm_count > 0;
    if (triggers->request != (strcmp(product->model, "whatif") == 0) ||
        (triggers->request && others)) {
        yaml_error(loader->reader.errors, node,
                   "'request: true' is for the model whatif, which has no other trigger: what is "
                   "hypothetical never runs by itself");
    }
    if (!others && !triggers->request) {
        yaml_error(loader->reader.errors, node, "nothing of it would ever start the model");
    }
}

static void read_series(struct loader *loader, const struct yaml_node *map,
                        struct site_product *product) {
    if (yaml_member(map, "series") == NULL) {
        if (product->triggers.readings) {
            yaml_error(loader->reader.errors, yaml_member(map, "triggers"),
                       "'readings' needs the points of 'series'");
        }
        return;
    }
    const struct yaml_node *node = loader_section(loader, &group_series, map, "series", product);
    if (node != NULL && node->kind == YAML_MAP) {
        read_texts(loader, yaml_member(node, "points"), OPTION_TEXT, product->series_points[0],
                   2 * STATION_ID_SIZE, SITE_SERIES_MAX, &product->series_count);
    }
}

static void check_unique(struct loader *loader, const struct yaml_node *map) {
    const struct site *site = loader->site;
    const struct site_product *product = &site->products[site->product_count - 1];
    struct config_errors *errors = loader->reader.errors;
    for (size_t i = 0; i + 1 < site->product_count; i++) {
        const struct site_product *other = &site->products[i];
        if (product->id[0] != '\0' && strcmp(other->id, product->id) == 0) {
            yaml_error(errors, yaml_member(map, "id"), "a product '%s' exists already",
                       product->id);
        }
        if (product->inbox[0] != '\0' && strcmp(other->inbox, product->inbox) == 0) {
            yaml_error(errors, yaml_member(map, "inbox"),
                       "the folder is the inbox of the product '%s' already", other->id);
        }
    }
}

void loader_product(struct loader *loader, const struct yaml_node *map) {
    struct site *site = loader->site;
    struct config_errors *errors = loader->reader.errors;
    struct site_product *product = loader_append(loader, map, &site->products, &site->product_count,
                                                 sizeof *product, SITE_PRODUCTS_MAX, "products");
    if (product == NULL) {
        return;
    }
    (void)option_group_read(&loader->reader, &group_product, map, product);
    if (map->kind != YAML_MAP) {
        return;
    }
    loader_durations(loader, map, "windows", 1000000, SITE_WINDOWS_MAX, product->windows_us,
                     &product->window_count);
    loader_durations(loader, map, "leads", 0, SITE_LEADS_MAX, product->leads_us,
                     &product->lead_count);
    read_texts(loader, yaml_member(map, "arguments"), OPTION_TEXT, product->arguments[0],
               SITE_ARGUMENT_SIZE, SITE_ARGUMENTS_MAX, &product->argument_count);
    if (product->inbox[0] != '\0') {
        const struct yaml_node *model = yaml_member(map, "model");
        if (model != NULL && product->model[0] != '\0' && strcmp(product->model, "areal") != 0 &&
            strcmp(product->model, "nwp") != 0) {
            yaml_error(
                errors, model,
                "the model '%s' does not run on an inbox; expected areal or nwp, or triggers",
                product->model);
        }
        for (const char *const *key = (const char *const[]){"triggers", "series", NULL};
             *key != NULL; key++) {
            if (yaml_member(map, *key) != NULL) {
                yaml_error_key(errors, yaml_member(map, *key),
                               "a product with an inbox has it not");
            }
        }
        check_inbox_times(loader, map, product);
    } else {
        read_triggers(loader, map, product);
        read_series(loader, map, product);
    }
    if (product->stale_after_us > 0 && product->stale_after_us < product->period_us) {
        yaml_error(errors, yaml_member(map, "stale_after"), "shorter than the period");
    }
    check_unique(loader, map);
}

/* ---- what they name ---- */

static bool has_product(const struct site *site, const char *id) {
    for (size_t i = 0; i < site->product_count; i++) {
        if (strcmp(site->products[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_rule(const struct site *site, const char *id) {
    for (size_t i = 0; i < site->rule_count; i++) {
        if (strcmp(site->rules[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

static void check_product_names(struct loader *loader, const struct yaml_node *map,
                                const struct site_product *product) {
    const struct site *site = loader->site;
    struct config_errors *errors = loader->reader.errors;
    const struct site_triggers *triggers = &product->triggers;
    for (uint32_t i = 0; i < triggers->product_count; i++) {
        if (!has_product(site, triggers->products[i]) ||
            strcmp(triggers->products[i], product->id) == 0) {
            yaml_error(errors, yaml_member(map, "triggers"), "the product '%s' is %s",
                       triggers->products[i],
                       has_product(site, triggers->products[i]) ? "this one" : "unknown");
        }
    }
    for (uint32_t i = 0; i < triggers->alarm_count; i++) {
        if (!has_rule(site, triggers->alarms[i])) {
            yaml_error(errors, yaml_member(map, "triggers"), "the rule '%s' is unknown",
                       triggers->alarms[i]);
        }
    }
    if (product->skill_of[0] != '\0' && !has_product(site, product->skill_of)) {
        yaml_error(errors, yaml_member(map, "skill_of"), "the product '%s' is unknown",
                   product->skill_of);
    }
    struct err err;
    if (run_arguments_check(site, product, &err) != 0) {
        yaml_error(errors, yaml_member(map, "arguments"), "%s", err.text);
    }
    for (uint32_t i = 0; i < product->series_count; i++) {
        if (!site_visit_series_points(site, product->series_points[i], NULL, NULL)) {
            yaml_error(errors, yaml_member(map, "series"),
                       "'%s' is no point of the site; expected STATION/POINT or */POINT",
                       product->series_points[i]);
        }
    }
}

void loader_check_products(struct loader *loader, const struct yaml_node *list) {
    if (list == NULL || list->kind != YAML_LIST) {
        return;
    }
    size_t i = 0;
    for (const struct yaml_node *node = list->first;
         node != NULL && i < loader->site->product_count; node = node->next) {
        if (node->kind == YAML_MAP) {
            check_product_names(loader, node, &loader->site->products[i]);
        }
        i++;
    }
}

size_t site_visit_series_points(const struct site *site, const char *text,
                                void (*visit)(void *ctx, uint32_t point), void *ctx) {
    const char *slash = strchr(text, '/');
    size_t found = 0;
    for (size_t i = 0; slash != NULL && i < site->point_count; i++) {
        const struct station *station = &site->stations[site->points[i].station];
        size_t length = (size_t)(slash - text);
        bool any = length == 1 && text[0] == '*';
        bool same = strlen(station->id) == length && memcmp(station->id, text, length) == 0;
        if ((any || same) && strcmp(site->points[i].id, slash + 1) == 0) {
            found++;
            if (visit != NULL) {
                visit(ctx, (uint32_t)i);
            }
        }
    }
    return found;
}
