#include "drivers/driver.h"

#include <math.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "drivers/line.h"
#include "drivers/modbus/dial.h"
#include "drivers/modbus/tcp.h"

static const uint32_t no_block = UINT32_MAX;

enum {
    EXCEPTION_REFUSED_MIN = 1, /* illegal function, address or value: */
    EXCEPTION_REFUSED_MAX = 3, /* this request will never do */
    EXCEPTION_ACKNOWLEDGE = 5, /* not now: */
    EXCEPTION_BUSY = 6,        /* the same request will do later */
    RETRIES_MAX = 3            /* of a busy device in one slot */
};

static const int64_t retry_pause_us = 200000;
static const int64_t impatience_us = INT64_C(60) * 1000000;
static const int64_t rejoin_after_us = INT64_C(900) * 1000000;

/* Phases are spread over the period, but over no more than this: after a start every station is
 * heard within a minute, however long its period. */
static const int64_t spread_us_max = INT64_C(60) * 1000000;

struct unit {
    uint32_t failures; /* in a row */
    uint32_t level;    /* of the back-off while dead */
    bool dead;
    int64_t probe_us; /* wire time of the next try while dead */
};

struct block {
    struct line_block about;
    int64_t next_us;    /* scenario time of the next slot */
    int64_t pending_us; /* since which slot it waits for the line; valid with `pending` */
    int64_t asked_us;   /* scenario time of its last request */
    bool pending;
    uint32_t retries;      /* in this slot */
    int64_t not_before_us; /* wire time: a busy device is not asked before */
};

/* What every poll needs stands first: with thousands of endpoints each cache line counts. */
struct endpoint {
    struct acquisition *acquisition;
    const struct driver *driver;
    const struct modbus_endpoint_config *config;
    void *line;
    struct unit *units;
    struct block *blocks; /* behind the units, in the same memory */
    uint32_t open_block;  /* no_block: none */
    struct utc_us asked;  /* when the open request was handed to the driver */
    struct line_policy policy;
    struct endpoint_stats stats;
    struct loop_timer slot_timer;
    struct loop_timer retry_timer;
    uint64_t random;
    struct aside_read *asides; /* waiting, the oldest first */
    struct aside_read *aside;  /* that LINE_ASIDE is open for; NULL: cancelled */
    bool aside_failed;      /* nothing is read aside before a point's request is answered again */
    bool answering;         /* the driver is not ready for the next request yet */
    uint32_t planned_count; /* blocks before any cut */
    int64_t rejoin_us;      /* wire time from which cuts are taken back; with block_count above
                               planned_count */
};

struct acquisition {
    struct loop *loop;
    void (*on_readings)(void *ctx, const struct reading *readings, size_t count);
    void *ctx;
    void (*on_refused)(void *ctx, const char *endpoint, const char *advice);
    void *refused_ctx;
    int64_t connect_interval_us; /* between two connects; 0: none */
    int64_t connect_free_us;     /* wire time of the next free turn */
    size_t station_count;
    uint64_t *seqs; /* per station, the last one given */
    bool *foreign;  /* per station, see acquisition_mark_foreign() */
    size_t endpoint_count;
    struct endpoint **endpoints;
    size_t dial_count;
    struct modbus_dial **dials; /* one a port */
    struct reading readings[MODBUS_POINTS_PER_BLOCK_MAX];
};

static int64_t wire_us(const struct endpoint *endpoint) {
    return clock_wire(loop_clock(endpoint->acquisition->loop)).us;
}

int64_t line_backoff_us(int64_t min_us, int64_t max_us, uint32_t level, uint64_t *random) {
    int64_t pause = min_us;
    for (uint32_t i = 0; i < level && pause < max_us; i++) {
        pause = pause > max_us / 2 ? max_us : pause * 2;
    }
    /* xorshift64 (Marsaglia 2003): spreads, needs no quality. */
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return pause - (int64_t)(*random % (uint64_t)(pause / 2 + 1));
}

int64_t endpoint_connect_wait_us(struct endpoint *endpoint) {
    struct acquisition *acquisition = endpoint->acquisition;
    int64_t now_us = wire_us(endpoint);
    int64_t turn_us = acquisition->connect_free_us > now_us ? acquisition->connect_free_us : now_us;
    acquisition->connect_free_us = turn_us + acquisition->connect_interval_us;
    return turn_us - now_us;
}

