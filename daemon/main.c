/* canhbaod: builds the parts in order, runs, tears them down in reverse. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/base/ids.h"
#include "daemon/base/limits.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "daemon/command_line.h"
#include "daemon/desk.h"
#include "daemon/explain.h"
#include "daemon/models.h"
#include "daemon/monitor.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { CONDITIONS_MAX = 4096, FLUSH_MS = 3000, DESCRIPTORS_SPARE = 512 };

/* Everything that runs. Zeroed, then filled from top to bottom. */
struct parts {
    struct command_line line;
    struct site *site;
    char site_revision[HASH_TEXT_SIZE];
    char source[2 * STATION_ID_SIZE];
    struct clock *clock;
    struct clock *log_clock; /* the log tells real time, also in a drill */
    struct log *log;
    struct loop *loop;
    struct loop_watch *signals[2];
    struct store *store;
    struct health *health;
    struct delivery *delivery; /* NULL: Kafka is switched off */
    struct engine_site engine_site;
    struct bulletins *bulletins;
    struct pipeline *pipeline;
    struct acquisition *acquisition;
    char model_program[4096];
    struct models *models;
    struct desk desk;
    struct monitor *monitor;
    struct control *control;
    struct web *web; /* NULL: switched off */
    size_t *endpoint_of_station;
};

/* ---- what the parts tell ---- */

static void on_signal(void *ctx, int signal_number) {
    struct parts *parts = ctx;
    log_event(parts->log, LOG_LEVEL_INFO, "stopping", "",
              log_text("signal", strsignal(signal_number)));
    loop_stop(parts->loop);
}

static void on_condition(void *ctx, const struct condition *condition, bool raised) {
    struct parts *parts = ctx;
    log_event(parts->log, raised ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              raised ? "condition_raised" : "condition_cleared", condition->subject,
              log_text("class", condition_class_name(condition->class)),
              log_text("text", condition->text));
}

static void on_model_condition(void *ctx, enum condition_class class, const char *product,
                               bool raised, const char *text) {
    struct parts *parts = ctx;
    if (raised) {
        monitor_raise(parts->monitor, class, product, "%s", text);
    } else {
        monitor_clear(parts->monitor, class, product);
    }
}

static void on_look(void *ctx) {
    struct parts *parts = ctx;
    log_tick(parts->log);
}

static void on_committed(void *ctx) {
    struct parts *parts = ctx;
    if (parts->delivery != NULL) {
        delivery_wake(parts->delivery);
    }
}

static void on_event(void *ctx, int64_t number, const char *alert_json) {
    struct parts *parts = ctx;
    desk_event(&parts->desk, alert_json);
    if (parts->control != NULL) {
        control_publish(parts->control, number, alert_json);
    }
}

static void on_store(void *ctx, int code, const char *text) {
    struct parts *parts = ctx;
    if (code != 0) {
        log_event(parts->log, LOG_LEVEL_ERROR, "store_failed", "store", log_text("why", text));
    } else {
        log_event(parts->log, LOG_LEVEL_INFO, "store_works_again", "store", log_text("why", ""));
    }
}

/* ---- start ---- */

