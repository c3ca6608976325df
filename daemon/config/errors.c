#include "daemon/config/errors.h"

#include <stdarg.h>
#include <stdio.h>

void config_errors_add(struct config_errors *errors, const char *file, unsigned line,
                       unsigned column, const char *key, const char *format, ...) {
    if (errors->count == CONFIG_ERRORS_MAX) {
        errors->more++;
        return;
    }
    struct config_error *error = &errors->items[errors->count++];
    va_list arguments;
    error->line = line;
    error->column = column;
    (void)snprintf(error->file, sizeof error->file, "%s", file); /* cut is fine, here and below */
    (void)snprintf(error->key, sizeof error->key, "%s", key);
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
}

size_t config_errors_total(const struct config_errors *errors) {
    return errors->count + errors->more;
}

void config_error_format(const struct config_error *error, char *ret_text, size_t size) {
    (void)snprintf(ret_text, size, "%s:%u:%u: %s%s%s", error->file, error->line, error->column,
                   error->key, error->key[0] != '\0' ? ": " : "", error->text);
}
