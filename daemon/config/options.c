#include "daemon/config/options.h"

#include <math.h>
#include <stddef.h>

#include "daemon/config/site.h"

#define MEMBER(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define GROUP(rows)          .options = (rows), .count = sizeof(rows) / sizeof((rows)[0])
#define SECTION(key, default_text, text)                                                           \
    { .name = (key), .type = OPTION_SECTION, .preset = (default_text), .help = (text) }

/* ---- canhbao.yaml ---- */

static const struct option root_rows[] = {
    SECTION("site", NULL, "What this site is."),
    SECTION("store", "", "The daemon's own file."),
    SECTION("kafka", "", "Delivery."),
    SECTION("web", "", "The HTTP interface."),
    SECTION("control", "", "The control socket."),
    SECTION("acquisition", "", "What all connections to stations share."),
    SECTION("scales", "", "The scales that rules grade on, with the names of their levels."),
    SECTION("areas", "", "Polygons that models and rules speak of."),
    SECTION("products", "", "Models and what starts them."),
    SECTION("stations", "",
            "Stations, as in stations/ID.yaml; the canonical dump writes them here."),
    SECTION("rules", "", "Rules, as in rules/ID.yaml; the canonical dump writes them here."),
    SECTION("approval", "", "Who lets a message go public."),
    SECTION("incidents", "", "When an incident ends."),
    SECTION("notices", "", "How often people are called."),
    SECTION("contacts", "", "People who may be called."),
    SECTION("on_call", "", "Who has which role when."),
    SECTION("escalation", "", "Whom to call when an alarm stays unacknowledged."),
};
const struct option_group group_root = {
    .path = "canhbao.yaml", .help = "The sections of the main file.", GROUP(root_rows)};

#define S(member) MEMBER(struct site_settings, member)
static const struct option site_rows[] = {
    {"id", OPTION_ID, NULL, .help = "Names this node in every message.", S(id)},
    SECTION("name", NULL, "The name for people, keys vi and en."),
    {"note", OPTION_TEXT, "", .help = "Shown by status.", S(note)},
    {"provisional", OPTION_BOOL, "false",
     .help = "The whole site is an assumption or a demonstration.", S(provisional)},
    {"utc_offset_min", OPTION_INT, "420", .min = -720, .max = 840,
     .help = "Local time in texts for people, minutes ahead of UTC.", S(utc_offset_min)},
    {"exercise_only", OPTION_BOOL, "false",
     .help =
         "The daemon refuses to run this site but with --exercise: for sites whose stations are "
         "simulated.",
     S(exercise_only)},
    {"state_dir", OPTION_PATH, "/var/lib/canhbaod",
     .help = "Folder of the daemon's file, inboxes and quarantine.", S(state_dir)},
    {"tables", OPTION_PATH, "",
     .help = "Folder of the legal tables (CSV). Left out: those that came with the program.",
     S(tables_dir)},
};
const struct option_group group_site = {
    .path = "canhbao.yaml site", .help = "What this site is.", GROUP(site_rows)};

static const struct option site_name_rows[] = {
    {"vi", OPTION_TEXT, NULL, .help = "In Vietnamese.", S(name_vi)},
    {"en", OPTION_TEXT, NULL, .help = "In English.", S(name_en)},
};
const struct option_group group_site_name = {
    .path = "canhbao.yaml site.name", .help = "The name for people.", GROUP(site_name_rows)};

static const struct option store_rows[] = {
    {"ballast_bytes", OPTION_INT, "16777216", .min = 1048576, .max = 1073741824,
     .help = "Size of a file that is given back when the disk is full.", S(store.ballast_bytes)},
    {"group_bytes", OPTION_INT, "16777216", .min = 1048576, .max = 1073741824,
     .help = "Bound of what may wait in memory for a commit.", S(store.group_bytes)},
    {"readings_keep", OPTION_DURATION, "400 d", .min = 86400, .max = 315576000,
     .help = "How long readings are kept.", S(store.readings_keep_us)},
    {"events_keep", OPTION_DURATION, "3650 d", .min = 86400, .max = 315576000,
     .help = "How long events and the audit trail are kept.", S(store.events_keep_us)},
    {"journal_keep", OPTION_DURATION, "7 d", .min = 3600, .max = 315576000,
     .help = "How long the engine's inputs are kept for replay.", S(store.journal_keep_us)},
    {"observations_max", OPTION_INT, "100000", .min = 100, .max = 10000000,
     .help = "Undelivered observations kept; the oldest beyond are shed. Alerts never are.",
     S(store.observations_max)},
    {"file_bytes_max", OPTION_INT, "0", .min = 0, .max = 1099511627776,
     .help = "Bound of the file; 0 for none.", S(store.file_bytes_max)},
};
const struct option_group group_store = {
    .path = "canhbao.yaml store", .help = "The daemon's own file.", GROUP(store_rows)};

static const char *const securities[] = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl", NULL};
static const char *const mechanisms[] = {"none", "plain", "scram-sha-256", "scram-sha-512", NULL};
static const struct option kafka_rows[] = {
    {"enabled", OPTION_BOOL, "true",
     .help = "Without it alerts stay in the outbox until it is switched on.", S(kafka.enabled)},
    {"brokers", OPTION_TEXT, "127.0.0.1:9092", .help = "HOST:PORT, several with commas between.",
     S(kafka.brokers)},
    {"client_id", OPTION_ID, "canhbaod", .help = "Shown in the broker's logs.", S(kafka.client_id)},
    {"topic_prefix", OPTION_TEXT, "canhbao.", .help = "Front of every topic's name.",
     S(kafka.topic_prefix)},
    {"security", OPTION_CHOICE, "plaintext", .choices = securities, .help = "Of the connection.",
     S(kafka.security)},
    {"sasl_mechanism", OPTION_CHOICE, "none", .choices = mechanisms,
     .help = "How the daemon proves who it is.", S(kafka.sasl_mechanism)},
    {"sasl_username", OPTION_TEXT, "", .help = "With a mechanism.", S(kafka.sasl_username)},
    {"sasl_password", OPTION_CREDENTIAL, "", .flags = OPTION_SECRET,
     .help = "Name of the credential file that holds the password.", S(kafka.sasl_password)},
    {"ssl_ca_file", OPTION_PATH, "", .help = "Certificates that are trusted.",
     S(kafka.ssl_ca_file)},
    {"ssl_certificate_file", OPTION_PATH, "", .help = "The daemon's own certificate.",
     S(kafka.ssl_certificate_file)},
    {"ssl_key_file", OPTION_PATH, "", .help = "The key of that certificate.",
     S(kafka.ssl_key_file)},
    {"ssl_key_password", OPTION_CREDENTIAL, "", .flags = OPTION_SECRET,
     .help = "Name of the credential file that holds the key's password.",
     S(kafka.ssl_key_password)},
    {"message_timeout", OPTION_DURATION, "5 min", .min = 5, .max = 86400,
     .help = "A message is tried again with a new producer afterwards; it is never dropped.",
     S(kafka.message_timeout_us)},
    {"commands", OPTION_BOOL, "false",
     .help =
         "Take commands from the topic command.v1. Who may write there may give them: guard it by "
         "access lists.",
     S(kafka.commands)},
    {"create_topics", OPTION_BOOL, "false",
     .help = "Ask the broker to make missing topics, kept as consumers rely on them; for "
             "demonstrations and small sites. Otherwise they must be there: what is for a missing "
             "one waits.",
     S(kafka.create_topics)},
};
const struct option_group group_kafka = {
    .path = "canhbao.yaml kafka", .help = "Delivery to Apache Kafka.", GROUP(kafka_rows)};

