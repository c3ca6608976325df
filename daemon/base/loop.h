/* The event loop: timers, streams, child processes, signals, folder watches. A facade over libuv;
 * nothing outside daemon/base includes <uv.h>.
 *
 * Made with a virtual clock the loop does no real waiting: it jumps the clock from one due time to
 * the next, in an order that depends only on the program, and TCP names connect inside the process
 * (see "Virtual network"). Child processes, Unix sockets, signals, descriptors and folder watches
 * do not exist there and answer ERR_UNSUPPORTED.
 *
 * Errors are codes of err.h: ERR_CLOSED refused, reset or ended by the peer; ERR_TIMEOUT the
 * system gave up; ERR_NOT_FOUND unknown host, path or program; ERR_EXISTS address in use;
 * ERR_DENIED not permitted; ERR_LIMIT out of descriptors or a bound of this header; ERR_IO the
 * rest.
 *
 * Thread rule: everything belongs to the thread that runs the loop, except loop_post(). */
#ifndef CANHBAO_BASE_LOOP_H
#define CANHBAO_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"

struct loop;

enum {
    LOOP_POSTS_MAX = 4096,            /* waiting in loop_post() */
    LOOP_WRITE_LIMIT_DEFAULT = 65536, /* bytes queued on a stream */
    LOOP_FINISH_TIMEOUT_US = 5000000  /* see loop_stream_finish() */
};

/* The clock must outlive the loop. */
int loop_create(struct clock *clock, struct loop **ret_loop);
/* Frees what is still open too, without calling anybody; handles are dangling afterwards. Embedded
 * timers and hooks are only forgotten. NULL is fine; returns NULL. */
struct loop *loop_destroy(struct loop *loop);
struct clock *loop_clock(const struct loop *loop);

/* Runs until loop_stop(). With a virtual clock also returns when nothing is left to happen. */
int loop_run(struct loop *loop);
/* Runs for `us` of wire time, or until loop_stop(). With a virtual clock time has moved by exactly
 * `us` afterwards unless loop_stop() was called. */
int loop_run_for(struct loop *loop, int64_t us);
void loop_stop(struct loop *loop);

/* Timers, embedded in the caller's struct; starting one never allocates or fails. Two sorts:
 * LOOP_SCENARIO fires when clock_now().mono reaches the instant, LOOP_WIRE when clock_wire() does
 * (see clock.h). Timers that are due together fire in the order of their instants, then of their
 * starting. Real resolution: 1 ms, never early. */
enum loop_time { LOOP_SCENARIO, LOOP_WIRE };

struct loop_timer {
    struct loop *loop;
    void (*on_due)(void *ctx);
    void *ctx;
    uint32_t at; /* place in the heap + 1; 0: not running */
    enum loop_time time;
};

/* ERR_MEMORY. Call loop_timer_finish() before the memory goes. */
int loop_timer_init(struct loop *loop, enum loop_time time, void (*on_due)(void *ctx), void *ctx,
                    struct loop_timer *ret_timer);
void loop_timer_finish(struct loop_timer *timer); /* fine on a zeroed struct */
/* Starts or restarts; one shot. An instant that has passed fires in the next turn. */
void loop_timer_start_at(struct loop_timer *timer, struct mono_us due);
void loop_timer_start_in(struct loop_timer *timer, int64_t us);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_running(const struct loop_timer *timer);

/* A hook runs once at the end of every turn of the loop, before it waits: the place to commit what
 * the callbacks of the turn have gathered. Embedded in the caller's struct. */
struct loop_hook {
    struct loop *loop;
    void (*on_turn)(void *ctx);
    void *ctx;
    struct loop_hook *next;
};

void loop_hook_add(struct loop *loop, void (*on_turn)(void *ctx), void *ctx,
                   struct loop_hook *ret_hook);
void loop_hook_remove(struct loop_hook *hook); /* fine on a zeroed struct */

/* From any thread: has `fn(ctx)` called on the loop's thread soon, in the order of posting.
 * ERR_LIMIT when LOOP_POSTS_MAX wait already: the caller counts and degrades. */
int loop_post(struct loop *loop, void (*fn)(void *ctx), void *ctx);

/* Streams: TCP, Unix sockets, pipes of children. */
struct loop_stream;

struct loop_stream_events {
    /* Only for loop_connect_*(): 0 or an error, once. After an error only close it. */
    void (*on_connect)(void *ctx, int result);
    /* `length` (> 0) new bytes stand at the place that loop_stream_set_buffer() named last. The
     * next ones go to the same place unless the callback sets another. */
    void (*on_read)(void *ctx, size_t length);
    /* The peer ended the stream (ERR_CLOSED) or it broke. Once; after it only close it. */
    void (*on_end)(void *ctx, int code);
    /* Everything written is with the system; called after a write that had to queue. May be NULL.
     */
    void (*on_drain)(void *ctx);
};

/* `events` must stay while the stream does. Callbacks come from loop turns, never from inside the
 * calls below. host: a numeric address or a name (resolved in a helper thread). No time limit:
 * the caller closes the stream when it has waited long enough. */
int loop_connect_tcp(struct loop *loop, const char *host, uint16_t port,
                     const struct loop_stream_events *events, void *ctx,
                     struct loop_stream **ret_stream);
int loop_connect_unix(struct loop *loop, const char *path, const struct loop_stream_events *events,
                      void *ctx, struct loop_stream **ret_stream);
/* For accepted streams and pipes; they are silent until this is called. */
void loop_stream_set_events(struct loop_stream *stream, const struct loop_stream_events *events,
                            void *ctx);
