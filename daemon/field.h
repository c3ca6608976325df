/* What technicians did, as it is kept and shown: one JSON object a record in the store, written
 * with the journal entry of its command in one transaction. A record is never deleted; a revocation
 * is put beside it. Calibrations are layers over raw values: the layer as of any time can be asked
 * for. Thread rule: loop thread. */
#ifndef CANHBAO_DAEMON_FIELD_H
#define CANHBAO_DAEMON_FIELD_H

#include <jansson.h>

#include "daemon/engine.h"
#include "daemon/store/store.h"

/* Adds the record (or the revocation) to the store's group. ERR_LIMIT (commit first, then again),
 * ERR_MEMORY, ERR_NOT_FOUND (a revoked record that is not committed). */
int field_keep(struct store *store, const struct engine_site *site, const struct field_entry *entry,
               struct utc_us now);

/* One committed record; caller owns it. NULL: there is none. */
json_t *field_record(struct store *store, uint64_t id);
/* All of a station, oldest first; NULL without memory or when the store cannot be read. */
json_t *field_records(struct store *store, const char *station);

/* The calibrations of one point as they were known at a time. */
enum { FIELD_LAYER_MAX = 256 };
struct field_layer {
    struct field_step {
        uint64_t id;
        struct utc_us from;
        double gain, offset;
    } steps[FIELD_LAYER_MAX]; /* ascending in id; beyond the bound the newest are kept */
    size_t count;
};
/* `records` of field_records(); as_of 0: now, with all revocations. */
void field_layer_make(const json_t *records, const char *point, struct utc_us as_of,
                      struct field_layer *ret_layer);
/* What a raw value is by the layer; *ret_calibration 0: no calibration applies to its time. */
double field_layer_apply(const struct field_layer *layer, enum point_kind kind, struct utc_us at,
                         double raw, uint64_t *ret_calibration);

#endif
