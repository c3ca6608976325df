/* What technicians do, as the engine takes it: calibrations in force, bucket tests that run. Spots
 * and judged tests are only handed on to be kept. Declared in engine_core.h and engine.h. */
#include <math.h>
#include <string.h>

#include "daemon/engine_core.h"

#define BUCKET_TEST_MAX_US (INT64_C(4) * 3600 * 1000000)

struct engine_bucket engine_bucket_test(const struct engine *engine, uint32_t station) {
    return engine->stations[station].bucket;
}

/* ---- calibration ---- */

/* The newest record among those that apply from the latest time not after the reading. */
void engine_calibrate(const struct engine *engine, struct reading *reading) {
    const struct engine_calibration *best = NULL;
    reading->uncalibrated = reading->value;
    reading->calibration = 0;
    for (uint32_t i = 0; i < engine->calibration_count; i++) {
        const struct engine_calibration *one = &engine->calibrations[i];
        if (one->point == reading->point && one->from.us <= reading->received.utc.us &&
            (best == NULL || one->from.us >= best->from.us)) {
            best = one;
        }
    }
    if (best == NULL || reading->status != READING_OK) {
        return;
    }
    reading->calibration = best->id;
    if (engine->site.points[reading->point].kind != POINT_COUNTER) {
        reading->value = best->gain * reading->value + best->offset;
    }
}

static int calibrate(struct engine *engine, struct field_entry *entry, struct err *ret_err) {
    const struct point *point = &engine->site.points[entry->point];
    const struct field_record *field = &entry->command->field;
    int result = field_calibration(field, point->kind, &entry->gain, &entry->offset, ret_err);
    if (result != 0) {
        return result;
    }
    if (field->at.us <= 0 || field->instrument[0] == '\0') {
        return err_set(ret_err, ERR_INVALID,
                       "a calibration needs the time it applies from and the instrument");
    }
    if (engine->calibration_count == ENGINE_CALIBRATIONS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "%d calibrations are in force: revoke old ones",
                       ENGINE_CALIBRATIONS_MAX);
    }
    engine->calibrations[engine->calibration_count++] =
        (struct engine_calibration){.id = entry->id,
                                    .point = entry->point,
                                    .from = field->at,
                                    .gain = entry->gain,
                                    .offset = entry->offset};
    return 0;
}

static int revoke(struct engine *engine, const struct field_entry *entry, struct err *ret_err) {
    const struct command *command = entry->command;
    if (command->field.revokes == 0 || command->comment[0] == '\0') {
        return err_set(ret_err, ERR_INVALID, "revoke needs a record and a reason");
    }
    for (uint32_t i = 0; i < engine->calibration_count; i++) {
        if (engine->calibrations[i].id == command->field.revokes &&
            engine->calibrations[i].point == entry->point) {
            engine->calibration_count--;
            memmove(&engine->calibrations[i], &engine->calibrations[i + 1],
                    (engine->calibration_count - i) * sizeof engine->calibrations[0]);
            break; /* records of other kinds have no effect to take back */
        }
    }
    return 0;
}

/* ---- bucket test ---- */

static bool is_rain(const struct point *point) {
    return point->kind != POINT_INSTANT || strcmp(point->quantity, "rain_rate") == 0;
}

static bool bucket_runs(const struct engine_station *station, const struct engine *engine) {
    return station->bucket.since.utc.us != 0 && engine->now.mono.us < station->bucket.until.mono.us;
}

enum quality_test engine_work_at(const struct engine *engine, const struct reading *reading) {
    const struct point *point = &engine->site.points[reading->point];
    const struct engine_station *station = &engine->stations[point->station];
    const struct alarm_override *maintenance = &station->maintenance;
    int64_t at_us = reading->received.utc.us;
    if (station->bucket.since.utc.us != 0 && is_rain(point) &&
        at_us >= station->bucket.since.utc.us && at_us <= station->bucket.until.utc.us) {
        return TEST_BUCKET_TEST;
    }
    return maintenance->since.utc.us != 0 && at_us >= maintenance->since.utc.us &&
                   (maintenance->active || at_us <= maintenance->until.utc.us)
               ? TEST_MAINTENANCE
               : TEST_COUNT;
}

bool engine_test_bucket(struct engine *engine, const struct reading *reading) {
    const struct point *point = &engine->site.points[reading->point];
    struct engine_station *station = &engine->stations[point->station];
    struct engine_bucket *bucket = &station->bucket;
    if (bucket->since.utc.us == 0 || !is_rain(point)) {
        return false;
    }
    if (!bucket_runs(station, engine)) {
        *bucket = (struct engine_bucket){.counted_mm = (double)NAN}; /* it ended by its time */
        return false;
    }
    if (strcmp(point->id, bucket->point) == 0 && reading->status == READING_OK) {
        if (point->kind == POINT_AMOUNT) {
            bucket->counted_mm =
                (isnan(bucket->counted_mm) ? 0 : bucket->counted_mm) + reading->uncalibrated;
        } else if (isnan(station->bucket_first)) {
            station->bucket_first = reading->uncalibrated;
        } else {
            bucket->counted_mm = reading->uncalibrated - station->bucket_first;
        }
    }
    return true;
}

