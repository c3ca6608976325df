/* The flood model of a site: configuration, rivers, gaps, releases, state, forecasts with rain on
 * grids, and the awkward sequences of a control room. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <netcdf.h>

#include "daemon/base/text.h"
#include "models/grid/ncwrite.h"
#include "models/hydrology/flood_run.h"
#include "models/hydrology/flood_state.h"
#include "models/hydrology/hydrology.h"

static const int64_t hour_us = INT64_C(3600000000);
static const int64_t start_us = INT64_C(1763424000000000); /* 2025-11-18T00:00Z */

/* Q = 10 (h - 0)^2, gauged from 0.5 to 20 m. */
#define RATING                                                                                     \
    "{\"kind\":\"rating\",\"version\":1,\"segments\":1,\"c_m\":0.0,\"break_m\":null,"              \
    "\"log_coefficients\":[2.302585092994046,2.0,0.0],"                                            \
    "\"inverse_normal_matrix\":[0.1,0,0,0,0.1,0,0,0,0.0],\"sigma_log\":0.05,\"rms_log\":0.05,"     \
    "\"leave_one_out_rms_log\":0.05,\"leave_one_out_refused\":0,\"gaugings\":20,"                  \
    "\"lowest_m\":0.5,\"highest_m\":20.0}"
#define GR                                                                                         \
    "{\"x1_mm\":250,\"x2_mm\":0,\"x3_mm\":80,\"x4\":4,\"start_production\":0.7,"                   \
    "\"start_routing\":0.4}"
#define MONTHS "[2,2,2,2,2,2,2,2,2,2,2,2]"

static const char *const template =
    "{\"kind\":\"flood-site\",\"version\":1,\"source\":\"test\","
    "\"evaporation_mm_day\":" MONTHS ",\"rain_log_sigma\":0.3,"
    "\"basins\":["
    "{\"id\":\"upper\",\"area_km2\":300,\"node\":\"dam\",\"gr4h\":" GR ",\"rain\":["
    "{\"station\":\"r1\",\"point\":\"rate\",\"weight\":2},"
    "{\"station\":\"r2\",\"point\":\"tips\",\"mm_per_count\":0.2,\"weight\":1}],\"source\":\"t\"},"
    "{\"id\":\"lower\",\"area_km2\":200,\"node\":\"town\",\"gr4h\":" GR ",\"rain\":["
    "{\"station\":\"r1\",\"point\":\"rate\",\"weight\":1}],\"source\":\"t\"}],"
    "\"reaches\":[{\"id\":\"run\",\"from\":\"dam\",\"to\":\"town\",\"length_m\":30000,"
    "\"width_m\":80,\"slope\":0.001,\"manning\":0.04,\"design_m3_s\":300,\"source\":\"t\"}],"
    "%s"
    "\"gauges\":[{\"station\":\"g\",\"point\":\"stage\",\"node\":\"town\",\"rating\":" RATING ","
    "\"levels_m\":[3,5,8],\"updating\":{\"half_life_h\":8,\"log_sigma\":0.2},\"source\":\"t\"}]}";

#define RESERVOIR(MORE)                                                                            \
    "\"reservoirs\":[{\"id\":\"lake\",\"node\":\"dam\"," MORE                                      \
    "\"full_m3\":5e7,\"start_m3\":2e7,\"source\":\"t\"}],"

