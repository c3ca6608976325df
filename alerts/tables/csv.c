#include "alerts/tables/csv.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

struct reader {
    const char *name;
    char *at, *end; /* of the text that becomes fields in place */
    size_t line;
    struct err *err;
};

static int refuse(const struct reader *reader, const char *why) {
    return err_set(reader->err, ERR_SYNTAX, "%s:%zu: %s", reader->name, reader->line, why);
}

/* A quoted field: the doubled quotes become single ones in place. `at` stands behind the opening
 * quote, afterwards behind the closing one. */
static int read_quoted(struct reader *reader, char **ret_end) {
    char *out = reader->at;
    while (reader->at < reader->end) {
        char c = *reader->at++;
        if (c == '"') {
            if (reader->at < reader->end && *reader->at == '"') {
                reader->at++;
            } else {
                *ret_end = out;
                return 0;
            }
        }
        *out++ = c;
    }
    return refuse(reader, "a quoted field without its end");
}

/* One field; *ret_last: it was the last of its line. */
static int read_field(struct reader *reader, const char **ret_field, bool *ret_last) {
    bool quoted = *reader->at == '"';
    char *begin = reader->at;
    char *end = NULL;
    if (quoted) {
        begin = ++reader->at;
        int result = read_quoted(reader, &end);
        if (result != 0) {
            return result;
        }
    } else {
        while (*reader->at != ',' && *reader->at != '\n') {
            if (*reader->at++ == '"') {
                return refuse(reader, "a quote inside a field without quotes");
            }
        }
        end = reader->at;
    }
    if (reader->at >= reader->end || (*reader->at != ',' && *reader->at != '\n')) {
        return refuse(reader, "text behind a closing quote");
    }
    bool last = *reader->at++ == '\n';
    if (!text_is_utf8_line(begin, (size_t)(end - begin))) {
        return refuse(reader, "a field that is not one line of UTF-8");
    }
    *end = '\0';
    *ret_field = begin;
    *ret_last = last;
    return 0;
}

static int read_row(struct reader *reader, size_t columns, const char **ret_fields) {
    for (size_t i = 0; i < columns; i++) {
        bool last = false;
        int result = read_field(reader, &ret_fields[i], &last);
        if (result != 0) {
            return result;
        }
        if (last != (i + 1 == columns)) {
            return refuse(reader, last ? "too few fields" : "too many fields");
        }
    }
    reader->line++;
    return 0;
}

static int read_rows(struct reader *reader, struct csv *csv) {
    while (reader->at < reader->end) {
        if (csv->row_count == CSV_ROWS_MAX) {
            return err_set(reader->err, ERR_LIMIT, "%s: more than %d rows", reader->name,
                           CSV_ROWS_MAX);
        }
        int result =
            read_row(reader, csv->column_count, csv->fields + csv->row_count * csv->column_count);
        if (result != 0) {
            return result;
        }
        csv->row_count++;
    }
    return csv->row_count > 0 ? 0 : refuse(reader, "no row at all");
}

int csv_parse(const char *name, const char *bytes, size_t length, const char *header,
              struct csv *ret_csv, struct err *ret_err) {
    struct reader reader = {.name = name, .line = 1, .err = ret_err};
    struct csv csv = {.column_count = 1};
    size_t header_length = strlen(header);
    if (length > CSV_BYTES_MAX) {
        return err_set(ret_err, ERR_LIMIT, "%s: more than %d bytes", name, CSV_BYTES_MAX);
    }
    if (length <= header_length || memcmp(bytes, header, header_length) != 0 ||
        bytes[header_length] != '\n') {
        return refuse(&reader, "the header is not the expected one");
    }
    if (bytes[length - 1] != '\n') {
        return refuse(&reader, "the last line has no end");
    }
    for (const char *c = header; *c != '\0'; c++) {
        csv.column_count += *c == ',';
    }
    assert(csv.column_count <= CSV_COLUMNS_MAX); /* headers are ours */
    csv.text = malloc(length + 1);
    csv.fields = calloc(CSV_ROWS_MAX * csv.column_count, sizeof *csv.fields);
    if (csv.text == NULL || csv.fields == NULL) {
        csv_finish(&csv);
        return err_set(ret_err, ERR_MEMORY, "no memory for %s", name);
    }
    memcpy(csv.text, bytes, length);
    csv.text[length] = '\0';
    reader.at = csv.text + header_length + 1;
    reader.end = csv.text + length;
    reader.line = 2;
    int result = read_rows(&reader, &csv);
    if (result != 0) {
        csv_finish(&csv);
        return result;
    }
    *ret_csv = csv;
    return 0;
}

int csv_load(const char *path, const char *header, struct csv *ret_csv, struct err *ret_err) {
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return err_set(ret_err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    char *bytes = malloc(CSV_BYTES_MAX + 1);
    int result = 0;
    size_t length = 0;
    if (bytes == NULL) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for %s", path);
    } else {
        length = fread(bytes, 1, CSV_BYTES_MAX + 1, file);
        if (ferror(file) != 0) {
            result = err_set(ret_err, ERR_IO, "%s: cannot be read", path);
        }
    }
    (void)fclose(file); /* only read from */
    if (result == 0) {
        result = csv_parse(path, bytes, length, header, ret_csv, ret_err);
    }
    free(bytes);
    return result;
}

void csv_finish(struct csv *csv) {
    free(csv->text);
    free(csv->fields);
    *csv = (struct csv){.text = NULL};
}

const char *csv_field(const struct csv *csv, size_t row, size_t column) {
    assert(row < csv->row_count && column < csv->column_count);
    return csv->fields[row * csv->column_count + column];
}
