#include "models/radiation/downwind.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/dispersion/local.h"

#define RADIAN 57.29577951308232

static bool only(const json_t *object, const char *const *keys) {
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(object)) {
        return false;
    }
    json_object_foreach((json_t *)object, key, value) {
        size_t i = 0;
        while (keys[i] != NULL && strcmp(keys[i], key) != 0) {
            i++;
        }
        if (keys[i] == NULL) {
            return false;
        }
    }
    return true;
}

static bool text_of(const json_t *object, const char *key, char *ret_text) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text[0] != '\0' && text_copy(ret_text, DOWNWIND_ID_SIZE, text) == 0;
}

static bool number_of(const json_t *object, const char *key, double min, double max,
                      double *ret_value) {
    const json_t *value = json_object_get(object, key);
    *ret_value = json_number_value(value);
    return json_is_number(value) && *ret_value >= min && *ret_value <= max;
}

static bool take_stations(const json_t *list, struct downwind *d) {
    static const char *const keys[] = {"id", "latitude_deg", "longitude_deg", NULL};
    bool good = json_is_array(list) && json_array_size(list) <= DOWNWIND_STATIONS_MAX;
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        good = only(one, keys) && text_of(one, "id", d->stations[i].id) &&
               number_of(one, "latitude_deg", -89, 89, &d->stations[i].latitude_deg) &&
               number_of(one, "longitude_deg", -180, 180, &d->stations[i].longitude_deg);
        d->count++;
    }
    return good;
}

int downwind_read(const char *path, struct downwind *ret_downwind, struct err *ret_err) {
    static const char *const keys[] = {"kind",    "version",  "note",     "wind",
                                       "fan_deg", "reach_km", "stations", NULL};
    static const char *const wind_keys[] = {"station", "speed_point", "direction_point", NULL};
    json_error_t why;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    struct downwind d = {.count = 0};
    double reach_km = 0;
    if (root == NULL) {
        return err_set(ret_err, ERR_SYNTAX, "%s:%d: %s", path, why.line, why.text);
    }
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const json_t *wind = json_object_get(root, "wind");
    const char *fault = !only(root, keys) ? "an unknown key"
                        : kind == NULL || strcmp(kind, "dose-neighbours") != 0 ||
                                json_integer_value(json_object_get(root, "version")) != 1
                            ? "kind or version"
                        : !only(wind, wind_keys) || !text_of(wind, "station", d.wind_station) ||
                                !text_of(wind, "speed_point", d.speed_point) ||
                                !text_of(wind, "direction_point", d.direction_point)
                            ? "wind"
                        : !number_of(root, "fan_deg", 1, 90, &d.fan_deg) ? "fan_deg (1 to 90)"
                        : !number_of(root, "reach_km", 0.1, 500, &reach_km)
                            ? "reach_km (0.1 to 500)"
                        : !take_stations(json_object_get(root, "stations"), &d) ? "stations"
                                                                                : NULL;
    json_decref(root);
    if (fault != NULL) {
        return err_set(ret_err, ERR_INVALID, "%s: %s", path, fault);
    }
    d.reach_m = reach_km * 1e3;
    *ret_downwind = d;
    return 0;
}

/* The newest value of a point at a time, at most DOWNWIND_WIND_S old. */
static double newest(const struct longform *series, const char *station, const char *point,
                     const char *unit, int64_t utc_us) {
    double value = (double)NAN;
    size_t from = 0, to = 0;
    while ((to = longform_block(series, point, &from)) > from) {
        for (size_t i = from; i < to && strcmp(series->rows[from].station, station) == 0; i++) {
            const struct longform_row *row = &series->rows[i];
            double age_s = (double)(utc_us - row->utc_us) / 1e6;
            if (age_s >= 0 && age_s <= DOWNWIND_WIND_S && strcmp(row->unit, unit) == 0) {
                value = !isnan(row->value) ? row->value : value;
            }
        }
        from = to;
    }
    return value;
}

double downwind_from_deg(const struct downwind *d, const struct longform *series, int64_t utc_us) {
    double east = 0, north = 0;
    int count = 0;
    for (int back = 0; back < 3; back++) { /* now, ten and twenty minutes ago */
        int64_t at = utc_us - back * INT64_C(600000000);
        double speed = newest(series, d->wind_station, d->speed_point, "m/s", at);
        double from = newest(series, d->wind_station, d->direction_point, "degree", at);
        if (!isnan(speed) && !isnan(from)) {
            east += speed * sin(from / RADIAN);
            north += speed * cos(from / RADIAN);
            count++;
        }
    }
    return count > 0 && hypot(east, north) > 0 ? fmod(atan2(east, north) * RADIAN + 360, 360)
                                               : (double)NAN;
}

bool downwind_is(const struct downwind *d, const char *id, const char *other, double from_deg) {
    size_t a = 0, b = 0;
    while (a < d->count && strcmp(d->stations[a].id, id) != 0) {
        a++;
    }
    while (b < d->count && strcmp(d->stations[b].id, other) != 0) {
        b++;
    }
    if (a == d->count || b == d->count || a == b) {
        return false;
    }
    struct weather_origin origin = {d->stations[a].latitude_deg, d->stations[a].longitude_deg};
    double x = 0, y = 0;
    local_from_ground(&origin, d->stations[b].longitude_deg, d->stations[b].latitude_deg, &x, &y);
    double off = remainder(atan2(x, y) * RADIAN - from_deg - 180, 360);
    return hypot(x, y) <= d->reach_m && fabs(off) <= d->fan_deg;
}
