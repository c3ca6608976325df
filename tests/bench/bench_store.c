/* Readings per second into the store, against a bare SQLite loop that inserts the same rows into
 * the same table with the same pragmas and the same number of rows in a commit. Three paths: store
 * store_append_reading() and store_commit() alone engine     encoded, journaled, quality control
 * and engine, store: what the daemon does published  the same, and an observation message of four
 * readings each into the outbox Rounds alternate and the median counts, because the disk is
 * nobody's alone. Wall-clock time: most of it is the disk's, as it will be in service. */
#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alerts/message/observation.h"
#include "daemon/engine.h"
#include "daemon/store/store.h"

enum {
    STATIONS = 100,
    POINTS_EACH = 4,
    POINTS = STATIONS * POINTS_EACH,
    ROUNDS_MAX = 5,
    PATHS = 4
};

enum path { PATH_BARE, PATH_STORE, PATH_ENGINE, PATH_PUBLISHED };

static const char *const path_names[PATHS] = {"bare", "store", "engine", "published"};

struct bench {
    char dir[64];
    sqlite3 *db;
    sqlite3_stmt *insert, *begin, *commit;
    struct store *store;
    int64_t handles[POINTS];
    struct station *stations;
    struct point *points;
    struct engine *engine;
    struct bytes bytes;
    struct reading batch[POINTS_EACH];
    size_t batch_count;
    bool publish;
    uint64_t number;
    char text[MESSAGE_SIZE_MAX];
};

static void die(const char *what, const char *why) {
    (void)fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(1);
}

static double wall_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Reading n of the run: the points in turn, one station after the other, every 10 s of its time. */
static struct reading make_reading(uint64_t n) {
    int64_t us = (int64_t)(n / POINTS) * 10000000 + (int64_t)(n % POINTS);
    return (struct reading){.point = (uint32_t)(n % POINTS),
                            .seq = n / POINTS * POINTS_EACH + n % POINTS_EACH + 1,
                            .status = READING_OK,
                            .raw_len = 4,
                            .raw = {1, 2, 3, (uint8_t)n},
                            .value = 3 + sin((double)n / 1000),
                            .received = {{1000000 + us}, {1763532000000000 + us}},
                            .round_trip_us = 2000,
                            .flag = QUALITY_NOT_EVALUATED};
}

static void insert_bare(struct bench *bench, uint64_t n) {
    struct reading reading = make_reading(n);
    sqlite3_stmt *s = bench->insert;
    sqlite3_bind_int64(s, 1, bench->handles[reading.point]);
    sqlite3_bind_int64(s, 2, reading.received.utc.us);
    sqlite3_bind_int64(s, 3, (int64_t)reading.seq);
    sqlite3_bind_int(s, 4, (int)reading.status);
    sqlite3_bind_int(s, 5, reading.exception);
    sqlite3_bind_blob(s, 6, reading.raw, reading.raw_len, SQLITE_STATIC);
    sqlite3_bind_double(s, 7, reading.value);
    sqlite3_bind_int64(s, 8, reading.round_trip_us);
    sqlite3_bind_int(s, 9, (int)reading.flag);
    sqlite3_bind_int(s, 10, reading.suspect_tests);
    sqlite3_bind_int(s, 11, reading.fail_tests);
    sqlite3_bind_int64(s, 12, reading.quality_revision);
    if (sqlite3_step(s) != SQLITE_DONE)
        die("insert", sqlite3_errmsg(bench->db));
    sqlite3_reset(s);
}

static void step(struct bench *bench, sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE)
        die("transaction", sqlite3_errmsg(bench->db));
    sqlite3_reset(statement);
}

