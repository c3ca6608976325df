#include "daemon/loggers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/modbus/decode.h"

enum {
    FAILURES_TOLD = 3,  /* in a row, before it is a condition */
    SILENT_PERIODS = 3, /* of the fastest point: then the device may be another one */
    RECONNECT_PAUSE_US = 60000000,
    WRONG_PERIOD_US = 60000000, /* a wrong device is looked at again */
    SETTLE_US = 60000000,       /* a record may be written so late, at most an interval */
    RETRY_MIN_US = 5000000,     /* after a failure: doubles ... */
    RETRY_MAX_US = 1800000000,  /* ... up to this */
    UNANSWERED_MAX = 3 /* how often in a row one request of a fill may stay without an answer */
};

enum purpose { FOR_NOTHING, FOR_IDENTITY, FOR_CLOCK, FOR_MEMORY };

struct one {
    struct loggers *loggers;
    const struct logger *config;
    const struct modbus_endpoint_config *endpoint;
    struct aside_read read;
    enum purpose purpose; /* of the open read */
    struct moment heard;  /* the last time; see has_heard */
    bool has_heard;       /* in this process, or as the store says */
    bool answers;         /* the last request was answered */
    int64_t silence_us, gap_us;
    uint64_t connects;

    int64_t identity_due_us, clock_due_us, memory_due_us; /* scenario time */
    uint32_t identity_failures, clock_failures, memory_failures;
    uint32_t unanswered; /* requests of this fill, in a row */
    struct logger_facts facts;
    struct logger_memo memo;
    struct memory_fill fill;
    bool closed; /* every point's last reading of this hole was handed over */
    bool dirty;  /* the memo is to be kept */
    int64_t handles[LOGGER_FIELDS_MAX];
};

struct loggers {
    struct loggers_options options;
    struct loop_timer timer;
    struct clock *clock;
    struct one *ones;
    size_t count;
    struct one **by_station; /* NULL: has no such sections */
    bool paused;
    size_t first; /* whose turn it is first at the next look */
};

static int64_t now_us(const struct one *one) {
    return clock_now(one->loggers->clock).mono.us;
}

static const char *station_id(const struct one *one) {
    return one->loggers->options.site->stations[one->config->station].id;
}

static void condition(const struct one *one, enum condition_class class, bool raised,
                      const char *text) {
    one->loggers->options.on_condition(one->loggers->options.ctx, class, station_id(one), raised,
                                       text);
}

static void keep(struct one *one) {
    if (one->dirty) {
        /* A full store is told by the commit; the memo is kept again with the next change. */
        (void)logger_memo_save(one->loggers->options.store, station_id(one), &one->memo);
        one->dirty = false;
    }
}

