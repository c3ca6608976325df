/* From the products with an inbox to the jobs that run for them: inbox folders below the
 * state folder, and the command line of each product's model. Thread rule: loop thread, at start.
 */
#ifndef CANHBAO_DAEMON_PRODUCTS_H
#define CANHBAO_DAEMON_PRODUCTS_H

#include "daemon/config/site.h"
#include "daemon/jobs.h"

struct products;

/* Makes the inbox folders. ERR_LIMIT: more distinct area files or arguments than a command line
 * takes; ERR_IO: a folder. */
int products_create(const struct site *site, struct products **ret_products, struct err *ret_err);
struct products *products_destroy(struct products *products);

/* Valid as long as `products` and the site are. */
const struct jobs_product *products_list(const struct products *products);
size_t products_count(const struct products *products);
/* Where a job comes from. Its `arguments` are expanded anew for each run (run_arguments.h). */
const struct site_product *products_source(const struct products *products, size_t index);

#endif
