#include "server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "fault.h"
#include "line.h"
#include "reply.h"

enum { BACKLOG = 4096, INPUT_MAX = 4 * REPLY_REQUEST_MAX, FILES_SPARE = 64 };

struct listener {
    struct server *server;
    struct sim_endpoint *endpoint;
    uv_tcp_t socket;
    bool open;
    bool closing;
    bool wanted;       /* open again as soon as closing is over */
    struct line *line; /* instead of the socket */
    struct connection *first;
};

struct connection {
    uv_tcp_t socket;
    struct listener *listener;
    struct connection *next;
    struct connection *previous;
    uv_timer_t timer; /* for a late or dribbled answer */
    bool timer_ready;
    bool busy; /* an answer is on its way; input waits */
    bool closing;
    int handles; /* not closed yet; the last one frees */
    size_t input_length;
    uint8_t input[INPUT_MAX];
    size_t output_length;
    size_t output_sent;
    uint32_t dribble_ms; /* 0: all at once */
    uint8_t output[FAULT_FRAME_MAX];
};

struct server {
    uv_loop_t *loop;
    struct scenario *scenario;
    const struct simclock *clock;
    struct record *truth;
    struct record *faults;
    struct listener *listeners;
    size_t listener_count;
    uv_timer_t schedule;  /* begin and end of the fault windows */
    int64_t scheduled_us; /* windows up to here are dealt with */
    bool stopping;
    uint64_t draws;
    struct server_counts counts;
};

/* ---- connections -------------------------------------------------------------------------- */

static void serve(struct connection *connection);

static void on_closed(uv_handle_t *handle) {
    struct connection *connection = handle->data;
    if (--connection->handles > 0) {
        return;
    }
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        connection->listener->first = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    connection->listener->server->counts.open--;
    free(connection);
}

static void close_timer(struct connection *connection) {
    if (connection->timer_ready) {
        uv_close((uv_handle_t *)&connection->timer, on_closed);
    }
}

static void drop(struct connection *connection) {
    if (!connection->closing) {
        connection->closing = true;
        uv_close((uv_handle_t *)&connection->socket, on_closed);
        close_timer(connection);
    }
}

/* An RST instead of a FIN. */
static void reset(struct connection *connection) {
    if (!connection->closing) {
        connection->closing = true;
        if (uv_tcp_close_reset(&connection->socket, on_closed) != 0) {
            uv_close((uv_handle_t *)&connection->socket, on_closed);
        }
        close_timer(connection);
    }
}

/* Sends up to count bytes of the output. A peer that does not read what it asked for is dropped:
 * one answer always fits into the socket's buffer. */
static bool send_some(struct connection *connection, size_t count) {
    uv_buf_t part =
        uv_buf_init((char *)connection->output + connection->output_sent, (unsigned)count);
    if (uv_try_write((uv_stream_t *)&connection->socket, &part, 1) != (int)count) {
        drop(connection);
        return false;
    }
    connection->output_sent += count;
    return true;
}

static void on_timer(uv_timer_t *timer) {
    struct connection *connection = timer->data;
    size_t left = connection->output_length - connection->output_sent;
    if (!send_some(connection, connection->dribble_ms > 0 ? 1 : left)) {
        return;
    }
    if (connection->output_sent < connection->output_length) {
        (void)uv_timer_start(timer, on_timer, connection->dribble_ms, 0); /* never fails: cb set */
        return;
    }
    connection->busy = false;
    serve(connection);
}

static void send_later(struct connection *connection, uint32_t first_ms, uint32_t dribble_ms) {
    if (!connection->timer_ready) {
        (void)uv_timer_init(connection->listener->server->loop,
                            &connection->timer); /* cannot fail */
        connection->timer.data = connection;
        connection->timer_ready = true;
        connection->handles++;
    }
    connection->busy = true;
    connection->dribble_ms = dribble_ms;
    (void)uv_timer_start(&connection->timer, on_timer, first_ms, 0);
}

