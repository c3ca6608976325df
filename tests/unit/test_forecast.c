/* The forecast of a gauge: floors, updating, bands, levels and gaps against sums made here, and the
 * command line with its JSON read by the daemon's own reader. */
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
#include <netcdf.h>

#include "daemon/base/text.h"
#include "daemon/job_output.h"
#include "models/hydrology/forecast.h"
#include "models/hydrology/gr_members.h"
#include "models/hydrology/hydrology.h"
#include "models/hydrology/residual.h"
#include "models/table/table.h"

enum { PAST = 400, LEADS = 24, MEMBERS = 3, HISTORY = 9000 };

struct world {
    struct gr gr;
    struct gr_series state;
    double observed[PAST], simulated[PAST];
    double rain[MEMBERS * LEADS], evaporation[LEADS];
    struct update_model update;
    struct residual residual;
    double rain_now_mm;
    double open[(MEMBERS + 2) * LEADS], wet[(MEMBERS + 2) * LEADS];
    struct forecast_input input;
};

static uint32_t seed;

static double random01(void) {
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) / 16777216.0;
}

static double rain_now(void) {
    return random01() < 0.06 ? 12 * random01() * random01() : 0;
}

/* A basin whose gauge shows 10 % more than the model; errors of past years: 0.9 to 1.1 times. */
static struct world *make_world(void) {
    static struct world w;
    const struct gr_parameters p = {300, -0.1, 60, 4.3};
    struct gr_balance balance = {0};
    memset(&w, 0, sizeof w);
    seed = 7;
    assert_int_equal(gr_init(&w.gr, GR_HOURLY, &p, false, NULL), 0);
    gr_series_start(&w.gr, &w.state);
    for (size_t t = 0; t < PAST; t++) {
        double mm = 0;
        (void)gr_series_step(&w.gr, &w.state, rain_now(), 0.1, &balance, &mm, NULL);
        w.simulated[t] = mm * 100;
        w.observed[t] = w.simulated[t] * 1.1;
    }
    w.update =
        (struct update_model){.phi1 = 0.9, .phi2 = 0, .rho = 0.9, .leads = LEADS, .step_s = 3600};
    w.residual.leads = LEADS;
    for (int k = 0; k <= LEADS; k++) {
        w.update.gain[k] = w.update.gain_1[k] = 1;
        for (int i = 0; i < RESIDUAL_QUANTILES; i++) {
            double at = (i + 0.5) / RESIDUAL_QUANTILES; /* ln ratio even over -0.1 to 0.1 */
            w.residual.log_ratio[k][i] = k == 0 ? 4 * (at - 0.5) : 0.2 * (at - 0.5);
            w.residual.log_ratio_1[k][i] = 0.6 * (at - 0.5);
        }
    }
    for (size_t k = 0; k < LEADS; k++) {
        w.evaporation[k] = 0.1;
        for (size_t m = 0; m < MEMBERS; m++) {
            w.rain[m * LEADS + k] = k >= 3 && k < 6 ? 4.0 * (double)(m + 1) : 0;
        }
    }
    w.rain_now_mm = 1.5;
    w.input = (struct forecast_input){.past_count = PAST,
                                      .observed_m3_s = w.observed,
                                      .simulated_m3_s = w.simulated,
                                      .leads = LEADS,
                                      .member_count = MEMBERS,
                                      .update = &w.update,
                                      .residual = &w.residual};
    return &w;
}

/* The open loop of the world as it is now. */
static void answer(struct world *w) {
    const struct gr_rain rain = {LEADS, w->input.member_count, w->rain, w->rain_now_mm,
                                 w->evaporation};
    gr_members_run(&w->gr, &w->state.dry, &rain, 100, w->open);
    gr_members_run(&w->gr, &w->state.wet, &rain, 100, w->wet);
    w->input.flow_m3_s = w->open;
    w->input.wet_flow_m3_s = w->state.recovering ? w->wet : NULL;
}

static struct forecast *run(struct world *w) {
    struct forecast *f = NULL;
    struct err err = {0};
    answer(w);
    int rc = forecast_run(&w->input, &f, &err);
    if (rc != 0) {
        fail_msg("%s", err.text);
    }
    return f;
}

