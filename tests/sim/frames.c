#include "frames.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"

const char *const frame_bad_names[] = {
    "good",    "empty",   "garbage",     "truncated",     "wrong-unit", "missing-variable",
    "no-fill", "no-time", "future-time", "repeated-time", "huge",       NULL};

static int load_interval(struct doc *doc, yaml_node_t *map, const char *key, double min, double max,
                         double ret_pair[2], struct err *ret_err) {
    yaml_node_t *node = NULL;
    size_t count = 0;
    double pair[2] = {0, 0};
    int result = doc_need(doc, map, key, &node, ret_err);
    if (result != 0 || (result = doc_list(doc, node, 2, &count, ret_err)) != 0) {
        return result;
    }
    if (count != 2) {
        return doc_fail(doc, node, ret_err, ERR_SYNTAX, "two numbers are expected");
    }
    for (size_t i = 0; i < 2; i++) {
        result = doc_double(doc, doc_item(doc, node, i), min, max, &pair[i], ret_err);
        if (result != 0) {
            return result;
        }
    }
    if (pair[0] >= pair[1]) {
        return doc_fail(doc, node, ret_err, ERR_RANGE, "the first must be less than the second");
    }
    memcpy(ret_pair, pair, sizeof pair);
    return 0;
}

static int load_grid(struct frame_grid *grid, struct doc *doc, yaml_node_t *map,
                     struct err *ret_err) {
    static const char *const degree_keys[] = {"mapping", "lat", "lon", "step_deg", NULL};
    static const char *const metre_keys[] = {"mapping",      "x_m",       "y_m", "step_m",
                                             "lat_true_deg", "lon_0_deg", NULL};
    static const char *const mappings[] = {"latitude_longitude", "polar_stereographic", NULL};
    yaml_node_t *node = NULL;
    int mapping = 0;
    double x[2] = {0, 0}, y[2] = {0, 0};
    int result = doc_need(doc, map, "mapping", &node, ret_err);
    if (result != 0 || (result = doc_word(doc, node, mappings, &mapping, ret_err)) != 0) {
        return result;
    }
    grid->polar = mapping == 1;
    bool polar = grid->polar;
    if ((result = doc_check_keys(doc, map, polar ? metre_keys : degree_keys, ret_err)) != 0 ||
        (result = load_interval(doc, map, polar ? "x_m" : "lon", -2e7, 2e7, x, ret_err)) != 0 ||
        (result = load_interval(doc, map, polar ? "y_m" : "lat", -2e7, 2e7, y, ret_err)) != 0 ||
        (result = doc_need_double(doc, map, polar ? "step_m" : "step_deg", 0.0001, 1e6, &grid->step,
                                  ret_err)) != 0) {
        return result;
    }
    if (polar && ((result = doc_need_double(doc, map, "lat_true_deg", 0, 90, &grid->lat_true_deg,
                                            ret_err)) != 0 ||
                  (result = doc_need_double(doc, map, "lon_0_deg", -180, 180, &grid->lon_0_deg,
                                            ret_err)) != 0)) {
        return result;
    }
    double columns = floor((x[1] - x[0]) / grid->step + 0.5);
    double rows = floor((y[1] - y[0]) / grid->step + 0.5);
    if (columns < 2 || rows < 2 || columns > FRAMES_SIDE_MAX || rows > FRAMES_SIDE_MAX) {
        return doc_fail(doc, map, ret_err, ERR_RANGE,
                        "%g x %g cells; 2 to %d along each axis are allowed", columns, rows,
                        FRAMES_SIDE_MAX);
    }
    grid->columns = (size_t)columns;
    grid->rows = (size_t)rows;
    grid->x0 = x[0] + grid->step / 2;
    grid->y0 = y[1] - grid->step / 2;
    return 0;
}

static int load_radars(struct product *product, struct doc *doc, yaml_node_t *list,
                       struct err *ret_err) {
    static const char *const keys[] = {"lat", "lon", "range_km", NULL};
    size_t count = 0;
    int result = doc_list(doc, list, FRAMES_RADARS_MAX, &count, ret_err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        yaml_node_t *map = doc_item(doc, list, i);
        if ((result = doc_check_keys(doc, map, keys, ret_err)) != 0 ||
            (result = doc_need_double(doc, map, "lat", -90, 90, &product->radar_lat[i], ret_err)) !=
                0 ||
            (result = doc_need_double(doc, map, "lon", -180, 180, &product->radar_lon[i],
                                      ret_err)) != 0) {
            return result;
        }
        result = doc_need_double(doc, map, "range_km", 1, 2000, &product->radar_km[i], ret_err);
    }
    product->radar_count = count;
    return result;
}

