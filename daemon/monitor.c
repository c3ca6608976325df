#include "daemon/monitor.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "daemon/base/text.h"

enum {
    LOOK_US = 1000000,
    HEARTBEAT_LOOKS = 10,        /* DESIGN: every 10 s */
    TOPICS_LOOKS = 10,           /* how often the broker is asked for its topics */
    CARE_ROWS = 500,             /* rows deleted in one step of the store's care */
    CARE_STEPS = 4,              /* of these at one look at the most */
    LATE_US = 500000,            /* the loop was blocked for longer: said */
    STEP_TOLERANCE_US = 1000000, /* a wall clock that moved more than it should */
    STEP_SHOWN_LOOKS = 3600,     /* a stepped clock stays a condition for an hour */
    LATE_SHOWN_LOOKS = 60,
    OUTBOX_OLD_US = 30000000, /* alerts wait longer than this: said */
    REBUILT_SHOWN_LOOKS = 600,
    CHECK_LOOKS = 86400,                /* the database file is checked once a day ... */
    CHECK_BYTES_MAX = 256 * 1024 * 1024 /* ... unless reading it would hold up the loop for long */
};

struct monitor {
    struct monitor_options options;
    struct loop_timer timer;
    struct mono_us expected; /* when the next look was due */
    uint64_t looks;
    uint64_t step_until, late_until, rebuilt_until; /* looks at which these conditions end */
    uint64_t builds_seen;
    bool *unreachable; /* by station: the condition stands */
    size_t next_station;
};

static void tell(struct monitor *monitor, enum condition_class class, const char *subject,
                 bool raised) {
    for (size_t i = 0; i < health_count(monitor->options.health); i++) {
        const struct condition *condition = health_get(monitor->options.health, i);
        if (condition->class == class && strcmp(condition->subject, subject) == 0) {
            monitor->options.on_condition(monitor->options.ctx, condition, raised);
            return;
        }
    }
}

void monitor_raise(struct monitor *monitor, enum condition_class class, const char *subject,
                   const char *format, ...) {
    char text[CONDITION_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* cut is fine */
    va_end(arguments);
    struct moment now = clock_now(monitor->options.view->clock);
    if (health_raise(monitor->options.health, class, subject, now, "%s", text)) {
        tell(monitor, class, subject, true);
    }
}

void monitor_clear(struct monitor *monitor, enum condition_class class, const char *subject) {
    tell(monitor, class, subject, false); /* only when it stands */
    (void)health_clear(monitor->options.health, class, subject);
}

/* ---- what is looked at ---- */

static void look_at_clock(struct monitor *monitor, int64_t late_us) {
    int64_t step_us = clock_take_step(monitor->options.view->clock, STEP_TOLERANCE_US);
    if (step_us != 0) {
        monitor->step_until = monitor->looks + STEP_SHOWN_LOOKS;
        monitor_raise(monitor, CONDITION_CLOCK_STEPPED, "clock",
                      "the wall clock was set by %+.1f s; ages are not affected, stamps are",
                      (double)step_us / 1e6);
    } else if (monitor->looks >= monitor->step_until) {
        monitor_clear(monitor, CONDITION_CLOCK_STEPPED, "clock");
    }
    if (late_us > LATE_US) {
        monitor->late_until = monitor->looks + LATE_SHOWN_LOOKS;
        monitor_raise(monitor, CONDITION_LOOP_LATE, "loop", "the daemon was held up for %.1f s",
                      (double)late_us / 1e6);
    } else if (monitor->looks >= monitor->late_until) {
        monitor_clear(monitor, CONDITION_LOOP_LATE, "loop");
    }
}

static void look_at_store(struct monitor *monitor) {
    struct store_status status;
    store_status(monitor->options.view->store, &status);
    if ((status.conditions & (STORE_WRITE_FAILED | STORE_DAMAGED)) != 0) {
        monitor_raise(monitor, CONDITION_STORE_FAILED, "store",
                      (status.conditions & STORE_DAMAGED) != 0
                          ? "the database file is damaged"
                          : "decisions cannot be written; %zu records wait in memory",
                      status.group_records);
    } else {
        monitor_clear(monitor, CONDITION_STORE_FAILED, "store");
    }
    if ((status.conditions & (STORE_DISK_FULL | STORE_READINGS_SHED)) != 0) {
        monitor_raise(monitor, CONDITION_STORE_FULL, "store",
                      "the disk is full; %llu readings were shed",
                      (unsigned long long)status.readings_shed);
    } else {
        monitor_clear(monitor, CONDITION_STORE_FULL, "store");
    }
    if ((status.conditions & STORE_OBSERVATIONS_SHED) != 0) {
        monitor_raise(monitor, CONDITION_OBSERVATIONS_SHED, "outbox",
                      "%llu undelivered observations were shed",
                      (unsigned long long)status.observations_shed);
    } else {
        monitor_clear(monitor, CONDITION_OBSERVATIONS_SHED, "outbox");
    }
}

/* The topics are the contract with consumers: what is not so there, they cannot see themselves. */
static void look_at_topics(struct monitor *monitor, const struct kafka *kafka) {
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++) {
        const struct kafka_topic_look *look = kafka_topic_look(kafka, (enum kafka_topic)i);
        const char *topic = kafka_topic_name(kafka, (enum kafka_topic)i);
        switch (look->state) {
        case KAFKA_LOOK_OTHERWISE:
            monitor_raise(monitor, CONDITION_KAFKA_TOPIC, topic,
                          "cleanup.policy is \"%s\", expected \"%s\": consumers lose records that "
                          "they rely on",
                          look->found, look->expected);
            break;
        case KAFKA_LOOK_MISSING:
            monitor_raise(monitor, CONDITION_KAFKA_TOPIC, topic,
                          "the topic does not exist, what is for it waits; expected with "
                          "cleanup.policy \"%s\"",
                          look->expected);
            break;
        case KAFKA_LOOK_DENIED:
            monitor_raise(
                monitor, CONDITION_KAFKA_TOPIC, topic,
                "whether cleanup.policy is \"%s\" is not known (right DescribeConfigs): %s",
                look->expected, look->found);
            break;
        case KAFKA_LOOK_NONE:
        case KAFKA_LOOK_AS_EXPECTED:
            monitor_clear(monitor, CONDITION_KAFKA_TOPIC, topic);
            break;
        }
    }
}

