#include "daemon/station/field_record.h"

#include <float.h>
#include <math.h>

#define GAIN_MIN   0.1
#define GAIN_MAX   10.0
#define VOLUME_MAX 100000.0 /* ml */
#define AREA_MAX   10000.0  /* cm2; common funnels have 200 to 400 */

int field_calibration(const struct field_record *record, enum point_kind kind, double *ret_gain,
                      double *ret_offset, struct err *ret_err) {
    double width = record->shown[1] - record->shown[0];
    double gain = (record->reference[1] - record->reference[0]) / width;
    double offset = record->reference[0] - gain * record->shown[0];
    if (!isfinite(width) || width == 0 || !isfinite(gain) || !isfinite(offset)) {
        return err_set(ret_err, ERR_INVALID,
                       "a calibration needs two points with different shown values");
    }
    if (gain < GAIN_MIN || gain > GAIN_MAX) {
        return err_set(ret_err, ERR_RANGE,
                       "a gain of %g is no calibration: expected %g to %g; look at the register's "
                       "type and scale",
                       gain, GAIN_MIN, GAIN_MAX);
    }
    if (kind != POINT_INSTANT && (record->shown[0] != 0 || record->reference[0] != 0)) {
        return err_set(ret_err, ERR_INVALID,
                       "amounts are multiplied: the first point of a rain gauge is 0 and 0");
    }
    *ret_gain = gain;
    *ret_offset = offset;
    return 0;
}

int field_bucket_result(const struct field_record *record, double counted_mm,
                        struct bucket_result *ret_result, struct err *ret_err) {
    if (!(record->volume_ml > 0 && record->volume_ml <= VOLUME_MAX) ||
        !(record->area_cm2 > 0 && record->area_cm2 <= AREA_MAX) ||
        !(record->tip_mm > 0 && record->tip_mm <= 10) ||
        !(record->tolerance > 0 && record->tolerance < 1)) {
        return err_set(ret_err, ERR_RANGE,
                       "a bucket test needs a volume (ml), the funnel's area (cm2), the depth of a "
                       "tip (mm) and a tolerance below 1, all above 0");
    }
    if (!isfinite(counted_mm) || counted_mm < 0) {
        return err_set(ret_err, ERR_INVALID,
                       "no total of the bucket was read during the test: it cannot be judged");
    }
    struct bucket_result result = {.poured_mm = 10 * record->volume_ml / record->area_cm2,
                                   .counted_mm = counted_mm,
                                   .tips = nearbyint(counted_mm / record->tip_mm)};
    result.error = (counted_mm - result.poured_mm) / result.poured_mm;
    result.tip_mm = result.tips > 0 ? result.poured_mm / result.tips : (double)NAN;
    result.passed = fabs(result.error) <= record->tolerance;
    *ret_result = result;
    return 0;
}

bool field_spot_passed(const struct field_record *record) {
    /* "Within 0.02" must not fail by the last bit of 1.52 - 1.50. */
    double rounding = 4 * DBL_EPSILON * (fabs(record->shown[0]) + fabs(record->reference[0]));
    return fabs(record->shown[0] - record->reference[0]) <= record->tolerance + rounding;
}