/* Makes the readings of a block. With READING_OK each point says its own status. */
static void emit(struct endpoint *endpoint, uint32_t index, const struct line_answer *answer,
                 struct utc_us requested, struct moment now) {
    struct acquisition *acquisition = endpoint->acquisition;
    uint32_t count = endpoint->blocks[index].about.point_count;
    for (uint32_t i = 0; i < count; i++) {
        struct reading *reading = &acquisition->readings[i];
        struct line_point point = endpoint->driver->point(endpoint->line, index, i);
        *reading = (struct reading){.point = point.point,
                                    .seq = ++acquisition->seqs[point.station],
                                    .status = answer->status,
                                    .exception = answer->exception,
                                    .value = NAN,
                                    .received = now,
                                    .requested = requested,
                                    .round_trip_us = answer->round_trip_us,
                                    .foreign = acquisition->foreign[point.station],
                                    .flag = QUALITY_MISSING};
        if (answer->status == READING_OK) {
            endpoint->driver->decode(endpoint->line, index, i, reading);
        }
        if (reading->status == READING_OK) {
            reading->flag = QUALITY_NOT_EVALUATED;
        }
    }
    acquisition->on_readings(acquisition->ctx, acquisition->readings, count);
}

static void emit_without_request(struct endpoint *endpoint, uint32_t index,
                                 enum reading_status status) {
    struct line_answer answer = {.status = status, .round_trip_us = -1};
    emit(endpoint, index, &answer, (struct utc_us){0},
         clock_now(loop_clock(endpoint->acquisition->loop)));
}

static void skip(struct endpoint *endpoint, uint32_t index) {
    endpoint->stats.skipped++;
    emit_without_request(endpoint, index, READING_SKIPPED);
}

static void count_round_trip(struct endpoint_stats *stats, int64_t us) {
    double bound = 100;
    uint32_t bucket = 0;
    while (bucket + 1 < ROUND_TRIP_BUCKETS && (double)us > bound) {
        bound *= M_SQRT2;
        bucket++;
    }
    stats->round_trips[bucket]++;
}

static void judge_unit(struct endpoint *endpoint, struct unit *unit, bool alive) {
    if (alive) {
        endpoint->stats.dead_units -= unit->dead;
        *unit = (struct unit){0};
        return;
    }
    unit->failures++;
    if (!unit->dead && unit->failures < endpoint->policy.dead_after) {
        return;
    }
    if (unit->dead) {
        unit->level++;
    } else {
        unit->dead = true;
        endpoint->stats.dead_units++;
    }
    unit->probe_us = wire_us(endpoint) + line_backoff_us(endpoint->policy.probe_min_us,
                                                         endpoint->policy.probe_max_us, unit->level,
                                                         &endpoint->random);
}

/* Cuts a refused block; its parts wait for the line in the same slot. */
static bool cut_block(struct endpoint *endpoint, uint32_t index, uint8_t exception) {
    char advice[LINE_ADVICE_SIZE] = "";
    bool is_cut = endpoint->driver->cut(endpoint->line, index, exception, advice);
    if (is_cut) {
        uint32_t added = endpoint->policy.block_count++;
        if (added == endpoint->planned_count) {
            endpoint->rejoin_us = wire_us(endpoint) + rejoin_after_us;
        }
        endpoint->blocks[index].about = endpoint->driver->block(endpoint->line, index);
        endpoint->blocks[index].pending = true;
        endpoint->blocks[added] = endpoint->blocks[index];
        endpoint->blocks[added].about = endpoint->driver->block(endpoint->line, added);
    }
    if (advice[0] != '\0' && endpoint->acquisition->on_refused != NULL) {
        endpoint->acquisition->on_refused(endpoint->acquisition->refused_ctx, endpoint->policy.id,
                                          advice);
    }
    return is_cut;
}

/* Lets a busy device be asked again, while there is time in the slot. */
static bool retry_block(struct endpoint *endpoint, uint32_t index) {
    struct block *block = &endpoint->blocks[index];
    int64_t now_us = clock_mono(loop_clock(endpoint->acquisition->loop)).us;
    if (block->retries == RETRIES_MAX || now_us + retry_pause_us >= block->next_us) {
        return false;
    }
    block->retries++;
    block->pending = true;
    block->not_before_us = wire_us(endpoint) + retry_pause_us;
    loop_timer_start_in(&endpoint->retry_timer, retry_pause_us);
    return true;
}

/* What refuses may have been a moment's matter: the requests are as planned again. With requests
 * waiting it is put off, but not for ever: cuts may be why they wait. */
static void rejoin_blocks(struct endpoint *endpoint) {
    if (endpoint->policy.block_count == endpoint->planned_count ||
        wire_us(endpoint) < endpoint->rejoin_us) {
        return;
    }
    bool waiting = false;
    for (uint32_t i = 0; i < endpoint->policy.block_count; i++) {
        waiting = waiting || endpoint->blocks[i].pending;
    }
    if (waiting && wire_us(endpoint) < endpoint->rejoin_us + rejoin_after_us) {
        return;
    }
    for (uint32_t i = 0; i < endpoint->policy.block_count; i++) {
        if (endpoint->blocks[i].pending) {
            endpoint->blocks[i].pending = false;
            skip(endpoint, i);
        }
    }
    endpoint->driver->rejoin(endpoint->line);
    endpoint->policy.block_count = endpoint->planned_count;
    for (uint32_t i = 0; i < endpoint->planned_count; i++) {
        endpoint->blocks[i].about = endpoint->driver->block(endpoint->line, i);
    }
}

