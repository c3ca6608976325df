/* A site: everything that the configuration says, checked and typed.
 *
 * A site is a folder:
 *   canhbao.yaml      settings, scales, areas, products; may also hold `stations` and `rules`
 *   stations/ID.yaml  one station a file, the file is named like its id
 *   rules/ID.yaml     one rule a file, likewise
 *   areas/ID.geojson  polygons, named by canhbao.yaml
 * Other files in the folders (but README*, hidden files and editors' "~" copies) are refused, so
 * that a misspelt ending cannot make a rule vanish.
 *
 * The canonical dump (site_print) is one canhbao.yaml that loads to the same site, while it is
 * within the bounds of a file and names no secret. A change of the files takes effect at the
 * next start or reload (site_moves.h). Thread rule: constant after load. */
#ifndef CANHBAO_CONFIG_SITE_H
#define CANHBAO_CONFIG_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "alerts/alerting.h"
#include "alerts/kafka.h"
#include "alerts/rule.h"
#include "daemon/config/errors.h"
#include "daemon/control/control.h"
#include "daemon/engine.h"
#include "daemon/station/station.h"
#include "daemon/station/units.h"
#include "daemon/store/store.h"
#include "daemon/web/web.h"
#include "drivers/modbus/config.h"
#include "drivers/modbus/logger.h"

enum {
    SITE_PATH_SIZE = 256,
    SITE_STATIONS_MAX = 20000,
    SITE_POINTS_MAX = 100000,
    SITE_AREAS_MAX = 1024,
    SITE_SCALES_MAX = 64,
    SITE_RULES_MAX = 1024,
    SITE_OPERATORS_MAX = 64,
    SITE_PRODUCTS_MAX = 32,
    SITE_WINDOWS_MAX = 8,
    SITE_LEADS_MAX = 32,
    SITE_TRIGGERS_MAX = 8,
    SITE_SERIES_MAX = 64,
    SITE_ARGUMENTS_MAX = 32,
    SITE_ARGUMENT_SIZE = 256,
    SITE_WINDOW_FILES_MAX = 990, /* of a product's longest window; jobs.h takes 1000 with spare */
    SITE_FILES_MAX = 20000       /* of one folder */
};

enum site_security { SECURITY_PLAINTEXT, SECURITY_SSL, SECURITY_SASL_PLAINTEXT, SECURITY_SASL_SSL };
enum site_mechanism { MECHANISM_NONE, MECHANISM_PLAIN, MECHANISM_SCRAM_256, MECHANISM_SCRAM_512 };

struct site_kafka {
    bool enabled;
    char brokers[SITE_PATH_SIZE]; /* "host:port,host:port" */
    char client_id[STATION_ID_SIZE];
    char topic_prefix[STATION_ID_SIZE];
    enum site_security security;
    enum site_mechanism sasl_mechanism;
    char sasl_username[STATION_NAME_SIZE];
    char sasl_password[STATION_ID_SIZE]; /* name of a credential file */
    char ssl_ca_file[SITE_PATH_SIZE];
    char ssl_certificate_file[SITE_PATH_SIZE];
    char ssl_key_file[SITE_PATH_SIZE];
    char ssl_key_password[STATION_ID_SIZE]; /* name of a credential file */
    int64_t message_timeout_us;
    bool commands; /* take them from the command topic */
    bool create_topics;
};

struct site_settings {
    char id[STATION_ID_SIZE]; /* names this node in messages */
    char name_vi[STATION_NAME_SIZE];
    char name_en[STATION_NAME_SIZE];
    char note[STATION_SOURCE_SIZE];
    bool provisional;
    int32_t utc_offset_min; /* local time for people */
    bool exercise_only;     /* the daemon must refuse to run this site but as an exercise */
    char state_dir[SITE_PATH_SIZE];
    char tables_dir[SITE_PATH_SIZE]; /* "": beside the program */
    struct store_config store;
    struct site_kafka kafka;
    bool web_enabled;
    struct web_config web;
    struct control_config control;
    uint32_t connects_per_s; /* see struct acquisition_options */
    char listen_host[STATION_ID_SIZE];
};

/* How a station is reached; parallel to site.stations. */
struct site_link {
    struct modbus_endpoint_config endpoint; /* id, units: not used here */
    uint8_t unit;
    uint16_t gap_registers, registers_max; /* see struct modbus_unit_config */
};

/* What starts a run of a product without an inbox; each part may be unset. */
struct site_triggers {
    char products[SITE_TRIGGERS_MAX][STATION_ID_SIZE]; /* one of these has a new output */
    uint32_t product_count;
    int64_t every_us; /* on this grid of scenario time; 0: not by time */
    bool readings;    /* a new reading of a point of the series */
    bool request;     /* somebody asks (runs_ask()); then nothing else starts it */
    /* A gate: a run at once when an alarm of one of these rules begins, and the other triggers
     * count only while one stands. */
    char alarms[SITE_TRIGGERS_MAX][STATION_ID_SIZE];
    uint32_t alarm_count;
    int64_t min_interval_us; /* between two starts */
};

