#include "daemon/engine_core.h"

#include <math.h>
#include <string.h>

#include "daemon/base/ids.h"

enum { SAVE_VERSION = 9 };

#define TIME_MAX_US (INT64_MAX / 4)

static const char magic[8] = {'C', 'B', 'E', 'N', 'G', 'I', 'N', 'E'};

/* The fields of a struct are listed once, in a function that writes or reads them by `io`: what is
 * written and what is read cannot drift apart. */
struct io {
    struct bytes *out;       /* writing */
    struct bytes_reader *in; /* reading */
};

static void io_u8(const struct io *io, uint8_t *value) {
    if (io->out != NULL) {
        bytes_put_u8(io->out, *value);
    } else {
        *value = bytes_get_u8(io->in);
    }
}

static void io_bool(const struct io *io, bool *value) {
    if (io->out != NULL) {
        bytes_put_u8(io->out, *value);
    } else {
        *value = bytes_get_bool(io->in);
    }
}

static void io_u32(const struct io *io, uint32_t *value) {
    if (io->out != NULL) {
        bytes_put_u32(io->out, *value);
    } else {
        *value = bytes_get_u32(io->in);
    }
}

static void io_u64(const struct io *io, uint64_t *value) {
    if (io->out != NULL) {
        bytes_put_u64(io->out, *value);
    } else {
        *value = bytes_get_u64(io->in);
    }
}

static void io_i64(const struct io *io, int64_t *value) {
    if (io->out != NULL) {
        bytes_put_i64(io->out, *value);
    } else {
        *value = bytes_get_i64(io->in);
        if (*value > TIME_MAX_US || *value < -TIME_MAX_US) {
            io->in->failed = true; /* sums and differences of times must not overflow */
            *value = 0;
        }
    }
}

static void io_double(const struct io *io, double *value) {
    if (io->out != NULL) {
        bytes_put_double(io->out, *value);
    } else {
        *value = bytes_get_double(io->in);
    }
}

static void io_text(const struct io *io, char *text, size_t size) {
    if (io->out != NULL) {
        bytes_put_text(io->out, text);
    } else {
        bytes_get_text(io->in, text, size);
    }
}

static void io_moment(const struct io *io, struct moment *moment) {
    io_i64(io, &moment->mono.us);
    io_i64(io, &moment->utc.us);
}

/* An enumeration with values 0 to count - 1. */
#define IO_ENUM(io, field, count)                                                                  \
    do {                                                                                           \
        uint8_t small_ = (uint8_t)(field);                                                         \
        if ((io)->out != NULL) {                                                                   \
            bytes_put_u8((io)->out, small_);                                                       \
        } else {                                                                                   \
            (field) = bytes_get_enum((io)->in, (uint8_t)(count));                                  \
        }                                                                                          \
    } while (0)

static void io_flag(const struct io *io, enum quality_flag *flag) {
    uint8_t small = (uint8_t)*flag;
    io_u8(io, &small);
    bool known = small <= QUALITY_FAIL || small == QUALITY_MISSING;
    if (io->in != NULL) {
        io->in->failed = io->in->failed || !known;
        *flag = known ? (enum quality_flag)small : QUALITY_NOT_EVALUATED;
    }
}

static void io_tests(const struct io *io, uint16_t *tests) {
    uint32_t wide = *tests;
    io_u32(io, &wide);
    if (io->in != NULL && wide >= 1U << TEST_COUNT) {
        io->in->failed = true;
        wide = 0;
    }
    *tests = (uint16_t)wide;
}

static void io_sample(const struct io *io, struct sample_ref *sample) {
    io_u64(io, &sample->seq);
    io_moment(io, &sample->at);
    io_double(io, &sample->value);
    io_flag(io, &sample->flag);
    io_tests(io, &sample->suspect_tests);
    io_tests(io, &sample->fail_tests);
    io_u32(io, &sample->quality_revision);
    io_bool(io, &sample->simulated);
}

