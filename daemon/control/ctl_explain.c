#include "daemon/control/ctl_explain.h"

#include <math.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/config/site.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_usage.h"
#include "daemon/explain.h"
#include "daemon/store/store.h"

enum { READINGS_PRINTED = 12 };

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

static void print_time(const json_t *object, const char *key, FILE *out) {
    char local[32];
    int64_t us;
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || text_parse_time(text, &us) != 0) {
        fputs("-", out);
        return;
    }
    text_format_local(us, 420, local, sizeof local);
    fprintf(out, "%s ICT", local);
}

/* "3.25", "unknown", "fresh", or JSON for what is more. */
static void print_json(const json_t *value, FILE *out) {
    char number[40];
    if (json_is_null(value) || value == NULL) {
        fputs("unknown", out);
    } else if (json_is_string(value)) {
        fputs(json_string_value(value), out);
    } else if (json_is_number(value)) {
        (void)text_format_double(json_number_value(value), number, sizeof number);
        fputs(number, out);
    } else {
        (void)json_dumpf(value, out, JSON_COMPACT | JSON_ENCODE_ANY);
    }
}

static void print_level(const json_t *level, FILE *out) {
    const json_t *value = json_object_get(level, "value");
    if (json_is_integer(value)) {
        fprintf(out, "%s: %lld (%s)", text_of(level, "scale_name_vi"),
                (long long)json_integer_value(value), text_of(level, "name_vi"));
    } else {
        fprintf(out, "%s: never determined", text_of(level, "scale_name_vi"));
    }
}

static void print_head(const json_t *event, FILE *out) {
    const json_t *rule = json_object_get(event, "rule");
    const json_t *place = json_object_get(event, "place");
    const json_t *knowledge = json_object_get(event, "knowledge");
    fprintf(out, "event       %s [%s]\n", text_of(event, "id"), text_of(event, "status"));
    fprintf(out, "what        %s, ", text_of(event, "event"));
    print_time(event, "time", out);
    fprintf(out, "\nplace       %s (%s)%s\nlevel       ", text_of(place, "name_vi"),
            text_of(place, "id"),
            json_is_true(json_object_get(place, "provisional")) ? ", PROVISIONAL" : "");
    print_level(json_object_get(event, "level"), out);
    fputs("\nbefore      ", out);
    print_level(json_object_get(event, "previous_level"), out);
    fprintf(out, "\nknowledge   %s, cause %s\n", text_of(knowledge, "state"),
            text_of(knowledge, "cause"));
    fprintf(out, "rule        %s: %s%s\nsource      %s\nrevision    %s\n", text_of(rule, "id"),
            text_of(rule, "text_vi"),
            json_is_true(json_object_get(rule, "provisional")) ? " (PROVISIONAL)" : "",
            text_of(rule, "source"), text_of(rule, "revision"));
}

static void print_rows(const json_t *rule, FILE *out) {
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(rule, "rows"), index, row) {
        const json_t *holds = json_object_get(row, "holds");
        const json_t *article = json_object_get(row, "article");
        fprintf(out, "table row   %s %s %s", text_of(row, "table"), text_of(row, "row"),
                json_is_string(json_object_get(row, "column")) ? text_of(row, "column") : "");
        if (json_is_integer(article)) {
            fprintf(out, " Art. %lld", (long long)json_integer_value(article));
        }
        fprintf(out, ": %s; %s, %s%s; %s\n",
                json_is_true(holds)    ? "holds"
                : json_is_false(holds) ? "does not hold"
                                       : "unknown",
                text_of(row, "source_kind"), text_of(row, "confidence"),
                json_is_true(json_object_get(row, "provisional")) ? ", PROVISIONAL" : "",
                text_of(row, "source"));
    }
}

static void print_reading(const json_t *reading, const char *unit, FILE *out) {
    fprintf(out, "    %8lld  ", (long long)json_integer_value(json_object_get(reading, "seq")));
    fputs(text_of(reading, "time"), out);
    fputs("  ", out);
    print_json(json_object_get(reading, "value"), out);
    fprintf(out, " %s  %s  flag %lld\n", unit, text_of(reading, "status"),
            (long long)json_integer_value(json_object_get(reading, "flag")));
}

