#include "models/hydrology/flood_state.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "daemon/base/text.h"
#include "models/hydrology/gr_series.h"
#include "models/output/output.h"

/* ---- writing ---- */

static json_t *pack_numbers(const double *values, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_real(values[i])); /* NaN is refused: too short */
    }
    return list;
}

static json_t *pack_hbv(const struct hbv *hbv, const struct hbv_state *state) {
    const double stores[] = {state->pack_mm, state->liquid_mm, state->soil_mm, state->upper_mm,
                             state->lower_mm};
    return json_pack("{s:o, s:o}", "stores_mm", pack_numbers(stores, 5), "route_mm",
                     pack_numbers(state->route_mm, (size_t)hbv->n));
}

static json_t *pack_view(const struct flood_site *site, const struct flood_view *view) {
    json_t *basins = json_array(), *reaches = json_array(), *volumes = json_array();
    size_t piece = 0;
    for (size_t b = 0; b < site->basin_count; b++) {
        const struct flood_basin *basin = &site->basins[b];
        (void)json_array_append_new(basins, basin->is_hbv
                                                ? pack_hbv(&basin->hbv, &view->hbv[b])
                                                : gr_state_pack(&basin->gr, &view->gr[b]));
    }
    for (size_t r = 0; r < site->reach_count; r++) {
        size_t pieces = (size_t)site->reaches[r].cunge.pieces;
        json_t *numbers = json_array();
        for (size_t i = piece; i < piece + pieces; i++) {
            const struct cunge_piece *p = &view->pieces[i];
            const double values[] = {p->inflow, p->outflow, p->storage};
            (void)json_array_append_new(numbers, pack_numbers(values, 3));
        }
        (void)json_array_append_new(reaches,
                                    json_pack("{s:b, s:f, s:o}", "running", view->running[r],
                                              "doubt_h", view->doubt_h[r], "pieces", numbers));
        piece += pieces;
    }
    for (size_t r = 0; r < site->reservoir_count; r++) {
        (void)json_array_append_new(volumes, json_real(view->volume_m3[r]));
    }
    return json_pack("{s:o, s:o, s:o}", "basins", basins, "reaches", reaches, "volumes_m3",
                     volumes);
}

int flood_state_save(const char *path, const struct flood_site *site,
                     const struct flood_state *state, const struct flood_skill *skill,
                     struct err *ret_err) {
    char time[32];
    json_t *held = json_array(), *gauges = json_object();
    text_format_time(state->end_us, time, sizeof time);
    for (size_t r = 0; r < site->reservoir_count; r++) {
        (void)json_array_append_new(
            held,
            json_pack("{s:o, s:I}", "m3_s",
                      isnan(state->held_m3_s[r]) ? json_null() : json_real(state->held_m3_s[r]),
                      "age_h", (json_int_t)state->held_age_h[r]));
    }
    for (size_t g = 0; g < site->gauge_count; g++) {
        (void)json_object_set_new(gauges, site->gauges[g].at.station, flood_skill_pack(&skill[g]));
    }
    json_t *root =
        json_pack("{s:s, s:i, s:s, s:s, s:I, s:b, s:I, s:o, s:o, s:o, s:o}", "kind", "flood-state",
                  "version", 1, "network_sha256", site->network, "time", time, "hours",
                  (json_int_t)state->hours, "recovering", state->recovering, "hours_since_gap",
                  (json_int_t)state->hours_since_gap, "dry", pack_view(site, &state->dry), "wet",
                  state->recovering ? pack_view(site, &state->wet) : json_null(), "held", held,
                  "gauges", gauges);
    int rc = output_write_json(path, root, ret_err);
    json_decref(root);
    return rc;
}

/* ---- reading ---- */

static bool take_numbers(const json_t *list, size_t count, double *ret_values) {
    if (json_array_size(list) != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!json_is_number(json_array_get(list, i))) {
            return false;
        }
        ret_values[i] = json_number_value(json_array_get(list, i));
    }
    return true;
}

static bool take_hbv(const json_t *object, const struct hbv *hbv, struct hbv_state *ret_state) {
    double stores[5];
    if (!take_numbers(json_object_get(object, "stores_mm"), 5, stores) ||
        !take_numbers(json_object_get(object, "route_mm"), (size_t)hbv->n, ret_state->route_mm)) {
        return false;
    }
    ret_state->pack_mm = stores[0];
    ret_state->liquid_mm = stores[1];
    ret_state->soil_mm = stores[2];
    ret_state->upper_mm = stores[3];
    ret_state->lower_mm = stores[4];
    return true;
}

