#include "daemon/base/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/loop_internal.h"

enum {
    WAIT_MAX_MS = 1000,       /* look at the clocks at least so often: they may have jumped */
    DESTROY_TURNS_MAX = 5000, /* of 1 ms, while closing */
    HEAP_START = 16
};

int loop_code(int uv_code) {
    switch (uv_code) {
    case UV_EOF:
    case UV_ECONNREFUSED:
    case UV_ECONNRESET:
    case UV_ECONNABORTED:
    case UV_EPIPE:
    case UV_ENOTCONN:
        return ERR_CLOSED;
    case UV_ETIMEDOUT:
        return ERR_TIMEOUT;
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
    case UV_ENOENT:
    case UV_ESRCH:
        return ERR_NOT_FOUND;
    case UV_EADDRINUSE:
    case UV_EEXIST:
        return ERR_EXISTS;
    case UV_EACCES:
    case UV_EPERM:
        return ERR_DENIED;
    case UV_EMFILE:
    case UV_ENFILE:
    case UV_ENOBUFS:
        return ERR_LIMIT;
    case UV_ENOMEM:
    case UV_EAI_MEMORY:
        return ERR_MEMORY;
    case UV_EINVAL:
        return ERR_INVALID;
    default:
        return uv_code < 0 ? ERR_IO : 0;
    }
}

/* Timers: a heap for each line of time, ordered by (due, order). Four children to a parent: fewer
 * levels, and so fewer timers that have to be told their new place. */

enum { HEAP_CHILDREN = 4 };

