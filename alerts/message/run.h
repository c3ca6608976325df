/* Finished model runs as JSON: bodies of the topic canhbao.run.v1 (deploy/schemas/run.v1.json):
 * which product, of what data, by which manifest. The same run gives the same bytes. Thread rule:
 * pure. */
#ifndef CANHBAO_ALERTS_MESSAGE_RUN_H
#define CANHBAO_ALERTS_MESSAGE_RUN_H

#include "alerts/message/json.h"
#include "daemon/base/clock.h"

enum { MESSAGE_RUN_SIZE_MAX = 256 * 1024 };

struct message_run {
    const char *product, *model; /* ids */
    struct utc_us reference_time;
    const char *manifest_sha256;
    const char *manifest_json; /* compact JSON; one that would make the message larger than
                                  MESSAGE_RUN_SIZE_MAX is left out */
    size_t results, unknown; /* numbers for rules, and how many of them the model could not tell */
    size_t scores;
};

/* Caller frees. NULL: no memory. */
char *message_run_text(const struct message_run *run, const struct message_context *context);

#endif
