/* A fleet at one poll a second: how much processor, how late, how much memory; and whether dead
 * stations make the living late.
 *   fleet_N        N stations, all answering, against a bare epoll client with the same grid in the
 *                  same run (no deadlines, no checks, no decoding)
 *   dead_N         N stations of which 30 % never answer, against the living alone, at the same
 * time Lateness: from a poll's place on its grid to its send (late_send) and to its values being
 * handed over (late_value). `bench_fleet fleet` or `bench_fleet dead`: one of them; `serve` and
 * `bare N` are for fleet_daemon. A run takes
 * WARM_UP_S (connecting included) and then measures. Rounds alternate; printed are medians. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "daemon/base/ids.h"
#include "daemon/base/limits.h"
#include "drivers/driver.h"
#include "poll_server.h"

enum { POINTS = POLL_REGISTERS / 2, ROUNDS = 5, SPARE_DESCRIPTORS = 64, EVENTS = 512 };

static const double dead_share = 0.3;
static const int64_t period_us = 1000000;
static double warm_up_s = 6, measure_s = 10;

struct result {
    double cpu_share; /* of one core */
    double late_send_p50_ms, late_send_p99_ms, late_value_p99_ms;
    double rss_mib;
    double polls, skipped;
};

struct samples {
    double *send_ms, *value_ms;
    size_t count, room;
};

static void samples_init(struct samples *samples, size_t room) {
    *samples = (struct samples){.room = room};
    samples->send_ms = calloc(room, sizeof(double));
    samples->value_ms = calloc(room, sizeof(double));
    if (samples->send_ms == NULL || samples->value_ms == NULL) {
        bench_die("memory", "no room for the samples");
    }
}

static void samples_add(struct samples *samples, double send_ms, double value_ms) {
    if (samples->count < samples->room) {
        samples->send_ms[samples->count] = send_ms;
        samples->value_ms[samples->count++] = value_ms;
    }
}

static void samples_finish(struct samples *samples, struct result *result) {
    size_t count = samples->count;
    if (count == 0) {
        bench_die("fleet", "no poll was answered");
    }
    bench_sort(samples->send_ms, count);
    bench_sort(samples->value_ms, count);
    result->late_send_p50_ms = samples->send_ms[count / 2];
    result->late_send_p99_ms = samples->send_ms[count * 99 / 100];
    result->late_value_p99_ms = samples->value_ms[count * 99 / 100];
    result->polls = (double)count;
    free(samples->send_ms);
    free(samples->value_ms);
}

static double rss_mib(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1) {
        bench_die("statm", strerror(errno));
    }
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

/* ---- the acquisition ---- */

struct fleet {
    struct clock *clock;
    int64_t start_us;
    int64_t *phase_us; /* per station */
    bool measuring;
    struct samples samples;
    uint64_t wrong;
};

static void on_readings(void *ctx, const struct reading *readings, size_t count) {
    struct fleet *fleet = ctx;
    for (size_t i = 0; i < count; i++) {
        fleet->wrong += readings[i].status == READING_OK && readings[i].value != 12.5;
    }
    if (!fleet->measuring || readings[0].status != READING_OK) {
        return;
    }
    int64_t grid_us = fleet->start_us + fleet->phase_us[readings[0].point / POINTS];
    int64_t value_us = readings[0].received.mono.us;
    int64_t send_us = value_us - readings[0].round_trip_us;
    int64_t late_us = (send_us - grid_us) % period_us;
    samples_add(&fleet->samples, (double)late_us / 1e3,
                (double)(late_us + value_us - send_us) / 1e3);
}

