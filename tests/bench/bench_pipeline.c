/* Readings per second into a durable file: quality control, engine and store, as the daemon runs
 * them, against a bare SQLite loop that inserts the same rows into the same table with the same
 * pragmas and the same number of rows in a commit.
 *   store      store_append_reading() and store_commit() alone
 *   pipeline   daemon/pipeline.c: numbered, journaled, quality control, two rules, newest value
 *   published  the same, and an observation message of each station's four readings in the outbox
 * Every path writes the same readings into a file of its own. Rounds alternate between the paths;
 * printed are medians over the rounds, the ratio being the median of each round's ratio. Wall-clock
 * time, because most of it is the disk's in service too; cpu_us is the processor time of a row. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/pipeline.h"
#include "tests/bench/common.h"

enum {
    STATIONS = 100,
    POINTS_EACH = 4,
    POINTS = STATIONS * POINTS_EACH,
    ROUNDS_MAX = 5,
    ROWS = 40000, /* of a path in a round */
    PERIOD_US = 10000000
};

static const int64_t start_us = 1763532000000000; /* 2025-11-19T06:00:00Z */

enum path { PATH_BARE, PATH_STORE, PATH_PIPELINE, PATH_PUBLISHED, PATHS };

static const char *const path_names[PATHS] = {"bare", "store", "pipeline", "published"};

struct bench {
    char dir[BENCH_PATH_SIZE];
    struct bench_site site;
    /* bare */
    sqlite3 *db;
    sqlite3_stmt *insert, *begin, *commit;
    /* ours */
    struct store *store;
    int64_t handles[POINTS];
    struct clock *clock;
    struct loop *loop;
    struct pipeline *pipeline;
};

struct result {
    double rows_per_s, cpu_us_per_row;
};

/* Reading n: the points in turn, one station after the other, every PERIOD_US of scenario time. */
static struct reading make_reading(uint64_t n) {
    int64_t us = (int64_t)(n / POINTS) * PERIOD_US + (int64_t)(n % POINTS);
    return (struct reading){.point = (uint32_t)(n % POINTS),
                            .seq = n / POINTS * POINTS_EACH + n % POINTS_EACH + 1,
                            .status = READING_OK,
                            .raw_len = 4,
                            .raw = {1, 2, 3, (uint8_t)n},
                            .value = 3 + sin((double)n / 20000),
                            .received = {{1000000 + us}, {start_us + us}},
                            .round_trip_us = 2000,
                            .flag = QUALITY_NOT_EVALUATED};
}

static void insert_bare(struct bench *bench, const struct reading *reading) {
    sqlite3_stmt *s = bench->insert;
    sqlite3_bind_int64(s, 1, bench->handles[reading->point]);
    sqlite3_bind_int64(s, 2, reading->received.utc.us);
    sqlite3_bind_int64(s, 3, (int64_t)reading->seq);
    sqlite3_bind_int(s, 4, (int)reading->status);
    sqlite3_bind_int(s, 5, reading->exception);
    sqlite3_bind_blob(s, 6, reading->raw, reading->raw_len, SQLITE_STATIC);
    sqlite3_bind_double(s, 7, reading->value);
    sqlite3_bind_int64(s, 8, reading->round_trip_us);
    sqlite3_bind_int(s, 9, (int)reading->flag);
    sqlite3_bind_int(s, 10, reading->suspect_tests);
    sqlite3_bind_int(s, 11, reading->fail_tests);
    sqlite3_bind_int64(s, 12, reading->quality_revision);
    if (sqlite3_step(s) != SQLITE_DONE) {
        bench_die("insert", sqlite3_errmsg(bench->db));
    }
    sqlite3_reset(s);
}

static void step(struct bench *bench, sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) {
        bench_die("transaction", sqlite3_errmsg(bench->db));
    }
    sqlite3_reset(statement);
}