static void answer_aside(struct endpoint *endpoint, const struct line_answer *answer,
                         struct moment now) {
    struct aside_read *read = endpoint->aside;
    struct aside_answer told = {.status = answer->status,
                                .exception = answer->exception,
                                .requested = endpoint->asked,
                                .received = now};
    endpoint->aside = NULL;
    endpoint->aside_failed = answer->status != READING_OK && answer->status != READING_EXCEPTION;
    if (read == NULL) {
        return;
    }
    if (answer->status == READING_OK) {
        told.data = endpoint->driver->aside_data(endpoint->line);
    }
    endpoint->answering = true;
    read->on_answer(read->ctx, &told);
    endpoint->answering = false;
}

void endpoint_answer(struct endpoint *endpoint, const struct line_answer *answer) {
    struct endpoint_stats *stats = &endpoint->stats;
    struct moment now = clock_now(loop_clock(endpoint->acquisition->loop));
    uint32_t index = endpoint->open_block;
    endpoint->open_block = no_block;
    switch (answer->status) {
    case READING_OK:
        stats->replies++;
        stats->has_success = true;
        stats->last_success = now;
        stats->why[0] = '\0';
        count_round_trip(stats, answer->round_trip_us);
        break;
    case READING_TIMEOUT:
        stats->timeouts++;
        break;
    case READING_EXCEPTION:
        stats->exceptions++;
        stats->exceptions_by_code[answer->exception < EXCEPTION_CODES ? answer->exception : 0]++;
        count_round_trip(stats, answer->round_trip_us);
        break;
    default: /* counted by the driver, which knows more */
        break;
    }
    if (index == LINE_ASIDE) {
        answer_aside(endpoint, answer, now);
        return;
    }
    endpoint->aside_failed = endpoint->aside_failed && answer->status != READING_OK;
    judge_unit(endpoint, &endpoint->units[endpoint->blocks[index].about.unit], answer->unit_alive);
    bool again = false;
    if (answer->exception >= EXCEPTION_REFUSED_MIN && answer->exception <= EXCEPTION_REFUSED_MAX) {
        again = cut_block(endpoint, index, answer->exception);
    } else if (answer->exception == EXCEPTION_ACKNOWLEDGE || answer->exception == EXCEPTION_BUSY) {
        again = retry_block(endpoint, index);
    }
    if (!again) {
        emit(endpoint, index, answer, endpoint->asked, now);
    }
    rejoin_blocks(endpoint);
}

static bool unit_waits(const struct endpoint *endpoint, uint32_t index) {
    const struct unit *unit = &endpoint->units[endpoint->blocks[index].about.unit];
    return unit->dead && wire_us(endpoint) < unit->probe_us;
}

static bool goes_before(const struct block *a, const struct block *b) {
    if (a->about.urgent != b->about.urgent) {
        return a->about.urgent;
    }
    return a->pending_us != b->pending_us ? a->pending_us < b->pending_us
                                          : a->asked_us < b->asked_us;
}

/* The pending block that goes next, or no_block; those that wait for a busy device are left to the
 * timer. */
static uint32_t next_pending(const struct endpoint *endpoint) {
    uint32_t next = no_block;
    for (uint32_t i = 0; i < endpoint->policy.block_count; i++) {
        const struct block *block = &endpoint->blocks[i];
        /* The clock is read only where something waits for it. */
        if (block->pending &&
            (block->not_before_us == 0 || block->not_before_us <= wire_us(endpoint)) &&
            (next == no_block || goes_before(block, &endpoint->blocks[next]))) {
            next = i;
        }
    }
    return next;
}

/* Whether nothing waits for the line, and a read may go that ends before the next slot even if it
 * takes as long as it may. */
static bool has_room(const struct endpoint *endpoint, const struct aside_read *read) {
    const struct clock *clock = loop_clock(endpoint->acquisition->loop);
    int64_t next_us = INT64_MAX;
    for (uint32_t i = 0; i < endpoint->policy.block_count; i++) {
        if (endpoint->blocks[i].pending) {
            return false; /* a busy device has its pause */
        }
        next_us = endpoint->blocks[i].next_us < next_us ? endpoint->blocks[i].next_us : next_us;
    }
    if (read->impatient && wire_us(endpoint) - read->since_us > impatience_us) {
        return true;
    }
    return clock_real_us(clock, next_us - clock_now(clock).mono.us) >=
           endpoint->driver->aside_cost_us(endpoint->line);
}