static struct modbus_endpoint_config *make_endpoints(struct fleet *fleet, uint32_t stations,
                                                     uint32_t dead, uint16_t port) {
    struct modbus_endpoint_config *endpoints = calloc(stations, sizeof(*endpoints));
    struct modbus_unit_config *units = calloc(stations, sizeof(*units));
    struct modbus_map *maps = calloc((size_t)stations * POINTS, sizeof(*maps));
    fleet->phase_us = calloc(stations, sizeof(int64_t));
    if (endpoints == NULL || units == NULL || maps == NULL || fleet->phase_us == NULL) {
        bench_die("memory", "no room for the stations");
    }
    for (uint32_t i = 0; i < stations; i++) {
        struct modbus_endpoint_config *endpoint = &endpoints[i];
        for (uint32_t j = 0; j < POINTS; j++) {
            maps[i * POINTS + j] = (struct modbus_map){.point = i * POINTS + j,
                                                       .table = MODBUS_HOLDING,
                                                       .address = (uint16_t)(2 * j),
                                                       .type = MODBUS_FLOAT32,
                                                       .scale = 1,
                                                       .period_us = period_us};
        }
        units[i] = (struct modbus_unit_config){.unit = i < dead ? POLL_SILENT_UNIT : 1,
                                               .map_count = POINTS,
                                               .maps = maps + (size_t)i * POINTS};
        modbus_endpoint_defaults(endpoint);
        (void)snprintf(endpoint->id, sizeof(endpoint->id), "station-%u", i);
        (void)snprintf(endpoint->host, sizeof(endpoint->host), "127.0.0.1");
        endpoint->port = port;
        endpoint->unit_count = 1;
        endpoint->units = &units[i];
        fleet->phase_us[i] = (int64_t)(hash_spread(endpoint->id) % (uint64_t)period_us);
    }
    return endpoints;
}

/* The first `dead` stations never answer. */
static struct result run_driver(uint32_t stations, uint32_t dead, uint16_t port) {
    struct fleet fleet = {.clock = NULL};
    struct loop *loop = NULL;
    struct acquisition *acquisition = NULL;
    struct result result = {0};
    struct err err = {.text = "no loop"};
    struct modbus_config config = {.endpoint_count = stations,
                                   .endpoints = make_endpoints(&fleet, stations, dead, port)};
    samples_init(&fleet.samples, (size_t)((double)stations * (measure_s + 2)));
    if (clock_create_real(&fleet.clock) < 0 || loop_create(fleet.clock, &loop) < 0 ||
        modbus_config_check(&config, (size_t)stations * POINTS, 1, &err) < 0) {
        bench_die("fleet", err.text);
    }
    struct acquisition_options options = {.loop = loop,
                                          .modbus = &config,
                                          .station_count = 1,
                                          .on_readings = on_readings,
                                          .ctx = &fleet};
    if (acquisition_create(&options, &acquisition, &err) < 0) {
        bench_die("fleet", err.text);
    }
    fleet.start_us = clock_now(fleet.clock).mono.us;
    acquisition_start(acquisition);
    (void)loop_run_for(loop, (int64_t)(warm_up_s * 1e6));
    fleet.measuring = true;
    double cpu_s = bench_cpu_s();
    double wall_s = bench_wall_s();
    (void)loop_run_for(loop, (int64_t)(measure_s * 1e6));
    result.cpu_share = (bench_cpu_s() - cpu_s) / (bench_wall_s() - wall_s);
    result.rss_mib = rss_mib();
    if (fleet.wrong > 0) {
        bench_die("fleet", "wrong values");
    }
    result.skipped = (stations - dead) * measure_s - (double)fleet.samples.count;
    samples_finish(&fleet.samples, &result);
    (void)acquisition_destroy(acquisition);
    (void)loop_destroy(loop);
    (void)clock_destroy(fleet.clock);
    return result;
}

/* ---- bare epoll ---- */

static int connect_to(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) {
        bench_die("cannot connect", strerror(errno));
    }
    return fd;
}