static struct flood_site *load(const char *reservoirs) {
    char text[6000];
    struct flood_site *site = NULL;
    struct err err = {0};
    int length = snprintf(text, sizeof text, template, reservoirs);
    assert_true(length > 0 && (size_t)length < sizeof text);
    if (flood_site_parse("test", text, (size_t)length, &site, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return site;
}

/* ---- configuration ---- */

static void test_the_site_of_the_tree(void **state) {
    (void)state;
    struct flood_site *site = NULL;
    struct err err = {0};
    if (flood_site_load(CANHBAO_SOURCE_DIR "/deploy/sites/binh-dinh/models/flood.json", &site,
                        &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(site->gauge_count, 7);
    for (size_t b = 0; b < site->basin_count; b++) {
        assert_true(site->basins[b].provisional);
    }
    free(site);
}

/* What is put for something of the template, and the sentence that names it. */
static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *told;
    } cases[] = {
        {"\"version\":1", "\"version\":2", "version"},
        {"\"rain_log_sigma\":0.3,", "", "rain_log_sigma"},
        {"\"area_km2\":300", "\"area_km2\":-3", "basins[0]: area_km2"},
        {"\"area_km2\":300", "\"area_km2\":\"300\"", "basins[0]: area_km2"},
        {"\"weight\":2", "\"weight\":2,\"wieght\":2", "unknown key 'wieght'"},
        {"\"x4\":4", "\"x4\":0.1", "gr4h"},
        {"\"id\":\"lower\"", "\"id\":\"upper\"", "'upper' is there twice"},
        {"\"from\":\"dam\",\"to\":\"town\"", "\"from\":\"dam\",\"to\":\"dam\"", "circle"},
        {"\"slope\":0.001", "\"slope\":0", "reaches[0]: slope"},
        {"\"levels_m\":[3,5,8]", "\"levels_m\":[5,3,8]", "levels_m"},
        {"\"levels_m\":[3,5,8]", "\"levels_m\":[0.1,5,8]", "levels_m"},
        {"\"source\":\"t\"}]}", "\"source\":\"\"}]}", "gauges[0]: source"},
        {"\"lowest_m\":0.5,", "", "rating"},
        {"\"half_life_h\":8", "\"half_life_h\":-8", "half_life_h"},
        {"\"basins\":[", "\"basins\":{},\"bassins\":[", "bassins"},
    };
    char text[6000], broken[6000];
    (void)snprintf(text, sizeof text, template, "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct flood_site *site = NULL;
        struct err err = {0};
        const char *at = strstr(text, cases[i].from);
        assert_non_null(at);
        (void)snprintf(broken, sizeof broken, "%.*s%s%s", (int)(at - text), text, cases[i].to,
                       at + strlen(cases[i].from));
        assert_int_not_equal(flood_site_parse("t", broken, strlen(broken), &site, &err), 0);
        if (strstr(err.text, cases[i].told) == NULL) {
            fail_msg("case %zu: '%s' does not name '%s'", i, err.text, cases[i].told);
        }
        assert_null(site);
    }
    struct flood_site *site = NULL;
    assert_int_not_equal(flood_site_parse("t", text, strlen(text) / 2, &site, NULL), 0);
    (void)snprintf(broken, sizeof broken, template, RESERVOIR(""));
    assert_int_not_equal(flood_site_parse("t", broken, strlen(broken), &site, NULL), 0);
}

/* ---- rivers ---- */

static struct flood_hour wet_hour(const struct flood_state *state, double rain_mm) {
    struct flood_hour hour = {.start_us = state->end_us};
    hour.rain_mm[0] = hour.rain_mm[1] = rain_mm;
    hour.release_m3_s[0] = NAN;
    return hour;
}

static struct flood_state *begin(const struct flood_site *site) {
    struct flood_state *state = NULL;
    assert_int_equal(flood_state_create(site, start_us, &state, NULL), 0);
    return state;
}

/* Runoff of a basin is that of GR4H; the reservoir keeps what it does not release. */
static void test_water_is_where_it_should_be(void **state) {
    (void)state;
    struct flood_site *site = load(RESERVOIR("\"rule\":[[0,0],[4e7,400]],"));
    struct flood_state *s = begin(site);
    static struct gr_state gr;
    memset(&gr, 0, sizeof gr);
    gr.production_mm = 0.7 * 250;
    gr.routing_mm = 0.4 * 80;
    double volume_m3 = 2e7;
    for (int t = 0; t < 60; t++) {
        struct flood_flows flows;
        double rain = t < 12 ? 6.0 : 0;
        struct flood_hour hour = wet_hour(s, rain);
        double inflow =
            gr_step(&site->basins[0].gr, &gr, rain, flood_evaporation_mm(site, s->end_us), NULL) *
            300 / 3.6;
        flood_step(site, s, &hour, &flows);
        double release = flows.dry_m3_s[site->reservoirs[0].node];
        volume_m3 += (inflow - release) * 3600;
        assert_true(fabs(volume_m3 - s->dry.volume_m3[0]) < 1e-3);
        assert_true(release >= 0 && volume_m3 >= 0 && volume_m3 <= 5e7);
        assert_true(!flows.doubt[site->gauges[0].node]);
    }
    flood_state_destroy(s);
    free(site);
}

static void test_a_full_reservoir_spills(void **state) {
    (void)state;
    struct flood_site *site = load(RESERVOIR("\"rule\":[[0,1],[4e7,2]],"));
    struct flood_state *s = begin(site);
    bool spilled = false;
    for (int t = 0; t < 48; t++) {
        struct flood_flows flows;
        struct flood_hour hour = wet_hour(s, 15);
        flood_step(site, s, &hour, &flows);
        spilled = spilled || flows.dry_m3_s[site->reservoirs[0].node] > 100;
        assert_true(s->dry.volume_m3[0] <= 5e7);
    }
    assert_true(spilled);
    flood_state_destroy(s);
    free(site);
}

/* Gauged, then missing: unknown below; in a forecast held on for a while; then known again, in
 * doubt. */
static void test_gauged_release(void **state) {
    (void)state;
    struct flood_site *site =
        load(RESERVOIR("\"gauge\":{\"station\":\"lake\",\"point\":\"release\"},"));
    struct flood_state *s = begin(site);
    struct flood_flows flows;
    size_t town = site->gauges[0].node;
    for (int t = 0; t < 30; t++) {
        struct flood_hour hour = wet_hour(s, 1);
        hour.release_m3_s[0] = t < 10 ? 80 : t < 13 ? (double)NAN : 120;
        flood_step(site, s, &hour, &flows);
        bool missing = isnan(hour.release_m3_s[0]);
        assert_true(isnan(flows.dry_m3_s[town]) == missing);
        assert_int_equal(s->dry.release[0], missing ? FLOOD_RELEASE_UNKNOWN : FLOOD_RELEASE_GAUGED);
        assert_true(flows.doubt[town] == (t >= 13 && s->dry.doubt_h[0] > 0) || missing);
        assert_true(t != 13 || flows.doubt[town]);
    }
    assert_true(!flows.doubt[town]); /* three travel times are over */
    struct flood_hour hour = wet_hour(s, 1);
    hour.future = true;
    flood_step(site, s, &hour, &flows);
    assert_int_equal(s->dry.release[0], FLOOD_RELEASE_HELD);
    assert_true(flows.dry_m3_s[site->reservoirs[0].node] == 120);
    flood_state_destroy(s);
    free(site);
    /* A schedule stands before holding on. */
    site = load(RESERVOIR("\"schedule\":[[\"2025-11-18T00:00:00Z\",50],"
                          "[\"2025-11-18T03:00:00Z\",90]],"));
    s = begin(site);
    for (int t = 0; t < 6; t++) {
        hour = wet_hour(s, 1);
        flood_step(site, s, &hour, &flows);
        assert_true(flows.dry_m3_s[site->reservoirs[0].node] == (t < 3 ? 50 : 90));
        assert_int_equal(s->dry.release[0], FLOOD_RELEASE_SCHEDULE);
    }
    flood_state_destroy(s);
    free(site);
}

/* Missing rain: two views, that become one again; a wet gap lies above a dry one. */
static void test_missing_rain(void **state) {
    (void)state;
    struct flood_site *site = load("");
    struct flood_state *s = begin(site);
    struct flood_flows flows;
    size_t town = site->gauges[0].node;
    int recovered = -1;
    for (int t = 0; t < 4000 && recovered < 0; t++) {
        struct flood_hour hour = wet_hour(s, t % 9 == 0 ? 2 : 0);
        if (t == 20) {
            hour.rain_mm[1] = NAN;
        }
        flood_step(site, s, &hour, &flows);
        assert_true(flows.wet_m3_s[town] >= flows.dry_m3_s[town] - 1e-9);
        assert_true(s->recovering || t < 20 || t > 20);
        recovered = t > 20 && !s->recovering ? t : -1;
    }
    assert_true(recovered > 28); /* not before the unit hydrograph has run out */
    flood_state_destroy(s);
    free(site);
}

static void test_state_gives_the_same_bits(void **state) {
    (void)state;
    struct flood_site *site = load(RESERVOIR("\"rule\":[[0,0],[4e7,400]],"));
    struct flood_skill skill[1], read[1];
    struct flood_state *s = begin(site), *back = NULL;
    struct flood_flows a, b;
    struct err err = {0};
    char path[] = "/tmp/flood-state-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)unlink(path);
    flood_skill_start(&skill[0]);
    for (int t = 0; t < 50; t++) {
        struct flood_hour hour = wet_hour(s, t % 5);
        hour.rain_mm[0] = t == 40 ? (double)NAN : hour.rain_mm[0];
        flood_step(site, s, &hour, &a);
    }
    assert_true(s->recovering);
    assert_int_equal(flood_state_save(path, site, s, skill, &err), 0);
    if (flood_state_load(path, site, &back, read, &err) != 0) {
        fail_msg("%s", err.text);
    }
    for (int t = 0; t < 30; t++) {
        struct flood_hour hour = wet_hour(s, 3);
        flood_step(site, s, &hour, &a);
        flood_step(site, back, &hour, &b);
        assert_memory_equal(&a, &b, sizeof a);
    }
    flood_state_destroy(back);
    /* Of other basins: refused by name. */
    struct flood_site *other = load("");
    assert_int_equal(flood_state_load(path, other, &back, read, &err), ERR_INVALID);
    free(other);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("{\"kind\":\"flood-state\"}", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(flood_state_load(path, site, &back, read, &err), ERR_CORRUPT);
    (void)unlink(path);
    flood_state_destroy(s);
    free(site);
}

/* ---- runs, from files ---- */

struct files {
    char folder[64], series[96], site[96], state[96], out[96], nwp[96], outlines[96];
};

static struct files make_files(const char *reservoirs) {
    struct files f = {.folder = "/tmp/flood-XXXXXX"};
    char text[6000];
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.series, sizeof f.series, "%s/series.csv", f.folder);
    (void)snprintf(f.site, sizeof f.site, "%s/site.json", f.folder);
    (void)snprintf(f.state, sizeof f.state, "%s/state.json", f.folder);
    (void)snprintf(f.out, sizeof f.out, "%s/out.json", f.folder);
    (void)snprintf(f.nwp, sizeof f.nwp, "%s/nwp.nc", f.folder);
    (void)snprintf(f.outlines, sizeof f.outlines, "%s/basins.geojson", f.folder);
    FILE *site = fopen(f.site, "w");
    assert_non_null(site);
    (void)snprintf(text, sizeof text, template, reservoirs);
    fputs(text, site);
    assert_int_equal(fclose(site), 0);
    FILE *outlines = fopen(f.outlines, "w");
    assert_non_null(outlines);
    fputs("{\"type\":\"FeatureCollection\",\"features\":["
          "{\"type\":\"Feature\",\"id\":\"upper\",\"properties\":{},\"geometry\":{\"type\":"
          "\"Polygon\",\"coordinates\":[[[108,14],[108.5,14],[108.5,14.5],[108,14.5],[108,14]]]}},"
          "{\"type\":\"Feature\",\"id\":\"lower\",\"properties\":{},\"geometry\":{\"type\":"
          "\"Polygon\",\"coordinates\":[[[108.5,14],[109,14],[109,14.5],[108.5,14.5],[108.5,14]]]}}"
          "]}",
          outlines);
    assert_int_equal(fclose(outlines), 0);
    return f;
}

static void remove_files(const struct files *f) {
    const char *const all[] = {f->series, f->site, f->state, f->out, f->nwp, f->outlines};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        (void)unlink(all[i]);
    }
    assert_int_equal(rmdir(f->folder), 0);
}

/* What goes wrong in the readings: minutes from, to. */
struct trouble {
    const char *station;
    int from, to;
    const char *flag; /* NULL: rows left out */
    double add;
};

/* Readings every 10 minutes for `hours`: rain 4 mm/h from hour 30 to 40, a stage near the model. */
static void write_series(const struct files *f, int hours, const struct trouble *trouble) {
    static const char *const stations[] = {"r1", "r2", "g"}, *const points[] = {"rate", "tips",
                                                                                "stage"};
    FILE *file = fopen(f->series, "w");
    assert_non_null(file);
    fputs("time,station,point,value,unit,flag,status\n", file);
    for (int p = 0; p < 3; p++) {
        double counts = 100;
        for (int minute = 0; minute <= hours * 60; minute += 10) {
            char time[32];
            bool rains = minute >= 30 * 60 && minute < 40 * 60;
            double value = p == 0 ? (rains ? 4.0 : 0) : p == 1 ? counts : 3.2;
            bool bad = trouble != NULL && strcmp(trouble->station, stations[p]) == 0 &&
                       minute >= trouble->from && minute < trouble->to;
            counts += rains ? 4.0 / 6 / 0.2 : 0;
            text_format_time(start_us + minute * INT64_C(60000000), time, sizeof time);
            if (!bad) {
                fprintf(file, "%s,%s,%s,%.6f,1,1,ok\n", time, stations[p], points[p], value);
            } else if (trouble->flag != NULL) {
                fprintf(file, "%s,%s,%s,%.6f,1,%s,ok\n", time, stations[p], points[p],
                        value + trouble->add, trouble->flag);
            }
        }
    }
    assert_int_equal(fclose(file), 0);
}

static json_t *run_at(const struct files *f, int minute, const char *const *more, int expected) {
    char now[32];
    const char *argv[24] = {"flood",     "--site",  f->site, "--series", f->series,
                            "--product", "flood-x", "--out", f->out,     "--reference"};
    int argc = 10;
    text_format_time(start_us + minute * INT64_C(60000000), now, sizeof now);
    argv[argc++] = now;
    for (; more != NULL && *more != NULL; more++) {
        argv[argc++] = *more;
    }
    (void)unlink(f->out);
    assert_int_equal(model_flood.run(argc, (char **)(uintptr_t)argv), expected);
    return expected == 0 ? json_load_file(f->out, 0, NULL) : NULL;
}

static json_t *run_model(const struct files *f, int hours, const char *const *more, int expected) {
    return run_at(f, hours * 60, more, expected);
}

static const json_t *gauge_of(const json_t *out) {
    return json_array_get(json_object_get(json_object_get(out, "forecast"), "gauges"), 0);
}

static bool warns(const json_t *out, const char *what) {
    const json_t *list = json_object_get(json_object_get(out, "forecast"), "warnings"), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        if (strstr(json_string_value(item), what) != NULL) {
            return true;
        }
    }
    return false;
}

