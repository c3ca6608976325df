/* The loop on real sockets and processes, and the virtual one. Waiting is always "run until the
 * condition stops the loop, for at most PATIENCE_US". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/loop.h"

#define PATIENCE_US INT64_C(120000000)

struct fixture {
    struct clock *clock;
    struct loop *loop;
    char order[512];
    size_t order_length;
};

static void setup(struct fixture *fixture, bool is_virtual) {
    memset(fixture, 0, sizeof(*fixture));
    assert_int_equal(is_virtual ? clock_create_virtual((struct utc_us){0}, &fixture->clock)
                                : clock_create_real(&fixture->clock),
                     0);
    assert_int_equal(loop_create(fixture->clock, &fixture->loop), 0);
}

static void teardown(struct fixture *fixture) {
    assert_null(loop_destroy(fixture->loop));
    clock_destroy(fixture->clock);
}

/* Timers */

struct marked {
    struct fixture *fixture;
    struct loop_timer timer;
    char mark;
    int64_t fired_us;
    bool stops;
};

static void on_mark(void *ctx) {
    struct marked *marked = ctx;
    struct fixture *fixture = marked->fixture;
    fixture->order[fixture->order_length++] = marked->mark;
    marked->fired_us = clock_wire(fixture->clock).us;
    if (marked->stops) {
        loop_stop(fixture->loop);
    }
}

static void mark_init(struct fixture *fixture, enum loop_time time, char mark,
                      struct marked *ret_marked) {
    *ret_marked = (struct marked){.fixture = fixture, .mark = mark};
    assert_int_equal(loop_timer_init(fixture->loop, time, on_mark, ret_marked, &ret_marked->timer),
                     0);
}

static void timers_fire_in_order(void **state) {
    (void)state;
    for (int is_virtual = 0; is_virtual < 2; is_virtual++) {
        struct fixture fixture;
        struct marked a, b, c, d;
        setup(&fixture, is_virtual);
        mark_init(&fixture, LOOP_WIRE, 'a', &a);
        mark_init(&fixture, LOOP_WIRE, 'b', &b);
        mark_init(&fixture, LOOP_WIRE, 'c', &c);
        mark_init(&fixture, LOOP_WIRE, 'd', &d);
        struct mono_us now = clock_wire(fixture.clock);
        loop_timer_start_at(&c.timer, (struct mono_us){now.us + 20000});
        loop_timer_start_at(&a.timer, (struct mono_us){now.us + 5000});
        loop_timer_start_at(&b.timer, (struct mono_us){now.us + 5000});
        loop_timer_start_at(&d.timer, (struct mono_us){now.us + 10000});
        loop_timer_stop(&d.timer);
        assert_false(loop_timer_running(&d.timer));
        c.stops = true;
        assert_int_equal(loop_run(fixture.loop), 0);
        assert_string_equal(fixture.order, "abc");
        assert_true(a.fired_us >= now.us + 5000 && c.fired_us >= now.us + 20000);
        if (is_virtual) {
            assert_int_equal(a.fired_us, now.us + 5000);
            assert_int_equal(c.fired_us, now.us + 20000);
        }
        teardown(&fixture);
    }
}

static void timers_survive_any_order_of_stops(void **state) {
    (void)state;
    enum { COUNT = 300 };
    struct fixture fixture;
    static struct marked marks[COUNT];
    uint32_t random = 12345;
    setup(&fixture, true);
    for (int i = 0; i < COUNT; i++) {
        mark_init(&fixture, i % 2 == 0 ? LOOP_WIRE : LOOP_SCENARIO, 'x', &marks[i]);
    }
    for (int round = 0; round < 200; round++) {
        int64_t due[COUNT];
        for (int i = 0; i < COUNT; i++) {
            random = random * 1664525 + 1013904223;
            due[i] = (random >> 8) % 1000;
            marks[i].fired_us = -1;
            loop_timer_start_in(&marks[i].timer, due[i]);
        }
        for (int i = 0; i < COUNT; i++) {
            random = random * 1664525 + 1013904223;
            if ((random >> 8) % 3 == 0) {
                loop_timer_stop(&marks[i].timer);
                due[i] = -1;
            }
        }
        int64_t start = clock_wire(fixture.clock).us;
        fixture.order_length = 0;
        for (int64_t step = 0; step < 1000; step += 50) {
            assert_int_equal(loop_run_for(fixture.loop, 50), 0);
            fixture.order_length = 0; /* at most COUNT a step, far fewer in practice */
        }
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(marks[i].fired_us, due[i] < 0 ? -1 : start + due[i]);
        }
    }
    teardown(&fixture);
}

