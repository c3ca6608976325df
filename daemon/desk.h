/* The desk: answers what people and programs ask, over the control socket and over HTTP, with one
 * code path for commands. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_DESK_H
#define CANHBAO_DAEMON_DESK_H

#include "daemon/control/control.h"
#include "daemon/view.h"
#include "daemon/web/web.h"

struct desk {
    struct view_source view; /* filled by the owner */
    struct kpi *kpi;
    /* Takes the configuration anew; what changed, as a document, or NULL with the reason. */
    json_t *(*reload)(void *ctx, const char *actor, struct err *ret_err);
    void *reload_ctx;
};

/* Begins to count alarms for the figures of the alarm system. ERR_MEMORY. */
int desk_begin(struct desk *desk, struct utc_us now);
void desk_end(struct desk *desk);
/* A committed event. */
void desk_event(struct desk *desk, const char *alert_json);

struct control_host desk_control_host(struct desk *desk);
struct web_host desk_web_host(struct desk *desk);

#endif
