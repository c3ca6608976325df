#include "daemon/release_follow.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void attach(struct pipeline *pipeline, const struct release_area *area, const char *what,
                   const struct jobs_run *run, const char *comment) {
    struct command command = {.kind = COMMAND_ATTACH};
    struct pipeline_reply reply;
    (void)text_copy(command.rule, sizeof command.rule, area->rule);    /* of the same sizes */
    (void)text_copy(command.place, sizeof command.place, area->place); /* the same */
    (void)text_copy(command.attachment, sizeof command.attachment, what);
    (void)text_copy(command.actor, sizeof command.actor, "model:release");
    (void)text_copy(command.reference, sizeof command.reference, run->parsed->results[0].manifest);
    (void)text_copy(command.comment, sizeof command.comment, comment); /* shorter */
    (void)pipeline_command(pipeline, &command, &reply); /* refused: there is nothing to attach to */
}

/* "Cl2, traced, 212 g/s, AEGL-1 to 3.2 km; 1200 people". */
static void describe(const json_t *release, char *ret_text, size_t size) {
    const json_t *people = json_object_get(json_object_get(release, "communes"), "people");
    char inside[40] = "";
    if (json_is_number(people)) {
        (void)snprintf(inside, sizeof inside, "; %.0f people", json_number_value(people));
    }
    const json_t *zone = json_array_get(json_object_get(release, "zones"), 0);
    (void)snprintf(ret_text, size, "%.16s, %.20s, %.3g g/s, %.24s to %.1f km%s",
                   text_of(release, "substance"), text_of(release, "status"),
                   json_number_value(json_object_get(json_object_get(release, "source"), "Q_g_s")),
                   text_of(zone, "name"), json_number_value(json_object_get(zone, "reach_km")),
                   inside);
}

static void tell_incident(struct release_follow *follow, const struct jobs_run *run,
                          const struct release_area *area, const json_t *release,
                          struct pipeline *pipeline, struct utc_us now) {
    const char *status = text_of(release, "status");
    char comment[COMMAND_TEXT_SIZE];
    bool same = strcmp(follow->rule, area->rule) == 0 && strcmp(follow->place, area->place) == 0 &&
                strcmp(follow->status, status) == 0;
    if (same && now.us - follow->attached.us < FOLLOW_AGAIN_US) {
        return;
    }
    describe(release, comment, sizeof comment);
    attach(pipeline, area, "plume", run, comment);
    if (strcmp(status, "traced") == 0) {
        attach(pipeline, area, "trace", run, comment);
    }
    (void)text_copy(follow->rule, sizeof follow->rule, area->rule);
    (void)text_copy(follow->place, sizeof follow->place, area->place);
    if (text_copy(follow->status, sizeof follow->status, status) != 0) {
        follow->status[0] = '\0';
    }
    follow->attached = now;
}

int release_follow(struct release_follow *follow, const struct jobs_run *run,
                   struct release_areas *areas, struct pipeline *pipeline, struct utc_us now,
                   struct err *ret_err) {
    json_error_t why;
    if (strcmp(run->model, "release") != 0 || run->parsed->count == 0) {
        return 0;
    }
    int result = release_areas_take(areas, run->output, run->output_length,
                                    run->parsed->reference_time, ret_err);
    if (result != 0 || areas->count == 0) {
        return result;
    }
    json_t *root = json_loadb(run->output, run->output_length, 0, &why);
    tell_incident(follow, run, &areas->list[0], json_object_get(root, "release"), pipeline, now);
    json_decref(root);
    return 0;
}
