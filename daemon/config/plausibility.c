#include "daemon/config/plausibility.h"

#include <math.h>
#include <string.h>

#include "alerts/tables/csv.h"
#include "daemon/base/text.h"

static const char header[] = "quantity,unit,hard_min,hard_max,step_max_per_min,source,confidence";
static const char table[] = {
#include "plausibility.inc"
};

enum {
    COLUMN_QUANTITY,
    COLUMN_UNIT,
    COLUMN_MIN,
    COLUMN_MAX,
    COLUMN_STEP,
    COLUMN_SOURCE,
    COLUMN_CONFIDENCE
};

/* A number of the table in another unit; an empty field is NaN. */
static int convert(const struct units *units, const char *text, const char *from, const char *to,
                   bool difference, double *ret_value) {
    double value;
    if (text[0] == '\0') {
        *ret_value = (double)NAN;
        return 0;
    }
    int result = text_parse_double(text, -1e12, 1e12, &value);
    if (result == 0) {
        result = difference ? units_convert_difference(units, value, from, to, ret_value)
                            : units_convert(units, value, from, to, ret_value);
    }
    return result;
}

static int read_row(const struct csv *csv, size_t row, const struct units *units, const char *unit,
                    struct plausibility *ret_limits) {
    struct plausibility limits;
    const char *from = csv_field(csv, row, COLUMN_UNIT);
    int result =
        convert(units, csv_field(csv, row, COLUMN_MIN), from, unit, false, &limits.hard_min);
    result = result != 0 ? result
                         : convert(units, csv_field(csv, row, COLUMN_MAX), from, unit, false,
                                   &limits.hard_max);
    result = result != 0 ? result
                         : convert(units, csv_field(csv, row, COLUMN_STEP), from, unit, true,
                                   &limits.rate_max_per_s);
    if (result == 0) {
        limits.rate_max_per_s /= 60;
        limits.own = strcmp(csv_field(csv, row, COLUMN_CONFIDENCE), "own") == 0;
        *ret_limits = limits;
    }
    return result;
}

int plausibility_find(const struct units *units, const char *quantity, const char *unit,
                      struct plausibility *ret_limits, struct err *ret_err) {
    struct csv csv = {.text = NULL};
    int result = csv_parse("plausibility.csv", table, sizeof table, header, &csv, ret_err);
    if (result != 0) {
        return result;
    }
    size_t row = 0;
    while (row < csv.row_count && strcmp(csv_field(&csv, row, COLUMN_QUANTITY), quantity) != 0) {
        row++;
    }
    if (row == csv.row_count) {
        result = err_set(ret_err, ERR_NOT_FOUND, "no default limits are known for %s", quantity);
    } else {
        result = read_row(&csv, row, units, unit, ret_limits);
        if (result != 0) {
            (void)err_set(ret_err, result, "the default limits of %s do not convert to %s",
                          quantity, unit);
        }
    }
    csv_finish(&csv);
    return result;
}