static void scenario_timers_follow_the_scale(void **state) {
    (void)state;
    struct fixture fixture = {0};
    struct marked fast, wire;
    struct clock *real = NULL;
    assert_int_equal(clock_create_real(&real), 0);
    struct utc_us now = clock_now(real).utc;
    assert_int_equal(clock_create_scaled(1000, now, now, &fixture.clock), 0);
    assert_int_equal(loop_create(fixture.clock, &fixture.loop), 0);
    mark_init(&fixture, LOOP_SCENARIO, 's', &fast);
    mark_init(&fixture, LOOP_WIRE, 'w', &wire);
    fast.stops = true;
    struct mono_us due = {clock_now(fixture.clock).mono.us + 20000000};
    loop_timer_start_at(&fast.timer, due); /* 20 ms of real time */
    loop_timer_start_in(&wire.timer, 10000000);
    assert_int_equal(loop_run(fixture.loop), 0);
    assert_true(clock_now(fixture.clock).mono.us >= due.us);
    assert_string_equal(fixture.order, "s");
    teardown(&fixture);
    clock_destroy(real);
}

static void virtual_run_ends_when_nothing_is_left(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture, true);
    int64_t start = clock_wire(fixture.clock).us;
    assert_int_equal(loop_run(fixture.loop), 0);
    assert_int_equal(clock_wire(fixture.clock).us, start);
    assert_int_equal(loop_run_for(fixture.loop, 777), 0);
    assert_int_equal(clock_wire(fixture.clock).us, start + 777);
    teardown(&fixture);
}

/* Posts and hooks */

struct poster {
    struct loop *loop;
    int seen;
    int hooks;
    int want;
};

static void on_post(void *ctx) {
    struct poster *poster = ctx;
    poster->seen++;
}

static void on_turn(void *ctx) {
    struct poster *poster = ctx;
    poster->hooks++;
    if (poster->seen >= poster->want) {
        loop_stop(poster->loop);
    }
}

static void *post_many(void *ctx) {
    struct poster *poster = ctx;
    for (int i = 0; i < poster->want; i++) {
        while (loop_post(poster->loop, on_post, poster) == ERR_LIMIT) {
            sched_yield();
        }
    }
    return NULL;
}

static void posts_from_a_thread_all_arrive(void **state) {
    (void)state;
    struct fixture fixture;
    pthread_t thread;
    setup(&fixture, false);
    struct poster poster = {.loop = fixture.loop, .want = 20000};
    struct loop_hook hook;
    loop_hook_add(fixture.loop, on_turn, &poster, &hook);
    assert_int_equal(pthread_create(&thread, NULL, post_many, &poster), 0);
    assert_int_equal(loop_run_for(fixture.loop, PATIENCE_US), 0);
    assert_int_equal(poster.seen, poster.want);
    assert_true(poster.hooks > 0);
    pthread_join(thread, NULL);
    loop_hook_remove(&hook);
    teardown(&fixture);
}

