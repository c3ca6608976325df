/* How canhbaoctl shows a reply to a person. Texts go to a stream; nothing is kept.
 * Thread rule: single-threaded program. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_PRINT_H
#define CANHBAO_DAEMON_CONTROL_CTL_PRINT_H

#include <jansson.h>
#include <stdio.h>

void ctl_print_status(const json_t *data, FILE *out);
void ctl_print_stations(const json_t *data, FILE *out);
void ctl_print_diag(const json_t *data, FILE *out); /* the same reply, seen by a technician */
void ctl_print_readings(const json_t *data, FILE *out);
void ctl_print_alarms(const json_t *data, FILE *out);
void ctl_print_incidents(const json_t *data, FILE *out);
void ctl_print_event(const json_t *event, FILE *out);
void ctl_print_reload(const json_t *data, FILE *out);
void ctl_print_command(const json_t *data, FILE *out);

#endif
