#include "daemon/engine_core.h"

#include <math.h>
#include <string.h>

enum { JOURNAL_VERSION = 6 };

static void put_moment(struct bytes *bytes, struct moment moment) {
    bytes_put_i64(bytes, moment.mono.us);
    bytes_put_i64(bytes, moment.utc.us);
}

static struct moment get_moment(struct bytes_reader *reader) {
    struct moment moment;
    moment.mono.us = bytes_get_i64(reader);
    moment.utc.us = bytes_get_i64(reader);
    return moment;
}

static int put_reading(const struct engine *engine, const struct reading *reading,
                       struct bytes *bytes) {
    if (reading->point >= engine->site.point_count || reading->raw_len > READING_RAW_MAX) {
        return ERR_INVALID;
    }
    const struct point *point = &engine->site.points[reading->point];
    bytes_put_text(bytes, engine->site.stations[point->station].id);
    bytes_put_text(bytes, point->id);
    bytes_put_u64(bytes, reading->seq);
    bytes_put_u8(bytes, (uint8_t)reading->status);
    bytes_put_u8(bytes, reading->exception);
    bytes_put_u8(bytes, reading->raw_len);
    bytes_put(bytes, reading->raw, reading->raw_len);
    bytes_put_double(bytes, reading->value);
    put_moment(bytes, reading->received);
    bytes_put_i64(bytes, reading->round_trip_us);
    bytes_put_i64(bytes, reading->requested.us);
    bytes_put_u8(bytes, reading->late);
    bytes_put_u8(bytes, (uint8_t)(reading->late_last | reading->foreign << 1));
    return 0;
}

static int get_reading(const struct engine *engine, struct bytes_reader *reader,
                       struct reading *ret_reading) {
    char station[STATION_ID_SIZE];
    char point[STATION_ID_SIZE];
    bytes_get_text(reader, station, sizeof station);
    bytes_get_text(reader, point, sizeof point);
    ret_reading->seq = bytes_get_u64(reader);
    ret_reading->status = bytes_get_enum(reader, READING_STATUS_COUNT);
    ret_reading->exception = bytes_get_u8(reader);
    ret_reading->raw_len = bytes_get_enum(reader, READING_RAW_MAX + 1);
    bytes_get(reader, ret_reading->raw, ret_reading->raw_len);
    ret_reading->value = bytes_get_double(reader);
    ret_reading->received = get_moment(reader);
    ret_reading->round_trip_us = bytes_get_i64(reader);
    ret_reading->requested.us = bytes_get_i64(reader);
    ret_reading->late = bytes_get_bool(reader);
    uint8_t marks = bytes_get_enum(reader, 4);
    ret_reading->late_last = (marks & 1) != 0;
    ret_reading->foreign = (marks & 2) != 0;
    ret_reading->flag = QUALITY_NOT_EVALUATED;
    if (reader->failed) {
        return ERR_CORRUPT;
    }
    ret_reading->point = engine_find_point(engine, station, point);
    return ret_reading->point == UINT32_MAX ? ERR_NOT_FOUND : 0;
}

static void put_result(const struct model_result *result, struct bytes *bytes) {
    bytes_put_text(bytes, result->product);
    bytes_put_text(bytes, result->model);
    bytes_put_text(bytes, result->place);
    bytes_put_text(bytes, result->variable);
    bytes_put_text(bytes, result->unit);
    bytes_put_i64(bytes, result->window_us);
    bytes_put_i64(bytes, result->lead_us);
    bytes_put_i64(bytes, result->reference_time.us);
    bytes_put_double(bytes, result->value);
    bytes_put_double(bytes, result->at_least);
    bytes_put_double(bytes, result->coverage);
    bytes_put_double(bytes, result->probability);
    bytes_put_u8(bytes, (uint8_t)result->doubt);
    bytes_put_text(bytes, result->manifest);
    bytes_put_text(bytes, result->cause);
}

static void get_result(struct bytes_reader *reader, struct model_result *ret_result) {
    bytes_get_text(reader, ret_result->product, sizeof ret_result->product);
    bytes_get_text(reader, ret_result->model, sizeof ret_result->model);
    bytes_get_text(reader, ret_result->place, sizeof ret_result->place);
    bytes_get_text(reader, ret_result->variable, sizeof ret_result->variable);
    bytes_get_text(reader, ret_result->unit, sizeof ret_result->unit);
    ret_result->window_us = bytes_get_i64(reader);
    ret_result->lead_us = bytes_get_i64(reader);
    ret_result->reference_time.us = bytes_get_i64(reader);
    ret_result->value = bytes_get_double(reader);
    ret_result->at_least = bytes_get_double(reader);
    ret_result->coverage = bytes_get_double(reader);
    ret_result->probability = bytes_get_double(reader);
    uint8_t doubt = bytes_get_u8(reader);
    reader->failed = reader->failed || doubt >= MODEL_DOUBT_COUNT;
    ret_result->doubt = doubt < MODEL_DOUBT_COUNT ? (enum model_doubt)doubt : MODEL_DOUBT_NONE;
    bytes_get_text(reader, ret_result->manifest, sizeof ret_result->manifest);
    bytes_get_text(reader, ret_result->cause, sizeof ret_result->cause);
}

static void put_field(const struct field_record *field, struct bytes *bytes) {
    bytes_put_text(bytes, field->point);
    bytes_put_text(bytes, field->instrument);
    bytes_put_i64(bytes, field->at.us);
    for (int i = 0; i < 2; i++) {
        bytes_put_double(bytes, field->reference[i]);
        bytes_put_double(bytes, field->shown[i]);
    }
    bytes_put_double(bytes, field->tolerance);
    bytes_put_double(bytes, field->volume_ml);
    bytes_put_double(bytes, field->area_cm2);
    bytes_put_double(bytes, field->tip_mm);
    bytes_put_u64(bytes, field->revokes);
}