/* GR steps and the correction, made here a second time. */
static double expected_flow(const struct world *w, const double *rain, double constant, int lead) {
    static struct gr_state state;
    double mm = 0, e = w->observed[PAST - 1] - w->simulated[PAST - 1];
    gr_state_copy(&w->gr, &state, &w->state.dry);
    for (int k = 0; k < lead; k++) {
        mm = gr_step(&w->gr, &state, rain != NULL ? rain[k] : constant, 0.1, NULL);
    }
    return mm * 100 + e * pow(0.9, lead);
}

static void assert_near(double a, double b) {
    if (!(fabs(a - b) <= 1e-9 * (1 + fabs(b)))) {
        fail_msg("%.17g is not %.17g", a, b);
    }
}

static void test_members_floors_and_bands(void **state) {
    (void)state;
    struct world *w = make_world();
    struct forecast *f = run(w);
    assert_int_equal(f->mark, UPDATE_OK);
    assert_int_equal(f->age_h, 0);
    assert_int_equal(f->horizon, LEADS);
    assert_int_equal(f->path_count, MEMBERS * RESIDUAL_QUANTILES);
    for (int k = 1; k <= LEADS; k++) {
        for (size_t m = 0; m < MEMBERS; m++) {
            assert_near(f->member_m3_s[m * LEADS + (size_t)k - 1],
                        expected_flow(w, w->rain + m * LEADS, 0, k));
        }
        const struct forecast_lead *lead = &f->lead[k - 1];
        assert_near(lead->zero_m3_s, expected_flow(w, NULL, 0, k));
        assert_near(lead->persistence_m3_s, expected_flow(w, NULL, 1.5, k));
        for (int q = 1; q < FORECAST_QUANTILES; q++) {
            assert_true(lead->flow_m3_s[q] >= lead->flow_m3_s[q - 1]);
        }
        assert_true(isnan(lead->stage_m[2]) && lead->cause[0] == '\0');
    }
    /* Before the rain all members are one: the band is that of the residuals alone. */
    double q = expected_flow(w, NULL, 0, 2);
    assert_near(f->lead[1].flow_m3_s[0], q * (0.5 * exp(-0.095) + 0.5 * exp(-0.085)));
    forecast_destroy(f);
    /* One member: the quantiles of its residuals. */
    w->input.member_count = 1;
    f = run(w);
    q = expected_flow(w, w->rain, 0, 8);
    assert_near(f->lead[7].flow_m3_s[0], q * 0.5 * (exp(-0.095) + exp(-0.085)));
    assert_near(f->lead[7].flow_m3_s[2], q * 0.5 * (exp(-0.005) + exp(0.005)));
    forecast_destroy(f);
}

static void test_levels_and_peak(void **state) {
    (void)state;
    struct world *w = make_world();
    /* Between the highest path of member 2 and the lowest of member 3 at the peak: one third. */
    double peak2 = 0, peak3 = 0;
    int at3 = 0;
    for (int k = 1; k <= LEADS; k++) {
        peak2 = fmax(peak2, expected_flow(w, w->rain + LEADS, 0, k));
        double q = expected_flow(w, w->rain + 2 * LEADS, 0, k);
        at3 = q > peak3 ? k : at3;
        peak3 = fmax(peak3, q);
    }
    assert_true(peak3 * exp(-0.095) > peak2 * exp(0.095));
    w->input.level_count = 3;
    w->input.levels[0] = 0.5 * w->observed[PAST - 1];
    w->input.levels[1] = sqrt(peak2 * peak3);
    w->input.levels[2] = 3 * peak3;
    struct forecast *f = run(w);
    assert_true(f->level[0].now && !f->level[1].now);
    assert_true(f->level[0].probability == 1 && f->level[2].probability == 0);
    assert_near(f->level[1].probability, 1.0 / 3);
    assert_near(f->level[0].hours[2], 1);
    assert_true(isnan(f->level[2].hours[2]));
    assert_true(f->level[1].hours[0] >= 4 && f->level[1].hours[4] <= at3);
    for (int k = 0; k < LEADS; k++) {
        assert_true(f->lead[k].reached[1] >= f->lead[k].above[1]);
        assert_true(f->lead[k].above[0] <= 1 && f->lead[k].reached[0] == 1);
        assert_true(k == 0 || f->lead[k].reached[1] >= f->lead[k - 1].reached[1]);
    }
    assert_near(f->lead[LEADS - 1].reached[1], 1.0 / 3);
    assert_near(f->peak_h[4], at3);
    assert_near(f->peak_m3_s[4], peak3 * 0.5 * (exp(0.065) + exp(0.075)));
    forecast_destroy(f);
    w->input.levels[1] = w->input.levels[0];
    struct forecast *none = NULL;
    assert_int_equal(forecast_run(&w->input, &none, NULL), ERR_RANGE);
    assert_null(none);
}

