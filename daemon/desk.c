#include "daemon/desk.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/desk_field.h"
#include "daemon/desk_late.h"
#include "daemon/explain.h"
#include "daemon/metrics.h"
#include "daemon/proposals.h"
#include "daemon/verdicts.h"
#include "daemon/view_skill.h"
#include "daemon/web/console.h"

/* ---- figures of the alarm system ---- */

int desk_begin(struct desk *desk, struct utc_us now) {
    const int64_t day_us = INT64_C(24) * 3600 * 1000000;
    int result = kpi_create(now.us, now.us + KPI_DAYS_MAX * day_us, &desk->kpi);
    desk->view.kpi = desk->kpi;
    return result;
}

void desk_end(struct desk *desk) {
    desk->kpi = kpi_destroy(desk->kpi);
    desk->view.kpi = NULL;
}

void desk_event(struct desk *desk, const char *alert_json) {
    struct kpi_event event;
    json_t *alert = json_loads(alert_json, 0, NULL);
    if (desk->kpi != NULL && kpi_event_of(alert, &event) == 0) {
        (void)kpi_add(desk->kpi,
                      &event); /* beyond its bounds the figures stay behind, not alarms */
    }
    json_decref(alert);
}

/* ---- control socket ---- */

int desk_command(struct desk *desk, const struct control_request *request, const char *actor,
                 struct desk_reply *ret_reply) {
    struct command command = request->command;
    struct pipeline_reply reply;
    (void)text_copy(command.actor, sizeof command.actor, actor); /* same bound on both sides */
    if (request->for_us > 0) {
        command.until.us = clock_now(desk->view.clock).utc.us + request->for_us;
    }
    struct err err = {0};
    int result = desk_field_prepare(&desk->view, &command, &err);
    if (result != 0) {
        (void)text_copy(ret_reply->text, sizeof ret_reply->text, err.text); /* the same bound */
        return result;
    }
    result = pipeline_command(desk->view.pipeline, &command, &reply);
    (void)text_copy(ret_reply->text, sizeof ret_reply->text, reply.text);
    ret_reply->revision = reply.revision;
    ret_reply->record = command.kind == COMMAND_REVOKE
                            ? command.field.revokes
                            : engine_number(pipeline_engine(desk->view.pipeline));
    return result;
}

static json_t *answer_command(struct desk *desk, const struct control_request *request,
                              const char *actor, struct err *ret_err) {
    struct desk_reply reply;
    int result = desk_command(desk, request, actor, &reply);
    if (result != 0) {
        (void)err_set(ret_err, result, "%s", reply.text);
        return NULL;
    }
    json_t *record = field_record(desk->view.store, reply.record);
    if (record != NULL) {
        return json_pack("{s:s,s:o}", "text", command_kind_name(request->command.kind), "record",
                         record);
    }
    return json_pack("{s:s,s:I}", "text", command_kind_name(request->command.kind), "revision",
                     (json_int_t)reply.revision);
}

/* Inputs that a running daemon looks through for one explanation: some tenths of a second. */
enum { EXPLAIN_INPUTS_MAX = 300000 };

static json_t *answer_explain(const struct view_source *view, const char *id, struct err *ret_err) {
    json_t *report = NULL;
    int result = explain_event(view->store, view->site, id, EXPLAIN_INPUTS_MAX, &report, ret_err);
    return result == 0 ? report : NULL;
}

static json_t *answer(void *ctx, const struct control_request *request, const char *actor,
                      struct err *ret_err) {
    struct desk *desk = ctx;
    const struct view_source *view = &desk->view;
    (void)err_set(ret_err, ERR_MEMORY, "no memory for the answer");
    switch (request->verb) {
    case CONTROL_STATUS:
        return view_status(view);
    case CONTROL_STATIONS:
        return view_stations(view, request->station, ret_err);
    case CONTROL_READINGS:
        return view_readings(view, request->station, request->point, (size_t)request->limit,
                             request->as_of, ret_err);
    case CONTROL_LATE:
        return desk_late(view, request, actor, ret_err);
    case CONTROL_RECORDS:
        return view_records(view, request->station, ret_err);
    case CONTROL_ALARMS:
        return view_alarms(view);
    case CONTROL_EVENTS:
        return view_events(view, request->after, (size_t)request->limit);
    case CONTROL_INCIDENTS:
        return view_incidents(view);
    case CONTROL_PROPOSALS:
        return proposals_value(pipeline_engine(view->pipeline));
    case CONTROL_VERDICTS:
        return verdicts_value(pipeline_engine(view->pipeline));
    case CONTROL_SKILL:
        return view_skill(view, request->product, request->for_us, ret_err);
    case CONTROL_EXPLAIN:
        return answer_explain(view, request->event, ret_err);
    case CONTROL_RELOAD:
        return desk->reload(desk->reload_ctx, actor, ret_err);
    case CONTROL_WHAT_IF:
        return desk->what_if(desk->what_if_ctx, &request->whatif, actor, ret_err);
    case CONTROL_COMMAND:
        return answer_command(desk, request, actor, ret_err);
    }
    (void)err_set(ret_err, ERR_UNSUPPORTED, "this request is not known");
    return NULL;
}

