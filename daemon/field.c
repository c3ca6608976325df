#include "daemon/field.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

enum { TIME_SIZE = 32, RECORD_BYTES_MAX = 8192 };

static const char prefix[] = "field.";

static void key_of(uint64_t id, char ret_key[STORE_META_KEY_MAX + 1]) {
    (void)snprintf(ret_key, STORE_META_KEY_MAX + 1, "%s%020llu", prefix, (unsigned long long)id);
}

static json_t *number_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *time_of(struct utc_us time) {
    char text[TIME_SIZE];
    text_format_time(time.us, text, sizeof text);
    return json_string(text);
}

static void set_calibration(json_t *record, const struct field_entry *entry) {
    const struct field_record *field = &entry->command->field;
    json_object_set_new(record, "applies_from", time_of(field->at));
    json_object_set_new(record, "points",
                        json_pack("[{s:f,s:f},{s:f,s:f}]", "shown", field->shown[0], "reference",
                                  field->reference[0], "shown", field->shown[1], "reference",
                                  field->reference[1]));
    json_object_set_new(record, "gain", json_real(entry->gain));
    json_object_set_new(record, "offset", json_real(entry->offset));
}

static void set_spot(json_t *record, const struct field_record *field) {
    json_object_set_new(record, "at", time_of(field->at));
    json_object_set_new(record, "read_by_hand", number_or_null(field->reference[0]));
    json_object_set_new(record, "logged", number_or_null(field->shown[0]));
    json_object_set_new(record, "difference",
                        number_or_null(field->shown[0] - field->reference[0]));
    json_object_set_new(record, "tolerance", number_or_null(field->tolerance));
    /* Nothing was logged at that minute: there is nothing to pass or to fail. */
    json_object_set_new(record, "passed",
                        isnan(field->shown[0]) ? json_null()
                                               : json_boolean(field_spot_passed(field)));
}

static void set_bucket(json_t *record, const struct field_entry *entry) {
    const struct field_record *field = &entry->command->field;
    const struct bucket_result *bucket = &entry->bucket;
    json_object_set_new(record, "volume_ml", json_real(field->volume_ml));
    json_object_set_new(record, "area_cm2", json_real(field->area_cm2));
    json_object_set_new(record, "tip_mm", json_real(field->tip_mm));
    json_object_set_new(record, "tolerance", json_real(field->tolerance));
    json_object_set_new(record, "poured_mm", json_real(bucket->poured_mm));
    json_object_set_new(record, "counted_mm", json_real(bucket->counted_mm));
    json_object_set_new(record, "tips", json_real(bucket->tips));
    json_object_set_new(record, "error", json_real(bucket->error));
    json_object_set_new(record, "estimated_tip_mm", number_or_null(bucket->tip_mm));
    json_object_set_new(record, "passed", json_boolean(bucket->passed));
}

static json_t *record_of(const struct engine_site *site, const struct field_entry *entry,
                         struct utc_us now) {
    const struct command *command = entry->command;
    json_t *record = json_pack(
        "{s:I,s:s,s:o,s:s,s:s,s:s,s:s,s:s,s:s}", "record", (json_int_t)entry->id, "kind",
        command->kind == COMMAND_END_BUCKET_TEST ? "bucket-test" : command_kind_name(command->kind),
        "time", time_of(now), "station", site->stations[entry->station].id, "point",
        site->points[entry->point].id, "unit", site->points[entry->point].unit, "actor",
        command->actor, "instrument", command->field.instrument, "comment", command->comment);
    if (record == NULL) {
        return NULL;
    }
    if (command->kind == COMMAND_CALIBRATE) {
        set_calibration(record, entry);
    } else if (command->kind == COMMAND_SPOT) {
        set_spot(record, &command->field);
    } else {
        set_bucket(record, entry);
    }
    json_object_set_new(record, "revoked", json_null());
    return record;
}