static void test_missing_stage_drops_updating(void **state) {
    (void)state;
    struct world *w = make_world();
    w->observed[PAST - 1] = w->observed[PAST - 2] = NAN;
    struct forecast *f = run(w);
    assert_int_equal(f->mark, UPDATE_OK);
    assert_int_equal(f->age_h, 2);
    forecast_destroy(f);
    w->observed[PAST - 4] = NAN;
    f = run(w);
    assert_int_equal(f->mark, UPDATE_AR1);
    forecast_destroy(f);
    w->observed[PAST - 3] = NAN;
    f = run(w);
    assert_int_equal(f->mark, UPDATE_DROPPED);
    assert_int_equal(f->age_h, -1);
    /* the open loop, with the wide band of the open loop */
    double e = w->observed[PAST - 5] - w->simulated[PAST - 5];
    assert_true(e > 0 && isnan(w->observed[PAST - 1]));
    static struct gr_state gr_state;
    gr_state_copy(&w->gr, &gr_state, &w->state.dry);
    double open = 100 * gr_step(&w->gr, &gr_state, 0, 0.1, NULL);
    assert_near(f->lead[0].zero_m3_s, open);
    assert_near(f->lead[0].flow_m3_s[4], open * 0.5 * (exp(1.7) + exp(1.9)));
    forecast_destroy(f);
}

/* An observation within the hour: its error against the simulation between the hours, then the
 * autoregression from its own time; without it the hours count. */
static void test_an_observation_since_the_hour(void **state) {
    (void)state;
    struct world *w = make_world();
    struct forecast *hourly = run(w);
    double observed[FORECAST_SINCE_MAX];
    w->input.since_count = 3;
    w->input.since_observed_m3_s = observed;
    for (double s = 0.25; s < 1; s += 0.25) {
        const double *zero = w->open + MEMBERS * LEADS;
        w->input.since_h = s;
        for (size_t i = 0; i < 3; i++) {
            size_t at = PAST - 3 + i;
            double next = i < 2 ? w->simulated[at + 1] : zero[0];
            observed[i] = 1.3 * ((1 - s) * w->simulated[at] + s * next);
        }
        double error = observed[2] - observed[2] / 1.3;
        struct forecast *f = run(w);
        assert_int_equal(f->mark, UPDATE_OK);
        assert_int_equal(f->age_h, 0);
        for (int k = 0; k < LEADS; k++) {
            double expected = zero[k] + error * (s * pow(0.9, k) + (1 - s) * pow(0.9, k + 1));
            assert_true(fabs(f->lead[k].zero_m3_s - expected) < 1e-9 * expected);
            assert_true(f->lead[k].zero_m3_s > hourly->lead[k].zero_m3_s); /* 1.3 against 1.1 */
        }
        forecast_destroy(f);
    }
    observed[2] = NAN;
    struct forecast *f = run(w);
    for (int k = 0; k < LEADS; k++) {
        assert_true(f->lead[k].zero_m3_s == hourly->lead[k].zero_m3_s);
    }
    forecast_destroy(f);
    forecast_destroy(hourly);
    w->input.since_h = 1;
    f = NULL;
    assert_int_equal(forecast_run(&w->input, &f, NULL), ERR_RANGE);
}

