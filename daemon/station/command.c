#include "daemon/station/command.h"

#include <string.h>

#include "daemon/base/err.h"

static const char *const names[COMMAND_KIND_COUNT] = {
    [COMMAND_ACKNOWLEDGE] = "acknowledge",   [COMMAND_SHELVE] = "shelve",
    [COMMAND_UNSHELVE] = "unshelve",         [COMMAND_OUT_OF_SERVICE] = "out-of-service",
    [COMMAND_IN_SERVICE] = "in-service",     [COMMAND_COMMENT] = "comment",
    [COMMAND_RESEND_STATE] = "resend-state",
};

const char *command_kind_name(enum command_kind kind) {
    return (unsigned)kind < COMMAND_KIND_COUNT ? names[kind] : "unknown";
}

int command_kind_parse(const char *name, enum command_kind *ret_kind) {
    for (unsigned i = 0; i < COMMAND_KIND_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_kind = (enum command_kind)i;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}