static const char *updating(const json_t *out) {
    return json_string_value(json_object_get(gauge_of(out), "updating"));
}

static double band(const json_t *out, const char *name, size_t lead) {
    const json_t *value =
        json_array_get(json_object_get(json_object_get(gauge_of(out), "bands"), name), lead);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* Without rain forecast only the floors are known; everything else says why not. */
static void test_floors_only(void **state) {
    (void)state;
    struct files f = make_files("");
    write_series(&f, 40, NULL);
    json_t *out = run_model(&f, 40, NULL, 0);
    assert_true(warns(out, "no rain forecast"));
    assert_true(isnan(band(out, "stage_q50_m", 0)));
    assert_true(band(out, "stage_persistence_m", 12) > band(out, "stage_zero_rain_m", 12));
    const json_t *results = json_object_get(out, "results"), *row;
    size_t i;
    assert_true(json_array_size(results) > 400);
    json_array_foreach(results, i, row) {
        const char *variable = json_string_value(json_object_get(row, "variable"));
        bool floor =
            strstr(variable, "zero_rain") != NULL || strstr(variable, "persistence") != NULL;
        assert_true(json_is_null(json_object_get(row, "value")) != floor);
        assert_true(floor || json_string_length(json_object_get(row, "cause")) > 0);
    }
    json_decref(out);
    remove_files(&f);
}

/* 3 mm/h over the upper basin, 1 over the lower, hourly to 24 h. */
static void write_nwp(const struct files *f, int issue_h, int hours) {
    enum { ROWS = 10, COLUMNS = 20 };
    double x[COLUMNS], y[ROWS];
    int64_t lead_s[48];
    float values[ROWS * COLUMNS];
    struct grid *grid = NULL;
    struct ncwriter *writer = NULL;
    struct err err = {0};
    for (int i = 0; i < COLUMNS; i++) {
        x[i] = 108.025 + 0.05 * i;
    }
    for (int i = 0; i < ROWS; i++) {
        y[i] = 14.025 + 0.05 * i;
    }
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        values[i] = i % COLUMNS < COLUMNS / 2 ? 3 : 1;
    }
    for (int k = 0; k < hours; k++) {
        lead_s[k] = (k + 1) * 3600;
    }
    assert_int_equal(grid_create(ROWS, COLUMNS, x, y, NULL, &grid, &err), 0);
    const struct ncwrite_header header = {.grid = grid,
                                          .reference_utc_us = start_us + issue_h * hour_us,
                                          .lead_count = (size_t)hours,
                                          .lead_s = lead_s,
                                          .member_count = 0,
                                          .title = "test"};
    const struct ncwrite_variable variable = {.name = "rainfall_rate",
                                              .standard_name = "rainfall_rate",
                                              .units = "mm h-1",
                                              .type = NCWRITE_FLOAT,
                                              .has_leads = true};
    assert_int_equal(ncwriter_create(f->nwp, &header, &variable, 1, &writer, &err), 0);
    for (int k = 0; k < hours; k++) {
        assert_int_equal(ncwriter_put(writer, 0, 0, (size_t)k, values, &err), 0);
    }
    assert_int_equal(ncwriter_finish(writer, &err), 0);
    grid_destroy(grid);
}

