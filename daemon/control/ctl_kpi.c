#include "daemon/control/ctl_kpi.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/kpi.h"
#include "daemon/base/text.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_tools.h"
#include "daemon/control/protocol.h"

#define DAY_US (INT64_C(24) * 3600 * 1000000)

struct asking {
    ctl_ask_fn *ask;
    void *ctx;
};

static int64_t time_of(const json_t *object, const char *key) {
    int64_t us;
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text_parse_time(text, &us) == 0 ? us : -1;
}

static int ask_events(const struct asking *asking, int64_t after, int64_t limit,
                      json_t **ret_events) {
    json_t *request = json_pack("{s:s,s:I,s:I}", "do", "events", "after", (json_int_t)after,
                                "limit", (json_int_t)limit);
    return asking->ask(asking->ctx, request, ret_events);
}

/* The number before the first event at or after `from_us`, by halving. */
static int find_start(const struct asking *asking, int64_t last, int64_t from_us,
                      int64_t *ret_after) {
    int64_t low = 0;
    int64_t high = last;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        json_t *events = NULL;
        int result = ask_events(asking, middle, 1, &events);
        if (result != 0) {
            return result;
        }
        const json_t *first = json_array_get(events, 0);
        bool before = first != NULL && time_of(json_object_get(first, "alert"), "time") < from_us;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
        json_decref(events);
    }
    *ret_after = low;
    return 0;
}

static int add_events(const struct asking *asking, int64_t after, struct kpi *kpi) {
    for (;;) {
        json_t *events = NULL;
        size_t index;
        json_t *event;
        int result = ask_events(asking, after, CONTROL_EVENTS_MAX, &events);
        if (result != 0) {
            return result;
        }
        size_t count = json_array_size(events);
        json_array_foreach(events, index, event) {
            struct kpi_event one;
            after = json_integer_value(json_object_get(event, "number"));
            if (kpi_event_of(json_object_get(event, "alert"), &one) != 0 ||
                kpi_add(kpi, &one) != 0) {
                ctl_error("event %lld cannot be counted", (long long)after);
                result = EXIT_FAILED;
            }
        }
        json_decref(events);
        if (result != 0 || count < CONTROL_EVENTS_MAX) {
            return result;
        }
    }
}

/* Alarms whose level has stood for more than a day, oldest first. */
static json_t *stale_of(const json_t *alarms, int64_t now_us) {
    json_t *list = json_array();
    size_t index;
    json_t *alarm;
    json_array_foreach(alarms, index, alarm) {
        const json_t *level = json_object_get(alarm, "level");
        int64_t since_us = time_of(alarm, "level_since");
        if (json_integer_value(json_object_get(level, "value")) > 0 && since_us >= 0 &&
            now_us - since_us > DAY_US) {
            json_t *item = json_pack("{s:O,s:O,s:O,s:f}", "rule",
                                     json_object_get(json_object_get(alarm, "rule"), "id"), "place",
                                     json_object_get(json_object_get(alarm, "place"), "id"),
                                     "level", level, "hours", (double)(now_us - since_us) / 3.6e9);
            size_t at = 0;
            double hours = json_real_value(json_object_get(item, "hours"));
            while (at < json_array_size(list) &&
                   json_real_value(json_object_get(json_array_get(list, at), "hours")) >= hours) {
                at++;
            }
            json_array_insert_new(list, at, item);
        }
    }
    return list;
}

static json_t *number_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *alarms_value(const struct kpi_alarm *alarms, uint32_t count) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_array_append_new(list,
                              json_pack("{s:s,s:s,s:I}", "rule", alarms[i].rule, "place",
                                        alarms[i].place, "count", (json_int_t)alarms[i].count));
    }
    return list;
}

static json_t *floods_value(const struct kpi_report *report) {
    json_t *list = json_array();
    for (uint64_t i = 0; i < report->flood_count && i < KPI_FLOODS_MAX; i++) {
        char start[32], end[32];
        text_format_time(report->floods[i].start_us, start, sizeof start);
        text_format_time(report->floods[i].end_us, end, sizeof end);
        json_array_append_new(list, json_pack("{s:s,s:s,s:I}", "start", start, "end", end, "alarms",
                                              (json_int_t)report->floods[i].alarms));
    }
    return list;
}

/* One figure with its target; `met` null: nothing to judge. */
static void put_figure(json_t *figures, const char *name, double value, const char *target,
                       double most) {
    json_array_append_new(
        figures,
        json_pack("{s:s,s:o,s:s,s:o}", "figure", name, "value", number_or_null(value), "target",
                  target, "met",
                  isfinite(value) && isfinite(most) ? json_boolean(value <= most) : json_null()));
}

