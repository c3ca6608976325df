/* From the last reply byte to the broker's acknowledgement: a reading that crosses a level goes
 * into pipeline_readings(), as a driver hands it over at the last byte of its reply, on the running
 * loop; the clock stops at the end of the turn in which the outbox has the broker's report for the
 * alert. In between: journal, quality control, engine, commit with fsync, outbox, producer, a real
 * broker, the report's way back. Observations are published too, as in service.
 *   alert_acknowledged  baseline: bare librdkafka in the same run, acks=all and idempotent, the
 *                       same bytes, rd_kafka_producev() to delivery report
 *   bare_commit         for comparison: one row of that size committed by bare SQLite with the
 *                       store's pragmas, what the disk alone takes
 * The three alternate. Needs a real broker in CANHBAO_KAFKA (run starts one); exit 77 without. */
#include <librdkafka/rdkafka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/delivery.h"
#include "daemon/pipeline.h"
#include "tests/bench/common.h"

enum {
    LEVELS = RULE_LEVELS_MAX,
    STATIONS = 80, /* each rises through all levels once */
    SAMPLES_MAX = STATIONS * LEVELS,
    WAIT_S = 60,
    SKIPPED = 77,
    ALERT_BYTES_MAX = 65536
};

struct bench {
    char dir[BENCH_PATH_SIZE];
    struct bench_site site;
    struct clock *clock;
    struct loop *loop;
    struct store *store;
    struct delivery *delivery;
    struct pipeline *pipeline;
    struct loop_timer start_timer, end_timer;
    struct loop_hook hook;
    uint64_t seqs[STATIONS];
    uint32_t sample; /* the one under way */
    uint64_t events_before, delivered_before;
    double begin_s, end_s; /* end_s 0: not acknowledged yet */
    char alert[ALERT_BYTES_MAX];
    size_t alert_length;
    /* baselines */
    rd_kafka_t *producer;
    rd_kafka_queue_t *reports;
    char topic[64];
    sqlite3 *db;
    sqlite3_stmt *begin, *insert, *commit;
};

/* ---- ours ---- */

static void on_committed(void *ctx) {
    const struct bench *bench = ctx;
    if (bench->delivery != NULL) {
        delivery_wake(bench->delivery);
    }
}

static void on_event(void *ctx, int64_t number, const char *alert_json) {
    struct bench *bench = ctx;
    (void)number;
    bench->alert_length = strlen(alert_json);
    if (bench->alert_length >= sizeof bench->alert) {
        bench_die("alert", "too long");
    }
    memcpy(bench->alert, alert_json, bench->alert_length);
}

static void on_store(void *ctx, int code, const char *text) {
    (void)ctx;
    (void)code;
    bench_die("store", text);
}

static void outbox_now(const struct bench *bench, struct outbox_status *ret_status) {
    outbox_status(delivery_outbox(bench->delivery), clock_wire(bench->clock), ret_status);
}

/* The reply has come: station sample / LEVELS stands half a metre above its next level. */
static void on_start(void *ctx) {
    struct bench *bench = ctx;
    uint32_t station = bench->sample / LEVELS;
    struct reading reading = {.point = station,
                              .seq = ++bench->seqs[station],
                              .status = READING_OK,
                              .raw_len = 4,
                              .raw = {1, 2, 3, 4},
                              .value = 1.5 + bench->sample % LEVELS,
                              .received = clock_now(bench->clock),
                              .round_trip_us = 2000,
                              .flag = QUALITY_NOT_EVALUATED};
    bench->begin_s = bench_wall_s();
    pipeline_readings(bench->pipeline, &reading, 1);
}

/* At the end of every turn: is the alert with the broker? Hooks run in the order of their adding,
 * so that the pipeline's, which commits, came before. */
static void on_turn(void *ctx) {
    struct bench *bench = ctx;
    struct outbox_status status;
    struct pipeline_counters counters = pipeline_counters(bench->pipeline);
    if (bench->begin_s <= 0 || counters.events == bench->events_before) {
        return;
    }
    outbox_now(bench, &status);
    if (bench->end_s <= 0 && status.delivered > bench->delivered_before &&
        status.waiting[KAFKA_TOPIC_ALERT] == 0) {
        bench->end_s = bench_wall_s();
    }
    size_t left = 0;
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++) {
        left += status.waiting[i];
    }
    if (bench->end_s > 0 && left == 0) { /* its state record and observation too */
        loop_stop(bench->loop);
    }
}

static void on_too_late(void *ctx) {
    (void)ctx;
    bench_die("alert", "no acknowledgement in time");
}

