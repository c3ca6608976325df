#include "daemon/base/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *ret_err, int code, const char *format, ...) {
    if (ret_err != NULL) {
        va_list arguments;
        va_start(arguments, format);
        ret_err->code = code;
        (void)vsnprintf(ret_err->text, sizeof ret_err->text, format, arguments); /* cut is fine */
        va_end(arguments);
    }
    return code;
}

int err_of(const char *name, int code, struct err *ret_err) {
    if (code != 0 && ret_err != NULL) {
        const struct err inner = *ret_err;
        return err_set(ret_err, code, "%.200s: %.300s", name, inner.text);
    }
    return code;
}

const char *err_name(int code) {
    static const char *const names[] = {
        "ok", "invalid", "range",  "syntax",      "not-found", "exists", "limit", "memory",
        "io", "timeout", "closed", "unsupported", "corrupt",   "denied", "busy",  "stale",
    };
    int index = -code;
    if (index < 0 || index >= (int)(sizeof names / sizeof names[0])) {
        return "unknown";
    }
    return names[index];
}
