#include "record.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "daemon/base/text.h"

int record_open(struct record *record, const char *path, struct err *ret_err) {
    *record = (struct record){.path = path};
    if (path == NULL) {
        return 0;
    }
    record->file = fopen(path, "we");
    if (record->file == NULL) {
        return err_set(ret_err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return 0;
}

int record_close(struct record *record, struct err *ret_err) {
    if (record->file == NULL) {
        return 0;
    }
    if (fclose(record->file) != 0 && record->error == 0) {
        record->error = errno;
    }
    record->file = NULL;
    return record->error == 0
               ? 0
               : err_set(ret_err, ERR_IO, "%s: %s", record->path, strerror(record->error));
}

/* Whole lines, flushed one by one: the reader may look while we run. */
__attribute__((format(printf, 2, 3))) static void put_line(struct record *record,
                                                           const char *format, ...) {
    if (record->error != 0) {
        return;
    }
    if (record->bytes > RECORD_BYTES_MAX) {
        record->error = EFBIG;
        return;
    }
    va_list args;
    va_start(args, format);
    int length = vfprintf(record->file, format, args);
    va_end(args);
    if (length < 0 || fflush(record->file) != 0) {
        record->error = errno;
        return;
    }
    record->bytes += length;
}

void record_value(struct record *record, int64_t t_us, const struct sim_station *station,
                  const struct map_point *point, double value, double stored,
                  const uint16_t *registers, const char *fault) {
    if (record->file == NULL) {
        return;
    }
    char time[32], value_text[32], stored_text[32], second[16] = "";
    text_format_time(t_us, time, sizeof time);
    (void)text_format_double(value, value_text, sizeof value_text);
    (void)text_format_double(stored, stored_text, sizeof stored_text);
    if (encode_width(point->spec.type) == 2) {
        (void)snprintf(second, sizeof second, ",%u", registers[1]);
    }
    put_line(record,
             "{\"time\":\"%s\",\"station\":\"%s\",\"unit\":%u,\"point\":\"%s\",\"value\":%s,"
             "\"stored\":%s,\"registers\":[%u%s]%s%s%s}\n",
             time, station->id, station->unit, point->name, value_text, stored_text, registers[0],
             second, fault != NULL ? ",\"fault\":\"" : "", fault != NULL ? fault : "",
             fault != NULL ? "\"" : "");
}

/* The name as the inside of a JSON string: patterns may hold anything. */
static void json_escape(const char *text, char *ret_text, size_t size) {
    size_t used = 0;
    for (; *text != '\0' && used + 7 < size; text++) {
        if ((unsigned char)*text < 0x20 || *text == '"' || *text == '\\') {
            used += (size_t)snprintf(ret_text + used, size - used, "\\u%04x", (unsigned char)*text);
        } else {
            ret_text[used++] = *text;
        }
    }
    ret_text[used] = '\0';
}

void record_fault(struct record *record, int64_t t_us, const struct fault *fault, const char *event,
                  const struct sim_station *station) {
    if (record->file == NULL) {
        return;
    }
    char time[32], name[6 * FAULT_PATTERN_MAX + 8];
    text_format_time(t_us, time, sizeof time);
    json_escape(station != NULL ? station->id : fault->station, name, sizeof name);
    put_line(record, "{\"time\":\"%s\",\"event\":\"%s\",\"fault\":\"%s\",\"station\":\"%s\"}\n",
             time, event, fault_names[fault->kind], name);
}

void record_file(struct record *record, int64_t t_us, const char *name, int64_t valid_us,
                 const char *bad) {
    if (record->file == NULL) {
        return;
    }
    char time[32], valid[32];
    text_format_time(t_us, time, sizeof time);
    text_format_time(valid_us, valid, sizeof valid);
    put_line(record,
             "{\"time\":\"%s\",\"event\":\"file\",\"file\":\"%s\",\"valid\":\"%s\"%s%s%s}\n", time,
             name, valid, bad != NULL ? ",\"bad\":\"" : "", bad != NULL ? bad : "",
             bad != NULL ? "\"" : "");
}
