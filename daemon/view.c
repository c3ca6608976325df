#include "daemon/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/message/json.h"
#include "daemon/base/text.h"
#include "daemon/view_logger.h"

static json_t *time_value(struct utc_us time) {
    char text[32];
    text_format_time(time.us, text, sizeof text);
    return json_string(text);
}

static json_t *number_value(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

size_t *view_map_endpoints(const struct site *site) {
    size_t *map = calloc(site->station_count + 1, sizeof *map);
    size_t count = site->modbus.endpoint_count;
    size_t at = 0; /* neighbours in the configuration usually share or follow each other */
    for (size_t i = 0; map != NULL && i < site->station_count; i++) {
        const struct modbus_endpoint_config *wanted = &site->links[i].endpoint;
        for (size_t tried = 0; tried < count; tried++, at = (at + 1) % count) {
            const struct modbus_endpoint_config *endpoint = &site->modbus.endpoints[at];
            if (modbus_endpoint_same(endpoint, wanted)) {
                break;
            }
        }
        map[i] = at;
    }
    return map;
}

bool view_is_stale(const struct view_source *source, uint32_t point,
                   const struct reading *reading) {
    return pipeline_now(source->pipeline).mono.us - reading->received.mono.us >
           source->site->points[point].stale_after_us;
}

/* ---- status ---- */

static json_t *conditions_value(const struct health *health) {
    json_t *list = json_array();
    for (size_t i = 0; i < health_count(health); i++) {
        const struct condition *condition = health_get(health, i);
        json_array_append_new(
            list,
            json_pack("{s:s,s:s,s:o,s:I,s:s}", "class", condition_class_name(condition->class),
                      "subject", condition->subject, "since", time_value(condition->since.utc),
                      "count", (json_int_t)condition->count, "text", condition->text));
    }
    return list;
}

struct alarm_counts {
    int64_t total, raised, unacknowledged, not_fresh, overridden;
};

static int count_alarm(void *ctx, const struct alarm_view *view) {
    struct alarm_counts *counts = ctx;
    const struct alarm *alarm = view->alarm;
    counts->total++;
    counts->raised += alarm->assessed && alarm->level > 0;
    counts->unacknowledged += alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED ||
                              alarm->annunciation == ANNUNCIATION_RETURNED_UNACKNOWLEDGED;
    counts->not_fresh += alarm->knowledge != KNOWLEDGE_FRESH;
    counts->overridden += alarm_override_shown(alarm) != OVERRIDE_NONE;
    return 0;
}

static json_t *alarm_counts_value(const struct view_source *source) {
    struct alarm_counts counts = {0};
    (void)engine_visit_alarms(pipeline_engine(source->pipeline), count_alarm,
                              &counts); /* never stops */
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "total", (json_int_t)counts.total, "raised",
                     (json_int_t)counts.raised, "unacknowledged", (json_int_t)counts.unacknowledged,
                     "not_fresh", (json_int_t)counts.not_fresh, "overridden",
                     (json_int_t)counts.overridden);
}

static bool station_answers(const struct view_source *source, size_t station) {
    const struct station *entry = &source->site->stations[station];
    for (uint32_t i = 0; i < entry->point_count; i++) {
        uint32_t point = entry->first_point + i;
        const struct reading *reading = pipeline_newest_value(source->pipeline, point);
        if (reading != NULL && !view_is_stale(source, point, reading)) {
            return true;
        }
    }
    return false;
}

static json_t *station_counts_value(const struct view_source *source) {
    size_t answering = 0;
    size_t provisional = 0;
    for (size_t i = 0; i < source->site->station_count; i++) {
        answering += station_answers(source, i);
        provisional += source->site->stations[i].provisional;
    }
    return json_pack("{s:I,s:I,s:I}", "total", (json_int_t)source->site->station_count, "answering",
                     (json_int_t)answering, "provisional", (json_int_t)provisional);
}

static json_t *delivery_value(const struct view_source *source) {
    if (source->outbox == NULL) {
        return json_pack("{s:b}", "enabled", 0);
    }
    struct outbox_status outbox;
    struct kafka_status kafka;
    outbox_status(source->outbox, clock_wire(source->clock), &outbox);
    kafka_status(source->kafka, &kafka);
    return json_pack("{s:b,s:b,s:I,s:I,s:I,s:I,s:f,s:I,s:s}", "enabled", 1, "connected",
                     kafka.connected, "delivered", (json_int_t)outbox.delivered, "in_flight",
                     (json_int_t)outbox.in_flight, "alerts_waiting",
                     (json_int_t)outbox.waiting[KAFKA_TOPIC_ALERT], "observations_waiting",
                     (json_int_t)outbox.waiting[KAFKA_TOPIC_OBSERVATION], "oldest_s",
                     (double)outbox.oldest_us / 1e6, "producers_built", (json_int_t)kafka.builds,
                     "last_error", kafka.last_error);
}

