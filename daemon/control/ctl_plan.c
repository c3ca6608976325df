#include <string.h>

#include "daemon/config/site.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_lang.h"
#include "daemon/control/ctl_tools.h"
#include "daemon/control/ctl_usage.h"
#include "daemon/lint_loggers.h"
#include "drivers/modbus/plan.h"

int ctl_load_site(const char *dir, struct site **ret_site) {
    struct units *units = NULL;
    struct err err;
    struct config_errors errors = {.count = 0};
    char text[1024];
    if (units_create(&units, &err) != 0) {
        ctl_error("%s", err.text);
        return EXIT_FAILED;
    }
    int result = site_load(dir, units, ret_site, &errors);
    (void)units_destroy(units);
    for (size_t i = 0; i < errors.count; i++) {
        config_error_format(&errors.items[i], text, sizeof text);
        ctl_error("%s", text);
    }
    return result == 0 ? EXIT_DONE : EXIT_FAILED;
}

static bool serves(const struct modbus_plan *plan, const struct modbus_block *block,
                   size_t station) {
    for (uint32_t i = 0; i < block->map_count; i++) {
        if (plan->maps[block->first_map + i].station == station) {
            return true;
        }
    }
    return false;
}

static json_t *describe(const struct site *site, size_t station,
                        const struct modbus_endpoint_config *endpoint,
                        const struct modbus_plan *plan) {
    json_t *requests = json_array();
    double worst_s = 0;
    for (size_t i = 0; i < plan->block_count; i++) {
        const struct modbus_block *block = &plan->blocks[i];
        if (!serves(plan, block, station)) {
            continue;
        }
        int wanted = modbus_plan_wanted(plan, block);
        worst_s += (double)endpoint->request_timeout_us / 1e6;
        json_array_append_new(requests,
                              json_pack("{s:i,s:s,s:i,s:i,s:i,s:i,s:f}", "unit",
                                        (int)endpoint->units[block->unit].unit, "table",
                                        modbus_table_name(block->table), "start", (int)block->start,
                                        "count", (int)block->count, "points", (int)block->map_count,
                                        "thrown_away", (int)block->count - wanted, "period_s",
                                        (double)block->period_us / 1e6));
    }
    char place[MODBUS_PLACE_SIZE];
    modbus_endpoint_place(endpoint, place);
    return json_pack("{s:s,s:s,s:s,s:i,s:o,s:f,s:i,s:f}", "station", site->stations[station].id,
                     "place", place, "host", endpoint->host, "port",
                     endpoint->transport == MODBUS_SERIAL ? 0 : (int)endpoint->port, "requests",
                     requests, "worst_case_s", worst_s, "endpoint_requests", (int)plan->block_count,
                     "endpoint_load_percent", 100 * modbus_plan_load(plan, endpoint));
}

/* What its logger's memory costs besides; null: it has none. */
struct cost {
    const char *station;
    json_t *text;
};

static void take_cost(void *ctx, const char *station, bool warning, const char *text) {
    struct cost *cost = ctx;
    (void)warning;
    if (strcmp(station, cost->station) == 0) {
        json_decref(cost->text);
        cost->text = json_string(text);
    }
}

static json_t *logger_cost(const struct site *site, const char *station) {
    struct cost cost = {.station = station, .text = json_null()};
    lint_loggers(site, take_cost, &cost);
    return cost.text;
}

static int int_of(const json_t *object, const char *key) {
    return (int)json_integer_value(json_object_get(object, key));
}

static void print_plan(const json_t *plan) {
    size_t index;
    json_t *request;
    printf("%s at %s\n", json_string_value(json_object_get(plan, "station")),
           json_string_value(json_object_get(plan, "place")));
    puts(ctl_tr("unit  table     start  count  points  thrown away  period"));
    json_array_foreach(json_object_get(plan, "requests"), index, request) {
        printf("%4d  %-8s  %5d  %5d  %6d  %11d  %g s\n", int_of(request, "unit"),
               json_string_value(json_object_get(request, "table")), int_of(request, "start"),
               int_of(request, "count"), int_of(request, "points"), int_of(request, "thrown_away"),
               json_number_value(json_object_get(request, "period_s")));
    }
    double load = json_number_value(json_object_get(plan, "endpoint_load_percent"));
    printf("%s %g s\n", ctl_tr("once through all of them: at most"),
           json_number_value(json_object_get(plan, "worst_case_s")));
    printf("%s (%d %s), %s: %.1f %%", ctl_tr("load of the endpoint, all stations"),
           int_of(plan, "endpoint_requests"), ctl_tr("requests"),
           ctl_tr("every reply as late as it may be"), load);
    if (load > 100 * SITE_LOAD_WARN) {
        printf(": %s", ctl_tr("too much"));
    }
    putchar('\n');
    if (json_is_string(json_object_get(plan, "logger"))) {
        printf("%s: %s\n", ctl_tr("logger memory"),
               json_string_value(json_object_get(plan, "logger")));
    }
}

int ctl_plan(char **arguments, int count, const struct tool_options *options) {
    struct site *site = NULL;
    if (count != 1 || options->config == NULL) {
        return ctl_usage("plan --config DIR STATION");
    }
    int result = ctl_load_site(options->config, &site);
    if (result != EXIT_DONE) {
        return result;
    }
    size_t station = 0;
    while (station < site->station_count && strcmp(site->stations[station].id, arguments[0]) != 0) {
        station++;
    }
    const struct modbus_endpoint_config *endpoint =
        station < site->station_count ? site_endpoint_of(site, station) : NULL;
    struct modbus_plan plan = {0};
    if (endpoint == NULL) {
        ctl_error("there is no station '%s'", arguments[0]);
        result = EXIT_FAILED;
    } else if (modbus_plan_init(endpoint, &plan) != 0) {
        ctl_error("no memory");
        result = EXIT_FAILED;
    } else {
        json_t *value = describe(site, station, endpoint, &plan);
        json_object_set_new(value, "logger", logger_cost(site, arguments[0]));
        if (options->json) {
            ctl_json_print(value);
        } else {
            print_plan(value);
        }
        json_decref(value);
    }
    modbus_plan_finish(&plan);
    (void)site_destroy(site);
    return result;
}