static void io_reading(const struct io *io, struct reading *reading) {
    io_u64(io, &reading->seq);
    IO_ENUM(io, reading->status, READING_STATUS_COUNT);
    io_u8(io, &reading->exception);
    IO_ENUM(io, reading->raw_len, READING_RAW_MAX + 1);
    for (int i = 0; i < READING_RAW_MAX; i++) {
        io_u8(io, &reading->raw[i]);
    }
    io_double(io, &reading->value);
    io_double(io, &reading->uncalibrated);
    io_u64(io, &reading->calibration);
    io_i64(io, &reading->requested.us);
    io_moment(io, &reading->received);
    io_i64(io, &reading->round_trip_us);
    io_flag(io, &reading->flag);
    io_tests(io, &reading->suspect_tests);
    io_tests(io, &reading->fail_tests);
    io_u32(io, &reading->quality_revision);
}

static void io_attenuated(const struct io *io, struct attenuated *attenuated) {
    io_bool(io, &attenuated->has_any);
    if (!attenuated->has_any) {
        return;
    }
    io_i64(io, &attenuated->first_us);
    io_i64(io, &attenuated->newest);
    io_u32(io, &attenuated->filled);
    if (io->in != NULL && attenuated->filled >= 1U << ATTENUATED_PIECES) {
        io->in->failed = true;
        attenuated->filled = 0;
    }
    for (int i = 0; i < ATTENUATED_PIECES; i++) {
        if ((attenuated->filled >> i & 1) != 0) {
            io_double(io, &attenuated->low[i]);
            io_double(io, &attenuated->high[i]);
        }
    }
}

static void io_quality(const struct io *io, struct quality_state *quality) {
    IO_ENUM(io, quality->chain_count, 3);
    for (int i = 0; i < quality->chain_count; i++) {
        io_reading(io, &quality->chain[i]);
    }
    io_bool(io, &quality->has_last);
    io_double(io, &quality->last_value);
    io_i64(io, &quality->last_at.us);
    io_bool(io, &quality->has_before);
    io_double(io, &quality->before_value);
    io_i64(io, &quality->before_at.us);
    io_bool(io, &quality->has_flat);
    io_double(io, &quality->flat_value);
    io_i64(io, &quality->flat_since.us);
    io_attenuated(io, &quality->attenuated);
}

static void io_segment(const struct io *io, struct window_segment *segment) {
    io_i64(io, &segment->start_us);
    io_i64(io, &segment->end_us);
    io_i64(io, &segment->good_us);
    io_double(io, &segment->amount);
    io_u32(io, &segment->count);
    io_u32(io, &segment->good);
    io_u64(io, &segment->seq);
}

static void io_point(const struct io *io, struct engine_point *point) {
    io_quality(io, &point->quality);
    IO_ENUM(io, point->status, READING_STATUS_COUNT);
    io_bool(io, &point->newest_failed);
    io_bool(io, &point->received_any);
    io_i64(io, &point->received.us);
    io_sample(io, &point->newest);
    io_sample(io, &point->before);
    io_double(io, &point->newest_gain);
    io_double(io, &point->newest_epoch);
    io_double(io, &point->before_epoch);
    io_bool(io, &point->set_aside);
}

static void io_doubt(const struct io *io, enum model_doubt *doubt) {
    uint8_t byte = (uint8_t)*doubt;
    io_u8(io, &byte);
    if (byte >= MODEL_DOUBT_COUNT) {
        io->in->failed = true; /* what is written is always one of them */
        byte = MODEL_DOUBT_NONE;
    }
    *doubt = (enum model_doubt)byte;
}

static void io_slot(const struct io *io, struct engine_slot *slot) {
    io_bool(io, &slot->filled);
    io_bool(io, &slot->simulated);
    io_doubt(io, &slot->doubt);
    io_moment(io, &slot->observed);
    io_double(io, &slot->value);
    io_double(io, &slot->at_least);
    io_text(io, slot->model.model, sizeof slot->model.model);
    io_text(io, slot->model.manifest, sizeof slot->model.manifest);
    io_text(io, slot->model.cause, sizeof slot->model.cause);
    io_i64(io, &slot->model.reference_time.us);
    io_double(io, &slot->model.coverage);
    io_double(io, &slot->model.probability);
}

