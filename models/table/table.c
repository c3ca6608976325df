#include "models/table/table.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/text.h"

struct table {
    char *name;
    char *bytes; /* unquoted fields, each ended by NUL */
    size_t rows;
    size_t columns;
    size_t header_line;
    size_t *fields; /* (rows + 1) * columns offsets into bytes, the header first */
    size_t *lines;  /* line number of each row */
    size_t field_room;
    size_t line_room;
};

struct table *table_destroy(struct table *table) {
    if (table != NULL) {
        free(table->name);
        free(table->bytes);
        free(table->fields);
        free(table->lines);
        free(table);
    }
    return NULL;
}

static int grow(size_t **array, size_t *room, size_t needed) {
    if (needed <= *room) {
        return 0;
    }
    size_t larger = *room == 0 ? 1024 : *room * 2;
    size_t *moved = realloc(*array, larger * sizeof **array);
    if (moved == NULL) {
        return ERR_MEMORY;
    }
    *array = moved;
    *room = larger;
    return 0;
}

/* Reads one field at *at, unquotes it in place, leaves *at behind its end. *ret_end is the
 * character that ended it: ',', '\n' or '\0'. */
static int take_field(char **at, const char *end, size_t *ret_offset, const char *base,
                      char *ret_end) {
    char *from = *at;
    char *to = *at;
    *ret_offset = (size_t)(from - base);
    if (from < end && *from == '"') {
        from++;
        while (from < end && (*from != '"' || (from + 1 < end && from[1] == '"'))) {
            from += *from == '"';
            if (*from == '\n') {
                return ERR_SYNTAX;
            }
            *to++ = *from++;
        }
        if (from >= end) {
            return ERR_SYNTAX;
        }
        from++;
    } else {
        while (from < end && *from != ',' && *from != '\n' && *from != '\r') {
            if (*from == '"') {
                return ERR_SYNTAX;
            }
            *to++ = *from++;
        }
    }
    if (from < end && *from == '\r') {
        from++;
        if (from < end && *from != '\n') {
            return ERR_SYNTAX;
        }
    }
    if (from < end && *from != ',' && *from != '\n') {
        return ERR_SYNTAX;
    }
    *ret_end = from < end ? *from : '\0';
    *at = from < end ? from + 1 : from;
    *to = '\0';
    return 0;
}

/* Cells go into JSON and messages, which take nothing but UTF-8. */
static bool is_text(const char *field) {
    const char *at = field;
    while ((signed char)*at > 0) { /* ASCII, as nearly all cells are */
        at++;
    }
    return *at == '\0' || text_is_utf8_line(field, strlen(field));
}

/* One line into fields; 0 fields in *ret_count for an empty line. */
static int take_line(struct table *table, char **at, const char *end, size_t line, size_t first,
                     size_t *ret_count, struct err *ret_err) {
    char ended = ',';
    size_t count = 0;
    if (**at == '\n' || (**at == '\r' && (*at)[1] == '\n')) {
        *at += **at == '\n' ? 1 : 2;
        *ret_count = 0;
        return 0;
    }
    while (ended == ',') {
        if (count == TABLE_COLUMNS_MAX) {
            return err_set(ret_err, ERR_LIMIT, "%s:%zu: more than %d columns", table->name, line,
                           TABLE_COLUMNS_MAX);
        }
        if (grow(&table->fields, &table->field_room, first + count + 1) != 0) {
            return err_set(ret_err, ERR_MEMORY, "%s: no memory for the table", table->name);
        }
        size_t offset = 0;
        if (take_field(at, end, &offset, table->bytes, &ended) != 0) {
            return err_set(ret_err, ERR_SYNTAX,
                           "%s:%zu:%zu: a quote where none may be, or not closed", table->name,
                           line, count + 1);
        }
        if (!is_text(table->bytes + offset)) {
            return err_set(ret_err, ERR_SYNTAX, "%s:%zu:%zu: not UTF-8, or a control character",
                           table->name, line, count + 1);
        }
        table->fields[first + count] = offset;
        count++;
    }
    *ret_count = count;
    return 0;
}

static int check_header(const struct table *table, struct err *ret_err) {
    for (size_t i = 0; i < table->columns; i++) {
        const char *name = table_name(table, i);
        if (name[0] == '\0' || strlen(name) >= TABLE_NAME_MAX ||
            !text_is_utf8_line(name, strlen(name))) {
            return err_set(ret_err, ERR_SYNTAX,
                           "%s:%zu:%zu: a column needs a name of 1 to %d bytes of UTF-8",
                           table->name, table->header_line, i + 1, TABLE_NAME_MAX - 1);
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(name, table_name(table, k)) == 0) {
                return err_set(ret_err, ERR_EXISTS, "%s:%zu:%zu: column '%s' is there twice",
                               table->name, table->header_line, i + 1, name);
            }
        }
    }
    return 0;
}

