#include "line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum { REQUEST_SIZE = 8, INPUT_MAX = 512, MBAP_WITHOUT_UNIT = 6, TCP_REQUEST_SIZE = 12 };

struct line {
    struct sim_endpoint *endpoint;
    line_answer_fn answer;
    void *ctx;
    int master, slave; /* the slave stays open, so that its last user may come and go */
    uv_poll_t poll;
    uv_timer_t timer;
    int handles;
    bool busy; /* an answer is on its way */
    size_t input_length;
    uint8_t input[INPUT_MAX];
    size_t output_length, output_sent;
    uint32_t dribble_ms;
    uint8_t output[FAULT_FRAME_MAX];
};

static unsigned crc_of(const uint8_t *bytes, size_t length) {
    unsigned crc = 0xFFFF;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0xA001 : crc >> 1;
        }
    }
    return crc;
}

static void serve(struct line *line);

static void on_timer(uv_timer_t *timer) {
    struct line *line = timer->data;
    size_t left = line->output_length - line->output_sent;
    size_t count = line->dribble_ms > 0 && left > 0 ? 1 : left;
    /* A terminal that nobody reads loses bytes, as a wire does. */
    (void)!write(line->master, line->output + line->output_sent, count);
    line->output_sent += count;
    if (line->output_sent < line->output_length) {
        (void)uv_timer_start(timer, on_timer, line->dribble_ms, 0); /* never fails: cb set */
        return;
    }
    line->busy = false;
    serve(line);
}

/* From the TCP form to RTU, and onto the wire as the fault wants it. */
static void deliver(struct line *line, const uint8_t *frame, size_t length,
                    const struct fault *fault) {
    uint8_t falsified[FAULT_FRAME_MAX];
    size_t surplus = fault != NULL && fault->kind == FAULT_SURPLUS ? 4 : 0;
    memcpy(falsified, frame, length);
    if (fault != NULL) {
        length = fault_falsify(fault, falsified, length);
    }
    size_t body = length - surplus - MBAP_WITHOUT_UNIT;
    memcpy(line->output, falsified + MBAP_WITHOUT_UNIT, body);
    unsigned crc = crc_of(line->output, body);
    line->output[body] = (uint8_t)crc;
    line->output[body + 1] = (uint8_t)(crc >> 8);
    memset(line->output + body + 2, 0xa5, surplus);
    line->output_length = body + 2 + surplus;
    line->output_sent = 0;
    line->dribble_ms = fault != NULL && fault->kind == FAULT_DRIBBLE ? fault->delay_ms : 0;
    bool swallow = fault != NULL && (fault->kind == FAULT_SILENCE || fault->kind == FAULT_RESET ||
                                     fault->kind == FAULT_FIN);
    bool later = fault != NULL && (fault->kind == FAULT_DRIBBLE || fault->kind == FAULT_LATE);
    if (later) {
        line->busy = true;
        (void)uv_timer_start(&line->timer, on_timer, fault->delay_ms, 0);
    } else if (!swallow) {
        (void)!write(line->master, line->output, line->output_length); /* as above */
    }
}

static void serve(struct line *line) {
    while (!line->busy && line->input_length >= REQUEST_SIZE) {
        const uint8_t *in = line->input;
        if (crc_of(in, REQUEST_SIZE) != 0) { /* the CRC of a frame with its CRC is 0 */
            line->input_length = 0;          /* noise: wait for the next silence */
            return;
        }
        uint8_t request[TCP_REQUEST_SIZE] = {0, 0, 0, 0, 0, 6};
        uint8_t frame[FAULT_FRAME_MAX];
        const struct fault *fault = NULL;
        memcpy(request + MBAP_WITHOUT_UNIT, in, REQUEST_SIZE - 2);
        line->input_length -= REQUEST_SIZE;
        memmove(line->input, line->input + REQUEST_SIZE, line->input_length);
        /* On a bus whoever is not there is silent. */
        if (line->endpoint->units[request[MBAP_WITHOUT_UNIT] % (SCENARIO_UNITS_MAX + 1)] == NULL) {
            continue;
        }
        size_t length =
            line->answer(line->ctx, line->endpoint, request, sizeof request, frame, &fault);
        deliver(line, frame, length, fault);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct line *line = poll->data;
    (void)events;
    ssize_t got = status < 0 ? -1
                             : read(line->master, line->input + line->input_length,
                                    INPUT_MAX - line->input_length);
    if (got > 0) {
        line->input_length += (size_t)got;
        serve(line);
    }
    if (line->input_length == INPUT_MAX) {
        line->input_length = 0; /* asked on and on while an answer is on its way */
    }
}

static int make_terminal(struct line *line, struct err *ret_err) {
    struct stat there;
    char name[128];
    struct termios mode;
    const char *device = line->endpoint->device;
    line->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (line->master < 0 || grantpt(line->master) != 0 || unlockpt(line->master) != 0 ||
        ptsname_r(line->master, name, sizeof name) != 0) {
        return err_set(ret_err, ERR_IO, "no pseudo-terminal: %s", strerror(errno));
    }
    line->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (line->slave < 0 || tcgetattr(line->slave, &mode) != 0) {
        return err_set(ret_err, ERR_IO, "%s: %s", name, strerror(errno));
    }
    cfmakeraw(&mode);
    if (tcsetattr(line->slave, TCSANOW, &mode) != 0) {
        return err_set(ret_err, ERR_IO, "%s: %s", name, strerror(errno));
    }
    if (lstat(device, &there) == 0 && (!S_ISLNK(there.st_mode) || unlink(device) != 0)) {
        return err_set(ret_err, ERR_EXISTS, "device %s: there is something else", device);
    }
    return symlink(name, device) == 0
               ? 0
               : err_set(ret_err, ERR_IO, "device %s: %s", device, strerror(errno));
}

static void free_line(struct line *line) {
    if (line->master >= 0) {
        (void)close(line->master);
    }
    if (line->slave >= 0) {
        (void)close(line->slave);
    }
    free(line);
}

int line_open(uv_loop_t *loop, struct sim_endpoint *endpoint, line_answer_fn answer, void *ctx,
              struct line **ret_line, struct err *ret_err) {
    struct line *line = calloc(1, sizeof *line);
    if (line == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a line");
    }
    *line = (struct line){
        .endpoint = endpoint, .answer = answer, .ctx = ctx, .master = -1, .slave = -1};
    int result = make_terminal(line, ret_err);
    if (result == 0 && uv_poll_init(loop, &line->poll, line->master) != 0) {
        result = err_set(ret_err, ERR_IO, "device %s cannot be watched", endpoint->device);
    }
    if (result != 0) {
        free_line(line);
        return result;
    }
    line->poll.data = line;
    (void)uv_timer_init(loop, &line->timer); /* cannot fail */
    line->timer.data = line;
    line->handles = 2;
    (void)uv_poll_start(&line->poll, UV_READABLE, on_readable); /* fails only when closing */
    *ret_line = line;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    struct line *line = handle->data;
    if (--line->handles == 0) {
        free_line(line);
    }
}

void line_close(struct line *line) {
    if (line != NULL) {
        (void)unlink(line->endpoint->device); /* somebody else's clean-up may have been first */
        uv_close((uv_handle_t *)&line->poll, on_closed);
        uv_close((uv_handle_t *)&line->timer, on_closed);
    }
}
