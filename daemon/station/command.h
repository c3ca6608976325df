/* What a person asks for: acknowledge, shelve, and so on. Handed to the engine by the control
 * socket, the HTTP interface or Kafka; all three fill the same struct. Owner: the holder; no
 * pointers. */
#ifndef CANHBAO_STATION_COMMAND_H
#define CANHBAO_STATION_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/station/station.h"

enum command_kind {
    COMMAND_ACKNOWLEDGE,
    COMMAND_SHELVE, /* needs reason and until */
    COMMAND_UNSHELVE,
    COMMAND_OUT_OF_SERVICE, /* needs reason and until */
    COMMAND_IN_SERVICE,
    COMMAND_COMMENT,      /* needs comment */
    COMMAND_RESEND_STATE, /* publish the complete state of every place again; no rule or place */
    COMMAND_KIND_COUNT
};

enum { COMMAND_TEXT_SIZE = 256, COMMAND_ACTOR_SIZE = 64 };

struct command {
    enum command_kind kind;
    char rule[STATION_ID_SIZE];
    char place[STATION_ID_SIZE];
    char actor[COMMAND_ACTOR_SIZE]; /* who, as the transport authenticated them */
    char comment[COMMAND_TEXT_SIZE];
    struct utc_us until; /* end of a shelve or an outage; 0: none given */
    bool has_expected_revision;
    uint64_t expected_revision; /* of the alarm; another one is refused as stale */
};

/* "acknowledge", ... Never NULL. */
const char *command_kind_name(enum command_kind kind);
/* ERR_NOT_FOUND for an unknown name. */
int command_kind_parse(const char *name, enum command_kind *ret_kind);

#endif
