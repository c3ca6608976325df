#include "daemon/config/check.h"

#include <stdlib.h>

#include "daemon/base/err.h"

enum { LINE_SIZE = CONFIG_FILE_SIZE + CONFIG_KEY_SIZE + CONFIG_TEXT_SIZE + 64 };

int config_load(const char *dir, FILE *fault_file, struct site **ret_site) {
    struct err err;
    struct units *units;
    struct config_errors *errors = calloc(1, sizeof *errors);
    if (errors == NULL || units_create(&units, &err) != 0) {
        (void)fprintf(fault_file, "%s\n", errors == NULL ? "out of memory" : err.text);
        free(errors);
        return ERR_IO;
    }
    int result = site_load(dir, units, ret_site, errors);
    for (size_t i = 0; i < errors->count; i++) {
        char line[LINE_SIZE];
        config_error_format(&errors->items[i], line, sizeof line);
        (void)fprintf(fault_file, "%s\n", line);
    }
    if (errors->more > 0) {
        (void)fprintf(fault_file, "... and %zu more\n", errors->more);
    }
    (void)units_destroy(units);
    free(errors);
    return result != 0 ? ERR_INVALID : 0;
}

void config_print_summary(const struct site *site, FILE *file) {
    (void)fprintf(file,
                  "%s (%s): %zu stations, %zu points, %zu endpoints, %zu areas, %zu products, %zu "
                  "rules\n",
                  site->settings.name_vi, site->settings.id, site->station_count, site->point_count,
                  site->modbus.endpoint_count, site->area_count, site->product_count,
                  site->rule_count);
    if (site->settings.exercise_only) {
        (void)fputs("exercise only: runs with --exercise and not otherwise\n", file);
    }
    if (site->settings.provisional) {
        (void)fprintf(file, "provisional: site %s: %s\n", site->settings.id, site->settings.note);
    }
    for (size_t i = 0; i < site->station_count; i++) {
        const struct station *station = &site->stations[i];
        if (station->provisional) {
            (void)fprintf(file, "provisional: station %s: %s\n", station->id, station->note);
        }
        if (station->alarm_levels.provisional) {
            (void)fprintf(file, "provisional: alarm levels of %s: %s\n", station->id,
                          station->alarm_levels.source);
        }
        for (uint32_t k = 0; k < station->point_count; k++) {
            const struct point *point = &site->points[station->first_point + k];
            if (point->provisional && !station->provisional) {
                (void)fprintf(file, "provisional: point %s/%s\n", station->id, point->id);
            }
        }
    }
    for (size_t i = 0; i < site->area_count; i++) {
        if (site->areas[i].provisional) {
            (void)fprintf(file, "provisional: area %s\n", site->areas[i].id);
        }
    }
    for (size_t i = 0; i < site->product_count; i++) {
        if (site->products[i].provisional) {
            (void)fprintf(file, "provisional: product %s\n", site->products[i].id);
        }
    }
    for (size_t i = 0; i < site->rule_count; i++) {
        if (site->rules[i].provisional) {
            (void)fprintf(file, "provisional: rule %s: %s\n", site->rules[i].id,
                          site->rules[i].source);
        }
    }
}

int config_command(enum config_action action, const char *dir, FILE *file, FILE *fault_file) {
    struct site *site;
    if (action == CONFIG_PRINT_OPTIONS) {
        site_print_options(file);
        return 0;
    }
    int result = config_load(dir, fault_file, &site);
    if (result != 0) {
        return result == ERR_INVALID ? 2 : 1;
    }
    if (action == CONFIG_PRINT) {
        site_print(site, file);
    } else {
        config_print_summary(site, file);
    }
    (void)site_destroy(site);
    return ferror(file) != 0 ? 1 : 0;
}