/* Sends the oldest read of a living unit that has room. */
static void send_aside(struct endpoint *endpoint) {
    struct aside_read **place = &endpoint->asides;
    while (*place != NULL && endpoint->units[(*place)->unit].dead) {
        place = &(*place)->next;
    }
    struct aside_read *read = *place;
    if (read == NULL || endpoint->answering || endpoint->aside_failed ||
        !has_room(endpoint, read)) {
        return;
    }
    endpoint->driver->set_aside(endpoint->line, read);
    endpoint->asked = clock_now(loop_clock(endpoint->acquisition->loop)).utc;
    endpoint->open_block = LINE_ASIDE;
    if (endpoint->driver->request(endpoint->line, LINE_ASIDE) < 0) {
        endpoint->open_block = no_block; /* it waits on */
        return;
    }
    *place = read->next;
    read->queued = false;
    endpoint->aside = read;
}

void endpoint_ready(struct endpoint *endpoint) {
    /* Every turn takes one block off the pending ones, so this ends. */
    while (endpoint->open_block == no_block) {
        uint32_t index = next_pending(endpoint);
        if (index == no_block) {
            send_aside(endpoint);
            return;
        }
        endpoint->blocks[index].pending = false;
        if (unit_waits(endpoint, index)) {
            skip(endpoint, index); /* died while this slot waited */
            continue;
        }
        endpoint->open_block = index;
        struct moment now = clock_now(loop_clock(endpoint->acquisition->loop));
        endpoint->asked = now.utc;
        endpoint->blocks[index].asked_us = now.mono.us;
        if (endpoint->driver->request(endpoint->line, index) < 0) {
            endpoint->open_block = no_block;
            emit_without_request(endpoint, index, READING_NO_CONNECTION);
        }
    }
}

static void on_retry(void *ctx) {
    struct endpoint *endpoint = ctx;
    int64_t now_us = wire_us(endpoint);
    int64_t next_us = INT64_MAX;
    for (uint32_t i = 0; i < endpoint->policy.block_count; i++) {
        const struct block *block = &endpoint->blocks[i];
        if (block->pending && block->not_before_us > now_us && block->not_before_us < next_us) {
            next_us = block->not_before_us;
        }
    }
    if (next_us < INT64_MAX) {
        loop_timer_start_at(&endpoint->retry_timer, (struct mono_us){next_us});
    }
    endpoint_ready(endpoint);
}

/* Takes the slots of one block that have passed. */
static void take_slots(struct endpoint *endpoint, uint32_t index, int64_t now_us) {
    struct block *block = &endpoint->blocks[index];
    int64_t passed = (now_us - block->next_us) / block->about.period_us; /* besides this one */
    int64_t slot_us = block->next_us + passed * block->about.period_us;
    block->next_us = slot_us + block->about.period_us;
    endpoint->stats.skipped += (uint64_t)passed;
    if (block->pending) {
        /* The slot before was never asked. It keeps its place in the queue: on a line that has too
         * much to do all are asked less often, and nobody never. */
        skip(endpoint, index);
    } else {
        block->pending_us = slot_us;
        if (passed > 0) {
            emit_without_request(endpoint, index, READING_SKIPPED);
        }
    }
    block->pending = !unit_waits(endpoint, index);
    block->retries = 0;
    block->not_before_us = 0;
    if (!block->pending) {
        skip(endpoint, index);
    }
}

static void on_slot(void *ctx) {
    struct endpoint *endpoint = ctx;
    int64_t now_us = clock_mono(loop_clock(endpoint->acquisition->loop)).us;
    int64_t next_us = INT64_MAX;
    for (uint32_t i = 0; i < endpoint->policy.block_count; i++) {
        if (endpoint->blocks[i].next_us <= now_us) {
            take_slots(endpoint, i, now_us);
        }
        next_us = endpoint->blocks[i].next_us < next_us ? endpoint->blocks[i].next_us : next_us;
    }
    loop_timer_start_at(&endpoint->slot_timer, (struct mono_us){next_us});
    endpoint_ready(endpoint);
}

static struct endpoint *close_endpoint(struct endpoint *endpoint) {
    if (endpoint != NULL) {
        loop_timer_finish(&endpoint->slot_timer);
        loop_timer_finish(&endpoint->retry_timer);
        endpoint->driver->close(endpoint->line);
        free(endpoint->units); /* and the blocks */
        free(endpoint);
    }
    return NULL;
}

