#include "daemon/base/text.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int64_t days_from_civil(int64_t year, int month, int day) {
    /* Days since 1970-01-01 in the proleptic Gregorian calendar, counted from 1 March so that the
     * leap day comes last. */
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *ret_month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

int text_month(int64_t utc_us, int offset_min) {
    const int64_t day_us = INT64_C(86400000000);
    int64_t local_us = utc_us + offset_min * INT64_C(60000000);
    int64_t days = local_us / day_us - (local_us % day_us < 0);
    int year, month, day;
    civil_from_days(days, &year, &month, &day);
    return month;
}

int text_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_value) {
    const char *digits = text[0] == '-' ? text + 1 : text;
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || digits[count] != '\0' ||
        (digits[0] == '0' && (count > 1 || digits != text))) {
        return ERR_SYNTAX;
    }
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno != 0 || value < min || value > max) {
        return ERR_RANGE;
    }
    *ret_value = value;
    return 0;
}

int text_parse_double(const char *text, double min, double max, double *ret_value) {
    const char *at = text[0] == '-' ? text + 1 : text;
    size_t whole = strspn(at, "0123456789");
    if (whole == 0 || (at[0] == '0' && whole > 1) || strlen(text) > 64) {
        return ERR_SYNTAX;
    }
    at += whole;
    if (*at == '.') {
        size_t fraction = strspn(at + 1, "0123456789");
        if (fraction == 0) {
            return ERR_SYNTAX;
        }
        at += 1 + fraction;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        size_t exponent = strspn(at, "0123456789");
        if (exponent == 0) {
            return ERR_SYNTAX;
        }
        at += exponent;
    }
    if (*at != '\0') {
        return ERR_SYNTAX;
    }
    /* The form was checked above, so only the decimal point could depend on a locale. The C locale
     * is named, because a library may have called setlocale(). */
    static locale_t c_locale;
    locale_t locale = __atomic_load_n(&c_locale, __ATOMIC_ACQUIRE);
    if (locale == (locale_t)0) {
        locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        if (locale == (locale_t)0) {
            return ERR_MEMORY;
        }
        locale_t none = (locale_t)0;
        if (!__atomic_compare_exchange_n(&c_locale, &none, locale, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            freelocale(locale);
            locale = none;
        }
    }
    double value = strtod_l(text, NULL, locale);
    if (!isfinite(value) || value < min || value > max) {
        return ERR_RANGE;
    }
    *ret_value = value;
    return 0;
}

int text_parse_bool(const char *text, bool *ret_value) {
    if (strcmp(text, "true") == 0) {
        *ret_value = true;
        return 0;
    }
    if (strcmp(text, "false") == 0) {
        *ret_value = false;
        return 0;
    }
    return ERR_SYNTAX;
}

int text_parse_duration_us(const char *text, int64_t *ret_us) {
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {
        {"ms", 1000},
        {"s", 1000000},
        {"min", 60000000},
        {"h", INT64_C(3600000000)},
        {"d", INT64_C(86400000000)},
    };
    size_t count = strspn(text, "0123456789");
    char digits[20];
    int64_t value;
    if (count == 0 || count >= sizeof digits) {
        return ERR_SYNTAX;
    }
    memcpy(digits, text, count);
    digits[count] = '\0';
    int result = text_parse_int(digits, 0, INT64_C(100000000000), &value);
    if (result != 0) {
        return result;
    }
    const char *unit = text + count;
    unit += *unit == ' ';
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) == 0) {
            /* 100 years is longer than any window that makes sense here */
            if (value > INT64_C(3155760000000000) / units[i].us) {
                return ERR_RANGE;
            }
            *ret_us = value * units[i].us;
            return 0;
        }
    }
    return ERR_SYNTAX;
}

static int take_digits(const char **at, int count, int *ret_value) {
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (!is_digit((*at)[i])) {
            return ERR_SYNTAX;
        }
        value = value * 10 + ((*at)[i] - '0');
    }
    *at += count;
    *ret_value = value;
    return 0;
}

