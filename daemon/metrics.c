#include "daemon/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/text.h"
#include "daemon/view_skill.h"

static void head(FILE *out, const char *name, const char *type, const char *help) {
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(FILE *out, const char *name, const char *labels, double value) {
    char number[32];
    if (!isfinite(value)) {
        (void)snprintf(number, sizeof number, "NaN");
    } else {
        (void)text_format_double(value, number, sizeof number);
    }
    fprintf(out, "%s%s %s\n", name, labels, number);
}

static void single(FILE *out, const char *name, const char *type, const char *help, double value) {
    head(out, name, type, help);
    sample(out, name, "", value);
}

static void write_acquisition(const struct view_source *source, FILE *out) {
    struct endpoint_stats total = {0};
    size_t connected = 0;
    size_t count =
        source->acquisition != NULL ? acquisition_endpoint_count(source->acquisition) : 0;
    for (size_t i = 0; i < count; i++) {
        struct endpoint_stats stats;
        acquisition_endpoint_stats(source->acquisition, i, &stats);
        connected += stats.state == ENDPOINT_CONNECTED;
        total.polls += stats.polls;
        total.replies += stats.replies;
        total.timeouts += stats.timeouts;
        total.bad_replies += stats.bad_replies;
        total.foreign_replies += stats.foreign_replies;
        total.exceptions += stats.exceptions;
        total.lost += stats.lost;
        total.skipped += stats.skipped;
        total.connects += stats.connects;
        total.connect_failures += stats.connect_failures;
        total.dead_units += stats.dead_units;
        for (size_t b = 0; b < ROUND_TRIP_BUCKETS; b++) {
            total.round_trips[b] += stats.round_trips[b];
        }
    }
    single(out, "canhbao_endpoints", "gauge", "Configured Modbus endpoints.", (double)count);
    single(out, "canhbao_endpoints_connected", "gauge", "Endpoints with a connection.",
           (double)connected);
    single(out, "canhbao_units_dead", "gauge", "Units that do not answer.", total.dead_units);
    single(out, "canhbao_polls_total", "counter", "Requests sent.", (double)total.polls);
    head(out, "canhbao_poll_results_total", "counter", "How requests and slots ended.");
    sample(out, "canhbao_poll_results_total", "{result=\"reply\"}", (double)total.replies);
    sample(out, "canhbao_poll_results_total", "{result=\"timeout\"}", (double)total.timeouts);
    sample(out, "canhbao_poll_results_total", "{result=\"bad_reply\"}", (double)total.bad_replies);
    sample(out, "canhbao_poll_results_total", "{result=\"foreign_reply\"}",
           (double)total.foreign_replies);
    sample(out, "canhbao_poll_results_total", "{result=\"exception\"}", (double)total.exceptions);
    sample(out, "canhbao_poll_results_total", "{result=\"lost\"}", (double)total.lost);
    sample(out, "canhbao_poll_results_total", "{result=\"skipped\"}", (double)total.skipped);
    single(out, "canhbao_connects_total", "counter", "Connections made.", (double)total.connects);
    single(out, "canhbao_connect_failures_total", "counter", "Connections that failed.",
           (double)total.connect_failures);
    head(out, "canhbao_round_trip_seconds", "gauge",
         "Round trip of requests, by quantile since the start.");
    sample(out, "canhbao_round_trip_seconds", "{quantile=\"0.5\"}",
           endpoint_round_trip_us(&total, 0.5) / 1e6);
    sample(out, "canhbao_round_trip_seconds", "{quantile=\"0.95\"}",
           endpoint_round_trip_us(&total, 0.95) / 1e6);
}

static void write_loggers(const struct view_source *source, FILE *out) {
    static const char *const kinds[] = {"taken",       "impossible_time", "out_of_order",
                                        "overwritten", "repeated",        "wrong_clock"};
    double sums[sizeof kinds / sizeof kinds[0]] = {0};
    struct logger_facts facts;
    head(out, "canhbao_station_clock_offset_seconds", "gauge",
         "A device's clock minus ours, at the last look; it is never corrected.");
    for (size_t i = 0; i < source->site->logger_count && source->loggers != NULL; i++) {
        const struct logger *logger = &source->site->loggers[i];
        if (!loggers_facts(source->loggers, logger->station, &facts)) {
            continue;
        }
        const uint64_t counts[] = {facts.counts.taken,        facts.counts.impossible,
                                   facts.counts.out_of_order, facts.counts.overwritten,
                                   facts.counts.repeated,     facts.untrusted};
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            sums[k] += (double)counts[k];
        }
        if (logger->clock.present && facts.clock_known) {
            fprintf(out, "canhbao_station_clock_offset_seconds{station=\"%s\"} %.3f\n",
                    source->site->stations[logger->station].id, (double)facts.skew_us / 1e6);
        }
    }
    head(out, "canhbao_memory_records_total", "counter",
         "Records read out of loggers' memories, taken or refused.");
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        fprintf(out, "canhbao_memory_records_total{result=\"%s\"} %.0f\n", kinds[k], sums[k]);
    }
}