/* Sends the (possibly falsified) answer the way the fault wants it. */
static void deliver(struct connection *connection, const struct fault *fault) {
    connection->output_sent = 0;
    if (fault == NULL) {
        (void)send_some(connection, connection->output_length);
        return;
    }
    connection->output_length = fault_falsify(fault, connection->output, connection->output_length);
    switch (fault->kind) {
    case FAULT_SILENCE:
        break;
    case FAULT_DRIBBLE:
        send_later(connection, fault->delay_ms, fault->delay_ms);
        break;
    case FAULT_LATE:
        send_later(connection, fault->delay_ms, 0);
        break;
    case FAULT_RESET:
        reset(connection);
        break;
    case FAULT_FIN:
        if (send_some(connection, connection->output_length / 2)) {
            drop(connection);
        }
        break;
    default:
        (void)send_some(connection, connection->output_length);
        break;
    }
}

static const struct fault *reply_fault(struct server *server, const struct sim_station *station,
                                       int64_t t_us) {
    for (size_t i = 0; station != NULL && i < station->fault_count; i++) {
        const struct fault *fault = station->faults[i];
        if (!fault_is_value(fault->kind) && fault->kind != FAULT_REFUSE &&
            fault_active(fault, t_us) && fault_strikes(fault, server->draws++)) {
            return fault;
        }
    }
    return NULL;
}

static size_t build_answer(void *ctx, struct sim_endpoint *endpoint, const uint8_t *request,
                           size_t length, uint8_t *ret_frame, const struct fault **ret_fault) {
    struct server *server = ctx;
    uint8_t unit = request[6];
    struct sim_station *station = unit <= SCENARIO_UNITS_MAX ? endpoint->units[unit] : NULL;
    int64_t t_us = simclock_now_us(server->clock);
    const struct fault *fault = reply_fault(server, station, t_us);
    server->counts.requests++;
    if (fault != NULL) {
        server->counts.faulty++;
        record_fault(server->faults, t_us, fault, "applied", station);
    }
    *ret_fault = fault;
    return reply_build(station, request, length, t_us,
                       fault != NULL ? fault_names[fault->kind] : NULL, server->truth, ret_frame);
}

static void answer(struct connection *connection, size_t length) {
    const struct fault *fault;
    connection->output_length =
        build_answer(connection->listener->server, connection->listener->endpoint,
                     connection->input, length, connection->output, &fault);
    deliver(connection, fault);
}

/* Answers the whole requests of the buffer until one has to wait. */
static void serve(struct connection *connection) {
    while (!connection->busy && !connection->closing) {
        int length = reply_request_length(connection->input, connection->input_length);
        if (length < 0) {
            drop(connection);
            return;
        }
        if (length == 0) {
            return;
        }
        answer(connection, (size_t)length);
        connection->input_length -= (size_t)length;
        memmove(connection->input, connection->input + length, connection->input_length);
    }
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer) {
    (void)suggested; /* the connection's own buffer has its own size */
    struct connection *connection = handle->data;
    *ret_buffer = uv_buf_init((char *)connection->input + connection->input_length,
                              (unsigned)(INPUT_MAX - connection->input_length));
}

static void on_input(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    (void)buffer; /* it is the connection's own */
    struct connection *connection = stream->data;
    if (count < 0) {
        /* The end, an error, or UV_ENOBUFS: more requests in flight than the buffer holds. */
        drop(connection);
        return;
    }
    connection->input_length += (size_t)count;
    serve(connection);
}

static void on_connection(uv_stream_t *stream, int status) {
    struct listener *listener = stream->data;
    struct server *server = listener->server;
    struct connection *connection = status == 0 ? calloc(1, sizeof *connection) : NULL;
    if (connection == NULL) {
        return; /* the peer sees a reset once the listener closes; nothing was promised to it */
    }
    (void)uv_tcp_init(server->loop, &connection->socket); /* only fails for a bad loop */
    connection->socket.data = connection;
    connection->listener = listener;
    connection->handles = 1;
    connection->next = listener->first;
    if (listener->first != NULL) {
        listener->first->previous = connection;
    }
    listener->first = connection;
    server->counts.open++;
    if (uv_accept(stream, (uv_stream_t *)&connection->socket) != 0 ||
        uv_read_start((uv_stream_t *)&connection->socket, on_room, on_input) != 0) {
        drop(connection);
        return;
    }
    (void)uv_tcp_nodelay(&connection->socket, 1); /* slower without, not wrong */
    server->counts.connections++;
}