static void io_overrides(const struct io *io, struct alarm *alarm) {
    for (int kind = OVERRIDE_NONE + 1; kind < OVERRIDE_COUNT; kind++) {
        struct alarm_override *override = &alarm->overrides[kind];
        io_bool(io, &override->active);
        if (override->active) {
            io_text(io, override->actor, sizeof override->actor);
            io_text(io, override->reason, sizeof override->reason);
            io_moment(io, &override->since);
            io_moment(io, &override->until);
        }
    }
}

static void io_acknowledgement(const struct io *io, struct alarm *alarm) {
    IO_ENUM(io, alarm->annunciation, ANNUNCIATION_COUNT);
    IO_ENUM(io, alarm->acknowledged_level, RULE_LEVELS_MAX + 1);
    io_text(io, alarm->acknowledged_by, sizeof alarm->acknowledged_by);
    io_text(io, alarm->acknowledged_comment, sizeof alarm->acknowledged_comment);
    io_moment(io, &alarm->acknowledged_at);
    io_moment(io, &alarm->acknowledged_until);
    io_bool(io, &alarm->below_peak);
    io_i64(io, &alarm->below_peak_since.us);
    IO_ENUM(io, alarm->notice, NOTICE_COUNT);
    io_bool(io, &alarm->escalation.running);
    IO_ENUM(io, alarm->escalation.level, RULE_LEVELS_MAX + 1);
    IO_ENUM(io, alarm->escalation.step, LADDER_STEPS_MAX + 1);
    io_moment(io, &alarm->escalation.since);
    io_text(io, alarm->incident, sizeof alarm->incident);
}

static void io_publication(const struct io *io, struct alarm *alarm) {
    IO_ENUM(io, alarm->publication, PUBLICATION_COUNT);
    io_moment(io, &alarm->expires);
    IO_ENUM(io, alarm->approval.state, APPROVAL_COUNT);
    IO_ENUM(io, alarm->approval.level, RULE_LEVELS_MAX + 1);
    io_moment(io, &alarm->approval.since);
    io_moment(io, &alarm->approval.due);
    io_u8(io, &alarm->approval.overdue);
    io_text(io, alarm->approval.first, sizeof alarm->approval.first);
    io_text(io, alarm->approval.decided_by, sizeof alarm->approval.decided_by);
}

static void io_verdicts(const struct io *io, struct alarm_verdicts *verdicts) {
    IO_ENUM(io, verdicts->newest, JUDGED_COUNT);
    io_i64(io, &verdicts->episode.us);
    for (int i = 0; i < JUDGED_COUNT; i++) {
        io_u32(io, &verdicts->counts[i]);
    }
    if (io->in != NULL && verdicts->counts[verdicts->newest] == 0 &&
        verdicts->newest != JUDGED_NONE) {
        io->in->failed = true; /* the newest one is among those counted */
    }
}

static void io_alarm(const struct io *io, struct alarm *alarm) {
    io_u64(io, &alarm->revision);
    io_u8(io, &alarm->defined_mask);
    io_bool(io, &alarm->assessed);
    IO_ENUM(io, alarm->level, RULE_LEVELS_MAX + 1);
    IO_ENUM(io, alarm->highest_level, RULE_LEVELS_MAX + 1);
    IO_ENUM(io, alarm->trend, TREND_COUNT);
    io_moment(io, &alarm->level_since);
    IO_ENUM(io, alarm->knowledge, KNOWLEDGE_COUNT);
    IO_ENUM(io, alarm->cause, CAUSE_COUNT);
    io_moment(io, &alarm->knowledge_since);
    IO_ENUM(io, alarm->told, KNOWLEDGE_COUNT);
    io_bool(io, &alarm->untold);
    io_i64(io, &alarm->untold_since.us);
    io_acknowledgement(io, alarm);
    io_overrides(io, alarm);
    io_publication(io, alarm);
    io_i64(io, &alarm->episode_start.us);
    io_u64(io, &alarm->transition);
    io_moment(io, &alarm->raised_on);
    io_u8(io, &alarm->on_pending_mask);
    io_u8(io, &alarm->off_pending_mask);
    for (int i = 0; i < RULE_LEVELS_MAX; i++) {
        io_i64(io, &alarm->on_since[i].us);
        io_i64(io, &alarm->off_since[i].us);
    }
    io_bool(io, &alarm->flapping);
    io_moment(io, &alarm->flapping_since);
    IO_ENUM(io, alarm->move_count, RULE_FLAP_MOVES_MAX + 1);
    for (int i = 0; i < alarm->move_count; i++) {
        io_i64(io, &alarm->moves[i].us);
    }
    IO_ENUM(io, alarm->trend_count, ALARM_TREND_SAMPLES + 1);
    for (int i = 0; i < alarm->trend_count; i++) {
        io_i64(io, &alarm->trend_samples[i].at.us);
        io_double(io, &alarm->trend_samples[i].value);
    }
    io_verdicts(io, &alarm->verdicts);
}