static void open_bare(struct bench *bench) {
    char path[BENCH_PATH_SIZE + 16];
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
        sqlite3_prepare_v2(bench->db, "COMMIT", -1, &bench->commit, NULL) != SQLITE_OK) {
        bench_die("bare", sqlite3_errmsg(bench->db));
    }
    for (int i = 0; i < POINTS; i++) {
        bench->handles[i] = i + 1;
    }
}

static void open_store(struct bench *bench) {
    struct err err;
    if (store_open(bench->dir, NULL, &bench->store, &err) != 0) {
        bench_die("store", err.text);
    }
    for (int i = 0; i < POINTS; i++) {
        const struct point *point = &bench->site.points[i];
        if (store_point_handle(bench->store, bench->site.stations[point->station].id, point->id,
                               "m", &bench->handles[i], &err) != 0) {
            bench_die("point", err.text);
        }
    }
}

static void on_committed(void *ctx) {
    (void)ctx; /* nothing is delivered here */
}

static void on_event(void *ctx, int64_t number, const char *alert_json) {
    (void)ctx;
    (void)number;
    bench_die("an alert that was not meant to be", alert_json);
}

static void on_store(void *ctx, int code, const char *text) {
    (void)ctx;
    (void)code;
    bench_die("store", text);
}

static void open_pipeline(struct bench *bench, bool publish) {
    struct err err = {.text = "no memory"};
    open_store(bench);
    if (clock_create_virtual((struct utc_us){start_us}, &bench->clock) != 0 ||
        loop_create(bench->clock, &bench->loop) != 0) {
        bench_die("loop", err.text);
    }
    struct pipeline_options options = {.loop = bench->loop,
                                       .store = bench->store,
                                       .site = &bench->site.site,
                                       .site_revision = "bench",
                                       .source = "//bench",
                                       .messages = {.status = MESSAGE_TEST},
                                       .publish_observations = publish,
                                       .on_committed = on_committed,
                                       .on_event = on_event,
                                       .on_store = on_store};
    if (pipeline_create(&options, &bench->pipeline, &err) != 0 ||
        pipeline_start(bench->pipeline, &err) != 0) {
        bench_die("pipeline", err.text);
    }
}

/* One reply of a station, as a driver hands it over. */
static void take_reply(struct bench *bench, enum path path, uint64_t n) {
    struct reading readings[POINTS_EACH];
    for (uint64_t i = 0; i < POINTS_EACH; i++) {
        readings[i] = make_reading(n + i);
    }
    if (path == PATH_PIPELINE || path == PATH_PUBLISHED) {
        int64_t ahead_us =
            readings[POINTS_EACH - 1].received.utc.us - clock_now(bench->clock).utc.us;
        clock_advance(bench->clock, ahead_us);
        pipeline_readings(bench->pipeline, readings, POINTS_EACH);
        return;
    }
    for (int i = 0; i < POINTS_EACH; i++) {
        if (path == PATH_BARE) {
            insert_bare(bench, &readings[i]);
        } else if (store_append_reading(bench->store, bench->handles[readings[i].point],
                                        &readings[i]) != 0) {
            bench_die("reading", "not taken");
        }
    }
}

static void write_rows(struct bench *bench, enum path path, unsigned rows,
                       unsigned rows_per_commit) {
    struct err err;
    for (uint64_t n = 0; n < rows; n += POINTS_EACH) {
        if (path == PATH_BARE && n % rows_per_commit == 0) {
            step(bench, bench->begin);
        }
        take_reply(bench, path, n);
        if ((n + POINTS_EACH) % rows_per_commit != 0) {
            continue;
        }
        if (path == PATH_BARE) {
            step(bench, bench->commit);
        } else if (store_commit(bench->store, &err) != 0) {
            bench_die("commit", err.text);
        }
    }
}

static int count_reading(void *ctx, const struct reading *reading) {
    (void)reading;
    ++*(unsigned *)ctx;
    return 0;
}