/* Where bytes go; reading begins with the first call. size 0 pauses reading. The memory is the
 * caller's and must stay until the stream is closed or another is set. */
void loop_stream_set_buffer(struct loop_stream *stream, void *buffer, size_t size);
void loop_stream_set_write_limit(struct loop_stream *stream, size_t limit);
/* All or nothing: tries at once and copies what the system does not take. ERR_LIMIT when the queue
 * would exceed the write limit (nothing is written then), ERR_CLOSED when it ended. */
int loop_stream_write(struct loop_stream *stream, const void *bytes, size_t length);
size_t loop_stream_queued(const struct loop_stream *stream);
/* What went wrong last, for a person ("connection refused"); "" when nothing. */
const char *loop_stream_why(const struct loop_stream *stream);
/* Gives the stream up: no callback follows, queued bytes are dropped. NULL is fine; returns NULL.
 */
struct loop_stream *loop_stream_close(struct loop_stream *stream);
/* As close, but queued bytes are still written, for at most LOOP_FINISH_TIMEOUT_US. */
struct loop_stream *loop_stream_finish(struct loop_stream *stream);

/* Who is at the other end of a Unix socket, as the kernel says. ERR_UNSUPPORTED for others. */
struct loop_peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;
};
int loop_stream_peer(const struct loop_stream *stream, struct loop_peer *ret_peer);

/* Listening. on_accept owns the stream: set events and buffer, or close it. */
struct loop_listener;
typedef void (*loop_accept_fn)(void *ctx, struct loop_stream *stream);
/* host: numeric. port 0: any free one, see loop_listener_port(). */
int loop_listen_tcp(struct loop *loop, const char *host, uint16_t port, loop_accept_fn on_accept,
                    void *ctx, struct loop_listener **ret_listener);
/* Replaces a socket left over at `path` (never another kind of file, never one that answers:
 * ERR_EXISTS). The path is removed on close. mode: permission bits of the socket. */
int loop_listen_unix(struct loop *loop, const char *path, mode_t mode, loop_accept_fn on_accept,
                     void *ctx, struct loop_listener **ret_listener);
uint16_t loop_listener_port(const struct loop_listener *listener);
struct loop_listener *loop_listener_close(struct loop_listener *listener);

/* Child processes. */
enum loop_stdio_kind { LOOP_STDIO_NULL, LOOP_STDIO_FD, LOOP_STDIO_PIPE };

struct loop_stdio {
    enum loop_stdio_kind kind;
    int fd; /* LOOP_STDIO_FD: of this process, stays open here */
};

struct loop_spawn {
    const char *file;        /* a path, or a name searched in PATH */
    const char *const *argv; /* NULL-terminated, argv[0] included */
    const char *const *env;  /* "NAME=value", NULL-terminated; NULL: this process's */
    const char *cwd;         /* NULL: this process's */
    struct loop_stdio stdio[3];
    /* Once, when the child has ended: exit status, or the signal (> 0) that ended it. Pipes may
     * still hold bytes then; read them until on_end. */
    void (*on_exit)(void *ctx, int64_t exit_status, int term_signal);
    void *ctx;
};

struct loop_process;
/* ret_pipes[i] is set for each LOOP_STDIO_PIPE, NULL for the others; they are streams of the
 * caller's. Close stdin's to give the child end of file. ERR_NOT_FOUND when there is no program. */
int loop_spawn(struct loop *loop, const struct loop_spawn *spawn, struct loop_process **ret_process,
               struct loop_stream *ret_pipes[3]);
pid_t loop_process_pid(const struct loop_process *process);
/* ERR_NOT_FOUND when it has ended. */
int loop_process_kill(struct loop_process *process, int signal_number);
/* Forgets the process; one that still runs is killed (SIGKILL) and reaped, without a callback.
 * NULL is fine; returns NULL. */
struct loop_process *loop_process_destroy(struct loop_process *process);

/* Watches. A folder watch is a hint: names may come more than once, for files that are gone again,
 * or not at all when the kernel's queue overflows; look at the folder itself, also now and then
 * without a hint. name may be NULL. */
struct loop_watch;
int loop_watch_folder(struct loop *loop, const char *path,
                      void (*on_change)(void *ctx, const char *name), void *ctx,
                      struct loop_watch **ret_watch);
int loop_watch_signal(struct loop *loop, int signal_number,
                      void (*on_signal)(void *ctx, int signal_number), void *ctx,
                      struct loop_watch **ret_watch);
/* A descriptor of somebody else's library becomes readable (or fails); it stays the caller's. */
int loop_watch_fd(struct loop *loop, int fd, void (*on_readable)(void *ctx, int fd), void *ctx,
                  struct loop_watch **ret_watch);
struct loop_watch *loop_watch_close(struct loop_watch *watch);

/* Virtual network (virtual clock only). loop_listen_tcp() and loop_connect_tcp() meet by the text
 * of host and port. The shape decides for every connect and every write how long it takes and how
 * it is cut up; bytes of one direction never overtake each other. Without a shape: 100 us, whole.
 */
enum loop_shape_kind { LOOP_SHAPE_CONNECT, LOOP_SHAPE_TO_LISTENER, LOOP_SHAPE_TO_CONNECTOR };

struct loop_shape {
    int64_t delay_us; /* < 0: never arrives (a black hole); only for LOOP_SHAPE_CONNECT */
    size_t chunk;     /* the first so many bytes travel alone, then the shape is asked again;
                         0: all */
};
typedef struct loop_shape (*loop_shape_fn)(void *ctx, enum loop_shape_kind kind, uint16_t port,
                                           size_t length);
void loop_set_shape(struct loop *loop, loop_shape_fn shape, void *ctx);

#endif
