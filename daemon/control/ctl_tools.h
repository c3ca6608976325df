/* The field technician's commands of canhbaoctl that need no daemon. Results go to standard output,
 * for a person or (json) for a program; progress and errors to standard error.
 * Thread rule: single-threaded program. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_TOOLS_H
#define CANHBAO_DAEMON_CONTROL_CTL_TOOLS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/config/site.h"
#include "drivers/modbus/config.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_DAEMON = 3, EXIT_REFUSED = 4 };

struct tool_options {
    bool json;
    const char *config;                    /* folder of a site */
    const char *state_dir;                 /* folder of a store */
    const char *timeout;                   /* texts as given; NULL: default */
    const char *baud, *parity, *stop_bits; /* of a serial device */
    const char *framing, *table, *from, *count, *units;
    const char *string; /* "plain" or "swapped" */
    bool watch;
    const char *every, *rounds; /* of watch */
};

/* Each takes its arguments behind the name and returns an exit code. */
int ctl_decode(char **arguments, int count, const struct tool_options *options);
int ctl_plan(char **arguments, int count, const struct tool_options *options);
int ctl_probe(char **arguments, int count, const struct tool_options *options);
int ctl_scan(char **arguments, int count, const struct tool_options *options);

/* What registers may mean: for each place an object with raw bytes and the numbers that begin
 * there, in every type and order, the plausible marked. `bytes`: 2 * count, as on the wire. A
 * number is called plausible when it is one (finite, its BCD digits decimal) and its size lies
 * between 0.001 and 1,000,000: what instruments show; an all-zero place tells nothing and has none.
 */
json_t *ctl_candidates(uint16_t address, const uint8_t *bytes, unsigned count);
/* One line a place with its 16-bit numbers, and with the plausible wider ones; `all`: every one.
 * A place with a true "changed" begins with '>', on a terminal in reverse video. */
void ctl_candidates_print(const json_t *candidates, bool all, FILE *out);

/* Registers as one text: {raw, swapped, text, fault}, one of the last two null. */
json_t *ctl_string(const uint8_t *bytes, unsigned count, bool swapped);
/* The fault goes to standard error. */
void ctl_string_print(const json_t *string, FILE *out);
/* What --string says; 0 or EXIT_USAGE, told already. */
int ctl_string_option(const char *option, bool *ret_swapped);

/* The site of a folder, or EXIT_FAILED with its faults told. */
int ctl_load_site(const char *dir, struct site **ret_site);

void ctl_json_print(const json_t *value);

#endif