/* ---- listeners ---------------------------------------------------------------------------- */

static int listener_open(struct listener *listener, struct err *ret_err) {
    struct sim_endpoint *endpoint = listener->endpoint;
    if (endpoint->device[0] != '\0') {
        return line_open(listener->server->loop, endpoint, build_answer, listener->server,
                         &listener->line, ret_err);
    }
    struct sockaddr_in address;
    struct sockaddr_storage bound;
    int length = sizeof bound;
    int result = uv_ip4_addr(endpoint->host, endpoint->port, &address);
    if (result != 0) {
        return err_set(ret_err, ERR_SYNTAX, "host '%s': an IPv4 address is expected",
                       endpoint->host);
    }
    (void)uv_tcp_init(listener->server->loop, &listener->socket);
    listener->socket.data = listener;
    listener->open = true;
    result = uv_tcp_bind(&listener->socket, (const struct sockaddr *)&address, 0);
    if (result == 0) {
        result = uv_listen((uv_stream_t *)&listener->socket, BACKLOG, on_connection);
    }
    if (result == 0) {
        result = uv_tcp_getsockname(&listener->socket, (struct sockaddr *)&bound, &length);
    }
    if (result != 0) {
        return err_set(ret_err, ERR_IO, "cannot listen on %s:%u: %s", endpoint->host,
                       endpoint->port, uv_strerror(result));
    }
    endpoint->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
    return 0;
}

static void on_listener_closed(uv_handle_t *handle) {
    struct listener *listener = handle->data;
    listener->closing = false;
    listener->open = false;
    if (listener->wanted && !listener->server->stopping) {
        struct err err = {0};
        listener->wanted = false;
        if (listener_open(listener, &err) != 0) {
            (void)fprintf(stderr, "canhbao-sim: %s\n", err.text);
        }
    }
}

static void listener_close(struct listener *listener) {
    line_close(listener->line);
    listener->line = NULL;
    if (listener->open && !listener->closing) {
        listener->closing = true;
        uv_close((uv_handle_t *)&listener->socket, on_listener_closed);
    }
    for (struct connection *at = listener->first; at != NULL;) {
        struct connection *next = at->next;
        reset(at);
        at = next;
    }
}

static bool endpoint_refuses(const struct sim_endpoint *endpoint, int64_t t_us) {
    for (size_t unit = 0; endpoint->device[0] == '\0' && unit <= SCENARIO_UNITS_MAX; unit++) {
        const struct sim_station *station = endpoint->units[unit];
        for (size_t i = 0; station != NULL && i < station->fault_count; i++) {
            if (station->faults[i]->kind == FAULT_REFUSE &&
                fault_active(station->faults[i], t_us)) {
                return true;
            }
        }
    }
    return false;
}

static void apply_refusals(struct server *server, int64_t t_us) {
    for (size_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        bool refuse = endpoint_refuses(listener->endpoint, t_us);
        struct err err = {0};
        if (refuse) {
            listener->wanted = false;
            listener_close(listener);
        } else if (listener->closing) {
            listener->wanted = true;
        } else if (!listener->open && listener->line == NULL &&
                   listener_open(listener, &err) != 0) {
            (void)fprintf(stderr, "canhbao-sim: %s\n", err.text);
        }
    }
}

/* ---- the schedule of the fault windows ---------------------------------------------------- */

static void note_window(struct server *server, const struct fault *fault, int64_t t_us,
                        const char *event, int64_t until_us, bool *refusals) {
    if (t_us > server->scheduled_us && t_us <= until_us) {
        record_fault(server->faults, t_us, fault, event, NULL);
        *refusals = *refusals || fault->kind == FAULT_REFUSE;
    }
}

