/* Who may give commands over HTTP: names with secret tokens, read from credential files at the
 * start and at each reload. A token has 16 bytes at least. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_OPERATORS_H
#define CANHBAO_DAEMON_OPERATORS_H

#include "daemon/config/site.h"
#include "daemon/station/command.h"

struct operators;

/* Nobody configured: an empty list. ERR_IO, ERR_NOT_FOUND (no folder of credentials), ERR_INVALID
 * (too short, or two people with one token), ERR_MEMORY, with a sentence that does not quote a
 * token. */
int operators_create(const struct site *site, const char *credentials_dir,
                     struct operators **ret_operators, struct err *ret_err);
struct operators *operators_destroy(struct operators *operators); /* NULL is fine; returns NULL */

/* "http:NAME" of who has the token (NULL: none was shown). ERR_DENIED. Takes the same time for
 * every wrong token. */
int operators_find(const struct operators *operators, const char *token,
                   char ret_actor[COMMAND_ACTOR_SIZE]);

#endif
