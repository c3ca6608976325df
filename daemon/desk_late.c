#include "daemon/desk_late.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct point *find_point(const struct site *site, const char *station,
                                      const char *point, uint32_t *ret_index) {
    for (uint32_t i = 0; i < site->point_count; i++) {
        if (strcmp(site->points[i].id, point) == 0 &&
            strcmp(site->stations[site->points[i].station].id, station) == 0) {
            *ret_index = i;
            return &site->points[i];
        }
    }
    return NULL;
}

static int check_times(const struct late_rows *late, struct moment now, struct err *ret_err) {
    for (size_t i = 0; i < late->count; i++) {
        if (late->rows[i].at.us >= now.utc.us) {
            return err_set(ret_err, ERR_RANGE, "row %zu is not in the past", i + 1);
        }
    }
    return 0;
}

json_t *desk_late(const struct view_source *view, const struct control_request *request,
                  const char *actor, struct err *ret_err) {
    const struct late_rows *late = &request->late;
    struct moment now = clock_now(view->clock);
    struct reading readings[LATE_ROWS_MAX];
    uint32_t index = 0;
    const struct point *point = find_point(view->site, request->station, request->point, &index);
    if (point == NULL || view->acquisition == NULL) {
        (void)err_set(ret_err, ERR_NOT_FOUND, "there is no point %s.%s", request->station,
                      request->point);
        return NULL;
    }
    if (check_times(late, now, ret_err) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < late->count; i++) {
        struct utc_us at = late->rows[i].at;
        readings[i] =
            (struct reading){.point = index,
                             .seq = acquisition_take_seq(view->acquisition, point->station),
                             .status = isnan(late->rows[i].value) ? READING_SENTINEL : READING_OK,
                             .value = late->rows[i].value,
                             .received = {{now.mono.us - (now.utc.us - at.us)}, at},
                             .round_trip_us = -1,
                             .flag = QUALITY_NOT_EVALUATED,
                             .late = true,
                             .late_last = request->last && i + 1 == late->count};
    }
    pipeline_readings(view->pipeline, readings, late->count);
    char line[3 * STATION_ID_SIZE];
    (void)snprintf(line, sizeof line, "%s/%s: %zu readings", request->station, request->point,
                   late->count);
    (void)store_append_audit(view->store, now.utc, actor, "late-readings", line);
    return json_pack("{s:I}", "taken", (json_int_t)late->count);
}