static bool take_reach(const json_t *object, const struct flood_reach *reach, bool *ret_running,
                       double *ret_doubt_h, struct cunge_piece *pieces) {
    const json_t *list = json_object_get(object, "pieces");
    bool good = json_is_boolean(json_object_get(object, "running")) &&
                json_is_number(json_object_get(object, "doubt_h")) &&
                json_array_size(list) == (size_t)reach->cunge.pieces;
    for (size_t i = 0; good && i < (size_t)reach->cunge.pieces; i++) {
        double values[3];
        good = take_numbers(json_array_get(list, i), 3, values);
        pieces[i] = (struct cunge_piece){values[0], values[1], values[2]};
    }
    *ret_running = json_is_true(json_object_get(object, "running"));
    *ret_doubt_h = json_number_value(json_object_get(object, "doubt_h"));
    return good;
}

static bool take_view(const json_t *object, const struct flood_site *site,
                      struct flood_view *view) {
    const json_t *basins = json_object_get(object, "basins");
    const json_t *reaches = json_object_get(object, "reaches");
    bool good =
        json_array_size(basins) == site->basin_count &&
        json_array_size(reaches) == site->reach_count &&
        take_numbers(json_object_get(object, "volumes_m3"), site->reservoir_count, view->volume_m3);
    size_t piece = 0;
    for (size_t b = 0; good && b < site->basin_count; b++) {
        const struct flood_basin *basin = &site->basins[b];
        const json_t *item = json_array_get(basins, b);
        good = basin->is_hbv ? take_hbv(item, &basin->hbv, &view->hbv[b])
                             : gr_state_unpack(item, &basin->gr, &view->gr[b]) == 0;
    }
    for (size_t r = 0; good && r < site->reach_count; r++) {
        good = take_reach(json_array_get(reaches, r), &site->reaches[r], &view->running[r],
                          &view->doubt_h[r], view->pieces + piece);
        piece += (size_t)site->reaches[r].cunge.pieces;
    }
    return good;
}

static bool take_held(const json_t *list, const struct flood_site *site,
                      struct flood_state *state) {
    bool good = json_array_size(list) == site->reservoir_count;
    for (size_t r = 0; good && r < site->reservoir_count; r++) {
        const json_t *flow = json_object_get(json_array_get(list, r), "m3_s");
        const json_t *age = json_object_get(json_array_get(list, r), "age_h");
        good = json_is_integer(age) && (json_is_null(flow) || json_is_number(flow));
        state->held_m3_s[r] = json_is_number(flow) ? json_number_value(flow) : (double)NAN;
        state->held_age_h[r] = json_integer_value(age);
    }
    return good;
}

static bool take_gauges(const json_t *object, const struct flood_site *site,
                        struct flood_skill *ret_skill) {
    bool good = json_is_object(object);
    for (size_t g = 0; good && g < site->gauge_count; g++) {
        const json_t *item = json_object_get(object, site->gauges[g].at.station);
        flood_skill_start(&ret_skill[g]);
        good = item == NULL || flood_skill_unpack(item, &ret_skill[g]) == 0;
    }
    return good;
}

static bool take_state(const json_t *root, const struct flood_site *site, struct flood_state *state,
                       struct flood_skill *ret_skill) {
    const char *time = json_string_value(json_object_get(root, "time"));
    const json_t *recovering = json_object_get(root, "recovering");
    if (time == NULL || text_parse_time(time, &state->end_us) != 0 ||
        state->end_us % INT64_C(3600000000) != 0 || !json_is_boolean(recovering) ||
        !json_is_integer(json_object_get(root, "hours"))) {
        return false;
    }
    state->recovering = json_is_true(recovering);
    state->hours = json_integer_value(json_object_get(root, "hours"));
    state->hours_since_gap = json_integer_value(json_object_get(root, "hours_since_gap"));
    return take_view(json_object_get(root, "dry"), site, &state->dry) &&
           (!state->recovering || take_view(json_object_get(root, "wet"), site, &state->wet)) &&
           take_held(json_object_get(root, "held"), site, state) &&
           take_gauges(json_object_get(root, "gauges"), site, ret_skill);
}

int flood_state_load(const char *path, const struct flood_site *site,
                     struct flood_state **ret_state, struct flood_skill *ret_skill,
                     struct err *ret_err) {
    json_t *root = NULL;
    int rc = output_read_json(path, &root, ret_err);
    if (rc != 0) {
        return rc;
    }
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const char *network = json_string_value(json_object_get(root, "network_sha256"));
    struct flood_state *state = NULL;
    if (kind == NULL || strcmp(kind, "flood-state") != 0 || network == NULL) {
        rc = err_set(ret_err, ERR_CORRUPT, "%.200s: not a state of the flood model", path);
    } else if (strcmp(network, site->network) != 0) {
        rc = err_set(ret_err, ERR_INVALID,
                     "%.200s: the state is of other basins, reaches or reservoirs", path);
    }
    rc = rc != 0 ? rc : flood_state_create(site, 0, &state, ret_err);
    if (rc == 0 && !take_state(root, site, state, ret_skill)) {
        rc = err_set(ret_err, ERR_CORRUPT, "%.200s: numbers that cannot be a state", path);
    }
    json_decref(root);
    if (rc != 0) {
        flood_state_destroy(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}
