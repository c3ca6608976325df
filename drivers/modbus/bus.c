#include "drivers/modbus/bus.h"

#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum {
    BUS_BUFFER_SIZE = 2 * MODBUS_RTU_FRAME_MAX,
    CHARACTER_BITS = 11,
    BAUD_FIXED_SILENCE = 19200
};

static const int64_t silent_us_fixed = 1750;
/* USB adapters hand over what came in parcels, 16 ms apart at the worst. */
static const int64_t late_settle_us = 30000;

struct modbus_bus {
    struct modbus_endpoint_config config; /* a copy: the thread outlives a reload */
    int stop_fd;
    modbus_t *port;   /* NULL: closed */
    int64_t quiet_us; /* nothing is sent before */
    uint8_t late_unit;
    int64_t late_us; /* until then a late answer of late_unit may come */
    size_t length;   /* of `bytes` */
    uint8_t bytes[BUS_BUFFER_SIZE];
};

static int64_t now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t modbus_bus_silent_us(const struct modbus_serial *serial) {
    if (serial->silent_us > 0) {
        return serial->silent_us;
    }
    /* A character is start, eight bits, parity or a second stop bit, stop: 11 bits. */
    return serial->baud > BAUD_FIXED_SILENCE
               ? silent_us_fixed
               : INT64_C(3500000) * CHARACTER_BITS / (int64_t)serial->baud;
}

int modbus_bus_create(const struct modbus_endpoint_config *config, int stop_fd,
                      struct modbus_bus **ret_bus) {
    struct modbus_bus *bus = calloc(1, sizeof(*bus));
    if (bus == NULL) {
        return ERR_MEMORY;
    }
    bus->config = *config;
    bus->config.units = NULL; /* not ours */
    bus->stop_fd = stop_fd;
    *ret_bus = bus;
    return 0;
}

static void close_port(struct modbus_bus *bus) {
    if (bus->port != NULL) {
        modbus_close(bus->port);
        modbus_free(bus->port);
        bus->port = NULL;
    }
    bus->length = 0;
}

struct modbus_bus *modbus_bus_destroy(struct modbus_bus *bus) {
    if (bus != NULL) {
        close_port(bus);
        free(bus);
    }
    return NULL;
}

static void fail(struct modbus_bus *bus, struct modbus_bus_answer *answer, int code,
                 const char *what, const char *detail) {
    (void)snprintf(answer->why, sizeof(answer->why), "%s%s%s", what, detail[0] != '\0' ? ": " : "",
                   detail);
    answer->code = code;
    close_port(bus);
}

static bool set_direction(modbus_t *port, enum modbus_direction direction) {
    switch (direction) {
    case MODBUS_DIRECTION_KERNEL:
        return modbus_rtu_set_serial_mode(port, MODBUS_RTU_RS485) == 0;
    case MODBUS_DIRECTION_RTS_UP:
        return modbus_rtu_set_rts(port, MODBUS_RTU_RTS_UP) == 0;
    case MODBUS_DIRECTION_RTS_DOWN:
        return modbus_rtu_set_rts(port, MODBUS_RTU_RTS_DOWN) == 0;
    case MODBUS_DIRECTION_AUTO:
        break;
    }
    return true;
}

static bool open_port(struct modbus_bus *bus, struct modbus_bus_answer *answer) {
    static const char parities[] = {
        [MODBUS_PARITY_NONE] = 'N', [MODBUS_PARITY_EVEN] = 'E', [MODBUS_PARITY_ODD] = 'O'};
    const struct modbus_serial *serial = &bus->config.serial;
    bus->port = modbus_new_rtu(serial->device, (int)serial->baud, parities[serial->parity], 8,
                               serial->stop_bits);
    if (bus->port == NULL || modbus_connect(bus->port) != 0) {
        fail(bus, answer, ERR_CLOSED, "cannot open the port", modbus_strerror(errno));
        return false;
    }
    if (flock(modbus_get_socket(bus->port), LOCK_EX | LOCK_NB) != 0) {
        fail(bus, answer, ERR_CLOSED, "cannot open the port",
             errno == EWOULDBLOCK ? "another program uses it" : strerror(errno));
        return false;
    }
    if (!set_direction(bus->port, serial->direction)) {
        fail(bus, answer, ERR_CLOSED, "the port cannot switch the direction", strerror(errno));
        return false;
    }
    answer->opened = true;
    int64_t free_us = now_us() + bus->config.connect_pause_us;
    bus->quiet_us = free_us > bus->quiet_us ? free_us : bus->quiet_us;
    return true;
}

