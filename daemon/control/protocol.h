/* The control socket's protocol: one JSON object a line, both ways, UTF-8, over a Unix stream
 * socket.
 *
 * Request  {"do":"shelve","rule":"flood-alarm","place":"thanh-hoa","for_s":3600,"reason":"..."}
 * Reply    {"ok":true,"data":...}   or   {"ok":false,"code":"denied","error":"one sentence"}
 * Stream   after {"do":"events","follow":true} further lines {"event":{...}} until either side
 * closes
 *
 * A request line is at most CONTROL_LINE_MAX bytes. Every request that exists, with the keys it
 * takes and the role it needs, stands in one table (protocol.c); a key that is not in the table is
 * refused. The actor is never taken from the request: the daemon names the peer by its credentials.
 * Thread rule: pure functions. */
#ifndef CANHBAO_DAEMON_CONTROL_PROTOCOL_H
#define CANHBAO_DAEMON_CONTROL_PROTOCOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/control/late_request.h"
#include "daemon/control/whatif_request.h"
#include "daemon/station/command.h"

enum { CONTROL_LINE_MAX = 8192, CONTROL_EVENTS_MAX = 1000, CONTROL_READINGS_MAX = 10000 };

/* In rising order: a role may do all that the lower ones may. */
enum control_role { ROLE_NONE = 0, ROLE_VIEWER, ROLE_OPERATOR };

enum control_verb {
    CONTROL_STATUS,
    CONTROL_STATIONS,
    CONTROL_READINGS,
    CONTROL_LATE,    /* readings out of a logger's memory */
    CONTROL_RECORDS, /* what technicians did at a station */
    CONTROL_ALARMS,
    CONTROL_EVENTS,
    CONTROL_INCIDENTS,
    CONTROL_EXPLAIN,
    CONTROL_PROPOSALS,
    CONTROL_VERDICTS,
    CONTROL_RELOAD,
    CONTROL_SKILL,
    CONTROL_WHAT_IF, /* asks for a hypothetical plume: see daemon/models.h */
    CONTROL_COMMAND  /* see request.command.kind */
};

struct control_request {
    enum control_verb verb;
    enum control_role role_needed;
    struct command
        command;    /* CONTROL_COMMAND; actor and an absolute `until` are the server's to set */
    int64_t for_us; /* CONTROL_COMMAND: how long; CONTROL_SKILL: how far back; 0 when not given */
    char station[STATION_ID_SIZE]; /* CONTROL_READINGS, CONTROL_STATIONS: empty for all */
    char point[STATION_ID_SIZE];   /* CONTROL_READINGS: empty for all points of the station */
    struct utc_us as_of;           /* CONTROL_READINGS: calibrations as known then; 0: now */
    int64_t limit;                 /* rows wanted */
    int64_t after; /* CONTROL_EVENTS: only events with a larger number; -1 for the newest */
    bool follow;
    struct late_rows late;         /* CONTROL_LATE */
    bool last;                     /* CONTROL_LATE: the end of the fill */
    char event[64];                /* CONTROL_EXPLAIN: id of an event */
    char product[STATION_ID_SIZE]; /* CONTROL_SKILL: empty for all */
    struct whatif_request whatif;  /* CONTROL_WHAT_IF */
};

/* One request that is a JSON object already; as control_parse(). */
int control_parse_object(json_t *object, struct control_request *ret_request, struct err *ret_err);

/* Parses one line without its line break. ERR_SYNTAX, ERR_INVALID, ERR_NOT_FOUND or ERR_LIMIT with
 * a sentence that names key, value and what was expected. */
int control_parse(const char *line, size_t length, struct control_request *ret_request,
                  struct err *ret_err);

const char *control_role_name(enum control_role role);

#endif