/* A product: a model that runs on every file of an inbox folder, or is started by its triggers. */
struct site_product {
    char id[STATION_ID_SIZE];
    char model[STATION_ID_SIZE];    /* of canhbao-model */
    char inbox[SITE_PATH_SIZE];     /* folder; absolute, or below the state folder; empty: none */
    char variable[STATION_ID_SIZE]; /* in the files; may be empty: the model finds it */
    double wet_above_mm_h;          /* rain_covered: share of the area with more than this */
    int64_t windows_us[SITE_WINDOWS_MAX]; /* accumulations, ascending */
    uint32_t window_count;
    int64_t leads_us[SITE_LEADS_MAX]; /* 0 and forecasts, ascending */
    uint32_t lead_count;
    double min_coverage; /* share of an area; below: unknown */
    int64_t period_us;   /* between two files or runs */
    int64_t stale_after_us;
    int64_t deadline_us;  /* of one run, real time */
    int64_t memory_bytes; /* of one run */
    uint32_t keep;        /* runs whose outputs are kept */
    struct site_triggers triggers;
    char series_points[SITE_SERIES_MAX][2 * STATION_ID_SIZE]; /* "STATION/POINT"; station "*": all
                                                                 that have the point */
    uint32_t series_count;
    int64_t series_window_us;
    char arguments[SITE_ARGUMENTS_MAX][SITE_ARGUMENT_SIZE]; /* see daemon/run_arguments.h */
    uint32_t argument_count;
    char skill_of[STATION_ID_SIZE]; /* product whose verification speaks for this one too */
    bool provisional;
};

/* Who may give commands over HTTP. */
struct site_operator {
    char name[STATION_ID_SIZE];
    char token[STATION_ID_SIZE]; /* name of a credential file */
};

struct site {
    char dir[SITE_PATH_SIZE];
    struct site_settings settings;
    struct station *stations;
    struct site_link *links; /* parallel to stations */
    size_t station_count;
    struct point *points;    /* those of a station stand together */
    struct modbus_map *maps; /* parallel to points */
    size_t point_count;
    struct logger *loggers; /* in the order of their stations; see site_logger_of() */
    size_t logger_count;
    struct area *areas; /* file: path as it can be opened */
    size_t area_count;
    struct scale *scales;
    size_t scale_count;
    struct rule *rules;
    size_t rule_count;
    struct alerting alerting;
    struct site_operator *operators;
    size_t operator_count;
    struct site_product *products;
    size_t product_count;

    struct modbus_config modbus; /* made of links and maps, checked */
    struct modbus_endpoint_config *endpoints;
    struct modbus_unit_config *units;
    struct modbus_map *unit_maps;
};

/* Loads and checks a folder. `units` is used during the call only. On failure every fault found
 * (up to the bound of the list) is in errors and nothing is returned. */
int site_load(const char *dir, const struct units *units, struct site **ret_site,
              struct config_errors *errors);
struct site *site_destroy(struct site *site); /* NULL is fine; returns NULL */

/* How a run of this status is to alert: a drill or test waits for nobody's approval, unless the
 * site says that exercises do. Pointers into the site. */
struct alerting site_alerting(const struct site *site, bool drill);
/* The site as the engine needs it; its arrays are the site's. `alerting` must stay, or is NULL. */
struct engine_site site_for_engine(const struct site *site, const struct alerting *alerting);

/* The canonical dump: all settings with their defaults, stations, areas, rules; secrets masked.
 * The same site gives the same bytes. */
void site_print(const struct site *site, FILE *file);

/* What a rule's revision is the hash of: the rule as in the dump, the rows of tables and the alarm
 * levels that it stands on. ret_text is from malloc(). ERR_MEMORY. */
int site_rule_text(const struct site *site, const struct rule *rule, char **ret_text,
                   size_t *ret_length);

/* Load above which the site warns: the rest is for what is not planned, retries and reconnects. */
#define SITE_LOAD_WARN 0.8
/* The worst case of an endpoint, see modbus_plan_load(). ERR_MEMORY. */
int site_endpoint_load(const struct site *site, size_t endpoint, double *ret_load,
                       size_t *ret_requests);
/* The endpoint that a station shares; never NULL for a site that was loaded. */
const struct modbus_endpoint_config *site_endpoint_of(const struct site *site, size_t station);

/* What the station's logger tells of itself; NULL: nothing. Addresses are as they were written. */
const struct logger *site_logger_of(const struct site *site, size_t station);

/* Calls visit (may be NULL) with the index of every point that "STATION/POINT" or "*" "/POINT"
 * means; returns how many. */
size_t site_visit_series_points(const struct site *site, const char *text,
                                void (*visit)(void *ctx, uint32_t point), void *ctx);

/* One line for everything that is provisional, with the reason (the points of a provisional station
 * not one by one). */
void site_print_provisional(const struct site *site, FILE *file);
/* Every row of a table that a rule stands on and that is out of force at `now` or will be within
 * SITE_VALIDITY_DAYS, one a line. */
enum { SITE_VALIDITY_DAYS = 180 };
void site_print_validity(const struct site *site, struct utc_us now, FILE *file);

/* The reference page: every option of every file. */
void site_print_options(FILE *file);

/* What alerts/kafka.h wants; pointers into the site and into `paths`, which receives the files of
 * the credentials below `credentials_dir` (NULL: none given). ERR_NOT_FOUND when a credential is
 * named but there is no folder. */
struct site_kafka_paths {
    char sasl_password[2 * SITE_PATH_SIZE], ssl_key_password[2 * SITE_PATH_SIZE];
};
int site_kafka_config(const struct site *site, const char *credentials_dir,
                      struct site_kafka_paths *ret_paths, struct kafka_config *ret_config,
                      struct err *ret_err);

#endif