static void save_points(const struct engine *engine, const struct io *io) {
    uint32_t count = 0;
    for (size_t i = 0; i < engine->site.point_count; i++) {
        count += engine->points[i].received_any;
    }
    io_u32(io, &count);
    for (size_t i = 0; i < engine->site.point_count; i++) {
        struct engine_point point = engine->points[i];
        const struct point *config = &engine->site.points[i];
        if (!point.received_any) {
            continue;
        }
        bytes_put_text(io->out, engine->site.stations[config->station].id);
        bytes_put_text(io->out, config->id);
        bytes_put_text(io->out, config->unit);
        io_point(io, &point);
        io_u32(io, &point.window_count);
        for (uint32_t w = 0; w < point.window_count; w++) {
            const struct window *series = &engine->windows[point.first_window + w].series;
            bytes_put_u8(io->out, (uint8_t)series->kind);
            bytes_put_i64(io->out, series->window_us);
            bytes_put_u32(io->out, series->count);
            for (uint32_t s = 0; s < series->count; s++) {
                struct window_segment segment =
                    series->segments[(series->first + s) % series->capacity];
                io_segment(io, &segment);
            }
        }
    }
}

static void save_slots(const struct engine *engine, const struct io *io) {
    bytes_put_u32(io->out, engine->slot_count);
    for (uint32_t i = 0; i < engine->slot_count; i++) {
        const struct engine_key *key = &engine->slot_keys[i];
        struct engine_slot slot = engine->slots[key->index];
        for (int p = 0; p < 3; p++) {
            bytes_put_text(io->out, key->part[p]);
        }
        for (int n = 0; n < 3; n++) {
            bytes_put_i64(io->out, key->number[n]);
        }
        io_slot(io, &slot);
    }
}

static void io_late(const struct io *io, struct engine_alarm *entry) {
    IO_ENUM(io, entry->level_before, RULE_LEVELS_MAX + 1);
    io_bool(io, &entry->late_open);
    IO_ENUM(io, entry->late.level, RULE_LEVELS_MAX + 1);
    io_i64(io, &entry->late.at.us);
    io_double(io, &entry->late.value);
    io_u64(io, &entry->late.seq);
}

static void save_alarms(const struct engine *engine, const struct io *io) {
    bytes_put_u32(io->out, engine->alarm_count);
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        const struct engine_alarm *entry = &engine->alarms[i];
        struct alarm alarm = entry->alarm;
        bytes_put_text(io->out, entry->rule->id);
        bytes_put_text(io->out, entry->rule->revision);
        bytes_put_text(io->out, engine_place_id(engine, entry->place));
        bytes_put_text(io->out, entry->event_id);
        bytes_put_i64(io->out, entry->due_us);
        struct engine_alarm late = *entry;
        io_late(io, &late);
        io_alarm(io, &alarm);
    }
    size_t places = engine->site.station_count + engine->site.area_count;
    bytes_put_u32(io->out, (uint32_t)places);
    for (size_t i = 0; i < places; i++) {
        bytes_put_text(io->out, engine->place_keys[i].part[0]);
        bytes_put_u64(io->out, engine->place_sequences[engine->place_keys[i].index]);
    }
}

