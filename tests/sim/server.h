/* The stations' Modbus server: one listening socket an endpoint, any number of connections,
 * requests of a connection answered one after the other as a device does; or one serial line
 * (line.h). Thread rule: the loop's
 * thread. */
#ifndef CANHBAO_SIM_SERVER_H
#define CANHBAO_SIM_SERVER_H

#include <uv.h>

#include "record.h"
#include "scenario.h"
#include "simclock.h"

struct server;

struct server_counts {
    uint64_t connections; /* accepted so far */
    uint64_t open;        /* now */
    uint64_t requests;
    uint64_t faulty; /* replies that a fault changed, delayed or swallowed */
};

/* Opens every endpoint. The descriptor limit is raised as far as allowed; fewer than two an
 * endpoint plus 64 is refused. Everything given must outlive the server. */
int server_create(uv_loop_t *loop, struct scenario *scenario, const struct simclock *clock,
                  struct record *truth, struct record *faults, struct server **ret_server,
                  struct err *ret_err);

/* Closes everything; the loop must run until it is empty before server_destroy(). */
void server_stop(struct server *server);
void server_destroy(struct server *server);

struct server_counts server_counts(const struct server *server);

#endif
