#include "daemon/web/console.h"

/* The build writes the bytes of console/index.html as a list of numbers. */
const unsigned char console_page[] = {
#include "console_page.inc"
};
const size_t console_page_length = sizeof console_page;