static void look_at_delivery(struct monitor *monitor) {
    struct outbox_status outbox;
    struct kafka_status kafka;
    if (monitor->options.delivery == NULL) {
        return;
    }
    outbox_status(delivery_outbox(monitor->options.delivery),
                  clock_wire(monitor->options.view->clock), &outbox);
    kafka_status(delivery_kafka(monitor->options.delivery), &kafka);
    if (!kafka.connected) {
        monitor_raise(monitor, CONDITION_KAFKA_UNREACHABLE, "kafka", "no broker is reachable: %s",
                      kafka.last_error[0] != '\0' ? kafka.last_error : "no sign of life yet");
    } else {
        monitor_clear(monitor, CONDITION_KAFKA_UNREACHABLE, "kafka");
    }
    if (kafka.builds > monitor->builds_seen && monitor->builds_seen > 0) {
        monitor->rebuilt_until = monitor->looks + REBUILT_SHOWN_LOOKS;
        monitor_raise(monitor, CONDITION_KAFKA_REBUILT, "kafka",
                      "the producer was made anew (%llu so far): %s",
                      (unsigned long long)kafka.builds, kafka.last_error);
    } else if (monitor->looks >= monitor->rebuilt_until) {
        monitor_clear(monitor, CONDITION_KAFKA_REBUILT, "kafka");
    }
    monitor->builds_seen = kafka.builds;
    look_at_topics(monitor, delivery_kafka(monitor->options.delivery));
    if (monitor->looks % TOPICS_LOOKS == 0) {
        delivery_tend_topics(monitor->options.delivery);
    }
    if (outbox.waiting[KAFKA_TOPIC_ALERT] > 0 && outbox.oldest_us > OUTBOX_OLD_US) {
        monitor_raise(monitor, CONDITION_OUTBOX_BEHIND, "outbox",
                      "alerts wait for delivery for %.0f s", (double)outbox.oldest_us / 1e6);
    } else {
        monitor_clear(monitor, CONDITION_OUTBOX_BEHIND, "outbox");
    }
}

/* A station is unreachable when none of its points gave a value within its time of silence. */
static void look_at_station(struct monitor *monitor, size_t index) {
    const struct view_source *view = monitor->options.view;
    const struct station *station = &view->site->stations[index];
    int64_t silent_us = INT64_MAX;
    const char *status = "no reading yet";
    int64_t now_us = pipeline_now(view->pipeline).mono.us;
    bool stale = station->point_count > 0;
    for (uint32_t i = station->first_point; i < station->first_point + station->point_count; i++) {
        const struct reading *value = pipeline_newest_value(view->pipeline, i);
        const struct reading *newest = pipeline_newest(view->pipeline, i);
        int64_t since_us = value != NULL ? value->received.mono.us : view->started.mono.us;
        stale = stale && now_us - since_us > view->site->points[i].stale_after_us;
        silent_us = now_us - since_us < silent_us ? now_us - since_us : silent_us;
        if (newest != NULL && newest->status != READING_OK) {
            status = reading_status_name(newest->status);
        }
    }
    if (stale) {
        monitor->unreachable[index] = true;
        monitor_raise(monitor, CONDITION_STATION_UNREACHABLE, station->id,
                      "no value for %.0f s: %s", (double)silent_us / 1e6, status);
    } else if (monitor->unreachable[index]) {
        monitor->unreachable[index] = false;
        monitor_clear(monitor, CONDITION_STATION_UNREACHABLE, station->id);
    }
}