static int take_all(struct table *table, size_t size, struct err *ret_err) {
    char *at = table->bytes;
    const char *end = at + size;
    size_t line = 1;
    if (memchr(at, '\0', size) != NULL) {
        return err_set(ret_err, ERR_SYNTAX, "%s: a zero byte in a text table", table->name);
    }
    at += size >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < end && *at == '#') {
        char *next = memchr(at, '\n', (size_t)(end - at));
        at = next == NULL ? table->bytes + size : next + 1;
        line++;
    }
    size_t count = 0;
    int rc = at < end ? take_line(table, &at, end, line, 0, &count, ret_err) : 0;
    if (rc != 0) {
        return rc;
    }
    if (count == 0) {
        return err_set(ret_err, ERR_SYNTAX, "%s:%zu: expected a line with column names",
                       table->name, line);
    }
    table->columns = count;
    table->header_line = line;
    rc = check_header(table, ret_err);
    while (rc == 0 && at < end) {
        line++;
        rc = take_line(table, &at, end, line, (table->rows + 1) * table->columns, &count, ret_err);
        if (rc != 0) {
            return rc;
        }
        if (count == 0 && at >= end) {
            break; /* an empty last line */
        }
        if (count != table->columns) {
            return err_set(ret_err, ERR_SYNTAX, "%s:%zu: %zu fields where the header names %zu",
                           table->name, line, count, table->columns);
        }
        if (grow(&table->lines, &table->line_room, table->rows + 1) != 0) {
            return err_set(ret_err, ERR_MEMORY, "%s: no memory for the table", table->name);
        }
        table->lines[table->rows++] = line;
    }
    return rc;
}

int table_parse(const char *name, const char *bytes, size_t size, struct table **ret_table,
                struct err *ret_err) {
    struct table *table = calloc(1, sizeof *table);
    if (table != NULL) {
        table->name = strdup(name);
        table->bytes = malloc(size + 1);
    }
    if (table == NULL || table->name == NULL || table->bytes == NULL) {
        table_destroy(table);
        return err_set(ret_err, ERR_MEMORY, "%s: no memory for the table", name);
    }
    memcpy(table->bytes, bytes, size);
    table->bytes[size] = '\0';
    int rc = take_all(table, size, ret_err);
    if (rc != 0) {
        table_destroy(table);
        return rc;
    }
    *ret_table = table;
    return 0;
}

int table_read(const char *path, struct table **ret_table, struct err *ret_err) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return err_set(ret_err, ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    char *bytes = NULL;
    size_t room = 0;
    size_t size = 0;
    int rc = 0;
    do {
        if (size == room) {
            room = room == 0 ? 65536 : room * 2;
            char *moved = room > TABLE_BYTES_MAX ? NULL : realloc(bytes, room);
            if (moved == NULL) {
                rc = err_set(ret_err, ERR_LIMIT, "%s: larger than %zu bytes or than the memory",
                             path, TABLE_BYTES_MAX);
                break;
            }
            bytes = moved;
        }
        size += fread(bytes + size, 1, room - size, file);
    } while (!feof(file) && !ferror(file));
    if (rc == 0 && ferror(file)) {
        rc = err_set(ret_err, ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    }
    (void)fclose(file); /* only read */
    if (rc == 0) {
        rc = table_parse(path, bytes, size, ret_table, ret_err);
    }
    free(bytes);
    return rc;
}

size_t table_rows(const struct table *table) {
    return table->rows;
}

size_t table_columns(const struct table *table) {
    return table->columns;
}

const char *table_name(const struct table *table, size_t column) {
    return table->bytes + table->fields[column];
}

const char *table_text(const struct table *table, size_t row, size_t column) {
    return table->bytes + table->fields[(row + 1) * table->columns + column];
}

bool table_has(const struct table *table, const char *name) {
    size_t column = 0;
    return table_find(table, name, &column, NULL) == 0;
}

int table_find(const struct table *table, const char *name, size_t *ret_column,
               struct err *ret_err) {
    char names[300] = "";
    size_t used = 0;
    for (size_t i = 0; i < table->columns; i++) {
        if (strcmp(table_name(table, i), name) == 0) {
            *ret_column = i;
            return 0;
        }
        if (used < sizeof names - 1) {
            int n = snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ",
                             table_name(table, i));
            used += n > 0 ? (size_t)n : 0;
        }
    }
    return err_set(ret_err, ERR_NOT_FOUND, "%s:%zu: no column '%s'; the file has: %s", table->name,
                   table->header_line, name, names);
}

int table_refuse(const struct table *table, size_t row, size_t column, int code,
                 struct err *ret_err, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args); /* a cut sentence is good enough */
    va_end(args);
    return err_set(ret_err, code, "%s:%zu:%zu: %s: %s", table->name, table->lines[row], column + 1,
                   table_name(table, column), text);
}

int table_numbers(const struct table *table, size_t column, double min, double max,
                  double *ret_values, struct err *ret_err) {
    for (size_t i = 0; i < table->rows; i++) {
        const char *text = table_text(table, i, column);
        double value = NAN;
        int rc = text[0] == '\0' ? 0 : text_parse_double(text, min, max, &value);
        if (rc == ERR_RANGE) {
            return table_refuse(table, i, column, rc, ret_err, "'%.40s' is not within %g to %g",
                                text, min, max);
        }
        if (rc != 0) {
            return table_refuse(
                table, i, column, rc, ret_err,
                "'%.40s' is not a number with a decimal point (empty means missing)", text);
        }
        ret_values[i] = value;
    }
    return 0;
}

