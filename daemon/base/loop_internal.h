/* What the files of the loop share. Nobody else includes this. */
#ifndef CANHBAO_BASE_LOOP_INTERNAL_H
#define CANHBAO_BASE_LOOP_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <uv.h>

#include "daemon/base/loop.h"

enum { LOOP_ADDRESSES_MAX = 4 /* of one name that are tried */ };

/* The keys stand in the heap itself: thousands of timers are spread over memory, and looking at
 * them to compare would cost more than all else about a timer. */
struct heap_entry {
    int64_t due_us;
    uint64_t order;
    struct loop_timer *timer;
};

struct timer_heap {
    struct heap_entry *at;
    uint32_t count;    /* running */
    uint32_t capacity; /* >= timers initialised, so that a start never allocates */
    uint32_t known;    /* initialised */
};

struct post {
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop {
    struct clock *clock;
    bool is_virtual;
    bool stopping;
    struct timer_heap heaps[2]; /* by enum loop_time */
    uint64_t timer_order;
    struct loop_hook *hooks;
    struct loop_hook *hook_next; /* while the hooks run */
    pthread_mutex_t posts_lock;
    struct post *posts; /* ring of LOOP_POSTS_MAX */
    size_t posts_first, posts_count;
    struct loop_stream *streams; /* of the callers, for loop_destroy() */
    struct loop_listener *listeners;
    struct loop_process *processes;
    struct loop_watch *watches;
    /* real */
    uv_loop_t uv;
    uv_timer_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_async_t async;
    /* virtual */
    struct loop_stream *graveyard; /* closed streams, freed at the end of the turn */
    loop_shape_fn shape;
    void *shape_ctx;
};

struct segment { /* bytes under way in the virtual network */
    struct segment *next;
    int64_t due_us;
    size_t length, taken;
    char bytes[];
};

struct loop_stream {
    struct loop *loop;
    struct loop_stream *prev, *next;
    const struct loop_stream_events *events;
    void *ctx;
    char *buffer;
    size_t size;
    size_t write_limit;
    size_t queued;
    const char *why;
    bool connected, ended, closed, finishing, reading;
    /* real */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    enum { HANDLE_NONE, HANDLE_OPEN, HANDLE_CLOSING } handle;
    bool is_unix;
    bool resolving;
    uint32_t address_count, address_at;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } addresses[LOOP_ADDRESSES_MAX];
    uv_connect_t connect;
    uv_getaddrinfo_t resolve;
    struct loop_timer finish_timer;
    /* virtual */
    struct loop_stream *peer;
    struct segment *inbox, **inbox_tail;
    int64_t last_due_us;
    bool fin; /* the peer has closed; comes after the inbox, at last_due_us */
    bool is_connector;
    uint16_t port;
    char *host;
    struct loop_timer delivery;
};

struct loop_listener {
    struct loop *loop;
    struct loop_listener *prev, *next;
    loop_accept_fn on_accept;
    void *ctx;
    bool is_unix;
    uint16_t port;
    char *host; /* virtual */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
};

/* Doubly linked lists of the loop's objects, all shaped alike. */
#define LOOP_LINK(list, object)                                                                    \
    do {                                                                                           \
        (object)->prev = NULL;                                                                     \
        (object)->next = (list);                                                                   \
        if ((list) != NULL) {                                                                      \
            (list)->prev = (object);                                                               \
        }                                                                                          \
        (list) = (object);                                                                         \
    } while (0)
#define LOOP_UNLINK(list, object)                                                                  \
    do {                                                                                           \
        if ((object)->prev != NULL) {                                                              \
            (object)->prev->next = (object)->next;                                                 \
        } else {                                                                                   \
            (list) = (object)->next;                                                               \
        }                                                                                          \
        if ((object)->next != NULL) {                                                              \
            (object)->next->prev = (object)->prev;                                                 \
        }                                                                                          \
    } while (0)

/* Our code of a libuv error. */
int loop_code(int uv_code);

/* Linked, without a handle yet. */
int loop_stream_new(struct loop *loop, struct loop_stream **ret_stream);
void loop_stream_free(struct loop_stream *stream);
/* Gives it a Unix handle or a TCP one. */
int loop_stream_open_handle(struct loop_stream *stream, bool is_unix);

/* Process and watch objects that are left over at the end. */
void loop_process_abandon_all(struct loop *loop);

/* The virtual network. */
int loop_memory_connect(struct loop_stream *stream, const char *host, uint16_t port);
int loop_memory_listen(struct loop_listener *listener, const char *host, uint16_t port);
int loop_memory_write(struct loop_stream *stream, const void *bytes, size_t length);
void loop_memory_resume(struct loop_stream *stream);
void loop_memory_close(struct loop_stream *stream);
void loop_memory_sweep(struct loop *loop);

#endif