static void test_rain_of_a_numerical_forecast(void **state) {
    (void)state;
    struct files f = make_files("");
    char series_nc[96];
    (void)snprintf(series_nc, sizeof series_nc, "%s/f.nc", f.folder);
    const char *const more[] = {"--nwp", f.nwp, "--outlines", f.outlines, "--nc", series_nc, NULL};
    write_series(&f, 40, NULL);
    write_nwp(&f, 36, 28); /* known to hour 64 */
    json_t *out = run_model(&f, 40, more, 0);
    assert_true(!isnan(band(out, "stage_q50_m", 23)));
    for (size_t k = 0; k < 24; k++) {
        assert_true(band(out, "stage_q05_m", k) < band(out, "stage_q50_m", k));
        assert_true(band(out, "stage_q50_m", k) < band(out, "stage_q95_m", k));
    }
    double width = band(out, "stage_q95_m", 23) - band(out, "stage_q05_m", 23);
    /* The same numbers as CF NetCDF. */
    int id = 0, variable = 0;
    double stage[5][24];
    assert_int_equal(nc_open(series_nc, NC_NOWRITE, &id), NC_NOERR);
    assert_int_equal(nc_inq_varid(id, "stage_quantile", &variable), NC_NOERR);
    assert_int_equal(nc_get_var_double(id, variable, &stage[0][0]), NC_NOERR);
    assert_int_equal(nc_close(id), NC_NOERR);
    assert_true(stage[0][7] == band(out, "stage_q05_m", 7));
    assert_true(stage[4][23] == band(out, "stage_q95_m", 23));
    json_decref(out);
    /* A forecast that ends early: unknown from its end on, with the reason. */
    write_nwp(&f, 36, 10); /* to hour 46 */
    out = run_model(&f, 40, more, 0);
    assert_true(!isnan(band(out, "stage_q50_m", 5)));
    assert_true(isnan(band(out, "stage_q50_m", 6)));
    assert_true(width > 0);
    json_decref(out);
    /* A file that is none: left out, and said so. */
    FILE *file = fopen(f.nwp, "w");
    assert_non_null(file);
    fputs("no NetCDF", file);
    assert_int_equal(fclose(file), 0);
    out = run_model(&f, 40, more, 0);
    assert_true(warns(out, "nwp.nc") && warns(out, "no rain forecast"));
    json_decref(out);
    (void)unlink(series_nc);
    remove_files(&f);
}

