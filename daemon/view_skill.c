#include "daemon/view_skill.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/run_arguments.h"
#include "daemon/run_folder.h"
#include "daemon/verification.h"

static const int64_t US_PER_DAY = INT64_C(86400) * 1000000;

enum { HOURS_MAX_DAYS = 8, DAYS_MAX_DAYS = 92 }; /* coarser pools beyond: fewer rows to add */

/* ---- skill ---- */

/* Events, of which a miss may have had no forecast at all to compare with. */
static double event_count(const double *sums) {
    return sums[SKILL_HITS] + sums[SKILL_MISSES] + sums[SKILL_FALSE_ALARMS];
}

/* Counts that say more than the measures made of them: of events where there are thresholds, of
 * rises (events that are no pairs of forecast and observation) where somebody counts them. */
static void put_counts(json_t *row, const struct skill *skill) {
    static const enum skill_sum counts[] = {SKILL_HITS,         SKILL_MISSES,
                                            SKILL_FALSE_ALARMS, SKILL_PEAKS,
                                            SKILL_LEAD_TIMES,   SKILL_MISSED_WITHOUT_FORECAST};
    const double *sums = skill->sums;
    bool rises =
        sums[SKILL_PEAKS] + sums[SKILL_LEAD_TIMES] + sums[SKILL_MISSED_WITHOUT_FORECAST] > 0 ||
        (sums[SKILL_N] == 0 && event_count(sums) > 0);
    size_t count = rises ? sizeof counts / sizeof counts[0] : 3;
    for (size_t i = 0; i < count && !isnan(skill->key.threshold); i++) {
        char name[40];
        skill_sum_name(counts[i], name, sizeof name);
        (void)json_object_set_new(row, name, json_real(sums[counts[i]]));
    }
}

static int put_row(void *user, const struct skill *skill) {
    json_t *list = user;
    const struct skill_key *key = &skill->key;
    double n = skill->sums[SKILL_N];
    n = n > 0 ? n : fmax(skill->sums[SKILL_CRPS_N], skill->sums[SKILL_BRIER_N]);
    n = n > 0 ? n : event_count(skill->sums);
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:f}", "product", key->product, "system",
                  key->system, "place", key->place, "variable", key->variable, "unit", key->unit,
                  "lead_s", (json_int_t)(key->lead_us / 1000000), "threshold",
                  isnan(key->threshold) ? json_null() : json_real(key->threshold), "n", n);
    const struct skill_measure *measure;
    for (size_t i = 0; row != NULL && (measure = skill_measure(i)) != NULL; i++) {
        double value = measure->value(skill);
        if (isfinite(value)) {
            (void)json_object_set_new(row, measure->name, json_real(value));
        }
    }
    if (row != NULL) {
        put_counts(row, skill);
    }
    return json_array_append_new(list, row) == 0 ? 0 : ERR_MEMORY;
}

