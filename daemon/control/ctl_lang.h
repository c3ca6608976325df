/* Vietnamese and English of what canhbaoctl says. The language is that of --lang, else of LC_ALL,
 * LC_MESSAGES or LANG; JSON is never translated. Thread rule: reads the environment only. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_LANG_H
#define CANHBAO_DAEMON_CONTROL_CTL_LANG_H

#include <stdbool.h>

/* Set by --lang for the functions below. */
#define CTL_LANG_VARIABLE "CANHBAO_LANG"

bool ctl_is_vietnamese(void);
/* The sentence or word in the language of the user; English that has no translation stays. */
const char *ctl_tr(const char *english);

#endif
