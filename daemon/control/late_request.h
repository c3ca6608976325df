/* Readings out of a logger's memory, as a request brings them: rows of [time, value], ascending,
 * value null where the logger has none. Thread rule: pure. */
#ifndef CANHBAO_DAEMON_CONTROL_LATE_REQUEST_H
#define CANHBAO_DAEMON_CONTROL_LATE_REQUEST_H

#include <jansson.h>
#include <stddef.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"

enum { LATE_ROWS_MAX = 100 };

struct late_rows {
    size_t count;
    struct late_row {
        struct utc_us at;
        double value; /* NaN: none */
    } rows[LATE_ROWS_MAX];
};

/* ERR_INVALID, ERR_LIMIT with a sentence. */
int late_request_read(const json_t *array, struct late_rows *ret_rows, struct err *ret_err);

#endif