static void posts_are_bounded(void **state) {
    (void)state;
    for (int is_virtual = 0; is_virtual < 2; is_virtual++) {
        struct fixture fixture;
        setup(&fixture, is_virtual);
        struct poster poster = {.loop = fixture.loop, .want = LOOP_POSTS_MAX};
        for (int i = 0; i < LOOP_POSTS_MAX; i++) {
            assert_int_equal(loop_post(fixture.loop, on_post, &poster), 0);
        }
        assert_int_equal(loop_post(fixture.loop, on_post, &poster), ERR_LIMIT);
        struct loop_hook hook;
        loop_hook_add(fixture.loop, on_turn, &poster, &hook);
        assert_int_equal(loop_run_for(fixture.loop, PATIENCE_US), 0);
        assert_int_equal(poster.seen, LOOP_POSTS_MAX);
        teardown(&fixture);
    }
}

/* Streams: a client sends 0, 1, 2 ... in blocks, the server sends all back, the client compares. */

enum { ECHO_BYTES = 300000, ECHO_BLOCK = 1000 };

struct echo {
    struct fixture *fixture;
    struct loop_listener *listener;
    struct loop_stream *server, *client;
    uint8_t server_buffer[4096], client_buffer[777];
    size_t sent, received;
    int connect_result, end_code, server_end_code;
    bool wrong, connected, drained, peer_known;
    struct loop_peer peer;
};

static void send_more(struct echo *echo) {
    uint8_t block[ECHO_BLOCK];
    while (echo->sent < ECHO_BYTES) {
        for (size_t i = 0; i < sizeof(block); i++) {
            block[i] = (uint8_t)((echo->sent + i) % 251);
        }
        if (loop_stream_write(echo->client, block, sizeof(block)) != 0) {
            return; /* on_drain goes on */
        }
        echo->sent += sizeof(block);
    }
}

static void client_connected(void *ctx, int result) {
    struct echo *echo = ctx;
    echo->connect_result = result;
    echo->connected = true;
    if (result < 0) {
        loop_stop(echo->fixture->loop);
        return;
    }
    loop_stream_set_buffer(echo->client, echo->client_buffer, sizeof(echo->client_buffer));
    send_more(echo);
}

static void client_drained(void *ctx) {
    struct echo *echo = ctx;
    echo->drained = true;
    send_more(echo);
}

static void client_read(void *ctx, size_t length) {
    struct echo *echo = ctx;
    for (size_t i = 0; i < length; i++) {
        echo->wrong |= echo->client_buffer[i] != (echo->received + i) % 251;
    }
    echo->received += length;
    if (echo->received == ECHO_BYTES) {
        loop_stop(echo->fixture->loop);
    }
    send_more(echo);
}

static void client_ended(void *ctx, int code) {
    struct echo *echo = ctx;
    echo->end_code = code;
    loop_stop(echo->fixture->loop);
}

static void server_read(void *ctx, size_t length) {
    struct echo *echo = ctx;
    if (loop_stream_write(echo->server, echo->server_buffer, length) != 0) {
        echo->wrong = true;
    }
}

static void server_ended(void *ctx, int code) {
    struct echo *echo = ctx;
    echo->server_end_code = code;
    loop_stop(echo->fixture->loop);
}

static const struct loop_stream_events client_events = {client_connected, client_read, client_ended,
                                                        client_drained};
static const struct loop_stream_events server_events = {NULL, server_read, server_ended, NULL};

static void on_accept(void *ctx, struct loop_stream *stream) {
    struct echo *echo = ctx;
    echo->server = stream;
    echo->peer_known = loop_stream_peer(stream, &echo->peer) == 0;
    loop_stream_set_write_limit(stream, ECHO_BYTES);
    loop_stream_set_events(stream, &server_events, echo);
    loop_stream_set_buffer(stream, echo->server_buffer, sizeof(echo->server_buffer));
}

static void run_echo(struct echo *echo) {
    assert_int_equal(loop_run_for(echo->fixture->loop, PATIENCE_US), 0);
    assert_int_equal(echo->connect_result, 0);
    assert_int_equal(echo->received, ECHO_BYTES);
    assert_false(echo->wrong);
    /* The client goes; the server hears of it. */
    echo->client = loop_stream_close(echo->client);
    assert_int_equal(loop_run_for(echo->fixture->loop, PATIENCE_US), 0);
    assert_int_equal(echo->server_end_code, ERR_CLOSED);
    assert_int_equal(loop_stream_write(echo->server, "x", 1), ERR_CLOSED);
    loop_stream_close(echo->server);
    loop_listener_close(echo->listener);
}

