/* Scripted faults: which station misbehaves how and when. Windows are half open, [from, to).
 *
 * Reply faults change how a request is answered; the first active one of the station wins, with
 * probability `share`, drawn from the scenario's seed. Value faults change what the registers hold.
 * `refuse` closes the endpoint. Thread rule: pure after loading. */
#ifndef CANHBAO_SIM_FAULT_H
#define CANHBAO_SIM_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doc.h"

enum { FAULTS_MAX = 1000, FAULT_PATTERN_MAX = 64 };

enum fault_kind {
    FAULT_SILENCE,           /* the request is swallowed */
    FAULT_DRIBBLE,           /* one byte every delay_ms */
    FAULT_WRONG_TRANSACTION, /* transaction id + 1 */
    FAULT_WRONG_UNIT,        /* unit id + 1 */
    FAULT_WRONG_PROTOCOL,    /* protocol id 1 */
    FAULT_WRONG_LENGTH,      /* MBAP length one too large */
    FAULT_WRONG_FUNCTION,    /* function code of the other register table */
    FAULT_WRONG_BYTE_COUNT,  /* byte count two too small, the bytes are there */
    FAULT_SHORT,             /* one register fewer than asked, all counts consistent */
    FAULT_SURPLUS,           /* four bytes after the frame */
    FAULT_EXCEPTION,         /* exception `code` */
    FAULT_LATE,              /* the right answer after delay_ms */
    FAULT_RESET,             /* the connection is reset */
    FAULT_FIN,               /* half of the frame, then the end of the stream */
    FAULT_REFUSE,            /* the port is closed */
    FAULT_NAN,               /* the point has no value */
    FAULT_STUCK,             /* the point keeps the value it had when first read in the window */
    FAULT_ADD                /* the point reads `add` too high */
};

extern const char *const fault_names[]; /* NULL-terminated, in the order of the enum */

struct fault {
    enum fault_kind kind;
    char station[FAULT_PATTERN_MAX]; /* id, or a pattern with * and ? */
    char point[FAULT_PATTERN_MAX];   /* value faults: name or pattern */
    int64_t from_us;
    int64_t to_us;
    double share;
    double add;
    uint8_t code;
    uint32_t delay_ms; /* real milliseconds */
    uint64_t seed;
};

int fault_load(struct fault *fault, struct doc *doc, yaml_node_t *map, struct err *ret_err);

bool fault_is_value(enum fault_kind kind);
bool fault_hits_station(const struct fault *fault, const char *id);
bool fault_hits_point(const struct fault *fault, const char *name);
bool fault_active(const struct fault *fault, int64_t t_us);
/* Draw number `draw` of a fault with a share. */
bool fault_strikes(const struct fault *fault, uint64_t draw);

enum { FAULT_FRAME_MAX = 300 };

/* Falsifies a complete, right reply in place (room for FAULT_FRAME_MAX bytes); kinds that do not
 * change bytes leave it. Returns the new length. */
size_t fault_falsify(const struct fault *fault, uint8_t *frame, size_t length);

#endif
