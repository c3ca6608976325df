/* canhbaoctl explain: the report of daemon/explain.h for a person, from a running daemon or from a
 * copy of its store. Thread rule: single-threaded program. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_EXPLAIN_H
#define CANHBAO_DAEMON_CONTROL_CTL_EXPLAIN_H

#include <jansson.h>
#include <stdio.h>

#include "daemon/control/ctl_tools.h"

void ctl_print_explain(const json_t *report, FILE *out);
/* The list of daemon/proposals.h. */
void ctl_print_proposals(const json_t *proposals, FILE *out);
/* The list of daemon/verdicts.h. */
void ctl_print_verdicts(const json_t *verdicts, FILE *out);
/* EXIT_DONE: the recomputation gives the same; else EXIT_FAILED. */
int ctl_explain_verdict(const json_t *report);

/* From the folder of a store that no daemon has open (options->state_dir), with the site of
 * options->config. */
int ctl_explain_store(char **arguments, int count, const struct tool_options *options);

#endif