static json_t *store_value(const struct view_source *source) {
    struct store_status status;
    store_status(source->store, &status);
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "commits", (json_int_t)status.commits,
                     "commit_failures", (json_int_t)status.commit_failures, "readings_shed",
                     (json_int_t)status.readings_shed, "observations_shed",
                     (json_int_t)status.observations_shed, "outbox_rows",
                     (json_int_t)status.outbox_rows, "file_bytes", (json_int_t)status.file_bytes);
}

static json_t *inputs_value(const struct view_source *source) {
    struct pipeline_counters counters = pipeline_counters(source->pipeline);
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "readings",
                     (json_int_t)counters.inputs[ENGINE_READING], "values",
                     (json_int_t)counters.values, "failures", (json_int_t)counters.failures,
                     "model_results", (json_int_t)counters.inputs[ENGINE_MODEL_RESULT], "commands",
                     (json_int_t)counters.inputs[ENGINE_COMMAND], "events",
                     (json_int_t)counters.events, "refused", (json_int_t)counters.refused);
}

json_t *view_status(const struct view_source *source) {
    const struct site_settings *settings = &source->site->settings;
    struct moment now = clock_now(source->clock);
    struct pipeline_counters counters = pipeline_counters(source->pipeline);
    return json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:f,s:o,s:o,s:f,s:o,s:o,s:o,s:o,s:o,s:o}", "version",
        CANHBAO_VERSION, "node", settings->id, "name_vi", settings->name_vi, "name_en",
        settings->name_en, "status", message_status_name(source->messages.status), "reconstructed",
        source->messages.reconstructed, "provisional", settings->provisional, "clock_scale",
        clock_scale(source->clock), "time", time_value(now.utc), "started",
        time_value(source->started.utc), "gap_before_start_s", (double)counters.gap_us / 1e6,
        "stations", station_counts_value(source), "alarms", alarm_counts_value(source), "inputs",
        inputs_value(source), "store", store_value(source), "delivery", delivery_value(source),
        "conditions", conditions_value(source->health));
}

json_t *view_health(const struct view_source *source) {
    return json_pack("{s:s,s:s,s:o,s:o,s:s,s:o,s:o,s:o}", "node", source->site->settings.id,
                     "version", CANHBAO_VERSION, "time", time_value(clock_now(source->clock).utc),
                     "started", time_value(source->started.utc), "status",
                     message_status_name(source->messages.status), "stations",
                     station_counts_value(source), "alarms", alarm_counts_value(source),
                     "conditions", conditions_value(source->health));
}

/* ---- stations ---- */

static const char *quality_name(enum quality_flag flag) {
    switch (flag) {
    case QUALITY_GOOD:
        return "good";
    case QUALITY_SUSPECT:
        return "suspect";
    case QUALITY_FAIL:
        return "fail";
    case QUALITY_MISSING:
        return "missing";
    case QUALITY_NOT_EVALUATED:
        break;
    }
    return "not evaluated";
}

static json_t *point_value(const struct view_source *source, uint32_t index) {
    const struct point *point = &source->site->points[index];
    const struct reading *newest = pipeline_newest(source->pipeline, index);
    const struct reading *value = pipeline_newest_value(source->pipeline, index);
    json_t *object = json_pack("{s:s,s:s,s:s,s:b}", "id", point->id, "quantity", point->quantity,
                               "unit", point->unit, "provisional", point->provisional);
    if (object == NULL) {
        return NULL;
    }
    /* The value is the newest one that came; `status` is how the newest request went. */
    json_object_set_new(object, "value", number_value(value != NULL ? value->value : NAN));
    json_object_set_new(object, "uncalibrated",
                        number_value(value != NULL ? value->uncalibrated : NAN));
    json_object_set_new(object, "calibration",
                        value != NULL && value->calibration != 0
                            ? json_integer((json_int_t)value->calibration)
                            : json_null());
    json_object_set_new(object, "time",
                        value != NULL ? time_value(value->received.utc) : json_null());
    json_object_set_new(object, "quality_flag",
                        value != NULL ? json_integer(value->flag) : json_null());
    json_object_set_new(object, "quality",
                        json_string(value != NULL ? quality_name(value->flag) : "missing"));
    json_object_set_new(object, "stale",
                        json_boolean(value == NULL || view_is_stale(source, index, value)));
    json_object_set_new(
        object, "status",
        json_string(newest != NULL ? reading_status_name(newest->status) : "no_data_yet"));
    json_object_set_new(object, "asked",
                        newest != NULL ? time_value(newest->received.utc) : json_null());
    return object;
}