static int set_up_endpoint(struct endpoint *endpoint) {
    struct acquisition *acquisition = endpoint->acquisition;
    const struct driver *driver = endpoint->driver;
    int result = driver->open(acquisition->loop, endpoint->config, endpoint, &endpoint->stats,
                              &endpoint->policy, &endpoint->line);
    if (result < 0) {
        return result;
    }
    endpoint->random = hash_spread(endpoint->policy.id) | 1;
    endpoint->planned_count = endpoint->policy.block_count;
    size_t units_size = endpoint->policy.unit_count * sizeof(*endpoint->units);
    size_t blocks_size = endpoint->policy.block_max * sizeof(*endpoint->blocks);
    _Static_assert(alignof(struct unit) >= alignof(struct block), "blocks can follow units");
    endpoint->units = calloc(1, units_size + blocks_size);
    if (endpoint->units == NULL) {
        return ERR_MEMORY;
    }
    endpoint->blocks = (struct block *)(endpoint->units + endpoint->policy.unit_count);
    for (uint32_t i = 0; i < endpoint->policy.block_count; i++) {
        endpoint->blocks[i].about = driver->block(endpoint->line, i);
    }
    result =
        loop_timer_init(acquisition->loop, LOOP_WIRE, on_retry, endpoint, &endpoint->retry_timer);
    return result < 0 ? result
                      : loop_timer_init(acquisition->loop, LOOP_SCENARIO, on_slot, endpoint,
                                        &endpoint->slot_timer);
}

static int open_endpoint(struct acquisition *acquisition,
                         const struct modbus_endpoint_config *config,
                         struct endpoint **ret_endpoint, struct err *ret_err) {
    struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
    int result = ERR_MEMORY;
    if (endpoint != NULL) {
        endpoint->acquisition = acquisition;
        endpoint->driver =
            config->transport == MODBUS_SERIAL ? &modbus_serial_driver : &modbus_tcp_driver;
        endpoint->config = config;
        endpoint->open_block = no_block;
        endpoint->stats.state = ENDPOINT_IDLE;
        endpoint->stats.since = clock_now(loop_clock(acquisition->loop));
        result = set_up_endpoint(endpoint);
    }
    if (result < 0) {
        (void)close_endpoint(endpoint);
        return err_set(ret_err, result, "endpoint %s cannot be set up: %s", config->id,
                       err_name(result));
    }
    *ret_endpoint = endpoint;
    return 0;
}

/* ---- stations that dial in ---- */

static enum dial_verdict find_station(void *ctx, uint16_t port, const uint8_t *bytes, size_t length,
                                      struct loop_stream *stream) {
    struct acquisition *acquisition = ctx;
    enum dial_verdict verdict = DIAL_NOBODY;
    for (size_t i = 0; i < acquisition->endpoint_count; i++) {
        const struct modbus_endpoint_config *config = acquisition->endpoints[i]->config;
        size_t size = strlen(config->identity);
        if (config->transport != MODBUS_DIAL_IN || config->port != port ||
            memcmp(bytes, config->identity, length < size ? length : size) != 0) {
            continue;
        }
        if (length >= size) {
            modbus_tcp_adopt(acquisition->endpoints[i]->line, stream);
            return DIAL_TAKEN;
        }
        verdict = DIAL_MORE;
    }
    return verdict;
}

static struct modbus_dial *find_dial(const struct acquisition *acquisition, uint16_t port) {
    for (size_t i = 0; i < acquisition->dial_count; i++) {
        if (modbus_dial_port(acquisition->dials[i]) == port) {
            return acquisition->dials[i];
        }
    }
    return NULL;
}

/* Listens on the ports of a configuration that nobody listens on yet. */
static int open_dials(struct acquisition *acquisition, const struct acquisition_options *options,
                      struct err *ret_err) {
    for (size_t i = 0; i < options->modbus->endpoint_count; i++) {
        const struct modbus_endpoint_config *config = &options->modbus->endpoints[i];
        if (config->transport != MODBUS_DIAL_IN || find_dial(acquisition, config->port) != NULL) {
            continue;
        }
        struct modbus_dial **grown = realloc(acquisition->dials, (acquisition->dial_count + 1) *
                                                                     sizeof(struct modbus_dial *));
        if (grown == NULL) {
            return err_set(ret_err, ERR_MEMORY, "no memory to listen");
        }
        acquisition->dials = grown;
        int result =
            options->listen_host == NULL
                ? ERR_INVALID
                : modbus_dial_listen(acquisition->loop, options->listen_host, config->port,
                                     find_station, acquisition, &grown[acquisition->dial_count]);
        if (result < 0) {
            return err_set(ret_err, result, "cannot listen on port %u for endpoint %s: %s",
                           config->port, config->id, err_name(result));
        }
        acquisition->dial_count++;
    }
    return 0;
}