static const struct option web_rows[] = {
    {"enabled", OPTION_BOOL, "true", .help = "Serve HTTP at all.", S(web_enabled)},
    SECTION("operators", "", "Who may give commands over HTTP."),
    {"host", OPTION_TEXT, "127.0.0.1",
     .help =
         "Numeric address to bind to. Reading needs no authentication and there is no TLS: another "
         "one than loopback belongs behind a proxy that has both.",
     S(web.host)},
    {"port", OPTION_INT, "8460", .min = 0, .max = 65535, .help = "0 for any free one.",
     S(web.port)},
    {"connections_max", OPTION_INT, "64", .min = 4, .max = 4096, .help = "Open at a time.",
     S(web.connections_max)},
};
const struct option_group group_web = {
    .path = "canhbao.yaml web", .help = "The HTTP interface.", GROUP(web_rows)};

static const struct option control_rows[] = {
    {"path", OPTION_PATH, "/run/canhbaod/control.sock", .help = "Of the socket.", S(control.path)},
    {"operators_group", OPTION_TEXT, "",
     .help = "Unix group whose members may acknowledge, shelve and so on.",
     S(control.operators_group)},
    {"viewers_group", OPTION_TEXT, "", .help = "Unix group whose members may look.",
     S(control.viewers_group)},
    {"clients_max", OPTION_INT, "32", .min = 2, .max = 1024, .help = "Connected at a time.",
     S(control.clients_max)},
};
static const struct option acquisition_rows[] = {
    {"connects_per_s", OPTION_INT, "500", .min = 1, .max = 100000,
     .help = "New connections of all stations together, in a second: a fleet whose network comes "
             "back does not connect all at once.",
     S(connects_per_s)},
    {"listen_host", OPTION_TEXT, "127.0.0.1",
     .help = "Numeric address that stations with an identity dial in to. Another one than loopback "
             "is a deliberate step: whoever reaches the port can pass for a station.",
     S(listen_host)},
};
const struct option_group group_acquisition = {.path = "canhbao.yaml acquisition",
                                               .help = "What all connections to stations share.",
                                               GROUP(acquisition_rows)};

const struct option_group group_control = {.path = "canhbao.yaml control",
                                           .help = "The control socket of canhbaoctl.",
                                           GROUP(control_rows)};
#undef S

static const char *const scale_kinds[] = {"flood_alarm", "risk", "own", NULL};
static const struct option scale_rows[] = {
    {"id", OPTION_ID, NULL, .help = "How rules name it.", MEMBER(struct scale, id)},
    {"kind", OPTION_CHOICE, NULL, .choices = scale_kinds,
     .help = "flood_alarm: levels I to III of Decision 05/2020/QD-TTg. risk: levels 1 to 5 of "
             "Decision 18/2021/QD-TTg. own: of the quantity itself. The id of a legal scale is its "
             "kind.",
     MEMBER(struct scale, kind)},
    SECTION("name", NULL, "The name for people, keys vi and en."),
    SECTION("levels", NULL, "List of names, each with keys vi and en; the lowest level first."),
};
const struct option_group group_scale = {
    .path = "canhbao.yaml scales[]", .help = "A scale that rules grade on.", GROUP(scale_rows)};
static const struct option scale_name_rows[] = {
    {"vi", OPTION_TEXT, NULL, .help = "In Vietnamese.", MEMBER(struct scale, name_vi)},
    {"en", OPTION_TEXT, NULL, .help = "In English.", MEMBER(struct scale, name_en)},
};
const struct option_group group_scale_name = {
    .path = "canhbao.yaml scales[].name", .help = "The name for people.", GROUP(scale_name_rows)};
static const struct option level_name_rows[] = {
    {"vi", OPTION_TEXT, NULL, .help = "In Vietnamese.", MEMBER(struct level_name, name_vi)},
    {"en", OPTION_TEXT, NULL, .help = "In English.", MEMBER(struct level_name, name_en)},
};
const struct option_group group_level_name = {.path = "canhbao.yaml scales[].levels[]",
                                              .help = "The name of a level.",
                                              GROUP(level_name_rows)};

static const struct option area_rows[] = {
    {"id", OPTION_ID, NULL,
     .help = "The id of the polygon in its file (but see feature); the Kafka key.",
     MEMBER(struct area, id)},
    SECTION("name", NULL, "The name for people, keys vi and en."),
    {"file", OPTION_PATH, NULL, .help = "GeoJSON (RFC 7946), below the site's folder or absolute.",
     MEMBER(struct area, file)},
    {"feature", OPTION_ID, "",
     .help =
         "Id of the outline in the file when it is another: a class of cells (areal --classes), "
         "hill.steep, has that of its polygon, hill.",
     MEMBER(struct area, feature)},
    {"group", OPTION_ID, "",
     .help = "Of incidents, as that of stations; without it the area stands alone.",
     MEMBER(struct area, group)},
    {"provisional", OPTION_BOOL, "false", .help = "The outline is an assumption.",
     MEMBER(struct area, provisional)},
    {"communes", OPTION_TEXT, "",
     .help = "Names from the table communes with ';' between: whom an alert here is for (CAP "
             "geocodes).",
     MEMBER(struct area, communes)},
};
const struct option_group group_area = {.path = "canhbao.yaml areas[]",
                                        .help = "A polygon that models and rules speak of.",
                                        GROUP(area_rows)};
static const struct option area_name_rows[] = {
    {"vi", OPTION_TEXT, NULL, .help = "In Vietnamese.", MEMBER(struct area, name_vi)},
    {"en", OPTION_TEXT, NULL, .help = "In English.", MEMBER(struct area, name_en)},
};
const struct option_group group_area_name = {
    .path = "canhbao.yaml areas[].name", .help = "The name for people.", GROUP(area_name_rows)};

