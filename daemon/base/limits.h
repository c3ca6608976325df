/* Limits of the process. Thread rule: call before threads are started. */
#ifndef CANHBAO_BASE_LIMITS_H
#define CANHBAO_BASE_LIMITS_H

#include <stdint.h>

/* Raises the limit of open descriptors to at least `wanted`, as far as the hard limit allows.
 * ret_limit: what it is now, also when that is too little (ERR_LIMIT). */
int limits_raise_descriptors(uint64_t wanted, uint64_t *ret_limit);

#endif
