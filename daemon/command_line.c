#include "daemon/command_line.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

const char command_line_help[] =
    "usage: canhbaod --config DIR [OPTION...]\n"
    "       canhbaod --config DIR --check | --print-config\n"
    "       canhbaod --print-options | --help | --version\n"
    "\n"
    "  --config DIR           the site's folder\n"
    "  --check                read and check it, say what is in it, exit\n"
    "  --print-config         print it in canonical form, secrets masked, exit\n"
    "  --print-options        print the reference of all configuration keys, exit\n"
    "\n"
    "instead of what the configuration says:\n"
    "  --state-dir DIR        where database, inboxes and quarantine are\n"
    "  --brokers LIST         Kafka servers, host:port,host:port\n"
    "  --control PATH         control socket\n"
    "  --web-port PORT        HTTP; 0 takes any free port\n"
    "\n"
    "  --web-file FILE        write the HTTP address there once everything runs\n"
    "  --model-program PATH   canhbao-model (default: beside this program, else in PATH)\n"
    "  --credentials DIR      credential files (default $CREDENTIALS_DIRECTORY)\n"
    "  --verbose              log details too\n"
    "\n"
    "drills and tests; every message is marked:\n"
    "  --test                 status Test\n"
    "  --exercise             status Exercise\n"
    "  --reconstructed        the exercise replays reconstructed values\n"
    "  --clock-scale FACTOR   time runs so many times as fast ...\n"
    "  --clock-start TIME     ... and stood at TIME (RFC 3339) ...\n"
    "  --clock-anchor TIME    ... at the real time TIME\n"
    "\n"
    "exit: 0 clean stop, 1 the machine failed, 2 wrong command line or configuration\n";

enum {
    OPTION_CONFIG = 1000,
    OPTION_CHECK,
    OPTION_PRINT_CONFIG,
    OPTION_PRINT_OPTIONS,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_STATE_DIR,
    OPTION_BROKERS,
    OPTION_CONTROL,
    OPTION_WEB_PORT,
    OPTION_WEB_FILE,
    OPTION_MODEL_PROGRAM,
    OPTION_CREDENTIALS,
    OPTION_VERBOSE,
    OPTION_TEST,
    OPTION_EXERCISE,
    OPTION_RECONSTRUCTED,
    OPTION_CLOCK_SCALE,
    OPTION_CLOCK_START,
    OPTION_CLOCK_ANCHOR
};

static const struct option table[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"print-config", no_argument, NULL, OPTION_PRINT_CONFIG},
    {"print-options", no_argument, NULL, OPTION_PRINT_OPTIONS},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
    {"brokers", required_argument, NULL, OPTION_BROKERS},
    {"control", required_argument, NULL, OPTION_CONTROL},
    {"web-port", required_argument, NULL, OPTION_WEB_PORT},
    {"web-file", required_argument, NULL, OPTION_WEB_FILE},
    {"model-program", required_argument, NULL, OPTION_MODEL_PROGRAM},
    {"credentials", required_argument, NULL, OPTION_CREDENTIALS},
    {"verbose", no_argument, NULL, OPTION_VERBOSE},
    {"test", no_argument, NULL, OPTION_TEST},
    {"exercise", no_argument, NULL, OPTION_EXERCISE},
    {"reconstructed", no_argument, NULL, OPTION_RECONSTRUCTED},
    {"clock-scale", required_argument, NULL, OPTION_CLOCK_SCALE},
    {"clock-start", required_argument, NULL, OPTION_CLOCK_START},
    {"clock-anchor", required_argument, NULL, OPTION_CLOCK_ANCHOR},
    {NULL, 0, NULL, 0},
};

static int take_action(struct command_line *line, enum command_line_action action,
                       struct err *ret_err) {
    if (line->action != ACTION_RUN) {
        return err_set(ret_err, ERR_INVALID,
                       "only one of --check, --print-config, --print-options");
    }
    line->action = action;
    return 0;
}

static int take_number(int option, struct command_line *line, struct err *ret_err) {
    int64_t port;
    switch (option) {
    case OPTION_WEB_PORT:
        if (text_parse_int(optarg, 0, 65535, &port) != 0) {
            return err_set(ret_err, ERR_INVALID, "--web-port: expected 0 to 65535, got '%.64s'",
                           optarg);
        }
        line->web_port = (int)port;
        return 0;
    case OPTION_CLOCK_SCALE:
        if (text_parse_double(optarg, 1, 100000, &line->clock_scale) != 0) {
            return err_set(ret_err, ERR_INVALID,
                           "--clock-scale: expected a factor from 1, got '%.64s'", optarg);
        }
        return 0;
    case OPTION_CLOCK_START:
        if (text_parse_time(optarg, &line->clock_start.us) != 0) {
            return err_set(ret_err, ERR_INVALID,
                           "--clock-start: expected an RFC 3339 time, got '%.64s'", optarg);
        }
        return 0;
    default:
        if (text_parse_time(optarg, &line->clock_anchor.us) != 0) {
            return err_set(ret_err, ERR_INVALID,
                           "--clock-anchor: expected an RFC 3339 time, got '%.64s'", optarg);
        }
        return 0;
    }
}

