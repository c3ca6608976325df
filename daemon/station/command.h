/* What a person asks for: acknowledge, shelve, and so on. Handed to the engine by the control
 * socket, the HTTP interface or Kafka; all three fill the same struct. Owner: the holder; no
 * pointers.
 *
 * A command has one target: an alarm (rule and place), a station (place alone), an incident, or
 * nothing. command_target_check() says what each kind wants. Thread rule: pure. */
#ifndef CANHBAO_STATION_COMMAND_H
#define CANHBAO_STATION_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/ids.h"
#include "daemon/station/field_record.h"
#include "daemon/station/station.h"

/* Written to the journal: never renumber. */
enum command_kind {
    COMMAND_ACKNOWLEDGE, /* alarm, or incident: all its members; `until` (may be 0): it lapses */
    COMMAND_SHELVE,      /* alarm; needs reason and until */
    COMMAND_UNSHELVE,
    COMMAND_OUT_OF_SERVICE, /* alarm; needs reason and until */
    COMMAND_IN_SERVICE,
    COMMAND_COMMENT,         /* alarm or incident; needs comment */
    COMMAND_RESEND_STATE,    /* publish the complete state of every place again; no target */
    COMMAND_MAINTENANCE,     /* station; needs reason and until: somebody works on it */
    COMMAND_END_MAINTENANCE, /* station */
    COMMAND_CANCEL,          /* alarm; needs reason: withdraw what was published */
    COMMAND_APPROVE,         /* alarm: its public message; two different actors */
    COMMAND_REJECT,          /* alarm; needs reason */
    COMMAND_MERGE,           /* incident into another one; needs reason */
    COMMAND_SPLIT,           /* alarm; needs reason: out of its incident into one of its own */
    COMMAND_ATTACH,          /* incident, or alarm: its incident; needs attachment */
    COMMAND_CALIBRATE,       /* station; field: see field_record.h */
    COMMAND_SPOT,            /* station; field */
    COMMAND_BUCKET_TEST,     /* station; field.point and until: tips are no rain from now on */
    COMMAND_END_BUCKET_TEST, /* station; field: judges */
    COMMAND_REVOKE,          /* station; field.point, field.revokes; needs reason */
    COMMAND_VERDICT,         /* alarm of radiation or chemicals; needs verdict */
    COMMAND_KIND_COUNT
};

/* What the alarm was in a person's eyes. Written to the journal: never renumber. */
enum operator_verdict { JUDGED_NONE, JUDGED_REAL, JUDGED_RAIN, JUDGED_FAULT, JUDGED_COUNT };

enum { COMMAND_TEXT_SIZE = 256, COMMAND_ACTOR_SIZE = 64 };

struct command {
    enum command_kind kind;
    char id[ID_TEXT_SIZE]; /* of the request, for transports that may repeat it; a second one is
                              refused. Empty: none */
    char rule[STATION_ID_SIZE];
    char place[STATION_ID_SIZE];
    char incident[ID_TEXT_SIZE];
    char into[ID_TEXT_SIZE];          /* MERGE: the incident that remains */
    char attachment[STATION_ID_SIZE]; /* ATTACH: what it is: "plume", "trace" */
    char reference[HASH_TEXT_SIZE];   /* ATTACH: the run's manifest, or another hash */
    char actor[COMMAND_ACTOR_SIZE];   /* who, as the transport authenticated them */
    char comment[COMMAND_TEXT_SIZE];
    struct utc_us until;   /* end of what is asked for; 0: none given */
    struct utc_us expires; /* the command itself is refused from then on; 0: never */
    bool has_expected_revision;
    uint64_t expected_revision;    /* of the alarm or incident; another one is refused as stale */
    struct field_record field;     /* commands of a technician */
    enum operator_verdict verdict; /* VERDICT */
};

/* "acknowledge", ... Never NULL. */
const char *command_kind_name(enum command_kind kind);
/* ERR_NOT_FOUND for an unknown name. */
int command_kind_parse(const char *name, enum command_kind *ret_kind);

/* "none", "real", "rain", "fault". Never NULL. */
const char *verdict_name(enum operator_verdict verdict);
/* ERR_NOT_FOUND for an unknown name, and for "none": no verdict is none. */
int verdict_parse(const char *name, enum operator_verdict *ret_verdict);

/* An attachment of this kind is a person's decision on a raise of the risk level that the law
 * leaves to people; its reference is "accepted-LEVEL" or "refused-LEVEL", and it has a reason. */
#define COMMAND_RISK_RAISE "risk-raise"
/* ERR_INVALID: another text. Levels 1 to 5. */
int decision_parse(const char *reference, bool *ret_accepted, int *ret_level);

/* ERR_INVALID with a sentence when the target is not one that the kind takes, or a decision is
 * none.
 */
int command_target_check(const struct command *command, struct err *ret_err);

#endif