/* Waits for bytes until the deadline and reads them behind those that are there. 0, ERR_TIMEOUT,
 * ERR_BUSY (stop), ERR_CLOSED with errno (0: the end of the stream). */
static int read_more(struct modbus_bus *bus, int64_t deadline_us) {
    int fd = modbus_get_socket(bus->port);
    for (;;) {
        struct pollfd waits[] = {{.fd = fd, .events = POLLIN},
                                 {.fd = bus->stop_fd, .events = POLLIN}};
        int64_t left_us = deadline_us - now_us();
        if (left_us <= 0) {
            return ERR_TIMEOUT;
        }
        if (poll(waits, 2, (int)((left_us + 999) / 1000)) <= 0) {
            continue; /* time is up, or a signal */
        }
        if (waits[1].revents != 0) {
            return ERR_BUSY;
        }
        ssize_t got = read(fd, bus->bytes + bus->length, sizeof(bus->bytes) - bus->length);
        if (got > 0) {
            bus->length += (size_t)got;
            return 0;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            errno = got == 0 ? 0 : errno;
            return ERR_CLOSED;
        }
    }
}

/* Throws away what comes until `until_us`, or until late bytes came and the line is quiet again.
 * False: stopped. */
static bool let_late_pass(struct modbus_bus *bus, int64_t until_us) {
    int64_t end_us = until_us;
    int result = 0;
    while (result == 0) {
        result = read_more(bus, end_us);
        bus->length = 0;
        int64_t settled_us = now_us() + late_settle_us;
        end_us = result == 0 && settled_us < end_us ? settled_us : end_us;
    }
    return result != ERR_BUSY;
}

/* The wait before a request. False: stopped. */
static bool keep_quiet(struct modbus_bus *bus, const struct modbus_request *request) {
    if (bus->late_us > now_us() && request->unit == bus->late_unit &&
        !let_late_pass(bus, bus->late_us)) {
        return false;
    }
    int64_t left_us = bus->quiet_us - now_us();
    if (left_us > 0) {
        struct pollfd wait = {.fd = bus->stop_fd, .events = POLLIN};
        struct timespec time = {.tv_sec = left_us / 1000000,
                                .tv_nsec = (long)(left_us % 1000000) * 1000};
        return ppoll(&wait, 1, &time, NULL) <= 0;
    }
    return true;
}

static bool send_request(struct modbus_bus *bus, const struct modbus_request *request) {
    uint8_t frame[MODBUS_RTU_REQUEST_SIZE];
    modbus_rtu_request_build(request, frame);
    bus->length = 0;
    (void)modbus_flush(bus->port); /* what stands in the port is no answer to what follows */
    /* libmodbus appends the CRC itself. */
    return modbus_send_raw_request(bus->port, frame, MODBUS_RTU_REQUEST_SIZE - 2) > 0;
}

/* Reads until the function says that `bytes` is whole. Its length, or an error as read_more();
 * ERR_CORRUPT. */
static int read_frame(struct modbus_bus *bus, const struct modbus_request *request,
                      int64_t deadline_us) {
    int length = modbus_rtu_reply_length(request, bus->bytes, bus->length);
    while (length == 0) {
        int result = read_more(bus, deadline_us);
        if (result < 0) {
            return result;
        }
        length = modbus_rtu_reply_length(request, bus->bytes, bus->length);
    }
    return length;
}

static void take_off(struct modbus_bus *bus, size_t length) {
    bus->length -= length;
    memmove(bus->bytes, bus->bytes + length, bus->length);
}