static int take_char(const char **at, char expected) {
    if (**at != expected) {
        return ERR_SYNTAX;
    }
    (*at)++;
    return 0;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static int take_fraction(const char **at, int64_t *ret_us) {
    int64_t us = 0;
    int digits = 0;
    if (**at == '.') {
        (*at)++;
        while (is_digit(**at) && digits < 6) {
            us = us * 10 + (*(*at)++ - '0');
            digits++;
        }
        if (digits == 0 || is_digit(**at)) {
            return ERR_SYNTAX;
        }
        for (; digits < 6; digits++) {
            us *= 10;
        }
    }
    *ret_us = us;
    return 0;
}

static int take_zone(const char **at, int *ret_offset_min) {
    int hours;
    int minutes;
    if (**at == 'Z') {
        (*at)++;
        *ret_offset_min = 0;
        return 0;
    }
    if (**at != '+' && **at != '-') {
        return ERR_SYNTAX;
    }
    int sign = *(*at)++ == '-' ? -1 : 1;
    if (take_digits(at, 2, &hours) != 0 || take_char(at, ':') != 0 ||
        take_digits(at, 2, &minutes) != 0) {
        return ERR_SYNTAX;
    }
    if (hours > 14 || minutes > 59) {
        return ERR_RANGE;
    }
    *ret_offset_min = sign * (hours * 60 + minutes);
    return 0;
}

int text_parse_time(const char *text, int64_t *ret_utc_us) {
    const char *at = text;
    int year, month, day, hour, minute, second, offset_min;
    int64_t fraction_us;
    if (take_digits(&at, 4, &year) != 0 || take_char(&at, '-') != 0 ||
        take_digits(&at, 2, &month) != 0 || take_char(&at, '-') != 0 ||
        take_digits(&at, 2, &day) != 0 || take_char(&at, 'T') != 0 ||
        take_digits(&at, 2, &hour) != 0 || take_char(&at, ':') != 0 ||
        take_digits(&at, 2, &minute) != 0 || take_char(&at, ':') != 0 ||
        take_digits(&at, 2, &second) != 0 || take_fraction(&at, &fraction_us) != 0) {
        return ERR_SYNTAX;
    }
    int result = take_zone(&at, &offset_min);
    if (result != 0 || *at != '\0') {
        return result != 0 ? result : ERR_SYNTAX;
    }
    if (year < 1970 || year > 2199 || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59) {
        return ERR_RANGE;
    }
    int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 +
                      second - offset_min * 60;
    *ret_utc_us = seconds * 1000000 + fraction_us;
    return 0;
}

static void split_time(int64_t utc_us, int *ret_year, int *ret_month, int *ret_day, int *ret_second,
                       int *ret_us) {
    int64_t days = utc_us / INT64_C(86400000000);
    int64_t rest = utc_us % INT64_C(86400000000);
    if (rest < 0) {
        rest += INT64_C(86400000000);
        days--;
    }
    civil_from_days(days, ret_year, ret_month, ret_day);
    *ret_second = (int)(rest / 1000000);
    *ret_us = (int)(rest % 1000000);
}

void text_format_time(int64_t utc_us, char *ret_text, size_t size) {
    int year, month, day, second, us;
    split_time(utc_us, &year, &month, &day, &second, &us);
    int length = snprintf(ret_text, size, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day,
                          second / 3600, second / 60 % 60, second % 60);
    if (length < 0 || (size_t)length >= size) {
        return;
    }
    char *tail = ret_text + length;
    size_t room = size - (size_t)length;
    if (us == 0) {
        (void)snprintf(tail, room, "Z");
    } else if (us % 1000 == 0) {
        (void)snprintf(tail, room, ".%03dZ", us / 1000);
    } else {
        (void)snprintf(tail, room, ".%06dZ", us);
    }
}

void text_format_local(int64_t utc_us, int offset_min, char *ret_text, size_t size) {
    int year, month, day, second, us;
    split_time(utc_us + (int64_t)offset_min * 60000000, &year, &month, &day, &second, &us);
    (void)snprintf(ret_text, size, "%02d:%02d %02d/%02d/%04d", second / 3600, second / 60 % 60, day,
                   month, year);
}

/* How many significant digits it takes for a decimal to read back as this value. Uses the text as
 * its scratch. A decimal comma would be a locale leaking in; the daemon never calls setlocale(). */
static int shortest_digits(double value, char *text, size_t size) {
    int digits = 1;
    if (fabs(value) >= DBL_MIN) {
        /* Decimals of up to DBL_DIG digits survive the way into a normal double and back. So if one
         * of them reads back as the value, it stands here now, with zeros behind it. */
        (void)snprintf(text, size, "%.*e", DBL_DIG - 1, value);
        const char *end = strchr(text, 'e');
        if (end != NULL && strtod(text, NULL) == value) {
            for (digits = DBL_DIG; digits > 1 && *--end == '0'; digits--) {
            }
            return digits;
        }
        digits = DBL_DIG + 1;
    }
    for (; digits < DBL_DECIMAL_DIG; digits++) {
        (void)snprintf(text, size, "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    return digits;
}

size_t text_format_double(double value, char *ret_text, size_t size) {
    int length = 0;
    if (!isfinite(value)) {
        length = snprintf(ret_text, size, "null");
        return length < 0 ? 0 : (size_t)length;
    }
    int digits = shortest_digits(value, ret_text, size);
    length = snprintf(ret_text, size, "%.*e", digits - 1, value);
    const char *exponent_at = strchr(ret_text, 'e');
    long exponent = exponent_at != NULL ? strtol(exponent_at + 1, NULL, 10) : 0;
    if (exponent >= -5 && exponent <= 15) { /* people read 60, not 6e+01 */
        long decimals = digits - 1 - exponent;
        length = snprintf(ret_text, size, "%.*f", decimals > 0 ? (int)decimals : 0, value);
    }
    return length < 0 ? 0 : (size_t)length;
}

int text_copy(char *ret_text, size_t size, const char *text) {
    size_t length = strlen(text);
    if (length >= size) {
        ret_text[0] = '\0';
        return ERR_LIMIT;
    }
    memcpy(ret_text, text, length + 1);
    return 0;
}

bool text_is_id(const char *text) {
    size_t length = strlen(text);
    if (length == 0 || length > 63) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        bool plain = (text[i] >= 'a' && text[i] <= 'z') || is_digit(text[i]);
        bool joint = text[i] == '-' || text[i] == '_' || text[i] == '.';
        bool joint_before =
            i > 0 && (text[i - 1] == '-' || text[i - 1] == '_' || text[i - 1] == '.');
        if (!plain && (!joint || i == 0 || i == length - 1 || joint_before)) {
            return false;
        }
    }
    return true;
}

bool text_is_utf8_line(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *end = at + length;
    while (at < end) {
        unsigned char first = *at++;
        int more = first < 0x80                    ? 0
                   : first >= 0xc2 && first < 0xe0 ? 1
                   : first >= 0xe0 && first < 0xf0 ? 2
                   : first >= 0xf0 && first < 0xf5 ? 3
                                                   : -1;
        if (more < 0 || first < 0x20 || first == 0x7f || end - at < more) {
            return false;
        }
        uint32_t code = more == 0 ? first : first & (0x3fU >> more);
        for (int i = 0; i < more; i++) {
            if ((*at & 0xc0) != 0x80) {
                return false;
            }
            code = (code << 6) | (*at++ & 0x3fU);
        }
        bool overlong = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000);
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        if (overlong || surrogate || code > 0x10ffff || (code >= 0x80 && code < 0xa0)) {
            return false;
        }
    }
    return true;
}