struct control_host desk_control_host(struct desk *desk) {
    return (struct control_host){.ctx = desk, .answer = answer};
}

/* ---- HTTP ---- */

static int give_json(json_t *value, struct web_reply *ret_reply) {
    if (value == NULL) {
        return ERR_MEMORY;
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(value);
    if (text == NULL) {
        return ERR_MEMORY;
    }
    ret_reply->body = text;
    ret_reply->length = strlen(text);
    return 0;
}

static int get_status(struct desk *desk, const struct web_query *query,
                      struct web_reply *ret_reply) {
    (void)query;
    return give_json(view_status(&desk->view), ret_reply);
}

static int get_alarms(struct desk *desk, const struct web_query *query,
                      struct web_reply *ret_reply) {
    (void)query;
    return give_json(view_alarms(&desk->view), ret_reply);
}

static int get_stations(struct desk *desk, const struct web_query *query,
                        struct web_reply *ret_reply) {
    struct err err;
    const char *station = web_query_get(query, "station");
    json_t *stations = view_stations(&desk->view, station, &err);
    return stations == NULL && station != NULL ? ERR_NOT_FOUND : give_json(stations, ret_reply);
}

static int get_incidents(struct desk *desk, const struct web_query *query,
                         struct web_reply *ret_reply) {
    (void)query;
    return give_json(view_incidents(&desk->view), ret_reply);
}

/* A query argument as a whole number; the default when it is not given. */
static int query_int(const struct web_query *query, const char *name, int64_t min, int64_t max,
                     int64_t preset, int64_t *ret_value) {
    const char *text = web_query_get(query, name);
    if (text == NULL) {
        *ret_value = preset;
        return 0;
    }
    return text_parse_int(text, min, max, ret_value) != 0 ? ERR_INVALID : 0;
}

static int get_events(struct desk *desk, const struct web_query *query,
                      struct web_reply *ret_reply) {
    int64_t after;
    int64_t limit;
    if (query_int(query, "after", -1, INT64_MAX, -1, &after) != 0 ||
        query_int(query, "limit", 1, CONTROL_EVENTS_MAX, 100, &limit) != 0) {
        return ERR_INVALID;
    }
    return give_json(view_events(&desk->view, after, (size_t)limit), ret_reply);
}

static int get_proposals(struct desk *desk, const struct web_query *query,
                         struct web_reply *ret_reply) {
    (void)query;
    return give_json(proposals_value(pipeline_engine(desk->view.pipeline)), ret_reply);
}

static int get_verdicts(struct desk *desk, const struct web_query *query,
                        struct web_reply *ret_reply) {
    (void)query;
    return give_json(verdicts_value(pipeline_engine(desk->view.pipeline)), ret_reply);
}

static int get_explain(struct desk *desk, const struct web_query *query,
                       struct web_reply *ret_reply) {
    struct err err;
    const char *id = web_query_get(query, "id");
    if (id == NULL) {
        return ERR_INVALID;
    }
    json_t *report = answer_explain(&desk->view, id, &err);
    return report == NULL ? ERR_NOT_FOUND : give_json(report, ret_reply);
}

static int get_skill(struct desk *desk, const struct web_query *query,
                     struct web_reply *ret_reply) {
    struct err err;
    int64_t span_s;
    if (query_int(query, "span_s", 1, INT64_C(20) * 366 * 86400, VIEW_SKILL_DAY_S, &span_s) != 0) {
        return ERR_INVALID;
    }
    json_t *skill =
        view_skill(&desk->view, web_query_get(query, "product"), span_s * 1000000, &err);
    return skill == NULL ? err.code : give_json(skill, ret_reply);
}

static int get_products(struct desk *desk, const struct web_query *query,
                        struct web_reply *ret_reply) {
    (void)query;
    return give_json(view_products(&desk->view), ret_reply);
}

/* "/api/v1/products/ID/FILE" */
static int get_product_file(struct desk *desk, const char *path, struct web_reply *ret_reply) {
    char *text = NULL;
    size_t length = 0;
    int result = view_product_file(&desk->view, path, &text, &length);
    if (result == 0) {
        ret_reply->body = text;
        ret_reply->length = length;
    }
    return result;
}

static int get_metrics(struct desk *desk, const struct web_query *query,
                       struct web_reply *ret_reply) {
    (void)query;
    ret_reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    ret_reply->body = metrics_text(&desk->view, &ret_reply->length);
    return ret_reply->body != NULL ? 0 : ERR_MEMORY;
}

/* 200 while decisions are made and become durable, 503 otherwise. What merely waits (a broker that
 * is away, a silent station) is no reason to restart the daemon. */
static int get_healthz(struct desk *desk, const struct web_query *query,
                       struct web_reply *ret_reply) {
    (void)query;
    struct store_status status;
    store_status(desk->view.store, &status);
    bool well = (status.conditions & (STORE_WRITE_FAILED | STORE_DAMAGED)) == 0;
    ret_reply->status = well ? 200 : 503;
    return give_json(json_pack("{s:s,s:I}", "state", well ? "ok" : "store failed", "conditions",
                               (json_int_t)health_count(desk->view.health)),
                     ret_reply);
}

static int get_console(struct desk *desk, const struct web_query *query,
                       struct web_reply *ret_reply) {
    (void)desk;
    (void)query;
    ret_reply->content_type = "text/html; charset=utf-8";
    ret_reply->body = malloc(console_page_length);
    if (ret_reply->body == NULL) {
        return ERR_MEMORY;
    }
    memcpy(ret_reply->body, console_page, console_page_length);
    ret_reply->length = console_page_length;
    return 0;
}

static int get(void *ctx, const char *path, const struct web_query *query,
               struct web_reply *ret_reply) {
    static const struct {
        const char *path;
        int (*get)(struct desk *desk, const struct web_query *query, struct web_reply *ret_reply);
    } routes[] = {
        {"/", get_console},
        {"/healthz", get_healthz},
        {"/metrics", get_metrics},
        {"/api/v1/status", get_status},
        {"/api/v1/alarms", get_alarms},
        {"/api/v1/stations", get_stations},
        {"/api/v1/events", get_events},
        {"/api/v1/incidents", get_incidents},
        {"/api/v1/explain", get_explain},
        {"/api/v1/proposals", get_proposals},
        {"/api/v1/verdicts", get_verdicts},
        {"/api/v1/skill", get_skill},
        {"/api/v1/products", get_products},
    };
    static const char files[] = "/api/v1/products/";
    if (strncmp(path, files, sizeof files - 1) == 0) {
        return get_product_file(ctx, path + sizeof files - 1, ret_reply);
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].path, path) == 0) {
            return routes[i].get(ctx, query, ret_reply);
        }
    }
    return ERR_NOT_FOUND;
}

