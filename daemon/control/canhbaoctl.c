/* canhbaoctl: the operator's and technician's command line. Sends one request over the control
 * socket and prints the reply; the tools of ctl_tools.h work without a daemon. Exit codes: 0 done,
 * 1 failed, 2 wrong usage, 3 no daemon, 4 refused.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_explain.h"
#include "daemon/control/ctl_field.h"
#include "daemon/control/ctl_kpi.h"
#include "daemon/control/ctl_lang.h"
#include "daemon/control/ctl_print.h"
#include "daemon/control/ctl_skill.h"
#include "daemon/control/ctl_tools.h"
#include "daemon/control/ctl_usage.h"
#include "daemon/control/ctl_whatif.h"
#include "daemon/control/protocol.h"

enum { REPLY_MAX = 64 * 1024 * 1024 };
/* Options without a letter. */
enum {
    OPTION_BAUD = 1000,
    OPTION_PARITY,
    OPTION_STOP_BITS,
    OPTION_STRING,
    OPTION_WATCH,
    OPTION_WIND
};

#define SOCKET_DEFAULT "/run/canhbaod/control.sock"

struct options {
    const char *socket;
    struct field_options field;
    const char *reason;
    const char *duration;
    const char *until;
    const char *revision;
    const char *limit;
    const char *after;
    const char *as_of;
    const char *wind;
    bool json;
    bool follow;
    struct tool_options tool;
};

/* Commands that need no daemon. */
static const struct ctl_tool {
    const char *name, *arguments, *help;
    int (*run)(char **arguments, int count, const struct tool_options *options);
} tools[] = {
    {"decode", "HEX ...", "what registers may mean, in every type and order", ctl_decode},
    {"probe", "PLACE UNIT", "a device's registers, live, raw and in every type and order",
     ctl_probe},
    {"scan", "PLACE", "which units answer there", ctl_scan},
    {"plan", "STATION", "the requests of a station of --config DIR, and the endpoint's load",
     ctl_plan},
};

/* Commands of the user, in the order of --help. */
static const struct ctl_command {
    const char *name;
    const char *request; /* the protocol's "do" */
    const char *arguments;
    const char *help;
    int arguments_min, arguments_max;
    void (*print)(const json_t *data, FILE *out);
} commands[] = {
    {"status", "status", "", "the daemon, its faults, what waits for delivery", 0, 0,
     ctl_print_status},
    {"stations", "stations", "[STATION]", "stations, their state and newest values", 0, 1,
     ctl_print_stations},
    {"diag", "stations", "STATION", "how a station's link does, and why", 1, 1, ctl_print_diag},
    {"readings", "readings", "STATION [POINT]", "stored readings, newest first", 1, 2,
     ctl_print_readings},
    {"alarms", "alarms", "", "every alarm with all its axes", 0, 0, ctl_print_alarms},
    {"events", "events", "", "transitions; --follow waits for new ones", 0, 0, NULL},
    {"proposals", "proposals", "", "raises of a risk level that the law leaves to people", 0, 0,
     ctl_print_proposals},
    {"explain", "explain", "ID", "why an event came about, and the decision once more", 1, 1,
     ctl_print_explain},
    {"skill", "skill", "[PRODUCT]", "how good the forecasts of the last day (or --for) were", 0, 1,
     ctl_print_skill},
    {"ack", "acknowledge", "RULE PLACE", "acknowledge up to the present level", 2, 2,
     ctl_print_command},
    {"shelve", "shelve", "RULE PLACE", "silence until an end (--for or --until), with --reason", 2,
     2, ctl_print_command},
    {"unshelve", "unshelve", "RULE PLACE", "end a shelving early", 2, 2, ctl_print_command},
    {"out-of-service", "out-of-service", "RULE PLACE", "like shelve, for a broken or absent device",
     2, 2, ctl_print_command},
    {"in-service", "in-service", "RULE PLACE", "end an out-of-service early", 2, 2,
     ctl_print_command},
    {"comment", "comment", "RULE PLACE", "put --reason TEXT on record", 2, 2, ctl_print_command},
    {"approve", "approve", "RULE PLACE", "let its public message go; two different people", 2, 2,
     ctl_print_command},
    {"reject", "reject", "RULE PLACE", "keep its public message back, with --reason", 2, 2,
     ctl_print_command},
    {"cancel", "cancel", "RULE PLACE", "withdraw what was published, with --reason", 2, 2,
     ctl_print_command},
    {"verdict", "verdict", "RULE PLACE VERDICT",
     "what a radiation or gas alarm was: real|rain|fault", 3, 3, ctl_print_command},
    {"verdicts", "verdicts", "", "those verdicts, counted by station", 0, 0, ctl_print_verdicts},
    {"what-if", "what-if", "SOURCE SUBSTANCE G_S",
     "the plume of a release from a site of the catalogue: hypothetical, no warning", 3, 3,
     ctl_print_whatif},
    {"incidents", "incidents", "", "alarms that belong together", 0, 0, ctl_print_incidents},
    {"ack-incident", "acknowledge", "INCIDENT", "acknowledge every alarm of an incident", 1, 1,
     ctl_print_command},
    {"merge", "merge", "INCIDENT INTO", "the first becomes part of the second, with --reason", 2, 2,
     ctl_print_command},
    {"decide", "attach", "INCIDENT DECISION",
     "on a proposed raise: accepted-LEVEL or refused-LEVEL, with --reason", 2, 2,
     ctl_print_command},
    {"split", "split", "RULE PLACE", "an alarm becomes an incident of its own, with --reason", 2, 2,
     ctl_print_command},
    {"reload", "reload", "", "take the configuration anew; a bad one keeps the old one", 0, 0,
     ctl_print_reload},
    {"resend-state", "resend-state", "", "publish the state of every alarm again", 0, 0,
     ctl_print_command},
};