void engine_forget_totals(struct engine *engine, uint32_t station) {
    const struct station *about = &engine->site.stations[station];
    for (uint32_t i = about->first_point; i < about->first_point + about->point_count; i++) {
        engine->points[i].set_aside =
            engine->points[i].set_aside || is_rain(&engine->site.points[i]);
    }
}

static int begin_bucket(struct engine *engine, const struct field_entry *entry,
                        struct err *ret_err) {
    const struct command *command = entry->command;
    struct engine_station *station = &engine->stations[entry->station];
    const struct engine_point *state = &engine->points[entry->point];
    int64_t length_us = command->until.us - engine->now.utc.us;
    if (engine->site.points[entry->point].kind == POINT_INSTANT) {
        return err_set(ret_err, ERR_INVALID, "the point %s is no rain bucket",
                       command->field.point);
    }
    if (bucket_runs(station, engine)) {
        return err_set(ret_err, ERR_EXISTS, "a bucket test runs at %s already", command->place);
    }
    if (length_us <= 0 || length_us > BUCKET_TEST_MAX_US) {
        return err_set(ret_err, ERR_RANGE, "a bucket test ends by itself within 4 h");
    }
    station->bucket =
        (struct engine_bucket){.since = engine->now,
                               .until = {{engine->now.mono.us + length_us}, command->until},
                               .counted_mm = (double)NAN};
    memcpy(station->bucket.point, command->field.point, sizeof station->bucket.point);
    /* What fell since the last reading belongs to nobody: the test begins at the last total. */
    station->bucket_first =
        state->newest.seq != 0 && !state->set_aside ? state->newest.value : (double)NAN;
    engine_forget_totals(engine, entry->station); /* even if nothing is read during the test */
    return 0;
}

static int end_bucket(struct engine *engine, struct field_entry *entry, struct err *ret_err) {
    const struct command *command = entry->command;
    struct engine_station *station = &engine->stations[entry->station];
    if (!bucket_runs(station, engine) || strcmp(station->bucket.point, command->field.point) != 0) {
        return err_set(ret_err, ERR_INVALID, "no bucket test of %s runs at %s",
                       command->field.point, command->place);
    }
    /* A volume of 0 gives the test up: nothing is judged or kept, the tips are still no rain. */
    int result = command->field.volume_ml == 0
                     ? 0
                     : field_bucket_result(&command->field, station->bucket.counted_mm,
                                           &entry->bucket, ret_err);
    if (result == 0) {
        engine_forget_totals(engine, entry->station);
        station->bucket = (struct engine_bucket){.counted_mm = (double)NAN};
    }
    return result;
}

/* ---- commands ---- */

static int check_spot(const struct field_record *field, struct err *ret_err) {
    if (!isfinite(field->reference[0]) || !(field->tolerance > 0) || field->at.us <= 0) {
        return err_set(ret_err, ERR_INVALID,
                       "a spot needs the value read by hand, its time and a tolerance");
    }
    return 0;
}

static int find_point(const struct engine *engine, struct field_entry *entry, struct err *ret_err) {
    const struct command *command = entry->command;
    entry->station = engine_find_place(engine, command->place);
    if (entry->station >= engine->site.station_count) { /* UINT32_MAX too */
        return err_set(ret_err, ERR_NOT_FOUND, "there is no station %s", command->place);
    }
    entry->point = engine_find_point(engine, command->place, command->field.point);
    return entry->point != UINT32_MAX ? 0
                                      : err_set(ret_err, ERR_NOT_FOUND, "%s has no point '%s'",
                                                command->place, command->field.point);
}

int engine_take_field(struct engine *engine, const struct engine_input *input,
                      const struct engine_sink *sink, struct err *ret_err) {
    const struct command *command = &input->as.command;
    struct field_entry entry = {.id = input->number, .command = command, .gain = 1};
    bool kept = true;
    int result = find_point(engine, &entry, ret_err);
    if (result != 0) {
        return result;
    }
    switch (command->kind) {
    case COMMAND_CALIBRATE:
        result = calibrate(engine, &entry, ret_err);
        break;
    case COMMAND_SPOT:
        result = check_spot(&command->field, ret_err);
        break;
    case COMMAND_BUCKET_TEST:
        result = begin_bucket(engine, &entry, ret_err);
        kept = false;
        break;
    case COMMAND_END_BUCKET_TEST:
        result = end_bucket(engine, &entry, ret_err);
        kept = command->field.volume_ml != 0;
        break;
    case COMMAND_REVOKE:
        result = revoke(engine, &entry, ret_err);
        break;
    default:
        return ERR_INVALID; /* never called with another one */
    }
    if (result == 0 && kept && sink->on_field_entry != NULL) {
        sink->on_field_entry(sink->context, &entry);
    }
    return result;
}