static bool before(const struct heap_entry *a, const struct heap_entry *b) {
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void heap_put(struct timer_heap *heap, uint32_t at, const struct heap_entry *entry) {
    heap->at[at] = *entry;
    entry->timer->at = at + 1;
}

static void heap_up(struct timer_heap *heap, uint32_t at, struct heap_entry entry) {
    while (at > 0 && before(&entry, &heap->at[(at - 1) / HEAP_CHILDREN])) {
        heap_put(heap, at, &heap->at[(at - 1) / HEAP_CHILDREN]);
        at = (at - 1) / HEAP_CHILDREN;
    }
    heap_put(heap, at, &entry);
}

static void heap_down(struct timer_heap *heap, uint32_t at, struct heap_entry entry) {
    for (;;) {
        uint32_t first = at * HEAP_CHILDREN + 1, least = first;
        for (uint32_t i = first + 1; i < first + HEAP_CHILDREN && i < heap->count; i++) {
            least = before(&heap->at[i], &heap->at[least]) ? i : least;
        }
        if (first >= heap->count || !before(&heap->at[least], &entry)) {
            break;
        }
        heap_put(heap, at, &heap->at[least]);
        at = least;
    }
    heap_put(heap, at, &entry);
}

static void heap_remove(struct timer_heap *heap, struct loop_timer *timer) {
    uint32_t at = timer->at - 1;
    struct heap_entry last = heap->at[--heap->count];
    timer->at = 0;
    if (last.timer == timer) {
        return;
    }
    if (at > 0 && before(&last, &heap->at[(at - 1) / HEAP_CHILDREN])) {
        heap_up(heap, at, last);
    } else {
        heap_down(heap, at, last);
    }
}

int loop_timer_init(struct loop *loop, enum loop_time time, void (*on_due)(void *ctx), void *ctx,
                    struct loop_timer *ret_timer) {
    struct timer_heap *heap = &loop->heaps[time];
    if (heap->known == heap->capacity) {
        uint32_t capacity = heap->capacity == 0 ? HEAP_START : heap->capacity * 2;
        struct heap_entry *at = realloc(heap->at, capacity * sizeof(*at));
        if (at == NULL) {
            return ERR_MEMORY;
        }
        heap->at = at;
        heap->capacity = capacity;
    }
    heap->known++;
    *ret_timer = (struct loop_timer){.loop = loop, .on_due = on_due, .ctx = ctx, .time = time};
    return 0;
}

void loop_timer_finish(struct loop_timer *timer) {
    if (timer->loop != NULL) {
        loop_timer_stop(timer);
        timer->loop->heaps[timer->time].known--;
        timer->loop = NULL;
    }
}

static int64_t now_us(const struct loop *loop, enum loop_time time) {
    return time == LOOP_WIRE ? clock_wire(loop->clock).us : clock_mono(loop->clock).us;
}

void loop_timer_start_at(struct loop_timer *timer, struct mono_us due) {
    struct timer_heap *heap = &timer->loop->heaps[timer->time];
    if (timer->at != 0) {
        heap_remove(heap, timer);
    }
    struct heap_entry entry = {due.us, timer->loop->timer_order++, timer};
    heap->count++;
    heap_up(heap, heap->count - 1, entry);
}

void loop_timer_start_in(struct loop_timer *timer, int64_t us) {
    loop_timer_start_at(timer, (struct mono_us){now_us(timer->loop, timer->time) + us});
}

void loop_timer_stop(struct loop_timer *timer) {
    if (timer->at != 0) {
        heap_remove(&timer->loop->heaps[timer->time], timer);
    }
}

bool loop_timer_running(const struct loop_timer *timer) {
    return timer->at != 0;
}

/* The next timer of a heap that is due and was started before `limit`, or NULL. */
static const struct heap_entry *due_timer(const struct loop *loop, enum loop_time time, int64_t now,
                                          uint64_t limit) {
    const struct timer_heap *heap = &loop->heaps[time];
    const struct heap_entry *first = heap->count > 0 ? &heap->at[0] : NULL;
    return first != NULL && first->due_us <= now && first->order < limit ? first : NULL;
}

static void run_timers(struct loop *loop) {
    /* Timers that the callbacks start wait for the next turn, so that this ends. */
    uint64_t limit = loop->timer_order;
    int64_t scenario =
        loop->heaps[LOOP_SCENARIO].count > 0 ? now_us(loop, LOOP_SCENARIO) : INT64_MIN;
    int64_t wire = loop->heaps[LOOP_WIRE].count > 0 ? now_us(loop, LOOP_WIRE) : INT64_MIN;
    for (;;) {
        const struct heap_entry *a = due_timer(loop, LOOP_SCENARIO, scenario, limit);
        const struct heap_entry *b = due_timer(loop, LOOP_WIRE, wire, limit);
        const struct heap_entry *first = a == NULL || (b != NULL && before(b, a)) ? b : a;
        if (first == NULL) {
            return;
        }
        struct loop_timer *timer = first->timer;
        heap_remove(&loop->heaps[timer->time], timer);
        timer->on_due(timer->ctx);
    }
}

/* Hooks and posts. */

void loop_hook_add(struct loop *loop, void (*on_turn)(void *ctx), void *ctx,
                   struct loop_hook *ret_hook) {
    *ret_hook = (struct loop_hook){.loop = loop, .on_turn = on_turn, .ctx = ctx, .next = NULL};
    struct loop_hook **end = &loop->hooks;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = ret_hook;
}

void loop_hook_remove(struct loop_hook *hook) {
    if (hook->loop == NULL) {
        return;
    }
    for (struct loop_hook **at = &hook->loop->hooks; *at != NULL; at = &(*at)->next) {
        if (*at == hook) {
            *at = hook->next;
            break;
        }
    }
    if (hook->loop->hook_next == hook) {
        hook->loop->hook_next = hook->next;
    }
    hook->loop = NULL;
}

static void run_hooks(struct loop *loop) {
    for (struct loop_hook *hook = loop->hooks; hook != NULL; hook = loop->hook_next) {
        loop->hook_next = hook->next;
        hook->on_turn(hook->ctx);
    }
}

int loop_post(struct loop *loop, void (*fn)(void *ctx), void *ctx) {
    int result = 0;
    (void)pthread_mutex_lock(&loop->posts_lock); /* cannot fail for a plain mutex */
    if (loop->posts_count == LOOP_POSTS_MAX) {
        result = ERR_LIMIT;
    } else {
        size_t at = (loop->posts_first + loop->posts_count) % LOOP_POSTS_MAX;
        loop->posts[at] = (struct post){.fn = fn, .ctx = ctx};
        loop->posts_count++;
        if (!loop->is_virtual) {
            /* Inside the lock: loop_destroy() closes the handle under it too. Fails only for a
             * handle that is no async. */
            (void)uv_async_send(&loop->async);
        }
    }
    (void)pthread_mutex_unlock(&loop->posts_lock);
    return result;
}

static void run_posts(struct loop *loop) {
    for (size_t i = 0; i < LOOP_POSTS_MAX; i++) {
        (void)pthread_mutex_lock(&loop->posts_lock);
        bool any = loop->posts_count > 0;
        struct post post = loop->posts[loop->posts_first];
        if (any) {
            loop->posts_first = (loop->posts_first + 1) % LOOP_POSTS_MAX;
            loop->posts_count--;
        }
        (void)pthread_mutex_unlock(&loop->posts_lock);
        if (!any) {
            return;
        }
        post.fn(post.ctx);
    }
    if (!loop->is_virtual) {
        (void)uv_async_send(&loop->async); /* the rest in the next turn */
    }
}

/* The real loop. Hooks run right before libuv waits, our timers right after it has served what
 * came: when the loop was held up, a reply that is there already is read before its deadline is
 * looked at. */

static int64_t wait_real_us(const struct loop *loop) {
    int64_t wait = (int64_t)WAIT_MAX_MS * 1000;
    if (loop->heaps[LOOP_WIRE].count > 0) {
        int64_t left = loop->heaps[LOOP_WIRE].at[0].due_us - now_us(loop, LOOP_WIRE);
        wait = left < wait ? left : wait;
    }
    if (loop->heaps[LOOP_SCENARIO].count > 0) {
        int64_t left = loop->heaps[LOOP_SCENARIO].at[0].due_us - now_us(loop, LOOP_SCENARIO);
        left = left > 0 ? clock_real_us(loop->clock, left) : 0;
        wait = left < wait ? left : wait;
    }
    return wait > 0 ? wait : 0;
}

static void on_wake(uv_timer_t *timer) {
    (void)timer; /* only ends the wait; on_check() does the work */
}

static void on_prepare(uv_prepare_t *prepare) {
    struct loop *loop = prepare->data;
    run_hooks(loop);
    /* Rounded up: a timer never fires early. */
    uint64_t wait_ms = ((uint64_t)wait_real_us(loop) + 999) / 1000;
    (void)uv_timer_start(&loop->wake, on_wake, wait_ms, 0); /* fails only without a callback */
}

static void on_check(uv_check_t *check) {
    run_timers(check->data);
}

static void on_async(uv_async_t *async) {
    run_posts(async->data);
}

static int init_real(struct loop *loop) {
    int result = uv_loop_init(&loop->uv);
    if (result < 0) {
        return loop_code(result);
    }
    result = uv_async_init(&loop->uv, &loop->async, on_async);
    if (result < 0) {
        (void)uv_loop_close(&loop->uv); /* nothing is open in it */
        return loop_code(result);
    }
    /* These cannot fail. */
    (void)uv_timer_init(&loop->uv, &loop->wake);
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_check_init(&loop->uv, &loop->check);
    loop->async.data = loop->prepare.data = loop->check.data = loop;
    (void)uv_check_start(&loop->check, on_check);
    (void)uv_prepare_start(&loop->prepare, on_prepare);
    /* libuv writes without MSG_NOSIGNAL; a peer that went away must not end the process. Children
     * get the default back from uv_spawn(). */
    (void)signal(SIGPIPE, SIG_IGN);
    return 0;
}

int loop_create(struct clock *clock, struct loop **ret_loop) {
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return ERR_MEMORY;
    }
    loop->posts = calloc(LOOP_POSTS_MAX, sizeof(*loop->posts));
    if (loop->posts == NULL) {
        free(loop);
        return ERR_MEMORY;
    }
    loop->clock = clock;
    loop->is_virtual = clock_is_virtual(clock);
    int result = loop->is_virtual ? 0 : init_real(loop);
    if (result < 0) {
        free(loop->posts);
        free(loop);
        return result;
    }
    (void)pthread_mutex_init(&loop->posts_lock, NULL); /* cannot fail with default attributes */
    *ret_loop = loop;
    return 0;
}

