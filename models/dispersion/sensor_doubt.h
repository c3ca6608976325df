/* Is the rise of a gas sensor one of the air or one of the instrument? Told by its shape (how fast
 * it rose, how steady it stands), by the other gases of the station, and by the stations downwind.
 *
 *   saturated          the newest values stand at full scale: the gas may be more than is read
 *   calibration gas    up within two readings to the value of the test gas, still there to 2 %,
 *                      longer than chance, while air is never so steady
 *   cross-sensitivity  another gas of the station with which this sensor is known to react stands
 *                      at the ratio of its factor all the time
 *   drift              rises on a straight line for hours, slower than any gust
 * A release may look like each for a while; so a calibration gas, a cross-sensitivity or a drift is
 * told only while no station in the downwind fan sees gas, and never at or above the ceiling. It is
 * a label with its evidence and takes nothing from an alarm. Limits are our own, provisional.
 * Thread rule: pure. */
#ifndef CANHBAO_MODELS_DISPERSION_SENSOR_DOUBT_H
#define CANHBAO_MODELS_DISPERSION_SENSOR_DOUBT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sensor_doubt {
    SENSOR_NO_GAS, /* below twice the detection limit, or no reading */
    SENSOR_RELEASE,
    SENSOR_SATURATED,
    SENSOR_CALIBRATION,
    SENSOR_CROSS,
    SENSOR_DRIFT,
    SENSOR_DOUBTS
};
extern const char *const sensor_doubt_names[SENSOR_DOUBTS];

enum { SENSOR_VALUES_MAX = 4096, SENSOR_OTHERS_MAX = 8 };
#define SENSOR_FAN_DEG 30.0   /* half width of the downwind fan */
#define SENSOR_FAN_M   3000.0 /* its length */

struct sensor_value {
    int64_t utc_us;
    double value; /* NaN: none */
};

/* Another gas of the same station that this sensor answers to. */
struct sensor_other {
    const char *name;
    const struct sensor_value *values; /* ascending */
    size_t count;
    double factor; /* reads so much of it */
};

struct sensor_case {
    const struct sensor_value *values; /* ascending, of the last hours */
    size_t count;
    double detection, ceiling;    /* unit of the values; NaN: no ceiling */
    double full_scale, span;      /* end of the range; test gas; NaN: not told */
    size_t downwind, downwind_up; /* stations in the fan, and those that see gas */
    struct sensor_other others[SENSOR_OTHERS_MAX];
    size_t other_count;
};

struct sensor_verdict {
    enum sensor_doubt doubt;
    const char *with; /* the other gas of a cross-sensitivity; NULL */
    double rise_min;  /* from a tenth to nine tenths of the newest level; NaN: not seen whole */
    double scatter;   /* deviation of what stands on the plateau, in units of it; NaN: too short */
    double straight;  /* share of the variance that a straight line has; NaN: too short */
    double ratio;     /* to the other gas; NaN */
};

/* Values beyond SENSOR_VALUES_MAX are left out, the oldest first. */
void sensor_doubt(const struct sensor_case *sensor, struct sensor_verdict *ret);

#endif
