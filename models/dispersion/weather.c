#include "models/dispersion/weather.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/dispersion/weather_field.h"
#include "models/table/table.h"

#define PI         3.14159265358979323846
#define CALM_M_S   0.5
#define SURFACE_M  20.0
#define Z0_DEFAULT 0.03

/* The height in "prefix<H>suffix"; false when the name is of another form. */
static bool height_in(const char *name, const char *prefix, const char *suffix, double *ret_m) {
    size_t length = strlen(name), head = strlen(prefix), tail = strlen(suffix);
    char digits[TABLE_NAME_MAX];
    if (length <= head + tail || length - head - tail >= sizeof digits ||
        strncmp(name, prefix, head) != 0 || strcmp(name + length - tail, suffix) != 0) {
        return false;
    }
    memcpy(digits, name + head, length - head - tail);
    digits[length - head - tail] = '\0';
    return text_parse_double(digits, 0.1, 1000, ret_m) == 0;
}

/* The one column that is `plain` or "prefix<H>suffix". */
static int find_wind(const struct table *table, const char *plain, const char *prefix,
                     const char *suffix, size_t *ret_column, double *ret_height_m,
                     struct err *ret_err) {
    size_t found = 0;
    for (size_t c = 0; c < table_columns(table); c++) {
        double height_m = (double)NAN;
        const char *name = table_name(table, c);
        if (strcmp(name, plain) == 0 || height_in(name, prefix, suffix, &height_m)) {
            *ret_column = c;
            *ret_height_m = height_m;
            found++;
        }
    }
    if (found > 1) {
        return err_set(ret_err, ERR_INVALID, "the weather has %zu columns of the form %s", found,
                       plain);
    }
    return found == 1 ? 0 : table_find(table, plain, ret_column, ret_err);
}

static int optional(const struct table *table, const char *name, double min, double max,
                    double *values, struct err *ret_err) {
    size_t column = 0;
    if (!table_has(table, name)) {
        for (size_t i = 0; i < table_rows(table); i++) {
            values[i] = (double)NAN;
        }
        return 0;
    }
    int rc = table_find(table, name, &column, ret_err);
    return rc != 0 ? rc : table_numbers(table, column, min, max, values, ret_err);
}

static int read_stability(const struct table *table, struct weather_row *rows,
                          struct err *ret_err) {
    static const char *const skies[] = {"sun_strong", "sun_moderate", "sun_slight", "night_cloudy",
                                        "night_clear"};
    size_t column = 0;
    const char *name = table_has(table, "class") ? "class" : "sky";
    if (!table_has(table, name)) {
        return 0;
    }
    int rc = table_find(table, name, &column, ret_err);
    for (size_t i = 0; rc == 0 && i < table_rows(table); i++) {
        const char *text = table_text(table, i, column);
        if (text[0] == '\0') {
            continue;
        }
        if (strcmp(name, "class") == 0) {
            if (text[0] < 'A' || text[0] > 'F' || text[1] != '\0') {
                return table_refuse(table, i, column, ERR_SYNTAX, ret_err,
                                    "'%s' is no class from A to F", text);
            }
            rows[i].stability = text[0] - 'A';
            continue;
        }
        int sky = 0;
        enum plume_class class = PLUME_D;
        while (sky < 5 && strcmp(skies[sky], text) != 0) {
            sky++;
        }
        if (sky == 5 || plume_class_turner(rows[i].wind_m_s, (enum plume_sky)sky, &class) != 0) {
            return table_refuse(table, i, column, ERR_SYNTAX, ret_err,
                                "'%s' is none of sun_strong, sun_moderate, sun_slight, "
                                "night_cloudy, night_clear",
                                text);
        }
        rows[i].stability = (int)class;
    }
    return rc;
}

/* Columns that are numbers, one after the other. */
static int read_numbers(const struct table *table, double *values, struct weather_row *rows,
                        struct err *ret_err) {
    static const double half_turn = PI / 180;
    const struct {
        const char *name;
        double min, max;
        size_t offset;
        double factor;
    } columns[] = {
        {"ustar_m_s", 1e-3, 10, offsetof(struct weather_row, ustar_m_s), 1},
        {"obukhov_L_m", -1e9, 1e9, offsetof(struct weather_row, obukhov_m), 1},
        {"sigma_azimuth_deg", 0.01, 180, offsetof(struct weather_row, sigma_theta_rad), half_turn},
        {"mixing_height_m", 1, 20000, offsetof(struct weather_row, lid_m), 1},
        {"z0_m", 1e-5, 10, offsetof(struct weather_row, z0_m), 1},
        {"rain_mm_h", 0, 1000, offsetof(struct weather_row, rain_mm_h), 1},
    };
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        int rc = optional(table, columns[c].name, columns[c].min, columns[c].max, values, ret_err);
        if (rc != 0) {
            return rc;
        }
        for (size_t i = 0; i < table_rows(table); i++) {
            double value = values[i] * columns[c].factor;
            memcpy((char *)&rows[i] + columns[c].offset, &value, sizeof value);
        }
    }
    for (size_t i = 0; i < table_rows(table); i++) {
        rows[i].z0_m = isnan(rows[i].z0_m) ? Z0_DEFAULT : rows[i].z0_m;
        rows[i].stability = -1;
    }
    return 0;
}