static bool is_dialled(const struct acquisition *acquisition, uint16_t port) {
    for (size_t i = 0; i < acquisition->endpoint_count; i++) {
        const struct modbus_endpoint_config *config = acquisition->endpoints[i]->config;
        if (config->transport == MODBUS_DIAL_IN && config->port == port) {
            return true;
        }
    }
    return false;
}

/* Closes the ports that no endpoint has any more. */
static void close_dials(struct acquisition *acquisition) {
    size_t kept = 0;
    for (size_t i = 0; i < acquisition->dial_count; i++) {
        struct modbus_dial *dial = acquisition->dials[i];
        if (is_dialled(acquisition, modbus_dial_port(dial))) {
            acquisition->dials[kept++] = dial;
        } else {
            (void)modbus_dial_close(dial);
        }
    }
    acquisition->dial_count = kept;
}

/* ---- life ---- */

/* What can be taken over without failing. */
static void take_options(struct acquisition *acquisition,
                         const struct acquisition_options *options) {
    acquisition->on_readings = options->on_readings;
    acquisition->ctx = options->ctx;
    acquisition->on_refused = options->on_refused;
    acquisition->refused_ctx = options->refused_ctx;
    acquisition->station_count = options->station_count;
    acquisition->connect_interval_us =
        options->connects_per_s > 0 ? 1000000 / (int64_t)options->connects_per_s : 0;
}

int acquisition_create(const struct acquisition_options *options,
                       struct acquisition **ret_acquisition, struct err *ret_err) {
    size_t endpoint_count = options->modbus->endpoint_count;
    struct acquisition *acquisition = calloc(1, sizeof(*acquisition));
    if (acquisition == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the acquisition");
    }
    acquisition->loop = options->loop;
    take_options(acquisition, options);
    acquisition->seqs = calloc(options->station_count + 1, sizeof(*acquisition->seqs));
    acquisition->foreign = calloc(options->station_count + 1, sizeof(*acquisition->foreign));
    acquisition->endpoints = calloc(endpoint_count + 1, sizeof(struct endpoint *));
    if (acquisition->seqs == NULL || acquisition->foreign == NULL ||
        acquisition->endpoints == NULL) {
        (void)acquisition_destroy(acquisition);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu endpoints", endpoint_count);
    }
    if (options->last_seqs != NULL) {
        memcpy(acquisition->seqs, options->last_seqs,
               options->station_count * sizeof(*acquisition->seqs));
    }
    int result = open_dials(acquisition, options, ret_err);
    for (size_t i = 0; i < endpoint_count && result == 0; i++) {
        result = open_endpoint(acquisition, &options->modbus->endpoints[i],
                               &acquisition->endpoints[i], ret_err);
        acquisition->endpoint_count += result == 0;
    }
    if (result < 0) {
        (void)acquisition_destroy(acquisition);
        return result;
    }
    *ret_acquisition = acquisition;
    return 0;
}

static void start_endpoint(struct endpoint *endpoint, int64_t start_us) {
    uint64_t hash = hash_spread(endpoint->policy.id);
    int64_t first_us = INT64_MAX;
    for (uint32_t j = 0; j < endpoint->policy.block_count; j++) {
        struct block *block = &endpoint->blocks[j];
        int64_t spread_us =
            block->about.period_us < spread_us_max ? block->about.period_us : spread_us_max;
        block->next_us = start_us + (int64_t)(hash % (uint64_t)spread_us);
        first_us = block->next_us < first_us ? block->next_us : first_us;
    }
    loop_timer_start_at(&endpoint->slot_timer, (struct mono_us){first_us});
}

void acquisition_start(struct acquisition *acquisition) {
    int64_t start_us = clock_mono(loop_clock(acquisition->loop)).us;
    for (size_t i = 0; i < acquisition->endpoint_count; i++) {
        start_endpoint(acquisition->endpoints[i], start_us);
    }
}

struct acquisition *acquisition_destroy(struct acquisition *acquisition) {
    if (acquisition == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < acquisition->dial_count; i++) {
        (void)modbus_dial_close(acquisition->dials[i]);
    }
    for (size_t i = 0; i < acquisition->endpoint_count; i++) {
        (void)close_endpoint(acquisition->endpoints[i]);
    }
    free(acquisition->dials);
    free(acquisition->endpoints);
    free(acquisition->seqs);
    free(acquisition->foreign);
    free(acquisition);
    return NULL;
}

/* ---- reload ---- */

struct acquisition_reload {
    struct acquisition *acquisition;
    struct acquisition_options options;
    struct acquisition_moves moves;
    struct endpoint **sorted; /* the old ones, by place */
    struct endpoint **next;   /* the new list: kept ones stand in `sorted` too */
    bool *kept;               /* by place in `next` */
    uint64_t *seqs;
    bool *foreign;
};

