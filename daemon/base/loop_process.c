#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "daemon/base/loop_internal.h"

struct loop_process {
    struct loop *loop;
    struct loop_process *prev, *next;
    void (*on_exit)(void *ctx, int64_t exit_status, int term_signal);
    void *ctx;
    bool exited;
    bool abandoned; /* the owner has let go; freed when reaped */
    uv_process_t uv;
};

static void on_closed(uv_handle_t *handle) {
    struct loop_process *process = handle->data;
    free(process);
}

static void close_process(struct loop_process *process) {
    LOOP_UNLINK(process->loop->processes, process);
    uv_close((uv_handle_t *)&process->uv, on_closed);
}

static void on_process_exit(uv_process_t *handle, int64_t exit_status, int term_signal) {
    struct loop_process *process = handle->data;
    process->exited = true;
    if (process->abandoned) {
        close_process(process);
    } else if (process->on_exit != NULL) {
        process->on_exit(process->ctx, exit_status, term_signal);
    }
}

/* Fills the three descriptors; pipes get streams of their own. */
static int prepare_stdio(struct loop *loop, const struct loop_spawn *spawn,
                         uv_stdio_container_t stdio[3], struct loop_stream *pipes[3]) {
    for (int i = 0; i < 3; i++) {
        switch (spawn->stdio[i].kind) {
        case LOOP_STDIO_NULL:
            stdio[i].flags = UV_IGNORE; /* libuv opens /dev/null for the first three */
            break;
        case LOOP_STDIO_FD:
            stdio[i].flags = UV_INHERIT_FD;
            stdio[i].data.fd = spawn->stdio[i].fd;
            break;
        case LOOP_STDIO_PIPE: {
            int result = loop_stream_new(loop, &pipes[i]);
            if (result == 0) {
                result = loop_stream_open_handle(pipes[i], true);
            }
            if (result < 0) {
                return result;
            }
            stdio[i].flags =
                (uv_stdio_flags)(UV_CREATE_PIPE | (i == 0 ? UV_READABLE_PIPE : UV_WRITABLE_PIPE));
            stdio[i].data.stream = &pipes[i]->uv.stream;
            break;
        }
        }
    }
    return 0;
}

int loop_spawn(struct loop *loop, const struct loop_spawn *spawn, struct loop_process **ret_process,
               struct loop_stream *ret_pipes[3]) {
    struct loop_stream *pipes[3] = {NULL, NULL, NULL};
    uv_stdio_container_t stdio[3];
    if (loop->is_virtual) {
        return ERR_UNSUPPORTED;
    }
    struct loop_process *process = calloc(1, sizeof(*process));
    if (process == NULL) {
        return ERR_MEMORY;
    }
    process->loop = loop;
    process->on_exit = spawn->on_exit;
    process->ctx = spawn->ctx;
    process->uv.data = process;
    int result = prepare_stdio(loop, spawn, stdio, pipes);
    if (result < 0) {
        free(process);
        goto close_pipes;
    }
    uv_process_options_t options = {
        .exit_cb = on_process_exit,
        .file = spawn->file,
        .args = (char **)(uintptr_t)spawn->argv, /* libuv does not write to them */
        .env = (char **)(uintptr_t)spawn->env,
        .cwd = spawn->cwd,
        .stdio_count = 3,
        .stdio = stdio,
    };
    result = uv_spawn(&loop->uv, &process->uv, &options);
    LOOP_LINK(loop->processes, process);
    if (result < 0) {
        result = loop_code(result);
        close_process(process);
        goto close_pipes;
    }
    for (int i = 0; i < 3; i++) {
        if (pipes[i] != NULL) {
            pipes[i]->connected = true;
        }
        ret_pipes[i] = pipes[i];
    }
    *ret_process = process;
    return 0;

close_pipes:
    for (int i = 0; i < 3; i++) {
        (void)loop_stream_close(pipes[i]);
    }
    return result;
}

pid_t loop_process_pid(const struct loop_process *process) {
    return process->uv.pid;
}

int loop_process_kill(struct loop_process *process, int signal_number) {
    if (process->exited) {
        return ERR_NOT_FOUND; /* the pid may be somebody else's by now */
    }
    return loop_code(uv_process_kill(&process->uv, signal_number));
}

struct loop_process *loop_process_destroy(struct loop_process *process) {
    if (process == NULL) {
        return NULL;
    }
    process->abandoned = true;
    if (process->exited) {
        close_process(process);
    } else {
        (void)uv_process_kill(&process->uv, SIGKILL); /* fails only when it just ended */
    }
    return NULL;
}

void loop_process_abandon_all(struct loop *loop) {
    struct loop_process *next = NULL;
    for (struct loop_process *process = loop->processes; process != NULL; process = next) {
        next = process->next;
        if (!process->abandoned) {
            (void)loop_process_destroy(process);
        }
    }
}
