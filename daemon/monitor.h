/* The monitor: looks once a second at every part of the daemon, raises and clears conditions, sends
 * the heartbeat, and gives the store its small steps of care. What it finds new or gone it tells
 * the log. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_MONITOR_H
#define CANHBAO_DAEMON_MONITOR_H

#include "daemon/delivery.h"
#include "daemon/view.h"

struct monitor;

struct monitor_options {
    struct loop *loop;
    const struct view_source *view; /* the parts to look at; must stay */
    struct health *health;          /* the same as view->health, to write */
    struct delivery *delivery;      /* NULL: no Kafka configured */
    const char *source;             /* ce_source of the heartbeat */
    /* A condition began (raised) or ended. */
    void (*on_condition)(void *ctx, const struct condition *condition, bool raised);
    void (*on_look)(void *ctx); /* once a second, for other small care; may be NULL */
    void *ctx;
};

int monitor_create(const struct monitor_options *options, struct monitor **ret_monitor);
struct monitor *monitor_destroy(struct monitor *monitor);
/* The view's site is another one now: conditions of stations that are gone are cleared.
 * new_stations: by index in `from`, UINT32_MAX: gone. unreachable: calloc() of the new count + 1,
 * taken over. */
void monitor_move_stations(struct monitor *monitor, const struct site *from,
                           const uint32_t *new_stations, bool *unreachable);

/* For those who notice something themselves (jobs, pipeline): raise or clear with the log told. */
__attribute__((format(printf, 4, 5))) void monitor_raise(struct monitor *monitor,
                                                         enum condition_class class,
                                                         const char *subject, const char *format,
                                                         ...);
void monitor_clear(struct monitor *monitor, enum condition_class class, const char *subject);

#endif