/* Run hour by hour with the state of the run before, or in one go: the same forecast. */
static void test_states_chain(void **state) {
    (void)state;
    struct files f = make_files(RESERVOIR("\"rule\":[[0,0],[4e7,400]],"));
    const char *const save[] = {"--state-out", f.state, NULL};
    const char *const go_on[] = {"--state-in", f.state, NULL};
    write_series(&f, 30, NULL);
    json_decref(run_model(&f, 30, save, 0));
    write_series(&f, 40, NULL);
    json_t *chained = run_model(&f, 40, go_on, 0), *whole = run_model(&f, 40, NULL, 0);
    const json_t *a = json_object_get(gauge_of(chained), "bands");
    assert_true(json_equal(a, json_object_get(gauge_of(whole), "bands")));
    json_decref(chained);
    json_decref(whole);
    /* A state that is none: started anew, and said so. */
    FILE *file = fopen(f.state, "w");
    assert_non_null(file);
    fputs("{}", file);
    assert_int_equal(fclose(file), 0);
    json_t *out = run_model(&f, 40, go_on, 0);
    assert_true(warns(out, "not a state"));
    json_decref(out);
    remove_files(&f);
}

/* Missing rain, missing and stuck stage, a spike, a release without notice, a gap of 3 h. */
static void test_awkward_sequences(void **state) {
    (void)state;
    struct files f = make_files("");
    json_t *out;
    const struct trouble no_rain = {"r1", 2280, 2340, NULL, 0}; /* hour 38 */
    write_series(&f, 40, &no_rain);
    out = run_model(&f, 40, NULL, 0);
    /* `lower` has no other gauge; `upper` had r1 for two thirds of its weight. */
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(out, "forecast"), "missing_rain_h")), 1);
    assert_true(json_is_true(json_object_get(gauge_of(out), "recovering")));
    json_decref(out);

    const struct trouble no_stage = {"g", 2160, 2500, NULL, 0}; /* 4 h until now */
    write_series(&f, 40, &no_stage);
    out = run_model(&f, 40, NULL, 0);
    assert_string_equal(updating(out), "open_loop");
    assert_true(warns(out, "not updated"));
    json_decref(out);

    const struct trouble stuck = {"g", 1500, 2500, "3", 0}; /* flagged suspect */
    write_series(&f, 40, &stuck);
    out = run_model(&f, 40, NULL, 0);
    assert_string_equal(updating(out), "open_loop");
    json_decref(out);

    const struct trouble spike = {"r1", 2000, 2010, "4", 300}; /* 300 mm/h, failed */
    write_series(&f, 40, NULL);
    json_t *clean = run_model(&f, 40, NULL, 0);
    write_series(&f, 40, &spike);
    out = run_model(&f, 40, NULL, 0);
    /* The hour is known without it: a sixth of it is missing, the rest speaks. */
    assert_true(fabs(band(out, "stage_zero_rain_m", 6) - band(clean, "stage_zero_rain_m", 6)) <
                0.01);
    json_decref(out);

    const struct trouble release = {"g", 2280, 2500, "1", 12}; /* 12 m more, and good readings */
    write_series(&f, 40, &release);
    out = run_model(&f, 40, NULL, 0);
    assert_true(json_is_true(json_object_get(gauge_of(out), "disagrees")));
    assert_true(warns(out, "disagree"));
    assert_true(band(out, "stage_zero_rain_m", 0) > band(clean, "stage_zero_rain_m", 0) + 5);
    json_decref(out);

    const struct trouble gap = {"g", 2040, 2220, NULL, 0}; /* hours 34 to 37: updated again */
    write_series(&f, 40, &gap);
    out = run_model(&f, 40, NULL, 0);
    assert_string_equal(updating(out), "updated");
    json_decref(out);
    json_decref(clean);
    remove_files(&f);
}