static void close_handle(uv_handle_t *handle, void *ctx) {
    (void)ctx;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* True when libuv has let go of everything. */
static bool close_real(struct loop *loop) {
    loop_process_abandon_all(loop);
    uv_close((uv_handle_t *)&loop->async, NULL);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    for (int i = 0; i < DESTROY_TURNS_MAX; i++) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
        if (uv_loop_close(&loop->uv) == 0) {
            return true;
        }
        (void)usleep(1000); /* a child to be reaped, a name being resolved */
        if (i == DESTROY_TURNS_MAX / 2) {
            uv_walk(&loop->uv, close_handle, NULL);
        }
    }
    return false;
}

struct loop *loop_destroy(struct loop *loop) {
    if (loop == NULL) {
        return NULL;
    }
    while (loop->streams != NULL) {
        (void)loop_stream_close(loop->streams);
    }
    while (loop->listeners != NULL) {
        (void)loop_listener_close(loop->listeners);
    }
    while (loop->watches != NULL) {
        (void)loop_watch_close(loop->watches);
    }
    bool closed = true;
    if (loop->is_virtual) {
        loop_memory_sweep(loop);
    } else {
        closed = close_real(loop);
    }
    (void)pthread_mutex_destroy(&loop->posts_lock);
    if (closed) {
        /* Otherwise a helper thread still resolves a name and will write into the loop's memory:
         * better leave it at the end of a process than have it used after it is gone. */
        free(loop->heaps[LOOP_SCENARIO].at);
        free(loop->heaps[LOOP_WIRE].at);
        free(loop->posts);
        free(loop);
    }
    return NULL;
}