#define P(member) MEMBER(struct site_product, member)
static const struct option product_rows[] = {
    {"id", OPTION_ID, NULL, .help = "How rules name it.", P(id)},
    {"model", OPTION_ID, NULL,
     .help = "Which model of canhbao-model runs. With an inbox: areal or nwp.", P(model)},
    {"inbox", OPTION_PATH, "",
     .help = "Folder that is watched for complete files (renamed into it); absolute, or below the "
             "state folder. Without one the triggers say when the model runs.",
     P(inbox)},
    {"variable", OPTION_TEXT, "", .help = "Variable in the files; without it the model finds it.",
     P(variable)},
    {"wet_above", OPTION_QUANTITY, "0.1 mm/h", .unit = "mm/h", .min = 0, .max = 1000,
     .help = "rain_covered is the share of the area with more than this.", P(wet_above_mm_h)},
    SECTION("windows", "",
            "List of durations, ascending multiples of the period: accumulations that are made."),
    SECTION("leads", "",
            "List of durations, ascending, that rules may ask for: 0 s, the analysis, and how far "
            "ahead. With an inbox: multiples of the period."),
    {"min_coverage", OPTION_NUMBER, "0.8", .min = 0.01, .max = 1,
     .help = "Share of an area and window that must have data; below: unknown.", P(min_coverage)},
    {"period", OPTION_DURATION, NULL, .min = 1, .max = 86400,
     .help = "Between two files, or how often a run is expected.", P(period_us)},
    {"stale_after", OPTION_DURATION, NULL, .min = 1, .max = 604800,
     .help = "No newer data for so long raises a condition; a run whose data are older is "
             "cancelled.",
     P(stale_after_us)},
    {"deadline", OPTION_DURATION, "60 s", .min = 1, .max = 3600,
     .help = "Of one run; it is killed afterwards.", P(deadline_us)},
    {"memory_bytes", OPTION_INT, "2147483648", .min = 67108864, .max = 68719476736,
     .help = "Address space of one run.", P(memory_bytes)},
    {"keep", OPTION_INT, "20", .min = 1, .max = 1000,
     .help = "Runs whose outputs are kept below the state folder, in products/ID.", P(keep)},
    {"skill_of", OPTION_ID, "",
     .help =
         "Product whose verification speaks for the forecasts of this one too: at leads where it "
         "is worse than persistence they are doubtful.",
     P(skill_of)},
    SECTION("triggers", "", "What starts a run; only without an inbox."),
    SECTION("series", "", "Readings that a run gets as a CSV file, see {series}."),
    SECTION(
        "arguments", "",
        "List of texts: more of the model's command line, split at blanks. They may hold, in "
        "braces: series, stations (where those of the series are and how they count), alarms, "
        "request "
        "(what a person asked; files, only without an inbox); now (time); "
        "site:FILE of the site's folder; product:ID/FILE of the newest run of a product, "
        "products:ID/FILE of all kept ones, frames:ID:N the newest files of its inbox; "
        "previous:FILE of the newest own run; out:FILE to be kept (without an inbox). {?...}: the "
        "whole text is "
        "left out when there is no such file; without it the run waits."),
    {"provisional", OPTION_BOOL, "false", .help = "The input is simulated or an assumption.",
     P(provisional)},
};
#undef P
const struct option_group group_product = {
    .path = "canhbao.yaml products[]",
    .help = "A model that runs on every file of an inbox folder, or by triggers.",
    GROUP(product_rows)};

#define T(member) MEMBER(struct site_product, triggers.member)
static const struct option trigger_rows[] = {
    SECTION("products", "", "List of products: one of them has a new output."),
    {"every", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .max = 604800,
     .help = "On this grid of time.", T(every_us)},
    {"readings", OPTION_BOOL, "false", .help = "A new reading of a point of the series.",
     T(readings)},
    {"request", OPTION_BOOL, "false",
     .help = "A person asks (canhbaoctl what-if); alone, and only of model whatif.", T(request)},
    SECTION("alarms", "",
            "List of rules: a run at once when an alarm of one begins, and other triggers count "
            "only while one stands."),
    {"min_interval", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .max = 604800,
     .help = "Between the starts of two runs.", T(min_interval_us)},
};
#undef T
const struct option_group group_triggers = {
    .path = "canhbao.yaml products[].triggers", .help = "What starts a run.", GROUP(trigger_rows)};

#define S(member) MEMBER(struct site_product, member)
static const struct option series_rows[] = {
    SECTION("points", NULL,
            "List of STATION/POINT; */POINT is that point of every station that has it."),
    {"window", OPTION_DURATION, NULL, .min = 60, .max = 34560000, .help = "How far back.",
     S(series_window_us)},
};
#undef S
const struct option_group group_series = {
    .path = "canhbao.yaml products[].series",
    .help = "Readings of the store as CSV: time,station,point,value,unit,flag,status.",
    GROUP(series_rows)};

/* ---- stations ---- */

static const struct option station_rows[] = {
    {"id", OPTION_ID, NULL, .help = "As the file is named; the Kafka key of its observations.",
     MEMBER(struct station, id)},
    SECTION("name", NULL, "The name for people, keys vi and en."),
    {"kind", OPTION_ID, NULL, .help = "stage, rain, weather, radiation, chemical, or another word.",
     MEMBER(struct station, kind)},
    {"basin", OPTION_ID, "", .help = "River basin, for grouping.", MEMBER(struct station, basin)},
    {"group", OPTION_ID, "",
     .help =
         "Of incidents: alarms of one hazard and one group are one incident. Without it the basin "
         "is the group, without that the station stands alone.",
     MEMBER(struct station, group)},
    SECTION("position", "", "Where it stands; without it the position is unknown."),
    {"provisional", OPTION_BOOL, "false",
     .help = "Position, register map or levels are an assumption; needs a note.",
     MEMBER(struct station, provisional)},
    {"note", OPTION_TEXT, "", .help = "Why provisional, in words.", MEMBER(struct station, note)},
    {"communes", OPTION_TEXT, "",
     .help = "Names from the table communes with ';' between: whom an alert here is for (CAP "
             "geocodes).",
     MEMBER(struct station, communes)},
    SECTION("alarm_levels", "", "Legal alarm levels of the place; without it, it is ungraded."),
    SECTION("connection", NULL, "How the station is reached."),
    SECTION("clock", "", "The device's own clock."),
    SECTION("identity", "", "What tells this device from any other."),
    SECTION("memory", "", "Records that fill holes in the station's readings."),
    SECTION("points", NULL, "What it measures."),
};
const struct option_group group_station = {
    .path = "stations/ID.yaml", .help = "A station.", GROUP(station_rows)};
static const struct option station_name_rows[] = {
    {"vi", OPTION_TEXT, NULL, .help = "In Vietnamese.", MEMBER(struct station, name_vi)},
    {"en", OPTION_TEXT, NULL, .help = "In English.", MEMBER(struct station, name_en)},
};
const struct option_group group_station_name = {
    .path = "stations/ID.yaml name", .help = "The name for people.", GROUP(station_name_rows)};