static void print_row(const char *name, const char *arguments, const char *help, FILE *out) {
    fprintf(out, "  %-15s %-16s %s\n", name, arguments, ctl_tr(help));
}

static void usage(FILE *out) {
    fprintf(out, "%s: canhbaoctl [OPTION...] COMMAND [ARGUMENT...]\n\n%s:\n", ctl_tr("usage"),
            ctl_tr("commands"));
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        print_row(commands[i].name, commands[i].arguments, commands[i].help, out);
    }
    print_row("kpi", "",
              "figures of the alarm system over --for (default 7 d), with targets (EEMUA 191)",
              out);
    fprintf(out, "\n%s:\n", ctl_tr("at a station"));
    for (const struct ctl_field_tool *tool = ctl_field_tools; tool->name != NULL; tool++) {
        print_row(tool->name, tool->arguments, tool->help, out);
    }
    fprintf(out, "\n%s:\n", ctl_tr("tools, without a daemon"));
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++) {
        print_row(tools[i].name, tools[i].arguments, tools[i].help, out);
    }
    ctl_print_options(SOCKET_DEFAULT, out);
}

/* The options of work at a station; false: none of them. */
static bool take_field_option(int option, struct field_options *ret_options) {
    switch (option) {
    case 'a':
        ret_options->at = optarg;
        return true;
    case 'I':
        ret_options->instrument = optarg;
        return true;
    case 'O':
        ret_options->tolerance = optarg;
        return true;
    case 'v':
        ret_options->volume = optarg;
        return true;
    case 'E':
        ret_options->area = optarg;
        return true;
    case 'P':
        ret_options->tip = optarg;
        return true;
    default:
        return false;
    }
}