int table_time(const char *text, int64_t *ret_utc_us) {
    char full[40];
    size_t length = strlen(text);
    if (text_parse_time(text, ret_utc_us) == 0) {
        return 0;
    }
    if (length < 10 || length > 22) {
        return ERR_SYNTAX;
    }
    const char *zone = length > 16 && text[16] != ':' ? text + 16 : length > 19 ? text + 19 : "Z";
    size_t kept = length < 16 ? 10 : length < 19 || zone == text + 16 ? 16 : 19;
    if (length != kept && zone != text + kept) {
        return ERR_SYNTAX;
    }
    memcpy(full, text, kept);
    full[kept] = '\0';
    if (kept > 10 && full[10] == ' ') {
        full[10] = 'T';
    }
    strcat(full, kept == 10 ? "T00:00:00" : kept == 16 ? ":00" : "");
    strcat(full, zone);
    return text_parse_time(full, ret_utc_us);
}

int table_times(const struct table *table, size_t column, int64_t *ret_utc_us,
                struct err *ret_err) {
    int64_t before = INT64_MIN;
    for (size_t i = 0; i < table->rows; i++) {
        const char *text = table_text(table, i, column);
        int64_t utc_us = 0;
        if (table_time(text, &utc_us) != 0) {
            return table_refuse(table, i, column, ERR_SYNTAX, ret_err,
                                "'%.40s' is not a time such as 2025-11-19T06:00Z", text);
        }
        if (utc_us <= before) {
            return table_refuse(table, i, column, ERR_INVALID, ret_err,
                                "'%.40s' is not after the row before", text);
        }
        before = utc_us;
        ret_utc_us[i] = utc_us;
    }
    return 0;
}

int table_series(const struct table *table, size_t column, int64_t step_us, int64_t *ret_utc_us,
                 struct err *ret_err) {
    int rc = table_times(table, column, ret_utc_us, ret_err);
    for (size_t i = 1; rc == 0 && i < table->rows; i++) {
        if (ret_utc_us[i] - ret_utc_us[i - 1] != step_us) {
            rc = table_refuse(table, i, column, ERR_INVALID, ret_err,
                              "'%.40s' is %.9g h after the row before, expected %.9g h; a missing "
                              "step needs its row with empty fields",
                              table_text(table, i, column),
                              (double)(ret_utc_us[i] - ret_utc_us[i - 1]) / 3.6e9,
                              (double)step_us / 3.6e9);
        }
    }
    return rc;
}

int table_out_open(struct table_out *ret_out, const char *path, struct err *ret_err) {
    struct table_out out = {.file = stdout};
    if (text_copy(out.path, sizeof out.path - 4, path) != 0) {
        return err_set(ret_err, ERR_LIMIT, "the name of the output file is too long");
    }
    if (strcmp(path, "-") != 0) {
        strcat(out.path, ".tmp");
        out.file = fopen(out.path, "wb");
        if (out.file == NULL) {
            return err_set(ret_err, ERR_IO, "%s: cannot write: %s", out.path, strerror(errno));
        }
    }
    *ret_out = out;
    return 0;
}

void table_out_text(struct table_out *out, const char *text) {
    bool quoted = strpbrk(text, ",\"\r\n") != NULL;
    out->failed |= out->row_started && fputc(',', out->file) == EOF;
    out->row_started = true;
    if (!quoted) {
        out->failed |= fputs(text, out->file) == EOF;
        return;
    }
    out->failed |= fputc('"', out->file) == EOF;
    for (; *text != '\0'; text++) {
        out->failed |= *text == '"' && fputc('"', out->file) == EOF;
        out->failed |= fputc(*text == '\n' || *text == '\r' ? ' ' : *text, out->file) == EOF;
    }
    out->failed |= fputc('"', out->file) == EOF;
}

void table_out_number(struct table_out *out, double value) {
    char text[32] = "";
    if (isfinite(value)) {
        (void)text_format_double(value, text, sizeof text);
    }
    table_out_text(out, text);
}

void table_out_end_row(struct table_out *out) {
    out->failed |= fputc('\n', out->file) == EOF;
    out->row_started = false;
}

int table_out_close(struct table_out *out, bool good, struct err *ret_err) {
    if (out->file == NULL) {
        return 0;
    }
    bool failed = out->failed;
    if (out->file == stdout) {
        failed |= fflush(stdout) != 0;
    } else {
        char path[sizeof out->path];
        memcpy(path, out->path, sizeof path);
        path[strlen(path) - 4] = '\0';
        failed |= fflush(out->file) != 0 || fsync(fileno(out->file)) != 0;
        failed |= fclose(out->file) != 0;
        failed |= !good ? false : failed || rename(out->path, path) != 0;
        if (failed || !good) {
            (void)unlink(out->path); /* the unfinished file is of no use to anybody */
        }
    }
    out->file = NULL;
    return failed ? err_set(ret_err, ERR_IO, "%s: cannot write: %s", out->path, strerror(errno))
                  : 0;
}