static double time_alert(struct bench *bench, uint32_t sample) {
    struct outbox_status status;
    outbox_now(bench, &status);
    bench->sample = sample;
    bench->begin_s = bench->end_s = 0;
    bench->delivered_before = status.delivered;
    bench->events_before = pipeline_counters(bench->pipeline).events;
    loop_timer_start_in(&bench->start_timer, 0);
    loop_timer_start_in(&bench->end_timer, WAIT_S * INT64_C(1000000));
    if (loop_run(bench->loop) != 0) {
        bench_die("loop", "failed");
    }
    loop_timer_stop(&bench->end_timer);
    if (pipeline_counters(bench->pipeline).events != bench->events_before + 1) {
        bench_die("reading", "did not give exactly one transition");
    }
    return (bench->end_s - bench->begin_s) * 1e3;
}

static void open_ours(struct bench *bench, const char *brokers, const char *prefix) {
    struct err err = {.text = "no memory"};
    struct kafka_config kafka = {.brokers = brokers, .topic_prefix = prefix, .create_topics = true};
    bench_site_make(STATIONS, 1, 1, &bench->site);
    for (int i = 0; i < STATIONS; i++) {
        /* The river rises a level within milliseconds here: no test may doubt it. */
        bench->site.points[i].quality.rate_max_per_s = 1e9;
        bench->site.points[i].quality.spike_suspect = 1e9;
        bench->site.points[i].quality.spike_fail = 1e9;
    }
    if (clock_create_real(&bench->clock) != 0 || loop_create(bench->clock, &bench->loop) != 0 ||
        loop_timer_init(bench->loop, LOOP_WIRE, on_start, bench, &bench->start_timer) != 0 ||
        loop_timer_init(bench->loop, LOOP_WIRE, on_too_late, bench, &bench->end_timer) != 0 ||
        store_open(bench->dir, NULL, &bench->store, &err) != 0 ||
        delivery_create(bench->loop, bench->store, &kafka, &bench->delivery, &err) != 0) {
        bench_die("start", err.text);
    }
    bench->site.site.rule_count = 1; /* "flood" alone: one transition a reading */
    struct pipeline_options options = {.loop = bench->loop,
                                       .store = bench->store,
                                       .site = &bench->site.site,
                                       .site_revision = "bench",
                                       .source = "//bench",
                                       .messages = {.status = MESSAGE_TEST},
                                       .publish_observations = true,
                                       .on_committed = on_committed,
                                       .on_event = on_event,
                                       .on_store = on_store,
                                       .ctx = bench};
    if (pipeline_create(&options, &bench->pipeline, &err) != 0 ||
        pipeline_start(bench->pipeline, &err) != 0) {
        bench_die("pipeline", err.text);
    }
    loop_hook_add(bench->loop, on_turn, bench, &bench->hook);
}

/* ---- bare librdkafka ---- */

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        bench_die(name, text);
    }
}

static void open_producer(struct bench *bench, const char *brokers, const char *prefix) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "acks", "all");
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", "0");
    set(conf, "socket.nagle.disable", "true");
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    bench->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (bench->producer == NULL) {
        bench_die("producer", text);
    }
    bench->reports = rd_kafka_queue_get_main(bench->producer);
    (void)snprintf(bench->topic, sizeof bench->topic, "%sbare", prefix);
}

static double time_bare(struct bench *bench) {
    double begin_s = bench_wall_s();
    rd_kafka_resp_err_t code = __extension__ rd_kafka_producev(
        bench->producer, RD_KAFKA_V_TOPIC(bench->topic), RD_KAFKA_V_KEY("station-0", 9),
        RD_KAFKA_V_VALUE(bench->alert, bench->alert_length),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        bench_die("bare producer", rd_kafka_err2str(code));
    }
    rd_kafka_event_t *event = rd_kafka_queue_poll(bench->reports, WAIT_S * 1000);
    double end_s = bench_wall_s();
    const rd_kafka_message_t *message = event != NULL ? rd_kafka_event_message_next(event) : NULL;
    if (message == NULL || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        bench_die("bare producer",
                  message != NULL ? rd_kafka_err2str(message->err) : "no report in time");
    }
    rd_kafka_event_destroy(event);
    return (end_s - begin_s) * 1e3;
}

/* ---- bare SQLite ---- */