static int read_wind(const struct table *table, double *values, struct weather_row *rows,
                     struct err *ret_err) {
    size_t speed = 0, from = 0;
    double height_m = (double)NAN, unused = 0;
    int rc = find_wind(table, "wind_m_s", "wind_", "m_m_s", &speed, &height_m, ret_err);
    rc = rc != 0
             ? rc
             : find_wind(table, "wind_from_deg", "wind_from_deg_", "m", &from, &unused, ret_err);
    rc = rc != 0 ? rc : optional(table, "wind_height_m", 0.1, 1000, values, ret_err);
    for (size_t i = 0; rc == 0 && i < table_rows(table); i++) {
        rows[i].wind_height_m = !isnan(height_m) ? height_m : !isnan(values[i]) ? values[i] : 10;
    }
    rc = rc != 0 ? rc : table_numbers(table, speed, 0, 100, values, ret_err);
    for (size_t i = 0; rc == 0 && i < table_rows(table); i++) {
        rows[i].wind_m_s = values[i];
        if (isnan(values[i])) {
            return table_refuse(table, i, speed, ERR_INVALID, ret_err,
                                "no wind speed: a plume cannot be told without one");
        }
    }
    rc = rc != 0 ? rc : table_numbers(table, from, 0, 360, values, ret_err);
    for (size_t i = 0; rc == 0 && i < table_rows(table); i++) {
        rows[i].wind_from_deg = values[i];
        if (isnan(values[i])) {
            return table_refuse(table, i, from, ERR_INVALID, ret_err,
                                "no wind direction: a plume cannot be told without one");
        }
    }
    return rc;
}

static int read_times(const struct table *table, struct weather_row *rows, bool *ret_timed,
                      struct err *ret_err) {
    size_t column = 0, count = table_rows(table);
    *ret_timed = table_has(table, "time");
    if (!*ret_timed) {
        return count == 1 ? 0
                          : err_set(ret_err, ERR_INVALID, "weather of %zu rows needs a column time",
                                    count);
    }
    int64_t *times = calloc(count, sizeof *times);
    if (times == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu times", count);
    }
    int rc = table_find(table, "time", &column, ret_err);
    rc = rc != 0 ? rc : table_times(table, column, times, ret_err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rows[i].utc_us = times[i];
    }
    free(times);
    return rc;
}

int weather_read(const char *path, struct weather *ret_weather, struct err *ret_err) {
    struct table *table = NULL;
    struct weather weather = {0};
    int rc = table_read(path, &table, ret_err);
    if (rc != 0) {
        return rc;
    }
    weather.count = table_rows(table);
    if (weather.count == 0 || weather.count > WEATHER_ROWS_MAX) {
        rc = err_set(ret_err, ERR_LIMIT, "%s: 1 to %d rows of weather, not %zu", path,
                     WEATHER_ROWS_MAX, weather.count);
        table_destroy(table);
        return rc;
    }
    weather.rows = calloc(weather.count, sizeof *weather.rows);
    double *values = calloc(weather.count, sizeof *values);
    rc = weather.rows == NULL || values == NULL
             ? err_set(ret_err, ERR_MEMORY, "no memory for %zu rows of weather", weather.count)
             : 0;
    rc = rc != 0 ? rc : read_numbers(table, values, weather.rows, ret_err);
    rc = rc != 0 ? rc : read_wind(table, values, weather.rows, ret_err);
    rc = rc != 0 ? rc : read_stability(table, weather.rows, ret_err);
    rc = rc != 0 ? rc : read_times(table, weather.rows, &weather.timed, ret_err);
    free(values);
    table_destroy(table);
    if (rc != 0) {
        weather_finish(&weather);
        return rc;
    }
    *ret_weather = weather;
    return 0;
}

void weather_finish(struct weather *weather) {
    if (weather != NULL) {
        free(weather->rows);
        weather->field = weather_field_destroy(weather->field);
        *weather = (struct weather){0};
    }
}

void weather_assume_class(struct weather *weather, int stability) {
    for (size_t i = 0; i < weather->count; i++) {
        weather->rows[i].stability =
            weather->rows[i].stability < 0 ? stability : weather->rows[i].stability;
    }
}

