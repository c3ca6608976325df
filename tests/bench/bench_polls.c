/* Polls per CPU-second of the acquisition, against two baselines in the same run:
 *   epoll      the least that can be done: one thread, epoll, one list of due times, no timers, no
 *              deadlines, no reconnects, no check but the length
 *   libmodbus  one thread and one libmodbus context per connection, at most 900 in a process
 *              (libmodbus cannot use descriptors from 1024 on)
 * All ask the same sort of server (own process, epoll) for the same eight registers, under two
 * loads:
 *   paced      every client is offered the same: each connection asked on a fixed grid, all of them
 *              together PACED_PER_S times a second
 *   saturated  the baselines ask again as soon as they have an answer; the acquisition, which only
 *              knows schedules, is offered what the bare client managed in the same round
 * What counts is user and system time of the client's processes alone (getrusage) over the polls
 * answered, after a warm-up. A slot that cannot be asked in time counts for nothing and its cost
 * stays. Rounds alternate between the clients; printed are medians over the rounds, the ratio being
 * the median of each round's ratio.
 *   bench_polls [CONNECTIONS]     100, 1000 or 10000; default: all */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <modbus.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/limits.h"
#include "drivers/driver.h"
#include "poll_server.h"

enum {
    REGISTERS = POLL_REGISTERS,
    POINTS = REGISTERS / 2,
    REPLY_SIZE = POLL_REPLY_SIZE,
    REQUEST_SIZE = POLL_REQUEST_SIZE,
    EVENTS = 512,
    THREADS_MAX = 900, /* of one libmodbus process */
    THREAD_STACK = 65536,
    CONNECT_TRIES = 120, /* of half a second */
    SPARE_DESCRIPTORS = 64
};

enum { PACED_PER_S = 10000, ROUNDS_MAX = 5, LARGE = 10000 };
/* More connections are more threads for libmodbus than a machine can bear: 10,000 of them starved
 * everything else for a quarter of an hour, and were not connected by then. */
enum { LIBMODBUS_MAX = 1000 };

enum client { CLIENT_EPOLL, CLIENT_DRIVER, CLIENT_LIBMODBUS, CLIENTS };
enum load { LOAD_PACED, LOAD_SATURATED, LOADS };

static const char *const client_names[CLIENTS] = {"epoll", "driver", "libmodbus"};
static const char *const load_names[LOADS] = {"paced", "saturated"};

struct job { /* of one process */
    uint16_t port;
    uint32_t connections;
    double period_s; /* between the polls of one connection; 0: again at once */
    uint32_t processes;
};

struct result {
    uint64_t polls, skipped;
    double user_s, system_s;
};

static double measure_s = 2, warm_up_s = 0.5;
static _Atomic uint32_t *ready; /* processes that are connected; shared by all of them */

static void die(const char *what) {
    (void)fprintf(stderr, "bench_polls: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double wall_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* What this process has used, less what `before` says. */
static void used_since(const struct rusage *before, struct result *ret_result) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    ret_result->user_s = seconds(usage.ru_utime) - seconds(before->ru_utime);
    ret_result->system_s = seconds(usage.ru_stime) - seconds(before->ru_stime);
}

/* The processes of a client begin to measure when the last of them is connected. */
static void say_ready(void) {
    (*ready)++;
}

static bool all_ready(const struct job *job) {
    return *ready >= job->processes;
}

/* Bare epoll */

static int connect_to(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) {
        die("cannot connect");
    }
    return fd;
}

static void ask(int fd) {
    static const uint8_t request[REQUEST_SIZE] = {0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, REGISTERS};
    if (send(fd, request, sizeof(request), MSG_NOSIGNAL) != sizeof(request)) {
        die("send");
    }
}

struct bare {
    struct job job;
    int poller;
    int *fds;
    bool *waiting;
    double first_s; /* due time of slot 0 */
    uint64_t slot;  /* next one: connection slot % connections, every period / connections */
    struct result result;
};

static double slot_due_s(const struct bare *bare) {
    return bare->first_s + (double)bare->slot * bare->job.period_s / bare->job.connections;
}