static const struct option position_rows[] = {
    {"latitude_deg", OPTION_NUMBER, NULL, .min = -90, .max = 90, .help = "WGS 84, north positive.",
     MEMBER(struct station, latitude_deg)},
    {"longitude_deg", OPTION_NUMBER, NULL, .min = -180, .max = 180,
     .help = "WGS 84, east positive.", MEMBER(struct station, longitude_deg)},
    {"radius_km", OPTION_NUMBER, "0", .flags = OPTION_QUIET, .min = 0, .max = 100,
     .help = "How far around it its measurements stand for: the circle of its public messages. 0: "
             "not known, the message has the point.",
     MEMBER(struct station, radius_km)},
};
const struct option_group group_position = {
    .path = "stations/ID.yaml position", .help = "Where the station stands.", GROUP(position_rows)};

#define A(member) MEMBER(struct alarm_levels, member)
static const struct option alarm_level_rows[] = {
    {"scale", OPTION_ID, NULL, .help = "Which scale of canhbao.yaml these are levels of.",
     A(scale)},
    {"unit", OPTION_UNIT, NULL, .help = "Of the levels.", A(unit)},
    {"level_1", OPTION_VALUE, "", .help = "The lowest; may be left out where it is not known.",
     A(at[0])},
    {"level_2", OPTION_VALUE, "", .help = "Higher than the one before.", A(at[1])},
    {"level_3", OPTION_VALUE, "", .help = "Likewise.", A(at[2])},
    {"level_4", OPTION_VALUE, "", .help = "Likewise.", A(at[3])},
    {"level_5", OPTION_VALUE, "", .help = "Likewise.", A(at[4])},
    {"table_row", OPTION_TEXT, "",
     .help =
         "Name of a gauge in the table flood_alarm_levels: levels I to III, the highest flood on "
         "record and their source come from there; one that is given as well must be the same.",
     A(table_row)},
    {"source", OPTION_TEXT, "", .help = "Law, table or bulletin; mandatory without table_row.",
     A(source)},
    {"provisional", OPTION_BOOL, "false", .help = "The levels are not certain.", A(provisional)},
    {"historic_peak", OPTION_VALUE, "",
     .help =
         "The highest flood on record, for Art. 45 in zone KV4; where it is left out, the level "
         "there stays unknown.",
     A(historic_peak)},
    {"historic_source", OPTION_TEXT, "",
     .help = "Who says so; mandatory for a historic_peak that is not of the table.",
     A(historic_source)},
    {"historic_provisional", OPTION_BOOL, "false", .help = "The highest flood is not certain.",
     A(historic_provisional)},
};
#undef A
const struct option_group group_alarm_levels = {.path = "stations/ID.yaml alarm_levels",
                                                .help = "Legal alarm levels of the place.",
                                                GROUP(alarm_level_rows)};

/* In the order of the enums of drivers/modbus/config.h. */
static const char *const framings[] = {"tcp", "rtu", NULL};
static const char *const parities[] = {"none", "even", "odd", NULL};
static const char *const directions[] = {"auto", "kernel", "rts_up", "rts_down", NULL};
static const char *const reply_units[] = {"asked", "0", "255", NULL};
#define L(member) MEMBER(struct site_link, member)
static const struct option connection_rows[] = {
    {"host", OPTION_TEXT, "",
     .help = "Numeric address or name of a Modbus server. One of host, device and identity.",
     L(endpoint.host)},
    {"device", OPTION_TEXT, "",
     .help = "A serial port of this machine. Best a name that stays: /dev/serial/by-id/... or "
             "/dev/serial/by-path/...; a USB adapter that comes back may have another number.",
     L(endpoint.serial.device)},
    {"identity", OPTION_TEXT, "",
     .help = "The station dials in to us: it connects to 'port' and sends this text first (line "
             "ends behind it are skipped). Later repetitions are a sign of life. It is no "
             "secret and proves nothing: let only the stations' network reach the port.",
     L(endpoint.identity)},
    {"port", OPTION_INT, "502", .min = 1, .max = 65535,
     .help = "TCP port of the host; with identity the one that we listen on.", L(endpoint.port)},
    {"framing", OPTION_CHOICE, "tcp", .choices = framings,
     .help = "tcp: Modbus TCP. rtu: the frames of a serial line over TCP, for gateways that only "
             "pass bytes on. A device always has rtu.",
     L(endpoint.framing)},
    {"baud", OPTION_INT, "9600", .min = MODBUS_BAUD_MIN, .max = MODBUS_BAUD_MAX,
     .help = "Of a device: 300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600 or 115200.",
     L(endpoint.serial.baud)},
    {"parity", OPTION_CHOICE, "even", .choices = parities, .help = "Of a device.",
     L(endpoint.serial.parity)},
    {"stop_bits", OPTION_INT, "1", .min = 1, .max = 2,
     .help = "Of a device; the standard wants 2 without parity.", L(endpoint.serial.stop_bits)},
    {"direction", OPTION_CHOICE, "auto", .choices = directions,
     .help = "Who switches an RS-485 device between listening and sending: the adapter, the "
             "kernel's driver, or we by RTS up or down while sending.",
     L(endpoint.serial.direction)},
    {"silent_interval", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .min = 0, .max = 3600,
     .help = "Of a device: least silence between frames. 0: 3.5 characters, 1.75 ms above 19200 "
             "baud.",
     L(endpoint.serial.silent_us)},
    {"unit", OPTION_INT, "1", .min = 0, .max = 255,
     .help = "Unit id: 0 to 247, or 255; on a device 1 to 247.", L(unit)},
    {"request_timeout", OPTION_DURATION, "1 s", .min = 0.01, .max = 3600,
     .help = "From the request to the last byte of its reply.", L(endpoint.request_timeout_us)},
    {"connect_timeout", OPTION_DURATION, "3 s", .min = 0.01, .max = 3600,
     .help = "Name resolution included.", L(endpoint.connect_timeout_us)},
    {"reconnect_min", OPTION_DURATION, "500 ms", .min = 0.01, .max = 3600,
     .help = "First pause after a failure; doubles, with jitter.", L(endpoint.reconnect_min_us)},
    {"reconnect_max", OPTION_DURATION, "1 min", .min = 0.01, .max = 3600,
     .help = "Longest such pause.", L(endpoint.reconnect_max_us)},
    {"probe_min", OPTION_DURATION, "2 s", .min = 0.01, .max = 3600,
     .help = "First pause before a dead unit is asked again.", L(endpoint.probe_min_us)},
    {"probe_max", OPTION_DURATION, "1 min", .min = 0.01, .max = 3600, .help = "Longest such pause.",
     L(endpoint.probe_max_us)},
    {"dead_after", OPTION_INT, "3", .min = 1, .max = 1000,
     .help = "Timeouts in a row until a unit counts as dead.", L(endpoint.dead_after)},
    {"idle_close", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .min = 0, .max = 3600,
     .help = "A connection without a request for so long is closed. 0: never.",
     L(endpoint.idle_close_us)},
    {"connect_pause", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .min = 0, .max = 3600,
     .help = "From the connection to its first request, for devices that need it.",
     L(endpoint.connect_pause_us)},
    {"request_pause", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .min = 0, .max = 3600,
     .help = "From a reply to the next request.", L(endpoint.request_pause_us)},
    {"close_pause", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .min = 0, .max = 3600,
     .help = "From the end of a connection to the next one, for gateways that take one at a time "
             "and need a moment to see its end.",
     L(endpoint.close_pause_us)},
    {"reply_unit", OPTION_CHOICE, "asked", .choices = reply_units,
     .help = "Quirk: answers may also bear this unit id instead of the one asked.",
     L(endpoint.quirks.reply_unit)},
    {"wrong_byte_count", OPTION_BOOL, "false", .flags = OPTION_QUIET,
     .help = "Quirk: the byte count of answers is wrong; their length tells.",
     L(endpoint.quirks.byte_count)},
    {"surplus_bytes", OPTION_BOOL, "false", .flags = OPTION_QUIET,
     .help = "Quirk: bytes stand behind the values (with framing tcp), or behind the frame.",
     L(endpoint.quirks.surplus)},
    {"echo", OPTION_BOOL, "false", .flags = OPTION_QUIET,
     .help = "Quirk: every request comes back before its answer (RS-485 adapters). Only rtu.",
     L(endpoint.quirks.echo)},
    {"close_after_reply", OPTION_BOOL, "false", .flags = OPTION_QUIET,
     .help = "Quirk: the device closes the connection after each reply.",
     L(endpoint.quirks.close_after_reply)},
    {"registers_from_one", OPTION_BOOL, "false", .flags = OPTION_QUIET,
     .help = "Quirk: register.address counts from one, as the device's manual does; the request "
             "has one less.",
     L(endpoint.quirks.address_from_one)},
    {"string_bytes_swapped", OPTION_BOOL, "false", .flags = OPTION_QUIET,
     .help = "Quirk: of a string the second character of each register comes first.",
     L(endpoint.quirks.string_swapped)},
    {"gap_registers", OPTION_INT, "8", .min = 0, .max = 125,
     .help = "Registers that no point wants but that are read along to save a request: at most so "
             "many in a row. 16 coils count as one. Left out, a device has 20.",
     L(gap_registers)},
    {"registers_max", OPTION_INT, "125", .min = 4, .max = 125, .help = "Of one request.",
     L(registers_max)},
};
#undef L
const struct option_group group_connection = {
    .path = "stations/ID.yaml connection",
    .help = "Modbus: over TCP, on a serial line, or from a station that dials in. Stations with "
            "the same host and port, the same device, or the same port and identity share one "
            "connection (one at a time, with one request in flight) and must agree on all but "
            "unit, gap_registers and registers_max.",
    GROUP(connection_rows)};