static void io_incident(const struct io *io, struct incident *incident) {
    IO_ENUM(io, incident->state, INCIDENT_STATE_COUNT);
    io_text(io, incident->id, sizeof incident->id);
    io_text(io, incident->hazard, sizeof incident->hazard);
    io_text(io, incident->group, sizeof incident->group);
    io_text(io, incident->lead_rule, sizeof incident->lead_rule);
    io_text(io, incident->lead_place, sizeof incident->lead_place);
    io_bool(io, &incident->is_split);
    io_text(io, incident->merged_into, sizeof incident->merged_into);
    io_u64(io, &incident->revision);
    io_moment(io, &incident->started);
    io_moment(io, &incident->ended);
    io_u32(io, &incident->raised);
    io_moment(io, &incident->quiet_since);
    IO_ENUM(io, incident->peak_count, INCIDENT_SCALES_MAX + 1);
    for (uint32_t i = 0; i < incident->peak_count; i++) {
        io_text(io, incident->peaks[i].scale, sizeof incident->peaks[i].scale);
        IO_ENUM(io, incident->peaks[i].level, RULE_LEVELS_MAX + 1);
    }
    IO_ENUM(io, incident->attachment_count, INCIDENT_ATTACHMENTS_MAX + 1);
    for (uint32_t i = 0; i < incident->attachment_count; i++) {
        struct incident_attachment *attachment = &incident->attachments[i];
        io_text(io, attachment->kind, sizeof attachment->kind);
        io_text(io, attachment->reference, sizeof attachment->reference);
        io_text(io, attachment->actor, sizeof attachment->actor);
        io_text(io, attachment->comment, sizeof attachment->comment);
        io_i64(io, &attachment->at.us);
    }
}

/* What is neither a point's nor an alarm's. */
static void io_people(const struct io *io, struct engine *engine) {
    io_i64(io, &engine->listening_since.us);
    io_u32(io, &engine->notices.count);
    if (engine->notices.count > NOTICES_MAX) {
        io->in->failed = true; /* never while writing */
        engine->notices.count = 0;
    }
    for (uint32_t i = 0; i < engine->notices.count; i++) {
        io_i64(io, &engine->notices.given[i].us);
    }
    io_u32(io, &engine->command_next);
    if (engine->command_next >= ENGINE_COMMAND_IDS) {
        io->in->failed = true;
        engine->command_next = 0;
    }
    for (int i = 0; i < ENGINE_COMMAND_IDS; i++) {
        io_text(io, engine->command_ids[i], sizeof engine->command_ids[i]);
    }
    io_u64(io, &engine->incidents->overflows);
    for (int i = 0; i < INCIDENTS_MAX; i++) {
        struct incident *incident = &engine->incidents->list[i];
        bool used = incident->state != INCIDENT_NONE;
        io_bool(io, &used);
        if (used) {
            io_incident(io, incident);
        }
    }
}

static void io_station(const struct io *io, struct engine_station *station) {
    struct alarm_override *maintenance = &station->maintenance;
    io_bool(io, &station->answered);
    io_i64(io, &station->last_value.us);
    io_bool(io, &maintenance->active);
    io_text(io, maintenance->actor, sizeof maintenance->actor);
    io_text(io, maintenance->reason, sizeof maintenance->reason);
    io_moment(io, &maintenance->since);
    io_moment(io, &maintenance->until);
    io_moment(io, &station->bucket.since);
    io_moment(io, &station->bucket.until);
    io_text(io, station->bucket.point, sizeof station->bucket.point);
    io_double(io, &station->bucket.counted_mm);
    io_double(io, &station->bucket_first);
}

static void io_calibration(const struct io *io, struct engine_calibration *calibration) {
    io_u64(io, &calibration->id);
    io_i64(io, &calibration->from.us);
    io_double(io, &calibration->gain);
    io_double(io, &calibration->offset);
}

static void save_calibrations(const struct engine *engine, const struct io *io) {
    bytes_put_u32(io->out, engine->calibration_count);
    for (uint32_t i = 0; i < engine->calibration_count; i++) {
        struct engine_calibration calibration = engine->calibrations[i];
        const struct point *point = &engine->site.points[calibration.point];
        bytes_put_text(io->out, engine->site.stations[point->station].id);
        bytes_put_text(io->out, point->id);
        io_calibration(io, &calibration);
    }
}