/* The line gives us our own request back first. */
static int skip_echo(struct modbus_bus *bus, const struct modbus_request *request,
                     int64_t deadline_us) {
    uint8_t frame[MODBUS_RTU_REQUEST_SIZE];
    int result = 0;
    modbus_rtu_request_build(request, frame);
    while (result == 0 && bus->length < sizeof(frame)) {
        result = read_more(bus, deadline_us);
        size_t came = bus->length < sizeof(frame) ? bus->length : sizeof(frame);
        if (result == 0 && memcmp(bus->bytes, frame, came) != 0) {
            return ERR_CORRUPT;
        }
    }
    if (result == 0) {
        take_off(bus, sizeof(frame));
    }
    return result;
}

static void tell_failure(struct modbus_bus *bus, const struct modbus_request *request, int code,
                         const char *fault, struct modbus_bus_answer *answer) {
    int64_t timeout_us = bus->config.request_timeout_us;
    switch (code) {
    case ERR_TIMEOUT:
        bus->late_unit = request->unit;
        bus->late_us = now_us() + 2 * timeout_us;
        fail(bus, answer, ERR_TIMEOUT, "no reply in time",
             answer->foreign > 0 ? "only replies of other units"
             : bus->length > 0   ? "only a part of one"
                                 : "");
        break;
    case ERR_CORRUPT:
        fail(bus, answer, ERR_CORRUPT, "bad reply", fault);
        break;
    case ERR_BUSY:
        fail(bus, answer, ERR_BUSY, "stopped", "");
        break;
    default:
        fail(bus, answer, ERR_CLOSED, "the port is gone", errno != 0 ? strerror(errno) : "");
        break;
    }
}

static void receive(struct modbus_bus *bus, const struct modbus_request *request, int64_t sent_us,
                    struct modbus_bus_answer *answer) {
    int64_t deadline_us = sent_us + bus->config.request_timeout_us;
    int result = bus->config.quirks.echo ? skip_echo(bus, request, deadline_us) : 0;
    if (result < 0) {
        tell_failure(bus, request, result, "no echo of the request", answer);
        return;
    }
    for (;;) { /* every turn takes a frame; bounded by the deadline */
        int length = read_frame(bus, request, deadline_us);
        if (length < 0) {
            tell_failure(bus, request, length, "no RTU frame", answer);
            return;
        }
        memcpy(answer->frame, bus->bytes, (size_t)length);
        take_off(bus, (size_t)length);
        bool whole = modbus_crc(answer->frame, (size_t)length) == 0;
        if (whole && !modbus_reply_unit_ok(request, answer->frame[0])) {
            answer->foreign++; /* late, of another unit */
            continue;
        }
        answer->reply = modbus_rtu_reply_parse(request, answer->frame, (size_t)length);
        if (answer->reply.verdict == MODBUS_REPLY_BAD) {
            tell_failure(bus, request, ERR_CORRUPT, answer->reply.fault, answer);
            return;
        }
        answer->round_trip_us = now_us() - sent_us;
        return;
    }
}

void modbus_bus_ask(struct modbus_bus *bus, const struct modbus_request *request,
                    struct modbus_bus_answer *ret_answer) {
    struct modbus_bus_answer *answer = ret_answer;
    *answer = (struct modbus_bus_answer){.round_trip_us = -1};
    if (bus->port == NULL && !open_port(bus, answer)) {
        return;
    }
    if (!keep_quiet(bus, request)) {
        tell_failure(bus, request, ERR_BUSY, "", answer);
        return;
    }
    int64_t sent_us = now_us();
    if (!send_request(bus, request)) {
        tell_failure(bus, request, ERR_CLOSED, "", answer);
        return;
    }
    answer->sent = true;
    receive(bus, request, sent_us, answer);
    int64_t silent_us = modbus_bus_silent_us(&bus->config.serial);
    int64_t pause_us = bus->config.request_pause_us;
    bus->quiet_us = now_us() + (pause_us > silent_us ? pause_us : silent_us);
    answer->is_open = bus->port != NULL;
}