static int64_t min_of(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t retry_in_us(uint32_t failures) {
    int64_t pause_us = RETRY_MIN_US;
    for (uint32_t i = 1; i < failures && pause_us < RETRY_MAX_US; i++) {
        pause_us *= 2;
    }
    return min_of(pause_us, RETRY_MAX_US);
}

static void why_of(const struct aside_answer *answer, char ret_text[96]) {
    if (answer->status == READING_EXCEPTION) {
        (void)snprintf(ret_text, 96, "exception %u", answer->exception);
    } else {
        (void)snprintf(ret_text, 96, "%s", reading_status_name(answer->status));
    }
}

/* ---- identity ---- */

static void mark(struct one *one, enum logger_check check) {
    one->facts.identity = check;
    acquisition_mark_foreign(one->loggers->options.acquisition, one->config->station,
                             check != LOGGER_RIGHT);
}

static bool no_such_register(const struct aside_answer *answer) {
    return answer->status == READING_EXCEPTION && answer->exception >= 1 && answer->exception <= 3;
}

static void take_identity(struct one *one, const struct aside_answer *answer) {
    const struct logger_identity *identity = &one->config->identity;
    struct logger_facts *facts = &one->facts;
    char text[CONDITION_TEXT_SIZE], why[96];
    int64_t again_us = min_of(identity->period_us, WRONG_PERIOD_US);
    if (answer->status != READING_OK && !no_such_register(answer)) {
        why_of(answer, why);
        one->identity_failures++;
        if (one->identity_failures >= FAILURES_TOLD && facts->identity == LOGGER_UNCHECKED) {
            (void)snprintf(text, sizeof text, "the identity cannot be read: %s", why);
            condition(one, CONDITION_STATION_IDENTITY, true, text);
        }
        one->identity_due_us = now_us(one) + min_of(again_us, retry_in_us(one->identity_failures));
        return;
    }
    one->identity_failures = 0;
    int decoded = ERR_INVALID;
    if (answer->status == READING_OK) {
        decoded = logger_identity_decode(identity, answer->data, facts->found);
    } else {
        (void)snprintf(facts->found, sizeof facts->found, "no such register (exception %u)",
                       answer->exception);
    }
    if (decoded == 0 && strcmp(facts->found, identity->expected) == 0) {
        mark(one, LOGGER_RIGHT);
        condition(one, CONDITION_STATION_IDENTITY, false, "");
        one->identity_due_us = now_us(one) + identity->period_us;
        return;
    }
    mark(one, LOGGER_WRONG);
    (void)snprintf(text, sizeof text,
                   "wrong device: expected '%s', found '%.80s'; its readings are suspect",
                   identity->expected, facts->found);
    condition(one, CONDITION_STATION_IDENTITY, true, text);
    one->identity_due_us = now_us(one) + again_us;
}

/* Whether another device may stand there now. */
static void watch_identity(struct one *one, int64_t now) {
    struct endpoint_stats stats;
    if (!one->config->identity.present) {
        return;
    }
    if (one->facts.identity == LOGGER_RIGHT && now - one->heard.mono.us > one->silence_us) {
        mark(one, LOGGER_UNCHECKED);
        one->identity_due_us = now;
    }
    acquisition_endpoint_stats(one->loggers->options.acquisition, one->read.endpoint, &stats);
    if (stats.connects != one->connects && !one->endpoint->quirks.close_after_reply) {
        one->connects = stats.connects;
        one->identity_due_us = min_of(one->identity_due_us, now + RECONNECT_PAUSE_US);
    }
}

/* ---- clock ---- */

static void tell_clock(struct one *one) {
    char text[CONDITION_TEXT_SIZE];
    (void)snprintf(text, sizeof text,
                   "the device's clock is off by %+.0f s, more than %.0f s; it is not corrected, "
                   "and its memory is not read",
                   (double)one->facts.skew_us / 1e6, (double)one->config->clock.limit_us / 1e6);
    condition(one, CONDITION_STATION_CLOCK, one->memo.clock_bad, text);
}

static void take_clock(struct one *one, const struct aside_answer *answer) {
    const struct logger_clock *clock = &one->config->clock;
    struct utc_us shown = {0};
    char text[CONDITION_TEXT_SIZE], why[96] = "it shows no time";
    int result = answer->status == READING_OK
                     ? logger_stamp_decode(&clock->stamp, answer->data, &shown)
                     : ERR_NOT_FOUND;
    if (result != 0) {
        if (answer->status != READING_OK) {
            why_of(answer, why);
        }
        one->clock_failures++;
        one->facts.clock_known = false;
        if (one->clock_failures >= FAILURES_TOLD) {
            (void)snprintf(text, sizeof text, "the device's clock cannot be read: %s", why);
            condition(one, CONDITION_STATION_CLOCK, true, text);
        }
        one->clock_due_us =
            now_us(one) + min_of(clock->period_us, retry_in_us(one->clock_failures));
        return;
    }
    /* It shows whole seconds that have passed: half of one is the best guess of the rest. */
    struct utc_us between = {answer->requested.us / 2 + answer->received.utc.us / 2};
    one->clock_failures = 0;
    one->facts.clock_known = true;
    one->facts.clock_at = between;
    one->facts.skew_us = shown.us + 500000 - between.us;
    logger_memo_clock(&one->memo, between, one->facts.skew_us, clock->limit_us);
    one->dirty = true;
    tell_clock(one);
    one->clock_due_us = now_us(one) + clock->period_us;
}

/* ---- memory ---- */

static void memory_trouble(struct one *one, const char *what) {
    char text[CONDITION_TEXT_SIZE];
    one->facts.filling = false;
    one->memory_failures++;
    (void)snprintf(one->facts.why, sizeof one->facts.why, "%s", what);
    if (one->memory_failures >= FAILURES_TOLD) {
        (void)snprintf(text, sizeof text, "the memory cannot be read: %s", what);
        condition(one, CONDITION_STATION_MEMORY, true, text);
    }
    one->memory_due_us = now_us(one) + retry_in_us(one->memory_failures);
}

static int see_value(void *user, const struct reading *reading) {
    *(bool *)user = *(bool *)user || reading->status == READING_OK;
    return 0;
}

/* A restart in the middle of a fill may find what the last commit before it kept. */
static bool is_known(struct one *one, uint32_t field, struct utc_us at) {
    bool known = false;
    (void)store_read_readings(one->loggers->options.store, one->handles[field], at,
                              (struct utc_us){at.us + 1}, 8, see_value, &known);
    return known;
}

static struct reading late_reading(struct one *one, uint32_t field, struct utc_us at, bool last) {
    struct moment now = clock_now(one->loggers->clock);
    uint64_t seq = acquisition_take_seq(one->loggers->options.acquisition, one->config->station);
    return (struct reading){.point = one->config->memory.fields[field].point,
                            .seq = seq,
                            .status = READING_SKIPPED,
                            .value = (double)NAN,
                            .received = {{now.mono.us - (now.utc.us - at.us)}, at},
                            .round_trip_us = -1,
                            .flag = QUALITY_MISSING,
                            .late = true,
                            .late_last = last};
}

static void on_record(void *ctx, struct utc_us at, const uint8_t *record, bool last) {
    struct one *one = ctx;
    const struct logger_memory *memory = &one->config->memory;
    const struct site *site = one->loggers->options.site;
    struct reading readings[LOGGER_FIELDS_MAX];
    size_t count = 0;
    if (!logger_memo_trusts(&one->memo, at)) {
        one->facts.untrusted++;
        return;
    }
    for (uint32_t i = 0; i < memory->field_count; i++) {
        if (is_known(one, i, at)) {
            one->facts.known++;
            continue;
        }
        struct reading *reading = &readings[count++];
        *reading = late_reading(one, i, at, last);
        modbus_decode(&site->maps[memory->fields[i].point],
                      record + (size_t)memory->fields[i].offset * 2, reading);
        if (reading->status == READING_OK) {
            reading->flag = QUALITY_NOT_EVALUATED;
        }
    }
    pipeline_readings(one->loggers->options.pipeline, readings, count);
    one->closed = last && count == memory->field_count;
    one->memo.holes[0].from = at;
    one->memo.holes[0].begun = one->memo.holes[0].begun || count > 0;
    one->dirty = true;
}

/* No more of the hole will follow. When no record could say so, a reading without a value does. */
static void end_hole(struct one *one) {
    const struct logger_hole hole = one->memo.holes[0];
    struct reading readings[LOGGER_FIELDS_MAX];
    uint32_t count = hole.begun && !one->closed ? one->config->memory.field_count : 0;
    for (uint32_t i = 0; i < count; i++) {
        readings[i] = late_reading(one, i, hole.to, true);
    }
    pipeline_readings(one->loggers->options.pipeline, readings, count);
    logger_memo_drop_hole(&one->memo);
    one->facts.filling = false;
    one->closed = false;
    one->dirty = true;
}

static void no_trouble(struct one *one) {
    one->memory_failures = 0;
    one->facts.why[0] = '\0';
    condition(one, CONDITION_STATION_MEMORY, false, "");
}

static void begin_fill(struct one *one) {
    const struct logger_memory *memory = &one->config->memory;
    struct utc_us now = clock_now(one->loggers->clock).utc;
    while (one->memo.hole_count > 0 &&
           one->memo.holes[0].to.us < now.us - memory->interval_us * (int64_t)memory->capacity) {
        one->memo.holes_lost++; /* the ring has gone over it */
        end_hole(one);
    }
    if (one->memo.hole_count == 0) {
        no_trouble(one); /* nothing is left to be read */
        return;
    }
    struct logger_hole hole = one->memo.holes[0];
    one->facts.filling = true;
    one->unanswered = 0;
    memory_fill_begin(memory, one->endpoint->units[one->read.unit].registers_max, hole.from,
                      hole.to, now, one->config->clock.limit_us, on_record, one, &one->fill);
}

/* What a fill has counted since `was`. */
static void add_counts(struct memory_counts *sum, const struct memory_counts *was,
                       const struct memory_counts *is) {
    sum->taken += is->taken - was->taken;
    sum->impossible += is->impossible - was->impossible;
    sum->out_of_order += is->out_of_order - was->out_of_order;
    sum->overwritten += is->overwritten - was->overwritten;
    sum->repeated += is->repeated - was->repeated;
}

static void take_memory(struct one *one, const struct aside_answer *answer) {
    struct memory_request request;
    char why[96];
    one->facts.requests++;
    if (answer->status != READING_OK) {
        /* A line that loses a request now and then would never get through a long fill as a whole:
         * the same is asked again at the next look. */
        if (answer->status != READING_EXCEPTION && ++one->unanswered < UNANSWERED_MAX) {
            return;
        }
        why_of(answer, why);
        memory_trouble(one, why);
        return;
    }
    one->unanswered = 0;
    if (memory_fill_take(&one->fill, answer->data) != 0) {
        one->facts.index_refused++;
        memory_trouble(one, "the index register says what no ring of this size can");
        return;
    }
    if (memory_fill_next(&one->fill, &request)) {
        return;
    }
    end_hole(one);
    no_trouble(one);
}

/* ---- what is due ---- */

static void ask(struct one *one, enum purpose purpose, enum modbus_table table, uint16_t address,
                uint16_t count) {
    one->purpose = purpose;
    one->read.table = table;
    one->read.start = (uint16_t)(address - one->endpoint->quirks.address_from_one);
    one->read.count = count;
    one->read.impatient = purpose != FOR_MEMORY;
    acquisition_read_aside(one->loggers->options.acquisition, &one->read);
}

static bool may_read_memory(const struct one *one, int64_t now) {
    return one->config->memory.present && one->memo.hole_count > 0 && now >= one->memory_due_us &&
           one->facts.clock_known && !one->memo.clock_bad &&
           (!one->config->identity.present || one->facts.identity == LOGGER_RIGHT);
}

/* Asks for what is due. True: for a part of the memory, only with `memory`. */
static bool ask_next(struct one *one, bool memory) {
    const struct logger *config = one->config;
    struct memory_request request;
    int64_t now = now_us(one);
    if (one->purpose != FOR_NOTHING || !one->answers || one->loggers->paused) {
        return false;
    }
    if (config->identity.present && now >= one->identity_due_us) {
        ask(one, FOR_IDENTITY, config->identity.table, config->identity.address,
            logger_identity_registers(&config->identity));
    } else if (config->clock.present && now >= one->clock_due_us) {
        ask(one, FOR_CLOCK, config->clock.table, config->clock.address,
            logger_stamp_registers(config->clock.stamp.form));
    } else if (memory && may_read_memory(one, now)) {
        if (!one->facts.filling) {
            begin_fill(one);
        }
        if (one->facts.filling && memory_fill_next(&one->fill, &request)) {
            ask(one, FOR_MEMORY, config->memory.table, request.start, request.count);
            return true;
        }
    }
    return false;
}

static void on_answer(void *ctx, const struct aside_answer *answer) {
    struct one *one = ctx;
    enum purpose purpose = one->purpose;
    struct memory_counts before = one->fill.counts;
    one->purpose = FOR_NOTHING;
    switch (purpose) {
    case FOR_IDENTITY:
        take_identity(one, answer);
        break;
    case FOR_CLOCK:
        take_clock(one, answer);
        break;
    case FOR_MEMORY:
        take_memory(one, answer);
        add_counts(&one->facts.counts, &before, &one->fill.counts);
        break;
    case FOR_NOTHING:
        break;
    }
    keep(one);
    (void)ask_next(one, false); /* a memory goes on at the next look */
}

static void on_look(void *ctx) {
    struct loggers *loggers = ctx;
    int budget = LOGGERS_READS_MAX;
    for (size_t i = 0; i < loggers->count && !loggers->paused; i++) {
        struct one *one = &loggers->ones[(loggers->first + i) % loggers->count];
        watch_identity(one, now_us(one));
        keep(one);
        budget -= ask_next(one, budget > 0);
    }
    loggers->first = loggers->count > 0 ? (loggers->first + 1) % loggers->count : 0;
    loop_timer_start_in(&loggers->timer, LOGGERS_LOOK_US);
}

/* ---- what comes from the points ---- */

static bool is_answer(const struct reading *reading) {
    return reading->status == READING_OK || reading->status == READING_SENTINEL ||
           reading->status == READING_NOT_A_NUMBER;
}

static void hear(struct one *one, const struct reading *reading) {
    if (one->has_heard && one->config->memory.present &&
        reading->received.utc.us - one->heard.utc.us > one->gap_us) {
        logger_memo_add_hole(&one->memo, one->heard.utc, reading->received.utc);
        int64_t settle_us = min_of(one->config->memory.interval_us, SETTLE_US);
        one->memory_due_us = now_us(one) + settle_us;
        one->clock_due_us = now_us(one); /* first of all: may its stamps be believed? */
        one->dirty = true;
    }
    one->has_heard = true;
    one->answers = true;
    one->heard = reading->received;
}

void loggers_readings(struct loggers *loggers, const struct reading *readings, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct reading *reading = &readings[i];
        struct one *one =
            loggers->by_station[loggers->options.site->points[reading->point].station];
        if (one == NULL) {
            continue;
        }
        if (is_answer(reading)) {
            hear(one, reading);
        } else if (reading->status != READING_EXCEPTION && reading->status != READING_SKIPPED) {
            one->answers = false;
        }
    }
}