static void on_reading(void *context, const struct reading *reading) {
    struct bench *bench = context;
    if (store_append_reading(bench->store, bench->handles[reading->point], reading) != 0)
        die("reading", "not taken");
    bench->batch[bench->batch_count++] = *reading;
    if (bench->batch_count < POINTS_EACH)
        return;
    bench->batch_count = 0;
    if (!bench->publish)
        return;
    const struct station *station = &bench->stations[bench->points[reading->point].station];
    const struct message_context messages = {.status = MESSAGE_TEST};
    size_t length = 0;
    char id[32];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)bench->number);
    if (message_observation(station, bench->points, bench->batch, POINTS_EACH, false, &messages,
                            bench->text, sizeof bench->text, &length) != 0)
        die("observation", "does not fit");
    struct kafka_message message = {.topic = KAFKA_TOPIC_OBSERVATION,
                                    .key = station->id,
                                    .id = id,
                                    .type = "canhbao.observation.v1",
                                    .source = "//bench",
                                    .time = reading->received.utc,
                                    .sequence = reading->seq,
                                    .body = bench->text,
                                    .body_len = length};
    if (store_append_outbox(bench->store, &message) != 0)
        die("outbox", "not taken");
}

static void take_by_engine(struct bench *bench, uint64_t n) {
    struct engine_input input = {.kind = ENGINE_READING, .number = ++bench->number};
    input.as.reading = make_reading(n);
    input.now = input.as.reading.received;
    const struct engine_sink sink = {.context = bench, .on_reading = on_reading};
    bytes_clear(&bench->bytes);
    if (engine_input_encode(bench->engine, &input, &bench->bytes) != 0 ||
        store_append_journal(bench->store, input.number, input.now, bench->bytes.data,
                             bench->bytes.length) != 0 ||
        engine_step(bench->engine, &input, &sink) != 0)
        die("input", "not taken");
}