/* In the order of enum counter_memory. */
static const char *const counter_memories[] = {"kept", "lost", NULL};
static const char *const point_kinds[] = {"instant", "counter", "amount", NULL};
#define P(member) MEMBER(struct point, member)
static const struct option point_rows[] = {
    {"id", OPTION_ID, NULL, .help = "Unique in the station.", P(id)},
    {"quantity", OPTION_ID, NULL, .help = "What is measured; see the list of quantities.",
     P(quantity)},
    {"unit", OPTION_UNIT, NULL,
     .help = "Of the value after scale and offset; must convert to the quantity's.", P(unit)},
    {"kind", OPTION_CHOICE, "instant", .choices = point_kinds,
     .help = "instant: a state. counter: an ever-growing total. amount: since the last reading.",
     P(kind)},
    {"period", OPTION_DURATION, NULL, .min = 0.1, .max = 86400,
     .help = "Between two requests, on a fixed grid.", P(period_us)},
    {"stale_after", OPTION_DURATION, NULL, .min = 0.2, .max = 604800,
     .help = "No newer good reading for so long: knowledge is stale. At least two periods.",
     P(stale_after_us)},
    {"counter_modulus", OPTION_DIFFERENCE, "",
     .help = "The total at which a counter starts again; without it a fall is a reset.",
     P(counter_modulus)},
    {"counter_step_max", OPTION_DIFFERENCE, "",
     .help = "A larger difference of a counter is not believed. Mandatory for counters.",
     P(counter_step_max)},
    {"counter_memory", OPTION_CHOICE, "kept", .flags = OPTION_QUIET, .choices = counter_memories,
     .help = "What becomes of a counter's total when its device restarts. kept: a fall is the "
             "modulus passed, or another device. lost: it begins at 0 again, so that an amount is "
             "unknown wherever a restart could look like it. When in doubt: lost.",
     P(counter_memory)},
    {"counter_epoch", OPTION_ID, "",
     .help = "A point of the same device, at a lower address of the same table and with the same "
             "period, that tells its restarts: of the quantity restarts, serial_number or uptime.",
     P(counter_epoch_id)},
    {"provisional", OPTION_BOOL, "false", .help = "Register map or limits are an assumption.",
     P(provisional)},
    SECTION("register", NULL, "Where the device has it."),
    SECTION("quality", NULL, "Limits of the per-reading tests."),
};
#undef P
const struct option_group group_point = {
    .path = "stations/ID.yaml points[]", .help = "One measured number.", GROUP(point_rows)};

/* In the order of the enums of drivers/modbus/config.h; tables are from 1 there. */
static const char *const tables[] = {"coil", "discrete", "holding", "input", NULL};
static const char *const types[] = {"int16",    "uint16",     "int32",     "uint32",  "float32",
                                    "int64",    "uint64",     "float16",   "float64", "int8_high",
                                    "int8_low", "uint8_high", "uint8_low", "bcd16",   "bcd32",
                                    "bit",      "bits",       NULL};
