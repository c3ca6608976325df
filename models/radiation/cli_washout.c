/* canhbao-model washout */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/output/output.h"
#include "models/radiation/model_washout.h"
#include "models/radiation/washout.h"
#include "models/radiation/washout_live.h"
#include "models/table/args.h"
#include "models/table/table.h"

static const char about[] =
    "Whether a rise of the ambient dose rate is what rain brings (radon progeny) or has another\n"
    "cause. Reads a series row by row, each judged from itself and the rows before.\n"
    "\n"
    "SERIES.csv  time (UTC, ascending), and one of each group:\n"
    "            dose_rate_nSv_h or dose_nSv_h; dose_rate_uSv_h or dose_uSv_h are converted. A\n"
    "            name without a unit is refused, and so is a background below 15 nSv/h, which\n"
    "            none is outdoors (a column in another unit than it says).\n"
    "            rain_mm_h, mean intensity since the row before; or rain_mm, the amount since the\n"
    "            row before. radar_rain_mm_h is used where the gauge says nothing. No rain "
    "column,\n"
    "            or empty fields for longer than --rain-max-age-min: nothing is taken off.\n"
    "            neighbours_up (optional): stations downwind that rise unexplained; above 0 a "
    "rise\n"
    "            that decays is not held back.\n"
    "OUT.csv     time, dose_rate_nSv_h, baseline_nSv_h, sigma_nSv_h, washout_nSv_h,\n"
    "            washout_sd_nSv_h, residual_nSv_h, significance (the residual in units of its\n"
    "            scatter: largest of means over 1, 3, 6, 15 rows and of a step), alarm (1, 0, or\n"
    "            empty when it cannot be told), state (normal, rain, alarm, unknown), why.\n"
    "            Empty: not known. The first two hours of dry rows (below 0.5 mm/h) make the "
    "baseline;\n"
    "            until then only the ceiling can raise.\n"
    "With --product SERIES.csv is the daemon's export (time, station, point, value, unit, flag) "
    "and\n"
    "the output JSON: for each station dose_alarm, dose_rain (1, 0), dose_excess, dose_washout,\n"
    "dose_baseline (nSv/h), dose_significance, and why.\n";

struct series {
    size_t count;
    int64_t *time;
    double *dose, *rain, *radar, *neighbours;
};

static void series_finish(struct series *s) {
    free(s->time);
    free(s->dose);
    *s = (struct series){0};
}

struct choice {
    const char *name;
    double factor;
};

/* The one column of a group that the table has, in the unit of the first; NaN throughout without
 * one. ERR_INVALID: more than one. */
static int choose(const struct table *table, const struct choice *choices, size_t count, double max,
                  double *ret_values, bool *ret_found, struct err *ret_err) {
    const struct choice *chosen = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!table_has(table, choices[i].name)) {
            continue;
        }
        if (chosen != NULL) {
            return err_set(ret_err, ERR_INVALID, "either %s or %s, not both", chosen->name,
                           choices[i].name);
        }
        chosen = &choices[i];
    }
    *ret_found = chosen != NULL;
    if (chosen == NULL) {
        for (size_t i = 0; i < table_rows(table); i++) {
            ret_values[i] = (double)NAN;
        }
        return 0;
    }
    size_t column = 0;
    int rc = table_find(table, chosen->name, &column, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, column, 0, max / chosen->factor, ret_values, ret_err);
    for (size_t i = 0; rc == 0 && i < table_rows(table); i++) {
        ret_values[i] *= chosen->factor;
    }
    return rc;
}

static int read_rain(const struct table *table, const int64_t *time, double *rain,
                     struct err *ret_err) {
    static const struct choice rates[] = {{"rain_mm_h", 1}}, amounts[] = {{"rain_mm", 1}};
    bool rate = false, amount = false;
    size_t count = table_rows(table);
    if (table_has(table, rates[0].name) && table_has(table, amounts[0].name)) {
        return err_set(ret_err, ERR_INVALID, "either rain_mm_h or rain_mm, not both");
    }
    int rc = choose(table, rates, 1, 2000, rain, &rate, ret_err);
    if (rc != 0 || rate) {
        return rc;
    }
    rc = choose(table, amounts, 1, 1000, rain, &amount, ret_err);
    for (size_t i = 0; rc == 0 && amount && i < count; i++) {
        double hours = i > 0 ? (double)(time[i] - time[i - 1]) / 3.6e9 : (double)NAN;
        rain[i] = i > 0 ? rain[i] / hours : (double)NAN; /* of what time is not known */
    }
    return rc;
}