static void save_stations(const struct engine *engine, const struct io *io) {
    bytes_put_u32(io->out, (uint32_t)engine->site.station_count);
    for (size_t i = 0; i < engine->site.station_count; i++) {
        struct engine_station station = engine->stations[i];
        bytes_put_text(io->out, engine->site.stations[i].id);
        io_station(io, &station);
    }
}

int engine_save(const struct engine *engine, struct bytes *ret_bytes) {
    size_t start = ret_bytes->length;
    const struct io io = {.out = ret_bytes};
    bytes_put(ret_bytes, magic, sizeof magic);
    bytes_put_u32(ret_bytes, SAVE_VERSION);
    bytes_put_u64(ret_bytes, engine->number);
    bytes_put_i64(ret_bytes, engine->now.mono.us);
    bytes_put_i64(ret_bytes, engine->now.utc.us);
    save_points(engine, &io);
    save_slots(engine, &io);
    save_alarms(engine, &io);
    save_stations(engine, &io);
    save_calibrations(engine, &io);
    struct engine shallow = *engine; /* what io_people() writes it does not change */
    io_people(&io, &shallow);
    if (ret_bytes->error == 0) {
        char hash[HASH_TEXT_SIZE];
        hash_text(ret_bytes->data + start, ret_bytes->length - start, hash);
        bytes_put(ret_bytes, hash, sizeof hash - 1);
    }
    if (ret_bytes->error != 0) {
        ret_bytes->length = start;
    }
    return ret_bytes->error;
}

struct load {
    struct engine *engine;
    struct bytes_reader *reader;
    engine_vanished_fn *vanished;
    void *context;
};

static void tell_vanished(const struct load *load, const char *rule, const char *place,
                          const char *point) {
    if (load->vanished != NULL && !load->reader->failed) {
        load->vanished(load->context, rule, place, point);
    }
}

/* NULL: the site does not have the window any more, the content is skipped. */
static struct window *find_window(const struct engine *engine, const struct engine_point *point,
                                  uint8_t kind, int64_t window_us) {
    for (uint32_t w = 0; point != NULL && w < point->window_count; w++) {
        struct window *series = &engine->windows[point->first_window + w].series;
        if ((uint8_t)series->kind == kind && series->window_us == window_us) {
            return series;
        }
    }
    return NULL;
}

static void load_window(const struct load *load, const struct engine_point *point) {
    const struct io io = {.in = load->reader};
    uint8_t kind = bytes_get_enum(load->reader, WINDOW_KIND_COUNT);
    int64_t window_us = bytes_get_i64(load->reader);
    uint32_t count = bytes_get_u32(load->reader);
    struct window *series = find_window(load->engine, point, kind, window_us);
    for (uint32_t i = 0; i < count && !load->reader->failed; i++) {
        struct window_segment segment;
        io_segment(&io, &segment);
        if (segment.start_us > segment.end_us || segment.count == 0 ||
            segment.good > segment.count) {
            load->reader->failed = true;
        }
        if (series == NULL || load->reader->failed) {
            continue;
        }
        /* Put back as they stood; another period may have given the ring another size. */
        if (series->count == series->capacity) {
            series->first = (series->first + 1) % series->capacity;
            series->count--;
        }
        series->segments[(series->first + series->count++) % series->capacity] = segment;
    }
}

static void load_point(const struct load *load) {
    const struct io io = {.in = load->reader};
    struct engine *engine = load->engine;
    char station[STATION_ID_SIZE];
    char id[STATION_ID_SIZE];
    char unit[STATION_UNIT_SIZE];
    struct engine_point saved = {0};
    bytes_get_text(load->reader, station, sizeof station);
    bytes_get_text(load->reader, id, sizeof id);
    bytes_get_text(load->reader, unit, sizeof unit);
    io_point(&io, &saved);
    uint32_t window_count = bytes_get_u32(load->reader);
    uint32_t index = engine_find_point(engine, station, id);
    struct engine_point *point = NULL;
    if (index == UINT32_MAX) {
        tell_vanished(load, "", station, id);
    } else if (strcmp(engine->site.points[index].unit, unit) == 0) {
        /* Numbers in another unit would be other numbers: such a point starts new. */
        point = &engine->points[index];
        saved.first_window = point->first_window;
        saved.window_count = point->window_count;
        saved.first_alarm = point->first_alarm;
        saved.alarm_count = point->alarm_count;
        saved.first_cross = point->first_cross;
        saved.first_neighbour = point->first_neighbour;
        for (int i = 0; i < 2; i++) {
            saved.quality.chain[i].point = index;
        }
        *point = saved;
    }
    for (uint32_t w = 0; w < window_count && !load->reader->failed; w++) {
        load_window(load, point);
    }
    for (uint32_t w = 0; point != NULL && w < point->window_count; w++) {
        struct engine_window *window = &engine->windows[point->first_window + w];
        window->value = window_value(&window->series, point->newest.at.mono.us);
    }
}

