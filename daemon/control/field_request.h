/* The key "field" of a technician's request: what was measured, with what, when.
 *
 *   {"instrument":"staff gauge 2","at":"2026-11-27T08:00:00Z","reference":[1.1,3.5],"shown":[1,3],
 *    "tolerance":0.02,"volume_ml":640,"area_cm2":200,"tip_mm":0.2,"record":17}
 * Every key may be left out; what a command needs of them is the engine's to say. Thread rule:
 * pure.
 */
#ifndef CANHBAO_DAEMON_CONTROL_FIELD_REQUEST_H
#define CANHBAO_DAEMON_CONTROL_FIELD_REQUEST_H

#include <jansson.h>

#include "daemon/base/err.h"
#include "daemon/station/field_record.h"

/* ERR_INVALID, ERR_LIMIT, ERR_RANGE with a sentence. Keeps the point; numbers that are not given
 * are NaN, but for those of the bucket, which are 0. */
int field_request_read(const json_t *object, struct field_record *record, struct err *ret_err);

#endif