static void on_schedule(uv_timer_t *timer) {
    struct server *server = timer->data;
    int64_t now_us = simclock_now_us(server->clock);
    int64_t next_us = INT64_MAX;
    bool refusals = false;
    for (size_t i = 0; i < server->scenario->fault_count; i++) {
        const struct fault *fault = &server->scenario->faults[i];
        note_window(server, fault, fault->from_us, "begin", now_us, &refusals);
        note_window(server, fault, fault->to_us, "end", now_us, &refusals);
        if (fault->from_us > now_us && fault->from_us < next_us) {
            next_us = fault->from_us;
        }
        if (fault->to_us > now_us && fault->to_us < next_us) {
            next_us = fault->to_us;
        }
    }
    server->scheduled_us = now_us;
    if (refusals) {
        apply_refusals(server, now_us);
    }
    if (next_us != INT64_MAX) {
        (void)uv_timer_start(timer, on_schedule, simclock_until_ms(server->clock, next_us), 0);
    }
}

/* Windows that are open when we start. */
static void first_windows(struct server *server) {
    int64_t now_us = simclock_now_us(server->clock);
    for (size_t i = 0; i < server->scenario->fault_count; i++) {
        const struct fault *fault = &server->scenario->faults[i];
        if (fault_active(fault, now_us)) {
            record_fault(server->faults, now_us, fault, "begin", NULL);
        }
    }
    server->scheduled_us = now_us;
    on_schedule(&server->schedule);
}

/* ---- life --------------------------------------------------------------------------------- */

/* The hard limit is raised too where we may (root). */
static int raise_files(size_t needed, struct err *ret_err) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return err_set(ret_err, ERR_IO, "cannot read the descriptor limit");
    }
    struct rlimit higher = {needed, needed};
    if (limit.rlim_max >= needed || setrlimit(RLIMIT_NOFILE, &higher) != 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* judged by the next line */
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < needed) {
        return err_set(ret_err, ERR_LIMIT,
                       "%zu descriptors are needed (one port and one connection an endpoint), the "
                       "limit is %llu; raise it (ulimit -Hn)",
                       needed, (unsigned long long)limit.rlim_cur);
    }
    return 0;
}

int server_create(uv_loop_t *loop, struct scenario *scenario, const struct simclock *clock,
                  struct record *truth, struct record *faults, struct server **ret_server,
                  struct err *ret_err) {
    int result = raise_files(2 * scenario->endpoint_count + FILES_SPARE, ret_err);
    if (result != 0) {
        return result;
    }
    struct server *server = calloc(1, sizeof *server);
    struct listener *listeners = calloc(scenario->endpoint_count + 1, sizeof *listeners);
    if (server == NULL || listeners == NULL) {
        free(server);
        free(listeners);
        return err_set(ret_err, ERR_MEMORY, "no memory for the server");
    }
    *server = (struct server){.loop = loop,
                              .scenario = scenario,
                              .clock = clock,
                              .truth = truth,
                              .faults = faults,
                              .listeners = listeners};
    (void)uv_timer_init(loop, &server->schedule); /* cannot fail */
    server->schedule.data = server;
    int64_t now_us = simclock_now_us(clock);
    for (size_t i = 0; result == 0 && i < scenario->endpoint_count; i++) {
        struct listener *listener = &listeners[i];
        listener->server = server;
        listener->endpoint = &scenario->endpoints[i];
        server->listener_count = i + 1;
        /* A refusing endpoint is opened too, so that a port 0 gets its number. */
        result = listener_open(listener, ret_err);
        if (result == 0 && endpoint_refuses(listener->endpoint, now_us)) {
            listener_close(listener);
        }
    }
    if (result == 0) {
        first_windows(server);
    }
    /* Also after a failure: the caller stops it, runs the loop empty and destroys it. */
    *ret_server = server;
    return result;
}

void server_stop(struct server *server) {
    if (server == NULL || server->stopping) {
        return;
    }
    server->stopping = true;
    uv_close((uv_handle_t *)&server->schedule, NULL);
    for (size_t i = 0; i < server->listener_count; i++) {
        listener_close(&server->listeners[i]);
    }
}

void server_destroy(struct server *server) {
    if (server != NULL) {
        free(server->listeners);
        free(server);
    }
}

struct server_counts server_counts(const struct server *server) {
    return server->counts;
}
