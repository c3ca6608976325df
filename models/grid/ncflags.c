#include "models/grid/ncflags.h"

#include <string.h>

#include "models/grid/ncpriv.h"

int ncflags_open(struct ncfile *file, const char *name, struct ncvar **ret_var,
                 struct err *ret_err) {
    char found[NC_MAX_NAME + 1] = "";
    int count = 0;
    (void)nc_inq_nvars(file->id, &count); /* checked at open */
    for (int i = 0; name == NULL && i < count; i++) {
        int attribute;
        if (nc_inq_attid(file->id, i, "flag_meanings", &attribute) != NC_NOERR) {
            continue;
        }
        if (found[0] != '\0') {
            return err_set(ret_err, ERR_INVALID,
                           "%.120s: more than one variable with flag_meanings; name one",
                           file->name);
        }
        if (nc_inq_varname(file->id, i, found) != NC_NOERR) {
            return err_set(ret_err, ERR_CORRUPT, "%.120s: variable %d is not readable", file->name,
                           i);
        }
    }
    if (name == NULL && found[0] == '\0') {
        return err_set(ret_err, ERR_NOT_FOUND, "%.120s: no variable with flag_meanings",
                       file->name);
    }
    return ncvar_open(file, name != NULL ? name : found, NULL, NULL, ret_var, ret_err);
}

/* The blank-separated words of flag_meanings. */
static int take_names(const struct ncvar *var, const char *text, struct ncflags *flags,
                      struct err *ret_err) {
    size_t count = 0;
    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        size_t length = strcspn(text, " ");
        if (count == flags->count) {
            return ncpriv_refuse(var, ret_err, ERR_INVALID,
                                 "more flag_meanings than the %zu flag_values", flags->count);
        }
        if (length >= NCFLAG_NAME_SIZE) {
            return ncpriv_refuse(var, ret_err, ERR_INVALID,
                                 "flag_meanings: '%.60s...' is longer than %d bytes", text,
                                 NCFLAG_NAME_SIZE - 1);
        }
        memcpy(flags->name[count], text, length);
        flags->name[count++][length] = '\0';
        text += length;
    }
    return count == flags->count
               ? 0
               : ncpriv_refuse(var, ret_err, ERR_INVALID, "%zu flag_meanings for %zu flag_values",
                               count, flags->count);
}

static int check_twice(const struct ncvar *var, const struct ncflags *flags, struct err *ret_err) {
    for (size_t i = 0; i < flags->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (flags->value[i] == flags->value[k]) {
                return ncpriv_refuse(var, ret_err, ERR_INVALID, "flag_values has %g twice",
                                     flags->value[i]);
            }
            if (strcmp(flags->name[i], flags->name[k]) == 0) {
                return ncpriv_refuse(var, ret_err, ERR_INVALID, "flag_meanings has '%s' twice",
                                     flags->name[i]);
            }
        }
    }
    return 0;
}

int ncflags_read(struct ncvar *var, struct ncflags *ret_flags, struct err *ret_err) {
    struct ncflags flags = {.count = 0};
    char text[NC_TEXT_MAX];
    size_t length = 0;
    nc_type type;
    if (var->type == NC_FLOAT || var->type == NC_DOUBLE || var->scale != 1.0 ||
        var->offset != 0.0) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID, "classes are not plain integers");
    }
    if (nc_inq_attlen(var->file->id, var->id, "flag_values", &length) == NC_NOERR &&
        length > NCFLAGS_MAX) {
        return ncpriv_refuse(var, ret_err, ERR_LIMIT, "%zu classes; at most %d expected", length,
                             NCFLAGS_MAX);
    }
    if (ncpriv_numbers(var->file, var->id, "flag_values", NCFLAGS_MAX, flags.value, &flags.count,
                       &type) != 0 ||
        type == NC_FLOAT || type == NC_DOUBLE) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID,
                             "no flag_values, or not integers: its classes are not known");
    }
    if (ncpriv_text(var->file, var->id, "flag_meanings", text, sizeof text) != 0) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID,
                             "no flag_meanings, or not a text: its classes have no names");
    }
    int result = take_names(var, text, &flags, ret_err);
    result = result == 0 ? check_twice(var, &flags, ret_err) : result;
    if (result == 0) {
        *ret_flags = flags;
    }
    return result;
}