static void tcp_carries_every_byte(void **state) {
    (void)state;
    const char *hosts[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; i < 2; i++) {
        struct fixture fixture;
        setup(&fixture, false);
        struct echo echo = {.fixture = &fixture};
        assert_int_equal(
            loop_listen_tcp(fixture.loop, "127.0.0.1", 0, on_accept, &echo, &echo.listener), 0);
        uint16_t port = loop_listener_port(echo.listener);
        assert_true(port > 0);
        assert_int_equal(
            loop_connect_tcp(fixture.loop, hosts[i], port, &client_events, &echo, &echo.client), 0);
        run_echo(&echo);
        assert_false(echo.peer_known);
        teardown(&fixture);
    }
}

static struct loop_shape chop(void *ctx, enum loop_shape_kind kind, uint16_t port, size_t length) {
    uint32_t *random = ctx;
    (void)port;
    *random = *random * 1664525 + 1013904223;
    if (kind == LOOP_SHAPE_CONNECT) {
        return (struct loop_shape){.delay_us = 2000, .chunk = 0};
    }
    return (struct loop_shape){.delay_us = (*random >> 8) % 3000,
                               .chunk = 1 + (*random >> 20) % length};
}

static void virtual_network_carries_every_byte(void **state) {
    (void)state;
    int64_t ends[2];
    for (int i = 0; i < 2; i++) { /* twice: the same seed gives the same run */
        struct fixture fixture;
        uint32_t random = 99;
        setup(&fixture, true);
        struct echo echo = {.fixture = &fixture};
        loop_set_shape(fixture.loop, chop, &random);
        assert_int_equal(
            loop_listen_tcp(fixture.loop, "station", 502, on_accept, &echo, &echo.listener), 0);
        assert_int_equal(
            loop_connect_tcp(fixture.loop, "station", 502, &client_events, &echo, &echo.client), 0);
        run_echo(&echo);
        ends[i] = clock_wire(fixture.clock).us;
        teardown(&fixture);
    }
    assert_int_equal(ends[0], ends[1]);
}

static void refused_connections_say_so(void **state) {
    (void)state;
    for (int is_virtual = 0; is_virtual < 2; is_virtual++) {
        struct fixture fixture;
        setup(&fixture, is_virtual);
        struct echo echo = {.fixture = &fixture};
        /* A port that was free a moment ago. */
        assert_int_equal(
            loop_listen_tcp(fixture.loop, "127.0.0.1", 0, on_accept, &echo, &echo.listener), 0);
        uint16_t port = loop_listener_port(echo.listener);
        loop_listener_close(echo.listener);
        assert_int_equal(
            loop_connect_tcp(fixture.loop, "127.0.0.1", port, &client_events, &echo, &echo.client),
            0);
        assert_false(echo.connected); /* never from inside the call */
        assert_int_equal(loop_run_for(fixture.loop, PATIENCE_US), 0);
        assert_true(echo.connected);
        assert_int_equal(echo.connect_result, ERR_CLOSED);
        assert_string_equal(loop_stream_why(echo.client), "connection refused");
        loop_stream_close(echo.client);
        teardown(&fixture);
    }
}

static void unknown_names_say_so(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture, false);
    struct echo echo = {.fixture = &fixture};
    assert_int_equal(loop_connect_tcp(fixture.loop, "no-such-host.invalid", 502, &client_events,
                                      &echo, &echo.client),
                     0);
    assert_int_equal(loop_run_for(fixture.loop, PATIENCE_US), 0);
    assert_true(echo.connected);
    /* A machine without a name server answers "try again" instead of "unknown". */
    assert_true(echo.connect_result == ERR_NOT_FOUND || echo.connect_result == ERR_IO);
    loop_stream_close(echo.client);
    /* Closing while the name is being resolved frees everything (the sanitizers look). */
    assert_int_equal(loop_connect_tcp(fixture.loop, "no-such-host.invalid", 502, &client_events,
                                      &echo, &echo.client),
                     0);
    loop_stream_close(echo.client);
    teardown(&fixture);
}