struct clock *loop_clock(const struct loop *loop) {
    return loop->clock;
}

/* The virtual loop. */

static bool next_due(const struct loop *loop, int64_t *ret_due_us) {
    bool any = false;
    for (int i = 0; i < 2; i++) {
        if (loop->heaps[i].count > 0 && (!any || loop->heaps[i].at[0].due_us < *ret_due_us)) {
            *ret_due_us = loop->heaps[i].at[0].due_us;
            any = true;
        }
    }
    return any;
}

static void run_virtual(struct loop *loop, int64_t until_us) {
    while (!loop->stopping) {
        run_posts(loop);
        run_timers(loop);
        run_hooks(loop);
        loop_memory_sweep(loop);
        (void)pthread_mutex_lock(&loop->posts_lock);
        bool posted = loop->posts_count > 0;
        (void)pthread_mutex_unlock(&loop->posts_lock);
        int64_t due_us = 0;
        bool any = next_due(loop, &due_us);
        int64_t now = clock_wire(loop->clock).us;
        if (posted || loop->stopping || (any && due_us <= now)) {
            continue;
        }
        if (!any || due_us > until_us) {
            if (until_us != INT64_MAX && until_us > now) {
                clock_advance(loop->clock, until_us - now);
            }
            return;
        }
        clock_advance(loop->clock, due_us - now);
    }
}

static int run(struct loop *loop, int64_t until_us) {
    loop->stopping = false;
    if (loop->is_virtual) {
        run_virtual(loop, until_us);
        return 0;
    }
    return uv_run(&loop->uv, UV_RUN_DEFAULT) < 0 ? ERR_IO : 0;
}

int loop_run(struct loop *loop) {
    return run(loop, INT64_MAX);
}

static void on_run_over(void *ctx) {
    loop_stop(ctx);
}

int loop_run_for(struct loop *loop, int64_t us) {
    if (loop->is_virtual) {
        return run(loop, clock_wire(loop->clock).us + us);
    }
    struct loop_timer timer;
    int result = loop_timer_init(loop, LOOP_WIRE, on_run_over, loop, &timer);
    if (result < 0) {
        return result;
    }
    loop_timer_start_in(&timer, us);
    result = run(loop, INT64_MAX);
    loop_timer_finish(&timer);
    return result;
}

void loop_stop(struct loop *loop) {
    loop->stopping = true;
    if (!loop->is_virtual) {
        uv_stop(&loop->uv);
    }
}