static int read_series(const char *path, struct series *ret_series, struct err *ret_err) {
    static const struct choice doses[] = {
        {"dose_rate_nSv_h", 1}, {"dose_nSv_h", 1}, {"dose_rate_uSv_h", 1e3}, {"dose_uSv_h", 1e3}};
    static const struct choice radars[] = {{"radar_rain_mm_h", 1}},
                               neighbours[] = {{"neighbours_up", 1}};
    struct table *table = NULL;
    size_t column = 0;
    bool found = false, unused = false;
    int rc = table_read(path, &table, ret_err);
    if (rc != 0) {
        return rc;
    }
    struct series s = {.count = table_rows(table)};
    s.time = calloc(s.count + 1, sizeof *s.time);
    s.dose = calloc(4 * s.count + 1, sizeof *s.dose);
    s.rain = s.dose + s.count;
    s.radar = s.rain + s.count;
    s.neighbours = s.radar + s.count;
    rc = s.time == NULL || s.dose == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for the series")
                                          : 0;
    rc = rc != 0 ? rc : table_find(table, "time", &column, ret_err);
    rc = rc != 0 ? rc : table_times(table, column, s.time, ret_err);
    rc = rc != 0
             ? rc
             : choose(table, doses, sizeof doses / sizeof *doses, 1e12, s.dose, &found, ret_err);
    if (rc == 0 && !found) {
        rc = table_find(table, doses[0].name, &column, ret_err); /* tells what the file has */
    }
    rc = rc != 0 ? rc : read_rain(table, s.time, s.rain, ret_err);
    rc = rc != 0 ? rc : choose(table, radars, 1, 2000, s.radar, &unused, ret_err);
    rc = rc != 0 ? rc : choose(table, neighbours, 1, 1e6, s.neighbours, &unused, ret_err);
    if (rc == 0 && s.count < 2) {
        rc = err_set(ret_err, ERR_INVALID, "%s: a series needs two rows or more", path);
    }
    table_destroy(table);
    if (rc != 0) {
        series_finish(&s);
        return rc;
    }
    *ret_series = s;
    return 0;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The usual distance of two rows. */
static int usual_step(const struct series *s, double *ret_s) {
    double *steps = calloc(s->count, sizeof *steps);
    if (steps == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 1; i < s->count; i++) {
        steps[i - 1] = (double)(s->time[i] - s->time[i - 1]) / 1e6;
    }
    qsort(steps, s->count - 1, sizeof *steps, compare);
    *ret_s = steps[(s->count - 1) / 2];
    free(steps);
    return 0;
}

static void put_row(struct table_out *out, int64_t utc_us, double dose,
                    const struct washout_output *o) {
    char time[64];
    text_format_time(utc_us, time, sizeof time);
    table_out_text(out, time);
    table_out_number(out, dose);
    table_out_number(out, o->baseline_nsv_h);
    table_out_number(out, o->sigma_nsv_h);
    table_out_number(out, o->washout_nsv_h);
    table_out_number(out, o->washout_sd_nsv_h);
    table_out_number(out, o->residual_nsv_h);
    table_out_number(out, isinf(o->significance) ? (double)NAN : o->significance);
    table_out_text(out, o->state == WASHOUT_UNKNOWN ? "" : o->state == WASHOUT_ALARM ? "1" : "0");
    table_out_text(out, washout_state_name(o->state));
    table_out_text(out, washout_why_text(o->why));
    table_out_end_row(out);
}

static int judge_series(const struct series *s, const struct washout_options *options,
                        struct table_out *out, struct err *ret_err) {
    static const char *const names[] = {"time",
                                        "dose_rate_nSv_h",
                                        "baseline_nSv_h",
                                        "sigma_nSv_h",
                                        "washout_nSv_h",
                                        "washout_sd_nSv_h",
                                        "residual_nSv_h",
                                        "significance",
                                        "alarm",
                                        "state",
                                        "why"};
    struct washout *washout = NULL;
    int rc = washout_create(options, &washout, ret_err);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        table_out_text(out, names[i]);
    }
    table_out_end_row(out);
    for (size_t i = 0; rc == 0 && i < s->count; i++) {
        struct washout_output o;
        struct washout_input in = {s->time[i], s->dose[i],
                                   isnan(s->rain[i]) ? s->radar[i] : s->rain[i], s->neighbours[i]};
        struct err why = {0};
        rc = washout_step(washout, &in, &o, &why);
        if (rc != 0) {
            rc = err_set(ret_err, rc, "row %zu: %s", i + 1, why.text);
        } else {
            put_row(out, in.utc_us, in.dose_nsv_h, &o);
        }
    }
    washout_destroy(washout);
    return rc;
}