static int put(struct store *store, uint64_t id, json_t *record) {
    char key[STORE_META_KEY_MAX + 1];
    char *text = record != NULL ? json_dumps(record, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    int result = text != NULL ? 0 : ERR_MEMORY;
    if (result == 0) {
        key_of(id, key);
        result = store_put_meta(store, key, text, strlen(text));
    }
    free(text);
    json_decref(record);
    return result;
}

int field_keep(struct store *store, const struct engine_site *site, const struct field_entry *entry,
               struct utc_us now) {
    const struct command *command = entry->command;
    if (command->kind != COMMAND_REVOKE) {
        return put(store, entry->id, record_of(site, entry, now));
    }
    json_t *record = field_record(store, command->field.revokes);
    if (record == NULL) {
        return ERR_NOT_FOUND;
    }
    json_object_set_new(record, "revoked",
                        json_pack("{s:o,s:s,s:s}", "time", time_of(now), "actor", command->actor,
                                  "reason", command->comment));
    return put(store, command->field.revokes, record);
}

json_t *field_record(struct store *store, uint64_t id) {
    char key[STORE_META_KEY_MAX + 1];
    char text[RECORD_BYTES_MAX];
    size_t length;
    key_of(id, key);
    return store_get_meta(store, key, text, sizeof text, &length) == 0
               ? json_loadb(text, length, 0, NULL)
               : NULL;
}

struct list {
    const char *station;
    json_t *records;
};

static int add(void *user, const char *key, const void *bytes, size_t length) {
    struct list *list = user;
    (void)key;
    json_t *record = json_loadb(bytes, length, 0, NULL);
    const char *station = json_string_value(json_object_get(record, "station"));
    if (station != NULL && strcmp(station, list->station) == 0) {
        json_array_append(list->records, record);
    }
    json_decref(record);
    return 0;
}

json_t *field_records(struct store *store, const char *station) {
    struct list list = {.station = station, .records = json_array()};
    if (store_read_meta(store, prefix, add, &list) != 0) {
        json_decref(list.records);
        return NULL;
    }
    return list.records;
}

/* ---- layers ---- */

static bool read_time(const json_t *object, const char *key, int64_t *ret_us) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text_parse_time(text, ret_us) == 0;
}

/* Known at the time, and not yet revoked then. */
static bool is_in_force(const json_t *record, struct utc_us as_of) {
    int64_t recorded_us, revoked_us;
    const json_t *revoked = json_object_get(record, "revoked");
    if (as_of.us == 0) {
        return !json_is_object(revoked);
    }
    if (!read_time(record, "time", &recorded_us) || recorded_us > as_of.us) {
        return false;
    }
    return !read_time(revoked, "time", &revoked_us) || revoked_us > as_of.us;
}

void field_layer_make(const json_t *records, const char *point, struct utc_us as_of,
                      struct field_layer *ret_layer) {
    size_t index;
    json_t *record;
    ret_layer->count = 0;
    json_array_foreach((json_t *)records, index, record) {
        const char *kind = json_string_value(json_object_get(record, "kind"));
        const char *of = json_string_value(json_object_get(record, "point"));
        struct field_step step = {
            .id = (uint64_t)json_integer_value(json_object_get(record, "record")),
            .gain = json_number_value(json_object_get(record, "gain")),
            .offset = json_number_value(json_object_get(record, "offset"))};
        if (kind == NULL || of == NULL || strcmp(kind, "calibrate") != 0 ||
            strcmp(of, point) != 0 || !is_in_force(record, as_of) ||
            !read_time(record, "applies_from", &step.from.us)) {
            continue;
        }
        if (ret_layer->count == FIELD_LAYER_MAX) {
            ret_layer->count--;
            memmove(&ret_layer->steps[0], &ret_layer->steps[1],
                    ret_layer->count * sizeof ret_layer->steps[0]);
        }
        ret_layer->steps[ret_layer->count++] = step;
    }
}

double field_layer_apply(const struct field_layer *layer, enum point_kind kind, struct utc_us at,
                         double raw, uint64_t *ret_calibration) {
    const struct field_step *best = NULL;
    for (size_t i = 0; i < layer->count; i++) {
        const struct field_step *step = &layer->steps[i];
        if (step->from.us <= at.us && (best == NULL || step->from.us >= best->from.us)) {
            best = step;
        }
    }
    *ret_calibration = best != NULL && !isnan(raw) ? best->id : 0;
    return best == NULL || kind == POINT_COUNTER ? raw : best->gain * raw + best->offset;
}
