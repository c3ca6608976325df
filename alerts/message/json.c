#include "alerts/message/json.h"

#include "alerts/message/writer.h"

const char *message_status_name(enum message_status status) {
    switch (status) {
    case MESSAGE_ACTUAL:
        return "Actual";
    case MESSAGE_EXERCISE:
        return "Exercise";
    case MESSAGE_TEST:
        break;
    }
    return "Test";
}

static void put_time_or_null(struct json_writer *json, const char *key, struct utc_us time) {
    if (time.us != 0) {
        json_time(json, key, time);
    } else {
        json_null_value(json, key);
    }
}

static void put_text_or_null(struct json_writer *json, const char *key, const char *text) {
    json_text(json, key, text != NULL && text[0] != '\0' ? text : NULL);
}

static void put_seconds(struct json_writer *json, const char *key, int64_t us) {
    json_number(json, key, (double)us / 1e6);
}

/* A level is only ever written here: with its scale. */
static void put_level(struct json_writer *json, const char *key, const struct scale *scale,
                      bool assessed, uint32_t level) {
    json_open(json, key, '{');
    json_text(json, "scale", scale->id);
    json_text(json, "scale_name_vi", scale->name_vi);
    json_text(json, "scale_name_en", scale->name_en);
    if (assessed) {
        json_int(json, "value", level);
        json_text(json, "name_vi", scale_level_name_vi(scale, level));
        json_text(json, "name_en", scale_level_name_en(scale, level));
    } else {
        json_null_value(json, "value");
        json_text(json, "name_vi", "chưa xác định");
        json_text(json, "name_en", "not determined yet");
    }
    json_close(json, '}');
}

static void put_alarm_levels(struct json_writer *json, const struct alarm_levels *levels) {
    if (levels == NULL || levels->count == 0) {
        json_null_value(json, "alarm_levels");
        return;
    }
    json_open(json, "alarm_levels", '{');
    json_open(json, "at", '[');
    for (uint32_t i = 0; i < levels->count; i++) {
        json_number(json, NULL, levels->at[i]);
    }
    json_close(json, ']');
    json_text(json, "unit", levels->unit);
    json_text(json, "source", levels->source);
    json_truth(json, "provisional", levels->provisional);
    json_number(json, "historic_peak", levels->historic_peak);
    put_text_or_null(json, "historic_source", levels->historic_source);
    json_truth(json, "historic_provisional", levels->historic_provisional);
    json_close(json, '}');
}

static void put_place(struct json_writer *json, const struct alarm_view *view) {
    const struct place *place = &view->place;
    json_open(json, "place", '{');
    json_text(json, "id", place->id);
    json_text(json, "kind", place->kind == PLACE_STATION ? "station" : "area");
    json_text(json, "name_vi", place->name_vi);
    json_text(json, "name_en", place->name_en);
    json_number(json, "latitude_deg", place->latitude_deg);
    json_number(json, "longitude_deg", place->longitude_deg);
    json_truth(json, "provisional", place->provisional);
    put_alarm_levels(json, view->alarm_levels);
    json_close(json, '}');
}