static void queues_are_bounded(void **state) {
    (void)state;
    for (int is_virtual = 0; is_virtual < 2; is_virtual++) {
        struct fixture fixture;
        setup(&fixture, is_virtual);
        struct echo echo = {.fixture = &fixture, .sent = ECHO_BYTES};
        uint8_t block[ECHO_BLOCK] = {0};
        assert_int_equal(
            loop_listen_tcp(fixture.loop, "127.0.0.1", 0, on_accept, &echo, &echo.listener), 0);
        assert_int_equal(loop_connect_tcp(fixture.loop, "127.0.0.1",
                                          loop_listener_port(echo.listener), &client_events, &echo,
                                          &echo.client),
                         0);
        while (!echo.connected) {
            assert_int_equal(loop_run_for(fixture.loop, 10000), 0);
        }
        /* The server is not running while we are here, so the system's buffers fill up. */
        int result = 0;
        size_t tries = 0;
        while ((result = loop_stream_write(echo.client, block, sizeof(block))) == 0) {
            assert_true(++tries < 1000000);
        }
        assert_int_equal(result, ERR_LIMIT);
        assert_true(loop_stream_queued(echo.client) <= LOOP_WRITE_LIMIT_DEFAULT);
        assert_true(loop_stream_queued(echo.client) > LOOP_WRITE_LIMIT_DEFAULT - ECHO_BLOCK);
        loop_stream_close(echo.client);
        teardown(&fixture);
    }
}

static void drop(void *ctx, struct loop_stream *stream) {
    (void)ctx;
    loop_stream_close(stream);
}

