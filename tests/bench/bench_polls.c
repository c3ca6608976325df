/* Polls per CPU-second of the acquisition, against two baselines in the same run:
 *   epoll      the least that can be done: one thread, epoll, no timers, no checks but the length
 *   libmodbus  one thread and one libmodbus context per connection, at most 900 in a process
 *              (libmodbus cannot use descriptors from 1024 on)
 * All ask the same server (own process, epoll) for the same eight registers. The baselines ask as
 * fast as they can; the acquisition keeps a schedule, so it is offered several rates, up to more
 * than it can do, and its best counts. Slots that it must leave out cost it CPU time and count for
 * nothing. Client CPU time only, after a warm-up. */
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/limits.h"
#include "drivers/driver.h"

enum {
    REGISTERS = 8,
    POINTS = REGISTERS / 2,
    REPLY_SIZE = 9 + REGISTERS * 2,
    REQUEST_SIZE = 12,
    EVENTS = 512,
    THREADS_MAX = 900, /* of one libmodbus process */
    THREAD_STACK = 65536,
    CONNECT_TRIES = 120, /* of half a second */
    SPARE_DESCRIPTORS = 64
};

struct result {
    uint64_t polls;
    double cpu_s;
    uint64_t skipped;
};

/* Of the acquisition, polls per second of all connections together. */
static const uint32_t rates[] = {100000, 50000, 25000};
static uint32_t rate_per_s;

static double measure_s = 2, warm_up_s = 1;

static void die(const char *what) {
    (void)fprintf(stderr, "bench_polls: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double wall_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The server */

static void serve(int fd) {
    uint8_t request[REQUEST_SIZE], reply[REPLY_SIZE] = {0};
    /* One request in flight: a read gives a whole one or the end. */
    if (recv(fd, request, sizeof(request), 0) != sizeof(request)) {
        (void)close(fd);
        return;
    }
    memcpy(reply, request, 8);
    reply[4] = 0;
    reply[5] = 3 + REGISTERS * 2;
    reply[8] = REGISTERS * 2;
    for (int i = 0; i < POINTS; i++) {
        static const uint8_t twelve_and_a_half[] = {0x41, 0x48, 0, 0};
        memcpy(reply + 9 + i * 4, twelve_and_a_half, 4);
    }
    if (send(fd, reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply)) {
        (void)close(fd);
    }
}

static void run_server(int listener) {
    struct epoll_event events[EVENTS];
    int poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0) {
        die("server");
    }
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd != listener) {
                serve(events[i].data.fd);
                continue;
            }
            int fd = -1, on = 1;
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
                event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
                if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) {
                    die("server");
                }
            }
        }
    }
}

static pid_t start_server(uint16_t *ret_port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
        die("cannot listen");
    }
    *ret_port = ntohs(address.sin_port);
    pid_t pid = fork();
    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        run_server(listener);
        _exit(0);
    }
    (void)close(listener);
    return pid;
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

static struct result run_epoll(uint16_t port, uint32_t connections) {
    struct result result = {0};
    struct epoll_event events[EVENTS];
    uint8_t reply[260];
    int poller = epoll_create1(0);
    for (uint32_t i = 0; i < connections; i++) {
        int fd = connect_to(port);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) {
            die("epoll");
        }
        ask(fd);
    }
    double begin = wall_s() + warm_up_s / 2, cpu = 0;
    bool measuring = false;
    for (;;) {
        double now = wall_s();
        if (!measuring && now >= begin) {
            measuring = true;
            cpu = cpu_s();
            result.polls = 0;
        }
        if (now >= begin + measure_s) {
            result.cpu_s = cpu_s() - cpu;
            return result;
        }
        int count = epoll_wait(poller, events, EVENTS, 1000);
        for (int i = 0; i < count; i++) {
            if (recv(events[i].data.fd, reply, sizeof(reply), 0) == REPLY_SIZE) {
                result.polls++;
                ask(events[i].data.fd);
            }
        }
    }
}

/* libmodbus */

static _Atomic bool stop_threads;
static _Atomic uint64_t thread_polls;