static void ask_due(struct bare *bare, double now_s) {
    for (; slot_due_s(bare) <= now_s; bare->slot++) {
        uint32_t at = (uint32_t)(bare->slot % bare->job.connections);
        if (bare->waiting[at]) {
            bare->result.skipped++;
            continue;
        }
        bare->waiting[at] = true;
        ask(bare->fds[at]);
    }
}

static void bare_turn(struct bare *bare) {
    struct epoll_event events[EVENTS];
    uint8_t reply[260];
    bool paced = bare->job.period_s > 0;
    double wait_s = 1;
    if (paced) {
        double now_s = wall_s();
        ask_due(bare, now_s);
        wait_s = slot_due_s(bare) - now_s;
    }
    int count = epoll_wait(bare->poller, events, EVENTS, (int)ceil(wait_s * 1000));
    for (int i = 0; i < count; i++) {
        uint32_t at = events[i].data.u32;
        if (recv(bare->fds[at], reply, sizeof(reply), 0) != REPLY_SIZE) {
            die("reply");
        }
        bare->result.polls++;
        bare->waiting[at] = false;
        if (!paced) {
            ask(bare->fds[at]);
        }
    }
}

static struct result run_epoll(struct job job) {
    struct bare bare = {.job = job, .poller = epoll_create1(0)};
    struct rusage before;
    bare.fds = calloc(job.connections, sizeof(*bare.fds));
    bare.waiting = calloc(job.connections, sizeof(*bare.waiting));
    if (bare.fds == NULL || bare.waiting == NULL) {
        die("no memory");
    }
    for (uint32_t i = 0; i < job.connections; i++) {
        bare.fds[i] = connect_to(job.port);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(bare.poller, EPOLL_CTL_ADD, bare.fds[i], &event) < 0) {
            die("epoll");
        }
    }
    say_ready();
    for (uint32_t i = 0; i < job.connections && job.period_s <= 0; i++) {
        ask(bare.fds[i]);
    }
    bare.first_s = wall_s();
    double begin_s = bare.first_s + warm_up_s;
    while (wall_s() < begin_s) {
        bare_turn(&bare);
    }
    bare.result = (struct result){0};
    (void)getrusage(RUSAGE_SELF, &before);
    while (wall_s() < begin_s + measure_s) {
        bare_turn(&bare);
    }
    used_since(&before, &bare.result);
    return bare.result;
}

/* libmodbus */

static _Atomic bool stop_threads;
static _Atomic uint32_t threads_connected;
static _Atomic uint64_t thread_polls, thread_skipped;

struct thread_job {
    struct job job;
    uint32_t at;
};