/* The options of the tools; false: none of them. */
static bool take_tool_option(int option, struct tool_options *ret_options) {
    switch (option) {
    case 'c':
        ret_options->config = optarg;
        return true;
    case 'D':
        ret_options->state_dir = optarg;
        return true;
    case 'T':
        ret_options->timeout = optarg;
        return true;
    case 'G':
        ret_options->framing = optarg;
        return true;
    case 'B':
        ret_options->table = optarg;
        return true;
    case 'M':
        ret_options->from = optarg;
        return true;
    case 'C':
        ret_options->count = optarg;
        return true;
    case 'N':
        ret_options->units = optarg;
        return true;
    case OPTION_STRING:
        ret_options->string = optarg;
        return true;
    case OPTION_WATCH:
        ret_options->watch = true;
        ret_options->every = optarg;
        return true;
    case OPTION_BAUD:
        ret_options->baud = optarg;
        return true;
    case OPTION_PARITY:
        ret_options->parity = optarg;
        return true;
    case OPTION_STOP_BITS:
        ret_options->stop_bits = optarg;
        return true;
    default:
        return false;
    }
}

static const struct option longs[] = {
    {"socket", required_argument, NULL, 's'},
    {"json", no_argument, NULL, 'j'},
    {"follow", no_argument, NULL, 'f'},
    {"limit", required_argument, NULL, 'n'},
    {"after", required_argument, NULL, 'A'},
    {"reason", required_argument, NULL, 'r'},
    {"for", required_argument, NULL, 'F'},
    {"until", required_argument, NULL, 'U'},
    {"revision", required_argument, NULL, 'R'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"config", required_argument, NULL, 'c'},
    {"state-dir", required_argument, NULL, 'D'},
    {"timeout", required_argument, NULL, 'T'},
    {"framing", required_argument, NULL, 'G'},
    {"table", required_argument, NULL, 'B'},
    {"from", required_argument, NULL, 'M'},
    {"count", required_argument, NULL, 'C'},
    {"units", required_argument, NULL, 'N'},
    {"baud", required_argument, NULL, OPTION_BAUD},
    {"parity", required_argument, NULL, OPTION_PARITY},
    {"stop-bits", required_argument, NULL, OPTION_STOP_BITS},
    {"string", required_argument, NULL, OPTION_STRING},
    {"watch", optional_argument, NULL, OPTION_WATCH},

    {"wind", required_argument, NULL, OPTION_WIND},
    {"at", required_argument, NULL, 'a'},
    {"as-of", required_argument, NULL, 'S'},
    {"instrument", required_argument, NULL, 'I'},
    {"tolerance", required_argument, NULL, 'O'},
    {"volume", required_argument, NULL, 'v'},
    {"area", required_argument, NULL, 'E'},
    {"tip", required_argument, NULL, 'P'},
    {"lang", required_argument, NULL, 'L'},
    {NULL, 0, NULL, 0},
};

/* As getopt_long takes them: a long name may be cut short. */
static int takes_value(const char *argument) {
    if (argument[0] != '-' || argument[1] != '-') {
        return argument[0] == '-' && argument[1] != '\0' && argument[2] == '\0' &&
               strchr("snrc", argument[1]) != NULL;
    }
    for (const struct option *row = longs; row->name != NULL; row++) {
        if (row->has_arg == required_argument && argument[2] != '\0' &&
            strncmp(row->name, argument + 2, strlen(argument + 2)) == 0) {
            return 1;
        }
    }
    return 0;
}

static int parse_options(int argc, char **argv, struct options *ret_options) {
    int option;
    opterr = 0; /* told by ourselves, in the user's language */
    while ((option = getopt_long(argc, argv, "s:jfn:r:hc:", longs, NULL)) != -1) {
        switch (option) {
        case 's':
            ret_options->socket = optarg;
            break;
        case 'j':
            ret_options->json = true;
            ret_options->tool.json = true;
            break;
        case 'f':
            ret_options->follow = true;
            break;
        case 'n':
            ret_options->limit = optarg;
            ret_options->tool.rounds = optarg;
            break;
        case 'A':
            ret_options->after = optarg;
            break;
        case 'r':
            ret_options->reason = optarg;
            break;
        case 'F':
            ret_options->duration = optarg;
            break;
        case 'U':
            ret_options->until = optarg;
            break;
        case 'R':
            ret_options->revision = optarg;
            break;
        case 'S':
            ret_options->as_of = optarg;
            break;
        case OPTION_WIND:
            ret_options->wind = optarg;
            break;
        case 'L':
            if (strcmp(optarg, "vi") != 0 && strcmp(optarg, "en") != 0) {
                return ctl_expected("--lang", "vi or en", optarg);
            }
            (void)setenv(CTL_LANG_VARIABLE, optarg, 1); /* without memory: the locale's */
            break;
        case 'h':
            usage(stdout);
            exit(EXIT_DONE);
        case 'V':
            puts("canhbaoctl " CANHBAO_VERSION);
            exit(EXIT_DONE);
        default:
            if (take_tool_option(option, &ret_options->tool) ||
                take_field_option(option, &ret_options->field)) {
                break;
            }
            return ctl_expected("OPTION", "one of those of --help", argv[optind - 1]);
        }
    }
    return 0;
}

