/* Strict CSV tables for the models that run by hand: header line with names, then rows.
 *
 * Form: UTF-8, comma, fields may be quoted with '"' (doubled inside), LF or CRLF, an optional byte
 * order mark, lines that begin with '#' before the header are comments. Refused, with
 * "file:line:column" in the text of the error: rows with another number of fields than the header,
 * empty or doubled names, numbers that text_parse_double() does not take, numbers out of bounds,
 * times that go backwards. An empty field is missing: NaN for numbers.
 *
 * Limits: TABLE_BYTES_MAX, TABLE_COLUMNS_MAX. Thread rule: a table is read-only once made. */
#ifndef CANHBAO_MODELS_TABLE_TABLE_H
#define CANHBAO_MODELS_TABLE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/base/err.h"

enum { TABLE_COLUMNS_MAX = 4096, TABLE_NAME_MAX = 64 };
#define TABLE_BYTES_MAX ((size_t)1 << 30)

struct table;

/* Reads a whole file. ERR_IO, ERR_LIMIT, ERR_SYNTAX, ERR_MEMORY. */
int table_read(const char *path, struct table **ret_table, struct err *ret_err);
/* The same from memory; `name` stands for the file in errors. The bytes are copied. */
int table_parse(const char *name, const char *bytes, size_t size, struct table **ret_table,
                struct err *ret_err);
/* Takes NULL. Returns NULL. */
struct table *table_destroy(struct table *table);

size_t table_rows(const struct table *table);
size_t table_columns(const struct table *table);
const char *table_name(const struct table *table, size_t column);

/* The column of that name; ERR_NOT_FOUND with the names that the file has. */
int table_find(const struct table *table, const char *name, size_t *ret_column,
               struct err *ret_err);
bool table_has(const struct table *table, const char *name);

/* One field as text ("" when missing). */
const char *table_text(const struct table *table, size_t row, size_t column);

/* A column as numbers within [min, max], missing as NaN. `ret_values` holds table_rows(). */
int table_numbers(const struct table *table, size_t column, double min, double max,
                  double *ret_values, struct err *ret_err);

/* One time in the forms of table_times(). ERR_SYNTAX. */
int table_time(const char *text, int64_t *ret_utc_us);

/* A column as UTC microseconds. Forms: RFC 3339, and shorter ones: "2004-01-01",
 * "2004-01-01T06:00[:00][zone]", with a blank for the T; without a zone they are UTC. Strictly
 * increasing; a missing time is refused. */
int table_times(const struct table *table, size_t column, int64_t *ret_utc_us, struct err *ret_err);

/* A series whose rows are one fixed step apart: as table_times(), and every row exactly `step_us`
 * after the one before. A hole is refused with the place: rows must be there, with empty fields. */
int table_series(const struct table *table, size_t column, int64_t step_us, int64_t *ret_utc_us,
                 struct err *ret_err);

/* Fills ret_err with "file:line:column: sentence" for a field and returns code (for checks that
 * only the caller can make). */
__attribute__((format(printf, 6, 7))) int table_refuse(const struct table *table, size_t row,
                                                       size_t column, int code, struct err *ret_err,
                                                       const char *format, ...);

/* Writing: to "path.tmp", renamed by table_out_close(), so that no reader sees half a file. "-" is
 * stdout. Numbers are written as the shortest text that reads back as the same bits, NaN as an
 * empty field. An error sticks and is told by table_out_close(), which must always be called;
 * `good` false removes the unfinished file. */
struct table_out {
    FILE *file;
    char path[4096];
    bool failed;
    bool row_started;
};
int table_out_open(struct table_out *ret_out, const char *path, struct err *ret_err);
void table_out_text(struct table_out *out, const char *text);
void table_out_number(struct table_out *out, double value);
void table_out_end_row(struct table_out *out);
int table_out_close(struct table_out *out, bool good, struct err *ret_err);

#endif