static void get_field(struct bytes_reader *reader, struct field_record *ret_field) {
    bytes_get_text(reader, ret_field->point, sizeof ret_field->point);
    bytes_get_text(reader, ret_field->instrument, sizeof ret_field->instrument);
    ret_field->at.us = bytes_get_i64(reader);
    for (int i = 0; i < 2; i++) {
        ret_field->reference[i] = bytes_get_double(reader);
        ret_field->shown[i] = bytes_get_double(reader);
    }
    ret_field->tolerance = bytes_get_double(reader);
    ret_field->volume_ml = bytes_get_double(reader);
    ret_field->area_cm2 = bytes_get_double(reader);
    ret_field->tip_mm = bytes_get_double(reader);
    ret_field->revokes = bytes_get_u64(reader);
}

static void put_command(const struct command *command, struct bytes *bytes) {
    bytes_put_u8(bytes, (uint8_t)command->kind);
    bytes_put_text(bytes, command->id);
    bytes_put_text(bytes, command->rule);
    bytes_put_text(bytes, command->place);
    bytes_put_text(bytes, command->incident);
    bytes_put_text(bytes, command->into);
    bytes_put_text(bytes, command->attachment);
    bytes_put_text(bytes, command->reference);
    bytes_put_text(bytes, command->actor);
    bytes_put_text(bytes, command->comment);
    bytes_put_i64(bytes, command->until.us);
    bytes_put_i64(bytes, command->expires.us);
    bytes_put_u8(bytes, command->has_expected_revision);
    bytes_put_u64(bytes, command->expected_revision);
    put_field(&command->field, bytes);
    bytes_put_u8(bytes, (uint8_t)command->verdict);
}

static void get_command(struct bytes_reader *reader, struct command *ret_command) {
    ret_command->kind = bytes_get_enum(reader, COMMAND_KIND_COUNT);
    bytes_get_text(reader, ret_command->id, sizeof ret_command->id);
    bytes_get_text(reader, ret_command->rule, sizeof ret_command->rule);
    bytes_get_text(reader, ret_command->place, sizeof ret_command->place);
    bytes_get_text(reader, ret_command->incident, sizeof ret_command->incident);
    bytes_get_text(reader, ret_command->into, sizeof ret_command->into);
    bytes_get_text(reader, ret_command->attachment, sizeof ret_command->attachment);
    bytes_get_text(reader, ret_command->reference, sizeof ret_command->reference);
    bytes_get_text(reader, ret_command->actor, sizeof ret_command->actor);
    bytes_get_text(reader, ret_command->comment, sizeof ret_command->comment);
    ret_command->until.us = bytes_get_i64(reader);
    ret_command->expires.us = bytes_get_i64(reader);
    ret_command->has_expected_revision = bytes_get_bool(reader);
    ret_command->expected_revision = bytes_get_u64(reader);
    get_field(reader, &ret_command->field);
    ret_command->verdict = bytes_get_enum(reader, JUDGED_COUNT);
}

int engine_input_encode(const struct engine *engine, const struct engine_input *input,
                        struct bytes *ret_bytes) {
    size_t start = ret_bytes->length;
    bytes_put_u8(ret_bytes, JOURNAL_VERSION);
    bytes_put_u8(ret_bytes, (uint8_t)input->kind);
    bytes_put_u64(ret_bytes, input->number);
    put_moment(ret_bytes, input->now);
    bytes_put_u8(ret_bytes, input->simulated);
    int result = 0;
    switch (input->kind) {
    case ENGINE_READING:
        result = put_reading(engine, &input->as.reading, ret_bytes);
        break;
    case ENGINE_MODEL_RESULT:
        put_result(&input->as.model_result, ret_bytes);
        break;
    case ENGINE_COMMAND:
        put_command(&input->as.command, ret_bytes);
        break;
    case ENGINE_TICK:
    case ENGINE_START:
        bytes_put_i64(ret_bytes, input->as.gap_us);
        break;
    case ENGINE_INPUT_KIND_COUNT:
        result = ERR_INVALID;
        break;
    }
    result = result == 0 ? ret_bytes->error : result;
    if (result != 0) {
        ret_bytes->length = start;
    }
    return result;
}

int engine_input_decode(const struct engine *engine, const void *data, size_t length,
                        struct engine_input *ret_input) {
    struct bytes_reader reader;
    struct engine_input input;
    memset(&input, 0, sizeof input);
    bytes_read_init(&reader, data, length);
    if (bytes_get_u8(&reader) != JOURNAL_VERSION) {
        return reader.failed ? ERR_CORRUPT : ERR_UNSUPPORTED;
    }
    input.kind = bytes_get_enum(&reader, ENGINE_INPUT_KIND_COUNT);
    input.number = bytes_get_u64(&reader);
    input.now = get_moment(&reader);
    input.simulated = bytes_get_bool(&reader);
    int result = 0;
    switch (input.kind) {
    case ENGINE_READING:
        result = get_reading(engine, &reader, &input.as.reading);
        break;
    case ENGINE_MODEL_RESULT:
        get_result(&reader, &input.as.model_result);
        break;
    case ENGINE_COMMAND:
        get_command(&reader, &input.as.command);
        break;
    case ENGINE_TICK:
    case ENGINE_START:
        input.as.gap_us = bytes_get_i64(&reader);
        break;
    case ENGINE_INPUT_KIND_COUNT:
        break;
    }
    if (reader.failed || bytes_left(&reader) != 0) {
        return ERR_CORRUPT;
    }
    if (result == 0) {
        *ret_input = input;
    }
    return result;
}