/* A command, as over the control socket. The answer has the same form. */
static int post(void *ctx, const char *token, const char *body, size_t length,
                struct web_reply *ret_reply) {
    struct desk *desk = ctx;
    struct control_request request;
    struct err err = {0};
    char actor[COMMAND_ACTOR_SIZE];
    json_t *data = NULL;
    if (operators_find(desk->operators, token, actor) != 0) {
        return ERR_DENIED;
    }
    int result = control_parse(body, length, &request, &err);
    bool hypothetical = result == 0 && request.verb == CONTROL_WHAT_IF;
    if (result == 0 && request.verb != CONTROL_COMMAND && !hypothetical) {
        result = err_set(&err, ERR_DENIED, "only commands are posted");
    }
    if (result == 0) {
        data = hypothetical ? desk->what_if(desk->what_if_ctx, &request.whatif, actor, &err)
                            : answer_command(desk, &request, actor, &err);
        result = data == NULL ? err.code : 0;
    }
    if (result == 0) {
        return give_json(json_pack("{s:b,s:o}", "ok", 1, "data", data), ret_reply);
    }
    ret_reply->status = result == ERR_STALE || result == ERR_EXISTS ? 409
                        : result == ERR_NOT_FOUND                   ? 404
                        : result == ERR_DENIED                      ? 403
                        : result == ERR_BUSY                        ? 503
                                                                    : 400;
    return give_json(
        json_pack("{s:b,s:s,s:s}", "ok", 0, "code", err_name(result), "error", err.text),
        ret_reply);
}

struct web_host desk_web_host(struct desk *desk) {
    return (struct web_host){.ctx = desk, .get = get, .post = post};
}
