#include "models/areal/past.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/bytes.h"
#include "daemon/base/text.h"
#include "models/output/output.h"

static const char magic[] = "canhbao areal frames 1";

struct past {
    char signature[HASH_TEXT_SIZE];
    size_t cells;
    size_t count, room;
    struct past_frame *frames;
};

static void put_numbers(struct bytes *bytes, const double *numbers, size_t count) {
    for (size_t i = 0; numbers != NULL && i < count; i++) {
        bytes_put_double(bytes, numbers[i]);
    }
}

void past_signature(const struct grid *grid, const char *variable, const size_t *cells,
                    size_t cell_count, char ret_text[HASH_TEXT_SIZE]) {
    struct bytes bytes = {.data = NULL};
    bytes_put_text(&bytes, variable);
    bytes_put_text(&bytes, grid->crs);
    bytes_put_u64(&bytes, grid->rows);
    bytes_put_u64(&bytes, grid->columns);
    put_numbers(&bytes, grid->x, grid->columns);
    put_numbers(&bytes, grid->y, grid->rows);
    put_numbers(&bytes, grid->lon, grid->rows * grid->columns);
    put_numbers(&bytes, grid->lat, grid->rows * grid->columns);
    for (size_t i = 0; i < cell_count; i++) {
        bytes_put_u64(&bytes, cells[i]);
    }
    /* Without memory it fits no other, and frames are read from their files. */
    hash_text(bytes.data, bytes.length, ret_text);
    bytes_finish(&bytes);
}

int past_create(const char *signature, size_t cell_count, struct past **ret_past,
                struct err *ret_err) {
    struct past *past = calloc(1, sizeof *past);
    if (past == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for frames to keep");
    }
    past->cells = cell_count;
    (void)text_copy(past->signature, sizeof past->signature, signature); /* a hash fits */
    *ret_past = past;
    return 0;
}

void past_destroy(struct past *past) {
    for (size_t i = 0; past != NULL && i < past->count; i++) {
        free(past->frames[i].rate_mm_h);
    }
    if (past != NULL) {
        free(past->frames);
    }
    free(past);
}

size_t past_count(const struct past *past) {
    return past->count;
}

const struct past_frame *past_find(const struct past *past, const char *name, int64_t bytes,
                                   int64_t modified_ns) {
    for (size_t i = 0; past != NULL && i < past->count; i++) {
        const struct past_frame *frame = &past->frames[i];
        if (frame->bytes == bytes && frame->modified_ns == modified_ns &&
            strcmp(frame->name, name) == 0) {
            return frame;
        }
    }
    return NULL;
}

int past_add(struct past *past, const struct past_frame *frame, struct err *ret_err) {
    if (past->count >= PAST_FRAMES_MAX ||
        (past->count + 1) * past->cells > PAST_BYTES_MAX / sizeof(double)) {
        return err_set(ret_err, ERR_LIMIT, "more than %zu frames of %zu cells are not kept",
                       past->count, past->cells);
    }
    if (past->count == past->room) {
        size_t room = past->room > 0 ? 2 * past->room : 64;
        struct past_frame *more = realloc(past->frames, room * sizeof *more);
        if (more == NULL) {
            return err_set(ret_err, ERR_MEMORY, "no memory for %zu frames", room);
        }
        past->frames = more;
        past->room = room;
    }
    struct past_frame copy = *frame;
    copy.rate_mm_h = malloc((past->cells + 1) * sizeof *copy.rate_mm_h);
    if (copy.rate_mm_h == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a frame of %zu cells", past->cells);
    }
    memcpy(copy.rate_mm_h, frame->rate_mm_h, past->cells * sizeof *copy.rate_mm_h);
    past->frames[past->count++] = copy;
    return 0;
}

/* ---- the file ---- */

int past_write(const struct past *past, const char *path, struct err *ret_err) {
    struct bytes bytes = {.data = NULL};
    char hash[HASH_TEXT_SIZE];
    bytes_put_text(&bytes, magic);
    bytes_put_text(&bytes, past->signature);
    bytes_put_u32(&bytes, (uint32_t)past->cells); /* as past_add() bounds it */
    bytes_put_u32(&bytes, (uint32_t)past->count);
    for (size_t i = 0; i < past->count; i++) {
        const struct past_frame *frame = &past->frames[i];
        bytes_put_text(&bytes, frame->name);
        bytes_put_i64(&bytes, frame->bytes);
        bytes_put_i64(&bytes, frame->modified_ns);
        bytes_put_text(&bytes, frame->hash);
        bytes_put_i64(&bytes, frame->utc_us);
        put_numbers(&bytes, frame->rate_mm_h, past->cells);
    }
    if (bytes.error == 0) {
        hash_text(bytes.data, bytes.length, hash);
        bytes_put_text(&bytes, hash);
    }
    int result = bytes.error != 0
                     ? err_set(ret_err, bytes.error, "no memory for the frames to keep")
                     : output_write_bytes(path, bytes.data, bytes.length, ret_err);
    bytes_finish(&bytes);
    return result;
}

