/* The command line of canhbao-sim. Thread rule: pure. */
#ifndef CANHBAO_SIM_OPTIONS_H
#define CANHBAO_SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct options {
    const char *scenario; /* NULL: none (with --broker or --tail) */
    bool help;
    bool version;
    bool check;
    int64_t start_us;  /* -1: the scenario's */
    int64_t anchor_us; /* -1: now */
    double speed;      /* 0: the scenario's */
    int64_t seconds;   /* real; 0: until a signal */
    const char *port_file;
    const char *truth_log;
    const char *fault_log;
    const char *inbox;
    bool broker;
    uint16_t broker_port; /* 0: any */
    const char *broker_file;
    const char *tail; /* bootstrap servers; NULL: do not consume */
    const char *tail_topic;
    bool tail_json;
    bool tail_brief;           /* print only what tail_event_is_news() says */
    int64_t expect_hazards;    /* -1: do not judge */
    const char *consumer_test; /* bootstrap servers; NULL: no conformance test */
    const char *config;        /* folder of a site */
    const char *topic_prefix;  /* NULL: "canhbao." */
    const char *expect_file;   /* NULL: none */
    uint64_t disturbances, seed;
};

int options_parse(int argc, char **argv, struct options *ret_options, struct err *ret_err);

extern const char options_help[];

#endif
