#include <stdlib.h>

#include "daemon/base/loop_internal.h"

struct loop_watch {
    struct loop *loop;
    struct loop_watch *prev, *next;
    void (*on_change)(void *ctx, const char *name);
    void (*on_number)(void *ctx, int number); /* signal or descriptor */
    void *ctx;
    int number;
    union {
        uv_handle_t handle;
        uv_fs_event_t folder;
        uv_signal_t signal;
        uv_poll_t poll;
    } uv;
};

static int watch_new(struct loop *loop, void *ctx, struct loop_watch **ret_watch) {
    if (loop->is_virtual) {
        return ERR_UNSUPPORTED;
    }
    struct loop_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return ERR_MEMORY;
    }
    watch->loop = loop;
    watch->ctx = ctx;
    *ret_watch = watch;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

/* After the handle's init: keeps the watch, or closes it when starting failed. */
static int watch_settle(struct loop_watch *watch, int uv_result, struct loop_watch **ret_watch) {
    LOOP_LINK(watch->loop->watches, watch);
    watch->uv.handle.data = watch;
    if (uv_result < 0) {
        (void)loop_watch_close(watch);
        return loop_code(uv_result);
    }
    *ret_watch = watch;
    return 0;
}

struct loop_watch *loop_watch_close(struct loop_watch *watch) {
    if (watch != NULL) {
        LOOP_UNLINK(watch->loop->watches, watch);
        uv_close(&watch->uv.handle, on_closed);
    }
    return NULL;
}

static void on_fs_event(uv_fs_event_t *handle, const char *name, int events, int status) {
    struct loop_watch *watch = handle->data;
    (void)events;
    watch->on_change(watch->ctx, status < 0 ? NULL : name);
}

int loop_watch_folder(struct loop *loop, const char *path,
                      void (*on_change)(void *ctx, const char *name), void *ctx,
                      struct loop_watch **ret_watch) {
    struct loop_watch *watch = NULL;
    int result = watch_new(loop, ctx, &watch);
    if (result < 0) {
        return result;
    }
    watch->on_change = on_change;
    (void)uv_fs_event_init(&loop->uv, &watch->uv.folder); /* always 0 */
    watch->uv.handle.data = watch;
    return watch_settle(watch, uv_fs_event_start(&watch->uv.folder, on_fs_event, path, 0),
                        ret_watch);
}

static void on_signal_event(uv_signal_t *handle, int signal_number) {
    struct loop_watch *watch = handle->data;
    watch->on_number(watch->ctx, signal_number);
}

int loop_watch_signal(struct loop *loop, int signal_number,
                      void (*on_signal)(void *ctx, int signal_number), void *ctx,
                      struct loop_watch **ret_watch) {
    struct loop_watch *watch = NULL;
    int result = watch_new(loop, ctx, &watch);
    if (result < 0) {
        return result;
    }
    watch->on_number = on_signal;
    result = uv_signal_init(&loop->uv, &watch->uv.signal);
    if (result < 0) {
        free(watch);
        return loop_code(result);
    }
    return watch_settle(watch, uv_signal_start(&watch->uv.signal, on_signal_event, signal_number),
                        ret_watch);
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    struct loop_watch *watch = handle->data;
    (void)status; /* a broken descriptor is told by reading it */
    (void)events;
    watch->on_number(watch->ctx, watch->number);
}

int loop_watch_fd(struct loop *loop, int fd, void (*on_readable)(void *ctx, int fd), void *ctx,
                  struct loop_watch **ret_watch) {
    struct loop_watch *watch = NULL;
    int result = watch_new(loop, ctx, &watch);
    if (result < 0) {
        return result;
    }
    watch->on_number = on_readable;
    watch->number = fd;
    result = uv_poll_init(&loop->uv, &watch->uv.poll, fd);
    if (result < 0) {
        free(watch);
        return loop_code(result);
    }
    return watch_settle(watch, uv_poll_start(&watch->uv.poll, UV_READABLE, on_poll), ret_watch);
}
