/* The Modbus TCP server of the poll benchmarks: a process of its own, one epoll loop, eight holding
 * registers (four times 12.5 as float32), whatever is asked. Unit POLL_SILENT_UNIT never answers.
 */
#ifndef CANHBAO_TESTS_BENCH_POLL_SERVER_H
#define CANHBAO_TESTS_BENCH_POLL_SERVER_H

#include <stdint.h>
#include <sys/types.h>

enum {
    POLL_REGISTERS = 8,
    POLL_REPLY_SIZE = 9 + POLL_REGISTERS * 2,
    POLL_REQUEST_SIZE = 12,
    POLL_SILENT_UNIT = 99
};

/* Starts it; the caller kills it. Ends the process on failure. */
pid_t bench_poll_server(uint16_t *ret_port);

#endif
