#include "daemon/control/late_request.h"

#include <math.h>

#include "daemon/base/text.h"

int late_request_read(const json_t *array, struct late_rows *ret_rows, struct err *ret_err) {
    size_t index;
    json_t *row;
    if (json_array_size(array) < 1 || json_array_size(array) > LATE_ROWS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "rows: expected 1 to %d of [time, value]",
                       LATE_ROWS_MAX);
    }
    ret_rows->count = 0;
    json_array_foreach((json_t *)array, index, row) {
        const char *time = json_string_value(json_array_get(row, 0));
        const json_t *value = json_array_get(row, 1);
        struct late_row *into = &ret_rows->rows[index];
        if (json_array_size(row) != 2 || time == NULL || text_parse_time(time, &into->at.us) != 0 ||
            (!json_is_number(value) && !json_is_null(value))) {
            return err_set(ret_err, ERR_INVALID,
                           "rows: row %zu is not [time, value] such as "
                           "[\"2025-11-19T06:00:00Z\", 5.2] or with null",
                           index + 1);
        }
        if (index > 0 && into->at.us <= ret_rows->rows[index - 1].at.us) {
            return err_set(ret_err, ERR_INVALID, "rows: row %zu is not later than the one before",
                           index + 1);
        }
        into->value = json_is_number(value) ? json_number_value(value) : (double)NAN;
        ret_rows->count++;
    }
    return 0;
}