static int compare_endpoints(const void *left, const void *right) {
    const struct endpoint *const *a = left;
    const struct endpoint *const *b = right;
    return modbus_endpoint_compare((*a)->config, (*b)->config);
}

/* The old endpoint that can go on as `config`, or NULL. */
static struct endpoint *find_unchanged(const struct acquisition_reload *reload,
                                       const struct modbus_endpoint_config *config) {
    struct endpoint key = {.config = config};
    const struct endpoint *key_place = &key;
    struct endpoint **found =
        bsearch(&key_place, reload->sorted, reload->acquisition->endpoint_count,
                sizeof(struct endpoint *), compare_endpoints);
    /* unit_count is compared with the rest, before units are looked at */
    return found != NULL && modbus_endpoint_unchanged((*found)->config, config,
                                                      reload->moves.points, reload->moves.stations)
               ? *found
               : NULL;
}

static int prepare_reload(struct acquisition_reload *reload, struct err *ret_err) {
    struct acquisition *acquisition = reload->acquisition;
    const struct modbus_config *modbus = reload->options.modbus;
    size_t old_count = acquisition->endpoint_count, count = modbus->endpoint_count;
    reload->sorted = calloc(old_count + 1, sizeof(struct endpoint *));
    reload->next = calloc(count + 1, sizeof(struct endpoint *));
    reload->kept = calloc(count + 1, sizeof(bool));
    reload->seqs = calloc(reload->options.station_count + 1, sizeof(uint64_t));
    reload->foreign = calloc(reload->options.station_count + 1, sizeof(bool));
    if (reload->sorted == NULL || reload->next == NULL || reload->kept == NULL ||
        reload->seqs == NULL || reload->foreign == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu endpoints", count);
    }
    memcpy(reload->sorted, acquisition->endpoints, old_count * sizeof(struct endpoint *));
    qsort(reload->sorted, old_count, sizeof(struct endpoint *), compare_endpoints);
    int result = open_dials(acquisition, &reload->options, ret_err);
    for (size_t i = 0; i < count && result == 0; i++) {
        reload->next[i] = find_unchanged(reload, &modbus->endpoints[i]);
        reload->kept[i] = reload->next[i] != NULL;
        if (!reload->kept[i]) {
            result = open_endpoint(acquisition, &modbus->endpoints[i], &reload->next[i], ret_err);
        }
    }
    return result;
}

int acquisition_prepare(struct acquisition *acquisition, const struct acquisition_options *options,
                        const struct acquisition_moves *moves,
                        struct acquisition_reload **ret_reload, struct err *ret_err) {
    struct acquisition_reload *reload = calloc(1, sizeof(*reload));
    if (reload == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory to reload");
    }
    *reload = (struct acquisition_reload){
        .acquisition = acquisition, .options = *options, .moves = *moves};
    int result = prepare_reload(reload, ret_err);
    if (result < 0) {
        (void)acquisition_abandon(reload);
        return result;
    }
    *ret_reload = reload;
    return 0;
}

static void free_reload(struct acquisition_reload *reload) {
    free(reload->sorted);
    free(reload->kept);
    free(reload);
}

struct acquisition_reload *acquisition_abandon(struct acquisition_reload *reload) {
    if (reload == NULL) {
        return NULL;
    }
    for (size_t i = 0;
         reload->next != NULL && reload->kept != NULL && i < reload->options.modbus->endpoint_count;
         i++) {
        if (!reload->kept[i]) {
            (void)close_endpoint(reload->next[i]);
        }
    }
    close_dials(reload->acquisition);
    free(reload->next);
    free(reload->seqs);
    free(reload->foreign);
    free_reload(reload);
    return NULL;
}

/* The numbers go on: those given here are newer than what a store can know. */
static void carry_seqs(struct acquisition_reload *reload, const uint64_t *last_seqs) {
    const struct acquisition *acquisition = reload->acquisition;
    if (last_seqs != NULL) {
        memcpy(reload->seqs, last_seqs, reload->options.station_count * sizeof(uint64_t));
    }
    for (size_t i = 0; i < acquisition->station_count; i++) {
        uint32_t station = reload->moves.stations[i];
        if (station != UINT32_MAX && acquisition->seqs[i] > reload->seqs[station]) {
            reload->seqs[station] = acquisition->seqs[i];
        }
    }
}