static void test_rain_that_ends_and_no_rain(void **state) {
    (void)state;
    struct world *w = make_world();
    w->rain[LEADS + 2] = NAN; /* member 2 has nothing for hour 3 */
    w->input.level_count = 1;
    w->input.levels[0] = 1e-3; /* reached for certain, while known */
    struct forecast *f = run(w);
    assert_int_equal(f->horizon, 2);
    assert_true(!isnan(f->lead[1].flow_m3_s[0]) && f->lead[1].cause[0] == '\0');
    for (int k = 2; k < LEADS; k++) {
        for (int q = 0; q < FORECAST_QUANTILES; q++) {
            assert_true(isnan(f->lead[k].flow_m3_s[q]));
        }
        assert_true(isnan(f->lead[k].above[0]) && isnan(f->lead[k].reached[0]));
        assert_string_equal(f->lead[k].cause, "rain or evaporation forecast ends after 2 h");
        assert_true(!isnan(f->lead[k].zero_m3_s) && !isnan(f->lead[k].persistence_m3_s));
    }
    forecast_destroy(f);
    w->input.member_count = 0;
    w->rain_now_mm = NAN;
    f = run(w);
    assert_int_equal(f->horizon, 0);
    assert_true(isnan(f->lead[0].flow_m3_s[2]) && isnan(f->level[0].probability));
    assert_true(isnan(f->peak_m3_s[0]) && isnan(f->lead[0].persistence_m3_s));
    assert_true(!isnan(f->lead[0].zero_m3_s));
    assert_string_equal(f->lead[0].cause, "no rain forecast");
    forecast_destroy(f);
    w->evaporation[0] = NAN;
    f = run(w);
    assert_true(isnan(f->lead[0].zero_m3_s) && isnan(f->lead[LEADS - 1].zero_m3_s));
    forecast_destroy(f);
}

static void test_gap_in_the_rain(void **state) {
    (void)state;
    struct world *w = make_world();
    struct gr_balance balance = {0};
    struct forecast *whole = run(w);
    double mm = 0;
    for (int i = 0; i < 3; i++) { /* three lost hours */
        (void)gr_series_step(&w->gr, &w->state, NAN, 0.1, &balance, &mm, NULL);
    }
    w->input.level_count = 2;
    w->input.levels[0] = 1e-3;
    w->input.levels[1] = whole->peak_m3_s[4] * 1.5;
    struct forecast *f = run(w);
    assert_true(f->recovering);
    assert_int_equal(f->horizon, LEADS);
    /* 0 or 60 mm fell: the median cannot be told, nor the chance of the high level */
    assert_true(isnan(f->lead[7].flow_m3_s[2]) && isnan(f->level[1].probability));
    assert_true(f->lead[7].flow_m3_s[4] > 2 * f->lead[7].flow_m3_s[1]);
    assert_string_equal(f->lead[7].cause,
                        "rain of the past is missing: dry and wet start disagree");
    assert_true(f->level[0].probability == 1); /* certain either way */
    assert_true(isnan(f->peak_m3_s[2]) && isnan(f->peak_h[2]));
    forecast_destroy(f);
    forecast_destroy(whole);
}

static void test_stage(void **state) {
    (void)state;
    struct world *w = make_world();
    struct rating rating = {.segments = 1,
                            .c_m = 0,
                            .break_m = NAN,
                            .coefficient = {0, 2, 0},
                            .sigma_log = 0.05,
                            .count = 10,
                            .lowest_m = 1,
                            .highest_m = 3};
    w->input.rating = &rating; /* Q = h^2 */
    w->input.level_count = 1;
    w->input.levels[0] = 2;
    struct forecast *f = run(w);
    int beyond = 0;
    for (int k = 0; k < LEADS; k++) {
        const struct forecast_lead *lead = &f->lead[k];
        for (int q = 0; q < FORECAST_QUANTILES; q += 4) {
            if (lead->flow_m3_s[q] >= 1.01) {
                /* between two paths root and mean do not commute: 1 % */
                assert_true(fabs(lead->stage_m[q] / sqrt(lead->flow_m3_s[q]) - 1) < 0.01);
            } else if (lead->flow_m3_s[q] < 0.99) {
                assert_true(isnan(lead->stage_m[q]));
                assert_string_equal(lead->cause, "below the lowest gauging");
            }
        }
        assert_true(lead->extrapolated || lead->stage_m[4] <= 3 || isnan(lead->stage_m[4]));
        beyond += lead->extrapolated;
    }
    assert_true(beyond > 0);
    forecast_destroy(f);
    w->input.levels[0] = 0.5; /* where no stage is ever known */
    struct forecast *none = NULL;
    assert_int_equal(forecast_run(&w->input, &none, NULL), ERR_RANGE);
}