/* {"2": 17}; "0" stands for codes that no standard names. */
static json_t *exceptions_value(const struct endpoint_stats *stats) {
    json_t *value = json_object();
    for (unsigned code = 0; code < EXCEPTION_CODES; code++) {
        char key[12];
        (void)snprintf(key, sizeof key, "%u", code);
        if (stats->exceptions_by_code[code] > 0) {
            json_object_set_new(value, key, json_integer(stats->exceptions_by_code[code]));
        }
    }
    return value;
}

static json_t *link_value(const struct view_source *source, size_t station) {
    struct endpoint_stats stats;
    if (source->acquisition == NULL || acquisition_endpoint_count(source->acquisition) == 0) {
        return json_null();
    }
    size_t endpoint = source->endpoint_of_station[station];
    acquisition_endpoint_stats(source->acquisition, endpoint, &stats);
    return json_pack(
        "{s:s,s:s,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:I,s:o,s:o}", "state",
        endpoint_state_name(stats.state), "why", stats.why, "last_success",
        stats.has_success ? time_value(stats.last_success.utc) : json_null(), "connects",
        (json_int_t)stats.connects, "polls", (json_int_t)stats.polls, "replies",
        (json_int_t)stats.replies, "timeouts", (json_int_t)stats.timeouts, "bad_replies",
        (json_int_t)stats.bad_replies, "exceptions", (json_int_t)stats.exceptions,
        "exceptions_by_code", exceptions_value(&stats), "skipped", (json_int_t)stats.skipped,
        "round_trip_p50_ms", number_value(endpoint_round_trip_us(&stats, 0.5) / 1000.0),
        "round_trip_p95_ms", number_value(endpoint_round_trip_us(&stats, 0.95) / 1000.0));
}

static json_t *maintenance_value(const struct view_source *source, size_t station) {
    const struct alarm_override *maintenance =
        engine_maintenance(pipeline_engine(source->pipeline), (uint32_t)station);
    return maintenance == NULL
               ? json_null()
               : json_pack("{s:s,s:s,s:o,s:o}", "actor", maintenance->actor, "reason",
                           maintenance->reason, "since", time_value(maintenance->since.utc),
                           "until", time_value(maintenance->until.utc));
}

static json_t *bucket_value(const struct view_source *source, size_t station) {
    struct engine_bucket bucket =
        engine_bucket_test(pipeline_engine(source->pipeline), (uint32_t)station);
    bool runs =
        bucket.since.utc.us != 0 && pipeline_now(source->pipeline).mono.us < bucket.until.mono.us;
    return runs ? json_pack("{s:s,s:o,s:o,s:o}", "point", bucket.point, "since",
                            time_value(bucket.since.utc), "until", time_value(bucket.until.utc),
                            "counted_mm", number_value(bucket.counted_mm))
                : json_null();
}

static json_t *station_value(const struct view_source *source, size_t index) {
    const struct station *station = &source->site->stations[index];
    json_t *points = json_array();
    for (uint32_t i = 0; i < station->point_count; i++) {
        json_array_append_new(points, point_value(source, station->first_point + i));
    }
    return json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:b,s:s,s:s,s:o,s:o,s:o,s:o,s:o}", "id", station->id,
        "name_vi", station->name_vi, "name_en", station->name_en, "kind", station->kind, "basin",
        station->basin, "latitude_deg", number_value(station->latitude_deg), "longitude_deg",
        number_value(station->longitude_deg), "provisional", station->provisional, "note",
        station->note, "state", station_answers(source, index) ? "answering" : "silent", "link",
        link_value(source, index), "maintenance", maintenance_value(source, index), "bucket_test",
        bucket_value(source, index), "logger", view_logger(source, index), "points", points);
}

static size_t find_station(const struct site *site, const char *id) {
    size_t index = 0;
    while (index < site->station_count && strcmp(site->stations[index].id, id) != 0) {
        index++;
    }
    return index;
}

json_t *view_stations(const struct view_source *source, const char *station, struct err *ret_err) {
    const struct site *site = source->site;
    bool all = station == NULL || station[0] == '\0';
    size_t first = all ? 0 : find_station(site, station);
    if (!all && first == site->station_count) {
        (void)err_set(ret_err, ERR_NOT_FOUND, "there is no station '%s'", station);
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = first; i < (all ? site->station_count : first + 1); i++) {
        json_array_append_new(list, station_value(source, i));
    }
    return list;
}

