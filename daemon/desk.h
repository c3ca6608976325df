/* The desk: answers what people and programs ask, over the control socket and over HTTP, with one
 * code path for commands. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_DESK_H
#define CANHBAO_DAEMON_DESK_H

#include "daemon/control/control.h"
#include "daemon/operators.h"
#include "daemon/view.h"
#include "daemon/web/web.h"

struct desk {
    struct view_source view; /* filled by the owner */
    struct kpi *kpi;
    const struct operators *operators; /* who may give commands over HTTP; NULL: nobody */
    /* Takes the configuration anew; what changed, as a document, or NULL with the reason. */
    json_t *(*reload)(void *ctx, const char *actor, struct err *ret_err);
    void *reload_ctx;
    /* Asks for a hypothetical release; who will answer, as a document, or NULL with the reason. */
    json_t *(*what_if)(void *ctx, const struct whatif_request *request, const char *actor,
                       struct err *ret_err);
    void *what_if_ctx;
};

/* Begins to count alarms for the figures of the alarm system. ERR_MEMORY. */
int desk_begin(struct desk *desk, struct utc_us now);
void desk_end(struct desk *desk);
/* A committed event. */
void desk_event(struct desk *desk, const char *alert_json);

/* The one path of commands, for every transport: 0, or the refusal's code and its sentence. */
struct desk_reply {
    char text[ERR_TEXT_MAX]; /* why it was refused; empty when it was not */
    uint64_t revision;       /* of the alarm or incident afterwards; 0: none */
    uint64_t record;         /* number of the technician's record that it made or ended, if any */
};
int desk_command(struct desk *desk, const struct control_request *request, const char *actor,
                 struct desk_reply *ret_reply);

struct control_host desk_control_host(struct desk *desk);
struct web_host desk_web_host(struct desk *desk);

#endif