static void look_at_stations(struct monitor *monitor) {
    /* A slice a second, so that 20,000 stations do not hold up the loop. */
    size_t count = monitor->options.view->site->station_count;
    size_t slice = count < 2000 ? count : 2000;
    for (size_t i = 0; i < slice; i++) {
        look_at_station(monitor, monitor->next_station);
        monitor->next_station = (monitor->next_station + 1) % count;
    }
}

static void heartbeat(struct monitor *monitor) {
    const struct view_source *view = monitor->options.view;
    if (monitor->options.delivery == NULL) {
        return;
    }
    json_t *body = view_health(view);
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(body);
    if (text == NULL) {
        return;
    }
    char time[32];
    char id[ID_TEXT_SIZE];
    struct utc_us now = clock_now(view->clock).utc;
    text_format_time(now.us, time, sizeof time);
    const char *parts[] = {"health", view->site->settings.id, time};
    id_from_strings(parts, sizeof parts / sizeof parts[0], id);
    struct kafka_message message = {
        .topic = KAFKA_TOPIC_HEALTH,
        .key = view->site->settings.id,
        .id = id,
        .type = "canhbao.health.v1",
        .source = monitor->options.source,
        .time = now,
        .exercise = view->messages.status == MESSAGE_EXERCISE,
        .body = text,
        .body_len = strlen(text),
    };
    delivery_heartbeat(monitor->options.delivery, &message);
    free(text);
}

static void care_for_store(struct monitor *monitor) {
    const struct view_source *view = monitor->options.view;
    struct err err;
    bool more = true;
    for (int i = 0; i < CARE_STEPS && more; i++) {
        more = false;
        /* A failing step shows in store_status, which the next look reads. */
        (void)store_retain(view->store, clock_now(view->clock).utc, CARE_ROWS, &more, &err);
    }
}

/* What it finds shows in store_status, which the next look reads. */
static void check_store(struct monitor *monitor) {
    struct store_status status;
    struct err err;
    store_status(monitor->options.view->store, &status);
    if (monitor->looks % CHECK_LOOKS == CHECK_LOOKS - 1 && status.file_bytes <= CHECK_BYTES_MAX) {
        (void)store_check(monitor->options.view->store, &err);
    }
}

static void on_look(void *ctx) {
    struct monitor *monitor = ctx;
    struct mono_us now = clock_wire(monitor->options.view->clock);
    look_at_clock(monitor, now.us - monitor->expected.us);
    look_at_store(monitor);
    look_at_delivery(monitor);
    look_at_stations(monitor);
    if (monitor->looks % HEARTBEAT_LOOKS == 0) {
        heartbeat(monitor);
    }
    care_for_store(monitor);
    check_store(monitor);
    if (monitor->options.on_look != NULL) {
        monitor->options.on_look(monitor->options.ctx);
    }
    monitor->looks++;
    monitor->expected.us = clock_wire(monitor->options.view->clock).us + LOOK_US;
    loop_timer_start_at(&monitor->timer, monitor->expected);
}

int monitor_create(const struct monitor_options *options, struct monitor **ret_monitor) {
    struct monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL) {
        return ERR_MEMORY;
    }
    monitor->options = *options;
    monitor->unreachable =
        calloc(options->view->site->station_count + 1, sizeof *monitor->unreachable);
    if (monitor->unreachable == NULL ||
        loop_timer_init(options->loop, LOOP_WIRE, on_look, monitor, &monitor->timer) != 0) {
        (void)monitor_destroy(monitor);
        return ERR_MEMORY;
    }
    monitor->expected.us = clock_wire(options->view->clock).us + LOOK_US;
    loop_timer_start_at(&monitor->timer, monitor->expected);
    *ret_monitor = monitor;
    return 0;
}

void monitor_move_stations(struct monitor *monitor, const struct site *from,
                           const uint32_t *new_stations, bool *unreachable) {
    for (size_t i = 0; i < from->station_count; i++) {
        if (new_stations[i] != UINT32_MAX) {
            unreachable[new_stations[i]] = monitor->unreachable[i];
        } else if (monitor->unreachable[i]) {
            monitor_clear(monitor, CONDITION_STATION_UNREACHABLE, from->stations[i].id);
        }
    }
    free(monitor->unreachable);
    monitor->unreachable = unreachable;
    monitor->next_station = 0;
}

struct monitor *monitor_destroy(struct monitor *monitor) {
    if (monitor != NULL) {
        loop_timer_finish(&monitor->timer);
        free(monitor->unreachable);
        free(monitor);
    }
    return NULL;
}
