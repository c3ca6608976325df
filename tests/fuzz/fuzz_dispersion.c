/* What the models of releases read as text: the first byte of an input says which reader gets the
 * rest. None may crash; what is taken must hold what its header promises. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/dispersion/far_readings.h"
#include "models/dispersion/readings.h"
#include "models/dispersion/receptors.h"
#include "models/dispersion/release.h"
#include "models/dispersion/release_site.h"
#include "models/dispersion/trace_report.h"
#include "models/dispersion/weather.h"
#include "models/dispersion/zones.h"
#include "models/radiation/downwind.h"
#include "models/table/longform.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds) {
        abort();
    }
}

static void try_release(const char *path) {
    struct release r = {0};
    if (release_read(path, &r, NULL) == 0) {
        must(r.puff.rate > 0 && r.puff.height_m >= 0 && r.puff.half_life_s > 0);
        must(r.continuous || r.puff.duration_s > 0);
    }
}

static void try_weather(const char *path) {
    struct weather w = {0};
    if (weather_read(path, &w, NULL) != 0) {
        return;
    }
    for (size_t i = 0; i < w.count; i++) {
        struct weather_air air;
        must(w.rows[i].wind_m_s >= 0 && w.rows[i].wind_from_deg >= 0 && w.rows[i].z0_m > 0);
        (void)weather_air(&w.rows[i], WEATHER_AUTO, PLUME_RURAL, 1, &air, NULL);
    }
    struct weather_row row;
    (void)weather_at(&w, w.rows[0].utc_us, 3600, 0, 0, &row, NULL);
    weather_finish(&w);
}

static void try_lists(char kind, const char *path) {
    if (kind == 'p') {
        struct receptors r = {0};
        if (receptors_read(path, &r, NULL) == 0) {
            must(r.count > 0 && isfinite(r.list[0].x_m) && r.list[0].z_m >= 0);
            free(r.list);
        }
    } else if (kind == 'd') {
        struct readings r = {0};
        struct readings_air air = {70.9, 30, 1005};
        if (readings_read(path, &air, 0, &r, NULL) == 0) {
            must(r.detection_mg_m3 > 0);
            readings_finish(&r);
        }
    } else {
        struct trace_places p = {0};
        if (trace_places_read(path, &p, NULL) == 0) {
            trace_places_finish(&p);
        }
    }
}

static void try_series(const char *path) {
    struct longform series = {0};
    if (longform_read(path, &series, NULL) == 0) {
        size_t from = 0, to = 0;
        while ((to = longform_block(&series, "cl2", &from)) > from) {
            from = to;
        }
        longform_finish(&series);
    }
}

static void try_site(char kind, const char *path) {
    if (kind == 's') {
        struct release_site site = {0};
        if (release_site_read(path, &site, NULL) == 0) {
            must(site.substance_count > 0 && site.z0_m > 0);
            release_site_finish(&site);
        }
        return;
    }
    struct downwind d;
    if (downwind_read(path, &d, NULL) == 0) {
        must(d.count <= DOWNWIND_STATIONS_MAX && d.reach_m > 0);
        (void)downwind_is(&d, "a", "b", 270);
    }
}

static void must_report(const char *path, const char *stations_path) {
    json_t *report = NULL, *map = NULL;
    if (far_readings_report(path, stations_path, &report, &map, NULL) != 0) {
        must(report == NULL && map == NULL);
        return;
    }
    json_int_t readings = json_integer_value(json_object_get(report, "readings"));
    json_int_t seen = json_integer_value(json_object_get(report, "detections"));
    size_t stations = (size_t)json_integer_value(json_object_get(report, "stations"));
    const json_t *list = json_object_get(report, "by_station");
    json_int_t sum = 0;
    must(0 <= seen && seen <= readings && json_array_size(list) == stations);
    must(json_array_size(json_object_get(map, "features")) == stations);
    for (size_t i = 0; i < json_array_size(list); i++) {
        sum += json_integer_value(json_object_get(json_array_get(list, i), "readings"));
    }
    must(sum == readings);
    json_decref(report);
    json_decref(map);
}

/* Readings alone; or a list of stations, beside readings that are good. */
static void try_far(char kind, const char *path) {
    static const char readings[] = "start,duration_min,lat,lon,station,pmch_pg_m3\n"
                                   "1994-10-23T18:00:00Z,180,48.1,-1.8,A,0\n"
                                   "1994-10-23T21:00:00Z,180,52.5,13.4,B,0.7\n";
    static int file = -1;
    char good[64];
    if (kind == 'f') {
        must_report(path, NULL);
        return;
    }
    if (file < 0) {
        file = memfd_create("readings", MFD_CLOEXEC);
        must(file >= 0 && write(file, readings, sizeof readings - 1) == sizeof readings - 1);
    }
    (void)snprintf(good, sizeof good, "/proc/self/fd/%d", file);
    must_report(good, path);
}

static void try_levels(const char *path) {
    struct release r = {.substance = "Cl2"};
    struct zones_levels levels = {0};
    if (zones_levels_read(path, &r, 600, &levels, NULL) == 0) {
        must(levels.count > 0 && levels.count <= ZONES_LEVELS_MAX && levels.list[0].value > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int file = -1; /* the readers take paths */
    char path[64];
    if (file < 0) {
        file = memfd_create("input", MFD_CLOEXEC);
        must(file >= 0);
    }
    if (size < 2) {
        return 0;
    }
    must(ftruncate(file, 0) == 0 && pwrite(file, data + 2, size - 2, 0) == (ssize_t)(size - 2));
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    char kind = (char)data[0];
    switch (kind) {
    case 'r':
        try_release(path);
        break;
    case 'w':
        try_weather(path);
        break;
    case 'l':
        try_series(path);
        break;
    case 's':
    case 'n':
        try_site(kind, path);
        break;
    case 'v':
        try_levels(path);
        break;
    case 'f':
    case 't':
        try_far(kind, path);
        break;
    default:
        try_lists(kind, path);
    }
    return 0;
}