/* ---- life ---- */

/* Where the station is asked: its endpoint and unit. */
static void find_places(struct loggers *loggers) {
    const struct modbus_config *modbus = &loggers->options.site->modbus;
    for (size_t i = 0; i < modbus->endpoint_count; i++) {
        const struct modbus_endpoint_config *endpoint = &modbus->endpoints[i];
        for (uint32_t k = 0; k < endpoint->unit_count; k++) {
            for (size_t m = 0; m < endpoint->units[k].map_count; m++) {
                struct one *one = loggers->by_station[endpoint->units[k].maps[m].station];
                if (one != NULL) {
                    one->endpoint = endpoint;
                    one->read.endpoint = i;
                    one->read.unit = k;
                }
            }
        }
    }
}

/* When the station was last heard before this start, by its points in the memory. */
static int ask_store(struct one *one, struct err *ret_err) {
    const struct site *site = one->loggers->options.site;
    struct store *store = one->loggers->options.store;
    for (uint32_t i = 0; i < one->config->memory.field_count; i++) {
        const struct point *point = &site->points[one->config->memory.fields[i].point];
        struct utc_us at;
        int result = store_point_handle(store, station_id(one), point->id, point->unit,
                                        &one->handles[i], ret_err);
        result = result < 0 ? result : store_last_answer(store, one->handles[i], &at);
        if (result < 0 && result != ERR_NOT_FOUND) {
            return result;
        }
        if (result == 0 && (!one->has_heard || at.us > one->heard.utc.us)) {
            one->has_heard = true;
            one->heard.utc = at;
        }
    }
    int result = logger_memo_load(store, station_id(one), &one->memo);
    return result == ERR_NOT_FOUND ? 0 : result;
}