static struct result run_epoll(uint32_t stations, uint32_t dead, uint16_t port) {
    static const uint8_t request[POLL_REQUEST_SIZE] = {0, 1, 0, 0, 0, 6,
                                                       1, 3, 0, 0, 0, POLL_REGISTERS};
    struct result result = {0};
    struct samples samples;
    struct epoll_event events[EVENTS];
    uint8_t reply[260];
    int poller = epoll_create1(0);
    int *fds = calloc(stations, sizeof(*fds));
    double *due_s = calloc(stations, sizeof(*due_s)), *sent_s = calloc(stations, sizeof(*sent_s));
    (void)dead; /* none here */
    samples_init(&samples, (size_t)((double)stations * (measure_s + 2)));
    if (poller < 0 || fds == NULL || due_s == NULL || sent_s == NULL) {
        bench_die("epoll", "no memory");
    }
    for (uint32_t i = 0; i < stations; i++) {
        fds[i] = connect_to(port);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fds[i], &event) < 0) {
            bench_die("epoll", strerror(errno));
        }
    }
    double first_s = bench_wall_s(), cpu_s = 0, begin_s = first_s + 1;
    double end_s = begin_s + measure_s;
    bool measuring = false;
    for (uint64_t slot = 0; bench_wall_s() < end_s;) {
        double now_s = bench_wall_s();
        if (!measuring && now_s >= begin_s) {
            measuring = true;
            cpu_s = bench_cpu_s();
        }
        double next_s = first_s + (double)slot * (double)period_us / 1e6 / stations;
        for (; next_s <= now_s;
             next_s = first_s + (double)slot * (double)period_us / 1e6 / stations) {
            uint32_t at = (uint32_t)(slot++ % stations);
            if (sent_s[at] > 0) {
                continue; /* its reply is still to come: this slot is lost */
            }
            due_s[at] = next_s;
            sent_s[at] = bench_wall_s();
            if (send(fds[at], request, sizeof(request), MSG_NOSIGNAL) != sizeof(request)) {
                bench_die("send", strerror(errno));
            }
        }
        int count = epoll_wait(poller, events, EVENTS, (int)ceil((next_s - now_s) * 1000));
        for (int i = 0; i < count; i++) {
            uint32_t at = events[i].data.u32;
            if (recv(fds[at], reply, sizeof(reply), 0) != POLL_REPLY_SIZE) {
                bench_die("reply", strerror(errno));
            }
            if (measuring) {
                samples_add(&samples, (sent_s[at] - due_s[at]) * 1e3,
                            (bench_wall_s() - due_s[at]) * 1e3);
            }
            sent_s[at] = 0;
        }
    }
    result.cpu_share = (bench_cpu_s() - cpu_s) / (bench_wall_s() - begin_s);
    result.rss_mib = rss_mib();
    samples_finish(&samples, &result);
    return result;
}

/* ---- rounds ---- */

typedef struct result (*client_fn)(uint32_t stations, uint32_t dead, uint16_t port);

struct running {
    pid_t server;
    int result_fd;
};

/* In a process of its own, so that its processor time and memory are its own. */
static struct running start(client_fn client, uint32_t stations, uint32_t dead) {
    struct running running;
    int ends[2];
    uint16_t port;
    /* Before the pipe, whose end the server must not hold open. */
    running.server = bench_poll_server(false, &port);
    if (pipe(ends) < 0) {
        bench_die("pipe", strerror(errno));
    }
    pid_t pid = fork();
    if (pid < 0) {
        bench_die("fork", strerror(errno));
    }
    if (pid == 0) {
        struct result result = client(stations, dead, port);
        _exit(write(ends[1], &result, sizeof(result)) == sizeof(result) ? 0 : 1);
    }
    (void)close(ends[1]);
    running.result_fd = ends[0];
    return running;
}

static struct result collect(struct running running) {
    struct result result;
    bool came = read(running.result_fd, &result, sizeof(result)) == sizeof(result);
    (void)close(running.result_fd);
    (void)kill(running.server, SIGKILL);
    if (!came) {
        bench_die("fleet", "a client failed");
    }
    return result;
}

static double median(const struct result *results, int rounds, size_t offset) {
    double values[ROUNDS];
    for (int i = 0; i < rounds; i++) {
        memcpy(&values[i], (const char *)&results[i] + offset, sizeof(double));
    }
    bench_sort(values, (size_t)rounds);
    return values[rounds / 2];
}

#define MEDIAN(results, rounds, member) median(results, rounds, offsetof(struct result, member))

