/* Conditions: what is wrong with the warning system itself (invariant 8).
 *
 * A condition has a class ("station-unreachable"), a subject ("thanh-hoa") and a text. Raising one
 * that stands only refreshes its text and count; it clears when its cause does. Subsystems report
 * through this table; the heartbeat, the metrics, the console and canhbaoctl read it. Bounded: when
 * full, new conditions are counted and one condition "conditions-overflow" stands. Thread rule:
 * loop thread only. */
#ifndef CANHBAO_DAEMON_HEALTH_H
#define CANHBAO_DAEMON_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/station/station.h"

enum { CONDITION_TEXT_SIZE = 256 };

enum condition_class {
    CONDITION_STATION_UNREACHABLE, /* subject: station; no good reply for longer than it may be
                                      silent */
    CONDITION_STATION_IDENTITY,    /* subject: station; another device than expected answers */
    CONDITION_STATION_CLOCK,       /* subject: station; its clock is wrong or cannot be read */
    CONDITION_STATION_MEMORY,      /* subject: station; its logger's memory cannot be read */
    CONDITION_POINT_STALE,         /* subject: station/point */
    CONDITION_GRID_REJECTED,       /* subject: product; the file is in quarantine */
    CONDITION_GRID_STALE,          /* subject: product; no new grid for too long */
    CONDITION_MODEL_STALE,         /* subject: product; no good run for too long */
    CONDITION_SKILL_LOW,           /* subject: product; worse than persistence at some leads */
    CONDITION_WORKER_FAILED,       /* subject: product; died, was killed, or passed its deadline */
    CONDITION_JOBS_BEHIND,         /* subject: product; newer input made older input skipped */
    CONDITION_KAFKA_UNREACHABLE,   /* subject: kafka */
    CONDITION_KAFKA_REBUILT,       /* subject: kafka; the producer ended in a fatal error */
    CONDITION_KAFKA_TOPIC,         /* subject: topic; missing, or its records are not kept so that
                                      consumers find what they rely on */
    CONDITION_OUTBOX_BEHIND,       /* subject: outbox; alerts wait for delivery for too long */
    CONDITION_OBSERVATIONS_SHED,   /* subject: outbox */
    CONDITION_STORE_FAILED,        /* subject: store; a commit failed; decisions wait in memory */
    CONDITION_STORE_FULL,          /* subject: store; ballast freed, history shed */
    CONDITION_CLOCK_STEPPED,       /* subject: clock; clears after an hour */
    CONDITION_LOOP_LATE,           /* subject: loop; the loop was blocked for too long */
    CONDITION_RELOAD_REFUSED,      /* subject: configuration */
    CONDITION_OVERFLOW,            /* subject: conditions */
    CONDITION_CLASS_COUNT
};

struct condition {
    enum condition_class class;
    char subject[2 * STATION_ID_SIZE];
    char text[CONDITION_TEXT_SIZE];
    struct moment since;
    uint64_t count; /* how often it was reported since it stands */
};

struct health;

int health_create(size_t conditions_max, struct health **ret_health);
struct health *health_destroy(struct health *health);

/* Returns true when this raised a condition that did not stand before. */
__attribute__((format(printf, 5, 6))) bool health_raise(struct health *health,
                                                        enum condition_class class,
                                                        const char *subject, struct moment now,
                                                        const char *format, ...);
/* Returns true when a standing condition was cleared. */
bool health_clear(struct health *health, enum condition_class class, const char *subject);

/* The standing conditions in order of class and subject; NULL past the end. */
const struct condition *health_get(const struct health *health, size_t index);
size_t health_count(const struct health *health);
/* Conditions that found no room since the start. */
uint64_t health_lost(const struct health *health);

const char *condition_class_name(enum condition_class class);

#endif