static int set_up(struct loggers *loggers, size_t index, struct err *ret_err) {
    const struct site *site = loggers->options.site;
    struct one *one = &loggers->ones[index];
    const struct station *station = &site->stations[site->loggers[index].station];
    int64_t period_us = INT64_MAX;
    one->loggers = loggers;
    one->config = &site->loggers[index];
    one->facts.logger = one->config;
    one->read.on_answer = on_answer;
    one->read.ctx = one;
    loggers->by_station[one->config->station] = one;
    for (uint32_t i = 0; i < station->point_count; i++) {
        period_us = min_of(period_us, site->points[station->first_point + i].period_us);
    }
    one->silence_us = SILENT_PERIODS * period_us;
    /* One lost reading is a gap, if a record can lie in it. */
    one->gap_us = period_us + period_us / 2;
    if (one->config->memory.interval_us > one->gap_us) {
        one->gap_us = one->config->memory.interval_us;
    }
    if (one->config->identity.present) {
        mark(one, LOGGER_UNCHECKED);
    }
    int result = ask_store(one, ret_err);
    return result == 0
               ? 0
               : err_set(ret_err, result, "the store cannot tell of the logger of %s", station->id);
}

int loggers_create(const struct loggers_options *options, struct loggers **ret_loggers,
                   struct err *ret_err) {
    const struct site *site = options->site;
    struct loggers *loggers = calloc(1, sizeof *loggers);
    if (loggers == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the loggers");
    }
    loggers->options = *options;
    loggers->clock = loop_clock(options->loop);
    loggers->count = site->logger_count;
    loggers->ones = calloc(site->logger_count + 1, sizeof *loggers->ones);
    loggers->by_station = calloc(site->station_count + 1, sizeof(struct one *));
    int result = loggers->ones == NULL || loggers->by_station == NULL
                     ? ERR_MEMORY
                     : loop_timer_init(options->loop, LOOP_WIRE, on_look, loggers, &loggers->timer);
    result = result < 0 ? err_set(ret_err, result, "no memory for the loggers") : 0;
    for (size_t i = 0; i < loggers->count && result == 0; i++) {
        result = set_up(loggers, i, ret_err);
    }
    if (result < 0) {
        (void)loggers_destroy(loggers);
        return result;
    }
    find_places(loggers);
    loop_timer_start_in(&loggers->timer, LOGGERS_LOOK_US);
    *ret_loggers = loggers;
    return 0;
}

