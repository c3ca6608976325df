#include "daemon/control/ctl_usage.h"

#include <ctype.h>
#include <string.h>

#include "daemon/control/ctl_lang.h"
#include "daemon/control/ctl_tools.h"

enum { HIDDEN_MINUS = '\x01' };

int ctl_expected(const char *what, const char *expected, const char *got) {
    fprintf(stderr, "canhbaoctl: %s: %s %s, %s '%s'\n", what, ctl_tr("expected"), ctl_tr(expected),
            ctl_tr("got"), got);
    return EXIT_USAGE;
}

int ctl_usage(const char *synopsis) {
    fprintf(stderr, "canhbaoctl: %s: canhbaoctl %s\n", ctl_tr("usage"), synopsis);
    return EXIT_USAGE;
}

int ctl_wrong(const char *sentence) {
    fprintf(stderr, "canhbaoctl: %s\n", ctl_tr(sentence));
    return EXIT_USAGE;
}

static const struct {
    const char *option, *help;
} rows[] = {
    {"-j, --json", "print the reply as JSON"},
    {"-f, --follow", "events: wait for new ones"},
    {"-n, --limit N", "events, readings: at most N; probe --watch: rounds"},
    {"    --after N", "events: only those with a larger number"},
    {"-r, --reason TEXT", "why (shelve, out-of-service, comment; optional for others)"},
    {"    --for DURATION", "how long: \"30 min\", \"6h\"; skill, kpi: how far back; what-if: of "
                           "the release (without: continuous)"},
    {"    --wind DEG/M_S", "what-if: where the wind comes from, and its speed (without: the "
                           "stations')"},
    {"    --until TIME", "or until when: 2025-11-19T06:00:00+07:00"},
    {"    --revision N", "refuse when the alarm has changed since revision N"},
    {"-c, --config DIR", "plan, explain: the folder of the site"},
    {"    --state-dir DIR", "explain: from a copy of a store instead of a daemon; ID may be all"},
    {"    --timeout DURATION", "probe, scan: of one request (default 1 s)"},
    {"    --framing tcp|rtu", "probe, scan: Modbus TCP (default), or RTU over TCP"},
    {"    --baud N, --parity none|even|odd, --stop-bits 1|2",
     "probe, scan: of a serial device (default 9600, even, 1)"},
    {"    --table NAME", "probe: holding (default), input, coil, discrete"},
    {"    --from N --count N", "probe: which registers (default 0 and 16)"},
    {"    --string plain|swapped", "probe, decode: one text, two characters a register; swapped: "
                                   "the second character of each register comes first"},
    {"    --watch[=DURATION]", "probe: again and again, after a pause (default 1 s), until Ctrl-C "
                               "or --limit N rounds; what changed is marked"},
    {"    --units A-B", "scan: which units (default 1-247)"},
    {"    --at TIME", "spot: when it was read; calibrate: applies from (default now)"},
    {"    --as-of TIME", "readings: with the calibrations known then"},
    {"    --instrument TEXT", "what was compared with"},
    {"    --tolerance N", "spot: in the point's unit; bucket-test: share (default 0.05)"},
    {"    --volume ML --area CM2 --tip MM",
     "bucket-test: water, area of the funnel, nominal depth of a tip"},
    {"    --lang vi|en", "of what is said (default from the locale)"},
    {"-h, --help", "this text"},
    {"    --version", ""},
};

void ctl_print_options(const char *socket, FILE *out) {
    enum { COLUMN = 24 };
    fprintf(out, "\n%s:\n  %-*s %s (%s $CANHBAO_SOCKET, %s %s)\n", ctl_tr("options"), COLUMN,
            "-s, --socket PATH", ctl_tr("control socket"), ctl_tr("default"), ctl_tr("else"),
            socket);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fprintf(out, "  %-*s", COLUMN, rows[i].option);
        if (strlen(rows[i].option) > COLUMN) {
            fprintf(out, "\n  %-*s", COLUMN, "");
        }
        fprintf(out, " %s\n", rows[i].help[0] != '\0' ? ctl_tr(rows[i].help) : "");
    }
    fprintf(out, "%s\n",
            ctl_tr("exit codes: 0 done, 1 failed, 2 wrong usage, 3 no daemon answers, 4 refused "
                   "by the daemon"));
}

void ctl_hide_negatives(int argc, char **argv, int (*takes_value)(const char *argument)) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        bool number = argv[i][0] == '-' && isdigit((unsigned char)argv[i][1]) != 0;
        if (number && !takes_value(argv[i - 1])) {
            argv[i][0] = HIDDEN_MINUS;
        }
    }
}

void ctl_show_negatives(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == HIDDEN_MINUS) {
            argv[i][0] = '-';
        }
    }
}