static void open_bare_db(struct bench *bench) {
    char path[BENCH_PATH_SIZE + 16];
    (void)snprintf(path, sizeof path, "%s/bare.db", bench->dir);
    static const char table[] =
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size=4096; PRAGMA journal_mode=WAL;"
        "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=8388608; PRAGMA cache_size=-16384;"
        "CREATE TABLE events(seq INTEGER PRIMARY KEY, body BLOB NOT NULL)";
    if (sqlite3_open(path, &bench->db) != SQLITE_OK ||
        sqlite3_exec(bench->db, table, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(bench->db, "BEGIN IMMEDIATE", -1, &bench->begin, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(bench->db, "INSERT INTO events(body) VALUES(?1)", -1, &bench->insert,
                           NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(bench->db, "COMMIT", -1, &bench->commit, NULL) != SQLITE_OK) {
        bench_die("bare SQLite", sqlite3_errmsg(bench->db));
    }
}

static double time_commit(struct bench *bench) {
    sqlite3_stmt *const steps[] = {bench->begin, bench->insert, bench->commit};
    double begin_s = bench_wall_s();
    (void)sqlite3_bind_blob(bench->insert, 1, bench->alert, (int)bench->alert_length,
                            SQLITE_STATIC); /* in range */
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (sqlite3_step(steps[i]) != SQLITE_DONE) {
            bench_die("bare SQLite", sqlite3_errmsg(bench->db));
        }
        (void)sqlite3_reset(steps[i]); /* the step succeeded */
    }
    return (bench_wall_s() - begin_s) * 1e3;
}

/* ---- all ---- */

static double quantile(const double *sorted, int count, double share) {
    return sorted[(int)(share * (count - 1))];
}

static void report(double *alerts, double *bare, double *commits, int count) {
    static const struct {
        const char *name;
        double share;
    } parts[] = {{"median", 0.5}, {"p99", 0.99}};
    bench_sort(alerts, (size_t)count);
    bench_sort(bare, (size_t)count);
    bench_sort(commits, (size_t)count);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        double value = quantile(alerts, count, parts[i].share);
        double baseline = quantile(bare, count, parts[i].share);
        (void)printf("{\"bench\":\"latency\",\"metric\":\"alert_acknowledged_%s\",\"value\":%.2f,"
                     "\"unit\":\"ms\",\"baseline\":%.2f,\"ratio\":%.2f,\"transitions\":%d}\n",
                     parts[i].name, value, baseline, value / baseline, count);
        (void)printf("{\"bench\":\"latency\",\"metric\":\"bare_commit_%s\",\"value\":%.2f,"
                     "\"unit\":\"ms\"}\n",
                     parts[i].name, quantile(commits, count, parts[i].share));
    }
}

static void finish(struct bench *bench) {
    loop_hook_remove(&bench->hook);
    bench->pipeline = pipeline_destroy(bench->pipeline);
    bench->delivery = delivery_destroy(bench->delivery, 1000);
    (void)store_close(bench->store);
    loop_timer_finish(&bench->start_timer);
    loop_timer_finish(&bench->end_timer);
    (void)loop_destroy(bench->loop);
    (void)clock_destroy(bench->clock);
    rd_kafka_queue_destroy(bench->reports);
    rd_kafka_destroy(bench->producer);
    (void)sqlite3_finalize(bench->begin);
    (void)sqlite3_finalize(bench->insert);
    (void)sqlite3_finalize(bench->commit);
    (void)sqlite3_close(bench->db);
    bench_site_finish(&bench->site);
    bench_remove_dir(bench->dir);
}

int main(void) {
    static struct bench bench;
    static double alerts[SAMPLES_MAX], bare[SAMPLES_MAX], commits[SAMPLES_MAX];
    const char *brokers = getenv("CANHBAO_KAFKA");
    bool smoke = getenv("CANHBAO_BENCH_SMOKE") != NULL;
    int first = LEVELS, count = smoke ? 4 * LEVELS : SAMPLES_MAX - first;
    char prefix[48];
    if (brokers == NULL) {
        (void)fprintf(stderr, "SKIPPED: latency: no broker in CANHBAO_KAFKA\n");
        return SKIPPED;
    }
    (void)snprintf(prefix, sizeof prefix, "bench%.0f.", bench_wall_s() * 1e6);
    bench_make_dir(bench.dir);
    open_ours(&bench, brokers, prefix);
    open_producer(&bench, brokers, prefix);
    open_bare_db(&bench);
    for (int i = 0; i < first; i++) { /* connections are made, topics met */
        (void)time_alert(&bench, (uint32_t)i);
        (void)time_bare(&bench);
        (void)time_commit(&bench);
    }
    for (int i = 0; i < count; i++) {
        alerts[i] = time_alert(&bench, (uint32_t)(first + i));
        bare[i] = time_bare(&bench);
        commits[i] = time_commit(&bench);
    }
    report(alerts, bare, commits, count);
    finish(&bench);
    return 0;
}
