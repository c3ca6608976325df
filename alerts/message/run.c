#include "alerts/message/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

char *message_run_text(const struct message_run *run, const struct message_context *context) {
    char time[40];
    char *text = malloc(MESSAGE_RUN_SIZE_MAX + 1);
    if (text == NULL) {
        return NULL;
    }
    text_format_time(run->reference_time.us, time, sizeof time);
    for (int part = 0; part < 2; part++) {
        const char *manifest = part == 0 ? run->manifest_json : "null";
        int length = snprintf(text, MESSAGE_RUN_SIZE_MAX + 1,
                              "{\"product\":\"%s\",\"model\":\"%s\",\"status\":\"%s\","
                              "\"reconstructed\":%s,\"reference_time\":\"%s\","
                              "\"manifest_sha256\":\"%s\",\"results\":%zu,\"unknown\":%zu,"
                              "\"scores\":%zu,\"manifest\":%s}",
                              run->product, run->model, message_status_name(context->status),
                              context->reconstructed ? "true" : "false", time, run->manifest_sha256,
                              run->results, run->unknown, run->scores, manifest);
        if (length > 0 && length <= MESSAGE_RUN_SIZE_MAX) {
            return text;
        }
    }
    free(text); /* cannot be: without the manifest it always fits */
    return NULL;
}