/* ---- alarms and events ---- */

struct alarm_list {
    const struct view_source *source;
    json_t *list;
    char text[MESSAGE_SIZE_MAX];
};

static int add_alarm(void *ctx, const struct alarm_view *view) {
    struct alarm_list *alarms = ctx;
    size_t length;
    if (message_alert_state(view, &alarms->source->messages, alarms->text, sizeof alarms->text,
                            &length) == 0) {
        json_array_append_new(alarms->list, json_loadb(alarms->text, length, 0, NULL));
    }
    return 0;
}

json_t *view_alarms(const struct view_source *source) {
    struct alarm_list *alarms = calloc(1, sizeof *alarms);
    if (alarms == NULL) {
        return NULL;
    }
    alarms->source = source;
    alarms->list = json_array();
    (void)engine_visit_alarms(pipeline_engine(source->pipeline), add_alarm,
                              alarms); /* never stops */
    json_t *list = alarms->list;
    free(alarms);
    return list;
}

struct incident_list {
    const struct view_source *source;
    json_t *list;
    const char *id; /* whose members are collected */
    json_t *members;
};

static int add_member(void *ctx, const struct alarm_view *view) {
    struct incident_list *incidents = ctx;
    const struct alarm *alarm = view->alarm;
    const struct scale *scale = &view->rule->scale;
    if (strcmp(alarm->incident, incidents->id) == 0) {
        json_array_append_new(incidents->members,
                              json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:I}", "rule",
                                        view->rule->id, "place", view->place.id, "place_name_vi",
                                        view->place.name_vi, "scale", scale->id, "scale_name_vi",
                                        scale->name_vi, "level", alarm->level, "level_name_vi",
                                        scale_level_name_vi(scale, alarm->level), "annunciation",
                                        annunciation_name(alarm->annunciation), "revision",
                                        (json_int_t)alarm->revision));
    }
    return 0;
}

static json_t *attachments_value(const struct incident *incident) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < incident->attachment_count; i++) {
        const struct incident_attachment *attachment = &incident->attachments[i];
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:o}", "kind", attachment->kind,
                                              "reference", attachment->reference, "actor",
                                              attachment->actor, "comment", attachment->comment,
                                              "time", time_value(attachment->at)));
    }
    return list;
}

static json_t *peaks_value(const struct incident *incident) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < incident->peak_count; i++) {
        json_array_append_new(list, json_pack("{s:s,s:i}", "scale", incident->peaks[i].scale,
                                              "level", incident->peaks[i].level));
    }
    return list;
}

static int add_incident(void *ctx, const struct incident *incident) {
    struct incident_list *incidents = ctx;
    bool open = incident->state == INCIDENT_OPEN;
    bool merged = incident->state == INCIDENT_MERGED;
    incidents->id = incident->id;
    incidents->members = json_array();
    (void)engine_visit_alarms(pipeline_engine(incidents->source->pipeline), add_member,
                              incidents); /* never stops */
    json_t *value =
        json_pack("{s:s,s:s,s:s,s:s,s:b,s:I,s:o,s:o,s:o,s:I,s:o,s:o,s:o}", "id", incident->id,
                  "state", incident_state_name(incident->state), "hazard", incident->hazard,
                  "group", incident->group, "split", incident->is_split, "revision",
                  (json_int_t)incident->revision, "started", time_value(incident->started.utc),
                  "ended", open ? json_null() : time_value(incident->ended.utc), "merged_into",
                  merged ? json_string(incident->merged_into) : json_null(), "raised",
                  (json_int_t)incident->raised, "peaks", peaks_value(incident), "attachments",
                  attachments_value(incident), "members", incidents->members);
    if (open) {
        json_array_insert_new(incidents->list, 0, value);
    } else {
        json_array_append_new(incidents->list, value);
    }
    return 0;
}

json_t *view_incidents(const struct view_source *source) {
    struct incident_list incidents = {.source = source, .list = json_array()};
    (void)engine_visit_incidents(pipeline_engine(source->pipeline), add_incident,
                                 &incidents); /* never stops */
    return incidents.list;
}

static int add_event(void *ctx, const struct store_event *event) {
    json_t *alert = json_loadb(event->body, event->body_len, 0, NULL);
    if (alert != NULL) {
        json_array_append_new(
            ctx, json_pack("{s:I,s:o}", "number", (json_int_t)event->seq, "alert", alert));
    }
    return 0;
}

json_t *view_events(const struct view_source *source, int64_t after, size_t limit) {
    json_t *list = json_array();
    if (after < 0) {
        int64_t last = store_events_last(source->store);
        after = last > (int64_t)limit ? last - (int64_t)limit : 0;
    }
    /* A failing read leaves the list short; the store's own condition tells why. */
    (void)store_read_events(source->store, after, limit, add_event, list);
    return list;
}