static bool is_product(const struct site *site, const char *id) {
    for (size_t i = 0; i < site->product_count; i++) {
        if (strcmp(site->products[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

json_t *view_skill(const struct view_source *source, const char *product, int64_t span_us,
                   struct err *ret_err) {
    bool all = product == NULL || product[0] == '\0';
    if (!all && !is_product(source->site, product)) {
        (void)err_set(ret_err, ERR_NOT_FOUND, "no product '%s'", product);
        return NULL;
    }
    span_us = span_us > 0 ? span_us : US_PER_DAY;
    enum skill_period period = span_us <= HOURS_MAX_DAYS * US_PER_DAY  ? SKILL_HOUR
                               : span_us <= DAYS_MAX_DAYS * US_PER_DAY ? SKILL_DAY
                                                                       : SKILL_SEASON;
    struct utc_us now = clock_now(source->clock).utc;
    struct utc_us from = skill_period_start(period, (struct utc_us){now.us - span_us});
    char from_text[40];
    char to_text[40];
    text_format_time(from.us, from_text, sizeof from_text);
    text_format_time(now.us, to_text, sizeof to_text);
    json_t *list = json_array();
    if (list == NULL || verification_visit(source->store, period, from, (struct utc_us){now.us + 1},
                                           all ? NULL : product, put_row, list) != 0) {
        json_decref(list);
        (void)err_set(ret_err, ERR_IO, "the store cannot give the scores now");
        return NULL;
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "from", from_text, "to", to_text, "pools",
                     skill_period_name(period), "skill", list);
}

/* ---- products ---- */

static json_t *list_files(const char *folder, const char *run) {
    char path[RUN_FOLDER_PATH_SIZE + RUN_FOLDER_NAME_SIZE];
    json_t *list = json_array();
    (void)snprintf(path, sizeof path, "%s/%s", folder, run);
    DIR *directory = opendir(path);
    struct dirent *entry;
    for (int i = 0;
         directory != NULL && i < 2 * RUN_FOLDER_FILES_MAX && (entry = readdir(directory)) != NULL;
         i++) {
        if (entry->d_name[0] != '.') {
            (void)json_array_append_new(list, json_string(entry->d_name));
        }
    }
    if (directory != NULL) {
        (void)closedir(directory); /* only read */
    }
    return list;
}

json_t *view_products(const struct view_source *source) {
    const struct site *site = source->site;
    json_t *all = json_array();
    for (size_t i = 0; i < site->product_count; i++) {
        const struct site_product *product = &site->products[i];
        char folder[RUN_FOLDER_PATH_SIZE];
        struct run_folder_list runs = {.count = 0};
        if (run_product_folder(site->settings.state_dir, product->id, folder, sizeof folder) == 0) {
            (void)run_folder_list(folder, &runs, NULL); /* empty when it cannot be read */
        }
        const char *newest = runs.count > 0 ? runs.names[runs.count - 1] : NULL;
        (void)json_array_append_new(
            all, json_pack("{s:s, s:s, s:b, s:b, s:s?, s:I, s:o}", "id", product->id, "model",
                           product->model, "inbox", product->inbox[0] != '\0', "provisional",
                           product->provisional, "newest", newest, "kept", (json_int_t)runs.count,
                           "files", newest != NULL ? list_files(folder, newest) : json_array()));
        run_folder_list_finish(&runs);
    }
    return all;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text);
    size_t tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

static int read_file(const char *path, char **ret_text, size_t *ret_length) {
    FILE *file = fopen(path, "rbe");
    char *text = file != NULL ? malloc(VIEW_PRODUCT_BYTES_MAX + 1) : NULL;
    size_t length = text != NULL ? fread(text, 1, VIEW_PRODUCT_BYTES_MAX + 1, file) : 0;
    int result = file == NULL                      ? ERR_NOT_FOUND
                 : text == NULL                    ? ERR_MEMORY
                 : ferror(file)                    ? ERR_IO
                 : length > VIEW_PRODUCT_BYTES_MAX ? ERR_LIMIT
                                                   : 0;
    if (file != NULL) {
        (void)fclose(file); /* only read */
    }
    if (result != 0) {
        free(text);
        return result;
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}

int view_product_file(const struct view_source *source, const char *path, char **ret_text,
                      size_t *ret_length) {
    char id[STATION_ID_SIZE];
    char folder[RUN_FOLDER_PATH_SIZE];
    char file[RUN_FOLDER_PATH_SIZE];
    const char *slash = strchr(path, '/');
    size_t length = slash != NULL ? (size_t)(slash - path) : 0;
    if (slash == NULL || length >= sizeof id || strchr(slash + 1, '/') != NULL || slash[1] == '.' ||
        (!ends_with(slash, ".json") && !ends_with(slash, ".geojson"))) {
        return ERR_INVALID;
    }
    memcpy(id, path, length);
    id[length] = '\0';
    if (!is_product(source->site, id) ||
        run_product_folder(source->site->settings.state_dir, id, folder, sizeof folder) != 0 ||
        run_folder_newest(folder, slash + 1, file) != 0) {
        return ERR_NOT_FOUND;
    }
    return read_file(file, ret_text, ret_length);
}

/* ---- metrics ---- */

static int write_metric(void *user, const struct skill *skill) {
    FILE *out = user;
    const struct skill_key *key = &skill->key;
    char threshold[32] = "";
    if (!isnan(key->threshold)) {
        (void)text_format_double(key->threshold, threshold, sizeof threshold);
    }
    const struct skill_measure *measure;
    for (size_t i = 0; (measure = skill_measure(i)) != NULL; i++) {
        char number[32];
        double value = measure->value(skill);
        if (isfinite(value)) {
            (void)text_format_double(value, number, sizeof number);
            (void)fprintf(out,
                          "canhbao_skill{product=\"%s\",system=\"%s\",place=\"%s\",variable=\"%s\","
                          "lead_s=\"%lld\",threshold=\"%s\",measure=\"%s\"} %s\n",
                          key->product, key->system, key->place, key->variable,
                          (long long)(key->lead_us / 1000000), threshold, measure->name, number);
        }
    }
    return 0;
}

void view_skill_metrics(const struct view_source *source, FILE *out) {
    struct utc_us now = clock_now(source->clock).utc;
    struct utc_us from = skill_period_start(SKILL_HOUR, (struct utc_us){now.us - US_PER_DAY});
    (void)fputs("# HELP canhbao_skill Measures of the forecasts of the last day.\n"
                "# TYPE canhbao_skill gauge\n",
                out);
    /* What a damaged store cannot give is missing; it says so by a condition of its own. */
    (void)verification_visit(source->store, SKILL_HOUR, from, (struct utc_us){now.us + 1}, NULL,
                             write_metric, out);
}