static void print_run(const json_t *run, FILE *out) {
    fprintf(out, "    run %s of product %s, reference ", text_of(run, "model"),
            text_of(run, "product"));
    print_time(run, "reference_time", out);
    fputs(", share of the cells with data ", out);
    print_json(json_object_get(run, "coverage"), out);
    fputs(", probability ", out);
    print_json(json_object_get(run, "probability"), out);
    fprintf(out, "\n    manifest %s\n", text_of(run, "manifest_sha256"));
}

static void print_inputs(const json_t *report, FILE *out) {
    const json_t *evidence = json_object_get(json_object_get(report, "event"), "evidence");
    size_t index;
    json_t *input;
    json_array_foreach(json_object_get(report, "inputs"), index, input) {
        const json_t *own = json_array_get(evidence, index);
        const json_t *readings = json_object_get(input, "readings");
        size_t count = json_array_size(readings);
        size_t first = count > READINGS_PRINTED ? count - READINGS_PRINTED : 0;
        fprintf(out, "evidence    %s of %s/%s: ", text_of(own, "indicator"),
                text_of(own, "station"),
                json_is_string(json_object_get(own, "point")) ? text_of(own, "point")
                                                              : text_of(own, "quantity"));
        print_json(json_object_get(own, "value"), out);
        fprintf(out, " %s, %s (%s)\n", text_of(own, "unit"), text_of(own, "knowledge"),
                text_of(own, "cause"));
        if (json_is_object(json_object_get(input, "run"))) {
            print_run(json_object_get(input, "run"), out);
        }
        if (first > 0) {
            fprintf(out, "    the newest %d of %zu readings\n", READINGS_PRINTED, count);
        }
        for (size_t i = first; i < count; i++) {
            print_reading(json_array_get(readings, i), text_of(own, "unit"), out);
        }
    }
}

static void print_levels(const json_t *report, FILE *out) {
    size_t index;
    json_t *level;
    json_array_foreach(json_object_get(report, "levels"), index, level) {
        const json_t *holds = json_object_get(level, "holds");
        fprintf(out, "condition   level %lld on the scale %s (%s): %s: %s\n",
                (long long)json_integer_value(json_object_get(level, "level")),
                text_of(level, "scale"), text_of(level, "level_name_vi"),
                text_of(level, "condition"),
                !json_is_true(json_object_get(level, "graded_here")) ? "not graded here"
                : json_is_true(holds)                                ? "holds"
                : json_is_false(holds)                               ? "does not hold"
                                                                     : "unknown");
    }
}

static void print_counterfactual(const json_t *report, FILE *out) {
    const json_t *other = json_object_get(report, "counterfactual");
    if (!json_is_object(other)) {
        fputs("otherwise   no single input alone gives another level\n", out);
        return;
    }
    fprintf(out, "otherwise   with %s at ", text_of(other, "indicator"));
    print_json(json_object_get(other, "nearest"), out);
    fprintf(out, " %s (it was ", text_of(other, "unit"));
    print_json(json_object_get(other, "value"), out);
    fprintf(out, ") the level is %lld on the scale %s (%s)\n",
            (long long)json_integer_value(json_object_get(other, "level")), text_of(other, "scale"),
            text_of(other, "level_name_vi"));
}

static void print_verdict(const json_t *report, FILE *out) {
    const json_t *recomputed = json_object_get(report, "recomputed");
    size_t index;
    json_t *difference;
    if (!json_is_true(json_object_get(recomputed, "done"))) {
        fprintf(out, "recomputed  NOT: %s\n", text_of(recomputed, "reason"));
        return;
    }
    fprintf(out, "recomputed  from the %s, %lld inputs: %s\n", text_of(recomputed, "from"),
            (long long)json_integer_value(json_object_get(recomputed, "inputs")),
            json_is_true(json_object_get(recomputed, "same")) ? "same" : "DIFFERS");
    json_array_foreach(json_object_get(recomputed, "differences"), index, difference) {
        fprintf(out, "  differs at %s: stored ", text_of(difference, "at"));
        print_json(json_object_get(difference, "stored"), out);
        fputs(", recomputed ", out);
        print_json(json_object_get(difference, "recomputed"), out);
        fputs("\n", out);
    }
}