/* What was not written was not measured. */
static void check_rows(struct bench *bench, enum path path, unsigned rows) {
    unsigned found = 0;
    if (path == PATH_BARE) {
        found = (unsigned)sqlite3_total_changes(bench->db);
    }
    for (int i = 0; i < POINTS && path != PATH_BARE; i++) {
        if (store_read_readings(bench->store, bench->handles[i], (struct utc_us){0},
                                (struct utc_us){INT64_MAX}, rows, count_reading, &found) != 0) {
            bench_die("readings", "cannot be read back");
        }
    }
    struct store_status status = {0};
    if (path != PATH_BARE) {
        store_status(bench->store, &status);
    }
    bool messages = status.observation_rows == (path == PATH_PUBLISHED ? rows / POINTS_EACH : 0);
    if (found != rows || !messages) {
        (void)fprintf(stderr, "bench_pipeline: %s: %u of %u rows, %lld messages\n",
                      path_names[path], found, rows, (long long)status.observation_rows);
        exit(1);
    }
}

static void finish(struct bench *bench) {
    (void)pipeline_destroy(bench->pipeline);
    (void)loop_destroy(bench->loop);
    (void)clock_destroy(bench->clock);
    (void)store_close(bench->store);
    (void)sqlite3_finalize(bench->insert);
    (void)sqlite3_finalize(bench->begin);
    (void)sqlite3_finalize(bench->commit);
    (void)sqlite3_close(bench->db);
    bench_site_finish(&bench->site);
    bench_remove_dir(bench->dir);
}

static struct result measure(enum path path, unsigned rows, unsigned rows_per_commit) {
    struct bench bench = {0};
    bench_make_dir(bench.dir);
    bench_site_make(STATIONS, POINTS_EACH, 100, &bench.site);
    if (path == PATH_BARE) {
        open_bare(&bench);
    } else if (path == PATH_STORE) {
        open_store(&bench);
    } else {
        open_pipeline(&bench, path == PATH_PUBLISHED);
    }
    double wall_s = bench_wall_s(), cpu_s = bench_cpu_s();
    write_rows(&bench, path, rows, rows_per_commit);
    wall_s = bench_wall_s() - wall_s;
    cpu_s = bench_cpu_s() - cpu_s;
    check_rows(&bench, path, rows);
    finish(&bench);
    return (struct result){rows / wall_s, cpu_s * 1e6 / rows};
}

static double median(const double *values, int count) {
    double sorted[ROUNDS_MAX];
    for (int i = 0; i < count; i++) {
        sorted[i] = values[i];
    }
    bench_sort(sorted, (size_t)count);
    return sorted[count / 2];
}

static void bench(unsigned rows, unsigned rows_per_commit, int rounds) {
    double rates[PATHS][ROUNDS_MAX], cpu_us[PATHS][ROUNDS_MAX], ratios[PATHS][ROUNDS_MAX];
    for (int round = 0; round < rounds; round++) {
        for (int path = 0; path < PATHS; path++) {
            struct result result = measure((enum path)path, rows, rows_per_commit);
            rates[path][round] = result.rows_per_s;
            cpu_us[path][round] = result.cpu_us_per_row;
            ratios[path][round] = result.rows_per_s / rates[PATH_BARE][round];
        }
    }
    for (int path = PATH_STORE; path < PATHS; path++) {
        (void)printf("{\"bench\":\"pipeline\",\"metric\":\"%s_%u_a_commit\",\"value\":%.0f,"
                     "\"unit\":\"rows/s\",\"baseline\":%.0f,\"ratio\":%.3f,\"rounds\":%d,"
                     "\"cpu_us\":%.2f,\"baseline_cpu_us\":%.2f}\n",
                     path_names[path], rows_per_commit, median(rates[path], rounds),
                     median(rates[PATH_BARE], rounds), median(ratios[path], rounds), rounds,
                     median(cpu_us[path], rounds), median(cpu_us[PATH_BARE], rounds));
    }
    (void)fflush(stdout);
}

int main(void) {
    bool smoke = getenv("CANHBAO_BENCH_SMOKE") != NULL;
    bench(smoke ? 2000 : ROWS, 100, smoke ? 1 : ROUNDS_MAX);
    bench(smoke ? 2000 : ROWS, 1000, smoke ? 1 : ROUNDS_MAX);
    return 0;
}