static void bench_fleet(uint32_t stations, int rounds) {
    struct result ours[ROUNDS], bare[ROUNDS];
    for (int i = 0; i < rounds; i++) {
        bare[i] = collect(start(run_epoll, stations, 0));
        ours[i] = collect(start(run_driver, stations, 0));
    }
    double share = MEDIAN(ours, rounds, cpu_share), baseline = MEDIAN(bare, rounds, cpu_share);
    printf(
        "{\"bench\":\"fleet\",\"metric\":\"fleet_%u\",\"value\":%.3f,\"unit\":\"cores\","
        "\"baseline\":%.3f,\"ratio\":%.3f,\"rounds\":%d,\"late_send_p50_ms\":%.2f,"
        "\"late_send_p99_ms\":%.2f,\"late_value_p99_ms\":%.2f,\"baseline_late_send_p99_ms\":%.2f,"
        "\"baseline_late_value_p99_ms\":%.2f,\"rss_mib\":%.1f,\"missed_share\":%.5f}\n",
        stations, share, baseline, share / baseline, rounds, MEDIAN(ours, rounds, late_send_p50_ms),
        MEDIAN(ours, rounds, late_send_p99_ms), MEDIAN(ours, rounds, late_value_p99_ms),
        MEDIAN(bare, rounds, late_send_p99_ms), MEDIAN(bare, rounds, late_value_p99_ms),
        MEDIAN(ours, rounds, rss_mib), MEDIAN(ours, rounds, skipped) / (stations * measure_s));
    (void)fflush(stdout);
}

static void bench_dead(uint32_t stations, int rounds) {
    struct result with[ROUNDS], without[ROUNDS];
    uint32_t dead = (uint32_t)(stations * dead_share);
    for (int i = 0; i < rounds; i++) {
        /* At the same time, so that what else the machine does meets both. */
        struct running living = start(run_driver, stations - dead, 0);
        with[i] = collect(start(run_driver, stations, dead));
        without[i] = collect(living);
    }
    double late = MEDIAN(with, rounds, late_send_p99_ms);
    double baseline = MEDIAN(without, rounds, late_send_p99_ms);
    double ratios[ROUNDS];
    for (int i = 0; i < rounds; i++) {
        ratios[i] = with[i].late_send_p99_ms / without[i].late_send_p99_ms;
    }
    bench_sort(ratios, (size_t)rounds);
    printf(
        "{\"bench\":\"fleet\",\"metric\":\"dead_%u\",\"value\":%.3f,\"unit\":\"late_send_p99_ms\","
        "\"baseline\":%.3f,\"ratio\":%.3f,\"rounds\":%d,\"dead\":%u,\"late_value_p99_ms\":%.3f,"
        "\"baseline_late_value_p99_ms\":%.3f,\"cpu_share\":%.4f,\"baseline_cpu_share\":%.4f}\n",
        stations, late, baseline, ratios[rounds / 2], rounds, dead,
        MEDIAN(with, rounds, late_value_p99_ms), MEDIAN(without, rounds, late_value_p99_ms),
        MEDIAN(with, rounds, cpu_share), MEDIAN(without, rounds, cpu_share));
    (void)fflush(stdout);
}

/* For fleet_daemon. */

static int serve(void) {
    uint16_t port;
    pid_t server = bench_poll_server(true, &port);
    printf("%u\n", port);
    (void)fflush(stdout);
    (void)waitpid(server, NULL, 0);
    return 1; /* it only ends by a signal */
}

static int bare(uint32_t stations) {
    struct result result = collect(start(run_epoll, stations, 0));
    printf("{\"cpu_share\":%.4f,\"late_send_p99_ms\":%.2f,\"late_value_p99_ms\":%.2f}\n",
           result.cpu_share, result.late_send_p99_ms, result.late_value_p99_ms);
    return 0;
}

int main(int argc, char **argv) {
    bool smoke = getenv("CANHBAO_BENCH_SMOKE") != NULL;
    uint32_t stations = smoke ? 100 : 10000;
    uint64_t limit = 0;
    (void)signal(SIGPIPE, SIG_IGN);
    if (smoke) {
        warm_up_s = 1.2;
        measure_s = 1;
    }
    if (limits_raise_descriptors(stations + SPARE_DESCRIPTORS, &limit) < 0) {
        (void)fprintf(stderr,
                      "bench_fleet: %u connections need more than %llu descriptors: not "
                      "measured (ulimit -Hn)\n",
                      stations, (unsigned long long)limit);
        return 1;
    }
    const char *only = argc > 1 ? argv[1] : "";
    if (strcmp(only, "serve") == 0) {
        return serve();
    }
    if (strcmp(only, "bare") == 0) {
        return bare(argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : stations);
    }
    if (strcmp(only, "dead") != 0) {
        bench_fleet(stations, smoke ? 1 : ROUNDS);
    }
    if (strcmp(only, "fleet") != 0) {
        bench_dead(smoke ? 100 : 1000, smoke ? 1 : ROUNDS);
    }
    return 0;
}