/* The rows of legal tables that the rule stands on; those that hold now gave the level. */
static void put_rows(struct json_writer *json, const struct alarm_view *view) {
    const struct rule *rule = view->rule;
    json_open(json, "rows", '[');
    for (size_t i = 0; i < rule->row_count; i++) {
        const struct rule_row *row = &rule->rows[i];
        json_open(json, NULL, '{');
        json_text(json, "table", row->table);
        json_text(json, "row", row->id);
        put_text_or_null(json, "column", row->column);
        if (row->article > 0) {
            json_int(json, "article", row->article);
        } else {
            json_null_value(json, "article");
        }
        json_text(json, "source", row->source);
        json_text(json, "source_kind", row->kind);
        json_text(json, "confidence", row->confidence);
        json_truth(json, "provisional", row->provisional);
        put_time_or_null(json, "valid_from", (struct utc_us){row->valid_from_us});
        put_time_or_null(json, "valid_to", (struct utc_us){row->valid_to_us});
        enum tristate holds = rule_row_holds(rule, i, false, view->alarm_levels, view->indicators);
        if (holds == TRI_UNKNOWN) {
            json_null_value(json, "holds");
        } else {
            json_truth(json, "holds", holds == TRI_TRUE);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void put_rule(struct json_writer *json, const struct alarm_view *view) {
    const struct rule *rule = view->rule;
    json_open(json, "rule", '{');
    json_text(json, "id", rule->id);
    json_text(json, "revision", rule->revision);
    json_text(json, "text_vi", rule->text_vi);
    json_text(json, "text_en", rule->text_en);
    json_text(json, "source", rule->source);
    json_truth(json, "provisional", rule->provisional);
    put_rows(json, view);
    json_close(json, '}');
}

static void put_knowledge(struct json_writer *json, const struct alarm *alarm,
                          const struct alarm_change *change) {
    json_open(json, "knowledge", '{');
    json_text(json, "state", knowledge_name(alarm->knowledge));
    json_text(json, "cause", cause_name(alarm->cause));
    put_time_or_null(json, "since", alarm->knowledge_since.utc);
    if (change != NULL) {
        json_text(json, "previous", knowledge_name(change->previous_knowledge));
    }
    json_close(json, '}');
}

static void put_annunciation(struct json_writer *json, const struct rule *rule,
                             const struct alarm *alarm, const struct alarm_change *change) {
    json_open(json, "annunciation", '{');
    json_text(json, "state", annunciation_name(alarm->annunciation));
    if (alarm->acknowledged_level > 0) {
        put_level(json, "acknowledged_level", &rule->scale, true, alarm->acknowledged_level);
    } else {
        json_null_value(json, "acknowledged_level");
    }
    put_text_or_null(json, "acknowledged_by", alarm->acknowledged_by);
    put_time_or_null(json, "acknowledged_at", alarm->acknowledged_at.utc);
    put_time_or_null(json, "acknowledged_until", alarm->acknowledged_until.utc);
    put_text_or_null(json, "comment", alarm->acknowledged_comment);
    if (change != NULL) {
        json_text(json, "previous", annunciation_name(change->previous_annunciation));
    }
    json_close(json, '}');
}

static void put_override(struct json_writer *json, const struct alarm *alarm,
                         const struct alarm_change *change) {
    json_open(json, "override", '{');
    json_text(json, "state", override_name(alarm_override_shown(alarm)));
    if (change != NULL) {
        json_text(json, "previous", override_name(change->previous_override));
    }
    json_open(json, "active", '[');
    for (int kind = OVERRIDE_COUNT - 1; kind > OVERRIDE_NONE; kind--) {
        const struct alarm_override *override = &alarm->overrides[kind];
        if (override->active) {
            json_open(json, NULL, '{');
            json_text(json, "kind", override_name((enum override_kind)kind));
            json_text(json, "actor", override->actor);
            put_text_or_null(json, "reason", override->reason);
            json_time(json, "since", override->since.utc);
            put_time_or_null(json, "until", override->until.utc);
            json_close(json, '}');
        }
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void put_publication(struct json_writer *json, const struct alarm *alarm) {
    json_open(json, "publication", '{');
    json_text(json, "state", publication_name(alarm->publication));
    put_time_or_null(json, "expires", alarm->expires.utc);
    json_close(json, '}');
}

static void put_approval(struct json_writer *json, const struct rule *rule,
                         const struct alarm *alarm) {
    const struct alarm_approval *approval = &alarm->approval;
    json_open(json, "approval", '{');
    json_text(json, "state", approval_name(approval->state));
    if (approval->state != APPROVAL_NONE) {
        put_level(json, "level", &rule->scale, true, approval->level);
    } else {
        json_null_value(json, "level");
    }
    put_time_or_null(json, "since", approval->since.utc);
    put_time_or_null(json, "due",
                     approval->state == APPROVAL_WAITING ? approval->due.utc : (struct utc_us){0});
    put_text_or_null(json, "first", approval->first);
    put_text_or_null(json, "decided_by", approval->decided_by);
    json_int(json, "overdue", approval->overdue);
    json_close(json, '}');
}

static void put_escalation(struct json_writer *json, const struct alarm *alarm) {
    json_open(json, "escalation", '{');
    json_text(json, "notice", notice_name(alarm->notice));
    json_int(json, "step", alarm->escalation.step);
    put_time_or_null(json, "since", alarm->escalation.since.utc);
    json_close(json, '}');
}

static void put_flapping(struct json_writer *json, const struct alarm *alarm) {
    json_open(json, "flapping", '{');
    json_truth(json, "state", alarm->flapping);
    put_time_or_null(json, "since", alarm->flapping_since.utc);
    json_close(json, '}');
}

static void put_incident(struct json_writer *json, const struct incident *incident) {
    if (incident == NULL) {
        json_null_value(json, "incident");
        return;
    }
    json_open(json, "incident", '{');
    json_text(json, "id", incident->id);
    json_text(json, "hazard", incident->hazard);
    json_text(json, "group", incident->group);
    json_time(json, "started", incident->started.utc);
    json_close(json, '}');
}

/* What data that came late show. */
static void put_late(struct json_writer *json, const struct late_crossing *late) {
    if (late == NULL) {
        json_null_value(json, "late");
        return;
    }
    json_open(json, "late", '{');
    json_int(json, "level", late->level);
    json_time(json, "time", late->at);
    json_number(json, "value", late->value);
    json_int(json, "seq", (int64_t)late->seq);
    json_close(json, '}');
}

/* Whom to call. */
static void put_call(struct json_writer *json, const struct escalation_call *call) {
    if (call == NULL) {
        json_null_value(json, "call");
        return;
    }
    json_open(json, "call", '{');
    json_int(json, "step", call->step);
    json_int(json, "of", call->of);
    json_open(json, "roles", '[');
    for (uint32_t i = 0; i < call->role_count; i++) {
        const struct contact *contact = call->contacts[i];
        json_open(json, NULL, '{');
        json_text(json, "role", call->roles[i]);
        put_text_or_null(json, "contact", contact != NULL ? contact->id : NULL);
        put_text_or_null(json, "name", contact != NULL ? contact->name : NULL);
        put_text_or_null(json, "address", contact != NULL ? contact->address : NULL);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void put_tests(struct json_writer *json, const char *key, uint16_t mask) {
    json_open(json, key, '[');
    for (int i = 0; i < TEST_COUNT; i++) {
        if ((mask & (1U << i)) != 0) {
            json_text(json, NULL, quality_test_name((enum quality_test)i));
        }
    }
    json_close(json, ']');
}

static void put_newest(struct json_writer *json, const struct sample_ref *sample) {
    if (sample->seq == 0) {
        json_null_value(json, "newest");
        return;
    }
    json_open(json, "newest", '{');
    json_int(json, "seq", (int64_t)sample->seq);
    json_time(json, "time", sample->at.utc);
    json_number(json, "value", sample->value);
    json_int(json, "flag", sample->flag);
    put_tests(json, "suspect", sample->suspect_tests);
    put_tests(json, "fail", sample->fail_tests);
    json_int(json, "quality_revision", sample->quality_revision);
    json_truth(json, "simulated", sample->simulated);
    json_close(json, '}');
}

static void put_oldest(struct json_writer *json, const struct sample_ref *sample) {
    if (sample->seq == 0) {
        json_null_value(json, "oldest");
        return;
    }
    json_open(json, "oldest", '{');
    json_int(json, "seq", (int64_t)sample->seq);
    json_time(json, "time", sample->at.utc);
    json_close(json, '}');
}

static void put_model(struct json_writer *json, const struct indicator_spec *spec,
                      const struct model_ref *model) {
    json_open(json, "model", '{');
    json_text(json, "product", spec->product);
    json_text(json, "variable", spec->variable);
    put_seconds(json, "lead_s", spec->lead_us);
    put_text_or_null(json, "model", model->model);
    put_time_or_null(json, "reference_time", model->reference_time);
    json_number(json, "coverage", model->coverage);
    json_number(json, "probability", model->probability);
    put_text_or_null(json, "manifest_sha256", model->manifest);
    put_text_or_null(json, "cause", model->cause);
    json_close(json, '}');
}

static void put_evidence(struct json_writer *json, const struct indicator_spec *spec,
                         const struct indicator *indicator) {
    bool is_model = spec->kind == INDICATOR_MODEL;
    json_open(json, NULL, '{');
    json_text(json, "indicator", indicator_kind_name(spec->kind));
    json_text(json, "station", is_model ? NULL : indicator->station->id);
    json_text(json, "point", is_model ? NULL : indicator->point->id);
    json_text(json, "quantity", is_model ? spec->variable : indicator->point->quantity);
    json_text(json, "unit", is_model ? spec->unit : indicator->point->unit);
    put_seconds(json, "window_s", spec->window_us);
    json_number(json, "value", indicator->value);
    json_text(json, "knowledge", knowledge_name(indicator->knowledge));
    json_text(json, "cause", cause_name(indicator->cause));
    put_time_or_null(json, "observed", indicator->observed.utc);
    json_truth(json, "lower_bound", indicator->lower_bound);
    json_number(json, "completeness", indicator->completeness);
    json_int(json, "count", indicator->count);
    put_newest(json, &indicator->newest);
    put_oldest(json, &indicator->oldest);
    if (is_model) {
        put_model(json, spec, &indicator->model);
    } else {
        json_null_value(json, "model");
    }
    json_close(json, '}');
}

/* What alert and alert-state have in common. `change` NULL: the state. */
static void put_body(struct json_writer *json, const struct alarm_view *view,
                     const struct message_context *context, const struct alarm_change *change) {
    const struct rule *rule = view->rule;
    const struct alarm *alarm = view->alarm;
    json_text(json, "status", message_status_name(context->status));
    json_truth(json, "simulated", view_is_simulated(view));
    json_truth(json, "reconstructed", context->reconstructed);
    json_int(json, "revision", (int64_t)alarm->revision);
    json_text(json, "hazard", rule->hazard);
    put_place(json, view);
    put_level(json, "level", &rule->scale, alarm->assessed, alarm->level);
    if (change != NULL) {
        put_level(json, "previous_level", &rule->scale, change->previous_assessed,
                  change->previous_level);
    }
    put_time_or_null(json, "level_since", alarm->level_since.utc);
    json_text(json, "trend", trend_name(alarm->trend));
    put_knowledge(json, alarm, change);
    put_annunciation(json, rule, alarm, change);
    put_override(json, alarm, change);
    put_publication(json, alarm);
    put_approval(json, rule, alarm);
    put_escalation(json, alarm);
    put_flapping(json, alarm);
    put_incident(json, view->incident);
    put_time_or_null(json, "episode_start", alarm->episode_start);
    put_rule(json, view);
    json_open(json, "evidence", '[');
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        put_evidence(json, &rule->indicators[i], &view->indicators[i]);
    }
    json_close(json, ']');
}

static void put_changes(struct json_writer *json, uint32_t what) {
    static const char *const names[] = {"level",       "knowledge", "annunciation", "override",
                                        "publication", "comment",   "flapping",     "incident",
                                        "escalation",  "approval",  "notice",       "late"};
    json_open(json, "changes", '[');
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((what & (1U << i)) != 0) {
            json_text(json, NULL, names[i]);
        }
    }
    json_close(json, ']');
}

int message_alert(const struct event *event, const struct message_context *context, char *ret_text,
                  size_t size, size_t *ret_length) {
    struct json_writer json;
    json_begin(&json, ret_text, size);
    json_open(&json, NULL, '{');
    json_text(&json, "id", event->id);
    json_text(&json, "event", event_kind_name(event->kind));
    json_time(&json, "time", event->at.utc);
    json_int(&json, "sequence", (int64_t)event->sequence);
    put_changes(&json, event->change.what);
    put_text_or_null(&json, "actor", event->actor);
    put_text_or_null(&json, "comment", event->comment);
    put_call(&json, event->call);
    put_late(&json, event->late);
    put_body(&json, &event->view, context, &event->change);
    json_close(&json, '}');
    return json_end(&json, ret_length);
}

int message_alert_state(const struct alarm_view *view, const struct message_context *context,
                        char *ret_text, size_t size, size_t *ret_length) {
    struct json_writer json;
    json_begin(&json, ret_text, size);
    json_open(&json, NULL, '{');
    put_text_or_null(&json, "event_id", view->event_id);
    json_int(&json, "sequence", (int64_t)view->sequence);
    put_body(&json, view, context, NULL);
    json_close(&json, '}');
    return json_end(&json, ret_length);
}
