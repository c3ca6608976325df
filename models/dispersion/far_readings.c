#include "models/dispersion/far_readings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/table/table.h"

#define PLACE_DEG   0.05
#define VALUE_MAX   1e15
#define MINUTES_MAX 44640.0 /* a month */

enum { STATION = 0, START, LAT, LON, DURATION, VALUE, COLUMNS };

struct reading {
    const char *station; /* of the table */
    int64_t start_us;
    double latitude_deg, longitude_deg, minutes, value; /* value NaN: none */
    size_t row;
};

struct input {
    struct table *table;
    size_t column[COLUMNS], count;
    const char *unit;
    struct reading *list; /* by station and time once sorted */
};

static const char *unit_of(const char *name) {
    static const char *const suffixes[][2] = {{"_pg_m3", "pg m-3"},   {"_ng_m3", "ng m-3"},
                                              {"_ug_m3", "ug m-3"},   {"_mg_m3", "mg m-3"},
                                              {"_mBq_m3", "mBq m-3"}, {"_Bq_m3", "Bq m-3"}};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t length = strlen(name), tail = strlen(suffixes[i][0]);
        if (length > tail && strcmp(name + length - tail, suffixes[i][0]) == 0) {
            return suffixes[i][1];
        }
    }
    return NULL;
}

static int find_columns(struct input *in, const char *path, struct err *ret_err) {
    static const char *const names[VALUE] = {"station", "start", "lat", "lon", "duration_min"};
    size_t found = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < VALUE; i++) {
        rc = table_find(in->table, names[i], &in->column[i], ret_err);
    }
    for (size_t c = 0; c < table_columns(in->table); c++) {
        const char *unit = unit_of(table_name(in->table, c));
        if (unit != NULL) {
            in->unit = unit;
            in->column[VALUE] = c;
            found++;
        }
    }
    return rc != 0 || found == 1
               ? rc
               : err_set(ret_err, ERR_NOT_FOUND,
                         "%s: one concentration with its unit expected (as pmch_pg_m3), %zu found",
                         path, found);
}

static int read_rows(struct input *in, struct err *ret_err) {
    size_t n = table_rows(in->table);
    double *v = calloc(4 * n + 1, sizeof *v);
    in->list = calloc(n + 1, sizeof *in->list);
    int rc = v == NULL || in->list == NULL ? err_set(ret_err, ERR_MEMORY, "no memory") : 0;
    const struct {
        size_t column;
        double min, max;
    } numbers[] = {{in->column[LAT], -90, 90},
                   {in->column[LON], -180, 360},
                   {in->column[DURATION], 1, MINUTES_MAX},
                   {in->column[VALUE], 0, VALUE_MAX}};
    for (size_t k = 0; rc == 0 && k < 4; k++) {
        rc = table_numbers(in->table, numbers[k].column, numbers[k].min, numbers[k].max, v + k * n,
                           ret_err);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct reading *r = &in->list[i];
        *r = (struct reading){table_text(in->table, i, in->column[STATION]),
                              0,
                              v[i],
                              v[n + i],
                              v[2 * n + i],
                              v[3 * n + i],
                              i};
        if (r->station[0] == '\0' || isnan(r->latitude_deg) || isnan(r->longitude_deg) ||
            isnan(r->minutes)) {
            rc = table_refuse(in->table, i, in->column[STATION], ERR_INVALID, ret_err,
                              "a reading needs a station, a place and a duration");
        } else if (table_time(table_text(in->table, i, in->column[START]), &r->start_us) != 0) {
            rc = table_refuse(in->table, i, in->column[START], ERR_SYNTAX, ret_err, "not a time");
        }
    }
    in->count = n;
    free(v);
    return rc;
}

static int compare(const void *a, const void *b) {
    const struct reading *x = a, *y = b;
    int order = strcmp(x->station, y->station);
    return order != 0 ? order : (x->start_us > y->start_us) - (x->start_us < y->start_us);
}

static int check_stations(const struct input *in, const char *path, struct err *ret_err) {
    struct table *table = NULL;
    size_t id = 0, lat = 0, lon = 0;
    int rc = table_read(path, &table, ret_err);
    size_t n = rc == 0 ? table_rows(table) : 0;
    double *v = calloc(2 * n + 1, sizeof *v);
    rc = rc != 0 ? rc : v == NULL ? ERR_MEMORY : table_find(table, "station", &id, ret_err);
    rc = rc != 0 ? rc : table_find(table, "lat", &lat, ret_err);
    rc = rc != 0 ? rc : table_find(table, "lon", &lon, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, lat, -90, 90, v, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, lon, -180, 360, v + n, ret_err);
    for (size_t i = 0; rc == 0 && i < in->count; i++) {
        const struct reading *r = &in->list[i];
        size_t k = 0;
        while (k < n && strcmp(table_text(table, k, id), r->station) != 0) {
            k++;
        }
        if (k == n || !(fabs(v[k] - r->latitude_deg) <= PLACE_DEG) ||
            !(fabs(v[n + k] - r->longitude_deg) <= PLACE_DEG)) {
            rc = table_refuse(in->table, r->row, in->column[STATION], ERR_INVALID, ret_err,
                              "station '%.40s' is not in the list of stations, or elsewhere",
                              r->station);
        }
    }
    free(v);
    table_destroy(table);
    return rc;
}

