/* Alerts as JSON: bodies of the topics canhbao.alert.v1 and canhbao.alert-state.v1
 * (deploy/schemas/alert.v1.json and alert-state.v1.json).
 *
 * Keys come in a fixed order, numbers in their shortest form, times as RFC 3339 UTC: the same event
 * always gives the same bytes. NaN is null. Thread rule: pure. */
#ifndef CANHBAO_ALERTS_MESSAGE_JSON_H
#define CANHBAO_ALERTS_MESSAGE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "alerts/event.h"

enum message_status { MESSAGE_ACTUAL, MESSAGE_EXERCISE, MESSAGE_TEST };

struct message_context {
    enum message_status status;
    bool reconstructed; /* the input replays an event from reconstructed values */
};

enum { MESSAGE_SIZE_MAX = 65536 };

/* One event. ERR_LIMIT when it does not fit (MESSAGE_SIZE_MAX always fits). The text ends with a
 * zero byte that ret_length does not count. */
int message_alert(const struct event *event, const struct message_context *context, char *ret_text,
                  size_t size, size_t *ret_length);

/* The complete current record of one alarm. */
int message_alert_state(const struct alarm_view *view, const struct message_context *context,
                        char *ret_text, size_t size, size_t *ret_length);

/* "Actual", "Exercise", "Test" (the words of CAP). Never NULL. */
const char *message_status_name(enum message_status status);

#endif