static void open_bare(struct bench *bench) {
    char path[96];
    (void)snprintf(path, sizeof path, "%s/bare.db", bench->dir);
    static const char table[] =
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size=4096; PRAGMA journal_mode=WAL;"
        "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=8388608; PRAGMA cache_size=-16384;"
        "CREATE TABLE readings(point INTEGER NOT NULL, received_us INTEGER NOT NULL,"
        "  seq INTEGER NOT NULL, status INTEGER NOT NULL, exception INTEGER NOT NULL,"
        "  raw BLOB NOT NULL, value REAL, round_trip_us INTEGER NOT NULL, flag INTEGER NOT NULL,"
        "  suspect_tests INTEGER NOT NULL, fail_tests INTEGER NOT NULL,"
        "  quality_revision INTEGER NOT NULL, PRIMARY KEY(point, received_us, seq)) WITHOUT ROWID";
    if (sqlite3_open(path, &bench->db) != SQLITE_OK ||
        sqlite3_exec(bench->db, table, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(bench->db,
                           "INSERT INTO readings VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
                           -1, &bench->insert, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(bench->db, "BEGIN IMMEDIATE", -1, &bench->begin, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(bench->db, "COMMIT", -1, &bench->commit, NULL) != SQLITE_OK)
        die("bare", sqlite3_errmsg(bench->db));
    for (int i = 0; i < POINTS; i++)
        bench->handles[i] = i + 1;
}

static void make_site(struct bench *bench) {
    bench->stations = calloc(STATIONS, sizeof *bench->stations);
    bench->points = calloc(POINTS, sizeof *bench->points);
    if (!bench->stations || !bench->points)
        die("site", "no memory");
    for (uint32_t i = 0; i < STATIONS; i++) {
        struct station *station = &bench->stations[i];
        (void)snprintf(station->id, sizeof station->id, "station-%u", i);
        station->first_point = i * POINTS_EACH;
        station->point_count = POINTS_EACH;
        for (uint32_t j = 0; j < POINTS_EACH; j++) {
            struct point *point = &bench->points[i * POINTS_EACH + j];
            *point = (struct point){.quantity = "stage",
                                    .unit = "m",
                                    .station = i,
                                    .period_us = 10000000,
                                    .stale_after_us = 60000000,
                                    .counter_modulus = (double)NAN,
                                    .counter_step_max = (double)NAN,
                                    .quality = {.hard_min = -5,
                                                .hard_max = 50,
                                                .soft_min = -1,
                                                .soft_max = 30,
                                                .rate_max_per_s = 1,
                                                .spike_suspect = 1,
                                                .spike_fail = 2,
                                                .flat_epsilon = 0.001,
                                                .flat_suspect_us = 3600000000,
                                                .flat_fail_us = 7200000000,
                                                .gap_us = 600000000,
                                                .revision = 1}};
            (void)snprintf(point->id, sizeof point->id, "stage-%u", j);
        }
    }
}

static void open_store(struct bench *bench) {
    struct err err;
    if (store_open(bench->dir, NULL, &bench->store, &err) != 0)
        die("store", err.text);
    make_site(bench);
    for (int i = 0; i < POINTS; i++)
        if (store_point_handle(bench->store, bench->stations[i / POINTS_EACH].id,
                               bench->points[i].id, "m", &bench->handles[i], &err) != 0)
            die("point", err.text);
    struct engine_site site = {.stations = bench->stations,
                               .station_count = STATIONS,
                               .points = bench->points,
                               .point_count = POINTS};
    if (engine_create(&site, (struct moment){{0}, {1763532000000000}}, &bench->engine, &err) != 0)
        die("engine", err.text);
}

static void finish(struct bench *bench) {
    char command[96];
    sqlite3_finalize(bench->insert);
    sqlite3_finalize(bench->begin);
    sqlite3_finalize(bench->commit);
    sqlite3_close(bench->db);
    (void)store_close(bench->store);
    (void)engine_destroy(bench->engine);
    bytes_finish(&bench->bytes);
    free(bench->stations);
    free(bench->points);
    (void)snprintf(command, sizeof command, "rm -rf %s", bench->dir);
    if (system(command) != 0)
        die(bench->dir, "cannot be removed");
}

/* Rows per second of one path in a database of its own. */
static double measure(enum path path, unsigned rows_per_commit, double seconds) {
    struct bench *bench = calloc(1, sizeof *bench);
    struct err err;
    if (!bench)
        die("bench", "no memory");
    const char *base = getenv("TMPDIR");
    (void)snprintf(bench->dir, sizeof bench->dir, "%s/canhbao-bench-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(bench->dir))
        die(bench->dir, strerror(errno));
    bench->publish = path == PATH_PUBLISHED;
    if (path == PATH_BARE)
        open_bare(bench);
    else
        open_store(bench);
    uint64_t n = 0;
    double start = wall_s(), end = start;
    while (end - start < seconds) {
        if (path == PATH_BARE)
            step(bench, bench->begin);
        for (unsigned i = 0; i < rows_per_commit; i++, n++) {
            struct reading reading = make_reading(n);
            if (path == PATH_BARE)
                insert_bare(bench, n);
            else if (path != PATH_STORE)
                take_by_engine(bench, n);
            else if (store_append_reading(bench->store, bench->handles[n % POINTS], &reading) != 0)
                die("reading", "not taken");
        }
        if (path == PATH_BARE)
            step(bench, bench->commit);
        else if (store_commit(bench->store, &err) != 0)
            die("commit", err.text);
        end = wall_s();
    }
    finish(bench);
    free(bench);
    return (double)n / (end - start);
}

static int compare(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

int main(void) {
    bool smoke = getenv("CANHBAO_BENCH_SMOKE") != NULL;
    int rounds = smoke ? 1 : ROUNDS_MAX;
    static const unsigned sizes[] = {100, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double results[PATHS][ROUNDS_MAX];
        for (int round = 0; round < rounds; round++)
            for (int path = 0; path < PATHS; path++)
                results[path][round] = measure((enum path)path, sizes[i], smoke ? 0.1 : 1.0);
        for (int path = 0; path < PATHS; path++)
            qsort(results[path], (size_t)rounds, sizeof results[path][0], compare);
        double bare = results[PATH_BARE][rounds / 2];
        for (int path = PATH_STORE; path < PATHS; path++) {
            double rate = results[path][rounds / 2];
            (void)printf("{\"bench\":\"store\",\"metric\":\"readings_%s_%u_a_commit\","
                         "\"value\":%.0f,\"unit\":\"1/s\",\"baseline\":%.0f,\"ratio\":%.3f}\n",
                         path_names[path], sizes[i], rate, bare, rate / bare);
        }
    }
    return 0;
}
