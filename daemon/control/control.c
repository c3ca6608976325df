#include "daemon/control/control.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/text.h"

enum { WRITE_LIMIT = 16 * 1024 * 1024, GROUPS_MAX = 256 };

struct client {
    struct control *control;
    struct client *next;
    struct loop_stream *stream;
    char actor[COMMAND_ACTOR_SIZE];
    enum control_role role;
    bool follows;
    bool ended;
    size_t length; /* bytes of the unfinished line */
    char line[CONTROL_LINE_MAX + 1];
};

struct control {
    struct loop *loop;
    struct control_config config;
    struct control_host host;
    struct loop_listener *listener;
    struct client *clients;
    struct client *handling; /* whose request is being answered: not to be freed below */
    struct control_counters counters;
};

static void client_close(struct client *client) {
    struct control *control = client->control;
    for (struct client **at = &control->clients; *at != NULL; at = &(*at)->next) {
        if (*at == client) {
            *at = client->next;
            break;
        }
    }
    control->counters.clients--;
    (void)loop_stream_finish(client->stream); /* gives it up; NULL comes back */
    free(client);
}

static bool in_group(const char *group_name, const gid_t *groups, int count) {
    struct group entry;
    struct group *found = NULL;
    char buffer[16384];
    if (group_name[0] == '\0' ||
        getgrnam_r(group_name, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (groups[i] == found->gr_gid) {
            return true;
        }
    }
    return false;
}

/* Who the peer is and what it may do. */
static void identify(const struct control *control, const struct loop_peer *peer,
                     struct client *client) {
    struct passwd entry;
    struct passwd *user = NULL;
    char buffer[16384];
    gid_t groups[GROUPS_MAX];
    int count = 0;
    if (getpwuid_r(peer->uid, &entry, buffer, sizeof buffer, &user) == 0 && user != NULL) {
        (void)snprintf(client->actor, sizeof client->actor, "unix:%s", user->pw_name);
        count = GROUPS_MAX;
        if (getgrouplist(user->pw_name, peer->gid, groups, &count) < 0) {
            count = 0; /* in more groups than we look at: only the primary one counts */
        }
    } else {
        (void)snprintf(client->actor, sizeof client->actor, "unix:uid-%lu",
                       (unsigned long)peer->uid);
    }
    if (count == 0) {
        groups[count++] = peer->gid;
    }
    if (peer->uid == 0 || peer->uid == geteuid() ||
        in_group(control->config.operators_group, groups, count)) {
        client->role = ROLE_OPERATOR;
    } else if (in_group(control->config.viewers_group, groups, count)) {
        client->role = ROLE_VIEWER;
    } else {
        client->role = ROLE_NONE;
    }
}

/* Sends a reply and gives up the reference to it. */
static void reply(struct client *client, json_t *object) {
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(object);
    int result = ERR_MEMORY;
    if (text != NULL) {
        size_t length = strlen(text);
        text[length] = '\n'; /* in place of the end mark; the length goes with it */
        result = loop_stream_write(client->stream, text, length + 1);
        free(text);
    }
    client->ended = client->ended || result != 0;
}

static void refuse(struct client *client, const struct err *err) {
    client->control->counters.refused++;
    reply(client,
          json_pack("{s:b,s:s,s:s}", "ok", 0, "code", err_name(err->code), "error", err->text));
}

static void handle_line(struct client *client, const char *line, size_t length) {
    struct control *control = client->control;
    struct control_request request;
    struct err err = {0};
    control->counters.requests++;
    if (control_parse(line, length, &request, &err) != 0) {
        refuse(client, &err);
        return;
    }
    if (client->role < request.role_needed) {
        (void)err_set(&err, ERR_DENIED, "%s has the role %s, this needs %s", client->actor,
                      control_role_name(client->role), control_role_name(request.role_needed));
        refuse(client, &err);
        return;
    }
    json_t *data = control->host.answer(control->host.ctx, &request, client->actor, &err);
    if (data == NULL) {
        refuse(client, &err);
        return;
    }
    client->follows = client->follows || request.follow;
    reply(client, json_pack("{s:b,s:o}", "ok", 1, "data", data));
}

static void on_read(void *ctx, size_t count) {
    struct client *client = ctx;
    size_t start = 0;
    size_t end = client->length + count;
    for (size_t i = client->length; i < end && !client->ended; i++) {
        if (client->line[i] == '\n') {
            client->control->handling = client;
            handle_line(client, client->line + start, i - start);
            client->control->handling = NULL;
            start = i + 1;
        }
    }
    client->length = end - start;
    memmove(client->line, client->line + start, client->length);
    if (client->length > CONTROL_LINE_MAX - 1 && !client->ended) {
        struct err err;
        (void)err_set(&err, ERR_LIMIT, "a request has at most %d bytes", CONTROL_LINE_MAX);
        refuse(client, &err);
        client->ended = true;
    }
    if (client->ended) {
        client_close(client);
        return;
    }
    loop_stream_set_buffer(client->stream, client->line + client->length,
                           CONTROL_LINE_MAX - client->length);
}

static void on_end(void *ctx, int code) {
    (void)code; /* however it ended, the peer is gone */
    client_close(ctx);
}

static const struct loop_stream_events client_events = {.on_read = on_read, .on_end = on_end};

static void on_accept(void *ctx, struct loop_stream *stream) {
    struct control *control = ctx;
    struct loop_peer peer;
    struct client *client = NULL;
    if (control->counters.clients < control->config.clients_max &&
        loop_stream_peer(stream, &peer) == 0) {
        client = calloc(1, sizeof *client);
    }
    if (client == NULL) {
        control->counters.refused++;
        (void)loop_stream_close(stream);
        return;
    }
    client->control = control;
    client->stream = stream;
    client->next = control->clients;
    control->clients = client;
    control->counters.clients++;
    identify(control, &peer, client);
    loop_stream_set_write_limit(stream, WRITE_LIMIT);
    loop_stream_set_events(stream, &client_events, client);
    loop_stream_set_buffer(stream, client->line, CONTROL_LINE_MAX);
}

int control_create(struct loop *loop, const struct control_config *config,
                   const struct control_host *host, struct control **ret_control,
                   struct err *ret_err) {
    struct control *control = calloc(1, sizeof *control);
    if (control == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the control socket");
    }
    control->loop = loop;
    control->config = *config;
    control->host = *host;
    /* Everybody may connect: what a peer may do is decided by its credentials, not by the file
     * mode. */
    int result = loop_listen_unix(loop, config->path, 0666, on_accept, control, &control->listener);
    if (result != 0) {
        free(control);
        return err_set(ret_err, result, "control socket %s: %s", config->path,
                       result == ERR_EXISTS ? "another daemon answers there" : err_name(result));
    }
    *ret_control = control;
    return 0;
}

struct control *control_destroy(struct control *control) {
    if (control != NULL) {
        (void)loop_listener_close(control->listener);
        while (control->clients != NULL) {
            client_close(control->clients);
        }
        free(control);
    }
    return NULL;
}

void control_publish(struct control *control, int64_t number, const char *event_json) {
    size_t size = strlen(event_json) + 64;
    char *line = NULL;
    int length = 0;
    for (struct client *client = control->clients, *next; client != NULL; client = next) {
        next = client->next;
        if (!client->follows) {
            continue;
        }
        if (line == NULL) {
            line = malloc(size);
            if (line == NULL) {
                return; /* followers ask again by number */
            }
            length = snprintf(line, size, "{\"event\":{\"number\":%lld,\"alert\":%s}}\n",
                              (long long)number, event_json);
        }
        if (loop_stream_write(client->stream, line, (size_t)length) != 0) {
            control->counters.dropped_followers++;
            client->ended = true;
            if (client != control->handling) {
                client_close(client);
            }
        }
    }
    free(line);
}

struct control_counters control_counters(const struct control *control) {
    return control->counters;
}
