/* What a technician does at a station and what is kept of it: calibrations, hand readings (spots)
 * and bucket tests. Each is a command first (who and why stand there), gets its number from the
 * input that brought it, and stays for ever; a later command may revoke it, which is recorded
 * beside it and deletes nothing.
 *
 * Calibration: the two points (shown, reference) give value = gain * raw + offset, where raw is
 * what the device says after scale and offset of its register. It is a layer: raw values are stored
 * as they came, and the layer of any time can be applied to them. Of a counter the amounts are
 * multiplied, so it has no offset: the first point is (0, 0).
 * Bucket test: a known volume through the funnel; the tips that it makes are kept as raw totals but
 * are no rain. poured_mm = 10 * volume_ml / area_cm2. Thread rule: pure. */
#ifndef CANHBAO_STATION_FIELD_RECORD_H
#define CANHBAO_STATION_FIELD_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/station/station.h"

enum { FIELD_INSTRUMENT_SIZE = 96 };

/* Part of a command; what a kind does not use is zero, numbers NaN or zero. */
struct field_record {
    char point[STATION_ID_SIZE];
    char instrument[FIELD_INSTRUMENT_SIZE]; /* what was compared with: "staff gauge 2" */
    struct utc_us at;    /* calibration: applies from; spot: the minute of the hand reading */
    double reference[2]; /* of the instrument; spot: [0] */
    double shown[2];     /* of the station; spot: [0], NaN: nothing was logged at that minute */
    double tolerance;    /* spot: in the point's unit; bucket test: share of the poured depth */
    double volume_ml;    /* bucket test */
    double area_cm2;     /* of the funnel */
    double tip_mm;       /* nominal depth of one tip */
    uint64_t revokes;    /* number of the record that is taken back */
};

struct bucket_result {
    double poured_mm, counted_mm;
    double tips;
    double error;  /* (counted - poured) / poured */
    double tip_mm; /* estimated: poured / tips; NaN without a tip */
    bool passed;   /* |error| at most the tolerance */
};

/* ERR_INVALID (not finite, equal shown values), ERR_RANGE (a gain outside 0.1 to 10 is no
 * calibration but another register map), with a sentence. */
int field_calibration(const struct field_record *record, enum point_kind kind, double *ret_gain,
                      double *ret_offset, struct err *ret_err);
/* ERR_INVALID, ERR_RANGE with a sentence. `counted_mm` as the station's registers say. */
int field_bucket_result(const struct field_record *record, double counted_mm,
                        struct bucket_result *ret_result, struct err *ret_err);
/* A spot within its tolerance; false too when nothing was logged. */
bool field_spot_passed(const struct field_record *record);

#endif