/* Lognormal errors of a known size, given to residual_fit() as an open loop without memory. */
static void test_residuals_find_the_spread(void **state) {
    (void)state;
    enum { N = 20000 };
    static double observed[N], simulated[N];
    static struct update_model m;
    static struct residual r;
    seed = 3;
    for (size_t t = 0; t < N; t++) {
        double normal = -6;
        for (int i = 0; i < 12; i++) {
            normal += random01();
        }
        simulated[t] = 50 + 40 * sin((double)t / 50);
        observed[t] = simulated[t] * exp(0.2 * normal);
    }
    assert_int_equal(update_fit(observed, simulated, N, 3, 3600, &m, NULL), 0);
    assert_int_equal(residual_fit(&m, observed, simulated, N, &r, NULL), 0);
    /* 0.025, 0.475 and 0.975 of a normal of 0.2: -1.960, -0.0627, 1.960 times */
    assert_true(fabs(r.log_ratio[0][0] + 0.392) < 0.03);
    assert_true(fabs(r.log_ratio[0][9] + 0.0125) < 0.015);
    assert_true(fabs(r.log_ratio[0][19] - 0.392) < 0.03);
    assert_ptr_equal(residual_of(&r, UPDATE_DROPPED, 2, 0), r.log_ratio[0]);
    assert_ptr_equal(residual_of(&r, UPDATE_OK, 2, 1), r.log_ratio[3]);
    assert_ptr_equal(residual_of(&r, UPDATE_OK, 2, 2), r.log_ratio[0]);
    assert_ptr_equal(residual_of(&r, UPDATE_AR1, 1, 0), r.log_ratio_1[1]);
    for (size_t t = 0; t < N; t++) {
        observed[t] = t < 90 ? observed[t] : (double)NAN;
    }
    assert_int_equal(residual_fit(&m, observed, simulated, N, &r, NULL), ERR_INVALID);
}

/* ---- command line ---- */

static int command(int (*model)(int, char **), const char *name, const char *line) {
    char text[2000];
    char *argv[64] = {NULL};
    int argc = 0;
    (void)snprintf(text, sizeof text, "%s %s", name, line);
    for (char *at = strtok(text, " "); at != NULL && argc < 63; at = strtok(NULL, " ")) {
        argv[argc++] = at;
    }
    return model(argc, argv);
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

enum { GAUGE_HOLES = 1, RAIN_HOLE = 2 };

/* HISTORY hours from 2024-01-01, `from` to `to`; the gauge is another model's. */
static void write_history(const char *path, size_t from, size_t to, int flags) {
    static struct gr gr;
    static struct gr_state state;
    const struct gr_parameters p = {280, 0, 50, 4};
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "time,P,E,Qobs\n");
    assert_int_equal(gr_init(&gr, GR_HOURLY, &p, false, NULL), 0);
    gr_state_start(&gr, &state);
    seed = 11;
    for (size_t t = 0; t < to; t++) {
        char time[32];
        double rain = rain_now();
        double q = 100 * gr_step(&gr, &state, rain, 0.1, NULL) * (0.95 + 0.1 * random01());
        text_format_time(INT64_C(1704067200000000) + (int64_t)t * 3600000000, time, sizeof time);
        if (t < from) {
            continue;
        }
        fprintf(file, "%s,", time);
        if (!((flags & RAIN_HOLE) && t + 2 == to)) {
            fprintf(file, "%.6f", rain);
        }
        fprintf(file, ",0.1,");
        if (!((flags & GAUGE_HOLES) && t + 3 >= to)) {
            fprintf(file, "%.6f", q);
        }
        fprintf(file, "\n");
    }
    assert_int_equal(fclose(file), 0);
}

