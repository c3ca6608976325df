/* What canhbaoctl says about wrong usage, and its list of options, in the language of the user. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_USAGE_H
#define CANHBAO_DAEMON_CONTROL_CTL_USAGE_H

#include <stdio.h>

/* Each returns EXIT_USAGE. "WHAT: expected EXPECTED, got 'GOT'"; `expected` is translated. */
int ctl_expected(const char *what, const char *expected, const char *got);
/* "usage: canhbaoctl SYNOPSIS". */
int ctl_usage(const char *synopsis);
/* A sentence that is translated. */
int ctl_wrong(const char *sentence);

/* The options of --help with their headline. socket: the default. */
void ctl_print_options(const char *socket, FILE *out);

/* An argument that begins with a minus and a digit is a number and no option: its minus is hidden
 * from getopt, and shown again afterwards. `takes_value`: whether an argument wants the next one
 * for its value. */
void ctl_hide_negatives(int argc, char **argv, int (*takes_value)(const char *argument));
void ctl_show_negatives(int argc, char **argv);

#endif
