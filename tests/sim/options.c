#include "options.h"

#include <getopt.h>
#include <string.h>

#include "daemon/base/text.h"

const char options_help[] =
    "usage: canhbao-sim [OPTION...] SCENARIO.yaml      plays a scenario\n"
    "       canhbao-sim --broker PORT [OPTION...]      only a Kafka-protocol broker, for demos\n"
    "       canhbao-sim --tail BOOTSTRAP [OPTION...]   prints alerts as a consumer sees them\n"
    "       canhbao-sim --consumer-test BOOTSTRAP --config SITE [OPTION...]   tests a consumer\n"
    "\n"
    "playing:\n"
    "  --check              read the scenario, say what is in it, and exit\n"
    "  --speed FACTOR       scenario seconds a real second (default: the scenario's)\n"
    "  --start TIME         scenario time at the anchor, RFC 3339 (default: the scenario's)\n"
    "  --anchor TIME        real time at which the scenario reads --start (default: now)\n"
    "  --inbox DIR          where grid files are dropped; needed when the scenario has frames\n"
    "  --port-file FILE     written when all stations listen: one line 'ID HOST PORT UNIT' each\n"
    "  --truth-log FILE     JSON lines: every value served, every file dropped\n"
    "  --fault-log FILE     JSON lines: every fault window and every time a fault struck\n"
    "  --seconds N          stop after N real seconds (default: on SIGINT or SIGTERM)\n"
    "\n"
    "broker (librdkafka's mock cluster: keeps nothing on disk, does not deduplicate):\n"
    "  --broker PORT        serve Kafka clients on 127.0.0.1:PORT; 0 picks a free port\n"
    "  --broker-file FILE   write HOST:PORT there when it listens\n"
    "\n"
    "consuming:\n"
    "  --tail BOOTSTRAP     consume from these servers; duplicates are dropped by event id\n"
    "  --topic NAME         the topic (default canhbao.alert.v1)\n"
    "  --tail-json          print the events themselves, one a line\n"
    "  --tail-brief         print changes of level, calls and people's deeds; count the rest\n"
    "  --expect-hazards N   exit 0 only if graded alerts of N hazards came within --seconds\n"
    "\n"
    "conformance of a consumer (deploy/schemas/README.md, deploy/examples/README.md):\n"
    "  --consumer-test BOOTSTRAP  publish an invented log with legal doubles, exchanges of keys,\n"
    "                       compaction, tombstones and gaps, and exit\n"
    "  --config SITE        the site whose stations and rules it is about\n"
    "  --disturbances N     how many (default 1000)\n"
    "  --seed N             another log and another order (default 1)\n"
    "  --topic-prefix TEXT  in front of the topics' names (default canhbao.)\n"
    "  --expect FILE        write there what a consumer must have understood at the end (JSON)\n"
    "\n"
    "  --help, --version\n"
    "\n"
    "exit: 0 done; 1 failed, or --expect-hazards not met; 2 wrong use or a bad scenario\n";

enum {
    OPTION_HELP = 1000,
    OPTION_VERSION,
    OPTION_CHECK,
    OPTION_SPEED,
    OPTION_START,
    OPTION_ANCHOR,
    OPTION_INBOX,
    OPTION_PORT_FILE,
    OPTION_TRUTH_LOG,
    OPTION_FAULT_LOG,
    OPTION_SECONDS,
    OPTION_BROKER,
    OPTION_BROKER_FILE,
    OPTION_TAIL,
    OPTION_TOPIC,
    OPTION_TAIL_JSON,
    OPTION_TAIL_BRIEF,
    OPTION_EXPECT_HAZARDS,
    OPTION_CONSUMER_TEST,
    OPTION_CONFIG,
    OPTION_DISTURBANCES,
    OPTION_SEED,
    OPTION_TOPIC_PREFIX,
    OPTION_EXPECT
};

static const struct option table[] = {
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"speed", required_argument, NULL, OPTION_SPEED},
    {"start", required_argument, NULL, OPTION_START},
    {"anchor", required_argument, NULL, OPTION_ANCHOR},
    {"inbox", required_argument, NULL, OPTION_INBOX},
    {"port-file", required_argument, NULL, OPTION_PORT_FILE},
    {"truth-log", required_argument, NULL, OPTION_TRUTH_LOG},
    {"fault-log", required_argument, NULL, OPTION_FAULT_LOG},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"broker", required_argument, NULL, OPTION_BROKER},
    {"broker-file", required_argument, NULL, OPTION_BROKER_FILE},
    {"tail", required_argument, NULL, OPTION_TAIL},
    {"topic", required_argument, NULL, OPTION_TOPIC},
    {"tail-json", no_argument, NULL, OPTION_TAIL_JSON},
    {"tail-brief", no_argument, NULL, OPTION_TAIL_BRIEF},
    {"expect-hazards", required_argument, NULL, OPTION_EXPECT_HAZARDS},
    {"consumer-test", required_argument, NULL, OPTION_CONSUMER_TEST},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"disturbances", required_argument, NULL, OPTION_DISTURBANCES},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"topic-prefix", required_argument, NULL, OPTION_TOPIC_PREFIX},
    {"expect", required_argument, NULL, OPTION_EXPECT},
    {NULL, 0, NULL, 0}};

static int bad_value(struct err *ret_err, const char *name, int code, const char *expected) {
    return err_set(ret_err, code, "--%s '%.100s': %s is expected", name, optarg, expected);
}