static void write_pipeline(const struct view_source *source, FILE *out) {
    static const char *const kinds[ENGINE_INPUT_KIND_COUNT] = {
        [ENGINE_READING] = "{kind=\"reading\"}", [ENGINE_MODEL_RESULT] = "{kind=\"model_result\"}",
        [ENGINE_COMMAND] = "{kind=\"command\"}", [ENGINE_TICK] = "{kind=\"tick\"}",
        [ENGINE_START] = "{kind=\"start\"}",
    };
    struct pipeline_counters counters = pipeline_counters(source->pipeline);
    head(out, "canhbao_inputs_total", "counter", "Inputs that the engine took.");
    for (int i = 0; i < ENGINE_INPUT_KIND_COUNT; i++) {
        sample(out, "canhbao_inputs_total", kinds[i], (double)counters.inputs[i]);
    }
    single(out, "canhbao_inputs_refused_total", "counter", "Inputs that could not be taken.",
           (double)counters.refused);
    single(out, "canhbao_values_total", "counter", "Readings with a value.",
           (double)counters.values);
    single(out, "canhbao_failures_total", "counter", "Readings without a value.",
           (double)counters.failures);
    single(out, "canhbao_events_total", "counter", "Transitions of alarms.",
           (double)counters.events);
    single(out, "canhbao_bulletins_total", "counter", "CAP messages.", (double)counters.bulletins);
    single(out, "canhbao_bulletins_failed_total", "counter",
           "CAP messages that could not be written or stored.", (double)counters.bulletins_failed);
    single(out, "canhbao_start_gap_seconds", "gauge", "Downtime before this start.",
           (double)counters.gap_us / 1e6);
    single(out, "canhbao_commit_seconds", "gauge", "The last commit took so long.",
           (double)counters.commit_us_last / 1e6);
    single(out, "canhbao_commit_max_seconds", "gauge", "The longest commit since the start.",
           (double)counters.commit_us_max / 1e6);
}

/* The samples of one family must stand together, so the alarms are visited once per family. */
static int write_alarm_level(void *ctx, const struct alarm_view *view) {
    FILE *out = ctx;
    const struct alarm *alarm = view->alarm;
    /* ids are [a-z0-9._-]: nothing to escape */
    fprintf(out, "canhbao_alarm_level{rule=\"%s\",place=\"%s\",hazard=\"%s\",scale=\"%s\"} ",
            view->rule->id, view->place.id, view->rule->hazard, view->rule->scale.id);
    if (alarm->assessed) {
        fprintf(out, "%u\n", alarm->level);
    } else {
        fputs("NaN\n", out);
    }
    return 0;
}

static int write_alarm_knowledge(void *ctx, const struct alarm_view *view) {
    FILE *out = ctx;
    fprintf(out, "canhbao_alarm_knowledge{rule=\"%s\",place=\"%s\",knowledge=\"%s\"} 1\n",
            view->rule->id, view->place.id, knowledge_name(view->alarm->knowledge));
    return 0;
}

/* How long alarms have stood and waited is asked of the alarms themselves. */
struct standing {
    int64_t now_us;
    uint64_t unacknowledged, stale;
};

static int count_standing(void *ctx, const struct alarm_view *view) {
    struct standing *standing = ctx;
    const struct alarm *alarm = view->alarm;
    const int64_t day_us = INT64_C(24) * 3600 * 1000000;
    standing->unacknowledged += alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED ||
                                alarm->annunciation == ANNUNCIATION_RETURNED_UNACKNOWLEDGED;
    standing->stale += alarm->assessed && alarm->level > 0 &&
                       standing->now_us - alarm->level_since.mono.us > day_us;
    return 0;
}

static void write_kpi(const struct view_source *source, FILE *out) {
    static const char *const quantiles[] = {"0.5", "0.9", "1"};
    struct moment now = pipeline_now(source->pipeline);
    struct standing standing = {.now_us = now.mono.us};
    struct kpi_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        return; /* absent is not 0 */
    }
    kpi_report(source->kpi, now.utc.us, report);
    (void)engine_visit_alarms(pipeline_engine(source->pipeline), count_standing, &standing);
    single(out, "canhbao_alarms_total", "counter",
           "Alarms that asked for a person since the start, after EEMUA 191.",
           (double)report->alarms);
    single(out, "canhbao_alarms_per_10min", "gauge", "Their mean since the start. Target: below 1.",
           report->mean_per_10min);
    single(out, "canhbao_alarms_per_10min_most", "gauge",
           "The worst 10 minutes since the start. Target: at most 10.", report->most_in_10min);
    single(out, "canhbao_alarm_flood_ratio", "gauge",
           "Share of the time since the start in floods of alarms. Target: below 0.01.",
           report->flood_share);
    single(out, "canhbao_alarm_floods_total", "counter", "Floods of alarms since the start.",
           (double)report->flood_count);
    single(out, "canhbao_alarms_chattering", "gauge",
           "Alarms raised three times or more within an hour, ten at most. Target: 0.",
           report->chattering_count);
    single(out, "canhbao_alarms_stale", "gauge",
           "Levels that have stood for more than 24 h. Target: below 5.", (double)standing.stale);
    single(out, "canhbao_alarms_unacknowledged", "gauge", "Alarms that wait for a person.",
           (double)standing.unacknowledged);
    single(out, "canhbao_alarms_acknowledged_total", "counter",
           "Raises that a person acknowledged since the start.", (double)report->acknowledged);
    head(out, "canhbao_alarm_acknowledge_seconds", "gauge",
         "From the raise to the acknowledgement, since the start; NaN: none yet.");
    const double values[] = {report->acknowledge_median_s, report->acknowledge_p90_s,
                             report->acknowledge_most_s};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        fprintf(out, "canhbao_alarm_acknowledge_seconds{quantile=\"%s\"} ", quantiles[i]);
        if (isnan(values[i])) {
            fputs("NaN\n", out);
        } else {
            fprintf(out, "%.17g\n", values[i]);
        }
    }
    free(report);
}

