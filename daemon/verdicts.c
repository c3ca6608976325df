#include "daemon/verdicts.h"

#include <string.h>

#include "daemon/base/text.h"

static void put_counts(json_t *object, const struct alarm_verdicts *verdicts) {
    for (int i = JUDGED_NONE + 1; i < JUDGED_COUNT; i++) {
        const char *name = verdict_name((enum operator_verdict)i);
        json_int_t before = json_integer_value(json_object_get(object, name));
        json_object_set_new(object, name, json_integer(before + verdicts->counts[i]));
    }
}

static json_t *place_of(json_t *list, const char *id) {
    size_t index;
    json_t *place;
    json_array_foreach(list, index, place) {
        if (strcmp(json_string_value(json_object_get(place, "place")), id) == 0) {
            return place;
        }
    }
    place = json_pack("{s:s,s:[]}", "place", id, "rules");
    json_array_append_new(list, place);
    return place;
}

static int add(void *ctx, const struct alarm_view *view) {
    const struct alarm_verdicts *verdicts = &view->alarm->verdicts;
    char episode[40];
    if (verdicts->newest == JUDGED_NONE) {
        return 0;
    }
    text_format_time(verdicts->episode.us, episode, sizeof episode);
    json_t *rule = json_pack("{s:s,s:s,s:s}", "rule", view->rule->id, "newest",
                             verdict_name(verdicts->newest), "episode", episode);
    json_t *place = place_of(ctx, view->place.id);
    put_counts(rule, verdicts);
    put_counts(place, verdicts);
    json_array_append_new(json_object_get(place, "rules"), rule);
    return 0;
}

json_t *verdicts_value(const struct engine *engine) {
    json_t *list = json_array();
    if (list != NULL) {
        (void)engine_visit_alarms(engine, add, list); /* never stops */
    }
    return list;
}