/* Every ten minutes a run: the hour under way counts in the forecast and once in the state. */
static void test_the_hour_under_way(void **state) {
    (void)state;
    struct files f = make_files("");
    const char *const chain[] = {"--state-in", f.state, "--state-out", f.state, NULL};
    const char *const save[] = {"--state-out", f.state, NULL};
    json_t *out = NULL, *whole = NULL;
    const struct trouble risen = {"g", 33 * 60 + 10, 34 * 60, "1", 1.0}; /* and back again */
    write_series(&f, 34, NULL);
    json_t *hour = run_model(&f, 33, NULL, 0), *calm = run_at(&f, 33 * 60 + 30, NULL, 0);
    assert_true(json_equal(json_object_get(hour, "reference_time"),
                           json_object_get(calm, "reference_time")));
    /* 2 mm have fallen since: the floor without more rain has them. */
    assert_true(band(calm, "stage_zero_rain_m", 8) > band(hour, "stage_zero_rain_m", 8) + 0.01);
    write_series(&f, 34, &risen);
    out = run_at(&f, 33 * 60 + 30, NULL, 0);
    assert_string_equal(updating(out), "updated");
    assert_true(band(out, "stage_zero_rain_m", 0) > band(calm, "stage_zero_rain_m", 0) + 0.5);
    /* The newest stage counts, not one of ten minutes ago. */
    const struct trouble lost = {"g", 33 * 60 + 10, 34 * 60, "4", 1.0};
    write_series(&f, 34, &lost);
    whole = run_at(&f, 33 * 60 + 30, NULL, 0);
    assert_true(band(whole, "stage_zero_rain_m", 0) < band(out, "stage_zero_rain_m", 0) - 0.5);
    json_decref(whole);
    json_decref(out);
    json_decref(calm);
    json_decref(hour);
    write_series(&f, 40, NULL);
    json_decref(run_model(&f, 30, save, 0));
    for (int minute = 30 * 60 + 10; minute <= 40 * 60; minute += 10) {
        json_decref(out = run_at(&f, minute, chain, 0));
    }
    out = run_at(&f, 40 * 60 + 5, chain, 0);
    whole = run_at(&f, 40 * 60 + 5, NULL, 0);
    assert_true(json_equal(json_object_get(gauge_of(out), "bands"),
                           json_object_get(gauge_of(whole), "bands")));
    json_decref(out);
    json_decref(whole);
    remove_files(&f);
}

