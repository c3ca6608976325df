/* What a technician does at a station through the daemon: maintenance, hand readings, calibrations,
 * bucket tests, their records and revocation. Results go to standard output, for a person or as
 * JSON; prompts and errors to standard error. Thread rule: single-threaded program. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_FIELD_H
#define CANHBAO_DAEMON_CONTROL_CTL_FIELD_H

#include "daemon/control/ctl_kpi.h"

struct field_options {
    bool json;
    const char *reason, *duration, *until; /* texts as given; NULL: not given */
    const char *at, *instrument, *tolerance, *volume, *area, *tip;
};

struct ctl_field_tool {
    const char *name, *arguments, *help;
    int (*run)(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
               const struct field_options *options);
};
/* Ends with a NULL name. */
extern const struct ctl_field_tool ctl_field_tools[];

/* What a logger kept while the link was down, from a CSV file time,value with original times. */
int ctl_import(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
               const struct field_options *options);
/* Live values with quality over the whole terminal until q is pressed; without a terminal, once. */
int ctl_watch(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
              const struct field_options *options);

#endif
