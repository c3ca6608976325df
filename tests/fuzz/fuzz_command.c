/* The body of a record of the command topic. What is accepted is judged again here: a command, with
 * an id, an expiry and a marked actor; what is refused has a reason and leaves the request alone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/command_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition) {
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct control_request request;
    struct control_request untouched;
    char id[ID_TEXT_SIZE];
    char actor[COMMAND_ACTOR_SIZE];
    struct err err = {0};
    memset(&request, 0x5a, sizeof request);
    memset(&untouched, 0x5a, sizeof untouched);
    memset(id, 0x5a, sizeof id);
    memset(actor, 0x5a, sizeof actor);
    int result = command_feed_parse((const char *)data, size, &request, id, actor, &err);
    demand(memchr(id, '\0', sizeof id) != NULL && memchr(actor, '\0', sizeof actor) != NULL);
    demand(actor[0] == '\0' || strncmp(actor, "kafka:", 6) == 0);
    demand(text_is_utf8_line(actor, strlen(actor)));
    if (result != 0) {
        demand(result == err.code && err.text[0] != '\0');
        demand(memcmp(&request, &untouched, sizeof request) == 0);
        return 0;
    }
    demand(request.verb == CONTROL_COMMAND && request.role_needed == ROLE_OPERATOR);
    demand((unsigned)request.command.kind < COMMAND_KIND_COUNT);
    demand(request.command.actor[0] == '\0'); /* the desk sets it, from `actor` */
    demand(strlen(actor) > 6);
    demand(request.command.expires.us != 0);
    demand(id[0] != '\0' && strcmp(request.command.id, id) == 0);
    demand(request.for_us >= 0 && request.command.until.us >= 0);
    demand(text_is_utf8_line(request.command.comment, strlen(request.command.comment)));
    return 0;
}