int weather_settle(struct weather *weather, double x_m, double y_m, struct err *ret_err) {
    for (size_t i = 0; weather->field != NULL && i < weather->count; i++) {
        int rc = weather_field_row(weather->field, i, x_m, y_m, &weather->rows[i], ret_err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int row_at(const struct weather *weather, size_t i, double x_m, double y_m,
                  struct weather_row *ret_row, struct err *ret_err) {
    *ret_row = weather->rows[i];
    return weather->field == NULL
               ? 0
               : weather_field_row(weather->field, i, x_m, y_m, ret_row, ret_err);
}

int weather_at(const struct weather *weather, int64_t utc_us, double hold_s, double x_m, double y_m,
               struct weather_row *ret_row, struct err *ret_err) {
    const struct weather_row *rows = weather->rows;
    size_t last = weather->count - 1;
    if (!weather->timed) {
        return row_at(weather, 0, x_m, y_m, ret_row, ret_err);
    }
    if ((double)(rows[0].utc_us - utc_us) > hold_s * 1e6 ||
        (double)(utc_us - rows[last].utc_us) > hold_s * 1e6) {
        char text[64];
        text_format_time(utc_us, text, sizeof text);
        return err_set(ret_err, ERR_STALE, "no weather within %.0f s of %s", hold_s, text);
    }
    size_t low = 0, high = last; /* the last row at or before the moment */
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (rows[middle].utc_us <= utc_us) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    struct weather_row row, other, *next = &other;
    int rc = row_at(weather, low, x_m, y_m, &row, ret_err);
    if (rc == 0 && low < last && utc_us > row.utc_us) {
        rc = row_at(weather, low + 1, x_m, y_m, next, ret_err);
        if (rc != 0) {
            return rc;
        }
        if ((double)(next->utc_us - row.utc_us) > 2 * hold_s * 1e6) {
            return err_set(ret_err, ERR_STALE, "the weather has a gap of %.0f s",
                           (double)(next->utc_us - row.utc_us) / 1e6);
        }
        double f = (double)(utc_us - row.utc_us) / (double)(next->utc_us - row.utc_us);
        double a = row.wind_from_deg * PI / 180, b = next->wind_from_deg * PI / 180;
        double east = (1 - f) * row.wind_m_s * sin(a) + f * next->wind_m_s * sin(b);
        double north = (1 - f) * row.wind_m_s * cos(a) + f * next->wind_m_s * cos(b);
        row.wind_m_s = hypot(east, north);
        row.wind_from_deg = fmod(atan2(east, north) * 180 / PI + 360, 360);
    }
    if (rc == 0) {
        row.utc_us = utc_us;
        *ret_row = row;
    }
    return rc;
}

static int air_briggs(const struct weather_row *row, double height_m, struct weather_air *air,
                      struct err *ret_err) {
    /* Exponents of the wind profile by class (ISC, rural and urban). */
    static const double power[2][6] = {{0.07, 0.07, 0.10, 0.15, 0.35, 0.55},
                                       {0.15, 0.15, 0.20, 0.25, 0.30, 0.30}};
    if (row->stability >= 0) {
        air->stability = (enum plume_class)row->stability;
    } else if (plume_class_golder(row->obukhov_m, row->z0_m, &air->stability) != 0) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "the weather has no class, no sky and no obukhov_L_m: the spread is not "
                       "known");
    }
    air->wind_m_s = row->wind_m_s;
    if (height_m > row->wind_height_m) {
        air->wind_m_s *= pow(height_m / row->wind_height_m, power[air->curves][air->stability]);
    }
    air->method = WEATHER_BRIGGS;
    return 0;
}

int weather_air(const struct weather_row *row, enum weather_method method, enum plume_curves curves,
                double height_m, struct weather_air *ret_air, struct err *ret_err) {
    struct weather_air air = {.method = method,
                              .curves = curves,
                              .lid_m = row->lid_m,
                              .wind_from_deg = row->wind_from_deg,
                              .surface = {row->ustar_m_s, row->obukhov_m, row->z0_m, row->wind_m_s,
                                          row->wind_height_m, row->sigma_theta_rad}};
    if (!(row->wind_m_s >= CALM_M_S)) {
        return err_set(ret_err, ERR_RANGE,
                       "wind %.2f m/s: below %.1f m/s the direction of a plume is not known",
                       row->wind_m_s, CALM_M_S);
    }
    if (height_m > air.lid_m) {
        return err_set(ret_err, ERR_RANGE, "the source at %.1f m is above the mixing height %.1f m",
                       height_m, air.lid_m);
    }
    struct err why = {0};
    bool known = plume_surface_check(&air.surface, &why) == 0;
    if (method == WEATHER_SIMILARITY && !known) {
        return err_set(ret_err, ERR_NOT_FOUND, "surface-layer spread: %s", why.text);
    }
    int rc = 0;
    if (method == WEATHER_BRIGGS || (method == WEATHER_AUTO && (!known || height_m > SURFACE_M))) {
        rc = air_briggs(row, height_m, &air, ret_err);
    } else {
        air.method = WEATHER_SIMILARITY;
    }
    if (rc == 0) {
        *ret_air = air;
    }
    return rc;
}

int weather_spread(const struct weather_air *air, double height_m, double x_m,
                   double *ret_sigma_y_m, double *ret_sigma_z_m, double *ret_wind_m_s) {
    if (air->method == WEATHER_SIMILARITY) {
        return plume_similarity(&air->surface, height_m, x_m, ret_sigma_y_m, ret_sigma_z_m,
                                ret_wind_m_s);
    }
    int rc = plume_sigma_briggs(air->curves, air->stability, x_m, ret_sigma_y_m, ret_sigma_z_m);
    if (rc == 0) {
        *ret_wind_m_s = air->wind_m_s;
    }
    return rc;
}
