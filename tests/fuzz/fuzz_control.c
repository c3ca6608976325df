/* One line of the control protocol. What is accepted is judged again here: bounds, ids, ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/control/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition) {
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct control_request request;
    struct control_request untouched;
    struct err err = {0};
    memset(&request, 0x5a, sizeof request);
    memset(&untouched, 0x5a, sizeof untouched);
    int result = control_parse((const char *)data, size, &request, &err);
    if (result != 0) {
        demand(result == err.code && err.text[0] != '\0');
        demand(memcmp(&request, &untouched, sizeof request) == 0);
        return 0;
    }
    demand(request.role_needed == ROLE_VIEWER || request.role_needed == ROLE_OPERATOR);
    demand(request.limit >= 1 && request.limit <= CONTROL_READINGS_MAX && request.after >= -1);
    demand(request.for_us >= 0 && request.command.until.us >= 0);
    demand(request.command.actor[0] == '\0'); /* never from the request */
    if (request.verb == CONTROL_COMMAND) {
        demand(request.role_needed == ROLE_OPERATOR);
        demand((unsigned)request.command.kind < COMMAND_KIND_COUNT);
        if (request.command.kind != COMMAND_RESEND_STATE) {
            demand(text_is_id(request.command.rule) && text_is_id(request.command.place));
        }
        if (request.command.kind == COMMAND_SHELVE ||
            request.command.kind == COMMAND_OUT_OF_SERVICE) {
            demand(request.command.comment[0] != '\0');
            demand((request.for_us > 0) != (request.command.until.us > 0) ||
                   request.command.until.us == 0);
        }
        demand(text_is_utf8_line(request.command.comment, strlen(request.command.comment)));
    }
    return 0;
}
