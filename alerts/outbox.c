#include "alerts/outbox.h"

#include <stdlib.h>
#include <string.h>

enum {
    REPORTS_MAX = 512, /* taken at a time */
    ROUNDS_MAX = 8,    /* of reports in one service */
    KEY_BITS = 8192,   /* of the set of busy keys; two keys on one bit only wait for each other */
    PAUSE_SHIFT_MAX = 6
};

static const int64_t PAUSE_US = 1000000;   /* after a failure, doubled up to 64 times */
static const int64_t STEADY_US = 60000000; /* a producer that lived so long starts with it again */

enum row_state { ROW_WAITING, ROW_IN_FLIGHT, ROW_DELIVERED, ROW_GONE };

struct row {
    int64_t row;
    uint64_t key_hash;
    int64_t since_us;
    int64_t retry_us; /* not before */
    enum row_state state;
    int failures;
};

/* The window over one topic's rows, ascending. */
struct lane {
    struct row rows[OUTBOX_WINDOW];
    size_t count;
    int64_t cursor; /* the last row that was listed */
    bool failing;
};

struct outbox {
    struct outbox_source source;
    struct kafka *kafka;
    struct lane lanes[KAFKA_TOPIC_COUNT];
    int64_t built_us;   /* when the producer was made */
    int64_t rebuild_us; /* not before */
    int rebuilds;       /* in short order */
    uint64_t sent, delivered, failed;
    size_t in_flight;
};

int outbox_create(const struct outbox_source *source, struct kafka *kafka,
                  struct outbox **ret_outbox) {
    struct outbox *outbox = calloc(1, sizeof *outbox);
    if (!outbox)
        return ERR_MEMORY;
    outbox->source = *source;
    outbox->kafka = kafka;
    *ret_outbox = outbox;
    return 0;
}

struct outbox *outbox_destroy(struct outbox *outbox) {
    free(outbox);
    return NULL;
}

static int64_t pause_us(int failures) {
    return PAUSE_US << (failures < PAUSE_SHIFT_MAX ? failures : PAUSE_SHIFT_MAX);
}

static int compare_rows(const void *key, const void *element) {
    int64_t wanted = *(const int64_t *)key, row = ((const struct row *)element)->row;
    return (wanted > row) - (wanted < row);
}

static struct row *find_row(struct outbox *outbox, int64_t number, struct lane **ret_lane) {
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++) {
        struct lane *lane = &outbox->lanes[i];
        struct row *row =
            bsearch(&number, lane->rows, lane->count, sizeof lane->rows[0], compare_rows);
        if (row) {
            *ret_lane = lane;
            return row;
        }
    }
    return NULL;
}

static void take_report(struct outbox *outbox, const struct kafka_report *report, int64_t now_us) {
    struct lane *lane = NULL;
    struct row *row = find_row(outbox, (int64_t)report->token, &lane);
    if (!row || row->state != ROW_IN_FLIGHT)
        return; /* a row that was shed while it was on its way */
    outbox->in_flight--;
    lane->failing = report->result != KAFKA_DELIVERED;
    if (report->result == KAFKA_DELIVERED) {
        row->state = ROW_DELIVERED;
        outbox->delivered++;
        return;
    }
    row->state = ROW_WAITING;
    row->retry_us = report->result == KAFKA_REFUSED ? now_us + pause_us(row->failures++) : 0;
    outbox->failed++;
}

static void take_reports(struct outbox *outbox, int64_t now_us) {
    struct kafka_report reports[REPORTS_MAX];
    for (int i = 0; i < ROUNDS_MAX; i++) {
        size_t count = kafka_poll(outbox->kafka, reports, REPORTS_MAX);
        for (size_t j = 0; j < count; j++)
            take_report(outbox, &reports[j], now_us);
        if (count < REPORTS_MAX)
            break;
    }
}

/* Takes rows that need nothing more out of the window. */
static void compact(struct lane *lane, enum row_state finished) {
    size_t kept = 0;
    for (size_t i = 0; i < lane->count; i++)
        if (lane->rows[i].state != finished)
            lane->rows[kept++] = lane->rows[i];
    lane->count = kept;
}

static int mark(struct outbox *outbox) {
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++) {
        struct lane *lane = &outbox->lanes[i];
        int64_t rows[OUTBOX_WINDOW];
        size_t count = 0;
        for (size_t j = 0; j < lane->count; j++)
            if (lane->rows[j].state == ROW_DELIVERED)
                rows[count++] = lane->rows[j].row;
        if (count == 0)
            continue;
        int result = outbox->source.mark(outbox->source.user, rows, count);
        if (result == ERR_LIMIT || result == ERR_BUSY)
            return 0; /* they stay in the window until the store has room */
        if (result != 0)
            return result;
        compact(lane, ROW_DELIVERED);
    }
    return 0;
}

