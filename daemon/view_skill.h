/* What people and programs see of the verification and of the products: JSON documents, as view.h.
 * Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_VIEW_SKILL_H
#define CANHBAO_DAEMON_VIEW_SKILL_H

#include <stdio.h>

#include "daemon/view.h"

enum { VIEW_SKILL_DAY_S = 86400, VIEW_PRODUCT_BYTES_MAX = 16 << 20 };

/* Scores pooled over the last `span_us` (0: a day): of hours up to 8 days, of days up to 92 days,
 * else of seasons. Rows in the order of product, system, place, variable, lead, threshold; a
 * measure that cannot be formed is not there. `product` NULL or empty: all. ERR_NOT_FOUND: no such
 * product. {from, to, pools, skill: [{product, system, place, variable, unit, lead_s, threshold, n,
 * ...}]} */
json_t *view_skill(const struct view_source *source, const char *product, int64_t span_us,
                   struct err *ret_err);

/* [{id, model, inbox, triggers, newest, files}]: what each product left behind last. */
json_t *view_products(const struct view_source *source);
/* The newest FILE of a product, "ID/FILE"; only .json and .geojson. Caller frees. ERR_NOT_FOUND,
 * ERR_INVALID (another kind of file, or a path), ERR_LIMIT. */
int view_product_file(const struct view_source *source, const char *path, char **ret_text,
                      size_t *ret_length);

/* Lines of the metrics: canhbao_skill by product, system, place, lead, threshold and measure, over
 * the last day. */
void view_skill_metrics(const struct view_source *source, FILE *out);

#endif
