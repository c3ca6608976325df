/* From one configuration of a running site to the next: what became of its stations and points, and
 * what cannot change without a restart. Thread rule: pure functions. */
#ifndef CANHBAO_CONFIG_SITE_MOVES_H
#define CANHBAO_CONFIG_SITE_MOVES_H

#include "daemon/config/site.h"

/* By index in the old site: the index in the new one of what bears the same ids, or UINT32_MAX. */
struct site_moves {
    uint32_t *stations;
    uint32_t *points;
};

int site_moves_init(const struct site *from, const struct site *to, struct site_moves *ret_moves);
void site_moves_finish(struct site_moves *moves); /* fine on a zeroed struct */

/* ERR_UNSUPPORTED when a setting differs that is only read at the start: its names are in the
 * sentence. What can change: stations, rules, scales, areas, products, acquisition, and what people
 * are told of the site. */
int site_moves_check(const struct site *from, const struct site *to, struct err *ret_err);

#endif
