/* What `canhbaod --check`, `--print-config` and `--print-options` do. Thread rule: any one thread.
 */
#ifndef CANHBAO_CONFIG_CHECK_H
#define CANHBAO_CONFIG_CHECK_H

#include <stdio.h>

#include "daemon/config/site.h"

/* Loads the site, or prints every fault, one a line, to `fault_file`. 0; ERR_INVALID: the
 * configuration is refused; ERR_IO: the unit database is missing. */
int config_load(const char *dir, FILE *fault_file, struct site **ret_site);

/* --check: one line of what there is and one for everything that is provisional (the points of a
 * provisional station not one by one). */
void config_print_summary(const struct site *site, FILE *file);

enum config_action { CONFIG_CHECK, CONFIG_PRINT, CONFIG_PRINT_OPTIONS };

/* The whole command; returns the exit code of the process: 0 done, 1 a failure of the machine, 2
 * the configuration is refused. `dir` is not used by CONFIG_PRINT_OPTIONS. */
int config_command(enum config_action action, const char *dir, FILE *file, FILE *fault_file);

#endif