static int slurp(const char *path, struct bytes *ret_bytes, struct err *ret_err) {
    struct stat status;
    uint8_t part[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        int result = err_set(ret_err, ERR_IO, "%.300s: %s", path,
                             fd < 0 ? strerror(errno) : "not a regular file");
        if (fd >= 0) {
            (void)close(fd);
        }
        return result;
    }
    ssize_t count = 1;
    while (count > 0 && ret_bytes->error == 0 && ret_bytes->length <= 2 * (size_t)PAST_BYTES_MAX) {
        count = read(fd, part, sizeof part);
        count = count < 0 && errno == EINTR ? 1 : count;
        bytes_put(ret_bytes, part, count > 0 ? (size_t)count : 0);
    }
    int code = errno;
    (void)close(fd); /* only read */
    return count < 0               ? err_set(ret_err, ERR_IO, "%.300s: %s", path, strerror(code))
           : ret_bytes->error != 0 ? err_set(ret_err, ERR_MEMORY, "%.300s: no memory", path)
           : count > 0             ? err_set(ret_err, ERR_LIMIT, "%.300s: too large", path)
                                   : 0;
}

/* Everything but the hash at the end, which must be that of what is before it. */
static bool is_whole(const struct bytes *bytes, size_t *ret_length) {
    enum { TAIL = 2 + HASH_TEXT_SIZE - 1 };
    char hash[HASH_TEXT_SIZE], stored[HASH_TEXT_SIZE];
    struct bytes_reader reader;
    if (bytes->length < TAIL) {
        return false;
    }
    bytes_read_init(&reader, bytes->data + bytes->length - TAIL, TAIL);
    bytes_get_text(&reader, stored, sizeof stored);
    hash_text(bytes->data, bytes->length - TAIL, hash);
    *ret_length = bytes->length - TAIL;
    return !reader.failed && strcmp(hash, stored) == 0;
}

static int read_frames(struct bytes_reader *reader, uint32_t count, struct past *past,
                       struct err *ret_err) {
    struct past_frame frame;
    double *rates = malloc((past->cells + 1) * sizeof *rates);
    int result = rates != NULL ? 0 : err_set(ret_err, ERR_MEMORY, "no memory for a frame");
    for (uint32_t i = 0; i < count && result == 0 && !reader->failed; i++) {
        bytes_get_text(reader, frame.name, sizeof frame.name);
        frame.bytes = bytes_get_i64(reader);
        frame.modified_ns = bytes_get_i64(reader);
        bytes_get_text(reader, frame.hash, sizeof frame.hash);
        frame.utc_us = bytes_get_i64(reader);
        for (size_t c = 0; c < past->cells; c++) {
            rates[c] = bytes_get_double(reader);
        }
        frame.rate_mm_h = rates;
        result = reader->failed ? 0 : past_add(past, &frame, ret_err);
    }
    free(rates);
    return result;
}

static int parse(const char *path, const struct bytes *bytes, const char *signature,
                 size_t cell_count, struct past **ret_past, struct err *ret_err) {
    char text[sizeof magic + 8];
    char made_for[HASH_TEXT_SIZE];
    size_t length = 0;
    struct bytes_reader reader;
    struct past *past = NULL;
    bytes_read_init(&reader, bytes->data, bytes->length);
    bytes_get_text(&reader, text, sizeof text);
    if (reader.failed || strcmp(text, magic) != 0) {
        return err_set(ret_err, ERR_UNSUPPORTED, "%.300s: no kept frames of this version", path);
    }
    if (!is_whole(bytes, &length)) {
        return err_set(ret_err, ERR_CORRUPT, "%.300s: the content does not match its hash", path);
    }
    reader.length = length;
    bytes_get_text(&reader, made_for, sizeof made_for);
    uint32_t cells = bytes_get_u32(&reader);
    uint32_t count = bytes_get_u32(&reader);
    if (!reader.failed && (strcmp(made_for, signature) != 0 || cells != cell_count)) {
        return err_set(ret_err, ERR_INVALID,
                       "%.300s: the kept frames are of another grid or variable, or of other areas",
                       path);
    }
    int result = past_create(signature, cell_count, &past, ret_err);
    result = result == 0 ? read_frames(&reader, count, past, ret_err) : result;
    if (result == 0 && (reader.failed || bytes_left(&reader) != 0)) {
        result = err_set(ret_err, ERR_CORRUPT, "%.300s: the content has another length", path);
    }
    if (result != 0) {
        past_destroy(past);
        return result;
    }
    *ret_past = past;
    return 0;
}

int past_read(const char *path, const char *signature, size_t cell_count, struct past **ret_past,
              struct err *ret_err) {
    struct bytes bytes = {.data = NULL};
    int result = slurp(path, &bytes, ret_err);
    result = result == 0 ? parse(path, &bytes, signature, cell_count, ret_past, ret_err) : result;
    bytes_finish(&bytes);
    return result;
}
