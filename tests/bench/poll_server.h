/* The Modbus TCP server of the poll benchmarks: a process of its own, one epoll loop, eight holding
 * registers (four times 12.5 as float32), or as many of them as are asked for, wherever. Unit
 * POLL_SILENT_UNIT never answers. */
#ifndef CANHBAO_TESTS_BENCH_POLL_SERVER_H
#define CANHBAO_TESTS_BENCH_POLL_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    POLL_REGISTERS = 8,
    POLL_REPLY_SIZE = 9 + POLL_REGISTERS * 2,
    POLL_REQUEST_SIZE = 12,
    POLL_SILENT_UNIT = 99
};

/* Starts it; the caller kills it, or ends. anywhere: it listens on every address, so that a site
 * can tell its stations apart by them, and serves those of the loopback network alone. Ends the
 * process on failure. */
pid_t bench_poll_server(bool anywhere, uint16_t *ret_port);

#endif