/* A broken producer is replaced; everything that was in it waits again, in its place. */
static void repair(struct outbox *outbox, int64_t now_us) {
    if (!kafka_is_broken(outbox->kafka) || now_us < outbox->rebuild_us)
        return;
    int result = kafka_rebuild(outbox->kafka, NULL);
    if (result == ERR_BUSY)
        return;
    if (now_us - outbox->built_us > STEADY_US)
        outbox->rebuilds = 0;
    outbox->built_us = now_us;
    outbox->rebuild_us = now_us + pause_us(outbox->rebuilds++);
    outbox->in_flight = 0;
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++)
        for (size_t j = 0; j < outbox->lanes[i].count; j++)
            if (outbox->lanes[i].rows[j].state == ROW_IN_FLIGHT)
                outbox->lanes[i].rows[j].state = ROW_WAITING;
}

static int refill(struct outbox *outbox, enum kafka_topic topic, int64_t now_us) {
    struct lane *lane = &outbox->lanes[topic];
    struct outbox_ref refs[OUTBOX_WINDOW];
    size_t room = OUTBOX_WINDOW - lane->count, count = 0;
    if (room == 0)
        return 0;
    int result = outbox->source.list(outbox->source.user, topic, lane->cursor, refs, room, &count);
    if (result != 0)
        return result;
    for (size_t i = 0; i < count && i < room; i++) {
        lane->rows[lane->count++] =
            (struct row){.row = refs[i].row, .key_hash = refs[i].key_hash, .since_us = now_us};
        lane->cursor = refs[i].row;
    }
    return 0;
}

/* Hands one row to the producer. ERR_BUSY, ERR_CLOSED: no more now. */
static int send_row(struct outbox *outbox, struct lane *lane, struct row *row, int64_t now_us) {
    struct kafka_message message;
    int result = outbox->source.read(outbox->source.user, row->row, &message);
    if (result == ERR_NOT_FOUND) {
        row->state = ROW_GONE;
        return 0;
    }
    if (result != 0)
        return result;
    result = kafka_send(outbox->kafka, &message, (uint64_t)row->row);
    if (result == 0) {
        row->state = ROW_IN_FLIGHT;
        outbox->in_flight++;
        outbox->sent++;
    } else if (result != ERR_BUSY && result != ERR_CLOSED) {
        lane->failing = true;
        row->retry_us = now_us + pause_us(row->failures++);
        outbox->failed++;
        result = 0;
    }
    return result;
}

/* Sends every row whose key has no earlier row on the way. */
static int send_lane(struct outbox *outbox, struct lane *lane, int64_t now_us) {
    uint64_t busy[KEY_BITS / 64] = {0};
    int result = 0;
    for (size_t i = 0; i < lane->count && result == 0; i++) {
        struct row *row = &lane->rows[i];
        uint64_t bit = row->key_hash % KEY_BITS;
        if (row->state == ROW_DELIVERED || row->state == ROW_GONE)
            continue;
        bool free_key = !(busy[bit / 64] & (1ULL << (bit % 64)));
        if (row->state == ROW_WAITING && free_key && now_us >= row->retry_us)
            result = send_row(outbox, lane, row, now_us);
        if (row->state != ROW_GONE)
            busy[bit / 64] |= 1ULL << (bit % 64);
    }
    compact(lane, ROW_GONE);
    return result;
}

int outbox_service(struct outbox *outbox, struct mono_us now) {
    take_reports(outbox, now.us);
    int first_error = mark(outbox);
    repair(outbox, now.us);
    int result = 0;
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++) {
        int listed = refill(outbox, (enum kafka_topic)i, now.us);
        if (first_error == 0)
            first_error = listed;
        if (result == 0)
            result = send_lane(outbox, &outbox->lanes[i], now.us);
    }
    if (result == ERR_BUSY || result == ERR_CLOSED)
        result = 0; /* the producer is full or broken: the next service goes on */
    return first_error != 0 ? first_error : result;
}

size_t outbox_in_flight(const struct outbox *outbox) {
    return outbox->in_flight;
}

void outbox_status(const struct outbox *outbox, struct mono_us now,
                   struct outbox_status *ret_status) {
    struct outbox_status status = {.sent = outbox->sent,
                                   .delivered = outbox->delivered,
                                   .failed = outbox->failed,
                                   .in_flight = outbox->in_flight};
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++) {
        const struct lane *lane = &outbox->lanes[i];
        status.failing[i] = lane->failing;
        for (size_t j = 0; j < lane->count; j++) {
            const struct row *row = &lane->rows[j];
            if (row->state != ROW_WAITING && row->state != ROW_IN_FLIGHT)
                continue;
            status.waiting[i]++;
            if (now.us - row->since_us > status.oldest_us)
                status.oldest_us = now.us - row->since_us;
        }
    }
    *ret_status = status;
}