static const struct ctl_command *find_command(const char *name) {
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Puts a whole number given as text into the request. */
static int put_int(json_t *request, const char *key, const char *option, const char *text) {
    int64_t value;
    if (text == NULL) {
        return 0;
    }
    if (text_parse_int(text, -1, INT64_MAX, &value) != 0) {
        return ctl_expected(option, "a whole number", text);
    }
    json_object_set_new(request, key, json_integer(value));
    return 0;
}

static int put_duration(json_t *request, const char *text) {
    int64_t us;
    if (text == NULL) {
        return 0;
    }
    if (text_parse_duration_us(text, &us) != 0 || us < 1000000) {
        return ctl_expected("--for", "a duration such as '30 min' or '6h'", text);
    }
    json_object_set_new(request, "for_s", json_integer(us / 1000000));
    return 0;
}

static int build_request(const struct ctl_command *command, char **arguments, int count,
                         const struct options *options, json_t *request) {
    static const char *const alarm_keys[] = {"rule", "place", "verdict"};
    static const char *const station_keys[] = {"station", "point"};
    if (count < command->arguments_min || count > command->arguments_max) {
        char synopsis[128];
        (void)snprintf(synopsis, sizeof synopsis, "%s %s", command->name, command->arguments);
        return ctl_usage(synopsis);
    }
    if (strcmp(command->name, "what-if") == 0) {
        return ctl_whatif_put(request, arguments, options->duration, options->wind);
    }
    static const char *const event_keys[] = {"event"};
    static const char *const product_keys[] = {"product"};
    static const char *const incident_keys[] = {"incident", "into"};
    static const char *const decision_keys[] = {"incident", "reference"};
    bool decides = strcmp(command->name, "decide") == 0;
    if (decides) {
        json_object_set_new(request, "attachment", json_string(COMMAND_RISK_RAISE));
    }
    const char *const *keys = decides                                       ? decision_keys
                              : strncmp(command->arguments, "RULE", 4) == 0 ? alarm_keys
                              : strcmp(command->arguments, "ID") == 0       ? event_keys
                              : strncmp(command->arguments, "INC", 3) == 0  ? incident_keys
                              : strcmp(command->name, "skill") == 0         ? product_keys
                                                                            : station_keys;
    json_object_set_new(request, "do", json_string(command->request));
    for (int i = 0; i < count; i++) {
        if (json_object_set_new(request, keys[i], json_string(arguments[i])) != 0) {
            ctl_error("'%s' is not valid UTF-8", arguments[i]);
            return EXIT_USAGE;
        }
    }
    if (options->reason != NULL &&
        json_object_set_new(request, "reason", json_string(options->reason)) != 0) {
        ctl_error("--reason is not valid UTF-8");
        return EXIT_USAGE;
    }
    if (options->until != NULL &&
        json_object_set_new(request, "until", json_string(options->until)) != 0) {
        ctl_error("--until is not valid UTF-8");
        return EXIT_USAGE;
    }
    if (options->as_of != NULL &&
        json_object_set_new(request, "as_of", json_string(options->as_of)) != 0) {
        ctl_error("--as-of is not valid UTF-8");
        return EXIT_USAGE;
    }
    if (options->follow) {
        json_object_set_new(request, "follow", json_true());
    }
    if (put_duration(request, options->duration) != 0 ||
        put_int(request, "limit", "--limit", options->limit) != 0 ||
        put_int(request, "after", "--after", options->after) != 0 ||
        put_int(request, "expected_revision", "--revision", options->revision) != 0) {
        return EXIT_USAGE;
    }
    return 0;
}

static int connect_daemon(const char *path, FILE **ret_stream) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (text_copy(address.sun_path, sizeof address.sun_path, path) != 0) {
        ctl_error("the socket path '%s' is too long", path);
        return EXIT_USAGE;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        ctl_error("no daemon answers at %s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return EXIT_NO_DAEMON;
    }
    *ret_stream = fdopen(fd, "r+");
    if (*ret_stream == NULL) {
        close(fd);
        return EXIT_FAILED;
    }
    return 0;
}

static int send_request(FILE *stream, const json_t *request) {
    char *text = json_dumps(request, JSON_COMPACT);
    if (text == NULL) {
        return EXIT_FAILED;
    }
    int failed = fprintf(stream, "%s\n", text) < 0 || fflush(stream) != 0;
    free(text);
    if (failed) {
        ctl_error("cannot send: %s", strerror(errno));
    }
    return failed ? EXIT_NO_DAEMON : 0;
}

static void print_events(const json_t *events, bool as_json) {
    size_t index;
    json_t *event;
    json_array_foreach(events, index, event) {
        if (as_json) {
            ctl_json_print(event);
        } else {
            ctl_print_event(event, stdout);
        }
    }
    fflush(stdout);
}

/* Handles one line of the daemon; returns an exit code, or -1 to go on reading. */
static int handle_line(const struct ctl_command *command, const struct options *options,
                       const json_t *reply) {
    const json_t *event = json_object_get(reply, "event");
    if (event != NULL) {
        if (options->json) {
            ctl_json_print(event);
        } else {
            ctl_print_event(event, stdout);
        }
        fflush(stdout);
        return -1;
    }
    if (!json_is_true(json_object_get(reply, "ok"))) {
        const char *error = json_string_value(json_object_get(reply, "error"));
        ctl_error("refused: %s", error != NULL ? error : "no reason given");
        return EXIT_REFUSED;
    }
    const json_t *data = json_object_get(reply, "data");
    if (command->print == NULL) {
        print_events(data, options->json);
        return options->follow ? -1 : EXIT_DONE;
    }
    if (options->json) {
        ctl_json_print(data);
    } else {
        command->print(data, stdout);
    }
    return command->print == ctl_print_explain ? ctl_explain_verdict(data) : EXIT_DONE;
}

static int converse(FILE *stream, const struct ctl_command *command,
                    const struct options *options) {
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    int result = -1;
    while (result < 0 && (length = getline(&line, &size, stream)) > 0) {
        json_t *reply = length <= REPLY_MAX ? json_loadb(line, (size_t)length, 0, NULL) : NULL;
        if (reply == NULL) {
            ctl_error("the daemon's reply cannot be read");
            result = EXIT_FAILED;
            break;
        }
        result = handle_line(command, options, reply);
        json_decref(reply);
    }
    free(line);
    if (result < 0) {
        ctl_error("the daemon closed the connection");
        result = EXIT_NO_DAEMON;
    }
    return result;
}

/* One request over a connection of its own, see ctl_ask_fn; `ctx` is the socket's path. */
static int ask(void *ctx, json_t *request, json_t **ret_data) {
    FILE *stream = NULL;
    char *line = NULL;
    size_t size = 0;
    json_t *reply = NULL;
    int result = connect_daemon(ctx, &stream);
    result = result == 0 ? send_request(stream, request) : result;
    if (result == 0) {
        ssize_t length = getline(&line, &size, stream);
        reply =
            length > 0 && length <= REPLY_MAX ? json_loadb(line, (size_t)length, 0, NULL) : NULL;
        if (!json_is_true(json_object_get(reply, "ok"))) {
            const char *error = json_string_value(json_object_get(reply, "error"));
            ctl_error("refused: %s", error != NULL ? error : "no reason given");
            result = reply != NULL ? EXIT_REFUSED : EXIT_NO_DAEMON;
        }
    }
    if (result == 0) {
        *ret_data = json_incref(json_object_get(reply, "data"));
    }
    json_decref(reply);
    json_decref(request);
    free(line);
    if (stream != NULL) {
        (void)fclose(stream); /* nothing unsent is left in it */
    }
    return result;
}

/* NULL: the command is none of them. */
static const struct ctl_field_tool *find_field_tool(const char *name) {
    const struct ctl_field_tool *tool = ctl_field_tools;
    while (tool->name != NULL && strcmp(tool->name, name) != 0) {
        tool++;
    }
    return tool->name != NULL ? tool : NULL;
}

static int run_field_tool(const struct ctl_field_tool *tool, char **arguments, int count,
                          const struct options *options) {
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    struct field_options field = options->field;
    if (text_copy(path, sizeof path, options->socket) != 0) {
        ctl_error("the socket path '%s' is too long", options->socket);
        return EXIT_USAGE;
    }
    field.json = options->json;
    field.reason = options->reason;
    field.duration = options->duration;
    field.until = options->until;
    return tool->run(ask, path, arguments, count, &field);
}

static int run_kpi(int count, struct options *options) {
    int64_t for_us = INT64_C(7) * 86400 * 1000000;
    if (count != 0) {
        return ctl_usage("kpi [--for DURATION]");
    }
    if (options->duration != NULL && text_parse_duration_us(options->duration, &for_us) != 0) {
        return ctl_expected("--for", "a duration such as '30 min' or '6h'", options->duration);
    }
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    if (text_copy(path, sizeof path, options->socket) != 0) {
        ctl_error("the socket path '%s' is too long", options->socket);
        return EXIT_USAGE;
    }
    return ctl_kpi(ask, path, for_us, options->json);
}

int main(int argc, char **argv) {
    const char *from_environment = getenv("CANHBAO_SOCKET");
    struct options options = {.socket =
                                  from_environment != NULL ? from_environment : SOCKET_DEFAULT};
    ctl_hide_negatives(argc, argv, takes_value);
    int result = parse_options(argc, argv, &options);
    ctl_show_negatives(argc, argv);
    if (result != 0) {
        return result;
    }
    if (optind >= argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++) {
        if (strcmp(tools[i].name, argv[optind]) == 0) {
            result = tools[i].run(argv + optind + 1, argc - optind - 1, &options.tool);
            return fflush(stdout) == 0 ? result : EXIT_FAILED;
        }
    }
    const struct ctl_field_tool *at_station = find_field_tool(argv[optind]);
    if (at_station != NULL) {
        result = run_field_tool(at_station, argv + optind + 1, argc - optind - 1, &options);
        return fflush(stdout) == 0 ? result : EXIT_FAILED;
    }
    if (strcmp(argv[optind], "kpi") == 0) {
        result = run_kpi(argc - optind - 1, &options);
        return fflush(stdout) == 0 ? result : EXIT_FAILED;
    }
    if (options.tool.state_dir != NULL && strcmp(argv[optind], "explain") == 0) {
        result = ctl_explain_store(argv + optind + 1, argc - optind - 1, &options.tool);
        return fflush(stdout) == 0 ? result : EXIT_FAILED;
    }
    const struct ctl_command *command = find_command(argv[optind]);
    if (command == NULL) {
        return ctl_expected("COMMAND", "one of those of --help", argv[optind]);
    }
    json_t *request = json_object();
    FILE *stream = NULL;
    result = build_request(command, argv + optind + 1, argc - optind - 1, &options, request);
    if (result == 0) {
        result = connect_daemon(options.socket, &stream);
    }
    if (result == 0) {
        result = send_request(stream, request);
    }
    if (result == 0) {
        result = converse(stream, command, &options);
    }
    json_decref(request);
    if (stream != NULL) {
        (void)fclose(stream); /* nothing unsent is left in it */
    }
    return result;
}