static void unix_sockets_know_their_peer(void **state) {
    (void)state;
    struct fixture fixture;
    char folder[] = "/tmp/canhbao-loop-XXXXXX";
    char path[64];
    struct stat status;
    setup(&fixture, false);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    struct echo echo = {.fixture = &fixture};
    struct loop_listener *second = NULL;
    assert_int_equal(loop_listen_unix(fixture.loop, path, 0640, on_accept, &echo, &echo.listener),
                     0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_int_equal(loop_connect_unix(fixture.loop, path, &client_events, &echo, &echo.client), 0);
    run_echo(&echo);
    assert_true(echo.peer_known);
    assert_int_equal(echo.peer.uid, getuid());
    assert_int_equal(echo.peer.pid, getpid());
    assert_int_equal(loop_run_for(fixture.loop, 1000), 0);
    assert_int_equal(access(path, F_OK), -1);
    /* A socket that answers is never taken over, one that is left over is. */
    assert_int_equal(loop_listen_unix(fixture.loop, path, 0640, drop, NULL, &echo.listener), 0);
    assert_int_equal(loop_listen_unix(fixture.loop, path, 0640, drop, NULL, &second), ERR_EXISTS);
    loop_listener_close(echo.listener);
    assert_int_equal(loop_run_for(fixture.loop, 1000), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    int left = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(left, (struct sockaddr *)&address, sizeof(address)), 0);
    close(left);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(loop_listen_unix(fixture.loop, path, 0640, drop, NULL, &echo.listener), 0);
    loop_listener_close(echo.listener);
    assert_int_equal(loop_run_for(fixture.loop, 1000), 0);
    /* A plain file in the way is never removed. */
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(loop_listen_unix(fixture.loop, path, 0640, on_accept, &echo, &second),
                     ERR_EXISTS);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    char too_long[200];
    memset(too_long, 'a', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    assert_int_equal(loop_listen_unix(fixture.loop, too_long, 0640, on_accept, &echo, &second),
                     ERR_INVALID);
    teardown(&fixture);
}

/* Processes */

struct child {
    struct fixture *fixture;
    struct loop_stream *pipes[3];
    struct loop_process *process;
    char out[256];
    size_t out_length;
    bool exited, ended;
    int64_t status;
    int signal_number;
};

static void child_done(struct child *child) {
    if (child->exited && (child->ended || child->pipes[1] == NULL)) {
        loop_stop(child->fixture->loop);
    }
}

static void on_exit_child(void *ctx, int64_t exit_status, int term_signal) {
    struct child *child = ctx;
    child->exited = true;
    child->status = exit_status;
    child->signal_number = term_signal;
    child_done(child);
}

static void child_read(void *ctx, size_t length) {
    struct child *child = ctx;
    child->out_length += length;
    loop_stream_set_buffer(child->pipes[1], child->out + child->out_length,
                           sizeof(child->out) - child->out_length);
}

static void child_ended(void *ctx, int code) {
    struct child *child = ctx;
    assert_int_equal(code, ERR_CLOSED);
    child->ended = true;
    child_done(child);
}

static const struct loop_stream_events child_events = {NULL, child_read, child_ended, NULL};

static int spawn(struct child *child, const char *const *argv, bool piped) {
    enum loop_stdio_kind kind = piped ? LOOP_STDIO_PIPE : LOOP_STDIO_NULL;
    struct loop_spawn options = {.file = argv[0],
                                 .argv = argv,
                                 .stdio = {{kind, 0}, {kind, 0}, {LOOP_STDIO_FD, 2}},
                                 .on_exit = on_exit_child,
                                 .ctx = child};
    return loop_spawn(child->fixture->loop, &options, &child->process, child->pipes);
}

static void a_child_reads_and_answers(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture, false);
    struct child child = {.fixture = &fixture};
    const char *const argv[] = {"sh", "-c", "cat; exit 7", NULL};
    assert_int_equal(spawn(&child, argv, true), 0);
    assert_true(loop_process_pid(child.process) > 0);
    loop_stream_set_events(child.pipes[1], &child_events, &child);
    loop_stream_set_buffer(child.pipes[1], child.out, sizeof(child.out));
    assert_int_equal(loop_stream_write(child.pipes[0], "hello", 5), 0);
    child.pipes[0] = loop_stream_finish(child.pipes[0]);
    assert_int_equal(loop_run_for(fixture.loop, PATIENCE_US), 0);
    assert_true(child.exited && child.ended);
    assert_int_equal(child.status, 7);
    assert_int_equal(child.signal_number, 0);
    assert_int_equal(child.out_length, 5);
    assert_memory_equal(child.out, "hello", 5);
    assert_int_equal(loop_process_kill(child.process, SIGTERM), ERR_NOT_FOUND);
    loop_stream_close(child.pipes[1]);
    loop_process_destroy(child.process);
    teardown(&fixture);
}

static void a_child_can_be_killed(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture, false);
    struct child child = {.fixture = &fixture};
    const char *const argv[] = {"sleep", "1000", NULL};
    assert_int_equal(spawn(&child, argv, false), 0);
    assert_int_equal(loop_process_kill(child.process, SIGTERM), 0);
    assert_int_equal(loop_run_for(fixture.loop, PATIENCE_US), 0);
    assert_true(child.exited);
    assert_int_equal(child.signal_number, SIGTERM);
    loop_process_destroy(child.process);
    /* One that is still running when the loop goes is killed and reaped. */
    struct child left = {.fixture = &fixture};
    assert_int_equal(spawn(&left, argv, false), 0);
    pid_t pid = loop_process_pid(left.process);
    teardown(&fixture);
    assert_int_equal(kill(pid, 0), -1);
    assert_false(left.exited); /* nobody was called */
}

static void a_missing_program_is_an_error(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture, false);
    struct child child = {.fixture = &fixture};
    const char *const argv[] = {"/no/such/program", NULL};
    assert_int_equal(spawn(&child, argv, true), ERR_NOT_FOUND);
    assert_null(child.process);
    teardown(&fixture);
}