static int load_bad(struct product *product, struct doc *doc, yaml_node_t *list,
                    struct err *ret_err) {
    static const char *const keys[] = {"at", "kind", NULL};
    size_t count = 0;
    int result = doc_list(doc, list, FRAMES_BAD_MAX, &count, ret_err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        yaml_node_t *map = doc_item(doc, list, i);
        yaml_node_t *node = NULL;
        int kind = 0;
        if ((result = doc_check_keys(doc, map, keys, ret_err)) != 0 ||
            (result = doc_need_time(doc, map, "at", &product->bad_at_us[i], ret_err)) != 0 ||
            (result = doc_need(doc, map, "kind", &node, ret_err)) != 0) {
            return result;
        }
        result = doc_word(doc, node, frame_bad_names, &kind, ret_err);
        product->bad_kind[i] = (enum frame_bad)kind;
    }
    product->bad_count = count;
    return result;
}

static int load_unit(struct product *product, struct doc *doc, yaml_node_t *map,
                     struct err *ret_err) {
    static const char *const units[] = {"mm h-1", "m s-1", "kg m-2 s-1", "mm/day", NULL};
    static const double per_mm_h[] = {1.0, 1.0 / 3.6e6, 1.0 / 3600.0, 24.0};
    int unit = 0;
    int result = doc_opt_word(doc, map, "unit", units, &unit, ret_err);
    (void)snprintf(product->unit, sizeof product->unit, "%s", units[unit]); /* fits */
    product->unit_per_mm_h = per_mm_h[unit];
    return result;
}

static int load_forecast(struct product *product, struct doc *doc, yaml_node_t *map,
                         struct err *ret_err) {
    static const char *const keys[] = {"hours", "gain", NULL};
    int result = doc_check_keys(doc, map, keys, ret_err);
    result = result != 0 ? result
                         : doc_need_int(doc, map, "hours", 2, FRAMES_HOURS_MAX,
                                        &product->forecast_hours, ret_err);
    return result != 0 ? result
                       : doc_need_double(doc, map, "gain", 0, 10, &product->forecast_gain, ret_err);
}

static int load_product(struct product *product, struct doc *doc, yaml_node_t *map,
                        struct err *ret_err) {
    static const char *const keys[] = {"product", "every", "latency",         "from",
                                       "to",      "unit",  "resolution_mm_h", "grid",
                                       "radars",  "bad",   "forecast",        NULL};
    yaml_node_t *node = NULL;
    const char *name = NULL;
    *product =
        (struct product){.resolution_mm_h = 0.1, .from_us = doc->origin_us, .to_us = INT64_MAX / 2};
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 || (result = doc_need(doc, map, "product", &node, ret_err)) != 0 ||
        (result = doc_id(doc, node, &name, ret_err)) != 0 ||
        (result = doc_need_duration(doc, map, "every", 1000000, &product->every_us, ret_err)) !=
            0 ||
        (result = doc_opt_duration(doc, map, "latency", 0, &product->latency_us, ret_err)) != 0 ||
        (result = doc_opt_time(doc, map, "from", &product->from_us, ret_err)) != 0 ||
        (result = doc_opt_time(doc, map, "to", &product->to_us, ret_err)) != 0 ||
        (result = doc_opt_double(doc, map, "resolution_mm_h", 0.001, 10, &product->resolution_mm_h,
                                 ret_err)) != 0 ||
        (result = load_unit(product, doc, map, ret_err)) != 0 ||
        (result = doc_need(doc, map, "grid", &node, ret_err)) != 0 ||
        (result = load_grid(&product->grid, doc, node, ret_err)) != 0) {
        return result;
    }
    (void)snprintf(product->name, sizeof product->name, "%s", name); /* an id fits */
    node = doc_get(doc, map, "radars");
    if (node != NULL && (result = load_radars(product, doc, node, ret_err)) != 0) {
        return result;
    }
    node = doc_get(doc, map, "forecast");
    if (node != NULL && (result = load_forecast(product, doc, node, ret_err)) != 0) {
        return result;
    }
    node = doc_get(doc, map, "bad");
    return node != NULL ? load_bad(product, doc, node, ret_err) : 0;
}

int frames_load(struct frames *frames, struct doc *doc, yaml_node_t *list, struct err *ret_err) {
    size_t count = 0;
    int result = doc_list(doc, list, FRAMES_PRODUCTS_MAX, &count, ret_err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = load_product(&frames->products[i], doc, doc_item(doc, list, i), ret_err);
        for (size_t k = 0; result == 0 && k < i; k++) {
            if (strcmp(frames->products[k].name, frames->products[i].name) == 0) {
                result = doc_fail(doc, doc_item(doc, list, i), ret_err, ERR_EXISTS,
                                  "product '%s' stands twice", frames->products[i].name);
            }
        }
    }
    frames->count = result == 0 ? count : 0;
    return result;
}

enum frame_bad frames_bad(const struct product *product, int64_t valid_us) {
    for (size_t i = 0; i < product->bad_count; i++) {
        if (product->bad_at_us[i] <= valid_us &&
            product->bad_at_us[i] > valid_us - product->every_us) {
            return product->bad_kind[i];
        }
    }
    return FRAME_GOOD;
}
