#include "poll_server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512 };

static void die(const char *what) {
    (void)fprintf(stderr, "poll server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void serve(int fd) {
    uint8_t request[POLL_REQUEST_SIZE], reply[POLL_REPLY_SIZE] = {0};
    /* One request in flight: a read gives a whole one or the end. */
    if (recv(fd, request, sizeof(request), 0) != sizeof(request)) {
        (void)close(fd);
        return;
    }
    unsigned registers = request[11];
    if (request[10] != 0 || registers == 0 || registers > POLL_REGISTERS || registers % 2 != 0) {
        (void)close(fd);
        return;
    }
    memcpy(reply, request, 8);
    reply[4] = 0;
    reply[5] = (uint8_t)(3 + registers * 2);
    reply[8] = (uint8_t)(registers * 2);
    for (unsigned i = 0; i < registers / 2; i++) {
        static const uint8_t twelve_and_a_half[] = {0x41, 0x48, 0, 0};
        memcpy(reply + 9 + i * 4, twelve_and_a_half, 4);
    }
    if (request[6] == POLL_SILENT_UNIT) {
        return;
    }
    ssize_t size = 9 + (ssize_t)registers * 2;
    if (send(fd, reply, (size_t)size, MSG_NOSIGNAL) != size) {
        (void)close(fd);
    }
}

static void run_server(int listener) {
    struct epoll_event events[EVENTS];
    int poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0) {
        die("server");
    }
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd != listener) {
                serve(events[i].data.fd);
                continue;
            }
            int fd = -1, on = 1;
            struct sockaddr_in peer = {0};
            socklen_t size = sizeof(peer);
            while ((fd = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK)) >= 0) {
                if (ntohl(peer.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET) {
                    (void)close(fd); /* the benchmark's own only */
                    continue;
                }
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
                event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
                if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) {
                    die("server");
                }
            }
        }
    }
}

pid_t bench_poll_server(bool anywhere, uint16_t *ret_port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {htonl(anywhere ? INADDR_ANY : INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
        die("cannot listen");
    }
    *ret_port = ntohs(address.sin_port);
    pid_t pid = fork();
    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        (void)prctl(PR_SET_NAME, "server");
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_server(listener);
        _exit(0);
    }
    (void)close(listener);
    return pid;
}
