#include "alerts/kpi.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "daemon/base/text.h"

#define PERIOD_US (INT64_C(600) * 1000000)
#define HOUR_US   (INT64_C(3600) * 1000000)
#define DAY_US    (24 * HOUR_US)
enum { FLOOD_BEGINS = 10, FLOOD_ENDS = 5, CHATTER = 3, RECENT_MAX = 64 };

struct entry {
    char key[2 * STATION_ID_SIZE];
    struct kpi_alarm alarm;     /* count: in the stretch */
    int64_t recent[RECENT_MAX]; /* raises within the last hour, oldest first */
    uint32_t recent_count, worst_hour;
    int64_t waits_since_us; /* of the raise that waits for a person; -1: none */
    UT_hash_handle hh;
};

struct kpi {
    int64_t from_us, to_us;
    uint32_t *periods;
    size_t period_count;
    struct entry *entries;
    double *waits_s; /* from raise to acknowledgement */
    size_t wait_count, wait_room;
    uint64_t alarms;
};

int kpi_create(int64_t from_us, int64_t to_us, struct kpi **ret_kpi) {
    if (to_us - from_us < PERIOD_US || to_us - from_us > KPI_DAYS_MAX * DAY_US) {
        return ERR_RANGE;
    }
    struct kpi *kpi = calloc(1, sizeof *kpi);
    if (kpi == NULL) {
        return ERR_MEMORY;
    }
    kpi->from_us = from_us;
    kpi->to_us = to_us;
    kpi->period_count = (size_t)((to_us - from_us + PERIOD_US - 1) / PERIOD_US);
    kpi->periods = calloc(kpi->period_count, sizeof *kpi->periods);
    if (kpi->periods == NULL) {
        free(kpi);
        return ERR_MEMORY;
    }
    *ret_kpi = kpi;
    return 0;
}

struct kpi *kpi_destroy(struct kpi *kpi) {
    if (kpi == NULL) {
        return NULL;
    }
    struct entry *entry, *next;
    HASH_ITER(hh, kpi->entries, entry, next) {
        HASH_DEL(kpi->entries, entry);
        free(entry);
    }
    free(kpi->periods);
    free(kpi->waits_s);
    free(kpi);
    return NULL;
}

static struct entry *entry_of(struct kpi *kpi, const struct kpi_event *event) {
    char key[2 * STATION_ID_SIZE];
    struct entry *entry = NULL;
    (void)snprintf(key, sizeof key, "%.63s/%.63s", event->rule, event->place);
    HASH_FIND_STR(kpi->entries, key, entry);
    if (entry == NULL && HASH_COUNT(kpi->entries) < KPI_ALARMS_MAX) {
        entry = calloc(1, sizeof *entry);
        if (entry != NULL) {
            memcpy(entry->key, key, sizeof key);
            (void)text_copy(entry->alarm.rule, sizeof entry->alarm.rule, event->rule);
            (void)text_copy(entry->alarm.place, sizeof entry->alarm.place, event->place);
            entry->waits_since_us = -1;
            HASH_ADD_STR(kpi->entries, key, entry);
        }
    }
    return entry;
}

/* The raises of the last hour; more than RECENT_MAX in an hour count as so many. */
static void note_recent(struct entry *entry, int64_t time_us) {
    uint32_t gone = 0;
    while (gone < entry->recent_count && entry->recent[gone] <= time_us - HOUR_US) {
        gone++;
    }
    gone += gone == 0 && entry->recent_count == RECENT_MAX;
    entry->recent_count -= gone;
    memmove(entry->recent, entry->recent + gone, entry->recent_count * sizeof entry->recent[0]);
    entry->recent[entry->recent_count++] = time_us;
    if (entry->recent_count > entry->worst_hour) {
        entry->worst_hour = entry->recent_count;
    }
}

static int note_wait(struct kpi *kpi, double wait_s) {
    if (kpi->wait_count == kpi->wait_room) {
        size_t room = kpi->wait_room == 0 ? 256 : 2 * kpi->wait_room;
        double *grown = realloc(kpi->waits_s, room * sizeof *grown);
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        kpi->waits_s = grown;
        kpi->wait_room = room;
    }
    kpi->waits_s[kpi->wait_count++] = wait_s;
    return 0;
}

int kpi_add(struct kpi *kpi, const struct kpi_event *event) {
    if (event->time_us >= kpi->to_us) {
        return 0;
    }
    struct entry *entry = entry_of(kpi, event);
    if (entry == NULL) {
        return HASH_COUNT(kpi->entries) >= KPI_ALARMS_MAX ? ERR_LIMIT : ERR_MEMORY;
    }
    bool within = event->time_us >= kpi->from_us;
    int result = 0;
    if (event->acknowledged && entry->waits_since_us >= 0) {
        if (within) {
            result = note_wait(kpi, (double)(event->time_us - entry->waits_since_us) / 1e6);
        }
        entry->waits_since_us = -1;
    }
    if (event->raised && event->asks) {
        if (within) {
            kpi->alarms++;
            kpi->periods[(event->time_us - kpi->from_us) / PERIOD_US]++;
            entry->alarm.count++;
            note_recent(entry, event->time_us);
        }
        if (entry->waits_since_us < 0) {
            entry->waits_since_us = event->time_us;
        }
    }
    return result;
}

/* ---- the report ---- */