void loggers_pause(struct loggers *loggers) {
    loggers->paused = true;
    for (size_t i = 0; i < loggers->count; i++) {
        struct one *one = &loggers->ones[i];
        if (one->purpose != FOR_NOTHING) {
            acquisition_cancel_aside(loggers->options.acquisition, &one->read);
            one->purpose = FOR_NOTHING;
        }
    }
}

struct loggers *loggers_destroy(struct loggers *loggers) {
    if (loggers != NULL) {
        if (loggers->ones != NULL) {
            loggers_pause(loggers);
        }
        loop_timer_finish(&loggers->timer);
        free(loggers->ones);
        free(loggers->by_station);
        free(loggers);
    }
    return NULL;
}

/* What was found of clock and identity holds on. */
static bool same_questions(const struct logger *a, const struct logger *b) {
    return memcmp(&a->clock, &b->clock, sizeof a->clock) == 0 &&
           memcmp(&a->identity, &b->identity, sizeof a->identity) == 0;
}

static void take_over(struct one *one, const struct one *old) {
    const struct logger *config = one->config;
    one->has_heard = old->has_heard;
    one->heard = old->heard;
    one->answers = old->answers;
    one->memo = old->memo;
    if (!same_questions(config, old->config)) {
        return;
    }
    one->identity_due_us = old->identity_due_us;
    one->clock_due_us = old->clock_due_us;
    one->memory_due_us = old->memory_due_us;
    one->facts = old->facts;
    one->facts.logger = config;
    one->facts.filling = false;
    if (config->identity.present) {
        mark(one, old->facts.identity);
    }
}

void loggers_succeed(struct loggers *loggers, const struct loggers *old,
                     const uint32_t *new_stations) {
    static const enum condition_class classes[] = {
        CONDITION_STATION_IDENTITY, CONDITION_STATION_CLOCK, CONDITION_STATION_MEMORY};
    for (size_t i = 0; i < old->count; i++) {
        const struct one *before = &old->ones[i];
        uint32_t station = new_stations[before->config->station];
        struct one *one = station == UINT32_MAX ? NULL : loggers->by_station[station];
        bool kept[] = {one != NULL && one->config->identity.present,
                       one != NULL && one->config->clock.present,
                       one != NULL && one->config->memory.present};
        for (size_t k = 0; k < sizeof classes / sizeof classes[0]; k++) {
            if (!kept[k]) {
                condition(before, classes[k], false, "");
            }
        }
        if (one != NULL) {
            take_over(one, before);
        }
    }
}

bool loggers_facts(const struct loggers *loggers, size_t station, struct logger_facts *ret_facts) {
    const struct one *one = loggers->by_station[station];
    if (one == NULL) {
        return false;
    }
    *ret_facts = one->facts;
    ret_facts->memo = &one->memo;
    return true;
}
