/* How canhbaoctl shows the verification. Thread rule: single-threaded program. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_SKILL_H
#define CANHBAO_DAEMON_CONTROL_CTL_SKILL_H

#include <jansson.h>
#include <stdio.h>

/* Reply to {"do":"skill"}: a table, a line for each product, system, place, lead and threshold. */
void ctl_print_skill(const json_t *data, FILE *out);

#endif