static void report_periods(const struct kpi *kpi, size_t period_count, struct kpi_report *report) {
    uint64_t in_flood = 0;
    bool flood = false;
    struct kpi_flood *now = &report->floods[0];
    for (size_t i = 0; i < period_count; i++) {
        uint32_t count = kpi->periods[i];
        report->most_in_10min = count > report->most_in_10min ? count : report->most_in_10min;
        if (!flood && count > FLOOD_BEGINS) {
            flood = true;
            now = &report->floods[report->flood_count < KPI_FLOODS_MAX ? report->flood_count
                                                                       : KPI_FLOODS_MAX - 1];
            report->flood_count++;
            *now = (struct kpi_flood){.start_us = kpi->from_us + (int64_t)i * PERIOD_US};
        } else if (flood && count < FLOOD_ENDS) {
            flood = false;
        }
        if (flood) {
            in_flood++;
            now->alarms += count;
            now->end_us = kpi->from_us + ((int64_t)i + 1) * PERIOD_US;
        }
    }
    report->mean_per_10min = (double)kpi->alarms / (double)period_count;
    report->flood_share = (double)in_flood / (double)period_count;
}

/* Keeps the ten largest, largest first; of equal ones the first by name. */
static void keep_top(struct kpi_alarm top[KPI_TOP], uint32_t *count,
                     const struct kpi_alarm *alarm) {
    uint32_t at = 0;
    while (at < *count &&
           (top[at].count > alarm->count ||
            (top[at].count == alarm->count && (strcmp(top[at].rule, alarm->rule) < 0 ||
                                               (strcmp(top[at].rule, alarm->rule) == 0 &&
                                                strcmp(top[at].place, alarm->place) < 0))))) {
        at++;
    }
    if (at == KPI_TOP) {
        return;
    }
    uint32_t kept = *count < KPI_TOP ? *count : KPI_TOP - 1;
    memmove(&top[at + 1], &top[at], (kept - at) * sizeof top[0]);
    top[at] = *alarm;
    *count = kept + 1;
}

static void report_alarms(const struct kpi *kpi, struct kpi_report *report) {
    const struct entry *entry;
    uint64_t frequent = 0;
    for (entry = kpi->entries; entry != NULL; entry = entry->hh.next) {
        struct kpi_alarm chattering = entry->alarm;
        chattering.count = entry->worst_hour;
        if (entry->alarm.count > 0) {
            keep_top(report->frequent, &report->frequent_count, &entry->alarm);
        }
        if (entry->worst_hour >= CHATTER) {
            keep_top(report->chattering, &report->chattering_count, &chattering);
        }
        report->unacknowledged += entry->waits_since_us >= 0;
    }
    for (uint32_t i = 0; i < report->frequent_count; i++) {
        frequent += report->frequent[i].count;
    }
    report->frequent_share = kpi->alarms > 0 ? (double)frequent / (double)kpi->alarms : 0;
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* Nearest rank: the smallest wait that so large a share of all do not exceed. */
static double rank(const double *waits_s, size_t count, double share) {
    if (count == 0) {
        return (double)NAN;
    }
    size_t index = (size_t)ceil(share * (double)count);
    return waits_s[index > 0 ? index - 1 : 0];
}

void kpi_report(const struct kpi *kpi, int64_t until_us, struct kpi_report *ret_report) {
    int64_t to_us = until_us < kpi->to_us ? until_us : kpi->to_us;
    to_us = to_us < kpi->from_us + PERIOD_US ? kpi->from_us + PERIOD_US : to_us;
    memset(ret_report, 0, sizeof *ret_report);
    ret_report->from_us = kpi->from_us;
    ret_report->to_us = to_us;
    ret_report->alarms = kpi->alarms;
    ret_report->acknowledged = kpi->wait_count;
    report_periods(kpi, (size_t)((to_us - kpi->from_us + PERIOD_US - 1) / PERIOD_US), ret_report);
    report_alarms(kpi, ret_report);
    if (kpi->wait_count > 0) {
        qsort(kpi->waits_s, kpi->wait_count, sizeof kpi->waits_s[0], ascending);
    }
    ret_report->acknowledge_median_s = rank(kpi->waits_s, kpi->wait_count, 0.5);
    ret_report->acknowledge_p90_s = rank(kpi->waits_s, kpi->wait_count, 0.9);
    ret_report->acknowledge_most_s = rank(kpi->waits_s, kpi->wait_count, 1);
}

static const char *text_at(const json_t *object, const char *part, const char *key) {
    return json_string_value(json_object_get(json_object_get(object, part), key));
}

int kpi_event_of(const json_t *alert, struct kpi_event *ret_event) {
    struct kpi_event event = {.rule = text_at(alert, "rule", "id"),
                              .place = text_at(alert, "place", "id")};
    const char *kind = json_string_value(json_object_get(alert, "event"));
    const char *time = json_string_value(json_object_get(alert, "time"));
    const char *annunciation = text_at(alert, "annunciation", "state");
    const char *override = text_at(alert, "override", "state");
    if (event.rule == NULL || event.place == NULL || kind == NULL || time == NULL ||
        annunciation == NULL || override == NULL || text_parse_time(time, &event.time_us) != 0) {
        return ERR_SYNTAX;
    }
    event.raised = strcmp(kind, "raised") == 0;
    event.acknowledged = strcmp(kind, "acknowledged") == 0;
    event.asks = strcmp(annunciation, "unacknowledged") == 0 && strcmp(override, "none") == 0;
    *ret_event = event;
    return 0;
}
