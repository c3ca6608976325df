#include "daemon/control/ctl_skill.h"

#include <stdbool.h>
#include <string.h>

/* Columns in the order in which they are read; those that no row has are left out. */
static const struct column {
    const char *key, *title;
} columns[] = {
    {"csi", "CSI"},
    {"pod", "POD"},
    {"far", "FAR"},
    {"fss", "FSS"},
    {"mae", "MAE"},
    {"mae_ratio", "to pers."},
    {"bias", "bias"},
    {"rmse", "RMSE"},
    {"crps", "CRPS"},
    {"brier", "Brier"},
    {"reliability", "reliab."},
    {"nse", "NSE"},
    {"kge", "KGE"},
    {"persistence_index", "PI"},
    {"peak_error", "peak"},
    {"peak_timing_s", "peak s"},
    {"lead_time_s", "lead s"},
    {"hits", "hits"},
    {"misses", "misses"},
    {"false_alarms", "false"},
    {"missed_without_forecast", "no fc."},
};

enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

static const char *text_of(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text != NULL && text[0] != '\0' ? text : "-";
}

static void print_number(const json_t *row, const char *key, FILE *out) {
    const json_t *value = json_object_get(row, key);
    if (json_is_number(value)) {
        fprintf(out, " %8.3g", json_number_value(value));
    } else {
        fprintf(out, " %8s", "-");
    }
}

static void find_columns(const json_t *list, bool ret_used[COLUMN_COUNT]) {
    size_t index;
    const json_t *row;
    memset(ret_used, 0, COLUMN_COUNT * sizeof *ret_used);
    json_array_foreach(list, index, row) {
        for (size_t i = 0; i < COLUMN_COUNT; i++) {
            ret_used[i] = ret_used[i] || json_object_get(row, columns[i].key) != NULL;
        }
    }
}

void ctl_print_skill(const json_t *data, FILE *out) {
    const json_t *list = json_object_get(data, "skill");
    bool used[COLUMN_COUNT];
    size_t index;
    const json_t *row;
    find_columns(list, used);
    fprintf(out, "forecasts against what came, from %s to %s, pooled by %s\n",
            text_of(data, "from"), text_of(data, "to"), text_of(data, "pools"));
    if (json_array_size(list) == 0) {
        fputs("nothing was scored\n", out);
        return;
    }
    fprintf(out, "%-12s %-12s %-12s %-14s %6s %10s %8s", "product", "system", "place", "variable",
            "lead", "threshold", "n");
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (used[i]) {
            fprintf(out, " %8s", columns[i].title);
        }
    }
    fputc('\n', out);
    json_array_foreach(list, index, row) {
        fprintf(out, "%-12s %-12s %-12s %-14s %4.0f m", text_of(row, "product"),
                text_of(row, "system"), text_of(row, "place"), text_of(row, "variable"),
                json_number_value(json_object_get(row, "lead_s")) / 60);
        print_number(row, "threshold", out);
        fprintf(out, " %10.0f", json_number_value(json_object_get(row, "n")));
        for (size_t i = 0; i < COLUMN_COUNT; i++) {
            if (used[i]) {
                print_number(row, columns[i].key, out);
            }
        }
        fputc('\n', out);
    }
}
