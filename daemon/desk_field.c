#include "daemon/desk_field.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SPOT_ROWS_MAX = 10000 };
#define MINUTE_US INT64_C(60000000)

struct nearest {
    struct utc_us at;
    struct reading reading;
    bool found;
};

static int look(void *user, const struct reading *reading) {
    struct nearest *nearest = user;
    int64_t distance_us = llabs(reading->received.utc.us - nearest->at.us);
    if (reading->status == READING_OK &&
        (!nearest->found ||
         distance_us < llabs(nearest->reading.received.utc.us - nearest->at.us))) {
        nearest->reading = *reading;
        nearest->found = true;
    }
    return 0;
}

/* The stored value nearest to the time, within half a period or the minute, calibrated; NaN. */
static int logged_at(const struct view_source *view, const struct station *station,
                     const struct point *point, struct utc_us at, double *ret_value,
                     struct err *ret_err) {
    int64_t handle, reach_us = point->period_us / 2;
    struct nearest nearest = {.at = at};
    struct field_layer layer;
    uint64_t calibration;
    reach_us = reach_us > MINUTE_US ? reach_us : MINUTE_US;
    json_t *records = field_records(view->store, station->id);
    int result = records != NULL ? store_point_handle(view->store, station->id, point->id,
                                                      point->unit, &handle, ret_err)
                                 : ERR_IO;
    if (result == 0) {
        result = store_read_readings(view->store, handle, (struct utc_us){at.us - reach_us},
                                     (struct utc_us){at.us + reach_us + 1}, SPOT_ROWS_MAX, look,
                                     &nearest);
    }
    if (result == 0) {
        field_layer_make(records, point->id, (struct utc_us){0}, &layer);
        *ret_value = nearest.found
                         ? field_layer_apply(&layer, point->kind, nearest.reading.received.utc,
                                             nearest.reading.value, &calibration)
                         : (double)NAN;
    }
    json_decref(records);
    return result == 0 ? 0 : err_set(ret_err, result, "the store cannot give the logged value");
}

static int prepare_spot(const struct view_source *view, struct command *command,
                        struct err *ret_err) {
    const struct site *site = view->site;
    for (size_t i = 0; i < site->station_count; i++) {
        const struct station *station = &site->stations[i];
        for (uint32_t k = 0; k < station->point_count; k++) {
            const struct point *point = &site->points[station->first_point + k];
            if (strcmp(station->id, command->place) == 0 &&
                strcmp(point->id, command->field.point) == 0) {
                return logged_at(view, station, point, command->field.at, &command->field.shown[0],
                                 ret_err);
            }
        }
    }
    return 0; /* the engine tells that it is not there */
}

static int prepare_revoke(const struct view_source *view, const struct command *command,
                          struct err *ret_err) {
    json_t *record = field_record(view->store, command->field.revokes);
    const char *station = json_string_value(json_object_get(record, "station"));
    const char *point = json_string_value(json_object_get(record, "point"));
    int result = 0;
    if (station == NULL || point == NULL || strcmp(station, command->place) != 0 ||
        strcmp(point, command->field.point) != 0) {
        result = err_set(ret_err, ERR_NOT_FOUND, "there is no record %llu of %s.%s",
                         (unsigned long long)command->field.revokes, command->place,
                         command->field.point);
    } else if (json_is_object(json_object_get(record, "revoked"))) {
        result = err_set(ret_err, ERR_EXISTS, "record %llu is revoked already",
                         (unsigned long long)command->field.revokes);
    }
    json_decref(record);
    return result;
}

int desk_field_prepare(const struct view_source *view, struct command *command,
                       struct err *ret_err) {
    switch (command->kind) {
    case COMMAND_SPOT:
        return prepare_spot(view, command, ret_err);
    case COMMAND_REVOKE:
        return prepare_revoke(view, command, ret_err);
    default:
        return 0;
    }
}
