#include "daemon/control/ctl_link.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_usage.h"
#include "drivers/modbus/rtu.h"

static const int64_t timeout_us_default = 1000000;

static int64_t now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int split_place(struct ctl_link *link, const char *place) {
    char text[MODBUS_HOST_SIZE + 8];
    int64_t port = MODBUS_PORT_DEFAULT;
    if (text_copy(text, sizeof text, place) != 0) {
        return ERR_INVALID;
    }
    char *host = text;
    char *colon = strrchr(text, ':');
    if (host[0] == '[') {
        char *end = strchr(host, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return ERR_INVALID;
        }
        colon = end[1] == ':' ? end + 1 : NULL;
        *end = '\0';
        host++;
    } else if (colon != NULL && strchr(text, ':') != colon) {
        colon = NULL; /* an IPv6 address without a port */
    }
    if (colon != NULL) {
        *colon = '\0';
        if (text_parse_int(colon + 1, 1, 65535, &port) != 0) {
            return ERR_INVALID;
        }
    }
    (void)snprintf(link->port, sizeof link->port, "%d", (int)port);
    return host[0] == '\0' ? ERR_INVALID : text_copy(link->host, sizeof link->host, host);
}

/* The line's settings: 9600 baud, even parity, one stop bit, as the standard has them. */
static int init_bus(struct ctl_link *link, const char *device, const struct tool_options *options) {
    static const char *const parities[] = {"none", "even", "odd"};
    struct modbus_endpoint_config config;
    int64_t baud = 0, stop_bits = 0;
    modbus_endpoint_defaults(&config);
    config.request_timeout_us = link->timeout_us;
    baud = config.serial.baud;
    stop_bits = config.serial.stop_bits;
    if (options->baud != NULL &&
        (text_parse_int(options->baud, MODBUS_BAUD_MIN, MODBUS_BAUD_MAX, &baud) != 0 ||
         !modbus_baud_ok((uint32_t)baud))) {
        return ctl_expected("--baud", "300, 600, ... 57600, 115200", options->baud);
    }
    if (options->stop_bits != NULL && text_parse_int(options->stop_bits, 1, 2, &stop_bits) != 0) {
        return ctl_expected("--stop-bits", "1 or 2", options->stop_bits);
    }
    if (options->parity != NULL) {
        int at = 0;
        while (at < 3 && strcmp(parities[at], options->parity) != 0) {
            at++;
        }
        if (at == 3) {
            return ctl_expected("--parity", "none, even or odd", options->parity);
        }
        config.serial.parity = (enum modbus_parity)at; /* in the order of the enum */
    }
    config.serial.baud = (uint32_t)baud;
    config.serial.stop_bits = (uint8_t)stop_bits;
    if (text_copy(config.serial.device, sizeof config.serial.device, device) != 0) {
        ctl_error("'%s' is too long for a device", device);
        return EXIT_USAGE;
    }
    if (modbus_bus_create(&config, -1, &link->bus) != 0) {
        ctl_error("no memory");
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

int ctl_link_init(struct ctl_link *link, const char *place, const struct tool_options *options) {
    *link = (struct ctl_link){.fd = -1, .timeout_us = timeout_us_default};
    if (place[0] != '/' && split_place(link, place) != 0) {
        return ctl_expected("PLACE", "HOST, HOST:PORT or /DEVICE", place);
    }
    if (options->timeout != NULL &&
        (text_parse_duration_us(options->timeout, &link->timeout_us) != 0 ||
         link->timeout_us < MODBUS_TIME_US_MIN || link->timeout_us > 60000000)) {
        return ctl_expected("--timeout", "10 ms to 1 min", options->timeout);
    }
    if (options->framing != NULL) {
        if (strcmp(options->framing, "rtu") != 0 && strcmp(options->framing, "tcp") != 0) {
            return ctl_expected("--framing", "tcp or rtu", options->framing);
        }
        link->framing = options->framing[0] == 'r' ? MODBUS_FRAMING_RTU : MODBUS_FRAMING_TCP;
    }
    return place[0] == '/' ? init_bus(link, place, options) : EXIT_DONE;
}

static void disconnect(struct ctl_link *link) {
    if (link->fd >= 0) {
        (void)close(link->fd); /* nothing unsent is in it */
    }
    link->fd = -1;
}

void ctl_link_finish(struct ctl_link *link) {
    disconnect(link);
    link->bus = modbus_bus_destroy(link->bus);
}

static int fail(struct ctl_link *link, int code, const char *why) {
    disconnect(link);
    (void)snprintf(link->why, sizeof link->why, "%s", why);
    return code;
}

/* 0 when ready, ERR_TIMEOUT. */
static int wait_for(int fd, short events, int64_t deadline_us) {
    struct pollfd wait = {.fd = fd, .events = events};
    int ready;
    do {
        int64_t left_us = deadline_us - now_us();
        ready = left_us <= 0 ? 0 : poll(&wait, 1, (int)((left_us + 999) / 1000));
    } while (ready < 0 && errno == EINTR);
    return ready > 0 ? 0 : ERR_TIMEOUT;
}

static int try_address(struct ctl_link *link, const struct addrinfo *address, int64_t deadline_us) {
    int error = 0;
    socklen_t size = sizeof error;
    link->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->fd < 0) {
        return fail(link, ERR_CLOSED, strerror(errno));
    }
    if (connect(link->fd, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno != EINPROGRESS) {
            return fail(link, ERR_CLOSED, strerror(errno));
        }
        if (wait_for(link->fd, POLLOUT, deadline_us) != 0) {
            return fail(link, ERR_CLOSED, "cannot connect: no answer in time");
        }
        if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
            return fail(link, ERR_CLOSED, strerror(error != 0 ? error : errno));
        }
    }
    link->connected = true;
    return 0;
}

