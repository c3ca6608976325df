#include "daemon/operators.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"

enum { TOKEN_MIN = 16, TOKEN_MAX = 256 };

struct operator_entry {
    char actor[COMMAND_ACTOR_SIZE];
    char hash[HASH_TEXT_SIZE]; /* of the token: nothing else of it is kept */
};

struct operators {
    size_t count;
    struct operator_entry list[SITE_OPERATORS_MAX];
};

static int read_token(const struct site_operator *person, const char *dir,
                      struct operator_entry *ret_entry, struct err *ret_err) {
    char path[2 * SITE_PATH_SIZE];
    char token[TOKEN_MAX + 2];
    int length = snprintf(path, sizeof path, "%s/%s", dir, person->token);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    if (file == NULL) {
        return err_set(ret_err, ERR_IO, "web.operators: the credential file %s: %s", path,
                       strerror(errno));
    }
    size_t size = fread(token, 1, sizeof token - 1, file);
    (void)fclose(file); /* only read */
    while (size > 0 && (token[size - 1] == '\n' || token[size - 1] == '\r')) {
        size--;
    }
    int result = 0;
    if (size < TOKEN_MIN || size > TOKEN_MAX) {
        result = err_set(ret_err, ERR_INVALID,
                         "web.operators: the token in %s has %zu bytes; expected %d to %d", path,
                         size, TOKEN_MIN, TOKEN_MAX);
    } else {
        (void)snprintf(ret_entry->actor, sizeof ret_entry->actor, "http:%.50s", person->name);
        hash_text(token, size, ret_entry->hash);
    }
    explicit_bzero(token, sizeof token);
    return result;
}

int operators_create(const struct site *site, const char *credentials_dir,
                     struct operators **ret_operators, struct err *ret_err) {
    struct operators *operators = calloc(1, sizeof *operators);
    int result = operators != NULL ? 0 : err_set(ret_err, ERR_MEMORY, "no memory for operators");
    if (result == 0 && site->operator_count > 0 && credentials_dir == NULL) {
        result = err_set(ret_err, ERR_NOT_FOUND,
                         "web.operators name credentials but there is no folder of credentials "
                         "(CREDENTIALS_DIRECTORY)");
    }
    for (size_t i = 0; result == 0 && i < site->operator_count; i++) {
        struct operator_entry *entry = &operators->list[operators->count++];
        result = read_token(&site->operators[i], credentials_dir, entry, ret_err);
        for (size_t k = 0; result == 0 && k + 1 < operators->count; k++) {
            if (strcmp(operators->list[k].hash, entry->hash) == 0) {
                result =
                    err_set(ret_err, ERR_INVALID, "web.operators: %s and %s have the same token",
                            operators->list[k].actor, entry->actor);
            }
        }
    }
    if (result != 0) {
        free(operators);
        return result;
    }
    *ret_operators = operators;
    return 0;
}

struct operators *operators_destroy(struct operators *operators) {
    free(operators);
    return NULL;
}

int operators_find(const struct operators *operators, const char *token,
                   char ret_actor[COMMAND_ACTOR_SIZE]) {
    char hash[HASH_TEXT_SIZE];
    const struct operator_entry *found = NULL;
    if (operators == NULL || token == NULL) {
        return ERR_DENIED;
    }
    hash_text(token, strlen(token), hash); /* comparing hashes tells nothing of the token */
    for (size_t i = 0; i < operators->count; i++) {
        if (strcmp(operators->list[i].hash, hash) == 0) {
            found = &operators->list[i];
        }
    }
    if (found == NULL) {
        return ERR_DENIED;
    }
    memcpy(ret_actor, found->actor, COMMAND_ACTOR_SIZE);
    return 0;
}
