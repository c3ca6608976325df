/* Figures of the alarm system after EEMUA publication 191 (and ISA-18.2): what one operator's desk
 * had to bear in a stretch of time.
 *
 * An alarm is counted when it asks for a person: a raise that ends unacknowledged under no
 * override. Periods of 10 minutes are counted from the beginning of the stretch. A flood begins in
 * a period of more than 10 alarms and lasts until one of fewer than 5. Chattering is an alarm that
 * was raised three times or more within one hour (ours: stations report once a minute or slower, so
 * that the three in one minute of ISA-18.2 cannot happen). Targets are those of EEMUA 191,
 * long-term. Thread rule: per object. */
#ifndef CANHBAO_ALERTS_KPI_H
#define CANHBAO_ALERTS_KPI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/station/station.h"

enum { KPI_TOP = 10, KPI_FLOODS_MAX = 100, KPI_DAYS_MAX = 366, KPI_ALARMS_MAX = 20000 };

struct kpi_event {
    int64_t time_us;
    const char *rule, *place;
    bool raised;       /* the level rose */
    bool asks;         /* unacknowledged now, under no override */
    bool acknowledged; /* a person just did */
};

struct kpi_alarm {
    char rule[STATION_ID_SIZE], place[STATION_ID_SIZE];
    uint64_t count;
};

struct kpi_flood {
    int64_t start_us, end_us;
    uint64_t alarms;
};

struct kpi_report {
    int64_t from_us, to_us;
    uint64_t alarms;
    double mean_per_10min;
    uint32_t most_in_10min;
    double flood_share;   /* of the periods, 0 to 1 */
    uint64_t flood_count; /* all of them; the first KPI_FLOODS_MAX stand in floods */
    struct kpi_flood floods[KPI_FLOODS_MAX];
    uint32_t frequent_count, chattering_count;
    struct kpi_alarm frequent[KPI_TOP];
    double frequent_share;                /* of all alarms, of these ten together, 0 to 1 */
    struct kpi_alarm chattering[KPI_TOP]; /* count: raises in the worst hour */
    uint64_t acknowledged;                /* raises that a person acknowledged */
    uint64_t unacknowledged;              /* at the end */
    double acknowledge_median_s, acknowledge_p90_s, acknowledge_most_s; /* NaN: none */
};

struct kpi;

/* Events before `from_us` only set the scene (what stands unacknowledged). ERR_RANGE: not a stretch
 * of 10 minutes to KPI_DAYS_MAX days; ERR_MEMORY. */
int kpi_create(int64_t from_us, int64_t to_us, struct kpi **ret_kpi);
struct kpi *kpi_destroy(struct kpi *kpi); /* NULL is fine; returns NULL */

/* In the order of time; events at or after `to_us` are left out. ERR_LIMIT: too many different
 * alarms; ERR_MEMORY. */
int kpi_add(struct kpi *kpi, const struct kpi_event *event);

/* Of the stretch until `until_us` at most. */
void kpi_report(const struct kpi *kpi, int64_t until_us, struct kpi_report *ret_report);

/* From the body of canhbao.alert.v1; pointers into it. ERR_SYNTAX: it is none. */
int kpi_event_of(const json_t *alert, struct kpi_event *ret_event);

#endif
