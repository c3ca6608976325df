/* The daemon's command line. Thread rule: single-threaded start. */
#ifndef CANHBAO_DAEMON_COMMAND_LINE_H
#define CANHBAO_DAEMON_COMMAND_LINE_H

#include <stdbool.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/config/site.h"

enum command_line_action {
    ACTION_RUN,
    ACTION_CHECK,
    ACTION_PRINT_CONFIG,
    ACTION_PRINT_OPTIONS,
    ACTION_HELP,
    ACTION_VERSION
};

/* Strings point into argv or the environment; NULL: not given. */
struct command_line {
    enum command_line_action action;
    const char *config;
    const char *state_dir;
    const char *brokers;
    const char *control;
    const char *web_file;
    const char *model_program;
    const char *credentials;
    int web_port; /* -1: not given */
    bool test;
    bool exercise;
    bool reconstructed;
    bool verbose;
    double clock_scale; /* 1: real time */
    struct utc_us clock_start, clock_anchor;
};

/* ERR_INVALID with a sentence for a wrong command line. */
int command_line_parse(int argc, char **argv, struct command_line *ret_line, struct err *ret_err);
extern const char command_line_help[];

/* What the command line says instead of the configuration. ERR_LIMIT when a text is too long. */
int command_line_apply(const struct command_line *line, struct site *site, struct err *ret_err);

#endif
