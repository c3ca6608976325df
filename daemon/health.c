#include "daemon/health.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"
#include "daemon/base/text.h"

struct health {
    size_t count;
    size_t capacity; /* one more is kept for the overflow condition itself */
    uint64_t lost;
    struct condition *conditions; /* sorted */
};

static const char *const names[CONDITION_CLASS_COUNT] = {
    [CONDITION_STATION_UNREACHABLE] = "station-unreachable",
    [CONDITION_STATION_IDENTITY] = "station-identity",
    [CONDITION_STATION_CLOCK] = "station-clock",
    [CONDITION_STATION_MEMORY] = "station-memory",
    [CONDITION_POINT_STALE] = "point-stale",
    [CONDITION_GRID_REJECTED] = "grid-rejected",
    [CONDITION_GRID_STALE] = "grid-stale",
    [CONDITION_WORKER_FAILED] = "worker-failed",
    [CONDITION_MODEL_STALE] = "model-stale",
    [CONDITION_SKILL_LOW] = "skill-low",
    [CONDITION_JOBS_BEHIND] = "jobs-behind",
    [CONDITION_KAFKA_UNREACHABLE] = "kafka-unreachable",
    [CONDITION_KAFKA_REBUILT] = "kafka-rebuilt",
    [CONDITION_KAFKA_TOPIC] = "kafka-topic",
    [CONDITION_OUTBOX_BEHIND] = "outbox-behind",
    [CONDITION_OBSERVATIONS_SHED] = "observations-shed",
    [CONDITION_STORE_FAILED] = "store-failed",
    [CONDITION_STORE_FULL] = "store-full",
    [CONDITION_CLOCK_STEPPED] = "clock-stepped",
    [CONDITION_LOOP_LATE] = "loop-late",
    [CONDITION_RELOAD_REFUSED] = "reload-refused",
    [CONDITION_OVERFLOW] = "conditions-overflow",
};

const char *condition_class_name(enum condition_class class) {
    return (unsigned)class < CONDITION_CLASS_COUNT ? names[class] : "unknown";
}

int health_create(size_t conditions_max, struct health **ret_health) {
    struct health *health = calloc(1, sizeof *health);
    if (health == NULL) {
        return ERR_MEMORY;
    }
    health->capacity = conditions_max + 1;
    health->conditions = calloc(health->capacity, sizeof *health->conditions);
    if (health->conditions == NULL) {
        free(health);
        return ERR_MEMORY;
    }
    *ret_health = health;
    return 0;
}

struct health *health_destroy(struct health *health) {
    if (health != NULL) {
        free(health->conditions);
        free(health);
    }
    return NULL;
}

static int compare(const struct condition *condition, enum condition_class class,
                   const char *subject) {
    if (condition->class != class) {
        return condition->class < class ? -1 : 1;
    }
    return strcmp(condition->subject, subject);
}

/* First index whose condition is not before (class, subject). */
static size_t find(const struct health *health, enum condition_class class, const char *subject) {
    size_t low = 0;
    size_t high = health->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&health->conditions[middle], class, subject) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool stands(const struct health *health, size_t at, enum condition_class class,
                   const char *subject) {
    return at < health->count && compare(&health->conditions[at], class, subject) == 0;
}

/* Conditions but the overflow condition itself, which has a place of its own. */
static size_t regular_count(const struct health *health) {
    size_t at = find(health, CONDITION_OVERFLOW, "conditions");
    return health->count - (stands(health, at, CONDITION_OVERFLOW, "conditions") ? 1 : 0);
}

static struct condition *insert(struct health *health, size_t at, enum condition_class class,
                                const char *subject, struct moment now) {
    memmove(&health->conditions[at + 1], &health->conditions[at],
            (health->count - at) * sizeof *health->conditions);
    health->count++;
    struct condition *condition = &health->conditions[at];
    memset(condition, 0, sizeof *condition);
    condition->class = class;
    (void)text_copy(condition->subject, sizeof condition->subject,
                    subject); /* length checked before */
    condition->since = now;
    return condition;
}

bool health_raise(struct health *health, enum condition_class class, const char *subject,
                  struct moment now, const char *format, ...) {
    char key[sizeof health->conditions->subject];
    if (text_copy(key, sizeof key, subject) != 0) {
        memcpy(key, subject, sizeof key - 1); /* a subject that long is cut, not lost */
        key[sizeof key - 1] = '\0';
    }
    size_t at = find(health, class, key);
    bool fresh = !stands(health, at, class, key);
    if (fresh && class != CONDITION_OVERFLOW && regular_count(health) >= health->capacity - 1) {
        health->lost++;
        (void)health_raise(health, CONDITION_OVERFLOW, "conditions", now,
                           "more than %zu conditions stand; further ones are not listed",
                           health->capacity - 1);
        return false;
    }
    struct condition *condition =
        fresh ? insert(health, at, class, key, now) : &health->conditions[at];
    condition->count++;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(condition->text, sizeof condition->text, format, arguments); /* cut is fine */
    va_end(arguments);
    return fresh;
}

bool health_clear(struct health *health, enum condition_class class, const char *subject) {
    size_t at = find(health, class, subject);
    if (!stands(health, at, class, subject)) {
        return false;
    }
    health->count--;
    memmove(&health->conditions[at], &health->conditions[at + 1],
            (health->count - at) * sizeof *health->conditions);
    if (class != CONDITION_OVERFLOW && regular_count(health) < health->capacity - 1) {
        (void)health_clear(health, CONDITION_OVERFLOW, "conditions");
    }
    return true;
}

const struct condition *health_get(const struct health *health, size_t index) {
    return index < health->count ? &health->conditions[index] : NULL;
}

size_t health_count(const struct health *health) {
    return health->count;
}

uint64_t health_lost(const struct health *health) {
    return health->lost;
}