static void load_slot(const struct load *load) {
    const struct io io = {.in = load->reader};
    char parts[3][STATION_ID_SIZE];
    struct engine_key key = {.part = {parts[0], parts[1], parts[2]}};
    struct engine_slot saved = {0};
    for (int p = 0; p < 3; p++) {
        bytes_get_text(load->reader, parts[p], sizeof parts[p]);
    }
    for (int n = 0; n < 3; n++) {
        key.number[n] = bytes_get_i64(load->reader);
    }
    io_slot(&io, &saved);
    uint32_t index = engine_keys_find(load->engine->slot_keys, load->engine->slot_count, &key);
    if (index != UINT32_MAX) {
        struct engine_slot *slot = &load->engine->slots[index];
        saved.first_alarm = slot->first_alarm;
        saved.alarm_count = slot->alarm_count;
        *slot = saved;
    }
}

/* The rule reads otherwise now: what people did and the level stay, delays start again. A level
 * that the rule no longer has moves up to the next one, or down to its highest. */
static void adapt_alarm(struct alarm *alarm, const struct rule *rule, uint8_t defined_mask) {
    alarm->defined_mask = defined_mask;
    alarm->on_pending_mask = 0;
    alarm->off_pending_mask = 0;
    alarm->trend_count = 0;
    uint8_t level = 0;
    for (uint32_t n = 0; n < rule->level_count && level < alarm->level; n++) {
        if ((defined_mask & (1U << n)) != 0) {
            level = rule->levels[n].level;
        }
    }
    if (alarm->level > 0) {
        alarm->level = level;
    }
    uint8_t top = (uint8_t)rule->scale.level_count;
    alarm->highest_level = level > alarm->highest_level ? level : alarm->highest_level;
    alarm->highest_level = top < alarm->highest_level ? top : alarm->highest_level;
    alarm->acknowledged_level = top < alarm->acknowledged_level ? top : alarm->acknowledged_level;
}

static bool fits(const struct alarm *alarm, const struct rule *rule) {
    bool taken = alarm->level == 0;
    for (uint32_t n = 0; n < rule->level_count; n++) {
        taken = taken ||
                ((alarm->defined_mask & (1U << n)) != 0 && rule->levels[n].level == alarm->level);
    }
    return taken && alarm->highest_level <= rule->scale.level_count &&
           alarm->acknowledged_level <= rule->scale.level_count;
}

static void load_alarm(const struct load *load) {
    const struct io io = {.in = load->reader};
    char rule[STATION_ID_SIZE];
    char revision[RULE_REVISION_SIZE];
    char place[STATION_ID_SIZE];
    char id[ID_TEXT_SIZE];
    struct alarm saved = {0};
    bytes_get_text(load->reader, rule, sizeof rule);
    bytes_get_text(load->reader, revision, sizeof revision);
    bytes_get_text(load->reader, place, sizeof place);
    bytes_get_text(load->reader, id, sizeof id);
    int64_t due_us = bytes_get_i64(load->reader);
    struct engine_alarm late = {.late_open = false};
    io_late(&io, &late);
    io_alarm(&io, &saved);
    uint32_t index = engine_find_alarm(load->engine, rule, place);
    if (index == UINT32_MAX) {
        tell_vanished(load, rule, place, "");
        return;
    }
    struct engine_alarm *entry = &load->engine->alarms[index];
    uint8_t defined_mask = entry->alarm.defined_mask;
    entry->alarm = saved;
    entry->due_us = due_us;
    entry->level_before = late.level_before;
    entry->late_open = late.late_open;
    entry->late = late.late;
    memcpy(entry->event_id, id, sizeof id);
    if (strcmp(revision, entry->rule->revision) != 0 || saved.defined_mask != defined_mask ||
        !fits(&saved, entry->rule)) {
        adapt_alarm(&entry->alarm, entry->rule, defined_mask);
        entry->due_us = INT64_MIN;
    }
}