/* ---- readings ---- */

struct reading_list {
    const struct point *point;
    struct field_layer layer;
    json_t *list;
};

static int add_reading(void *ctx, const struct reading *reading) {
    struct reading_list *readings = ctx;
    uint64_t calibration;
    double value = field_layer_apply(&readings->layer, readings->point->kind, reading->received.utc,
                                     reading->value, &calibration);
    json_array_append_new(
        readings->list,
        json_pack("{s:s,s:s,s:I,s:o,s:o,s:o,s:o,s:s,s:s,s:I}", "point", readings->point->id, "unit",
                  readings->point->unit, "seq", (json_int_t)reading->seq, "time",
                  time_value(reading->received.utc), "value", number_value(value), "uncalibrated",
                  number_value(reading->value), "calibration",
                  calibration != 0 ? json_integer((json_int_t)calibration) : json_null(), "status",
                  reading_status_name(reading->status), "quality", quality_name(reading->flag),
                  "quality_flag", (json_int_t)reading->flag));
    return 0;
}

static int64_t seq_of(const json_t *reading) {
    return json_integer_value(json_object_get(reading, "seq"));
}

static int newest_first(const void *left, const void *right) {
    int64_t a = seq_of(*(json_t *const *)left);
    int64_t b = seq_of(*(json_t *const *)right);
    return a < b ? 1 : a > b ? -1 : 0;
}

/* The `limit` newest of a list, newest first. */
static json_t *sorted(json_t *list, size_t limit) {
    size_t count = json_array_size(list);
    json_t **items = calloc(count + 1, sizeof(json_t *));
    json_t *result = json_array();
    for (size_t i = 0; items != NULL && i < count; i++) {
        items[i] = json_array_get(list, i);
    }
    if (items != NULL) {
        qsort(items, count, sizeof(json_t *), newest_first);
        for (size_t i = 0; i < count && i < limit; i++) {
            json_array_append(result, items[i]);
        }
    }
    free(items);
    json_decref(list);
    return result;
}

/* The stored readings of one point, calibrated, at the end of the list. */
static int add_point(const struct view_source *source, const struct station *station,
                     struct reading_list *readings, size_t limit, struct err *ret_err) {
    int64_t handle;
    struct utc_us to = {clock_now(source->clock).utc.us + 1};
    /* What was committed last is up to a group old, so the window is a little longer than asked. */
    size_t rows = 2 * limit + 32;
    struct utc_us from = {to.us - (int64_t)(limit + 2) * readings->point->period_us - 2000000};
    int result = store_point_handle(source->store, station->id, readings->point->id,
                                    readings->point->unit, &handle, ret_err);
    if (result == 0) {
        result = store_read_readings(source->store, handle, from, to, rows, add_reading, readings);
    }
    return result == 0 ? 0
                       : err_set(ret_err, result, "the store cannot give the readings: %s",
                                 err_name(result));
}

json_t *view_records(const struct view_source *source, const char *station, struct err *ret_err) {
    if (find_station(source->site, station) == source->site->station_count) {
        (void)err_set(ret_err, ERR_NOT_FOUND, "there is no station '%s'", station);
        return NULL;
    }
    json_t *records = field_records(source->store, station);
    if (records == NULL) {
        (void)err_set(ret_err, ERR_IO, "the store cannot give the records");
    }
    return records;
}

json_t *view_readings(const struct view_source *source, const char *station, const char *point,
                      size_t limit, struct utc_us as_of, struct err *ret_err) {
    const struct site *site = source->site;
    json_t *records = view_records(source, station, ret_err);
    if (records == NULL) {
        return NULL;
    }
    const struct station *entry = &site->stations[find_station(site, station)];
    struct reading_list readings = {.list = json_array()};
    bool found = false;
    int result = 0;
    for (uint32_t i = 0; i < entry->point_count && result == 0; i++) {
        readings.point = &site->points[entry->first_point + i];
        if (point != NULL && point[0] != '\0' && strcmp(readings.point->id, point) != 0) {
            continue;
        }
        found = true;
        field_layer_make(records, readings.point->id, as_of, &readings.layer);
        result = add_point(source, entry, &readings, limit, ret_err);
    }
    if (!found) {
        result = err_set(ret_err, ERR_NOT_FOUND, "station '%s' has no point '%s'", station, point);
    }
    json_decref(records);
    if (result != 0) {
        json_decref(readings.list);
        return NULL;
    }
    return sorted(readings.list, limit);
}
