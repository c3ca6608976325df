#include "daemon/station/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <udunits2.h>

#include "daemon/base/text.h"
#include "daemon/station/station.h"

struct units {
    ut_system *system;
};

int units_create(struct units **ret_units, struct err *ret_err) {
    struct units *units = calloc(1, sizeof *units);
    if (units == NULL) {
        return err_set(ret_err, ERR_MEMORY, "out of memory for the unit database");
    }
    /* The library prints to stderr otherwise. */
    (void)ut_set_error_message_handler(ut_ignore);
    units->system = ut_read_xml(NULL);
    if (units->system == NULL) {
        free(units);
        return err_set(
            ret_err, ERR_IO,
            "the unit database (udunits2.xml) cannot be read; is libudunits2 installed?");
    }
    *ret_units = units;
    return 0;
}

struct units *units_destroy(struct units *units) {
    if (units != NULL) {
        ut_free_system(units->system);
        free(units);
    }
    return NULL;
}

static ut_unit *parse(const struct units *units, const char *text) {
    size_t length = strlen(text);
    if (length == 0 || length >= 2 * STATION_UNIT_SIZE || text[0] == ' ' ||
        text[length - 1] == ' ' ||
        !text_is_utf8_line(text, length)) { /* UDUNITS takes a lone byte 0xff for a unit */
        return NULL;
    }
    return ut_parse(units->system, text, UT_UTF8);
}

bool units_valid(const struct units *units, const char *unit) {
    ut_unit *parsed = parse(units, unit);
    bool valid = parsed != NULL;
    ut_free(parsed);
    return valid;
}

/* "s" and "s-1" count as convertible in UDUNITS (by taking the reciprocal); here they do not: the
 * line through two points of the converter must also pass through a third. */
static int line_between(const struct units *units, const char *from, const char *to,
                        double *ret_slope, double *ret_offset) {
    ut_unit *unit_from = parse(units, from);
    ut_unit *unit_to = parse(units, to);
    cv_converter *converter = NULL;
    int result = ERR_INVALID;
    if (unit_from != NULL && unit_to != NULL && ut_are_convertible(unit_from, unit_to) != 0) {
        converter = ut_get_converter(unit_from, unit_to);
    }
    if (converter != NULL) {
        double at_zero = cv_convert_double(converter, 0);
        double at_one = cv_convert_double(converter, 1);
        double at_three = cv_convert_double(converter, 3);
        double slope = at_one - at_zero;
        double expected = at_zero + 3 * slope;
        double scale = fabs(at_zero) + fabs(3 * slope);
        if (isfinite(at_zero) && isfinite(slope) && slope != 0 &&
            fabs(at_three - expected) <= 1e-9 * scale) {
            *ret_slope = slope;
            *ret_offset = at_zero;
            result = 0;
        }
    }
    cv_free(converter);
    ut_free(unit_from);
    ut_free(unit_to);
    return result;
}

bool units_convertible(const struct units *units, const char *from, const char *to) {
    double slope, offset;
    return line_between(units, from, to, &slope, &offset) == 0;
}

int units_convert(const struct units *units, double value, const char *from, const char *to,
                  double *ret_value) {
    double slope, offset;
    if (strcmp(from, to) == 0 && units_valid(units, from)) {
        if (!isfinite(value)) {
            return ERR_INVALID;
        }
        *ret_value = value; /* bit for bit, no rounding on the way */
        return 0;
    }
    if (line_between(units, from, to, &slope, &offset) != 0) {
        return ERR_INVALID;
    }
    /* "cm" to "m" as value / 100, not value * 0.01: 350 cm is then 3.5 m exactly. */
    double inverse = nearbyint(1 / slope);
    bool divides = fabs(slope) < 1 && fabs(inverse * slope - 1) < 1e-12;
    double converted = (divides ? value / inverse : value * slope) + offset;
    if (!isfinite(converted)) {
        return ERR_INVALID;
    }
    *ret_value = converted;
    return 0;
}

int units_convert_difference(const struct units *units, double value, const char *from,
                             const char *to, double *ret_value) {
    double slope, offset, whole;
    int result = line_between(units, from, to, &slope, &offset);
    if (result == 0) {
        result = units_convert(units, value, from, to, &whole);
    }
    if (result != 0) {
        return result;
    }
    *ret_value = offset == 0 ? whole : value * slope;
    return 0;
}