static void write_store(const struct view_source *source, FILE *out) {
    struct store_status status;
    store_status(source->store, &status);
    single(out, "canhbao_store_commits_total", "counter", "Transactions.", (double)status.commits);
    single(out, "canhbao_store_commit_failures_total", "counter", "Transactions that failed.",
           (double)status.commit_failures);
    single(out, "canhbao_store_readings_shed_total", "counter",
           "Readings dropped because the disk is full.", (double)status.readings_shed);
    single(out, "canhbao_store_observations_shed_total", "counter",
           "Undelivered observations dropped at their bound.", (double)status.observations_shed);
    single(out, "canhbao_store_bytes", "gauge", "Size of the database file.",
           (double)status.file_bytes);
    single(out, "canhbao_outbox_rows", "gauge", "Messages committed and not delivered.",
           (double)status.outbox_rows);
}

static void write_delivery(const struct view_source *source, FILE *out) {
    if (source->outbox == NULL) {
        return;
    }
    struct outbox_status outbox;
    struct kafka_status kafka;
    outbox_status(source->outbox, clock_wire(source->clock), &outbox);
    kafka_status(source->kafka, &kafka);
    single(out, "canhbao_kafka_connected", "gauge", "1 while a broker is reachable.",
           kafka.connected);
    single(out, "canhbao_kafka_producers_total", "counter", "Producers made, the first included.",
           (double)kafka.builds);
    single(out, "canhbao_kafka_errors_total", "counter", "Errors of the Kafka library.",
           (double)kafka.errors);
    single(out, "canhbao_messages_sent_total", "counter", "Messages handed to the producer.",
           (double)outbox.sent);
    single(out, "canhbao_messages_delivered_total", "counter",
           "Messages that the broker acknowledged.", (double)outbox.delivered);
    single(out, "canhbao_messages_failed_total", "counter",
           "Failed deliveries; each is tried again.", (double)outbox.failed);
    single(out, "canhbao_outbox_oldest_seconds", "gauge", "The oldest message waits for so long.",
           (double)outbox.oldest_us / 1e6);
}

char *metrics_text(const struct view_source *source, size_t *ret_length) {
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_length);
    if (out == NULL) {
        return NULL;
    }
    head(out, "canhbao_info", "gauge", "Version and node.");
    fprintf(out, "canhbao_info{version=\"%s\",node=\"%s\",status=\"%s\"} 1\n", CANHBAO_VERSION,
            source->site->settings.id, message_status_name(source->messages.status));
    single(out, "canhbao_clock_scale", "gauge",
           "Scenario seconds per real second; 1 but in drills.", clock_scale(source->clock));
    write_acquisition(source, out);
    write_loggers(source, out);
    write_pipeline(source, out);
    head(
        out, "canhbao_alarm_level", "gauge",
        "Level on the scale of the label; NaN: never assessed. Read with canhbao_alarm_knowledge.");
    const struct engine *engine = pipeline_engine(source->pipeline);
    (void)engine_visit_alarms(engine, write_alarm_level, out); /* never stops early */
    head(out, "canhbao_alarm_knowledge", "gauge", "How well the level is known.");
    (void)engine_visit_alarms(engine, write_alarm_knowledge, out); /* never stops early */
    single(out, "canhbao_conditions", "gauge", "Standing faults of the warning system.",
           (double)health_count(source->health));
    head(out, "canhbao_condition", "gauge", "One standing fault.");
    for (size_t i = 0; i < health_count(source->health); i++) {
        const struct condition *condition = health_get(source->health, i);
        fprintf(out, "canhbao_condition{class=\"%s\",subject=\"%s\"} 1\n",
                condition_class_name(condition->class), condition->subject);
    }
    write_kpi(source, out);
    write_store(source, out);
    write_delivery(source, out);
    view_skill_metrics(source, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
