/* The stations' serial lines: a pseudo-terminal behind a stable name, Modbus RTU. Faults are those
 * of server.h; what they do to the MBAP header has no counterpart here, reset, fin and refuse have
 * none either (they swallow the answer). Source: MODBUS over Serial Line V1.02, 2.5.1.
 * Thread rule: the loop's thread. */
#ifndef CANHBAO_SIM_LINE_H
#define CANHBAO_SIM_LINE_H

#include <uv.h>

#include "fault.h"
#include "scenario.h"

/* Builds the answer to one request in Modbus TCP form, as server.c does for its connections. */
typedef size_t (*line_answer_fn)(void *ctx, struct sim_endpoint *endpoint, const uint8_t *request,
                                 size_t length, uint8_t *ret_frame, const struct fault **ret_fault);

struct line;

/* Makes the pseudo-terminal and a symbolic link to it at endpoint->device (which must not exist, or
 * be such a link). On failure nothing is left. */
int line_open(uv_loop_t *loop, struct sim_endpoint *endpoint, line_answer_fn answer, void *ctx,
              struct line **ret_line, struct err *ret_err);
/* Closes; the memory goes when the loop has run. NULL is fine. */
void line_close(struct line *line);

#endif
