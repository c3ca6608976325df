/* Which rain the members of a flood forecast have: member m of the nowcast for the first hours,
 * member m of the numerical forecast beyond, each round and round when there are fewer. A numerical
 * forecast of one member stands for RAIN_DRESSED of them, each with a factor exp(log_sigma z), z at
 * evenly spaced probabilities of the normal distribution; an ensemble stands for itself.
 *
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_RAIN_MEMBERS_H
#define CANHBAO_MODELS_HYDROLOGY_RAIN_MEMBERS_H

#include <stddef.h>

enum { RAIN_DRESSED = 20 };

struct rain_member {
    size_t nowcast, nwp;
    double factor; /* on the numerical forecast */
};

/* Numbers of members there are, 0 without; log_sigma of ln(fallen / foreseen). */
size_t rain_member_count(size_t nowcast, size_t nwp, double log_sigma);
struct rain_member rain_member_of(size_t member, size_t nowcast, size_t nwp, double log_sigma);

#endif