static int run(const char *series_path, const char *out_path, struct washout_options *options,
               struct err *ret_err) {
    struct series series = {0};
    struct table_out out;
    int rc = read_series(series_path, &series, ret_err);
    rc = rc != 0 ? rc : usual_step(&series, &options->step_s);
    rc = rc != 0 ? rc : table_out_open(&out, out_path, ret_err);
    if (rc == 0) {
        rc = judge_series(&series, options, &out, ret_err);
        int closed = table_out_close(&out, rc == 0, rc == 0 ? ret_err : NULL);
        rc = rc != 0 ? rc : closed;
    }
    series_finish(&series);
    return rc;
}

/* For the daemon: every station of an export, results as JSON. */
static int run_live(const struct washout_live *live, const struct washout_options *options,
                    const char *out, struct err *ret_err) {
    json_t *object = NULL;
    if (live->reference == NULL) {
        return err_set(ret_err, ERR_INVALID, "--product needs --reference");
    }
    int rc = washout_live_run(live, options, &object, ret_err);
    rc = rc != 0 ? rc : output_write_json(out, object, ret_err);
    json_decref(object);
    return rc;
}

static int run_washout(int argc, char **argv) {
    struct washout_options o = washout_options_default;
    struct washout_live live = {.dose_point = "dose_rate", .rain_point = "rate"};
    const char *series = NULL, *out = NULL;
    double age_min = o.rain_max_age_s / 60;
    const struct args_option options[] = {
        {"series", ARGS_TEXT, &series, true, 0, 0, "FILE.csv", "dose rate and rain"},
        {"out", ARGS_TEXT, &out, true, 0, 0, "FILE.csv", "what of it is rain, and alarms"},
        {"ceiling", ARGS_NUMBER, &o.ceiling_nsv_h, false, 1, 1e9, "NSV_H",
         "alarm at or above, whatever the rain (400)"},
        {"significance", ARGS_NUMBER, &o.significance, false, 1, 100, "SIGMAS",
         "alarm above so many times the scatter (5)"},
        {"rain-max-age-min", ARGS_NUMBER, &age_min, false, 0, 1440, "MIN",
         "rain data older than that are not known (15)"},
        {"product", ARGS_TEXT, &live.product, false, 0, 0, "ID",
         "for the daemon: its series in, JSON out"},
        {"reference", ARGS_TEXT, &live.reference, false, 0, 0, "TIME", "of such a run, RFC 3339"},
        {"dose-point", ARGS_TEXT, &live.dose_point, false, 0, 0, "POINT", "(dose_rate)"},
        {"rain-point", ARGS_TEXT, &live.rain_point, false, 0, 0, "POINT",
         "of the same station, mm/h (rate)"},
        {"neighbours", ARGS_TEXT, &live.neighbours, false, 0, 0, "FILE.json",
         "of such a run: which stations lie downwind"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    o.rain_max_age_s = age_min * 60;
    live.series = series;
    if (code == MODEL_DONE &&
        (live.product != NULL ? run_live(&live, &o, out, &err) : run(series, out, &o, &err)) != 0) {
        code = model_exit_of(argv[0], &err);
    }
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_washout = {
    "washout", "whether a rise of the dose rate is rain (radon progeny) or not", run_washout};
