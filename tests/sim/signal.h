/* What a register holds as a function of scenario time: a list of terms applied in order, each
 * adding to the sum so far (`min`, `max` and `times` change it). The same scenario, seed and time
 * give the same value, whatever was asked before.
 *
 *   constant C        C
 *   points, series    interpolated table (table.h)
 *   sine              amplitude * sin(2 pi t / period + phase), t counted from 1970
 *   ramp              0 before `from`, linear to `rise` at `to`, then held
 *   step              `height` from `at` (until `until`)
 *   pulse             height * 2^-((t - at) / half_width)^2
 *   noise             normal, standard deviation sigma, a new draw every `every`
 *   walk              sum of normal steps of sigma every `every`, held within +- limit
 *   field             rain_field at the station's place, mm/h, times gain
 *   count             tips of a tipping bucket: initial + floor(integral of another point /
 * per_tip), the other point in mm/h, integrated in steps of 10 s from the start washout short-lived
 * radon progeny brought down by rain: dN/dt = rise * R - ln2/half_life
 *                     * N, R the other point in mm/h, rise in value per mm, steps of 10 s
 * The memory of the last three reaches at most 400 days back.
 * Thread rule: one thread (walk, count and washout remember where they are). */
#ifndef CANHBAO_SIM_SIGNAL_H
#define CANHBAO_SIM_SIGNAL_H

#include <stddef.h>
#include <stdint.h>

#include "doc.h"
#include "rainfield.h"
#include "table.h"

enum { SIGNAL_TERMS_MAX = 32, SIGNAL_NAME_MAX = 64 };

enum term_kind {
    TERM_CONSTANT,
    TERM_TABLE,
    TERM_SINE,
    TERM_RAMP,
    TERM_STEP,
    TERM_PULSE,
    TERM_NOISE,
    TERM_WALK,
    TERM_FIELD,
    TERM_COUNT,
    TERM_WASHOUT,
    TERM_MIN,
    TERM_MAX,
    TERM_TIMES
};

struct term {
    enum term_kind kind;
    double a; /* value, amplitude, height, sigma, gain, per_tip, rise per mm */
    double b; /* phase in radians, limit, initial count, half-life in seconds */
    int64_t from_us;
    int64_t to_us;       /* also period, half-width and draw interval */
    struct table *table; /* owned by the first signal that read it (owns_table) */
    bool owns_table;
    char of[SIGNAL_NAME_MAX];   /* the other point of the station */
    const struct signal *other; /* set by the scenario once all points of the station are known */
    int64_t steps;              /* grid steps already taken */
    double sum;                 /* integral, concentration or position after them */
};

struct signal {
    struct term *terms;
    size_t count;
    uint64_t seed; /* of this point; set by the scenario */
};

/* What a signal may depend on besides time. */
struct signal_env {
    const struct rainfield *field; /* NULL without one */
    double lat_deg;
    double lon_deg;
    int64_t start_us; /* where the memory of walk, count and washout begins */
};

/* A number (constant) or a list of terms. */
int signal_load(struct signal *signal, struct doc *doc, yaml_node_t *node, struct err *ret_err);
/* Own memory, shared tables, fresh state. */
int signal_copy(const struct signal *from, struct signal *ret_copy);
void signal_free(struct signal *signal);

/* True when a term remembers; such a signal cannot be the `of` of another. */
bool signal_remembers(const struct signal *signal);

double signal_at(struct signal *signal, const struct signal_env *env, int64_t t_us);

#endif