/* Sleeps to the next slot of this thread; slots that have passed are skipped. */
static void wait_for_slot(const struct thread_job *own, double *due_s) {
    double now_s = wall_s();
    for (*due_s += own->job.period_s; *due_s + own->job.period_s < now_s;
         *due_s += own->job.period_s) {
        thread_skipped++;
    }
    struct timespec due = {.tv_sec = (time_t)*due_s,
                           .tv_nsec = (long)((*due_s - floor(*due_s)) * 1e9)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static void *poll_with_libmodbus(void *ctx) {
    const struct thread_job *own = ctx;
    uint16_t registers[REGISTERS];
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", own->job.port);
    if (modbus == NULL || modbus_set_slave(modbus, 1) < 0 ||
        modbus_set_response_timeout(modbus, 20, 0) < 0 || modbus_connect(modbus) < 0) {
        die("libmodbus");
    }
    threads_connected++;
    /* Nobody asks before all are connected: the early ones would starve the late ones. */
    while (!all_ready(&own->job) && !stop_threads) {
        (void)usleep(10000);
    }
    double due_s = wall_s() - own->job.period_s * own->at / own->job.connections;
    while (!stop_threads) {
        if (own->job.period_s > 0) {
            wait_for_slot(own, &due_s);
        }
        if (modbus_read_registers(modbus, 0, REGISTERS, registers) != REGISTERS) {
            die("libmodbus");
        }
        thread_polls++;
    }
    modbus_close(modbus);
    modbus_free(modbus);
    return NULL;
}

static struct result run_libmodbus(struct job job) {
    static pthread_t threads[THREADS_MAX];
    static struct thread_job jobs[THREADS_MAX];
    struct result result = {0};
    struct rusage before;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
    for (uint32_t i = 0; i < job.connections; i++) {
        jobs[i] = (struct thread_job){job, i};
        errno = pthread_create(&threads[i], &attributes, poll_with_libmodbus, &jobs[i]);
        if (errno != 0) {
            die("cannot start a thread");
        }
    }
    for (int i = 0; i < CONNECT_TRIES * 50 && threads_connected < job.connections; i++) {
        (void)usleep(10000);
    }
    say_ready();
    for (int i = 0; i < CONNECT_TRIES * 50 && !all_ready(&job); i++) {
        (void)usleep(10000);
    }
    if (!all_ready(&job)) {
        errno = ETIMEDOUT;
        die("libmodbus connections");
    }
    (void)usleep((useconds_t)(warm_up_s * 1e6));
    uint64_t polls = thread_polls, skipped = thread_skipped;
    (void)getrusage(RUSAGE_SELF, &before);
    (void)usleep((useconds_t)(measure_s * 1e6));
    used_since(&before, &result);
    result.polls = thread_polls - polls;
    result.skipped = thread_skipped - skipped;
    stop_threads = true;
    for (uint32_t i = 0; i < job.connections; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return result;
}

/* The acquisition */

static void on_readings(void *ctx, const struct reading *readings, size_t count) {
    uint64_t *wrong = ctx;
    for (size_t i = 0; i < count; i++) {
        *wrong += readings[i].status == READING_OK && readings[i].value != 12.5;
    }
}

static void make_config(const struct job *job, struct modbus_config *ret_config) {
    static struct modbus_map maps[POINTS];
    static const struct modbus_unit_config unit = {.unit = 1, .map_count = POINTS, .maps = maps};
    struct modbus_endpoint_config *endpoints = calloc(job->connections, sizeof(*endpoints));
    if (endpoints == NULL) {
        die("no memory");
    }
    for (uint16_t i = 0; i < POINTS; i++) {
        maps[i] = (struct modbus_map){.point = i,
                                      .table = MODBUS_HOLDING,
                                      .address = (uint16_t)(i * 2),
                                      .type = MODBUS_FLOAT32,
                                      .scale = 1,
                                      .period_us = llround(job->period_s * 1e6)};
    }
    for (uint32_t i = 0; i < job->connections; i++) {
        modbus_endpoint_defaults(&endpoints[i]);
        (void)snprintf(endpoints[i].id, sizeof(endpoints[i].id), "station-%u", i);
        (void)snprintf(endpoints[i].host, sizeof(endpoints[i].host), "127.0.0.1");
        endpoints[i].port = job->port;
        endpoints[i].unit_count = 1;
        endpoints[i].units = &unit;
    }
    *ret_config =
        (struct modbus_config){.endpoint_count = job->connections, .endpoints = endpoints};
}

struct totals {
    uint64_t replies, skipped, connects, failures;
};

static struct totals totals_of(const struct acquisition *acquisition) {
    struct totals totals = {0};
    for (size_t i = 0; i < acquisition_endpoint_count(acquisition); i++) {
        struct endpoint_stats stats;
        acquisition_endpoint_stats(acquisition, i, &stats);
        totals.replies += stats.replies;
        totals.skipped += stats.skipped;
        totals.connects += stats.has_success;
        totals.failures += stats.timeouts + stats.bad_replies + stats.exceptions + stats.lost;
    }
    return totals;
}

static struct result run_driver(struct job job) {
    struct clock *clock = NULL;
    struct loop *loop = NULL;
    struct acquisition *acquisition = NULL;
    struct modbus_config config;
    uint64_t wrong = 0;
    struct rusage usage;
    struct err err = {.text = "no loop"};
    make_config(&job, &config);
    if (clock_create_real(&clock) < 0 || loop_create(clock, &loop) < 0 ||
        modbus_config_check(&config, POINTS, 1, &err) < 0) {
        die(err.text);
    }
    struct acquisition_options options = {.loop = loop,
                                          .modbus = &config,
                                          .station_count = 1,
                                          .on_readings = on_readings,
                                          .ctx = &wrong};
    if (acquisition_create(&options, &acquisition, &err) < 0) {
        die(err.text);
    }
    acquisition_start(acquisition);
    for (int i = 0; i < CONNECT_TRIES && totals_of(acquisition).connects < job.connections; i++) {
        (void)loop_run_for(loop, 500000);
    }
    say_ready();
    (void)loop_run_for(loop, (int64_t)(warm_up_s * 1e6));
    struct totals before = totals_of(acquisition);
    struct result result = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)loop_run_for(loop, (int64_t)(measure_s * 1e6));
    used_since(&usage, &result);
    struct totals after = totals_of(acquisition);
    result.polls = after.replies - before.replies;
    result.skipped = after.skipped - before.skipped;
    if (wrong > 0 || after.connects < job.connections || after.failures > before.failures) {
        (void)fprintf(stderr, "bench_polls: %llu wrong values, %llu failed polls, %llu of %u up\n",
                      (unsigned long long)wrong,
                      (unsigned long long)(after.failures - before.failures),
                      (unsigned long long)after.connects, job.connections);
        exit(1);
    }
    (void)acquisition_destroy(acquisition);
    (void)loop_destroy(loop);
    (void)clock_destroy(clock);
    free((void *)(uintptr_t)config.endpoints);
    return result;
}

/* Each client runs in processes of its own, so that their CPU time is theirs alone. */

static const struct {
    struct result (*run)(struct job job);
    uint32_t connections_max; /* in one process */
} clients[CLIENTS] = {
    [CLIENT_EPOLL] = {run_epoll, UINT32_MAX},
    [CLIENT_DRIVER] = {run_driver, UINT32_MAX},
    [CLIENT_LIBMODBUS] = {run_libmodbus, THREADS_MAX},
};

static void start_client(enum client client, const struct job *job, int result_fd) {
    pid_t pid = fork();
    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        (void)prctl(PR_SET_NAME, client_names[client]); /* for profilers */
        struct result result = clients[client].run(*job);
        _exit(write(result_fd, &result, sizeof(result)) == sizeof(result) ? 0 : 1);
    }
}

static struct result run_client(enum client client, uint32_t connections, double period_s) {
    struct result total = {0};
    uint32_t most = clients[client].connections_max;
    uint32_t processes = connections / most + (connections % most != 0);
    struct job job = {.period_s = period_s, .processes = processes};
    int ends[2];
    /* Before the pipe: a server that held its end open would hide that a client failed. */
    pid_t server = bench_poll_server(false, &job.port);
    if (pipe(ends) < 0) {
        die("pipe");
    }
    *ready = 0;
    for (uint32_t i = 0; i < processes; i++) {
        job.connections = connections / processes + (i < connections % processes);
        start_client(client, &job, ends[1]);
    }
    (void)close(ends[1]);
    for (uint32_t i = 0; i < processes; i++) {
        struct result result;
        if (read(ends[0], &result, sizeof(result)) != sizeof(result)) {
            (void)fprintf(stderr, "bench_polls: a client (%s) failed\n", client_names[client]);
            (void)kill(server, SIGKILL);
            exit(1);
        }
        total.polls += result.polls;
        total.skipped += result.skipped;
        total.user_s += result.user_s;
        total.system_s += result.system_s;
    }
    (void)close(ends[0]);
    (void)kill(server, SIGKILL);
    while (wait(NULL) > 0) {
    }
    return total;
}

static double per_cpu_s(struct result result) {
    return (double)result.polls / (result.user_s + result.system_s);
}

static double user_us(struct result result) {
    return result.user_s * 1e6 / (double)result.polls;
}

static int compare(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static double median(const double *values, int count) {
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, (size_t)count * sizeof(*values));
    qsort(sorted, (size_t)count, sizeof(*sorted), compare);
    return sorted[count / 2];
}

static double median_of(double (*what)(struct result), const struct result *results, int count) {
    double values[ROUNDS_MAX];
    for (int i = 0; i < count; i++) {
        values[i] = what(results[i]);
    }
    return median(values, count);
}

static double skipped_share(struct result result) {
    return (double)result.skipped / (double)(result.polls + result.skipped);
}

static void print(enum load load, enum client against, uint32_t connections, int rounds,
                  struct result results[CLIENTS][ROUNDS_MAX]) {
    const struct result *driver = results[CLIENT_DRIVER], *baseline = results[against];
    double ratios[ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        ratios[i] = per_cpu_s(driver[i]) / per_cpu_s(baseline[i]);
    }
    printf("{\"bench\":\"polls\",\"metric\":\"%s_vs_%s_%u\",\"value\":%.0f,"
           "\"unit\":\"polls/cpu_s\",\"baseline\":%.0f,\"ratio\":%.3f,\"rounds\":%d,"
           "\"user_us_per_poll\":%.2f,\"baseline_user_us_per_poll\":%.2f,"
           "\"skipped_share\":%.4f,\"baseline_skipped_share\":%.4f}\n",
           load_names[load], client_names[against], connections,
           median_of(per_cpu_s, driver, rounds), median_of(per_cpu_s, baseline, rounds),
           median(ratios, rounds), rounds, median_of(user_us, driver, rounds),
           median_of(user_us, baseline, rounds), median_of(skipped_share, driver, rounds),
           median_of(skipped_share, baseline, rounds));
    (void)fflush(stdout);
}

static void bench(enum load load, uint32_t connections, int rounds) {
    struct result results[CLIENTS][ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        double period_s = load == LOAD_PACED ? (double)connections / PACED_PER_S : 0;
        results[CLIENT_EPOLL][i] = run_client(CLIENT_EPOLL, connections, period_s);
        double managed_per_s = (double)results[CLIENT_EPOLL][i].polls / measure_s;
        results[CLIENT_DRIVER][i] =
            run_client(CLIENT_DRIVER, connections,
                       load == LOAD_PACED ? period_s : connections / managed_per_s);
        if (connections <= LIBMODBUS_MAX) {
            results[CLIENT_LIBMODBUS][i] = run_client(CLIENT_LIBMODBUS, connections, period_s);
        }
    }
    print(load, CLIENT_EPOLL, connections, rounds, results);
    if (connections <= LIBMODBUS_MAX) {
        print(load, CLIENT_LIBMODBUS, connections, rounds, results);
    }
}

int main(int argc, char **argv) {
    static const uint32_t sizes[] = {100, 1000, LARGE};
    bool smoke = getenv("CANHBAO_BENCH_SMOKE") != NULL;
    size_t count = smoke ? 1 : sizeof(sizes) / sizeof(sizes[0]);
    uint32_t only = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0; /* 0: all sizes */
    uint64_t limit = 0;
    (void)signal(SIGPIPE, SIG_IGN);
    ready = mmap(NULL, sizeof(*ready), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ready == MAP_FAILED) {
        die("no memory");
    }
    if (smoke) {
        measure_s = 0.2;
        warm_up_s = 0.1;
    }
    for (size_t i = 0; i < count; i++) {
        if (only != 0 && only != sizes[i]) {
            continue;
        }
        if (limits_raise_descriptors(sizes[i] + SPARE_DESCRIPTORS, &limit) < 0) {
            (void)fprintf(stderr,
                          "bench_polls: %u connections need %u descriptors, the hard limit is "
                          "%llu: not measured (ulimit -Hn)\n",
                          sizes[i], sizes[i] + SPARE_DESCRIPTORS, (unsigned long long)limit);
            return 1;
        }
        for (int load = 0; load < LOADS; load++) {
            bench((enum load)load, sizes[i], smoke ? 1 : ROUNDS_MAX);
        }
    }
    return 0;
}