static json_t *time_json(int64_t utc_us) {
    char text[64];
    text_format_time(utc_us, text, sizeof text);
    return json_string(text);
}

/* Readings [from, to) are those of one station, by time. */
static json_t *station_json(const struct input *in, size_t from, size_t to) {
    const struct reading *first = &in->list[from];
    double largest = (double)NAN, dosage = 0;
    size_t known = 0, seen = 0, first_seen = to, last_seen = to;
    for (size_t i = from; i < to; i++) {
        const struct reading *r = &in->list[i];
        if (isnan(r->value)) {
            continue;
        }
        known++;
        largest = isnan(largest) || r->value > largest ? r->value : largest;
        dosage += r->value * r->minutes / 60;
        if (r->value > 0) {
            first_seen = first_seen == to ? i : first_seen;
            last_seen = i;
            seen++;
        }
    }
    return json_pack("{s:s,s:f,s:f,s:I,s:I,s:o,s:o,s:o,s:o}", "station", first->station,
                     "latitude_deg", first->latitude_deg, "longitude_deg", first->longitude_deg,
                     "readings", (json_int_t)known, "detections", (json_int_t)seen, "largest",
                     isnan(largest) ? json_null() : json_real(largest), "first_seen",
                     seen > 0 ? time_json(in->list[first_seen].start_us) : json_null(), "last_seen",
                     seen > 0 ? time_json(in->list[last_seen].start_us) : json_null(), "dosage",
                     known > 0 ? json_real(dosage) : json_null());
}

static json_t *map_json(const json_t *stations) {
    json_t *features = json_array();
    for (size_t i = 0; i < json_array_size(stations); i++) {
        json_t *station = json_array_get(stations, i);
        json_array_append_new(features,
                              json_pack("{s:s,s:O,s:{s:s,s:[O,O]}}", "type", "Feature",
                                        "properties", station, "geometry", "type", "Point",
                                        "coordinates", json_object_get(station, "longitude_deg"),
                                        json_object_get(station, "latitude_deg")));
    }
    return json_pack("{s:s,s:o}", "type", "FeatureCollection", "features", features);
}

static int report(struct input *in, json_t **ret_report, json_t **ret_map, struct err *ret_err) {
    json_t *stations = json_array();
    const struct reading *top = NULL;
    json_int_t missing = 0, seen = 0, saw = 0;
    for (size_t from = 0, to = 0; from < in->count; from = to) {
        json_int_t before = seen;
        for (to = from; to < in->count && strcmp(in->list[to].station, in->list[from].station) == 0;
             to++) {
            const struct reading *r = &in->list[to];
            if (to > from && r->start_us == in->list[to - 1].start_us) {
                json_decref(stations);
                return table_refuse(in->table, r->row, in->column[START], ERR_INVALID, ret_err,
                                    "a second reading of this station and time");
            }
            missing += isnan(r->value);
            seen += r->value > 0;
            top = !isnan(r->value) && (top == NULL || r->value > top->value) ? r : top;
        }
        saw += seen > before;
        json_array_append_new(stations, station_json(in, from, to));
    }
    *ret_map = map_json(stations);
    *ret_report = json_pack(
        "{s:s,s:I,s:I,s:I,s:I,s:I,s:o,s:o}", "unit", in->unit, "readings",
        (json_int_t)in->count - missing, "missing", missing, "detections", seen, "stations",
        (json_int_t)json_array_size(stations), "stations_that_saw", saw, "largest",
        top == NULL ? json_null()
                    : json_pack("{s:f,s:s,s:o}", "value", top->value, "station", top->station,
                                "start", time_json(top->start_us)),
        "by_station", stations);
    if (*ret_report == NULL || *ret_map == NULL) {
        json_decref(*ret_report);
        json_decref(*ret_map);
        return err_set(ret_err, ERR_MEMORY, "no memory for a report");
    }
    return 0;
}

int far_readings_report(const char *path, const char *stations_path, json_t **ret_report,
                        json_t **ret_map, struct err *ret_err) {
    struct input in = {0};
    int rc = table_read(path, &in.table, ret_err);
    rc = rc != 0 ? rc : find_columns(&in, path, ret_err);
    rc = rc != 0 ? rc : read_rows(&in, ret_err);
    rc = rc != 0 || stations_path == NULL ? rc : check_stations(&in, stations_path, ret_err);
    if (rc == 0) {
        qsort(in.list, in.count, sizeof *in.list, compare);
        rc = report(&in, ret_report, ret_map, ret_err);
    }
    free(in.list);
    table_destroy(in.table);
    return rc;
}
