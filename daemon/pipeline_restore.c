#include "daemon/pipeline_restore.h"

#include <stdlib.h>

struct replay {
    const struct restore_options *options;
    struct engine *engine;
    uint64_t count;
    struct err *err;
};

static int replay_input(void *user, uint64_t number, struct moment now, const void *bytes,
                        size_t length) {
    struct replay *replay = user;
    struct engine_input input;
    int result = engine_input_decode(replay->engine, bytes, length, &input);
    if (result == ERR_NOT_FOUND) {
        /* A reading of a point that the site no longer has: time passes, nothing else. */
        input = (struct engine_input){.kind = ENGINE_TICK, .number = number, .now = now};
        result = 0;
    }
    if (result == 0) {
        result = engine_step(replay->engine, &input, &replay->options->sink);
    }
    if (result != 0) {
        return err_set(replay->err, ERR_CORRUPT, "input %llu of the journal cannot be stepped: %s",
                       (unsigned long long)number, err_name(result));
    }
    replay->count++;
    return 0;
}

/* Loads one snapshot into a fresh engine. ERR_NOT_FOUND when there is none. */
static int load_snapshot(const struct restore_options *options, int skip,
                         struct engine **ret_engine, struct err *ret_err) {
    uint64_t number;
    void *bytes = NULL;
    size_t length;
    struct engine *engine = NULL;
    int result = store_load_snapshot(options->store, skip, &number, &bytes, &length, ret_err);
    if (result == 0) {
        result = engine_create(options->site, options->now, &engine, ret_err);
    }
    if (result == 0) {
        result = engine_load(engine, bytes, length, options->on_vanished, options->ctx);
        if (result == ERR_UNSUPPORTED) {
            (void)err_set(ret_err, result,
                          "the saved state after input %llu is of another version of this program: "
                          "start that one, or see UPGRADING in canhbaod(8)",
                          (unsigned long long)number);
        } else if (result != 0) {
            (void)err_set(ret_err, result, "the saved state after input %llu cannot be loaded: %s",
                          (unsigned long long)number, err_name(result));
        }
    }
    free(bytes);
    if (result != 0) {
        (void)engine_destroy(engine);
        return result;
    }
    *ret_engine = engine;
    return 0;
}

int restore_engine(const struct restore_options *options, struct engine **ret_engine,
                   uint64_t *ret_replayed, struct err *ret_err) {
    struct replay replay = {.options = options, .err = ret_err};
    int result = load_snapshot(options, 0, &replay.engine, ret_err);
    if (result != 0 && result != ERR_NOT_FOUND) {
        result = load_snapshot(options, 1, &replay.engine, ret_err);
    }
    if (result == ERR_NOT_FOUND && store_journal_last(options->store) == 0) {
        result = engine_create(options->site, options->now, &replay.engine, ret_err);
    } else if (result == ERR_NOT_FOUND) {
        result = err_set(ret_err, ERR_CORRUPT,
                         "there is a journal but no saved state that can be loaded");
    }
    if (result != 0) {
        return result;
    }
    result =
        store_read_journal(options->store, engine_number(replay.engine), replay_input, &replay);
    if (result != 0) {
        if (ret_err != NULL && ret_err->text[0] == '\0') {
            (void)err_set(ret_err, result, "the journal cannot be read: %s", err_name(result));
        }
        (void)engine_destroy(replay.engine);
        return result;
    }
    *ret_engine = replay.engine;
    *ret_replayed = replay.count;
    return 0;
}