static int take(int option, struct command_line *line, struct err *ret_err) {
    switch (option) {
    case OPTION_CHECK:
        return take_action(line, ACTION_CHECK, ret_err);
    case OPTION_PRINT_CONFIG:
        return take_action(line, ACTION_PRINT_CONFIG, ret_err);
    case OPTION_PRINT_OPTIONS:
        return take_action(line, ACTION_PRINT_OPTIONS, ret_err);
    case OPTION_HELP:
        return take_action(line, ACTION_HELP, ret_err);
    case OPTION_VERSION:
        return take_action(line, ACTION_VERSION, ret_err);
    case OPTION_CONFIG:
        line->config = optarg;
        return 0;
    case OPTION_STATE_DIR:
        line->state_dir = optarg;
        return 0;
    case OPTION_BROKERS:
        line->brokers = optarg;
        return 0;
    case OPTION_CONTROL:
        line->control = optarg;
        return 0;
    case OPTION_WEB_FILE:
        line->web_file = optarg;
        return 0;
    case OPTION_MODEL_PROGRAM:
        line->model_program = optarg;
        return 0;
    case OPTION_CREDENTIALS:
        line->credentials = optarg;
        return 0;
    case OPTION_VERBOSE:
        line->verbose = true;
        return 0;
    case OPTION_TEST:
        line->test = true;
        return 0;
    case OPTION_EXERCISE:
        line->exercise = true;
        return 0;
    case OPTION_RECONSTRUCTED:
        line->reconstructed = true;
        return 0;
    case OPTION_WEB_PORT:
    case OPTION_CLOCK_SCALE:
    case OPTION_CLOCK_START:
    case OPTION_CLOCK_ANCHOR:
        return take_number(option, line, ret_err);
    default:
        return err_set(ret_err, ERR_INVALID, "wrong option; see canhbaod --help");
    }
}

/* What belongs together. */
static int check(const struct command_line *line, struct err *ret_err) {
    bool needs_site = line->action == ACTION_RUN || line->action == ACTION_CHECK ||
                      line->action == ACTION_PRINT_CONFIG;
    bool drill = line->exercise || line->test;
    bool has_start = line->clock_start.us != 0;
    bool has_anchor = line->clock_anchor.us != 0;
    if (needs_site && line->config == NULL) {
        return err_set(ret_err, ERR_INVALID, "--config DIR is missing; see canhbaod --help");
    }
    if (line->exercise && line->test) {
        return err_set(ret_err, ERR_INVALID, "only one of --exercise and --test");
    }
    if (line->reconstructed && !line->exercise) {
        return err_set(ret_err, ERR_INVALID, "--reconstructed needs --exercise");
    }
    if ((line->clock_scale > 1 || has_start || has_anchor) && !drill) {
        return err_set(ret_err, ERR_INVALID,
                       "a clock that is not the real one needs --exercise or --test");
    }
    if (has_start != has_anchor || (line->clock_scale > 1 && !has_start)) {
        return err_set(ret_err, ERR_INVALID,
                       "--clock-scale, --clock-start and --clock-anchor go together");
    }
    return 0;
}

int command_line_parse(int argc, char **argv, struct command_line *ret_line, struct err *ret_err) {
    struct command_line line = {
        .web_port = -1, .clock_scale = 1, .credentials = getenv("CREDENTIALS_DIRECTORY")};
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        int result = option == '?' ? err_set(ret_err, ERR_INVALID,
                                             "%s: unknown or without its value; see "
                                             "canhbaod --help",
                                             argv[optind - 1])
                                   : take(option, &line, ret_err);
        if (result != 0) {
            return result;
        }
    }
    if (optind < argc) {
        return err_set(ret_err, ERR_INVALID, "unexpected argument '%.100s'; see canhbaod --help",
                       argv[optind]);
    }
    int result = check(&line, ret_err);
    if (result == 0) {
        *ret_line = line;
    }
    return result;
}

static int put(char *ret_text, size_t size, const char *value, const char *option,
               struct err *ret_err) {
    if (value != NULL && text_copy(ret_text, size, value) != 0) {
        return err_set(ret_err, ERR_LIMIT, "%s: at most %zu bytes", option, size - 1);
    }
    return 0;
}

int command_line_apply(const struct command_line *line, struct site *site, struct err *ret_err) {
    struct site_settings *settings = &site->settings;
    int result = put(settings->state_dir, sizeof settings->state_dir, line->state_dir,
                     "--state-dir", ret_err);
    if (result == 0) {
        result = put(settings->kafka.brokers, sizeof settings->kafka.brokers, line->brokers,
                     "--brokers", ret_err);
    }
    if (result == 0) {
        result = put(settings->control.path, sizeof settings->control.path, line->control,
                     "--control", ret_err);
    }
    if (result == 0 && line->web_port >= 0) {
        settings->web.port = (uint16_t)line->web_port;
    }
    return result;
}