static int load_site(struct parts *parts) {
    struct units *units = NULL;
    struct config_errors errors = {.count = 0};
    char text[CONFIG_FILE_SIZE + CONFIG_KEY_SIZE + CONFIG_TEXT_SIZE + 64];
    struct err err = {0};
    if (units_create(&units, &err) != 0) {
        fprintf(stderr, "canhbaod: %s\n", err.text);
        return EXIT_FAILED;
    }
    int result = site_load(parts->line.config, units, &parts->site, &errors);
    (void)units_destroy(units);
    for (size_t i = 0; i < errors.count; i++) {
        config_error_format(&errors.items[i], text, sizeof text);
        fprintf(stderr, "canhbaod: %s\n", text);
    }
    if (errors.more > 0) {
        fprintf(stderr, "canhbaod: and %zu more\n", errors.more);
    }
    if (result != 0) {
        fprintf(stderr, "canhbaod: the configuration in %s is refused\n", parts->line.config);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int print_config(struct parts *parts) {
    site_print(parts->site, stdout);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* Tells of endpoints that have hardly time for their requests: to `file`, or to the log (NULL). */
static void lint_loads(const struct parts *parts, FILE *file) {
    const struct site *site = parts->site;
    for (size_t i = 0; i < site->modbus.endpoint_count; i++) {
        const struct modbus_endpoint_config *endpoint = &site->modbus.endpoints[i];
        double load = 0;
        size_t requests = 0;
        if (site_endpoint_load(site, i, &load, &requests) != 0 || load <= SITE_LOAD_WARN) {
            continue;
        }
        if (file != NULL) {
            char place[MODBUS_PLACE_SIZE];
            modbus_endpoint_place(endpoint, place);
            (void)fprintf(file,
                          "warning: endpoint %s (%s): %zu requests that each may take "
                          "request_timeout fill %.0f %% of its time; above 100 %% slots are "
                          "skipped when the device is slow\n",
                          endpoint->id, place, requests, 100 * load);
        } else {
            log_event(parts->log, LOG_LEVEL_WARNING, "endpoint_load", endpoint->id,
                      log_int("requests", (int64_t)requests),
                      log_real("worst_case_percent", 100 * load));
        }
    }
}

static int say_what_is_in(const struct parts *parts) {
    const struct site *site = parts->site;
    size_t provisional = 0;
    for (size_t i = 0; i < site->station_count; i++) {
        provisional += site->stations[i].provisional;
    }
    printf("%s: fine: %zu stations (%zu provisional), %zu points, %zu areas, %zu rules, %zu "
           "products%s\n",
           parts->line.config, site->station_count, provisional, site->point_count,
           site->area_count, site->rule_count, site->product_count,
           site->settings.exercise_only ? "; runs only as an exercise" : "");
    site_print_provisional(site, stdout);
    lint_loads(parts, stdout);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* The hash of the canonical configuration: another one means that rules may have changed. */
static int hash_site(struct parts *parts, struct err *ret_err) {
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    if (file == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory");
    }
    site_print(parts->site, file);
    if (fclose(file) != 0) {
        free(text);
        return err_set(ret_err, ERR_MEMORY, "no memory");
    }
    hash_text(text, length, parts->site_revision);
    free(text);
    return 0;
}

static int create_clock(struct parts *parts, struct err *ret_err) {
    const struct command_line *line = &parts->line;
    if (line->clock_start.us != 0) {
        clock_wait_for_anchor(line->clock_anchor); /* nothing runs yet: a signal ends us */
    }
    int result = line->clock_start.us != 0
                     ? clock_create_scaled(line->clock_scale, line->clock_start, line->clock_anchor,
                                           &parts->clock)
                     : clock_create_real(&parts->clock);
    return result == 0 ? 0
                       : err_set(ret_err, result,
                                 "the clock cannot be made (is the anchor within a day?): %s",
                                 err_name(result));
}

/* One descriptor an endpoint, and some for everything else. */
static void raise_descriptor_limit(struct parts *parts) {
    uint64_t limit;
    uint64_t wanted = parts->site->modbus.endpoint_count + DESCRIPTORS_SPARE;
    if (limits_raise_descriptors(wanted, &limit) != 0) {
        log_event(parts->log, LOG_LEVEL_WARNING, "descriptors_short", "",
                  log_int("wanted", (int64_t)wanted), log_int("limit", (int64_t)limit));
    }
}

static int create_base(struct parts *parts, struct err *ret_err) {
    int result = create_clock(parts, ret_err);
    if (result == 0 &&
        (clock_create_real(&parts->log_clock) != 0 ||
         log_create(STDERR_FILENO, parts->line.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
                    parts->log_clock, &parts->log) != 0 ||
         loop_create(parts->clock, &parts->loop) != 0 ||
         loop_watch_signal(parts->loop, SIGTERM, on_signal, parts, &parts->signals[0]) != 0 ||
         loop_watch_signal(parts->loop, SIGINT, on_signal, parts, &parts->signals[1]) != 0 ||
         health_create(CONDITIONS_MAX, &parts->health) != 0)) {
        result = err_set(ret_err, ERR_MEMORY, "the loop cannot be made");
    }
    if (result == 0) {
        raise_descriptor_limit(parts);
    }
    return result;
}

static int create_store(struct parts *parts, struct err *ret_err) {
    const struct site_settings *settings = &parts->site->settings;
    if (mkdir(settings->state_dir, 0750) != 0 && errno != EEXIST) {
        return err_set(ret_err, ERR_IO, "state folder %s: %s", settings->state_dir,
                       strerror(errno));
    }
    return store_open(settings->state_dir, &settings->store, &parts->store, ret_err);
}

static int create_delivery(struct parts *parts, struct err *ret_err) {
    struct site_kafka_paths paths;
    struct kafka_config config;
    if (!parts->site->settings.kafka.enabled) {
        log_event(parts->log, LOG_LEVEL_WARNING, "kafka_disabled", "",
                  log_text("why", "the configuration says so: alerts stay in the outbox"));
        return 0;
    }
    int result = site_kafka_config(parts->site, parts->line.credentials, &paths, &config, ret_err);
    return result == 0
               ? delivery_create(parts->loop, parts->store, &config, &parts->delivery, ret_err)
               : result;
}

static int create_pipeline(struct parts *parts, struct err *ret_err) {
    const struct site *site = parts->site;
    parts->engine_site = (struct engine_site){
        .stations = site->stations,
        .station_count = site->station_count,
        .points = site->points,
        .point_count = site->point_count,
        .areas = site->areas,
        .area_count = site->area_count,
        .rules = site->rules,
        .rule_count = site->rule_count,
    };
    struct message_context messages = {.status = parts->line.exercise ? MESSAGE_EXERCISE
                                                 : parts->line.test   ? MESSAGE_TEST
                                                                      : MESSAGE_ACTUAL,
                                       .reconstructed = parts->line.reconstructed};
    struct bulletins_options bulletins = {
        .store = parts->store,
        .site = &parts->engine_site,
        .source = parts->source,
        .name_vi = site->settings.name_vi,
        .name_en = site->settings.name_en,
        .messages = messages,
        .utc_offset_min = site->settings.utc_offset_min,
    };
    int result = bulletins_create(&bulletins, &parts->bulletins, ret_err);
    if (result != 0) {
        return result;
    }
    struct pipeline_options options = {
        .loop = parts->loop,
        .store = parts->store,
        .site = &parts->engine_site,
        .site_revision = parts->site_revision,
        .source = parts->source,
        .messages = messages,
        .bulletins = parts->bulletins,
        .publish_observations = site->settings.kafka.enabled,
        .on_committed = on_committed,
        .on_event = on_event,
        .on_store = on_store,
        .ctx = parts,
    };
    if (explain_keep_rules(parts->store, site) != 0) {
        log_event(parts->log, LOG_LEVEL_WARNING, "rules_not_kept", "store",
                  log_text("what", "explain will not know the text of these rules"));
    }
    result = pipeline_create(&options, &parts->pipeline, ret_err);
    if (result == 0 && desk_begin(&parts->desk, clock_now(parts->clock).utc) != 0) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for the figures of the alarm system");
    }
    if (result == 0) {
        result = pipeline_start(parts->pipeline, ret_err);
    }
    parts->desk.view.messages = messages;
    return result;
}

static void on_refused(void *ctx, const char *endpoint, const char *advice) {
    struct parts *parts = ctx;
    /* The advice is the key: two of one endpoint are no repetition. */
    log_event(parts->log, LOG_LEVEL_WARNING, "request_refused", advice,
              log_text("endpoint", endpoint));
}

static int create_acquisition(struct parts *parts, struct err *ret_err) {
    struct acquisition_options options = {
        .loop = parts->loop,
        .modbus = &parts->site->modbus,
        .station_count = parts->site->station_count,
        .last_seqs = pipeline_last_seqs(parts->pipeline),
        .on_readings = pipeline_readings,
        .ctx = parts->pipeline,
        .on_refused = on_refused,
        .connects_per_s = parts->site->settings.connects_per_s,
        .listen_host = parts->site->settings.listen_host,
        .refused_ctx = parts,
    };
    return acquisition_create(&options, &parts->acquisition, ret_err);
}

/* The model program: as named, beside this program, in ../bin (where it is installed), or wherever
 * the search path has it. */
static void find_model_program(struct parts *parts) {
    static const char *const places[] = {"canhbao-model", "../bin/canhbao-model"};
    char *path = parts->model_program;
    size_t size = sizeof parts->model_program;
    char own[sizeof parts->model_program];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(own, '/');
    if (parts->line.model_program != NULL) {
        (void)snprintf(path, size, "%s", parts->line.model_program);
        return;
    }
    for (size_t i = 0; slash != NULL && i < sizeof places / sizeof places[0]; i++) {
        int written = snprintf(path, size, "%.*s/%s", (int)(slash - own), own, places[i]);
        if (written > 0 && (size_t)written < size && access(path, X_OK) == 0) {
            return;
        }
    }
    (void)snprintf(path, size, "canhbao-model");
}

static int create_models(struct parts *parts, struct err *ret_err) {
    find_model_program(parts);
    struct models_options options = {
        .loop = parts->loop,
        .program = parts->model_program,
        .site = parts->site,
        .store = parts->store,
        .pipeline = parts->pipeline,
        .on_condition = on_model_condition,
        .ctx = parts,
    };
    return models_create(&options, &parts->models, ret_err);
}

static int create_views(struct parts *parts, struct err *ret_err) {
    struct view_source *view = &parts->desk.view;
    parts->endpoint_of_station = view_map_endpoints(parts->site);
    view->site = parts->site;
    view->clock = parts->clock;
    view->pipeline = parts->pipeline;
    view->store = parts->store;
    view->health = parts->health;
    view->acquisition = parts->acquisition;
    view->outbox = parts->delivery != NULL ? delivery_outbox(parts->delivery) : NULL;
    view->kafka = parts->delivery != NULL ? delivery_kafka(parts->delivery) : NULL;
    view->started = pipeline_now(parts->pipeline);
    view->endpoint_of_station = parts->endpoint_of_station;
    struct monitor_options options = {
        .loop = parts->loop,
        .view = view,
        .health = parts->health,
        .delivery = parts->delivery,
        .source = parts->source,
        .on_condition = on_condition,
        .on_look = on_look,
        .ctx = parts,
    };
    if (parts->endpoint_of_station == NULL || monitor_create(&options, &parts->monitor) != 0) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the views");
    }
    struct control_host control_host = desk_control_host(&parts->desk);
    int result = control_create(parts->loop, &parts->site->settings.control, &control_host,
                                &parts->control, ret_err);
    view->control = parts->control;
    if (result == 0 && parts->site->settings.web_enabled) {
        struct web_host web_host = desk_web_host(&parts->desk);
        result =
            web_create(parts->loop, &parts->site->settings.web, &web_host, &parts->web, ret_err);
    }
    return result;
}

/* The HTTP address in a file that appears whole: its existence says that everything runs. */
static int write_web_file(const struct parts *parts, struct err *ret_err) {
    char temporary[4096];
    const char *path = parts->line.web_file;
    if (path == NULL) {
        return 0;
    }
    int length = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    FILE *file = length > 0 && length < (int)sizeof temporary ? fopen(temporary, "we") : NULL;
    if (file == NULL ||
        fprintf(file, "%s:%u\n", parts->site->settings.web.host,
                parts->web != NULL ? web_port(parts->web) : 0) < 0 ||
        fclose(file) != 0 || rename(temporary, path) != 0) {
        return err_set(ret_err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return 0;
}

static int start(struct parts *parts, struct err *ret_err) {
    (void)snprintf(parts->source, sizeof parts->source, "/canhbaod/%s", parts->site->settings.id);
    int result = hash_site(parts, ret_err);
    result = result == 0 ? create_base(parts, ret_err) : result;
    result = result == 0 ? create_store(parts, ret_err) : result;
    result = result == 0 ? create_delivery(parts, ret_err) : result;
    result = result == 0 ? create_pipeline(parts, ret_err) : result;
    result = result == 0 ? create_acquisition(parts, ret_err) : result;
    result = result == 0 ? create_views(parts, ret_err) : result;
    result = result == 0 ? create_models(parts, ret_err) : result;
    result = result == 0 ? write_web_file(parts, ret_err) : result;
    return result;
}

static void stop(struct parts *parts) {
    parts->models = models_destroy(parts->models);
    parts->web = web_destroy(parts->web);
    parts->control = control_destroy(parts->control);
    parts->monitor = monitor_destroy(parts->monitor);
    free(parts->endpoint_of_station);
    parts->acquisition = acquisition_destroy(parts->acquisition);
    parts->pipeline = pipeline_destroy(parts->pipeline);
    desk_end(&parts->desk);
    parts->bulletins = bulletins_destroy(parts->bulletins);
    parts->delivery = delivery_destroy(parts->delivery, FLUSH_MS);
    parts->store = store_close(parts->store);
    parts->health = health_destroy(parts->health);
    for (size_t i = 0; i < 2; i++) {
        parts->signals[i] = loop_watch_close(parts->signals[i]);
    }
    parts->loop = loop_destroy(parts->loop);
    parts->log = log_destroy(parts->log);
    parts->log_clock = clock_destroy(parts->log_clock);
    parts->clock = clock_destroy(parts->clock);
    parts->site = site_destroy(parts->site);
}

static int run(struct parts *parts) {
    struct err err = {0};
    if (parts->site->settings.exercise_only && !parts->line.exercise) {
        fprintf(
            stderr,
            "canhbaod: the stations of this site are simulated: it runs only with --exercise\n");
        return EXIT_USAGE;
    }
    if (command_line_apply(&parts->line, parts->site, &err) != 0) {
        fprintf(stderr, "canhbaod: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (start(parts, &err) != 0) {
        fprintf(stderr, "canhbaod: cannot start: %s\n", err.text);
        return EXIT_FAILED;
    }
    lint_loads(parts, NULL);
    acquisition_start(parts->acquisition);
    struct pipeline_counters counters = pipeline_counters(parts->pipeline);
    log_event(parts->log, LOG_LEVEL_INFO, "started", parts->site->settings.id,
              log_text("version", CANHBAO_VERSION),
              log_text("status", message_status_name(parts->desk.view.messages.status)),
              log_int("stations", (int64_t)parts->site->station_count),
              log_int("rules", (int64_t)parts->site->rule_count),
              log_real("away_s", (double)counters.gap_us / 1e6),
              log_int("inputs_replayed", (int64_t)counters.replayed));
    (void)sd_notify(0, "READY=1"); /* without systemd it does nothing */
    int result = loop_run(parts->loop);
    (void)sd_notify(0, "STOPPING=1");
    return result == 0 ? EXIT_DONE : EXIT_FAILED;
}

int main(int argc, char **argv) {
    struct parts parts = {.site = NULL};
    struct err err = {0};
    if (command_line_parse(argc, argv, &parts.line, &err) != 0) {
        fprintf(stderr, "canhbaod: %s\n", err.text);
        return EXIT_USAGE;
    }
    switch (parts.line.action) {
    case ACTION_HELP:
        return fputs(command_line_help, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILED
                                                                           : EXIT_DONE;
    case ACTION_VERSION:
        return puts("canhbaod " CANHBAO_VERSION) < 0 || fflush(stdout) != 0 ? EXIT_FAILED
                                                                            : EXIT_DONE;
    case ACTION_PRINT_OPTIONS:
        site_print_options(stdout);
        return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
    default:
        break;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error code, not a signal */
    int result = load_site(&parts);
    if (result == EXIT_DONE) {
        result = parts.line.action == ACTION_CHECK          ? say_what_is_in(&parts)
                 : parts.line.action == ACTION_PRINT_CONFIG ? print_config(&parts)
                                                            : run(&parts);
    }
    stop(&parts);
    return result;
}
