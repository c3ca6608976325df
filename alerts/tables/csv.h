/* A strict, bounded CSV reader for tables that ship with the program (RFC 4180 quoting, UTF-8, LF).
 *
 * The first line must be exactly the expected header: a column that moved can never be read as
 * another one. Thread rule: per object; constant after parsing. */
#ifndef CANHBAO_ALERTS_TABLES_CSV_H
#define CANHBAO_ALERTS_TABLES_CSV_H

#include <stddef.h>

#include "daemon/base/err.h"

enum { CSV_BYTES_MAX = 262144, CSV_COLUMNS_MAX = 40, CSV_ROWS_MAX = 1024 };

struct csv {
    char *text;          /* owner of the fields' bytes */
    const char **fields; /* row by row, without the header */
    size_t column_count, row_count;
};

/* `name` is for messages. ERR_SYNTAX (another header, a row of another length, quoting, a control
 * character, not UTF-8), ERR_LIMIT, ERR_MEMORY, with name and line. csv_finish() what came out. */
int csv_parse(const char *name, const char *bytes, size_t length, const char *header,
              struct csv *ret_csv, struct err *ret_err);
/* The same from a file; ERR_IO. */
int csv_load(const char *path, const char *header, struct csv *ret_csv, struct err *ret_err);
void csv_finish(struct csv *csv); /* a zeroed one is fine */

/* Never NULL; "" is an empty field. Row and column must exist. */
const char *csv_field(const struct csv *csv, size_t row, size_t column);

#endif