void ctl_print_explain(const json_t *report, FILE *out) {
    const json_t *event = json_object_get(report, "event");
    const char *rule_text = json_string_value(json_object_get(report, "rule_text"));
    print_head(event, out);
    print_rows(json_object_get(event, "rule"), out);
    print_inputs(report, out);
    print_levels(report, out);
    print_counterfactual(report, out);
    print_verdict(report, out);
    fprintf(out, "rule text of this revision:\n%s",
            rule_text != NULL ? rule_text : "  not in the store\n");
}

void ctl_print_proposals(const json_t *proposals, FILE *out) {
    size_t index;
    json_t *proposal;
    if (json_array_size(proposals) == 0) {
        fputs("nothing is proposed\n", out);
    }
    json_array_foreach(proposals, index, proposal) {
        fprintf(out, "%s at %s (group %s): ", text_of(proposal, "rule"), text_of(proposal, "place"),
                text_of(proposal, "group"));
        print_json(json_object_get(proposal, "with"), out);
        fprintf(out, " stand too. %s\n", text_of(proposal, "text_en"));
    }
}

void ctl_print_verdicts(const json_t *verdicts, FILE *out) {
    static const char *const names[] = {"real", "rain", "fault"};
    size_t index;
    json_t *place;
    if (json_array_size(verdicts) == 0) {
        fputs("no verdict was given\n", out);
        return;
    }
    fprintf(out, "%-24s %6s %6s %6s\n", "station", "real", "rain", "fault");
    json_array_foreach(verdicts, index, place) {
        fprintf(out, "%-24s", text_of(place, "place"));
        for (int i = 0; i < 3; i++) {
            fprintf(out, " %6lld", (long long)json_integer_value(json_object_get(place, names[i])));
        }
        fputs("\n", out);
    }
}

int ctl_explain_verdict(const json_t *report) {
    return json_is_true(json_object_get(json_object_get(report, "recomputed"), "same"))
               ? EXIT_DONE
               : EXIT_FAILED;
}

static int explain_one(const char *id, struct store *store, const struct site *site, bool json) {
    struct err err = {0};
    json_t *report = NULL;
    if (explain_event(store, site, id, 0, &report, &err) != 0) {
        ctl_error("%s", err.text);
        return EXIT_FAILED;
    }
    if (json) {
        ctl_json_print(report);
    } else {
        ctl_print_explain(report, stdout);
    }
    int result = ctl_explain_verdict(report);
    json_decref(report);
    return result;
}

/* Every event of the store: one line each, and a sum. */
static int add_id(void *user, const struct store_event *event) {
    json_array_append_new(user, json_string(event->id));
    return 0;
}

static int explain_all(struct store *store, const struct site *site, bool json) {
    json_t *ids = json_array();
    size_t index, same = 0;
    json_t *id;
    (void)store_read_events(store, 0, SIZE_MAX, add_id, ids); /* what is missing shows in the sum */
    json_array_foreach(ids, index, id) {
        struct err err = {0};
        json_t *report = NULL;
        if (explain_event(store, site, json_string_value(id), 0, &report, &err) != 0) {
            ctl_error("%s", err.text);
            continue;
        }
        bool is_same = ctl_explain_verdict(report) == EXIT_DONE;
        same += is_same;
        if (!is_same && json) {
            ctl_json_print(report);
        } else if (!is_same) {
            printf("%s ", json_string_value(id));
            print_verdict(report, stdout);
        }
        json_decref(report);
    }
    size_t count = json_array_size(ids);
    fprintf(json ? stderr : stdout, "%zu of %zu events recompute to the same\n", same, count);
    json_decref(ids);
    return same == count ? EXIT_DONE : EXIT_FAILED;
}

int ctl_explain_store(char **arguments, int count, const struct tool_options *options) {
    struct site *site = NULL;
    struct store *store = NULL;
    struct err err = {0};
    if (count != 1 || options->config == NULL) {
        return ctl_usage("explain ID|all --state-dir DIR --config DIR");
    }
    int result = ctl_load_site(options->config, &site);
    if (result == EXIT_DONE && store_open(options->state_dir, NULL, &store, &err) != 0) {
        ctl_error("%s", err.text);
        result = EXIT_FAILED;
    }
    if (result == EXIT_DONE) {
        result = strcmp(arguments[0], "all") == 0
                     ? explain_all(store, site, options->json)
                     : explain_one(arguments[0], store, site, options->json);
    }
    (void)store_close(store);
    (void)site_destroy(site);
    return result;
}