static int take_number(int option, struct options *options, struct err *ret_err) {
    int64_t value = 0;
    int result = 0;
    switch (option) {
    case OPTION_SPEED:
        result = text_parse_double(optarg, 0.001, 100000, &options->speed);
        return result == 0 ? 0 : bad_value(ret_err, "speed", result, "a factor above 0");
    case OPTION_START:
        result = text_parse_time(optarg, &options->start_us);
        return result == 0 ? 0 : bad_value(ret_err, "start", result, "an RFC 3339 time");
    case OPTION_ANCHOR:
        result = text_parse_time(optarg, &options->anchor_us);
        return result == 0 ? 0 : bad_value(ret_err, "anchor", result, "an RFC 3339 time");
    case OPTION_SECONDS:
        result = text_parse_int(optarg, 1, 10000000, &options->seconds);
        return result == 0 ? 0 : bad_value(ret_err, "seconds", result, "a whole number from 1");
    case OPTION_BROKER:
        result = text_parse_int(optarg, 0, 65535, &value);
        options->broker = true;
        options->broker_port = (uint16_t)value;
        return result == 0 ? 0 : bad_value(ret_err, "broker", result, "a port");
    case OPTION_DISTURBANCES:
        result = text_parse_int(optarg, 0, 100000, &value);
        options->disturbances = (uint64_t)value;
        return result == 0
                   ? 0
                   : bad_value(ret_err, "disturbances", result, "a number from 0 to 100000");
    case OPTION_SEED:
        result = text_parse_int(optarg, 0, 1000000000, &value);
        options->seed = (uint64_t)value;
        return result == 0 ? 0 : bad_value(ret_err, "seed", result, "a whole number");
    default:
        result = text_parse_int(optarg, 0, 100, &options->expect_hazards);
        return result == 0 ? 0
                           : bad_value(ret_err, "expect-hazards", result, "a number from 0 to 100");
    }
}

static int take(int option, struct options *options, struct err *ret_err) {
    switch (option) {
    case OPTION_HELP:
        options->help = true;
        return 0;
    case OPTION_VERSION:
        options->version = true;
        return 0;
    case OPTION_CHECK:
        options->check = true;
        return 0;
    case OPTION_INBOX:
        options->inbox = optarg;
        return 0;
    case OPTION_PORT_FILE:
        options->port_file = optarg;
        return 0;
    case OPTION_TRUTH_LOG:
        options->truth_log = optarg;
        return 0;
    case OPTION_FAULT_LOG:
        options->fault_log = optarg;
        return 0;
    case OPTION_BROKER_FILE:
        options->broker_file = optarg;
        return 0;
    case OPTION_TAIL:
        options->tail = optarg;
        return 0;
    case OPTION_TOPIC:
        options->tail_topic = optarg;
        return 0;
    case OPTION_TAIL_JSON:
        options->tail_json = true;
        return 0;
    case OPTION_TAIL_BRIEF:
        options->tail_brief = true;
        return 0;
    case OPTION_CONSUMER_TEST:
        options->consumer_test = optarg;
        return 0;
    case OPTION_CONFIG:
        options->config = optarg;
        return 0;
    case OPTION_TOPIC_PREFIX:
        options->topic_prefix = optarg;
        return 0;
    case OPTION_EXPECT:
        options->expect_file = optarg;
        return 0;
    default:
        return take_number(option, options, ret_err);
    }
}

static int check_together(const struct options *options, struct err *ret_err) {
    if (options->help || options->version) {
        return 0;
    }
    if ((options->consumer_test != NULL) != (options->config != NULL)) {
        return err_set(ret_err, ERR_INVALID, "--consumer-test and --config go together");
    }
    if (options->consumer_test != NULL) {
        bool more = options->tail != NULL || options->scenario != NULL || options->broker;
        return more ? err_set(ret_err, ERR_INVALID, "--consumer-test goes alone") : 0;
    }
    if (options->tail != NULL && (options->scenario != NULL || options->broker)) {
        return err_set(ret_err, ERR_INVALID, "--tail goes alone: run a second canhbao-sim");
    }
    if (options->tail == NULL &&
        (options->tail_json || options->tail_brief || options->expect_hazards >= 0)) {
        return err_set(ret_err, ERR_INVALID,
                       "--tail-json, --tail-brief and --expect-hazards need --tail");
    }
    if (options->tail == NULL && options->scenario == NULL && !options->broker) {
        return err_set(ret_err, ERR_INVALID, "a scenario, --broker or --tail is expected");
    }
    if (options->broker_file != NULL && !options->broker) {
        return err_set(ret_err, ERR_INVALID, "--broker-file needs --broker");
    }
    if (options->expect_hazards >= 0 && options->seconds == 0) {
        return err_set(ret_err, ERR_INVALID, "--expect-hazards needs --seconds");
    }
    if (options->check && options->scenario == NULL) {
        return err_set(ret_err, ERR_INVALID, "--check needs a scenario");
    }
    return 0;
}

int options_parse(int argc, char **argv, struct options *ret_options, struct err *ret_err) {
    struct options options = {.start_us = -1,
                              .anchor_us = -1,
                              .expect_hazards = -1,
                              .tail_topic = "canhbao.alert.v1",
                              .disturbances = 1000,
                              .seed = 1};
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":", table, NULL)) != -1) {
        if (option == '?' || option == ':') {
            return err_set(ret_err, ERR_INVALID, "%s '%.100s'",
                           option == ':' ? "a value is missing after" : "unknown option",
                           argv[optind - 1]);
        }
        int result = take(option, &options, ret_err);
        if (result != 0) {
            return result;
        }
    }
    if (argc - optind > 1) {
        return err_set(ret_err, ERR_INVALID, "one scenario is expected, not also '%.100s'",
                       argv[optind + 1]);
    }
    options.scenario = optind < argc ? argv[optind] : NULL;
    int result = check_together(&options, ret_err);
    if (result == 0) {
        *ret_options = options;
    }
    return result;
}