static const char *const nan_policies[] = {"fault", "no_value", NULL};
static const char *const orders[] = {"ABCD", "CDAB", "BADC", "DCBA", NULL};
#define R(member) MEMBER(struct modbus_map, member)
static const struct option register_rows[] = {
    {"table", OPTION_CHOICE, NULL, .choices = tables,
     .help = "Which of the four tables of the device.", R(table)},
    {"address", OPTION_INT, NULL, .min = 0, .max = 65535,
     .help = "Zero-based, as in the request (register 40001 is 0).", R(address)},
    {"type", OPTION_CHOICE, NULL, .choices = types,
     .help = "How the bytes are read. Coils and discrete inputs are of the type bit. A text is no "
             "reading: the section identity knows it, and canhbaoctl probe --string shows it.",
     R(type)},
    {"order", OPTION_CHOICE, "ABCD", .choices = orders,
     .help = "Of the bytes on the wire, A the most significant: as they are, registers swapped, "
             "bytes of each register swapped, both.",
     R(order)},
    {"bytes", OPTION_TEXT, "",
     .help = "Instead of order, any other permutation: the letters of the value's bytes as they "
             "come over the wire, such as EFGHABCD.",
     R(permutation)},
    {"bit", OPTION_INT, "0", .flags = OPTION_QUIET, .min = 0, .max = 15,
     .help = "Of a register, 0 the least significant: the bit, or the first one of bits.", R(bit)},
    {"bit_count", OPTION_INT, "0", .flags = OPTION_QUIET, .min = 0, .max = 16,
     .help = "Of the type bits: how many.", R(bit_count)},
    {"scale", OPTION_NUMBER, "1", .min = -1e12, .max = 1e12,
     .help = "value = number * scale + offset; not 0.", R(scale)},
    {"offset", OPTION_NUMBER, "0", .min = -1e12, .max = 1e12, .help = "See scale.", R(offset)},
    {"nan", OPTION_CHOICE, "fault", .flags = OPTION_QUIET, .choices = nan_policies,
     .help = "What NaN of a float means: fault (not_a_number), or no_value (as a sentinel), for "
             "devices that say so. Infinities are always a fault.",
     R(nan_policy)},
    {"alone", OPTION_BOOL, "false",
     .help = "In a request of its own, for devices that refuse it together with others.", R(alone)},
    SECTION("sentinels", "",
            "List of up to four numbers before scale and offset that mean: no value."),
};
#undef R
const struct option_group group_register = {.path = "stations/ID.yaml points[].register",
                                            .help = "Where the device has the value.",
                                            GROUP(register_rows)};

/* In the order of enum quality_preset. */
static const char *const quality_presets[] = {"none", "wmo", NULL};
#define Q(member) MEMBER(struct quality_limits, member)
static const struct option quality_rows[] = {
    {"preset", OPTION_CHOICE, "none", .flags = OPTION_QUIET, .choices = quality_presets,
     .help =
         "wmo: hard_min, hard_max and rate_max are those of the WMO guidelines, or ours where "
         "those "
         "have none (then the point is provisional; plausibility.csv names the source of each), "
         "where they are not given here.",
     Q(preset)},
    {"hard_min", OPTION_VALUE, "", .help = "Below: the reading fails. Mandatory without a preset.",
     Q(hard_min)},
    {"hard_max", OPTION_VALUE, "", .help = "Above: the reading fails. Mandatory without a preset.",
     Q(hard_max)},
    {"soft_min", OPTION_VALUE, "", .help = "Below: suspect.", Q(soft_min)},
    {"soft_max", OPTION_VALUE, "", .help = "Above: suspect.", Q(soft_max)},
    {"rate_max", OPTION_RATE, "", .help = "A faster change is suspect.", Q(rate_max_per_s)},
    {"spike_suspect", OPTION_DIFFERENCE, "",
     .help = "Deviation of the middle of three readings from the mean of the others: suspect.",
     Q(spike_suspect)},
    {"spike_fail", OPTION_DIFFERENCE, "", .help = "The same: fail.", Q(spike_fail)},
    {"flat_epsilon", OPTION_DIFFERENCE, "",
     .help = "A smaller change counts as none (flat line test).", Q(flat_epsilon)},
    {"flat_suspect", OPTION_DURATION, "0 s", .flags = OPTION_QUIET,
     .help = "No change for so long: suspect. 0: off.", Q(flat_suspect_us)},
    {"flat_fail", OPTION_DURATION, "0 s", .flags = OPTION_QUIET,
     .help = "No change for so long: fail. 0: off.", Q(flat_fail_us)},
    {"gap", OPTION_DURATION, "0 s", .flags = OPTION_QUIET,
     .help = "After no good reading for so long the next is marked as after a gap. 0: off.",
     Q(gap_us)},
    {"attenuated_suspect", OPTION_DIFFERENCE, "",
     .help = "A smaller range (highest minus lowest) over attenuated_window: suspect.",
     Q(attenuated_suspect)},
    {"attenuated_fail", OPTION_DIFFERENCE, "", .help = "The same: fail.", Q(attenuated_fail)},
    {"attenuated_window", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .max = 2592000,
     .help = "At least 8 periods. 0: off.", Q(attenuated_us)},
    {"neighbour_max", OPTION_DIFFERENCE, "",
     .help =
         "A larger distance from the median of the neighbours (two at least) is suspect. A soft "
         "failure within it of two neighbours is only suspect.",
     Q(neighbour_max)},
    {"neighbour_age", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .max = 86400,
     .help = "Older values of neighbours do not count.", Q(neighbour_age_us)},
    {"neighbour_window", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .max = 604800,
     .help = "Of counters and amounts (rain buckets) what fell over so long is compared; unknown "
             "intervals are not.",
     Q(neighbour_window_us)},
    SECTION("neighbours", "", "List of points of other stations with the same unit."),
    SECTION("cross", "", "List of up to four comparisons with another point."),
    SECTION("months", "", "List of other gross ranges for some months of the year."),
};
#undef Q
const struct option_group group_quality = {
    .path = "stations/ID.yaml points[].quality",
    .help = "Limits of the per-reading tests (QARTOD). Their revision is a hash of all of them.",
    GROUP(quality_rows)};

#define N(member) MEMBER(struct point_ref, member)
static const struct option neighbour_rows[] = {
    {"station", OPTION_ID, NULL, .help = "Another station.", N(station)},
    {"point", OPTION_ID, NULL, .help = "Its point.", N(point)},
};
#undef N
const struct option_group group_neighbour = {
    .path = "stations/ID.yaml points[].quality.neighbours[]",
    .help = "A point that measures the same close by, with an instrument of its own.",
    GROUP(neighbour_rows)};

/* In the order of enum quality_statistic. */
static const char *const statistics[] = {"latest", "rise", "mean", "amount", NULL};
#define C(member) MEMBER(struct quality_cross, member)
static const struct option cross_rows[] = {
    {"value_above", OPTION_VALUE, "", .help = "Looked at while this point is above it ...",
     C(value_above)},
    {"rise_above", OPTION_DIFFERENCE, "",
     .help = "... or while it has risen by more (of a counter or amount: while more fell) ...",
     C(rise_above)},
    {"rise_window", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .max = 604800,
     .help = "... over this time.", C(rise_window_us)},
    {"station", OPTION_ID, "", .help = "Of the other point; left out: the same station.",
     C(other.station)},
    {"point", OPTION_ID, NULL, .help = "The other point.", C(other.point)},
    {"statistic", OPTION_CHOICE, "latest", .choices = statistics,
     .help = "Of the other point over window: its latest value, its rise, its mean, its amount "
             "(counters and amounts).",
     C(statistic)},
    {"window", OPTION_DURATION, NULL, .min = 1, .max = 604800,
     .help = "See statistic; latest: an older value is unknown.", C(window_us)},
    SECTION("other", NULL, "Bounds of the other point's statistic."),
};
#undef C
const struct option_group group_cross = {
    .path = "stations/ID.yaml points[].quality.cross[]",
    .help = "While this point is above a bound, the other one's statistic must lie within bounds "
            "(keys min and max, see below); otherwise the reading is suspect.",
    GROUP(cross_rows)};