/* Kept endpoints move to the new list, the other old ones are closed. */
static void swap_endpoints(struct acquisition_reload *reload) {
    struct acquisition *acquisition = reload->acquisition;
    const struct modbus_config *modbus = reload->options.modbus;
    struct line_moves moves = {reload->moves.points, reload->moves.stations};
    for (size_t i = 0; i < modbus->endpoint_count; i++) {
        struct endpoint *endpoint = reload->next[i];
        if (reload->kept[i]) {
            endpoint->config = &modbus->endpoints[i];
            endpoint->driver->rebind(endpoint->line, endpoint->config, &moves, &endpoint->policy);
            endpoint->acquisition = NULL; /* marks it, for the next loop */
        }
    }
    for (size_t i = 0; i < acquisition->endpoint_count; i++) {
        if (acquisition->endpoints[i]->acquisition != NULL) {
            (void)close_endpoint(acquisition->endpoints[i]);
        }
    }
    for (size_t i = 0; i < modbus->endpoint_count; i++) {
        reload->next[i]->acquisition = acquisition;
    }
    free(acquisition->endpoints);
    acquisition->endpoints = reload->next;
    acquisition->endpoint_count = modbus->endpoint_count;
}

struct acquisition_reloaded acquisition_commit(struct acquisition_reload *reload, void *ctx,
                                               const uint64_t *last_seqs) {
    struct acquisition *acquisition = reload->acquisition;
    int64_t now_us = clock_mono(loop_clock(acquisition->loop)).us;
    struct acquisition_reloaded reloaded = {.closed = acquisition->endpoint_count};
    carry_seqs(reload, last_seqs);
    swap_endpoints(reload);
    free(acquisition->seqs);
    free(acquisition->foreign);
    acquisition->seqs = reload->seqs;
    acquisition->foreign = reload->foreign;
    reload->options.ctx = ctx;
    take_options(acquisition, &reload->options);
    for (size_t i = 0; i < acquisition->endpoint_count; i++) {
        if (!reload->kept[i]) {
            start_endpoint(acquisition->endpoints[i], now_us);
        }
        reloaded.kept += reload->kept[i];
        reloaded.opened += !reload->kept[i];
    }
    reloaded.closed -= reloaded.kept;
    close_dials(acquisition);
    free_reload(reload);
    return reloaded;
}

size_t acquisition_endpoint_count(const struct acquisition *acquisition) {
    return acquisition->endpoint_count;
}

const char *acquisition_endpoint_id(const struct acquisition *acquisition, size_t endpoint) {
    return acquisition->endpoints[endpoint]->policy.id;
}

void acquisition_endpoint_stats(const struct acquisition *acquisition, size_t endpoint,
                                struct endpoint_stats *ret_stats) {
    *ret_stats = acquisition->endpoints[endpoint]->stats;
}

uint64_t acquisition_last_seq(const struct acquisition *acquisition, size_t station) {
    return acquisition->seqs[station];
}

uint64_t acquisition_take_seq(struct acquisition *acquisition, size_t station) {
    return ++acquisition->seqs[station];
}

void acquisition_read_aside(struct acquisition *acquisition, struct aside_read *read) {
    struct endpoint *endpoint = acquisition->endpoints[read->endpoint];
    struct aside_read **place = &endpoint->asides;
    while (*place != NULL) {
        place = &(*place)->next;
    }
    read->next = NULL;
    read->queued = true;
    read->since_us = wire_us(endpoint);
    *place = read;
    if (!endpoint->answering) {
        endpoint_ready(endpoint);
    }
}

void acquisition_cancel_aside(struct acquisition *acquisition, struct aside_read *read) {
    if (read->endpoint >= acquisition->endpoint_count) {
        return;
    }
    struct endpoint *endpoint = acquisition->endpoints[read->endpoint];
    for (struct aside_read **place = &endpoint->asides; *place != NULL; place = &(*place)->next) {
        if (*place == read) {
            *place = read->next;
            break;
        }
    }
    read->queued = false;
    endpoint->aside = endpoint->aside == read ? NULL : endpoint->aside;
}

void acquisition_mark_foreign(struct acquisition *acquisition, size_t station, bool foreign) {
    acquisition->foreign[station] = foreign;
}

double endpoint_round_trip_us(const struct endpoint_stats *stats, double quantile) {
    uint64_t total = 0, seen = 0;
    double bound = 100;
    for (uint32_t i = 0; i < ROUND_TRIP_BUCKETS; i++) {
        total += stats->round_trips[i];
    }
    for (uint32_t i = 0; i < ROUND_TRIP_BUCKETS && total > 0; i++) {
        seen += stats->round_trips[i];
        if ((double)seen >= quantile * (double)total && seen > 0) {
            return bound;
        }
        bound *= M_SQRT2;
    }
    return NAN;
}

const char *endpoint_state_name(enum endpoint_state state) {
    static const char *const names[] = {"idle", "connecting", "connected", "paused"};
    return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}