static void make_models(void) {
    write_text("p.json", "{\"model\": \"gr4h\", \"parameters\": {\"x1_mm\": 300, \"x2_mm\": -0.1, "
                         "\"x3_mm\": 60, \"x4\": 4.3}}");
    write_history("h.csv", 0, HISTORY, 0);
    assert_int_equal(command(model_gr.run, "gr",
                             "--step hourly --forcing h.csv --x1 300 --x2 -0.1 --x3 60 --x4 4.3 "
                             "--out sim.csv"),
                     0);
    struct table *h = NULL, *s = NULL;
    FILE *file = fopen("pairs.csv", "w");
    assert_non_null(file);
    assert_int_equal(table_read("h.csv", &h, NULL), 0);
    assert_int_equal(table_read("sim.csv", &s, NULL), 0);
    fprintf(file, "time,Qobs,Qsim\n");
    for (size_t t = 1000; t < HISTORY; t++) {
        fprintf(file, "%s,%s,%.9f\n", table_text(h, t, 0), table_text(h, t, 3),
                100 * strtod(table_text(s, t, 1), NULL));
    }
    assert_int_equal(fclose(file), 0);
    table_destroy(h);
    table_destroy(s);
    assert_int_equal(command(model_update.run, "update", "--fit pairs.csv --out u.json"), 0);
    file = fopen("rain.csv", "w");
    assert_non_null(file);
    fprintf(file, "time,a,b\n");
    for (int k = -2; k < 24; k++) {
        char time[32];
        text_format_time(INT64_C(1704067200000000) + (int64_t)(HISTORY + k) * 3600000000, time,
                         sizeof time);
        fprintf(file, "%s,%d,%d\n", time, k == 2 ? 9 : 0, k == 2 ? 30 : 0);
    }
    assert_int_equal(fclose(file), 0);
}

static int forecast_command(const char *more) {
    char line[600];
    (void)snprintf(line, sizeof line,
                   "--gauge bridge --product river --parameters p.json --area-km2 360 --update "
                   "u.json --levels 20,60,2000 --out f.json %s",
                   more);
    return command(model_forecast.run, "forecast", line);
}

static struct model_result *read_results(size_t *ret_count, char **ret_text) {
    struct job_output output = {.count = 0};
    struct err err = {0};
    char *text = calloc(1, 1 << 22);
    FILE *file = fopen("f.json", "r");
    assert_true(text != NULL && file != NULL);
    size_t length = fread(text, 1, (1 << 22) - 1, file);
    assert_int_equal(fclose(file), 0);
    int rc = job_output_parse(text, length, "forecast", "river", (struct utc_us){INT64_MAX / 2},
                              &output, &err);
    if (rc != 0) {
        fail_msg("%s", err.text);
    }
    *ret_text = text;
    *ret_count = output.count;
    struct model_result *results = output.results;
    output.results = NULL;
    job_output_finish(&output);
    return results;
}

static const struct model_result *find(const struct model_result *results, size_t count,
                                       const char *variable, int64_t window_h, int64_t lead_h) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(results[i].variable, variable) == 0 &&
            results[i].window_us == window_h * 3600000000 &&
            results[i].lead_us == lead_h * 3600000000) {
            return &results[i];
        }
    }
    fail_msg("no result %s", variable);
    return NULL;
}

static void check_netcdf(const struct model_result *results, size_t count) {
    int id = 0, variable = 0;
    double median[LEADS], members[4 * LEADS];
    static const size_t start[2] = {2, 0}, size[2] = {1, LEADS};
    assert_int_equal(nc_open("f.nc", NC_NOWRITE, &id), NC_NOERR);
    assert_int_equal(nc_inq_varid(id, "discharge_quantile", &variable), NC_NOERR);
    assert_int_equal(nc_get_vara_double(id, variable, start, size, median), NC_NOERR);
    assert_int_equal(nc_inq_varid(id, "discharge", &variable), NC_NOERR);
    assert_int_equal(nc_get_var_double(id, variable, members), NC_NOERR);
    assert_int_equal(nc_close(id), NC_NOERR);
    for (int k = 1; k <= LEADS; k++) {
        assert_true(find(results, count, "discharge", 0, k)->value == median[k - 1]);
        assert_true(find(results, count, "discharge_zero_rain", 0, k)->value ==
                    members[2 * LEADS + k - 1]);
        assert_true(members[LEADS + k - 1] >= members[k - 1]); /* b has more rain than a */
    }
}