static void load_place(const struct load *load) {
    char place[STATION_ID_SIZE];
    bytes_get_text(load->reader, place, sizeof place);
    uint64_t sequence = bytes_get_u64(load->reader);
    uint32_t index = engine_find_place(load->engine, place);
    if (index != UINT32_MAX) {
        load->engine->place_sequences[index] = sequence;
    }
}

static void load_station(const struct load *load) {
    const struct io io = {.in = load->reader};
    char id[STATION_ID_SIZE];
    struct engine_station saved = {.answered = false};
    bytes_get_text(load->reader, id, sizeof id);
    io_station(&io, &saved);
    uint32_t index = engine_find_place(load->engine, id);
    if (index < load->engine->site.station_count) { /* UINT32_MAX is none */
        load->engine->stations[index] = saved;
    }
}

/* Of a point that the site no longer has: the record stays in the store. */
static void load_calibration(const struct load *load) {
    const struct io io = {.in = load->reader};
    struct engine *engine = load->engine;
    char station[STATION_ID_SIZE];
    char point[STATION_ID_SIZE];
    struct engine_calibration saved = {.id = 0};
    bytes_get_text(load->reader, station, sizeof station);
    bytes_get_text(load->reader, point, sizeof point);
    io_calibration(&io, &saved);
    saved.point = engine_find_point(engine, station, point);
    if (!isfinite(saved.gain) || !isfinite(saved.offset) ||
        engine->calibration_count == ENGINE_CALIBRATIONS_MAX) {
        load->reader->failed = true;
    } else if (saved.point != UINT32_MAX) {
        engine->calibrations[engine->calibration_count++] = saved;
    }
}

static void load_section(const struct load *load, void (*take)(const struct load *)) {
    uint32_t count = bytes_get_u32(load->reader);
    for (uint32_t i = 0; i < count && !load->reader->failed; i++) {
        take(load);
    }
}

int engine_load(struct engine *engine, const void *data, size_t length,
                engine_vanished_fn *vanished, void *context) {
    enum { HASH_LENGTH = HASH_TEXT_SIZE - 1, HEAD = sizeof magic + 4 };
    char hash[HASH_TEXT_SIZE];
    struct bytes_reader reader;
    if (length < HEAD + HASH_LENGTH || memcmp(data, magic, sizeof magic) != 0) {
        return ERR_CORRUPT;
    }
    hash_text(data, length - HASH_LENGTH, hash);
    if (memcmp((const uint8_t *)data + length - HASH_LENGTH, hash, HASH_LENGTH) != 0) {
        return ERR_CORRUPT;
    }
    bytes_read_init(&reader, data, length - HASH_LENGTH);
    reader.at = sizeof magic;
    if (bytes_get_u32(&reader) != SAVE_VERSION) {
        return ERR_UNSUPPORTED;
    }
    const struct load load = {
        .engine = engine, .reader = &reader, .vanished = vanished, .context = context};
    engine->number = bytes_get_u64(&reader);
    engine->now.mono.us = bytes_get_i64(&reader);
    engine->now.utc.us = bytes_get_i64(&reader);
    load_section(&load, load_point);
    load_section(&load, load_slot);
    load_section(&load, load_alarm);
    load_section(&load, load_place);
    load_section(&load, load_station);
    load_section(&load, load_calibration);
    const struct io io = {.in = &reader};
    io_people(&io, engine);
    if (reader.failed || bytes_left(&reader) != 0) {
        return ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        (void)engine_refresh(engine, &engine->alarms[i], engine->now);
    }
    return 0;
}