static void *poll_with_libmodbus(void *ctx) {
    uint16_t registers[REGISTERS];
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", *(uint16_t *)ctx);
    if (modbus == NULL || modbus_set_slave(modbus, 1) < 0 ||
        modbus_set_response_timeout(modbus, 20, 0) < 0 || modbus_connect(modbus) < 0) {
        die("libmodbus");
    }
    while (!stop_threads) {
        if (modbus_read_registers(modbus, 0, REGISTERS, registers) != REGISTERS) {
            die("libmodbus");
        }
        thread_polls++;
    }
    modbus_close(modbus);
    modbus_free(modbus);
    return NULL;
}

static struct result run_libmodbus(uint16_t port, uint32_t connections) {
    static pthread_t threads[THREADS_MAX];
    struct result result = {0};
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
    for (uint32_t i = 0; i < connections; i++) {
        errno = pthread_create(&threads[i], &attributes, poll_with_libmodbus, &port);
        if (errno != 0) {
            die("cannot start a thread");
        }
    }
    (void)usleep((useconds_t)(warm_up_s * 1e6));
    double cpu = cpu_s();
    uint64_t polls = thread_polls;
    (void)usleep((useconds_t)(measure_s * 1e6));
    result.cpu_s = cpu_s() - cpu;
    result.polls = thread_polls - polls;
    stop_threads = true;
    for (uint32_t i = 0; i < connections; i++) {
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

static void make_config(uint16_t port, uint32_t connections, struct modbus_config *ret_config) {
    static struct modbus_map maps[POINTS];
    static const struct modbus_unit_config unit = {.unit = 1, .map_count = POINTS, .maps = maps};
    struct modbus_endpoint_config *endpoints = calloc(connections, sizeof(*endpoints));
    if (endpoints == NULL) {
        die("no memory");
    }
    for (uint16_t i = 0; i < POINTS; i++) {
        maps[i] = (struct modbus_map){.point = i,
                                      .table = MODBUS_HOLDING,
                                      .address = (uint16_t)(i * 2),
                                      .type = MODBUS_FLOAT32,
                                      .scale = 1,
                                      .period_us = INT64_C(1000000) * connections / rate_per_s};
    }
    for (uint32_t i = 0; i < connections; i++) {
        modbus_endpoint_defaults(&endpoints[i]);
        (void)snprintf(endpoints[i].id, sizeof(endpoints[i].id), "station-%u", i);
        (void)snprintf(endpoints[i].host, sizeof(endpoints[i].host), "127.0.0.1");
        endpoints[i].port = port;
        endpoints[i].unit_count = 1;
        endpoints[i].units = &unit;
    }
    *ret_config = (struct modbus_config){.endpoint_count = connections, .endpoints = endpoints};
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

static struct result run_driver(uint16_t port, uint32_t connections) {
    struct clock *clock = NULL;
    struct loop *loop = NULL;
    struct acquisition *acquisition = NULL;
    struct modbus_config config;
    uint64_t wrong = 0;
    struct err err = {.text = "no loop"};
    make_config(port, connections, &config);
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
    for (int i = 0; i < CONNECT_TRIES && totals_of(acquisition).connects < connections; i++) {
        (void)loop_run_for(loop, 500000);
    }
    (void)loop_run_for(loop, (int64_t)(warm_up_s * 1e6));
    struct totals before = totals_of(acquisition);
    double cpu = cpu_s();
    (void)loop_run_for(loop, (int64_t)(measure_s * 1e6));
    struct result result = {.cpu_s = cpu_s() - cpu};
    struct totals after = totals_of(acquisition);
    result.polls = after.replies - before.replies;
    result.skipped = after.skipped - before.skipped;
    if (wrong > 0 || after.connects < connections || after.failures > before.failures) {
        (void)fprintf(stderr, "bench_polls: %llu wrong values, %llu failed polls, %llu of %u up\n",
                      (unsigned long long)wrong,
                      (unsigned long long)(after.failures - before.failures),
                      (unsigned long long)after.connects, connections);
        exit(1);
    }
    (void)acquisition_destroy(acquisition);
    (void)loop_destroy(loop);
    (void)clock_destroy(clock);
    free((void *)(uintptr_t)config.endpoints);
    return result;
}

/* Each client runs in processes of its own, so that their CPU time is theirs alone. */
static struct result run_in_children(struct result (*run)(uint16_t, uint32_t), uint16_t port,
                                     uint32_t connections, uint32_t per_child) {
    struct result total = {0};
    uint32_t children = (connections + per_child - 1) / per_child;
    int ends[2];
    if (pipe(ends) < 0) {
        die("pipe");
    }
    for (uint32_t i = 0; i < children; i++) {
        uint32_t share = connections / children + (i < connections % children);
        pid_t pid = fork();
        if (pid < 0) {
            die("fork");
        }
        if (pid == 0) {
            struct result result = run(port, share);
            _exit(write(ends[1], &result, sizeof(result)) == sizeof(result) ? 0 : 1);
        }
    }
    (void)close(ends[1]);
    for (uint32_t i = 0; i < children; i++) {
        struct result result;
        int status = 0;
        if (read(ends[0], &result, sizeof(result)) != sizeof(result) || wait(&status) < 0 ||
            status != 0) {
            (void)fprintf(stderr, "bench_polls: a client failed\n");
            exit(1);
        }
        total.polls += result.polls;
        total.cpu_s += result.cpu_s;
        total.skipped += result.skipped;
    }
    (void)close(ends[0]);
    return total;
}

static double per_cpu_s(struct result result) {
    return result.cpu_s > 0 ? (double)result.polls / result.cpu_s : NAN;
}

/* The acquisition at the rate that suits it best. */
static struct result run_driver_best(uint16_t port, uint32_t connections, uint32_t *ret_rate) {
    struct result best = {0};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        rate_per_s = rates[i];
        struct result result = run_in_children(run_driver, port, connections, connections);
        if (best.polls == 0 || per_cpu_s(result) > per_cpu_s(best)) {
            best = result;
            *ret_rate = rates[i];
        }
    }
    return best;
}

static void print(const char *against, uint32_t connections, uint32_t rate, struct result driver,
                  struct result baseline) {
    printf("{\"bench\":\"polls\",\"metric\":\"driver_vs_%s_%u\",\"value\":%.0f,"
           "\"unit\":\"polls/cpu_s\",\"baseline\":%.0f,\"ratio\":%.3f,\"connections\":%u,"
           "\"rate\":%u,\"polls\":%llu,\"skipped\":%llu}\n",
           against, connections, per_cpu_s(driver), per_cpu_s(baseline),
           per_cpu_s(driver) / per_cpu_s(baseline), connections, rate,
           (unsigned long long)driver.polls, (unsigned long long)driver.skipped);
    (void)fflush(stdout);
}

static void bench(uint32_t connections) {
    uint16_t port = 0;
    pid_t server = start_server(&port);
    struct result epoll = run_in_children(run_epoll, port, connections, connections);
    uint32_t rate = 0;
    struct result driver = run_driver_best(port, connections, &rate);
    print("epoll", connections, rate, driver, epoll);
    struct result threads = run_in_children(run_libmodbus, port, connections, THREADS_MAX);
    print("libmodbus", connections, rate, driver, threads);
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
}

int main(void) {
    static const uint32_t sizes[] = {100, 1000, 10000};
    bool smoke = getenv("CANHBAO_BENCH_SMOKE") != NULL;
    size_t count = smoke ? 1 : sizeof(sizes) / sizeof(sizes[0]);
    uint64_t limit = 0;
    (void)signal(SIGPIPE, SIG_IGN);
    if (smoke) {
        measure_s = 0.3;
        warm_up_s = 0.2;
    }
    for (size_t i = 0; i < count; i++) {
        if (limits_raise_descriptors(sizes[i] + SPARE_DESCRIPTORS, &limit) < 0) {
            (void)fprintf(stderr,
                          "bench_polls: %u connections need %u descriptors, the hard limit is "
                          "%llu: not measured (ulimit -Hn)\n",
                          sizes[i], sizes[i] + SPARE_DESCRIPTORS, (unsigned long long)limit);
            return 1;
        }
        bench(sizes[i]);
    }
    return 0;
}