#define C(member) MEMBER(struct quality_cross, member)
static const struct option cross_bound_rows[] = {
    {"min", OPTION_VALUE, "", .help = "Lowest value of the statistic, in the other point's unit.",
     C(other_min)},
    {"max", OPTION_VALUE, "", .help = "Highest one.", C(other_max)},
};
#undef C
const struct option_group group_cross_bounds = {
    .path = "stations/ID.yaml points[].quality.cross[].other",
    .help = "Bounds of the other point's statistic; one at least.",
    GROUP(cross_bound_rows)};

#define M(member) MEMBER(struct quality_month, member)
static const struct option month_rows[] = {
    {"hard_min", OPTION_VALUE, "", .help = "As of the year where it is left out.", M(hard_min)},
    {"hard_max", OPTION_VALUE, "", .help = "Likewise.", M(hard_max)},
    {"soft_min", OPTION_VALUE, "", .help = "Likewise.", M(soft_min)},
    {"soft_max", OPTION_VALUE, "", .help = "Likewise.", M(soft_max)},
    SECTION("months", NULL, "List of months, 1 to 12, in local time."),
};
#undef M
const struct option_group group_month = {.path = "stations/ID.yaml points[].quality.months[]",
                                         .help = "Another gross range for some months.",
                                         GROUP(month_rows)};

/* ---- rules ---- */

#define R(member) MEMBER(struct rule, member)
static const struct option rule_rows[] = {
    {"id", OPTION_ID, NULL, .help = "As the file is named.", R(id)},
    {"hazard", OPTION_ID, NULL, .help = "flood, heavy_rain, wind, radiation, chemical, ...",
     R(hazard)},
    SECTION("text", NULL, "What it says, for people, keys vi and en."),
    {"source", OPTION_TEXT, NULL, .help = "Law, table, or that it is an assumption.", R(source)},
    {"provisional", OPTION_BOOL, "false",
     .help = "The source is not certain; shown with every alert.", R(provisional)},
    SECTION("scale", NULL, "The id of a scale of canhbao.yaml."),
    {"trend_deadband", OPTION_DIFFERENCE, "0",
     .help = "Change of the first indicator that still counts as steady.", R(trend_deadband)},
    {"expires_after", OPTION_DURATION, "6 h", .min = 60, .max = 604800,
     .help = "Validity of what is published. Expiry is no all-clear.", R(expires_after_us)},
    {"internal", OPTION_BOOL, "false",
     .help =
         "For the operators only: it makes no public message. With an indicator of silence it is "
         "about the warning system itself, and its alarms at all places are one incident.",
     R(internal)},
    {"incident_with", OPTION_ID, "",
     .help = "Another hazard whose incident in the same group its alarms belong to: what is one "
             "event to people who act on it, as flash floods of one heavy rain.",
     R(incident_with)},
    {"masked_by", OPTION_ID, "",
     .help =
         "Rule whose alarm at the same place (of an area: at the station of the first indicator) "
         "says it already while it is raised: a station that is off gives one alarm.",
     R(masked_by)},
    {"suppressed_by", OPTION_ID, "",
     .help = "Rule whose alarm at the same place makes this one superfluous.", R(suppressed_by)},
    {"suppressed_from", OPTION_INT, "0", .flags = OPTION_QUIET, .min = 0, .max = 5,
     .help = "From which level of that alarm on; mandatory with suppressed_by.",
     R(suppressed_from)},
    {"flap_moves", OPTION_INT, "4", .min = 0, .max = RULE_FLAP_MOVES_MAX,
     .help = "So many moves of the level within flap_window are flapping. 0: never.",
     R(flap_moves)},
    {"flap_window", OPTION_DURATION, "2 h", .min = 1, .max = 604800,
     .help = "Also the off-delay while it flaps, if longer.", R(flap_window_us)},
    {"realert_decay", OPTION_DURATION, "12 h", .max = 2592000,
     .help = "An acknowledgement covers one level less for each such time below the acknowledged "
             "level. 0: as long as the episode lasts.",
     R(realert_decay_us)},
    SECTION("places", NULL, "Where the rule holds."),
    SECTION("indicators", NULL, "The numbers that it compares; the first shows the trend."),
    SECTION("levels", "", "When it has which level; this or levels_from."),
    SECTION("levels_from", "", "The levels of the table of risk levels (Decision 18/2021/QĐ-TTg)."),
};
const struct option_group group_rule = {.path = "rules/ID.yaml",
                                        .help = "When a place has which level on which scale.",
                                        GROUP(rule_rows)};
static const struct option rule_text_rows[] = {
    {"vi", OPTION_TEXT, NULL, .help = "In Vietnamese.", R(text_vi)},
    {"en", OPTION_TEXT, NULL, .help = "In English.", R(text_en)},
};
#undef R
const struct option_group group_rule_text = {
    .path = "rules/ID.yaml text", .help = "What the rule says, for people.", GROUP(rule_text_rows)};

static const struct option place_rows[] = {
    SECTION("stations", "", "List of station ids."),
    SECTION("areas", "", "List of area ids."),
    SECTION("station_kind", "", "All stations of this kind; instead of a list of ids."),
};
const struct option_group group_places = {.path = "rules/ID.yaml places",
                                          .help = "Where the rule holds; at least one place.",
                                          GROUP(place_rows)};

#define I(member) MEMBER(struct indicator_spec, member)
static const struct option indicator_rows[] = {
    SECTION("name", NULL, "How the conditions of this rule call it."),
    {"kind", OPTION_CHOICE, NULL, .choices = indicator_kind_names,
     .help = "latest, rise over the window, accumulation over the window, mean of the window, a "
             "model's output, silence: seconds since the station gave any value, nowcast: the "
             "Nowcast of particulate matter of VN_AQI over 12 h, highest_hour or highest_8h: the "
             "highest mean of an hour or of eight hours running that ends in the window, "
             "lowest_daily_max: the lowest of the daily maxima, what every day of the window "
             "reached, or highest_daily_mean: the highest of the daily means.",
     I(kind)},
    {"point", OPTION_ID, "", .help = "Id of a point of the place (not for model).", I(point)},
    {"station", OPTION_ID, "", .help = "Another station than the place; needed for areas.",
     I(station)},
    {"window", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .max = 2592000,
     .help = "Of rise, accumulation and mean; of nowcast 12 h; of highest_hour and highest_8h "
             "whole hours to 48 h, of the daily ones whole days to 30 d; for model: one of the "
             "product's, 0 "
             "for a rate.",
     I(window_us)},
    {"max_age", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .max = 604800,
     .help = "Older evidence is stale. Points: 0 takes stale_after. Model: mandatory.",
     I(max_age_us)},
    {"min_completeness", OPTION_NUMBER, "0.8", .min = 0.01, .max = 1,
     .help = "Share of the window that must have good evidence.", I(min_completeness)},
    {"product", OPTION_ID, "", .help = "Of a model.", I(product)},
    {"variable", OPTION_ID, "",
     .help =
         "Of a model: of areal rain_mean, rain_max, rain_covered; of others see their --help and "
         "canhbao-model(1).",
     I(variable)},
    {"unit", OPTION_UNIT, "",
     .help = "Of a model's variable: mm h-1 for a rate, mm over a window, 1 for rain_covered.",
     I(unit)},
    {"lead", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .max = 864000,
     .help = "Of a model: one of the product's; 0 is the analysis.", I(lead_us)},
    {"min_lead", OPTION_DURATION, "0 s", .flags = OPTION_QUIET, .max = 864000,
     .help = "A run with less lead left counts as outdated.", I(min_lead_us)},
    {"min_coverage", OPTION_NUMBER, "0", .flags = OPTION_QUIET, .min = 0, .max = 1,
     .help = "Share of the place that must have data; less is unknown.", I(min_coverage)},
    {"min_probability", OPTION_NUMBER, "", .min = 0, .max = 1,
     .help = "A lower one makes every comparison false.", I(min_probability)},
    {"probability", OPTION_NUMBER, "", .min = 0, .max = 1,
     .help = "The value that the model's ensemble reaches or exceeds with this probability, in "
             "place of its single forecast.",
     I(probability)},
};
#undef I
const struct option_group group_indicator = {.path = "rules/ID.yaml indicators[]",
                                             .help = "A number that conditions compare.",
                                             GROUP(indicator_rows)};

