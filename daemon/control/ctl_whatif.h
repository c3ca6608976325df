/* canhbaoctl what-if: the request, and how the answer is told. Thread rule: single-threaded
 * program. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_WHATIF_H
#define CANHBAO_DAEMON_CONTROL_CTL_WHATIF_H

#include <jansson.h>
#include <stdio.h>

/* Puts SOURCE SUBSTANCE G_S, and --for and --wind DEGREES/M_S when given, into the request. 0 or
 * EXIT_USAGE, told already. */
int ctl_whatif_put(json_t *request, char **arguments, const char *duration, const char *wind);
void ctl_print_whatif(const json_t *data, FILE *out);

#endif
