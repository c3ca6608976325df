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

/* `count` digits of a number, zeros in front. */
static char *put_digits(char *at, int value, int count) {
    for (int i = count - 1; i >= 0; i--, value /= 10) {
        at[i] = (char)('0' + value % 10);
    }
    return at + count;
}

/* By hand, as text_format_int() and exact_decimal(): each reading carries several times and
 * numbers, and the general functions of the C library would cost more than all else about its
 * message. */
void text_format_time(int64_t utc_us, char *ret_text, size_t size) {
    static const char joints[] = "--T::";
    char text[32]; /* a year of up to nine digits, from the largest int64_t */
    int year, month, day, second, us;
    split_time(utc_us, &year, &month, &day, &second, &us);
    if (year < 0 || year > 9999) {
        (void)snprintf(ret_text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", year, month, day,
                       second / 3600, second / 60 % 60, second % 60, us);
        return;
    }
    const int parts[] = {month, day, second / 3600, second / 60 % 60, second % 60};
    char *at = put_digits(text, year, 4);
    for (int i = 0; i < 5; i++) {
        *at++ = joints[i];
        at = put_digits(at, parts[i], 2);
    }
    if (us != 0) {
        *at++ = '.';
        at = us % 1000 == 0 ? put_digits(at, us / 1000, 3) : put_digits(at, us, 6);
    }
    *at++ = 'Z';
    *at = '\0';
    if (size > 0) {
        size_t length = (size_t)(at - text) < size ? (size_t)(at - text) : size - 1;
        memcpy(ret_text, text, length);
        ret_text[length] = '\0';
    }
}

size_t text_format_int(int64_t value, char *ret_text) {
    char digits[20];
    size_t count = 0, length = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        ret_text[length++] = '-';
    }
    while (count > 0) {
        ret_text[length++] = digits[--count];
    }
    ret_text[length] = '\0';
    return length;
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

enum { EXACT_DIGITS_MIN = DBL_DIG, EXACT_POWER_MAX = 22 };

static const uint64_t powers[] = {
    1ULL,
    10ULL,
    100ULL,
    1000ULL,
    10000ULL,
    100000ULL,
    1000000ULL,
    10000000ULL,
    100000000ULL,
    1000000000ULL,
    10000000000ULL,
    100000000000ULL,
    1000000000000ULL,
    10000000000000ULL,
    100000000000000ULL,
    1000000000000000ULL,
};

__extension__ typedef unsigned __int128 wide;

/* Rounds magnitude * 10^decimals to a whole number. The magnitude is fraction / 2^shift; all is
 * exact in 128 bits for shift <= 70 and decimals <= EXACT_POWER_MAX - 1. False when that number
 * does not read back as the magnitude for sure: it must lie within half a unit of the fraction. */
static bool round_exactly(uint64_t fraction, int shift, int decimals, uint64_t *ret_number) {
    wide ten =
        (wide)powers[decimals < 15 ? decimals : 15] * powers[decimals < 15 ? 0 : decimals - 15];
    wide scaled = (wide)fraction * ten, half = (wide)1 << (shift - 1);
    wide number = (scaled + half) >> shift, back = number << shift;
    wide error = back > scaled ? back - scaled : scaled - back;
    number -= error == half && (number & 1) != 0; /* to the even one, as the library does */
    *ret_number = (uint64_t)number;
    return 2 * error < ten || (2 * error == ten && fraction % 2 == 0);
}

/* The shortest decimal of a magnitude from 1e-5 to below 1e15 without the C library: 0 when it is
 * none of these or not certain (powers of two), else its length. */
static size_t exact_decimal(double magnitude, char *ret_text) {
    static const double tenths[] = {1e-1, 1e-2, 1e-3, 1e-4, 1e-5};
    if (!(magnitude >= 1e-5 && magnitude < 1e15)) {
        return 0;
    }
    int exponent = 0, whole = 0, decimals;
    double mantissa = frexp(magnitude, &exponent);
    int shift = DBL_MANT_DIG - exponent;
    if (mantissa == 0.5 || shift < 1) {
        return 0;
    }
    uint64_t fraction = (uint64_t)ldexp(mantissa, DBL_MANT_DIG), number = 0;
    while (whole < 15 && magnitude >= (double)powers[whole]) {
        whole++; /* digits before the point */
    }
    while (whole <= 0 && magnitude < tenths[-whole]) {
        whole--; /* zeros behind the point */
    }
    int digits = EXACT_DIGITS_MIN;
    for (;; digits++) {
        decimals = digits - whole;
        if (digits > DBL_DECIMAL_DIG || decimals >= EXACT_POWER_MAX) {
            return 0;
        }
        if (round_exactly(fraction, shift, decimals, &number)) {
            break;
        }
    }
    for (; decimals > 0 && number % 10 == 0; decimals--) {
        number /= 10;
    }
    char text[24];
    size_t count = text_format_int((int64_t)number, text), length = 0;
    size_t behind = (size_t)decimals;
    if (count <= behind) { /* zeros between the point and the first digit */
        memcpy(ret_text, "0.000000", 2 + behind - count);
        length = 2 + behind - count;
        behind = count;
    }
    memcpy(ret_text + length, text, count - behind);
    length += count - behind;
    if (behind > 0) {
        if (count > behind) {
            ret_text[length++] = '.';
        }
        memcpy(ret_text + length, text + count - behind, behind);
        length += behind;
    }
    ret_text[length] = '\0';
    return length;
}

size_t text_format_double(double value, char *ret_text, size_t size) {
    int length = 0;
    if (!isfinite(value)) {
        length = snprintf(ret_text, size, "null");
        return length < 0 ? 0 : (size_t)length;
    }
    char exact[32] = "-";
    size_t exact_length = exact_decimal(fabs(value), exact + 1);
    if (exact_length > 0 && exact_length + 1 < size) {
        const char *from = value < 0 ? exact : exact + 1;
        exact_length += value < 0;
        memcpy(ret_text, from, exact_length + 1);
        return exact_length;
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
