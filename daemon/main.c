/* canhbaod: builds the parts in order, runs, tears them down in reverse. */
#include <errno.h>
#include <limits.h>
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
#include "daemon/command_feed.h"
#include "daemon/command_line.h"
#include "daemon/config/site_moves.h"
#include "daemon/desk.h"
#include "daemon/explain.h"
#include "daemon/lint_loggers.h"
#include "daemon/loggers.h"
#include "daemon/models.h"
#include "daemon/monitor.h"
#include "daemon/products.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { CONDITIONS_MAX = 4096, FLUSH_MS = 3000, DESCRIPTORS_SPARE = 512 };

/* What comes of one reading of the configuration, and goes with the next. */
struct loaded {
    struct site *site;
    char revision[HASH_TEXT_SIZE];
    struct engine_site engine_site;
    struct alerting alerting; /* of the site, as this run's status has it */
    struct bulletins *bulletins;
    struct pipeline *pipeline;
    size_t *endpoint_of_station;
};

/* Everything that runs. Zeroed, then filled from top to bottom. */
struct parts {
    struct command_line line;
    struct loaded *now;
    char source[2 * STATION_ID_SIZE];
    struct clock *clock;
    struct clock *log_clock; /* the log tells real time, also in a drill */
    struct log *log;
    struct loop *loop;
    struct loop_watch *signals[3];
    struct store *store;
    struct health *health;
    struct delivery *delivery; /* NULL: Kafka is switched off */
    struct acquisition *acquisition;
    struct loggers *loggers;
    char model_program[4096];
    struct models *models;
    struct release_areas areas;
    struct desk desk;
    struct monitor *monitor;
    struct control *control;
    struct operators *operators;
    struct command_feed *command_feed; /* NULL: no commands over Kafka */
    struct web *web;                   /* NULL: switched off */
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

static void on_subject_condition(void *ctx, enum condition_class class, const char *subject,
                                 bool raised, const char *text) {
    struct parts *parts = ctx;
    if (raised) {
        monitor_raise(parts->monitor, class, subject, "%s", text);
    } else {
        monitor_clear(parts->monitor, class, subject);
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

/* Every fault is in `errors` and told to `tell`. */
static int load_site(const struct parts *parts, struct site **ret_site,
                     void (*tell)(const struct parts *parts, const char *text)) {
    struct units *units = NULL;
    struct config_errors errors = {.count = 0};
    char text[CONFIG_FILE_SIZE + CONFIG_KEY_SIZE + CONFIG_TEXT_SIZE + 64];
    struct err err = {0};
    if (units_create(&units, &err) != 0) {
        tell(parts, err.text);
        return EXIT_FAILED;
    }
    int result = site_load(parts->line.config, units, ret_site, &errors);
    (void)units_destroy(units);
    for (size_t i = 0; i < errors.count; i++) {
        config_error_format(&errors.items[i], text, sizeof text);
        tell(parts, text);
    }
    if (errors.more > 0) {
        (void)snprintf(text, sizeof text, "and %zu more", errors.more);
        tell(parts, text);
    }
    if (result != 0) {
        (void)snprintf(text, sizeof text, "the configuration in %.500s is refused",
                       parts->line.config);
        tell(parts, text);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static void tell_stderr(const struct parts *parts, const char *text) {
    (void)parts;
    fprintf(stderr, "canhbaod: %s\n", text);
}

static int print_config(struct parts *parts) {
    site_print(parts->now->site, stdout);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* Tells of endpoints that have hardly time for their requests: to `file`, or to the log (NULL). */
static void lint_loads(const struct parts *parts, FILE *file) {
    const struct site *site = parts->now->site;
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

static void print_logger_cost(void *ctx, const char *station, bool warning, const char *text) {
    (void)fprintf(ctx, "%s: station %s: %s\n", warning ? "warning" : "note", station, text);
}

static void log_logger_cost(void *ctx, const char *station, bool warning, const char *text) {
    struct parts *parts = ctx;
    if (warning) {
        log_event(parts->log, LOG_LEVEL_WARNING, "logger_load", station, log_text("why", text));
    }
}

/* Tells of serial devices by names that the kernel gives away in the order of plugging in. */
static void lint_devices(const struct site *site, FILE *file) {
    for (size_t i = 0; i < site->modbus.endpoint_count; i++) {
        const struct modbus_endpoint_config *endpoint = &site->modbus.endpoints[i];
        const char *device = endpoint->serial.device;
        if (strncmp(device, "/dev/ttyUSB", 11) == 0 || strncmp(device, "/dev/ttyACM", 11) == 0) {
            (void)fprintf(file,
                          "warning: endpoint %s: %s may have another name when it is plugged in "
                          "again; /dev/serial/by-id/ and by-path/ have names that stay\n",
                          endpoint->id, device);
        }
    }
}

static int say_what_is_in(const struct parts *parts) {
    const struct site *site = parts->now->site;
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
    struct clock *clock = NULL; /* a check is made now, whatever a drill plays */
    if (clock_create_real(&clock) != 0) {
        return EXIT_FAILED;
    }
    site_print_validity(site, clock_now(clock).utc, stdout);
    (void)clock_destroy(clock);
    lint_loads(parts, stdout);
    lint_loggers(site, print_logger_cost, stdout);
    lint_devices(site, stdout);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* The hash of the canonical configuration: another one means that rules may have changed. */
static int hash_site(struct loaded *loaded, struct err *ret_err) {
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    if (file == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory");
    }
    site_print(loaded->site, file);
    if (fclose(file) != 0) {
        free(text);
        return err_set(ret_err, ERR_MEMORY, "no memory");
    }
    hash_text(text, length, loaded->revision);
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
    uint64_t wanted = parts->now->site->modbus.endpoint_count + DESCRIPTORS_SPARE;
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
    const struct site_settings *settings = &parts->now->site->settings;
    if (mkdir(settings->state_dir, 0750) != 0 && errno != EEXIST) {
        return err_set(ret_err, ERR_IO, "state folder %s: %s", settings->state_dir,
                       strerror(errno));
    }
    return store_open(settings->state_dir, &settings->store, &parts->store, ret_err);
}

static int create_delivery(struct parts *parts, struct err *ret_err) {
    struct site_kafka_paths paths;
    struct kafka_config config;
    if (!parts->now->site->settings.kafka.enabled) {
        log_event(parts->log, LOG_LEVEL_WARNING, "kafka_disabled", "",
                  log_text("why", "the configuration says so: alerts stay in the outbox"));
        return 0;
    }
    int result =
        site_kafka_config(parts->now->site, parts->line.credentials, &paths, &config, ret_err);
    return result == 0
               ? delivery_create(parts->loop, parts->store, &config, &parts->delivery, ret_err)
               : result;
}

/* The state is restored; nothing runs yet. */
static int create_pipeline(struct parts *parts, struct loaded *loaded, struct err *ret_err) {
    const struct site *site = loaded->site;
    loaded->alerting = site_alerting(site, parts->line.exercise || parts->line.test);
    loaded->engine_site = site_for_engine(site, &loaded->alerting);
    struct message_context messages = {.status = parts->line.exercise ? MESSAGE_EXERCISE
                                                 : parts->line.test   ? MESSAGE_TEST
                                                                      : MESSAGE_ACTUAL,
                                       .reconstructed = parts->line.reconstructed};
    struct bulletins_options bulletins = {
        .store = parts->store,
        .site = &loaded->engine_site,
        .source = parts->source,
        .name_vi = site->settings.name_vi,
        .name_en = site->settings.name_en,
        .messages = messages,
        .utc_offset_min = site->settings.utc_offset_min,
        .areas = &parts->areas,
    };
    int result = bulletins_create(&bulletins, &loaded->bulletins, ret_err);
    if (result != 0) {
        return result;
    }
    struct pipeline_options options = {
        .loop = parts->loop,
        .store = parts->store,
        .site = &loaded->engine_site,
        .site_revision = loaded->revision,
        .source = parts->source,
        .messages = messages,
        .bulletins = loaded->bulletins,
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
    parts->desk.view.messages = messages;
    return pipeline_create(&options, &loaded->pipeline, ret_err);
}

static void on_refused(void *ctx, const char *endpoint, const char *advice) {
    struct parts *parts = ctx;
    /* The advice is the key: two of one endpoint are no repetition. */
    log_event(parts->log, LOG_LEVEL_WARNING, "request_refused", advice,
              log_text("endpoint", endpoint));
}

static void on_readings(void *ctx, const struct reading *readings, size_t count) {
    struct parts *parts = ctx;
    if (parts->loggers != NULL) {
        loggers_readings(parts->loggers, readings, count);
    }
    pipeline_readings(parts->now->pipeline, readings, count);
}

static struct acquisition_options acquisition_options_of(struct parts *parts,
                                                         const struct loaded *loaded) {
    return (struct acquisition_options){
        .loop = parts->loop,
        .modbus = &loaded->site->modbus,
        .station_count = loaded->site->station_count,
        .on_readings = on_readings,
        .ctx = parts,
        .on_refused = on_refused,
        .connects_per_s = loaded->site->settings.connects_per_s,
        .listen_host = loaded->site->settings.listen_host,
        .refused_ctx = parts,
    };
}

static int create_acquisition(struct parts *parts, struct err *ret_err) {
    struct acquisition_options options = acquisition_options_of(parts, parts->now);
    options.last_seqs = pipeline_last_seqs(parts->now->pipeline);
    return acquisition_create(&options, &parts->acquisition, ret_err);
}

static int create_loggers(struct parts *parts, const struct loaded *loaded,
                          struct loggers **ret_loggers, struct err *ret_err) {
    struct loggers_options options = {
        .loop = parts->loop,
        .site = loaded->site,
        .store = parts->store,
        .pipeline = loaded->pipeline,
        .acquisition = parts->acquisition,
        .on_condition = on_subject_condition,
        .ctx = parts,
    };
    return loggers_create(&options, ret_loggers, ret_err);
}

/* The model program: as named, beside this program, in ../bin (where it is installed), or wherever
 * the search path has it. A name with a slash is a path from here, where the daemon was started;
 * workers start elsewhere, so it is made absolute, and has to be a program. */
static int find_model_program(struct parts *parts, struct err *ret_err) {
    static const char *const places[] = {"canhbao-model", "../bin/canhbao-model"};
    char *path = parts->model_program;
    size_t size = sizeof parts->model_program;
    char own[sizeof parts->model_program];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(own, '/');
    const char *named = parts->line.model_program;
    if (named != NULL && strchr(named, '/') != NULL) {
        _Static_assert(sizeof parts->model_program >= PATH_MAX, "realpath writes that much");
        return realpath(named, path) != NULL && access(path, X_OK) == 0
                   ? 0
                   : err_set(ret_err, ERR_NOT_FOUND, "--model-program %.300s: %s", named,
                             strerror(errno));
    }
    if (named != NULL) {
        (void)snprintf(path, size, "%s", named);
        return 0;
    }
    for (size_t i = 0; slash != NULL && i < sizeof places / sizeof places[0]; i++) {
        int written = snprintf(path, size, "%.*s/%s", (int)(slash - own), own, places[i]);
        if (written > 0 && (size_t)written < size && access(path, X_OK) == 0) {
            return 0;
        }
    }
    (void)snprintf(path, size, "canhbao-model");
    return 0;
}

static json_t *on_what_if(void *ctx, const struct whatif_request *request, const char *actor,
                          struct err *ret_err) {
    struct parts *parts = ctx;
    char product[STATION_ID_SIZE], id[MODELS_ASK_ID_SIZE];
    int result = parts->models == NULL
                     ? err_set(ret_err, ERR_NOT_FOUND, "no models run")
                     : models_what_if(parts->models, request, actor, product, id, ret_err);
    return result != 0 ? NULL
                       : json_pack("{s:s,s:s,s:s,s:b}", "text", "what-if", "product", product, "id",
                                   id, "hypothetical", 1);
}

static int create_models(struct parts *parts, struct err *ret_err) {
    int found = find_model_program(parts, ret_err);
    if (found != 0) {
        return found;
    }
    struct models_options options = {
        .loop = parts->loop,
        .program = parts->model_program,
        .site = parts->now->site,
        .store = parts->store,
        .pipeline = parts->now->pipeline,
        .areas = &parts->areas,
        .on_condition = on_subject_condition,
        .ctx = parts,
    };
    return models_create(&options, &parts->models, ret_err);
}

static int create_views(struct parts *parts, struct err *ret_err) {
    struct view_source *view = &parts->desk.view;
    parts->now->endpoint_of_station = view_map_endpoints(parts->now->site);
    view->site = parts->now->site;
    view->clock = parts->clock;
    view->pipeline = parts->now->pipeline;
    view->store = parts->store;
    view->health = parts->health;
    view->acquisition = parts->acquisition;
    view->outbox = parts->delivery != NULL ? delivery_outbox(parts->delivery) : NULL;
    view->kafka = parts->delivery != NULL ? delivery_kafka(parts->delivery) : NULL;
    view->started = pipeline_now(parts->now->pipeline);
    view->endpoint_of_station = parts->now->endpoint_of_station;
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
    if (parts->now->endpoint_of_station == NULL || monitor_create(&options, &parts->monitor) != 0) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the views");
    }
    struct control_host control_host = desk_control_host(&parts->desk);
    int result = control_create(parts->loop, &parts->now->site->settings.control, &control_host,
                                &parts->control, ret_err);
    view->control = parts->control;
    if (result == 0) {
        result =
            operators_create(parts->now->site, parts->line.credentials, &parts->operators, ret_err);
        parts->desk.operators = parts->operators;
    }
    if (result == 0 && parts->now->site->settings.web_enabled) {
        struct web_host web_host = desk_web_host(&parts->desk);
        result = web_create(parts->loop, &parts->now->site->settings.web, &web_host, &parts->web,
                            ret_err);
    }
    return result;
}

static int create_command_feed(struct parts *parts, struct err *ret_err) {
    const struct site_kafka *kafka = &parts->now->site->settings.kafka;
    struct site_kafka_paths paths;
    struct kafka_config config;
    if (!kafka->enabled || !kafka->commands) {
        return 0;
    }
    int result =
        site_kafka_config(parts->now->site, parts->line.credentials, &paths, &config, ret_err);
    struct command_feed_options options = {
        .loop = parts->loop, .kafka = &config, .desk = &parts->desk, .source = parts->source};
    return result == 0 ? command_feed_create(&options, &parts->command_feed, ret_err) : result;
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
        fprintf(file, "%s:%u\n", parts->now->site->settings.web.host,
                parts->web != NULL ? web_port(parts->web) : 0) < 0 ||
        fclose(file) != 0 || rename(temporary, path) != 0) {
        return err_set(ret_err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return 0;
}

static int start(struct parts *parts, struct err *ret_err) {
    (void)snprintf(parts->source, sizeof parts->source, "/canhbaod/%s",
                   parts->now->site->settings.id);
    int result = hash_site(parts->now, ret_err);
    result = result == 0 ? create_base(parts, ret_err) : result;
    result = result == 0 ? create_store(parts, ret_err) : result;
    result = result == 0 ? create_delivery(parts, ret_err) : result;
    result = result == 0 ? create_pipeline(parts, parts->now, ret_err) : result;
    if (result == 0 && desk_begin(&parts->desk, clock_now(parts->clock).utc) != 0) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for the figures of the alarm system");
    }
    result = result == 0 ? pipeline_start(parts->now->pipeline, ret_err) : result;
    result = result == 0 ? create_acquisition(parts, ret_err) : result;
    result = result == 0 ? create_views(parts, ret_err) : result;
    result = result == 0 ? create_command_feed(parts, ret_err) : result;
    result = result == 0 ? create_loggers(parts, parts->now, &parts->loggers, ret_err) : result;
    parts->desk.view.loggers = parts->loggers;
    result = result == 0 ? create_models(parts, ret_err) : result;
    result = result == 0 ? write_web_file(parts, ret_err) : result;
    return result;
}

/* NULL is fine; returns NULL. What is still to be saved is saved by the caller. */
static struct loaded *free_loaded(struct loaded *loaded) {
    if (loaded != NULL) {
        (void)pipeline_discard(loaded->pipeline);
        (void)bulletins_destroy(loaded->bulletins);
        free(loaded->endpoint_of_station);
        (void)site_destroy(loaded->site);
        free(loaded);
    }
    return NULL;
}

/* ---- reload ---- */

static void tell_log(const struct parts *parts, const char *text) {
    log_event(parts->log, LOG_LEVEL_ERROR, "configuration_refused", text);
}

/* The new configuration, and what of it cannot be. */
static int load_next(struct parts *parts, struct loaded *next, struct err *ret_err) {
    struct products *products = NULL;
    if (load_site(parts, &next->site, tell_log) != EXIT_DONE) {
        return err_set(ret_err, ERR_INVALID,
                       "the configuration is refused, the old one stays: see the log, or "
                       "canhbaod --check");
    }
    int result = command_line_apply(&parts->line, next->site, ret_err);
    if (result == 0 && next->site->settings.exercise_only && !parts->line.exercise) {
        result = err_set(ret_err, ERR_UNSUPPORTED,
                         "site.exercise_only: this run is no exercise; restart it as one");
    }
    result = result == 0 ? site_moves_check(parts->now->site, next->site, ret_err) : result;
    result = result == 0 ? hash_site(next, ret_err) : result;
    if (result == 0) { /* whether there are such models */
        result = products_create(next->site, &products, ret_err);
        (void)products_destroy(products);
    }
    next->endpoint_of_station = result == 0 ? view_map_endpoints(next->site) : NULL;
    return result == 0 && next->endpoint_of_station == NULL
               ? err_set(ret_err, ERR_MEMORY, "no memory to reload")
               : result;
}

/* From here on everything is the next one's; nothing in it can fail but models, which then are told
 * as failed and stay away. */
static void adopt(struct parts *parts, struct loaded *next, struct operators *operators,
                  const struct site_moves *moves, bool *unreachable) {
    struct loaded *old = parts->now;
    struct err err = {0};
    struct loggers *loggers = NULL;
    pipeline_succeed(next->pipeline, old->pipeline, moves->points);
    parts->models = models_destroy(parts->models);
    parts->now = next;
    (void)operators_destroy(parts->operators);
    parts->operators = operators;
    parts->desk.operators = operators;
    parts->desk.view.site = next->site;
    parts->desk.view.pipeline = next->pipeline;
    parts->desk.view.endpoint_of_station = next->endpoint_of_station;
    monitor_move_stations(parts->monitor, old->site, moves->stations, unreachable);
    if (create_loggers(parts, next, &loggers, &err) != 0) {
        log_event(parts->log, LOG_LEVEL_ERROR, "loggers_failed", "", log_text("why", err.text));
    } else if (parts->loggers != NULL) {
        loggers_succeed(loggers, parts->loggers, moves->stations);
    }
    (void)loggers_destroy(parts->loggers);
    parts->loggers = loggers;
    parts->desk.view.loggers = loggers;
    if (create_models(parts, &err) != 0) {
        log_event(parts->log, LOG_LEVEL_ERROR, "models_failed", "", log_text("why", err.text));
    }
    raise_descriptor_limit(parts);
    lint_loads(parts, NULL);
    lint_loggers(parts->now->site, log_logger_cost, parts);
    (void)free_loaded(old);
}

/* All or nothing: on failure the old configuration goes on as if nothing had been. */
static int reload(struct parts *parts, struct acquisition_reloaded *ret_reloaded,
                  struct err *ret_err) {
    struct loaded *next = calloc(1, sizeof *next);
    struct site_moves moves = {.stations = NULL};
    struct acquisition_reload *acquisition = NULL;
    struct operators *operators = NULL;
    bool *unreachable = NULL;
    int result = next == NULL ? err_set(ret_err, ERR_MEMORY, "no memory to reload")
                              : load_next(parts, next, ret_err);
    result = result == 0
                 ? operators_create(next->site, parts->line.credentials, &operators, ret_err)
                 : result;
    if (result == 0) {
        unreachable = calloc(next->site->station_count + 1, sizeof *unreachable);
        result = unreachable == NULL ? ERR_MEMORY
                                     : site_moves_init(parts->now->site, next->site, &moves);
        result = result == 0 ? 0 : err_set(ret_err, result, "no memory to reload");
    }
    if (result == 0) {
        struct acquisition_options options = acquisition_options_of(parts, next);
        struct acquisition_moves acquisition_moves = {.points = moves.points,
                                                      .stations = moves.stations};
        result = acquisition_prepare(parts->acquisition, &options, &acquisition_moves, &acquisition,
                                     ret_err);
    }
    result = result == 0 ? pipeline_save(parts->now->pipeline, ret_err) : result;
    result = result == 0 ? create_pipeline(parts, next, ret_err) : result;
    if (result == 0) {
        if (parts->loggers != NULL) {
            loggers_pause(parts->loggers);
        }
        *ret_reloaded = acquisition_commit(acquisition, parts, pipeline_last_seqs(next->pipeline));
        adopt(parts, next, operators, &moves, unreachable);
    } else {
        (void)acquisition_abandon(acquisition);
        (void)operators_destroy(operators);
        (void)free_loaded(next);
        free(unreachable);
    }
    site_moves_finish(&moves);
    return result;
}

static json_t *on_reload(void *ctx, const char *actor, struct err *ret_err) {
    struct parts *parts = ctx;
    struct acquisition_reloaded reloaded;
    if (reload(parts, &reloaded, ret_err) != 0) {
        log_event(parts->log, LOG_LEVEL_ERROR, "reload_refused", actor,
                  log_text("why", ret_err->text));
        return NULL;
    }
    log_event(parts->log, LOG_LEVEL_INFO, "reloaded", actor,
              log_int("stations", (int64_t)parts->now->site->station_count),
              log_int("endpoints_kept", (int64_t)reloaded.kept),
              log_int("endpoints_opened", (int64_t)reloaded.opened),
              log_int("endpoints_closed", (int64_t)reloaded.closed));
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "stations",
                     (json_int_t)parts->now->site->station_count, "rules",
                     (json_int_t)parts->now->site->rule_count, "endpoints_kept",
                     (json_int_t)reloaded.kept, "endpoints_opened", (json_int_t)reloaded.opened,
                     "endpoints_closed", (json_int_t)reloaded.closed);
}

static void on_hangup(void *ctx, int signal_number) {
    struct err err = {0};
    (void)signal_number;
    json_decref(on_reload(ctx, "SIGHUP", &err)); /* told in the log, either way */
}

static void stop(struct parts *parts) {
    parts->models = models_destroy(parts->models);
    parts->command_feed = command_feed_destroy(parts->command_feed);
    parts->web = web_destroy(parts->web);
    parts->operators = operators_destroy(parts->operators);
    parts->control = control_destroy(parts->control);
    parts->loggers = loggers_destroy(parts->loggers);
    parts->monitor = monitor_destroy(parts->monitor);
    parts->acquisition = acquisition_destroy(parts->acquisition);
    if (parts->now != NULL) {
        parts->now->pipeline = pipeline_destroy(parts->now->pipeline);
    }
    desk_end(&parts->desk);
    parts->delivery = delivery_destroy(parts->delivery, FLUSH_MS);
    parts->store = store_close(parts->store);
    parts->health = health_destroy(parts->health);
    for (size_t i = 0; i < 3; i++) {
        parts->signals[i] = loop_watch_close(parts->signals[i]);
    }
    parts->loop = loop_destroy(parts->loop);
    parts->log = log_destroy(parts->log);
    parts->log_clock = clock_destroy(parts->log_clock);
    parts->clock = clock_destroy(parts->clock);
    parts->now = free_loaded(parts->now);
}

static int run(struct parts *parts) {
    struct err err = {0};
    if (parts->now->site->settings.exercise_only && !parts->line.exercise) {
        fprintf(
            stderr,
            "canhbaod: the stations of this site are simulated: it runs only with --exercise\n");
        return EXIT_USAGE;
    }
    if (command_line_apply(&parts->line, parts->now->site, &err) != 0) {
        fprintf(stderr, "canhbaod: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (start(parts, &err) != 0) {
        fprintf(stderr, "canhbaod: cannot start: %s\n", err.text);
        return EXIT_FAILED;
    }
    parts->desk.reload = on_reload;
    parts->desk.reload_ctx = parts;
    parts->desk.what_if = on_what_if;
    parts->desk.what_if_ctx = parts;
    if (loop_watch_signal(parts->loop, SIGHUP, on_hangup, parts, &parts->signals[2]) != 0) {
        fputs("canhbaod: cannot start: no memory\n", stderr);
        return EXIT_FAILED;
    }
    lint_loads(parts, NULL);
    lint_loggers(parts->now->site, log_logger_cost, parts);
    acquisition_start(parts->acquisition);
    struct pipeline_counters counters = pipeline_counters(parts->now->pipeline);
    log_event(parts->log, LOG_LEVEL_INFO, "started", parts->now->site->settings.id,
              log_text("version", CANHBAO_VERSION),
              log_text("status", message_status_name(parts->desk.view.messages.status)),
              log_int("stations", (int64_t)parts->now->site->station_count),
              log_int("rules", (int64_t)parts->now->site->rule_count),
              log_real("away_s", (double)counters.gap_us / 1e6),
              log_int("inputs_replayed", (int64_t)counters.replayed));
    (void)sd_notify(0, "READY=1"); /* without systemd it does nothing */
    int result = loop_run(parts->loop);
    (void)sd_notify(0, "STOPPING=1");
    return result == 0 ? EXIT_DONE : EXIT_FAILED;
}

int main(int argc, char **argv) {
    struct parts parts = {.now = NULL};
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
    parts.now = calloc(1, sizeof *parts.now);
    int result = parts.now == NULL ? EXIT_FAILED : load_site(&parts, &parts.now->site, tell_stderr);
    if (result == EXIT_DONE) {
        result = parts.line.action == ACTION_CHECK          ? say_what_is_in(&parts)
                 : parts.line.action == ACTION_PRINT_CONFIG ? print_config(&parts)
                                                            : run(&parts);
    }
    stop(&parts);
    return result;
}