/* Watches */

struct watched {
    struct fixture *fixture;
    char name[64];
    int number;
};

static void on_folder(void *ctx, const char *name) {
    struct watched *watched = ctx;
    if (name != NULL && strcmp(name, "new.nc") == 0) {
        (void)snprintf(watched->name, sizeof(watched->name), "%s", name);
        loop_stop(watched->fixture->loop);
    }
}

static void on_number(void *ctx, int number) {
    struct watched *watched = ctx;
    watched->number = number;
    loop_stop(watched->fixture->loop);
}

static void folders_signals_and_descriptors_are_seen(void **state) {
    (void)state;
    struct fixture fixture;
    char folder[] = "/tmp/canhbao-loop-XXXXXX", from[64], to[64];
    struct loop_watch *watch = NULL;
    setup(&fixture, false);
    struct watched watched = {.fixture = &fixture};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(from, sizeof(from), "%s/.part", folder);
    (void)snprintf(to, sizeof(to), "%s/new.nc", folder);
    assert_int_equal(loop_watch_folder(fixture.loop, folder, on_folder, &watched, &watch), 0);
    int fd = open(from, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(loop_run_for(fixture.loop, PATIENCE_US), 0);
    assert_string_equal(watched.name, "new.nc");
    loop_watch_close(watch);
    assert_int_equal(unlink(to), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(loop_watch_folder(fixture.loop, folder, on_folder, &watched, &watch),
                     ERR_NOT_FOUND);

    assert_int_equal(loop_watch_signal(fixture.loop, SIGUSR1, on_number, &watched, &watch), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(loop_run_for(fixture.loop, PATIENCE_US), 0);
    assert_int_equal(watched.number, SIGUSR1);
    loop_watch_close(watch);

    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    assert_int_equal(loop_watch_fd(fixture.loop, ends[0], on_number, &watched, &watch), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(loop_run_for(fixture.loop, PATIENCE_US), 0);
    assert_int_equal(watched.number, ends[0]);
    loop_watch_close(watch);
    teardown(&fixture);
    close(ends[0]);
    close(ends[1]);
}

static void the_virtual_loop_refuses_the_real_world(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture, true);
    struct watched watched = {.fixture = &fixture};
    struct loop_watch *watch = NULL;
    struct child child = {.fixture = &fixture};
    const char *const argv[] = {"true", NULL};
    assert_int_equal(spawn(&child, argv, false), ERR_UNSUPPORTED);
    assert_int_equal(loop_watch_signal(fixture.loop, SIGUSR1, on_number, &watched, &watch),
                     ERR_UNSUPPORTED);
    assert_int_equal(loop_watch_folder(fixture.loop, "/", on_folder, &watched, &watch),
                     ERR_UNSUPPORTED);
    assert_null(watch);
    teardown(&fixture);
    assert_null(loop_destroy(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(timers_survive_any_order_of_stops),
        cmocka_unit_test(scenario_timers_follow_the_scale),
        cmocka_unit_test(virtual_run_ends_when_nothing_is_left),
        cmocka_unit_test(posts_from_a_thread_all_arrive),
        cmocka_unit_test(posts_are_bounded),
        cmocka_unit_test(tcp_carries_every_byte),
        cmocka_unit_test(virtual_network_carries_every_byte),
        cmocka_unit_test(refused_connections_say_so),
        cmocka_unit_test(unknown_names_say_so),
        cmocka_unit_test(queues_are_bounded),
        cmocka_unit_test(unix_sockets_know_their_peer),
        cmocka_unit_test(a_child_reads_and_answers),
        cmocka_unit_test(a_child_can_be_killed),
        cmocka_unit_test(a_missing_program_is_an_error),
        cmocka_unit_test(folders_signals_and_descriptors_are_seen),
        cmocka_unit_test(the_virtual_loop_refuses_the_real_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
