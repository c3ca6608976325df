/* The operator's page: one HTML file, built into the program from console/index.html. */
#ifndef CANHBAO_DAEMON_WEB_CONSOLE_H
#define CANHBAO_DAEMON_WEB_CONSOLE_H

#include <stddef.h>

extern const unsigned char console_page[];
extern const size_t console_page_length;

#endif
