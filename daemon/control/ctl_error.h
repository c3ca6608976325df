/* What canhbaoctl says when something goes wrong: written in English where it happens, said in the
 * language of the user. The tables of ctl_error.c hold the sentences; '*' in them stands for what
 * is different each time and is translated by itself. Reasons of the daemon, of the system and of
 * the link go through the same tables. Thread rule: as ctl_lang.h. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_ERROR_H
#define CANHBAO_DAEMON_CONTROL_CTL_ERROR_H

#include <stddef.h>

/* One line on stderr, the program's name in front. */
void ctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The sentence in the language of the user, cut at the size; English without a translation stays.
 */
void ctl_translate(const char *english, char *ret_text, size_t size);

#endif