/* Nothing at all for 3 h: what cannot be known is not told, and afterwards recovery is marked until
 * dry and wet agree. */
static void test_a_gap_of_everything(void **state) {
    (void)state;
    struct files f = make_files("");
    write_series(&f, 46, NULL);
    FILE *from = fopen(f.series, "r");
    char line[200], kept[240], time[32], end[32];
    (void)snprintf(kept, sizeof kept, "%s.kept", f.series);
    FILE *to = fopen(kept, "w");
    assert_true(from != NULL && to != NULL);
    text_format_time(start_us + 41 * hour_us, time, sizeof time);
    text_format_time(start_us + 44 * hour_us, end, sizeof end);
    while (fgets(line, sizeof line, from) != NULL) {
        bool gone = line[0] == '2' && strncmp(line, time, 19) > 0 && strncmp(line, end, 19) < 0;
        assert_true(gone || fputs(line, to) >= 0);
    }
    assert_int_equal(fclose(from), 0);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(rename(kept, f.series), 0);
    json_t *out =
        run_model(&f, 44, NULL, 0); /* the newest readings are of now, before is nothing */
    assert_true(warns(out, "rain of the last hour unknown: upper"));
    assert_true(json_is_true(json_object_get(gauge_of(out), "recovering")));
    assert_true(isnan(band(out, "stage_persistence_m", 3))); /* what rain should be held on? */
    json_decref(out);
    out = run_model(&f, 43, NULL, 0); /* in the gap */
    assert_int_equal(json_integer_value(json_object_get(gauge_of(out), "observation_age_h")), 2);
    assert_true(warns(out, "rain of the last hour unknown: lower"));
    assert_true(json_is_true(json_object_get(gauge_of(out), "recovering")));
    json_decref(out);
    out = run_model(&f, 46, NULL, 0);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(out, "forecast"), "missing_rain_h")), 3);
    assert_true(json_is_true(json_object_get(gauge_of(out), "recovering")));
    json_decref(out);
    remove_files(&f);
}

/* The three ways to know a release, each through the program: which one it used now and to come. */
static void test_releases_of_the_program(void **state) {
    (void)state;
    static const struct {
        const char *reservoir, *now, *to_come;
        double zero_rain_m3_s; /* below the dam, 24 h from now; 0: not checked */
    } cases[] = {
        {"\"gauge\":{\"station\":\"r1\",\"point\":\"rate\"},", "gauged", "held", 0},
        {"\"schedule\":[[\"2025-11-18T00:00:00Z\",50],[\"2025-11-20T00:00:00Z\",90]],", "schedule",
         "schedule", 90},
        {"\"rule\":[[0,30],[4e7,30]],", "rule", "rule", 30},
        {"", "unknown", "unknown", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct files f = make_files("");
        char reservoir[400], text[6000];
        (void)snprintf(reservoir, sizeof reservoir,
                       "\"reservoirs\":[{\"id\":\"lake\",\"node\":\"dam\",%s"
                       "\"full_m3\":5e7,\"start_m3\":2e7,\"source\":\"t\"}],",
                       *cases[i].reservoir != '\0'
                           ? cases[i].reservoir
                           : "\"gauge\":{\"station\":\"nobody\",\"point\":\"release\"},");
        FILE *site = fopen(f.site, "w");
        assert_non_null(site);
        (void)snprintf(text, sizeof text, template, reservoir);
        assert_true(fputs(text, site) >= 0);
        assert_int_equal(fclose(site), 0);
        const struct trouble no_stage = {"g", 2000, 3000, NULL, 0}; /* nothing to correct with */
        write_series(&f, 40, &no_stage);
        json_t *out = run_model(&f, 40, NULL, 0);
        const json_t *lake =
            json_array_get(json_object_get(json_object_get(out, "forecast"), "reservoirs"), 0);
        assert_string_equal(json_string_value(json_object_get(lake, "release_now")), cases[i].now);
        assert_string_equal(json_string_value(json_object_get(lake, "release_to_come")),
                            cases[i].to_come);
        bool unknown = strcmp(cases[i].now, "unknown") == 0;
        assert_true(warns(out, "release unknown: lake") == unknown);
        double stage_m = band(out, "stage_zero_rain_m", 23);
        assert_true(isnan(stage_m) == unknown);
        if (cases[i].zero_rain_m3_s > 0) {
            assert_true(10 * stage_m * stage_m > cases[i].zero_rain_m3_s); /* and the lower basin */
            assert_true(10 * stage_m * stage_m < 2 * cases[i].zero_rain_m3_s + 60);
        }
        json_decref(out);
        remove_files(&f);
    }
}

static void test_bad_input_is_refused(void **state) {
    (void)state;
    struct files f = make_files("");
    static const char *const series[] = {
        "",                                                       /* nothing */
        "time,station,point,value,flag\n",                        /* no reading */
        "time,station,point,value\n2025-11-18T00:00:00Z,a,b,1\n", /* no flag */
        "time,station,point,value,flag\n2025-11-18T00:00:00Z,a,b,1,7\n",
        "time,station,point,value,flag\n2025-11-18T00:00:00Z,a,b,one,1\n",
        "time,station,point,value,flag\n18/11/2025,a,b,1,1\n",
        "time,station,point,value,flag\n2025-11-18T00:10:00Z,a,b,1,1\n"
        "2025-11-18T00:00:00Z,a,b,1,1\n", /* backwards */
        "time,station,point,value,flag\n2025-11-18T00:00:00Z,a,b,1,1\n"
        "2025-11-18T00:00:00Z,a,b,1,1\n", /* repeated */
    };
    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        FILE *file = fopen(f.series, "w");
        assert_non_null(file);
        fputs(series[i], file);
        assert_int_equal(fclose(file), 0);
        (void)run_model(&f, 40, NULL, MODEL_REFUSED);
    }
    const char *const no_outlines[] = {"--nwp", f.nwp, NULL};
    write_series(&f, 40, NULL);
    (void)run_model(&f, 40, no_outlines, MODEL_USAGE);
    remove_files(&f);
}