static int connect_link(struct ctl_link *link) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *list = NULL;
    int problem = getaddrinfo(link->host, link->port, &hints, &list);
    if (problem != 0) {
        return fail(link, ERR_CLOSED, gai_strerror(problem));
    }
    int result = ERR_CLOSED;
    for (const struct addrinfo *at = list; at != NULL && result != 0; at = at->ai_next) {
        result = try_address(link, at, now_us() + 3 * link->timeout_us);
    }
    freeaddrinfo(list);
    return result;
}

static int refused(struct ctl_link *link, uint8_t exception) {
    link->exception = exception;
    (void)snprintf(link->why, sizeof link->why, "exception %u: %s", exception,
                   modbus_exception_name(exception));
    return ERR_UNSUPPORTED;
}

/* Judges what came so far; 1: more is needed. */
static int judge(struct ctl_link *link, const struct modbus_request *request, const uint8_t *bytes,
                 size_t *length, uint8_t *ret_data) {
    bool rtu = link->framing == MODBUS_FRAMING_RTU;
    int whole = rtu ? modbus_rtu_frame_length(bytes, *length) : modbus_frame_length(bytes, *length);
    if (whole == 0) {
        return 1;
    }
    if (whole < 0) {
        return fail(link, ERR_CORRUPT, "what answers is no Modbus of this framing");
    }
    struct modbus_reply reply = rtu ? modbus_rtu_reply_parse(request, bytes, (size_t)whole)
                                    : modbus_reply_parse(request, bytes, (size_t)whole);
    switch (reply.verdict) {
    case MODBUS_REPLY_VALUES:
        memcpy(ret_data, reply.data, modbus_data_size(request));
        /* Bytes behind the frame could be taken for the next answer. */
        if ((size_t)whole != *length) {
            disconnect(link);
        }
        return 0;
    case MODBUS_REPLY_EXCEPTION:
        return refused(link, reply.exception);
    case MODBUS_REPLY_FOREIGN:
        return fail(link, ERR_CORRUPT, "a reply to another request");
    case MODBUS_REPLY_BAD:
        break;
    }
    char why[LINK_WHY_SIZE];
    (void)snprintf(why, sizeof why, "bad reply: wrong %s", reply.fault);
    return fail(link, ERR_CORRUPT, why);
}

static int receive(struct ctl_link *link, const struct modbus_request *request, int64_t sent_us,
                   uint8_t *ret_data) {
    uint8_t bytes[MODBUS_FRAME_MAX];
    size_t length = 0;
    int result = 1;
    /* Ends: every turn brings a byte, and a whole frame fits. */
    while (result == 1) {
        if (wait_for(link->fd, POLLIN, sent_us + link->timeout_us) != 0) {
            return fail(link, ERR_TIMEOUT,
                        length > 0 ? "only a part of a reply in time" : "no reply in time");
        }
        ssize_t got = recv(link->fd, bytes + length, sizeof bytes - length, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        if (got <= 0) {
            return fail(link, ERR_CLOSED, got == 0 ? "closed by the device" : strerror(errno));
        }
        length += (size_t)got;
        link->round_trip_us = now_us() - sent_us;
        result = judge(link, request, bytes, &length, ret_data);
    }
    return result;
}

static int ask_bus(struct ctl_link *link, const struct modbus_request *request, uint8_t *ret_data) {
    struct modbus_bus_answer answer;
    if (request->unit < 1 || request->unit > 247) {
        return fail(link, ERR_TIMEOUT, "a serial line has the units 1 to 247");
    }
    modbus_bus_ask(link->bus, request, &answer);
    link->connected = link->connected || answer.opened;
    link->round_trip_us = answer.round_trip_us;
    if (answer.code != 0) {
        return fail(link, answer.code, answer.why);
    }
    if (answer.reply.verdict == MODBUS_REPLY_EXCEPTION) {
        return refused(link, answer.reply.exception);
    }
    memcpy(ret_data, answer.reply.data, modbus_data_size(request));
    return 0;
}

int ctl_link_read(struct ctl_link *link, struct modbus_request request,
                  uint8_t ret_data[MODBUS_PDU_MAX]) {
    if (link->bus != NULL) {
        return ask_bus(link, &request, ret_data);
    }
    uint8_t frame[MODBUS_REQUEST_SIZE];
    size_t size = MODBUS_REQUEST_SIZE;
    if (link->fd < 0) {
        int result = connect_link(link);
        if (result != 0) {
            return result;
        }
    }
    request.transaction = ++link->transaction;
    if (link->framing == MODBUS_FRAMING_RTU) {
        modbus_rtu_request_build(&request, frame);
        size = MODBUS_RTU_REQUEST_SIZE;
    } else {
        modbus_request_build(&request, frame);
    }
    int64_t sent_us = now_us();
    /* So few bytes always fit into the buffer of a socket that waits for nothing else. */
    if (send(link->fd, frame, size, MSG_NOSIGNAL) != (ssize_t)size) {
        return fail(link, ERR_CLOSED, strerror(errno));
    }
    return receive(link, &request, sent_us, ret_data);
}