static const char *const required[] = {"fresh", "doubtful", NULL};
#define V(member) MEMBER(struct rule_level, member)
static const struct option level_rows[] = {
    {"level", OPTION_INT, NULL, .min = 1, .max = 5, .help = "On the rule's scale.", V(level)},
    SECTION("when", NULL, "The condition."),
    {"on_delay", OPTION_DURATION, "0 s", .max = 86400,
     .help = "True for so long before the level is taken.", V(on_delay_us)},
    {"off_delay", OPTION_DURATION, "30 min", .max = 604800,
     .help = "False for so long, by fresh good evidence, before it is left.", V(off_delay_us)},
    {"required", OPTION_CHOICE, "doubtful", .choices = required,
     .help = "The worst knowledge that may raise the level.", V(required)},
};
#undef V
#define T(member) MEMBER(struct rule_table, member)
static const struct option levels_from_rows[] = {
    {"hazard", OPTION_ID, NULL, .help = "Of the table risk_levels: heavy_rain, flood, ...",
     T(hazard)},
    {"zone", OPTION_TEXT, NULL, .help = "Of the table: mountain_midland, KV1, ...", T(zone)},
    {"susceptibility", OPTION_TEXT, "",
     .help = "low, medium, high or very_high, where the article asks for it (Art. 46).",
     T(susceptibility)},
    SECTION("quantities", NULL, "What stands for each quantity of the hazard's rows."),
    {"on_delay", OPTION_DURATION, "0 s", .max = 86400, .help = "As in levels, of every level.",
     T(delays.on_delay_us)},
    {"off_delay", OPTION_DURATION, "30 min", .max = 604800, .help = "Likewise.",
     T(delays.off_delay_us)},
    {"required", OPTION_CHOICE, "doubtful", .choices = required, .help = "Likewise.",
     T(delays.required)},
};
#undef T
const struct option_group group_levels_from = {
    .path = "rules/ID.yaml levels_from",
    .help = "Every row of the hazard and zone becomes a condition of its level. Between and beyond "
            "the listed bands more never gives a lower level (our rule).",
    GROUP(levels_from_rows)};
#define Y(member) MEMBER(struct rule_quantity, member)
static const struct option quantity_rows[] = {
    {"metric", OPTION_TEXT, NULL, .help = "Of the table: rain_24h_mm, duration_d, stage_m, ...",
     Y(metric)},
    SECTION("indicator", "", "Name of the indicator that measures it."),
    {"assumed", OPTION_NUMBER, "",
     .help = "Instead of an indicator: a fixed value in the unit of the metric. Makes the rule "
             "provisional.",
     Y(assumed)},
    SECTION("hysteresis", "", "Once true, false only this far on the other side, with unit."),
};
#undef Y
const struct option_group group_quantity = {.path = "rules/ID.yaml levels_from.quantities[]",
                                            .help = "One quantity of the table.",
                                            GROUP(quantity_rows)};
const struct option_group group_level = {
    .path = "rules/ID.yaml levels[]", .help = "When the rule has this level.", GROUP(level_rows)};

static const struct option condition_rows[] = {
    SECTION("all", "", "List of conditions: every one."),
    SECTION("any", "", "List of conditions: at least one."),
    SECTION("indicator", "", "Name of an indicator, with one of the next four keys."),
    SECTION(
        "at_least", "",
        "A value with unit; or 'level N': the place's alarm level N; or 'level historic': its "
        "highest flood on record; or "
        "'table NAME ROW COLUMN': a cell of a legal table, where a ROW of air_limits without its "
        "day takes the row that was in force when the evidence was taken."),
    SECTION("above", "", "Likewise."),
    SECTION("at_most", "", "Likewise."),
    SECTION("below", "", "Likewise."),
    SECTION("margin", "", "Added to 'level ...', with unit."),
    SECTION("hysteresis", "", "Once true, false only this far on the other side, with unit."),
};
const struct option_group group_condition = {.path = "rules/ID.yaml levels[].when",
                                             .help = "A comparison, or several below all or any.",
                                             GROUP(condition_rows)};

const struct option_group *const option_groups[] = {&group_root,
                                                    &group_site,
                                                    &group_site_name,
                                                    &group_store,
                                                    &group_kafka,
                                                    &group_web,
                                                    &group_control,
                                                    &group_acquisition,
                                                    &group_scale,
                                                    &group_scale_name,
                                                    &group_level_name,
                                                    &group_area,
                                                    &group_area_name,
                                                    &group_product,
                                                    &group_triggers,
                                                    &group_series,
                                                    &group_station,
                                                    &group_station_name,
                                                    &group_position,
                                                    &group_alarm_levels,
                                                    &group_connection,
                                                    &group_clock,
                                                    &group_identity,
                                                    &group_memory,
                                                    &group_memory_value,
                                                    &group_point,
                                                    &group_register,
                                                    &group_quality,
                                                    &group_neighbour,
                                                    &group_cross,
                                                    &group_cross_bounds,
                                                    &group_month,
                                                    &group_rule,
                                                    &group_rule_text,
                                                    &group_places,
                                                    &group_indicator,
                                                    &group_level,
                                                    &group_condition,
                                                    &group_levels_from,
                                                    &group_quantity,
                                                    &group_approval,
                                                    &group_incidents,
                                                    &group_notices,
                                                    &group_contact,
                                                    &group_duty,
                                                    &group_ladder,
                                                    &group_step,
                                                    &group_operator,
                                                    NULL};