static json_t *report_value(const struct kpi_report *report, json_t *stale) {
    char from[32], to[32];
    json_t *figures = json_array();
    text_format_time(report->from_us, from, sizeof from);
    text_format_time(report->to_us, to, sizeof to);
    put_figure(figures, "alarms per 10 min, mean", report->mean_per_10min,
               "below 1 (very likely acceptable); at most 2 manageable", 1);
    put_figure(figures, "alarms in the worst 10 min", report->most_in_10min, "at most 10", 10);
    put_figure(figures, "share of time in flood, %", 100 * report->flood_share, "below 1", 1);
    put_figure(figures, "flood periods", (double)report->flood_count, "0", 0);
    put_figure(figures, "chattering alarms", report->chattering_count, "0", 0);
    put_figure(figures, "stale alarms (more than 24 h)", (double)json_array_size(stale), "below 5",
               4);
    put_figure(figures, "share of the ten most frequent, %", 100 * report->frequent_share,
               "below 5, with action plans", 5);
    put_figure(figures, "time to acknowledge, median, s", report->acknowledge_median_s,
               "none in EEMUA 191", (double)NAN);
    put_figure(figures, "time to acknowledge, 90 %, s", report->acknowledge_p90_s,
               "none in EEMUA 191", (double)NAN);
    put_figure(figures, "time to acknowledge, longest, s", report->acknowledge_most_s,
               "none in EEMUA 191", (double)NAN);
    return json_pack("{s:s,s:s,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "from", from, "to", to, "alarms",
                     (json_int_t)report->alarms, "acknowledged", (json_int_t)report->acknowledged,
                     "unacknowledged", (json_int_t)report->unacknowledged, "figures", figures,
                     "floods", floods_value(report), "chattering",
                     alarms_value(report->chattering, report->chattering_count), "frequent",
                     alarms_value(report->frequent, report->frequent_count), "stale", stale);
}

static void print_list(const json_t *list, const char *title, const char *key) {
    size_t index;
    json_t *item;
    printf("%s%s\n", title, json_array_size(list) == 0 ? ": none" : "");
    json_array_foreach(list, index, item) {
        if (index < KPI_TOP) {
            const json_t *number = json_object_get(item, key);
            printf("  %8.1f  %s at %s\n", json_number_value(number),
                   json_string_value(json_object_get(item, "rule")),
                   json_string_value(json_object_get(item, "place")));
        }
    }
}

static void print_report(const json_t *report) {
    size_t index;
    json_t *figure;
    printf("from %s to %s: %lld alarms, %lld acknowledged, %lld wait\n",
           json_string_value(json_object_get(report, "from")),
           json_string_value(json_object_get(report, "to")),
           (long long)json_integer_value(json_object_get(report, "alarms")),
           (long long)json_integer_value(json_object_get(report, "acknowledged")),
           (long long)json_integer_value(json_object_get(report, "unacknowledged")));
    printf("%-36s %10s  %-8s %s\n", "figure", "value", "", "target (EEMUA 191)");
    json_array_foreach(json_object_get(report, "figures"), index, figure) {
        const json_t *value = json_object_get(figure, "value");
        const json_t *met = json_object_get(figure, "met");
        char number[40] = "none";
        if (json_is_number(value)) {
            (void)snprintf(number, sizeof number, "%.4g", json_number_value(value));
        }
        printf("%-36s %10s  %-8s %s\n", json_string_value(json_object_get(figure, "figure")),
               number,
               json_is_true(met)    ? "met"
               : json_is_false(met) ? "NOT MET"
                                    : "",
               json_string_value(json_object_get(figure, "target")));
    }
    print_list(json_object_get(report, "chattering"), "chattering (raises in the worst hour)",
               "count");
    print_list(json_object_get(report, "stale"), "stale (hours)", "hours");
    print_list(json_object_get(report, "frequent"), "most frequent (alarms)", "count");
    json_array_foreach(json_object_get(report, "floods"), index, figure) {
        printf("flood from %s to %s: %lld alarms\n",
               json_string_value(json_object_get(figure, "start")),
               json_string_value(json_object_get(figure, "end")),
               (long long)json_integer_value(json_object_get(figure, "alarms")));
    }
}

/* What of the daemon's events belongs to the stretch, counted. */
static int count_events(const struct asking *asking, int64_t from_us, struct kpi *kpi) {
    json_t *newest = NULL;
    int64_t after = 0;
    int result = ask_events(asking, -1, 1, &newest);
    int64_t last = json_integer_value(json_object_get(json_array_get(newest, 0), "number"));
    json_decref(newest);
    if (result == 0) { /* a day before, so that what waits at the beginning is known */
        result = find_start(asking, last, from_us - DAY_US, &after);
    }
    return result == 0 ? add_events(asking, after, kpi) : result;
}

int ctl_kpi(ctl_ask_fn *ask, void *ctx, int64_t for_us, bool as_json) {
    const struct asking asking = {.ask = ask, .ctx = ctx};
    json_t *status = NULL;
    json_t *alarms = NULL;
    struct kpi *kpi = NULL;
    struct kpi_report *report = calloc(1, sizeof *report);
    int result =
        report == NULL ? EXIT_FAILED : ask(ctx, json_pack("{s:s}", "do", "status"), &status);
    int64_t now_us = time_of(status, "time");
    if (result == 0) {
        result = ask(ctx, json_pack("{s:s}", "do", "alarms"), &alarms);
    }
    if (result == 0 && (now_us < 0 || kpi_create(now_us - for_us, now_us, &kpi) != 0)) {
        ctl_error("--for: expected 10 min to %d d", KPI_DAYS_MAX);
        result = EXIT_USAGE;
    }
    result = result == 0 ? count_events(&asking, now_us - for_us, kpi) : result;
    if (result == 0) {
        kpi_report(kpi, now_us, report);
        json_t *value = report_value(report, stale_of(alarms, now_us));
        if (as_json) {
            ctl_json_print(value);
        } else {
            print_report(value);
        }
        json_decref(value);
    }
    json_decref(status);
    json_decref(alarms);
    (void)kpi_destroy(kpi);
    free(report);
    return result;
}