static void test_command_line(void **state) {
    (void)state;
    char folder[] = "/tmp/forecast-XXXXXX", *text = NULL, *again = NULL;
    size_t count = 0, count_again = 0;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    make_models();
    assert_int_equal(forecast_command("--observed h.csv --rain rain.csv --nc f.nc --csv f.csv "
                                      "--state-out s.json"),
                     0);
    struct model_result *results = read_results(&count, &text);
    assert_int_equal(results[0].reference_time.us,
                     INT64_C(1704067200000000) + (int64_t)HISTORY * 3600000000);
    assert_true(find(results, count, "discharge", 0, 10)->probability == 0.5);
    assert_true(find(results, count, "probability_level_3", 24, 24)->value == 0);
    assert_true(find(results, count, "probability_level_1", 24, 24)->probability > 0);
    assert_non_null(strstr(text, "\"updating\": \"updated\""));
    check_netcdf(results, count);
    /* From the saved state and the last day alone: the same bits. */
    write_history("late.csv", HISTORY - 24, HISTORY, 0);
    assert_int_equal(forecast_command("--observed late.csv --rain rain.csv --state-in s.json"), 0);
    struct model_result *resumed = read_results(&count_again, &again);
    assert_int_equal(count, count_again);
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(&results[i].value, &resumed[i].value, sizeof results[i].value);
        assert_string_not_equal(results[i].manifest, resumed[i].manifest); /* other inputs */
    }
    free(resumed);
    free(again);
    free(results);
    free(text);
    /* The gauge silent for 3 h, and an hour of rain missing. */
    write_history("h.csv", 0, HISTORY, GAUGE_HOLES | RAIN_HOLE);
    assert_int_equal(forecast_command("--observed h.csv --rain rain.csv"), 0);
    results = read_results(&count, &text);
    assert_non_null(strstr(text, "\"updating\": \"open_loop\""));
    assert_non_null(strstr(text, "\"recovering\": true"));
    assert_non_null(strstr(text, "\"missing_rain_h\": 1"));
    const struct model_result *lost = find(results, count, "discharge", 0, 6);
    assert_true(isnan(lost->value) && strstr(lost->cause, "missing") != NULL);
    free(results);
    free(text);
    /* What is refused. */
    assert_int_equal(forecast_command("--observed late.csv --rain rain.csv"), 3); /* too short */
    assert_int_equal(forecast_command("--observed nothing.csv"), 1);
    assert_int_equal(forecast_command("--observed h.csv --rain p.json"), 3);
    assert_int_equal(forecast_command("--observed h.csv --leads 73"), 2);
    assert_int_equal(command(model_forecast.run, "forecast",
                             "--gauge Bad --parameters p.json --area-km2 3 --update u.json --out "
                             "f.json --observed h.csv"),
                     2);
    write_text("p.json", "{\"model\": \"gr4j\", \"parameters\": {}}");
    assert_int_equal(forecast_command("--observed h.csv"), 3);
    static const char *const files[] = {"p.json", "h.csv",  "sim.csv",  "pairs.csv",
                                        "u.json", "f.json", "rain.csv", "f.nc",
                                        "f.csv",  "s.json", "late.csv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_int_equal(unlink(files[i]), 0);
    }
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_floors_and_bands),
        cmocka_unit_test(test_levels_and_peak),
        cmocka_unit_test(test_missing_stage_drops_updating),
        cmocka_unit_test(test_an_observation_since_the_hour),
        cmocka_unit_test(test_rain_that_ends_and_no_rain),
        cmocka_unit_test(test_gap_in_the_rain),
        cmocka_unit_test(test_stage),
        cmocka_unit_test(test_residuals_find_the_spread),
        cmocka_unit_test(test_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