/* ---- readings ---- */

static void test_rain_of_readings(void **state) {
    (void)state;
    struct files f = make_files("");
    struct samples *samples = NULL;
    struct flood_point rate = {"a", "rate"}, tips = {"a", "tips"}, none = {"b", "rate"};
    FILE *file = fopen(f.series, "w");
    assert_non_null(file);
    fputs("time,station,point,value,unit,flag,status\n", file);
    for (int m = 0; m <= 120; m += 10) { /* 6 mm/h, then 12; from 60 to 80 flagged */
        fprintf(file, "2025-11-18T%02d:%02d:00Z,a,rate,%d,mm/h,%d,ok\n", m / 60, m % 60,
                m < 30 ? 6 : 12, m >= 60 && m < 80 ? 4 : 1);
    }
    fputs("2025-11-18T00:00:00Z,a,tips,10,1,1,ok\n2025-11-18T00:55:00Z,a,tips,25,1,1,ok\n"
          "2025-11-18T01:59:00Z,a,tips,5,1,1,ok\n",
          file);
    assert_int_equal(fclose(file), 0);
    struct err err = {0};
    if (samples_read(f.series, &samples, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_true(fabs(samples_rain_mm(samples, &rate, 0, start_us, start_us + hour_us) - 9) < 1e-9);
    /* A third of the hour is bad: less than three quarters speak. */
    assert_true(
        isnan(samples_rain_mm(samples, &rate, 0, start_us + hour_us, start_us + 2 * hour_us)));
    assert_true(fabs(samples_rain_mm(samples, &tips, 0.2, start_us, start_us + hour_us) - 3) <
                1e-9);
    /* The counter went backwards: not known. */
    assert_true(
        isnan(samples_rain_mm(samples, &tips, 0.2, start_us + hour_us, start_us + 2 * hour_us)));
    assert_true(isnan(samples_rain_mm(samples, &none, 0, start_us, start_us + hour_us)));
    assert_true(isnan(samples_at(samples, &rate, start_us + 3 * hour_us)));            /* too old */
    assert_true(isnan(samples_at(samples, &rate, start_us + 65 * INT64_C(60000000)))); /* failed */
    samples_destroy(samples);
    remove_files(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_site_of_the_tree),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_water_is_where_it_should_be),
        cmocka_unit_test(test_a_full_reservoir_spills),
        cmocka_unit_test(test_gauged_release),
        cmocka_unit_test(test_missing_rain),
        cmocka_unit_test(test_state_gives_the_same_bits),
        cmocka_unit_test(test_floors_only),
        cmocka_unit_test(test_rain_of_a_numerical_forecast),
        cmocka_unit_test(test_states_chain),
        cmocka_unit_test(test_awkward_sequences),
        cmocka_unit_test(test_the_hour_under_way),
        cmocka_unit_test(test_a_gap_of_everything),
        cmocka_unit_test(test_releases_of_the_program),
        cmocka_unit_test(test_bad_input_is_refused),
        cmocka_unit_test(test_rain_of_readings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
