/* journal_replay SITE STORE_DIR: steps the whole journal of a daemon that has ended through a fresh
 * engine and prints every event's body, one a line, as the daemon would publish it. Exit 0, or 1
 * with a reason. The store must hold the journal from its first input on (meta "engine_origin" is
 * written at the first start). --status NAME --reconstructed: how the daemon marked its messages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/message/json.h"
#include "daemon/config/site.h"
#include "daemon/engine.h"
#include "daemon/store/store.h"

struct replay {
    struct engine *engine;
    struct message_context context;
    struct engine_sink sink;
    uint64_t inputs;
};

static void on_event(void *ctx, const struct event *event) {
    static char text[MESSAGE_SIZE_MAX];
    const struct replay *replay = ctx;
    size_t length;
    if (message_alert(event, &replay->context, text, sizeof text, &length) != 0) {
        fputs("journal_replay: an event does not fit\n", stderr);
        exit(1);
    }
    puts(text);
}

static int on_input(void *user, uint64_t number, struct moment now, const void *bytes,
                    size_t length) {
    struct replay *replay = user;
    struct engine_input input;
    (void)now;
    int result = engine_input_decode(replay->engine, bytes, length, &input);
    result = result == 0 ? engine_step(replay->engine, &input, &replay->sink) : result;
    if (result != 0) {
        fprintf(stderr, "journal_replay: input %llu: %s\n", (unsigned long long)number,
                err_name(result));
    }
    replay->inputs++;
    return result;
}

int main(int argc, char **argv) {
    struct err err = {0};
    struct units *units = NULL;
    struct site *site = NULL;
    struct store *store = NULL;
    struct config_errors errors = {.count = 0};
    struct replay replay = {.context = {.status = MESSAGE_TEST}};
    if (argc < 3) {
        fputs("usage: journal_replay SITE STORE_DIR [--exercise] [--reconstructed]\n", stderr);
        return 1;
    }
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--exercise") == 0) {
            replay.context.status = MESSAGE_EXERCISE;
        } else if (strcmp(argv[i], "--reconstructed") == 0) {
            replay.context.reconstructed = true;
        }
    }
    struct moment origin;
    size_t length;
    if (units_create(&units, &err) != 0 || site_load(argv[1], units, &site, &errors) != 0 ||
        store_open(argv[2], NULL, &store, &err) != 0 ||
        store_get_meta(store, "engine_origin", &origin, sizeof origin, &length) != 0 ||
        length != sizeof origin) {
        fprintf(stderr, "journal_replay: cannot open: %s\n", err.text);
        return 1;
    }
    struct alerting alerting =
        site_alerting(site, replay.context.status != MESSAGE_ACTUAL); /* Test is a drill, too */
    const struct engine_site engine_site = site_for_engine(site, &alerting);
    replay.sink = (struct engine_sink){.context = &replay, .on_event = on_event};
    int result = engine_create(&engine_site, origin, &replay.engine, &err);
    if (result == 0) {
        result = store_read_journal(store, 0, on_input, &replay);
    }
    fprintf(stderr, "journal_replay: %llu inputs%s%s\n", (unsigned long long)replay.inputs,
            result != 0 ? ": " : "", result != 0 ? err.text : "");
    (void)engine_destroy(replay.engine);
    (void)store_close(store);
    (void)site_destroy(site);
    (void)units_destroy(units);
    return result == 0 && fflush(stdout) == 0 ? 0 : 1;
}
